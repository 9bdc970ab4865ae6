/*
 * client_oauth.c - OAuth 2 client credentials (RFC 6749 4.4): a token for each distinct set of options, fetched once,
 * kept until shortly before it expires, and thrown away when a server answers 401. All on the client's thread.
 *
 * Calls that need a token which is on its way wait in its list. The credentials go out as basic authentication; a
 * server that refuses that gets them in the body once.
 */
#include "net/client_opts.h"

#include "net/form.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <stdlib.h>

enum { FETCH_MS = 30000, EARLY_S = 10 };

struct token {
    struct token *next;
    struct http_client *client;
    char *key;              /* all that decides which token it is */
    struct buf value;       /* "Bearer abc"; empty: none */
    int64_t expires_ns;     /* INT64_MAX: never */
    bool fetching, in_body; /* in_body: credentials as form fields */
    struct call *waiting;
};

static struct token *token_of(struct call *k)
{
    const struct http_client_opts *o = &k->opts;
    struct buf key = {0};
    struct token *t;

    buf_printf(&key, "%.*s\n%.*s\n%.*s\n%.*s\n", STR_ARG(o->oauth2.token_url), STR_ARG(o->oauth2.client_id),
               STR_ARG(o->oauth2.client_secret), STR_ARG(o->oauth2.client_secret_file));
    for (uint32_t i = 0; i < o->oauth2.nscopes; i++)
        buf_printf(&key, "%.*s\n", STR_ARG(o->oauth2.scopes[i]));
    for (uint32_t i = 0; i < o->oauth2.nparams; i++)
        buf_printf(&key, "%.*s=%.*s\n", STR_ARG(o->oauth2.params[i].name), STR_ARG(o->oauth2.params[i].value));
    buf_z(&key);
    for (t = k->client->tokens; t; t = t->next)
        if (strcmp(t->key, key.p) == 0)
            break;
    if (!t) {
        t = x_zalloc(sizeof *t);
        t->client = k->client;
        t->key = x_strdup(buf_str(&key));
        t->next = k->client->tokens;
        k->client->tokens = t;
    }
    buf_release(&key);
    return t;
}

static int fetch(struct token *t, struct call *k, struct err *e);

/* Those that waited go on, with the token or with the error. */
static void release_waiting(struct token *t, const struct err *e)
{
    struct call *k = t->waiting, *next;

    t->waiting = NULL;
    for (; k; k = next) {
        next = k->next;
        k->next = NULL;
        if (e) {
            k->err = *e;
            call_finish(k, e->code, 0);
        } else {
            call_begin(k);
        }
    }
}

/* {"access_token": "...", "token_type": "...", "expires_in": n} */
static int read_token(struct token *t, struct str body, struct err *e)
{
    cJSON *j = cJSON_ParseWithLength(body.p, body.n);
    const cJSON *access = cJSON_GetObjectItemCaseSensitive(j, "access_token"),
                *type = cJSON_GetObjectItemCaseSensitive(j, "token_type"),
                *expires = cJSON_GetObjectItemCaseSensitive(j, "expires_in");
    double seconds = cJSON_IsNumber(expires)   ? expires->valuedouble
                     : cJSON_IsString(expires) ? atof(expires->valuestring)
                                               : 0;
    int rc = 0;

    if (!cJSON_IsString(access) || access->valuestring[0] == '\0') {
        rc = err_set(e, ERR_IO, "oauth2: the answer of the token URL holds no access_token");
    } else {
        const char *word = cJSON_IsString(type) ? type->valuestring : "Bearer";

        buf_reset(&t->value);
        buf_printf(&t->value, "%s %s", strcmp(word, "bearer") == 0 || !word[0] ? "Bearer" : word, access->valuestring);
        seconds = seconds > 2 * EARLY_S ? seconds - EARLY_S : seconds > 0 ? MAX(seconds / 2, 1) : 1e9;
        t->expires_ns = seconds < 1e9 ? clock_mono_ns() + (int64_t)(seconds * 1e9) : INT64_MAX;
    }
    cJSON_Delete(j);
    return rc;
}

