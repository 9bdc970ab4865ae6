/*
 * plan.c - what a pipeline asks of the store: columns instead of lines, rows left out beforehand, filters asked while parsing.
 *
 * (1) A hint must hold for every row that may pass. So of filters only those count that look at the line or at a parser's label
 *     as the row had it: nothing before them writes lines or sets labels. (2) What a told filter asks is asked by the store of the
 *     rows that it calls told, and of no others: heads, tails, rows of a select without hints.
 */
#include "query/logql/stage.h"

static bool is_parser(enum logql_stage_kind k)
{
    return k == LOGQL_JSON || k == LOGQL_LOGFMT || k == LOGQL_REGEXP || k == LOGQL_PATTERN || k == LOGQL_UNPACK;
}

static bool writes_line(enum logql_stage_kind k)
{
    return k == LOGQL_LINE_FORMAT || k == LOGQL_DECOLORIZE || k == LOGQL_UNPACK;
}

/* A parser whose labels the store may know. */
static enum log_parser store_parser(const struct stage *s)
{
    if (s->kind == LOGQL_JSON && s->nnames == 0)
        return LOG_PARSER_JSON;
    if (s->kind == LOGQL_LOGFMT && s->nnames == 0 && !s->ast->parser.strict && !s->ast->parser.keep_empty)
        return LOG_PARSER_LOGFMT;
    return LOG_PARSER_NONE;
}

/* The first parser that sees lines as they were stored. */
static struct stage *columns_stage(struct pipeline *p)
{
    for (uint32_t i = 0; i < p->nstages; i++) {
        if (store_parser(&p->stages[i]) != LOG_PARSER_NONE)
            return &p->stages[i];
        if (writes_line(p->stages[i].kind))
            break;
    }
    return NULL;
}

static bool extracted(struct str name, struct str *base)
{
    if (!str_ends(name, STR("_extracted")))
        return false;
    *base = str_head(name, name.n - 10);
    return true;
}

/* What is wanted, and what becomes a wanted name where stream or record have the name. */
static void plan_fields(struct pipeline *p)
{
    struct stage *s = columns_stage(p);

    if (!s)
        return;
    s->takes_fields = true;
    p->fields = store_parser(s);
    if (p->wants_all)
        return;
    p->field_names = arena_array(&p->a, struct str, p->nnames * 2 + 1);
    for (uint32_t i = 0; i < p->nnames; i++) {
        struct str base;

        if (!p->wanted[i] || i <= NAME_ERROR_DETAILS)
            continue;
        p->field_names[p->nfield_names++] = p->names[i];
        if (extracted(p->names[i], &base))
            p->field_names[p->nfield_names++] = base;
    }
}

/* --- hints --------------------------------------------------------------------------------------------------- */

enum { HINTS_MAX = 32, VALUES_MAX = 64 };

static bool add_hint(struct pipeline *p, struct log_hint h)
{
    bool room = p->nhints < HINTS_MAX;

    if (room)
        p->hints[p->nhints++] = h;
    return room;
}

static bool regex_passes(const void *arg, struct str text)
{
    return regex_match(arg, text);
}

/*
 * A filter of texts and regular expressions: the store says all of it. Without a text that must be there an expression is asked of
 * every line of a block: too much where a few lines are wanted only.
 */
static void hint_line(struct pipeline *p, struct stage *s)
{
    struct str *values = arena_array(&p->a, struct str, s->nalts);
    struct log_line_test *tests = arena_array(&p->a, struct log_line_test, s->nalts);

    for (uint32_t i = 0; i < s->nalts; i++) {
        const struct line_alt *a = &s->alts[i];

        tests[i] = (struct log_line_test){0};
        values[i] = a->kind == ALT_REGEX ? a->need : a->text;
        if (a->kind == ALT_REGEX)
            tests[i] = (struct log_line_test){regex_passes, a->re, a->fold, a->within};
        else if (a->kind != ALT_TEXT)
            return;
        if (!values[i].n && !p->opts.group && !p->opts.no_line)
            return;
    }
    s->told = add_hint(p, (struct log_hint){.kind = s->negative ? LOG_HINT_NO_LINE : LOG_HINT_LINE,
                                            .values = values,
                                            .nvalues = s->nalts,
                                            .tests = tests});
}

/* The values of one label of which a passing record has one; 0: not such a filter. *name: of all of them. */
static uint32_t filter_values(const struct filter *f, uint32_t *name, struct str *values, uint32_t n)
{
    const struct regex_facts *facts;

    if (f->kind == FILTER_OR) {
        uint32_t left = filter_values(f->l, name, values, n), right;

        if (!left)
            return 0;
        right = filter_values(f->r, name, values, left);
        return right;
    }
    if (f->kind != FILTER_STRING || (*name != NAME_NONE && *name != f->name))
        return 0;
    *name = f->name;
    if (f->matcher->op == MATCH_EQ) {
        if (!f->matcher->value.n || n >= VALUES_MAX)
            return 0;
        values[n] = f->matcher->value;
        return n + 1;
    }
    if (f->matcher->op != MATCH_RE)
        return 0;
    facts = regex_facts(f->matcher->re);
    if (!facts->nset || facts->matches_empty || n + facts->nset > VALUES_MAX)
        return 0;
    for (uint32_t i = 0; i < facts->nset; i++) {
        if (!facts->set[i].n)
            return 0;
        values[n + i] = facts->set[i];
    }
    return n + facts->nset;
}

