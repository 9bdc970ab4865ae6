/*
 * rules.c - `limits_config:`, as far as it says how log records become streams.
 *
 *   limits_config:
 *     discover_service_name: [service, app]     labels that tell service_name; empty: do not discover
 *     discover_log_levels: true
 *     ingestion_rate_mb, ingestion_burst_size_mb, per_stream_rate_limit, per_stream_rate_limit_burst
 *     otlp_config:
 *       severity_text_as_label: false
 *       resource_attributes: {ignore_defaults: false, attributes_config: [{action, attributes | regex}]}
 *       scope_attributes, log_attributes: [{action, attributes | regex}]
 */
#include "collector/logs/rules.h"

#include <math.h>
#include <stdlib.h>

static const struct str service_names[] = {
    {"service", 7}, {"app", 3}, {"application", 11}, {"app_name", 8}, {"name", 4}, {"app_kubernetes_io_name", 22}, {"container", 9},
    {"container_name", 14}, {"k8s_container_name", 18}, {"component", 9}, {"workload", 8}, {"job", 3}, {"k8s_job_name", 12},
};

static struct str resource_labels[] = {
    {"service.name", 12}, {"service.namespace", 17}, {"service.instance.id", 19}, {"deployment.environment", 22},
    {"deployment.environment.name", 27}, {"cloud.region", 12}, {"cloud.availability_zone", 23}, {"k8s.cluster.name", 16},
    {"k8s.namespace.name", 18}, {"k8s.pod.name", 12}, {"k8s.container.name", 18}, {"container.name", 14}, {"k8s.replicaset.name", 19},
    {"k8s.deployment.name", 19}, {"k8s.statefulset.name", 20}, {"k8s.daemonset.name", 18}, {"k8s.cronjob.name", 16}, {"k8s.job.name", 12},
};

static struct otlp_rule defaults = {OTLP_INDEX, resource_labels, ARRAY_LEN(resource_labels), NULL};

struct logs_rules *logs_rules_new(void)
{
    static _Atomic uint64_t last;
    struct logs_rules *r = x_zalloc(sizeof *r);

    atomic_init(&r->refs, 1);
    r->id = atomic_fetch_add(&last, 1) + 1;
    r->levels = true;
    r->service_names = service_names;
    r->nservice_names = ARRAY_LEN(service_names);
    r->otlp[OTLP_RESOURCE] = &defaults;
    r->notlp[OTLP_RESOURCE] = 1;
    r->rate_bytes = r->rate_burst_bytes = r->stream_rate_bytes = r->stream_rate_burst_bytes = UINT64_MAX;
    return r;
}

void logs_rules_unref(struct logs_rules *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    for (int s = 0; s < OTLP_SCOPES; s++)
        for (uint32_t i = 0; r->otlp[s] != &defaults && i < r->notlp[s]; i++)
            regex_free(r->otlp[s][i].re);
    arena_release(&r->arena);
    free(r);
}

enum otlp_action otlp_rules_ask(const struct logs_rules *r, enum otlp_scope scope, struct str name)
{
    for (uint32_t i = 0; i < r->notlp[scope]; i++) {
        const struct otlp_rule *rule = &r->otlp[scope][i];

        for (uint32_t k = 0; k < rule->nnames; k++)
            if (str_eq(rule->names[k], name))
                return rule->action;
        if (rule->re && regex_match(rule->re, name))
            return rule->action;
    }
    return OTLP_METADATA;
}

/* --- reading ------------------------------------------------------------------------------------------- */

static int read_rule(struct logs_rules *r, struct conf *c, struct otlp_rule *out, struct err *e)
{
    static const char *const actions[] = {"index_label", "structured_metadata", "drop"};
    struct str action = STR(""), regex = STR("");
    struct err why;
    unsigned a = 0;

    if (conf_want(c, CONF_MAP, "an item of attributes_config", e) < 0 || conf_str(c, "action", &action, e) < 0 ||
        conf_strs(&r->arena, c, "attributes", &out->names, &out->nnames, e) < 0 || conf_str(c, "regex", &regex, e) < 0)
        return ERR_INVALID;
    while (a < ARRAY_LEN(actions) && !str_eqz(action, actions[a]))
        a++;
    if (a == ARRAY_LEN(actions))
        return conf_err(c, e, "action \"%.*s\" is none of index_label, structured_metadata, drop", STR_ARG(str_head(action, 100)));
    if ((out->nnames == 0) == (regex.n == 0))
        return conf_err(c, e, "either attributes or regex must be given");
    out->action = (enum otlp_action)a;
    for (uint32_t i = 0; i < out->nnames; i++)
        out->names[i] = arena_dup(&r->arena, out->names[i]);
    if (regex.n && regex_new(regex, REGEX_ANCHORED, &out->re, &why) < 0)
        return conf_err(c, e, "regex: %s", why.text);
    return conf_finish(c, "attributes_config", e);
}

