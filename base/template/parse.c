/*
 * parse.c - see template.h. Descends by hand, with the rules and the messages of Go's parser.
 *
 * (1) The first fault ends the parse: every function returns NULL from then on, and nothing is read any more.
 * (2) A variable is known from its declaration to the {{end}} of the block it stands in; `$` always. Its slot is its own until
 *     then, so what runs the tree looks up nothing.
 * (3) Nesting, of blocks and of brackets, is bounded by TMPL_PARSE_DEPTH_MAX.
 */
#include "base/template/parse.h"

#include <stdarg.h>
#include <stdio.h>

/* What a list of nodes ended with. */
enum ending { ENDED_BY_END, ENDED_BY_ELSE, ENDED_BY_EOF };

static struct tmpl_node *parse_list(struct tmpl_parser *p, enum ending *ending);

/* --- faults and tokens --------------------------------------------------------------------------------- */

struct tmpl_node *tmpl_fault(struct tmpl_parser *p, const char *fmt, ...)
{
    char words[sizeof p->e->text];
    va_list ap;

    if (p->failed)
        return NULL;
    p->failed = true;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    err_set(p->e, ERR_INVALID, "template: %s:%u: %s", p->name, p->line, words);
    return NULL;
}

const char *tmpl_quoted(struct tmpl_parser *p, struct str s)
{
    struct buf b = {0};
    struct str out;

    buf_put_quoted(&b, s);
    out = arena_dup(p->a, buf_str(&b));
    buf_release(&b);
    return out.p;
}

/* As Go shows a token in a message. */
static const char *shown(struct tmpl_parser *p, const struct tmpl_token *t)
{
    if (t->type == TT_EOF)
        return "EOF";
    if (t->type == TT_ERROR)
        return arena_dup(p->a, t->val).p;
    if (t->type >= TT_BLOCK)
        return arena_printf(p->a, "<%.*s>", STR_ARG(t->val)).p;
    if (t->val.n > 10)
        return arena_printf(p->a, "%s...", tmpl_quoted(p, str_head(t->val, 10))).p;
    return tmpl_quoted(p, t->val);
}

struct tmpl_node *tmpl_unexpected(struct tmpl_parser *p, const struct tmpl_token *t, const char *context)
{
    if (t->type == TT_ERROR)
        return tmpl_fault(p, "%.*s", STR_ARG(t->val));
    return tmpl_fault(p, "unexpected %s in %s", shown(p, t), context);
}

struct tmpl_token tmpl_next(struct tmpl_parser *p)
{
    struct tmpl_token t = p->npushed ? p->pushed[--p->npushed] : tmpl_lex_next(&p->lex);

    if (t.type == TT_ERROR)
        p->pushed[p->npushed++] = t; /* the lexer is not asked again */
    p->line = t.line;
    return t;
}

void tmpl_back(struct tmpl_parser *p, struct tmpl_token t)
{
    if (t.type != TT_ERROR)
        p->pushed[p->npushed++] = t;
}

struct tmpl_token tmpl_next_word(struct tmpl_parser *p)
{
    struct tmpl_token t = tmpl_next(p);

    while (t.type == TT_SPACE)
        t = tmpl_next(p);
    return t;
}

struct tmpl_token tmpl_peek_word(struct tmpl_parser *p)
{
    struct tmpl_token t = tmpl_next_word(p);

    tmpl_back(p, t);
    return t;
}

struct tmpl_node *tmpl_node_new(struct tmpl_parser *p, enum tmpl_kind kind, const struct tmpl_token *t)
{
    struct tmpl_node *n = arena_new(p->a, struct tmpl_node);

    n->kind = kind;
    n->pos = t->pos;
    n->line = t->line;
    return n;
}

void tmpl_append(struct tmpl_parser *p, struct tmpl_node *n, struct tmpl_node *child)
{
    if ((n->n & (n->n - 1)) == 0) { /* grows at powers of two */
        struct tmpl_node **list = arena_array(p->a, struct tmpl_node *, n->n ? n->n * 2 : 1);

        if (n->n)
            memcpy(list, n->list, n->n * sizeof(struct tmpl_node *));
        n->list = list;
    }
    n->list[n->n++] = child;
}

