/*
 * ingest.c - a batch on its way in: resolve, check, encode, push; and once it is on disk: append to the head.
 *
 *     tsdb_ingest (any thread, writer_mu) ── journal_push ──> committed (journal thread) ── head_append ── done
 *
 * (1) A series' line 1 tells what was accepted, line 2 what is committed and visible; between them are batches under
 * way. (2) What an attempt changed in line 1 is undone exactly when its entry was not pushed. (3) When a commit fails
 * the journal goes on in a new file, where everything is defined anew; the series of the batch fall back to what is
 * visible. Batches pushed meanwhile may then bring a time twice: head_append keeps the first.
 */
#include "store/waiter.h"
#include "tsdb/db.h"

#include <assert.h>
#include <stdlib.h>

enum { PREFETCH = 32, LABELS_BYTES_MAX = 64 * 1024, BATCH_SAMPLES_MAX = 4 << 20 };

_Static_assert((int)BATCH_SAMPLES_MAX <= (int)ENTRY_SAMPLES_MAX, "what is written can be read again");

struct undo {
    uint32_t ref, file, local, stretch, batch;
    int64_t jt;
    double jv, ev;
    uint8_t estate;
};

struct row {
    uint32_t ref, first, n;
};

/* A batch between push and done. */
struct pending {
    struct tsdb *db;
    struct tsdb_batch *b;
    tsdb_done *done;
    struct waiter *waiter; /* instead of done */
    uint32_t batch;
    struct row *rows, *exemplars;
    uint32_t nrows, rows_cap, nexemplars, exemplars_cap;
};

/* One attempt at encoding a batch. */
struct attempt {
    struct tsdb *db;
    struct tsdb_batch *b;
    struct pending *p;
    int64_t oldest, newest; /* acceptable times */
    uint32_t nundo;
};

static struct pending *pending_new(struct tsdb *db, struct tsdb_batch *b, tsdb_done *done, struct waiter *waiter)
{
    struct pending *p = x_alloc(sizeof *p);

    *p = (struct pending){.db = db, .b = b, .done = done, .waiter = waiter, .rows_cap = b->nseries};
    p->rows = x_alloc(sizeof *p->rows * b->nseries);
    return p;
}

static void pending_free(struct pending *p)
{
    free(p->rows);
    free(p->exemplars);
    free(p);
}

static void add_row(struct row **list, uint32_t *n, uint32_t *cap, struct row row)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        *list = x_realloc(*list, sizeof **list * *cap);
    }
    (*list)[(*n)++] = row;
}

/* --- verdicts ----------------------------------------------------------------------------------- */

const char *tsdb_verdict_text(enum tsdb_verdict v)
{
    static const char *const texts[TSDB_VERDICTS] = {
        [TSDB_OK] = "ok",
        [TSDB_SAME] = "same sample again",
        [TSDB_DUPLICATE] = "duplicate sample for timestamp",
        [TSDB_TOO_OLD] = "too old sample",
        [TSDB_FUTURE] = "out of bounds",
        [TSDB_BAD_LABELS] = "invalid labels",
        [TSDB_SERIES_LIMIT] = "too many series",
        [TSDB_BAD_HISTOGRAM] = "invalid histogram",
    };
    return v < TSDB_VERDICTS ? texts[v] : "";
}

static bool refuses(enum tsdb_verdict v)
{
    return v != TSDB_OK && v != TSDB_SAME;
}

/* The labels of series i as text for a sentence, as far as they can be had. */
static void print_series(struct attempt *at, uint32_t i, struct buf *out)
{
    struct labels ls = {0};

    if (at->b->labels(at->b, i, &at->db->scratch, &ls, NULL) == 0)
        labels_print(out, &ls);
    if (out->n > 512)
        out->n = 512;
}

