/* test_day.c - what is damaged in a day costs a warning and its own rows; directories that lie are refused; counts are made anew. */
#include "logstore/day_file.h"
#include "logstore/dump.h"
#include "logstore/logstore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/logstore/house.h"

#define S INT64_C(1000000000)

struct world {
    char dir[TEMP_DIR_MAX];
    struct store *store;
    struct logstore *ls;
    int64_t now;
};

static void open_world(struct world *w)
{
    struct store_opts so;

    store_opts_default(&so);
    so.dir = w->dir;
    so.upkeep_interval_ms = 3600 * 1000;
    house_open(&so, NULL, NULL, &w->store, &w->ls);
}

static void close_world(struct world *w)
{
    house_close(w->store, w->ls);
}

/* Two slices of 100 rows each, in the minutes before noon of yesterday. */
static int set_up(void **state)
{
    struct world *w = *state = x_zalloc(sizeof *w);
    struct label label = {STR("app"), STR("x")}, level = {STR("detected_level"), STR("info")};
    struct log_in in = {{&label, 1}, 0, 100};
    struct log_in_row rows[100];
    struct log_batch b = {.streams = &in, .nstreams = 1, .rows = rows, .nrows = 100, .meta = &level};
    struct err e = {0};

    temp_dir(w->dir, "test_log_day");
    w->now = (clock_wall_ns() / (86400 * S) - 1) * 86400 * S + 43200 * S;
    open_world(w);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 100; k++)
            rows[k] = (struct log_in_row){w->now + (i * 100 + k) * S, i ? STR("of the second slice") : STR("of the first slice"), 0, (uint32_t)k % 2};
        assert_int_equal(logstore_ingest_wait(w->ls, &b, &e), 0);
        assert_int_equal(store_flush(w->store, "logs", &e), 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    close_world(w);
    temp_remove(w->dir);
    free(w);
    return 0;
}

static struct partition *day(struct world *w)
{
    struct partition_list l;
    struct partition *p;

    store_partitions(w->store, "logs", w->now / 1000000, w->now / 1000000, &l);
    assert_int_equal(l.n, 1);
    p = partition_ref(l.v[0]);
    partition_list_release(&l);
    return p;
}

static void put(struct world *w, struct str key, struct str value)
{
    struct partition *p = day(w);
    struct err e = {0};
    struct txn *t;

    assert_int_equal(txn_write(p, &t, &e), 0);
    assert_int_equal(txn_put(t, key, &value, 1, &e), 0);
    assert_int_equal(txn_commit(t, 0, &e), 0);
    partition_unref(p);
    close_world(w); /* nothing of it is remembered */
    open_world(w);
}

static uint32_t count(struct world *w, uint32_t *warnings)
{
    struct log_select_opts o = {.mint_ns = INT64_MIN + 1, .maxt_ns = INT64_MAX, .lines = true};
    struct log_select *s;
    struct log_cursor *c;
    struct log_rows rows;
    struct arena a = {0};
    struct err e = {0};
    struct str *text;
    uint32_t n = 0;
    int rc;

    assert_int_equal(logstore_select(w->ls, &o, &s, &e), 0);
    assert_int_equal(log_cursor_open(s, &c, &e), 0);
    while ((rc = log_cursor_next(c, &rows, &e)) == 0)
        n += rows.n;
    assert_true(rc > 0);
    *warnings = log_select_warnings(s, &a, &text);
    arena_release(&a);
    log_cursor_free(c);
    log_select_free(s);
    return n;
}

static uint64_t minutes(struct world *w)
{
    struct log_minutes m;
    struct arena a = {0};
    struct err e = {0};
    uint64_t n = 0;

    assert_int_equal(logstore_minutes(w->ls, NULL, 0, w->now - 3600 * S, w->now + 3600 * S, &a, NULL, &m, &e), 0);
    for (size_t i = 0; i < m.n; i++)
        n += m.v[i].rows;
    arena_release(&a);
    return n;
}

static uint32_t findings;

static void finding(void *arg, const char *line)
{
    (void)arg;
    (void)line;
    findings++;
}

static int verify(struct world *w)
{
    struct partition *p = day(w);
    struct err e = {0};
    int rc = log_day_verify(p, finding, NULL, &e);

    partition_unref(p);
    return rc;
}

static void test_whole(void **state)
{
    uint32_t warnings;

    assert_int_equal(count(*state, &warnings), 200);
    assert_int_equal(warnings, 0);
    assert_int_equal(minutes(*state), 200);
    assert_int_equal(verify(*state), 0);
}

