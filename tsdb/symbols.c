/* symbols.c - see symbols.h. Two open-addressing tables of ids over entries in blocks that never move. */
#include "tsdb/symbols.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_MIN = 64, SLOT_GONE = 0xffffffff };

void symbols_init(struct symbols *sy)
{
    memset(sy, 0, sizeof *sy);
    sy->pair_blocks = x_zalloc(sizeof *sy->pair_blocks * SYMBOL_BLOCKS_MAX);
    sy->name_blocks = x_zalloc(sizeof *sy->name_blocks * SYMBOL_BLOCKS_MAX);
    sy->pair_slots = x_zalloc(sizeof(uint32_t) * SLOTS_MIN);
    sy->name_slots = x_zalloc(sizeof(uint32_t) * SLOTS_MIN);
    sy->pair_mask = sy->name_mask = SLOTS_MIN - 1;
}

static void free_text(struct head_pair *p)
{
    free(p->value ? p->value - p->lead : NULL);
}

void symbols_release(struct symbols *sy)
{
    for (uint32_t i = 0; i < sy->npairs; i++) {
        free_text(pair_get(sy, i));
        postings_release(&pair_get(sy, i)->postings);
    }
    for (uint32_t i = 0; i < sy->nnames; i++) {
        free((void *)(uintptr_t)name_get(sy, i)->text.p);
        free(name_get(sy, i)->pairs);
    }
    for (uint32_t i = 0; i * SYMBOL_BLOCK < sy->npairs; i++)
        free(atomic_load(&sy->pair_blocks[i]));
    for (uint32_t i = 0; i * SYMBOL_BLOCK < sy->nnames; i++)
        free(atomic_load(&sy->name_blocks[i]));
    free(sy->pair_blocks);
    free(sy->name_blocks);
    free(sy->pair_slots);
    free(sy->name_slots);
    free(sy->free_pairs);
    memset(sy, 0, sizeof *sy);
}

static uint32_t hash_pair(uint32_t name, struct str value)
{
    return (uint32_t)(hash64(value.p, value.n) >> 20) ^ name * 0x9e3779b1u;
}

static uint32_t hash_name(struct str text)
{
    return (uint32_t)(hash64(text.p, text.n) >> 20);
}

/* The slot of the name, or the free one where it would go. */
static uint32_t *name_slot(const struct symbols *sy, struct str text)
{
    uint32_t i = hash_name(text) & sy->name_mask;

    while (sy->name_slots[i] && !str_eq(name_get(sy, sy->name_slots[i] - 1)->text, text))
        i = (i + 1) & sy->name_mask;
    return &sy->name_slots[i];
}

uint32_t name_find(const struct symbols *sy, struct str text)
{
    return *name_slot(sy, text) - 1; /* free is 0, so none is SYMBOL_NONE */
}

static void grow_names(struct symbols *sy)
{
    uint32_t *slots = sy->name_slots;

    sy->name_mask = sy->name_mask * 2 + 1;
    sy->name_slots = x_zalloc(sizeof(uint32_t) * ((size_t)sy->name_mask + 1));
    for (uint32_t id = 0; id < sy->nnames; id++)
        *name_slot(sy, name_get(sy, id)->text) = id + 1;
    free(slots);
}

uint32_t name_intern(struct symbols *sy, struct str text)
{
    uint32_t *slot = name_slot(sy, text);
    struct head_name *n;

    if (*slot)
        return *slot - 1;
    assert(sy->nnames / SYMBOL_BLOCK < SYMBOL_BLOCKS_MAX);
    if (sy->nnames % SYMBOL_BLOCK == 0)
        atomic_store_explicit(&sy->name_blocks[sy->nnames / SYMBOL_BLOCK], x_zalloc(sizeof *n * SYMBOL_BLOCK),
                              memory_order_release);
    n = name_get(sy, sy->nnames);
    n->text = str_n(x_strdup(text), text.n);
    sy->bytes += sizeof *n + text.n;
    *slot = ++sy->nnames;
    if (sy->nnames * 2 > sy->name_mask)
        grow_names(sy);
    return sy->nnames - 1;
}

static uint32_t *pair_slot(const struct symbols *sy, uint32_t name, struct str value)
{
    uint32_t i = hash_pair(name, value) & sy->pair_mask, *gone = NULL;

    for (;; i = (i + 1) & sy->pair_mask) {
        uint32_t *slot = &sy->pair_slots[i];
        const struct head_pair *p;
        if (!*slot)
            return gone ? gone : slot;
        if (*slot == SLOT_GONE) {
            gone = gone ? gone : slot;
            continue;
        }
        p = pair_get(sy, *slot - 1);
        if (p->name == name && str_eq(pair_value(p), value))
            return slot;
    }
}

uint32_t pair_find(const struct symbols *sy, uint32_t name, struct str value)
{
    uint32_t id = *pair_slot(sy, name, value);

    return id && id != SLOT_GONE ? id - 1 : SYMBOL_NONE;
}

