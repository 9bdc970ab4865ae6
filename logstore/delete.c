/*
 * delete.c - deleted records: hidden from every read at once, gone from disk when their days are rewritten.
 *
 *   state "logs/delete/ID"   version u8 | done u8 | zigzag mint | zigzag maxt | zigzag created | query
 *
 * (1) What a read sees of deletes is a set taken when it begins. (2) A delete is done when every day that could hold such records
 * was rewritten or found without them, after a flush; from then on it hides nothing. What arrives later was not meant.
 */
#include "logstore/delete.h"

#include "logstore/db.h"
#include "logstore/rewrite.h"

#include <stdio.h>
#include <stdlib.h>

#define STATE_PREFIX "logs/delete/"
enum { VERSION = 1, DELETES_MAX = 1000, DONE_MAX = 200, QUERY_MAX = 16 * 1024 };

/* Counted: those who read hold it. */
struct delete {
    _Atomic uint32_t refs;
    struct log_delete d; /* query in the arena; done under mu */
    struct arena arena;
    const struct log_delete_filter *with;
    struct matcher *matchers;
    uint32_t nmatchers;
    void *filter;
    bool compiled;
};

struct log_deletes {
    struct log_delete_filter filter; /* before store_recover */
    bool has_filter;
    pthread_mutex_t mu;
    struct delete **v; /* under mu, by id */
    uint32_t n;
    uint64_t next;
    _Atomic uint32_t in_force;
};

struct log_delete_set {
    struct log_day_filter filter;
    uint32_t n;
    struct delete *v[];
};

static void unref(struct delete *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) > 1)
        return;
    for (uint32_t i = 0; i < d->nmatchers; i++)
        matcher_release(&d->matchers[i]);
    if (d->filter)
        d->with->release(d->filter);
    arena_release(&d->arena);
    free(d);
}

struct log_deletes *log_deletes_new(void)
{
    struct log_deletes *ds = x_zalloc(sizeof *ds);

    pthread_mutex_init(&ds->mu, NULL);
    ds->next = 1;
    return ds;
}

void log_deletes_free(struct log_deletes *ds)
{
    if (!ds)
        return;
    for (uint32_t i = 0; i < ds->n; i++)
        unref(ds->v[i]);
    free(ds->v);
    pthread_mutex_destroy(&ds->mu);
    free(ds);
}

uint32_t log_deletes_n(struct log_deletes *ds)
{
    return atomic_load(&ds->in_force);
}

bool log_deletes_due(struct logstore *ls, int64_t before_ns)
{
    struct log_deletes *ds = ls->deletes;
    bool due = false;

    if (atomic_load(&ds->in_force) == 0)
        return false;
    pthread_mutex_lock(&ds->mu);
    for (uint32_t i = 0; i < ds->n; i++)
        due |= ds->v[i]->compiled && !ds->v[i]->d.done && ds->v[i]->d.created_ns < before_ns;
    pthread_mutex_unlock(&ds->mu);
    return due;
}

static void add(struct log_deletes *ds, struct delete *d)
{
    ds->v = x_realloc(ds->v, (ds->n + 1) * sizeof(struct delete *));
    ds->v[ds->n++] = d;
    ds->next = MAX(ds->next, d->d.id + 1);
}

static bool is_in_force(const struct delete *d)
{
    return d->compiled && !d->d.done;
}

/* Under mu. */
static void count_in_force(struct log_deletes *ds)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < ds->n; i++)
        n += is_in_force(ds->v[i]);
    atomic_store(&ds->in_force, n);
}

static int compile(struct log_deletes *ds, struct delete *d, struct err *e)
{
    int rc;

    if (!ds->has_filter)
        return err_set(e, ERR_UNAVAILABLE, "nobody here understands what to delete");
    d->with = &ds->filter;
    rc = ds->filter.compile(ds->filter.arg, d->d.query, &d->arena, &d->matchers, &d->nmatchers, &d->filter, e);
    d->compiled = rc == 0;
    if (rc < 0)
        d->nmatchers = 0;
    return rc;
}

