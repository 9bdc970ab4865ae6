/* entry_read.c - reading journal entries. Bytes come from a checksummed file, and still nothing in them is believed. */
#include "tsdb/entry.h"

#include "tsdb/vals.h"

#include <assert.h>
#include <stdlib.h>

struct span {
    const uint8_t *p, *end;
};

struct header {
    uint64_t number, first_local, ndefs, nrows, nsamples;
    uint8_t flags;
    struct span sec[SECTIONS];
};

void entry_reader_init(struct entry_reader *r, const struct entry_sink *sink)
{
    memset(r, 0, sizeof *r);
    r->sink = *sink;
}

void entry_reader_release(struct entry_reader *r)
{
    free(r->locals);
    free(r->pairs);
    free(r->names);
    arena_release(&r->arena);
    memset(r, 0, sizeof *r);
}

void entry_reader_file(struct entry_reader *r)
{
    r->nlocals = r->npairs = r->nnames = r->next_number = 0;
    r->broken = false;
}

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "metrics journal entry: %s", what);
}

static bool get(struct span *s, uint64_t *v)
{
    const uint8_t *p = get_varint(s->p, s->end, v);

    if (!p)
        return false;
    s->p = p;
    return true;
}

static bool get_zigzag(struct span *s, int64_t *v)
{
    uint64_t z;

    if (!get(s, &z))
        return false;
    *v = unzigzag(z);
    return true;
}

static bool get_text(struct span *s, struct str *out)
{
    uint64_t n;

    if (!get(s, &n) || n > (uint64_t)(s->end - s->p))
        return false;
    *out = str_n(s->p, n);
    s->p += n;
    return true;
}

static int read_header(struct header *h, struct str bytes, struct err *e)
{
    struct span s = {(const uint8_t *)bytes.p, (const uint8_t *)bytes.p + bytes.n};
    uint64_t n[SECTIONS], total = 0;

    if (bytes.n < 2 || s.p[0] != ENTRY_VERSION)
        return bad(e, "unknown version");
    h->flags = s.p[1];
    s.p += 2;
    if (!get(&s, &h->number) || !get(&s, &h->first_local) || !get(&s, &h->ndefs) || !get(&s, &h->nrows) ||
        !get(&s, &h->nsamples))
        return bad(e, "cut header");
    for (unsigned i = 0; i < SECTIONS; i++) {
        if (!get(&s, &n[i]) || n[i] > bytes.n)
            return bad(e, "bad section length");
        total += n[i];
    }
    if (total != (uint64_t)(s.end - s.p))
        return bad(e, "sections do not fill it");
    for (unsigned i = 0; i < SECTIONS; i++) {
        h->sec[i] = (struct span){s.p, s.p + n[i]};
        s.p += n[i];
    }
    if (h->nsamples > ENTRY_SAMPLES_MAX || h->nrows > h->nsamples || (h->nsamples + 7) / 8 != n[SEC_SAME] ||
        h->ndefs > n[SEC_DEFS])
        return bad(e, "counts that its sections cannot hold");
    return 0;
}

static void append_id(uint32_t **list, uint32_t *n, uint32_t *cap, uint32_t id)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 1024;
        *list = x_realloc(*list, sizeof **list * *cap);
    }
    (*list)[(*n)++] = id;
}

static bool read_pair(struct entry_reader *r, struct span *s, uint32_t *out)
{
    struct str text;
    uint64_t k, name;

    if (!get(s, &k) || k > r->npairs)
        return false;
    if (k) {
        *out = r->pairs[k - 1];
        return true;
    }
    if (!get(s, &name) || name > r->nnames)
        return false;
    if (!name) {
        if (!get_text(s, &text) || text.n == 0)
            return false;
        append_id(&r->names, &r->nnames, &r->names_cap, r->sink.name(r->sink.arg, text));
        name = r->nnames;
    }
    if (!get_text(s, &text) || text.n == 0)
        return false;
    *out = r->sink.pair(r->sink.arg, r->names[name - 1], text);
    append_id(&r->pairs, &r->npairs, &r->pairs_cap, *out);
    return true;
}

