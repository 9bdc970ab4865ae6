/* stage_line.c - truncate, decolorize and luhn: stages that change texts without looking for meaning in them. */
#include "collector/files/pipeline.h"

/* --- decolorize ---------------------------------------------------------------------------------------------- */

static int read_decolorize(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    (void)r;
    (void)s;
    if (conf_want(c, CONF_MAP, "decolorize", e) < 0)
        return ERR_INVALID;
    return conf_finish(c, "decolorize", e);
}

/* The length of the control sequence at the beginning of s (ESC [ ... letter), or 0. */
static size_t sequence(struct str s)
{
    size_t i = 2;

    if (s.n < 3 || s.p[0] != 0x1b || s.p[1] != '[')
        return 0;
    while (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == ';' || s.p[i] == ':' || s.p[i] == '?'))
        i++;
    return i < s.n && ((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z') ? i + 1 : 0;
}

static enum stage_result run_decolorize(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    char *out, *o;

    (void)s;
    if (str_chr(en->line, 0x1b) < 0)
        return STAGE_NEXT;
    o = out = arena_alloc(run->a, en->line.n + 1);
    for (size_t i = 0; i < en->line.n;) {
        size_t n = sequence(str_from(en->line, i));

        if (n)
            i += n;
        else
            *o++ = en->line.p[i++];
    }
    en->line = str_n(out, (size_t)(o - out));
    return STAGE_NEXT;
}

const struct stage_type pipe_decolorize = {.name = "decolorize", .read = read_decolorize, .run = run_decolorize};

/* --- luhn ------------------------------------------------------------------------------------------------------ */

struct luhn_config {
    struct str source, replacement, delimiters;
    int64_t digits_min;
};

static int read_luhn(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct luhn_config *k = arena_new(r->a, struct luhn_config);

    s->config = k;
    k->source = k->delimiters = STR("");
    k->replacement = STR("**REDACTED**");
    k->digits_min = 13;
    if (conf_want(c, CONF_MAP, "luhn", e) < 0 || conf_str(c, "source", &k->source, e) < 0 ||
        conf_str(c, "replacement", &k->replacement, e) < 0 || conf_str(c, "delimiters", &k->delimiters, e) < 0 ||
        conf_i64(c, "min_length", &k->digits_min, e) < 0)
        return ERR_INVALID;
    if (k->digits_min < 1)
        return conf_err(c, e, "luhn: min_length must be above 0");
    k->source = arena_dup(r->a, k->source);
    k->replacement = arena_dup(r->a, k->replacement);
    k->delimiters = arena_dup(r->a, k->delimiters);
    return conf_finish(c, "luhn", e);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The number at the beginning of s, with delimiters between its digits; it ends with a digit. */
static size_t number_at(struct str s, struct str delimiters)
{
    size_t end = 0;

    for (size_t i = 0; i < s.n && (is_digit(s.p[i]) || str_chr(delimiters, s.p[i]) >= 0); i++)
        end = is_digit(s.p[i]) ? i + 1 : end;
    return end;
}

/* Luhn's sum: from the end every second digit counts twice, its own digits added up. */
static bool is_luhn(struct str number, int64_t digits_min)
{
    int64_t digits = 0;
    unsigned sum = 0;

    for (size_t i = number.n; i-- > 0;) {
        unsigned d = (unsigned)(number.p[i] - '0');

        if (!is_digit(number.p[i]))
            continue;
        d = digits++ % 2 ? d * 2 : d;
        sum += d > 9 ? d - 9 : d;
        sum %= 10; /* a line has as many digits as it likes */
    }
    return digits >= digits_min && sum == 0;
}

/* Numbers that may be those of payment cards are replaced. */
static enum stage_result run_luhn(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct luhn_config *k = s->config;
    struct buf out = {0};
    bool any = false;
    struct str text;

    if (!entry_input(run, en, k->source, &text))
        return STAGE_NEXT;
    for (size_t i = 0; i < text.n;) {
        size_t n = is_digit(text.p[i]) ? number_at(str_from(text, i), k->delimiters) : 0;
        bool hide = n && is_luhn(str_n(text.p + i, n), k->digits_min);

        buf_puts(&out, hide ? k->replacement : str_n(text.p + i, MAX(n, (size_t)1)));
        any |= hide;
        i += MAX(n, (size_t)1);
    }
    if (any && k->source.n)
        entry_set(run, en, k->source, arena_dup(run->a, buf_str(&out)));
    else if (any)
        en->line = arena_dup(run->a, buf_str(&out));
    buf_release(&out);
    return STAGE_NEXT;
}

const struct stage_type pipe_luhn = {.name = "luhn", .read = read_luhn, .run = run_luhn};

/* --- truncate ------------------------------------------------------------------------------------------------ */

enum truncate_what { TRUNCATE_LINE, TRUNCATE_LABEL, TRUNCATE_META, TRUNCATE_EXTRACTED };

struct truncate_rule {
    uint64_t limit;
    struct str source, suffix;
    enum truncate_what what;
};

struct truncate_config {
    struct truncate_rule *v;
    uint32_t n;
};

static int read_rule(struct arena *a, struct conf *c, struct truncate_rule *r, struct err *e)
{
    static const char *const whats[] = {"line", "label", "structured_metadata", "extracted"};
    struct str what = STR("line");
    size_t i = 0;

    r->source = r->suffix = STR("");
    if (conf_want(c, CONF_MAP, "truncate", e) < 0 || conf_size(c, "limit", &r->limit, e) < 0 || conf_str(c, "source", &r->source, e) < 0 ||
        conf_str(c, "suffix", &r->suffix, e) < 0 || conf_str(c, "source_type", &what, e) < 0)
        return ERR_INVALID;
    while (i < ARRAY_LEN(whats) && !str_eqz(what, whats[i]))
        i++;
    if (i == ARRAY_LEN(whats))
        return conf_err(c, e, "truncate: source_type is line, label, structured_metadata or extracted");
    r->what = (enum truncate_what)i;
    if (!r->limit || r->suffix.n >= r->limit)
        return conf_err(c, e, "truncate: a limit is required, and the suffix must be shorter");
    r->source = arena_dup(a, r->source);
    r->suffix = arena_dup(a, r->suffix);
    return conf_finish(c, "truncate", e);
}

/* One rule, or a list of them under `rules`. */
static int read_truncate(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct truncate_config *k = arena_new(r->a, struct truncate_config);
    struct conf *list;

    s->config = k;
    if (conf_want(c, CONF_MAP, "truncate", e) < 0)
        return ERR_INVALID;
    list = conf_get(c, "rules");
    if (!list) {
        k->v = arena_new(r->a, struct truncate_rule);
        k->n = 1;
        return read_rule(r->a, c, k->v, e);
    }
    if (conf_want(list, CONF_LIST, "rules", e) < 0)
        return ERR_INVALID;
    k->v = arena_array(r->a, struct truncate_rule, list->n + 1);
    for (uint32_t i = 0; i < list->n; i++) {
        if (read_rule(r->a, list->items[i], &k->v[k->n++], e) < 0)
            return ERR_INVALID;
    }
    return conf_finish(c, "truncate", e);
}

/* No character is cut in two. */
static struct str cut(struct arena *a, const struct truncate_rule *r, struct str s)
{
    size_t n = (size_t)r->limit - r->suffix.n;
    char *out;

    if (s.n <= r->limit)
        return s;
    while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    out = arena_alloc(a, n + r->suffix.n + 1);
    memcpy(out, s.p, n);
    memcpy(out + n, r->suffix.p, r->suffix.n);
    return str_n(out, n + r->suffix.n);
}

static enum stage_result run_truncate(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct truncate_config *k = s->config;

    for (uint32_t i = 0; i < k->n; i++) {
        const struct truncate_rule *r = &k->v[i];

        switch (r->what) {
        case TRUNCATE_LINE:
            en->line = cut(run->a, r, en->line);
            break;
        case TRUNCATE_LABEL:
            entry_own_labels(run, en);
            for (uint32_t l = 0; l < en->nlabels; l++) {
                if (!r->source.n || str_eq(en->labels[l].name, r->source))
                    en->labels[l].value = cut(run->a, r, en->labels[l].value);
            }
            break;
        case TRUNCATE_META:
            for (uint32_t l = 0; l < en->nmeta; l++) {
                if (!r->source.n || str_eq(en->meta[l].name, r->source))
                    en->meta[l].value = cut(run->a, r, en->meta[l].value);
            }
            break;
        case TRUNCATE_EXTRACTED:
            for (uint32_t l = 0; l < en->nx; l++) {
                if (en->x[l].value.p && (!r->source.n || str_eq(en->x[l].name, r->source)))
                    en->x[l].value = cut(run->a, r, en->x[l].value);
            }
            break;
        }
    }
    return STAGE_NEXT;
}

const struct stage_type pipe_truncate = {.name = "truncate", .read = read_truncate, .run = run_truncate};
