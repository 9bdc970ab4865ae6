/*
 * day.c - a day attached to its partition, views of it, and who is who in it.
 *
 * Attaching reads one small value; everything else waits until it is asked for. A view is a read transaction and the
 * directory it saw: commits that come later neither change nor disturb it.
 *
 * (1) view.dir was read in view.txn: every blob it names is there until the transaction ends.
 * (2) Segments are never dropped while the partition is open, and the directories that share a segment share one
 * object, so what was hung on it once is there for all that come. (3) day.dir knows every sid in day.ids, and its
 * segments have their identities loaded.
 */
#include "tsdb/day_file.h"

#include <assert.h>
#include <stdlib.h>

/* --- the day --------------------------------------------------------------------------------------- */

bool day_has_dir(struct day *d)
{
    bool has;

    pthread_rwlock_rdlock(&d->mu);
    has = d->dir->generation > 0;
    pthread_rwlock_unlock(&d->mu);
    return has;
}

int day_lost_dir(const struct day *d, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "partition %s: the directory is gone", partition_path(d->p));
}

/* `had`: day_has_dir() before the transaction began. Asked later, a first commit in between would look like a loss. */
static int read_dir(struct txn *t, struct day *d, bool had, struct day_dir **out, struct err *e)
{
    struct str value;
    int rc = txn_get(t, STR("D"), &value, e);

    if (rc == ERR_NOT_FOUND && had)
        return day_lost_dir(d, e);
    if (rc == ERR_NOT_FOUND) {
        *out = dir_new();
        return 0;
    }
    if (rc < 0)
        return rc;
    pthread_rwlock_rdlock(&d->mu);
    rc = dir_parse(value, d->dir, out, e);
    pthread_rwlock_unlock(&d->mu);
    return rc;
}

static struct day *day_new(struct partition *p)
{
    struct day *d = x_zalloc(sizeof *d);

    d->p = p;
    pthread_rwlock_init(&d->mu, NULL);
    d->dir = dir_new();
    return d;
}

int day_attach(struct partition *p, struct day **out, struct err *e)
{
    struct day *d = day_new(p);
    struct txn *t;
    struct day_dir *dir;
    int rc = txn_read(p, &t, e);

    if (rc == 0) {
        rc = read_dir(t, d, false, &dir, e);
        txn_end(t);
    }
    if (rc < 0) {
        day_free(d);
        return rc;
    }
    day_publish(d, dir);
    *out = d;
    return 0;
}

void day_free(struct day *d)
{
    if (!d)
        return;
    dir_unref(d->dir);
    free(d->ids.slots);
    pthread_rwlock_destroy(&d->mu);
    free(d);
}

void day_publish(struct day *d, struct day_dir *dir)
{
    pthread_rwlock_wrlock(&d->mu);
    struct day_dir *old = d->dir;
    bool newer = dir->generation > old->generation;
    if (newer)
        d->dir = dir;
    pthread_rwlock_unlock(&d->mu);
    dir_unref(newer ? old : dir);
}

static struct day_dir *current(const struct day *d)
{
    pthread_rwlock_rdlock((pthread_rwlock_t *)&d->mu);
    struct day_dir *dir = dir_ref(d->dir);
    pthread_rwlock_unlock((pthread_rwlock_t *)&d->mu);
    return dir;
}

uint32_t day_nseries(const struct day *d)
{
    struct day_dir *dir = current(d);
    uint32_t n = dir->nseries;

    dir_unref(dir);
    return n;
}

bool day_times(const struct day *d, int64_t *mint, int64_t *maxt)
{
    struct day_dir *dir = current(d);
    bool any = dir->nslices > 0;

    *mint = INT64_MAX;
    *maxt = INT64_MIN;
    for (uint32_t i = 0; i < dir->nslices; i++) {
        *mint = MIN(*mint, dir->slices[i]->mint);
        *maxt = MAX(*maxt, dir->slices[i]->maxt);
    }
    dir_unref(dir);
    return any;
}

uint64_t day_nsamples(const struct day *d, uint32_t *nslices)
{
    struct day_dir *dir = current(d);
    uint64_t n = 0;

    for (uint32_t i = 0; i < dir->nslices; i++)
        n += dir->slices[i]->nsamples;
    *nslices = dir->nslices;
    dir_unref(dir);
    return n;
}

/* --- views ------------------------------------------------------------------------------------------- */

int day_view_open(struct partition *p, struct day_view **out, struct err *e)
{
    struct day_view *v = x_zalloc(sizeof *v);
    int rc;

    v->p = partition_ref(p);
    v->next_times_id = 1;
    pthread_mutex_init(&v->txn_mu, NULL);
    pthread_mutex_init(&v->mu, NULL);
    v->unpacker = unpacker_new();
    v->day = partition_user(p);
    if (!v->day)
        v->day = v->own_day = day_new(p);
    bool had = day_has_dir(v->day);
    if ((rc = txn_read(p, &v->txn, e)) < 0 || (rc = read_dir(v->txn, v->day, had, &v->dir, e)) < 0) {
        day_view_close(v);
        return rc;
    }
    v->caches = x_zalloc((v->dir->nsegments + 1) * sizeof *v->caches);
    day_publish(v->day, dir_ref(v->dir)); /* we may have seen a commit before its writer said so */
    *out = v;
    return 0;
}

