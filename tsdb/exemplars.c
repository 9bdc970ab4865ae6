/*
 * exemplars.c - single observations beside the samples. Those that came since the last flush are in rings, one a
 * series, the oldest going when a ring is full; a flush puts them into the day's partition:
 *
 *     "X" be64(number)   records: 16 bytes series id, zigzag t, 8 bytes value, varint labels, each text name, text
 * value
 *
 * (1) Of one series exemplars come in order: one older than the newest, or the newest again, is not taken.
 */
#include "tsdb/select.h"

#include <assert.h>
#include <stdlib.h>

enum {
    RINGS_MAX = 1 << 18,
    RUNES_MAX = 128,
    VALUE_MAX = PARTITION_VALUE_FIT(16),
    PER_SERIES_MAX = 1000,
    DAY_MS = 86400000
};

struct item {
    int64_t t;
    double v;
    char *labels; /* encoded, owned */
    uint32_t labels_n, nlabels;
    bool writing; /* in a partition transaction that is not committed yet */
};

struct ring {
    struct hash128 id;
    struct item *items; /* in order of time */
    uint32_t n, cap;
    /* The newest ever taken. */
    int64_t t;
    double v;
    uint64_t labels_hash;
};

struct exemplars {
    uint32_t per_series;
    /* All under mu. */
    pthread_mutex_t mu;
    struct ring **slots; /* open addressing by id */
    uint32_t mask, n;
};

struct exemplars *exemplars_new(uint32_t per_series)
{
    struct exemplars *x = x_zalloc(sizeof *x);

    x->per_series = MIN(per_series, (uint32_t)PER_SERIES_MAX);
    pthread_mutex_init(&x->mu, NULL);
    x->mask = 63;
    x->slots = x_zalloc(sizeof(struct ring *) * 64);
    return x;
}

static void ring_free(struct ring *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        free(r->items[i].labels);
    free(r->items);
    free(r);
}

void exemplars_free(struct exemplars *x)
{
    if (!x)
        return;
    for (uint32_t i = 0; i <= x->mask; i++)
        if (x->slots[i])
            ring_free(x->slots[i]);
    free(x->slots);
    pthread_mutex_destroy(&x->mu);
    free(x);
}

static struct ring **ring_slot(const struct exemplars *x, struct hash128 id)
{
    uint32_t i = (uint32_t)id.lo & x->mask;

    while (x->slots[i] && !hash128_eq(x->slots[i]->id, id))
        i = (i + 1) & x->mask;
    return &x->slots[i];
}

static void put_text(struct buf *b, struct str s)
{
    buf_put_varint(b, s.n);
    buf_puts(b, s);
}

static void encode_labels(struct buf *b, const struct labels *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        put_text(b, ls->v[i].name);
        put_text(b, ls->v[i].value);
    }
}

static uint64_t hash_of(const struct labels *ls)
{
    struct buf b = {0};
    uint64_t h;

    encode_labels(&b, ls);
    h = hash64(b.p, b.n);
    buf_release(&b);
    return h;
}

/* Under mu. */
static bool is_news(const struct ring *r, const struct tsdb_exemplar *ex)
{
    if (!r || ex->t > r->t)
        return true;
    return ex->t == r->t && (f64_bits(ex->v) != f64_bits(r->v) || hash_of(&ex->labels) != r->labels_hash);
}

static bool well_formed(const struct tsdb_exemplar *ex)
{
    size_t runes = 0;

    for (uint32_t i = 0; i < ex->labels.n; i++) {
        if (!utf8_valid(ex->labels.v[i].name) || !utf8_valid(ex->labels.v[i].value))
            return false;
        runes += utf8_count(ex->labels.v[i].name) + utf8_count(ex->labels.v[i].value);
    }
    return runes <= RUNES_MAX;
}

bool exemplars_accepts(struct exemplars *x, struct hash128 id, const struct tsdb_exemplar *ex)
{
    const struct ring *r;
    bool news;

    if (!x->per_series || !well_formed(ex))
        return false;
    pthread_mutex_lock(&x->mu);
    r = *ring_slot(x, id);
    news = is_news(r, ex) && (r || x->n < RINGS_MAX);
    pthread_mutex_unlock(&x->mu);
    return news;
}

