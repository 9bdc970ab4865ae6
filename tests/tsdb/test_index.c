/*
 * test_index.c - an index with many values, groups and posting blocks, and series that each have their own times: what
 * the small worlds of test_day.c never reach.
 */
#define TIMES_BYTES_MAX (1u << 20)
#define IDS_BYTES_MAX   1000u /* identities are made one by one, until a find needs them all */
#include "tsdb/day_load.c"
#include "tsdb/day_read.c"

#include "store/inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERIES = 7000, SAMPLES = 120, DAY = 19000 };
#define START (INT64_C(86400000) * DAY)

static void must(int rc, const struct err *e)
{
    if (rc < 0)
        fprintf(stderr, "error %d: %s\n", rc, e->text);
    assert_true(rc >= 0);
}

/* A long unique id, a label that half have, a pod of seven, a job of four. In order of __name__, id. */
static struct labels labels_of(uint32_t i, struct arena *a)
{
    struct labels ls = {arena_array(a, struct label, 5), 0};

    ls.v[ls.n++] = (struct label){STR(LABEL_NAME), i < SERIES / 2 ? STR("aa_total") : STR("bb_seconds")};
    if (i % 2)
        ls.v[ls.n++] = (struct label){STR("half"), STR("yes")};
    ls.v[ls.n++] =
        (struct label){STR("id"), arena_printf(a, "a-very-long-unique-identifier-of-%08u-the-series", i * 7)};
    ls.v[ls.n++] = (struct label){STR("job"), arena_printf(a, "job-%u", i % 4)};
    ls.v[ls.n++] = (struct label){STR("pod"), arena_printf(a, "pod-%u", i / 7)};
    return ls;
}

static int64_t time_of(uint32_t i, uint32_t k)
{
    return START + i + k * INT64_C(15000);
}

struct fixture {
    char path[64];
    struct partition *p;
    struct day *day;
    struct day_view *v;
};

static int set_up(void **state)
{
    struct fixture *f = x_zalloc(sizeof *f);
    struct arena a = {0};
    struct day_writer *w;
    int64_t t[SAMPLES];
    double v[SAMPLES];
    uint32_t sid, column;
    struct err e;

    strcpy(f->path, "/tmp/tripod-test-index-XXXXXX");
    close(mkstemp(f->path));
    unlink(f->path);
    struct partition_opts o = {.path = f->path, .signal = "metrics", .day = DAY, .format = 1, .create = true};
    must(partition_open(&o, &f->p, &e), &e);
    must(day_attach(f->p, &f->day, &e), &e);
    partition_set_user(f->p, f->day);
    must(day_write_begin(f->p, &w, &e), &e);
    for (uint32_t i = 0; i < SERIES; i++) {
        struct labels ls = labels_of(i, &a);

        must(day_write_new(w, labels_hash(&ls), &ls, &sid, &e), &e);
        assert_int_equal(sid, i);
    }
    for (uint32_t i = 0; i < SERIES; i++) {
        for (uint32_t k = 0; k < SAMPLES; k++) {
            t[k] = time_of(i, k);
            v[k] = i + k;
        }
        must(day_write_times(w, t, SAMPLES, &column, &e), &e);
        must(day_write_series(w, i, column, v, NULL, NULL, SAMPLES, &e), &e);
    }
    must(day_write_commit(w, 1, &e), &e);
    partition_set_user(f->p, NULL); /* as after a restart: nothing is in memory */
    day_free(f->day);
    must(day_attach(f->p, &f->day, &e), &e);
    partition_set_user(f->p, f->day);
    must(day_view_open(f->p, &f->v, &e), &e);
    arena_release(&a);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    day_view_close(f->v);
    partition_set_user(f->p, NULL);
    day_free(f->day);
    partition_unref(f->p);
    unlink(f->path);
    free(f);
    return 0;
}

/* --- matchers ------------------------------------------------------------------------------------------- */

static uint64_t check_match(struct fixture *f, enum match_op op, const char *name, const char *value)
{
    struct arena a = {0};
    struct matcher m;
    roaring_bitmap_t *got;
    uint64_t n;
    struct err e;

    must(matcher_init(&m, op, str_of(name), str_of(value), &e), &e);
    must(day_view_match(f->v, &m, 1, &got, &e), &e);
    for (uint32_t i = 0; i < SERIES; i++) {
        struct labels ls = labels_of(i, &a);

        if (roaring_bitmap_contains(got, i) != matchers_match(&m, 1, &ls))
            fail_msg("%s %d %s: series %u", name, op, value, i);
        if (i % 256 == 0)
            arena_reset(&a);
    }
    n = roaring_bitmap_get_cardinality(got);
    roaring_bitmap_free(got);
    matcher_release(&m);
    arena_release(&a);
    return n;
}

