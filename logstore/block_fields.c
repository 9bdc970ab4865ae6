/*
 * block_fields.c - what LogQL's json and logfmt find in a line, from the columns. shred_fields.c has the rules.
 *
 * (1) A row has its fields only if every one that was asked for is certain; else it has none, and its line is to be parsed.
 * (2) Only columns of the names asked for are read, and of those that cost much only the values of the rows asked for.
 */
#include "logstore/block_file.h"

static const struct log_field no_fields[1];

static enum shred_kind kind_of(enum log_parser parser)
{
    return parser == LOG_PARSER_JSON ? SHRED_JSON : SHRED_LOGFMT;
}

static bool wanted(struct str name, const struct str *names, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(names[i], name))
            return true;
    return n == 0;
}

/* A column of a template; ready to be read by rank when it is pointed to its values. */
struct field_source {
    const struct field_name *name;
    struct text *column;
    const struct shred_slot *slot;
    const uint64_t *cells;
    bool plain, quoted;
};
struct template_source {
    struct field_source *v; /* NULL: not looked at yet */
    uint32_t n;
    bool sure;
};

static int open_source(struct log_block *b, struct shred *s, struct shred_template *t, const struct str *names,
                       uint32_t nnames, struct template_source *out)
{
    if (shred_names(&b->in, s, t) < 0)
        return ERR_CORRUPT;
    out->v = slab_array(&b->slab, struct field_source, t->names->n);
    out->sure = t->names->sure;
    for (uint32_t i = 0; i < t->names->n && out->sure; i++) {
        const struct field_name *f = &t->names->v[i];
        const struct shred_slot *slot = &t->slots[f->slot];

        if (!wanted(f->name, names, nnames))
            continue;
        out->v[out->n++] = (struct field_source){.name = f,
                                                 .column = s->columns[slot->column],
                                                 .slot = slot,
                                                 .quoted = slot->sort == SLOT_STRING || slot->sort == SLOT_QUOTED};
    }
    return 0;
}

/* After its values are read. */
static void point_source(struct template_source *src)
{
    for (uint32_t i = 0; i < src->n; i++) {
        struct field_source *f = &src->v[i];

        f->cells = f->column->cells + f->slot->base;
        f->plain = text_plain(f->column);
    }
}

/* The value of a source in a row; false: not for certain. */
static inline bool source_value(struct log_block *b, const struct field_source *f, uint32_t rank, struct str *value)
{
    uint64_t c = f->cells[rank];
    struct str s = str_n(f->column->base + cell_at(c), cell_n(c));

    if (!f->plain) {
        char *to = slab_alloc(&b->slab, s.n + 4);
        ptrdiff_t n = field_value(s, f->quoted, to);

        if (n < 0)
            return false;
        s = str_n(to, (size_t)n);
    }
    *value = s;
    return true;
}

/* Writes the fields of one row at `to`; returns how many, or -1. */
static int put_fields(struct log_block *b, const struct template_source *src, uint32_t rank, struct log_field *to)
{
    for (uint32_t i = 0; i < src->n; i++) {
        const struct field_source *f = &src->v[i];

        if (!source_value(b, f, rank, &to[i].value))
            return -1;
        to[i].name = f->name->name;
        to[i].path = f->name->path;
        to[i].npath = f->name->npath;
    }
    return (int)src->n;
}

static void no_row(struct log_row *r)
{
    r->fields = NULL;
    r->nfields = 0;
}

/* Opens the templates of the rows and reads what they have of the names. *total: fields of all rows. */
static int open_sources(struct log_block *b, enum log_parser parser, const struct str *names, uint32_t nnames, const uint32_t *idx,
                        uint32_t n, struct template_source *sources, size_t *total)
{
    struct shred *s = b->lines->shred;
    struct shred_wants wants;
    const int64_t *ref;

    if (log_block_times(b, &ref, NULL) < 0 || shred_wants_init(&wants, &b->in, s) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = s->template_of[idx[i]];
        struct shred_template *t = &s->templates[k];
        struct template_source *src = &sources[k];

        if (t->kind != kind_of(parser))
            continue;
        if (!src->v && open_source(b, s, t, names, nnames, src) < 0)
            return ERR_CORRUPT;
        for (uint32_t j = 0; j < src->n; j++) {
            if (shred_wants_column(&wants, src->v[j].slot->column) < 0)
                return ERR_CORRUPT;
            shred_wants_value(&wants, src->v[j].slot->column, src->v[j].slot->base + s->rank_of[idx[i]]);
        }
        *total += src->n;
    }
    if (shred_wants_read(&wants, ref) < 0)
        return ERR_CORRUPT;
    for (uint32_t k = 0; k < s->ntemplates; k++)
        point_source(&sources[k]);
    return 0;
}

