/*
 * regex.c - see regex.h. Cheap answers first (a set of literals, a prefix), RE2 for the rest.
 *
 * (1) Text that is not UTF-8 is matched as Go does: each bad byte is a U+FFFD of its own. RE2 would never match such a
 * byte, so the text is rewritten for it and the offsets of groups are led back. (2) The cheap answers are the ones RE2
 * would give: what regex_facts.c proves, nothing more.
 */
#include "base/regex.h"

#include "base/map.h"
#include "base/regex_facts.h"
#include "base/regex_long.h"
#include "base/regex_re2.h"

#include <assert.h>
#include <stdlib.h>

enum { GROUPS_MAX = 64, SCAN_MAX = 8 };

/* How regex_match finds its answer. */
enum way { BY_RE2, BY_SET, BY_SHAPE, BY_FIND };

struct regex {
    /* Set by regex_new, then read by any thread. */
    struct re2_prog *prog;
    bool whole;
    enum way way;
    struct regex_facts facts;
    struct regex_shape shape;
    struct map set; /* BY_SET with more than SCAN_MAX strings */
    struct arena mem;
};

/* Words that RE2 does not know or Go does not: (?<name>) becomes (?P<name>), \C is refused. */
static int to_re2(struct str pattern, struct buf *out, struct err *e)
{
    bool in_class = false;
    size_t class_at = 0;

    for (size_t i = 0; i < pattern.n; i++) {
        struct str rest = str_from(pattern, i);

        if (str_starts(rest, STR("\\Q")) && !in_class) { /* up to \E nothing is special */
            ptrdiff_t end = str_find(rest, STR("\\E"));
            size_t n = end < 0 ? rest.n : (size_t)end + 2;

            buf_put(out, rest.p, n);
            i += n - 1;
            continue;
        }
        if (rest.p[0] == '\\' && rest.n > 1) {
            if (rest.p[1] == 'C')
                return err_set(e, ERR_INVALID, "error parsing regexp: invalid escape sequence: `\\C`");
            buf_put(out, rest.p, 2);
            i++;
            continue;
        }
        if (!in_class && rest.p[0] == '[') {
            in_class = true;
            class_at = str_starts(rest, STR("[^")) ? i + 2 : i + 1; /* a ']' here is a character */
        } else if (in_class && rest.p[0] == ']' && i != class_at) {
            in_class = false;
        } else if (!in_class && str_starts(rest, STR("(?<"))) {
            buf_putz(out, "(?P<");
            i += 2;
            continue;
        }
        buf_putc(out, rest.p[0]);
    }
    return 0;
}

static void learn(struct regex *r, struct str pattern, unsigned flags)
{
    struct regex_found found;

    r->facts.prefix = STR("");
    r->facts.matches_empty = re2_match(r->prog, "", 0, r->whole);
    if (flags & REGEX_NOCASE)
        return;
    regex_analyse(&r->mem, pattern, r->whole, &found);
    if (!r->whole) {
        if (found.nset == 1) {
            r->way = BY_FIND;
            r->shape = (struct regex_shape){.known = true, .lit = found.set[0]};
        }
        return;
    }
    r->facts.set = found.set;
    r->facts.nset = found.nset;
    r->facts.prefix = found.prefix;
    r->shape = found.shape;
    if (found.nset) {
        r->way = BY_SET;
        for (uint32_t i = 0; found.nset > SCAN_MAX && i < found.nset; i++)
            *map_put(&r->set, found.set[i], NULL) = r;
    } else if (found.shape.known) {
        r->way = BY_SHAPE;
        r->facts.matches_any = found.shape.lead == WILD_ANY && found.shape.lit.n == 0;
        r->facts.prefix_then_any =
            r->facts.matches_any || (found.shape.lead == WILD_NONE && found.shape.trail == WILD_ANY);
    }
}

