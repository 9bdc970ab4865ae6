/* test_pipeline.c - stages, line by line: what goes in, what comes out; and what the configuration refuses. */
#include "tests/collector/files/follow.h"

#include "collector/files/pipeline.h"

/* --- a small language: {name="value"} |= "text" ----------------------------------------------------------- */

struct small {
    struct buf name, value, text;
};

static int small_compile(void *arg, struct str s, void **out, struct err *e)
{
    char name[64] = "", value[64] = "", text[64] = "";
    struct small *m;
    char *z = x_strdup(s);

    (void)arg;
    if (sscanf(z, "{%63[a-z]=\"%63[^\"]\"} |= \"%63[^\"]\"", name, value, text) < 2) {
        free(z);
        return err_set(e, ERR_INVALID, "not a selector");
    }
    free(z);
    m = x_zalloc(sizeof(*m));
    buf_putz(&m->name, name);
    buf_putz(&m->value, value);
    buf_putz(&m->text, text);
    *out = m;
    return 0;
}

static bool small_matches(void *selector, const struct labels *ls, struct str line)
{
    struct small *m = selector;

    return str_eq(labels_get(ls, buf_str(&m->name)), buf_str(&m->value)) && str_find(line, buf_str(&m->text)) >= 0;
}

static void small_release(void *selector)
{
    struct small *m = selector;

    buf_release(&m->name);
    buf_release(&m->value);
    buf_release(&m->text);
    free(m);
}

/* Templates that know nothing but {{ .Value }} in brackets. */
static int small_template(void *arg, struct str text, void **out, struct err *e)
{
    (void)arg;
    (void)e;
    *out = x_strdup(text);
    return 0;
}

static int small_render(void *tmpl, const struct label *v, uint32_t n, struct buf *out)
{
    char *dot = strstr(tmpl, "{{ .Value }}");

    for (uint32_t i = 0; i < n; i++) {
        if (dot && str_eqz(v[i].name, "Value")) {
            buf_put(out, tmpl, (size_t)(dot - (char *)tmpl));
            buf_puts(out, v[i].value);
            buf_putz(out, dot + 12);
        }
    }
    return 0;
}

static const struct files_selectors small = {.compile = small_compile, .matches = small_matches, .release = small_release, .template_new = small_template, .template_run = small_render, .template_free = free};

/* --- running ---------------------------------------------------------------------------------------------- */

struct bench {
    struct arena a;
    struct stages stages;
    struct pipeline p;
    struct pipe_state state;
    struct pipe_run run;
    struct labels base;
    struct label base_v[2];
    struct buf out; /* a line an entry: LABELS|META|LINE|TIME where told */
    uint64_t at;
};

static void put(void *arg, struct entry *en)
{
    struct bench *b = arg;
    struct labels ls = {arena_array(&b->a, struct label, en->nlabels + 1), en->nlabels}, meta = {en->meta, en->nmeta};
    struct err e;

    memcpy(ls.v, en->labels, sizeof(*ls.v) * en->nlabels);
    assert_int_equal(labels_normalise(&ls, &e), 0);
    labels_print(&b->out, &ls);
    if (meta.n) {
        buf_putc(&b->out, '|');
        labels_print(&b->out, &meta);
    }
    buf_putc(&b->out, '|');
    buf_puts(&b->out, en->line);
    if (en->t_told)
        buf_printf(&b->out, "|%lld", (long long)en->t_ns);
    buf_putc(&b->out, '\n');
}

static int bench_try(struct bench *b, const char *yaml, struct err *e)
{
    struct conf *c;

    *b = (struct bench){.base_v = {{STR("app"), STR("x")}}};
    b->base = (struct labels){b->base_v, 1};
    assert_int_equal(conf_parse(&b->a, STR("t.yml"), str_of(yaml), &c, e), 0);
    return stages_read(&b->a, c, &small, false, &b->stages, e);
}

