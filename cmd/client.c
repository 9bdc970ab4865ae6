/* client.c - see client.h. */
#include "cmd/client.h"

#include <stdio.h>
#include <stdlib.h>

void client_init(struct client *c)
{
    const char *env = getenv("TRIPOD_URL");

    memset(c, 0, sizeof *c);
    c->url = env && *env ? env : "http://127.0.0.1:9090";
    c->http = http_client_new();
}

void client_release(struct client *c)
{
    http_client_free(c->http);
    arena_release(&c->arena);
    memset(c, 0, sizeof *c);
}

void client_param(struct buf *form, const char *name, struct str value)
{
    if (form->n)
        buf_putc(form, '&');
    url_encode(form, str_of(name));
    buf_putc(form, '=');
    url_encode(form, value);
}

static int unwrap(cJSON *doc, long status, cJSON **data, struct err *e)
{
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "status"));
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "error"));

    if (state && strcmp(state, "success") == 0) {
        *data = cJSON_GetObjectItem(doc, "data");
        return 0;
    }
    return err_set(e, status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID, "%s", text ? text : "the answer is not one of ours");
}

int client_call(struct client *c, const char *path, const struct buf *form, cJSON **doc, cJSON **data, struct err *e)
{
    struct label type = {STR("Content-Type"), STR("application/x-www-form-urlencoded")};
    struct http_answer a;
    struct http_call call = {
        .method = form ? "POST" : "GET",
        .url = arena_printf(&c->arena, "%s%s", c->url, path),
        .headers = form ? &type : NULL,
        .nheaders = form ? 1 : 0,
        .body = form ? buf_str(form) : STR_NULL,
        .timeout_ms = 300000,
        .body_max = UINT64_C(4) << 30,
        .accept_gzip = true,
    };
    int code;

    *doc = *data = NULL;
    memset(&a, 0, sizeof a);
    if (http_call_wait(c->http, &call, &c->arena, &a) < 0 || a.code < 0)
        return err_set(e, a.code < 0 ? a.code : ERR_IO, "%s: %s (is tripod running there? --url or TRIPOD_URL says where)", c->url, a.err.text);
    *doc = cJSON_ParseWithLength(a.body.p, a.body.n);
    if (!*doc)
        return err_set(e, ERR_INVALID, "%s%s: status %ld: %.*s", c->url, path, a.status, (int)MIN(a.body.n, 300), a.body.p ? a.body.p : "");
    code = unwrap(*doc, a.status, data, e);
    if (code < 0) {
        cJSON_Delete(*doc);
        *doc = NULL;
    }
    return code;
}

bool client_flag(int argc, char **argv, int *i, const char *name, const char **value)
{
    size_t n = strlen(name);

    if (strncmp(argv[*i], name, n) != 0)
        return false;
    if (argv[*i][n] == '=') {
        *value = argv[*i] + n + 1;
        return true;
    }
    if (argv[*i][n] != '\0' || *i + 1 >= argc)
        return false;
    *value = argv[++*i];
    return true;
}
