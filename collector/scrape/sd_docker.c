/*
 * sd_docker.c - docker_sd: containers and networks of a Docker Engine. A target for each network and each TCP port a
 * container exposes; without such a port the configured one.
 */
#include "collector/scrape/discovery.h"
#include "net/form.h"

#include <cJSON.h>
#include <stdlib.h>

struct docker {
    const struct sd_ask *ask;
    struct sd_result *out;
    struct target_group *group;
    uint32_t cap;
    cJSON *containers, *networks;
};

/* --- asking ------------------------------------------------------------------------------------------------ */

static struct str containers_query(struct arena *a, const struct sd_config *c)
{
    struct buf text = {0}, q = {0};
    struct json j;
    struct str s;

    if (!c->nfilters)
        return c->ended ? STR("?all=1") : STR("");
    json_init(&j, &text);
    json_obj(&j);
    for (uint32_t i = 0; i < c->nfilters; i++) {
        json_key_str(&j, c->filters[i].name);
        json_arr(&j);
        for (uint32_t k = 0; k < c->filters[i].n; k++)
            json_str(&j, c->filters[i].values[k]);
        json_end_arr(&j);
    }
    json_end_obj(&j);
    buf_putz(&q, c->ended ? "?all=1&filters=" : "?filters=");
    url_encode(&q, buf_str(&text));
    s = arena_dup(a, buf_str(&q));
    buf_release(&text);
    buf_release(&q);
    return s;
}

static int get_json(struct docker *d, const char *path, struct str query, cJSON **out, struct err *e)
{
    struct arena *a = &d->out->arena;
    struct str host = d->ask->config->host, socket = STR_NULL, url;
    struct http_answer answer;
    int code;

    if (str_starts(host, STR("unix://"))) {
        socket = str_from(host, 7);
        host = STR("http://docker");
    } else if (str_starts(host, STR("tcp://"))) {
        host = arena_printf(a, "http://%.*s", STR_ARG(str_from(host, 6)));
    }
    while (host.n && host.p[host.n - 1] == '/')
        host.n--;
    url = arena_printf(a, "%.*s%s%.*s", STR_ARG(host), path, STR_ARG(query));
    code = sd_get(d->ask, url, socket, NULL, 0, d->ask->config->refresh_ms, a, &answer, e);
    if (code < 0)
        return err_ctx(e, "%.*s%s", STR_ARG(d->ask->config->host), path);
    *out = cJSON_ParseWithLength(answer.body.p, answer.body.n);
    if (!*out || !cJSON_IsArray(*out))
        return err_set(e, ERR_INVALID, "%.*s%s: the answer is not a JSON list", STR_ARG(d->ask->config->host), path);
    return 0;
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static struct str text_of(const cJSON *map, const char *key)
{
    const cJSON *v = map ? cJSON_GetObjectItemCaseSensitive(map, key) : NULL;

    return cJSON_IsString(v) ? str_of(v->valuestring) : STR("");
}

static const char *bool_of(const cJSON *map, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(map, key)) ? "true" : "false";
}

static unsigned port_of(const cJSON *map, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(map, key);

    return cJSON_IsNumber(v) && v->valuedouble > 0 && v->valuedouble < 65536 ? (unsigned)v->valuedouble : 0;
}

/* __meta_docker_..._label_NAME, every byte that is no letter or digit as '_'. */
static struct str label_name(struct arena *a, const char *prefix, const char *name)
{
    struct str s = arena_printf(a, "%s%s", prefix, name);
    char *p = (char *)(uintptr_t)s.p;

    for (size_t i = strlen(prefix); i < s.n; i++) {
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z')))
            p[i] = '_';
    }
    return s;
}

/* A later label of the same name replaces an earlier one. */
static void put(struct docker *d, struct labels *ls, struct str name, struct str value)
{
    value = utf8_valid(value) ? arena_dup(&d->out->arena, value) : STR("");
    for (uint32_t i = 0; i < ls->n; i++) {
        if (str_eq(ls->v[i].name, name)) {
            ls->v[i].value = value;
            return;
        }
    }
    ls->v[ls->n++] = (struct label){name, value};
}

static void put_map(struct docker *d, struct labels *ls, const char *prefix, const cJSON *map)
{
    for (const cJSON *item = cJSON_IsObject(map) ? map->child : NULL; item; item = item->next) {
        if (cJSON_IsString(item))
            put(d, ls, label_name(&d->out->arena, prefix, item->string), str_of(item->valuestring));
    }
}

static uint32_t map_size(const cJSON *map)
{
    return cJSON_IsObject(map) ? (uint32_t)cJSON_GetArraySize(map) : 0;
}

static const cJSON *find_by_id(const cJSON *list, struct str id)
{
    for (const cJSON *item = list->child; item && id.n; item = item->next) {
        if (str_eq(text_of(item, "Id"), id))
            return item;
    }
    return NULL;
}

static const cJSON *networks_of(const cJSON *container)
{
    const cJSON *settings = cJSON_GetObjectItemCaseSensitive(container, "NetworkSettings");

    return settings ? cJSON_GetObjectItemCaseSensitive(settings, "Networks") : NULL;
}

static struct str mode_of(const cJSON *container)
{
    return text_of(cJSON_GetObjectItemCaseSensitive(container, "HostConfig"), "NetworkMode");
}

