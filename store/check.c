/*
 * check.c - see check.h.
 *
 * (1) A key that is missing shows: the manifest has the number of keys and a hash over them.
 * (2) What is found wrong is counted to the end, so that a report is complete.
 */
#include "store/check.h"

#include "store/pages.h"

#include <stdio.h>

enum { CRC = 4 };

/* What the pairs add up to, beside what struct check tells. */
struct sums {
    struct check *c;
    struct pages_check *pages; /* NULL: through LMDB */
    bool has_manifest;
    uint64_t keys, value_bytes, keys_hash, content_hash;
};

enum check_kind check_kind_of(const char *path)
{
    const char *name = strrchr(path, '/');
    const char *dir = name;

    name = name ? name + 1 : path;
    if (strncmp(name, "state.mdb", 9) == 0)
        return CHECK_STATE;
    while (dir && dir > path && dir[-1] != '/')
        dir--;
    if ((dir && strncmp(dir, "journal/", 8) == 0) || strncmp(name, "journal-", 8) == 0)
        return CHECK_JOURNAL;
    return CHECK_PARTITION;
}

static void bad_value(struct check *c, struct str key, const char *what)
{
    char text[2 * PARTITION_KEY_MAX + 1] = "";

    for (size_t i = 0; i < MIN(key.n, (size_t)PARTITION_KEY_MAX); i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned char)key.p[i]);
    if (c->bad_values++ == 0)
        snprintf(c->first_bad, sizeof c->first_bad, "key %s: %s", text, what);
}

static int manifest_pair(struct sums *s, struct str value, struct err *e)
{
    struct str m = str_head(value, MANIFEST_BYTES);

    if (!value.p || value.n != MANIFEST_BYTES + CRC ||
        get_u32le(value.p + MANIFEST_BYTES) != value_crc(MANIFEST_KEY, m))
        return err_set(e, ERR_CORRUPT, "the manifest is damaged");
    s->has_manifest = true;
    if (s->pages && manifest_read(m, &s->c->manifest, e) == 0)
        s->pages->light = s->c->manifest.sealed;
    return manifest_read(m, &s->c->manifest, e);
}

static int partition_pair(void *arg, struct str key, struct str value, struct err *e)
{
    struct sums *s = arg;
    struct str v = str_head(value, value.n - CRC);

    if (str_eq(key, MANIFEST_KEY))
        return manifest_pair(s, value, e);
    if (key.n > PARTITION_KEY_MAX || value.n < CRC)
        return err_set(e, ERR_CORRUPT, "a key or value of impossible length");
    s->keys++;
    s->value_bytes += v.n;
    s->keys_hash += manifest_term(key, (uint32_t)v.n);
    if (!value.p)
        return 0;
    s->content_hash += manifest_term(key, get_u32le(v.p + v.n));
    if (get_u32le(v.p + v.n) != value_crc(key, v))
        bad_value(s->c, key, "bad checksum");
    return 0;
}

static int partition_end(const struct sums *s, uint64_t txn, struct err *e)
{
    struct check *c = s->c;
    const struct manifest *m = &c->manifest;

    c->pairs = s->keys;
    c->value_bytes = s->value_bytes;
    if (!s->has_manifest)
        return err_set(e, ERR_CORRUPT, "no manifest");
    if (m->txn != txn)
        return err_set(e, ERR_CORRUPT, "the manifest is of commit %llu, the file of commit %llu",
                       (unsigned long long)m->txn, (unsigned long long)txn);
    if (m->keys != s->keys || m->value_bytes != s->value_bytes || m->keys_hash != s->keys_hash)
        return err_set(e, ERR_CORRUPT, "%llu keys, %llu bytes where the manifest has %llu keys, %llu bytes",
                       (unsigned long long)s->keys, (unsigned long long)s->value_bytes, (unsigned long long)m->keys,
                       (unsigned long long)m->value_bytes);
    if (c->values && c->bad_values == 0 && m->content_hash != s->content_hash)
        return err_set(e, ERR_CORRUPT, "the values are not those the manifest was written for");
    return 0;
}

static void check_group(struct check *c, struct str key, struct str value)
{
    uint64_t first = get_u64le(key.p), seq;
    struct group_entry x;
    struct group g;
    struct err e;
    int rc;

    if (first == 0) {
        uint32_t file;

        if (group_header_read(value, &file, &c->first_seq, &e) < 0)
            bad_value(c, key, e.text);
        return;
    }
    c->last_seq = MAX(c->last_seq, first);
    if (!value.p)
        return;
    if (group_open(&g, first, value, &e) < 0) {
        bad_value(c, key, e.text);
        return;
    }
    c->last_seq = MAX(c->last_seq, first + MAX(g.n, 1u) - 1);
    while ((rc = group_next(&g, true, &seq, &x, &e)) <= 0)
        if (rc < 0)
            bad_value(c, key, e.text);
}

