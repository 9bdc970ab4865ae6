/*
 * parse.c - see template.h. Descends by hand, with the rules and the messages of Go's parser.
 *
 * (1) The first fault ends the parse: every function returns NULL from then on, and nothing is read any more.
 * (2) A variable is known from its declaration to the {{end}} of the block it stands in; `$` always.
 * (3) Nesting, of blocks and of brackets, is bounded by DEPTH_MAX.
 */
#include "alerting/template/lex.h"
#include "alerting/template/template.h"
#include "alerting/template/unquote.h"

#include <stdarg.h>
#include <stdio.h>

enum { DEPTH_MAX = 500, PUSHED_MAX = 3 };

struct parser {
    struct arena *a;
    const char *name;
    const struct tmpl_scope *scope;
    struct tmpl *out;
    struct tmpl_lexer lex;
    struct tmpl_token pushed[PUSHED_MAX];
    unsigned npushed;
    struct str *vars; /* in scope, innermost last */
    uint32_t nvars, vars_cap;
    bool in_define;
    unsigned ranges, depth;
    uint32_t line; /* of the token taken last */
    struct err *e;
    bool failed;
};

/* What a list of nodes ended with. */
enum ending { ENDED_BY_END, ENDED_BY_ELSE, ENDED_BY_EOF };

static struct tmpl_node *parse_pipeline(struct parser *p, const char *context, enum tmpl_token_type end);
static struct tmpl_node *parse_list(struct parser *p, enum ending *ending);

/* --- faults and tokens --------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static struct tmpl_node *fault(struct parser *p, const char *fmt, ...)
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

static const char *quoted(struct parser *p, struct str s)
{
    struct buf b = {0};
    struct str out;

    buf_put_quoted(&b, s);
    out = arena_dup(p->a, buf_str(&b));
    buf_release(&b);
    return out.p;
}

/* As Go shows a token in a message. */
static const char *shown(struct parser *p, const struct tmpl_token *t)
{
    if (t->type == TT_EOF)
        return "EOF";
    if (t->type == TT_ERROR)
        return arena_dup(p->a, t->val).p;
    if (t->type >= TT_BLOCK)
        return arena_printf(p->a, "<%.*s>", STR_ARG(t->val)).p;
    if (t->val.n > 10)
        return arena_printf(p->a, "%s...", quoted(p, str_head(t->val, 10))).p;
    return quoted(p, t->val);
}

static struct tmpl_node *unexpected(struct parser *p, const struct tmpl_token *t, const char *context)
{
    if (t->type == TT_ERROR)
        return fault(p, "%.*s", STR_ARG(t->val));
    return fault(p, "unexpected %s in %s", shown(p, t), context);
}

static struct tmpl_token next(struct parser *p)
{
    struct tmpl_token t = p->npushed ? p->pushed[--p->npushed] : tmpl_lex_next(&p->lex);

    if (t.type == TT_ERROR)
        p->pushed[p->npushed++] = t; /* the lexer is not asked again */
    p->line = t.line;
    return t;
}

static void back(struct parser *p, struct tmpl_token t)
{
    if (t.type != TT_ERROR)
        p->pushed[p->npushed++] = t;
}

static struct tmpl_token next_word(struct parser *p)
{
    struct tmpl_token t = next(p);

    while (t.type == TT_SPACE)
        t = next(p);
    return t;
}

static struct tmpl_token peek_word(struct parser *p)
{
    struct tmpl_token t = next_word(p);

    back(p, t);
    return t;
}

static struct tmpl_node *node_new(struct parser *p, enum tmpl_kind kind, const struct tmpl_token *t)
{
    struct tmpl_node *n = arena_new(p->a, struct tmpl_node);

    n->kind = kind;
    n->pos = t->pos;
    n->line = t->line;
    return n;
}

static void append(struct parser *p, struct tmpl_node *n, struct tmpl_node *child)
{
    if ((n->n & (n->n - 1)) == 0) { /* grows at powers of two */
        struct tmpl_node **list = arena_array(p->a, struct tmpl_node *, n->n ? n->n * 2 : 1);

        if (n->n)
            memcpy(list, n->list, n->n * sizeof(struct tmpl_node *));
        n->list = list;
    }
    n->list[n->n++] = child;
}

static void append_name(struct parser *p, struct tmpl_node *n, struct str name)
{
    struct str *names = arena_array(p->a, struct str, n->nnames + 1);

    if (n->nnames)
        memcpy(names, n->names, n->nnames * sizeof *names);
    names[n->nnames++] = name;
    n->names = names;
}

