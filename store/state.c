/*
 * state.c - data/state.mdb. Small facts, each with its checksum, each put a commit of its own.
 *
 * (1) A put that returned 0 is on disk.
 * (2) After a failed commit the file is opened anew before the next put; what was committed stays readable.
 * (3) Values are copied out: no read transaction outlives a call.
 */
#include "store/inside.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { KEY_MAX = 200, CRC = 4, VERSION = 1 };

static const struct str version_key = {"store/version", 13};

struct state {
    bool read_only;
    char *path;
    /* Read-held by readers, write-held while the environment is replaced. */
    pthread_rwlock_t env_mu;
    struct env env;
    /* The one writer. Taken before env_mu. */
    pthread_mutex_t write_mu;
    bool broken;
};

static void with_crc(struct buf *out, struct str key, struct str value)
{
    buf_puts(out, value);
    buf_put_u32(out, value_crc(key, value));
}

static int make_file(const char *path, struct err *e)
{
    struct buf b = {0};
    char version[4];
    int rc;

    put_u32le(version, VERSION);
    with_crc(&b, version_key, str_n(version, sizeof version));
    rc = env_create(path, 0, version_key, buf_str(&b), e);
    buf_release(&b);
    return rc;
}

static int check_version(struct state *s, struct err *e)
{
    struct arena a = {0};
    struct str v;
    int rc = state_get(s, &a, version_key, &v, e);

    if (rc == ERR_NOT_FOUND)
        rc = err_set(e, ERR_CORRUPT, "%s: no format version", s->path);
    else if (rc == 0 && (v.n != 4 || get_u32le(v.p) != VERSION))
        rc = err_set(e, ERR_UNSUPPORTED, "%s: another format version", s->path);
    arena_release(&a);
    return rc;
}

