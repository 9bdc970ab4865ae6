/*
 * ingest.c - a batch on its way in.
 *
 *     check ─▶ streams ─▶ piece (the one copy of the lines) ─▶ pack ─▶ writer_mu: numbers, push ─▶ done, on the journal thread:
 *     any thread, no lock held over work                                                        head, marks, tails, the answer
 *
 * (1) Streams get their number in the journal file, and the entry its place in it, under writer_mu: a definition stands before
 * every use. When a push fails, what it would have defined is undefined again. (2) Nothing of a batch is visible before the
 * commit has returned, and all of it is when done() runs. (3) A row is left out as the same only if the equal one is committed:
 * what is still under way may fail. So equal rows may both be in the journal, and the head sorts it out. (4) When a commit fails
 * the journal goes on in another file, where everything is defined anew.
 */
#include "logstore/db.h"

#include <assert.h>
#include <stdlib.h>

enum { BATCH_ROWS_MAX = ENTRY_ROWS_MAX, RECENT = 1024, SCRATCH_MAX = 8, NO_SET = -1, NO_STREAM = -1 };
#define BATCH_BYTES_MAX ((size_t)192 << 20)

static const struct label truncated = {{"log_truncated", 13}, {"true", 4}};

/* A set of metadata that rows of the batch share. Labels are borrowed from the batch. */
struct meta_set {
    const struct label *v;
    uint32_t n;
    uint32_t bytes;
    uint64_t hash;
    const struct label *stored; /* its copy in the piece */
};

/* What is needed for the time of a call, and kept for the next. */
struct ingest_scratch {
    struct ingest_scratch *next;
    struct arena arena;
    struct entry_memory {
        uint32_t *streams, *rows; /* by stream of the batch; of accepted rows: index in the batch */
        int32_t *sets;            /* beside rows */
    } m;
    struct meta_set *sets;
    uint32_t nsets, sets_cap;
    int32_t recent[RECENT];
    struct label *meta; /* one record's, being sorted */
    uint32_t meta_cap;
    struct log_entry_packer *packer;
    struct buf rest; /* of the entry: all behind the runs */
};

/* Who sits in logstore_ingest_wait. */
struct waiter {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
    int code;
    struct err *e;
};

/* Rows of one stream in the piece. */
struct run {
    struct log_stream *stream; /* a reference */
    uint32_t n;
};

/* A batch between push and done. */
struct pending {
    struct logstore *ls;
    struct log_batch *b;
    log_done *done;
    struct waiter *waiter; /* instead of done */
    struct log_piece *piece;
    uint32_t nruns;
    struct run runs[];
};

struct attempt {
    struct logstore *ls;
    struct log_batch *b;
    struct ingest_scratch *s;
    struct log_check check;
    struct pending *p;
    uint32_t nrows; /* accepted */
    size_t line_bytes;
    int64_t mint_ns, maxt_ns; /* of what is pushed */
};

/* --- scratch ------------------------------------------------------------------------------------------ */

static struct ingest_scratch *scratch_get(struct logstore *ls)
{
    struct ingest_scratch *s;

    pthread_mutex_lock(&ls->scratch_mu);
    if ((s = ls->scratch)) {
        ls->scratch = s->next;
        ls->nscratch--;
    }
    pthread_mutex_unlock(&ls->scratch_mu);
    if (!s) {
        s = x_zalloc(sizeof *s);
        s->packer = log_entry_packer_new();
    }
    return s;
}

static void scratch_free(struct ingest_scratch *s)
{
    arena_release(&s->arena);
    free(s->sets);
    free(s->meta);
    log_entry_packer_free(s->packer);
    buf_release(&s->rest);
    free(s);
}

static void scratch_put(struct logstore *ls, struct ingest_scratch *s)
{
    arena_reset(&s->arena);
    buf_reset(&s->rest);
    pthread_mutex_lock(&ls->scratch_mu);
    if (ls->nscratch < SCRATCH_MAX) {
        s->next = ls->scratch;
        ls->scratch = s;
        ls->nscratch++;
        s = NULL;
    }
    pthread_mutex_unlock(&ls->scratch_mu);
    if (s)
        scratch_free(s);
}

