/*
 * test_concurrent.c - ingest, flush and select at once. Every series gets value f(series, i) at time base + i * step,
 * in order (every fourth one as the sum of a histogram); whatever a select returns must be a run from 0 without a hole,
 * at least as long as what was acknowledged before it began. Also: a process that dies at any crash point and by SIGKILL
 * has every acknowledged sample when it comes back.
 */
#include "base/histogram.h"
#include "store/store.h"
#include "tsdb/tsdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/store/lives.h"
#include "tests/tsdb/house.h"

enum { SERIES = 300, WRITERS = 2, STEP_MS = 1000 };

struct world {
    char dir[64];
    struct store *store;
    struct tsdb *db;
    int64_t base;
    unsigned scrapes;
    _Atomic uint32_t acked[WRITERS];
    _Atomic bool stop;
};

static double value_of(uint32_t series, uint32_t i)
{
    return series % 3 == 0 ? 7 : series % 3 == 1 ? (double)(series + i * 3) : (double)(series * i) / 100;
}

static void open_world(struct world *w)
{
    struct store_opts so;
    struct tsdb_opts to;

    store_opts_default(&so);
    so.dir = w->dir;
    so.journal_file_bytes = 64 * 1024;
    tsdb_opts_default(&to);
    house_open(&so, &to, &w->store, &w->db);
}

static void close_world(struct world *w)
{
    house_close(w->store, w->db);
}

static struct world *new_world(unsigned scrapes)
{
    struct world *w = temp_shared(sizeof *w);

    temp_dir(w->dir, "test_concurrent");
    w->scrapes = scrapes;
    w->base = clock_wall_ms() - (int64_t)(scrapes + 10) * STEP_MS;
    return w;
}

static void remove_world(struct world *w)
{
    temp_remove(w->dir);
    munmap(w, sizeof *w);
}

static int give_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    (void)e;
    out->v = arena_array(a, struct label, 2);
    out->n = 2;
    out->v[0] = (struct label){STR("__name__"), STR("m")};
    out->v[1] = (struct label){STR("id"), arena_printf(a, "%u", *(uint32_t *)b->ctx * (SERIES / WRITERS) + i)};
    return 0;
}

static bool is_histogram(uint32_t id)
{
    return id % 4 == 1;
}

static uint32_t buckets_at(uint32_t i)
{
    return 1 + i / 50 % 4;
}

static void make_histogram(struct histogram *h, struct hist_bucket *b, uint32_t id, uint32_t i)
{
    *h = (struct histogram){.schema = 3, .npos = buckets_at(i), .pos = b, .sum = value_of(id, i)};
    for (uint32_t j = 0; j < h->npos; j++) {
        b[j] = (struct hist_bucket){(int32_t)(id % 7 + j * 2), i + 1};
        h->count += b[j].n;
    }
}

static void check_sample(const struct tsdb_samples *s, uint32_t at, uint32_t id, uint32_t i)
{
    const struct histogram *h = s->h ? s->h[at] : NULL;

    assert_int_equal(h != NULL, is_histogram(id));
    if (!h) {
        assert_true(s->v[at] == value_of(id, i));
        return;
    }
    assert_true(h->sum == value_of(id, i) && h->npos == buckets_at(i) && h->count == (double)h->npos * (i + 1));
    for (uint32_t j = 0; j < h->npos; j++)
        assert_true(h->pos[j].i == (int32_t)(id % 7 + j * 2) && h->pos[j].n == i + 1);
}

static void write_all(void *arg, uint32_t number)
{
    struct world *w = arg;
    enum { N = SERIES / WRITERS };
    struct tsdb_in in[N];
    int64_t t[N];
    double v[N];
    const struct histogram *h[N];
    struct histogram hists[N];
    struct hist_bucket buckets[N][4];
    struct tsdb_batch b = {.series = in, .t = t, .v = v, .h = h, .labels = give_labels, .ctx = &number, .nseries = N};
    struct err e = {0};

    for (uint32_t i = w->acked[number]; i < w->scrapes; i++) {
        for (uint32_t k = 0; k < N; k++) {
            struct arena a = {0};
            struct labels ls;
            give_labels(&b, k, &a, &ls, &e);
            in[k] = (struct tsdb_in){.key = labels_hash(&ls), .first = k, .n = 1};
            arena_release(&a);
            t[k] = w->base + (int64_t)i * STEP_MS;
            v[k] = value_of(number * N + k, i);
            h[k] = is_histogram(number * N + k) ? &hists[k] : NULL;
            make_histogram(&hists[k], buckets[k], number * N + k, i);
        }
        if (tsdb_ingest_wait(w->db, &b, &e) < 0)
            fail_msg("%s", e.text);
        w->acked[number] = i + 1;
    }
}

