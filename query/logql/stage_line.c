/*
 * stage_line.c - line filters: contains, regular expression, pattern, address; and their opposites.
 *
 * (1) A regular expression whose matches all hold a literal is asked only of lines that have the literal; one that is
 *     nothing but literals is never asked.
 * (2) A filter that the store has asked of a row is not asked again.
 */
#include "query/logql/regex_need.h"
#include "query/logql/stage.h"

static void set_text(struct line_alt *a, struct str text)
{
    a->kind = text.n ? ALT_TEXT : ALT_ALL;
    a->text = text;
}

static int compile_alt(struct pipeline *p, enum logql_line_op op, const struct logql_line_alt *from, struct line_alt *a, struct err *e)
{
    if (from->ip) {
        if (op != LINE_CONTAINS && op != LINE_NOT_CONTAINS)
            return err_set(e, ERR_INVALID, "parse error : ip: invalid operation, only |= and != take an address");
        a->kind = ALT_IP;
        return ip_match_new(&p->a, from->text, &a->ip, e);
    }
    switch (op) {
    case LINE_CONTAINS:
    case LINE_NOT_CONTAINS:
        set_text(a, from->text);
        return 0;
    case LINE_MATCH:
    case LINE_NOT_MATCH:
        if (!from->text.n) {
            a->kind = ALT_ALL;
            return 0;
        }
        a->kind = ALT_REGEX;
        a->re = from->re;
        a->need = lq_regex_need(&p->a, from->text);
        a->fold = lq_regex_fold(&p->a, from->text);
        a->within = lq_regex_within(from->text);
        return 0;
    default:
        a->kind = ALT_PATTERN;
        a->nparts = lq_pattern_split(&p->a, from->text, &a->parts);
        return 0;
    }
}

/* How many alternatives one becomes: a regular expression that is a set of literals is that many. */
static uint32_t literals(enum logql_line_op op, const struct logql_line_alt *a)
{
    const struct regex_facts *f;

    if (a->ip || (op != LINE_MATCH && op != LINE_NOT_MATCH) || !a->text.n)
        return 0;
    f = regex_facts(a->re);
    return f->nset <= 8 ? f->nset : 0;
}

int stage_line_compile(struct pipeline *p, struct stage *s, struct err *e)
{
    const struct logql_line_filter *f = &s->ast->line;
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->nalts; i++)
        n += literals(f->op, &f->alts[i]) + 1;
    s->negative = logql_line_op_negative(f->op);
    s->alts = arena_array(&p->a, struct line_alt, n);
    for (uint32_t i = 0; i < f->nalts; i++) {
        uint32_t set = literals(f->op, &f->alts[i]);

        for (uint32_t k = 0; k < set; k++)
            set_text(&s->alts[s->nalts++], regex_facts(f->alts[i].re)->set[k]);
        if (!set && compile_alt(p, f->op, &f->alts[i], &s->alts[s->nalts++], e) < 0)
            return ERR_INVALID;
    }
    return 0;
}

/* The whole line is: literal, anything but nothing, literal, ... */
static bool pattern_covers(const struct lq_pattern_part *parts, uint32_t n, struct str line)
{
    size_t at = 0;

    if (line.n == 0 || n == 0)
        return line.n == 0 && n == 0;
    for (uint32_t i = 0; i < n; i++) {
        ptrdiff_t found;

        if (parts[i].capture)
            continue;
        found = str_find(str_from(line, at), parts[i].text);
        if (found < 0 || (i ? found == 0 : found != 0))
            return false;
        at += (size_t)found + parts[i].text.n;
    }
    return parts[n - 1].capture == (at != line.n);
}

static inline bool contains(struct str line, struct str text)
{
    return text.n <= line.n && memmem(line.p, line.n, text.p, text.n) != NULL;
}

static bool alt_matches(const struct line_alt *a, struct str line)
{
    switch (a->kind) {
    case ALT_ALL:
        return true;
    case ALT_TEXT:
        return contains(line, a->text);
    case ALT_REGEX:
        return (!a->need.n || contains(line, a->need)) && regex_match(a->re, line);
    case ALT_PATTERN:
        return pattern_covers(a->parts, a->nparts, line);
    case ALT_IP:
        return ip_match_in(a->ip, line);
    }
    return false;
}

bool stage_line(struct runner *r, const struct stage *s)
{
    if (s->told && r->row->told)
        return true;
    for (uint32_t i = 0; i < s->nalts; i++)
        if (alt_matches(&s->alts[i], r->line))
            return !s->negative;
    return s->negative;
}
