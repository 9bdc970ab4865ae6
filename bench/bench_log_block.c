/*
 * bench_log_block.c - what a log line costs in bytes and nanoseconds, by kind of log. No disk, no index: the block codec alone.
 *
 * The logs are made here, with fixed seeds. Figures are per CPU-second of this thread; the size is compared to zstd -1 of the same
 * lines (each with a newline), piece by piece as blocks are cut and as one whole. Usage: bench_log_block [MIB [KIND]]
 */
#include "logstore/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zstd.h>

static uint64_t rng;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * 0x2545f4914f6cdd1du;
}

static uint64_t below(uint64_t n)
{
    return (rnd() >> 11) % n;
}

/* Small numbers are likelier: a rough 1/x. */
static uint64_t skewed(uint64_t n)
{
    uint64_t a = below(n) + 1, b = below(n) + 1, c = below(n) + 1;

    return a * b / n * c / n % n;
}

/* --- logs ---------------------------------------------------------------------------------------------------------- */

struct made {
    int64_t t_ns;
    uint32_t stream;
    struct label meta[3];
    uint32_t nmeta;
};

static struct tm tm_of(int64_t t_ns)
{
    time_t s = (time_t)(t_ns / 1000000000);
    struct tm tm;

    gmtime_r(&s, &tm);
    return tm;
}

static void put_iso(struct buf *b, int64_t t_ns, int digits)
{
    struct tm tm = tm_of(t_ns);

    buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
               tm.tm_sec);
    buf_printf(b, digits == 3 ? "%03d" : "%06d", (int)(t_ns % 1000000000 / (digits == 3 ? 1000000 : 1000)));
}

static void make_nginx(struct buf *b, struct made *m)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static const char *const pages[] = {
        "about",       "pricing",   "docs/getting-started",      "blog/2026/why-we-moved",
        "login",       "search",    "static/js/app.4f3a2b1c.js", "static/css/main.css",
        "favicon.ico", "robots.txt"};
    static const char *const agents[] = {
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/12%d.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.%d Safari/605.1.15",
        "Mozilla/5.0 (X11; Linux x86_64; rv:12%d.0) Gecko/20100101 Firefox/12%d.0",
        "curl/7.8%d.0",
        "kube-probe/1.2%d",
        "Mozilla/5.0 (compatible; Googlebot/2.%d; +http://www.google.com/bot.html)"};
    static const int codes[] = {200, 200, 200, 200, 200, 200, 304, 301, 404, 500, 499};
    struct tm tm = tm_of(m->t_ns);
    int v = (int)skewed(10);

    buf_printf(b, "%d.%d.%d.%d - %s [%02d/%s/%04d:%02d:%02d:%02d +0000] \"", (int)(20 + skewed(200)), (int)skewed(256),
               (int)below(256), (int)below(256), below(10) ? "-" : "admin", tm.tm_mday, months[tm.tm_mon],
               tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (below(3))
        buf_printf(b, "GET /%s HTTP/1.1", pages[skewed(ARRAY_LEN(pages))]);
    else if (below(2))
        buf_printf(b, "GET /api/v1/products/%d?page=%d HTTP/1.1", (int)below(100000), (int)skewed(30));
    else
        buf_printf(b, "POST /api/v1/cart/%08x/items HTTP/2.0", (unsigned)rnd());
    buf_printf(b, "\" %d %d \"", codes[skewed(ARRAY_LEN(codes))], (int)skewed(90000));
    if (below(2))
        buf_putz(b, "-");
    else
        buf_printf(b, "https://shop.example.com/%s", pages[skewed(ARRAY_LEN(pages))]);
    buf_putz(b, "\" \"");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    buf_printf(b, agents[skewed(ARRAY_LEN(agents))], v, v);
#pragma GCC diagnostic pop
    buf_printf(b, "\" %d.%03d", (int)skewed(4), (int)below(1000));
}

