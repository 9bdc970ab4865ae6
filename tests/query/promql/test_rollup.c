/*
 * test_rollup.c - queries answered from aggregates against the same queries answered from samples: random series, random
 * queries; then the samples go, and what could be told exactly is still told exactly.
 */
#include "query/promql/eval_rollup.c"

#include "query/vector/histogram.h"
#include "store/upkeep.h"
#include "tests/base/prop.h"
#include "tests/tsdb/random_hist.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY_MS INT64_C(86400000)

enum { SERIES = 24, HISTS = 14, DAYS = 3, STEP = 61000 };

struct world {
    char dir[64];
    struct store *store;
    struct tsdb *db;
    struct query_engine *engine;
    int64_t from, to;
    struct rng r;
};

static void open_world(struct world *w, int64_t retention_ms)
{
    struct query_engine_opts qo;
    struct store_opts so;
    struct tsdb_opts to;
    struct err e = {0};

    store_opts_default(&so);
    tsdb_opts_default(&to);
    query_engine_opts_default(&qo);
    so.dir = w->dir;
    so.retention_ms = retention_ms;
    so.out_of_order_ms = 40 * DAY_MS;
    so.seal_grace_ms = 0;
    so.upkeep_interval_ms = DAY_MS;
    if (store_open(&so, &w->store, &e) < 0 || tsdb_new(w->store, &to, &w->db, &e) < 0 ||
        store_recover(w->store, &e) < 0 || store_start(w->store, &e) < 0)
        fail_msg("%s", e.text);
    w->engine = query_engine_new(&qo);
}

static void close_world(struct world *w)
{
    query_engine_free(w->engine);
    store_close(w->store);
    tsdb_free(w->db);
}

static int give_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    (void)e;
    out->v = arena_array(a, struct label, 3);
    out->n = 3;
    out->v[0] = (struct label){STR("__name__"), b->series[i].raw.p[0] == 'h' ? STR("h") : STR("m_total")};
    out->v[1] = (struct label){STR("id"), arena_dup(a, b->series[i].raw)};
    out->v[2] = (struct label){STR("kind"), b->series[i].raw.p[1] & 1 ? STR("odd") : STR("even")};
    return 0;
}