int regex_compile(struct str pattern, unsigned flags, struct regex **out, struct err *e)
{
    bool whole = flags & REGEX_ANCHORED;
    struct re2_prog *prog = NULL;
    struct buf text = {0};
    enum re2_fault fault;
    char words[400];
    struct regex *r;
    int rc;

    if (pattern.n > REGEX_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "regular expression of %zu bytes is over the limit of %d", pattern.n,
                       REGEX_BYTES_MAX);
    rc = to_re2(pattern, &text, e);
    if (rc < 0) {
        buf_release(&text);
        return rc;
    }
    fault = re2_new(text.n ? text.p : "", text.n, whole || (flags & REGEX_DOTALL), flags & REGEX_NOCASE, &prog, words,
                    sizeof words);
    buf_release(&text);
    if (fault != RE2_FINE)
        return err_set(e, fault == RE2_TOO_BIG ? ERR_LIMIT : ERR_INVALID, "error parsing regexp: %s", words);
    r = x_zalloc(sizeof *r);
    r->prog = prog;
    r->whole = whole;
    learn(r, pattern, flags);
    *out = r;
    return 0;
}

void regex_free(struct regex *r)
{
    if (!r)
        return;
    re2_free(r->prog);
    map_release(&r->set);
    arena_release(&r->mem);
    free(r);
}

/* --- matching ------------------------------------------------------------------------------------- */

static bool in_set(const struct regex *r, struct str text)
{
    if (r->facts.nset > SCAN_MAX)
        return map_get(&r->set, text) != NULL;
    for (uint32_t i = 0; i < r->facts.nset; i++)
        if (str_eq(r->facts.set[i], text))
            return true;
    return false;
}

/* lead lit trail on a whole text. A wildcard that must take something takes at least one byte. */
static bool has_shape(const struct regex_shape *s, struct str text)
{
    size_t lead = s->lead == WILD_SOME, trail = s->trail == WILD_SOME;

    if (text.n < lead + s->lit.n + trail)
        return false;
    if (s->lead == WILD_NONE) /* a literal alone is a set: there is a trail */
        return str_starts(text, s->lit);
    if (s->trail == WILD_NONE)
        return str_ends(text, s->lit);
    return str_find(str_n(text.p + lead, text.n - lead - trail), s->lit) >= 0;
}

/* Each bad byte as U+FFFD. */
static void repair(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.n;) {
        uint32_t rune;
        size_t n = utf8_decode(str_from(text, i), &rune);

        if (rune == 0xFFFD && n == 1)
            buf_put(out, "\xEF\xBF\xBD", 3);
        else
            buf_put(out, text.p + i, n);
        i += n;
    }
}

bool regex_match(const struct regex *r, struct str text)
{
    struct buf fixed = {0};
    bool yes;

    switch (r->way) {
    case BY_SET:
        return in_set(r, text);
    case BY_SHAPE:
        return has_shape(&r->shape, text);
    case BY_FIND:
        return str_find(text, r->shape.lit) >= 0;
    case BY_RE2:
        break;
    }
    if (r->facts.prefix.n && !str_starts(text, r->facts.prefix))
        return false;
    if (utf8_valid(text))
        return re2_match(r->prog, text.n ? text.p : "", text.n, r->whole);
    repair(text, &fixed);
    yes = re2_match(r->prog, fixed.p, fixed.n, r->whole);
    buf_release(&fixed);
    return yes;
}

/* Leads an offset in the repaired text back to the text. */
static size_t lead_back(struct str text, size_t fixed_at)
{
    size_t at = 0, i = 0;

    while (i < text.n && at < fixed_at) {
        uint32_t rune;
        size_t n = utf8_decode(str_from(text, i), &rune);

        at += rune == 0xFFFD && n == 1 ? 3 : n;
        i += n;
    }
    return i;
}

