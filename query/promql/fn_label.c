/*
 * fn_label.c - label_replace and label_join.
 */
#include "query/promql/eval.h"

#include <stdlib.h>

enum { REPLACE_WORK = 10000, JOIN_WORK = 500 };

static bool valid_name(struct str s)
{
    return s.n && utf8_valid(s);
}

/* Sets the label of a row; a name that is set is no longer to be dropped. */
static void set_label(struct vec *v, struct row *r, struct str name, struct str value)
{
    r->labels = labels_with(&v->pile.a, &r->labels, name, value);
    if (str_eqz(name, LABEL_NAME))
        r->drop_name = false;
}

static int replace_rows(struct vec *v, struct str dst, struct str templ, struct str src, const struct regex *re,
                        struct err *e)
{
    unsigned ngroups = regex_ngroups(re);
    struct query_pace pace = {v->pile.q, "label_replace", 0};
    struct str *g = x_alloc((ngroups + 1) * sizeof *g);
    struct buf b = {0};
    int code = 0;

    for (uint32_t i = 0; i < v->n && code == 0; i++) {
        struct str value = labels_get(&v->rows[i].labels, src);

        code = query_pace(&pace, REPLACE_WORK + value.n * 16, e);
        if (code < 0)
            break;
        if (!value.p)
            value = STR("");
        if (!regex_groups(re, value, 0, g, ngroups))
            continue;
        buf_reset(&b);
        regex_expand(re, templ, g, ngroups, &b);
        set_label(v, &v->rows[i], dst, arena_dup(&v->pile.a, buf_str(&b)));
        code = pile_settle(&v->pile, "label_replace", e);
    }
    buf_release(&b);
    free(g);
    return code;
}

int fn_label_replace(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    struct str dst = eval_string(call->call.args[1]), templ = eval_string(call->call.args[2]),
               src = eval_string(call->call.args[3]), pattern = eval_string(call->call.args[4]);
    struct regex *re = NULL;
    struct err why;
    int code;

    if (regex_new(pattern, REGEX_ANCHORED, &re, &why) < 0 && query_check(ev->q, "label_replace", e) < 0)
        return e->code;
    if (!re)
        return err_set(e, ERR_EXEC, "invalid regular expression in label_replace(): %.*s", STR_ARG(pattern));
    if (!valid_name(dst)) {
        regex_free(re);
        return err_set(e, ERR_EXEC, "invalid destination label name in label_replace(): %.*s", STR_ARG(dst));
    }
    code = eval_vector(ev, call->call.args[0], g, out, e);
    if (code == 0)
        code = replace_rows(out, dst, templ, src, re, e);
    regex_free(re);
    return code < 0 ? code : vec_unify(out, e);
}

int fn_label_join(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    struct str dst = eval_string(call->call.args[1]), sep = eval_string(call->call.args[2]);
    struct query_pace pace = {ev->q, "label_join", 0};
    struct buf b = {0};
    int code = 0;

    if (!valid_name(dst))
        return err_set(e, ERR_EXEC, "invalid destination label name in label_join(): %.*s", STR_ARG(dst));
    for (uint32_t i = 3; i < call->call.nargs; i++) {
        struct str src = eval_string(call->call.args[i]);

        if (!valid_name(src))
            return err_set(e, ERR_EXEC, "invalid source label name in label_join(): %.*s", STR_ARG(src));
    }
    if (eval_vector(ev, call->call.args[0], g, out, e) < 0)
        return e->code;
    for (uint32_t i = 0; i < out->n && code == 0; i++) {
        struct row *r = &out->rows[i];

        buf_reset(&b);
        for (uint32_t k = 3; k < call->call.nargs; k++) {
            if (k > 3)
                buf_puts(&b, sep);
            buf_puts(&b, labels_get(&r->labels, eval_string(call->call.args[k])));
        }
        set_label(out, r, dst, arena_dup(&out->pile.a, buf_str(&b)));
        code = pile_settle(&out->pile, "label_join", e);
        if (code == 0)
            code = query_pace(&pace, JOIN_WORK + b.n, e);
    }
    buf_release(&b);
    return code < 0 ? code : vec_unify(out, e);
}
