/*
 * shred_write.c - values taken apart: templates are found by their text, columns filled template by template.
 *
 *   ints      template of every value
 *   varint    templates; each: byte kind, varint values, varint slots, per slot varint literal bytes before it and varint
 *             column * 8 + sort (the next new column is the number of those so far), varint literal bytes at the end
 *   run       all literals
 *   varint    bytes of all values
 *   columns   text, in the order of their numbers; the values of a column lie by template, slot and row
 *
 * (1) Putting slots and literals of a template together gives the line: slots are cut out of it and nothing else is left out.
 * (2) Template 0 is WHOLE: the line is its only slot. It takes what could not be cut and what stands alone.
 */
#include "logstore/shred_out.h"
#include "logstore/filter.h"

#include <assert.h>

enum {
    VALUES_MIN = 32, /* fewer are not worth it */
    BYTES_MIN = 1024,
    TEMPLATE_MIN = 4,    /* values a template must have, else they stay whole */
    WHOLE_MIN = 1 << 16, /* longer ones stay whole */
};

/* --- cutting ------------------------------------------------------------------------------------------------- */

static void grow_vals(struct shred_out *s, size_t more)
{
    if (s->nvals + more <= s->vals_room)
        return;
    size_t room = MAX(s->vals_room * 2, s->nvals + more + 4096);
    struct str *v = slab_alloc(s->slab, room * sizeof *v);
    if (s->nvals)
        memcpy(v, s->vals, s->nvals * sizeof *v);
    s->vals = v;
    s->vals_room = room;
}

/* The text of the template a line was cut to: literals, and a mark for each slot. Returns its length. */
static size_t template_text(const struct cut *c, struct str line, char *to)
{
    const char *from = line.p;
    char *begin = to;

    for (uint32_t i = 0; i < c->n; i++) {
        size_t n = (size_t)(c->slots[i].p - from);

        if (n <= 16 && line.p + line.n - from >= 16) {
            memcpy(to, from, 16);
        } else {
            memcpy(to, from, n);
        }
        to += n;
        *to++ = (char)c->slots[i].sort;
        from = c->slots[i].p + c->slots[i].n;
    }
    memcpy(to, from, (size_t)(line.p + line.n - from));
    return (size_t)(to - begin) + (size_t)(line.p + line.n - from);
}

static void grow_table(struct shred_out *s)
{
    uint32_t room = s->table_mask ? (s->table_mask + 1) * 4 : 1024;
    uint32_t *table = slab_zalloc(s->slab, room * sizeof *table);

    for (uint32_t i = 0; i < s->ncuts; i++) {
        uint32_t at = (uint32_t)s->cuts[i].hash & (room - 1);

        while (table[at])
            at = (at + 1) & (room - 1);
        table[at] = i + 1;
    }
    s->table = table;
    s->table_mask = room - 1;
}

static struct cut_template *add_cut(struct shred_out *s)
{
    if (s->ncuts == s->cuts_room) {
        uint32_t room = s->cuts_room ? s->cuts_room * 4 : 256;
        struct cut_template *v = slab_array(s->slab, struct cut_template, room);

        if (s->ncuts)
            memcpy(v, s->cuts, s->ncuts * sizeof *v);
        s->cuts = v;
        s->cuts_room = room;
    }
    return &s->cuts[s->ncuts++];
}

/* The number of the template with this text. */
static uint32_t find_template(struct shred_out *s, enum shred_kind kind, struct str text, uint32_t nslots, uint32_t row)
{
    uint64_t h = hash64(text.p, text.n) + kind;

    if (s->ncuts * 2 >= s->table_mask)
        grow_table(s);
    uint32_t at = (uint32_t)h & s->table_mask;
    for (; s->table[at]; at = (at + 1) & s->table_mask) {
        struct cut_template *t = &s->cuts[s->table[at] - 1];

        if (t->hash == h && t->kind == kind && str_eq(t->text, text))
            return s->table[at] - 1;
    }
    struct cut_template *t = add_cut(s);
    char *copy = slab_alloc(s->slab, text.n + 1);
    memcpy(copy, text.p, text.n);
    *t = (struct cut_template){.kind = kind, .hash = h, .text = {copy, text.n}, .nslots = nslots, .row = row};
    s->table[at] = s->ncuts;
    return s->ncuts - 1;
}

