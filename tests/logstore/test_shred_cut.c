/* test_shred_cut.c - the slots of a text are where a reader that goes byte by byte finds them, at any length and place of the line. */
#include "logstore/shred_cut.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t rng;

static uint32_t rnd(uint32_t n)
{
    rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(rng >> 33) % n;
}

/* The word or time that begins at p; returns where it ends. */
static const char *plain_token(struct cut *c, const char *p, const char *end, bool *ok)
{
    const char *begin = p, *q = *p >= '0' && *p <= '9' ? skip_time(p, end) : NULL;
    bool digits = false;

    if (q) {
        *ok = put_slot(c, begin, q, SLOT_TIME);
        return q;
    }
    for (; p < end && token_byte((unsigned char)*p); p++)
        digits |= *p >= '0' && *p <= '9';
    for (q = p; *ok && token_class[(unsigned char)q[-1]] == TOKEN_EDGE; q--)
        ;
    if (digits)
        *ok = put_slot(c, begin, q, SLOT_WORD);
    return p;
}

static bool plain_cut(struct cut *c, struct str s)
{
    const char *p = s.p, *end = s.p + s.n, *q;
    bool ok = true;

    c->n = 0;
    while (p < end && ok) {
        unsigned k = token_class[(unsigned char)*p];

        if (k == TOKEN_EDGE) {
            p++;
        } else if (k != 0) {
            p = plain_token(c, p, end, &ok);
        } else if (*p == '"' && (q = find_quote(p + 1, end)) != NULL && q > p + 1) {
            ok = put_slot(c, p + 1, q, SLOT_QUOTED);
            p = q + 1;
        } else {
            ok = (unsigned char)*p++ >= SLOT_SORTS;
        }
    }
    return ok;
}

static struct cut a, b;

static void same_slots(struct str s)
{
    bool ok = cut_text(&a, s), want = plain_cut(&b, s);

    assert_int_equal(ok, want);
    if (!ok)
        return;
    assert_int_equal(a.n, b.n);
    for (uint32_t i = 0; i < a.n; i++) {
        assert_ptr_equal(a.slots[i].p, b.slots[i].p);
        assert_int_equal(a.slots[i].n, b.slots[i].n);
        assert_int_equal(a.slots[i].sort, b.slots[i].sort);
    }
}

/* Pieces of lines, one behind the other; in memory of their own length, so that a sanitizer sees who reads too far. */
static void test_random(void **state)
{
    static const char *const pieces[] = {" ", "a", "word", "12", "7f3a", "-", ".", "..", "_", "\"", "\\\"", "\"quoted 1\"", "2026-11-22T20:33:41.123Z", "20:33:41,5", "22/Nov/2026:20:33:41 +0000",
                                         "10.0.0.1", "key=", "[", "]", "\xc3\xa4", "a-1.", "-5", "\x01", "longwordwithoutanydigitsinitatallthatgoesonforever", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"};

    (void)state;
    a.max = b.max = SHRED_SLOTS_MAX;
    for (int round = 0; round < 60000; round++) {
        struct buf line = {0};
        uint32_t n = rnd(40);

        for (uint32_t i = 0; i < n; i++)
            buf_putz(&line, pieces[rnd(rnd(50) ? ARRAY_LEN(pieces) - 3 : ARRAY_LEN(pieces))]);
        char *exact = x_alloc(line.n + 1);
        if (line.n)
            memcpy(exact + 1, line.p, line.n);
        same_slots(str_n(exact + 1, line.n));
        a.max = b.max = rnd(20) ? SHRED_SLOTS_MAX : 1 + rnd(8);
        free(exact);
        buf_release(&line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    const char *seed = getenv("SEED");

    rng = seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_wall_ns();
    print_message("seed %llu\n", (unsigned long long)rng);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