void log_ingest_release(struct logstore *ls)
{
    for (struct ingest_scratch *s = ls->scratch, *next; s; s = next) {
        next = s->next;
        scratch_free(s);
    }
    ls->scratch = NULL;
}

/* --- metadata ----------------------------------------------------------------------------------------- */

uint64_t log_meta_hash(const struct label *meta, uint32_t n)
{
    uint64_t h = n;

    for (uint32_t i = 0; i < n; i++) {
        h = (h ^ hash64(meta[i].name.p, meta[i].name.n)) * UINT64_C(0x9e3779b97f4a7c15);
        h = ((h ^ h >> 32) + hash64(meta[i].value.p, meta[i].value.n)) * UINT64_C(0xd6e8feb86659fd93);
    }
    return h ^ h >> 31;
}

/* The record's metadata as it is stored, in s->meta: by name, of equal names the first. An empty value is one. */
static uint32_t sort_meta(struct ingest_scratch *s, const struct label *in, uint32_t n, bool cut)
{
    uint32_t k = 0;

    if (n + 1 > s->meta_cap) {
        s->meta_cap = MAX(n + 1, s->meta_cap * 2);
        s->meta = x_realloc(s->meta, s->meta_cap * sizeof *s->meta);
    }
    for (uint32_t i = 0; i < n + cut; i++) {
        struct label l = cut ? i ? in[i - 1] : truncated : in[i];
        uint32_t at = k;
        if (l.name.n == 0)
            continue;
        while (at > 0 && str_cmp(s->meta[at - 1].name, l.name) > 0)
            at--;
        if (at > 0 && str_eq(s->meta[at - 1].name, l.name))
            continue;
        memmove(s->meta + at + 1, s->meta + at, (k - at) * sizeof *s->meta);
        s->meta[at] = l;
        k++;
    }
    return k;
}

static bool is_set(const struct meta_set *x, uint64_t hash, const struct label *v, uint32_t n)
{
    if (x->hash != hash || x->n != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!str_eq(x->v[i].name, v[i].name) || !str_eq(x->v[i].value, v[i].value))
            return false;
    return true;
}

/* The number of the set that is in s->meta: an earlier one where it is the same and was met lately. */
static int32_t share_set(struct ingest_scratch *s, uint32_t n, size_t bytes)
{
    uint64_t hash = log_meta_hash(s->meta, n);
    int32_t *recent = &s->recent[hash % RECENT];
    struct label *copy;

    if (n == 0)
        return NO_SET;
    if (*recent != NO_SET && is_set(&s->sets[*recent], hash, s->meta, n))
        return *recent;
    if (s->nsets == s->sets_cap) {
        s->sets_cap = s->sets_cap ? s->sets_cap * 2 : 64;
        s->sets = x_realloc(s->sets, s->sets_cap * sizeof *s->sets);
    }
    copy = arena_alloc(&s->arena, n * sizeof *copy);
    memcpy(copy, s->meta, n * sizeof *copy);
    s->sets[s->nsets] = (struct meta_set){.v = copy, .n = n, .bytes = (uint32_t)bytes, .hash = hash};
    *recent = (int32_t)s->nsets;
    return (int32_t)s->nsets++;
}

/* --- checking ------------------------------------------------------------------------------------------ */

static struct err *room_for_sentence(struct log_batch *b)
{
    return b->nbad < ARRAY_LEN(b->bad) ? &b->bad[b->nbad] : NULL;
}

static void refuse(struct log_batch *b, enum log_verdict v, uint32_t rows)
{
    b->verdicts[v] += rows;
    if (b->nbad < ARRAY_LEN(b->bad))
        b->bad_verdicts[b->nbad++] = v;
}