/* Short strings, without reading beyond their ends. */
static inline void copy_short(char *to, const char *from, size_t n)
{
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        memcpy(to, from, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else if (n) {
        to[0] = from[0];
        to[n / 2] = from[n / 2];
        to[n - 1] = from[n - 1];
    }
}

static void *grown(struct slab *slab, void *p, size_t used, size_t n)
{
    void *to = slab_alloc(slab, n);

    if (used)
        memcpy(to, p, used);
    return to;
}

static void grow_lens(struct shred_out *s, struct cut_template *t, uint32_t used)
{
    uint32_t room = MAX(t->lens_room * 2, 64u);

    if (!t->values)
        t->values = slab_zalloc(s->slab, (t->nslots + (size_t)1) * sizeof *t->values);
    for (uint32_t k = 0; k < t->nslots; k++)
        t->values[k].lens = grown(s->slab, t->values[k].lens, used * sizeof(uint32_t), room * sizeof(uint32_t));
    t->lens_room = room;
}

/* Keeps what was cut from row i, whose line ends at `end`. */
static void keep_values(struct shred_out *s, struct cut_template *t, uint32_t i, const char *end)
{
    const struct cut *c = s->cut;
    uint32_t k = t->count++;

    if (k < LOOSE_MAX) {
        grow_vals(s, c->n);
        s->row_val[i] = s->nvals;
        for (uint32_t j = 0; j < c->n; j++)
            s->vals[s->nvals + j] = str_n(c->slots[j].p, c->slots[j].n);
        s->nvals += c->n;
        return;
    }
    k -= LOOSE_MAX;
    s->row_val[i] = SIZE_MAX;
    if (k == t->lens_room)
        grow_lens(s, t, k);
    for (uint32_t j = 0; j < c->n; j++) {
        struct slot_values *v = &t->values[j];
        const char *from = c->slots[j].p;
        uint32_t n = c->slots[j].n;

        v->lens[k] = n;
        if (v->room - v->n < n + 16) {
            v->room = MAX(v->room * 2, 64 * (n + 16));
            v->bytes = grown(s->slab, v->bytes, v->n, v->room);
        }
        if (n <= 16 && end - from >= 16)
            memcpy(v->bytes + v->n, from, 16);
        else
            copy_short(v->bytes + v->n, from, n);
        v->n += n;
    }
}

static enum shred_kind cut_line(struct shred_out *s, struct str line)
{
    struct cut *c = s->cut;

    if (line.n == 0 || line.n > WHOLE_MIN)
        return SHRED_WHOLE;
    if (s->lines) {
        char first = line.p[0];

        if ((first == '{' || first == ' ') && cut_json(c, line))
            return SHRED_JSON;
        if (first != '{' && cut_logfmt(c, line))
            return SHRED_LOGFMT;
    }
    return cut_text(c, line) ? SHRED_TEXT : SHRED_WHOLE;
}

static void cut_all(struct shred_out *s, const struct str *v, uint32_t n)
{
    char *text = slab_alloc(s->slab, WHOLE_MIN + SHRED_SLOTS_MAX + 32);

    for (uint32_t i = 0; i < n; i++) {
        enum shred_kind kind = cut_line(s, v[i]);
        struct cut *c = s->cut;

        if (kind == SHRED_WHOLE) {
            s->row_cut[i] = 0;
            s->row_val[i] = 0;
            s->cuts[0].count++;
            continue;
        }
        size_t text_n = template_text(c, v[i], text);
        uint32_t k = find_template(s, kind, str_n(text, text_n), c->n, i);

        s->row_cut[i] = k;
        keep_values(s, &s->cuts[k], i, v[i].p + v[i].n);
    }
}

/* --- final templates ------------------------------------------------------------------------------------------- */

/* Cuts become templates: those with too few values join WHOLE. The others keep their order. */
static void choose_templates(struct shred_out *s)
{
    uint32_t n = 1;

    s->templates = slab_array(s->slab, struct out_template, s->ncuts);
    s->templates[0] = (struct out_template){.kind = SHRED_WHOLE, .nslots = 1, .text = STR("")};
    for (uint32_t i = 1; i < s->ncuts; i++) {
        struct cut_template *c = &s->cuts[i];

        if (c->joined)
            continue;
        if (c->count < TEMPLATE_MIN) {
            c->final = 0;
            continue;
        }
        c->final = n;
        s->templates[n++] = (struct out_template){.kind = c->kind, .nslots = c->nslots, .text = c->text, .row = c->row};
    }
    for (uint32_t i = 1; i < s->ncuts; i++)
        if (s->cuts[i].joined)
            s->cuts[i].final = s->cuts[s->cuts[i].joined].final;
    s->ntemplates = n;
}

/* Rows of each template, in order. */
static void sort_rows(struct shred_out *s)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < s->n; i++)
        s->templates[s->cuts[s->row_cut[i]].final].count++;
    s->rows = slab_array(s->slab, uint32_t, s->n);
    for (uint32_t t = 0; t < s->ntemplates; t++) {
        s->templates[t].first = at;
        at += s->templates[t].count;
        s->templates[t].count = 0;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        struct out_template *t = &s->templates[s->cuts[s->row_cut[i]].final];

        s->rows[t->first + t->count++] = i;
    }
}

