/*
 * rollup_day.c - aggregates of a sealed day: made, verified, kept up to date.
 *
 * (1) Aggregates say what exact bytes they were made of (made_of). Where a day's samples say otherwise, late ones came or
 *     some were deleted: then they are not used, and made again once the day is sealed again.
 * (2) A sid means the same series in the aggregates and in the day they were made of.
 * (3) Both resolutions are made in one reading of the day; the coarse buckets from the fine ones.
 * (4) What failed is not tried again before the day changes or the process does: a damaged day would be read for ever.
 * (5) Locks of both files, in this order: seal_mu of 5m, of 1h, then the write locks of the new files, 5m before 1h.
 */
#include "tsdb/rollup_day.h"

#include "tsdb/day_file.h"
#include "tsdb/rollup_read.h"

#include <assert.h>
#include <stdlib.h>

enum {
    MAGIC_FLOATS = 0x31525054,
    MAGIC = 0x32525054,
    ABOUT_BYTES = 20,
    LEVEL = 9,
    ROUND_MS = 10000 /* then others get their turn */
};

/* --- what it says of itself ------------------------------------------------------------------------------- */

static bool columns_fit(const struct rollup_about *a, uint32_t nslices)
{
    unsigned hists = a->columns & ROLLUP_HISTS;

    return a->columns < 1u << ROLLUP_COLUMNS && (uint32_t)__builtin_popcount(a->columns) == nslices &&
           (!hists || (a->hists && hists == ROLLUP_HISTS));
}

int rollup_about(struct day_view *v, struct rollup_about *out, struct err *e)
{
    struct str value;
    int rc;

    pthread_mutex_lock(&v->txn_mu);
    rc = txn_get(v->txn, STR("R"), &value, e);
    if (rc == ERR_NOT_FOUND ||
        (rc == 0 && (value.n != ABOUT_BYTES || (get_u32le(value.p) != MAGIC && get_u32le(value.p) != MAGIC_FLOATS))))
        rc = err_set(e, ERR_CORRUPT, "partition %s: does not say what it aggregates", partition_path(v->p));
    if (rc == 0) {
        *out = (struct rollup_about){get_u32le(value.p + 4), get_u64le(value.p + 8), get_u32le(value.p + 16),
                                     get_u32le(value.p) == MAGIC};
        if (out->every <= 0 || !columns_fit(out, v->dir->nslices))
            rc = err_set(e, ERR_CORRUPT, "partition %s: %u slices are not the columns it should have",
                         partition_path(v->p), v->dir->nslices);
    }
    pthread_mutex_unlock(&v->txn_mu);
    return rc;
}

static int put_about(struct day_writer *w, const struct rollup_about *a, struct err *e)
{
    char bytes[ABOUT_BYTES];
    struct str value = str_n(bytes, sizeof bytes);

    put_u32le(bytes, MAGIC);
    put_u32le(bytes + 4, (uint32_t)a->every);
    put_u64le(bytes + 8, a->made_of);
    put_u32le(bytes + 16, a->columns);
    return txn_put(day_write_txn(w), STR("R"), &value, 1, e);
}

/* --- making ----------------------------------------------------------------------------------------------- */

/* One resolution being written. */
struct making {
    const char *signal;
    struct rollup_about about;
    struct partition *to; /* NULL: not wanted */
    struct day_writer *w;
    struct buckets b;
    struct stretches h;
};

/* v: numbers, or marks where h is not NULL. */
static int put_column(struct making *m, uint32_t sid, enum rollup_column c, const int64_t *t, const double *v,
                      const struct histogram *const *h, uint32_t n, struct err *e)
{
    uint32_t column;
    int rc;

    day_write_slice(m->w, c);
    rc = day_write_times(m->w, t, n, &column, e);
    if (rc == 0)
        rc = day_write_series(m->w, sid, column, v, NULL, h, n, e);
    m->about.columns |= 1u << c;
    return rc;
}

/* By bits: NaN is itself, and a zero has its sign. */
static bool same(const double *a, const double *b, uint32_t n)
{
    return memcmp(a, b, n * sizeof *a) == 0;
}

