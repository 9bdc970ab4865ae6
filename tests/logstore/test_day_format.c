/*
 * test_day_format.c - days of logs stay readable: golden/day-1.hex holds every key and value of a small day as it was written when
 * the format was made, in two slices as flushes leave them; golden/day-1-sealed.hex the same records in a sealed day. They are laid
 * into a data directory and read through the front door. GOLDEN_WRITE=1 writes the files anew (for a new format, beside the old ones).
 */
#include "logstore/day_file.h"
#include "logstore/logstore.h"
#include "store/inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { STREAMS = 5, ROWS = 40, DAY = 19000 };
#define S INT64_C(1000000000)
#define START (S * 86400 * DAY + S * 43200)

struct world {
    char dir[64];
    struct store *store;
    struct logstore *ls;
};

static void must(int rc, const struct err *e)
{
    if (rc < 0)
        fprintf(stderr, "error %d: %s\n", rc, e->text);
    assert_true(rc >= 0);
}

static const char *golden_path(bool sealed)
{
    static char path[512];
    const char *slash = strrchr(__FILE__, '/');

    snprintf(path, sizeof path, "%.*s/golden/day-1%s.hex", slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".", sealed ? "-sealed" : "");
    return path;
}

static void open_world(struct world *w, bool start)
{
    struct logstore_opts lo;
    struct store_opts so;
    struct err e = {0};

    store_opts_default(&so);
    so.dir = w->dir;
    so.upkeep_interval_ms = 3600 * 1000;
    so.retention_ms = 0;
    logstore_opts_default(&lo);
    must(store_open(&so, &w->store, &e), &e);
    must(logstore_new(w->store, &lo, &w->ls, &e), &e);
    must(store_recover(w->store, &e), &e);
    if (start)
        must(store_start(w->store, &e), &e);
}

static void close_world(struct world *w)
{
    store_close(w->store);
    logstore_free(w->ls);
}