bool tmpl_enter(struct tmpl_parser *p)
{
    if (p->failed)
        return false;
    if (p->depth == TMPL_PARSE_DEPTH_MAX) {
        tmpl_fault(p, "nested deeper than %d levels", TMPL_PARSE_DEPTH_MAX);
        return false;
    }
    p->depth++;
    return true;
}

uint32_t tmpl_declare(struct tmpl_parser *p, struct str name)
{
    tmpl_push_var(p, name, p->nslots++);
    if (p->slots_max < p->nslots)
        p->slots_max = p->nslots;
    return p->nslots - 1;
}

void tmpl_push_var(struct tmpl_parser *p, struct str name, uint32_t slot)
{
    if (p->nvars == p->vars_cap) {
        uint32_t cap = p->vars_cap ? p->vars_cap * 2 : 16;
        struct tmpl_var *v = arena_array(p->a, struct tmpl_var, cap);

        if (p->nvars)
            memcpy(v, p->vars, p->nvars * sizeof *v);
        p->vars = v;
        p->vars_cap = cap;
    }
    p->vars[p->nvars++] = (struct tmpl_var){name, slot};
}

/* --- actions ------------------------------------------------------------------------------------------- */

static bool expect_right(struct tmpl_parser *p, const char *context)
{
    struct tmpl_token t = tmpl_next_word(p);

    return t.type == TT_RIGHT || tmpl_unexpected(p, &t, context);
}

static const char *ending_text(enum ending ending)
{
    return ending == ENDED_BY_ELSE ? "{{else}}" : "{{end}}";
}

static struct tmpl_node *parse_control(struct tmpl_parser *p, enum tmpl_kind kind, const char *context, const struct tmpl_token *at);

/* {{else if}} and {{else with}} stand for an {{else}} with a whole {{if}} in it. */
static struct tmpl_node *parse_else(struct tmpl_parser *p, enum tmpl_kind kind, enum ending *ending)
{
    struct tmpl_token t = tmpl_peek_word(p);
    struct tmpl_node *list, *inner;

    if ((t.type == TT_IF && kind == TMPL_IF) || (t.type == TT_WITH && kind == TMPL_WITH)) {
        tmpl_next_word(p);
        list = tmpl_node_new(p, TMPL_LIST, &t);
        inner = parse_control(p, kind, t.type == TT_IF ? "if" : "with", &t);
        if (!inner)
            return NULL;
        tmpl_append(p, list, inner);
        *ending = ENDED_BY_END;
        return list;
    }
    return expect_right(p, "else") ? parse_list(p, ending) : NULL;
}

static struct tmpl_node *parse_control(struct tmpl_parser *p, enum tmpl_kind kind, const char *context, const struct tmpl_token *at)
{
    struct tmpl_node *n = tmpl_node_new(p, kind, at), *pipe, *body, *other = NULL;
    uint32_t nvars = p->nvars, nslots = p->nslots;
    enum ending ending;

    if (!tmpl_enter(p) || !(pipe = tmpl_parse_pipeline(p, context, TT_RIGHT)))
        return NULL;
    p->ranges += kind == TMPL_RANGE;
    body = parse_list(p, &ending);
    p->ranges -= kind == TMPL_RANGE;
    if (!body)
        return NULL;
    if (ending == ENDED_BY_ELSE) {
        other = parse_else(p, kind, &ending);
        if (!other)
            return NULL;
        if (ending != ENDED_BY_END)
            return tmpl_fault(p, "expected end; found %s", ending_text(ending));
    }
    tmpl_append(p, n, pipe);
    tmpl_append(p, n, body);
    tmpl_append(p, n, other);
    p->nvars = nvars;
    p->nslots = nslots;
    p->depth--;
    return n;
}

