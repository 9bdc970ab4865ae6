/*
 * bench_logstore.c - the log store without HTTP: ingest, flush, memory, replay, select, counts.
 *
 *     bench_logstore [MB [STREAMS [BATCH_KB [MODE [RATE]]]]]     default 400 MB of lines, 20 streams, batches of 1024 KB
 *
 * MODE: json (default), nginx, mixed. RATE: MB a second, at most. Figures are per CPU-second of the whole process, background flushes included.
 */
#include "base/base.h"
#include "logstore/logstore.h"
#include "store/store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS_MAX = 65536 };

static struct store *store;
static struct logstore *ls;
static char dir[64] = "/tmp/bench_logstore.XXXXXX";
static uint64_t rng = 1;
static uint32_t nstreams = 20;
static const char *mode = "json";
static uint64_t rate; /* bytes a second; 0: as fast as it goes */

static uint32_t rnd(uint32_t n)
{
    rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(rng >> 33) % n;
}

static double cpu_s(void)
{
    struct rusage ru;

    getrusage(RUSAGE_SELF, &ru);
    return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) + 1e-6 * (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

static long rss_mb(const char *what)
{
    char line[256];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "re");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, what, strlen(what)) == 0)
            kb = strtol(line + strlen(what) + 1, NULL, 10);
    if (f)
        fclose(f);
    return kb / 1024;
}

static double dir_mb(const char *sub)
{
    char path[512];
    struct dirent *en;
    double bytes = 0;
    DIR *d;

    snprintf(path, sizeof path, "%s/%s", dir, sub);
    if (!(d = opendir(path)))
        return 0;
    while ((en = readdir(d))) {
        struct stat st;
        char file[1024];
        snprintf(file, sizeof file, "%s/%s", path, en->d_name);
        if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
            bytes += (double)st.st_blocks * 512;
    }
    closedir(d);
    return bytes / 1e6;
}

static void die(const struct err *e)
{
    fprintf(stderr, "bench_logstore: %s\n", e->text);
    exit(1);
}

static void open_all(void)
{
    struct logstore_opts lo;
    struct store_opts so;
    struct err e = {0};

    store_opts_default(&so);
    so.dir = dir;
    logstore_opts_default(&lo);
    if (store_open(&so, &store, &e) < 0 || logstore_new(store, &lo, &ls, &e) < 0 || store_recover(store, &e) < 0 || store_start(store, &e) < 0)
        die(&e);
}

static void close_all(void)
{
    store_close(store);
    logstore_free(ls);
}

static void put_line(struct buf *b, uint64_t i)
{
    static const char *const levels[] = {"info", "info", "info", "debug", "warn", "error"};
    static const char *const paths[] = {"/api/v1/orders", "/api/v1/users", "/healthz", "/static/app.js", "/api/v1/cart/items"};
    static const char *const messages[] = {"request completed", "cache miss", "retrying upstream call", "payment authorised", "session expired"};
    int kind = strcmp(mode, "json") == 0 ? 0 : strcmp(mode, "nginx") == 0 ? 1 : (int)rnd(3);

    if (kind == 0)
        buf_printf(b, "{\"ts\":\"2026-11-22T13:%02u:%02u.%06uZ\",\"level\":\"%s\",\"msg\":\"%s\",\"trace_id\":\"%08x%08x\",\"path\":\"%s\",\"status\":%u,\"ms\":%u.%u,\"user\":%u}",
                   (unsigned)(i / 60000 % 60), (unsigned)(i / 1000 % 60), rnd(1000000), levels[rnd(6)], messages[rnd(5)], rnd(1u << 31), rnd(1u << 31), paths[rnd(5)],
                   rnd(20) ? 200u : 500u, rnd(900), rnd(10), rnd(100000));
    else if (kind == 1)
        buf_printf(b, "%u.%u.%u.%u - - [22/Nov/2026:13:%02u:%02u +0000] \"GET %s?id=%u HTTP/1.1\" %u %u \"-\" \"Mozilla/5.0 (X11; Linux x86_64) Firefox/115.0\"", rnd(256),
                   rnd(256), rnd(256), rnd(256), (unsigned)(i / 60000 % 60), (unsigned)(i / 1000 % 60), paths[rnd(5)], rnd(100000), rnd(20) ? 200u : 404u, rnd(100000));
    else
        buf_printf(b, "level=%s caller=worker.go:%u component=queue job=%u msg=\"%s\" duration=%u.%ums", levels[rnd(6)], rnd(400), rnd(1000000), messages[rnd(5)], rnd(900), rnd(1000));
}

