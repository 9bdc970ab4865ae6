/*
 * filter_fuse.c - a binary fuse filter (Graf and Lemire): each hash has three places in neighbouring segments, the bytes at which
 * give its print when they are xored. Built by taking away, again and again, a hash that has a place for itself.
 *
 *   u64 seed | u8 log2 of the places in a segment (255: the empty set) | u32 segments chosen from | prints
 */
#include "logstore/filter_fuse.h"

#include <math.h>
#include <stdlib.h>

enum { FUSE_HEAD = 13, SEGMENT_LOG_MAX = 18, EMPTY = 255, TRIES = 32 };

static inline uint64_t remix(uint64_t h, uint64_t seed)
{
    h += seed;
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

static inline uint8_t print_of(uint64_t h)
{
    return (uint8_t)(h ^ h >> 32);
}

static inline void places_of(uint64_t h, uint32_t segment, uint32_t length, uint32_t at[3])
{
    at[0] = (uint32_t)((unsigned __int128)h * length >> 64);
    at[1] = (at[0] + segment) ^ ((uint32_t)(h >> 18) & (segment - 1));
    at[2] = (at[0] + 2 * segment) ^ ((uint32_t)h & (segment - 1));
}

void fuse_builder_begin(struct fuse_builder *b, size_t n)
{
    if (n > b->room) {
        free(b->keys);
        free(b->order);
        free(b->which);
        b->keys = x_alloc(n * sizeof *b->keys);
        b->order = x_alloc(n * sizeof *b->order);
        b->which = x_alloc(n);
        b->room = n;
    }
    b->n = 0;
}

void fuse_builder_release(struct fuse_builder *b)
{
    free(b->keys);
    free(b->order);
    free(b->which);
    *b = (struct fuse_builder){0};
}

/* One attempt: fills order and which; false when hashes block each other under this seed. */
static bool peel(struct fuse_builder *b, uint64_t seed, uint32_t segment, uint32_t length)
{
    uint32_t places = length + 2 * segment, at[3], *queue = x_alloc(places * sizeof *queue), nqueue = 0;
    size_t done = 0;

    memset(b->counts, 0, places);
    memset(b->xors, 0, places * sizeof *b->xors);
    memset(b->prints, 0, places); /* here: xor of which of the three it is */
    for (size_t i = 0; i < b->n; i++) {
        uint64_t h = remix(b->keys[i], seed);

        places_of(h, segment, length, at);
        for (unsigned k = 0; k < 3; k++) {
            b->counts[at[k]] += b->counts[at[k]] < 255;
            b->prints[at[k]] ^= (uint8_t)k;
            b->xors[at[k]] ^= h;
        }
    }
    for (uint32_t i = 0; i < places; i++)
        if (b->counts[i] == 1)
            queue[nqueue++] = i;
    while (nqueue) {
        uint32_t i = queue[--nqueue];

        if (b->counts[i] != 1)
            continue;
        uint64_t h = b->xors[i];
        b->order[done] = h;
        b->which[done++] = b->prints[i];
        places_of(h, segment, length, at);
        for (unsigned k = 0; k < 3; k++) {
            b->counts[at[k]]--;
            b->prints[at[k]] ^= (uint8_t)k;
            b->xors[at[k]] ^= h;
            if (b->counts[at[k]] == 1)
                queue[nqueue++] = at[k];
        }
    }
    free(queue);
    return done == b->n;
}

bool fuse_builder_end(struct fuse_builder *b, struct buf *out)
{
    size_t n = b->n;

    if (n == 0) {
        buf_put_u64(out, 0);
        buf_putc(out, (char)EMPTY);
        buf_put_u32(out, 0);
        return true;
    }
    unsigned seg_log = MIN((unsigned)floor(log((double)n) / log(3.33) + 2.25), (unsigned)SEGMENT_LOG_MAX);
    double factor = n == 1 ? 2 : fmax(1.125, 0.875 + 0.25 * log(1e6) / log((double)n));
    uint32_t segment = 1u << seg_log, want = (uint32_t)((double)n * factor);
    uint32_t nsegments = (want + segment - 1) / segment;

    nsegments = nsegments > 3 ? nsegments - 2 : 1;
    for (uint64_t seed = 0x9e3779b97f4a7c15u, tries = 1; tries < TRIES;
         seed = seed * 0xd1342543de82ef95u + 1, tries++) {
        uint32_t length = nsegments * segment, places = length + 2 * segment, at[3];

        b->counts = x_alloc(places);
        b->prints = x_alloc(places);
        b->xors = x_alloc(places * sizeof *b->xors);
        bool ok = peel(b, seed, segment, length);
        if (ok) {
            memset(b->prints, 0, places);
            for (size_t i = n; i-- > 0;) {
                uint64_t h = b->order[i];

                places_of(h, segment, length, at);
                uint8_t p = print_of(h) ^ b->prints[at[0]] ^ b->prints[at[1]] ^ b->prints[at[2]];
                b->prints[at[b->which[i]]] ^= p;
            }
            buf_put_u64(out, seed);
            buf_putc(out, (char)seg_log);
            buf_put_u32(out, nsegments);
            buf_put(out, b->prints, places);
        }
        free(b->counts);
        free(b->prints);
        free(b->xors);
        b->counts = b->prints = NULL;
        b->xors = NULL;
        if (ok)
            return true;
        nsegments += tries % 4 == 0;
    }
    return false;
}

bool fuse_open(struct fuse *f, struct str s)
{
    if (s.n < FUSE_HEAD)
        return false;
    unsigned log2 = (unsigned char)s.p[8];
    uint64_t nsegments = get_u32le(s.p + 9);

    *f = (struct fuse){.seed = get_u64le(s.p)};
    if (log2 == EMPTY)
        return true;
    if (log2 > SEGMENT_LOG_MAX || nsegments == 0 || nsegments > UINT32_MAX >> SEGMENT_LOG_MAX >> 2 ||
        s.n - FUSE_HEAD != (nsegments + 2) << log2)
        return false;
    f->segment = 1u << log2;
    f->length = (uint32_t)nsegments << log2;
    f->prints = (const uint8_t *)s.p + FUSE_HEAD;
    return true;
}

bool fuse_has(const struct fuse *f, uint64_t key)
{
    uint64_t h = remix(key, f->seed);
    uint32_t at[3];

    if (!f->prints)
        return false;
    places_of(h, f->segment, f->length, at);
    return (uint8_t)(print_of(h) ^ f->prints[at[0]] ^ f->prints[at[1]] ^ f->prints[at[2]]) == 0;
}