static void grow(struct exemplars *x)
{
    struct ring **old = x->slots;
    uint32_t n = x->mask + 1;

    x->mask = x->mask * 2 + 1;
    x->slots = x_zalloc(sizeof(struct ring *) * ((size_t)x->mask + 1));
    for (uint32_t i = 0; i < n; i++)
        if (old[i])
            *ring_slot(x, old[i]->id) = old[i];
    free(old);
}

void exemplars_add(struct exemplars *x, struct hash128 id, const struct tsdb_exemplar *ex)
{
    struct ring **slot, *r;
    struct buf labels = {0};
    size_t n;

    pthread_mutex_lock(&x->mu);
    slot = ring_slot(x, id);
    r = *slot;
    if (!x->per_series || !is_news(r, ex) || (!r && x->n >= RINGS_MAX)) {
        pthread_mutex_unlock(&x->mu);
        return;
    }
    if (!r) {
        r = *slot = x_zalloc(sizeof *r);
        r->id = id;
        x->n++;
    }
    if (r->n == x->per_series) {
        free(r->items[0].labels);
        memmove(r->items, r->items + 1, sizeof *r->items * --r->n);
    }
    if (r->n == r->cap) {
        r->cap = MIN(r->cap ? r->cap * 2 : 2, x->per_series);
        r->items = x_realloc(r->items, sizeof *r->items * r->cap);
    }
    encode_labels(&labels, &ex->labels);
    r->t = ex->t;
    r->v = ex->v;
    r->labels_hash = hash64(labels.p, labels.n);
    r->items[r->n++] =
        (struct item){.t = ex->t, .v = ex->v, .nlabels = ex->labels.n, .labels = buf_detach(&labels, &n)};
    r->items[r->n - 1].labels_n = (uint32_t)n;
    if (x->n * 2 > x->mask)
        grow(x);
    pthread_mutex_unlock(&x->mu);
}

/* --- down --------------------------------------------------------------------------------------- */

static void put_record(struct buf *b, const struct ring *r, const struct item *it)
{
    buf_put_u64(b, r->id.lo);
    buf_put_u64(b, r->id.hi);
    buf_put_varint(b, zigzag(it->t));
    buf_put_u64(b, f64_bits(it->v));
    buf_put_varint(b, it->nlabels);
    buf_put(b, it->labels, it->labels_n);
}

static int put_value(struct txn *t, uint64_t number, struct buf *b, struct err *e)
{
    char key[9] = {'X'};
    struct str part = buf_str(b);

    for (int i = 0; i < 8; i++)
        key[1 + i] = (char)(number >> (56 - 8 * i));
    buf_reset(b);
    return txn_put(t, str_n(key, sizeof key), &part, 1, e);
}

uint32_t exemplars_days(struct exemplars *x, int32_t *out, uint32_t max)
{
    uint32_t n = 0;

    pthread_mutex_lock(&x->mu);
    for (uint32_t i = 0; i <= x->mask; i++)
        for (uint32_t k = 0; x->slots[i] && k < x->slots[i]->n; k++) {
            int32_t day = day_of_ms(x->slots[i]->items[k].t);
            uint32_t d = 0;
            while (d < n && out[d] != day)
                d++;
            if (d == n && n < max)
                out[n++] = day;
        }
    pthread_mutex_unlock(&x->mu);
    return n;
}

int exemplars_flush(struct exemplars *x, int32_t day, struct txn *t, struct err *e)
{
    uint64_t number = (uint64_t)clock_wall_ns();
    struct buf b = {0};
    int rc = 0;

    pthread_mutex_lock(&x->mu);
    for (uint32_t i = 0; i <= x->mask; i++)
        for (uint32_t k = 0; x->slots[i] && k < x->slots[i]->n; k++) {
            struct item *it = &x->slots[i]->items[k];
            it->writing = day_of_ms(it->t) == day;
            if (!it->writing || rc < 0)
                continue;
            put_record(&b, x->slots[i], it);
            if (b.n > VALUE_MAX / 2)
                rc = put_value(t, number++, &b, e);
        }
    if (rc == 0 && b.n)
        rc = put_value(t, number, &b, e);
    pthread_mutex_unlock(&x->mu);
    buf_release(&b);
    return rc;
}