/* --- state --------------------------------------------------------------------------------------------- */

static struct str key_of(uint64_t id, char out[64])
{
    return str_n(out, (size_t)snprintf(out, 64, STATE_PREFIX "%016llx", (unsigned long long)id));
}

static int save(struct state *s, const struct delete *d, bool done, struct err *e)
{
    struct buf b = {0};
    char key[64];
    int rc;

    buf_putc(&b, VERSION);
    buf_putc(&b, done);
    buf_put_varint(&b, zigzag(d->d.mint_ns));
    buf_put_varint(&b, zigzag(d->d.maxt_ns));
    buf_put_varint(&b, zigzag(d->d.created_ns));
    buf_puts(&b, d->d.query);
    rc = state_put(s, key_of(d->d.id, key), buf_str(&b), e);
    buf_release(&b);
    return rc;
}

static struct delete *delete_new(struct str query, int64_t mint_ns, int64_t maxt_ns, int64_t created_ns)
{
    struct delete *d = x_zalloc(sizeof *d);

    d->refs = 1;
    d->d = (struct log_delete){.query = arena_dup(&d->arena, query), .mint_ns = mint_ns, .maxt_ns = maxt_ns, .created_ns = created_ns};
    return d;
}

static int load_one(void *arg, struct str key, struct str value)
{
    struct log_deletes *ds = arg;
    struct rd r = rd_of(value);
    struct str head = rd_bytes(&r, 2), hex = str_from(key, sizeof STATE_PREFIX - 1);
    int64_t mint = rd_zigzag(&r), maxt = rd_zigzag(&r), created = rd_zigzag(&r);
    struct delete *d;
    char text[32];

    if (r.bad || head.p[0] != VERSION || hex.n != 16) {
        log_warn("logstore", "deletion %.*s is unreadable and not in force", STR_ARG(key));
        return 0;
    }
    memcpy(text, hex.p, hex.n);
    text[hex.n] = '\0';
    d = delete_new(rd_bytes(&r, rd_left(&r)), mint, maxt, created);
    d->d.id = strtoull(text, NULL, 16);
    d->d.done = head.p[1] != 0;
    add(ds, d);
    return 0;
}

int log_deletes_load(struct log_deletes *ds, struct state *s, struct err *e)
{
    return state_each(s, STR(STATE_PREFIX), load_one, ds, e);
}

void logstore_delete_filter(struct logstore *ls, const struct log_delete_filter *f)
{
    struct log_deletes *ds = ls->deletes;

    ds->filter = *f;
    ds->has_filter = true;
    for (uint32_t i = 0; i < ds->n; i++) {
        struct err e = {0};
        if (!ds->v[i]->d.done && compile(ds, ds->v[i], &e) < 0)
            log_warn("logstore", "deletion %llu is not in force: %s", (unsigned long long)ds->v[i]->d.id, e.text);
    }
    count_in_force(ds);
}

/* --- in -------------------------------------------------------------------------------------------------- */

/* Of those that are done the oldest go. Under mu. */
static void forget_old(struct logstore *ls, struct log_deletes *ds)
{
    uint32_t done = 0;

    for (uint32_t i = 0; i < ds->n; i++)
        done += ds->v[i]->d.done;
    for (uint32_t i = 0; i < ds->n && done > DONE_MAX;) {
        struct delete *d = ds->v[i];
        struct err e;
        char key[64];
        if (!d->d.done || state_del(store_state(ls->store), key_of(d->d.id, key), &e) < 0) {
            i++;
            continue;
        }
        memmove(ds->v + i, ds->v + i + 1, (--ds->n - i) * sizeof(struct delete *));
        unref(d);
        done--;
    }
}

