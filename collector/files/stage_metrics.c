/*
 * stage_metrics.c - metrics: counters, gauges and histograms counted from lines, shown on /metrics as promtail_custom_*.
 *
 * (1) A series is a label set of entries; those that did not change for max_idle_duration go.
 * (2) At most SERIES_MAX series a metric: more are counted on none.
 */
#include "collector/files/pipeline.h"

#include <stdlib.h>

enum { SERIES_MAX = 10000, BUCKETS_MAX = 200 };
enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_action { METRIC_INC, METRIC_ADD, METRIC_SET, METRIC_DEC, METRIC_SUB, METRIC_OBSERVE };

struct metric {
    enum metric_kind kind;
    enum metric_action action;
    struct str name, help, source, value;
    bool match_all, bytes, has_value;
    double *buckets;
    uint32_t nbuckets;
    int64_t idle_ms;
};

struct metrics_config {
    struct metric *v;
    uint32_t n;
};

struct metric_series {
    struct buf labels; /* canonical */
    double value;      /* or the sum */
    uint64_t count, *buckets;
    int64_t used_ms;
};

struct metrics_state {
    const struct metrics_config *config;
    struct map *series; /* by metric: canonical labels -> struct metric_series */
};

/* --- reading ------------------------------------------------------------------------------------------------- */

static int read_action(struct conf *c, struct metric *m, struct err *e)
{
    static const struct {
        const char *name;
        enum metric_action action;
        bool gauge_only;
    } actions[] = {{"inc", METRIC_INC, false}, {"add", METRIC_ADD, false}, {"set", METRIC_SET, true}, {"dec", METRIC_DEC, true}, {"sub", METRIC_SUB, true}};
    struct str text = STR_NULL;

    if (conf_str(c, "action", &text, e) < 0)
        return ERR_INVALID;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (str_eq_nocase(text, str_of(actions[i].name)) && (m->kind == METRIC_GAUGE || !actions[i].gauge_only)) {
            m->action = actions[i].action;
            return 0;
        }
    }
    return conf_err(c, e, "metrics: the action of a %s must be %s", m->kind == METRIC_GAUGE ? "gauge" : "counter",
                    m->kind == METRIC_GAUGE ? "set, inc, dec, add or sub" : "inc or add");
}

static int read_buckets(struct stage_reader *r, struct conf *c, struct metric *m, struct err *e)
{
    struct conf *list = conf_get(c, "buckets");

    if (!list || conf_want(list, CONF_LIST, "buckets", e) < 0)
        return list ? ERR_INVALID : conf_err(c, e, "metrics: a histogram needs buckets");
    if (list->n > BUCKETS_MAX)
        return conf_err(list, e, "metrics: more than %d buckets", BUCKETS_MAX);
    m->buckets = arena_array(r->a, double, list->n + 1);
    for (uint32_t i = 0; i < list->n; i++) {
        bool range;

        if (conf_want(list->items[i], CONF_SCALAR, "a bucket", e) < 0)
            return ERR_INVALID;
        if (!num_parse(list->items[i]->text, &m->buckets[i], &range) || (i && !(m->buckets[i] > m->buckets[i - 1])))
            return conf_err(list->items[i], e, "metrics: buckets must be rising numbers");
    }
    m->nbuckets = list->n;
    return 0;
}

static int read_how(struct stage_reader *r, struct conf *c, struct metric *m, struct err *e)
{
    struct str value = STR_NULL;

    if (conf_want(c, CONF_MAP, "the config of a metric", e) < 0 || conf_str(c, "value", &value, e) < 0)
        return ERR_INVALID;
    m->has_value = value.p != NULL;
    m->value = arena_dup(r->a, m->has_value ? value : STR(""));
    if (m->kind == METRIC_HISTOGRAM) {
        m->action = METRIC_OBSERVE;
        if (read_buckets(r, c, m, e) < 0)
            return ERR_INVALID;
    } else if (read_action(c, m, e) < 0) {
        return ERR_INVALID;
    }
    if (m->kind == METRIC_COUNTER && (conf_bool(c, "match_all", &m->match_all, e) < 0 || conf_bool(c, "count_entry_bytes", &m->bytes, e) < 0))
        return ERR_INVALID;
    if (m->bytes && (!m->match_all || m->action != METRIC_ADD))
        return conf_err(c, e, "metrics: count_entry_bytes needs match_all: true and action: add");
    if (m->match_all && m->has_value)
        return conf_err(c, e, "metrics: match_all and value exclude each other");
    return conf_finish(c, "the config of a metric", e);
}

