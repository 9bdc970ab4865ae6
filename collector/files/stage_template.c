/*
 * stage_template.c - template and replace: texts made by Go templates.
 *
 * What a template sees are the names found out so far, .Value (the source's, or what a group of `replace` matched) and .Entry.
 */
#include "collector/files/pipeline.h"

enum { GROUPS_MAX = 64 };

static int read_template_text(struct stage_reader *r, struct conf *c, const char *key, struct str text, void **out, struct err *e)
{
    struct err why = {0};

    if (!r->selectors || !r->selectors->template_new)
        return conf_err(c, e, "%s: nobody here reads templates", key);
    if (r->selectors->template_new(r->selectors->arg, text, out, &why) < 0)
        return conf_err(c, e, "%s: %s", key, why.text);
    return 0;
}

/* False: the template failed on this data. */
static bool render(struct pipe_run *run, const struct files_selectors *lang, void *tmpl, const struct entry *en, struct str value, struct str *out)
{
    struct label *v = arena_array(run->a, struct label, run->base->n + en->nx + 2);
    struct buf b = {0};
    uint32_t n = 0;
    bool ok;

    for (uint32_t i = 0; i < en->nx; i++) {
        if (en->x[i].value.p)
            v[n++] = (struct label){en->x[i].name, en->x[i].value};
    }
    for (uint32_t i = 0; i < run->base->n; i++) {
        struct str ignored;
        struct entry found_out = {.x = en->x, .nx = en->nx};
        struct pipe_run bare = {.base = &(struct labels){0}};

        if (!entry_get(&bare, &found_out, run->base->v[i].name, &ignored))
            v[n++] = run->base->v[i];
    }
    v[n++] = (struct label){STR("Value"), value};
    v[n++] = (struct label){STR("Entry"), en->line};
    ok = lang->template_run(tmpl, v, n, &b) == 0;
    *out = arena_dup(run->a, buf_str(&b));
    buf_release(&b);
    return ok;
}

/* --- template ----------------------------------------------------------------------------------------------- */

struct template_config {
    const struct files_selectors *lang;
    struct str source;
    void *tmpl;
};

static int read_template(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct template_config *k = arena_new(r->a, struct template_config);
    struct str text = STR_NULL;

    s->config = k;
    k->lang = r->selectors;
    if (conf_want(c, CONF_MAP, "template", e) < 0 || conf_str(c, "source", &k->source, e) < 0 || conf_str(c, "template", &text, e) < 0)
        return ERR_INVALID;
    if (!k->source.n)
        return conf_err(c, e, "template: source is required");
    if (!text.p)
        return conf_err(c, e, "template: template is required");
    if (read_template_text(r, conf_get(c, "template"), "template", text, &k->tmpl, e) < 0)
        return ERR_INVALID;
    return conf_finish(c, "template", e);
}

static void release_template(struct stage *s)
{
    struct template_config *k = s->config;

    if (k->tmpl)
        k->lang->template_free(k->tmpl);
}

/* An empty text takes the name away. */
static enum stage_result run_template(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct template_config *k = s->config;
    struct str value = STR(""), out;

    (void)entry_get(run, en, k->source, &value);
    if (!render(run, k->lang, k->tmpl, en, value.p ? value : STR(""), &out))
        return STAGE_NEXT;
    if (out.n) {
        entry_set(run, en, k->source, out);
    } else {
        entry_set(run, en, k->source, STR(""));
        entry_unset(en, k->source);
    }
    return STAGE_NEXT;
}

const struct stage_type pipe_template = {.name = "template", .read = read_template, .run = run_template, .release = release_template};

/* --- replace -------------------------------------------------------------------------------------------------- */

struct replace_config {
    const struct files_selectors *lang;
    struct str source, text;
    struct regex *re;
    void *tmpl; /* or NULL: text as it is */
};

static int read_replace(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct replace_config *k = arena_new(r->a, struct replace_config);

    s->config = k;
    k->lang = r->selectors;
    k->text = STR("");
    if (conf_want(c, CONF_MAP, "replace", e) < 0 || conf_str(c, "source", &k->source, e) < 0 || conf_str(c, "replace", &k->text, e) < 0 ||
        stage_read_regex(c, "expression", &k->re, e) < 0)
        return ERR_INVALID;
    if (!k->re)
        return conf_err(c, e, "replace: expression is required");
    if (regex_ngroups(k->re) < 2 || regex_ngroups(k->re) > GROUPS_MAX)
        return conf_err(c, e, "replace: the expression needs 1 to %d groups; what they match is replaced", GROUPS_MAX - 1);
    if (str_find(k->text, STR("{{")) >= 0 && read_template_text(r, conf_get(c, "replace"), "replace", k->text, &k->tmpl, e) < 0)
        return ERR_INVALID;
    return conf_finish(c, "replace", e);
}

static void release_replace(struct stage *s)
{
    struct replace_config *k = s->config;

    regex_free(k->re);
    if (k->tmpl)
        k->lang->template_free(k->tmpl);
}

/* One match: its groups, from left to right, those inside of another left out. *from: up to where the input is written. */
static void replace_groups(struct pipe_run *run, const struct replace_config *k, struct entry *en, struct str in, const struct str *g, size_t *from,
                           struct buf *out)
{
    for (unsigned i = 1; i < regex_ngroups(k->re); i++) {
        struct str name = regex_group_name(k->re, i), with = k->text;
        size_t at = g[i].p ? (size_t)(g[i].p - in.p) : 0;

        if (!g[i].p || at < *from)
            continue;
        if (k->tmpl && !render(run, k->lang, k->tmpl, en, g[i], &with))
            with = g[i];
        buf_put(out, in.p + *from, at - *from);
        buf_puts(out, with);
        *from = at + g[i].n;
        if (name.n)
            entry_set(run, en, name, with);
    }
}

static enum stage_result run_replace(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct replace_config *k = s->config;
    struct str in, g[GROUPS_MAX], result;
    struct buf out = {0};
    size_t from = 0, at = 0;
    bool any = false;

    if (!entry_input(run, en, k->source, &in))
        return STAGE_NEXT;
    while (at <= in.n && regex_groups(k->re, in, at, g, regex_ngroups(k->re))) {
        size_t end = (size_t)(g[0].p - in.p) + g[0].n;

        replace_groups(run, k, en, in, g, &from, &out);
        at = g[0].n ? end : end + 1;
        any = true;
    }
    if (any) {
        buf_puts(&out, str_from(in, from));
        result = arena_dup(run->a, buf_str(&out));
        if (k->source.n)
            entry_set(run, en, k->source, result);
        else
            en->line = result;
    }
    buf_release(&out);
    return STAGE_NEXT;
}

const struct stage_type pipe_replace = {.name = "replace", .read = read_replace, .run = run_replace, .release = release_replace};
