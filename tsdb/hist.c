/* hist.c - see hist.h: checks, layouts, and one sample after another as bytes. codec_hist.c has the columns of a day. */
#include "tsdb/hist.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define INT_MAX_EXACT 9007199254740992.0 /* 2^53 */

/* --- what may be stored --------------------------------------------------------------------------- */

static int check_buckets(const struct histogram *h, const struct hist_bucket *b, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i && b[i].i <= b[i - 1].i)
            return err_set(e, ERR_INVALID, "the indexes of its buckets do not rise");
        if (b[i].n < 0)
            return err_set(e, ERR_INVALID, "bucket %d has a negative count", b[i].i);
        if (hist_custom(h) && b[i].n != 0 && (b[i].i < 0 || (uint32_t)b[i].i > h->nbounds))
            return err_set(e, ERR_INVALID, "custom buckets: bounds are too few, %u for bucket %d", h->nbounds, b[i].i);
    }
    return 0;
}

static int check_custom(const struct histogram *h, struct err *e)
{
    if (h->nneg)
        return err_set(e, ERR_INVALID, "custom buckets: there must be no negative buckets");
    if (h->zero_count != 0 || h->zero_threshold != 0)
        return err_set(e, ERR_INVALID, "custom buckets: there must be no zero bucket");
    if (h->nbounds > HIST_BOUNDS_MAX)
        return err_set(e, ERR_INVALID, "custom buckets: %u bounds, at most %d", h->nbounds, HIST_BOUNDS_MAX);
    for (uint32_t i = 0; i < h->nbounds; i++) {
        if (!isfinite(h->bounds[i]))
            return err_set(e, ERR_INVALID, "custom buckets: bounds must be finite");
        if (i && h->bounds[i] <= h->bounds[i - 1])
            return err_set(e, ERR_INVALID, "custom buckets: bounds must strictly increase");
    }
    return 0;
}

int hist_check(const struct histogram *h, struct err *e)
{
    int rc;

    if (hist_stale(h))
        return 0;
    if (!hist_custom(h) && (h->schema < HIST_SCHEMA_MIN || h->schema > HIST_SCHEMA_MAX))
        return err_set(e, ERR_INVALID, "unknown schema %d", h->schema);
    if ((uint64_t)h->npos + h->nneg > HIST_BUCKETS_MAX)
        return err_set(e, ERR_INVALID, "%llu buckets, at most %d", (unsigned long long)h->npos + h->nneg, HIST_BUCKETS_MAX);
    if (hist_custom(h) && (rc = check_custom(h, e)) < 0)
        return rc;
    if (!hist_custom(h) && h->nbounds)
        return err_set(e, ERR_INVALID, "an exponential schema has no custom bounds");
    if (isnan(h->zero_threshold))
        return err_set(e, ERR_INVALID, "its zero threshold is not a number");
    if (h->count < 0 || h->zero_count < 0)
        return err_set(e, ERR_INVALID, "a negative count");
    rc = check_buckets(h, h->pos, h->npos, e);
    return rc < 0 ? rc : check_buckets(h, h->neg, h->nneg, e);
}

/* --- marks ---------------------------------------------------------------------------------------- */

struct mixer {
    uint64_t words[128];
    uint32_t n;
};

static void mix(struct mixer *m, uint64_t w)
{
    if (m->n == ARRAY_LEN(m->words)) {
        m->words[0] = hash64(m->words, sizeof m->words);
        m->n = 1;
    }
    m->words[m->n++] = w;
}

static void mix_number(struct mixer *m, double v)
{
    mix(m, f64_bits(v == 0 ? 0 : v));
}

static void mix_buckets(struct mixer *m, const struct hist_bucket *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (b[i].n != 0) {
            mix(m, (uint32_t)b[i].i);
            mix_number(m, b[i].n);
        }
    mix(m, UINT64_MAX);
}

double hist_mark(const struct histogram *h)
{
    struct mixer m = {.n = 0};

    mix(&m, (uint32_t)h->schema);
    mix_number(&m, h->sum);
    if (!hist_stale(h)) {
        mix_number(&m, h->count);
        mix_number(&m, h->zero_count);
        mix_number(&m, h->zero_threshold);
        mix_buckets(&m, h->pos, h->npos);
        mix_buckets(&m, h->neg, h->nneg);
        for (uint32_t i = 0; i < h->nbounds; i++)
            mix_number(&m, h->bounds[i]);
    }
    /* A NaN that no arithmetic makes. */
    return f64_from_bits(UINT64_C(0xfffb) << 48 | hash64(m.words, m.n * sizeof *m.words) >> 16);
}

