/*
 * json_in.c - see json_in.h.
 *
 * (1) p never passes end; every look at *p is behind a check.
 * (2) depth counts the brackets that are open; it never passes JSON_DEPTH_MAX, and the recursion of skip goes with it.
 */
#include "collector/logs/json_in.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

void json_in_init(struct json_in *j, struct arena *a, struct str text, struct err *e)
{
    const char *p = text.n ? text.p : "";

    *j = (struct json_in){.p = p, .end = p + text.n, .start = p, .a = a, .e = e};
}

int json_in_fault(struct json_in *j, const char *words)
{
    return err_set(j->e, ERR_INVALID, "invalid JSON at byte %zu: %s", (size_t)(j->p - j->start), words);
}

const char *json_find_quote(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');

    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        int m = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));

        if (m)
            return p + __builtin_ctz((unsigned)m);
    }
#endif
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

static inline void skip_space(struct json_in *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r'))
        j->p++;
}

enum json_kind json_in_peek(struct json_in *j)
{
    skip_space(j);
    if (j->p == j->end)
        return JSON_NOTHING;
    switch (*j->p) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return *j->p == '-' || (*j->p >= '0' && *j->p <= '9') ? JSON_NUMBER : JSON_NOTHING;
    }
}

int json_in_open(struct json_in *j, char bracket)
{
    skip_space(j);
    if (j->p == j->end || *j->p != bracket)
        return json_in_fault(j, bracket == '{' ? "an object was expected" : "an array was expected");
    if (j->depth == JSON_DEPTH_MAX)
        return json_in_fault(j, "nested deeper than the limit of 128");
    j->depth++;
    j->p++;
    j->fresh = true;
    return 0;
}

/* Behind an opening bracket or a value: 0 another one follows, >0 it was closed. */
static int next(struct json_in *j, char bracket)
{
    skip_space(j);
    if (j->p < j->end && *j->p == bracket) {
        j->p++;
        j->depth--;
        j->fresh = false;
        return 1;
    }
    if (!j->fresh) {
        if (j->p == j->end || *j->p != ',')
            return json_in_fault(j, bracket == '}' ? "\",\" or \"}\" was expected" : "\",\" or \"]\" was expected");
        j->p++;
    }
    j->fresh = false;
    return 0;
}

int json_in_item(struct json_in *j)
{
    return next(j, ']');
}

static int take_colon(struct json_in *j)
{
    skip_space(j);
    if (j->p == j->end || *j->p != ':')
        return json_in_fault(j, "\":\" was expected");
    j->p++;
    return 0;
}

int json_in_key(struct json_in *j, struct str *key)
{
    int rc = next(j, '}');

    if (rc != 0)
        return rc;
    rc = json_in_string(j, key);
    return rc < 0 ? rc : take_colon(j);
}

/* --- strings --------------------------------------------------------------------------------------- */

static int hex4(const char *p, uint32_t *out)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v << 4 | (uint32_t)((c | 32) - 'a' + 10);
        else
            return ERR_INVALID;
    }
    *out = v;
    return 0;
}

/* \uXXXX at p, and its second half where it is one of a pair: a half alone becomes U+FFFD. Returns what was taken, 0: nonsense. */
static size_t take_rune(const char *p, const char *end, uint32_t *rune)
{
    uint32_t low;

    if (end - p < 6 || hex4(p + 2, rune) < 0)
        return 0;
    if (*rune >= 0xd800 && *rune < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u' && hex4(p + 8, &low) == 0 &&
        low >= 0xdc00 && low < 0xe000) {
        *rune = 0x10000 + ((*rune - 0xd800) << 10) + (low - 0xdc00);
        return 12;
    }
    return 6;
}

/* One escape at p; the place behind, or NULL. */
static const char *take_escape(const char *p, const char *end, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at;
    uint32_t rune;
    size_t n;

    if (end - p < 2)
        return NULL;
    if (p[1] == 'u') {
        n = take_rune(p, end, &rune);
        *out += n ? utf8_encode(rune, *out) : 0;
        return n ? p + n : NULL;
    }
    at = p[1] ? strchr(from, p[1]) : NULL;
    if (!at)
        return NULL;
    *(*out)++ = to[at - from];
    return p + 2;
}

/* The inside of a string with its escapes undone; from a where there are any. */
static int unescape(struct arena *a, struct str inside, struct str *out)
{
    const char *p = inside.p, *end = p + inside.n, *q;
    char *to;

    *out = inside;
    if (inside.n == 0 || !memchr(p, '\\', inside.n))
        return 0;
    to = arena_alloc(a, inside.n); /* escapes are longer than what they mean */
    out->p = to;
    while (p < end) {
        q = memchr(p, '\\', (size_t)(end - p));
        if (!q)
            q = end;
        memcpy(to, p, (size_t)(q - p));
        to += q - p;
        p = q < end ? take_escape(q, end, &to) : end;
        if (!p)
            return ERR_INVALID;
    }
    out->n = (size_t)(to - out->p);
    return 0;
}

