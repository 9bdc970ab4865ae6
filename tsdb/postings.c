/* postings.c - see postings.h. The gap stored is ref - (ref before + 1). */
#include "tsdb/postings.h"

#include <assert.h>
#include <stdlib.h>

void postings_add(struct postings *ps, uint32_t ref)
{
    assert(ref >= ps->next);
    if (ps->cap - ps->bytes < 5) {
        ps->cap = ps->cap ? ps->cap + ps->cap / 2 + 8 : 8;
        ps->p = x_realloc(ps->p, ps->cap);
    }
    ps->bytes = (uint32_t)(put_varint(ps->p + ps->bytes, ref - ps->next) - ps->p);
    ps->next = ref + 1;
    ps->n++;
}

void postings_release(struct postings *ps)
{
    free(ps->p);
    memset(ps, 0, sizeof *ps);
}

uint32_t postings_read(const struct postings *ps, uint32_t *out)
{
    const uint8_t *p = ps->p;
    uint32_t ref = 0;

    for (uint32_t i = 0; i < ps->n; i++) {
        uint32_t gap = *p++;
        if (gap >= 0x80) {
            gap &= 0x7f;
            for (unsigned shift = 7;; shift += 7) {
                gap |= (uint32_t)(*p & 0x7f) << shift;
                if (*p++ < 0x80)
                    break;
            }
        }
        ref += gap;
        out[i] = ref++;
    }
    return ps->n;
}

void postings_filter(struct postings *ps, bool (*gone)(void *arg, uint32_t ref), void *arg)
{
    struct postings keep = {0};
    uint32_t *refs = x_alloc(sizeof *refs * ps->n), n = postings_read(ps, refs);

    for (uint32_t i = 0; i < n; i++)
        if (!gone(arg, refs[i]))
            postings_add(&keep, refs[i]);
    free(refs);
    free(ps->p);
    *ps = keep;
}
