/*
 * shred_match.c - which values pass a test (a regular expression), where a needle in them did not tell.
 *
 * (1) Where a match within a part is one of the whole (log_line_test.within), the literals of a template are asked for all its
 *     lines at once, and the values of a dictionary once each. Only what these leave open is put together and asked.
 * (2) A part is asked only if it is valid UTF-8: of bytes that are not, a regular expression may make something else in the part
 *     than in the whole.
 */
#include "logstore/shred_find.h"

enum {
    ALL_WORTH = 4,       /* one row in so many is asked for: all are put together */
    TEST_WORK = 100,     /* what a test costs beside its bytes */
    PACE_WORK = 1 << 16, /* then the limits are asked, ... */
    LOOK_TESTS = 16,     /* ... or where so many tests, */
    SLOW_NS = 1000000,   /* or a single one, took so long: patterns may be giant */
};

struct match {
    struct column_in *in;
    struct shred *s;
    const int64_t *ref;
    struct str needle;
    const struct log_line_test *test;
    uint32_t *rest, nrest;  /* rows whose lines must be asked */
    uint32_t *left;         /* how many of them, by template */
    const uint64_t **dicts; /* by column: values of its dictionary that match; NULL: not looked at yet, `none` */
};

static const uint64_t none[1];

static bool tests_are_slow(struct column_in *in)
{
    int64_t now, before = in->looked_ns;
    bool slow;

    if (in->look_in > 1) {
        in->look_in--;
        return false;
    }
    now = clock_mono_ns();
    slow = before && now - before > SLOW_NS;
    in->looked_ns = now;
    in->look_in = slow ? 1 : LOOK_TESTS;
    return slow;
}

/* 1: it passes, 0: it does not; or what the limits say. */
static inline int passes(struct match *m, struct str s)
{
    struct column_in *in = m->in;

    bool may = m->test->fold.n == 0 || find_fold(s, m->test->fold);

    in->work += may ? TEST_WORK + s.n : s.n / 8;
    if (in->work >= PACE_WORK || tests_are_slow(in)) {
        in->work = 0;
        int code = in->limits.check ? in->limits.check(in->limits.arg, 0, 0, in->stopped) : 0;
        if (code < 0)
            return code;
    }
    return may && m->test->match(m->test->arg, s);
}

/* A part that makes the whole pass. */
static int part_passes(struct match *m, struct str part)
{
    return (m->needle.n == 0 || find_bytes(part, m->needle)) && utf8_valid(part) ? passes(m, part) : 0;
}

static int literal_passes(struct match *m, const struct shred_template *t)
{
    int code = 0;

    for (uint32_t k = 0; k < t->npieces && code == 0; k++)
        code = part_passes(m, str_n(t->pieces[k].literal, t->pieces[k].literal_n));
    return code;
}

static int dict_bits(struct match *m, struct text *t, const uint64_t **out)
{
    uint64_t *bits = in_alloc(m->in, (t->nsub / 64 + (size_t)1) * sizeof *bits);
    int code;

    if (!bits || text_read(m->in, t->sub, NULL) < 0)
        return ERR_CORRUPT;
    memset(bits, 0, (t->nsub / 64 + (size_t)1) * sizeof *bits);
    for (uint32_t i = 0; i < t->nsub; i++) {
        if ((code = part_passes(m, text_at(t->sub, i))) < 0)
            return code;
        if (code)
            find_set(bits, i);
        if (code)
            *out = bits;
    }
    return *out == none ? 0 : text_read_dict(m->in, t);
}

/* The values of column c that pass; `none`: there are none, or it is no dictionary, or has more values than rows are open. */
static int column_match(struct match *m, uint32_t c, uint32_t nopen, const uint64_t **out)
{
    struct text *t = m->s->columns[c];
    int code = 0;

    *out = m->dicts[c] ? m->dicts[c] : none;
    if (!m->dicts[c] && t->kind == TEXT_DICT && (m->needle.n || t->nsub <= nopen)) {
        code = dict_bits(m, t, out);
        m->dicts[c] = *out;
    }
    return code;
}

/* Takes the bits of rows whose values pass out of `open`, which has one bit for each row of the template, nopen of them set. */
static int ask_values(struct match *m, const struct shred_template *t, uint32_t nopen, uint64_t *open)
{
    const uint64_t *found;
    int code;

    for (const struct shred_piece *p = t->pieces; p->slot; p++) {
        const uint32_t *places;

        if ((code = column_match(m, p->slot->column, nopen, &found)) < 0)
            return code;
        if (found == none)
            continue;
        places = m->s->columns[p->slot->column]->places + p->slot->base;
        for (uint32_t i = 0; i < t->count; i++)
            if (find_has(found, places[i]))
                open[i / 64] &= ~(UINT64_C(1) << i % 64);
    }
    return 0;
}

static inline void clear_bit(uint64_t *bits, uint32_t i)
{
    bits[i / 64] &= ~(UINT64_C(1) << i % 64);
}

