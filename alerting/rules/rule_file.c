/*
 * rule_file.c - see rule_file.h. First the shape of the YAML, then, if that is right, what stands in it.
 *
 * (1) All faults are collected, so that one look at the log is enough to mend a file.
 * (2) Messages behind the place are those that people and tools know from Prometheus.
 */
#include "alerting/rules/rule_file.h"

#include "alerting/template/scope.h"
#include "query/query.h"

#include <stdarg.h>
#include <stdio.h>

struct reader {
    struct arena *a;
    struct rule_file *f;
    bool legacy;
    /* Where we are, for faults. */
    const struct rule_group *group;
    struct str rule_name;
    uint32_t rule_number; /* from 1; 0: not inside a rule */
};

/* --- faults -------------------------------------------------------------------------------------------- */

static void add_fault(struct reader *r, struct str text)
{
    struct rule_file *f = r->f;
    struct str *v = arena_array(r->a, struct str, f->nfaults + 1);

    if (f->nfaults)
        memcpy(v, f->faults, f->nfaults * sizeof *v);
    v[f->nfaults++] = text;
    f->faults = v;
}

__attribute__((format(printf, 3, 4))) static void fault(struct reader *r, const struct conf *at, const char *fmt, ...)
{
    struct buf b = {0};
    char words[2048];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    buf_printf(&b, "%.*s: %d:%d: ", STR_ARG(r->f->path), at->line, at->col);
    if (r->rule_number) {
        buf_putz(&b, "group ");
        buf_put_quoted(&b, r->group->name);
        buf_printf(&b, ", rule %u, ", r->rule_number);
        buf_put_quoted(&b, r->rule_name);
        buf_putz(&b, ": ");
    }
    buf_putz(&b, words);
    add_fault(r, arena_dup(r->a, buf_str(&b)));
    buf_release(&b);
}

/* Keys that nobody knows. what: the type's name in upstream's words. */
static void check_keys(struct reader *r, const struct conf *c, const char *const *known, const char *what)
{
    for (uint32_t i = 0; i < c->n; i++) {
        const char *const *k = known;

        while (*k && !str_eqz(c->keys[i], *k))
            k++;
        if (!*k) {
            struct conf at = {.line = c->key_lines[i], .col = c->col};

            fault(r, &at, "field %.*s not found in type rulefmt.%s", STR_ARG(c->keys[i]), what);
        }
    }
}

/* --- values -------------------------------------------------------------------------------------------- */

static bool is_kind(struct reader *r, const struct conf *c, enum conf_kind kind, const char *what)
{
    static const char *const names[] = {"null", "a single value", "a list", "a map"};

    if (c->kind == kind)
        return true;
    fault(r, c, "%s must be %s, not %s", what, names[kind], names[c->kind]);
    return false;
}

static struct conf *read_text(struct reader *r, struct conf *c, const char *key, struct str *out)
{
    struct conf *v = conf_get(c, key);

    if (v && is_kind(r, v, CONF_SCALAR, key))
        *out = v->text;
    return v;
}

static void read_duration(struct reader *r, struct conf *c, const char *key, int64_t *ms)
{
    struct conf *v = conf_get(c, key);
    struct err e;

    if (v && is_kind(r, v, CONF_SCALAR, key) && duration_parse(v->text, ms, &e) < 0)
        fault(r, v, "%s", e.text);
}

static void read_limit(struct reader *r, struct conf *c, int64_t *out)
{
    struct conf *v = conf_get(c, "limit");

    if (v && is_kind(r, v, CONF_SCALAR, "limit") && (v->quoted || !str_to_i64(v->text, out)))
        fault(r, v, "limit: \"%.*s\" is not a whole number", STR_ARG(str_head(v->text, 100)));
}

/* A map of texts, sorted. Names are checked by the caller, who knows what they are names of. */
static struct conf *read_pairs(struct reader *r, struct conf *c, const char *key, struct labels *out)
{
    struct conf *v = conf_get(c, key);

    if (!v || !is_kind(r, v, CONF_MAP, key))
        return NULL;
    out->v = arena_array(r->a, struct label, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        struct conf *value = v->items[i];
        uint32_t at = out->n;

        if (value->kind != CONF_NULL && !is_kind(r, value, CONF_SCALAR, "value"))
            continue;
        for (; at > 0 && str_cmp(out->v[at - 1].name, v->keys[i]) > 0; at--)
            out->v[at] = out->v[at - 1];
        out->v[at] = (struct label){v->keys[i], value->kind == CONF_NULL ? STR("") : value->text};
        out->n++;
    }
    return v;
}

