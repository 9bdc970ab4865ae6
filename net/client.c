/*
 * client.c - the thread that drives all exchanges, and what becomes of their bodies.
 *
 * (1) Every call ends in exactly one done(), on the client's thread.
 * (2) No more than body_max decoded bytes are kept of an answer: the transfer stops when they are exceeded.
 */
#include "net/client_opts.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>

enum { BODY_MAX = 64 << 20, POLL_MS = 10000, CONNS_KEPT = 2000 };

/* --- a call's life --------------------------------------------------------------------------------- */

struct call *call_new(struct http_client *c, const struct http_call *req,
                      void (*done)(void *arg, const struct http_answer *a), void *arg)
{
    struct call *k = x_zalloc(sizeof *k);
    struct labels headers = {(struct label *)(uintptr_t)req->headers, req->nheaders};

    k->client = c;
    k->done = done;
    k->arg = arg;
    k->start_ns = clock_mono_ns();
    k->req = *req;
    k->req.method = arena_dup(&k->arena, str_of(req->method ? req->method : "GET")).p;
    k->req.url = arena_dup(&k->arena, req->url);
    k->req.unix_socket = arena_dup(&k->arena, req->unix_socket);
    k->req.body = arena_dup(&k->arena, req->body);
    k->req.headers = req->nheaders ? labels_dup(&k->arena, &headers).v : NULL;
    if (!k->req.body_max)
        k->req.body_max = BODY_MAX;
    if (req->opts)
        http_client_opts_dup(&k->arena, req->opts, &k->opts);
    k->req.opts = &k->opts;
    return k;
}

static void link_running(struct call *k)
{
    k->prev = NULL;
    k->next = k->client->running;
    if (k->next)
        k->next->prev = k;
    k->client->running = k;
}

static void unlink_running(struct call *k)
{
    if (k->prev)
        k->prev->next = k->next;
    else if (k->client->running == k)
        k->client->running = k->next;
    if (k->next)
        k->next->prev = k->prev;
    k->next = k->prev = NULL;
}

static void call_free(struct call *k)
{
    if (k->easy)
        curl_easy_cleanup(k->easy);
    curl_slist_free_all(k->headers);
    curl_slist_free_all(k->proxy_headers);
    curl_slist_free_all(k->connect_to);
    if (k->gz)
        inflateEnd(k->gz);
    free(k->gz);
    buf_release(&k->body);
    arena_release(&k->arena);
    free(k);
}

void call_finish(struct call *k, int code, long status)
{
    struct http_answer a = {.code = code,
                            .status = status,
                            .content_type = k->content_type,
                            .retry_after = k->retry_after,
                            .body = buf_str(&k->body),
                            .duration_ns = clock_mono_ns() - k->start_ns};

    if (code < 0) {
        a.err = k->err;
        a.err.code = code;
        a.status = 0;
        a.body = STR("");
    } else if (!a.body.p) {
        a.body = STR("");
    }
    if (status == 401)
        token_refused(k);
    k->done(k->arg, &a);
    call_free(k);
}

void call_begin(struct call *k)
{
    struct str authorization = STR_NULL;
    int rc = k->opts.oauth2.token_url.n ? token_for(k, &authorization, &k->err) : 0;

    if (rc > 0)
        return;
    if (rc == 0)
        rc = call_prepare(k, authorization, &k->err);
    if (rc < 0) {
        call_finish(k, rc, 0);
        return;
    }
    link_running(k);
    if (curl_multi_add_handle(k->client->multi, k->easy) != CURLM_OK) {
        unlink_running(k);
        err_set(&k->err, ERR_IO, "the request could not be started");
        call_finish(k, ERR_IO, 0);
    }
}

/* --- what arrives ---------------------------------------------------------------------------------- */

