/*
 * syslog_listen.c - the addresses that syslog comes to: from bytes to batches, without losing what was taken.
 *
 *   bytes ─▶ frames ─▶ messages ─▶ batch ─▶ logstore ─▶ on disk: the batch goes
 *                                    │ busy or full: kept, the listener pauses, tried again
 *
 * (1) At most one batch of a door waits to be tried again, and while it does the door is paused.
 * (2) A door with too much on its way to the disk is paused until half of that is done: senders over TCP wait.
 * (3) syslog_close returns when no batch is on its way any more: nobody calls back into what it freed.
 */
#include "collector/logs/syslog_listen.h"

#include "collector/logs/request.h"
#include "net/listener.h"

#include <assert.h>
#include <stdlib.h>

enum { ON_THE_WAY_MAX = 8 << 20, RETRY_MS = 200, LEN_DIGITS_MAX = 8, BUFFER_BYTES = 256 << 10 };

/* How the messages of a connection are told apart: by its first byte. In net_conn.ctx. */
enum framing { FRAME_UNKNOWN, FRAME_COUNTED, FRAME_LINES, FRAME_REST /* of a line that was cut */ };

struct door {
    struct syslog_listener *sl;
    struct net_listener *net;

    /* Under mu. */
    pthread_mutex_t mu;
    pthread_cond_t done; /* broadcast when a batch goes */
    uint64_t on_the_way; /* bytes of batches that were given to the logstore */
    uint32_t nbatches;
    bool paused, closing;
    struct batch *waiting; /* to be tried again; stays here while it is */
    struct http_timer *retry;
};

struct syslog_listener {
    struct logs *l;
    struct http_server *server;
    const struct syslog_config *c;
    struct door udp, tcp;
};

struct batch {
    struct arena a;
    struct intake in;
    struct logs_rules *rules;
    struct door *door;
    struct syslog_message m; /* scratch: it is large */
    uint64_t bytes;
    int64_t now_ns;
};

/* --- from a message to a row ------------------------------------------------------------------------------ */

static struct batch *batch_new(struct door *d, size_t bytes)
{
    struct batch *b = x_zalloc(sizeof *b);

    b->door = d;
    b->rules = logs_rules_get(d->sl->l);
    b->bytes = bytes;
    b->now_ns = clock_wall_ns();
    intake_init(&b->in, &b->a, b->rules, bytes, true);
    return b;
}

static void batch_free(struct batch *b)
{
    intake_release(&b->in);
    logs_rules_unref(b->rules);
    arena_release(&b->a);
    free(b);
}

static struct str peer_ip(struct str peer)
{
    const char *colon = memrchr(peer.p, ':', peer.n);
    struct str ip = colon ? str_head(peer, (size_t)(colon - peer.p)) : peer;

    return ip.n > 2 && ip.p[0] == '[' ? str_n(ip.p + 1, ip.n - 2) : ip;
}

static void add(struct labels *ls, struct str name, struct str value)
{
    if (value.n)
        ls->v[ls->n++] = (struct label){name, value};
}

/* What relabel_configs see, by the names that Promtail gave them. */
static void add_internal(const struct syslog_config *c, struct batch *b, struct str peer, struct labels *ls)
{
    static const char *const severities[] = {"emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"};
    const struct syslog_message *m = &b->m;

    if (m->has_pri) {
        add(ls, STR("__syslog_message_severity"), str_of(severities[m->severity & 7]));
        add(ls, STR("__syslog_message_facility"), str_of(syslog_facility_name(m->facility)));
    }
    add(ls, STR("__syslog_message_hostname"), m->host);
    add(ls, STR("__syslog_message_app_name"), m->app);
    add(ls, STR("__syslog_message_proc_id"), m->procid);
    add(ls, STR("__syslog_message_msg_id"), m->msgid);
    add(ls, STR("__syslog_connection_ip_address"), arena_dup(&b->a, peer_ip(peer)));
    add(ls, STR("__syslog_connection_hostname"), arena_dup(&b->a, peer_ip(peer)));
    for (unsigned i = 0; c->structured_labels && i < m->nparams; i++) {
        struct str name = arena_printf(&b->a, "__syslog_message_sd_%.*s_%.*s", STR_ARG(m->params[i].id), STR_ARG(m->params[i].name));

        for (size_t k = 0; k < name.n; k++)
            if (!((name.p[k] | 32) >= 'a' && (name.p[k] | 32) <= 'z') && !(name.p[k] >= '0' && name.p[k] <= '9'))
                ((char *)(uintptr_t)name.p)[k] = '_';
        add(ls, name, m->params[i].value);
    }
}

