/*
 * lz4.c - a bounded decoder of the LZ4 frame format.
 *
 *   MAGIC FLG BD [content size 8] [dictionary 4] HC  { SIZE bytes [checksum] }*  0  [content checksum]     frames, one after the other
 *   5?2a4d18 SIZE bytes                                                                                    passed over
 *
 * (1) Frames are walked twice by one walker: first to measure, then to write. Both take every step with the same checks, so no
 *     byte is written at or beyond out + n, and none read outside of in.
 * (2) A copy reaches back at most to the beginning of its frame (its block, where blocks are independent).
 * (3) Success means that every checksum there was did hold.
 */
#include "net/lz4.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { MAGIC = 0x184d2204, PASSED_OVER = 0x184d2a50, MIN_MATCH = 4 };

struct walk {
    struct str in;
    size_t at;
    uint8_t *out; /* NULL: to measure */
    size_t n, max;
    size_t from; /* how far back copies may reach */
    struct err *e;
};

static int bad(const struct walk *w, const char *what)
{
    err_set(w->e, ERR_INVALID, "lz4: %s at byte %zu", what, w->at);
    return ERR_INVALID;
}

static int room(const struct walk *w, size_t more)
{
    if (more <= w->max - w->n)
        return 0;
    return err_set(w->e, ERR_LIMIT, "lz4: the body decodes to more than the limit of %zu bytes", w->max);
}

static int take_u32(struct walk *w, uint32_t *v)
{
    if (w->in.n - w->at < 4)
        return bad(w, "the body is cut off");
    *v = get_u32le(w->in.p + w->at);
    w->at += 4;
    return 0;
}

static int check_sum(struct walk *w, const void *p, size_t n)
{
    uint32_t said = 0;

    if (take_u32(w, &said) < 0)
        return ERR_INVALID;
    return !p || XXH32(p, n, 0) == said ? 0 : bad(w, "a wrong checksum");
}

/* --- a block ---------------------------------------------------------------------------------------------- */

static int put_literals(struct walk *w, size_t n, size_t end)
{
    if (n > end - w->at)
        return bad(w, "a block is cut off");
    if (room(w, n) < 0)
        return ERR_LIMIT;
    if (w->out && n)
        memcpy(w->out + w->n, w->in.p + w->at, n);
    w->at += n;
    w->n += n;
    return 0;
}

static int put_match(struct walk *w, size_t back, size_t n)
{
    if (back == 0 || back > w->n - w->from)
        return bad(w, "a copy from before the beginning");
    if (room(w, n) < 0)
        return ERR_LIMIT;
    if (w->out) {
        uint8_t *to = w->out + w->n;

        if (back >= n)
            memcpy(to, to - back, n);
        else
            for (size_t i = 0; i < n; i++)
                to[i] = to[i - back]; /* they overlap: a pattern that repeats */
    }
    w->n += n;
    return 0;
}

/* A length of 15 goes on in the bytes behind, while they are 255. */
static int take_length(struct walk *w, size_t *n, size_t end)
{
    uint8_t more = 255;

    if (*n < 15)
        return 0;
    while (more == 255) {
        if (w->at == end)
            return bad(w, "a block is cut off");
        more = (uint8_t)w->in.p[w->at++];
        *n += more; /* no overflow: a byte of the body adds at most 255 */
    }
    return 0;
}

static int walk_block(struct walk *w, size_t end)
{
    while (w->at < end) {
        uint8_t token = (uint8_t)w->in.p[w->at++];
        size_t literals = token >> 4, match = token & 15, back;
        int rc = take_length(w, &literals, end);

        if (rc == 0)
            rc = put_literals(w, literals, end);
        if (rc < 0)
            return rc;
        if (w->at == end)
            return 0; /* the last sequence is literals only */
        if (end - w->at < 2)
            return bad(w, "a block is cut off");
        back = (uint8_t)w->in.p[w->at] | (size_t)(uint8_t)w->in.p[w->at + 1] << 8;
        w->at += 2;
        rc = take_length(w, &match, end);
        if (rc == 0)
            rc = put_match(w, back, match + MIN_MATCH);
        if (rc < 0)
            return rc;
    }
    return bad(w, "a block without an end");
}

