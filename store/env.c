/*
 * env.c - see env.h.
 *
 * (1) The page cache and the map are one (no WRITEMAP), so a map larger than the file costs address space only.
 * (2) A code of LMDB's never leaves store/: what a caller sees is an ERR_* and a sentence.
 * (3) Out of space has three faces: ENOSPC and EDQUOT, which become ERR_FULL, and EIO for a short write, which the free
 *     space tells from a broken disk (env_write_rc): whoever waits for the write must hear "full".
 */
#include "store/env.h"

#include "store/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PAGE = 4096, READERS_MAX = 1024, FILE_MODE = 0640, FULL_BYTES = 1 << 20 };

#if defined(__SANITIZE_THREAD__)
#define MAP_BYTES ((size_t)2 << 30) /* the sanitizer keeps a shadow of every map */
#else
#define MAP_BYTES ((size_t)64 << 30)
#endif

static size_t map_bytes_default(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY && r.rlim_cur / 64 < MAP_BYTES)
        return MAX((size_t)r.rlim_cur / 64, (size_t)16 << 20) / PAGE * PAGE;
    return MAP_BYTES;
}

int env_err(struct err *e, int rc, const char *fmt, ...)
{
    char words[256];
    va_list ap;
    int code = ERR_IO;

    if (rc == ENOSPC || rc == EDQUOT)
        code = ERR_FULL;
    else if (rc == MDB_MAP_FULL)
        code = ERR_AGAIN;
    else if (rc == ENOENT)
        code = ERR_NOT_FOUND;
    else if (rc == ENOMEM || rc == MDB_READERS_FULL || rc == MDB_TXN_FULL)
        code = ERR_BUSY;
    else if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH ||
             rc == MDB_INCOMPATIBLE)
        code = ERR_CORRUPT;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return err_set(e, code, "%s: %s", words, mdb_strerror(rc));
}

int env_write_rc(const char *path, int rc)
{
    struct statvfs v;

    if (rc != EIO || statvfs(path, &v) < 0)
        return rc;
    return (uint64_t)v.f_bavail * v.f_frsize < FULL_BYTES ? ENOSPC : rc;
}

static void on_assert(MDB_env *mdb, const char *msg)
{
    damage_blame(mdb_env_get_userctx(mdb), msg);
}

/* How much to map, and with which of LMDB's flags. */
static unsigned lmdb_flags(struct env *v, size_t *map_bytes)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS;
    char lock[PATH_MAX];
    struct stat st;

    if (v->flags & ENV_READ_ONLY) {
        flags |= MDB_RDONLY;
        if (*map_bytes == 0 && stat(v->path, &st) == 0)
            *map_bytes = ((size_t)st.st_size + PAGE - 1) / PAGE * PAGE;
        snprintf(lock, sizeof lock, "%s-lock", v->path);
        if (access(lock, W_OK) != 0)
            flags |= MDB_NOLOCK;
    }
    if (v->flags & ENV_NO_LOCK)
        flags |= MDB_NOLOCK;
    if (*map_bytes == 0)
        *map_bytes = map_bytes_default();
    else if (!(v->flags & ENV_READ_ONLY))
        *map_bytes = MIN(*map_bytes, map_bytes_default()); /* env_room makes more of it when it is needed */
    return flags;
}

