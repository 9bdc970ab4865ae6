/* logfmt_scan.c - see logfmt_scan.h. Blanks are all bytes up to the space. */
#include "query/logql/logfmt_scan.h"

#include "query/logql/json_scan.h"

/* What ends or spoils a run of plain bytes. */
static const unsigned char special[256] = {
    [0 ... 0x20] = 1, ['='] = 1, ['"'] = 1,
};

static int bad(struct logfmt_scan *x, const char *words, char byte)
{
    x->fault = words;
    x->fault_byte = byte;
    x->fault_at = (size_t)(x->p - x->start) + 1;
    while (x->p < x->end && (unsigned char)*x->p > ' ')
        x->p++;
    return -1;
}

static int read_quoted(struct logfmt_scan *x)
{
    const char *from = x->p + 1, *to = json_string_end(from, x->end, &x->escaped);

    if (!to) {
        x->p = x->end;
        return bad(x, "unterminated quoted value", 0);
    }
    x->value = str_n(from, (size_t)(to - from));
    x->p = to + 1;
    return 0;
}

static int read_value(struct logfmt_scan *x)
{
    const char *from = x->p;

    if (x->p >= x->end || (unsigned char)*x->p <= ' ')
        return 0;
    if (*x->p == '"')
        return read_quoted(x);
    while (x->p < x->end && !special[(unsigned char)*x->p])
        x->p++;
    if (x->p < x->end && (unsigned char)*x->p > ' ')
        return bad(x, "unexpected", *x->p);
    x->value = str_n(from, (size_t)(x->p - from));
    return 0;
}

int logfmt_next(struct logfmt_scan *x)
{
    const char *from;
    unsigned char high = 0;

    x->value = STR("");
    x->escaped = false;
    x->fault = NULL;
    while (x->p < x->end && (unsigned char)*x->p <= ' ')
        x->p++;
    if (x->p >= x->end)
        return 1;
    for (from = x->p; x->p < x->end && !special[(unsigned char)*x->p]; x->p++)
        high |= (unsigned char)*x->p;
    x->key = str_n(from, (size_t)(x->p - from));
    if (x->p < x->end && (*x->p == '"' || x->key.n == 0))
        return bad(x, "unexpected", *x->p);
    if (high >= 0x80 && lq_has_invalid(x->key))
        return bad(x, "invalid key", 0);
    if (x->p >= x->end || *x->p != '=')
        return 0;
    x->p++;
    return read_value(x);
}

/* As JSON, and \' as well; half of a pair of surrogates is U+FFFD. */
size_t logfmt_unescape(struct str v, char *out)
{
    const char *p = v.p, *end = p + v.n;
    size_t n = 0;

    while (p < end) {
        uint32_t rune;
        size_t len;

        if (*p != '\\') {
            out[n++] = *p++;
            continue;
        }
        len = json_escape(p, end, JSON_HALF_FFFD, &rune);
        if (len == 0 && end - p >= 2 && p[1] == '\'') {
            rune = '\'';
            len = 2;
        }
        if (len == 0)
            return SIZE_MAX;
        n += utf8_encode(rune, out + n);
        p += len;
    }
    return n;
}
