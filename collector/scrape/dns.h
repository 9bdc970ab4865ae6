/* dns.h - private to scrape/: a stub resolver. Servers and search list of resolv.conf, UDP, then TCP when an answer was
 * cut. */
#ifndef COLLECTOR_SCRAPE_DNS_H
#define COLLECTOR_SCRAPE_DNS_H

#include "collector/scrape/config_types.h"

#include <sys/socket.h>

enum { DNS_SERVERS_MAX = 3, DNS_SEARCH_MAX = 8 };

struct dns_env {
    struct sockaddr_storage servers[DNS_SERVERS_MAX];
    uint32_t nservers;
    struct str search[DNS_SEARCH_MAX];
    uint32_t nsearch;
    unsigned ndots;
    int64_t timeout_ms; /* per server */
};

/* Reads resolv.conf; absent or empty: 127.0.0.1. Texts from a. */
void dns_env_read(struct arena *a, const char *path, struct dns_env *out);

struct dns_record {
    struct str target; /* address as text, or the name with its trailing dot */
    uint16_t port;     /* SRV */
};

/*
 * The records of `type` at name, tried along the search list. Nothing there (on every name, by a valid answer) is
 * success with n 0. ERR_IO: no server gave a valid answer. ERR_CANCELED: *stop was set.
 */
int dns_lookup(const struct dns_env *env, struct str name, enum dns_type type, const _Atomic bool *stop,
               struct arena *a, struct dns_record **out, uint32_t *n, struct err *e);

#endif
