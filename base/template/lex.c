/*
 * lex.c - see lex.h.
 *
 * (1) A trim marker is a hyphen with a blank between it and the action's inside: {{- 3}} trims, {{-3}} is a number.
 * (2) After an error the lexer must not be asked again.
 */
#include "base/template/lex.h"

static const char spaces[] = " \t\r\n";

static bool is_space(char c)
{
    return c && strchr(spaces, c);
}

/* The byte `ahead` of the place, 0 behind the end. */
static char peek(const struct tmpl_lexer *x, size_t ahead)
{
    return x->at + ahead < x->text.n ? x->text.p[x->at + ahead] : 0;
}

static bool looking_at(const struct tmpl_lexer *x, const char *z)
{
    return str_starts(str_from(x->text, x->at), str_of(z));
}

static struct tmpl_token error_at(struct tmpl_lexer *x, struct str sentence)
{
    return (struct tmpl_token){TT_ERROR, sentence, (uint32_t)x->at, x->line};
}

/* Everything from `from` up to the place. Lines of the token count for what comes after. */
static struct tmpl_token token(struct tmpl_lexer *x, enum tmpl_token_type type, size_t from)
{
    struct str val = str_n(x->text.p + from, x->at - from);
    struct tmpl_token t = {type, val, (uint32_t)from, x->line};

    for (size_t i = 0; i < val.n; i++)
        x->line += val.p[i] == '\n';
    return t;
}

static void skip_lines(struct tmpl_lexer *x, size_t to)
{
    for (; x->at < to; x->at++)
        x->line += x->text.p[x->at] == '\n';
}

/* --- text and comments ------------------------------------------------------------------------------ */

/* A comment stands alone in its action: {{/ * ... * /}}. The place is behind the left delimiter and its marker. */
static bool skip_comment(struct tmpl_lexer *x, struct tmpl_token *failed)
{
    size_t end = x->at + 2;
    bool trim;

    while (end + 1 < x->text.n && !(x->text.p[end] == '*' && x->text.p[end + 1] == '/'))
        end++;
    if (end + 1 >= x->text.n) {
        *failed = error_at(x, STR("unclosed comment"));
        return false;
    }
    skip_lines(x, end + 2);
    trim = is_space(peek(x, 0)) && peek(x, 1) == '-' && peek(x, 2) == '}' && peek(x, 3) == '}';
    if (!trim && !looking_at(x, "}}")) {
        *failed = error_at(x, STR("comment ends before closing delimiter"));
        return false;
    }
    skip_lines(x, x->at + (trim ? 4 : 2));
    x->trim_left = trim;
    return true;
}

/* Text up to the next action, or the action's start where there is none. */
static struct tmpl_token lex_text(struct tmpl_lexer *x)
{
    for (;;) {
        size_t from = x->at, to = from, end;
        struct tmpl_token t;
        bool trim, at_action;

        while (to < x->text.n && !(x->text.p[to] == '{' && to + 1 < x->text.n && x->text.p[to + 1] == '{'))
            to++;
        at_action = to < x->text.n;
        trim = at_action && to + 3 < x->text.n && x->text.p[to + 2] == '-' && is_space(x->text.p[to + 3]);
        end = to;
        if (trim)
            while (end > from && is_space(x->text.p[end - 1]))
                end--;
        if (x->trim_left)
            while (from < end && is_space(x->text.p[from]))
                from++;
        if (from < end) {
            skip_lines(x, from);
            x->trim_left = false;
            x->at = end;
            t = token(x, TT_TEXT, from);
            skip_lines(x, to);
            return t;
        }
        skip_lines(x, to);
        if (!at_action)
            return token(x, TT_EOF, x->at);
        x->trim_left = false;
        if (str_starts(str_from(x->text, to + (trim ? 4 : 2)), STR("/*"))) {
            skip_lines(x, to + (trim ? 4 : 2));
            if (!skip_comment(x, &t))
                return t;
            continue;
        }
        x->at = to + 2;
        t = token(x, TT_LEFT, to);
        if (trim)
            x->at++;
        x->inside = true;
        x->parens = 0;
        return t;
    }
}

