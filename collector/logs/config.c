/*
 * config.c - `syslog:` and `limits_config:` of the configuration file, and putting them in force.
 *
 *   syslog:
 *     - listen_udp: 127.0.0.1:514        one of the two, or both
 *       listen_tcp: 127.0.0.1:514
 *       labels: {job: syslog}
 *       use_incoming_timestamp: false     else the time at which it came
 *       use_rfc5424_message: false        the line is the message as it came, not its text alone
 *       label_structured_data: false      __syslog_message_sd_ID_KEY for relabel_configs
 *       max_message_length: 64KiB         longer ones are cut
 *       idle_timeout: 2m                  of TCP connections
 *       relabel_configs: [...]            labels are then what the rules make of __syslog_*; else hostname and app_name
 *
 * A section may also be written as Promtail has it: listen_address, and listen_protocol tcp or udp.
 *
 * (1) Applying is all or nothing. Changed sections need their addresses, so the old ones close first; where the new ones
 *     cannot be opened, the old ones are opened again.
 */
#include "collector/logs/request.h"
#include "collector/logs/syslog_listen.h"

#include <assert.h>
#include <stdlib.h>

struct logs_config {
    struct arena arena;
    struct logs_rules *rules;
    struct syslog_config **sections;
    uint32_t nsections;
};

/* --- reading ------------------------------------------------------------------------------------------- */

/* A copy of a subtree with every text, so that what is read from it lives as long as a. */
static struct conf *copy_tree(struct arena *a, const struct conf *c)
{
    struct conf *out = arena_new(a, struct conf);

    *out = *c;
    out->file = arena_dup(a, c->file);
    out->text = arena_dup(a, c->text);
    out->items = arena_array(a, struct conf *, c->n + 1);
    out->keys = arena_array(a, struct str, c->n + 1);
    out->key_lines = arena_array(a, int, c->n + 1);
    out->used = arena_array(a, bool, c->n + 1);
    for (uint32_t i = 0; i < c->n; i++) {
        out->items[i] = copy_tree(a, c->items[i]);
        if (c->kind == CONF_MAP) {
            out->keys[i] = arena_dup(a, c->keys[i]);
            out->key_lines[i] = c->key_lines[i];
        }
    }
    return out;
}

/* A text that is equal for equal trees. */
static void print_tree(const struct conf *c, struct buf *out)
{
    buf_printf(out, "%d%d", c->kind, c->quoted);
    buf_put_quoted(out, c->text);
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->kind == CONF_MAP)
            buf_put_quoted(out, c->keys[i]);
        print_tree(c->items[i], out);
    }
    buf_putc(out, ';');
}

static int read_labels(struct arena *a, struct conf *c, struct labels *out, struct err *e)
{
    struct conf *m = conf_get(c, "labels");

    *out = (struct labels){arena_array(a, struct label, (m ? m->n : 0) + 1), 0};
    if (!m)
        return 0;
    if (conf_want(m, CONF_MAP, "labels", e) < 0)
        return ERR_INVALID;
    for (uint32_t i = 0; i < m->n; i++) {
        m->used[i] = true;
        if (!label_name_legacy(m->keys[i]) || m->items[i]->kind == CONF_LIST || m->items[i]->kind == CONF_MAP)
            return conf_err(m->items[i], e, "labels: \"%.*s\" is no label name, or its value no text", STR_ARG(str_head(m->keys[i], 100)));
        out->v[out->n++] = (struct label){m->keys[i], m->items[i]->text};
    }
    return labels_normalise(out, e);
}

/* Promtail's way to say where. */
static int read_address(struct conf *c, struct syslog_config *out, struct err *e)
{
    struct str address = STR(""), protocol = STR("tcp"), format = STR("rfc5424");

    if (conf_str(c, "listen_udp", &out->udp, e) < 0 || conf_str(c, "listen_tcp", &out->tcp, e) < 0 ||
        conf_str(c, "listen_address", &address, e) < 0 || conf_str(c, "listen_protocol", &protocol, e) < 0 ||
        conf_str(c, "syslog_format", &format, e) < 0) /* both are told apart by themselves */
        return ERR_INVALID;
    if (!str_eqz(format, "rfc5424") && !str_eqz(format, "rfc3164"))
        return conf_err(c, e, "syslog_format must be rfc5424 or rfc3164");
    if (str_eqz(protocol, "udp"))
        out->udp = address.n ? address : out->udp;
    else if (str_eqz(protocol, "tcp"))
        out->tcp = address.n ? address : out->tcp;
    else
        return conf_err(c, e, "listen_protocol must be tcp or udp");
    return out->udp.n || out->tcp.n ? 0 : conf_err(c, e, "listen_udp or listen_tcp must be given");
}

