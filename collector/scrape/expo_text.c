/*
 * expo_text.c - the text format 0.0.4 and 1.0.0, as Prometheus' own lexer reads it (it is the judge, not the documents:
 * timestamps are digits only, the comma between two labels may be missing, `# HELP` swallows one byte behind the name).
 */
#include "collector/scrape/expo_read.h"

static inline const char *blanks(const char *p, const char *end)
{
    while (p < end && is_class(*p, C_BLANK))
        p++;
    return p;
}

static inline const char *line_end(const char *p, const char *end)
{
    const char *nl = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;

    return nl ? nl : end;
}

/* p behind `# HELP ` or `# TYPE `. */
static int read_meta(struct expo *x, const char *p, bool help, struct expo_entry *out, struct err *e)
{
    const char *name = blanks(p, x->end), *text, *nl;

    p = expo_scan_family(x, name, &out->family);
    if (!p)
        return expo_fail(x, name, e, help ? "expected metric name after HELP" : "expected metric name after TYPE");
    nl = line_end(p, x->end);
    text = p < nl ? p + 1 : nl;
    x->at = nl;
    out->text = str_n(text, (size_t)(nl - text));
    if (help) {
        out->kind = EXPO_HELP;
        if (!utf8_valid(out->text))
            return expo_fail(x, text, e, "the help text is not UTF-8");
        out->text = expo_unescape(x->a, out->text, false);
        return 0;
    }
    out->kind = EXPO_TYPE;
    if (!expo_text_type(out->text, false, &out->type))
        return expo_fail(x, text, e, "invalid metric type");
    x->type = out->type;
    x->family = out->family;
    return 0;
}

/* p at '#'. */
static int read_hash(struct expo *x, const char *p, struct expo_entry *out, struct err *e)
{
    const char *word = blanks(p + 1, x->end), *nl;

    if (word > p + 1 && x->end - word > 5 && is_class(word[4], C_BLANK)) {
        if (memcmp(word, "HELP", 4) == 0)
            return read_meta(x, word + 5, true, out, e);
        if (memcmp(word, "TYPE", 4) == 0)
            return read_meta(x, word + 5, false, out, e);
    }
    nl = line_end(p, x->end);
    out->kind = EXPO_COMMENT;
    out->text = str_n(p, (size_t)(nl - p));
    x->at = nl;
    return 0;
}

static int read_timestamp(struct expo *x, const char *p, struct expo_entry *out, struct err *e)
{
    const char *start = p;

    while (p < x->end && is_class(*p, C_DIGIT))
        p++;
    if (p == start)
        return expo_fail(x, start, e, "expected timestamp or new record");
    if (!str_to_i64(str_n(start, (size_t)(p - start)), &out->t))
        return expo_fail(x, start, e, "the timestamp is out of range");
    out->has_t = true;
    p = blanks(p, x->end);
    if (p < x->end && *p != '\n')
        return expo_fail(x, p, e, "expected next entry after timestamp");
    x->at = p;
    return 0;
}

/* p behind the series: value and timestamp. */
static int read_value(struct expo *x, const char *p, struct expo_entry *out, struct err *e)
{
    const char *start = p = blanks(p, x->end), *wrong;

    while (p < x->end && *p != '\n' && *p != '{' && !is_class(*p, C_BLANK))
        p++;
    if (p == start)
        return expo_fail(x, p, e, "expected value after metric");
    wrong = expo_number(start, p, &out->v);
    if (wrong)
        return expo_fail(x, start, e, wrong);
    p = blanks(p, x->end);
    if (p < x->end && *p != '\n')
        return read_timestamp(x, p, out, e);
    x->at = p;
    return 0;
}

static int read_series(struct expo *x, const char *p, struct expo_entry *out, struct err *e)
{
    const char *start = p, *q;
    struct raw_labels raw = {0};

    while (p < x->end && is_class(*p, C_NAME))
        p++;
    if (p > start)
        raw.metric = str_n(start, (size_t)(p - start));
    q = blanks(p, x->end);
    if (q < x->end && *q == '{') {
        p = expo_scan_labels(x, q + 1, x->end, false, false, &raw, e);
        if (!p)
            return ERR_INVALID;
    }
    if (!raw.metric.p)
        return expo_fail(x, start, e, "the metric has no name");
    out->kind = EXPO_SERIES;
    out->series = str_n(start, (size_t)(p - start));
    out->normalise_le = x->type == METRIC_HISTOGRAM;
    out->normalise_quantile = x->type == METRIC_SUMMARY;
    return read_value(x, p, out, e);
}

int expo_text_next(struct expo *x, struct expo_entry *out, struct err *e)
{
    const char *p = x->at;

    memset(out, 0, sizeof(*out));
    while (p < x->end && (*p == '\n' || is_class(*p, C_BLANK)))
        p++;
    x->at = p;
    if (p >= x->end) {
        out->kind = EXPO_END;
        return 0;
    }
    if (*p == '#')
        return read_hash(x, p, out, e);
    if (*p == '{' || is_class(*p, C_NAME0))
        return read_series(x, p, out, e);
    return expo_fail(x, p, e, "expected a valid start token");
}
