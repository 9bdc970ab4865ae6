/* names.c - label names and values: what the head's index says and what the days of the window add. */
#include "tsdb/head_read.h"
#include "tsdb/match.h"
#include "tsdb/select.h"

#include <stdlib.h>

enum { RECENT_MS = 3 * 3600 * 1000 };

/* Distinct texts as they are found, copied into an arena. */
struct found {
    struct map map;
    struct arena *a;
};

static int found_add(void *arg, struct str text)
{
    struct found *f = arg;
    void **slot;

    if (map_get(&f->map, text))
        return 0;
    slot = map_put(&f->map, arena_dup(f->a, text), NULL);
    *slot = f;
    return 0;
}

/* Does the window reach what the head stands for: its samples, and the newest that it wrote to disk? */
static bool reaches_head(const struct tsdb *db, int64_t mint, int64_t maxt)
{
    int64_t disk = atomic_load(&db->disk_maxt), from = atomic_load(&db->head.mint),
            to = MAX(atomic_load(&db->head.maxt), disk);

    if (disk != INT64_MIN)
        from = MIN(from, disk - RECENT_MS);
    return mint <= to && maxt >= from;
}

static bool in_window(const struct tsdb_select *s, const struct series *x)
{
    int64_t t;
    double v;

    return (series_last(x, &t, &v) && t >= s->mint && t <= s->maxt) || head_overlaps(x, s->dropped, s->mint, s->maxt);
}

static void add_pair(struct found *f, const struct symbols *sy, const struct head_pair *p, struct str name)
{
    if (name.n == 0)
        found_add(f, name_get(sy, p->name)->text);
    else if (str_eq(name_get(sy, p->name)->text, name))
        found_add(f, pair_value(p));
}

/* Everything of the head: no matchers. name empty: names. */
static void all_of_head(struct tsdb *db, struct str name, struct found *f)
{
    const struct symbols *sy = &db->head.symbols;
    uint32_t id;

    pthread_rwlock_rdlock(&db->head.index_lock);
    id = name.n ? name_find(sy, name) : SYMBOL_NONE;
    for (uint32_t i = 0; name.n == 0 && i < sy->nnames; i++)
        if (name_get(sy, i)->npairs)
            found_add(f, name_get(sy, i)->text);
    for (uint32_t i = 0; id != SYMBOL_NONE && i < name_get(sy, id)->npairs; i++)
        found_add(f, pair_value(pair_get(sy, name_get(sy, id)->pairs[i])));
    pthread_rwlock_unlock(&db->head.index_lock);
}

static int matched_of_head(struct tsdb_select *s, struct str name, const struct matcher *m, uint32_t nm,
                           struct found *f, struct err *e)
{
    struct head *h = &s->db->head;
    uint32_t n, *refs;
    uint8_t *seen;
    int code = head_match(h, m, nm, NULL, &refs, &n, e);

    if (code < 0)
        return code;
    seen = x_zalloc(h->symbols.npairs / 8 + 1);
    for (uint32_t i = 0; i < n; i++) {
        const struct series *x = head_series(h, refs[i]);
        if (!in_window(s, x))
            continue;
        for (uint32_t k = 0; k < x->npairs; k++) {
            uint32_t pair = x->pairs[k];
            if (seen[pair / 8] >> pair % 8 & 1)
                continue;
            seen[pair / 8] |= (uint8_t)(1u << pair % 8);
            add_pair(f, &h->symbols, pair_get(&h->symbols, pair), name);
        }
    }
    pthread_rwlock_unlock(&h->index_lock);
    free(seen);
    free(refs);
    return 0;
}

static int of_day(struct day_view *v, struct str name, const struct matcher *m, uint32_t nm, struct found *f,
                  struct err *e)
{
    roaring_bitmap_t *only = NULL;
    int rc = nm ? day_view_match(v, m, nm, &only, e) : 0;

    if (rc < 0)
        return rc;
    rc = name.n ? day_view_values(v, name, only, found_add, f, e) : day_view_names(v, only, found_add, f, e);
    if (only)
        roaring_bitmap_free(only);
    return rc;
}

static int find(struct tsdb *db, struct str name, const struct matcher *m, uint32_t nm, int64_t mint, int64_t maxt,
                struct found *f, struct err *e)
{
    struct tsdb_select *s = select_new(db, mint, maxt);
    int rc = 0;

    s->rollup = TSDB_ROLLUP_THIN; /* days whose samples are gone have names too */
    if (nm)
        rc = matched_of_head(s, name, m, nm, f, e);
    else if (reaches_head(db, mint, maxt))
        all_of_head(db, name, f);
    if (rc == 0)
        rc = select_open_days(s, e);
    for (uint32_t d = 0; rc == 0 && d < s->ndays; d++)
        rc = of_day(s->days[d], name, m, nm, f, e);
    tsdb_select_close(s);
    return rc;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int list(struct tsdb *db, struct str name, const struct matcher *m, uint32_t nm, int64_t mint, int64_t maxt,
                uint32_t limit, struct arena *a, struct str **out, uint32_t *n, bool *truncated, struct err *e)
{
    struct found f = {.a = a};
    struct map_entry *en;
    uint32_t i = 0, k = 0;
    int rc = find(db, name, m, nm, mint, maxt, &f, e);

    if (rc == 0) {
        *out = arena_array(a, struct str, f.map.n);
        while ((en = map_next(&f.map, &i)))
            (*out)[k++] = en->key;
        if (k)
            qsort(*out, k, sizeof **out, by_text);
        if (truncated)
            *truncated = limit && k > limit;
        *n = limit ? MIN(k, limit) : k;
    }
    map_release(&f.map);
    return rc;
}

int tsdb_label_names(struct tsdb *db, const struct matcher *m, uint32_t nm, int64_t mint, int64_t maxt, uint32_t limit,
                     struct arena *a, struct str **out, uint32_t *n, bool *truncated, struct err *e)
{
    return list(db, STR_NULL, m, nm, mint, maxt, limit, a, out, n, truncated, e);
}

int tsdb_label_values(struct tsdb *db, struct str name, const struct matcher *m, uint32_t nm, int64_t mint,
                      int64_t maxt, uint32_t limit, struct arena *a, struct str **out, uint32_t *n, bool *truncated,
                      struct err *e)
{
    *n = 0;
    if (truncated)
        *truncated = false;
    return name.n ? list(db, name, m, nm, mint, maxt, limit, a, out, n, truncated, e) : 0;
}
