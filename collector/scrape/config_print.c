/*
 * config_print.c - the configuration back as YAML, with the defaults in it and the secrets out of it.
 *
 * (1) What a client may see says <secret> in place of a secret. The texts that a reload compares must notice a changed
 * one, so they carry its hash instead; those texts never leave the process.
 */
#include "collector/scrape/config_types.h"
#include "collector/scrape/relabel_rules.h"

/* --- YAML ----------------------------------------------------------------------------------------- */

struct yaml {
    struct buf *out;
    int depth;        /* blanks before a key */
    bool item;        /* the next key opens a list item */
    bool fingerprint; /* secrets as hashes, for comparing */
};

static void put_scalar(struct yaml *y, struct str s)
{
    bool plain =
        s.n > 0 && s.n < 4000 && s.p[0] != '-' && s.p[0] != '.' && !(s.p[0] >= '0' && s.p[0] <= '9') && s.p[0] != '~';

    for (size_t i = 0; i < s.n && plain; i++) {
        char c = s.p[i];
        plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                c == '.' || c == '/' || c == '$';
    }
    plain = plain && !str_eqz(s, "null") && !str_eqz(s, "true") && !str_eqz(s, "false") && !str_eqz(s, "yes") &&
            !str_eqz(s, "no") && !str_eqz(s, "on") && !str_eqz(s, "off") && !str_eqz(s, "y") && !str_eqz(s, "n");
    if (plain)
        buf_puts(y->out, s);
    else
        json_put_string(y->out, s); /* JSON strings are YAML */
}

static void put_key(struct yaml *y, const char *key)
{
    for (int i = 0; i < y->depth - (y->item ? 2 : 0); i++)
        buf_putc(y->out, ' ');
    if (y->item)
        buf_putz(y->out, "- ");
    y->item = false;
    buf_putz(y->out, key);
    buf_putc(y->out, ':');
}

/* A key that is no word of ours, up to and with its colon. YAML wants those of more than 1 KiB announced by '?'. */
static void put_name(struct yaml *y, struct str name)
{
    size_t at, n;

    for (int i = 0; i < y->depth; i++)
        buf_putc(y->out, ' ');
    at = y->out->n;
    put_scalar(y, name);
    n = y->out->n - at;
    if (n > 1000) {
        buf_reserve(y->out, 2);
        memmove(y->out->p + at + 2, y->out->p + at, n);
        memcpy(y->out->p + at, "? ", 2);
        y->out->n += 2;
        buf_putc(y->out, '\n');
        for (int i = 0; i < y->depth; i++)
            buf_putc(y->out, ' ');
    }
    buf_putz(y->out, ": ");
}

static void put_str(struct yaml *y, const char *key, struct str s)
{
    put_key(y, key);
    buf_putc(y->out, ' ');
    put_scalar(y, s);
    buf_putc(y->out, '\n');
}

static void put_text(struct yaml *y, const char *key, struct str s) /* only when there is one */
{
    if (s.n)
        put_str(y, key, s);
}

static void put_secret(struct yaml *y, const char *key, struct str s)
{
    if (!s.n)
        return;
    put_key(y, key);
    if (y->fingerprint)
        buf_printf(y->out, " %016llx\n", (unsigned long long)hash64(s.p, s.n));
    else
        buf_putz(y->out, " <secret>\n");
}

static void put_bool(struct yaml *y, const char *key, bool v)
{
    put_key(y, key);
    buf_putz(y->out, v ? " true\n" : " false\n");
}

static void put_u64(struct yaml *y, const char *key, uint64_t v) /* only when not 0 */
{
    if (!v)
        return;
    put_key(y, key);
    buf_printf(y->out, " %llu\n", (unsigned long long)v);
}

static void put_duration(struct yaml *y, const char *key, int64_t ms)
{
    char text[NUM_MAX];

    put_key(y, key);
    buf_putc(y->out, ' ');
    buf_put(y->out, text, duration_fmt(ms, text));
    buf_putc(y->out, '\n');
}

