/* client_opts.c - the `http_config` block of Prometheus: read from configuration, and copied for a call that outlives
 * it. */
#include "net/client_opts.h"

/* A path relative to the folder of the configuration. Empty stays empty. */
static struct str path_in(struct arena *a, struct str dir, struct str path)
{
    if (path.n == 0 || path.p[0] == '/' || dir.n == 0)
        return path;
    return arena_printf(a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(path));
}

static int read_path(struct arena *a, struct conf *c, const char *key, struct str dir, struct str *out, struct err *e)
{
    int rc = conf_str(c, key, out, e);

    *out = path_in(a, dir, *out);
    return rc;
}

static int read_basic(struct arena *a, struct conf *c, struct str dir, struct http_client_opts *o, struct err *e)
{
    if (conf_want(c, CONF_MAP, "basic_auth", e) < 0 || conf_str(c, "username", &o->username, e) < 0 ||
        read_path(a, c, "username_file", dir, &o->username_file, e) < 0 ||
        conf_str(c, "password", &o->password, e) < 0 || read_path(a, c, "password_file", dir, &o->password_file, e) < 0)
        return ERR_INVALID;
    if (o->username.n && o->username_file.n)
        return conf_err(c, e, "at most one of basic_auth username and username_file must be configured");
    if (o->password.n && o->password_file.n)
        return conf_err(c, e, "at most one of basic_auth password and password_file must be configured");
    o->basic = true;
    return conf_finish(c, "basic_auth", e);
}

