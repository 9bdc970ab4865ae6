/*
 * config.c - the configuration file: a superset of prometheus.yml.
 *
 * Our own keys beside those of Prometheus:
 *
 *   storage:  retention (or its raw, 5m and 1h), downsample, disk_max, disk_reserve, out_of_order   (also Prometheus' storage.tsdb.{retention,out_of_order_time_window})
 *   query:    timeout, max_samples, max_bytes, max_concurrency, lookback_delta
 *   collect:  host, containers, self (booleans), interval       what this process collects by itself
 *   logs:     scrape_configs, promtail_file, ...                log files to follow (collector/files/config.c)
 *   syslog, limits_config    listeners for syslog, and how log records become streams (collector/logs/config.c, rules.c)
 */
#include "cmd/follow.h"
#include "cmd/options.h"

#include <stdlib.h>

/* One time for the samples, or a map that tells aggregates apart. */
static int read_retention(struct options *o, struct conf *c, struct err *e)
{
    struct conf *r = conf_get(c, "retention");

    if (!r || r->kind != CONF_MAP)
        return conf_duration(c, "retention", &o->store.retention_ms, e);
    if (conf_duration(r, "raw", &o->store.retention_ms, e) < 0 || conf_duration(r, "5m", &o->tsdb.retention_5m_ms, e) < 0 ||
        conf_duration(r, "1h", &o->tsdb.retention_1h_ms, e) < 0)
        return e->code;
    return conf_finish(r, "storage.retention", e);
}

static int read_storage(struct options *o, struct conf *c, struct err *e)
{
    struct conf *tsdb = conf_get(c, "tsdb"), *exemplars = conf_get(c, "exemplars");
    struct conf *keep = conf_get(tsdb, "retention");

    (void)exemplars; /* upstream sizes one ring for all; ours is per series */
    if (read_retention(o, c, e) < 0 || conf_bool(c, "downsample", &o->tsdb.downsample, e) < 0 || conf_size(c, "disk_max", &o->store.disk_max_bytes, e) < 0 ||
        conf_size(c, "disk_reserve", &o->store.disk_reserve_bytes, e) < 0 ||
        conf_duration(c, "out_of_order", &o->store.out_of_order_ms, e) < 0)
        return e->code;
    if (tsdb && (conf_duration(tsdb, "out_of_order_time_window", &o->store.out_of_order_ms, e) < 0 ||
                 (keep && (conf_duration(keep, "time", &o->store.retention_ms, e) < 0 ||
                           conf_size(keep, "size", &o->store.disk_max_bytes, e) < 0))))
        return e->code;
    if ((keep && conf_finish(keep, "storage.tsdb.retention", e) < 0) || (tsdb && conf_finish(tsdb, "storage.tsdb", e) < 0))
        return e->code;
    return conf_finish(c, "storage", e);
}

static int read_query(struct options *o, struct conf *c, struct err *e)
{
    int64_t samples = (int64_t)o->query.limits.samples_max, concurrent = o->query.concurrent_max;

    if (conf_duration(c, "timeout", &o->query.limits.timeout_ms, e) < 0 || conf_i64(c, "max_samples", &samples, e) < 0 ||
        conf_size(c, "max_bytes", &o->query.limits.bytes_max, e) < 0 || conf_i64(c, "max_concurrency", &concurrent, e) < 0 ||
        conf_duration(c, "lookback_delta", &o->query.lookback_ms, e) < 0)
        return e->code;
    if (samples < 0 || concurrent < 1 || concurrent > 100000)
        return conf_err(c, e, "query.max_samples must not be negative, max_concurrency must be 1 to 100000");
    o->query.limits.samples_max = (uint64_t)samples;
    o->query.concurrent_max = (uint32_t)concurrent;
    return conf_finish(c, "query", e);
}

static int read_collect(struct config *k, struct conf *c, struct err *e)
{
    int64_t interval = 0;

    if (conf_bool(c, "host", &k->host, e) < 0 || conf_bool(c, "containers", &k->containers, e) < 0 ||
        conf_bool(c, "self", &k->self, e) < 0 || conf_duration(c, "interval", &interval, e) < 0)
        return e->code;
    if (interval > 0)
        k->host_interval_ms = k->self_interval_ms = interval;
    return conf_finish(c, "collect", e);
}