/* How much of all bytes is text that templates share. */
static bool pays(const struct shred_out *s, const struct str *v)
{
    uint64_t total = 0, shared = 0;

    for (uint32_t i = 0; i < s->n; i++)
        total += v[i].n;
    for (uint32_t t = 1; t < s->ntemplates; t++)
        if (s->templates[t].count)
            shared += (uint64_t)(s->templates[t].count - 1) * (s->templates[t].text.n - s->templates[t].nslots);
    return shared * (s->lines ? 20 : 6) >= total;
}

/* --- columns ---------------------------------------------------------------------------------------------------- */

/* The key of a slot's column: kind, sort and path for what has paths; else it stands alone. */
static void put_path(struct buf *b, const struct cut_path *p, enum shred_kind kind, enum slot_sort sort)
{
    buf_putc(b, (char)kind);
    buf_putc(b, (char)sort);
    for (uint32_t k = 0; k < p->n; k++) {
        buf_put_varint(b, p->keys[k].n);
        buf_puts(b, p->keys[k]);
    }
}

static uint32_t new_column(struct shred_out *s)
{
    if (s->ncolumns == s->columns_room) {
        uint32_t room = s->columns_room ? s->columns_room * 4 : 64;
        struct out_column *v = slab_array(s->slab, struct out_column, room);

        if (s->ncolumns)
            memcpy(v, s->columns, s->ncolumns * sizeof *v);
        s->columns = v;
        s->columns_room = room;
    }
    s->columns[s->ncolumns] = (struct out_column){0};
    return s->ncolumns++;
}

static void use_column(struct shred_out *s, uint32_t c, uint32_t t, uint32_t slot)
{
    struct out_column *col = &s->columns[c];
    struct column_use *u = slab_alloc(s->slab, sizeof *u);

    *u = (struct column_use){.template = t, .slot = slot};
    if (col->last)
        col->last->next = u;
    else
        col->first = u;
    col->last = u;
    col->n += s->templates[t].count;
}

/* Columns of a template whose slots have paths: its first line is cut again, with paths. */
static void named_columns(struct shred_out *s, const struct str *v, uint32_t t)
{
    struct out_template *tp = &s->templates[t];
    struct buf key = {0};

    if (!s->cut->paths)
        s->cut->paths = s->paths;
    bool ok = tp->kind == SHRED_JSON ? cut_json(s->cut, v[tp->row]) : cut_logfmt(s->cut, v[tp->row]);
    assert(ok && s->cut->n == tp->nslots);
    for (uint32_t k = 0; k < tp->nslots; k++) {
        bool added;

        buf_reset(&key);
        put_path(&key, &s->cut->paths[k], tp->kind, s->cut->slots[k].sort);
        char *copy = slab_alloc(s->slab, key.n);
        memcpy(copy, key.p, key.n);
        void **at = map_put(s->by_path, str_n(copy, key.n), &added);
        if (added)
            *at = (void *)(uintptr_t)new_column(s);
        tp->columns[k] = (uint32_t)(uintptr_t)*at;
    }
    s->cut->paths = NULL;
    buf_release(&key);
}

static void assign_columns(struct shred_out *s, const struct str *v)
{
    for (uint32_t t = 0; t < s->ntemplates; t++) {
        struct out_template *tp = &s->templates[t];

        tp->columns = slab_array(s->slab, uint32_t, tp->nslots);
        if (tp->kind == SHRED_JSON || tp->kind == SHRED_LOGFMT)
            named_columns(s, v, t);
        else
            for (uint32_t k = 0; k < tp->nslots; k++)
                tp->columns[k] = new_column(s);
        for (uint32_t k = 0; k < tp->nslots; k++)
            use_column(s, tp->columns[k], t, k);
    }
}

