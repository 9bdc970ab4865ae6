/* config_sd.c - the discovery blocks of a job: static_configs, file_, http_, dns_ and docker_sd_configs. */
#include "collector/scrape/config_types.h"

const char *const sd_kind_names[] = {
    [SD_STATIC] = "static_configs", [SD_FILE] = "file_sd_configs",     [SD_HTTP] = "http_sd_configs",
    [SD_DNS] = "dns_sd_configs",    [SD_DOCKER] = "docker_sd_configs",
};

bool target_address_valid(struct str s)
{
    return str_chr(s, '/') < 0;
}

int read_target_group(struct arena *a, struct conf *c, bool legacy, struct target_group *out, struct err *e)
{
    struct str *targets = NULL;
    uint32_t n = 0;

    *out = (struct target_group){0};
    if (conf_want(c, CONF_MAP, "a target group", e) < 0 || conf_strs(a, c, "targets", &targets, &n, e) < 0 ||
        read_label_map(a, c, "labels", legacy, &out->labels, e) < 0 || conf_finish(c, "target group", e) < 0)
        return ERR_INVALID;
    out->targets = arena_array(a, struct labels, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct label *l = arena_new(a, struct label);

        if (!utf8_valid(targets[i]))
            return conf_err(c, e, "a target is not UTF-8");
        *l = (struct label){STR("__address__"), targets[i]};
        out->targets[out->n++] = (struct labels){l, 1};
    }
    return 0;
}

static int read_static(struct arena *a, struct conf *c, bool legacy, struct sd_config *out, struct err *e)
{
    if (read_target_group(a, c, legacy, &out->group, e) < 0)
        return ERR_INVALID;
    for (uint32_t i = 0; i < out->group.n; i++) {
        struct str address = out->group.targets[i].v[0].value;

        if (!target_address_valid(address))
            return conf_err(c, e, "\"%.*s\" is not a valid hostname", STR_ARG(str_head(address, 200)));
    }
    return 0;
}

/* `*` only in the last part of the path, and an ending we can read. */
static bool file_pattern_valid(struct str s)
{
    size_t slash = s.n;

    if (!str_ends(s, STR(".json")) && !str_ends(s, STR(".yml")) && !str_ends(s, STR(".yaml")))
        return false;
    while (slash > 0 && s.p[slash - 1] != '/')
        slash--;
    return str_chr(str_head(s, slash), '*') < 0;
}

static int read_file(struct arena *a, struct conf *c, struct str dir, struct sd_config *out, struct err *e)
{
    out->refresh_ms = 5 * 60000;
    if (conf_strs(a, c, "files", &out->names, &out->nnames, e) < 0 ||
        conf_duration(c, "refresh_interval", &out->refresh_ms, e) < 0)
        return ERR_INVALID;
    if (out->nnames == 0)
        return conf_err(c, e, "file service discovery config must contain at least one path name");
    for (uint32_t i = 0; i < out->nnames; i++) {
        if (!file_pattern_valid(out->names[i]))
            return conf_err(c, e, "path name \"%.*s\" is not valid for file discovery",
                            STR_ARG(str_head(out->names[i], 200)));
        out->names[i] = path_join(a, dir, out->names[i]);
    }
    return 0;
}

static int read_http(struct arena *a, struct conf *c, struct str dir, struct sd_config *out, struct err *e)
{
    out->refresh_ms = 60000;
    if (conf_str(c, "url", &out->url, e) < 0 || conf_duration(c, "refresh_interval", &out->refresh_ms, e) < 0)
        return ERR_INVALID;
    if (out->url.n == 0)
        return conf_err(c, e, "URL is missing");
    if (!str_starts(out->url, STR("http://")) && !str_starts(out->url, STR("https://")))
        return conf_err(c, e, "URL scheme must be 'http' or 'https'");
    return http_client_opts_read(a, c, dir, &out->http, e);
}

static int read_dns(struct arena *a, struct conf *c, struct sd_config *out, struct err *e)
{
    static const struct {
        const char *name;
        enum dns_type type;
    } types[] = {{"SRV", DNS_SRV}, {"A", DNS_A}, {"AAAA", DNS_AAAA}, {"MX", DNS_MX}, {"NS", DNS_NS}};
    struct str type = STR("SRV");
    size_t i = 0;

    out->refresh_ms = 30000;
    if (conf_strs(a, c, "names", &out->names, &out->nnames, e) < 0 || conf_str(c, "type", &type, e) < 0 ||
        conf_i64(c, "port", &out->port, e) < 0 || conf_duration(c, "refresh_interval", &out->refresh_ms, e) < 0)
        return ERR_INVALID;
    if (out->nnames == 0)
        return conf_err(c, e, "DNS-SD config must contain at least one SRV record name");
    while (i < ARRAY_LEN(types) && !str_eq_nocase(type, str_of(types[i].name)))
        i++;
    if (i == ARRAY_LEN(types))
        return conf_err(c, e, "invalid DNS-SD records type %.*s", STR_ARG(str_head(type, 50)));
    out->dns_type = types[i].type;
    if (out->dns_type != DNS_SRV && out->port == 0)
        return conf_err(c, e, "a port is required in DNS-SD configs for all record types except SRV");
    if (out->port < 0 || out->port > 65535)
        return conf_err(c, e, "port must be between 1 and 65535");
    return 0;
}

