/*
 * expo.c - what the three exposition readers share: errors with their place, label lists, numbers, labels of a series.
 *
 * (1) The body is never written to and never copied; only what carries an escape is rebuilt, in the arena.
 * (2) A line is read without allocating. Labels are built when someone asks (expo_labels), which is once in the life of
 *     a series, by reading its text again: what was checked once cannot fail for its form the second time.
 * (3) No NaN leaves here but the normal one: a body cannot carry a staleness marker.
 */
#include "collector/scrape/expo_read.h"

#include <math.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define UPPER  (C_NAME0 | C_NAME | C_LABEL0 | C_LABEL)
#define DIGITS (C_NAME | C_LABEL | C_DIGIT)
const uint8_t expo_class[256] = {
    ['a' ... 'z'] = UPPER,  ['A' ... 'Z'] = UPPER, ['_'] = UPPER,    [':'] = C_NAME0 | C_NAME,
    ['0' ... '9'] = DIGITS, [' '] = C_BLANK,       ['\t'] = C_BLANK,
};

/* --- errors ------------------------------------------------------------------------------------- */

static void put_seen(struct buf *out, const char *p, const char *end)
{
    if (p >= end) {
        buf_putz(out, "the end of the body");
        return;
    }
    buf_putc(out, '"');
    for (int i = 0; i < 16 && p < end && *p != '\n'; i++, p++) {
        if ((uint8_t)*p < 0x20 || (uint8_t)*p >= 0x7f)
            buf_printf(out, "\\x%02x", (uint8_t)*p);
        else
            buf_putc(out, *p);
    }
    buf_putz(out, p < end && *p == '\n' ? "\\n\"" : "\"");
}

int expo_fail(struct expo *x, const char *where, struct err *e, const char *what)
{
    struct buf seen = {0};
    const char *line = x->body;
    int nline = 1, code;

    if (x->body && where) {
        for (const char *p = x->body; p < where && (p = memchr(p, '\n', (size_t)(where - p))); line = ++p)
            nline++;
    }
    x->bad = where;
    put_seen(&seen, where, x->end);
    code = err_set(e, ERR_INVALID, "line %d, column %d: %s, got %s", nline, where ? (int)(where - line) + 1 : 1, what,
                   buf_z(&seen));
    buf_release(&seen);
    return code;
}

/* --- strings and numbers ------------------------------------------------------------------------- */

const char *expo_scan_quoted(const char *p, const char *end, bool newline_ok, bool *high)
{
    for (;;) {
#ifdef __SSE2__
        while (end - p >= 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
            __m128i special = _mm_or_si128(
                _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))),
                _mm_cmpeq_epi8(v, _mm_set1_epi8('\n')));
            unsigned m = (unsigned)_mm_movemask_epi8(special), hi = (unsigned)_mm_movemask_epi8(v);

            if (!m) {
                *high |= hi != 0;
                p += 16;
                continue;
            }
            unsigned k = (unsigned)__builtin_ctz(m);
            *high |= (hi & ((1u << k) - 1)) != 0;
            p += k;
            break;
        }
#endif
        if (p >= end)
            return NULL;
        if (*p == '"')
            return p;
        if (*p == '\\') {
            if (end - p < 2 || p[1] == '\n')
                return NULL;
            *high |= (uint8_t)p[1] >= 0x80;
            p += 2;
            continue;
        }
        if (*p == '\n' && !newline_ok)
            return NULL;
        *high |= (uint8_t)*p >= 0x80;
        p++;
    }
}

static const double pow10_exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Plain decimals of up to 15 digits: digits and power are exact doubles, so one division rounds correctly. */
static bool short_decimal(const char *p, const char *end, double *v)
{
    bool neg = p < end && *p == '-';
    uint64_t m = 0;
    unsigned frac = 0;
    bool dot = false;
    const char *digits = p += neg;

    if (end - p < 1 || end - p > 15)
        return false;
    for (; p < end; p++) {
        unsigned d = (unsigned)(uint8_t)*p - '0';
        if (d < 10) {
            m = m * 10 + d;
            frac += dot;
        } else if (*p == '.' && !dot && end - digits > 1) {
            dot = true;
        } else {
            return false;
        }
    }
    *v = frac ? (double)m / pow10_exact[frac] : (double)m;
    if (neg)
        *v = -*v;
    return true;
}

const char *expo_number(const char *p, const char *end, double *v)
{
    bool range = false;

    if (short_decimal(p, end, v))
        return NULL;
    for (const char *q = p; q < end; q++) {
        if (*q == 'x' || *q == 'X' || *q == 'p' || *q == 'P' || *q == '_')
            return "unsupported character in a number";
    }
    if (!num_parse(str_n(p, (size_t)(end - p)), v, &range))
        return "not a number";
    if (range)
        return "the number is out of range";
    if (isnan(*v))
        *v = f64_from_bits(NORMAL_NAN_BITS);
    return NULL;
}

struct str expo_unescape(struct arena *a, struct str s, bool quote)
{
    char *out;
    size_t n = 0;

    if (str_chr(s, '\\') < 0)
        return s;
    out = arena_alloc(a, s.n);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : 0;