/* --- resets --------------------------------------------------------------------------------------- */

/* No bucket of `before` has shrunk. */
static bool grew(const struct hist_bucket *now, uint32_t nnow, const struct hist_bucket *before, uint32_t nbefore)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < nbefore; i++) {
        if (before[i].n == 0)
            continue;
        while (k < nnow && now[k].i < before[i].i)
            k++;
        if (k == nnow || now[k].i != before[i].i || now[k].n < before[i].n)
            return false;
    }
    return true;
}

static bool goes_on(const struct histogram *h, const struct histogram *before)
{
    return before->hint != HIST_GAUGE && !hist_stale(h) && !hist_stale(before) && h->schema == before->schema &&
           h->zero_threshold == before->zero_threshold && hist_same_bounds(h, before) && h->count >= before->count &&
           h->zero_count >= before->zero_count && grew(h->pos, h->npos, before->pos, before->npos) &&
           grew(h->neg, h->nneg, before->neg, before->nneg);
}

enum hist_hint hist_hint_after(const struct histogram *h, const struct histogram *before)
{
    if (h->hint == HIST_GAUGE || h->hint == HIST_RESET)
        return h->hint;
    return before && goes_on(h, before) ? HIST_NOT_RESET : HIST_UNKNOWN;
}

/* --- layouts -------------------------------------------------------------------------------------- */

static uint32_t put_indexes(int32_t *to, const struct hist_bucket *b, uint32_t n)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++)
        if (b[i].n != 0)
            to[k++] = b[i].i;
    return k;
}

void hist_layout_of(const struct histogram *h, struct arena *a, struct hist_layout *out)
{
    int32_t *at = arena_alloc(a, ((size_t)h->npos + h->nneg + 1) * sizeof *at);

    *out = (struct hist_layout){
        .schema = h->schema, .nbounds = h->nbounds, .zero_threshold = h->zero_threshold, .bounds = h->bounds, .at = at};
    out->npos = put_indexes(at, h->pos, h->npos);
    out->nneg = put_indexes(at + out->npos, h->neg, h->nneg);
}

bool hist_layout_alike(const struct hist_layout *l, const struct histogram *h)
{
    if (l->schema != h->schema || f64_bits(l->zero_threshold) != f64_bits(h->zero_threshold) || l->nbounds != h->nbounds)
        return false;
    return l->bounds == h->bounds || l->nbounds == 0 || memcmp(l->bounds, h->bounds, l->nbounds * sizeof *l->bounds) == 0;
}

static bool holds(const int32_t *at, uint32_t nat, const struct hist_bucket *b, uint32_t n)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (b[i].n == 0)
            continue;
        while (k < nat && at[k] < b[i].i)
            k++;
        if (k == nat || at[k] != b[i].i)
            return false;
    }
    return true;
}

bool hist_layout_holds(const struct hist_layout *l, const struct histogram *h)
{
    return hist_layout_alike(l, h) && holds(l->at, l->npos, h->pos, h->npos) &&
           holds(l->at + l->npos, l->nneg, h->neg, h->nneg);
}

/* Both in order, each once. */
static uint32_t join(const int32_t *at, uint32_t nat, const struct hist_bucket *b, uint32_t n, int32_t *to)
{
    uint32_t i = 0, k = 0, out = 0;

    for (;;) {
        while (i < n && b[i].n == 0)
            i++;
        if (i == n && k == nat)
            return out;
        if (k == nat || (i < n && b[i].i < at[k])) {
            to[out++] = b[i++].i;
        } else {
            i += i < n && b[i].i == at[k];
            to[out++] = at[k++];
        }
    }
}

bool hist_layout_join(const struct hist_layout *l, const struct histogram *h, struct arena *a, struct hist_layout *out)
{
    enum { WIDE = 4, FEW = 32 };
    int32_t *at = arena_alloc(a, ((size_t)l->npos + l->nneg + h->npos + h->nneg + 1) * sizeof *at);

    *out = *l;
    out->at = at;
    out->npos = join(l->at, l->npos, h->pos, h->npos, at);
    out->nneg = join(l->at + l->npos, l->nneg, h->neg, h->nneg, at + out->npos);
    return out->npos + out->nneg <= MIN(WIDE * (h->npos + h->nneg) + FEW, (uint32_t)HIST_CELLS_MAX - 1);
}

