/* Compressed bodies: round trips, libsnappy as the oracle, bounds, and inputs that lie. */
#include "net/snappy.c"

#include "net/codec.h"

#include <setjmp.h>
#include <snappy-c.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

static struct arena arena;

static int decode(enum encoding enc, struct str in, size_t max, struct str *out, struct err *e)
{
    arena_reset(&arena);
    return body_decode(&arena, enc, in, max, out, e);
}

/* Bytes with repetitions near and far, so that all kinds of copies come up. */
static void make_text(struct buf *b, size_t n)
{
    buf_reset(b);
    while (b->n < n) {
        size_t len = 1 + (size_t)rand() % (rand() % 8 ? 20 : 300), back;

        if (b->n > 0 && rand() % 3) {
            back = 1 + (size_t)rand() % (rand() % 2 ? MIN(b->n, (size_t)12) : b->n);
            for (size_t i = 0; i < len; i++)
                buf_putc(b, b->p[b->n - back]);
        } else {
            for (size_t i = 0; i < len; i++)
                buf_putc(b, (char)(rand() % 40));
        }
    }
    b->n = n;
}

static void test_snappy_round_trip(void **state)
{
    struct buf text = {0}, packed = {0};
    struct str out;
    struct err e;

    (void)state;
    srand(1);
    for (int i = 0; i < 3000; i++) {
        make_text(&text, (size_t)rand() % (i % 50 ? 2000 : 300000));
        buf_reset(&packed);
        snappy_encode(&packed, buf_str(&text));
        assert_int_equal(decode(ENC_SNAPPY, buf_str(&packed), text.n, &out, &e), 0);
        assert_true(str_eq(out, buf_str(&text)));
        if (text.n)
            assert_int_equal(decode(ENC_SNAPPY, buf_str(&packed), text.n - 1, &out, &e), ERR_LIMIT);
    }
    buf_release(&text);
    buf_release(&packed);
}

/* On damaged input the library and we say the same: both refuse, or both make the same bytes. */
static void test_snappy_agrees_with_the_library(void **state)
{
    struct buf text = {0}, packed = {0};
    unsigned refused = 0, taken = 0;

    (void)state;
    srand(2);
    for (int i = 0; i < 20000; i++) {
        size_t n = 0;
        struct str out;
        struct err e;
        bool ours, theirs = false;
        char *lib = NULL;

        make_text(&text, (size_t)rand() % 400);
        buf_reset(&packed);
        snappy_encode(&packed, buf_str(&text));
        for (int k = rand() % 4; k > 0; k--)
            packed.p[(size_t)rand() % packed.n] = (char)rand();
        if (rand() % 5 == 0)
            packed.n = (size_t)rand() % packed.n;
        if (snappy_uncompressed_length(packed.p, packed.n, &n) == SNAPPY_OK && n < 1 << 20) {
            lib = malloc(n + 1);
            theirs = snappy_uncompress(packed.p, packed.n, lib, &n) == SNAPPY_OK;
        }
        ours = decode(ENC_SNAPPY, buf_str(&packed), 1 << 20, &out, &e) == 0;
        assert_int_equal(ours, theirs);
        if (ours)
            assert_true(str_eq(out, str_n(lib, n)));
        refused += !ours;
        taken += ours;
        free(lib);
    }
    assert_true(refused > 1000 && taken > 1000);
    buf_release(&text);
    buf_release(&packed);
}

static void test_snappy_lies(void **state)
{
    static const struct str bad[] = {STR(""),
                                     STR("\x80"),
                                     STR("\xff\xff\xff\xff\xff\x01"),
                                     STR("\xff\xff\xff\x07"
                                         "abc"),
                                     STR("\x05\x00"
                                         "a"),
                                     STR("\x04\x0c"
                                         "ab"),
                                     STR("\x05\x01\x00"),
                                     STR("\x05\x00"
                                         "a"
                                         "\x01\x02"),
                                     STR("\x05\x00"
                                         "a"
                                         "\x01"),
                                     STR("\x05\xf4\xff"),
                                     STR("\x00\x00"
                                         "a")};
    struct str out;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        e.text[0] = '\0';
        assert_int_equal(decode(ENC_SNAPPY, bad[i], 1 << 30, &out, &e), ERR_INVALID);
        assert_memory_equal(e.text, "snappy: ", 8);
    }
    assert_int_equal(decode(ENC_SNAPPY, STR("\x00"), 0, &out, &e), 0);
    assert_int_equal(out.n, 0);
}

