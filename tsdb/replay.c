/*
 * replay.c - the journal's tail back into the head, when the process starts; nobody else is there yet, so no lock of the
 * head is taken.
 *
 *   caller  ── entries decoded, in jobs ──▶ applier 0: definitions become series ──▶ applier 0: rows of its series
 *                                                                              └──▶ applier 1: rows of the others
 *
 * (1) A sample that its day's partition contains already is not stored again, but counts as seen: a sender that repeats
 * it after our restart meets a no-op, not a second copy.
 * (2) A series belongs to one applier, by its ref; the rows of a series are appended in the order of the journal.
 * (3) Only days that the journal has rows of are opened.
 */
#include "tsdb/db.h"

#include <pthread.h>
#include <stdlib.h>

/* What is handed over at once: entries of so many rows and definitions, about; and how many such may wait. */
enum { JOB_ROWS = 16384, JOBS = 6, APPLIERS = 2, SHARE_BITS = 8 };

/* The definitions of a job, in the order of their numbers; pair ids one series behind the other. */
struct defs {
    struct hash128 *ids;
    uint32_t *npairs, *pairs;
    uint32_t n, cap, pairs_n, pairs_cap;
};

struct noted {
    struct noted *next;
    uint32_t series;
    struct tsdb_exemplar x;
};

/* The rows of one entry; `series` are numbers until applier 0 has made refs of them. */
struct part {
    struct part *next;
    uint64_t seq;
    struct entry_rows rows;
    struct noted *exemplars;
};

struct job {
    struct defs defs;
    struct part *parts, **parts_end;
    uint32_t size;
    struct arena arena; /* of the parts */
};

/* Whether rows of an entry are in partitions; remembers the day it was asked for last. */
struct skipper {
    uint64_t seq, contained;
    int64_t from, to; /* of that day */
};

struct own_row {
    uint32_t ref, at, n;
};

struct applier {
    struct tsdb *db;
    unsigned number;
    pthread_t thread;
    struct appender *appender, second;
    struct skipper skipper;
    struct own_row *rows;
    uint32_t rows_cap;
    uint64_t skipped;
};

struct replay {
    /* Set at begin. */
    uint32_t minute;
    struct applier appliers[APPLIERS];

    /* The caller's. */
    struct entry_reader reader;
    uint32_t file;
    struct job *filling; /* not given yet, or NULL */
    struct part *part;
    uint64_t entries, samples;

    /* Applier 0's: refs by number. */
    uint32_t *refs, nrefs, refs_cap;

    /* Under mu. Jobs are a ring; done <= resolved <= given <= done + JOBS, for each applier's done. */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct job jobs[JOBS];
    uint64_t given, resolved, done[APPLIERS];
    bool end;
};

/* --- what is on disk already -------------------------------------------------------------------- */

static uint64_t day_contained(struct tsdb *db, int32_t day)
{
    struct partition_list l;
    uint64_t seq = 0;

    store_partitions(db->store, TSDB_SIGNAL, day_start_ms(day), day_start_ms(day), &l);
    if (l.n)
        seq = partition_contained(l.v[0]);
    partition_list_release(&l);
    return seq;
}

/* Is the row of the entry at t in its day's partition already? */
static bool contained(struct tsdb *db, struct skipper *k, int64_t t)
{
    if (t < k->from || t > k->to) {
        int32_t day = day_of_ms(t);
        k->from = day_start_ms(day);
        k->to = k->from + 86400000 - 1;
        k->contained = day_contained(db, day);
    }
    return k->seq <= k->contained;
}

/* --- applier 0: series -------------------------------------------------------------------------- */

static void resolve_defs(struct tsdb *db, const struct defs *d)
{
    struct replay *r = db->replay;

    if (r->nrefs + d->n > r->refs_cap) {
        r->refs_cap = MAX(r->nrefs + d->n, r->refs_cap * 2);
        r->refs = x_realloc(r->refs, sizeof *r->refs * r->refs_cap);
    }
    head_meet(&db->head, d->n, d->ids, d->pairs, d->npairs, r->refs + r->nrefs);
    r->nrefs += d->n;
}

static void resolve(struct tsdb *db, struct job *job)
{
    struct replay *r = db->replay;
    struct skipper *k = &r->appliers[0].skipper;

    resolve_defs(db, &job->defs);
    for (struct part *p = job->parts; p; p = p->next) {
        for (uint32_t i = 0; i < p->rows.nrows; i++)
            p->rows.series[i] = r->refs[p->rows.series[i]];
        k->seq = p->seq;
        for (const struct noted *x = p->exemplars; x; x = x->next)
            if (!contained(db, k, x->x.t))
                exemplars_add(db->exemplars, head_series(&db->head, r->refs[x->series])->id, &x->x);
    }
}

