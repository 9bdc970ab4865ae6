/*
 * row.c - vectors of rows and the label sets they carry.
 */
#include "query/vector/row.h"

#include <assert.h>
#include <stdlib.h>

enum { LABELS_WORK = 256, ROW_WORK = 32 /* it may lie anywhere */ };

void vec_init(struct vec *v, struct query *q, uint32_t nsteps)
{
    *v = (struct vec){.nsteps = nsteps};
    pile_init(&v->pile, q);
}

void vec_release(struct vec *v)
{
    pile_release(&v->pile);
    free(v->rows);
    *v = (struct vec){.pile = v->pile};
}

static struct row *push(struct vec *v)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? v->cap * 2 : 16;
        v->rows = x_realloc(v->rows, v->cap * sizeof *v->rows);
    }
    return &v->rows[v->n++];
}

struct row *vec_add(struct vec *v, const char *where, struct err *e)
{
    size_t n = v->nsteps;
    char *p = pile_alloc(&v->pile, n * (sizeof(double) + 1) + sizeof(struct row), where, e);
    struct row *r;

    if (!p)
        return NULL;
    r = push(v);
    *r = (struct row){.v = (double *)(void *)p, .has = (uint8_t *)p + n * sizeof(double)};
    memset(r->has, ROW_NONE, n);
    return r;
}

int row_want_h(struct vec *v, struct row *r, const char *where, struct err *e)
{
    void *p;

    if (r->h)
        return 0;
    p = pile_alloc(&v->pile, v->nsteps * sizeof *r->h, where, e);
    if (!p)
        return ERR_LIMIT;
    r->h = memset(p, 0, v->nsteps * sizeof *r->h);
    return 0;
}

void vec_join(struct vec *dst, struct vec *src)
{
    assert(dst->nsteps == src->nsteps);
    if (src->n) {
        if (dst->n + src->n > dst->cap) {
            dst->cap = dst->n + src->n;
            dst->rows = x_realloc(dst->rows, dst->cap * sizeof *dst->rows);
        }
        memcpy(dst->rows + dst->n, src->rows, src->n * sizeof *src->rows);
        dst->n += src->n;
    }
    pile_join(&dst->pile, &src->pile);
    free(src->rows);
    src->rows = NULL;
    src->n = src->cap = 0;
}

void vec_compact(struct vec *v)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < v->n; i++)
        if (row_any(&v->rows[i], v->nsteps))
            v->rows[n++] = v->rows[i];
    v->n = n;
}

int vec_compact_many(struct vec *v, struct err *e)
{
    struct query_pace pace = {v->pile.q, "a vector", 0};
    uint32_t n = 0;

    for (uint32_t i = 0; i < v->n; i++) {
        if (query_pace(&pace, ROW_WORK + v->nsteps / 16, e) < 0)
            return e->code;
        if (row_any(&v->rows[i], v->nsteps))
            v->rows[n++] = v->rows[i];
    }
    v->n = n;
    return 0;
}

int vec_points(const struct vec *v, uint64_t *out, struct err *e)
{
    struct query_pace pace = {v->pile.q, "result", 0};
    uint64_t n = 0;

    for (uint32_t i = 0; i < v->n; i++) {
        if (query_pace(&pace, ROW_WORK + v->nsteps, e) < 0)
            return e->code;
        for (uint32_t s = 0; s < v->nsteps; s++)
            n += v->rows[i].has[s] != ROW_NONE;
    }
    *out = n;
    return 0;
}

static bool is_name_label(struct str name)
{
    if (name.n < 8 || name.p[0] != '_' || name.p[1] != '_')
        return false;
    return str_eqz(name, LABEL_NAME) || str_eqz(name, "__type__") || str_eqz(name, "__unit__");
}

static bool row_has_name(const struct row *r)
{
    for (uint32_t i = 0; i < r->labels.n; i++)
        if (is_name_label(r->labels.v[i].name))
            return true;
    return false;
}

