/*
 * batch.c - entries of several files become one batch of the store, with the marks that belong to them.
 *
 *     free ──batch_take──▶ filling ──batch_send──▶ under way ──(journal thread: answered)──▶ answers ──batches_settle──▶ free
 *                                        ▲                                                            │
 *                                        └──────────── the store was full or busy: again later ◀──────┘
 *
 * (1) While all batches are under way nothing is read: a store that is slow or full makes us slow, and nothing is lost.
 * (2) Given again is the same batch: rows that the store has already are the same ones to it.
 */
#include "collector/files/tailer.h"

#include "collector/logs/level.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { RETRY_MS = 100, RETRY_MS_MAX = 2000, SAY_REFUSED_MS = 30000, REPEATS_MAX = 1024 };
enum batch_state { BATCH_FREE, BATCH_FILLING, BATCH_UNDER_WAY, BATCH_WAITS };

struct row {
    struct log_in_row in;
    uint32_t stream;
};

struct stream {
    struct labels labels;
    struct str level; /* what its labels say */
    uint32_t n;
};

/* How far a file will have been stored. */
struct share {
    struct followed *w;
    uint64_t to;
    bool skipping;
};

struct batch {
    struct files *f;
    enum batch_state state;
    struct arena arena;
    uint64_t id;
    size_t bytes;

    struct row *rows;
    uint32_t nrows, rows_cap;
    struct stream *streams;
    uint32_t nstreams, streams_cap;
    struct map by_labels; /* canonical labels -> index + 1 */
    struct label *meta;
    uint32_t nmeta, meta_cap;
    struct share *shares;
    uint32_t nshares, shares_cap;
    struct log_mark *marks;
    uint32_t nmarks, marks_cap;
    struct journald **journals;
    uint32_t njournals;

    /* The file that is read now. */
    const struct label *last_labels; /* the labels array of the last row, where nobody changed it, and its stream */
    uint32_t last_stream;
    struct followed *reading;
    uint32_t rows_before;

    struct log_batch out;
    int64_t retry_ms, wait_ms;
    struct batch *next_answer;
    int code;
    struct err err;
};

static void *grow(void *v, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    *cap = *cap * 2 + 64;
    return x_realloc(v, size * *cap);
}

/* --- life ------------------------------------------------------------------------------------------------- */

struct batch *batch_take(struct files *f)
{
    for (unsigned i = 0; i < BATCHES; i++) {
        struct batch *b = f->batches[i];

        if (!b) {
            b = f->batches[i] = x_zalloc(sizeof(*b));
            b->f = f;
        }
        if (b->state == BATCH_FREE) {
            b->state = BATCH_FILLING;
            return b;
        }
    }
    return NULL;
}

struct arena *batch_arena(struct batch *b)
{
    return &b->arena;
}

static void empty(struct batch *b)
{
    arena_reset(&b->arena);
    map_reset(&b->by_labels);
    b->nrows = b->nstreams = b->nmeta = b->nshares = b->nmarks = b->njournals = 0;
    b->bytes = 0;
    b->last_labels = NULL;
    b->reading = NULL;
    b->wait_ms = 0;
    b->out = (struct log_batch){0};
    b->state = BATCH_FREE;
}

static void batch_free(struct batch *b)
{
    if (!b)
        return;
    arena_release(&b->arena);
    map_release(&b->by_labels);
    free(b->rows);
    free(b->streams);
    free(b->meta);
    free(b->shares);
    free(b->marks);
    free(b->journals);
    free(b);
}

void batches_free(struct files *f)
{
    for (unsigned i = 0; i < BATCHES; i++)
        batch_free(f->batches[i]);
}

bool batch_full(const struct batch *b)
{
    return b->bytes >= BATCH_BYTES || b->nrows >= BATCH_ROWS;
}

void batch_add_bytes(struct batch *b, size_t n)
{
    b->bytes += n;
}

/* --- rows --------------------------------------------------------------------------------------------------- */

/* The clock's time, never the same twice: lines that are equal are still two. */
int64_t files_next_ns(struct files *f)
{
    int64_t now = clock_wall_ns();

    f->last_ns = MAX(now, f->last_ns + 1);
    return f->last_ns;
}

static struct str service_name(const struct labels *ls)
{
    static const char *const names[] = {"service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container",
                                        "container_name", "k8s_container_name", "component", "workload", "job", "k8s_job_name"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str v = labels_get(ls, str_of(names[i]));

        if (v.n)
            return v;
    }
    return STR("unknown_service");
}

