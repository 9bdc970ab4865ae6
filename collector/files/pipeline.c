/* pipeline.c - the list of stages: read, flattened, run. */
#include "collector/files/pipeline.h"

#include <assert.h>
#include <stdlib.h>

enum { STAGES_MAX = 1000, DEPTH_MAX = 8, PART_WAIT_MS = 5000 };

/* --- reading ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    const struct stage_type *type;
} types[] = {
    {"docker", &pipe_docker},
    {"cri", &pipe_cri},
    {"multiline", &pipe_multiline},
    {"json", &pipe_json},
    {"logfmt", &pipe_logfmt},
    {"regex", &pipe_regex},
    {"pattern", &pipe_pattern},
    {"labels", &pipe_labels},
    {"static_labels", &pipe_static_labels},
    {"labeldrop", &pipe_label_drop},
    {"label_drop", &pipe_label_drop},
    {"labelallow", &pipe_label_keep},
    {"label_keep", &pipe_label_keep},
    {"structured_metadata", &pipe_metadata},
    {"non_indexed_labels", &pipe_metadata},
    {"structured_metadata_drop", &pipe_metadata_drop},
    {"tenant", &pipe_tenant},
    {"output", &pipe_output},
    {"pack", &pipe_pack},
    {"match", &pipe_match},
    {"drop", &pipe_drop},
    {"limit", &pipe_limit},
    {"sampling", &pipe_sampling},
    {"replace", &pipe_replace},
    {"template", &pipe_template},
    {"truncate", &pipe_truncate},
    {"decolorize", &pipe_decolorize},
    {"luhn", &pipe_luhn},
    {"timestamp", &pipe_timestamp},
    {"metrics", &pipe_metrics},
};

static const struct {
    const char *name, *why;
} refused[] = {
    {"geoip", "geoip needs a database of addresses, which we do not read; drop the stage, or look the address up when querying"},
    {"eventlogmessage", "eventlogmessage is for Windows"},
    {"windowsevent", "windowsevent is for Windows"},
};

static int add_list(struct stage_reader *r, struct conf *list, struct err *e);

/* An empty map for stages written without a body: `- cri:`. */
static struct conf *body_of(struct stage_reader *r, struct conf *item)
{
    struct conf *c = item->items[0];

    if (c->kind != CONF_NULL)
        return c;
    c = arena_new(r->a, struct conf);
    *c = *item->items[0];
    c->kind = CONF_MAP;
    return c;
}

static int add_stage(struct stage_reader *r, const struct stage_type *type, struct conf *body, struct err *e)
{
    uint32_t at = r->n;
    struct stage s = {.type = type, .number = at};
    int code;

    if (r->n == r->cap) {
        r->cap = r->cap * 2 + 8;
        r->v = x_realloc(r->v, sizeof(*r->v) * r->cap);
    }
    code = type->read(r, body, &s, e);
    r->v[r->n++] = s; /* also when it failed: what it has is released with the rest */
    if (code < 0)
        return code;
    if (s.body) {
        if (++r->depth > DEPTH_MAX)
            return conf_err(body, e, "more than %d stages of match one in another", DEPTH_MAX);
        code = add_list(r, s.body, e);
        r->depth--;
    }
    r->v[at].behind = r->n;
    return code;
}

static int add_item(struct stage_reader *r, struct conf *item, struct err *e)
{
    struct str name;

    if (conf_want(item, CONF_MAP, "a pipeline stage", e) < 0)
        return ERR_INVALID;
    if (item->n != 1)
        return conf_err(item, e, "a pipeline stage is a map of one key, its name");
    name = item->keys[0];
    item->used[0] = true;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (str_eqz(name, refused[i].name))
            return conf_err(item, e, "%s", refused[i].why);
    }
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eqz(name, types[i].name))
            return add_stage(r, types[i].type, body_of(r, item), e);
    }
    return conf_err(item, e, "unknown pipeline stage \"%.*s\"", STR_ARG(str_head(name, 100)));
}