/* Notes the first refusal of the batch with a sentence. sample: HEAD_NO_REF when the series itself is refused. */
static void refuse(struct attempt *at, uint32_t i, uint32_t sample, enum tsdb_verdict verdict, const struct err *why)
{
    struct tsdb_batch *b = at->b;
    struct buf name = {0};

    if (b->bad_verdict != TSDB_OK)
        return;
    b->bad_verdict = verdict;
    b->bad_series = i;
    b->bad_sample = sample == HEAD_NO_REF ? b->series[i].first : sample;
    if (verdict != TSDB_BAD_LABELS)
        print_series(at, i, &name);
    if (verdict == TSDB_BAD_HISTOGRAM)
        err_set(&b->bad, ERR_INVALID, "%s: %s: series %.*s, timestamp %lld", tsdb_verdict_text(verdict), why->text,
                (int)name.n, name.p ? name.p : "", (long long)b->t[sample]);
    else if (verdict == TSDB_SERIES_LIMIT)
        err_set(&b->bad, ERR_INVALID, "%s: %s, series %.*s", tsdb_verdict_text(verdict), why->text, (int)name.n, name.p ? name.p : "");
    else if (why && why->text[0])
        err_set(&b->bad, ERR_INVALID, "%s: %s", tsdb_verdict_text(verdict), why->text);
    else if (sample != HEAD_NO_REF && b->h && b->h[sample])
        err_set(&b->bad, verdict == TSDB_DUPLICATE ? ERR_EXISTS : ERR_INVALID, "%s: series %.*s, timestamp %lld, a histogram",
                tsdb_verdict_text(verdict), (int)name.n, name.p ? name.p : "", (long long)b->t[sample]);
    else if (sample != HEAD_NO_REF)
        err_set(&b->bad, verdict == TSDB_DUPLICATE ? ERR_EXISTS : ERR_INVALID,
                "%s: series %.*s, timestamp %lld, value %.17g", tsdb_verdict_text(verdict), (int)name.n,
                name.p ? name.p : "", (long long)b->t[sample], b->v[sample]);
    else
        err_set(&b->bad, ERR_INVALID, "%s: series %.*s", tsdb_verdict_text(verdict), (int)name.n, name.p ? name.p : "");
    buf_release(&name);
}

/* A sample that is not newer than all before it. */
static enum tsdb_verdict check_late(struct attempt *at, const struct series *s, int64_t t, double v)
{
    struct head *h = &at->db->head;
    enum head_found found;

    if (t < at->oldest || t == HEAD_NO_TIME)
        return TSDB_TOO_OLD;
    if (t == s->jt)
        return f64_bits(v) == f64_bits(s->jv) ? TSDB_SAME : TSDB_DUPLICATE;
    pthread_mutex_lock(&h->apply_mu);
    found = head_lookup(s, atomic_load_explicit(&h->dropped, memory_order_relaxed), t, v);
    pthread_mutex_unlock(&h->apply_mu);
    return found == HEAD_ABSENT ? TSDB_OK : found == HEAD_EQUAL ? TSDB_SAME : TSDB_DUPLICATE;
}

static inline enum tsdb_verdict check(struct attempt *at, const struct series *s, int64_t t, double v)
{
    if (__builtin_expect(t <= s->jt, 0))
        return check_late(at, s, t, v);
    return t > at->newest ? TSDB_FUTURE : t < at->oldest ? TSDB_TOO_OLD : TSDB_OK;
}

/* --- series ------------------------------------------------------------------------------------- */

static int check_labels(const struct labels *ls, struct err *e)
{
    size_t bytes = 0;

    if (ls->n == 0)
        return err_set(e, ERR_INVALID, "a series without labels");
    if (ls->n > ENTRY_LABELS_MAX)
        return err_set(e, ERR_INVALID, "%u labels, at most %d", ls->n, ENTRY_LABELS_MAX);
    for (uint32_t i = 0; i < ls->n; i++) {
        struct str name = ls->v[i].name, value = ls->v[i].value;
        bytes += name.n + value.n;
        if (name.n == 0 || value.n == 0)
            return err_set(e, ERR_INVALID, "an empty label name or value");
        if (i && str_cmp(ls->v[i - 1].name, name) >= 0)
            return err_set(e, ERR_INVALID, "label \"%.*s\" is out of order or stands twice",
                           (int)MIN(name.n, (size_t)200), name.p);
        if (!utf8_valid(name) || !utf8_valid(value))
            return err_set(e, ERR_INVALID, "label \"%.*s\" is not valid UTF-8", (int)MIN(name.n, (size_t)200), name.p);
    }
    if (bytes > LABELS_BYTES_MAX)
        return err_set(e, ERR_INVALID, "labels of %zu bytes, at most %d", bytes, LABELS_BYTES_MAX);
    return 0;
}