/* Keys that Prometheus knows and we take note of; what they ask for comes with rules, alerting and forwarding. */
static int read_others(struct config *k, struct conf *root, struct err *e)
{
    static const char *const later[] = {"alerting", "remote_write", "remote_read", "tracing", "otlp", "runtime"};
    struct str *files;

    if (conf_strs(&k->arena, root, "rule_files", &files, &k->rule_files, e) < 0)
        return e->code;
    if (k->rule_files)
        log_warn("config", "rule_files: %u patterns given; this version does not evaluate rules", k->rule_files);
    for (size_t i = 0; i < ARRAY_LEN(later); i++) {
        struct conf *c = conf_get(root, later[i]);

        if (c)
            log_warn("config", "line %d: %s is accepted and has no effect in this version", c->line, later[i]);
    }
    return 0;
}

static int read_root(struct options *o, bool first_time, struct config *k, struct conf *root, struct str dir, struct err *e)
{
    struct options scratch = *o;
    struct options *into = first_time ? o : &scratch; /* limits of a running process do not change under it */
    struct conf *c;

    if (conf_want(root, CONF_MAP, "the configuration", e) < 0 || scrape_configs_read(root, dir, &k->scrape, e) < 0)
        return e->code;
    if ((c = conf_get(root, "storage")) && (conf_want(c, CONF_MAP, "storage", e) < 0 || read_storage(into, c, e) < 0))
        return e->code;
    if ((c = conf_get(root, "query")) && (conf_want(c, CONF_MAP, "query", e) < 0 || read_query(into, c, e) < 0))
        return e->code;
    if ((c = conf_get(root, "collect")) && (conf_want(c, CONF_MAP, "collect", e) < 0 || read_collect(k, c, e) < 0))
        return e->code;
    if (logs_config_read(root, &k->logs, e) < 0 ||
        files_config_read(root, dir, str_of(o->config_logs), follow_selectors(), &k->files, e) < 0 || read_others(k, root, e) < 0)
        return e->code;
    return conf_finish(root, "the configuration", e);
}

/* An empty map: what `tripod serve` without a file runs by. promtail_file: of the log files to follow, or empty. */
static int no_file(struct config *k, struct str promtail_file, struct err *e)
{
    struct conf *root;

    if (conf_parse(&k->arena, STR("built-in"), STR("{}"), &root, e) < 0)
        return e->code;
    k->host = k->containers = k->self = true;
    if (logs_config_read(root, &k->logs, e) < 0 || files_config_read(root, STR("."), promtail_file, follow_selectors(), &k->files, e) < 0)
        return e->code;
    return scrape_configs_read(root, STR("."), &k->scrape, e);
}

static struct str folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? str_n(path, (size_t)(slash - path) + (slash == path)) : STR(".");
}

int config_load(struct options *o, bool first_time, struct config **out, struct err *e)
{
    struct config *k = x_zalloc(sizeof *k);
    struct conf *root;

    k->host_interval_ms = k->self_interval_ms = 15000;
    if (!o->config_path) {
        if (no_file(k, str_of(o->config_logs), e) < 0)
            goto fail;
    } else {
        if (conf_load(&k->arena, o->config_path, &root, e) < 0)
            goto fail;
        if (root->kind == CONF_NULL) { /* an empty file is a configuration that asks for nothing */
            if (conf_parse(&k->arena, str_of(o->config_path), STR("{}"), &root, e) < 0)
                goto fail;
        }
        if (files_config_is_promtail(root) ? no_file(k, str_of(o->config_path), e) < 0
                                           : read_root(o, first_time, k, root, folder_of(o->config_path), e) < 0)
            goto fail;
    }
    *out = k;
    return 0;
fail:
    config_free(k);
    return e->code;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    scrape_configs_unref(c->scrape);
    files_config_unref(c->files);
    logs_config_free(c->logs);
    arena_release(&c->arena);
    free(c);
}
