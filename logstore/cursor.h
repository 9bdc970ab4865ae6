/* cursor.h - reading the units of a select; private to cursor*.c. */
#ifndef LOGSTORE_CURSOR_H
#define LOGSTORE_CURSOR_H

#include "logstore/select.h"

enum { PORTION_ROWS = 4096 };

struct cursor_item {
    int64_t t_ns;
    uint32_t stream; /* number in the select */
    uint32_t at;     /* row of the block; index in head_rows */
};

struct log_cursor {
    struct log_select *select;
    struct log_cursor *next; /* of the select */

    /* Under select.mu: no row still to come of the unit at hand is newer (backward) or older than it. */
    bool busy;
    int64_t front_ns;

    const struct select_unit *unit; /* NULL: none at hand */
    bool in_block;
    struct cursor_item *items, *spare; /* by time; left: [from, to) */
    uint32_t nitems, items_cap, spare_cap, from, to;
    const struct log_head_row **head_rows;
    uint32_t head_cap;

    struct log_block *block;
    struct log_bits bits;
    uint32_t bits_cap;

    /* The portion given out last. */
    struct log_row rows[PORTION_ROWS], found[PORTION_ROWS];
    uint32_t at[PORTION_ROWS], idx[PORTION_ROWS], order[PORTION_ROWS];
    uint32_t n;
    struct log_row one; /* log_rows_line */
};

/* cursor_block.c, cursor_head.c: the items of the unit in the window, by stream or arrival, not sorted yet. */
int cursor_open_block(struct log_cursor *c, const struct select_unit *u, struct err *e);
int cursor_open_head(struct log_cursor *c, const struct select_unit *u, struct err *e);
/* What rows are given. names: of metadata these only; NULL: all. */
struct cursor_want {
    bool lines, meta, fields;
    const struct str *names;
    uint32_t nnames;
};
/* Lines, metadata and fields for rows[i], whose item is at[i]; which fields says the select. */
int cursor_fill_block(struct log_cursor *c, const struct cursor_want *want, struct err *e);
void cursor_add_item(struct log_cursor *c, int64_t t_ns, uint32_t stream, uint32_t at);

#endif