/* Before a parser a label that no stream has is the record's. */
static void hint_filter(struct pipeline *p, enum log_parser parser, const struct filter *f)
{
    struct str *values, base;
    uint32_t name = NAME_NONE, n;

    if (f->kind == FILTER_AND) {
        hint_filter(p, parser, f->l);
        hint_filter(p, parser, f->r);
        return;
    }
    values = arena_array(&p->a, struct str, VALUES_MAX);
    n = filter_values(f, &name, values, 0);
    /* NAME_extracted may be what the line, or the record, calls NAME. */
    if (n && name >= NAMES_FIXED && !extracted(p->names[name], &base))
        add_hint(p, (struct log_hint){.kind = parser == LOG_PARSER_NONE ? LOG_HINT_META : LOG_HINT_FIELD,
                                      .parser = parser,
                                      .name = p->names[name],
                                      .values = values,
                                      .nvalues = n});
}

static void plan_hints(struct pipeline *p)
{
    enum log_parser parser = LOG_PARSER_NONE;
    bool line = true, labels = true;

    p->hints = arena_array(&p->a, struct log_hint, HINTS_MAX);
    for (uint32_t i = 0; i < p->nstages; i++) {
        struct stage *s = &p->stages[i];

        if (s->kind == LOGQL_LINE_FILTER && line)
            hint_line(p, s);
        if (s->kind == LOGQL_LABEL_FILTER && labels)
            hint_filter(p, parser, s->filter);
        if (is_parser(s->kind)) { /* one parser only: of two, either may have given a label */
            labels = labels && parser == LOG_PARSER_NONE && line && store_parser(s) != LOG_PARSER_NONE;
            parser = store_parser(s);
        }
        if (s->kind == LOGQL_LABEL_FORMAT)
            labels = false;
        if (writes_line(s->kind))
            line = false;
    }
}

/* --- rows told apart by labels alone ---------------------------------------------------------------------------- */

static bool asks_strings(const struct filter *f)
{
    if (f->kind == FILTER_AND || f->kind == FILTER_OR)
        return asks_strings(f->l) && asks_strings(f->r);
    return f->kind == FILTER_STRING;
}

static void plan_labels(struct pipeline *p)
{
    p->by_labels = !p->wants_all && p->opts.no_line && p->unwrap == NAME_NONE;
    for (uint32_t i = 0; i < p->nstages && p->by_labels; i++) {
        const struct stage *s = &p->stages[i];

        p->by_labels = (s->kind == LOGQL_LINE_FILTER && s->told) || (s->kind == LOGQL_LABEL_FILTER && asks_strings(s->filter));
    }
    if (!p->by_labels)
        return;
    p->meta_names = arena_array(&p->a, struct str, p->nnames + 1);
    for (uint32_t i = NAMES_FIXED; i < p->nnames; i++)
        if (p->wanted[i])
            p->meta_names[p->nmeta_names++] = p->names[i];
}

/* --- filters asked early --------------------------------------------------------------------------------------- */

static const struct filter *string_part(const struct filter *f)
{
    const struct filter *l;

    if (f->kind == FILTER_AND) {
        l = string_part(f->l);
        return l ? l : string_part(f->r);
    }
    return f->kind == FILTER_STRING && f->name >= NAMES_FIXED ? f : NULL;
}

void pipeline_plan(struct pipeline *p)
{
    for (uint32_t i = 0; i + 1 < p->nstages; i++)
        if (is_parser(p->stages[i].kind) && p->stages[i + 1].kind == LOGQL_LABEL_FILTER)
            p->stages[i].early = string_part(p->stages[i + 1].filter);
    plan_fields(p);
    plan_hints(p);
    plan_labels(p);
}

/* --- answers ------------------------------------------------------------------------------------------------- */

bool pipeline_needs_line(const struct pipeline *p)
{
    if (!p->opts.no_line)
        return true;
    for (uint32_t i = 0; i < p->nstages; i++) {
        const struct stage *s = &p->stages[i];

        if ((s->kind == LOGQL_LINE_FILTER && !s->told) || (is_parser(s->kind) && !s->takes_fields) || s->kind == LOGQL_DECOLORIZE)
            return true;
        if (s->kind == LOGQL_LINE_FORMAT || s->kind == LOGQL_LABEL_FORMAT)
            return true; /* __line__ */
    }
    return false;
}

bool pipeline_needs_meta(const struct pipeline *p)
{
    if (p->wants_all)
        return true;
    for (uint32_t i = 0; i < p->nnames; i++)
        if (p->wanted[i])
            return true;
    for (uint32_t i = 0; i < p->nstages; i++)
        if (p->stages[i].labels)
            return true;
    return false;
}

bool pipeline_meta_names(const struct pipeline *p, const struct str **names, uint32_t *n)
{
    *names = p->meta_names;
    *n = p->nmeta_names;
    return p->by_labels;
}

bool pipeline_by_labels(const struct pipeline *p, bool *told)
{
    *told = false;
    for (uint32_t i = 0; i < p->nstages; i++)
        *told = *told || p->stages[i].kind == LOGQL_LINE_FILTER;
    return p->by_labels;
}

enum log_parser pipeline_fields(const struct pipeline *p, const struct str **names, uint32_t *n)
{
    *names = p->wants_all ? NULL : p->field_names;
    *n = p->nfield_names;
    return p->fields;
}

uint32_t pipeline_hints(const struct pipeline *p, const struct log_hint **out)
{
    *out = p->hints;
    return p->nhints;
}