/* The labels of a message; false: the rules drop it. */
static bool labels_of(const struct syslog_config *c, struct batch *b, struct str peer, struct labels *out)
{
    const struct syslog_message *m = &b->m;
    uint32_t kept = 0;

    *out = (struct labels){arena_alloc(&b->a, (c->labels.n + SYSLOG_PARAMS_MAX + 12) * sizeof *out->v), 0};
    for (uint32_t i = 0; i < c->labels.n; i++)
        add(out, c->labels.v[i].name, c->labels.v[i].value);
    if (!c->relabelled) {
        if (!labels_get(&c->labels, STR("hostname")).n)
            add(out, STR("hostname"), m->host.n ? m->host : arena_dup(&b->a, peer_ip(peer)));
        if (!labels_get(&c->labels, STR("app_name")).n)
            add(out, STR("app_name"), m->app);
        return true;
    }
    add_internal(c, b, peer, out);
    if (labels_normalise(out, NULL) == 0 && !relabel_apply(&c->relabel, &b->a, out))
        return false;
    for (uint32_t i = 0; i < out->n; i++)
        if (!str_starts(out->v[i].name, STR("__")))
            out->v[kept++] = out->v[i];
    out->n = kept;
    out->v = memcpy(arena_alloc(&b->a, (kept + 1) * sizeof *out->v), out->v, kept * sizeof *out->v); /* with room for one more */
    return true;
}

static void put_meta(struct batch *b)
{
    const struct syslog_message *m = &b->m;

    if (m->has_pri) {
        intake_meta(&b->in, STR("facility"), str_of(syslog_facility_name(m->facility)));
        intake_meta(&b->in, STR("severity"), str_of(syslog_severity_name(m->severity)));
    }
    intake_meta(&b->in, STR("proc_id"), m->procid);
    intake_meta(&b->in, STR("msg_id"), m->msgid);
    for (unsigned i = 0; i < m->nparams; i++)
        intake_meta(&b->in, arena_printf(&b->a, "%.*s_%.*s", STR_ARG(m->params[i].id), STR_ARG(m->params[i].name)), m->params[i].value);
}

/* text lies in the batch's arena. */
static void put_message(struct batch *b, struct str text, struct str peer, bool cut)
{
    const struct syslog_config *c = b->door->sl->c;
    struct syslog_message *m = &b->m;
    enum logs_reason reason;
    struct labels ls;
    uint32_t stream;
    struct err e;

    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r' || text.p[text.n - 1] == '\0'))
        text.n--;
    cut = cut || text.n > c->message_bytes;
    text = str_head(text, c->message_bytes);
    syslog_parse(&b->a, text, b->now_ns, b->door->sl->l->opts.future_ns_max, m);
    if (m->text.n == 0 || !labels_of(c, b, peer, &ls))
        return;
    if (intake_find(&b->in, &ls, &stream, &reason, &e) < 0) {
        intake_refuse(&b->in, reason, 1, e.text);
        return;
    }
    intake_row(&b->in, stream, c->incoming_time && m->has_time ? m->t_ns : b->now_ns, c->whole ? text : m->text);
    put_meta(b);
    if (cut)
        intake_meta(&b->in, STR("log_truncated"), STR("true"));
    intake_row_end(&b->in);
}

/* --- from a batch to the disk ------------------------------------------------------------------------------ */

static void pause_door(struct door *d, bool on) /* under mu */
{
    if (d->paused == on || d->closing)
        return;
    d->paused = on;
    net_listener_pause(d->net, on);
}

/* The batch is on disk, or never will be. */
static void finish(struct batch *b, int code, const struct err *e)
{
    struct door *d = b->door;
    struct logs *l = d->sl->l;
    const struct log_batch *lb = &b->in.b;

    if (code == 0)
        logs_count(&l->stats.rows[LOGS_SYSLOG], lb->verdicts[LOG_OK] + lb->verdicts[LOG_SAME]);
    else
        logs_count(&l->stats.syslog_lost, lb->nrows);
    if (code < 0)
        log_error("logs", "syslog: %u messages are lost: %s", lb->nrows, e && e->text[0] ? e->text : err_name(code));
    for (int i = 0; i < LOGS_REASONS; i++)
        logs_count(&l->stats.refused[i], b->in.refused[i]);
    pthread_mutex_lock(&d->mu);
    d->on_the_way -= b->bytes;
    if (d->paused && !d->waiting && d->on_the_way < ON_THE_WAY_MAX / 2)
        pause_door(d, false);
    d->nbatches--;
    batch_free(b);
    pthread_cond_broadcast(&d->done); /* last: whoever closes may free the door once mu is let go */
    pthread_mutex_unlock(&d->mu);
}

