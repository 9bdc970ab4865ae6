/*
 * bench.c - `tripod bench`: loads a Prometheus-compatible server and measures what that costs it, per CPU-second of the
 * server process. Without --url it starts a server of its own on an empty data directory and throws it away after.
 *
 * Phases: ingest (remote write 1.0, snappy), settle, queries (median of several), all printed as "key=value" lines, one a figure.
 */
#include "cmd/bench_model.h"
#include "cmd/client.h"
#include "cmd/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNS_MAX = 64, REPS_MAX = 101 };

struct bench {
    struct client client;
    uint64_t series, seed;
    uint32_t steps, conns, batch, pack, reps;
    int64_t interval_ms, end_ms;
    pid_t pid;        /* whose CPU counts */
    bool started;     /* by us */
    char dir[64];     /* of the server we started */
    char own_url[64];
    const char *query_param; /* appended to every query: nocache=1 for VictoriaMetrics */
    bool skip_ingest, skip_queries;
    uint64_t rate; /* samples a second of all connections together; 0: as fast as it goes */
};

struct question {
    const char *name;
    int64_t range_s, step_s; /* 0: instant */
    const char *expr;
};

static const struct question questions[] = {
    {"count_all", 0, 0, "count({__name__=~\".+\"})"},
    {"count_by_name", 0, 0, "count by (__name__) ({__name__=~\".+\"})"},
    {"one_series", 3600, 15, "node_load1{instance=\"10.20.0.7:9100\"}"},
    {"one_host_cpu", 3600, 15, "sum by (mode) (rate(node_cpu_seconds_total{instance=\"10.20.0.7:9100\"}[5m]))"},
    {"cpu_by_job_rate", 3600, 15, "sum by (job) (rate(node_cpu_seconds_total[5m]))"},
    {"scan_node", 3600, 60, "sum by (__name__) ({__name__=~\"node_.+\"})"},
    {"topk", 3600, 60, "topk(5, sum by (instance) (rate(http_requests_total[5m])))"},
    {"histogram_quantile", 3600, 60, "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"},
    {"avg_over_time", 0, 0, "avg by (job) (avg_over_time(node_memory_usage_bytes[1h]))"},
    {"join", 3600, 60, "sum by (release) (node_load1 * on (instance) group_left (release) node_uname_info)"},
    {"ratio", 3600, 60, "sum by (path) (rate(http_requests_total{code=\"500\"}[5m])) / sum by (path) (rate(http_requests_total[5m]))"},
    {"alert", 0, 0, "node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1"},
};

