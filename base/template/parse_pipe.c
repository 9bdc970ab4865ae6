/* parse_pipe.c - the inside of actions: pipelines, commands, operands. Names are found while they are read. */
#include "base/template/builtin.h"
#include "base/template/parse.h"

#include <math.h>
#include <stdlib.h>

static void append_name(struct tmpl_parser *p, struct tmpl_node *n, struct str name)
{
    struct str *names = arena_array(p->a, struct str, n->nnames + 1);

    if (n->nnames)
        memcpy(names, n->names, n->nnames * sizeof *names);
    names[n->nnames++] = name;
    n->names = names;
}

/* --- names --------------------------------------------------------------------------------------------- */

static const struct tmpl_var *variable(const struct tmpl_parser *p, struct str name)
{
    static const struct tmpl_var dollar = {{"$", 1}, 0};

    if (name.n == 1)
        return &dollar;
    for (uint32_t i = p->nvars; i-- > 0;)
        if (str_eq(p->vars[i].name, name))
            return &p->vars[i];
    return NULL;
}

static const struct tmpl_func *function(const struct tmpl_parser *p, struct str name)
{
    for (uint32_t i = 0; i < p->scope->nfunctions; i++)
        if (str_eqz(name, p->scope->functions[i].name))
            return &p->scope->functions[i];
    return tmpl_builtin(name);
}

static uint32_t field_id(const struct tmpl_parser *p, struct str name)
{
    return p->scope->field_id ? p->scope->field_id(p->scope->arg, name) : UINT32_MAX;
}

static void set_slot(struct tmpl_parser *p, struct tmpl_node *n, uint32_t i, uint32_t slot)
{
    if (!n->slots)
        n->slots = arena_array(p->a, uint32_t, 2);
    n->slots[i] = slot;
}

/* --- operands ------------------------------------------------------------------------------------------ */

/* 0x1f, 0b11, 0o17, 017 and hexadecimal floats; z ends in NUL and has no '_'. */
static bool read_based(const char *z, bool negative, struct tmpl_value *out)
{
    char kind = z[1] | 0x20;
    int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 8;
    const char *digits = z + (kind == 'x' || kind == 'o' || kind == 'b' ? 2 : 1);
    unsigned long long v;
    char *end;

    if (kind == 'x' && strpbrk(z, ".pP")) {
        double f = strtod(z, &end);

        *out = tmpl_float(negative ? -f : f);
        return *end == 0 && end > z + 2;
    }
    if (!*digits || *digits == '-' || *digits == '+')
        return false;
    v = strtoull(digits, &end, base);
    if (*end)
        return false;
    *out = v > INT64_MAX ? tmpl_float(negative ? -(double)v : (double)v) : tmpl_int(negative ? -(int64_t)v : (int64_t)v);
    return true;
}

static bool read_number(struct tmpl_node *n, const char *z, size_t len)
{
    bool negative = z[0] == '-';
    double v;

    if (z[0] == '+' || z[0] == '-')
        z++, len--;
    if (len && z[len - 1] == 'i') {
        n->is_complex = true;
        return --len && num_parse(str_n(z, len), &v, NULL);
    }
    if (len > 1 && z[0] == '0' && (strchr("xXoObB", z[1]) || !strpbrk(z, ".eE")))
        return read_based(z, negative, &n->value);
    if (!strpbrk(z, ".eE")) {
        int64_t i;

        for (size_t k = 0; k < len; k++)
            if (z[k] < '0' || z[k] > '9')
                return false;
        if (str_to_i64(n->text.p[0] == '-' ? str_n(z - 1, len + 1) : str_n(z, len), &i)) {
            n->value = tmpl_int(i);
            return true;
        }
    }
    if (!num_parse(str_n(z, len), &v, NULL))
        return false;
    n->value = tmpl_float(negative ? -v : v);
    return true;
}

/* Whether Go would take it for a number: digits are there, `_` stands between them. Sets n->value. */
static bool number_valid(struct tmpl_parser *p, struct tmpl_node *n)
{
    struct str s = n->text;
    char *z = arena_alloc(p->a, s.n + 1);
    size_t len = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '_')
            z[len++] = s.p[i];
        else if (i == 0 || i + 1 == s.n || strchr("_.eEpP+-", s.p[i + 1]) || strchr(".eEpP+-", s.p[i - 1]))
            return false;
    }
    z[len] = 0;
    return len && read_number(n, z, len);
}

