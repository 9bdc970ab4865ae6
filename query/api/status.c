/* status.c - status calls: what runs here, since when, with what settings, how much of it, and what troubles it. */
#include "query/api/inside.h"

#include "store/store.h"
#include "tsdb/tsdb.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TSDB_LIMIT_DEFAULT = 10, TSDB_LIMIT_MAX = 10000 };

static void put_str(struct json *j, const char *key, const char *z)
{
    json_key(j, key);
    json_strz(j, z);
}

static void put_i64(struct json *j, const char *key, int64_t v)
{
    json_key(j, key);
    json_i64(j, v);
}

static void put_rfc3339(struct json *j, const char *key, int64_t ms)
{
    char text[64];

    json_key(j, key);
    json_str(j, str_n(text, time_fmt_rfc3339(ms, text)));
}

/* --- small ones ----------------------------------------------------------------------------------------- */

static void handle_config(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct buf yaml = {0}, b = {0};

    if (c->config_yaml)
        c->config_yaml(c->arg, &yaml);
    buf_putz(&b, "{\"yaml\":");
    json_put_string(&b, yaml.n ? buf_str(&yaml) : STR(""));
    buf_putc(&b, '}');
    api_answer_data(r, buf_str(&b));
    buf_release(&yaml);
    buf_release(&b);
}

static void handle_flags(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct buf b = {0};

    if (c->flags_json)
        c->flags_json(c->arg, &b);
    api_answer_data(r, b.n ? buf_str(&b) : STR("{}"));
    buf_release(&b);
}

static void handle_buildinfo(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct buf b = {0};
    struct json j;

    json_init(&j, &b);
    json_obj(&j);
    put_str(&j, "version", c->version ? c->version : "unknown");
    put_str(&j, "revision", c->version ? c->version : "unknown");
    put_str(&j, "branch", "main");
    put_str(&j, "buildUser", "tripod");
    put_str(&j, "buildDate", ""); /* builds are reproducible */
    put_str(&j, "goVersion", "C11");
    json_end_obj(&j);
    api_answer_data(r, buf_str(&b));
    buf_release(&b);
}

static void handle_runtimeinfo(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    int64_t loaded_ms = c->start_ms;
    bool loaded = c->config_status ? c->config_status(c->arg, &loaded_ms) : true;
    char host[256] = "", cwd[1024] = "", text[NUM_MAX];
    struct store_stats ss = {0};
    struct buf b = {0};
    struct json j;

    if (gethostname(host, sizeof host - 1) != 0 || !getcwd(cwd, sizeof cwd))
        host[sizeof host - 1] = cwd[sizeof cwd - 1] = 0; /* what could not be told stays empty */
    if (c->store)
        store_stats(c->store, &ss);
    json_init(&j, &b);
    json_obj(&j);
    put_rfc3339(&j, "startTime", c->start_ms);
    put_str(&j, "CWD", cwd);
    put_str(&j, "hostname", host);
    put_rfc3339(&j, "serverTime", clock_wall_ms());
    json_key(&j, "reloadConfigSuccess");
    json_bool(&j, loaded);
    put_rfc3339(&j, "lastConfigTime", loaded_ms);
    put_i64(&j, "corruptionCount", (int64_t)ss.quarantined);
    put_i64(&j, "goroutineCount", 0);
    put_i64(&j, "GOMAXPROCS", sysconf(_SC_NPROCESSORS_ONLN));
    put_i64(&j, "GOMEMLIMIT", 0);
    put_str(&j, "GOGC", "");
    put_str(&j, "GODEBUG", "");
    json_key(&j, "storageRetention");
    json_str(&j, str_n(text, c->store ? duration_fmt(store_opts_of(c->store)->retention_ms, text) : 0));
    json_end_obj(&j);
    api_answer_data(r, buf_str(&b));
    buf_release(&b);
}

static void handle_walreplay(struct http_request *r, void *arg)
{
    (void)arg;
    api_answer_data(r, STR("{\"min\":0,\"max\":0,\"current\":0}")); /* nothing listens before the journal is replayed */
}

