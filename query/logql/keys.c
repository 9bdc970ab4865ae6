/*
 * keys.c - keys of lines to names of labels: sanitised and flattened once per key and place, then known.
 *
 * (1) Lines of a stream have their keys in the same order, so the node that came i-th in the line before is tried first.
 */
#include "query/logql/json_scan.h"
#include "query/logql/stage.h"

#include <stdlib.h>

enum { BUCKETS_MIN = 256 };

void key_table_init(struct key_table *t)
{
    *t = (struct key_table){0};
    t->cap = 64;
    t->v = x_alloc(t->cap * sizeof *t->v);
    t->v[0] = (struct key_node){.name = NAME_NONE};
    t->n = 1;
    t->mask = BUCKETS_MIN - 1;
    t->buckets = x_zalloc(BUCKETS_MIN * sizeof *t->buckets);
}

void key_table_release(struct key_table *t)
{
    free(t->v);
    free(t->buckets);
    free(t->trail);
    *t = (struct key_table){0};
}

static uint32_t bucket(const struct key_table *t, uint32_t parent, struct str raw)
{
    return (uint32_t)((hash64(raw.p, raw.n) + parent * UINT64_C(0x9e3779b97f4a7c15)) >> 17) & t->mask;
}

static void grow_buckets(struct key_table *t)
{
    uint32_t n = (t->mask + 1) * 4;

    free(t->buckets);
    t->buckets = x_zalloc(n * sizeof *t->buckets);
    t->mask = n - 1;
    for (uint32_t i = 1; i < t->n; i++) {
        uint32_t b = bucket(t, t->v[i].parent, t->v[i].raw);

        t->v[i].next = t->buckets[b];
        t->buckets[b] = i;
    }
}

void key_sanitise(struct str key, bool first, struct buf *out)
{
    key = str_trim(key);
    if (key.n && first && key.p[0] >= '0' && key.p[0] <= '9')
        buf_putc(out, '_');
    for (size_t i = 0; i < key.n;) {
        unsigned char c = (unsigned char)key.p[i];
        uint32_t rune;

        if (c < 0x80) {
            buf_putc(out, (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ? (char)c : '_');
            i++;
        } else {
            buf_putc(out, '_');
            i += utf8_decode(str_from(key, i), &rune);
        }
    }
}

/* Whether a wanted name begins with flat and an underscore. */
static bool leads_somewhere(const struct pipeline *p, struct str flat)
{
    if (p->wants_all || flat.n == 0)
        return true;
    for (uint32_t i = 0; i < p->nnames; i++) {
        struct str n = p->names[i];

        if (p->wanted[i] && n.n > flat.n && str_starts(n, flat) && n.p[flat.n] == '_')
            return true;
    }
    return false;
}

static uint32_t node_new(struct runner *r, struct key_table *t, uint32_t parent, struct str raw, bool escaped)
{
    struct str above = t->v[parent].flat, key = raw;
    struct buf b = {0};
    char *plain = NULL;
    struct key_node n = {.parent = parent, .raw = arena_dup(&r->names_arena, raw), .name = NAME_NONE};

    if (escaped) {
        size_t len;

        plain = x_alloc(raw.n + 1);
        len = json_unescape(raw, JSON_HALF_FAULT, plain);
        key = str_n(plain, len == SIZE_MAX ? 0 : len);
    }
    if (raw.n <= NAME_BYTES_MAX) {
        buf_puts(&b, above);
        if (above.n && str_trim(key).n)
            buf_putc(&b, '_');
        key_sanitise(key, above.n == 0, &b);
    }
    if (b.n <= NAME_BYTES_MAX && raw.n <= NAME_BYTES_MAX) {
        n.flat = arena_dup(&r->names_arena, buf_str(&b));
        n.name = label_name_intern(r, n.flat);
        n.skip = !leads_somewhere(r->p, n.flat);
    } else {
        n.skip = true;
    }
    buf_release(&b);
    free(plain);
    if (t->n == t->cap) {
        t->cap *= 2;
        t->v = x_realloc(t->v, t->cap * sizeof *t->v);
    }
    t->v[t->n] = n;
    return t->n++;
}

static void remember(struct key_table *t, uint32_t i, uint32_t node)
{
    if (i >= 4096)
        return;
    if (i >= t->trail_cap) {
        uint32_t cap = t->trail_cap ? t->trail_cap * 2 : 64;

        t->trail = x_realloc(t->trail, cap * sizeof *t->trail);
        memset(t->trail + t->trail_cap, 0, (cap - t->trail_cap) * sizeof *t->trail);
        t->trail_cap = cap;
    }
    t->trail[i] = node;
}

uint32_t key_node(struct runner *r, struct key_table *t, uint32_t parent, struct str raw, bool escaped, uint32_t i)
{
    uint32_t node, b;

    if (i < t->trail_cap && (node = t->trail[i]) && t->v[node].parent == parent && str_eq(t->v[node].raw, raw))
        return node;
    if (!t->v)
        key_table_init(t);
    b = bucket(t, parent, raw);
    for (node = t->buckets[b]; node; node = t->v[node].next)
        if (t->v[node].parent == parent && str_eq(t->v[node].raw, raw))
            break;
    if (!node) {
        node = node_new(r, t, parent, raw, escaped);
        t->v[node].next = t->buckets[b];
        t->buckets[b] = node;
        if (t->n > t->mask * 2)
            grow_buckets(t);
    }
    remember(t, i, node);
    return node;
}
