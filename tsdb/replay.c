/*
 * replay.c - the journal's tail back into the head, when the process starts; nobody else is there yet. Two threads
 * share the work: the caller decodes entries and makes series (the writer's part), ours appends their rows (the
 * applier's).
 *
 * (1) A sample that its day's partition contains already is not stored again, but counts as seen: a sender that repeats
 * it after our restart meets a no-op, not a second copy.
 */
#include "tsdb/db.h"

#include <pthread.h>
#include <stdlib.h>

struct day_seq {
    int32_t day;
    uint64_t contained;
};

/* Whether rows of an entry are in partitions; remembers the day it was asked for last. */
struct skipper {
    const struct day_seq *days;
    uint32_t ndays;
    uint64_t seq;
    int64_t from, to; /* of that day */
    bool skip;
};

/* The rows of one entry on their way to the applier; the arena is what they lie in. */
struct job {
    uint64_t seq;
    struct entry_rows rows;
    struct arena arena;
};

/* How many entries may wait, and how many are applied together. */
enum { JOBS = 40, WINDOW = 24 };

struct replay {
    /* Set at begin. */
    struct day_seq *days;
    uint32_t ndays;
    uint32_t minute;
    pthread_t thread;

    /* The caller's. */
    struct entry_reader reader;
    struct skipper skipper;
    uint64_t entries, samples;

    /* The thread's, until it is joined. */
    uint64_t skipped;

    /* Under mu. Jobs taken..given are waiting, in a ring. */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct job jobs[JOBS];
    uint64_t given, taken;
    bool end;
};

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

static uint32_t on_series(void *arg, const uint32_t *pairs, uint32_t npairs)
{
    struct tsdb *db = arg;
    struct head *h = &db->head;
    struct label labels[ENTRY_LABELS_MAX];
    struct labels ls = {labels, npairs};
    struct hash128 id;
    uint32_t ref;

    for (uint32_t i = 0; i < npairs; i++) {
        const struct head_pair *p = pair_get(&h->symbols, pairs[i]);
        labels[i] = (struct label){name_get(&h->symbols, p->name)->text, pair_value(p)};
    }
    id = labels_hash(&ls);
    ref = head_find(h, id);
    return ref != HEAD_NO_REF ? ref : head_add(h, id, pairs, npairs);
}

static void load_days(struct tsdb *db)
{
    struct replay *r = db->replay;
    struct partition_list l;

    store_partitions(db->store, TSDB_SIGNAL, INT64_MIN, INT64_MAX, &l);
    r->days = x_alloc(sizeof *r->days * l.n);
    for (uint32_t i = 0; i < l.n; i++)
        r->days[i] = (struct day_seq){partition_day(l.v[i]), partition_contained(l.v[i])};
    r->ndays = l.n;
    partition_list_release(&l);
}

/* Is the row of this entry at t in its day's partition already? */
static bool contained(struct skipper *k, int64_t t)
{
    int32_t day;

    if (t >= k->from && t <= k->to)
        return k->skip;
    day = day_of_ms(t);
    k->from = day_start_ms(day);
    k->to = k->from + 86400000 - 1;
    k->skip = false;
    for (uint32_t i = 0; i < k->ndays; i++)
        if (k->days[i].day == day)
            k->skip = k->seq <= k->days[i].contained;
    return k->skip;
}

static struct skipper skipper_for(const struct replay *r, uint64_t seq)
{
    return (struct skipper){.days = r->days, .ndays = r->ndays, .seq = seq, .from = 1, .to = 0};
}

/* --- the applier's thread ----------------------------------------------------------------------- */

/*
 * Entries are scrapes: each touches every series once. Going through many of them series by series instead finds the
 * series, its chunk and its column in the cache for all but the first sample. The order of the rows of one series
 * stays.
 */
struct link {
    uint32_t next; /* row of the same series + 1, 0 at the end */
    uint32_t at;   /* its first sample in the job */
    uint32_t n, job;
};

struct window {
    struct link *links;
    uint32_t nlinks, links_cap;
    uint32_t *first, *last; /* link + 1 by ref, all 0 between windows */
    uint32_t refs_cap;
    uint32_t *refs, nrefs; /* those that have rows, in order of appearance */
    struct skipper skippers[WINDOW];
};

static void window_release(struct window *w)
{
    free(w->links);
    free(w->first);
    free(w->last);
    free(w->refs);
}

