/*
 * head.c - the table of series: identity -> ref, and what each series is made of. Samples are in samples.c.
 */
#include "tsdb/head.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_MIN = 1024 };

void head_init(struct head *h)
{
    pthread_rwlockattr_t attr;

    memset(h, 0, sizeof *h);
    epoch_init(&h->epoch);
    pthread_mutex_init(&h->writer_mu, NULL);
    pthread_mutex_init(&h->apply_mu, NULL);
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&h->index_lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    symbols_init(&h->symbols);
    h->slots = huge_new(sizeof *h->slots * SLOTS_MIN, false);
    h->slot_mask = SLOTS_MIN - 1;
    h->blocks = huge_new(sizeof *h->blocks * HEAD_BLOCKS_MAX, false);
    h->block_infos = huge_new(sizeof(struct head_block *) * HEAD_BLOCKS_MAX, false);
    h->gens = gen_new(1);
    h->appender = (struct appender){.head = h, .open = h->gens};
    h->mint = INT64_MAX;
    h->maxt = INT64_MIN;
}

static void free_block(void *info, void *series)
{
    struct head_block *b = info;

    huge_free(series, HUGE_PAGE);
    arena_release(&b->labels);
    free(b);
}

void head_release(struct head *h)
{
    epoch_release(&h->epoch);
    for (struct gen *g = h->gens, *next; g; g = next) {
        next = g->next;
        gen_free(g);
    }
    for (uint32_t i = 0; (uint64_t)i * HEAD_BLOCK < h->nrefs; i++)
        if (atomic_load(&h->blocks[i]))
            free_block(h->block_infos[i], atomic_load(&h->blocks[i]));
    huge_free(atomic_load(&h->spare), HUGE_PAGE);
    huge_free(h->blocks, sizeof *h->blocks * HEAD_BLOCKS_MAX);
    huge_free(h->block_infos, sizeof(struct head_block *) * HEAD_BLOCKS_MAX);
    huge_free(h->slots, sizeof *h->slots * ((size_t)h->slot_mask + 1));
    arena_release(&h->appender.hists);
    free(h->aliases);
    free(h->dying);
    symbols_release(&h->symbols);
    pthread_rwlock_destroy(&h->index_lock);
    pthread_mutex_destroy(&h->apply_mu);
    pthread_mutex_destroy(&h->writer_mu);
    memset(h, 0, sizeof *h);
}

/* --- identities --------------------------------------------------------------------------------- */

static uint32_t tag_of(struct hash128 id)
{
    return (uint32_t)(id.lo >> 32);
}

uint32_t head_find(const struct head *h, struct hash128 id)
{
    for (uint32_t i = (uint32_t)id.lo & h->slot_mask;; i = (i + 1) & h->slot_mask) {
        struct ref_slot s = h->slots[i];
        if (!s.ref1)
            return HEAD_NO_REF;
        if (s.tag == tag_of(id) && hash128_eq(head_series(h, s.ref1 - 1)->id, id))
            return s.ref1 - 1;
    }
}

static void put_slot(struct head *h, struct hash128 id, uint32_t ref)
{
    uint32_t i = (uint32_t)id.lo & h->slot_mask;

    while (h->slots[i].ref1)
        i = (i + 1) & h->slot_mask;
    h->slots[i] = (struct ref_slot){tag_of(id), ref + 1};
}

/* Builds the table anew from the live series, sized for n of them. Exclusive index_lock. */
static void rebuild_slots(struct head *h, uint64_t n)
{
    uint32_t mask = SLOTS_MIN - 1;

    while (n * 3 > (uint64_t)mask * 2)
        mask = mask * 2 + 1;
    huge_free(h->slots, sizeof *h->slots * ((size_t)h->slot_mask + 1));
    h->slots = huge_new(sizeof *h->slots * ((size_t)mask + 1), true);
    h->slot_mask = mask;
    for (uint32_t ref = 0; ref < h->nrefs; ref++)
        if (head_block(h, ref) && series_live(head_series(h, ref)))
            put_slot(h, head_series(h, ref)->id, ref);
}

/* The slot of the key, or the free one where it would go. */
static struct alias_slot *alias_slot(const struct head *h, struct hash128 key)
{
    uint32_t i = (uint32_t)key.lo & h->alias_mask;

    while (h->aliases[i].ref1 && !hash128_eq(h->aliases[i].key, key))
        i = (i + 1) & h->alias_mask;
    return &h->aliases[i];
}

uint32_t head_find_alias(const struct head *h, struct hash128 key)
{
    return h->naliases ? alias_slot(h, key)->ref1 - 1 : HEAD_NO_REF;
}

