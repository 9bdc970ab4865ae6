/* house.h - a store with a tsdb in it, for tests. Behind cmocka.h. */
#ifndef TESTS_TSDB_HOUSE_H
#define TESTS_TSDB_HOUSE_H

#include "store/store.h"
#include "tests/store/temp.h"
#include "tsdb/tsdb.h"

#define DAY_MS INT64_C(86400000)

/* Opened, recovered and started. */
static inline void house_open(const struct store_opts *so, const struct tsdb_opts *to, struct store **s, struct tsdb **db)
{
    struct err e = {0};

    if (store_open(so, s, &e) < 0 || tsdb_new(*s, to, db, &e) < 0 || store_recover(*s, &e) < 0 || store_start(*s, &e) < 0)
        fail_msg("%s", e.text);
}

static inline void house_close(struct store *s, struct tsdb *db)
{
    store_close(s);
    tsdb_free(db);
}

/* tsdb_batch.labels: {__name__="m", id=RAW} for series that are named by their raw text alone. */
static inline int house_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    (void)e;
    out->v = arena_array(a, struct label, 2);
    out->n = 2;
    out->v[0] = (struct label){STR("__name__"), STR("m")};
    out->v[1] = (struct label){STR("id"), b->series[i].raw};
    return 0;
}

#endif