static int put_buckets(struct making *m, uint32_t sid, struct err *e)
{
    const struct buckets *b = &m->b;
    double *stale;
    int rc = 0;

    for (unsigned c = 0; b->n && c < ROLLUP_STALE && rc == 0; c++) {
        if ((c == ROLLUP_MIN && same(b->v[c], b->v[ROLLUP_FIRST], b->n)) ||
            (c == ROLLUP_MAX && same(b->v[c], b->v[ROLLUP_LAST], b->n)) || (c == ROLLUP_RESETS && !b->any_resets))
            continue;
        rc = put_column(m, sid, c, c == ROLLUP_FIRST ? b->t_first : b->t_last, b->v[c], NULL, b->n, e);
    }
    if (rc < 0 || !b->nstale)
        return rc;
    stale = x_alloc(b->nstale * sizeof *stale);
    for (uint32_t i = 0; i < b->nstale; i++)
        stale[i] = f64_from_bits(STALE_NAN_BITS);
    rc = put_column(m, sid, ROLLUP_STALE, b->t_stale, stale, NULL, b->nstale, e);
    free(stale);
    return rc;
}

/* Histograms as gauges: then nobody looks for resets between them while they are written. */
static int put_hists(struct making *m, uint32_t sid, enum rollup_column c, const int64_t *t,
                     const struct histogram *const *h, const double *zeros, struct err *e)
{
    for (uint32_t i = 0; i < m->h.n; i++)
        ((struct histogram *)(uintptr_t)h[i])->hint = HIST_GAUGE;
    return put_column(m, sid, c, t, zeros, h, m->h.n, e);
}

static int put_stretches(struct making *m, uint32_t sid, struct err *e)
{
    const struct stretches *s = &m->h;
    double *numbers;
    int rc;

    if (!s->n)
        return 0;
    numbers = x_zalloc(s->n * sizeof *numbers);
    rc = put_hists(m, sid, ROLLUP_H_LAST, s->t_last, s->last, numbers, e);
    if (rc == 0)
        rc = put_hists(m, sid, ROLLUP_H_FIRST, s->t_first, s->first, numbers, e);
    if (rc == 0)
        rc = put_hists(m, sid, ROLLUP_H_SUM, s->t_last, s->sum, numbers, e);
    for (uint32_t i = 0; i < s->n; i++)
        numbers[i] = s->count[i] * 4 + s->hint[i];
    if (rc == 0)
        rc = put_column(m, sid, ROLLUP_H_COUNT, s->t_last, numbers, NULL, s->n, e);
    free(numbers);
    return rc;
}

/* The series of the day, in the order of their sids. */
static int bring_series(struct day_view *v, struct making *m, uint32_t n, struct err *e)
{
    struct arena a = {0};
    int rc = 0;

    for (uint32_t sid = 0; sid < day_view_nseries(v) && rc == 0; sid++) {
        struct labels ls;
        uint32_t to = sid;

        arena_reset(&a);
        rc = day_view_labels(v, sid, &a, &ls, e);
        for (uint32_t i = 0; i < n && rc == 0; i++)
            if (m[i].w)
                rc = day_write_new(m[i].w, labels_hash(&ls), &ls, &to, e);
        assert(rc < 0 || to == sid); /* (2) */
    }
    arena_release(&a);
    return rc;
}

/* Samples of which some are histograms, for each resolution: stretches are not put together, a coarse one may be many. */
static bool sum_up_hists(struct making *m, uint32_t n, const struct day_piece *p)
{
    bool good = true;

    for (uint32_t i = 0; i < n && good; i++) {
        buckets_reset(&m[i].b, m[i].about.every, ROLLUP_ALL);
        stretches_reset(&m[i].h, m[i].about.every, ROLLUP_HISTS);
        good = !m[i].w || stretches_add(&m[i].h, &m[i].b, p->t, p->v, p->h, p->n);
    }
    return good;
}

