/*
 * flush.c - from the head down to the partitions: freeze a gen, write it day by day, let go of it.
 *
 * (1) A gen holds exactly the rows up to the seq at which it was cut. A partition that says it contains that seq has
 * all of the gen's rows of its day; so a flush that failed half way is repeated for the other days only. (2) The head
 * lets go of rows (head_drop) only after every day has them.
 */
#include "tsdb/db.h"
#include "tsdb/head_read.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum { IDLE_MINUTES = 120, PRESSED_IDLE_MINUTES = 5, RECLAIM_WAIT_MS = 2000 };

uint64_t tsdb_head_bytes(void *self)
{
    struct tsdb *db = self;

    return atomic_load_explicit(&db->head.open_bytes, memory_order_relaxed) +
           atomic_load_explicit(&db->head.frozen_bytes, memory_order_relaxed);
}

/*
 * A replay takes some 20 ns a sample: this bounds it to a fraction of a second at the usual size. And a slice holds at
 * least so many samples of a series, on average, that its times and codecs pay.
 */
enum { FLUSH_SAMPLES_MIN = 8 << 20, FLUSH_SAMPLES_PER_SERIES = 12 };

uint64_t tsdb_head_rows(void *self, uint64_t *enough)
{
    struct tsdb *db = self;
    struct head *h = &db->head;
    uint64_t n = 0;

    *enough = MAX(atomic_load(&h->nlive) * FLUSH_SAMPLES_PER_SERIES, (uint64_t)FLUSH_SAMPLES_MIN);
    pthread_mutex_lock(&h->apply_mu);
    for (const struct gen *g = h->gens; g; g = g->next)
        n += g->state <= GEN_FROZEN ? g->samples : 0;
    pthread_mutex_unlock(&h->apply_mu);
    return n;
}

/* --- order: (metric name, labels) --------------------------------------------------------------- */

/*
 * In two steps, so that a million series need 16 bytes each and not twice that: by `first`, then each run of equal ones
 * by all their pairs.
 */
struct sort_key {
    uint64_t first; /* rank of the metric name pair, rank of the first other label */
    uint32_t ref;
};
struct full_key {
    const uint32_t *pairs;
    uint32_t npairs, ref;
};

static int by_pair_text(const void *a, const void *b, void *arg)
{
    const struct symbols *sy = arg;
    const struct head_pair *x = pair_get(sy, *(const uint32_t *)a), *y = pair_get(sy, *(const uint32_t *)b);
    int c = x->name == y->name ? 0 : str_cmp(name_get(sy, x->name)->text, name_get(sy, y->name)->text);

    return c ? c : str_cmp(pair_value(x), pair_value(y));
}

/* The place of each pair in the order of name and value. */
static uint32_t *rank_pairs(const struct symbols *sy)
{
    uint32_t *ids = x_alloc(sizeof *ids * sy->npairs), *rank = x_zalloc(sizeof *rank * sy->npairs), n = 0;

    for (uint32_t i = 0; i < sy->nnames; i++)
        for (uint32_t k = 0; k < name_get(sy, i)->npairs; k++)
            ids[n++] = name_get(sy, i)->pairs[k];
    qsort_r(ids, n, sizeof *ids, by_pair_text, (void *)(uintptr_t)sy);
    for (uint32_t i = 0; i < n; i++)
        rank[ids[i]] = i + 1;
    free(ids);
    return rank;
}

static int by_first(const void *a, const void *b)
{
    const struct sort_key *x = a, *y = b;

    return (x->first > y->first) - (x->first < y->first);
}

static int by_pairs(const void *a, const void *b, void *arg)
{
    const struct full_key *x = a, *y = b;
    const uint32_t *rank = arg;

    for (uint32_t i = 0; i < x->npairs && i < y->npairs; i++)
        if (x->pairs[i] != y->pairs[i])
            return rank[x->pairs[i]] < rank[y->pairs[i]] ? -1 : 1;
    return (x->npairs > y->npairs) - (x->npairs < y->npairs);
}