static bool enter(struct parser *p)
{
    if (p->failed)
        return false;
    if (p->depth == DEPTH_MAX) {
        fault(p, "nested deeper than %d levels", DEPTH_MAX);
        return false;
    }
    p->depth++;
    return true;
}

/* --- names --------------------------------------------------------------------------------------------- */

static void declare(struct parser *p, struct str name)
{
    if (p->nvars == p->vars_cap) {
        uint32_t cap = p->vars_cap ? p->vars_cap * 2 : 16;
        struct str *v = arena_array(p->a, struct str, cap);

        if (p->nvars)
            memcpy(v, p->vars, p->nvars * sizeof *v);
        p->vars = v;
        p->vars_cap = cap;
    }
    p->vars[p->nvars++] = name;
}

static bool listed(const char *const *list, struct str name)
{
    for (; list && *list; list++)
        if (str_eqz(name, *list))
            return true;
    return false;
}

static bool variable_known(const struct parser *p, struct str name)
{
    if (name.n == 1 || (!p->in_define && listed(p->scope->variables, name)))
        return true;
    for (uint32_t i = 0; i < p->nvars; i++)
        if (str_eq(p->vars[i], name))
            return true;
    return false;
}

static bool function_known(const struct parser *p, struct str name)
{
    static const char *const builtin[] = {"and", "call", "eq", "ge",   "gt",    "html",   "index",   "js",       "le", "len",
                                          "lt",  "ne",   "not", "or",  "print", "printf", "println", "urlquery", "slice", NULL};

    return listed(builtin, name) || listed(p->scope->functions, name);
}

/* --- operands ------------------------------------------------------------------------------------------ */

/* Whether Go would take it for a number: digits are there, `_` stands between them. */
static bool number_valid(struct str s)
{
    double v;
    struct buf b = {0};
    bool fine, based;

    if (s.n && (s.p[0] == '+' || s.p[0] == '-'))
        s = str_from(s, 1);
    if (s.n && s.p[s.n - 1] == 'i')
        s = str_head(s, s.n - 1);
    based = s.n > 2 && s.p[0] == '0' && strchr("xXoObB", s.p[1]);
    for (size_t i = 0; i < s.n; i++) {
        bool last = i + 1 == s.n, first = i == 0;

        if (s.p[i] != '_') {
            buf_putc(&b, s.p[i]);
        } else if (first || last || s.p[i + 1] == '_' || strchr(".eEpP", s.p[i - 1]) || strchr(".eEpP", s.p[i + 1])) {
            buf_release(&b);
            return false;
        }
    }
    if (based) {
        const char *digits = (b.p[1] | 0x20) == 'x' ? "0123456789abcdefABCDEF.pP+-" : (b.p[1] | 0x20) == 'o' ? "01234567" : "01";

        fine = b.n > 2;
        for (size_t i = 2; i < b.n; i++)
            fine &= strchr(digits, b.p[i]) != NULL;
    } else {
        fine = b.n && num_parse(buf_str(&b), &v, NULL);
    }
    buf_release(&b);
    return fine;
}

static struct tmpl_node *parse_literal(struct parser *p, const struct tmpl_token *t)
{
    enum tmpl_kind kind = t->type == TT_STRING || t->type == TT_RAW_STRING ? TMPL_STRING : TMPL_NUMBER;
    struct tmpl_node *n = node_new(p, kind, t);

    n->text = t->val;
    if (t->type == TT_NUMBER)
        return number_valid(t->val) ? n : fault(p, "illegal number syntax: %s", quoted(p, t->val));
    if (t->type == TT_CHAR_CONSTANT) {
        struct str one;

        return tmpl_unquote(p->a, t->val, &one) ? n : fault(p, "malformed character constant: %.*s", STR_ARG(t->val));
    }
    if (!tmpl_unquote(p->a, t->val, &n->text))
        return fault(p, "invalid syntax");
    return n;
}

/* One value; NULL without a fault where none stands. */
static struct tmpl_node *parse_term(struct parser *p)
{
    struct tmpl_token t = next_word(p);
    struct tmpl_node *n;

