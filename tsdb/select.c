/*
 * select.c - finding series: in the head, in each day of the window, and as one list.
 *
 * The order of the snapshots is what makes it right (head.h, 3): first which gens count as dropped, then the head's
 * series, then the partitions. A series that is gone from the head by then is at or below the floor we read with the
 * match.
 */
#include "tsdb/select.h"

#include "tsdb/match.h"

#include <assert.h>
#include <stdlib.h>

enum { PART_SERIES_MIN = 256, CHECK_SERIES = 8192 };

static uint32_t add_series(struct tsdb_select *s, struct series *head)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->heads = x_realloc(s->heads, sizeof(struct series *) * s->cap);
        s->sids = x_realloc(s->sids, sizeof *s->sids * s->cap * s->ndays);
    }
    s->heads[s->n] = head;
    for (uint32_t d = 0; d < s->ndays; d++)
        s->sids[(size_t)s->n * s->ndays + d] = DAY_NO_SID;
    return s->n++;
}

/* Between walks, with no lock held: gives way to others, too. */
static int pace(const struct tsdb_select *s, uint32_t i, struct err *e)
{
    return i % CHECK_SERIES == 0 && s->limits.check ? s->limits.check(s->limits.arg, 0, 0, e) : 0;
}

/* What the index would have found, series by series. head_match's contract. */
static int scan_head(struct head *h, const struct tsdb_select_opts *o, uint32_t **out, uint32_t *n, struct err *e)
{
    struct walk walk = {.limits = &o->limits};
    uint32_t *refs, kept = 0;
    struct arena a = {0};
    struct labels ls;

    pthread_rwlock_rdlock(&h->index_lock);
    refs = head_all(h, n);
    for (uint32_t i = 0; i < *n && !walk_must_end(&walk, WALK_A_VALUE); i++) {
        arena_reset(&a);
        head_labels(h, head_series(h, refs[i]), &a, &ls);
        if (matchers_match(o->matchers, o->nmatchers, &ls))
            refs[kept++] = refs[i];
    }
    arena_release(&a);
    if (walk.ended) {
        pthread_rwlock_unlock(&h->index_lock);
        free(refs);
        return walk_stopped(&walk, e);
    }
    *n = kept;
    *out = refs;
    return 0;
}

static int scan_day(struct day_view *v, const struct tsdb_select_opts *o, roaring_bitmap_t **out, struct err *e)
{
    roaring_bitmap_t *found = roaring_bitmap_create();
    struct arena a = {0};
    struct labels ls;
    int rc = 0;

    for (uint32_t sid = 0; sid < day_view_nseries(v) && rc == 0; sid++) {
        arena_reset(&a);
        rc = day_view_labels(v, sid, &a, &ls, e);
        if (rc == 0 && matchers_match(o->matchers, o->nmatchers, &ls))
            roaring_bitmap_add(found, sid);
    }
    arena_release(&a);
    if (rc < 0)
        roaring_bitmap_free(found);
    else
        *out = found;
    return rc;
}

/* Head series that match, as pointers: they stay while we are in the epoch, refs may not. */
static int match_head(struct tsdb_select *s, const struct tsdb_select_opts *o, struct err *e)
{
    struct head *h = &s->db->head;
    struct series **found;
    uint32_t n, *refs;

    int code = o->no_index ? scan_head(h, o, &refs, &n, e) : head_match(h, o->matchers, o->nmatchers, &s->limits, &refs, &n, e);

    if (code < 0)
        return code;
    s->floor = atomic_load(&s->db->keep_floor);
    found = x_alloc(sizeof(struct series *) * n);
    for (uint32_t i = 0; i < n; i++)
        found[i] = head_series(h, refs[i]);
    pthread_rwlock_unlock(&h->index_lock);
    free(refs);
    s->heads = found;
    s->n = s->cap = n;
    return 0;
}

/* --- days --------------------------------------------------------------------------------------- */

void select_warn(struct tsdb_select *s, const struct err *e)
{
    struct str *more = arena_array(&s->arena, struct str, s->nwarnings + 1);

    if (s->nwarnings)
        memcpy(more, s->warnings, sizeof *more * s->nwarnings);
    more[s->nwarnings++] = arena_printf(&s->arena, "data may be missing: %s", e->text);
    s->warnings = more;
}

