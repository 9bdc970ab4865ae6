/*
 * rates.c - how much may come in a second: of all senders together, and of one stream. Both are off unless asked for.
 *
 * (1) A bucket never holds more than its burst, and a batch is taken as a whole or not at all.
 * (2) Streams share buckets by their hash: two that meet are held to one rate together, and there is no table that grows.
 */
#include "collector/logs/request.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUCKETS = 1 << 15 };

struct bucket {
    double bytes;
    int64_t at_ns;
};

struct rates {
    pthread_mutex_t mu; /* over both; held for a few additions */
    struct bucket all;
    struct bucket *streams; /* NULL until they are asked for */
};

struct rates *rates_new(void)
{
    struct rates *r = x_zalloc(sizeof *r);

    pthread_mutex_init(&r->mu, NULL);
    return r;
}

void rates_free(struct rates *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->mu);
    free(r->streams);
    free(r);
}

static bool take(struct bucket *b, int64_t now_ns, uint64_t rate, uint64_t burst, uint64_t bytes)
{
    double most = (double)MAX(burst, rate);

    if (b->at_ns == 0)
        b->bytes = most;
    else if (now_ns > b->at_ns)
        b->bytes = MIN(most, b->bytes + (double)(now_ns - b->at_ns) / 1e9 * (double)rate);
    b->at_ns = now_ns;
    if ((double)bytes > b->bytes)
        return false;
    b->bytes -= (double)bytes;
    return true;
}

static uint64_t said(uint64_t by_config, uint64_t by_flag)
{
    return by_config == UINT64_MAX ? by_flag : by_config;
}

int rates_take(struct rates *r, const struct logs_rules *rules, const struct logs_opts *o, struct str user, uint64_t rows, uint64_t bytes,
               struct err *e)
{
    uint64_t rate = said(rules->rate_bytes, o->rate_bytes), burst = said(rules->rate_burst_bytes, o->rate_burst_bytes);
    bool ok;

    if (rate == 0)
        return 0;
    pthread_mutex_lock(&r->mu);
    ok = take(&r->all, clock_mono_ns(), rate, burst, bytes);
    pthread_mutex_unlock(&r->mu);
    if (ok)
        return 0;
    return err_set(e, ERR_BUSY,
                   "ingestion rate limit exceeded for user %.*s (limit: %llu bytes/sec) while attempting to ingest '%llu' lines totaling "
                   "'%llu' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased",
                   STR_ARG(str_head(user, 150)), (unsigned long long)rate, (unsigned long long)rows, (unsigned long long)bytes);
}

/* 3145728 -> "3.1MB" */
static void put_bytes(struct buf *out, uint64_t n)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)n;
    int u = 0;

    for (; v >= 1000 && u < 6; u++)
        v /= 1000;
    v = floor(v * 10 + 0.5) / 10;
    buf_printf(out, u && v < 10 ? "%.1f%s" : "%.0f%s", v, units[u]);
}

static void refuse_stream(struct intake *in, const struct log_in *s, uint64_t rate, uint64_t bytes)
{
    struct buf text = {0};

    buf_putz(&text, "Per stream rate limit exceeded (limit: ");
    put_bytes(&text, rate);
    buf_putz(&text, "/sec) while attempting to ingest for stream '");
    labels_print(&text, &s->labels);
    buf_putz(&text, "' totaling ");
    put_bytes(&text, bytes);
    buf_putz(&text, ", consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased");
    intake_refuse(in, LOGS_STREAM_RATE, s->n, buf_z(&text));
    if (in->each)
        memset(in->b.row_verdicts + s->first, INTAKE_STREAM_RATE, s->n);
    buf_release(&text);
}

static uint64_t stream_bytes(const struct intake *in, const struct log_in *s)
{
    uint64_t n = 0;

    for (uint32_t i = s->first; i < s->first + s->n; i++) {
        const struct log_in_row *row = &in->b.rows[i];

        n += row->line.n;
        for (uint32_t k = row->meta_first; k < row->meta_first + row->meta_n; k++)
            n += in->b.meta[k].name.n + in->b.meta[k].value.n;
    }
    return n;
}

void rates_take_streams(struct rates *r, const struct logs_opts *o, struct intake *in)
{
    uint64_t rate = said(in->rules->stream_rate_bytes, o->stream_rate_bytes);
    uint64_t burst = said(in->rules->stream_rate_burst_bytes, o->stream_rate_burst_bytes);
    int64_t now_ns = clock_mono_ns();
    uint32_t kept = 0;

    if (rate == 0)
        return;
    for (uint32_t i = 0; i < in->b.nstreams; i++) {
        struct log_in *s = &in->b.streams[i];
        uint64_t bytes = stream_bytes(in, s);
        struct hash128 h = labels_hash(&s->labels);
        bool ok;

        pthread_mutex_lock(&r->mu);
        if (!r->streams)
            r->streams = x_zalloc(sizeof *r->streams * BUCKETS);
        ok = take(&r->streams[h.lo % BUCKETS], now_ns, rate, burst, bytes);
        pthread_mutex_unlock(&r->mu);
        if (ok)
            in->b.streams[kept++] = *s;
        else
            refuse_stream(in, s, rate, bytes);
    }
    in->b.nstreams = kept;
}