uint32_t tsdb_series_make(struct tsdb *db, struct hash128 id, const struct labels *ls)
{
    struct head *h = &db->head;
    uint32_t pairs[ENTRY_LABELS_MAX], ref;

    pthread_rwlock_wrlock(&h->index_lock);
    for (uint32_t i = 0; i < ls->n; i++)
        pairs[i] = pair_intern(&h->symbols, name_intern(&h->symbols, ls->v[i].name), ls->v[i].value);
    ref = head_add(h, id, pairs, ls->n);
    pthread_rwlock_unlock(&h->index_lock);
    return ref;
}

/* No room: why says which limit is met. */
static bool room_for_series(const struct tsdb *db, struct err *why)
{
    const struct head *h = &db->head;
    uint64_t max = db->opts.series_max, bytes_max = db->opts.head_bytes_max, bytes = h->index_bytes + h->open_bytes + h->frozen_bytes;

    if (max && h->nlive >= max)
        err_set(why, ERR_LIMIT, "%llu are active (series.max)", (unsigned long long)h->nlive);
    else if (bytes_max && bytes >= bytes_max)
        err_set(why, ERR_LIMIT, "they take %llu bytes of memory (series.max-bytes)", (unsigned long long)bytes);
    else
        return true;
    return false;
}

/* A key we have not met: the series it means, made if there is none. TSDB_OK or why not. */
static enum tsdb_verdict meet(struct attempt *at, uint32_t i, uint32_t *ref)
{
    struct head *h = &at->db->head;
    struct tsdb_batch *b = at->b;
    struct hash128 key = b->series[i].key, id;
    struct labels ls = {0};
    struct err why = {0};

    *ref = head_find(h, key);
    if (*ref == HEAD_NO_REF)
        *ref = head_find_alias(h, key);
    if (*ref != HEAD_NO_REF)
        return TSDB_OK;
    arena_reset(&at->db->scratch);
    if (b->labels(b, i, &at->db->scratch, &ls, &why) < 0 || check_labels(&ls, &why) < 0) {
        refuse(at, i, HEAD_NO_REF, TSDB_BAD_LABELS, &why);
        return TSDB_BAD_LABELS;
    }
    id = labels_hash(&ls);
    *ref = head_find(h, id);
    if (*ref == HEAD_NO_REF) {
        if (!room_for_series(at->db, &why)) {
            refuse(at, i, HEAD_NO_REF, TSDB_SERIES_LIMIT, &why);
            return TSDB_SERIES_LIMIT;
        }
        *ref = tsdb_series_make(at->db, id, &ls);
        b->series_added++;
    }
    if (!hash128_eq(id, key))
        head_add_alias(h, key, *ref);
    return TSDB_OK;
}

/* Is any sample of the series acceptable by its time, or has it exemplars? If not, it need not be made. */
static bool worth_meeting(struct attempt *at, const struct tsdb_in *in)
{
    for (uint32_t k = in->first; k < in->first + in->n; k++)
        if (at->b->t[k] >= at->oldest && at->b->t[k] <= at->newest && at->b->t[k] != HEAD_NO_TIME)
            return true;
    return in->exemplar_n != 0;
}

/* --- encoding ----------------------------------------------------------------------------------- */

static void note_undo(struct attempt *at, uint32_t ref, const struct series *s)
{
    struct tsdb *db = at->db;

    if (at->nundo == db->undo_cap) {
        db->undo_cap = db->undo_cap ? db->undo_cap * 2 : 1024;
        db->undo = x_realloc(db->undo, sizeof *db->undo * db->undo_cap);
    }
    db->undo[at->nundo++] = (struct undo){ref, s->file, s->local, s->stretch, s->batch, s->jt, s->jv, s->ev, s->estate};
}

/* The series may be written to: it is defined in this file, and what it was is noted. */
static void open_series(struct attempt *at, uint32_t ref, struct series *s)
{
    struct entry_writer *w = &at->db->writer;

    note_undo(at, ref, s);
    s->batch = at->db->batch;
    if (s->file == w->gen && s->stretch == w->stretch)
        return;
    if (s->file != w->gen)
        s->local = entry_define(w, s->pairs, s->npairs);
    s->file = w->gen;
    s->stretch = w->stretch;
    s->ev = 0;
    s->estate = 0;
}

