/* block_lines.c - lines of a block, and which of them contain a text. */
#include "logstore/block_file.h"

#include <assert.h>

enum { ALL_WORTH = 4 }; /* one row in so many is asked for: all are put together */

/* Some lines of a shredded column. */
static int some_lines(struct log_block *b, const int64_t *t, const uint32_t *idx, uint32_t n, struct log_row *rows)
{
    if (shred_put_lines(&b->in, b->lines->shred, idx, n, t) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < n; i++)
        if (shred_line(&b->in, b->lines->shred, idx[i], t, &rows[i].line) < 0)
            return ERR_CORRUPT;
    return 0;
}

static int read_lines(struct log_block *b, const uint32_t *idx, uint32_t n, struct log_row *rows)
{
    const int64_t *t;

    if (log_block_times(b, &t, NULL) < 0)
        return ERR_CORRUPT;
    if (b->lines->kind == TEXT_SHRED && !b->lines->ready && n < b->n / ALL_WORTH)
        return some_lines(b, t, idx, n, rows);
    if (text_read(&b->in, b->lines, t) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < n; i++)
        rows[i].line = text_at(b->lines, idx[i]);
    return 0;
}

int log_block_lines(struct log_block *b, const uint32_t *idx, uint32_t n, struct log_row *rows, struct err *e)
{
    return read_lines(b, idx, n, rows) < 0 ? block_corrupt(e, "the lines") : 0;
}

/* Adds rows of those asked for whose lines contain the value and pass the test. */
static int find_passing(struct log_block *b, const int64_t *t, struct str value, const struct log_line_test *test,
                        const struct log_bits *rows, uint64_t *found)
{
    size_t words = (b->n + (size_t)63) / 64;
    uint64_t *more = slab_zalloc(&b->slab, (words + 1) * sizeof *more);
    int code;

    if (text_find(&b->in, b->lines, t, value, rows->w, more) < 0)
        return ERR_CORRUPT;
    for (size_t i = 0; i < words; i++)
        more[i] &= rows->w[i] & ~found[i];
    if ((code = text_match(&b->in, b->lines, t, value, test, more)) < 0)
        return code;
    for (size_t i = 0; i < words; i++)
        found[i] |= more[i];
    return 0;
}

/* Keeps rows whose lines contain one of the values, or those that do not. */
static int narrow_lines(struct log_block *b, const struct log_hint *h, struct log_bits *rows)
{
    size_t words = (b->n + (size_t)63) / 64;
    uint64_t *found = slab_zalloc(&b->slab, (words + 1) * sizeof *found);
    const int64_t *t;

    if (log_block_times(b, &t, NULL) < 0)
        return ERR_CORRUPT;
    for (uint32_t i = 0; i < h->nvalues; i++) {
        const struct log_line_test *test = h->tests && h->tests[i].match ? &h->tests[i] : NULL;
        int code = test ? find_passing(b, t, h->values[i], test, rows, found)
                        : text_find(&b->in, b->lines, t, h->values[i], rows->w, found);

        if (code < 0)
            return code;
    }
    for (size_t i = 0; i < words; i++)
        rows->w[i] &= h->kind == LOG_HINT_LINE ? found[i] : ~found[i];
    return 0;
}

int log_block_narrow(struct log_block *b, const struct log_hint *hint, struct log_bits *rows, struct err *e)
{
    int code;

    assert(rows->n == b->n);
    if (b->n % 64) /* bits of no row may hold anything */
        rows->w[b->n / 64] &= (UINT64_C(1) << b->n % 64) - 1;
    switch (hint->kind) {
    case LOG_HINT_LINE:
    case LOG_HINT_NO_LINE:
        b->in.stopped = e;
        code = narrow_lines(b, hint, rows);
        return code == ERR_CORRUPT ? block_corrupt(e, "the lines") : code;
    case LOG_HINT_META:
        return block_narrow_meta(b, hint, rows) < 0 ? block_corrupt(e, "the metadata") : 0;
    case LOG_HINT_FIELD:
        return block_narrow_field(b, hint, rows) < 0 ? block_corrupt(e, "the fields") : 0;
    }
    return 0;
}