/* A ring of ready batches, so that making lines is not what is measured. */
struct made {
    struct buf text;
    struct log_in_row *rows;
    uint32_t n;
    struct log_in *in;
    uint32_t nin;
};
enum { MADE = 64 };
static struct made ring[MADE];
static struct label level_meta[4] = {{{"detected_level", 14}, {"info", 4}}, {{"detected_level", 14}, {"warn", 4}}, {{"detected_level", 14}, {"error", 5}}, {{"detected_level", 14}, {"debug", 5}}};

static void make_batches(size_t batch_bytes, struct arena *a)
{
    for (uint32_t m = 0; m < MADE; m++) {
        struct made *x = &ring[m];
        size_t *ends = x_alloc(ROWS_MAX * sizeof *ends), from = 0;
        uint32_t streams = MIN(nstreams, 4u);

        x->rows = arena_array(a, struct log_in_row, ROWS_MAX);
        while (x->text.n < batch_bytes && x->n < ROWS_MAX) {
            put_line(&x->text, (uint64_t)m * ROWS_MAX + x->n);
            ends[x->n++] = x->text.n;
        }
        for (uint32_t i = 0; i < x->n; i++) {
            x->rows[i].line = str_n(x->text.p + from, ends[i] - from);
            x->rows[i].meta_first = rnd(4);
            x->rows[i].meta_n = 1;
            from = ends[i];
        }
        x->in = arena_array(a, struct log_in, streams);
        x->nin = streams;
        for (uint32_t k = 0; k < streams; k++) {
            x->in[k].labels = (struct labels){arena_array(a, struct label, 2), 2};
            x->in[k].labels.v[0] = (struct label){STR("app"), arena_printf(a, "app-%u", (m * streams + k) % nstreams)};
            x->in[k].labels.v[1] = (struct label){STR("service_name"), x->in[k].labels.v[0].value};
            x->in[k].first = x->n / streams * k;
            x->in[k].n = k == streams - 1 ? x->n - x->in[k].first : x->n / streams;
        }
        free(ends);
    }
}

static uint64_t ingest(uint64_t bytes)
{
    int64_t t = clock_wall_ns() - INT64_C(3600) * 1000000000, step = 20000;
    double cpu = cpu_s();
    int64_t began = clock_mono_ms();
    uint64_t sent = 0, rows = 0, busy = 0;
    struct store_stats before, after;
    struct err e = {0};
    long rss = rss_mb("VmRSS:"); /* the ready batches are not what is measured */

    store_stats(store, &before);
    for (uint32_t m = 0; sent < bytes; m = (m + 1) % MADE) {
        struct log_batch b = {.streams = ring[m].in, .nstreams = ring[m].nin, .rows = ring[m].rows, .nrows = ring[m].n, .meta = level_meta};
        for (uint32_t i = 0; i < b.nrows; i++)
            b.rows[i].t_ns = t += step;
        while (logstore_ingest_wait(ls, &b, &e) < 0) {
            if (e.code != ERR_BUSY)
                die(&e);
            busy++;
            usleep(20000);
        }
        sent += ring[m].text.n;
        rows += b.nrows;
        while (rate && sent > (uint64_t)(clock_mono_ms() - began) * rate / 1000)
            usleep(1000);
    }
    cpu = cpu_s() - cpu;
    store_stats(store, &after);
    printf("ingest   %.0f MB, %llu rows: %.0f MB per CPU-second (%.0f ns a row), %.1f s, journal %.2f of the bytes, busy %llu, RSS %+ld MB, peak %+ld MB\n",
           (double)sent / 1e6, (unsigned long long)rows, (double)sent / 1e6 / cpu, cpu * 1e9 / (double)rows, (double)(clock_mono_ms() - began) / 1e3,
           (double)(after.journal_entry_bytes - before.journal_entry_bytes) / (double)sent, (unsigned long long)busy, rss_mb("VmRSS:") - rss, rss_mb("VmHWM:") - rss);
    return rows;
}

