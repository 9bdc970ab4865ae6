/*
 * lex.c - see lex.h. A machine of few states, fed rune by rune, that knows where it is: outside, inside {}, inside []
 * before the first number, inside a string.
 *
 * (1) Texts of errors and the place they name are those of Prometheus: users and tests compare them.
 * (2) An error is the last token. Its span begins at the token being read and ends at the end of the text.
 */
#include "query/promql/lex.h"

#include <assert.h>
#include <stdio.h>

enum { RUNE_EOF = 0xffffffff, RUNE_BAD = 0xfffd };

static const struct {
    const char *word;
    enum tok type;
} keywords[] = {
    {"and", T_LAND},
    {"or", T_LOR},
    {"unless", T_LUNLESS},
    {"atan2", T_ATAN2},
    {"sum", T_SUM},
    {"avg", T_AVG},
    {"count", T_COUNT},
    {"min", T_MIN},
    {"max", T_MAX},
    {"group", T_GROUP},
    {"stddev", T_STDDEV},
    {"stdvar", T_STDVAR},
    {"topk", T_TOPK},
    {"bottomk", T_BOTTOMK},
    {"count_values", T_COUNT_VALUES},
    {"quantile", T_QUANTILE},
    {"limitk", T_LIMITK},
    {"limit_ratio", T_LIMIT_RATIO},
    {"offset", T_OFFSET},
    {"smoothed", T_SMOOTHED},
    {"anchored", T_ANCHORED},
    {"by", T_BY},
    {"without", T_WITHOUT},
    {"on", T_ON},
    {"ignoring", T_IGNORING},
    {"group_left", T_GROUP_LEFT},
    {"group_right", T_GROUP_RIGHT},
    {"fill", T_FILL},
    {"fill_left", T_FILL_LEFT},
    {"fill_right", T_FILL_RIGHT},
    {"bool", T_BOOL},
    {"start", T_START},
    {"end", T_END},
    {"step", T_STEP},
    {"range", T_RANGE},
    {"max_of", T_MAX_OF},
    {"min_of", T_MIN_OF},
    {"inf", T_NUMBER},
    {"nan", T_NUMBER},
};

void pq_lex_init(struct lexer *l, struct arena *a, struct str text)
{
    assert(text.n < UINT32_MAX / 2);
    *l = (struct lexer){.a = a, .text = text};
}

/* --- runes ---------------------------------------------------------------------------------------- */

static uint32_t next(struct lexer *l)
{
    uint32_t r;

    l->width = (uint32_t)utf8_decode(str_from(l->text, l->pos), &r);
    if (l->width == 0)
        return RUNE_EOF;
    l->pos += l->width;
    return r;
}

static void backup(struct lexer *l)
{
    l->pos -= l->width;
    l->width = 0;
}

static uint32_t peek(struct lexer *l)
{
    uint32_t r;

    return utf8_decode(str_from(l->text, l->pos), &r) ? r : RUNE_EOF;
}

static bool is_digit(uint32_t r)
{
    return r >= '0' && r <= '9';
}

static bool is_alpha(uint32_t r)
{
    return r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z');
}

static bool is_alnum(uint32_t r)
{
    return is_alpha(r) || is_digit(r);
}

static bool is_space(uint32_t r)
{
    return r == ' ' || r == '\t' || r == '\n' || r == '\r';
}

static bool is_in(uint32_t r, const char *set)
{
    return r < 0x80 && r != 0 && strchr(set, (int)r);
}

static bool accept(struct lexer *l, const char *set)
{
    if (!is_in(peek(l), set))
        return false;
    next(l);
    return true;
}

/* --- giving out ------------------------------------------------------------------------------------ */

static void emit(struct lexer *l, enum tok type)
{
    l->out = (struct token){type, l->start, str_n(l->text.p + l->start, l->pos - l->start)};
    l->start = l->pos;
    l->scanned = true;
}

static enum lex_state fail(struct lexer *l, struct str msg)
{
    l->out = (struct token){T_ERROR, l->start, msg};
    l->scanned = true;
    return LEX_DONE;
}