static void rehash_pairs(struct symbols *sy)
{
    uint32_t *slots = sy->pair_slots, n = sy->pair_mask + 1;

    while (sy->live * 2 >= sy->pair_mask)
        sy->pair_mask = sy->pair_mask * 2 + 1;
    sy->pair_slots = x_zalloc(sizeof(uint32_t) * ((size_t)sy->pair_mask + 1));
    for (uint32_t i = 0; i < n; i++)
        if (slots[i] && slots[i] != SLOT_GONE) {
            const struct head_pair *p = pair_get(sy, slots[i] - 1);
            *pair_slot(sy, p->name, pair_value(p)) = slots[i];
        }
    sy->pair_used = (uint32_t)sy->live;
    free(slots);
}

static uint32_t new_pair_id(struct symbols *sy)
{
    if (sy->nfree)
        return sy->free_pairs[--sy->nfree];
    assert(sy->npairs / SYMBOL_BLOCK < SYMBOL_BLOCKS_MAX);
    if (sy->npairs % SYMBOL_BLOCK == 0)
        atomic_store_explicit(&sy->pair_blocks[sy->npairs / SYMBOL_BLOCK],
                              x_zalloc(sizeof(struct head_pair) * SYMBOL_BLOCK), memory_order_release);
    return sy->npairs++;
}

/* The canonical bytes of a label, so that the identity of a series is hashed from copies of them. */
static char *pair_text(struct str name, struct str value, uint32_t *lead)
{
    struct label l = {name, value};
    struct buf b = {0};
    char *text;

    labels_canonical(&b, &(struct labels){&l, 1});
    text = x_strdup(buf_str(&b));
    *lead = (uint32_t)(b.n - value.n);
    buf_release(&b);
    return text + *lead;
}

uint32_t pair_intern(struct symbols *sy, uint32_t name, struct str value)
{
    uint32_t *slot = pair_slot(sy, name, value), id;
    struct head_name *n = name_get(sy, name);
    struct head_pair *p;

    if (*slot && *slot != SLOT_GONE)
        return *slot - 1;
    id = new_pair_id(sy);
    p = pair_get(sy, id);
    *p = (struct head_pair){.value_n = (uint32_t)value.n, .name = name, .at = n->npairs};
    p->value = pair_text(n->text, value, &p->lead);
    if (n->npairs == n->cap) {
        n->cap = n->cap ? n->cap * 2 : 4;
        n->pairs = x_realloc(n->pairs, sizeof(uint32_t) * n->cap);
    }
    n->pairs[n->npairs++] = id;
    sy->bytes += sizeof *p + p->lead + value.n + 2 * sizeof(uint32_t);
    sy->live++;
    sy->pair_used += *slot == 0;
    *slot = id + 1;
    if (sy->pair_used * 2 > sy->pair_mask)
        rehash_pairs(sy);
    return id;
}

void pair_remove(struct symbols *sy, uint32_t id)
{
    struct head_pair *p = pair_get(sy, id);
    struct head_name *n = name_get(sy, p->name);

    assert(p->postings.n == 0);
    *pair_slot(sy, p->name, pair_value(p)) = SLOT_GONE;
    n->pairs[p->at] = n->pairs[--n->npairs];
    pair_get(sy, n->pairs[p->at])->at = p->at;
    p->at = SYMBOL_NONE;
    sy->live--;
    sy->bytes -= sizeof *p + p->lead + p->value_n + 2 * sizeof(uint32_t);
    postings_release(&p->postings);
}

void pair_recycle(struct symbols *sy, uint32_t id)
{
    struct head_pair *p = pair_get(sy, id);

    assert(p->at == SYMBOL_NONE);
    free_text(p);
    memset(p, 0, sizeof *p);
    if (sy->nfree == sy->free_cap) {
        sy->free_cap = sy->free_cap ? sy->free_cap * 2 : 64;
        sy->free_pairs = x_realloc(sy->free_pairs, sizeof(uint32_t) * sy->free_cap);
    }
    sy->free_pairs[sy->nfree++] = id;
}

struct hash128 pairs_hash(const struct symbols *sy, const uint32_t *pairs, uint32_t n)
{
    char few[1024], *p = few;
    struct hash128 id;
    size_t bytes = 0;

    for (uint32_t i = 0; i < n; i++)
        bytes += (size_t)pair_get(sy, pairs[i])->lead + pair_get(sy, pairs[i])->value_n;
    few[0] = 0; /* also of a series without labels something is hashed */
    if (bytes > sizeof few)
        p = x_alloc(bytes);
    bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct head_pair *x = pair_get(sy, pairs[i]);
        memcpy(p + bytes, x->value - x->lead, (size_t)x->lead + x->value_n);
        bytes += (size_t)x->lead + x->value_n;
    }
    id = hash128(p, bytes);
    if (p != few)
        free(p);
    return id;
}
