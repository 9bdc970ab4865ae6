/*
 * run.c - the tree, run: text and values to the output, conditions, loops, templates in templates. See template.h.
 *
 * (1) A variable is where the parser said: slots of the template that runs, in the arena.
 * (2) Every level of recursion is counted (tmpl_enter_level), every round of a loop and every node is a step.
 */
#include "base/template/run.h"

#include <stdarg.h>
#include <stdio.h>

enum { LOOP_ON, LOOP_BREAK, LOOP_CONTINUE };

int tmpl_fail_at(struct tmpl_run *r, const struct tmpl_node *n, const char *fmt, ...)
{
    char words[sizeof r->e->text];
    struct str text = r->t->text, shown;
    uint32_t line = 1, start = 0, rune;
    struct buf b = {0};
    size_t at = 0;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    for (uint32_t i = 0; i < n->pos && i < text.n; i++) {
        if (text.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    tmpl_node_text(n, &b);
    shown = buf_str(&b);
    if (shown.n > 20) {
        for (int i = 0; i < 20; i++)
            at += utf8_decode(str_from(shown, at), &rune);
        shown = str_head(shown, at);
    }
    err_set(r->e, ERR_EXEC, "template: %.*s:%u:%u: executing \"%.*s\" at <%.*s%s>: %s", STR_ARG(r->t->name), line, n->pos - start,
            STR_ARG(r->executing), STR_ARG(shown), at && at < b.n ? "..." : "", words);
    buf_release(&b);
    return ERR_EXEC;
}

int tmpl_steps(struct tmpl_run *r, uint64_t n)
{
    r->steps += n;
    if (r->steps > r->steps_max)
        return err_set(r->e, ERR_EXEC, "more than %llu steps", (unsigned long long)r->steps_max);
    return 0;
}

void *tmpl_alloc(struct tmpl_run *r, size_t n)
{
    void *p = NULL;

    if (n <= r->memory_max && r->a->bytes + n <= r->memory_start + r->memory_max)
        p = arena_try_alloc(r->a, n);
    if (!p)
        err_set(r->e, ERR_EXEC, "more than %zu bytes of memory", r->memory_max);
    return p;
}

int tmpl_enter_level(struct tmpl_run *r)
{
    if (r->depth >= TMPL_DEPTH_MAX)
        return err_set(r->e, ERR_EXEC, "template: %.*s: exceeded maximum template depth (%d)", STR_ARG(r->t->name), TMPL_DEPTH_MAX);
    r->depth++;
    return 0;
}

static int put(struct tmpl_run *r, struct str text)
{
    if (r->out->n - r->out_start + text.n > r->out_max)
        return err_set(r->e, ERR_EXEC, "template: %.*s: more than %zu bytes of output", STR_ARG(r->t->name), r->out_max);
    buf_puts(r->out, text);
    return 0;
}

static int run_node(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *n);

static int run_list(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *list)
{
    int code = 0;

    for (uint32_t i = 0; list && i < list->n && code == 0 && r->loop == LOOP_ON; i++)
        code = run_node(r, dot, list->list[i]);
    return code;
}

static int run_action(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *n)
{
    struct tmpl_value v;

    if (tmpl_eval(r, dot, n->list[0], &v) < 0)
        return ERR_EXEC;
    if (n->list[0]->nnames)
        return 0;
    if (v.type == TMPL_T_STRING)
        return put(r, v.s);
    if (v.type == TMPL_T_NIL)
        return put(r, STR("<no value>"));
    return tmpl_print(r, r->out, v);
}

static int run_condition(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *n)
{
    struct tmpl_value v;

    if (tmpl_eval(r, dot, n->list[0], &v) < 0)
        return ERR_EXEC;
    if (tmpl_truth(r, v))
        return run_list(r, n->kind == TMPL_WITH ? &v : dot, n->list[1]);
    return run_list(r, dot, n->list[2]);
}

/* --- range ---------------------------------------------------------------------------------------------- */

/* One round. >0: the loop is over. */
static int run_round(struct tmpl_run *r, const struct tmpl_node *n, struct tmpl_value key, struct tmpl_value element)
{
    const struct tmpl_node *pipe = n->list[0];
    struct tmpl_value *last = NULL, *first = NULL;
    int code;

    if (tmpl_steps(r, 1) < 0)
        return ERR_EXEC;
    if (pipe->nnames && pipe->slots) {
        last = pipe->slots[pipe->nnames - 1] == UINT32_MAX ? NULL : &r->slots[pipe->slots[pipe->nnames - 1]];
        first = pipe->nnames > 1 && pipe->slots[0] != UINT32_MAX ? &r->slots[pipe->slots[0]] : NULL;
    }
    if (last)
        *last = element;
    if (first)
        *first = key;
    code = run_list(r, &element, n->list[1]);
    if (code == 0 && r->loop == LOOP_BREAK)
        code = 1;
    r->loop = LOOP_ON;
    return code;
}

static int run_range(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *n)
{
    struct tmpl_value v;
    uint64_t rounds = 0;
    int code = 0;

    if (tmpl_eval(r, dot, n->list[0], &v) < 0)
        return ERR_EXEC;
    v = tmpl_plain(r, v);
    switch (v.type) {
    case TMPL_T_LIST:
        rounds = v.list.n;
        for (uint32_t i = 0; i < v.list.n && code == 0; i++)
            code = run_round(r, n, tmpl_int(i), v.list.v[i]);
        break;
    case TMPL_T_MAP:
        rounds = v.map.n;
        for (uint32_t i = 0; i < v.map.n && code == 0; i++)
            code = run_round(r, n, tmpl_str(v.map.v[i].key), v.map.v[i].value);
        break;
    case TMPL_T_INT:
        rounds = v.i > 0 ? (uint64_t)v.i : 0;
        for (int64_t i = 0; i < v.i && code == 0; i++)
            code = run_round(r, n, tmpl_int(i), tmpl_int(i));
        break;
    case TMPL_T_NIL:
        break;
    default: {
        struct buf b = {0};

        tmpl_print(r, &b, v);
        tmpl_fail_at(r, n->list[0], "range can't iterate over %.*s", (int)MIN(b.n, (size_t)500), b.n ? b.p : "");
        buf_release(&b);
        return ERR_EXEC;
    }
    }
    if (code < 0)
        return code;
    return rounds ? 0 : run_list(r, dot, n->list[2]);
}

/* --- templates in templates ------------------------------------------------------------------------------ */

static int run_body(struct tmpl_run *r, struct str name, const struct tmpl_node *body, uint32_t nslots, struct tmpl_value dot,
                    const struct tmpl_value *vars, uint32_t nvars)
{
    struct tmpl_value *slots = r->slots, *mine = tmpl_alloc(r, (nslots + 1) * sizeof *mine);
    struct str executing = r->executing;
    int code;

    if (!mine)
        return ERR_EXEC;
    memset(mine, 0, (nslots + 1) * sizeof *mine);
    mine[0] = dot;
    if (nvars)
        memcpy(mine + 1, vars, MIN(nvars, nslots - 1) * sizeof *vars);
    r->slots = mine;
    r->executing = name;
    code = run_list(r, &dot, body);
    r->slots = slots;
    r->executing = executing;
    return code;
}

static int run_template(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *n)
{
    const struct tmpl_define *d = NULL;
    struct tmpl_value v = {0};
    struct buf b = {0};

    for (uint32_t i = 0; i < r->t->ndefines; i++)
        if (str_eq(r->t->defines[i].name, n->text))
            d = &r->t->defines[i];
    if (!d) {
        buf_put_quoted(&b, n->text);
        tmpl_fail_at(r, n, "template %.*s not defined", STR_ARG(buf_str(&b)));
        buf_release(&b);
        return ERR_EXEC;
    }
    if (n->n && n->list[0] && tmpl_eval(r, dot, n->list[0], &v) < 0)
        return ERR_EXEC;
    return run_body(r, d->name, d->body, d->nslots, v, NULL, 0);
}

static int run_nested(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *n)
{
    int code;

    if (tmpl_enter_level(r) < 0)
        return ERR_EXEC;
    code = n->kind == TMPL_RANGE      ? run_range(r, dot, n)
           : n->kind == TMPL_TEMPLATE ? run_template(r, dot, n)
                                      : run_condition(r, dot, n);
    r->depth--;
    return code;
}

static int run_node(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *n)
{
    switch (n->kind) {
    case TMPL_TEXT:
        return put(r, n->text);
    case TMPL_ACTION:
        return run_action(r, dot, n);
    case TMPL_BREAK:
        r->loop = LOOP_BREAK;
        return 0;
    case TMPL_CONTINUE:
        r->loop = LOOP_CONTINUE;
        return 0;
    default:
        return run_nested(r, dot, n);
    }
}

int tmpl_run(const struct tmpl *t, struct tmpl_run *r, struct tmpl_value dot, const struct tmpl_value *vars, uint32_t nvars,
             struct buf *out, struct err *e)
{
    struct err own;

    r->out = out;
    r->out_start = out->n;
    r->memory_start = r->a->bytes;
    r->e = e ? e : &own;
    r->t = t;
    r->out_max = r->out_max ? r->out_max : TMPL_OUT_MAX;
    r->memory_max = r->memory_max ? r->memory_max : TMPL_MEMORY_MAX;
    r->steps_max = r->steps_max ? r->steps_max : TMPL_STEPS_MAX;
    r->steps = 0;
    r->depth = 0;
    r->loop = LOOP_ON;
    return run_body(r, t->name, t->body, t->nslots, dot, vars, nvars);
}
