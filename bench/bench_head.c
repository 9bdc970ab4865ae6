/*
 * bench_head.c - the time series store without HTTP: ingest by phase, memory, journal bytes, replay, select, flush.
 *
 *     bench_head [SERIES [STEPS [PACK]]]     default 100000 series, 60 scrapes of 15 s, 1 sample a series a batch
 *
 * Hosts of 1000 series each; half of the values stand still, the rest are integer counters, decimals and noise.
 */
#include "base/base.h"
#include "store/store.h"
#include "tsdb/tsdb.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PER_HOST = 1000, BATCH = 10000, STEP_MS = 15000 };

struct gen {
    int64_t acc;
    uint32_t rng, rate;
};

static uint32_t nseries = 100000, nsteps = 60, pack = 1;
static struct gen *gens;
static struct hash128 *keys;
static struct labels *sets; /* as a sender would have them in its message */
static int64_t start_ms;

static uint32_t draw(struct gen *g)
{
    g->rng ^= g->rng << 13;
    g->rng ^= g->rng >> 17;
    g->rng ^= g->rng << 5;
    return g->rng;
}

static double next_value(uint32_t i)
{
    struct gen *g = &gens[i];
    unsigned kind = i % 20;

    if (kind < 10)
        return (double)g->acc;
    g->acc += g->rate / 2 + draw(g) % (g->rate + 1);
    if (kind < 14)
        return (double)g->acc;
    if (kind < 17)
        return (double)g->acc / 100;
    if (kind < 19)
        return (double)(draw(g) % 4000 * 4096);
    return (double)g->acc * 1.0371e-3 + (double)(draw(g) & 8191) * 1e-9;
}

static void labels_of(uint32_t i, struct arena *a, struct labels *ls)
{
    static const char *const modes[] = {"idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"};
    uint32_t host = i / PER_HOST, k = i % PER_HOST;

    ls->v = arena_array(a, struct label, 6);
    ls->n = 6;
    ls->v[0] = (struct label){STR("__name__"), arena_printf(a, "node_metric_%02u_seconds_total", k / 20)};
    ls->v[1] = (struct label){STR("cluster"), arena_printf(a, "prod-eu-%u", host % 3)};
    ls->v[2] = (struct label){STR("cpu"), arena_printf(a, "%u", k % 20)};
    ls->v[3] =
        (struct label){STR("instance"), arena_printf(a, "10.%u.%u.%u:9100", host >> 16, host >> 8 & 255, host & 255)};
    ls->v[4] = (struct label){STR("job"), arena_printf(a, "node-%u", host % 5)};
    ls->v[5] = (struct label){STR("mode"), str_of(modes[k % 8])};
}

static int give_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    (void)e;
    const struct labels *ls = &sets[*(uint32_t *)b->ctx + i];

    out->v = arena_alloc(a, sizeof *out->v * ls->n);
    memcpy(out->v, ls->v, sizeof *out->v * ls->n);
    out->n = ls->n;
    return 0;
}

