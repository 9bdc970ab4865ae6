/*
 * serve.c - the appliance: open, start, listen, run, stop in reverse.
 *
 * (1) Nothing listens before the journal is replayed: who can connect sees everything that was acknowledged.
 * (2) Stopping flushes nothing: the journal has it all, so a stop is as quick as a kill.
 */
#include "cmd/commands.h"
#include "cmd/follow.h"
#include "cmd/house.h"
#include "query/logql/logql.h"
#include "web/web.h"

#include <assert.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DRAIN_MS = 5000, BIG_BYTES = 2 << 20 };

/* --- what the API asks of the house ---------------------------------------------------------------- */

static void targets_json(void *arg, struct buf *out, struct str state, struct str pool)
{
    scraper_targets_json(((struct house *)arg)->scraper, out, state, pool);
}

static void pools_json(void *arg, struct buf *out)
{
    scraper_pools_json(((struct house *)arg)->scraper, out);
}

static int pool_config_json(void *arg, struct buf *out, struct str pool, struct err *e)
{
    return scraper_pool_config_json(((struct house *)arg)->scraper, out, pool, e);
}

static int relabel_steps_json(void *arg, struct buf *out, struct str pool, const struct labels *ls, struct err *e)
{
    return scraper_relabel_steps_json(((struct house *)arg)->scraper, out, pool, ls, e);
}

static void targets_metadata_json(void *arg, struct buf *out, struct str match_target, struct str metric, int64_t limit)
{
    scraper_targets_metadata_json(((struct house *)arg)->scraper, out, match_target, metric, limit);
}

static void config_yaml(void *arg, struct buf *out)
{
    struct house *h = arg;

    pthread_mutex_lock(&h->config_mu);
    scrape_configs_print(h->config->scrape, out);
    pthread_mutex_unlock(&h->config_mu);
}

static void flags_json(void *arg, struct buf *out)
{
    options_flags_json(&((struct house *)arg)->opts, out);
}

static void metrics_text(void *arg, struct buf *out)
{
    house_metrics(arg, out);
}

static int reload(void *arg, struct err *e)
{
    return house_reload(arg, e);
}

static void quit(void *arg)
{
    (void)arg;
    kill(getpid(), SIGTERM);
}

static bool is_ready(void *arg)
{
    return atomic_load(&((struct house *)arg)->ready);
}

static bool config_status(void *arg, int64_t *loaded_ms)
{
    struct house *h = arg;
    bool ok;

    pthread_mutex_lock(&h->config_mu);
    *loaded_ms = h->config_loaded_ms;
    ok = h->config_ok;
    pthread_mutex_unlock(&h->config_mu);
    return ok;
}

static void external_labels(void *arg, struct arena *a, struct labels *out)
{
    struct house *h = arg;

    pthread_mutex_lock(&h->config_mu);
    *out = labels_dup(a, &h->config->scrape->external_labels);
    pthread_mutex_unlock(&h->config_mu);
}

static void set_up_api(struct house *h)
{
    h->api = (struct api_ctx){
        .store = h->store,
        .db = h->db,
        .engine = h->engine,
        .server = h->server,
        .admin_api = h->opts.admin_api,
        .lifecycle = h->opts.lifecycle,
        .write_receiver = h->opts.remote_write,
        .start_ms = h->start_ms,
        .version = TRIPOD_VERSION,
        .notices = api_notices_new(),
        .targets_json = targets_json,
        .scrape_pools_json = pools_json,
        .scrape_pool_config_json = pool_config_json,
        .relabel_steps_json = relabel_steps_json,
        .targets_metadata_json = targets_metadata_json,
        .config_yaml = config_yaml,
        .flags_json = flags_json,
        .metrics_text = metrics_text,
        .reload = reload,
        .quit = quit,
        .ready = is_ready,
        .config_status = config_status,
        .external_labels = external_labels,
        .arg = h,
    };
    h->push = (struct push_ctx){.store = h->store, .db = h->db, .remote_write = h->opts.remote_write};
    api_prometheus_routes(h->server, &h->api);
    push_routes(h->server, &h->push);
    house_loki_routes(h);
    follow_routes(h->server, h->files);
    h->log_push = logs_new(h->logs, &h->opts.log_push);
    logs_routes(h->server, h->log_push);
    files_set_syslog(h->files, h->log_push, h->server);
    web_routes(h->server);
}

/* --- configuration ---------------------------------------------------------------------------------- */

static int collect_node(void *arg, struct buf *out, struct err *e)
{
    return host_collect_node(((struct house *)arg)->host, out, e);
}

static int collect_containers(void *arg, struct buf *out, struct err *e)
{
    return host_collect_containers(((struct house *)arg)->containers, out, e);
}

static int collect_self(void *arg, struct buf *out, struct err *e)
{
    (void)e;
    house_metrics(arg, out);
    return 0;
}

