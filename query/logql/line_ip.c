/*
 * line_ip.c - ip("..."): addresses found in text, and the set of addresses that is asked for.
 *
 * (1) Text is scanned once: what looks like the beginning of an address is read as far as its signs go, and parsed if it is short
 *     enough to be one.
 */
#include "query/logql/stage.h"

#include <arpa/inet.h>

enum { ADDRESS_BYTES_MAX = 64 };

/* v4 addresses are the low 32 bits; the two families never equal each other. */
struct address {
    bool v6;
    unsigned char b[16];
};

struct ip_match {
    struct address lo, hi;
};

static bool read_address(struct str s, struct address *out)
{
    char z[ADDRESS_BYTES_MAX + 1];
    ptrdiff_t percent = str_chr(s, '%');

    *out = (struct address){0};
    if (percent >= 0) /* a scope of a link-local address */
        s = str_head(s, (size_t)percent);
    if (s.n < 2 || s.n > ADDRESS_BYTES_MAX)
        return false;
    memcpy(z, s.p, s.n);
    z[s.n] = 0;
    if (strlen(z) != s.n)
        return false;
    out->v6 = str_chr(s, ':') >= 0;
    return inet_pton(out->v6 ? AF_INET6 : AF_INET, z, out->v6 ? out->b : out->b + 12) == 1;
}

static bool read_cidr(struct str address, struct str bits, struct ip_match *m)
{
    uint64_t n;

    if (!read_address(address, &m->lo) || bits.n == 0 || bits.n > 3 || !str_to_u64(bits, &n) || n > (m->lo.v6 ? 128 : 32))
        return false;
    m->hi = m->lo;
    for (unsigned i = (unsigned)n + (m->lo.v6 ? 0 : 96); i < 128; i++) {
        m->lo.b[i / 8] &= (unsigned char)~(0x80 >> i % 8);
        m->hi.b[i / 8] |= (unsigned char)(0x80 >> i % 8);
    }
    return true;
}

int ip_match_new(struct arena *a, struct str text, struct ip_match **out, struct err *e)
{
    struct ip_match *m = arena_new(a, struct ip_match);
    struct str head, tail = text;
    bool fine;

    *out = m;
    if (str_cut(&tail, '/', &head)) {
        fine = read_cidr(head, tail, m);
    } else if (tail = text, str_cut(&tail, '-', &head)) {
        fine = read_address(str_trim(head), &m->lo) && read_address(str_trim(tail), &m->hi) && m->lo.v6 == m->hi.v6 &&
               memcmp(m->lo.b, m->hi.b, 16) <= 0;
    } else {
        fine = read_address(text, &m->lo);
        m->hi = m->lo;
    }
    if (!fine)
        return err_set(e, ERR_INVALID, "parse error : ip: invalid pattern, not an address, a range or a CIDR: \"%.*s\"", STR_ARG(str_head(text, 100)));
    return 0;
}

static bool matches(const struct ip_match *m, struct str s)
{
    struct address a;

    return read_address(s, &a) && a.v6 == m->lo.v6 && memcmp(a.b, m->lo.b, 16) >= 0 && memcmp(a.b, m->hi.b, 16) <= 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* A digit with a dot behind it, or behind the next one or two. */
static bool begins_v4(struct str s)
{
    return is_digit(s.p[0]) && ((s.n > 1 && s.p[1] == '.') || (s.n > 2 && s.p[2] == '.') || (s.n > 3 && s.p[3] == '.'));
}

/* "::" and a digit or the end of a word, or up to four digits and a colon. */
static bool begins_v6(struct str s)
{
    size_t i = 0;

    if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':')
        return true;
    while (i < 4 && i < s.n && is_hex(s.p[i]))
        i++;
    return i && i < s.n && s.p[i] == ':';
}

static size_t span(struct str s, bool v6)
{
    size_t n = 0;

    while (n < s.n && (is_digit(s.p[n]) || s.p[n] == '.' || (v6 && (is_hex(s.p[n]) || s.p[n] == ':'))))
        n++;
    return n;
}

/* The address may be followed by the dot of a sentence, or a colon. */
static bool matches_trimmed(const struct ip_match *m, struct str s)
{
    if (matches(m, s))
        return true;
    while (s.n && (s.p[s.n - 1] == '.' || (s.p[s.n - 1] == ':' && !(s.n > 1 && s.p[s.n - 2] == ':'))))
        s.n--;
    return matches(m, s);
}

bool ip_match_in(const struct ip_match *m, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        struct str rest = str_from(text, i);
        bool v4 = begins_v4(rest), v6 = !v4 && (is_hex(rest.p[0]) || rest.p[0] == ':') && begins_v6(rest);
        size_t n;

        if (!v4 && !v6)
            continue;
        n = span(rest, v6);
        if (matches_trimmed(m, str_head(rest, n)))
            return true;
        i += n;
    }
    return false;
}