/* What the labels of a stream say of its level: level words, else the word itself. */
static struct str level_of_labels(const struct label *v, uint32_t n)
{
    int best = -1;
    struct str found = STR_NULL;

    for (uint32_t i = 0; i < n; i++) {
        int rank = level_field_rank(v[i].name);

        if (rank >= 0 && v[i].value.n && (best < 0 || rank < best)) {
            best = rank;
            found = level_word(v[i].value);
            found = found.p ? found : v[i].value;
        }
    }
    return found;
}

static uint32_t stream_of(struct batch *b, const struct entry *en)
{
    struct labels ls = {arena_alloc(&b->arena, sizeof(struct label) * (en->nlabels + 1)), en->nlabels};
    struct buf key = {0};
    struct err e;
    uint32_t i;

    if (en->nlabels)
        memcpy(ls.v, en->labels, sizeof(*ls.v) * en->nlabels);
    if (labels_normalise(&ls, &e) < 0)
        assert(!"a label stands twice"); /* entry_set_label sees to it */
    if (!labels_get(&ls, STR("service_name")).n) {
        struct str found = service_name(&ls);

        ls.v[ls.n++] = (struct label){STR("service_name"), found};
        (void)labels_normalise(&ls, &e);
    }
    labels_canonical(&key, &ls);
    i = (uint32_t)(uintptr_t)map_get(&b->by_labels, buf_str(&key));
    if (!i) {
        b->streams = grow(b->streams, b->nstreams, &b->streams_cap, sizeof(*b->streams));
        b->streams[b->nstreams++] = (struct stream){labels_dup(&b->arena, &ls), level_of_labels(ls.v, ls.n), 0};
        i = b->nstreams;
        *map_put(&b->by_labels, arena_dup(&b->arena, buf_str(&key)), NULL) = (void *)(uintptr_t)i;
        if (b->streams[i - 1].level.p)
            b->streams[i - 1].level = arena_dup(&b->arena, b->streams[i - 1].level);
    }
    buf_release(&key);
    return i - 1;
}

static void put_meta(struct batch *b, struct str name, struct str value)
{
    b->meta = grow(b->meta, b->nmeta, &b->meta_cap, sizeof(*b->meta));
    b->meta[b->nmeta++] = (struct label){name, value};
}

static void put_level(struct batch *b, const struct stream *s, const struct entry *en)
{
    struct str level = STR_NULL;

    for (uint32_t i = 0; i < en->nmeta; i++) {
        if (str_eqz(en->meta[i].name, "detected_level"))
            return;
    }
    level = s->level;
    if (!level.p)
        level = level_of_labels(en->meta, en->nmeta);
    put_meta(b, STR("detected_level"), level.p ? level : level_of_line(en->line));
}

/* Of lines that are equal and of one time (to the second, mostly) each is one: a nanosecond tells them apart. */
static int64_t tell_apart(struct followed *w, const struct entry *en)
{
    uint64_t h = hash64(en->line.p, en->line.n);
    int64_t more = 0;

    if (w->repeats_ns != en->t_ns) {
        w->repeats_ns = en->t_ns;
        w->nrepeats = 0;
    }
    for (uint32_t i = 0; i < w->nrepeats; i++)
        more += w->repeats[i] == h;
    if (w->nrepeats < REPEATS_MAX) {
        w->repeats = grow(w->repeats, w->nrepeats, &w->repeats_cap, sizeof(*w->repeats));
        w->repeats[w->nrepeats++] = h;
    }
    return en->t_ns + more;
}

static void emit(void *arg, struct entry *en)
{
    struct batch *b = arg;
    struct files *f = b->f;
    uint32_t first = b->nmeta, stream;
    struct row *r;

    if (en->line.n > f->opts.line_bytes_max) {
        en->line.n = f->opts.line_bytes_max;
        en->truncated = true;
    }
    stream = !en->labels_own && b->last_labels == en->labels ? b->last_stream : stream_of(b, en);
    if (!en->labels_own) {
        b->last_labels = en->labels;
        b->last_stream = stream;
    }
    for (uint32_t i = 0; i < en->nmeta; i++)
        put_meta(b, en->meta[i].name, en->meta[i].value);
    if (en->truncated) {
        put_meta(b, STR("log_truncated"), STR("true"));
        f->cut_lines++;
    }
    if (f->opts.levels)
        put_level(b, &b->streams[stream], en);
    if (en->t_told && b->reading)
        en->t_ns = tell_apart(b->reading, en);
    b->rows = grow(b->rows, b->nrows, &b->rows_cap, sizeof(*b->rows));
    r = &b->rows[b->nrows++];
    *r = (struct row){.in = {.t_ns = en->t_ns, .line = en->line, .meta_first = first, .meta_n = b->nmeta - first}, .stream = stream};
    b->streams[stream].n++;
    b->bytes += 64; /* rows of nothing fill it too */
}

