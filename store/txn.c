/*
 * txn.c - transactions of a partition: keys, values, checksums, and the manifest that every commit carries.
 *
 * (1) No value leaves here whose checksum over key and value was not found right.
 * (2) The manifest's counts and hashes are those of the very commit that holds it.
 * (3) A value is touched only if it lies within the pages the file has: a lying length is damage, not a crash.
 */
#include "store/partition_inside.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { CRC = 4, KEY_TEXT = PARTITION_KEY_MAX * 2 + 1 };

static const char *key_text(struct str key, char out[KEY_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    size_t n = MIN(key.n, (size_t)PARTITION_KEY_MAX);

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex[(unsigned char)key.p[i] >> 4];
        out[2 * i + 1] = hex[key.p[i] & 15];
    }
    out[2 * n] = '\0';
    return out;
}

static bool is_manifest(struct str key)
{
    return key.n == 1 && key.p[0] == '\0';
}

/* --- begin and end ------------------------------------------------------------------------------ */

static void set_bounds(struct txn *t)
{
    t->dbi = t->p->env.dbi;
    t->map = t->p->env.map;
    t->map_end = t->map ? t->map + MIN(env_bytes(&t->p->env), (uint64_t)t->p->env.map_bytes) : NULL;
}

int txn_read(struct partition *p, struct txn **out, struct err *e)
{
    struct txn *t;
    MDB_txn *mdb;
    int rc;

    partition_enter(p);
    rc = p->env.mdb ? mdb_txn_begin(p->env.mdb, NULL, MDB_RDONLY, &mdb) : EIO;
    if (rc) {
        partition_leave(p);
        return env_err(e, rc, "partition %s: cannot begin reading", p->name);
    }
    t = x_zalloc(sizeof *t);
    t->p = partition_ref(p);
    t->mdb = mdb;
    set_bounds(t);
    *out = t;
    return 0;
}

static void find_last_key(struct txn *t)
{
    MDB_val key, value;
    MDB_cursor *c;

    if (mdb_cursor_open(t->mdb, t->dbi, &c) != 0)
        return;
    if (mdb_cursor_get(c, &key, &value, MDB_LAST) == 0 && key.mv_size <= PARTITION_KEY_MAX) {
        t->last_key_bytes = key.mv_size;
        memcpy(t->last_key, key.mv_data, key.mv_size);
    }
    mdb_cursor_close(c);
}

int txn_write(struct partition *p, struct txn **out, struct err *e)
{
    struct txn *t;
    MDB_txn *mdb;
    int rc = 0;

    if (p->read_only)
        return err_set(e, ERR_UNSUPPORTED, "partition %s is %s", p->name, p->manifest.sealed ? "sealed" : "opened for reading");
    pthread_mutex_lock(&p->write_mu);
    if (p->retired)
        rc = err_set(e, ERR_AGAIN, "partition %s has been replaced", p->name);
    else
        rc = partition_prepare_write(p, e);
    if (rc == 0 && (rc = mdb_txn_begin(p->env.mdb, NULL, 0, &mdb)) != 0) {
        p->broken = true;
        rc = env_err(e, rc, "partition %s: cannot begin writing", p->name);
    }
    if (rc < 0) {
        pthread_mutex_unlock(&p->write_mu);
        return rc;
    }
    t = x_zalloc(sizeof *t);
    t->p = partition_ref(p);
    t->mdb = mdb;
    t->write = true;
    t->manifest = p->manifest;
    set_bounds(t);
    find_last_key(t);
    *out = t;
    return 0;
}

static void txn_free(struct txn *t)
{
    struct partition *p = t->p;

    if (t->write)
        pthread_mutex_unlock(&p->write_mu);
    else
        partition_leave(p);
    free(t);
    partition_unref(p);
}

void txn_end(struct txn *t)
{
    if (!t)
        return;
    mdb_txn_abort(t->mdb);
    txn_free(t);
}

/* As this view has it; all zero where it cannot be read: it was there when the file was opened, so the next get will tell. */
static struct manifest view_manifest(struct txn *t)
{
    MDB_val key = val_of(MANIFEST_KEY), value;
    struct manifest m;

    if (t->write)
        return t->manifest;
    if (mdb_get(t->mdb, t->dbi, &key, &value) != 0 || value.mv_size != MANIFEST_BYTES + CRC ||
        manifest_read(str_head(str_of_val(value), MANIFEST_BYTES), &m, NULL) < 0)
        return (struct manifest){0};
    return m;
}

uint64_t txn_contained(struct txn *t)
{
    return view_manifest(t).contained;
}

uint64_t txn_content(struct txn *t)
{
    return view_manifest(t).content_hash;
}

