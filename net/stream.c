/*
 * stream.c - answers made piece by piece, mostly by other threads, with back-pressure.
 *
 * (1) stream.unsent counts every byte that http_write has made and the socket has not taken: http_write waits while it
 *     is high.
 * (2) A streamed answer gets its last chunk only if every http_write of it succeeded.
 */
#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

void stream_free(struct stream *st)
{
    if (!st)
        return;
    if (st->gz)
        deflateEnd((z_stream *)st->gz);
    free(st->gz);
    buf_release(&st->pending);
    pthread_cond_destroy(&st->room);
    free(st);
}

void http_begin(struct http_request *r, int status, const char *type)
{
    struct conn *c = conn_of(r);
    struct stream *st = x_zalloc(sizeof *st);

    assert(!c->stream && !c->status);
    pthread_cond_init(&st->room, NULL);
    st->chunked = c->head.minor > 0;
    if (type && answer_compressible(c, type) && c->head.method != HTTP_HEAD) {
        z_stream *z = x_zalloc(sizeof *z);
        int rc = deflateInit2(z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);

        assert(rc == Z_OK);
        st->gz = z;
    }
    answer_put_head(c, &st->pending, status, type, st->chunked ? LENGTH_CHUNKED : LENGTH_NONE, st->gz != NULL);
    st->unsent = st->pending.n;
    pthread_mutex_lock(&c->mu);
    c->stream = st;
    pthread_mutex_unlock(&c->mu);
    answer_hand_over(c, KICK_DATA);
}

/* Under c->mu. */
static void put_chunk(struct stream *st, struct str bytes)
{
    char size[24];
    size_t before = st->pending.n;

    if (bytes.n == 0)
        return;
    if (st->chunked)
        buf_put(&st->pending, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", bytes.n));
    buf_puts(&st->pending, bytes);
    if (st->chunked)
        buf_puts(&st->pending, STR("\r\n"));
    st->unsent += st->pending.n - before;
}

void http_write_within(struct http_request *r, int64_t ms)
{
    struct conn *c = conn_of(r);

    assert(c->stream && ms > 0);
    pthread_mutex_lock(&c->mu);
    c->stream->until_ns = clock_mono_ns() + ms * 1000000;
    pthread_mutex_unlock(&c->mu);
}

/* Under c->mu. False when it has waited for long enough. */
static bool wait_room(struct conn *c, struct stream *st)
{
    struct timespec t = {.tv_sec = st->until_ns / 1000000000, .tv_nsec = st->until_ns % 1000000000};

    if (!st->until_ns)
        return pthread_cond_wait(&st->room, &c->mu) == 0;
    return pthread_cond_clockwait(&st->room, &c->mu, CLOCK_MONOTONIC, &t) != ETIMEDOUT;
}

/* Waits for room, then appends. */
static int push(struct conn *c, struct str bytes)
{
    struct stream *st = c->stream;
    size_t high = c->loop->server->limits.write_high_bytes;
    bool patient = true;
    int rc = 0;

    pthread_mutex_lock(&c->mu);
    while (patient && st->unsent > high && !on_loop(c->loop) && !atomic_load(&c->canceled) && !atomic_load(&c->cut))
        patient = wait_room(c, st);
    if (atomic_load(&c->cut) || !patient)
        rc = ERR_TIMEOUT;
    else if (atomic_load(&c->canceled))
        rc = ERR_CANCELED;
    else if (st->unsent > 4 * high)
        rc = ERR_BUSY;
    else
        put_chunk(st, bytes);
    if (rc < 0)
        st->broken = true;
    pthread_mutex_unlock(&c->mu);
    if (rc == 0 && bytes.n)
        answer_hand_over(c, KICK_DATA);
    return rc;
}

/* Through deflate in pieces; flush is Z_NO_FLUSH or Z_FINISH. */
static int push_packed(struct conn *c, struct str bytes, int flush)
{
    z_stream *z = (z_stream *)c->stream->gz;
    char out[16384];
    int rc = 0;

    do {
        size_t step = MIN(bytes.n, (size_t)1 << 30);

        z->next_in = (Bytef *)(uintptr_t)bytes.p;
        z->avail_in = (uInt)step;
        do {
            z->next_out = (Bytef *)out;
            z->avail_out = sizeof out;
            deflate(z, flush);
            if (z->avail_out < sizeof out)
                rc = push(c, str_n(out, sizeof out - z->avail_out));
        } while (rc == 0 && z->avail_out == 0);
        bytes = str_from(bytes, step);
    } while (rc == 0 && bytes.n);
    return rc;
}

int http_write(struct http_request *r, struct str bytes)
{
    struct conn *c = conn_of(r);

    assert(c->stream);
    if (bytes.n == 0 || c->head.method == HTTP_HEAD)
        return atomic_load(&c->canceled) ? ERR_CANCELED : 0;
    return c->stream->gz ? push_packed(c, bytes, Z_NO_FLUSH) : push(c, bytes);
}

void http_end(struct http_request *r)
{
    struct conn *c = conn_of(r);
    struct stream *st = c->stream;
    bool ok;

    assert(st);
    if (st->gz && !st->broken)
        push_packed(c, STR_NULL, Z_FINISH);
    ok = !st->broken;
    if (ok && st->chunked && c->head.method != HTTP_HEAD) {
        pthread_mutex_lock(&c->mu);
        buf_puts(&st->pending, STR("0\r\n\r\n"));
        st->unsent += 5;
        pthread_mutex_unlock(&c->mu);
    }
    answer_hand_over(c, ok ? KICK_END : KICK_ABORT);
}

void http_abort(struct http_request *r)
{
    answer_hand_over(conn_of(r), KICK_ABORT);
}
