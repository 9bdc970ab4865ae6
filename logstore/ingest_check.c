/*
 * ingest_check.c - what of a batch is good: how much it may be at once, then row by row its time, size, labels and metadata.
 *
 * (1) A row that is refused is counted, and where the batch has room for it a sentence says why; the others are taken. (2) Rows with
 * equal metadata share one set of it, if they stand near each other. (3) What passes fits a journal entry (entry.h): rows, lines and
 * sets are bounded, as long as a reader may trust.
 */
#include "logstore/ingest.h"

#include <assert.h>
#include <stdlib.h>

enum { BATCH_ROWS_MAX = ENTRY_ROWS_MAX, META_OVERHEAD = 16 /* of a label in the entry and in memory, about */ };
#define BATCH_BYTES_MAX ((size_t)192 << 20)

static const struct label truncated = {{"log_truncated", 13}, {"true", 4}};

/* --- the batch as a whole ------------------------------------------------------------------------------- */

int ingest_check_size(struct logstore *ls, const struct log_batch *b, struct err *e)
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
    int32_t *recent = &s->recent[hash % INGEST_RECENT];
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

static void refuse(struct log_batch *b, enum log_verdict v, uint32_t rows, uint32_t first)
{
    b->verdicts[v] += rows;
    if (b->nbad < ARRAY_LEN(b->bad)) {
        b->bad_rows[b->nbad] = first;
        b->bad_verdicts[b->nbad++] = v;
    }
}

static void note_row(struct log_batch *b, uint32_t k, enum log_verdict v)
{
    if (b->row_verdicts)
        b->row_verdicts[k] = (uint8_t)v;
}

/* The very bytes, not only equal ones: decoders give words of their own for what is frequent (levels). */
static inline bool is_there(struct str a, struct str b)
{
    return a.p == b.p && a.n == b.n;
}

static void set_bounds(struct attempt *at)
{
    int64_t now = clock_wall_ns(), keep = ns_of_ms(store_opts_of(at->ls->store)->retention_ms), past = at->b->any_age ? 0 : at->ls->opts.past_ns_max;

    if (keep > 0 && (past <= 0 || past > keep))
        past = keep;
    at->check = (struct log_check){&at->ls->opts, past > 0 && past < now ? now - past : INT64_MIN, now + at->ls->opts.future_ns_max};
}

/* Accepts or refuses row k of the batch; an accepted one is noted in the scratch. */
static void check_row(struct attempt *at, const struct log_in *in, uint32_t k)
{
    const struct log_in_row *r = &at->b->rows[k];
    const struct logstore_opts *o = &at->ls->opts;
    struct ingest_scratch *s = at->s;
    bool cut = o->line_truncate && o->line_bytes_max && r->line.n > o->line_bytes_max;
    const struct label *meta = at->b->meta + r->meta_first;
    bool as_before = r->meta_n == 1 && !cut && s->last_set != NO_SET && is_there(meta->name, s->last.name) && is_there(meta->value, s->last.value);
    uint32_t n = as_before ? 1 : r->meta_n || cut ? sort_meta(s, meta, r->meta_n, cut) : 0;
    enum log_verdict v;
    size_t bytes = as_before ? s->sets[s->last_set].bytes : 0;

    for (uint32_t i = 0; i < n && !as_before; i++)
        bytes += s->meta[i].name.n + s->meta[i].value.n;
    v = log_check_row(&at->check, &in->labels, r->t_ns, r->line.n, n, bytes, room_for_sentence(at->b));
    if (v != LOG_OK) {
        refuse(at->b, v, 1, k);
        note_row(at->b, k, v);
        return;
    }
    s->m.rows[at->nrows] = k;
    s->m.sets[at->nrows++] = as_before ? s->last_set : n ? share_set(s, n, bytes) : NO_SET;
    if (n == 1 && r->meta_n == 1 && !cut) {
        s->last = *meta;
        s->last_set = s->m.sets[at->nrows - 1];
    }
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
        refuse(b, v, in->n, in->first);
        for (uint32_t k = in->first; k < in->first + in->n; k++)
            note_row(b, k, v);
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
        refuse(b, LOG_STREAM_LIMIT, at->nrows - first, at->s->m.rows[first]);
        for (uint32_t k = first; k < at->nrows; k++)
            note_row(b, at->s->m.rows[k], LOG_STREAM_LIMIT);
        at->nrows = first;
        at->line_bytes = bytes_before;
        return;
    }
    b->verdicts[LOG_OK] += at->nrows - first;
    at->p->runs[at->p->nruns++] = (struct run){stream, at->nrows - first};
}

int ingest_check(struct attempt *at, struct err *e)
{
    struct log_batch *b = at->b;
    struct ingest_scratch *s = at->s;

    set_bounds(at);
    memset(b->verdicts, 0, sizeof b->verdicts);
    b->bytes_ok = 0;
    b->nbad = 0;
    s->m.rows = arena_alloc(&s->arena, b->nrows * sizeof *s->m.rows + 1);
    s->m.sets = arena_alloc(&s->arena, b->nrows * sizeof *s->m.sets + 1);
    s->nsets = 0;
    s->last_set = NO_SET;
    for (unsigned i = 0; i < INGEST_RECENT; i++)
        s->recent[i] = NO_SET;
    for (uint32_t i = 0; i < b->nstreams; i++)
        check_stream(at, &b->streams[i]);
    for (uint32_t i = 0; i < s->nsets; i++)
        at->meta_bytes += s->sets[i].bytes + (size_t)s->sets[i].n * META_OVERHEAD;
    if (at->meta_bytes > BATCH_BYTES_MAX)
        return err_set(e, ERR_INVALID, "%zu bytes of structured metadata at once, at most %zu", at->meta_bytes, BATCH_BYTES_MAX);
    return 0;
}