static bool named(struct str line, const char *name, struct str *value)
{
    struct str head;

    *value = line;
    if (!str_cut(value, ':', &head) || !str_eq_nocase(str_trim(head), str_of(name)))
        return false;
    *value = str_trim(*value);
    return true;
}

void call_header(struct call *k, struct str line)
{
    struct str v;

    if (str_starts(line, STR("HTTP/"))) { /* the answer behind a redirect or a 100: what came before does not count */
        k->content_type = k->retry_after = STR_NULL;
        k->is_gzip = false;
    } else if (named(line, "content-type", &v)) {
        k->content_type = arena_dup(&k->arena, v);
    } else if (named(line, "retry-after", &v)) {
        k->retry_after = arena_dup(&k->arena, v);
    } else if (named(line, "content-encoding", &v)) {
        k->is_gzip = str_eq_nocase(v, STR("gzip")) || str_eq_nocase(v, STR("x-gzip"));
    }
}

static int keep(struct call *k, struct str bytes)
{
    if (k->body.n + bytes.n > k->req.body_max)
        return err_set(&k->err, ERR_LIMIT, "the answer is longer than the limit of %llu bytes",
                       (unsigned long long)k->req.body_max);
    buf_puts(&k->body, bytes);
    return 0;
}

static int unzip(struct call *k, struct str bytes)
{
    char out[32768];

    if (!k->gz) {
        k->gz = x_zalloc(sizeof *k->gz);
        if (inflateInit2(k->gz, 16 + MAX_WBITS) != Z_OK)
            return err_set(&k->err, ERR_IO, "gzip: no memory to decode the answer");
    }
    k->gz->next_in = (Bytef *)(uintptr_t)bytes.p;
    k->gz->avail_in = (uInt)bytes.n;
    do {
        int rc;

        k->gz->next_out = (Bytef *)out;
        k->gz->avail_out = sizeof out;
        rc = inflate(k->gz, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return err_set(&k->err, ERR_INVALID, "gzip: %s", k->gz->msg ? k->gz->msg : "the answer is damaged");
        k->gz_open = rc != Z_STREAM_END;
        if (keep(k, str_n(out, sizeof out - k->gz->avail_out)) < 0)
            return ERR_LIMIT;
        if (rc == Z_STREAM_END) {
            inflateReset(k->gz); /* another member may follow */
            if (k->gz->avail_in == 0)
                break;
        }
    } while (k->gz->avail_in > 0 || k->gz->avail_out == 0);
    return 0;
}

int call_write(struct call *k, struct str bytes)
{
    return k->is_gzip && k->req.accept_gzip ? unzip(k, bytes) : keep(k, bytes);
}

/* --- the thread ------------------------------------------------------------------------------------ */

/* curl's verdict as one of ours; k->err gets the sentence. */
static int verdict(struct call *k, CURLcode rc)
{
    const char *text = k->curl_text[0] ? k->curl_text : curl_easy_strerror(rc);

    if (k->err.code)
        return k->err.code;
    if (rc == CURLE_OK && k->gz_open)
        return err_set(&k->err, ERR_INVALID, "gzip: the answer is cut off");
    if (rc == CURLE_OK)
        return 0;
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return err_set(&k->err, ERR_TIMEOUT, "no whole answer within %lld ms: %s", (long long)k->req.timeout_ms, text);
    if (rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(&k->err, ERR_INVALID, "%s", text);
    return err_set(&k->err, ERR_IO, "%s", text);
}

static void collect(struct http_client *c)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(c->multi, &left))) {
        struct call *k;
        long status = 0;
        CURLcode rc = m->data.result;

        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&k);
        curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(c->multi, k->easy);
        unlink_running(k);
        call_finish(k, verdict(k, rc), status);
    }
}

static struct call *take_queue(struct http_client *c, bool *stop)
{
    struct call *all;

    pthread_mutex_lock(&c->mu);
    all = c->queue;
    c->queue = c->queue_last = NULL;
    *stop = c->stop;
    pthread_mutex_unlock(&c->mu);
    return all;
}

