/*
 * listen.c - addresses, who holds them, and accepting.
 *
 * Each listener is watched by one loop, which hands every new connection to the loop with the fewest: a handful of busy
 * senders is then spread evenly, which hashing by the kernel (SO_REUSEPORT) would not promise.
 */
#include "net/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPT_BURST = 64 };

/* --- who holds a port ------------------------------------------------------------------------------ */

/* The inode of the socket that listens on a port, from one of the kernel's tables; 0 when none does. */
static unsigned long listening_inode(const char *table, unsigned port)
{
    FILE *f = fopen(table, "re");
    unsigned long inode, found = 0;
    unsigned local, state;
    char line[512];

    if (!f)
        return 0;
    while (!found && fgets(line, sizeof line, f))
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu", &local, &state,
                   &inode) == 3 &&
            local == port && state == 0x0a)
            found = inode;
    fclose(f);
    return found;
}

static bool has_socket(const char *pid, unsigned long inode)
{
    char path[300], link[64], want[64];
    struct dirent *d;
    bool found = false;
    DIR *dir;

    snprintf(want, sizeof want, "socket:[%lu]", inode);
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    dir = opendir(path);
    while (!found && dir && (d = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), d->d_name, link, sizeof link - 1);

        link[n > 0 ? n : 0] = '\0';
        found = strcmp(link, want) == 0;
    }
    if (dir)
        closedir(dir);
    return found;
}

/* " (held by NAME, pid N)", or nothing where /proc does not tell. */
static void name_holder(unsigned port, char *out, size_t n)
{
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    struct dirent *d;
    DIR *proc;

    out[0] = '\0';
    if (!inode)
        inode = listening_inode("/proc/net/tcp6", port);
    proc = inode ? opendir("/proc") : NULL;
    while (proc && (d = readdir(proc))) {
        char path[300], name[64] = "?";
        FILE *f;

        if (d->d_name[0] < '1' || d->d_name[0] > '9' || !has_socket(d->d_name, inode))
            continue;
        snprintf(path, sizeof path, "/proc/%s/comm", d->d_name);
        f = fopen(path, "re");
        if (f && fgets(name, sizeof name, f))
            name[strcspn(name, "\n")] = '\0';
        if (f)
            fclose(f);
        snprintf(out, n, " (held by %s, pid %.20s)", name, d->d_name);
        break;
    }
    if (proc)
        closedir(proc);
    if (inode && !out[0])
        snprintf(out, n, " (held by a process of another user)");
}

/* --- addresses ------------------------------------------------------------------------------------- */

/* "HOST:PORT", ":PORT", "[V6]:PORT" into getaddrinfo's two strings. */
static int split_address(const char *address, char host[256], char port[8], struct err *e)
{
    struct str s = str_of(address), h;
    const char *colon = strrchr(address, ':');
    uint64_t n;

    if (!colon || !str_to_u64(str_of(colon + 1), &n) || n > 65535)
        return err_set(e, ERR_INVALID, "listen address \"%s\" is not HOST:PORT", address);
    h = str_head(s, (size_t)(colon - address));
    if (h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']')
        h = str_n(h.p + 1, h.n - 2);
    else if (str_chr(h, ':') >= 0)
        return err_set(e, ERR_INVALID, "listen address \"%s\": an IPv6 address stands in brackets", address);
    if (h.n >= 256)
        return err_set(e, ERR_INVALID, "listen address: the host is longer than 255 bytes");
    if (h.n)
        memcpy(host, h.p, h.n);
    host[h.n] = '\0';
    snprintf(port, 8, "%u", (unsigned)n);
    return 0;
}

static int open_listener(const struct addrinfo *ai, bool any)
{
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, zero = 0, saved;

    if (fd < 0)
        return -1;
    if (ai->ai_socktype == SOCK_STREAM) /* of datagrams it would let two take one port */
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, any ? &zero : &one, sizeof one);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && (ai->ai_socktype != SOCK_STREAM || listen(fd, BACKLOG) == 0))
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

uint16_t socket_port(int fd)
{
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } a;
    socklen_t n = sizeof a;

    if (getsockname(fd, &a.sa, &n) < 0)
        return 0;
    return ntohs(a.sa.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
}

int socket_bind(const char *address, int type, int *out, struct err *e)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = type,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *list;
    char host[256], port[8], holder[128];
    int fd = -1, rc, saved = 0;

    if (split_address(address, host, port, e) < 0)
        return ERR_INVALID;
    rc = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
    if (rc != 0)
        return err_set(e, ERR_INVALID, "listen address \"%s\": %s", address, gai_strerror(rc));
    for (int v6 = 1; v6 >= 0 && fd < 0; v6--) /* ":PORT": one socket for both families where there is IPv6 */
        for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
            if (!host[0] && (a->ai_family == AF_INET6) != v6)
                continue;
            fd = open_listener(a, !host[0]);
            if (fd < 0 && saved != EADDRINUSE)
                saved = errno;
        }
    freeaddrinfo(list);
    if (fd < 0 && saved == EADDRINUSE) {
        holder[0] = '\0';
        if (type == SOCK_STREAM)
            name_holder((unsigned)atoi(port), holder, sizeof holder);
        return err_set(e, ERR_EXISTS, "%s is taken%s", address, holder);
    }
    if (fd < 0)
        return err_sys(e, saved, "listen on %s", address);
    *out = fd;
    return 0;
}

