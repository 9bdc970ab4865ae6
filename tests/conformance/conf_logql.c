/*
 * conf_logql.c - mode logql: cases of upstream's LogQL tests. Scripts (.logqltest) run over a real log store; lines of .jsonl
 * are told apart by their keys: "query" parse, "expression" paths, "in" print, prettify or sanitise, "pattern" and
 * "pipeline" run over one line (conf_logql_lines.c).
 */
#include "tests/conformance/conf_logql.h"

#include "query/logql/expr_json.h"
#include "query/logql/logql.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PRETTY_WIDTH = 20 /* the line upstream's tests are made for */ };

const char *logql_case_text(const cJSON *c, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c, key));
}

void logql_case_fail(struct logql_case *x, const char *what, const char *fmt, ...)
{
    char how[4096];
    struct str label = arena_printf(&x->arena, "line %u: %.300s", x->line, what);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(how, sizeof how, fmt, ap);
    va_end(ap);
    conf_fail(x->r, label.p, "%s", how);
}

/* --- parse ------------------------------------------------------------------------------------- */

static int parse_kind(struct logql_case *x, struct str query, struct logql_tree *t, struct err *e)
{
    const char *kind = logql_case_text(x->c, "kind");
    int code;

    if (kind && strcmp(kind, "matchers") == 0)
        return logql_parse_selector(&x->arena, query, false, t, e);
    code = logql_parse(&x->arena, query, t, e);
    if (code == 0 && kind && logql_is_log(t) != (strcmp(kind, "log") == 0)) {
        logql_release(t);
        return err_set(e, ERR_INVALID, "parse error : another kind of expression is wanted");
    }
    return code;
}

/* Every node's span lies within its parent's. */
static bool spans_nest(const struct logql_expr *n, struct logql_span in)
{
    if (n->span.start < in.start || n->span.end > in.end || n->span.start > n->span.end)
        return false;
    switch (n->kind) {
    case LOGQL_AGGREGATE:
        return spans_nest(n->agg.expr, n->span);
    case LOGQL_LABEL_REPLACE:
        return spans_nest(n->replace.expr, n->span);
    case LOGQL_BINARY:
        return spans_nest(n->binary.l, in) && spans_nest(n->binary.r, in);
    default:
        return true;
    }
}

/* What is printed parses to what prints the same. */
static bool prints_back(struct logql_case *x, const struct logql_expr *n, bool pretty, struct buf *out)
{
    struct logql_tree t;
    struct buf again = {0};
    struct err e;
    bool same = false;

    buf_reset(out);
    if (pretty)
        logql_pretty(out, n, PRETTY_WIDTH);
    else
        logql_print(out, n);
    if (logql_parse(&x->arena, buf_str(out), &t, &e) == 0) {
        struct buf first = {0};

        logql_print(&first, n);
        logql_print(&again, t.root);
        same = str_eq(buf_str(&again), buf_str(&first));
        logql_release(&t);
        buf_release(&first);
    }
    buf_release(&again);
    return same;
}

static void run_parse(struct logql_case *x)
{
    const char *b64 = logql_case_text(x->c, "query_b64"), *want = logql_case_text(x->c, "error");
    struct str query = b64 ? conf_base64(&x->arena, str_of(b64)) : str_of(logql_case_text(x->c, "query"));
    bool want_ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(x->c, "ok"));
    struct logql_tree t = {0};
    struct buf text = {0};
    struct err e;
    bool ok = parse_kind(x, query, &t, &e) == 0;

    query = arena_dup(&x->arena, query);
    if (ok && !want_ok)
        logql_case_fail(x, query.p, "expected an error (%s), parsed", want ? want : "any");
    else if (!ok && want_ok)
        logql_case_fail(x, query.p, "expected a tree, got: %s", e.text);
    else if (ok && !spans_nest(t.root, (struct logql_span){0, (uint32_t)query.n}))
        logql_case_fail(x, query.p, "a node's span lies outside of its parent's");
    else if (ok && (!prints_back(x, t.root, false, &text) || !prints_back(x, t.root, true, &text)))
        logql_case_fail(x, query.p, "printed as something else:\n%s", buf_z(&text));
    else
        conf_pass(x->r);
    if (!ok && !want_ok && want && getenv("CONFORMANCE_WORDS"))
        printf("     %s\n  want %s (%g,%g)\n  got  %s\n", query.p, want,
               cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(x->c, "line")),
               cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(x->c, "col")), e.text);
    logql_release(&t);
    buf_release(&text);
}