static void add_local(struct entry_reader *r, uint32_t ref)
{
    if (r->nlocals == r->locals_cap) {
        r->locals_cap = r->locals_cap ? r->locals_cap * 2 : 1024;
        r->locals = x_realloc(r->locals, sizeof *r->locals * r->locals_cap);
    }
    r->locals[r->nlocals++] = (struct entry_local){.ref = ref};
}

static int read_defs(struct entry_reader *r, struct header *h, struct err *e)
{
    struct span *s = &h->sec[SEC_DEFS];
    uint32_t lists[2][ENTRY_LABELS_MAX], *pairs = lists[0], *before = lists[1];
    uint64_t n, nbefore = 0;

    if (h->first_local != r->nlocals && h->ndefs)
        return bad(e, "definitions out of turn");
    for (uint64_t d = 0; d < h->ndefs; d++) {
        const uint8_t *mask;
        if (!get(s, &n) || n == 0 || n > ENTRY_LABELS_MAX || (n + 7) / 8 > (uint64_t)(s->end - s->p))
            return bad(e, "bad label count");
        mask = s->p;
        s->p += (n + 7) / 8;
        for (uint64_t i = 0; i < n; i++) {
            if (mask[i / 8] >> i % 8 & 1) {
                if (i >= nbefore)
                    return bad(e, "label of no series before");
                pairs[i] = before[i];
            } else if (!read_pair(r, s, &pairs[i])) {
                return bad(e, "bad label");
            }
        }
        add_local(r, r->sink.series(r->sink.arg, pairs, (uint32_t)n));
        uint32_t *swap = before;
        before = pairs;
        pairs = swap;
        nbefore = n;
    }
    return s->p == s->end ? 0 : bad(e, "bytes behind the definitions");
}

static int read_ids(struct entry_reader *r, struct header *h, uint32_t *locals, struct err *e)
{
    struct span *s = &h->sec[SEC_IDS];
    int64_t next = 0, delta;
    uint64_t run, n = 0;

    while (n < h->nrows) {
        if (!get_zigzag(s, &delta) || !get(s, &run) || run == 0 || run > h->nrows - n)
            return bad(e, "bad run of series");
        if (delta < -next || delta > (int64_t)r->nlocals - next || run > (uint64_t)((int64_t)r->nlocals - next - delta))
            return bad(e, "a series that was not defined");
        next += delta;
        for (uint64_t i = 0; i < run; i++)
            locals[n++] = (uint32_t)next++;
    }
    return s->p == s->end ? 0 : bad(e, "bytes behind the series");
}

static int read_times(struct header *h, uint32_t *counts, int64_t *t, struct err *e)
{
    struct span *s = &h->sec[SEC_TIMES];
    uint64_t row = 0, at = 0, rows, n;
    int64_t first = 0, d;

    while (row < h->nrows) {
        uint64_t delta = 0, begin = at;
        if (!get(s, &rows) || !get(s, &n) || !get_zigzag(s, &d) || rows == 0 || rows > h->nrows - row || n == 0 ||
            n > h->nsamples - at || rows > (h->nsamples - at) / n)
            return bad(e, "bad run of times");
        t[at] = first = (int64_t)((uint64_t)first + (uint64_t)d);
        for (uint64_t i = 1; i < n; i++) {
            if (!get_zigzag(s, &d))
                return bad(e, "cut times");
            delta += (uint64_t)d;
            t[at + i] = (int64_t)((uint64_t)t[at + i - 1] + delta);
        }
        for (uint64_t i = 0; i < rows; i++) {
            counts[row++] = (uint32_t)n;
            if (i)
                memcpy(t + at, t + begin, n * sizeof *t);
            at += n;
        }
    }
    return s->p == s->end && at == h->nsamples ? 0 : bad(e, "times and samples differ in number");
}

/* Also turns the local ids of the rows into refs. */
static int read_values(struct entry_reader *r, struct header *h, uint32_t *ids, const uint32_t *counts, double *v,
                       struct err *e)
{
    const uint8_t *same = h->sec[SEC_SAME].p, *p = h->sec[SEC_VALUES].p, *end = h->sec[SEC_VALUES].end;
    uint32_t k = 0;

