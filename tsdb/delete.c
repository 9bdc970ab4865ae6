/*
 * delete.c - tombstones: what was deleted, kept in the state file until no partition holds it any more.
 *
 *     "tsdb/tombstone/" number   version 1 | zigzag mint, maxt | varint matchers | each: op byte, text name, text value
 *
 * (1) A deletion is durable before tsdb_delete returns, and hides its samples from every select that is opened later.
 * (2) It reaches no further than the newest sample known when it was made: what comes after is not deleted.
 */
#include "tsdb/db.h"
#include "tsdb/rollup_day.h"

#include <stdio.h>
#include <stdlib.h>

enum { VERSION = 1, MATCHERS_MAX = 1000, TOMBSTONES_MAX = 10000 };
#define STATE_PREFIX "tsdb/tombstone/"

struct tombstone {
    _Atomic uint32_t refs;
    uint64_t number;
    int64_t mint, maxt;
    struct arena arena;
    struct matcher *matchers;
    uint32_t nmatchers;
};

struct tombstones {
    /* Under mu. */
    pthread_mutex_t mu;
    struct tombstone **v;
    uint32_t n;
    uint64_t next;
    _Atomic uint32_t count; /* n, for a quick look */
};

struct tombstone_set {
    struct day_filter filter;
    uint32_t n;
    struct tombstone *v[];
};

static void unref(struct tombstone *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) > 1)
        return;
    for (uint32_t i = 0; i < t->nmatchers; i++)
        matcher_release(&t->matchers[i]);
    arena_release(&t->arena);
    free(t);
}

struct tombstones *tombstones_new(void)
{
    struct tombstones *t = x_zalloc(sizeof *t);

    pthread_mutex_init(&t->mu, NULL);
    return t;
}

void tombstones_free(struct tombstones *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n; i++)
        unref(t->v[i]);
    free(t->v);
    pthread_mutex_destroy(&t->mu);
    free(t);
}

/* Takes t's reference. Under mu, or alone. */
static void add(struct tombstones *ts, struct tombstone *t)
{
    ts->v = x_realloc(ts->v, sizeof(struct tombstone *) * (ts->n + 1));
    ts->v[ts->n++] = t;
    ts->next = MAX(ts->next, t->number + 1);
    atomic_store(&ts->count, ts->n);
}

/* --- state -------------------------------------------------------------------------------------- */

static void put_text(struct buf *b, struct str s)
{
    buf_put_varint(b, s.n);
    buf_puts(b, s);
}

static bool get_text(struct arena *a, const uint8_t **p, const uint8_t *end, struct str *out)
{
    uint64_t n;

    *p = get_varint(*p, end, &n);
    if (!*p || n > (uint64_t)(end - *p))
        return false;
    *out = arena_dup(a, str_n(*p, n));
    *p += n;
    return true;
}

static struct str key_of(uint64_t number, char out[64])
{
    return str_n(out, (size_t)snprintf(out, 64, STATE_PREFIX "%016llx", (unsigned long long)number));
}

static void encode(const struct tombstone *t, struct buf *b)
{
    buf_putc(b, VERSION);
    buf_put_varint(b, zigzag(t->mint));
    buf_put_varint(b, zigzag(t->maxt));
    buf_put_varint(b, t->nmatchers);
    for (uint32_t i = 0; i < t->nmatchers; i++) {
        buf_putc(b, (char)t->matchers[i].op);
        put_text(b, t->matchers[i].name);
        put_text(b, t->matchers[i].value);
    }
}

static bool parse(struct tombstone *t, struct str value)
{
    const uint8_t *p = (const uint8_t *)value.p, *end = p + value.n;
    uint64_t mint, maxt, n;

    if (value.n == 0 || *p++ != VERSION || !(p = get_varint(p, end, &mint)) || !(p = get_varint(p, end, &maxt)) ||
        !(p = get_varint(p, end, &n)) || n > MATCHERS_MAX)
        return false;
    t->mint = unzigzag(mint);
    t->maxt = unzigzag(maxt);
    t->matchers = arena_array(&t->arena, struct matcher, n);
    for (uint64_t i = 0; i < n; i++) {
        struct str name, text;
        uint8_t op;
        if (p == end || (op = *p++) > MATCH_NRE || !get_text(&t->arena, &p, end, &name) ||
            !get_text(&t->arena, &p, end, &text) ||
            matcher_init(&t->matchers[i], (enum match_op)op, name, text, NULL) < 0)
            return false;
        t->nmatchers++;
    }
    return p == end;
}

