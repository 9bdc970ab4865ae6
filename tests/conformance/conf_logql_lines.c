/*
 * conf_logql_lines.c - cases that run a pipeline over one line, twice: the second time over what the first left in the runner's
 * memory. Both must agree, and the second is what is looked at.
 *
 * Everything goes through the pipeline as queries use it; the log store is not needed. Texts of __error_details__ are Go's and
 * not compared.
 */
#include "tests/conformance/conf_logql.h"

#include "query/logql/logql.h"
#include "query/logql/pipeline.h"

#include <math.h>
#include <stdlib.h>

/* A pipeline over one record. */
struct line_run {
    struct logql_tree tree;
    struct pipeline *pipeline;
    struct runner *runner;
    bool kept;
};

static void line_run_release(struct line_run *l)
{
    runner_free(l->runner);
    pipeline_free(l->pipeline);
    logql_release(&l->tree);
    *l = (struct line_run){0};
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static struct labels labels_of(struct arena *a, const cJSON *c)
{
    struct labels ls = {.v = arena_alloc(a, ((size_t)cJSON_GetArraySize(c) + 3) * sizeof *ls.v)};

    for (const cJSON *l = c ? c->child : NULL; l; l = l->next)
        ls.v[ls.n++] = (struct label){str_of(l->string), str_of(cJSON_GetStringValue(l))};
    if (ls.n > 1)
        qsort(ls.v, ls.n, sizeof *ls.v, by_name);
    return ls;
}

/* Runs `stages` (of a metric query where it unwraps) over the case's record. */
static int run(struct logql_case *x, const char *stages, struct str line, const struct pipeline_opts *o, struct line_run *l, struct err *e)
{
    bool metric = strstr(stages, "unwrap") != NULL, first;
    struct str text = metric ? arena_printf(&x->arena, "last_over_time({x=\"y\"} %s [1m])", stages)
                             : arena_printf(&x->arena, "{x=\"y\"} %s", stages);
    const char *ts = logql_case_text(x->c, "ts_ns"), *error = logql_case_text(x->c, "preset_error"),
               *details = logql_case_text(x->c, "preset_error_details");
    struct labels *stream = arena_new(&x->arena, struct labels), meta;
    struct log_row row = {.line = arena_dup(&x->arena, line)};

    *l = (struct line_run){0};
    if (logql_parse(&x->arena, text, &l->tree, e) < 0)
        return ERR_INVALID;
    if (pipeline_new(metric ? &l->tree.root->range.log : &l->tree.root->log, o, &l->pipeline, e) < 0) {
        line_run_release(l);
        return ERR_INVALID;
    }
    *stream = labels_of(&x->arena, cJSON_GetObjectItemCaseSensitive(x->c, "labels"));
    meta = labels_of(&x->arena, cJSON_GetObjectItemCaseSensitive(x->c, "structured_metadata"));
    if (error)
        meta.v[meta.n++] = (struct label){STR("__error__"), str_of(error)};
    if (details)
        meta.v[meta.n++] = (struct label){STR("__error_details__"), str_of(details)};
    if (meta.n > 1)
        qsort(meta.v, meta.n, sizeof *meta.v, by_name);
    row.meta = meta.v;
    row.nmeta = meta.n;
    if (ts && !str_to_i64(str_of(ts), &row.t_ns)) {
        line_run_release(l);
        return err_set(e, ERR_INVALID, "ts_ns is no number");
    }
    l->runner = runner_new(l->pipeline);
    runner_stream(l->runner, stream);
    first = runner_run(l->runner, &row);
    l->kept = runner_run(l->runner, &row);
    if (l->kept == first)
        return 0;
    line_run_release(l);
    return err_set(e, ERR_EXEC, "not the same twice");
}

/* NULL, or how the labels differ. */
static const char *compare_labels(struct logql_case *x, struct runner *r, const cJSON *want)
{
    const struct logql_label *got;
    uint32_t n = runner_labels(r, &got), found = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct str name = arena_dup(&x->arena, got[i].name);
        const cJSON *w = cJSON_GetObjectItemCaseSensitive(want, name.p);

        if (str_eqz(name, "__error_details__")) {
            found += w != NULL;
            continue;
        }
        if (!w || !str_eqz(got[i].value, cJSON_GetStringValue(w)))
            return arena_printf(&x->arena, "label %.*s is \"%.*s\", expected %s%s", STR_ARG(name), STR_ARG(got[i].value),
                                w ? "\"" : "none", w ? cJSON_GetStringValue(w) : "")
                .p;
        found++;
    }
    for (const cJSON *w = want->child; w; w = w->next) {
        bool seen = strcmp(w->string, "__error_details__") == 0;

        for (uint32_t i = 0; i < n && !seen; i++)
            seen = str_eqz(got[i].name, w->string);
        if (!seen)
            return arena_printf(&x->arena, "label %s is missing", w->string).p;
    }
    return NULL;
}

