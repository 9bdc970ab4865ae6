/*
 * conf_promql_parser.c - mode promql-parser: the cases of upstream's parse, printer, prettier and series notation
 * tests.
 *
 * The kind of a case is seen from its keys, so files may have any name: "query" parse, "input" series notation,
 * "in"/"out" print, or prettify when "src" names a Pretty test or the file is called prettify*.
 */
#include "query/promql/ast.h"
#include "query/promql/print.h"
#include "tests/conformance/conformance.h"
#include "tests/conformance/series_desc.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PRETTY_WIDTH = 10 /* the line upstream's tests are made for */ };

struct ctx {
    struct conf_report *r;
    struct arena arena; /* of one case */
    unsigned line;
    const cJSON *c;
};

static const char *text_of(const cJSON *c, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c, key));
}

static void fail(struct ctx *x, const char *what, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void fail(struct ctx *x, const char *what, const char *fmt, ...)
{
    char how[4096];
    struct str label = arena_printf(&x->arena, "line %u: %.300s", x->line, what);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(how, sizeof how, fmt, ap);
    va_end(ap);
    conf_fail(x->r, label.p, "%s", how);
}

/* --- parse ------------------------------------------------------------------------------------------- */

/* Keys whose JSON we cannot compare as text: strings that are not UTF-8. */
static int find_odd_string(void *arg, struct node *n)
{
    struct str *out = arg;

    if (n->kind == N_STRING && !utf8_valid(n->string))
        *out = n->string;
    return 0;
}

static bool same_tree(struct ctx *x, struct node *n, const cJSON *want)
{
    const char *b64 = text_of(want, "val_b64");
    struct buf got = {0};
    cJSON *tree;
    bool same;

    if (b64) {
        struct str odd = STR_NULL;

        promql_walk(n, find_odd_string, &odd);
        return str_eq(odd, conf_base64(&x->arena, str_of(b64)));
    }
    promql_ast_json(&got, n);
    tree = cJSON_ParseWithLength(got.p, got.n);
    same = tree && cJSON_Compare(tree, want, true);
    cJSON_Delete(tree);
    buf_release(&got);
    return same;
}

/* Every pair of spans in the tree must be inside the text, and children inside their parents. */
static int check_spans(void *arg, struct node *n)
{
    const struct str *text = arg;

    return n->start > n->end || n->end > text->n;
}

static bool same_error(const struct promql_parse_error *got, const cJSON *want)
{
    const cJSON *start = cJSON_GetObjectItemCaseSensitive(want, "start"),
                *end = cJSON_GetObjectItemCaseSensitive(want, "end");

    return str_eqz(got->msg, text_of(want, "msg")) && got->start == (uint32_t)start->valuedouble &&
           got->end == (uint32_t)end->valuedouble;
}

static bool same_errors(const struct promql_parse_error *got, uint32_t ngot, const cJSON *c)
{
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(c, "errors"),
                *n = cJSON_GetObjectItemCaseSensitive(c, "n_errors");
    int nwant = cJSON_GetArraySize(want);

    if (ngot != (cJSON_IsNumber(n) ? (uint32_t)n->valuedouble : (uint32_t)nwant))
        return false;
    for (int i = 0; i < nwant; i++)
        if (!same_error(&got[i], cJSON_GetArrayItem(want, i)))
            return false;
    return true;
}

static void show_errors(struct ctx *x, struct str query, const struct promql_parse_error *got, uint32_t n)
{
    char *want = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(x->c, "errors"));
    struct buf b = {0};

    for (uint32_t i = 0; i < n && i < 6; i++)
        buf_printf(&b, " [%u,%u) %.*s;", got[i].start, got[i].end, STR_ARG(str_head(got[i].msg, 300)));
    fail(x, arena_dup(&x->arena, query).p, "expected %.1500s\n     got %u:%s", want, n, buf_z(&b));
    buf_release(&b);
    free(want);
}