/* --- print and prettify ------------------------------------------------------------------------- */

static void run_print(struct logql_case *x, bool pretty)
{
    struct str in = str_of(logql_case_text(x->c, "in")), want = str_of(logql_case_text(x->c, "out"));
    struct logql_tree t;
    struct buf got = {0};
    struct err e;

    if (logql_parse(&x->arena, in, &t, &e) < 0) {
        logql_case_fail(x, in.p, "does not parse: %s", e.text);
        return;
    }
    if (pretty)
        logql_pretty(&got, t.root, PRETTY_WIDTH);
    else
        logql_print(&got, t.root);
    if (str_eq(buf_str(&got), want))
        conf_pass(x->r);
    else
        logql_case_fail(x, in.p, "expected:\n%s\n     got:\n%s", want.p, buf_z(&got));
    buf_release(&got);
    logql_release(&t);
}

/* --- paths -------------------------------------------------------------------------------------- */

static bool same_path(const cJSON *want, const struct logql_path_part *got, uint32_t n)
{
    if (n != (uint32_t)(cJSON_IsArray(want) ? cJSON_GetArraySize(want) : 0))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const cJSON *w = cJSON_GetArrayItem(want, (int)i);

        if (cJSON_IsNumber(w) != got[i].is_index)
            return false;
        if (got[i].is_index ? got[i].index != (uint64_t)w->valuedouble : !str_eqz(got[i].key, w->valuestring))
            return false;
    }
    return true;
}

static void run_expression(struct logql_case *x)
{
    const char *kind = logql_case_text(x->c, "kind"), *expr = logql_case_text(x->c, "expression");
    bool want_ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(x->c, "ok"));
    struct logql_path_part *parts;
    struct err e = {0};
    uint32_t n;
    int code = kind && strcmp(kind, "logfmt") == 0 ? lq_logfmt_path(&x->arena, str_of(expr), &parts, &n, &e)
                                                   : lq_json_path(&x->arena, str_of(expr), &parts, &n, &e);

    if ((code == 0) != want_ok)
        logql_case_fail(x, expr, "%s%s", code ? "expected a path, got: " : "expected an error", code ? e.text : "");
    else if (code == 0 && !same_path(cJSON_GetObjectItemCaseSensitive(x->c, "path"), parts, n))
        logql_case_fail(x, expr, "another path");
    else
        conf_pass(x->r);
}

/* --- files --------------------------------------------------------------------------------------- */

static void run_case(struct logql_case *x, bool format_file)
{
    const char *kind = logql_case_text(x->c, "kind"), *src = logql_case_text(x->c, "src");

    if (logql_case_text(x->c, "query") || logql_case_text(x->c, "query_b64"))
        run_parse(x);
    else if (logql_case_text(x->c, "expression"))
        run_expression(x);
    else if (kind && strcmp(kind, "sanitize") == 0)
        logql_case_sanitize(x);
    else if (logql_case_text(x->c, "pattern"))
        logql_case_pattern(x);
    else if (logql_case_text(x->c, "pipeline"))
        logql_case_pipeline(x);
    else if (logql_case_text(x->c, "in") && logql_case_text(x->c, "out"))
        run_print(x, format_file || (src && strstr(src, "prettier")));
    else
        logql_case_fail(x, "?", "not a case: no key says what it is");
}

static int run_lines(struct str path, struct conf_report *r)
{
    struct logql_case x = {.r = r};
    struct buf text = {0};
    struct str rest, line;
    bool more = true;

    if (conf_read(path, &text) < 0)
        return -1;
    for (rest = buf_str(&text); more;) {
        cJSON *c;

        more = str_cut(&rest, '\n', &line);
        x.line++;
        line = str_trim(line);
        if (line.n == 0)
            continue;
        x.c = c = cJSON_ParseWithLength(line.p, line.n);
        if (c)
            run_case(&x, str_find(path, STR("format")) >= 0);
        else
            logql_case_fail(&x, "?", "not JSON");
        cJSON_Delete(c);
        arena_reset(&x.arena);
    }
    arena_release(&x.arena);
    buf_release(&text);
    return 0;
}

int conf_logql(struct str path, struct conf_report *r)
{
    return str_ends(path, STR(".logqltest")) ? conf_logql_script(path, r) : run_lines(path, r);
}