static struct tmpl_node *parse_literal(struct tmpl_parser *p, const struct tmpl_token *t)
{
    enum tmpl_kind kind = t->type == TT_STRING || t->type == TT_RAW_STRING ? TMPL_STRING : TMPL_NUMBER;
    struct tmpl_node *n = tmpl_node_new(p, kind, t);

    n->text = t->val;
    if (t->type == TT_NUMBER)
        return number_valid(p, n) ? n : tmpl_fault(p, "illegal number syntax: %s", tmpl_quoted(p, t->val));
    if (t->type == TT_CHAR_CONSTANT) {
        struct str one;
        uint32_t rune;

        if (!tmpl_unquote(p->a, t->val, &one))
            return tmpl_fault(p, "malformed character constant: %.*s", STR_ARG(t->val));
        utf8_decode(one, &rune);
        n->value = tmpl_int(rune);
        return n;
    }
    if (!tmpl_unquote(p->a, t->val, &n->text))
        return tmpl_fault(p, "invalid syntax");
    n->value = tmpl_str(n->text);
    return n;
}

/* One value; NULL without a fault where none stands. */
static struct tmpl_node *parse_term(struct tmpl_parser *p)
{
    struct tmpl_token t = tmpl_next_word(p);
    const struct tmpl_var *v;
    struct tmpl_node *n;

    switch (t.type) {
    case TT_IDENTIFIER:
        n = tmpl_node_new(p, TMPL_IDENT, &t);
        n->text = t.val;
        n->fn = function(p, t.val);
        return n->fn ? n : tmpl_fault(p, "function %s not defined", tmpl_quoted(p, t.val));
    case TT_DOT:
        return tmpl_node_new(p, TMPL_DOT, &t);
    case TT_NIL:
        return tmpl_node_new(p, TMPL_NIL, &t);
    case TT_VARIABLE:
        v = variable(p, t.val);
        if (!v)
            return tmpl_fault(p, "undefined variable %s", tmpl_quoted(p, t.val));
        n = tmpl_node_new(p, TMPL_VARIABLE, &t);
        n->text = t.val;
        set_slot(p, n, 0, v->slot);
        return n;
    case TT_FIELD:
        n = tmpl_node_new(p, TMPL_FIELD, &t);
        append_name(p, n, str_from(t.val, 1));
        n->field_id = field_id(p, n->names[0]);
        return n;
    case TT_BOOL:
        n = tmpl_node_new(p, TMPL_BOOL, &t);
        n->text = t.val;
        n->value = tmpl_bool(t.val.n == 4);
        return n;
    case TT_STRING:
    case TT_RAW_STRING:
    case TT_CHAR_CONSTANT:
    case TT_NUMBER:
        return parse_literal(p, &t);
    case TT_LPAREN:
        return tmpl_parse_pipeline(p, "parenthesized pipeline", TT_RPAREN);
    default:
        tmpl_back(p, t);
        return NULL;
    }
}

/* A value with the fields that follow it: (f x).a.b */
static struct tmpl_node *parse_operand(struct tmpl_parser *p)
{
    struct tmpl_node *n = parse_term(p), *chain;
    struct tmpl_token t;

    if (!n)
        return NULL;
    t = tmpl_next(p);
    if (t.type != TT_FIELD) {
        tmpl_back(p, t);
        return n;
    }
    if (n->kind >= TMPL_DOT)
        return tmpl_fault(p, "unexpected . after term %s",
                     tmpl_quoted(p, n->kind == TMPL_DOT ? STR(".") : n->kind == TMPL_NIL ? STR("nil") : n->text));
    chain = n;
    if (n->kind != TMPL_FIELD && n->kind != TMPL_VARIABLE) {
        chain = tmpl_node_new(p, TMPL_CHAIN, &t);
        tmpl_append(p, chain, n);
    }
    for (; t.type == TT_FIELD; t = tmpl_next(p))
        append_name(p, chain, str_from(t.val, 1));
    if (n->kind == TMPL_VARIABLE)
        n->field_id = field_id(p, n->names[0]);
    tmpl_back(p, t);
    return chain;
}

/* Up to what ends the pipeline, which is left, or to a `|`, which is taken. */
static struct tmpl_node *parse_command(struct tmpl_parser *p)
{
    struct tmpl_token t = tmpl_peek_word(p);
    struct tmpl_node *cmd = tmpl_node_new(p, TMPL_COMMAND, &t);

