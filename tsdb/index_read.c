/*
 * index_read.c - the parts of an index segment, parsed; formats are drawn in index_write.c.
 *
 * Parsers take bytes and believe nothing. What is read often is kept: the directory with the segment, for all views;
 * groups of rows and blocks of values in the view that read them, the groups in a small cache, the values until the
 * view closes (their strings are handed out).
 *
 * (1) A parsed group holds only ids that its labels have: 0..nvalues.
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>

/* --- parsers --------------------------------------------------------------------------------------- */

static struct piece rd_piece(struct rd *r)
{
    struct piece p;

    p.at = rd_varint(r);
    p.n = rd_u32(r);
    return p;
}

void seg_dir_free(struct seg_dir *d)
{
    if (!d)
        return;
    arena_release(&d->arena);
    free(d);
}

static void parse_value_blocks(struct rd *r, struct seg_label *l, struct arena *a)
{
    uint32_t before = 0;

    l->nvalue_blocks = rd_count(r, 4);
    l->value_blocks = arena_array(a, struct value_block, l->nvalue_blocks + 1);
    for (uint32_t i = 0; i < l->nvalue_blocks && !r->bad; i++) {
        struct value_block *b = &l->value_blocks[i];

        b->first_id = rd_u32(r);
        b->first = arena_dup(a, rd_bytes(r, rd_varint(r)));
        b->piece = rd_piece(r);
        r->bad |= i ? b->first_id <= before : b->first_id != 1;
        before = b->first_id;
    }
    r->bad |= before > l->nvalues || l->nvalue_blocks == 0;
    l->value_blocks[l->nvalue_blocks].first_id = l->nvalues + 1;
}

static void parse_posting_blocks(struct rd *r, struct seg_label *l, struct arena *a)
{
    uint32_t before = 0;

    l->nposting_blocks = rd_count(r, 3);
    l->posting_blocks = arena_array(a, struct posting_block, l->nposting_blocks + 1);
    for (uint32_t i = 0; i < l->nposting_blocks && !r->bad; i++) {
        l->posting_blocks[i].first_id = rd_u32(r);
        l->posting_blocks[i].piece = rd_piece(r);
        r->bad |= i ? l->posting_blocks[i].first_id <= before : l->posting_blocks[i].first_id != 1;
        before = l->posting_blocks[i].first_id;
    }
    r->bad |= before > l->nvalues || l->nposting_blocks == 0;
    l->posting_blocks[l->nposting_blocks].first_id = l->nvalues + 1;
}

int seg_dir_parse(struct str raw, uint32_t nrows, struct seg_dir **out, struct err *e)
{
    struct seg_dir *d = x_zalloc(sizeof *d);
    struct rd r = rd_of(raw);

    d->nlabels = rd_count(&r, 8);
    d->labels = arena_array(&d->arena, struct seg_label, d->nlabels + 1);
    for (uint32_t i = 0; i < d->nlabels && !r.bad; i++) {
        struct seg_label *l = &d->labels[i];

        l->name = arena_dup(&d->arena, rd_bytes(&r, rd_varint(&r)));
        l->nvalues = rd_u32(&r);
        l->nrows = rd_u32(&r);
        r.bad |= l->nrows > nrows || l->nvalues > l->nrows || l->nvalues == 0 ||
                 (i && str_cmp(d->labels[i - 1].name, l->name) >= 0);
        if (!r.bad)
            parse_value_blocks(&r, l, &d->arena);
        if (!r.bad)
            parse_posting_blocks(&r, l, &d->arena);
    }
    d->ngroups = rd_count(&r, 2);
    d->groups = arena_array(&d->arena, struct piece, d->ngroups + 1);
    for (uint32_t i = 0; i < d->ngroups && !r.bad; i++)
        d->groups[i] = rd_piece(&r);
    if (r.bad || rd_left(&r) > 0 || d->ngroups != (nrows + GROUP_ROWS - 1) / GROUP_ROWS) {
        seg_dir_free(d);
        return err_set(e, ERR_CORRUPT, "directory of an index segment: not readable");
    }
    *out = d;
    return 0;
}

static bool ids_in_range(const struct group_column *c, uint32_t nrows, uint32_t max)
{
    bool good = true;

    for (uint32_t i = 0; i < nrows; i++)
        good &= group_id(c, i) <= max;
    return good;
}

