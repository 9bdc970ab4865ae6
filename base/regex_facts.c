/*
 * regex_facts.c - a small reader of patterns that computes, bottom up, which strings a pattern can match.
 *
 * (1) It is only ever asked about patterns that RE2 has accepted, and it never says more than it can prove: a construct
 * that it does not know makes it give up on the whole pattern, one that it knows but cannot enumerate keeps a prefix.
 * (2) A node is either exact (its matches are the strings in set, no others) or not (each match starts with prefix).
 * (3) Literals are valid UTF-8 and never U+FFFD, so comparing bytes is the same as comparing runes even in texts with
 * bad bytes. (4) Work is bounded: at most WORK_MAX bytes of strings are made, whatever the pattern.
 */
#include "base/regex_facts.h"

#include <stdlib.h>

enum { WORK_MAX = 1 << 20, CLASS_MAX = 32, NEST_MAX = 64 };

struct node {
    bool exact;
    struct str *set;
    uint32_t n;
    struct str prefix;
    struct regex_shape shape;
};

struct reader {
    struct arena *a;
    struct str s;
    size_t i;
    bool whole;
    bool lost; /* gave up: whatever was computed is not used */
    size_t work;
    unsigned depth;
};

static struct node read_alternation(struct reader *r);

static void give_up(struct reader *r)
{
    r->lost = true;
    r->i = r->s.n;
}

static int peek(const struct reader *r)
{
    return r->i < r->s.n ? (unsigned char)r->s.p[r->i] : -1;
}

/* Counts n bytes of work; gives up when it was too much. */
static void spend(struct reader *r, size_t n)
{
    r->work += n;
    if (r->work > WORK_MAX)
        give_up(r);
}

static struct str *take_set(struct reader *r, uint32_t n)
{
    spend(r, n * sizeof(struct str));
    return arena_alloc(r->a, n * sizeof(struct str));
}

static char *take_bytes(struct reader *r, size_t n)
{
    spend(r, n);
    return arena_alloc(r->a, r->lost ? 1 : n);
}

static struct node literal(struct reader *r, struct str lit)
{
    struct node d = {.exact = true, .n = 1, .shape = {.known = true, .lit = lit}};

    d.set = take_set(r, 1);
    d.set[0] = lit;
    return d;
}

static struct node unknown(void)
{
    return (struct node){.prefix = STR("")};
}

static struct node wildcard(enum wild w)
{
    return (struct node){.prefix = STR(""), .shape = {.known = true, .lead = w, .lit = STR("")}};
}

static struct str common(struct str a, struct str b)
{
    size_t n = 0;

    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    return str_head(a, n);
}

/* What every match of d starts with. */
static struct str prefix_of(const struct node *d)
{
    struct str p;

    if (!d->exact)
        return d->prefix;
    p = d->n ? d->set[0] : STR("");
    for (uint32_t i = 1; i < d->n; i++)
        p = common(p, d->set[i]);
    return p;
}

static struct str join(struct reader *r, struct str a, struct str b)
{
    char *p;

    if (a.n == 0)
        return b;
    if (b.n == 0)
        return a;
    p = take_bytes(r, a.n + b.n);
    if (r->lost)
        return STR("");
    memcpy(p, a.p, a.n);
    memcpy(p + a.n, b.p, b.n);
    return str_n(p, a.n + b.n);
}

/* a then b as lead-literal-trail, where that is still one. */
static struct regex_shape join_shapes(struct reader *r, struct regex_shape a, struct regex_shape b)
{
    struct regex_shape out = {.known = a.known && b.known};
    bool a_open = a.trail != WILD_NONE || (a.lit.n == 0 && a.lead != WILD_NONE); /* ends in a wildcard */