/* --- inside an action ------------------------------------------------------------------------------- */

static bool is_alnum(const struct tmpl_lexer *x, size_t at, size_t *n)
{
    unsigned char c = at < x->text.n ? (unsigned char)x->text.p[at] : 0;
    uint32_t rune;

    *n = 1;
    if (c < 0x80)
        return c == '_' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    *n = utf8_decode(str_from(x->text, at), &rune);
    return rune != 0xfffd;
}

static void skip_alnum(struct tmpl_lexer *x)
{
    size_t n;

    while (x->at < x->text.n && is_alnum(x, x->at, &n))
        x->at += n;
}

static bool at_terminator(const struct tmpl_lexer *x)
{
    char c = peek(x, 0);

    return x->at >= x->text.n || is_space(c) || strchr(".,|:()", c) || looking_at(x, "}}");
}

static struct tmpl_token bad_rune(struct tmpl_lexer *x, const char *words)
{
    uint32_t rune = 0xfffd;
    struct str s = str_from(x->text, x->at);

    if (s.n)
        s.n = utf8_decode(s, &rune);
    return error_at(x, arena_printf(x->a, "%s U+%04X '%.*s'", words, rune, STR_ARG(s)));
}

static struct tmpl_token lex_word(struct tmpl_lexer *x)
{
    static const char *const words[] = {"block", "break", "continue", "define",   "else", "end",
                                        "if",    "nil",   "range",    "template", "with"};
    size_t from = x->at;
    struct str w;

    skip_alnum(x);
    if (!at_terminator(x))
        return bad_rune(x, "bad character");
    w = str_n(x->text.p + from, x->at - from);
    if (str_eqz(w, "true") || str_eqz(w, "false"))
        return token(x, TT_BOOL, from);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eqz(w, words[i]))
            return token(x, (enum tmpl_token_type)(TT_BLOCK + i), from);
    return token(x, TT_IDENTIFIER, from);
}

/* .name, $name, or the bare sign. */
static struct tmpl_token lex_name(struct tmpl_lexer *x, enum tmpl_token_type bare, enum tmpl_token_type named)
{
    size_t from = x->at++;

    if (at_terminator(x))
        return token(x, bare, from);
    skip_alnum(x);
    if (!at_terminator(x))
        return bad_rune(x, "bad character");
    return token(x, named, from);
}

static void skip_set(struct tmpl_lexer *x, const char *set)
{
    while (peek(x, 0) && strchr(set, peek(x, 0)))
        x->at++;
}

static bool take(struct tmpl_lexer *x, const char *set)
{
    if (!peek(x, 0) || !strchr(set, peek(x, 0)))
        return false;
    x->at++;
    return true;
}

static struct tmpl_token lex_number(struct tmpl_lexer *x)
{
    static const char decimal[] = "0123456789_", hex[] = "0123456789abcdefABCDEF_";
    const char *digits = decimal;
    size_t from = x->at, n;

    take(x, "+-");
    if (take(x, "0"))
        digits = take(x, "xX") ? hex : take(x, "oO") ? "01234567_" : take(x, "bB") ? "01_" : decimal;
    skip_set(x, digits);
    if (take(x, "."))
        skip_set(x, digits);
    if ((digits == decimal && take(x, "eE")) || (digits == hex && take(x, "pP"))) {
        take(x, "+-");
        skip_set(x, decimal);
    }
    take(x, "i");
    if (x->at < x->text.n && is_alnum(x, x->at, &n)) {
        x->at += n;
        struct buf b = {0};

        buf_putz(&b, "bad number syntax: ");
        buf_put_quoted(&b, str_n(x->text.p + from, x->at - from));
        n = b.n;
        struct str s = arena_dup(x->a, buf_str(&b));

        buf_release(&b);
        return error_at(x, s);
    }
    return token(x, TT_NUMBER, from);
}

