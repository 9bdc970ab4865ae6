/*
 * options.h - what `tripod serve` runs by: the command line over the configuration file over the defaults.
 */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include "base/base.h"
#include "collector/collector.h"
#include "logstore/logstore.h"
#include "net/net.h"
#include "query/api/loki/loki.h"
#include "query/exec/exec.h"
#include "store/store.h"
#include "tsdb/tsdb.h"

#include <stdio.h>

struct options {
    /* Command line. */
    const char *config_path; /* NULL: none, collect this host and ourselves */
    const char *config_logs; /* a promtail.yml, or NULL */
    const char *data_dir;
    const char *listen;      /* "127.0.0.1:9090" */
    bool compat_ports;
    bool admin_api, lifecycle, remote_write;
    bool admin_api_set, lifecycle_set;
    enum log_level log_level;
    enum log_format log_format;
    unsigned io_threads;
    bool insecure;           /* may bind beyond loopback without login */

    struct store_opts store;
    struct tsdb_opts tsdb;
    struct logstore_opts logs;
    int64_t logs_max_age_ms; /* logs.past_ns_max */
    struct logs_opts log_push;
    struct query_engine_opts query;
    struct loki_limits loki;
    struct http_limits http;
};

/* The part of the configuration file that can change while we run. */
struct config {
    struct arena arena;
    struct str text;                /* as read, for /api/v1/status/config when nothing better is known */
    struct scrape_configs *scrape;
    struct files_config *files;     /* log files to follow */
    struct logs_config *logs;       /* until it is in force */
    bool host, containers, self;    /* collect this host, its containers, our own metrics */
    int64_t host_interval_ms, self_interval_ms;
    uint32_t rule_files;            /* how many patterns the file names */
};

void options_default(struct options *o);
/* Reads argv[1..]. 0, >0: --help was printed, <0: e says what is wrong with which argument. */
int options_parse(struct options *o, int argc, char **argv, struct err *e);
/* Settles what depends on other options. After the last options_parse. */
void options_finish(struct options *o);
void options_help(FILE *to);
/* {"storage.tsdb.path":"data",...} as /api/v1/status/flags wants. */
void options_flags_json(const struct options *o, struct buf *out);

/*
 * Reads o->config_path (or makes the configuration of "no file"). With first_time it also puts the keys of `storage`,
 * `query` and `disk` into o, where the command line has not; later changes of these are warned about and wait for a restart.
 */
int config_load(struct options *o, bool first_time, struct config **out, struct err *e);
void config_free(struct config *c);

#endif
