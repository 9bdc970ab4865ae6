/*
 * day_load.c - what hangs on segments and slices once somebody needed it: labels of streams, directories of slices, counts.
 *
 * (1) Whatever is hung up (atomic exchange) is complete and never changes; it goes with its segment or slice. (2) Directories of
 * slices hang up to HUNG_BYTES_MAX in the whole process; beyond it a view keeps its own.
 */
#include "logstore/day_file.h"

#include <assert.h>
#include <stdlib.h>

#ifndef HUNG_BYTES_MAX /* a test makes it small */
#define HUNG_BYTES_MAX (32u << 20)
#endif
static _Atomic size_t hung_bytes;

/* The value of a key, unpacked into raw (released by the caller). */
static int load(struct log_day_view *v, char kind, uint32_t number, struct buf *raw, struct err *e)
{
    char key[DAY_KEY_MAX];
    struct str value;
    struct rd r;
    int rc;

    pthread_mutex_lock(&v->txn_mu);
    rc = txn_get(v->txn, day_key1(key, kind, number), &value, e);
    pthread_mutex_unlock(&v->txn_mu);
    if (rc == ERR_NOT_FOUND)
        return err_set(e, ERR_CORRUPT, "partition %s: key %c%u is missing", partition_path(v->p), kind, number);
    if (rc < 0)
        return rc;
    r = rd_of(value);
    pthread_mutex_lock(&v->mu);
    if (!v->unpacker)
        v->unpacker = log_unpacker_new();
    if (!log_packed_get(v->unpacker, &r, DAY_RAW_MAX, raw) || rd_left(&r))
        rc = err_set(e, ERR_CORRUPT, "partition %s: key %c%u does not unpack", partition_path(v->p), kind, number);
    pthread_mutex_unlock(&v->mu);
    return rc;
}

/* --- segments ---------------------------------------------------------------------------------------------- */

void day_segment_data_free(struct day_segment_data *d)
{
    if (!d)
        return;
    arena_release(&d->arena);
    free(d);
}

static bool parse_labels(struct rd *r, struct day_segment_data *d, uint32_t i)
{
    uint32_t n = rd_count(r, 2);
    struct labels ls;

    if (r->bad || n > DAY_LABELS_MAX)
        return false;
    ls = (struct labels){arena_array(&d->arena, struct label, n), n};
    for (uint32_t k = 0; k < n; k++) {
        ls.v[k].name = rd_text(r);
        ls.v[k].value = rd_text(r);
        if (r->bad || ls.v[k].value.n == 0 || (k && str_cmp(ls.v[k - 1].name, ls.v[k].name) >= 0))
            return false;
    }
    d->labels[i] = ls;
    d->ids[i] = labels_hash(&ls);
    return true;
}

/* Labels point into a copy of raw. */
static struct day_segment_data *parse_segment(struct str raw, uint32_t n)
{
    struct day_segment_data *d = x_zalloc(sizeof *d);
    struct rd r = rd_of(arena_dup(&d->arena, raw));
    bool good = n <= raw.n;

    if (good) {
        d->labels = arena_array(&d->arena, struct labels, n);
        d->ids = arena_array(&d->arena, struct hash128, n);
    }
    for (uint32_t i = 0; i < n && good; i++)
        good = parse_labels(&r, d, i);
    if (good && rd_left(&r) == 0)
        return d;
    day_segment_data_free(d);
    return NULL;
}

int day_segment_load(struct log_day_view *v, struct day_segment *s, const struct day_segment_data **out, struct err *e)
{
    struct day_segment_data *d = s->data, *none = NULL;
    struct buf raw = {0};
    int rc;

    if (!d) {
        rc = load(v, 'L', s->number, &raw, e);
        if (rc == 0 && !(d = parse_segment(buf_str(&raw), s->n)))
            rc = err_set(e, ERR_CORRUPT, "partition %s: streams of segment %u: not readable", partition_path(v->p), s->number);
        buf_release(&raw);
        if (rc < 0)
            return rc;
        if (!atomic_compare_exchange_strong(&s->data, &none, d)) {
            day_segment_data_free(d);
            d = none;
        }
    }
    *out = d;
    return 0;
}

