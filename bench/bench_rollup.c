/*
 * bench_rollup.c - a long query from samples and from aggregates: what making these costs, what they take on disk, and how
 * much cheaper they are to read.
 *
 *     bench_rollup [hist] [SERIES [DAYS [STEP_S]]]     default 10000 series, 30 days, a sample every 15 s
 *
 * hist: native histograms instead (100 series, 10 days), of latencies: counters of 40 buckets, of which some grow at each
 * scrape.
 *
 * Days are written as sealed files, as an upkeep round leaves them, without going through the journal. Targets of 100 series
 * share their scrape times, which jitter by some milliseconds. Half of the series hardly move, the rest are counters
 * (which are reset now and then), gauges and decimals.
 */
#include "base/base.h"
#include "base/histogram.h"
#include "query/promql/promql.h"
#include "store/store.h"
#include "tsdb/day_file.h"
#include "tsdb/rollup_day.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PER_TARGET = 100, STRIPE = 480 };
#define DAY_MS INT64_C(86400000)

static uint32_t nseries = 10000, ndays = 30, step_ms = 15000;
static bool hists;

struct maker {
    int64_t acc;
    uint32_t rng, rate;
};

static uint32_t draw(struct maker *g)
{
    g->rng ^= g->rng << 13;
    g->rng ^= g->rng >> 17;
    g->rng ^= g->rng << 5;
    return g->rng;
}

static double next_value(struct maker *g, uint32_t i)
{
    unsigned kind = i % 20;

    if (kind < 10) {
        g->acc += draw(g) % 64 == 0;
        return (double)g->acc;
    }
    g->acc += g->rate / 2 + draw(g) % (g->rate + 1);
    if (draw(g) % 60000 == 0)
        g->acc = 0;
    if (kind < 15)
        return (double)g->acc;
    if (kind < 18)
        return (double)g->acc / 100;
    return (double)(draw(g) % 4000 * 4096);
}

static _Noreturn void die(const struct err *e)
{
    fprintf(stderr, "bench_rollup: %s\n", e->text);
    exit(1);
}

static double cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* --- building ------------------------------------------------------------------------------------------- */

static void labels_of(uint32_t i, struct arena *a, struct labels *ls)
{
    ls->v = arena_array(a, struct label, 4);
    ls->n = 4;
    ls->v[0] = (struct label){STR("__name__"), hists ? STR("bench_seconds") : STR("bench_requests_total")};
    ls->v[1] = (struct label){STR("instance"),
                              arena_printf(a, "10.0.%03u.%03u:9100", i / PER_TARGET / 250, i / PER_TARGET % 250)};
    ls->v[2] = (struct label){STR("job"), arena_printf(a, "node-%u", i / PER_TARGET % 5)};
    ls->v[3] = (struct label){STR("path"), arena_printf(a, "/api/v1/%02u", i % PER_TARGET)};
}

/* Scrape times of a target in a stripe; ms of jitter, as schedulers have it. */
static void times_of(uint32_t target, int64_t from, uint32_t n, int64_t *t)
{
    struct maker g = {.rng = target * 2654435761u + (uint32_t)(from / 1000) + 1};

    for (uint32_t k = 0; k < n; k++)
        t[k] = from + (int64_t)k * step_ms + (int64_t)(target * 977 % (step_ms - 100)) + draw(&g) % 8 + 1;
}

/* A day with all series and no samples. */
static void begin_day(struct store *s, int32_t day, struct partition **p, struct day_writer **w)
{
    struct arena a = {0};
    struct err e = {0};

    if (store_day_make(s, "metrics", day, p, &e) < 0 || day_write_begin_as(*p, 9, true, w, &e) < 0)
        die(&e);
    for (uint32_t i = 0; i < nseries; i++) {
        struct labels ls;
        uint32_t sid;

        arena_reset(&a);
        labels_of(i, &a, &ls);
        if (day_write_new(*w, labels_hash(&ls), &ls, &sid, &e) < 0)
            die(&e);
    }
    arena_release(&a);
}

