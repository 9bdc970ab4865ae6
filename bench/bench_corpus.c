/*
 * bench_corpus.c - log files as programs write them, of any size, for measuring: bench_corpus KIND MEGABYTES START_UNIX SECONDS [SEED]
 *
 * Kinds: nginx (access log), json (an application with ids of orders, users, traces), java (log4j with stack traces), kubernetes (klog,
 * logfmt and JSON mixed), syslog (of a server). Values are drawn as they are in life: few common, many rare, ids random. In the
 * middle of each file stands the word needle7f3a9c51 once. Lines of a file lie evenly in the SECONDS that begin at START_UNIX.
 */
#include "base/base.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t state = 88172645463325252u;

static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1dULL;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)((rnd() >> 32) * n >> 32);
}

/* Small numbers are much more common than large ones: about 1/x. */
static uint32_t rare(uint32_t n)
{
    uint32_t bits = 0;

    while ((1u << bits) < n)
        bits++;
    return below(1u << below(bits + 1)) % n;
}

#define PICK(list) ((list)[rare(ARRAY_LEN(list))])

static const char *const paths[] = {"/", "/api/v1/orders/%u", "/static/app.%06x.js", "/api/v1/products?page=%u", "/health", "/login", "/api/v1/users/%u/cart",
                                    "/images/product/%u.jpg", "/search?q=shoes&page=%u", "/checkout", "/api/v2/recommendations/%u", "/favicon.ico", "/robots.txt", "/admin/login.php"};
