/* loki_push.h - Loki pushes over one connection, and what a server costs: for the benches that ask a running server. */
#ifndef BENCH_LOKI_PUSH_H
#define BENCH_LOKI_PUSH_H

#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static inline _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(1);
}

/* Seconds of processor time that the process has taken, user and system. */
static inline double cpu_of(const char *pid)
{
    unsigned long user = 0, sys = 0;
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    f = fopen(path, "re");
    if (!f || fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
        give_up(path);
    fclose(f);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static inline void send_all(int fd, struct str s)
{
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

        if (n <= 0)
            give_up("send");
        s = str_from(s, (size_t)n);
    }
}

/* Pushes a body (protobuf in snappy). The status of the answer, whose body is empty; -1: its head is too long. */
static inline int ask(int fd, struct str body)
{
    char head[300];
    int n = snprintf(head, sizeof head, "POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: %zu\r\n\r\n", body.n);

    send_all(fd, str_n(head, (size_t)n));
    send_all(fd, body);
    for (n = 0; n < (int)sizeof head - 1;) {
        ssize_t got = read(fd, head + n, sizeof head - 1 - (size_t)n);

        if (got <= 0)
            give_up("read");
        n += (int)got;
        head[n] = '\0';
        if (strstr(head, "\r\n\r\n"))
            return atoi(head + 9);
    }
    return -1;
}

#endif
