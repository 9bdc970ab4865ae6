/*
 * regex_long.c - see regex_long.h. What a pattern costs is a sum over its atoms, in units of about 2 us as measured with RE2: a byte
 * 1, a dot 5, a class 20, a class of letters of all scripts 500; a repetition makes its copies of the atom before it. That is
 * never exact and need not be: what is long by mistake is compiled by another thread, and that is all.
 */
#include "base/regex_long.h"

enum { LONG_COST = 2000, NEST_MAX = 64, COST_DOT = 5, COST_CLASS = 20, COST_UNICODE = 500 };

static _Thread_local struct {
    regex_compile_fn *fn;
    void *arg;
} by;

void regex_compile_by(regex_compile_fn *fn, void *arg)
{
    by.fn = fn;
    by.arg = arg;
}

int regex_new(struct str pattern, unsigned flags, struct regex **out, struct err *e)
{
    return by.fn ? by.fn(by.arg, pattern, flags, out, e) : regex_compile(pattern, flags, out, e);
}

/* Sums of the groups that are open, and the atom that a repetition would repeat. */
struct costs {
    uint64_t sum[NEST_MAX], last;
    unsigned depth;
};

static void add_atom(struct costs *c, uint64_t cost)
{
    c->sum[c->depth] += cost;
    c->last = cost;
}

static bool is_unicode(char c)
{
    return c == 'p' || c == 'P';
}

/* Behind the class at i; a ']' at its beginning is a character. */
static size_t pass_class(struct costs *c, struct str p, size_t i)
{
    uint64_t cost = COST_CLASS;

    i++;
    i += i < p.n && p.p[i] == '^';
    for (size_t first = i; i < p.n && (p.p[i] != ']' || i == first); i++) {
        if (p.p[i] != '\\' || ++i >= p.n)
            continue;
        cost += is_unicode(p.p[i]) ? COST_UNICODE : 0;
    }
    add_atom(c, cost);
    return i + 1;
}

/* Behind the backslash at i and what belongs to it: \\pL and \\p{Greek} are one atom. */
static size_t pass_escape(struct costs *c, struct str p, size_t i)
{
    ptrdiff_t end;

    i++;
    if (i >= p.n || !is_unicode(p.p[i])) {
        add_atom(c, 1);
        return i + 1;
    }
    add_atom(c, COST_UNICODE);
    i++;
    if (i >= p.n || p.p[i] != '{')
        return i + 1;
    end = str_chr(str_from(p, i), '}');
    return end < 0 ? p.n : i + (size_t)end + 1;
}

static size_t read_count(struct str p, size_t i, uint64_t *n)
{
    *n = 0;
    for (; i < p.n && p.p[i] >= '0' && p.p[i] <= '9'; i++)
        *n = *n > 10000 ? *n : *n * 10 + (uint64_t)(p.p[i] - '0');
    return i;
}

/* {n} {n,} {n,m} at i; anything else is a byte. */
static size_t pass_braces(struct costs *c, struct str p, size_t i)
{
    uint64_t n, m;
    size_t k = read_count(p, i + 1, &n);

    m = n;
    if (k > i + 1 && k < p.n && p.p[k] == ',')
        k = read_count(p, k + 1, &m);
    if (k == i + 1 || k >= p.n || p.p[k] != '}') {
        add_atom(c, 1);
        return i + 1;
    }
    n = n > m ? n : m;
    if (n > 1) {
        c->sum[c->depth] += c->last * (n - 1);
        c->last *= n;
    }
    return k + 1;
}

static void close_group(struct costs *c)
{
    uint64_t group = c->sum[c->depth];

    if (c->depth == 0)
        return; /* no pattern; RE2 will say so */
    c->depth--;
    add_atom(c, group + 2);
}

bool regex_is_long(struct str p)
{
    struct costs c = {.depth = 0};
    size_t i = 0;

    while (i < p.n) {
        if (c.sum[c.depth] > LONG_COST)
            return true;
        switch (p.p[i]) {
        case '(':
            if (++c.depth == NEST_MAX)
                return true;
            c.sum[c.depth] = 0;
            c.last = 0;
            i++;
            break;
        case ')':
            close_group(&c);
            i++;
            break;
        case '[':
            i = pass_class(&c, p, i);
            break;
        case '{':
            i = pass_braces(&c, p, i);
            break;
        case '\\':
            if (i + 1 < p.n && p.p[i + 1] == 'Q') /* what follows is not what it looks like */
                return true;
            i = pass_escape(&c, p, i);
            break;
        case '*':
        case '+':
        case '?':
            c.sum[c.depth]++;
            i++;
            break;
        default:
            add_atom(&c, p.p[i] == '.' ? COST_DOT : 1);
            i++;
        }
    }
    while (c.depth)
        close_group(&c);
    return c.sum[0] > LONG_COST;
}