/* Buckets of one series: the fine ones from its samples, the others from those. False: aggregates cannot tell it. */
static bool sum_up(struct making *m, uint32_t n, const struct day_piece *p, uint32_t npieces)
{
    struct bucket_run fine;

    if (npieces != 1) /* a sealed day has one piece of each series */
        return false;
    if (p->h)
        return sum_up_hists(m, n, p);
    buckets_reset(&m[0].b, m[0].about.every, ROLLUP_ALL);
    if (!buckets_add(&m[0].b, p->t, p->v, p->n))
        return false;
    fine = buckets_run(&m[0].b);
    for (uint32_t i = 1; i < n; i++) {
        buckets_reset(&m[i].b, m[i].about.every, ROLLUP_ALL);
        buckets_append(&m[i].b, &fine);
    }
    for (uint32_t i = 0; i < n; i++)
        stretches_reset(&m[i].h, m[i].about.every, ROLLUP_HISTS);
    return true;
}

static int bring_buckets(struct day_view *v, struct making *m, uint32_t n, struct err *e)
{
    struct day_reader *r = NULL;
    const struct day_piece *p;
    uint32_t npieces;
    int rc = day_reader_open(v, INT64_MIN, INT64_MAX, &r, e);

    for (uint32_t sid = 0; sid < day_view_nseries(v) && rc == 0; sid++) {
        rc = day_reader_get(r, sid, &p, &npieces, e);
        if (rc < 0 || npieces == 0 || !sum_up(m, n, p, npieces))
            continue;
        for (uint32_t i = 0; i < n && rc == 0; i++)
            if (m[i].w)
                rc = put_buckets(&m[i], sid, e) < 0 ? e->code : put_stretches(&m[i], sid, e);
    }
    day_reader_close(r);
    return rc;
}

static int fill(struct day_view *v, struct making *m, uint32_t n, struct err *e)
{
    uint64_t content = txn_content(v->txn);
    int rc = bring_series(v, m, n, e);

    for (uint32_t i = 0; i < n; i++)
        if (m[i].w) {
            m[i].about.made_of = content;
            day_write_slices(m[i].w, ROLLUP_COLUMNS);
        }
    return rc < 0 ? rc : bring_buckets(v, m, n, e);
}

/* The writers of both files are begun and ended together: their locks are taken in one order (5). */
static int begin(struct tsdb *db, struct making *m, const bool *wanted, int32_t day, struct err *e)
{
    int rc = 0;

    for (uint32_t i = 0; i < 2 && rc == 0; i++)
        if (wanted[i])
            rc = store_day_make(db->store, m[i].signal, day, &m[i].to, e);
    for (uint32_t i = 0; i < 2 && rc == 0; i++)
        if (wanted[i])
            rc = day_write_begin_as(m[i].to, LEVEL, true, &m[i].w, e);
    return rc;
}

/* In their places, or gone. */
static int end(struct tsdb *db, struct making *m, uint64_t contained, int rc, struct err *e)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct day_writer *w = m[i].w;

        if (w && rc == 0)
            rc = put_about(w, &m[i].about, e);
        m[i].w = NULL;
        if (rc < 0)
            day_write_abort(w);
        else if (w)
            rc = day_write_commit(w, contained, e);
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (m[i].to && rc == 0)
            rc = store_day_put(db->store, m[i].signal, m[i].to, contained, e);
        else if (m[i].to)
            store_day_drop(db->store, m[i].signal, m[i].to);
        m[i].to = NULL;
    }
    return rc;
}

int rollup_make(struct tsdb *db, struct partition *sealed, bool five, bool hour, struct err *e)
{
    struct making m[2] = {{.signal = ROLLUP_5M_SIGNAL, .about.every = ROLLUP_5M},
                          {.signal = ROLLUP_1H_SIGNAL, .about.every = ROLLUP_1H}};
    bool wanted[2] = {five, hour};
    int64_t start_ms = clock_mono_ms();
    struct day_view *v = NULL;
    uint64_t bytes = 0;
    int rc = day_view_open(sealed, &v, e);

    if (rc == 0)
        rc = begin(db, m, wanted, partition_day(sealed), e);
    if (rc == 0)
        rc = fill(v, m, 2, e);
    rc = end(db, m, partition_contained(sealed), rc, e);
    for (uint32_t i = 0; i < 2; i++) {
        buckets_release(&m[i].b);
        stretches_release(&m[i].h);
    }
    if (rc == 0) {
        struct store_day *days;

        for (uint32_t i = 0; i < 2; i++) {
            uint32_t n = store_days(db->store, m[i].signal, &days);

            for (uint32_t k = 0; k < n; k++)
                bytes += days[k].day == partition_day(sealed) ? days[k].bytes : 0;
            free(days);
        }
        log_info("tsdb", "aggregates of %s: %u series, %.1f MB, %lld ms", partition_path(sealed), day_view_nseries(v),
                 (double)bytes / 1e6, (long long)(clock_mono_ms() - start_ms));
    }
    day_view_close(v);
    return rc < 0 ? err_ctx(e, "aggregates of %s", partition_path(sealed)) : 0;
}

