/* head_series.h - series in a head of its own, for tests. */
#ifndef TESTS_HEAD_SERIES_H
#define TESTS_HEAD_SERIES_H

#include "tsdb/head.h"

#include <stdio.h>

/* {__name__="m", id="id-K", job="a" or "b"}; its ref. */
static inline uint32_t add_series(struct head *h, uint32_t k)
{
    char text[32];
    uint32_t pairs[3];
    struct hash128 id = hash128(&k, sizeof k);

    snprintf(text, sizeof text, "id-%u", k);
    pairs[0] = pair_intern(&h->symbols, name_intern(&h->symbols, STR("__name__")), STR("m"));
    pairs[1] = pair_intern(&h->symbols, name_intern(&h->symbols, STR("id")), str_of(text));
    pairs[2] = pair_intern(&h->symbols, name_intern(&h->symbols, STR("job")), k % 2 ? STR("a") : STR("b"));
    return head_add(h, id, pairs, 3);
}

/* For head_gc. */
static inline bool is_odd(void *arg, uint32_t ref, const struct series *s)
{
    (void)arg;
    (void)s;
    return ref & 1;
}

#endif
