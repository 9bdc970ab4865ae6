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

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* Up to 64 bytes of the line from `at` on, a bit for each. */
struct window {
    const char *line, *end, *at, *to;
    uint64_t tokens;
    uint64_t stops; /* a digit, a quote, what cannot stand in a template: all else is passed over */
};

#ifdef __SSE2__
static inline __m128i between(__m128i x, char from, char to)
{
    return _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8((char)(from - 1))), _mm_cmplt_epi8(x, _mm_set1_epi8((char)(to + 1))));
}

static inline void sort_64(const char *p, uint64_t *tokens, uint64_t *stops)
{
    *tokens = *stops = 0;
    for (unsigned k = 0; k < 64; k += 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + k));
        __m128i digit = between(x, '0', '9'), letter = between(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 'z');
        __m128i other = _mm_or_si128(between(x, '-', '.'), _mm_cmpeq_epi8(x, _mm_set1_epi8('_')));
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(MARKS - 1)), x));

        *tokens |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letter, digit), other)) << k;
        *stops |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_or_si128(digit, stop)) << k;
    }
}
#else
static inline void sort_64(const char *p, uint64_t *tokens, uint64_t *stops)
{
    *tokens = *stops = 0;
    for (unsigned k = 0; k < 64; k++) {
        unsigned char c = (unsigned char)p[k];

        *tokens |= (uint64_t)token_byte(c) << k;
        *stops |= (uint64_t)(is_digit((char)c) || c == '"' || c < MARKS) << k;
    }
}
#endif

static inline void move_window(struct window *w, const char *p)
{
    size_t n = (size_t)MIN(w->end - p, 64);

    w->at = p;
    w->to = p + n;
    if (n == 64) {
        sort_64(p, &w->tokens, &w->stops);
        return;
    }
    if (w->end - w->line >= 64) { /* what lies behind the line is not ours: the last 64 bytes hold these */
        sort_64(w->end - 64, &w->tokens, &w->stops);
        w->tokens >>= 64 - n;
        w->stops >>= 64 - n;
        return;
    }
    char tail[64];
    memcpy(tail, p, n);
    memset(tail + n, ' ', 64 - n);
    sort_64(tail, &w->tokens, &w->stops);
}

/* The first stop at p or behind it, or the end. The window is there then. */
static inline const char *next_stop(struct window *w, const char *p)
{
    for (;; p = w->to) {
        if (p == w->end)
            return p;
        if (p >= w->to)
            move_window(w, p);
        uint64_t left = w->stops >> (p - w->at);
        if (left)
            return p + __builtin_ctzll(left);
    }
}

/* Where the token that p, in the window, belongs to begins and ends: with the dots and dashes at its ends. */
static inline const char *token_begin(const struct window *w, const char *p)
{
    uint64_t gaps = ~w->tokens & ((UINT64_C(1) << (p - w->at)) - 1);

    if (gaps)
        return w->at + 64 - __builtin_clzll(gaps);
    for (p = w->at; p > w->line && token_byte((unsigned char)p[-1]); p--)
        ;
    return p;
}

static inline const char *token_end(const struct window *w, const char *p)
{
    uint64_t gaps = ~(w->tokens >> (p - w->at));

    p = gaps ? p + __builtin_ctzll(gaps) : w->to;
    if (p >= w->to)
        for (p = w->to; p < w->end && token_byte((unsigned char)*p); p++)
            ;
    return p;
}

/* Digits tell where the slots are: words without one are passed over. */
bool cut_text(struct cut *c, struct str s)
{
    struct window w = {.line = s.p, .end = s.p + s.n, .at = s.p, .to = s.p};
    const char *p = s.p, *q;

    c->n = 0;
    while ((p = next_stop(&w, p)) < w.end) {
        if (!is_digit(*p)) {
            if (*p == '"' && (q = find_quote(p + 1, w.end)) != NULL && q > p + 1) {
                if (!put_slot(c, p + 1, q, SLOT_QUOTED))
                    return false;
                p = q;
            } else if ((unsigned char)*p < MARKS) {
                return false;
            }
            p++;
            continue;
        }
        const char *begin = token_begin(&w, p);
        while (token_class[(unsigned char)*begin] == TOKEN_EDGE)
            begin++;
        if (is_digit(*begin) && (q = skip_time(begin, w.end)) != NULL) {
            if (!put_slot(c, begin, q, SLOT_TIME))
                return false;
            p = q;
            continue;
        }
        p = q = token_end(&w, p);
        while (token_class[(unsigned char)q[-1]] == TOKEN_EDGE)
            q--;
        if (!put_slot(c, begin, q, SLOT_WORD))
            return false;
    }
    return true;
}