static int load_one(void *arg, struct str key, struct str value)
{
    struct tombstones *ts = arg;
    struct tombstone *t = x_zalloc(sizeof *t);
    struct str hex = str_from(key, sizeof STATE_PREFIX - 1);

    t->refs = 1;
    for (size_t i = 0; i < hex.n; i++)
        t->number = t->number << 4 | (uint64_t)(hex.p[i] <= '9' ? hex.p[i] - '0' : hex.p[i] - 'a' + 10);
    if (parse(t, value)) {
        add(ts, t);
    } else {
        log_warn("tsdb", "deletion %.*s is unreadable and not in force", STR_ARG(key));
        unref(t);
    }
    return 0;
}

int tombstones_load(struct tombstones *t, struct state *s, struct err *e)
{
    return state_each(s, STR(STATE_PREFIX), load_one, t, e);
}

/* --- in ----------------------------------------------------------------------------------------- */

static int copy_matchers(struct tombstone *t, const struct matcher *m, uint32_t nm, struct err *e)
{
    t->matchers = arena_array(&t->arena, struct matcher, nm);
    for (uint32_t i = 0; i < nm; i++) {
        int rc = matcher_init(&t->matchers[i], m[i].op, arena_dup(&t->arena, m[i].name),
                              arena_dup(&t->arena, m[i].value), e);
        if (rc < 0)
            return rc;
        t->nmatchers++;
    }
    return 0;
}

static int save(struct tsdb *db, struct tombstone *t, struct err *e)
{
    struct buf b = {0};
    char key[64];
    int rc;

    encode(t, &b);
    rc = state_put(store_state(db->store), key_of(t->number, key), buf_str(&b), e);
    buf_release(&b);
    return rc;
}

/* Everything that b deletes, a deletes too. */
static bool covers(const struct tombstone *a, const struct tombstone *b)
{
    if (a->mint > b->mint || a->maxt < b->maxt || a->nmatchers != b->nmatchers)
        return false;
    for (uint32_t i = 0; i < a->nmatchers; i++) {
        const struct matcher *x = &a->matchers[i], *y = &b->matchers[i];
        if (x->op != y->op || !str_eq(x->name, y->name) || !str_eq(x->value, y->value))
            return false;
    }
    return true;
}

static bool in_force(const struct tombstones *ts, const struct tombstone *t)
{
    for (uint32_t i = 0; i < ts->n; i++)
        if (covers(ts->v[i], t))
            return true;
    return false;
}

/* What somebody deletes again and again, a little further each time, is one deletion. Under mu; t is saved. */
static void drop_covered(struct tsdb *db, struct tombstones *ts, const struct tombstone *t)
{
    for (uint32_t i = 0; i < ts->n;) {
        struct tombstone *old = ts->v[i];
        struct err e;
        char key[64];
        if (old == t || !covers(t, old)) {
            i++;
        } else if (state_del(store_state(db->store), key_of(old->number, key), &e) < 0) {
            log_warn("tsdb", "a deletion that says nothing more stays: %s", e.text);
            i++;
        } else {
            ts->v[i] = ts->v[--ts->n];
            unref(old);
        }
    }
    atomic_store(&ts->count, ts->n);
}

