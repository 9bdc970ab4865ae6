/* test_ingest.c - what is refused and in which words, metadata as it is stored, marks, repeats, back-pressure, tails. */
#include "logstore/db.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

struct world {
    char dir[64];
    struct store *store;
    struct logstore *ls;
    struct logstore_opts opts;
    int64_t now;
};

static void open_world(struct world *w)
{
    struct store_opts so;
    struct err e = {0};

    store_opts_default(&so);
    so.dir = w->dir;
    if (store_open(&so, &w->store, &e) < 0 || logstore_new(w->store, &w->opts, &w->ls, &e) < 0 || store_recover(w->store, &e) < 0 ||
        store_start(w->store, &e) < 0)
        fail_msg("%s", e.text);
}

static void close_world(struct world *w)
{
    store_close(w->store);
    logstore_free(w->ls);
}

static void reopen(struct world *w)
{
    close_world(w);
    open_world(w);
}

static int set_up(void **state)
{
    struct world *w = *state = x_zalloc(sizeof *w);

    strcpy(w->dir, "/tmp/test_log_ingest.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    logstore_opts_default(&w->opts);
    w->now = clock_wall_ns() / S * S;
    open_world(w);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char cmd[128];

    close_world(w);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w->dir);
    free(w);
    return system(cmd);
}

/* One stream {app="x"} of n rows. */
struct batch {
    struct label labels[40];
    struct log_in in;
    struct log_in_row rows[64];
    struct log_batch b;
};

static void begin(struct batch *x, uint32_t n)
{
    memset(x, 0, sizeof *x);
    x->labels[0] = (struct label){STR("app"), STR("x")};
    x->in = (struct log_in){{x->labels, 1}, 0, n};
    x->b = (struct log_batch){.streams = &x->in, .nstreams = 1, .rows = x->rows, .nrows = n};
}

static void push(struct world *w, struct batch *x)
{
    struct err e = {0};

    if (logstore_ingest_wait(w->ls, &x->b, &e) < 0)
        fail_msg("%s", e.text);
}

static void push_one(struct world *w, struct batch *x, int64_t t, const char *line)
{
    begin(x, 1);
    x->rows[0] = (struct log_in_row){.t_ns = t, .line = str_of(line)};
    push(w, x);
}

/* All lines with their metadata, oldest first, one a row: "line{name=value}". */
static char *read_all(struct world *w)
{
    struct log_select_opts o = {.mint_ns = INT64_MIN + 1, .maxt_ns = INT64_MAX, .lines = true, .meta = true};
    struct log_select *s;
    struct log_cursor *c;
    struct log_rows rows;
    struct buf b = {0};
    struct err e = {0};

    assert_int_equal(logstore_select(w->ls, &o, &s, &e), 0);
    assert_int_equal(log_cursor_open(s, &c, &e), 0);
    while (log_cursor_next(c, &rows, &e) == 0)
        for (uint32_t i = 0; i < rows.n; i++) {
            buf_puts(&b, rows.v[i].line);
            for (uint32_t k = 0; k < rows.v[i].nmeta; k++)
                buf_printf(&b, "{%.*s=%.*s}", STR_ARG(rows.v[i].meta[k].name), STR_ARG(rows.v[i].meta[k].value));
            buf_putc(&b, '\n');
        }
    log_cursor_free(c);
    log_select_free(s);
    buf_z(&b);
    return b.p;
}

static void expect(struct world *w, const char *want)
{
    struct err e = {0};

    for (int i = 0; i < 4; i++) { /* of the head, of the journal, of a block, of a sealed day */
        char *got = read_all(w);
        assert_string_equal(got, want);
        free(got);
        if (i == 0)
            reopen(w);
        else if (i == 1)
            assert_int_equal(store_flush(w->store, "logs", &e), 0);
        else if (i == 2 && store_reseal(w->store, "logs", day_of_ns(w->now), &e) < ERR_NOT_FOUND)
            fail_msg("%s", e.text);
    }
}

static void refused(const struct batch *x, enum log_verdict v, uint32_t n, const char *sentence)
{
    assert_int_equal(x->b.verdicts[v], n);
    assert_true(x->b.nbad > 0);
    assert_int_equal(x->b.bad_verdicts[0], v);
    assert_string_equal(x->b.bad[0].text, sentence);
}