/* --- accepting ------------------------------------------------------------------------------------- */

struct newcomer {
    struct loop *loop;
    struct listener *ln;
    int fd;
    char peer[PEER_MAX];
};

static void adopt_newcomer(void *arg)
{
    struct newcomer *n = arg;

    if (atomic_load(&n->loop->server->draining)) {
        close(n->fd);
        atomic_fetch_sub(&n->loop->nconns, 1);
        atomic_fetch_sub(&n->loop->server->conns_open, 1);
    } else {
        conn_adopt(n->loop, n->ln, n->fd, n->peer);
    }
    free(n);
}

static struct loop *least_busy(struct http_server *s)
{
    unsigned start = atomic_fetch_add_explicit(&s->next_loop, 1, memory_order_relaxed);
    struct loop *best = &s->loops[start % s->nloops];

    for (unsigned i = 1; i < s->nloops; i++) {
        struct loop *l = &s->loops[(start + i) % s->nloops];
        if (atomic_load_explicit(&l->nconns, memory_order_relaxed) <
            atomic_load_explicit(&best->nconns, memory_order_relaxed))
            best = l;
    }
    return best;
}

void socket_print_peer(const struct sockaddr_storage *sa, char out[PEER_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "?";

    if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)sa;

        if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
            inet_ntop(AF_INET, a->sin6_addr.s6_addr + 12, ip, sizeof ip);
            snprintf(out, PEER_MAX, "%s:%u", ip, (unsigned)ntohs(a->sin6_port));
        } else {
            inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof ip);
            snprintf(out, PEER_MAX, "[%s]:%u", ip, (unsigned)ntohs(a->sin6_port));
        }
    } else {
        const struct sockaddr_in *a = (const struct sockaddr_in *)sa;

        inet_ntop(AF_INET, &a->sin_addr, ip, sizeof ip);
        snprintf(out, PEER_MAX, "%s:%u", ip, (unsigned)ntohs(a->sin_port));
    }
}

static void refuse_newcomer(struct listener *ln, int fd)
{
    static const char text[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 52\r\n"
        "Retry-After: 1\r\nConnection: close\r\n\r\n"
        "too many connections are open here: try again later\n";

    count(&ln->loop->stats.refused_limit, 1);
    (void)!send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

static void hand_to_loop(struct listener *ln, int fd, const struct sockaddr_storage *sa)
{
    struct http_server *s = ln->loop->server;
    struct newcomer *n;

    if (atomic_load(&s->conns_open) >= s->limits.conns_max) {
        refuse_newcomer(ln, fd);
        return;
    }
    n = x_alloc(sizeof *n);
    *n = (struct newcomer){.loop = least_busy(s), .ln = ln, .fd = fd};
    socket_print_peer(sa, n->peer);
    atomic_fetch_add(&s->conns_open, 1);
    atomic_fetch_add(&n->loop->nconns, 1);
    loop_call(n->loop, adopt_newcomer, n, false);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *ln = arg;

    (void)what;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof sa;
        int got = accept4(fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (got >= 0) {
            hand_to_loop(ln, got, &sa);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warn("http", "cannot accept: %s; trying again soon", strerror(errno));
            event_del(ln->ev);
            ln->paused = true;
            loop_sweep_on(ln->loop);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

void listener_accept_on(struct listener *ln)
{
    ln->paused = false;
    if (!ln->ev)
        ln->ev = event_new(ln->loop->base, ln->fd, EV_READ | EV_PERSIST, on_acceptable, ln);
    event_add(ln->ev, NULL);
}

void listener_close(struct listener *ln)
{
    if (ln->ev)
        event_free(ln->ev);
    ln->ev = NULL;
    ln->paused = false;
    if (ln->fd >= 0)
        close(ln->fd);
    ln->fd = -1;
}

int http_listen(struct http_server *s, const char *address, uint16_t *port, struct err *e)
{
    struct listener *ln;
    int fd;

    assert(!s->started);
    if (socket_bind(address, SOCK_STREAM, &fd, e) < 0)
        return e ? e->code : ERR_IO;
    ln = x_zalloc(sizeof *ln);
    ln->fd = fd;
    ln->number = s->nlisteners;
    ln->loop = &s->loops[s->nlisteners % s->nloops];
    s->listeners = x_realloc(s->listeners, sizeof *s->listeners * (s->nlisteners + 1));
    s->listeners[s->nlisteners++] = ln;
    if (port)
        *port = socket_port(fd);
    return 0;
}
