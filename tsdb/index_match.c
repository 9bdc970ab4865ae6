/*
 * index_match.c - matchers, names and values over the index segments of a day.
 *
 * A matcher becomes a set of values of its label, per segment; the union of their postings, or what that leaves over,
 * is a plain bitmap over the segment's rows. A matcher that an absent label satisfies (foo="", foo!="x", foo=~".*") is
 * answered from the other side: everything but the rows whose value does not match. So:
 *
 *   empty      does the pattern match the empty string?
 *   W          the values whose postings are read: those that match the pattern; if empty, those that do not
 *   result     union of W for = and =~ ; the rest for != and !~ ; turned round if empty
 *
 * Regexes are asked for what is known without running them: a set of literals is looked up, a prefix bounds the values
 * tried.
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>

static size_t words(uint32_t bits)
{
    return ((size_t)bits + 63) / 64;
}

static void set_bit(uint64_t *b, uint32_t i)
{
    b[i / 64] |= UINT64_C(1) << (i & 63);
}

static bool get_bit(const uint64_t *b, uint32_t i)
{
    return b[i / 64] >> (i & 63) & 1;
}

static void set_all(uint64_t *b, uint32_t n)
{
    memset(b, 0xff, n / 64 * 8);
    if (n & 63)
        b[n / 64] = (UINT64_C(1) << (n & 63)) - 1;
}

/* --- values that match -------------------------------------------------------------------------------- */

/* A segment and label being matched, under view.mu. */
struct at_label {
    struct day_view *v;
    struct segment *s;
    const struct seg_label *l;
    uint32_t label;
};

/* The id of the first value >= x (nvalues + 1 if none); *equal tells whether it is x. */
static int lower_bound(const struct at_label *a, struct str x, uint32_t *id, bool *equal, struct err *e)
{
    uint32_t lo = 0, hi = a->l->nvalue_blocks, n;
    const struct str *values;

    *equal = false;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (str_cmp(a->l->value_blocks[mid].first, x) <= 0)
            lo = mid;
        else
            hi = mid;
    }
    int rc = seg_value_block(a->v, a->s, a->label, lo, &values, &n, e);
    if (rc < 0)
        return rc;
    uint32_t first = a->l->value_blocks[lo].first_id, i = 0;
    for (hi = n; i < hi;) {
        uint32_t mid = i + (hi - i) / 2;

        if (str_cmp(values[mid], x) < 0)
            i = mid + 1;
        else
            hi = mid;
    }
    *id = first + i;
    *equal = i < n && str_eq(values[i], x);
    return 0;
}

static int want_literal(const struct at_label *a, struct str x, uint64_t *want, struct err *e)
{
    uint32_t id;
    bool equal;
    int rc = lower_bound(a, x, &id, &equal, e);

    if (rc == 0 && equal)
        set_bit(want, id - 1);
    return rc;
}

/* Runs over values from id on, as long as they begin with the prefix. */
static int want_regex(const struct at_label *a, const struct matcher *m, const struct regex_facts *f, uint64_t *want,
                      struct err *e)
{
    uint32_t id = 1, n;
    const struct str *values;
    bool equal;
    int rc;

    if (f->prefix.n && (rc = lower_bound(a, f->prefix, &id, &equal, e)) < 0)
        return rc;
    while (id <= a->l->nvalues) {
        uint32_t block = value_block_of(a->l, id);

        if ((rc = seg_value_block(a->v, a->s, a->label, block, &values, &n, e)) < 0)
            return rc;
        for (uint32_t first = a->l->value_blocks[block].first_id; id - first < n; id++) {
            struct str x = values[id - first];

            if (f->prefix.n && !str_starts(x, f->prefix))
                return 0;
            if ((rc = view_walk(a->v, WALK_A_VALUE, e)) < 0)
                return rc;
            if (f->prefix_then_any || regex_match(m->re, x))
                set_bit(want, id - 1);
        }
    }
    return 0;
}

/* Values that match the pattern itself: what = or =~ would match. */
static int want_matching(const struct at_label *a, const struct matcher *m, uint64_t *want, struct err *e)
{
    int rc = 0;

    if (m->op == MATCH_EQ || m->op == MATCH_NE)
        return m->value.n ? want_literal(a, m->value, want, e) : 0;
    const struct regex_facts *f = regex_facts(m->re);
    if (f->matches_any) {
        set_all(want, a->l->nvalues);
        return 0;
    }
    if (f->nset == 0)
        return want_regex(a, m, f, want, e);
    for (uint32_t i = 0; i < f->nset && rc == 0; i++)
        if (f->set[i].n)
            rc = want_literal(a, f->set[i], want, e) < 0 ? e->code : view_walk(a->v, WALK_A_VALUE, e);
    return rc;
}

static bool pattern_matches_empty(const struct matcher *m)
{
    return m->op == MATCH_EQ || m->op == MATCH_NE ? m->value.n == 0 : regex_match(m->re, STR(""));
}

