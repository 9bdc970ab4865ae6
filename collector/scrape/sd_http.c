/* sd_http.c - http_sd, the JSON list of target groups, and a GET that can be given up. */
#include "collector/scrape/discovery.h"

#include <cJSON.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* --- a GET --------------------------------------------------------------------------------------------- */

/* Shared by the waiter and the callback; the last of the two frees it. */
struct wait {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int refs;
    bool done;
    struct arena arena; /* of the copied answer */
    struct http_answer answer;
};

static void wait_unref(struct wait *w)
{
    bool last;

    pthread_mutex_lock(&w->mu);
    last = --w->refs == 0;
    pthread_mutex_unlock(&w->mu);
    if (!last)
        return;
    arena_release(&w->arena);
    pthread_cond_destroy(&w->cond);
    pthread_mutex_destroy(&w->mu);
    free(w);
}

static void copy_answer(struct arena *a, struct http_answer *out, const struct http_answer *in)
{
    *out = *in;
    out->content_type = arena_dup(a, in->content_type);
    out->retry_after = arena_dup(a, in->retry_after);
    out->body = arena_dup(a, in->body);
}

static void answered(void *arg, const struct http_answer *answer)
{
    struct wait *w = arg;

    pthread_mutex_lock(&w->mu);
    copy_answer(&w->arena, &w->answer, answer);
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mu);
    wait_unref(w);
}

/* Looks at *stop every 100 ms. */
static bool wait_done(struct wait *w, const _Atomic bool *stop)
{
    bool done;

    pthread_mutex_lock(&w->mu);
    while (!w->done && !atomic_load(stop)) {
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        ts.tv_nsec += 100000000;
        if (ts.tv_nsec >= 1000000000) {
            ts.tv_nsec -= 1000000000;
            ts.tv_sec++;
        }
        pthread_cond_timedwait(&w->cond, &w->mu, &ts);
    }
    done = w->done;
    pthread_mutex_unlock(&w->mu);
    return done;
}

int sd_get(const struct sd_ask *ask, struct str url, struct str unix_socket, const struct label *headers,
           uint32_t nheaders, int64_t timeout_ms, struct arena *a, struct http_answer *out, struct err *e)
{
    struct http_call call = {
        .method = "GET",
        .url = url,
        .unix_socket = unix_socket,
        .opts = &ask->config->http,
        .headers = headers,
        .nheaders = nheaders,
        .timeout_ms = timeout_ms,
        .accept_gzip = true,
    };
    struct wait *w = x_zalloc(sizeof(*w));
    bool done;

    pthread_mutex_init(&w->mu, NULL);
    pthread_cond_init(&w->cond, NULL);
    w->refs = 2;
    http_call_start(ask->client, &call, answered, w);
    done = wait_done(w, ask->stop);
    if (done)
        copy_answer(a, out, &w->answer);
    wait_unref(w);
    if (!done)
        return err_set(e, ERR_CANCELED, "given up");
    if (out->code < 0)
        return err_set(e, out->code, "%s", out->err.text);
    if (out->status != 200)
        return err_set(e, ERR_IO, "server returned HTTP status %ld", out->status);
    return 0;
}

/* --- target groups in JSON --------------------------------------------------------------------------------- */

static int read_labels(struct sd_result *out, const cJSON *map, struct labels *ls, struct err *e)
{
    if (!cJSON_IsObject(map))
        return err_set(e, ERR_INVALID, "labels must be a map");
    ls->v = arena_array(&out->arena, struct label, (uint32_t)cJSON_GetArraySize(map) + 2);
    for (const cJSON *item = map->child; item; item = item->next) {
        struct str name = str_of(item->string);

        if (!cJSON_IsString(item))
            return err_set(e, ERR_INVALID, "the value of label \"%.*s\" must be a text", STR_ARG(str_head(name, 100)));
        if (name.n == 0 || !utf8_valid(name) || !utf8_valid(str_of(item->valuestring)))
            return err_set(e, ERR_INVALID, "\"%.*s\" is not a valid label", STR_ARG(str_head(name, 100)));
        ls->v[ls->n++] =
            (struct label){arena_dup(&out->arena, name), arena_dup(&out->arena, str_of(item->valuestring))};
    }
    return 0;
}

