/*
 * journald.h - private to files/: the export format of systemd's journal, as it comes, piece by piece.
 *
 *     KEY=text\n      or      KEY\n <length, 8 bytes LE> <bytes> \n            an empty line ends the record
 */
#ifndef COLLECTOR_FILES_JOURNALD_H
#define COLLECTOR_FILES_JOURNALD_H

#include "base/base.h"

enum { JOURNAL_VALUE_MAX = 1 << 20, JOURNAL_FIELDS_MAX = 1024 };

struct journal_field {
    size_t name_at, name_n, value_at, value_n; /* in export_reader.text */
};

struct export_reader {
    struct buf text; /* of the record that is read */
    struct journal_field *fields;
    uint32_t nfields;
    int state;
    uint64_t left;        /* of a value told by its length */
    char length[8];
    unsigned nlength;
    bool cut;             /* a value was longer than JOURNAL_VALUE_MAX */
};

void export_release(struct export_reader *r);
void export_reset(struct export_reader *r);
/* Takes bytes from the front of *in. True: a record is complete (its fields are valid until the next call). */
bool export_take(struct export_reader *r, struct str *in);
struct str export_name(const struct export_reader *r, uint32_t i);
struct str export_value(const struct export_reader *r, uint32_t i);
/* The first of that name, or STR_NULL. */
struct str export_get(const struct export_reader *r, const char *name);

#endif
