/*
 * lex.c - LogQL text to tokens.
 *
 * Upstream reads tokens as Go does (text/scanner) and then looks at words again: numbers that go on as durations or sizes,
 * words that are functions only before a bracket, operators of two characters.
 *
 * (1) Positions in error texts are upstream's: the column of the token in runes; the line is 0 for tokens of which it has
 *     read characters one by one ([5m], 5m, |=).
 */
#include "query/logql/lex.h"

#include "query/logql/units.h"

#include <stdio.h>

void lq_lex_init(struct lq_lexer *l, struct arena *a, struct str text)
{
    *l = (struct lq_lexer){.a = a, .text = text, .line = 1, .col = 1};
}

static char peek(const struct lq_lexer *l, uint32_t ahead)
{
    return l->pos + ahead < l->text.n ? l->text.p[l->pos + ahead] : 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void fail(struct lq_lexer *l, struct str why)
{
    if (!l->error.n)
        l->error = why;
}

/* Takes one rune. */
static void advance(struct lq_lexer *l)
{
    uint32_t rune;
    size_t n = utf8_decode(str_from(l->text, l->pos), &rune);

    if (n == 1 && rune == 0xfffd)
        fail(l, STR("invalid UTF-8 encoding"));
    l->pos += (uint32_t)n;
    l->col++;
    if (rune == '\n') {
        l->line++;
        l->col = 1;
    }
}

static void advance_to(struct lq_lexer *l, uint32_t pos)
{
    while (l->pos < pos)
        advance(l);
}

/* White space, # and Go's comments. */
static void skip(struct lq_lexer *l)
{
    for (;;) {
        char c = peek(l, 0);

        if (l->pos >= l->text.n)
            return;
        if (is_space(c)) {
            advance(l);
        } else if (c == '#' || (c == '/' && peek(l, 1) == '/')) {
            while (l->pos < l->text.n && peek(l, 0) != '\n')
                advance(l);
        } else if (c == '/' && peek(l, 1) == '*') {
            ptrdiff_t n = str_find(str_from(l->text, l->pos + 2), STR("*/"));

            if (n < 0)
                fail(l, STR("comment not terminated"));
            advance_to(l, n < 0 ? (uint32_t)l->text.n : l->pos + (uint32_t)n + 4);
        } else {
            return;
        }
    }
}

/* --- strings ---------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* n digits of the base, or -1. */
static int64_t escaped_number(struct str s, unsigned n, int base)
{
    int64_t v = 0;

    if (s.n < n)
        return -1;
    for (unsigned i = 0; i < n; i++) {
        int d = hex_digit(s.p[i]);

        if (d < 0 || d >= base)
            return -1;
        v = v * base + d;
    }
    return v;
}

/* One escape at s (behind the backslash): what it stands for, appended. Bytes taken, 0 when it is none. */
static size_t unescape(struct str s, struct buf *out)
{
    static const char from[] = "abfnrtv\\\"", to[] = "\a\b\f\n\r\t\v\\\"";
    const char *at = s.n && s.p[0] ? strchr(from, s.p[0]) : NULL;
    unsigned digits = 0;
    int64_t v;
    char rune[4];

    if (at) {
        buf_putc(out, to[at - from]);
        return 1;
    }
    if (s.n && s.p[0] >= '0' && s.p[0] <= '7') {
        v = escaped_number(s, 3, 8);
        if (v < 0 || v > 255)
            return 0;
        buf_putc(out, (char)v);
        return 3;
    }
    digits = s.n ? (s.p[0] == 'x' ? 2 : s.p[0] == 'u' ? 4 : s.p[0] == 'U' ? 8 : 0) : 0;
    if (!digits)
        return 0;
    v = escaped_number(str_from(s, 1), digits, 16);
    if (v < 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000 && digits > 2))
        return 0;
    if (digits == 2)
        buf_putc(out, (char)v);
    else
        buf_put(out, rune, utf8_encode((uint32_t)v, rune));
    return digits + 1;
}