static void bench_open(struct bench *b, const char *yaml)
{
    struct err e = {0};

    if (bench_try(b, yaml, &e) < 0)
        fail_msg("%s\n%s", yaml, e.text);
    pipeline_init(&b->p, &b->stages);
    pipe_state_init(&b->state, &b->p);
    b->run = (struct pipe_run){.p = &b->p, .state = &b->state, .a = &b->a, .base = &b->base, .now_ns = INT64_C(1767225600000000000) /* 2026-01-01 */,
                               .now_ms = 1000, .line_max = 1000, .emit = put, .arg = b};
}

static void bench_close(struct bench *b)
{
    pipe_state_release(&b->state);
    pipeline_release(&b->p);
    stages_release(&b->stages);
    buf_release(&b->out);
    arena_release(&b->a);
}

static void feed(struct bench *b, const char *line)
{
    struct entry en = entry_new(&b->run, str_of(line), 5, b->at);

    b->at += strlen(line) + 1;
    pipeline_run(&b->run, &en);
}

static void expect_out(struct bench *b, const char *text)
{
    assert_string_equal(b->out.n ? buf_z(&b->out) : "", text);
    b->out.n = 0;
}

/* One line through stages. */
static void one(const char *yaml, const char *line, const char *out)
{
    struct bench b;

    bench_open(&b, yaml);
    feed(&b, line);
    expect_out(&b, out);
    bench_close(&b);
}

/* --- tests ------------------------------------------------------------------------------------------------- */

static void parsers(void **state)
{
    (void)state;
    one("[{json: {expressions: {a: , n: x.y, i: 'l[1]', last: 'l[-1]', q: '\"k k\"', o: x}}}, {labels: {a: , n: , i: , last: , q: , o: }}]",
        "{\"a\":\"A\\u00e4\\n\",\"x\":{\"y\":1.50},\"l\":[1,true,null,2],\"k k\":\"v\"}",
        "{a=\"A\xc3\xa4\\n\", app=\"x\", i=\"true\", last=\"2\", n=\"1.5\", o=\"{\\\"y\\\":1.50}\", q=\"v\"}|{\"a\":\"A\\u00e4\\n\",\"x\":{\"y\":1.50},\"l\":[1,true,null,2],\"k k\":\"v\"}\n");
    one("[{json: {expressions: {a: }}}, {labels: {a: }}]", "not json", "{app=\"x\"}|not json\n");
    one("[{json: {expressions: {a: }, drop_malformed: true}}]", "{\"a\":}", "");
    one("[{json: {expressions: {inner: }}}, {json: {expressions: {b: }, source: inner}}, {output: {source: b}}]", "{\"inner\":\"{\\\"b\\\":\\\"deep\\\"}\"}", "{app=\"x\"}|deep\n");
    one("[{logfmt: {mapping: {lvl: level, m: msg}}}, {labels: {lvl: , m: }}]", "level=warn msg=\"a \\\"b\\\"\" x",
        "{app=\"x\", lvl=\"warn\", m=\"a \\\"b\\\"\"}|level=warn msg=\"a \\\"b\\\"\" x\n");
    one("[{regex: {expression: '^(?P<ip>\\S+) .* (?P<status>\\d{3}) '}}, {labels: {status: }}, {structured_metadata: {ip: }}]", "1.2.3.4 - \"GET /\" 404 12",
        "{app=\"x\", status=\"404\"}|{ip=\"1.2.3.4\"}|1.2.3.4 - \"GET /\" 404 12\n");
    one("[{pattern: {expression: '<ip> - <_> [<when>] <rest>'}}, {labels: {ip: , when: }}]", "1.2.3.4 - me [now] GET", "{app=\"x\", ip=\"1.2.3.4\", when=\"now\"}|1.2.3.4 - me [now] GET\n");
}

