/* request.h - log records under way: from the handler to the answer. Private to collector/logs. */
#ifndef COLLECTOR_LOGS_REQUEST_H
#define COLLECTOR_LOGS_REQUEST_H

#include "collector/logs/intake.h"
#include "net/server.h"

#include <pthread.h>
#include <stdatomic.h>

struct rates;

struct logs {
    /* Set at the start, then read by any thread. */
    struct logstore *ls;
    struct logs_opts opts;
    struct stream_cache *cache;
    struct rates *rates;

    /* Any thread. */
    struct {
        _Atomic uint64_t requests[LOGS_SOURCES], refused_requests[LOGS_SOURCES], rows[LOGS_SOURCES];
        _Atomic uint64_t bytes_wire, bytes_raw, refused[LOGS_REASONS], syslog_lost;
    } stats;

    /* Under mu, held to take or swap the rules. */
    pthread_mutex_t mu;
    struct logs_rules *rules;

    /* Of whoever calls logs_apply and logs_stop, one at a time. */
    struct logs_config *config;
    struct syslog_listener **listeners;
    uint32_t nsections;
};

static inline void logs_count(_Atomic uint64_t *c, uint64_t n)
{
    if (n)
        atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}
/* The rules in force; logs_rules_unref them. */
struct logs_rules *logs_rules_get(struct logs *l);
/* Whether bytes more fit into what is allowed a second; fills e in Loki's words. */
int rates_take(struct rates *r, const struct logs_rules *rules, const struct logs_opts *o, struct str user, uint64_t rows, uint64_t bytes,
               struct err *e);
/* Takes streams out of the batch that are over what one may have. */
void rates_take_streams(struct rates *r, const struct logs_opts *o, struct intake *in);
struct rates *rates_new(void);
void rates_free(struct rates *r);

/* In the request's arena, until the answer. */
struct logs_request {
    struct http_request *r;
    struct logs *l;
    struct logs_rules *rules;
    struct intake in;
    enum logs_source source;
    int ok_status;      /* 204, 200, 202 */
    const char *ok_type;
    struct str ok_body;
    bool lenient;       /* 2xx also where single records were refused: the sender would throw the whole batch away, or repeat it */
    bool answered;      /* ... and where all were: ok_body tells */
    size_t wire_bytes;
    void *own;          /* the door's, in the arena */
    /* May be NULL. The rows were stored or refused, each for itself, some of them refused: may put another ok_body. On the journal thread. */
    void (*judged)(struct logs_request *q);
    /* Says what went wrong in the way of its protocol; NULL: a line of text. */
    void (*answer)(struct logs_request *q, int status, struct str text);
};

struct logs_request *logs_request_new(struct http_request *r, struct logs *l, enum logs_source source, bool mixed);
/* Undoes the Content-Encoding of the body; <0 when it has answered. */
int logs_request_decode(struct logs_request *q);
/* The rows are whole: stores them; the answer follows. */
void logs_request_send(struct logs_request *q);
/* Nothing was stored. */
void logs_request_refuse(struct logs_request *q, int status, const char *text);
/* The same, for a decoder's error. */
void logs_request_fail(struct logs_request *q, const struct err *e);

/* "application/json; charset=utf-8": the part before ';', without blanks. STR_NULL when it is no media type. */
struct str media_type(struct str header);

/* --- the doors --- */
void push_loki(struct http_request *r, void *logs);
void push_otlp_loki(struct http_request *r, void *logs); /* 204 */
void push_otlp(struct http_request *r, void *logs);      /* 200 and a message */
void push_jsonline(struct http_request *r, void *logs);
void push_elastic(struct http_request *r, void *logs);
void push_elastic_probe(struct http_request *r, void *logs);
void push_datadog(struct http_request *r, void *logs);
void push_journald(struct http_request *r, void *logs);

#endif