    switch (t.type) {
    case TT_IDENTIFIER:
        if (!function_known(p, t.val))
            return fault(p, "function %s not defined", quoted(p, t.val));
        n = node_new(p, TMPL_IDENT, &t);
        n->text = t.val;
        return n;
    case TT_DOT:
        return node_new(p, TMPL_DOT, &t);
    case TT_NIL:
        return node_new(p, TMPL_NIL, &t);
    case TT_VARIABLE:
        if (!variable_known(p, t.val))
            return fault(p, "undefined variable %s", quoted(p, t.val));
        n = node_new(p, TMPL_VARIABLE, &t);
        n->text = t.val;
        return n;
    case TT_FIELD:
        n = node_new(p, TMPL_FIELD, &t);
        append_name(p, n, str_from(t.val, 1));
        return n;
    case TT_BOOL:
        n = node_new(p, TMPL_BOOL, &t);
        n->text = t.val;
        return n;
    case TT_STRING:
    case TT_RAW_STRING:
    case TT_CHAR_CONSTANT:
    case TT_NUMBER:
        return parse_literal(p, &t);
    case TT_LPAREN:
        return parse_pipeline(p, "parenthesized pipeline", TT_RPAREN);
    default:
        back(p, t);
        return NULL;
    }
}

/* A value with the fields that follow it: (f x).a.b */
static struct tmpl_node *parse_operand(struct parser *p)
{
    struct tmpl_node *n = parse_term(p), *chain;
    struct tmpl_token t;

    if (!n)
        return NULL;
    t = next(p);
    if (t.type != TT_FIELD) {
        back(p, t);
        return n;
    }
    if (n->kind >= TMPL_DOT)
        return fault(p, "unexpected . after term %s",
                     quoted(p, n->kind == TMPL_DOT ? STR(".") : n->kind == TMPL_NIL ? STR("nil") : n->text));
    chain = n;
    if (n->kind != TMPL_FIELD && n->kind != TMPL_VARIABLE) {
        chain = node_new(p, TMPL_CHAIN, &t);
        append(p, chain, n);
    }
    for (; t.type == TT_FIELD; t = next(p))
        append_name(p, chain, str_from(t.val, 1));
    back(p, t);
    return chain;
}

/* Up to what ends the pipeline, which is left, or to a `|`, which is taken. */
static struct tmpl_node *parse_command(struct parser *p)
{
    struct tmpl_token t = peek_word(p);
    struct tmpl_node *cmd = node_new(p, TMPL_COMMAND, &t);

    for (;;) {
        struct tmpl_node *n;

        peek_word(p);
        n = parse_operand(p);
        if (p->failed)
            return NULL;
        if (n)
            append(p, cmd, n);
        t = next(p);
        if (t.type == TT_SPACE)
            continue;
        if (t.type == TT_RIGHT || t.type == TT_RPAREN)
            back(p, t);
        else if (t.type != TT_PIPE)
            return unexpected(p, &t, "operand");
        break;
    }
    return cmd->n ? cmd : fault(p, "empty command");
}

/* --- pipelines ----------------------------------------------------------------------------------------- */

/* $x := or $i, $e := or $x = before the commands. False after a fault. */
static bool parse_declarations(struct parser *p, struct tmpl_node *pipe, const char *context)
{
    bool range = strcmp(context, "range") == 0;
    struct tmpl_token v = peek_word(p), after, sign;

    while (v.type == TT_VARIABLE) {
        next_word(p);
        after = next(p);
        back(p, after);
        sign = next_word(p);
        if (sign.type == TT_ASSIGN || sign.type == TT_DECLARE) {
            pipe->assigns = sign.type == TT_ASSIGN;
            append_name(p, pipe, v.val);
            declare(p, v.val);
            return true;
        }
        if (sign.type != TT_CHAR || !str_eqz(sign.val, ",")) {
            back(p, sign);
            if (after.type == TT_SPACE)
                back(p, after);
            back(p, v);
            return true;
        }
        append_name(p, pipe, v.val);
        declare(p, v.val);
        v = peek_word(p);
        if (!range || pipe->nnames > 1)
            return fault(p, "too many declarations in %s", context);
        if (v.type != TT_VARIABLE && v.type != TT_RIGHT && v.type != TT_RPAREN)
            return fault(p, "range can only initialize variables");
    }
    return true;
}

static bool starts_operand(enum tmpl_token_type t)
{
    return (t >= TT_STRING && t <= TT_LPAREN) || t == TT_NIL;
}