static const char *const agents[] = {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                                     "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                                     "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
                                     "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "kube-probe/1.30", "curl/8.5.0", "Go-http-client/2.0",
                                     "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "python-requests/2.31.0"};
static const char *const methods[] = {"GET", "POST", "GET", "PUT", "DELETE", "HEAD"};
static const unsigned statuses[] = {200, 200, 304, 200, 404, 302, 500, 201, 403, 502, 499};
static const char *const levels[] = {"info", "info", "debug", "warn", "error"};
static const char *const services[] = {"checkout", "cart", "catalog", "payment", "shipping", "auth"};
static const char *const messages[] = {"request handled", "order placed", "cache miss, reading from the database", "payment authorised", "retrying after a timeout", "stock reserved",
                                       "connection reset by peer while reading the response", "user logged in", "token expired", "deadline exceeded"};
static const char *const classes[] = {"com.shop.order.OrderService", "com.shop.web.RequestFilter", "org.hibernate.engine.jdbc.spi.SqlExceptionHelper", "com.zaxxer.hikari.pool.HikariPool",
                                      "org.apache.kafka.clients.NetworkClient", "com.shop.billing.InvoiceJob"};
static const char *const exceptions[] = {"java.lang.IllegalStateException: order %u is already closed", "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after %ums.",
                                         "java.lang.NullPointerException: Cannot invoke \"com.shop.order.Item.getPrice()\" because \"item%u\" is null", "java.net.SocketTimeoutException: Read timed out after %u ms"};
static const char *const frames[] = {"com.shop.order.OrderService.close(OrderService.java:%u)", "com.shop.web.OrderController.post(OrderController.java:%u)",
                                     "java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke(DirectMethodHandleAccessor.java:103)", "org.springframework.web.method.support.InvocableHandlerMethod.doInvoke(InvocableHandlerMethod.java:%u)",
                                     "org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:%u)", "jakarta.servlet.http.HttpServlet.service(HttpServlet.java:%u)",
                                     "org.apache.catalina.core.ApplicationFilterChain.internalDoFilter(ApplicationFilterChain.java:%u)", "java.base/java.lang.Thread.run(Thread.java:1583)"};
static const char *const users[] = {"root", "admin", "deploy", "backup", "ubuntu", "git", "postgres", "test", "oracle", "www-data"};

static void put_format(struct buf *o, const char *f)
{
    /* One number at most, in either of two shapes. */
    if (strstr(f, "%06x"))
        buf_printf(o, f, below(64) * 40503u & 0xffffff);
    else if (strchr(f, '%'))
        buf_printf(o, f, rare(100000));
    else
        buf_putz(o, f);
}

static void put_ip(struct buf *o)
{
    uint32_t k = rare(30000) * 2654435761u;

    buf_printf(o, "%u.%u.%u.%u", 11 + k % 200, k >> 8 & 255, k >> 16 & 255, 1 + (k >> 24) % 254);
}

static void put_time(struct buf *o, const char *format, int64_t ns, int digits)
{
    static time_t last = -1;
    static const char *last_format;
    static char text[64];
    static size_t n;
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm;
    char frac[16];

    if (s != last || format != last_format) {
        n = strftime(text, sizeof text, format, gmtime_r(&s, &tm));
        last = s;
        last_format = format;
    }
    buf_put(o, text, n);
    if (digits) {
        snprintf(frac, sizeof frac, "%09" PRId64, ns % 1000000000);
        buf_put(o, frac, (size_t)digits);
    }
}

static void nginx_line(struct buf *o, int64_t ns)
{
    put_ip(o);
    buf_putz(o, " - - [");
    put_time(o, "%d/%b/%Y:%H:%M:%S +0000", ns, 0);
    buf_printf(o, "] \"%s ", PICK(methods));
    put_format(o, PICK(paths));
    buf_printf(o, " HTTP/1.1\" %u %u \"%s\" \"%s\" %u.%03u\n", PICK(statuses), rare(90000), below(3) ? "-" : "https://shop.example.com/", PICK(agents), rare(4) / 2, rare(1000));
}

static void json_line(struct buf *o, int64_t ns)
{
    const char *level = PICK(levels);

    buf_putz(o, "{\"ts\":\"");
    put_time(o, "%Y-%m-%dT%H:%M:%S.", ns, 6);
    buf_printf(o, "Z\",\"level\":\"%s\",\"service\":\"%s\",\"msg\":\"%s\",\"trace_id\":\"%016" PRIx64 "%016" PRIx64 "\",\"span_id\":\"%016" PRIx64 "\",\"user_id\":%u,", level,
               PICK(services), PICK(messages), rnd(), rnd(), rnd(), 10000 + rare(200000));
    if (below(2))
        buf_printf(o, "\"order_id\":\"%08" PRIx32 "-%04x-4%03x-a%03x-%012" PRIx64 "\",", (uint32_t)rnd(), below(65536), below(4096), below(4096), rnd() >> 16);
    buf_printf(o, "\"http\":{\"method\":\"%s\",\"path\":\"", PICK(methods));
    put_format(o, PICK(paths));
    buf_printf(o, "\",\"status\":%u},\"duration_ms\":%u.%02u", PICK(statuses), rare(3000), below(100));
    if (level[0] == 'e')
        buf_printf(o, ",\"error\":\"upstream %u.%u answered %u\",\"retry\":%s", 10, below(255), PICK(statuses), below(2) ? "true" : "false");
    buf_putz(o, "}\n");
}

static void java_line(struct buf *o, int64_t ns)
{
    static const char *const upper[] = {"INFO ", "INFO ", "DEBUG", "WARN ", "ERROR"};
    const char *level = PICK(upper);

    put_time(o, "%Y-%m-%d %H:%M:%S,", ns, 3);
    buf_printf(o, " %s [http-nio-8080-exec-%u] %s - %s id=%u took %u ms\n", level, 1 + rare(60), PICK(classes), PICK(messages), rare(1000000), rare(3000));
    if (level[0] == 'E') {
        put_format(o, PICK(exceptions));
        buf_putc(o, '\n');
        for (uint32_t i = 0, n = 6 + below(20); i < n; i++) {
            buf_putz(o, "\tat ");
            put_format(o, frames[(i * 7 + below(2)) % ARRAY_LEN(frames)]);
            buf_putc(o, '\n');
        }
    }
}

static void kubernetes_line(struct buf *o, int64_t ns)
{
    switch (below(4)) {
    case 0:
        buf_putc(o, "IIIIIWE"[below(7)]);
        put_time(o, "%m%d %H:%M:%S.", ns, 6);
        buf_printf(o, "       1 reflector.go:%u] \"Watch closed\" type=\"*v1.Pod\" resourceVersion=%u err=\"very short watch: namespace-%u/pod-%05x\"\n", 300 + rare(200), 10000000 + below(90000000), rare(30), below(1 << 20));
        break;
    case 1:
        buf_putz(o, "ts=");
        put_time(o, "%Y-%m-%dT%H:%M:%S.", ns, 9);
        buf_printf(o, "Z caller=controller.go:%u level=%s component=\"%s\" msg=\"%s\" namespace=ns-%u pod=%s-%08x-%05x duration=%u.%03us\n", 100 + rare(400), PICK(levels), PICK(services), PICK(messages), rare(40), PICK(services),
                   below(5000) * 2654435761u, below(1 << 20), rare(20), below(1000));
        break;
    case 2:
        buf_printf(o, "{\"level\":\"%s\",\"ts\":\"", PICK(levels));
        put_time(o, "%Y-%m-%dT%H:%M:%S.", ns, 6);
        buf_printf(o, "Z\",\"caller\":\"mvcc/kvstore_compaction.go:%u\",\"msg\":\"finished scheduled compaction\",\"compact-revision\":%u,\"took\":\"%u.%06ums\",\"hash\":%u}\n", 60 + rare(30), 40000000 + below(1000000), rare(60), below(1000000), (uint32_t)rnd());
        break;
    default:
        put_ip(o);
        buf_putz(o, " - ");
        put_time(o, "%Y-%m-%dT%H:%M:%S.", ns, 3);
        buf_printf(o, "Z probe=%s path=/healthz code=%u latency=%uus\n", below(2) ? "liveness" : "readiness", PICK(statuses), rare(50000));
    }
}

static void syslog_line(struct buf *o, int64_t ns)
{
    put_time(o, "%b %e %H:%M:%S", ns, 0);
    buf_printf(o, " web-%02u ", 1 + rare(8));
    switch (below(5)) {
    case 0:
        buf_printf(o, "sshd[%u]: Failed password for invalid user %s from ", 1000 + below(60000), PICK(users));
        put_ip(o);
        buf_printf(o, " port %u ssh2\n", 1024 + below(60000));
        break;
    case 1:
        buf_printf(o, "CRON[%u]: (%s) CMD (test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.%s; })\n", 1000 + below(60000), PICK(users), below(2) ? "hourly" : "daily");
        break;
    case 2:
        buf_printf(o, "systemd[1]: %s snap-core-%u.scope - Slice /user/%u.\n", below(2) ? "Started" : "Stopped", rare(2000), 1000 + rare(20));
        break;
    case 3:
        buf_printf(o, "kernel: [%u.%06u] audit: type=1400 audit(%" PRId64 ".%03u:%u): apparmor=\"DENIED\" operation=\"open\" profile=\"snap.%s\" pid=%u\n", 100000 + below(900000), below(1000000), ns / 1000000000, below(1000), rare(90000),
                   PICK(services), 1000 + below(60000));
        break;
    default:
        buf_printf(o, "postfix/smtpd[%u]: connect from mail-%u.example.net[", 1000 + below(60000), rare(300));
        put_ip(o);
        buf_putz(o, "]\n");
    }
}

static const struct {
    const char *name;
    void (*line)(struct buf *o, int64_t ns);
    unsigned bytes; /* of a line, about */
} kinds[] = {{"nginx", nginx_line, 215}, {"json", json_line, 340}, {"java", java_line, 330}, {"kubernetes", kubernetes_line, 160}, {"syslog", syslog_line, 120}};

int main(int argc, char **argv)
{
    struct buf o = {0};
    uint64_t want, written = 0, steps = 0;
    bool dropped = false;
    int64_t start, span;
    size_t k = 0;

    while (argc > 1 && k < ARRAY_LEN(kinds) && strcmp(argv[1], kinds[k].name) != 0)
        k++;
    if (argc < 5 || k == ARRAY_LEN(kinds)) {
        fputs("usage: bench_corpus nginx|json|java|kubernetes|syslog MEGABYTES START_UNIX SECONDS [SEED]\n", stderr);
        return 2;
    }
    want = strtoull(argv[2], NULL, 10) * 1000000;
    start = strtoll(argv[3], NULL, 10) * 1000000000;
    span = strtoll(argv[4], NULL, 10) * 1000000000;
    state ^= (argc > 5 ? strtoull(argv[5], NULL, 10) : 1) * 0x9e3779b97f4a7c15u + k;
    while (written + o.n < want) {
        double done = (double)(written + o.n) / (double)want;

        if (!dropped && done > 0.5) {
            size_t at = o.n;

            kinds[k].line(&o, start + (int64_t)(done * (double)span));
            for (o.n--; o.n > at && o.p[o.n - 1] != '\n' && o.p[o.n - 1] == '}'; o.n--)
                ; /* inside of the JSON object, else at the end */
            buf_putz(&o, o.p[at] == '{' ? ",\"note\":\"needle7f3a9c51\"}\n" : " needle7f3a9c51\n");
            dropped = true;
            continue;
        }
        kinds[k].line(&o, start + (int64_t)(done * (double)span) + (int64_t)(steps++ % 7) * 1000);
        if (o.n > 1 << 20) {
            if (fwrite(o.p, 1, o.n, stdout) != o.n)
                return 1;
            written += o.n;
            buf_reset(&o);
        }
    }
    return fwrite(o.p, 1, o.n, stdout) == o.n && fflush(stdout) == 0 ? 0 : 1;
}