static void *flush_often(void *arg)
{
    struct world *w = arg;

    flush_until(w->store, "metrics", 20000, &w->stop);
    return NULL;
}

/* All series, all samples: a run from 0, no hole, at least `least` long. */
static void check_run(struct world *w, const struct tsdb_samples *s, uint32_t id, uint32_t least)
{
    assert_true(s->n >= least);
    for (uint32_t i = 0; i < s->n; i++) {
        assert_int_equal(s->t[i], w->base + (int64_t)i * STEP_MS);
        check_sample(s, i, id, i);
    }
}

static void check_select(struct world *w, const struct matcher *all, enum tsdb_want want)
{
    uint32_t least[WRITERS], seen = 0, any = 0;
    struct tsdb_select_opts o = {.matchers = all, .nmatchers = 1, .mint = w->base, .maxt = INT64_MAX, .want = want};
    struct tsdb_select *s;
    struct tsdb_cursor *c;
    struct tsdb_samples got;
    struct err e = {0};
    int rc;

    for (uint32_t i = 0; i < WRITERS; i++)
        any += (least[i] = w->acked[i]) > 0;
    if (tsdb_select_open(w->db, &o, &s, &e) < 0 || tsdb_cursor_open(s, 0, &c, &e) < 0)
        fail_msg("%s", e.text);
    while ((rc = tsdb_cursor_next(c, &got, &e)) == 0) {
        struct str text;
        uint64_t id = 0;
        assert_int_equal(tsdb_cursor_label(c, STR("id"), &text, &e), 0);
        assert_true(str_to_u64(text, &id));
        seen++;
        if (want == TSDB_SAMPLES) {
            check_run(w, &got, (uint32_t)id, least[id / (SERIES / WRITERS)]);
        } else {
            uint32_t i = (uint32_t)((got.t[0] - w->base) / STEP_MS);
            assert_int_equal(got.n, 1);
            assert_true(i + 1 >= least[id / (SERIES / WRITERS)]);
            check_sample(&got, 0, (uint32_t)id, i);
        }
    }
    if (rc < 0)
        fail_msg("%s", e.text);
    assert_true(seen >= any * (SERIES / WRITERS));
    tsdb_cursor_close(c);
    tsdb_select_close(s);
}

static void *read_often(void *arg)
{
    struct world *w = arg;
    struct matcher all;
    struct err e = {0};

    assert_int_equal(matcher_init(&all, MATCH_EQ, STR("__name__"), STR("m"), &e), 0);
    while (!w->stop) {
        check_select(w, &all, TSDB_SAMPLES);
        check_select(w, &all, TSDB_NEWEST);
    }
    matcher_release(&all);
    return NULL;
}

static void test_all_at_once(void **state)
{
    struct world *w = new_world(400);
    struct crowd c = {.world = w, .write = write_all, .nwriters = WRITERS, .beside = {flush_often, read_often}, .nbeside = 2, .stop = &w->stop};

    (void)state;
    open_world(w);
    crowd_run(&c);
    close_world(w);
    remove_world(w);
}

/* A life: writes on from what was acknowledged, flushing now and then. */
static void live(void *arg)
{
    struct world *w = arg;
    struct crowd c = {.world = w, .write = write_all, .nwriters = WRITERS, .beside = {flush_often}, .nbeside = 1, .stop = &w->stop};

    crash_setup();
    open_world(w);
    crowd_run(&c);
    close_world(w);
}

static void check_after_death(struct world *w)
{
    struct matcher all;
    struct err e = {0};

    assert_int_equal(matcher_init(&all, MATCH_EQ, STR("__name__"), STR("m"), &e), 0);
    w->stop = false;
    open_world(w);
    check_select(w, &all, TSDB_SAMPLES);
    check_select(w, &all, TSDB_NEWEST);
    close_world(w);
    matcher_release(&all);
}

static void test_deaths(void **state)
{
    struct world *w = new_world(100000);

    (void)state;
    for (int n = 1; n <= 24; n++) {
        char at[16];

        snprintf(at, sizeof at, "%d", n);
        one_life(live, w, n % 2 ? at : NULL, n % 2 ? 600000 : 50000 + (useconds_t)n * 9000);
        check_after_death(w);
    }
    remove_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_all_at_once),
    };

    log_setup(LOG_WARN, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