/* --- both: rows --------------------------------------------------------------------------------- */

/* The rows of the part that are the applier's. */
static uint32_t own_rows(struct applier *a, const struct entry_rows *rows)
{
    uint32_t n = 0;

    if (rows->nrows > a->rows_cap) {
        a->rows_cap = rows->nrows;
        a->rows = x_realloc(a->rows, sizeof *a->rows * a->rows_cap);
    }
    for (uint32_t i = 0, at = 0; i < rows->nrows; at += rows->counts[i++]) {
        uint32_t ref = rows->series[i];
        a->rows[n] = (struct own_row){ref, at, rows->counts[i]};
        n += (ref >> SHARE_BITS) % APPLIERS == a->number;
    }
    return n;
}

static void apply_row(struct applier *a, struct series *s, const struct entry_rows *rows, const struct own_row *row)
{
    for (uint32_t at = row->at; at < row->at + row->n; at++) {
        const struct histogram *h = rows->h ? rows->h[at] : NULL;

        if (contained(a->db, &a->skipper, rows->t[at])) {
            head_touch(s, rows->t[at], rows->v[at]);
            if (h)
                atomic_fetch_or_explicit(&s->flags, SERIES_HISTS, memory_order_relaxed);
            a->skipped++;
        } else if (h) {
            appender_append_hist(a->appender, s, rows->t[at], h, rows->v[at], rows->st ? rows->st[at] : 0);
        } else {
            appender_append(a->appender, s, rows->t[at], rows->v[at], rows->st ? rows->st[at] : 0);
        }
    }
    s->minute = a->db->replay->minute;
}

static void apply_part(struct applier *a, const struct part *p)
{
    enum { AHEAD = 24, NEAR = 12, TAIL = 5 };
    const struct head *h = &a->db->head;
    uint32_t n = own_rows(a, &p->rows);

    a->skipper.seq = p->seq;
    for (uint32_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch((char *)head_series(h, a->rows[i + AHEAD].ref) + 64, 1);
        if (i + NEAR < n)
            head_prefetch_chunk(head_series(h, a->rows[i + NEAR].ref));
        if (i + TAIL < n)
            head_prefetch_tail(head_series(h, a->rows[i + TAIL].ref));
        apply_row(a, head_series(h, a->rows[i].ref), &p->rows, &a->rows[i]);
    }
}

/* The writer's view of the applier's series: all that was accepted is there. */
static void settle(struct applier *a)
{
    struct head *h = &a->db->head;

    for (uint32_t ref = a->number << SHARE_BITS; ref < h->nrefs; ref++) {
        struct series *s = head_series(h, ref);
        if (!series_last(s, &s->jt, &s->jv))
            s->jt = HEAD_NO_TIME;
        if ((ref + 1) % (1u << SHARE_BITS) == 0)
            ref += (APPLIERS - 1) << SHARE_BITS;
    }
}

static void *run_applier(void *arg)
{
    struct applier *a = arg;
    struct replay *r = a->db->replay;
    const uint64_t *ready = a->number == 0 ? &r->given : &r->resolved;
    uint64_t *done = &r->done[a->number];

    pthread_setname_np(pthread_self(), "replay");
    pthread_mutex_lock(&r->mu);
    for (;;) {
        struct job *job = &r->jobs[*done % JOBS];
        if (a->number > 0 && *done == *ready && a->db->head.nlive >= HEAD_BLOCK / 2) { /* time to spare */
            pthread_mutex_unlock(&r->mu);
            head_make_spare(&a->db->head);
            pthread_mutex_lock(&r->mu);
        }
        while (*done == *ready && !(r->end && *done == r->given))
            pthread_cond_wait(&r->changed, &r->mu);
        if (*done == *ready)
            break;
        pthread_mutex_unlock(&r->mu);
        if (a->number == 0) {
            resolve(a->db, job);
            pthread_mutex_lock(&r->mu);
            r->resolved++;
            pthread_cond_broadcast(&r->changed);
            pthread_mutex_unlock(&r->mu);
        }
        for (const struct part *p = job->parts; p; p = p->next)
            apply_part(a, p);
        pthread_mutex_lock(&r->mu);
        ++*done;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->mu);
    settle(a);
    return NULL;
}

/* --- the caller's ------------------------------------------------------------------------------- */

/* A job that both appliers are done with, empty. */
static struct job *next_job(struct replay *r)
{
    struct job *job;

