/*
 * meet.c - after a start, the head and the newest day on disk meet, once, when the first work is done. Until then a select
 * that reaches back to what is on disk must look there for series that the head does not know, and finds the others by
 * their identities. Afterwards, when the head turned out to know all of the day, it is again as it was before the stop:
 * the head's series are all there are, and each knows its place in the day.
 *
 * (1) The floor is lowered only while no series can leave the head: under flush_mu.
 */
#include "tsdb/db.h"

#include <stdlib.h>

/* Notes the place of each series of the head in the day; returns how many have one. */
static uint32_t note_sids(struct tsdb *db, struct day_view *v, int32_t day)
{
    struct head *h = &db->head;
    uint32_t found = 0, nrefs, sid;

    pthread_rwlock_rdlock(&h->index_lock);
    nrefs = h->nrefs; /* those that come later begin without one */
    pthread_rwlock_unlock(&h->index_lock);
    for (uint32_t ref = 0; ref < nrefs; ref++) {
        struct series *s;
        if (!head_block(h, ref) || !series_live(s = head_series(h, ref)))
            continue;
        sid = day_view_find(v, s->id);
        series_set_sid(s, sid == DAY_NO_SID ? INT32_MIN : day, sid == DAY_NO_SID ? 0 : sid);
        found += sid != DAY_NO_SID;
    }
    return found;
}

/* Is p the newest day's file, as it is in use? */
static bool is_newest(struct tsdb *db, const struct partition *p)
{
    struct partition_list l;
    int32_t first, last;
    bool yes;

    if (!store_day_range(db->store, TSDB_SIGNAL, &first, &last) || partition_day(p) != last)
        return false;
    store_partitions(db->store, TSDB_SIGNAL, day_start_ms(last), day_start_ms(last), &l);
    yes = l.n == 1 && l.v[0] == p;
    partition_list_release(&l);
    return yes;
}

int tsdb_meet_day(struct tsdb *db, struct partition *p, struct err *e)
{
    int32_t day = partition_day(p);
    struct day_view *v;
    uint32_t gen;
    int rc = 0;

    pthread_mutex_lock(&db->flush_mu);
    gen = atomic_load(&db->sid_gen); /* before the file is looked at: what is replaced later is noticed */
    if (!is_newest(db, p)) {
        pthread_mutex_unlock(&db->flush_mu);
        return 0;
    }
    rc = day_view_open(p, &v, e);
    if (rc == 0) {
        bool knows_all = note_sids(db, v, day) == day_view_nseries(v);
        atomic_store(&db->sid_gen_seen, gen);
        if (knows_all && atomic_load(&db->keep_floor) >= day_start_ms(day))
            atomic_store(&db->keep_floor, day_start_ms(day) - 1);
        day_view_close(v);
    }
    pthread_mutex_unlock(&db->flush_mu);
    atomic_store(&db->unmet, false);
    return rc;
}
