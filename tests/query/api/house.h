/*
 * house.h - a real store, engine and server for tests of the API, and a client that asks it. Everything is static: each test
 * program has its own.
 *
 * The series: up{instance="a|b", job="x"} and odd."label" series, one sample every 15 s from 1000 s to 1600 s after the
 * epoch.
 */
#ifndef TEST_API_HOUSE_H
#define TEST_API_HOUSE_H

#include "net/server.h"
#include "query/query.h"
#include "store/store.h"
#include "tsdb/tsdb.h"

#include "tests/query/promql/test_promql.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FROM_S = 1000, TO_S = 1600, STEP_S = 15, POINTS = (TO_S - FROM_S) / STEP_S + 1, SERIES = 4 };

static struct house {
    char dir[64];
    struct store *store;
    struct tsdb *db;
    struct query_engine *engine;
    struct http_server *server;
    struct api_ctx c;
    uint16_t port;
    bool ready;
    unsigned reloads;
} house;

/* --- set-up -------------------------------------------------------------------------------------------- */

static const char *const series[SERIES][4][2] = {
    {{"__name__", "up"}, {"instance", "a"}, {"job", "x"}},
    {{"__name__", "up"}, {"instance", "b"}, {"job", "x"}},
    {{"__name__", "odd.metric"}, {"a.b", "c\"d"}},
    {{"__name__", "steps_total"}, {"region", "own"}},
};

static int series_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    (void)b;
    out->v = arena_array(a, struct label, 4);
    for (out->n = 0; out->n < 4 && series[i][out->n][0]; out->n++)
        out->v[out->n] = (struct label){str_of(series[i][out->n][0]), str_of(series[i][out->n][1])};
    return labels_normalise(out, e);
}

