/*
 * regex_need.c - see regex_need.h. Reads only what it is sure of: ASCII, escaped punctuation; groups and classes are passed over,
 * alternatives outside of groups and flags end the search with nothing.
 */
#include "query/logql/regex_need.h"

struct need {
    struct str pattern;
    size_t at;
    char *best, *run;
    size_t nbest, nrun;
    bool fold; /* letters are of either case */
};

static void end_run(struct need *x)
{
    if (x->nrun > x->nbest) {
        memcpy(x->best, x->run, x->nrun);
        x->nbest = x->nrun;
    }
    x->nrun = 0;
}

static char peek(const struct need *x, size_t ahead)
{
    return x->at + ahead < x->pattern.n ? x->pattern.p[x->at + ahead] : 0;
}

/* Behind a class; false: it never ends. */
static bool skip_class(struct need *x)
{
    x->at++;
    if (peek(x, 0) == '^')
        x->at++;
    if (peek(x, 0) == ']')
        x->at++;
    for (; x->at < x->pattern.n; x->at++) {
        if (peek(x, 0) == '\\')
            x->at++;
        else if (peek(x, 0) == '[' && peek(x, 1) == ':')
            x->at++;
        else if (peek(x, 0) == ']' && !(x->at && x->pattern.p[x->at - 1] == ':' && peek(x, 1) == ']'))
            break;
    }
    x->at++;
    return x->at <= x->pattern.n;
}

static bool skip_group(struct need *x)
{
    unsigned depth = 0;

    do {
        char c = peek(x, 0);

        if (x->at >= x->pattern.n)
            return false;
        if (c == '[') {
            if (!skip_class(x))
                return false;
            continue;
        }
        if (c == '(' && peek(x, 1) == '?' && peek(x, 2) != ':' && peek(x, 2) != 'P' && peek(x, 2) != '<')
            return false; /* flags may reach further than the group */
        depth += c == '(';
        depth -= c == ')';
        x->at += c == '\\' ? 2 : 1;
    } while (depth);
    return true;
}

/* A plain byte, unless a quantifier lets it be absent. */
static void plain(struct need *x, char c, size_t len)
{
    char next;

    x->at += len;
    next = peek(x, 0);
    if (next == '*' || next == '?' || next == '{') {
        end_run(x);
        return;
    }
    if (x->fold && memchr("kKsS", c, 4)) { /* they are also U+212A and U+017F */
        end_run(x);
        return;
    }
    x->run[x->nrun++] = x->fold && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    if (next == '+')
        end_run(x);
}

/* False: nothing can be said. */
static bool step(struct need *x)
{
    unsigned char c = (unsigned char)peek(x, 0), next = (unsigned char)peek(x, 1);

    if (c == '|' || c == 0)
        return false;
    if (c == '\\') {
        if (next && next < 0x80 && strchr(".\\+*?()|[]{}^$/-\"=:;,!@#%&<>'`~ _", next) && next != '_') {
            plain(x, (char)next, 2);
            return true;
        }
        if (!next || !strchr("dDwWsSbBAzntrfv", next))
            return false;
        end_run(x);
        x->at += 2;
        return true;
    }
    if (c == '(' || c == '[') {
        end_run(x);
        return c == '(' ? skip_group(x) : skip_class(x);
    }
    if (c == '{') { /* a quantifier, or itself: passed over byte by byte */
        end_run(x);
        x->at++;
        while ((peek(x, 0) >= '0' && peek(x, 0) <= '9') || peek(x, 0) == ',')
            x->at++;
        x->at += peek(x, 0) == '}';
        return true;
    }
    if (c >= 0x80 || strchr(".*+?^$", c)) {
        end_run(x);
        x->at++;
        return true;
    }
    plain(x, (char)c, 1);
    return true;
}

bool lq_regex_within(struct str pattern)
{
    char before = 0; /* unescaped */

    for (size_t i = 0; i < pattern.n; i++) {
        char c = pattern.p[i];

        if (c == '\\') {
            if (i + 1 < pattern.n && strchr("AzZbBQ", pattern.p[i + 1]))
                return false;
            i++;
            c = 0;
        } else if (c == '$' || (c == '^' && before != '[')) {
            return false;
        }
        before = c;
    }
    return true;
}

static struct str longest(struct arena *a, struct str pattern, bool fold)
{
    struct need x = {.pattern = pattern, .best = arena_alloc(a, pattern.n + 1), .run = arena_alloc(a, pattern.n + 1), .fold = fold};

    while (x.at < pattern.n)
        if (!step(&x))
            return STR("");
    end_run(&x);
    return str_n(x.best, x.nbest);
}

struct str lq_regex_need(struct arena *a, struct str pattern)
{
    return longest(a, pattern, false);
}

struct str lq_regex_fold(struct arena *a, struct str pattern)
{
    return str_starts(pattern, STR("(?i)")) ? longest(a, str_from(pattern, 4), true) : STR("");
}