static struct tmpl_node *check_pipeline(struct parser *p, struct tmpl_node *pipe, const char *context)
{
    if (pipe->n == 0)
        return fault(p, "missing value for %s", context);
    for (uint32_t i = 1; i < pipe->n; i++) {
        enum tmpl_kind k = pipe->list[i]->list[0]->kind;

        if (k >= TMPL_DOT)
            return fault(p, "non executable command in pipeline stage %u", i + 1);
    }
    return pipe;
}

static struct tmpl_node *parse_pipeline(struct parser *p, const char *context, enum tmpl_token_type end)
{
    struct tmpl_token t = peek_word(p);
    struct tmpl_node *pipe = node_new(p, TMPL_PIPE, &t);

    if (!enter(p) || !parse_declarations(p, pipe, context))
        return NULL;
    for (t = next_word(p); t.type != end; t = next_word(p)) {
        struct tmpl_node *cmd;

        if (!starts_operand(t.type))
            return unexpected(p, &t, context);
        back(p, t);
        cmd = parse_command(p);
        if (!cmd)
            return NULL;
        append(p, pipe, cmd);
    }
    p->depth--;
    return check_pipeline(p, pipe, context);
}

/* --- actions ------------------------------------------------------------------------------------------- */

static bool expect_right(struct parser *p, const char *context)
{
    struct tmpl_token t = next_word(p);

    return t.type == TT_RIGHT || unexpected(p, &t, context);
}

static const char *ending_text(enum ending ending)
{
    return ending == ENDED_BY_ELSE ? "{{else}}" : "{{end}}";
}

static struct tmpl_node *parse_control(struct parser *p, enum tmpl_kind kind, const char *context, const struct tmpl_token *at);

/* {{else if}} and {{else with}} stand for an {{else}} with a whole {{if}} in it. */
static struct tmpl_node *parse_else(struct parser *p, enum tmpl_kind kind, enum ending *ending)
{
    struct tmpl_token t = peek_word(p);
    struct tmpl_node *list, *inner;

    if ((t.type == TT_IF && kind == TMPL_IF) || (t.type == TT_WITH && kind == TMPL_WITH)) {
        next_word(p);
        list = node_new(p, TMPL_LIST, &t);
        inner = parse_control(p, kind, t.type == TT_IF ? "if" : "with", &t);
        if (!inner)
            return NULL;
        append(p, list, inner);
        *ending = ENDED_BY_END;
        return list;
    }
    return expect_right(p, "else") ? parse_list(p, ending) : NULL;
}

static struct tmpl_node *parse_control(struct parser *p, enum tmpl_kind kind, const char *context, const struct tmpl_token *at)
{
    struct tmpl_node *n = node_new(p, kind, at), *pipe, *body, *other = NULL;
    uint32_t nvars = p->nvars;
    enum ending ending;

    if (!enter(p) || !(pipe = parse_pipeline(p, context, TT_RIGHT)))
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
            return fault(p, "expected end; found %s", ending_text(ending));
    }
    append(p, n, pipe);
    append(p, n, body);
    append(p, n, other);
    p->nvars = nvars;
    p->depth--;
    return n;
}

static bool parse_name(struct parser *p, const char *context, struct str *out)
{
    struct tmpl_token t = next_word(p);

    if (t.type != TT_STRING && t.type != TT_RAW_STRING)
        return unexpected(p, &t, context);
    return tmpl_unquote(p->a, t.val, out) || fault(p, "invalid syntax");
}

static bool is_blank(const struct tmpl_node *body)
{
    for (uint32_t i = 0; i < body->n; i++)
        if (body->list[i]->kind != TMPL_TEXT || str_trim(body->list[i]->text).n)
            return false;
    return true;
}

static bool add_define(struct parser *p, struct str name, struct tmpl_node *body)
{
    struct tmpl *t = p->out;
    struct tmpl_define *v;

    for (uint32_t i = 0; i < t->ndefines; i++) {
        if (!str_eq(t->defines[i].name, name))
            continue;
        if (!is_blank(t->defines[i].body) && !is_blank(body))
            return fault(p, "template: multiple definition of template %s", quoted(p, name));
        if (!is_blank(body))
            t->defines[i].body = body;
        return true;
    }
    v = arena_array(p->a, struct tmpl_define, t->ndefines + 1);
    if (t->ndefines)
        memcpy(v, t->defines, t->ndefines * sizeof *v);
    v[t->ndefines++] = (struct tmpl_define){name, body};
    t->defines = v;
    return true;
}

