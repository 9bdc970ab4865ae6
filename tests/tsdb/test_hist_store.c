/*
 * test_hist_store.c - histogram series through the whole life of a day: ingest, flush, merge, seal, replay; killed at every
 * crash point on the way. What was acknowledged is there, once, and equal. TRIPOD_LONG=1 dies at every point,
 * else at one of a few.
 */
#include "store/store.h"
#include "store/upkeep.h"
#include "tests/tsdb/random_hist.h"
#include "tsdb/tsdb.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/tsdb/house.h"

enum { SERIES = 8, ROUNDS = 8, PER_ROUND = 6, SAMPLES = ROUNDS * PER_ROUND };

struct world {
    char dir[64];
    struct store *store;
    struct tsdb *db;
    int64_t base; /* in a day that is over */
    /* Every third sample of the last series is a float. */
    const struct histogram *h[SERIES][SAMPLES];
    struct arena arena;
    struct { /* shared with the child */
        _Atomic uint32_t acked; /* rounds */
    } *shared;
};

static uint64_t rng;

static uint64_t draw(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

static void open_world(struct world *w)
{
    struct store_opts so;
    struct tsdb_opts to;

    store_opts_default(&so);
    tsdb_opts_default(&to);
    so.dir = w->dir;
    so.out_of_order_ms = 20 * DAY_MS;
    so.seal_grace_ms = 0;
    so.upkeep_interval_ms = DAY_MS; /* rounds are made by hand */
    house_open(&so, &to, &w->store, &w->db);
}

static void close_world(struct world *w)
{
    house_close(w->store, w->db);
}

static int setup(void **state)
{
    struct world *w = x_zalloc(sizeof *w);

    rng = 88172645463325252u;
    temp_dir(w->dir, "test_hist_store");
    w->base = day_start_ms(day_of_ms(clock_wall_ms()) - 2) + 3600000;
    w->shared = temp_shared(4096);
    for (uint32_t k = 0; k < SERIES; k++)
        for (uint32_t i = 0; i < SAMPLES; i++)
            w->h[k][i] = k == SERIES - 1 && i % 3 == 2 ? NULL : random_hist(&w->arena, draw, i ? w->h[k][i - 1] : NULL);
    *state = w;
    return 0;
}

static void empty_dir(const char *dir)
{
    char cmd[256];

    snprintf(cmd, sizeof cmd, "rm -rf %s && mkdir %s", dir, dir);
    assert_int_equal(system(cmd), 0);
}

static int teardown(void **state)
{
    struct world *w = *state;

    empty_dir(w->dir);
    rmdir(w->dir);
    munmap(w->shared, 4096);
    arena_release(&w->arena);
    free(w);
    return 0;
}

/* --- in ----------------------------------------------------------------------------------------- */

/* Start timestamps: of every third series, another one later on. */
static int64_t start_of(const struct world *w, uint32_t k, uint32_t i)
{
    return k % 3 == 1 ? w->base - 5000 + (i / 17) * 1000 : 0;
}

static void put_round(struct world *w, uint32_t round, uint32_t expect_same)
{
    struct tsdb_in in[SERIES];
    char ids[SERIES][4];
    int64_t t[SERIES * PER_ROUND], st[SERIES * PER_ROUND];
    double v[SERIES * PER_ROUND];
    const struct histogram *h[SERIES * PER_ROUND];
    struct tsdb_batch b = {.series = in, .nseries = SERIES, .t = t, .v = v, .h = h, .st = st, .labels = house_labels};
    struct err e = {0};

    for (uint32_t k = 0; k < SERIES; k++) {
        snprintf(ids[k], sizeof ids[k], "%u", k);
        in[k] = (struct tsdb_in){
            .key = hash128(ids[k], 1), .raw = str_n(ids[k], 1), .first = k * PER_ROUND, .n = PER_ROUND};
        for (uint32_t j = 0; j < PER_ROUND; j++) {
            uint32_t i = round * PER_ROUND + j, at = k * PER_ROUND + j;
            t[at] = w->base + i * INT64_C(15000);
            h[at] = w->h[k][i];
            v[at] = i;
            st[at] = start_of(w, k, i);
        }
    }
    if (tsdb_ingest_wait(w->db, &b, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(b.verdicts[TSDB_OK] + b.verdicts[TSDB_SAME], SERIES * PER_ROUND);
    if (expect_same)
        assert_int_equal(b.verdicts[TSDB_SAME], SERIES * PER_ROUND);
}

/* --- out ---------------------------------------------------------------------------------------- */

static void check_series(struct world *w, uint32_t k, const struct tsdb_samples *got)
{
    uint32_t acked = atomic_load(&w->shared->acked) * PER_ROUND;

    assert_true(got->n >= acked && got->n <= SAMPLES && got->n % PER_ROUND == 0);
    for (uint32_t i = 0; i < got->n; i++) {
        const struct histogram *h = w->h[k][i];
        assert_int_equal(got->t[i], w->base + i * INT64_C(15000));
        assert_int_equal(got->h && got->h[i], h != NULL);
        assert_int_equal(got->st ? got->st[i] : 0, start_of(w, k, i));
        if (!h)
            assert_true(got->v[i] == i);
        else
            assert_true(hist_stale(h) ? hist_stale(got->h[i]) : hist_equal(h, got->h[i]));
    }
}

static void check_all(struct world *w)
{
    struct matcher m;
    struct tsdb_select_opts o = {.matchers = &m, .nmatchers = 1, .mint = INT64_MIN, .maxt = INT64_MAX};
    struct tsdb_select *s;
    struct tsdb_cursor *c;
    struct tsdb_samples got;
    uint32_t n = 0;
    struct err e = {0};

    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("__name__"), STR("m"), &e), 0);
    assert_int_equal(tsdb_select_open(w->db, &o, &s, &e), 0);
    assert_int_equal(tsdb_cursor_open(s, 0, &c, &e), 0);
    for (; tsdb_cursor_next(c, &got, &e) == 0; n++) {
        struct str id;
        uint64_t k;
        assert_int_equal(tsdb_cursor_label(c, STR("id"), &id, &e), 0);
        assert_true(str_to_u64(id, &k) && k < SERIES);
        check_series(w, (uint32_t)k, &got);
    }
    assert_int_equal(n, atomic_load(&w->shared->acked) ? SERIES : n);
    tsdb_cursor_close(c);
    tsdb_select_close(s);
    matcher_release(&m);
}

/* --- tests -------------------------------------------------------------------------------------- */

static void life(struct world *w, bool check)
{
    struct err e = {0};

    for (uint32_t r = 0; r < ROUNDS; r++) {
        put_round(w, r, 0);
        atomic_store(&w->shared->acked, r + 1);
        if (r % 2 == 0 && store_flush(w->store, "metrics", &e) < 0)
            fail_msg("%s", e.text);
        if (r == 5)
            upkeep_round(w->store, clock_wall_ms());
        if (check)
            check_all(w);
    }
    if (store_flush(w->store, NULL, &e) < 0)
        fail_msg("%s", e.text);
    upkeep_round(w->store, clock_wall_ms());
}

static void test_life(void **state)
{
    struct world *w = *state;
    struct store_stats st;

    open_world(w);
    life(w, true);
    check_all(w);
    store_stats(w->store, &st);
    assert_true(st.sealed >= 1);
    close_world(w);
    open_world(w);
    check_all(w);
    put_round(w, ROUNDS - 1, 0); /* it is there already, in the file: not twice */
    check_all(w);
    close_world(w);
}

static void test_replay(void **state)
{
    struct world *w = *state;

    open_world(w);
    for (uint32_t r = 0; r < ROUNDS; r++)
        put_round(w, r, 0);
    atomic_store(&w->shared->acked, ROUNDS);
    close_world(w);
    open_world(w);
    check_all(w);
    put_round(w, ROUNDS - 1, 1); /* known from the journal */
    close_world(w);
}

/* One sample of series "v": its verdict. */
static enum tsdb_verdict put_one(struct world *w, int64_t t, const struct histogram *h, double v)
{
    struct tsdb_in in = {.key = hash128("v", 1), .raw = STR("v"), .n = 1};
    struct tsdb_batch b = {.series = &in, .nseries = 1, .t = &t, .v = &v, .h = &h, .labels = house_labels};
    struct err e = {0};

    if (tsdb_ingest_wait(w->db, &b, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(b.histograms, h && (b.verdicts[TSDB_OK] || b.verdicts[TSDB_SAME]));
    for (int i = 0; i < TSDB_VERDICTS; i++)
        if (b.verdicts[i])
            return (enum tsdb_verdict)i;
    return TSDB_VERDICTS;
}

static void test_verdicts(void **state)
{
    static const struct hist_bucket one[] = {{1, 5}}, same[] = {{0, 0}, {1, 5}}, other[] = {{1, 4}, {2, 1}};
    const struct histogram a = {.npos = 1, .pos = one, .count = 5, .sum = 1},
                           again = {.npos = 2, .pos = same, .count = 5, .sum = 1, .hint = HIST_RESET},
                           b = {.npos = 2, .pos = other, .count = 5, .sum = 1},
                           bad = {.npos = 1, .pos = one, .count = -1},
                           stale = {.sum = f64_from_bits(STALE_NAN_BITS)};
    struct world *w = *state;
    int64_t t = w->base;

    open_world(w);
    assert_int_equal(put_one(w, t, &a, 0), TSDB_OK);
    assert_int_equal(put_one(w, t, &again, 0), TSDB_SAME); /* empty buckets and hints make no difference */
    assert_int_equal(put_one(w, t, &b, 0), TSDB_DUPLICATE);
    assert_int_equal(put_one(w, t, NULL, 1), TSDB_DUPLICATE);
    assert_int_equal(put_one(w, t + 1000, NULL, 1), TSDB_OK);
    assert_int_equal(put_one(w, t + 1000, &a, 0), TSDB_DUPLICATE);
    assert_int_equal(put_one(w, t + 2000, &bad, 0), TSDB_BAD_HISTOGRAM);
    assert_int_equal(put_one(w, t + 2000, &stale, 0), TSDB_OK);
    assert_int_equal(put_one(w, t + 2000, &stale, 0), TSDB_SAME);
    assert_int_equal(put_one(w, t - 500, &b, 0), TSDB_OK); /* late */
    assert_int_equal(put_one(w, t - 500, &b, 0), TSDB_SAME);
    assert_int_equal(put_one(w, t - 500, &a, 0), TSDB_DUPLICATE);
    assert_int_equal(put_one(w, t, &a, 0), TSDB_SAME);
    assert_int_equal(put_one(w, t, &b, 0), TSDB_DUPLICATE);
    close_world(w);
    open_world(w); /* and so after a replay */
    assert_int_equal(put_one(w, t + 2000, &stale, 0), TSDB_SAME);
    assert_int_equal(put_one(w, t - 500, &a, 0), TSDB_DUPLICATE);
    assert_int_equal(put_one(w, t, &again, 0), TSDB_SAME);
    close_world(w);
}

/* A child that dies at its n-th crash point; true when it lived to the end. */
static bool child_lives(struct world *w, int n)
{
    char text[16];
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        snprintf(text, sizeof text, "%d", n);
        setenv("TRIPOD_CRASH_AT", text, 1);
        crash_setup();
        open_world(w);
        life(w, false);
        close_world(w);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    return WIFEXITED(status);
}

static void test_crash_points(void **state)
{
    struct world *w = *state;
    int step = getenv("TRIPOD_LONG") ? 1 : 9;

    for (int n = 1, done = 0; !done; n += step) {
        empty_dir(w->dir);
        atomic_store(&w->shared->acked, 0);
        done = child_lives(w, n);
        open_world(w);
        check_all(w);
        close_world(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crash_points, setup, teardown),
    };

    log_setup(LOG_WARN, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