static int read_authorization(struct arena *a, struct conf *c, struct str dir, struct http_client_opts *o,
                              struct err *e)
{
    o->auth_type = STR("Bearer");
    if (conf_want(c, CONF_MAP, "authorization", e) < 0 || conf_str(c, "type", &o->auth_type, e) < 0 ||
        conf_str(c, "credentials", &o->credentials, e) < 0 ||
        read_path(a, c, "credentials_file", dir, &o->credentials_file, e) < 0)
        return ERR_INVALID;
    if (o->credentials.n && o->credentials_file.n)
        return conf_err(c, e, "at most one of authorization credentials and credentials_file must be configured");
    if (str_eq_nocase(o->auth_type, STR("basic")))
        return conf_err(c, e, "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    return conf_finish(c, "authorization", e);
}

static int version_ok(struct conf *c, const char *key, struct str v, struct err *e)
{
    static const char *const names[] = {"", "TLS10", "TLS11", "TLS12", "TLS13"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eqz(v, names[i]))
            return 0;
    return conf_err(c, e, "%s: \"%.*s\" is none of TLS10, TLS11, TLS12, TLS13", key, STR_ARG(v));
}

static int read_tls(struct arena *a, struct conf *c, struct str dir, struct http_tls_opts *t, struct err *e)
{
    if (conf_want(c, CONF_MAP, "tls_config", e) < 0 || conf_str(c, "ca", &t->ca, e) < 0 ||
        read_path(a, c, "ca_file", dir, &t->ca_file, e) < 0 || conf_str(c, "cert", &t->cert, e) < 0 ||
        read_path(a, c, "cert_file", dir, &t->cert_file, e) < 0 || conf_str(c, "key", &t->key, e) < 0 ||
        read_path(a, c, "key_file", dir, &t->key_file, e) < 0 || conf_str(c, "server_name", &t->server_name, e) < 0 ||
        conf_bool(c, "insecure_skip_verify", &t->insecure_skip_verify, e) < 0 ||
        conf_str(c, "min_version", &t->min_version, e) < 0 || conf_str(c, "max_version", &t->max_version, e) < 0)
        return ERR_INVALID;
    if ((t->ca.n && t->ca_file.n) || (t->cert.n && t->cert_file.n) || (t->key.n && t->key_file.n))
        return conf_err(
            c, e, "tls_config: at most one of ca and ca_file, cert and cert_file, key and key_file must be configured");
    if ((t->cert.n || t->cert_file.n) != (t->key.n || t->key_file.n))
        return conf_err(c, e, "tls_config: exactly one of cert and key is configured, both are needed");
    if (version_ok(c, "min_version", t->min_version, e) < 0 || version_ok(c, "max_version", t->max_version, e) < 0)
        return ERR_INVALID;
    return conf_finish(c, "tls_config", e);
}

/* {name: [value, ...]} or {name: value} as one label a value. */
static int read_pairs(struct arena *a, struct conf *c, const char *key, struct label **out, uint32_t *n, struct err *e)
{
    struct conf *m = conf_get(c, key);
    uint32_t total = 0;

    if (!m)
        return 0;
    if (conf_want(m, CONF_MAP, key, e) < 0)
        return ERR_INVALID;
    for (uint32_t i = 0; i < m->n; i++)
        total += m->items[i]->kind == CONF_LIST ? m->items[i]->n : 1;
    *out = arena_array(a, struct label, total);
    for (uint32_t i = 0; i < m->n; i++) {
        struct conf *v = m->items[i];
        uint32_t k = v->kind == CONF_LIST ? v->n : 1;

        for (uint32_t j = 0; j < k; j++) {
            struct conf *one = v->kind == CONF_LIST ? v->items[j] : v;

            if (conf_want(one, CONF_SCALAR, key, e) < 0)
                return ERR_INVALID;
            (*out)[(*n)++] = (struct label){m->keys[i], one->text};
        }
    }
    return 0;
}

static int read_proxy(struct conf *c, struct str *url, struct str *no_proxy, bool *env, struct err *e)
{
    if (conf_str(c, "proxy_url", url, e) < 0 || conf_str(c, "no_proxy", no_proxy, e) < 0 ||
        conf_bool(c, "proxy_from_environment", env, e) < 0)
        return ERR_INVALID;
    if (*env && (url->n || no_proxy->n))
        return conf_err(c, e, "if proxy_from_environment is configured, proxy_url and no_proxy must not be configured");
    if (no_proxy->n && !url->n)
        return conf_err(c, e, "if no_proxy is configured, proxy_url must also be configured");
    return 0;
}

static int read_oauth2(struct arena *a, struct conf *c, struct str dir, struct http_client_opts *o, struct err *e)
{
    struct conf *tls;

    if (conf_want(c, CONF_MAP, "oauth2", e) < 0 || conf_str(c, "client_id", &o->oauth2.client_id, e) < 0 ||
        conf_str(c, "client_secret", &o->oauth2.client_secret, e) < 0 ||
        read_path(a, c, "client_secret_file", dir, &o->oauth2.client_secret_file, e) < 0 ||
        conf_str(c, "token_url", &o->oauth2.token_url, e) < 0 ||
        conf_strs(a, c, "scopes", &o->oauth2.scopes, &o->oauth2.nscopes, e) < 0 ||
        read_pairs(a, c, "endpoint_params", &o->oauth2.params, &o->oauth2.nparams, e) < 0 ||
        read_proxy(c, &o->oauth2.proxy_url, &o->oauth2.no_proxy, &o->oauth2.proxy_from_environment, e) < 0)
        return ERR_INVALID;
    tls = conf_get(c, "tls_config");
    if (tls && read_tls(a, tls, dir, &o->oauth2.tls, e) < 0)
        return ERR_INVALID;
    if (!o->oauth2.client_id.n || !o->oauth2.token_url.n)
        return conf_err(c, e, "oauth2 client_id and token_url must be configured");
    if (o->oauth2.client_secret.n && o->oauth2.client_secret_file.n)
        return conf_err(c, e, "at most one of oauth2 client_secret and client_secret_file must be configured");
    return conf_finish(c, "oauth2", e);
}

/* Headers that a request makes by itself or that have a key of their own. */
static bool reserved_header(struct str name)
{
    static const char *const names[] = {"Authorization",
                                        "Host",
                                        "Content-Encoding",
                                        "Content-Length",
                                        "Content-Type",
                                        "User-Agent",
                                        "Connection",
                                        "Keep-Alive",
                                        "Proxy-Authenticate",
                                        "Proxy-Authorization",
                                        "Www-Authenticate",
                                        "Accept-Encoding",
                                        "X-Prometheus-Remote-Write-Version",
                                        "X-Prometheus-Remote-Read-Version",
                                        "X-Prometheus-Scrape-Timeout-Seconds",
                                        "X-Amz-Date",
                                        "X-Amz-Security-Token",
                                        "X-Amz-Content-Sha256"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, str_of(names[i])))
            return true;
    return false;
}

static uint32_t list_len(const struct conf *c)
{
    return c ? c->n : 0;
}

static int add_values(struct conf *list, struct str name, struct label *out, uint32_t *n, struct err *e)
{
    for (uint32_t i = 0; i < list_len(list); i++) {
        if (conf_want(list->items[i], CONF_SCALAR, "http_headers", e) < 0)
            return ERR_INVALID;
        out[(*n)++] = (struct label){name, list->items[i]->text};
    }
    return 0;
}

/* http_headers: {name: {values: [], secrets: [], files: []}} */
static int read_headers(struct arena *a, struct conf *c, struct str dir, struct http_client_opts *o, struct err *e)
{
    uint32_t values = 0, files = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        if (conf_want(c->items[i], CONF_MAP, "http_headers", e) < 0)
            return ERR_INVALID;
        values += list_len(conf_get(c->items[i], "values")) + list_len(conf_get(c->items[i], "secrets"));
        files += list_len(conf_get(c->items[i], "files"));
    }
    o->headers = arena_array(a, struct label, values);
    o->header_files = arena_array(a, struct label, files);
    for (uint32_t i = 0; i < c->n; i++) {
        struct conf *h = c->items[i];
        uint32_t from = o->nheader_files;

        if (reserved_header(c->keys[i]))
            return conf_err(h, e, "setting header \"%.*s\" is not allowed", STR_ARG(c->keys[i]));
        if (add_values(conf_get(h, "values"), c->keys[i], o->headers, &o->nheaders, e) < 0 ||
            add_values(conf_get(h, "secrets"), c->keys[i], o->headers, &o->nheaders, e) < 0 ||
            add_values(conf_get(h, "files"), c->keys[i], o->header_files, &o->nheader_files, e) < 0 ||
            conf_finish(h, "http_headers", e) < 0)
            return ERR_INVALID;
        for (; from < o->nheader_files; from++)
            o->header_files[from].value = path_in(a, dir, o->header_files[from].value);
    }
    return 0;
}

