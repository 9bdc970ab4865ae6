/* config.h - global and scrape_configs of a Prometheus configuration file. Immutable once read; counted. */
#ifndef COLLECTOR_SCRAPE_CONFIG_H
#define COLLECTOR_SCRAPE_CONFIG_H

#include "base/base.h"

/* Private: scrape/config_types.h */
struct scrape_config;
struct scrape_common;

struct scrape_configs {
    struct arena *arena;
    struct scrape_config *v;
    uint32_t n;
    const struct scrape_common *global; /* private */
    struct labels external_labels;
    struct str query_log_file;
    int64_t evaluation_interval_ms, rule_query_offset_ms;
    int refs;
};

/*
 * Reads `global`, `scrape_configs` and `scrape_config_files` of the root map (marks them used; leaves other keys
 * alone). dir: for relative file names. Errors name file and line.
 */
int scrape_configs_read(struct conf *root, struct str dir, struct scrape_configs **out, struct err *e);
struct scrape_configs *scrape_configs_ref(struct scrape_configs *c);
void scrape_configs_unref(struct scrape_configs *c);

/*
 * The effective configuration as YAML with defaults filled in (`global:` and `scrape_configs:`), for
 * /api/v1/status/config. Secrets are written <secret>.
 */
void scrape_configs_print(const struct scrape_configs *c, struct buf *out);

#endif