static void add_builtins(struct house *h, const struct config *c)
{
    struct scrape_builtin node = {"node", h->instance, c->host_interval_ms, collect_node, h};
    struct scrape_builtin containers = {"cadvisor", h->instance, c->host_interval_ms, collect_containers, h};
    struct scrape_builtin self = {"tripod", h->instance, c->self_interval_ms, collect_self, h};

    if (c->host)
        scraper_add_builtin(h->scraper, &node);
    if (c->containers)
        scraper_add_builtin(h->scraper, &containers);
    if (c->self)
        scraper_add_builtin(h->scraper, &self);
}

/* Syslog listeners and what becomes of records; the configuration gives its part away. */
static int apply_logs(struct house *h, struct config *c, struct err *e)
{
    if (logs_apply(h->log_push, h->server, c->logs, e) < 0)
        return e->code;
    c->logs = NULL;
    return 0;
}

/*
 * All of c or nothing. What can fail stands in front of what cannot: the files part only where its thread is still to be started,
 * which it then is; the logs part where an address is taken, after which it is as it was and the files part gets its old
 * configuration again; the scraper only the first time, when the process has not begun to serve.
 */
static int apply_all(struct house *h, struct config *c, const struct config *old, struct err *e)
{
    struct err why;

    if (files_apply(h->files, c->files, e) < 0)
        return e->code;
    if (apply_logs(h, c, e) < 0) {
        if (old && files_apply(h->files, old->files, &why) < 0)
            log_error("config", "log files are followed by the new configuration: %s", why.text);
        return e->code;
    }
    return scraper_apply(h->scraper, c->scrape, e);
}

/* What was read is ours to free until it is in force. */
static int load_and_apply(struct house *h, struct err *e)
{
    struct config *fresh, *old = h->config;

    if (config_load(&h->opts, false, &fresh, e) < 0)
        return e->code;
    if (apply_all(h, fresh, old, e) < 0) {
        config_free(fresh);
        return e->code;
    }
    pthread_mutex_lock(&h->config_mu);
    h->config = fresh;
    h->config_loaded_ms = clock_wall_ms();
    pthread_mutex_unlock(&h->config_mu);
    if (old->host != fresh->host || old->containers != fresh->containers || old->self != fresh->self)
        log_warn("config", "collect: a change of what is collected here needs a restart");
    config_free(old); /* who looked at it did so under config_mu */
    return 0;
}

int house_reload(struct house *h, struct err *e)
{
    int code;

    pthread_mutex_lock(&h->reload_mu);
    code = load_and_apply(h, e);
    pthread_mutex_lock(&h->config_mu);
    h->config_ok = code == 0;
    pthread_mutex_unlock(&h->config_mu);
    pthread_mutex_unlock(&h->reload_mu);
    api_notices_set(h->api.notices, API_RELOAD_FAILED, code < 0);
    if (code < 0)
        log_error("config", "kept the old configuration: %s", e->text);
    else
        log_info("config", "read %s", h->opts.config_path ? h->opts.config_path : "the built-in configuration");
    return code;
}

/* --- life ----------------------------------------------------------------------------------------------- */

/* Command line, then file, then command line once more: what was typed wins. >0: --help. */
static int read_options(struct house *h, struct err *e)
{
    int code;

    options_default(&h->opts);
    code = options_parse(&h->opts, h->argc, h->argv, e);
    if (code != 0)
        return code;
    log_setup(h->opts.log_level, h->opts.log_format);
    if (config_load(&h->opts, true, &h->config, e) < 0 || options_parse(&h->opts, h->argc, h->argv, e) < 0)
        return e->code;
    options_finish(&h->opts);
    h->config_ok = true;
    h->config_loaded_ms = clock_wall_ms();
    return 0;
}

static int check_binding(const struct options *o, struct err *e)
{
    struct str l = str_of(o->listen);

    if (o->insecure || str_starts(l, STR("127.")) || str_starts(l, STR("localhost:")) || str_starts(l, STR("[::1]")))
        return 0;
    return err_set(e, ERR_DENIED, "--listen %s is reachable from other hosts and there is no login: say --insecure if that is meant", o->listen);
}

/* Before recovery: what is deleted must stay so. */
static void teach_logs(struct house *h)
{
    struct log_delete_filter deletes = logql_delete_filter();

    logstore_delete_filter(h->logs, &deletes);
    logql_register_foreign(h->logs);
}

