/* bench_model.c - see bench_model.h. About half of the values change from one scrape to the next, as on real hosts. */
#include "cmd/bench_model.h"

#include <stdio.h>

enum shape { SAME, RARE, COUNTER, GAUGE, NANOS, BUCKET, SUM };

struct dim {
    const char *label;
    uint32_t n;
    const char *fmt;          /* with %u, or NULL: words */
    const char *const *words;
};

struct family {
    const char *name, *job;
    enum shape shape;
    uint8_t decimals; /* of a step's unit */
    struct dim dims[3];
};

#define WORDS(...) (const char *const[]){__VA_ARGS__}
#define CPUS {"cpu", 32, "%u", NULL}
#define DISKS {"device", 6, "nvme%un1", NULL}
#define NICS {"device", 8, "eth%u", NULL}
#define MOUNTS {"mountpoint", 8, "/srv/data%u", NULL}
#define PATHS {"path", 6, NULL, WORDS("/api/v1/users", "/api/v1/orders/{id}", "/api/v1/search", "/login", "/healthz", "/static/*")}
#define METHODS {"method", 2, NULL, WORDS("GET", "POST")}

static const char *const bounds[12] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"};
static const uint32_t bucket_share[12] = {80, 240, 520, 730, 860, 940, 970, 985, 993, 998, 999, 1000}; /* of 1000 */

static const struct family families[] = {
    {"node_cpu_seconds_total", "node", COUNTER, 2, {CPUS, {"mode", 8, NULL, WORDS("idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")}}},
    {"node_schedstat_running_seconds_total", "node", COUNTER, 3, {CPUS}},
    {"node_softnet_processed_total", "node", COUNTER, 0, {CPUS}},
    {"node_softnet_dropped_total", "node", SAME, 0, {CPUS}},
    {"node_disk_read_bytes_total", "node", COUNTER, 0, {DISKS}},
    {"node_disk_written_bytes_total", "node", COUNTER, 0, {DISKS}},
    {"node_disk_io_time_seconds_total", "node", COUNTER, 3, {DISKS}},
    {"node_disk_io_now", "node", GAUGE, 0, {DISKS}},
    {"node_network_receive_bytes_total", "node", COUNTER, 0, {NICS}},
    {"node_network_transmit_bytes_total", "node", COUNTER, 0, {NICS}},
    {"node_network_receive_drop_total", "node", RARE, 0, {NICS}},
    {"node_network_up", "node", SAME, 0, {NICS}},
    {"node_filesystem_size_bytes", "node", SAME, 0, {MOUNTS}},
    {"node_filesystem_avail_bytes", "node", GAUGE, 0, {MOUNTS}},
    {"node_memory_usage_bytes", "node", GAUGE, 0, {{"area", 40, "area%02u", NULL}}},
    {"node_vmstat", "node", COUNTER, 0, {{"field", 24, "pg%02u", NULL}}},
    {"node_load1", "node", GAUGE, 2, {{0}}},
    {"node_hwmon_temp_celsius", "node", GAUGE, 3, {{"sensor", 12, "temp%u", NULL}}},
    {"node_scrape_collector_duration_seconds", "node", NANOS, 9, {{"collector", 24, "collector%u", NULL}}},
    {"node_scrape_collector_success", "node", SAME, 0, {{"collector", 24, "collector%u", NULL}}},
    {"node_uname_info", "node", SAME, 0, {{"release", 1, NULL, WORDS("6.1.0-28-amd64")}}},
    {"http_request_duration_seconds_bucket", "api", BUCKET, 0, {PATHS, METHODS, {"le", 12, NULL, bounds}}},
    {"http_request_duration_seconds_count", "api", COUNTER, 0, {PATHS, METHODS}},
    {"http_request_duration_seconds_sum", "api", SUM, 0, {PATHS, METHODS}},
    {"http_requests_total", "api", COUNTER, 0, {PATHS, METHODS, {"code", 5, NULL, WORDS("200", "201", "302", "404", "500")}}},
};

static uint32_t dim_count(const struct dim *d)
{
    return d->label ? d->n : 1;
}

static uint32_t family_size(const struct family *f)
{
    return dim_count(&f->dims[0]) * dim_count(&f->dims[1]) * dim_count(&f->dims[2]);
}

uint32_t bench_model_per_host(void)
{
    uint32_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        n += family_size(&families[i]);
    return n;
}