int log_day_stream(struct log_day_view *v, uint32_t sid, const struct labels **labels, struct hash128 *id, struct err *e)
{
    const struct day_segment_data *d;
    uint32_t lo = 0, hi = v->dir->nsegments;
    int rc;

    if (sid >= v->dir->nstreams)
        return err_set(e, ERR_CORRUPT, "partition %s: stream %u of %u", partition_path(v->p), sid, v->dir->nstreams);
    while (hi - lo > 1) {
        uint32_t mid = (lo + hi) / 2;
        if (v->dir->segments[mid]->first_sid <= sid)
            lo = mid;
        else
            hi = mid;
    }
    if ((rc = day_segment_load(v, v->dir->segments[lo], &d, e)) < 0)
        return rc;
    *labels = &d->labels[sid - v->dir->segments[lo]->first_sid];
    if (id)
        *id = d->ids[sid - v->dir->segments[lo]->first_sid];
    return 0;
}

/* --- slices -------------------------------------------------------------------------------------------------- */

void day_slice_dir_free(struct log_slice_dir *d)
{
    if (!d)
        return;
    free(d->streams);
    free(d->blocks);
    free(d->names);
    free(d);
}

void day_slice_dir_unhang(struct log_slice_dir *d)
{
    atomic_fetch_sub(&hung_bytes, d->memory);
    day_slice_dir_free(d);
}

void day_slice_dir_encode(const struct log_slice *s, const struct log_slice_dir *d, struct buf *out)
{
    uint32_t sid = 0;

    for (uint32_t i = 0; i < d->nstreams; i++) {
        const struct log_slice_stream *x = &d->streams[i];
        buf_put_varint(out, zigzag((int64_t)x->sid - sid));
        buf_put_varint(out, x->nrows);
        buf_put_varint(out, x->bytes);
        buf_put_varint(out, (uint64_t)x->mint_ns - (uint64_t)s->mint_ns);
        buf_put_varint(out, (uint64_t)x->maxt_ns - (uint64_t)x->mint_ns);
        sid = x->sid;
    }
    for (uint32_t i = 0; i < d->nblocks; i++) {
        const struct log_slice_block *x = &d->blocks[i];
        buf_put_varint(out, x->nrows);
        buf_put_varint(out, x->raw_bytes);
        buf_put_varint(out, (uint64_t)x->mint_ns - (uint64_t)s->mint_ns);
        buf_put_varint(out, (uint64_t)x->maxt_ns - (uint64_t)x->mint_ns);
        buf_put_varint(out, x->meta_names);
    }
    buf_put_varint(out, d->nnames);
    for (uint32_t i = 0; i < d->nnames; i++) {
        buf_put_varint(out, d->names[i].n);
        buf_puts(out, d->names[i]);
    }
}

/* Two times as they are written. */
static void parse_span(struct rd *r, const struct log_slice *s, int64_t *mint, int64_t *maxt)
{
    *mint = (int64_t)((uint64_t)s->mint_ns + rd_varint(r));
    *maxt = (int64_t)((uint64_t)*mint + rd_varint(r));
    r->bad |= *mint < s->mint_ns || *maxt < *mint || *maxt > s->maxt_ns;
}

static void parse_names(struct rd *r, struct log_slice_dir *d)
{
    size_t bytes = rd_left(r);
    char *at;

    d->nnames = rd_count(r, 1);
    r->bad |= d->nnames > LOG_META_NAMES_MAX;
    if (r->bad || d->nnames == 0)
        return;
    d->names = x_alloc(d->nnames * sizeof *d->names + bytes);
    at = (char *)(d->names + d->nnames);
    for (uint32_t i = 0; i < d->nnames; i++) {
        struct str name = rd_text(r);
        memcpy(at, name.p, name.n);
        d->names[i] = str_n(at, name.n);
        at += name.n;
    }
    d->memory += d->nnames * sizeof *d->names + bytes;
}

