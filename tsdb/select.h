/* select.h - a select from inside: found series, snapshots, and what cursors share. */
#ifndef TSDB_SELECT_H
#define TSDB_SELECT_H

#include "tsdb/db.h"

/* A series found: in the head, on disk, or both. sids[i * ndays + d] is its sid in day d, or DAY_NO_SID. */
struct tsdb_select {
    struct tsdb *db;
    int64_t mint, maxt;
    enum tsdb_want want;
    struct tsdb_limits limits;
    uint32_t nparts;

    /* Snapshots, in the order they were taken. */
    struct epoch_reader reader;
    uint32_t dropped; /* gens up to this are read from partitions */
    int64_t floor;    /* the head's newest sample of a series is the newest of all if it is above this */
    struct tombstone_set *tombstones;
    struct partition_list partitions;
    struct day_view **days; /* ndays of them, oldest first */
    uint32_t ndays;
    int32_t *day_numbers;
    uint32_t sid_gen; /* db->sid_gen before the partitions were listed */

    struct series **heads; /* NULL: not in the head */
    uint32_t *sids;
    uint32_t n, cap;

    pthread_mutex_t labels_mu; /* day views and their caches, when labels are asked for */
    _Atomic uint64_t cursors;  /* numbers given out */
    struct str *warnings;
    uint32_t nwarnings;
    struct arena arena;
};

/* An empty select with the snapshots of the head. */
struct tsdb_select *select_new(struct tsdb *db, int64_t mint, int64_t maxt);
/* Opens the days of its window; after the head was matched. */
int select_open_days(struct tsdb_select *s, struct err *e);
/* Labels of series i; bytes borrowed until the select is closed. */
int select_labels(struct tsdb_select *s, uint32_t i, struct arena *a, struct labels *out, struct err *e);
int select_label(struct tsdb_select *s, uint32_t i, struct str name, struct str *out, struct err *e);

#endif
