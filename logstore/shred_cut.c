/*
 * shred_cut.c - the slots of a line of key=value pairs, and of any other text: what differs from line to line is words with digits in
 * them, times, and what stands in quotes.
 *
 * (1) A slot ends where no token goes on (filter.h): before it and behind it stands the line's end, or a byte that is no token
 *     byte, or a dot or dash that belongs to no token.
 * (2) Cutting depends on the line alone.
 */
#include "logstore/shred.h"
#include "logstore/filter.h"

enum { MARKS = SLOT_SORTS }; /* bytes below cannot stand in a template */

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool put_slot(struct cut *c, const char *from, const char *to, enum slot_sort sort)
{
    if (c->n == c->max)
        return false;
    c->slots[c->n++] = (struct cut_slot){from, (uint32_t)(to - from), sort};
    return true;
}

/* --- logfmt -------------------------------------------------------------------------------------------------- */

static inline bool key_byte(unsigned char c)
{
    return token_byte(c) || c == '/' || c == '@';
}

/* Behind the closing quote, or NULL: there is none, or an escape is not one of JSON's. p is behind the opening one. */
static const char *skip_quoted(const char *p, const char *end)
{
    while (p && p < end && *p != '"') {
        if ((unsigned char)*p < ' ')
            return NULL;
        p = *p == '\\' ? cut_skip_escape(p, end) : p + 1;
    }
    return p && p < end ? p + 1 : NULL;
}

bool cut_logfmt(struct cut *c, struct str s)
{
    const char *p = s.p, *end = s.p + s.n;
    uint32_t pairs = 0;

    c->n = 0;
    while (p < end) {
        const char *key = p, *from;
        enum slot_sort sort = SLOT_WORD;

        while (p < end && key_byte((unsigned char)*p))
            p++;
        if (p == key || p == end || *p != '=')
            return false;
        struct str name = str_n(key, (size_t)(p - key));
        from = ++p;
        if (p < end && *p == '"') {
            if (!(p = skip_quoted(++from, end)))
                return false;
            sort = SLOT_QUOTED;
        } else {
            while (p < end && (unsigned char)*p > ' ' && *p != '=' && *p != '"')
                p++;
        }
        if (p < end && *p != ' ')
            return false;
        const char *to = sort == SLOT_QUOTED ? p - 1 : p;
        if (to > from && c->paths && c->n < c->max) {
            c->paths[c->n].n = 1;
            c->paths[c->n].keys[0] = name;
        }
        if (to > from && !put_slot(c, from, to, sort))
            return false;
        pairs++;
        while (p < end && *p == ' ')
            p++;
    }
    return pairs >= 2;
}

/* --- text ---------------------------------------------------------------------------------------------------- */

static inline bool two(const char *p)
{
    return is_digit(p[0]) && is_digit(p[1]);
}

/* The end of a time that begins at p (column_time.c says which), or NULL. */
static const char *skip_time(const char *p, const char *end)
{
    const char *q;

    if (end - p < 8 || !two(p))
        return NULL;
    if (p[2] == ':')
        q = p;
    else if (end - p >= 20 && p[2] == '/' && p[6] == '/' && p[11] == ':' && two(p + 7))
        q = p + 12;
    else if (end - p >= 19 && (p[4] == '-' || p[4] == '/') && p[7] == p[4] && (p[10] == 'T' || p[10] == ' ') &&
             two(p + 5))
        q = p + 11;
    else
        return NULL;
    if (!two(q) || q[2] != ':' || !two(q + 3) || q[5] != ':' || !two(q + 6))
        return NULL;
    q += 8;
    if (end - q >= 2 && (*q == '.' || *q == ',') && is_digit(q[1]))
        for (q++; q < end && is_digit(*q); q++)
            ;
    if (q < end && *q == 'Z')
        q++;
    else if (end - q >= 6 && (*q == '+' || *q == '-') && two(q + 1) && q[3] == ':' && two(q + 4))
        q += 6;
    else if (end - q >= 6 && *q == ' ' && (q[1] == '+' || q[1] == '-') && two(q + 2) && two(q + 4))
        q += 6;
    return q == end || !token_byte((unsigned char)*q) ? q : NULL;
}

/* The closing quote of what opens at p - 1, or NULL. */
static const char *find_quote(const char *p, const char *end)
{
    for (; (p = p < end ? memchr(p, '"', (size_t)(end - p)) : NULL) != NULL; p++)
        if (p[-1] != '\\')
            return p;
    return NULL;
}

bool cut_text(struct cut *c, struct str s)
{
    const char *p = s.p, *end = s.p + s.n;

    c->n = 0;
    while (p < end) {
        unsigned k = token_class[(unsigned char)*p], all = 0;

        if (k == 0) {
            const char *q;

            if (*p == '"' && (q = find_quote(p + 1, end)) != NULL && q > p + 1) {
                if (!put_slot(c, p + 1, q, SLOT_QUOTED))
                    return false;
                p = q;
            } else if ((unsigned char)*p < MARKS) {
                return false;
            }
            p++;
            continue;
        }
        if (k == TOKEN_EDGE) {
            p++;
            continue;
        }
        const char *begin = p, *q;
        if (k == TOKEN_DIGIT && (q = skip_time(p, end)) != NULL) {
            if (!put_slot(c, begin, q, SLOT_TIME))
                return false;
            p = q;
            continue;
        }
        do
            all |= k;
        while (++p < end && (k = token_class[(unsigned char)*p]) != 0);
        if (!(all & TOKEN_DIGIT))
            continue;
        q = p;
        while (token_class[(unsigned char)q[-1]] == TOKEN_EDGE)
            q--;
        if (!put_slot(c, begin, q, SLOT_WORD))
            return false;
    }
    return true;
}