int tsdb_delete(struct tsdb *db, const struct matcher *m, uint32_t nm, int64_t mint, int64_t maxt, struct err *e)
{
    struct tombstones *ts = db->tombstones;
    int64_t newest = MAX(MAX(atomic_load(&db->head.maxt), atomic_load(&db->disk_maxt)), clock_wall_ms());
    struct tombstone *t;
    int rc;

    maxt = MIN(maxt, newest);
    if (mint > maxt)
        return 0;
    if (nm == 0 || nm > MATCHERS_MAX)
        return err_set(e, ERR_INVALID, "deleting needs 1 to %d matchers", MATCHERS_MAX);
    t = x_zalloc(sizeof *t);
    t->refs = 1;
    t->mint = mint;
    t->maxt = maxt;
    rc = copy_matchers(t, m, nm, e);
    pthread_mutex_lock(&ts->mu);
    t->number = ts->next;
    if (rc == 0 && in_force(ts, t)) {
        pthread_mutex_unlock(&ts->mu);
        unref(t);
        return 0;
    }
    if (rc == 0 && ts->n >= TOMBSTONES_MAX)
        rc = err_set(e, ERR_LIMIT, "%d deletions are in force already; clean them first", TOMBSTONES_MAX);
    if (rc == 0)
        rc = save(db, t, e);
    if (rc == 0) {
        add(ts, t);
        drop_covered(db, ts, t);
    }
    pthread_mutex_unlock(&ts->mu);
    if (rc < 0)
        unref(t);
    return rc < 0 ? err_ctx(e, "delete") : 0;
}

/* --- in force ----------------------------------------------------------------------------------- */

static bool filter_touches(void *arg, const struct labels *ls, int64_t mint, int64_t maxt)
{
    const struct tombstone_set *s = arg;

    for (uint32_t i = 0; i < s->n; i++)
        if (s->v[i]->mint <= maxt && s->v[i]->maxt >= mint && matchers_match(s->v[i]->matchers, s->v[i]->nmatchers, ls))
            return true;
    return false;
}

static bool filter_keep(void *arg, const struct labels *ls, int64_t t)
{
    return !filter_touches(arg, ls, t, t);
}

struct tombstone_set *tombstones_in(struct tombstones *t, int64_t mint, int64_t maxt)
{
    struct tombstone_set *s;

    if (atomic_load(&t->count) == 0)
        return NULL;
    pthread_mutex_lock(&t->mu);
    s = x_zalloc(sizeof *s + sizeof(struct tombstone *) * t->n);
    for (uint32_t i = 0; i < t->n; i++)
        if (t->v[i]->mint <= maxt && t->v[i]->maxt >= mint) {
            atomic_fetch_add(&t->v[i]->refs, 1);
            s->v[s->n++] = t->v[i];
        }
    pthread_mutex_unlock(&t->mu);
    s->filter = (struct day_filter){filter_touches, filter_keep, s};
    if (s->n)
        return s;
    free(s);
    return NULL;
}

void tombstone_set_unref(struct tombstone_set *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        unref(s->v[i]);
    free(s);
}

uint32_t tombstone_ranges(const struct tombstone_set *s, const struct labels *ls, struct arena *a, int64_t **out)
{
    uint32_t n = 0;

    *out = arena_array(a, int64_t, 2 * (size_t)s->n);
    for (uint32_t i = 0; i < s->n; i++)
        if (matchers_match(s->v[i]->matchers, s->v[i]->nmatchers, ls)) {
            (*out)[2 * n] = s->v[i]->mint;
            (*out)[2 * n++ + 1] = s->v[i]->maxt;
        }
    return n;
}

const struct day_filter *tombstone_filter(struct tombstone_set *s)
{
    return s ? &s->filter : NULL;
}

/* --- cleaning ----------------------------------------------------------------------------------- */

/* Has one of the series a sample in the window? */
static int any_sample(struct day_view *v, const roaring_bitmap_t *sids, const struct tombstone *t, bool *out, struct err *e)
{
    uint32_t n = (uint32_t)roaring_bitmap_get_cardinality(sids), *list = x_alloc(sizeof *list * (n + 1)), pieces;
    const struct day_piece *piece;
    struct day_reader *r;
    int rc = day_reader_open(v, t->mint, t->maxt, &r, e);

    if (rc == 0) {
        roaring_bitmap_to_uint32_array(sids, list);
        day_view_order(v, list, n);
        for (uint32_t i = 0; rc == 0 && !*out && i < n; i++) {
            rc = day_reader_get(r, list[i], &piece, &pieces, e);
            for (uint32_t k = 0; rc == 0 && k < pieces; k++)
                *out |= piece[k].n > 0;
        }
        day_reader_close(r);
    }
    free(list);
    return rc;
}

