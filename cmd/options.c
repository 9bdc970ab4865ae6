/*
 * options.c - the command line of `tripod serve`: one table, from which parsing, --help and /api/v1/status/flags are made.
 *
 * Spellings of Prometheus are taken where they mean the same; those that ask for something we always or never do are
 * accepted and said to be without effect.
 */
#include "cmd/options.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum kind { K_STRING, K_BOOL, K_DURATION, K_SIZE, K_U64, K_U32, K_LEVEL, K_FORMAT, K_IGNORED };

struct flag {
    const char *name;
    const char *also; /* another spelling, or NULL */
    enum kind kind;
    size_t at;        /* offset in struct options */
    size_t set_at;    /* offset of a bool that tells it was given, or 0 */
    const char *help; /* NULL: not shown */
};

#define AT(field) offsetof(struct options, field)

static const struct flag flags[] = {
    {"config", "config.file", K_STRING, AT(config_path), 0, "configuration file, a superset of prometheus.yml; none: collect this host"},
    {"config-logs", NULL, K_STRING, AT(config_logs), 0, "a promtail.yml: log files to follow, beside those of the key logs of the configuration"},
    {"data", "storage.tsdb.path", K_STRING, AT(data_dir), 0, "data directory"},
    {"listen", "web.listen-address", K_STRING, AT(listen), 0, "address of the API and the pages; port 0 takes a free one"},
    {"compat-ports", NULL, K_BOOL, AT(compat_ports), 0, "also listen where the programs replaced did: 3100 (Loki)"},
    {"insecure", NULL, K_BOOL, AT(insecure), 0, "allow an address beyond loopback without login"},
    {"retention", "storage.tsdb.retention.time", K_DURATION, AT(store.retention_ms), 0, "keep whole days this long"},
    {"retention.raw", NULL, K_DURATION, AT(store.retention_ms), 0, "the same as --retention: samples themselves"},
    {"retention.5m", NULL, K_DURATION, AT(tsdb.retention_5m_ms), 0, "keep aggregates over 5 minutes this long; 0: for ever"},
    {"retention.1h", NULL, K_DURATION, AT(tsdb.retention_1h_ms), 0, "keep aggregates over an hour this long; 0: for ever"},
    {"downsample", NULL, K_BOOL, AT(tsdb.downsample), 0, "make aggregates of each day that is over"},
    {"disk.max", "storage.tsdb.retention.size", K_SIZE, AT(store.disk_max_bytes), 0, "use at most so much disk, oldest day goes first; 0: no limit"},
    {"disk.reserve", NULL, K_SIZE, AT(store.disk_reserve_bytes), 0, "refuse writes when the file system has less free"},
    {"journal.budget", NULL, K_SIZE, AT(store.journal_budget_bytes), 0, "flush when the journal is bigger"},
    {"head.budget", NULL, K_SIZE, AT(store.head_budget_bytes), 0, "flush when unflushed samples take more memory"},
    {"flush.interval", NULL, K_DURATION, AT(store.flush_interval_ms), 0, "flush at the latest after"},
    {"seal.grace", NULL, K_DURATION, AT(store.seal_grace_ms), 0, "rewrite a day densely this long after its end"},
    {"upkeep.interval", NULL, K_DURATION, AT(store.upkeep_interval_ms), 0, "merge, seal and drop days in rounds this far apart"},
    {"out-of-order", "storage.tsdb.out-of-order-time-window", K_DURATION, AT(store.out_of_order_ms), 0, "accept samples this late; 0: as the retention"},
    {"series.max", NULL, K_U64, AT(tsdb.series_max), 0, "active series; new ones beyond are refused. 0: no limit"},
    {"series.max-bytes", NULL, K_SIZE, AT(tsdb.head_bytes_max), 0, "memory of series and unflushed samples; new series beyond are refused. 0: no limit"},
    {"logs.max-streams", NULL, K_U32, AT(logs.streams_max), 0, "active log streams; new ones beyond are refused. 0: no limit"},
    {"logs.max-line", NULL, K_U32, AT(logs.line_bytes_max), 0, "bytes of a log line; longer ones are refused"},
    {"logs.truncate", NULL, K_BOOL, AT(logs.line_truncate), 0, "cut log lines that are too long instead"},
    {"logs.max-age", NULL, K_DURATION, AT(logs_max_age_ms), 0, "log records older than this are refused; 0: as the retention"},
    {"logs.rate", NULL, K_SIZE, AT(log_push.rate_bytes), 0, "bytes of log records a second from all senders over HTTP; more get 429. 0: no limit"},
    {"logs.rate-burst", NULL, K_SIZE, AT(log_push.rate_burst_bytes), 0, "so many at once"},
    {"logs.stream-rate", NULL, K_SIZE, AT(log_push.stream_rate_bytes), 0, "bytes of log records a second of one stream. 0: no limit"},
    {"logs.stream-rate-burst", NULL, K_SIZE, AT(log_push.stream_rate_burst_bytes), 0, "so many at once"},
    {"logs.head-max", NULL, K_SIZE, AT(logs.head_bytes_max), 0, "memory of unflushed log records; beyond it senders are told to wait. 0: no limit"},
    {"logs.max-entries", NULL, K_U32, AT(loki.entries_max), 0, "records in one answer. 0: no limit"},
    {"logs.max-query-series", NULL, K_U32, AT(loki.series_max), 0, "series in the answer of one log query. 0: no limit"},
    {"logs.max-query-range", NULL, K_DURATION, AT(loki.range_ms_max), 0, "window of one log query. 0: no limit"},
    {"logs.max-tails", NULL, K_U32, AT(loki.tails_max), 0, "live tails at once. 0: no limit"},
    {"logs.tail-queue", NULL, K_SIZE, AT(loki.tail_queue_bytes), 0, "what may wait for the client of a tail; more is left out, which it is told"},
    {"query.timeout", NULL, K_DURATION, AT(query.limits.timeout_ms), 0, "longest a query may run"},
    {"query.max-samples", NULL, K_U64, AT(query.limits.samples_max), 0, "samples a query may hold at once"},
    {"query.max-bytes", NULL, K_SIZE, AT(query.limits.bytes_max), 0, "memory a query may take"},
    {"query.max-bytes-total", NULL, K_SIZE, AT(query.bytes_max), 0, "memory all queries may take together"},
    {"query.max-concurrency", NULL, K_U32, AT(query.concurrent_max), 0, "queries that run at once; more wait"},
    {"query.lookback-delta", NULL, K_DURATION, AT(query.lookback_ms), 0, "how far back an instant selector looks"},
    {"http.max-body", NULL, K_SIZE, AT(http.body_bytes), 0, "largest request body as sent"},
    {"http.max-decoded", NULL, K_SIZE, AT(http.decoded_bytes), 0, "largest request body after decompression"},
    {"http.max-inflight", NULL, K_SIZE, AT(http.inflight_bytes), 0, "request bodies held at once by the whole process"},
    {"http.max-connections", "web.max-connections", K_U32, AT(http.conns_max), 0, "open connections"},
    {"http.max-header", NULL, K_U32, AT(http.header_bytes), 0, "bytes of a request's head"},
    {"http.header-timeout", NULL, K_DURATION, AT(http.header_ms), 0, "a request's head must arrive within"},
    {"http.body-timeout", "web.read-timeout", K_DURATION, AT(http.body_ms), 0, "a request's body must arrive within"},
    {"http.idle-timeout", NULL, K_DURATION, AT(http.idle_ms), 0, "connections without a request are kept this long"},
    {"http.write-timeout", NULL, K_DURATION, AT(http.write_ms), 0, "a client that takes (next to) nothing of its answer is cut after"},
    {"web.enable-admin-api", NULL, K_BOOL, AT(admin_api), AT(admin_api_set), "deletes and snapshots over HTTP; default: on loopback only"},
    {"web.enable-lifecycle", NULL, K_BOOL, AT(lifecycle), AT(lifecycle_set), "/-/reload and /-/quit; default: on loopback only"},
    {"web.enable-remote-write-receiver", NULL, K_BOOL, AT(remote_write), 0, "take remote write"},
    {"log.level", NULL, K_LEVEL, AT(log_level), 0, "debug, info, warn or error"},
    {"log.format", NULL, K_FORMAT, AT(log_format), 0, "logfmt or json"},
    {"web.console.templates", NULL, K_IGNORED, 0, 0, NULL},
    {"web.console.libraries", NULL, K_IGNORED, 0, 0, NULL},
    {"web.external-url", NULL, K_IGNORED, 0, 0, NULL},
    {"web.page-title", NULL, K_IGNORED, 0, 0, NULL},
    {"storage.tsdb.wal-compression", NULL, K_IGNORED, 0, 0, NULL},
    {"storage.tsdb.no-lockfile", NULL, K_IGNORED, 0, 0, NULL},
    {"enable-feature", NULL, K_IGNORED, 0, 0, NULL},
};