uint64_t txn_id(const struct txn *t)
{
    return mdb_txn_id(t->mdb);
}

static int put_manifest(struct txn *t)
{
    char bytes[MANIFEST_BYTES + CRC];
    MDB_val key = val_of(MANIFEST_KEY), value = {sizeof bytes, bytes};

    t->manifest.written_ms = clock_wall_ms();
    t->manifest.txn = mdb_txn_id(t->mdb);
    manifest_write(bytes, &t->manifest);
    put_u32le(bytes + MANIFEST_BYTES, value_crc(MANIFEST_KEY, str_n(bytes, MANIFEST_BYTES)));
    return mdb_put(t->mdb, t->dbi, &key, &value, 0);
}

/* The map is too small only where address space is limited: the next transaction finds twice the room (ERR_AGAIN). */
static int write_err(struct txn *t, int rc, const char *what, struct err *e)
{
    if (rc == MDB_MAP_FULL)
        t->p->room_bytes *= 2;
    return env_err(e, rc, "partition %s: cannot %s", t->p->name, what);
}

int txn_commit(struct txn *t, uint64_t contained, struct err *e)
{
    struct partition *p = t->p;
    int rc;

    assert(t->write);
    if (contained > 0)
        t->manifest.contained = MAX(contained, t->manifest.contained);
    rc = put_manifest(t);
    if (rc)
        mdb_txn_abort(t->mdb);
    else {
        crash_point("partition before commit");
        rc = env_write_rc(p->env.path, mdb_txn_commit(t->mdb));
        crash_point("partition after commit");
    }
    if (rc) {
        p->broken = rc != MDB_MAP_FULL; /* opened anew before the next write */
        rc = write_err(t, rc, "commit", e);
        if (p->opts.failed && rc != ERR_AGAIN)
            p->opts.failed(p->opts.arg, rc, e);
    } else
        partition_committed(p, &t->manifest);
    txn_free(t);
    return rc;
}

int partition_seal(struct partition *p, uint64_t contained, struct err *e)
{
    struct txn *t;
    int rc = txn_write(p, &t, e);

    if (rc < 0)
        return rc;
    t->manifest.sealed = true;
    return txn_commit(t, contained, e);
}

/* --- reading ------------------------------------------------------------------------------------ */

static int corrupt(struct txn *t, struct str key, const char *what, struct err *e)
{
    char text[KEY_TEXT];
    struct err mine;

    if (!e)
        e = &mine;
    err_set(e, ERR_CORRUPT, "partition %s: key %s: %s", t->p->name, key_text(key, text), what);
    partition_damaged(t->p, e);
    return ERR_CORRUPT;
}

/* A value that lies in the map must end within the file; one of a write transaction may lie in LMDB's own memory. */
static bool within(const struct txn *t, struct str v)
{
    if (!t->map || (t->write && (v.p < t->map || v.p >= t->map + t->p->env.map_bytes)))
        return true;
    return v.p >= t->map && v.p <= t->map_end && v.n <= (size_t)(t->map_end - v.p);
}

static int check_value(struct txn *t, struct str key, MDB_val raw, struct str *value, struct err *e)
{
    struct str v = str_of_val(raw);

    if (v.n < CRC || !within(t, v))
        return corrupt(t, key, "a length that cannot be", e);
    v.n -= CRC;
    if (get_u32le(v.p + v.n) != value_crc(key, v))
        return corrupt(t, key, "bad checksum", e);
    *value = v;
    return 0;
}

static int read_err(struct txn *t, int rc, struct err *e)
{
    struct err mine;
    int code;

    if (!e)
        e = &mine;
    code = env_err(e, rc, "partition %s: cannot read", t->p->name);
    if (code == ERR_CORRUPT)
        partition_damaged(t->p, e);
    return code;
}

int txn_get(struct txn *t, struct str key, struct str *value, struct err *e)
{
    MDB_val k = val_of(key), v;
    int rc;

    assert(key.n > 0 && key.n <= PARTITION_KEY_MAX);
    rc = mdb_get(t->mdb, t->dbi, &k, &v);
    if (rc == MDB_NOTFOUND)
        return ERR_NOT_FOUND;
    if (rc)
        return read_err(t, rc, e);
    return check_value(t, key, v, value, e);
}

static int seek(struct txn *t, struct txn_iter *it, struct str at, MDB_val *k, MDB_val *v)
{
    MDB_cursor *c;
    int rc = mdb_cursor_open(t->mdb, t->dbi, &c);

    if (rc)
        return rc;
    it->cursor = c;
    it->started = true;
    *k = val_of(at);
    return mdb_cursor_get(c, k, v, at.n > 0 ? MDB_SET_RANGE : MDB_FIRST);
}