/* Accepts or refuses row k of the batch; an accepted one is noted in the scratch. */
static void check_row(struct attempt *at, const struct log_in *in, uint32_t k)
{
    const struct log_in_row *r = &at->b->rows[k];
    const struct logstore_opts *o = &at->ls->opts;
    struct ingest_scratch *s = at->s;
    bool cut = o->line_truncate && o->line_bytes_max && r->line.n > o->line_bytes_max;
    uint32_t n = r->meta_n || cut ? sort_meta(s, at->b->meta + r->meta_first, r->meta_n, cut) : 0;
    enum log_verdict v;
    size_t bytes = 0;

    for (uint32_t i = 0; i < n; i++)
        bytes += s->meta[i].name.n + s->meta[i].value.n;
    v = log_check_row(&at->check, &in->labels, r->t_ns, r->line.n, n, bytes, room_for_sentence(at->b));
    if (v != LOG_OK) {
        refuse(at->b, v, 1);
        return;
    }
    s->m.rows[at->nrows] = k;
    s->m.sets[at->nrows++] = n ? share_set(s, n, bytes) : NO_SET;
    at->line_bytes += cut ? o->line_bytes_max : r->line.n;
}

/* The stream of the batch becomes a run of the pending rows, if any of its rows is good. */
static void check_stream(struct attempt *at, const struct log_in *in)
{
    struct log_batch *b = at->b;
    uint32_t first = at->nrows;
    size_t bytes_before = at->line_bytes;
    enum log_verdict v = log_check_labels(&at->ls->opts, &in->labels, room_for_sentence(b));
    struct log_stream *stream;

    assert(in->first <= b->nrows && in->n <= b->nrows - in->first);
    if (in->n == 0)
        return;
    if (v != LOG_OK) {
        refuse(b, v, in->n);
        return;
    }
    for (uint32_t k = in->first; k < in->first + in->n; k++)
        check_row(at, in, k);
    if (at->nrows == first)
        return;
    stream = log_streams_get(&at->ls->head.streams, labels_hash(&in->labels), &in->labels, at->ls->opts.streams_max);
    if (!stream) {
        if (room_for_sentence(b))
            log_refuse_stream(&in->labels, room_for_sentence(b));
        refuse(b, LOG_STREAM_LIMIT, at->nrows - first);
        at->nrows = first;
        at->line_bytes = bytes_before;
        return;
    }
    b->verdicts[LOG_OK] += at->nrows - first;
    at->p->runs[at->p->nruns++] = (struct run){stream, at->nrows - first};
}

static void check_batch(struct attempt *at)
{
    struct log_batch *b = at->b;
    struct ingest_scratch *s = at->s;

    memset(b->verdicts, 0, sizeof b->verdicts);
    b->bytes_ok = 0;
    b->nbad = 0;
    s->m.rows = arena_alloc(&s->arena, b->nrows * sizeof *s->m.rows + 1);
    s->m.sets = arena_alloc(&s->arena, b->nrows * sizeof *s->m.sets + 1);
    s->nsets = 0;
    for (unsigned i = 0; i < RECENT; i++)
        s->recent[i] = NO_SET;
    for (uint32_t i = 0; i < b->nstreams; i++)
        check_stream(at, &b->streams[i]);
}

/* --- copying ------------------------------------------------------------------------------------------- */

