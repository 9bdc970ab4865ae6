/*
 * logs.h - front door of collector/logs/: everything that arrives as log records over the network.
 *
 *   push.c      Loki push, JSON and protobuf            otlp.c     OTLP logs
 *   lines.c     JSON lines, Elasticsearch bulk,         syslog.c   RFC 5424 and 3164: messages
 *               Datadog, journald upload                syslog_listen.c  ... and the addresses they come to
 *   intake.c    rows of one batch                       level.c    detected_level
 *   stream.c    label sets of streams                   config.c   `syslog:` and `limits_config:`
 */
#ifndef COLLECTOR_LOGS_H
#define COLLECTOR_LOGS_H

#include "base/base.h"

struct http_server;
struct logstore;
struct logs;
struct logs_config;

/* 0: no limit. Sizes of bodies are the server's limits, of lines and metadata the logstore's. */
struct logs_opts {
    uint64_t rate_bytes, rate_burst_bytes;               /* lines and metadata a second, all senders together */
    uint64_t stream_rate_bytes, stream_rate_burst_bytes; /* of one stream */
    int64_t future_ns_max; /* a syslog time further ahead is taken for another year's */
};
void logs_opts_default(struct logs_opts *o);

struct logs *logs_new(struct logstore *ls, const struct logs_opts *opts);
/* Before the server starts. */
void logs_routes(struct http_server *s, struct logs *l);
/* After every request was answered and logs_stop was called. */
void logs_free(struct logs *l);

/*
 * Reads `syslog` and `limits_config` of the root map (marks them used; leaves other keys alone). A root without them is a
 * configuration that asks for nothing. Errors name file and line.
 */
int logs_config_read(struct conf *root, struct logs_config **out, struct err *e);
void logs_config_free(struct logs_config *c);
/*
 * Puts a configuration in force and owns it from then on. Listeners whose section has not changed go on as they are. On
 * failure (an address is taken) everything stays as it was and c is still the caller's. The server may run or not.
 */
int logs_apply(struct logs *l, struct http_server *s, struct logs_config *c, struct err *e);
/* Closes the listeners, once what they took is on disk or refused. Before the store closes. */
void logs_stop(struct logs *l);

/* --- figures ------------------------------------------------------------------------------------------- */

enum logs_source { LOGS_LOKI, LOGS_OTLP, LOGS_JSONLINE, LOGS_ELASTIC, LOGS_DATADOG, LOGS_JOURNALD, LOGS_SYSLOG, LOGS_SOURCES };
const char *logs_source_name(enum logs_source s);

/* Why rows were refused before the logstore saw them; the logstore counts its own (logstore_stats). */
enum logs_reason { LOGS_INVALID_LABELS, LOGS_MISSING_LABELS, LOGS_DUPLICATE_LABELS, LOGS_RATE, LOGS_STREAM_RATE, LOGS_BAD_RECORD, LOGS_REASONS };
const char *logs_reason_name(enum logs_reason r);

struct logs_stats {
    uint64_t requests[LOGS_SOURCES], refused_requests[LOGS_SOURCES], rows[LOGS_SOURCES]; /* syslog: batches */
    uint64_t bytes_wire, bytes_raw; /* of bodies, as sent and decoded */
    uint64_t refused[LOGS_REASONS];
    uint64_t syslog_lost; /* messages that were taken and could not be stored before the end */
};
void logs_stats(struct logs *l, struct logs_stats *out);

/* --- syslog -------------------------------------------------------------------------------------------- */

struct syslog_param {
    struct str id, name, value; /* of structured data */
};

enum { SYSLOG_PARAMS_MAX = 64 };

/* One message. Everything is borrowed from its text, or from the arena where it had escapes. Empty: not said. */
struct syslog_message {
    bool has_pri, has_time, rfc5424;
    unsigned facility, severity;
    int64_t t_ns;
    struct str host, app, procid, msgid, text;
    struct syslog_param params[SYSLOG_PARAMS_MAX]; /* more are left out */
    unsigned nparams;
};
/*
 * Takes a message apart, RFC 5424 or 3164; what is neither is all text. now_ns: for times without a year. future_ns_max:
 * how far ahead such a time may lie.
 */
void syslog_parse(struct arena *a, struct str raw, int64_t now_ns, int64_t future_ns_max, struct syslog_message *out);
const char *syslog_facility_name(unsigned facility); /* "kern" ... "local7" */
const char *syslog_severity_name(unsigned severity); /* "emerg" ... "debug" */

/* A listener by one section of configuration, for others that read such sections (scrape_configs with `syslog`). */
struct syslog_config;
struct syslog_listener;
/* Reads {listen_udp, listen_tcp, labels, relabel_configs, ...}; the texts live as long as a. */
int syslog_config_read(struct arena *a, struct conf *c, struct syslog_config **out, struct err *e);
void syslog_config_release(struct syslog_config *c); /* its regexes */
/* c must live as long as the listener. *udp and *tcp (may be NULL) get the ports. */
int syslog_listen(struct logs *l, struct http_server *s, const struct syslog_config *c, struct syslog_listener **out, uint16_t *udp,
                  uint16_t *tcp, struct err *e);
/* Waits for what was taken to be on disk. Not from an I/O or the journal thread. */
void syslog_close(struct syslog_listener *sl);

#endif
