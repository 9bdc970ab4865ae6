/*
 * test_scraper.c - the whole loop against an HTTP server in this process; what would be stored is kept in a list
 * instead.
 *
 * The store's entry is replaced where the loop calls it; answers come later and from another thread, as the real ones
 * do.
 */
#include "collector/scrape/scraper_private.h"

static int fake_ingest(struct tsdb *db, struct tsdb_batch *b, tsdb_done *done, bool *later, struct err *e);
#define tsdb_ingest fake_ingest
#include "collector/scrape/scrape_run.c"
#undef tsdb_ingest

#include "base/histogram.h"
#include "net/net.h"
#include "tests/collector/push/encode.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* --- a store that only remembers ---------------------------------------------------------------------------- */

struct row {
    char *series;
    int64_t t;
    double v;
};

static struct {
    pthread_mutex_t mu;
    struct row *rows;
    uint32_t n, cap;
    struct map keys; /* hash128 -> printed labels: labels are asked for once a key, as the store does */
    struct arena arena;
    uint32_t asked, exemplars, metadata;
    int code; /* what an ingest ends with */
    struct pool *journal;
} db = {.mu = PTHREAD_MUTEX_INITIALIZER};

static const char *name_of(struct tsdb_batch *b, uint32_t i)
{
    struct str key = arena_dup(&db.arena, str_n(&b->series[i].key, sizeof(struct hash128)));
    void **slot = map_put(&db.keys, key, NULL);
    struct arena a = {0};
    struct buf text = {0};
    struct labels ls;
    struct err e = {0};

    if (*slot)
        return *slot;
    db.asked++;
    if (b->labels(b, i, &a, &ls, &e) < 0)
        fail_msg("labels: %s", e.text);
    labels_print(&text, &ls);
    *slot = (void *)(uintptr_t)arena_dup(&db.arena, buf_str(&text)).p;
    buf_release(&text);
    arena_release(&a);
    return *slot;
}

struct later {
    struct tsdb_batch *b;
    tsdb_done *done;
    int code;
};

static void run_done(void *arg)
{
    struct later *l = arg;
    struct err e;

    if (l->code < 0)
        err_set(&e, l->code, "made up");
    l->done(l->b, l->code, l->code < 0 ? &e : NULL);
    free(l);
}

/* Of a histogram: its count, a hundredth for each bucket, and a thousand when its buckets are custom ones. */
static double value_of(const struct tsdb_batch *b, uint32_t i)
{
    const struct histogram *h = b->h ? b->h[i] : NULL;

    return h ? h->count + (h->npos + h->nneg) / 100.0 + (hist_custom(h) ? 1000 : 0) : b->v[i];
}

static int fake_ingest(struct tsdb *unused, struct tsdb_batch *b, tsdb_done *done, bool *later, struct err *e)
{
    struct later *l = x_alloc(sizeof(*l));

    (void)unused;
    (void)e;
    pthread_mutex_lock(&db.mu);
    for (uint32_t i = 0; i < b->nseries && db.code == 0; i++) {
        const char *name = name_of(b, i);

        assert_int_equal(b->series[i].n, 1);
        if (db.n == db.cap)
            db.rows = x_realloc(db.rows, sizeof(*db.rows) * (db.cap = db.cap * 2 + 64));
        db.rows[db.n++] = (struct row){(char *)(uintptr_t)name, b->t[b->series[i].first], value_of(b, b->series[i].first)};
        db.exemplars += b->series[i].exemplar_n;
        b->verdicts[TSDB_OK]++;
    }
    db.metadata += b->nmetadata;
    *l = (struct later){b, done, db.code};
    pthread_mutex_unlock(&db.mu);
    *later = true;
    pool_run(db.journal, run_done, l);
    return 0;
}

static void db_reset(void)
{
    pthread_mutex_lock(&db.mu);
    db.n = 0;
    db.asked = db.exemplars = db.metadata = 0;
    db.code = 0;
    pthread_mutex_unlock(&db.mu);
}