static int add_list(struct stage_reader *r, struct conf *list, struct err *e)
{
    if (conf_want(list, CONF_LIST, "pipeline stages", e) < 0)
        return ERR_INVALID;
    for (uint32_t i = 0; i < list->n; i++) {
        if (r->n >= STAGES_MAX)
            return conf_err(list, e, "more than %d pipeline stages", STAGES_MAX);
        if (add_item(r, list->items[i], e) < 0)
            return ERR_INVALID;
    }
    return 0;
}

static int add_docker(struct stage_reader *r, struct err *e)
{
    struct conf *none = arena_new(r->a, struct conf);

    none->kind = CONF_MAP;
    return add_stage(r, &pipe_docker, none, e);
}

int stages_read(struct arena *a, struct conf *c, const struct files_selectors *selectors, bool docker, struct stages *out, struct err *e)
{
    struct stage_reader r = {.a = a, .selectors = selectors};
    int code = docker ? add_docker(&r, e) : 0;

    if (code == 0 && c)
        code = add_list(&r, c, e);
    *out = (struct stages){.n = r.n, .docker_first = docker};
    out->v = arena_array(a, struct stage, r.n + 1);
    if (r.n)
        memcpy(out->v, r.v, sizeof(*out->v) * r.n);
    free(r.v);
    if (code < 0)
        stages_release(out);
    return code;
}

void stages_release(struct stages *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->v[i].type->release && s->v[i].config)
            s->v[i].type->release(&s->v[i]);
    }
    *s = (struct stages){0};
}

int stage_read_pairs(struct arena *a, struct conf *m, bool label_names, struct label **out, uint32_t *n, struct err *e)
{
    if (conf_want(m, CONF_MAP, "a map of names", e) < 0)
        return ERR_INVALID;
    *out = arena_array(a, struct label, m->n + 1);
    *n = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        struct conf *v = m->items[i];
        struct str name = arena_dup(a, m->keys[i]);

        m->used[i] = true;
        if (label_names && !label_name_legacy(name))
            return conf_err(m, e, "\"%.*s\" is not a valid label name", STR_ARG(str_head(name, 100)));
        if (v->kind != CONF_NULL && v->kind != CONF_SCALAR)
            return conf_err(v, e, "\"%.*s\" must be a text", STR_ARG(str_head(name, 100)));
        (*out)[(*n)++] = (struct label){name, v->kind == CONF_SCALAR && v->text.n ? arena_dup(a, v->text) : name};
    }
    return 0;
}

int stage_read_regex(struct conf *c, const char *key, struct regex **out, struct err *e)
{
    struct str text = STR_NULL;
    struct err why = {0};

    if (conf_str(c, key, &text, e) < 0)
        return ERR_INVALID;
    if (text.p && regex_new(text, 0, out, &why) < 0)
        return conf_err(conf_get(c, key), e, "%s: %s", key, why.text);
    return 0;
}

/* --- entries --------------------------------------------------------------------------------------------- */

struct entry entry_new(const struct pipe_run *run, struct str line, int64_t t_ns, uint64_t start)
{
    return (struct entry){.line = line, .t_ns = t_ns, .start = start, .labels = run->base->v, .nlabels = run->base->n};
}

bool entry_get(const struct pipe_run *run, const struct entry *en, struct str name, struct str *out)
{
    for (uint32_t i = en->nx; i-- > 0;) {
        if (str_eq(en->x[i].name, name)) {
            *out = en->x[i].value;
            return out->p != NULL;
        }
    }
    *out = labels_get(run->base, name);
    return out->n > 0;
}

void entry_set(struct pipe_run *run, struct entry *en, struct str name, struct str value)
{
    if (!value.p)
        value = STR("");
    for (uint32_t i = 0; i < en->nx; i++) {
        if (str_eq(en->x[i].name, name)) {
            en->x[i].value = value;
            return;
        }
    }
    if (en->nx == en->x_cap) {
        struct extracted *v;

        en->x_cap = en->x_cap * 2 + 8;
        v = arena_alloc(run->a, sizeof(*v) * en->x_cap);
        if (en->nx)
            memcpy(v, en->x, sizeof(*v) * en->nx);
        en->x = v;
    }
    en->x[en->nx++] = (struct extracted){name, value};
}

