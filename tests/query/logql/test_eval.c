/*
 * test_eval.c - queries over a store with records in blocks and in memory: the fast ways (hints, columns, counts by minute,
 * groups made of records, threads) against the plain one, which reads every record as a line.
 */
#include "query/logql/eval.c"

#include "store/store.h"
#include "query/promql/foreign.h"
#include "tests/query/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define BASE (INT64_C(1767225600) * SECOND) /* 2026-01-01 */
#define SPAN (20 * MINUTE)
#define FOREVER_MS (INT64_C(200) * 365 * 86400000)

static struct query_engine *engine;
static struct store *store;
static struct logstore *logs;
static char dir[64];

/* --- records ---------------------------------------------------------------------------------- */

static const char *const levels[] = {"error", "warn", "info", "debug"};

/* Nothing, several lines in one, bytes that are no text. */
static struct str odd_line(struct arena *a, const char *level)
{
    static const struct str odd[] = {{"", 0}, {"\n", 1}, {"\0", 1}, {"\xff\xfe", 2}, {"\xe6\x97", 2}, {"\nerror\n", 7}, {"ERROR", 5}, {"größe", 7}};
    struct str s = odd[draw(ARRAY_LEN(odd))];
    struct buf b = {0};

    if (draw(4))
        buf_printf(&b, "%s: ", level);
    buf_put(&b, s.p, s.n);
    if (draw(2))
        buf_printf(&b, "GET %s", level);
    s = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return s;
}

static struct str line_of(struct arena *a, unsigned i)
{
    const char *level = levels[draw(4)];
    unsigned ms = (unsigned)draw(3000), code = (unsigned)(200 + 100 * draw(4));

    if (!draw(25))
        return odd_line(a, level);
    switch (draw(6)) {
    case 0:
    case 1:
        return arena_printf(a, "{\"level\":\"%s\",\"code\":%u,\"took\":\"%ums\",\"req\":{\"id\":\"r%u\",\"size\":%u},\"app\":\"x\"}", level, code, ms, i, ms);
    case 2:
    case 3:
        return arena_printf(a, "level=%s code=%u took=%ums req_id=r%u msg=\"request %s done\"", level, code, ms, i, level);
    case 4:
        return arena_printf(a, "10.0.%u.%u - GET /api/%s HTTP/1.1 %u %u", (unsigned)draw(3), (unsigned)draw(200), level, code, ms);
    default:
        return draw(3) ? arena_printf(a, "%s: something happened to worker %u", level, (unsigned)draw(9)) : STR("{\"broken\":");
    }
}

/* n records of a few streams, at random times, some with metadata. */
static void ingest(unsigned n)
{
    static const char *const apps[] = {"api", "web", "db"};
    struct arena a = {0};
    struct log_in in[4];
    struct log_batch b = {.streams = in, .nstreams = ARRAY_LEN(in), .nrows = n, .any_age = true};
    uint32_t per = n / ARRAY_LEN(in);
    struct err e;

    b.nrows = per * ARRAY_LEN(in);
    b.rows = arena_array(&a, struct log_in_row, b.nrows + 1);
    b.meta = arena_array(&a, struct label, 3 * (size_t)b.nrows);
    for (uint32_t s = 0; s < ARRAY_LEN(in); s++) {
        struct label *l = arena_array(&a, struct label, 3);
        uint32_t nl = 0;

        l[nl++] = (struct label){STR("app"), str_of(apps[draw(3)])};
        l[nl++] = (struct label){STR("host"), draw(2) ? STR("h1") : STR("h2")};
        if (draw(2))
            l[nl++] = (struct label){STR("zone"), STR("eu")};
        in[s] = (struct log_in){{l, nl}, s * per, per};
        assert_int_equal(labels_normalise(&in[s].labels, &e), 0);
    }
    for (uint32_t i = 0; i < b.nrows; i++) {
        struct log_in_row *r = &b.rows[i];
        struct label *m = &b.meta[3 * i];

        *r = (struct log_in_row){BASE + (int64_t)draw(SPAN / SECOND) * SECOND + (draw(2) ? (int64_t)draw(SECOND) : 0), line_of(&a, i), 3 * i, 0};
        if (draw(3))
            m[r->meta_n++] = (struct label){STR("detected_level"), str_of(levels[draw(4)])};
        if (!draw(4))
            m[r->meta_n++] = (struct label){STR("trace_id"), arena_printf(&a, "t%u", (unsigned)draw(5))};
        if (!draw(6))
            m[r->meta_n++] = (struct label){draw(2) ? STR("level") : STR("host"), draw(5) ? STR("error") : STR("")};
    }
    assert_int_equal(logstore_ingest_wait(logs, &b, &e), 0);
    assert_int_equal(b.verdicts[LOG_OK] + b.verdicts[LOG_SAME], b.nrows);
    arena_release(&a);
}