int txn_iter_next(struct txn *t, struct txn_iter *it, struct str prefix, struct str from, struct str *key, struct str *value,
                  struct err *e)
{
    MDB_val k, v;
    int rc;

    if (!it->started)
        rc = seek(t, it, from.n > 0 && str_cmp(from, prefix) > 0 ? from : prefix, &k, &v);
    else
        rc = mdb_cursor_get(it->cursor, &k, &v, MDB_NEXT);
    if (rc == 0 && is_manifest(str_of_val(k)))
        rc = mdb_cursor_get(it->cursor, &k, &v, MDB_NEXT);
    if (rc == MDB_NOTFOUND)
        return 1;
    if (rc)
        return read_err(t, rc, e);
    *key = str_of_val(k);
    if (key->n > PARTITION_KEY_MAX)
        return corrupt(t, *key, "a key too long", e);
    if (!str_starts(*key, prefix))
        return 1;
    return check_value(t, *key, v, value, e);
}

void txn_iter_end(struct txn_iter *it)
{
    if (it->cursor)
        mdb_cursor_close(it->cursor);
    memset(it, 0, sizeof *it);
}

/* --- writing ------------------------------------------------------------------------------------ */

static void count(struct manifest *m, struct str key, struct str value_and_crc)
{
    size_t n = value_and_crc.n - CRC;

    m->keys++;
    m->value_bytes += n;
    m->keys_hash += manifest_term(key, (uint32_t)n);
    m->content_hash += manifest_term(key, get_u32le(value_and_crc.p + n));
}

static void uncount(struct manifest *m, struct str key, struct str value_and_crc)
{
    size_t n = value_and_crc.n - CRC;

    m->keys--;
    m->value_bytes -= n;
    m->keys_hash -= manifest_term(key, (uint32_t)n);
    m->content_hash -= manifest_term(key, get_u32le(value_and_crc.p + n));
}

/* Takes what stands under key out of the counts; ERR_NOT_FOUND when nothing does. */
static int uncount_old(struct txn *t, struct str key, struct err *e)
{
    MDB_val k = val_of(key), v;
    int rc = mdb_get(t->mdb, t->dbi, &k, &v);

    if (rc == MDB_NOTFOUND)
        return ERR_NOT_FOUND;
    if (rc)
        return read_err(t, rc, e);
    if (v.mv_size < CRC || !within(t, str_of_val(v)))
        return corrupt(t, key, "a length that cannot be", e);
    uncount(&t->manifest, key, str_of_val(v));
    return 0;
}

static void fill(char *out, struct str key, const struct str *parts, uint32_t nparts, size_t n)
{
    char *p = out;

    for (uint32_t i = 0; i < nparts; i++) {
        if (parts[i].n > 0)
            memcpy(p, parts[i].p, parts[i].n);
        p += parts[i].n;
    }
    put_u32le(p, value_crc(key, str_n(out, n)));
}

int txn_put(struct txn *t, struct str key, const struct str *parts, uint32_t nparts, struct err *e)
{
    bool append = str_cmp(key, str_n(t->last_key, t->last_key_bytes)) > 0;
    MDB_val k = val_of(key), v;
    size_t n = 0;
    int rc;

    assert(t->write && key.n > 0 && key.n <= PARTITION_KEY_MAX && !is_manifest(key));
    for (uint32_t i = 0; i < nparts; i++)
        n += parts[i].n;
    assert(n < UINT32_MAX - CRC);
    if (!append && (rc = uncount_old(t, key, e)) < 0 && rc != ERR_NOT_FOUND)
        return rc;
    v = (MDB_val){n + CRC, NULL};
    rc = mdb_put(t->mdb, t->dbi, &k, &v, MDB_RESERVE | (append ? MDB_APPEND : 0));
    if (rc)
        return write_err(t, rc, "put", e);
    fill(v.mv_data, key, parts, nparts, n);
    count(&t->manifest, key, str_n(v.mv_data, n + CRC));
    if (append) {
        memcpy(t->last_key, key.p, key.n);
        t->last_key_bytes = key.n;
    }
    return 0;
}

int txn_del(struct txn *t, struct str key, struct err *e)
{
    MDB_val k = val_of(key);
    int rc;

    assert(t->write && !is_manifest(key));
    rc = uncount_old(t, key, e);
    if (rc < 0)
        return rc;
    rc = mdb_del(t->mdb, t->dbi, &k, NULL);
    if (rc)
        return write_err(t, rc, "delete", e);
    if (str_eq(key, str_n(t->last_key, t->last_key_bytes)))
        find_last_key(t);
    return 0;
}