static void query(const char *what, struct log_select_opts o)
{
    struct log_select_stats st;
    struct log_cursor *c = NULL;
    struct log_select *s;
    struct log_rows rows;
    struct err e = {0};
    double cpu = cpu_s();
    uint64_t n = 0, bytes = 0;
    bool newest = o.backward;
    int rc;

    if (logstore_select(ls, &o, &s, &e) < 0 || log_cursor_open(s, &c, &e) < 0)
        die(&e);
    while ((rc = log_cursor_next(c, &rows, &e)) == 0) {
        n += rows.n;
        for (uint32_t i = 0; i < rows.n; i++)
            bytes += rows.v[i].line.n;
        if (newest && n >= 100) { /* as an engine with a limit of 100 would, once it has 100 */
            log_select_bound(s, rows.v[99].t_ns);
            newest = false;
        }
    }
    if (rc < 0)
        die(&e);
    log_select_stats(s, &st);
    cpu = cpu_s() - cpu;
    printf("%-8s %llu rows, %.1f ms, %.0f M rows/s, %.2f GB/s of lines given, %.2f GB/s of lines looked at; blocks read %llu, skipped %llu\n", what, (unsigned long long)n,
           cpu * 1e3, (double)n / 1e6 / cpu, (double)bytes / 1e9 / cpu, (double)st.bytes_raw / 1e9 / cpu, (unsigned long long)st.blocks_read,
           (unsigned long long)st.blocks_skipped);
    log_cursor_free(c);
    log_select_free(s);
}

static void queries(void)
{
    struct str needle = STR("\"status\":500"), absent = STR("no such text anywhere"), error = STR("error");
    struct log_hint line = {.kind = LOG_HINT_LINE, .values = &needle, .nvalues = 1};
    struct log_hint no = {.kind = LOG_HINT_LINE, .values = &absent, .nvalues = 1};
    struct log_hint field = {.kind = LOG_HINT_FIELD, .parser = LOG_PARSER_JSON, .name = STR("level"), .values = &error, .nvalues = 1};
    struct log_select_opts o = {.mint_ns = INT64_MIN + 1, .maxt_ns = INT64_MAX};
    struct log_minutes m;
    struct arena a = {0};
    struct err e = {0};
    double cpu;

    query("count", o);
    o.lines = true;
    query("lines", o);
    o.backward = true;
    query("newest", o);
    o.backward = false;
    o.hints = &line;
    o.nhints = 1;
    query("grep", o);
    o.hints = &no;
    query("absent", o);
    o.hints = &field;
    query("field", o);
    cpu = cpu_s();
    if (logstore_minutes(ls, NULL, 0, 0, clock_wall_ns() + INT64_C(3600000000000), &a, NULL, &m, &e) < 0)
        die(&e);
    printf("minutes  %zu points, %.2f ms\n", m.n, (cpu_s() - cpu) * 1e3);
    arena_release(&a);
}

int main(int argc, char **argv)
{
    uint64_t mb = argc > 1 ? strtoull(argv[1], NULL, 10) : 400;
    struct arena a = {0};
    struct err e = {0};
    char cmd[128];
    double cpu;
    uint64_t rows;
    int64_t began;

    nstreams = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 20;
    mode = argc > 4 ? argv[4] : "json";
    rate = argc > 5 ? strtoull(argv[5], NULL, 10) * 1000000 : 0;
    log_setup(LOG_WARN, LOG_LOGFMT);
    if (!mkdtemp(dir))
        return 1;
    make_batches((argc > 3 ? strtoull(argv[3], NULL, 10) : 1024) << 10, &a);
    open_all();
    rows = ingest(mb * 1000000);
    cpu = cpu_s();
    close_all();
    began = clock_mono_ms();
    cpu = cpu_s();
    open_all();
    struct logstore_stats st;
    logstore_stats(ls, &st);
    printf("replay   %llu rows, %lld ms, %.2f M rows per CPU-second\n", (unsigned long long)st.head_rows, (long long)(clock_mono_ms() - began),
           (double)st.head_rows / 1e6 / (cpu_s() - cpu));
    cpu = cpu_s();
    if (store_flush(store, "logs", &e) < 0)
        die(&e);
    printf("flush    %llu rows, %.0f ns a row; partitions %.1f MB on disk, %.1f bytes a row\n", (unsigned long long)st.head_rows,
           (cpu_s() - cpu) * 1e9 / (double)MAX(st.head_rows, UINT64_C(1)), dir_mb("logs"), dir_mb("logs") * 1e6 / (double)rows);
    queries();
    cpu = cpu_s();
    if (store_reseal(store, "logs", day_of_ms(clock_wall_ms()), &e) == 0) {
        printf("seal     %.0f ns a row; %.1f MB on disk\n", (cpu_s() - cpu) * 1e9 / (double)rows, dir_mb("logs"));
        queries();
    }
    close_all();
    arena_release(&a);
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd) != 0;
}