/* Does the day hold something that t hides? */
static int day_holds(struct partition *p, const struct tombstone *t, bool *out, struct err *e)
{
    roaring_bitmap_t *sids;
    struct day_view *v;
    int rc = day_view_open(p, &v, e);

    *out = false;
    if (rc < 0)
        return rc;
    rc = day_view_match(v, t->matchers, t->nmatchers, &sids, e);
    if (rc == 0) {
        rc = any_sample(v, sids, t, out, e);
        roaring_bitmap_free(sids);
    }
    day_view_close(v);
    return rc;
}

/* A live day is merged without what is deleted, a sealed one written anew; a day that holds nothing of it is left alone. */
static int clean_day(struct tsdb *db, struct partition *p, struct tombstone_set *gone, struct err *e)
{
    bool holds = false, did;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && !holds && i < gone->n; i++)
        rc = day_holds(p, gone->v[i], &holds, e);
    if (rc < 0 || !holds)
        return rc;
    if (!partition_sealed(p))
        return day_merge(p, tombstone_filter(gone), &did, e);
    rc = store_reseal(db->store, TSDB_SIGNAL, partition_day(p), e);
    return rc == ERR_AGAIN || rc == ERR_NOT_FOUND ? 0 : rc; /* written or dropped meanwhile: the deletion stays in force */
}

static int clean_days(struct tsdb *db, struct err *e)
{
    struct partition_list l;
    int rc = 0;

    store_partitions(db->store, TSDB_SIGNAL, INT64_MIN, INT64_MAX, &l);
    for (uint32_t i = 0; rc == 0 && i < l.n; i++) {
        int64_t from = day_start_ms(partition_day(l.v[i]));
        struct tombstone_set *gone = tombstones_in(db->tombstones, from, from + 86400000 - 1);
        if (gone)
            rc = clean_day(db, l.v[i], gone, e);
        tombstone_set_unref(gone);
    }
    partition_list_release(&l);
    return rc;
}

/* Is there still anything in the times of t? Not only what it hides: a row that comes late shall not depend on this cleaning. */
static bool reaches(struct tsdb *db, const char *signal, const struct tombstone *t)
{
    struct partition_list l;
    bool needed = false;

    store_partitions(db->store, signal, t->mint, t->maxt, &l);
    for (uint32_t i = 0; i < l.n && !needed; i++) {
        int64_t from, to;
        needed = !partition_user(l.v[i]) ||
                 (day_times(partition_user(l.v[i]), &from, &to) && from <= t->maxt && to >= t->mint);
    }
    partition_list_release(&l);
    return needed;
}

static bool still_needed(struct tsdb *db, const struct tombstone *t)
{
    return reaches(db, TSDB_SIGNAL, t) || reaches(db, ROLLUP_5M_SIGNAL, t) || reaches(db, ROLLUP_1H_SIGNAL, t) ||
           (atomic_load(&db->head.mint) <= t->maxt && atomic_load(&db->head.maxt) >= t->mint);
}

int tsdb_clean_tombstones(struct tsdb *db, struct err *e)
{
    struct tombstones *ts = db->tombstones;
    int rc;

    if (atomic_load(&ts->count) == 0)
        return 0;
    if ((rc = store_flush(db->store, TSDB_SIGNAL, e)) < 0 || (rc = clean_days(db, e)) < 0)
        return rc;
    pthread_mutex_lock(&ts->mu);
    for (uint32_t i = 0; rc == 0 && i < ts->n;) {
        char key[64];
        if (still_needed(db, ts->v[i])) {
            i++;
            continue;
        }
        rc = state_del(store_state(db->store), key_of(ts->v[i]->number, key), e);
        if (rc == 0) {
            unref(ts->v[i]);
            ts->v[i] = ts->v[--ts->n];
            atomic_store(&ts->count, ts->n);
        }
    }
    pthread_mutex_unlock(&ts->mu);
    return rc;
}
