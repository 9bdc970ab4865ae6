/* shred_out.h - what is known while values are taken apart. Private to shred_write.c and shred_words.c. */
#ifndef LOGSTORE_SHRED_OUT_H
#define LOGSTORE_SHRED_OUT_H

#include "logstore/shred.h"

/* Values of a slot of a cut_template, side by side, in the order of rows. */
struct slot_values {
    char *bytes;
    uint32_t n, room;
    uint32_t *lens;
    uint32_t at, taken; /* while they are gathered */
};

enum { LOOSE_MAX = 16 }; /* values of the first rows of a template lie in shred_out.vals: most templates have no more */

/* A template as lines are cut. Number 0: WHOLE. */
struct cut_template {
    enum shred_kind kind;
    uint64_t hash;
    struct str text; /* with marks (slot_sort) where slots are */
    uint32_t nslots, count, row /* the first */;
    uint32_t final;             /* its out_template */
    uint32_t joined;            /* > 0: it became a part of that one, with words for slots */
    struct str *words;          /* of every slot; p == NULL: it is slot number n of the line */
    struct slot_values *values; /* of rows behind the first LOOSE_MAX; NULL: there are none */
    uint32_t lens_room;
};

/* A template as it is written. */
struct out_template {
    enum shred_kind kind;
    uint32_t nslots, count, first /* of its rows */, row;
    struct str text;
    uint32_t *columns;
};

struct column_use {
    uint32_t template, slot;
    struct column_use *next;
};
struct out_column {
    uint32_t n;
    struct column_use *first, *last;
};

struct shred_out {
    struct slab *slab;
    uint32_t n;
    bool lines;
    struct cut *cut;
    struct cut_path *paths;
    struct map *by_path;

    struct str *vals; /* of all slots of all rows */
    size_t nvals, vals_room;
    uint32_t *row_cut;
    size_t *row_val; /* the first of its values */

    struct cut_template *cuts;
    uint32_t ncuts, cuts_room, *table, table_mask;

    struct out_template *templates;
    uint32_t ntemplates;
    uint32_t *rows; /* by template */
    struct out_column *columns;
    uint32_t ncolumns, columns_room;
};

/* Joins templates that differ in a few words (shred_words.c). */
void shred_join_words(struct shred_out *s);

/* What stands in a slot of a row that is not WHOLE. Each slot once, rows in order. */
static inline struct str slot_next(struct shred_out *s, uint32_t row, uint32_t slot)
{
    struct cut_template *c = &s->cuts[s->row_cut[row]];

    if (c->words) {
        if (c->words[slot].p)
            return c->words[slot];
        slot = (uint32_t)c->words[slot].n;
    }
    if (s->row_val[row] != SIZE_MAX)
        return s->vals[s->row_val[row] + slot];
    struct slot_values *v = &c->values[slot];
    struct str out = {v->bytes + v->at, v->lens[v->taken++]};
    v->at += (uint32_t)out.n;
    return out;
}

#endif
