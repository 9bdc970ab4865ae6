/*
 * field_set.c - fields of a sample.
 *
 * Lines are taken apart by LogQL's own stages, so that a field has here the name that a query finds it by: flattened, sanitised, and
 * NAME_extracted where stream or metadata have the name.
 */
#include "query/api/loki/field_set.h"

#include "query/logql/units.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

enum { PATH_DEPTH_MAX = 16, PATHS_LINE_MAX = 64 * 1024 };

/* --- types ----------------------------------------------------------------------------------------------- */

const char *field_type_name(enum field_type t)
{
    static const char *const names[] = {"int", "float", "boolean", "duration", "bytes", "string"};

    return names[t];
}

static bool is_boolean(struct str s)
{
    bool v;

    return api_parse_bool(s, &v) == 0;
}

static enum field_type type_of(struct str s)
{
    int64_t i;
    uint64_t u;
    double f;

    if (str_to_i64(s, &i))
        return FIELD_INT;
    if (lq_float_parse(s, &f))
        return FIELD_FLOAT;
    if (is_boolean(s))
        return FIELD_BOOLEAN;
    if (s.n && lq_duration_parse(s, &i, NULL) == 0)
        return FIELD_DURATION;
    if (s.n && lq_bytes_parse(s, &u, NULL) == 0)
        return FIELD_BYTES;
    return FIELD_STRING;
}

/* What both fit: whole numbers are also numbers, everything is text. */
static enum field_type wider(enum field_type a, enum field_type b)
{
    if (a == b)
        return a;
    return a <= FIELD_FLOAT && b <= FIELD_FLOAT ? FIELD_FLOAT : FIELD_STRING;
}

/* --- life -------------------------------------------------------------------------------------------------- */

static int compile(struct field_set *fs, struct str text, struct logql_tree *t, struct pipeline **p, struct runner **r, struct err *e)
{
    static const struct pipeline_opts all;

    if (logql_parse(fs->a, text, t, e) < 0 || pipeline_new(&t->root->log, &all, p, e) < 0)
        return e->code;
    *r = runner_new(*p);
    return 0;
}

int field_set_init(struct field_set *fs, struct arena *a, uint32_t fields_max, struct err *e)
{
    memset(fs, 0, sizeof *fs);
    fs->a = a;
    fs->fields_max = fields_max;
    if (compile(fs, STR("{a=\"b\"} | json"), &fs->json, &fs->json_line, &fs->json_run, e) < 0 ||
        compile(fs, STR("{a=\"b\"} | logfmt"), &fs->logfmt, &fs->logfmt_line, &fs->logfmt_run, e) < 0) {
        field_set_release(fs);
        return e->code;
    }
    return 0;
}

void field_set_release(struct field_set *fs)
{
    const struct map_entry *en;
    uint32_t at = 0;

    runner_free(fs->json_run);
    runner_free(fs->logfmt_run);
    pipeline_free(fs->json_line);
    pipeline_free(fs->logfmt_line);
    logql_release(&fs->json);
    logql_release(&fs->logfmt);
    while ((en = map_next(&fs->by_name, &at)))
        map_release(&((struct field *)en->value)->values);
    map_release(&fs->by_name);
    memset(fs, 0, sizeof *fs);
}

/* --- adding -------------------------------------------------------------------------------------------------- */

static struct field *add_value(struct field_set *fs, struct str name, struct str value, unsigned parsers)
{
    struct field *f = map_get(&fs->by_name, name);

    if (str_starts(name, STR("__error")) || (fs->only.n && !str_eq(fs->only, name)))
        return NULL;
    if (!f && fs->by_name.n >= fs->fields_max) {
        fs->left_out++;
        return NULL;
    }
    if (!f) {
        f = arena_new(fs->a, struct field);
        f->name = arena_dup(fs->a, name);
        f->type = type_of(value);
        *map_put(&fs->by_name, f->name, NULL) = f;
    }
    f->parsers |= parsers;
    if (value.n == 0)
        return f;
    f->type = f->values.n ? wider(f->type, type_of(value)) : type_of(value);
    if (!map_get(&f->values, value))
        *map_put(&f->values, arena_dup(fs->a, value), NULL) = f;
    return f;
}

/* --- where a JSON field stands -------------------------------------------------------------------------------- */

