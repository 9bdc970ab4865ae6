/*
 * client_opts.h - the insides of the HTTP client. Private to net/.
 *
 *   client.c       the thread, the queue of calls, bodies     client_easy.c   one call as libcurl wants it
 *   client_opts.c  the configuration block                    client_oauth.c  tokens
 */
#ifndef NET_CLIENT_OPTS_H
#define NET_CLIENT_OPTS_H

#include "net/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <zlib.h>

/* A deep copy into a. */
void http_client_opts_dup(struct arena *a, const struct http_client_opts *from, struct http_client_opts *to);

struct token;

/* One exchange. Of the client's thread once it is queued. */
struct call {
    struct call *next, *prev; /* in the queue, the list of the running, or a token's list of the waiting */
    struct http_client *client;
    struct arena arena;
    struct http_call req;
    struct http_client_opts opts;
    void (*done)(void *arg, const struct http_answer *a);
    void *arg;
    int64_t start_ns;

    CURL *easy;
    struct curl_slist *headers, *proxy_headers, *connect_to;
    char curl_text[CURL_ERROR_SIZE];
    struct token *token; /* the one it went out with */

    struct buf body;
    z_stream *gz; /* Content-Encoding: gzip, being undone */
    bool gz_open; /* in the middle of a member */
    bool is_gzip;
    struct str content_type, retry_after;
    struct err err; /* code != 0: why the transfer was stopped by us */
};

struct http_client {
    /* Set with the first call, under mu. */
    CURLM *multi;
    pthread_t thread;
    bool started;

    /* Client thread only. */
    struct call *running;
    struct token *tokens;

    /* Under mu, held to push one or take all. */
    pthread_mutex_t mu;
    struct call *queue, *queue_last;
    bool stop;
};

/* --- client.c --- */
struct call *call_new(struct http_client *c, const struct http_call *req,
                      void (*done)(void *arg, const struct http_answer *a), void *arg);
/* Client thread: gives it to libcurl; on failure it ends with that error. Time that passed since call_new counts. */
void call_begin(struct call *k);
/* Client thread: calls done and frees it. */
void call_finish(struct call *k, int code, long status);
int call_write(struct call *k, struct str bytes);
void call_header(struct call *k, struct str line);

/* --- client_easy.c --- */
/* Makes k->easy from the request and its options. authorization: the header's value, or empty for what opts say. */
int call_prepare(struct call *k, struct str authorization, struct err *e);
/* The content of a file with a secret, white space around it gone. */
int secret_read(struct arena *a, struct str path, struct str *out, struct err *e);

/* --- client_oauth.c --- */
/* Client thread. 0: *authorization is the header to send, >0: k waits and will be begun when the token is there, <0
 * error. */
int token_for(struct call *k, struct str *authorization, struct err *e);
/* The server did not take the token: the next call gets a new one. */
void token_refused(struct call *k);
void tokens_free(struct http_client *c);

#endif
