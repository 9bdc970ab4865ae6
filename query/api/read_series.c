/*
 * read_series.c - one series in messages of remote read.
 *
 *   TimeSeries { labels 1 *, samples 2 * { value 1, timestamp 2 }, histograms 4 * }
 *   Histogram  { count 1 | 2, sum 3, schema 4, zero_threshold 5, zero_count 6 | 7, negative spans 8, deltas 9 | counts 10,
 *                positive spans 11, deltas 12 | counts 13, reset_hint 14, timestamp 15, custom_values 16 }
 *   Chunk      { min_time 1, max_time 2, type 3, data 4 }
 *
 * Fields that hold zero are left out, as proto3 does; those of a oneof never are.
 */
#include "query/api/read_series.h"

#include "net/wire.h"
#include "query/api/chunk.h"
#include "tsdb/tsdb.h"

enum { FRAME_BYTES = 1 << 20 };

struct labels read_merge_labels(struct arena *a, const struct labels *own, const struct labels *external)
{
    struct labels out = {arena_array(a, struct label, own->n + external->n + 1), 0};
    uint32_t i = 0, k = 0;

    while (i < own->n || k < external->n) {
        int c = i == own->n ? 1 : k == external->n ? -1 : str_cmp(own->v[i].name, external->v[k].name);

        out.v[out.n++] = c <= 0 ? own->v[i] : external->v[k];
        i += c <= 0;
        k += c >= 0;
    }
    return out;
}

static size_t varint_size(uint64_t v)
{
    uint8_t bytes[VARINT_MAX];

    return (size_t)(put_varint(bytes, v) - bytes);
}

static void put_labels(struct buf *b, const struct labels *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        struct str name = ls->v[i].name, value = ls->v[i].value;

        buf_put_varint(b, 1 << 3 | WIRE_BYTES);
        buf_put_varint(b, 2 + varint_size(name.n) + name.n + varint_size(value.n) + value.n);
        wire_put_bytes(b, 1, name);
        wire_put_bytes(b, 2, value);
    }
}

/* --- samples ------------------------------------------------------------------------------------------- */

static void put_sample(struct buf *b, int64_t t, double v)
{
    bool zero = f64_bits(v) == 0;

    buf_put_varint(b, 2 << 3 | WIRE_BYTES);
    buf_put_varint(b, (zero ? 0 : 9) + (t ? 1 + varint_size((uint64_t)t) : 0));
    if (!zero)
        wire_put_f64(b, 1, v);
    if (t)
        wire_put_varint(b, 2, (uint64_t)t);
}

static void put_spans(struct buf *b, struct arena *a, uint32_t number, const struct hist_bucket *v, uint32_t n)
{
    struct chunk_span *s = arena_array(a, struct chunk_span, n + 1);
    uint32_t nspans = chunk_spans(v, n, s);

    for (uint32_t i = 0; i < nspans; i++) {
        uint64_t offset = zigzag(s[i].offset);

        buf_put_varint(b, (uint64_t)number << 3 | WIRE_BYTES);
        buf_put_varint(b, (offset ? 1 + varint_size(offset) : 0) + 1 + varint_size(s[i].length));
        if (offset)
            wire_put_varint(b, 1, offset);
        wire_put_varint(b, 2, s[i].length);
    }
}

/* Spans, then deltas between neighbours (field spans + 1) or the counts themselves (spans + 2). */
static void put_buckets(struct buf *b, struct arena *a, uint32_t spans, const struct hist_bucket *v, uint32_t n,
                        bool ints)
{
    struct buf packed = {0};
    int64_t before = 0;

    if (n == 0)
        return;
    put_spans(b, a, spans, v, n);
    for (uint32_t i = 0; i < n; i++) {
        if (ints)
            buf_put_varint(&packed, zigzag((int64_t)v[i].n - before));
        else
            buf_put_u64(&packed, f64_bits(v[i].n));
        before = ints ? (int64_t)v[i].n : 0;
    }
    wire_put_bytes(b, spans + (ints ? 1 : 2), buf_str(&packed));
    buf_release(&packed);
}

static void put_f64_unless_zero(struct buf *b, uint32_t number, double v)
{
    if (f64_bits(v))
        wire_put_f64(b, number, v);
}

static void put_bounds(struct buf *b, const struct histogram *h)
{
    struct buf packed = {0};

    if (h->nbounds == 0)
        return;
    for (uint32_t i = 0; i < h->nbounds; i++)
        buf_put_u64(&packed, f64_bits(h->bounds[i]));
    wire_put_bytes(b, 16, buf_str(&packed));
    buf_release(&packed);
}