static enum lex_state failz(struct lexer *l, const char *msg)
{
    return fail(l, str_of(msg));
}

/* "TEXT 'r'TAIL" */
static enum lex_state fail_rune(struct lexer *l, const char *text, uint32_t r, const char *tail)
{
    struct buf b = {0};
    struct str msg;

    buf_putz(&b, text);
    buf_put_quoted_rune(&b, r);
    buf_putz(&b, tail);
    msg = arena_dup(l->a, buf_str(&b));
    buf_release(&b);
    return fail(l, msg);
}

static void skip_spaces(struct lexer *l)
{
    while (is_space(peek(l)))
        next(l);
    l->start = l->pos;
}

static void skip_comment(struct lexer *l)
{
    for (uint32_t r = next(l); r != RUNE_EOF && r != '\n' && r != '\r'; r = next(l))
        ;
    backup(l);
    l->start = l->pos;
}

/* --- numbers --------------------------------------------------------------------------------------- */

/*
 * Takes what looks like a number; what it is worth is seen later. After the prefix [.][digits] comes any mix of digits,
 * one dot, one exponent and underscores between digits. false: not a number, or something clings to it.
 */
static bool scan_number(struct lexer *l)
{
    const char *digits = "0123456789", *any = "0123456789._eE";
    bool hex = false, dot = false, exponent = false;
    uint32_t from = l->pos;

    if (accept(l, "0") && accept(l, "xX")) {
        accept(l, "_");
        digits = "0123456789abcdefABCDEF";
        any = "0123456789abcdefABCDEF._";
        hex = true;
    }
    accept(l, ".");
    accept(l, digits);
    while (is_in(peek(l), any)) {
        if ((dot && accept(l, ".")) || (exponent && !hex && accept(l, "eE")))
            return false;
        if (accept(l, ".")) {
            dot = true;
            if (accept(l, "_.") || hex)
                return false;
        } else if (!hex && accept(l, "eE")) {
            exponent = true;
            accept(l, "+-");
            if (accept(l, "._eE") || peek(l) == RUNE_EOF)
                return false;
        } else if (accept(l, "_")) {
            if (accept(l, "._eE") || peek(l) == RUNE_EOF)
                return false;
        } else {
            while (accept(l, digits))
                ;
        }
    }
    return l->pos != from && !is_alnum(peek(l));
}

/* The unit after the first number of a duration, and any more numbers with units. Their order is checked when they are
 * read. */
static bool scan_duration_rest(struct lexer *l)
{
    if (!accept(l, "smhdwy"))
        return false;
    accept(l, "s"); /* of ms; hs and such are found later */
    while (accept(l, "0123456789")) {
        while (accept(l, "0123456789"))
            ;
        if (!accept(l, "smhdw"))
            return false;
        accept(l, "s");
    }
    return !is_alnum(next(l));
}

static enum lex_state lex_number_or_duration(struct lexer *l)
{
    struct buf b = {0};
    struct str msg;

    if (scan_number(l)) {
        emit(l, T_NUMBER);
        return LEX_STATEMENTS;
    }
    if (scan_duration_rest(l)) {
        backup(l);
        emit(l, T_DURATION);
        return LEX_STATEMENTS;
    }
    buf_putz(&b, "bad number or duration syntax: ");
    buf_put_quoted(&b, str_n(l->text.p + l->start, l->pos - l->start));
    msg = arena_dup(l->a, buf_str(&b));
    buf_release(&b);
    return fail(l, msg);
}

/* --- words and strings ----------------------------------------------------------------------------- */

static enum tok keyword_of(struct str word)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (str_eq_nocase(word, str_of(keywords[i].word)))
            return keywords[i].type;
    return T_EOF;
}

static enum lex_state lex_word(struct lexer *l)
{
    struct str word;
    enum tok type;

