/*
 * test_stages.c - pipelines over single records: what each stage does, labels out of columns as out of text, what is told to the
 * store, and lines that want to do harm.
 */
#include "query/logql/logql.h"
#include "query/logql/pipeline.h"
#include "query/logql/regex_need.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct made {
    struct arena a;
    struct logql_tree tree;
    struct pipeline *p;
    struct runner *r;
    struct err e;
};

static int make(struct made *m, const char *pipeline, const struct pipeline_opts *opts)
{
    static const struct pipeline_opts plain = {0};
    bool metric = opts && opts->group;
    struct buf b = {0};
    int code;

    *m = (struct made){0};
    if (metric)
        buf_putz(&b, strstr(pipeline, "unwrap") ? "sum_over_time(" : "count_over_time(");
    buf_printf(&b, metric ? "{x=\"y\"} %s [1m])" : "{x=\"y\"} %s", pipeline);
    code = logql_parse(&m->a, buf_str(&b), &m->tree, &m->e);
    buf_release(&b);
    if (code < 0)
        return code;
    code = pipeline_new(metric ? &m->tree.root->range.log : &m->tree.root->log, opts ? opts : &plain, &m->p, &m->e);
    if (code == 0)
        m->r = runner_new(m->p);
    return code;
}

static void unmake(struct made *m)
{
    runner_free(m->r);
    pipeline_free(m->p);
    logql_release(&m->tree);
    arena_release(&m->a);
}

static void show(struct runner *r, bool kept, struct buf *out)
{
    static const char sorts[] = "smp";
    const struct logql_label *v;
    uint32_t n;

    if (!kept) {
        buf_putz(out, "dropped");
        return;
    }
    n = runner_labels(r, &v);
    buf_puts(out, runner_line(r));
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(out, "%s%c:", i ? "," : " | ", sorts[v[i].category]);
        buf_puts(out, v[i].name);
        buf_putc(out, '=');
        buf_puts(out, v[i].value);
    }
}

static struct label stream_v[] = {{{"app", 3}, {"web", 3}}, {{"s", 1}, {"1", 1}}};
static struct label meta_v[] = {{{"m", 1}, {"2", 1}}, {{"trace", 5}, {"t", 1}}};
static const struct labels stream = {stream_v, 2};

static void check(const char *const (*cases)[3], size_t n)
{
    struct buf b = {0};

    for (size_t i = 0; i < n; i++) {
        struct log_row row = {.line = str_of(cases[i][1]), .meta = meta_v, .nmeta = 2, .t_ns = INT64_C(1656353124120000000)};
        struct made m;

        buf_reset(&b);
        if (make(&m, cases[i][0], NULL) < 0) {
            buf_putz(&b, m.e.text);
        } else {
            runner_stream(m.r, &stream);
            show(m.r, runner_run(m.r, &row), &b);
        }
        if (strcmp(buf_z(&b), cases[i][2]) != 0)
            fail_msg("%s over %s\n     gives: %s\n  expected: %s", cases[i][0], cases[i][1], b.p, cases[i][2]);
        unmake(&m);
    }
    buf_release(&b);
}

#define ALL "s:app=web,m:m=2,s:s=1,m:trace=t"

