/*
 * targets.c - from discovery, relabelling and globs to paths that are followed.
 *
 * (1) A target that is found no more is read to its end and then closed; while a discovery has not answered yet, nothing goes.
 * (2) Of several entries of a job that name one path the first counts.
 * (3) A container that has ended is a target as long as its log was written to lately: for longer than it takes to ask the Engine
 *     twice, so one that lived between two times is read as a whole. One that is removed as it ends takes its log with it: that it
 *     is known before, the folder of all containers is watched.
 */
#include "collector/files/tailer.h"

#include "collector/files/glob.h"
#include "collector/logs/logs.h"
#include "net/client.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOCKER_ROOT "/var/lib/docker"
enum { ENGINE_TIMEOUT_MS = 10000, ENDED_LATELY_MS = 60000 };

/* --- labels -------------------------------------------------------------------------------------------------- */

struct labels files_stream_labels(struct files *f, struct arena *a, const struct labels *ls)
{
    const struct labels *more = &f->config->external_labels;
    struct labels out = {arena_array(a, struct label, ls->n + more->n + 2), 0};
    struct err e;

    for (uint32_t i = 0; i < ls->n; i++) {
        if (!str_starts(ls->v[i].name, STR("__")))
            out.v[out.n++] = ls->v[i];
    }
    for (uint32_t i = 0; i < more->n; i++) {
        if (!labels_get(ls, more->v[i].name).n)
            out.v[out.n++] = more->v[i];
    }
    (void)labels_normalise(&out, &e); /* names stand once: ls was normalised */
    return labels_dup(a, &out);
}

static struct labels with_label(struct arena *a, const struct labels *ls, struct str name, struct str value)
{
    struct labels out = {arena_array(a, struct label, ls->n + 1), 0};
    struct err e;

    for (uint32_t i = 0; i < ls->n; i++) {
        if (!str_eq(ls->v[i].name, name))
            out.v[out.n++] = ls->v[i];
    }
    out.v[out.n++] = (struct label){name, value};
    (void)labels_normalise(&out, &e);
    return out;
}

/* --- one scan ------------------------------------------------------------------------------------------------- */

struct scan {
    struct files *f;
    struct job *j;
    struct arena arena;
    struct str exclude;
    const struct labels *discovered, *labels, *err_labels;
    const struct sd_config *sd;
    bool docker, ended;
    size_t found;
};

static void set_labels(struct target *t, const struct scan *s)
{
    struct labels ls = *s->labels;
    struct arena a = {0}, old;

    if (!s->docker && !labels_get(&ls, STR("filename")).n)
        ls = with_label(&a, &ls, STR("filename"), t->path);
    ls = files_stream_labels(t->job->f, &a, &ls);
    if (t->labels.v && labels_eq(&ls, &t->labels) && labels_eq(s->discovered, &t->discovered)) {
        arena_release(&a);
        return;
    }
    old = t->arena;
    t->arena = a;
    t->labels = ls;
    t->discovered = labels_dup(&t->arena, s->discovered);
    t->err_labels = s->err_labels ? files_stream_labels(t->job->f, &t->arena, s->err_labels) : (struct labels){0};
    arena_release(&old);
}

static void found(void *arg, const char *path)
{
    struct scan *s = arg;
    struct str p = str_of(path);
    struct target *t;

    if (s->exclude.n && glob_matches(s->exclude, p))
        return;
    t = map_get(&s->j->targets, p);
    if (t && t->seen == s->f->scan)
        return; /* (2) */
    if (!t)
        t = file_target_new(s->j, p);
    t->seen = s->f->scan;
    t->docker = s->docker;
    t->ending = false;
    if (!s->ended || !t->labels.v) /* what is known of one that has ended is less than it was: networks have no addresses */
        set_labels(t, s);
    s->found++;
}

static void folder(void *arg, const char *path)
{
    watch_folder(((struct scan *)arg)->f, path);
}

/* Group labels under the target's own. */
static struct labels discovered_labels(struct arena *a, const struct target_group *g, const struct labels *t)
{
    struct labels out = {arena_array(a, struct label, g->labels.n + t->n + 1), 0};
    struct err e;

