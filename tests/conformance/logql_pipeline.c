/*
 * logql_pipeline.c - a pipeline over one record, case by case. A record is run twice, the second time over what the first left
 * in the runner's memory: both must agree.
 */
#include "tests/conformance/logql_pipeline.h"

#include "query/logql/logql.h"
#include "query/logql/pipeline.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct one_case {
    struct arena a;
    cJSON *json;
    const char *what;
    struct conf_report *report;
    struct logql_tree tree;
    struct pipeline *pipeline;
    struct runner *runner;
    struct labels stream;
    struct log_row row;
    bool kept;
};

static struct str text_of(const cJSON *json, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, name);

    return cJSON_IsString(v) ? str_of(v->valuestring) : STR_NULL;
}

/* An object of strings as labels, sorted. */
static struct labels labels_of(struct arena *a, const cJSON *object)
{
    struct labels ls = {arena_array(a, struct label, 64), 0};
    const cJSON *v;

    cJSON_ArrayForEach(v, object)
    {
        uint32_t k = ls.n;

        if (ls.n == 64 || !cJSON_IsString(v))
            break;
        for (; k && str_cmp(ls.v[k - 1].name, str_of(v->string)) > 0; k--)
            ls.v[k] = ls.v[k - 1];
        ls.v[k] = (struct label){str_of(v->string), str_of(v->valuestring)};
        ls.n++;
    }
    return ls;
}

static void case_end(struct one_case *c)
{
    runner_free(c->runner);
    pipeline_free(c->pipeline);
    logql_release(&c->tree);
    cJSON_Delete(c->json);
    arena_release(&c->a);
}

/* Records arrive with errors as labels of their own. */
static void preset(struct one_case *c, struct labels *meta, const char *field, const char *label)
{
    struct str v = text_of(c->json, field);

    if (v.p && meta->n < 64)
        meta->v[meta->n++] = (struct label){str_of(label), v};
}

static int compile(struct one_case *c, const struct pipeline_opts *opts, bool metric, struct err *e)
{
    struct str pipeline = text_of(c->json, "pipeline");
    const struct logql_log *log;
    struct str query = metric ? arena_printf(&c->a, "sum_over_time({x=\"y\"} %.*s [1m])", STR_ARG(pipeline))
                              : arena_printf(&c->a, "{x=\"y\"} %.*s", STR_ARG(pipeline));

    if (logql_parse(&c->a, query, &c->tree, e) < 0)
        return ERR_INVALID;
    log = metric ? &c->tree.root->range.log : &c->tree.root->log;
    if (pipeline_new(log, opts, &c->pipeline, e) < 0)
        return ERR_INVALID;
    c->runner = runner_new(c->pipeline);
    return 0;
}

static int run_case(struct one_case *c, const struct pipeline_opts *opts, bool metric, struct err *e)
{
    struct labels meta = labels_of(&c->a, cJSON_GetObjectItemCaseSensitive(c->json, "structured_metadata"));
    struct str ts = text_of(c->json, "ts_ns");
    bool first;

    c->stream = labels_of(&c->a, cJSON_GetObjectItemCaseSensitive(c->json, "labels"));
    preset(c, &meta, "preset_error", "__error__");
    preset(c, &meta, "preset_error_details", "__error_details__");
    if (compile(c, opts, metric, e) < 0)
        return ERR_INVALID;
    c->row = (struct log_row){.line = text_of(c->json, "line"), .meta = meta.v, .nmeta = meta.n};
    if (ts.p)
        str_to_i64(ts, &c->row.t_ns);
    runner_stream(c->runner, &c->stream);
    first = runner_run(c->runner, &c->row);
    c->kept = runner_run(c->runner, &c->row);
    return first == c->kept ? 0 : err_set(e, ERR_EXEC, "not the same twice");
}