static int read_metric(struct stage_reader *r, struct str name, struct conf *c, struct metric *m, struct err *e)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    struct str type = STR_NULL, prefix = STR("promtail_custom_"), help = STR("");
    struct conf *how;
    size_t k = 0;

    m->idle_ms = 5 * 60000;
    m->source = name;
    if (conf_want(c, CONF_MAP, "a metric", e) < 0 || conf_str(c, "type", &type, e) < 0 || conf_str(c, "prefix", &prefix, e) < 0 ||
        conf_str(c, "description", &help, e) < 0 || conf_str(c, "source", &m->source, e) < 0 ||
        conf_duration(c, "max_idle_duration", &m->idle_ms, e) < 0)
        return ERR_INVALID;
    while (k < ARRAY_LEN(kinds) && !str_eq_nocase(type, str_of(kinds[k])))
        k++;
    if (k == ARRAY_LEN(kinds))
        return conf_err(c, e, "metrics: type must be Counter, Gauge or Histogram");
    m->kind = (enum metric_kind)k;
    m->name = arena_printf(r->a, "%.*s%.*s", STR_ARG(prefix), STR_ARG(name));
    if (!metric_name_legacy(m->name))
        return conf_err(c, e, "metrics: \"%.*s\" is not a valid name", STR_ARG(str_head(m->name, 100)));
    m->source = arena_dup(r->a, m->source);
    m->help = arena_dup(r->a, help);
    how = conf_get(c, "config");
    if (!how)
        return conf_err(c, e, "metrics: config is required");
    if (read_how(r, how, m, e) < 0)
        return ERR_INVALID;
    return conf_finish(c, "a metric", e);
}

static int read_metrics(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct metrics_config *k = arena_new(r->a, struct metrics_config);

    s->config = k;
    if (conf_want(c, CONF_MAP, "metrics", e) < 0)
        return ERR_INVALID;
    k->v = arena_array(r->a, struct metric, c->n + 1);
    for (uint32_t i = 0; i < c->n; i++) {
        c->used[i] = true;
        if (read_metric(r, arena_dup(r->a, c->keys[i]), c->items[i], &k->v[k->n], e) < 0)
            return ERR_INVALID;
        k->n++;
    }
    return 0;
}

/* --- counting -------------------------------------------------------------------------------------------------- */

static void *metrics_new(const struct stage *s)
{
    struct metrics_state *st = x_zalloc(sizeof(*st));

    st->config = s->config;
    st->series = x_zalloc(sizeof(*st->series) * (st->config->n + 1));
    return st;
}

static void series_free(struct metric_series *s)
{
    buf_release(&s->labels);
    free(s->buckets);
    free(s);
}

static void metrics_free(void *state)
{
    struct metrics_state *st = state;

    for (uint32_t i = 0; i < st->config->n; i++) {
        struct map_entry *en;
        uint32_t at = 0;

        while ((en = map_next(&st->series[i], &at)))
            series_free(en->value);
        map_release(&st->series[i]);
    }
    free(st->series);
    free(st);
}

static struct labels sorted_labels(struct arena *a, const struct entry *en)
{
    struct labels ls = {arena_alloc(a, sizeof(struct label) * (en->nlabels + 1)), en->nlabels};
    struct err e;

    if (en->nlabels)
        memcpy(ls.v, en->labels, sizeof(*ls.v) * en->nlabels);
    if (labels_normalise(&ls, &e) < 0) /* cannot be: names are set once each */
        ls.n = 0;
    return ls;
}

static struct metric_series *series_of(struct metrics_state *st, uint32_t i, const struct labels *ls)
{
    struct buf key = {0};
    struct metric_series *s;

    labels_canonical(&key, ls);
    s = map_get(&st->series[i], buf_str(&key));
    if (!s && st->series[i].n < SERIES_MAX) {
        s = x_zalloc(sizeof(*s));
        s->labels = key;
        s->buckets = x_zalloc(sizeof(*s->buckets) * (st->config->v[i].nbuckets + 1));
        if (!key.p)
            buf_reserve(&s->labels, 1);
        *map_put(&st->series[i], str_n(s->labels.p, s->labels.n), NULL) = s;
        return s;
    }
    buf_release(&key);
    return s;
}

static void count(const struct metric *m, struct metric_series *s, double v)
{
    switch (m->action) {
    case METRIC_INC: s->value += 1; break;
    case METRIC_DEC: s->value -= 1; break;
    case METRIC_ADD: s->value += v; break;
    case METRIC_SUB: s->value -= v; break;
    case METRIC_SET: s->value = v; break;
    case METRIC_OBSERVE:
        s->value += v;
        s->count++;
        for (uint32_t i = 0; i < m->nbuckets; i++)
            s->buckets[i] += v <= m->buckets[i];
        break;
    }
}

