/*
 * listener.h - raw TCP and UDP, for protocols that are not HTTP: bytes in, nothing out.
 *
 * A listener lives on one of the server's loops; all its callbacks come there and must not block. Memory is bounded: a
 * connection holds at most buffer_bytes that nobody has taken, and who cannot take more pauses the listener: then the kernel's
 * buffers fill up and senders wait (TCP) or lose (UDP).
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/server.h"

struct net_listener;

struct net_conn {
    struct str peer; /* "127.0.0.1:40312" */
    void *ctx;       /* the handler's own, NULL at first */
};

struct net_packet {
    struct str bytes; /* valid during the call */
    struct str peer;
    bool cut; /* it was longer than packet_bytes */
};

struct net_handler {
    /*
     * TCP: bytes that have come and were not taken yet. Returns how many are taken; <0 closes the connection. The rest comes
     * again with what follows. When buffer_bytes are not enough for anything to be taken, the connection is closed.
     */
    ptrdiff_t (*bytes)(void *arg, struct net_conn *c, struct str bytes, bool eof);
    /* The connection is gone: free c->ctx. May be NULL. */
    void (*closed)(void *arg, struct net_conn *c);
    /* UDP: some datagrams, in the order in which they came. */
    void (*packets)(void *arg, const struct net_packet *v, unsigned n);
    void *arg;
};

struct net_listener_opts {
    uint32_t buffer_bytes; /* TCP: 256 KiB */
    uint32_t conns_max;    /* TCP: 1000; more are closed at once */
    int64_t idle_ms;       /* TCP: a connection that says nothing is closed after (120 s) */
    uint32_t packet_bytes; /* UDP: 64 KiB */
    uint32_t socket_bytes; /* UDP: what the kernel keeps while nobody reads (4 MiB, as far as it lets us) */
};
void net_listener_opts_default(struct net_listener_opts *o);

/* "127.0.0.1:514", ":514", "[::1]:0". *port (may be NULL) gets the real one. The server may run or not yet. ERR_EXISTS: taken. */
int net_listen_tcp(struct http_server *s, const char *address, const struct net_listener_opts *o, const struct net_handler *h,
                   struct net_listener **out, uint16_t *port, struct err *e);
int net_listen_udp(struct http_server *s, const char *address, const struct net_listener_opts *o, const struct net_handler *h,
                   struct net_listener **out, uint16_t *port, struct err *e);
/* Stops reading, or goes on. Any thread; from a callback at once, else soon. */
void net_listener_pause(struct net_listener *l, bool on);
/* No callback comes after it. From any thread but the loops', before http_server_free. */
void net_listener_close(struct net_listener *l);

struct net_listener_stats {
    uint64_t connections, connections_open, refused, cut_idle, bytes;
};
void net_listener_stats(const struct net_listener *l, struct net_listener_stats *out);

#endif
