/*
 * fake_logstore.h - a logstore of which the test decides what it says: what comes is kept as text, a line a record, and
 * refused by the limits of the real one where the test asks for that. And a client that posts to the routes.
 */
#ifndef TESTS_FAKE_LOGSTORE_H
#define TESTS_FAKE_LOGSTORE_H

#include "tests/net/http_test.h"

#include "collector/logs/logs.h"
#include "logstore/logstore.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum say { SAY_STORE, SAY_LATER, SAY_DISK_FAILS, SAY_BUSY, SAY_FULL, SAY_TOO_MUCH };

static _Atomic enum say say;
static _Atomic unsigned fake_delay_ms = 1;
static uint32_t fake_line_max = 256 << 10;
static int64_t fake_now_ns; /* 0: any time is fine */
static uint32_t fake_streams_max;
static pthread_mutex_t seen_mu = PTHREAD_MUTEX_INITIALIZER;
static struct buf seen;
static _Atomic uint64_t seen_rows, seen_batches, seen_busy;
static _Atomic bool seen_quiet; /* only count */

const char *log_verdict_reason(enum log_verdict v)
{
    static const char *const words[LOG_VERDICTS] = {"", "", "greater_than_max_sample_age", "too_far_in_future", "line_too_long", "missing_labels",
                                                    "invalid_labels", "stream_limit", "structured_metadata_too_many", "structured_metadata_too_large"};

    return words[v];
}

static int by_label(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static void note_row(const struct log_batch *b, const struct log_in *s, const struct log_in_row *row)
{
    struct label meta[200];
    uint32_t n = MIN(row->meta_n, 200u);

    assert((uint64_t)row->meta_first + row->meta_n < UINT32_MAX);
    if (n)
        memcpy(meta, b->meta + row->meta_first, n * sizeof *meta);
    qsort(meta, n, sizeof *meta, by_label);
    labels_print(&seen, &s->labels);
    buf_printf(&seen, " %lld ", (long long)row->t_ns);
    buf_put_quoted(&seen, row->line);
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(&seen, " %.*s=", STR_ARG(meta[i].name));
        buf_put_quoted(&seen, meta[i].value);
    }
    buf_putc(&seen, '\n');
}

static void judge(struct log_batch *b, uint32_t k, enum log_verdict v, const char *text)
{
    b->verdicts[v]++;
    if (v != LOG_OK && b->row_verdicts)
        b->row_verdicts[k] = (uint8_t)v;
    if (v != LOG_OK && b->nbad < ARRAY_LEN(b->bad)) {
        b->bad_rows[b->nbad] = k;
        b->bad_verdicts[b->nbad] = v;
        err_set(&b->bad[b->nbad++], ERR_INVALID, "%s", text);
    }
}

static void take_batch(struct log_batch *b)
{
    pthread_mutex_lock(&seen_mu);
    for (uint32_t i = 0; i < b->nstreams; i++) {
        const struct log_in *s = &b->streams[i];

        assert(s->labels.n > 0 && s->n > 0 && s->first + s->n <= b->nrows);
        for (uint32_t k = 1; k < s->labels.n; k++)
            assert(str_cmp(s->labels.v[k - 1].name, s->labels.v[k].name) < 0);
        for (uint32_t k = s->first; k < s->first + s->n; k++) {
            const struct log_in_row *row = &b->rows[k];

            if (row->line.n > fake_line_max) {
                judge(b, k, LOG_LINE_TOO_LONG, "max entry size exceeded");
            } else if (fake_now_ns && row->t_ns > fake_now_ns + INT64_C(600000000000)) {
                judge(b, k, LOG_TOO_NEW, "entry has timestamp too new");
            } else if (fake_now_ns && row->t_ns < fake_now_ns - INT64_C(604800000000000)) {
                judge(b, k, LOG_TOO_OLD, "entry has timestamp too old");
            } else if (row->meta_n > 128) {
                judge(b, k, LOG_META_TOO_MANY, "too many structured metadata labels");
            } else if (fake_streams_max && i >= fake_streams_max) {
                judge(b, k, LOG_STREAM_LIMIT, "maximum active stream limit exceeded");
            } else {
                judge(b, k, LOG_OK, "");
                seen_rows++;
                if (!seen_quiet)
                    note_row(b, s, row);
            }
        }
    }
    seen_batches++;
    pthread_mutex_unlock(&seen_mu);
}