static void open_store(void)
{
    struct logstore_opts lo;
    struct store_opts so;
    struct err e;

    strcpy(dir, "/tmp/tripod-test-logql.XXXXXX");
    assert_non_null(mkdtemp(dir));
    store_opts_default(&so);
    so.dir = dir;
    so.retention_ms = so.out_of_order_ms = FOREVER_MS;
    logstore_opts_default(&lo);
    lo.past_ns_max = 0;
    if (store_open(&so, &store, &e) < 0 || logstore_new(store, &lo, &logs, &e) < 0 || store_recover(store, &e) < 0 ||
        store_start(store, &e) < 0)
        fail_msg("%s", e.text);
}

static void close_store(void)
{
    char cmd[100];

    store_close(store);
    logstore_free(logs);
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    assert_int_equal(system(cmd), 0);
}

/* --- questions -------------------------------------------------------------------------------- */

static const char *one_of(const char *const *v, size_t n)
{
    return v[draw(n)];
}
#define ONE_OF(...) one_of((const char *const[]){__VA_ARGS__}, ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

static void put_stages(struct buf *b)
{
    static const char *const filters[] = {
        " |= \"error\"", " != \"warn\"", " |= \"request\" or \"worker\"", " |~ \"r[0-9]+1\"", " |~ \"(?i)ERROR\"", " !~ \"GET|POST\"",
        " |~ \"[a-z]rror\"", " !~ \"[a-z]arn\"", " |~ \"^error\"", " |~ \"info$\"", " !~ \"\\\\bdone\\\\b\"", " |~ \"(?m)^error$\"", " |~ \"(?s)e.*g\"",
        " |~ \"level=(error|warn)\"", " |~ \"[0-9]+ms\" or \"GET\"", " |~ \"(?i)größe|INFO\"", " |~ \"\\\\A\\\\z\"", " |~ \"\\\\x{fffd}\"", " !~ \".\"", " |~ \"\\\\x00\"",
        " |= \"e\" !~ \"(?i)Request\" != \"x\"", " |= ip(\"10.0.1.0/24\")", " |> \"<_> GET <_>\"", " | detected_level=\"error\"", " | trace_id=\"t1\"", " | detected_level!=\"info\"",
        " | host=\"h1\"", " | level=\"error\"", " | app=~\"a.*|web\"", " | trace_id=\"\"", " | level=\"\"", " | zone=\"eu\"",
    };
    static const char *const parsers[] = {
        " | json", " | logfmt", " | json | level=\"error\"", " | logfmt | level=\"warn\" or code>=400", " | json | code=\"200\" | took>1s",
        " | json lvl=\"level\", id=\"req.id\" | lvl=\"error\"", " | logfmt level, c=\"code\" | level=\"info\"", " | json | level=~\"error|warn\"",
        " | pattern \"<ip> - <method> <path> HTTP/1.1 <code> <_>\" | code=\"300\"", " | regexp \"(?P<what>error|warn)\"", " | json | req_id=\"r7\"",
        " | json | host=\"h1\"", " | logfmt | host=\"error\"", " | json | app=\"x\"", " | json | level!=\"\" | detected_level=\"warn\"",
        " | json | host_extracted=\"error\"", " | logfmt | level=\"debug\" |= \"done\"",
    };
    static const char *const formats[] = {
        " | line_format \"{{.level}} {{.code}}\" |= \"error\"", " | label_format lvl=level", " | drop trace_id, req_id, req_size, took, msg",
        " | keep app, level", " | label_format host=\"{{.host}}!\" | host=\"h1!\"", " | decolorize",
    };

    for (uint64_t n = draw(3); n > 0; n--)
        buf_putz(b, filters[draw(ARRAY_LEN(filters))]);
    if (draw(3)) {
        buf_putz(b, parsers[draw(ARRAY_LEN(parsers))]);
        if (draw(2))
            buf_putz(b, " | __error__=\"\"");
    }
    if (!draw(3))
        buf_putz(b, formats[draw(ARRAY_LEN(formats))]);
    if (!draw(4))
        buf_putz(b, filters[draw(ARRAY_LEN(filters))]);
}