/* What is expected of the labels; details of errors are worded by other hands. */
static bool labels_match(const struct logql_label *v, uint32_t n, const cJSON *want, bool any_error)
{
    uint32_t seen = 0;

    for (uint32_t i = 0; i < n; i++) {
        char name[512];
        const cJSON *w;

        snprintf(name, sizeof name, "%.*s", STR_ARG(v[i].name));
        w = cJSON_GetObjectItemCaseSensitive(want, name);
        if (any_error && str_eqz(v[i].name, "__error_details__")) {
            seen += w != NULL;
            continue;
        }
        if (!cJSON_IsString(w) || !str_eqz(v[i].value, w->valuestring))
            return false;
        seen++;
    }
    return (int)seen == cJSON_GetArraySize(want);
}

static void show(struct buf *b, const struct logql_label *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(b, "%s%.*s=", i ? ", " : "", STR_ARG(v[i].name));
        buf_put_quoted(b, v[i].value);
    }
}

static void check_labels(struct one_case *c, bool *fine)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(c->json, "out_labels");
    const struct logql_label *v;
    struct buf b = {0};
    uint32_t n;
    char *text;

    if (!want || !*fine)
        return;
    n = runner_labels(c->runner, &v);
    if (labels_match(v, n, want, true))
        return;
    *fine = false;
    show(&b, v, n);
    text = cJSON_PrintUnformatted(want);
    conf_fail(c->report, c->what, "labels %s, expected %s", buf_z(&b), text);
    free(text);
    buf_release(&b);
}

static void pipeline_case(struct one_case *c)
{
    const cJSON *keep = cJSON_GetObjectItemCaseSensitive(c->json, "keep");
    struct str line = text_of(c->json, "out_line");
    struct pipeline_opts opts = {0};
    struct err e = {0};
    bool fine = true;

    if (run_case(c, &opts, false, &e) < 0) {
        conf_fail(c->report, c->what, "%s", e.text);
        return;
    }
    if (cJSON_IsBool(keep) && c->kept != cJSON_IsTrue(keep)) {
        conf_fail(c->report, c->what, c->kept ? "kept" : "dropped");
        return;
    }
    if (c->kept && line.p && !str_eq(runner_line(c->runner), line)) {
        fine = false;
        conf_fail(c->report, c->what, "line %.*s, expected %.*s", STR_ARG(runner_line(c->runner)), STR_ARG(line));
    }
    if (c->kept)
        check_labels(c, &fine);
    if (fine)
        conf_pass(c->report);
}

static void unwrap_case(struct one_case *c)
{
    const cJSON *grouping = cJSON_GetObjectItemCaseSensitive(c->json, "grouping"), *v;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(c->json, "value");
    bool ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->json, "ok")), fine = true;
    struct str names[64];
    struct pipeline_opts opts = {.no_line = true, .names = names};
    struct err e = {0};

    opts.group = cJSON_IsObject(grouping) || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->json, "drop_all_labels"));
    opts.without = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(grouping, "without"));
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(grouping, "labels")) if (opts.nnames < 64) names[opts.nnames++] =
        str_of(v->valuestring);
    if (run_case(c, &opts, true, &e) < 0) {
        conf_fail(c->report, c->what, "%s", e.text);
        return;
    }
    if (c->kept != ok) {
        conf_fail(c->report, c->what, c->kept ? "a sample" : "no sample");
        return;
    }
    if (c->kept && cJSON_IsNumber(value) && fabs(value->valuedouble - runner_value(c->runner)) > 1e-9) {
        fine = false;
        conf_fail(c->report, c->what, "value %g, expected %g", runner_value(c->runner), value->valuedouble);
    }
    if (c->kept)
        check_labels(c, &fine);
    if (fine)
        conf_pass(c->report);
}

