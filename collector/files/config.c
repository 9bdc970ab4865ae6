/*
 * config.c - `logs:` of our configuration, and Promtail's own file.
 *
 *   logs:
 *     promtail_file: /etc/promtail/config.yml    a whole promtail.yml, as it is
 *     scrape_configs: [...]                      Promtail's scrape_configs, in place
 *     positions_file: /var/lib/promtail/positions.yaml
 *     external_labels, sync_period
 *
 * (1) Each key is asked for by name; what is left over is an error with its line. Keys of Promtail that mean nothing here
 *     (server, clients, ...) are named in the log and not looked into.
 * (2) Trees are copied before they are read, so that texts live as long as the configuration.
 */
#include "collector/files/config.h"

#include "collector/logs/logs.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SYNC_MS = 10000 };

/* --- trees -------------------------------------------------------------------------------------------- */

static struct conf *copy_tree(struct arena *a, const struct conf *c)
{
    struct conf *out = arena_new(a, struct conf);

    *out = *c;
    out->file = arena_dup(a, c->file);
    out->text = arena_dup(a, c->text);
    if (!c->n)
        return out;
    out->items = arena_array(a, struct conf *, c->n);
    for (uint32_t i = 0; i < c->n; i++)
        out->items[i] = copy_tree(a, c->items[i]);
    if (c->kind != CONF_MAP)
        return out;
    out->keys = arena_array(a, struct str, c->n);
    out->key_lines = arena_array(a, int, c->n);
    out->used = arena_array(a, bool, c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        out->keys[i] = arena_dup(a, c->keys[i]);
        out->key_lines[i] = c->key_lines[i];
    }
    return out;
}

static void print_tree(struct buf *out, const struct conf *c)
{
    buf_printf(out, "%d:", c->kind);
    if (c->kind == CONF_SCALAR) {
        buf_put_quoted(out, c->text);
        return;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->kind == CONF_MAP)
            buf_put_quoted(out, c->keys[i]);
        buf_putc(out, '(');
        print_tree(out, c->items[i]);
        buf_putc(out, ')');
    }
}

/* --- parts of a job ------------------------------------------------------------------------------------ */

static int read_journal(struct arena *a, struct conf *c, struct files_job *job, struct err *e)
{
    struct journal_config *j;
    struct str matches = STR_NULL, word;

    if (!c)
        return 0;
    j = job->journal = arena_new(a, struct journal_config);
    j->max_age_ms = 7 * 3600000;
    if (conf_want(c, CONF_MAP, "journal", e) < 0 || conf_bool(c, "json", &j->json, e) < 0 ||
        conf_duration(c, "max_age", &j->max_age_ms, e) < 0 || conf_str(c, "path", &j->path, e) < 0 ||
        read_label_map(a, c, "labels", true, &j->labels, e) < 0 || conf_str(c, "matches", &matches, e) < 0)
        return ERR_INVALID;
    j->matches = arena_array(a, struct str, matches.n / 2 + 1);
    while (str_cut(&matches, ' ', &word) || word.n) {
        if (!word.n)
            continue;
        if (str_chr(word, '=') <= 0 || word.p[0] == '-')
            return conf_err(c, e, "journal: matches are FIELD=VALUE, divided by blanks, not \"%.*s\"", STR_ARG(str_head(word, 100)));
        j->matches[j->nmatches++] = arena_dup(a, word);
    }
    return conf_finish(c, "journal", e);
}

static int read_decompression(struct conf *c, struct files_job *job, struct err *e)
{
    struct str format = STR("gz");
    int64_t delay;

    if (!c)
        return 0;
    if (conf_want(c, CONF_MAP, "decompression", e) < 0 || conf_bool(c, "enabled", &job->compressed, e) < 0 ||
        conf_duration(c, "initial_delay", &delay, e) < 0 || conf_str(c, "format", &format, e) < 0)
        return ERR_INVALID;
    if (!str_eqz(format, "gz") && !str_eqz(format, "z") && !str_eqz(format, "zst"))
        return conf_err(c, e, "decompression: gz and zst are read (told by the file itself), not \"%.*s\"", STR_ARG(str_head(format, 50)));
    return conf_finish(c, "decompression", e);
}