static void make_json(struct buf *b, struct made *m)
{
    static const char *const levels[] = {"info", "info", "info", "info", "info", "debug", "warn", "error"};
    static const char *const services[] = {"checkout", "payment", "inventory", "auth", "gateway"};
    static const char *const routes[] = {"/api/v1/orders", "/api/v1/orders/{id}", "/api/v1/users/{id}", "/healthz",
                                         "/api/v1/cart"};
    static const char *const messages[] = {"request completed",
                                           "order %d accepted for user user_%d",
                                           "cache miss for key product:%d",
                                           "retrying call to payment in %d ms (attempt %d)",
                                           "request completed",
                                           "request completed"};
    static const char *const pods[] = {"checkout-7d9f8b6c5-x1k4z", "checkout-7d9f8b6c5-q9rmb",
                                       "payment-66c94d5f7b-2xkvp"};
    unsigned k = (unsigned)below(ARRAY_LEN(messages));

    buf_putz(b, "{\"ts\":\"");
    put_iso(b, m->t_ns, 6);
    buf_printf(b, "Z\",\"level\":\"%s\",\"service\":\"%s\",\"msg\":\"", levels[below(ARRAY_LEN(levels))],
               services[m->stream % 5]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
    buf_printf(b, messages[k], (int)below(100000), (int)below(5000));
#pragma GCC diagnostic pop
    buf_printf(b, "\",\"trace_id\":\"%016llx%016llx\",\"span_id\":\"%016llx\",", (unsigned long long)rnd(),
               (unsigned long long)rnd(), (unsigned long long)rnd());
    buf_printf(b, "\"http\":{\"method\":\"%s\",\"route\":\"%s\",\"status\":%d},", below(4) ? "GET" : "POST",
               routes[skewed(ARRAY_LEN(routes))], below(20) ? 200 : 500);
    buf_printf(b, "\"duration_ms\":%d.%d,\"user_id\":%d,\"pod\":\"%s-7d9f8b6c5-x%uk4z\"}", (int)skewed(900),
               1 + (int)below(9), (int)below(5000), services[m->stream % 5], (unsigned)below(6));
    m->nmeta = 2;
    m->meta[0] = (struct label){STR("detected_level"), str_of(levels[below(ARRAY_LEN(levels))])};
    m->meta[1] = (struct label){STR("k8s_pod_name"), str_of(pods[below(ARRAY_LEN(pods))])};
}

static void make_logfmt(struct buf *b, struct made *m)
{
    static const char *const levels[] = {"info", "info", "info", "warn", "debug", "error"};
    static const char *const callers[] = {"flush.go:253", "ingester.go:812", "table_manager.go:171", "metrics.go:207",
                                          "engine.go:263"};

    buf_putz(b, "ts=");
    put_iso(b, m->t_ns, 6);
    buf_printf(b, "Z caller=%s level=%s component=querier org_id=%d ", callers[below(ARRAY_LEN(callers))],
               levels[below(ARRAY_LEN(levels))], (int)skewed(30));
    buf_printf(b, "traceID=%016llx%016llx msg=\"executing query\" query=\"sum(rate({app=\\\"%s\\\"}[%dm]))\" ",
               (unsigned long long)rnd(), (unsigned long long)rnd(), below(2) ? "checkout" : "gateway",
               (int)(1 + below(30)));
    buf_printf(b, "duration=%d.%03dms status=%d bytes=%dkB lines=%d", (int)skewed(2000), (int)below(1000),
               below(30) ? 200 : 500, (int)skewed(9000), (int)skewed(100000));
}

static const char *const frames[] = {
    "com.example.shop.order.OrderService.place(OrderService.java:%d)",
    "com.example.shop.payment.PaymentClient.charge(PaymentClient.java:%d)",
    "org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:%d)",
    "org.apache.catalina.core.StandardWrapperValve.invoke(StandardWrapperValve.java:%d)",
    "java.base/java.util.concurrent.ThreadPoolExecutor.runWorker(ThreadPoolExecutor.java:%d)",
    "java.base/java.lang.Thread.run(Thread.java:%d)",
    "io.netty.channel.nio.NioEventLoop.processSelectedKey(NioEventLoop.java:%d)",
    "com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:%d)"};

static void make_java(struct buf *b, struct made *m)
{
    static const char *const errors[] = {
        "java.lang.NullPointerException: order is null",
        "java.sql.SQLTransientConnectionException: pool is exhausted, request timed out after 30000ms",
        "java.util.concurrent.TimeoutException: no answer within 5000 ms"};
    struct tm tm = tm_of(m->t_ns);

    buf_printf(b, "%04d-%02d-%02d %02d:%02d:%02d,%03d ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
               tm.tm_min, tm.tm_sec, (int)(m->t_ns % 1000000000 / 1000000));
    if (below(4)) {
        buf_printf(
            b,
            "INFO  [http-nio-8080-exec-%d] c.e.shop.order.OrderController - placed order %d for customer %d in %d ms",
            (int)below(40), (int)(m->t_ns / 1000000 % 10000000), (int)below(50000), (int)skewed(800));
        return;
    }
    buf_printf(b, "ERROR [http-nio-8080-exec-%d] c.e.shop.web.ErrorAdvice - request %08x failed\n%s", (int)below(40),
               (unsigned)rnd(), errors[below(ARRAY_LEN(errors))]);
    for (uint64_t n = 8 + below(20); n > 0; n--) {
        unsigned k = (unsigned)below(ARRAY_LEN(frames));

        buf_putz(b, "\n\tat ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        buf_printf(b, frames[k], (int)(100 + k * 10 + skewed(8)));
#pragma GCC diagnostic pop
    }
}

static void make_kube(struct buf *b, struct made *m)
{
    static const char *const names[] = {"coredns", "kube-proxy", "checkout", "payment", "metrics-server"};
    struct tm tm = tm_of(m->t_ns);
    const char *name = names[below(ARRAY_LEN(names))];
    unsigned id = (unsigned)below(8);
    int us = (int)(m->t_ns % 1000000000 / 1000);

    switch (below(9)) {
    case 0:
    case 1:
        buf_printf(
            b,
            "I%02d%02d %02d:%02d:%02d.%06d       1 controller.go:%d] \"Updating status\" pod=\"kube-system/%s-5d78c9869d-x%u7zq\"",
            tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, us, (int)(100 + below(5) * 17), name, id);
        break;
    case 2:
        buf_printf(
            b,
            "E%02d%02d %02d:%02d:%02d.%06d    2213 pod_workers.go:1298] \"Error syncing pod, skipping\" err=\"failed to "
            "\\\"StartContainer\\\" for \\\"%s\\\" with CrashLoopBackOff: \\\"back-off %dm0s restarting failed container\\\"\" podUID=",
            tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, us, name, (int)(1 + below(5)));
        buf_printf(b, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)rnd(), (unsigned)below(65536), (unsigned)below(4096),
                   (unsigned)below(4096), (unsigned long long)(rnd() & 0xffffffffffff));
        break;
    case 3:
        buf_printf(
            b,
            "[INFO] 10.244.%d.%d:%d - %d \"AAAA IN %s.default.svc.cluster.local. udp %d false 512\" NXDOMAIN qr,aa,rd %d 0.000%dsd",
            (int)below(5), (int)below(250), (int)(30000 + below(30000)), (int)below(65536), name, (int)(40 + below(30)),
            (int)(100 + below(90)), (int)(10000 + below(80000)));
        break;
    case 4:
        make_json(b, m);
        m->nmeta = 0;
        break;
    case 5:
        make_logfmt(b, m);
        break;
    case 6:
        buf_printf(
            b,
            "2026/11/22 %02d:%02d:%02d [error] 31#31: *%d upstream timed out (110: Connection timed out) while reading response "
            "header from upstream, client: 10.244.%d.%d, server: shop.example.com, request: \"GET /api/v1/%s HTTP/1.1\"",
            tm.tm_hour, tm.tm_min, tm.tm_sec, (int)below(1000000), (int)below(5), (int)below(250), name);
        break;
    default:
        buf_printf(b, "time=\"");
        put_iso(b, m->t_ns, 3);
        buf_printf(b, "Z\" level=info msg=\"Container to stop %08x%08x must be in running or unknown state\"",
                   (unsigned)rnd(), (unsigned)rnd());
    }
}

static void make_syslog(struct buf *b, struct made *m)
{
    struct tm tm = tm_of(m->t_ns);
    static const char *const users[] = {"root", "deploy", "alice", "bob", "carol", "backup"};

    buf_printf(b, "Nov %d %02d:%02d:%02d host-%02d ", tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
               (int)(m->stream % 12));
    switch (below(5)) {
    case 0:
        buf_printf(
            b,
            "sshd[%d]: Accepted publickey for %s from 10.1.%d.%d port %d ssh2: ED25519 SHA256:k3J9sPq8vX2mN7bR4tY6uW1zA5cD0eF",
            (int)(1000 + below(30000)), users[below(6)], (int)below(4), (int)below(256), (int)(32768 + below(28000)));
        break;
    case 1:
        buf_printf(b, "sshd[%d]: Failed password for invalid user %s from %d.%d.%d.%d port %d ssh2",
                   (int)(1000 + below(30000)), users[below(6)], (int)below(256), (int)below(256), (int)below(256),
                   (int)below(256), (int)(32768 + below(28000)));
        break;
    case 2:
        buf_printf(b, "CRON[%d]: (%s) CMD (/usr/local/bin/rotate --keep %d /var/log/app)", (int)(1000 + below(30000)),
                   users[below(6)], (int)below(30));
        break;
    case 3:
        buf_printf(
            b,
            "kernel: [%d.%06d] IN=eth0 OUT= MAC=52:54:00:12:34:56 SRC=%d.%d.%d.%d DST=10.0.0.5 LEN=%d TTL=%d PROTO=TCP SPT=%d DPT=%d",
            (int)(m->t_ns / 1000000000 % 1000000), (int)below(1000000), (int)below(256), (int)below(256),
            (int)below(256), (int)below(256), 40 + (int)skewed(1400), (int)(40 + below(80)), (int)below(65536),
            (int)skewed(10000));
        break;
    default:
        buf_printf(b, "systemd[1]: Started Session %d of user %s.", (int)below(30000), users[below(6)]);
    }
}

struct kind {
    const char *name;
    void (*make)(struct buf *b, struct made *m);
    const char *word, *absent; /* stands in some lines; in none */
};
static const struct kind kinds[] = {
    {"nginx", make_nginx, "getting-started", "phpmyadmin"},
    {"json", make_json, "attempt", "segfault"},
    {"logfmt", make_logfmt, "table_manager", "segfault"},
    {"java", make_java, "HikariPool.getConnection", "OutOfMemoryError"},
    {"kube", make_kube, "CrashLoopBackOff", "ImagePullBackOff"},
    {"syslog", make_syslog, "invalid user", "segfault"},
};

/* --- measuring ------------------------------------------------------------------------------------------------------- */

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct corpus {
    struct buf text; /* lines with newlines */
    struct log_row *rows;
    struct made *made;
    uint32_t n;
    uint32_t *cuts, ncuts; /* first rows of blocks */
    struct buf *blocks, *filters;
    uint64_t raw;
};

static void make_corpus(struct corpus *c, const struct kind *k, size_t bytes)
{
    size_t *at = NULL, room = 0;
    int64_t t = INT64_C(1763800000000000000);

    rng = 88172645463325252u;
    *c = (struct corpus){0};
    while (c->text.n < bytes) {
        if (c->n == room) {
            room = room ? room * 2 : 1024;
            at = x_realloc(at, (room + 1) * sizeof *at);
            c->made = x_realloc(c->made, room * sizeof *c->made);
        }
        t += (int64_t)skewed(20000) * 1000;
        struct made *m = &c->made[c->n];
        *m = (struct made){.t_ns = t, .stream = (uint32_t)below(20)};
        at[c->n++] = c->text.n;
        k->make(&c->text, m);
        buf_putc(&c->text, '\n');
    }
    at[c->n] = c->text.n;
    c->rows = x_zalloc(c->n * sizeof *c->rows);
    for (uint32_t i = 0; i < c->n; i++)
        c->rows[i] = (struct log_row){.t_ns = c->made[i].t_ns,
                                      .stream = c->made[i].stream,
                                      .line = {c->text.p + at[i], at[i + 1] - at[i] - 1},
                                      .meta = c->made[i].meta,
                                      .nmeta = c->made[i].nmeta};
    c->cuts = x_alloc((c->n + 1) * sizeof *c->cuts);
    size_t in_block = SIZE_MAX / 2;
    uint32_t first = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        if (in_block >= LOG_BLOCK_RAW_BYTES || i - first == LOG_BLOCK_ROWS_MAX) {
            c->cuts[c->ncuts++] = first = i;
            in_block = 0;
        }
        in_block += c->rows[i].line.n;
        c->raw += c->rows[i].line.n;
    }
    c->cuts[c->ncuts] = c->n;
    c->blocks = x_zalloc(c->ncuts * sizeof *c->blocks);
    c->filters = x_zalloc(c->ncuts * sizeof *c->filters);
    free(at);
}

