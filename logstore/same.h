/*
 * same.h - rows of a gen that are equal to one that came before, told by their hashes. Private to the head.
 *
 *   group   some pieces that came one after the other, together of about so many rows; the times between which they lie
 *   past    what is known of rows that a flush took out of memory: parts of their hashes, of the last few groups
 *
 * A group's table is made when somebody asks for a time within the group: rows that come in the order of their times, as nearly all do,
 * cost nothing here.
 */
#ifndef LOGSTORE_SAME_H
#define LOGSTORE_SAME_H

#include "base/base.h"

struct log_piece;
struct log_gen;
struct log_head_row;

struct same_group {
    struct log_piece *newest; /* the last one of the group; NULL: there is none yet */
    uint32_t first;           /* number of the first one */
    uint32_t known;           /* the rows of pieces up to this number are in the table */
    uint32_t rows;
    int64_t mint, maxt;
    uint64_t *slots; /* 16 bits of the hash, 48 of the row's address; 0: free. NULL: nobody asked yet */
    uint32_t mask, n;
};

struct log_same {
    struct same_group *v;
    uint32_t n, cap;
    _Atomic uint64_t *bytes; /* what tables take is counted there */
};

/* All of it under head.mu. */
void log_same_init(struct log_same *s, _Atomic uint64_t *bytes);
void log_same_release(struct log_same *s);
/* Is a row equal to r in it? */
bool log_same_has(struct log_same *s, const struct log_head_row *r);

/* A piece whose rows become visible one after the other. */
struct same_piece {
    struct same_group *group;
    struct log_piece *piece;
    uint32_t done; /* so many of its rows are in the table */
};
void log_same_begin(struct log_same *s, struct log_piece *p, struct same_piece *out);
/* Is row i equal to one before it in the piece? Those are decided: what is ROW_DEAD is not there. */
bool log_same_within(struct log_same *s, struct same_piece *sp, uint32_t i);
/* The piece is in the gen, with its number. */
void log_same_end(struct log_same *s, struct same_piece *sp, uint32_t live);

struct past_group {
    int64_t mint, maxt;
    uint32_t *slots; /* prints; 0: free */
    uint32_t mask;
};
enum { PAST_GROUPS_MAX = 16 };
struct log_past {
    struct past_group v[PAST_GROUPS_MAX];
    uint32_t n, next; /* next: the oldest, which makes room */
};
void log_past_release(struct log_past *p);
/* Groups of a gen that nobody changes any more, made without lock; then put in under head.mu. */
struct past_group *log_past_of(const struct log_gen *g, uint32_t *n);
void log_past_add(struct log_past *p, struct past_group *v, uint32_t n); /* takes v */
/* Was there a row with this time and hash? Says yes to a row that was not there once in 2^40 or so: good for counting, not for leaving out. */
bool log_past_had(const struct log_past *p, int64_t t_ns, uint64_t hash);

#endif