static void put_open(struct yaml *y, const char *key)
{
    put_key(y, key);
    buf_putc(y->out, '\n');
    y->depth += 2;
}

static void put_close(struct yaml *y)
{
    y->depth -= 2;
    y->item = false;
}

static void put_item(struct yaml *y, struct str s)
{
    for (int i = 0; i < y->depth - 2; i++)
        buf_putc(y->out, ' ');
    buf_putz(y->out, "- ");
    put_scalar(y, s);
    buf_putc(y->out, '\n');
}

static void put_list(struct yaml *y, const char *key, const struct str *v, uint32_t n)
{
    if (!n)
        return;
    put_open(y, key);
    for (uint32_t i = 0; i < n; i++)
        put_item(y, v[i]);
    put_close(y);
}

static void put_pairs(struct yaml *y, const char *key, const struct label *v, uint32_t n, bool secret)
{
    if (!n)
        return;
    put_open(y, key);
    for (uint32_t i = 0; i < n; i++) {
        put_name(y, v[i].name);
        if (secret && !y->fingerprint)
            buf_putz(y->out, "<secret>");
        else if (secret)
            buf_printf(y->out, "%016llx", (unsigned long long)hash64(v[i].value.p, v[i].value.n));
        else
            put_scalar(y, v[i].value);
        buf_putc(y->out, '\n');
    }
    put_close(y);
}

/* Labels whose values are expanded when they are read: so that they come back as they are, their dollars are doubled. */
static void put_expanded(struct yaml *y, const char *key, const struct labels *ls)
{
    struct buf doubled = {0};

    if (!ls->n)
        return;
    put_open(y, key);
    for (uint32_t i = 0; i < ls->n; i++) {
        buf_reset(&doubled);
        for (size_t k = 0; k < ls->v[i].value.n; k++) {
            buf_putc(&doubled, ls->v[i].value.p[k]);
            if (ls->v[i].value.p[k] == '$')
                buf_putc(&doubled, '$');
        }
        put_name(y, ls->v[i].name);
        put_scalar(y, buf_str(&doubled));
        buf_putc(y->out, '\n');
    }
    put_close(y);
    buf_release(&doubled);
}

/* --- pieces ----------------------------------------------------------------------------------------- */

static void put_tls(struct yaml *y, const struct http_tls_opts *t)
{
    bool any = t->ca.n || t->ca_file.n || t->cert.n || t->cert_file.n || t->key.n || t->key_file.n ||
               t->server_name.n || t->min_version.n || t->max_version.n || t->insecure_skip_verify;

    if (!any)
        return;
    put_open(y, "tls_config");
    put_text(y, "ca", t->ca);
    put_text(y, "cert", t->cert);
    put_secret(y, "key", t->key);
    put_text(y, "ca_file", t->ca_file);
    put_text(y, "cert_file", t->cert_file);
    put_text(y, "key_file", t->key_file);
    put_text(y, "server_name", t->server_name);
    put_bool(y, "insecure_skip_verify", t->insecure_skip_verify);
    put_text(y, "min_version", t->min_version);
    put_text(y, "max_version", t->max_version);
    put_close(y);
}

/* A proxy's URL may hold a password. */
static void put_proxy(struct yaml *y, struct str url, struct str no_proxy, bool from_environment)
{
    put_secret(y, "proxy_url", url);
    put_text(y, "no_proxy", no_proxy);
    if (from_environment)
        put_bool(y, "proxy_from_environment", true);
}

static void put_oauth2(struct yaml *y, const struct http_client_opts *o)
{
    if (!o->oauth2.token_url.n)
        return;
    put_open(y, "oauth2");
    put_text(y, "client_id", o->oauth2.client_id);
    put_secret(y, "client_secret", o->oauth2.client_secret);
    put_text(y, "client_secret_file", o->oauth2.client_secret_file);
    put_list(y, "scopes", o->oauth2.scopes, o->oauth2.nscopes);
    put_text(y, "token_url", o->oauth2.token_url);
    put_pairs(y, "endpoint_params", o->oauth2.params, o->oauth2.nparams, true);
    put_tls(y, &o->oauth2.tls);
    put_proxy(y, o->oauth2.proxy_url, o->oauth2.no_proxy, o->oauth2.proxy_from_environment);
    put_close(y);
}