static void put_selector(struct buf *b)
{
    buf_putz(b, ONE_OF("{app=\"api\"}", "{app=~\".+\"}", "{app=~\"web|db\", host=\"h1\"}", "{app=\"web\", zone!=\"eu\"}", "{app=\"nothing\"}"));
}

static void put_range(struct buf *b)
{
    bool unwraps = draw(3) == 0;

    if (unwraps)
        buf_putz(b, ONE_OF("sum_over_time(", "max_over_time(", "min_over_time(", "avg_over_time(", "stddev_over_time(", "rate(",
                           "quantile_over_time(0.9,", "first_over_time(", "last_over_time(", "rate_counter(", "absent_over_time("));
    else
        buf_putz(b, ONE_OF("count_over_time(", "rate(", "bytes_over_time(", "bytes_rate(", "count_over_time(", "absent_over_time("));
    put_selector(b);
    put_stages(b);
    if (unwraps)
        buf_putz(b, ONE_OF(" | json | unwrap code | __error__=\"\"", " | logfmt | unwrap duration(took) | __error__=\"\"",
                           " | json | __error__=\"\" | unwrap req_size", " | logfmt | code!=\"\" | unwrap code"));
    buf_putz(b, ONE_OF("[1m]", "[2m]", "[5m]", "[37s]", "[10m]", "[3m] offset 1m", "[1m] offset -30s"));
    buf_putz(b, ")");
}

static void put_metric(struct buf *b)
{
    const char *by = ONE_OF("", " by (app)", " by (detected_level)", " by (app, host)", " by (level)", " without (trace_id, req_id, msg, took)",
                            " by (trace_id)", " by (host, zone)", " by (detected_level, app)");

    if (draw(4)) {
        buf_printf(b, "%s%s(", ONE_OF("sum", "sum", "sum", "sum", "max", "min", "count", "avg"), by);
        put_range(b);
        buf_putz(b, ")");
    } else {
        put_range(b);
    }
}

static void put_plain_counts(struct buf *b)
{
    buf_printf(b, "sum by (%s) (%s(", ONE_OF("app", "detected_level", "", "host,app", "app,detected_level", "zone"),
               ONE_OF("count_over_time", "rate", "bytes_over_time", "bytes_rate"));
    put_selector(b);
    buf_printf(b, "%s[%s]))", ONE_OF("", "", " | detected_level=\"error\"", " | host=\"h1\" | detected_level!=\"\""), ONE_OF("1m", "2m", "5m", "90s"));
}