void exemplars_flushed(struct exemplars *x, int32_t day)
{
    (void)day;
    pthread_mutex_lock(&x->mu);
    for (uint32_t i = 0; i <= x->mask; i++) {
        struct ring *r = x->slots[i];
        uint32_t kept = 0;
        for (uint32_t k = 0; r && k < r->n; k++) {
            if (r->items[k].writing)
                free(r->items[k].labels);
            else
                r->items[kept++] = r->items[k];
        }
        if (r)
            r->n = kept;
    }
    pthread_mutex_unlock(&x->mu);
}

int exemplars_copy(struct partition *from, struct partition *to, struct err *e)
{
    struct txn *r, *w;
    struct txn_iter it = {0};
    struct str key, value;
    int rc = txn_read(from, &r, e), n = 0;

    if (rc < 0)
        return rc;
    rc = txn_write(to, &w, e);
    if (rc < 0) {
        txn_end(r);
        return rc;
    }
    while ((rc = txn_iter_next(r, &it, STR("X"), STR_NULL, &key, &value, e)) == 0) {
        rc = txn_put(w, key, &value, 1, e);
        if (rc < 0)
            break;
        n++;
    }
    txn_iter_end(&it);
    txn_end(r);
    if (rc < 0 || n == 0) {
        txn_end(w);
        return rc < 0 ? rc : 0;
    }
    return txn_commit(w, 0, e);
}

/* --- out ---------------------------------------------------------------------------------------- */

/* Exemplars of one series, gathered in the arena. */
struct gathered {
    struct tsdb_exemplar *v;
    uint32_t n, cap;
};

struct gathering {
    struct arena *a;
    int64_t mint, maxt;
    struct map index; /* id bytes -> struct gathered + 1 offset */
    struct gathered *of;
};

static bool get_text(const uint8_t **p, const uint8_t *end, struct str *out)
{
    uint64_t n;

    *p = get_varint(*p, end, &n);
    if (!*p || n > (uint64_t)(end - *p))
        return false;
    *out = str_n(*p, n);
    *p += n;
    return true;
}

static bool get_labels(struct arena *a, const uint8_t **p, const uint8_t *end, uint64_t n, struct labels *ls)
{
    if (n > RUNES_MAX)
        return false;
    *ls = (struct labels){arena_array(a, struct label, n), (uint32_t)n};
    for (uint64_t i = 0; i < n; i++)
        if (!get_text(p, end, &ls->v[i].name) || !get_text(p, end, &ls->v[i].value))
            return false;
    return true;
}

static void gather(struct gathering *g, struct gathered *of, const struct tsdb_exemplar *ex)
{
    struct tsdb_exemplar copy = {labels_dup(g->a, &ex->labels), ex->v, ex->t};

    if (of->n == of->cap) {
        struct tsdb_exemplar *more = arena_array(g->a, struct tsdb_exemplar, of->cap ? of->cap * 2 : 8);
        if (of->n)
            memcpy(more, of->v, sizeof *more * of->n);
        of->v = more;
        of->cap = of->cap ? of->cap * 2 : 8;
    }
    of->v[of->n++] = copy;
}

static void gather_records(struct gathering *g, struct str value)
{
    const uint8_t *p = (const uint8_t *)value.p, *end = p + value.n;
    struct arena scratch = {0};

    while (end - p >= 16) {
        struct gathered *of = map_get(&g->index, str_n(p, 16));
        struct tsdb_exemplar ex;
        uint64_t z, n;
        if (!(p = get_varint(p + 16, end, &z)) || end - p < 8)
            break;
        ex.t = unzigzag(z);
        ex.v = f64_from_bits(get_u64le(p));
        if (!(p = get_varint(p + 8, end, &n)) || !get_labels(&scratch, &p, end, n, &ex.labels))
            break;
        if (of && ex.t >= g->mint && ex.t <= g->maxt)
            gather(g, of, &ex);
        arena_reset(&scratch);
    }
    arena_release(&scratch);
}

static int gather_day(struct gathering *g, struct partition *p, struct err *e)
{
    struct txn *t;
    struct txn_iter it = {0};
    struct str key, value;
    int rc = txn_read(p, &t, e);

    if (rc < 0)
        return rc;
    while ((rc = txn_iter_next(t, &it, STR("X"), STR_NULL, &key, &value, e)) == 0)
        gather_records(g, value);
    txn_iter_end(&it);
    txn_end(t);
    return rc < 0 ? rc : 0;
}

