/* test_chunks.c - chunks are nobody else's while they are held, are kept for the next, and go back when nobody needs them. */
#include "base/chunks.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 100
#define ROUNDS 3000

static uint32_t seed = 1;

static uint32_t draw(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void mark(char *p, uint64_t x)
{
    memcpy(p, &x, sizeof x);
    memcpy(p + CHUNK_BYTES - sizeof x, &x, sizeof x);
}

static void check(const char *p, uint64_t x)
{
    assert_memory_equal(p, &x, sizeof x);
    assert_memory_equal(p + CHUNK_BYTES - sizeof x, &x, sizeof x);
}

static void test_random(void **state)
{
    char *held[MANY] = {0};

    (void)state;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint32_t k = draw(MANY);

        if (held[k]) {
            check(held[k], k);
            chunk_give(held[k]);
            held[k] = NULL;
        } else {
            held[k] = chunk_take();
            assert_int_equal((uintptr_t)held[k] % 16, 0);
            mark(held[k], k);
        }
        if (draw(20) == 0)
            chunks_trim((size_t)draw(10) * CHUNK_BYTES);
    }
    for (uint32_t k = 0; k < MANY; k++)
        if (held[k]) {
            check(held[k], k);
            chunk_give(held[k]);
        }
}

#ifndef PLAIN
static void test_trim(void **state)
{
    void *v[MANY];

    (void)state;
    while (chunks_trim(SIZE_MAX))
        ;
    assert_int_equal(chunks_idle(), 0);
    for (int i = 0; i < MANY; i++)
        v[i] = chunk_take();
    for (int i = 0; i < MANY; i++)
        chunk_give(v[i]);
    assert_int_equal(chunks_idle(), (size_t)MANY * CHUNK_BYTES);
    /* In use since the last trim: nothing goes yet. */
    assert_int_equal(chunks_trim(SIZE_MAX), (size_t)MANY * CHUNK_BYTES);
    /* Then it goes in steps. */
    assert_int_equal(chunks_trim(10 * (size_t)CHUNK_BYTES), (size_t)(MANY - 10) * CHUNK_BYTES);
    /* What is needed in between stays. */
    for (int i = 0; i < 60; i++)
        v[i] = chunk_take();
    for (int i = 0; i < 60; i++)
        chunk_give(v[i]);
    assert_int_equal(chunks_trim(SIZE_MAX), 60 * (size_t)CHUNK_BYTES);
    assert_int_equal(chunks_trim(SIZE_MAX), 0);
    assert_int_equal(chunks_idle(), 0);
}
#endif

static void test_fork(void **state)
{
    void *p = chunk_take();
    int status = 1;
    pid_t child;

    (void)state;
    mark(p, 7);
    child = fork();
    if (child == 0) {
        void *more = chunk_take();

        mark(more, 8);
        _exit(memcmp(p, "\7", 1) != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    check(p, 7);
    chunk_give(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
#ifndef PLAIN
        cmocka_unit_test(test_trim),
#endif
        cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