    pthread_mutex_lock(&r->mu);
    while (r->given - MIN(r->done[0], r->done[1]) == JOBS)
        pthread_cond_wait(&r->changed, &r->mu);
    job = &r->jobs[r->given % JOBS];
    pthread_mutex_unlock(&r->mu);
    arena_reset(&job->arena);
    job->parts = NULL;
    job->parts_end = &job->parts;
    job->defs.n = job->defs.pairs_n = job->size = 0;
    return job;
}

static void give(struct replay *r)
{
    r->filling = NULL;
    pthread_mutex_lock(&r->mu);
    r->given++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
}

static uint32_t on_name(void *arg, struct str text)
{
    struct tsdb *db = arg;

    return name_intern(&db->head.symbols, text);
}

static uint32_t on_pair(void *arg, uint32_t name, struct str value)
{
    struct tsdb *db = arg;

    return pair_intern(&db->head.symbols, name, value);
}

static void reserve_defs(struct defs *d, uint32_t npairs)
{
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 1024;
        d->ids = x_realloc(d->ids, sizeof *d->ids * d->cap);
        d->npairs = x_realloc(d->npairs, sizeof *d->npairs * d->cap);
    }
    if (d->pairs_n + npairs > d->pairs_cap) {
        d->pairs_cap = MAX(d->pairs_n + npairs, d->pairs_cap * 2);
        d->pairs = x_realloc(d->pairs, sizeof *d->pairs * d->pairs_cap);
    }
}

static void on_series(void *arg, const uint32_t *pairs, uint32_t npairs)
{
    struct tsdb *db = arg;
    const struct symbols *sy = &db->head.symbols;
    struct job *job = db->replay->filling;
    struct defs *d = &job->defs;

    reserve_defs(d, npairs);
    if (npairs) /* else its definition is lost */
        memcpy(d->pairs + d->pairs_n, pairs, sizeof *pairs * npairs);
    d->pairs_n += npairs;
    d->ids[d->n] = pairs_hash(sy, pairs, npairs);
    d->npairs[d->n++] = npairs;
    job->size++;
}

static void on_rows(void *arg, const struct entry_rows *rows)
{
    struct tsdb *db = arg;
    struct replay *r = db->replay;

    r->samples += rows->nsamples;
    r->part->rows = *rows;
    r->filling->size += rows->nsamples;
}

/* Its labels lie in the entry: copied, for the entry goes before the job does. */
static void on_exemplar(void *arg, uint32_t series, const struct tsdb_exemplar *x)
{
    struct tsdb *db = arg;
    struct replay *r = db->replay;
    struct arena *a = &r->filling->arena;
    struct noted *n = arena_alloc(a, sizeof *n), **end = &r->part->exemplars;

    *n = (struct noted){.series = series, .x = *x};
    n->x.labels = labels_dup(a, &x->labels);
    while (*end)
        end = &(*end)->next;
    *end = n;
}

static void on_metadata(void *arg, const struct tsdb_metadata *m)
{
    struct tsdb *db = arg;

    metadata_put(db->metadata, m);
}

static void begin(struct tsdb *db)
{
    struct entry_sink sink = {on_name, on_pair, on_series, on_rows, on_exemplar, on_metadata, db};
    struct replay *r;

    if (db->replay)
        return;
    r = db->replay = x_zalloc(sizeof *r);
    r->minute = (uint32_t)(clock_wall_ms() / 60000);
    entry_reader_init(&r->reader, &sink);
    pthread_mutex_init(&r->mu, NULL);
    pthread_cond_init(&r->changed, NULL);
    for (unsigned i = 0; i < APPLIERS; i++) {
        struct applier *a = &r->appliers[i];
        *a = (struct applier){.db = db, .number = i, .appender = i ? &a->second : &db->head.appender, .skipper = {.from = 1}};
        if (i)
            appender_init(&a->second, &db->head);
        if (pthread_create(&a->thread, NULL, run_applier, a) != 0) {
            log_error("tsdb", "cannot start a thread for the replay");
            abort();
        }
    }
}

/* Every row that was given is in the head. */
static void finish(struct replay *r)
{
    if (r->end)
        return;
    if (r->filling)
        give(r);
    pthread_mutex_lock(&r->mu);
    r->end = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
    for (unsigned i = 0; i < APPLIERS; i++) {
        pthread_join(r->appliers[i].thread, NULL);
        appender_release(&r->appliers[i].second);
    }
}

void tsdb_replay_file(void *self, uint32_t file)
{
    struct tsdb *db = self;

    begin(db);
    db->replay->file = file;
    entry_reader_file(&db->replay->reader);
}