static uint64_t first_key(const struct series *s, const struct symbols *sy, const uint32_t *rank, uint32_t metric_name)
{
    uint64_t name = 0, other = 0;

    for (uint32_t i = 0; i < s->npairs && i < 3; i++) {
        if (pair_get(sy, s->pairs[i])->name == metric_name)
            name = rank[s->pairs[i]];
        else if (!other)
            other = rank[s->pairs[i]];
    }
    for (uint32_t i = 3; i < s->npairs && !name; i++)
        if (pair_get(sy, s->pairs[i])->name == metric_name)
            name = rank[s->pairs[i]];
    return name << 32 | other;
}

/* Refs of keys that are in the order of `first`, in full order. */
static void sort_runs(const struct head *h, const struct sort_key *keys, uint32_t n, uint32_t *rank, uint32_t *refs)
{
    struct full_key *run = NULL;
    uint32_t cap = 0;

    for (uint32_t i = 0, k; i < n; i += k) {
        for (k = 1; i + k < n && keys[i + k].first == keys[i].first;)
            k++;
        if (k > cap) {
            cap = MAX(k, cap * 2);
            run = x_realloc(run, sizeof *run * cap);
        }
        for (uint32_t j = 0; j < k; j++) {
            const struct series *s = head_series(h, keys[i + j].ref);
            run[j] = (struct full_key){s->pairs, s->npairs, keys[i + j].ref};
        }
        if (k > 1)
            qsort_r(run, k, sizeof *run, by_pairs, rank);
        for (uint32_t j = 0; j < k; j++)
            refs[i + j] = run[j].ref;
    }
    free(run);
}

/* Does the series hold anything of gens up to `upto`? */
static bool has_rows(const struct series *s, uint32_t dropped, uint32_t upto)
{
    const struct chunk *c = atomic_load_explicit(&s->chunk, memory_order_acquire);
    const struct late *l = atomic_load_explicit(&s->late, memory_order_acquire);

    while (c && c->gen > upto)
        c = atomic_load_explicit(&c->prev, memory_order_acquire);
    while (l && l->gen > upto)
        l = atomic_load_explicit(&l->prev, memory_order_acquire);
    return (c && c->gen > dropped) || (l && l->gen > dropped);
}

/* Refs of the series with rows in g, in slice order. The caller frees them. */
static uint32_t *sorted_refs(struct tsdb *db, const struct gen *g, uint32_t *out_n)
{
    struct head *h = &db->head;
    uint32_t dropped = atomic_load(&h->dropped), n = 0, *refs, *rank, metric_name;
    struct sort_key *keys;

    pthread_rwlock_rdlock(&h->index_lock);
    rank = rank_pairs(&h->symbols);
    metric_name = name_find(&h->symbols, STR(LABEL_NAME));
    keys = x_alloc(sizeof *keys * h->nlive);
    for (uint32_t ref = 0; ref < h->nrefs; ref++) {
        const struct series *s;
        if (!head_block(h, ref) || !series_live(s = head_series(h, ref)) || !has_rows(s, dropped, g->number))
            continue;
        keys[n++] = (struct sort_key){first_key(s, &h->symbols, rank, metric_name), ref};
    }
    pthread_rwlock_unlock(&h->index_lock);
    qsort(keys, n, sizeof *keys, by_first);
    refs = x_alloc(sizeof *refs * n);
    sort_runs(h, keys, n, rank, refs);
    free(keys);
    free(rank);
    *out_n = n;
    return refs;
}

/* --- one day ------------------------------------------------------------------------------------ */

struct writing {
    struct tsdb *db;
    const struct gen *gen;
    uint32_t dropped;
    const uint32_t *refs;
    uint32_t nrefs;
    int32_t day;
    int64_t mint, maxt; /* of the day */
    struct day_writer *w;
    struct head_reader reader;
    struct arena arena;
};