/* Moves over a string; *inside is what stands between its quotes, *escaped whether there is a backslash in it. */
static int pass_string(struct json_in *j, struct str *inside, bool *escaped)
{
    const char *from, *q;

    skip_space(j);
    if (j->p == j->end || *j->p != '"')
        return json_in_fault(j, "a string was expected");
    from = j->p + 1;
    *escaped = false;
    for (q = json_find_quote(from, j->end); q < j->end && *q == '\\'; q = json_find_quote(q, j->end)) {
        *escaped = true;
        q += j->end - q >= 2 ? 2 : 1;
    }
    if (q == j->end)
        return json_in_fault(j, "a string that does not end");
    *inside = str_n(from, (size_t)(q - from));
    j->p = q + 1;
    return 0;
}

int json_in_string(struct json_in *j, struct str *out)
{
    const char *at = j->p;
    bool escaped;
    int rc = pass_string(j, out, &escaped);

    if (rc < 0 || !escaped)
        return rc;
    if (unescape(j->a, *out, out) == 0)
        return 0;
    j->p = at;
    return json_in_fault(j, "a string with an escape that is none");
}

/* --- other values ---------------------------------------------------------------------------------- */

static const char *digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

int json_in_number(struct json_in *j, struct str *out)
{
    const char *p, *q;

    skip_space(j);
    p = j->p;
    if (p < j->end && *p == '-')
        p++;
    q = digits(p, j->end);
    if (q == p || (*p == '0' && q - p > 1))
        return json_in_fault(j, "a number was expected");
    if (q < j->end && *q == '.') {
        p = q + 1;
        q = digits(p, j->end);
        if (q == p)
            return json_in_fault(j, "a number that ends in a dot");
    }
    if (q < j->end && (*q | 32) == 'e') {
        p = q + 1;
        p += p < j->end && (*p == '+' || *p == '-');
        q = digits(p, j->end);
        if (q == p)
            return json_in_fault(j, "a number without an exponent");
    }
    *out = str_n(j->p, (size_t)(q - j->p));
    j->p = q;
    return 0;
}

static int take_word(struct json_in *j, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0)
        return json_in_fault(j, "a value was expected");
    j->p += n;
    return 0;
}

static int skip_any(struct json_in *j);

/* Its escapes are checked, and written nowhere. */
static int skip_string(struct json_in *j)
{
    const char *at = j->p, *p, *end;
    struct str inside;
    bool escaped;
    int rc = pass_string(j, &inside, &escaped);

    if (rc < 0 || !escaped)
        return rc;
    p = inside.p;
    for (end = p + inside.n; p && (p = memchr(p, '\\', (size_t)(end - p)));) {
        char rune[4], *to = rune;

        p = take_escape(p, end, &to);
        if (!p) {
            j->p = at;
            return json_in_fault(j, "a string with an escape that is none");
        }
    }
    return 0;
}

static int skip_object(struct json_in *j)
{
    int rc = json_in_open(j, '{');

    while (rc == 0 && (rc = next(j, '}')) == 0) {
        if ((rc = skip_string(j)) < 0 || (rc = take_colon(j)) < 0)
            break;
        rc = skip_any(j);
    }
    return rc < 0 ? rc : 0;
}

static int skip_array(struct json_in *j)
{
    int rc = json_in_open(j, '[');

    while (rc == 0 && (rc = next(j, ']')) == 0)
        rc = skip_any(j);
    return rc < 0 ? rc : 0;
}

static int skip_any(struct json_in *j)
{
    struct str text;

    switch (json_in_peek(j)) {
    case JSON_OBJECT:
        return skip_object(j);
    case JSON_ARRAY:
        return skip_array(j);
    case JSON_STRING:
        return skip_string(j);
    case JSON_NUMBER:
        return json_in_number(j, &text);
    case JSON_TRUE:
        return take_word(j, "true");
    case JSON_FALSE:
        return take_word(j, "false");
    case JSON_NULL:
        return take_word(j, "null");
    case JSON_NOTHING:
        break;
    }
    return json_in_fault(j, "a value was expected");
}

int json_in_skip(struct json_in *j, struct str *raw)
{
    const char *from;
    int rc;

    skip_space(j);
    from = j->p;
    rc = skip_any(j);
    if (rc == 0 && raw)
        *raw = str_n(from, (size_t)(j->p - from));
    return rc;
}

int json_in_end(struct json_in *j)
{
    skip_space(j);
    return j->p == j->end ? 0 : json_in_fault(j, "something follows the end");
}