static int read_filters(struct arena *a, struct conf *c, struct sd_config *out, struct err *e)
{
    struct conf *list = conf_get(c, "filters");

    if (!list)
        return 0;
    if (conf_want(list, CONF_LIST, "filters", e) < 0)
        return ERR_INVALID;
    out->filters = arena_array(a, struct sd_filter, list->n + 1);
    for (uint32_t i = 0; i < list->n; i++) {
        struct sd_filter *f = &out->filters[out->nfilters++];
        struct conf *item = list->items[i];

        if (conf_want(item, CONF_MAP, "a filter", e) < 0 || conf_str(item, "name", &f->name, e) < 0 ||
            conf_strs(a, item, "values", &f->values, &f->n, e) < 0 || conf_finish(item, "filter", e) < 0)
            return ERR_INVALID;
        if (f->name.n == 0 || f->n == 0)
            return conf_err(item, e, "a filter needs a name and at least one value");
    }
    return 0;
}

static int read_docker(struct arena *a, struct conf *c, struct str dir, struct sd_config *out, struct err *e)
{
    out->refresh_ms = 60000;
    out->port = 80;
    out->host_networking_host = STR("localhost");
    out->match_first_network = true;
    if (conf_str(c, "host", &out->host, e) < 0 || conf_i64(c, "port", &out->port, e) < 0 ||
        conf_str(c, "host_networking_host", &out->host_networking_host, e) < 0 ||
        conf_bool(c, "match_first_network", &out->match_first_network, e) < 0 ||
        conf_duration(c, "refresh_interval", &out->refresh_ms, e) < 0 || read_filters(a, c, out, e) < 0)
        return ERR_INVALID;
    if (out->host.n == 0)
        return conf_err(c, e, "host missing");
    if (!str_starts(out->host, STR("unix://")) && !str_starts(out->host, STR("tcp://")) &&
        !str_starts(out->host, STR("http://")) && !str_starts(out->host, STR("https://")))
        return conf_err(c, e, "host must begin with unix://, tcp://, http:// or https://");
    if (out->port < 1 || out->port > 65535)
        return conf_err(c, e, "port must be between 1 and 65535");
    return http_client_opts_read(a, c, dir, &out->http, e);
}

static int read_one(struct arena *a, struct conf *c, enum sd_kind kind, struct str dir, bool legacy,
                    struct sd_config *out, struct err *e)
{
    int code = ERR_INVALID;

    *out = (struct sd_config){.kind = kind};
    if (conf_want(c, CONF_MAP, sd_kind_names[kind], e) < 0)
        return ERR_INVALID;
    switch (kind) {
    case SD_STATIC:
        return read_static(a, c, legacy, out, e);
    case SD_FILE:
        code = read_file(a, c, dir, out, e);
        break;
    case SD_HTTP:
        code = read_http(a, c, dir, out, e);
        break;
    case SD_DNS:
        code = read_dns(a, c, out, e);
        break;
    case SD_DOCKER:
        code = read_docker(a, c, dir, out, e);
        break;
    }
    if (code == 0 && out->refresh_ms <= 0)
        return conf_err(c, e, "refresh_interval must be above 0");
    return code < 0 ? code : conf_finish(c, sd_kind_names[kind], e);
}

int read_sd_configs(struct arena *a, struct conf *job, struct str dir, bool legacy, struct scrape_config *out,
                    struct err *e)
{
    struct conf *lists[SD_DOCKER + 1];
    uint32_t n = 0;

    for (int kind = SD_STATIC; kind <= SD_DOCKER; kind++) {
        lists[kind] = conf_get(job, sd_kind_names[kind]);
        if (lists[kind] && conf_want(lists[kind], CONF_LIST, sd_kind_names[kind], e) < 0)
            return ERR_INVALID;
        n += lists[kind] ? lists[kind]->n : 0;
    }
    out->sd = arena_array(a, struct sd_config, n + 1);
    for (int kind = SD_STATIC; kind <= SD_DOCKER; kind++) {
        for (uint32_t i = 0; lists[kind] && i < lists[kind]->n; i++) {
            int code = read_one(a, lists[kind]->items[i], (enum sd_kind)kind, dir, legacy, &out->sd[out->nsd], e);

            if (code < 0)
                return code;
            if (kind == SD_STATIC)
                out->sd[out->nsd].group.source = arena_printf(a, "%u", i);
            out->nsd++;
        }
    }
    return 0;
}