static void parse_slice_dir(struct rd *r, const struct log_slice *s, struct log_slice_dir *d)
{
    uint64_t row = 0;
    uint32_t sid = 0;

    for (uint32_t i = 0; i < s->nstreams && !r->bad; i++) {
        struct log_slice_stream *x = &d->streams[i];
        sid += (uint32_t)rd_zigzag(r);
        *x = (struct log_slice_stream){.sid = sid, .first_row = (uint32_t)row, .nrows = rd_u32(r)};
        x->bytes = rd_varint(r);
        parse_span(r, s, &x->mint_ns, &x->maxt_ns);
        row += x->nrows;
        r->bad |= x->nrows == 0 || row > s->nrows;
    }
    r->bad |= row != s->nrows;
    row = 0;
    for (uint32_t i = 0; i < s->nblocks && !r->bad; i++) {
        struct log_slice_block *x = &d->blocks[i];
        *x = (struct log_slice_block){.first_row = (uint32_t)row, .nrows = rd_u32(r)};
        x->raw_bytes = rd_varint(r);
        parse_span(r, s, &x->mint_ns, &x->maxt_ns);
        row += x->nrows;
        x->meta_names = rd_varint(r);
        r->bad |= x->nrows == 0 || x->nrows > LOG_BLOCK_ROWS_MAX || row > s->nrows;
    }
    if (!r->bad)
        parse_names(r, d);
    r->bad |= row != s->nrows || rd_left(r) > 0;
    d->streams[s->nstreams].first_row = d->blocks[s->nblocks].first_row = s->nrows;
}

int day_slice_dir_parse(struct str raw, const struct log_slice *s, struct log_slice_dir **out, struct err *e)
{
    struct log_slice_dir *d;
    struct rd r = rd_of(raw);

    if (s->nstreams > raw.n || s->nblocks > raw.n)
        return err_set(e, ERR_CORRUPT, "directory of slice %u: too short", s->id);
    d = x_zalloc(sizeof *d);
    d->nstreams = s->nstreams;
    d->nblocks = s->nblocks;
    d->streams = x_zalloc((s->nstreams + 1) * sizeof *d->streams);
    d->blocks = x_zalloc((s->nblocks + 1) * sizeof *d->blocks);
    d->memory = sizeof *d + (s->nstreams + 1) * sizeof *d->streams + (s->nblocks + 1) * sizeof *d->blocks;
    parse_slice_dir(&r, s, d);
    if (!r.bad) {
        *out = d;
        return 0;
    }
    day_slice_dir_free(d);
    return err_set(e, ERR_CORRUPT, "directory of slice %u: not readable", s->id);
}

/* Hangs it on the slice if there is room, else on the view. What is there when it returns is in *out. */
static void hang(struct log_day_view *v, uint32_t i, struct log_slice_dir *d, const struct log_slice_dir **out)
{
    struct log_slice *s = v->dir->slices[i];
    struct log_slice_dir *none = NULL, **own = &v->own_dirs[i];

    if (atomic_load(&hung_bytes) + d->memory <= HUNG_BYTES_MAX) {
        if (atomic_compare_exchange_strong(&s->dir, &none, d)) {
            atomic_fetch_add(&hung_bytes, d->memory);
            none = d;
        } else {
            day_slice_dir_free(d);
        }
        *out = none;
        return;
    }
    pthread_mutex_lock(&v->mu);
    if (*own)
        day_slice_dir_free(d);
    else
        *own = d;
    *out = *own;
    pthread_mutex_unlock(&v->mu);
}

int log_day_slice_dir(struct log_day_view *v, uint32_t i, const struct log_slice_dir **out, struct err *e)
{
    struct log_slice *s = v->dir->slices[i];
    struct log_slice_dir *d = s->dir;
    struct buf raw = {0};
    int rc;

    if (!d) {
        pthread_mutex_lock(&v->mu);
        d = v->own_dirs[i];
        pthread_mutex_unlock(&v->mu);
    }
    if (d) {
        *out = d;
        return 0;
    }
    rc = load(v, 'S', s->id, &raw, e);
    if (rc == 0 && (rc = day_slice_dir_parse(buf_str(&raw), s, &d, e)) < 0)
        err_ctx(e, "partition %s", partition_path(v->p));
    buf_release(&raw);
    if (rc == 0)
        hang(v, i, d, out);
    return rc;
}

