/*
 * day.c - a day attached to its partition, its directory, and views of it.
 *
 * Attaching reads one small value; everything else waits until it is asked for.
 *
 * (1) view.dir was read in view.txn: all that it names is there until the transaction ends. (2) A segment never changes and is
 * never dropped; slices never change. Directories share them, so what was hung on one is there for all that come.
 */
#include "logstore/day_file.h"

#include <assert.h>
#include <stdlib.h>

struct str day_key1(char key[DAY_KEY_MAX], char kind, uint32_t a)
{
    uint32_t be = __builtin_bswap32(a);

    key[0] = kind;
    memcpy(key + 1, &be, 4);
    return str_n(key, 5);
}

struct str day_key2(char key[DAY_KEY_MAX], char kind, uint32_t a, uint32_t b)
{
    uint32_t be = __builtin_bswap32(b);

    day_key1(key, kind, a);
    memcpy(key + 5, &be, 4);
    return str_n(key, 9);
}

/* --- directories ---------------------------------------------------------------------------------------- */

struct day_dir *day_dir_new(void)
{
    struct day_dir *d = x_zalloc(sizeof *d);

    d->refs = 1;
    return d;
}

struct day_dir *day_dir_ref(struct day_dir *d)
{
    atomic_fetch_add(&d->refs, 1);
    return d;
}

static void segment_unref(struct day_segment *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    day_segment_data_free(s->data);
    free(s);
}

void day_slice_unref(struct log_slice *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    if (s->dir)
        day_slice_dir_unhang(s->dir);
    free(s);
}

void day_dir_unref(struct day_dir *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) > 1)
        return;
    for (uint32_t i = 0; i < d->nsegments; i++)
        segment_unref(d->segments[i]);
    for (uint32_t i = 0; i < d->nslices; i++)
        day_slice_unref(d->slices[i]);
    free(d->segments);
    free(d->slices);
    free(d);
}

static void add_segment(struct day_dir *d, struct day_segment *s)
{
    d->segments = x_realloc(d->segments, (d->nsegments + 1) * sizeof(struct day_segment *));
    d->segments[d->nsegments++] = s;
    d->nstreams += s->n;
}

void day_dir_add_segment(struct day_dir *d, uint32_t n)
{
    struct day_segment *s = x_zalloc(sizeof *s);

    s->refs = 1;
    s->number = d->nsegments;
    s->first_sid = d->nstreams;
    s->n = n;
    add_segment(d, s);
}

void day_dir_add_slice(struct day_dir *d, uint32_t place, struct log_slice *s)
{
    place = MIN(place, d->nslices);
    d->slices = x_realloc(d->slices, (d->nslices + 1) * sizeof(struct log_slice *));
    memmove(d->slices + place + 1, d->slices + place, (d->nslices - place) * sizeof(struct log_slice *));
    d->slices[place] = s;
    d->nslices++;
}

void day_dir_drop_slice(struct day_dir *d, uint32_t place)
{
    day_slice_unref(d->slices[place]);
    d->nslices--;
    memmove(d->slices + place, d->slices + place + 1, (d->nslices - place) * sizeof(struct log_slice *));
}

struct day_dir *day_dir_copy(const struct day_dir *from)
{
    struct day_dir *d = day_dir_new();

    d->generation = from->generation;
    d->next_slice = from->next_slice;
    for (uint32_t i = 0; i < from->nsegments; i++) {
        atomic_fetch_add(&from->segments[i]->refs, 1);
        add_segment(d, from->segments[i]);
    }
    for (uint32_t i = 0; i < from->nslices; i++) {
        atomic_fetch_add(&from->slices[i]->refs, 1);
        day_dir_add_slice(d, UINT32_MAX, from->slices[i]);
    }
    return d;
}

void day_dir_encode(const struct day_dir *d, struct buf *out)
{
    buf_putc(out, DAY_VERSION);
    buf_put_varint(out, d->generation);
    buf_put_varint(out, d->next_slice);
    buf_put_varint(out, d->nsegments);
    for (uint32_t i = 0; i < d->nsegments; i++)
        buf_put_varint(out, d->segments[i]->n);
    buf_put_varint(out, d->nslices);
    for (uint32_t i = 0; i < d->nslices; i++) {
        const struct log_slice *s = d->slices[i];
        buf_put_varint(out, s->id);
        buf_put_varint(out, s->nrows);
        buf_put_varint(out, s->nblocks);
        buf_put_varint(out, s->nstreams);
        buf_put_varint(out, s->bytes);
        buf_put_varint(out, s->raw_bytes);
        buf_put_varint(out, s->disk_bytes);
        buf_put_varint(out, zigzag(s->mint_ns));
        buf_put_varint(out, (uint64_t)s->maxt_ns - (uint64_t)s->mint_ns);
    }
}