static void gather_ring(struct gathering *g, struct exemplars *x, struct hash128 id, struct gathered *of)
{
    struct arena scratch = {0};
    struct ring *r;

    pthread_mutex_lock(&x->mu);
    r = *ring_slot(x, id);
    for (uint32_t i = 0; r && i < r->n; i++) {
        const struct item *it = &r->items[i];
        const uint8_t *p = (const uint8_t *)it->labels, *end = p + it->labels_n;
        struct tsdb_exemplar ex = {.v = it->v, .t = it->t};
        if (it->t >= g->mint && it->t <= g->maxt && get_labels(&scratch, &p, end, it->nlabels, &ex.labels))
            gather(g, of, &ex);
        arena_reset(&scratch);
    }
    pthread_mutex_unlock(&x->mu);
    arena_release(&scratch);
}

static int by_time(const void *a, const void *b)
{
    const struct tsdb_exemplar *x = a, *y = b;

    return (x->t > y->t) - (x->t < y->t);
}

/* In order of time, the same one only once (a flush may have happened while we looked). */
static void settle(struct gathered *of)
{
    uint32_t kept = 0;

    if (of->n)
        qsort(of->v, of->n, sizeof *of->v, by_time);
    for (uint32_t i = 0; i < of->n; i++) {
        const struct tsdb_exemplar *x = &of->v[i];
        bool twice = false;
        for (uint32_t k = kept; k-- > 0 && of->v[k].t == x->t && !twice;)
            twice = f64_bits(of->v[k].v) == f64_bits(x->v) && labels_eq(&of->v[k].labels, &x->labels);
        if (!twice)
            of->v[kept++] = *x;
    }
    of->n = kept;
}

static struct hash128 id_of(struct tsdb_select *s, uint32_t i)
{
    if (s->heads[i])
        return s->heads[i]->id;
    for (uint32_t d = s->ndays; d-- > 0;)
        if (s->sids[(size_t)i * s->ndays + d] != DAY_NO_SID)
            return day_view_id(s->days[d], s->sids[(size_t)i * s->ndays + d]);
    return (struct hash128){0, 0};
}

static int gather_all(struct tsdb *db, struct tsdb_select *s, struct gathering *g, struct err *e)
{
    int rc = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        struct hash128 id = id_of(s, i);
        char *key = arena_alloc(g->a, 16);
        put_u64le(key, id.lo);
        put_u64le(key + 8, id.hi);
        *map_put(&g->index, str_n(key, 16), NULL) = &g->of[i];
        gather_ring(g, db->exemplars, id, &g->of[i]);
    }
    for (uint32_t d = 0; rc == 0 && d < s->partitions.n; d++)
        rc = gather_day(g, s->partitions.v[d], e);
    return rc;
}

int tsdb_exemplars(struct tsdb *db, const struct matcher *m, uint32_t nm, int64_t mint, int64_t maxt, struct arena *a,
                   struct tsdb_series_exemplars **out, uint32_t *n, struct err *e)
{
    struct tsdb_select_opts o = {.matchers = m, .nmatchers = nm, .mint = mint, .maxt = maxt, .want = TSDB_NO_DATA};
    struct gathering g = {.a = a, .mint = mint, .maxt = maxt};
    struct tsdb_select *s;
    int rc;

    /* An exemplar may stand some way off the samples of its series: look for those of a day around. */
    o.mint = mint > INT64_MIN + DAY_MS ? mint - DAY_MS : INT64_MIN;
    rc = tsdb_select_open(db, &o, &s, e);

    if (rc < 0)
        return rc;
    *n = 0;
    g.of = arena_array(a, struct gathered, s->n);
    *out = arena_array(a, struct tsdb_series_exemplars, s->n);
    rc = gather_all(db, s, &g, e);
    for (uint32_t i = 0; rc == 0 && i < s->n; i++) {
        struct labels ls;
        settle(&g.of[i]);
        if (g.of[i].n == 0)
            continue;
        rc = select_labels(s, i, a, &ls, e);
        if (rc == 0)
            (*out)[(*n)++] = (struct tsdb_series_exemplars){labels_dup(a, &ls), g.of[i].v, g.of[i].n};
    }
    map_release(&g.index);
    tsdb_select_close(s);
    return rc;
}
