/*
 * exec.h - one running query: what it may use, how it is stopped, where it is seen.
 *
 * (1) Memory that grows with data is charged (query_charge) before it is taken.
 * (2) A query that is over a limit, past its deadline, cancelled or killed notices at the next query_check, which loops over
 *     series call at least every few thousand samples; it then ends with an error that names the limit, the value and the operator.
 */
#ifndef QUERY_EXEC_H
#define QUERY_EXEC_H

#include "base/base.h"

struct query_limits {
    int64_t timeout_ms;      /* 2 min */
    uint64_t samples_max;    /* decoded or produced and held; 50 M held at once as upstream counts; 0 = none */
    uint64_t bytes_max;      /* memory of this query (256 MiB) */
    uint64_t series_max;     /* selected by one selector; 0 = none */
};
void query_limits_default(struct query_limits *l);

/* All queries of the process. */
struct query_engine;
struct query_engine_opts {
    unsigned threads;        /* that help reading inside queries; 0 = two for each core */
    unsigned processors;     /* threads of long queries that work at a time; 0 = as many as there are */
    uint32_t concurrent_max; /* 20: more wait */
    uint32_t waiting_max;    /* more: ERR_BUSY */
    uint64_t bytes_max;      /* memory of all queries together (1 GiB); 0 = none */
    struct query_limits limits;
    int64_t lookback_ms;     /* 5 min */
    int64_t default_step_ms; /* of subqueries without one: 1 min */
};
void query_engine_opts_default(struct query_engine_opts *o);
struct query_engine *query_engine_new(const struct query_engine_opts *o);
void query_engine_free(struct query_engine *en);
const struct query_engine_opts *query_engine_opts_of(const struct query_engine *en);
struct pool *query_engine_pool(struct query_engine *en); /* for pool_for inside a query; no query waits for it */

struct query {
    /* Set at start. */
    struct query_engine *engine;
    uint64_t id;
    struct str text;            /* in arena */
    const char *lang;           /* "promql" */
    int64_t started_ms;         /* wall */
    int64_t deadline_ns;        /* monotonic */
    struct query_limits limits;
    struct arena arena;         /* the query's: AST, plan, results. Owner: the thread that runs the query */

    /* Any thread. */
    _Atomic int stop;           /* 0, or the ERR_* it shall end with */
    _Atomic uint64_t bytes, bytes_peak, samples, samples_peak, samples_total;
    _Atomic uint64_t series, blocks_read, blocks_skipped;
    bool (*canceled)(void *arg); /* may be NULL: e.g. http_canceled */
    void *canceled_arg;
};

/* Runs fn(q) on a thread of its own when one of concurrent_max places is free. fn ends it by query_end. ERR_BUSY when too many wait. */
int query_start(struct query_engine *en, const char *lang, struct str text, const struct query_limits *limits, void (*fn)(struct query *q, void *arg),
                void *arg, struct err *e);
/* For callers that evaluate on their own thread (rules, tests): makes a registered query, no queueing. */
struct query *query_begin(struct query_engine *en, const char *lang, struct str text, const struct query_limits *limits);
/* fn(arg) when the query ends, before its arena goes; the latest first. Only from the query's own thread. */
void query_defer(struct query *q, void (*fn)(void *arg), void *arg);
/* Frees everything of q, its arena too. */
void query_end(struct query *q);

/*
 * What lies ahead, in samples to be looked at or the like. A query that will take long gives way to others from the start, not
 * only when it has taken long.
 */
void query_expect(struct query *q, uint64_t work);
enum { QUERY_A_SERIES = 256 }; /* the work of a series whose labels are copied, sorted and written out */
/*
 * This thread stops working for q, or is about to wait (for helpers, for a client): long queries share the processors in
 * turns, and its turn passes on at once. Never needed, always good.
 */
void query_leave(struct query *q);
/*
 * A helper's thread works for q from here on (NULL: for none): regular expressions that it meets are not compiled beyond q's end.
 * Returns for which it did before, which is to be told at the end. The thread that runs q is told by itself.
 */
struct query *query_work_for(struct query *q);
/* <0 when the query must stop; e gets the sentence. A long query may have to wait here for its turn. where: the operator, for the sentence ("rate", "sum by (job)"). */
int query_check(struct query *q, const char *where, struct err *e);
/* Would query_check end it? Never waits, so it may be asked where a lock is held; who hears yes lets go and calls query_check. */
bool query_must_stop(struct query *q);
/* query_check for who writes the answer of a query that has been evaluated: its deadline is behind it. <0: nobody wants the rest. */
int query_give_way(struct query *q, const char *where);
/*
 * query_check once in so much work. Work is counted in samples looked at or the like, a few ns each: a row of labels made
 * or compared is worth some hundred.
 */
struct query_pace {
    struct query *q; /* NULL: nothing is checked */
    const char *where;
    uint64_t work;
};
enum { QUERY_PACE_WORK = 100000 };
static inline int query_pace(struct query_pace *p, uint64_t work, struct err *e)
{
    p->work += work;
    if (p->work < QUERY_PACE_WORK || !p->q)
        return 0;
    p->work = 0;
    return query_check(p->q, p->where, e);
}
/*
 * Charges memory (give back with a negative number; query_end gives back the rest). ERR_LIMIT names bytes_max, the need
 * and `where`; ERR_BUSY when all queries together hold too much.
 */
int query_charge(struct query *q, int64_t bytes, const char *where, struct err *e);
/* Counts samples: read (total) and held at once (may be negative when let go). ERR_LIMIT names samples_max. */
int query_samples(struct query *q, uint64_t read, int64_t held, const char *where, struct err *e);

struct query_info {
    uint64_t id;
    struct str text;
    const char *lang;
    int64_t started_ms, running_ms;
    uint64_t bytes, samples;
    bool waiting;
};
struct query_stats {
    uint32_t running, waiting;
    uint64_t bytes, started, refused, canceled, timed_out, limited; /* limited: by samples, memory or series */
};
void query_stats(struct query_engine *en, struct query_stats *out);
/* What runs and waits, oldest first, from a. */
uint32_t query_list(struct query_engine *en, struct arena *a, struct query_info **out);
/* ERR_NOT_FOUND when there is no such query. It ends with ERR_CANCELED soon after. */
int query_kill(struct query_engine *en, uint64_t id, struct err *e);

#endif