static void free_corpus(struct corpus *c)
{
    for (uint32_t i = 0; i < c->ncuts; i++) {
        buf_release(&c->blocks[i]);
        buf_release(&c->filters[i]);
    }
    buf_release(&c->text);
    free(c->rows);
    free(c->made);
    free(c->cuts);
    free(c->blocks);
    free(c->filters);
}

static struct log_block_writer *w;

static double write_all(struct corpus *c, bool dense, uint64_t *blocks, uint64_t *filters)
{
    double t0 = cpu_s();

    *blocks = *filters = 0;
    for (uint32_t i = 0; i < c->ncuts; i++) {
        buf_reset(&c->blocks[i]);
        buf_reset(&c->filters[i]);
        log_block_write(w, c->rows + c->cuts[i], c->cuts[i + 1] - c->cuts[i], dense, &c->blocks[i], &c->filters[i]);
        *blocks += c->blocks[i].n;
        *filters += c->filters[i].n;
    }
    double s = cpu_s() - t0;
    return s;
}

static uint64_t zstd1(const struct corpus *c, bool pieces)
{
    uint64_t total = 0;
    size_t room = ZSTD_compressBound(c->text.n);
    char *to = x_alloc(room);

    for (uint32_t i = 0; pieces && i < c->ncuts; i++) {
        const char *from = c->rows[c->cuts[i]].line.p;
        const char *end = c->cuts[i + 1] < c->n ? c->rows[c->cuts[i + 1]].line.p : c->text.p + c->text.n;

        total += ZSTD_compress(to, room, from, (size_t)(end - from), 1);
    }
    if (!pieces)
        total = ZSTD_compress(to, room, c->text.p, c->text.n, 1);
    free(to);
    return total;
}