int group_parse(struct row_group *g, const struct seg_dir *d, uint32_t nrows, struct err *e)
{
    struct rd r = rd_of(buf_str(&g->raw));

    g->nrows = nrows;
    g->ncolumns = rd_count(&r, 2);
    if (g->columns_cap < g->ncolumns) {
        g->columns = x_realloc(g->columns, g->ncolumns * sizeof *g->columns);
        g->columns_cap = g->ncolumns;
    }
    for (uint32_t i = 0; i < g->ncolumns && !r.bad; i++) {
        struct group_column *c = &g->columns[i];

        c->label = rd_u32(&r);
        c->width = rd_u32(&r);
        c->constant = c->width == 0 ? rd_u32(&r) : 0;
        r.bad |= c->label >= d->nlabels || c->width > 4 || c->width == 3 || (i && c->label <= g->columns[i - 1].label);
    }
    for (uint32_t i = 0; i < g->ncolumns && !r.bad; i++) {
        struct group_column *c = &g->columns[i];

        c->ids = (const uint8_t *)rd_bytes(&r, (uint64_t)c->width * nrows).p;
        r.bad |= !r.bad && !ids_in_range(c, c->width ? nrows : 1, d->labels[c->label].nvalues);
    }
    if (r.bad || rd_left(&r) > 0) {
        g->ncolumns = 0;
        return err_set(e, ERR_CORRUPT, "group of an index segment: not readable");
    }
    return 0;
}

void group_release(struct row_group *g)
{
    buf_release(&g->raw);
    free(g->columns);
    *g = (struct row_group){0};
}

int values_parse(struct str raw, uint32_t n, struct arena *a, struct str *out, struct err *e)
{
    struct rd heads = rd_of(raw), rests = rd_of(raw);
    uint64_t total = 0, shared, rest;

    for (uint32_t i = 0; i < n; i++) {
        shared = rd_varint(&rests);
        rest = rd_varint(&rests);
        if (rests.bad || shared > UINT32_MAX || rest > UINT32_MAX || (total += shared + rest) > PIECE_RAW_MAX)
            return err_set(e, ERR_CORRUPT, "values of an index segment: not readable");
    }
    char *at = arena_alloc(a, total + 1);
    for (uint32_t i = 0; i < n; i++) {
        shared = rd_varint(&heads);
        rest = rd_varint(&heads);
        struct str tail = rd_bytes(&rests, rest);

        if (rests.bad || shared > (i ? out[i - 1].n : 0))
            return err_set(e, ERR_CORRUPT, "values of an index segment: not readable");
        if (shared)
            memcpy(at, out[i - 1].p, shared);
        memcpy(at + shared, tail.p, tail.n);
        out[i] = str_n(at, shared + tail.n);
        at += out[i].n;
        if (i && str_cmp(out[i - 1], out[i]) >= 0)
            return err_set(e, ERR_CORRUPT, "values of an index segment: not in order");
    }
    return rd_left(&rests) ? err_set(e, ERR_CORRUPT, "bytes behind the values of an index segment") : 0;
}

static void set_range(uint64_t *bits, uint32_t from, uint32_t n)
{
    uint32_t to = from + n;

    for (; from < to && from & 63; from++)
        bits[from / 64] |= UINT64_C(1) << (from & 63);
    for (; to - from >= 64; from += 64)
        bits[from / 64] = UINT64_MAX;
    for (; from < to; from++)
        bits[from / 64] |= UINT64_C(1) << (from & 63);
}

static int set_list(struct rd list, uint64_t row, uint32_t nrows, uint64_t *bits)
{
    for (bool first = true; rd_left(&list) > 0; first = false) {
        uint64_t head = rd_varint(&list), n = 1;

        row += first ? 0 : head >> 1;
        if (head & 1)
            n = rd_varint(&list) + 2;
        if (list.bad || row >= nrows || n > nrows - row || n == 0)
            return ERR_CORRUPT;
        set_range(bits, (uint32_t)row, (uint32_t)n);
        row += n;
    }
    return 0;
}

int posting_set(struct str raw, uint32_t lists, const uint64_t *want, uint32_t from, uint32_t nrows, uint64_t *bits,
                struct err *e)
{
    struct rd lengths = rd_of(raw), bodies = rd_of(raw);
    uint64_t row = 0;

