/*
 * drain.c - patterns of lines.
 *
 * A line is cut at blanks and at the marks that stand between a name and its value, and the marks are words of their own, so that
 * words put together give the line again. A word that holds a digit is a hole from the start: numbers, ids and times differ in
 * every line. Of a JSON object with a message the message is cut, with holes around it.
 *
 * (1) A pattern, with <_> for its holes, matches every line that was added to it, as the pattern filter |> understands it.
 * (2) Memory is bounded: patterns_max patterns of words_max words of WORD_MAX bytes.
 */
#include "query/api/loki/drain.h"

#include <assert.h>
#include <stdlib.h>

enum { LEVELS_MAX = 12, LEVEL_MAX = 24, WORD_MAX = 64, LOOK_BACK = 8, SLOTS = 1024 };

/* The lines of one level. */
struct counts {
    char level[LEVEL_MAX];
    uint32_t nlevel;
    uint64_t total;
    struct drain_count *v;
    uint32_t n, cap;
};

struct pattern {
    uint64_t key; /* of the words' number and the first one */
    struct str *words; /* in text, or a hole (p == NULL) */
    uint32_t nwords;
    char *text;
    uint64_t total;
    struct counts *levels;
    uint32_t nlevels;
    struct pattern *next; /* of the same slot */
};

struct drain {
    struct drain_opts opts;
    struct pattern *slots[SLOTS];
    uint32_t npatterns;
    size_t bytes;
    struct str *words; /* of the line at hand */
    uint32_t nwords;
};

void drain_opts_default(struct drain_opts *o)
{
    *o = (struct drain_opts){.patterns_max = 300, .words_max = 100, .line_bytes_max = 4096};
}

struct drain *drain_new(const struct drain_opts *o)
{
    struct drain *d = x_zalloc(sizeof *d);

    d->opts = *o;
    d->words = x_alloc(sizeof *d->words * (o->words_max + 4));
    d->bytes = sizeof *d;
    return d;
}

static size_t bytes_of(const struct pattern *p)
{
    size_t n = sizeof *p + p->nwords * sizeof *p->words;

    for (uint32_t i = 0; i < p->nwords; i++)
        n += p->words[i].n;
    for (uint32_t i = 0; i < p->nlevels; i++)
        n += sizeof *p->levels + p->levels[i].cap * sizeof *p->levels[i].v;
    return n;
}

static void pattern_free(struct pattern *p)
{
    for (uint32_t i = 0; i < p->nlevels; i++)
        free(p->levels[i].v);
    free(p->levels);
    free(p->words);
    free(p->text);
    free(p);
}

void drain_free(struct drain *d)
{
    if (!d)
        return;
    for (unsigned i = 0; i < SLOTS; i++)
        for (struct pattern *p = d->slots[i], *next; p; p = next) {
            next = p->next;
            pattern_free(p);
        }
    free(d->words);
    free(d);
}

size_t drain_bytes(const struct drain *d)
{
    return d->bytes;
}

/* --- words ------------------------------------------------------------------------------------------------ */

static bool is_mark(char c)
{
    switch (c) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
    case '=':
    case ',':
    case ';':
    case '"':
    case '\'':
    case '[':
    case ']':
    case '(':
    case ')':
    case '{':
    case '}':
    case '|':
        return true;
    default:
        return false;
    }
}

static bool is_hole(struct str word)
{
    return word.p == NULL;
}

/* A hole after a hole is the same hole. */
static void put_word(struct drain *d, struct str word)
{
    bool hole = word.n > WORD_MAX;

    for (size_t i = 0; i < word.n && !hole; i++)
        hole = (word.p[i] >= '0' && word.p[i] <= '9') || (unsigned char)word.p[i] < ' ' || word.p[i] == '<';
    if (hole && d->nwords && is_hole(d->words[d->nwords - 1]))
        return;
    d->words[d->nwords++] = hole ? STR_NULL : word;
}

static void put_hole(struct drain *d)
{
    if (!d->nwords || !is_hole(d->words[d->nwords - 1]))
        d->words[d->nwords++] = STR_NULL;
}

static void cut_words(struct drain *d, struct str s)
{
    size_t at = 0;

    while (at < s.n && d->nwords < d->opts.words_max) {
        size_t end = at;

        while (end < s.n && !is_mark(s.p[end]))
            end++;
        if (end > at)
            put_word(d, str_n(s.p + at, end - at));
        for (at = end; end < s.n && is_mark(s.p[end]) && s.p[end] == s.p[at]; end++) /* a run of blanks is one word */
            ;
        if (end > at)
            put_word(d, str_n(s.p + at, end - at));
        at = end;
    }
    if (at < s.n)
        put_hole(d);
}

