/* conf_get.c - typed reading of the tree that conf.c makes. Every fault names file and line. */
#include "base/conf.h"
#include "base/num.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const kind_names[] = {"null", "a single value", "a list", "a map"};

int conf_err(const struct conf *c, struct err *e, const char *fmt, ...)
{
    char words[sizeof e->text];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return err_set(e, ERR_INVALID, "%.*s:%d: %s", STR_ARG(c->file), c->line, words);
}

struct conf *conf_get(struct conf *c, const char *key)
{
    if (!c || c->kind != CONF_MAP)
        return NULL;
    for (uint32_t i = 0; i < c->n; i++)
        if (str_eqz(c->keys[i], key)) {
            c->used[i] = true;
            return c->items[i]->kind == CONF_NULL ? NULL : c->items[i];
        }
    return NULL;
}

int conf_want(const struct conf *c, enum conf_kind kind, const char *what, struct err *e)
{
    if (c->kind == kind)
        return 0;
    return conf_err(c, e, "%s must be %s, not %s", what, kind_names[kind], kind_names[c->kind]);
}

static int wrong(const struct conf *v, const char *key, const char *want, struct err *e)
{
    return conf_err(v, e, "%s: \"%.*s\" is not %s", key, STR_ARG(str_head(v->text, 100)), want);
}

/* The scalar of key in *out, or NULL there when it is absent. */
static int get_scalar(struct conf *c, const char *key, struct conf **out, struct err *e)
{
    *out = conf_get(c, key);
    return *out ? conf_want(*out, CONF_SCALAR, key, e) : 0;
}

int conf_str(struct conf *c, const char *key, struct str *out, struct err *e)
{
    struct conf *v;
    int rc = get_scalar(c, key, &v, e);

    if (rc == 0 && v)
        *out = v->text;
    return rc;
}

int conf_bool(struct conf *c, const char *key, bool *out, struct err *e)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    struct conf *v;
    int rc = get_scalar(c, key, &v, e);

    if (rc < 0 || !v)
        return rc;
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!v->quoted && str_eq_nocase(v->text, str_of(words[i]))) {
            *out = i & 1;
            return 0;
        }
    return wrong(v, key, "true or false", e);
}

/* 0x1f and 0o17, with a sign. */
static bool parse_based(struct str s, int64_t *out)
{
    bool minus = s.n && s.p[0] == '-';
    uint64_t v = 0;
    unsigned base;

    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_from(s, 1);
    if (s.n < 3 || s.p[0] != '0' || (s.p[1] != 'x' && s.p[1] != 'o'))
        return false;
    base = s.p[1] == 'x' ? 16 : 8;
    for (size_t i = 2; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        unsigned d = 99;

        if (ch >= '0' && ch <= '9')
            d = (unsigned)ch - '0';
        else if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f')
            d = (ch | 0x20u) - 'a' + 10;
        if (d >= base || v > (uint64_t)INT64_MAX / base - 1)
            return false;
        v = v * base + d;
    }
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

int conf_i64(struct conf *c, const char *key, int64_t *out, struct err *e)
{
    struct conf *v;
    int rc = get_scalar(c, key, &v, e);
    double d;

    if (rc < 0 || !v)
        return rc;
    if (v->quoted)
        return wrong(v, key, "a whole number", e);
    if (str_to_i64(v->text, out) || parse_based(v->text, out))
        return 0;
    if (num_parse(v->text, &d, NULL) && floor(d) == d && fabs(d) < 9.2e18) { /* 1e6 */
        *out = (int64_t)d;
        return 0;
    }
    return wrong(v, key, "a whole number", e);
}

int conf_f64(struct conf *c, const char *key, double *out, struct err *e)
{
    struct conf *v;
    int rc = get_scalar(c, key, &v, e);
    struct str t;
    bool range;

    if (rc < 0 || !v)
        return rc;
    t = v->text;
    if (str_eq_nocase(t, STR(".nan")) || str_eq_nocase(t, STR(".inf")))
        t = str_from(t, 1);
    else if (str_eq_nocase(t, STR("-.inf")))
        t = STR("-inf");
    else if (str_eq_nocase(t, STR("+.inf")))
        t = STR("+inf");
    if (v->quoted || !num_parse(t, out, &range) || range)
        return wrong(v, key, "a number", e);
    return 0;
}

int conf_duration(struct conf *c, const char *key, int64_t *ms, struct err *e)
{
    struct conf *v;
    struct err why;
    int rc = get_scalar(c, key, &v, e);

    if (rc < 0 || !v)
        return rc;
    if (duration_parse(v->text, ms, &why) < 0)
        return conf_err(v, e, "%s: %s", key, why.text);
    return 0;
}

int conf_size(struct conf *c, const char *key, uint64_t *bytes, struct err *e)
{
    struct conf *v;
    struct err why;
    int rc = get_scalar(c, key, &v, e);

    if (rc < 0 || !v)
        return rc;
    if (size_parse(v->text, bytes, &why) < 0)
        return conf_err(v, e, "%s: %s", key, why.text);
    return 0;
}

int conf_strs(struct arena *a, struct conf *c, const char *key, struct str **out, uint32_t *n, struct err *e)
{
    struct conf *v = conf_get(c, key);
    struct str *list;
    int rc;

    if (!v)
        return 0;
    rc = conf_want(v, CONF_LIST, key, e);
    if (rc < 0)
        return rc;
    list = arena_array(a, struct str, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->items[i]->kind == CONF_NULL)
            continue; /* an empty item is an empty string */
        rc = conf_want(v->items[i], CONF_SCALAR, key, e);
        if (rc < 0)
            return rc;
        list[i] = v->items[i]->text;
    }
    *out = list;
    *n = v->n;
    return 0;
}

int conf_finish(const struct conf *c, const char *what, struct err *e)
{
    if (!c || c->kind != CONF_MAP)
        return 0;
    for (uint32_t i = 0; i < c->n; i++)
        if (!c->used[i])
            return err_set(e, ERR_INVALID, "%.*s:%d: unknown key \"%.*s\" in %s", STR_ARG(c->file), c->key_lines[i],
                           STR_ARG(str_head(c->keys[i], 100)), what);
    return 0;
}
