/* stage_parse.c - json, logfmt, regex, pattern: what a line (or something found before) says, under names. */
#include "collector/files/json_path.h"
#include "collector/files/pipeline.h"

/* --- json ----------------------------------------------------------------------------------------------- */

struct json_config {
    struct str source;
    struct {
        struct str name;
        struct json_path *path;
    } *v;
    uint32_t n;
    bool drop_malformed;
};

static int read_json(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct json_config *k = arena_new(r->a, struct json_config);
    struct conf *m;
    struct label *pairs = NULL;

    s->config = k;
    if (conf_want(c, CONF_MAP, "json", e) < 0 || conf_str(c, "source", &k->source, e) < 0 ||
        conf_bool(c, "drop_malformed", &k->drop_malformed, e) < 0)
        return ERR_INVALID;
    m = conf_get(c, "expressions");
    if (!m)
        return conf_err(c, e, "json: JMES expression is required");
    if (stage_read_pairs(r->a, m, false, &pairs, &k->n, e) < 0)
        return ERR_INVALID;
    k->v = arena_alloc(r->a, sizeof(*k->v) * (k->n + 1));
    for (uint32_t i = 0; i < k->n; i++) {
        struct err why = {0};

        k->v[i].name = pairs[i].name;
        if (json_path_read(r->a, pairs[i].value, &k->v[i].path, &why) < 0)
            return conf_err(m->items[i], e, "json: %s", why.text);
    }
    return conf_finish(c, "json", e);
}

static enum stage_result run_json(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct json_config *k = s->config;
    struct json_value root, v;
    struct str text;

    if (!entry_input(run, en, k->source, &text))
        return STAGE_NEXT;
    if (!json_value_all(text, &root) || root.kind != JSON_OBJECT) {
        run->p->dropped += k->drop_malformed;
        return k->drop_malformed ? STAGE_STOP : STAGE_NEXT;
    }
    for (uint32_t i = 0; i < k->n; i++) {
        double number;
        bool range;
        char out[NUM_MAX];

        if (!json_path_find(run->a, k->v[i].path, &root, &v) || v.kind == JSON_NULL)
            entry_unset(en, k->v[i].name);
        else if (v.kind == JSON_NUMBER && v.text.n > 15 && num_parse(v.text, &number, &range)) /* a float64, as upstream has it */
            entry_set(run, en, k->v[i].name, arena_dup(run->a, str_n(out, num_fmt_f(number, out))));
        else if (v.kind == JSON_NUMBER && str_find(v.text, STR(".")) < 0 && str_chr(v.text, 'e') < 0 && str_chr(v.text, 'E') < 0)
            entry_set(run, en, k->v[i].name, v.text);
        else if (v.kind == JSON_NUMBER && num_parse(v.text, &number, &range))
            entry_set(run, en, k->v[i].name, arena_dup(run->a, str_n(out, num_fmt_f(number, out))));
        else
            entry_set(run, en, k->v[i].name, json_value_text(run->a, &v));
    }
    return STAGE_NEXT;
}

const struct stage_type pipe_json = {.name = "json", .read = read_json, .run = run_json};

/* --- logfmt --------------------------------------------------------------------------------------------- */

struct logfmt_config {
    struct str source;
    struct label *v; /* name found out <- key of the line */
    uint32_t n;
};

static int read_logfmt(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct logfmt_config *k = arena_new(r->a, struct logfmt_config);
    struct conf *m;

    s->config = k;
    if (conf_want(c, CONF_MAP, "logfmt", e) < 0 || conf_str(c, "source", &k->source, e) < 0)
        return ERR_INVALID;
    m = conf_get(c, "mapping");
    if (!m)
        return conf_err(c, e, "logfmt: mapping is required");
    if (stage_read_pairs(r->a, m, false, &k->v, &k->n, e) < 0)
        return ERR_INVALID;
    return conf_finish(c, "logfmt", e);
}

/* The value behind `key=`: quoted, with the escapes of JSON, or up to the next blank. */
static struct str logfmt_value(struct arena *a, struct str *s)
{
    size_t n = 0;
    struct str v;

    if (s->n && s->p[0] == '"') {
        struct json_in j;

        files_json_init(&j, a, *s);
        if (json_in_string(&j, &v) == 0) {
            *s = str_n(j.p, (size_t)(j.end - j.p));
            return v;
        }
    }
    while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
        n++;
    v = str_head(*s, n);
    *s = str_from(*s, n);
    return v;
}

static enum stage_result run_logfmt(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct logfmt_config *k = s->config;
    struct str text;

    if (!entry_input(run, en, k->source, &text))
        return STAGE_NEXT;
    while (text.n) {
        struct str key, value = STR("");
        size_t n = 0;

        text = str_trim(text);
        while (n < text.n && text.p[n] != '=' && text.p[n] != ' ' && text.p[n] != '\t')
            n++;
        key = str_head(text, n);
        text = str_from(text, n);
        if (text.n && text.p[0] == '=') {
            text = str_from(text, 1);
            value = logfmt_value(run->a, &text);
        }
        for (uint32_t i = 0; i < k->n && key.n; i++) {
            if (str_eq(k->v[i].value, key))
                entry_set(run, en, k->v[i].name, value);
        }
    }
    return STAGE_NEXT;
}

const struct stage_type pipe_logfmt = {.name = "logfmt", .read = read_logfmt, .run = run_logfmt};

