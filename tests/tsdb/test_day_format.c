/*
 * test_day_format.c - the bytes of format 1 stay readable: golden/day-1.hex holds every key and value of a small day as
 * it was written when the format was made; golden/day-1-histograms.hex of one whose odd series have histograms.
 * GOLDEN_WRITE=1 writes the files anew (for a new format, beside the old ones).
 */
#include "tsdb/day_dir.c"

#include "store/inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERIES = 12, SAMPLES = 300, DAY = 19000 };
#define START (INT64_C(86400000) * DAY)

static void must(int rc, const struct err *e)
{
    if (rc < 0)
        fprintf(stderr, "error %d: %s\n", rc, e->text);
    assert_true(rc >= 0);
}

static bool with_hists;

static const char *golden_path(void)
{
    static char path[512];
    const char *slash = strrchr(__FILE__, '/');

    snprintf(path, sizeof path, "%.*s/golden/day-1%s.hex", slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".",
             with_hists ? "-histograms" : "");
    return path;
}

static struct partition *open_partition(char path[64])
{
    struct partition_opts o = {.path = path, .signal = "metrics", .day = DAY, .format = 1, .create = true};
    struct partition *p;
    struct err e;
    int fd;

    strcpy(path, "/tmp/tripod-test-format-XXXXXX");
    assert_true((fd = mkstemp(path)) >= 0);
    close(fd);
    unlink(path);
    must(partition_open(&o, &p, &e), &e);
    return p;
}

/* --- what the day holds -------------------------------------------------------------------------------- */

static struct labels labels_of(uint32_t i, struct arena *a)
{
    struct labels ls = {arena_array(a, struct label, 3), 3};

    ls.v[0] = (struct label){STR(LABEL_NAME), arena_printf(a, "metric_%u_total", i / 4)};
    ls.v[1] = (struct label){STR("instance"), arena_printf(a, "host-%u:9100", i % 4)};
    ls.v[2] = (struct label){STR("job"), i % 2 ? STR("api") : STR("node")};
    return ls;
}

static int64_t time_of(uint32_t i, uint32_t k)
{
    return START + (i % 4) * 1000 + k * INT64_C(15000) + (k % 20 == 7 ? i % 4 : 0);
}

static double value_of(uint32_t i, uint32_t k)
{
    uint64_t h = (i * 2654435761u + k * 40503u) % 1009;

    switch (i) {
    case 0:
        return 1;
    case 1:
        return 1000 + k * 50.0 + (double)(h % 13);
    case 2:
        return (double)(h % 700) / 100;
    case 3:
        return k == 150 ? f64_from_bits(STALE_NAN_BITS) : (double)(h % 5);
    case 4:
        return k < 200 ? 100.0 + k * 7 : (k - 200) * 7.0;
    case 5:
        return (double)(h * 4096);
    case 6:
        return k / 50;
    case 7:
        return (double)h / 7;
    case 8:
        return k % 3 ? 0.25 : 0.5;
    case 9:
        return -1.0 / 0.0;
    case 10:
        return (double)h * 1e-9;
    default:
        return (double)(h << 40);
    }
}

/* NULL: a float. Exponential ones whose buckets come and go, custom ones, gauges, fractions, markers, and all mixed. */
static const struct histogram *hist_of(uint32_t i, uint32_t k, struct arena *a)
{
    static const double bounds[] = {0.1, 0.5, 1, 2.5};
    uint32_t n = 3 + (k / 40 + i) % 4;
    struct histogram *h = arena_new(a, struct histogram);
    struct hist_bucket *b = arena_array(a, struct hist_bucket, n);

    if (!with_hists || i % 2 == 0 || (i == 11 && k % 5 == 3))
        return NULL;
    if (k % 97 == 50) {
        h->sum = f64_from_bits(STALE_NAN_BITS);
        return h;
    }
    for (uint32_t j = 0; j < n; j++) {
        b[j] = (struct hist_bucket){(int32_t)(j + j / 3 * 4), (double)((k % 150) * (j + 1) + i)};
        if (i == 7)
            b[j].n /= 8;
        if (i == 5)
            b[j].i = (int32_t)MIN(j, 4u);
        h->count += b[j].n;
    }
    h->npos = i == 5 ? MIN(n, 5u) : n;
    h->pos = b;
    h->sum = k * 2.5 + i;
    h->hint = i == 9 ? HIST_GAUGE : HIST_UNKNOWN;
    if (i == 5) {
        h->schema = HIST_CUSTOM;
        h->bounds = bounds;
        h->nbounds = 4;
        return h;
    }
    h->schema = i == 3 && k > 100 ? 1 : 3;
    h->zero_threshold = 0x1p-128;
    h->zero_count = k % 150;
    h->count += h->zero_count + (i == 11);
    if (i == 1) {
        h->neg = b;
        h->nneg = 2;
        h->count += b[0].n + b[1].n;
    }
    return h;
}