/* --- kept up to date ---------------------------------------------------------------------------------------- */

/* A day that was looked at: nothing to do until its file changes. Upkeep thread. */
struct rollup_seen {
    int32_t day;
    int64_t written_ns, failed_ns; /* the file was fine; the file could not be aggregated (4) */
};

static struct rollup_seen *seen_at(struct tsdb *db, int32_t day)
{
    for (uint32_t i = 0; i < db->nrollups_seen; i++)
        if (db->rollups_seen[i].day == day)
            return &db->rollups_seen[i];
    db->rollups_seen = x_realloc(db->rollups_seen, (db->nrollups_seen + (size_t)1) * sizeof *db->rollups_seen);
    db->rollups_seen[db->nrollups_seen] = (struct rollup_seen){day, INT64_MIN, INT64_MIN};
    return &db->rollups_seen[db->nrollups_seen++];
}

/* The open partition of one day, with a reference; NULL when there is none that can be used. */
static struct partition *open_day(struct tsdb *db, const char *signal, int32_t day)
{
    struct partition_list l;
    struct partition *p;

    store_partitions(db->store, signal, day_start_ms(day), day_start_ms(day), &l);
    p = l.n ? partition_ref(l.v[0]) : NULL;
    partition_list_release(&l);
    return p;
}

/* Were these aggregates made of what the day holds now, and of all of it? */
static bool holds(struct tsdb *db, const char *signal, struct partition *day)
{
    struct partition *p = open_day(db, signal, partition_day(day));
    struct day_view *v = NULL, *of = NULL;
    struct rollup_about about;
    struct err e;
    bool is = p && day_view_open(p, &v, &e) == 0 && rollup_about(v, &about, &e) == 0 &&
              day_view_open(day, &of, &e) == 0 && about.made_of == txn_content(of->txn) && about.hists;

    day_view_close(of);
    day_view_close(v);
    partition_unref(p);
    return is;
}

/* The aggregates of one resolution, as tending sees them. */
struct kept {
    const char *signal;
    int64_t retention_ms;
    struct store_day *days;
    uint32_t n;
};

static const struct store_day *day_of(const struct kept *k, int32_t day)
{
    for (uint32_t i = 0; i < k->n; i++)
        if (k->days[i].day == day)
            return &k->days[i];
    return NULL;
}

static bool within(int32_t day, int64_t retention_ms, int64_t now_ms)
{
    return retention_ms <= 0 || day_start_ms(day + 1) > now_ms - retention_ms;
}

static int tend_day(struct tsdb *db, const struct store_day *raw, const struct kept k[2], int64_t now_ms, struct err *e)
{
    struct rollup_seen *seen = seen_at(db, raw->day);
    bool want[2], any = false;
    struct partition *p;
    int rc = 0;

    for (unsigned i = 0; i < 2; i++) {
        const struct store_day *d = day_of(&k[i], raw->day);

        /* Whole, and looked into since the day was written: by an older program aggregates were made without histograms. */
        want[i] =
            within(raw->day, k[i].retention_ms, now_ms) && !(d && !d->damaged && seen->written_ns == raw->written_ns);
        any |= want[i];
    }
    if (!any || seen->failed_ns == raw->written_ns)
        return 0;
    p = open_day(db, TSDB_SIGNAL, raw->day);
    if (p && partition_sealed(p)) {
        for (unsigned i = 0; i < 2; i++) {
            const struct store_day *d = day_of(&k[i], raw->day);

            want[i] = want[i] && !(d && !d->damaged && holds(db, k[i].signal, p));
        }
        if (want[0] || want[1])
            rc = rollup_make(db, p, want[0], want[1], e);
        if (rc == 0)
            seen->written_ns = raw->written_ns;
        else
            seen->failed_ns = raw->written_ns;
    }
    partition_unref(p);
    return rc;
}

