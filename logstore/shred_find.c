/*
 * shred_find.c - values that contain a text, found in templates, dictionaries and columns; lines are put together only where that
 * does not tell.
 *
 * (1) A text stands in a line in one of three ways: within a literal (then it stands in every line of the template), within a value
 *     (then it stands in the column), or across the border of a slot. Where nothing lets it cross a border (shred_border.c), lines
 *     of the template need not be looked at.
 */
#include "logstore/shred_find.h"

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
        find_set(bits, rows ? rows[i] : i);
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
            find_set(bits, i);
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
            find_set(bits, i);
    return 0;
}

bool find_alphabet(struct column_in *in, const struct text *t, uint64_t set[4])
{
    static const char *const bytes[TEXT_KINDS] = {[TEXT_NUMBERS] = "0123456789.-",
                                                  [TEXT_HEX] = "0123456789abcdef",
                                                  [TEXT_IPS] = "0123456789.",
                                                  [TEXT_TIMES] = "0123456789JanFebMarAprMayJunJulAugSepOctNovDec"};
    const char *literal;

    if (!bytes[t->kind] || run_bytes(in, &t->literal, &literal) < 0)
        return false;
    memset(set, 0, 4 * sizeof *set);
    for (const char *p = bytes[t->kind]; *p; p++)
        find_set(set, (unsigned char)*p);
    for (uint32_t i = 0; i < t->literal.n; i++)
        find_set(set, (unsigned char)literal[i]);
    return true;
}

/* Could a column of numbers, ids or times contain the needle, by its bytes? */
static bool bytes_fit(struct column_in *in, const struct text *t, struct str needle)
{
    uint64_t set[4];

    if (!find_alphabet(in, t, set))
        return true;
    for (size_t i = 0; i < needle.n; i++)
        if (!find_has(set, (unsigned char)needle.p[i]))
            return false;
    return true;
}

/* --- templates --------------------------------------------------------------------------------------------------------- */

static bool in_literals(const struct shred_template *t, struct str needle)
{
    for (uint32_t k = 0; k < t->npieces; k++)
        if (contains(str_n(t->pieces[k].literal, t->pieces[k].literal_n), needle))
            return true;
    return false;
}

struct find {
    struct column_in *in;
    struct shred *s;
    const int64_t *ref;
    struct str needle;
    const uint64_t **column_bits; /* of columns looked at so far; `nowhere`: in none of its values */
};

static const uint64_t nowhere[1];

static bool any_bit(const uint64_t *bits, uint32_t n)
{
    uint64_t any = 0;

    for (uint32_t i = 0; i < (n + 63) / 64; i++)
        any |= bits[i];
    return any != 0;
}

static int column_find(struct find *f, uint32_t c, const uint64_t **out)
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
        f->column_bits[c] = any_bit(bits, t->n) ? bits : nowhere;
    }
    *out = f->column_bits[c];
    return 0;
}

static int find_in_values(struct find *f, const struct shred_template *t, uint64_t *bits)
{
    const uint32_t *rows = f->s->rows + t->first;
    const uint64_t *found;

    for (const struct shred_piece *p = t->pieces; p->slot; p++) {
        if (column_find(f, p->slot->column, &found) < 0)
            return ERR_CORRUPT;
        for (uint32_t i = 0; found != nowhere && i < t->count; i++) {
            uint32_t k = p->slot->base + i;

            if (find_has(found, k))
                find_set(bits, rows[i]);
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
            find_set(bits, row);
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

static int find_in_template(struct find *f, struct find_borders *borders, struct shred_template *t, uint64_t *bits)
{
    bool may;

    if (shred_fold_template(f->in, f->s, t) < 0)
        return ERR_CORRUPT;
    if (in_literals(t, f->needle)) {
        for (uint32_t i = 0; i < t->count; i++)
            find_set(bits, f->s->rows[t->first + i]);
        return 0;
    }
    if (t->filled)
        return find_in_lines(f, t, bits);
    if (find_crosses(borders, t, &may) < 0)
        return ERR_CORRUPT;
    return may ? find_in_lines(f, t, bits) : find_in_values(f, t, bits);
}

static int find_in_shred(struct column_in *in, struct shred *s, const int64_t *ref, struct str needle,
                         const uint64_t *want, uint64_t *bits)
{
    struct find f = {in, s, ref, needle, in_alloc(in, (s->ncolumns + (size_t)1) * sizeof *f.column_bits)};
    struct find_borders borders;

    if (!f.column_bits || find_borders_init(&borders, in, s, ref, needle) < 0 || shred_sort_rows(in, s) < 0)
        return ERR_CORRUPT;
    memset(f.column_bits, 0, s->ncolumns * sizeof *f.column_bits);
    for (uint32_t k = 0; k < s->ntemplates; k++)
        if (any_wanted(s, &s->templates[k], want) && find_in_template(&f, &borders, &s->templates[k], bits) < 0)
            return ERR_CORRUPT;
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