static struct str copy_text(char **at, struct str s)
{
    struct str copy = str_n(*at, s.n);

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static void copy_sets(struct ingest_scratch *s, struct label *labels, char *at)
{
    for (uint32_t i = 0; i < s->nsets; i++) {
        struct meta_set *x = &s->sets[i];
        x->stored = labels;
        for (uint32_t k = 0; k < x->n; k++) {
            labels->name = copy_text(&at, x->v[k].name);
            labels++->value = copy_text(&at, x->v[k].value);
        }
    }
}

/* Rows, lines and metadata of what was accepted, in one place. *lines: where the lines are. */
static void build_piece(struct attempt *at, struct str *lines)
{
    const struct logstore_opts *o = &at->ls->opts;
    struct ingest_scratch *s = at->s;
    struct label *labels;
    size_t nlabels = 0, meta_bytes = 0;
    struct log_piece *piece;
    uint32_t k = 0;
    char *to;

    for (uint32_t i = 0; i < s->nsets; i++) {
        nlabels += s->sets[i].n;
        meta_bytes += s->sets[i].bytes;
    }
    piece = log_head_piece(&at->ls->head, at->nrows, nlabels, at->line_bytes + meta_bytes, &labels, &to);
    *lines = str_n(to, at->line_bytes);
    copy_sets(s, labels, to + at->line_bytes);
    for (uint32_t i = 0; i < at->p->nruns; i++)
        for (uint32_t end = k + at->p->runs[i].n; k < end; k++) {
            const struct log_in_row *r = &at->b->rows[s->m.rows[k]];
            const struct meta_set *x = s->m.sets[k] == NO_SET ? NULL : &s->sets[s->m.sets[k]];
            struct str line = copy_text(&to, o->line_truncate && o->line_bytes_max ? str_head(r->line, o->line_bytes_max) : r->line);
            piece->rows[k] = (struct log_head_row){.t_ns = r->t_ns, .stream = at->p->runs[i].stream, .line = line.p, .line_bytes = (uint32_t)line.n};
            if (x) {
                piece->rows[k].meta = x->stored;
                piece->rows[k].nmeta = (uint16_t)x->n;
            }
            piece->rows[k].hash =
                log_head_row_hash(at->p->runs[i].stream, r->t_ns, hash64(line.p, line.n), x ? x->hash : 0);
            at->b->bytes_ok += line.n + (x ? x->bytes : 0);
            at->mint_ns = k ? MIN(at->mint_ns, r->t_ns) : r->t_ns;
            at->maxt_ns = k ? MAX(at->maxt_ns, r->t_ns) : r->t_ns;
        }
    at->p->piece = piece;
}

/* --- committed ----------------------------------------------------------------------------------------- */

static void pending_free(struct pending *p)
{
    for (uint32_t i = 0; i < p->nruns; i++)
        log_stream_unref(p->runs[i].stream);
    free(p);
}

static void count(struct logstore *ls, const struct log_batch *b)
{
    for (unsigned i = 0; i < LOG_VERDICTS; i++)
        if (b->verdicts[i])
            atomic_fetch_add_explicit(&ls->verdicts[i], b->verdicts[i], memory_order_relaxed);
    atomic_fetch_add_explicit(&ls->rows, b->verdicts[LOG_OK], memory_order_relaxed);
    atomic_fetch_add_explicit(&ls->bytes, b->bytes_ok, memory_order_relaxed);
}

static void note_same(struct log_batch *b, uint32_t n, uint64_t bytes)
{
    b->verdicts[LOG_OK] -= n;
    b->verdicts[LOG_SAME] += n;
    b->bytes_ok -= MIN(bytes, b->bytes_ok);
}

static void apply(struct pending *p, uint64_t seq)
{
    bool followed = p->piece && log_tails_any(p->ls->tails);
    struct log_chunk *held = followed ? log_head_hold(p->piece) : NULL;
    struct log_piece *piece = p->piece;
    uint32_t same;
    uint64_t bytes;

    /* Before the head knows the seq: a flush that says it contains it has the marks in the state. */
    log_marks_apply(p->ls->marks, seq, p->b->marks, p->b->nmarks);
    log_head_apply(&p->ls->head, piece, seq, &same, &bytes);
    note_same(p->b, same, bytes);
    if (followed)
        log_tails_feed(p->ls->tails, piece->rows, piece->nrows);
    log_head_let_go(&p->ls->head, held);
}

static void wake(struct waiter *w, int code, const struct err *e)
{
    pthread_mutex_lock(&w->mu);
    w->code = code;
    if (code < 0 && w->e && e)
        *w->e = *e;
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mu);
}

static void committed(void *arg, int code, uint64_t seq, const struct err *e)
{
    struct pending *p = arg;
    struct log_batch *b = p->b;
    log_done *done = p->done;
    struct waiter *waiter = p->waiter;

    if (code == 0) {
        apply(p, seq);
        count(p->ls, b);
    } else {
        log_head_drop_piece(&p->ls->head, p->piece);
    }
    pending_free(p);
    if (waiter)
        wake(waiter, code, e);
    else
        done(b, code, e);
}