/* Everything of env_open but the table. Sets v->mdb also when it fails. */
static int open_mdb(struct env *v, const char *path, unsigned lmdb, size_t map_bytes)
{
    int rc = mdb_env_create(&v->mdb);

    if (rc == 0)
        rc = mdb_env_set_mapsize(v->mdb, map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(v->mdb, READERS_MAX);
    if (rc == 0)
        rc = mdb_env_set_userctx(v->mdb, v->path);
    if (rc == 0)
        rc = mdb_env_open(v->mdb, path, lmdb, FILE_MODE);
    if (rc == 0)
        rc = mdb_env_set_assert(v->mdb, on_assert);
    return rc;
}

static unsigned table_flags(unsigned flags)
{
    return flags & ENV_INTEGER_KEYS ? MDB_INTEGERKEY : 0;
}

/* Opens the table and puts the first pair, in one commit. */
static int put_first(struct env *v, struct str key, struct str value)
{
    MDB_val k = val_of(key), w = val_of(value);
    MDB_txn *t;
    int rc = mdb_txn_begin(v->mdb, NULL, 0, &t);

    if (rc)
        return rc;
    rc = mdb_dbi_open(t, NULL, table_flags(v->flags), &v->dbi);
    if (rc == 0)
        rc = mdb_put(t, v->dbi, &k, &w, 0);
    if (rc == 0)
        return mdb_txn_commit(t);
    mdb_txn_abort(t);
    return rc;
}

int env_create(const char *path, unsigned flags, struct str key, struct str value, struct err *e)
{
    struct env v = {.flags = flags, .range = -1};
    char tmp[PATH_MAX];
    int rc;

    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    unlink(tmp);
    v.path = x_strdup(str_of(tmp));
    rc = open_mdb(&v, tmp, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK, (size_t)1 << 20);
    if (rc == 0)
        rc = put_first(&v, key, value);
    env_close(&v);
    rc = env_write_rc(tmp, rc);
    crash_point("env made, not renamed");
    if (rc == 0 && rename(tmp, path) < 0)
        rc = errno;
    if (rc) {
        unlink(tmp);
        return env_err(e, rc, "cannot make %s", path);
    }
    crash_point("env renamed, directory not synced");
    return dir_sync_of(path, e);
}

static int open_table(struct env *v)
{
    MDB_txn *t;
    int rc = mdb_txn_begin(v->mdb, NULL, MDB_RDONLY, &t);

    if (rc)
        return rc;
    rc = mdb_dbi_open(t, NULL, table_flags(v->flags), &v->dbi);
    mdb_txn_abort(t);
    return rc;
}

int env_open(struct env *v, const char *path, unsigned flags, size_t map_bytes, struct err *e)
{
    unsigned lmdb;
    int rc = 0;

    memset(v, 0, sizeof *v);
    v->range = -1;
    if (access(path, R_OK) < 0)
        return err_sys(e, errno, "cannot open %s", path);
    v->flags = flags;
    v->path = x_strdup(str_of(path));
    lmdb = lmdb_flags(v, &map_bytes);
    rc = open_mdb(v, path, lmdb, map_bytes);
    if (rc == 0)
        rc = open_table(v);
    if (rc) {
        rc = env_err(e, rc, "cannot open %s", path);
        env_close(v);
        return rc;
    }
    v->map_bytes = map_bytes;
    env_locate(v);
    return 0;
}

void env_close(struct env *v)
{
    if (v->path && v->range >= 0)
        damage_range_del(v->range);
    if (v->mdb)
        mdb_env_close(v->mdb);
    free(v->path);
    memset(v, 0, sizeof *v);
    v->range = -1;
}

/*
 * LMDB does not tell where its map lies, but each page begins with its own number, and a value lies either inside a leaf
 * or right behind the header of the first page of its own: so the page under a value's first byte names its place.
 */
void env_locate(struct env *v)
{
    MDB_cursor *c;
    MDB_txn *t;
    MDB_val key, value;

    if (v->map || mdb_txn_begin(v->mdb, NULL, MDB_RDONLY, &t) != 0)
        return;
    if (mdb_cursor_open(t, v->dbi, &c) == 0) {
        if (mdb_cursor_get(c, &key, &value, MDB_FIRST) == 0) {
            const char *page = (const char *)((uintptr_t)value.mv_data & ~(uintptr_t)(PAGE - 1));

            v->map = page - get_u64le(page) * PAGE;
            v->range = damage_range_add(v->map, v->map_bytes, v->path);
        }
        mdb_cursor_close(c);
    }
    mdb_txn_abort(t);
}

uint64_t env_bytes(const struct env *v)
{
    MDB_envinfo info;

    if (!v->mdb || mdb_env_info(v->mdb, &info) != 0)
        return 0;
    return ((uint64_t)info.me_last_pgno + 1) * PAGE;
}

int env_room(struct env *v, uint64_t more, struct err *e)
{
    uint64_t need = env_bytes(v) + more;
    size_t map_bytes = (size_t)(need + need / 8) / PAGE * PAGE;
    int rc;

    if (need <= v->map_bytes)
        return 0;
    rc = mdb_env_set_mapsize(v->mdb, map_bytes);
    if (rc)
        return env_err(e, rc, "cannot map %zu bytes of %s", map_bytes, v->path);
    if (v->range >= 0)
        damage_range_del(v->range);
    v->range = -1;
    v->map = NULL;
    v->map_bytes = map_bytes;
    env_locate(v);
    return 0;
}

int dir_sync(const char *dir, struct err *e)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);

    if (rc < 0)
        rc = err_sys(e, errno, "cannot sync directory %s", dir);
    if (fd >= 0)
        close(fd);
    return rc;
}

int dir_sync_of(const char *path, struct err *e)
{
    char dir[PATH_MAX];
    char *slash;

    snprintf(dir, sizeof dir, "%s", path);
    slash = strrchr(dir, '/');
    if (!slash)
        return dir_sync(".", e);
    *(slash == dir ? slash + 1 : slash) = '\0';
    return dir_sync(dir, e);
}
