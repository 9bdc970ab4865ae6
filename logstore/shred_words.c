/*
 * shred_words.c - words that become slots. Templates of text that differ in a word or two ("user alice left", "user bob left") are
 * joined to one with a slot there.
 *
 * Templates are grouped by shape: their text with every word (a token without digits) left out. In a group, that position is opened
 * which leaves the fewest different templates, as long as each opening at least halves them. So messages of one shape that have
 * nothing else in common stay apart.
 *
 * (1) Every template keeps the words that it had in the slots that it got.
 */
#include "logstore/shred_out.h"
#include "logstore/filter.h"

#include <stdlib.h>

enum {
    WORDS_MAX = 96,     /* in a template; others are left as they are */
    OPEN_MAX = 8,       /* positions opened in a group */
    WORK_MAX = 1 << 20, /* templates times words of one group */
};

struct word {
    uint32_t at, n;
};

/* The next word of a template's text at or behind *at. */
static bool next_word(struct str text, uint32_t *at, struct word *w)
{
    const unsigned char *p = (const unsigned char *)text.p;
    uint32_t i = *at;

    while (i < text.n) {
        unsigned all = 0;
        uint32_t begin = i;

        while (i < text.n && token_byte(p[i]))
            all |= token_class[p[i++]];
        if (all & TOKEN_LETTER) {
            *w = (struct word){begin, i - begin};
            *at = i;
            return true;
        }
        i += i == begin;
    }
    return false;
}

/* One template of a group. */
struct member {
    uint32_t cut;
    uint32_t first_word; /* of shapes.words */
    uint64_t shape, words /* hash of those that are not opened */;
    uint32_t nwords;
};

struct shapes {
    struct shred_out *s;
    struct member *v;
    uint32_t n;
    struct word *words;
    uint64_t *hashes; /* of each word at its position */
    uint32_t nwords, room;
};

static void add_word(struct shapes *g, struct word w, uint64_t hash)
{
    if (g->nwords == g->room) {
        uint32_t room = MAX(g->room * 2, 1024u);
        struct word *words = slab_array(g->s->slab, struct word, room);
        uint64_t *hashes = slab_array(g->s->slab, uint64_t, room);

        if (g->nwords) {
            memcpy(words, g->words, g->nwords * sizeof *words);
            memcpy(hashes, g->hashes, g->nwords * sizeof *hashes);
        }
        g->words = words;
        g->hashes = hashes;
        g->room = room;
    }
    g->words[g->nwords] = w;
    g->hashes[g->nwords++] = hash;
}

static uint64_t mix(uint64_t h)
{
    h *= 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

/* Notes words and shape of a template; templates of too many words are left out. */
static void add_member(struct shapes *g, uint32_t cut, struct buf *shape)
{
    struct str text = g->s->cuts[cut].text;
    struct member *m = &g->v[g->n];
    uint32_t at = 0, from = 0, before = g->nwords;
    struct word w;

    *m = (struct member){.cut = cut, .first_word = before};
    buf_reset(shape);
    while (m->nwords < WORDS_MAX && next_word(text, &at, &w)) {
        uint64_t h = mix(hash64(text.p + w.at, w.n) + m->nwords);

        buf_put(shape, text.p + from, w.at - from);
        buf_putc(shape, 0);
        from = w.at + w.n;
        add_word(g, w, h);
        m->words += h;
        m->nwords++;
    }
    buf_put(shape, text.p + from, text.n - from);
    m->shape = hash64(shape->p, shape->n) + m->nwords;
    if (m->nwords > 0 && m->nwords < WORDS_MAX)
        g->n++;
    else
        g->nwords = before;
}

static int by_shape(const void *a, const void *b)
{
    const struct member *x = a, *y = b;

    return x->shape != y->shape ? (x->shape < y->shape ? -1 : 1) : (x->cut > y->cut) - (x->cut < y->cut);
}

static int by_words(const void *a, const void *b)
{
    const struct member *x = a, *y = b;

    return x->words != y->words ? (x->words < y->words ? -1 : 1) : (x->cut > y->cut) - (x->cut < y->cut);
}

/* Different templates when position k is opened too. seen: a table of mask + 1 zeroed slots, left zeroed. */
static uint32_t count_without(const struct shapes *g, const struct member *v, uint32_t n, uint32_t k, uint64_t *seen,
                              uint32_t mask)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t h = (v[i].words - g->hashes[v[i].first_word + k]) | 1;
        uint32_t at = (uint32_t)mix(h) & mask;

        while (seen[at] && seen[at] != h)
            at = (at + 1) & mask;
        count += seen[at] == 0;
        seen[at] = h;
    }
    memset(seen, 0, ((size_t)mask + 1) * sizeof *seen);
    return count;
}