static void test_match(void **state)
{
    struct fixture *f = *state;
    static const char *const regexes[] = {
        ".+", ".*", "pod-1.*", "pod-(12|13|999)", "pod-[0-9]", "[^x]*", "a-very-long.*9-the-series", "zzz.*", ""};
    static const char *const names[] = {"pod", "id", "half", "absent", "__name__"};
    char value[100];

    for (uint32_t i = 0; i < SERIES; i += 97) {
        snprintf(value, sizeof value, "a-very-long-unique-identifier-of-%08u-the-series", i * 7);
        assert_int_equal(check_match(f, MATCH_EQ, "id", value), 1);
        assert_int_equal(check_match(f, MATCH_NE, "id", value), SERIES - 1);
    }
    assert_int_equal(check_match(f, MATCH_EQ, "id", "a-very-long-unique-identifier-of-00000001-the-series"), 0);
    assert_int_equal(check_match(f, MATCH_EQ, "pod", "pod-5"), 7);
    assert_int_equal(check_match(f, MATCH_EQ, "half", ""), SERIES / 2);
    for (size_t k = 0; k < ARRAY_LEN(names); k++)
        for (size_t i = 0; i < ARRAY_LEN(regexes); i++) {
            uint64_t n = check_match(f, MATCH_RE, names[k], regexes[i]);
            assert_int_equal(check_match(f, MATCH_NRE, names[k], regexes[i]), SERIES - n);
        }
}

static int stop_at_once(void *asked, uint64_t samples, uint64_t bytes, struct err *e)
{
    assert_int_equal(samples + bytes, 0);
    ++*(uint32_t *)asked;
    return err_set(e, ERR_TIMEOUT, "enough");
}

/* A match that nobody waits for any more ends; one that is short is done before it looks up. */
static void test_stopped(void **state)
{
    struct fixture *f = *state;
    uint32_t asked = 0;
    struct tsdb_limits limits = {.check = stop_at_once, .arg = &asked};
    roaring_bitmap_t *got;
    struct matcher m;
    struct err e;

    must(matcher_init(&m, MATCH_RE, STR("id"), STR(".*[0-9]9.*x?"), &e), &e);
    day_view_limit(f->v, &limits);
    assert_int_equal(day_view_match(f->v, &m, 1, &got, &e), ERR_TIMEOUT);
    assert_string_equal(e.text, "enough");
    assert_int_equal(asked, 1);
    matcher_release(&m);
    day_view_limit(f->v, NULL);
    check_match(f, MATCH_EQ, "pod", "pod-5");
}

static int count(void *n, struct str value)
{
    assert_true(value.n > 0);
    ++*(uint32_t *)n;
    return 0;
}

static int stop_at_ten(void *n, struct str value)
{
    (void)value;
    return ++*(uint32_t *)n == 10 ? 77 : 0;
}

static void test_values(void **state)
{
    struct fixture *f = *state;
    roaring_bitmap_t *only = roaring_bitmap_from_range(2000, 4100, 3);
    uint32_t n = 0;
    struct err e;

    must(day_view_values(f->v, STR("id"), NULL, count, &n, &e), &e);
    assert_int_equal(n, SERIES);
    must(day_view_values(f->v, STR("id"), only, count, &(uint32_t){0}, &e), &e);
    n = 0;
    must(day_view_values(f->v, STR("id"), only, count, &n, &e), &e);
    assert_int_equal(n, 700);
    n = 0;
    must(day_view_values(f->v, STR("absent"), only, count, &n, &e), &e);
    assert_int_equal(n, 0);
    must(day_view_names(f->v, only, count, &n, &e), &e);
    assert_int_equal(n, 5);
    n = 0;
    assert_int_equal(day_view_values(f->v, STR("id"), NULL, stop_at_ten, &n, &e), 77);
    assert_int_equal(n, 10);
    roaring_bitmap_free(only);
}

static void test_labels(void **state)
{
    struct fixture *f = *state;
    struct arena a = {0};
    struct err e;

    for (uint32_t k = 0; k < SERIES; k++) {
        uint32_t i = (k * 2711) % SERIES; /* hops between groups */
        struct labels want = labels_of(i, &a), got;
        struct str half;

        must(day_view_labels(f->v, i, &a, &got, &e), &e);
        assert_true(labels_eq(&want, &got));
        must(day_view_label(f->v, i, STR("half"), &half, &e), &e);
        assert_int_equal(half.n, i % 2 ? 3 : 0);
        assert_true(hash128_eq(day_view_id(f->v, i), labels_hash(&want)));
        assert_int_equal(day_view_find(f->v, labels_hash(&want)), i);
        arena_reset(&a);
    }
    arena_release(&a);
}

/* --- times of their own ------------------------------------------------------------------------------------ */

/* The cache of times is emptied many times on the way; no id comes back with other times. */
static void test_own_times(void **state)
{
    struct fixture *f = *state;
    struct day_reader *r;
    uint64_t last_id = 0;
    struct err e;

    must(day_reader_open(f->v, START + 30000, START + 90000 + SERIES, &r, &e), &e);
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < SERIES; i++) {
            const struct day_piece *p;
            uint32_t n, at = 2;

            must(day_reader_get(r, i, &p, &n, &e), &e);
            assert_int_equal(n, 1);
            assert_true(p->times_id > last_id);
            last_id = p->times_id;
            for (uint32_t k = 0; k < p->n; k++, at++) {
                assert_int_equal(p->t[k], time_of(i, at));
                assert_true(p->v[k] == i + at);
            }
            assert_true(p->t[p->n - 1] <= START + 90000 + SERIES && time_of(i, at) > START + 90000 + SERIES);
            assert_true(r->times_bytes < 2 * TIMES_BYTES_MAX);
        }
    day_reader_close(r);
}

static void test_verify(void **state)
{
    struct fixture *f = *state;
    struct err e;

    must(day_verify(f->p, NULL, NULL, &e), &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),     cmocka_unit_test(test_stopped), cmocka_unit_test(test_values), cmocka_unit_test(test_labels),
        cmocka_unit_test(test_own_times), cmocka_unit_test(test_verify),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