static void run_parse(struct ctx *x)
{
    const char *b64 = text_of(x->c, "query_b64");
    struct str query = b64 ? conf_base64(&x->arena, str_of(b64)) : str_of(text_of(x->c, "query"));
    bool want_ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(x->c, "ok"));
    struct promql_parse_error *errors;
    uint32_t nerrors;
    struct node *n = NULL;
    struct err e;
    bool ok = promql_parse(&x->arena, query, &n, &errors, &nerrors, &e) == 0;

    if (ok && !want_ok) {
        fail(x, query.p, "expected an error, parsed");
    } else if (!ok && !want_ok) {
        if (same_errors(errors, nerrors, x->c))
            conf_pass(x->r);
        else
            show_errors(x, query, errors, nerrors);
    } else if (!ok) {
        fail(x, query.p, "expected a tree, got: %s", e.text);
    } else if (promql_walk(n, check_spans, &query)) {
        fail(x, query.p, "a node's span lies outside the text");
    } else if (same_tree(x, n, cJSON_GetObjectItemCaseSensitive(x->c, "ast"))) {
        conf_pass(x->r);
    } else {
        char *want = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(x->c, "ast"));
        struct buf got = {0};

        promql_ast_json(&got, n);
        fail(x, query.p, "expected %.1500s\n     got      %.1500s", want, buf_z(&got));
        buf_release(&got);
        free(want);
    }
    promql_release(n);
}

/* --- print and prettify ------------------------------------------------------------------------------ */

static void run_print(struct ctx *x, bool pretty)
{
    struct str in = str_of(text_of(x->c, "in")), want = str_of(text_of(x->c, "out"));
    struct node *n = NULL;
    struct buf got = {0};
    struct err e;

    if (promql_parse(&x->arena, in, &n, NULL, NULL, &e) < 0) {
        fail(x, in.p, "does not parse: %s", e.text);
        return;
    }
    if (pretty)
        promql_pretty_width(&got, n, PRETTY_WIDTH);
    else
        promql_print(&got, n);
    if (str_eq(buf_str(&got), want))
        conf_pass(x->r);
    else
        fail(x, in.p, "expected:\n%s\n     got:\n%s", want.p, buf_z(&got));
    buf_release(&got);
    promql_release(n);
}

/* --- series notation --------------------------------------------------------------------------------- */

static bool near(double a, double b)
{
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-12 * (fabs(a) + fabs(b));
}