/* The value of "message" or the like of a JSON object, as it stands between its quotes; false: there is none. */
static bool find_message(struct str line, struct str *message)
{
    static const char *const keys[] = {"\"msg\":", "\"message\":", "\"log\":", "\"content\":", "\"body\":"};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        ptrdiff_t at = str_find(line, str_of(keys[i]));
        struct str v = at < 0 ? STR_NULL : str_from(line, (size_t)at + strlen(keys[i]));
        size_t end = 1;

        while (v.n && v.p[0] == ' ')
            v = str_from(v, 1);
        if (v.n < 2 || v.p[0] != '"')
            continue;
        while (end < v.n && v.p[end] != '"')
            end += v.p[end] == '\\' ? 2 : 1;
        if (end >= v.n)
            continue;
        *message = str_n(v.p + 1, end - 1);
        return message->n > 0;
    }
    return false;
}

static void cut_line(struct drain *d, struct str line)
{
    bool cut = line.n > d->opts.line_bytes_max;
    struct str message;

    d->nwords = 0;
    line = str_head(line, d->opts.line_bytes_max);
    if (line.n && line.p[0] == '{' && find_message(line, &message)) {
        put_hole(d);
        cut_words(d, message);
        put_hole(d);
        return;
    }
    cut_words(d, line);
    if (cut)
        put_hole(d);
}

/* --- patterns -------------------------------------------------------------------------------------------------- */

static uint64_t key_of(const struct drain *d)
{
    struct str first = d->nwords ? d->words[0] : STR_NULL;

    if (is_hole(first) && d->nwords > 1)
        first = d->words[1];
    return hash64(first.p, first.n) * 31 + d->nwords;
}

/* Two for each word that is the same, one for a hole of the pattern: else a pattern of holes would be like everything. */
static uint32_t likeness(const struct pattern *p, const struct str *words, uint32_t n)
{
    uint32_t same = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (is_hole(p->words[i]))
            same += is_hole(words[i]) ? 2 : 1;
        else if (!is_hole(words[i]) && str_eq(p->words[i], words[i]))
            same += 2;
    }
    return same;
}

static struct pattern *most_alike(struct drain *d, uint64_t key)
{
    struct pattern *best = NULL;
    uint32_t most = 0;

    for (struct pattern *p = d->slots[key % SLOTS]; p; p = p->next) {
        uint32_t same;

        if (p->key != key || p->nwords != d->nwords)
            continue;
        same = likeness(p, d->words, d->nwords);
        if (same > most || !best) {
            most = same;
            best = p;
        }
    }
    /* About half of a line is blanks and other marks, which make nothing alike by themselves: a quarter of the rest has to be. */
    return best && 4 * most >= 5 * d->nwords ? best : NULL;
}

static void unlink_pattern(struct drain *d, struct pattern *p)
{
    struct pattern **at = &d->slots[p->key % SLOTS];

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    d->bytes -= bytes_of(p);
    d->npatterns--;
    pattern_free(p);
}

static void make_room(struct drain *d)
{
    struct pattern *least = NULL;

    if (d->npatterns < d->opts.patterns_max)
        return;
    for (unsigned i = 0; i < SLOTS; i++)
        for (struct pattern *p = d->slots[i]; p; p = p->next)
            if (!least || p->total < least->total)
                least = p;
    unlink_pattern(d, least);
}

static struct pattern *add_pattern(struct drain *d, uint64_t key)
{
    struct pattern *p = x_zalloc(sizeof *p);
    size_t bytes = 0, at = 0;

    make_room(d);
    for (uint32_t i = 0; i < d->nwords; i++)
        bytes += d->words[i].n;
    p->key = key;
    p->nwords = d->nwords;
    p->words = x_alloc(sizeof *p->words * (d->nwords + 1));
    p->text = x_alloc(bytes + 1);
    for (uint32_t i = 0; i < d->nwords; i++) {
        struct str w = d->words[i];

        if (!is_hole(w)) {
            memcpy(p->text + at, w.p, w.n);
            w.p = p->text + at;
            at += w.n;
        }
        p->words[i] = w;
    }
    p->next = d->slots[key % SLOTS];
    d->slots[key % SLOTS] = p;
    d->npatterns++;
    d->bytes += bytes_of(p);
    return p;
}

static void make_holes(struct pattern *p, const struct drain *d)
{
    for (uint32_t i = 0; i < p->nwords; i++)
        if (is_hole(d->words[i]) || !str_eq(p->words[i], d->words[i]))
            p->words[i] = STR_NULL;
}

/* --- counts ------------------------------------------------------------------------------------------------------ */

static struct counts *counts_of(struct pattern *p, struct str level)
{
    struct counts *c;

    level = str_head(level, LEVEL_MAX);
    for (uint32_t i = 0; i < p->nlevels; i++)
        if (str_eq(str_n(p->levels[i].level, p->levels[i].nlevel), level))
            return &p->levels[i];
    if (p->nlevels == LEVELS_MAX)
        return &p->levels[LEVELS_MAX - 1];
    p->levels = x_realloc(p->levels, sizeof *p->levels * (p->nlevels + 1));
    c = &p->levels[p->nlevels++];
    memset(c, 0, sizeof *c);
    if (level.n)
        memcpy(c->level, level.p, level.n);
    c->nlevel = (uint32_t)level.n;
    return c;
}

