/*
 * metrics.c - what we say about ourselves on /metrics: each room's figures under tripod_*, and process_* as every client
 * library names them. What an operator asks at night is here as a number.
 */
#include "cmd/house.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct buf *out, double v)
{
    char text[NUM_MAX];

    buf_put(out, text, num_fmt_g(v, text));
    buf_putc(out, '\n');
}

static void one(struct buf *out, const char *name, const char *type, const char *help, double v)
{
    head(out, name, type, help);
    buf_printf(out, "%s ", name);
    number(out, v);
}

static void labelled(struct buf *out, const char *name, const char *label, const char *value, double v)
{
    buf_printf(out, "%s{%s=\"%s\"} ", name, label, value);
    number(out, v);
}

#define COUNTER(name, help, v) one(out, name, "counter", help, (double)(v))
#define GAUGE(name, help, v) one(out, name, "gauge", help, (double)(v))

static void process_metrics(struct house *h, struct buf *out)
{
    struct rusage ru;
    char line[512];
    long size = 0, resident = 0;
    unsigned fds = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    DIR *d = opendir("/proc/self/fd");
    struct rlimit lim;

    if (f) {
        if (fgets(line, sizeof line, f) && sscanf(line, "%ld %ld", &size, &resident) != 2)
            size = resident = 0;
        fclose(f);
    }
    for (struct dirent *en; d && (en = readdir(d));)
        fds += en->d_name[0] != '.';
    if (d) {
        closedir(d);
        fds--; /* the directory itself */
    }
    getrusage(RUSAGE_SELF, &ru);
    COUNTER("process_cpu_seconds_total", "CPU time, user and system.",
            (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) + 1e-6 * (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec));
    GAUGE("process_resident_memory_bytes", "Memory in RAM, mapped files included.", resident * sysconf(_SC_PAGESIZE));
    GAUGE("process_virtual_memory_bytes", "Address space.", (double)size * (double)sysconf(_SC_PAGESIZE));
    GAUGE("process_open_fds", "Open file descriptors.", fds);
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0)
        GAUGE("process_max_fds", "Most file descriptors that may be open.", lim.rlim_cur);
    GAUGE("process_start_time_seconds", "When the process started.", (double)h->start_ms / 1000);
}

static void store_metrics(struct house *h, struct buf *out)
{
    struct store_stats s;
    struct arena a = {0};
    struct store_warning *w;

    store_stats(h->store, &s);
    GAUGE("tripod_journal_bytes", "Size of the journal files.", s.journal_bytes);
    GAUGE("tripod_journal_files", "Number of journal files.", s.journal_files);
    COUNTER("tripod_journal_commits_total", "Synced transactions.", s.journal_commits);
    COUNTER("tripod_journal_entries_total", "Accepted batches.", s.journal_entries);
    COUNTER("tripod_journal_entry_bytes_total", "Bytes of accepted batches as written.", s.journal_entry_bytes);
    GAUGE("tripod_storage_bytes", "All files of the data directory.", s.disk_bytes);
    GAUGE("tripod_storage_free_bytes", "Free space of its file system.", s.disk_free_bytes);
    GAUGE("tripod_partitions", "Day files of all signals.", s.partitions);
    COUNTER("tripod_flushes_total", "Flushes of a head into partitions.", s.flushes);
    COUNTER("tripod_flush_errors_total", "Flushes that failed and will be tried again.", s.flush_errors);
    COUNTER("tripod_sealed_total", "Days rewritten densely.", s.sealed);
    GAUGE("tripod_quarantined_files", "Damaged files moved aside.", s.quarantined);
    GAUGE("tripod_replay_seconds", "How long the journal took to replay at the start.", (double)s.replay_ms / 1000);
    GAUGE("tripod_warnings", "Standing warnings; /api/v1/status/warnings has their texts.", store_warnings(h->store, &a, &w));
    GAUGE("tripod_writable", "1 when writes are accepted.", store_writable(h->store, NULL) == 0);
    arena_release(&a);
}