void batch_begin(struct batch *b, struct followed *w)
{
    assert(b->state == BATCH_FILLING && !w->busy);
    b->reading = w;
    b->rows_before = b->nrows;
    b->last_labels = NULL;
}

void batch_run_bare(struct batch *b, struct pipeline *p, struct pipe_state *state, const struct labels *base, struct pipe_run *run)
{
    *run = (struct pipe_run){
        .p = p,
        .state = state,
        .a = &b->arena,
        .base = base,
        .now_ns = clock_wall_ns(),
        .now_ms = clock_mono_ms(),
        .line_max = b->f->opts.line_bytes_max,
        .emit = emit,
        .arg = b,
    };
}

void batch_run(struct batch *b, struct followed *w, struct pipe_run *run)
{
    batch_run_bare(b, target_pipeline(w->t), &w->state, &w->t->labels, run);
    run->err_base = w->t->docker ? &w->t->err_labels : NULL;
}

void batch_mark(struct batch *b, struct str key, struct str value)
{
    b->marks = grow(b->marks, b->nmarks, &b->marks_cap, sizeof(*b->marks));
    b->marks[b->nmarks++] = (struct log_mark){key, value};
}

void batch_end(struct batch *b, struct followed *w)
{
    uint64_t safe = pipe_state_safe(&w->state, w->read_to);
    bool skipping = w->skipping && safe == w->read_to;
    struct position p = {
        .dev = w->dev,
        .ino = w->ino,
        .offset = safe,
        .sig = w->sig,
        .mtime_ns = w->mtime_ns,
        .flags = (skipping ? POSITION_SKIPPING : 0) | (w->done ? POSITION_DONE : 0),
        .job = w->t->job->config->name,
        .path = w->t->path,
    };

    b->reading = NULL;
    if (w->busy || (safe == w->stored_to && skipping == w->stored_skipping && b->nrows == b->rows_before && (w->marked || safe == 0) && !w->done))
        return;
    w->busy = true;
    positions_put(b, &p);
    b->shares = grow(b->shares, b->nshares, &b->shares_cap, sizeof(*b->shares));
    b->shares[b->nshares++] = (struct share){w, safe, skipping};
}

void batch_end_journald(struct batch *b, struct journald *d)
{
    b->journals = x_realloc(b->journals, sizeof(struct journald *) * (b->njournals + 1));
    b->journals[b->njournals++] = d;
}

/* --- to the store ---------------------------------------------------------------------------------------------- */

/* Rows of a stream one behind the other, in their order. */
static void lay_out(struct batch *b)
{
    struct log_in *in = arena_array(&b->arena, struct log_in, b->nstreams + 1);
    struct log_in_row *rows = arena_alloc(&b->arena, sizeof(*rows) * (b->nrows + 1));
    uint32_t at = 0;

    for (uint32_t i = 0; i < b->nstreams; i++) {
        in[i] = (struct log_in){b->streams[i].labels, at, 0};
        at += b->streams[i].n;
    }
    for (uint32_t i = 0; i < b->nrows; i++) {
        struct log_in *s = &in[b->rows[i].stream];

        rows[s->first + s->n++] = b->rows[i].in;
    }
    b->out = (struct log_batch){.streams = in, .nstreams = b->nstreams, .rows = rows, .nrows = b->nrows, .meta = b->meta, .marks = b->marks, .nmarks = b->nmarks, .ctx = b};
}

static void settle(struct batch *b);

/* Journal thread, or the thread that asked. */
static void answered(struct log_batch *out, int code, const struct err *e)
{
    struct batch *b = out->ctx;
    struct files *f = b->f;

    b->code = code;
    if (code < 0 && e)
        b->err = *e;
    pthread_mutex_lock(&f->answers_mu);
    b->next_answer = f->answers;
    f->answers = b;
    files_wake(f); /* inside: once the answer is taken f may go */
    pthread_mutex_unlock(&f->answers_mu);
}