    for (;;) {
        struct tmpl_node *n;

        tmpl_peek_word(p);
        n = parse_operand(p);
        if (p->failed)
            return NULL;
        if (n)
            tmpl_append(p, cmd, n);
        t = tmpl_next(p);
        if (t.type == TT_SPACE)
            continue;
        if (t.type == TT_RIGHT || t.type == TT_RPAREN)
            tmpl_back(p, t);
        else if (t.type != TT_PIPE)
            return tmpl_unexpected(p, &t, "operand");
        break;
    }
    return cmd->n ? cmd : tmpl_fault(p, "empty command");
}

/* --- pipelines ----------------------------------------------------------------------------------------- */

/* After the commands, which see what the names meant before. Of names that are set, the one that was declared; it may not be there, which the run says. */
static void declare_all(struct tmpl_parser *p, struct tmpl_node *pipe)
{
    for (uint32_t i = 0; i < pipe->nnames; i++) {
        const struct tmpl_var *v = pipe->assigns ? variable(p, pipe->names[i]) : NULL;

        if (!pipe->assigns)
            set_slot(p, pipe, i, tmpl_declare(p, pipe->names[i]));
        else
            set_slot(p, pipe, i, v ? v->slot : TMPL_NO_SLOT);
        if (pipe->assigns && !v)
            tmpl_push_var(p, pipe->names[i], TMPL_NO_SLOT);
    }
}

/* $x := or $i, $e := or $x = before the commands. False after a fault. */
static bool parse_declarations(struct tmpl_parser *p, struct tmpl_node *pipe, const char *context)
{
    bool range = strcmp(context, "range") == 0;
    struct tmpl_token v = tmpl_peek_word(p), after, sign;

    while (v.type == TT_VARIABLE) {
        tmpl_next_word(p);
        after = tmpl_next(p);
        tmpl_back(p, after);
        sign = tmpl_next_word(p);
        if (sign.type == TT_ASSIGN || sign.type == TT_DECLARE) {
            pipe->assigns = sign.type == TT_ASSIGN;
            append_name(p, pipe, v.val);
            return true;
        }
        if (sign.type != TT_CHAR || !str_eqz(sign.val, ",")) {
            tmpl_back(p, sign);
            if (after.type == TT_SPACE)
                tmpl_back(p, after);
            tmpl_back(p, v);
            return true;
        }
        append_name(p, pipe, v.val);
        v = tmpl_peek_word(p);
        if (!range || pipe->nnames > 1)
            return tmpl_fault(p, "too many declarations in %s", context);
        if (v.type != TT_VARIABLE && v.type != TT_RIGHT && v.type != TT_RPAREN)
            return tmpl_fault(p, "range can only initialize variables");
    }
    return true;
}

static bool starts_operand(enum tmpl_token_type t)
{
    return (t >= TT_STRING && t <= TT_LPAREN) || t == TT_NIL;
}

static struct tmpl_node *check_pipeline(struct tmpl_parser *p, struct tmpl_node *pipe, const char *context)
{
    if (pipe->n == 0)
        return tmpl_fault(p, "missing value for %s", context);
    for (uint32_t i = 1; i < pipe->n; i++) {
        enum tmpl_kind k = pipe->list[i]->list[0]->kind;

        if (k >= TMPL_DOT)
            return tmpl_fault(p, "non executable command in pipeline stage %u", i + 1);
    }
    return pipe;
}

struct tmpl_node *tmpl_parse_pipeline(struct tmpl_parser *p, const char *context, enum tmpl_token_type end)
{
    struct tmpl_token t = tmpl_peek_word(p);
    struct tmpl_node *pipe = tmpl_node_new(p, TMPL_PIPE, &t);

    if (!tmpl_enter(p) || !parse_declarations(p, pipe, context))
        return NULL;
    for (t = tmpl_next_word(p); t.type != end; t = tmpl_next_word(p)) {
        struct tmpl_node *cmd;

        if (!starts_operand(t.type))
            return tmpl_unexpected(p, &t, context);
        tmpl_back(p, t);
        cmd = parse_command(p);
        if (!cmd)
            return NULL;
        tmpl_append(p, pipe, cmd);
    }
    p->depth--;
    declare_all(p, pipe);
    return check_pipeline(p, pipe, context);
}