static void test_times(void **state)
{
    struct world *w = *state;
    struct batch x;

    clock_fake(clock_mono_ns(), INT64_C(1763816400) * S); /* 2025-11-22T13:00:00Z */
    push_one(w, &x, INT64_C(1763816400) * S - INT64_C(7 * 86400) * S - 1, "old");
    clock_fake_release();
    refused(&x, LOG_TOO_OLD, 1,
            "entry for stream '{app=\"x\"}' has timestamp too old: 2025-11-15T12:59:59Z, oldest acceptable timestamp is: 2025-11-15T13:00:00Z");
    clock_fake(clock_mono_ns(), INT64_C(1763816400) * S);
    push_one(w, &x, INT64_C(1763816400) * S + 600 * S + 1, "new");
    clock_fake_release();
    refused(&x, LOG_TOO_NEW, 1, "entry for stream '{app=\"x\"}' has timestamp too new: 2025-11-22T13:10:00Z");
    begin(&x, 1);
    x.rows[0] = (struct log_in_row){.t_ns = w->now - INT64_C(12 * 86400) * S, .line = STR("imported")};
    x.b.any_age = true;
    push(w, &x);
    assert_int_equal(x.b.verdicts[LOG_OK], 1);
    x.rows[0].t_ns = w->now - INT64_C(16 * 86400) * S; /* beyond the retention */
    push(w, &x);
    assert_int_equal(x.b.verdicts[LOG_TOO_OLD], 1);
    expect(w, "imported\n");
}

static void test_labels(void **state)
{
    struct world *w = *state;
    char names[20][16], *longer = x_zalloc(3000);
    struct batch x;

    begin(&x, 2);
    x.in.labels.n = 0;
    x.rows[0].t_ns = x.rows[1].t_ns = w->now;
    push(w, &x);
    refused(&x, LOG_NO_LABELS, 2, "error at least one label pair is required per stream");
    begin(&x, 1);
    x.rows[0].t_ns = w->now;
    for (int i = 0; i < 16; i++) {
        snprintf(names[i], sizeof names[i], "l%02d", i);
        x.labels[i] = (struct label){str_of(names[i]), STR("v")};
    }
    x.in.labels.n = 16;
    push(w, &x);
    assert_int_equal(x.b.verdicts[LOG_BAD_LABELS], 1);
    assert_non_null(strstr(x.b.bad[0].text, "' has 16 label names; limit 15"));
    x.labels[15].name = STR("service_name"); /* is not counted. Out of order, which is the collector's affair */
    x.rows[0].line = STR("fifteen");
    push(w, &x);
    assert_int_equal(x.b.verdicts[LOG_OK], 1);
    begin(&x, 1);
    x.rows[0].t_ns = w->now;
    memset(longer, 'a', 2049);
    x.labels[0].value = str_of(longer);
    push(w, &x);
    assert_int_equal(x.b.verdicts[LOG_BAD_LABELS], 1);
    assert_non_null(strstr(x.b.bad[0].text, "' has label value too long: 'aaaa"));
    x.labels[0] = (struct label){str_n(longer, 1025), STR("v")};
    push(w, &x);
    assert_non_null(strstr(x.b.bad[0].text, "' has label name too long: 'aaaa"));
    free(longer);
}

static void test_lines(void **state)
{
    struct world *w = *state;
    struct batch x;
    char *line = x_zalloc(40);

    w->opts.line_bytes_max = 10;
    reopen(w);
    push_one(w, &x, w->now, "12345678901");
    refused(&x, LOG_LINE_TOO_LONG, 1, "max entry size '10' bytes exceeded for stream '{app=\"x\"}' while adding an entry with length '11' bytes");
    push_one(w, &x, w->now, "1234567890");
    w->opts.line_truncate = true;
    reopen(w);
    push_one(w, &x, w->now + 1, "abcdefghijk");
    begin(&x, 1);
    memcpy(line, "\0\xff\n{\"x\xc3", 7);
    x.rows[0] = (struct log_in_row){.t_ns = w->now + 2, .line = str_n(line, 7)};
    push(w, &x);
    assert_int_equal(x.b.verdicts[LOG_OK], 1);
    x.b.nstreams = 0; /* nothing at all */
    push(w, &x);
    free(line);
    char *got = read_all(w);
    assert_true(strncmp(got, "1234567890\nabcdefghij{log_truncated=true}\n", 42) == 0 && memcmp(got + 42, "\0\xff\n{\"x\xc3\n", 8) == 0);
    free(got);
}

