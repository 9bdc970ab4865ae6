/*
 * tail_flood - many lines a second to slow and fast live tails of a server.
 *
 *     tail_flood PORT PID LINES_PER_SECOND SECONDS FAST SLOW [LINE_BYTES [SLOWED]]
 *
 * Senders push lines with numbers in them; FAST clients take what comes as it comes, SLOW ones 64 KiB now and then (each k-th every k tenths of
 * a second) until all is sent. Then every client must have each line once or have been told that it was left out, fast clients all of
 * them (unless SLOWED says that nothing is fast here), and some slow one must have missed some. Prints how fast lines went in, how long
 * pushes took, and the processor time of the server (PID) a line and client.
 *
 * It is C since twenty clients in a slower language are the slowest part of what they measure.
 */
#include "base/base.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { BATCH = 500, SENDERS = 4, RCVBUF = 65536, PIECE = 256 * 1024, CATCH_UP_S = 120, PUSHES_MAX = 1 << 20 };

struct flood {
    /* Set at the start. */
    uint16_t port;
    int pid;
    uint64_t rate, total;
    uint32_t nfast, nclients, line_bytes;
    bool slowed;
    int64_t t0_ns;

    _Atomic uint64_t next; /* the first line of the next batch */
    _Atomic uint32_t ntook;
    _Atomic bool all_sent, stop, failed;
    uint32_t *took_us; /* of each push */
};

struct client {
    struct flood *f;
    pthread_t thread;
    int fd;
    int64_t pause_ns; /* 0: a fast one */
    struct buf in;
    size_t at;
    uint8_t *seen; /* a bit a line; own thread until it is joined */
    _Atomic uint64_t got, dropped;
    const char *fault; /* own thread until it is joined */
};

static void give_up(const char *what)
{
    fprintf(stderr, "tail_flood: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* --- sockets ---------------------------------------------------------------------------------------------- */

static int connect_to(const struct flood *f, int rcvbuf)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval second = {.tv_sec = 1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || (rcvbuf && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf) < 0) || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        give_up("connect");
    if (rcvbuf && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) < 0)
        give_up("setsockopt");
    return fd;
}

static void send_all(int fd, struct str s)
{
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

        if (n < 0)
            give_up("send");
        s = str_n(s.p + n, s.n - (size_t)n);
    }
}

/* --- senders ----------------------------------------------------------------------------------------------- */

/* Reads an answer without a body. */
static bool read_204(int fd, struct buf *in)
{
    buf_reset(in);
    for (;;) {
        ssize_t n = recv(fd, buf_reserve(in, 4096), 4096, 0);

        if (n <= 0)
            give_up("the answer to a push");
        in->n += (size_t)n;
        if (memmem(in->p, in->n, "\r\n\r\n", 4))
            return in->n > 12 && memcmp(in->p, "HTTP/1.1 204", 12) == 0;
    }
}

static void put_batch(const struct flood *f, struct buf *body, uint64_t first)
{
    int64_t now = clock_wall_ns();

    buf_reset(body);
    buf_printf(body, "{\"streams\":[{\"stream\":{\"app\":\"flood\",\"run\":\"%d\"},\"values\":[", (int)getpid());
    for (uint64_t i = 0; i < BATCH; i++) {
        buf_printf(body, "%s[\"%" PRId64 "\",\"~%08" PRIu64 " ", i ? "," : "", now + (int64_t)i, first + i);
        memset(buf_reserve(body, f->line_bytes), 'x', f->line_bytes);
        body->n += f->line_bytes;
        buf_putz(body, "\"]");
    }
    buf_putz(body, "]}]}");
}

static void *send_lines(void *arg)
{
    struct flood *f = arg;
    int fd = connect_to(f, 0);
    struct buf body = {0}, head = {0}, answer = {0};
    uint64_t first;

    while ((first = atomic_fetch_add(&f->next, BATCH)) < f->total) {
        int64_t due = f->t0_ns + (int64_t)(first * 1000000000 / f->rate), ahead, before;
        uint32_t place;

        put_batch(f, &body, first);
        if ((ahead = due - clock_mono_ns()) > 0)
            usleep((useconds_t)(ahead / 1000));
        buf_reset(&head);
        buf_printf(&head, "POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", body.n);
        before = clock_mono_ns();
        send_all(fd, buf_str(&head));
        send_all(fd, buf_str(&body));
        if (!read_204(fd, &answer)) {
            fprintf(stderr, "tail_flood: a push was refused: %.*s\n", (int)answer.n, answer.p);
            atomic_store(&f->failed, true);
        }
        if ((place = atomic_fetch_add(&f->ntook, 1)) < PUSHES_MAX)
            f->took_us[place] = (uint32_t)((clock_mono_ns() - before) / 1000);
    }
    close(fd);
    buf_release(&body);
    buf_release(&head);
    buf_release(&answer);
    return NULL;
}

/* --- clients: a WebSocket, no more than it needs -------------------------------------------------------------- */