/* Chooses the positions to open; returns how many. */
static uint32_t choose_positions(struct shapes *g, struct member *v, uint32_t n, bool *open)
{
    uint32_t nwords = v[0].nwords, left = n, opened = 0, mask = 63;

    while (mask < n * 2)
        mask = mask * 2 + 1;
    uint64_t *seen = slab_zalloc(g->s->slab, ((size_t)mask + 1) * sizeof *seen);
    while (opened < OPEN_MAX && left > 1) {
        uint32_t best = UINT32_MAX, best_count = left / 2 + 1;

        for (uint32_t k = 0; k < nwords; k++) {
            uint32_t count = open[k] ? UINT32_MAX : count_without(g, v, n, k, seen, mask);

            if (count < best_count) {
                best = k;
                best_count = count;
            }
        }
        if (best == UINT32_MAX)
            break;
        open[best] = true;
        for (uint32_t i = 0; i < n; i++)
            v[i].words -= g->hashes[v[i].first_word + best];
        left = best_count;
        opened++;
    }
    return opened;
}

/* The text of a template with words opened: they become slots. */
static struct str open_text(struct slab *slab, struct str text, const struct word *words, uint32_t nwords,
                            const bool *open)
{
    char *p = slab_alloc(slab, text.n + 1);
    size_t n = 0;
    uint32_t from = 0;

    for (uint32_t k = 0; k < nwords; k++)
        if (open[k]) {
            memcpy(p + n, text.p + from, words[k].at - from);
            n += words[k].at - from;
            p[n++] = SLOT_WORD;
            from = words[k].at + words[k].n;
        }
    memcpy(p + n, text.p + from, text.n - from);
    return str_n(p, n + text.n - from);
}

/* What the slots of an opened template hold in the lines of one cut. */
static struct str *slot_words(struct slab *slab, struct str text, const struct word *words, uint32_t nwords,
                              const bool *open, uint32_t nslots)
{
    struct str *out = slab_array(slab, struct str, nslots);
    uint32_t slot = 0, k = 0;
    size_t own = 0;

    for (uint32_t i = 0; i < text.n; i++) {
        while (k < nwords && words[k].at < i)
            k++;
        if ((unsigned char)text.p[i] < SLOT_SORTS)
            out[slot++] = (struct str){NULL, own++};
        else if (k < nwords && words[k].at == i && open[k])
            out[slot++] = str_n(text.p + i, words[k].n);
    }
    return out;
}

/* Makes one template of v[0..n-1], which differ in opened words only. */
static void join(struct shapes *g, const struct member *v, uint32_t n, const bool *open, uint32_t opened)
{
    struct shred_out *s = g->s;
    struct cut_template *leader = &s->cuts[v[0].cut];
    struct str text = open_text(s->slab, leader->text, g->words + v[0].first_word, v[0].nwords, open);
    uint32_t nslots = leader->nslots + opened, count = 0;

    if (nslots > SHRED_SLOTS_MAX)
        return;
    for (uint32_t i = 0; i < n; i++) {
        struct cut_template *c = &s->cuts[v[i].cut];

        c->words = slot_words(s->slab, c->text, g->words + v[i].first_word, v[i].nwords, open, nslots);
        c->joined = i ? v[0].cut : 0;
        count += c->count;
    }
    leader->text = text;
    leader->nslots = nslots;
    leader->count = count;
}

static bool same_text(const struct shapes *g, const struct member *a, const struct member *b, const bool *open)
{
    struct str x = g->s->cuts[a->cut].text, y = g->s->cuts[b->cut].text;
    uint32_t i = 0, j = 0;

    for (uint32_t k = 0; k <= a->nwords; k++) {
        const struct word *v = &g->words[a->first_word + k], *w = &g->words[b->first_word + k];
        bool last = k == a->nwords;
        uint32_t to = last ? (uint32_t)x.n : open[k] ? v->at : v->at + v->n;
        uint32_t to2 = last ? (uint32_t)y.n : open[k] ? w->at : w->at + w->n;

        if (to - i != to2 - j || memcmp(x.p + i, y.p + j, to - i) != 0)
            return false;
        i = last ? to : v->at + v->n;
        j = last ? to2 : w->at + w->n;
    }
    return true;
}

static void join_group(struct shapes *g, struct member *v, uint32_t n)
{
    bool open[WORDS_MAX] = {false};
    uint32_t opened;

    if (n < 2 || (uint64_t)n * v[0].nwords > WORK_MAX || (opened = choose_positions(g, v, n, open)) == 0)
        return;
    qsort(v, n, sizeof *v, by_words);
    for (uint32_t i = 0, j; i < n; i = j) {
        for (j = i + 1;
             j < n && v[j].words == v[i].words && v[j].nwords == v[i].nwords && same_text(g, &v[i], &v[j], open); j++)
            ;
        if (j - i > 1)
            join(g, v + i, j - i, open, opened);
    }
}

void shred_join_words(struct shred_out *s)
{
    struct shapes g = {.s = s, .v = slab_array(s->slab, struct member, s->ncuts)};
    struct buf shape = {0};

    for (uint32_t i = 1; i < s->ncuts; i++)
        if (s->cuts[i].kind == SHRED_TEXT)
            add_member(&g, i, &shape);
    buf_release(&shape);
    qsort(g.v, g.n, sizeof *g.v, by_shape);
    for (uint32_t i = 0, j; i < g.n; i = j) {
        for (j = i + 1; j < g.n && g.v[j].shape == g.v[i].shape; j++)
            ;
        join_group(&g, g.v + i, j - i);
    }
}