static void write_day(struct store *s, struct maker *gens, int32_t day)
{
    uint32_t per_day = (uint32_t)(DAY_MS / step_ms);
    struct partition *p;
    struct day_writer *w;
    struct err e = {0};
    struct arena a = {0};
    int64_t t[STRIPE];
    double v[STRIPE];

    begin_day(s, day, &p, &w);
    for (uint32_t from = 0; from < per_day; from += STRIPE) {
        uint32_t n = MIN(per_day - from, (uint32_t)STRIPE), column;

        for (uint32_t i = 0; i < nseries; i++) {
            if (i % PER_TARGET == 0)
                times_of(i / PER_TARGET, day_start_ms(day) + (int64_t)from * step_ms, n, t);
            for (uint32_t k = 0; k < n; k++)
                v[k] = next_value(&gens[i], i);
            if (day_write_times(w, t, n, &column, &e) < 0 || day_write_series(w, i, column, v, NULL, NULL, n, &e) < 0)
                die(&e);
        }
        if (day_write_next_slice(w, &e) < 0)
            die(&e);
    }
    if (day_write_commit(w, 1, &e) < 0 || store_day_put(s, "metrics", p, 1, &e) < 0)
        die(&e);
    arena_release(&a);
}

/* What a series of latencies has counted. */
enum { CELLS = 40 };
struct latencies {
    struct maker g;
    double cells[CELLS], count, sum;
};

static const struct histogram *observe(struct latencies *l, struct arena *a)
{
    uint32_t n = l->g.rate / 4 + draw(&l->g) % (l->g.rate / 2 + 1);
    struct histogram *h = arena_new(a, struct histogram);
    struct hist_bucket *b = arena_array(a, struct hist_bucket, CELLS);

    if (draw(&l->g) % 60000 == 0)
        *l = (struct latencies){.g = l->g};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t r = draw(&l->g), cell = (r % 14 + r / 14 % 14 + r / 196 % 14); /* few are quick, few are slow */

        l->cells[cell]++;
        l->sum += ldexp(1, (int)cell / 8) / 100;
    }
    l->count += n;
    for (uint32_t i = 0; i < CELLS; i++)
        if (l->cells[i] != 0)
            b[h->npos++] = (struct hist_bucket){(int32_t)i - 30, l->cells[i]};
    h->schema = 3;
    h->zero_threshold = 0x1p-128;
    h->pos = b;
    h->count = l->count;
    h->sum = l->sum;
    return h;
}

static void write_hist_day(struct store *s, struct latencies *gens, int32_t day)
{
    uint32_t n = (uint32_t)(DAY_MS / step_ms), column;
    const struct histogram **h = x_alloc(n * sizeof *h);
    double *v = x_zalloc(n * sizeof *v);
    int64_t *t = x_alloc(n * sizeof *t);
    struct partition *p;
    struct day_writer *w;
    struct err e = {0};
    struct arena a = {0};

    begin_day(s, day, &p, &w);
    for (uint32_t i = 0; i < nseries; i++) {
        arena_reset(&a);
        if (i % PER_TARGET == 0)
            times_of(i / PER_TARGET, day_start_ms(day), n, t);
        for (uint32_t k = 0; k < n; k++)
            h[k] = observe(&gens[i], &a);
        if (day_write_times(w, t, n, &column, &e) < 0 || day_write_series(w, i, column, v, NULL, h, n, &e) < 0)
            die(&e);
    }
    if (day_write_commit(w, 1, &e) < 0 || store_day_put(s, "metrics", p, 1, &e) < 0)
        die(&e);
    arena_release(&a);
    free(h);
    free(v);
    free(t);
}

static void write_hist_days(struct store *s, int32_t first)
{
    struct latencies *gens = x_zalloc(nseries * sizeof *gens);

    for (uint32_t i = 0; i < nseries; i++)
        gens[i].g = (struct maker){.rng = i * 7919 + 13, .rate = 1 + i % 97};
    for (uint32_t d = 0; d < ndays; d++)
        write_hist_day(s, gens, first + (int32_t)d);
    free(gens);
}

static void write_days(struct store *s, int32_t first)
{
    struct maker *gens = x_zalloc(nseries * sizeof *gens);

    for (uint32_t i = 0; i < nseries; i++)
        gens[i] = (struct maker){.acc = i % 5000, .rng = i * 7919 + 13, .rate = 1 + i % 97};
    for (uint32_t d = 0; d < ndays; d++)
        write_day(s, gens, first + (int32_t)d);
    free(gens);
}

static uint64_t disk_bytes(struct store *s, const char *signal)
{
    struct store_day *days;
    uint32_t n = store_days(s, signal, &days);
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < n; i++)
        bytes += days[i].bytes;
    free(days);
    return bytes;
}

