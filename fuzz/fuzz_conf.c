/* fuzz_conf.c - any bytes as a configuration: an error with a place, or a tree that can be walked and read. */
#include "base/base.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct arena *a, struct conf *c, unsigned depth)
{
    struct err e;

    assert(depth <= 200);
    assert(c->line > 0);
    if (c->kind == CONF_MAP) {
        for (uint32_t i = 0; i < c->n; i++) {
            char *key = x_strdup(c->keys[i]);
            struct str s, *list;
            uint64_t u;
            int64_t v;
            double f;
            uint32_t n;
            bool b;

            (void)conf_str(c, key, &s, &e);
            (void)conf_bool(c, key, &b, &e);
            (void)conf_i64(c, key, &v, &e);
            (void)conf_f64(c, key, &f, &e);
            (void)conf_duration(c, key, &v, &e);
            (void)conf_size(c, key, &u, &e);
            (void)conf_strs(a, c, key, &list, &n, &e);
            free(key);
            if (i > 100)
                break;
        }
        (void)conf_finish(c, "fuzz", &e);
    }
    for (uint32_t i = 0; i < c->n; i++)
        walk(a, c->items[i], depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct conf *c = NULL;
    struct err e = {0};
    int rc = conf_parse(&a, STR("fuzz.yml"), str_n(data, size), &c, &e);

    if (rc < 0)
        assert(c == NULL && str_starts(str_of(e.text), STR("fuzz.yml:")));
    else
        walk(&a, c, 0);
    arena_release(&a);
    return 0;
}
