/* pipeline.c - stages of a query compiled: names to numbers, templates and patterns taken apart, who needs what. */
#include "query/logql/print.h"
#include "query/logql/stage.h"

#include <stdlib.h>

enum { STAGE_SHOWN = 200 }; /* bytes of one, in errors */

static void add_name(struct pipeline *p, struct str name)
{
    if (p->nnames == p->names_cap) {
        uint32_t cap = p->names_cap ? p->names_cap * 2 : 16;
        struct str *names = arena_array(&p->a, struct str, cap);
        bool *wanted = arena_array(&p->a, bool, cap);

        if (p->nnames) {
            memcpy(names, p->names, p->nnames * sizeof *names);
            memcpy(wanted, p->wanted, p->nnames * sizeof *wanted);
        }
        p->names = names;
        p->wanted = wanted;
        p->names_cap = cap;
    }
    p->wanted[p->nnames] = false;
    p->names[p->nnames++] = name;
}

uint32_t pipeline_name(struct pipeline *p, struct str name, bool used)
{
    uint32_t i = 0;

    while (i < p->nnames && !str_eq(p->names[i], name))
        i++;
    if (i == p->nnames)
        add_name(p, arena_dup(&p->a, name));
    if (used && !p->wanted[i]) {
        p->wanted[i] = true;
        p->nwanted++;
    }
    return i;
}

static int compile_parser(struct pipeline *p, struct stage *s, struct err *e)
{
    const struct logql_stage *ast = s->ast;

    s->labels = true;
    s->nnames = ast->parser.nextracts;
    s->names = arena_array(&p->a, uint32_t, s->nnames + 1);
    for (uint32_t i = 0; i < s->nnames; i++)
        s->names[i] = pipeline_name(p, ast->parser.extracts[i].name, false);
    switch (s->kind) {
    case LOGQL_JSON:
        s->fn = s->nnames ? stage_json_paths : stage_json;
        return 0;
    case LOGQL_LOGFMT:
        s->fn = s->nnames ? stage_logfmt_keys : stage_logfmt;
        return 0;
    case LOGQL_UNPACK:
        s->fn = stage_unpack;
        return 0;
    default:
        s->fn = s->kind == LOGQL_REGEXP ? stage_regexp : stage_pattern;
        return stage_capture_compile(p, s, e);
    }
}

static int compile_stage(struct pipeline *p, struct stage *s, struct err *e)
{
    switch (s->kind) {
    case LOGQL_LINE_FILTER:
        s->fn = stage_line;
        return stage_line_compile(p, s, e);
    case LOGQL_LABEL_FILTER:
        s->fn = stage_filter;
        s->labels = true;
        return stage_filter_compile(p, s, e);
    case LOGQL_LINE_FORMAT:
    case LOGQL_LABEL_FORMAT:
    case LOGQL_DECOLORIZE:
        s->fn = s->kind == LOGQL_LINE_FORMAT ? stage_line_format : s->kind == LOGQL_LABEL_FORMAT ? stage_label_format : stage_decolorize;
        s->labels = s->kind != LOGQL_DECOLORIZE;
        return stage_format_compile(p, s, e);
    case LOGQL_DROP:
    case LOGQL_KEEP:
        s->fn = s->kind == LOGQL_DROP ? stage_drop : stage_keep;
        s->labels = true;
        return stage_names_compile(p, s, e);
    case LOGQL_UNWRAP:
        s->fn = stage_unwrap;
        s->labels = true;
        p->unwrap = pipeline_name(p, s->ast->unwrap.label, true);
        return 0;
    default:
        return compile_parser(p, s, e);
    }
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void compile_group(struct pipeline *p)
{
    const struct pipeline_opts *o = &p->opts;
    struct str *names = arena_array(&p->a, struct str, o->nnames + 1);

    if (o->nnames)
        memcpy(names, o->names, o->nnames * sizeof *names);
    qsort(names, o->nnames, sizeof *names, by_text);
    p->group = arena_array(&p->a, uint32_t, o->nnames + 1);
    for (uint32_t i = 0; i < o->nnames; i++)
        if (i == 0 || !str_eq(names[i], names[i - 1]))
            p->group[p->ngroup++] = pipeline_name(p, names[i], !o->without);
    if (!o->group || o->without)
        p->wants_all = true;
}

/* Which labels tell results apart, once all names are known. */
static void settle_counted(struct pipeline *p)
{
    bool by = p->opts.group && !p->opts.without;

    p->others_count = !by;
    p->counted = arena_array(&p->a, bool, p->nnames);
    for (uint32_t i = 0; i < p->nnames; i++)
        p->counted[i] = !by;
    for (uint32_t i = 0; i < p->ngroup; i++)
        p->counted[p->group[i]] = by;
    if (p->unwrap != NAME_NONE)
        p->counted[p->unwrap] = false;
}

/* *failed: the stage that cannot be. */
static int build(const struct logql_log *log, const struct pipeline_opts *opts, struct pipeline **out, const struct logql_stage **failed,
                 struct err *e)
{
    struct pipeline *p = x_zalloc(sizeof *p);

    p->opts = *opts;
    p->unwrap = NAME_NONE;
    pipeline_name(p, STR("__error__"), false);
    pipeline_name(p, STR("__error_details__"), false);
    pipeline_name(p, STR("__preserve_error__"), false);
    p->stages = arena_array(&p->a, struct stage, log->nstages + 1);
    p->nstages = log->nstages;
    compile_group(p);
    for (uint32_t i = 0; i < p->nstages; i++) {
        p->stages[i].ast = &log->stages[i];
        p->stages[i].kind = log->stages[i].kind;
        p->stages[i].i = i;
        if (compile_stage(p, &p->stages[i], e) < 0) {
            *failed = p->stages[i].ast;
            pipeline_free(p);
            return ERR_INVALID;
        }
    }
    settle_counted(p);
    pipeline_plan(p);
    *out = p;
    return 0;
}

int pipeline_new(const struct logql_log *log, const struct pipeline_opts *opts, struct pipeline **out, struct err *e)
{
    const struct logql_stage *failed;

    return build(log, opts, out, &failed, e);
}

int pipeline_of_query(const struct logql_log *log, const struct pipeline_opts *opts, struct pipeline **out, struct err *e)
{
    const struct logql_stage *failed = NULL;
    struct buf text = {0};
    struct err why;

    if (build(log, opts, out, &failed, &why) == 0)
        return 0;
    lq_print_stage(&text, failed);
    err_set(e, why.code, "parse error : stage '%.*s' : %s", STR_ARG(str_head(buf_str(&text), STAGE_SHOWN)), why.text);
    buf_release(&text);
    return e->code;
}

void pipeline_free(struct pipeline *p)
{
    if (!p)
        return;
    regex_free(p->colors);
    arena_release(&p->a);
    free(p);
}
