/*
 * route.c - see route.h. A path is matched as sent, segment by segment; what a {} matched is decoded afterwards, so
 * that %2F stays inside of its segment. A literal segment beats {name}, which beats {name...}; the best pattern alone
 * decides on 405.
 */
#include "net/route.h"

#include <assert.h>
#include <stdlib.h>

enum { VARS_MAX = 4 };
enum seg_kind { SEG_LITERAL, SEG_VAR, SEG_REST };

static enum seg_kind kind_of(struct str seg)
{
    if (seg.n < 2 || seg.p[0] != '{')
        return SEG_LITERAL;
    return str_ends(seg, STR("...}")) ? SEG_REST : SEG_VAR;
}

static struct pattern *pattern_new(const char *text)
{
    struct pattern *p = x_zalloc(sizeof *p);
    struct str rest, seg;
    uint32_t vars = 0;

    assert(text[0] == '/');
    p->text = x_strdup(str_of(text));
    p->segments = x_alloc(sizeof *p->segments * (strlen(text) + 1));
    rest = str_of(p->text + 1);
    for (bool more = true; more;) {
        more = str_cut(&rest, '/', &seg);
        vars += kind_of(seg) != SEG_LITERAL;
        assert(!more || kind_of(seg) != SEG_REST);
        p->segments[p->nsegments++] = seg;
    }
    assert(vars <= VARS_MAX);
    return p;
}

static void pattern_free(struct pattern *p)
{
    for (struct route *r = p->routes, *next; r; r = next) {
        next = r->next;
        free(r);
    }
    free(p->segments);
    free(p->text);
    free(p);
}

/* <0: a is more specific than b and is asked first. */
static int by_specificity(const struct pattern *a, const struct pattern *b)
{
    for (uint32_t i = 0; i < a->nsegments && i < b->nsegments; i++) {
        int d = (int)kind_of(a->segments[i]) - (int)kind_of(b->segments[i]);
        if (d)
            return d;
    }
    return (int)b->nsegments - (int)a->nsegments;
}

static struct pattern *var_pattern(struct routes *rs, const char *text)
{
    struct pattern *p;
    uint32_t at = 0;

    for (uint32_t i = 0; i < rs->nvars; i++)
        if (strcmp(rs->vars[i]->text, text) == 0)
            return rs->vars[i];
    p = pattern_new(text);
    while (at < rs->nvars && by_specificity(rs->vars[at], p) <= 0)
        at++;
    rs->vars = x_realloc(rs->vars, sizeof *rs->vars * (rs->nvars + 1));
    memmove(rs->vars + at + 1, rs->vars + at, sizeof *rs->vars * (rs->nvars - at));
    rs->vars[at] = p;
    rs->nvars++;
    return p;
}

static struct pattern *literal_pattern(struct routes *rs, const char *text)
{
    struct pattern *p = map_get(&rs->literal, str_of(text));

    if (!p) {
        p = pattern_new(text);
        *map_put(&rs->literal, str_of(p->text), NULL) = p;
    }
    return p;
}

void routes_add(struct routes *rs, const char *pattern, const struct route *route)
{
    struct pattern *p = strchr(pattern, '{') ? var_pattern(rs, pattern) : literal_pattern(rs, pattern);
    struct route *r = x_alloc(sizeof *r);

    assert((p->methods & route->methods) == 0); /* two handlers for one method: which one? */
    *r = *route;
    r->next = p->routes;
    p->routes = r;
    p->methods |= route->methods;
}

void routes_release(struct routes *rs)
{
    struct map_entry *en;
    uint32_t i = 0;

    while ((en = map_next(&rs->literal, &i)))
        pattern_free((struct pattern *)en->value);
    map_release(&rs->literal);
    for (i = 0; i < rs->nvars; i++)
        pattern_free(rs->vars[i]);
    free(rs->vars);
    memset(rs, 0, sizeof *rs);
}

static bool matches(const struct pattern *p, struct str path, struct str vars[4])
{
    struct str rest = str_from(path, 1), seg;
    uint32_t nvars = 0, i = 0;
    bool more = true;

    for (; i < p->nsegments && more; i++) {
        enum seg_kind k = kind_of(p->segments[i]);

        if (k == SEG_REST) {
            vars[nvars] = rest;
            return true;
        }
        more = str_cut(&rest, '/', &seg);
        if (k == SEG_VAR && seg.n > 0)
            vars[nvars++] = seg;
        else if (k == SEG_VAR || !str_eq(seg, p->segments[i]))
            return false;
    }
    return i == p->nsegments && !more;
}

const struct pattern *routes_find(const struct routes *rs, struct arena *a, struct str path, struct str vars[4])
{
    const struct pattern *p = map_get(&rs->literal, path);

    memset(vars, 0, sizeof *vars * VARS_MAX);
    for (uint32_t i = 0; !p && i < rs->nvars; i++) {
        if (matches(rs->vars[i], path, vars))
            p = rs->vars[i];
        else
            memset(vars, 0, sizeof *vars * VARS_MAX);
    }
    for (int i = 0; p && i < VARS_MAX; i++)
        if (vars[i].p)
            vars[i] = url_decode(a, vars[i]);
    return p;
}

const struct route *pattern_route(const struct pattern *p, enum http_method m)
{
    unsigned want = m == HTTP_HEAD && !(p->methods & HTTP_HEAD) ? HTTP_GET : (unsigned)m;

    for (const struct route *r = p->routes; r; r = r->next)
        if (r->methods & want)
            return r;
    return NULL;
}

void methods_print(unsigned methods, struct buf *out)
{
    static const struct {
        enum http_method m;
        const char *name;
    } names[] = {{HTTP_GET, "GET"},       {HTTP_HEAD, "HEAD"},   {HTTP_POST, "POST"},      {HTTP_PUT, "PUT"},
                 {HTTP_DELETE, "DELETE"}, {HTTP_PATCH, "PATCH"}, {HTTP_OPTIONS, "OPTIONS"}};

    methods |= HTTP_OPTIONS | (methods & HTTP_GET ? HTTP_HEAD : 0u);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (methods & names[i].m)
            buf_printf(out, "%s%s", out->n ? ", " : "", names[i].name);
}
