/* The HTTP client against our own server: bodies, limits, deadlines, redirects, auth, tokens, options from
 * configuration. */
#include "tests/net/http_test.h"

#include "net/client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/un.h>

#include <cmocka.h>

static struct http_server *server;
static struct http_client *client;
static uint16_t port;
static _Atomic int tokens_given;
static char secret_path[] = "/tmp/test_client.XXXXXX";

static void h_show(struct http_request *r, void *arg)
{
    (void)arg;
    http_replyf(r, 200, "text/plain", "%d auth=%.*s accept=%.*s x=%.*s agent=%.*s body=%.*s", r->method,
                STR_ARG(http_header(r, "Authorization")), STR_ARG(http_header(r, "Accept-Encoding")),
                STR_ARG(http_header(r, "X-Extra")), STR_ARG(http_header(r, "User-Agent")), STR_ARG(r->body));
}

static void h_big(struct http_request *r, void *arg)
{
    char *p = arena_alloc(r->arena, 1000000);

    (void)arg;
    memset(p, 'y', 1000000);
    http_reply(r, 200, "text/plain", str_n(p, 1000000));
}

static void h_redirect(struct http_request *r, void *arg)
{
    (void)arg;
    http_set_header(r, "Location", STR("/show"));
    http_reply(r, 302, "text/plain", STR("elsewhere"));
}

static struct http_request *_Atomic held;
static void h_never(struct http_request *r, void *arg)
{
    (void)arg;
    held = r;
}

static void h_late503(struct http_request *r, void *arg)
{
    (void)arg;
    http_set_header(r, "Retry-After", STR("7"));
    http_reply(r, 503, "text/plain", STR("busy"));
}

static void h_token(struct http_request *r, void *arg)
{
    struct str auth = http_header(r, "Authorization");

    (void)arg;
    if (!str_eqz(auth, "Basic aWQlMkYxOnMzY3JldA==") ||
        !str_eqz(params_get(&r->params, "grant_type"), "client_credentials") ||
        !str_eqz(params_get(&r->params, "scope"), "a b") || !str_eqz(params_get(&r->params, "aud"), "x")) {
        http_reply(r, 400, "text/plain", STR("no"));
        return;
    }
    http_replyf(r, 200, "application/json",
                "{\"access_token\":\"tok%d\",\"token_type\":\"bearer\",\"expires_in\":3600}", ++tokens_given);
}

static void h_body_token(struct http_request *r, void *arg)
{
    (void)arg;
    if (params_get(&r->params, "client_secret").n == 0)
        http_reply(r, 401, "text/plain", STR("in the body, please"));
    else
        http_reply(r, 200, "application/json", STR("{\"access_token\":\"inbody\"}"));
}

static void h_guarded(struct http_request *r, void *arg)
{
    (void)arg;
    if (str_eqz(http_header(r, "Authorization"), "Bearer tok1") && tokens_given == 1)
        http_reply(r, 401, "text/plain", STR("expired"));
    else
        http_replyf(r, 200, "text/plain", "%.*s", STR_ARG(http_header(r, "Authorization")));
}

static int setup(void **state)
{
    struct err e;
    int fd = mkstemp(secret_path);

    (void)state;
    assert_true(write(fd, " s3cret\n", 8) == 8);
    close(fd);
    server = http_server_new(1, NULL);
    http_route(server, HTTP_GET | HTTP_POST | HTTP_PUT, "/show", PERM_OPEN, 0, h_show, NULL);
    http_route(server, HTTP_GET, "/big", PERM_OPEN, 0, h_big, NULL);
    http_route(server, HTTP_GET, "/redirect", PERM_OPEN, 0, h_redirect, NULL);
    http_route(server, HTTP_GET, "/never", PERM_OPEN, 0, h_never, NULL);
    http_route(server, HTTP_GET, "/late503", PERM_OPEN, 0, h_late503, NULL);
    http_route(server, HTTP_POST, "/token", PERM_OPEN, 0, h_token, NULL);
    http_route(server, HTTP_POST, "/body-token", PERM_OPEN, 0, h_body_token, NULL);
    http_route(server, HTTP_GET, "/guarded", PERM_OPEN, 0, h_guarded, NULL);
    assert_int_equal(http_listen(server, "127.0.0.1:0", &port, &e), 0);
    assert_int_equal(http_server_start(server, &e), 0);
    client = http_client_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_client_free(client);
    http_server_free(server);
    unlink(secret_path);
    return 0;
}