static void test_gzip(void **state)
{
    struct buf text = {0}, packed = {0};
    struct str out;
    struct err e;
    size_t one;

    (void)state;
    srand(3);
    for (int i = 0; i < 100; i++) {
        make_text(&text, (size_t)rand() % 100000);
        buf_reset(&packed);
        gzip_encode(&packed, buf_str(&text), rand() % 10);
        assert_int_equal(decode(ENC_GZIP, buf_str(&packed), text.n, &out, &e), 0);
        assert_true(str_eq(out, buf_str(&text)));
        if (text.n)
            assert_int_equal(decode(ENC_GZIP, buf_str(&packed), text.n - 1, &out, &e), ERR_LIMIT);
        assert_int_equal(decode(ENC_GZIP, str_head(buf_str(&packed), packed.n - 1), text.n, &out, &e), ERR_INVALID);
    }
    one = packed.n;
    gzip_encode(&packed, STR("second"), 0); /* two members in a row */
    assert_int_equal(decode(ENC_GZIP, buf_str(&packed), 1 << 20, &out, &e), 0);
    assert_int_equal(out.n, text.n + 6);
    packed.p[one] = 'x'; /* no member, but something */
    assert_int_equal(decode(ENC_GZIP, buf_str(&packed), 1 << 20, &out, &e), ERR_INVALID);
    assert_int_equal(decode(ENC_GZIP, STR("not gzip at all"), 1 << 20, &out, &e), ERR_INVALID);
    buf_release(&text);
    buf_release(&packed);
}

static void test_deflate_both_kinds(void **state)
{
    struct str out;
    struct err e;

    (void)state;
    for (int raw = 0; raw < 2; raw++) {
        char packed[200];
        z_stream z = {0};

        deflateInit2(&z, 6, Z_DEFLATED, raw ? -15 : 15, 8, 0);
        z.next_in = (Bytef *)(uintptr_t) "abcabcabcabc";
        z.avail_in = 12;
        z.next_out = (Bytef *)packed;
        z.avail_out = sizeof packed;
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(decode(ENC_DEFLATE, str_n(packed, sizeof packed - z.avail_out), 100, &out, &e), 0);
        assert_true(str_eqz(out, "abcabcabcabc"));
        deflateEnd(&z);
    }
}

static void test_bombs(void **state)
{
    struct buf zeros = {0}, packed = {0};
    struct str out;
    struct err e;
    size_t n = 64 << 20;
    char *z;

    (void)state;
    buf_reserve(&zeros, n);
    memset(zeros.p, 0, n);
    zeros.n = n;
    gzip_encode(&packed, buf_str(&zeros), 9);
    assert_int_equal(decode(ENC_GZIP, buf_str(&packed), 1 << 20, &out, &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "1048576"));
    assert_true(arena.bytes < 8 << 20);
    put_u32le(packed.p + packed.n - 4, 10); /* a trailer that lies */
    assert_true(decode(ENC_GZIP, buf_str(&packed), 1 << 20, &out, &e) < 0);
    z = malloc(ZSTD_compressBound(n));
    n = ZSTD_compress(z, ZSTD_compressBound(n), zeros.p, n, 3);
    assert_int_equal(decode(ENC_ZSTD, str_n(z, n), 1 << 20, &out, &e), ERR_LIMIT);
    assert_true(arena.bytes < 16 << 20);
    free(z);
    buf_release(&zeros);
    buf_release(&packed);
}

static void test_zstd(void **state)
{
    struct buf text = {0};
    struct str out;
    struct err e;
    char *z = malloc(ZSTD_compressBound(100000) * 2);

    (void)state;
    srand(4);
    for (int i = 0; i < 100; i++) {
        size_t n, m;

        make_text(&text, 1 + (size_t)rand() % 100000);
        n = ZSTD_compress(z, ZSTD_compressBound(100000), text.p, text.n, 1);
        assert_int_equal(decode(ENC_ZSTD, str_n(z, n), text.n, &out, &e), 0);
        assert_true(str_eq(out, buf_str(&text)));
        assert_int_equal(decode(ENC_ZSTD, str_n(z, n), text.n - 1, &out, &e), ERR_LIMIT);
        assert_int_equal(decode(ENC_ZSTD, str_n(z, n - 1), text.n, &out, &e), ERR_INVALID);
        m = ZSTD_compress(z + n, ZSTD_compressBound(100000), "second", 6, 1);
        assert_int_equal(decode(ENC_ZSTD, str_n(z, n + m), 1 << 20, &out, &e), 0);
        assert_int_equal(out.n, text.n + 6);
    }
    free(z);
    buf_release(&text);
}

static const char hello[] = "hello hello hello hello hello hello hello\n";
/* Written by lz4 1.9.4: as it does by itself, and with the size, linked blocks and checksums of blocks. */
static const char lz4_plain[] = "\x04\x22\x4d\x18\x64\x40\xa7\x10\0\0\0\x6fhello \x06\0\x0cPello\n\0\0\0\0\x73\xd4\x73\x85";
static const char lz4_full[] = "\x04\x22\x4d\x18\x7c\x40\x2a\0\0\0\0\0\0\0\x92\x10\0\0\0\x6fhello \x06\0\x0cPello\n\x9c\xa4\x6e\x89\0\0\0\0\x73\xd4\x73\x85";

