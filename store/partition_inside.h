/* partition_inside.h - the two halves of a partition: partition.c (its life), txn.c (its transactions). */
#ifndef STORE_PARTITION_INSIDE_H
#define STORE_PARTITION_INSIDE_H

#include "store/inside.h"

struct partition {
    /* Set at open, then read by any thread. */
    struct partition_opts opts;
    char *name;
    char signal[MANIFEST_NAME_MAX + 1];
    int32_t day;
    bool read_only;
    void *user;
    _Atomic bool sealed;

    _Atomic uint32_t refs;

    /* Held by the one writer, and by whoever puts another file in this one's place. */
    pthread_mutex_t write_mu;
    bool retired;              /* under write_mu */
    struct manifest manifest;  /* as committed; under write_mu */
    bool broken;               /* a commit left LMDB unwilling; under write_mu */
    uint64_t room_bytes;       /* address space kept free for the next commit; under write_mu */

    /* Read and written through the gate: see partition_gate. */
    struct env env;
    _Atomic uint32_t active; /* read transactions */
    _Atomic bool gated;

    /* What the manifest says, for any thread. */
    _Atomic uint64_t contained, bytes, version;
    _Atomic int64_t written_ms;
    _Atomic bool damage_told;
};

struct txn {
    struct partition *p;
    MDB_txn *mdb;
    MDB_dbi dbi;
    bool write;
    /* Values that lie in the map must end before this. */
    const char *map, *map_end;

    /* Write only: the manifest as it will be. */
    struct manifest manifest;
    char last_key[PARTITION_KEY_MAX]; /* greatest key in the file: anything above it is appended */
    size_t last_key_bytes;
};

/* Enters as a reader: env stays as it is until leave. */
void partition_enter(struct partition *p);
void partition_leave(struct partition *p);
/* Before a write: makes room in the map, and opens the file anew if a failed commit asks for it. Holds write_mu. */
int partition_prepare_write(struct partition *p, struct err *e);
/* A commit went through: what the manifest says now. Holds write_mu. */
void partition_committed(struct partition *p, const struct manifest *m);

#endif
