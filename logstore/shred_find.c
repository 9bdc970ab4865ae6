/*
 * shred_find.c - values that contain a text, found in templates, dictionaries and columns; lines are put together only where that
 * does not tell.
 *
 * (1) A text stands in a line in one of three ways: within a literal (then it stands in every line of the template), within a value
 *     (then it stands in the column), or across the border of a slot. If the literals around the slots of a template do not let it
 *     cross a border, its lines need not be looked at.
 */
#include "logstore/shred.h"
#include "logstore/plain_find.h"

static inline void set_bit(uint64_t *bits, uint32_t i)
{
    bits[i / 64] |= UINT64_C(1) << i % 64;
}

static void set_all(uint64_t *bits, uint32_t n)
{
    for (uint32_t i = 0; i < n / 64; i++)
        bits[i] = ~UINT64_C(0);
    if (n % 64)
        bits[n / 64] |= (UINT64_C(1) << n % 64) - 1;
}

static inline bool contains(struct str s, struct str needle)
{
    return find_bytes(s, needle) != NULL;
}

/* --- columns --------------------------------------------------------------------------------------------------------- */

/* Values lie side by side in order: they are gone through as one text. rows: which, else all n. */
static void find_in_order(const char *base, const uint64_t *cells, const uint32_t *rows, uint32_t n, struct str needle,
                          uint64_t *bits)
{
#define CELL(i) cells[rows ? rows[i] : (i)]
    if (n == 0)
        return;
    const char *p = base + cell_at(CELL(0)), *end = base + cell_at(CELL(n - 1)) + cell_n(CELL(n - 1));
    uint32_t i = 0;

    while ((p = find_bytes(str_n(p, (size_t)(end - p)), needle)) != NULL) {
        while (i + 1 < n && base + cell_at(CELL(i + 1)) <= p)
            i++;
        const char *value_end = base + cell_at(CELL(i)) + cell_n(CELL(i));

        if (p + needle.n > value_end) { /* it begins here and ends in the next one */
            p++;
            continue;
        }
        set_bit(bits, rows ? rows[i] : i);
        if (++i == n)
            return;
        p = base + cell_at(CELL(i));
    }
#undef CELL
}

static int find_in_cells(struct column_in *in, struct text *t, const int64_t *ref, struct str needle, uint64_t *bits)
{
    if (text_read(in, t, ref) < 0)
        return ERR_CORRUPT;
    if (t->kind == TEXT_STRINGS || t->kind == TEXT_SPLIT) {
        find_in_order(t->base, t->cells, NULL, t->n, needle, bits);
        return 0;
    }
    for (uint32_t i = 0; i < t->n; i++)
        if (contains(text_at(t, i), needle))
            set_bit(bits, i);
    return 0;
}

static int find_in_dict(struct column_in *in, struct text *t, struct str needle, uint64_t *bits)
{
    uint64_t *found = in_alloc(in, (t->nsub / 64 + (size_t)1) * sizeof *found), any = 0;

    if (!found)
        return ERR_CORRUPT;
    memset(found, 0, (t->nsub / 64 + (size_t)1) * sizeof *found);
    if (text_find(in, t->sub, NULL, needle, NULL, found) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i <= t->nsub / 64; i++)
        any |= found[i];
    if (!any)
        return 0;
    if (text_read_dict(in, t) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < t->n; i++)
        if (found[t->places[i] / 64] >> t->places[i] % 64 & 1)
            set_bit(bits, i);
    return 0;
}

/* Could a column of numbers, ids or times contain the needle, by its bytes? */
static bool bytes_fit(struct column_in *in, const struct text *t, struct str needle)
{
    static const char *const more[TEXT_KINDS] = {[TEXT_NUMBERS] = "0123456789.-",
                                                 [TEXT_HEX] = "0123456789abcdef",
                                                 [TEXT_IPS] = "0123456789.",
                                                 [TEXT_TIMES] = "0123456789JanFebMarAprMayJunJulAugSepOctNovDec"};
    const char *literal;

    if (!more[t->kind] || run_bytes(in, &t->literal, &literal) < 0)
        return true;
    for (size_t i = 0; i < needle.n; i++)
        if (!memchr(more[t->kind], needle.p[i], strlen(more[t->kind])) && !memchr(literal, needle.p[i], t->literal.n))
            return false;
    return true;
}

/* --- templates --------------------------------------------------------------------------------------------------------- */

/*
 * Can the needle's first i bytes end a text that ends with the literal; can what follows begin one that begins with it? whole: there
 * is nothing before (behind) the literal.
 */
static bool ends_with(const struct shred_piece *p, bool whole, struct str needle, size_t i)
{
    size_t n = p->literal_n;

    if (i <= n)
        return memcmp(p->literal + n - i, needle.p, i) == 0;
    return !whole && memcmp(needle.p + i - n, p->literal, n) == 0;
}

static bool begins_with(const struct shred_piece *p, bool whole, struct str needle, size_t i)
{
    size_t n = p->literal_n, left = needle.n - i;

    return !(whole && left > n) && memcmp(needle.p + i, p->literal, MIN(n, left)) == 0;
}

enum where { NOWHERE, EVERYWHERE, MAYBE };