static int other_pair(void *arg, struct str key, struct str value, struct err *e)
{
    struct sums *s = arg;

    (void)e;
    s->keys++;
    s->value_bytes += value.n;
    if (s->c->kind == CHECK_JOURNAL)
        check_group(s->c, key, value);
    else if (value.n < CRC)
        bad_value(s->c, key, "too short");
    else if (value.p && get_u32le(value.p + value.n - CRC) != value_crc(key, str_head(value, value.n - CRC)))
        bad_value(s->c, key, "bad checksum");
    return 0;
}

static int end(struct sums *s, uint64_t txn, struct err *e)
{
    if (s->c->kind == CHECK_PARTITION)
        return partition_end(s, txn, e);
    s->c->pairs = s->keys;
    s->c->value_bytes = s->value_bytes;
    return 0;
}

static int pace(void *arg, uint64_t bytes)
{
    struct sums *s = arg;

    return s->c->pace(s->c->arg, bytes);
}

int check_file(struct check *c, struct err *e)
{
    struct pages_check p = {.integer_keys = c->kind == CHECK_JOURNAL, .values = c->values, .txn = c->txn};
    struct sums s = {.c = c, .pages = &p};
    int rc;

    p.pair = c->kind == CHECK_PARTITION ? partition_pair : other_pair;
    p.pace = c->pace ? pace : NULL;
    p.arg = &s;
    c->bad_values = 0;
    rc = pages_walk_file(c->path, &p, e);
    c->used_bytes = p.used_bytes;
    c->free_pages = p.free_pages;
    return rc < 0 ? rc : end(&s, p.found_txn, e);
}

/* --- through LMDB ------------------------------------------------------------------------------- */

/* A key must be found where the walk over all pairs met it: a damaged branch page would hide it from txn_get only. */
static int look_up(MDB_txn *t, MDB_dbi dbi, MDB_val key, MDB_val value, struct err *e)
{
    MDB_val got;

    if (mdb_get(t, dbi, &key, &got) != 0 || got.mv_data != value.mv_data || got.mv_size != value.mv_size)
        return err_set(e, ERR_CORRUPT, "a key that cannot be looked up");
    return 0;
}

static int each_pair(struct env *v, MDB_txn *t, struct sums *s, struct err *e)
{
    int (*pair)(void *, struct str, struct str, struct err *) =
        s->c->kind == CHECK_PARTITION ? partition_pair : other_pair;
    MDB_val key, value;
    MDB_cursor *c;
    int rc = mdb_cursor_open(t, v->dbi, &c), ours = 0;

    if (rc)
        return env_err(e, rc, "cannot read %s", v->path);
    rc = mdb_cursor_get(c, &key, &value, MDB_FIRST);
    for (; rc == 0 && ours == 0; rc = mdb_cursor_get(c, &key, &value, MDB_NEXT)) {
        ours =
            s->c->kind == CHECK_JOURNAL && key.mv_size != 8 ? err_set(e, ERR_CORRUPT, "a key of impossible length") : 0;
        if (ours == 0)
            ours = look_up(t, v->dbi, key, value, e);
        if (ours == 0)
            ours = pair(s, str_of_val(key), str_of_val(value), e);
    }
    mdb_cursor_close(c);
    if (ours)
        return ours;
    return rc == MDB_NOTFOUND ? 0 : env_err(e, rc, "cannot read %s", v->path);
}

int check_mapped(struct check *c, struct err *e)
{
    struct sums s = {.c = c};
    struct env v;
    MDB_txn *t;
    uint64_t txn;
    int rc =
        env_open(&v, c->path, ENV_READ_ONLY | ENV_NO_LOCK | (c->kind == CHECK_JOURNAL ? ENV_INTEGER_KEYS : 0), 0, e);

    if (rc < 0)
        return rc;
    c->bad_values = 0;
    c->values = true;
    rc = mdb_txn_begin(v.mdb, NULL, MDB_RDONLY, &t);
    if (rc)
        rc = env_err(e, rc, "cannot read %s", c->path);
    else {
        txn = mdb_txn_id(t);
        rc = each_pair(&v, t, &s, e);
        mdb_txn_abort(t);
        if (rc == 0)
            rc = end(&s, txn, e);
    }
    env_close(&v);
    return rc;
}