static void test_lz4(void **state)
{
    struct buf b = {0};
    struct str out;
    struct err e;

    (void)state;
    assert_int_equal(encoding_parse(STR("lz4")), ENC_LZ4);
    for (int i = 0; i < 2; i++) {
        struct str z = i ? STR(lz4_full) : STR(lz4_plain);

        assert_int_equal(decode(ENC_LZ4, z, 42, &out, &e), 0);
        assert_true(str_eqz(out, hello));
        assert_int_equal(decode(ENC_LZ4, z, 41, &out, &e), ERR_LIMIT);
        for (size_t n = 0; n < z.n; n++)
            assert_int_equal(decode(ENC_LZ4, str_head(z, n), 1 << 20, &out, &e), ERR_INVALID);
        for (size_t n = 0; n < z.n; n++) { /* whatever byte is another, something tells: magic, header, block or content */
            buf_reset(&b);
            buf_puts(&b, z);
            b.p[n] ^= 0x10;
            assert_true(decode(ENC_LZ4, buf_str(&b), 1 << 20, &out, &e) < 0);
        }
        buf_reset(&b); /* two frames, and one between that is passed over */
        buf_puts(&b, z);
        buf_puts(&b, STR("\x53\x2a\x4d\x18\x03\0\0\0xyz"));
        buf_puts(&b, z);
        assert_int_equal(decode(ENC_LZ4, buf_str(&b), 1 << 20, &out, &e), 0);
        assert_int_equal(out.n, 84);
    }
    buf_release(&b);
}

/* A length that does not fit into its half of the token. */
static void put_more(struct buf *b, size_t n)
{
    if (n < 15)
        return;
    for (n -= 15; n >= 255; n -= 255)
        buf_putc(b, (char)255);
    buf_putc(b, (char)n);
}

/* Text and its frame, of random sequences: linked blocks, no checksums. */
static void make_lz4(struct buf *text, struct buf *z)
{
    buf_reset(text);
    buf_reset(z);
    buf_puts(z, STR("\x04\x22\x4d\x18\x40\x70\xdf")); /* blocks up to 4 MiB */
    for (int blocks = rand() % 4; blocks >= 0; blocks--) {
        struct buf block = {0};

        for (int n = rand() % 40; n >= 0; n--) {
            size_t literals = (size_t)rand() % (rand() % 4 ? 20 : 600), match = 4 + (size_t)rand() % (rand() % 4 ? 20 : 1000), back;

            buf_putc(&block, (char)(MIN(literals, (size_t)15) << 4 | (n ? MIN(match - 4, (size_t)15) : 0)));
            if (text->n + literals == 0)
                literals = 1, block.p[block.n - 1] = (char)(1 << 4 | (block.p[block.n - 1] & 15));
            put_more(&block, literals);
            for (size_t i = 0; i < literals; i++) {
                buf_putc(text, (char)rand());
                buf_putc(&block, text->p[text->n - 1]);
            }
            if (n == 0)
                break;
            back = rand() % 2 ? 16 : 65535;
            back = 1 + (size_t)rand() % MIN(text->n, back);
            buf_putc(&block, (char)back);
            buf_putc(&block, (char)(back >> 8));
            put_more(&block, match - 4);
            for (size_t i = 0; i < match; i++)
                buf_putc(text, text->p[text->n - back]);
        }
        put_u32le(buf_reserve(z, 4), (uint32_t)block.n);
        z->n += 4;
        buf_puts(z, buf_str(&block));
        buf_release(&block);
    }
    buf_puts(z, STR("\0\0\0\0"));
}

static void test_lz4_at_random(void **state)
{
    struct buf text = {0}, z = {0};
    struct str out;
    struct err e;

    (void)state;
    srand(5);
    for (int i = 0; i < 2000; i++) {
        make_lz4(&text, &z);
        if (decode(ENC_LZ4, buf_str(&z), text.n, &out, &e) < 0)
            fail_msg("%s", e.text);
        assert_true(str_eq(out, buf_str(&text)));
        assert_int_equal(decode(ENC_LZ4, buf_str(&z), text.n - 1, &out, &e), ERR_LIMIT);
        z.p[7 + rand() % (int)(z.n - 7)] ^= (char)(1 << rand() % 8);
        decode(ENC_LZ4, buf_str(&z), 1 << 20, &out, &e); /* anything but a crash */
    }
    buf_release(&text);
    buf_release(&z);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(encoding_parse(STR(" GZip ")), ENC_GZIP);
    assert_int_equal(encoding_parse(STR("")), ENC_IDENTITY);
    assert_int_equal(encoding_parse(STR("gzip, snappy")), ENC_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snappy_round_trip),
        cmocka_unit_test(test_snappy_agrees_with_the_library),
        cmocka_unit_test(test_snappy_lies),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_deflate_both_kinds),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_zstd),
        cmocka_unit_test(test_lz4),
        cmocka_unit_test(test_lz4_at_random),
        cmocka_unit_test(test_names),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);

    arena_release(&arena);
    return rc;
}