    for (uint64_t row = 0; row < h->nrows; row++) {
        struct entry_local *l = &r->locals[ids[row]];
        for (uint32_t i = 0; i < counts[row]; i++, k++) {
            if (!(same[k / 8] >> k % 8 & 1) && !(p = vals_get(p, end, &l->v, &l->state)))
                return bad(e, "bad value");
            v[k] = l->v;
        }
        ids[row] = l->ref;
    }
    return p == end ? 0 : bad(e, "bytes behind the values");
}

static int read_st(struct header *h, int64_t *st, struct err *e)
{
    struct span *s = &h->sec[SEC_ST];
    uint64_t n = 0, run;
    int64_t before = 0, d;

    while (n < h->nsamples) {
        if (!get_zigzag(s, &d) || !get(s, &run) || run == 0 || run > h->nsamples - n)
            return bad(e, "bad start timestamps");
        before = (int64_t)((uint64_t)before + (uint64_t)d);
        while (run--)
            st[n++] = before;
    }
    return s->p == s->end ? 0 : bad(e, "bytes behind the start timestamps");
}

static int read_rows(struct entry_reader *r, struct header *h, struct err *e)
{
    struct arena *a = &r->arena;
    size_t ns = h->nsamples, nr = h->nrows;
    uint32_t *ids = arena_alloc(a, sizeof *ids * nr), *counts = arena_alloc(a, sizeof *counts * nr);
    int64_t *t = arena_alloc(a, sizeof *t * ns), *st = h->flags & ENTRY_ST ? arena_alloc(a, sizeof *st * ns) : NULL;
    double *v = arena_alloc(a, sizeof *v * ns);
    int rc;

    if ((rc = read_ids(r, h, ids, e)) < 0 || (rc = read_times(h, counts, t, e)) < 0 ||
        (st && (rc = read_st(h, st, e)) < 0) || (rc = read_values(r, h, ids, counts, v, e)) < 0)
        return rc;
    r->sink.rows(r->sink.arg, &(struct entry_rows){(uint32_t)nr, (uint32_t)ns, ids, counts, t, v, st});
    return 0;
}

static int read_exemplars(struct entry_reader *r, struct header *h, struct err *e)
{
    struct span *s = &h->sec[SEC_EXEMPLARS];

    while (s->p < s->end) {
        struct tsdb_exemplar x;
        uint64_t local, n;
        if (!get(s, &local) || local >= r->nlocals || !get_zigzag(s, &x.t) || s->end - s->p < 8)
            return bad(e, "bad exemplar");
        x.v = f64_from_bits(get_u64le(s->p));
        s->p += 8;
        if (!get(s, &n) || n > (uint64_t)(s->end - s->p) / 2 || n > ENTRY_LABELS_MAX)
            return bad(e, "bad exemplar labels");
        x.labels.n = (uint32_t)n;
        x.labels.v = arena_array(&r->arena, struct label, n);
        for (uint64_t i = 0; i < n; i++)
            if (!get_text(s, &x.labels.v[i].name) || !get_text(s, &x.labels.v[i].value))
                return bad(e, "bad exemplar label");
        r->sink.exemplar(r->sink.arg, r->locals[local].ref, &x);
    }
    return 0;
}

static int read_metadata(struct entry_reader *r, struct header *h, struct err *e)
{
    struct span *s = &h->sec[SEC_METADATA];

    while (s->p < s->end) {
        struct tsdb_metadata m = {.type = *s->p++};
        if (!get_text(s, &m.family) || !get_text(s, &m.help) || !get_text(s, &m.unit))
            return bad(e, "bad metadata");
        r->sink.metadata(r->sink.arg, &m);
    }
    return 0;
}

static int read_all(struct entry_reader *r, struct str bytes, struct err *e)
{
    struct header h;
    int rc;

    if ((rc = read_header(&h, bytes, e)) < 0)
        return rc;
    if (r->broken || h.number != r->next_number)
        return bad(e, "an entry before it in the same file is missing or damaged");
    r->next_number++;
    if ((rc = read_defs(r, &h, e)) < 0 || (rc = read_rows(r, &h, e)) < 0 || (rc = read_exemplars(r, &h, e)) < 0)
        return rc;
    return read_metadata(r, &h, e);
}

int entry_read(struct entry_reader *r, struct str bytes, struct err *e)
{
    int rc;

    arena_reset(&r->arena);
    rc = read_all(r, bytes, e);
    if (rc < 0)
        r->broken = true;
    return rc;
}
