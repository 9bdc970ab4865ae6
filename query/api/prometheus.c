/* prometheus.c - all routes of the Prometheus HTTP API. */
#include "query/api/inside.h"

void api_prometheus_routes(struct http_server *s, struct api_ctx *c)
{
    api_routes_query(s, c);
    api_routes_names(s, c);
    api_routes_exemplars(s, c);
    api_routes_targets(s, c);
    api_routes_status(s, c);
    api_routes_admin(s, c);
    api_routes_federate(s, c);
    api_routes_life(s, c);
    api_routes_features(s, c);
    api_routes_self_metrics(s, c);
    api_routes_openapi(s, c);
    if (c->notices)
        api_routes_notices(s, c);
    api_routes_search(s, c);
    api_routes_read(s, c);
}
