/*
 * expo_om.c - OpenMetrics text 1.0: one blank between tokens, descriptors instead of comments, seconds, exemplars, #
 * EOF.
 *
 * Start times. A `_created` line belongs to the counter, summary or histogram of the TYPE in force, and gives the start
 * of the series that share its labels (without le or quantile). It stands behind the first of them, so at a TYPE the
 * family is read ahead once, if `_created` occurs in it at all. As upstream, a `_created` in front of every sibling is
 * not used.
 */
#include "collector/scrape/expo_read.h"

#include <math.h>

static inline const char *line_end(const char *p, const char *end)
{
    return p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
}

static bool type_has_start(uint8_t type)
{
    return type == METRIC_COUNTER || type == METRIC_SUMMARY || type == METRIC_HISTOGRAM;
}

/* --- descriptors ----------------------------------------------------------------------------------- */

static bool unit_fits(struct str family, struct str unit)
{
    return unit.n == 0 || (family.n > unit.n && str_ends(family, unit) && family.p[family.n - unit.n - 1] == '_');
}

static void read_created(struct expo *x);

static int finish_meta(struct expo *x, const char *text, struct expo_entry *out, struct err *e)
{
    switch (out->kind) {
    case EXPO_HELP:
        if (!utf8_valid(out->text))
            return expo_fail(x, text, e, "the help text is not UTF-8");
        out->text = expo_unescape(x->a, out->text, true);
        return 0;
    case EXPO_UNIT:
        if (!unit_fits(out->family, out->text))
            return expo_fail(x, text, e, "the unit is not a suffix of the metric's name");
        return 0;
    default:
        if (!expo_text_type(out->text, true, &out->type))
            return expo_fail(x, text, e, "invalid metric type");
        x->type = out->type;
        x->family = out->family;
        if (x->opts.start_timestamps)
            read_created(x);
        return 0;
    }
}

/* p at '#': HELP, TYPE, UNIT or EOF. */
static int read_descriptor(struct expo *x, const char *p, struct expo_entry *out, struct err *e)
{
    const char *word = p + 2, *nl, *text;

    if (x->end - p >= 5 && memcmp(p, "# EOF", 5) == 0) {
        x->at = p + 5 < x->end && p[5] == '\n' ? p + 6 : p + 5;
        if (x->at < x->end)
            return expo_fail(x, x->at, e, "unexpected data after # EOF");
        out->kind = EXPO_END;
        return 0;
    }
    if (x->end - p < 7 || p[1] != ' ' || p[6] != ' ')
        return expo_fail(x, p, e, "expected a valid start token");
    if (memcmp(word, "HELP", 4) == 0)
        out->kind = EXPO_HELP;
    else if (memcmp(word, "TYPE", 4) == 0)
        out->kind = EXPO_TYPE;
    else if (memcmp(word, "UNIT", 4) == 0)
        out->kind = EXPO_UNIT;
    else
        return expo_fail(x, p, e, "expected a valid start token");
    word += 5;
    p = expo_scan_family(x, word, &out->family);
    if (!p)
        return expo_fail(x, word, e, "expected a metric name");
    nl = line_end(p, x->end);
    if (!nl || *p != ' ')
        return expo_fail(x, p, e, "expected a blank, text and the end of the line");
    text = p + 1;
    out->text = str_n(text, (size_t)(nl - text));
    x->at = nl + 1;
    return finish_meta(x, text, out, e);
}

/* --- series ---------------------------------------------------------------------------------------- */

/* The token behind one blank: [^ \n]+. NULL when there is none. */
static const char *scan_token(const char *p, const char *end, const char **start)
{
    if (p >= end || *p != ' ')
        return NULL;
    *start = ++p;
    while (p < end && *p != ' ' && *p != '\n')
        p++;
    return p > *start ? p : NULL;
}

static int read_seconds(struct expo *x, const char *p, const char *q, int64_t *ms, struct err *e)
{
    const char *wrong;
    double v;

    wrong = expo_number(p, q, &v);
    if (wrong)
        return expo_fail(x, p, e, wrong);
    if (!isfinite(v))
        return expo_fail(x, p, e, "invalid timestamp");
    v *= 1000;
    *ms = v >= 9.2e18 ? INT64_MAX : v <= -9.2e18 ? INT64_MIN : (int64_t)v;
    return 0;
}

