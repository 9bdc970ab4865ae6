/* builtin.c - the functions of Go's text/template: comparisons, index and slice, printing, escaping. */
#include "base/template/builtin.h"

#include <math.h>

static int fail(struct tmpl_run *r, const char *words)
{
    return err_set(r->e, ERR_EXEC, "%s", words);
}

/* Copies what was printed into the run's memory. */
static int give(struct tmpl_run *r, struct buf *b, int code, struct tmpl_value *out)
{
    char *p = code < 0 ? NULL : tmpl_alloc(r, b->n);

    if (p && b->n)
        memcpy(p, b->p, b->n);
    *out = tmpl_str(str_n(p, p ? b->n : 0));
    buf_release(b);
    return p ? 0 : ERR_EXEC;
}

/* --- comparisons ---------------------------------------------------------------------------------------- */

/* Numbers compare with numbers of their sort only, as in Go. */
static int comparable(struct tmpl_run *r, struct tmpl_value *a, struct tmpl_value *b)
{
    *a = tmpl_plain(r, *a);
    *b = tmpl_plain(r, *b);
    if (a->type == TMPL_T_DURATION)
        a->type = TMPL_T_INT;
    if (b->type == TMPL_T_DURATION)
        b->type = TMPL_T_INT;
    if (a->type == TMPL_T_LIST || a->type == TMPL_T_MAP || b->type == TMPL_T_LIST || b->type == TMPL_T_MAP)
        return err_set(r->e, ERR_EXEC, "non-comparable type %s", tmpl_type_name(a->type == TMPL_T_LIST || a->type == TMPL_T_MAP ? a : b));
    if (a->type != b->type && a->type != TMPL_T_NIL && b->type != TMPL_T_NIL)
        return fail(r, "incompatible types for comparison");
    return 0;
}

static bool equal(const struct tmpl_value *a, const struct tmpl_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case TMPL_T_NIL:
        return true;
    case TMPL_T_BOOL:
        return a->b == b->b;
    case TMPL_T_INT:
        return a->i == b->i;
    case TMPL_T_FLOAT:
        return a->f == b->f;
    case TMPL_T_STRING:
        return str_eq(a->s, b->s);
    case TMPL_T_TIME:
        return a->t.sec == b->t.sec && a->t.ns == b->t.ns;
    default:
        return a->o.self == b->o.self;
    }
}

static int fn_eq(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    *out = tmpl_bool(false);
    if (n < 2)
        return fail(r, "missing argument for comparison");
    for (uint32_t i = 1; i < n; i++) {
        struct tmpl_value a = args[0], b = args[i];

        if (comparable(r, &a, &b) < 0)
            return ERR_EXEC;
        if (equal(&a, &b)) {
            *out = tmpl_bool(true);
            break;
        }
    }
    return 0;
}

static int fn_ne(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    if (fn_eq(r, args, n, out) < 0)
        return ERR_EXEC;
    out->b = !out->b;
    return 0;
}

/* *less and *same of two; NaN is neither. */
static int order(struct tmpl_run *r, const struct tmpl_value *args, bool *less, bool *same)
{
    struct tmpl_value a = args[0], b = args[1];

    if (comparable(r, &a, &b) < 0)
        return ERR_EXEC;
    if (a.type != b.type)
        return fail(r, "incompatible types for comparison");
    *less = *same = false;
    switch (a.type) {
    case TMPL_T_INT:
        *less = a.i < b.i;
        *same = a.i == b.i;
        return 0;
    case TMPL_T_FLOAT:
        *less = a.f < b.f;
        *same = a.f == b.f;
        return 0;
    case TMPL_T_STRING:
        *less = str_cmp(a.s, b.s) < 0;
        *same = str_eq(a.s, b.s);
        return 0;
    default:
        return fail(r, "invalid type for comparison");
    }
}

static int fn_lt(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    bool less, same;

    (void)n;
    if (order(r, args, &less, &same) < 0)
        return ERR_EXEC;
    *out = tmpl_bool(less);
    return 0;
}

static int fn_le(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    bool less, same;

    (void)n;
    if (order(r, args, &less, &same) < 0)
        return ERR_EXEC;
    *out = tmpl_bool(less || same);
    return 0;
}

static int fn_gt(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    if (fn_le(r, args, n, out) < 0)
        return ERR_EXEC;
    out->b = !out->b;
    return 0;
}