static void draw_opts(struct logql_opts *o)
{
    *o = (struct logql_opts){.ls = logs};
    o->instant = draw(3) == 0;
    o->end_ns = BASE + (int64_t)draw(25) * MINUTE;
    if (draw(2))
        o->end_ns += (int64_t)draw(60) * SECOND;
    o->start_ns = o->instant ? o->end_ns : o->end_ns - (int64_t)draw(20) * (draw(2) ? MINUTE : 37 * SECOND);
    o->step_ns = (int64_t[]){MINUTE, 15 * SECOND, 2 * MINUTE, 7 * SECOND}[draw(4)];
    o->limit = 1 + (uint32_t)draw(60);
    o->backward = draw(2);
    o->interval_ns = draw(4) ? 0 : (int64_t)(1 + draw(90)) * SECOND;
    o->categorize = draw(2);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void put_labels(struct buf *b, const struct label *v, uint32_t n)
{
    buf_putc(b, '{');
    for (uint32_t i = 0; i < n; i++)
        buf_printf(b, "%.*s=%.*s,", STR_ARG(v[i].name), STR_ARG(v[i].value));
    buf_putc(b, '}');
}

static void put_streams(struct buf *b, const struct logql_result *r)
{
    for (uint32_t i = 0; i < r->nstreams; i++) {
        put_labels(b, r->streams[i].labels.v, r->streams[i].labels.n);
        for (uint32_t k = 0; k < r->streams[i].n; k++) {
            const struct logql_entry *x = &r->streams[i].entries[k];

            buf_printf(b, "\n  %lld %.*s ", (long long)x->t_ns, STR_ARG(x->line));
            put_labels(b, x->meta, x->nmeta);
            put_labels(b, x->parsed, x->nparsed);
        }
        buf_putc(b, '\n');
    }
}

/* Sums that were added in another order differ in their last digits. */
static void put_series(struct buf *b, const struct logql_result *r)
{
    for (uint32_t i = 0; i < r->nseries; i++) {
        put_labels(b, r->series[i].labels.v, r->series[i].labels.n);
        for (uint32_t s = 0; s < r->nsteps; s++) {
            if (r->series[i].has[s])
                buf_printf(b, " %.9g", r->series[i].v[s]);
            else
                buf_putz(b, " _");
        }
        buf_putc(b, '\n');
    }
}

/* The answer as text; an error as its first words: which of several records is named depends on the order of reading. */
static struct logql_stats ask(struct str text, const struct logql_opts *o, struct buf *out)
{
    struct query *q = query_begin(engine, "logql", text, NULL);
    struct logql_result r;
    struct logql_tree t;
    struct err e;
    int code;

    assert_int_equal(logql_parse(&q->arena, text, &t, &e), 0);
    code = logql_query(q, &t, o, &r, &e);
    if (code < 0)
        buf_printf(out, "%.20s", e.text);
    else if (r.type == LOGQL_RESULT_STREAMS)
        put_streams(out, &r);
    else
        put_series(out, &r);
    if (code == 0)
        assert_int_equal(r.nwarnings, 0);
    logql_release(&t);
    query_end(q);
    return r.stats;
}

static void both_ways(struct str text, struct logql_opts *o)
{
    struct buf fast = {0}, plain = {0};

    o->plain = false;
    ask(text, o, &fast);
    o->plain = true;
    ask(text, o, &plain);
    if (!str_eq(buf_str(&fast), buf_str(&plain)))
        fail_msg("%.*s\nfrom %lld to %lld step %lld instant %d limit %u backward %d interval %lld\n--- fast\n%s\n--- plain\n%s", STR_ARG(text),
                 (long long)(o->start_ns - BASE) / SECOND, (long long)(o->end_ns - BASE) / SECOND, (long long)o->step_ns / SECOND, o->instant,
                 o->limit, o->backward, (long long)(o->interval_ns / SECOND), buf_z(&fast), buf_z(&plain));
    buf_release(&fast);
    buf_release(&plain);
}

static void ask_many(unsigned n)
{
    struct buf b = {0};

    for (unsigned i = 0; i < n; i++) {
        struct logql_opts o;

        draw_opts(&o);
        buf_reset(&b);
        switch (draw(4)) {
        case 0:
            o.instant = false;
            put_selector(&b);
            put_stages(&b);
            break;
        case 1:
            put_plain_counts(&b);
            break;
        default:
            put_metric(&b);
            break;
        }
        both_ways(buf_str(&b), &o);
    }
    buf_release(&b);
}

static void random_queries(void **state)
{
    unsigned rounds = getenv("TRIPOD_LONG") ? 20 : 2;
    struct err e;

    (void)state;
    for (unsigned i = 0; i < rounds; i++) {
        open_store();
        ingest(200);
        ask_many(40);
        ingest(600);
        assert_int_equal(store_flush(store, "logs", &e), 0);
        ask_many(60);
        ingest(200);
        ask_many(60);
        close_store();
    }
}

/* Counts by minute are really taken, and nothing is read where they say it all. */
static void minutes(void **state)
{
    struct logql_opts o = {.start_ns = BASE + 5 * MINUTE, .end_ns = BASE + 15 * MINUTE, .step_ns = MINUTE};
    struct buf b = {0};
    struct logql_stats st;
    struct err e;

    (void)state;
    open_store();
    o.ls = logs;
    ingest(400);
    assert_int_equal(store_flush(store, "logs", &e), 0);
    st = ask(STR("sum by (app, detected_level) (count_over_time({app=~\".+\"}[2m]))"), &o, &b);
    assert_true(st.minutes > 0);
    assert_int_equal(st.rows, 0);
    st = ask(STR("sum by (trace_id) (count_over_time({app=~\".+\"}[2m]))"), &o, &b);
    assert_true(st.rows > 0);
    st = ask(STR("sum(count_over_time({app=~\".+\"} |= \"error\" [2m]))"), &o, &b);
    assert_true(st.rows > 0 && st.minutes == 0);
    buf_release(&b);
    close_store();
}

/* --- what is refused ---------------------------------------------------------------------------- */

static void refused(void **state)
{
    static const struct {
        const char *text, *error;
        bool instant;
    } cases[] = {
        {"{app=\"api\"}", "log queries are not supported as an instant query type", true},
        {"approx_topk(2, count_over_time({app=\"api\"}[1m]))", "only supported on instant queries", false},
        {"count_over_time({app=\"api\"} | label_format x=\"{{\" [1m])", "unclosed action", false},
        {"sum(count_over_time({app=~\".+\"} | json [20m]))", "pipeline error: 'JSONParserErr' for series", true},
        {"count_over_time({app=\"api\"}[1m]) + on (app) count_over_time({app=~\".+\"}[20m])", "found duplicate series on the right", true},
    };

    (void)state;
    open_store();
    ingest(200);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct query *q = query_begin(engine, "logql", str_of(cases[i].text), NULL);
        struct logql_opts o = {.ls = logs, .start_ns = BASE, .end_ns = BASE + SPAN, .step_ns = MINUTE, .instant = cases[i].instant, .limit = 10};
        struct logql_result r;
        struct logql_tree t;
        struct err e = {0};

        assert_int_equal(logql_parse(&q->arena, q->text, &t, &e), 0);
        assert_true(logql_query(q, &t, &o, &r, &e) < 0);
        if (!strstr(e.text, cases[i].error))
            fail_msg("%s: %s", cases[i].text, e.text);
        logql_release(&t);
        query_end(q);
    }
    close_store();
}