static void write_day(struct partition *p)
{
    struct arena a = {0};
    int64_t t[SAMPLES], st[SAMPLES];
    double v[SAMPLES];
    const struct histogram *h[SAMPLES];
    struct err e;

    for (uint32_t part = 0; part < 2; part++) {
        struct day_writer *w;
        uint32_t column, n = SAMPLES / 2;

        must(day_write_begin(p, &w, &e), &e);
        for (uint32_t i = part * 8, sid; i < (part ? SERIES : 8); i++) {
            struct labels ls = labels_of(i, &a);

            must(day_write_new(w, labels_hash(&ls), &ls, &sid, &e), &e);
        }
        for (uint32_t i = 0; i < (part ? SERIES : 8); i++) {
            for (uint32_t k = 0; k < n; k++) {
                t[k] = time_of(i, part * n + k);
                v[k] = value_of(i, part * n + k);
                st[k] = START - 1;
                h[k] = hist_of(i, part * n + k, &a);
            }
            must(day_write_times(w, t, n, &column, &e), &e);
            must(day_write_series(w, i, column, v, i == 1 ? st : NULL, with_hists && i % 2 ? h : NULL, n, &e), &e);
        }
        must(day_write_commit(w, part + 1, &e), &e);
    }
    arena_release(&a);
}

static void check_day(struct partition *p)
{
    struct arena a = {0};
    struct day_view *v;
    struct day_reader *r;
    struct err e;

    must(day_verify(p, NULL, NULL, &e), &e);
    must(day_view_open(p, &v, &e), &e);
    assert_int_equal(day_view_nseries(v), SERIES);
    must(day_reader_open(v, INT64_MIN, INT64_MAX, &r, &e), &e);
    for (uint32_t i = 0; i < SERIES; i++) {
        struct labels want = labels_of(i, &a), got;
        const struct day_piece *piece;
        uint32_t n, first = i < 8 ? 0 : SAMPLES / 2;

        must(day_view_labels(v, i, &a, &got, &e), &e);
        assert_true(labels_eq(&want, &got));
        must(day_reader_get(r, i, &piece, &n, &e), &e);
        assert_int_equal(n, 1);
        assert_int_equal(piece->n, SAMPLES - first);
        assert_int_equal(piece->st != NULL, i == 1);
        for (uint32_t k = 0; k < piece->n; k++) {
            assert_int_equal(piece->t[k], time_of(i, first + k));
            const struct histogram *h = hist_of(i, first + k, &a);
            assert_int_equal(piece->h && piece->h[k], h != NULL);
            if (h)
                assert_true(hist_stale(h) ? hist_stale(piece->h[k]) : hist_equal(piece->h[k], h));
            else
                assert_int_equal(f64_bits(piece->v[k]), f64_bits(value_of(i, first + k)));
        }
    }
    day_reader_close(r);
    day_view_close(v);
    arena_release(&a);
}

/* --- keys and values as hex lines ------------------------------------------------------------------------ */

static void print_hex(FILE *f, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        fprintf(f, "%02x", (unsigned char)s.p[i]);
}

static void save(struct partition *p, const char *path)
{
    FILE *f = fopen(path, "w");
    struct str prefixes[] = {STR("B"), STR("D")}, key, value;
    struct txn *t;
    struct err e;

    assert_non_null(f);
    must(txn_read(p, &t, &e), &e);
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        struct txn_iter it = {0};

        while (txn_iter_next(t, &it, prefixes[i], STR_NULL, &key, &value, &e) == 0) {
            print_hex(f, key);
            fputc(' ', f);
            print_hex(f, value);
            fputc('\n', f);
        }
        txn_iter_end(&it);
    }
    txn_end(t);
    fclose(f);
}

