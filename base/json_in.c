/*
 * json_in.c - see json_in.h. Inside of strings sixteen bytes at a time where the machine has SSE2, which every x86-64 has.
 *
 * (1) p never passes end; every look at *p is behind a check.
 * (2) depth counts the brackets that are open and never passes depth_max.
 * (3) No recursion: what json_in_skip is in is a bit a level, so hostile text costs no stack.
 */
#include "base/json_in.h"

#include <assert.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

void json_in_init(struct json_in *j, struct arena *a, struct str text, unsigned depth_max, enum json_control control, struct err *e)
{
    const char *p = text.n ? text.p : "";

    assert(depth_max <= JSON_IN_DEPTH_MAX);
    *j = (struct json_in){.p = p, .end = p + text.n, .start = p, .a = a, .e = e, .depth_max = depth_max, .control_fine = control == JSON_CONTROL_FINE};
}

int json_in_fault(struct json_in *j, const char *words)
{
    return err_set(j->e, ERR_INVALID, "invalid JSON at byte %zu: %s", (size_t)(j->p - j->start), words);
}

/* --- pieces -------------------------------------------------------------------------------------------- */

/* The first byte of [p, end) that ends a string or has a meaning in it, or end. control: those below 0x20, too. */
static inline __attribute__((always_inline)) const char *find_special(const char *p, const char *end, bool control)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), ctl = _mm_set1_epi8(0x1f);

    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash));
        unsigned m;

        if (control)
            hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(v, ctl), v));
        m = (unsigned)_mm_movemask_epi8(hit);
        if (m)
            return p + __builtin_ctz(m);
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && !(control && (unsigned char)*p < ' '))
        p++;
    return p;
}

static inline __attribute__((always_inline)) const char *string_end(const char *p, const char *end, bool control, bool *escaped)
{
    *escaped = false;
    while ((p = find_special(p, end, control)) < end) {
        if (*p != '\\')
            return *p == '"' ? p : NULL;
        *escaped = true;
        if (end - p < 2)
            return NULL;
        p += 2;
    }
    return NULL;
}

const char *json_string_end(const char *p, const char *end, bool *escaped)
{
    return string_end(p, end, false, escaped);
}

static bool hex4(const char *p, uint32_t *out)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            v = v << 4 | (uint32_t)((c | 32) - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}

static size_t unicode_escape(const char *p, const char *end, enum json_half half, uint32_t *rune)
{
    uint32_t low;

    if (end - p < 6 || !hex4(p + 2, rune))
        return 0;
    if (*rune < 0xd800 || *rune >= 0xe000)
        return 6;
    if (*rune < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u' && hex4(p + 8, &low) && low >= 0xdc00 && low < 0xe000) {
        *rune = 0x10000 + ((*rune - 0xd800) << 10) + (low - 0xdc00);
        return 12;
    }
    *rune = 0xfffd;
    return half == JSON_HALF_FFFD ? 6 : 0;
}

size_t json_escape(const char *p, const char *end, enum json_half half, uint32_t *rune)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *known;

    if (end - p < 2 || !p[1])
        return 0;
    if (p[1] == 'u')
        return unicode_escape(p, end, half, rune);
    known = strchr(letters, p[1]);
    if (!known)
        return 0;
    *rune = (uint32_t)(unsigned char)values[known - letters];
    return 2;
}

size_t json_unescape(struct str inside, enum json_half half, char *out)
{
    const char *p = inside.p, *end = p + inside.n;
    char *to = out;

    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t n = (size_t)((slash ? slash : end) - p);
        uint32_t rune;

        memcpy(to, p, n);
        to += n;
        if (!slash)
            break;
        n = json_escape(slash, end, half, &rune);
        if (n == 0)
            return SIZE_MAX;
        to += utf8_encode(rune, to); /* 3 bytes at most for 6, 4 for 12 */
        p = slash + n;
    }
    return (size_t)(to - out);
}

/* --- brackets ------------------------------------------------------------------------------------------ */