/* The newest row of a series, or NULL; waits up to 3 s until it satisfies. */
enum want { ANY, STALE, VALUE };

static bool newest(const char *series, struct row *out)
{
    bool found = false;

    pthread_mutex_lock(&db.mu);
    for (uint32_t i = db.n; i-- > 0 && !found;) {
        if (strcmp(db.rows[i].series, series) == 0) {
            *out = db.rows[i];
            found = true;
        }
    }
    pthread_mutex_unlock(&db.mu);
    return found;
}

static struct row expect(const char *series, enum want want, double v)
{
    struct row r = {0};

    for (int i = 0; i < 3000; i++) {
        if (newest(series, &r) && (want == ANY || (want == STALE && is_stale(r.v)) || (want == VALUE && r.v == v)))
            return r;
        usleep(1000);
    }
    pthread_mutex_lock(&db.mu);
    for (uint32_t i = 0; i < db.n; i++)
        print_message("%s %lld %g\n", db.rows[i].series, (long long)db.rows[i].t, db.rows[i].v);
    pthread_mutex_unlock(&db.mu);
    fail_msg("%s did not become %s %g", series, want == STALE ? "stale" : "", v);
    return r;
}

static uint32_t count_rows(const char *series)
{
    uint32_t n = 0;

    pthread_mutex_lock(&db.mu);
    for (uint32_t i = 0; i < db.n; i++)
        n += strcmp(db.rows[i].series, series) == 0;
    pthread_mutex_unlock(&db.mu);
    return n;
}

/* --- a target ----------------------------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t mu;
    int status;
    const char *type;
    char body[4096];
    size_t body_n;
    char accept[512], timeout[32], query[128];
    uint32_t limited; /* requests by targets that are over their limit */
} page = {.mu = PTHREAD_MUTEX_INITIALIZER};

static void serve(struct http_request *r, void *arg)
{
    struct str accept = http_header(r, "Accept"), timeout = http_header(r, "X-Prometheus-Scrape-Timeout-Seconds");

    (void)arg;
    pthread_mutex_lock(&page.mu);
    page.limited += str_find(r->raw_query, STR("limited")) >= 0;
    snprintf(page.accept, sizeof(page.accept), "%.*s", STR_ARG(accept));
    snprintf(page.timeout, sizeof(page.timeout), "%.*s", STR_ARG(timeout));
    snprintf(page.query, sizeof(page.query), "%.*s", STR_ARG(r->raw_query));
    http_reply(r, page.status, page.type, str_n(page.body, page.body_n));
    pthread_mutex_unlock(&page.mu);
}

static void expose(int status, const char *type, const char *body)
{
    pthread_mutex_lock(&page.mu);
    page.status = status;
    page.type = type;
    page.body_n = (size_t)snprintf(page.body, sizeof(page.body), "%s", body);
    pthread_mutex_unlock(&page.mu);
}

static void expose_protobuf(const struct buf *families)
{
    pthread_mutex_lock(&page.mu);
    page.status = 200;
    page.type = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    memcpy(page.body, families->p, families->n);
    page.body_n = families->n;
    pthread_mutex_unlock(&page.mu);
}

static void expose_text(const char *body)
{
    expose(200, "text/plain; version=0.0.4", body);
}

static struct http_server *server;
static struct http_client *client;
static uint16_t port;

static int setup_all(void **state)
{
    struct err e = {0};

    (void)state;
    db.journal = pool_new("journal", 1, 0);
    server = http_server_new(1, NULL);
    http_route(server, HTTP_GET, "/metrics", PERM_OPEN, 0, serve, NULL);
    if (http_listen(server, "127.0.0.1:0", &port, &e) < 0 || http_server_start(server, &e) < 0)
        fail_msg("%s", e.text);
    client = http_client_new();
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    http_client_free(client);
    http_server_free(server);
    pool_free(db.journal);
    free(db.rows);
    map_release(&db.keys);
    arena_release(&db.arena);
    return 0;
}

