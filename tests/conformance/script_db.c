/*
 * script_db.c - a real store in a temporary folder, made anew by clear.
 *
 * (1) Scripts live in 1970: the store keeps everything, however old.
 */
#include "tests/conformance/script_db.h"

#include "store/store.h"
#include "tsdb/tsdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FOREVER_MS (INT64_C(200) * 365 * 86400000)

struct script_db {
    char dir[64];
    struct store *store;
    struct tsdb *db;
};

static int open_store(struct script_db *x, struct err *e)
{
    struct store_opts so;
    struct tsdb_opts to;

    strcpy(x->dir, "/tmp/tripod-script.XXXXXX");
    if (!mkdtemp(x->dir)) {
        x->dir[0] = 0;
        return err_sys(e, errno, "temporary folder");
    }
    store_opts_default(&so);
    so.dir = x->dir;
    so.retention_ms = so.out_of_order_ms = FOREVER_MS;
    tsdb_opts_default(&to);
    if (store_open(&so, &x->store, e) < 0 || tsdb_new(x->store, &to, &x->db, e) < 0 || store_recover(x->store, e) < 0)
        return e->code;
    return store_start(x->store, e);
}

static void close_store(struct script_db *x)
{
    char cmd[128];

    if (x->store)
        store_close(x->store);
    if (x->db)
        tsdb_free(x->db);
    x->store = NULL;
    x->db = NULL;
    if (!x->dir[0])
        return;
    snprintf(cmd, sizeof cmd, "rm -rf %s", x->dir);
    if (system(cmd) != 0)
        fprintf(stderr, "could not remove %s\n", x->dir);
}

int script_db_open(struct script_db **out, struct err *e)
{
    struct script_db *x = x_zalloc(sizeof *x);

    if (open_store(x, e) < 0) {
        script_db_close(x);
        return e->code;
    }
    *out = x;
    return 0;
}

void script_db_close(struct script_db *x)
{
    if (!x)
        return;
    close_store(x);
    free(x);
}

int script_db_clear(struct script_db *x, struct err *e)
{
    close_store(x);
    return open_store(x, e);
}

struct tsdb *script_db_tsdb(struct script_db *x)
{
    return x->db;
}

/* --- in --------------------------------------------------------------------------------------- */

static int give_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    const struct script_series *s = b->ctx;

    (void)e;
    *out = labels_dup(a, &s[i].labels);
    return 0;
}

static void add_row(struct tsdb_batch *b, struct tsdb_in *in, const struct script_series *s, uint32_t *n)
{
    *in = (struct tsdb_in){.key = labels_hash(&s->labels), .first = *n, .n = s->n};
    for (uint32_t i = 0; i < s->n; i++) {
        b->t[*n] = s->t[i];
        b->v[*n] = s->v[i];
        b->h[*n] = s->h ? s->h[i] : NULL;
        b->st[(*n)++] = s->st ? s->st[i] : 0;
    }
}

int script_db_add(struct script_db *x, const struct script_series *s, uint32_t n, struct err *e)
{
    struct tsdb_batch b = {.nseries = n, .labels = give_labels, .ctx = (void *)s};
    uint32_t total = 1, at = 0;
    int code;

    for (uint32_t i = 0; i < n; i++)
        total += s[i].n;
    b.series = x_zalloc((n + (size_t)1) * sizeof *b.series);
    b.t = x_alloc(total * sizeof *b.t);
    b.v = x_alloc(total * sizeof *b.v);
    b.h = x_alloc(total * sizeof *b.h);
    b.st = x_alloc(total * sizeof *b.st);
    for (uint32_t i = 0; i < n; i++)
        add_row(&b, &b.series[i], &s[i], &at);
    code = at ? tsdb_ingest_wait(x->db, &b, e) : 0;
    if (code == 0 && b.verdicts[TSDB_BAD_HISTOGRAM])
        code = err_set(e, ERR_INVALID, "%s", b.bad.text);
    free(b.series);
    free(b.t);
    free(b.v);
    free(b.h);
    free(b.st);
    return code;
}
