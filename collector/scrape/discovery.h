/*
 * discovery.h - private to scrape/: where targets come from. One provider per *_sd_configs entry; each holds its last
 * good list. Refreshing blocks (disk, DNS, HTTP), so it runs on a small pool of its own and never on the scheduler.
 */
#ifndef COLLECTOR_SCRAPE_DISCOVERY_H
#define COLLECTOR_SCRAPE_DISCOVERY_H

#include "collector/scrape/config_types.h"

/* What one refresh found. Immutable and counted. */
struct sd_result {
    int refs;
    struct arena arena;
    struct target_group *groups;
    uint32_t n, cap;
};

/* Of containers that do not run (sd_config.ended). */
#define SD_DOCKER_ENDED "__tripod_docker_ended"

struct sd_result *sd_result_new(void);
struct sd_result *sd_result_ref(struct sd_result *r);
void sd_result_unref(struct sd_result *r); /* NULL is fine */
/* A new empty group at the end. */
struct target_group *sd_result_group(struct sd_result *r, struct str source);
/* A deep copy of g at the end. */
void sd_result_copy_group(struct sd_result *r, const struct target_group *g);

struct discovery;
struct sd_provider;

/* changed is called from any thread when a refresh has ended (discovery_run must be asked again); lists: something new
 * was found. */
struct discovery *discovery_new(struct http_client *client, void (*changed)(void *arg, bool lists), void *arg);
void discovery_stop(struct discovery *d); /* gives up what is being asked; changed is not called any more */
void discovery_free(struct discovery *d); /* after discovery_stop */

/* owner keeps c alive: a reference is taken. The first refresh is due at once; static lists are there immediately. */
struct sd_provider *discovery_add(struct discovery *d, const struct sd_config *c, struct scrape_configs *owner);
void discovery_remove(struct discovery *d, struct sd_provider *p);
/* The last good list with a reference, or NULL when there was none yet. */
struct sd_result *discovery_result(struct discovery *d, struct sd_provider *p);

/* Scheduler: starts refreshes that are due; returns when the next one is (clock_mono_ms). */
int64_t discovery_run(struct discovery *d);
/* Something has changed that providers of this kind may know of: they are asked again within this time. */
void discovery_hurry(struct discovery *d, enum sd_kind kind, int64_t within_ms);
/* Becomes readable when a watched folder changes; then discovery_files_changed must be called. */
int discovery_fd(const struct discovery *d);
void discovery_files_changed(struct discovery *d);

/* --- between discovery.c and the kinds -------------------------------------------------------------- */

/* What a refresh may use. previous: the last good list or NULL. stop: set when nobody waits any more. */
struct sd_ask {
    const struct sd_config *config;
    const struct sd_result *previous;
    struct http_client *client;
    const _Atomic bool *stop;
};

/* Fill out; <0: the previous list stays. */
int sd_file_refresh(const struct sd_ask *ask, struct sd_result *out, struct err *e);
int sd_http_refresh(const struct sd_ask *ask, struct sd_result *out, struct err *e);
int sd_dns_refresh(const struct sd_ask *ask, struct sd_result *out, struct err *e);
int sd_docker_refresh(const struct sd_ask *ask, struct sd_result *out, struct err *e);

/* A GET whose waiting ends early when ask->stop is set (ERR_CANCELED). The answer is copied to a. */
int sd_get(const struct sd_ask *ask, struct str url, struct str unix_socket, const struct label *headers,
           uint32_t nheaders, int64_t timeout_ms, struct arena *a, struct http_answer *out, struct err *e);
/* A JSON list of target groups; sources are prefix:i. Unknown keys and values that are no texts are refused. */
int sd_read_json(struct sd_result *out, struct str json, const char *prefix, struct str meta_name,
                 struct str meta_value, struct err *e);
/* Sets __address__ and keeps room for n labels more: a target at the end of g. */
struct labels *sd_target(struct sd_result *r, struct target_group *g, uint32_t *cap, uint32_t nlabels);
void sd_label(struct labels *ls, const char *name, struct str value);

#endif
