/* stage_label.c - stages that move what was found out into labels, metadata and the line. */
#include "collector/files/pipeline.h"

#include <stdlib.h>

struct pairs_config {
    struct label *v;
    uint32_t n;
};

/* --- labels, static_labels, structured_metadata ---------------------------------------------------------- */

static int read_map(struct stage_reader *r, struct conf *c, struct stage *s, bool label_names, struct err *e)
{
    struct pairs_config *k = arena_new(r->a, struct pairs_config);

    s->config = k;
    if (c->kind == CONF_MAP && c->n == 0)
        return conf_err(c, e, "%s: at least one name is required", s->type->name);
    return stage_read_pairs(r->a, c, label_names, &k->v, &k->n, e);
}

static int read_labels(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    return read_map(r, c, s, true, e);
}

static int read_metadata(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    return read_map(r, c, s, false, e);
}

static enum stage_result run_labels(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct pairs_config *k = s->config;
    struct str value;

    for (uint32_t i = 0; i < k->n; i++) {
        if (entry_get(run, en, k->v[i].value, &value) && utf8_valid(value))
            entry_set_label(run, en, k->v[i].name, value);
    }
    return STAGE_NEXT;
}

static int read_static(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct pairs_config *k;

    if (read_map(r, c, s, true, e) < 0)
        return ERR_INVALID;
    k = s->config;
    for (uint32_t i = 0; i < k->n; i++) { /* without a value: no label */
        if (c->items[i]->kind == CONF_NULL || !c->items[i]->text.n)
            k->v[i].value = STR("");
    }
    return 0;
}

static enum stage_result run_static(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct pairs_config *k = s->config;

    for (uint32_t i = 0; i < k->n; i++) {
        if (k->v[i].value.n)
            entry_set_label(run, en, k->v[i].name, k->v[i].value);
    }
    return STAGE_NEXT;
}

static enum stage_result run_metadata(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct pairs_config *k = s->config;
    struct str value;

    for (uint32_t i = 0; i < k->n; i++) {
        if (entry_get(run, en, k->v[i].value, &value))
            entry_set_meta(run, en, k->v[i].name, value);
    }
    return STAGE_NEXT;
}

const struct stage_type pipe_labels = {.name = "labels", .read = read_labels, .run = run_labels};
const struct stage_type pipe_static_labels = {.name = "static_labels", .read = read_static, .run = run_static};
const struct stage_type pipe_metadata = {.name = "structured_metadata", .read = read_metadata, .run = run_metadata};

/* --- those that take labels off ---------------------------------------------------------------------------- */

struct names_config {
    struct str *v;
    uint32_t n;
};

/* A bare list, or a list under `values`. */
static int read_names(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct names_config *k = arena_new(r->a, struct names_config);
    struct conf *list = c;

    s->config = k;
    if (c->kind == CONF_MAP) {
        list = conf_get(c, "values");
        if (!list || conf_finish(c, s->type->name, e) < 0)
            return list ? ERR_INVALID : conf_err(c, e, "%s: a list of names is required", s->type->name);
    }
    if (conf_want(list, CONF_LIST, s->type->name, e) < 0)
        return ERR_INVALID;
    if (!list->n)
        return conf_err(c, e, "%s: at least one name is required", s->type->name);
    k->v = arena_array(r->a, struct str, list->n);
    for (uint32_t i = 0; i < list->n; i++) {
        if (conf_want(list->items[i], CONF_SCALAR, "a name", e) < 0)
            return ERR_INVALID;
        k->v[k->n++] = arena_dup(r->a, list->items[i]->text);
    }
    return 0;
}

static bool among(const struct names_config *k, struct str name)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (str_eq(k->v[i], name))
            return true;
    }
    return false;
}

static enum stage_result take_off(struct pipe_run *run, struct entry *en, const struct names_config *k, bool named)
{
    uint32_t n = 0;

    entry_own_labels(run, en);
    for (uint32_t i = 0; i < en->nlabels; i++) {
        if (among(k, en->labels[i].name) != named)
            en->labels[n++] = en->labels[i];
    }
    en->nlabels = n;
    return STAGE_NEXT;
}

static enum stage_result run_drop(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    return take_off(run, en, s->config, true);
}

static enum stage_result run_keep(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    return take_off(run, en, s->config, false);
}

