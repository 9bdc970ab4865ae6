/*
 * shred_read.c - templates and values put together to lines. shred_write.c says how they are stored.
 *
 * (1) Lines are written into one buffer of as many bytes as the head says, each line once; what does not fit is ERR_CORRUPT. So
 *     values and literals are copied 16 bytes at a time, beyond their ends: COLUMN_SLACK bytes are there on all sides.
 * (2) Slots whose column holds one value for all become a part of the literal.
 */
#include "logstore/shred.h"

const char *shred_kind_name(enum shred_kind k)
{
    static const char *const names[SHRED_KINDS] = {"whole", "text", "json", "logfmt"};

    return k < SHRED_KINDS ? names[k] : "?";
}

/* --- parsing --------------------------------------------------------------------------------------------------- */

static int parse_template(struct column_in *in, struct shred *s, struct shred_template *t, uint64_t *literal_at)
{
    uint8_t kind;

    if (in_byte(in, &kind) < 0 || kind >= SHRED_KINDS || in_num32(in, s->n, &t->count) < 0 ||
        in_num32(in, SHRED_SLOTS_MAX * 64, &t->nslots) < 0 || t->nslots > (size_t)(in->end - in->at))
        return ERR_CORRUPT;
    t->kind = kind;
    t->slots = in_alloc(in, (t->nslots + (size_t)1) * sizeof *t->slots);
    if (!t->slots)
        return ERR_CORRUPT;
    for (uint32_t k = 0; k <= t->nslots; k++) {
        struct shred_slot *slot = &t->slots[k];

        *slot = (struct shred_slot){.literal_at = (uint32_t)*literal_at};
        if (in_num32(in, LOG_BLOCK_BYTES_MAX, &slot->literal_n) < 0)
            return ERR_CORRUPT;
        *literal_at += slot->literal_n;
        if (*literal_at > LOG_BLOCK_BYTES_MAX)
            return ERR_CORRUPT;
        if (k == t->nslots)
            break;
        if (in_num32(in, (uint64_t)s->ncolumns << 3 | 7, &slot->column) < 0)
            return ERR_CORRUPT;
        slot->sort = slot->column & 7;
        slot->column >>= 3;
        s->ncolumns += slot->column == s->ncolumns;
    }
    return 0;
}

/* How many values each column has, and where each template's begin. */
static int count_values(struct column_in *in, struct shred *s)
{
    s->columns = in_alloc(in, (s->ncolumns + (size_t)1) * sizeof *s->columns);
    s->column_n = in_alloc(in, (s->ncolumns + (size_t)1) * sizeof *s->column_n);
    s->uses = in_alloc(in, (s->ncolumns + (size_t)1) * sizeof *s->uses);
    if (!s->columns || !s->column_n || !s->uses)
        return ERR_CORRUPT;
    memset(s->uses, 0xff, (s->ncolumns + (size_t)1) * sizeof *s->uses);
    memset(s->column_n, 0, (s->ncolumns + (size_t)1) * sizeof *s->column_n);
    for (uint32_t i = 0; i < s->ntemplates; i++) {
        struct shred_template *t = &s->templates[i];

        for (uint32_t k = 0; k < t->nslots; k++) {
            uint32_t *n = &s->column_n[t->slots[k].column];

            struct shred_uses *u = &s->uses[t->slots[k].column];

            u->first = MIN(u->first, i);
            u->last = i;
            t->slots[k].base = *n;
            if (t->count > COLUMN_N_MAX - *n)
                return ERR_CORRUPT;
            *n += t->count;
        }
    }
    return 0;
}

int shred_parse(struct column_in *in, uint32_t n, unsigned depth, struct shred **out)
{
    struct shred *s = in_alloc(in, sizeof *s);
    uint64_t literal_at = 0, rows = 0;

    if (!s)
        return ERR_CORRUPT;
    *s = (struct shred){.n = n};
    *out = s;
    if (ints_parse(in, n, &s->row_templates) < 0 || in_num32(in, (uint64_t)(in->end - in->at), &s->ntemplates) < 0)
        return ERR_CORRUPT;
    s->templates = in_alloc(in, (s->ntemplates + (size_t)1) * sizeof *s->templates);
    if (!s->templates)
        return ERR_CORRUPT;
    memset(s->templates, 0, s->ntemplates * sizeof *s->templates);
    for (uint32_t i = 0; i < s->ntemplates; i++) {
        if (parse_template(in, s, &s->templates[i], &literal_at) < 0)
            return ERR_CORRUPT;
        rows += s->templates[i].count;
    }
    if (rows != n || in_run(in, POOL_TEXT, &s->literal_run) < 0 || s->literal_run.n != literal_at ||
        in_num(in, LOG_BLOCK_BYTES_MAX, &s->total) < 0 || count_values(in, s) < 0)
        return ERR_CORRUPT;
    for (uint32_t c = 0; c < s->ncolumns; c++) {
        if (text_parse(in, s->column_n[c], depth + 1, &s->columns[c]) < 0)
            return ERR_CORRUPT;
        s->needs_ref |= s->columns[c]->needs_ref;
    }
    return 0;
}

