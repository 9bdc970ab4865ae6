/* test_codec.c - random columns of every kind there and back, bit for bit; damage of every byte; golden bytes of the
 * format. */
#include "tsdb/codec_ints.c"

#include "tsdb/codec_pack.c"
#include "tsdb/codec_values.c"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t seed, state_;

static uint64_t rnd(void)
{
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545f4914f6cdd1du;
}

static uint64_t below(uint64_t n)
{
    return rnd() % n;
}

static struct column_in reader_of(struct column_out *o)
{
    struct column_in in;

    memset(buf_reserve(&o->bits, CODEC_SLACK), 0xaa, CODEC_SLACK);
    buf_reserve(&o->codes, 1);
    buf_reserve(&o->nums, 1);
    in.code = (const uint8_t *)o->codes.p;
    in.code_end = in.code + o->codes.n;
    in.num = (const uint8_t *)o->nums.p;
    in.num_end = in.num + o->nums.n;
    in.bit = (const uint8_t *)o->bits.p;
    in.bit_end = in.bit + o->bits.n;
    return in;
}

static void at_end(const struct column_in *in)
{
    assert_ptr_equal(in->code, in->code_end);
    assert_ptr_equal(in->num, in->num_end);
    assert_ptr_equal(in->bit, in->bit_end);
}

/* --- kernels -------------------------------------------------------------------------------------- */

static void test_pack(void **state)
{
    enum { N = 300 };
    uint8_t packed[N * 8 + 64];
    uint64_t v[N], out[N + 8], plain[N + 8];

    (void)state;
    for (unsigned w = 0; w <= 64; w = w == 57 ? 64 : w + 1)
        for (int round = 0; round < 20; round++) {
            uint32_t n = (uint32_t)below(N);

            for (uint32_t i = 0; i < n; i++)
                v[i] = w == 0 ? 0 : rnd() >> (64 - w);
            memset(packed, 0xff, sizeof packed);
            pack_bits(packed, v, n, w);
            unpack_bits(packed, out, n, w);
            assert_memory_equal(v, out, n * 8);
            if (w < 64) {
                unpack_plain(packed, plain, n, w);
                assert_memory_equal(v, plain, n * 8);
            }
        }
}

/* The vector kernel and the plain one must agree to the bit. */
static void test_scale(void **state)
{
    enum { N = 37 };
    int64_t x[N];
    double a[N], b[N];

    (void)state;
    for (int round = 0; round < 2000; round++) {
        unsigned digits = (unsigned)below(16);
        int shift = digits ? 0 : (int)below(51);

        for (uint32_t i = 0; i < N; i++) {
            x[i] = (int64_t)(rnd() >> (13 + below(51)));
            x[i] = below(2) ? -x[i] : x[i];
        }
        scale_ints(x, a, N, digits, shift);
        scale_plain(x, b, N, shift ? (double)(UINT64_C(1) << shift) : 1, pow10_table[digits]);
        for (uint32_t i = 0; i < N; i++)
            assert_true(a[i] == b[i]);
    }
}

/* --- integers --------------------------------------------------------------------------------------- */

static int64_t some_int(int kind, int64_t before, uint32_t i)
{
    switch (kind) {
    case 0:
        return (int64_t)rnd();
    case 1:
        return (int64_t)((uint64_t)before + below(1000));
    case 2:
        return (int64_t)i * 15000 + (below(20) ? 0 : (int64_t)below(9));
    case 3:
        return (int64_t)((uint64_t)before + (below(50) == 0));
    case 4:
        return below(3) ? (int64_t)((uint64_t)before + below(101) - 50) : before;
    case 5:
        return below(100) ? (int64_t)((uint64_t)before + 700 + below(50)) : (int64_t)below(1000); /* resets */
    case 6:
        return (int64_t)below(16) - 8;
    case 7:
        return below(200) ? 5 : (int64_t)rnd(); /* outliers */
    default:
        return below(2) ? INT64_MIN : INT64_MAX;
    }
}

static void check_ints(const int64_t *x, uint32_t n)
{
    struct column_out o = {0};
    int64_t *out = x_alloc((n + 1) * sizeof *out);

    ints_encode(&o, x, n);
    struct column_in in = reader_of(&o);
    assert_int_equal(ints_skip(&in, n), 0);
    at_end(&in);
    in = reader_of(&o);
    assert_int_equal(ints_decode(&in, n, n, out), 0);
    at_end(&in);
    assert_memory_equal(x, out, n * sizeof *x);
    uint32_t upto = (uint32_t)below(n + 1);
    in = reader_of(&o);
    memset(out, 0, n * sizeof *out);
    assert_int_equal(ints_decode(&in, n, upto, out), 0);
    assert_memory_equal(x, out, upto * sizeof *x);
    column_out_release(&o);
    free(out);
}

