/*
 * inside.h - what the files of query/api share: parameters, answers, and calls that run on the query pool. Private to
 * api/.
 */
#ifndef API_INSIDE_H
#define API_INSIDE_H

#include "net/server.h"
#include "query/api/api.h"
#include "query/query.h"

/* --- params.c ------------------------------------------------------------------------------------- */

/* "not given" ends of a window: everything. Far enough from the ends of int64 that adding to them is safe. */
#define API_TIME_MIN (INT64_MIN / 4)
#define API_TIME_MAX (INT64_MAX / 4)

struct str api_param(const struct http_request *r, const char *name); /* or empty */
bool api_has_param(const struct http_request *r, const char *name);   /* if empty */
/* Seconds as float or RFC 3339. ERR_INVALID: cannot parse "x" to a valid timestamp. */
int api_parse_time(struct str s, int64_t *ms, struct err *e);
/* Seconds as float or 5m. ERR_INVALID: cannot parse "x" to a valid duration. */
int api_parse_duration(struct str s, int64_t *ms, struct err *e);
/* The named time, or what *ms holds when it is absent. The error names the parameter as the metadata calls do. */
int api_time_param(const struct http_request *r, const char *name, int64_t *ms, struct err *e);
/* The same without "invalid parameter": what the search calls say. */
int api_time_param_plain(const struct http_request *r, const char *name, int64_t *ms, struct err *e);
/* 1, t, true, 0, f, false and their capitals; else -1. */
int api_parse_bool(struct str s, bool *v);
/* A count; 0 when absent. */
int api_limit_param(const struct http_request *r, uint32_t *limit, struct err *e);
/* invalid parameter "NAME": before what e says; returns its code. */
int api_invalid_param(struct err *e, const char *name);

struct match_set {
    struct matcher *m;
    uint32_t n;
};
/* All match[] of the request, from a; they hold regexes: release them with match_sets_release. */
int api_match_sets(const struct http_request *r, struct arena *a, struct match_set **out, uint32_t *n, struct err *e);
/* regex_new on an I/O thread, where there is no waiting for one that takes long: ERR_LIMIT. */
int api_regex_here(struct str pattern, unsigned flags, struct regex **out, struct err *e);
/* Whether these matchers of one parameter, or those of match[], can be read: on an I/O thread, so few and quick patterns only. */
int api_check_matchers(struct arena *a, struct str text, struct err *e);
int api_check_match_sets(const struct http_request *r, struct err *e);
void api_match_sets_release(struct match_set *sets, uint32_t n);
/* U__a_2e_b -> a.b; other names as they are. From a. */
struct str api_unescape_name(struct arena *a, struct str name);

/* --- answer.c -------------------------------------------------------------------------------------- */

/* {"status":"error",...} with the status of the code. */
void api_answer_error(struct http_request *r, const struct err *e);
/* {"status":"success","data":DATA}. data is JSON. */
void api_answer_data(struct http_request *r, struct str data);

/*
 * An answer that may be too big for memory: written piece by piece once it passes a limit, whole with its length when
 * it does not. After the first failure (the client has left) writing goes nowhere; finish says so to net.
 */
struct api_stream {
    struct http_request *r;
    const char *type;
    struct buf b;
    bool begun;
    int code; /* of the first http_write that failed, or why the query was stopped */
    struct query *q;
    size_t look_at; /* bytes in b at which to look up */
    int64_t
        within_ms; /* the client must have taken it, but for what lies in buffers; 0: as long as it takes something */
};
/* q may be NULL: whose evaluation is over, and which gives way to others while it is written. Until query_end. */
void api_stream_init(struct api_stream *s, struct http_request *r, struct query *q, const char *type);
/* To be called now and then, between values. <0: stop, nobody listens. */
int api_stream_flush(struct api_stream *s);
/* Ends the answer; r is gone after. */
void api_stream_end(struct api_stream *s);
/* `,"warnings":[...],"infos":[...]}`: the end of the envelope. */
void api_put_envelope_end(struct buf *b, const struct str *warnings, uint32_t nwarnings, const struct str *infos,
                          uint32_t ninfos);

