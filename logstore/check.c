/*
 * check.c - what is refused, and the sentence that says so. The words are Loki's: clients, dashboards and people know them.
 */
#include "logstore/db.h"

#include <stdio.h>
#include <time.h>

enum { LABEL_NAME_MAX = 1024, LABEL_VALUE_MAX = 2048, STREAM_TEXT_MAX = 512 };

const char *log_verdict_reason(enum log_verdict v)
{
    static const char *const words[LOG_VERDICTS] = {
        [LOG_OK] = "",
        [LOG_SAME] = "",
        [LOG_TOO_OLD] = "greater_than_max_sample_age",
        [LOG_TOO_NEW] = "too_far_in_future",
        [LOG_LINE_TOO_LONG] = "line_too_long",
        [LOG_NO_LABELS] = "missing_labels",
        [LOG_BAD_LABELS] = "invalid_labels",
        [LOG_STREAM_LIMIT] = "stream_limit",
        [LOG_META_TOO_MANY] = "structured_metadata_too_many",
        [LOG_META_TOO_LARGE] = "structured_metadata_too_large",
    };

    return v < LOG_VERDICTS ? words[v] : "";
}

void log_print_stream(struct buf *out, const struct labels *ls)
{
    buf_putc(out, '{');
    for (uint32_t i = 0; i < ls->n; i++) {
        if (i)
            buf_putz(out, ", ");
        buf_puts(out, ls->v[i].name);
        buf_putc(out, '=');
        buf_put_quoted(out, ls->v[i].value);
    }
    buf_putc(out, '}');
}

/* The stream as text, cut to what fits a sentence. The caller releases it. */
static struct buf stream_text(const struct labels *ls)
{
    struct buf b = {0};

    log_print_stream(&b, ls);
    if (b.n > STREAM_TEXT_MAX)
        b.n = STREAM_TEXT_MAX;
    buf_z(&b);
    return b;
}

/* Seconds, as Go's time.RFC3339 prints them. */
static void time_text(int64_t ns, char out[64])
{
    time_t s = (time_t)(ns / 1000000000 - (ns % 1000000000 < 0));
    struct tm tm;

    if (!gmtime_r(&s, &tm) || strftime(out, 64, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(out, 64, "%lld s", (long long)s);
}

enum log_verdict log_check_labels(const struct logstore_opts *o, const struct labels *ls, struct err *e)
{
    uint32_t counted = ls->n;
    struct buf name = {0};

    if (ls->n == 0) {
        err_set(e, ERR_INVALID, "error at least one label pair is required per stream");
        return LOG_NO_LABELS;
    }
    for (uint32_t i = 0; i < ls->n; i++) {
        struct str text = ls->v[i].name.n > LABEL_NAME_MAX ? ls->v[i].name : ls->v[i].value;
        const char *what = ls->v[i].name.n > LABEL_NAME_MAX ? "name" : "value";
        counted -= str_eqz(ls->v[i].name, "service_name");
        if (ls->v[i].name.n <= LABEL_NAME_MAX && ls->v[i].value.n <= LABEL_VALUE_MAX)
            continue;
        if (e) {
            name = stream_text(ls);
            err_set(e, ERR_INVALID, "stream '%s' has label %s too long: '%.*s'", name.p, what, (int)MIN(text.n, (size_t)256), text.p);
            buf_release(&name);
        }
        return LOG_BAD_LABELS;
    }
    if (counted <= o->labels_max || o->labels_max == 0)
        return LOG_OK;
    if (e) {
        name = stream_text(ls);
        err_set(e, ERR_INVALID, "entry for stream '%s' has %u label names; limit %u", name.p, counted, o->labels_max);
        buf_release(&name);
    }
    return LOG_BAD_LABELS;
}

void log_refuse_stream(const struct labels *ls, struct err *e)
{
    struct buf name = stream_text(ls);

    err_set(e, ERR_LIMIT,
            "maximum active stream limit exceeded when trying to create stream %s, reduce the number of active streams (reduce labels or "
            "reduce label values), or contact your Loki administrator to see if the limit can be increased, user: 'fake'",
            name.p);
    buf_release(&name);
}

static enum log_verdict row_verdict(const struct log_check *c, int64_t t_ns, size_t line_bytes, uint32_t nmeta, size_t meta_bytes)
{
    const struct logstore_opts *o = c->opts;

    if (t_ns < c->oldest_ns)
        return LOG_TOO_OLD;
    if (t_ns > c->newest_ns)
        return LOG_TOO_NEW;
    if (o->line_bytes_max && line_bytes > o->line_bytes_max && !o->line_truncate)
        return LOG_LINE_TOO_LONG;
    if (o->meta_bytes_max && meta_bytes > o->meta_bytes_max)
        return LOG_META_TOO_LARGE;
    if ((o->meta_max && nmeta > o->meta_max) || nmeta > HEAD_META_MAX)
        return LOG_META_TOO_MANY;
    return LOG_OK;
}

static void row_sentence(const struct log_check *c, enum log_verdict v, const char *stream, int64_t t_ns, size_t line_bytes, uint32_t nmeta,
                         size_t meta_bytes, struct err *e)
{
    char t[64], oldest[64];

    time_text(t_ns, t);
    time_text(c->oldest_ns, oldest);
    switch (v) {
    case LOG_TOO_OLD:
        err_set(e, ERR_INVALID, "entry for stream '%s' has timestamp too old: %s, oldest acceptable timestamp is: %s", stream, t, oldest);
        break;
    case LOG_TOO_NEW:
        err_set(e, ERR_INVALID, "entry for stream '%s' has timestamp too new: %s", stream, t);
        break;
    case LOG_LINE_TOO_LONG:
        err_set(e, ERR_INVALID, "max entry size '%u' bytes exceeded for stream '%s' while adding an entry with length '%zu' bytes",
                c->opts->line_bytes_max, stream, line_bytes);
        break;
    case LOG_META_TOO_LARGE:
        err_set(e, ERR_INVALID,
                "stream '%s' has structured metadata too large: '%zu' bytes, limit: '%u' bytes. Please see "
                "`limits_config.max_structured_metadata_size` or contact your Loki administrator to increase it.",
                stream, meta_bytes, c->opts->meta_bytes_max);
        break;
    default:
        err_set(e, ERR_INVALID,
                "stream '%s' has too many structured metadata labels: '%u', limit: '%u'. Please see "
                "`limits_config.max_structured_metadata_entries_count` or contact your Loki administrator to increase it.",
                stream, nmeta, c->opts->meta_max ? c->opts->meta_max : (uint32_t)HEAD_META_MAX);
    }
}

enum log_verdict log_check_row(const struct log_check *c, const struct labels *ls, int64_t t_ns, size_t line_bytes, uint32_t nmeta,
                               size_t meta_bytes, struct err *e)
{
    enum log_verdict v = row_verdict(c, t_ns, line_bytes, nmeta, meta_bytes);

    if (v != LOG_OK && e) {
        struct buf stream = stream_text(ls);
        row_sentence(c, v, stream.p, t_ns, line_bytes, nmeta, meta_bytes, e);
        buf_release(&stream);
    }
    return v;
}