/* Puts src's places into dst. False when both stand at one step. */
static bool merge_row(struct row *dst, const struct row *src, uint32_t nsteps)
{
    for (uint32_t s = 0; s < nsteps; s++) {
        if (src->has[s] == ROW_NONE)
            continue;
        if (dst->has[s] != ROW_NONE)
            return false;
        dst->has[s] = src->has[s];
        dst->v[s] = src->v[s];
        if (src->has[s] == ROW_HIST)
            dst->h[s] = src->h[s];
    }
    return true;
}

/* A name that is to be dropped is another label set than the name itself. */
static bool same_labels(const struct row *a, const struct row *b)
{
    if (!labels_eq(&a->labels, &b->labels))
        return false;
    return a->drop_name == b->drop_name || !row_has_name(a);
}

int vec_unify(struct vec *v, struct err *e)
{
    return vec_unify_or(v, "vector cannot contain metrics with the same labelset", e);
}

int vec_unify_or(struct vec *v, const char *sentence, struct err *e)
{
    struct query_pace pace = {v->pile.q, "labels", 0};
    uint32_t mask = 15, n = 0, *slots;
    int code = 0;

    if (v->n < 2)
        return 0;
    while (mask < v->n * 2)
        mask = mask * 2 + 1;
    slots = x_zalloc((mask + (size_t)1) * sizeof *slots);
    for (uint32_t i = 0; i < v->n && code == 0; i++) {
        struct row *r = &v->rows[i], *old = NULL;
        uint32_t at = (uint32_t)labels_hash64(&r->labels) & mask;

        for (; slots[at]; at = (at + 1) & mask)
            if (same_labels(&v->rows[slots[at] - 1], r)) {
                old = &v->rows[slots[at] - 1];
                break;
            }
        if (!old) {
            v->rows[n] = *r;
            slots[at] = ++n;
        } else if (r->h && row_want_h(v, old, "merge", e) < 0) {
            code = ERR_LIMIT;
        } else if (!merge_row(old, r, v->nsteps)) {
            code = err_set(e, ERR_EXEC, "%s", sentence);
        }
        if (code == 0)
            code = query_pace(&pace, LABELS_WORK + (old ? v->nsteps : 0), e);
    }
    if (code == 0)
        v->n = n;
    free(slots);
    return code;
}

static bool overlap(const struct row *a, const struct row *b, uint32_t nsteps)
{
    for (uint32_t s = 0; s < nsteps; s++)
        if (a->has[s] && b->has[s])
            return true;
    return false;
}

/* A row that will have no name in the end. */
static bool nameless(const struct row *r)
{
    return r->drop_name || !row_has_name(r);
}

/* Whether nameless rows still bear different names: else nothing can meet. */
static bool several_names(const struct vec *v)
{
    const struct row *first = NULL;

    for (uint32_t i = 0; i < v->n; i++) {
        const struct row *r = &v->rows[i];

        if (!nameless(r))
            continue;
        if (first && !str_eq(labels_get(&first->labels, STR(LABEL_NAME)), labels_get(&r->labels, STR(LABEL_NAME))))
            return true;
        first = r;
    }
    return false;
}

