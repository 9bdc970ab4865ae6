/* Remote write 2.0: symbols, references, and what is refused series by series. */
#include "collector/push/rw2.c"

#include "tests/collector/push/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static int read_message(struct rw_message *m, struct buf *b, struct err *e)
{
    arena_release(&arena);
    return rw2_read(m, &arena, arena_dup(&arena, buf_str(b)), e);
}

static const char *const symbols[] = {"", "__name__", "up", "job", "a", "Is it up.", "trace_id", "é", "x_bucket"};

static void put_symbols(struct buf *b)
{
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++)
        pb_bytes(b, 4, str_of(symbols[i]));
}

static void pb_sample2(struct buf *s, double v, int64_t t, int64_t st)
{
    struct buf x = {0};

    pb_double(&x, 1, v);
    pb_varint(&x, 2, (uint64_t)t);
    if (st)
        pb_varint(&x, 3, (uint64_t)st);
    pb_message(s, 2, &x);
    buf_release(&x);
}

static void test_example_of_the_contract(void **state)
{
    struct labels ls = {(struct label[]){{STR("__name__"), STR("up")}, {STR("job"), STR("a")}}, 2}, got;
    struct buf b = {0}, s = {0}, x = {0};
    struct rw_message m;
    struct err e;

    (void)state;
    for (int symbols_last = 0; symbols_last < 2; symbols_last++) {
        buf_reset(&b);
        if (!symbols_last)
            put_symbols(&b);
        pb_refs(&s, (uint32_t[]){1, 2, 3, 4}, 4);
        pb_sample2(&s, 1, 1700000000000, 0);
        pb_varint(&x, 1, METRIC_GAUGE);
        pb_varint(&x, 3, 5);
        pb_message(&s, 5, &x);
        pb_message(&b, 5, &s);
        if (symbols_last)
            put_symbols(&b);
        assert_int_equal(read_message(&m, &b, &e), 0);
        assert_true(m.batch.nseries == 1 && m.nsamples == 1 && m.batch.t[0] == 1700000000000 && m.batch.v[0] == 1);
        assert_null(m.batch.st);
        assert_true(hash128_eq(m.batch.series[0].key, labels_hash(&ls)));
        assert_int_equal(m.batch.nmetadata, 1);
        assert_true(str_eqz(m.batch.metadata[0].family, "up") && str_eqz(m.batch.metadata[0].help, "Is it up."));
        assert_int_equal(m.batch.labels(&m.batch, 0, &arena, &got, &e), 0);
        assert_true(labels_eq(&got, &ls));
    }
    buf_release(&b);
    buf_release(&s);
    buf_release(&x);
}

static void test_refused_series_keep_the_rest(void **state)
{
    struct buf b = {0}, s = {0}, x = {0};
    struct rw_message m;
    struct err e;

    (void)state;
    put_symbols(&b);
    pb_refs(&s, (uint32_t[]){1, 2, 3}, 3); /* odd */
    pb_sample2(&s, 1, 1, 5);
    pb_message(&b, 5, &s);
    pb_refs(&s, (uint32_t[]){1, 2, 3, 99}, 4); /* out of range */
    pb_sample2(&s, 1, 1, 0);
    pb_sample2(&s, 1, 2, 0);
    pb_message(&b, 5, &s);
    pb_refs(&s, (uint32_t[]){1, 2}, 2); /* both kinds */
    pb_sample2(&s, 1, 1, 0);
    pb_varint(&x, 1, 5);
    pb_varint(&x, 6, 5);
    pb_message(&s, 3, &x);
    pb_message(&b, 5, &s);
    pb_refs(&s, (uint32_t[]){1, 2}, 2); /* no histogram, and one */
    pb_varint(&x, 1, 5);
    pb_message(&s, 3, &x);
    pb_varint(&x, 1, 5);
    pb_varint(&x, 6, 5);
    pb_varint(&x, 15, 1700000000000);
    pb_message(&s, 3, &x);
    pb_message(&b, 5, &s);
    pb_refs(&s, (uint32_t[]){1, 8}, 2); /* good */
    pb_sample2(&s, 4, 1700000000000, 0);
    pb_sample2(&s, 5, 1700000000001, 1600000000000);
    pb_refs(&x, (uint32_t[]){6, 4}, 2);
    pb_double(&x, 2, 0.5);
    pb_varint(&x, 3, 7);
    pb_message(&s, 4, &x);
    pb_message(&b, 5, &s);
    assert_int_equal(read_message(&m, &b, &e), 0);
    assert_int_equal(m.nrefused, 6);
    assert_string_equal(m.refused.text, "3 label references: a name without a value");
    assert_int_equal(m.batch.nseries, 2);
    assert_int_equal(m.nsamples, 3);
    assert_true(m.batch.h[0] && m.batch.h[0]->count == 5 && m.batch.t[0] == 1700000000000);
    assert_true(!m.batch.h[1] && m.batch.v[1] == 4 && m.batch.v[2] == 5);
    assert_true(m.batch.st[1] == 0 && m.batch.st[2] == 1600000000000);
    assert_true(m.nexemplars == 1 && m.batch.exemplars[0].v == 0.5 && m.batch.exemplars[0].t == 7);
    buf_release(&b);
    buf_release(&s);
    buf_release(&x);
}

static void test_unpacked_and_scattered_references(void **state)
{
    struct labels ls = {(struct label[]){{STR("__name__"), STR("up")}, {STR("job"), STR("a")}}, 2}, got;
    struct buf b = {0}, s = {0};
    struct rw_message m;
    struct err e;

    (void)state;
    put_symbols(&b);
    pb_varint(&s, 1, 1);
    pb_sample2(&s, 1, 1700000000000, 0);
    pb_varint(&s, 1, 2);
    pb_refs(&s, (uint32_t[]){3, 4}, 2);
    pb_message(&b, 5, &s);
    assert_int_equal(read_message(&m, &b, &e), 0);
    assert_int_equal(m.batch.nseries, 1);
    assert_true(hash128_eq(m.batch.series[0].key, labels_hash(&ls)));
    assert_int_equal(m.batch.labels(&m.batch, 0, &arena, &got, &e), 0);
    assert_true(labels_eq(&got, &ls));
    buf_release(&b);
    buf_release(&s);
}

static void test_broken(void **state)
{
    static const struct str broken[] = {STR("\x2a\x05"
                                            "a"),
                                        STR("\x2a\x03\x0a\x01\x80"), STR("\x22\x01x"), STR("\x2a\x03\x12\x01\x09")};
    struct rw_message m;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct buf b = {0};

        buf_puts(&b, broken[i]);
        assert_int_equal(read_message(&m, &b, &e), ERR_INVALID);
        buf_release(&b);
    }
}

static void test_limits(void **state)
{
    struct buf b = {0}, s = {0};
    uint32_t *refs = calloc(5000, sizeof *refs);
    struct rw_message m;
    struct err e;

    (void)state;
    put_symbols(&b);
    pb_refs(&s, refs, 5000);
    pb_sample2(&s, 1, 1, 0);
    pb_message(&b, 5, &s);
    assert_int_equal(read_message(&m, &b, &e), 0);
    assert_int_equal(m.batch.nseries, 0);
    assert_non_null(strstr(m.refused.text, "more than 1024"));
    free(refs);
    buf_release(&b);
    buf_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_contract),
        cmocka_unit_test(test_refused_series_keep_the_rest),
        cmocka_unit_test(test_unpacked_and_scattered_references),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_limits),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);

    arena_release(&arena);
    return rc;
}