    for (uint32_t i = 0; i < t->n; i++)
        out.v[out.n++] = t->v[i];
    for (uint32_t i = 0; i < g->labels.n; i++) {
        bool own = false;

        for (uint32_t k = 0; k < t->n; k++)
            own |= str_eq(t->v[k].name, g->labels.v[i].name);
        if (!own)
            out.v[out.n++] = g->labels.v[i];
    }
    (void)labels_normalise(&out, &e);
    return out;
}

/* Promtail reads only what its own host is said to have. */
static bool of_this_host(const struct labels *ls)
{
    struct str host = labels_get(ls, STR("__host__"));
    char name[256] = "";

    if (!host.n || str_eqz(host, "localhost"))
        return true;
    return gethostname(name, sizeof name - 1) == 0 && str_eqz(host, name);
}

/* (3) */
static bool written_lately(const struct scan *s, struct str path)
{
    int64_t since_ms = clock_wall_ms() - ENDED_LATELY_MS - 2 * s->sd->refresh_ms;
    struct stat st;

    return stat(path.p, &st) == 0 && (int64_t)st.st_mtim.tv_sec * 1000 >= since_ms;
}

static void scan_target(struct scan *s, const struct labels *discovered)
{
    struct labels ls = *discovered, err_ls;
    struct str path;

    s->discovered = discovered;
    s->err_labels = NULL;
    if (!relabel_apply(&s->j->config->relabel, &s->arena, &ls) || !of_this_host(&ls))
        return;
    path = labels_get(&ls, STR("__path__"));
    s->exclude = labels_get(&ls, STR("__path_exclude__"));
    s->labels = &ls;
    s->docker = s->ended = false;
    if (path.n) {
        glob_walk(arena_dup(&s->arena, path), FILES_MAX, found, folder, s);
        return;
    }
    path = labels_get(discovered, STR("__meta_docker_container_id"));
    if (!path.n || !s->f->docker_root.p)
        return;
    s->docker = true;
    ls = with_label(&s->arena, discovered, STR("__meta_docker_container_log_stream"), STR("stdout"));
    err_ls = with_label(&s->arena, discovered, STR("__meta_docker_container_log_stream"), STR("stderr"));
    if (!relabel_apply(&s->j->config->relabel, &s->arena, &ls) || !relabel_apply(&s->j->config->relabel, &s->arena, &err_ls))
        return;
    s->err_labels = &err_ls;
    path = arena_printf(&s->arena, "%.*s/containers/%.*s/%.*s-json.log", STR_ARG(s->f->docker_root), STR_ARG(path), STR_ARG(path));
    s->ended = labels_get(discovered, STR(SD_DOCKER_ENDED)).n > 0;
    if (!s->ended || written_lately(s, path))
        glob_walk(path, 1, found, folder, s);
}

/* --- the Engine's folder ---------------------------------------------------------------------------------------- */

static void engine_said(void *arg, const struct http_answer *a)
{
    struct files *f = arg;
    ptrdiff_t at = a->code == 0 ? str_find(a->body, STR("\"DockerRootDir\":\"")) : -1;
    struct str rest = at < 0 ? STR("") : str_from(a->body, (size_t)at + 17), root;

    if (a->code == ERR_CANCELED)
        return;
    pthread_mutex_lock(&f->mu);
    if (at >= 0 && str_cut(&rest, '"', &root) && root.n)
        f->docker_root = str_of(x_strdup(root));
    else
        f->docker_root = str_of(x_strdup(STR(DOCKER_ROOT)));
    f->scan_now = true;
    files_wake(f);
    pthread_mutex_unlock(&f->mu);
}