/* Anew with room for n, without those of series that are gone. */
static void rebuild_aliases(struct head *h, uint32_t n)
{
    struct alias_slot *old = h->aliases;
    uint32_t old_n = old ? h->alias_mask + 1 : 0;

    h->alias_mask = SLOTS_MIN - 1;
    while ((uint64_t)n * 3 > (uint64_t)h->alias_mask * 2)
        h->alias_mask = h->alias_mask * 2 + 1;
    h->aliases = x_zalloc(sizeof *h->aliases * ((size_t)h->alias_mask + 1));
    h->naliases = 0;
    for (uint32_t i = 0; i < old_n; i++) {
        uint32_t ref = old[i].ref1 - 1;
        if (old[i].ref1 && head_block(h, ref) && series_live(head_series(h, ref))) {
            *alias_slot(h, old[i].key) = old[i];
            h->naliases++;
        }
    }
    free(old);
}

void head_add_alias(struct head *h, struct hash128 key, uint32_t ref)
{
    struct alias_slot *s;

    if (!h->aliases || ((uint64_t)h->naliases + 1) * 3 > (uint64_t)h->alias_mask * 2)
        rebuild_aliases(h, (h->naliases + 1) * 2);
    s = alias_slot(h, key);
    h->naliases += s->ref1 == 0;
    *s = (struct alias_slot){key, ref + 1};
}

/* --- series ------------------------------------------------------------------------------------- */

static void count_index_bytes(struct head *h)
{
    atomic_store_explicit(&h->index_bytes,
                          h->nlive * sizeof(struct series) + h->symbols.bytes +
                              ((uint64_t)h->slot_mask + 1) * sizeof *h->slots + h->nlive * 48,
                          memory_order_relaxed);
}

void head_make_spare(struct head *h)
{
    struct series *b, *none = NULL;

    if (atomic_load_explicit(&h->spare, memory_order_relaxed))
        return;
    b = huge_new(HUGE_PAGE, true);
    for (size_t i = 0; i < HUGE_PAGE; i += 4096)
        ((volatile char *)b)[i] = 0;
    if (!atomic_compare_exchange_strong(&h->spare, &none, b))
        huge_free(b, HUGE_PAGE);
}

/* The first block is not made huge: a small instance has only a part of it. */
static struct series *new_block(struct head *h)
{
    struct series *b = atomic_exchange(&h->spare, NULL);

    return b ? b : huge_new(HUGE_PAGE, h->nrefs > 0);
}

uint32_t head_add(struct head *h, struct hash128 id, const uint32_t *pairs, uint32_t npairs)
{
    uint32_t ref = h->nrefs, *copy;
    struct head_block *b;
    struct series *s;

    assert(ref / HEAD_BLOCK < HEAD_BLOCKS_MAX && npairs <= UINT16_MAX);
    if (ref % HEAD_BLOCK == 0) {
        h->block_infos[ref / HEAD_BLOCK] = x_zalloc(sizeof *b);
        atomic_store_explicit(&h->blocks[ref / HEAD_BLOCK], new_block(h), memory_order_release);
    }
    b = h->block_infos[ref / HEAD_BLOCK];
    s = head_series(h, ref);
    copy = arena_alloc(&b->labels, sizeof *copy * npairs);
    memcpy(copy, pairs, sizeof *copy * npairs);
    s->id = id;
    s->pairs = copy;
    s->npairs = (uint16_t)npairs;
    s->jt = HEAD_NO_TIME;
    series_set_sid(s, INT32_MIN, 0);
    atomic_store_explicit(&s->last_t, (uint64_t)HEAD_NO_TIME, memory_order_relaxed);
    atomic_store_explicit(&s->flags, SERIES_LIVE, memory_order_release);
    for (uint32_t i = 0; i < npairs; i++)
        postings_add(&pair_get(&h->symbols, pairs[i])->postings, ref);
    h->nrefs++;
    h->nlive++;
    h->created++;
    if ((uint64_t)h->nlive * 3 > (uint64_t)h->slot_mask * 2)
        rebuild_slots(h, h->nlive * 2);
    else
        put_slot(h, id, ref);
    if (ref % 64 == 0)
        count_index_bytes(h);
    return ref;
}

void head_meet(struct head *h, uint32_t n, const struct hash128 *ids, const uint32_t *pairs, const uint32_t *npairs,
               uint32_t *refs)
{
    enum { AHEAD = 16, NEAR = 8 };

    for (uint32_t i = 0; i < MIN(n, (uint32_t)AHEAD); i++)
        head_prefetch_key(h, ids[i]);
    for (uint32_t i = 0; i < n; pairs += npairs[i++]) {
        uint32_t guess = i + NEAR < n ? head_guess(h, ids[i + NEAR]) : HEAD_NO_REF;
        if (guess != HEAD_NO_REF)
            __builtin_prefetch(head_series(h, guess));
        if (i + AHEAD < n)
            head_prefetch_key(h, ids[i + AHEAD]);
        refs[i] = npairs[i] ? head_find(h, ids[i]) : HEAD_NO_REF;
        if (refs[i] == HEAD_NO_REF && npairs[i])
            refs[i] = head_add(h, ids[i], pairs, npairs[i]);
    }
}

void head_labels(const struct head *h, const struct series *s, struct arena *a, struct labels *out)
{
    out->n = s->npairs;
    out->v = arena_array(a, struct label, s->npairs);
    for (uint32_t i = 0; i < s->npairs; i++) {
        const struct head_pair *p = pair_get(&h->symbols, s->pairs[i]);
        out->v[i] = (struct label){name_get(&h->symbols, p->name)->text, pair_value(p)};
    }
}