static bool named_before(const struct label *v, uint32_t n, struct str name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (str_eq(v[i].name, name))
            return true;
    }
    return false;
}

/* The values of one header, in one list. */
static void put_values(struct yaml *y, const struct label *v, uint32_t n, struct str name, bool secret)
{
    const char *comma = "";

    buf_putc(y->out, '[');
    for (uint32_t i = 0; i < n; i++) {
        if (!str_eq(v[i].name, name))
            continue;
        buf_putz(y->out, comma);
        comma = ", ";
        if (!secret)
            json_put_string(y->out, v[i].value);
        else if (y->fingerprint)
            buf_printf(y->out, "%016llx", (unsigned long long)hash64(v[i].value.p, v[i].value.n));
        else
            buf_putz(y->out, "<secret>");
    }
    buf_putc(y->out, ']');
}

/* A header may hold a secret in any of its values, so none is shown. */
static void put_headers(struct yaml *y, const struct http_client_opts *o)
{
    if (!o->nheaders && !o->nheader_files)
        return;
    put_open(y, "http_headers");
    for (uint32_t i = 0; i < o->nheaders + o->nheader_files; i++) {
        bool file = i >= o->nheaders;
        struct str name = file ? o->header_files[i - o->nheaders].name : o->headers[i].name;

        if (named_before(o->headers, file ? o->nheaders : i, name) ||
            (file && named_before(o->header_files, i - o->nheaders, name)))
            continue;
        put_name(y, name);
        buf_putz(y->out, "{secrets: ");
        put_values(y, o->headers, o->nheaders, name, true);
        buf_putz(y->out, ", files: ");
        put_values(y, o->header_files, o->nheader_files, name, false);
        buf_putz(y->out, "}\n");
    }
    put_close(y);
}

static void put_proxy_headers(struct yaml *y, const struct http_client_opts *o)
{
    if (!o->nproxy_headers)
        return;
    put_open(y, "proxy_connect_header");
    for (uint32_t i = 0; i < o->nproxy_headers; i++) {
        if (named_before(o->proxy_headers, i, o->proxy_headers[i].name))
            continue;
        put_name(y, o->proxy_headers[i].name);
        put_values(y, o->proxy_headers, o->nproxy_headers, o->proxy_headers[i].name, true);
        buf_putc(y->out, '\n');
    }
    put_close(y);
}

static void put_http(struct yaml *y, const struct http_client_opts *o)
{
    if (o->basic && !o->username.n && !o->username_file.n && !o->password.n && !o->password_file.n) {
        put_key(y, "basic_auth");
        buf_putz(y->out, " {}\n");
    } else if (o->basic) {
        put_open(y, "basic_auth");
        put_text(y, "username", o->username);
        put_text(y, "username_file", o->username_file);
        put_secret(y, "password", o->password);
        put_text(y, "password_file", o->password_file);
        put_close(y);
    }
    if (o->credentials.n || o->credentials_file.n) {
        put_open(y, "authorization");
        put_text(y, "type", o->auth_type.n ? o->auth_type : STR("Bearer"));
        put_secret(y, "credentials", o->credentials);
        put_text(y, "credentials_file", o->credentials_file);
        put_close(y);
    }
    put_oauth2(y, o);
    put_tls(y, &o->tls);
    put_bool(y, "follow_redirects", !o->no_follow_redirects);
    put_bool(y, "enable_http2", !o->no_http2);
    put_proxy(y, o->proxy_url, o->no_proxy, o->proxy_from_environment);
    put_proxy_headers(y, o);
    put_headers(y, o);
}

