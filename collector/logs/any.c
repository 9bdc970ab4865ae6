/* any.c - values of attributes as text. See otlp.h. */
#include "collector/logs/otlp.h"

#include <math.h>
#include <stdlib.h>

struct any_pair *any_pairs_add(struct arena *a, struct any_pairs *ps)
{
    if (ps->n == ps->cap) {
        struct any_pair *more = arena_alloc(a, (ps->cap ? ps->cap * 2 : 16) * sizeof *more);

        if (ps->n)
            memcpy(more, ps->v, ps->n * sizeof *more);
        ps->v = more;
        ps->cap = ps->cap ? ps->cap * 2 : 16;
    }
    ps->v[ps->n] = (struct any_pair){0};
    return &ps->v[ps->n++];
}

/* As JavaScript prints numbers: no exponent from 1e-6 to 1e21. */
static void put_double(struct buf *out, double v)
{
    if (isnan(v))
        buf_putz(out, "NaN");
    else if (isinf(v))
        buf_putz(out, v > 0 ? "Infinity" : "-Infinity");
    else if (v == 0)
        buf_putc(out, '0');
    else
        out->n += num_fmt_sample(v, buf_reserve(out, NUM_MAX));
}

static void put_base64(struct buf *out, struct str s)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = (const uint8_t *)s.p;

    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < s.n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < s.n ? p[i + 2] : 0);

        buf_putc(out, letters[v >> 18]);
        buf_putc(out, letters[v >> 12 & 63]);
        buf_putc(out, i + 1 < s.n ? letters[v >> 6 & 63] : '=');
        buf_putc(out, i + 2 < s.n ? letters[v & 63] : '=');
    }
}

static void put_json(struct buf *out, const struct any *v);

static int by_key(const void *a, const void *b)
{
    return str_cmp((*(const struct any_pair *const *)a)->key, (*(const struct any_pair *const *)b)->key);
}

/* Keys sorted; of two of a name the last one counts. */
static void put_map(struct buf *out, const struct any *v)
{
    const struct any_pair **order = x_alloc(sizeof *order * ((size_t)v->n + 1));
    uint32_t n = 0;

    for (uint32_t i = 0; i < v->n; i++) {
        bool again = false;

        for (uint32_t k = i + 1; v->n <= 64 && k < v->n && !again; k++)
            again = str_eq(v->map[i].key, v->map[k].key);
        if (!again)
            order[n++] = &v->map[i];
    }
    qsort(order, n, sizeof *order, by_key);
    buf_putc(out, '{');
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_putc(out, ',');
        json_put_string(out, order[i]->key);
        buf_putc(out, ':');
        put_json(out, &order[i]->value);
    }
    buf_putc(out, '}');
    free(order);
}

static void put_plain(struct buf *out, const struct any *v)
{
    switch (v->kind) {
    case ANY_NONE:
        break;
    case ANY_STRING:
        buf_puts(out, v->s);
        break;
    case ANY_BOOL:
        buf_putz(out, v->b ? "true" : "false");
        break;
    case ANY_INT:
        out->n += num_fmt_i64(v->i, buf_reserve(out, NUM_MAX));
        break;
    case ANY_DOUBLE:
        put_double(out, v->d);
        break;
    case ANY_BYTES:
        put_base64(out, v->s);
        break;
    case ANY_LIST:
    case ANY_MAP:
        put_json(out, v);
        break;
    }
}

static void put_json(struct buf *out, const struct any *v)
{
    struct buf text = {0};

    switch (v->kind) {
    case ANY_NONE:
        buf_putz(out, "null");
        return;
    case ANY_BOOL:
    case ANY_INT:
        put_plain(out, v);
        return;
    case ANY_LIST:
        buf_putc(out, '[');
        for (uint32_t i = 0; i < v->n; i++) {
            if (i)
                buf_putc(out, ',');
            put_json(out, &v->list[i]);
        }
        buf_putc(out, ']');
        return;
    case ANY_MAP:
        put_map(out, v);
        return;
    case ANY_DOUBLE:
        if (isfinite(v->d)) {
            put_double(out, v->d);
            return;
        }
        break;
    case ANY_STRING:
    case ANY_BYTES:
        break;
    }
    put_plain(&text, v);
    json_put_string(out, buf_str(&text));
    buf_release(&text);
}

struct str any_text(struct arena *a, const struct any *v)
{
    struct buf b = {0};
    struct str out;

    if (v->kind == ANY_STRING)
        return v->s;
    if (v->kind == ANY_NONE)
        return STR("");
    if (v->kind == ANY_BOOL)
        return v->b ? STR("true") : STR("false");
    put_plain(&b, v);
    out = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return out;
}
