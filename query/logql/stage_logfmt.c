/*
 * stage_logfmt.c - logfmt, with and without parameters, and labels out of the row's columns.
 *
 * (1) What is no pair is skipped up to the next blank; with --strict it is an error and the end.
 */
#include "query/logql/json_scan.h"
#include "query/logql/logfmt_scan.h"
#include "query/logql/stage.h"

static const char logfmt_error[] = "LogfmtParserErr";

static void fail_syntax(struct runner *r, const struct logfmt_scan *x)
{
    struct buf b = {0};

    buf_printf(&b, "logfmt syntax error at pos %zu : %s", x->fault_at, x->fault);
    if (x->fault_byte)
        buf_printf(&b, " '%c'", x->fault_byte);
    runner_fail(r, logfmt_error, buf_str(&b));
    buf_release(&b);
}

/* The next pair, its value as it is meant. What logfmt_next returns. */
static int next_pair(struct runner *r, struct logfmt_scan *x)
{
    int code = logfmt_next(x);
    char *copy;
    size_t n;

    if (code != 0 || !x->escaped)
        return code;
    copy = arena_alloc(&r->a, x->value.n);
    n = logfmt_unescape(x->value, copy);
    if (n == SIZE_MAX) {
        x->fault = "invalid quoted value";
        x->fault_byte = 0;
        x->fault_at = (size_t)(x->p - x->start) + 1;
        return -1;
    }
    x->value = str_n(copy, n);
    return 0;
}

static struct logfmt_scan begin(struct runner *r)
{
    if (!r->ascii_known) {
        r->ascii = lq_is_ascii(r->line);
        r->ascii_known = true;
    }
    return (struct logfmt_scan){.p = r->line.p, .start = r->line.p, .end = r->line.p + r->line.n};
}

bool stage_logfmt(struct runner *r, const struct stage *s)
{
    bool strict = s->ast->parser.strict, keep_empty = s->ast->parser.keep_empty;
    struct logfmt_scan x;
    uint32_t i = 0;
    int code;

    if (s->takes_fields && r->row->fields)
        return stage_take_fields(r, s);
    for (x = begin(r); (code = next_pair(r, &x)) <= 0; i++) {
        uint32_t node, name;
        enum put put;

        if (code < 0) {
            if (strict) {
                fail_syntax(r, &x);
                return true;
            }
            continue;
        }
        if (i >= LABELS_MAX) {
            runner_fail(r, logfmt_error, STR("more keys than the limit of labels"));
            return true;
        }
        node = key_node(r, &r->logfmt_keys, 0, x.key, false, i);
        name = r->logfmt_keys.v[node].name;
        if ((x.value.n == 0 && !keep_empty) || name == NAME_NONE || r->logfmt_keys.v[node].flat.n == 0)
            continue;
        put = lab_put(r, s, name, x.value);
        if (put == PUT_REJECT)
            return false;
        if (put == PUT_ENOUGH)
            return true;
        if (put == PUT_FULL) {
            runner_fail(r, logfmt_error, STR("more keys than the limit of labels"));
            return true;
        }
    }
    return true;
}

/* --- parameters ------------------------------------------------------------------------------------------------ */

/* The extract that asks for a key and has no label yet, from i on; nnames: none. */
static uint32_t asked(const struct stage *s, struct str key, uint32_t i)
{
    const struct logql_extract *x = s->ast->parser.extracts;

    while (i < s->nnames && !(x[i].npath && str_eq(x[i].path[0].key, key)))
        i++;
    return i;
}

bool stage_logfmt_keys(struct runner *r, const struct stage *s)
{
    bool strict = s->ast->parser.strict;
    struct logfmt_scan x;
    bool kept = true;
    int code;

    for (x = begin(r); kept && (code = next_pair(r, &x)) <= 0;) {
        struct str key = x.key;

        if (code < 0 && strict) {
            fail_syntax(r, &x);
            return true;
        }
        if (code < 0)
            continue;
        for (uint32_t i = asked(s, key, 0); kept && i < s->nnames; i = asked(s, key, i + 1))
            kept = lab_put(r, s, s->names[i], x.value) != PUT_REJECT;
    }
    for (uint32_t i = 0; kept && i < s->nnames; i++) {
        struct str value;

        if (!lab_read(r, s->names[i], &value))
            kept = lab_put(r, s, s->names[i], STR("")) != PUT_REJECT;
    }
    return kept;
}

/* --- columns --------------------------------------------------------------------------------------------------- */

/* The number of a field's name: nearly always that of the same place in the row before. */
static uint32_t field_name(struct runner *r, uint32_t i, struct str name)
{
    uint32_t number;

    if (i < r->nfield_names && str_eq(r->names[r->field_names[i]].text, name))
        return r->field_names[i];
    number = label_name_intern(r, name);
    if (i >= 4096)
        return number;
    if (i >= r->field_names_cap) {
        r->field_names_cap = r->field_names_cap ? r->field_names_cap * 2 : 64;
        r->field_names = x_realloc(r->field_names, r->field_names_cap * sizeof *r->field_names);
    }
    if (i >= r->nfield_names) /* no place is skipped: rows are walked from the first on */
        r->nfield_names = i + 1;
    r->field_names[i] = number;
    return number;
}

bool stage_take_fields(struct runner *r, const struct stage *s)
{
    bool logfmt = s->kind == LOGQL_LOGFMT;

    for (uint32_t i = 0; i < r->row->nfields; i++) {
        const struct log_field *f = &r->row->fields[i];
        uint32_t name = field_name(r, i, f->name);
        enum put put;

        if (logfmt && (f->value.n == 0 || f->name.n == 0))
            continue;
        put = lab_put(r, s, name, f->value);
        if (put == PUT_REJECT)
            return false;
        if (put != PUT_ON)
            break;
    }
    return true;
}
