/*
 * env.h - LMDB as this house uses it: how an environment is opened, and what its error codes mean to us. Private to store/.
 *
 * One unnamed table per file. Never MDB_DUPSORT, MDB_WRITEMAP, MDB_NOSYNC or MDB_CURRENT: a commit that returned is on disk.
 */
#ifndef STORE_ENV_H
#define STORE_ENV_H

#include "base/base.h"

#include <lmdb.h>

enum {
    ENV_READ_ONLY = 2,    /* no lock file: nobody writes it, or a live server's lock file is used if it is there */
    ENV_NO_LOCK = 4,      /* the caller keeps readers and writers apart */
    ENV_INTEGER_KEYS = 8, /* keys are uint64_t, in the order of their values */
};

/* Zero-initialised is closed and valid. */
struct env {
    MDB_env *mdb;
    MDB_dbi dbi;
    char *path;
    unsigned flags;
    int range;        /* where damage.c finds the file of an address; -1 none */
    const char *map;  /* start of the map, once env_locate found it */
    size_t map_bytes; /* of address space */
};

/*
 * Makes the file with one pair in it: under a temporary name, committed and synced, then renamed (and the directory
 * synced). So a file that bears its name has had its first commit; what a power cut leaves behind ends in ".tmp".
 */
int env_create(const char *path, unsigned flags, struct str key, struct str value, struct err *e);
/*
 * map_bytes: address space to reserve; 0 = as much as is sensible (64 GiB; a share of RLIMIT_AS where that is set; the
 * size of the file for a read-only one). The file must exist (ERR_NOT_FOUND). On failure *v stays closed.
 */
int env_open(struct env *v, const char *path, unsigned flags, size_t map_bytes, struct err *e);
void env_close(struct env *v);
/* Finds the start of the map through a committed value and registers it for the SIGBUS handler. Harmless to repeat. */
void env_locate(struct env *v);
/* Bytes of the file that the newest commit uses. */
uint64_t env_bytes(const struct env *v);
/* The next commit may add this much: makes room in the map. No transaction of this process may be open on v. */
int env_room(struct env *v, uint64_t more, struct err *e);

/* Sets code and sentence for an LMDB return code; returns the code. */
int env_err(struct err *e, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* LMDB's answer to a commit to the file at path: EIO becomes ENOSPC when the file system is full. */
int env_write_rc(const char *path, int rc);

static inline MDB_val val_of(struct str s)
{
    return (MDB_val){s.n, (void *)(uintptr_t)s.p};
}
static inline struct str str_of_val(MDB_val v)
{
    return (struct str){v.mv_data, v.mv_size};
}

/* fsync of a directory, so that names made, moved or removed in it survive a power cut. */
int dir_sync(const char *dir, struct err *e);
/* The same for the directory that holds path. */
int dir_sync_of(const char *path, struct err *e);

#endif
