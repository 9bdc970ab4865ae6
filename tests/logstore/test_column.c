/* test_column.c - columns of integers and of strings of every kind there and back, and that the kind is the one meant. */
#include "logstore/column_ints.c"

#include "logstore/column_text.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "tests/logstore/random_lines.h"

static struct column_out out;
static struct column_in in;
static struct slab out_slab, in_slab;
static struct buf bytes;

static void begin(void)
{
    slab_reset(&out_slab);
    out.slab = &out_slab;
    column_out_begin(&out, false);
}

/* What was written, opened. */
static void reopen(void)
{
    buf_reset(&bytes);
    column_out_end(&out, &bytes);
    slab_reset(&in_slab);
    in.slab = &in_slab;
    in.budget = UINT64_C(1) << 30;
    assert_int_equal(column_in_open(&in, buf_str(&bytes)), 0);
}

static void check_ints(const int64_t *x, uint32_t n)
{
    struct ints ints;
    int64_t *got = x_alloc((n + (size_t)1) * sizeof *got);

    begin();
    ints_write(&out, x, n);
    reopen();
    assert_int_equal(ints_parse(&in, n, &ints), 0);
    assert_ptr_equal(in.at, in.end);
    assert_int_equal(ints_read(&in, &ints, got), 0);
    for (uint32_t i = 0; i < n; i++)
        if (got[i] != x[i])
            fail_msg("value %u of %u: %lld, not %lld", i, n, (long long)got[i], (long long)x[i]);
    free(got);
}

static void seed_rng(void)
{
    const char *given = getenv("SEED");

    rng_state = given ? strtoull(given, NULL, 0) : (uint64_t)clock_wall_ns() | 1;
    print_message("seed %llu\n", (unsigned long long)rng_state);
}

static void test_ints(void **state)
{
    static const int64_t odd[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN / 2, INT64_MAX / 2, INT64_C(1) << 56};
    int64_t x[3000];

    (void)state;
    seed_rng();
    for (int round = 0; round < 600; round++) {
        uint32_t n = (uint32_t)below(round % 10 ? 60 : ARRAY_LEN(x));
        int64_t at = (int64_t)below(1000) * 1000, step = (int64_t)below(5000), scale = below(2) ? 1000000 : 1;

        for (uint32_t i = 0; i < n; i++)
            switch (round % 7) {
            case 0:
                x[i] = odd[below(ARRAY_LEN(odd))];
                break;
            case 1:
                x[i] = at += (int64_t)below(300) * scale;
                break;
            case 2:
                x[i] = at += (step += (int64_t)below(3) - 1) * scale;
                break;
            case 3:
                x[i] = (int64_t)below(200) - 100;
                break;
            case 4:
                x[i] = at + i * step * scale;
                break;
            case 5:
                x[i] = (int64_t)rnd();
                break;
            default:
                x[i] = at += below(100) ? (int64_t)below(9) - 4 : (int64_t)rnd() >> 20;
            }
        check_ints(x, n);
    }
}

static enum text_kind check_text(const struct str *v, uint32_t n, const int64_t *ref)
{
    struct text *t;

    begin();
    text_write(&out, v, n, ref, 1);
    reopen();
    assert_int_equal(text_parse(&in, n, 1, &t), 0);
    assert_ptr_equal(in.at, in.end);
    assert_int_equal(text_read(&in, t, ref), 0);
    for (uint32_t i = 0; i < n; i++)
        if (!str_eq(text_at(t, i), v[i]))
            fail_msg("value %u of %s: %.*s, not %.*s", i, text_kind_name(t->kind), STR_ARG(text_at(t, i)),
                     STR_ARG(v[i]));
    return t->kind;
}

enum { N = 500 };
static struct arena arena;
static struct str values[N];
static int64_t times[N];