static struct arena arena;

static int call(struct http_call *c, const char *path, struct http_answer *out)
{
    char url[200];

    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    c->url = str_of(url);
    return http_call_wait(client, c, &arena, out);
}

#define CHECK_HAS(s, z)                                                                                                \
    do {                                                                                                               \
        if (str_find(s, str_of(z)) < 0)                                                                                \
            fail_msg("no \"%s\" in \"%.*s\"", z, STR_ARG(s));                                                          \
    } while (0)

static void test_methods_and_headers(void **state)
{
    struct label extra[] = {{STR("X-Extra"), STR("a b")}, {STR("User-Agent"), STR("me/1")}};
    struct http_call c = {.method = "GET", .timeout_ms = 5000, .headers = extra, .nheaders = 2};
    struct http_answer a;

    (void)state;
    assert_int_equal(call(&c, "/show", &a), 0);
    assert_int_equal(a.status, 200);
    assert_true(str_eqz(a.content_type, "text/plain"));
    CHECK_HAS(a.body, "1 auth= accept=identity x=a b agent=me/1 body=");
    c = (struct http_call){.method = "POST", .body = STR("hello"), .timeout_ms = 5000};
    assert_int_equal(call(&c, "/show", &a), 0);
    CHECK_HAS(a.body, "body=hello");
    c.method = "PUT";
    assert_int_equal(call(&c, "/show", &a), 0);
    CHECK_HAS(a.body, "4 auth=");
    c = (struct http_call){.method = "GET", .timeout_ms = 5000};
    assert_int_equal(call(&c, "/late503", &a), 0);
    assert_int_equal(a.status, 503);
    assert_true(str_eqz(a.retry_after, "7"));
}

static void test_gzip_and_limits(void **state)
{
    struct http_call c = {.method = "GET", .timeout_ms = 5000, .accept_gzip = true};
    struct http_answer a;

    (void)state;
    assert_int_equal(call(&c, "/big", &a), 0);
    assert_int_equal(a.body.n, 1000000);
    for (int gzip = 0; gzip < 2; gzip++) {
        c.accept_gzip = gzip;
        c.body_max = 999999;
        assert_int_equal(call(&c, "/big", &a), ERR_LIMIT);
        CHECK_HAS(str_of(a.err.text), "999999");
    }
}

static void test_failures(void **state)
{
    struct http_call c = {.method = "GET", .timeout_ms = 200};
    struct http_answer a;

    (void)state;
    assert_int_equal(call(&c, "/never", &a), ERR_TIMEOUT);
    CHECK_HAS(str_of(a.err.text), "200 ms");
    usleep(100000);
    assert_non_null(held);
    assert_true(http_canceled(held));
    http_reply(held, 200, NULL, STR("too late"));
    c.url = STR("http://127.0.0.1:1/");
    assert_int_equal(http_call_wait(client, &c, &arena, &a), ERR_IO);
    assert_true(a.err.text[0]);
    c.url = STR("ftp://127.0.0.1/");
    assert_int_equal(http_call_wait(client, &c, &arena, &a), ERR_INVALID);
    c.url = STR("http://127.0.0.1:1/");
    c.headers = &(struct label){STR("X"), STR("a\r\nb: c")};
    c.nheaders = 1;
    assert_int_equal(http_call_wait(client, &c, &arena, &a), ERR_INVALID);
}