/* Has the series rows in this day? Exact enough: a false yes costs an empty look. */
static bool in_day(const struct writing *wr, const struct series *s)
{
    if (wr->gen->mint >= wr->mint && wr->gen->maxt <= wr->maxt)
        return true;
    for (const struct chunk *c = atomic_load(&s->chunk); c && c->gen > wr->dropped; c = atomic_load(&c->prev)) {
        struct chunk_view v;
        if (c->gen > wr->gen->number)
            continue;
        chunk_look(c, &v);
        if (v.n && v.t[0] <= wr->maxt && v.t[v.n - 1] >= wr->mint &&
            times_lower(v.t, v.n, wr->mint) < times_lower(v.t, v.n, wr->maxt + 1))
            return true;
    }
    for (const struct late *l = atomic_load(&s->late); l && l->gen > wr->dropped; l = atomic_load(&l->prev))
        for (uint32_t i = 0; l->gen <= wr->gen->number && i < atomic_load(&l->n); i++)
            if (l->rows[i].t >= wr->mint && l->rows[i].t <= wr->maxt)
                return true;
    return false;
}

/* Every series of the day gets its sid before the first samples. */
static int bring_series(struct writing *wr, struct err *e)
{
    struct head *h = &wr->db->head;

    for (uint32_t i = 0; i < wr->nrefs; i++) {
        struct series *s = head_series(h, wr->refs[i]);
        struct labels ls;
        uint32_t sid;
        if (series_sid(s, &sid) == wr->day || !in_day(wr, s))
            continue;
        sid = day_write_find(wr->w, s->id);
        if (sid == DAY_NO_SID) {
            arena_reset(&wr->arena);
            head_labels(h, s, &wr->arena, &ls);
            int rc = day_write_new(wr->w, s->id, &ls, &sid, e);
            if (rc < 0)
                return rc;
        }
        series_set_sid(s, wr->day, sid);
    }
    return 0;
}

/* The column's number in the slice. Series of one target follow each other rarely, so the column remembers it. */
static int write_times(struct writing *wr, const struct head_piece *p, uint32_t *column, struct err *e)
{
    struct column *c = p->col;
    int rc;

    if (c && c->slice_tag == wr->db->slice_tag && c->slice_start == p->start && c->slice_n == p->n) {
        *column = c->slice_column;
        return 0;
    }
    rc = day_write_times(wr->w, p->t, p->n, column, e);
    if (rc == 0 && c) {
        c->slice_tag = wr->db->slice_tag;
        c->slice_start = p->start;
        c->slice_n = p->n;
        c->slice_column = *column;
    }
    return rc;
}

static int write_samples(struct writing *wr, struct err *e)
{
    struct head *h = &wr->db->head;
    int rc;

    for (uint32_t i = 0; i < wr->nrefs; i++) {
        struct series *s = head_series(h, wr->refs[i]);
        struct head_piece p;
        uint32_t column, sid;
        if (i + 8 < wr->nrefs)
            __builtin_prefetch(atomic_load_explicit(&head_series(h, wr->refs[i + 8])->chunk, memory_order_relaxed));
        if (series_sid(s, &sid) != wr->day ||
            !head_read(&wr->reader, s, wr->dropped, wr->gen->number, wr->mint, wr->maxt, &p))
            continue;
        rc = write_times(wr, &p, &column, e);
        if (rc < 0 || (rc = day_write_series(wr->w, sid, column, p.v, p.st, p.h, p.n, e)) < 0)
            return rc;
    }
    return 0;
}

/* sids that a dropped transaction gave out mean nothing. */
static void forget_sids(struct writing *wr)
{
    uint32_t sid;

    for (uint32_t i = 0; i < wr->nrefs; i++)
        if (series_sid(head_series(&wr->db->head, wr->refs[i]), &sid) == wr->day)
            series_set_sid(head_series(&wr->db->head, wr->refs[i]), INT32_MIN, 0);
}

/*
 * A day's file came into use: sealed, opened anew, or made again after the old one was dropped. Its sids may be others than
 * those noted. Asked when the day at hand is open: opening it is such a moment too.
 */