static int end_of_line(struct expo *x, const char *p, const char *what, struct err *e)
{
    if (p >= x->end)
        return expo_fail(x, p, e, "data does not end with # EOF");
    if (*p != '\n')
        return expo_fail(x, p, e, what);
    x->at = p + 1;
    return 0;
}

/* p behind ` # {`. */
static int read_exemplar(struct expo *x, const char *p, struct expo_entry *out, struct err *e)
{
    struct expo_exemplar *ex = &x->exemplar;
    struct raw_labels raw = {.a = x->a};
    const char *start, *q, *wrong;
    int code;

    memset(ex, 0, sizeof(*ex));
    if (!(p = expo_scan_labels(x, p, x->end, true, true, &raw, e)))
        return ERR_INVALID;
    ex->labels.v = arena_alloc(x->a, sizeof(struct label) * (raw.n + 1));
    for (uint32_t i = 0; i < raw.n; i++)
        ex->labels.v[ex->labels.n++] =
            (struct label){expo_unescape(x->a, raw.v[i].name, true), expo_unescape(x->a, raw.v[i].value, true)};
    if ((code = labels_normalise(&ex->labels, e)) < 0)
        return err_ctx(e, "exemplar");
    if (!(q = scan_token(p, x->end, &start)))
        return expo_fail(x, p, e, "expected value after exemplar labels");
    if ((wrong = expo_number(start, q, &ex->v)))
        return expo_fail(x, start, e, wrong);
    if ((p = scan_token(q, x->end, &start))) {
        if ((code = read_seconds(x, start, p, &ex->t, e)) < 0)
            return code;
        ex->has_t = true;
        q = p;
    }
    out->exemplars = ex;
    out->nexemplars = 1;
    return end_of_line(x, q, "expected next entry after exemplar", e);
}

static bool at_exemplar(const char *p, const char *end)
{
    return end - p >= 4 && memcmp(p, " # {", 4) == 0;
}

/* p behind the series: value, timestamp, exemplar. */
static int read_rest(struct expo *x, const char *p, struct expo_entry *out, struct err *e)
{
    const char *start, *q = scan_token(p, x->end, &start), *wrong;
    int code;

    if (!q)
        return expo_fail(x, p, e, "expected value after metric");
    if ((wrong = expo_number(start, q, &out->v)))
        return expo_fail(x, start, e, wrong);
    if (at_exemplar(q, x->end))
        return read_exemplar(x, q + 4, out, e);
    if ((p = scan_token(q, x->end, &start))) {
        if ((code = read_seconds(x, start, p, &out->t, e)) < 0)
            return code;
        out->has_t = true;
        if (at_exemplar(p, x->end))
            return read_exemplar(x, p + 4, out, e);
        return end_of_line(x, p, "expected next entry after timestamp", e);
    }
    return end_of_line(x, q, "expected timestamp or end of line", e);
}

/* Reads one series line. *metric is its raw name; raw collects labels when it has an arena. */
static int read_line(struct expo *x, const char *p, struct raw_labels *raw, struct expo_entry *out, struct err *e)
{
    const char *start = p;

    while (p < x->end && is_class(*p, C_NAME))
        p++;
    if (p > start)
        raw->metric = str_n(start, (size_t)(p - start));
    if (p < x->end && *p == '{') {
        p = expo_scan_labels(x, p + 1, x->end, true, false, raw, e);
        if (!p)
            return ERR_INVALID;
    }
    if (!raw->metric.p)
        return expo_fail(x, start, e, "the metric has no name");
    out->kind = EXPO_SERIES;
    out->series = str_n(start, (size_t)(p - start));
    out->normalise_le = x->type == METRIC_HISTOGRAM;
    out->normalise_quantile = x->type == METRIC_SUMMARY;
    return read_rest(x, p, out, e);
}

/* --- start times ------------------------------------------------------------------------------------ */