    for (uint32_t r = next(l); is_alnum(r) || r == ':'; r = next(l))
        ;
    backup(l);
    word = str_n(l->text.p + l->start, l->pos - l->start);
    type = keyword_of(word);
    if (type == T_EOF)
        type = str_chr(word, ':') < 0 ? T_IDENT : T_METRIC_IDENT;
    emit(l, type);
    return LEX_STATEMENTS;
}

static uint32_t digit_value(uint32_t r)
{
    if (is_digit(r))
        return r - '0';
    if ((r | 0x20) >= 'a' && (r | 0x20) <= 'f')
        return (r | 0x20) - 'a' + 10;
    return 16;
}

static enum lex_state fail_escape(struct lexer *l, const char *before, uint32_t r, const char *after)
{
    struct buf b = {0};
    struct str msg;

    buf_printf(&b, "%sU+%04X", before, r);
    if (r >= 0x20 && r != 0x7f) {
        char utf8[4];
        size_t n = utf8_encode(r, utf8);

        buf_putz(&b, " '");
        buf_put(&b, utf8, n);
        buf_putc(&b, '\'');
    }
    buf_putz(&b, after);
    msg = arena_dup(l->a, buf_str(&b));
    buf_release(&b);
    return fail(l, msg);
}

/* What follows a backslash. Checks only; pq_unquote makes the bytes. */
static enum lex_state lex_escape(struct lexer *l)
{
    uint32_t r = next(l), base, max, x = 0;
    int n;

    if (r == l->string_open || is_in(r, "abfnrtv\\"))
        return LEX_STRING;
    if (r >= '0' && r <= '7') {
        n = 3, base = 8, max = 255;
    } else if (r == 'x' || r == 'u' || r == 'U') {
        n = r == 'x' ? 2 : r == 'u' ? 4 : 8;
        base = 16;
        max = r == 'x' ? 255 : 0x10ffff;
        r = next(l);
    } else if (r == RUNE_EOF) {
        return failz(l, "escape sequence not terminated");
    } else {
        return fail_escape(l, "unknown escape sequence ", r, "");
    }
    for (; n > 0; n--) {
        if (r == RUNE_EOF)
            return failz(l, "escape sequence not terminated");
        if (digit_value(r) >= base)
            return fail_escape(l, "illegal character ", r, " in escape sequence");
        x = x * base + digit_value(r);
        if (n > 1)
            r = next(l);
    }
    if (x > max || (x >= 0xd800 && x < 0xe000))
        return failz(l, "escape sequence is an invalid Unicode code point");
    return LEX_STRING;
}

static enum lex_state lex_string(struct lexer *l)
{
    for (;;) {
        uint32_t r = next(l);

        if (r == '\\') {
            enum lex_state s = lex_escape(l);

            if (s != LEX_STRING)
                return s;
        } else if (r == RUNE_BAD) {
            return failz(l, "invalid UTF-8 rune");
        } else if (r == RUNE_EOF || r == '\n') {
            return failz(l, "unterminated quoted string");
        } else if (r == l->string_open) {
            emit(l, T_STRING);
            return LEX_STATEMENTS;
        }
    }
}

static enum lex_state lex_raw_string(struct lexer *l)
{
    for (;;) {
        uint32_t r = next(l);

        if (r == RUNE_BAD)
            return failz(l, "invalid UTF-8 rune");
        if (r == RUNE_EOF)
            return failz(l, "unterminated raw string");
        if (r == '`') {
            emit(l, T_STRING);
            return LEX_STATEMENTS;
        }
    }
}

/* --- states ---------------------------------------------------------------------------------------- */

/* A word inside []: only those of duration expressions. The first letter has been read. */
static bool lex_duration_word(struct lexer *l)
{
    enum tok type;

    while (is_alpha(peek(l)))
        next(l);
    type = keyword_of(str_n(l->text.p + l->start, l->pos - l->start));
    if (type != T_STEP && type != T_RANGE && type != T_MIN_OF && type != T_MAX_OF)
        return false;
    l->got_duration = true;
    emit(l, type);
    return true;
}

