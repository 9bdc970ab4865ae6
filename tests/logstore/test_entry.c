/* test_entry.c - journal entries: what is written is read again; cut and changed bytes are an error, never more. */
#include "logstore/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROWS = 200 };

static uint64_t rng = 7;

static uint32_t rnd(uint32_t n)
{
    rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(rng >> 33) % n;
}

static struct log_head_row rows[ROWS];
static struct label metas[8][3];
static char lines[ROWS * 64];

/* An entry of two streams, marks, and rows that share metadata and not. */
static void make(struct buf *out, size_t *nlines)
{
    struct log_piece piece = {.rows = rows, .nrows = ROWS};
    struct label pairs[2] = {{STR("app"), STR("x")}, {STR("host"), STR("a")}};
    struct labels one = {pairs, 2}, two = {pairs, 1};
    struct log_mark marks[2] = {{STR("file/a"), STR("12")}, {STR("gone"), STR("")}};
    struct log_entry_packer *p = log_entry_packer_new();
    int64_t mint = INT64_MAX, maxt = INT64_MIN;

    for (uint32_t i = 0; i < 8; i++)
        for (uint32_t k = 0; k < 3; k++)
            metas[i][k] = (struct label){k == 0 ? STR("a") : k == 1 ? STR("b") : STR("level"), i % 2 ? STR("") : STR("value")};
    *nlines = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        struct log_head_row *r = &rows[i];
        *r = (struct log_head_row){.t_ns = INT64_C(1763816400000000000) + (int64_t)i * 1000 - rnd(5000), .line = lines + *nlines};
        r->line_bytes = (uint32_t)snprintf(lines + *nlines, 60, "line %u of %u", rnd(100), i) * (rnd(8) > 0);
        *nlines += r->line_bytes;
        r->nmeta = (uint16_t)rnd(4);
        r->meta = r->nmeta ? metas[rnd(8)] : NULL;
        mint = MIN(mint, r->t_ns);
        maxt = MAX(maxt, r->t_ns);
    }
    for (uint32_t i = 1; i < ROWS; i++) /* who shares an array shares all of it */
        for (uint32_t k = 0; k < i; k++)
            if (rows[i].meta == rows[k].meta)
                rows[i].nmeta = rows[k].nmeta;
    log_entry_head_begin(out, 5, 2);
    log_entry_head_def(out, &one);
    log_entry_head_def(out, &two);
    log_entry_head_marks(out, marks, 2);
    log_entry_head_runs(out, 2);
    log_entry_head_run(out, 6, 150);
    log_entry_head_run(out, 1, 50);
    log_entry_head_times(out, mint, maxt);
    log_entry_pack(p, &piece, str_n(lines, *nlines), out);
    log_entry_packer_free(p);
}

/* Reads all of it; 0 or ERR_CORRUPT. */
static int read_all(struct str bytes, struct log_head_row **out, char **mem, struct label **labels)
{
    struct log_unpacker *u = log_unpacker_new();
    struct arena a = {0};
    struct log_entry in;
    struct err e = {0};
    int rc = log_entry_read(bytes, &a, &in, &e);

    *out = NULL;
    *mem = NULL;
    *labels = NULL;
    if (rc == 0) {
        *out = x_alloc((in.nrows + 1) * sizeof **out);
        *mem = x_alloc(log_entry_mem_bytes(&in) + 1);
        *labels = x_alloc((in.nlabels + 1) * sizeof **labels);
        rc = log_entry_rows(u, &in, *out, *labels, *mem, &e);
    }
    assert_true(rc == 0 || (rc == ERR_CORRUPT && e.text[0]));
    log_unpacker_free(u);
    arena_release(&a);
    return rc;
}

static void release(struct log_head_row *r, char *mem, struct label *labels)
{
    free(r);
    free(mem);
    free(labels);
}