/* Order of labels does not matter: sums of hashes. */
static uint64_t sibling_hash(const struct raw_labels *raw, uint8_t type)
{
    uint64_t h = 0;

    for (uint32_t i = 0; i < raw->n; i++) {
        struct str name = raw->v[i].name, value = raw->v[i].value;

        if ((type == METRIC_HISTOGRAM && str_eq(name, STR("le"))) ||
            (type == METRIC_SUMMARY && str_eq(name, STR("quantile"))))
            continue;
        h += hash64(name.p, name.n) * UINT64_C(0x9e3779b97f4a7c15) ^ hash64(value.p, value.n);
    }
    return h;
}

static struct created *created_find(const struct created_table *t, uint64_t hash)
{
    if (!t->cap)
        return NULL;
    for (uint32_t i = (uint32_t)hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        if (t->v[i].hash == hash || t->v[i].hash == 0)
            return &t->v[i];
    }
}

/* The slot of hash (never 0, which marks a free slot), made if absent. */
static struct created *created_put(struct arena *a, struct created_table *t, uint64_t hash)
{
    struct created *c;

    if (t->n * 2 >= t->cap) {
        struct created_table old = *t;

        t->cap = old.cap ? old.cap * 2 : 64;
        t->v = arena_array(a, struct created, t->cap);
        for (uint32_t i = 0; i < old.cap; i++) {
            if (old.v[i].hash)
                *created_find(t, old.v[i].hash) = old.v[i];
        }
    }
    c = created_find(t, hash);
    if (!c->hash) {
        c->hash = hash;
        t->n++;
    }
    return c;
}

static bool is_created(const struct expo *x, struct str metric)
{
    return type_has_start(x->type) && str_ends(metric, STR("_created"));
}

/* Reads ahead to the next TYPE. Faults are left for the reading proper, which meets the same lines. */
static void read_created(struct expo *x)
{
    static const struct str next_type = {"\n# TYPE ", 8};
    struct str rest = str_n(x->at, (size_t)(x->end - x->at));
    ptrdiff_t stop = str_find(rest, next_type);
    struct expo ahead = *x;
    struct expo_entry en;

    x->created = (struct created_table){0};
    if (stop >= 0)
        rest.n = (size_t)stop + 1;
    if (!type_has_start(x->type) || str_find(rest, STR("_created")) < 0)
        return;
    ahead.end = rest.p + rest.n;
    for (const char *p = ahead.at; p < ahead.end; p = ahead.at) {
        struct raw_labels raw = {.a = x->a, .v = x->scratch.v, .cap = x->scratch.cap};
        const char *nl = line_end(p, ahead.end);
        uint64_t hash;

        ahead.at = nl ? nl + 1 : ahead.end;
        if (*p == '#')
            continue;
        memset(&en, 0, sizeof(en));
        if (read_line(&ahead, p, &raw, &en, NULL) < 0)
            return;
        x->scratch = raw;
        hash = sibling_hash(&raw, x->type) | 1;
        if (!is_created(x, raw.metric))
            created_put(x->a, &x->created, hash);
        else if (x->created.n && created_find(&x->created, hash)->hash && isfinite(en.v) && fabs(en.v) < 9e15)
            created_find(&x->created, hash)->st = (int64_t)(en.v * 1000);
    }
}

/* >0: the line was a _created one and is swallowed. */
static int read_series(struct expo *x, const char *p, struct expo_entry *out, struct err *e)
{
    struct raw_labels raw = {.a = x->created.n ? x->a : NULL, .v = x->scratch.v, .cap = x->scratch.cap};
    int code = read_line(x, p, &raw, out, e);

    if (code < 0 || !x->opts.start_timestamps || !type_has_start(x->type))
        return code;
    if (raw.a)
        x->scratch = raw;
    if (is_created(x, raw.metric))
        return 1;
    if (x->created.n)
        out->st = created_find(&x->created, sibling_hash(&raw, x->type) | 1)->st;
    return 0;
}

int expo_om_next(struct expo *x, struct expo_entry *out, struct err *e)
{
    int code;

    do {
        const char *p = x->at;

        memset(out, 0, sizeof(*out));
        if (p >= x->end)
            return expo_fail(x, p, e, "data does not end with # EOF");
        if (*p == '#')
            return read_descriptor(x, p, out, e);
        if (*p != '{' && !is_class(*p, C_NAME0))
            return expo_fail(x, p, e, "expected a valid start token");
        code = read_series(x, p, out, e);
    } while (code > 0);
    return code;
}