/* %P in the text is the port. The caller owns a reference. */
static struct scrape_configs *config(const char *text)
{
    struct arena a = {0};
    struct buf b = {0};
    struct conf *root;
    struct scrape_configs *c = NULL;
    struct err e = {0};

    for (const char *p = text; *p; p++) {
        if (p[0] == '%' && p[1] == 'P') {
            buf_printf(&b, "%u", port);
            p++;
        } else {
            buf_putc(&b, *p);
        }
    }
    if (conf_parse(&a, STR("t.yml"), buf_str(&b), &root, &e) < 0 || scrape_configs_read(root, STR(""), &c, &e) < 0)
        fail_msg("%s", e.text);
    buf_release(&b);
    arena_release(&a);
    return c;
}

static void apply(struct scraper *s, const char *text)
{
    struct scrape_configs *c = config(text);
    struct err e = {0};

    if (scraper_apply(s, c, &e) < 0)
        fail_msg("%s", e.text);
    scrape_configs_unref(c); /* it holds its own */
}

static struct scraper *start_scraper(const char *text)
{
    struct scraper *s = scraper_new(NULL, client);

    db_reset();
    apply(s, text);
    return s;
}

#define PLAIN "scrape_configs: [{job_name: j, scrape_interval: 100ms, static_configs: [{targets: ['127.0.0.1:%P']}]"
#define OWN   "instance=\"i\", job=\"j\""

/* instance is set so that the port does not matter. */
#define FIXED PLAIN ", relabel_configs: [{target_label: instance, replacement: i}]"

/* --- tests --------------------------------------------------------------------------------------------------- */

static void test_rows(void **state)
{
    struct scraper *s;
    struct scraper_stats stats;
    struct row a, up;

    (void)state;
    expose_text("# HELP a some help\n# TYPE a counter\na 1\nb{job=\"mine\",x=\"1\"} 2\nc 3\nc 4\n# TYPE h "
                "histogram\nh_bucket{le=\"1\"} 5\n");
    s = start_scraper(FIXED ", params: {m: [z]}}]");
    a = expect("a{" OWN "}", VALUE, 1);
    expect("b{exported_job=\"mine\", " OWN ", x=\"1\"}", VALUE, 2);
    expect("c{" OWN "}", VALUE, 3); /* the second is a duplicate */
    expect("h_bucket{" OWN ", le=\"1.0\"}", VALUE, 5);
    up = expect("up{" OWN "}", VALUE, 1);
    expect("scrape_samples_scraped{" OWN "}", VALUE, 5);
    expect("scrape_samples_post_metric_relabeling{" OWN "}", VALUE, 5);
    expect("scrape_duration_seconds{" OWN "}", ANY, 0);
    expect("scrape_series_added{" OWN "}", VALUE, 0); /* from the second scrape on */
    assert_int_equal(a.t, up.t);
    scraper_stats(s, &stats);
    assert_true(stats.targets == 1 && stats.up == 1 && stats.dropped_duplicate > 0 && stats.failures == 0);
    pthread_mutex_lock(&page.mu);
    assert_non_null(strstr(page.accept, "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6"));
    assert_string_equal(page.timeout, "0.1");
    assert_string_equal(page.query, "m=z");
    pthread_mutex_unlock(&page.mu);
    scraper_free(s);
    pthread_mutex_lock(&db.mu);
    assert_true(db.asked <= 10 && db.metadata >= 2 && db.metadata <= 3);
    pthread_mutex_unlock(&db.mu);
}

/* Each scrape belongs to its own tick and nothing drifts; what is stamped off the grid came late by more than the
 * tolerance. */