/* --- call.c ----------------------------------------------------------------------------------------- */

/* A request whose answer is made on the query pool. Lives in the request's arena. */
/* Patterns may take long to compile, so match[] are read on the query's thread, before run. */
enum api_sets {
    API_SETS_NONE,
    API_SETS,
    API_SETS_NAMED, /* a fault names the parameter */
    API_SETS_TEXT   /* a fault is told as text */
};

struct api_call {
    const struct api_ctx *c;
    struct http_request *r;
    void (*run)(struct api_call *k, struct query *q); /* must answer and call query_end, in this order or the other */
    int64_t asked_ns;
    /* Parameters of the metadata calls. */
    enum api_sets wants_sets;
    struct match_set *sets;
    uint32_t nsets, limit;
    int64_t mint, maxt;
    struct str name;
    /* Parameters of queries. */
    struct promql_opts opts;
    bool stats, stats_all, explain_only;
    struct str odd_stats; /* a value of stats that only old clients send */
};
struct api_call *api_call_new(const struct api_ctx *c, struct http_request *r,
                              void (*run)(struct api_call *k, struct query *q));
/* Hands the call to the pool as a query of that text, or answers 503. timeout_ms 0: the engine's. */
void api_call_start(struct api_call *k, struct str text, int64_t timeout_ms);
/* Answers with e and ends the query. */
void api_call_fail(struct api_call *k, struct query *q, const struct err *e);
/* Charges what q's arena has grown to since *charged. */
int api_charge_arena(struct query *q, uint64_t *charged, const char *where, struct err *e);
/* For selects: charges and checks q. */
struct tsdb_limits api_limits_of(struct query *q);

/* Names or values, sorted, without doubles. */
struct api_names {
    struct str *v;
    uint32_t n;
    bool truncated;
};
/* names.c: the labels of the call's window and match[], or the values of label k->name; cut at k->limit. */
int api_collect_names(struct api_call *k, struct query *q, struct api_names *out, struct err *e);

/* --- handlers: one file a family --------------------------------------------------------------------- */

void api_routes_query(struct http_server *s, struct api_ctx *c);        /* query.c */
void api_routes_names(struct http_server *s, struct api_ctx *c);        /* names.c */
void api_routes_exemplars(struct http_server *s, struct api_ctx *c);    /* exemplars.c */
void api_routes_status(struct http_server *s, struct api_ctx *c);       /* status.c */
void api_routes_targets(struct http_server *s, struct api_ctx *c);      /* targets.c */
void api_routes_admin(struct http_server *s, struct api_ctx *c);        /* admin.c */
void api_routes_federate(struct http_server *s, struct api_ctx *c);     /* federate.c */
void api_routes_life(struct http_server *s, struct api_ctx *c);         /* life.c */
void api_routes_features(struct http_server *s, struct api_ctx *c);     /* features.c */
void api_routes_self_metrics(struct http_server *s, struct api_ctx *c); /* self_metrics.c */
void api_routes_openapi(struct http_server *s, struct api_ctx *c);      /* openapi.c */
void api_routes_notices(struct http_server *s, struct api_ctx *c);      /* notices.c; needs c->notices */
void api_routes_search(struct http_server *s, struct api_ctx *c);       /* search.c */
void api_routes_read(struct http_server *s, struct api_ctx *c);         /* read.c */

/* query_stats.c: `,"stats":{...}` of a query that was evaluated with opts.stats. */
struct api_timings {
    int64_t asked_ns, began_ns, parsed_ns, done_ns;
};
void api_put_stats(struct buf *b, const struct api_call *k, const struct query *q, const struct promql_result *res,
                   const struct api_timings *t);

/* result.c: the value of "data" of a query, without its stats. */
void api_put_result(struct api_stream *s, const struct promql_result *res, uint32_t limit);
const char *api_type_name(enum promql_type t); /* "vector", ... */
void api_put_metric(struct buf *b, const struct labels *ls);
void api_put_time(struct buf *b, int64_t ms);

#endif