static void build(struct store *s, struct tsdb *db, int32_t first)
{
    double samples = (double)nseries * ndays * (double)(DAY_MS / step_ms), start = cpu_ms(), made;
    struct partition_list l;
    struct err e = {0};

    if (hists)
        write_hist_days(s, first);
    else
        write_days(s, first);
    printf(
        "%u series, %u days, one sample every %u s: %.0f M samples, %.1f MB (%.3f bytes a sample), written in %.1f s of CPU\n",
        nseries, ndays, step_ms / 1000, samples / 1e6, (double)disk_bytes(s, "metrics") / 1e6,
        (double)disk_bytes(s, "metrics") / samples, (cpu_ms() - start) / 1e3);
    start = cpu_ms();
    store_partitions(s, "metrics", day_start_ms(first), day_start_ms(first + (int32_t)ndays) - 1, &l);
    for (uint32_t i = 0; i < l.n; i++)
        if (rollup_make(db, l.v[i], true, true, &e) < 0)
            die(&e);
    partition_list_release(&l);
    made = cpu_ms() - start;
    printf("aggregates: %.1f ms of CPU a day, %.1f ns a sample; 5m %.1f MB (%.3f bytes a sample), 1h %.1f MB (%.3f)\n",
           made / ndays, made * 1e6 / samples, (double)disk_bytes(s, ROLLUP_5M_SIGNAL) / 1e6,
           (double)disk_bytes(s, ROLLUP_5M_SIGNAL) / samples, (double)disk_bytes(s, ROLLUP_1H_SIGNAL) / 1e6,
           (double)disk_bytes(s, ROLLUP_1H_SIGNAL) / samples);
}

/* --- asking ------------------------------------------------------------------------------------------------ */

struct answer {
    struct query *q;
    struct promql_result r;
    double cpu_ms;
    uint64_t samples;
};

static struct answer ask(struct query_engine *en, struct tsdb *db, const char *text, int64_t from, int64_t to,
                         int64_t step, bool samples)
{
    struct promql_opts o = {.db = db,
                            .start_ms = from,
                            .end_ms = to,
                            .step_ms = step,
                            .delayed_name_removal = true,
                            .samples_only = samples};
    struct answer a = {.q = query_begin(en, "promql", str_of(text), NULL)};
    struct err e = {0};
    double start = cpu_ms();

    if (promql_run(a.q, &o, &a.r, &e) < 0)
        die(&e);
    a.cpu_ms = cpu_ms() - start;
    a.samples = a.q->samples_total;
    return a;
}

static double apart(double a, double b)
{
    return f64_bits(a) == f64_bits(b) ? 0 : fabs(a - b) / fmax(fabs(a), 1e-300);
}

static double hists_differ(const struct histogram *x, const struct histogram *y)
{
    double worst = fmax(apart(x->count, y->count), apart(x->sum, y->sum));

    if (x->schema != y->schema || x->npos != y->npos)
        return INFINITY;
    for (uint32_t i = 0; i < x->npos; i++)
        worst = x->pos[i].i == y->pos[i].i ? fmax(worst, apart(x->pos[i].n, y->pos[i].n)) : INFINITY;
    return worst;
}

/* The largest relative difference between two answers; 0: the same bits. */
static double differ(const struct answer *a, const struct answer *b)
{
    double worst = 0;

    if (a->r.nseries != b->r.nseries || a->r.ninfos || b->r.ninfos)
        return INFINITY;
    for (uint32_t i = 0; i < a->r.nseries; i++) {
        const struct promql_series *x = &a->r.series[i], *y = &b->r.series[i];

        if (x->npoints != y->npoints)
            return INFINITY;
        for (uint32_t k = 0; k < x->npoints; k++) {
            if (x->points[k].t != y->points[k].t || !x->points[k].h != !y->points[k].h)
                return INFINITY;
            worst = fmax(worst, x->points[k].h ? hists_differ(x->points[k].h, y->points[k].h)
                                               : apart(x->points[k].v, y->points[k].v));
        }
    }
    return worst;
}

static double median(double *v, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && v[k] < v[k - 1]; k--) {
            double x = v[k];

            v[k] = v[k - 1];
            v[k - 1] = x;
        }
    return v[n / 2];
}

