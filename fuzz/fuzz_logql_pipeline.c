/*
 * fuzz_logql_pipeline.c - any line through many pipelines, and (odd first byte) any pipeline over any line. A runner that has
 * seen other lines gives what a new one gives; labels out of columns give what the text gives; equal sets hash equally.
 */
#include "query/logql/logql.h"
#include "query/logql/pipeline.h"
#include "query/logql/regex_need.h"

#include <stdlib.h>

static const char *const pipelines[] = {
    "| json",
    "| logfmt",
    "| logfmt --strict --keep-empty",
    "| json a=\"a.b[0]\", c=\"[\\\"x y\\\"]\", d",
    "| logfmt a=\"b\", c",
    "| unpack",
    "| json | level=\"error\" | line_format \"{{.msg}} {{.level | upper}} {{ __timestamp__ | date \\\"15:04:05\\\" }}\"",
    "| logfmt | duration > 1s or size < 5KB and status >= 500 | drop level, status=\"500\"",
    "| pattern \"<a> <_>=<b> [<c>]\" | a != \"\"",
    "|> \"<_>a<_>b\" !> \"x<_>\"",
    "| regexp \"(?P<x>\\\\w+)=(?P<y>[^ ]*)\" | label_format z=\"{{.x}}-{{.y}}\", w=x | keep z, w",
    "|= \"a\" or ip(\"10.0.0.0/8\") != ip(\"::1\") |~ \"(?i)err|warn\" !~ \"x.*y\"",
    "| decolorize | json | line_format \"{{.a}}{{.b.c}}{{ __line__ }}\" | json",
    "| json | addr = ip(\"192.168.0.0/16\") | __error__=\"\"",
    "| json | logfmt | line_format \"{{ range $k, $v := . }}{{$k}}={{$v}} {{ end }}\" | logfmt",
};

static void need(bool yes)
{
    if (!yes)
        abort();
}

struct result {
    bool kept;
    struct str line;
    struct hash128 hash;
    const struct logql_label *v;
    uint32_t n;
};

static struct result run(struct runner *r, const struct labels *stream, const struct log_row *row)
{
    struct result x = {0};

    runner_stream(r, stream);
    x.kept = runner_run(r, row);
    if (!x.kept)
        return x;
    x.line = runner_line(r);
    x.hash = runner_hash(r);
    x.n = runner_labels(r, &x.v);
    for (uint32_t i = 1; i < x.n; i++)
        need(str_cmp(x.v[i - 1].name, x.v[i].name) < 0);
    return x;
}

static void same(const struct result *a, const struct result *b)
{
    need(a->kept == b->kept);
    if (!a->kept)
        return;
    need(str_eq(a->line, b->line) && hash128_eq(a->hash, b->hash) && a->n == b->n);
    for (uint32_t i = 0; i < a->n; i++)
        need(str_eq(a->v[i].name, b->v[i].name) && str_eq(a->v[i].value, b->v[i].value) && a->v[i].category == b->v[i].category);
}

static struct label stream_labels[] = {{{"app", 3}, {"x", 1}}, {{"level", 5}, {"s", 1}}};
static struct label meta[] = {{{"a", 1}, {"m", 1}}, {{"b_extracted", 11}, {"n", 1}}};
static const struct labels stream = {stream_labels, 2}, nothing = {NULL, 0};

struct compiled {
    struct arena a;
    struct logql_tree tree;
    struct pipeline *p;
};

static bool compile(struct compiled *c, struct str text)
{
    static const struct pipeline_opts opts = {0};
    struct buf b = {0};
    struct err e = {0};
    bool fine;

    buf_putz(&b, "{x=\"y\"} ");
    buf_puts(&b, text);
    fine = logql_parse(&c->a, buf_str(&b), &c->tree, &e) == 0;
    buf_release(&b);
    need(fine || e.text[0]);
    if (!fine)
        return false;
    if (!logql_is_log(&c->tree) || pipeline_new(&c->tree.root->log, &opts, &c->p, &e) < 0) {
        logql_release(&c->tree);
        return false;
    }
    return true;
}

static void compiled_release(struct compiled *c)
{
    pipeline_free(c->p);
    logql_release(&c->tree);
    arena_release(&c->a);
}

/* What a parser finds without stream and metadata is what columns hold; with them, both ways must agree. */
static void fields_as_text(const struct pipeline *p, struct str line, const struct result *want)
{
    static struct log_field fields[4096];
    struct log_row row = {.line = line};
    struct runner *plain = runner_new(p), *columns = runner_new(p);
    struct result x = run(plain, &nothing, &row);

    bool fine = x.kept && x.n <= 4096 && !runner_error(plain).n;

    /* Results are sorted, columns in the order of the line, which matters to names that another label may take. */
    for (uint32_t i = 0; fine && i < x.n; i++) {
        fields[i] = (struct log_field){x.v[i].name, x.v[i].value, NULL, 0};
        fine = !str_ends(x.v[i].name, STR("_extracted"));
    }
    if (fine) {
        row = (struct log_row){.line = line, .meta = meta, .nmeta = 2, .fields = fields, .nfields = x.n};
        x = run(columns, &stream, &row);
        same(want, &x);
    }
    runner_free(plain);
    runner_free(columns);
}

static void check_line(const struct pipeline *p, struct runner *old, struct str line, bool columns)
{
    struct runner *r = runner_new(p);
    struct log_row row = {.line = line, .meta = meta, .nmeta = 2}, empty = {.line = {"", 0}};
    struct result x = run(r, &stream, &row), y = run(old, &stream, &row);

    same(&x, &y);
    if (columns)
        fields_as_text(p, line, &x);
    run(old, &nothing, &empty);
    runner_free(r);
}

/* What is looked for before an expression is asked stands in whatever it matches. */
static void check_regex_need(struct str pattern, struct str text)
{
    struct arena a = {0};
    struct regex *re;

    if (regex_new(pattern, REGEX_DOTALL, &re, NULL) == 0) {
        need(!regex_match(re, text) || str_find(text, lq_regex_need(&a, pattern)) >= 0);
        regex_free(re);
    }
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct compiled fixed[ARRAY_LEN(pipelines)];
    static struct runner *runners[ARRAY_LEN(pipelines)];
    struct str text = str_n(data, size), first;
    struct compiled c = {0};
    size_t i;

    if (size < 2)
        return 0;
    clock_fake(1, 1);
    text = str_from(text, 1);
    if (data[0] & 1) {
        str_cut(&text, '\n', &first);
        check_regex_need(first, text);
        if (compile(&c, first)) {
            struct runner *r = runner_new(c.p);

            check_line(c.p, r, text, false);
            runner_free(r);
            compiled_release(&c);
        } else {
            arena_release(&c.a);
        }
        return 0;
    }
    i = data[0] / 2 % ARRAY_LEN(pipelines);
    if (!runners[i]) {
        need(compile(&fixed[i], str_of(pipelines[i])));
        runners[i] = runner_new(fixed[i].p);
    }
    check_line(fixed[i].p, runners[i], text, i < 2);
    return 0;
}
