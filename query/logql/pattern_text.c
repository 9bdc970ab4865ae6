/*
 * pattern_text.c - takes patterns apart and checks them.
 */
#include "query/logql/pattern_text.h"

/* Bytes of a <name> at the beginning of s, or 0. */
static size_t capture_length(struct str s)
{
    size_t n = 1;

    if (s.n < 3 || s.p[0] != '<')
        return 0;
    while (n < s.n && ((s.p[n] >= 'a' && s.p[n] <= 'z') || (s.p[n] >= 'A' && s.p[n] <= 'Z') || s.p[n] == '_' ||
                       (n > 1 && s.p[n] >= '0' && s.p[n] <= '9')))
        n++;
    return n > 1 && n < s.n && s.p[n] == '>' ? n + 1 : 0;
}

uint32_t lq_pattern_split(struct arena *a, struct str text, struct lq_pattern_part **out)
{
    struct lq_pattern_part *v = arena_array(a, struct lq_pattern_part, text.n + 1);
    uint32_t n = 0;

    for (size_t i = 0; i < text.n;) {
        size_t c = capture_length(str_from(text, i));

        if (c) {
            v[n++] = (struct lq_pattern_part){true, str_n(text.p + i + 1, c - 2)};
            i += c;
        } else {
            if (n == 0 || v[n - 1].capture)
                v[n++] = (struct lq_pattern_part){false, str_n(text.p + i, 0)};
            v[n - 1].text.n++;
            i++;
        }
    }
    *out = v;
    return n;
}

static bool named(const struct lq_pattern_part *p)
{
    return p->capture && !str_eqz(p->text, "_");
}

static int check_neighbours(const struct lq_pattern_part *v, uint32_t n, struct err *e)
{
    for (uint32_t i = 1; i < n; i++)
        if (v[i - 1].capture && v[i].capture)
            return err_set(e, ERR_INVALID, "found consecutive capture '<%.*s><%.*s>': invalid expression",
                           STR_ARG(str_head(v[i - 1].text, 100)), STR_ARG(str_head(v[i].text, 100)));
    return 0;
}

int lq_pattern_check(const struct lq_pattern_part *v, uint32_t n, struct err *e)
{
    uint32_t names = 0;

    if (n == 0)
        return err_set(e, ERR_INVALID, "syntax error: unexpected $end, expecting IDENTIFIER or LITERAL");
    for (uint32_t i = 0; i < n; i++)
        names += named(&v[i]);
    if (!names)
        return err_set(e, ERR_INVALID, "at least one capture is required");
    if (check_neighbours(v, n, e) < 0)
        return ERR_INVALID;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < i && named(&v[i]); k++)
            if (named(&v[k]) && str_eq(v[k].text, v[i].text))
                return err_set(e, ERR_INVALID, "duplicate capture name (%.*s): invalid expression",
                               STR_ARG(str_head(v[i].text, 100)));
    return 0;
}

int lq_pattern_check_filter(const struct lq_pattern_part *v, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++)
        if (named(&v[i]))
            return err_set(e, ERR_INVALID, "named captures are not allowed: found '<%.*s>'", STR_ARG(str_head(v[i].text, 100)));
    return check_neighbours(v, n, e);
}