/* The pattern with nameless captures, as |> takes it: whether it covers the line. */
static bool covers_as_expected(struct one_case *c, struct str pattern)
{
    const cJSON *full = cJSON_GetObjectItemCaseSensitive(c->json, "full_match");
    struct one_case filter = {.what = c->what, .report = c->report};
    struct pipeline_opts opts = {0};
    struct buf b = {0}, quoted = {0};
    struct err e;
    bool fine;

    for (size_t at = 0; at < pattern.n; at++) {
        struct str name = str_from(pattern, at + 1);
        ptrdiff_t end = pattern.p[at] == '<' ? str_chr(name, '>') : -1;

        if (end > 0 && label_name_legacy(str_head(name, (size_t)end))) {
            buf_putz(&b, "<_>");
            at += (size_t)end + 1;
        } else {
            buf_putc(&b, pattern.p[at]);
        }
    }
    buf_put_quoted(&quoted, buf_str(&b));
    filter.json = cJSON_CreateObject();
    cJSON_AddStringToObject(filter.json, "pipeline", arena_printf(&filter.a, "|> %.*s", STR_ARG(buf_str(&quoted))).p);
    cJSON_AddStringToObject(filter.json, "line", text_of(c->json, "line").p);
    fine = run_case(&filter, &opts, false, &e) == 0 && filter.kept == cJSON_IsTrue(full);
    buf_release(&b);
    buf_release(&quoted);
    case_end(&filter);
    return fine;
}

/* The captures of a pattern, as labels in the order of the pattern, and whether |> would take the line. */
static void pattern_case(struct one_case *c)
{
    const cJSON *captures = cJSON_GetObjectItemCaseSensitive(c->json, "captures"), *v;
    struct str pattern = text_of(c->json, "pattern"), got;
    struct pipeline_opts opts = {0};
    struct buf quoted = {0};
    struct err e = {0};
    uint32_t i = 0;
    bool fine = true;

    if (!str_eqz(text_of(c->json, "kind"), "match"))
        return;
    buf_put_quoted(&quoted, pattern);
    cJSON_AddStringToObject(c->json, "pipeline", arena_printf(&c->a, "| pattern %.*s", STR_ARG(buf_str(&quoted))).p);
    buf_release(&quoted);
    if (run_case(c, &opts, false, &e) < 0) {
        conf_fail(c->report, c->what, "%s", e.text);
        return;
    }
    /* Captures come in order; their names are found in the pattern. */
    for (size_t at = 0; at < pattern.n && fine; at++) {
        struct str name = str_from(pattern, at + 1);
        ptrdiff_t end = str_chr(name, '>');

        if (pattern.p[at] != '<' || end <= 0)
            continue;
        name = str_head(name, (size_t)end);
        if (!label_name_legacy(name) || str_eqz(name, "_"))
            continue;
        v = cJSON_GetArrayItem(captures, (int)i++);
        if (!runner_label(c->runner, name, &got) != !v || (v && !str_eqz(got, v->valuestring)))
            fine = false;
        at += (size_t)end;
    }
    if (!fine)
        conf_fail(c->report, c->what, "other captures");
    else if (!covers_as_expected(c, pattern))
        conf_fail(c->report, c->what, "covers the line, or does not, other than expected");
    else
        conf_pass(c->report);
}

static int run_file(struct str path, struct conf_report *r, void (*fn)(struct one_case *c))
{
    struct buf text = {0};
    struct str rest, line;
    unsigned n = 0;
    bool more = true;

    if (conf_read(path, &text) < 0)
        return -1;
    for (rest = buf_str(&text); more;) {
        struct one_case c = {.report = r};

        more = str_cut(&rest, '\n', &line);
        n++;
        if (!str_trim(line).n)
            continue;
        c.json = cJSON_ParseWithLength(line.p, line.n);
        c.what = arena_printf(&c.a, "line %u: %.*s %.*s", n, STR_ARG(text_of(c.json, "pipeline")), STR_ARG(text_of(c.json, "pattern"))).p;
        if (c.json)
            fn(&c);
        else
            conf_fail(r, c.what, "not a case");
        case_end(&c);
    }
    buf_release(&text);
    return 0;
}

int conf_logql_pipeline(struct str path, struct conf_report *r)
{
    return run_file(path, r, pipeline_case);
}

int conf_logql_unwrap(struct str path, struct conf_report *r)
{
    return run_file(path, r, unwrap_case);
}

int conf_logql_pattern(struct str path, struct conf_report *r)
{
    return run_file(path, r, pattern_case);
}
