/*
 * json_scan.c - JSON where it lies.
 *
 * (1) What json_value_next accepted is JSON as a whole, so iterators over it cannot fail.
 * (2) No recursion: nesting is a bit per level, so hostile text costs no stack.
 */
#include "collector/files/json_scan.h"

#include <assert.h>

static struct str skip_blanks(struct str s)
{
    size_t i = 0;

    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r'))
        i++;
    return str_from(s, i);
}

static bool hex_follows(struct str s)
{
    for (size_t i = 0; i < 4; i++) {
        char c = i < s.n ? s.p[i] : 0;

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return true;
}

/* The length of the string that begins s, quotes included; 0: it is none. */
static size_t string_length(struct str s)
{
    for (size_t i = 1; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '"')
            return i + 1;
        if (c < 0x20)
            return 0;
        if (c != '\\')
            continue;
        if (++i >= s.n || !strchr("\"\\/bfnrtu", s.p[i]) || s.p[i] == 0)
            return 0;
        if (s.p[i] == 'u' && !hex_follows(str_from(s, i + 1)))
            return 0;
    }
    return 0;
}

static size_t digits(struct str s, size_t i)
{
    size_t first = i;

    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    return i - first;
}

static size_t number_length(struct str s)
{
    size_t i = s.n && s.p[0] == '-', n = digits(s, i);

    if (n == 0 || (n > 1 && s.p[i] == '0'))
        return 0;
    i += n;
    if (i < s.n && s.p[i] == '.') {
        n = digits(s, i + 1);
        if (n == 0)
            return 0;
        i += n + 1;
    }
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        i += i < s.n && (s.p[i] == '+' || s.p[i] == '-');
        n = digits(s, i);
        if (n == 0)
            return 0;
        i += n;
    }
    return i;
}

/* A string, number or word at the beginning of s; 0: none of them. */
static size_t scalar_length(struct str s, enum json_kind *kind)
{
    static const struct {
        struct str word;
        enum json_kind kind;
    } words[] = {{{"null", 4}, JSON_NULL}, {{"true", 4}, JSON_BOOL}, {{"false", 5}, JSON_BOOL}};

    if (s.n && s.p[0] == '"') {
        *kind = JSON_STRING;
        return string_length(s);
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_starts(s, words[i].word)) {
            *kind = words[i].kind;
            return words[i].word.n;
        }
    }
    *kind = JSON_NUMBER;
    return number_length(s);
}

/* Skips `"key" :` and blanks; false: there is none. */
static bool skip_key(struct str *s)
{
    size_t n = s->n && s->p[0] == '"' ? string_length(*s) : 0;

    if (!n)
        return false;
    *s = skip_blanks(str_from(*s, n));
    if (!s->n || s->p[0] != ':')
        return false;
    *s = skip_blanks(str_from(*s, 1));
    return true;
}

struct nest {
    uint64_t object[JSON_DEPTH_MAX / 64]; /* a bit a level */
    unsigned depth;
};

static bool in_object(const struct nest *n)
{
    return n->object[(n->depth - 1) / 64] >> ((n->depth - 1) % 64) & 1;
}

static bool enter(struct nest *n, bool object)
{
    uint64_t bit = UINT64_C(1) << (n->depth % 64);

    if (n->depth == JSON_DEPTH_MAX)
        return false;
    n->object[n->depth / 64] = object ? n->object[n->depth / 64] | bit : n->object[n->depth / 64] & ~bit;
    n->depth++;
    return true;
}

/* Behind a value: closes what ends here. 1: the outermost has ended, 0: another value follows, <0: neither. */
static int after_value(struct nest *n, struct str *s)
{
    for (;;) {
        if (n->depth == 0)
            return 1;
        *s = skip_blanks(*s);
        if (!s->n)
            return -1;
        if (s->p[0] == ',') {
            *s = skip_blanks(str_from(*s, 1));
            return !in_object(n) || skip_key(s) ? 0 : -1;
        }
        if (s->p[0] != (in_object(n) ? '}' : ']'))
            return -1;
        n->depth--;
        *s = str_from(*s, 1);
    }
}