static void scan_string(struct lq_lexer *l, struct lq_token *t)
{
    struct buf b = {0};
    bool closed = false;

    advance(l);
    while (l->pos < l->text.n && peek(l, 0) != '\n' && !l->error.n) {
        char c = peek(l, 0);
        size_t n;

        if (c == '"') {
            advance(l);
            closed = true;
            break;
        }
        if (c != '\\') {
            uint32_t from = l->pos;

            advance(l);
            buf_put(&b, l->text.p + from, l->pos - from);
            continue;
        }
        advance(l);
        n = unescape(str_from(l->text, l->pos), &b);
        if (n == 0) {
            fail(l, l->pos < l->text.n ? STR("invalid char escape") : STR("literal not terminated"));
            break;
        }
        advance_to(l, l->pos + (uint32_t)n);
    }
    if (!closed)
        fail(l, STR("literal not terminated"));
    t->type = TOK_STRING;
    t->val = arena_dup(l->a, buf_str(&b));
    buf_release(&b);
}

/* Carriage returns are not part of a raw string, as in Go. */
static void scan_raw(struct lq_lexer *l, struct lq_token *t)
{
    char *out;
    size_t n = 0;
    uint32_t from;

    advance(l);
    from = l->pos;
    while (l->pos < l->text.n && peek(l, 0) != '`')
        advance(l);
    out = arena_alloc(l->a, l->pos - from + 1);
    for (uint32_t i = from; i < l->pos; i++)
        if (l->text.p[i] != '\r')
            out[n++] = l->text.p[i];
    out[n] = 0;
    t->type = TOK_STRING;
    t->val = str_n(out, n);
    if (l->pos >= l->text.n)
        fail(l, STR("literal not terminated"));
    else
        advance(l);
}

/* --- numbers ---------------------------------------------------------------------------------- */

static uint32_t digits_from(const struct lq_lexer *l, uint32_t ahead, bool hex)
{
    while (is_digit(peek(l, ahead)) || peek(l, ahead) == '_' || (hex && hex_digit(peek(l, ahead)) >= 0))
        ahead++;
    return ahead;
}

/* Bytes of a Go number at the cursor. */
static uint32_t number_length(struct lq_lexer *l)
{
    char second = (char)(peek(l, 1) | 32), exponent = 'e';
    uint32_t n = 0, digits;
    bool hex = false;

    /* 0B alone is a size. */
    if (peek(l, 0) == '0' && (second == 'x' || ((second == 'b' || second == 'o') && is_digit(peek(l, 2))))) {
        hex = second == 'x';
        exponent = hex ? 'p' : 0;
        n = 2;
    }
    n = digits_from(l, n, hex);
    if (peek(l, n) == '.' && exponent)
        n = digits_from(l, n + 1, hex);
    if (exponent && (peek(l, n) | 32) == exponent) {
        digits = n + 1 + (peek(l, n + 1) == '+' || peek(l, n + 1) == '-');
        if (is_digit(peek(l, digits)))
            n = digits_from(l, digits, false);
        else
            fail(l, STR("exponent has no digits"));
    }
    return n;
}

static bool is_duration_char(const struct lq_lexer *l, uint32_t at, uint32_t *n)
{
    char c = peek(l, at);

    *n = 1;
    if (is_digit(c) || c == '.' || (c && strchr("nsumhdwy", c)))
        return true;
    *n = 2; /* µ, in both spellings */
    return (c == '\xc2' && peek(l, at + 1) == '\xb5') || (c == '\xce' && peek(l, at + 1) == '\xbc');
}

/* Prometheus' way first, which knows days; then Go's, which knows fractions. */
static bool parse_duration(struct str s, int64_t *ns)
{
    bool minus = s.n && s.p[0] == '-';
    int64_t ms;

    if (duration_parse(str_from(s, minus), &ms, NULL) == 0 && ms <= INT64_MAX / 1000000) {
        *ns = minus ? -ms * 1000000 : ms * 1000000;
        return true;
    }
    return lq_duration_parse(s, ns, NULL) == 0;
}