static void window_reserve(struct window *w, const struct replay *r, uint32_t njobs)
{
    uint32_t rows = 0, top = 0;

    for (uint32_t j = 0; j < njobs; j++) {
        const struct entry_rows *e = &r->jobs[(r->taken + j) % JOBS].rows;
        rows += e->nrows;
        for (uint32_t i = 0; i < e->nrows; i++)
            top = MAX(top, e->refs[i]);
    }
    if (rows > w->links_cap) {
        w->links_cap = rows;
        w->links = x_realloc(w->links, sizeof *w->links * rows);
    }
    if (top >= w->refs_cap) {
        uint32_t cap = MAX(top + 1, w->refs_cap * 2);
        w->first = x_realloc(w->first, sizeof *w->first * cap);
        w->last = x_realloc(w->last, sizeof *w->last * cap);
        w->refs = x_realloc(w->refs, sizeof *w->refs * cap);
        memset(w->first + w->refs_cap, 0, sizeof *w->first * (cap - w->refs_cap));
        w->refs_cap = cap;
    }
}

/* Threads the rows of the jobs into one list a series. */
static void window_fill(struct window *w, const struct replay *r, uint32_t njobs)
{
    w->nlinks = w->nrefs = 0;
    for (uint32_t j = 0; j < njobs; j++) {
        const struct job *job = &r->jobs[(r->taken + j) % JOBS];
        w->skippers[j] = skipper_for(r, job->seq);
        for (uint32_t i = 0, at = 0; i < job->rows.nrows; at += job->rows.counts[i++]) {
            uint32_t ref = job->rows.refs[i];
            w->links[w->nlinks++] = (struct link){0, at, job->rows.counts[i], j};
            if (w->first[ref])
                w->links[w->last[ref] - 1].next = w->nlinks;
            else
                w->refs[w->nrefs++] = ref;
            w->first[ref] = w->first[ref] ? w->first[ref] : w->nlinks;
            w->last[ref] = w->nlinks;
        }
    }
}

static void apply_row(struct tsdb *db, struct series *s, const struct entry_rows *rows, uint32_t at, uint32_t n,
                      struct skipper *k)
{
    for (uint32_t end = at + n; at < end; at++) {
        int64_t t = rows->t[at];
        double v = rows->v[at];
        if (contained(k, t)) {
            head_touch(&db->head, s, t, v);
            db->replay->skipped++;
        } else {
            head_append(&db->head, s, t, v, rows->st ? rows->st[at] : 0);
        }
        if (t > s->jt) {
            s->jt = t;
            s->jv = v;
        }
    }
}

static void apply(struct tsdb *db, struct window *w, uint32_t njobs)
{
    enum { AHEAD = 12, NEAR = 5 };
    struct replay *r = db->replay;
    struct head *h = &db->head;

    window_reserve(w, r, njobs);
    window_fill(w, r, njobs);
    pthread_mutex_lock(&h->apply_mu);
    for (uint32_t i = 0; i < w->nrefs; i++) {
        uint32_t ref = w->refs[i];
        struct series *s = head_series(h, ref);
        if (i + AHEAD < w->nrefs)
            head_prefetch_series(h, w->refs[i + AHEAD]);
        if (i + NEAR < w->nrefs)
            head_prefetch_chunk(head_series(h, w->refs[i + NEAR]));
        for (uint32_t l = w->first[ref]; l; l = w->links[l - 1].next) {
            const struct link *k = &w->links[l - 1];
            apply_row(db, s, &r->jobs[(r->taken + k->job) % JOBS].rows, k->at, k->n, &w->skippers[k->job]);
        }
        w->first[ref] = 0;
        s->minute = r->minute;
    }
    pthread_mutex_unlock(&h->apply_mu);
    for (uint32_t j = 0; j < njobs; j++)
        arena_reset(&r->jobs[(r->taken + j) % JOBS].arena);
}

static void *apply_all(void *arg)
{
    struct tsdb *db = arg;
    struct replay *r = db->replay;
    struct window w = {0};

    pthread_setname_np(pthread_self(), "replay");
    pthread_mutex_lock(&r->mu);
    for (;;) {
        while (r->given - r->taken < WINDOW && !r->end)
            pthread_cond_wait(&r->changed, &r->mu);
        uint32_t n = (uint32_t)MIN(r->given - r->taken, (uint64_t)WINDOW);
        if (n == 0)
            break;
        pthread_mutex_unlock(&r->mu);
        apply(db, &w, n);
        pthread_mutex_lock(&r->mu);
        r->taken += n;
        pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&r->mu);
    window_release(&w);
    return NULL;
}

