/* eval.c - pipelines, commands and operands to values; calls of functions and methods. */
#include "base/template/builtin.h"
#include "base/template/run.h"

enum { ARGS_HERE = 6 };

/* --- arguments ------------------------------------------------------------------------------------------ */

static int not_a_function(struct tmpl_run *r, struct tmpl_node *const *args, uint32_t n, const struct tmpl_value *final)
{
    struct buf b = {0};

    if (n <= 1 && !final)
        return 0;
    tmpl_node_text(args[0], &b);
    tmpl_fail_at(r, args[0], "can't give argument to non-function %.*s", (int)MIN(b.n, (size_t)200), b.n ? b.p : "");
    buf_release(&b);
    return ERR_EXEC;
}

int tmpl_eval_arg(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *n, struct tmpl_value *out)
{
    int code;

    switch (n->kind) {
    case TMPL_DOT:
        *out = *dot;
        return 0;
    case TMPL_NIL:
        *out = (struct tmpl_value){0};
        return 0;
    case TMPL_BOOL:
    case TMPL_STRING:
    case TMPL_NUMBER:
        *out = n->value;
        return n->is_complex ? tmpl_fail_at(r, n, "complex numbers are not known here") : 0;
    case TMPL_FIELD:
        return tmpl_eval_fields(r, dot, *dot, n, NULL, 0, NULL, out);
    case TMPL_VARIABLE:
        if (n->slots[0] == UINT32_MAX)
            return tmpl_fail_at(r, n, "undefined variable: %.*s", STR_ARG(n->text));
        if (n->nnames)
            return tmpl_eval_fields(r, dot, r->slots[n->slots[0]], n, NULL, 0, NULL, out);
        *out = r->slots[n->slots[0]];
        return 0;
    case TMPL_PIPE:
        return tmpl_eval(r, dot, n, out);
    case TMPL_IDENT:
        return tmpl_call(r, dot, n, NULL, 0, NULL, out);
    case TMPL_CHAIN:
        if (n->list[0]->kind == TMPL_NIL)
            return tmpl_fail_at(r, n, "nil is not a command");
        if (tmpl_enter_level(r) < 0)
            return ERR_EXEC;
        code = tmpl_eval_arg(r, dot, n->list[0], out);
        r->depth--;
        return code < 0 ? code : tmpl_eval_fields(r, dot, *out, n, NULL, 0, NULL, out);
    default:
        return tmpl_fail_at(r, n, "can't handle this as an argument");
    }
}

static const char *letter_name(char c)
{
    return c == 's' ? "string" : c == 'i' ? "int" : c == 'f' ? "float64" : c == 'b' ? "bool" : c == 't' ? "time.Time" : "list";
}

/* Makes *v what the letter of a signature asks for. n: the node that it came from. */
static int convert(struct tmpl_run *r, const struct tmpl_node *n, char letter, struct tmpl_value *v)
{
    enum tmpl_type want = letter == 's'   ? TMPL_T_STRING
                          : letter == 'i' ? TMPL_T_INT
                          : letter == 'f' ? TMPL_T_FLOAT
                          : letter == 'b' ? TMPL_T_BOOL
                                          : TMPL_T_TIME;
    bool constant = n->kind == TMPL_NUMBER || n->kind == TMPL_STRING || n->kind == TMPL_BOOL;

    if (letter == 'a')
        return 0;
    if (v->type == TMPL_T_OBJECT)
        *v = tmpl_plain(r, *v);
    if (v->type == want)
        return 0;
    if (constant && n->kind == TMPL_NUMBER) {
        if (want == TMPL_T_FLOAT) {
            *v = tmpl_float((double)v->i);
            return 0;
        }
        if (want == TMPL_T_INT && v->f >= -9e18 && v->f <= 9e18 && v->f == (double)(int64_t)v->f) {
            *v = tmpl_int((int64_t)v->f);
            return 0;
        }
    }
    if (constant)
        return tmpl_fail_at(r, n, "%s%s; found %.*s%.*s%s", "expected ", letter == 'i' ? "integer" : letter == 'f' ? "float" : letter_name(letter),
                            n->kind == TMPL_STRING ? 1 : 0, "\"", (int)MIN(n->text.n, (size_t)200), n->text.p, n->kind == TMPL_STRING ? "\"" : "");
    if (v->type == TMPL_T_NIL)
        return tmpl_fail_at(r, n, n->kind == TMPL_NIL ? "cannot assign nil to %s" : "invalid value; expected %s", letter_name(letter));
    return tmpl_fail_at(r, n, "wrong type for value; expected %s; got %s", letter_name(letter), tmpl_type_name(v));
}

/* --- calls ---------------------------------------------------------------------------------------------- */

