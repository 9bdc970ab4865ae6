/*
 * block_model.h - a block of random rows beside the rows themselves: made, written, read back, narrowed. For test_block.c, whose writer
 * and block these are. Behind block.c and cmocka.h.
 */
#ifndef TESTS_LOGSTORE_BLOCK_MODEL_H
#define TESTS_LOGSTORE_BLOCK_MODEL_H

#include "tests/logstore/random_lines.h"

static struct log_block_writer *writer;
static struct log_block *block;

/* --- the model ----------------------------------------------------------------------------------------------- */

struct model {
    struct log_row *rows;
    uint32_t n;
    struct arena a;
    struct buf block, filter;
};

static struct str keep(struct model *m, struct buf *b)
{
    struct str s = arena_dup(&m->a, buf_str(b));

    buf_reset(b);
    return s;
}

static void make_meta(struct model *m, struct log_row *r, struct buf *scratch)
{
    static const char *const names[] = {"detected_level", "odd", "span_id", "trace_id"};
    struct label *v = arena_array(&m->a, struct label, ARRAY_LEN(names));

    r->meta = v;
    r->nmeta = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (i == 1 ? below(50) : i == 2 ? below(3) == 0 : 0)
            continue;
        if (i == 0)
            put_word(scratch);
        else
            put_id(scratch);
        v[r->nmeta++] = (struct label){str_of(names[i]), keep(m, scratch)};
    }
}

static void make_rows(struct model *m, uint32_t n, uint64_t sort, bool meta)
{
    struct buf scratch = {0};
    int64_t t = INT64_C(1763843621000000000);

    *m = (struct model){.n = n};
    m->rows = arena_array(&m->a, struct log_row, n);
    for (uint32_t i = 0; i < n; i++) {
        struct log_row *r = &m->rows[i];

        t += (int64_t)below(40) * 1000000 + (below(100) ? 0 : (int64_t)below(1000) - 500);
        r->t_ns = t;
        r->stream = (uint32_t)(below(3) ? below(20) : below(50) ? below(3000) : rnd());
        put_random_line(&scratch, sort, t);
        r->line = keep(m, &scratch);
        if (meta)
            make_meta(m, r, &scratch);
    }
    buf_release(&scratch);
}

static void write_model(struct model *m, bool dense)
{
    log_block_write(writer, m->rows, m->n, dense, &m->block, &m->filter);
}

static void model_release(struct model *m)
{
    arena_release(&m->a);
    buf_release(&m->block);
    buf_release(&m->filter);
}

static void must(int code, const struct err *e)
{
    if (code < 0)
        fail_msg("%s", e->text);
}

static bool str_is(struct str a, struct str b)
{
    return str_eq(a, b);
}

/* Of metadata some names only: the others are left out. */
static void check_meta_of(struct model *m, const uint32_t *idx, uint32_t n, struct log_row *got)
{
    static const struct str all[] = {{"trace_id", 8}, {"odd", 3}, {"no such", 7}, {"detected_level", 14}};
    uint32_t nnames = (uint32_t)below(ARRAY_LEN(all) + 1);
    struct err e;

    must(log_block_meta_of(block, all, nnames, idx, n, got, &e), &e);
    for (uint32_t i = 0; i < n; i++) {
        const struct log_row *want = &m->rows[idx[i]];
        uint32_t at = 0;

        for (uint32_t k = 0; k < want->nmeta; k++)
            if (is_among(want->meta[k].name, all, nnames)) {
                assert_true(at < got[i].nmeta && str_is(got[i].meta[at].name, want->meta[k].name) &&
                            str_is(got[i].meta[at].value, want->meta[k].value));
                at++;
            }
        assert_int_equal(got[i].nmeta, at);
    }
}

static void check_some(struct model *m, uint32_t one_in)
{
    uint32_t *idx = x_alloc((m->n + 1) * sizeof *idx), n = 0;
    struct log_row *got = x_zalloc((m->n + 1) * sizeof *got);
    struct err e;

    for (uint32_t i = 0; i < m->n; i++)
        if (below(one_in) == 0)
            idx[n++] = i;
    must(log_block_lines(block, idx, n, got, &e), &e);
    must(log_block_meta(block, idx, n, got, &e), &e);
    for (uint32_t i = 0; i < n; i++) {
        struct log_row *want = &m->rows[idx[i]];

        if (!str_is(got[i].line, want->line))
            fail_msg("row %u: %.*s, not %.*s", idx[i], STR_ARG(got[i].line), STR_ARG(want->line));
        assert_int_equal(got[i].nmeta, want->nmeta);
        for (uint32_t k = 0; k < want->nmeta; k++)
            assert_true(str_is(got[i].meta[k].name, want->meta[k].name) &&
                        str_is(got[i].meta[k].value, want->meta[k].value));
    }
    check_meta_of(m, idx, n, got);
    free(idx);
    free(got);
}