/* Opens the days of the window. A damaged one is left out, and said so. */
int select_open_days(struct tsdb_select *s, struct err *e)
{
    int64_t newest = atomic_load(&s->db->disk_maxt), from, to;

    s->disk_maxt = newest;
    if (s->mint > newest)
        return 0;
    s->sid_gen = atomic_load(&s->db->sid_gen); /* before the list: what is replaced later is noticed */
    store_partitions(s->db->store, TSDB_SIGNAL, s->mint, MIN(s->maxt, newest), &s->partitions);
    s->days = x_zalloc(sizeof(struct day_view *) * s->partitions.n);
    s->day_numbers = arena_array(&s->arena, int32_t, s->partitions.n);
    for (uint32_t i = 0; i < s->partitions.n; i++) {
        struct partition *p = s->partitions.v[i];
        struct err why = {0};
        int rc;
        if (!partition_user(p) || !day_times(partition_user(p), &from, &to) || from > s->maxt || to < s->mint)
            continue;
        rc = day_view_open(p, &s->days[s->ndays], &why);
        if (rc == 0)
            day_view_limit(s->days[s->ndays], &s->limits);
        if (rc == ERR_CORRUPT) {
            partition_damaged(p, &why);
            select_warn(s, &why);
        } else if (rc < 0) {
            if (e)
                *e = why;
            return rc;
        } else {
            s->day_numbers[s->ndays++] = partition_day(p);
        }
    }
    if (s->rollup)
        select_open_rollups(s, MIN(s->maxt, newest));
    return 0;
}

/* --- meeting: series of the head and of days are one by identity --------------------------------- */

struct meet_slot {
    struct hash128 id;
    uint32_t index1;
};
struct meet {
    struct meet_slot *slots;
    uint32_t mask, n;
};

static struct meet_slot *meet_slot(const struct meet *m, struct hash128 id)
{
    uint32_t i = (uint32_t)id.hi & m->mask;

    while (m->slots[i].index1 && !hash128_eq(m->slots[i].id, id))
        i = (i + 1) & m->mask;
    return &m->slots[i];
}

static void meet_init(struct meet *m, uint64_t n)
{
    m->n = 0;
    m->mask = 63;
    while ((uint64_t)m->mask < n * 2)
        m->mask = m->mask * 2 + 1;
    m->slots = x_zalloc(sizeof *m->slots * ((size_t)m->mask + 1));
}

static struct meet_slot *meet_put(struct meet *m, struct hash128 id)
{
    struct meet old = *m;

    if (m->n * 2 >= m->mask) {
        meet_init(m, (uint64_t)old.n * 2);
        for (uint32_t i = 0; i <= old.mask; i++)
            if (old.slots[i].index1) {
                *meet_slot(m, old.slots[i].id) = old.slots[i];
                m->n++;
            }
        free(old.slots);
    }
    return meet_slot(m, id);
}

/* A series that only days have. */
static uint32_t meet_add(struct tsdb_select *s, struct meet *m, struct hash128 id)
{
    struct meet_slot *slot = meet_put(m, id);

    assert(!slot->index1);
    *slot = (struct meet_slot){id, add_series(s, NULL) + 1};
    m->n++;
    return s->n - 1;
}

/* Only series of the head can have samples in the window; their older samples may be in the days. */
static int find_in_days(struct tsdb_select *s, struct err *e)
{
    bool sids_hold = s->sid_gen == atomic_load(&s->db->sid_gen) && s->sid_gen == atomic_load(&s->db->sid_gen_seen);

again:
    for (uint32_t d = 0; d < s->ndays; d++) {
        int32_t day = s->day_numbers[d];
        uint32_t sid, nseries = day_view_nseries(s->days[d]);
        for (uint32_t i = 0; i < s->n; i++) {
            if (i + 8 < s->n)
                __builtin_prefetch((const char *)s->heads[i + 8] + 64);
            /* A sid that a running flush has just given out is not in our view yet. */
            if (!sids_hold || series_sid(s->heads[i], &sid) != day)
                sid = day_view_find(s->days[d], s->heads[i]->id);
            s->sids[(size_t)i * s->ndays + d] = sid < nseries ? sid : DAY_NO_SID;
            if (pace(s, i + 1, e) < 0)
                return e->code;
        }
    }
    if (sids_hold &&
        s->sid_gen !=
            atomic_load(
                &s->db->sid_gen)) { /* a day was replaced meanwhile, and a flush may have noted sids of the new one */
        sids_hold = false;
        goto again;
    }
    return 0;
}

