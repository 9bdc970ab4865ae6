/*
 * stage_format.c - line_format, label_format, decolorize: lines and labels written anew.
 *
 * (1) A template that fails leaves line or label as they were, and the record with an error.
 * (2) The templates of one label_format all see the labels as they are when the first of them runs.
 * (3) Each stage writes into a buffer of its own: labels may still point into what another stage wrote.
 */
#include "query/logql/stage.h"

static const char format_error[] = "TemplateFormatErr";

/* --- compiling ----------------------------------------------------------------------------------------------- */

static uint32_t field_id(void *arg, struct str name)
{
    return pipeline_name(arg, name, true);
}

/* Whether all labels may be looked at: a bare dot or $. */
static bool looks_at_all(const struct tmpl_node *n)
{
    if (!n)
        return false;
    if (n->kind == TMPL_DOT || (n->kind == TMPL_VARIABLE && n->text.n == 1 && n->nnames == 0))
        return true;
    for (uint32_t i = 0; i < n->n; i++)
        if (looks_at_all(n->list[i]))
            return true;
    return false;
}

static int compile(struct pipeline *p, const char *name, struct str text, struct tmpl **out, struct err *e)
{
    struct tmpl_scope scope = {.functions = lq_functions, .nfunctions = lq_nfunctions, .field_id = field_id, .arg = p};
    struct tmpl *t = arena_new(&p->a, struct tmpl);

    *out = t;
    if (tmpl_parse(&p->a, name, text, &scope, t, e) < 0)
        return ERR_INVALID;
    p->wants_all |= looks_at_all(t->body);
    for (uint32_t i = 0; i < t->ndefines; i++)
        p->wants_all |= looks_at_all(t->defines[i].body);
    return 0;
}

static const char colors[] = "[\\x{1B}\\x{9B}][[\\]()#;?]*(?:(?:(?:[a-zA-Z\\d]*(?:;[a-zA-Z\\d]*)*)?\\x07)|"
                             "(?:(?:\\d{1,4}(?:;\\d{0,4})*)?[\\dA-PRZcf-ntqry=><~]))";

int stage_format_compile(struct pipeline *p, struct stage *s, struct err *e)
{
    const struct logql_label_fmt *from = s->ast->formats.v;

    if (s->kind == LOGQL_DECOLORIZE)
        return p->colors ? 0 : regex_new(str_of(colors), 0, &p->colors, e);
    if (s->kind == LOGQL_LINE_FORMAT) {
        if (compile(p, "line", s->ast->template, &s->template, e) < 0)
            return err_ctx(e, "invalid line template");
        return 0;
    }
    s->nfmts = s->ast->formats.n;
    s->fmts = arena_array(&p->a, struct label_fmt, s->nfmts);
    for (uint32_t i = 0; i < s->nfmts; i++) {
        s->fmts[i].dst = pipeline_name(p, from[i].dst, false);
        s->fmts[i].src = from[i].rename ? pipeline_name(p, from[i].value, true) : NAME_NONE;
        if (!from[i].rename && compile(p, "label", from[i].value, &s->fmts[i].template, e) < 0)
            return err_ctx(e, "invalid template for label '%.*s'", STR_ARG(from[i].dst));
    }
    return 0;
}

/* --- labels as fields of dot ----------------------------------------------------------------------------------- */

static bool get_field(struct tmpl_run *run, const void *self, struct str name, uint32_t id, struct tmpl_value *out)
{
    const struct runner *r = self;
    struct str value;

    (void)run;
    if (id == UINT32_MAX)
        id = label_name_find(r, name);
    *out = tmpl_str(id != NAME_NONE && lab_read(r, id, &value) ? value : STR(""));
    return true;
}

/* All labels, for a bare dot. */
static struct tmpl_value get_map(struct tmpl_run *run, const void *self)
{
    struct runner *r = (struct runner *)(uintptr_t)self;
    uint32_t most = r->stream->n + r->nlabs + 2, n = 0;
    struct tmpl_entry *v = tmpl_alloc(run, most * sizeof *v);
    struct str text;

