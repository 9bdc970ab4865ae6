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
#include "logstore/ingest.h"
#include "store/waiter.h"

#include <stdlib.h>

enum { SCRATCH_MAX = 8 };

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
        waiter_wake(waiter, code, e);
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

/* Pushes what is new. 0 and *later false: there is nothing. */
static int take_in(struct attempt *at, bool *later, struct err *e)
{
    struct str lines = STR("");
    uint32_t same = 0;
    int rc;

    if ((rc = ingest_check(at, e)) < 0)
        return rc;
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
    int rc = ingest_check_size(ls, b, e);

    *later = false;
    if (rc < 0)
        return rc;
    at.s = scratch_get(ls);
    at.p = x_alloc(sizeof *at.p + b->nstreams * sizeof(struct run));
    *at.p = (struct pending){.ls = ls, .b = b, .done = done, .waiter = waiter};
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
    struct waiter w;
    bool later;
    int rc;

    waiter_init(&w, e);
    rc = ingest(ls, b, NULL, &w, &later, e);
    if (later)
        rc = waiter_wait(&w);
    waiter_release(&w);
    return rc;
}
