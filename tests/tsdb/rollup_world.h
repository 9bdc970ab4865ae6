/*
 * rollup_world.h - a store with days of floats and histograms, what a select says of them, and how that is compared: of the
 * tests of aggregates.
 */
#ifndef TESTS_ROLLUP_WORLD_H
#define TESTS_ROLLUP_WORLD_H

#include "store/upkeep.h"
#include "tests/base/prop.h"
#include "tests/tsdb/house.h"
#include "tests/tsdb/random_hist.h"
#include "tsdb/hist.h"
#include "tsdb/rollup_day.h"
#include "tsdb/select.h"

#include <math.h>
#include <stdio.h>

static inline void check_same(double a, double b)
{
    if (f64_bits(a) != f64_bits(b) && !(isnan(a) && isnan(b)))
        fail_msg("%g, not %g", a, b);
}

enum { SERIES = 40, HISTS = 6, ALL = SERIES + HISTS, DAYS = 4 };

struct world {
    char dir[128];
    struct store *store;
    struct tsdb *db;
    int64_t from, to; /* midnights: DAYS days, all over */
    struct rng r;
};

static inline void open_world(struct world *w, int64_t retention_ms)
{
    struct store_opts so;
    struct tsdb_opts to;

    store_opts_default(&so);
    tsdb_opts_default(&to);
    so.dir = w->dir;
    so.retention_ms = retention_ms;
    so.out_of_order_ms = 40 * DAY_MS;
    so.seal_grace_ms = 0;
    so.upkeep_interval_ms = DAY_MS; /* rounds are made by hand */
    house_open(&so, &to, &w->store, &w->db);
}

static inline void close_world(struct world *w)
{
    house_close(w->store, w->db);
}

static inline int setup(void **state)
{
    struct world *w = x_zalloc(sizeof *w);

    temp_dir(w->dir, "test_rollup");
    w->to = day_start_ms(day_of_ms(clock_wall_ms()) - 1);
    w->from = w->to - DAYS * DAY_MS;
    w->r = rng_new("rollup days");
    open_world(w, 30 * DAY_MS);
    *state = w;
    return 0;
}

static inline int teardown(void **state)
{
    struct world *w = *state;

    close_world(w);
    temp_remove(w->dir);
    free(w);
    return 0;
}

static inline void put_either(struct world *w, int k, int64_t *t, double *v, const struct histogram **h, uint32_t n)
{
    char id[16];
    int len = snprintf(id, sizeof id, "%02d", k);
    struct tsdb_in in = {.key = hash128(id, (size_t)len), .raw = str_n(id, (size_t)len), .n = n};
    struct tsdb_batch b = {.series = &in, .nseries = 1, .t = t, .v = v, .h = h, .labels = house_labels};
    struct err e = {0};

    if (n && tsdb_ingest_wait(w->db, &b, &e) < 0)
        fail_msg("%s", e.text);
}

static inline void put(struct world *w, int k, int64_t *t, double *v, uint32_t n)
{
    put_either(w, k, t, v, NULL, n);
}

static struct rng *drawing;

static inline uint64_t draw(uint64_t below)
{
    return rng_below(drawing, (uint32_t)below);
}

/* Series of histograms, behind those of floats; every third is floats now and then. */
static inline void fill_hists(struct world *w)
{
    enum { STEP = 97000 };
    uint32_t max = (uint32_t)((w->to - w->from) / STEP) + 2, n;
    int64_t *t = x_alloc(max * sizeof *t);
    double *v = x_zalloc(max * sizeof *v);
    const struct histogram **h = x_alloc(max * sizeof *h), *before = NULL;
    struct arena a = {0};

    drawing = &w->r;
    for (int k = SERIES; k < ALL; k++) {
        bool floats = false;

        n = 0;
        for (int64_t at = w->from + 1 + (k % 3) * 5000; at <= w->to; at += STEP) {
            int64_t midnight = bucket_end(at, DAY_MS);

            floats ^= k % 3 == 0 && !draw(100);
            before = random_hist(&a, draw, before);
            t[n] = midnight - at < STEP ? midnight : at;
            v[n] = (double)draw(1000);
            h[n++] = floats ? NULL : before;
        }
        put_either(w, k, t, v, h, n);
    }
    arena_release(&a);
    free(h);
    free(t);
    free(v);
}