/* Samples first..first+n-1 of the series, all accepted, none refused between. */
static void encode_run(struct attempt *at, uint32_t ref, struct series *s, uint32_t first, uint32_t n)
{
    struct tsdb_batch *b = at->b;
    struct entry_writer *w = &at->db->writer;

    entry_row(w, s->local, b->t + first, n);
    for (uint32_t k = first; k < first + n; k++) {
        if (__builtin_expect(b->h && b->h[k], 0))
            entry_hist(w, b->h[k]);
        else
            entry_value(w, &s->ev, &s->estate, b->v[k]);
        if (b->st)
            entry_st(w, b->st[k]);
    }
    add_row(&at->p->rows, &at->p->nrows, &at->p->rows_cap, (struct row){ref, first, n});
}

/* Sample k of series i is a histogram: may it be stored? From here on its mark stands in v. */
static enum tsdb_verdict check_hist(struct attempt *at, const struct series *s, uint32_t i, uint32_t k)
{
    struct tsdb_batch *b = at->b;
    enum tsdb_verdict verdict;
    struct err why = {0};

    if (hist_check(b->h[k], &why) < 0) {
        refuse(at, i, k, TSDB_BAD_HISTOGRAM, &why);
        return TSDB_BAD_HISTOGRAM;
    }
    b->v[k] = hist_mark(b->h[k]);
    verdict = check(at, s, b->t[k], b->v[k]);
    b->histograms += !refuses(verdict);
    return verdict;
}

static void encode_samples(struct attempt *at, uint32_t i, uint32_t ref, struct series *s)
{
    struct tsdb_batch *b = at->b;
    const struct tsdb_in *in = &b->series[i];
    uint32_t run = 0, end = in->first + in->n;
    bool opened = false;

    for (uint32_t k = in->first; k < end; k++) {
        enum tsdb_verdict verdict = __builtin_expect(b->h && b->h[k], 0) ? check_hist(at, s, i, k) : check(at, s, b->t[k], b->v[k]);
        b->verdicts[verdict]++;
        if (verdict == TSDB_OK) {
            if (!opened)
                open_series(at, ref, s);
            opened = true;
            if (b->t[k] > s->jt) {
                s->jt = b->t[k];
                s->jv = b->v[k];
            }
            run++;
            continue;
        }
        if (refuses(verdict))
            refuse(at, i, k, verdict, NULL);
        if (run)
            encode_run(at, ref, s, k - run, run);
        run = 0;
    }
    if (run)
        encode_run(at, ref, s, end - run, run);
}

static void encode_exemplars(struct attempt *at, uint32_t i, uint32_t ref, struct series *s)
{
    struct tsdb_batch *b = at->b;
    const struct tsdb_in *in = &b->series[i];

    for (uint32_t k = in->exemplar_first; k < in->exemplar_first + in->exemplar_n; k++) {
        if (!exemplars_accepts(at->db->exemplars, s->id, &b->exemplars[k]))
            continue;
        open_series(at, ref, s);
        entry_exemplar(&at->db->writer, s->local, &b->exemplars[k]);
        add_row(&at->p->exemplars, &at->p->nexemplars, &at->p->exemplars_cap, (struct row){ref, k, 1});
        b->exemplars_stored++;
    }
}

static void encode_series(struct attempt *at, uint32_t i, uint32_t guess)
{
    struct tsdb_batch *b = at->b;
    const struct tsdb_in *in = &b->series[i];
    struct head *h = &at->db->head;
    struct series *s;
    uint32_t ref = guess;

    if (ref == HEAD_NO_REF || !hash128_eq(head_series(h, ref)->id, in->key)) {
        enum tsdb_verdict verdict = TSDB_OK;
        if (!worth_meeting(at, in)) {
            verdict = in->n && b->t[in->first] > at->newest ? TSDB_FUTURE : TSDB_TOO_OLD;
            if (in->n)
                refuse(at, i, in->first, verdict, NULL);
        } else {
            verdict = meet(at, i, &ref);
        }
        if (verdict != TSDB_OK) {
            b->verdicts[verdict] += in->n;
            return;
        }
    }
    s = head_series(h, ref);
    encode_samples(at, i, ref, s);
    if (in->exemplar_n)
        encode_exemplars(at, i, ref, s);
}