/* --- rules --------------------------------------------------------------------------------------------- */

static bool label_name_fine(const struct reader *r, struct str name)
{
    return r->legacy ? label_name_legacy(name) : name.n && utf8_valid(name);
}

static void check_labels(struct reader *r, const struct conf *at, const struct labels *ls)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        struct str name = ls->v[i].name, value = ls->v[i].value;

        if (!label_name_fine(r, name) || str_eqz(name, LABEL_NAME))
            fault(r, at, "invalid label name: %.*s", STR_ARG(name));
        if (!utf8_valid(value))
            fault(r, at, "invalid label value: %.*s", STR_ARG(value));
    }
}

static void check_templates(struct reader *r, const struct conf *at, const struct rule *rule, const struct labels *ls,
                            const char *what)
{
    struct str name = arena_printf(r->a, "__alert_%.*s", STR_ARG(rule->alert));

    for (uint32_t i = 0; i < ls->n; i++) {
        struct buf b = {0};
        struct tmpl t;
        struct err e;

        if (tmpl_parse(r->a, name.p, ls->v[i].value, &tmpl_scope_alert, &t, &e) == 0)
            continue;
        buf_put_quoted(&b, ls->v[i].name);
        fault(r, at, "%s %.*s: error parsing template %s: %s", what, (int)b.n, b.p, name.p, e.text);
        buf_release(&b);
    }
}

/* What only alerts have. */
static void check_recording(struct reader *r, const struct conf *at, const struct rule *rule)
{
    struct str name = rule->record;

    if (rule->annotations.n)
        fault(r, at, "invalid field 'annotations' in recording rule");
    if (rule->for_ms)
        fault(r, at, "invalid field 'for' in recording rule");
    if (rule->keep_firing_for_ms)
        fault(r, at, "invalid field 'keep_firing_for' in recording rule");
    if (!(r->legacy ? metric_name_legacy(name) : utf8_valid(name)))
        fault(r, at, "invalid recording rule name: %.*s", STR_ARG(name));
    if (str_chr(name, '{') >= 0 || str_chr(name, '}') >= 0) /* a name in UTF-8, but not what was meant */
        fault(r, at, "braces present in the recording rule name; should it be in expr?: %.*s", STR_ARG(name));
}

static void check_expr(struct reader *r, const struct conf *at, struct rule *rule)
{
    struct err e;

    if (!rule->expr.n)
        fault(r, at, "field 'expr' must be set in rule");
    else if (promql_parse(r->a, rule->expr, &rule->tree, NULL, NULL, &e) < 0)
        fault(r, at, "could not parse expression: %s", e.text);
}