/* A few shapes: even, with gaps, ending, beginning late; one sample at each midnight. */
static inline void fill_days(struct world *w)
{
    enum { STEP = 97000 };
    uint32_t max = (uint32_t)((w->to - w->from) / STEP) + 2, n;
    int64_t *t = x_alloc(max * sizeof *t);
    double *v = x_alloc(max * sizeof *v);

    for (int k = 0; k < SERIES; k++) {
        double counter = 0;
        n = 0;
        for (int64_t at = w->from + 1 + (k % 3) * 5000; at <= w->to; at += STEP) {
            int64_t midnight = bucket_end(at, DAY_MS);
            counter = rng_below(&w->r, 200) ? counter + rng_below(&w->r, 100) : rng_below(&w->r, 10);
            if (k % 5 == 1 && at > w->to - 2 * DAY_MS)
                break;
            if ((k % 5 == 2 && at < w->from + DAY_MS) || (k % 5 == 3 && !rng_below(&w->r, 3)))
                continue;
            t[n] = midnight - at < STEP ? midnight : at;
            v[n++] = k % 4 == 3 && !rng_below(&w->r, 9) ? NAN : counter;
            if (k % 7 == 6 && !rng_below(&w->r, 50))
                v[n - 1] = f64_from_bits(STALE_NAN_BITS);
        }
        put(w, k, t, v, n);
    }
    free(t);
    free(v);
    fill_hists(w);
}

static inline void round_of_upkeep(struct world *w, int64_t now_ms)
{
    struct err e = {0};

    if (store_flush(w->store, NULL, &e) < 0)
        fail_msg("%s", e.text);
    upkeep_round(w->store, now_ms);
    upkeep_round(w->store, now_ms);
}

static inline struct tsdb_select *open_select(struct world *w, int64_t mint, int64_t maxt, enum tsdb_rollup what,
                                              int64_t every)
{
    struct matcher m;
    struct err e = {0};
    struct tsdb_select_opts o = {
        .matchers = &m, .nmatchers = 1, .mint = mint, .maxt = maxt, .rollup = what, .rollup_ms = every};
    struct tsdb_select *s;

    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("__name__"), STR("m"), &e), 0);
    if (tsdb_select_open(w->db, &o, &s, &e) < 0)
        fail_msg("%s", e.text);
    matcher_release(&m);
    return s;
}

/* All series of a window, by id. */
struct got {
    struct {
        uint32_t n;
        int64_t *t, *t_first;
        double *v, *first, *count, *resets;
        bool buckets;
        double samples;             /* but for markers, that it tells of: of a count, or of samples themselves */
        const struct histogram **h; /* beside v, or NULL */
        struct stretches hists;
    } s[ALL];
    struct tsdb_rollup_used used;
    struct arena arena;
};

/* The histograms of a series, beside what else was got. */
static inline void keep_hists(struct got *g, int k, const struct tsdb_samples *x)
{
    const struct tsdb_stretches *from = x->b ? x->b->hists : NULL;
    struct stretches *s = &g->s[k].hists;

    for (uint32_t i = 0; i < x->n; i++)
        g->s[k].samples += x->b ? x->v[i] : x->h && x->h[i] ? !hist_stale(x->h[i]) : !is_stale(x->v[i]);
    if (x->h) {
        g->s[k].h = arena_array(&g->arena, const struct histogram *, x->n);
        for (uint32_t i = 0; i < x->n; i++)
            g->s[k].h[i] = x->h[i] ? hist_dup(&g->arena, x->h[i]) : NULL;
    }
    for (uint32_t i = 0; from && i < from->n; i++) {
        struct histogram *of[3];
        const struct histogram *const *columns[] = {from->last, from->first, from->sum};

        for (int c = 0; c < 3; c++)
            of[c] = columns[c] && columns[c][i] ? hist_dup(&g->arena, columns[c][i]) : NULL;
        struct stretch_run one = {1,
                                  from->t_last + i,
                                  from->t_first ? from->t_first + i : NULL,
                                  from->count + i,
                                  from->hint + i,
                                  (const struct histogram *const *)&of[0],
                                  (const struct histogram *const *)&of[1],
                                  (const struct histogram *const *)&of[2]};
        stretches_append(s, &one);
        g->s[k].samples += from->count[i];
    }
}