/* --- columns ----------------------------------------------------------------------------------------------------- */

int shred_rows(struct column_in *in, struct shred *s)
{
    if (s->template_of)
        return 0;
    int64_t *wide = in_alloc(in, (s->n + (size_t)1) * sizeof *wide);
    uint32_t *template_of = in_alloc(in, (s->n + (size_t)1) * sizeof *template_of);
    uint32_t *rank_of = in_alloc(in, (s->n + (size_t)1) * sizeof *rank_of);
    uint32_t *counts = in_alloc(in, (s->ntemplates + (size_t)1) * sizeof *counts);

    if (!wide || !template_of || !rank_of || !counts || ints_read(in, &s->row_templates, wide) < 0 ||
        run_bytes(in, &s->literal_run, &s->literals) < 0)
        return ERR_CORRUPT;
    memset(counts, 0, s->ntemplates * sizeof *counts);
    for (uint32_t i = 0; i < s->n; i++) {
        if ((uint64_t)wide[i] >= s->ntemplates)
            return ERR_CORRUPT;
        template_of[i] = (uint32_t)wide[i];
        rank_of[i] = counts[template_of[i]]++;
    }
    for (uint32_t t = 0; t < s->ntemplates; t++)
        if (counts[t] != s->templates[t].count)
            return ERR_CORRUPT;
    s->rank_of = rank_of;
    s->template_of = template_of;
    return 0;
}

int shred_sort_rows(struct column_in *in, struct shred *s)
{
    if (s->rows)
        return 0;
    if (shred_rows(in, s) < 0)
        return ERR_CORRUPT;
    uint32_t *rows = in_alloc(in, (s->n + (size_t)1) * sizeof *rows), at = 0;

    if (!rows)
        return ERR_CORRUPT;
    for (uint32_t t = 0; t < s->ntemplates; t++) {
        s->templates[t].first = at;
        at += s->templates[t].count;
    }
    for (uint32_t i = 0; i < s->n; i++)
        rows[s->templates[s->template_of[i]].first + s->rank_of[i]] = i;
    s->rows = rows;
    return 0;
}

int64_t *shred_column_ref(struct column_in *in, struct shred *s, uint32_t c, const int64_t *ref)
{
    int64_t *out = in_alloc(in, (s->column_n[c] + (size_t)1) * sizeof *out);

    if (!out || shred_sort_rows(in, s) < 0)
        return NULL;
    for (uint32_t i = s->uses[c].first; i <= s->uses[c].last && i < s->ntemplates; i++) {
        const struct shred_template *t = &s->templates[i];

        for (uint32_t k = 0; k < t->nslots; k++)
            for (uint32_t j = 0; t->slots[k].column == c && j < t->count; j++)
                out[t->slots[k].base + j] = ref[s->rows[t->first + j]];
    }
    return out;
}

int shred_column(struct column_in *in, struct shred *s, uint32_t c, const int64_t *ref)
{
    struct text *t = s->columns[c];
    int64_t *column = NULL;

    if (t->ready)
        return 0;
    if (t->needs_ref && (!ref || shred_rows(in, s) < 0 || !(column = shred_column_ref(in, s, c, ref))))
        return ERR_CORRUPT;
    return text_read(in, t, column);
}

/* Bytes of the constants among a template's slots. */
static size_t const_bytes(const struct shred *s, const struct shred_template *t)
{
    size_t n = 0;

    for (uint32_t k = 0; k <= t->nslots; k++) {
        n += t->slots[k].literal_n;
        if (k < t->nslots && s->columns[t->slots[k].column]->kind == TEXT_CONST)
            n += s->columns[t->slots[k].column]->run.n;
    }
    return n;
}

int shred_fold_template(struct column_in *in, struct shred *s, struct shred_template *t)
{
    if (t->pieces)
        return 0;
    struct shred_piece *pieces = in_alloc(in, (t->nslots + (size_t)1) * sizeof *pieces), *p = pieces;
    char *text = in_alloc(in, const_bytes(s, t));

    if (!pieces || !text)
        return ERR_CORRUPT;
    *p = (struct shred_piece){.literal = text};
    for (uint32_t k = 0; k <= t->nslots; k++) {
        const struct shred_slot *slot = &t->slots[k];
        const char *value;

        memcpy(text, s->literals + slot->literal_at, slot->literal_n);
        text += slot->literal_n;
        p->literal_n = (uint32_t)(text - p->literal);
        if (k == t->nslots)
            break;
        struct text *column = s->columns[slot->column];
        if (column->kind != TEXT_CONST) {
            p->slot = slot;
            *++p = (struct shred_piece){.literal = text};
            continue;
        }
        if (run_bytes(in, &column->run, &value) < 0)
            return ERR_CORRUPT;
        memcpy(text, value, column->run.n);
        text += column->run.n;
    }
    t->npieces = (uint32_t)(p - pieces) + 1;
    t->pieces = pieces;
    return 0;
}

