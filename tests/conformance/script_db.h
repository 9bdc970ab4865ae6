/*
 * script_db.h - where a .test script puts its series: the store under the engine, empty at first.
 *
 * script_db.c has a real store in a temporary folder; tests/query/promql/fake_tsdb.c a list in memory.
 */
#ifndef SCRIPT_DB_H
#define SCRIPT_DB_H

#include "base/base.h"

struct histogram;
struct tsdb;
struct script_db;

struct script_series {
    struct labels labels;
    uint32_t n;
    const int64_t *t;
    const double *v;                  /* where h[i] is NULL */
    const int64_t *st;                /* 0 = none */
    const struct histogram *const *h; /* or NULL */
};

int script_db_open(struct script_db **out, struct err *e);
void script_db_close(struct script_db *db);
/* Drops everything. */
int script_db_clear(struct script_db *db, struct err *e);
int script_db_add(struct script_db *db, const struct script_series *s, uint32_t n, struct err *e);
struct tsdb *script_db_tsdb(struct script_db *db);

#endif