    for (uint32_t i = 0; i < lists; i++)
        rd_varint(&bodies);
    for (uint32_t i = 0; i < lists; i++) {
        struct rd list = rd_of(rd_bytes(&bodies, rd_varint(&lengths))), head = list;

        row += (uint64_t)unzigzag(rd_varint(&head) >> 1);
        if (bodies.bad || head.bad || row >= nrows)
            return err_set(e, ERR_CORRUPT, "postings of an index segment: not readable");
        if (want[(from + i) / 64] >> ((from + i) & 63) & 1 && set_list(list, row, nrows, bits) < 0)
            return err_set(e, ERR_CORRUPT, "postings of an index segment: a row out of range");
    }
    return rd_left(&bodies) ? err_set(e, ERR_CORRUPT, "bytes behind the postings of an index segment") : 0;
}

/* --- caches of a view --------------------------------------------------------------------------------- */

enum { CACHED_GROUPS = 32 };

struct value_cache {     /* of one label */
    struct str **blocks; /* per value block, or NULL */
};
struct label_cache { /* of one segment */
    struct blob_reader blob;
    struct buf piece, raw;
    struct row_group groups[CACHED_GROUPS]; /* group g at g % CACHED_GROUPS */
    uint32_t group_no[CACHED_GROUPS];       /* + 1; 0: free */
    struct value_cache *values;             /* per label */
};

void label_cache_free(struct label_cache *c, const struct segment *s)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < CACHED_GROUPS; i++)
        group_release(&c->groups[i]);
    for (uint32_t i = 0; c->values && i < ((struct seg_dir *)s->dir)->nlabels; i++)
        free(c->values[i].blocks);
    free(c->values);
    buf_release(&c->piece);
    buf_release(&c->raw);
    free(c);
}

static struct label_cache *cache_of(struct day_view *v, struct segment *s)
{
    struct label_cache **c = &v->caches[s->number];

    if (!*c) {
        *c = x_zalloc(sizeof **c);
        (*c)->blob = (struct blob_reader){.view = v, .id = s->blob};
    }
    return *c;
}

static int unpack_piece(struct day_view *v, struct label_cache *c, struct piece p, struct buf *out, struct err *e)
{
    struct str bytes;
    int rc = blob_get(&c->blob, p, &c->piece, &bytes, e);

    buf_reset(out);
    return rc < 0 ? rc : unpack_bytes_from(v->unpacker, bytes, out, e);
}

uint32_t seg_label_find(const struct seg_dir *d, struct str name)
{
    uint32_t lo = 0, hi = d->nlabels;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = str_cmp(d->labels[mid].name, name);

        if (c == 0)
            return mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return UINT32_MAX;
}

int seg_group(struct day_view *v, struct segment *s, uint32_t group, const struct row_group **out, struct err *e)
{
    struct label_cache *c = cache_of(v, s);
    uint32_t at = group % CACHED_GROUPS;
    const struct seg_dir *d;
    int rc = 0;

    if (c->group_no[at] != group + 1) {
        c->group_no[at] = 0;
        if ((rc = segment_dir(v, s, &d, e)) < 0)
            return rc;
        assert(group < d->ngroups);
        if ((rc = unpack_piece(v, c, d->groups[group], &c->groups[at].raw, e)) < 0 ||
            (rc = group_parse(&c->groups[at], d, MIN((uint32_t)GROUP_ROWS, s->n - group * GROUP_ROWS), e)) < 0)
            return segment_err(s, e);
        c->group_no[at] = group + 1;
    }
    *out = &c->groups[at];
    return 0;
}

int seg_value_block(struct day_view *v, struct segment *s, uint32_t label, uint32_t block, const struct str **out,
                    uint32_t *n, struct err *e)
{
    struct label_cache *c = cache_of(v, s);
    const struct seg_dir *d;
    int rc = segment_dir(v, s, &d, e);

    if (rc < 0)
        return rc;
    const struct seg_label *l = &d->labels[label];
    assert(label < d->nlabels && block < l->nvalue_blocks);
    if (!c->values)
        c->values = x_zalloc(d->nlabels * sizeof *c->values);
    if (!c->values[label].blocks)
        c->values[label].blocks = x_zalloc(l->nvalue_blocks * sizeof *c->values[label].blocks);
    struct str **place = &c->values[label].blocks[block];
    *n = l->value_blocks[block + 1].first_id - l->value_blocks[block].first_id;
    if (!*place) {
        struct buf raw = {0};
        struct str *values = NULL;

        rc = unpack_piece(v, c, l->value_blocks[block].piece, &raw, e);
        if (rc == 0 && *n > raw.n) /* two bytes each at least */
            rc = err_set(e, ERR_CORRUPT, "values of an index segment: fewer than there should be");
        if (rc == 0) {
            values = arena_array(&v->strings, struct str, *n);
            rc = values_parse(buf_str(&raw), *n, &v->strings, values, e);
        }
        buf_release(&raw);
        if (rc < 0)
            return segment_err(s, e);
        *place = values;
    }
    *out = *place;
    return 0;
}