/* A series has another kind of values in each half of a bucket, say: its stretches of every bucket, put together. */
static inline void check_hists(const struct stretches *x, const struct stretches *y, bool counts_only)
{
    uint32_t i = 0, k = 0;

    while (i < x->n && k < y->n) {
        int64_t end = bucket_end(x->t_last[i], x->every);
        double n = 0, m = 0, sum = 0, of = 0;
        uint32_t from = i, at = k;

        for (; i < x->n && bucket_end(x->t_last[i], x->every) == end; i++) {
            n += x->count[i];
            sum += x->sum[i] ? x->sum[i]->count : 0;
        }
        for (; k < y->n && bucket_end(y->t_last[k], x->every) == end; k++) {
            m += y->count[k];
            of += y->sum[k] ? y->sum[k]->count : 0;
        }
        assert_true(k > at && n == m && x->t_last[i - 1] == y->t_last[k - 1]);
        if (counts_only)
            continue;
        if (y->last[at])
            assert_true(hist_equal(x->last[i - 1], y->last[k - 1]));
        if (y->first[at])
            assert_true(hist_equal(x->first[from], y->first[at]) && x->t_first[from] == y->t_first[at]);
        if (y->sum[at])
            assert_true(fabs(sum - of) <= 1e-12 * fabs(sum));
    }
    assert_true(i == x->n && k == y->n);
}

static inline void *copy_of(const void *p, size_t bytes)
{
    void *c = p ? x_alloc(bytes + 1) : NULL;

    if (p)
        memcpy(c, p, bytes);
    return c;
}

static inline void read_all(struct world *w, int64_t mint, int64_t maxt, enum tsdb_rollup what, int64_t every,
                            struct got *g)
{
    struct tsdb_select *s = open_select(w, mint, maxt, what, every);
    struct tsdb_cursor *c;
    struct tsdb_samples x;
    struct err e = {0};
    struct str id;
    int rc;

    memset(g, 0, sizeof *g);
    for (int k = 0; k < ALL; k++)
        stretches_reset(&g->s[k].hists, every ? every : ROLLUP_5M, ROLLUP_HISTS);
    tsdb_select_rollup(s, &g->used);
    assert_int_equal(tsdb_cursor_open(s, 0, &c, &e), 0);
    while ((rc = tsdb_cursor_next(c, &x, &e)) == 0) {
        assert_int_equal(tsdb_cursor_label(c, STR("id"), &id, &e), 0);
        int k = (id.p[0] - '0') * 10 + id.p[1] - '0';
        size_t n = x.n * sizeof(double);
        g->s[k].n = x.n;
        g->s[k].t = copy_of(x.t, n);
        g->s[k].v = copy_of(x.v, n);
        g->s[k].buckets = x.b != NULL;
        if (x.b) {
            g->s[k].t_first = copy_of(x.b->t_first, n);
            g->s[k].first = copy_of(x.b->first, n);
            g->s[k].count = copy_of(x.b->count, n);
            g->s[k].resets = copy_of(x.b->resets, n);
        }
        keep_hists(g, k, &x);
    }
    if (rc < 0)
        fail_msg("%s", e.text);
    tsdb_cursor_close(c);
    tsdb_select_close(s);
}

static inline void got_release(struct got *g)
{
    arena_release(&g->arena);
    for (int k = 0; k < ALL; k++) {
        stretches_release(&g->s[k].hists);
        free(g->s[k].t);
        free(g->s[k].v);
        free(g->s[k].t_first);
        free(g->s[k].first);
        free(g->s[k].count);
        free(g->s[k].resets);
    }
}

static inline void check_column(const double *a, const double *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        check_same(a ? a[i] : 0, b ? b[i] : 0);
}

/* As they lie on disk, a day at a time: one that ends its bucket at midnight begins a stretch of its own, in the next day. */
static inline void add_days(struct stretches *h, struct buckets *b, const struct got *raw, int k, uint32_t from, uint32_t to)
{
    for (uint32_t end; from < to; from = end) {
        for (end = from + 1; end < to && raw->s[k].t[end] / DAY_MS == raw->s[k].t[from] / DAY_MS;)
            end++;
        assert_true(stretches_add(h, b, raw->s[k].t + from, raw->s[k].v + from, raw->s[k].h + from, end - from));
    }
}