static void labels_and_lines(void **state)
{
    (void)state;
    one("[{static_labels: {env: prod, none: ''}}, {labeldrop: [app]}]", "l", "{env=\"prod\"}|l\n");
    one("[{static_labels: {a: '1', b: '2'}}, {labelallow: [a]}]", "l", "{a=\"1\"}|l\n");
    one("[{static_labels: {b: '2'}}, {pack: {labels: [b], ingest_timestamp: false}}]", "x\"y", "{app=\"x\"}|{\"b\":\"2\",\"_entry\":\"x\\\"y\"}\n");
    one("[{decolorize: }]", "\x1b[31mred\x1b[0m plain", "{app=\"x\"}|red plain\n");
    one("[{truncate: {limit: 4B, suffix: '.'}}]", "abcdefg", "{app=\"x\"}|abc.\n");
    one("[{luhn: }]", "card 4539578763621486 of 4539578763621487, 79927398713", "{app=\"x\"}|card **REDACTED** of 4539578763621487, 79927398713\n");
    one("[{luhn: {min_length: 11, replacement: XX}}]", "79927398713 79927398710 0", "{app=\"x\"}|XX 79927398710 0\n");
    one("[{luhn: {delimiters: '- '}}]", "4539-5787 6362-1486 . 4539-5787 6362-1487", "{app=\"x\"}|**REDACTED** . 4539-5787 6362-1487\n");
    one("[{luhn: {delimiters: '-'}}]", "4539-5787-6362-1486- x", "{app=\"x\"}|**REDACTED**- x\n");
    one("[{regex: {expression: '(?P<n>\\d+)'}}, {luhn: {source: n, replacement: 'no'}}, {labels: {n: }}]", "4539578763621486", "{app=\"x\", n=\"no\"}|4539578763621486\n");
    one("[{replace: {expression: 'password (\\S+)', replace: '***'}}]", "password a, password bb", "{app=\"x\"}|password *** password ***\n");
    one("[{replace: {expression: '(\\d+)', replace: ''}}]", "a1b22c", "{app=\"x\"}|abc\n");
    one("[{replace: {expression: '(\\d+)', replace: '<{{ .Value }}>'}}]", "a1b22c", "{app=\"x\"}|a<1>b<22>c\n");
    one("[{template: {source: new, template: 'v{{ .Value }}'}}, {labels: {new: }}]", "l", "{app=\"x\", new=\"v\"}|l\n");
    one("[{tenant: {value: t}}, {cri: }]", "plain", "{app=\"x\"}|plain\n");
}

static void times(void **state)
{
    struct bench b;

    (void)state;
    one("[{regex: {expression: '^(?P<t>.*)$'}}, {timestamp: {source: t, format: RFC3339Nano}}]", "2026-01-02T03:04:05.678901234+01:00",
        "{app=\"x\"}|2026-01-02T03:04:05.678901234+01:00|1767319445678901234\n");
    one("[{regex: {expression: '\\[(?P<t>.*)\\]'}}, {timestamp: {source: t, format: '02/Jan/2006:15:04:05 -0700'}}]", "[01/Jan/2026:00:00:01 +0000]",
        "{app=\"x\"}|[01/Jan/2026:00:00:01 +0000]|1767225601000000000\n");
    one("[{regex: {expression: '^(?P<t>.*)$'}}, {timestamp: {source: t, format: Unix}}]", "1700000000.5", "{app=\"x\"}|1700000000.5|1700000000500000000\n");
    one("[{regex: {expression: '^(?P<t>.*)$'}}, {timestamp: {source: t, format: UnixMs}}]", "1700000000123", "{app=\"x\"}|1700000000123|1700000000123000000\n");
    one("[{regex: {expression: '^(?P<t>.*)$'}}, {timestamp: {source: t, format: 'Jan _2 15:04:05'}}]", "Dec 31 23:59:59", "{app=\"x\"}|Dec 31 23:59:59|1767225599000000000\n");
    one("[{regex: {expression: '^(?P<t>.*)$'}}, {timestamp: {source: t, format: RFC3339, fallback_formats: ['2006-01-02 15:04:05'], location: Europe/Berlin}}]",
        "2026-07-01 02:00:00", "{app=\"x\"}|2026-07-01 02:00:00|1782864000000000000\n");
    bench_open(&b, "[{regex: {expression: '^(?P<t>\\d+)?'}}, {timestamp: {source: t, format: UnixNs}}]");
    feed(&b, "x"); /* nothing before it: the clock's */
    feed(&b, "1000 a");
    feed(&b, "b");
    feed(&b, "c");
    expect_out(&b, "{app=\"x\"}|x\n{app=\"x\"}|1000 a|1000\n{app=\"x\"}|b|1001\n{app=\"x\"}|c|1002\n");
    bench_close(&b);
}

