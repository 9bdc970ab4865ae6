/* http_test.h - a raw HTTP client for tests: what goes out and comes in is seen byte by byte. */
#ifndef TESTS_HTTP_TEST_H
#define TESTS_HTTP_TEST_H

#include "net/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int tcp_connect(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert(fd >= 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline void tcp_send(int fd, const void *p, size_t n)
{
    const char *c = p;

    while (n > 0) {
        ssize_t w = send(fd, c, n, MSG_NOSIGNAL);
        if (w <= 0)
            return; /* the server has closed: the answer tells */
        c += w;
        n -= (size_t)w;
    }
}

static inline void tcp_sendz(int fd, const char *z)
{
    tcp_send(fd, z, strlen(z));
}

/* Reads until the end, a reset or ms pass; appends. True at the end. */
static inline bool tcp_read_all(int fd, struct buf *out, int ms)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t r;

        if (poll(&p, 1, ms) <= 0)
            return false;
        r = read(fd, buf_reserve(out, 65536), 65536);
        if (r <= 0)
            return true;
        out->n += (size_t)r;
    }
}

/* One answer with Content-Length (or none, for 204) out of fd; head and body in out. Returns the status, -1 if none
 * came. */
static inline int tcp_answer(int fd, struct buf *out, struct str *body)
{
    for (;;) {
        ptrdiff_t end = str_find(buf_str(out), STR("\r\n\r\n"));
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t r;

        if (end >= 0) {
            struct str head = str_head(buf_str(out), (size_t)end + 4);
            ptrdiff_t at = str_find(head, STR("Content-Length: "));
            size_t want = at < 0 ? 0 : strtoul(head.p + at + 16, NULL, 10);

            if (out->n >= head.n + want) {
                if (body)
                    *body = str_n(out->p + head.n, want);
                return atoi(out->p + 9);
            }
        }
        if (poll(&p, 1, 10000) <= 0)
            return -1;
        r = read(fd, buf_reserve(out, 65536), 65536);
        if (r <= 0)
            return -1;
        out->n += (size_t)r;
    }
}

/* The raw request on a fresh connection, everything that comes until the server closes (or 3 s). */
static inline int http_raw(uint16_t port, const char *request, struct buf *out)
{
    int fd = tcp_connect(port);

    assert(fd >= 0);
    tcp_sendz(fd, request);
    buf_reset(out);
    tcp_read_all(fd, out, 3000);
    close(fd);
    buf_z(out);
    return out->n > 12 ? atoi(out->p + 9) : -1;
}

static inline bool has(const struct buf *b, const char *z)
{
    return str_find(buf_str(b), str_of(z)) >= 0;
}

#endif