static void put_spans(struct buf *b, const int32_t *at, uint32_t n)
{
    uint32_t spans = 0;
    int64_t behind = 0;

    for (uint32_t i = 0; i < n; i++)
        spans += i == 0 || at[i] != at[i - 1] + 1;
    buf_put_varint(b, spans);
    for (uint32_t i = 0, k; i < n; i += k) {
        for (k = 1; i + k < n && at[i + k] == at[i + k - 1] + 1;)
            k++;
        buf_put_varint(b, zigzag(at[i] - behind));
        buf_put_varint(b, k);
        behind = (int64_t)at[i] + k;
    }
}

void hist_layout_put(struct buf *b, const struct hist_layout *l)
{
    buf_put_varint(b, zigzag(l->schema));
    put_spans(b, l->at, l->npos);
    if (l->schema == HIST_CUSTOM) {
        buf_put_varint(b, l->nbounds);
        for (uint32_t i = 0; i < l->nbounds; i++)
            buf_put_u64(b, f64_bits(l->bounds[i]));
    } else {
        buf_put_u64(b, f64_bits(l->zero_threshold));
        put_spans(b, l->at + l->npos, l->nneg);
    }
}

/* Behind *n indexes, which it adds to. They rise, and lie in [lo, hi]. */
static bool get_spans(const uint8_t **p, const uint8_t *end, struct arena *a, int64_t lo, int64_t hi, int32_t **at, uint32_t *n)
{
    uint64_t spans, z, len;
    int64_t behind = 0;

    if (!(*p = get_varint(*p, end, &spans)) || spans > HIST_CELLS_MAX)
        return false;
    for (uint64_t s = 0; s < spans; s++) {
        if (!(*p = get_varint(*p, end, &z)) || !(*p = get_varint(*p, end, &len)) || len == 0 ||
            len >= HIST_CELLS_MAX - *n || z >> 40)
            return false;
        int64_t first = behind + unzigzag(z);
        if (first < lo || first + (int64_t)len - 1 > hi || (s && first <= behind))
            return false;
        *at = arena_grow(a, *at, *n * sizeof **at, (*n + len) * sizeof **at);
        for (uint64_t i = 0; i < len; i++)
            (*at)[(*n)++] = (int32_t)(first + (int64_t)i);
        behind = first + (int64_t)len;
    }
    return true;
}

bool hist_layout_get(const uint8_t **p, const uint8_t *end, struct arena *a, struct hist_layout *out)
{
    int32_t *at = arena_alloc(a, sizeof *at);
    int64_t hi = INT32_MAX;
    uint64_t z, nbounds;
    uint32_t n = 0;

    *out = (struct hist_layout){0};
    if (!(*p = get_varint(*p, end, &z)) || z > 200)
        return false;
    out->schema = (int32_t)unzigzag(z);
    if (out->schema != HIST_CUSTOM && (out->schema < HIST_SCHEMA_MIN || out->schema > HIST_SCHEMA_MAX))
        return false;
    if (!get_spans(p, end, a, out->schema == HIST_CUSTOM ? 0 : INT32_MIN, hi, &at, &n))
        return false;
    out->npos = n;
    if (out->schema == HIST_CUSTOM) {
        if (!(*p = get_varint(*p, end, &nbounds)) || nbounds > HIST_BOUNDS_MAX || nbounds * 8 > (uint64_t)(end - *p) ||
            (n && at[n - 1] > (int64_t)nbounds))
            return false;
        double *bounds = arena_alloc(a, (nbounds + 1) * sizeof *bounds);
        memcpy(bounds, *p, nbounds * sizeof *bounds);
        *p += nbounds * 8;
        out->bounds = bounds;
        out->nbounds = (uint32_t)nbounds;
    } else {
        if (end - *p < 8)
            return false;
        out->zero_threshold = f64_from_bits(get_u64le(*p));
        *p += 8;
        if (!get_spans(p, end, a, INT32_MIN, hi, &at, &n))
            return false;
        out->nneg = n - out->npos;
    }
    out->at = at;
    return true;
}

static void put_cells(const int32_t *at, uint32_t nat, const struct hist_bucket *b, uint32_t n, double *cells)
{
    uint32_t i = 0;

    for (uint32_t k = 0; k < nat; k++) {
        while (i < n && b[i].i < at[k])
            i++;
        cells[k] = i < n && b[i].i == at[k] && b[i].n != 0 ? b[i].n : 0;
    }
}