/* User and system seconds of a process, children not counted; 0 when there is no such process. */
static double cpu_seconds(pid_t pid)
{
    char path[64], text[1024];
    unsigned long user = 0, sys = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = pid > 0 ? fopen(path, "re") : NULL;
    if (!f)
        return 0;
    if (fgets(text, sizeof text, f)) {
        const char *after = strrchr(text, ')');

        if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
            user = sys = 0;
    }
    fclose(f);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static double memory_mib(pid_t pid, const char *key)
{
    char path[64], line[256];
    double kib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    f = pid > 0 ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtod(line + strlen(key) + 1, NULL);
    if (f)
        fclose(f);
    return kib / 1024;
}

/* --- ingest ----------------------------------------------------------------------------------------- */

struct sender {
    struct bench *b;
    uint64_t first, n;
    struct bench_series *state;
    struct str *labels; /* encoded label lists */
    struct arena arena;
    uint64_t sent, failed;
    int64_t worst_ns;
    pthread_t thread;
    char error[512];
};

static _Atomic uint32_t slowest_step[CONNS_MAX];

static void prepare(struct sender *s)
{
    struct buf text = {0};

    s->state = x_alloc(sizeof *s->state * s->n);
    s->labels = arena_alloc(&s->arena, sizeof *s->labels * s->n);
    for (uint64_t i = 0; i < s->n; i++) {
        struct arena scratch = {0};
        struct labels ls;

        bench_model_series(s->b->seed, s->first + i, &scratch, &ls, &s->state[i]);
        buf_reset(&text);
        labels_canonical(&text, &ls); /* the bytes of a remote write label list */
        s->labels[i] = arena_dup(&s->arena, buf_str(&text));
        arena_release(&scratch);
    }
    buf_release(&text);
}

static void put_samples(struct sender *s, struct buf *body, uint64_t i, uint32_t step, uint32_t pack)
{
    const struct bench *b = s->b;
    int64_t start = b->end_ms - (int64_t)b->steps * b->interval_ms;

    for (uint32_t k = 0; k < pack; k++) {
        double v = bench_model_next(&s->state[i]);
        uint8_t t[VARINT_MAX];
        size_t n = (size_t)(put_varint(t, (uint64_t)bench_model_time(b->seed, s->first + i, step + k, start, b->interval_ms)) - t);

        buf_putc(body, 0x12);
        buf_putc(body, (char)(10 + n));
        buf_putc(body, 0x09);
        buf_put(body, &v, 8);
        buf_putc(body, 0x10);
        buf_put(body, t, n);
    }
}

static void put_series(struct sender *s, struct buf *out, struct buf *body, uint64_t i, uint32_t step, uint32_t pack)
{
    buf_reset(body);
    buf_puts(body, s->labels[i]);
    put_samples(s, body, i, step, pack);
    buf_putc(out, 0x0a);
    buf_put_varint(out, body->n);
    buf_puts(out, buf_str(body));
}

static int post(struct sender *s, struct http_client *http, struct str wire)
{
    static const struct label headers[] = {
        {{"Content-Type", 12}, {"application/x-protobuf", 22}},
        {{"Content-Encoding", 16}, {"snappy", 6}},
        {{"X-Prometheus-Remote-Write-Version", 33}, {"0.1.0", 5}},
    };
    struct arena a = {0};
    struct http_answer answer = {0};
    struct http_call call = {
        .method = "POST",
        .url = arena_printf(&a, "%s/api/v1/write", s->b->client.url),
        .headers = headers,
        .nheaders = 3,
        .body = wire,
        .timeout_ms = 60000,
    };
    int64_t t0 = clock_mono_ns();
    int code = http_call_wait(http, &call, &a, &answer);

    s->worst_ns = MAX(s->worst_ns, clock_mono_ns() - t0);
    if (code == 0 && answer.code < 0)
        code = answer.code;
    if (code == 0 && answer.status / 100 != 2)
        code = ERR_INVALID;
    if (code < 0 && s->failed++ == 0)
        snprintf(s->error, sizeof s->error, "status %ld: %.200s%.*s", answer.status, answer.err.text, (int)MIN(answer.body.n, 200), answer.body.p ? answer.body.p : "");
    arena_release(&a);
    return code;
}

/* Servers refuse what is far behind the newest: the connections stay within a few steps of each other. */
static void wait_for_others(const struct bench *b, uint32_t me, uint32_t step)
{
    atomic_store(&slowest_step[me], step);
    for (uint32_t i = 0; i < b->conns; i++)
        while (atomic_load(&slowest_step[i]) + 20 < step)
            usleep(500);
}

/* Sleeps until the samples sent so far are due. */
static void keep_pace(const struct bench *b, const struct sender *s, int64_t begun_ns)
{
    double due_s = b->rate ? (double)s->sent * b->conns / (double)b->rate : 0;
    int64_t wait_ns = begun_ns + (int64_t)(due_s * 1e9) - clock_mono_ns();

    if (wait_ns > 0)
        usleep((useconds_t)(wait_ns / 1000));
}

static void *send_all(void *arg)
{
    struct sender *s = arg;
    struct bench *b = s->b;
    uint32_t me = (uint32_t)(s->first * b->conns / b->series);
    struct http_client *http = http_client_new();
    struct buf raw = {0}, one = {0}, wire = {0};
    uint64_t per_request = MAX(b->batch / b->pack, 1);
    int64_t begun_ns = clock_mono_ns();

    for (uint32_t step = 0; step < b->steps && s->failed < 100; step += b->pack) {
        uint32_t pack = MIN(b->pack, b->steps - step);

        wait_for_others(b, me, step);
        for (uint64_t i = 0; i < s->n; i += per_request) {
            uint64_t end = MIN(i + per_request, s->n);

            buf_reset(&raw);
            buf_reset(&wire);
            for (uint64_t k = i; k < end; k++)
                put_series(s, &raw, &one, k, step, pack);
            snappy_encode(&wire, buf_str(&raw));
            if (post(s, http, buf_str(&wire)) == 0)
                s->sent += (end - i) * pack;
            keep_pace(b, s, begun_ns);
        }
    }
    atomic_store(&slowest_step[me], UINT32_MAX - 20);
    buf_release(&raw);
    buf_release(&one);
    buf_release(&wire);
    http_client_free(http);
    return NULL;
}

static int ingest(struct bench *b)
{
    struct sender *senders = x_zalloc(sizeof *senders * b->conns);
    uint64_t sent = 0, failed = 0;
    double cpu, wall;
    int64_t t0, worst = 0;

    for (uint32_t i = 0; i < b->conns; i++) {
        senders[i].b = b;
        senders[i].first = b->series * i / b->conns;
        senders[i].n = b->series * (i + 1) / b->conns - senders[i].first;
        prepare(&senders[i]);
    }
    cpu = cpu_seconds(b->pid);
    t0 = clock_mono_ns();
    for (uint32_t i = 0; i < b->conns; i++)
        if (pthread_create(&senders[i].thread, NULL, send_all, &senders[i]) != 0)
            abort();
    for (uint32_t i = 0; i < b->conns; i++) {
        pthread_join(senders[i].thread, NULL);
        sent += senders[i].sent;
        failed += senders[i].failed;
        worst = MAX(worst, senders[i].worst_ns);
        if (senders[i].error[0])
            fprintf(stderr, "tripod bench: %s\n", senders[i].error);
        arena_release(&senders[i].arena);
        free(senders[i].state);
    }
    wall = (double)(clock_mono_ns() - t0) / 1e9;
    sleep(2); /* what was put off is part of the bill */
    cpu = cpu_seconds(b->pid) - cpu;
    printf("ingest samples=%llu failed_requests=%llu wall_s=%.2f cpu_s=%.2f samples_per_cpu_s=%.0f worst_ms=%.1f\n", (unsigned long long)sent,
           (unsigned long long)failed, wall, cpu, cpu > 0 ? (double)sent / cpu : 0, (double)worst / 1e6);
    printf("memory rss_mib=%.0f peak_mib=%.0f bytes_per_series=%.0f\n", memory_mib(b->pid, "VmRSS:"), memory_mib(b->pid, "VmHWM:"),
           memory_mib(b->pid, "VmHWM:") * 1048576 / (double)b->series);
    free(senders);
    return failed ? -1 : 0;
}

/* --- queries ------------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static int ask(struct bench *b, const struct question *q, size_t *answer_bytes, struct err *e)
{
    struct buf url = {0};
    struct arena a = {0};
    struct http_answer answer = {0};
    struct http_call call = {.method = "GET", .timeout_ms = 300000, .body_max = UINT64_C(1) << 30};
    int code;

    buf_printf(&url, "%s/api/v1/query%s?", b->client.url, q->range_s ? "_range" : "");
    if (q->range_s)
        buf_printf(&url, "start=%lld&end=%lld&step=%lld", (long long)(b->end_ms / 1000 - q->range_s), (long long)(b->end_ms / 1000), (long long)q->step_s);
    else
        buf_printf(&url, "time=%lld", (long long)(b->end_ms / 1000));
    buf_putz(&url, "&query=");
    url_encode(&url, str_of(q->expr));
    if (b->query_param)
        buf_printf(&url, "&%s", b->query_param);
    call.url = buf_str(&url);
    code = http_call_wait(b->client.http, &call, &a, &answer);
    if (code == 0 && answer.code < 0)
        code = err_set(e, answer.code, "%s", answer.err.text);
    if (code == 0 && answer.status != 200)
        code = err_set(e, ERR_EXEC, "status %ld: %.*s", answer.status, (int)MIN(answer.body.n, 200), answer.body.p);
    *answer_bytes = answer.body.n;
    buf_release(&url);
    arena_release(&a);
    return code;
}

static void queries(struct bench *b)
{
    for (size_t k = 0; k < ARRAY_LEN(questions); k++) {
        double wall[REPS_MAX], cpu;
        size_t bytes = 0;
        uint32_t n = 0;
        struct err e = {0};
        int64_t begun = clock_mono_ns();

        if (ask(b, &questions[k], &bytes, &e) < 0) {
            printf("query name=%s error=\"%s\"\n", questions[k].name, e.text);
            continue;
        }
        cpu = cpu_seconds(b->pid);
        while (n < b->reps || (n < REPS_MAX && clock_mono_ns() - begun < 500000000)) {
            int64_t t0 = clock_mono_ns();

            if (ask(b, &questions[k], &bytes, &e) < 0)
                break;
            wall[n++] = (double)(clock_mono_ns() - t0) / 1e6;
        }
        cpu = cpu_seconds(b->pid) - cpu;
        qsort(wall, n, sizeof wall[0], by_value);
        printf("query name=%s median_ms=%.2f cpu_ms=%.2f reps=%u bytes=%zu\n", questions[k].name, n ? wall[n / 2] : 0, n ? 1000 * cpu / n : 0, n, bytes);
        fflush(stdout);
    }
}

/* --- a server of our own -------------------------------------------------------------------------------- */

/* Waits for the line that says ready, and takes the address out of it. */
static int wait_ready(struct bench *b, FILE *log, struct err *e)
{
    char line[4096];

    while (fgets(line, sizeof line, log)) {
        const char *at = strstr(line, "http://"), *end = at ? strchr(at + 7, '/') : NULL;

        if (strstr(line, "ready after") && end && end - at < (ptrdiff_t)sizeof b->own_url) {
            memcpy(b->own_url, at, (size_t)(end - at));
            b->own_url[end - at] = '\0';
            b->client.url = b->own_url;
            return 0;
        }
        fputs(line, stderr);
    }
    return err_set(e, ERR_UNAVAILABLE, "the server did not start");
}

static int start_server(struct bench *b, struct err *e)
{
    char data[96], config[96];
    int fds[2], empty;
    FILE *log;

    snprintf(b->dir, sizeof b->dir, "%s/tripod-bench-XXXXXX", getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 30 ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(b->dir) || pipe(fds) < 0)
        return err_sys(e, errno, "%s", b->dir);
    snprintf(data, sizeof data, "%s/data", b->dir);
    snprintf(config, sizeof config, "%s/empty.yml", b->dir);
    empty = open(config, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (empty < 0)
        return err_sys(e, errno, "%s", config);
    close(empty);
    b->pid = fork();
    if (b->pid < 0)
        return err_sys(e, errno, "fork");
    if (b->pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        execl("/proc/self/exe", "tripod", "serve", "--config", config, "--data", data, "--listen", "127.0.0.1:0", "--compat-ports=off", (char *)NULL);
        _exit(127);
    }
    b->started = true;
    close(fds[1]);
    log = fdopen(fds[0], "r");
    return log ? wait_ready(b, log, e) : err_sys(e, errno, "pipe");
}

static void print_disk(const struct bench *b)
{
    char command[256];
    char text[64] = "";
    struct buf none = {0};
    struct err e = {0};
    cJSON *doc = NULL, *data;
    FILE *f;

    if (client_call((struct client *)&b->client, "/api/v1/admin/tsdb/flush", &none, &doc, &data, &e) < 0)
        fprintf(stderr, "tripod bench: flush: %s\n", e.text);
    cJSON_Delete(doc);
    snprintf(command, sizeof command, "du -sb '%s/data/metrics' | cut -f1", b->dir);
    f = popen(command, "r");
    if (f && fgets(text, sizeof text, f)) {
        double bytes = strtod(text, NULL);
        printf("disk metrics_bytes=%.0f bytes_per_sample=%.3f\n", bytes, bytes / ((double)b->series * b->steps));
    }
    if (f)
        pclose(f);
}

static void stop_server(const struct bench *b)
{
    char command[128];

    kill(b->pid, SIGTERM);
    waitpid(b->pid, NULL, 0);
    snprintf(command, sizeof command, "rm -rf '%s'", b->dir); /* our own mkdtemp name: nothing to quote in it */
    if (system(command) != 0)
        fprintf(stderr, "tripod bench: %s could not be removed\n", b->dir);
}

static int usage(FILE *to, int status)
{
    fputs("usage: tripod bench [flags]\n\nLoads a server with a fleet of hosts, measures ingest, memory, disk and queries per CPU-second of the server.\n"
          "Without --url it starts one of its own on an empty directory.\n\n"
          "  --url URL --pid N   a server that runs already, any that speaks remote write and the Prometheus API\n"
          "  --series N          (100000)     --steps N     scrapes (240)    --interval S  seconds between (15)\n"
          "  --conns N           (4)          --batch N     samples a request (10000)\n"
          "  --pack N            samples of a series a request (1)            --reps N      of each query (5)\n"
          "  --end T             Unix seconds of the last scrape (now)        --seed N      (1)\n"
          "  --rate N            samples a second (as fast as it goes)\n"
          "  --query-param X=Y   appended to each query       --no-ingest   queries only       --no-queries   ingest only\n",
          to);
    return status;
}

static bool number_flag(int argc, char **argv, int *i, const char *name, uint64_t *out, bool *bad)
{
    const char *text;

    if (!client_flag(argc, argv, i, name, &text))
        return false;
    *bad |= !str_to_u64(str_of(text), out);
    return true;
}

static int parse(struct bench *b, int argc, char **argv)
{
    uint64_t series = 100000, steps = 240, interval = 15, conns = 4, batch = 10000, pack = 1, reps = 5, pid = 0, end = 0, seed = 1;
    uint64_t rate = 0;
    bool bad = false;
    const char *url = NULL;

    for (int i = 1; i < argc; i++) {
        if (client_flag(argc, argv, &i, "--url", &url) || client_flag(argc, argv, &i, "--query-param", &b->query_param) ||
            number_flag(argc, argv, &i, "--series", &series, &bad) || number_flag(argc, argv, &i, "--steps", &steps, &bad) ||
            number_flag(argc, argv, &i, "--interval", &interval, &bad) || number_flag(argc, argv, &i, "--conns", &conns, &bad) ||
            number_flag(argc, argv, &i, "--batch", &batch, &bad) || number_flag(argc, argv, &i, "--pack", &pack, &bad) ||
            number_flag(argc, argv, &i, "--reps", &reps, &bad) || number_flag(argc, argv, &i, "--pid", &pid, &bad) ||
            number_flag(argc, argv, &i, "--end", &end, &bad) || number_flag(argc, argv, &i, "--seed", &seed, &bad) ||
            number_flag(argc, argv, &i, "--rate", &rate, &bad))
            continue;
        if (strcmp(argv[i], "--no-ingest") == 0)
            b->skip_ingest = true;
        else if (strcmp(argv[i], "--no-queries") == 0)
            b->skip_queries = true;
        else
            return strcmp(argv[i], "--help") == 0 ? 1 : -1;
    }
    if (bad || !series || !steps || !interval || !conns || conns > CONNS_MAX || !batch || !pack || pack > 1000 || !reps || reps > REPS_MAX ||
        steps > UINT32_MAX || batch > 10000000)
        return -1;
    b->series = series, b->steps = (uint32_t)steps, b->interval_ms = (int64_t)interval * 1000, b->conns = (uint32_t)conns;
    b->batch = (uint32_t)batch, b->pack = (uint32_t)pack, b->reps = (uint32_t)reps, b->pid = (pid_t)pid, b->seed = seed, b->rate = rate;
    b->end_ms = end ? (int64_t)end * 1000 : clock_wall_ms() / 1000 * 1000;
    if (url)
        b->client.url = url;
    else if (!pid)
        b->client.url = NULL;
    return 0;
}

int cmd_bench(int argc, char **argv)
{
    struct bench b;
    struct err e = {0};
    int code, status = EXIT_FINE;

    memset(&b, 0, sizeof b);
    client_init(&b.client);
    code = parse(&b, argc, argv);
    if (code != 0) {
        client_release(&b.client);
        return code > 0 ? usage(stdout, EXIT_FINE) : usage(stderr, EXIT_USAGE);
    }
    if (!b.client.url && start_server(&b, &e) < 0) {
        fprintf(stderr, "tripod bench: %s\n", e.text);
        status = EXIT_FAILED;
    } else {
        printf("bench series=%llu steps=%u conns=%u batch=%u pack=%u end=%lld\n", (unsigned long long)b.series, b.steps, b.conns, b.batch, b.pack,
               (long long)(b.end_ms / 1000));
        if (!b.skip_ingest && ingest(&b) < 0)
            status = EXIT_FAILED;
        if (!b.skip_queries)
            queries(&b);
        if (b.started)
            print_disk(&b);
    }
    if (b.started)
        stop_server(&b);
    client_release(&b.client);
    return status;
}