struct str head_label(const struct head *h, const struct series *s, struct str name)
{
    for (uint32_t i = 0; i < s->npairs; i++) {
        const struct head_pair *p = pair_get(&h->symbols, s->pairs[i]);
        if (str_eq(name_get(&h->symbols, p->name)->text, name))
            return pair_value(p);
    }
    return STR_NULL;
}

/* --- removal ------------------------------------------------------------------------------------ */

static bool ref_gone(void *arg, uint32_t ref)
{
    return !series_live(head_series(arg, ref));
}

static void recycle_dying(struct head *h)
{
    if (!h->ndying || !epoch_passed(&h->epoch, h->dying_line))
        return;
    for (uint32_t i = 0; i < h->ndying; i++)
        pair_recycle(&h->symbols, h->dying[i]);
    h->ndying = 0;
}

/* Takes dead series out of the postings of the pairs marked, and pairs that lost their last series out of the symbols.
 */
static void filter_pairs(struct head *h, const uint8_t *marked)
{

    for (uint32_t id = 0; id < h->symbols.npairs; id++) {
        struct head_pair *p = pair_get(&h->symbols, id);
        if (!(marked[id / 8] >> id % 8 & 1))
            continue;
        postings_filter(&p->postings, ref_gone, h);
        if (p->postings.n)
            continue;
        pair_remove(&h->symbols, id);
        if (h->ndying == h->dying_cap) {
            h->dying_cap = h->dying_cap ? h->dying_cap * 2 : 64;
            h->dying = x_realloc(h->dying, sizeof *h->dying * h->dying_cap);
        }
        h->dying[h->ndying++] = id;
    }
    h->dying_line = epoch_advance(&h->epoch);
}

/* Blocks whose series are all gone, once refs have moved past them. */
static void retire_blocks(struct head *h)
{
    for (uint32_t i = 0; ((uint64_t)i + 1) * HEAD_BLOCK <= h->nrefs; i++) {
        struct series *b = atomic_load_explicit(&h->blocks[i], memory_order_relaxed);
        if (b && h->block_infos[i]->ndead == HEAD_BLOCK) {
            atomic_store_explicit(&h->blocks[i], NULL, memory_order_release);
            epoch_retire(&h->epoch, free_block, h->block_infos[i], b);
        }
    }
}

uint32_t head_gc(struct head *h, bool (*idle)(void *arg, uint32_t ref, const struct series *s), void *arg)
{
    uint8_t *marked;
    uint32_t n = 0;

    pthread_mutex_lock(&h->writer_mu);
    pthread_mutex_lock(&h->apply_mu);
    pthread_rwlock_wrlock(&h->index_lock);
    recycle_dying(h);
    marked = x_zalloc(h->symbols.npairs / 8 + 1);
    for (uint32_t ref = 0; ref < h->nrefs; ref++) {
        struct series *b = head_block(h, ref), *s = b + ref % HEAD_BLOCK;
        if (!b) {
            ref |= HEAD_BLOCK - 1;
            continue;
        }
        if (!series_live(s) || atomic_load(&s->chunk) || atomic_load(&s->late) || !idle(arg, ref, s))
            continue;
        atomic_store_explicit(&s->flags, 0, memory_order_release);
        h->block_infos[ref / HEAD_BLOCK]->ndead++;
        for (uint32_t i = 0; i < s->npairs; i++)
            marked[s->pairs[i] / 8] |= (uint8_t)(1u << s->pairs[i] % 8);
        n++;
    }
    if (n) {
        filter_pairs(h, marked);
        h->nlive -= n;
        h->removed += n;
        rebuild_slots(h, h->nlive * 3 / 2);
        if (h->naliases)
            rebuild_aliases(h, h->naliases);
        retire_blocks(h);
        count_index_bytes(h);
    }
    pthread_rwlock_unlock(&h->index_lock);
    pthread_mutex_unlock(&h->apply_mu);
    pthread_mutex_unlock(&h->writer_mu);
    free(marked);
    epoch_reclaim(&h->epoch);
    return n;
}

void head_check(struct head *h)
{
    uint64_t live = 0, listed = 0, carried = 0;

    for (uint32_t ref = 0; ref < h->nrefs; ref++) {
        const struct series *s;
        if (!head_block(h, ref) || !series_live(s = head_series(h, ref)))
            continue;
        live++;
        carried += s->npairs;
        assert(head_find(h, s->id) == ref);
        for (uint32_t i = 0; i < s->npairs; i++)
            assert(pair_get(&h->symbols, s->pairs[i])->at != SYMBOL_NONE);
    }
    assert(live == h->nlive);
    for (uint32_t n = 0; n < h->symbols.nnames; n++)
        for (uint32_t i = 0; i < name_get(&h->symbols, n)->npairs; i++)
            listed += pair_get(&h->symbols, name_get(&h->symbols, n)->pairs[i])->postings.n;
    assert(listed == carried);
}