static int open_rooms(struct house *h, struct err *e)
{
    struct rlimit fds;

    if (getrlimit(RLIMIT_NOFILE, &fds) == 0 && fds.rlim_cur < fds.rlim_max) {
        fds.rlim_cur = fds.rlim_max;
        setrlimit(RLIMIT_NOFILE, &fds);
    }
    mallopt(M_MMAP_THRESHOLD, BIG_BYTES); /* else it rises with use, and bodies and answers stay with us */
    if (check_binding(&h->opts, e) < 0 || store_open(&h->opts.store, &h->store, e) < 0 || tsdb_new(h->store, &h->opts.tsdb, &h->db, e) < 0 ||
        logstore_new(h->store, &h->opts.logs, &h->logs, e) < 0)
        return e->code;
    teach_logs(h);
    if (store_recover(h->store, e) < 0 || store_start(h->store, e) < 0)
        return e->code;
    h->engine = query_engine_new(&h->opts.query);
    h->client = http_client_new();
    h->scraper = scraper_new(h->db, h->client);
    h->files = files_new(&(struct files_opts){
        .store = follow_store(h->logs), .client = h->client, .line_bytes_max = h->opts.logs.line_bytes_max, .levels = true});
    h->host = host_new(NULL);
    h->containers = host_new(NULL);
    return 0;
}

static unsigned io_threads(const struct options *o)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return o->io_threads ? o->io_threads : cores < 1 ? 1 : (unsigned)cores;
}

static int listen_and_scrape(struct house *h, struct err *e)
{
    char name[256] = "localhost";

    h->server = http_server_new(io_threads(&h->opts), &h->opts.http);
    set_up_api(h);
    if (http_listen(h->server, h->opts.listen, &h->port, e) < 0)
        return e->code;
    house_listen_compat(h);
    if (gethostname(name, sizeof name - 1) != 0)
        log_warn("serve", "no host name: our own series say localhost");
    snprintf(h->instance, sizeof h->instance, "%s:%u", name, h->port);
    add_builtins(h, h->config);
    if (apply_all(h, h->config, NULL, e) < 0)
        return e->code;
    return http_server_start(h->server, e);
}

static void say_ready(struct house *h)
{
    struct str l = str_of(h->opts.listen);
    const char *colon = strrchr(h->opts.listen, ':');
    struct str where = colon && colon != h->opts.listen ? str_n(l.p, (size_t)(colon - l.p)) : STR("127.0.0.1");

    atomic_store(&h->ready, true);
    log_info("serve", "ready after %lld ms: http://%.*s:%u/ data %s", (long long)(clock_mono_ms() - h->start_mono_ms), STR_ARG(where), h->port,
             h->opts.data_dir);
}

static void run(struct house *h, const sigset_t *set)
{
    for (;;) {
        struct err e = {0};
        int sig = 0;

        if (sigwait(set, &sig) != 0)
            continue;
        if (sig == SIGHUP) {
            house_reload(h, &e); /* it has logged what is wrong */
            continue;
        }
        log_info("serve", "stopping on %s", sig == SIGINT ? "SIGINT" : "SIGTERM");
        return;
    }
}

static void close_rooms(struct house *h)
{
    atomic_store(&h->ready, false);
    if (h->api.notices) {
        api_notices_set(h->api.notices, API_STOPPING, true);
        api_notices_close(h->api.notices);
    }
    loki_tails_stop(h->loki.tails);
    scraper_free(h->scraper);
    files_stop(h->files);
    if (h->server)
        http_server_drain(h->server, DRAIN_MS);
    query_engine_free(h->engine);
    http_client_free(h->client);
    if (h->log_push)
        logs_stop(h->log_push);
    store_close(h->store);
    files_free(h->files);
    http_server_free(h->server); /* after the store: late acknowledgements still find it */
    api_notices_free(h->api.notices);
    loki_tails_free(h->loki.tails);
    if (h->log_push)
        logs_free(h->log_push);
    tsdb_free(h->db);
    logstore_free(h->logs);
    host_free(h->host);
    host_free(h->containers);
    config_free(h->config);
}

int cmd_serve(int argc, char **argv)
{
    static struct house h; /* threads point into it until the end of the process */
    struct err e = {0};
    sigset_t set;
    int code;

    h.argc = argc;
    h.argv = argv;
    h.start_ms = clock_wall_ms();
    h.start_mono_ms = clock_mono_ms();
    pthread_mutex_init(&h.reload_mu, NULL);
    pthread_mutex_init(&h.config_mu, NULL);
    code = read_options(&h, &e);
    if (code > 0)
        return EXIT_FINE;
    if (code < 0) {
        fprintf(stderr, "tripod serve: %s\n", e.text);
        return EXIT_USAGE;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread: they inherit it, and only run() takes signals */
    if (open_rooms(&h, &e) < 0 || listen_and_scrape(&h, &e) < 0) {
        log_error("serve", "%s", e.text);
        close_rooms(&h);
        return EXIT_FAILED;
    }
    say_ready(&h);
    run(&h, &set);
    close_rooms(&h);
    return EXIT_FINE;
}
