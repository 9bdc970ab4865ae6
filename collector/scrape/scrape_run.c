/*
 * scrape_run.c - one scrape, handed from thread to thread:
 *
 *     scheduler  scrape_start ──▶ HTTP client thread  fetched ──▶ worker  work: parse, tsdb_ingest
 *                     │ builtin, target gone, over the limit           │ stored later: journal thread, handed back to a
 * worker └──────────────────────▶ worker ─────────────────┴──▶ settle: status, counters, target free again
 *
 * (1) The target is busy from the tick to settle, so nothing else touches its cache.
 * (2) A run holds a reference of the scraper and of its configuration; after scraper_free has stopped everything, what
 * comes back from the network or the disk only cleans up.
 */
#include "collector/scrape/scraper_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const struct str user_agent = {"Tripod", 6};
static const uint64_t body_bytes_default = UINT64_C(64) << 20, body_bytes_high = UINT64_C(2) << 30;

/* --- life ------------------------------------------------------------------------------------------------ */

struct scrape_run *scrape_run_new(struct scraper *s, struct target *t, int64_t time_ms)
{
    struct scrape_run *run = x_zalloc(sizeof(*run));
    struct scrape_pool *p = t->pool;
    struct buf accept = {0};

    assert(!t->busy);
    t->busy = true;
    atomic_fetch_add(&s->refs, 1);
    run->s = s;
    run->t = t;
    run->config = p->config;
    run->owner = p->owner ? scrape_configs_ref(p->owner) : NULL;
    run->end = t->ending;
    run->over_limit = p->over_limit;
    run->target_limit = p->config->common.target_limit;
    run->ntargets = p->ntargets;
    run->time_ms = time_ms;
    run->timeout_ms = t->timeout_ms;
    run->series_id = t->series_id;
    run->native = t->native;
    run->to_nhcb = t->to_nhcb;
    run->always_classic = t->always_classic;
    accept_header(p->config, t->native, &accept);
    run->accept = arena_dup(&run->arena, buf_str(&accept));
    buf_release(&accept);
    run->start_ns = clock_mono_ns();
    return run;
}

static void run_free(struct scrape_run *run)
{
    struct scraper *s = run->s;

    scrape_configs_unref(run->owner);
    free(run->batch.series);
    free(run->batch.t);
    free(run->batch.v);
    free(run->batch.h);
    nhcb_release(&run->nhcb);
    free(run->batch.exemplars);
    free(run->batch.metadata);
    free(run->fresh);
    buf_release(&run->body);
    arena_release(&run->arena);
    free(run);
    scraper_unref(s);
}

/* The scraper is stopped: nothing is stored any more. */
static void abandon(struct scrape_run *run)
{
    pthread_mutex_lock(&run->s->mu);
    run->t->busy = false;
    pthread_mutex_unlock(&run->s->mu);
    if (run->end)
        target_free(run->t);
    run_free(run);
}

/* To a worker, or false when the scraper is stopped. */
static bool hand_over(struct scrape_run *run, void (*fn)(void *arg))
{
    struct scraper *s = run->s;
    bool stopped;

    pthread_mutex_lock(&s->mu);
    stopped = s->stopped;
    if (!stopped)
        (void)pool_run(s->workers, fn, run); /* the queue has no limit: there is one run per target */
    pthread_mutex_unlock(&s->mu);
    return !stopped;
}

/* --- settling ---------------------------------------------------------------------------------------------- */

static void write_failure_log(struct scrape_run *run)
{
    struct str path = run->config->common.failure_log_file;
    char when[NUM_MAX];
    struct buf b = {0};
    struct json j;
    FILE *f;

    if (!path.n || run->err.code >= 0)
        return;
    json_init(&j, &b);
    json_obj(&j);
    json_key(&j, "time");
    json_str(&j, str_n(when, time_fmt_rfc3339(run->time_ms, when)));
    json_key(&j, "level");
    json_strz(&j, "ERROR");
    json_key(&j, "msg");
    json_strz(&j, run->err.text);
    json_key(&j, "job_name");
    json_str(&j, run->config->job);
    json_key(&j, "target");
    json_str(&j, run->t->url);
    json_end_obj(&j);
    buf_putc(&b, '\n');
    path = arena_dup(&run->arena, path);
    f = fopen(path.p, "a");
    if (!f || fwrite(b.p, 1, b.n, f) != b.n)
        log_warn("scrape", "cannot write scrape_failure_log_file %s", path.p);
    if (f)
        fclose(f);
    buf_release(&b);
}