/* --- rows that match ------------------------------------------------------------------------------------ */

/* The union of postings of the values in W. */
static int union_of(const struct at_label *a, const struct matcher *m, bool empty, uint64_t *rows, struct err *e)
{
    uint32_t n = a->l->nvalues, count = 0;
    uint64_t *want = x_zalloc(words(n) * 8);
    int rc = want_matching(a, m, want, e);

    if (empty) {
        for (size_t i = 0; i < words(n); i++)
            want[i] = ~want[i];
        if (n & 63)
            want[n / 64] &= (UINT64_C(1) << (n & 63)) - 1;
    }
    for (size_t i = 0; i < words(n); i++)
        count += (uint32_t)__builtin_popcountll(want[i]);
    if (rc == 0 && count == n && a->l->nrows == a->s->n)
        set_all(rows, a->s->n);
    else if (rc == 0 && count > 0)
        rc = seg_postings(a->v, a->s, a->label, want, rows, e);
    free(want);
    return rc;
}

/* acc &= rows of the segment that match m. tmp is as long as acc. */
static int apply(struct day_view *v, struct segment *s, const struct seg_dir *d, const struct matcher *m, uint64_t *acc,
                 uint64_t *tmp, struct err *e)
{
    bool empty = pattern_matches_empty(m);
    bool rest = (m->op == MATCH_EQ || m->op == MATCH_RE) == empty;
    uint32_t label = seg_label_find(d, m->name);
    int rc = 0;

    memset(tmp, 0, words(s->n) * 8);
    if (label != UINT32_MAX) {
        struct at_label a = {v, s, &d->labels[label], label};
        rc = union_of(&a, m, empty, tmp, e);
    }
    for (size_t i = 0; i < words(s->n); i++)
        acc[i] &= rest ? ~tmp[i] : tmp[i];
    return rc;
}

/* Cheap ones first: they may leave nothing to do. */
static unsigned cost(const struct matcher *m)
{
    static const uint8_t by_op[] = {[MATCH_EQ] = 0, [MATCH_NE] = 1, [MATCH_RE] = 2, [MATCH_NRE] = 3};

    return by_op[m->op];
}

static bool is_empty(const uint64_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (b[i])
            return false;
    return true;
}

static void add_rows(roaring_bitmap_t *out, const uint64_t *bits, uint32_t first_sid, uint32_t n)
{
    uint32_t found[1024], k = 0;

    for (uint32_t w = 0; w < words(n); w++) {
        if (bits[w] == UINT64_MAX) {
            uint32_t from = w;

            while (w + 1 < words(n) && bits[w + 1] == UINT64_MAX)
                w++;
            roaring_bitmap_add_range_closed(out, first_sid + from * 64, first_sid + w * 64 + 63);
            continue;
        }
        if (k > ARRAY_LEN(found) - 64) {
            roaring_bitmap_add_many(out, k, found);
            k = 0;
        }
        for (uint64_t b = bits[w]; b; b &= b - 1)
            found[k++] = first_sid + w * 64 + (uint32_t)__builtin_ctzll(b);
    }
    roaring_bitmap_add_many(out, k, found);
}

static int match_segment(struct day_view *v, struct segment *s, const struct matcher *m, uint32_t nm,
                         roaring_bitmap_t *out, struct err *e)
{
    const struct seg_dir *d;
    int rc = segment_dir(v, s, &d, e);

    if (rc < 0)
        return rc;
    size_t n = words(s->n);
    uint64_t *acc = x_alloc(n * 8), *tmp = x_alloc(n * 8);
    set_all(acc, s->n);
    for (unsigned c = 0; c < 4 && rc == 0; c++)
        for (uint32_t i = 0; i < nm && rc == 0; i++)
            if (cost(&m[i]) == c && !is_empty(acc, n))
                rc = apply(v, s, d, &m[i], acc, tmp, e);
    if (rc == 0)
        add_rows(out, acc, s->first_sid, s->n);
    free(acc);
    free(tmp);
    return rc;
}

void day_view_limit(struct day_view *v, const struct tsdb_limits *limits)
{
    v->walk = (struct walk){.limits = limits};
}

int day_view_match(struct day_view *v, const struct matcher *m, uint32_t nm, roaring_bitmap_t **out, struct err *e)
{
    roaring_bitmap_t *found = roaring_bitmap_create();
    int rc = 0;

    pthread_mutex_lock(&v->mu);
    for (uint32_t i = 0; i < v->dir->nsegments && rc == 0; i++)
        rc = match_segment(v, v->dir->segments[i], m, nm, found, e);
    pthread_mutex_unlock(&v->mu);
    if (rc < 0) {
        roaring_bitmap_free(found);
        return rc;
    }
    *out = found;
    return 0;
}

/* --- names and values ----------------------------------------------------------------------------------- */

