/*
 * annotations.c - collects remarks and words them as upstream does.
 */
#include "query/promql/annotations.h"

#include "query/promql/ast.h"

#include <stdarg.h>
#include <stdio.h>

static struct note *add(struct notes *ns, uint32_t at, bool info, const char *fmt, va_list ap)
{
    char buf[2048];
    int n = vsnprintf(buf, sizeof buf, fmt, ap);
    struct str said;
    struct note *x;

    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof buf)
        n = sizeof buf - 1;
    said = arena_printf(ns->arena, "PromQL %s: %.*s", info ? "info" : "warning", n, buf);
    for (uint32_t i = 0; i < ns->n; i++)
        if (ns->v[i].at == at && ns->v[i].info == info && str_eq(ns->v[i].text, said))
            return &ns->v[i];
    if (ns->n == ns->cap) {
        struct note *old = ns->v;

        ns->cap = ns->cap ? ns->cap * 2 : 8;
        ns->v = arena_array(ns->arena, struct note, ns->cap);
        if (ns->n)
            memcpy(ns->v, old, ns->n * sizeof *old);
    }
    x = &ns->v[ns->n++];
    *x = (struct note){.text = said, .at = at, .info = info};
    return x;
}

struct note *note_warn(struct notes *ns, uint32_t at, const char *fmt, ...)
{
    struct note *x;
    va_list ap;

    va_start(ap, fmt);
    x = add(ns, at, false, fmt, ap);
    va_end(ap);
    return x;
}

struct note *note_info(struct notes *ns, uint32_t at, const char *fmt, ...)
{
    struct note *x;
    va_list ap;

    va_start(ap, fmt);
    x = add(ns, at, true, fmt, ap);
    va_end(ap);
    return x;
}

const char *note_of_metric(struct notes *ns, struct str name)
{
    return name.n ? arena_printf(ns->arena, " for metric name \"%.*s\"", STR_ARG(name)).p : "";
}

/* Go's %g: shortest. */
static struct str g_text(struct arena *a, double v)
{
    char buf[NUM_MAX];

    return arena_dup(a, str_n(buf, num_fmt_g(v, buf)));
}

/* RFC 3339, UTC, the fraction as long as it must be. */
static struct str time_text(struct arena *a, int64_t ms)
{
    char buf[NUM_MAX];
    size_t n = time_fmt_rfc3339(ms, buf);
    struct str s = str_n(buf, n ? n - 1 : 0);

    if (str_find(s, STR(".")) >= 0) {
        while (s.n && s.p[s.n - 1] == '0')
            s.n--;
        if (s.n && s.p[s.n - 1] == '.')
            s.n--;
    }
    return arena_printf(a, "%.*sZ", STR_ARG(s));
}

static struct str with_position(const struct notes *ns, const struct note *x, struct str query)
{
    struct arena *a = ns->arena;
    unsigned line, col;

    promql_position(query, x->at, &line, &col);
    if (!x->nforced)
        return arena_printf(a, "%.*s (%u:%u)", STR_ARG(x->text), line, col);
    struct str lo = g_text(a, x->min_le), hi = g_text(a, x->max_le), from = time_text(a, x->min_t),
               to = time_text(a, x->max_t);

    return arena_printf(
        a, "%.*s, from buckets %.*s to %.*s, with a max diff of %.2g, over %u samples from %.*s to %.*s (%u:%u)",
        STR_ARG(x->text), STR_ARG(lo), STR_ARG(hi), x->max_diff, x->nforced, STR_ARG(from), STR_ARG(to), line, col);
}

void notes_texts(const struct notes *ns, struct str query, bool info, struct str **out, uint32_t *n)
{
    uint32_t all = 0;

    *n = 0;
    *out = NULL;
    for (uint32_t i = 0; i < ns->n; i++)
        all += ns->v[i].info == info;
    if (!all)
        return;
    *out = arena_array(ns->arena, struct str, NOTES_MAX + 1);
    for (uint32_t i = 0; i < ns->n && *n < NOTES_MAX; i++)
        if (ns->v[i].info == info)
            (*out)[(*n)++] = with_position(ns, &ns->v[i], query);
    if (all > NOTES_MAX)
        (*out)[(*n)++] =
            arena_printf(ns->arena, "%u more %s annotations omitted", all - NOTES_MAX, info ? "info" : "warning");
}
