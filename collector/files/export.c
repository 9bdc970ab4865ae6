/*
 * export.c - the export format. Any bytes may come: what makes no sense is left out, and memory stays bounded.
 *
 * (1) A record keeps at most JOURNAL_FIELDS_MAX fields of JOURNAL_VALUE_MAX bytes; the rest is read and forgotten.
 */
#include "collector/files/journald.h"

#include <stdlib.h>

enum { IN_NAME, IN_TEXT, IN_LENGTH, IN_BYTES, IN_END /* the \n behind bytes */ };

void export_release(struct export_reader *r)
{
    buf_release(&r->text);
    free(r->fields);
    *r = (struct export_reader){0};
}

static void begin_record(struct export_reader *r)
{
    r->text.n = 0;
    r->nfields = 0;
    r->cut = false;
}

void export_reset(struct export_reader *r)
{
    begin_record(r);
    r->state = IN_NAME;
    r->left = 0;
    if (!r->fields)
        r->fields = x_alloc(sizeof(*r->fields) * JOURNAL_FIELDS_MAX);
    r->fields[0] = (struct journal_field){0};
}

static struct journal_field *current(struct export_reader *r)
{
    return &r->fields[MIN(r->nfields, (uint32_t)JOURNAL_FIELDS_MAX - 1)]; /* the last one is read over and over, (1) */
}

static void begin_field(struct export_reader *r)
{
    *current(r) = (struct journal_field){.name_at = r->text.n};
    r->state = IN_NAME;
}

static void end_field(struct export_reader *r)
{
    if (r->nfields + 1 < JOURNAL_FIELDS_MAX) {
        r->nfields++;
    } else {
        r->text.n = current(r)->name_at;
        r->cut = true;
    }
    begin_field(r);
}

static void add_bytes(struct export_reader *r, struct str more)
{
    struct journal_field *f = current(r);
    size_t room = JOURNAL_VALUE_MAX - MIN(f->value_n, (size_t)JOURNAL_VALUE_MAX);

    r->cut |= more.n > room;
    more = str_head(more, room);
    buf_puts(&r->text, more);
    f->value_n += more.n;
}

/* In a name: up to '=' (a text follows) or \n (a length follows, or the record ends). True: the record is complete. */
static bool take_name(struct export_reader *r, struct str *in)
{
    size_t n = 0;
    struct journal_field *f = current(r);

    while (n < in->n && in->p[n] != '=' && in->p[n] != '\n')
        n++;
    if (f->name_n + n <= 4096) {
        buf_put(&r->text, in->p, n);
        f->name_n += n;
    }
    *in = str_from(*in, n);
    if (!in->n)
        return false;
    r->state = in->p[0] == '=' ? IN_TEXT : IN_LENGTH;
    *in = str_from(*in, 1);
    f->value_at = r->text.n;
    r->nlength = 0;
    if (r->state == IN_LENGTH && f->name_n == 0) {
        r->state = IN_NAME;
        return r->nfields > 0;
    }
    return false;
}

static void take_value(struct export_reader *r, struct str *in)
{
    ptrdiff_t nl;
    size_t n;

    switch (r->state) {
    case IN_TEXT:
        nl = str_chr(*in, '\n');
        add_bytes(r, str_head(*in, nl < 0 ? in->n : (size_t)nl));
        *in = str_from(*in, nl < 0 ? in->n : (size_t)nl + 1);
        if (nl >= 0)
            end_field(r);
        break;
    case IN_LENGTH:
        while (r->nlength < 8 && in->n) {
            r->length[r->nlength++] = in->p[0];
            *in = str_from(*in, 1);
        }
        if (r->nlength == 8) {
            r->left = get_u64le(r->length);
            r->state = r->left ? IN_BYTES : IN_END;
        }
        break;
    case IN_BYTES:
        n = (size_t)MIN(r->left, (uint64_t)in->n);
        add_bytes(r, str_head(*in, n));
        *in = str_from(*in, n);
        r->left -= n;
        if (!r->left)
            r->state = IN_END;
        break;
    default:
        *in = str_from(*in, 1);
        end_field(r);
        break;
    }
}

bool export_take(struct export_reader *r, struct str *in)
{
    if (!r->fields)
        export_reset(r);
    if (r->state == IN_NAME && r->left == UINT64_MAX) { /* the record before was given out */
        begin_record(r);
        begin_field(r);
        r->left = 0;
    }
    while (in->n) {
        if (r->state != IN_NAME) {
            take_value(r, in);
        } else if (take_name(r, in)) {
            r->left = UINT64_MAX;
            return true;
        }
    }
    return false;
}

struct str export_name(const struct export_reader *r, uint32_t i)
{
    return str_n(r->text.p + r->fields[i].name_at, r->fields[i].name_n);
}

struct str export_value(const struct export_reader *r, uint32_t i)
{
    return str_n(r->text.p + r->fields[i].value_at, r->fields[i].value_n);
}

struct str export_get(const struct export_reader *r, const char *name)
{
    for (uint32_t i = 0; i < r->nfields; i++) {
        if (str_eqz(export_name(r, i), name))
            return export_value(r, i);
    }
    return STR_NULL;
}