static void test_redirects(void **state)
{
    struct http_client_opts o = {0};
    struct http_call c = {.method = "GET", .timeout_ms = 5000, .opts = &o};
    struct http_answer a;

    (void)state;
    assert_int_equal(call(&c, "/redirect", &a), 0);
    assert_int_equal(a.status, 200);
    CHECK_HAS(a.body, "auth=");
    o.no_follow_redirects = true;
    assert_int_equal(call(&c, "/redirect", &a), 0);
    assert_int_equal(a.status, 302);
    assert_true(str_eqz(a.body, "elsewhere"));
}

static struct http_client_opts opts_of(const char *yaml)
{
    struct http_client_opts o = {0};
    struct conf *c;
    struct err e;

    if (conf_parse(&arena, STR("test.yml"), str_of(yaml), &c, &e) < 0 ||
        http_client_opts_read(&arena, c, STR("/tmp"), &o, &e) < 0 || conf_finish(c, "test", &e) < 0)
        fail_msg("%s", e.text);
    return o;
}

static void test_auth(void **state)
{
    struct http_call c = {.method = "GET", .timeout_ms = 5000};
    struct http_client_opts o;
    struct http_answer a;
    char yaml[500];

    (void)state;
    snprintf(yaml, sizeof yaml, "basic_auth: {username: me, password_file: %s}", secret_path + 5);
    o = opts_of(yaml);
    c.opts = &o;
    assert_int_equal(call(&c, "/show", &a), 0);
    CHECK_HAS(a.body, "auth=Basic bWU6czNjcmV0 ");
    snprintf(yaml, sizeof yaml,
             "authorization: {type: Token, credentials_file: %s}\nhttp_headers: {X-Extra: {files: [%s]}}", secret_path,
             secret_path);
    o = opts_of(yaml);
    assert_int_equal(call(&c, "/show", &a), 0);
    CHECK_HAS(a.body, "auth=Token s3cret ");
    CHECK_HAS(a.body, "x=s3cret ");
    o = opts_of("authorization: {credentials: abc}");
    assert_int_equal(call(&c, "/show", &a), 0);
    CHECK_HAS(a.body, "auth=Bearer abc ");
    o = opts_of("authorization: {credentials_file: /nonexistent/file}");
    assert_int_equal(call(&c, "/show", &a), ERR_NOT_FOUND);
}

static void count_done(void *arg, const struct http_answer *a)
{
    if (a->code == 0 && a->status == 200)
        atomic_fetch_add((_Atomic int *)arg, 1);
    else
        atomic_fetch_add((_Atomic int *)arg, 1000);
}

static void test_oauth2(void **state)
{
    struct http_call c = {.method = "GET", .timeout_ms = 5000};
    struct http_client_opts o;
    struct http_answer a;
    _Atomic int done = 0;
    char yaml[500], url[200];

    (void)state;
    snprintf(
        yaml, sizeof yaml,
        "oauth2: {client_id: id/1, client_secret_file: %s, token_url: 'http://127.0.0.1:%u/token', scopes: [a, b], "
        "endpoint_params: {aud: x}}",
        secret_path, port);
    o = opts_of(yaml);
    c.opts = &o;
    assert_int_equal(call(&c, "/guarded", &a), 0); /* tok1 is refused, so thrown away */
    assert_int_equal(a.status, 401);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/guarded", port);
    c.url = str_of(url);
    for (int i = 0; i < 10; i++) /* one token for all */
        http_call_start(client, &c, count_done, (void *)&done);
    while (done < 10)
        usleep(1000);
    assert_int_equal(done, 10);
    assert_int_equal(call(&c, "/guarded", &a), 0);
    CHECK_HAS(a.body, "Bearer tok2");
    assert_int_equal(tokens_given, 2);
    snprintf(yaml, sizeof yaml, "oauth2: {client_id: i, client_secret: s, token_url: 'http://127.0.0.1:%u/body-token'}",
             port);
    o = opts_of(yaml);
    assert_int_equal(call(&c, "/guarded", &a), 0);
    CHECK_HAS(a.body, "Bearer inbody");
    snprintf(yaml, sizeof yaml, "oauth2: {client_id: i, client_secret: s, token_url: 'http://127.0.0.1:%u/nowhere'}",
             port);
    o = opts_of(yaml);
    assert_int_equal(call(&c, "/guarded", &a), ERR_IO);
    CHECK_HAS(str_of(a.err.text), "oauth2: ");
}

