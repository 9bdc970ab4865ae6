/*
 * eval_log.c - log queries: the newest (or oldest) records that pass the stages, told apart by their labels.
 *
 * Each thread keeps a heap of the best it has seen, the worst on top; all of them together one of the best times. When that is
 * full it tells the select what does not matter any more (log_select_bound), so blocks beyond are never opened.
 *
 * (1) At most `limit` records are held for each thread, copied; what is better pushes out what is worse.
 * (2) Order: time, then streams as the select numbers them, then as they came (backward: the other way round).
 */
#include "query/logql/eval.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { CREDIT_BYTES = 64 * 1024, INTERVAL_BATCH = 1000 };

/* A record that is held: one piece of memory. */
struct kept {
    int64_t t;
    uint64_t portion; /* its order among those with records of the stream and time */
    uint32_t at;      /* in the portion */
    uint32_t stream, nlabels;
    size_t bytes;
    struct str line;
    struct logql_label labels[];
};

/* The best times that any thread has kept, as keys: the greatest is the worst, and on top. */
struct best {
    pthread_mutex_t mu;
    /* Under mu. */
    int64_t *key;
    uint32_t n, cap;

    /* What is worse does not matter: the top, once there are as many as are looked for. */
    _Atomic int64_t bound;
};

/* What is looked for, and what was found. */
struct log_eval {
    struct lq_eval *ev;
    uint32_t max;
    bool backward;
    struct best *best; /* while it is looked for */
    struct kept **found; /* of all threads, in order at the end */
    uint32_t nfound;
    int64_t charged;
};

/* One thread's. */
struct part {
    struct kept **heap;
    uint32_t n, cap;
    int64_t charged, credit;
    int64_t *fresh; /* keys of what was kept of the portion at hand */
    uint32_t nfresh, fresh_cap;
};

/* --- order ------------------------------------------------------------------------------------ */