/* Tells of entries that did not come, or could not be read, before the one just read. */
static int report_gap(const struct replay *r, const struct entry_losses *before, struct err *e)
{
    const struct entry_losses *now = &r->reader.losses;

    if (now->entries == before->entries)
        return 0;
    return err_set(e, ERR_CORRUPT,
                   "journal file %u: %llu entries before it are lost; with them all that the file says of %llu series they "
                   "named, and the next samples of those named before",
                   r->file, (unsigned long long)(now->entries - before->entries),
                   (unsigned long long)(now->series - before->series));
}

/* What was lost behind damaged entries, in figures and a few names. */
static void log_losses(struct tsdb *db)
{
    const struct replay *r = db->replay;
    const struct entry_losses *l = &r->reader.losses;
    struct arena a = {0};
    struct buf names = {0};

    for (uint32_t i = 0; i < l->nsome; i++) {
        uint32_t ref = r->refs[l->some[i]];
        struct labels ls;
        if (ref == HEAD_NO_REF)
            continue;
        head_labels(&db->head, head_series(&db->head, ref), &a, &ls);
        buf_puts(&names, names.n ? STR(", ") : STR(": of "));
        labels_print(&names, &ls);
    }
    if (l->entries)
        log_error("tsdb", "%llu damaged journal entries took with them %llu series they named and %llu later samples%.*s",
                  (unsigned long long)l->entries, (unsigned long long)l->series, (unsigned long long)l->samples, (int)names.n,
                  names.n ? names.p : "");
    buf_release(&names);
    arena_release(&a);
}

int tsdb_replay(void *self, uint64_t seq, struct str entry, struct err *e)
{
    struct entry_losses before;
    struct tsdb *db = self;
    struct replay *r;
    int rc;

    begin(db);
    r = db->replay;
    if (!r->filling)
        r->filling = next_job(r);
    r->part = arena_alloc(&r->filling->arena, sizeof *r->part);
    *r->part = (struct part){.seq = seq};
    *r->filling->parts_end = r->part;
    r->filling->parts_end = &r->part->next;
    r->entries++;
    before = r->reader.losses;
    rc = entry_read(&r->reader, entry, &r->filling->arena, e);
    if (rc == 0)
        rc = report_gap(r, &before, e);
    if (r->filling->size >= JOB_ROWS)
        give(r);
    db->seq_applied = seq;
    return rc < 0 ? err_ctx(e, "entry %llu", (unsigned long long)seq) : 0;
}

static void job_release(struct job *job)
{
    free(job->defs.ids);
    free(job->defs.npairs);
    free(job->defs.pairs);
    arena_release(&job->arena);
}

void tsdb_replay_free(struct tsdb *db)
{
    struct replay *r = db->replay;

    if (!r)
        return;
    finish(r);
    entry_reader_release(&r->reader);
    for (unsigned i = 0; i < JOBS; i++)
        job_release(&r->jobs[i]);
    for (unsigned i = 0; i < APPLIERS; i++)
        free(r->appliers[i].rows);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mu);
    free(r->refs);
    free(r);
    db->replay = NULL;
}

/* The newest time in any partition. Days are looked at from the newest on, and only as far as is needed. */
static int64_t newest_on_disk(struct tsdb *db)
{
    int64_t from, to = INT64_MIN;
    int32_t first, last;

    if (!store_day_range(db->store, TSDB_SIGNAL, &first, &last))
        return INT64_MIN;
    for (int32_t day = last; day >= first && to == INT64_MIN; day--) {
        struct partition_list l;
        store_partitions(db->store, TSDB_SIGNAL, day_start_ms(day), day_start_ms(day), &l);
        if (l.n && (!partition_user(l.v[0]) || !day_times(partition_user(l.v[0]), &from, &to)))
            to = INT64_MIN;
        partition_list_release(&l);
    }
    return to;
}

void tsdb_replay_end(void *self)
{
    struct tsdb *db = self;
    int64_t maxt;
    struct replay *r = db->replay;

    if (r)
        finish(r);
    maxt = newest_on_disk(db);
    atomic_store(&db->keep_floor, maxt);
    atomic_store(&db->disk_maxt, maxt);
    atomic_store(&db->unmet, r && maxt != INT64_MIN);
    if (r)
        log_losses(db);
    if (r && r->entries)
        log_info("tsdb", "replayed %llu entries: %llu samples, %llu of them in partitions already, %llu series",
                 (unsigned long long)r->entries, (unsigned long long)r->samples,
                 (unsigned long long)(r->appliers[0].skipped + r->appliers[1].skipped), (unsigned long long)db->head.nlive);
    tsdb_replay_free(db);
}
