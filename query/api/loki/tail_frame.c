/*
 * tail_frame.c - frames of a live tail.
 *
 * {"streams":[{"stream":{...},"values":[["ns","line"],...]}],"dropped_entries":[{"labels":{...},"timestamp":"ns","count":n}]}
 *
 * dropped_entries has one entry for each label set: when the first record was left out, and (ours) how many were.
 */
#include "query/api/loki/tail_frame.h"

#include <stdlib.h>

enum { DROPS_MAX = 200 };

struct tail_stream {
    struct labels labels;
    struct logql_entry *entries;
    uint32_t n, cap;
};

struct tail_drop {
    struct labels labels;
    int64_t t_ns;
    uint64_t n;
};

/* The place of a label set in a table; *key is written over. */
static void **place_of(struct map *m, struct arena *a, const struct labels *ls, bool *added)
{
    struct buf key = {0};
    void **place;

    labels_canonical(&key, ls);
    place = map_get(m, buf_str(&key)) ? map_put(m, buf_str(&key), added) : map_put(m, arena_dup(a, buf_str(&key)), added);
    buf_release(&key);
    return place;
}

/* --- records ------------------------------------------------------------------------------------------------ */

static struct tail_stream *stream_of(struct tail_batch *b, const struct labels *ls)
{
    bool added;
    void **place = place_of(&b->by_labels, &b->arena, ls, &added);
    struct tail_stream *s;

    if (!added)
        return *place;
    *place = s = arena_new(&b->arena, struct tail_stream);
    s->labels = labels_dup(&b->arena, ls);
    if (b->nstreams == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 16;
        b->streams = x_realloc(b->streams, b->cap * sizeof *b->streams);
    }
    return b->streams[b->nstreams++] = s;
}

void tail_batch_add(struct tail_batch *b, int64_t t_ns, struct str line, const struct labels *ls)
{
    struct tail_stream *s = stream_of(b, ls);

    if (s->n == s->cap) {
        struct logql_entry *more;

        s->cap = s->cap ? s->cap * 2 : 8;
        more = arena_array(&b->arena, struct logql_entry, s->cap);
        if (s->n)
            memcpy(more, s->entries, s->n * sizeof *more);
        s->entries = more;
    }
    s->entries[s->n++] = (struct logql_entry){.t_ns = t_ns, .line = arena_dup(&b->arena, line)};
    b->n++;
    b->bytes += line.n;
}

void tail_batch_reset(struct tail_batch *b)
{
    map_reset(&b->by_labels);
    arena_reset(&b->arena);
    b->nstreams = b->n = 0;
    b->bytes = 0;
}

void tail_batch_release(struct tail_batch *b)
{
    map_release(&b->by_labels);
    arena_release(&b->arena);
    free(b->streams);
    memset(b, 0, sizeof *b);
}

/* --- drops ---------------------------------------------------------------------------------------------------- */

void tail_drops_add(struct tail_drops *d, const struct labels *ls, int64_t t_ns, uint64_t n)
{
    static const struct labels none;
    struct tail_drop *one;
    bool added;
    void **place;

    if (!ls || d->by_labels.n >= DROPS_MAX) /* beyond: counted, without a name */
        ls = &none;
    place = place_of(&d->by_labels, &d->arena, ls, &added);
    if (added) {
        *place = one = arena_new(&d->arena, struct tail_drop);
        one->labels = labels_dup(&d->arena, ls);
        one->t_ns = t_ns;
    }
    one = *place;
    one->n += n;
    d->n += n;
}

void tail_drops_add_batch(struct tail_drops *d, const struct tail_batch *b)
{
    for (uint32_t i = 0; i < b->nstreams; i++)
        tail_drops_add(d, &b->streams[i]->labels, b->streams[i]->entries[0].t_ns, b->streams[i]->n);
}

void tail_drops_reset(struct tail_drops *d)
{
    map_reset(&d->by_labels);
    arena_reset(&d->arena);
    d->n = 0;
}

void tail_drops_release(struct tail_drops *d)
{
    map_release(&d->by_labels);
    arena_release(&d->arena);
    memset(d, 0, sizeof *d);
}

/* --- frames ----------------------------------------------------------------------------------------------------- */

void tail_put_drops(struct buf *out, const struct tail_drops *d)
{
    const struct map_entry *en;
    uint32_t at = 0, n = 0;

    if (d->n == 0)
        return;
    buf_putz(out, ",\"dropped_entries\":[");
    while ((en = map_next(&d->by_labels, &at))) {
        const struct tail_drop *one = en->value;

        buf_putz(out, n++ ? ",{\"labels\":" : "{\"labels\":");
        api_put_metric(out, &one->labels);
        buf_printf(out, ",\"timestamp\":\"%lld\",\"count\":%llu}", (long long)one->t_ns, (unsigned long long)one->n);
    }
    buf_putc(out, ']');
}

void tail_put_frame(struct buf *out, const struct tail_batch *b, const struct tail_drops *d)
{
    struct arena a = {0};
    struct logql_stream *v = arena_array(&a, struct logql_stream, b->nstreams + 1);

    for (uint32_t i = 0; i < b->nstreams; i++)
        v[i] = (struct logql_stream){.labels = b->streams[i]->labels, .entries = b->streams[i]->entries, .n = b->streams[i]->n};
    buf_putz(out, "{\"streams\":");
    loki_put_streams(out, NULL, v, b->nstreams, false);
    tail_put_drops(out, d);
    buf_putc(out, '}');
    arena_release(&a);
}