int syslog_config_read(struct arena *a, struct conf *c, struct syslog_config **out, struct err *e)
{
    struct syslog_config *k = arena_new(a, struct syslog_config);
    struct conf *rules;
    struct buf text = {0};

    if (conf_want(c, CONF_MAP, "a section of syslog", e) < 0)
        return ERR_INVALID;
    print_tree(c, &text);
    k->text = arena_dup(a, buf_str(&text));
    buf_release(&text);
    c = copy_tree(a, c);
    k->message_bytes = 64 << 10;
    k->idle_ms = 120000;
    if (read_address(c, k, e) < 0 || read_labels(a, c, &k->labels, e) < 0 ||
        conf_bool(c, "use_incoming_timestamp", &k->incoming_time, e) < 0 || conf_bool(c, "use_rfc5424_message", &k->whole, e) < 0 ||
        conf_bool(c, "label_structured_data", &k->structured_labels, e) < 0 || conf_size(c, "max_message_length", &k->message_bytes, e) < 0 ||
        conf_duration(c, "idle_timeout", &k->idle_ms, e) < 0)
        return ERR_INVALID;
    if (k->message_bytes < 64 || k->message_bytes > 200 << 10 || k->idle_ms < 100)
        return conf_err(c, e, "max_message_length must be 64 to 204800 bytes, idle_timeout at least 100ms");
    rules = conf_get(c, "relabel_configs");
    k->relabelled = rules != NULL;
    if (conf_finish(c, "syslog", e) < 0)
        return ERR_INVALID;
    if (relabel_read(a, rules, true, &k->relabel, e) < 0)
        return ERR_INVALID;
    *out = k;
    return 0;
}

void syslog_config_release(struct syslog_config *c)
{
    if (c)
        relabel_release(&c->relabel);
}

int logs_config_read(struct conf *root, struct logs_config **out, struct err *e)
{
    struct conf *list = conf_get(root, "syslog");
    struct logs_config *c = x_zalloc(sizeof *c);

    if (logs_rules_read(conf_get(root, "limits_config"), &c->rules, e) < 0)
        goto fail;
    if (list) {
        if (conf_want(list, CONF_LIST, "syslog", e) < 0)
            goto fail;
        c->sections = arena_array(&c->arena, struct syslog_config *, list->n + 1);
        for (; c->nsections < list->n; c->nsections++)
            if (syslog_config_read(&c->arena, list->items[c->nsections], &c->sections[c->nsections], e) < 0)
                goto fail;
    }
    *out = c;
    return 0;
fail:
    logs_config_free(c);
    return e->code;
}

void logs_config_free(struct logs_config *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->nsections; i++)
        syslog_config_release(c->sections[i]);
    logs_rules_unref(c->rules);
    arena_release(&c->arena);
    free(c);
}

/* --- in force -------------------------------------------------------------------------------------------- */

static bool same_sections(const struct logs_config *a, const struct logs_config *b)
{
    uint32_t n = a ? a->nsections : 0;

    if (n != b->nsections)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!str_eq(a->sections[i]->text, b->sections[i]->text))
            return false;
    return true;
}

static void close_sections(struct logs *l)
{
    for (uint32_t i = 0; i < l->nsections; i++)
        syslog_close(l->listeners[i]);
    free(l->listeners);
    l->listeners = NULL;
    l->nsections = 0;
}

static int open_sections(struct logs *l, struct http_server *s, const struct logs_config *c, struct err *e)
{
    uint16_t udp = 0, tcp = 0;

    l->listeners = x_zalloc(sizeof(struct syslog_listener *) * ((size_t)c->nsections + 1));
    for (uint32_t i = 0; i < c->nsections; i++) {
        if (syslog_listen(l, s, c->sections[i], &l->listeners[i], &udp, &tcp, e) < 0) {
            close_sections(l);
            return e->code;
        }
        l->nsections++;
        if (c->sections[i]->udp.n)
            log_info("logs", "syslog listens on UDP port %u", udp);
        if (c->sections[i]->tcp.n)
            log_info("logs", "syslog listens on TCP port %u", tcp);
    }
    return 0;
}

/* Puts the rules of c in force; c gets those that were. */
static void swap_rules(struct logs *l, struct logs_config *c)
{
    struct logs_rules *rules = c->rules;

    pthread_mutex_lock(&l->mu);
    c->rules = l->rules;
    l->rules = rules;
    pthread_mutex_unlock(&l->mu);
}

int logs_apply(struct logs *l, struct http_server *s, struct logs_config *c, struct err *e)
{
    struct logs_config *old = l->config;
    struct err why;

    if (same_sections(old, c)) { /* the listeners go on as they are, on the configuration that they know */
        swap_rules(l, c);
        if (old)
            logs_config_free(c);
        else
            l->config = c;
        return 0;
    }
    close_sections(l);
    if (open_sections(l, s, c, e) < 0) {
        if (old && open_sections(l, s, old, &why) < 0)
            log_error("logs", "the listeners of the old configuration cannot be opened again: %s", why.text);
        return e->code;
    }
    swap_rules(l, c);
    l->config = c;
    logs_config_free(old);
    return 0;
}

void logs_stop(struct logs *l)
{
    if (l)
        close_sections(l);
}