/* Whether sig takes n arguments; *want: how many it takes, at least where more is set. */
static bool takes(const char *sig, uint32_t n, uint32_t *want, bool *more)
{
    size_t len = strlen(sig);

    *more = len && sig[len - 1] == '*';
    *want = (uint32_t)(*more ? len - 2 : len);
    return *more ? n >= *want : n == *want;
}

static char letter_of(const char *sig, uint32_t i, uint32_t want, bool more)
{
    return more && i >= want ? sig[want] : sig[i];
}

/* and, or: as far as needed. */
static int call_lazy(struct tmpl_run *r, const struct tmpl_value *dot, bool is_or, struct tmpl_node *const *args, uint32_t n,
                     const struct tmpl_value *final, struct tmpl_value *out)
{
    for (uint32_t i = 1; i < n; i++) {
        if (tmpl_eval_arg(r, dot, args[i], out) < 0)
            return ERR_EXEC;
        if (tmpl_truth(r, *out) == is_or)
            return 0;
    }
    if (final)
        *out = *final;
    return 0;
}

static int call_with(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *node, struct tmpl_node *const *args,
                     uint32_t n, const struct tmpl_value *final, uint32_t want, bool more, struct tmpl_value *v, struct tmpl_value *out)
{
    const struct tmpl_func *f = node->fn;
    uint32_t nargs = 0;

    for (uint32_t i = 1; i < n; i++, nargs++) {
        v[nargs] = (struct tmpl_value){0};
        if (tmpl_eval_arg(r, dot, args[i], &v[nargs]) < 0 || convert(r, args[i], letter_of(f->sig, nargs, want, more), &v[nargs]) < 0)
            return ERR_EXEC;
    }
    if (final) {
        v[nargs] = *final;
        if (convert(r, n ? args[0] : node, letter_of(f->sig, nargs, want, more), &v[nargs]) < 0)
            return ERR_EXEC;
        nargs++;
    }
    *out = (struct tmpl_value){0};
    r->e->text[0] = 0;
    if (f->fn(r, v, nargs, out) < 0) {
        char words[sizeof r->e->text];

        memcpy(words, r->e->text, sizeof words);
        return tmpl_fail_at(r, node, "error calling %s: %s", f->name, words);
    }
    return 0;
}

int tmpl_call(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *node, struct tmpl_node *const *args,
              uint32_t n, const struct tmpl_value *final, struct tmpl_value *out)
{
    struct tmpl_value here[ARGS_HERE], *v = here;
    uint32_t want, given = (n ? n - 1 : 0) + (final != NULL);
    const struct tmpl_func *f = node->fn;
    bool more;

    if (tmpl_steps(r, 1) < 0)
        return ERR_EXEC;
    if (!takes(f->sig, given, &want, &more))
        return tmpl_fail_at(r, node, "wrong number of args for %s: want %s%u got %u", f->name, more ? "at least " : "", want, given);
    if (f == &tmpl_and || f == &tmpl_or)
        return call_lazy(r, dot, f == &tmpl_or, args, n, final, out);
    if (!f->fn)
        return tmpl_fail_at(r, node, "function \"%s\" cannot be called here", f->name);
    if (given > ARGS_HERE && !(v = tmpl_alloc(r, given * sizeof *v)))
        return ERR_EXEC;
    return call_with(r, dot, node, args, n, final, want, more, v, out);
}

/* --- fields and methods --------------------------------------------------------------------------------- */

static int eval_args(struct tmpl_run *r, const struct tmpl_value *dot, struct tmpl_node *const *args, uint32_t n,
                     const struct tmpl_value *final, struct tmpl_value *here, struct tmpl_value **out, uint32_t *nout)
{
    uint32_t nargs = n ? n - 1 : 0;

    *out = here;
    if (nargs + 1 > ARGS_HERE && !(*out = tmpl_alloc(r, (nargs + 1) * sizeof **out)))
        return ERR_EXEC;
    for (uint32_t i = 0; i < nargs; i++)
        if (tmpl_eval_arg(r, dot, args[i + 1], &(*out)[i]) < 0)
            return ERR_EXEC;
    if (final)
        (*out)[nargs++] = *final;
    *nout = nargs;
    return 0;
}

static int eval_method(struct tmpl_run *r, const struct tmpl_value *self, const struct tmpl_node *node, struct str name,
                       const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    char words[sizeof r->e->text];
    int code = 1;

    r->e->text[0] = 0;
    if (self->type == TMPL_T_TIME || self->type == TMPL_T_DURATION)
        code = tmpl_time_method(r, self, name, args, n, out);
    else if (self->type == TMPL_T_OBJECT && self->o.class->method)
        code = self->o.class->method(r, self->o.self, name, args, n, out);
    if (code >= 0)
        return code;
    memcpy(words, r->e->text, sizeof words);
    return tmpl_fail_at(r, node, "error calling %.*s: %s", STR_ARG(name), words);
}