void select_find_sids(struct tsdb_select *s, uint32_t i)
{
    for (uint32_t d = 0; d < s->ndays; d++)
        s->sids[(size_t)i * s->ndays + d] = day_view_find(s->days[d], s->heads[i]->id);
}

/* What is found in the only place there is: nothing has to meet, so nobody asks for identities. */
static int add_all(struct tsdb_select *s, const roaring_bitmap_t *found, struct err *e)
{
    uint32_t n = (uint32_t)roaring_bitmap_get_cardinality(found);

    assert(s->n == 0 && s->ndays == 1);
    free(s->heads);
    free(s->sids);
    s->heads = x_zalloc(sizeof(struct series *) * n);
    s->sids = x_alloc(sizeof *s->sids * n);
    s->n = s->cap = n;
    roaring_bitmap_to_uint32_array(found, s->sids);
    return pace(s, 0, e);
}

/* m NULL: the day is the only place. */
static int match_day(struct tsdb_select *s, const struct tsdb_select_opts *o, uint32_t d, struct meet *m, struct err *e)
{
    struct day_view *v = s->days[d];
    enum { AHEAD = 32 };
    roaring_bitmap_t *found;
    roaring_uint32_iterator_t it;
    uint32_t sids[AHEAD], n, done = 0;
    struct hash128 ids[AHEAD];
    int rc = o->no_index ? scan_day(v, o, &found, e) : day_view_match(v, o->matchers, o->nmatchers, &found, e);

    if (rc < 0)
        return rc;
    if (!m) {
        rc = add_all(s, found, e);
        roaring_bitmap_free(found);
        return rc;
    }
    roaring_init_iterator(found, &it);
    while (rc == 0 && (n = roaring_read_uint32_iterator(&it, sids, AHEAD)) > 0) {
        done += AHEAD;
        rc = pace(s, done, e);
        for (uint32_t i = 0; i < n; i++) {
            ids[i] = day_view_id(v, sids[i]);
            __builtin_prefetch(&m->slots[(uint32_t)ids[i].hi & m->mask]);
        }
        for (uint32_t i = 0; i < n; i++) {
            struct meet_slot *slot = meet_slot(m, ids[i]);
            uint32_t at = slot->index1 ? slot->index1 - 1 : meet_add(s, m, ids[i]);
            s->sids[(size_t)at * s->ndays + d] = sids[i];
        }
    }
    roaring_bitmap_free(found);
    return rc;
}

static int match_days(struct tsdb_select *s, const struct tsdb_select_opts *o, struct err *e)
{
    struct meet m = {0};
    bool alone = s->n == 0 && s->ndays == 1;
    int rc = 0;

    if (!alone)
        meet_init(&m, (uint64_t)s->n + 64);
    for (uint32_t i = 0; i < s->n; i++) {
        enum { AHEAD = 24, NEAR = 12 };
        if (i + AHEAD < s->n)
            __builtin_prefetch(s->heads[i + AHEAD]);
        if (i + NEAR < s->n)
            __builtin_prefetch(&m.slots[(uint32_t)s->heads[i + NEAR]->id.hi & m.mask], 1);
        *meet_slot(&m, s->heads[i]->id) = (struct meet_slot){s->heads[i]->id, i + 1};
        m.n++;
    }
    for (uint32_t d = 0; d < s->ndays; d++) {
        struct err why = {0};
        rc = match_day(s, o, d, alone ? NULL : &m, &why);
        if (rc == ERR_CORRUPT) {
            select_warn(s, &why);
            rc = 0;
        } else if (rc < 0) {
            if (e)
                *e = why;
            break;
        }
    }
    free(m.slots);
    return rc;
}

/* --- order -------------------------------------------------------------------------------------- */