static enum lex_state lex_bracket_word(struct lexer *l, uint32_t r)
{
    if (r == ':') {
        if (l->got_colon)
            return fail_rune(l, "unexpected colon ", r, "");
        emit(l, T_COLON);
        l->got_colon = true;
        return LEX_STATEMENTS;
    }
    if (is_in(r, "sSmMrR") && lex_duration_word(l))
        return LEX_STATEMENTS;
    return fail_rune(l, "unexpected character: ", r, ", expected ':'");
}

static enum tok simple_operator(uint32_t r)
{
    switch (r) {
    case '+':
        return T_ADD;
    case '-':
        return T_SUB;
    case '*':
        return T_MUL;
    case '/':
        return T_DIV;
    case '%':
        return T_MOD;
    case '^':
        return T_POW;
    case ',':
        return T_COMMA;
    default:
        return T_EOF;
    }
}

static enum lex_state lex_paren(struct lexer *l, uint32_t r, enum lex_state then)
{
    emit(l, r == '(' ? T_LPAREN : T_RPAREN);
    l->paren_depth += r == '(' ? 1 : -1;
    if (l->paren_depth < 0)
        return fail_rune(l, "unexpected right parenthesis ", r, "");
    return then;
}

static enum lex_state lex_comparison(struct lexer *l, uint32_t r)
{
    uint32_t second = peek(l);

    if (r == '=' && second == '~')
        return fail_rune(l, "unexpected character after '=': ", second, "");
    if (r == '!') {
        second = next(l);
        if (second != '=')
            return fail_rune(l, "unexpected character after '!': ", second, "");
        emit(l, T_NEQ);
    } else if (second == '=') {
        next(l);
        emit(l, r == '=' ? T_EQLC : r == '<' ? T_LTE : T_GTE);
    } else if (second == '/' && r != '=') {
        next(l);
        emit(l, r == '<' ? T_TRIM_UPPER : T_TRIM_LOWER);
    } else {
        emit(l, r == '=' ? T_EQL : r == '<' ? T_LSS : T_GTR);
    }
    return LEX_STATEMENTS;
}

static enum lex_state lex_bracket(struct lexer *l, uint32_t r)
{
    if (r == '[') {
        if (l->bracket_open)
            return fail_rune(l, "unexpected left bracket ", r, "");
        emit(l, T_LBRACKET);
        skip_spaces(l);
        l->got_colon = l->got_duration = false;
        l->bracket_open = true;
        return LEX_DURATION;
    }
    if (!l->bracket_open)
        return fail_rune(l, "unexpected right bracket ", r, "");
    emit(l, T_RBRACKET);
    l->bracket_open = false;
    return LEX_STATEMENTS;
}

/* What reads the same inside of [] and outside. False: r is nothing of it. */
static bool lex_plain(struct lexer *l, uint32_t r, enum lex_state here, enum lex_state *then)
{
    *then = here;
    if (is_space(r)) {
        skip_spaces(l);
    } else if (simple_operator(r) != T_EOF) {
        emit(l, simple_operator(r));
    } else if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
        backup(l);
        l->got_duration = true; /* asked for inside only, and begun anew by each [ */
        *then = lex_number_or_duration(l);
    } else {
        return false;
    }
    return true;
}

static enum lex_state lex_statements(struct lexer *l)
{
    enum lex_state then;
    uint32_t r;