static int fn_ge(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    if (fn_lt(r, args, n, out) < 0)
        return ERR_EXEC;
    out->b = !out->b;
    return 0;
}

static int fn_not(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    (void)n;
    *out = tmpl_bool(!tmpl_truth(r, args[0]));
    return 0;
}

/* --- parts ---------------------------------------------------------------------------------------------- */

static int fn_len(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    struct tmpl_value v = tmpl_plain(r, args[0]);

    (void)n;
    switch (v.type) {
    case TMPL_T_STRING:
        *out = tmpl_int((int64_t)v.s.n);
        return 0;
    case TMPL_T_LIST:
        *out = tmpl_int(v.list.n);
        return 0;
    case TMPL_T_MAP:
        *out = tmpl_int(v.map.n);
        return 0;
    case TMPL_T_NIL:
        return fail(r, "len of nil pointer");
    default:
        return err_set(r->e, ERR_EXEC, "len of type %s", tmpl_type_name(&v));
    }
}

/* An index into something of `count` parts; a bound may be count itself. */
static int read_index(struct tmpl_run *r, const struct tmpl_value *v, uint64_t count, bool bound, uint64_t *out)
{
    if (v->type == TMPL_T_NIL)
        return fail(r, "cannot index slice/array with nil");
    if (v->type != TMPL_T_INT)
        return err_set(r->e, ERR_EXEC, "cannot index slice/array with type %s", tmpl_type_name(v));
    if (v->i < 0 || (uint64_t)v->i > count || (!bound && (uint64_t)v->i == count))
        return err_set(r->e, ERR_EXEC, "index out of range: %lld", (long long)v->i);
    *out = (uint64_t)v->i;
    return 0;
}

static int fn_index(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    struct tmpl_value v = tmpl_plain(r, args[0]);
    const struct tmpl_value *found;
    uint64_t at = 0;

    if (v.type == TMPL_T_NIL)
        return fail(r, "index of untyped nil");
    for (uint32_t i = 1; i < n; i++) {
        if (i > 1)
            v = tmpl_plain(r, v);
        if (v.type == TMPL_T_LIST || v.type == TMPL_T_STRING) {
            if (read_index(r, &args[i], v.type == TMPL_T_LIST ? v.list.n : v.s.n, false, &at) < 0)
                return ERR_EXEC;
            v = v.type == TMPL_T_LIST ? v.list.v[at] : tmpl_int((unsigned char)v.s.p[at]);
        } else if (v.type == TMPL_T_MAP) {
            if (args[i].type != TMPL_T_STRING)
                return err_set(r->e, ERR_EXEC, "value has type %s; should be string", tmpl_type_name(&args[i]));
            found = tmpl_map_get(v.map, args[i].s);
            v = found ? *found : (struct tmpl_value){0};
        } else if (v.type == TMPL_T_NIL) {
            return fail(r, "index of nil pointer");
        } else {
            return err_set(r->e, ERR_EXEC, "can't index item of type %s", tmpl_type_name(&v));
        }
    }
    *out = v;
    return 0;
}

static int fn_slice(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    struct tmpl_value v = tmpl_plain(r, args[0]);
    uint64_t count = v.type == TMPL_T_LIST ? v.list.n : v.s.n, at[3] = {0, count, count};

    if (v.type == TMPL_T_NIL)
        return fail(r, "slice of untyped nil");
    if (n > 4)
        return err_set(r->e, ERR_EXEC, "too many slice indexes: %u", n - 1);
    if (v.type != TMPL_T_LIST && v.type != TMPL_T_STRING)
        return err_set(r->e, ERR_EXEC, "can't slice item of type %s", tmpl_type_name(&v));
    if (v.type == TMPL_T_STRING && n == 4)
        return fail(r, "cannot 3-index slice a string");
    for (uint32_t i = 1; i < n; i++)
        if (read_index(r, &args[i], count, true, &at[i - 1]) < 0)
            return ERR_EXEC;
    if (at[0] > at[1])
        return err_set(r->e, ERR_EXEC, "invalid slice index: %llu > %llu", (unsigned long long)at[0], (unsigned long long)at[1]);
    if (at[1] > at[2])
        return err_set(r->e, ERR_EXEC, "invalid slice index: %llu > %llu", (unsigned long long)at[1], (unsigned long long)at[2]);
    *out = v;
    if (v.type == TMPL_T_STRING)
        out->s = str_n(v.s.p + at[0], at[1] - at[0]);
    else
        out->list = (struct tmpl_list){v.list.v + at[0], (uint32_t)(at[1] - at[0])};
    return 0;
}