static inline void skip_space(struct json_in *j)
{
    j->p = json_skip_space(j->p, j->end);
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
    if (j->depth == j->depth_max)
        return err_set(j->e, ERR_INVALID, "invalid JSON at byte %zu: nested deeper than the limit of %u", (size_t)(j->p - j->start), j->depth_max);
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

int json_in_raw_key(struct json_in *j, struct str *inside, bool *escaped)
{
    int rc = next(j, '}');

    if (rc != 0)
        return rc;
    rc = json_in_raw_string(j, inside, escaped);
    return rc < 0 ? rc : take_colon(j);
}

/* --- scalars ------------------------------------------------------------------------------------------- */

int json_in_raw_string(struct json_in *j, struct str *inside, bool *escaped)
{
    const char *from, *q;

    skip_space(j);
    if (j->p == j->end || *j->p != '"')
        return json_in_fault(j, "a string was expected");
    from = j->p + 1;
    if (j->control_fine) {
        q = string_end(from, j->end, false, escaped);
        if (!q)
            return json_in_fault(j, "a string that does not end");
    } else {
        q = string_end(from, j->end, true, escaped);
        if (!q)
            return json_in_fault(j, "a string that does not end, or with a control character");
    }
    *inside = str_n(from, (size_t)(q - from));
    j->p = q + 1;
    return 0;
}

/* The place that is named is the string's beginning. */
static int bad_escape(struct json_in *j, const char *at)
{
    j->p = at;
    return json_in_fault(j, "a string with an escape that is none");
}

int json_in_string(struct json_in *j, struct str *out)
{
    const char *at = j->p;
    struct str inside;
    bool escaped;
    char *to;
    size_t n;
    int rc = json_in_raw_string(j, &inside, &escaped);

    if (rc < 0)
        return rc;
    *out = inside;
    if (!escaped)
        return 0;
    to = arena_alloc(j->a, inside.n);
    n = json_unescape(inside, JSON_HALF_FFFD, to);
    if (n == SIZE_MAX)
        return bad_escape(j, at);
    *out = str_n(to, n);
    return 0;
}

/* Its escapes are checked, and written nowhere. */
static int skip_string(struct json_in *j)
{
    const char *at = j->p, *p, *end;
    struct str inside;
    bool escaped;
    uint32_t rune;
    int rc = json_in_raw_string(j, &inside, &escaped);

    if (rc < 0 || !escaped)
        return rc;
    end = inside.p + inside.n;
    for (p = inside.p; (p = memchr(p, '\\', (size_t)(end - p)));) {
        size_t n = json_escape(p, end, JSON_HALF_FFFD, &rune);

        if (n == 0)
            return bad_escape(j, at);
        p += n;
    }
    return 0;
}

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

/* --- skipping ------------------------------------------------------------------------------------------ */

static int skip_scalar(struct json_in *j, enum json_kind kind)
{
    struct str text;

    switch (kind) {
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
    default:
        return json_in_fault(j, "a value was expected");
    }
}

/* (3) */
struct nest {
    uint64_t object[JSON_IN_DEPTH_MAX / 64];
};

static int enter(struct json_in *j, struct nest *n, bool object)
{
    uint64_t *word, bit;

    if (json_in_open(j, object ? '{' : '[') < 0)
        return ERR_INVALID;
    word = &n->object[(j->depth - 1) / 64];
    bit = UINT64_C(1) << ((j->depth - 1) % 64);
    *word = object ? *word | bit : *word & ~bit;
    return 0;
}

/* Behind a value: closes what ends here, down to base. 0: another value follows; >0: that was all. */
static int leave(struct json_in *j, const struct nest *n, unsigned base)
{
    while (j->depth > base) {
        bool object = n->object[(j->depth - 1) / 64] >> ((j->depth - 1) % 64) & 1;
        int rc = next(j, object ? '}' : ']');

        if (rc == 0 && object && (rc = skip_string(j)) == 0)
            rc = take_colon(j);
        if (rc <= 0)
            return rc;
    }
    return 1;
}

static inline bool is_nest(enum json_kind kind)
{
    return kind == JSON_OBJECT || kind == JSON_ARRAY;
}

static int skip_nested(struct json_in *j, enum json_kind kind)
{
    unsigned base = j->depth;
    struct nest n = {{0}};
    int rc;

    do {
        rc = is_nest(kind) ? enter(j, &n, kind == JSON_OBJECT) : skip_scalar(j, kind);
        if (rc == 0 && (rc = leave(j, &n, base)) == 0)
            kind = json_in_peek(j);
    } while (rc == 0);
    return rc < 0 ? rc : 0;
}

int json_in_skip(struct json_in *j, struct str *raw)
{
    enum json_kind kind = json_in_peek(j);
    const char *from = j->p;
    int rc = is_nest(kind) ? skip_nested(j, kind) : skip_scalar(j, kind);

    if (rc == 0 && raw)
        *raw = str_n(from, (size_t)(j->p - from));
    return rc;
}

int json_in_end(struct json_in *j)
{
    skip_space(j);
    return j->p == j->end ? 0 : json_in_fault(j, "something follows the end");
}