static void forget_old_sids(struct tsdb *db)
{
    uint32_t gen = atomic_load(&db->sid_gen);
    struct head *h = &db->head;

    if (gen == atomic_load(&db->sid_gen_seen))
        return;
    pthread_rwlock_rdlock(&h->index_lock);
    for (uint32_t ref = 0; ref < h->nrefs; ref++)
        if (head_block(h, ref))
            series_set_sid(head_series(h, ref), INT32_MIN, 0);
    pthread_rwlock_unlock(&h->index_lock);
    atomic_store(&db->sid_gen_seen, gen);
}

static int write_day(struct writing *wr, uint64_t seq, struct err *e)
{
    struct tsdb *db = wr->db;
    struct partition *p;
    int rc = store_partition_get(db->store, TSDB_SIGNAL, wr->day, &p, e);

    if (rc < 0)
        return rc;
    if (partition_contained(p) >= seq)
        goto out; /* (1) */
    forget_old_sids(db);
    rc = day_write_begin(p, &wr->w, e);
    if (rc < 0)
        goto out;
    db->slice_tag++;
    if ((rc = bring_series(wr, e)) < 0 || (rc = write_samples(wr, e)) < 0 ||
        (rc = exemplars_flush(db->exemplars, wr->day, day_write_txn(wr->w), e)) < 0) {
        day_write_abort(wr->w);
        forget_sids(wr);
        goto out;
    }
    crash_point("tsdb_flush_before_commit");
    rc = day_write_commit(wr->w, seq, e);
    crash_point("tsdb_flush_after_commit");
    if (rc < 0)
        forget_sids(wr);
    else
        exemplars_flushed(db->exemplars, wr->day);
out:
    partition_unref(p);
    return rc < 0 ? err_ctx(e, "flush of day %d", (int)wr->day) : 0;
}

/* --- all days ----------------------------------------------------------------------------------- */

static void add_day(int32_t **days, uint32_t *n, uint32_t *cap, int32_t day)
{
    for (uint32_t i = *n; i-- > 0;)
        if ((*days)[i] == day)
            return;
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        *days = x_realloc(*days, sizeof **days * *cap);
    }
    (*days)[(*n)++] = day;
}

