/* entry_read.c - reading journal entries. Bytes come from a checksummed file, and still nothing in them is believed. */
#include "tsdb/entry.h"

#include "tsdb/vals.h"

#include <assert.h>
#include <stdlib.h>

/* A file that claims to have defined more than this is not read on behind a gap: the claim may be damage too. */
enum { DEFINED_MAX = 1 << 23 };

struct span {
    const uint8_t *p, *end;
};

struct header {
    uint64_t number, first_local, ndefs, nrows, nsamples, npairs, nnames, stretch;
    uint8_t flags;
    struct span sec[SECTIONS_MAX];
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
    memset(r, 0, sizeof *r);
}

void entry_reader_file(struct entry_reader *r)
{
    r->first += r->nlocals;
    r->nlocals = r->npairs = r->nnames = r->next_number = 0;
    r->stretch = r->sure_from = r->unsure = 0;
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
    uint64_t n[SECTIONS_MAX] = {0}, total = 0;
    unsigned nsec;

    if (bytes.n < 2 || s.p[0] != ENTRY_VERSION || s.p[1] & ~(ENTRY_ST | ENTRY_HISTS | ENTRY_MARKS))
        return bad(e, "unknown version");
    h->flags = s.p[1];
    nsec = h->flags & ENTRY_HISTS ? SECTIONS_MAX : SECTIONS;
    s.p += 2;
    if (!get(&s, &h->number) || !get(&s, &h->first_local) || !get(&s, &h->ndefs) || !get(&s, &h->nrows) ||
        !get(&s, &h->nsamples))
        return bad(e, "cut header");
    h->npairs = h->nnames = h->stretch = 0;
    if (h->flags & ENTRY_MARKS &&
        (!get(&s, &h->npairs) || !get(&s, &h->nnames) || !get(&s, &h->stretch) || h->stretch > UINT32_MAX))
        return bad(e, "cut header");
    for (unsigned i = 0; i < nsec; i++) {
        if (!get(&s, &n[i]) || n[i] > bytes.n)
            return bad(e, "bad section length");
        total += n[i];
    }
    if (total != (uint64_t)(s.end - s.p))
        return bad(e, "sections do not fill it");
    for (unsigned i = 0; i < nsec; i++) {
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
    *out = r->names[name - 1] == SYMBOL_NONE ? SYMBOL_NONE : r->sink.pair(r->sink.arg, r->names[name - 1], text);
    append_id(&r->pairs, &r->npairs, &r->pairs_cap, *out);
    return true;
}

/* npairs 0: its definition is lost. */
static void add_local(struct entry_reader *r, const uint32_t *pairs, uint32_t npairs)
{
    if (r->nlocals == r->locals_cap) {
        r->locals_cap = r->locals_cap ? r->locals_cap * 2 : 1024;
        r->locals = x_realloc(r->locals, sizeof *r->locals * r->locals_cap);
    }
    r->sink.series(r->sink.arg, pairs, npairs);
    r->locals[r->nlocals++] = (struct entry_local){.stretch = r->stretch, .lost = npairs == 0};
    r->losses.series += npairs == 0;
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
        bool known = true;
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
            known &= pairs[i] != SYMBOL_NONE;
        }
        add_local(r, pairs, known ? (uint32_t)n : 0);
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

/* Is the value that the local's next one leans on the right one? */
static bool is_sure(const struct entry_reader *r, const struct entry_local *l)
{
    return !l->lost && ((uint32_t)(l - r->locals) >= r->sure_from || r->stretch > r->unsure);
}

/* Also turns the local ids of the rows into numbers that hold across files. */
static int read_values(struct entry_reader *r, struct header *h, uint32_t *ids, const uint32_t *counts, double *v,
                       struct err *e)
{
    const uint8_t *same = h->sec[SEC_SAME].p, *p = h->sec[SEC_VALUES].p, *end = h->sec[SEC_VALUES].end;
    uint32_t k = 0;

    for (uint64_t row = 0; row < h->nrows; row++) {
        struct entry_local *l = &r->locals[ids[row]];
        if (l->stretch != r->stretch)
            *l = (struct entry_local){.stretch = r->stretch, .lost = l->lost};
        for (uint32_t i = 0; i < counts[row]; i++, k++) {
            if (!(same[k / 8] >> k % 8 & 1) && !(p = vals_get(p, end, &l->v, &l->state)))
                return bad(e, "bad value");
            v[k] = l->v;
        }
        ids[row] += r->first;
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

/* Histograms take the place of values, which become their marks. */
static int read_hists(struct header *h, struct arena *a, double *v, const struct histogram **out, struct err *e)
{
    struct span *s = &h->sec[SEC_HISTS];
    static const int32_t nowhere;
    struct hist_layout *layouts, none = {.at = &nowhere}; /* of staleness markers */
    struct histogram *x;
    struct str dict;
    uint64_t gap, number;
    uint32_t nlayouts, ncells = 1;
    double *cells;

    if (!get_text(s, &dict) || hist_dict_read(dict, a, &layouts, &nlayouts) < 0)
        return bad(e, "bad layouts of histograms");
    for (uint32_t i = 0; i < nlayouts; i++)
        ncells = MAX(ncells, hist_layout_cells(&layouts[i]));
    cells = arena_alloc(a, ncells * sizeof *cells);
    for (uint64_t at = 0; s->p < s->end; at++) {
        if (!get(s, &gap) || gap >= h->nsamples - at || !get(s, &number) || number > nlayouts)
            return bad(e, "a histogram of no sample");
        at += gap;
        s->p = hist_get(s->p, s->end, number ? &layouts[number - 1] : &none, NULL, cells, a, &x);
        if (!s->p || (number == 0) != hist_stale(x))
            return bad(e, "bad histogram");
        out[at] = x;
        v[at] = hist_mark(x);
    }
    return 0;
}

static void note_loss(struct entry_reader *r, uint32_t number, uint32_t samples)
{
    struct entry_losses *l = &r->losses;

    l->samples += samples;
    for (uint32_t i = 0; i < l->nsome; i++)
        if (l->some[i] == number)
            return;
    if (l->nsome < ARRAY_LEN(l->some))
        l->some[l->nsome++] = number;
}

/* The arrays of the rows of an entry. */
struct rows {
    uint32_t nrows, nsamples, *series, *counts;
    int64_t *t, *st;
    double *v;
    const struct histogram **h;
};

/* Takes out the rows whose values mean nothing. */
static void drop_unsure(struct entry_reader *r, struct rows *x)
{
    uint32_t nrows = 0, n = 0, count;

    for (uint32_t i = 0, at = 0; i < x->nrows; i++, at += count) {
        count = x->counts[i];
        if (!is_sure(r, &r->locals[x->series[i] - r->first])) {
            note_loss(r, x->series[i], count);
            continue;
        }
        memmove(x->t + n, x->t + at, sizeof *x->t * count);
        memmove(x->v + n, x->v + at, sizeof *x->v * count);
        if (x->st)
            memmove(x->st + n, x->st + at, sizeof *x->st * count);
        if (x->h)
            memmove(x->h + n, x->h + at, sizeof *x->h * count);
        x->series[nrows] = x->series[i];
        x->counts[nrows++] = count;
        n += count;
    }
    x->nrows = nrows;
    x->nsamples = n;
}

static int read_rows(struct entry_reader *r, struct header *h, struct arena *a, struct err *e)
{
    size_t ns = h->nsamples, nr = h->nrows;
    struct rows x = {.nrows = (uint32_t)nr, .nsamples = (uint32_t)ns};
    int rc;

    x.series = arena_alloc(a, sizeof *x.series * nr);
    x.counts = arena_alloc(a, sizeof *x.counts * nr);
    x.t = arena_alloc(a, sizeof *x.t * ns);
    x.st = h->flags & ENTRY_ST ? arena_alloc(a, sizeof *x.st * ns) : NULL;
    x.v = arena_alloc(a, sizeof *x.v * ns);
    if ((rc = read_ids(r, h, x.series, e)) < 0 || (rc = read_times(h, x.counts, x.t, e)) < 0 ||
        (x.st && (rc = read_st(h, x.st, e)) < 0) || (rc = read_values(r, h, x.series, x.counts, x.v, e)) < 0)
        return rc;
    if (h->flags & ENTRY_HISTS) {
        x.h = (const struct histogram **)arena_array(a, const struct histogram *, ns);
        rc = read_hists(h, a, x.v, x.h, e);
        if (rc < 0)
            return rc;
    }
    if (r->sure_from)
        drop_unsure(r, &x);
    r->sink.rows(r->sink.arg, &(struct entry_rows){x.nrows, x.nsamples, x.series, x.counts, x.t, x.v, x.st, x.h});
    return 0;
}

static int read_exemplars(struct entry_reader *r, struct header *h, struct arena *a, struct err *e)
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
        x.labels.v = arena_array(a, struct label, n);
        for (uint64_t i = 0; i < n; i++)
            if (!get_text(s, &x.labels.v[i].name) || !get_text(s, &x.labels.v[i].value))
                return bad(e, "bad exemplar label");
        if (!r->locals[local].lost)
            r->sink.exemplar(r->sink.arg, r->first + (uint32_t)local, &x);
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

/* What a gap took with it is entered as lost. False: what is behind it cannot be read either. */
static bool bridge(struct entry_reader *r, const struct header *h)
{
    uint64_t missing = h->number - r->next_number;

    if (!(h->flags & ENTRY_MARKS) || h->number < r->next_number || h->number > UINT32_MAX - 1 || h->first_local < r->nlocals ||
        h->first_local > DEFINED_MAX || h->npairs < r->npairs || h->npairs > DEFINED_MAX || h->nnames < r->nnames ||
        h->nnames > DEFINED_MAX)
        return false;
    while (r->nlocals < h->first_local)
        add_local(r, NULL, 0);
    while (r->npairs < h->npairs)
        append_id(&r->pairs, &r->npairs, &r->pairs_cap, SYMBOL_NONE);
    while (r->nnames < h->nnames)
        append_id(&r->names, &r->nnames, &r->names_cap, SYMBOL_NONE);
    r->losses.entries += MAX(missing, 1u);
    r->sure_from = r->nlocals;
    r->unsure = (uint32_t)h->number - 1;
    r->broken = false;
    return true;
}

static int read_all(struct entry_reader *r, struct str bytes, struct arena *a, struct err *e)
{
    struct header h;
    int rc;

    if ((rc = read_header(&h, bytes, e)) < 0)
        return rc;
    if ((r->broken || h.number != r->next_number) && !bridge(r, &h))
        return bad(e, "an entry before it in the same file is missing or damaged");
    r->next_number = (uint32_t)h.number + 1;
    r->stretch = (uint32_t)h.stretch;
    if ((rc = read_defs(r, &h, e)) < 0 || (rc = read_rows(r, &h, a, e)) < 0 ||
        (rc = read_exemplars(r, &h, a, e)) < 0)
        return rc;
    return read_metadata(r, &h, e);
}

int entry_read(struct entry_reader *r, struct str bytes, struct arena *a, struct err *e)
{
    uint32_t nlocals = r->nlocals, npairs = r->npairs, nnames = r->nnames, number = r->next_number;
    int rc = read_all(r, bytes, a, e);

    if (rc == 0)
        return 0;
    /* What it defined is not believed, and it counts as missing. */
    r->broken = true;
    r->next_number = number;
    for (uint32_t i = nlocals; i < r->nlocals; i++)
        r->locals[i].lost = true;
    r->npairs = MIN(npairs, r->npairs);
    r->nnames = MIN(nnames, r->nnames);
    return rc;
}
