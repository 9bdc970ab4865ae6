/* follow.c - see follow.h. */
#include "cmd/follow.h"

#include "net/net.h"
#include "query/logql/logql.h"
#include "query/logql/tmpl_funcs.h"

#include <stdlib.h>

/* --- selectors ------------------------------------------------------------------------------------------ */

struct selector {
    struct arena arena;
    struct logql_tree tree;
    struct logql_match *match;
};

static void release(void *selector)
{
    struct selector *s = selector;

    logql_match_free(s->match);
    logql_release(&s->tree);
    arena_release(&s->arena);
    free(s);
}

static int compile(void *arg, struct str text, void **out, struct err *e)
{
    struct selector *s = x_zalloc(sizeof *s);

    (void)arg;
    if (logql_parse(&s->arena, arena_dup(&s->arena, text), &s->tree, e) < 0) {
        arena_release(&s->arena);
        free(s);
        return e->code;
    }
    if (!logql_is_log(&s->tree) || logql_match_new(&s->tree, &s->match, e) < 0) {
        int code = logql_is_log(&s->tree) ? e->code : err_set(e, ERR_INVALID, "a selector of lines is meant, not a metric query");

        release(s);
        return code;
    }
    *out = s;
    return 0;
}

static bool matches(void *selector, const struct labels *labels, struct str line)
{
    return logql_match_record(((struct selector *)selector)->match, labels, 0, line, NULL, 0, NULL);
}

/* --- templates --------------------------------------------------------------------------------------------- */

struct line_template {
    struct arena text, run; /* of the tree; of one run */
    struct tmpl t;
    struct tmpl_env env;
};

static void template_free(void *tmpl)
{
    struct line_template *t = tmpl;

    tmpl_env_release(&t->env);
    arena_release(&t->text);
    arena_release(&t->run);
    free(t);
}

static int template_new(void *arg, struct str text, void **out, struct err *e)
{
    struct tmpl_scope scope = {.functions = lq_functions, .nfunctions = lq_nfunctions};
    struct line_template *t = x_zalloc(sizeof *t);

    (void)arg;
    if (tmpl_parse(&t->text, "pipeline_template", arena_dup(&t->text, text), &scope, &t->t, e) < 0) {
        template_free(t);
        return e->code;
    }
    *out = t;
    return 0;
}

static int by_key(const void *a, const void *b)
{
    return str_cmp(((const struct tmpl_entry *)a)->key, ((const struct tmpl_entry *)b)->key);
}

static int template_run(void *tmpl, const struct label *fields, uint32_t n, struct buf *out)
{
    struct line_template *t = tmpl;
    struct tmpl_run run = {.a = &t->run, .user = &t->env, .out_max = 1 << 20, .memory_max = 8 << 20, .steps_max = 100000};
    struct tmpl_entry *v = arena_array(&t->run, struct tmpl_entry, n + 1);
    struct tmpl_value dot = {.type = TMPL_T_MAP};
    struct err e;
    int code;

    for (uint32_t i = 0; i < n; i++) {
        v[i] = (struct tmpl_entry){fields[i].name, tmpl_str(fields[i].value)};
        if (str_eqz(fields[i].name, "Entry"))
            t->env.line = fields[i].value;
    }
    qsort(v, n, sizeof *v, by_key);
    dot.map = (struct tmpl_map){v, n};
    code = tmpl_run(&t->t, &run, dot, NULL, 0, out, &e);
    arena_reset(&t->run);
    return code;
}

const struct files_selectors *follow_selectors(void)
{
    static const struct files_selectors s = {.compile = compile, .matches = matches, .release = release,
        .template_new = template_new, .template_run = template_run, .template_free = template_free};

    return &s;
}

/* --- the store -------------------------------------------------------------------------------------------- */

static int ingest(void *arg, struct log_batch *b, log_done *done, bool *later, struct err *e)
{
    return logstore_ingest(arg, b, done, later, e);
}

static void marks(void *arg, struct str prefix, void (*fn)(void *fn_arg, struct str key, struct str value), void *fn_arg)
{
    logstore_marks(arg, prefix, fn, fn_arg);
}

struct files_store follow_store(struct logstore *ls)
{
    return (struct files_store){.ingest = ingest, .marks = marks, .arg = ls};
}

/* --- what is followed ---------------------------------------------------------------------------------------- */

static void handle_targets(struct http_request *r, void *arg)
{
    struct buf b = {0};

    buf_putz(&b, "{\"status\":\"success\",\"data\":");
    files_targets_json(arg, &b);
    buf_putc(&b, '}');
    http_reply(r, 200, "application/json", buf_str(&b));
    buf_release(&b);
}

void follow_routes(struct http_server *s, struct files *f)
{
    http_route(s, HTTP_GET, "/api/v1/status/log_targets", PERM_READ, 0, handle_targets, f);
}
