/*
 * match.c - numbers the match groups of two vectors: the smaller vector's keys are hashed first, the other's looked up.
 */
#include "query/promql/match.h"

#include <stdlib.h>

enum { KEY_WORK = 300 };

static bool listed(const struct vector_matching *m, struct str name)
{
    for (uint32_t i = 0; m && i < m->nlabels; i++)
        if (str_eq(m->labels[i], name))
            return true;
    return false;
}

static void put(struct buf *b, struct str s)
{
    buf_put_varint(b, s.n);
    buf_puts(b, s);
}

static void key_of(struct buf *b, const struct vector_matching *m, const struct labels *ls)
{
    buf_reset(b);
    if (m && m->on) {
        for (uint32_t i = 0; i < m->nlabels; i++)
            put(b, labels_get(ls, m->labels[i]));
        return;
    }
    for (uint32_t i = 0; i < ls->n; i++) {
        if (str_eqz(ls->v[i].name, LABEL_NAME) || listed(m, ls->v[i].name))
            continue;
        put(b, ls->v[i].name);
        put(b, ls->v[i].value);
    }
}

struct table {
    struct map map;
    struct arena arena; /* of the keys */
    uint32_t n;
};

static int number(struct table *t, const struct vector_matching *m, const struct vec *v, uint32_t *keys, struct err *e)
{
    struct query_pace pace = {v->pile.q, "matching", 0};
    struct buf b = {0};
    int code = 0;

    for (uint32_t i = 0; i < v->n && code == 0; i++) {
        void *at;

        code = query_pace(&pace, KEY_WORK, e);
        key_of(&b, m, &v->rows[i].labels);
        at = map_get(&t->map, buf_str(&b));
        if (at) {
            keys[i] = (uint32_t)((uintptr_t)at - 1);
            continue;
        }
        keys[i] = t->n++;
        *map_put(&t->map, arena_dup(&t->arena, buf_str(&b)), NULL) = (void *)(uintptr_t)t->n;
    }
    buf_release(&b);
    return code;
}

int match_keys_make(struct match_keys *k, const struct vector_matching *m, const struct vec *l, const struct vec *r, struct err *e)
{
    struct table t = {0};
    int code;

    k->left = x_alloc((l->n + (size_t)1) * sizeof *k->left);
    k->right = x_alloc((r->n + (size_t)1) * sizeof *k->right);
    if (l->n < r->n) {
        code = number(&t, m, l, k->left, e);
        code = code < 0 ? code : number(&t, m, r, k->right, e);
    } else {
        code = number(&t, m, r, k->right, e);
        code = code < 0 ? code : number(&t, m, l, k->left, e);
    }
    k->nkeys = t.n;
    map_release(&t.map);
    arena_release(&t.arena);
    return code;
}

void match_keys_release(struct match_keys *k)
{
    free(k->left);
    free(k->right);
    *k = (struct match_keys){0};
}

struct labels match_labels(struct arena *a, const struct vector_matching *m, const struct labels *ls)
{
    if (m && m->on)
        return labels_pick(a, ls, m->labels, m->nlabels, true, false);
    return labels_pick(a, ls, m ? m->labels : NULL, m ? m->nlabels : 0, false, true);
}