/* Promtail writes the rules of a listener beside its section, and collector/logs reads them inside of it. */
static int read_syslog(struct arena *a, struct conf *job_conf, struct files_job *job, struct err *e)
{
    struct conf *c = conf_get(job_conf, "syslog"), *rules = conf_get(job_conf, "relabel_configs"), *both;

    if (!c)
        return 0;
    if (conf_want(c, CONF_MAP, "syslog", e) < 0)
        return ERR_INVALID;
    if (conf_get(job_conf, "pipeline_stages"))
        return conf_err(c, e, "syslog: pipeline_stages are not run on messages; relabel_configs are, and LogQL takes lines apart when asked");
    both = copy_tree(a, c);
    if (rules) {
        struct str *keys = arena_array(a, struct str, c->n + 1);
        struct conf **items = arena_array(a, struct conf *, c->n + 1);
        int *lines = arena_array(a, int, c->n + 1);

        for (uint32_t i = 0; i < c->n; i++) {
            keys[i] = both->keys[i];
            items[i] = both->items[i];
            lines[i] = both->key_lines[i];
        }
        keys[c->n] = STR("relabel_configs");
        items[c->n] = copy_tree(a, rules);
        lines[c->n] = rules->line;
        both->keys = keys;
        both->items = items;
        both->key_lines = lines;
        both->used = arena_array(a, bool, c->n + 1);
        both->n++;
    }
    return syslog_config_read(a, both, &job->syslog, e);
}

/* Sources of Promtail that we have no part for, and what to do instead. */
static int refuse_others(struct conf *c, struct err *e)
{
    static const struct {
        const char *key, *why;
    } others[] = {
        {"loki_push_api", "pushes are taken at /loki/api/v1/push of this server; take the entry out"},
        {"kubernetes_sd_configs", "this is for one host; follow /var/log/pods/*/*/*.log with the cri stage"},
        {"consul_sd_configs", "not among what we discover: static, file, http, dns, docker"},
        {"consulagent_sd_configs", "not among what we discover: static, file, http, dns, docker"},
        {"kafka", "not among what we read"},
        {"gelf", "not among what we read"},
        {"gcplog", "not among what we read"},
        {"cloudflare", "not among what we read"},
        {"heroku_drain", "not among what we read"},
        {"azure_event_hub", "not among what we read"},
        {"windows_events", "this is for Linux"},
    };

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct conf *v = conf_get(c, others[i].key);

        if (v)
            return conf_err(v, e, "%s: %s", others[i].key, others[i].why);
    }
    return 0;
}

/* A group without targets means this machine. */
static void complete_groups(struct arena *a, struct files_job *job)
{
    for (uint32_t i = 0; i < job->nsd; i++) {
        struct target_group *g = &job->sd[i].group;
        struct label *l;

        if (job->sd[i].kind != SD_STATIC || g->n)
            continue;
        l = arena_new(a, struct label);
        *l = (struct label){STR("__address__"), STR("localhost")};
        g->targets = arena_new(a, struct labels);
        g->targets[0] = (struct labels){l, 1};
        g->n = 1;
    }
}

static int check_job(struct conf *c, const struct files_job *job, struct err *e)
{
    if (!job->nsd && !job->journal && !job->syslog)
        return conf_err(c, e, "job \"%.*s\" has nothing to read: static_configs, file_sd_configs, docker_sd_configs, journal or syslog are missing",
                        STR_ARG(job->name));
    for (uint32_t i = 0; i < job->nsd; i++) {
        const struct sd_config *sd = &job->sd[i];

        if (sd->kind == SD_STATIC && !job->relabel.n && !labels_get(&sd->group.labels, STR("__path__")).n)
            return conf_err(c, e, "job \"%.*s\": a static_configs entry without the label __path__ names no file", STR_ARG(job->name));
    }
    return 0;
}

static int read_job(struct files_config *k, struct conf *c, struct str dir, const struct files_selectors *selectors, struct files_job *job,
                    struct err *e)
{
    struct arena *a = &k->arena;
    struct scrape_config sd = {0};
    struct conf *stages;
    struct buf text = {0};
    int code;

