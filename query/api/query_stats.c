/*
 * query_stats.c - the "stats" of a query: where its time went and how many samples it looked at, as Prometheus counts them.
 *
 * totalQueryableSamples is the sum over steps of the samples each step looks at, as if it were asked alone; samplesRead counts
 * one that several steps look at once. peakSamples is what was held at once.
 */
#include "query/api/inside.h"

static void put_seconds(struct json *j, const char *key, int64_t ns)
{
    json_key(j, key);
    json_f64(j, (double)MAX(ns, 0) / 1e9);
}

static void put_u64(struct json *j, const char *key, uint64_t v)
{
    json_key(j, key);
    json_u64(j, v);
}

static void put_steps(struct json *j, const char *key, const struct api_call *k, const uint64_t *v, uint32_t n)
{
    json_key(j, key);
    json_arr(j);
    for (uint32_t i = 0; i < n; i++) {
        char t[NUM_MAX];

        json_arr(j);
        json_raw(j, str_n(t, num_fmt_ms(k->opts.start_ms + (int64_t)i * k->opts.step_ms, t)));
        json_u64(j, v[i]);
        json_end_arr(j);
    }
    json_end_arr(j);
}

static void put_timings(struct json *j, const struct api_timings *t)
{
    json_key(j, "timings");
    json_obj(j);
    put_seconds(j, "evalTotalTime", t->done_ns - t->began_ns);
    put_seconds(j, "resultSortTime", 0); /* part of the evaluation here */
    put_seconds(j, "queryPreparationTime", t->parsed_ns - t->began_ns);
    put_seconds(j, "innerEvalTime", t->done_ns - t->parsed_ns);
    put_seconds(j, "execQueueTime", t->began_ns - t->asked_ns);
    put_seconds(j, "execTotalTime", t->done_ns - t->asked_ns);
    json_end_obj(j);
}

void api_put_stats(struct buf *b, const struct api_call *k, const struct query *q, const struct promql_result *res,
                   const struct api_timings *t)
{
    struct json j;

    buf_putz(b, ",\"stats\":");
    json_init(&j, b);
    json_obj(&j);
    put_timings(&j, t);
    json_key(&j, "samples");
    json_obj(&j);
    if (k->stats_all && res->samples_per_step) {
        put_steps(&j, "totalQueryableSamplesPerStep", k, res->samples_per_step, res->nsteps);
        put_steps(&j, "samplesReadPerStep", k, res->samples_read_per_step, res->nsteps);
    }
    put_u64(&j, "totalQueryableSamples", res->samples);
    put_u64(&j, "samplesRead", res->samples_read);
    put_u64(&j, "peakSamples", q->samples_peak);
    json_end_obj(&j);
    json_end_obj(&j);
}
