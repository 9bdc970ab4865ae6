/*
 * forge - damages a file of a day past its checksums: forge FILE.mdb PREFIX NUMBER OFFSET MASK
 *
 * Of the values whose key begins with PREFIX the one of that number (from 0) gets its byte at OFFSET (from the end, where
 * negative) combined with MASK by exclusive or, and is written like any other value: its checksum is right, what it says is not.
 * NUMBER may be -1: the last. Nobody may have the file open. Exit status 1 where there is no such byte.
 */
#include "store/check.h"

#include <stdio.h>
#include <stdlib.h>

struct asked {
    struct str prefix;
    long number, offset;
    unsigned mask;
};

/* The key and the value, changed, of what is asked for. */
static int find(struct partition *p, const struct asked *a, struct buf *key, struct buf *value, struct err *e)
{
    struct txn_iter it = {0};
    struct str k, v;
    struct txn *t;
    long n = 0, at;
    int rc = txn_read(p, &t, e);

    if (rc < 0)
        return rc;
    while ((rc = txn_iter_next(t, &it, a->prefix, STR(""), &k, &v, e)) == 0 && (a->number < 0 || n++ <= a->number)) {
        buf_reset(key);
        buf_reset(value);
        buf_puts(key, k);
        buf_puts(value, v);
    }
    txn_iter_end(&it);
    txn_end(t);
    at = a->offset < 0 ? (long)value->n + a->offset : a->offset;
    if (rc < 0)
        return rc;
    if (!key->n || n <= a->number || at < 0 || at >= (long)value->n)
        return err_set(e, ERR_NOT_FOUND, "there is no such byte: %ld values, the last one of %zu bytes", n, value->n);
    value->p[at] ^= (char)a->mask;
    return 0;
}

static int forge(const char *path, const struct asked *a, struct err *e)
{
    struct check c = {.path = path, .kind = CHECK_PARTITION};
    struct partition_opts o = {.path = path, .may_write = true};
    struct buf key = {0}, value = {0};
    struct partition *p = NULL;
    struct txn *t;
    int rc = check_file(&c, e);

    o.day = c.manifest.day;
    o.signal = c.manifest.signal;
    o.format = c.manifest.format;
    if (rc == 0 && (rc = partition_open(&o, &p, e)) == 0 && (rc = find(p, a, &key, &value, e)) == 0 && (rc = txn_write(p, &t, e)) == 0) {
        struct str v = buf_str(&value);

        rc = txn_put(t, buf_str(&key), &v, 1, e);
        if (rc == 0)
            rc = txn_commit(t, 0, e);
        else
            txn_end(t);
    }
    partition_unref(p);
    buf_release(&key);
    buf_release(&value);
    return rc;
}

int main(int argc, char **argv)
{
    struct err e = {0};

    if (argc != 6) {
        fputs("usage: forge FILE.mdb PREFIX NUMBER OFFSET MASK\n", stderr);
        return 2;
    }
    struct asked a = {str_of(argv[2]), strtol(argv[3], NULL, 10), strtol(argv[4], NULL, 10), (unsigned)strtoul(argv[5], NULL, 0)};
    if (forge(argv[1], &a, &e) < 0) {
        fprintf(stderr, "forge: %s\n", e.text);
        return 1;
    }
    return 0;
}
