/* test_mem.c - the arena: pieces stay apart and where they are, limits hold, and growing leaves nothing behind. */
#include "base/mem.c"
#include "tests/base/prop.h"

static void pieces(void **state)
{
    struct arena a = {0};
    unsigned char *p[500];
    size_t n[500];

    (void)state;
    for (int i = 0; i < 500; i++) {
        n[i] = (size_t)(i * 37 % 5000) + 1;
        p[i] = arena_alloc(&a, n[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], i & 255, n[i]);
    }
    for (int i = 0; i < 500; i++)
        for (size_t k = 0; k < n[i]; k++)
            assert_int_equal(p[i][k], i & 255);
    arena_reset(&a);
    assert_true(a.bytes <= CHUNK_MIN);
    arena_release(&a);
    assert_int_equal(a.bytes, 0);
}

static void limits(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 100000);
    assert_non_null(arena_try_alloc(&a, 50000));
    assert_null(arena_try_alloc(&a, 60000));
    assert_null(arena_try_alloc(&a, SIZE_MAX - 8));
    assert_non_null(arena_alloc(&a, 60000)); /* what may not fail does not */
    assert_int_equal(a.bytes_max, 100000);
    arena_release(&a);
}

/* From nothing to 64 MiB by doubling, with other pieces before: the bytes stay, and one copy of them is held. */
static void growing(void **state)
{
    struct arena a = {0};
    struct str before = arena_dup(&a, STR("before"));
    size_t n = 256, used = 0;
    unsigned char *p = arena_alloc(&a, n);

    (void)state;
    for (;;) {
        for (; used < n; used += 251)
            p[used] = (unsigned char)(used / 251);
        if (n == 64 << 20)
            break;
        p = arena_grow(&a, p, n, n * 2);
        n *= 2;
        assert_int_equal((uintptr_t)p % 16, 0);
    }
    for (size_t i = 0; i < n; i += 251)
        assert_int_equal(p[i], (unsigned char)(i / 251));
    assert_true(a.bytes < n + 2 * GROW_ALONE + 3 * CHUNK_MIN);
    assert_true(str_eqz(before, "before"));
    memset(arena_alloc(&a, 1000), 1, 1000); /* beside it, not in it */
    assert_int_equal(p[0], 0);
    assert_int_equal(p[251], 1);
    arena_reset(&a);
    assert_true(a.bytes <= CHUNK_MIN);
    arena_release(&a);
}

/* The newest piece of an arena that was empty: it is the first chunk. */
static void growing_alone(void **state)
{
    struct arena a = {0};
    char *p = arena_alloc(&a, 100000);

    (void)state;
    memset(p, 'x', 100000);
    p = arena_grow(&a, p, 100000, 3000000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(p[i], 'x');
    memset(p, 'y', 3000000);
    assert_true(a.bytes < 3100000);
    p = arena_grow(&a, p, 0, 10); /* smaller is a new piece */
    memcpy(p, "0123456789", 10);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pieces), cmocka_unit_test(limits), cmocka_unit_test(growing), cmocka_unit_test(growing_alone)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