    if (!out.known)
        return out;
    if (b.lead == WILD_NONE) {
        if (a.trail != WILD_NONE && b.lit.n)
            return (struct regex_shape){0};
        out.lead = a.lead;
        out.lit = join(r, a.lit, b.lit);
        out.trail = b.lit.n ? b.trail : a.trail;
        return out;
    }
    if (b.lit.n && a.lit.n)
        return (struct regex_shape){0};
    if (a_open && (a.trail == WILD_SOME || (a.lit.n == 0 && a.lead == WILD_SOME)) && b.lead == WILD_SOME)
        return (struct regex_shape){0}; /* two runes at least */
    if (a.lit.n == 0) {
        out = b;
        out.lead = a.lead == WILD_SOME || b.lead == WILD_SOME ? WILD_SOME : WILD_ANY;
        return out;
    }
    out = a;
    out.trail = a.trail == WILD_SOME || b.lead == WILD_SOME ? WILD_SOME : WILD_ANY;
    return out;
}

static struct node cross(struct reader *r, const struct node *a, const struct node *b)
{
    struct node out = {.exact = true, .n = a->n * b->n};

    out.set = take_set(r, out.n);
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++)
            out.set[i * b->n + k] = join(r, a->set[i], b->set[k]);
    return out;
}

static struct node concat(struct reader *r, const struct node *a, const struct node *b)
{
    struct node out;

    if (a->exact && b->exact && (uint64_t)a->n * b->n <= REGEX_SET_MAX) {
        out = cross(r, a, b);
    } else {
        out = unknown();
        out.prefix = a->exact && a->n == 1 ? join(r, a->set[0], prefix_of(b)) : prefix_of(a);
    }
    out.shape = join_shapes(r, a->shape, b->shape);
    return out;
}

/* --- atoms ---------------------------------------------------------------------------------------- */

/* ASCII characters of a class; simple until something stands in it that we do not enumerate. */
struct class
{
    bool in[128], simple;
};

/* One character, range or name of a class, behind which r stands after. */
static void read_class_item(struct reader *r, struct class *k)
{
    int c = peek(r), hi = c;

    r->i++;
    if (c == '[' && peek(r) == ':') { /* [:alpha:] */
        ptrdiff_t end = str_find(str_from(r->s, r->i), STR(":]"));

        k->simple = false;
        if (end < 0)
            give_up(r);
        else
            r->i += (size_t)end + 2;
        return;
    }
    if (c == '\\') { /* what follows is one character as far as finding ']' goes: no \Q in classes */
        k->simple = false;
        r->i++;
        return;
    }
    if (peek(r) == '-' && r->i + 1 < r->s.n && r->s.p[r->i + 1] != ']') {
        hi = (unsigned char)r->s.p[r->i + 1];
        if (hi == '\\' || hi == '[') { /* the '-' and what follows are read as characters: only ']' matters now */
            k->simple = false;
            return;
        }
        r->i += 2;
    }
    if (c >= 128 || hi >= 128 || hi < c)
        k->simple = false;
    for (; k->simple && c <= hi; c++)
        k->in[c] = true;
}

/* A character class at '['. Small ASCII ones become sets, others one unknown rune. */
static struct node read_class(struct reader *r)
{
    struct node out = {.exact = true};
    struct class k = {.simple = true};
    bool negated;

    r->i++;
    negated = peek(r) == '^';
    r->i += negated;
    do { /* a ']' that comes first is a character */
        if (peek(r) < 0) {
            give_up(r);
            return unknown();
        }
        read_class_item(r, &k);
    } while (peek(r) != ']');
    r->i++;
    for (int c = 0; c < 128; c++)
        out.n += k.in[c];
    if (!k.simple || negated || out.n > CLASS_MAX)
        return unknown();
    out.set = take_set(r, out.n);
    out.n = 0;
    for (int c = 0; c < 128; c++)
        if (k.in[c]) {
            char *p = take_bytes(r, 1);

            *p = (char)c;
            out.set[out.n++] = str_n(p, 1);
        }
    return out;
}

static struct node one_byte(struct reader *r, char c)
{
    char *p = take_bytes(r, 1);

    *p = c;
    return literal(r, str_n(p, 1));
}

static struct node read_escape(struct reader *r)
{
    static const char controls[] = "a\af\fn\nr\rt\tv\v";
    int c;