void entry_unset(struct entry *en, struct str name)
{
    for (uint32_t i = 0; i < en->nx; i++) {
        if (str_eq(en->x[i].name, name))
            en->x[i].value = STR_NULL;
    }
}

bool entry_input(const struct pipe_run *run, const struct entry *en, struct str source, struct str *out)
{
    if (source.n)
        return entry_get(run, en, source, out);
    *out = en->line;
    return true;
}

void entry_own_labels(struct pipe_run *run, struct entry *en)
{
    struct label *v;

    if (en->labels_own && en->nlabels < en->labels_cap)
        return;
    en->labels_cap = en->nlabels * 2 + 8;
    v = arena_alloc(run->a, sizeof(*v) * en->labels_cap);
    if (en->nlabels)
        memcpy(v, en->labels, sizeof(*v) * en->nlabels);
    en->labels = v;
    en->labels_own = true;
}

void entry_set_label(struct pipe_run *run, struct entry *en, struct str name, struct str value)
{
    entry_own_labels(run, en);
    for (uint32_t i = 0; i < en->nlabels; i++) {
        if (str_eq(en->labels[i].name, name)) {
            en->labels[i].value = value;
            return;
        }
    }
    en->labels[en->nlabels++] = (struct label){name, value};
}

void entry_set_meta(struct pipe_run *run, struct entry *en, struct str name, struct str value)
{
    for (uint32_t i = 0; i < en->nmeta; i++) {
        if (str_eq(en->meta[i].name, name)) {
            en->meta[i].value = value;
            return;
        }
    }
    if (en->nmeta == en->meta_cap) {
        struct label *v;

        en->meta_cap = en->meta_cap * 2 + 4;
        v = arena_alloc(run->a, sizeof(*v) * en->meta_cap);
        if (en->nmeta)
            memcpy(v, en->meta, sizeof(*v) * en->nmeta);
        en->meta = v;
    }
    en->meta[en->nmeta++] = (struct label){name, value};
}

/* The same for the same set in any order. */
uint64_t entry_labels_hash(const struct entry *en)
{
    uint64_t h = 0;

    for (uint32_t i = 0; i < en->nlabels; i++) {
        if (en->labels[i].value.n)
            h += hash64(en->labels[i].name.p, en->labels[i].name.n) * 3 ^ hash64(en->labels[i].value.p, en->labels[i].value.n);
    }
    return h;
}

/* --- held records ------------------------------------------------------------------------------------------ */

struct held *held_find(struct pipe_run *run, const struct stage *s, uint64_t key)
{
    struct held *h = run->state->held[s->number];

    while (h && h->key != key)
        h = h->next;
    return h;
}

static struct labels dup_pairs(struct arena *a, const struct label *v, uint32_t n)
{
    struct labels ls = {(struct label *)(uintptr_t)v, n};

    return labels_dup(a, &ls);
}

/* Everything but the line, copied to a. */
static struct entry entry_dup(struct arena *a, const struct entry *en)
{
    struct entry out = *en;
    struct labels ls = dup_pairs(a, en->labels, en->nlabels), meta = dup_pairs(a, en->meta, en->nmeta);

    out.labels = ls.v;
    out.labels_cap = en->nlabels;
    out.labels_own = true;
    out.meta = meta.v;
    out.meta_cap = en->nmeta;
    out.x = arena_array(a, struct extracted, en->nx + 1);
    out.x_cap = en->nx;
    for (uint32_t i = 0; i < en->nx; i++) {
        struct extracted *x = &en->x[i];

        out.x[i] = (struct extracted){arena_dup(a, x->name), x->value.p ? arena_dup(a, x->value) : STR_NULL};
    }
    out.line = STR("");
    return out;
}

void held_append(struct pipe_run *run, struct held *h, struct str more)
{
    size_t room = run->line_max > h->line.n ? run->line_max - h->line.n : 0;

    h->entry.truncated |= more.n > room;
    buf_puts(&h->line, str_head(more, room));
    h->nparts++;
    h->since_ms = run->now_ms;
}

struct held *held_begin(struct pipe_run *run, const struct stage *s, uint64_t key, const struct entry *en)
{
    struct held *h = x_zalloc(sizeof(*h)), **at = &run->state->held[s->number];