/* --- a frame ---------------------------------------------------------------------------------------------- */

struct frame {
    bool independent, block_sums, sum;
    size_t block_max;
    uint64_t size; /* UINT64_MAX: not said */
};

static int take_header(struct walk *w, struct frame *f)
{
    size_t start = w->at, n = 2;
    uint8_t flags, size;

    if (w->in.n - w->at < 3)
        return bad(w, "the body is cut off");
    flags = (uint8_t)w->in.p[w->at];
    size = (uint8_t)w->in.p[w->at + 1];
    if (flags >> 6 != 1 || (flags & 2) || (size & 0x8f) || (size >> 4) < 4)
        return bad(w, "a frame of an unknown kind");
    if (flags & 1)
        return bad(w, "a frame that needs a dictionary");
    *f = (struct frame){flags & 32, flags & 16, flags & 4, (size_t)1 << (8 + 2 * (size >> 4)), UINT64_MAX};
    if (flags & 8) {
        if (w->in.n - w->at < 11)
            return bad(w, "the body is cut off");
        f->size = get_u64le(w->in.p + w->at + 2);
        n += 8;
    }
    w->at += n + 1;
    return (uint8_t)(XXH32(w->in.p + start, n, 0) >> 8) == (uint8_t)w->in.p[start + n] ? 0 : bad(w, "a wrong checksum of the header");
}

static int take_block(struct walk *w, const struct frame *f, uint32_t said)
{
    size_t n = said & 0x7fffffff, start = w->at, before = w->n;
    int rc;

    if (n > f->block_max || n > w->in.n - w->at)
        return bad(w, "a block of an impossible size");
    if (f->independent)
        w->from = w->n;
    rc = said >> 31 ? put_literals(w, n, w->at + n) : walk_block(w, w->at + n);
    if (rc == 0 && w->n - before > f->block_max)
        return bad(w, "a block larger than its frame says");
    if (rc == 0 && f->block_sums)
        rc = check_sum(w, w->in.p + start, n);
    return rc;
}

static int walk_frame(struct walk *w)
{
    size_t before = w->n;
    struct frame f = {0};
    uint32_t said = 0;
    int rc;

    if ((rc = take_header(w, &f)) < 0)
        return rc;
    if (f.size != UINT64_MAX && f.size > w->max - w->n)
        return err_set(w->e, ERR_LIMIT, "lz4: the body announces %llu bytes, limit %zu", (unsigned long long)f.size, w->max);
    w->from = w->n;
    while ((rc = take_u32(w, &said)) == 0 && said != 0)
        if ((rc = take_block(w, &f, said)) < 0)
            return rc;
    if (rc == 0 && f.size != UINT64_MAX && w->n - before != f.size)
        return bad(w, "a frame of another size than it announces");
    if (rc == 0 && f.sum)
        rc = check_sum(w, w->out ? w->out + before : NULL, w->n - before);
    return rc;
}

static int walk(struct walk *w)
{
    uint32_t magic = 0, n = 0;

    while (w->at < w->in.n) {
        int rc = take_u32(w, &magic);

        if (rc == 0 && magic == MAGIC) {
            rc = walk_frame(w);
        } else if (rc == 0 && (magic & 0xfffffff0) == PASSED_OVER) {
            rc = take_u32(w, &n);
            if (rc == 0 && n > w->in.n - w->at)
                rc = bad(w, "the body is cut off");
            w->at += rc == 0 ? n : 0;
        } else if (rc == 0) {
            rc = bad(w, "no frame");
        }
        if (rc < 0)
            return rc;
    }
    return w->in.n ? 0 : bad(w, "no frame");
}

int lz4_length(struct str in, size_t max, size_t *n, struct err *e)
{
    struct walk w = {.in = in, .max = max, .e = e};
    int rc = walk(&w);

    *n = w.n;
    return rc;
}

int lz4_frames(struct str in, uint8_t *out, size_t n, struct err *e)
{
    struct walk w = {.in = in, .out = out, .max = n, .e = e};

    return walk(&w);
}