static void test_times_are_on_a_grid(void **state)
{
    struct scraper *s;
    int64_t offset, last = 0, late = 0;
    uint32_t n = 0;

    (void)state;
    expose_text("a 1\n");
    s = start_scraper(FIXED "}]");
    while (count_rows("a{" OWN "}") < 8)
        usleep(5000);
    pthread_mutex_lock(&s->mu);
    offset = s->pools[0]->targets[0]->offset_ms;
    pthread_mutex_unlock(&s->mu);
    scraper_free(s);
    for (uint32_t i = 0; i < db.n; i++) {
        int64_t tick = (db.rows[i].t - offset + 1) / 100;

        if (strcmp(db.rows[i].series, "a{" OWN "}") != 0)
            continue;
        assert_true(n++ == 0 || tick > last);
        last = tick;
        late += db.rows[i].t - offset - tick * 100;
    }
    assert_true(late < 50 * (int64_t)n);
}

static void test_staleness(void **state)
{
    struct scraper *s;
    struct row gone, b, up;

    (void)state;
    expose_text("a 1\nb 2\n");
    s = start_scraper(FIXED "}]");
    expect("a{" OWN "}", VALUE, 1);
    expose_text("b 2\n");
    gone = expect("a{" OWN "}", STALE, 0);
    b = expect("b{" OWN "}", VALUE, 2);
    assert_true(b.t >= gone.t);
    usleep(250000);
    assert_false(is_stale(expect("b{" OWN "}", ANY, 0).v));
    expose(500, "text/plain", "oh");
    gone = expect("b{" OWN "}", STALE, 0);
    up = expect("up{" OWN "}", VALUE, 0);
    usleep(250000);
    assert_int_equal(expect("b{" OWN "}", STALE, 0).t, gone.t); /* one marker, not one each scrape */
    assert_true(up.t >= gone.t);
    expose_text("b 3\n");
    expect("b{" OWN "}", VALUE, 3);
    expose_text("b 3\nb{ 4\n"); /* nothing of a torn body is kept */
    expect("b{" OWN "}", STALE, 0);
    expose(200, "text/plain", "");
    expect("up{" OWN "}", VALUE, 1); /* an empty body is fine */
    scraper_free(s);
}

static void test_explicit_times_are_not_tracked(void **state)
{
    struct scraper *s;

    (void)state;
    expose_text("a 1 1700000000000\nb 2\n");
    s = start_scraper(FIXED "}]");
    assert_int_equal(expect("a{" OWN "}", VALUE, 1).t, INT64_C(1700000000000));
    expose_text("b 3\n");
    expect("b{" OWN "}", VALUE, 3);
    usleep(150000);
    assert_false(is_stale(expect("a{" OWN "}", ANY, 0).v));
    scraper_free(s);
    expose_text("a 1 1700000000000\nb 2\n");
    s = start_scraper(FIXED ", honor_timestamps: false}]");
    assert_true(expect("a{" OWN "}", VALUE, 1).t > INT64_C(1750000000000));
    scraper_free(s);
}

static void test_honor_labels(void **state)
{
    struct scraper *s;

    (void)state;
    expose_text("a{job=\"x\"} 1\nb{instance=\"\"} 2\n");
    s = start_scraper(FIXED ", honor_labels: true}]");
    expect("a{instance=\"i\", job=\"x\"}", VALUE, 1);
    expect("b{job=\"j\"}", VALUE, 2);
    scraper_free(s);
    expose_text("a{job=\"x\",exported_job=\"y\"} 1\n");
    s = start_scraper(FIXED "}]");
    expect("a{exported_exported_job=\"x\", exported_job=\"y\", " OWN "}", VALUE, 1);
    scraper_free(s);
}