static int fn_call(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    (void)n;
    (void)out;
    if (args[0].type == TMPL_T_NIL)
        return fail(r, "call of nil");
    return err_set(r->e, ERR_EXEC, "non-function of type %s", tmpl_type_name(&args[0]));
}

/* --- text ----------------------------------------------------------------------------------------------- */

static int fn_print(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    struct buf b = {0};

    return give(r, &b, tmpl_sprint(r, &b, args, n, false), out);
}

static int fn_println(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    struct buf b = {0};
    int code = 0;

    for (uint32_t i = 0; i < n && code == 0; i++) {
        if (i)
            buf_putc(&b, ' ');
        code = tmpl_print(r, &b, args[i]);
    }
    buf_putc(&b, '\n');
    return give(r, &b, code, out);
}

static int fn_printf(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    struct buf b = {0};

    return give(r, &b, tmpl_printf(r, &b, args[0].s, args + 1, n - 1), out);
}

static void put_html(struct buf *out, unsigned char c)
{
    if (c == 0)
        buf_putz(out, "\xef\xbf\xbd");
    else if (c == '"' || c == '\'' || c == '&' || c == '<' || c == '>')
        buf_putz(out, c == '"' ? "&#34;" : c == '\'' ? "&#39;" : c == '&' ? "&amp;" : c == '<' ? "&lt;" : "&gt;");
    else
        buf_putc(out, (char)c);
}

static void put_js(struct buf *out, unsigned char c)
{
    if (c == '\\' || c == '\'' || c == '"')
        buf_put(out, (char[]){'\\', (char)c}, 2);
    else if (c < ' ' || c == '<' || c == '>' || c == '&' || c == '=')
        buf_printf(out, "\\u%04X", c);
    else
        buf_putc(out, (char)c);
}

static void put_query(struct buf *out, unsigned char c)
{
    bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_' || c == '.' || c == '~';

    if (c == ' ')
        buf_putc(out, '+');
    else if (plain)
        buf_putc(out, (char)c);
    else
        buf_printf(out, "%%%02X", c);
}

/* The arguments printed, each byte of that written by put. */
static int escaped(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, void (*put)(struct buf *, unsigned char),
                   struct tmpl_value *out)
{
    struct buf b = {0}, plain = {0};
    int code = tmpl_sprint(r, &plain, args, n, false);

    if (code == 0)
        code = tmpl_steps(r, plain.n);
    for (size_t i = 0; i < plain.n && code == 0; i++)
        put(&b, (unsigned char)plain.p[i]);
    buf_release(&plain);
    return give(r, &b, code, out);
}

static int fn_html(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    return escaped(r, args, n, put_html, out);
}

static int fn_js(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    return escaped(r, args, n, put_js, out);
}

static int fn_urlquery(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)
{
    return escaped(r, args, n, put_query, out);
}

/* --- the table ------------------------------------------------------------------------------------------ */

const struct tmpl_func tmpl_and = {"and", "aa*", NULL};
const struct tmpl_func tmpl_or = {"or", "aa*", NULL};

static const struct tmpl_func functions[] = {
    {"call", "aa*", fn_call},     {"eq", "aa*", fn_eq},       {"ge", "aa", fn_ge},       {"gt", "aa", fn_gt},
    {"html", "a*", fn_html},      {"index", "aa*", fn_index}, {"js", "a*", fn_js},       {"le", "aa", fn_le},
    {"len", "a", fn_len},         {"lt", "aa", fn_lt},        {"ne", "aa", fn_ne},       {"not", "a", fn_not},
    {"print", "a*", fn_print},    {"printf", "sa*", fn_printf}, {"println", "a*", fn_println}, {"slice", "aa*", fn_slice},
    {"urlquery", "a*", fn_urlquery},
};

const struct tmpl_func *tmpl_builtin(struct str name)
{
    if (str_eqz(name, "and"))
        return &tmpl_and;
    if (str_eqz(name, "or"))
        return &tmpl_or;
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (str_eqz(name, functions[i].name))
            return &functions[i];
    return NULL;
}