static int by_day(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

/* The days that rows of the gen fall into. The caller frees them. */
static int32_t *days_of(struct writing *wr, uint32_t *out_n)
{
    struct head *h = &wr->db->head;
    int32_t *days = NULL, last = INT32_MIN;
    uint32_t n = 0, cap = 0;
    bool one = wr->gen->samples && day_of_ms(wr->gen->mint) == day_of_ms(wr->gen->maxt);

    if (one)
        add_day(&days, &n, &cap, day_of_ms(wr->gen->mint));
    for (uint32_t i = 0; !one && i < wr->nrefs; i++) {
        struct head_piece p;
        if (!head_read(&wr->reader, head_series(h, wr->refs[i]), wr->dropped, wr->gen->number, INT64_MIN, INT64_MAX,
                       &p))
            continue;
        for (uint32_t k = 0; k < p.n; k++)
            if (day_of_ms(p.t[k]) != last)
                add_day(&days, &n, &cap, last = day_of_ms(p.t[k]));
    }
    int32_t more[64];
    uint32_t nmore = exemplars_days(wr->db->exemplars, more, ARRAY_LEN(more));
    for (uint32_t i = 0; i < nmore; i++)
        add_day(&days, &n, &cap, more[i]);
    if (n)
        qsort(days, n, sizeof *days, by_day);
    *out_n = n;
    return days;
}

static int write_gen(struct tsdb *db, const struct gen *g, uint64_t seq, uint32_t *nseries, struct err *e)
{
    struct writing wr = {.db = db, .gen = g, .dropped = atomic_load(&db->head.dropped)};
    uint32_t *refs = sorted_refs(db, g, &wr.nrefs), ndays;
    int32_t *days;
    int rc = 0;

    wr.refs = refs;
    days = days_of(&wr, &ndays);
    for (uint32_t i = 0; rc == 0 && i < ndays; i++) {
        wr.day = days[i];
        wr.mint = day_start_ms(days[i]);
        wr.maxt = wr.mint + 86400000 - 1;
        rc = write_day(&wr, seq, e);
    }
    *nseries = wr.nrefs;
    head_reader_release(&wr.reader);
    arena_release(&wr.arena);
    free(days);
    free(refs);
    return rc;
}

/* --- afterwards --------------------------------------------------------------------------------- */

struct idle {
    struct tsdb *db;
    uint32_t minute;
    bool pressed; /* memory is short: series go sooner */
};

static bool is_idle(void *arg, uint32_t ref, const struct series *s)
{
    struct idle *i = arg;
    int64_t t;
    double v;

    (void)ref;
    if ((int32_t)(s->batch - i->db->batches_applied) > 0 ||
        i->minute - s->minute < (i->pressed ? PRESSED_IDLE_MINUTES : IDLE_MINUTES))
        return false;
    /* Under the exclusive index_lock: a select that matches later sees the new floor, one that matched before holds the
     * series. */
    if (series_last(s, &t, &v) && t > atomic_load_explicit(&i->db->keep_floor, memory_order_relaxed))
        atomic_store(&i->db->keep_floor, t);
    return true;
}

/* Series that nobody writes to leave the head: they are found in their partitions. */
static void let_go(struct tsdb *db)
{
    struct head *h = &db->head;
    struct idle i = {.db = db, .minute = (uint32_t)(clock_wall_ms() / 60000)};
    uint64_t held = h->index_bytes + h->open_bytes;
    uint32_t n;

    i.pressed = (db->opts.head_bytes_max && held > db->opts.head_bytes_max / 4 * 3) ||
                (db->opts.series_max && h->nlive > db->opts.series_max / 10 * 9);
    n = head_gc(h, is_idle, &i);
    if (n)
        log_info("tsdb", "%u series without samples left memory, %llu stay", n, (unsigned long long)h->nlive);
}

/* Waits a little for readers that need the old gen; whoever is still there then is waited for by the next flush. */
static void reclaim(struct tsdb *db)
{
    for (int ms = 0; ms < RECLAIM_WAIT_MS && db->head.gens != db->head.appender.open; ms += 2) {
        head_reclaim(&db->head);
        if (db->head.gens != db->head.appender.open)
            usleep(2000);
    }
}

static int flush_locked(struct tsdb *db, uint64_t *contained, struct err *e)
{
    struct head *h = &db->head;
    int64_t began = clock_mono_ms(), maxt;
    uint64_t done = journal_done_seq(store_journal(db->store)), samples;
    uint32_t nseries;
    int32_t day;
    int rc;

    head_reclaim(h);
    if (!db->frozen) {
        bool others = exemplars_days(db->exemplars, &day, 1) > 0;
        pthread_mutex_lock(&h->apply_mu);
        db->frozen = head_cut(h, others);
        db->frozen_seq = MAX(db->seq_applied, done);
        pthread_mutex_unlock(&h->apply_mu);
    }
    if (db->frozen) {
        rc = write_gen(db, db->frozen, db->frozen_seq, &nseries, e);
        if (rc < 0)
            return rc;
        samples = db->frozen->samples;
        maxt = db->frozen->maxt;
        if (maxt > atomic_load(&db->disk_maxt))
            atomic_store(&db->disk_maxt, maxt);
        head_drop(h, db->frozen);
        db->frozen = NULL;
        log_info("tsdb", "flushed %u series, %llu samples, %lld ms", nseries, (unsigned long long)samples,
                 (long long)(clock_mono_ms() - began));
    }
    rc = metadata_flush(db->metadata, store_state(db->store), e);
    if (rc < 0)
        return rc;
    *contained = db->frozen_seq;
    reclaim(db);
    let_go(db);
    return 0;
}

int tsdb_flush(void *self, uint64_t *contained, struct err *e)
{
    struct tsdb *db = self;
    int rc;

    pthread_mutex_lock(&db->flush_mu);
    rc = flush_locked(db, contained, e);
    pthread_mutex_unlock(&db->flush_mu);
    return rc;
}
