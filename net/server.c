/*
 * server.c - the life of the server: made, listening, started, draining, gone.
 *
 *   new ─▶ routes, listen ─▶ start ─▶ drain (no new connections, running requests end) ─▶ free
 */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { HELD_WAIT_MS = 5000 };

void http_limits_default(struct http_limits *l)
{
    *l = (struct http_limits){
        .header_bytes = 64 << 10,
        .body_bytes = 64u << 20,
        .decoded_bytes = 128u << 20,
        .inflight_bytes = 256u << 20,
        .header_ms = 10000,
        .body_ms = 60000,
        .idle_ms = 120000,
        .write_ms = 60000,
        .conns_max = 20000,
        .write_high_bytes = 1 << 20,
    };
}

struct http_server *http_server_new(unsigned threads, const struct http_limits *limits)
{
    struct http_server *s = x_zalloc(sizeof *s);

    if (limits)
        s->limits = *limits;
    else
        http_limits_default(&s->limits);
    s->nloops = threads ? threads : 1;
    s->loops = x_zalloc(sizeof *s->loops * s->nloops);
    for (unsigned i = 0; i < s->nloops; i++) {
        struct err e;
        int rc = loop_init(&s->loops[i], s, &e);

        if (rc < 0)
            log_error("http", "%s", e.text);
        assert(rc == 0); /* no descriptor left for the loops of a server that has not begun: nothing to go on with */
    }
    return s;
}

void http_route(struct http_server *s, unsigned methods, const char *pattern, enum http_perm perm, unsigned flags,
                http_handler *fn, void *arg)
{
    struct route r = {.methods = methods, .flags = flags, .perm = perm, .fn = fn, .arg = arg};

    assert(!s->started && fn && perm >= PERM_OPEN && perm <= PERM_ADMIN);
    routes_add(&s->routes, pattern, &r);
}

/* Room for conns_max sockets beside everything else that is open, as far as the system lets us. */
static void raise_file_limit(uint64_t conns)
{
    struct rlimit r;
    rlim_t want = (rlim_t)conns + 1024;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= want)
        return;
    r.rlim_cur = r.rlim_max == RLIM_INFINITY ? want : MIN(want, r.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &r) < 0)
        log_warn("http", "cannot raise the limit of open files: %s", strerror(errno));
}

int http_server_start(struct http_server *s, struct err *e)
{
    assert(!s->started);
    raise_file_limit(s->limits.conns_max);
    for (uint32_t i = 0; i < s->nlisteners; i++)
        listener_accept_on(s->listeners[i]);
    s->started = true;
    for (unsigned i = 0; i < s->nloops; i++) {
        struct loop *l = &s->loops[i];
        char name[16];
        int rc = pthread_create(&l->thread, NULL, loop_main, l);

        if (rc != 0) {
            s->nloops_running = i;
            return err_sys(e, rc, "cannot start I/O thread %u", i);
        }
        snprintf(name, sizeof name, "io-%u", i % 1000);
        pthread_setname_np(l->thread, name);
    }
    s->nloops_running = s->nloops;
    return 0;
}

/* --- the end -------------------------------------------------------------------------------------- */

static void stop_accepting(void *arg)
{
    struct loop *l = arg;
    struct http_server *s = l->server;

    for (uint32_t i = 0; i < s->nlisteners; i++)
        if (s->listeners[i]->loop == l)
            listener_close(s->listeners[i]);
}

static void close_idle(void *arg)
{
    struct loop *l = arg;

    for (struct conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        conn_close_idle(c);
    }
}

static void close_all(void *arg)
{
    struct loop *l = arg;

    for (struct conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        conn_gone(c);
    }
}

static void break_loop(void *arg)
{
    event_base_loopbreak(((struct loop *)arg)->base);
}

static void on_all_loops(struct http_server *s, void (*fn)(void *arg), bool wait)
{
    for (unsigned i = 0; i < s->nloops_running; i++)
        loop_call(&s->loops[i], fn, &s->loops[i], wait);
}

/* True when *n has come down to zero within ms. */
static bool wait_zero(_Atomic uint32_t *n, int64_t ms)
{
    struct timespec nap = {.tv_nsec = 2000000};

    for (int64_t waited = 0; atomic_load(n); waited += 2) {
        if (waited >= ms)
            return false;
        nanosleep(&nap, NULL);
    }
    return true;
}

void http_server_drain(struct http_server *s, int64_t grace_ms)
{
    if (!s->started || atomic_exchange(&s->draining, true))
        return;
    on_all_loops(s, stop_accepting, true);
    on_all_loops(s, close_idle, true);
    if (!wait_zero(&s->conns_open, grace_ms))
        log_warn("http", "closing %u connections that did not end within %lld ms", atomic_load(&s->conns_open),
                 (long long)grace_ms);
    on_all_loops(s, close_all, true);
}

void http_server_free(struct http_server *s)
{
    bool held;

    if (!s)
        return;
    http_server_drain(s, 0);
    held = s->started && !wait_zero(&s->live, HELD_WAIT_MS);
    on_all_loops(s, close_all, true);
    on_all_loops(s, break_loop, false);
    for (unsigned i = 0; i < s->nloops_running; i++)
        pthread_join(s->loops[i].thread, NULL);
    s->started = false;
    if (held) { /* whoever holds these may still write to them: better to lose the memory than to free it */
        log_error("http", "%u requests were never answered", atomic_load(&s->live));
        return;
    }
    for (uint32_t i = 0; i < s->nlisteners; i++) {
        listener_close(s->listeners[i]);
        free(s->listeners[i]);
    }
    for (unsigned i = 0; i < s->nloops; i++) {
        assert(!s->loops[i].conns && !s->loops[i].first);
        loop_release(&s->loops[i]);
    }
    free(s->listeners);
    free(s->loops);
    routes_release(&s->routes);
    free(s);
}

/* --- figures -------------------------------------------------------------------------------------- */

void http_stats(struct http_server *s, struct http_stats *out)
{
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < s->nloops; i++) {
        struct loop_stats *st = &s->loops[i].stats;

        out->connections += atomic_load(&st->connections);
        out->requests += atomic_load(&st->requests);
        out->bytes_in += atomic_load(&st->bytes_in);
        out->bytes_out += atomic_load(&st->bytes_out);
        out->cut_slow += atomic_load(&st->cut_slow);
        out->refused_limit += atomic_load(&st->refused_limit);
        for (size_t k = 0; k < ARRAY_LEN(out->by_status); k++)
            out->by_status[k] += atomic_load(&st->by_status[k]);
    }
    out->connections_open = atomic_load(&s->conns_open);
    out->inflight_bytes = atomic_load(&s->inflight_bytes);
}