/* What follows the first n bytes at the cursor makes a duration of them. */
static bool try_duration(struct lq_lexer *l, struct lq_token *t, uint32_t n)
{
    uint32_t end = n, width;

    while (is_duration_char(l, end, &width))
        end += width;
    if (end == n || (peek(l, end - 1) != 0 && is_digit(peek(l, end - 1))) ||
        !parse_duration(str_n(l->text.p + l->pos, end), &t->ns))
        return false;
    advance_to(l, l->pos + end);
    t->type = TOK_DURATION;
    t->line = 0;
    return true;
}

static bool try_bytes(struct lq_lexer *l, struct lq_token *t, uint32_t n)
{
    uint32_t end = n;
    char c;

    while ((c = peek(l, end)) && (is_digit(c) || c == '.' || strchr("BikKMGTP", c)))
        end++;
    if (end == n || lq_bytes_parse(str_n(l->text.p + l->pos, end), &t->bytes, NULL) < 0)
        return false;
    advance_to(l, l->pos + end);
    t->type = TOK_BYTES;
    t->line = 0;
    return true;
}

static void scan_number(struct lq_lexer *l, struct lq_token *t)
{
    uint32_t n = number_length(l);

    if (try_duration(l, t, n) || try_bytes(l, t, n))
        return;
    advance_to(l, l->pos + n);
    t->type = TOK_NUMBER;
}

bool lq_token_number(const struct lq_token *t, double *v)
{
    return lq_float_parse(t->text, v);
}

/* [5m]: everything up to the bracket. */
static void scan_range(struct lq_lexer *l, struct lq_token *t)
{
    ptrdiff_t n = str_chr(str_from(l->text, l->pos), ']');
    struct str inside;
    struct err e;
    int64_t ms = 0;

    t->type = TOK_RANGE;
    t->line = 0;
    if (n < 0) {
        fail(l, STR("missing closing ']' in duration"));
        return;
    }
    inside = str_n(l->text.p + l->pos + 1, (size_t)n - 1);
    if (inside.n == 0)
        fail(l, STR("empty duration string"));
    else if (duration_parse(inside, &ms, &e) < 0)
        fail(l, arena_dup(l->a, str_of(e.text)));
    else if (ms > INT64_MAX / 1000000)
        fail(l, STR("duration out of range"));
    else
        t->ns = ms * 1000000;
    advance_to(l, l->pos + (uint32_t)n + 1);
}

/* --- words ------------------------------------------------------------------------------------ */

struct word {
    const char *text;
    enum lq_tok type;
    int op;
};

static const struct word functions[] = {
    {"rate", TOK_RANGE_OP, RANGE_RATE},
    {"rate_counter", TOK_RANGE_OP, RANGE_RATE_COUNTER},
    {"count_over_time", TOK_RANGE_OP, RANGE_COUNT},
    {"bytes_rate", TOK_RANGE_OP, RANGE_BYTES_RATE},
    {"bytes_over_time", TOK_RANGE_OP, RANGE_BYTES},
    {"avg_over_time", TOK_RANGE_OP, RANGE_AVG},
    {"sum_over_time", TOK_RANGE_OP, RANGE_SUM},
    {"min_over_time", TOK_RANGE_OP, RANGE_MIN},
    {"max_over_time", TOK_RANGE_OP, RANGE_MAX},
    {"stdvar_over_time", TOK_RANGE_OP, RANGE_STDVAR},
    {"stddev_over_time", TOK_RANGE_OP, RANGE_STDDEV},
    {"quantile_over_time", TOK_RANGE_OP, RANGE_QUANTILE},
    {"first_over_time", TOK_RANGE_OP, RANGE_FIRST},
    {"last_over_time", TOK_RANGE_OP, RANGE_LAST},
    {"absent_over_time", TOK_RANGE_OP, RANGE_ABSENT},
    {"sum", TOK_VECTOR_OP, VECTOR_SUM},
    {"avg", TOK_VECTOR_OP, VECTOR_AVG},
    {"max", TOK_VECTOR_OP, VECTOR_MAX},
    {"min", TOK_VECTOR_OP, VECTOR_MIN},
    {"count", TOK_VECTOR_OP, VECTOR_COUNT},
    {"stddev", TOK_VECTOR_OP, VECTOR_STDDEV},
    {"stdvar", TOK_VECTOR_OP, VECTOR_STDVAR},
    {"bottomk", TOK_VECTOR_OP, VECTOR_BOTTOMK},
    {"topk", TOK_VECTOR_OP, VECTOR_TOPK},
    {"approx_topk", TOK_VECTOR_OP, VECTOR_APPROX_TOPK},
    {"sort", TOK_VECTOR_OP, VECTOR_SORT},
    {"sort_desc", TOK_VECTOR_OP, VECTOR_SORT_DESC},
    {"bytes", TOK_CONV, UNWRAP_BYTES},
    {"duration", TOK_CONV, UNWRAP_DURATION},
    {"duration_seconds", TOK_CONV, UNWRAP_DURATION},
    {"vector", TOK_VECTOR, 0},
    {"ip", TOK_IP, 0},
};