    if (conf_want(c, CONF_MAP, "a scrape_configs entry", e) < 0)
        return ERR_INVALID;
    print_tree(&text, c);
    job->text = arena_dup(a, buf_str(&text));
    buf_release(&text);
    if (conf_str(c, "job_name", &job->name, e) < 0 || refuse_others(c, e) < 0)
        return ERR_INVALID;
    if (!job->name.n)
        return conf_err(c, e, "job_name is missing");
    code = read_sd_configs(k->sd_owner->arena, copy_tree(k->sd_owner->arena, c), dir, false, &sd, e);
    for (int kind = SD_STATIC; kind <= SD_DOCKER; kind++)
        (void)conf_get(c, sd_kind_names[kind]);
    if (code < 0)
        return code;
    job->sd = sd.sd;
    job->nsd = sd.nsd;
    complete_groups(k->sd_owner->arena, job);
    for (uint32_t i = 0; i < job->nsd; i++)
        job->sd[i].ended = job->sd[i].kind == SD_DOCKER; /* their last lines may not have been read yet */
    if (relabel_read(a, conf_get(c, "relabel_configs"), false, &job->relabel, e) < 0 || conf_str(c, "encoding", &job->encoding, e) < 0 ||
        conf_bool(c, "tail_from_end", &job->tail_from_end, e) < 0 || read_journal(a, conf_get(c, "journal"), job, e) < 0 ||
        read_decompression(conf_get(c, "decompression"), job, e) < 0)
        return ERR_INVALID;
    if (read_syslog(a, c, job, e) < 0)
        return ERR_INVALID;
    stages = conf_get(c, "pipeline_stages");
    if (stages_read(a, stages, selectors, false, &job->stages, e) < 0 ||
        stages_read(a, stages ? copy_tree(a, stages) : NULL, selectors, true, &job->docker_stages, e) < 0)
        return ERR_INVALID;
    if (check_job(c, job, e) < 0)
        return ERR_INVALID;
    return conf_finish(c, "a scrape_configs entry of logs", e);
}

static int read_jobs(struct files_config *k, struct conf *list, struct str dir, const struct files_selectors *selectors, struct err *e)
{
    if (!list)
        return 0;
    if (conf_want(list, CONF_LIST, "scrape_configs", e) < 0)
        return ERR_INVALID;
    k->v = x_realloc(k->v, sizeof(*k->v) * (k->n + list->n + 1));
    for (uint32_t i = 0; i < list->n; i++) {
        struct files_job *job = &k->v[k->n++];
        int code;

        *job = (struct files_job){.encoding = STR("")};
        code = read_job(k, list->items[i], dir, selectors, job, e);
        if (code < 0)
            return code;
        for (uint32_t n = 0; n + 1 < k->n; n++) {
            if (str_eq(k->v[n].name, job->name))
                return conf_err(list->items[i], e, "found multiple scrape configs with job name \"%.*s\"", STR_ARG(job->name));
        }
    }
    return 0;
}

/* --- the keys around scrape_configs ---------------------------------------------------------------------------- */

/* Lines go into our own store, so of clients only the labels they add matter. */
static int read_clients(struct files_config *k, struct conf *list, struct err *e)
{
    bool differ = false;

    if (!list)
        return 0;
    if (conf_want(list, CONF_LIST, "clients", e) < 0)
        return ERR_INVALID;
    for (uint32_t i = 0; i < list->n; i++) {
        struct labels ls;

        if (conf_want(list->items[i], CONF_MAP, "a client", e) < 0 ||
            read_label_map(&k->arena, list->items[i], "external_labels", false, &ls, e) < 0)
            return ERR_INVALID;
        differ |= i > 0 && !labels_eq(&ls, &k->external_labels);
        if (i == 0)
            k->external_labels = ls;
    }
    if (differ)
        log_warn("files", "%.*s:%d: clients have different external_labels; those of the first are added", STR_ARG(list->file), list->line);
    return 0;
}

static int read_positions(struct files_config *k, struct conf *c, struct str dir, struct err *e)
{
    struct str file = STR_NULL, ignored;
    bool skip;

    if (!c)
        return 0;
    if (conf_want(c, CONF_MAP, "positions", e) < 0 || conf_str(c, "filename", &file, e) < 0 || conf_str(c, "sync_period", &ignored, e) < 0 ||
        conf_bool(c, "ignore_invalid_yaml", &skip, e) < 0)
        return ERR_INVALID;
    if (file.n && !k->positions_file.n)
        k->positions_file = path_join(&k->arena, dir, file);
    return conf_finish(c, "positions", e);
}

static int read_target_config(struct files_config *k, struct conf *c, struct err *e)
{
    bool in = false;

    if (!c)
        return 0;
    if (conf_want(c, CONF_MAP, "target_config", e) < 0 || conf_duration(c, "sync_period", &k->sync_ms, e) < 0 ||
        conf_bool(c, "stdin", &in, e) < 0)
        return ERR_INVALID;
    if (in)
        return conf_err(c, e, "target_config: nothing is read from standard input");
    return conf_finish(c, "target_config", e);
}