static void try_again(struct batch *b, int code, const struct err *e)
{
    struct files *f = b->f;

    b->state = BATCH_WAITS;
    if (b->wait_ms >= RETRY_MS_MAX / 2 && clock_mono_ms() - f->said_refused_ms > SAY_REFUSED_MS) {
        f->said_refused_ms = clock_mono_ms();
        log_warn("files", "the store takes nothing now (%s); reading waits", e->text[0] ? e->text : err_name(code));
    }
    b->wait_ms = b->wait_ms ? MIN(b->wait_ms * 2, (int64_t)RETRY_MS_MAX) : RETRY_MS;
    b->retry_ms = clock_mono_ms() + b->wait_ms;
    f->retries++;
}

static void give(struct batch *b)
{
    struct files *f = b->f;
    struct err e = {0};
    bool later = false;
    int code;

    memset(b->out.verdicts, 0, sizeof(b->out.verdicts));
    b->out.bytes_ok = 0;
    b->out.nbad = 0;
    b->state = BATCH_UNDER_WAY;
    code = f->opts.store.ingest(f->opts.store.arg, &b->out, answered, &later, &e);
    if (code < 0)
        try_again(b, code, &e);
    else if (!later)
        settle(b);
}

void batch_send(struct batch *b)
{
    assert(b->state == BATCH_FILLING);
    if (!b->nrows && !b->nmarks) {
        assert(!b->nshares);
        empty(b);
        return;
    }
    lay_out(b);
    b->f->nbusy++;
    give(b);
}

static void say_refused(struct files *f, const struct log_batch *out)
{
    uint64_t refused = 0;

    for (int v = LOG_TOO_OLD; v < LOG_VERDICTS; v++)
        refused += out->verdicts[v];
    f->refused += refused;
    if (refused && clock_mono_ms() - f->said_refused_ms > SAY_REFUSED_MS) {
        f->said_refused_ms = clock_mono_ms();
        log_warn("files", "%llu lines refused: %s", (unsigned long long)refused, out->nbad ? out->bad[0].text : "see the metrics");
    }
}

/* It is on disk. */
static void settle(struct batch *b)
{
    struct files *f = b->f;

    say_refused(f, &b->out);
    f->rows += b->out.verdicts[LOG_OK] + b->out.verdicts[LOG_SAME];
    for (uint32_t i = 0; i < b->nmarks; i++)
        positions_committed(f, b->marks[i].key, b->marks[i].value);
    for (uint32_t i = 0; i < b->nshares; i++) {
        struct followed *w = b->shares[i].w;

        w->busy = false;
        w->marked = true;
        w->stored_to = b->shares[i].to;
        w->stored_skipping = b->shares[i].skipping;
        followed_stored(w);
    }
    for (uint32_t i = 0; i < b->njournals; i++)
        journald_stored(b->journals[i]);
    assert(f->nbusy > 0);
    f->nbusy--;
    empty(b);
}

void batches_give_up(struct files *f)
{
    for (unsigned i = 0; i < BATCHES; i++) {
        struct batch *b = f->batches[i];

        if (!b || b->state != BATCH_WAITS)
            continue;
        for (uint32_t k = 0; k < b->nshares; k++) {
            b->shares[k].w->busy = false;
            followed_rewind(b->shares[k].w);
        }
        for (uint32_t k = 0; k < b->njournals; k++)
            journald_rewind(b->journals[k]);
        assert(f->nbusy > 0);
        f->nbusy--;
        empty(b);
    }
}

void batches_settle(struct files *f, int64_t *due_ms)
{
    struct batch *b, *next;

    pthread_mutex_lock(&f->answers_mu);
    b = f->answers;
    f->answers = NULL;
    pthread_mutex_unlock(&f->answers_mu);
    for (; b; b = next) {
        next = b->next_answer;
        if (b->code < 0)
            try_again(b, b->code, &b->err);
        else
            settle(b);
    }
    for (unsigned i = 0; i < BATCHES; i++) {
        b = f->batches[i];
        if (!b || b->state != BATCH_WAITS)
            continue;
        if (b->retry_ms <= clock_mono_ms() && !f->stopping)
            give(b);
        if (b->state == BATCH_WAITS)
            *due_ms = MIN(*due_ms, b->retry_ms);
    }
}