static void test_metadata(void **state)
{
    struct world *w = *state;
    struct label meta[] = {{STR("z"), STR("1")}, {STR("a"), STR("2")}, {STR("z"), STR("again")}, {STR("none"), STR("")}, {STR("big"), STR("12345678901234567890")}};
    uint8_t by_row[3] = {0};
    struct batch x;

    w->opts.meta_max = 2;
    w->opts.meta_bytes_max = 10;
    reopen(w);
    begin(&x, 3);
    x.b.meta = meta;
    x.rows[0] = (struct log_in_row){w->now, STR("good"), 0, 3};
    x.rows[1] = (struct log_in_row){w->now, STR("large"), 4, 1};
    x.rows[2] = (struct log_in_row){w->now, STR("empty"), 3, 1};
    x.b.row_verdicts = by_row;
    push(w, &x);
    assert_memory_equal(by_row, ((uint8_t[]){LOG_OK, LOG_META_TOO_LARGE, LOG_OK}), 3);
    assert_int_equal(x.b.bad_rows[0], 1);
    assert_int_equal(x.b.verdicts[LOG_OK], 2);
    refused(&x, LOG_META_TOO_LARGE, 1,
            "stream '{app=\"x\"}' has structured metadata too large: '23' bytes, limit: '10' bytes. Please see "
            "`limits_config.max_structured_metadata_size` or contact your Loki administrator to increase it.");
    x.b.nrows = x.in.n = 1;
    x.rows[0] = (struct log_in_row){w->now, STR("many"), 0, 4};
    push(w, &x);
    refused(&x, LOG_META_TOO_MANY, 1,
            "stream '{app=\"x\"}' has too many structured metadata labels: '3', limit: '2'. Please see "
            "`limits_config.max_structured_metadata_entries_count` or contact your Loki administrator to increase it.");
    expect(w, "good{a=2}{z=1}\nempty{none=}\n");
}

static void test_streams_limit(void **state)
{
    struct world *w = *state;
    struct log_in in[3];
    struct label labels[3] = {{STR("app"), STR("a")}, {STR("app"), STR("b")}, {STR("app"), STR("c")}};
    uint8_t by_row[3] = {0};
    struct batch x;

    w->opts.streams_max = 2;
    reopen(w);
    begin(&x, 3);
    for (uint32_t i = 0; i < 3; i++) {
        in[i] = (struct log_in){{&labels[i], 1}, i, 1};
        x.rows[i] = (struct log_in_row){.t_ns = w->now + i, .line = labels[i].value};
    }
    x.b.streams = in;
    x.b.nstreams = 3;
    x.b.row_verdicts = by_row;
    push(w, &x);
    assert_memory_equal(by_row, ((uint8_t[]){LOG_OK, LOG_OK, LOG_STREAM_LIMIT}), 3);
    assert_int_equal(x.b.bad_rows[0], 2);
    assert_int_equal(x.b.verdicts[LOG_OK], 2);
    refused(&x, LOG_STREAM_LIMIT, 1,
            "maximum active stream limit exceeded when trying to create stream {app=\"c\"}, reduce the number of active streams (reduce labels or "
            "reduce label values), or contact your Loki administrator to see if the limit can be increased, user: 'fake'");
    expect(w, "a\nb\n");
}

static void test_repeats(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    struct batch x;

    for (int round = 0; round < 5; round++) {
        begin(&x, 3);
        x.rows[0] = (struct log_in_row){.t_ns = w->now, .line = STR("same time, first")};
        x.rows[1] = (struct log_in_row){.t_ns = w->now, .line = STR("and second")};
        x.rows[2] = (struct log_in_row){.t_ns = w->now, .line = STR("same time, first")};
        push(w, &x);
        if (round == 0)
            assert_int_equal(x.b.verdicts[LOG_SAME], 1);
        if (round == 1)
            assert_int_equal(x.b.verdicts[LOG_SAME], 3);
        char *got = read_all(w);
        assert_string_equal(got, "same time, first\nand second\n");
        free(got);
        if (round == 1)
            assert_int_equal(store_flush(w->store, "logs", &e), 0);
        if (round == 2)
            reopen(w);
        if (round == 3)
            assert_int_equal(store_reseal(w->store, "logs", day_of_ns(w->now), &e), 0);
    }
    expect(w, "same time, first\nand second\n");
}