static void must(int code, const struct err *e)
{
    if (code < 0) {
        fprintf(stderr, "bench_log_block: %s\n", e->text);
        exit(1);
    }
}

enum how { READ_LINES, READ_FIELDS, GREP, META_LEVEL };

/* One pass over all blocks; returns rows found. */
static uint64_t pass(struct corpus *c, struct log_block *b, enum how how, struct str needle, double *seconds)
{
    static uint32_t idx[LOG_BLOCK_ROWS_MAX];
    static struct log_row rows[LOG_BLOCK_ROWS_MAX];
    static uint64_t words[LOG_BLOCK_ROWS_MAX / 64];
    struct log_hint h = {.kind = LOG_HINT_LINE, .values = &needle, .nvalues = 1};
    uint64_t found = 0;
    struct err e;
    double t0 = cpu_s();

    for (uint32_t i = 0; i < LOG_BLOCK_ROWS_MAX; i++)
        idx[i] = i;
    for (uint32_t i = 0; i < c->ncuts; i++) {
        struct log_bits bits = {words, c->cuts[i + 1] - c->cuts[i]};

        must(log_block_open(b, buf_str(&c->blocks[i]), &e), &e);
        if (how == GREP) {
            memset(words, 0, sizeof words);
            for (uint32_t k = 0; k < bits.n; k++)
                words[k / 64] |= UINT64_C(1) << k % 64;
            must(log_block_narrow(b, &h, &bits, &e), &e);
            for (uint32_t k = 0; k < (bits.n + 63) / 64; k++)
                found += (uint64_t)__builtin_popcountll(words[k]);
        } else if (how == READ_LINES) {
            must(log_block_lines(b, idx, bits.n, rows, &e), &e);
            found += bits.n;
        } else {
            must(log_block_fields(b, needle.n ? LOG_PARSER_JSON : LOG_PARSER_LOGFMT, NULL, 0, idx, bits.n, rows, &e),
                 &e);
            for (uint32_t k = 0; k < bits.n; k++)
                found += rows[k].nfields;
        }
    }
    *seconds = cpu_s() - t0;
    return found;
}