static double num_at(const cJSON *c, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(c, key);
    double d = 0;
    bool range;

    if (cJSON_IsString(v))
        return num_parse(str_of(v->valuestring), &d, &range) ? d : NAN;
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

static bool same_buckets(const cJSON *c, const char *buckets, const char *spans, const double *got, uint32_t n,
                         int32_t offset)
{
    const cJSON *b = cJSON_GetObjectItemCaseSensitive(c, buckets), *s = cJSON_GetObjectItemCaseSensitive(c, spans);
    int32_t index = 0;
    uint32_t k = 0, left = 0;

    for (int i = 0, span = 0; i < cJSON_GetArraySize(b); i++, left--, index++) {
        for (; left == 0; span++) { /* the next run that is not empty */
            const cJSON *one = cJSON_GetArrayItem(s, span);

            if (!one)
                return false;
            index += (int32_t)cJSON_GetArrayItem(one, 0)->valuedouble;
            left = (uint32_t)cJSON_GetArrayItem(one, 1)->valuedouble;
        }
        for (; k < n && offset + (int32_t)k < index; k++)
            if (got[k] != 0)
                return false;
        if (k >= n || offset + (int32_t)k != index || !near(got[k], cJSON_GetArrayItem(b, i)->valuedouble))
            return false;
        k++;
    }
    for (; k < n; k++)
        if (got[k] != 0)
            return false;
    return true;
}

static bool same_histogram(const struct sd_histogram *h, const cJSON *c)
{
    static const char *const hints[] = {"UnknownCounterReset", "CounterReset", "NotCounterReset", "GaugeType"};
    const char *hint = text_of(c, "CounterResetHint");
    const cJSON *custom = cJSON_GetObjectItemCaseSensitive(c, "CustomValues");

    if (!h || h->schema != (int32_t)num_at(c, "Schema") || !near(h->sum, num_at(c, "Sum")) ||
        !near(h->count, num_at(c, "Count")) || !near(h->zero_count, num_at(c, "ZeroCount")) ||
        !near(h->zero_threshold, num_at(c, "ZeroThreshold")))
        return false;
    if (hint && strcmp(hint, hints[h->hint]) != 0)
        return false;
    if (h->ncustom != (uint32_t)cJSON_GetArraySize(custom))
        return false;
    for (uint32_t i = 0; i < h->ncustom; i++)
        if (!near(h->custom[i], cJSON_GetArrayItem(custom, (int)i)->valuedouble))
            return false;
    return same_buckets(c, "PositiveBuckets", "PositiveSpans", h->pos, h->npos, h->pos_offset) &&
           same_buckets(c, "NegativeBuckets", "NegativeSpans", h->neg, h->nneg, h->neg_offset);
}

static bool same_value(const struct sd_value *v, const cJSON *c)
{
    double want;
    bool range;

    if (cJSON_IsNull(c) || v->omitted)
        return cJSON_IsNull(c) && v->omitted;
    if (cJSON_IsObject(c))
        return same_histogram(v->h, c);
    if (v->h)
        return false;
    if (cJSON_IsString(c)) {
        if (str_eqz(str_of(c->valuestring), "stale") || str_eqz(str_of(c->valuestring), "StaleNaN"))
            return is_stale(v->v);
        return num_parse(str_of(c->valuestring), &want, &range) && near(v->v, want);
    }
    return near(v->v, c->valuedouble);
}

static bool same_labels(const struct labels *ls, const cJSON *c)
{
    uint32_t n = 0;

    for (const cJSON *l = c ? c->child : NULL; l; l = l->next, n++)
        if (!str_eqz(labels_get(ls, str_of(l->string)), l->valuestring))
            return false;
    return !c || n == ls->n;
}

static void run_series(struct ctx *x)
{
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(x->c, "values"),
                *hs = cJSON_GetObjectItemCaseSensitive(x->c, "histograms");
    const cJSON *want = values ? values : hs;
    struct str in = str_of(text_of(x->c, "input"));
    const char *error = text_of(x->c, "error");
    bool want_ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(x->c, "ok"));
    struct series_desc d;
    struct err e = {0};
    bool ok = series_desc_parse(&x->arena, in, &d, &e) == 0;

    if (!ok && !want_ok && error && str_find(str_of(e.text), str_of(error)) < 0)
        fail(x, in.p, "expected an error with: %s\n     got: %s", error, e.text);
    else if (ok != want_ok)
        fail(x, in.p, "%s%s", ok ? "expected an error, parsed" : "expected values, got: ", ok ? "" : e.text);
    else if (ok && !same_labels(&d.labels, cJSON_GetObjectItemCaseSensitive(x->c, "labels")))
        fail(x, in.p, "other labels");
    else if (ok && want && d.n != (uint32_t)cJSON_GetArraySize(want))
        fail(x, in.p, "expected %d values, got %u", cJSON_GetArraySize(want), d.n);
    else {
        for (uint32_t i = 0; ok && want && i < d.n; i++)
            if (!same_value(&d.values[i], cJSON_GetArrayItem(want, (int)i))) {
                fail(x, in.p, "value %u differs", i);
                return;
            }
        conf_pass(x->r);
    }
}

/* --- files --------------------------------------------------------------------------------------------- */

static void run_case(struct ctx *x, bool pretty_file)
{
    const char *src = text_of(x->c, "src");

    if (text_of(x->c, "query") || text_of(x->c, "query_b64"))
        run_parse(x);
    else if (text_of(x->c, "input"))
        run_series(x);
    else if (text_of(x->c, "in") && text_of(x->c, "out"))
        run_print(x, pretty_file || (src && strstr(src, "Pretty")));
    else
        fail(x, "?", "not a case: neither query nor input nor in and out");
}

int conf_promql_parser(struct str path, struct conf_report *r)
{
    struct ctx x = {.r = r};
    struct buf text = {0};
    struct str rest, line;
    ptrdiff_t slash = -1;
    bool more = true;

    if (conf_read(path, &text) < 0)
        return -1;
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '/')
            slash = (ptrdiff_t)i;
    for (rest = buf_str(&text); more;) {
        cJSON *c;

        more = str_cut(&rest, '\n', &line);
        x.line++;
        line = str_trim(line);
        if (line.n == 0)
            continue;
        c = cJSON_ParseWithLength(line.p, line.n);
        x.c = c;
        if (c)
            run_case(&x, str_starts(str_from(path, (size_t)(slash + 1)), STR("prettify")));
        else
            fail(&x, "?", "not JSON");
        cJSON_Delete(c);
        arena_reset(&x.arena);
    }
    arena_release(&x.arena);
    buf_release(&text);
    return 0;
}