static enum stage_result run_metrics(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    struct metrics_state *st = run->p->job_state[s->number];
    struct labels ls = sorted_labels(run->a, en);

    for (uint32_t i = 0; i < st->config->n; i++) {
        const struct metric *m = &st->config->v[i];
        struct metric_series *series;
        struct str text = STR("");
        double v = m->bytes ? (double)en->line.n : 1;
        bool range;

        if (!m->match_all) {
            if (!entry_get(run, en, m->source, &text) || (m->has_value && !str_eq(text, m->value)))
                continue;
            if (m->action != METRIC_INC && m->action != METRIC_DEC && !num_parse(text, &v, &range))
                continue;
        }
        if (m->kind == METRIC_COUNTER && v < 0)
            continue;
        series = series_of(st, i, &ls);
        if (!series)
            continue;
        count(m, series, v);
        series->used_ms = run->now_ms;
    }
    return STAGE_NEXT;
}

const struct stage_type pipe_metrics = {.name = "metrics", .read = read_metrics, .run = run_metrics, .job_new = metrics_new, .job_free = metrics_free};

/* --- showing --------------------------------------------------------------------------------------------------- */

static void put_labels(struct buf *out, struct str canonical, const char *le, double bound)
{
    const uint8_t *p = (const uint8_t *)canonical.p, *end = p + canonical.n;
    const char *comma = "";
    char text[NUM_MAX];

    buf_putc(out, '{');
    while (p < end) {
        uint64_t len = 0, name = 0, value = 0;
        const uint8_t *name_at, *value_at;

        name_at = get_varint(get_varint(p + 1, end, &len) + 1, end, &name);
        value_at = get_varint(name_at + name + 1, end, &value);
        buf_putz(out, comma);
        buf_put(out, name_at, name);
        buf_putz(out, "=\"");
        for (uint64_t i = 0; i < value; i++) {
            if (value_at[i] == '\n')
                buf_putz(out, "\\n");
            else if (value_at[i] == '"' || value_at[i] == '\\')
                buf_printf(out, "\\%c", value_at[i]);
            else
                buf_putc(out, (char)value_at[i]);
        }
        buf_putc(out, '"');
        comma = ",";
        p = value_at + value;
    }
    if (le) {
        buf_printf(out, "%sle=\"", comma);
        buf_put(out, text, num_fmt_g(bound, text));
        buf_putc(out, '"');
    }
    buf_putz(out, "} ");
}

static void put_value(struct buf *out, double v)
{
    char text[NUM_MAX];

    buf_put(out, text, num_fmt_g(v, text));
    buf_putc(out, '\n');
}

static void put_series(struct buf *out, const struct metric *m, const struct metric_series *s)
{
    if (m->kind != METRIC_HISTOGRAM) {
        buf_puts(out, m->name);
        put_labels(out, buf_str(&s->labels), NULL, 0);
        put_value(out, s->value);
        return;
    }
    for (uint32_t i = 0; i <= m->nbuckets; i++) {
        buf_printf(out, "%.*s_bucket", STR_ARG(m->name));
        put_labels(out, buf_str(&s->labels), "le", i < m->nbuckets ? m->buckets[i] : __builtin_inf());
        put_value(out, (double)(i < m->nbuckets ? s->buckets[i] : s->count));
    }
    buf_printf(out, "%.*s_sum", STR_ARG(m->name));
    put_labels(out, buf_str(&s->labels), NULL, 0);
    put_value(out, s->value);
    buf_printf(out, "%.*s_count", STR_ARG(m->name));
    put_labels(out, buf_str(&s->labels), NULL, 0);
    put_value(out, (double)s->count);
}

void stage_metrics_text(void *state, struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    struct metrics_state *st = state;
    int64_t now = clock_mono_ms();

    for (uint32_t i = 0; i < st->config->n; i++) {
        const struct metric *m = &st->config->v[i];
        struct map_entry *en;
        uint32_t at = 0;
        bool headed = false;

        while ((en = map_next(&st->series[i], &at))) {
            struct metric_series *s = en->value;

            if (now - s->used_ms > m->idle_ms) { /* (1) */
                map_del(&st->series[i], en->key);
                series_free(s);
                continue;
            }
            if (!headed)
                buf_printf(out, "# HELP %.*s %.*s\n# TYPE %.*s %s\n", STR_ARG(m->name), STR_ARG(m->help), STR_ARG(m->name), kinds[m->kind]);
            headed = true;
            put_series(out, m, s);
        }
    }
}