static void check_rows(struct model *m)
{
    const int64_t *t;
    const uint32_t *s;
    struct err e;

    must(log_block_open(block, buf_str(&m->block), &e), &e);
    assert_int_equal(log_block_n(block), m->n);
    must(log_block_times(block, &t, &e), &e);
    must(log_block_streams(block, &s, &e), &e);
    for (uint32_t i = 0; i < m->n; i++)
        assert_true(t[i] == m->rows[i].t_ns && s[i] == m->rows[i].stream);
    check_some(m, 20);
    check_some(m, 1);
    must(log_block_open(block, buf_str(&m->block), &e), &e);
    must(log_block_verify(block, &e), &e);
}

/* --- narrowing ------------------------------------------------------------------------------------------------------ */

static bool line_has(struct str line, const struct log_hint *h)
{
    for (uint32_t i = 0; i < h->nvalues; i++)
        if (h->values[i].n == 0 || (line.n && memmem(line.p, line.n, h->values[i].p, h->values[i].n)))
            return true;
    return false;
}

/* A needle: a part of some line, such a part spoilt, or a word. */
static struct str pick_needle(struct model *m)
{
    struct str line = m->rows[below(m->n)].line;
    size_t at = line.n ? below(line.n) : 0, longest = below(3) ? 12 : 60;
    size_t n = line.n ? 1 + below(MIN(line.n - at, longest)) : 0;

    if (below(8) == 0)
        return str_of(some_words[below(ARRAY_LEN(some_words))]);
    if (below(6) || n == 0)
        return str_n(line.p + at, n);
    struct str s = arena_dup(&m->a, str_n(line.p + at, n));
    ((char *)s.p)[below(n)] = (char)('a' + below(26));
    return s;
}

static void check_line_hint(struct model *m, bool fresh)
{
    struct str values[3];
    struct log_hint h = {.kind = below(5) ? LOG_HINT_LINE : LOG_HINT_NO_LINE, .values = values, .nvalues = 1 + (uint32_t)(below(4) == 0) * 2};
    uint64_t *w = x_zalloc((m->n / 64 + 1) * sizeof *w), *had = x_zalloc((m->n / 64 + 1) * sizeof *w);
    struct log_bits bits = {w, m->n};
    bool any = false;
    struct err e;

    for (uint32_t i = 0; i < h.nvalues; i++)
        values[i] = pick_needle(m);
    bool few = below(3) == 0;
    for (uint32_t i = 0; i < m->n; i++)
        w[i / 64] |= (uint64_t)(!few || below(20) == 0) << i % 64;
    memcpy(had, w, (m->n / 64 + 1) * sizeof *w);
    if (fresh)
        must(log_block_open(block, buf_str(&m->block), &e), &e);
    if (below(5) == 0)
        check_some(m, 30); /* some lines are put together already */
    must(log_block_narrow(block, &h, &bits, &e), &e);
    for (uint32_t i = 0; i < m->n; i++) {
        bool has = line_has(m->rows[i].line, &h) == (h.kind == LOG_HINT_LINE), was = had[i / 64] >> i % 64 & 1;

        any |= has;
        if ((w[i / 64] >> i % 64 & 1) != (has && was))
            fail_msg("row %u, %.*s in %.*s: %d", i, STR_ARG(values[0]), STR_ARG(m->rows[i].line), has);
    }
    if (any && !log_filter_may_match(buf_str(&m->filter), &h, 1))
        fail_msg("the filter denies %.*s", STR_ARG(values[0]));
    free(w);
    free(had);
}

static void check_meta_hint(struct model *m)
{
    const struct log_row *r = &m->rows[below(m->n)];
    uint64_t *w = x_zalloc((m->n / 64 + 1) * sizeof *w);
    struct log_bits bits = {w, m->n};
    struct err e;

    memset(w, 0xff, (m->n / 64 + 1) * sizeof *w);
    if (r->nmeta) {
        const struct label *l = &r->meta[below(r->nmeta)];
        struct log_hint h = {.kind = LOG_HINT_META, .name = l->name, .values = &l->value, .nvalues = 1};

        assert_true(log_filter_may_match(buf_str(&m->filter), &h, 1));
        must(log_block_narrow(block, &h, &bits, &e), &e);
        for (uint32_t i = 0; i < m->n; i++) {
            bool has = false;

            for (uint32_t k = 0; k < m->rows[i].nmeta; k++)
                has |= str_eq(m->rows[i].meta[k].name, l->name) && str_eq(m->rows[i].meta[k].value, l->value);
            assert_int_equal(w[i / 64] >> i % 64 & 1, has);
        }
    }
    free(w);
}

static void check_narrow(struct model *m)
{
    struct err e;

    must(log_block_open(block, buf_str(&m->block), &e), &e);
    for (int i = 0; i < 12; i++)
        check_line_hint(m, i % 3 == 0);
    check_meta_hint(m);
}

#endif