static void tsdb_metrics(struct house *h, struct buf *out)
{
    static const char *const verdicts[TSDB_VERDICTS] = {"stored", "same", "duplicate", "too_old", "future", "bad_labels", "series_limit", "bad_histogram"};
    struct tsdb_stats s;

    tsdb_stats(h->db, &s);
    head(out, "tripod_samples_total", "counter", "Samples that arrived, by what became of them.");
    for (int i = 0; i < TSDB_VERDICTS; i++)
        labelled(out, "tripod_samples_total", "verdict", verdicts[i], (double)s.samples[i]);
    COUNTER("tripod_exemplars_total", "Exemplars stored.", s.exemplars);
    GAUGE("tripod_head_series", "Series in memory.", s.head_series);
    COUNTER("tripod_head_series_created_total", "Series that came into memory.", s.head_series_created);
    COUNTER("tripod_head_series_removed_total", "Series that left memory.", s.head_series_removed);
    GAUGE("tripod_head_bytes", "Memory of unflushed samples and the index beside them.", s.head_bytes);
    GAUGE("tripod_symbol_bytes", "Memory of label texts.", s.symbol_bytes);
    /* The names that existing dashboards of Prometheus itself read. */
    GAUGE("prometheus_tsdb_head_series", "The same as tripod_head_series.", s.head_series);
    COUNTER("prometheus_tsdb_head_samples_appended_total", "The same as tripod_samples_total{verdict=\"stored\"}.", s.samples[TSDB_OK]);
}

/* By the logstore, and by the doors before it: a reason that both know is one number. */
static void logs_refused(struct house *h, struct buf *out, const struct logstore_stats *s)
{
    struct logs_stats doors;
    bool shown[LOGS_REASONS] = {false};

    logs_stats(h->log_push, &doors);
    head(out, "tripod_logs_refused_total", "counter", "Records that were refused, by reason.");
    for (int i = LOG_SAME + 1; i < LOG_VERDICTS; i++) {
        const char *reason = log_verdict_reason((enum log_verdict)i);
        double n = (double)s->refused[i];

        for (int r = 0; r < LOGS_REASONS; r++)
            if (!shown[r] && strcmp(reason, logs_reason_name((enum logs_reason)r)) == 0) {
                n += (double)doors.refused[r];
                shown[r] = true;
            }
        labelled(out, "tripod_logs_refused_total", "reason", reason, n);
    }
    for (int r = 0; r < LOGS_REASONS; r++)
        if (!shown[r])
            labelled(out, "tripod_logs_refused_total", "reason", logs_reason_name((enum logs_reason)r), (double)doors.refused[r]);
}

static void log_push_metrics(struct house *h, struct buf *out)
{
    struct logs_stats s;

    logs_stats(h->log_push, &s);
    head(out, "tripod_logs_push_requests_total", "counter", "Requests with log records (syslog: batches), by protocol.");
    for (int i = 0; i < LOGS_SOURCES; i++)
        labelled(out, "tripod_logs_push_requests_total", "protocol", logs_source_name((enum logs_source)i), (double)s.requests[i]);
    head(out, "tripod_logs_push_refused_requests_total", "counter", "Those answered with an error, by protocol.");
    for (int i = 0; i < LOGS_SOURCES; i++)
        labelled(out, "tripod_logs_push_refused_requests_total", "protocol", logs_source_name((enum logs_source)i), (double)s.refused_requests[i]);
    head(out, "tripod_logs_push_records_total", "counter", "Records in them that are on disk, by protocol.");
    for (int i = 0; i < LOGS_SOURCES; i++)
        labelled(out, "tripod_logs_push_records_total", "protocol", logs_source_name((enum logs_source)i), (double)s.rows[i]);
    COUNTER("tripod_logs_push_wire_bytes_total", "Bodies as sent.", s.bytes_wire);
    COUNTER("tripod_logs_push_decoded_bytes_total", "Bodies decompressed.", s.bytes_raw);
    COUNTER("tripod_logs_syslog_lost_total", "Syslog messages that were taken and could not be stored.", s.syslog_lost);
}

static void logs_metrics(struct house *h, struct buf *out)
{
    struct loki_tail_stats t;
    struct logstore_stats s;

    logstore_stats(h->logs, &s);
    COUNTER("tripod_logs_records_total", "Log records stored.", s.rows);
    COUNTER("tripod_logs_bytes_total", "Their bytes: lines and structured metadata.", s.bytes);
    COUNTER("tripod_logs_same_total", "Records that were there already.", s.same);
    logs_refused(h, out, &s);
    GAUGE("tripod_logs_streams", "Active streams.", s.streams);
    COUNTER("tripod_logs_streams_created_total", "Streams that became active.", s.streams_created);
    GAUGE("tripod_logs_head_bytes", "Memory of unflushed records.", s.head_bytes);
    GAUGE("tripod_logs_head_records", "Records that are not flushed yet.", s.head_rows);
    COUNTER("tripod_logs_blocks_total", "Blocks that flushes wrote.", s.blocks);
    GAUGE("tripod_logs_tails", "Who follows new records.", s.tails);
    COUNTER("tripod_logs_tail_dropped_total", "Records that did not reach a tail because its queue was full.", s.tail_dropped);
    GAUGE("tripod_logs_deletes", "Deletions in force.", s.deletes);
    loki_tail_stats(h->loki.tails, &t);
    GAUGE("tripod_tail_clients", "Live tails over WebSockets.", t.open);
    COUNTER("tripod_tail_clients_total", "Live tails that were begun.", t.opened);
    COUNTER("tripod_tail_refused_total", "Live tails refused: there were too many.", t.refused);
    COUNTER("tripod_tail_records_sent_total", "Records sent to live tails.", t.sent);
    COUNTER("tripod_tail_records_dropped_total", "Records that live tails left out because their clients were slow, which these were told.", t.dropped);
}