static uint32_t ask_filters(struct corpus *c, struct str needle, double *seconds)
{
    struct log_hint h = {.kind = LOG_HINT_LINE, .values = &needle, .nvalues = 1};
    uint32_t may = 0;
    double t0 = cpu_s();

    for (int k = 0; k < 100; k++)
        for (uint32_t i = 0; i < c->ncuts; i++)
            may += log_filter_may_match(buf_str(&c->filters[i]), &h, 1);
    *seconds = (cpu_s() - t0) / 100;
    return may / 100;
}

static double median3(double a, double b, double c)
{
    return a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
}

static double grep_gbs(struct corpus *c, struct log_block *b, enum how how, const char *word, uint64_t *found)
{
    double s[3];

    for (int i = 0; i < 3; i++)
        *found = pass(c, b, how, str_of(word), &s[i]);
    return (double)c->raw / median3(s[0], s[1], s[2]) / 1e9;
}

static void print_line(void *arg, const char *line)
{
    (void)arg;
    printf("    %s\n", line);
}

static void measure(const struct kind *k, size_t bytes)
{
    struct corpus c;
    struct log_block *b = log_block_new();
    uint64_t blocks, filters, dense, dense_filters, found;
    double s[3], asked;

    make_corpus(&c, k, bytes);
    if (getenv("WRITES")) /* for a profiler: nothing but writing */
        for (int i = atoi(getenv("WRITES")); i > 0; i--)
            write_all(&c, false, &blocks, &filters);
    double dense_s = write_all(&c, true, &dense, &dense_filters);
    for (int i = 0; i < 3; i++)
        s[i] = write_all(&c, false, &blocks, &filters);
    if (getenv("READS")) { /* the same: nothing but reading */
        for (int i = atoi(getenv("READS")); i > 0; i--)
            pass(&c, b, READ_LINES, STR(""), &s[0]);
        return;
    }
    double raw = (double)c.raw, z = (double)zstd1(&c, true), whole = (double)zstd1(&c, false);
    double write_s = median3(s[0], s[1], s[2]);
    printf(
        "%-7s %4.0f MB %7u rows | write %4.0f MB/s, dense %3.0f | %5.1f x smaller, %4.2f x zstd -1 (whole %4.2f), dense %4.2f | filter %4.1f %%\n",
        k->name, raw / 1e6, c.n, raw / write_s / 1e6, raw / dense_s / 1e6, raw / (double)(blocks + filters),
        z / (double)(blocks + filters), whole / (double)(blocks + filters), z / (double)(dense + dense_filters),
        100 * (double)filters / (double)blocks);
    printf("        lines %4.2f GB/s", grep_gbs(&c, b, READ_LINES, "", &found));
    printf(" | fields %4.2f", grep_gbs(&c, b, READ_FIELDS, strcmp(k->name, "json") == 0 ? "json" : "", &found));
    printf(" (%.1f a row)", (double)found / c.n);
    printf(" | grep %s %4.2f", k->word, grep_gbs(&c, b, GREP, k->word, &found));
    printf(" (%llu)", (unsigned long long)found);
    printf(" | one letter %4.2f", grep_gbs(&c, b, GREP, "e", &found));
    printf(" | absent, unfiltered %4.2f", grep_gbs(&c, b, GREP, k->absent, &found));
    uint32_t may = ask_filters(&c, str_of(k->absent), &asked);
    printf(" | absent %4.0f GB/s, %u of %u blocks", raw / asked / 1e9, may, c.ncuts);
    may = ask_filters(&c, STR("4bf92f3577b34da6a3ce929d0e0e4736"), &asked);
    printf(" | id %4.0f, %u\n", raw / asked / 1e9, may);
    if (getenv("DUMP")) {
        struct err e;
        must(log_block_open(b, buf_str(&c.blocks[0]), &e), &e);
        log_block_dump(b, print_line, NULL);
    }
    log_block_free(b);
    free_corpus(&c);
}

int main(int argc, char **argv)
{
    size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 16;

    w = log_block_writer_new();
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (argc < 3 || strcmp(argv[2], kinds[i].name) == 0)
            measure(&kinds[i], mib << 20);
    log_block_writer_free(w);
    return 0;
}