static void test_block(void **state)
{
    char key[DAY_KEY_MAX];
    uint32_t warnings;

    put(*state, day_key2(key, 'B', 1, 0), STR("no block at all"));
    assert_int_equal(count(*state, &warnings), 100);
    assert_int_equal(warnings, 1);
    assert_int_equal(minutes(*state), 200);
    assert_int_equal(verify(*state), ERR_CORRUPT);
}

static void test_slice(void **state)
{
    char key[DAY_KEY_MAX];
    uint32_t warnings;

    put(*state, day_key1(key, 'S', 0), STR("\x00\x02\x02\xff\xff"));
    assert_int_equal(count(*state, &warnings), 100);
    assert_int_equal(warnings, 1);
    assert_int_equal(verify(*state), ERR_CORRUPT);
}

static void test_counts(void **state)
{
    char key[DAY_KEY_MAX];
    uint32_t warnings;

    put(*state, day_key1(key, 'M', 0), STR("\x00\x03\x03\x05\x01\x01"));
    assert_int_equal(minutes(*state), 200); /* from the rows */
    assert_int_equal(count(*state, &warnings), 200);
    assert_int_equal(warnings, 0);
    assert_int_equal(verify(*state), ERR_CORRUPT);
}

static void test_streams(void **state)
{
    char key[DAY_KEY_MAX];
    uint32_t warnings;

    put(*state, day_key1(key, 'L', 0), STR("\x00\x01\x01\x09"));
    assert_int_equal(count(*state, &warnings), 0);
    assert_int_equal(warnings, 1);
    assert_int_equal(verify(*state), ERR_CORRUPT);
}

static void collect(void *arg, const char *line)
{
    buf_putz(arg, line);
    buf_putc(arg, '\n');
}

/* Beside the store that is open: by another that changes nothing. */
static void test_dump(void **state)
{
    struct world *w = *state, other = {0};
    struct logstore_opts lo;
    struct store_opts so;
    struct buf out = {0};
    struct err e = {0};

    store_opts_default(&so);
    so.dir = w->dir;
    so.read_only = true;
    logstore_opts_default(&lo);
    assert_int_equal(store_open(&so, &other.store, &e), 0);
    assert_int_equal(logstore_new(other.store, &lo, &other.ls, &e), 0);
    assert_int_equal(store_recover(other.store, &e), 0);
    if (logstore_dump(other.ls, day_of_ms(w->now / 1000000), true, collect, &out, &e) < 0)
        fail_msg("%s", e.text);
    assert_non_null(strstr(buf_z(&out), "stream 0: {app=\"x\"}\nslice 0: 100 rows of 1 streams, "));
    assert_non_null(strstr(out.p, "\nslice 1: 100 rows of 1 streams, "));
    assert_non_null(strstr(out.p, "\n  block 0: 100 rows of 1 streams, "));
    assert_int_equal(logstore_dump(other.ls, 1, true, collect, &out, &e), ERR_NOT_FOUND);
    buf_release(&out);
    close_world(&other);
}

/* Whatever stands in a directory, parsing it ends well. */
static void test_any_bytes(void **state)
{
    struct log_slice s = {.id = 1, .nrows = 100, .nblocks = 2, .nstreams = 3, .mint_ns = 5, .maxt_ns = 500};
    uint64_t rng = 5;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct log_slice_dir *d = NULL;
        struct day_dir *dir = NULL;
        struct err e = {0};
        char *bytes;
        size_t n;
        rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
        n = rng >> 58;
        bytes = x_alloc(n + 1);
        for (size_t k = 0; k < n; k++) {
            rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
            bytes[k] = (char)((rng >> 40) % (rng >> 63 ? 8 : 256));
        }
        if (n)
            bytes[0] = i % 2 ? DAY_VERSION : bytes[0];
        if (day_slice_dir_parse(str_n(bytes, n), &s, &d, &e) == 0)
            day_slice_dir_free(d);
        if (day_dir_parse(str_n(bytes, n), NULL, &dir, &e) == 0)
            day_dir_unref(dir);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, set_up, tear_down),  cmocka_unit_test_setup_teardown(test_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slice, set_up, tear_down),  cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_streams, set_up, tear_down), cmocka_unit_test(test_any_bytes),
        cmocka_unit_test_setup_teardown(test_dump, set_up, tear_down),
    };

    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