static void records(void **state)
{
    struct bench b;
    int64_t due;

    (void)state;
    bench_open(&b, "[{docker: }]");
    feed(&b, "{\"log\":\"one\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00.000000001Z\"}");
    feed(&b, "{\"log\":\"par\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00.000000002Z\"}");
    feed(&b, "{\"log\":\"err\\u003c\\r\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-01T00:00:00.000000003Z\"}");
    assert_true(pipe_state_safe(&b.state, b.at) < b.at);
    feed(&b, "{\"log\":\"tial\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00.000000004Z\"}");
    assert_int_equal(pipe_state_safe(&b.state, b.at), b.at);
    feed(&b, "{\"no\":\"log\"}");
    expect_out(&b, "{app=\"x\", stream=\"stdout\"}|one|1767225600000000001\n{app=\"x\", stream=\"stderr\"}|err<|1767225600000000003\n"
                   "{app=\"x\", stream=\"stdout\"}|partial|1767225600000000002\n{app=\"x\"}|{\"no\":\"log\"}\n");
    bench_close(&b);

    bench_open(&b, "[{cri: }]");
    feed(&b, "2026-01-01T00:00:00.1Z stdout P a");
    feed(&b, "2026-01-01T00:00:00.2Z stderr F e");
    feed(&b, "2026-01-01T00:00:00.3Z stdout P:tag b");
    feed(&b, "2026-01-01T00:00:00.4Z stdout F c d");
    feed(&b, "2026-01-01T00:00:00.5Z stdout F");
    feed(&b, "2026-01-01T00:00:00.5Z stdout X no");
    feed(&b, "2291-01-01T00:00:00.2Z stdout F no time of ours");
    feed(&b, "2026-01-01T00:00:00.6Z stdout P end");
    pipeline_flush(&b.run, false, &due);
    assert_true(due != INT64_MAX);
    b.run.now_ms = due;
    pipeline_flush(&b.run, false, &due);
    assert_true(due == INT64_MAX);
    expect_out(&b, "{app=\"x\", stream=\"stderr\"}|e|1767225600200000000\n{app=\"x\", stream=\"stdout\"}|abc d|1767225600400000000\n"
                   "{app=\"x\", stream=\"stdout\"}||1767225600500000000\n{app=\"x\"}|2026-01-01T00:00:00.5Z stdout X no\n"
                   "{app=\"x\"}|2291-01-01T00:00:00.2Z stdout F no time of ours\n"
                   "{app=\"x\", stream=\"stdout\"}|end|1767225600600000000\n");
    bench_close(&b);

    bench_open(&b, "[{multiline: {firstline: '^\\d', max_lines: 3}}, {regex: {expression: '^(?P<n>\\d)'}}, {labels: {n: }}]");
    feed(&b, "before");
    feed(&b, "1 a");
    feed(&b, " b");
    feed(&b, "2 c");
    feed(&b, " d");
    feed(&b, " e");
    feed(&b, " f");
    feed(&b, "3");
    expect_out(&b, "{app=\"x\"}|before\n{app=\"x\", n=\"1\"}|1 a\n b\n{app=\"x\", n=\"2\"}|2 c\n d\n e\n{app=\"x\"}| f\n");
    pipeline_flush(&b.run, true, &due);
    expect_out(&b, "{app=\"x\", n=\"3\"}|3\n");
    bench_close(&b);
}