    r->i++;
    c = peek(r);
    r->i++;
    for (size_t k = 0; k + 1 < sizeof controls; k += 2)
        if (c == controls[k])
            return one_byte(r, controls[k + 1]);
    if (c > ' ' && c < 127 && !(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z'))
        return one_byte(r, (char)c);
    if (c == 'd' || c == 'D' || c == 'w' || c == 'W' || c == 's' || c == 'S')
        return unknown();
    give_up(r);
    return unknown();
}

/* At '(': skips what opens the group. false: flags that change the meaning. */
static bool open_group(struct reader *r)
{
    struct str rest;

    r->i++;
    rest = str_from(r->s, r->i);
    if (!str_starts(rest, STR("?")))
        return true;
    if (str_starts(rest, STR("?:")) || (r->whole && str_starts(rest, STR("?s:")))) {
        r->i += rest.p[1] == ':' ? 2 : 3;
        return true;
    }
    if (str_starts(rest, STR("?P<")) || str_starts(rest, STR("?<"))) {
        ptrdiff_t end = str_chr(rest, '>');

        r->i += (size_t)end + 1;
        return end > 0;
    }
    return false;
}

static struct node read_group(struct reader *r)
{
    struct node out;

    if (r->depth == NEST_MAX || !open_group(r)) {
        give_up(r);
        return unknown();
    }
    r->depth++;
    out = read_alternation(r);
    r->depth--;
    if (peek(r) != ')')
        give_up(r);
    r->i++;
    return out;
}

static struct node read_rune(struct reader *r)
{
    struct str rest = str_from(r->s, r->i);
    uint32_t rune;
    size_t n = utf8_decode(rest, &rune);

    if (rune == 0xFFFD) { /* it matches bad bytes too: invariant 3 */
        give_up(r);
        return unknown();
    }
    r->i += n;
    return literal(r, str_head(rest, n));
}

/* --- sequences ------------------------------------------------------------------------------------ */

/* The length of a counted repetition {n}, {n,} or {n,m} at r->i, or 0: then '{' is a literal. */
static size_t counted(const struct reader *r)
{
    size_t i = r->i + 1, digits = 0;

    for (; i < r->s.n && r->s.p[i] >= '0' && r->s.p[i] <= '9'; i++)
        digits++;
    if (digits == 0)
        return 0;
    if (i < r->s.n && r->s.p[i] == ',')
        for (i++; i < r->s.n && r->s.p[i] >= '0' && r->s.p[i] <= '9'; i++)
            ;
    return i < r->s.n && r->s.p[i] == '}' ? i + 1 - r->i : 0;
}

static struct node optional(struct reader *r, const struct node *d)
{
    struct node out = {.exact = true, .n = d->n + 1};

    if (!d->exact || out.n > REGEX_SET_MAX)
        return unknown();
    out.set = take_set(r, out.n);
    memcpy(out.set, d->set, d->n * sizeof *out.set);
    out.set[d->n] = STR("");
    return out;
}

/* Applies the quantifiers that follow. dot: the atom was a bare '.'. */
static struct node read_repeat(struct reader *r, struct node d, bool dot)
{
    for (bool once = true;; once = false) {
        int c = peek(r);
        size_t skip = 1;

        if (c == '{')
            skip = counted(r);
        if ((c != '*' && c != '+' && c != '?' && c != '{') || skip == 0)
            return d;
        r->i += skip;
        if (peek(r) == '?') /* lazy: the same strings */
            r->i++;
        if (dot && once && r->whole && (c == '*' || c == '+'))
            d = wildcard(c == '*' ? WILD_ANY : WILD_SOME);
        else if (c == '?')
            d = optional(r, &d);
        else if (c == '+')
            d = (struct node){.prefix = prefix_of(&d)};
        else
            d = unknown();
    }
}

/* How many bytes from here are letters, digits and the like, each standing for itself and not repeated. */
static size_t plain_run(const struct reader *r)
{
    size_t n = 0;

    for (; r->i + n < r->s.n; n++) {
        unsigned char c = (unsigned char)r->s.p[r->i + n];

        if (c >= 0x80 || (c < 0x80 && strchr("\\.+*?()|[]{}^$", c)))
            break; /* strchr finds the NUL too: it is read as a rune */
    }
    if (n && r->i + n < r->s.n && strchr("*+?{", r->s.p[r->i + n]))
        n--; /* the last one belongs to the quantifier */
    return n;
}

static struct node read_atom(struct reader *r)
{
    int c = peek(r);
    struct node d;

    switch (c) {
    case '[':
        d = read_class(r);
        break;
    case '\\':
        d = read_escape(r);
        break;
    case '(':
        d = read_group(r);
        break;
    case '.':
        r->i++;
        d = unknown();
        break;
    default:
        d = read_rune(r);
    }
    return read_repeat(r, d, c == '.');
}

/* '^' before anything and '$' after everything say nothing new about a whole text. */
static bool idle_anchor(const struct reader *r, bool at_start)
{
    int c = peek(r), next = r->i + 1 < r->s.n ? (unsigned char)r->s.p[r->i + 1] : -1;

    if (!r->whole || r->depth > 0)
        return false;
    return (c == '^' && at_start && (next < 0 || !strchr("*+?{", next))) || (c == '$' && (next < 0 || next == '|'));
}

static struct node read_concat(struct reader *r)
{
    struct node out = literal(r, STR(""));

    for (bool start = true; !r->lost; start = false) {
        int c = peek(r);
        struct node d;
        size_t run;

        if (c < 0 || c == '|' || c == ')')
            break;
        if (c == '^' || c == '$') {
            if (!idle_anchor(r, start))
                give_up(r);
            else
                r->i++;
            continue;
        }
        run = plain_run(r);
        if (run) {
            d = literal(r, str_head(str_from(r->s, r->i), run));
            r->i += run;
        } else {
            d = read_atom(r);
        }
        out = concat(r, &out, &d);
    }
    return out;
}

static struct node read_alternation(struct reader *r)
{
    struct node all = read_concat(r);
    uint32_t room = all.n;

    while (!r->lost && peek(r) == '|') {
        struct node d;

        r->i++;
        d = read_concat(r);
        all.shape.known = false;
        if (!all.exact || !d.exact || all.n + d.n > REGEX_SET_MAX) {
            all = (struct node){.prefix = common(prefix_of(&all), prefix_of(&d))};
            continue;
        }
        if (all.n + d.n > room) {
            struct str *bigger;

            room = (all.n + d.n) * 2;
            bigger = take_set(r, room);
            memcpy(bigger, all.set, all.n * sizeof *bigger);
            all.set = bigger;
        }
        memcpy(all.set + all.n, d.set, d.n * sizeof *d.set);
        all.n += d.n;
    }
    return all;
}

/* --- the answer ----------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void keep(struct arena *a, const struct node *d, struct regex_found *out)
{
    out->prefix = arena_dup(a, prefix_of(d));
    out->shape = d->shape;
    out->shape.lit = d->shape.known ? arena_dup(a, d->shape.lit) : STR("");
    if (d->exact) {
        struct str *set = arena_array(a, struct str, d->n);
        uint32_t n = 0;

        qsort(d->set, d->n, sizeof *d->set, by_bytes);
        for (uint32_t i = 0; i < d->n; i++)
            if (i == 0 || !str_eq(d->set[i - 1], d->set[i]))
                set[n++] = arena_dup(a, d->set[i]);
        out->set = set;
        out->nset = n;
    }
}

void regex_analyse(struct arena *a, struct str pattern, bool whole, struct regex_found *out)
{
    struct arena scratch = {0};
    struct reader r = {.a = &scratch, .s = pattern, .whole = whole};
    struct node d = read_alternation(&r);

    memset(out, 0, sizeof *out);
    out->prefix = STR("");
    out->shape.lit = STR("");
    if (!r.lost && r.i == pattern.n)
        keep(a, &d, out);
    arena_release(&scratch);
}