        if (c == '\\' && (next == '\\' || next == 'n' || (quote && next == '"'))) {
            c = next == 'n' ? '\n' : next;
            i++;
        }
        out[n++] = c;
    }
    return str_n(out, n);
}

struct str expo_canonical_number(struct arena *a, struct str s)
{
    char text[NUM_MAX];
    double v;
    bool range = false;

    if (!num_parse(s, &v, &range) || range)
        return s;
    if (v == 0)
        v = 0; /* -0 is written 0.0 */
    return arena_dup(a, str_n(text, num_fmt_label(v, text)));
}

bool expo_text_type(struct str s, bool strict, uint8_t *type)
{
    static const struct {
        const char *name;
        uint8_t type;
        bool text, om;
    } types[] = {
        {"counter", METRIC_COUNTER, true, true},
        {"gauge", METRIC_GAUGE, true, true},
        {"histogram", METRIC_HISTOGRAM, true, true},
        {"summary", METRIC_SUMMARY, true, true},
        {"untyped", METRIC_UNKNOWN, true, false},
        {"unknown", METRIC_UNKNOWN, false, true},
        {"info", METRIC_INFO, false, true},
        {"stateset", METRIC_STATESET, false, true},
        {"gaugehistogram", METRIC_GAUGEHISTOGRAM, false, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eqz(s, types[i].name) && (strict ? types[i].om : types[i].text)) {
            *type = types[i].type;
            return true;
        }
    }
    return false;
}

const char *expo_scan_family(struct expo *x, const char *p, struct str *name)
{
    const char *start = p;
    bool high = false;

    if (p < x->end && *p == '"') {
        const char *close = expo_scan_quoted(p + 1, x->end, true, &high);

        if (!close)
            return NULL;
        *name = expo_unescape(x->a, str_n(p + 1, (size_t)(close - p - 1)), true);
        return high && !utf8_valid(*name) ? NULL : close + 1;
    }
    if (p >= x->end || !is_class(*p, C_NAME0))
        return NULL;
    while (p < x->end && is_class(*p, C_NAME))
        p++;
    *name = str_n(start, (size_t)(p - start));
    return p;
}

/* --- label lists --------------------------------------------------------------------------------- */

static void collect(struct raw_labels *out, struct str name, struct str value)
{
    if (!out->a)
        return;
    if (out->n == out->cap) {
        uint32_t cap = out->cap ? out->cap * 2 : 16;
        struct raw_label *v = arena_alloc(out->a, sizeof(*v) * cap);

        if (out->n)
            memcpy(v, out->v, sizeof(*v) * out->n);
        out->v = v;
        out->cap = cap;
    }
    out->v[out->n++] = (struct raw_label){name, value};
}

static inline const char *skip_blanks(const char *p, const char *end, bool strict)
{
    while (!strict && p < end && is_class(*p, C_BLANK))
        p++;
    return p;
}

/* A label name, quoted or not. */
static const char *scan_label_name(struct expo *x, const char *p, const char *end, struct str *name, bool *quoted,
                                   struct err *e)
{
    const char *start = p;

    if (p < end && is_class(*p, C_LABEL0)) {
        while (p < end && is_class(*p, C_LABEL))
            p++;
        *name = str_n(start, (size_t)(p - start));
        *quoted = false;
        return p;
    }
    if (p < end && *p == '"') {
        bool high = false;
        const char *close = expo_scan_quoted(p + 1, end, true, &high);

        if (close) {
            *name = str_n(p + 1, (size_t)(close - p - 1));
            *quoted = true;
            if (!high || utf8_valid(*name))
                return close + 1;
            expo_fail(x, p, e, "the name is not UTF-8");
            return NULL;
        }
    }
    expo_fail(x, start, e, "expected label name");
    return NULL;
}

static const char *scan_label_value(struct expo *x, const char *p, const char *end, bool strict, struct str *value,
                                    struct err *e)
{
    bool high = false;
    const char *close;

    if (p >= end || *p != '"' || !(close = expo_scan_quoted(p + 1, end, !strict, &high))) {
        expo_fail(x, p, e, "expected label value");
        return NULL;
    }
    *value = str_n(p + 1, (size_t)(close - p - 1));
    if (high && !utf8_valid(*value)) {
        expo_fail(x, p, e, "the label value is not UTF-8");
        return NULL;
    }
    return close + 1;
}

static const char *fail_at(struct expo *x, const char *p, struct err *e, const char *what)
{
    expo_fail(x, p, e, what);
    return NULL;
}