struct path {
    struct str keys[PATH_DEPTH_MAX];
    uint32_t n;
};

static void sanitise(struct buf *out, struct str key)
{
    key = str_trim(key);
    if (key.n && key.p[0] >= '0' && key.p[0] <= '9')
        buf_putc(out, '_');
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';

        buf_putc(out, word ? c : '_');
    }
}

static void set_path(struct field_set *fs, const struct path *p)
{
    struct buf name = {0};
    struct field *f;
    struct str *keys;

    for (uint32_t i = 0; i < p->n; i++) {
        if (i)
            buf_putc(&name, '_');
        sanitise(&name, p->keys[i]);
    }
    f = map_get(&fs->by_name, buf_str(&name));
    if (!f) {
        buf_putz(&name, "_extracted");
        f = map_get(&fs->by_name, buf_str(&name));
    }
    if (f && (f->parsers & FIELD_JSON) && !f->path) {
        keys = arena_array(fs->a, struct str, p->n);
        for (uint32_t i = 0; i < p->n; i++)
            keys[i] = arena_dup(fs->a, p->keys[i]);
        f->path = keys;
        f->npath = p->n;
    }
    buf_release(&name);
}

static void walk(struct field_set *fs, const cJSON *object, struct path *p)
{
    const cJSON *item;

    if (p->n == PATH_DEPTH_MAX)
        return;
    cJSON_ArrayForEach(item, object)
    {
        p->keys[p->n++] = str_of(item->string);
        if (cJSON_IsObject(item))
            walk(fs, item, p);
        else if (!cJSON_IsArray(item))
            set_path(fs, p);
        p->n--;
    }
}

static void find_paths(struct field_set *fs, struct str line)
{
    cJSON *doc = line.n <= PATHS_LINE_MAX ? cJSON_ParseWithLength(line.p, line.n) : NULL;
    struct path p = {.n = 0};

    if (cJSON_IsObject(doc))
        walk(fs, doc, &p);
    cJSON_Delete(doc);
}

/* --- a record --------------------------------------------------------------------------------------------------- */

/* True when a parser found something; *unknown: fields whose path is not known yet. */
static bool add_parsed(struct field_set *fs, struct runner *r, const struct labels *stream, const struct log_row *row, unsigned parser,
                       bool *unknown)
{
    const struct logql_label *labels;
    bool found = false;
    uint32_t n;

    runner_stream(r, stream);
    if (!runner_run(r, row) || runner_error(r).n)
        return false;
    n = runner_labels(r, &labels);
    for (uint32_t i = 0; i < n; i++) {
        struct field *f;

        if (labels[i].category != LOGQL_PARSED)
            continue;
        found = true;
        f = add_value(fs, labels[i].name, labels[i].value, parser);
        *unknown |= f && !f->path;
    }
    return found;
}

void field_set_add(struct field_set *fs, const struct labels *stream, const struct logql_entry *en)
{
    struct log_row row = {.t_ns = en->t_ns, .line = en->line.p ? en->line : STR(""), .meta = en->meta, .nmeta = en->nmeta};
    bool unknown = false, none = false;

    for (uint32_t i = 0; i < en->nmeta; i++)
        add_value(fs, en->meta[i].name, en->meta[i].value, 0);
    if (row.line.n && row.line.p[0] == '{' && add_parsed(fs, fs->json_run, stream, &row, FIELD_JSON, &unknown)) {
        if (unknown)
            find_paths(fs, row.line);
    } else {
        add_parsed(fs, fs->logfmt_run, stream, &row, FIELD_LOGFMT, &none);
    }
    for (uint32_t i = 0; i < en->nparsed; i++) /* by the query's own stages: formats, patterns */
        add_value(fs, en->parsed[i].name, en->parsed[i].value, 0);
}

static int by_name(const void *a, const void *b)
{
    return str_cmp((*(struct field *const *)a)->name, (*(struct field *const *)b)->name);
}

uint32_t field_set_list(struct field_set *fs, struct field ***out)
{
    struct field **v = arena_array(fs->a, struct field *, fs->by_name.n + 1);
    const struct map_entry *en;
    uint32_t n = 0, at = 0;

    while ((en = map_next(&fs->by_name, &at)))
        v[n++] = en->value;
    if (n > 1)
        qsort(v, n, sizeof *v, by_name);
    *out = v;
    return n;
}