static enum stage_result run_metadata_drop(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    uint32_t n = 0;

    (void)run;
    for (uint32_t i = 0; i < en->nmeta; i++) {
        if (!among(s->config, en->meta[i].name))
            en->meta[n++] = en->meta[i];
    }
    en->nmeta = n;
    return STAGE_NEXT;
}

const struct stage_type pipe_label_drop = {.name = "labeldrop", .read = read_names, .run = run_drop};
const struct stage_type pipe_label_keep = {.name = "labelallow", .read = read_names, .run = run_keep};
const struct stage_type pipe_metadata_drop = {.name = "structured_metadata_drop", .read = read_names, .run = run_metadata_drop};

/* --- output, tenant ------------------------------------------------------------------------------------------ */

static int read_output(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct str *source = arena_new(r->a, struct str), text = STR_NULL;

    s->config = source;
    if (conf_want(c, CONF_MAP, "output", e) < 0 || conf_str(c, "source", &text, e) < 0)
        return ERR_INVALID;
    if (!text.n)
        return conf_err(c, e, "output: source is required");
    *source = arena_dup(r->a, text);
    return conf_finish(c, "output", e);
}

static enum stage_result run_output(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    struct str value;

    if (entry_get(run, en, *(struct str *)s->config, &value))
        en->line = value;
    return STAGE_NEXT;
}

const struct stage_type pipe_output = {.name = "output", .read = read_output, .run = run_output};

/* One store, one tenant: the stage is understood and does nothing. */
static int read_tenant(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct str ignored;

    (void)r;
    (void)s;
    if (conf_want(c, CONF_MAP, "tenant", e) < 0 || conf_str(c, "source", &ignored, e) < 0 || conf_str(c, "label", &ignored, e) < 0 ||
        conf_str(c, "value", &ignored, e) < 0 || conf_finish(c, "tenant", e) < 0)
        return ERR_INVALID;
    log_info("files", "%.*s:%d: the tenant stage does nothing here: all lines go into one store", STR_ARG(c->file), c->line);
    return 0;
}

static enum stage_result run_nothing(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    (void)run;
    (void)s;
    (void)en;
    return STAGE_NEXT;
}

const struct stage_type pipe_tenant = {.name = "tenant", .read = read_tenant, .run = run_nothing};

/* --- pack ------------------------------------------------------------------------------------------------------ */

struct pack_config {
    struct names_config names;
    bool now;
};

static int read_pack(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct pack_config *k = arena_new(r->a, struct pack_config);

    s->config = k;
    k->now = true;
    if (conf_want(c, CONF_MAP, "pack", e) < 0 || conf_strs(r->a, c, "labels", &k->names.v, &k->names.n, e) < 0 ||
        conf_bool(c, "ingest_timestamp", &k->now, e) < 0)
        return ERR_INVALID;
    for (uint32_t i = 0; i < k->names.n; i++)
        k->names.v[i] = arena_dup(r->a, k->names.v[i]);
    return conf_finish(c, "pack", e);
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Labels and what was found out become {"name":"value",...,"_entry":LINE}, which LogQL's unpack undoes. */
static enum stage_result run_pack(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct pack_config *k = s->config;
    struct label *v = arena_array(run->a, struct label, k->names.n + 1);
    struct buf b = {0};
    uint32_t n = 0;
    struct json j;

    for (uint32_t i = 0; i < k->names.n; i++) {
        struct str value = STR_NULL;

        for (uint32_t l = 0; l < en->nlabels; l++) {
            if (str_eq(en->labels[l].name, k->names.v[i]))
                value = en->labels[l].value;
        }
        if (value.n || entry_get(run, en, k->names.v[i], &value))
            v[n++] = (struct label){k->names.v[i], value};
    }
    qsort(v, n, sizeof(*v), by_name);
    json_init(&j, &b);
    json_obj(&j);
    for (uint32_t i = 0; i < n; i++) {
        json_key_str(&j, v[i].name);
        json_str(&j, v[i].value);
    }
    json_key(&j, "_entry");
    json_str(&j, en->line);
    json_end_obj(&j);
    en->line = arena_dup(run->a, buf_str(&b));
    buf_release(&b);
    take_off(run, en, &k->names, true);
    if (k->now)
        en->t_told = false;
    return STAGE_NEXT;
}

const struct stage_type pipe_pack = {.name = "pack", .read = read_pack, .run = run_pack};