static int read_targets(struct sd_result *out, const cJSON *list, struct target_group *g, struct err *e)
{
    uint32_t cap = 0;

    if (!cJSON_IsArray(list))
        return err_set(e, ERR_INVALID, "targets must be a list");
    for (const cJSON *item = list->child; item; item = item->next) {
        if (!cJSON_IsString(item) || !utf8_valid(str_of(item->valuestring)))
            return err_set(e, ERR_INVALID, "a target must be a text");
        sd_label(sd_target(out, g, &cap, 1), "__address__", arena_dup(&out->arena, str_of(item->valuestring)));
    }
    return 0;
}

static int read_group(struct sd_result *out, const cJSON *map, struct target_group *g, struct err *e)
{
    if (!cJSON_IsObject(map))
        return err_set(e, ERR_INVALID, "a target group must be a map");
    for (const cJSON *item = map->child; item; item = item->next) {
        int code;

        if (strcmp(item->string, "targets") == 0)
            code = read_targets(out, item, g, e);
        else if (strcmp(item->string, "labels") == 0)
            code = cJSON_IsNull(item) ? 0 : read_labels(out, item, &g->labels, e);
        else
            code = err_set(e, ERR_INVALID, "unknown key \"%.100s\"", item->string);
        if (code < 0)
            return code;
    }
    return 0;
}

int sd_read_json(struct sd_result *out, struct str json, const char *prefix, struct str meta_name,
                 struct str meta_value, struct err *e)
{
    cJSON *root = cJSON_ParseWithLength(json.p ? json.p : "", json.n);
    uint32_t i = 0;
    int code = 0;

    if (!root || !cJSON_IsArray(root)) {
        cJSON_Delete(root);
        return err_set(e, ERR_INVALID, "not a JSON list of target groups");
    }
    for (const cJSON *item = root->child; item && code == 0; item = item->next, i++) {
        struct target_group g = {.source = arena_printf(&out->arena, "%s:%u", prefix, i)};

        code = read_group(out, item, &g, e);
        if (code < 0) {
            code = err_ctx(e, "group %u", i);
            break;
        }
        if (!g.labels.v)
            g.labels.v = arena_array(&out->arena, struct label, 1);
        for (uint32_t k = 0; k < g.labels.n; k++) {
            if (str_eq(g.labels.v[k].name, meta_name))
                g.labels.v[k--] = g.labels.v[--g.labels.n];
        }
        g.labels.v[g.labels.n++] = (struct label){meta_name, meta_value};
        *sd_result_group(out, g.source) = g;
    }
    cJSON_Delete(root);
    return code;
}

/* --- http_sd ------------------------------------------------------------------------------------------------- */

static bool is_json(struct str type)
{
    struct str media, rest = type;

    str_cut(&rest, ';', &media);
    rest = str_trim(rest);
    return str_eq_nocase(str_trim(media), STR("application/json")) &&
           (rest.n == 0 || str_eq_nocase(rest, STR("charset=utf-8")));
}

int sd_http_refresh(const struct sd_ask *ask, struct sd_result *out, struct err *e)
{
    const struct sd_config *c = ask->config;
    struct arena *a = &out->arena;
    struct label headers[2] = {
        {STR("Accept"), STR("application/json")},
        {STR("X-Prometheus-Refresh-Interval-Seconds"), arena_printf(a, "%lld", (long long)(c->refresh_ms / 1000))}};
    struct str url = arena_dup(a, c->url);
    struct http_answer answer;
    int code = sd_get(ask, url, STR_NULL, headers, ARRAY_LEN(headers), c->refresh_ms, a, &answer, e);

    if (code < 0)
        return err_ctx(e, "%s", url.p);
    if (!is_json(answer.content_type))
        return err_set(e, ERR_INVALID, "%s: unsupported content type \"%.*s\"", url.p,
                       STR_ARG(str_head(answer.content_type, 100)));
    if (sd_read_json(out, answer.body, url.p, STR("__meta_url"), url, e) < 0)
        return err_ctx(e, "%s", url.p);
    return 0;
}