static void test_ints(void **state)
{
    int64_t x[3000];

    (void)state;
    for (int round = 0; round < 6000; round++) {
        int kind = (int)below(9);
        uint32_t n = (uint32_t)(below(4) ? below(40) : below(ARRAY_LEN(x)));
        int64_t before = 0;

        for (uint32_t i = 0; i < n; i++) {
            x[i] = before = some_int(kind, before, i);
            if (below(500) == 0)
                kind = (int)below(9);
        }
        check_ints(x, n);
    }
}

/* --- values ------------------------------------------------------------------------------------------ */

static double some_special(void)
{
    static const uint64_t bits[] = {STALE_NAN_BITS,
                                    NORMAL_NAN_BITS,
                                    UINT64_C(0x7ff0000000000000),
                                    UINT64_C(0xfff0000000000000),
                                    UINT64_C(0x8000000000000000),
                                    UINT64_C(0xfff8000000000123),
                                    1,
                                    UINT64_C(0x7fefffffffffffff)};

    return f64_from_bits(bits[below(ARRAY_LEN(bits))]);
}

static double some_value(int kind, double before, uint32_t i)
{
    switch (kind) {
    case 0:
        return 42;
    case 1:
        return before + (double)below(1000);
    case 2:
        return (double)(int64_t)(before * 100 + (double)below(300)) / 100;
    case 3:
        return (double)below(2000000) / 1e9;
    case 4:
        return (double)(below(67108864) * 4096);
    case 5:
        return before + (double)below(900) * (0.03 + 1e-6 * (double)below(8192)); /* drifts away from decimals */
    case 6:
        return f64_from_bits(rnd());
    case 7:
        return some_special();
    case 8:
        return (double)below(1000) / 1000 * 1e300;
    case 9:
        return -before + 0.1 * i;
    case 10:
        return (double)(rnd() >> below(64));
    case 11:
        return below(30) ? before : before + 1;
    case 12:
        return (double)rnd() / 18446744073709551616.0;
    default:
        return (double)below(3) * 0x1p-1074;
    }
}

static void check_values(const double *v, uint32_t n)
{
    struct column_out o = {0};
    double *out = x_alloc((n + 1) * sizeof *out);

    values_encode(&o, v, n);
    struct column_in in = reader_of(&o);
    assert_int_equal(values_skip(&in, n), 0);
    at_end(&in);
    in = reader_of(&o);
    assert_int_equal(values_decode(&in, n, n, out), 0);
    at_end(&in);
    assert_memory_equal(v, out, n * sizeof *v);
    uint32_t upto = (uint32_t)below(n + 1);
    in = reader_of(&o);
    memset(out, 0, n * sizeof *out);
    assert_int_equal(values_decode(&in, n, upto, out), 0);
    assert_memory_equal(v, out, upto * sizeof *v);
    column_out_release(&o);
    free(out);
}

static void fill(double *v, uint32_t n, int kind)
{
    double before = (double)below(1000);
    uint64_t specials = below(3) ? 0 : 5 + below(100);

    for (uint32_t i = 0; i < n; i++) {
        before = some_value(kind, before, i);
        v[i] = specials && below(specials) == 0 ? some_special() : before;
        if (below(1000) == 0)
            kind = (int)below(14);
    }
}

static void test_values(void **state)
{
    static double v[5000];

    (void)state;
    for (int round = 0; round < 8000; round++) {
        uint32_t n = (uint32_t)(below(4) ? below(300) : below(ARRAY_LEN(v)));

        fill(v, n, (int)below(14));
        check_values(v, n);
    }
}

/* Special cases worth naming: all special, specials at the front, one value, both zeros. */
static void test_corners(void **state)
{
    double nan = f64_from_bits(STALE_NAN_BITS);
    double a[] = {nan, nan, 3, 4, 5}, b[] = {nan}, c[] = {0.0, -0.0, 0.0},
           d[] = {nan, f64_from_bits(NORMAL_NAN_BITS), -0.0}, e[] = {1, 2, nan}, f[] = {0.1, 0.2, 0.1 + 0.2},
           g[] = {2251799813685247.0, 2251799813685248.0, -2251799813685248.0};

    (void)state;
    check_values(a, ARRAY_LEN(a));
    check_values(b, ARRAY_LEN(b));
    check_values(c, ARRAY_LEN(c));
    check_values(d, ARRAY_LEN(d));
    check_values(e, ARRAY_LEN(e));
    check_values(f, ARRAY_LEN(f));
    check_values(g, ARRAY_LEN(g));
    check_values(a, 0);
}

/* --- size -------------------------------------------------------------------------------------------- */

static double bytes_per_value(const double *v, uint32_t n)
{
    struct column_out o = {0};

    values_encode(&o, v, n);
    double bytes = (double)(o.codes.n + o.nums.n + o.bits.n) / n;
    column_out_release(&o);
    return bytes;
}

