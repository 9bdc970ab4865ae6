/* sd_dns.c - dns_sd: A, AAAA, SRV, MX and NS records as targets. */
#include "collector/scrape/discovery.h"
#include "collector/scrape/dns.h"

#include <stdatomic.h>

static const char *resolv_conf = "/etc/resolv.conf"; /* tests point elsewhere */
static uint16_t server_port;                         /* 0: the usual one */

static struct str without_dot(struct str s)
{
    return s.n > 1 && s.p[s.n - 1] == '.' ? str_head(s, s.n - 1) : s;
}

static void add_record(const struct sd_config *c, struct sd_result *out, struct target_group *g, uint32_t *cap,
                       const struct dns_record *r, struct str name)
{
    struct labels *ls = sd_target(out, g, cap, 4);
    struct arena *a = &out->arena;
    struct str host = c->dns_type == DNS_A || c->dns_type == DNS_AAAA ? r->target : without_dot(r->target);
    unsigned port = c->dns_type == DNS_SRV ? r->port : (unsigned)c->port;

    sd_label(ls, "__address__",
             arena_printf(a, str_chr(host, ':') >= 0 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(host), port));
    sd_label(ls, "__meta_dns_name", name);
    switch (c->dns_type) {
    case DNS_SRV:
        sd_label(ls, "__meta_dns_srv_record_target", r->target);
        sd_label(ls, "__meta_dns_srv_record_port", arena_printf(a, "%u", port));
        break;
    case DNS_MX:
        sd_label(ls, "__meta_dns_mx_record_target", r->target);
        break;
    case DNS_NS:
        sd_label(ls, "__meta_dns_ns_record_target", r->target);
        break;
    default:
        break;
    }
}

static void keep_previous(const struct sd_ask *ask, struct str name, struct sd_result *out)
{
    for (uint32_t i = 0; ask->previous && i < ask->previous->n; i++) {
        if (str_eq(ask->previous->groups[i].source, name))
            sd_result_copy_group(out, &ask->previous->groups[i]);
    }
}

static void set_port(struct dns_env *env)
{
    for (uint32_t i = 0; i < env->nservers && server_port; i++) {
        uint8_t *port = (uint8_t *)&env->servers[i] + 2; /* the same place in v4 and v6 */

        port[0] = (uint8_t)(server_port >> 8);
        port[1] = (uint8_t)server_port;
    }
}

int sd_dns_refresh(const struct sd_ask *ask, struct sd_result *out, struct err *e)
{
    const struct sd_config *c = ask->config;
    struct dns_env env;

    dns_env_read(&out->arena, resolv_conf, &env);
    set_port(&env);
    for (uint32_t i = 0; i < c->nnames; i++) {
        struct str name = arena_dup(&out->arena, c->names[i]);
        struct dns_record *records = NULL;
        uint32_t n = 0, cap = 0;
        struct err why;
        int code = dns_lookup(&env, name, c->dns_type, ask->stop, &out->arena, &records, &n, &why);

        if (code == ERR_CANCELED)
            return err_set(e, code, "given up");
        if (code < 0) {
            log_warn("scrape", "dns_sd: %s; keeping what it said before", why.text);
            keep_previous(ask, name, out);
            continue;
        }
        struct target_group *g = sd_result_group(out, name);
        for (uint32_t k = 0; k < n; k++)
            add_record(c, out, g, &cap, &records[k], name);
    }
    return 0;
}