static void cancel(struct call *k)
{
    err_set(&k->err, ERR_CANCELED, "the client is being closed");
    call_finish(k, ERR_CANCELED, 0);
}

static void *client_main(void *arg)
{
    struct http_client *c = arg;
    int still;
    bool stop = false;
    sigset_t others;

    sigfillset(&others);
    sigdelset(&others, SIGBUS);
    sigdelset(&others, SIGSEGV);
    sigdelset(&others, SIGABRT);
    pthread_sigmask(SIG_BLOCK, &others, NULL);
    while (!stop) {
        for (struct call *k = take_queue(c, &stop), *next; k; k = next) {
            next = k->next;
            k->next = NULL;
            if (stop)
                cancel(k);
            else
                call_begin(k);
        }
        curl_multi_perform(c->multi, &still);
        collect(c);
        if (!stop)
            curl_multi_poll(c->multi, NULL, 0, POLL_MS, NULL);
    }
    for (struct call *k = c->running, *next; k;
         k = next) { /* none is added: call_finish of a token fails its waiters */
        next = k->next;
        curl_multi_remove_handle(c->multi, k->easy);
        unlink_running(k);
        cancel(k);
    }
    return NULL;
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);

    assert(rc == CURLE_OK);
}

struct http_client *http_client_new(void)
{
    struct http_client *c = x_zalloc(sizeof *c);

    pthread_mutex_init(&c->mu, NULL);
    return c;
}

/* Under mu, before the first call. */
static void start(struct http_client *c)
{
    int rc;

    pthread_once(&curl_once, init_curl);
    c->multi = curl_multi_init();
    assert(c->multi);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)CONNS_KEPT);
    rc = pthread_create(&c->thread, NULL, client_main, c);
    assert(rc == 0);
    pthread_setname_np(c->thread, "http-client");
    c->started = true;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->mu);
    c->stop = true;
    pthread_mutex_unlock(&c->mu);
    if (c->started) {
        curl_multi_wakeup(c->multi);
        pthread_join(c->thread, NULL);
        assert(!c->running);
        for (struct call *k = c->queue, *next; k; k = next) { /* started by callbacks of the last ones */
            next = k->next;
            cancel(k);
        }
        tokens_free(c);
        curl_multi_cleanup(c->multi);
    }
    pthread_mutex_destroy(&c->mu);
    free(c);
}

void http_call_start(struct http_client *c, const struct http_call *call,
                     void (*done)(void *arg, const struct http_answer *a), void *arg)
{
    struct call *k = call_new(c, call, done, arg);

    pthread_mutex_lock(&c->mu);
    if (!c->started)
        start(c);
    if (c->queue_last)
        c->queue_last->next = k;
    else
        c->queue = k;
    c->queue_last = k;
    pthread_mutex_unlock(&c->mu);
    curl_multi_wakeup(c->multi);
}

/* --- waiting --------------------------------------------------------------------------------------- */

struct waiter {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
    struct arena *a;
    struct http_answer *out;
};

static void on_waited(void *arg, const struct http_answer *a)
{
    struct waiter *w = arg;

    pthread_mutex_lock(&w->mu);
    *w->out = *a;
    w->out->body = arena_dup(w->a, a->body);
    w->out->content_type = arena_dup(w->a, a->content_type);
    w->out->retry_after = arena_dup(w->a, a->retry_after);
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mu);
}

int http_call_wait(struct http_client *c, const struct http_call *call, struct arena *a, struct http_answer *out)
{
    struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, a, out};

    http_call_start(c, call, on_waited, &w);
    assert(!pthread_equal(pthread_self(), c->thread));
    pthread_mutex_lock(&w.mu);
    while (!w.done)
        pthread_cond_wait(&w.cond, &w.mu);
    pthread_mutex_unlock(&w.mu);
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.mu);
    return out->code;
}