int logstore_delete(struct logstore *ls, struct str query, int64_t mint_ns, int64_t maxt_ns, uint64_t *id, struct err *e)
{
    struct log_deletes *ds = ls->deletes;
    struct delete *d;
    int rc;

    if (query.n > QUERY_MAX)
        return err_set(e, ERR_INVALID, "a query of %zu bytes, at most %d", query.n, QUERY_MAX);
    if (mint_ns > maxt_ns)
        return err_set(e, ERR_INVALID, "the end is before the start");
    d = delete_new(query, mint_ns, maxt_ns, clock_wall_ns());
    rc = compile(ds, d, e);
    pthread_mutex_lock(&ds->mu);
    if (rc == 0 && log_deletes_n(ds) >= DELETES_MAX)
        rc = err_set(e, ERR_LIMIT, "%d deletions are in force already", DELETES_MAX);
    d->d.id = ds->next;
    if (rc == 0)
        rc = save(store_state(ls->store), d, false, e);
    if (rc == 0) {
        *id = d->d.id;
        add(ds, d);
        forget_old(ls, ds);
        count_in_force(ds);
    }
    pthread_mutex_unlock(&ds->mu);
    if (rc < 0)
        unref(d);
    return rc;
}

int logstore_delete_cancel(struct logstore *ls, uint64_t id, struct err *e)
{
    struct log_deletes *ds = ls->deletes;
    int rc = err_set(e, ERR_NOT_FOUND, "there is no deletion %llu that could be taken back", (unsigned long long)id);
    struct delete *gone = NULL;
    char key[64];

    pthread_mutex_lock(&ds->mu);
    for (uint32_t i = 0; i < ds->n && !gone; i++) {
        if (ds->v[i]->d.id != id || ds->v[i]->d.done)
            continue;
        if ((rc = state_del(store_state(ls->store), key_of(id, key), e)) < 0)
            break;
        gone = ds->v[i];
        memmove(ds->v + i, ds->v + i + 1, (--ds->n - i) * sizeof(struct delete *));
    }
    count_in_force(ds);
    pthread_mutex_unlock(&ds->mu);
    unref(gone);
    return rc;
}

uint32_t logstore_deletes(struct logstore *ls, struct arena *a, struct log_delete **out)
{
    struct log_deletes *ds = ls->deletes;
    uint32_t n;

    pthread_mutex_lock(&ds->mu);
    n = ds->n;
    *out = arena_array(a, struct log_delete, n);
    for (uint32_t i = 0; i < n; i++) {
        (*out)[i] = ds->v[i]->d;
        (*out)[i].query = arena_dup(a, ds->v[i]->d.query);
    }
    pthread_mutex_unlock(&ds->mu);
    return n;
}

/* --- in force ---------------------------------------------------------------------------------------------- */

bool log_delete_touches(const struct log_delete_set *s, const struct labels *ls, int64_t mint_ns, int64_t maxt_ns)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->v[i]->d.mint_ns <= maxt_ns && s->v[i]->d.maxt_ns >= mint_ns && matchers_match(s->v[i]->matchers, s->v[i]->nmatchers, ls))
            return true;
    return false;
}

bool log_delete_has(const struct log_delete_set *s, const struct labels *ls, int64_t t_ns, struct str line, const struct label *meta, uint32_t nmeta)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const struct delete *d = s->v[i];
        if (t_ns >= d->d.mint_ns && t_ns <= d->d.maxt_ns && matchers_match(d->matchers, d->nmatchers, ls) &&
            (!d->filter || d->with->matches(d->filter, ls, t_ns, line, meta, nmeta)))
            return true;
    }
    return false;
}

static bool filter_touches(void *arg, const struct labels *ls, int64_t mint_ns, int64_t maxt_ns)
{
    return log_delete_touches(arg, ls, mint_ns, maxt_ns);
}

static bool filter_keep(void *arg, const struct labels *ls, int64_t t_ns, struct str line, const struct label *meta, uint32_t nmeta)
{
    return !log_delete_has(arg, ls, t_ns, line, meta, nmeta);
}