static void put_as(struct world *w, const char *id, int64_t *t, double *v, const struct histogram **h, uint32_t n)
{
    size_t len = strlen(id);
    struct tsdb_in in = {.key = hash128(id, len), .raw = str_n(id, len), .n = n};
    struct tsdb_batch b = {.series = &in, .nseries = 1, .t = t, .v = v, .labels = give_labels};
    struct err e = {0};

    b.h = h;
    if (n && tsdb_ingest_wait(w->db, &b, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(b.verdicts[TSDB_OK], n);
}

static void put(struct world *w, int k, int64_t *t, double *v, const struct histogram **h, uint32_t n)
{
    char id[16];

    snprintf(id, sizeof id, "%02d", k);
    put_as(w, id, t, v, h, n);
}

/* --- histograms of many kinds ------------------------------------------------------------------------------ */

static struct rng *drawing;

static uint64_t draw(uint64_t below)
{
    return rng_below(drawing, (uint32_t)below);
}

enum { COUNTER, GAUGE, CUSTOM, CHANGING, MIXED, ANY, KINDS };

static struct histogram *begin_hist(struct arena *a, int kind)
{
    static const double edges[] = {0.1, 0.25, 0.5, 1, 2.5, 5, 10};
    struct histogram *h = arena_new(a, struct histogram);
    struct hist_bucket *b;

    if (kind == CUSTOM) {
        h->schema = HIST_CUSTOM;
        h->bounds = edges + draw(2);
        h->nbounds = 4 + (uint32_t)draw(2);
        h->npos = h->nbounds + 1;
    } else {
        h->schema = 3 - (kind == CHANGING ? (int32_t)draw(3) : 0);
        h->zero_threshold = kind == CHANGING && !draw(3) ? 0.01 : 0x1p-128;
        h->npos = 3 + (uint32_t)draw(8);
    }
    b = arena_array(a, struct hist_bucket, h->npos + 1);
    for (uint32_t i = 0; i < h->npos; i++)
        b[i] = (struct hist_bucket){(int32_t)i, (double)draw(6)};
    h->pos = b;
    h->hint = kind == GAUGE ? HIST_GAUGE : HIST_UNKNOWN;
    random_totals(h, draw);
    return h;
}

static struct histogram *next_hist(struct arena *a, int kind, uint32_t rare, const struct histogram *before)
{
    struct histogram *h;
    struct hist_bucket *b;

    if (kind == ANY)
        return random_hist(a, draw, before);
    if (!before || hist_stale(before) || !draw(rare))
        return begin_hist(a, kind);
    if (!draw(rare)) {
        h = arena_new(a, struct histogram);
        h->sum = f64_from_bits(STALE_NAN_BITS);
        return h;
    }
    h = kind == CHANGING && before->schema > 0 && !draw(rare) ? hist_reduce(a, before, before->schema - 1)
                                                              : hist_dup(a, before);
    b = (struct hist_bucket *)(uintptr_t)h->pos;
    for (uint32_t i = 0; i < h->npos; i++)
        b[i].n = kind == GAUGE ? (double)draw(9) : b[i].n + (double)draw(4);
    random_totals(h, draw);
    return h;
}

static uint32_t rare_switch(struct rng *r)
{
    return rng_below(r, 10) ? 200 : 2;
}

static int64_t bucket_of(int64_t t)
{
    return t + (TSDB_5M - t % TSDB_5M) % TSDB_5M;
}

/* Of each kind some, with gaps; those that are mixed are floats for some time. */
static void fill_hists(struct world *w)
{
    uint32_t max = (uint32_t)((w->to - w->from + DAY_MS) / STEP) + 2;
    int64_t *t = x_alloc(max * sizeof *t);
    double *v = x_zalloc(max * sizeof *v), counter = 0;
    const struct histogram **h = x_alloc(max * sizeof *h);
    struct arena a = {0};

    drawing = &w->r;
    for (int k = 0; k < HISTS; k++) {
        const struct histogram *before = NULL;
        uint32_t rare = 30 + rng_below(&w->r, 1000), n = 0;
        bool floats = false;
        char id[16];

        for (int64_t at = w->from + 1 + (k % 3) * 7000; at <= w->to + DAY_MS / 2; at += STEP) {
            at += rng_below(&w->r, rare) ? 0 : (int64_t)STEP * rng_below(&w->r, 100);
            floats ^= k % KINDS == MIXED && !rng_below(&w->r, rare_switch(&w->r));
            t[n] = bucket_of(at) - at < STEP && !rng_below(&w->r, 20) ? bucket_of(at) : at;
            counter += rng_below(&w->r, 9);
            v[n] = counter;
            before = floats ? before : next_hist(&a, k % KINDS, rare, before);
            h[n++] = floats ? NULL : before;
        }
        snprintf(id, sizeof id, "h%02d", k);
        put_as(w, id, t, v, h, n);
        arena_reset(&a);
    }
    arena_release(&a);
    free(t);
    free(v);
    free(h);
}

/* Counters that start again, gauges, the odd values, gaps, ends; the last one turns into a histogram. */
static void fill(struct world *w)
{
    uint32_t max = (uint32_t)((w->to - w->from + DAY_MS) / STEP) + 2, n;
    int64_t *t = x_alloc(max * sizeof *t);
    double *v = x_alloc(max * sizeof *v);

    for (int k = 0; k < SERIES; k++) {
        struct rng *r = &w->r;
        double counter = rng_below(r, 1000);
        uint32_t rare = 50 + rng_below(r, 1000);

        n = 0;
        for (int64_t at = w->from + 1 + (k % 3) * 7000; at <= w->to + DAY_MS / 2; at += STEP) {
            if (!rng_below(r, rare)) {
                at += (int64_t)STEP * rng_below(r, 200);
                v[n] = f64_from_bits(STALE_NAN_BITS);
                t[n++] = at;
                continue;
            }
            counter = rng_below(r, rare) ? counter + rng_below(r, 60) : rng_below(r, 5);
            t[n] = at;
            v[n] = k % 4 == 0   ? counter
                   : k % 4 == 1 ? (double)rng_below(r, 2001) - 1000
                   : k % 4 == 2 ? counter * 0.01
                                : counter;
            if (k % 4 == 3 && !rng_below(r, 400))
                v[n] = rng_below(r, 2) ? NAN : INFINITY;
            n++;
        }
        put(w, k, t, v, NULL, n);
    }
    struct histogram h = {.schema = 0, .count = 3, .sum = 5, .zero_count = 3};
    const struct histogram *hs[] = {&h};
    int64_t ht = w->from + DAY_MS + 777;
    double zero = 0;
    put(w, SERIES, &ht, &zero, hs, 1);
    fill_hists(w);
    free(t);
    free(v);
}

static int setup(void **state)
{
    struct world *w = x_zalloc(sizeof *w);
    struct err e = {0};

    strcpy(w->dir, "/tmp/test_rollup_q.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->to = day_start_ms(day_of_ms(clock_wall_ms()) - 1);
    w->from = w->to - DAYS * DAY_MS;
    w->r = rng_new("rollup queries");
    open_world(w, 30 * DAY_MS);
    fill(w);
    assert_int_equal(store_flush(w->store, NULL, &e), 0);
    upkeep_round(w->store, w->to + 1); /* the last, half day stays as it is */
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char cmd[128];

    close_world(w);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w->dir);
    assert_int_equal(system(cmd), 0);
    free(w);
    return 0;
}

struct asked {
    char text[256];
    int64_t start, end, step;
};

struct answer {
    struct query *q;
    struct promql_result r;
};

static struct answer ask(struct world *w, const struct asked *a, bool samples_only)
{
    struct promql_opts o = {.db = w->db,
                            .start_ms = a->start,
                            .end_ms = a->end,
                            .step_ms = a->step,
                            .instant = a->step == 0,
                            .delayed_name_removal = true,
                            .samples_only = samples_only};
    struct answer x = {.q = query_begin(w->engine, "promql", str_of(a->text), NULL)};
    struct err e = {0};

    if (promql_run(x.q, &o, &x.r, &e) < 0)
        fail_msg("%s: %s", a->text, e.text);
    return x;
}

static const char *pick(struct rng *r, const char *const *v, size_t n)
{
    return v[rng_below(r, (uint32_t)n)];
}
#define PICK(r, ...)                                                                                                   \
    pick(r, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static struct asked random_query(struct world *w, int64_t end)
{
    struct rng *r = &w->r;
    const char *range = PICK(r, "5m", "10m", "1h", "2h", "6h", "1d"),
               *offset = PICK(r, "", "", "", " offset 5m", " offset 1h");
    const char *fn = PICK(r, "rate", "increase", "delta", "sum_over_time", "avg_over_time", "count_over_time",
                          "min_over_time", "max_over_time", "last_over_time", "first_over_time", "present_over_time",
                          "absent_over_time", "ts_of_last_over_time", "ts_of_first_over_time", "quantile_over_time",
                          "changes", "irate", "stddev_over_time");
    static const int64_t steps[] = {300000, 900000, 3600000, 3 * 3600000};
    struct asked a = {.step = steps[rng_below(r, ARRAY_LEN(steps))]};
    char chain[160];

    switch (rng_below(r, 8)) {
    case 0:
        snprintf(chain, sizeof chain, "m_total%s", offset);
        break;
    case 1:
        snprintf(chain, sizeof chain, "timestamp(m_total%s)", offset);
        break;
    case 2:
        snprintf(chain, sizeof chain, "max_over_time(m_total{kind=\"odd\"}[%s:%s]%s)", range, PICK(r, "5m", "1h"),
                 offset);
        break;
    default:
        snprintf(chain, sizeof chain, "%s(%sm_total%s[%s]%s)", fn, strcmp(fn, "quantile_over_time") == 0 ? "0.3," : "",
                 PICK(r, "", "{kind=\"even\"}", "{id=\"03\"}"), range, offset);
    }
    snprintf(a.text, sizeof a.text, PICK(r, "%s", "%s", "sum by (kind) (%s)", "topk(3, %s)", "-%s * 2"), chain);
    int64_t span = end - w->from;
    a.start = w->from + (int64_t)rng_below(r, (uint32_t)(span / 300000)) * 300000;
    a.end = MIN(end, a.start + a.step * rng_below(r, 200));
    if (!rng_below(r, 6)) {
        a.step = 0;
        a.end = a.start;
    }
    return a;
}

static struct asked random_hist_query(struct world *w, int64_t end)
{
    static const int64_t steps[] = {300000, 900000, 3600000, 3 * 3600000};
    struct rng *r = &w->r;
    struct asked a = {.step = steps[rng_below(r, ARRAY_LEN(steps))]};
    const char *of = PICK(r, "h", "h", "h{kind=\"even\"}", "h{id=~\"h0[0-3]\"}", "h{id=~\"h.[46]\"}"),
               *range = PICK(r, "5m", "10m", "1h", "2h", "6h", "1d"),
               *offset = PICK(r, "", "", "", " offset 5m", " offset 1h");
    const char *fn = PICK(r, "rate", "rate", "increase", "delta", "sum_over_time", "avg_over_time", "count_over_time",
                          "min_over_time", "max_over_time", "last_over_time", "first_over_time", "present_over_time",
                          "ts_of_last_over_time", "ts_of_first_over_time", "resets", "irate");
    char chain[160];
    int64_t span = end - w->from;

    if (!rng_below(r, 4))
        snprintf(chain, sizeof chain, "%s%s", of, offset);
    else
        snprintf(chain, sizeof chain, "%s(%s[%s]%s)", fn, of, range, offset);
    snprintf(a.text, sizeof a.text,
             PICK(r, "%s", "%s", "sum by (kind) (%s)", "histogram_quantile(0.9, sum(%s))", "histogram_count(%s)",
                  "histogram_count(sum(%s))", "avg(%s)", "histogram_avg(%s)", "timestamp(%s)", "count(%s)"),
             chain);
    a.start = w->from + (int64_t)rng_below(r, (uint32_t)(span / 300000)) * 300000;
    a.end = MIN(end, a.start + a.step * rng_below(r, 60));
    if (!rng_below(r, 6)) {
        a.step = 0;
        a.end = a.start;
    }
    return a;
}

static bool near_enough(double a, double b, double scale)
{
    if (isnan(a) || isnan(b) || isinf(a) || isinf(b))
        return (isnan(a) && isnan(b)) || a == b;
    return fabs(a - b) <= 1e-10 * (scale + 1);
}

static bool near_buckets(const struct hist_bucket *x, uint32_t nx, const struct hist_bucket *y, uint32_t ny, double scale)
{
    bool near = true;

    for (uint32_t i = 0, k = 0; i < nx || k < ny;) {
        bool left = k == ny || (i < nx && x[i].i <= y[k].i), right = i == nx || (k < ny && y[k].i <= x[i].i);

        near &= near_enough(left ? x[i].n : 0, right ? y[k].n : 0, scale);
        i += left;
        k += right;
    }
    return near;
}

static bool near_hists(const struct histogram *x, const struct histogram *y)
{
    double scale = 1000 * (isfinite(x->count) ? fabs(x->count) : 0);

    return x->schema == y->schema && hist_same_bounds(x, y) && x->zero_threshold == y->zero_threshold &&
           near_enough(x->count, y->count, scale) && near_enough(x->zero_count, y->zero_count, scale) &&
           near_enough(x->sum, y->sum, scale + 1000 * (isfinite(x->sum) ? fabs(x->sum) : 0)) &&
           near_buckets(x->pos, x->npos, y->pos, y->npos, scale) &&
           near_buckets(x->neg, x->nneg, y->neg, y->nneg, scale);
}

static const struct promql_series *like(const struct promql_result *r, const struct labels *ls)
{
    for (uint32_t i = 0; i < r->nseries; i++)
        if (labels_eq(&r->series[i].labels, ls))
            return &r->series[i];
    return NULL;
}

static void check_same_answer(const struct asked *a, const struct promql_result *x, const struct promql_result *y)
{
    if (x->nseries != y->nseries)
        fail_msg("%s from %lld to %lld by %lld: %u and %u series", a->text, (long long)a->start, (long long)a->end, (long long)a->step, x->nseries, y->nseries);
    for (uint32_t i = 0; i < x->nseries; i++) {
        const struct promql_series *s = &x->series[i], *o = like(y, &s->labels);
        double scale = 0;

        if (!o || s->npoints != o->npoints)
            fail_msg("%s: series %u: %u and %d points", a->text, i, s->npoints, o ? (int)o->npoints : -1);
        for (uint32_t k = 0; k < s->npoints; k++)
            if (isfinite(s->points[k].v))
                scale = fmax(scale, fabs(s->points[k].v));
        for (uint32_t k = 0; k < s->npoints; k++) {
            const struct promql_point *p = &s->points[k], *q = &o->points[k];

            if (p->t == q->t && p->h && q->h && !near_hists(p->h, q->h)) {
                struct buf before = {0}, after = {0};

                hist_text(&before, p->h);
                hist_text(&after, q->h);
                fail_msg("%s from %lld to %lld by %lld: at %lld, %.*s, %.*s", a->text, (long long)a->start,
                         (long long)a->end, (long long)a->step, (long long)p->t, (int)before.n, before.p, (int)after.n,
                         after.p);
            }
            if (p->t != q->t || !p->h != !q->h || (!p->h && !near_enough(p->v, q->v, 100 * scale)))
                fail_msg("%s from %lld to %lld by %lld: at %lld %.17g, %.17g", a->text, (long long)a->start,
                         (long long)a->end, (long long)a->step, (long long)p->t, p->v, q->v);
        }
    }
}

/* The last bits tell who is third. */
static bool is_fickle(const struct asked *a)
{
    return strncmp(a->text, "topk", 4) == 0 && (strstr(a->text, "sum_over") || strstr(a->text, "avg_over"));
}

/* A series that comes as samples, since it has a histogram, behind ones that come as buckets; all of them from one day. */
static void test_histogram_behind_buckets(void **state)
{
    struct world *w = *state;

    for (int i = 1; i <= 24; i++) {
        struct asked a = {.text = "avg_over_time(m_total[2h])", .start = w->from + DAY_MS + i * 300000};
        struct answer x, y;

        a.end = a.start;
        x = ask(w, &a, true);
        y = ask(w, &a, false);
        check_same_answer(&a, &x.r, &y.r);
        query_end(x.q);
        query_end(y.q);
    }
}

static void test_same_answers(void **state)
{
    struct world *w = *state;
    uint64_t fewer = 0, as_many = 0;
    int rounds = getenv("TRIPOD_LONG") ? 20000 : 600;

    for (int i = 0; i < rounds; i++) {
        struct asked a = random_query(w, w->to + DAY_MS / 2);
        if (is_fickle(&a))
            continue;
        struct answer x = ask(w, &a, true), y = ask(w, &a, false);

        check_same_answer(&a, &x.r, &y.r);
        assert_int_equal(x.r.ninfos, y.r.ninfos); /* nothing is said about aggregates */
        fewer += y.q->samples_total < x.q->samples_total;
        as_many += y.q->samples_total == x.q->samples_total;
        query_end(x.q);
        query_end(y.q);
    }
    assert_true(fewer > (uint64_t)rounds / 3 && as_many > 0);
}

static void check_same_words(const struct asked *a, const struct str *x, uint32_t nx, const struct str *y, uint32_t ny)
{
    for (uint32_t i = 0; i < MAX(nx, ny); i++) {
        bool found = false;

        for (uint32_t k = 0; i < nx && k < ny; k++)
            found |= str_eq(x[i], y[k]);
        if (!found)
            fail_msg("%s from %lld to %lld by %lld: %u and %u remarks: %.*s, %.*s", a->text, (long long)a->start,
                     (long long)a->end, (long long)a->step, nx, ny, i < nx ? (int)x[i].n : 0, i < nx ? x[i].p : "",
                     i < ny ? (int)y[i].n : 0, i < ny ? y[i].p : "");
    }
}

/* Histograms of all kinds: the same answers, the same remarks, and fewer samples read. */
static void test_histograms(void **state)
{
    struct world *w = *state;
    uint64_t fewer = 0;
    int rounds = getenv("TRIPOD_LONG") ? 10000 : 400;

    for (int i = 0; i < rounds; i++) {
        struct asked a = random_hist_query(w, w->to + DAY_MS / 2);
        struct answer x = ask(w, &a, true), y = ask(w, &a, false);

        check_same_answer(&a, &x.r, &y.r);
        check_same_words(&a, x.r.warnings, x.r.nwarnings, y.r.warnings, y.r.nwarnings);
        check_same_words(&a, x.r.infos, x.r.ninfos, y.r.infos, y.r.ninfos);
        fewer += y.q->samples_total < x.q->samples_total;
        query_end(x.q);
        query_end(y.q);
    }
    assert_true(fewer > (uint64_t)rounds / 4);
}

static bool says_so(const struct promql_result *r)
{
    for (uint32_t i = 0; i < r->ninfos; i++)
        if (str_find(r->infos[i], STR("no longer kept")) >= 0)
            return true;
    return false;
}

static const char *const exact_ones[] = {
    "rate(m_total[1h])",
    "increase(m_total[5m])",
    "sum by (kind) (increase(m_total{id=~\"0.\"}[2h]))",
    "avg_over_time(m_total[1h])",
    "max_over_time(m_total[10m])",
    "min_over_time(m_total[1h])",
    "m_total",
    "timestamp(m_total offset 1h)",
    "count_over_time(m_total[6h])",
    "sum_over_time(m_total[1h] offset 5m)",
    "first_over_time(m_total[5m])",
    "last_over_time(m_total[1h])",
    "absent_over_time(m_total{id=\"05\"}[5m])",
    "h",
    "rate(h{id!~\"h(01|05|07|11|13)\"}[1h])", /* of gauges it is nothing that could be exact */
    "delta(h[2h])",
    "histogram_quantile(0.9, sum by (kind) (rate(h{id!~\"h(01|05|07|11|13)\"}[1h])))",
    "histogram_count(h)",
    "sum_over_time(h[1h])",
    "avg_over_time(h[1h] offset 5m)",
    "count_over_time(h[6h])",
    "last_over_time(h[5m])",
    "first_over_time(h[1h])",
    "max_over_time(h[1h])",
    "timestamp(h offset 1h)",
    "present_over_time(h[10m])",
};
static const char *const rough_ones[] = {
    "avg_over_time(m_total{kind=\"even\"}[7m])",
    "quantile_over_time(0.5, m_total[1h])",
    "rate(m_total[90s])",
    "m_total offset 7s",
    "stddev_over_time(m_total[1h])",
    "sum_over_time(m_total[33m])",
    "histogram_quantile(0.5, sum(rate(h[7m])))",
    "sum_over_time(h[33m])",
    "increase(h{id=\"h01\"}[1h])", /* gauges, of which only edges are left */
    "h offset 7s",
    "resets(h[1h])",
};

static void test_samples_gone(void **state)
{
    struct world *w = *state;
    struct answer before[ARRAY_LEN(exact_ones)];
    struct asked a = {.start = w->from + 6 * 3600000, .end = w->to, .step = 3600000};
    struct query_engine *first = w->engine;

    for (size_t i = 0; i < ARRAY_LEN(exact_ones); i++) {
        snprintf(a.text, sizeof a.text, "%s", exact_ones[i]);
        before[i] = ask(w, &a, true);
    }
    store_close(w->store);
    tsdb_free(w->db);
    open_world(w, DAY_MS);
    upkeep_round(w->store, w->to + DAY_MS); /* samples of DAYS days are older than the retention */
    for (size_t i = 0; i < ARRAY_LEN(exact_ones); i++) {
        snprintf(a.text, sizeof a.text, "%s", exact_ones[i]);
        struct answer x = ask(w, &a, false), none = ask(w, &a, true);

        check_same_answer(&a, &before[i].r, &x.r);
        assert_false(says_so(&x.r));
        assert_true(none.q->samples_total < before[i].q->samples_total / 10);
        query_end(x.q);
        query_end(none.q);
        query_end(before[i].q);
    }
    for (size_t i = 0; i < ARRAY_LEN(rough_ones); i++) {
        snprintf(a.text, sizeof a.text, "%s", rough_ones[i]);
        struct answer x = ask(w, &a, false);

        assert_true(says_so(&x.r));
        query_end(x.q);
    }
    /* A window in proportion. */
    snprintf(a.text, sizeof a.text, "count_over_time(m_total{id=\"00\"}[1h])");
    a.start += 7000;
    struct answer x = ask(w, &a, false);
    assert_true(x.r.nseries == 1 && says_so(&x.r));
    for (uint32_t k = 0; k < x.r.series[0].npoints; k++)
        assert_true(x.r.series[0].points[k].v <= 3600000 / STEP + 2);
    query_end(x.q);
    snprintf(a.text, sizeof a.text, "count_over_time(h{id=~\"h0[0-3]\"}[1h])");
    x = ask(w, &a, false);
    assert_true(x.r.nseries == 4 && says_so(&x.r));
    for (uint32_t i = 0; i < x.r.nseries; i++)
        for (uint32_t k = 0; k < x.r.series[i].npoints; k++)
            assert_true(x.r.series[i].points[k].v <= 3600000 / STEP + 2);
    query_end(x.q);
    query_engine_free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_histogram_behind_buckets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_histograms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_samples_gone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
