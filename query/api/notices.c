/*
 * notices.c - what whoever looks at the pages should know now: notifications as a list, and live as server-sent events.
 *
 *   handle_live -> subscribed -> (client leaves: on_leave | api_notices_close) -> ended
 *
 * (1) Who takes a subscriber out of the list, under mu, is the one who ends its answer.
 * (2) Nobody waits for a subscriber: what it does not take in time it does not get.
 */
#include "query/api/inside.h"

#include <pthread.h>
#include <stdlib.h>

enum { SUBSCRIBERS_MAX = 16, NOTICES_MAX = 64, BEAT_MS = 30000 };

struct notice {
    char *text;
    int64_t since_ms;
};

struct subscriber {
    struct api_notices *of;
    struct http_request *r; /* it lives in this request's arena */
};

struct api_notices {
    pthread_mutex_t mu;
    /* Under mu. */
    struct notice v[NOTICES_MAX];
    uint32_t n;
    struct subscriber *subscribers[SUBSCRIBERS_MAX];
    uint32_t nsubscribers;
    struct http_timer *beat;
    bool closed;
};

struct api_notices *api_notices_new(void)
{
    struct api_notices *ns = x_zalloc(sizeof *ns);

    pthread_mutex_init(&ns->mu, NULL);
    return ns;
}

void api_notices_free(struct api_notices *ns)
{
    if (!ns)
        return;
    api_notices_close(ns);
    for (uint32_t i = 0; i < ns->n; i++)
        free(ns->v[i].text);
    pthread_mutex_destroy(&ns->mu);
    free(ns);
}

/* --- telling -------------------------------------------------------------------------------------------- */

static void put_notice(struct buf *b, const char *text, int64_t since_ms, bool active)
{
    char when[NUM_MAX];
    struct json j;

    json_init(&j, b);
    json_obj(&j);
    json_key(&j, "text");
    json_strz(&j, text);
    json_key(&j, "date");
    json_str(&j, str_n(when, time_fmt_rfc3339(since_ms, when)));
    json_key(&j, "active");
    json_bool(&j, active);
    json_end_obj(&j);
}

static void put_event(struct buf *b, const char *text, int64_t since_ms, bool active)
{
    buf_putz(b, "data: ");
    put_notice(b, text, since_ms, active);
    buf_putz(b, "\n\n");
}

/* Under mu. A write that fails means that the client is leaving: on_leave follows. */
static void tell_all(struct api_notices *ns, struct str event)
{
    for (uint32_t i = 0; i < ns->nsubscribers; i++)
        if (http_write(ns->subscribers[i]->r, event) < 0)
            log_debug("api", "a reader of notifications is leaving");
}

static uint32_t find(const struct api_notices *ns, const char *text)
{
    uint32_t i = 0;

    while (i < ns->n && strcmp(ns->v[i].text, text) != 0)
        i++;
    return i;
}

/* Under mu: did it change anything? *at is when it began. */
static bool change(struct api_notices *ns, const char *text, bool active, int64_t *at)
{
    uint32_t i = find(ns, text);

    if (active) {
        if (i == NOTICES_MAX)
            return false;
        if (i == ns->n)
            ns->v[ns->n++].text = x_strdup(str_of(text));
        ns->v[i].since_ms = *at;
        return true;
    }
    if (i == ns->n)
        return false;
    *at = ns->v[i].since_ms;
    free(ns->v[i].text);
    memmove(&ns->v[i], &ns->v[i + 1], (ns->n - i - 1) * sizeof ns->v[0]);
    ns->n--;
    return true;
}

void api_notices_set(struct api_notices *ns, const char *text, bool active)
{
    int64_t at = clock_wall_ms();
    struct buf event = {0};

    pthread_mutex_lock(&ns->mu);
    if (change(ns, text, active, &at)) {
        put_event(&event, text, at, active);
        tell_all(ns, buf_str(&event));
    }
    pthread_mutex_unlock(&ns->mu);
    buf_release(&event);
}

/* --- live ----------------------------------------------------------------------------------------------- */

/* A comment now and then finds out who has gone without a word. On an I/O thread. */
static void beat(void *arg)
{
    struct api_notices *ns = arg;

    pthread_mutex_lock(&ns->mu);
    tell_all(ns, STR(":\n\n"));
    pthread_mutex_unlock(&ns->mu);
}

/* On the client's I/O thread. While this runs nobody else gets through http_end, so the subscriber is still there. */
static void on_leave(void *arg)
{
    struct subscriber *s = arg;
    struct api_notices *ns = s->of;
    uint32_t i = 0;

    pthread_mutex_lock(&ns->mu);
    while (i < ns->nsubscribers && ns->subscribers[i] != s)
        i++;
    if (i < ns->nsubscribers)
        ns->subscribers[i] = ns->subscribers[--ns->nsubscribers];
    else
        s = NULL;
    pthread_mutex_unlock(&ns->mu);
    if (s)
        http_abort(s->r);
}

void api_notices_close(struct api_notices *ns)
{
    struct http_request *ending[SUBSCRIBERS_MAX];
    struct http_timer *timer;
    uint32_t n;

    pthread_mutex_lock(&ns->mu);
    n = ns->nsubscribers;
    for (uint32_t i = 0; i < n; i++)
        ending[i] = ns->subscribers[i]->r;
    ns->nsubscribers = 0;
    timer = ns->beat;
    ns->beat = NULL;
    ns->closed = true;
    pthread_mutex_unlock(&ns->mu);
    for (uint32_t i = 0; i < n; i++)
        http_end(ending[i]);
    if (timer)
        http_timer_free(timer);
}

static void handle_live(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct api_notices *ns = c->notices;
    struct subscriber *s = arena_new(r->arena, struct subscriber);
    struct buf b = {0};

    if (r->method == HTTP_HEAD) {
        http_reply(r, 200, "text/event-stream", STR(""));
        return;
    }
    *s = (struct subscriber){ns, r};
    pthread_mutex_lock(&ns->mu);
    if (ns->closed || ns->nsubscribers == SUBSCRIBERS_MAX) {
        pthread_mutex_unlock(&ns->mu);
        http_reply(r, 204, NULL, STR(""));
        return;
    }
    if (!ns->beat)
        ns->beat = http_timer_new(c->server, BEAT_MS, BEAT_MS, beat, ns);
    http_set_header(r, "Cache-Control", STR("no-cache"));
    http_on_cancel(r, on_leave, s);
    http_begin(r, 200, "text/event-stream");
    http_write_within(r, 1);
    ns->subscribers[ns->nsubscribers++] = s;
    for (uint32_t i = 0; i < ns->n; i++)
        put_event(&b, ns->v[i].text, ns->v[i].since_ms, true);
    if (b.n && http_write(r, buf_str(&b)) < 0)
        log_debug("api", "a reader of notifications left at once");
    pthread_mutex_unlock(&ns->mu);
    buf_release(&b);
}

static void handle_list(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct api_notices *ns = c->notices;
    struct buf b = {0};

    buf_putc(&b, '[');
    pthread_mutex_lock(&ns->mu);
    for (uint32_t i = 0; i < ns->n; i++) {
        if (i)
            buf_putc(&b, ',');
        put_notice(&b, ns->v[i].text, ns->v[i].since_ms, true);
    }
    pthread_mutex_unlock(&ns->mu);
    buf_putc(&b, ']');
    api_answer_data(r, buf_str(&b));
    buf_release(&b);
}

void api_routes_notices(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET, "/api/v1/notifications", PERM_READ, 0, handle_list, c);
    http_route(s, HTTP_GET, "/api/v1/notifications/live", PERM_READ, 0, handle_live, c);
}