/* --- pushing ------------------------------------------------------------------------------------------- */

/* Under writer_mu. */
static void turn_to_file(struct logstore *ls, uint32_t journal_file)
{
    if (ls->file && ls->journal_file == journal_file)
        return;
    ls->journal_file = journal_file;
    ls->file++;
    ls->next_local = 0;
}

/* Under writer_mu. Numbers the streams that the file does not know yet; *ndefs of them, the first number is *first. */
static void encode_head(struct attempt *at, struct buf *out, uint32_t *first, uint32_t *ndefs)
{
    struct logstore *ls = at->ls;
    struct pending *p = at->p;

    *first = ls->next_local;
    for (uint32_t i = 0; i < p->nruns; i++)
        if (p->runs[i].stream->file != ls->file) {
            p->runs[i].stream->file = ls->file;
            p->runs[i].stream->local = ls->next_local++;
        }
    *ndefs = ls->next_local - *first;
    log_entry_head_begin(out, *first, *ndefs);
    for (uint32_t i = 0, next = *first; i < p->nruns && *ndefs; i++)
        if (p->runs[i].stream->local == next) {
            log_entry_head_def(out, &p->runs[i].stream->labels);
            next++;
        }
    log_entry_head_marks(out, at->b->marks, at->b->nmarks);
    log_entry_head_runs(out, p->nruns);
    for (uint32_t i = 0; i < p->nruns; i++)
        log_entry_head_run(out, p->runs[i].stream->local, p->runs[i].n);
    log_entry_head_times(out, at->mint_ns, at->maxt_ns);
}

static void undefine(struct attempt *at, uint32_t first)
{
    for (uint32_t i = 0; i < at->p->nruns; i++)
        if (at->p->runs[i].stream->file == at->ls->file && at->p->runs[i].stream->local >= first)
            at->p->runs[i].stream->file = 0;
    at->ls->next_local = first;
}

static int push_once(struct attempt *at, struct err *e)
{
    struct logstore *ls = at->ls;
    struct journal *j = store_journal(ls->store);
    uint32_t file = journal_file(j), first, ndefs;
    struct buf bytes = {0};
    int rc;

    turn_to_file(ls, file);
    buf_reserve(&bytes, at->s->rest.n + 64 + at->p->nruns * 8);
    encode_head(at, &bytes, &first, &ndefs);
    buf_puts(&bytes, buf_str(&at->s->rest));
    rc = journal_push(j, file, LOGSTORE_TAG, &bytes, committed, at->p, e);
    if (rc < 0) {
        undefine(at, first);
        buf_release(&bytes);
    }
    return rc;
}

static int push(struct attempt *at, struct err *e)
{
    int rc;

    pthread_mutex_lock(&at->ls->writer_mu);
    do
        rc = push_once(at, e);
    while (rc == ERR_AGAIN);
    pthread_mutex_unlock(&at->ls->writer_mu);
    return rc;
}

/* Every row is there already: what is left are marks. */
static void leave_rows_out(struct attempt *at)
{
    log_head_drop_piece(&at->ls->head, at->p->piece);
    at->p->piece = NULL;
    for (uint32_t i = 0; i < at->p->nruns; i++)
        log_stream_unref(at->p->runs[i].stream);
    at->p->nruns = 0;
    at->mint_ns = at->maxt_ns = 0;
}

/* --- in ------------------------------------------------------------------------------------------------- */