static bool skip_nested(struct str *s)
{
    struct nest n = {.depth = 0};
    int code = 0;

    while (code == 0) {
        bool object = s->n && s->p[0] == '{';

        if (object || (s->n && s->p[0] == '[')) {
            if (!enter(&n, object))
                return false;
            *s = skip_blanks(str_from(*s, 1));
            if (s->n && s->p[0] == (object ? '}' : ']')) {
                n.depth--;
                *s = str_from(*s, 1);
            } else if (object && !skip_key(s)) {
                return false;
            } else {
                continue;
            }
        } else {
            enum json_kind kind;
            size_t len = scalar_length(*s, &kind);

            if (!len)
                return false;
            *s = str_from(*s, len);
        }
        code = after_value(&n, s);
    }
    return code > 0;
}

bool json_value_next(struct str *s, struct json_value *out)
{
    struct str at = skip_blanks(*s), rest = at;

    if (!at.n)
        return false;
    out->kind = at.p[0] == '{' ? JSON_OBJECT : JSON_ARRAY;
    if (at.p[0] == '{' || at.p[0] == '[') {
        if (!skip_nested(&rest))
            return false;
    } else {
        size_t n = scalar_length(at, &out->kind);

        if (!n)
            return false;
        rest = str_from(at, n);
    }
    out->text = str_head(at, at.n - rest.n);
    *s = skip_blanks(rest);
    return true;
}

bool json_value_all(struct str s, struct json_value *out)
{
    return json_value_next(&s, out) && s.n == 0;
}

void json_iter_init(struct json_iter *it, const struct json_value *v)
{
    assert(v->kind == JSON_OBJECT || v->kind == JSON_ARRAY);
    it->object = v->kind == JSON_OBJECT;
    it->rest = skip_blanks(str_n(v->text.p + 1, v->text.n - 2));
}

bool json_iter_next(struct json_iter *it, struct str *key, struct json_value *v)
{
    bool ok;

    if (!it->rest.n)
        return false;
    *key = STR("");
    if (it->object) {
        *key = str_head(it->rest, string_length(it->rest));
        ok = skip_key(&it->rest);
        assert(ok); /* (1) */
    }
    ok = json_value_next(&it->rest, v);
    assert(ok);
    if (it->rest.n)
        it->rest = skip_blanks(str_from(it->rest, 1)); /* the comma */
    return true;
}

/* --- texts ------------------------------------------------------------------------------------------ */

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];

        v = v * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