void day_view_close(struct day_view *v)
{
    if (!v)
        return;
    for (uint32_t i = 0; v->caches && i < v->dir->nsegments; i++)
        label_cache_free(v->caches[i], v->dir->segments[i]);
    free(v->caches);
    arena_release(&v->strings);
    arena_release(&v->scratch);
    buf_release(&v->canonical);
    unpacker_free(v->unpacker);
    dir_unref(v->dir);
    txn_end(v->txn);
    day_free(v->own_day);
    pthread_mutex_destroy(&v->mu);
    pthread_mutex_destroy(&v->txn_mu);
    partition_unref(v->p);
    free(v);
}

uint32_t day_view_nseries(const struct day_view *v)
{
    return v->dir->nseries;
}

struct hash128 day_view_id(struct day_view *v, uint32_t sid)
{
    struct segment *s = dir_segment_of(v->dir, sid);
    const struct hash128 *ids = s->ids;
    struct hash128 id;
    struct err e;

    if (ids)
        return ids[sid - s->first_sid];
    if (segment_id(v, s, sid, &id, &e) < 0) {
        partition_damaged(v->p, &e);
        return (struct hash128){0, 0};
    }
    return id;
}

static struct hash128 id_in_dir(const void *dir, uint32_t sid)
{
    struct segment *s = dir_segment_of(dir, sid);

    return ((const struct hash128 *)s->ids)[sid - s->first_sid];
}

/* Brings day.ids up to what the view sees. */
static int load_ids(struct day_view *v, struct err *e)
{
    const struct hash128 *ids;
    struct day *d = v->day;
    int rc = 0;

    for (uint32_t i = 0; i < v->dir->nsegments && rc == 0; i++)
        rc = segment_ids(v, v->dir->segments[i], &ids, e);
    if (rc < 0)
        return rc;
    pthread_rwlock_wrlock(&d->mu);
    id_table_add(&d->ids, v->dir->nseries, id_in_dir, v->dir);
    pthread_rwlock_unlock(&d->mu);
    return 0;
}

uint32_t day_view_find(struct day_view *v, struct hash128 id)
{
    struct day *d = v->day;
    uint32_t sid = DAY_NO_SID;
    struct err e;

    if (v->dir->nseries == 0)
        return DAY_NO_SID;
    for (bool loaded = false;; loaded = true) {
        pthread_rwlock_rdlock(&d->mu);
        bool there = d->ids.n >= v->dir->nseries;
        if (there) /* the table may know newer series than the view; the day's directory knows them all (inv. 3) */
            sid = id_table_find(&d->ids, id, id_in_dir, d->dir);
        pthread_rwlock_unlock(&d->mu);
        if (there)
            return sid < v->dir->nseries ? sid : DAY_NO_SID;
        assert(!loaded);
        if (load_ids(v, &e) < 0) {
            partition_damaged(v->p, &e);
            return DAY_NO_SID;
        }
    }
}

/* --- order -------------------------------------------------------------------------------------------- */

static int by_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int by_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void order_by_sid(uint32_t *sids, uint32_t n)
{
    bool sorted = true;

    for (uint32_t i = 1; i < n; i++)
        sorted &= sids[i - 1] <= sids[i];
    if (!sorted)
        qsort(sids, n, sizeof *sids, by_u32);
}

/* Many sids: each goes to its row's place in a table of all rows; those without a row follow. */
static void order_by_table(const struct slice_rows *rows, uint32_t nrows, uint32_t *sids, uint32_t n)
{
    uint32_t *of_row = x_alloc((nrows + 1) * sizeof *of_row), *rest = x_alloc((n + 1) * sizeof *rest), nrest = 0,
             at = 0;

    memset(of_row, 0xff, (nrows + 1) * sizeof *of_row);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sids[i] < rows->n ? rows->row[sids[i]] : DAY_NO_SID;

        if (row < nrows && of_row[row] == DAY_NO_SID)
            of_row[row] = sids[i];
        else
            rest[nrest++] = sids[i];
    }
    for (uint32_t row = 0; row < nrows; row++)
        if (of_row[row] != DAY_NO_SID)
            sids[at++] = of_row[row];
    memcpy(sids + at, rest, nrest * sizeof *rest);
    order_by_sid(sids + at, nrest);
    free(of_row);
    free(rest);
}

static void order_by_keys(const struct slice_rows *rows, uint32_t *sids, uint32_t n)
{
    uint64_t *keys = x_alloc((n + 1) * sizeof *keys);

    for (uint32_t i = 0; i < n; i++)
        keys[i] = (uint64_t)(sids[i] < rows->n ? rows->row[sids[i]] : DAY_NO_SID) << 32 | sids[i];
    qsort(keys, n, sizeof *keys, by_u64);
    for (uint32_t i = 0; i < n; i++)
        sids[i] = (uint32_t)keys[i];
    free(keys);
}

void day_view_order(struct day_view *v, uint32_t *sids, uint32_t n)
{
    const struct slice_rows *rows = NULL;
    const struct slice *s = NULL;
    struct err e;

    /* Slices agree in the order of what they share, so the newest one that is not simply by sid tells it for all. */
    for (uint32_t i = v->dir->nslices; i-- > 0 && !rows;) {
        s = v->dir->slices[i];
        if (!s->ascending && slice_rows(v, v->dir->slices[i], &rows, &e) < 0)
            rows = NULL; /* whoever reads the slice reports it; any order will do */
    }
    if (!rows)
        order_by_sid(sids, n);
    else if (n > s->nrows / 8)
        order_by_table(rows, s->nrows, sids, n);
    else
        order_by_keys(rows, sids, n);
}