/* Brings the series into the order that perm tells. */
static int permute(struct tsdb_select *s, const uint32_t *perm, struct err *e)
{
    struct series **heads = x_alloc(sizeof(struct series *) * s->n);
    uint32_t *all = x_alloc(sizeof *all * s->n * s->ndays);
    int rc = 0;

    for (uint32_t i = 0; i < s->n && rc == 0; i++) {
        heads[i] = s->heads[perm[i]];
        memcpy(all + (size_t)i * s->ndays, s->sids + (size_t)perm[i] * s->ndays, sizeof *all * s->ndays);
        rc = pace(s, i + 1, e);
    }
    if (rc < 0) {
        free(heads);
        free(all);
        return rc;
    }
    free(s->heads);
    free(s->sids);
    s->heads = heads;
    s->sids = all;
    s->cap = s->n;
    return 0;
}

/* In the order of the newest day's blocks; series that it does not have come behind, as they stood. */
static int order_series(struct tsdb_select *s, struct err *e)
{
    uint32_t d = s->ndays - 1, nsids = day_view_nseries(s->days[d]), n = 0, at = 0;
    uint32_t *index1 = x_zalloc(sizeof *index1 * nsids), *sids = x_alloc(sizeof *sids * s->n),
             *perm = x_alloc(sizeof *perm * s->n);
    int rc = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t sid = s->sids[(size_t)i * s->ndays + d];
        if (sid != DAY_NO_SID) {
            assert(sid < nsids);
            index1[sid] = i + 1;
            sids[n++] = sid;
        }
    }
    if (n > nsids / 8) { /* many: in order from the start, rather than sorted */
        n = 0;
        for (uint32_t sid = 0; sid < nsids; sid++)
            if (index1[sid])
                sids[n++] = sid;
    }
    rc = pace(s, 0, e);
    if (rc == 0)
        day_view_order(s->days[d], sids, n);
    for (uint32_t i = 0; i < n; i++)
        perm[at++] = index1[sids[i]] - 1;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->sids[(size_t)i * s->ndays + d] == DAY_NO_SID)
            perm[at++] = i;
    assert(at == s->n);
    if (rc == 0)
        rc = pace(s, 0, e);
    if (rc == 0)
        rc = permute(s, perm, e);
    free(index1);
    free(sids);
    free(perm);
    return rc;
}

/* Has the newest sample of series to come from blocks, since what the head knows is behind the window or not all? Some are asked. */
static bool needs_blocks(const struct tsdb_select *s)
{
    enum { ASK_EACH = 16 };
    int64_t t;
    double v;

    for (uint32_t i = 0; i < s->n; i += ASK_EACH) {
        const struct series *h = s->heads[i];
        if (!h || (atomic_load_explicit(&h->flags, memory_order_relaxed) & (SERIES_ST | SERIES_HISTS)) ||
            (series_last(h, &t, &v) && t > s->maxt))
            return true;
    }
    return false;
}

/* --- life --------------------------------------------------------------------------------------- */

static int find(struct tsdb_select *s, const struct tsdb_select_opts *o, struct err *e)
{
    int rc = match_head(s, o, e);

    if (rc == 0)
        rc = select_open_days(s, e);

    if (s->rollup_used.any && s->want == TSDB_NEWEST)
        s->want = TSDB_SAMPLES;
    if (rc < 0)
        return rc;
    if (s->ndays == 0)
        return 0;
    s->sids = x_alloc(sizeof *s->sids * s->n * s->ndays);
    memset(s->sids, 0xff, sizeof *s->sids * s->n * s->ndays);
    s->sids_late = s->want == TSDB_NEWEST && s->mint > s->floor && !needs_blocks(s);
    if (s->sids_late)
        return 0;
    rc = s->mint > s->floor ? find_in_days(s, e) : match_days(s, o, e);
    if (rc == 0)
        rc = pace(s, 0, e);
    return rc == 0 && s->n ? order_series(s, e) : rc;
}

struct tsdb_select *select_new(struct tsdb *db, int64_t mint, int64_t maxt)
{
    struct tsdb_select *s = x_zalloc(sizeof *s);

    s->db = db;
    s->mint = mint;
    s->maxt = maxt;
    s->nparts = 1;
    s->rollup_used.missing_until = INT64_MIN;
    pthread_mutex_init(&s->labels_mu, NULL);
    epoch_enter(&db->head.epoch, &s->reader);
    s->dropped = atomic_load_explicit(&db->head.dropped, memory_order_acquire);
    s->tombstones = tombstones_in(db->tombstones, mint, maxt);
    return s;
}