static double cpu_s(int who)
{
    struct rusage r;

    getrusage(who, &r);
    return (double)r.ru_utime.tv_sec + (double)r.ru_stime.tv_sec +
           1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static double rss_mib(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long total = 0, resident = 0;

    if (f && fscanf(f, "%ld %ld", &total, &resident) == 2)
        fclose(f);
    return (double)resident * 4096 / (1 << 20);
}

static void must(int rc, const struct err *e)
{
    if (rc < 0) {
        fprintf(stderr, "bench_head: %s\n", e->text);
        exit(1);
    }
}

static void fill(struct tsdb_batch *b, uint32_t first, uint32_t n, uint32_t step)
{
    for (uint32_t i = 0; i < n; i++) {
        b->series[i] = (struct tsdb_in){.key = keys[first + i], .first = i * pack, .n = pack};
        for (uint32_t k = 0; k < pack; k++) {
            b->t[i * pack + k] = start_ms + (int64_t)(step + k) * STEP_MS + (first + i) / PER_HOST % 15000;
            b->v[i * pack + k] = next_value(first + i);
        }
    }
    b->nseries = n;
}

static void ingest(struct tsdb *db)
{
    struct tsdb_batch b = {.labels = give_labels};
    uint32_t per = BATCH / pack, first;
    double cpu = 0, gen = 0, first_cpu = 0;
    uint64_t samples = 0;
    struct err e;

    b.series = x_alloc(sizeof *b.series * per);
    b.t = x_alloc(sizeof *b.t * BATCH);
    b.v = x_alloc(sizeof *b.v * BATCH);
    b.ctx = &first;
    for (uint32_t step = 0; step < nsteps; step += pack) {
        for (first = 0; first < nseries; first += per) {
            double t0 = cpu_s(RUSAGE_SELF), t1;
            fill(&b, first, MIN(per, nseries - first), step);
            t1 = cpu_s(RUSAGE_SELF);
            gen += t1 - t0;
            must(tsdb_ingest_wait(db, &b, &e), &e);
            cpu += cpu_s(RUSAGE_SELF) - t1;
            samples += (uint64_t)b.nseries * pack;
        }
        if (step == 0)
            first_cpu = cpu;
    }
    printf("new series        %8.0f ns each\n", 1e9 * first_cpu / nseries);
    printf("ingest            %8.1f ns a sample (%.2f M samples/CPU-s), generator %.1f s\n",
           1e9 * (cpu - first_cpu) / (double)(samples - (uint64_t)nseries * pack), 1e-6 * (double)samples / cpu, gen);
    free(b.series);
    free(b.t);
    free(b.v);
}

static void query(struct tsdb *db, const char *what, enum tsdb_want want, enum match_op op, const char *name,
                  const char *re, int64_t mint, int64_t maxt)
{
    struct matcher m;
    struct tsdb_select *s;
    struct tsdb_cursor *c;
    struct tsdb_samples out;
    struct err e;
    uint64_t n = 0, series = 0, ids = 0, last = 0;
    double sum = 0, t0, t1;

    must(matcher_init(&m, op, str_of(name), str_of(re), &e), &e);
    t0 = cpu_s(RUSAGE_SELF);
    must(tsdb_select_open(
             db, &(struct tsdb_select_opts){.matchers = &m, .nmatchers = 1, .mint = mint, .maxt = maxt, .want = want},
             &s, &e),
         &e);
    t1 = cpu_s(RUSAGE_SELF);
    must(tsdb_cursor_open(s, 0, &c, &e), &e);
    int rc;
    while ((rc = tsdb_cursor_next(c, &out, &e)) == 0) {
        n += out.n;
        series++;
        ids += out.times_id != last;
        last = out.times_id;
        for (uint32_t i = 0; i < out.n; i++)
            sum += out.v[i];
    }
    must(rc, &e);
    tsdb_cursor_close(c);
    tsdb_select_close(s);
    matcher_release(&m);
    double t2 = cpu_s(RUSAGE_SELF);
    printf("%-18s%8.2f ms find, %8.2f ms read: %llu series, %llu samples, %.1f ns a sample, %llu time arrays (%g)\n",
           what, 1e3 * (t1 - t0), 1e3 * (t2 - t1), (unsigned long long)series, (unsigned long long)n,
           1e9 * (t2 - t1) / (double)(n ? n : 1), (unsigned long long)ids, sum);
}

static void queries(struct tsdb *db)
{
    int64_t end = start_ms + (int64_t)nsteps * STEP_MS;

    query(db, "count of all", TSDB_NEWEST, MATCH_RE, "__name__", ".+", end - 300000, end);
    query(db, "a quarter", TSDB_SAMPLES, MATCH_EQ, "job", "node-1", start_ms, end);
    query(db, "one host", TSDB_SAMPLES, MATCH_EQ, "instance", "10.0.0.7:9100", start_ms, end);
    query(db, "everything", TSDB_SAMPLES, MATCH_RE, "__name__", "node_.*", start_ms, end);
}

static void open_db(const char *dir, struct store **s, struct tsdb **db)
{
    struct store_opts so;
    struct tsdb_opts to;
    struct err e;

    store_opts_default(&so);
    so.dir = dir;
    so.journal_budget_bytes = UINT64_C(4) << 30;
    so.head_budget_bytes = UINT64_C(4) << 30;
    tsdb_opts_default(&to);
    must(store_open(&so, s, &e), &e);
    must(tsdb_new(*s, &to, db, &e), &e);
    double t0 = cpu_s(RUSAGE_SELF);
    int64_t w0 = clock_mono_ns();
    must(store_recover(*s, &e), &e);
    printf("recover           %8.1f ms CPU, %.1f ms\n", 1e3 * (cpu_s(RUSAGE_SELF) - t0),
           1e-6 * (double)(clock_mono_ns() - w0));
    must(store_start(*s, &e), &e);
}

static void close_db(struct store *s, struct tsdb *db)
{
    store_close(s);
    tsdb_free(db);
}

int main(int argc, char **argv)
{
    char dir[] = "bench_head.XXXXXX", rm[64];
    struct store *s;
    struct tsdb *db;
    struct store_stats st;
    struct tsdb_stats ts;
    struct arena a = {0};
    struct err e;
    double base;

    if (argc > 1)
        nseries = (uint32_t)atoi(argv[1]);
    if (argc > 2)
        nsteps = (uint32_t)atoi(argv[2]);
    if (argc > 3)
        pack = (uint32_t)atoi(argv[3]);
    if (!mkdtemp(dir))
        return 1;
    start_ms = clock_wall_ms() - (int64_t)nsteps * STEP_MS - 20000;
    gens = x_zalloc(sizeof *gens * nseries);
    keys = x_zalloc(sizeof *keys * nseries);
    sets = x_zalloc(sizeof *sets * nseries);
    for (uint32_t i = 0; i < nseries; i++) {
        labels_of(i, &a, &sets[i]);
        keys[i] = labels_hash(&sets[i]);
        gens[i] = (struct gen){.acc = i * 7, .rng = i * 2654435761u | 1, .rate = 1u << (i / 20 % 17)};
    }
    log_setup(LOG_WARN, LOG_LOGFMT);
    open_db(dir, &s, &db);
    base = rss_mib();
    ingest(db);
    store_stats(s, &st);
    tsdb_stats(db, &ts);
    printf("journal           %8.2f bytes a sample\n", (double)st.journal_entry_bytes / ((double)nseries * nsteps));
    printf("memory            %8.0f bytes a series (%.0f MiB; head says %.0f MiB)\n",
           (rss_mib() - base) * (1 << 20) / nseries, rss_mib() - base, (double)ts.head_bytes / (1 << 20));
    queries(db);
    close_db(s, db);
    open_db(dir, &s, &db);
    queries(db);
    double t0 = cpu_s(RUSAGE_SELF);
    must(store_flush(s, "metrics", &e), &e);
    printf("flush             %8.1f ms CPU\n", 1e3 * (cpu_s(RUSAGE_SELF) - t0));
    store_stats(s, &st);
    queries(db);
    malloc_trim(0);
    printf("memory after      %8.0f bytes a series\n", (rss_mib() - base) * (1 << 20) / nseries);
    close_db(s, db);
    free(gens);
    free(keys);
    free(sets);
    arena_release(&a);
    snprintf(rm, sizeof rm, "rm -rf %s", dir);
    return system(rm) != 0;
}
