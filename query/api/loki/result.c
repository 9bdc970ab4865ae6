/* result.c - results as Loki writes them: streams of records, series of numbers. */
#include "query/api/loki/inside.h"

void loki_put_time(struct buf *b, int64_t ns)
{
    api_put_time(b, ns / NS_PER_MS);
}

void loki_put_value(struct buf *b, double v)
{
    char *at = buf_reserve(b, NUM_MAX + 2);
    size_t n;

    at[0] = '"';
    n = num_fmt_sample(v, at + 1);
    at[n + 1] = '"';
    b->n += n + 2;
}

/* --- streams ------------------------------------------------------------------------------------------------- */

static void put_pairs(struct buf *b, const struct label *v, uint32_t n)
{
    struct labels ls = {(struct label *)(uintptr_t)v, n};

    api_put_metric(b, &ls);
}

/* ["ns","line"] or ["ns","line",{"structuredMetadata":{...},"parsed":{...}}] */
static void put_entry(struct buf *b, const struct logql_entry *en, bool categories)
{
    char *at;

    buf_putz(b, "[\"");
    at = buf_reserve(b, NUM_MAX);
    b->n += num_fmt_i64(en->t_ns, at);
    buf_putz(b, "\",");
    json_put_string(b, en->line);
    if (categories) {
        buf_putz(b, ",{");
        if (en->nmeta) {
            buf_putz(b, "\"structuredMetadata\":");
            put_pairs(b, en->meta, en->nmeta);
        }
        if (en->nparsed) {
            buf_putz(b, en->nmeta ? ",\"parsed\":" : "\"parsed\":");
            put_pairs(b, en->parsed, en->nparsed);
        }
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

void loki_put_streams(struct buf *b, struct api_stream *s, const struct logql_stream *v, uint32_t n, bool categories)
{
    bool go_on = true;

    buf_putc(b, '[');
    for (uint32_t i = 0; i < n && go_on; i++) {
        buf_putz(b, i ? ",{\"stream\":" : "{\"stream\":");
        api_put_metric(b, &v[i].labels);
        buf_putz(b, ",\"values\":[");
        for (uint32_t k = 0; k < v[i].n && go_on; k++) {
            if (k)
                buf_putc(b, ',');
            put_entry(b, &v[i].entries[k], categories);
            go_on = !s || api_stream_flush(s) == 0;
        }
        buf_putz(b, "]}");
    }
    buf_putc(b, ']');
}

/* --- numbers --------------------------------------------------------------------------------------------------- */

static void put_point(struct buf *b, int64_t t_ns, double v)
{
    buf_putc(b, '[');
    loki_put_time(b, t_ns);
    buf_putc(b, ',');
    loki_put_value(b, v);
    buf_putc(b, ']');
}

static void put_vector(struct api_stream *s, const struct logql_result *res)
{
    bool first = true;

    for (uint32_t i = 0; i < res->nseries && api_stream_flush(s) == 0; i++) {
        const struct logql_series *one = &res->series[i];

        if (!one->has[0])
            continue;
        buf_putz(&s->b, first ? "{\"metric\":" : ",{\"metric\":");
        first = false;
        api_put_metric(&s->b, &one->labels);
        buf_putz(&s->b, ",\"value\":");
        put_point(&s->b, res->start_ns, one->v[0]);
        buf_putc(&s->b, '}');
    }
}

static void put_matrix(struct api_stream *s, const struct logql_result *res)
{
    bool first_series = true;

    for (uint32_t i = 0; i < res->nseries && api_stream_flush(s) == 0; i++) {
        const struct logql_series *one = &res->series[i];
        bool first = true;

        if (!memchr(one->has, 1, res->nsteps))
            continue;
        buf_putz(&s->b, first_series ? "{\"metric\":" : ",{\"metric\":");
        first_series = false;
        api_put_metric(&s->b, &one->labels);
        buf_putz(&s->b, ",\"values\":[");
        for (uint32_t k = 0; k < res->nsteps; k++) {
            if (!one->has[k])
                continue;
            if (!first)
                buf_putc(&s->b, ',');
            first = false;
            put_point(&s->b, res->start_ns + k * res->step_ns, one->v[k]);
        }
        buf_putz(&s->b, "]}");
    }
}

const char *loki_type_name(enum logql_result_type t)
{
    static const char *const names[] = {"streams", "scalar", "vector", "matrix"};

    return names[t];
}

void loki_put_result(struct api_stream *s, const struct logql_result *res, bool categories)
{
    switch (res->type) {
    case LOGQL_RESULT_STREAMS:
        loki_put_streams(&s->b, s, res->streams, res->nstreams, categories);
        return;
    case LOGQL_RESULT_SCALAR:
        put_point(&s->b, res->start_ns, res->scalar);
        return;
    case LOGQL_RESULT_VECTOR:
    case LOGQL_RESULT_MATRIX:
        buf_putc(&s->b, '[');
        if (res->type == LOGQL_RESULT_VECTOR)
            put_vector(s, res);
        else
            put_matrix(s, res);
        buf_putc(&s->b, ']');
        return;
    }
}

/* --- stats ----------------------------------------------------------------------------------------------------------- */

static void put_u64(struct json *j, const char *key, uint64_t v)
{
    json_key(j, key);
    json_u64(j, v);
}

static void put_f64(struct json *j, const char *key, double v)
{
    json_key(j, key);
    json_f64(j, v);
}

static void put_summary(struct json *j, const struct loki_call *k, const struct logql_stats *f, uint64_t returned)
{
    double exec = (double)MAX(clock_mono_ns() - k->began_ns, (int64_t)1) / 1e9;

    json_key(j, "summary");
    json_obj(j);
    put_u64(j, "bytesProcessedPerSecond", (uint64_t)((double)f->bytes_raw / exec));
    put_u64(j, "linesProcessedPerSecond", (uint64_t)((double)f->rows / exec));
    put_u64(j, "totalBytesProcessed", f->bytes_raw);
    put_u64(j, "totalLinesProcessed", f->rows);
    put_f64(j, "execTime", exec);
    put_f64(j, "queueTime", (double)MAX(k->began_ns - k->asked_ns, (int64_t)0) / 1e9);
    put_u64(j, "subqueries", 0);
    put_u64(j, "totalEntriesReturned", returned);
    put_u64(j, "splits", 0);
    put_u64(j, "shards", 0);
    put_u64(j, "totalPostFilterLines", f->kept);
    put_u64(j, "totalStructuredMetadataBytesProcessed", 0);
    json_end_obj(j);
}

static void put_store(struct json *j, const struct logql_stats *f)
{
    json_key(j, "store");
    json_obj(j);
    put_u64(j, "totalChunksRef", f->blocks_read + f->blocks_skipped);
    put_u64(j, "totalChunksDownloaded", f->blocks_read);
    put_u64(j, "chunksDownloadTime", 0);
    json_key(j, "chunk");
    json_obj(j);
    put_u64(j, "headChunkBytes", 0);
    put_u64(j, "headChunkLines", 0);
    put_u64(j, "decompressedBytes", f->bytes_raw);
    put_u64(j, "decompressedLines", f->rows);
    put_u64(j, "compressedBytes", f->bytes_read);
    put_u64(j, "totalDuplicates", 0);
    put_u64(j, "postFilterLines", f->kept);
    json_end_obj(j);
    json_end_obj(j);
}

void loki_put_stats(struct buf *b, const struct loki_call *k, const struct logql_stats *f, uint64_t returned)
{
    static const struct logql_stats nothing;
    struct json j;

    f = f ? f : &nothing;
    json_init(&j, b);
    json_obj(&j);
    put_summary(&j, k, f, returned);
    json_key(&j, "querier");
    json_obj(&j);
    put_store(&j, f);
    json_end_obj(&j);
    json_key(&j, "ingester");
    json_obj(&j);
    put_u64(&j, "totalReached", 1);
    put_u64(&j, "totalChunksMatched", f->streams);
    put_u64(&j, "totalBatches", 0);
    put_u64(&j, "totalLinesSent", 0);
    json_end_obj(&j);
    json_key(&j, "cache");
    json_obj(&j);
    json_end_obj(&j);
    json_key(&j, "index");
    json_obj(&j);
    json_end_obj(&j);
    json_end_obj(&j);
}