/* --- cardinality ------------------------------------------------------------------------------------------- */

static void put_counts(struct json *j, const char *key, const struct tsdb_count *v, uint32_t n)
{
    json_key(j, key);
    json_arr(j);
    for (uint32_t i = 0; i < n; i++) {
        json_obj(j);
        json_key(j, "name");
        json_str(j, v[i].name);
        json_key(j, "value");
        json_u64(j, v[i].n);
        json_end_obj(j);
    }
    json_end_arr(j);
}

static void run_tsdb(struct api_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct tsdb_cardinality card;
    struct tsdb_stats st;
    struct buf b = {0};
    struct json j;
    struct err e;

    if (tsdb_cardinality(k->c->db, k->limit, &q->arena, &card, &e) < 0) {
        api_call_fail(k, q, &e);
        return;
    }
    tsdb_stats(k->c->db, &st);
    json_init(&j, &b);
    json_obj(&j);
    json_key(&j, "headStats");
    json_obj(&j);
    put_i64(&j, "numSeries", (int64_t)st.head_series);
    put_i64(&j, "numLabelPairs", (int64_t)card.label_pairs);
    put_i64(&j, "chunkCount", (int64_t)st.head_series); /* one buffer a series */
    put_i64(&j, "minTime", st.head_mint);
    put_i64(&j, "maxTime", st.head_maxt);
    json_end_obj(&j);
    put_counts(&j, "seriesCountByMetricName", card.series_by_metric, card.nseries_by_metric);
    put_counts(&j, "labelValueCountByLabelName", card.values_by_label, card.nvalues_by_label);
    put_counts(&j, "memoryInBytesByLabelName", card.bytes_by_label, card.nbytes_by_label);
    put_counts(&j, "seriesCountByLabelValuePair", card.series_by_pair, card.nseries_by_pair);
    json_end_obj(&j);
    query_end(q);
    api_answer_data(r, buf_str(&b));
    buf_release(&b);
}

static void handle_tsdb(struct http_request *r, void *arg)
{
    struct api_call *k = api_call_new(arg, r, run_tsdb);
    struct str text = api_param(r, "limit");
    int64_t limit = TSDB_LIMIT_DEFAULT;
    struct err e;

    if (text.n && (!str_to_i64(text, &limit) || limit < 1))
        err_set(&e, ERR_INVALID, "limit must be a positive number");
    else if (limit > TSDB_LIMIT_MAX)
        err_set(&e, ERR_INVALID, "limit must not exceed %d", TSDB_LIMIT_MAX);
    else {
        k->limit = (uint32_t)limit;
        api_call_start(k, STR("status of the series store"), 0);
        return;
    }
    api_answer_error(r, &e);
}

/* --- blocks -------------------------------------------------------------------------------------------- */

/* 26 digits of base 32: the time of the day's start, then a hash of what the day holds. Changes when it is written to. */
static struct str ulid_of(const struct tsdb_day *d, char out[26])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t what[] = {(uint64_t)d->start_ms, d->version, d->samples}, at = (uint64_t)d->start_ms;
    struct hash128 h = hash128(what, sizeof what);

    for (int i = 9; i >= 0; i--, at >>= 5)
        out[i] = digits[at & 31];
    for (int i = 0; i < 16; i++)
        out[10 + i] = digits[(i < 8 ? h.lo : h.hi) >> (5 * (i % 8)) & 31];
    return str_n(out, 26);
}

static void put_block(struct json *j, const struct tsdb_day *d)
{
    char ulid[26];
    struct str id = ulid_of(d, ulid);

    json_obj(j);
    json_key(j, "ulid");
    json_str(j, id);
    put_i64(j, "minTime", d->mint);
    put_i64(j, "maxTime", d->maxt + 1); /* behind the last sample */
    json_key(j, "stats");
    json_obj(j);
    put_i64(j, "numSamples", (int64_t)d->samples);
    put_i64(j, "numSeries", (int64_t)d->series);
    put_i64(j, "numChunks", (int64_t)d->slices);
    put_i64(j, "numBytes", (int64_t)d->bytes);
    json_end_obj(j);
    json_key(j, "compaction");
    json_obj(j);
    put_i64(j, "level", d->sealed ? 2 : 1);
    json_key(j, "sources");
    json_arr(j);
    json_str(j, id);
    json_end_arr(j);
    json_end_obj(j);
    put_i64(j, "version", 1);
    json_end_obj(j);
}