static void test_round(void **state)
{
    struct log_head_row *got;
    struct label *labels;
    struct arena a = {0};
    struct log_entry in;
    struct buf b = {0};
    struct err e = {0};
    size_t nlines;
    char *mem;

    (void)state;
    make(&b, &nlines);
    assert_int_equal(log_entry_read(buf_str(&b), &a, &in, &e), 0);
    assert_true(in.first_local == 5 && in.ndefs == 2 && in.nmarks == 2 && in.nruns == 2 && in.nrows == ROWS);
    assert_true(in.defs[0].n == 2 && str_eqz(in.defs[0].v[1].value, "a") && in.defs[1].n == 1);
    assert_true(str_eqz(in.marks[0].key, "file/a") && str_eqz(in.marks[0].value, "12") && in.marks[1].value.n == 0);
    assert_true(in.runs[0].local == 6 && in.runs[0].n == 150 && in.runs[1].local == 1);
    assert_int_equal(read_all(buf_str(&b), &got, &mem, &labels), 0);
    for (uint32_t i = 0; i < ROWS; i++) {
        assert_true(got[i].t_ns == rows[i].t_ns && got[i].t_ns >= in.mint_ns && got[i].t_ns <= in.maxt_ns);
        assert_true(log_row_equals(&got[i], str_n(rows[i].line, rows[i].line_bytes), rows[i].meta, rows[i].nmeta));
    }
    release(got, mem, labels);
    buf_release(&b);
    arena_release(&a);
}

static void test_damage(void **state)
{
    struct buf b = {0};
    struct log_head_row *got;
    struct label *labels;
    size_t nlines;
    char *mem;

    (void)state;
    make(&b, &nlines);
    for (size_t n = 0; n < b.n; n++) {
        char *exact = x_alloc(n + 1); /* so that reading on is noticed */
        memcpy(exact, b.p, n);
        assert_int_equal(read_all(str_n(exact, n), &got, &mem, &labels), ERR_CORRUPT);
        release(got, mem, labels);
        free(exact);
    }
    for (uint32_t i = 0; i < 20000; i++) {
        size_t at = rnd((uint32_t)b.n);
        char was = b.p[at];
        b.p[at] ^= (char)(1u << rnd(8));
        read_all(buf_str(&b), &got, &mem, &labels);
        release(got, mem, labels);
        b.p[at] = was;
    }
    buf_release(&b);
}

/* The bytes of version 1: a file that was written stays readable. */
static void test_golden(void **state)
{
    static const char golden[] = "\x01\x00\x01\x01\x03" "app\x01x\x00\x01\x00\x02\x14\x02\x02\x01\x05level\x00\x12\x12"
                                 "\x14\x02\x01\x01\x00\x04" "info\x02\x01\x02\x00\x00\x00" "\x00\x03\x03" "abc";
    struct log_head_row *got;
    struct label *labels;
    char *mem;

    (void)state;
    /* rows: 10 "ab" {level=info}, 11 "c" with the same; the columns say 18 bytes and have three too many. */
    assert_int_equal(read_all(str_n(golden, sizeof golden - 1), &got, &mem, &labels), ERR_CORRUPT);
    release(got, mem, labels);
    static const char good[] = "\x01\x00\x01\x01\x03" "app\x01x\x00\x01\x00\x02\x14\x01\x01\x01\x05level\x00\x0d\x0d"
                               "\x14\x02\x01\x01\x00\x04" "info\x02\x01\x02" "\x00\x03\x03" "abc";
    assert_int_equal(read_all(str_n(good, sizeof good - 1), &got, &mem, &labels), 0);
    assert_true(got[0].t_ns == 10 && got[0].line_bytes == 2 && got[0].nmeta == 1 && str_eqz(got[0].meta[0].value, "info"));
    assert_true(got[1].t_ns == 11 && got[1].line_bytes == 1 && got[1].meta == got[0].meta);
    release(got, mem, labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round), cmocka_unit_test(test_damage), cmocka_unit_test(test_golden)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
