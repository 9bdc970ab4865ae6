/*
 * test_series_cache.c - the cache against a plain model: random scrapes, some of which fail; each marker that is owed is given
 * once, and none else. The seed is printed; TEST_SEED=N repeats one.
 */
#include "collector/scrape/series_cache.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { NAMES = 3000, SCRAPES = 400 };

static uint64_t rng;

static uint64_t draw(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

static struct {
    bool live, in_scrape, tracked, marked;
} model[NAMES];

static struct series_cache cache;

static void gone(void *arg, const struct cached_series *s)
{
    char text[32] = "";
    unsigned k;

    (void)arg;
    memcpy(text, series_cache_text(&cache, s).p, s->text_n);
    assert_int_equal(sscanf(text, "name_%u", &k), 1);
    assert_true(model[k].live && !model[k].marked);
    model[k].marked = true;
}

static void check(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; cache.mask && i <= cache.mask; i++) {
        if (is_free(&cache.slots[i]))
            continue;
        n++;
        assert_ptr_equal(series_cache_find(&cache, cache.slots[i].hash), &cache.slots[i]);
        assert_true(hash128_eq(series_hash(series_cache_text(&cache, &cache.slots[i]), cache.slots[i].flags & SERIES_FORM),
                               cache.slots[i].hash));
    }
    assert_int_equal(n, cache.n);
}

static void scrape(uint32_t from, uint32_t to, bool stored)
{
    char text[32];

    series_cache_begin(&cache);
    for (uint32_t k = 0; k < NAMES; k++)
        model[k].in_scrape = model[k].marked = false;
    for (uint32_t k = from; k < to; k++) {
        struct str s = str_n(text, (size_t)snprintf(text, sizeof(text), "name_%u", k));
        struct cached_series *c;

        if (draw(10) == 0)
            continue;
        c = series_cache_put(&cache, series_hash(s, k % 2 ? SERIES_LE : 0), s, k % 2 ? SERIES_LE : 0);
        assert_true(str_eq(series_cache_text(&cache, c), s));
        c->seen = cache.scrape;
        c->flags &= (uint8_t) ~(SERIES_NEW | SERIES_TRACKED);
        model[k].in_scrape = true;
        model[k].tracked = draw(20) > 0;
        if (model[k].tracked)
            c->flags |= SERIES_TRACKED;
    }
    series_cache_end(&cache, stored, gone, NULL);
    for (uint32_t k = 0; k < NAMES; k++) {
        bool kept = stored && model[k].in_scrape;

        assert_int_equal(model[k].marked, model[k].live && !kept);
        model[k].live = kept && model[k].tracked;
    }
    check();
}

static void test_model(void **state)
{
    const char *seed = getenv("TEST_SEED");

    (void)state;
    rng = seed ? strtoull(seed, NULL, 10) : (uint64_t)getpid() * 2654435761u + 1;
    print_message("TEST_SEED=%llu\n", (unsigned long long)rng);
    for (int i = 0; i < SCRAPES; i++) {
        uint32_t from = (uint32_t)draw(NAMES), to = from + (uint32_t)draw(NAMES - from) + 1;

        scrape(from, MIN(to, (uint32_t)NAMES), draw(8) > 0);
    }
    for (int i = 0; i < 30; i++)
        scrape(0, 10, true); /* what is not seen any more is thrown out */
    assert_true(cache.n <= 10 + 64 + 20);
    series_cache_release(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