static int read_rules(struct logs_rules *r, struct conf *list, enum otlp_scope scope, bool keep_defaults, struct err *e)
{
    uint32_t n = list ? list->n : 0;
    struct otlp_rule *v = arena_array(&r->arena, struct otlp_rule, n + 1);

    if (list && conf_want(list, CONF_LIST, "attributes_config", e) < 0)
        return ERR_INVALID;
    r->otlp[scope] = v;
    r->notlp[scope] = n;
    for (uint32_t i = 0; i < n; i++)
        if (read_rule(r, list->items[i], &v[i], e) < 0)
            return ERR_INVALID;
    if (keep_defaults)
        v[r->notlp[scope]++] = defaults; /* it has no regex to be freed */
    return 0;
}

static int read_otlp(struct logs_rules *r, struct conf *c, struct err *e)
{
    struct conf *resource;
    bool ignore = false;

    if (conf_want(c, CONF_MAP, "otlp_config", e) < 0 || conf_bool(c, "severity_text_as_label", &r->severity_as_label, e) < 0)
        return ERR_INVALID;
    resource = conf_get(c, "resource_attributes");
    if (resource) {
        if (conf_want(resource, CONF_MAP, "resource_attributes", e) < 0 || conf_bool(resource, "ignore_defaults", &ignore, e) < 0 ||
            read_rules(r, conf_get(resource, "attributes_config"), OTLP_RESOURCE, !ignore, e) < 0 ||
            conf_finish(resource, "resource_attributes", e) < 0)
            return ERR_INVALID;
    }
    if (read_rules(r, conf_get(c, "scope_attributes"), OTLP_SCOPE, false, e) < 0 ||
        read_rules(r, conf_get(c, "log_attributes"), OTLP_LOG, false, e) < 0)
        return ERR_INVALID;
    return conf_finish(c, "otlp_config", e);
}

/* A number of MiB. */
static int read_mb(struct conf *c, const char *key, uint64_t *bytes, struct err *e)
{
    double mb = -1;

    if (conf_f64(c, key, &mb, e) < 0)
        return ERR_INVALID;
    if (!conf_get(c, key))
        return 0;
    if (!(mb >= 0 && mb < 1e12))
        return conf_err(conf_get(c, key), e, "%s must be a number of MiB from 0 on", key);
    *bytes = (uint64_t)(mb * (1 << 20));
    return 0;
}

static int read_all(struct logs_rules *r, struct conf *c, struct err *e)
{
    struct conf *names = conf_get(c, "discover_service_name"), *otlp = conf_get(c, "otlp_config");
    struct str *v = NULL;
    uint32_t n = 0;

    if (conf_want(c, CONF_MAP, "limits_config", e) < 0 || conf_strs(&r->arena, c, "discover_service_name", &v, &n, e) < 0 ||
        conf_bool(c, "discover_log_levels", &r->levels, e) < 0 || read_mb(c, "ingestion_rate_mb", &r->rate_bytes, e) < 0 ||
        read_mb(c, "ingestion_burst_size_mb", &r->rate_burst_bytes, e) < 0 ||
        conf_size(c, "per_stream_rate_limit", &r->stream_rate_bytes, e) < 0 ||
        conf_size(c, "per_stream_rate_limit_burst", &r->stream_rate_burst_bytes, e) < 0 || (otlp && read_otlp(r, otlp, e) < 0))
        return ERR_INVALID;
    if (names) {
        for (uint32_t i = 0; i < n; i++)
            v[i] = arena_dup(&r->arena, v[i]);
        r->service_names = v;
        r->nservice_names = n;
    }
    return conf_finish(c, "limits_config", e);
}

int logs_rules_read(struct conf *c, struct logs_rules **out, struct err *e)
{
    struct logs_rules *r = logs_rules_new();

    if (c && read_all(r, c, e) < 0) {
        logs_rules_unref(r);
        return ERR_INVALID;
    }
    *out = r;
    return 0;
}