static void run_blocks(struct api_call *k, struct query *q)
{
    struct http_request *r = k->r;
    struct tsdb_day *days;
    struct buf b = {0};
    struct json j;
    uint32_t n;

    tsdb_days(k->c->db, &q->arena, &days, &n);
    json_init(&j, &b);
    json_obj(&j);
    json_key(&j, "blocks");
    json_arr(&j);
    for (uint32_t i = 0; i < n; i++)
        put_block(&j, &days[i]);
    json_end_arr(&j);
    json_end_obj(&j);
    query_end(q);
    api_answer_data(r, buf_str(&b));
    buf_release(&b);
}

static void handle_blocks(struct http_request *r, void *arg)
{
    api_call_start(api_call_new(arg, r, run_blocks), STR("days on disk"), 0);
}

/* --- our own -------------------------------------------------------------------------------------------------- */

static void handle_queries(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct query_info *v;
    uint32_t n = c->engine ? query_list(c->engine, r->arena, &v) : 0;
    struct buf b = {0};
    struct json j;

    json_init(&j, &b);
    json_arr(&j);
    for (uint32_t i = 0; i < n; i++) {
        json_obj(&j);
        put_i64(&j, "id", (int64_t)v[i].id);
        put_str(&j, "language", v[i].lang);
        json_key(&j, "query");
        json_str(&j, v[i].text);
        put_rfc3339(&j, "started", v[i].started_ms);
        put_i64(&j, "runningMs", v[i].running_ms);
        put_i64(&j, "bytes", (int64_t)v[i].bytes);
        put_i64(&j, "samples", (int64_t)v[i].samples);
        put_str(&j, "state", v[i].waiting ? "waiting" : "running");
        json_end_obj(&j);
    }
    json_end_arr(&j);
    api_answer_data(r, buf_str(&b));
    buf_release(&b);
}

static void handle_warnings(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct store_warning *v;
    uint32_t n = c->store ? store_warnings(c->store, r->arena, &v) : 0;
    struct buf b = {0};
    struct json j;

    json_init(&j, &b);
    json_arr(&j);
    for (uint32_t i = 0; i < n; i++) {
        json_obj(&j);
        json_key(&j, "text");
        json_str(&j, v[i].text);
        put_rfc3339(&j, "since", v[i].since_ms);
        json_end_obj(&j);
    }
    json_end_arr(&j);
    api_answer_data(r, buf_str(&b));
    buf_release(&b);
}

void api_routes_status(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET, "/api/v1/status/config", PERM_READ, 0, handle_config, c);
    http_route(s, HTTP_GET, "/api/v1/status/flags", PERM_READ, 0, handle_flags, c);
    http_route(s, HTTP_GET, "/api/v1/status/buildinfo", PERM_READ, 0, handle_buildinfo, c);
    http_route(s, HTTP_GET, "/api/v1/status/runtimeinfo", PERM_READ, 0, handle_runtimeinfo, c);
    http_route(s, HTTP_GET, "/api/v1/status/walreplay", PERM_READ, 0, handle_walreplay, c);
    http_route(s, HTTP_GET, "/api/v1/status/tsdb", PERM_READ, 0, handle_tsdb, c);
    http_route(s, HTTP_GET, "/api/v1/status/queries", PERM_READ, 0, handle_queries, c);
    http_route(s, HTTP_GET, "/api/v1/status/warnings", PERM_READ, 0, handle_warnings, c);
    http_route(s, HTTP_GET, "/api/v1/status/tsdb/blocks", PERM_READ, 0, handle_blocks, c);
}