static uint32_t draw(struct bench_series *s) /* PCG-XSH-RR */
{
    uint64_t old = s->rng;
    uint32_t x = (uint32_t)(((old >> 18) ^ old) >> 27), rot = (uint32_t)(old >> 59);

    s->rng = old * 6364136223846793005u + 1442695040888963407u;
    return (x >> rot) | (x << (-rot & 31));
}

static void put_label(struct arena *a, struct labels *ls, const char *name, struct str value)
{
    (void)a;
    ls->v[ls->n++] = (struct label){str_of(name), value};
}

static struct str dim_value(struct arena *a, const struct dim *d, uint32_t at)
{
    return d->words ? str_of(d->words[at]) : arena_printf(a, d->fmt, at);
}

static void start(struct bench_series *s, const struct family *f, uint32_t le)
{
    uint32_t r = draw(s);
    bool quiet = r % 100 < 35; /* idle disks, unused paths */

    s->shape = (uint8_t)f->shape;
    s->decimals = f->decimals;
    s->rate = quiet ? 0 : 1u << (1 + (r >> 8) % 14);
    s->state = (int64_t)(r % 1000000) * (s->rate + 1);
    s->sum = (double)s->state * 0.0371;
    if (f->shape == BUCKET)
        s->rate = quiet ? 0 : 1 + ((r >> 8) % 400) * bucket_share[le] / 1000;
    if (f->shape == NANOS)
        s->rate = 20000 + r % 2000000;
}

void bench_model_series(uint64_t seed, uint64_t i, struct arena *a, struct labels *out, struct bench_series *s)
{
    uint64_t host = i / bench_model_per_host();
    uint32_t slot = (uint32_t)(i % bench_model_per_host()), at[3] = {0}, rest;
    const struct family *f = families;

    while (slot >= family_size(f))
        slot -= family_size(f++);
    rest = slot;
    for (int k = 2; k >= 0; k--) {
        at[k] = rest % dim_count(&f->dims[k]);
        rest /= dim_count(&f->dims[k]);
    }
    out->v = arena_array(a, struct label, BENCH_LABELS_MAX);
    out->n = 0;
    put_label(a, out, LABEL_NAME, str_of(f->name));
    put_label(a, out, "cluster", arena_printf(a, "eu-%u", (unsigned)(host % 3)));
    put_label(a, out, "instance", arena_printf(a, "10.%u.%u.%u:9100", (unsigned)(host >> 16) + 20, (unsigned)(host >> 8) & 255, (unsigned)host & 255));
    put_label(a, out, "job", arena_printf(a, "%s-%u", f->job, (unsigned)(host % 5)));
    for (int k = 0; k < 3; k++)
        if (f->dims[k].label)
            put_label(a, out, f->dims[k].label, dim_value(a, &f->dims[k], at[k]));
    labels_normalise(out, NULL);
    memset(s, 0, sizeof *s);
    s->rng = (seed + i) * 0x9e3779b97f4a7c15u + 1;
    draw(s);
    start(s, f, at[2]);
}

double bench_model_next(struct bench_series *s)
{
    static const double scale[] = {1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

    switch ((enum shape)s->shape) {
    case SAME:
        return (double)s->state;
    case RARE:
        s->state += draw(s) % 50 == 0;
        return (double)s->state;
    case COUNTER:
    case BUCKET:
        s->state += s->rate / 2 + (s->rate ? draw(s) % (s->rate + 1) : 0);
        return (double)s->state / scale[s->decimals];
    case GAUGE:
        if (s->rate && draw(s) % 4)
            s->state = (s->state + draw(s) % (2 * s->rate + 1)) - s->rate;
        return (double)(s->state < 0 ? -s->state : s->state) / scale[s->decimals];
    case NANOS:
        return (double)(s->rate - s->rate / 4 + draw(s) % (s->rate / 2)) / scale[s->decimals];
    case SUM:
        s->sum += s->rate ? (draw(s) % (s->rate + 1)) * 0.0371093 : 0;
        return s->sum;
    }
    return 0;
}

int64_t bench_model_time(uint64_t seed, uint64_t i, uint32_t step, int64_t start_ms, int64_t interval_ms)
{
    uint64_t host = i / bench_model_per_host();
    uint64_t h = (seed + host) * 0x9e3779b97f4a7c15u, j = (h ^ step) * 0xd6e8feb86659fd93u;
    int64_t late = (j >> 32) % 20 == 0 ? (int64_t)(j >> 56) % 10 : 0;

    return start_ms + (int64_t)(h >> 33) % interval_ms + (int64_t)step * interval_ms + late;
}
