/* labels.c - see labels.h. */
#include "base/labels.h"

#include "base/quote.h"

#include <assert.h>
#include <stdlib.h>

struct str labels_get(const struct labels *ls, struct str name)
{
    for (uint32_t i = 0; i < ls->n; i++) /* sets are small: a scan beats a search, and the lengths differ mostly */
        if (str_eq(ls->v[i].name, name))
            return ls->v[i].value;
    return STR("");
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Insertion sort while nearly everything arrives sorted; qsort when a peer sends many in disorder. */
static void sort_labels(struct labels *ls)
{
    if (ls->n > 32) {
        for (uint32_t i = 1; i < ls->n; i++)
            if (by_name(&ls->v[i - 1], &ls->v[i]) > 0) {
                qsort(ls->v, ls->n, sizeof *ls->v, by_name);
                break;
            }
        return;
    }
    for (uint32_t i = 1; i < ls->n; i++) {
        struct label l = ls->v[i];
        uint32_t k = i;

        for (; k > 0 && str_cmp(ls->v[k - 1].name, l.name) > 0; k--)
            ls->v[k] = ls->v[k - 1];
        ls->v[k] = l;
    }
}

int labels_normalise(struct labels *ls, struct err *e)
{
    uint32_t at = 0;

    sort_labels(ls);
    for (uint32_t i = 1; i < ls->n; i++)
        if (str_eq(ls->v[i - 1].name, ls->v[i].name))
            return err_set(e, ERR_INVALID, "label name \"%.*s\" is not unique", STR_ARG(str_head(ls->v[i].name, 200)));
    for (uint32_t i = 0; i < ls->n; i++)
        if (ls->v[i].value.n)
            ls->v[at++] = ls->v[i];
    ls->n = at;
    return 0;
}

int labels_cmp(const struct labels *a, const struct labels *b)
{
    uint32_t n = a->n < b->n ? a->n : b->n;

    for (uint32_t i = 0; i < n; i++) {
        int c = str_cmp(a->v[i].name, b->v[i].name);

        if (c == 0)
            c = str_cmp(a->v[i].value, b->v[i].value);
        if (c)
            return c;
    }
    return (a->n > b->n) - (a->n < b->n);
}

bool labels_eq(const struct labels *a, const struct labels *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!str_eq(a->v[i].name, b->v[i].name) || !str_eq(a->v[i].value, b->v[i].value))
            return false;
    return true;
}

struct labels labels_dup(struct arena *a, const struct labels *ls)
{
    struct labels out = {.n = ls->n};
    size_t bytes = 0;
    char *p;

    if (ls->n == 0)
        return out;
    for (uint32_t i = 0; i < ls->n; i++)
        bytes += ls->v[i].name.n + ls->v[i].value.n;
    out.v = arena_alloc(a, ls->n * sizeof *out.v);
    p = arena_alloc(a, bytes);
    for (uint32_t i = 0; i < ls->n; i++) {
        const struct label *l = &ls->v[i];

        out.v[i].name = str_n(p, l->name.n);
        if (l->name.n)
            memcpy(p, l->name.p, l->name.n);
        p += l->name.n;
        out.v[i].value = str_n(p, l->value.n);
        if (l->value.n)
            memcpy(p, l->value.p, l->value.n);
        p += l->value.n;
    }
    return out;
}

/* --- canonical bytes ---------------------------------------------------------------------------- */

static size_t varint_len(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static size_t pair_len(const struct label *l)
{
    return 2 + varint_len(l->name.n) + l->name.n + varint_len(l->value.n) + l->value.n;
}

static uint8_t *put_field(uint8_t *p, uint8_t tag, struct str s)
{
    *p++ = tag;
    p = put_varint(p, s.n);
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

static size_t canonical_len(const struct labels *ls)
{
    size_t n = 0;

    for (uint32_t i = 0; i < ls->n; i++) {
        size_t pair = pair_len(&ls->v[i]);

        n += 1 + varint_len(pair) + pair;
    }
    return n;
}

static uint8_t *put_canonical(uint8_t *p, const struct labels *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        const struct label *l = &ls->v[i];

        *p++ = 0x0a;
        p = put_varint(p, pair_len(l));
        p = put_field(p, 0x0a, l->name);
        p = put_field(p, 0x12, l->value);
    }
    return p;
}

void labels_canonical(struct buf *out, const struct labels *ls)
{
    size_t n = canonical_len(ls);
    char *p = buf_reserve(out, n);

    if (n == 0)
        return;
    assert((char *)put_canonical((uint8_t *)p, ls) == p + n);
    out->n += n;
}

struct hash128 labels_hash(const struct labels *ls)
{
    uint8_t small[1024], *p = small;
    size_t n = canonical_len(ls);
    struct hash128 h;

    if (n > sizeof small)
        p = x_alloc(n);
    put_canonical(p, ls);
    h = hash128(p, n);
    if (p != small)
        free(p);
    return h;
}

/* --- text ----------------------------------------------------------------------------------------- */

bool metric_name_legacy(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return name.n > 0;
}

bool label_name_legacy(struct str name)
{
    return metric_name_legacy(name) && str_chr(name, ':') < 0;
}

static void put_name(struct buf *out, struct str name)
{
    if (label_name_legacy(name))
        buf_puts(out, name);
    else
        buf_put_quoted(out, name);
}

void labels_print(struct buf *out, const struct labels *ls)
{
    struct str metric = labels_get(ls, STR(LABEL_NAME));
    bool inside = metric.n && !metric_name_legacy(metric); /* {"odd name", a="b"} */
    uint32_t shown = 0;

    if (metric.n && !inside)
        buf_puts(out, metric);
    if (ls->n == (metric.n ? 1u : 0u) && metric.n && !inside)
        return;
    buf_putc(out, '{');
    if (inside) {
        buf_put_quoted(out, metric);
        shown++;
    }
    for (uint32_t i = 0; i < ls->n; i++) {
        if (str_eq(ls->v[i].name, STR(LABEL_NAME)))
            continue;
        if (shown++)
            buf_putz(out, ", ");
        put_name(out, ls->v[i].name);
        buf_putc(out, '=');
        buf_put_quoted(out, ls->v[i].value);
    }
    buf_putc(out, '}');
}

/* --- matchers ------------------------------------------------------------------------------------- */

int matcher_init(struct matcher *m, enum match_op op, struct str name, struct str value, struct err *e)
{
    *m = (struct matcher){.op = op, .name = name, .value = value};
    if (op == MATCH_RE || op == MATCH_NRE)
        return regex_new(value, REGEX_ANCHORED, &m->re, e);
    return 0;
}

void matcher_release(struct matcher *m)
{
    if (!m)
        return;
    regex_free(m->re);
    memset(m, 0, sizeof *m);
}

bool matcher_matches(const struct matcher *m, struct str value)
{
    switch (m->op) {
    case MATCH_EQ:
        return str_eq(m->value, value);
    case MATCH_NE:
        return !str_eq(m->value, value);
    case MATCH_RE:
        return regex_match(m->re, value);
    case MATCH_NRE:
        return !regex_match(m->re, value);
    }
    return false;
}

void matcher_print(struct buf *out, const struct matcher *m)
{
    static const char *const ops[] = {"=", "!=", "=~", "!~"};

    put_name(out, m->name);
    buf_putz(out, ops[m->op]);
    buf_put_quoted(out, m->value);
}

bool matchers_match(const struct matcher *m, uint32_t n, const struct labels *ls)
{
    for (uint32_t i = 0; i < n; i++)
        if (!matcher_matches(&m[i], labels_get(ls, m[i].name)))
            return false;
    return true;
}