/* --- regex ------------------------------------------------------------------------------------------------ */

enum { GROUPS_MAX = 64 };

struct regex_config {
    struct str source;
    struct regex *re;
    bool labels_too;
};

static int read_regex_stage(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct regex_config *k = arena_new(r->a, struct regex_config);
    unsigned named = 0;

    s->config = k;
    if (conf_want(c, CONF_MAP, "regex", e) < 0 || conf_str(c, "source", &k->source, e) < 0 ||
        conf_bool(c, "labels_from_groups", &k->labels_too, e) < 0 || stage_read_regex(c, "expression", &k->re, e) < 0)
        return ERR_INVALID;
    if (!k->re)
        return conf_err(c, e, "regex: expression is required");
    for (unsigned i = 1; i < regex_ngroups(k->re); i++)
        named += regex_group_name(k->re, i).n > 0;
    if (!named)
        return conf_err(c, e, "regex: the expression needs at least one named group, (?P<name>...)");
    if (regex_ngroups(k->re) > GROUPS_MAX)
        return conf_err(c, e, "regex: more than %d groups", GROUPS_MAX - 1);
    return conf_finish(c, "regex", e);
}

static void release_regex(struct stage *s)
{
    regex_free(((struct regex_config *)s->config)->re);
}

static enum stage_result run_regex(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct regex_config *k = s->config;
    struct str text, g[GROUPS_MAX];
    unsigned n = regex_ngroups(k->re);

    if (!entry_input(run, en, k->source, &text) || !regex_groups(k->re, text, 0, g, n))
        return STAGE_NEXT;
    for (unsigned i = 1; i < n; i++) {
        struct str name = regex_group_name(k->re, i);

        if (!name.n)
            continue;
        entry_set(run, en, name, g[i]);
        if (k->labels_too)
            entry_set_label(run, en, name, g[i]);
    }
    return STAGE_NEXT;
}

const struct stage_type pipe_regex = {.name = "regex", .read = read_regex_stage, .run = run_regex, .release = release_regex};

/* --- pattern ------------------------------------------------------------------------------------------------ */

struct pattern_config {
    struct str source;
    struct str *names; /* captures; "_": not kept */
    struct str *texts; /* texts[i] stands before capture i, texts[n] behind the last */
    uint32_t n;
    bool labels_too;
};

static bool capture_at(struct str s, struct str *name)
{
    ptrdiff_t close = str_chr(s, '>');

    if (!s.n || s.p[0] != '<' || close < 2)
        return false;
    *name = str_n(s.p + 1, (size_t)close - 1);
    return label_name_legacy(*name);
}

static int read_expression(struct stage_reader *r, struct conf *c, struct str text, struct pattern_config *k, struct err *e)
{
    size_t from = 0, i = 0;
    uint32_t named = 0;

    k->names = arena_array(r->a, struct str, text.n / 3 + 2);
    k->texts = arena_array(r->a, struct str, text.n / 3 + 2);
    while (i < text.n) {
        struct str name;

        if (!capture_at(str_from(text, i), &name)) {
            i++;
            continue;
        }
        k->texts[k->n] = str_n(text.p + from, i - from);
        if (k->n && !k->texts[k->n].n)
            return conf_err(c, e, "pattern: two captures one behind the other without text between");
        k->names[k->n++] = name;
        named += !str_eqz(name, "_");
        i += name.n + 2;
        from = i;
    }
    k->texts[k->n] = str_from(text, from);
    if (!named)
        return conf_err(c, e, "pattern: the expression needs at least one named capture, <name>");
    return 0;
}

static int read_pattern(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct pattern_config *k = arena_new(r->a, struct pattern_config);
    struct str text = STR_NULL;

    s->config = k;
    if (conf_want(c, CONF_MAP, "pattern", e) < 0 || conf_str(c, "source", &k->source, e) < 0 ||
        conf_bool(c, "labels_from_groups", &k->labels_too, e) < 0 || conf_str(c, "expression", &text, e) < 0)
        return ERR_INVALID;
    if (!text.n)
        return conf_err(c, e, "pattern: expression is required");
    if (read_expression(r, c, arena_dup(r->a, text), k, e) < 0)
        return ERR_INVALID;
    return conf_finish(c, "pattern", e);
}

/* As LogQL's: captures are as short as the text behind them allows, and what was found before a mismatch counts. */
static enum stage_result run_pattern(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct pattern_config *k = s->config;
    struct str text;

    if (!entry_input(run, en, k->source, &text) || !str_starts(text, k->texts[0]))
        return STAGE_NEXT;
    text = str_from(text, k->texts[0].n);
    for (uint32_t i = 0; i < k->n; i++) {
        struct str behind = k->texts[i + 1];
        ptrdiff_t at = behind.n ? str_find(text, behind) : (ptrdiff_t)text.n;
        struct str value = str_head(text, at < 0 ? text.n : (size_t)at);

        if (!str_eqz(k->names[i], "_")) {
            entry_set(run, en, k->names[i], value);
            if (k->labels_too)
                entry_set_label(run, en, k->names[i], value);
        }
        if (at < 0)
            break;
        text = str_from(text, (size_t)at + behind.n);
    }
    return STAGE_NEXT;
}

const struct stage_type pipe_pattern = {.name = "pattern", .read = read_pattern, .run = run_pattern};