static void ask_engine(struct files *f, const struct sd_config *sd)
{
    struct http_call call = {.method = "GET", .timeout_ms = ENGINE_TIMEOUT_MS, .opts = &sd->http};
    struct arena a = {0};
    struct str host = sd->host;

    if (f->docker_asked || !f->opts.client)
        return;
    f->docker_asked = true;
    if (str_starts(host, STR("unix://"))) {
        call.unix_socket = str_from(host, 7);
        host = STR("http://docker");
    } else if (str_starts(host, STR("tcp://"))) {
        host = arena_printf(&a, "http://%.*s", STR_ARG(str_from(host, 6)));
    }
    call.url = arena_printf(&a, "%.*s/info", STR_ARG(host));
    http_call_start(f->opts.client, &call, engine_said, f);
    arena_release(&a);
}

/* --- all ------------------------------------------------------------------------------------------------------------ */

/* That there is a new container is seen before the Engine would be asked again. */
static void watch_containers(struct files *f, struct arena *a)
{
    if (f->docker_watch || !f->docker_root.p)
        return;
    f->docker_watch = watch_folder(f, arena_printf(a, "%.*s/containers", STR_ARG(f->docker_root)).p) + 1;
}

/* False: a discovery has not answered yet. */
static bool scan_job(struct files *f, struct job *j)
{
    struct scan s = {.f = f, .j = j};
    bool all = true;

    for (uint32_t i = 0; i < j->config->nsd; i++) {
        struct sd_result *r = discovery_result(f->discovery, j->providers[i]);

        s.sd = &j->config->sd[i];
        if (j->config->sd[i].kind == SD_DOCKER) {
            ask_engine(f, &j->config->sd[i]);
            watch_containers(f, &s.arena);
        }
        all &= r != NULL && (j->config->sd[i].kind != SD_DOCKER || f->docker_root.p);
        for (uint32_t g = 0; r && g < r->n; g++) {
            for (uint32_t k = 0; k < r->groups[g].n; k++) {
                struct labels ls = discovered_labels(&s.arena, &r->groups[g], &r->groups[g].targets[k]);

                scan_target(&s, &ls);
            }
        }
        sd_result_unref(r);
    }
    arena_release(&s.arena);
    return all;
}

void targets_scan(struct files *f)
{
    f->scan++;
    for (uint32_t i = 0; i < f->njobs; i++) {
        struct job *j = f->jobs[i];
        bool all = scan_job(f, j);
        struct map_entry *en;
        uint32_t at = 0;

        while ((en = map_next(&j->targets, &at))) {
            struct target *t = en->value;

            if (t->seen != f->scan && all)
                t->ending = true;
            target_check(t);
            if (t->ending && !t->first && !t->lingering)
                file_target_free(t);
        }
    }
}

struct job *job_new(struct files *f, const struct files_job *c, struct files_config *owner)
{
    struct job *j = x_zalloc(sizeof(*j));
    struct err e = {0};

    j->f = f;
    j->config = c;
    j->owner = files_config_ref(owner);
    pipeline_init(&j->pipeline, &c->stages);
    pipeline_init(&j->docker_pipeline, &c->docker_stages);
    j->providers = x_zalloc(sizeof(struct sd_provider *) * (c->nsd + 1));
    for (uint32_t i = 0; i < c->nsd; i++)
        j->providers[i] = discovery_add(f->discovery, &c->sd[i], owner->sd_owner);
    if (c->journal)
        j->journald = journald_new(j);
    if (c->syslog && !f->logs)
        log_warn("files", "job %.*s: nothing here listens for syslog", STR_ARG(c->name));
    else if (c->syslog && syslog_listen(f->logs, f->server, c->syslog, &j->syslog, NULL, NULL, &e) < 0)
        log_error("files", "job %.*s: syslog: %s", STR_ARG(c->name), e.text);
    return j;
}

void job_free(struct job *j)
{
    struct map_entry *en;
    uint32_t i;

    journald_free(j->journald);
    if (j->syslog)
        syslog_close(j->syslog);
    for (i = 0; i < j->config->nsd; i++)
        discovery_remove(j->f->discovery, j->providers[i]);
    free(j->providers);
    i = 0;
    while ((en = map_next(&j->targets, &i)))
        file_target_free(en->value);
    map_release(&j->targets);
    map_release(&j->open);
    pipeline_release(&j->pipeline);
    pipeline_release(&j->docker_pipeline);
    files_config_unref(j->owner);
    free(j);
}