int rollup_tended(void *self, int64_t now_ms, struct err *e)
{
    struct tsdb *db = self;
    struct kept k[2] = {{ROLLUP_5M_SIGNAL, db->opts.retention_5m_ms, NULL, 0},
                        {ROLLUP_1H_SIGNAL, db->opts.retention_1h_ms, NULL, 0}};
    int64_t raw_ms = store_opts_of(db->store)->retention_ms, until_ms = clock_mono_ms() + ROUND_MS;
    struct store_day *raw;
    uint32_t n;
    int rc = 0;

    if (!db->opts.downsample)
        return 0;
    n = store_days(db->store, TSDB_SIGNAL, &raw);
    for (unsigned i = 0; i < 2; i++)
        k[i].n = store_days(db->store, k[i].signal, &k[i].days);
    /* Newest first: what is asked for most. A day whose time is over is about to go, and what came late into it is not all of it. */
    for (uint32_t i = n; i-- > 0 && rc == 0 && clock_mono_ms() < until_ms;)
        if (within(raw[i].day, raw_ms, now_ms))
            rc = tend_day(db, &raw[i], k, now_ms, e);
    free(raw);
    free(k[0].days);
    free(k[1].days);
    return rc;
}

/* --- the signals ---------------------------------------------------------------------------------------------- */

/* The columns of each series fit together: what no look at one slice after the other shows. */
static int verify_columns(struct day_view *v, const struct rollup_about *about, struct err *e)
{
    struct unpacker *u = unpacker_new();
    struct rollup_reader *r = rollup_reader_new(v, about, INT64_MIN, INT64_MAX, u);
    struct stretch_run hists;
    struct bucket_run run;
    int rc = 0;

    for (uint32_t sid = 0; sid < day_view_nseries(v) && rc >= 0; sid++) {
        rc = rollup_reader_get(r, sid, ROLLUP_ALL | 1u << ROLLUP_STALE, &run, e);
        if (rc >= 0)
            rc = rollup_reader_hists(r, sid, ROLLUP_HISTS, &hists, e);
    }
    rollup_reader_free(r);
    unpacker_free(u);
    return rc < 0 ? err_ctx(e, "partition %s", partition_path(v->p)) : 0;
}

int rollup_verify(void *self, struct partition *p, void (*print)(void *arg, const char *line), void *arg, struct err *e)
{
    struct day_view *v = NULL;
    struct rollup_about about;
    int rc = day_view_open(p, &v, e);

    (void)self;
    if (rc == 0)
        rc = rollup_about(v, &about, e);
    if (rc == 0 && (rc = day_verify(p, print, arg, e)) < 0)
        print = NULL; /* it has said why */
    if (rc == 0)
        rc = verify_columns(v, &about, e);
    day_view_close(v);
    if (rc < 0 && e && print)
        print(arg, e->text);
    return rc;
}

static int attach(void *self, struct partition *p, void **user, struct err *e)
{
    struct day *d;
    int rc = day_attach(p, &d, e);

    (void)self;
    if (rc == 0)
        *user = d;
    return rc;
}

static void detach(void *self, struct partition *p, void *user)
{
    (void)self;
    (void)p;
    day_free(user);
}

static const struct signal_ops ops_5m = {
    .name = ROLLUP_5M_SIGNAL, .format = TSDB_FORMAT, .attach = attach, .detach = detach, .verify = rollup_verify};
static const struct signal_ops ops_1h = {
    .name = ROLLUP_1H_SIGNAL, .format = TSDB_FORMAT, .attach = attach, .detach = detach, .verify = rollup_verify};

void rollup_signals_add(struct tsdb *db)
{
    store_signal_add(db->store, &ops_5m, db);
    store_signal_add(db->store, &ops_1h, db);
    store_signal_retention(db->store, ROLLUP_5M_SIGNAL, db->opts.retention_5m_ms);
    store_signal_retention(db->store, ROLLUP_1H_SIGNAL, db->opts.retention_1h_ms);
}

void rollup_release(struct tsdb *db)
{
    free(db->rollups_seen);
    db->rollups_seen = NULL;
    db->nrollups_seen = 0;
}