struct log_delete_set *log_deletes_in(struct log_deletes *ds, int64_t mint_ns, int64_t maxt_ns)
{
    struct log_delete_set *s;

    if (atomic_load(&ds->in_force) == 0)
        return NULL;
    pthread_mutex_lock(&ds->mu);
    s = x_zalloc(sizeof *s + sizeof(struct delete *) * ds->n);
    for (uint32_t i = 0; i < ds->n; i++)
        if (is_in_force(ds->v[i]) && ds->v[i]->d.mint_ns <= maxt_ns && ds->v[i]->d.maxt_ns >= mint_ns) {
            atomic_fetch_add(&ds->v[i]->refs, 1);
            s->v[s->n++] = ds->v[i];
        }
    pthread_mutex_unlock(&ds->mu);
    s->filter = (struct log_day_filter){filter_touches, filter_keep, s};
    if (s->n)
        return s;
    free(s);
    return NULL;
}

void log_delete_set_unref(struct log_delete_set *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        unref(s->v[i]);
    free(s);
}

const struct log_day_filter *log_delete_set_filter(const struct log_delete_set *s)
{
    return s ? &s->filter : NULL;
}

/* --- cleaning ------------------------------------------------------------------------------------------------ */

static int clean_day(struct logstore *ls, struct partition *p, const struct log_delete_set *gone, struct err *e)
{
    bool did = false, holds = false;
    int rc;

    if (!partition_sealed(p))
        return log_day_clean(p, log_delete_set_filter(gone), &did, e);
    if ((rc = log_day_holds_deleted(p, log_delete_set_filter(gone), &holds, e)) < 0 || !holds)
        return rc;
    rc = store_reseal(ls->store, LOGSTORE_SIGNAL, partition_day(p), e);
    return rc == ERR_NOT_FOUND ? 0 : rc; /* dropped meanwhile */
}

static int clean_days(struct logstore *ls, const struct log_delete_set *set, struct err *e)
{
    struct partition_list l;
    int64_t mint = INT64_MAX, maxt = INT64_MIN;
    int rc = 0;

    for (uint32_t i = 0; i < set->n; i++) {
        mint = MIN(mint, set->v[i]->d.mint_ns);
        maxt = MAX(maxt, set->v[i]->d.maxt_ns);
    }
    store_partitions(ls->store, LOGSTORE_SIGNAL, ms_of_ns(mint), ms_of_ns(maxt), &l);
    for (uint32_t i = 0; rc == 0 && i < l.n; i++)
        rc = clean_day(ls, l.v[i], set, e);
    partition_list_release(&l);
    return rc;
}

static int note_done(struct logstore *ls, const struct log_delete_set *set, struct err *e)
{
    struct log_deletes *ds = ls->deletes;
    int rc = 0;

    pthread_mutex_lock(&ds->mu);
    for (uint32_t i = 0; rc == 0 && i < ds->n; i++)
        for (uint32_t k = 0; k < set->n; k++)
            if (ds->v[i] == set->v[k] && (rc = save(store_state(ls->store), ds->v[i], true, e)) == 0)
                ds->v[i]->d.done = true;
    count_in_force(ds);
    pthread_mutex_unlock(&ds->mu);
    return rc;
}

int logstore_clean(struct logstore *ls, struct err *e)
{
    struct log_delete_set *set = log_deletes_in(ls->deletes, INT64_MIN, INT64_MAX);
    int rc = 0;

    if (!set)
        return 0;
    for (int i = 0; i < 5; i++) { /* a day may be written anew meanwhile */
        rc = store_flush(ls->store, LOGSTORE_SIGNAL, e);
        if (rc == 0)
            rc = clean_days(ls, set, e);
        if (rc != ERR_AGAIN)
            break;
    }
    if (rc == 0)
        rc = note_done(ls, set, e);
    log_delete_set_unref(set);
    return rc < 0 ? err_ctx(e, "cleaning what is deleted") : 0;
}