/* By the literals: in all lines, maybe across a border, or within values at most (NOWHERE). */
static enum where look_in_literals(const struct shred_template *t, struct str needle)
{
    enum where w = NOWHERE;

    for (uint32_t k = 0; k < t->npieces; k++) {
        const struct shred_piece *p = &t->pieces[k];

        if (contains(str_n(p->literal, p->literal_n), needle))
            return EVERYWHERE;
        for (size_t i = 1; i < needle.n && w == NOWHERE; i++)
            if ((p->slot && ends_with(p, k == 0, needle, i)) || (k > 0 && begins_with(p, !p->slot, needle, i)))
                w = MAYBE;
    }
    return w;
}

struct find {
    struct column_in *in;
    struct shred *s;
    const int64_t *ref;
    struct str needle;
    uint64_t **column_bits; /* of columns looked at so far */
};

static int column_find(struct find *f, uint32_t c, uint64_t **out)
{
    struct text *t = f->s->columns[c];

    if (!f->column_bits[c]) {
        size_t n = (t->n / 64 + (size_t)1) * sizeof(uint64_t);
        uint64_t *bits = in_alloc(f->in, n);
        int64_t *ref = NULL;

        if (!bits)
            return ERR_CORRUPT;
        memset(bits, 0, n);
        if (t->needs_ref && bytes_fit(f->in, t, f->needle) && !(ref = shred_column_ref(f->in, f->s, c, f->ref)))
            return ERR_CORRUPT;
        if (text_find(f->in, t, ref, f->needle, NULL, bits) < 0)
            return ERR_CORRUPT;
        f->column_bits[c] = bits;
    }
    *out = f->column_bits[c];
    return 0;
}

static int find_in_values(struct find *f, const struct shred_template *t, uint64_t *bits)
{
    const uint32_t *rows = f->s->rows + t->first;
    uint64_t *found;

    for (const struct shred_piece *p = t->pieces; p->slot; p++) {
        if (column_find(f, p->slot->column, &found) < 0)
            return ERR_CORRUPT;
        for (uint32_t i = 0; i < t->count; i++) {
            uint32_t k = p->slot->base + i;

            if (found[k / 64] >> k % 64 & 1)
                set_bit(bits, rows[i]);
        }
    }
    return 0;
}

static int find_in_lines(struct find *f, struct shred_template *t, uint64_t *bits)
{
    struct shred *s = f->s;

    if (shred_fill(f->in, s, t, f->ref) < 0)
        return ERR_CORRUPT;
    if (t->in_order) {
        find_in_order(s->out, s->cells, s->rows + t->first, t->count, f->needle, bits);
        return 0;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t row = s->rows[t->first + i];

        if (contains(str_n(s->out + cell_at(s->cells[row]), cell_n(s->cells[row])), f->needle))
            set_bit(bits, row);
    }
    return 0;
}

static bool any_wanted(const struct shred *s, const struct shred_template *t, const uint64_t *want)
{
    bool any = !want && t->count > 0;

    for (uint32_t i = 0; i < t->count && !any; i++) {
        uint32_t row = s->rows[t->first + i];

        any = want[row / 64] >> row % 64 & 1;
    }
    return any;
}

static int find_in_shred(struct column_in *in, struct shred *s, const int64_t *ref, struct str needle,
                         const uint64_t *want, uint64_t *bits)
{
    struct find f = {in, s, ref, needle, in_alloc(in, (s->ncolumns + (size_t)1) * sizeof *f.column_bits)};

    if (!f.column_bits || shred_sort_rows(in, s) < 0)
        return ERR_CORRUPT;
    memset(f.column_bits, 0, s->ncolumns * sizeof *f.column_bits);
    for (uint32_t k = 0; k < s->ntemplates; k++) {
        struct shred_template *t = &s->templates[k];
        int code = 0;

        if (!any_wanted(s, t, want))
            continue;
        if (shred_fold_template(in, s, t) < 0)
            return ERR_CORRUPT;
        switch (look_in_literals(t, needle)) {
        case EVERYWHERE:
            for (uint32_t i = 0; i < t->count; i++)
                set_bit(bits, s->rows[t->first + i]);
            break;
        case NOWHERE:
            code = t->filled ? find_in_lines(&f, t, bits) : find_in_values(&f, t, bits);
            break;
        case MAYBE:
            code = find_in_lines(&f, t, bits);
        }
        if (code < 0)
            return code;
    }
    return 0;
}

int text_find(struct column_in *in, struct text *t, const int64_t *ref, struct str needle, const uint64_t *want,
              uint64_t *bits)
{
    const char *p;

    if (needle.n == 0) {
        set_all(bits, t->n);
        return 0;
    }
    switch (t->kind) {
    case TEXT_CONST:
        if (run_bytes(in, &t->run, &p) < 0)
            return ERR_CORRUPT;
        if (contains(str_n(p, t->run.n), needle))
            set_all(bits, t->n);
        return 0;
    case TEXT_DICT:
        return find_in_dict(in, t, needle, bits);
    case TEXT_SHRED:
        return find_in_shred(in, t->shred, ref, needle, want, bits);
    default:
        return bytes_fit(in, t, needle) ? find_in_cells(in, t, ref, needle, bits) : 0;
    }
}