void log_slice_rows(const struct log_slice_dir *d, uint32_t b, uint32_t i, uint32_t *first, uint32_t *end)
{
    uint32_t begin = d->blocks[b].first_row, stop = begin + d->blocks[b].nrows;
    uint32_t from = MAX(d->streams[i].first_row, begin), to = MIN(d->streams[i].first_row + d->streams[i].nrows, stop);

    *first = MIN(from, to) - begin;
    *end = to - begin;
    if (from >= to)
        *first = *end = 0;
}

bool log_slice_has_meta(const struct log_slice_dir *d, uint32_t b, struct str name)
{
    for (uint32_t i = 0; i < d->nnames; i++)
        if (str_eq(d->names[i], name))
            return d->blocks[b].meta_names >> i & 1;
    return d->blocks[b].meta_names & LOG_META_OTHER;
}

void log_slice_streams(const struct log_slice_dir *d, uint32_t b, uint32_t *first, uint32_t *end)
{
    uint32_t begin = d->blocks[b].first_row, stop = begin + d->blocks[b].nrows, lo = 0, hi = d->nstreams;

    while (lo < hi) { /* the first that ends behind begin */
        uint32_t mid = (lo + hi) / 2;
        if (d->streams[mid].first_row + d->streams[mid].nrows > begin)
            hi = mid;
        else
            lo = mid + 1;
    }
    *first = lo;
    for (hi = d->nstreams; lo < hi;) { /* the first that begins at stop or later */
        uint32_t mid = (lo + hi) / 2;
        if (d->streams[mid].first_row >= stop)
            hi = mid;
        else
            lo = mid + 1;
    }
    *end = lo;
}

/* --- counts -------------------------------------------------------------------------------------------------- */

struct minutes {
    const struct log_slice_dir *dir;
    struct str *levels;
    uint32_t nlevels;
    int (*fn)(void *arg, const struct log_day_count *c);
    void *arg;
    int rc;
};

static void read_points(struct minutes *m, struct rd *r, struct log_day_count *c)
{
    uint32_t level = rd_u32(r), n = rd_count(r, 3);
    int64_t minute = 0;

    r->bad |= level >= m->nlevels;
    if (r->bad)
        return;
    c->level = m->levels[level];
    for (uint32_t i = 0; i < n && !r->bad && m->rc == 0; i++) {
        minute = (int64_t)((uint64_t)minute + (i ? rd_varint(r) : (uint64_t)rd_zigzag(r)));
        c->minute = minute;
        c->rows = rd_varint(r);
        c->bytes = rd_varint(r);
        if (!r->bad)
            m->rc = m->fn(m->arg, c);
    }
}

static int read_minutes(struct minutes *m, struct str raw, struct arena *a)
{
    struct rd r = rd_of(raw);

    m->nlevels = rd_count(&r, 1);
    m->levels = arena_array(a, struct str, m->nlevels);
    for (uint32_t i = 0; i < m->nlevels; i++)
        m->levels[i] = rd_text(&r);
    for (uint32_t i = 0; i < m->dir->nstreams && !r.bad && m->rc == 0; i++) {
        struct log_day_count c = {.sid = m->dir->streams[i].sid};
        uint32_t n = rd_count(&r, 2);
        for (uint32_t k = 0; k < n && !r.bad && m->rc == 0; k++)
            read_points(m, &r, &c);
    }
    return m->rc ? m->rc : r.bad || rd_left(&r) ? ERR_CORRUPT : 0;
}

int log_day_minutes(struct log_day_view *v, uint32_t slice, int (*fn)(void *arg, const struct log_day_count *c), void *arg, struct err *e)
{
    struct minutes m = {.fn = fn, .arg = arg};
    struct arena a = {0};
    struct buf raw = {0};
    int rc = log_day_slice_dir(v, slice, &m.dir, e);

    if (rc == 0)
        rc = load(v, 'M', v->dir->slices[slice]->id, &raw, e);
    if (rc == 0 && (rc = read_minutes(&m, buf_str(&raw), &a)) == ERR_CORRUPT && m.rc == 0)
        err_set(e, rc, "partition %s: counts of slice %u: not readable", partition_path(v->p), v->dir->slices[slice]->id);
    buf_release(&raw);
    arena_release(&a);
    return rc;
}