static void filters(void **state)
{
    struct bench b;
    int n = 0;

    (void)state;
    one("[{match: {selector: '{app=\"x\"} |= \"err\"', stages: [{static_labels: {e: y}}]}}, {static_labels: {all: y}}]", "an err", "{all=\"y\", app=\"x\", e=\"y\"}|an err\n");
    one("[{match: {selector: '{app=\"x\"} |= \"err\"', stages: [{static_labels: {e: y}}, {match: {selector: '{app=\"z\"}', action: drop}}]}}, {static_labels: {all: y}}]", "fine", "{all=\"y\", app=\"x\"}|fine\n");
    one("[{match: {selector: '{app=\"x\"} |= \"debug\"', action: drop}}]", "debug 1", "");
    one("[{drop: {expression: '^health'}}]", "health", "");
    one("[{drop: {longer_than: 3B}}]", "abc", "{app=\"x\"}|abc\n");
    one("[{drop: {longer_than: 3B}}]", "abcd", "");
    one("[{drop: {source: [app, y], value: 'x;1'}}]", "l", "{app=\"x\"}|l\n");
    one("[{regex: {expression: '(?P<y>\\d)'}}, {drop: {source: [app, y], value: 'x;1'}}]", "1", "");
    one("[{drop: {older_than: 1h}}]", "old", ""); /* 1970 */
    bench_open(&b, "[{limit: {rate: 1, burst: 3, drop: true}}, {sampling: {rate: 1}}]");
    for (int i = 0; i < 10; i++)
        feed(&b, "l");
    for (const char *p = buf_z(&b.out); (p = strchr(p, '\n')); p++)
        n++;
    assert_int_equal(n, 3);
    assert_int_equal(b.p.dropped, 7);
    bench_close(&b);
    bench_open(&b, "[{limit: {rate: 10, burst: 1}}, {metrics: {n_total: {type: Counter, description: d, config: {match_all: true, action: inc}},"
                   " len: {type: Histogram, source: app, config: {buckets: [1, 2]}}}}]");
    feed(&b, "l");
    assert_int_equal(b.p.wait_until_ms, 0);
    feed(&b, "l");
    assert_true(b.p.wait_until_ms > b.run.now_ms);
    b.out.n = 0;
    b.run.now_ms = clock_mono_ms();
    feed(&b, "l");
    b.out.n = 0;
    pipeline_metrics(&b.p, &b.out);
    expect_out(&b, "# HELP promtail_custom_n_total d\n# TYPE promtail_custom_n_total counter\npromtail_custom_n_total{app=\"x\"} 3\n");
    bench_close(&b);
}