static bool parse_name(struct tmpl_parser *p, const char *context, struct str *out)
{
    struct tmpl_token t = tmpl_next_word(p);

    if (t.type != TT_STRING && t.type != TT_RAW_STRING)
        return tmpl_unexpected(p, &t, context);
    return tmpl_unquote(p->a, t.val, out) || tmpl_fault(p, "invalid syntax");
}

static bool is_blank(const struct tmpl_node *body)
{
    for (uint32_t i = 0; i < body->n; i++)
        if (body->list[i]->kind != TMPL_TEXT || str_trim(body->list[i]->text).n)
            return false;
    return true;
}

static bool add_define(struct tmpl_parser *p, struct str name, struct tmpl_node *body, uint32_t nslots)
{
    struct tmpl *t = p->out;
    struct tmpl_define *v;

    for (uint32_t i = 0; i < t->ndefines; i++) {
        if (!str_eq(t->defines[i].name, name))
            continue;
        if (!is_blank(t->defines[i].body) && !is_blank(body))
            return tmpl_fault(p, "template: multiple definition of template %s", tmpl_quoted(p, name));
        if (!is_blank(body))
            t->defines[i] = (struct tmpl_define){name, body, nslots};
        return true;
    }
    v = arena_array(p->a, struct tmpl_define, t->ndefines + 1);
    if (t->ndefines)
        memcpy(v, t->defines, t->ndefines * sizeof *v);
    v[t->ndefines++] = (struct tmpl_define){name, body, nslots};
    t->defines = v;
    return true;
}

/* The body of a {{define}} or {{block}}: a template of its own, which sees no variables of ours. */
static bool parse_body(struct tmpl_parser *p, struct str name, const char *context)
{
    uint32_t nvars = p->nvars, nslots = p->nslots, slots_max = p->slots_max, mine;
    struct tmpl_var *vars = p->vars;
    unsigned ranges = p->ranges;
    bool in_define = p->in_define;
    enum ending ending;
    struct tmpl_node *body;

    p->vars = NULL;
    p->nvars = p->vars_cap = 0;
    p->nslots = p->slots_max = 1; /* $ */
    p->in_define = true;
    p->ranges = 0;
    body = parse_list(p, &ending);
    p->vars = vars;
    p->nvars = p->vars_cap = nvars; /* full: the next one makes room */
    mine = p->slots_max;
    p->nslots = nslots;
    p->slots_max = slots_max;
    p->in_define = in_define;
    p->ranges = ranges;
    if (!body)
        return false;
    if (ending != ENDED_BY_END)
        return tmpl_fault(p, "unexpected %s in %s", ending_text(ending), context);
    return add_define(p, name, body, mine);
}

static struct tmpl_node *parse_template(struct tmpl_parser *p, const struct tmpl_token *at)
{
    static const char context[] = "template clause";
    struct tmpl_node *n = tmpl_node_new(p, TMPL_TEMPLATE, at), *pipe = NULL;
    struct tmpl_token t;

    if (!parse_name(p, context, &n->text))
        return NULL;
    t = tmpl_next_word(p);
    if (t.type != TT_RIGHT) {
        tmpl_back(p, t);
        pipe = tmpl_parse_pipeline(p, context, TT_RIGHT);
        if (!pipe)
            return NULL;
    }
    tmpl_append(p, n, pipe);
    return n;
}

static struct tmpl_node *parse_block(struct tmpl_parser *p, const struct tmpl_token *at)
{
    static const char context[] = "block clause";
    struct tmpl_node *n = tmpl_node_new(p, TMPL_TEMPLATE, at), *pipe;

    if (!parse_name(p, context, &n->text) || !(pipe = tmpl_parse_pipeline(p, context, TT_RIGHT)))
        return NULL;
    tmpl_append(p, n, pipe);
    return parse_body(p, n->text, context) ? n : NULL;
}

static struct tmpl_node *parse_loop_word(struct tmpl_parser *p, enum tmpl_kind kind, const struct tmpl_token *at)
{
    struct tmpl_token t = tmpl_next_word(p);

