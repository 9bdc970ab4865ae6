/*
 * test_hints.c - hints about labels, where a stream or the metadata of some rows has a label of that name, too: no row is left out
 * that may matter, and nearly nothing else is read.
 */
#include "logstore/logstore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/logstore/house.h"

enum { ROWS = 200 };
#define S INT64_C(1000000000)

struct world {
    char dir[TEMP_DIR_MAX];
    struct store *store;
    struct logstore *ls;
    int64_t now;
};

/*
 * Three streams in one block: "plain" has JSON lines whose level is error in every tenth, "named" the same and a label level=warn,
 * "meta" the same, and metadata level=debug in every fourth row and level=fatal in row 77.
 */
static void fill(struct world *w)
{
    struct label plain = {STR("app"), STR("plain")}, of_meta = {STR("app"), STR("meta")};
    struct label named[] = {{STR("app"), STR("named")}, {STR("level"), STR("warn")}};
    struct label meta[] = {{STR("level"), STR("debug")}, {STR("level"), STR("fatal")}};
    struct log_in in[] = {{{&plain, 1}, 0, ROWS}, {{named, 2}, ROWS, ROWS}, {{&of_meta, 1}, 2 * ROWS, ROWS}};
    struct arena a = {0};
    struct log_in_row *rows = arena_array(&a, struct log_in_row, 3 * ROWS);
    struct log_batch b = {.streams = in, .nstreams = 3, .rows = rows, .nrows = 3 * ROWS, .meta = meta};
    struct err e = {0};

    for (uint32_t s = 0; s < 3; s++)
        for (uint32_t k = 0; k < ROWS; k++)
            rows[s * ROWS + k] = (struct log_in_row){.t_ns = w->now + k * S, .line = arena_printf(&a, "{\"level\":\"%s\",\"n\":%u}", k % 10 ? "info" : "error", (s * ROWS + k) * 2654435761u),
                                                     .meta_first = k == 77, .meta_n = s == 2 && (k % 4 == 0 || k == 77)};
    assert_int_equal(logstore_ingest_wait(w->ls, &b, &e), 0);
    assert_int_equal(store_flush(w->store, "logs", &e), 0);
    arena_release(&a);
}

static int set_up(void **state)
{
    struct world *w = *state = x_zalloc(sizeof *w);
    struct store_opts so;

    temp_dir(w->dir, "test_log_hints");
    w->now = (clock_wall_ns() / (86400 * S) - 1) * 86400 * S + 43200 * S;
    store_opts_default(&so);
    so.dir = w->dir;
    so.upkeep_interval_ms = 3600 * 1000;
    house_open(&so, NULL, NULL, &w->store, &w->ls);
    fill(w);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    house_close(w->store, w->ls);
    temp_remove(w->dir);
    free(w);
    return 0;
}

/* Rows that a select with the hint gives out, by stream; *skipped: blocks whose filter was enough. */
static void count(struct world *w, enum log_hint_kind kind, const char *value, uint32_t out[3], uint64_t *skipped)
{
    struct str v = str_of(value);
    struct log_hint hint = {.kind = kind, .parser = kind == LOG_HINT_FIELD ? LOG_PARSER_JSON : LOG_PARSER_NONE, .name = STR("level"), .values = &v, .nvalues = 1};
    struct log_select_opts o = {.mint_ns = INT64_MIN + 1, .maxt_ns = INT64_MAX, .lines = true, .meta = true, .hints = &hint, .nhints = 1};
    struct log_select_stats stats;
    struct log_select *s;
    struct log_cursor *c;
    struct log_rows rows;
    struct err e = {0};

    memset(out, 0, 3 * sizeof *out);
    assert_int_equal(logstore_select(w->ls, &o, &s, &e), 0);
    assert_int_equal(log_cursor_open(s, &c, &e), 0);
    while (log_cursor_next(c, &rows, &e) == 0)
        for (uint32_t i = 0; i < rows.n; i++) {
            struct str app = labels_get(log_select_labels(s, rows.v[i].stream), STR("app"));

            out[str_eqz(app, "plain") ? 0 : str_eqz(app, "named") ? 1 : 2]++;
        }
    log_select_stats(s, &stats);
    *skipped = stats.blocks_skipped;
    log_cursor_free(c);
    log_select_free(s);
}

static void expect(struct world *w, enum log_hint_kind kind, const char *value, uint32_t plain, uint32_t named, uint32_t meta, bool skipped)
{
    uint32_t n[3];
    uint64_t blocks;

    count(w, kind, value, n, &blocks);
    if (n[0] != plain || n[1] != named || n[2] != meta || (blocks > 0) != skipped)
        fail_msg("%s: %u, %u, %u rows and %llu blocks skipped, expected %u, %u, %u%s", value, n[0], n[1], n[2], (unsigned long long)blocks, plain, named,
                 meta, skipped ? " and one" : "");
}

static void test_fields(void **state)
{
    expect(*state, LOG_HINT_FIELD, "error", ROWS / 10, ROWS / 10, ROWS / 10, false); /* by the line alone */
    expect(*state, LOG_HINT_FIELD, "warn", 0, ROWS, 0, false);                       /* by the stream */
    expect(*state, LOG_HINT_FIELD, "debug", 0, 0, ROWS / 4, false);                  /* by the metadata */
    expect(*state, LOG_HINT_FIELD, "fatal", 0, 0, 1, false);
    expect(*state, LOG_HINT_FIELD, "nowhere", 0, 0, 0, true);
}

static void test_metadata(void **state)
{
    expect(*state, LOG_HINT_META, "warn", 0, ROWS, 0, false);
    expect(*state, LOG_HINT_META, "debug", 0, 0, ROWS / 4, false);
    expect(*state, LOG_HINT_META, "nowhere", 0, 0, 0, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fields), cmocka_unit_test(test_metadata)};

    log_setup(LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
