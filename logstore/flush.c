/*
 * flush.c - from the head down to the partitions: cut a gen, write it day by day, let go of it.
 *
 * (1) A gen holds exactly the rows up to the seq at which it was cut. A partition that says it contains that seq has all of the
 * gen's rows of its day; so a flush that failed half way is repeated for the other days only. (2) The head lets go of rows only
 * after every day has them. (3) A row that its day has already is not written again: so no row is in a day twice. (4) Marks are
 * in the state before a partition says that it contains their entry.
 */
#include "logstore/db.h"
#include "logstore/late.h"

#include <stdlib.h>

/* A flush writes blocks of 4 MiB in slices of some; and its rows are what a query goes through one by one, and a replay too. */
enum { FLUSH_BYTES = 64 << 20, ROW_UNIT = 16, IDLE_MINUTES = 60 };

uint64_t log_head_bytes(void *self)
{
    struct logstore *ls = self;

    return atomic_load_explicit(&ls->head.bytes, memory_order_relaxed);
}

/* In units of some bytes, since it is bytes that make a flush worth it; small, so that a burst's end is told (store/flush.c). */
uint64_t log_head_rows(void *self, uint64_t *enough)
{
    struct logstore *ls = self;

    *enough = FLUSH_BYTES / ROW_UNIT;
    return atomic_load_explicit(&ls->head.rows, memory_order_relaxed) ? log_head_bytes(ls) / ROW_UNIT : 0;
}

/* --- order ------------------------------------------------------------------------------------------------ */

struct stream_rows {
    struct log_stream *stream;
    struct log_head_row **rows; /* by arrival, then by time */
    uint32_t n, cap;
    uint64_t raw_bytes;
    uint32_t sid;
    bool is_new;
};

struct writing {
    struct logstore *ls;
    struct log_gen *gen;
    int64_t mint_ns, maxt_ns; /* of the day */
    struct stream_rows *streams;
    uint32_t nstreams, *place_of; /* by slot */
    uint32_t nslots;
    struct log_piece **pieces; /* in order of arrival */
    uint64_t rows;
};

static int by_labels(const void *a, const void *b)
{
    return log_stream_cmp(((const struct stream_rows *)a)->stream, ((const struct stream_rows *)b)->stream);
}

static void begin_gen(struct writing *wr)
{
    struct log_gen *g = wr->gen;
    uint32_t i = g->npieces;

    wr->nstreams = g->nstreams;
    wr->streams = x_zalloc((g->nstreams + 1) * sizeof *wr->streams);
    for (uint32_t k = 0; k < g->nstreams; k++) {
        wr->streams[k].stream = g->streams[k];
        wr->nslots = MAX(wr->nslots, g->streams[k]->slot + 1);
    }
    qsort(wr->streams, wr->nstreams, sizeof *wr->streams, by_labels);
    wr->place_of = x_zalloc((wr->nslots + 1) * sizeof *wr->place_of);
    for (uint32_t k = 0; k < wr->nstreams; k++)
        wr->place_of[wr->streams[k].stream->slot] = k;
    wr->pieces = x_alloc((g->npieces + 1) * sizeof(struct log_piece *));
    for (struct log_piece *p = g->newest; p; p = p->prev)
        wr->pieces[--i] = p;
}

static void end_gen(struct writing *wr)
{
    for (uint32_t i = 0; i < wr->nstreams; i++)
        free(wr->streams[i].rows);
    free(wr->streams);
    free(wr->place_of);
    free(wr->pieces);
}

static size_t meta_bytes(const struct log_head_row *r)
{
    size_t n = 0;

    for (uint32_t i = 0; i < r->nmeta; i++)
        n += r->meta[i].name.n + r->meta[i].value.n;
    return n;
}

/* Rows by time, those of equal time as they came. Mostly they are in order: then nothing is moved. */
static void sort_rows(struct log_head_row **v, uint32_t n)
{
    struct log_head_row **tmp = NULL, **from = v, **to;
    uint32_t i = 1;

    while (i < n && v[i - 1]->t_ns <= v[i]->t_ns)
        i++;
    if (i >= n)
        return;
    to = tmp = x_alloc(n * sizeof(struct log_head_row *));
    for (uint32_t width = 1; width < n; width *= 2) {
        struct log_head_row **swap = from;
        for (uint32_t lo = 0; lo < n; lo += 2 * width) {
            uint32_t mid = MIN(lo + width, n), hi = MIN(lo + 2 * width, n), l = lo, r = mid;
            for (uint32_t k = lo; k < hi; k++)
                to[k] = l < mid && (r >= hi || from[l]->t_ns <= from[r]->t_ns) ? from[l++] : from[r++];
        }
        from = to;
        to = swap;
    }
    if (from != v)
        memcpy(v, from, n * sizeof(struct log_head_row *));
    free(tmp);
}