static void read_rule(struct reader *r, struct conf *c, struct rule *rule)
{
    static const char *const keys[] = {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations", NULL};
    const struct conf *record, *alert, *expr, *labels, *annotations;

    if (!is_kind(r, c, CONF_MAP, "rule"))
        return;
    rule->line = c->line;
    record = read_text(r, c, "record", &rule->record);
    alert = read_text(r, c, "alert", &rule->alert);
    r->rule_name = rule->alert.n ? rule->alert : rule->record;
    check_keys(r, c, keys, "Rule");
    expr = read_text(r, c, "expr", &rule->expr);
    read_duration(r, c, "for", &rule->for_ms);
    read_duration(r, c, "keep_firing_for", &rule->keep_firing_for_ms);
    labels = read_pairs(r, c, "labels", &rule->labels);
    annotations = read_pairs(r, c, "annotations", &rule->annotations);
    if (rule->record.n && rule->alert.n)
        fault(r, record, "only one of 'record' and 'alert' must be set");
    if (!rule->record.n && !rule->alert.n)
        fault(r, c, "one of 'record' or 'alert' must be set");
    check_expr(r, expr ? expr : c, rule);
    if (rule->record.n)
        check_recording(r, record, rule);
    if (labels)
        check_labels(r, labels, &rule->labels);
    for (uint32_t i = 0; i < rule->annotations.n; i++)
        if (!label_name_fine(r, rule->annotations.v[i].name))
            fault(r, annotations, "invalid annotation name: %.*s", STR_ARG(rule->annotations.v[i].name));
    if (rule->alert.n) {
        check_templates(r, labels ? labels : alert, rule, &rule->labels, "label");
        check_templates(r, annotations ? annotations : alert, rule, &rule->annotations, "annotation");
    }
}

/* --- groups -------------------------------------------------------------------------------------------- */

static void read_rules(struct reader *r, struct conf *c, struct rule_group *g)
{
    struct conf *rules = conf_get(c, "rules");

    if (!rules || !is_kind(r, rules, CONF_LIST, "rules"))
        return;
    g->rules = arena_array(r->a, struct rule, rules->n);
    for (uint32_t i = 0; i < rules->n; i++) {
        r->group = g;
        r->rule_number = i + 1;
        r->rule_name = STR("");
        read_rule(r, rules->items[i], &g->rules[g->nrules++]);
    }
    r->rule_number = 0;
}

static void read_group(struct reader *r, struct conf *c, struct rule_group *g)
{
    static const char *const keys[] = {"name", "interval", "query_offset", "limit", "labels", "rules", NULL};
    const struct conf *labels;

    if (!is_kind(r, c, CONF_MAP, "group"))
        return;
    check_keys(r, c, keys, "RuleGroup");
    read_text(r, c, "name", &g->name);
    if (!g->name.n)
        fault(r, c, "Groupname must not be empty");
    for (const struct rule_group *other = r->f->groups; other < g; other++)
        if (str_eq(other->name, g->name)) {
            fault(r, c, "groupname: \"%.*s\" is repeated in the same file", STR_ARG(g->name));
            break;
        }
    read_duration(r, c, "interval", &g->interval_ms);
    g->has_query_offset = conf_get(c, "query_offset") != NULL;
    read_duration(r, c, "query_offset", &g->query_offset_ms);
    read_limit(r, c, &g->limit);
    labels = read_pairs(r, c, "labels", &g->labels);
    if (labels)
        check_labels(r, labels, &g->labels);
    read_rules(r, c, g);
}

static void read_file(struct reader *r, struct conf *c)
{
    static const char *const keys[] = {"groups", NULL};
    struct conf *groups;

    if (c->kind == CONF_NULL || !is_kind(r, c, CONF_MAP, "a rule file"))
        return;
    check_keys(r, c, keys, "RuleGroups");
    groups = conf_get(c, "groups");
    if (!groups || !is_kind(r, groups, CONF_LIST, "groups"))
        return;
    r->f->groups = arena_array(r->a, struct rule_group, groups->n);
    for (uint32_t i = 0; i < groups->n; i++)
        read_group(r, groups->items[i], &r->f->groups[r->f->ngroups++]);
}

/* --- the whole ----------------------------------------------------------------------------------------- */

/* A line that begins with three of a sign and nothing else behind: a mark between documents wherever it stands. */
static bool is_mark(struct str line, const char *three)
{
    return str_starts(line, str_of(three)) && (line.n == 3 || strchr(" \t\r\n", line.p[3]));
}

/* The first document. Only a mark that comes after something else than comments and directives ends it. */
static struct str first_document(struct str text, bool *more)
{
    bool begun = false;

    *more = false;
    for (size_t at = 0; at < text.n;) {
        struct str rest = str_from(text, at), line = rest;
        ptrdiff_t end = str_chr(rest, '\n');

        if (end >= 0)
            line = str_head(rest, (size_t)end);
        if (begun && (is_mark(line, "---") || is_mark(line, "..."))) {
            *more = str_trim(str_from(text, at + line.n)).n > 0;
            return str_head(text, at);
        }
        begun |= is_mark(line, "---") || (str_trim(line).n && line.p[0] != '#' && line.p[0] != '%');
        at += line.n + 1;
    }
    return text;
}

int rule_file_parse(struct arena *a, struct str path, struct str text, bool legacy_names, struct rule_file *out,
                    struct err *e)
{
    struct reader r = {.a = a, .f = out, .legacy = legacy_names};
    struct conf *c;

    *out = (struct rule_file){.path = arena_dup(a, path)};
    text = first_document(text, &out->more_documents);
    if (conf_parse(a, path, text, &c, e) < 0)
        add_fault(&r, arena_dup(a, str_of(e->text)));
    else
        read_file(&r, c);
    return out->nfaults ? err_set(e, ERR_INVALID, "%.*s", STR_ARG(out->faults[0])) : 0;
}

void rule_file_release(struct rule_file *f)
{
    for (uint32_t i = 0; i < f->ngroups; i++)
        for (uint32_t k = 0; k < f->groups[i].nrules; k++)
            promql_release(f->groups[i].rules[k].tree);
    *f = (struct rule_file){0};
}