static void http_metrics(struct house *h, struct buf *out)
{
    static const char *const classes[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    struct http_stats s;
    struct push_stats p;

    http_stats(h->server, &s);
    head(out, "tripod_http_requests_total", "counter", "Answers, by class of status.");
    for (int i = 0; i < 6; i++)
        labelled(out, "tripod_http_requests_total", "code", classes[i], (double)s.by_status[i]);
    GAUGE("tripod_http_connections", "Open connections.", s.connections_open);
    COUNTER("tripod_http_connections_total", "Connections accepted.", s.connections);
    COUNTER("tripod_http_received_bytes_total", "Bytes read.", s.bytes_in);
    COUNTER("tripod_http_sent_bytes_total", "Bytes written.", s.bytes_out);
    COUNTER("tripod_http_slow_clients_total", "Connections cut because the other side was too slow.", s.cut_slow);
    COUNTER("tripod_http_refused_total", "Requests refused by a limit.", s.refused_limit);
    GAUGE("tripod_http_inflight_bytes", "Request bodies held now.", s.inflight_bytes);
    push_stats(&p);
    COUNTER("tripod_push_requests_total", "Remote write and text push requests.", p.requests);
    COUNTER("tripod_push_refused_requests_total", "Those refused.", p.refused_requests);
    COUNTER("tripod_push_samples_total", "Samples in them.", p.samples);
    COUNTER("tripod_push_wire_bytes_total", "Their bytes as sent.", p.bytes_wire);
    COUNTER("tripod_push_decoded_bytes_total", "Their bytes decompressed.", p.bytes_raw);
}

static void rest_metrics(struct house *h, struct buf *out)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    struct scraper_stats s;
    struct query_stats q;

    query_stats(h->engine, &q);
    GAUGE("tripod_queries_running", "Queries that run now.", q.running);
    GAUGE("tripod_queries_waiting", "Queries that wait for a place.", q.waiting);
    GAUGE("tripod_query_bytes", "Memory that running queries are charged for.", q.bytes);
    COUNTER("tripod_queries_total", "Queries begun.", q.started);
    head(out, "tripod_queries_stopped_total", "counter", "Queries that did not come to their end, by reason.");
    labelled(out, "tripod_queries_stopped_total", "reason", "limit", (double)q.limited);
    labelled(out, "tripod_queries_stopped_total", "reason", "timeout", (double)q.timed_out);
    labelled(out, "tripod_queries_stopped_total", "reason", "canceled", (double)q.canceled);
    labelled(out, "tripod_queries_stopped_total", "reason", "busy", (double)q.refused);
    scraper_stats(h->scraper, &s);
    GAUGE("tripod_scrape_targets", "Targets known.", s.targets);
    GAUGE("tripod_scrape_targets_up", "Targets whose last scrape went well.", s.up);
    COUNTER("tripod_scrapes_total", "Scrapes made.", s.scrapes);
    COUNTER("tripod_scrape_failures_total", "Scrapes that failed.", s.failures);
    COUNTER("tripod_scrape_samples_total", "Samples scraped.", s.samples);
    head(out, "tripod_log_lines_total", "counter", "Lines of our own log.");
    for (int i = 0; i < 4; i++)
        labelled(out, "tripod_log_lines_total", "level", levels[i], (double)log_count((enum log_level)i));
    head(out, "tripod_build_info", "gauge", "Always 1; the version is a label.");
    labelled(out, "tripod_build_info", "version", h->api.version, 1);
}

void house_metrics(struct house *h, struct buf *out)
{
    process_metrics(h, out);
    store_metrics(h, out);
    tsdb_metrics(h, out);
    logs_metrics(h, out);
    log_push_metrics(h, out);
    http_metrics(h, out);
    rest_metrics(h, out);
    files_metrics(h->files, out);
    pthread_mutex_lock(&h->config_mu);
    GAUGE("tripod_config_last_reload_successful", "1 when the configuration file was good when last read.", h->config_ok);
    GAUGE("tripod_config_last_reload_success_timestamp_seconds", "When it last was.", (double)h->config_loaded_ms / 1000);
    pthread_mutex_unlock(&h->config_mu);
}