struct later_batch {
    struct log_batch *b;
    log_done *done;
    int code;
};

static void *call_done(void *arg)
{
    struct later_batch *l = arg;
    struct err e = {0};

    usleep(fake_delay_ms * 1000);
    if (l->code < 0)
        err_set(&e, l->code, "the disk is on fire");
    l->done(l->b, l->code, &e);
    free(l);
    return NULL;
}

int logstore_ingest(struct logstore *ls, struct log_batch *b, log_done *done, bool *later, struct err *e)
{
    struct later_batch *l;
    pthread_t t;

    (void)ls;
    *later = false;
    if (say == SAY_BUSY || say == SAY_FULL) {
        seen_busy++;
        return err_set(e, say == SAY_BUSY ? ERR_BUSY : ERR_FULL, say == SAY_BUSY ? "too many batches wait" : "the disk is full");
    }
    if (say == SAY_TOO_MUCH)
        return err_set(e, ERR_INVALID, "9 records at once, at most 8");
    take_batch(b);
    if (say == SAY_STORE)
        return 0;
    *later = true;
    l = x_alloc(sizeof *l);
    *l = (struct later_batch){b, done, say == SAY_DISK_FAILS ? ERR_IO : 0};
    assert(pthread_create(&t, NULL, call_done, l) == 0);
    pthread_detach(t);
    return 0;
}

/* --- a server with the routes, and a client ---------------------------------------------------------- */

static struct http_server *server;
static struct logs *logs;
static uint16_t port;
static struct buf out; /* the last answer, whole */

static __attribute__((unused)) int start_server(void **state)
{
    struct err e;

    (void)state;
    server = http_server_new(2, NULL);
    logs = logs_new(NULL, NULL);
    logs_routes(server, logs);
    assert_int_equal(http_listen(server, "127.0.0.1:0", &port, &e), 0);
    assert_int_equal(http_server_start(server, &e), 0);
    return 0;
}

static __attribute__((unused)) int stop_server(void **state)
{
    (void)state;
    logs_stop(logs);
    http_server_free(server);
    logs_free(logs);
    buf_release(&out);
    buf_release(&seen);
    return 0;
}

/* Posts, and returns the status. headers: lines with \r\n, or NULL. */
static __attribute__((unused)) int post(const char *path, const char *type, const char *headers, struct str body)
{
    struct buf req = {0};
    int fd = tcp_connect(port), status;

    buf_printf(&req, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n", path, body.n);
    if (type)
        buf_printf(&req, "Content-Type: %s\r\n", type);
    buf_putz(&req, headers ? headers : "");
    buf_putz(&req, "\r\n");
    buf_puts(&req, body);
    buf_reset(&out);
    pthread_mutex_lock(&seen_mu);
    buf_reset(&seen);
    pthread_mutex_unlock(&seen_mu);
    tcp_send(fd, req.p, req.n);
    tcp_read_all(fd, &out, 20000);
    buf_z(&out);
    status = out.n > 12 ? atoi(out.p + 9) : -1;
    close(fd);
    buf_release(&req);
    return status;
}

static __attribute__((unused)) struct str answer_body(void)
{
    ptrdiff_t at = str_find(buf_str(&out), STR("\r\n\r\n"));

    return at < 0 ? STR("") : str_from(buf_str(&out), (size_t)at + 4);
}

static __attribute__((unused)) bool seen_has(const char *z)
{
    bool found;

    pthread_mutex_lock(&seen_mu);
    found = has(&seen, z);
    pthread_mutex_unlock(&seen_mu);
    return found;
}

static __attribute__((unused)) void check_seen(const char *want)
{
    char *text;

    pthread_mutex_lock(&seen_mu); /* let go before anything can fail */
    text = x_strdup(buf_str(&seen));
    pthread_mutex_unlock(&seen_mu);
    if (strcmp(text, want) != 0)
        fail_msg("stored:\n%s\nwant:\n%s", text, want);
    free(text);
}

static __attribute__((unused)) void check_post(const char *path, const char *type, const char *headers, struct str body, int status, const char *answer,
                                               const char *want)
{
    int got = post(path, type, headers, body);

    if (got != status || (answer && !has(&out, answer)))
        fail_msg("%d, want %d and \"%s\":\n%s", got, status, answer ? answer : "", out.p);
    if (want)
        check_seen(want);
}

#endif
