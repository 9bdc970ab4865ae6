/* form.c - see form.h. Decoding never makes text longer: a piece is copied once and decoded where it then lies. */
#include "net/form.h"

static int hex(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; returns the new length. A broken escape stays as written; *bad gets the offset of the first one. */
static size_t decode(char *p, size_t n, bool plus, ptrdiff_t *bad)
{
    size_t w = 0;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == '%') {
            int hi = i + 2 < n ? hex((unsigned char)p[i + 1]) : -1;
            int lo = i + 2 < n ? hex((unsigned char)p[i + 2]) : -1;

            if (hi >= 0 && lo >= 0) {
                p[w++] = (char)(hi << 4 | lo);
                i += 2;
                continue;
            }
            if (*bad < 0)
                *bad = (ptrdiff_t)i;
        }
        p[w++] = plus && p[i] == '+' ? ' ' : p[i];
    }
    return w;
}

static struct str decoded(struct arena *a, struct str s, bool plus, ptrdiff_t *bad)
{
    char *p;

    if (s.n == 0 || (!memchr(s.p, '%', s.n) && !(plus && memchr(s.p, '+', s.n))))
        return s.p ? s : STR("");
    p = (char *)arena_alloc(a, s.n);
    memcpy(p, s.p, s.n);
    return str_n(p, decode(p, s.n, plus, bad));
}

struct str url_decode(struct arena *a, struct str s)
{
    ptrdiff_t bad = -1;

    return decoded(a, s, false, &bad);
}

static uint32_t count_pairs(struct str text)
{
    uint32_t n = 1;

    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '&';
    return n;
}

static int put_pair(struct arena *a, struct str pair, struct param *out, struct err *e)
{
    struct str value = pair, name;
    ptrdiff_t bad = -1;

    str_cut(&value, '=', &name);
    out->name = decoded(a, name, true, &bad);
    if (bad < 0)
        out->value = decoded(a, value, true, &bad);
    if (bad >= 0)
        return err_set(e, ERR_INVALID, "parameter \"%.*s\": invalid percent-escape", (int)MIN(pair.n, (size_t)100),
                       pair.p);
    return 0;
}

int params_parse(struct arena *a, struct str text, uint32_t max, struct params *out, struct err *e)
{
    uint32_t n;
    struct param *v;
    struct str pair;

    if (text.n == 0)
        return 0;
    n = count_pairs(text);
    if (n > max || out->n > max - n)
        return err_set(e, ERR_LIMIT, "%llu parameters, limit %u", (unsigned long long)out->n + n, max);
    v = arena_array(a, struct param, out->n + n);
    if (out->n)
        memcpy(v, out->v, out->n * sizeof *v);
    out->v = v;
    for (bool more = true; more;) {
        more = str_cut(&text, '&', &pair);
        if (pair.n == 0)
            continue;
        if (put_pair(a, pair, &out->v[out->n], e) < 0)
            return ERR_INVALID;
        out->n++;
    }
    return 0;
}

struct str params_get(const struct params *ps, const char *name)
{
    for (uint32_t i = 0; i < ps->n; i++)
        if (str_eqz(ps->v[i].name, name))
            return ps->v[i].value;
    return STR_NULL;
}

static bool unreserved(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.' || c == '~';
}

void url_encode(struct buf *out, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (unreserved(c)) {
            buf_putc(out, (char)c);
        } else {
            char esc[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_put(out, esc, 3);
        }
    }
}