/* --- pipeline and unwrap ------------------------------------------------------------------------ */

static struct pipeline_opts grouping_of(struct logql_case *x)
{
    const cJSON *g = cJSON_GetObjectItemCaseSensitive(x->c, "grouping"), *labels;
    struct pipeline_opts o = {0};
    struct str *names;

    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(x->c, "drop_all_labels")))
        o.group = true;
    if (!cJSON_IsObject(g))
        return o;
    labels = cJSON_GetObjectItemCaseSensitive(g, "labels");
    names = arena_array(&x->arena, struct str, (size_t)cJSON_GetArraySize(labels) + 1);
    o.group = true;
    o.without = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(g, "without"));
    for (int i = 0; i < cJSON_GetArraySize(labels); i++)
        names[o.nnames++] = str_of(cJSON_GetStringValue(cJSON_GetArrayItem(labels, i)));
    o.names = names;
    return o;
}

void logql_case_pipeline(struct logql_case *x)
{
    const char *stages = logql_case_text(x->c, "pipeline"), *out_line = logql_case_text(x->c, "out_line"), *diff = NULL;
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(x->c, "out_labels"), *value = cJSON_GetObjectItemCaseSensitive(x->c, "value"),
                *keep = cJSON_GetObjectItemCaseSensitive(x->c, "keep");
    struct pipeline_opts o = grouping_of(x);
    struct line_run l;
    struct err e;
    char got[NUM_MAX];

    if (!keep) { /* of a metric query, which wants no lines */
        keep = cJSON_GetObjectItemCaseSensitive(x->c, "ok");
        o.no_line = !out_line;
    }
    if (run(x, stages, str_of(logql_case_text(x->c, "line")), &o, &l, &e) < 0) {
        logql_case_fail(x, stages, "%s", e.text);
        return;
    }
    if (l.kept != cJSON_IsTrue(keep))
        diff = l.kept ? "kept, expected to be dropped" : "dropped, expected to be kept";
    else if (l.kept && out_line && !str_eqz(runner_line(l.runner), out_line))
        diff = arena_printf(&x->arena, "line: %.*s\n     expected: %s", STR_ARG(runner_line(l.runner)), out_line).p;
    else if (l.kept && cJSON_IsNumber(value) && fabs(runner_value(l.runner) - value->valuedouble) > 1e-9 * fabs(value->valuedouble))
        diff = arena_printf(&x->arena, "value %.*s, expected %g", (int)num_fmt_g(runner_value(l.runner), got), got, value->valuedouble).p;
    else if (l.kept && cJSON_IsObject(labels))
        diff = compare_labels(x, l.runner, labels);
    if (diff)
        logql_case_fail(x, stages, "%s", diff);
    else
        conf_pass(x->r);
    line_run_release(&l);
}

/* --- patterns ------------------------------------------------------------------------------------ */

static struct str quoted(struct logql_case *x, const char *stage, struct str text)
{
    struct buf b = {0};
    struct str out;

    buf_putz(&b, stage);
    buf_put_quoted(&b, text);
    out = arena_dup(&x->arena, buf_str(&b));
    buf_release(&b);
    return out;
}