static void test_relabel_and_limits(void **state)
{
    struct scraper *s;

    (void)state;
    expose_text("a 1\nb 2\nc 3\n");
    s = start_scraper(
        FIXED ", sample_limit: 2, metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}, "
              "{source_labels: [__name__], regex: c, target_label: __name__, replacement: d}]}]");
    expect("d{" OWN "}", VALUE, 3);
    expect("scrape_samples_post_metric_relabeling{" OWN "}", VALUE, 2);
    assert_int_equal(count_rows("b{" OWN "}"), 0);
    expose_text("a 1\nb 2\nc 3\ne 4\n");
    expect("up{" OWN "}", VALUE, 0);
    expect("a{" OWN "}", STALE, 0);
    expect("scrape_samples_post_metric_relabeling{" OWN "}", VALUE, 3);
    scraper_free(s);
    s = start_scraper(FIXED ", label_value_length_limit: 3}]");
    expose_text("a{l=\"abcd\"} 1\n");
    expect("up{" OWN "}", VALUE, 0);
    usleep(250000); /* it fails again and again, not only when the series is new */
    expect("up{" OWN "}", VALUE, 0);
    expose_text("a{l=\"abc\"} 1\n");
    expect("a{" OWN ", l=\"abc\"}", VALUE, 1);
    scraper_free(s);
}

static void test_body_limit_and_type(void **state)
{
    struct scraper *s;

    (void)state;
    expose_text("a 1\nb 234567\n");
    s = start_scraper(FIXED ", body_size_limit: 13, extra_scrape_metrics: true}]");
    expect("up{" OWN "}", VALUE, 0);
    expect("scrape_body_size_bytes{" OWN "}", VALUE, -1);
    expose_text("a 1\nb 23456\n");
    expect("scrape_body_size_bytes{" OWN "}", VALUE, 12);
    expect("scrape_timeout_seconds{" OWN "}", VALUE, 0.1);
    expose(200, "text/html", "a 1\n");
    expect("up{" OWN "}", VALUE, 0);
    scraper_free(s);
    s = start_scraper(FIXED ", fallback_scrape_protocol: PrometheusText0.0.4}]");
    expect("a{" OWN "}", VALUE, 1);
    scraper_free(s);
}

/* Family h: a native histogram of schema 0 with 5 observations in 4 buckets (one is zero's), or 3 classic ones, or both. */
static void put_family(struct buf *out, bool native, bool classic)
{
    static const double bounds[] = {1, 2};
    struct buf f = {0}, m = {0}, h = {0}, x = {0};

    pb_bytes(&f, 1, STR("h"));
    pb_varint(&f, 3, 4);
    pb_varint(&h, 1, 5);
    pb_double(&h, 2, 7.5);
    for (uint64_t i = 0; classic && i < 2; i++) {
        pb_varint(&x, 1, 2 * (i + 1));
        pb_double(&x, 2, bounds[i]);
        pb_message(&h, 3, &x);
    }
    if (native) {
        pb_double(&h, 6, 0x1p-128);
        pb_varint(&h, 7, 1);
        pb_varint(&x, 2, 3);
        pb_message(&h, 12, &x);
        buf_put_varint(&x, zigzag(1));
        buf_put_varint(&x, zigzag(0));
        buf_put_varint(&x, zigzag(1));
        pb_message(&h, 13, &x);
    }
    pb_message(&m, 7, &h);
    pb_message(&f, 4, &m);
    buf_put_varint(out, f.n);
    buf_puts(out, buf_str(&f));
    buf_release(&f);
    buf_release(&m);
    buf_release(&h);
    buf_release(&x);
}