    if (l->brace_open)
        return LEX_BRACES;
    r = next(l);
    if (r == RUNE_EOF) {
        if (l->paren_depth != 0)
            return failz(l, "unclosed left parenthesis");
        if (l->bracket_open)
            return failz(l, "unclosed left bracket");
        emit(l, T_EOF);
        return LEX_DONE;
    }
    if (lex_plain(l, r, LEX_STATEMENTS, &then))
        return then;
    if (is_alpha(r) || r == ':') {
        if (l->bracket_open)
            return lex_bracket_word(l, r);
        backup(l);
        return lex_word(l);
    }
    switch (r) {
    case '#':
        skip_comment(l);
        return LEX_STATEMENTS;
    case '=':
    case '!':
    case '<':
    case '>':
        return lex_comparison(l, r);
    case '"':
    case '\'':
        l->string_open = r;
        return LEX_STRING;
    case '`':
        return LEX_RAW_STRING;
    case '(':
    case ')':
        return lex_paren(l, r, LEX_STATEMENTS);
    case '{':
        emit(l, T_LBRACE);
        l->brace_open = true;
        return LEX_BRACES;
    case '[':
    case ']':
        return lex_bracket(l, r);
    case '@':
        emit(l, T_AT);
        return LEX_STATEMENTS;
    default:
        return fail_rune(l, "unexpected character: ", r, "");
    }
}

static enum lex_state lex_braces(struct lexer *l)
{
    uint32_t r = next(l), second;

    if (r == RUNE_EOF)
        return failz(l, "unexpected end of input inside braces");
    if (is_space(r)) {
        skip_spaces(l);
        return LEX_BRACES;
    }
    if (is_alpha(r)) {
        while (is_alnum(peek(l)))
            next(l);
        emit(l, T_IDENT);
        return LEX_BRACES;
    }
    switch (r) {
    case '#':
        skip_comment(l);
        return LEX_BRACES;
    case ',':
        emit(l, T_COMMA);
        return LEX_BRACES;
    case '"':
    case '\'':
        l->string_open = r;
        return LEX_STRING;
    case '`':
        return LEX_RAW_STRING;
    case '=':
        emit(l, accept(l, "~") ? T_EQL_REGEX : T_EQL);
        return LEX_BRACES;
    case '!':
        second = next(l);
        if (second != '~' && second != '=')
            return fail_rune(l, "unexpected character after '!' inside braces: ", second, "");
        emit(l, second == '~' ? T_NEQ_REGEX : T_NEQ);
        return LEX_BRACES;
    case '{':
        return fail_rune(l, "unexpected left brace ", r, "");
    case '}':
        emit(l, T_RBRACE);
        l->brace_open = false;
        return LEX_STATEMENTS;
    default:
        return fail_rune(l, "unexpected character inside braces: ", r, "");
    }
}

/* Inside [] until the first number; then LEX_STATEMENTS goes on. */
static enum lex_state lex_duration(struct lexer *l)
{
    uint32_t r = next(l);
    enum lex_state then;

    if (r == RUNE_EOF)
        return failz(l, "unexpected end of input in duration expression");
    if (lex_plain(l, r, LEX_DURATION, &then))
        return then;
    if (r == '(' || r == ')')
        return lex_paren(l, r, LEX_DURATION);
    if (r == ']') {
        emit(l, T_RBRACKET);
        l->bracket_open = l->got_colon = false;
        return LEX_STATEMENTS;
    }
    if (r == ':') {
        emit(l, T_COLON);
        if (!l->got_duration)
            return failz(l, "unexpected colon before duration in duration expression");
        if (l->got_colon)
            return failz(l, "unexpected repeated colon in duration expression");
        l->got_colon = true;
        return LEX_DURATION;
    }
    if (is_in(r, "sSmMrR")) {
        if (lex_duration_word(l))
            return LEX_DURATION;
        return fail_rune(l, "unexpected character: ", r, ", expected ':'");
    }
    return fail_rune(l, "unexpected character in duration expression: ", r, "");
}

struct token pq_lex_next(struct lexer *l)
{
    l->scanned = false;
    while (!l->scanned) {
        switch (l->state) {
        case LEX_STATEMENTS:
            l->state = lex_statements(l);
            break;
        case LEX_BRACES:
            l->state = lex_braces(l);
            break;
        case LEX_DURATION:
            l->state = lex_duration(l);
            break;
        case LEX_STRING:
            l->state = lex_string(l);
            break;
        case LEX_RAW_STRING:
            l->state = lex_raw_string(l);
            break;
        case LEX_DONE:
            emit(l, T_EOF);
            break;
        }
    }
    return l->out;
}