static const struct word keywords[] = {
    {"or", TOK_OR, 0},
    {"and", TOK_AND, 0},
    {"unless", TOK_UNLESS, 0},
    {"by", TOK_BY, 0},
    {"without", TOK_WITHOUT, 0},
    {"bool", TOK_BOOL, 0},
    {"on", TOK_ON, 0},
    {"ignoring", TOK_IGNORING, 0},
    {"group_left", TOK_GROUP_LEFT, 0},
    {"group_right", TOK_GROUP_RIGHT, 0},
    {"offset", TOK_OFFSET, 0},
    {"unwrap", TOK_UNWRAP, 0},
    {"label_replace", TOK_LABEL_REPLACE, 0},
    {"json", TOK_JSON, 0},
    {"logfmt", TOK_LOGFMT, 0},
    {"regexp", TOK_REGEXP, 0},
    {"pattern", TOK_PATTERN, 0},
    {"unpack", TOK_UNPACK, 0},
    {"line_format", TOK_LINE_FORMAT, 0},
    {"label_format", TOK_LABEL_FORMAT, 0},
    {"decolorize", TOK_DECOLORIZE, 0},
    {"drop", TOK_DROP, 0},
    {"keep", TOK_KEEP, 0},
};

static const struct word symbols[] = {
    {"|=", TOK_PIPE_EXACT, 0}, {"|~", TOK_PIPE_MATCH, 0}, {"|>", TOK_PIPE_PATTERN, 0}, {"!=", TOK_NEQ, 0}, {"!~", TOK_NRE, 0},
    {"!>", TOK_NPA, 0},        {"=~", TOK_RE, 0},         {"==", TOK_CMP_EQ, 0},       {">=", TOK_GTE, 0}, {"<=", TOK_LTE, 0},
    {"{", TOK_LBRACE, 0},      {"}", TOK_RBRACE, 0},      {"(", TOK_LPAREN, 0},        {")", TOK_RPAREN, 0}, {"]", TOK_RBRACKET, 0},
    {",", TOK_COMMA, 0},       {".", TOK_DOT, 0},         {"=", TOK_EQ, 0},            {"|", TOK_PIPE, 0}, {"+", TOK_ADD, 0},
    {"-", TOK_SUB, 0},         {"*", TOK_MUL, 0},         {"/", TOK_DIV, 0},           {"%", TOK_MOD, 0},  {"^", TOK_POW, 0},
    {">", TOK_GT, 0},          {"<", TOK_LT, 0},
};

static uint32_t skip_space(const struct lq_lexer *l, uint32_t ahead)
{
    while (is_space(peek(l, ahead)))
        ahead++;
    return ahead;
}

/* Behind the word at the cursor comes a bracket, or by/without and a bracket. */
static bool is_call(const struct lq_lexer *l, uint32_t ahead)
{
    static const struct str clauses[] = {{"by", 2}, {"without", 7}};
    struct str rest;

    ahead = skip_space(l, ahead);
    if (peek(l, ahead) == '(')
        return true;
    rest = str_from(l->text, l->pos + ahead);
    for (size_t i = 0; i < ARRAY_LEN(clauses); i++)
        if (str_eq_nocase(str_head(rest, clauses[i].n), clauses[i]))
            return peek(l, skip_space(l, ahead + (uint32_t)clauses[i].n)) == '(';
    return false;
}