/* The day's rows, by stream. Returns how many may be there already. */
static uint32_t collect(struct writing *wr)
{
    uint32_t late = 0;

    for (uint32_t i = 0; i < wr->nstreams; i++) {
        wr->streams[i].n = 0;
        wr->streams[i].raw_bytes = 0;
    }
    for (uint32_t i = 0; i < wr->gen->npieces; i++) {
        struct log_piece *p = wr->pieces[i];
        if (p->maxt < wr->mint_ns || p->mint > wr->maxt_ns)
            continue;
        for (uint32_t k = 0; k < p->nrows; k++) {
            struct log_head_row *r = &p->rows[k];
            uint8_t state = atomic_load_explicit(&r->state, memory_order_relaxed);
            struct stream_rows *s;
            if (state == ROW_DEAD || r->t_ns < wr->mint_ns || r->t_ns > wr->maxt_ns)
                continue;
            s = &wr->streams[wr->place_of[r->stream->slot]];
            if (s->n == s->cap) {
                s->cap = s->cap ? s->cap * 2 : 16;
                s->rows = x_realloc(s->rows, s->cap * sizeof(struct log_head_row *));
            }
            s->rows[s->n++] = r;
            late += state == ROW_LATE;
        }
    }
    return late;
}

/* Takes out what the day has already, and sums up. */
static void drop_dead(struct writing *wr)
{
    for (uint32_t i = 0; i < wr->nstreams; i++) {
        struct stream_rows *s = &wr->streams[i];
        uint32_t n = 0;
        for (uint32_t k = 0; k < s->n; k++) {
            if (atomic_load_explicit(&s->rows[k]->state, memory_order_relaxed) == ROW_DEAD)
                continue;
            s->rows[n++] = s->rows[k];
            s->raw_bytes += s->rows[k]->line_bytes + meta_bytes(s->rows[k]);
        }
        s->n = n;
        sort_rows(s->rows, n);
    }
}

/* --- one day ------------------------------------------------------------------------------------------------ */

static int settle_late(struct writing *wr, struct partition *p, uint32_t nlate, struct err *e)
{
    struct log_day_view *v;
    struct log_late *late;
    uint32_t n = 0;
    int rc;

    if (nlate == 0)
        return 0;
    if ((rc = log_day_view_open(p, &v, e)) < 0)
        return rc;
    late = x_alloc(nlate * sizeof *late);
    for (uint32_t i = 0; i < wr->nstreams; i++)
        for (uint32_t k = 0; k < wr->streams[i].n; k++)
            if (atomic_load_explicit(&wr->streams[i].rows[k]->state, memory_order_relaxed) == ROW_LATE && n < nlate)
                late[n++] = (struct log_late){wr->streams[i].rows[k], wr->streams[i].is_new ? (uint32_t)LOG_NO_SID : wr->streams[i].sid};
    rc = log_late_settle(v, late, n, e);
    free(late);
    log_day_view_close(v);
    return rc;
}

static int write_rows(struct writing *wr, struct log_day_writer *w, struct err *e)
{
    int rc = 0;

    log_day_slice_begin(w, UINT32_MAX);
    for (uint32_t i = 0; i < wr->nstreams && rc == 0; i++) {
        const struct stream_rows *s = &wr->streams[i];
        if (s->n)
            rc = log_day_slice_stream(w, s->sid, s->n, s->raw_bytes, e);
        for (uint32_t k = 0; k < s->n && rc == 0; k++) {
            const struct log_head_row *r = s->rows[k];
            if (k + 4 < s->n)
                __builtin_prefetch(s->rows[k + 4]);
            rc = log_day_slice_row(w, r->t_ns, str_n(r->line, r->line_bytes), r->meta, r->nmeta, e);
        }
        wr->rows += s->n;
    }
    return rc < 0 ? rc : log_day_slice_end(w, e);
}

