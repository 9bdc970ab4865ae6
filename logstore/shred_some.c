/*
 * shred_some.c - some lines of many: of columns that cost much to write out only the values of these lines are.
 *
 * (1) A template is `opened` only by shred_open_template: then all values of its columns may be looked at. Here only those of the
 *     rows asked for.
 */
#include "logstore/shred.h"

static const uint64_t all_of_it[1];

int shred_wants_init(struct shred_wants *w, struct column_in *in, struct shred *s)
{
    size_t bytes = (s->ncolumns + (size_t)1) * sizeof(uint64_t *);

    *w = (struct shred_wants){in, s, in_alloc(in, bytes)};
    if (!w->bits)
        return ERR_CORRUPT;
    memset(w->bits, 0, bytes);
    return 0;
}

int shred_wants_column(struct shred_wants *w, uint32_t c)
{
    const struct text *t = w->s->columns[c];
    size_t bytes = (t->n / 64 + (size_t)1) * sizeof(uint64_t);

    if (w->bits[c] || t->ready)
        return 0;
    if (!text_is_costly(t)) {
        w->bits[c] = (uint64_t *)all_of_it;
        return 0;
    }
    w->bits[c] = in_alloc(w->in, bytes);
    if (!w->bits[c])
        return ERR_CORRUPT;
    memset(w->bits[c], 0, bytes);
    return 0;
}

int shred_wants_read(struct shred_wants *w, const int64_t *ref)
{
    for (uint32_t c = 0; c < w->s->ncolumns; c++) {
        struct text *t = w->s->columns[c];
        const int64_t *of_column = NULL;

        if (!w->bits[c])
            continue;
        if (w->bits[c] == all_of_it) {
            if (shred_column(w->in, w->s, c, ref) < 0)
                return ERR_CORRUPT;
            continue;
        }
        if (t->needs_ref && !t->ref && (!ref || !(of_column = shred_column_ref(w->in, w->s, c, ref))))
            return ERR_CORRUPT;
        if (text_read_some(w->in, t, of_column, w->bits[c]) < 0)
            return ERR_CORRUPT;
    }
    return 0;
}

static bool is_put(const struct shred *s, uint32_t row)
{
    return s->cells[row] != UINT64_MAX;
}

static int want_row(struct shred_wants *w, uint32_t row)
{
    struct shred *s = w->s;
    struct shred_template *t = &s->templates[s->template_of[row]];

    if (t->opened || is_put(s, row))
        return 0;
    if (shred_fold_template(w->in, s, t) < 0)
        return ERR_CORRUPT;
    for (const struct shred_piece *p = t->pieces; p->slot; p++) {
        if (shred_wants_column(w, p->slot->column) < 0)
            return ERR_CORRUPT;
        shred_wants_value(w, p->slot->column, p->slot->base + s->rank_of[row]);
    }
    return 0;
}

int shred_put_lines(struct column_in *in, struct shred *s, const uint32_t *rows, uint32_t n, const int64_t *ref)
{
    struct shred_wants w;

    if (shred_rows(in, s) < 0 || shred_open_out(in, s) < 0 || shred_wants_init(&w, in, s) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < n; i++)
        if (want_row(&w, rows[i]) < 0)
            return ERR_CORRUPT;
    if (shred_wants_read(&w, ref) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < n; i++) {
        struct shred_template *t = &s->templates[s->template_of[rows[i]]];

        if (is_put(s, rows[i]))
            continue;
        if (!t->opened)
            shred_point_template(s, t);
        if (shred_put_line(s, t, rows[i]) < 0)
            return ERR_CORRUPT;
    }
    return 0;
}