/* Rows come by time, nearly: the bucket is among the last ones, or a new one; doubles are put together at the end. */
static void count_in(struct counts *c, int64_t bucket, uint64_t weight)
{
    c->total += weight;
    for (uint32_t i = c->n; i > 0 && c->n - i < LOOK_BACK; i--)
        if (c->v[i - 1].bucket == bucket) {
            c->v[i - 1].n += weight;
            return;
        }
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 8;
        c->v = x_realloc(c->v, sizeof *c->v * c->cap);
    }
    c->v[c->n++] = (struct drain_count){bucket, weight};
}

void drain_add(struct drain *d, struct str line, struct str level, int64_t bucket, uint64_t weight)
{
    struct pattern *p;
    uint64_t key;
    size_t before;

    cut_line(d, line);
    if (d->nwords == 0)
        return;
    key = key_of(d);
    p = most_alike(d, key);
    if (p)
        make_holes(p, d);
    else
        p = add_pattern(d, key);
    before = bytes_of(p);
    p->total += weight;
    count_in(counts_of(p, level), bucket, weight);
    d->bytes += bytes_of(p) - before;
}

/* --- what came of it --------------------------------------------------------------------------------------------- */

static struct str text_of(const struct pattern *p, struct arena *a)
{
    struct buf b = {0};
    bool hole = false;
    struct str s;

    for (uint32_t i = 0; i < p->nwords; i++) {
        if (!is_hole(p->words[i]))
            buf_puts(&b, p->words[i]);
        else if (!hole)
            buf_putz(&b, "<_>");
        hole = is_hole(p->words[i]);
    }
    s = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return s;
}

static int by_bucket(const void *a, const void *b)
{
    const struct drain_count *x = a, *y = b;

    return (x->bucket > y->bucket) - (x->bucket < y->bucket);
}

static void settle(struct counts *c)
{
    uint32_t n = 0;

    if (c->n < 2)
        return;
    qsort(c->v, c->n, sizeof *c->v, by_bucket);
    for (uint32_t i = 1; i < c->n; i++) {
        if (c->v[i].bucket == c->v[n].bucket)
            c->v[n].n += c->v[i].n;
        else
            c->v[++n] = c->v[i];
    }
    c->n = n + 1;
}

/* Patterns that came out the same, of lines of different lengths, are one. */
static void merge_same(struct drain_pattern *into, const struct drain_pattern *more, struct arena *a)
{
    struct drain_count *v = arena_array(a, struct drain_count, into->ncounts + more->ncounts);
    uint32_t i = 0, k = 0, n = 0;

    while (i < into->ncounts || k < more->ncounts) {
        bool left = k == more->ncounts || (i < into->ncounts && into->counts[i].bucket <= more->counts[k].bucket);
        struct drain_count c = left ? into->counts[i++] : more->counts[k++];

        if (n && v[n - 1].bucket == c.bucket)
            v[n - 1].n += c.n;
        else
            v[n++] = c;
    }
    into->counts = v;
    into->ncounts = n;
    into->total += more->total;
}

static int by_total(const void *a, const void *b)
{
    const struct drain_pattern *x = a, *y = b;
    int c = (x->total < y->total) - (x->total > y->total);

    return c ? c : str_cmp(x->text, y->text) ? str_cmp(x->text, y->text) : str_cmp(x->level, y->level);
}

static uint32_t add_levels(struct pattern *p, struct arena *a, struct map *seen, struct drain_pattern *v, uint32_t n)
{
    struct str text = text_of(p, a);

    for (uint32_t i = 0; i < p->nlevels; i++) {
        struct counts *c = &p->levels[i];
        struct drain_pattern one = {.text = text, .level = str_n(c->level, c->nlevel), .total = c->total};
        bool added;
        void **place;

        settle(c);
        one.counts = c->v;
        one.ncounts = c->n;
        place = map_put(seen, arena_printf(a, "%.*s\n%.*s", STR_ARG(text), STR_ARG(one.level)), &added);
        if (!added) {
            merge_same(*place, &one, a);
            continue;
        }
        v[n] = one;
        *place = &v[n++];
    }
    return n;
}

uint32_t drain_patterns(struct drain *d, struct arena *a, struct drain_pattern **out)
{
    struct map seen = {0};
    uint32_t n = 0, most = 0;

    for (unsigned i = 0; i < SLOTS; i++)
        for (struct pattern *p = d->slots[i]; p; p = p->next)
            most += p->nlevels;
    *out = arena_array(a, struct drain_pattern, most + 1);
    for (unsigned i = 0; i < SLOTS; i++)
        for (struct pattern *p = d->slots[i]; p; p = p->next)
            n = add_levels(p, a, &seen, *out, n);
    assert(n <= most);
    map_release(&seen);
    if (n > 1)
        qsort(*out, n, sizeof **out, by_total);
    return n;
}