static bool is_letter(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The next <name> of a pattern; false at the end. */
static bool next_capture(struct str *rest, struct str *name, struct str *before)
{
    for (size_t i = 0; i < rest->n; i++) {
        size_t n = 1;

        while (rest->p[i] == '<' && i + n < rest->n && is_letter(rest->p[i + n]))
            n++;
        if (n == 1 || i + n >= rest->n || rest->p[i + n] != '>')
            continue;
        *before = str_head(*rest, i);
        *name = str_n(rest->p + i + 1, n - 1);
        *rest = str_from(*rest, i + n + 1);
        return true;
    }
    *before = *rest;
    *rest = STR_NULL;
    return false;
}

/* The pattern as |> would have it: no names. */
static struct str unnamed(struct logql_case *x, struct str pattern)
{
    struct buf b = {0};
    struct str name, before, out;

    while (next_capture(&pattern, &name, &before)) {
        buf_puts(&b, before);
        buf_putz(&b, "<_>");
    }
    buf_puts(&b, before);
    out = arena_dup(&x->arena, buf_str(&b));
    buf_release(&b);
    return out;
}

static const char *match_diff(struct logql_case *x, struct str pattern)
{
    const cJSON *captures = cJSON_GetObjectItemCaseSensitive(x->c, "captures"),
                *full = cJSON_GetObjectItemCaseSensitive(x->c, "full_match");
    struct str line = str_of(logql_case_text(x->c, "line")), rest = pattern, name, before;
    struct pipeline_opts o = {0};
    const char *diff = NULL;
    struct line_run l;
    struct err e;
    int i = 0;

    if (run(x, quoted(x, "| pattern ", pattern).p, line, &o, &l, &e) < 0)
        return arena_printf(&x->arena, "stage: %s", e.text).p;
    while (!diff && next_capture(&rest, &name, &before)) {
        struct str got = STR_NULL;

        if (str_eqz(name, "_"))
            continue;
        runner_label(l.runner, name, &got);
        if (!str_eqz(got, cJSON_GetStringValue(cJSON_GetArrayItem(captures, i++))))
            diff = arena_printf(&x->arena, "%.*s is \"%.*s\"", STR_ARG(name), STR_ARG(got)).p;
    }
    line_run_release(&l);
    if (diff || !full)
        return diff;
    if (run(x, quoted(x, "|> ", unnamed(x, pattern)).p, line, &o, &l, &e) < 0)
        return arena_printf(&x->arena, "filter: %s", e.text).p;
    if (l.kept != cJSON_IsTrue(full))
        diff = l.kept ? "matched the whole line" : "did not match the whole line";
    line_run_release(&l);
    return diff;
}

void logql_case_pattern(struct logql_case *x)
{
    const char *kind = logql_case_text(x->c, "kind"), *pattern = logql_case_text(x->c, "pattern"), *diff;
    bool want_ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(x->c, "ok"));
    struct pipeline_opts o = {0};
    struct line_run l;
    struct err e;
    int code;

    if (strcmp(kind, "match") == 0) {
        diff = match_diff(x, str_of(pattern));
        if (diff)
            logql_case_fail(x, pattern, "%s", diff);
        else
            conf_pass(x->r);
        return;
    }
    code = run(x, quoted(x, strcmp(kind, "parse") == 0 ? "| pattern " : "|> ", str_of(pattern)).p, STR("line"), &o, &l, &e);
    if ((code == 0) == want_ok)
        conf_pass(x->r);
    else
        logql_case_fail(x, pattern, "%s", code < 0 ? e.text : "expected an error");
    if (code == 0)
        line_run_release(&l);
}

/* --- keys ---------------------------------------------------------------------------------------- */

/* What `| json` makes of a key. */
void logql_case_sanitize(struct logql_case *x)
{
    struct str in = str_of(logql_case_text(x->c, "in"));
    const char *want = logql_case_text(x->c, "out");
    struct pipeline_opts o = {0};
    const struct logql_label *got;
    struct buf b = {0};
    struct line_run l;
    struct err e;
    uint32_t n;

    buf_putc(&b, '{');
    json_put_string(&b, in);
    buf_putz(&b, ":\"v\"}");
    if (run(x, "| json", buf_str(&b), &o, &l, &e) < 0) {
        logql_case_fail(x, in.p, "%s", e.text);
    } else {
        n = runner_labels(l.runner, &got);
        if (n == 1 && str_eqz(got[0].name, want))
            conf_pass(x->r);
        else
            logql_case_fail(x, in.p, "expected %s, got %.*s", want, n ? (int)got[0].name.n : 4, n ? got[0].name.p : "none");
        line_run_release(&l);
    }
    buf_release(&b);
}