static void parse_segments(struct rd *r, const struct day_dir *before, struct day_dir *d)
{
    uint32_t n = rd_count(r, 1);

    for (uint32_t i = 0; i < n && !r->bad; i++) {
        uint32_t streams = rd_u32(r);
        r->bad |= streams == 0 || streams >= LOG_NO_SID - d->nstreams;
        if (r->bad)
            return;
        if (before && i < before->nsegments && before->segments[i]->n == streams) {
            atomic_fetch_add(&before->segments[i]->refs, 1);
            add_segment(d, before->segments[i]);
        } else {
            day_dir_add_segment(d, streams);
        }
    }
}

static struct log_slice *parse_slice(struct rd *r)
{
    struct log_slice *s = x_zalloc(sizeof *s);
    uint64_t span;

    s->refs = 1;
    s->id = rd_u32(r);
    s->nrows = rd_u32(r);
    s->nblocks = rd_u32(r);
    s->nstreams = rd_u32(r);
    s->bytes = rd_varint(r);
    s->raw_bytes = rd_varint(r);
    s->disk_bytes = rd_varint(r);
    s->mint_ns = rd_zigzag(r);
    span = rd_varint(r);
    s->maxt_ns = (int64_t)((uint64_t)s->mint_ns + span);
    r->bad |= s->maxt_ns < s->mint_ns || s->nrows == 0 || s->nblocks == 0 || s->nblocks > s->nrows || s->nstreams == 0 || s->nstreams > s->nrows;
    return s;
}

static void parse_slices(struct rd *r, const struct day_dir *before, struct day_dir *d)
{
    uint32_t n = rd_count(r, 9);

    for (uint32_t i = 0; i < n && !r->bad; i++) {
        struct log_slice *s = parse_slice(r);
        for (uint32_t k = 0; before && k < before->nslices; k++) {
            struct log_slice *known = before->slices[(i + k) % before->nslices]; /* mostly the one at the same place */
            if (known->id == s->id && known->nrows == s->nrows) {
                day_slice_unref(s);
                s = known;
                atomic_fetch_add(&s->refs, 1);
                break;
            }
        }
        r->bad |= s->id >= d->next_slice;
        day_dir_add_slice(d, UINT32_MAX, s);
    }
}

int day_dir_parse(struct str value, const struct day_dir *before, struct day_dir **out, struct err *e)
{
    struct rd r = rd_of(value);
    struct str version = rd_bytes(&r, 1);
    struct day_dir *d;

    if (r.bad || version.p[0] != DAY_VERSION)
        return err_set(e, r.bad ? ERR_CORRUPT : ERR_UNSUPPORTED, "directory of the day: unknown version");
    d = day_dir_new();
    d->generation = rd_varint(&r);
    d->next_slice = rd_u32(&r);
    parse_segments(&r, before, d);
    parse_slices(&r, before, d);
    if (r.bad || rd_left(&r)) {
        day_dir_unref(d);
        return err_set(e, ERR_CORRUPT, "directory of the day: not readable");
    }
    *out = d;
    return 0;
}

/* --- the day ----------------------------------------------------------------------------------------------- */

bool log_day_has_dir(struct log_day *d)
{
    bool has;

    pthread_rwlock_rdlock(&d->mu);
    has = d->dir->generation > 0;
    pthread_rwlock_unlock(&d->mu);
    return has;
}

int day_read_dir(struct txn *t, struct log_day *d, bool had, struct day_dir **out, struct err *e)
{
    struct str value;
    int rc = txn_get(t, STR("D"), &value, e);

    if (rc == ERR_NOT_FOUND && had)
        return err_set(e, ERR_CORRUPT, "partition %s: the directory is gone", partition_path(d->p));
    if (rc == ERR_NOT_FOUND) {
        *out = day_dir_new();
        return 0;
    }
    if (rc < 0)
        return rc;
    pthread_rwlock_rdlock(&d->mu);
    rc = day_dir_parse(value, d->dir, out, e);
    pthread_rwlock_unlock(&d->mu);
    return rc;
}

static struct log_day *day_new(struct partition *p)
{
    struct log_day *d = x_zalloc(sizeof *d);

    d->p = p;
    pthread_rwlock_init(&d->mu, NULL);
    d->dir = day_dir_new();
    return d;
}

int log_day_attach(struct partition *p, struct log_day **out, struct err *e)
{
    struct log_day *d = day_new(p);
    struct day_dir *dir;
    struct txn *t;
    int rc = txn_read(p, &t, e);

    if (rc == 0) {
        rc = day_read_dir(t, d, false, &dir, e);
        txn_end(t);
    }
    if (rc < 0) {
        log_day_free(d);
        return rc;
    }
    log_day_publish(d, dir);
    *out = d;
    return 0;
}