static void test_native_histograms(void **state)
{
    struct buf both = {0}, classic = {0};
    struct scraper *s;

    (void)state;
    put_family(&both, true, true);
    put_family(&classic, false, true);
    expose_protobuf(&both);
    s = start_scraper(FIXED "}]"); /* not asked for */
    expect("h_count{" OWN "}", VALUE, 5);
    expect("h_bucket{" OWN ", le=\"2.0\"}", VALUE, 4);
    assert_int_equal(count_rows("h{" OWN "}"), 0);
    scraper_free(s);
    s = start_scraper(FIXED ", scrape_native_histograms: true}]");
    expect("h{" OWN "}", VALUE, 5.03);
    expect("scrape_samples_scraped{" OWN "}", VALUE, 1);
    assert_int_equal(count_rows("h_count{" OWN "}"), 0);
    pthread_mutex_lock(&page.mu);
    assert_non_null(strstr(page.accept, "encoding=delimited;q=0.6,"));
    pthread_mutex_unlock(&page.mu);
    apply(s, FIXED ", scrape_native_histograms: true, always_scrape_classic_histograms: true}]");
    expect("h_bucket{" OWN ", le=\"+Inf\"}", VALUE, 5);
    expect("h_sum{" OWN "}", VALUE, 7.5);
    apply(s, FIXED ", scrape_native_histograms: true, native_histogram_bucket_limit: 2}]"); /* 1, (1, 4] */
    expect("h{" OWN "}", VALUE, 5.02);
    apply(s, FIXED ", scrape_native_histograms: true, native_histogram_min_bucket_factor: 16}]"); /* schema -2: 1, (1, 16] */
    expect("h{" OWN "}", VALUE, 5.02);
    apply(s, FIXED "}]"); /* no more: marked stale */
    expect("h{" OWN "}", STALE, 0);
    scraper_free(s);
    s = start_scraper("scrape_configs: [{job_name: j, scrape_interval: 100ms, static_configs: [{targets: ['127.0.0.1:%P']}], "
                      "relabel_configs: [{target_label: instance, replacement: i}, "
                      "{target_label: __scrape_native_histograms__, replacement: 'true'}]}]");
    expect("h{" OWN "}", VALUE, 5.03);
    scraper_free(s);
    expose_protobuf(&classic);
    s = start_scraper(FIXED ", scrape_native_histograms: true, convert_classic_histograms_to_nhcb: true}]");
    expect("h{" OWN "}", VALUE, 1005.03);
    assert_int_equal(count_rows("h_count{" OWN "}"), 0);
    scraper_free(s);
    buf_release(&both);
    buf_release(&classic);
}

static void test_classic_histograms_converted(void **state)
{
    struct scraper *s;

    (void)state;
    expose_text("# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 2\nh_bucket{x=\"y\",le=\"3\"} 1\n"
                "h_bucket{le=\"+Inf\"} 6\nh_sum 9\nh_count 6\nh_sum{x=\"y\"} 9\nh_count{x=\"y\"} 1\n"
                "# TYPE bad histogram\nbad_bucket{le=\"1\"} 5\nbad_bucket{le=\"+Inf\"} 3\nbad_count 3\n"
                "# TYPE c counter\nc_count 3\n");
    s = start_scraper(FIXED ", convert_classic_histograms_to_nhcb: true}]");
    expect("h{" OWN "}", VALUE, 1006.02);
    expect("h{" OWN ", x=\"y\"}", VALUE, 1001.01);
    expect("c_count{" OWN "}", VALUE, 3);
    assert_int_equal(count_rows("h_count{" OWN "}") + count_rows("bad{" OWN "}") + count_rows("bad_count{" OWN "}"), 0);
    apply(s, FIXED ", convert_classic_histograms_to_nhcb: true, always_scrape_classic_histograms: true}]");
    expect("h_bucket{" OWN ", le=\"2.0\"}", VALUE, 2);
    expect("bad_count{" OWN "}", VALUE, 3);
    apply(s, FIXED ", convert_classic_histograms_to_nhcb: true, native_histogram_bucket_limit: 1}]");
    expect("up{" OWN "}", VALUE, 0);
    scraper_free(s);
}

