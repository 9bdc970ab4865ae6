/*
 * series_desc.c - see series_desc.h. The name and labels are read with PromQL's lexer; from the first space after them
 * the line has a language of its own, in which a space separates and a sign belongs to the number behind it.
 */
#include "tests/conformance/series_desc.h"

#include "query/promql/ast.h"
#include "query/promql/lex.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { VALUES_MAX = 10 * 1000 * 1000 };

struct reader {
    struct arena *a;
    struct str text;
    size_t pos;
    struct sd_value *values;
    uint32_t n, cap;
    struct err *e;
};

static int fail_at(struct reader *r, size_t pos, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail_at(struct reader *r, size_t pos, const char *fmt, ...)
{
    unsigned line, col;
    char words[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    promql_position(r->text, (uint32_t)pos, &line, &col);
    return err_set(r->e, ERR_INVALID, "%u:%u: parse error: %s", line, col, words);
}

/* --- name and labels --------------------------------------------------------------------------------- */

static int unexpected_token(struct reader *r, const struct token *t, const char *expected)
{
    struct buf b = {0};
    int rc;

    if (t->type == T_ERROR)
        return fail_at(r, t->pos, "%.*s", STR_ARG(t->val));
    pq_describe(&b, t);
    rc = fail_at(r, t->pos, "unexpected %s in label set, expected %s", buf_z(&b), expected);
    buf_release(&b);
    return rc;
}

struct labels_in {
    struct label v[256];
    uint32_t n;
};

static int add_label(struct reader *r, struct labels_in *ls, struct str name, struct str value)
{
    if (ls->n == ARRAY_LEN(ls->v))
        return fail_at(r, 0, "more than %zu labels", ARRAY_LEN(ls->v));
    ls->v[ls->n++] = (struct label){name, value};
    return 0;
}

/* name="value", or a bare string, which is the metric's name. *t is what follows. */
static int read_label(struct reader *r, struct lexer *l, struct labels_in *ls, struct token *t)
{
    struct token name = *t;
    struct str label;

    if (name.type != T_IDENT && name.type != T_STRING)
        return unexpected_token(r, t, "identifier or \"}\"");
    label = name.type == T_STRING ? pq_unquote(r->a, name.val) : name.val;
    *t = pq_lex_next(l);
    if (t->type != T_EQL) {
        if (name.type == T_IDENT)
            return unexpected_token(r, t, "\"=\"");
        return add_label(r, ls, STR(LABEL_NAME), label);
    }
    *t = pq_lex_next(l);
    if (t->type != T_STRING)
        return unexpected_token(r, t, "string");
    if (add_label(r, ls, label, pq_unquote(r->a, t->val)) < 0)
        return ERR_INVALID;
    *t = pq_lex_next(l);
    return 0;
}

static int read_label_set(struct reader *r, struct lexer *l, struct labels_in *ls)
{
    struct token t = pq_lex_next(l);

    while (t.type != T_RBRACE) {
        if (read_label(r, l, ls, &t) < 0)
            return ERR_INVALID;
        if (t.type == T_COMMA)
            t = pq_lex_next(l);
        else if (t.type != T_RBRACE)
            return unexpected_token(r, &t, "\",\" or \"}\"");
    }
    return 0;
}

static bool is_name(const struct token *t)
{
    return t->type == T_IDENT || t->type == T_METRIC_IDENT || t->type >= T_LAND;
}

static int read_metric(struct reader *r, struct labels *out)
{
    struct labels_in ls = {.n = 0};
    struct lexer l;
    struct token t;
    bool braces;

    pq_lex_init(&l, r->a, r->text);
    t = pq_lex_next(&l);
    if (t.type == T_ERROR)
        return fail_at(r, t.pos, "%.*s", STR_ARG(t.val));
    braces = t.type == T_LBRACE;
    if (is_name(&t)) {
        if (add_label(r, &ls, STR(LABEL_NAME), t.val) < 0)
            return ERR_INVALID;
        braces = l.pos < r->text.n && r->text.p[l.pos] == '{';
        if (braces)
            pq_lex_next(&l);
    } else if (!braces) {
        return fail_at(r, t.pos, "unexpected \"%.*s\"", STR_ARG(t.val));
    }
    if (braces && read_label_set(r, &l, &ls) < 0)
        return ERR_INVALID;
    r->pos = l.pos;
    out->n = ls.n;
    out->v = arena_array(r->a, struct label, ls.n + 1);
    memcpy(out->v, ls.v, ls.n * sizeof *ls.v);
    return labels_normalise(out, r->e);
}

/* --- characters and numbers --------------------------------------------------------------------------- */

static char peek_at(const struct reader *r, size_t ahead)
{
    return r->pos + ahead < r->text.n ? r->text.p[r->pos + ahead] : 0;
}

static bool take(struct reader *r, char c)
{
    if (r->pos >= r->text.n || peek_at(r, 0) != c)
        return false;
    r->pos++;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool skip_spaces(struct reader *r)
{
    size_t from = r->pos;

    while (r->pos < r->text.n && is_space(peek_at(r, 0)))
        r->pos++;
    return r->pos > from;
}

static int unexpected_in(struct reader *r, const char *where)
{
    struct buf b = {0};
    int rc;

    if (r->pos >= r->text.n)
        return fail_at(r, r->pos, "unexpected end of input in %s", where);
    buf_put_quoted(&b, str_n(r->text.p + r->pos, 1));
    rc = fail_at(r, r->pos, "unexpected %s in %s", buf_z(&b), where);
    buf_release(&b);
    return rc;
}

static int unexpected(struct reader *r)
{
    return unexpected_in(r, "series values");
}

static struct str word_here(const struct reader *r)
{
    size_t n = 0;

    while (is_alpha(peek_at(r, n)))
        n++;
    return str_n(r->text.p + r->pos, n);
}

/* How long the number here is. 0x1f is one, but 0x10 is "0, ten times more". */
static size_t number_length(const struct reader *r)
{
    size_t n = 0, hex = 2;
    bool letter = false;

    if (peek_at(r, 0) == '0' && peek_at(r, 1) == 'x') {
        for (; is_digit(peek_at(r, hex)) || ((peek_at(r, hex) | 0x20) >= 'a' && (peek_at(r, hex) | 0x20) <= 'f'); hex++)
            letter |= !is_digit(peek_at(r, hex));
        if (letter)
            return hex;
    }
    for (;; n++) {
        char c = peek_at(r, n), before = n ? peek_at(r, n - 1) : 0;

        if (!is_digit(c) && c != '.' && c != 'e' && c != 'E' && !((c == '+' || c == '-') && (before | 0x20) == 'e'))
            return n;
    }
}

/* [sign] number, also Inf and NaN. */
static int read_number(struct reader *r, bool sign_allowed, double *v)
{
    bool negative = false;
    struct str word, text, why;

    if (sign_allowed && (peek_at(r, 0) == '-' || peek_at(r, 0) == '+'))
        negative = r->text.p[r->pos++] == '-';
    word = word_here(r);
    if (str_eq_nocase(word, STR("inf")) || str_eq_nocase(word, STR("nan")))
        text = word;
    else
        text = str_n(r->text.p + r->pos, number_length(r));
    if (text.n == 0)
        return unexpected(r);
    if (!pq_number(r->a, text, v, &why))
        return fail_at(r, r->pos, "%.*s", STR_ARG(why));
    if (negative)
        *v = -*v;
    r->pos += text.n;
    return 0;
}

static int read_uint(struct reader *r, uint64_t *v)
{
    size_t n = 0;

    while (is_digit(peek_at(r, n)))
        n++;
    if (n == 0)
        return unexpected(r);
    if (!str_to_u64(str_n(r->text.p + r->pos, n), v) || *v > VALUES_MAX)
        return fail_at(r, r->pos, "invalid repetition in series values: %.*s is more than %d", (int)MIN(n, (size_t)40),
                       r->text.p + r->pos, VALUES_MAX);
    r->pos += n;
    return 0;
}

static int read_int(struct reader *r, int32_t *v)
{
    bool negative = take(r, '-');
    uint64_t u;

    if (read_uint(r, &u) < 0)
        return ERR_INVALID;
    *v = negative ? -(int32_t)u : (int32_t)u;
    return 0;
}

/* --- histograms --------------------------------------------------------------------------------------- */

enum field { F_SCHEMA, F_SUM, F_COUNT, F_Z, F_ZW, F_CUSTOM, F_POS, F_OFFSET, F_NEG, F_NOFFSET, F_HINT, FIELDS };

static const char *const field_names[FIELDS] = {
    "schema",  "sum",    "count",     "z_bucket", "z_bucket_w",        "custom_values",
    "buckets", "offset", "n_buckets", "n_offset", "counter_reset_hint"};

static int read_list(struct reader *r, double **out, uint32_t *n)
{
    uint32_t cap = 0;

    *n = 0;
    if (!take(r, '['))
        return unexpected(r);
    for (;;) {
        double v;

        if (*n && skip_spaces(r) && take(r, ']'))
            return 0;
        if (*n && take(r, ']'))
            return 0;
        if (*n && !is_space(r->text.p[r->pos - 1]))
            return unexpected(r);
        if (read_number(r, true, &v) < 0)
            return ERR_INVALID;
        if (*n == cap) {
            double *more = arena_array(r->a, double, cap ? cap * 2 : 8);

            if (cap)
                memcpy(more, *out, cap * sizeof *more);
            *out = more;
            cap = cap ? cap * 2 : 8;
        }
        (*out)[(*n)++] = v;
    }
}

static int bad_word(struct reader *r, struct str word)
{
    return fail_at(r, r->pos, "bad histogram descriptor found: \"%.*s\"", STR_ARG(word));
}

static int read_hint(struct reader *r, struct sd_histogram *h)
{
    static const char *const hints[] = {"unknown", "reset", "not_reset", "gauge"};
    struct str word = word_here(r);

    for (size_t i = 0; i < ARRAY_LEN(hints); i++)
        if (str_eq_nocase(word, str_of(hints[i]))) {
            h->hint = (enum sd_hint)i;
            h->hint_set = true;
            r->pos += word.n;
            return 0;
        }
    return word.n ? bad_word(r, word) : unexpected(r);
}

static int read_value_of(struct reader *r, enum field f, struct sd_histogram *h)
{
    switch (f) {
    case F_SCHEMA:
        return read_int(r, &h->schema);
    case F_SUM:
        return read_number(r, true, &h->sum);
    case F_COUNT:
        return read_number(r, true, &h->count);
    case F_Z:
        return read_number(r, true, &h->zero_count);
    case F_ZW:
        return read_number(r, false, &h->zero_threshold);
    case F_CUSTOM:
        return read_list(r, &h->custom, &h->ncustom);
    case F_POS:
        return read_list(r, &h->pos, &h->npos);
    case F_OFFSET:
        return read_int(r, &h->pos_offset);
    case F_NEG:
        return read_list(r, &h->neg, &h->nneg);
    case F_NOFFSET:
        return read_int(r, &h->neg_offset);
    default:
        return read_hint(r, h);
    }
}

static int read_field(struct reader *r, unsigned *seen, struct sd_histogram *h)
{
    struct str word = word_here(r);
    unsigned f = 0;

    if (word.n == 0)
        return unexpected(r);
    while (f < FIELDS && !str_eq_nocase(word, str_of(field_names[f])))
        f++;
    if (f == FIELDS)
        return bad_word(r, word);
    if (peek_at(r, word.n) != ':')
        return fail_at(r, r->pos, "missing `:` for histogram descriptor");
    if (*seen & 1u << f)
        return fail_at(r, 0, "duplicate key \"%s\" in histogram", field_names[f]);
    *seen |= 1u << f;
    r->pos += word.n + 1;
    return read_value_of(r, (enum field)f, h);
}

/* "{{" fields "}}" */
static int read_histogram(struct reader *r, struct sd_histogram **out)
{
    struct sd_histogram *h = arena_new(r->a, struct sd_histogram);
    unsigned seen = 0;

    if (peek_at(r, 0) != '{' || peek_at(r, 1) != '{')
        return unexpected(r);
    r->pos += 2;
    if (skip_spaces(r) && peek_at(r, 0) != '}') /* {{ }} may be, {{ schema:1}} not */
        return unexpected(r);
    while (peek_at(r, 0) != '}') {
        if (read_field(r, &seen, h) < 0)
            return ERR_INVALID;
        if (!skip_spaces(r) && peek_at(r, 0) != '}')
            return unexpected_in(r, "histogram description, expected histogram description key, e.g. buckets:[5 10 7]");
    }
    r->pos++;
    if (!take(r, '}'))
        return unexpected(r);
    *out = h;
    return 0;
}

/* Index of the bucket that bucket i becomes at a resolution `by` schemas lower. */
static int32_t coarser(int32_t i, int32_t by)
{
    return by ? ((i - 1) >> by) + 1 : i;
}

/* a's run plus sign times b's, b first brought to a's resolution. */
static void add_run(struct arena *mem, const double *a, uint32_t na, int32_t aoff, const double *b, uint32_t nb,
                    int32_t boff, int32_t by, double sign, double **out, uint32_t *n, int32_t *off)
{
    int32_t lo, hi;

    if (nb == 0) {
        *out = (double *)a;
        *n = na;
        *off = aoff;
        return;
    }
    lo = coarser(boff, by);
    hi = coarser(boff + (int32_t)nb - 1, by) + 1;
    if (na) {
        lo = MIN(lo, aoff);
        hi = MAX(hi, aoff + (int32_t)na);
    }
    *n = (uint32_t)(hi - lo);
    *off = lo;
    *out = arena_array(mem, double, *n);
    for (uint32_t i = 0; i < na; i++)
        (*out)[aoff - lo + (int32_t)i] = a[i];
    for (uint32_t i = 0; i < nb; i++)
        (*out)[coarser(boff + (int32_t)i, by) - lo] += sign * b[i];
}

static int combine(struct reader *r, const struct sd_histogram *a, const struct sd_histogram *b, double sign,
                   struct sd_histogram **out)
{
    struct sd_histogram *h = arena_new(r->a, struct sd_histogram);
    int32_t by;

    if (a->schema > b->schema)
        return fail_at(r, r->pos, "error combining histograms: cannot merge from schema %d to %d", b->schema,
                       a->schema);
    if ((a->schema == -53) != (b->schema == -53))
        return fail_at(r, r->pos, "error combining histograms: cannot mix custom and exponential buckets");
    if (a->ncustom != b->ncustom || (a->ncustom && memcmp(a->custom, b->custom, a->ncustom * sizeof *a->custom) != 0))
        return fail_at(r, r->pos, "error combining histograms: different custom bounds");
    by = b->schema - a->schema;
    *h = *a;
    h->sum += sign * b->sum;
    h->count += sign * b->count;
    h->zero_count += sign * b->zero_count;
    h->zero_threshold = MAX(a->zero_threshold, b->zero_threshold);
    add_run(r->a, a->pos, a->npos, a->pos_offset, b->pos, b->npos, b->pos_offset, by, sign, &h->pos, &h->npos,
            &h->pos_offset);
    add_run(r->a, a->neg, a->nneg, a->neg_offset, b->neg, b->nneg, b->neg_offset, by, sign, &h->neg, &h->nneg,
            &h->neg_offset);
    *out = h;
    return 0;
}

/* --- items --------------------------------------------------------------------------------------------- */

static int add_value(struct reader *r, struct sd_value v)
{
    if (r->n == VALUES_MAX)
        return fail_at(r, r->pos, "more than %d values", VALUES_MAX);
    if (r->n == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : 32;
        struct sd_value *more = arena_array(r->a, struct sd_value, cap);

        if (r->n)
            memcpy(more, r->values, r->n * sizeof *more);
        r->values = more;
        r->cap = cap;
    }
    r->values[r->n++] = v;
    return 0;
}

static int read_omitted(struct reader *r)
{
    uint64_t times = 1;

    r->pos++;
    if (take(r, 'x') && read_uint(r, &times) < 0)
        return ERR_INVALID;
    for (; times > 0; times--)
        if (add_value(r, (struct sd_value){.omitted = true}) < 0)
            return ERR_INVALID;
    return 0;
}

static int read_floats(struct reader *r)
{
    double v, step = 0;
    uint64_t times = 0;
    struct str word = word_here(r);

    if (str_eqz(word, "stale")) {
        r->pos += word.n;
        v = f64_from_bits(STALE_NAN_BITS);
    } else if (word.n && !str_eq_nocase(word, STR("inf")) && !str_eq_nocase(word, STR("nan"))) {
        return fail_at(r, r->pos, "unexpected identifier \"%.*s\" in series values, expected number or \"stale\"",
                       STR_ARG(word));
    } else if (read_number(r, true, &v) < 0) {
        return ERR_INVALID;
    }
    if (peek_at(r, 0) == '+' || peek_at(r, 0) == '-') {
        if (read_number(r, true, &step) < 0)
            return ERR_INVALID;
        if (peek_at(r, 0) != 'x')
            return unexpected(r);
    }
    if (take(r, 'x') && read_uint(r, &times) < 0)
        return ERR_INVALID;
    for (uint64_t i = 0; i <= times; i++, v += step)
        if (add_value(r, (struct sd_value){.v = v}) < 0)
            return ERR_INVALID;
    return 0;
}

static int read_histograms(struct reader *r)
{
    struct sd_histogram *h, *step = NULL;
    double sign = 1;
    uint64_t times = 0;

    if (read_histogram(r, &h) < 0)
        return ERR_INVALID;
    if (peek_at(r, 0) == '+' || peek_at(r, 0) == '-') {
        sign = r->text.p[r->pos++] == '+' ? 1 : -1;
        if (read_histogram(r, &step) < 0)
            return ERR_INVALID;
        if (peek_at(r, 0) != 'x')
            return unexpected(r);
    }
    if (take(r, 'x') && read_uint(r, &times) < 0)
        return ERR_INVALID;
    for (uint64_t i = 0;; i++) {
        if (add_value(r, (struct sd_value){.h = h}) < 0)
            return ERR_INVALID;
        if (i == times)
            return 0;
        if (step && combine(r, h, step, sign, &h) < 0)
            return ERR_INVALID;
    }
}

static int read_item(struct reader *r)
{
    if (peek_at(r, 0) == '_')
        return read_omitted(r);
    if (peek_at(r, 0) == '{')
        return read_histograms(r);
    return read_floats(r);
}

/* --- the line ------------------------------------------------------------------------------------------- */

int series_desc_parse(struct arena *a, struct str line, struct series_desc *out, struct err *e)
{
    struct reader r = {.a = a, .text = line, .e = e};
    struct labels labels;
    int rc = read_metric(&r, &labels);

    if (rc < 0)
        return rc;
    while (r.pos < line.n) {
        if (!skip_spaces(&r))
            return unexpected(&r);
        if (r.pos < line.n && (rc = read_item(&r)) < 0)
            return rc;
    }
    *out = (struct series_desc){.labels = labels, .values = r.values, .n = r.n};
    return 0;
}

int series_desc_metric(struct arena *a, struct str line, struct labels *out, struct str *rest, struct err *e)
{
    struct reader r = {.a = a, .text = line, .e = e};
    int rc = read_metric(&r, out);

    if (rc == 0)
        *rest = str_from(line, r.pos);
    return rc;
}