static int set_up(void **state)
{
    struct world *w = *state = x_zalloc(sizeof *w);

    strcpy(w->dir, "/tmp/test_log_format.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char cmd[128];

    snprintf(cmd, sizeof cmd, "rm -rf %s", w->dir);
    free(w);
    return system(cmd);
}

/* --- what the day holds -------------------------------------------------------------------------------- */

/* A kind of line for each stream: JSON, logfmt, text with variables, an access log, bytes that are no text. */
static struct str line_of(uint32_t stream, uint32_t k, struct arena *a)
{
    static const char *const paths[] = {"/", "/api/v1/push", "/healthz"};
    uint32_t h = (stream * 2654435761u + k * 40503u) % 10007;

    switch (stream) {
    case 0:
        return arena_printf(a, "{\"level\":\"%s\",\"n\":%u,\"f\":%u.5,\"ok\":%s,\"user\":{\"id\":%u,\"name\":\"u\\u00e9%u\"},\"tags\":[%u]%s}", k % 9 ? "info" : "error", h, k,
                            k % 2 ? "true" : "false", k % 7, k % 7, k, k % 5 ? "" : ",\"rare\":null");
    case 1:
        return arena_printf(a, "ts=2022-01-08T12:%02u:%02u.%03uZ caller=main.c:%u msg=\"took %u ms\" ip=10.0.%u.%u%s", k / 4, k, h % 1000, k % 3 * 10, h, k % 4, h % 256,
                            k % 6 ? "" : " err=\"it \\\"broke\\\"\"");
    case 2:
        return arena_printf(a, "worker %u finished job %08x-%04x in %u.%02us", k % 4, h * 7919, h, k, h % 100);
    case 3:
        return arena_printf(a, "192.168.%u.%u - - [08/Jan/2022:12:%02u:%02u +0000] \"GET %s HTTP/1.1\" %u %u", k % 4, h % 256, k / 4, k, paths[k % 3], k % 8 ? 200 : 503, h);
    default:
        return k % 4 == 3 ? str_n("\0\xff\n{\"x\xc3", 7) : k % 4 == 2 ? STR("") : arena_printf(a, "\tat com.example.C%u.run(C.java:%u)\r", k % 2, h);
    }
}

static int64_t time_of(uint32_t stream, uint32_t k)
{
    return START + k / 2 * (7 * S + stream) + stream * 1000; /* two of each time */
}

static uint32_t meta_of(uint32_t stream, uint32_t k, struct label *out, struct arena *a)
{
    out[0] = (struct label){STR("detected_level"), stream == 0 && k % 9 == 0 ? STR("error") : stream == 4 ? STR("unknown") : STR("info")};
    if (stream != 2 || k % 10)
        return 1;
    out[1] = (struct label){STR("trace_id"), arena_printf(a, "%032x", k * 40503u)};
    return 2;
}

static void put_row(struct buf *out, uint32_t stream, int64_t t, struct str line, const struct label *meta, uint32_t nmeta)
{
    buf_printf(out, "%u %lld ", stream, (long long)t);
    buf_put_quoted(out, line);
    for (uint32_t i = 0; i < nmeta; i++)
        buf_printf(out, " %.*s=%.*s", STR_ARG(meta[i].name), STR_ARG(meta[i].value));
    buf_putc(out, '\n');
}

/* Rows first..end-1 of every stream. */
static void push(struct world *w, uint32_t first, uint32_t end)
{
    struct arena a = {0};
    struct log_in in[STREAMS];
    struct log_in_row *rows = arena_array(&a, struct log_in_row, STREAMS * ROWS);
    struct label *meta = arena_array(&a, struct label, STREAMS * ROWS * 2);
    struct log_batch b = {.streams = in, .nstreams = STREAMS, .rows = rows, .meta = meta, .any_age = true};
    uint32_t nmeta = 0;
    struct err e;

    for (uint32_t s = 0; s < STREAMS; s++) {
        struct label *l = arena_array(&a, struct label, 2);

        l[0] = (struct label){STR("app"), arena_printf(&a, "app-%u", s)};
        l[1] = (struct label){STR("zone"), s % 2 ? STR("east") : STR("west")};
        in[s] = (struct log_in){{l, 2}, b.nrows, end - first};
        for (uint32_t k = first; k < end; k++) {
            uint32_t n = meta_of(s, k, meta + nmeta, &a);

            rows[b.nrows++] = (struct log_in_row){time_of(s, k), line_of(s, k, &a), nmeta, n};
            nmeta += n;
        }
    }
    must(logstore_ingest_wait(w->ls, &b, &e), &e);
    assert_int_equal(b.verdicts[LOG_OK], b.nrows);
    must(store_flush(w->store, "logs", &e), &e);
    arena_release(&a);
}

/* --- reading it back ------------------------------------------------------------------------------------ */

static void expected(struct buf *out, uint32_t stream)
{
    struct arena a = {0};

    for (uint32_t k = 0; k < ROWS; k++) {
        struct label meta[2];
        uint32_t n = meta_of(stream, k, meta, &a);

        put_row(out, stream, time_of(stream, k), line_of(stream, k, &a), meta, n);
    }
    arena_release(&a);
}

/* Records of all streams, one stream behind the other: each in its order. */
static void all_records(struct world *w, struct buf by_stream[STREAMS])
{
    struct log_select_opts o = {.mint_ns = INT64_MIN + 1, .maxt_ns = INT64_MAX, .lines = true, .meta = true};
    struct log_select *s;
    struct log_cursor *c;
    struct log_rows rows;
    struct err e;
    int rc;

    must(logstore_select(w->ls, &o, &s, &e), &e);
    must(log_cursor_open(s, &c, &e), &e);
    while ((rc = log_cursor_next(c, &rows, &e)) == 0)
        for (uint32_t i = 0; i < rows.n; i++) {
            const struct labels *ls = log_select_labels(s, rows.v[i].stream);
            struct str app = labels_get(ls, STR("app")), zone = labels_get(ls, STR("zone"));
            uint32_t stream = (uint32_t)(app.p[4] - '0');

            assert_true(ls->n == 2 && app.n == 5 && stream < STREAMS && str_eqz(zone, stream % 2 ? "east" : "west"));
            put_row(&by_stream[stream], stream, rows.v[i].t_ns, rows.v[i].line, rows.v[i].meta, rows.v[i].nmeta);
        }
    must(rc, &e);
    log_cursor_free(c);
    log_select_free(s);
}

/* Rows that a select with one hint leaves and that hold: all there are. */
static void check_hint(struct world *w, const struct log_hint *hint, uint32_t want)
{
    struct log_select_opts o = {.mint_ns = INT64_MIN + 1, .maxt_ns = INT64_MAX, .lines = true, .meta = true, .hints = hint, .nhints = 1};
    struct log_select *s;
    struct log_cursor *c;
    struct log_rows rows;
    uint32_t n = 0;
    struct err e;

    must(logstore_select(w->ls, &o, &s, &e), &e);
    must(log_cursor_open(s, &c, &e), &e);
    while (log_cursor_next(c, &rows, &e) == 0)
        for (uint32_t i = 0; i < rows.n; i++)
            n += str_find(rows.v[i].line, hint->kind == LOG_HINT_FIELD ? STR("\"level\":\"error\"") : hint->values[0]) >= 0;
    log_cursor_free(c);
    log_select_free(s);
    assert_int_equal(n, want);
}

static void check_day(struct world *w)
{
    struct str needle = STR("503"), level = STR("error");
    struct log_hint line = {.kind = LOG_HINT_LINE, .values = &needle, .nvalues = 1};
    struct log_hint field = {.kind = LOG_HINT_FIELD, .parser = LOG_PARSER_JSON, .name = STR("level"), .values = &level, .nvalues = 1};
    struct buf got[STREAMS] = {{0}}, want = {0};
    struct log_minutes m;
    struct arena a = {0};
    uint64_t errors = 0, n = 0;
    uint32_t with_needle = 0;
    struct err e;

    all_records(w, got);
    for (uint32_t s = 0; s < STREAMS; s++) {
        buf_reset(&want);
        expected(&want, s);
        if (!str_eq(buf_str(&got[s]), buf_str(&want)))
            fail_msg("stream %u:\n%s\nexpected:\n%s", s, buf_z(&got[s]), buf_z(&want));
        buf_release(&got[s]);
        for (uint32_t k = 0; k < ROWS; k++)
            with_needle += str_find(line_of(s, k, &a), needle) >= 0;
    }
    must(logstore_minutes(w->ls, NULL, 0, START - 3600 * S, START + 3600 * S, &a, NULL, &m, &e), &e);
    for (size_t i = 0; i < m.n; i++) {
        n += m.v[i].rows;
        errors += str_eqz(m.v[i].level, "error") ? m.v[i].rows : 0;
    }
    assert_int_equal(n, STREAMS * ROWS);
    assert_int_equal(errors, 5);
    check_hint(w, &line, with_needle);
    check_hint(w, &field, 5);
    arena_release(&a);
    buf_release(&want);
}

/* --- keys and values as hex lines ------------------------------------------------------------------------ */

static void print_hex(FILE *f, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        fprintf(f, "%02x", (unsigned char)s.p[i]);
}

static void save(struct world *w, const char *path)
{
    static const char kinds[] = "LSMBFD"; /* all that a day has, day_file.h */
    FILE *f = fopen(path, "w");
    struct partition_list l;
    struct str key, value;
    struct txn *t;
    struct err e;

    assert_non_null(f);
    store_partitions(w->store, "logs", START / 1000000, START / 1000000, &l);
    assert_int_equal(l.n, 1);
    must(txn_read(l.v[0], &t, &e), &e);
    for (const char *kind = kinds; *kind; kind++) {
        struct txn_iter it = {0};

        while (txn_iter_next(t, &it, str_n(kind, 1), STR_NULL, &key, &value, &e) == 0) {
            print_hex(f, key);
            fputc(' ', f);
            print_hex(f, value);
            fputc('\n', f);
        }
        txn_iter_end(&it);
    }
    txn_end(t);
    partition_list_release(&l);
    fclose(f);
}

static size_t from_hex(const char *s, struct buf *out)
{
    size_t i = 0;
    unsigned byte;

    buf_reset(out);
    for (; s[i] > ' ' && sscanf(s + i, "%2x", &byte) == 1; i += 2)
        buf_putc(out, (char)byte);
    return i;
}

/* A data directory with that day and nothing else. */
static void lay_out(struct world *w, const char *golden)
{
    char path[128];
    struct partition_opts o = {.path = path, .signal = "logs", .day = DAY, .format = 1, .create = true};
    FILE *f = fopen(golden, "r");
    struct buf key = {0}, value = {0};
    struct partition *p;
    char *line = NULL;
    size_t room = 0;
    struct txn *t;
    struct err e;

    if (!f)
        fail_msg("%s is missing", golden);
    snprintf(path, sizeof path, "%s/logs", w->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/logs/2022-01-08.mdb", w->dir);
    must(partition_open(&o, &p, &e), &e);
    must(txn_write(p, &t, &e), &e);
    while (getline(&line, &room, f) > 0) {
        size_t n = from_hex(line, &key);
        struct str bytes;

        from_hex(line + n + 1, &value);
        bytes = buf_str(&value);
        must(txn_put(t, buf_str(&key), &bytes, 1, &e), &e);
    }
    must(txn_commit(t, 1, &e), &e);
    partition_unref(p);
    free(line);
    buf_release(&key);
    buf_release(&value);
    fclose(f);
}

/* --- tests -------------------------------------------------------------------------------------------------- */

static void say(void *arg, const char *line)
{
    (void)arg;
    if (!strstr(line, ": good") && !strstr(line, "no damage"))
        fprintf(stderr, "%s\n", line);
}

static void golden(struct world *w, bool sealed)
{
    struct err e;

    lay_out(w, golden_path(sealed));
    open_world(w, false);
    check_day(w);
    assert_int_equal(store_verify(w->store, say, NULL, &e), 0);
    close_world(w);
}

static void test_golden(void **state)
{
    golden(*state, false);
}

static void test_golden_sealed(void **state)
{
    golden(*state, true);
}

static void test_today(void **state)
{
    struct world *w = *state;
    bool write = getenv("GOLDEN_WRITE") != NULL;
    struct err e;

    open_world(w, true);
    push(w, 0, ROWS / 2);
    push(w, ROWS / 2, ROWS);
    check_day(w);
    if (write)
        save(w, golden_path(false));
    must(store_reseal(w->store, "logs", DAY, &e), &e);
    check_day(w);
    if (write)
        save(w, golden_path(true));
    assert_int_equal(store_verify(w->store, say, NULL, &e), 0);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_today, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_golden, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_golden_sealed, set_up, tear_down),
    };

    log_setup(LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