void log_day_free(struct log_day *d)
{
    if (!d)
        return;
    day_dir_unref(d->dir);
    pthread_rwlock_destroy(&d->mu);
    free(d);
}

void log_day_publish(struct log_day *d, struct day_dir *dir)
{
    struct day_dir *old;
    bool newer;

    pthread_rwlock_wrlock(&d->mu);
    old = d->dir;
    newer = dir->generation > old->generation;
    if (newer)
        d->dir = dir;
    pthread_rwlock_unlock(&d->mu);
    day_dir_unref(newer ? old : dir);
}

void log_day_sums(struct log_day *d, struct log_day_sums *out)
{
    *out = (struct log_day_sums){.mint_ns = INT64_MAX, .maxt_ns = INT64_MIN};
    pthread_rwlock_rdlock(&d->mu);
    out->streams = d->dir->nstreams;
    out->slices = d->dir->nslices;
    for (uint32_t i = 0; i < d->dir->nslices; i++) {
        const struct log_slice *s = d->dir->slices[i];
        out->blocks += s->nblocks;
        out->rows += s->nrows;
        out->bytes += s->bytes;
        out->mint_ns = MIN(out->mint_ns, s->mint_ns);
        out->maxt_ns = MAX(out->maxt_ns, s->maxt_ns);
    }
    pthread_rwlock_unlock(&d->mu);
}

/* --- views --------------------------------------------------------------------------------------------------- */

int log_day_view_open(struct partition *p, struct log_day_view **out, struct err *e)
{
    struct log_day_view *v = x_zalloc(sizeof *v);
    bool had;
    int rc;

    v->p = partition_ref(p);
    pthread_mutex_init(&v->txn_mu, NULL);
    pthread_mutex_init(&v->mu, NULL);
    v->day = partition_user(p);
    if (!v->day)
        v->day = v->own_day = day_new(p);
    had = log_day_has_dir(v->day);
    if ((rc = txn_read(p, &v->txn, e)) < 0 || (rc = day_read_dir(v->txn, v->day, had, &v->dir, e)) < 0) {
        log_day_view_close(v);
        return rc;
    }
    v->contained = txn_contained(v->txn);
    v->own_dirs = x_zalloc((v->dir->nslices + 1) * sizeof(struct log_slice_dir *));
    log_day_publish(v->day, day_dir_ref(v->dir)); /* we may have seen a commit before its writer said so */
    *out = v;
    return 0;
}

void log_day_view_close(struct log_day_view *v)
{
    if (!v)
        return;
    for (uint32_t i = 0; v->own_dirs && i < v->dir->nslices; i++)
        day_slice_dir_free(v->own_dirs[i]);
    free(v->own_dirs);
    log_unpacker_free(v->unpacker);
    day_dir_unref(v->dir);
    txn_end(v->txn);
    log_day_free(v->own_day);
    pthread_mutex_destroy(&v->mu);
    pthread_mutex_destroy(&v->txn_mu);
    partition_unref(v->p);
    free(v);
}

struct partition *log_day_view_partition(const struct log_day_view *v)
{
    return v->p;
}

uint64_t log_day_view_contained(const struct log_day_view *v)
{
    return v->contained;
}

uint32_t log_day_nstreams(const struct log_day_view *v)
{
    return v->dir->nstreams;
}

uint32_t log_day_nslices(const struct log_day_view *v)
{
    return v->dir->nslices;
}

const struct log_slice *log_day_slice(const struct log_day_view *v, uint32_t i)
{
    assert(i < v->dir->nslices);
    return v->dir->slices[i];
}

static int get(struct log_day_view *v, char kind, uint32_t slice, uint32_t block, struct str *out, struct err *e)
{
    char key[DAY_KEY_MAX];
    int rc;

    pthread_mutex_lock(&v->txn_mu);
    rc = txn_get(v->txn, day_key2(key, kind, v->dir->slices[slice]->id, block), out, e);
    pthread_mutex_unlock(&v->txn_mu);
    if (rc == ERR_NOT_FOUND)
        return err_set(e, ERR_CORRUPT, "partition %s: %s %u of slice %u is missing", partition_path(v->p), kind == 'B' ? "block" : "filter", block,
                       v->dir->slices[slice]->id);
    return rc;
}

int log_day_block(struct log_day_view *v, uint32_t slice, uint32_t block, struct str *out, struct err *e)
{
    return get(v, 'B', slice, block, out, e);
}

int log_day_filter(struct log_day_view *v, uint32_t slice, uint32_t block, struct str *out, struct err *e)
{
    return get(v, 'F', slice, block, out, e);
}