static void bad_stages(void **state)
{
    static const struct {
        const char *yaml, *text;
    } cases[] = {
        {"- nosuch: {}", "t.yml:1: unknown pipeline stage \"nosuch\""},
        {"- json: {expressions: {a: 'b | length(@)'}}", "is not understood"},
        {"- regex: {expression: 'x('}", "expression:"},
        {"- regex: {expression: 'x'}", "named group"},
        {"- regex:\n    expresion: 'x'\n", "expression is required"},
        {"- json:\n    expressions: {a: }\n    sorce: x\n", "t.yml:3: unknown key \"sorce\""},
        {"- timestamp: {source: a, format: Unix, action_on_failure: explode}", "fudge or skip"},
        {"- timestamp: {source: a, format: RFC3339, location: Nowhere/X}", "unknown time zone"},
        {"- match: {selector: 'what', action: drop}", "match: selector: not a selector"},
        {"- match: {selector: '{app=\"x\"}'}", "stages are required"},
        {"- geoip: {db: x}", "geoip needs a database"},
        {"- labels: {'a-b': }", "not a valid label name"},
        {"- multiline: {max_lines: 3}", "firstline is required"},
        {"- metrics: {a: {type: Meter, config: {action: inc}}}", "Counter, Gauge or Histogram"},
        {"- metrics: {a: {type: Counter, config: {action: set}}}", "inc or add"},
        {"- limit: {rate: 0, burst: 1}", "above 0"},
        {"- replace: {expression: 'x', replace: ''}", "needs 1 to"},
        {"- {json: {}, labels: {}}", "a map of one key"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        struct err e = {0};

        if (bench_try(&b, cases[i].yaml, &e) == 0)
            fail_msg("taken: %s", cases[i].yaml);
        if (!strstr(e.text, cases[i].text))
            fail_msg("%s: %s", cases[i].yaml, e.text);
        arena_release(&b.a);
    }
}

static void bad_jobs(void **state)
{
    static const struct {
        const char *yaml, *text;
    } cases[] = {
        {"logs:\n  scrape_configs:\n  - job_name: a\n    static_configs: [{labels: {x: y}}]\n", "test.yml:3: job \"a\": a static_configs entry without the label __path__"},
        {"logs:\n  scrape_configs:\n  - job_name: a\n", "nothing to read"},
        {"logs:\n  scrape_configs:\n  - job_name: a\n    metrics_path: /\n    static_configs: [{labels: {__path__: /x}}]\n", "test.yml:4: unknown key \"metrics_path\""},
        {"logs:\n  scrape_configs:\n  - job_name: a\n    kafka: {}\n", "kafka: not among what we read"},
        {"logs:\n  scrape_configs:\n  - job_name: a\n    journal: {matches: 'rm -rf'}\n", "FIELD=VALUE"},
        {"logs:\n  whatever: 1\n", "unknown key \"whatever\""},
        {"logs:\n  promtail_file: /nonexistent/promtail.yml\n", "/nonexistent/promtail.yml"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = {0};
        struct files_config *c = read_config(cases[i].yaml, &small, &e);

        if (c)
            fail_msg("taken: %s", cases[i].yaml);
        if (!strstr(e.text, cases[i].text))
            fail_msg("%s: %s", cases[i].yaml, e.text);
    }
}

/* A promtail.yml as its documentation has it. */
static void whole_promtail(void **state)
{
    static const char text[] = "server: {http_listen_port: 9080, grpc_listen_port: 0}\npositions: {filename: /tmp/positions.yaml}\n"
                               "clients:\n- url: http://loki:3100/loki/api/v1/push\n  batchwait: 1s\n  external_labels: {cluster: c}\n"
                               "limits_config: {readline_rate_enabled: true}\ntarget_config: {sync_period: 10s}\n"
                               "scrape_configs:\n- job_name: system\n  static_configs:\n  - targets: [localhost]\n    labels: {job: varlogs, __path__: /var/log/*log}\n"
                               "- job_name: journal\n  journal: {max_age: 12h, json: false, labels: {job: systemd-journal}}\n"
                               "  relabel_configs: [{source_labels: [__journal__systemd_unit], target_label: unit}]\n"
                               "- job_name: containers\n  docker_sd_configs: [{host: 'unix:///var/run/docker.sock', refresh_interval: 5s}]\n"
                               "  relabel_configs: [{source_labels: [__meta_docker_container_name], regex: '/(.*)', target_label: container}]\n"
                               "  pipeline_stages: [{docker: {}}, {json: {expressions: {level: }}}, {labels: {level: }}]\n";
    struct follow f;
    struct files_config *c = NULL;
    struct arena a = {0};
    struct conf *root;
    struct err e = {0};

    (void)state;
    follow_open(&f);
    append(&f, "promtail.yml", text);
    assert_int_equal(conf_parse(&a, STR("x"), STR(text), &root, &e), 0);
    assert_true(files_config_is_promtail(root));
    assert_int_equal(conf_parse(&a, STR("x"), STR("{}"), &root, &e), 0);
    assert_false(files_config_is_promtail(root));
    if (files_config_read(root, STR("."), str_of(in_dir(&f, "promtail.yml")), &small, &c, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(files_config_jobs(c), 3);
    files_config_unref(c);
    arena_release(&a);
    follow_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsers), cmocka_unit_test(labels_and_lines), cmocka_unit_test(times),    cmocka_unit_test(records),
        cmocka_unit_test(filters), cmocka_unit_test(bad_stages),       cmocka_unit_test(bad_jobs), cmocka_unit_test(whole_promtail),
    };

    log_setup(LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
