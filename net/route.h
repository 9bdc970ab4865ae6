/* route.h - the table of routes. Filled before the start, then read by every loop without a lock. */
#ifndef NET_ROUTE_H
#define NET_ROUTE_H

#include "net/server.h"

struct route {
    unsigned methods, flags;
    enum http_perm perm;
    http_handler *fn;
    void *arg;
    struct route *next; /* of the same pattern, other methods */
};

/* One pattern: "/api/v1/label/{name}/values". */
struct pattern {
    char *text;
    struct str *segments; /* without slashes, of text */
    uint32_t nsegments;
    struct route *routes;
    unsigned methods; /* of all routes */
};

struct routes {
    struct map literal;    /* path -> struct pattern, for those without {} */
    struct pattern **vars; /* the others, most specific first */
    uint32_t nvars;
};

void routes_add(struct routes *rs, const char *pattern, const struct route *route);
void routes_release(struct routes *rs);
/* The most specific pattern that matches a raw path, or NULL. vars get what {} matched, decoded, from a. */
const struct pattern *routes_find(const struct routes *rs, struct arena *a, struct str path, struct str vars[4]);
/* The route of a pattern for a method (HEAD comes with GET), or NULL. */
const struct route *pattern_route(const struct pattern *p, enum http_method m);
/* "GET, HEAD, OPTIONS" into out. */
void methods_print(unsigned methods, struct buf *out);

#endif