void options_default(struct options *o)
{
    memset(o, 0, sizeof *o);
    o->data_dir = "data";
    o->listen = "127.0.0.1:9090";
    o->compat_ports = true;
    o->remote_write = true;
    o->log_level = LOG_INFO;
    store_opts_default(&o->store);
    o->store.out_of_order_ms = 0;
    tsdb_opts_default(&o->tsdb);
    logstore_opts_default(&o->logs);
    logs_opts_default(&o->log_push);
    o->logs_max_age_ms = o->logs.past_ns_max / 1000000;
    query_engine_opts_default(&o->query);
    loki_limits_default(&o->loki);
    http_limits_default(&o->http);
}

static const struct flag *find_flag(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (str_eqz(name, flags[i].name) || (flags[i].also && str_eqz(name, flags[i].also)))
            return &flags[i];
    return NULL;
}

static int bad_value(const struct flag *f, struct str value, const char *want, struct err *e)
{
    return err_set(e, ERR_INVALID, "--%s: %s expected, not \"%.*s\"", f->name, want, STR_ARG(value));
}

static int set_number(struct options *o, const struct flag *f, struct str value, struct err *e)
{
    uint64_t n;

    if (f->kind == K_SIZE) {
        if (size_parse(value, &n, e) < 0)
            return err_ctx(e, "--%s", f->name);
    } else if (!str_to_u64(value, &n) || (f->kind == K_U32 && n > UINT32_MAX)) {
        return bad_value(f, value, "a whole number", e);
    }
    if (f->kind == K_U32)
        *(uint32_t *)((char *)o + f->at) = (uint32_t)n;
    else
        *(uint64_t *)((char *)o + f->at) = n;
    return 0;
}