static struct tmpl_token lex_quoted(struct tmpl_lexer *x, char quote, enum tmpl_token_type type, const char *unterminated)
{
    size_t from = x->at++;

    for (;; x->at++) {
        char c = peek(x, 0);

        if (x->at >= x->text.n || (c == '\n' && quote != '`'))
            return error_at(x, str_of(unterminated));
        if (c == '\\' && quote != '`' && x->at + 1 < x->text.n && peek(x, 1) != '\n') {
            x->at++;
            continue;
        }
        if (c == quote) {
            x->at++;
            return token(x, type, from);
        }
    }
}

static struct tmpl_token right_delimiter(struct tmpl_lexer *x, bool trim)
{
    size_t from;
    struct tmpl_token t;

    if (x->parens)
        return error_at(x, STR("unclosed left paren"));
    if (trim)
        skip_lines(x, x->at + 2);
    from = x->at;
    x->at += 2;
    t = token(x, TT_RIGHT, from);
    x->inside = false;
    x->trim_left = trim;
    return t;
}

static struct tmpl_token one_char(struct tmpl_lexer *x, enum tmpl_token_type type)
{
    size_t from = x->at++;

    return token(x, type, from);
}

static bool at_trim_end(const struct tmpl_lexer *x)
{
    return is_space(peek(x, 0)) && peek(x, 1) == '-' && peek(x, 2) == '}' && peek(x, 3) == '}';
}

static struct tmpl_token lex_spaces(struct tmpl_lexer *x)
{
    size_t from = x->at;

    /* The last blank before a trim marker belongs to the marker. */
    while (is_space(peek(x, 0)) && !at_trim_end(x))
        x->at++;
    return token(x, TT_SPACE, from);
}

static struct tmpl_token lex_sign(struct tmpl_lexer *x)
{
    char c = peek(x, 0);

    switch (c) {
    case '=':
        return one_char(x, TT_ASSIGN);
    case ':':
        if (peek(x, 1) != '=')
            return error_at(x, STR("expected :="));
        x->at += 2;
        return token(x, TT_DECLARE, x->at - 2);
    case '|':
        return one_char(x, TT_PIPE);
    case '"':
        return lex_quoted(x, c, TT_STRING, "unterminated quoted string");
    case '`':
        return lex_quoted(x, c, TT_RAW_STRING, "unterminated raw quoted string");
    case '\'':
        return lex_quoted(x, c, TT_CHAR_CONSTANT, "unterminated character constant");
    case '(':
        x->parens++;
        return one_char(x, TT_LPAREN);
    case ')':
        if (x->parens == 0)
            return error_at(x, STR("unexpected right paren"));
        x->parens--;
        return one_char(x, TT_RPAREN);
    default:
        if (c > ' ' && c < 0x7f)
            return one_char(x, TT_CHAR);
        return bad_rune(x, "unrecognized character in action:");
    }
}

struct tmpl_token tmpl_lex_next(struct tmpl_lexer *x)
{
    char c = peek(x, 0), next = peek(x, 1);
    size_t n;

    if (!x->inside)
        return lex_text(x);
    if (looking_at(x, "}}") || at_trim_end(x))
        return right_delimiter(x, is_space(c));
    if (x->at >= x->text.n)
        return error_at(x, STR("unclosed action"));
    if (is_space(c))
        return lex_spaces(x);
    if (c == '.' && !(next >= '0' && next <= '9'))
        return lex_name(x, TT_DOT, TT_FIELD);
    if (c == '$')
        return lex_name(x, TT_VARIABLE, TT_VARIABLE);
    if (c == '.' || c == '+' || c == '-' || (c >= '0' && c <= '9'))
        return lex_number(x);
    if (is_alnum(x, x->at, &n))
        return lex_word(x);
    return lex_sign(x);
}