const char *expo_scan_labels(struct expo *x, const char *p, const char *end, bool strict, bool exemplar,
                             struct raw_labels *out, struct err *e)
{
    for (;;) {
        struct str name, value;
        bool quoted;

        p = skip_blanks(p, end, strict);
        if (p < end && *p == '}')
            return p + 1;
        if (!(p = scan_label_name(x, p, end, &name, &quoted, e)))
            return NULL;
        p = skip_blanks(p, end, strict);
        if (quoted && !exemplar && p < end && (*p == ',' || *p == '}')) {
            /* A string that nothing is assigned to is the metric's name. */
            if (out->metric.p)
                return fail_at(x, name.p, e, "the metric has a name already");
            out->metric = name;
            if (*p++ == '}')
                return p;
            continue;
        }
        if (p >= end || *p != '=')
            return fail_at(x, p, e, "expected equal");
        p = skip_blanks(p + 1, end, strict);
        if (!(p = scan_label_value(x, p, end, strict, &value, e)))
            return NULL;
        collect(out, name, value);
        p = skip_blanks(p, end, strict);
        if (p < end && *p == ',')
            p++;
        else if (strict && (p >= end || *p != '}'))
            return fail_at(x, p, e, "expected comma or brace close");
    }
}

/* --- labels of a series ---------------------------------------------------------------------------- */

static int read_series(struct expo *x, struct str series, struct arena *a, struct raw_labels *out, struct err *e)
{
    const char *p = series.p, *end = series.p + series.n;

    *out = (struct raw_labels){.a = a};
    while (p < end && is_class(*p, C_NAME))
        p++;
    if (p > series.p)
        out->metric = str_n(series.p, (size_t)(p - series.p));
    p = skip_blanks(p, end, false);
    if (p < end && *p++ == '{' && !expo_scan_labels(x, p, end, false, false, out, e))
        return ERR_INVALID;
    if (out->metric.n == 0)
        return err_set(e, ERR_INVALID, "series %.*s has no metric name", STR_ARG(str_head(series, 200)));
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Also among those with an empty value, which labels_normalise would not see. */
static int check_unique(struct arena *a, const struct labels *ls, struct str series, struct err *e)
{
    struct label *v = arena_alloc(a, sizeof(*v) * ls->n);

    memcpy(v, ls->v, sizeof(*v) * ls->n);
    qsort(v, ls->n, sizeof(*v), by_name);
    for (uint32_t i = 1; i < ls->n; i++) {
        if (str_eq(v[i].name, v[i - 1].name))
            return err_set(e, ERR_INVALID, "label name \"%.*s\" is not unique in series %.*s",
                           STR_ARG(str_head(v[i].name, 100)), STR_ARG(str_head(series, 200)));
    }
    return 0;
}

int expo_labels_raw(struct expo *x, const struct expo_entry *en, struct arena *a, struct labels *out, struct err *e)
{
    struct raw_labels raw;
    int code = read_series(x, en->series, a, &raw, e);

    if (code < 0)
        return code;
    out->v = arena_alloc(a, sizeof(*out->v) * (raw.n + 1));
    out->n = 0;
    out->v[out->n++] = (struct label){STR(LABEL_NAME), expo_unescape(a, raw.metric, true)};
    for (uint32_t i = 0; i < raw.n; i++) {
        struct label l = {expo_unescape(a, raw.v[i].name, true), expo_unescape(a, raw.v[i].value, true)};

        if ((en->normalise_le && str_eq(l.name, STR("le"))) ||
            (en->normalise_quantile && str_eq(l.name, STR("quantile"))))
            l.value = expo_canonical_number(a, l.value);
        out->v[out->n++] = l;
    }
    return check_unique(a, out, en->series, e);
}

int expo_labels(struct expo *x, const struct expo_entry *en, struct arena *a, struct labels *out, struct err *e)
{
    int code = expo_labels_raw(x, en, a, out, e);

    return code < 0 ? code : labels_normalise(out, e);
}

/* --- front ---------------------------------------------------------------------------------------- */

struct expo *expo_new(struct arena *a, enum expo_format f, struct str body, const struct expo_opts *o)
{
    struct expo *x = arena_new(a, struct expo);

    x->a = a;
    x->format = f;
    x->body = x->at = body.p;
    x->end = body.n ? body.p + body.n : body.p;
    if (o)
        x->opts = *o;
    if (f == EXPO_PROTOBUF)
        x->proto = expo_proto_new(a);
    return x;
}

int expo_next(struct expo *x, struct expo_entry *out, struct err *e)
{
    int code = x->format == EXPO_TEXT          ? expo_text_next(x, out, e)
               : x->format == EXPO_OPENMETRICS ? expo_om_next(x, out, e)
                                               : expo_proto_next(x, out, e);

    if (code == 0 && out->kind == EXPO_SERIES && ++x->nseries > x->opts.series_max && x->opts.series_max)
        return err_set(e, ERR_LIMIT, "more than %llu samples in one body", (unsigned long long)x->opts.series_max);
    return code;
}

bool expo_format_of(struct str content_type, enum expo_format *out)
{
    struct str media = content_type;
    ptrdiff_t semi = str_chr(content_type, ';');

    if (semi >= 0)
        media = str_head(content_type, (size_t)semi);
    media = str_trim(media);
    if (str_eq_nocase(media, STR("text/plain")))
        *out = EXPO_TEXT;
    else if (str_eq_nocase(media, STR("application/openmetrics-text")))
        *out = EXPO_OPENMETRICS;
    else if (str_eq_nocase(media, STR("application/vnd.google.protobuf")))
        *out = EXPO_PROTOBUF;
    else
        return false;
    return true;
}