static void test_sizes(void **state)
{
    enum { N = 480 };
    double v[N], x = 1000;

    (void)state;
    for (int i = 0; i < N; i++)
        v[i] = 17.25;
    assert_true(bytes_per_value(v, N) < 0.02); /* constant */
    for (int i = 0; i < N; i++)
        v[i] = x += (double)(100 + below(16));
    assert_true(bytes_per_value(v, N) < 0.55); /* a counter: 4 bits */
    for (int i = 0; i < N; i++)
        v[i] = (double)(i / 60) * 3 + 0.5;
    assert_true(bytes_per_value(v, N) < 0.1); /* moves rarely */
    for (int i = 0; i < N; i++)
        v[i] = i == 240 ? (x = 5) : (x += (double)(100 + below(16)));
    assert_true(bytes_per_value(v, N) < 0.6); /* a counter with a reset */
    for (int i = 0; i < N; i++)
        v[i] = x += (double)below(100) * (0.03 + 1e-6 * (double)below(8192));
    assert_true(bytes_per_value(v, N) < 3.2); /* a drifting sum, 8 bytes plain */
    for (int i = 0; i < N; i++)
        v[i] = i % 97 == 50 ? f64_from_bits(STALE_NAN_BITS) : (double)below(8);
    assert_true(bytes_per_value(v, N) < 0.7); /* staleness markers among small integers */
}

/* --- damage ------------------------------------------------------------------------------------------- */

/* Any byte may be anything: the decoder says no or gives other values, and stays inside its bytes (ASan watches). */
static void test_damage(void **state)
{
    double v[600], out[600];

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct column_out o = {0};
        uint32_t n = 1 + (uint32_t)below(ARRAY_LEN(v));

        fill(v, n, (int)below(14));
        values_encode(&o, v, n);
        for (int k = 0; k < 20; k++) {
            struct buf *b = k % 3 == 0 ? &o.codes : k % 3 == 1 ? &o.nums : &o.bits;
            struct column_in in;

            if (b->n == 0)
                continue;
            b->p[below(b->n)] ^= (char)(1 << below(8));
            in = reader_of(&o);
            if (below(4) == 0)
                in.num_end -= below((uint64_t)(in.num_end - in.num) + 1);
            if (below(4) == 0)
                in.bit_end -= below((uint64_t)(in.bit_end - in.bit) + 1);
            struct column_in again = in;
            int rc = values_decode(&in, n, n, out);
            assert_true(rc == 0 || rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED);
            if (rc == 0)
                assert_int_equal(values_skip(&again, n), 0);
        }
        column_out_release(&o);
    }
}

/* --- golden --------------------------------------------------------------------------------------------- */

static void hex(struct buf *out, const struct buf *b)
{
    for (size_t i = 0; i < b->n; i++)
        buf_printf(out, "%02x", (unsigned char)b->p[i]);
    buf_putc(out, ' ');
}

static void check_golden(const double *v, uint32_t n, const char *want)
{
    struct column_out o = {0};
    struct buf text = {0};

    values_encode(&o, v, n);
    hex(&text, &o.codes);
    hex(&text, &o.nums);
    hex(&text, &o.bits);
    if (strcmp(buf_z(&text), want) != 0)
        fprintf(stderr, "is   %s\nwant %s\n", text.p, want);
    bool same = strcmp(buf_z(&text), want) == 0;
    buf_release(&text);
    column_out_release(&o);
    assert_true(same);
}

/* The format is fixed: what is on disks must be read for ever. A new one gets a new kind. */
static void test_golden(void **state)
{
    const double constant[] = {2.5, 2.5, 2.5}, counter[] = {10, 13, 15, 20, 22, 23, 27, 31, 36, 39};
    const double decimal[] = {0.25, 0.5, 0.31, 0.31, 0.4, 0.12}, pages[] = {4096, 8192, 4096, 12288, 4096};
    double special[] = {1, 2, 3, 4, 0, 6};

    (void)state;
    special[4] = f64_from_bits(STALE_NAN_BITS);
    check_golden(constant, ARRAY_LEN(constant), "0001 32  ");
    check_golden(counter, ARRAY_LEN(counter), "02000103 1402 0a838d02 ");
    check_golden(decimal, ARRAY_LEN(decimal), "02020206 323257 c05f1f ");
    check_golden(pages, ARRAY_LEN(pages), "022c0002 02 8400 ");
    check_golden(special, ARRAY_LEN(special), "82000181 02020104020000000000f07f 1708 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack),   cmocka_unit_test(test_scale),   cmocka_unit_test(test_ints),
        cmocka_unit_test(test_values), cmocka_unit_test(test_corners), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_golden),
    };

    seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)clock_wall_ns() | 1;
    state_ = seed;
    fprintf(stderr, "SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