uint32_t value_block_of(const struct seg_label *l, uint32_t id)
{
    uint32_t lo = 0, hi = l->nvalue_blocks;

    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (l->value_blocks[mid].first_id <= id)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

int seg_value(struct day_view *v, struct segment *s, uint32_t label, uint32_t id, struct str *out, struct err *e)
{
    const struct seg_dir *d = s->dir; /* an id came from a group, so it is loaded */
    const struct str *values;
    uint32_t n;

    assert(d && label < d->nlabels && id > 0 && id <= d->labels[label].nvalues);
    uint32_t block = value_block_of(&d->labels[label], id);
    int rc = seg_value_block(v, s, label, block, &values, &n, e);
    if (rc < 0)
        return rc;
    *out = values[id - d->labels[label].value_blocks[block].first_id];
    return 0;
}

static bool any_in(const uint64_t *want, uint32_t from, uint32_t to)
{
    for (; from < to; from++)
        if (want[from / 64] >> (from & 63) & 1)
            return true;
    return false;
}

int seg_postings(struct day_view *v, struct segment *s, uint32_t label, const uint64_t *want, uint64_t *bits,
                 struct err *e)
{
    struct label_cache *c = cache_of(v, s);
    const struct seg_dir *d;
    int rc = segment_dir(v, s, &d, e);

    if (rc < 0)
        return rc;
    const struct seg_label *l = &d->labels[label];
    for (uint32_t i = 0; i < l->nposting_blocks; i++) {
        uint32_t from = l->posting_blocks[i].first_id - 1, to = l->posting_blocks[i + 1].first_id - 1;

        if (!any_in(want, from, to))
            continue;
        if (view_walk(v, to - from, e) < 0)
            return e->code;
        if (unpack_piece(v, c, l->posting_blocks[i].piece, &c->raw, e) < 0 ||
            posting_set(buf_str(&c->raw), to - from, want, from, s->n, bits, e) < 0)
            return segment_err(s, e);
    }
    return 0;
}

/* --- labels of a series --------------------------------------------------------------------------------- */

int view_labels_locked(struct day_view *v, uint32_t sid, struct arena *a, struct labels *out, struct err *e)
{
    struct segment *s = dir_segment_of(v->dir, sid);
    uint32_t row = sid - s->first_sid, n = 0;
    const struct row_group *g;
    int rc = seg_group(v, s, row / GROUP_ROWS, &g, e);

    if (rc < 0)
        return rc;
    const struct seg_dir *d = s->dir;
    struct label *l = arena_array(a, struct label, g->ncolumns + 1);
    for (uint32_t i = 0; i < g->ncolumns; i++) {
        uint32_t id = group_id(&g->columns[i], row % GROUP_ROWS);

        if (id == 0)
            continue;
        l[n].name = d->labels[g->columns[i].label].name;
        if ((rc = seg_value(v, s, g->columns[i].label, id, &l[n].value, e)) < 0)
            return rc;
        n++;
    }
    *out = (struct labels){l, n};
    return 0;
}

int day_view_labels(struct day_view *v, uint32_t sid, struct arena *a, struct labels *out, struct err *e)
{
    pthread_mutex_lock(&v->mu);
    int rc = view_labels_locked(v, sid, a, out, e);
    pthread_mutex_unlock(&v->mu);
    return rc;
}

static int label_locked(struct day_view *v, uint32_t sid, struct str name, struct str *out, struct err *e)
{
    struct segment *s = dir_segment_of(v->dir, sid);
    uint32_t row = sid - s->first_sid;
    const struct row_group *g;
    int rc = seg_group(v, s, row / GROUP_ROWS, &g, e);

    *out = STR_NULL;
    if (rc < 0)
        return rc;
    uint32_t label = seg_label_find(s->dir, name);
    for (uint32_t i = 0; i < g->ncolumns; i++)
        if (g->columns[i].label == label) {
            uint32_t id = group_id(&g->columns[i], row % GROUP_ROWS);

            return id ? seg_value(v, s, label, id, out, e) : 0;
        }
    return 0;
}

int day_view_label(struct day_view *v, uint32_t sid, struct str name, struct str *out, struct err *e)
{
    pthread_mutex_lock(&v->mu);
    int rc = label_locked(v, sid, name, out, e);
    pthread_mutex_unlock(&v->mu);
    return rc;
}