static void on_done(struct log_batch *lb, int code, const struct err *e) /* on the journal thread */
{
    finish((struct batch *)((char *)lb - offsetof(struct batch, in.b)), code, e);
}

static void on_retry(void *arg);

/* Gives a batch to the logstore; <0: it must be tried again. The batch counts in on_the_way already. */
static int give(struct batch *b)
{
    struct err e = {0};
    bool later = false;
    int rc = b->in.b.nstreams ? logstore_ingest(b->door->sl->l->ls, &b->in.b, on_done, &later, &e) : 0;

    if (rc == 0 && !later)
        finish(b, 0, NULL);
    return rc;
}

static void keep_for_later(struct door *d, struct batch *b)
{
    pthread_mutex_lock(&d->mu);
    assert(!d->waiting);
    d->waiting = b;
    pause_door(d, true);
    if (!d->retry)
        d->retry = http_timer_new(d->sl->server, RETRY_MS, RETRY_MS, on_retry, d);
    pthread_mutex_unlock(&d->mu);
}

static void on_retry(void *arg)
{
    struct door *d = arg;
    struct http_timer *t = NULL;
    struct batch *b;

    pthread_mutex_lock(&d->mu);
    b = d->waiting;
    if (!b) { /* the last one went through: no more of this */
        t = d->retry;
        d->retry = NULL;
        if (d->on_the_way < ON_THE_WAY_MAX / 2)
            pause_door(d, false);
    }
    pthread_mutex_unlock(&d->mu);
    http_timer_free(t);
    if (!b || give(b) < 0)
        return;
    pthread_mutex_lock(&d->mu);
    d->waiting = NULL;
    pthread_mutex_unlock(&d->mu);
}

static void send_batch(struct batch *b)
{
    struct door *d = b->door;
    struct logs *l = d->sl->l;

    intake_finish(&b->in);
    logs_count(&l->stats.requests[LOGS_SYSLOG], 1);
    rates_take_streams(l->rates, &l->opts, &b->in);
    pthread_mutex_lock(&d->mu);
    d->nbatches++;
    d->on_the_way += b->bytes;
    if (d->on_the_way > ON_THE_WAY_MAX)
        pause_door(d, true);
    pthread_mutex_unlock(&d->mu);
    if (give(b) < 0)
        keep_for_later(d, b);
}

/* --- TCP ------------------------------------------------------------------------------------------------------ */

/* "LEN MSG" at s: 1 a message, 0 more must come, <0 nonsense. */
static int next_counted(struct str *s, struct str *msg)
{
    uint64_t n = 0;
    size_t i = 0;

    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
        n = n * 10 + (uint64_t)(s->p[i] - '0');
        if (i == LEN_DIGITS_MAX)
            return -1;
    }
    if (i == s->n)
        return 0;
    if (i == 0 || s->p[i] != ' ' || n + i + 1 > BUFFER_BYTES)
        return -1;
    if (s->n - i - 1 < n)
        return 0;
    *msg = str_n(s->p + i + 1, n);
    *s = str_from(*s, i + 1 + n);
    if (s->n && s->p[0] == '\n') /* some end them all the same */
        *s = str_from(*s, 1);
    return 1;
}

/* A message up to '\n' or NUL. eof: the end ends it too. */
static int next_line(struct str *s, struct str *msg, bool eof)
{
    const char *p = s->n ? s->p : "", *nl = memchr(p, '\n', s->n), *nul = memchr(p, '\0', nl ? (size_t)(nl - p) : s->n);
    const char *end = nul ? nul : nl;

    if (!end && (!eof || s->n == 0))
        return 0;
    *msg = end ? str_head(*s, (size_t)(end - p)) : *s;
    *s = str_from(*s, msg->n + (end != NULL));
    return 1;
}

/* The next message of a connection; *cut: it was cut off. */
static int next_message(struct net_conn *c, struct str *s, size_t max, bool eof, struct str *msg, bool *cut)
{
    enum framing f = (enum framing)(uintptr_t)c->ctx;
    int rc;

    *cut = false;
    if (f == FRAME_UNKNOWN && s->n)
        f = s->p[0] >= '0' && s->p[0] <= '9' ? FRAME_COUNTED : FRAME_LINES;
    if (f == FRAME_REST) {
        rc = next_line(s, msg, eof);
        if (rc == 0)
            *s = str_from(*s, s->n); /* not the end yet: away with it */
        else
            f = FRAME_LINES;
        *msg = STR("");
    } else if (f == FRAME_COUNTED) {
        rc = next_counted(s, msg);
    } else {
        rc = next_line(s, msg, eof);
        if (rc == 0 && s->n > max) {
            *msg = str_head(*s, max);
            *s = str_from(*s, max);
            *cut = true;
            f = FRAME_REST;
            rc = 1;
        }
    }
    c->ctx = (void *)(uintptr_t)f;
    return rc;
}