static void put_relabel(struct yaml *y, const char *key, const struct relabel *r)
{
    if (!r->n)
        return;
    put_open(y, key);
    for (uint32_t i = 0; i < r->n; i++) {
        const struct relabel_rule *rule = &r->rules[i];

        y->item = true;
        put_str(y, "action", str_of(relabel_action_name(rule->action)));
        put_list(y, "source_labels", rule->sources, rule->nsources);
        put_str(y, "separator", rule->separator);
        put_str(y, "regex", rule->regex_text);
        put_u64(y, "modulus", rule->modulus);
        put_text(y, "target_label", rule->target);
        put_str(y, "replacement", rule->replacement);
    }
    put_close(y);
}

static void put_common(struct yaml *y, const struct scrape_common *c)
{
    put_duration(y, "scrape_interval", c->interval_ms);
    put_duration(y, "scrape_timeout", c->timeout_ms);
    if (c->nprotocols) {
        put_open(y, "scrape_protocols");
        for (uint32_t i = 0; i < c->nprotocols; i++)
            put_item(y, str_of(scrape_protocol_names[c->protocols[i]]));
        put_close(y);
    }
    put_u64(y, "body_size_limit", c->body_size_limit);
    put_u64(y, "sample_limit", c->sample_limit);
    put_u64(y, "target_limit", c->target_limit);
    put_u64(y, "label_limit", c->label_limit);
    put_u64(y, "label_name_length_limit", c->label_name_length_limit);
    put_u64(y, "label_value_length_limit", c->label_value_length_limit);
    put_u64(y, "keep_dropped_targets", c->keep_dropped_targets);
    put_text(y, "scrape_failure_log_file", c->failure_log_file);
    put_bool(y, "scrape_native_histograms", c->native_histograms);
    put_bool(y, "always_scrape_classic_histograms", c->always_classic);
    put_bool(y, "convert_classic_histograms_to_nhcb", c->convert_to_nhcb);
    put_bool(y, "extra_scrape_metrics", c->extra_metrics);
    put_str(y, "metric_name_validation_scheme", c->legacy_names ? STR("legacy") : STR("utf8"));
    put_str(y, "metric_name_escaping_scheme", str_of(name_escaping_names[c->escaping]));
}

static void put_group(struct yaml *y, const struct target_group *g)
{
    put_open(y, "targets");
    for (uint32_t i = 0; i < g->n; i++)
        put_item(y, labels_get(&g->targets[i], STR("__address__")));
    put_close(y);
    put_pairs(y, "labels", g->labels.v, g->labels.n, false);
}

static const char *dns_type_name(enum dns_type t)
{
    switch (t) {
    case DNS_A:
        return "A";
    case DNS_AAAA:
        return "AAAA";
    case DNS_MX:
        return "MX";
    case DNS_NS:
        return "NS";
    case DNS_SRV:
        break;
    }
    return "SRV";
}

static void put_sd(struct yaml *y, const struct sd_config *c)
{
    switch (c->kind) {
    case SD_STATIC:
        put_group(y, &c->group);
        return;
    case SD_FILE:
        put_list(y, "files", c->names, c->nnames);
        break;
    case SD_HTTP:
        put_str(y, "url", c->url);
        put_http(y, &c->http);
        break;
    case SD_DNS:
        put_list(y, "names", c->names, c->nnames);
        put_str(y, "type", str_of(dns_type_name(c->dns_type)));
        put_u64(y, "port", (uint64_t)c->port);
        break;
    case SD_DOCKER:
        put_str(y, "host", c->host);
        put_u64(y, "port", (uint64_t)c->port);
        put_str(y, "host_networking_host", c->host_networking_host);
        put_bool(y, "match_first_network", c->match_first_network);
        if (c->nfilters) {
            put_open(y, "filters");
            for (uint32_t i = 0; i < c->nfilters; i++) {
                y->item = true;
                put_str(y, "name", c->filters[i].name);
                put_list(y, "values", c->filters[i].values, c->filters[i].n);
            }
            put_close(y);
        }
        put_http(y, &c->http);
        break;
    }
    put_duration(y, "refresh_interval", c->refresh_ms);
}

