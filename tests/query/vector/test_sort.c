/* test_sort.c - sorting as qsort does, for any length, and stopping in the middle without losing an item. */
#include "query/vector/sort.c"

#include "tests/query/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct item {
    uint32_t key, place;
};

static int by_key(const void *a, const void *b)
{
    uint32_t x = ((const struct item *)a)->key, y = ((const struct item *)b)->key;

    return (x > y) - (x < y);
}

static struct item *make(size_t n, uint32_t keys)
{
    struct item *v = x_alloc(n * sizeof *v);

    for (size_t i = 0; i < n; i++)
        v[i] = (struct item){(uint32_t)draw(keys), (uint32_t)i};
    return v;
}

static void test_lengths(void **state)
{
    static const size_t lengths[] = {0, 1, 2, 511, 512, 513, 1024, 1025, 1536, 5000, 70000};
    struct err e;

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(lengths) * 2; k++) {
        size_t n = lengths[k / 2];
        struct item *v = make(n, k % 2 ? 10 : 1u << 30);
        uint8_t *seen = x_zalloc(n);

        assert_int_equal(sort_items(v, n, sizeof *v, by_key, NULL, "test", &e), 0);
        for (size_t i = 0; i < n; i++) {
            assert_true(i == 0 || v[i - 1].key <= v[i].key);
            assert_false(seen[v[i].place]++);
        }
        free(seen);
        free(v);
    }
}

static bool stop_now(void *left)
{
    return (*(int *)left)-- <= 0;
}

/* Stopped at every check there is. */
static void test_stops(void **state)
{
    enum { N = 20000 };
    struct query_engine_opts o;
    struct query_engine *en;
    bool ended = false;

    (void)state;
    query_engine_opts_default(&o);
    en = query_engine_new(&o);
    for (int checks = 0; !ended; checks++) {
        struct item *v = make(N, 1000);
        uint8_t *seen = x_zalloc(N);
        struct query *q = query_begin(en, "test", STR("sort"), NULL);
        int left = checks;
        struct err e;
        int code;

        q->canceled = stop_now;
        q->canceled_arg = &left;
        code = sort_items(v, N, sizeof *v, by_key, q, "sort", &e);
        ended = code == 0;
        if (!ended) {
            assert_int_equal(code, ERR_CANCELED);
            assert_non_null(strstr(e.text, "in sort"));
        }
        for (size_t i = 0; i < N; i++)
            assert_false(seen[v[i].place]++);
        query_end(q);
        free(seen);
        free(v);
        assert_true(checks < 1000);
    }
    query_engine_free(en);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths), cmocka_unit_test(test_stops)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
