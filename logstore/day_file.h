/*
 * day_file.h - how a day lies in its partition. Private to the files day*.c.
 *
 *   "D"                    version u8 | varint: generation, next slice id, segments { varint streams }*
 *                          | slices { varint id, rows, blocks, streams, bytes, raw bytes, disk bytes, zigzag mint, varint maxt - mint }*
 *   "L" u32be segment      packed( { varint labels { text name, text value }* }* )
 *   "S" u32be slice        packed( streams { zigzag sid - sid before, varint rows, bytes, zigzag mint - slice mint, varint maxt - mint }*
 *                                  blocks { varint rows, raw bytes, varint mint - slice mint, varint maxt - mint, varint metadata }*
 *                                  varint names of metadata { text }* )
 *   "M" u32be slice        packed( varint levels { text }*  per stream: varint levels { varint level, varint points
 *                                  { varint minute - minute before (first: zigzag), varint rows, varint bytes }* }* )
 *   "B" u32be slice u32be block    a block (block.h)         "F" the same    its filter
 *
 * Nothing can be seen before "D" names it, and that is put last in a transaction.
 */
#ifndef LOGSTORE_DAY_FILE_H
#define LOGSTORE_DAY_FILE_H

#include "logstore/day.h"
#include "logstore/pack.h"

enum { DAY_VERSION = 1, DAY_KEY_MAX = 9, DAY_LABELS_MAX = 4096 };
#define DAY_RAW_MAX ((size_t)1 << 30)

struct day_segment_data {
    struct arena arena;
    struct labels *labels;
    struct hash128 *ids;
};

struct day_segment {
    _Atomic uint32_t refs;
    uint32_t number, first_sid, n;
    struct day_segment_data *_Atomic data; /* hung up when first needed */
};

/* Immutable once made; counted. Shares segments and slices with the ones before and after. */
struct day_dir {
    _Atomic uint32_t refs;
    uint64_t generation;
    uint32_t nstreams, nsegments, nslices, next_slice;
    struct day_segment **segments;
    struct log_slice **slices;
};

struct log_day {
    struct partition *p;
    pthread_rwlock_t mu;
    struct day_dir *dir; /* under mu; the newest known */
};

struct log_day_view {
    struct partition *p;
    struct log_day *day, *own_day; /* own: nothing is attached */
    struct txn *txn;               /* under txn_mu */
    pthread_mutex_t txn_mu;
    uint64_t contained;
    struct day_dir *dir;

    pthread_mutex_t mu; /* of what follows */
    struct log_unpacker *unpacker;
    struct log_slice_dir **own_dirs; /* of slices that found no room to hang */
};

struct str day_key1(char key[DAY_KEY_MAX], char kind, uint32_t a);
struct str day_key2(char key[DAY_KEY_MAX], char kind, uint32_t a, uint32_t b);

struct day_dir *day_dir_new(void);
struct day_dir *day_dir_ref(struct day_dir *d);
void day_dir_unref(struct day_dir *d);
/* Shares what `before` has of it. */
int day_dir_parse(struct str value, const struct day_dir *before, struct day_dir **out, struct err *e);
void day_dir_encode(const struct day_dir *d, struct buf *out);
struct day_dir *day_dir_copy(const struct day_dir *d); /* to be changed */
void day_dir_add_slice(struct day_dir *d, uint32_t place, struct log_slice *s); /* takes the reference */
void day_dir_drop_slice(struct day_dir *d, uint32_t place);
void day_dir_add_segment(struct day_dir *d, uint32_t n);
void day_slice_unref(struct log_slice *s);
/* The directory of the day as t sees it. had: the day had one before the transaction began. */
int day_read_dir(struct txn *t, struct log_day *d, bool had, struct day_dir **out, struct err *e);
bool log_day_has_dir(struct log_day *d);
/* Takes the reference. */
void log_day_publish(struct log_day *d, struct day_dir *dir);

/* day_load.c */
int day_segment_load(struct log_day_view *v, struct day_segment *s, const struct day_segment_data **out, struct err *e);
void day_segment_data_free(struct day_segment_data *d);
void day_slice_dir_free(struct log_slice_dir *d);
void day_slice_dir_unhang(struct log_slice_dir *d); /* of a slice that goes */
void day_slice_dir_encode(const struct log_slice *s, const struct log_slice_dir *d, struct buf *out);
int day_slice_dir_parse(struct str raw, const struct log_slice *s, struct log_slice_dir **out, struct err *e);

#endif