void hist_cells(const struct hist_layout *l, const struct histogram *h, double *cells)
{
    cells[0] = h->zero_count == 0 ? 0 : h->zero_count;
    put_cells(l->at, l->npos, h->pos, h->npos, cells + 1);
    put_cells(l->at + l->npos, l->nneg, h->neg, h->nneg, cells + 1 + l->npos);
}

static uint32_t take_cells(const int32_t *at, uint32_t nat, const double *cells, size_t stride, struct hist_bucket *b)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < nat; k++)
        if (cells[k * stride] != 0)
            b[n++] = (struct hist_bucket){at[k], cells[k * stride]};
    return n;
}

struct histogram *hist_of_cells(const struct hist_layout *l, const double *cells, size_t stride, struct arena *a)
{
    uint32_t n = 0, ncells = hist_layout_cells(l);
    struct histogram *h;
    struct hist_bucket *b;

    for (uint32_t k = 1; k < ncells; k++)
        n += cells[k * stride] != 0;
    h = arena_alloc(a, sizeof *h + n * sizeof *b);
    b = (struct hist_bucket *)(void *)(h + 1);
    *h = (struct histogram){.schema = l->schema,
                            .nbounds = l->nbounds,
                            .zero_threshold = l->zero_threshold,
                            .zero_count = cells[0],
                            .pos = b,
                            .bounds = l->bounds};
    h->npos = take_cells(l->at, l->npos, cells + stride, stride, b);
    h->neg = b + h->npos;
    h->nneg = take_cells(l->at + l->npos, l->nneg, cells + (1 + l->npos) * stride, stride, b + h->npos);
    return h;
}

struct histogram *hist_new_stale(struct arena *a)
{
    struct histogram *h = arena_new(a, struct histogram);

    h->sum = f64_from_bits(STALE_NAN_BITS);
    return h;
}

/* --- layouts by number ---------------------------------------------------------------------------- */

static struct hist_dict_slot *dict_slot(const struct hist_dict *d, uint64_t hash, struct str bytes)
{
    uint32_t i = (uint32_t)hash & d->mask;

    for (struct hist_dict_slot *s; (s = &d->slots[i])->number1; i = (i + 1) & d->mask)
        if (s->hash == hash && str_eq(str_n(d->bytes.p + s->from, s->to - s->from), bytes))
            return s;
    return &d->slots[i];
}

static void dict_grow(struct hist_dict *d)
{
    struct hist_dict_slot *old = d->slots;
    uint32_t n = old ? d->mask + 1 : 0;

    d->mask = n ? n * 2 - 1 : 15;
    d->slots = x_zalloc(((size_t)d->mask + 1) * sizeof *d->slots);
    for (uint32_t i = 0; i < n; i++)
        if (old[i].number1) {
            uint32_t at = (uint32_t)old[i].hash & d->mask;
            while (d->slots[at].number1)
                at = (at + 1) & d->mask;
            d->slots[at] = old[i];
        }
    free(old);
}

uint32_t hist_dict_put(struct hist_dict *d, const struct hist_layout *l)
{
    struct hist_dict_slot *s;
    uint64_t hash;

    if (!d->slots || d->n * 2 > d->mask)
        dict_grow(d);
    buf_reset(&d->one);
    hist_layout_put(&d->one, l);
    hash = hash64(d->one.p, d->one.n);
    s = dict_slot(d, hash, buf_str(&d->one));
    if (!s->number1) {
        *s = (struct hist_dict_slot){hash, (uint32_t)d->bytes.n, (uint32_t)(d->bytes.n + d->one.n), ++d->n};
        buf_puts(&d->bytes, buf_str(&d->one));
    }
    return s->number1 - 1;
}

void hist_dict_reset(struct hist_dict *d)
{
    if (d->n == 0)
        return;
    memset(d->slots, 0, ((size_t)d->mask + 1) * sizeof *d->slots);
    buf_reset(&d->bytes);
    d->n = 0;
}

void hist_dict_release(struct hist_dict *d)
{
    free(d->slots);
    buf_release(&d->bytes);
    buf_release(&d->one);
    arena_release(&d->scratch);
    *d = (struct hist_dict){0};
}

int hist_dict_read(struct str bytes, struct arena *a, struct hist_layout **out, uint32_t *n)
{
    const uint8_t *p = (const uint8_t *)(bytes.n ? bytes.p : ""), *end = p + bytes.n;
    struct hist_layout *l = NULL;
    uint32_t cap = 0;

    *n = 0;
    while (p < end) {
        if (*n == cap) {
            struct hist_layout *more = arena_array(a, struct hist_layout, cap = cap ? cap * 2 : 8);
            if (*n)
                memcpy(more, l, *n * sizeof *l);
            l = more;
        }
        if (!hist_layout_get(&p, end, a, &l[*n]))
            return ERR_CORRUPT;
        ++*n;
    }
    *out = l;
    return 0;
}