static size_t from_hex(const char *s, struct buf *out)
{
    size_t i = 0;
    unsigned byte;

    buf_reset(out);
    for (; sscanf(s + i, "%2x", &byte) == 1 && s[i] > ' '; i += 2)
        buf_putc(out, (char)byte);
    return i;
}

static void load(struct partition *p, const char *path)
{
    FILE *f = fopen(path, "r");
    struct buf key = {0}, value = {0};
    char *line = NULL;
    size_t room = 0;
    struct txn *t;
    struct err e;

    if (!f)
        fail_msg("%s is missing", path);
    must(txn_write(p, &t, &e), &e);
    while (getline(&line, &room, f) > 0) {
        size_t n = from_hex(line, &key);

        from_hex(line + n + 1, &value);
        struct str bytes = buf_str(&value);
        must(txn_put(t, buf_str(&key), &bytes, 1, &e), &e);
    }
    must(txn_commit(t, 1, &e), &e);
    free(line);
    buf_release(&key);
    buf_release(&value);
    fclose(f);
}

static void test_golden(void **state)
{
    char path[64];
    struct partition *p = open_partition(path);

    (void)state;
    load(p, golden_path());
    check_day(p);
    partition_unref(p);
    unlink(path);
}

static void test_today(void **state)
{
    char path[64];
    struct partition *p = open_partition(path);

    (void)state;
    write_day(p);
    check_day(p);
    if (getenv("GOLDEN_WRITE"))
        save(p, golden_path());
    partition_unref(p);
    unlink(path);
}

/* --- damage ------------------------------------------------------------------------------------------------ */

/* Every value of the day damaged in turn, past the checksums: errors that name the place, never a crash, and other
 * parts still answer. */
static void test_damage(void **state)
{
    char path[64];
    struct partition *p = open_partition(path);
    uint64_t rng = (uint64_t)clock_wall_ns() | 1;
    struct buf copy = {0};
    uint32_t refused = 0;
    struct err e;

    (void)state;
    write_day(p);
    for (int round = 0; round < 400; round++) {
        struct str prefix = round % 8 ? STR("B") : STR("D"), key, value;
        struct txn_iter it = {0};
        char kept[PARTITION_KEY_MAX];
        struct txn *t;

        rng = rng * 6364136223846793005u + 1442695040888963407u;
        must(txn_write(p, &t, &e), &e);
        for (uint64_t skip = (rng >> 33) % 4 + 1;
             skip-- > 0 && txn_iter_next(t, &it, prefix, STR_NULL, &key, &value, &e) == 0;) {
            buf_reset(&copy);
            buf_puts(&copy, value);
            memcpy(kept, key.p, key.n);
            key = str_n(kept, key.n);
        }
        txn_iter_end(&it);
        size_t at = (size_t)((rng >> 20) % copy.n);
        copy.p[at] ^= (char)(1 << (rng >> 60 & 7));
        struct str bytes = buf_str(&copy);
        must(txn_put(t, key, &bytes, 1, &e), &e);
        must(txn_commit(t, 0, &e), &e);
        int rc = day_verify(p, NULL, NULL, &e);
        assert_true(rc == 0 || rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED);
        refused += rc < 0;
        copy.p[at] ^= (char)(1 << (rng >> 60 & 7));
        must(txn_write(p, &t, &e), &e);
        must(txn_put(t, key, &bytes, 1, &e), &e);
        must(txn_commit(t, 0, &e), &e);
    }
    assert_true(refused > 100);
    check_day(p);
    buf_release(&copy);
    partition_unref(p);
    unlink(path);
}

static int hists_on(void **state)
{
    (void)state;
    with_hists = true;
    return 0;
}

static int hists_off(void **state)
{
    (void)state;
    with_hists = false;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_today),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_damage),
        cmocka_unit_test_setup_teardown(test_today, hists_on, hists_off),
        cmocka_unit_test_setup_teardown(test_golden, hists_on, hists_off),
        cmocka_unit_test_setup_teardown(test_damage, hists_on, hists_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