/* One name behind a value. *out may be *from. */
static int eval_field(struct tmpl_run *r, struct tmpl_value from, const struct tmpl_node *node, struct str name, uint32_t id,
                      const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    const struct tmpl_value *found;
    int code;

    *out = (struct tmpl_value){0};
    if (from.type == TMPL_T_NIL)
        return 0;
    if (from.type == TMPL_T_OBJECT && !from.o.class->method) {
        if (n == 0 && from.o.class->field && from.o.class->field(r, from.o.self, name, id, out))
            return 0;
    } else if (from.type == TMPL_T_OBJECT || from.type == TMPL_T_TIME || from.type == TMPL_T_DURATION) {
        code = eval_method(r, &from, node, name, args, n, out);
        if (code <= 0)
            return code;
        if (from.type == TMPL_T_OBJECT && n == 0 && from.o.class->field && from.o.class->field(r, from.o.self, name, id, out))
            return 0;
    }
    if (from.type == TMPL_T_OBJECT && from.o.class->plain)
        from = tmpl_plain(r, from);
    if (from.type == TMPL_T_MAP) {
        if (n)
            return tmpl_fail_at(r, node, "%.*s is not a method but has arguments", STR_ARG(name));
        found = tmpl_map_get(from.map, name);
        if (found)
            *out = *found;
        return 0;
    }
    return tmpl_fail_at(r, node, "can't evaluate field %.*s in type %s", STR_ARG(name), tmpl_type_name(&from));
}

int tmpl_eval_fields(struct tmpl_run *r, const struct tmpl_value *dot, struct tmpl_value from, const struct tmpl_node *node,
                     struct tmpl_node *const *args, uint32_t n, const struct tmpl_value *final, struct tmpl_value *out)
{
    struct tmpl_value here[ARGS_HERE], *v = here;
    uint32_t nargs = 0, id = node->kind == TMPL_CHAIN ? UINT32_MAX : node->field_id;

    if ((n > 1 || final) && eval_args(r, dot, args, n, final, here, &v, &nargs) < 0)
        return ERR_EXEC;
    for (uint32_t i = 0; i < node->nnames; i++) {
        bool last = i + 1 == node->nnames;

        if (eval_field(r, from, node, node->names[i], i == 0 ? id : UINT32_MAX, last ? v : NULL, last ? nargs : 0, out) < 0)
            return ERR_EXEC;
        from = *out;
    }
    return 0;
}

/* --- commands ------------------------------------------------------------------------------------------- */

static int eval_command(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *cmd,
                        const struct tmpl_value *final, struct tmpl_value *out)
{
    const struct tmpl_node *n = cmd->list[0];
    struct tmpl_value from;

    switch (n->kind) {
    case TMPL_FIELD:
        return tmpl_eval_fields(r, dot, *dot, n, cmd->list, cmd->n, final, out);
    case TMPL_IDENT:
        return tmpl_call(r, dot, n, cmd->list, cmd->n, final, out);
    case TMPL_CHAIN:
        if (n->list[0]->kind == TMPL_NIL)
            return tmpl_fail_at(r, n, "nil is not a command");
        if (tmpl_eval_arg(r, dot, n->list[0], &from) < 0)
            return ERR_EXEC;
        return tmpl_eval_fields(r, dot, from, n, cmd->list, cmd->n, final, out);
    case TMPL_VARIABLE:
        if (n->nnames && n->slots[0] != UINT32_MAX)
            return tmpl_eval_fields(r, dot, r->slots[n->slots[0]], n, cmd->list, cmd->n, final, out);
        break;
    case TMPL_NIL:
        return tmpl_fail_at(r, n, "nil is not a command");
    default:
        break;
    }
    if (not_a_function(r, cmd->list, cmd->n, final) < 0)
        return ERR_EXEC;
    return tmpl_eval_arg(r, dot, n, out);
}

int tmpl_eval(struct tmpl_run *r, const struct tmpl_value *dot, const struct tmpl_node *pipe, struct tmpl_value *out)
{
    struct tmpl_value before;
    int code = 0;

    if (tmpl_steps(r, 1) < 0 || tmpl_enter_level(r) < 0)
        return ERR_EXEC;
    for (uint32_t i = 0; i < pipe->n && code == 0; i++) {
        if (i)
            before = *out;
        *out = (struct tmpl_value){0};
        code = eval_command(r, dot, pipe->list[i], i ? &before : NULL, out);
    }
    r->depth--;
    if (code < 0)
        return code;
    for (uint32_t i = 0; i < pipe->nnames && pipe->slots; i++) {
        if (pipe->slots[i] == UINT32_MAX)
            return tmpl_fail_at(r, pipe, "undefined variable: %.*s", STR_ARG(pipe->names[i]));
        r->slots[pipe->slots[i]] = *out;
    }
    return 0;
}
