/*
 * serve_loki.c - Loki's API in the house: what it asks of the other rooms, and the ports where programs that were replaced
 * listened.
 */
#include "cmd/house.h"

#include <stdio.h>
#include <string.h>

static _Atomic int log_level_now;

static bool is_ready(void *arg)
{
    return atomic_load(&((struct house *)arg)->ready);
}

static void config_yaml(void *arg, struct buf *out)
{
    struct house *h = arg;

    if (h->api.config_yaml)
        h->api.config_yaml(h->api.arg, out);
}

static enum log_level level(void *arg)
{
    (void)arg;
    return (enum log_level)atomic_load(&log_level_now);
}

static void set_level(void *arg, enum log_level to)
{
    struct house *h = arg;

    atomic_store(&log_level_now, (int)to);
    log_setup(to, h->opts.log_format);
}

static void flush(void *arg)
{
    store_flush_soon(((struct house *)arg)->store, "logs");
}

void house_loki_routes(struct house *h)
{
    atomic_store(&log_level_now, (int)h->opts.log_level);
    h->loki = (struct loki_ctx){
        .logs = h->logs,
        .engine = h->engine,
        .server = h->server,
        .tails = loki_tails_new(),
        .version = h->api.version,
        .deletes = h->opts.admin_api,
        .ready = is_ready,
        .config_yaml = config_yaml,
        .log_level = level,
        .set_log_level = set_level,
        .flush = flush,
        .arg = h,
    };
    h->loki.limits = h->opts.loki;
    h->loki.limits.retention_ms = h->opts.store.retention_ms;
    loki_routes(h->server, &h->loki);
}

/* The same host as the main address, another port. One that is taken is no reason not to start. */
void house_listen_compat(struct house *h)
{
    static const struct {
        unsigned port;
        const char *of;
    } ports[] = {{3100, "Loki"}};
    const char *colon = strrchr(h->opts.listen, ':');

    for (size_t i = 0; h->opts.compat_ports && colon && i < ARRAY_LEN(ports); i++) {
        char address[320];
        uint16_t port;
        struct err e;

        if (h->port == ports[i].port)
            continue;
        snprintf(address, sizeof address, "%.*s:%u", (int)MIN(colon - h->opts.listen, 255), h->opts.listen, ports[i].port);
        if (http_listen(h->server, address, &port, &e) < 0)
            log_warn("serve", "not listening where %s does: %s", ports[i].of, e.text);
    }
}
