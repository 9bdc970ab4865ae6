/* unquote.c - see unquote.h. */
#include "base/template/unquote.h"

static int digit(char c, unsigned base)
{
    unsigned d = 99;

    if (c >= '0' && c <= '9')
        d = (unsigned)c - '0';
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        d = (unsigned)(c | 0x20) - 'a' + 10;
    return d < base ? (int)d : -1;
}

static bool number(struct str s, size_t *at, unsigned ndigits, unsigned base, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < ndigits; i++, ++*at) {
        int d = *at < s.n ? digit(s.p[*at], base) : -1;

        if (d < 0)
            return false;
        *out = *out * base + (unsigned)d;
    }
    return true;
}

static bool put_rune(struct buf *b, uint32_t rune)
{
    char text[4];
    size_t n = 0;

    if (rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
        return false;
    if (rune < 0x80) {
        text[n++] = (char)rune;
    } else if (rune < 0x800) {
        text[n++] = (char)(0xc0 | rune >> 6);
        text[n++] = (char)(0x80 | (rune & 63));
    } else {
        if (rune >= 0x10000) {
            text[n++] = (char)(0xf0 | rune >> 18);
            text[n++] = (char)(0x80 | (rune >> 12 & 63));
        } else {
            text[n++] = (char)(0xe0 | rune >> 12);
        }
        text[n++] = (char)(0x80 | (rune >> 6 & 63));
        text[n++] = (char)(0x80 | (rune & 63));
    }
    buf_put(b, text, n);
    return true;
}

/* The escape behind a backslash; *at stands on its letter. */
static bool put_escape(struct buf *b, struct str s, size_t *at, char quote)
{
    static const char letters[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
    char c = *at < s.n ? s.p[(*at)++] : 0;
    const char *known = c ? strchr(letters, c) : NULL;
    uint32_t v;

    if (known || (c && c == quote)) {
        buf_putc(b, known ? values[known - letters] : quote);
        return true;
    }
    if (c == 'u' || c == 'U')
        return number(s, at, c == 'u' ? 4 : 8, 16, &v) && put_rune(b, v);
    if (c == 'x') {
        if (!number(s, at, 2, 16, &v))
            return false;
    } else if (c >= '0' && c <= '7') {
        --*at;
        if (!number(s, at, 3, 8, &v) || v > 255)
            return false;
    } else {
        return false;
    }
    buf_putc(b, (char)v);
    return true;
}

bool tmpl_unquote(struct arena *a, struct str s, struct str *out)
{
    char quote = s.p[0];
    struct buf b = {0};
    bool fine = true;
    unsigned chars = 0;

    s = str_n(s.p + 1, s.n - 2);
    if (quote == '`') {
        *out = s;
        return true;
    }
    for (size_t i = 0; i < s.n && fine; chars++) {
        uint32_t rune;
        size_t n;

        if (s.p[i] == '\\') {
            i++;
            fine = put_escape(&b, s, &i, quote);
            continue;
        }
        n = utf8_decode(str_from(s, i), &rune);
        buf_put(&b, s.p + i, n);
        i += n;
    }
    fine = fine && (quote != '\'' || chars == 1);
    *out = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return fine;
}