static void test_bad_options(void **state)
{
    static const char *const bad[] = {"basic_auth: {username: a}\nbearer_token: b",
                                      "authorization: {type: basic}",
                                      "authorization: [1]",
                                      "tls_config: {ca: a, ca_file: b}",
                                      "tls_config: {min_version: TLS99}",
                                      "tls_config: {cert_file: a}",
                                      "oauth2: {client_id: a}",
                                      "http_headers: {Host: {values: [a]}}",
                                      "http_headers: {X: {nope: [a]}}",
                                      "no_proxy: a",
                                      "proxy_from_environment: true\nproxy_url: a",
                                      "follow_redirects: 7",
                                      "basic_auth: {nope: 1}"};
    struct http_client_opts o;
    struct conf *c;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(conf_parse(&arena, STR("test.yml"), str_of(bad[i]), &c, &e), 0);
        if (http_client_opts_read(&arena, c, STR("/etc/x"), &o, &e) != ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
        assert_non_null(strstr(e.text, "test.yml:"));
    }
    o = opts_of(
        "tls_config: {ca_file: ca.pem, server_name: n, min_version: TLS13}\nproxy_url: http://p\nenable_http2: false");
    assert_true(str_eqz(o.tls.ca_file, "/tmp/ca.pem") && str_eqz(o.proxy_url, "http://p") && o.no_http2 &&
                !o.no_follow_redirects);
}

static void *unix_answer(void *arg)
{
    int fd = accept(*(int *)arg, NULL, NULL);
    char buf[1000];

    if (read(fd, buf, sizeof buf) > 0)
        tcp_sendz(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix");
    close(fd);
    return NULL;
}

static void test_unix_socket(void **state)
{
    struct sockaddr_un u = {.sun_family = AF_UNIX};
    struct http_call c = {.method = "GET", .timeout_ms = 5000, .url = STR("http://docker/x")};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct http_answer a;
    pthread_t t;

    (void)state;
    snprintf(u.sun_path, sizeof u.sun_path, "%s.sock", secret_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&u, sizeof u), 0);
    assert_int_equal(listen(fd, 1), 0);
    pthread_create(&t, NULL, unix_answer, &fd);
    c.unix_socket = str_of(u.sun_path);
    assert_int_equal(http_call_wait(client, &c, &arena, &a), 0);
    assert_true(str_eqz(a.body, "unix"));
    pthread_join(t, NULL);
    close(fd);
    unlink(u.sun_path);
}

static void note_cancel(void *arg, const struct http_answer *a)
{
    *(int *)arg = a->code;
}

static void test_free_cancels(void **state)
{
    struct http_client *c2 = http_client_new();
    struct http_call c = {.method = "GET", .timeout_ms = 60000};
    char url[200];
    int code = 1;

    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/never", port);
    c.url = str_of(url);
    held = NULL;
    http_call_start(c2, &c, note_cancel, &code);
    while (!held)
        usleep(1000);
    http_client_free(c2);
    assert_int_equal(code, ERR_CANCELED);
    http_reply(held, 200, NULL, STR_NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods_and_headers),
        cmocka_unit_test(test_gzip_and_limits),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_auth),
        cmocka_unit_test(test_oauth2),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_free_cancels),
    };
    int rc = cmocka_run_group_tests(tests, setup, teardown);

    arena_release(&arena);
    return rc;
}
