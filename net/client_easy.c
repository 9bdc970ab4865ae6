/* client_easy.c - one call, set up as libcurl wants it. Files with secrets are read here, at each use. */
#include "net/client_opts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { SECRET_MAX = 65536, REDIRECTS_MAX = 10, CA_CACHE_S = 60 };

int secret_read(struct arena *a, struct str path, struct str *out, struct err *e)
{
    const char *z = arena_dup(a, path).p;
    char *p = arena_alloc(a, SECRET_MAX);
    int fd = open(z, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    ssize_t r;

    if (fd < 0)
        return err_sys(e, errno, "file %s", z);
    while (n < SECRET_MAX && ((r = read(fd, p + n, SECRET_MAX - n)) > 0 || (r < 0 && errno == EINTR)))
        n += r > 0 ? (size_t)r : 0;
    close(fd);
    if (n == SECRET_MAX)
        return err_set(e, ERR_LIMIT, "file %s is longer than the limit of %d bytes for a secret", z, SECRET_MAX - 1);
    *out = str_trim(str_n(p, n));
    return 0;
}

static const char *zstr(struct call *k, struct str s)
{
    return arena_dup(&k->arena, s).p;
}

static int add_header(struct call *k, struct curl_slist **list, struct str name, struct str value, struct err *e)
{
    struct str line = value.n ? arena_printf(&k->arena, "%.*s: %.*s", STR_ARG(name), STR_ARG(value))
                              : arena_printf(&k->arena, "%.*s;", STR_ARG(name));
    struct curl_slist *more;

    if (memchr(line.p, '\r', line.n) || memchr(line.p, '\n', line.n) || memchr(line.p, '\0', line.n))
        return err_set(e, ERR_INVALID, "header %.*s holds a line break", STR_ARG(name));
    more = curl_slist_append(*list, line.p);
    if (!more)
        return err_set(e, ERR_IO, "no memory for a header");
    *list = more;
    return 0;
}

static bool has_header(const struct call *k, const char *name)
{
    for (uint32_t i = 0; i < k->req.nheaders; i++)
        if (str_eq_nocase(k->req.headers[i].name, str_of(name)))
            return true;
    return false;
}

static int set_headers(struct call *k, struct str authorization, struct err *e)
{
    const struct http_client_opts *o = &k->opts;
    struct str value;

    for (uint32_t i = 0; i < k->req.nheaders; i++)
        if (add_header(k, &k->headers, k->req.headers[i].name, k->req.headers[i].value, e) < 0)
            return e->code;
    for (uint32_t i = 0; i < o->nheaders; i++)
        if (add_header(k, &k->headers, o->headers[i].name, o->headers[i].value, e) < 0)
            return e->code;
    for (uint32_t i = 0; i < o->nheader_files; i++)
        if (secret_read(&k->arena, o->header_files[i].value, &value, e) < 0 ||
            add_header(k, &k->headers, o->header_files[i].name, value, e) < 0)
            return e->code;
    if (authorization.n && add_header(k, &k->headers, STR("Authorization"), authorization, e) < 0)
        return e->code;
    if (!has_header(k, "Accept-Encoding") &&
        add_header(k, &k->headers, STR("Accept-Encoding"), k->req.accept_gzip ? STR("gzip") : STR("identity"), e) < 0)
        return e->code;
    k->headers = curl_slist_append(k->headers, "Expect:"); /* no round trip before a body */
    curl_easy_setopt(k->easy, CURLOPT_HTTPHEADER, k->headers);
    return 0;
}

static int set_auth(struct call *k, struct str *authorization, struct err *e)
{
    const struct http_client_opts *o = &k->opts;
    struct str user = o->username, password = o->password, credentials = o->credentials;

    if (o->username_file.n && secret_read(&k->arena, o->username_file, &user, e) < 0)
        return e->code;
    if (o->password_file.n && secret_read(&k->arena, o->password_file, &password, e) < 0)
        return e->code;
    if (o->basic || user.n || password.n) {
        curl_easy_setopt(k->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(k->easy, CURLOPT_USERNAME, zstr(k, user));
        curl_easy_setopt(k->easy, CURLOPT_PASSWORD, zstr(k, password));
    }
    if (o->credentials_file.n && secret_read(&k->arena, o->credentials_file, &credentials, e) < 0)
        return e->code;
    if (credentials.n && authorization->n == 0)
        *authorization = arena_printf(&k->arena, "%.*s %.*s", STR_ARG(o->auth_type.n ? o->auth_type : STR("Bearer")),
                                      STR_ARG(credentials));
    return 0;
}

static void set_blob(struct call *k, CURLoption option, struct str pem)
{
    struct curl_blob b = {.data = (void *)(uintptr_t)pem.p, .len = pem.n, .flags = CURL_BLOB_COPY};

    curl_easy_setopt(k->easy, option, &b);
}

static long ssl_version(struct str name, bool max)
{
    static const struct {
        const char *name;
        long min, max;
    } versions[] = {{"TLS10", CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_0},
                    {"TLS11", CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_1},
                    {"TLS12", CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_2},
                    {"TLS13", CURL_SSLVERSION_TLSv1_3, CURL_SSLVERSION_MAX_TLSv1_3}};

    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        if (str_eqz(name, versions[i].name))
            return max ? versions[i].max : versions[i].min;
    return max ? (long)CURL_SSLVERSION_MAX_DEFAULT : (long)CURL_SSLVERSION_TLSv1_2;
}

/*
 * The name in the certificate is not the host we connect to. libcurl takes both from the URL, so the URL gets that
 * name, the connection is led to the real host, and the Host header stays what it was.
 */
static int set_server_name(struct call *k, struct str name, struct err *e)
{
    CURLU *u = curl_url();
    char *host = NULL, *port = NULL, *url = NULL;
    struct str to, shown;
    int rc = 0;

    if (curl_url_set(u, CURLUPART_URL, zstr(k, k->req.url), 0) || curl_url_get(u, CURLUPART_HOST, &host, 0) ||
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ||
        curl_url_set(u, CURLUPART_HOST, zstr(k, name), 0) || curl_url_get(u, CURLUPART_URL, &url, 0)) {
        rc = err_set(e, ERR_INVALID, "server_name %.*s: the URL can not be understood", STR_ARG(name));
    } else {
        to = arena_printf(&k->arena, "%.*s:%s:%s:%s", STR_ARG(name), port, host, port);
        shown = arena_printf(&k->arena, "%s:%s", host, port);
        k->connect_to = curl_slist_append(NULL, to.p);
        curl_easy_setopt(k->easy, CURLOPT_CONNECT_TO, k->connect_to);
        curl_easy_setopt(k->easy, CURLOPT_URL, url);
        if (!has_header(k, "Host"))
            rc = add_header(k, &k->headers, STR("Host"), shown, e);
    }
    curl_free(host);
    curl_free(port);
    curl_free(url);
    curl_url_cleanup(u);
    return rc;
}

static int set_tls(struct call *k, struct err *e)
{
    const struct http_tls_opts *t = &k->opts.tls;

    if (t->ca.n)
        set_blob(k, CURLOPT_CAINFO_BLOB, t->ca);
    else if (t->ca_file.n)
        curl_easy_setopt(k->easy, CURLOPT_CAINFO, zstr(k, t->ca_file));
    if (t->cert.n)
        set_blob(k, CURLOPT_SSLCERT_BLOB, t->cert);
    else if (t->cert_file.n)
        curl_easy_setopt(k->easy, CURLOPT_SSLCERT, zstr(k, t->cert_file));
    if (t->key.n)
        set_blob(k, CURLOPT_SSLKEY_BLOB, t->key);
    else if (t->key_file.n)
        curl_easy_setopt(k->easy, CURLOPT_SSLKEY, zstr(k, t->key_file));
    curl_easy_setopt(k->easy, CURLOPT_CA_CACHE_TIMEOUT, (long)CA_CACHE_S);
    curl_easy_setopt(k->easy, CURLOPT_SSLVERSION,
                     ssl_version(t->min_version, false) | ssl_version(t->max_version, true));
    curl_easy_setopt(k->easy, CURLOPT_SSL_VERIFYPEER, t->insecure_skip_verify ? 0L : 1L);
    curl_easy_setopt(k->easy, CURLOPT_SSL_VERIFYHOST, t->insecure_skip_verify ? 0L : 2L);
    return t->server_name.n ? set_server_name(k, t->server_name, e) : 0;
}

static int set_proxy(struct call *k, struct err *e)
{
    const struct http_client_opts *o = &k->opts;

    if (o->proxy_url.n) {
        curl_easy_setopt(k->easy, CURLOPT_PROXY, zstr(k, o->proxy_url));
        curl_easy_setopt(k->easy, CURLOPT_NOPROXY, zstr(k, o->no_proxy));
    } else if (!o->proxy_from_environment) {
        curl_easy_setopt(k->easy, CURLOPT_PROXY, ""); /* not even what the environment says */
    }
    for (uint32_t i = 0; i < o->nproxy_headers; i++)
        if (add_header(k, &k->proxy_headers, o->proxy_headers[i].name, o->proxy_headers[i].value, e) < 0)
            return e->code;
    if (k->proxy_headers) {
        curl_easy_setopt(k->easy, CURLOPT_PROXYHEADER, k->proxy_headers);
        curl_easy_setopt(k->easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    }
    return 0;
}

static void set_method(struct call *k)
{
    const char *m = k->req.method;

    if (strcmp(m, "HEAD") == 0)
        curl_easy_setopt(k->easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(m, "POST") == 0)
        curl_easy_setopt(k->easy, CURLOPT_POST, 1L);
    else if (strcmp(m, "GET") != 0)
        curl_easy_setopt(k->easy, CURLOPT_CUSTOMREQUEST, zstr(k, str_of(m)));
    if (k->req.body.n || strcmp(m, "POST") == 0) {
        curl_easy_setopt(k->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)k->req.body.n);
        curl_easy_setopt(k->easy, CURLOPT_POSTFIELDS, k->req.body.n ? k->req.body.p : "");
        if (strcmp(m, "GET") == 0)
            curl_easy_setopt(k->easy, CURLOPT_CUSTOMREQUEST, "GET");
    }
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    return call_write((struct call *)arg, str_n(p, size * n)) < 0 ? CURL_WRITEFUNC_ERROR : n;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    call_header((struct call *)arg, str_n(p, size * n));
    return n;
}

int call_prepare(struct call *k, struct str authorization, struct err *e)
{
    int64_t left_ms = k->req.timeout_ms > 0 ? k->req.timeout_ms - (clock_mono_ns() - k->start_ns) / 1000000 : 0;

    if (k->req.timeout_ms > 0 && left_ms <= 0)
        return err_set(e, ERR_TIMEOUT, "no answer within %lld ms", (long long)k->req.timeout_ms);
    k->easy = curl_easy_init();
    if (!k->easy)
        return err_set(e, ERR_IO, "no memory for a request");
    curl_easy_setopt(k->easy, CURLOPT_PRIVATE, k);
    curl_easy_setopt(k->easy, CURLOPT_ERRORBUFFER, k->curl_text);
    curl_easy_setopt(k->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(k->easy, CURLOPT_URL, zstr(k, k->req.url));
    curl_easy_setopt(k->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(k->easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(k->easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    curl_easy_setopt(k->easy, CURLOPT_USERAGENT, "tripod");
    curl_easy_setopt(k->easy, CURLOPT_FOLLOWLOCATION, k->opts.no_follow_redirects ? 0L : 1L);
    curl_easy_setopt(k->easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(k->easy, CURLOPT_HTTP_VERSION,
                     k->opts.no_http2 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(k->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(k->easy, CURLOPT_WRITEDATA, k);
    curl_easy_setopt(k->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(k->easy, CURLOPT_HEADERDATA, k);
    curl_easy_setopt(k->easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    if (k->req.unix_socket.n)
        curl_easy_setopt(k->easy, CURLOPT_UNIX_SOCKET_PATH, zstr(k, k->req.unix_socket));
    set_method(k);
    if (set_auth(k, &authorization, e) < 0 || set_tls(k, e) < 0 || set_proxy(k, e) < 0 ||
        set_headers(k, authorization, e) < 0)
        return e->code;
    return 0;
}