/* The \u escape whose digits begin at p; a pair of them is one rune. Moves *p behind. */
static uint32_t escaped_rune(const char **p, const char *end)
{
    uint32_t r = hex4(*p), low;

    *p += 4;
    if (r < 0xd800 || r > 0xdfff)
        return r;
    if (r < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        low = hex4(*p + 2);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *p += 6;
            return 0x10000 + ((r - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

struct str json_unquote(struct arena *a, struct str quoted)
{
    struct str s = str_n(quoted.p + 1, quoted.n - 2);
    ptrdiff_t first = str_chr(s, '\\');
    const char *p = s.p + first, *end = s.p + s.n;
    char *out, *o;

    assert(quoted.n >= 2 && quoted.p[0] == '"');
    if (first < 0)
        return s;
    o = out = arena_alloc(a, s.n + 1);
    memcpy(o, s.p, (size_t)first);
    o += first;
    while (p < end) {
        if (*p != '\\') {
            *o++ = *p++;
            continue;
        }
        p += 2;
        switch (p[-1]) {
        case 'n': *o++ = '\n'; break;
        case 't': *o++ = '\t'; break;
        case 'r': *o++ = '\r'; break;
        case 'b': *o++ = '\b'; break;
        case 'f': *o++ = '\f'; break;
        case 'u': o += utf8_encode(escaped_rune(&p, end), o); break; /* 3 bytes at most for 6, 4 for 12 */
        default: *o++ = p[-1]; break;
        }
    }
    return str_n(out, (size_t)(o - out));
}

struct str json_value_text(struct arena *a, const struct json_value *v)
{
    return v->kind == JSON_STRING ? json_unquote(a, v->text) : v->text;
}

/* --- paths ------------------------------------------------------------------------------------------ */

struct json_step {
    struct str name; /* p == NULL: an index */
    int64_t index;
    struct json_step *next;
};

struct json_path {
    struct json_step *first;
};

static bool name_byte(char c, bool first)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (!first && c >= '0' && c <= '9');
}

static int bad_path(struct str text, struct err *e)
{
    return err_set(e, ERR_INVALID, "the expression \"%.*s\" is not understood: names, \"quoted names\", dots and [index] are",
                   STR_ARG(str_head(text, 200)));
}

static bool read_step(struct arena *a, struct str *s, bool first, struct json_step *out)
{
    size_t n = 0;

    if (s->n && s->p[0] == '[') {
        ptrdiff_t close = str_chr(*s, ']');

        if (close < 0 || !str_to_i64(str_trim(str_n(s->p + 1, (size_t)close - 1)), &out->index))
            return false;
        *s = str_from(*s, (size_t)close + 1);
        return true;
    }
    if (!first) {
        if (s->p[0] != '.')
            return false;
        *s = str_from(*s, 1);
    }
    if (s->n && s->p[0] == '"') {
        n = string_length(*s);
        if (!n)
            return false;
        out->name = json_unquote(a, str_head(*s, n));
    } else {
        while (n < s->n && name_byte(s->p[n], n == 0))
            n++;
        if (!n)
            return false;
        out->name = str_head(*s, n);
    }
    *s = str_from(*s, n);
    return true;
}

int json_path_read(struct arena *a, struct str text, struct json_path **out, struct err *e)
{
    struct json_path *p = arena_new(a, struct json_path);
    struct json_step **last = &p->first;
    struct str s = arena_dup(a, str_trim(text));

    if (!s.n)
        return bad_path(text, e);
    for (bool first = true; s.n; first = false) {
        struct json_step *step = arena_new(a, struct json_step);

        if (!read_step(a, &s, first, step))
            return bad_path(text, e);
        *last = step;
        last = &step->next;
    }
    *out = p;
    return 0;
}

static bool same_name(struct str quoted, struct str name)
{
    struct arena a = {0};
    bool same;

    if (str_chr(quoted, '\\') < 0)
        return str_eq(str_n(quoted.p + 1, quoted.n - 2), name);
    same = str_eq(json_unquote(&a, quoted), name);
    arena_release(&a);
    return same;
}

static bool find_step(const struct json_step *step, const struct json_value *v, struct json_value *out)
{
    struct json_iter it;
    struct json_value item;
    struct str key;
    int64_t index = step->index;
    bool found = false;

    if (v->kind != (step->name.p ? JSON_OBJECT : JSON_ARRAY))
        return false;
    if (!step->name.p && index < 0) {
        json_iter_init(&it, v);
        while (json_iter_next(&it, &key, &item))
            index++;
        if (index < 0)
            return false;
    }
    json_iter_init(&it, v);
    for (int64_t i = 0; json_iter_next(&it, &key, &item); i++) {
        if (step->name.p ? same_name(key, step->name) : i == index) {
            *out = item; /* of two members of one name the last counts */
            found = true;
            if (!step->name.p)
                break;
        }
    }
    return found;
}

bool json_path_find(const struct json_path *p, const struct json_value *root, struct json_value *out)
{
    struct json_value v = *root;

    for (const struct json_step *s = p->first; s; s = s->next) {
        if (!find_step(s, &v, out))
            return false;
        v = *out;
    }
    *out = v;
    return true;
}