static void test_reload_and_removal(void **state)
{
    struct scraper *s;
    uint32_t stale = 0;

    (void)state;
    expose_text("a 1\n");
    s = start_scraper(FIXED "}]");
    expect("a{" OWN "}", VALUE, 1);
    apply(s, FIXED "}]");
    apply(s, FIXED ", scrape_timeout: 50ms}]"); /* the target stays */
    usleep(400000);
    pthread_mutex_lock(&db.mu);
    for (uint32_t i = 0; i < db.n; i++)
        stale += is_stale(db.rows[i].v);
    pthread_mutex_unlock(&db.mu);
    assert_int_equal(stale, 0);
    apply(s, FIXED ", metric_relabel_configs: [{target_label: n, replacement: m}]}]");
    expect("a{" OWN ", n=\"m\"}", VALUE, 1);
    apply(s, "scrape_configs: []");
    expect("a{" OWN ", n=\"m\"}", STALE, 0);
    expect("up{" OWN "}", STALE, 0);
    expect("scrape_series_added{" OWN "}", STALE, 0);
    apply(s, FIXED "}]");
    expect("a{" OWN "}", VALUE, 1);
    apply(s, "scrape_configs: []");
    apply(s, FIXED "}]"); /* back before its time had come */
    db_reset();
    expect("a{" OWN "}", VALUE, 1);
    usleep(400000);
    assert_false(is_stale(expect("a{" OWN "}", ANY, 0).v));
    scraper_free(s);
}

static void test_target_limit(void **state)
{
    struct scraper *s;

    (void)state;
    s = start_scraper("scrape_configs: [{job_name: j, scrape_interval: 100ms, target_limit: 1, params: {limited: ['1']}, static_configs: "
                      "[{targets: ['127.0.0.1:%P'], labels: {instance: a}}, "
                      "{targets: ['127.0.0.1:%P'], labels: {instance: b}}]}]");
    expect("up{instance=\"a\", job=\"j\"}", VALUE, 0);
    expect("up{instance=\"b\", job=\"j\"}", VALUE, 0);
    pthread_mutex_lock(&page.mu);
    assert_int_equal(page.limited, 0);
    pthread_mutex_unlock(&page.mu);
    scraper_free(s);
}

static int collect(void *arg, struct buf *out, struct err *e)
{
    if (*(int *)arg) {
        buf_putz(out, "own_metric 7\n");
        return 0;
    }
    return err_set(e, ERR_IO, "no");
}

static void test_builtin(void **state)
{
    struct scraper *s = scraper_new(NULL, client);
    int works = 1;
    struct scrape_builtin b = {
        .job = "node", .instance = "host:9100", .interval_ms = 50, .collect = collect, .arg = &works};
    struct err e = {0};

    (void)state;
    db_reset();
    scraper_add_builtin(s, &b);
    assert_int_equal(scraper_apply(s, NULL, &e), 0);
    expect("own_metric{instance=\"host:9100\", job=\"node\"}", VALUE, 7);
    expect("up{instance=\"host:9100\", job=\"node\"}", VALUE, 1);
    apply(s, "scrape_configs: []"); /* a reload does not touch it */
    db_reset();
    expect("own_metric{instance=\"host:9100\", job=\"node\"}", VALUE, 7);
    scraper_free(s);
}