static const struct word *find_word(const struct word *words, size_t n, struct str s)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(s, str_of(words[i].text)))
            return &words[i];
    return NULL;
}

static void scan_word(struct lq_lexer *l, struct lq_token *t)
{
    uint32_t n = 0;
    const struct word *w;
    struct str s;

    while (is_letter(peek(l, n)) || is_digit(peek(l, n)))
        n++;
    s = str_n(l->text.p + l->pos, n);
    t->type = TOK_IDENT;
    w = find_word(functions, ARRAY_LEN(functions), s);
    if (w && is_call(l, n)) {
        t->type = w->type;
        t->op = w->op;
    } else if (!w) {
        w = find_word(keywords, ARRAY_LEN(keywords), s);
        if (w)
            t->type = w->type;
    }
    advance_to(l, l->pos + n);
}

static bool scan_flag(struct lq_lexer *l, struct lq_token *t)
{
    static const struct str flags[] = {{"--strict", 8}, {"--keep-empty", 12}};
    uint32_t n = 2;

    if (peek(l, 1) != '-')
        return false;
    while (is_letter(peek(l, n)) || peek(l, n) == '-')
        n++;
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (str_eq(str_n(l->text.p + l->pos, n), flags[i])) {
            advance_to(l, l->pos + n);
            t->type = TOK_FLAG;
            t->line = 0;
            t->op = (int)i;
            return true;
        }
    return false;
}

static void scan_symbol(struct lq_lexer *l, struct lq_token *t)
{
    if (peek(l, 0) == '-' && (scan_flag(l, t) || try_duration(l, t, 1)))
        return;
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        struct str s = str_of(symbols[i].text);

        if (!str_starts(str_from(l->text, l->pos), s))
            continue;
        t->type = symbols[i].type;
        if (s.n > 1)
            t->line = 0;
        advance_to(l, l->pos + (uint32_t)s.n);
        return;
    }
    t->type = TOK_OTHER;
    advance(l);
}

struct lq_token lq_lex_next(struct lq_lexer *l)
{
    struct lq_token t = {0};
    char c;

    skip(l);
    t.start = l->pos;
    t.line = l->line;
    t.col = l->col;
    c = peek(l, 0);
    if (l->error.n || l->pos >= l->text.n)
        t.type = TOK_EOF;
    else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1))))
        scan_number(l, &t);
    else if (c == '"')
        scan_string(l, &t);
    else if (c == '`')
        scan_raw(l, &t);
    else if (c == '[')
        scan_range(l, &t);
    else if (is_letter(c))
        scan_word(l, &t);
    else
        scan_symbol(l, &t);
    t.end = l->pos;
    t.text = str_n(l->text.p + t.start, t.end - t.start);
    if (l->error.n)
        t.type = TOK_ERROR;
    return t;
}

struct str lq_token_name(struct arena *a, const struct lq_token *t)
{
    static const char *const names[] = {
        [TOK_EOF] = "$end",          [TOK_IDENT] = "IDENTIFIER", [TOK_OTHER] = "IDENTIFIER", [TOK_STRING] = "STRING", [TOK_NUMBER] = "NUMBER",
        [TOK_DURATION] = "DURATION", [TOK_BYTES] = "BYTES",      [TOK_RANGE] = "RANGE",   [TOK_FLAG] = "PARSER_FLAG",
    };
    bool function = t->type >= TOK_RANGE_OP && t->type <= TOK_VECTOR;
    struct str s;

    if (t->type < ARRAY_LEN(names) && names[t->type])
        return str_of(names[t->type]);
    s = arena_dup(a, str_head(t->text, 64));
    for (size_t i = 0; i < s.n; i++) {
        char *c = (char *)s.p + i;

        if (function && *c >= 'a' && *c <= 'z')
            *c = (char)(*c - 32);
        else if (!function && *c >= 'A' && *c <= 'Z')
            *c = (char)(*c + 32);
    }
    return s;
}