static void put_histogram(struct buf *out, struct arena *a, int64_t t, const struct histogram *h)
{
    bool ints = chunk_whole(h);
    struct buf b = {0};

    if (ints)
        wire_put_varint(&b, 1, (uint64_t)h->count);
    else
        wire_put_f64(&b, 2, h->count);
    put_f64_unless_zero(&b, 3, h->sum);
    if (h->schema)
        wire_put_varint(&b, 4, zigzag(h->schema));
    put_f64_unless_zero(&b, 5, h->zero_threshold);
    if (ints)
        wire_put_varint(&b, 6, (uint64_t)h->zero_count);
    else
        wire_put_f64(&b, 7, h->zero_count);
    put_buckets(&b, a, 8, h->neg, h->nneg, ints);
    put_buckets(&b, a, 11, h->pos, h->npos, ints);
    if (h->hint)
        wire_put_varint(&b, 14, h->hint);
    if (t)
        wire_put_varint(&b, 15, (uint64_t)t);
    put_bounds(&b, h);
    wire_put_bytes(out, 4, buf_str(&b));
    buf_release(&b);
}

void read_put_series(struct buf *out, const struct labels *ls, const struct tsdb_samples *s)
{
    struct buf b = {0};
    struct arena a = {0};

    put_labels(&b, ls);
    for (uint32_t i = 0; i < s->n; i++)
        if (!s->h || !s->h[i])
            put_sample(&b, s->t[i], s->v[i]);
    for (uint32_t i = 0; i < s->n && s->h; i++)
        if (s->h[i])
            put_histogram(&b, &a, s->t[i], s->h[i]);
    wire_put_bytes(out, 1, b.n ? buf_str(&b) : STR(""));
    arena_release(&a);
    buf_release(&b);
}

/* --- chunks -------------------------------------------------------------------------------------------- */

/* How many samples from i on share a chunk. */
static uint32_t run_of(const struct tsdb_samples *s, uint32_t i)
{
    bool hist = s->h && s->h[i];
    uint32_t n = 1;

    while (i + n < s->n && n < CHUNK_SAMPLES && (s->h && s->h[i + n]) == hist)
        n++;
    return hist ? chunk_hists_run(s->h + i, n) : n;
}

static void put_chunk(struct buf *out, struct buf *data, const struct tsdb_samples *s, uint32_t i, uint32_t n)
{
    uint64_t from = (uint64_t)s->t[i], to = (uint64_t)s->t[i + n - 1];
    enum chunk_encoding type = CHUNK_XOR;

    buf_reset(data);
    if (s->h && s->h[i])
        type = chunk_put_hists(data, s->t + i, s->h + i, n);
    else
        chunk_put_floats(data, s->t + i, s->v + i, n);
    buf_put_varint(out, 2 << 3 | WIRE_BYTES);
    buf_put_varint(out, (from ? 1 + varint_size(from) : 0) + (to ? 1 + varint_size(to) : 0) + 2 + 1 +
                            varint_size(data->n) + data->n);
    if (from)
        wire_put_varint(out, 1, from);
    if (to)
        wire_put_varint(out, 2, to);
    wire_put_varint(out, 3, type);
    wire_put_bytes(out, 4, buf_str(data));
}

/* series: labels and chunks of a ChunkedSeries. message: scratch. */
static void put_frame(struct buf *out, struct buf *message, const struct buf *series, uint32_t index)
{
    uint32_t crc;
    char be[4];

    buf_reset(message);
    wire_put_bytes(message, 1, buf_str(series));
    if (index)
        wire_put_varint(message, 2, index);
    crc = __builtin_bswap32(crc32c(0, message->p, message->n));
    memcpy(be, &crc, sizeof be);
    buf_put_varint(out, message->n);
    buf_put(out, be, sizeof be);
    buf_puts(out, buf_str(message));
}

void read_put_frames(struct buf *out, const struct labels *ls, const struct tsdb_samples *s, uint32_t index)
{
    struct buf series = {0}, message = {0}, data = {0};
    size_t nlabels;

    put_labels(&series, ls);
    nlabels = series.n;
    for (uint32_t i = 0; i < s->n;) {
        uint32_t n = run_of(s, i);

        put_chunk(&series, &data, s, i, n);
        i += n;
        if (series.n < FRAME_BYTES && i < s->n)
            continue;
        put_frame(out, &message, &series, index);
        series.n = nlabels;
    }
    buf_release(&series);
    buf_release(&message);
    buf_release(&data);
}