    h->entry = entry_dup(&h->arena, en);
    h->key = key;
    held_append(run, h, en->line);
    while (*at)
        at = &(*at)->next;
    *at = h;
    run->state->nheld++;
    return h;
}

static void held_free(struct held *h)
{
    arena_release(&h->arena);
    buf_release(&h->line);
    free(h);
}

void held_end(struct pipe_run *run, const struct stage *s, struct held *h, struct entry *out)
{
    struct held **at = &run->state->held[s->number];

    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    assert(run->state->nheld > 0);
    run->state->nheld--;
    *out = entry_dup(run->a, &h->entry);
    out->line = arena_dup(run->a, buf_str(&h->line));
    held_free(h);
}

void pipe_state_init(struct pipe_state *ps, const struct pipeline *p)
{
    *ps = (struct pipe_state){.nstages = p->stages->n};
    ps->held = x_zalloc(sizeof(struct held *) * (p->stages->n + 1));
}

void pipe_state_release(struct pipe_state *ps)
{
    for (uint32_t i = 0; i < ps->nstages; i++) {
        struct held *next;

        for (struct held *h = ps->held[i]; h; h = next) {
            next = h->next;
            held_free(h);
        }
    }
    free(ps->held);
    *ps = (struct pipe_state){0};
}

uint64_t pipe_state_safe(const struct pipe_state *ps, uint64_t read_to)
{
    if (!ps->nheld)
        return read_to;
    for (uint32_t i = 0; i < ps->nstages; i++) {
        for (const struct held *h = ps->held[i]; h; h = h->next)
            read_to = MIN(read_to, h->entry.start);
    }
    return read_to;
}

/* --- running -------------------------------------------------------------------------------------------------- */

void pipeline_init(struct pipeline *p, const struct stages *s)
{
    *p = (struct pipeline){.stages = s};
    p->job_state = x_zalloc(sizeof(void *) * (s->n + 1));
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->v[i].type->job_new)
            p->job_state[i] = s->v[i].type->job_new(&s->v[i]);
    }
}

void pipeline_release(struct pipeline *p)
{
    for (uint32_t i = 0; p->stages && i < p->stages->n; i++) {
        if (p->stages->v[i].type->job_free && p->job_state[i])
            p->stages->v[i].type->job_free(p->job_state[i]);
    }
    free(p->job_state);
    *p = (struct pipeline){0};
}

void pipeline_metrics(struct pipeline *p, struct buf *out)
{
    for (uint32_t i = 0; i < p->stages->n; i++) {
        if (p->stages->v[i].type == &pipe_metrics)
            stage_metrics_text(p->job_state[i], out);
    }
}

void pipeline_run_from(struct pipe_run *run, uint32_t i, struct entry *en)
{
    const struct stages *s = run->p->stages;

    while (i < s->n) {
        switch (s->v[i].type->run(run, &s->v[i], en)) {
        case STAGE_NEXT:
            i++;
            break;
        case STAGE_SKIP:
            i = s->v[i].behind;
            break;
        case STAGE_STOP:
            return;
        }
    }
    run->emit(run->arg, en);
}

void pipeline_run(struct pipe_run *run, struct entry *en)
{
    pipeline_run_from(run, 0, en);
}

void pipeline_flush(struct pipe_run *run, bool all, int64_t *due_ms)
{
    const struct stages *s = run->p->stages;

    *due_ms = INT64_MAX;
    for (uint32_t i = 0; i < s->n && run->state->nheld; i++) { /* what the first ends, a later one may hold */
        int64_t wait = s->v[i].type == &pipe_multiline ? multiline_wait_ms(&s->v[i]) : PART_WAIT_MS;
        struct held *next;

        for (struct held *h = run->state->held[i]; h; h = next) {
            struct entry en;

            next = h->next;
            if (!all && run->now_ms - h->since_ms < wait) {
                *due_ms = MIN(*due_ms, h->since_ms + wait);
                continue;
            }
            held_end(run, &s->v[i], h, &en);
            pipeline_run_from(run, i + 1, &en);
        }
    }
}
