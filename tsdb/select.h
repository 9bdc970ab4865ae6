/* select.h - a select from inside: found series, snapshots, and what cursors share. */
#ifndef TSDB_SELECT_H
#define TSDB_SELECT_H

#include "tsdb/db.h"
#include "tsdb/rollup_day.h"

/* The aggregates of one day; view NULL: none, or not to be used. */
struct rollup_in {
    struct day_view *view; /* days[d] itself where there are no samples */
    struct rollup_about about;
    struct partition *p; /* of view; the select holds it */
};

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
    int64_t disk_maxt; /* nothing on disk is later */
    struct tombstone_set *tombstones;
    struct partition_list partitions;
    struct day_view **days; /* ndays of them, oldest first */
    uint32_t ndays;
    int32_t *day_numbers;
    uint32_t sid_gen; /* db->sid_gen before the partitions were listed */
    bool sids_late;   /* all are in the head, and hardly one is read from a day: sids are looked up when they are */

    /* select_rollup.c: aggregates. A day may have samples, aggregates, or both, under the same sids. */
    enum tsdb_rollup rollup;
    int64_t rollup_ms;
    bool rollup_edges;
    struct tsdb_rollup_used rollup_used;
    struct rollup_in *rollups; /* of each day; NULL unless rollup_used.any */
    struct partition_list rollup_partitions[2];

    struct series **heads; /* NULL: not in the head */
    uint32_t *sids;
    uint32_t n, cap;

    pthread_mutex_t labels_mu; /* day views and their caches, when labels are asked for */
    _Atomic uint64_t cursors;  /* numbers given out */
    _Atomic uint64_t blocks_read, blocks_all; /* of cursors that are closed */
    struct str *warnings;
    uint32_t nwarnings;
    struct arena arena;
};

/* An empty select with the snapshots of the head. */
struct tsdb_select *select_new(struct tsdb *db, int64_t mint, int64_t maxt);
/* Opens the days of its window; after the head was matched. */
int select_open_days(struct tsdb_select *s, struct err *e);
/* Opens the aggregates of the window, and puts the days that have nothing else among the others. After the samples' days. */
void select_open_rollups(struct tsdb_select *s, int64_t maxt);
void select_close_rollups(struct tsdb_select *s);
void select_warn(struct tsdb_select *s, const struct err *e);
/* Has the day samples? Else days[d] is a view of aggregates. */
bool select_has_samples(const struct tsdb_select *s, uint32_t d);

/* cursor_rollup.c, cursor.c: one series after the other. */
struct rollup_cursor;
struct rollup_cursor *rollup_cursor_new(struct tsdb_select *s);
void rollup_cursor_free(struct rollup_cursor *r);
void rollup_cursor_blocks(const struct rollup_cursor *r, uint64_t *read, uint64_t *all); /* adds */
/* Series i as the select asks; out->n may be 0. id: for a new times id. */
int rollup_cursor_read(struct rollup_cursor *r, struct tsdb_cursor *c, uint32_t i, struct tsdb_samples *out, struct err *e);
/* Samples of series i in [mint, maxt], whose ends are those of the select or of days. Borrowed until the next read. */
int cursor_samples(struct tsdb_cursor *c, uint32_t i, int64_t mint, int64_t maxt, struct tsdb_samples *out, struct err *e);
/* What is deleted of series i; *ranges from the cursor's arena, until the next cursor_samples. */
int cursor_deleted(struct tsdb_cursor *c, uint32_t i, int64_t **ranges, uint32_t *n, struct err *e);
uint64_t cursor_new_id(struct tsdb_cursor *c);

/* Fills in the sids of series i where they are late. By the cursor whose part it is in. */
void select_find_sids(struct tsdb_select *s, uint32_t i);
/* Labels of series i; bytes borrowed until the select is closed. */
int select_labels(struct tsdb_select *s, uint32_t i, struct arena *a, struct labels *out, struct err *e);
int select_label(struct tsdb_select *s, uint32_t i, struct str name, struct str *out, struct err *e);

#endif
