/*
 * pile.c - charged arenas.
 *
 * (1) charged >= credit >= 0, and charged is given back exactly once, by pile_release of whoever holds the pile
 *     last.
 */
#include "query/vector/pile.h"

#include <assert.h>
#include <stdlib.h>

enum { CREDIT_BYTES = 64 * 1024 };

void pile_init(struct pile *p, struct query *q)
{
    *p = (struct pile){.q = q};
}

void pile_release(struct pile *p)
{
    assert(p->charged >= p->credit && p->credit >= 0);
    arena_release(&p->a);
    for (uint32_t i = 0; i < p->nmore; i++)
        arena_release(&p->more[i]);
    free(p->more);
    if (p->q && p->charged)
        query_charge(p->q, -p->charged, "release", NULL);
    *p = (struct pile){.q = p->q};
}

/* Charges in big steps, so that many threads seldom meet on the counter. */
static int take_credit(struct pile *p, int64_t n, const char *where, struct err *e)
{
    int64_t want = n > CREDIT_BYTES ? n : CREDIT_BYTES;
    int code;

    if (p->credit >= n) {
        p->credit -= n;
        return 0;
    }
    code = query_charge(p->q, want, where, e);
    if (code < 0)
        return code;
    p->charged += want;
    p->credit += want - n;
    return 0;
}

void *pile_alloc(struct pile *p, size_t n, const char *where, struct err *e)
{
    if (p->q && take_credit(p, (int64_t)n, where, e) < 0)
        return NULL;
    return arena_alloc(&p->a, n);
}

int pile_settle(struct pile *p, const char *where, struct err *e)
{
    int64_t used = p->charged - p->credit, held = (int64_t)p->a.bytes;

    for (uint32_t i = 0; i < p->nmore; i++)
        held += (int64_t)p->more[i].bytes;
    if (!p->q || held <= used)
        return 0;
    return take_credit(p, held - used, where, e);
}

void pile_join(struct pile *dst, struct pile *src)
{
    uint32_t n = src->nmore + (src->a.bytes ? 1 : 0);

    assert(dst != src && dst->q == src->q);
    if (n) {
        dst->more = x_realloc(dst->more, (dst->nmore + n) * sizeof *dst->more);
        if (src->nmore)
            memcpy(dst->more + dst->nmore, src->more, src->nmore * sizeof *src->more);
        dst->nmore += src->nmore;
        if (src->a.bytes)
            dst->more[dst->nmore++] = src->a;
    }
    dst->charged += src->charged;
    dst->credit += src->credit;
    free(src->more);
    *src = (struct pile){.q = src->q};
}