static void count(const struct scrape_run *run)
{
    struct scraper *s = run->s;
    const uint32_t *v = run->batch.verdicts;

    atomic_fetch_add(&s->scrapes, !run->end);
    atomic_fetch_add(&s->failures, run->err.code < 0);
    atomic_fetch_add(&s->samples, v[TSDB_OK] + v[TSDB_SAME]);
    atomic_fetch_add(&s->dropped_duplicate, v[TSDB_DUPLICATE] + run->duplicates);
    atomic_fetch_add(&s->dropped_bounds, v[TSDB_FUTURE]);
    atomic_fetch_add(&s->dropped_old, v[TSDB_TOO_OLD]);
}

/* Says that samples were refused, once until they are taken again. */
static void note_refused(struct scrape_run *run)
{
    const uint32_t *v = run->batch.verdicts;
    uint64_t n = run->duplicates + v[TSDB_DUPLICATE] + v[TSDB_FUTURE] + v[TSDB_TOO_OLD] + v[TSDB_BAD_LABELS] +
                 v[TSDB_SERIES_LIMIT] + v[TSDB_BAD_HISTOGRAM];
    bool was = run->t->dropping;

    run->t->dropping = n > 0 && !run->end;
    if (!run->t->dropping || was)
        return;
    log_warn("scrape",
             "%.*s %.*s: %llu samples refused (%llu duplicate, %u too old, %u too far ahead, %u over the series limit, "
             "%u bad histograms)",
             STR_ARG(run->config->job), STR_ARG(run->t->url), (unsigned long long)n,
             (unsigned long long)run->duplicates + v[TSDB_DUPLICATE], v[TSDB_TOO_OLD], v[TSDB_FUTURE],
             v[TSDB_SERIES_LIMIT], v[TSDB_BAD_HISTOGRAM]);
}

static void note_health(struct scrape_run *run)
{
    struct target *t = run->t;
    enum target_health was = t->health;

    t->health = run->err.code < 0 ? HEALTH_DOWN : HEALTH_UP;
    t->last_scrape_ms = run->time_ms;
    t->last_duration_ns = clock_mono_ns() - run->start_ns;
    free((void *)(uintptr_t)t->last_error.p);
    t->last_error = run->err.code < 0 ? (struct str){x_strdup(str_of(run->err.text)), strlen(run->err.text)} : STR_NULL;
    if (t->health == HEALTH_DOWN && was != HEALTH_DOWN)
        log_warn("scrape", "%.*s %.*s: down: %s", STR_ARG(run->config->job), STR_ARG(t->url), run->err.text);
    else if (t->health == HEALTH_UP && was == HEALTH_DOWN)
        log_info("scrape", "%.*s %.*s: up again", STR_ARG(run->config->job), STR_ARG(t->url));
}

static void settle(void *arg)
{
    struct scrape_run *run = arg;
    struct scraper *s = run->s;
    struct target *t = run->t, *gone = NULL;

    count(run);
    if (!run->end)
        write_failure_log(run);
    pthread_mutex_lock(&s->mu);
    note_refused(run);
    t->busy = false;
    if (run->end)
        gone = t; /* off every list since its time came */
    else
        note_health(run);
    pthread_mutex_unlock(&s->mu);
    if (gone)
        target_free(gone);
    run_free(run);
}

/* --- storing ------------------------------------------------------------------------------------------------- */

static void store_failed(struct scrape_run *run, int code, const struct err *e)
{
    struct map_entry *m;
    uint32_t i = 0;

    if (code == 0)
        return;
    if (run->err.code >= 0)
        err_set(&run->err, code, "storing the scrape: %s", e ? e->text : err_name(code));
    while ((m = map_next(&run->t->meta, &i)))
        ((struct family *)m->value)->stored = false;
}

static void stored(struct tsdb_batch *b, int code, const struct err *e)
{
    struct scrape_run *run = b->ctx;

    store_failed(run, code, e);
    if (!hand_over(run, settle))
        settle(run);
}