    if (t.type != TT_RIGHT)
        return tmpl_unexpected(p, &t, arena_printf(p->a, "{{%.*s}}", STR_ARG(at->val)).p);
    if (p->ranges == 0)
        return tmpl_fault(p, "{{%.*s}} outside {{range}}", STR_ARG(at->val));
    return tmpl_node_new(p, kind, at);
}

/* What stands between the delimiters, the left one taken. NULL without a fault: the list ends here. */
static struct tmpl_node *parse_action(struct tmpl_parser *p, enum ending *ending)
{
    struct tmpl_token t = tmpl_next_word(p);
    struct tmpl_node *n, *pipe;

    switch (t.type) {
    case TT_IF:
        return parse_control(p, TMPL_IF, "if", &t);
    case TT_RANGE:
        return parse_control(p, TMPL_RANGE, "range", &t);
    case TT_WITH:
        return parse_control(p, TMPL_WITH, "with", &t);
    case TT_TEMPLATE:
        return parse_template(p, &t);
    case TT_BLOCK:
        return parse_block(p, &t);
    case TT_BREAK:
        return parse_loop_word(p, TMPL_BREAK, &t);
    case TT_CONTINUE:
        return parse_loop_word(p, TMPL_CONTINUE, &t);
    case TT_END:
        *ending = ENDED_BY_END;
        expect_right(p, "end");
        return NULL;
    case TT_ELSE:
        *ending = ENDED_BY_ELSE; /* its right delimiter is parse_else's */
        return NULL;
    default:
        tmpl_back(p, t);
        n = tmpl_node_new(p, TMPL_ACTION, &t);
        pipe = tmpl_parse_pipeline(p, "command", TT_RIGHT);
        if (!pipe)
            return NULL;
        tmpl_append(p, n, pipe);
        return n;
    }
}

static bool parse_define(struct tmpl_parser *p)
{
    static const char context[] = "define clause";
    struct str name;

    return parse_name(p, context, &name) && expect_right(p, context) && parse_body(p, name, context);
}

static struct tmpl_node *parse_list(struct tmpl_parser *p, enum ending *ending)
{
    struct tmpl_token t = tmpl_next(p);
    struct tmpl_node *list = tmpl_node_new(p, TMPL_LIST, &t), *n;
    bool top = p->depth == 0 && !p->in_define;

    if (!tmpl_enter(p))
        return NULL;
    for (; t.type == TT_TEXT || t.type == TT_LEFT; t = tmpl_next(p)) {
        if (t.type == TT_TEXT) {
            n = tmpl_node_new(p, TMPL_TEXT, &t);
            n->text = t.val;
            tmpl_append(p, list, n);
            continue;
        }
        if (top && tmpl_peek_word(p).type == TT_DEFINE) {
            tmpl_next_word(p);
            if (!parse_define(p))
                return NULL;
            continue;
        }
        n = parse_action(p, ending);
        if (p->failed)
            return NULL;
        if (!n) {
            p->depth--;
            return list;
        }
        tmpl_append(p, list, n);
    }
    p->depth--;
    if (t.type == TT_ERROR)
        return tmpl_fault(p, "%.*s", STR_ARG(t.val));
    *ending = ENDED_BY_EOF;
    return top ? list : tmpl_fault(p, "unexpected EOF");
}

int tmpl_parse(struct arena *a, const char *name, struct str text, const struct tmpl_scope *scope, struct tmpl *out,
               struct err *e)
{
    struct tmpl_parser p = {.a = a, .name = name, .scope = scope, .out = out, .lex = {.a = a, .text = text, .line = 1}, .line = 1, .e = e};
    enum ending ending;

    *out = (struct tmpl){.name = arena_dup(a, str_of(name)), .text = text};
    p.nslots = p.slots_max = 1; /* $ */
    for (const char *const *v = scope->variables; v && *v; v++)
        tmpl_declare(&p, str_of(*v));
    out->body = parse_list(&p, &ending);
    out->nslots = p.slots_max;
    if (out->body && ending != ENDED_BY_EOF)
        tmpl_fault(&p, "unexpected %s", ending_text(ending));
    return p.failed ? ERR_INVALID : 0;
}
