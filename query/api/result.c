/*
 * result.c - results of queries as JSON. The hot path of big answers: labels, times and numbers go straight into the
 * buffer, times that all series share are written once and copied.
 */
#include "query/api/inside.h"

#include "query/vector/histogram.h"

#include <assert.h>

void api_put_time(struct buf *b, int64_t ms)
{
    char *at = buf_reserve(b, NUM_MAX);

    b->n += num_fmt_ms(ms, at);
}

static void put_value(struct buf *b, double v)
{
    char *at = buf_reserve(b, NUM_MAX + 2);
    size_t n;

    at[0] = '"';
    n = num_fmt_sample(v, at + 1);
    at[n + 1] = '"';
    b->n += n + 2;
}

void api_put_metric(struct buf *b, const struct labels *ls)
{
    buf_putc(b, '{');
    for (uint32_t i = 0; i < ls->n; i++) {
        if (i)
            buf_putc(b, ',');
        json_put_string(b, ls->v[i].name);
        buf_putc(b, ':');
        json_put_string(b, ls->v[i].value);
    }
    buf_putc(b, '}');
}

static void put_histogram(struct buf *b, const struct histogram *h)
{
    struct arena a = {0};
    uint32_t n = 0;
    struct hist_range *v = hist_ranges(&a, h, &n);

    buf_putz(b, "{\"count\":");
    put_value(b, h->count);
    buf_putz(b, ",\"sum\":");
    put_value(b, h->sum);
    if (n)
        buf_putz(b, ",\"buckets\":[");
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(b, "%s[%u,", i ? "," : "", v[i].rule);
        put_value(b, v[i].lo);
        buf_putc(b, ',');
        put_value(b, v[i].hi);
        buf_putc(b, ',');
        put_value(b, v[i].n);
        buf_putc(b, ']');
    }
    if (n)
        buf_putc(b, ']');
    buf_putc(b, '}');
    arena_release(&a);
}

/* --- times --------------------------------------------------------------------------------------------- */

/* "[1700000000.123," of the points seen last, by their place in the series: the next series most often has the same. */
struct times {
    int64_t *t;
    char (*text)[24];
    uint8_t *len;
    uint32_t n;
};

static void times_init(struct times *ts, struct arena *a, const struct promql_result *res)
{
    for (uint32_t i = 0; i < res->nseries; i++)
        ts->n = MAX(ts->n, res->series[i].npoints);
    ts->t = arena_alloc(a, ts->n * sizeof *ts->t);
    ts->text = arena_alloc(a, ts->n * sizeof *ts->text);
    ts->len = arena_zalloc(a, ts->n);
}

static void put_time(struct buf *b, struct times *ts, uint32_t i, int64_t t)
{
    char *at = buf_reserve(b, sizeof *ts->text);

    if (ts->len[i] == 0 || ts->t[i] != t) {
        char text[NUM_MAX];
        size_t n = num_fmt_ms(t, text);

        assert(n + 2 < sizeof *ts->text);
        ts->text[i][0] = '[';
        memcpy(ts->text[i] + 1, text, n);
        ts->text[i][n + 1] = ',';
        ts->len[i] = (uint8_t)(n + 2);
        ts->t[i] = t;
    }
    memcpy(at, ts->text[i], sizeof *ts->text);
    b->n += ts->len[i];
}

/* --- series -------------------------------------------------------------------------------------------- */

static void put_points(struct api_stream *s, struct times *ts, const struct promql_series *one, bool histograms)
{
    bool first = true;

    buf_putz(&s->b, histograms ? ",\"histograms\":[" : ",\"values\":[");
    for (uint32_t i = 0; i < one->npoints; i++) {
        const struct promql_point *p = &one->points[i];

        if ((p->h != NULL) != histograms)
            continue;
        if (!first)
            buf_putc(&s->b, ',');
        first = false;
        put_time(&s->b, ts, i, p->t);
        if (p->h)
            put_histogram(&s->b, p->h);
        else
            put_value(&s->b, p->v);
        buf_putc(&s->b, ']');
    }
    buf_putc(&s->b, ']');
}

static void put_matrix(struct api_stream *s, const struct promql_result *res, uint32_t n)
{
    struct arena a = {0}, points = {0};
    struct times ts = {0};

    times_init(&ts, &a, res);
    for (uint32_t i = 0; i < n && api_stream_flush(s) == 0; i++) {
        struct promql_series *one = &res->series[i];
        uint32_t nhist = 0;

        arena_reset(&points);
        promql_unfold(res, one, &points);

        for (uint32_t k = 0; k < one->npoints; k++)
            nhist += one->points[k].h != NULL;
        buf_putz(&s->b, i ? ",{\"metric\":" : "{\"metric\":");
        api_put_metric(&s->b, &one->labels);
        if (nhist < one->npoints)
            put_points(s, &ts, one, false);
        if (nhist)
            put_points(s, &ts, one, true);
        buf_putc(&s->b, '}');
    }
    arena_release(&a);
    arena_release(&points);
}

static void put_vector(struct api_stream *s, const struct promql_result *res, uint32_t n)
{
    for (uint32_t i = 0; i < n && api_stream_flush(s) == 0; i++) {
        const struct promql_series *one = &res->series[i];
        const struct promql_point *p = &one->points[0];

        assert(one->npoints == 1);
        buf_putz(&s->b, i ? ",{\"metric\":" : "{\"metric\":");
        api_put_metric(&s->b, &one->labels);
        buf_putz(&s->b, p->h ? ",\"histogram\":[" : ",\"value\":[");
        api_put_time(&s->b, p->t);
        buf_putc(&s->b, ',');
        if (p->h)
            put_histogram(&s->b, p->h);
        else
            put_value(&s->b, p->v);
        buf_putz(&s->b, "]}");
    }
}

const char *api_type_name(enum promql_type t)
{
    static const char *const names[] = {"none", "scalar", "vector", "matrix", "string"};

    return names[t];
}

void api_put_result(struct api_stream *s, const struct promql_result *res, uint32_t limit)
{
    uint32_t n = limit ? MIN(limit, res->nseries) : res->nseries;

    buf_printf(&s->b, "\"resultType\":\"%s\",\"result\":[", api_type_name(res->type));
    if (res->type == PQ_MATRIX) {
        put_matrix(s, res, n);
    } else if (res->type == PQ_VECTOR) {
        put_vector(s, res, n);
    } else {
        api_put_time(&s->b, res->t);
        buf_putc(&s->b, ',');
        if (res->type == PQ_STRING)
            json_put_string(&s->b, res->string);
        else
            put_value(&s->b, res->scalar);
    }
    buf_putc(&s->b, ']');
}
