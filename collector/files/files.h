/*
 * files.h - front door of files/: follows log files, Docker containers and the journal of systemd as Promtail does, on one host.
 *
 *   config.h     `logs:` and promtail.yml        pipeline.h  stages: entries in, entries out
 *   source.h     bytes of a file -> lines        tailer.h    paths, rotations, positions
 *   batch.h      entries -> rows of the store    journald.h  journalctl's export stream
 *
 * How far a file was read is a mark of the store, committed with the lines it covers: nothing is lost and nothing comes twice,
 * whatever happens between two instructions.
 */
#ifndef COLLECTOR_FILES_H
#define COLLECTOR_FILES_H

#include "base/base.h"
#include "logstore/logstore.h"

struct http_client;
struct http_server;
struct logs;
struct files;
struct files_config;

/* What we ask of the log store. */
struct files_store {
    int (*ingest)(void *arg, struct log_batch *b, log_done *done, bool *later, struct err *e);
    void (*marks)(void *arg, struct str prefix, void (*fn)(void *fn_arg, struct str key, struct str value), void *fn_arg);
    void *arg;
};

/*
 * Selectors of `match` stages, which are LogQL: `{app="x"} |= "text"`, and the templates of `template` and `replace`, with LogQL's
 * functions. Who knows the language fills this; all of it is used by one thread at a time.
 */
struct files_selectors {
    int (*compile)(void *arg, struct str text, void **out, struct err *e);
    bool (*matches)(void *selector, const struct labels *labels, struct str line);
    void (*release)(void *selector);

    /* May be NULL: then these stages are errors. */
    int (*template_new)(void *arg, struct str text, void **out, struct err *e);
    int (*template_run)(void *tmpl, const struct label *fields, uint32_t n, struct buf *out); /* fields in no order; <0: it failed on them */
    void (*template_free)(void *tmpl);
    void *arg;
};

struct files_opts {
    struct files_store store;
    struct http_client *client; /* asks the Docker Engine */
    uint32_t line_bytes_max;    /* what the store takes; longer lines are cut there and say log_truncated=true */
    bool levels;                /* find out detected_level, as a push does */
};

/* --- configuration --------------------------------------------------------------------------------- */

/*
 * Reads the key `logs` of the root map (marks it used), and promtail_file (a whole promtail.yml; may be empty). dir: for
 * relative file names. selectors may be NULL: then `match` is an error. Errors name file and line.
 */
int files_config_read(struct conf *root, struct str dir, struct str promtail_file, const struct files_selectors *selectors,
                      struct files_config **out, struct err *e);
/* Whether the root map is a promtail.yml and no configuration of ours: `clients` or `positions` stand in it. */
bool files_config_is_promtail(const struct conf *root);
struct files_config *files_config_ref(struct files_config *c);
void files_config_unref(struct files_config *c);
uint32_t files_config_jobs(const struct files_config *c);

/* --- life ------------------------------------------------------------------------------------------- */

struct files *files_new(const struct files_opts *o);
/* Before the first files_apply, where syslog entries of scrape_configs are to be listened to. */
void files_set_syslog(struct files *f, struct logs *l, struct http_server *s);
/*
 * Takes a configuration (its own reference), which is in force a moment later. The first call starts the thread. Jobs whose text
 * has not changed go on; the others begin anew from their marks. Any thread, does not wait.
 */
int files_apply(struct files *f, struct files_config *c, struct err *e);
/* Stops reading and waits for what is under way to be on disk or refused. Before the store closes. */
void files_stop(struct files *f);
void files_free(struct files *f);

/* --- figures ---------------------------------------------------------------------------------------- */

/* [{"job":...,"type":"file","labels":{...},"path":...,"position":...,"size":...,"lag":...,"error":...}, ...] Any thread. */
void files_targets_json(struct files *f, struct buf *out);
/* tripod_files_* and the promtail_custom_* of metrics stages, text 0.0.4. Any thread. */
void files_metrics(struct files *f, struct buf *out);

#endif