int tsdb_select_open(struct tsdb *db, const struct tsdb_select_opts *o, struct tsdb_select **out, struct err *e)
{
    struct tsdb_select *s = select_new(db, o->mint, o->maxt);
    int rc;

    s->want = o->want;
    s->limits = o->limits;
    s->rollup = o->want == TSDB_NO_DATA ? TSDB_ROLLUP_THIN : o->rollup; /* who is there does not need the samples */
    s->rollup_ms = o->rollup_ms;
    s->rollup_edges = o->rollup_edges;
    rc = s->mint <= s->maxt ? find(s, o, e) : 0;
    if (rc == 0 && s->limits.check)
        rc = s->limits.check(s->limits.arg, 0, (uint64_t)s->n * (sizeof(struct series *) + 4ul * s->ndays), e);
    if (rc < 0) {
        tsdb_select_close(s);
        return rc;
    }
    s->nparts = MAX(1u, MIN(o->parts_hint, s->n / PART_SERIES_MIN));
    *out = s;
    return 0;
}

void tsdb_select_close(struct tsdb_select *s)
{
    if (!s)
        return;
    select_close_rollups(s);
    for (uint32_t d = 0; d < s->ndays; d++)
        day_view_close(s->days[d]);
    partition_list_release(&s->partitions);
    tombstone_set_unref(s->tombstones);
    epoch_leave(&s->db->head.epoch, &s->reader);
    pthread_mutex_destroy(&s->labels_mu);
    arena_release(&s->arena);
    free(s->days);
    free(s->heads);
    free(s->sids);
    free(s);
}

uint32_t tsdb_select_series(const struct tsdb_select *s)
{
    return s->n;
}

uint32_t tsdb_select_parts(const struct tsdb_select *s)
{
    return s->nparts;
}

void tsdb_select_rollup(const struct tsdb_select *s, struct tsdb_rollup_used *out)
{
    const struct head *h = &s->db->head;

    *out = s->rollup_used;
    if (!out->any || (atomic_load(&h->mint) <= s->maxt && atomic_load(&h->maxt) >= s->mint))
        out->reads |= TSDB_READS_SAMPLES;
}

void tsdb_select_blocks(const struct tsdb_select *s, uint64_t *read, uint64_t *skipped)
{
    uint64_t all = atomic_load(&s->blocks_all);

    *read = atomic_load(&s->blocks_read);
    *skipped = all > *read ? all - *read : 0; /* two parts may have unpacked the same one */
}

uint32_t tsdb_select_warnings(const struct tsdb_select *s, const struct str **out)
{
    *out = s->warnings;
    return s->nwarnings;
}

/* --- labels ------------------------------------------------------------------------------------- */

/* A day that has series i. It must have one when the head has not. */
static uint32_t day_with(const struct tsdb_select *s, uint32_t i)
{
    for (uint32_t d = s->ndays; d-- > 0;)
        if (s->sids[(size_t)i * s->ndays + d] != DAY_NO_SID)
            return d;
    assert(!"a series of nowhere");
    return 0;
}

int select_labels(struct tsdb_select *s, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    uint32_t d;
    int rc;

    if (s->heads[i]) {
        head_labels(&s->db->head, s->heads[i], a, out);
        return 0;
    }
    d = day_with(s, i);
    pthread_mutex_lock(&s->labels_mu);
    rc = day_view_labels(s->days[d], s->sids[(size_t)i * s->ndays + d], a, out, e);
    pthread_mutex_unlock(&s->labels_mu);
    return rc;
}

int select_label(struct tsdb_select *s, uint32_t i, struct str name, struct str *out, struct err *e)
{
    uint32_t d;
    int rc;

    if (s->heads[i]) {
        *out = head_label(&s->db->head, s->heads[i], name);
        return 0;
    }
    d = day_with(s, i);
    pthread_mutex_lock(&s->labels_mu);
    rc = day_view_label(s->days[d], s->sids[(size_t)i * s->ndays + d], name, out, e);
    pthread_mutex_unlock(&s->labels_mu);
    return rc;
}