static bool note_line(struct client *c, const char *id)
{
    uint64_t n = 0;

    for (int i = 0; i < 8; i++) {
        if (id[i] < '0' || id[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(id[i] - '0');
    }
    if (n >= c->f->total || (c->seen[n / 8] & (1 << n % 8)))
        return false;
    c->seen[n / 8] |= (uint8_t)(1 << n % 8);
    return true;
}

/* {"streams":[... ~00000042 ...],"dropped_entries":[{"labels":{},"timestamp":"1","count":5}]} */
static void read_text(struct client *c, const char *p, size_t n)
{
    static const char word[] = "\"dropped_entries\"", count[] = "\"count\":";
    const char *end = p + n, *at = p;
    uint64_t got = 0, dropped = 0;

    while ((at = memchr(at, '~', (size_t)(end - at))) && end - at > 9) {
        if (!note_line(c, at + 1))
            c->fault = "a line came twice, or is none of ours";
        got++;
        at += 9;
    }
    if (n > 4 && p[n - 4] >= '0' && p[n - 4] <= '9') /* ...:5}]} and not ..."]]}]} */
        for (at = memmem(p, n, word, sizeof word - 1); at && (at = memmem(at, (size_t)(end - at), count, sizeof count - 1));)
            dropped += strtoull(at += sizeof count - 1, NULL, 10); /* a brace ends it */
    atomic_fetch_add(&c->got, got);
    atomic_fetch_add(&c->dropped, dropped);
}

static void answer_ping(struct client *c)
{
    static const char pong[] = {(char)0x8a, (char)0x80, 0, 0, 0, 0}; /* empty, masked with nothing */

    send_all(c->fd, str_n(pong, sizeof pong));
}

/* One frame of what lies in c->in. False when it is not all there. */
static bool read_frame(struct client *c)
{
    const uint8_t *p = (const uint8_t *)c->in.p + c->at;
    size_t have = c->in.n - c->at, head = 2;
    uint64_t n;

    if (have < 2)
        return false;
    n = p[1] & 127;
    head += n == 126 ? 2 : n == 127 ? 8 : 0;
    if (have < head)
        return false;
    if (head > 2) {
        n = 0;
        for (size_t i = 2; i < head; i++)
            n = n << 8 | p[i];
    }
    if (have < head + n)
        return false;
    if ((p[0] & 15) == 9)
        answer_ping(c);
    else if ((p[0] & 15) == 8)
        c->fault = "the server closed it";
    else if ((p[0] & 15) == 1)
        read_text(c, (const char *)p + head, n);
    c->at += head + n;
    return true;
}

/* More bytes; false when the server has gone. */
static bool take(struct client *c, size_t max)
{
    ssize_t n;

    if (c->at) {
        memmove(c->in.p, c->in.p + c->at, c->in.n - c->at);
        c->in.n -= c->at;
        c->at = 0;
    }
    n = recv(c->fd, buf_reserve(&c->in, max), max, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return false;
    c->in.n += (size_t)n;
    return true;
}

static void *follow(void *arg)
{
    struct client *c = arg;
    bool slow;

    while (!c->fault && !atomic_load(&c->f->stop)) {
        slow = c->pause_ns && !atomic_load(&c->f->all_sent);
        if (slow)
            usleep((useconds_t)(c->pause_ns / 1000));
        if (!take(c, slow ? RCVBUF : PIECE) && !atomic_load(&c->f->stop))
            c->fault = "the server left";
        while (!c->fault && read_frame(c))
            ;
    }
    if (c->fault)
        atomic_store(&c->f->failed, true);
    return NULL;
}

static void begin_client(struct client *c, struct flood *f, uint32_t i)
{
    struct buf hello = {0};
    const char *end;

    *c = (struct client){.f = f, .pause_ns = i < f->nfast ? 0 : (int64_t)(i - f->nfast + 1) * 100000000, .seen = x_zalloc(f->total / 8 + 1)};
    c->fd = connect_to(f, c->pause_ns ? RCVBUF : 4 << 20);
    buf_printf(&hello,
               "GET /loki/api/v1/tail?query=%%7Bapp%%3D%%22flood%%22%%2Crun%%3D%%22%d%%22%%7D HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
               "Upgrade: websocket\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n",
               (int)getpid());
    send_all(c->fd, buf_str(&hello));
    buf_release(&hello);
    while (!c->in.n || !(end = memmem(c->in.p, c->in.n, "\r\n\r\n", 4)))
        if (!take(c, 4096))
            give_up("the answer to a handshake");
    if (memcmp(c->in.p, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "tail_flood: %.*s\n", (int)c->in.n, c->in.p);
        exit(2);
    }
    c->at = (size_t)(end + 4 - c->in.p);
    if (pthread_create(&c->thread, NULL, follow, c))
        give_up("pthread_create");
}

/* --- figures --------------------------------------------------------------------------------------------------- */

static double cpu_of(int pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!(f = fopen(path, "re")))
        return 0;
    if (fgets(text, sizeof text, f) && strrchr(text, ')'))
        sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    fclose(f);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double cpu_of_us(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* What a client is missing, as a sentence; NULL when all is as it should be. */
static const char *fault_of(const struct flood *f, const struct client *c)
{
    if (c->fault)
        return c->fault;
    if (c->got + c->dropped != f->total)
        return "lines are missing without a word";
    if (!c->pause_ns && c->dropped && !f->slowed)
        return "a fast client missed lines";
    return NULL;
}

static int judge(struct flood *f, struct client *clients, double took_s, double server_s, double our_s)
{
    uint64_t least = f->total, most = 0, missed = 0, fast = 0;
    uint32_t n = MIN(atomic_load(&f->ntook), (uint32_t)PUSHES_MAX);
    int rc = atomic_load(&f->failed);

    for (uint32_t i = 0; i < f->nclients; i++) {
        struct client *c = &clients[i];
        const char *fault = fault_of(f, c);

        if (fault) {
            printf("client %u: %s (%" PRIu64 " and %" PRIu64 " left out, of %" PRIu64 ")\n", i, fault, c->got, c->dropped, f->total);
            rc = 1;
        }
        if (i < f->nfast) {
            fast += c->got;
            continue;
        }
        least = MIN(least, c->got);
        most = MAX(most, c->got);
        missed += c->dropped;
    }
    if (f->nclients > f->nfast && !missed && !f->slowed) {
        printf("no slow client missed anything: nothing was shown\n");
        rc = 1;
    }
    qsort(f->took_us, n, sizeof *f->took_us, by_value);
    printf("flood: %" PRIu64 " lines of %u bytes in %.1f s (%.0f/s), pushes of %d lines p50 %.1f p99 %.1f slowest %.1f ms; %u fast clients got %" PRIu64
           " lines of %" PRIu64 ", %u slow ones %" PRIu64 "..%" PRIu64 " and were told of the rest; server %.2f CPU s (%.2f us a line and client), clients %.2f\n",
           f->total, f->line_bytes + 10, took_s, (double)f->total / took_s, BATCH, n ? f->took_us[n / 2] / 1e3 : 0, n ? f->took_us[n * 99 / 100] / 1e3 : 0,
           n ? f->took_us[n - 1] / 1e3 : 0, f->nfast, fast, f->total * f->nfast, f->nclients - f->nfast, f->nclients > f->nfast ? least : 0, most, server_s,
           server_s * 1e6 / (double)f->total / MAX(f->nclients, 1U), our_s);
    return rc;
}

static bool all_told(const struct flood *f, const struct client *clients)
{
    for (uint32_t i = 0; i < f->nclients; i++)
        if (clients[i].got + clients[i].dropped < f->total)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    struct flood f = {.line_bytes = 200};
    struct client *clients;
    pthread_t senders[SENDERS];
    double server_s, our_s, took_s;
    int rc;

    if (argc < 7) {
        fputs("usage: tail_flood PORT PID LINES_PER_SECOND SECONDS FAST SLOW [LINE_BYTES [SLOWED]]\n", stderr);
        return 2;
    }
    f.port = (uint16_t)atoi(argv[1]);
    f.pid = atoi(argv[2]);
    f.rate = strtoull(argv[3], NULL, 10);
    f.total = f.rate * strtoull(argv[4], NULL, 10) / BATCH * BATCH;
    f.nfast = (uint32_t)atoi(argv[5]);
    f.nclients = f.nfast + (uint32_t)atoi(argv[6]);
    f.line_bytes = argc > 7 ? (uint32_t)atoi(argv[7]) : f.line_bytes;
    f.slowed = argc > 8 && atoi(argv[8]);
    f.took_us = x_alloc(PUSHES_MAX * sizeof *f.took_us);
    clients = x_zalloc((f.nclients + 1) * sizeof *clients);
    for (uint32_t i = 0; i < f.nclients; i++)
        begin_client(&clients[i], &f, i);
    server_s = cpu_of(f.pid);
    our_s = cpu_of_us();
    f.t0_ns = clock_mono_ns();
    for (int i = 0; i < SENDERS; i++)
        if (pthread_create(&senders[i], NULL, send_lines, &f))
            give_up("pthread_create");
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    took_s = (double)(clock_mono_ns() - f.t0_ns) / 1e9;
    atomic_store(&f.all_sent, true);
    for (int i = 0; i < CATCH_UP_S * 20 && !all_told(&f, clients) && !atomic_load(&f.failed); i++)
        usleep(50000);
    server_s = cpu_of(f.pid) - server_s;
    our_s = cpu_of_us() - our_s;
    atomic_store(&f.stop, true);
    for (uint32_t i = 0; i < f.nclients; i++) {
        shutdown(clients[i].fd, SHUT_RD); /* who waits in recv returns */
        pthread_join(clients[i].thread, NULL);
    }
    rc = judge(&f, clients, took_s, server_s, our_s);
    for (uint32_t i = 0; i < f.nclients; i++) {
        close(clients[i].fd);
        buf_release(&clients[i].in);
        free(clients[i].seen);
    }
    free(clients);
    free(f.took_us);
    return rc;
}