/* What Promtail has and we have no use for. */
static void note_unneeded(struct conf *c, const char *file)
{
    static const char *const keys[] = {"server", "client", "clients", "positions", "limits_config", "options", "tracing", "wal", "global"};
    struct buf b = {0};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (conf_get(c, keys[i]))
            buf_printf(&b, "%s%s", b.n ? ", " : "", keys[i]);
    }
    if (b.n)
        log_info("files", "%s: not needed here: %.*s (lines go into this server's own store, positions with them)", file, STR_ARG(buf_str(&b)));
    buf_release(&b);
}

static int read_section(struct files_config *k, struct conf *c, struct str dir, const struct files_selectors *selectors, struct err *e)
{
    struct str positions = STR_NULL;

    if (conf_want(c, CONF_MAP, "logs", e) < 0 || read_label_map(&k->arena, c, "external_labels", false, &k->external_labels, e) < 0 ||
        conf_duration(c, "sync_period", &k->sync_ms, e) < 0 || conf_str(c, "positions_file", &positions, e) < 0)
        return ERR_INVALID;
    if (positions.n)
        k->positions_file = path_join(&k->arena, dir, positions);
    if (read_clients(k, conf_get(c, "clients"), e) < 0 || read_positions(k, conf_get(c, "positions"), dir, e) < 0 ||
        read_target_config(k, conf_get(c, "target_config"), e) < 0 || read_jobs(k, conf_get(c, "scrape_configs"), dir, selectors, e) < 0)
        return ERR_INVALID;
    note_unneeded(c, arena_dup(&k->arena, c->file).p);
    if (k->sync_ms < 100)
        return conf_err(c, e, "sync_period must be at least 100ms");
    return conf_finish(c, "logs", e);
}

static struct str folder_of(struct str path)
{
    size_t n = path.n;

    while (n > 0 && path.p[n - 1] != '/')
        n--;
    return n > 1 ? str_head(path, n - 1) : n ? STR("/") : STR(".");
}

static int read_promtail(struct files_config *k, struct str path, const struct files_selectors *selectors, struct err *e)
{
    struct conf *root;
    struct str file = arena_dup(&k->arena, path);
    int code = conf_load(&k->arena, file.p, &root, e);

    if (code < 0)
        return code;
    return read_section(k, root, folder_of(file), selectors, e);
}

int files_config_read(struct conf *root, struct str dir, struct str promtail_file, const struct files_selectors *selectors,
                      struct files_config **out, struct err *e)
{
    struct files_config *k = x_zalloc(sizeof(*k));
    struct conf *logs = conf_get(root, "logs"), *copy, *empty;
    struct str file = STR_NULL;

    k->refs = 1;
    k->sync_ms = SYNC_MS;
    if (conf_parse(&k->arena, STR("built-in"), STR("{}"), &empty, e) < 0 || scrape_configs_read(empty, STR("."), &k->sd_owner, e) < 0)
        goto fail;
    if (logs) {
        copy = copy_tree(&k->arena, logs);
        if (conf_want(copy, CONF_MAP, "logs", e) < 0 || conf_str(copy, "promtail_file", &file, e) < 0 ||
            (file.n && read_promtail(k, path_join(&k->arena, dir, file), selectors, e) < 0) ||
            read_section(k, copy, dir, selectors, e) < 0)
            goto fail;
    }
    if (promtail_file.n && read_promtail(k, promtail_file, selectors, e) < 0)
        goto fail;
    *out = k;
    return 0;
fail:
    files_config_unref(k);
    return e ? e->code : ERR_INVALID;
}

bool files_config_is_promtail(const struct conf *root)
{
    for (uint32_t i = 0; root->kind == CONF_MAP && i < root->n; i++) {
        if (str_eqz(root->keys[i], "clients") || str_eqz(root->keys[i], "client") || str_eqz(root->keys[i], "positions"))
            return true;
    }
    return false;
}

struct files_config *files_config_ref(struct files_config *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void files_config_unref(struct files_config *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    for (uint32_t i = 0; i < c->n; i++) {
        relabel_release(&c->v[i].relabel);
        stages_release(&c->v[i].stages);
        stages_release(&c->v[i].docker_stages);
        if (c->v[i].syslog)
            syslog_config_release(c->v[i].syslog);
    }
    free(c->v);
    scrape_configs_unref(c->sd_owner);
    arena_release(&c->arena);
    free(c);
}

uint32_t files_config_jobs(const struct files_config *c)
{
    return c->n;
}