static bool compare(struct query_engine *en, struct tsdb *db, const char *text, int64_t from, int64_t to, int64_t step)
{
    enum { RUNS = 5 };
    double raw[RUNS], few[RUNS], worst = 0;
    uint64_t nraw = 0, nfew = 0;
    int runs = (double)nseries * (double)(to - from) / step_ms > 1e8 ? 1 : RUNS; /* of samples: seconds long then */
    struct answer a = {0};

    for (int i = 0; i < runs; i++) {
        if (a.q)
            query_end(a.q);
        a = ask(en, db, text, from, to, step, true);
        raw[i] = a.cpu_ms;
        nraw = a.samples;
    }
    for (int i = 0; i < RUNS; i++) {
        struct answer b = ask(en, db, text, from, to, step, false);

        few[i] = b.cpu_ms;
        nfew = b.samples;
        worst = fmax(worst, differ(&a, &b));
        query_end(b.q);
    }
    query_end(a.q);
    printf("%-58s %9.1f M %9.2f M %10.0f %10.1f %7.1f  %s", text, (double)nraw / 1e6, (double)nfew / 1e6,
           median(raw, runs), median(few, RUNS), median(raw, runs) / median(few, RUNS), worst == 0 ? "same bits" : "");
    printf(worst ? "%.1e apart\n" : "\n", worst);
    return worst < 1e-9;
}

int main(int argc, char **argv)
{
    static const char *const hourly[] = {
        "sum by (job) (rate(bench_requests_total[1h]))",
        "sum by (job) (increase(bench_requests_total[6h]))",
        "sum by (job) (bench_requests_total)",
        "max by (job) (max_over_time(bench_requests_total[1h]))",
        "avg by (job) (avg_over_time(bench_requests_total[1h]))",
    };
    static const char *const hourly_hists[] = {
        "sum by (job) (rate(bench_seconds[1h]))",
        "histogram_quantile(0.9, sum(rate(bench_seconds[1h])))",
        "histogram_count(bench_seconds)",
        "sum by (job) (bench_seconds)",
        "histogram_avg(sum(sum_over_time(bench_seconds[1h])))",
        "sum(count_over_time(bench_seconds[1h]))",
    };
    char dir[] = "/tmp/bench_rollup.XXXXXX", cmd[64];
    struct query_engine_opts qo;
    struct store_opts so;
    struct tsdb_opts to;
    struct query_engine *en;
    struct store *s;
    struct tsdb *db;
    struct err e = {0};
    bool same = true;

    hists = argc > 1 && strcmp(argv[1], "hist") == 0;
    if (hists) {
        nseries = 100;
        ndays = 10;
        argc--;
        argv++;
    }
    if (argc > 1)
        nseries = (uint32_t)atoi(argv[1]);
    if (argc > 2)
        ndays = (uint32_t)atoi(argv[2]);
    if (argc > 3)
        step_ms = (uint32_t)atoi(argv[3]) * 1000;
    if (!nseries || !ndays || !step_ms || !mkdtemp(dir))
        return 2;
    log_setup(LOG_WARN, LOG_LOGFMT);
    store_opts_default(&so);
    tsdb_opts_default(&to);
    query_engine_opts_default(&qo);
    qo.threads = 1;
    qo.limits.samples_max = 0;
    so.dir = dir;
    so.retention_ms = 0;
    if (store_open(&so, &s, &e) < 0 || tsdb_new(s, &to, &db, &e) < 0 || store_recover(s, &e) < 0)
        die(&e);
    en = query_engine_new(&qo);
    int32_t first = day_of_ms(clock_wall_ms()) - (int32_t)ndays;
    build(s, db, first);
    store_close(s);
    tsdb_free(db);
    if (store_open(&so, &s, &e) < 0 || tsdb_new(s, &to, &db, &e) < 0 || store_recover(s, &e) < 0)
        die(&e);
    int64_t from = day_start_ms(first) + 3600000, end = day_start_ms(first + (int32_t)ndays);
    printf("\n%-58s %11s %11s %10s %10s %7s\n", "steps of 1 h", "samples", "buckets", "raw CPU ms", "CPU ms", "times");
    for (size_t i = 0; i < ARRAY_LEN(hourly_hists) && hists; i++)
        same &= compare(en, db, hourly_hists[i], from, end, 3600000);
    for (size_t i = 0; i < ARRAY_LEN(hourly) && !hists; i++)
        same &= compare(en, db, hourly[i], from + (i == 1 ? 5 * 3600000 : 0), end, 3600000);
    printf("steps of 5 min, the last %u days\n", MIN(ndays, 3u));
    same &= compare(en, db,
                    hists ? "sum by (job) (rate(bench_seconds[5m]))" : "sum by (job) (rate(bench_requests_total[5m]))",
                    end - (int64_t)MIN(ndays, 3u) * DAY_MS + 300000, end, 300000);
    query_engine_free(en);
    store_close(s);
    tsdb_free(db);
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    if (system(cmd) != 0)
        return 1;
    return !same;
}