static void ingest(void)
{
    static int64_t t[SERIES * POINTS];
    static double v[SERIES * POINTS];
    struct tsdb_in in[SERIES] = {0};
    struct tsdb_batch b = {.series = in, .nseries = SERIES, .t = t, .v = v, .labels = series_labels};
    struct tsdb_metadata meta = {.family = STR("up"), .help = STR("Is it up?"), .unit = STR(""), .type = METRIC_GAUGE};
    struct arena a = {0};
    struct err e;

    for (uint32_t i = 0; i < SERIES; i++) {
        struct labels ls;

        assert_int_equal(series_labels(NULL, i, &a, &ls, &e), 0);
        in[i] = (struct tsdb_in){.key = labels_hash(&ls), .first = i * POINTS, .n = POINTS};
        for (uint32_t k = 0; k < POINTS; k++) {
            t[i * POINTS + k] = (FROM_S + (int64_t)k * STEP_S) * 1000;
            v[i * POINTS + k] = i == 3 ? (double)k : i == 1 ? 0 : 1;
        }
    }
    b.metadata = &meta;
    b.nmetadata = 1;
    if (tsdb_ingest_wait(house.db, &b, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(b.series_added, SERIES);
    arena_release(&a);
}

static bool is_ready(void *arg)
{
    (void)arg;
    return house.ready;
}

static int reload(void *arg, struct err *e)
{
    (void)arg;
    return ++house.reloads > 1 ? err_set(e, ERR_INVALID, "file.yml:3: wrong") : 0;
}

static void external_labels(void *arg, struct arena *a, struct labels *out)
{
    static struct label v[] = {{STR("region"), STR("eu")}};

    (void)arg;
    (void)a;
    *out = (struct labels){v, 1};
}

static void metrics_text(void *arg, struct buf *out)
{
    (void)arg;
    buf_putz(out, "# HELP a_total Counts \"things\".\n# TYPE a_total counter\na_total{x=\"1\",y=\"a\\\\\\\"b\"} 3\n"
                  "a_total 4.5\n# HELP b Is it?\n# TYPE b gauge\nb NaN\n");
}

static int open_house(void **state)
{
    struct store_opts so;
    struct tsdb_opts to;
    struct query_engine_opts qo;
    struct http_limits hl;
    struct err e;

    (void)state;
    snprintf(house.dir, sizeof house.dir, "/tmp/tripod-api-XXXXXX");
    assert_non_null(mkdtemp(house.dir));
    log_setup(LOG_ERROR, LOG_LOGFMT);
    store_opts_default(&so);
    so.dir = house.dir;
    so.retention_ms = INT64_MAX / 2; /* the samples are of 1970 */
    tsdb_opts_default(&to);
    if (store_open(&so, &house.store, &e) < 0 || tsdb_new(house.store, &to, &house.db, &e) < 0 ||
        store_recover(house.store, &e) < 0 || store_start(house.store, &e) < 0)
        fail_msg("%s", e.text);
    ingest();
    query_engine_opts_default(&qo);
    qo.threads = 2;
    house.engine = query_engine_new(&qo);
    http_limits_default(&hl);
    house.server = http_server_new(2, &hl);
    house.c = (struct api_ctx){.store = house.store,
                               .db = house.db,
                               .engine = house.engine,
                               .server = house.server,
                               .version = "1.2.3",
                               .lifecycle = true,
                               .ready = is_ready,
                               .reload = reload,
                               .external_labels = external_labels,
                               .metrics_text = metrics_text,
                               .notices = api_notices_new()};
    api_prometheus_routes(house.server, &house.c);
    if (http_listen(house.server, "127.0.0.1:0", &house.port, &e) < 0 || http_server_start(house.server, &e) < 0)
        fail_msg("%s", e.text);
    return 0;
}

static int close_house(void **state)
{
    char command[128];

    (void)state;
    api_notices_close(house.c.notices);
    http_server_drain(house.server, 1000);
    query_engine_free(house.engine);
    store_close(house.store);
    http_server_free(house.server);
    api_notices_free(house.c.notices);
    tsdb_free(house.db);
    snprintf(command, sizeof command, "rm -rf %s", house.dir);
    return system(command);
}

/* --- a client --------------------------------------------------------------------------------------------- */

static struct buf answer; /* head and body of the last one */

static const char *body(void)
{
    const char *end = strstr(answer.p, "\r\n\r\n");

    return end ? end + 4 : "";
}

/* May hold NULs. */
static inline struct str body_bytes(void)
{
    const char *end = strstr(answer.p, "\r\n\r\n");

    return end ? str_n(end + 4, answer.n - (size_t)(end + 4 - answer.p)) : STR("");
}

static int connect_and_send(const struct buf *request)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(house.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    assert_int_equal(send(fd, request->p, request->n, MSG_NOSIGNAL), request->n);
    return fd;
}

/* A GET whose answer is left to be read. */
static inline int connect_and_ask(const char *path)
{
    struct buf out = {0};
    int fd;

    buf_printf(&out, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    fd = connect_and_send(&out);
    buf_release(&out);
    return fd;
}

/* Bytes are sent by HTTP/1.0: the answer to them is not cut into chunks. */
static int ask_bytes(const char *method, const char *path, const char *type, struct str content)
{
    struct buf out = {0};
    ssize_t n;
    int fd;

    buf_printf(&out, "%s %s HTTP/1.%d\r\nHost: x\r\nConnection: close\r\n", method, path,
               type && !strstr(type, "form") ? 0 : 1);
    if (type)
        buf_printf(&out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, content.n);
    buf_putz(&out, "\r\n");
    buf_puts(&out, content);
    fd = connect_and_send(&out);
    buf_release(&out);
    buf_reset(&answer);
    do {
        n = read(fd, buf_reserve(&answer, 65536), 65536);
        answer.n += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    close(fd);
    buf_z(&answer);
    return answer.n > 12 ? atoi(answer.p + 9) : -1;
}

static int ask(const char *method, const char *path, const char *form)
{
    return ask_bytes(method, path, form ? "application/x-www-form-urlencoded" : NULL, form ? str_of(form) : STR(""));
}

struct expect {
    const char *path;
    int status;
    const char *body;
};

static void check_all(const char *method, const struct expect *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int status = ask(method, v[i].path, NULL);

        if (status != v[i].status || strcmp(body(), v[i].body) != 0)
            fail_msg("%s %s\n  expected %d %s\n  got      %d %s", method, v[i].path, v[i].status, v[i].body, status,
                     body());
    }
}
#define CHECK_ALL(method, v) check_all(method, v, ARRAY_LEN(v))
#define BAD(text)            400, "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"" text "\"}"
#define DATA(data)           200, "{\"status\":\"success\",\"data\":" data "}"

#endif