static void encode_batch(struct attempt *at)
{
    struct tsdb_batch *b = at->b;
    struct head *h = &at->db->head;
    uint32_t guess[PREFETCH], samples = 0;

    for (uint32_t i = 0; i < b->nseries; i++)
        samples += b->series[i].n;
    entry_reserve(&at->db->writer, samples);
    for (uint32_t i = 0; i < b->nseries; i += PREFETCH) {
        uint32_t n = MIN((uint32_t)PREFETCH, b->nseries - i);
        for (uint32_t k = 0; k < MIN((uint32_t)PREFETCH, b->nseries - i - n); k++)
            head_prefetch_key(h, b->series[i + n + k].key);
        for (uint32_t k = 0; k < n; k++) {
            guess[k] = head_guess(h, b->series[i + k].key);
            if (guess[k] != HEAD_NO_REF)
                __builtin_prefetch(head_series(h, guess[k]), 1);
        }
        for (uint32_t k = 0; k < n; k++)
            encode_series(at, i + k, guess[k]);
    }
    for (uint32_t i = 0; i < b->nmetadata; i++)
        if (metadata_news(at->db->metadata, &b->metadata[i]))
            entry_metadata(&at->db->writer, &b->metadata[i]);
}

/* Line 1 of the series as it was before the attempt. */
static void undo(struct attempt *at)
{
    while (at->nundo > 0) {
        const struct undo *u = &at->db->undo[--at->nundo];
        struct series *s = head_series(&at->db->head, u->ref);
        s->file = u->file;
        s->local = u->local;
        s->stretch = u->stretch;
        s->batch = u->batch;
        s->jt = u->jt;
        s->jv = u->jv;
        s->ev = u->ev;
        s->estate = u->estate;
    }
}

static void begin(struct attempt *at, uint32_t file)
{
    struct tsdb_batch *b = at->b;

    memset(b->verdicts, 0, sizeof b->verdicts);
    b->exemplars_stored = b->histograms = 0;
    b->bad_series = b->bad_sample = 0;
    b->bad_verdict = TSDB_OK;
    b->bad.code = 0;
    b->bad.text[0] = '\0';
    at->nundo = 0;
    at->p->nrows = at->p->nexemplars = 0;
    entry_begin(&at->db->writer, file);
}

/* --- committed ---------------------------------------------------------------------------------- */

static void apply(struct pending *p, uint64_t seq)
{
    enum { AHEAD = 24, NEAR = 12, TAIL = 5 };
    struct head *h = &p->db->head;
    struct tsdb_batch *b = p->b;
    uint32_t minute = (uint32_t)(clock_wall_ms() / 60000);

    /* Before seq_applied tells a flush that everything of this entry is here. */
    for (uint32_t i = 0; i < p->nexemplars; i++)
        exemplars_add(p->db->exemplars, head_series(h, p->exemplars[i].ref)->id, &b->exemplars[p->exemplars[i].first]);
    for (uint32_t i = 0; i < b->nmetadata; i++)
        metadata_put(p->db->metadata, &b->metadata[i]);
    pthread_mutex_lock(&h->apply_mu);
    for (uint32_t i = 0; i < p->nrows; i++) {
        struct series *s = head_series(h, p->rows[i].ref);
        if (i + AHEAD < p->nrows)
            __builtin_prefetch((char *)head_series(h, p->rows[i + AHEAD].ref) + 64, 1);
        if (i + NEAR < p->nrows)
            head_prefetch_chunk(head_series(h, p->rows[i + NEAR].ref));
        if (i + TAIL < p->nrows)
            head_prefetch_tail(head_series(h, p->rows[i + TAIL].ref));
        for (uint32_t k = p->rows[i].first; k < p->rows[i].first + p->rows[i].n; k++)
            if (__builtin_expect(b->h && b->h[k], 0))
                appender_append_hist(&h->appender, s, b->t[k], b->h[k], b->v[k], b->st ? b->st[k] : 0);
            else
                head_append(h, s, b->t[k], b->v[k], b->st ? b->st[k] : 0);
        s->minute = minute;
    }
    p->db->batches_applied = p->batch;
    p->db->seq_applied = seq;
    pthread_mutex_unlock(&h->apply_mu);
}

/* Nothing of the batch is on disk: its series are as they are seen. */
static void forget(struct pending *p)
{
    struct head *h = &p->db->head;

    pthread_mutex_lock(&h->writer_mu);
    for (uint32_t i = 0; i < p->nrows + p->nexemplars; i++) {
        struct series *s = head_series(h, i < p->nrows ? p->rows[i].ref : p->exemplars[i - p->nrows].ref);
        s->file = 0;
        if (!series_last(s, &s->jt, &s->jv))
            s->jt = HEAD_NO_TIME;
    }
    pthread_mutex_lock(&h->apply_mu);
    p->db->batches_applied = p->batch;
    pthread_mutex_unlock(&h->apply_mu);
    pthread_mutex_unlock(&h->writer_mu);
}

