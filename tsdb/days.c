/* days.c - what there is on disk, day by day. */
#include "tsdb/db.h"

#include "tsdb/day.h"

void tsdb_days(struct tsdb *db, struct arena *a, struct tsdb_day **out, uint32_t *n)
{
    struct partition_list list;

    store_partitions(db->store, TSDB_SIGNAL, INT64_MIN, INT64_MAX, &list);
    *out = arena_array(a, struct tsdb_day, list.n + 1);
    *n = 0;
    for (uint32_t i = 0; i < list.n; i++) {
        struct partition *p = list.v[i];
        const struct day *d = partition_user(p);
        struct tsdb_day *x = &(*out)[*n];
        uint32_t slices;

        if (!d || !day_times(d, &x->mint, &x->maxt)) /* damaged, or nothing in it */
            continue;
        x->start_ms = day_start_ms(partition_day(p));
        x->series = day_nseries(d);
        x->samples = day_nsamples(d, &slices);
        x->slices = slices;
        x->bytes = partition_bytes(p);
        x->version = partition_version(p);
        x->sealed = partition_sealed(p);
        (*n)++;
    }
    partition_list_release(&list);
}
