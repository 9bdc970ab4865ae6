/*
 * inside.h - what the files of api/loki share: parameters, answers, calls on the query pool. Private to loki/.
 */
#ifndef LOKI_INSIDE_H
#define LOKI_INSIDE_H

#include "logstore/logstore.h"
#include "net/server.h"
#include "query/api/inside.h"
#include "query/api/loki/loki.h"
#include "query/logql/logql.h"
#include "query/logql/pipeline.h"

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* --- params.c: as Loki reads them, and its words when they are wrong ------------------------------------------- */

/* Times stay within these, so that adding a few hours is safe. */
#define LOKI_TIME_MIN (INT64_MIN / 2)
#define LOKI_TIME_MAX (INT64_MAX / 2)

struct loki_window {
    int64_t start_ns, end_ns;
};

/* Whole numbers of up to ten digits are seconds, longer ones ns; with a point: seconds; else RFC 3339 to the ns. */
int loki_parse_time(struct str s, int64_t *ns, struct err *e);
/* Seconds, or 5m, 500ms. */
int loki_parse_duration(struct str s, int64_t *ns, struct err *e);
/* The named time, or what *ns holds when it is absent. */
int loki_time_param(const struct http_request *r, const char *name, int64_t *ns, struct err *e);
/* start, end, since: without start the last since_ns before end (or now, if end is ahead). */
int loki_window_params(const struct http_request *r, int64_t since_ns, struct loki_window *w, struct err *e);
/* Default: a 250th of the window, in whole seconds, at least one. Refuses more than 11,000 steps. */
int loki_step_param(const struct http_request *r, const struct loki_window *w, int64_t *step_ns, struct err *e);
/* A positive count; dflt when absent. */
int loki_count_param(const struct http_request *r, const char *name, uint32_t dflt, uint32_t *n, struct err *e);
int loki_direction_param(const struct http_request *r, bool *backward, struct err *e);
/* The client asks for categories of labels beside each entry. */
bool loki_wants_categories(const struct http_request *r);
/* The time as Loki's requests print it: to name a window in a sentence. */
struct str loki_duration_text(struct arena *a, int64_t ns);

/* --- answer.c ----------------------------------------------------------------------------------------------------- */

/* The sentence as plain text, with the status Loki gives to such an error. */
void loki_answer_error(struct http_request *r, const struct err *e);
/* JSON as it is. */
void loki_answer_json(struct http_request *r, struct buf *b);
/* Like api_stream_end, but faults are told in plain text. */
void loki_stream_end(struct api_stream *s);
/* {"a":"b",...} */
void loki_put_labels(struct buf *b, const struct labels *ls);

/* --- call.c --------------------------------------------------------------------------------------------------------- */

/* A request whose answer is made on the query pool. Lives in the request's arena. */
struct loki_call {
    const struct loki_ctx *c;
    struct http_request *r;
    void (*run)(struct loki_call *k, struct query *q); /* must answer and call query_end, in any order */
    int64_t asked_ns, began_ns; /* monotonic */
    struct loki_window w;
    int64_t step_ns, interval_ns;
    uint32_t limit;
    bool backward, instant, categories;
    bool legacy;     /* the answer in the shape of /api/prom */
    struct str name; /* of a label or field */
    uint32_t line_limit;
    bool by_labels, ranged; /* volumes */
};
struct loki_call *loki_call_new(const struct loki_ctx *c, struct http_request *r,
                                void (*run)(struct loki_call *k, struct query *q));
/* Hands the call to the pool as a query of that text, or answers 429. */
void loki_call_start(struct loki_call *k, struct str text);
/* Answers with e and ends the query. */
void loki_call_fail(struct loki_call *k, struct query *q, const struct err *e);
/* For selects of q: charges and checks it. */
struct log_limits loki_limits_of(struct query *q);
/* Released when q ends; e as the parser words it. */
int loki_parse(struct query *q, struct str text, struct logql_tree **out, struct err *e);
int loki_parse_selector(struct query *q, struct str text, struct logql_tree **out, struct err *e);
/* Label sets of the streams that match, in the window of the call; text empty or {}: all. */
int loki_streams(struct loki_call *k, struct query *q, struct str text, struct labels **out, uint32_t *n, struct err *e);

/* --- each.c ------------------------------------------------------------------------------------------------------------ */

/*
 * Each row of the window through the pipeline, in any order; fn is called for those that stay, and ends it by a value other than 0
 * (<0: e is set). every: only each n-th row of the selector.
 */
struct loki_each {
    struct logstore *logs;
    struct query *q;
    const struct logql_log *log;
    int64_t mint_ns, maxt_ns;
    uint32_t every;
    int (*fn)(void *arg, const struct log_row *row, struct runner *r, struct err *e);
    void *arg;
};
int loki_each(struct loki_each *s, struct err *e);

/* --- result.c -------------------------------------------------------------------------------------------------------- */

/* Seconds with up to three decimals. */
void loki_put_time(struct buf *b, int64_t ns);
void loki_put_value(struct buf *b, double v);
/* [{"stream":{...},"values":[...]},...]; s may be NULL, else b is its buffer, which is flushed between values. */
void loki_put_streams(struct buf *b, struct api_stream *s, const struct logql_stream *v, uint32_t n, bool categories);
/* The value of "result" of any kind. */
void loki_put_result(struct api_stream *s, const struct logql_result *res, bool categories);
const char *loki_type_name(enum logql_result_type t);
/* The value of "stats". st may be NULL: nothing was read. */
void loki_put_stats(struct buf *b, const struct loki_call *k, const struct logql_stats *st, uint64_t returned);

/* --- handlers: one file a family -------------------------------------------------------------------------------------- */

void loki_routes_query(struct http_server *s, struct loki_ctx *c);    /* query.c */
void loki_routes_names(struct http_server *s, struct loki_ctx *c);    /* names.c */
void loki_routes_index(struct http_server *s, struct loki_ctx *c);    /* index.c */
void loki_routes_fields(struct http_server *s, struct loki_ctx *c);   /* fields.c */
void loki_routes_patterns(struct http_server *s, struct loki_ctx *c); /* patterns.c */
void loki_routes_deletes(struct http_server *s, struct loki_ctx *c);  /* deletes.c */
void loki_routes_service(struct http_server *s, struct loki_ctx *c);  /* service.c */
void loki_routes_tail(struct http_server *s, struct loki_ctx *c);     /* tail.c */
void loki_routes_openapi(struct http_server *s, struct loki_ctx *c);  /* openapi.c */

#endif