int http_client_opts_read(struct arena *a, struct conf *c, struct str dir, struct http_client_opts *out, struct err *e)
{
    bool follow = true, http2 = true;
    struct conf *basic = conf_get(c, "basic_auth"), *authz = conf_get(c, "authorization"),
                *oauth = conf_get(c, "oauth2"), *tls = conf_get(c, "tls_config"),
                *headers = conf_get(c, "http_headers");
    struct str bearer = STR_NULL, bearer_file = STR_NULL;

    memset(out, 0, sizeof *out);
    if (conf_str(c, "bearer_token", &bearer, e) < 0 || read_path(a, c, "bearer_token_file", dir, &bearer_file, e) < 0)
        return ERR_INVALID;
    if (!!basic + !!authz + !!oauth + (bearer.n || bearer_file.n) > 1)
        return conf_err(
            c, e,
            "at most one of basic_auth, authorization, oauth2, bearer_token & bearer_token_file must be configured");
    if (bearer.n && bearer_file.n)
        return conf_err(c, e, "at most one of bearer_token & bearer_token_file must be configured");
    if (bearer.n || bearer_file.n) {
        out->auth_type = STR("Bearer");
        out->credentials = bearer;
        out->credentials_file = bearer_file;
    }
    if ((basic && read_basic(a, basic, dir, out, e) < 0) || (authz && read_authorization(a, authz, dir, out, e) < 0) ||
        (oauth && read_oauth2(a, oauth, dir, out, e) < 0) || (tls && read_tls(a, tls, dir, &out->tls, e) < 0))
        return ERR_INVALID;
    if (headers && (conf_want(headers, CONF_MAP, "http_headers", e) < 0 || read_headers(a, headers, dir, out, e) < 0))
        return ERR_INVALID;
    if (conf_bool(c, "follow_redirects", &follow, e) < 0 || conf_bool(c, "enable_http2", &http2, e) < 0 ||
        read_proxy(c, &out->proxy_url, &out->no_proxy, &out->proxy_from_environment, e) < 0 ||
        read_pairs(a, c, "proxy_connect_header", &out->proxy_headers, &out->nproxy_headers, e) < 0)
        return ERR_INVALID;
    out->no_follow_redirects = !follow;
    out->no_http2 = !http2;
    return 0;
}

/* --- a copy --------------------------------------------------------------------------------------- */

static void dup_strs(struct arena *a, struct str *const *which, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (which[i]->p)
            *which[i] = arena_dup(a, *which[i]);
}

static struct label *dup_labels(struct arena *a, const struct label *v, uint32_t n)
{
    struct labels ls = {(struct label *)(uintptr_t)v, n};

    return n ? labels_dup(a, &ls).v : NULL;
}

static void dup_tls(struct arena *a, struct http_tls_opts *t)
{
    struct str *const all[] = {&t->ca,       &t->ca_file,     &t->cert,        &t->cert_file,  &t->key,
                               &t->key_file, &t->server_name, &t->min_version, &t->max_version};

    dup_strs(a, all, ARRAY_LEN(all));
}

void http_client_opts_dup(struct arena *a, const struct http_client_opts *from, struct http_client_opts *to)
{
    struct str *const all[] = {&to->username,
                               &to->password,
                               &to->password_file,
                               &to->username_file,
                               &to->auth_type,
                               &to->credentials,
                               &to->credentials_file,
                               &to->oauth2.client_id,
                               &to->oauth2.client_secret,
                               &to->oauth2.client_secret_file,
                               &to->oauth2.token_url,
                               &to->oauth2.proxy_url,
                               &to->oauth2.no_proxy,
                               &to->proxy_url,
                               &to->no_proxy};
    struct str *scopes;

    *to = *from;
    dup_strs(a, all, ARRAY_LEN(all));
    scopes = arena_array(a, struct str, to->oauth2.nscopes);
    for (uint32_t i = 0; i < to->oauth2.nscopes; i++)
        scopes[i] = arena_dup(a, from->oauth2.scopes[i]);
    to->oauth2.scopes = scopes;
    to->oauth2.params = dup_labels(a, from->oauth2.params, from->oauth2.nparams);
    to->proxy_headers = dup_labels(a, from->proxy_headers, from->nproxy_headers);
    to->headers = dup_labels(a, from->headers, from->nheaders);
    to->header_files = dup_labels(a, from->header_files, from->nheader_files);
    dup_tls(a, &to->tls);
    dup_tls(a, &to->oauth2.tls);
}