/* The body of a {{define}} or {{block}}: a template of its own, which sees no variables of ours. */
static bool parse_body(struct parser *p, struct str name, const char *context)
{
    uint32_t nvars = p->nvars;
    struct str *vars = p->vars;
    unsigned ranges = p->ranges;
    bool in_define = p->in_define;
    enum ending ending;
    struct tmpl_node *body;

    p->vars = NULL;
    p->nvars = p->vars_cap = 0;
    p->in_define = true;
    p->ranges = 0;
    body = parse_list(p, &ending);
    p->vars = vars;
    p->nvars = p->vars_cap = nvars; /* full: the next one makes room */
    p->in_define = in_define;
    p->ranges = ranges;
    if (!body)
        return false;
    if (ending != ENDED_BY_END)
        return fault(p, "unexpected %s in %s", ending_text(ending), context);
    return add_define(p, name, body);
}

static struct tmpl_node *parse_template(struct parser *p, const struct tmpl_token *at)
{
    static const char context[] = "template clause";
    struct tmpl_node *n = node_new(p, TMPL_TEMPLATE, at), *pipe = NULL;
    struct tmpl_token t;

    if (!parse_name(p, context, &n->text))
        return NULL;
    t = next_word(p);
    if (t.type != TT_RIGHT) {
        back(p, t);
        pipe = parse_pipeline(p, context, TT_RIGHT);
        if (!pipe)
            return NULL;
    }
    append(p, n, pipe);
    return n;
}

static struct tmpl_node *parse_block(struct parser *p, const struct tmpl_token *at)
{
    static const char context[] = "block clause";
    struct tmpl_node *n = node_new(p, TMPL_TEMPLATE, at), *pipe;

    if (!parse_name(p, context, &n->text) || !(pipe = parse_pipeline(p, context, TT_RIGHT)))
        return NULL;
    append(p, n, pipe);
    return parse_body(p, n->text, context) ? n : NULL;
}

static struct tmpl_node *parse_loop_word(struct parser *p, enum tmpl_kind kind, const struct tmpl_token *at)
{
    struct tmpl_token t = next_word(p);

    if (t.type != TT_RIGHT)
        return unexpected(p, &t, arena_printf(p->a, "{{%.*s}}", STR_ARG(at->val)).p);
    if (p->ranges == 0)
        return fault(p, "{{%.*s}} outside {{range}}", STR_ARG(at->val));
    return node_new(p, kind, at);
}

/* What stands between the delimiters, the left one taken. NULL without a fault: the list ends here. */
static struct tmpl_node *parse_action(struct parser *p, enum ending *ending)
{
    struct tmpl_token t = next_word(p);
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
        back(p, t);
        n = node_new(p, TMPL_ACTION, &t);
        pipe = parse_pipeline(p, "command", TT_RIGHT);
        if (!pipe)
            return NULL;
        append(p, n, pipe);
        return n;
    }
}

static bool parse_define(struct parser *p)
{
    static const char context[] = "define clause";
    struct str name;

    return parse_name(p, context, &name) && expect_right(p, context) && parse_body(p, name, context);
}

static struct tmpl_node *parse_list(struct parser *p, enum ending *ending)
{
    struct tmpl_token t = next(p);
    struct tmpl_node *list = node_new(p, TMPL_LIST, &t), *n;
    bool top = p->depth == 0 && !p->in_define;

    if (!enter(p))
        return NULL;
    for (; t.type == TT_TEXT || t.type == TT_LEFT; t = next(p)) {
        if (t.type == TT_TEXT) {
            n = node_new(p, TMPL_TEXT, &t);
            n->text = t.val;
            append(p, list, n);
            continue;
        }
        if (top && peek_word(p).type == TT_DEFINE) {
            next_word(p);
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
        append(p, list, n);
    }
    p->depth--;
    if (t.type == TT_ERROR)
        return fault(p, "%.*s", STR_ARG(t.val));
    *ending = ENDED_BY_EOF;
    return top ? list : fault(p, "unexpected EOF");
}

int tmpl_parse(struct arena *a, const char *name, struct str text, const struct tmpl_scope *scope, struct tmpl *out,
               struct err *e)
{
    struct parser p = {.a = a, .name = name, .scope = scope, .out = out, .lex = {.a = a, .text = text, .line = 1}, .line = 1, .e = e};
    enum ending ending;

    *out = (struct tmpl){0};
    out->body = parse_list(&p, &ending);
    if (out->body && ending != ENDED_BY_EOF)
        fault(&p, "unexpected %s", ending_text(ending));
    return p.failed ? ERR_INVALID : 0;
}