/* A container in mode container:ID borrows the networks of that one; a ring of borrowers ends nowhere. */
static const cJSON *shared_networks(const struct docker *d, const cJSON *c)
{
    const cJSON *networks = networks_of(c);

    for (int hops = 0; map_size(networks) == 0 && str_starts(mode_of(c), STR("container:")) && hops < 16; hops++) {
        c = find_by_id(d->containers, str_from(mode_of(c), 10));
        if (!c)
            return NULL;
        networks = networks_of(c);
    }
    return networks;
}

/* --- targets ----------------------------------------------------------------------------------------------------- */

static struct labels *new_target(struct docker *d, const cJSON *c, const cJSON *network)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(c, "Labels"),
                *names = cJSON_GetObjectItemCaseSensitive(c, "Names");
    const cJSON *known = find_by_id(d->networks, text_of(network, "NetworkID"));
    const cJSON *network_labels = known ? cJSON_GetObjectItemCaseSensitive(known, "Labels") : NULL;
    struct labels *ls = sd_target(d->out, d->group, &d->cap, 21 + map_size(labels) + map_size(network_labels));

    put(d, ls, STR("__meta_docker_container_id"), text_of(c, "Id"));
    put(d, ls, STR("__meta_docker_container_name"), str_of(names->child->valuestring));
    put(d, ls, STR("__meta_docker_container_image"), text_of(c, "Image"));
    put(d, ls, STR("__meta_docker_container_image_id"), text_of(c, "ImageID"));
    put(d, ls, STR("__meta_docker_container_network_mode"), mode_of(c));
    put_map(d, ls, "__meta_docker_container_label_", labels);
    if (d->ask->config->ended && (str_eqz(text_of(c, "State"), "exited") || str_eqz(text_of(c, "State"), "dead")))
        put(d, ls, STR(SD_DOCKER_ENDED), STR("1"));
    put(d, ls, STR("__meta_docker_network_ip"), text_of(network, "IPAddress"));
    if (known) {
        put(d, ls, STR("__meta_docker_network_id"), text_of(known, "Id"));
        put(d, ls, STR("__meta_docker_network_name"), text_of(known, "Name"));
        put(d, ls, STR("__meta_docker_network_scope"), text_of(known, "Scope"));
        put(d, ls, STR("__meta_docker_network_internal"), str_of(bool_of(known, "Internal")));
        put(d, ls, STR("__meta_docker_network_ingress"), str_of(bool_of(known, "Ingress")));
        put_map(d, ls, "__meta_docker_network_label_", network_labels);
    }
    return ls;
}

static struct str host_port(struct arena *a, struct str ip, unsigned port)
{
    bool six = str_chr(ip, ':') >= 0;

    return arena_printf(a, six ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(ip), port);
}

static void add_network(struct docker *d, const cJSON *c, const cJSON *network)
{
    const cJSON *ports = cJSON_GetObjectItemCaseSensitive(c, "Ports");
    struct arena *a = &d->out->arena;
    struct str ip = text_of(network, "IPAddress");
    bool added = false;
    struct labels *ls;

    for (const cJSON *p = cJSON_IsArray(ports) ? ports->child : NULL; p; p = p->next) {
        unsigned port = port_of(p, "PrivatePort"), public_port = port_of(p, "PublicPort");

        if (!str_eqz(text_of(p, "Type"), "tcp"))
            continue;
        ls = new_target(d, c, network);
        put(d, ls, STR("__meta_docker_port_private"), arena_printf(a, "%u", port));
        if (public_port) {
            put(d, ls, STR("__meta_docker_port_public"), arena_printf(a, "%u", public_port));
            put(d, ls, STR("__meta_docker_port_public_ip"), text_of(p, "IP"));
        }
        put(d, ls, STR("__address__"), host_port(a, ip, port));
        added = true;
    }
    if (added)
        return;
    ls = new_target(d, c, network);
    put(d, ls, STR("__address__"),
        str_eqz(mode_of(c), "host") ? d->ask->config->host_networking_host
                                    : host_port(a, ip, (unsigned)d->ask->config->port));
}

static void add_container(struct docker *d, const cJSON *c)
{
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(c, "Names"), *networks = shared_networks(d, c), *first = NULL;

    if (!cJSON_IsArray(names) || !names->child || !cJSON_IsString(names->child) || !cJSON_IsObject(networks))
        return;
    for (const cJSON *n = networks->child; n; n = n->next) {
        if (cJSON_IsObject(n) && (!first || strcmp(n->string, first->string) < 0))
            first = n;
        if (cJSON_IsObject(n) && !d->ask->config->match_first_network)
            add_network(d, c, n);
    }
    if (first && d->ask->config->match_first_network)
        add_network(d, c, first);
}

int sd_docker_refresh(const struct sd_ask *ask, struct sd_result *out, struct err *e)
{
    struct docker d = {.ask = ask, .out = out};
    int code = get_json(&d, "/containers/json", containers_query(&out->arena, ask->config), &d.containers, e);

    if (code == 0)
        code = get_json(&d, "/networks", STR(""), &d.networks, e);
    if (code == 0) {
        d.group = sd_result_group(out, STR("docker"));
        for (const cJSON *c = d.containers->child; c; c = c->next)
            add_container(&d, c);
    }
    cJSON_Delete(d.containers);
    cJSON_Delete(d.networks);
    return code;
}