static int write_day(struct writing *wr, int32_t day, uint64_t seq, struct err *e)
{
    struct log_day_writer *w = NULL;
    struct partition *p;
    uint32_t late, blocks;
    int rc = store_partition_get(wr->ls->store, LOGSTORE_SIGNAL, day, &p, e);

    if (rc < 0)
        return rc;
    if (partition_contained(p) >= seq)
        goto out; /* (1) */
    wr->mint_ns = ns_of_ms(day_start_ms(day));
    wr->maxt_ns = ns_of_ms(day_start_ms(day + 1)) - 1;
    if ((rc = log_day_write_begin(p, false, &w, e)) < 0)
        goto out;
    late = collect(wr);
    for (uint32_t i = 0; i < wr->nstreams; i++)
        if (wr->streams[i].n)
            wr->streams[i].sid = log_day_write_sid(w, wr->streams[i].stream->id, &wr->streams[i].stream->labels, &wr->streams[i].is_new);
    rc = settle_late(wr, p, late, e);
    drop_dead(wr);
    if (rc < 0 || (rc = write_rows(wr, w, e)) < 0) {
        log_day_write_abort(w);
        goto out;
    }
    crash_point("logs_flush_before_commit");
    blocks = log_day_write_nblocks(w);
    rc = log_day_write_commit(w, seq, e);
    crash_point("logs_flush_after_commit");
    if (rc == 0)
        atomic_fetch_add_explicit(&wr->ls->blocks_written, blocks, memory_order_relaxed);
out:
    partition_unref(p);
    return rc < 0 ? err_ctx(e, "flush of day %d", (int)day) : 0;
}

/* --- all days ------------------------------------------------------------------------------------------------- */

struct days {
    int32_t *v;
    uint32_t n, cap;
};

static void add_day(struct days *d, int32_t day)
{
    for (uint32_t i = d->n; i-- > 0;)
        if (d->v[i] == day)
            return;
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 16;
        d->v = x_realloc(d->v, d->cap * sizeof *d->v);
    }
    d->v[d->n++] = day;
}

static int by_day(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static struct days days_of(const struct writing *wr)
{
    struct days d = {0};

    for (uint32_t i = 0; i < wr->gen->npieces; i++) {
        const struct log_piece *p = wr->pieces[i];
        int32_t first = day_of_ns(p->mint), last = day_of_ns(p->maxt), before = INT32_MIN;
        if (first == last) {
            add_day(&d, first);
            continue;
        }
        for (uint32_t k = 0; k < p->nrows; k++)
            if (p->rows[k].state != ROW_DEAD && day_of_ns(p->rows[k].t_ns) != before)
                add_day(&d, before = day_of_ns(p->rows[k].t_ns));
    }
    if (d.n)
        qsort(d.v, d.n, sizeof *d.v, by_day);
    return d;
}

static int write_gen(struct logstore *ls, struct log_gen *g, struct err *e)
{
    struct writing wr = {.ls = ls, .gen = g};
    int64_t began = clock_mono_ms();
    struct days days;
    int rc = 0;

    begin_gen(&wr);
    days = days_of(&wr);
    for (uint32_t i = 0; rc == 0 && i < days.n; i++)
        rc = write_day(&wr, days.v[i], g->seq, e);
    if (rc == 0)
        log_info("logstore", "flushed %llu records of %u streams, %.1f MB of memory, %lld ms", (unsigned long long)wr.rows, wr.nstreams,
                 (double)g->bytes / 1e6, (long long)(clock_mono_ms() - began));
    free(days.v);
    end_gen(&wr);
    return rc;
}

static int flush_locked(struct logstore *ls, uint64_t *contained, struct err *e)
{
    uint64_t done = journal_done_seq(store_journal(ls->store)), upto = done;
    int rc;

    if (!ls->frozen)
        ls->frozen = log_head_cut(&ls->head, done);
    if (ls->frozen)
        upto = ls->frozen->seq;
    if ((rc = log_marks_flush(ls->marks, store_state(ls->store), e)) < 0)
        return rc;
    crash_point("logs_flush_marks_written");
    if (ls->frozen) {
        if ((rc = write_gen(ls, ls->frozen, e)) < 0)
            return rc;
        log_head_drop(&ls->head, ls->frozen);
        ls->frozen = NULL;
    }
    *contained = upto;
    log_streams_let_go(&ls->head.streams, (int64_t)IDLE_MINUTES * 60 * 1000);
    return 0;
}

int log_flush(void *self, uint64_t *contained, struct err *e)
{
    struct logstore *ls = self;
    int rc;

    pthread_mutex_lock(&ls->flush_mu);
    rc = flush_locked(ls, contained, e);
    pthread_mutex_unlock(&ls->flush_mu);
    return rc;
}
