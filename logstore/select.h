/*
 * select.h - what a select holds, for the files that read through it. Private to logstore/.
 *
 *   logstore_select ─▶ view of the head, then views of the days ─▶ streams that match ─▶ units: blocks, and runs of pieces
 *   log_cursor_next ─▶ claims the next unit ─▶ its rows of the window by time ─▶ portions
 *
 * The head is looked at first: rows that a flush moves meanwhile are in both, and left out of the head where the day's view says
 * that it contains their gen.
 */
#ifndef LOGSTORE_SELECT_H
#define LOGSTORE_SELECT_H

#include "logstore/db.h"
#include "logstore/day.h"
#include "logstore/delete.h"
#include "logstore/late.h"

enum { SELECT_HINTS_MAX = 64, SELECT_NONE = 0, SELECT_MATCHES = UINT32_MAX };

struct select_stream {
    struct labels labels; /* of a view or of a gen */
    struct hash128 id;
    uint64_t passes;      /* FIELD and META hints that all its rows pass by its labels */
    bool deletes;         /* some of its rows may be deleted */
};

struct select_day {
    struct log_day_view *view;
    int64_t mint_ns, maxt_ns; /* of the day */
    uint32_t *number;         /* by sid: SELECT_NONE, SELECT_MATCHES, or the stream's number + 1 */
};

struct select_head {
    struct log_head_part part;
    uint32_t *number;        /* by slot, as above */
    int64_t (*gone)[2];      /* closed windows of rows that days have by now */
    uint32_t ngone;
};

/* What is read at once. */
struct select_unit {
    int64_t mint_ns, maxt_ns;
    uint64_t order; /* of arrival among all units */
    int32_t day;    /* -1: of the head */
    uint32_t slice, block;
    struct log_piece *newest; /* of npieces, which follow each other by prev */
    uint32_t npieces;
    uint8_t head;
};

struct log_select {
    /* Set at open. */
    struct logstore *ls;
    struct log_select_opts o; /* matchers, hints and names are the caller's until free */
    struct log_head_view view;
    struct select_head heads[2];
    struct select_day *days;
    uint32_t ndays;
    struct log_delete_set *deletes;
    struct select_stream *streams;
    uint32_t nstreams, streams_cap;
    uint32_t *table, mask; /* by id: number + 1 */
    struct select_unit *units; /* in the order they are read */
    uint32_t nunits;

    _Atomic int64_t bound_ns;
    _Atomic uint64_t blocks_read, blocks_skipped, rows, bytes_read, bytes_raw;

    pthread_mutex_t mu;
    /* Under mu. */
    uint32_t next; /* unit */
    struct log_cursor *cursors;
    struct arena arena; /* of warnings */
    struct str *warnings;
    uint32_t nwarnings;
};

/* Finds streams, and units unless !units. */
int select_open(struct logstore *ls, const struct log_select_opts *o, bool units, struct log_select **out, struct err *e);
/* Something of day i could not be read: a warning, and a mark on its file. */
void log_select_warn(struct log_select *s, struct partition *p, const struct err *e);
/* Is the row of the head to be seen through s? (Its stream must match.) */
bool select_sees(const struct log_select *s, const struct select_head *h, const struct log_head_row *r);
static inline int64_t select_mint(const struct log_select *s)
{
    return s->o.backward ? MAX(s->o.mint_ns, atomic_load_explicit(&s->bound_ns, memory_order_relaxed)) : s->o.mint_ns;
}
static inline int64_t select_maxt(const struct log_select *s)
{
    return s->o.backward ? s->o.maxt_ns : MIN(s->o.maxt_ns, atomic_load_explicit(&s->bound_ns, memory_order_relaxed));
}

#endif