static int check_size(struct logstore *ls, const struct log_batch *b, struct err *e)
{
    uint64_t held = atomic_load_explicit(&ls->head.bytes, memory_order_relaxed);
    size_t bytes = 0;

    if (b->nrows > BATCH_ROWS_MAX)
        return err_set(e, ERR_INVALID, "%u records at once, at most %d", b->nrows, BATCH_ROWS_MAX);
    for (uint32_t i = 0; i < b->nrows; i++)
        bytes += b->rows[i].line.n;
    if (bytes > BATCH_BYTES_MAX)
        return err_set(e, ERR_INVALID, "%zu bytes of lines at once, at most %zu", bytes, BATCH_BYTES_MAX);
    for (uint32_t i = 0; i < b->nmarks; i++)
        if (b->marks[i].key.n == 0 || b->marks[i].key.n > LOG_MARK_KEY_MAX || b->marks[i].value.n > LOG_MARK_VALUE_MAX)
            return err_set(e, ERR_INVALID, "a mark of %zu and %zu bytes, at most %d and %d", b->marks[i].key.n, b->marks[i].value.n,
                           LOG_MARK_KEY_MAX, LOG_MARK_VALUE_MAX);
    if (ls->opts.head_bytes_max && held > ls->opts.head_bytes_max) {
        store_flush_soon(ls->store, LOGSTORE_SIGNAL);
        return err_set(e, ERR_BUSY, "unflushed log lines take %llu bytes of memory, at most %llu (logs.head-max)", (unsigned long long)held,
                       (unsigned long long)ls->opts.head_bytes_max);
    }
    return store_writable(ls->store, e);
}

static void set_bounds(struct attempt *at)
{
    int64_t now = clock_wall_ns(), keep = ns_of_ms(store_opts_of(at->ls->store)->retention_ms), past = at->b->any_age ? 0 : at->ls->opts.past_ns_max;

    if (keep > 0 && (past <= 0 || past > keep))
        past = keep;
    at->check = (struct log_check){&at->ls->opts, past > 0 && past < now ? now - past : INT64_MIN, now + at->ls->opts.future_ns_max};
}

/* Pushes what is new. 0 and *later false: there is nothing. */
static int take_in(struct attempt *at, bool *later, struct err *e)
{
    struct str lines = STR("");
    uint32_t same = 0;
    int rc;

    check_batch(at);
    if (at->nrows) {
        build_piece(at, &lines);
        same = log_head_find_same(&at->ls->head, at->p->piece);
        for (uint32_t i = 0; same && i < at->nrows; i++)
            if (at->p->piece->rows[i].state == ROW_DEAD)
                note_same(at->b, 1, at->p->piece->rows[i].line_bytes);
    }
    if (same == at->nrows && at->b->nmarks == 0)
        return 0;
    if (same == at->nrows) {
        leave_rows_out(at);
        lines = STR("");
    }
    log_entry_pack(at->s->packer, at->p->piece, lines, &at->s->rest);
    rc = push(at, e);
    *later = rc == 0;
    return rc;
}

static int ingest(struct logstore *ls, struct log_batch *b, log_done *done, struct waiter *waiter, bool *later, struct err *e)
{
    struct attempt at = {.ls = ls, .b = b};
    int rc = check_size(ls, b, e);

    *later = false;
    if (rc < 0)
        return rc;
    at.s = scratch_get(ls);
    at.p = x_alloc(sizeof *at.p + b->nstreams * sizeof(struct run));
    *at.p = (struct pending){.ls = ls, .b = b, .done = done, .waiter = waiter};
    set_bounds(&at);
    rc = take_in(&at, later, e);
    scratch_put(ls, at.s);
    if (*later)
        return 0;
    log_head_drop_piece(&ls->head, at.p->piece);
    pending_free(at.p);
    if (rc == 0)
        count(ls, b);
    return rc;
}

int logstore_ingest(struct logstore *ls, struct log_batch *b, log_done *done, bool *later, struct err *e)
{
    return ingest(ls, b, done, NULL, later, e);
}

int logstore_ingest_wait(struct logstore *ls, struct log_batch *b, struct err *e)
{
    struct waiter w = {.e = e};
    bool later;
    int rc;

    pthread_mutex_init(&w.mu, NULL);
    pthread_cond_init(&w.cond, NULL);
    rc = ingest(ls, b, NULL, &w, &later, e);
    if (later) {
        pthread_mutex_lock(&w.mu);
        while (!w.done)
            pthread_cond_wait(&w.cond, &w.mu);
        pthread_mutex_unlock(&w.mu);
        rc = w.code;
    }
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.mu);
    return rc;
}
