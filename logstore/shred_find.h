/* shred_find.h - what the files that look for texts in columns share. Private to them. */
#ifndef LOGSTORE_SHRED_FIND_H
#define LOGSTORE_SHRED_FIND_H

#include "logstore/plain_find.h"
#include "logstore/shred.h"

static inline void find_set(uint64_t *bits, uint32_t i)
{
    bits[i / 64] |= UINT64_C(1) << i % 64;
}
static inline bool find_has(const uint64_t *bits, uint32_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

/* The bytes that values of a column may have, where its kind tells: one bit each. False: any. */
bool find_alphabet(struct column_in *in, const struct text *t, uint64_t set[4]);

/* A needle and what is known of columns: with which part of it their values begin, end, or are nothing but (shred_border.c). */
struct border;
struct find_borders {
    struct column_in *in;
    struct shred *s;
    const int64_t *ref;
    struct str needle;
    struct border **columns; /* NULL: not looked at yet */
};
int find_borders_init(struct find_borders *f, struct column_in *in, struct shred *s, const int64_t *ref, struct str needle);
/*
 * Could the needle stand in a line of the template across the border of a slot? *may false is certain. After
 * shred_fold_template.
 */
int find_crosses(struct find_borders *f, const struct shred_template *t, bool *may);

#endif
