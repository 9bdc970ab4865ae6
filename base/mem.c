/* mem.c - see mem.h. Chunks double from 4 KiB to 1 MiB; a big piece gets a chunk of its own. */
#include "base/mem.h"

#include "base/chunks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK_MIN = 4096, CHUNK_MAX = CHUNK_BYTES, ALIGN = 16, GROW_ALONE = 64 << 10 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of the whole chunk, this header included */
    bool kept;   /* from chunk_take */
};

static void *must(void *p, size_t n)
{
    if (!p && n) {
        fprintf(stderr, "out of memory: no %zu bytes\n", n);
        abort();
    }
    return p;
}

void *x_alloc(size_t n)
{
    return must(malloc(n ? n : 1), n);
}

void *x_zalloc(size_t n)
{
    return must(calloc(1, n ? n : 1), n);
}

void *x_realloc(void *p, size_t n)
{
    return must(realloc(p, n ? n : 1), n);
}

void *x_aligned(size_t align, size_t n)
{
    return must(aligned_alloc(align, (n + align - 1) / align * align), n);
}

char *x_strdup(struct str s)
{
    char *p = x_alloc(s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

static size_t header_bytes(void)
{
    return (sizeof(struct arena_chunk) + ALIGN - 1) / ALIGN * ALIGN;
}

static void chunk_free(struct arena_chunk *c)
{
    if (c->kept)
        chunk_give(c);
    else
        free(c);
}

void arena_init(struct arena *a, size_t bytes_max)
{
    memset(a, 0, sizeof *a);
    a->bytes_max = bytes_max;
}

void arena_release(struct arena *a)
{
    for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        chunk_free(c);
    }
    memset(a, 0, sizeof *a);
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = a->chunks;
    size_t bytes_max = a->bytes_max;

    if (!keep)
        return;
    while (keep->next) { /* the oldest chunk is the smallest: keep that one */
        struct arena_chunk *next = keep->next;
        chunk_free(keep);
        keep = next;
    }
    a->chunks = keep;
    a->bytes = keep->size;
    a->bytes_max = bytes_max;
    a->at = (char *)keep + header_bytes();
    a->end = (char *)keep + keep->size;
}

static void add_chunk(struct arena *a, size_t size)
{
    struct arena_chunk *c = size == CHUNK_MAX ? chunk_take() : x_alloc(size);

    c->next = a->chunks;
    c->size = size;
    c->kept = size == CHUNK_MAX;
    a->chunks = c;
    a->bytes += size;
    a->at = (char *)c + header_bytes();
    a->end = (char *)c + size;
}

/* The size of the chunk that a piece of n bytes would need now. */
static size_t chunk_size(const struct arena *a, size_t n)
{
    size_t size = a->bytes < CHUNK_MIN ? CHUNK_MIN : a->bytes;

    if (size > CHUNK_MAX)
        size = CHUNK_MAX;
    return n + header_bytes() > size ? n + header_bytes() : size;
}

void *arena_try_alloc(struct arena *a, size_t n)
{
    void *p;

    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    if ((size_t)(a->end - a->at) < n || !a->at) {
        size_t size = chunk_size(a, n);
        if (a->bytes_max && a->bytes + size > a->bytes_max)
            return NULL;
        add_chunk(a, size);
    }
    p = a->at;
    a->at += n;
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t bytes_max = a->bytes_max;
    void *p;

    a->bytes_max = 0;
    p = must(arena_try_alloc(a, n), n ? n : 1);
    a->bytes_max = bytes_max;
    return p;
}

/* p is the only piece of the newest chunk. */
static bool is_alone(const struct arena *a, const void *p)
{
    return a->chunks && (const char *)p == (const char *)a->chunks + header_bytes();
}

static struct arena_chunk *chunk_resize(struct arena_chunk *c, size_t used, size_t size)
{
    struct arena_chunk *fresh;

    if (!c->kept)
        return x_realloc(c, size);
    fresh = x_alloc(size);
    memcpy(fresh, c, header_bytes() + used);
    fresh->kept = false;
    chunk_give(c);
    return fresh;
}

void *arena_grow(struct arena *a, void *p, size_t used, size_t n)
{
    size_t size = (n + ALIGN - 1) / ALIGN * ALIGN + header_bytes();
    struct arena_chunk *c;
    void *fresh;

    if (n >= GROW_ALONE && !is_alone(a, p)) {
        add_chunk(a, size);
        a->at = a->end;
        fresh = (char *)a->chunks + header_bytes();
        return used ? memcpy(fresh, p, used) : fresh;
    }
    if (!is_alone(a, p) || size <= a->chunks->size) {
        fresh = arena_alloc(a, n);
        return used ? memcpy(fresh, p, used) : fresh;
    }
    c = chunk_resize(a->chunks, used, size);
    a->bytes += size - c->size;
    c->size = size;
    a->chunks = c;
    a->at = a->end = (char *)c + size;
    return (char *)c + header_bytes();
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

struct str arena_dup(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return str_n(p, s.n);
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    char *p;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return str_n(p, (size_t)n);
}