int state_open(const char *path, bool read_only, struct state **out, struct err *e)
{
    struct state *s;
    int rc = 0;

    if (!read_only && access(path, F_OK) < 0)
        rc = make_file(path, e);
    if (rc < 0)
        return rc;
    s = x_zalloc(sizeof *s);
    s->read_only = read_only;
    s->path = x_strdup(str_of(path));
    pthread_rwlock_init(&s->env_mu, NULL);
    pthread_mutex_init(&s->write_mu, NULL);
    rc = env_open(&s->env, path, read_only ? ENV_READ_ONLY : 0, read_only ? 0 : (size_t)1 << 30, e);
    if (rc == 0)
        rc = check_version(s, e);
    if (rc < 0) {
        state_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void state_close(struct state *s)
{
    if (!s)
        return;
    env_close(&s->env);
    pthread_rwlock_destroy(&s->env_mu);
    pthread_mutex_destroy(&s->write_mu);
    free(s->path);
    free(s);
}

/* Holds write_mu. */
static int prepare_write(struct state *s, uint64_t more, struct err *e)
{
    int rc = 0;

    if (s->read_only)
        return err_set(e, ERR_UNSUPPORTED, "%s is opened for reading", s->path);
    if (!s->broken && env_bytes(&s->env) + more + (8 << 20) <= s->env.map_bytes)
        return 0;
    pthread_rwlock_wrlock(&s->env_mu);
    if (s->broken) {
        env_close(&s->env);
        rc = env_open(&s->env, s->path, 0, (size_t)1 << 30, e);
        s->broken = rc < 0;
    }
    if (rc == 0)
        rc = env_room(&s->env, more + (64 << 20), e);
    pthread_rwlock_unlock(&s->env_mu);
    return rc;
}

/* value NULL: delete. */
static int change(struct state *s, MDB_val k, MDB_val *v, struct err *e)
{
    MDB_txn *t;
    int rc = mdb_txn_begin(s->env.mdb, NULL, 0, &t);

    if (rc == 0) {
        rc = v ? mdb_put(t, s->env.dbi, &k, v, 0) : mdb_del(t, s->env.dbi, &k, NULL);
        if (rc == MDB_NOTFOUND) {
            mdb_txn_abort(t);
            return 0;
        }
        if (rc)
            mdb_txn_abort(t);
        else {
            crash_point("state before commit");
            rc = mdb_txn_commit(t);
            crash_point("state after commit");
        }
    }
    if (rc == 0)
        return 0;
    s->broken = true;
    return env_err(e, rc, "cannot write %s", s->path);
}

int state_put(struct state *s, struct str key, struct str value, struct err *e)
{
    struct buf b = {0};
    MDB_val v;
    int rc;

    assert(key.n > 0 && key.n <= KEY_MAX);
    with_crc(&b, key, value);
    v = val_of(buf_str(&b));
    pthread_mutex_lock(&s->write_mu);
    rc = prepare_write(s, b.n, e);
    if (rc == 0)
        rc = change(s, val_of(key), &v, e);
    pthread_mutex_unlock(&s->write_mu);
    buf_release(&b);
    return rc;
}

int state_del(struct state *s, struct str key, struct err *e)
{
    int rc;

    assert(key.n > 0 && key.n <= KEY_MAX);
    pthread_mutex_lock(&s->write_mu);
    rc = prepare_write(s, 0, e);
    if (rc == 0)
        rc = change(s, val_of(key), NULL, e);
    pthread_mutex_unlock(&s->write_mu);
    return rc;
}

/* --- reading ------------------------------------------------------------------------------------ */

static int check(const struct state *s, struct str key, struct str *value, struct err *e)
{
    if (value->n >= CRC) {
        value->n -= CRC;
        if (get_u32le(value->p + value->n) == value_crc(key, *value))
            return 0;
    }
    return err_set(e, ERR_CORRUPT, "%s: %.*s: bad checksum", s->path, STR_ARG(key));
}

/* Begins reading under env_mu, which the caller gives back with end_read. */
static int begin_read(struct state *s, MDB_txn **t, struct err *e)
{
    int rc;

    pthread_rwlock_rdlock(&s->env_mu);
    rc = s->env.mdb ? mdb_txn_begin(s->env.mdb, NULL, MDB_RDONLY, t) : EIO;
    if (rc == 0)
        return 0;
    pthread_rwlock_unlock(&s->env_mu);
    return env_err(e, rc, "cannot read %s", s->path);
}

static void end_read(struct state *s, MDB_txn *t)
{
    mdb_txn_abort(t);
    pthread_rwlock_unlock(&s->env_mu);
}

int state_get(struct state *s, struct arena *a, struct str key, struct str *value, struct err *e)
{
    MDB_val k = val_of(key), v;
    struct str got;
    MDB_txn *t;
    int rc = begin_read(s, &t, e);

    if (rc < 0)
        return rc;
    rc = mdb_get(t, s->env.dbi, &k, &v);
    if (rc == MDB_NOTFOUND)
        rc = err_set(e, ERR_NOT_FOUND, "no %.*s", STR_ARG(key));
    else if (rc)
        rc = env_err(e, rc, "cannot read %s", s->path);
    else {
        got = str_of_val(v);
        rc = check(s, key, &got, e);
        if (rc == 0)
            *value = arena_dup(a, got);
    }
    end_read(s, t);
    return rc;
}

/* The pairs of a prefix, copied: fn may itself put and delete. A damaged pair is left out and reported. */
static int collect(struct state *s, struct str prefix, struct arena *a, struct buf *pairs, struct err *e)
{
    MDB_cursor *c = NULL;
    MDB_val k = val_of(prefix), v;
    struct err bad;
    MDB_txn *t;
    int rc = begin_read(s, &t, e);

    if (rc < 0)
        return rc;
    rc = mdb_cursor_open(t, s->env.dbi, &c);
    if (rc == 0)
        rc = mdb_cursor_get(c, &k, &v, prefix.n > 0 ? MDB_SET_RANGE : MDB_FIRST);
    for (; rc == 0 && str_starts(str_of_val(k), prefix); rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        struct str pair[2] = {str_of_val(k), str_of_val(v)};

        if (str_eq(pair[0], version_key))
            continue;
        if (check(s, pair[0], &pair[1], &bad) < 0) {
            log_error("store", "%s", bad.text);
            continue;
        }
        pair[0] = arena_dup(a, pair[0]);
        pair[1] = arena_dup(a, pair[1]);
        buf_put(pairs, pair, sizeof pair);
    }
    if (c)
        mdb_cursor_close(c);
    end_read(s, t);
    return rc && rc != MDB_NOTFOUND ? env_err(e, rc, "cannot read %s", s->path) : 0;
}

int state_each(struct state *s, struct str prefix, int (*fn)(void *arg, struct str key, struct str value), void *arg, struct err *e)
{
    struct arena a = {0};
    struct buf pairs = {0};
    int rc = collect(s, prefix, &a, &pairs, e);

    for (size_t at = 0; rc == 0 && at < pairs.n; at += 2 * sizeof(struct str)) {
        struct str pair[2];

        memcpy(pair, pairs.p + at, sizeof pair);
        rc = fn(arg, pair[0], pair[1]);
    }
    buf_release(&pairs);
    arena_release(&a);
    return rc;
}

int state_copy(struct state *s, const char *to, struct err *e)
{
    int rc;

    pthread_rwlock_rdlock(&s->env_mu);
    rc = s->env.mdb ? mdb_env_copy(s->env.mdb, to) : EIO;
    pthread_rwlock_unlock(&s->env_mu);
    return rc ? env_err(e, rc, "cannot copy %s to %s", s->path, to) : 0;
}
