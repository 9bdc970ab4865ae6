/*
 * loop.c - one event loop a thread, and how other threads reach it.
 *
 * Others leave messages or kick a connection, and wake the loop through an eventfd, once until it has woken.
 *
 * (1) A connection is on the kicked list at most once, and its kicks are taken in one piece with it.
 * (2) A kick that ends an answer is the last one: after it nobody but the loop may touch the connection.
 */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WARM_ARENA_MAX = 16 << 20, WARM_BYTES_MAX = 32 << 20, TRIM_MS = 5000 };

struct message {
    struct message *next;
    void (*fn)(void *arg);
    void *arg;
    bool waited, *finished;
};

static _Thread_local const struct loop *this_loop;

bool on_loop(const struct loop *l)
{
    return this_loop == l;
}

/* --- warm memory: the bodies of a busy sender land in pages that are mapped and cached already ----- */

void loop_arena_take(struct loop *l, struct arena *out)
{
    if (l->nwarm == 0) {
        arena_init(out, 0);
        return;
    }
    *out = l->warm[--l->nwarm];
    l->warm_bytes -= out->bytes;
    l->nwarm_low = MIN(l->nwarm_low, l->nwarm);
}

void loop_arena_give(struct loop *l, struct arena *a)
{
    size_t used = a->bytes;

    arena_reset(a);
    if (used > a->bytes &&
        used <= WARM_ARENA_MAX) { /* it took several chunks: one of their sum serves the next request */
        arena_release(a);
        arena_alloc(a, used);
        arena_reset(a);
    }
    if (l->nwarm == WARM_MAX || a->bytes > WARM_ARENA_MAX || l->warm_bytes + a->bytes > WARM_BYTES_MAX) {
        arena_release(a);
        return;
    }
    l->warm_bytes += a->bytes;
    l->warm[l->nwarm++] = *a;
    memset(a, 0, sizeof *a);
}

/* Gives back what nobody needed for a while: the bottom of the stack. */
static void trim_warm(struct loop *l, int64_t now_ms)
{
    unsigned drop = l->nwarm_low;

    if (now_ms < l->trim_ms)
        return;
    for (unsigned i = 0; i < drop; i++) {
        l->warm_bytes -= l->warm[i].bytes;
        arena_release(&l->warm[i]);
    }
    memmove(l->warm, l->warm + drop, (l->nwarm - drop) * sizeof *l->warm);
    l->nwarm -= drop;
    l->nwarm_low = l->nwarm;
    l->trim_ms = now_ms + TRIM_MS;
}

/* --- the sweep: deadlines of all connections, looked at a few times a second ----------------------- */

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    int64_t now_ms = clock_mono_ms();

    (void)fd;
    (void)what;
    for (struct conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        if (now_ms >= c->deadline_ms)
            conn_expired(c);
    }
    for (uint32_t i = 0; i < l->server->nlisteners; i++) {
        struct listener *ln = l->server->listeners[i];
        if (ln->loop == l && ln->paused)
            listener_accept_on(ln);
    }
    trim_warm(l, now_ms);
    if (!l->conns && l->nwarm == 0) {
        event_del(l->sweep_ev);
        l->sweeping = false;
    }
}

void loop_sweep_on(struct loop *l)
{
    const struct http_limits *m = &l->server->limits;
    int64_t least = MIN(MIN(m->header_ms, m->body_ms), MIN(m->idle_ms, m->write_ms)), ms = MIN(MAX(least / 4, 10), 500);
    struct timeval tv = {.tv_sec = 0, .tv_usec = (suseconds_t)(ms * 1000)};

    if (!l->sweeping)
        event_add(l->sweep_ev, &tv);
    l->sweeping = true;
}

/* --- messages ------------------------------------------------------------------------------------- */

