/* config_types.h - private to scrape/: what a configuration holds once it is read. Immutable; memory of
 * scrape_configs.arena. */
#ifndef COLLECTOR_SCRAPE_CONFIG_TYPES_H
#define COLLECTOR_SCRAPE_CONFIG_TYPES_H

#include "collector/scrape/config.h"
#include "collector/scrape/relabel.h"
#include "net/client.h"

enum scrape_protocol { PROTO_PROTOBUF, PROTO_OM_1_0_0, PROTO_OM_0_0_1, PROTO_TEXT_1_0_0, PROTO_TEXT_0_0_4, PROTO_NONE };
enum { PROTOCOLS = PROTO_NONE };
extern const char *const scrape_protocol_names[PROTOCOLS]; /* PrometheusProto, ... */

enum name_escaping { ESCAPE_ALLOW_UTF8, ESCAPE_UNDERSCORES, ESCAPE_DOTS, ESCAPE_VALUES, ESCAPINGS };
extern const char *const name_escaping_names[ESCAPINGS];

/* Fields of `global` that a job inherits. Limits: 0 is none. */
struct scrape_common {
    int64_t interval_ms, timeout_ms;
    uint8_t protocols[PROTOCOLS]; /* enum scrape_protocol, in order */
    uint32_t nprotocols;          /* 0: the default order */
    uint64_t body_size_limit;
    uint64_t sample_limit, target_limit, label_limit, label_name_length_limit, label_value_length_limit,
        keep_dropped_targets;
    struct str failure_log_file;
    bool native_histograms, always_classic, convert_to_nhcb, extra_metrics;
    bool legacy_names;
    enum name_escaping escaping;
};

/* Targets that share labels, as a discovery hands them out. */
struct target_group {
    struct str source; /* unique within its provider */
    struct labels labels;
    struct labels *targets; /* each with __address__ */
    uint32_t n;
};

enum sd_kind { SD_STATIC, SD_FILE, SD_HTTP, SD_DNS, SD_DOCKER };
extern const char *const sd_kind_names[]; /* static_configs, ... */

enum dns_type { DNS_A = 1, DNS_NS = 2, DNS_MX = 15, DNS_AAAA = 28, DNS_SRV = 33 };

struct sd_filter {
    struct str name, *values;
    uint32_t n;
};

struct sd_config {
    enum sd_kind kind;
    int64_t refresh_ms;
    struct target_group group; /* SD_STATIC */
    struct str *names;         /* SD_FILE: files; SD_DNS: names */
    uint32_t nnames;
    struct str url; /* SD_HTTP */
    enum dns_type dns_type;
    int64_t port;    /* SD_DNS, SD_DOCKER */
    struct str host; /* SD_DOCKER */
    struct str host_networking_host;
    bool match_first_network;
    bool ended; /* SD_DOCKER: containers that have ended, too, with the label SD_DOCKER_ENDED; not by configuration */
    struct sd_filter *filters;
    uint32_t nfilters;
    struct http_client_opts http;
    struct str text; /* as printed: equal texts mean equal configurations */
};

struct url_param {
    struct str name, *values;
    uint32_t n;
};

struct scrape_config {
    struct str job;
    struct scrape_common common;
    enum scrape_protocol fallback_protocol; /* PROTO_NONE: none */
    struct str metrics_path, scheme;
    struct url_param *params; /* sorted by name */
    uint32_t nparams;
    bool honor_labels, honor_timestamps, track_timestamps_staleness, compression;
    struct http_client_opts http;
    uint64_t native_bucket_limit;
    double native_min_bucket_factor;
    struct relabel relabel, metric_relabel;
    struct sd_config *sd;
    uint32_t nsd;
    struct str text;        /* as printed: equal texts mean nothing changed */
    struct str series_text; /* the part that decides which labels a scraped series gets */
};

/* Helpers of the readers. */
int read_label_map(struct arena *a, struct conf *c, const char *key, bool legacy, struct labels *out, struct err *e);
int read_sd_configs(struct arena *a, struct conf *job, struct str dir, bool legacy, struct scrape_config *out,
                    struct err *e);
int read_target_group(struct arena *a, struct conf *c, bool legacy, struct target_group *out, struct err *e);
bool target_address_valid(struct str s);
struct str path_join(struct arena *a, struct str dir, struct str file);

/* Printers. */
void print_scrape_config(const struct scrape_config *c, struct buf *out);
/* For people: secrets are written <secret>. */
void print_scrape_config_shown(const struct scrape_config *c, struct buf *out);
void print_series_part(const struct scrape_config *c, struct buf *out);
void print_sd_config(const struct sd_config *c, struct buf *out);

#endif
