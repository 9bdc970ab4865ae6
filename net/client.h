/*
 * client.h - HTTP requests to others, on libcurl: one thread drives them all, callbacks come on that thread.
 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include "base/base.h"

struct http_client;

struct http_client *http_client_new(void);
void http_client_free(struct http_client *c); /* cancels what runs; their callbacks come with ERR_CANCELED */

struct http_tls_opts {
    struct str ca, ca_file, cert, cert_file, key, key_file, server_name, min_version,
        max_version; /* versions: "TLS12" */
    bool insecure_skip_verify;
};

/* The `http_config` block of Prometheus, as read. Strings live as long as the config. What *_file names is read at each
 * use. */
struct http_client_opts {
    bool basic; /* basic_auth is there, if only with empty strings */
    struct str username, password, password_file, username_file;
    struct str auth_type, credentials, credentials_file; /* authorization */
    struct {
        struct str client_id, client_secret, client_secret_file, token_url;
        struct str *scopes;
        uint32_t nscopes;
        struct label *params;
        uint32_t nparams;
        struct http_tls_opts tls;
        struct str proxy_url, no_proxy;
        bool proxy_from_environment;
    } oauth2;
    struct http_tls_opts tls;
    struct str proxy_url, no_proxy;
    bool proxy_from_environment;
    struct label *proxy_headers; /* for CONNECT */
    uint32_t nproxy_headers;
    struct label *headers; /* extra, in order */
    uint32_t nheaders;
    struct label *header_files; /* value: the path of a file with it */
    uint32_t nheader_files;
    bool no_follow_redirects, no_http2;
};
/* Reads the block's keys out of c (which may hold others too; relative *_file paths are taken from dir). */
int http_client_opts_read(struct arena *a, struct conf *c, struct str dir, struct http_client_opts *out, struct err *e);

struct http_call {
    const char *method; /* "GET" */
    struct str url;
    struct str unix_socket;              /* or empty */
    const struct http_client_opts *opts; /* may be NULL */
    const struct label *headers;         /* besides opts' */
    uint32_t nheaders;
    struct str body;
    int64_t timeout_ms; /* the whole exchange */
    uint64_t body_max;  /* decoded; a bigger answer ends with ERR_LIMIT. 0 = 64 MiB */
    bool accept_gzip;   /* ask for it and undo it */
};

struct http_answer {
    int code; /* 0, or ERR_TIMEOUT, ERR_IO, ERR_LIMIT, ERR_CANCELED: then err says why */
    struct err err;
    long status;
    struct str content_type, retry_after;
    struct str body;
    int64_t duration_ns;
};

/* Starts a call; everything in it is copied. done runs once, on the client's thread; the answer is borrowed until it
 * returns. */
void http_call_start(struct http_client *c, const struct http_call *call,
                     void (*done)(void *arg, const struct http_answer *a), void *arg);
/* The same, waiting. The body is copied to a. Not from the client's own thread or an I/O thread. */
int http_call_wait(struct http_client *c, const struct http_call *call, struct arena *a, struct http_answer *out);

#endif
