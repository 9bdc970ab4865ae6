/* test_flush.c - a day whose file is not the one that was flushed to before: dropped and made again, or sealed; and
 * deletions that repeat each other. */
#include "tsdb/flush.c"

#include "store/upkeep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/tsdb/house.h"

enum { SERIES = 20 };

struct world {
    char dir[64];
    struct store *store;
    struct tsdb *db;
    int64_t old, now; /* older than the retention; today */
};

static int setup(void **state)
{
    struct world *w = x_zalloc(sizeof *w);
    struct store_opts so;
    struct tsdb_opts to;

    temp_dir(w->dir, "test_flush");
    store_opts_default(&so);
    tsdb_opts_default(&to);
    to.downsample = false; /* files are counted */
    so.dir = w->dir;
    so.retention_ms = 3 * DAY_MS;
    so.out_of_order_ms = 20 * DAY_MS;
    so.seal_grace_ms = 0;
    so.upkeep_interval_ms = DAY_MS; /* rounds are made by hand */
    house_open(&so, &to, &w->store, &w->db);
    w->now = clock_wall_ms() - 60000;
    w->old = day_start_ms(day_of_ms(w->now) - 8) + 1000;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    house_close(w->store, w->db);
    temp_remove(w->dir);
    free(w);
    return 0;
}

/* A sample for series [from, SERIES), the last one first: sids of a live day are in the order of arrival, those of a sealed one sorted. */
static void put(struct world *w, int from, int64_t t)
{
    for (int k = SERIES; k-- > from;) {
        char id[16];
        int n = snprintf(id, sizeof id, "%02d", k);
        struct tsdb_in in = {.key = hash128(id, (size_t)n), .raw = str_n(id, (size_t)n), .n = 1};
        double v = k;
        struct tsdb_batch b = {.series = &in, .nseries = 1, .t = &t, .v = &v, .labels = house_labels};
        struct err e = {0};

        assert_int_equal(tsdb_ingest_wait(w->db, &b, &e), 0);
    }
}

static void flush_now(struct world *w)
{
    struct err e = {0};

    if (store_flush(w->store, NULL, &e) < 0)
        fail_msg("%s", e.text);
}

/* Every series has n samples in [mint, maxt], each with its own value. */
static void expect(struct world *w, int64_t mint, int64_t maxt, uint32_t n)
{
    struct matcher m;
    struct tsdb_select_opts o = {.matchers = &m, .nmatchers = 1, .mint = mint, .maxt = maxt};
    struct tsdb_select *s;
    struct tsdb_cursor *c;
    struct tsdb_samples got;
    uint32_t series = 0, wrong = 0;
    struct err e = {0};

    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("__name__"), STR("m"), &e), 0);
    assert_int_equal(tsdb_select_open(w->db, &o, &s, &e), 0);
    assert_int_equal(tsdb_select_parts(s), 1);
    assert_int_equal(tsdb_cursor_open(s, 0, &c, &e), 0);
    while (tsdb_cursor_next(c, &got, &e) == 0) {
        struct str id;
        uint64_t k;

        wrong += tsdb_cursor_label(c, STR("id"), &id, &e) < 0 || !str_to_u64(id, &k) || got.n != n;
        for (uint32_t i = 0; i < got.n && !wrong; i++)
            wrong += got.v[i] != (double)k;
        series++;
    }
    tsdb_cursor_close(c);
    tsdb_select_close(s);
    matcher_release(&m);
    assert_int_equal(wrong, 0);
    assert_int_equal(series, n ? SERIES : 0);
}

static void test_dropped_and_made_again(void **state)
{
    struct world *w = *state;

    for (int k = 0; k < 4; k++) {
        int64_t t = w->old + 10 * k;

        put(w, 0, t);
        flush_now(w);
        expect(w, t, t, 1);
        put(w, SERIES / 2, t + 1); /* in the head over the drop */
        upkeep_round(w->store, clock_wall_ms());
        flush_now(w);
        upkeep_round(w->store, clock_wall_ms());
        expect(w, t, t + 1, 0);
    }
}

static void test_sealed_between(void **state)
{
    struct world *w = *state;
    int64_t t = day_start_ms(day_of_ms(w->now) - 1) + 1000;
    struct store_stats st;

    for (uint32_t k = 0; k < 6; k++) {
        put(w, 0, t + k);
        flush_now(w);
        upkeep_round(w->store, clock_wall_ms());
        store_stats(w->store, &st);
        assert_int_equal(st.sealed, 1);
        expect(w, t, t + k, k + 1);
    }
}

static int count_one(void *arg, struct str key, struct str value)
{
    (void)key;
    (void)value;
    ++*(int *)arg;
    return 0;
}

static int deletions_kept(struct world *w)
{
    struct err e = {0};
    int n = 0;

    assert_int_equal(state_each(store_state(w->store), STR("tsdb/tombstone/"), count_one, &n, &e), 0);
    return n;
}

static void test_deleting_again_is_one_deletion(void **state)
{
    struct world *w = *state;
    struct matcher m[2];
    struct err e = {0};

    put(w, 0, w->now);
    assert_int_equal(matcher_init(&m[0], MATCH_EQ, STR("id"), STR("03"), &e), 0);
    assert_int_equal(matcher_init(&m[1], MATCH_EQ, STR("id"), STR("04"), &e), 0);
    for (int k = 0; k < 5; k++)
        assert_int_equal(tsdb_delete(w->db, &m[0], 1, w->now - 100, w->now - 50 + k, &e), 0);
    assert_int_equal(deletions_kept(w), 1);
    assert_int_equal(tsdb_delete(w->db, &m[0], 1, w->now - 80, w->now - 60, &e), 0); /* says nothing new */
    assert_int_equal(deletions_kept(w), 1);
    assert_int_equal(tsdb_delete(w->db, &m[1], 1, w->now - 80, w->now - 60, &e), 0);
    assert_int_equal(tsdb_delete(w->db, &m[0], 1, w->now - 200, w->now - 60, &e), 0); /* overlaps: both stay */
    assert_int_equal(deletions_kept(w), 3);
    matcher_release(&m[0]);
    matcher_release(&m[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dropped_and_made_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sealed_between, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleting_again_is_one_deletion, setup, teardown),
    };

    log_setup(LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