int shred_open_template(struct column_in *in, struct shred *s, struct shred_template *t, const int64_t *ref)
{
    if (t->opened)
        return 0;
    if (shred_fold_template(in, s, t) < 0)
        return ERR_CORRUPT;
    for (const struct shred_piece *p = t->pieces; p->slot; p++)
        if (shred_column(in, s, p->slot->column, ref) < 0)
            return ERR_CORRUPT;
    shred_point_template(s, t);
    t->opened = true;
    return 0;
}

void shred_point_template(struct shred *s, struct shred_template *t)
{
    for (struct shred_piece *p = t->pieces; p->slot; p++) {
        const struct text *column = s->columns[p->slot->column];

        p->base = column->base;
        p->cells = column->cells + p->slot->base;
    }
}

/* --- lines --------------------------------------------------------------------------------------------------------- */

/* n bytes, and up to 31 more on both sides. */
static inline void copy_over(char *to, const char *from, size_t n)
{
    memcpy(to, from, 16);
    memcpy(to + 16, from + 16, 16);
    if (__builtin_expect(n > 32, 0))
        memcpy(to + 32, from + 32, n - 32);
}

int shred_open_out(struct column_in *in, struct shred *s)
{
    if (s->out)
        return 0;
    s->cells = in_alloc(in, (s->n + (size_t)1) * sizeof *s->cells);
    s->out = in_alloc(in, s->total);
    if (!s->cells || !s->out)
        return ERR_CORRUPT;
    memset(s->cells, 0xff, s->n * sizeof *s->cells); /* ~0: not yet */
    return 0;
}

/* Appends the line of one row. */
static inline int put_line(struct shred *s, const struct shred_template *t, uint32_t row)
{
    uint32_t rank = s->rank_of[row];
    size_t at = s->out_n, left = s->total - at;
    char *to = s->out + at;

    for (const struct shred_piece *p = t->pieces;; p++) {
        if (p->literal_n > left)
            return ERR_CORRUPT;
        copy_over(to, p->literal, p->literal_n);
        to += p->literal_n;
        left -= p->literal_n;
        if (!p->cells)
            break;
        uint64_t c = p->cells[rank];
        if (cell_n(c) > left)
            return ERR_CORRUPT;
        copy_over(to, p->base + cell_at(c), cell_n(c));
        to += cell_n(c);
        left -= cell_n(c);
    }
    s->out_n = (size_t)(to - s->out);
    s->cells[row] = cell(at, s->out_n - at);
    return 0;
}

int shred_put_line(struct shred *s, const struct shred_template *t, uint32_t row)
{
    return put_line(s, t, row);
}

int shred_line(struct column_in *in, struct shred *s, uint32_t row, const int64_t *ref, struct str *out)
{
    if (shred_rows(in, s) < 0 || shred_open_out(in, s) < 0)
        return ERR_CORRUPT;
    if (s->cells[row] == UINT64_MAX) {
        struct shred_template *t = &s->templates[s->template_of[row]];

        if (shred_open_template(in, s, t, ref) < 0 || put_line(s, t, row) < 0)
            return ERR_CORRUPT;
    }
    *out = str_n(s->out + cell_at(s->cells[row]), cell_n(s->cells[row]));
    return 0;
}

/* All lines of a template that are not there yet, one after the other. */
static int put_template(struct shred *s, struct shred_template *t)
{
    t->in_order = true;
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t row = s->rows[t->first + i];

        if (s->cells[row] != UINT64_MAX)
            t->in_order = false;
        else if (put_line(s, t, row) < 0)
            return ERR_CORRUPT;
    }
    return 0;
}

int shred_fill(struct column_in *in, struct shred *s, struct shred_template *t, const int64_t *ref)
{
    if (t->filled)
        return 0;
    if (shred_sort_rows(in, s) < 0 || shred_open_out(in, s) < 0 || shred_open_template(in, s, t, ref) < 0 ||
        put_template(s, t) < 0)
        return ERR_CORRUPT;
    t->filled = true;
    return 0;
}

int shred_read(struct column_in *in, struct text *t, const int64_t *ref)
{
    struct shred *s = t->shred;

    if (shred_rows(in, s) < 0 || shred_open_out(in, s) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < s->ntemplates; i++)
        if (s->templates[i].count && shred_fill(in, s, &s->templates[i], ref) < 0)
            return ERR_CORRUPT;
    t->base = s->out;
    t->base_n = s->out_n;
    t->cells = s->cells;
    return s->out_n == s->total ? 0 : ERR_CORRUPT;
}