static void on_token(void *arg, const struct http_answer *a)
{
    struct token *t = arg;
    struct err e = {0};
    int rc = 0;

    t->fetching = false;
    if (a->code < 0)
        rc = err_set(&e, a->code, "oauth2: %s", a->err.text);
    else if (a->status >= 400 && a->status < 500 && !t->in_body && t->waiting) {
        t->in_body = true;
        rc = fetch(t, t->waiting, &e);
        if (rc == 0)
            return;
    } else if (a->status != 200)
        rc = err_set(&e, ERR_IO, "oauth2: the token URL answered %ld: %.*s", a->status,
                     (int)MIN(a->body.n, (size_t)200), a->body.p);
    else
        rc = read_token(t, a->body, &e);
    if (rc < 0)
        t->in_body = false;
    release_waiting(t, rc < 0 ? &e : NULL);
}

static void put_field(struct buf *b, struct str name, struct str value)
{
    if (b->n)
        buf_putc(b, '&');
    url_encode(b, name);
    buf_putc(b, '=');
    url_encode(b, value);
}

static struct str encoded(struct arena *a, struct str s)
{
    struct buf b = {0};
    struct str out;

    url_encode(&b, s);
    out = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return out;
}

static void put_form(struct token *t, const struct http_client_opts *o, struct str secret, struct buf *form)
{
    struct buf scopes = {0};

    put_field(form, STR("grant_type"), STR("client_credentials"));
    for (uint32_t i = 0; i < o->oauth2.nscopes; i++)
        buf_printf(&scopes, "%s%.*s", i ? " " : "", STR_ARG(o->oauth2.scopes[i]));
    if (scopes.n)
        put_field(form, STR("scope"), buf_str(&scopes));
    for (uint32_t i = 0; i < o->oauth2.nparams; i++)
        put_field(form, o->oauth2.params[i].name, o->oauth2.params[i].value);
    if (t->in_body) {
        put_field(form, STR("client_id"), o->oauth2.client_id);
        put_field(form, STR("client_secret"), secret);
    }
    buf_release(&scopes);
}

/* Asks for the token with the options of k. */
static int fetch(struct token *t, struct call *k, struct err *e)
{
    static const struct label type = {STR("Content-Type"), STR("application/x-www-form-urlencoded")};
    const struct http_client_opts *o = &k->opts;
    struct http_client_opts fo = {.tls = o->oauth2.tls,
                                  .proxy_url = o->oauth2.proxy_url,
                                  .no_proxy = o->oauth2.no_proxy,
                                  .proxy_from_environment = o->oauth2.proxy_from_environment};
    struct str secret = o->oauth2.client_secret;
    struct buf form = {0};
    struct http_call call = {.method = "POST",
                             .url = o->oauth2.token_url,
                             .opts = &fo,
                             .headers = &type,
                             .nheaders = 1,
                             .timeout_ms = k->req.timeout_ms > 0 ? k->req.timeout_ms : FETCH_MS,
                             .body_max = 1 << 20};
    int rc = o->oauth2.client_secret_file.n ? secret_read(&k->arena, o->oauth2.client_secret_file, &secret, e) : 0;

    if (rc < 0)
        return rc;
    put_form(t, o, secret, &form);
    call.body = buf_str(&form);
    if (!t->in_body) {
        fo.basic = true;
        fo.username = encoded(&k->arena, o->oauth2.client_id);
        fo.password = encoded(&k->arena, secret);
    }
    t->fetching = true;
    call_begin(call_new(t->client, &call, on_token, t));
    buf_release(&form);
    return 0;
}

int token_for(struct call *k, struct str *authorization, struct err *e)
{
    struct token *t = token_of(k);
    struct call **tail = &t->waiting;
    int rc;

    if (t->value.n && clock_mono_ns() < t->expires_ns) {
        k->token = t;
        *authorization = arena_dup(&k->arena, buf_str(&t->value));
        return 0;
    }
    buf_reset(&t->value);
    while (*tail)
        tail = &(*tail)->next;
    *tail = k;
    if (t->fetching)
        return 1;
    rc = fetch(t, k, e);
    if (rc < 0) { /* nobody else waits: a fetch would be running */
        assert(t->waiting == k);
        t->waiting = NULL;
    }
    return rc < 0 ? rc : 1;
}

void token_refused(struct call *k)
{
    if (k->token)
        buf_reset(&k->token->value);
}

void tokens_free(struct http_client *c)
{
    for (struct token *t = c->tokens, *next; t; t = next) {
        next = t->next;
        assert(!t->waiting);
        free(t->key);
        buf_release(&t->value);
        free(t);
    }
    c->tokens = NULL;
}