    for (uint32_t i = 0; v && i < r->stream->n; i++)
        if (!lab_slot(r, r->stream_names[i]))
            v[n++] = (struct tmpl_entry){r->stream->v[i].name, tmpl_str(r->stream->v[i].value)};
    for (uint32_t i = 0; v && i < r->nlabs; i++)
        if (r->labs[i].live)
            v[n++] = (struct tmpl_entry){r->names[r->labs[i].name].text, tmpl_str(r->labs[i].value)};
    for (uint32_t i = NAME_ERROR; v && i <= NAME_ERROR_DETAILS; i++)
        if (lab_read(r, i, &text))
            v[n++] = (struct tmpl_entry){r->names[i].text, tmpl_str(text)};
    tmpl_entries_sort(v, n);
    return (struct tmpl_value){TMPL_T_MAP, {.map = {v, n}}};
}

static const struct tmpl_class labels_class = {"map[string]string", get_field, NULL, get_map};

static int run_template(struct runner *r, const struct tmpl *t, struct buf *out)
{
    struct err e;
    size_t start = out->n;

    r->env.line = r->line;
    r->env.t_ns = r->row->t_ns;
    if (tmpl_run(t, &r->run, tmpl_object(&labels_class, r), NULL, 0, out, &e) < 0) {
        out->n = start;
        runner_fail_err(r, format_error, &e);
        return ERR_EXEC;
    }
    return 0;
}

/* --- running -------------------------------------------------------------------------------------------------- */

static void new_line(struct runner *r, struct str line)
{
    r->line = line;
    r->ascii = r->ascii_known = false;
}

bool stage_line_format(struct runner *r, const struct stage *s)
{
    struct buf *b = &r->bufs[s->i];

    buf_reset(b);
    if (run_template(r, s->template, b) == 0)
        new_line(r, b->n ? buf_str(b) : STR(""));
    return true;
}

/* The templates from i on; values[k].p NULL: it failed. */
static void run_templates(struct runner *r, const struct stage *s, uint32_t i, struct str *values)
{
    struct buf *b = &r->bufs[s->i];

    for (; i < s->nfmts; i++) {
        if (!s->fmts[i].template)
            continue;
        buf_reset(b);
        values[i] = run_template(r, s->fmts[i].template, b) == 0 ? arena_dup(&r->a, buf_str(b)) : STR_NULL;
    }
}

bool stage_label_format(struct runner *r, const struct stage *s)
{
    struct str *values = NULL, value;
    enum logql_category category;

    for (uint32_t i = 0; i < s->nfmts; i++) {
        const struct label_fmt *f = &s->fmts[i];

        if (f->template) {
            if (!values) {
                values = arena_alloc(&r->a, s->nfmts * sizeof *values);
                run_templates(r, s, i, values);
            }
            if (values[i].p)
                lab_set(r, LOGQL_PARSED, f->dst, values[i]);
        } else if (lab_get(r, f->src, &value, &category)) {
            lab_set(r, category, f->dst, value);
            lab_del(r, f->src);
        }
    }
    return true;
}

bool stage_decolorize(struct runner *r, const struct stage *s)
{
    struct buf *b = &r->bufs[s->i];
    struct str line = r->line, g[1];
    size_t at = 0;

    if (str_chr(line, 0x1b) < 0 && str_find(line, STR("\xc2\x9b")) < 0)
        return true;
    buf_reset(b);
    while (at < line.n && regex_groups(r->p->colors, line, at, g, 1)) {
        buf_put(b, line.p + at, (size_t)(g[0].p - line.p) - at);
        at = (size_t)(g[0].p - line.p) + g[0].n;
    }
    buf_puts(b, str_from(line, at));
    new_line(r, b->n ? buf_str(b) : STR(""));
    return true;
}