/* --- logs(...) ----------------------------------------------------------------------------------- */

static int count_row(void *arg, const struct labels *labels, const double *v, const uint8_t *has, struct err *e)
{
    double *sum = arg;

    (void)e;
    assert_int_equal(labels->n, 1);
    for (int i = 0; i < 3; i++)
        *sum += has[i] ? v[i] : 0;
    return 0;
}

static void foreign(void **state)
{
    const struct promql_foreign_source *s;
    double sum = 0;
    struct promql_foreign_call call = {(BASE + 10 * MINUTE) / 1000000, 60000, 3, count_row, &sum};
    struct query *q;
    struct err e;

    (void)state;
    open_store();
    ingest(400);
    logql_register_foreign(logs);
    s = promql_foreign_source(PROMQL_LOGS);
    assert_int_equal(s->check(s->arg, STR("rate({app=\"x\"}[5m])"), &e), 0);
    assert_int_equal(s->check(s->arg, STR("{app=\"x\"}"), &e), ERR_INVALID);
    assert_int_equal(s->check(s->arg, STR("rate({app=\"x\"}[5m]"), &e), ERR_INVALID);
    q = query_begin(engine, "promql", STR("x"), NULL);
    assert_int_equal(s->run(s->arg, q, STR("sum by (app) (count_over_time({app=~\".+\"}[1m]))"), &call, &e), 0);
    assert_true(sum > 0 && sum < 400);
    query_end(q);
    logql_register_foreign(NULL);
    close_store();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_queries),
        cmocka_unit_test(minutes),
        cmocka_unit_test(refused),
        cmocka_unit_test(foreign),
    };
    struct query_engine_opts o;
    int code;

    rng_start();
    log_setup(LOG_WARN, LOG_LOGFMT);
    query_engine_opts_default(&o);
    o.threads = 3;
    engine = query_engine_new(&o);
    code = cmocka_run_group_tests(tests, NULL, NULL);
    query_engine_free(engine);
    return code;
}