static void count(struct tsdb *db, const struct tsdb_batch *b)
{
    for (unsigned i = 0; i < TSDB_VERDICTS; i++)
        if (b->verdicts[i])
            atomic_fetch_add_explicit(&db->samples[i], b->verdicts[i], memory_order_relaxed);
    atomic_fetch_add_explicit(&db->batches, 1, memory_order_relaxed);
    if (b->exemplars_stored)
        atomic_fetch_add_explicit(&db->exemplar_count, b->exemplars_stored, memory_order_relaxed);
}

static void committed(void *arg, int code, uint64_t seq, const struct err *e)
{
    struct pending *p = arg;
    struct tsdb_batch *b = p->b;
    tsdb_done *done = p->done;
    struct waiter *waiter = p->waiter;

    if (code == 0) {
        apply(p, seq);
        count(p->db, b);
    } else {
        forget(p);
    }
    pending_free(p);
    if (waiter)
        waiter_wake(waiter, code, e);
    else
        done(b, code, e);
}

/* --- in ------------------------------------------------------------------------------------------ */

/* 0: pushed or nothing to push (*later tells). ERR_AGAIN: the journal has gone on to another file. */
static int try_once(struct attempt *at, bool *later, struct err *e)
{
    struct tsdb *db = at->db;
    struct journal *j = store_journal(db->store);
    uint32_t file = journal_file(j);
    struct buf bytes = {0};
    int rc;

    begin(at, file);
    encode_batch(at);
    if (at->b->atomic && at->b->bad_verdict != TSDB_OK) {
        undo(at);
        entry_finish(&db->writer, &bytes);
        entry_undo(&db->writer);
        buf_release(&bytes);
        if (e)
            *e = at->b->bad;
        return at->b->bad.code;
    }
    if (entry_empty(&db->writer))
        return 0;
    entry_finish(&db->writer, &bytes);
    at->p->batch = db->batch;
    rc = journal_push(j, file, TSDB_TAG, &bytes, committed, at->p, e);
    if (rc < 0) {
        undo(at);
        entry_undo(&db->writer);
        buf_release(&bytes);
        return rc;
    }
    *later = true;
    return 0;
}

static int ingest(struct tsdb *db, struct tsdb_batch *b, tsdb_done *done, struct waiter *waiter, bool *later,
                  struct err *e)
{
    struct attempt at = {.db = db, .b = b};
    int64_t now = clock_wall_ms(), late = store_opts_of(db->store)->out_of_order_ms;
    uint64_t samples = 0;
    int rc;

    *later = false;
    b->series_added = 0;
    for (uint32_t i = 0; i < b->nseries; i++)
        samples += b->series[i].n;
    if (samples > BATCH_SAMPLES_MAX)
        return err_set(e, ERR_INVALID, "%llu samples at once, at most %d", (unsigned long long)samples,
                       BATCH_SAMPLES_MAX);
    rc = store_writable(db->store, e);
    if (rc < 0)
        return rc;
    at.p = pending_new(db, b, done, waiter);
    at.newest = now + db->opts.future_ms_max;
    at.oldest = late > 0 && late < now ? now - late : INT64_MIN + 1;
    pthread_mutex_lock(&db->head.writer_mu);
    db->batch++;
    do
        rc = try_once(&at, later, e);
    while (rc == ERR_AGAIN);
    pthread_mutex_unlock(&db->head.writer_mu);
    if (!*later) {
        pending_free(at.p);
        count(db, b);
    }
    return rc;
}

int tsdb_ingest(struct tsdb *db, struct tsdb_batch *b, tsdb_done *done, bool *later, struct err *e)
{
    return ingest(db, b, done, NULL, later, e);
}

int tsdb_ingest_wait(struct tsdb *db, struct tsdb_batch *b, struct err *e)
{
    struct waiter w;
    bool later;
    int rc;

    waiter_init(&w, e);
    rc = ingest(db, b, NULL, &w, &later, e);
    if (later)
        rc = waiter_wait(&w);
    waiter_release(&w);
    return rc;
}