static void write_templates(struct shred_out *s, struct column_out *o)
{
    int64_t *x = slab_array(s->slab, int64_t, s->n);
    struct buf literals = {0};

    for (uint32_t i = 0; i < s->n; i++)
        x[i] = s->cuts[s->row_cut[i]].final;
    ints_write(o, x, s->n);
    out_num(o, s->ntemplates);
    for (uint32_t t = 0; t < s->ntemplates; t++) {
        struct out_template *tp = &s->templates[t];
        const char *p = tp->text.p, *end = p + tp->text.n, *from = p;
        uint32_t k = 0;

        out_byte(o, (uint8_t)tp->kind);
        out_num(o, tp->count);
        out_num(o, tp->nslots);
        for (; p < end; p++)
            if ((unsigned char)*p < SLOT_SORTS) {
                out_num(o, (uint64_t)(p - from));
                out_num(o, (uint64_t)tp->columns[k++] << 3 | (unsigned char)*p);
                buf_put(&literals, from, (size_t)(p - from));
                filter_text(o->filter, str_n(from, (size_t)(p - from)));
                from = p + 1;
            }
        if (tp->kind == SHRED_WHOLE) {
            out_num(o, 0);
            out_num(o, (uint64_t)tp->columns[k++] << 3);
        }
        assert(k == tp->nslots);
        out_num(o, (uint64_t)(p - from));
        buf_put(&literals, from, (size_t)(p - from));
        filter_text(o->filter, str_n(from, (size_t)(p - from)));
    }
    out_bytes(o, POOL_TEXT, literals.p, literals.n);
    buf_release(&literals);
}

/* The values of one column, template by template. */
static void gather(struct shred_out *s, const struct str *v, const struct out_column *c, struct str *out,
                   const int64_t *ref, int64_t *out_ref)
{
    uint32_t at = 0;

    for (const struct column_use *u = c->first; u; u = u->next) {
        const struct out_template *t = &s->templates[u->template];
        const uint32_t *rows = s->rows + t->first;

        if (t->kind == SHRED_WHOLE)
            for (uint32_t i = 0; i < t->count; i++)
                out[at + i] = v[rows[i]];
        else
            for (uint32_t i = 0; i < t->count; i++)
                out[at + i] = slot_next(s, rows[i], u->slot);
        for (uint32_t i = 0; i < t->count && out_ref; i++)
            out_ref[at + i] = ref[rows[i]];
        at += t->count;
    }
    assert(at == c->n);
}

/* Could the column hold times? */
static bool like_time(struct str s)
{
    return s.n >= 8 && memchr(s.p, ':', s.n) != NULL;
}

static void write_columns(struct shred_out *s, struct column_out *o, const struct str *v, const int64_t *ref,
                          unsigned depth)
{
    for (uint32_t c = 0; c < s->ncolumns; c++) {
        struct out_column *col = &s->columns[c];
        struct slab_mark mark = slab_now(s->slab); /* scratch of one column serves the next */
        struct str *out = slab_array(s->slab, struct str, col->n);
        int64_t *out_ref = ref ? slab_array(s->slab, int64_t, col->n) : NULL;

        gather(s, v, col, out, ref, out_ref);
        if (col->n && !like_time(out[0]))
            out_ref = NULL;
        text_write(o, out, col->n, out_ref, depth + 1);
        slab_back(s->slab, mark);
    }
}

bool shred_write(struct column_out *o, const struct str *v, uint32_t n, const int64_t *ref, unsigned depth)
{
    struct shred_out s = {.n = n, .slab = o->slab, .lines = depth == 0};
    struct map by_path = {0};
    uint64_t total = 0;

    for (uint32_t i = 0; i < n; i++)
        total += v[i].n;
    if (n < VALUES_MIN || total < BYTES_MIN || (depth > 0 && total / n < 8))
        return false;
    s.cut = slab_alloc(s.slab, sizeof *s.cut);
    s.cut->paths = NULL;
    s.cut->max = SHRED_SLOTS_MAX;
    s.paths = slab_alloc(s.slab, SHRED_SLOTS_MAX * sizeof *s.paths);
    s.by_path = &by_path;
    s.row_cut = slab_array(s.slab, uint32_t, n);
    s.row_val = slab_array(s.slab, size_t, n);
    *add_cut(&s) = (struct cut_template){.kind = SHRED_WHOLE};
    cut_all(&s, v, n);
    shred_join_words(&s);
    choose_templates(&s);
    sort_rows(&s);
    bool pay = pays(&s, v);
    if (pay) {
        assign_columns(&s, v);
        out_byte(o, TEXT_SHRED);
        write_templates(&s, o);
        out_num(o, total);
        write_columns(&s, o, v, ref, depth);
    }
    map_release(&by_path);
    return pay;
}