/* --- samples -------------------------------------------------------------------------------------- */

static bool exact_int(double v)
{
    return v > -INT_MAX_EXACT && v < INT_MAX_EXACT && (double)(int64_t)v == v;
}

/* Are all of them integers, and their sum still exact? */
static bool all_ints(const double *cells, uint32_t n, double count, int64_t *extra)
{
    int64_t total = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (!exact_int(cells[i]))
            return false;
        total += (int64_t)cells[i];
        if (total >= (INT64_C(1) << 53) || total <= -(INT64_C(1) << 53))
            return false;
    }
    if (!exact_int(count))
        return false;
    *extra = (int64_t)count - total;
    return true;
}

uint8_t *hist_put(uint8_t *p, const struct hist_layout *l, const struct histogram *h, int64_t *last, double *cells)
{
    uint32_t n = hist_layout_cells(l);
    int64_t extra;
    uint8_t *bits;

    if (hist_stale(h)) {
        *p = (uint8_t)(h->hint & HIST_HINT) | HIST_OP_STALE;
        return p + 1;
    }
    hist_cells(l, h, cells);
    bool ints = all_ints(cells, n, h->count, &extra);
    *p++ = (uint8_t)((h->hint & HIST_HINT) | (ints ? 0 : HIST_OP_RAW));
    put_u64le(p, f64_bits(h->sum));
    p += 8;
    if (!ints) {
        put_u64le(p, f64_bits(h->count));
        memcpy(p + 8, cells, n * sizeof *cells);
        return p + 8 + n * sizeof *cells;
    }
    p = put_varint(p, zigzag(extra));
    bits = p;
    memset(bits, 0, (n + 7) / 8);
    p += (n + 7) / 8;
    for (uint32_t i = 0; i < n; i++) {
        int64_t x = (int64_t)cells[i], before = last ? last[i] : 0;
        if (x == before)
            continue;
        bits[i / 8] |= (uint8_t)(1u << i % 8);
        p = put_varint(p, zigzag(x - before));
        if (last)
            last[i] = x;
    }
    return p;
}

/* The cells of an integer sample, its count's surplus before them. */
static const uint8_t *get_ints(const uint8_t *p, const uint8_t *end, uint32_t n, int64_t *last, double *cells, double *count)
{
    const uint8_t *bits;
    uint64_t z, total;

    if (!(p = get_varint(p, end, &z)) || (size_t)(end - p) < (n + 7) / 8)
        return NULL;
    total = (uint64_t)unzigzag(z);
    bits = p;
    p += (n + 7) / 8;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t x = last ? (uint64_t)last[i] : 0;
        if (bits[i / 8] >> i % 8 & 1) {
            if (!(p = get_varint(p, end, &z)))
                return NULL;
            x += (uint64_t)unzigzag(z);
            if (last)
                last[i] = (int64_t)x;
        }
        cells[i] = (double)(int64_t)x;
        total += x;
    }
    *count = (double)(int64_t)total;
    return p;
}

const uint8_t *hist_get(const uint8_t *p, const uint8_t *end, const struct hist_layout *l, int64_t *last, double *cells,
                        struct arena *a, struct histogram **out)
{
    uint32_t n = hist_layout_cells(l);
    double sum, count;
    uint8_t op;

    if (p >= end || *p > (HIST_HINT | HIST_OP_STALE | HIST_OP_RAW))
        return NULL;
    op = *p++;
    if (op & HIST_OP_STALE) {
        *out = hist_new_stale(a);
        (*out)->hint = op & HIST_HINT;
        return p;
    }
    if (end - p < 8)
        return NULL;
    sum = f64_from_bits(get_u64le(p));
    p += 8;
    if (op & HIST_OP_RAW) {
        if ((size_t)(end - p) < 8 + n * sizeof *cells)
            return NULL;
        count = f64_from_bits(get_u64le(p));
        memcpy(cells, p + 8, n * sizeof *cells);
        p += 8 + n * sizeof *cells;
    } else if (!(p = get_ints(p, end, n, last, cells, &count))) {
        return NULL;
    }
    *out = hist_of_cells(l, cells, 1, a);
    (*out)->hint = op & HIST_HINT;
    (*out)->sum = sum;
    (*out)->count = count;
    return p;
}