/* Fills values from a form: with the value's place, or eight random hex digits for a '#'. */
static void fill(const char *form)
{
    for (uint32_t i = 0; i < N; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        const char *hash = strchr(form, '#');

        values[i] = hash ? arena_printf(&arena, "%.*s%08x%s", (int)(hash - form), form, (unsigned)rnd(), hash + 1)
                         : arena_printf(&arena, form, i);
#pragma GCC diagnostic pop
        times[i] = INT64_C(1763843621000000000) + (int64_t)i * 1000000;
    }
}

static void check_form(const char *form, enum text_kind want)
{
    fill(form);
    enum text_kind got = check_text(values, N, times);
    if (got != want)
        fail_msg("%s: %s, not %s", form, text_kind_name(got), text_kind_name(want));
}

static void test_kinds(void **state)
{
    (void)state;
    seed_rng();
    check_form("same", TEXT_CONST);
    check_form("%u", TEXT_NUMBERS);
    check_form("user_%u ms", TEXT_NUMBERS);
    check_form("-1%u", TEXT_NUMBERS);
    check_form("%06u", TEXT_NUMBERS);
    check_form("#-cafe", TEXT_HEX);
    check_form("4bf92f35-#", TEXT_HEX);
    check_form("2026-11-22T20:33:41.%03uZ", TEXT_TIMES);
    for (uint32_t i = 0; i < N; i++)
        values[i] = arena_printf(&arena, "10.%u.%u.%u", (unsigned)below(256), i % 256, (unsigned)below(256));
    assert_int_equal(check_text(values, N, NULL), TEXT_IPS);
    for (uint32_t i = 0; i < N; i++)
        values[i] = str_of(some_words[below(5)]);
    assert_int_equal(check_text(values, N, NULL), TEXT_DICT);
    for (uint32_t i = 0; i < N; i++)
        values[i] = arena_printf(&arena, "E%u\n\tat a(%u)\n\tat b\n\tat c\n\tat d(%u)", i, (unsigned)below(9), i);
    assert_int_equal(check_text(values, N, NULL), TEXT_SPLIT);
    for (uint32_t i = 0; i < N; i++)
        values[i] = arena_printf(&arena, "order %u of user_%u was accepted", i, (unsigned)below(100000));
    assert_int_equal(check_text(values, N, NULL), TEXT_SHRED);
    arena_reset(&arena);
}

/* Values that almost fit a kind: one of them does not. */
static void test_almost(void **state)
{
    static const char *const forms[] = {"%u", "user_%u", "%06u", "#", "2026-11-22T20:33:41.%03uZ", "10.0.0.%u"};
    static const char *const odd[] = {"",
                                      "-0",
                                      "00",
                                      "1.",
                                      ".5",
                                      "+1",
                                      "0x1",
                                      "256.1.1.1",
                                      "01.1.1.1",
                                      "1.1.1",
                                      "2026-13-01T00:00:00.000Z",
                                      "2026-11-22 20:33:41.001Z",
                                      "99999999999999999999",
                                      "user_",
                                      "ABCDEF01",
                                      "\xff",
                                      "12345678901234567890.1",
                                      "-",
                                      "1.1.1.1.1",
                                      "2026-11-22T20:33:60.000Z"};

    (void)state;
    seed_rng();
    for (size_t f = 0; f < ARRAY_LEN(forms); f++)
        for (size_t k = 0; k < ARRAY_LEN(odd); k++) {
            fill(forms[f]);
            values[below(N)] = str_of(odd[k]);
            if (below(2))
                values[0] = str_of(odd[k]);
            check_text(values, (uint32_t)(1 + below(N)), times);
            arena_reset(&arena);
        }
}

static int teardown(void **state)
{
    (void)state;
    log_column_out_release(&out);
    slab_release(&out_slab);
    slab_release(&in_slab);
    buf_release(&bytes);
    arena_release(&arena);
    ZSTD_freeDCtx(in.zstd);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    in.zstd = ZSTD_createDCtx();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ints),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_almost),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