/* What is sent again after its flush is told to be the same, and no tail sees it twice; what is new at those times is not. */
static void test_repeats_flushed(void **state)
{
    struct world *w = *state;
    struct log_tailed out[10];
    struct log_tail *t;
    struct arena a = {0};
    struct err e = {0};
    uint64_t dropped;
    struct batch x;

    assert_int_equal(logstore_tail_open(w->ls, NULL, 0, 1 << 16, NULL, NULL, &t, &e), 0);
    for (int round = 0; round < 3; round++) {
        begin(&x, 3);
        for (int i = 0; i < 3; i++)
            x.rows[i] = (struct log_in_row){.t_ns = w->now + i, .line = i == 2 && round == 2 ? STR("new") : STR("line")};
        push(w, &x);
        assert_int_equal(x.b.verdicts[LOG_SAME], round == 0 ? 0 : round == 1 ? 3 : 2);
        assert_int_equal(log_tail_take(t, &a, out, 10, &dropped), round == 0 ? 3 : round == 1 ? 0 : 1);
        assert_int_equal(store_flush(w->store, "logs", &e), 0);
    }
    log_tail_close(t);
    arena_release(&a);
    expect(w, "line\nline\nline\nnew\n");
}

/* More than a journal entry may hold is refused as a whole, and the sentence names the limit. */
static void test_too_much(void **state)
{
    enum { ROWS = (4 << 20) + 1, SETS = 3400, VALUE = 60000 };
    struct world *w = *state;
    struct log_in_row *rows = x_zalloc(ROWS * sizeof *rows);
    struct label *meta = x_zalloc(2 * SETS * sizeof *meta);
    char *value = memset(x_alloc(VALUE), 'v', VALUE), *names = x_alloc(SETS * 8);
    struct err e = {0};
    struct batch x;

    begin(&x, ROWS);
    x.b.rows = rows;
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = (struct log_in_row){.t_ns = w->now + i, .line = STR("x")};
    assert_int_equal(logstore_ingest_wait(w->ls, &x.b, &e), ERR_INVALID);
    assert_string_equal(e.text, "4194305 records at once, at most 4194304");
    begin(&x, SETS);
    x.b.rows = rows;
    x.b.meta = meta;
    for (uint32_t i = 0; i < SETS; i++) {
        snprintf(names + i * 8, 8, "%u", i);
        meta[2 * i] = (struct label){STR("a"), str_n(value, VALUE)};
        meta[2 * i + 1] = (struct label){STR("b"), str_of(names + i * 8)};
        rows[i] = (struct log_in_row){.t_ns = w->now + i, .line = STR("x"), .meta_first = 2 * i, .meta_n = 2};
    }
    assert_int_equal(logstore_ingest_wait(w->ls, &x.b, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "bytes of structured metadata at once, at most 201326592"));
    x.in.n = x.b.nrows = 3; /* the same, in parts */
    assert_int_equal(logstore_ingest_wait(w->ls, &x.b, &e), 0);
    assert_int_equal(x.b.verdicts[LOG_OK], 3);
    free(rows);
    free(meta);
    free(value);
    free(names);
}

static void collect_mark(void *arg, struct str key, struct str value)
{
    buf_printf(arg, "%.*s=%.*s ", STR_ARG(key), STR_ARG(value));
}

static void expect_marks(struct world *w, struct str prefix, const char *want)
{
    struct buf b = {0};

    logstore_marks(w->ls, prefix, collect_mark, &b);
    assert_string_equal(buf_z(&b), want);
    buf_release(&b);
}

static void test_marks(void **state)
{
    struct world *w = *state;
    struct log_mark one = {STR("file/a"), STR("10")}, none = {STR("file/a"), STR("")}, other = {STR("b"), STR("x")}, bad = {STR(""), STR("x")};
    struct err e = {0};
    struct batch x;
    bool later;

    begin(&x, 0);
    x.b.nstreams = 0;
    x.b.nmarks = 1;
    x.b.marks = &one;
    push(w, &x);
    x.b.marks = &other;
    push(w, &x);
    expect_marks(w, STR("file/"), "file/a=10 ");
    reopen(w);
    expect_marks(w, STR("file/"), "file/a=10 ");
    assert_int_equal(store_flush(w->store, "logs", &e), 0);
    reopen(w);
    expect_marks(w, STR("file/"), "file/a=10 ");
    x.b.marks = &none;
    push(w, &x);
    expect_marks(w, STR("file/"), "");
    reopen(w);
    expect_marks(w, STR(""), "b=x ");
    x.b.marks = &bad;
    assert_int_equal(logstore_ingest(w->ls, &x.b, NULL, &later, &e), ERR_INVALID);
    /* Rows that are there already do not hold the mark back. */
    for (int i = 0; i < 2; i++) {
        begin(&x, 1);
        x.rows[0] = (struct log_in_row){.t_ns = w->now, .line = STR("row")};
        x.b.marks = i ? &other : &one;
        other.value = STR("moved");
        x.b.nmarks = 1;
        push(w, &x);
    }
    reopen(w);
    expect_marks(w, STR("b"), "b=moved ");
    expect(w, "row\n");
}