static void leave_to_lines(struct match *m, const struct shred_template *t, const uint64_t *open, uint32_t nopen)
{
    m->left[t - m->s->templates] = nopen;
    for (uint32_t w = 0; w <= t->count / 64; w++)
        for (uint64_t left = open[w]; left; left &= left - 1)
            m->rest[m->nrest++] = m->s->rows[t->first + w * 64 + (uint32_t)__builtin_ctzll(left)];
}

/*
 * Templates of which much is left are put together as a whole, where they are much of the block, too: columns belong to many
 * templates, and to read them for all is dear.
 */
static int fill_templates(struct match *m)
{
    struct shred *s = m->s;

    for (uint32_t k = 0; k < s->ntemplates && m->nrest > s->n / ALL_WORTH; k++)
        if (m->left[k] > s->templates[k].count / ALL_WORTH && shred_fill(m->in, s, &s->templates[k], m->ref) < 0)
            return ERR_CORRUPT;
    return m->nrest ? shred_put_lines(m->in, s, m->rest, m->nrest, m->ref) : 0;
}

static int ask_lines(struct match *m, uint64_t *bits)
{
    struct str line;
    int code;

    if (fill_templates(m) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < m->nrest; i++) {
        if (shred_line(m->in, m->s, m->rest[i], m->ref, &line) < 0)
            return ERR_CORRUPT;
        if ((code = passes(m, line)) < 0)
            return code;
        if (!code)
            clear_bit(bits, m->rest[i]);
    }
    return 0;
}

static uint32_t count_bits(const uint64_t *w, uint32_t n)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i <= n / 64; i++)
        sum += (uint32_t)__builtin_popcountll(w[i]);
    return sum;
}

/* open: room for one bit for each row of the block. */
static int match_template(struct match *m, struct shred_template *t, uint64_t *open, const uint64_t *bits)
{
    const uint32_t *rows = m->s->rows + t->first;
    uint32_t n = 0;
    int code;

    memset(open, 0, (t->count / 64 + (size_t)1) * sizeof *open);
    for (uint32_t i = 0; i < t->count; i++)
        if (find_has(bits, rows[i])) {
            find_set(open, i);
            n++;
        }
    if (n == 0)
        return 0;
    if (shred_fold_template(m->in, m->s, t) < 0)
        return ERR_CORRUPT;
    if (m->test->within) {
        if ((code = literal_passes(m, t)) != 0)
            return MIN(code, 0);
        if ((code = ask_values(m, t, n, open)) < 0)
            return code;
        n = count_bits(open, t->count);
    }
    if (n)
        leave_to_lines(m, t, open, n);
    return 0;
}

static int match_shred(struct match *m, uint64_t *bits)
{
    struct shred *s = m->s;
    uint64_t *open = in_alloc(m->in, (s->n / 64 + (size_t)1) * sizeof *open);
    int code = 0;

    m->dicts = in_alloc(m->in, (s->ncolumns + (size_t)1) * sizeof *m->dicts);
    m->rest = in_alloc(m->in, (s->n + (size_t)1) * sizeof *m->rest);
    m->left = in_alloc(m->in, (s->ntemplates + (size_t)1) * sizeof *m->left);
    if (!open || !m->dicts || !m->rest || !m->left || shred_sort_rows(m->in, s) < 0)
        return ERR_CORRUPT;
    memset(m->dicts, 0, s->ncolumns * sizeof *m->dicts);
    memset(m->left, 0, s->ntemplates * sizeof *m->left);
    for (uint32_t k = 0; k < s->ntemplates && code == 0; k++)
        code = match_template(m, &s->templates[k], open, bits);
    return code < 0 ? code : ask_lines(m, bits);
}

static int match_dict(struct match *m, struct text *t, uint64_t *bits)
{
    enum { UNKNOWN = 2 };
    int8_t *known = in_alloc(m->in, t->nsub);

    if (!known || text_read_dict(m->in, t) < 0)
        return ERR_CORRUPT;
    memset(known, UNKNOWN, t->nsub);
    for (uint32_t i = 0; i < t->n; i++) {
        int8_t *k = &known[t->places[i]];

        if (!find_has(bits, i))
            continue;
        if (*k == UNKNOWN) {
            int code = passes(m, text_at(t->sub, t->places[i]));
            if (code < 0)
                return code;
            *k = (int8_t)code;
        }
        if (!*k)
            clear_bit(bits, i);
    }
    return 0;
}

int text_match(struct column_in *in, struct text *t, const int64_t *ref, struct str needle, const struct log_line_test *test,
               uint64_t *bits)
{
    struct match m = {.in = in, .s = t->shred, .ref = ref, .needle = needle, .test = test};
    int code;

    if (t->kind == TEXT_SHRED)
        return match_shred(&m, bits);
    if (t->kind == TEXT_DICT)
        return match_dict(&m, t, bits);
    if (text_read(in, t, ref) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < t->n; i++) {
        if (!find_has(bits, i))
            continue;
        if ((code = passes(&m, text_at(t, i))) < 0)
            return code;
        if (!code)
            clear_bit(bits, i);
    }
    return 0;
}