static int set_flag(struct options *o, const struct flag *f, struct str value, struct err *e)
{
    char *at = (char *)o + f->at;

    if (f->set_at)
        *(bool *)((char *)o + f->set_at) = true;
    switch (f->kind) {
    case K_STRING:
        *(const char **)at = value.p; /* argv lives as long as the process, and a value ends where its argument ends */
        return value.n ? 0 : bad_value(f, value, "a value", e);
    case K_BOOL:
        if (str_eqz(value, "on") || str_eqz(value, "true") || str_eqz(value, "1") || value.n == 0)
            *(bool *)at = true;
        else if (str_eqz(value, "off") || str_eqz(value, "false") || str_eqz(value, "0"))
            *(bool *)at = false;
        else
            return bad_value(f, value, "on or off", e);
        return 0;
    case K_DURATION:
        return duration_parse(value, (int64_t *)at, e) < 0 ? err_ctx(e, "--%s", f->name) : 0;
    case K_SIZE:
    case K_U64:
    case K_U32:
        return set_number(o, f, value, e);
    case K_LEVEL:
        return log_level_parse(value, (enum log_level *)at) ? 0 : bad_value(f, value, "debug, info, warn or error", e);
    case K_FORMAT:
        if (!str_eqz(value, "json") && !str_eqz(value, "logfmt"))
            return bad_value(f, value, "logfmt or json", e);
        *(enum log_format *)at = str_eqz(value, "json") ? LOG_JSON : LOG_LOGFMT;
        return 0;
    case K_IGNORED:
        log_warn("serve", "--%s has no effect here", f->name);
        return 0;
    }
    return 0;
}

int options_parse(struct options *o, int argc, char **argv, struct err *e)
{
    for (int i = 1; i < argc; i++) {
        struct str rest = str_of(argv[i]), name;
        const struct flag *f;
        bool negated = false, has_value;

        if (str_eqz(rest, "--help") || str_eqz(rest, "-h")) {
            options_help(stdout);
            return 1;
        }
        if (!str_starts(rest, STR("--")))
            return err_set(e, ERR_INVALID, "unexpected argument \"%s\" (tripod serve --help lists what there is)", argv[i]);
        rest = str_from(rest, 2);
        has_value = str_cut(&rest, '=', &name);
        f = find_flag(name);
        if (!f && str_starts(name, STR("no-"))) {
            f = find_flag(str_from(name, 3));
            negated = f && f->kind == K_BOOL;
            f = negated ? f : NULL;
        }
        if (!f)
            return err_set(e, ERR_INVALID, "unknown flag --%.*s (tripod serve --help lists what there is)", STR_ARG(name));
        if (!has_value && f->kind != K_BOOL) {
            if (++i >= argc)
                return err_set(e, ERR_INVALID, "--%s needs a value", f->name);
            rest = str_of(argv[i]);
        }
        if (set_flag(o, f, negated ? STR("off") : rest, e) < 0)
            return e->code;
    }
    return 0;
}