/* Calls fn for each group that has rows in `only`, with those rows. */
struct row_walk {
    struct day_view *v;
    struct segment *s;
    const roaring_bitmap_t *only;
};
typedef void group_fn(void *arg, const struct row_group *g, const uint16_t *rows, uint32_t n);

static int walk_groups(const struct row_walk *w, group_fn *fn, void *arg, struct err *e)
{
    roaring_uint32_iterator_t it;
    uint16_t rows[GROUP_ROWS];
    uint32_t end = w->s->first_sid + w->s->n;
    const struct row_group *g;
    int rc;

    roaring_init_iterator(w->only, &it);
    if (!roaring_move_uint32_iterator_equalorlarger(&it, w->s->first_sid))
        return 0;
    while (it.has_value && it.current_value < end) {
        uint32_t group = (it.current_value - w->s->first_sid) / GROUP_ROWS, n = 0;
        uint32_t base = w->s->first_sid + group * GROUP_ROWS;

        for (; it.has_value && it.current_value < end && it.current_value - base < GROUP_ROWS;
             roaring_advance_uint32_iterator(&it))
            rows[n++] = (uint16_t)(it.current_value - base);
        if ((rc = seg_group(w->v, w->s, group, &g, e)) < 0)
            return rc;
        fn(arg, g, rows, n);
    }
    return 0;
}

static void note_names(void *seen, const struct row_group *g, const uint16_t *rows, uint32_t n)
{
    for (uint32_t c = 0; c < g->ncolumns; c++)
        for (uint32_t i = 0; i < n && !get_bit(seen, g->columns[c].label); i++)
            if (group_id(&g->columns[c], rows[i]))
                set_bit(seen, g->columns[c].label);
}

typedef int name_fn(void *arg, struct str name);

static int names_of(struct day_view *v, struct segment *s, const roaring_bitmap_t *only, name_fn *fn, void *arg,
                    struct err *e)
{
    const struct seg_dir *d;
    int rc = segment_dir(v, s, &d, e);

    if (rc < 0)
        return rc;
    uint64_t *seen = x_zalloc(words(d->nlabels) * 8 + 8);
    if (only)
        rc = walk_groups(&(struct row_walk){v, s, only}, note_names, seen, e);
    else
        set_all(seen, d->nlabels);
    for (uint32_t i = 0; i < d->nlabels && rc == 0; i++)
        if (get_bit(seen, i))
            rc = fn(arg, d->labels[i].name);
    free(seen);
    return rc;
}

int day_view_names(struct day_view *v, const roaring_bitmap_t *only, name_fn *fn, void *arg, struct err *e)
{
    int rc = 0;

    pthread_mutex_lock(&v->mu);
    for (uint32_t i = 0; i < v->dir->nsegments && rc == 0; i++)
        rc = names_of(v, v->dir->segments[i], only, fn, arg, e);
    pthread_mutex_unlock(&v->mu);
    return rc;
}

struct value_note {
    uint64_t *seen;
    uint32_t label;
};

static void note_values(void *arg, const struct row_group *g, const uint16_t *rows, uint32_t n)
{
    const struct value_note *note = arg;

    for (uint32_t c = 0; c < g->ncolumns; c++)
        for (uint32_t i = 0; i < n && g->columns[c].label == note->label; i++) {
            uint32_t id = group_id(&g->columns[c], rows[i]);

            if (id)
                set_bit(note->seen, id - 1);
        }
}

static int values_of(struct day_view *v, struct segment *s, struct str name, const roaring_bitmap_t *only, name_fn *fn,
                     void *arg, struct err *e)
{
    const struct seg_dir *d;
    const struct str *values;
    int rc = segment_dir(v, s, &d, e);
    uint32_t label = rc < 0 ? UINT32_MAX : seg_label_find(d, name), n;

    if (label == UINT32_MAX)
        return rc;
    const struct seg_label *l = &d->labels[label];
    uint64_t *seen = x_zalloc(words(l->nvalues) * 8);
    if (only)
        rc = walk_groups(&(struct row_walk){v, s, only}, note_values, &(struct value_note){seen, label}, e);
    else
        set_all(seen, l->nvalues);
    for (uint32_t b = 0; b < l->nvalue_blocks && rc == 0; b++) {
        rc = seg_value_block(v, s, label, b, &values, &n, e);
        for (uint32_t i = 0; i < n && rc == 0; i++)
            if (get_bit(seen, l->value_blocks[b].first_id - 1 + i))
                rc = fn(arg, values[i]);
    }
    free(seen);
    return rc;
}

int day_view_values(struct day_view *v, struct str name, const roaring_bitmap_t *only, name_fn *fn, void *arg,
                    struct err *e)
{
    int rc = 0;

    pthread_mutex_lock(&v->mu);
    for (uint32_t i = 0; i < v->dir->nsegments && rc == 0; i++)
        rc = values_of(v, v->dir->segments[i], name, only, fn, arg, e);
    pthread_mutex_unlock(&v->mu);
    return rc;
}
