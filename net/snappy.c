/*
 * snappy.c - a bounded decoder of the snappy block format.
 *
 * (1) No byte is written at or beyond out + n + SNAPPY_SLOP, none read outside of in.
 * (2) A copy reaches back at most to out: what was there before can not leak into the result.
 * (3) Success means exactly n bytes were made and every element was used.
 *
 * While an element's furthest over-write stays within the slop and its furthest over-read within the input, pieces are
 * copied 16 bytes at a time without asking for the exact end. The last bytes of the input take the careful path.
 */
#include "net/snappy.h"

static int bad(struct err *e, size_t at, const char *what)
{
    return err_set(e, ERR_INVALID, "snappy: %s at byte %zu", what, at);
}

int snappy_length(struct str in, uint64_t *length, size_t *at, struct err *e)
{
    const uint8_t *p = (const uint8_t *)in.p, *q = in.n ? get_varint(p, p + MIN(in.n, (size_t)5), length) : NULL;

    if (!q || *length > UINT32_MAX)
        return err_set(e, ERR_INVALID, "snappy: the decoded length is missing or cut off");
    *at = (size_t)(q - p);
    return 0;
}

static inline void copy16(uint8_t *to, const uint8_t *from)
{
    uint64_t a, b;

    memcpy(&a, from, 8);
    memcpy(&b, from + 8, 8);
    memcpy(to, &a, 8);
    memcpy(to + 8, &b, 8);
}

/* A copy whose source overlaps its target: offset < 16, length <= 64. Writes at most 64 bytes. */
static inline void copy_pattern(uint8_t *to, size_t offset, size_t len)
{
    const uint8_t *from = to - offset;

    /* Once the pattern stands there often enough, 8 bytes at a distance of a multiple of it are copied at once. */
    while (offset < 8) {
        uint64_t w;

        memcpy(&w, from, 8);
        memcpy(to, &w, 8);
        if (len <= offset)
            return;
        len -= offset;
        to += offset;
        offset *= 2;
    }
    for (size_t i = 0; i < len; i += 8) {
        uint64_t w;

        memcpy(&w, from + i, 8);
        memcpy(to + i, &w, 8);
    }
}

/* The furthest that one element of the fast path reads (tag, two offset or 60+ literal bytes rounded up) and writes. */
enum { FAST_IN = 1 + 64, FAST_OUT = SNAPPY_SLOP };
_Static_assert(FAST_OUT == 64, "the longest copy is 64 bytes");

struct state {
    const uint8_t *in, *ip, *in_end;
    uint8_t *out, *op, *out_end;
};

/* Elements while they are surely inside both bounds. Stops, changing nothing of it, before one that needs the careful
 * path. */
static void run_fast(struct state *s)
{
    const uint8_t *ip = s->ip, *in_fast = s->in_end - FAST_IN;
    uint8_t *op = s->op, *const out = s->out, *const out_end = s->out_end;

    while (ip <= in_fast && op < out_end) {
        unsigned tag = *ip;
        size_t len = (tag >> 2) + 1, offset;
        const uint8_t *next;

        if ((tag & 3) == 0) {
            if (len > 60 || len > (size_t)(out_end - op))
                break;
            copy16(op, ip + 1);
            for (size_t i = 16; i < len; i += 16)
                copy16(op + i, ip + 1 + i);
            op += len;
            ip += 1 + len;
            continue;
        }
        if ((tag & 3) == 2) {
            offset = get_u16le(ip + 1);
            next = ip + 3;
        } else if ((tag & 3) == 1) {
            len = ((tag >> 2) & 7) + 4;
            offset = (size_t)(tag >> 5) << 8 | ip[1];
            next = ip + 2;
        } else {
            offset = get_u32le(ip + 1);
            next = ip + 5;
        }
        if (offset - 1 >= (size_t)(op - out) || len > (size_t)(out_end - op)) /* offset 0 wraps */
            break;
        if (offset >= 16) {
            copy16(op, op - offset);
            for (size_t i = 16; i < len; i += 16)
                copy16(op + i, op + i - offset);
        } else {
            copy_pattern(op, offset, len);
        }
        op += len;
        ip = next;
    }
    s->ip = ip;
    s->op = op;
}

/* One literal, its length bytes included. The tag has been taken. */
static int careful_literal(struct state *s, unsigned tag, struct err *e)
{
    size_t len = tag >> 2, extra, at = (size_t)(s->ip - s->in);

    if (len >= 60) {
        extra = len - 59;
        if ((size_t)(s->in_end - s->ip) < extra)
            return bad(e, at, "cut off in a literal's length");
        len = 0;
        for (size_t i = 0; i < extra; i++)
            len |= (size_t)s->ip[i] << (8 * i);
        s->ip += extra;
    }
    len++;
    if (len > (size_t)(s->in_end - s->ip))
        return bad(e, at, "a literal runs past the end of the input");
    if (len > (size_t)(s->out_end - s->op))
        return bad(e, at, "more output than announced");
    memcpy(s->op, s->ip, len);
    s->op += len;
    s->ip += len;
    return 0;
}

/* One copy; byte by byte, as source and target may overlap. The tag has been taken. */
static int careful_copy(struct state *s, unsigned tag, struct err *e)
{
    size_t len = (tag >> 2) + 1, offset = 0, bytes = (tag & 3) == 3 ? 4 : tag & 3, at = (size_t)(s->ip - s->in);

    if ((size_t)(s->in_end - s->ip) < bytes)
        return bad(e, at, "cut off in a copy");
    for (size_t i = 0; i < bytes; i++)
        offset |= (size_t)s->ip[i] << (8 * i);
    s->ip += bytes;
    if ((tag & 3) == 1) {
        len = ((tag >> 2) & 7) + 4;
        offset |= (size_t)(tag >> 5) << 8;
    }
    if (offset == 0 || offset > (size_t)(s->op - s->out))
        return bad(e, at, "a copy reaches back before the start");
    if (len > (size_t)(s->out_end - s->op))
        return bad(e, at, "more output than announced");
    for (size_t i = 0; i < len; i++)
        s->op[i] = s->op[(ptrdiff_t)i - (ptrdiff_t)offset];
    s->op += len;
    return 0;
}

int snappy_elements(struct str in, uint8_t *out, size_t n, struct err *e)
{
    const uint8_t *p = (const uint8_t *)in.p;
    struct state s = {p, p, p + in.n, out, out, out + n};

    while (s.ip < s.in_end) {
        unsigned tag;
        int rc;

        if (s.in_end - s.ip > FAST_IN) {
            run_fast(&s);
            if (s.ip == s.in_end)
                break;
        }
        tag = *s.ip++;
        rc = (tag & 3) == 0 ? careful_literal(&s, tag, e) : careful_copy(&s, tag, e);
        if (rc < 0)
            return rc;
    }
    if (s.op != s.out_end)
        return err_set(e, ERR_INVALID, "snappy: %zu bytes announced, %zu found", n, (size_t)(s.op - s.out));
    return 0;
}