void options_finish(struct options *o)
{
    bool loopback = str_starts(str_of(o->listen), STR("127.")) || str_starts(str_of(o->listen), STR("localhost:")) ||
                    str_starts(str_of(o->listen), STR("[::1]"));

    if (o->store.out_of_order_ms == 0)
        o->store.out_of_order_ms = o->store.retention_ms;
    o->logs.past_ns_max = MIN(o->logs_max_age_ms, INT64_MAX / 1000000) * 1000000;
    /* Whole files are forgotten: with fewer than four in the budget a flush would often free nothing. */
    o->store.journal_file_bytes = MIN(o->store.journal_file_bytes, MAX(o->store.journal_budget_bytes / 4, (uint64_t)1 << 20));
    if (!o->admin_api_set)
        o->admin_api = loopback;
    if (!o->lifecycle_set)
        o->lifecycle = loopback;
    o->store.dir = o->data_dir;
}

static size_t print_value(const struct options *o, const struct flag *f, char *out, size_t cap)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    const char *at = (const char *)o + f->at;
    char text[NUM_MAX];
    size_t n;

    switch (f->kind) {
    case K_STRING:
        return (size_t)snprintf(out, cap, "%s", *(const char *const *)at ? *(const char *const *)at : "");
    case K_BOOL:
        return (size_t)snprintf(out, cap, "%s", *(const bool *)at ? "true" : "false");
    case K_DURATION:
        n = duration_fmt(*(const int64_t *)at, text);
        return (size_t)snprintf(out, cap, "%.*s", (int)n, text);
    case K_SIZE:
        if (*(const uint64_t *)at && *(const uint64_t *)at % (1 << 20) == 0)
            return (size_t)snprintf(out, cap, "%lluMB", (unsigned long long)(*(const uint64_t *)at >> 20));
        return (size_t)snprintf(out, cap, "%llu", (unsigned long long)*(const uint64_t *)at);
    case K_U64:
        return (size_t)snprintf(out, cap, "%llu", (unsigned long long)*(const uint64_t *)at);
    case K_U32:
        return (size_t)snprintf(out, cap, "%u", *(const uint32_t *)at);
    case K_LEVEL:
        return (size_t)snprintf(out, cap, "%s", levels[*(const enum log_level *)at]);
    case K_FORMAT:
        return (size_t)snprintf(out, cap, "%s", *(const enum log_format *)at == LOG_JSON ? "json" : "logfmt");
    case K_IGNORED:
        break;
    }
    return (size_t)snprintf(out, cap, "%s", "");
}

void options_help(FILE *to)
{
    struct options o;
    char value[256];

    options_default(&o);
    fputs("usage: tripod serve [flags]\n\nStarts the appliance. Without a configuration file it collects this host and itself.\n\n", to);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (!flags[i].help)
            continue;
        print_value(&o, &flags[i], value, sizeof value);
        fprintf(to, "  --%-34s %s", flags[i].name, flags[i].help);
        if (value[0] && !flags[i].set_at)
            fprintf(to, " (%s)", value);
        if (flags[i].also)
            fprintf(to, "\n    %-34s the same: --%s", "", flags[i].also);
        fputc('\n', to);
    }
    fputs("\nFlags are --name value or --name=value; switches also --name and --no-name. Sizes: 512MB; times: 15d, 1h30m.\n"
          "Signals: SIGHUP reads the configuration file again; SIGTERM and SIGINT stop.\n",
          to);
}

void options_flags_json(const struct options *o, struct buf *out)
{
    struct json j;
    char value[4096];

    json_init(&j, out);
    json_obj(&j);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (flags[i].kind == K_IGNORED)
            continue;
        print_value(o, &flags[i], value, sizeof value);
        json_key(&j, flags[i].also ? flags[i].also : flags[i].name);
        json_strz(&j, value);
    }
    json_end_obj(&j);
}