static void test_json(void **state)
{
    struct scraper *s;
    struct buf b = {0};

    (void)state;
    expose_text("# HELP a some \"help\"\n# TYPE a counter\na 1\n");
    s = start_scraper("scrape_configs: [{job_name: j, scrape_interval: 100ms, static_configs: [{targets: "
                      "['127.0.0.1:%P', 'drop:1']}], "
                      "relabel_configs: [{source_labels: [__address__], regex: 'drop.*', action: drop}, {target_label: "
                      "instance, replacement: i}]}]");
    expect("a{" OWN "}", VALUE, 1);
    usleep(20000);
    scraper_targets_json(s, &b, STR(""), STR(""));
    assert_non_null(strstr(buf_z(&b), "\"scrapePool\":\"j\""));
    assert_non_null(strstr(b.p, "\"health\":\"up\""));
    assert_non_null(strstr(b.p, "\"labels\":{\"instance\":\"i\",\"job\":\"j\"}"));
    assert_non_null(strstr(b.p, "\"__address__\":\"drop:1\""));
    assert_non_null(strstr(b.p, "\"droppedTargetCounts\":{\"j\":1}"));
    assert_non_null(strstr(b.p, "\"scrapeInterval\":\"100ms\""));
    buf_reset(&b);
    scraper_targets_json(s, &b, STR("active"), STR("other"));
    assert_string_equal(buf_z(&b), "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}");
    buf_reset(&b);
    scraper_pools_json(s, &b);
    assert_string_equal(buf_z(&b), "{\"scrapePools\":[\"j\"]}");
    buf_reset(&b);
    scraper_targets_metadata_json(s, &b, STR("{job=~\"j|k\", instance!='x'}"), STR("a"), 0);
    assert_string_equal(buf_z(&b), "[{\"target\":{\"instance\":\"i\",\"job\":\"j\"},\"type\":\"counter\",\"help\":"
                                   "\"some \\\"help\\\"\",\"unit\":\"\"}]");
    buf_reset(&b);
    scraper_targets_metadata_json(s, &b, STR("{job=\"no\"}"), STR(""), 0);
    assert_string_equal(buf_z(&b), "[]");
    buf_release(&b);
    scraper_free(s);
}

static void test_store_refuses(void **state)
{
    struct scraper *s;
    struct buf b = {0};

    (void)state;
    expose_text("# TYPE a gauge\na 1\n");
    s = start_scraper(FIXED "}]");
    expect("a{" OWN "}", VALUE, 1);
    pthread_mutex_lock(&db.mu);
    db.code = ERR_FULL;
    pthread_mutex_unlock(&db.mu);
    for (int i = 0; i < 3000 && (!b.n || !strstr(buf_z(&b), "storing the scrape")); i++) {
        usleep(1000);
        buf_reset(&b);
        scraper_targets_json(s, &b, STR(""), STR(""));
    }
    assert_non_null(strstr(buf_z(&b), "storing the scrape: made up"));
    db_reset();
    expect("a{" OWN "}", VALUE, 1);
    pthread_mutex_lock(&db.mu);
    assert_true(db.metadata > 0); /* what was not stored is stored again */
    pthread_mutex_unlock(&db.mu);
    buf_release(&b);
    scraper_free(s);
}

/* A listener that accepts into its backlog and never says a word. */
static void test_stop_with_a_hanging_target(void **state)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    char text[300];
    struct scraper *s;
    int64_t start = clock_mono_ms();
    bool busy = false;

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    snprintf(text, sizeof(text),
             "scrape_configs: [{job_name: j, scrape_interval: 30s, scrape_timeout: 30s, static_configs: [{targets: "
             "['127.0.0.1:%u']}]}]",
             ntohs(a.sin_port));
    s = start_scraper(text);
    pthread_mutex_lock(&s->mu);
    s->pools[0]->targets[0]->due_mono_ns = 0;
    schedule(s, s->pools[0]->targets[0]);
    pthread_mutex_unlock(&s->mu);
    scraper_wake(s);
    for (int i = 0; i < 2000 && !busy; i++) {
        usleep(1000);
        pthread_mutex_lock(&s->mu);
        busy = s->pools[0]->targets[0]->busy;
        pthread_mutex_unlock(&s->mu);
    }
    assert_true(busy);
    scraper_free(s); /* the run ends when the client is freed */
    assert_true(clock_mono_ms() - start < 3000);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_times_are_on_a_grid),
        cmocka_unit_test(test_staleness),
        cmocka_unit_test(test_explicit_times_are_not_tracked),
        cmocka_unit_test(test_honor_labels),
        cmocka_unit_test(test_relabel_and_limits),
        cmocka_unit_test(test_body_limit_and_type),
        cmocka_unit_test(test_native_histograms),
        cmocka_unit_test(test_classic_histograms_converted),
        cmocka_unit_test(test_reload_and_removal),
        cmocka_unit_test(test_target_limit),
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_store_refuses),
        cmocka_unit_test(test_stop_with_a_hanging_target),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