static void test_pressure(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    struct batch x;
    bool later;

    w->opts.head_bytes_max = 1;
    reopen(w);
    push_one(w, &x, w->now, "first"); /* nothing was there yet */
    assert_int_equal(logstore_ingest(w->ls, &x.b, NULL, &later, &e), ERR_BUSY);
    for (int i = 0; i < 500; i++) { /* the flush that was asked for frees it */
        struct logstore_stats st;
        logstore_stats(w->ls, &st);
        if (st.head_bytes == 0)
            break;
        usleep(10000);
    }
    push_one(w, &x, w->now + 1, "second");
    w->opts.head_bytes_max = 0;
    expect(w, "first\nsecond\n");
}

static void count_wake(void *arg)
{
    ++*(int *)arg;
}

static void test_tail(void **state)
{
    struct world *w = *state;
    struct log_tailed out[10];
    struct label meta = {STR("detected_level"), STR("info")};
    struct matcher m;
    struct log_tail *t;
    struct arena a = {0};
    struct err e = {0};
    uint64_t dropped;
    struct batch x;
    int woken = 0;

    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("app"), STR("x"), &e), 0);
    assert_int_equal(logstore_tail_open(w->ls, &m, 1, 500, count_wake, &woken, &t, &e), 0);
    begin(&x, 2);
    x.b.meta = &meta;
    x.rows[0] = (struct log_in_row){w->now + 1, STR("two"), 0, 1};
    x.rows[1] = (struct log_in_row){w->now, STR("one"), 0, 0};
    push(w, &x);
    push(w, &x); /* the same again is nothing new */
    assert_int_equal(woken, 1);
    assert_int_equal(log_tail_take(t, &a, out, 10, &dropped), 2);
    assert_true(str_eqz(out[0].line, "one") && str_eqz(out[1].line, "two") && out[1].nmeta == 1 && str_eqz(out[1].meta[0].value, "info"));
    assert_true(str_eqz(labels_get(&out[0].labels, STR("app")), "x"));
    for (int i = 0; i < 30; i++)
        push_one(w, &x, w->now + 10 + i, "a line that is long enough to fill the queue sooner or later");
    assert_int_equal(woken, 2);
    assert_int_equal(log_tail_take(t, &a, out, 10, &dropped), 500 / 96);
    assert_int_equal(dropped, 30 - 500 / 96);
    assert_int_equal(log_tail_take(t, &a, out, 10, &dropped), 0);
    assert_int_equal(dropped, 0);
    push_one(w, &x, w->now + 100, "closing with something left");
    log_tail_close(t);
    push_one(w, &x, w->now + 101, "nobody follows");
    matcher_release(&m);
    arena_release(&a);
}

/* Only the newest blocks are touched for the newest rows. */
static void test_newest(void **state)
{
    struct world *w = *state;
    struct log_select_opts o = {.mint_ns = INT64_MIN + 1, .maxt_ns = INT64_MAX, .backward = true, .lines = true};
    struct log_select_stats st;
    struct log_select *s;
    struct log_cursor *c;
    struct log_rows rows;
    struct err e = {0};
    struct batch x;
    uint32_t n = 0;

    for (int i = 0; i < 20; i++) {
        begin(&x, 64);
        for (int k = 0; k < 64; k++)
            x.rows[k] = (struct log_in_row){.t_ns = w->now - 3000 * S + (i * 64 + k) * S, .line = STR("line")};
        push(w, &x);
        assert_int_equal(store_flush(w->store, "logs", &e), 0);
    }
    assert_int_equal(logstore_select(w->ls, &o, &s, &e), 0);
    assert_int_equal(log_cursor_open(s, &c, &e), 0);
    while (log_cursor_next(c, &rows, &e) == 0) {
        n += rows.n;
        if (n >= 100)
            log_select_bound(s, log_cursor_horizon(c) + 1);
    }
    assert_int_equal(n, 128);
    log_select_stats(s, &st);
    assert_int_equal(st.blocks_read, 2);
    log_cursor_free(c);
    log_select_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_times, set_up, tear_down),         cmocka_unit_test_setup_teardown(test_labels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),         cmocka_unit_test_setup_teardown(test_metadata, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_streams_limit, set_up, tear_down), cmocka_unit_test_setup_teardown(test_repeats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_repeats_flushed, set_up, tear_down), cmocka_unit_test_setup_teardown(test_too_much, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_marks, set_up, tear_down),         cmocka_unit_test_setup_teardown(test_pressure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tail, set_up, tear_down),          cmocka_unit_test_setup_teardown(test_newest, set_up, tear_down),
    };

    log_setup(LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