static void work(void *arg)
{
    struct scrape_run *run = arg;
    struct err e = {0};
    bool later = false;
    int code = 0;

    if (run->t->builtin && !run->end && !run->over_limit &&
        run->t->builtin->collect(run->t->builtin->arg, &run->body, &run->err) < 0 && run->err.code >= 0)
        err_set(&run->err, ERR_IO, "collecting failed");
    if (!run->end && run->body_bytes == 0)
        run->body_bytes = (int64_t)run->body.n;
    if (!hash128_eq(run->t->cache_id, run->series_id)) {
        series_cache_release(&run->t->cache);
        run->t->cache_id = run->series_id;
    }
    series_cache_begin(&run->t->cache);
    scrape_parse(run);
    scrape_finish_batch(run);
    if (run->batch.nseries)
        code = tsdb_ingest(run->s->db, &run->batch, stored, &later, &e);
    if (later)
        return;
    store_failed(run, code, &e);
    settle(run);
}

/* --- fetching -------------------------------------------------------------------------------------------------- */

static const char *reason(long status)
{
    switch (status) {
    case 204:
        return " No Content";
    case 301:
        return " Moved Permanently";
    case 302:
        return " Found";
    case 400:
        return " Bad Request";
    case 401:
        return " Unauthorized";
    case 403:
        return " Forbidden";
    case 404:
        return " Not Found";
    case 405:
        return " Method Not Allowed";
    case 406:
        return " Not Acceptable";
    case 429:
        return " Too Many Requests";
    case 500:
        return " Internal Server Error";
    case 502:
        return " Bad Gateway";
    case 503:
        return " Service Unavailable";
    case 504:
        return " Gateway Timeout";
    default:
        return "";
    }
}

static bool fallback_format(enum scrape_protocol p, enum expo_format *out)
{
    *out = p == PROTO_PROTOBUF                          ? EXPO_PROTOBUF
           : p == PROTO_OM_0_0_1 || p == PROTO_OM_1_0_0 ? EXPO_OPENMETRICS
                                                        : EXPO_TEXT;
    return p != PROTO_NONE;
}

static void check_answer(struct scrape_run *run, const struct http_answer *a)
{
    if (a->code == ERR_LIMIT) {
        run->body_bytes = -1;
        err_set(&run->err, ERR_LIMIT, "body size limit exceeded");
    } else if (a->code < 0) {
        err_set(&run->err, a->code, "%s", a->err.text);
    } else if (a->status != 200) {
        err_set(&run->err, ERR_IO, "server returned HTTP status %ld%s", a->status, reason(a->status));
    } else if (a->body.n && !expo_format_of(a->content_type, &run->format) &&
               !fallback_format(run->config->fallback_protocol, &run->format)) {
        if (a->content_type.n)
            err_set(&run->err, ERR_INVALID,
                    "received unsupported Content-Type \"%.*s\" and no fallback_scrape_protocol specified for target",
                    STR_ARG(str_head(a->content_type, 200)));
        else
            err_set(&run->err, ERR_INVALID,
                    "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified "
                    "for target");
    }
}

static void fetched(void *arg, const struct http_answer *a)
{
    struct scrape_run *run = arg;

    check_answer(run, a);
    if (run->err.code >= 0)
        buf_puts(&run->body, a->body);
    if (!hand_over(run, work))
        abandon(run);
}

static uint64_t body_max(const struct scrape_config *c)
{
    uint64_t limit = c->common.body_size_limit;

    return limit == 0 ? body_bytes_default
                      : MAX(MIN(limit, body_bytes_high) - 1, UINT64_C(1)); /* a body as long as the limit fails */
}

static void fetch(struct scrape_run *run)
{
    char seconds[NUM_MAX];
    struct label headers[] = {
        {STR("Accept"), run->accept},
        {STR("User-Agent"), user_agent},
        {STR("X-Prometheus-Scrape-Timeout-Seconds"),
         str_n(seconds, num_fmt_f((double)run->timeout_ms / 1000, seconds))},
    };
    struct http_call call = {
        .method = "GET",
        .url = run->t->url,
        .unix_socket = run->t->unix_socket,
        .opts = &run->config->http,
        .headers = headers,
        .nheaders = ARRAY_LEN(headers),
        .timeout_ms = run->timeout_ms,
        .body_max = body_max(run->config),
        .accept_gzip = run->config->compression,
    };

    http_call_start(run->s->client, &call, fetched, run);
}

void scrape_start(struct scrape_run *run)
{
    if (run->over_limit && !run->end)
        err_set(&run->err, ERR_LIMIT, "target_limit exceeded (number of targets: %llu, limit: %llu)",
                (unsigned long long)run->ntargets, (unsigned long long)run->target_limit);
    if (!run->end && !run->over_limit && !run->t->builtin) {
        fetch(run);
        return;
    }
    if (!hand_over(run, work))
        abandon(run);
}