static bool groups_repaired(const struct regex *r, struct str text, size_t from, struct re2_span *g, unsigned n)
{
    struct buf fixed = {0};
    size_t fixed_from;
    bool yes;

    repair(str_head(text, from), &fixed);
    fixed_from = fixed.n;
    repair(str_from(text, from), &fixed);
    yes = re2_groups(r->prog, fixed.p, fixed.n, fixed_from, r->whole, g, n);
    for (unsigned i = 0; yes && i < n; i++)
        if (g[i].p) {
            size_t at = lead_back(text, (size_t)(g[i].p - fixed.p));
            size_t end = lead_back(text, (size_t)(g[i].p - fixed.p) + g[i].n);

            g[i] = (struct re2_span){text.p + at, end - at};
        }
    buf_release(&fixed);
    return yes;
}

bool regex_groups(const struct regex *r, struct str text, size_t from, struct str *g, unsigned ngroups)
{
    struct re2_span small[GROUPS_MAX], *span = small;
    unsigned n = ngroups < regex_ngroups(r) ? ngroups : regex_ngroups(r);
    bool yes;

    if (from > text.n)
        return false;
    if (!text.p)
        text.p = ""; /* NULL would read as "took no part" */
    if (n > GROUPS_MAX)
        span = x_alloc(n * sizeof *span);
    if (utf8_valid(text))
        yes = re2_groups(r->prog, text.p, text.n, from, r->whole, span, n);
    else
        yes = groups_repaired(r, text, from, span, n);
    for (unsigned i = 0; yes && i < ngroups; i++)
        g[i] = i < n ? str_n(span[i].p, span[i].n) : STR_NULL;
    if (span != small)
        free(span);
    return yes;
}

unsigned regex_ngroups(const struct regex *r)
{
    return re2_ngroups(r->prog);
}

struct str regex_group_name(const struct regex *r, unsigned i)
{
    return str_of(re2_group_name(r->prog, i));
}

const struct regex_facts *regex_facts(const struct regex *r)
{
    return &r->facts;
}

/* --- templates ------------------------------------------------------------------------------------ */

/* Letters, digits and '_'; of other scripts the blocks that hold letters. */
static bool name_rune(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    return c == 0xaa || c == 0xb5 || c == 0xba || (c >= 0xc0 && c <= 0x2af && c != 0xd7 && c != 0xf7) ||
           (c >= 0x370 && c <= 0x1fff) || (c >= 0x2c00 && c <= 0x2dff) || (c >= 0x3041 && c <= 0x318f) ||
           (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0xabff) || (c >= 0xac00 && c <= 0xd7a3) ||
           (c >= 0xf900 && c <= 0xfdff) || (c >= 0x20000 && c <= 0x3ffff);
}

/* What follows a '$': its name, and how many bytes it takes; false: the '$' is plain text. */
static bool read_name(struct str s, struct str *name, size_t *taken)
{
    bool brace = s.n && s.p[0] == '{';
    size_t i = brace;

    while (i < s.n) {
        uint32_t rune;
        size_t n = utf8_decode(str_from(s, i), &rune);

        if (!name_rune(rune))
            break;
        i += n;
    }
    *name = str_n(s.p + brace, i - brace);
    if (name->n == 0 || (brace && (i == s.n || s.p[i] != '}')))
        return false;
    *taken = i + brace;
    return true;
}

static struct str group_by_name(const struct regex *r, struct str name, const struct str *g, unsigned ngroups)
{
    uint64_t i;

    if (str_to_u64(name, &i))
        return i < ngroups ? g[i] : STR_NULL;
    for (unsigned k = 1; k < ngroups && k < regex_ngroups(r); k++)
        if (g[k].p && str_eq(regex_group_name(r, k), name))
            return g[k];
    return STR_NULL;
}

void regex_expand(const struct regex *r, struct str templ, const struct str *g, unsigned ngroups, struct buf *out)
{
    struct str before, name;
    size_t taken = 0;

    while (str_cut(&templ, '$', &before)) {
        buf_puts(out, before);
        if (templ.n && templ.p[0] == '$') {
            buf_putc(out, '$');
            templ = str_from(templ, 1);
        } else if (read_name(templ, &name, &taken)) {
            buf_puts(out, group_by_name(r, name, g, ngroups));
            templ = str_from(templ, taken);
        } else {
            buf_putc(out, '$');
        }
    }
    buf_puts(out, before);
}