int vec_unify_nameless(struct vec *v, struct err *e)
{
    uint32_t mask = 15, n = 0, *slots;
    struct query_pace pace = {v->pile.q, "labels", 0};
    struct labels *bare;
    int code = 0;

    if (!several_names(v))
        return 0;
    while (mask < v->n * 2)
        mask = mask * 2 + 1;
    slots = x_zalloc((mask + (size_t)1) * sizeof *slots);
    bare = x_alloc(v->n * sizeof *bare);
    for (uint32_t i = 0; i < v->n && code == 0; i++) {
        struct row *r = &v->rows[i], *old = NULL;
        bool candidate = nameless(r);
        struct labels ls = candidate ? labels_drop_name(&v->pile.a, &r->labels) : r->labels;
        uint32_t at = (uint32_t)labels_hash64(&ls) & mask;

        code = query_pace(&pace, LABELS_WORK, e);
        for (; candidate && slots[at] && !old && code == 0; at = (at + 1) & mask)
            if (labels_eq(&bare[slots[at] - 1], &ls)) {
                if (!overlap(&v->rows[slots[at] - 1], r, v->nsteps))
                    old = &v->rows[slots[at] - 1];
                code = query_pace(&pace, v->nsteps, e);
            }
        if (old) {
            if (r->h && row_want_h(v, old, "merge", e) < 0)
                code = ERR_LIMIT;
            else
                merge_row(old, r, v->nsteps);
            continue;
        }
        v->rows[n] = *r;
        bare[n++] = ls;
        if (candidate)
            slots[at] = n;
    }
    if (code == 0)
        v->n = n;
    free(slots);
    free(bare);
    return code;
}

/* --- label sets ---------------------------------------------------------------------------------------------- */

struct labels labels_drop_name(struct arena *a, const struct labels *ls)
{
    struct labels out = {0};
    bool any = false;

    for (uint32_t i = 0; i < ls->n && !any; i++)
        any = is_name_label(ls->v[i].name);
    if (!any)
        return *ls;
    out.v = arena_alloc(a, ls->n * sizeof *out.v);
    for (uint32_t i = 0; i < ls->n; i++)
        if (!is_name_label(ls->v[i].name))
            out.v[out.n++] = ls->v[i];
    return out;
}

static bool listed(struct str name, const struct str *names, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(names[i], name))
            return true;
    return false;
}

struct labels labels_pick(struct arena *a, const struct labels *ls, const struct str *names, uint32_t n, bool keep,
                          bool drop_name)
{
    struct labels out = {.v = arena_alloc(a, (ls->n ? ls->n : 1) * sizeof *out.v)};

    for (uint32_t i = 0; i < ls->n; i++) {
        bool in = listed(ls->v[i].name, names, n);

        if (keep ? in : !in && !(drop_name && str_eqz(ls->v[i].name, LABEL_NAME)))
            out.v[out.n++] = ls->v[i];
    }
    return out;
}

struct labels labels_with(struct arena *a, const struct labels *ls, struct str name, struct str value)
{
    struct labels out = {.v = arena_alloc(a, (ls->n + (size_t)1) * sizeof *out.v)};
    bool put = value.n == 0;

    for (uint32_t i = 0; i < ls->n; i++) {
        int c = str_cmp(ls->v[i].name, name);

        if (c >= 0 && !put) {
            out.v[out.n++] = (struct label){name, value};
            put = true;
        }
        if (c != 0)
            out.v[out.n++] = ls->v[i];
    }
    if (!put)
        out.v[out.n++] = (struct label){name, value};
    return out;
}

void labels_text(struct buf *out, const struct labels *ls)
{
    buf_putc(out, '{');
    for (uint32_t i = 0; i < ls->n; i++) {
        if (i)
            buf_putz(out, ", ");
        if (label_name_legacy(ls->v[i].name))
            buf_puts(out, ls->v[i].name);
        else
            buf_put_quoted(out, ls->v[i].name);
        buf_putc(out, '=');
        buf_put_quoted(out, ls->v[i].value);
    }
    buf_putc(out, '}');
}

uint64_t labels_hash64(const struct labels *ls)
{
    uint64_t h = 0x9e3779b97f4a7c15u;

    for (uint32_t i = 0; i < ls->n; i++) {
        h = (h ^ hash64(ls->v[i].name.p, ls->v[i].name.n)) * 0x9fb21c651e98df25u;
        h ^= h >> 29;
        h = (h ^ hash64(ls->v[i].value.p, ls->v[i].value.n)) * 0x9fb21c651e98df25u;
        h ^= h >> 32;
    }
    return h;
}
