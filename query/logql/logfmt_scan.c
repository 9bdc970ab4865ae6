/* logfmt_scan.c - see logfmt_scan.h. Blanks are all bytes up to the space. */
#include "query/logql/logfmt_scan.h"

#include "query/logql/json_scan.h"

#include <ctype.h>

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

/* How long the escape at the beginning of s is; a pair of surrogates is one. */
static size_t escape_bytes(struct str s)
{
    if (s.n < 2 || s.p[1] != 'u')
        return MIN(s.n, (size_t)2);
    if (s.n >= 12 && (s.p[2] | 0x20) == 'd' && strchr("89abAB", s.p[3]) && s.p[3] && s.p[6] == '\\' && s.p[7] == 'u' &&
        (s.p[8] | 0x20) == 'd' && strchr("cdefCDEF", s.p[9]) && s.p[9])
        return 12;
    return MIN(s.n, (size_t)6);
}

/* As JSON, and \' as well; half of a pair of surrogates is U+FFFD. */
size_t logfmt_unescape(struct str v, char *out)
{
    size_t n = 0;

    while (v.n) {
        size_t len, got;

        if (v.p[0] != '\\') {
            out[n++] = v.p[0];
            v = str_from(v, 1);
            continue;
        }
        len = escape_bytes(v);
        got = json_unescape(str_head(v, len), out + n);
        if (got == SIZE_MAX && len == 2 && v.p[1] == '\'') {
            out[n] = '\'';
            got = 1;
        } else if (got == SIZE_MAX && len == 6 && (v.p[2] | 0x20) == 'd' && isxdigit((unsigned char)v.p[3]) &&
                   isxdigit((unsigned char)v.p[4]) && isxdigit((unsigned char)v.p[5])) {
            got = utf8_encode(0xfffd, out + n);
        } else if (got == SIZE_MAX) {
            return SIZE_MAX;
        }
        n += got;
        v = str_from(v, len);
    }
    return n;
}
