/* test_inflate.c - compressed files piece by piece, however they are cut. */
#include "net/inflate.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

/* All of in through an inflater, `step` bytes at a time, out in pieces of `cap`. */
static int undo(enum encoding enc, struct str in, size_t step, size_t cap, struct buf *out, bool *ended, struct err *e)
{
    struct inflater *f = inflater_new(enc);
    char *piece = x_alloc(cap);
    int code = 0;

    buf_reset(out);
    for (size_t at = 0; at < in.n && code == 0;) {
        struct str part = str_head(str_from(in, at), step);
        size_t n = 0, before = part.n;

        at += part.n;
        do {
            code = inflater_run(f, &part, piece, cap, &n, e);
            buf_put(out, piece, n);
        } while (code == 0 && (part.n || n == cap));
        assert_true(before >= part.n);
    }
    *ended = inflater_at_end(f);
    inflater_free(f);
    free(piece);
    return code;
}

static void make(enum encoding enc, struct str text, struct buf *out)
{
    if (enc == ENC_GZIP) {
        gzip_encode(out, text, 0);
    } else if (enc == ENC_ZSTD) {
        size_t cap = ZSTD_compressBound(text.n), n;
        char *p = x_alloc(cap);

        n = ZSTD_compress(p, cap, text.p, text.n, 3);
        assert_false(ZSTD_isError(n));
        buf_put(out, p, n);
        free(p);
    } else {
        buf_puts(out, text);
    }
}

static void test_pieces(void **state)
{
    static const enum encoding kinds[] = {ENC_IDENTITY, ENC_GZIP, ENC_ZSTD};
    struct buf text = {0}, file = {0}, out = {0};
    struct err e = {0};
    bool ended;

    (void)state;
    for (int i = 0; i < 20000; i++)
        buf_printf(&text, "line %d of a log, %d\n", i, i * 7919 % 1000);
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        buf_reset(&file);
        make(kinds[k], buf_str(&text), &file);
        make(kinds[k], buf_str(&text), &file); /* a second member, as `cat a.gz b.gz` makes it */
        assert_int_equal(inflater_guess(buf_str(&file)), kinds[k]);
        for (size_t step = 1; step < 200000; step = step * 13 + 1)
            for (size_t cap = 7; cap < 300000; cap *= 41) {
                assert_int_equal(undo(kinds[k], buf_str(&file), step, cap, &out, &ended, &e), 0);
                assert_true(ended);
                assert_int_equal(out.n, 2 * text.n);
                assert_memory_equal(out.p, text.p, text.n);
                assert_memory_equal(out.p + text.n, text.p, text.n);
            }
        if (kinds[k] == ENC_IDENTITY)
            continue;
        assert_int_equal(undo(kinds[k], str_head(buf_str(&file), file.n - 9), 4096, 4096, &out, &ended, &e), 0);
        assert_false(ended); /* torn */
        file.p[file.n / 4] ^= 0x55;
        undo(kinds[k], buf_str(&file), 4096, 4096, &out, &ended, &e); /* whatever comes of it: no more than that */
    }
    assert_int_equal(undo(ENC_GZIP, STR("\x1f\x8bnonsense, and much of it"), 4096, 4096, &out, &ended, &e), ERR_INVALID);
    assert_int_equal(undo(ENC_ZSTD, STR("\x28\xb5\x2f\xfdnonsense, and much of it"), 4096, 4096, &out, &ended, &e), ERR_INVALID);
    buf_release(&text);
    buf_release(&file);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