static int read_fields(struct log_block *b, enum log_parser parser, const struct str *names, uint32_t nnames,
                       const uint32_t *idx, uint32_t n, struct log_row *rows)
{
    struct shred *s = b->lines->shred;
    size_t total = 0;

    if (shred_rows(&b->in, s) < 0)
        return ERR_CORRUPT;
    struct template_source *sources = slab_zalloc(&b->slab, s->ntemplates * sizeof *sources);
    if (open_sources(b, parser, names, nnames, idx, n, sources, &total) < 0)
        return ERR_CORRUPT;
    struct log_field *at = slab_alloc(&b->slab, (total + 1) * sizeof *at);
    for (uint32_t i = 0; i < n; i++) {
        const struct template_source *src = &sources[s->template_of[idx[i]]];
        int k = src->sure ? put_fields(b, src, s->rank_of[idx[i]], at) : -1;

        no_row(&rows[i]);
        if (k < 0)
            continue;
        rows[i].fields = k ? at : no_fields;
        rows[i].nfields = (uint32_t)k;
        at += k;
    }
    return 0;
}

int log_block_fields(struct log_block *b, enum log_parser parser, const struct str *names, uint32_t nnames,
                     const uint32_t *idx, uint32_t n, struct log_row *rows, struct err *e)
{
    if (parser == LOG_PARSER_NONE || b->lines->kind != TEXT_SHRED) {
        for (uint32_t i = 0; i < n; i++)
            no_row(&rows[i]);
        return 0;
    }
    return read_fields(b, parser, names, nnames, idx, n, rows) < 0 ? block_corrupt(e, "the fields") : 0;
}

/* --- narrowing ------------------------------------------------------------------------------------------------------ */

static bool any_equal(const struct log_hint *h, struct str s)
{
    for (uint32_t i = 0; i < h->nvalues; i++)
        if (str_eq(h->values[i], s))
            return true;
    return false;
}

/* One bit for each value of the source's dictionary: it may be one of the hint's. */
static uint64_t *dict_matches(struct log_block *b, struct field_source *f, const struct log_hint *h)
{
    struct text *sub = f->column->sub;
    uint64_t *bits = slab_zalloc(&b->slab, (sub->n / 64 + 1) * sizeof *bits);
    struct field_source of_dict = {.column = sub, .cells = sub->cells, .plain = f->plain, .quoted = f->quoted};
    struct str value;

    for (uint32_t i = 0; i < sub->n; i++)
        if (!source_value(b, &of_dict, i, &value) || any_equal(h, value))
            bits[i / 64] |= UINT64_C(1) << i % 64;
    return bits;
}

struct template_match {
    struct template_source source;
    const uint64_t *dict; /* of its column; NULL: look at each value */
    uint32_t base;
};

static int open_match(struct log_block *b, struct shred *s, struct shred_template *t, const struct log_hint *h,
                      struct template_match *m)
{
    const int64_t *ref;

    if (open_source(b, s, t, &h->name, 1, &m->source) < 0 || log_block_times(b, &ref, NULL) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < m->source.n; i++)
        if (shred_column(&b->in, s, m->source.v[i].slot->column, ref) < 0)
            return ERR_CORRUPT;
    point_source(&m->source);
    if (m->source.n == 0)
        return 0;
    struct field_source *f = &m->source.v[0];
    if (f->column->kind == TEXT_DICT) {
        m->dict = dict_matches(b, f, h);
        m->base = t->slots[f->name->slot].base;
    }
    return 0;
}

static bool row_may(struct log_block *b, const struct template_match *m, uint32_t rank, const struct log_hint *h)
{
    struct str value;

    if (!m->source.sure)
        return true;
    if (m->source.n == 0)
        return any_equal(h, STR_NULL);
    if (m->dict) {
        uint32_t place = m->source.v[0].column->places[m->base + rank];

        return m->dict[place / 64] >> place % 64 & 1;
    }
    return !source_value(b, &m->source.v[0], rank, &value) || any_equal(h, value);
}

int block_narrow_field(struct log_block *b, const struct log_hint *h, struct log_bits *rows)
{
    struct shred *s = b->lines->shred;

    if (h->parser == LOG_PARSER_NONE || b->lines->kind != TEXT_SHRED)
        return 0;
    if (shred_rows(&b->in, s) < 0)
        return ERR_CORRUPT;
    struct template_match *m = slab_zalloc(&b->slab, s->ntemplates * sizeof *m);
    for (uint32_t w = 0; w < (b->n + 63) / 64; w++)
        for (uint64_t left = rows->w[w]; left; left &= left - 1) {
            uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(left), k = s->template_of[row];
            struct shred_template *t = &s->templates[k];

            if (t->kind != kind_of(h->parser))
                continue;
            if (!m[k].source.v && open_match(b, s, t, h, &m[k]) < 0)
                return ERR_CORRUPT;
            if (!row_may(b, &m[k], s->rank_of[row], h))
                rows->w[w] &= ~(left & -left);
        }
    return 0;
}