static void put_params(struct yaml *y, const struct scrape_config *c)
{
    if (!c->nparams)
        return;
    put_key(y, "params");
    buf_putc(y->out, '\n');
    y->depth += 2;
    for (uint32_t i = 0; i < c->nparams; i++) {
        put_name(y, c->params[i].name);
        buf_putc(y->out, '[');
        for (uint32_t k = 0; k < c->params[i].n; k++) {
            if (k)
                buf_putz(y->out, ", ");
            json_put_string(y->out, c->params[i].values[k]);
        }
        buf_putz(y->out, "]\n");
    }
    y->depth -= 2;
}

static void put_job(struct yaml *y, const struct scrape_config *c)
{
    put_str(y, "job_name", c->job);
    put_bool(y, "honor_labels", c->honor_labels);
    put_bool(y, "honor_timestamps", c->honor_timestamps);
    put_bool(y, "track_timestamps_staleness", c->track_timestamps_staleness);
    put_params(y, c);
    put_common(y, &c->common);
    if (c->fallback_protocol != PROTO_NONE)
        put_str(y, "fallback_scrape_protocol", str_of(scrape_protocol_names[c->fallback_protocol]));
    put_str(y, "metrics_path", c->metrics_path);
    put_str(y, "scheme", c->scheme);
    put_bool(y, "enable_compression", c->compression);
    put_u64(y, "native_histogram_bucket_limit", c->native_bucket_limit);
    if (c->native_min_bucket_factor > 0) {
        put_key(y, "native_histogram_min_bucket_factor");
        buf_printf(y->out, " %g\n", c->native_min_bucket_factor);
    }
    put_http(y, &c->http);
    put_relabel(y, "relabel_configs", &c->relabel);
    put_relabel(y, "metric_relabel_configs", &c->metric_relabel);
    for (uint32_t i = 0; i < c->nsd;) {
        enum sd_kind kind = c->sd[i].kind;

        put_open(y, sd_kind_names[kind]);
        for (; i < c->nsd && c->sd[i].kind == kind; i++) {
            y->item = true;
            put_sd(y, &c->sd[i]);
        }
        put_close(y);
    }
}

/* --- what others call ---------------------------------------------------------------------------------- */

void print_scrape_config(const struct scrape_config *c, struct buf *out)
{
    put_job(&(struct yaml){.out = out, .fingerprint = true}, c);
}

void print_scrape_config_shown(const struct scrape_config *c, struct buf *out)
{
    put_job(&(struct yaml){.out = out}, c);
}

void print_sd_config(const struct sd_config *c, struct buf *out)
{
    put_sd(&(struct yaml){.out = out, .fingerprint = true}, c);
}

void print_series_part(const struct scrape_config *c, struct buf *out)
{
    struct yaml y = {.out = out};

    put_bool(&y, "honor_labels", c->honor_labels);
    put_bool(&y, "legacy_names", c->common.legacy_names);
    put_u64(&y, "label_limit", c->common.label_limit);
    put_u64(&y, "label_name_length_limit", c->common.label_name_length_limit);
    put_u64(&y, "label_value_length_limit", c->common.label_value_length_limit);
    put_relabel(&y, "metric_relabel_configs", &c->metric_relabel);
}

void scrape_configs_print(const struct scrape_configs *c, struct buf *out)
{
    struct yaml y = {.out = out};

    put_open(&y, "global");
    put_common(&y, c->global);
    put_duration(&y, "evaluation_interval", c->evaluation_interval_ms);
    if (c->rule_query_offset_ms)
        put_duration(&y, "rule_query_offset", c->rule_query_offset_ms);
    put_text(&y, "query_log_file", c->query_log_file);
    put_expanded(&y, "external_labels", &c->external_labels);
    put_close(&y);
    if (!c->n)
        return;
    put_open(&y, "scrape_configs");
    for (uint32_t i = 0; i < c->n; i++) {
        y.item = true;
        put_job(&y, &c->v[i]);
    }
    put_close(&y);
}
