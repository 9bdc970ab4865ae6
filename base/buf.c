/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_release(struct buf *b)
{
    free(b->p);
    memset(b, 0, sizeof *b);
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (!b->p || b->cap - b->n < n) {
        size_t cap = b->cap ? b->cap + b->cap / 2 : 64;

        if (cap < b->n + n)
            cap = b->n + n;
        b->p = x_realloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(buf_reserve(b, n), p, n);
    b->n += n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    size_t room = b->cap - b->n;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(b->p ? b->p + b->n : NULL, b->p ? room : 0, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n >= room) {
        buf_reserve(b, (size_t)n + 1);
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    if (n > 0)
        b->n += (size_t)n;
}

char *buf_z(struct buf *b)
{
    *buf_reserve(b, 1) = '\0';
    return b->p;
}

char *buf_detach(struct buf *b, size_t *n)
{
    char *p = buf_z(b);

    if (n)
        *n = b->n;
    memset(b, 0, sizeof *b);
    return p;
}