static void wake(struct loop *l) /* under mu */
{
    uint64_t one = 1;

    if (l->woken)
        return;
    l->woken = true;
    while (write(l->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void loop_kick(struct conn *c, unsigned kicks)
{
    struct loop *l = c->loop;

    pthread_mutex_lock(&l->mu);
    if (!c->kicks) {
        c->kicked_next = l->kicked;
        l->kicked = c;
    }
    c->kicks |= kicks;
    wake(l);
    pthread_mutex_unlock(&l->mu);
}

bool loop_kick_more(struct conn *c, unsigned kicks)
{
    struct loop *l = c->loop;
    bool pending;

    pthread_mutex_lock(&l->mu);
    pending = c->kicks != 0;
    if (pending)
        c->kicks |= kicks;
    pthread_mutex_unlock(&l->mu);
    return pending;
}

void loop_call(struct loop *l, void (*fn)(void *arg), void *arg, bool wait)
{
    bool finished = false;
    struct message *m;

    if (on_loop(l) || !l->server->started) {
        fn(arg);
        return;
    }
    m = x_alloc(sizeof *m);
    *m = (struct message){.fn = fn, .arg = arg, .waited = wait, .finished = &finished};
    pthread_mutex_lock(&l->mu);
    if (l->last)
        l->last->next = m;
    else
        l->first = m;
    l->last = m;
    wake(l);
    while (wait && !finished)
        pthread_cond_wait(&l->done, &l->mu);
    pthread_mutex_unlock(&l->mu);
}

static struct message *pop_message(struct loop *l)
{
    struct message *m;

    pthread_mutex_lock(&l->mu);
    m = l->first;
    if (m) {
        l->first = m->next;
        if (!l->first)
            l->last = NULL;
    }
    pthread_mutex_unlock(&l->mu);
    return m;
}

static struct conn *pop_kicked(struct loop *l, unsigned *kicks)
{
    struct conn *c;

    pthread_mutex_lock(&l->mu);
    c = l->kicked;
    if (c) {
        l->kicked = c->kicked_next;
        *kicks = c->kicks;
        c->kicks = 0;
    }
    pthread_mutex_unlock(&l->mu);
    return c;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    struct message *m;
    struct conn *c;
    unsigned kicks;
    uint64_t n;

    (void)what;
    while (read(fd, &n, sizeof n) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&l->mu);
    l->woken = false; /* from here on a new push wakes again: nothing is missed */
    pthread_mutex_unlock(&l->mu);
    while ((m = pop_message(l))) {
        m->fn(m->arg);
        if (m->waited) {
            pthread_mutex_lock(&l->mu);
            *m->finished = true;
            pthread_cond_broadcast(&l->done);
            pthread_mutex_unlock(&l->mu);
        }
        free(m);
    }
    while ((c = pop_kicked(l, &kicks)))
        answer_kicked(c, kicks);
}

/* --- life ----------------------------------------------------------------------------------------- */

int loop_init(struct loop *l, struct http_server *s, struct err *e)
{
    struct event_config *cfg = event_config_new();

    l->server = s;
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0) {
        event_config_free(cfg);
        return err_sys(e, errno, "eventfd");
    }
    pthread_mutex_init(&l->mu, NULL);
    pthread_cond_init(&l->done, NULL);
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
    l->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    if (!l->base)
        return err_set(e, ERR_IO, "no event loop can be made");
    l->wake_ev = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
    l->sweep_ev = event_new(l->base, -1, EV_PERSIST, on_sweep, l);
    event_add(l->wake_ev, NULL);
    return 0;
}

void loop_release(struct loop *l)
{
    if (!l->server)
        return;
    for (unsigned i = 0; i < l->nwarm; i++)
        arena_release(&l->warm[i]);
    if (l->wake_ev)
        event_free(l->wake_ev);
    if (l->sweep_ev)
        event_free(l->sweep_ev);
    if (l->base)
        event_base_free(l->base);
    if (l->wake_fd >= 0) {
        close(l->wake_fd);
        pthread_mutex_destroy(&l->mu);
        pthread_cond_destroy(&l->done);
    }
    memset(l, 0, sizeof *l);
}

void *loop_main(void *arg)
{
    struct loop *l = arg;
    sigset_t others; /* signals are the main thread's, but for those that a fault raises right here */

    sigfillset(&others);
    sigdelset(&others, SIGBUS);
    sigdelset(&others, SIGSEGV);
    sigdelset(&others, SIGFPE);
    sigdelset(&others, SIGILL);
    sigdelset(&others, SIGABRT);
    pthread_sigmask(SIG_BLOCK, &others, NULL);
    this_loop = l;
    event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
    this_loop = NULL;
    return NULL;
}