/* --- the caller's ------------------------------------------------------------------------------- */

/* Gives the rows away, with the arena they are in; the reader gets an empty one. */
static void on_rows(void *arg, const struct entry_rows *rows)
{
    struct tsdb *db = arg;
    struct replay *r = db->replay;
    struct job *job;
    struct arena empty;

    r->samples += rows->nsamples;
    if (rows->nrows == 0)
        return;
    pthread_mutex_lock(&r->mu);
    while (r->given - r->taken == JOBS)
        pthread_cond_wait(&r->changed, &r->mu);
    job = &r->jobs[r->given % JOBS];
    empty = job->arena;
    job->seq = r->skipper.seq;
    job->rows = *rows;
    job->arena = r->reader.arena;
    r->reader.arena = empty;
    r->given++;
    if (r->given - r->taken >= WINDOW)
        pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->mu);
}

static void on_exemplar(void *arg, uint32_t ref, const struct tsdb_exemplar *x)
{
    struct tsdb *db = arg;

    if (!contained(&db->replay->skipper, x->t))
        exemplars_add(db->exemplars, head_series(&db->head, ref)->id, x);
}

static void on_metadata(void *arg, const struct tsdb_metadata *m)
{
    struct tsdb *db = arg;

    metadata_put(db->metadata, m);
}

static void begin(struct tsdb *db)
{
    struct entry_sink sink = {on_name, on_pair, on_series, on_rows, on_exemplar, on_metadata, db};

    if (db->replay)
        return;
    db->replay = x_zalloc(sizeof *db->replay);
    db->replay->minute = (uint32_t)(clock_wall_ms() / 60000);
    entry_reader_init(&db->replay->reader, &sink);
    pthread_mutex_init(&db->replay->mu, NULL);
    pthread_cond_init(&db->replay->changed, NULL);
    load_days(db);
    if (pthread_create(&db->replay->thread, NULL, apply_all, db) != 0) {
        log_error("tsdb", "cannot start a thread for the replay");
        abort();
    }
}

/* Every row that was given is in the head. */
static void finish(struct replay *r)
{
    pthread_mutex_lock(&r->mu);
    r->end = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->mu);
    pthread_join(r->thread, NULL);
    r->thread = 0;
}

void tsdb_replay_file(void *self, uint32_t file)
{
    struct tsdb *db = self;

    (void)file;
    begin(db);
    entry_reader_file(&db->replay->reader);
}

int tsdb_replay(void *self, uint64_t seq, struct str entry, struct err *e)
{
    struct tsdb *db = self;
    struct replay *r;
    int rc;

    begin(db);
    r = db->replay;
    r->skipper = skipper_for(r, seq);
    r->entries++;
    rc = entry_read(&r->reader, entry, e);
    db->seq_applied = seq;
    return rc < 0 ? err_ctx(e, "entry %llu", (unsigned long long)seq) : 0;
}

void tsdb_replay_free(struct tsdb *db)
{
    struct replay *r = db->replay;

    if (!r)
        return;
    if (r->thread)
        finish(r);
    entry_reader_release(&r->reader);
    for (unsigned i = 0; i < JOBS; i++)
        arena_release(&r->jobs[i].arena);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mu);
    free(r->days);
    free(r);
    db->replay = NULL;
}

void tsdb_replay_end(void *self)
{
    struct tsdb *db = self;
    struct partition_list l;
    int64_t maxt = INT64_MIN, from, to;

    if (db->replay)
        finish(db->replay);
    store_partitions(db->store, TSDB_SIGNAL, INT64_MIN, INT64_MAX, &l);
    for (uint32_t i = 0; i < l.n; i++)
        if (partition_user(l.v[i]) && day_times(partition_user(l.v[i]), &from, &to))
            maxt = MAX(maxt, to);
    partition_list_release(&l);
    atomic_store(&db->keep_floor, maxt);
    atomic_store(&db->disk_maxt, maxt);
    if (db->replay && db->replay->entries)
        log_info("tsdb", "replayed %llu entries: %llu samples, %llu of them in partitions already, %llu series",
                 (unsigned long long)db->replay->entries, (unsigned long long)db->replay->samples,
                 (unsigned long long)db->replay->skipped, (unsigned long long)db->head.nlive);
    tsdb_replay_free(db);
}
