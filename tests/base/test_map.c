/* test_map.c - the table against a plain list under random operations, with its invariants walked. */
#include "base/map.c"
#include "tests/base/prop.h"

static void map_check(const struct map *m)
{
    uint32_t live = 0, linked = 0;

    assert_true(m->used <= m->cap && m->n <= m->used);
    for (uint32_t i = 0; i < m->used; i++)
        live += m->entries[i].key.p != NULL;
    assert_int_equal(live, m->n);
    for (uint32_t i = 0; m->slots && i <= m->mask; i++)
        linked += m->slots[i] != 0;
    assert_int_equal(linked, m->used);
    assert_true(!m->slots || m->cap <= (m->mask + 1) / 4 * 3);
}

enum { KEYS = 400 };

struct model {
    void *value[KEYS]; /* NULL: absent */
    uint64_t born[KEYS];
};

static void walk(const struct map *m, const struct model *o, char names[][16])
{
    uint32_t i = 0, seen = 0;
    uint64_t last = 0;
    struct map_entry *t;

    while ((t = map_next(m, &i))) {
        int k = atoi(t->key.p + 1);

        assert_true(t->key.p == names[k] && t->value == o->value[k]);
        assert_true(o->born[k] > last); /* in order of insertion */
        last = o->born[k];
        seen++;
    }
    assert_int_equal(seen, m->n);
}

static void random_operations(void **state)
{
    struct rng r = rng_new("map");
    static char names[KEYS][16];
    static struct model o;
    struct map m = {0};
    uint64_t tick = 0;

    (void)state;
    for (int i = 0; i < KEYS; i++)
        snprintf(names[i], sizeof names[i], "k%d", i);
    for (int step = 0; step < 200000; step++) {
        uint32_t k = rng_below(&r, KEYS);
        struct str key = str_of(names[k]);
        bool added;

        switch (rng_below(&r, (step / 5000) % 2 ? 3 : 6)) {
        case 0:
            assert_true(map_get(&m, key) == o.value[k]);
            break;
        case 1:
            assert_true(map_del(&m, key) == o.value[k]);
            o.value[k] = NULL;
            break;
        default:
            if (!o.value[k])
                o.born[k] = ++tick;
            *map_put(&m, key, &added) = &names[rng_below(&r, KEYS)];
            assert_int_equal(added, o.value[k] == NULL);
            o.value[k] = map_get(&m, key);
        }
        if (step % 64 == 0) {
            map_check(&m);
            walk(&m, &o, names);
        }
    }
    map_reset(&m);
    map_check(&m);
    assert_null(map_get(&m, STR("k1")));
    map_release(&m);
    assert_null(map_get(&m, STR("k1")));
}

static void empty_key(void **state)
{
    struct map m = {0};
    uint32_t i = 0;

    (void)state;
    *map_put(&m, STR_NULL, NULL) = &m;
    assert_true(map_get(&m, STR("")) == &m);
    assert_non_null(map_next(&m, &i));
    assert_true(map_del(&m, STR("")) == &m);
    i = 0;
    assert_null(map_next(&m, &i));
    map_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_operations), cmocka_unit_test(empty_key)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