static ptrdiff_t on_bytes(void *arg, struct net_conn *c, struct str bytes, bool eof)
{
    struct door *d = arg;
    struct batch *b = batch_new(d, bytes.n);
    struct str all = arena_dup(&b->a, bytes), rest = all, msg;
    bool cut;
    int rc;

    while ((rc = next_message(c, &rest, d->sl->c->message_bytes, eof, &msg, &cut)) > 0)
        if (msg.n)
            put_message(b, msg, c->peer, cut);
    if (rc < 0)
        log_warn("logs", "syslog from %.*s: neither \"LENGTH MESSAGE\" nor a length that fits: connection closed", STR_ARG(c->peer));
    if (b->in.b.nrows || b->in.nfaults)
        send_batch(b);
    else
        batch_free(b);
    return rc < 0 ? rc : (ptrdiff_t)(bytes.n - rest.n);
}

/* --- UDP ------------------------------------------------------------------------------------------------------ */

static void on_packets(void *arg, const struct net_packet *v, unsigned n)
{
    struct door *d = arg;
    struct batch *b;
    size_t bytes = 0;

    for (unsigned i = 0; i < n; i++)
        bytes += v[i].bytes.n;
    b = batch_new(d, bytes);
    for (unsigned i = 0; i < n; i++)
        put_message(b, arena_dup(&b->a, v[i].bytes), v[i].peer, v[i].cut);
    if (b->in.b.nrows || b->in.nfaults)
        send_batch(b);
    else
        batch_free(b);
}

/* --- life ------------------------------------------------------------------------------------------------------ */

static void door_init(struct door *d, struct syslog_listener *sl)
{
    d->sl = sl;
    pthread_mutex_init(&d->mu, NULL);
    pthread_cond_init(&d->done, NULL);
}

static void door_close(struct door *d)
{
    struct http_timer *t;
    struct batch *b;

    pthread_mutex_lock(&d->mu);
    d->closing = true; /* from here on nobody else touches d->net */
    pthread_mutex_unlock(&d->mu);
    net_listener_close(d->net);
    pthread_mutex_lock(&d->mu);
    t = d->retry;
    d->retry = NULL;
    pthread_mutex_unlock(&d->mu);
    http_timer_free(t);
    pthread_mutex_lock(&d->mu);
    b = d->waiting;
    d->waiting = NULL;
    pthread_mutex_unlock(&d->mu);
    if (b && give(b) < 0)
        finish(b, ERR_BUSY, NULL);
    pthread_mutex_lock(&d->mu);
    while (d->nbatches)
        pthread_cond_wait(&d->done, &d->mu);
    pthread_mutex_unlock(&d->mu);
    pthread_mutex_destroy(&d->mu);
    pthread_cond_destroy(&d->done);
}

int syslog_listen(struct logs *l, struct http_server *s, const struct syslog_config *c, struct syslog_listener **out, uint16_t *udp,
                  uint16_t *tcp, struct err *e)
{
    struct syslog_listener *sl = x_zalloc(sizeof *sl);
    struct net_handler packets = {.packets = on_packets, .arg = &sl->udp}, bytes = {.bytes = on_bytes, .arg = &sl->tcp};
    struct net_listener_opts o;
    struct arena a = {0};
    int rc = 0;

    net_listener_opts_default(&o);
    o.idle_ms = c->idle_ms;
    o.buffer_bytes = BUFFER_BYTES;
    sl->l = l;
    sl->server = s;
    sl->c = c;
    door_init(&sl->udp, sl);
    door_init(&sl->tcp, sl);
    if (c->udp.n)
        rc = net_listen_udp(s, arena_dup(&a, c->udp).p, &o, &packets, &sl->udp.net, udp, e);
    if (rc == 0 && c->tcp.n)
        rc = net_listen_tcp(s, arena_dup(&a, c->tcp).p, &o, &bytes, &sl->tcp.net, tcp, e);
    arena_release(&a);
    if (rc < 0) {
        syslog_close(sl);
        return err_ctx(e, "syslog");
    }
    *out = sl;
    return 0;
}

void syslog_close(struct syslog_listener *sl)
{
    if (!sl)
        return;
    door_close(&sl->udp);
    door_close(&sl->tcp);
    free(sl);
}