/* What aggregates say of the window [mint, maxt] against what its samples (raw) say. */
static inline void check_window(struct world *w, const struct got *raw, int64_t mint, int64_t maxt, int64_t every,
                                bool expect_used)
{
    static const int column[TSDB_ROLLUPS] = {
        [TSDB_ROLLUP_LAST] = ROLLUP_LAST, [TSDB_ROLLUP_FIRST] = ROLLUP_FIRST,   [TSDB_ROLLUP_COUNT] = ROLLUP_COUNT,
        [TSDB_ROLLUP_SUM] = ROLLUP_SUM,   [TSDB_ROLLUP_AVG] = ROLLUP_SUM,       [TSDB_ROLLUP_MIN] = ROLLUP_MIN,
        [TSDB_ROLLUP_MAX] = ROLLUP_MAX,   [TSDB_ROLLUP_INCREASE] = ROLLUP_LAST, [TSDB_ROLLUP_DELTA] = ROLLUP_LAST};
    struct buckets b = {0};
    struct stretches h = {0};

    for (enum tsdb_rollup what = TSDB_ROLLUP_LAST; what < TSDB_ROLLUPS; what++) {
        struct got g;

        read_all(w, mint, maxt, what, every, &g);
        assert_int_equal(g.used.any, expect_used);
        for (int k = 0; k < ALL && expect_used; k++) {
            bool gauges;

            buckets_reset(&b, every, ROLLUP_ALL);
            stretches_reset(&h, every, ROLLUP_HISTS);
            uint32_t from = 0, to;
            while (from < raw->s[k].n && raw->s[k].t[from] < mint)
                from++;
            for (to = from; to < raw->s[k].n && raw->s[k].t[to] <= maxt;)
                to++;
            if (raw->s[k].h)
                add_days(&h, &b, raw, k, from, to);
            else
                assert_true(buckets_add(&b, raw->s[k].t + from, raw->s[k].v + from, to - from));
            gauges = what == TSDB_ROLLUP_INCREASE && h.gauges && g.used.missing_until == INT64_MIN;
            assert_true(!h.n || g.s[k].buckets != gauges);
            if (gauges)
                continue; /* samples */
            check_hists(&h, &g.s[k].hists, what == TSDB_ROLLUP_COUNT);
            assert_int_equal(g.s[k].n, b.n);
            if (!b.n)
                continue;
            assert_true(g.s[k].buckets);
            for (uint32_t i = 0; i < b.n; i++)
                if (what == TSDB_ROLLUP_MIN) /* any time in the bucket */
                    assert_int_equal(bucket_end(g.s[k].t[i], every), bucket_end(b.t_last[i], every));
                else
                    assert_int_equal(g.s[k].t[i], what == TSDB_ROLLUP_FIRST ? b.t_first[i] : b.t_last[i]);
            check_column(g.s[k].v, b.v[column[what]], b.n);
            if (what == TSDB_ROLLUP_AVG || what == TSDB_ROLLUP_INCREASE)
                check_column(g.s[k].count, b.v[ROLLUP_COUNT], b.n);
            if (what != TSDB_ROLLUP_INCREASE)
                continue;
            assert_memory_equal(g.s[k].t_first, b.t_first, b.n * sizeof *b.t_first);
            check_column(g.s[k].first, b.v[ROLLUP_FIRST], b.n);
            check_column(g.s[k].resets, b.v[ROLLUP_RESETS], b.n);
        }
        got_release(&g);
    }
    buckets_release(&b);
    stretches_release(&h);
}

static inline void check_all(struct world *w, const struct got *raw, bool expect_used)
{
    check_window(w, raw, w->from + 1, w->to, ROLLUP_1H, expect_used);
    check_window(w, raw, w->from + 1, w->to, ROLLUP_5M, expect_used);
    check_window(w, raw, w->from + 7 * ROLLUP_1H + 1, w->to - 5 * ROLLUP_1H, ROLLUP_1H, expect_used);
    check_window(w, raw, w->from + DAY_MS - 2 * ROLLUP_5M + 1, w->from + DAY_MS + ROLLUP_5M, ROLLUP_5M, expect_used);
}
static inline void no_line(void *arg, const char *line)
{
    if (arg)
        fprintf(stderr, "%s\n", line);
}

#endif