static void test_lines(void **state)
{
    static const char *const cases[][3] = {
        {"|= \"b\"", "abc", "abc | " ALL},
        {"|= \"B\"", "abc", "dropped"},
        {"|~ \"(?i)B\"", "abc", "abc | " ALL},
        {"|~ \"x|b\" !~ \"d|e\"", "abc", "abc | " ALL},
        {"!= \"z\" or \"b\"", "abc", "dropped"},
        {"|~ \"a.c\"", "a\nc", "a\nc | " ALL},
        {"|= \"\"", "", " | " ALL},
        {"|> \"a<_>c\"", "abc", "abc | " ALL},
        {"|> \"a<_>b\"", "abc", "dropped"},
        {"|> \"\"", "abc", "dropped"},
        {"|= ip(\"10.0.0.0/8\")", "from 10.1.2.3.", "from 10.1.2.3. | " ALL},
        {"|= ip(\"10.0.0.0/8\")", "from 11.1.2.3:80", "dropped"},
        {"!= ip(\"::1\")", "[::1]:80", "dropped"},
        {"|= ip(\"1.1.1.1-1.1.1.9\")", "1.1.1.5:53", "1.1.1.5:53 | " ALL},
        {"|= ip(\"nonsense\")", "", "parse error : ip: invalid pattern, not an address, a range or a CIDR: \"nonsense\""},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void test_parsers(void **state)
{
    static const char *const cases[][3] = {
        {"| json", "{\"a\":\"x\",\"b\":{\"c\":1.50,\"d\":[1],\"e\":null,\"f\":true}}",
         "{\"a\":\"x\",\"b\":{\"c\":1.50,\"d\":[1],\"e\":null,\"f\":true}} | p:a=x,s:app=web,p:b_c=1.50,p:b_f=true,m:m=2,s:s=1,m:trace=t"},
        {"| json | line_format \"-\"", "{\"app\":\"x\",\"m\":\"y\",\"app\":\"z\",\"1a\":\"b\\u00e9\\n\"}",
         "- | p:_1a=bé\n,s:app=web,p:app_extracted=x,m:m=2,p:m_extracted=y,s:s=1,m:trace=t"},
        {"| json | keep a, b_c | line_format \"{{.__error__}}\"", "{\"a\":1,\"b\":{\"c\":2,\"d\":", "JSONParserErr | p:__error__=JSONParserErr,"
         "p:__error_details__=Value looks like object, but can't find closing '}' symbol,p:a=1"},
        {"| json | keep a | drop __error__, __error_details__", "not json", "not json"},
        {"| json a=\"b[1].c\", d | keep a, d", "{\"b\":[0,{\"c\":\"\\\"q\"}],\"d\":{\"x\":[1, 2]}}", "{\"b\":[0,{\"c\":\"\\\"q\"}],\"d\":{\"x\":[1, 2]}} | p:a=\"q,p:d={\"x\":[1, 2]}"},
        {"| json app=\"x\", zz | keep app, app_extracted, zz", "{\"x\":null}", "{\"x\":null} | s:app=web,p:app_extracted=,p:zz="},
        {"| logfmt | drop app, s, m, trace", "a=1 b c= d=\"x \\\"y\\\"\" e=\"\" a=2 =z f=g=h i", "a=1 b c= d=\"x \\\"y\\\"\" e=\"\" a=2 =z f=g=h i | p:a=1,p:d=x \"y\""},
        {"| logfmt | drop app, s, m, trace | line_format \"-\"", "a=\"it\\'s \\ud83d\\ude00 \\ud800x\" b=\"\\q\" c=1", "- | p:a=it's 😀  x,p:c=1"},
        {"| logfmt --keep-empty | drop app, s, m, trace", "a=1 b c=", "a=1 b c= | p:a=1,p:b=,p:c="},
        {"| logfmt --strict | drop app, s, m, trace", "a=1 b=\"x", "a=1 b=\"x | p:__error__=LogfmtParserErr,"
         "p:__error_details__=logfmt syntax error at pos 9 : unterminated quoted value,p:a=1"},
        {"| logfmt n=\"a\", q | keep n, q", "a=1 a=2", "a=1 a=2 | p:n=1,p:q="},
        {"| regexp \"(?P<k>\\\\w+)=(?P<v>\\\\d*)\" | keep k, v", "-- ab=12 cd=3", "-- ab=12 cd=3 | p:k=ab,p:v=12"},
        {"| pattern \"<k>=<v> <_>\" | keep k, v", "ab=12 cd=3", "ab=12 cd=3 | p:k=ab,p:v=12"},
        {"| pattern \"x<k>=<v>\" | keep k, v", "ab=12 cd=3", "ab=12 cd=3"},
        {"| unpack | keep a, b", "{\"a\":\"1\",\"_entry\":\"the \\\"line\\\"\",\"b\":2}", "the \"line\" | p:a=1"},
        {"| unpack | keep a", "{\"a\":\"1\"}", "{\"a\":\"1\"}"},
        {"| unpack | keep a, __error__", "[1]", "[1] | p:__error__=JSONParserErr,p:__error_details__=expecting json object(6), but it is not"},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void test_filters(void **state)
{
    static const char *const cases[][3] = {
        {"| s=\"1\" and m=~\"[0-9]\" | keep s", "x", "x | s:s=1"},
        {"| s=\"2\" or m=\"2\" | keep s", "x", "x | s:s=1"},
        {"| nosuch=\"\" | nosuch!=\"a\" | keep s", "x", "x | s:s=1"},
        {"| nosuch > 1", "x", "dropped"},
        {"| s >= 1 | s < 1.5 | m != 3 | keep s", "x", "x | s:s=1"},
        {"| app > 1 | keep s", "x", "x | p:__error__=LabelFilterErr,p:__error_details__=strconv.ParseFloat: parsing \"web\": invalid syntax,s:s=1"},
        {"| app > 1 | s > 100 | __error__=\"\"", "x", "dropped"},
        {"| app > 1 | s > 100 | drop __error__, __error_details__ | keep s", "x", "x | s:s=1"},
        {"| logfmt | d > 1s500ms and b <= 2KiB and a = ip(\"10.0.0.0/8\") | keep s", "d=2s b=2048 a=10.9.8.7", "d=2s b=2048 a=10.9.8.7 | s:s=1"},
        {"| logfmt | d > 1s", "d=10ms", "dropped"},
        {"| keep app=\"web\", s=\"2\"", "x", "x | s:app=web"},
        {"| drop app=\"web\", s=\"2\", trace | drop m", "x", "x | s:s=1"},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void test_formats(void **state)
{
    static const char *const cases[][3] = {
        {"| line_format \"{{.app}}-{{.nosuch}}-{{ __line__ }}\" | keep s", "x", "web--x | s:s=1"},
        {"| label_format a=app, b=\"{{.app}}{{.a}}\" | keep a, b, app", "x", "x | s:a=web,p:b=web"},
        {"| label_format b=\"{{.app}}{{.a}}\", a=app | keep a, b, app", "x", "x | s:a=web,p:b=web"},
        {"| label_format a=m | keep a, m", "x", "x | m:a=2"},
        {"| label_format app=\"{{.s}}\" | keep app", "x", "x | p:app=1"},
        {"| line_format \"{{ index .app 9 }}\" | keep s", "x",
         "x | p:__error__=TemplateFormatErr,p:__error_details__=template: line:1:3: executing \"line\" at <index>: error calling index: index "
         "out of range: 9,s:s=1"},
        {"| line_format \"{{\"", "x", "invalid line template: template: line:1: unclosed action"},
        {"| line_format \"{{ range $k, $v := . }}{{$k}}={{$v}};{{end}}\" | keep s", "x", "app=web;m=2;s=1;trace=t; | s:s=1"},
        {"| decolorize | keep s", "\x1b[1;31mred\x1b[0m", "red | s:s=1"},
        {"| json | line_format \"{{.a}}\" | json | keep a, b", "{\"a\":\"{\\\"b\\\":1}\"}", "{\"b\":1} | p:a={\"b\":1},p:b=1"},
        {"| line_format `{{ __timestamp__ | date \"2006-01-02\" }} {{ fromJson __line__ }}` | keep s", "{\"a\":[1,\"x\"]}", "2022-06-27 map[a:[1 x]] | s:s=1"},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

/* --- columns ---------------------------------------------------------------------------------------------------- */

static uint32_t pick(uint64_t *seed, uint32_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % n;
}

/* A line of few keys, so that they meet each other and those of stream and metadata. */
static void random_line(uint64_t *seed, bool json, struct buf *out)
{
    static const char *const keys[] = {"a", "b", "app", "m", "level", "s", "a-b", "a_b", "ünder"};
    static const char *const values[] = {"error", "info", "1", "x y", "é", "12.5", "10ms"};

    if (json)
        buf_putc(out, '{');
    for (uint32_t i = 0, n = pick(seed, 8); i < n; i++) {
        const char *key = keys[pick(seed, ARRAY_LEN(keys))], *value = values[pick(seed, ARRAY_LEN(values))];

        if (i)
            buf_putc(out, json ? ',' : ' ');
        if (!json)
            buf_printf(out, pick(seed, 6) ? "%s=\"%s\"" : "%s", key, value);
        else if (pick(seed, 5) == 0)
            buf_printf(out, "\"%s\":{\"%s\":\"%s\",\"n\":%u}", key, keys[pick(seed, ARRAY_LEN(keys))], value, pick(seed, 100));
        else
            buf_printf(out, pick(seed, 8) ? "\"%s\":\"%s\"" : "\"%s\":[\"%s\"]", key, value);
    }
    if (json)
        buf_putc(out, '}');
}

static const struct labels nothing = {NULL, 0};

static void columns_once(struct made *bare, struct made *m, uint64_t *seed, bool json, struct buf *text, struct buf *columns)
{
    static struct log_field fields[64];
    struct buf line = {0};
    const struct logql_label *v;
    struct log_row row = {0};
    uint32_t n;

    random_line(seed, json, &line);
    row.line = line.n ? buf_str(&line) : STR("");
    runner_stream(bare->r, &nothing);
    assert_true(runner_run(bare->r, &row));
    n = runner_labels(bare->r, &v);
    assert_true(n < ARRAY_LEN(fields));
    for (uint32_t i = 0; i < n; i++)
        fields[i] = (struct log_field){v[i].name, v[i].value, NULL, 0};
    row.meta = meta_v;
    row.nmeta = pick(seed, 3);
    buf_reset(text);
    buf_reset(columns);
    runner_stream(m->r, pick(seed, 4) ? &stream : &nothing);
    show(m->r, runner_run(m->r, &row), text);
    row.fields = fields;
    row.nfields = n;
    show(m->r, runner_run(m->r, &row), columns);
    if (!str_eq(buf_str(text), buf_str(columns)))
        fail_msg("%.*s\n     text: %s\n  columns: %s", STR_ARG(row.line), buf_z(text), buf_z(columns));
    buf_release(&line);
}

static void test_columns(void **state)
{
    static const char *const pipelines[] = {"| %s", "| %s | level=\"error\" | line_format \"{{.a}} {{.level}}\"", "| %s | keep a, b, a_b_n", "| %s | a > 1"};
    uint64_t seed = (uint64_t)time(NULL);
    struct buf text = {0}, columns = {0};

    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (unsigned k = 0; k < 2 * ARRAY_LEN(pipelines); k++) {
        const char *parser = k & 1 ? "json" : "logfmt";
        char pipeline[200], alone[20];
        struct made bare, m;

        snprintf(pipeline, sizeof pipeline, pipelines[k / 2], parser);
        snprintf(alone, sizeof alone, "| %s", parser);
        assert_int_equal(make(&bare, alone, NULL), 0);
        assert_int_equal(make(&m, pipeline, NULL), 0);
        for (int i = 0; i < 3000; i++)
            columns_once(&bare, &m, &seed, k & 1, &text, &columns);
        unmake(&bare);
        unmake(&m);
    }
    buf_release(&text);
    buf_release(&columns);
}

/* --- what the store is told --------------------------------------------------------------------------------------- */

static void test_plan(void **state)
{
    const struct log_hint *h;
    const struct str *names;
    uint32_t n;
    struct made m;
    struct str by[] = {STR("level")};
    struct pipeline_opts opts = {.group = true, .names = by, .nnames = 1, .no_line = true};

    (void)state;
    assert_int_equal(make(&m, "|= \"a\" or \"b\" |~ \"foo.*\" | json | level=~\"error|warn\" and a=\"\" | line_format \"x\" |= \"y\"", NULL), 0);
    assert_int_equal(pipeline_hints(m.p, &h), 3);
    assert_int_equal(h[0].kind, LOG_HINT_LINE);
    assert_int_equal(h[0].nvalues, 2);
    assert_int_equal(h[1].nvalues, 1);
    assert_true(str_eqz(h[1].values[0], "foo"));
    assert_int_equal(h[2].kind, LOG_HINT_FIELD);
    assert_true(str_eqz(h[2].name, "level") && h[2].nvalues == 2 && h[2].parser == LOG_PARSER_JSON);
    assert_int_equal(pipeline_fields(m.p, &names, &n), LOG_PARSER_JSON);
    assert_null(names);
    assert_true(pipeline_needs_line(m.p));
    unmake(&m);

    assert_int_equal(make(&m, "| logfmt | took > 1s | unwrap bytes", &opts), 0);
    assert_int_equal(pipeline_fields(m.p, &names, &n), LOG_PARSER_LOGFMT);
    assert_int_equal(n, 3);
    assert_false(pipeline_needs_line(m.p));
    unmake(&m);

    bool told;
    assert_int_equal(make(&m, "|= \"a\" != \"b\" |~ \"[x]y|z\" | level=\"error\"", &opts), 0);
    assert_int_equal(pipeline_hints(m.p, &h), 4);
    assert_int_equal(h[1].kind, LOG_HINT_NO_LINE);
    assert_true(h[2].values[0].n == 0 && h[2].tests[0].match && h[2].tests[0].within);
    assert_false(pipeline_needs_line(m.p));
    assert_true(pipeline_by_labels(m.p, &told) && told);
    assert_true(pipeline_meta_names(m.p, &names, &n) && n == 1 && str_eqz(names[0], "level"));
    unmake(&m);
    assert_int_equal(make(&m, "|> \"<_>a\" | code > 5", &opts), 0);
    assert_true(pipeline_needs_line(m.p));
    assert_false(pipeline_by_labels(m.p, &told));
    unmake(&m);
    assert_int_equal(make(&m, "|~ \"[x]y|z\"", NULL), 0); /* for a few lines not every one is asked beforehand */
    assert_int_equal(pipeline_hints(m.p, &h), 0);
    unmake(&m);

    assert_int_equal(make(&m, "| json | logfmt | level=\"error\"", NULL), 0);
    assert_int_equal(pipeline_hints(m.p, &h), 0);
    unmake(&m);
    assert_int_equal(make(&m, "| label_format level=\"error\" | json | label_format a=b | level=\"error\"", NULL), 0);
    assert_int_equal(pipeline_hints(m.p, &h), 0);
    unmake(&m);
}

static void test_groups(void **state)
{
    struct str by[] = {STR("level"), STR("app")};
    struct pipeline_opts opts = {.group = true, .names = by, .nnames = 2, .no_line = true};
    struct log_row row = {.line = STR("{\"v\":3.5,\"level\":\"error\",\"z\":1}"), .meta = meta_v, .nmeta = 2};
    struct hash128 first, second;
    struct buf b = {0};
    struct made m;

    (void)state;
    assert_int_equal(make(&m, "| json | unwrap v", &opts), 0);
    runner_stream(m.r, &stream);
    assert_true(runner_run(m.r, &row));
    assert_true(runner_value(m.r) == 3.5);
    first = runner_hash(m.r);
    show(m.r, true, &b);
    assert_string_equal(buf_z(&b), "{\"v\":3.5,\"level\":\"error\",\"z\":1} | s:app=web,p:level=error");
    row.line = STR("{\"z\":2,\"level\":\"error\",\"v\":4}");
    assert_true(runner_run(m.r, &row));
    second = runner_hash(m.r);
    assert_true(hash128_eq(first, second));
    row.line = STR("{\"z\":2,\"level\":\"info\",\"v\":4}");
    assert_true(runner_run(m.r, &row));
    second = runner_hash(m.r);
    assert_false(hash128_eq(first, second));
    row.line = STR("{\"z\":2}");
    assert_false(runner_run(m.r, &row));
    unmake(&m);

    opts.without = true;
    buf_reset(&b);
    assert_int_equal(make(&m, "| json | unwrap v", &opts), 0);
    runner_stream(m.r, &stream);
    row.line = STR("{\"v\":3.5,\"level\":\"error\",\"z\":1}");
    assert_true(runner_run(m.r, &row));
    show(m.r, true, &b);
    assert_string_equal(buf_z(&b), "{\"v\":3.5,\"level\":\"error\",\"z\":1} | m:m=2,s:s=1,m:trace=t,p:z=1");
    row.line = STR("{\"v\":\"x\"}");
    assert_true(runner_run(m.r, &row));
    assert_true(str_eqz(runner_error(m.r), "SampleExtractionErr"));
    unmake(&m);
    buf_release(&b);
}

/* --- lines that want to do harm ------------------------------------------------------------------------------------ */

/* What every match must hold, against the expression itself. */
static void test_needs(void **state)
{
    static const char *const cases[][2] = {
        {"foo.*barbaz", "barbaz"}, {"foo|bar", ""},   {"(?i)foo", ""},      {"a(b|c)def+g", "def"}, {"fo*", "f"},      {"x{0}yy", "yy"},
        {"a\\.b\\d+cc", "a.b"},    {"[abc]xy[)]z", "xy"}, {"^start\\bend$", "start"}, {"ab?c", "a"}, {"", ""},         {"é1*22", "22"},
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = {0};

        for (const char *p = cases[i][0]; *p; p++) {
            buf_putc(&b, *p);
            p += p[0] == '\\' && p[1] == '\\';
        }
        assert_string_equal(arena_dup(&a, lq_regex_need(&a, buf_str(&b))).p, cases[i][1]);
        buf_release(&b);
    }
    arena_release(&a);
}

static void run_hostile(const char *pipeline, struct str line)
{
    struct log_row row = {.line = line};
    const struct logql_label *v;
    struct made m;

    assert_int_equal(make(&m, pipeline, NULL), 0);
    runner_stream(m.r, &stream);
    for (int i = 0; i < 2; i++)
        if (runner_run(m.r, &row)) {
            runner_hash(m.r);
            runner_labels(m.r, &v);
        }
    unmake(&m);
}

static void test_hostile(void **state)
{
    static const char *const pipelines[] = {"| json", "| logfmt", "| unpack", "| json a=\"a.a.a[0]\"", "| pattern \"<a>a<b>\" | decolorize",
                                            "|= ip(\"1.1.1.1\")", "|> \"<_>a<_>b\""};
    struct buf deep = {0}, wide = {0}, keys = {0}, colons = {0};
    int n = getenv("TRIPOD_LONG") ? 1000000 : 100000;

    (void)state;
    for (int i = 0; i < n; i++)
        buf_putz(&deep, i % 3 ? "{\"a\":" : "{\"a\":1,\"b\":");
    buf_putc(&wide, '{');
    for (int i = 0; i < n / 10; i++)
        buf_printf(&wide, "%s\"k%d\":\"v\"", i ? "," : "", i);
    buf_putc(&wide, '}');
    for (int i = 0; i < n; i++)
        buf_printf(&keys, "k%d=%d ", i * 3, i);
    for (int i = 0; i < n; i++)
        buf_putz(&colons, "1:a:.");
    for (size_t i = 0; i < ARRAY_LEN(pipelines); i++) {
        run_hostile(pipelines[i], buf_str(&deep));
        run_hostile(pipelines[i], buf_str(&wide));
        run_hostile(pipelines[i], buf_str(&keys));
        run_hostile(pipelines[i], buf_str(&colons));
        run_hostile(pipelines[i], STR("\xff\xfe{\0\"\":\xc3}"));
        run_hostile(pipelines[i], STR("{\"\xff\":\"\xff\0\"}"));
    }
    buf_release(&deep);
    buf_release(&wide);
    buf_release(&keys);
    buf_release(&colons);
}

/* Ever new keys: what a runner learned is forgotten in time, and results stay what they are. */
static void test_forgets(void **state)
{
    struct buf line = {0}, first = {0}, second = {0};
    struct log_row row = {.meta = meta_v, .nmeta = 2};
    struct made m, fresh;

    (void)state;
    assert_int_equal(make(&m, "| json | a=\"1\" | keep a, app, m, b_c", NULL), 0);
    runner_stream(m.r, &stream);
    for (int i = 0; i < 300; i++) {
        buf_reset(&line);
        buf_putz(&line, "{\"a\":1");
        for (int k = 0; k < 1000; k++)
            buf_printf(&line, ",\"k%d_%d\":0", i, k);
        buf_putz(&line, ",\"b\":{\"c\":2}}");
        row.line = buf_str(&line);
        assert_true(runner_run(m.r, &row));
    }
    show(m.r, true, &first);
    assert_int_equal(make(&fresh, "| json | a=\"1\" | keep a, app, m, b_c", NULL), 0);
    runner_stream(fresh.r, &stream);
    assert_true(runner_run(fresh.r, &row));
    show(fresh.r, true, &second);
    assert_true(str_eq(buf_str(&first), buf_str(&second)));
    assert_true(hash128_eq(runner_hash(m.r), runner_hash(fresh.r)));
    unmake(&m);
    unmake(&fresh);
    buf_release(&line);
    buf_release(&first);
    buf_release(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_parsers), cmocka_unit_test(test_filters), cmocka_unit_test(test_formats),
        cmocka_unit_test(test_columns), cmocka_unit_test(test_plan),    cmocka_unit_test(test_groups),  cmocka_unit_test(test_hostile), cmocka_unit_test(test_needs),   cmocka_unit_test(test_forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