/* <0: a comes first in the answer. */
static int order(const struct kept *a, const struct kept *b, bool backward)
{
    if (a->t != b->t)
        return (a->t < b->t) == backward ? 1 : -1;
    if (a->stream != b->stream)
        return a->stream < b->stream ? -1 : 1;
    if (a->portion != b->portion)
        return (a->portion < b->portion) == backward ? 1 : -1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static int forward_order(const void *a, const void *b)
{
    return order(*(struct kept *const *)a, *(struct kept *const *)b, false);
}
static int backward_order(const void *a, const void *b)
{
    return order(*(struct kept *const *)a, *(struct kept *const *)b, true);
}

static void sift_up(struct part *p, uint32_t i, bool backward)
{
    for (; i && order(p->heap[i], p->heap[(i - 1) / 2], backward) > 0; i = (i - 1) / 2) {
        struct kept *t = p->heap[i];

        p->heap[i] = p->heap[(i - 1) / 2];
        p->heap[(i - 1) / 2] = t;
    }
}

static void sift_down(struct part *p, bool backward)
{
    for (uint32_t i = 0;;) {
        uint32_t c = 2 * i + 1;
        struct kept *t;

        if (c >= p->n)
            return;
        if (c + 1 < p->n && order(p->heap[c + 1], p->heap[c], backward) > 0)
            c++;
        if (order(p->heap[c], p->heap[i], backward) <= 0)
            return;
        t = p->heap[c];
        p->heap[c] = p->heap[i];
        p->heap[i] = t;
        i = c;
    }
}

/* --- times of all threads --------------------------------------------------------------------- */

/* Later keys are worse. */
static int64_t key_of(const struct log_eval *x, int64_t t)
{
    return x->backward ? ~t : t;
}

static void key_down(struct best *b)
{
    for (uint32_t i = 0, c; (c = 2 * i + 1) < b->n; i = c) {
        int64_t k = b->key[i];

        c += c + 1 < b->n && b->key[c + 1] > b->key[c];
        if (b->key[c] <= k)
            return;
        b->key[i] = b->key[c];
        b->key[c] = k;
    }
}

static void key_up(struct best *b)
{
    for (uint32_t i = b->n - 1; i && b->key[i] > b->key[(i - 1) / 2]; i = (i - 1) / 2) {
        int64_t k = b->key[i];

        b->key[i] = b->key[(i - 1) / 2];
        b->key[(i - 1) / 2] = k;
    }
}

static void add_key(struct best *b, uint32_t max, int64_t key)
{
    if (b->n == max) {
        if (key < b->key[0]) {
            b->key[0] = key;
            key_down(b);
        }
        return;
    }
    if (b->n == b->cap) {
        b->cap = b->cap ? MIN(b->cap * 2, max) : MIN(64, max);
        b->key = x_realloc(b->key, b->cap * sizeof *b->key);
    }
    b->key[b->n++] = key;
    key_up(b);
}

/* The thread's keys to those of all. */
static void share(const struct log_eval *x, struct part *p)
{
    struct best *b = x->best;

    if (!p->nfresh)
        return;
    pthread_mutex_lock(&b->mu);
    for (uint32_t i = 0; i < p->nfresh; i++)
        add_key(b, x->max, p->fresh[i]);
    if (b->n == x->max)
        b->bound = b->key[0];
    pthread_mutex_unlock(&b->mu);
    p->nfresh = 0;
}

static void note(const struct log_eval *x, struct part *p, int64_t t)
{
    if (p->nfresh == p->fresh_cap) {
        p->fresh_cap = p->fresh_cap ? p->fresh_cap * 2 : 64;
        p->fresh = x_realloc(p->fresh, p->fresh_cap * sizeof *p->fresh);
    }
    p->fresh[p->nfresh++] = key_of(x, t);
}

/* --- records ---------------------------------------------------------------------------------- */

static char *put(char *at, struct str s, struct str *out)
{
    if (s.n)
        memcpy(at, s.p, s.n);
    *out = str_n(at, s.n);
    return at + s.n;
}

/* A copy of the runner's record. NULL over budget. */
static struct kept *keep(struct lq_reader *r, struct part *p, const struct log_row *row, struct err *e)
{
    const struct logql_label *labels;
    uint32_t n = runner_labels(r->runner, &labels);
    struct str line = runner_line(r->runner);
    size_t bytes = sizeof(struct kept) + n * sizeof *labels + line.n + 1;
    struct kept *k;
    char *at;

    for (uint32_t i = 0; i < n; i++)
        bytes += labels[i].name.n + labels[i].value.n;
    if (p->credit < (int64_t)bytes) {
        int64_t more = (int64_t)bytes + CREDIT_BYTES;

        if (query_charge(r->read->ev->q, more, r->read->where, e) < 0)
            return NULL;
        p->charged += more;
        p->credit += more;
    }
    p->credit -= (int64_t)bytes;
    k = x_alloc(bytes);
    *k = (struct kept){.t = row->t_ns,
                       .portion = r->order,
                       .at = (uint32_t)(row - r->rows),
                       .stream = row->stream,
                       .nlabels = n,
                       .bytes = bytes};
    at = put((char *)&k->labels[n], line, &k->line);
    for (uint32_t i = 0; i < n; i++) {
        k->labels[i].category = labels[i].category;
        at = put(at, labels[i].name, &k->labels[i].name);
        at = put(at, labels[i].value, &k->labels[i].value);
    }
    return k;
}

static void let_go(struct part *p, struct kept *k)
{
    p->credit += (int64_t)k->bytes;
    free(k);
}

/* --- one thread ------------------------------------------------------------------------------- */

static int begin(struct lq_reader *r, struct err *e)
{
    (void)e;
    r->state = x_zalloc(sizeof(struct part));
    return 0;
}

static bool worse_time(const struct log_eval *x, int64_t t, int64_t than)
{
    return x->backward ? t < than : t > than;
}

static void make_room(struct part *p, uint32_t max)
{
    if (p->n < p->cap)
        return;
    p->cap = p->cap ? MIN(p->cap * 2, max) : MIN(64, max);
    p->heap = x_realloc(p->heap, p->cap * sizeof *p->heap);
}

static int add_row(struct lq_reader *r, const struct log_row *row, struct err *e)
{
    struct log_eval *x = r->read->arg;
    struct part *p = r->state;
    bool full = p->n == x->max;
    struct kept *k;
    int kept;

    if (key_of(x, row->t_ns) > atomic_load_explicit(&x->best->bound, memory_order_relaxed) || (full && worse_time(x, row->t_ns, p->heap[0]->t)))
        return 0;
    kept = lq_reader_run(r, row, e);
    if (kept <= 0)
        return kept;
    k = keep(r, p, row, e);
    if (!k)
        return e->code;
    note(x, p, row->t_ns);
    if (!full) {
        make_room(p, x->max);
        p->heap[p->n++] = k;
        sift_up(p, p->n - 1, x->backward);
    } else if (order(k, p->heap[0], x->backward) < 0) {
        let_go(p, p->heap[0]);
        p->heap[0] = k;
        sift_down(p, x->backward);
    } else {
        let_go(p, k);
    }
    return 0;
}

static int rows_done(struct lq_reader *r)
{
    struct log_eval *x = r->read->arg;
    struct part *p = r->state;

    int64_t bound;

    share(x, p);
    bound = atomic_load_explicit(&x->best->bound, memory_order_relaxed);
    if (bound == INT64_MAX)
        return 0;
    log_select_bound(r->read->select, x->backward ? ~bound : bound);
    return key_of(x, log_cursor_horizon(r->cur)) > bound;
}

static int end(struct lq_reader *r, int code, struct err *e)
{
    struct log_eval *x = r->read->arg;
    struct part *p = r->state;

    (void)e;
    if (!p)
        return code;
    if (p->n) {
        x->found = x_realloc(x->found, (x->nfound + (size_t)p->n) * sizeof(struct kept *));
        memcpy(x->found + x->nfound, p->heap, p->n * sizeof(struct kept *));
        x->nfound += p->n;
    }
    x->charged += p->charged;
    free(p->heap);
    free(p->fresh);
    free(p);
    return code;
}

static void forget(struct log_eval *x, uint32_t from)
{
    for (uint32_t i = from; i < x->nfound; i++)
        free(x->found[i]);
    x->nfound = MIN(x->nfound, from);
}

/* The first max records of [mint, maxt] in the order asked for. */
static int find(struct log_eval *x, const struct logql_log *log, const struct pipeline *pl, int64_t mint, int64_t maxt, struct err *e)
{
    struct lq_read read = {
        .ev = x->ev,
        .log = log,
        .pipeline = pl,
        .where = "log query",
        .mint_ns = mint,
        .maxt_ns = maxt,
        .backward = x->backward,
        .arg = x,
        .begin = begin,
        .row = add_row,
        .rows_done = rows_done,
        .end = end,
    };
    struct best best = {.mu = PTHREAD_MUTEX_INITIALIZER, .bound = INT64_MAX};
    int code;

    x->best = &best;
    code = lq_read_run(&read, e);
    x->best = NULL;
    pthread_mutex_destroy(&best.mu);
    free(best.key);
    if (code < 0)
        return code;
    if (x->nfound > 1)
        qsort(x->found, x->nfound, sizeof *x->found, x->backward ? backward_order : forward_order);
    forget(x, x->max);
    return 0;
}

static void release(struct log_eval *x)
{
    forget(x, 0);
    free(x->found);
    if (x->charged)
        query_charge(x->ev->q, -x->charged, "log query", NULL);
    *x = (struct log_eval){.ev = x->ev, .max = x->max, .backward = x->backward};
}

/* --- the answer ------------------------------------------------------------------------------- */

struct answer {
    struct lq_eval *ev;
    struct map map; /* canonical labels -> stream + 1 */
    struct logql_stream *v;
    uint32_t n, cap;
    uint32_t *room; /* entries there is memory for, by stream */
    uint64_t entries;
    struct buf key;
};

/* Labels of some categories, from the entry's own memory. */
static struct labels labels_of(struct arena *a, const struct kept *k, bool (*wanted)(enum logql_category c))
{
    struct labels ls = {.v = arena_alloc(a, (k->nlabels + (size_t)1) * sizeof *ls.v)};

    for (uint32_t i = 0; i < k->nlabels; i++)
        if (wanted(k->labels[i].category))
            ls.v[ls.n++] = (struct label){k->labels[i].name, k->labels[i].value};
    return ls;
}

static bool any_label(enum logql_category c)
{
    (void)c;
    return true;
}
static bool stream_label(enum logql_category c)
{
    return c == LOGQL_STREAM;
}
static bool meta_label(enum logql_category c)
{
    return c == LOGQL_META;
}
static bool parsed_label(enum logql_category c)
{
    return c == LOGQL_PARSED;
}

static uint32_t stream_of(struct answer *x, const struct kept *k, struct arena *scratch)
{
    struct arena *a = &x->ev->q->arena;
    struct labels ls = labels_of(scratch, k, x->ev->o->categorize ? stream_label : any_label);
    void *at;

    buf_reset(&x->key);
    labels_canonical(&x->key, &ls);
    at = map_get(&x->map, buf_str(&x->key));
    if (at)
        return (uint32_t)((uintptr_t)at - 1);
    if (x->n == x->cap) {
        x->cap = x->cap ? 2 * x->cap : 16;
        x->v = x_realloc(x->v, x->cap * sizeof *x->v);
        x->room = x_realloc(x->room, x->cap * sizeof *x->room);
    }
    x->v[x->n] = (struct logql_stream){.labels = labels_dup(a, &ls)};
    x->room[x->n] = 0;
    *map_put(&x->map, arena_dup(a, buf_str(&x->key)), NULL) = (void *)(uintptr_t)(x->n + 1);
    return x->n++;
}

static int add_entry(struct answer *x, const struct kept *k, struct arena *scratch, struct err *e)
{
    struct arena *a = &x->ev->q->arena;
    uint32_t at = stream_of(x, k, scratch);
    struct logql_stream *s = &x->v[at];
    struct logql_entry *entry;

    if (query_charge(x->ev->q, (int64_t)(k->bytes + 2 * sizeof *entry), "result", e) < 0)
        return e->code;
    if (s->n == x->room[at]) {
        struct logql_entry *more;

        x->room[at] = x->room[at] ? 2 * x->room[at] : 4;
        more = arena_array(a, struct logql_entry, x->room[at]);
        if (s->n)
            memcpy(more, s->entries, s->n * sizeof *more);
        s->entries = more;
    }
    entry = &s->entries[s->n++];
    *entry = (struct logql_entry){.t_ns = k->t, .line = arena_dup(a, k->line)};
    x->entries++;
    if (x->ev->o->categorize) {
        struct labels meta = labels_of(scratch, k, meta_label), parsed = labels_of(scratch, k, parsed_label);

        meta = labels_dup(a, &meta);
        parsed = labels_dup(a, &parsed);
        entry->meta = meta.v;
        entry->nmeta = meta.n;
        entry->parsed = parsed.v;
        entry->nparsed = parsed.n;
    }
    return 0;
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(&((const struct logql_stream *)a)->labels, &((const struct logql_stream *)b)->labels);
}

static void finish(struct answer *x, struct logql_result *out)
{
    out->type = LOGQL_RESULT_STREAMS;
    out->streams = arena_array(&x->ev->q->arena, struct logql_stream, x->n + (size_t)1);
    out->nstreams = x->n;
    out->entries = x->entries;
    if (x->n) {
        memcpy(out->streams, x->v, x->n * sizeof *x->v);
        qsort(out->streams, x->n, sizeof *x->v, by_labels);
    }
    map_release(&x->map);
    buf_release(&x->key);
    free(x->v);
    free(x->room);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* A place in time, and how to go on from it. */
struct progress {
    int64_t mint, maxt;
    bool any;
    int64_t last; /* time of the record taken last */
};

/* Takes what lies an interval apart. */
static int take(struct answer *x, const struct log_eval *found, struct progress *at, struct err *e)
{
    const struct logql_opts *o = x->ev->o;
    struct arena scratch = {0};
    int code = 0;

    for (uint32_t i = 0; i < found->nfound && x->entries < o->limit && code == 0; i++) {
        const struct kept *k = found->found[i];
        int64_t since = o->backward ? at->last - k->t : k->t - at->last;

        if (o->interval_ns > 0 && at->any && since < o->interval_ns)
            continue;
        at->any = true;
        at->last = k->t;
        arena_reset(&scratch);
        code = add_entry(x, k, &scratch, e);
    }
    arena_release(&scratch);
    return code;
}

/* Beyond the record taken last and the interval behind it. False: nothing is left. */
static bool go_on(struct progress *at, const struct logql_opts *o)
{
    if (o->backward) {
        at->maxt = at->last - o->interval_ns;
        return at->maxt >= at->mint && at->maxt < at->last;
    }
    at->mint = at->last + o->interval_ns;
    return at->mint <= at->maxt && at->mint > at->last;
}

int lq_eval_log(struct lq_eval *ev, const struct logql_log *log, struct logql_result *out, struct err *e)
{
    const struct logql_opts *o = ev->o;
    struct pipeline_opts po = {0};
    struct log_eval x = {.ev = ev, .max = o->interval_ns > 0 ? MAX(o->limit, (uint32_t)INTERVAL_BATCH) : o->limit, .backward = o->backward};
    struct progress at = {.mint = o->start_ns, .maxt = o->end_ns - 1};
    struct answer a = {.ev = ev};
    struct pipeline *p = NULL;
    int code = pipeline_of_query(log, &po, &p, e);
    bool more = code == 0 && o->limit > 0 && o->end_ns > o->start_ns;

    while (more) {
        code = find(&x, log, p, at.mint, at.maxt, e);
        if (code == 0)
            code = take(&a, &x, &at, e);
        more = code == 0 && o->interval_ns > 0 && x.nfound == x.max && a.entries < o->limit && go_on(&at, o);
        release(&x);
    }
    pipeline_free(p);
    finish(&a, out);
    return code;
}
