/*
 * config.c - `global`, `scrape_configs` and `scrape_config_files`, with the defaults and the complaints of Prometheus.
 *
 * (1) Each key is asked for by name; what is left over is an error with its line. Nothing is accepted and then ignored.
 * (2) What is read is immutable. A reload reads a new one and compares the printed texts.
 */
#include "collector/scrape/config_types.h"

#include <glob.h>
#include <stdlib.h>

const char *const scrape_protocol_names[PROTOCOLS] = {"PrometheusProto", "OpenMetricsText1.0.0", "OpenMetricsText0.0.1",
                                                      "PrometheusText1.0.0", "PrometheusText0.0.4"};
const char *const name_escaping_names[ESCAPINGS] = {"allow-utf-8", "underscores", "dots", "values"};

/* --- small readers --------------------------------------------------------------------------------- */

struct str path_join(struct arena *a, struct str dir, struct str file)
{
    if (file.n == 0 || file.p[0] == '/' || dir.n == 0)
        return file;
    return arena_printf(a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(file));
}

static int read_count(struct conf *c, const char *key, uint64_t *out, struct err *e)
{
    int64_t v = (int64_t)*out;

    if (conf_i64(c, key, &v, e) < 0)
        return ERR_INVALID;
    if (v < 0)
        return conf_err(conf_get(c, key), e, "%s must not be negative", key);
    *out = (uint64_t)v;
    return 0;
}

/* A text out of a table: its index into *out; left alone when the key is absent. */
static int read_word(struct conf *c, const char *key, const char *const *words, unsigned nwords, unsigned *out,
                     struct err *e)
{
    struct str s = STR_NULL;

    if (conf_str(c, key, &s, e) < 0)
        return ERR_INVALID;
    if (!s.p)
        return 0;
    for (unsigned i = 0; i < nwords; i++) {
        if (str_eqz(s, words[i])) {
            *out = i;
            return 0;
        }
    }
    return conf_err(conf_get(c, key), e, "unknown %s \"%.*s\"", key, STR_ARG(str_head(s, 100)));
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

int read_label_map(struct arena *a, struct conf *c, const char *key, bool legacy, struct labels *out, struct err *e)
{
    struct conf *m = conf_get(c, key);

    *out = (struct labels){0};
    if (!m)
        return 0;
    if (conf_want(m, CONF_MAP, key, e) < 0)
        return ERR_INVALID;
    out->v = arena_array(a, struct label, m->n + 1);
    for (uint32_t i = 0; i < m->n; i++) {
        struct str name = m->keys[i];
        struct conf *v = m->items[i];

        m->used[i] = true;
        if (legacy ? !label_name_legacy(name) : name.n == 0 || !utf8_valid(name))
            return conf_err(v, e, "\"%.*s\" is not a valid label name", STR_ARG(str_head(name, 100)));
        if (v->kind != CONF_SCALAR && v->kind != CONF_NULL)
            return conf_err(v, e, "the value of label \"%.*s\" must be a text", STR_ARG(str_head(name, 100)));
        if (!utf8_valid(v->text))
            return conf_err(v, e, "the value of label \"%.*s\" is not UTF-8", STR_ARG(str_head(name, 100)));
        out->v[out->n++] = (struct label){name, v->kind == CONF_NULL ? STR("") : v->text};
    }
    qsort(out->v, out->n, sizeof(*out->v), by_name);
    return 0;
}

static int read_params(struct arena *a, struct conf *c, struct scrape_config *out, struct err *e)
{
    struct conf *m = conf_get(c, "params");

    if (!m)
        return 0;
    if (conf_want(m, CONF_MAP, "params", e) < 0)
        return ERR_INVALID;
    out->params = arena_array(a, struct url_param, m->n + 1);
    for (uint32_t i = 0; i < m->n; i++) {
        struct url_param *p = &out->params[out->nparams++];
        struct str key = arena_dup(a, m->keys[i]);

        p->name = key;
        if (conf_strs(a, m, key.p, &p->values, &p->n, e) < 0)
            return ERR_INVALID;
    }
    for (uint32_t i = 1; i < out->nparams; i++) {
        for (uint32_t k = i; k > 0 && str_cmp(out->params[k].name, out->params[k - 1].name) < 0; k--) {
            struct url_param t = out->params[k];
            out->params[k] = out->params[k - 1];
            out->params[k - 1] = t;
        }
    }
    return 0;
}

/* A copy of a subtree with every text, so that what is read from it lives as long as a. */
static struct conf *copy_tree(struct arena *a, const struct conf *c)
{
    struct conf *out;

    if (!c)
        return NULL;
    out = arena_new(a, struct conf);
    *out = *c;
    out->file = arena_dup(a, c->file);
    out->text = arena_dup(a, c->text);
    out->items = arena_array(a, struct conf *, c->n + 1);
    out->keys = arena_array(a, struct str, c->n + 1);
    out->key_lines = arena_array(a, int, c->n + 1);
    out->used = arena_array(a, bool, c->n + 1);
    for (uint32_t i = 0; i < c->n; i++) {
        out->items[i] = copy_tree(a, c->items[i]);
        if (c->kind != CONF_MAP)
            continue;
        out->keys[i] = arena_dup(a, c->keys[i]);
        out->key_lines[i] = c->key_lines ? c->key_lines[i] : c->line;
    }
    return out;
}

/* --- what global and a job share --------------------------------------------------------------------- */

static int read_protocols(struct arena *a, struct conf *c, struct scrape_common *out, struct err *e)
{
    struct conf *list = conf_get(c, "scrape_protocols");
    struct str *names = NULL;
    uint32_t n = 0;
    unsigned seen = 0;

    if (!list)
        return 0;
    if (conf_strs(a, c, "scrape_protocols", &names, &n, e) < 0)
        return ERR_INVALID;
    if (n == 0)
        return conf_err(list, e, "scrape_protocols cannot be empty");
    out->nprotocols = 0;
    for (uint32_t i = 0; i < n; i++) {
        unsigned k = 0;

        while (k < PROTOCOLS && !str_eqz(names[i], scrape_protocol_names[k]))
            k++;
        if (k == PROTOCOLS)
            return conf_err(list, e, "unknown scrape protocol \"%.*s\"", STR_ARG(str_head(names[i], 100)));
        if (seen & 1u << k)
            return conf_err(list, e, "duplicated scrape protocol \"%.*s\"", STR_ARG(names[i]));
        seen |= 1u << k;
        out->protocols[out->nprotocols++] = (uint8_t)k;
    }
    return 0;
}

static int read_names_scheme(struct conf *c, struct scrape_common *out, struct err *e)
{
    static const char *const schemes[] = {"utf8", "legacy"};
    unsigned scheme = out->legacy_names, escaping = out->escaping;

    if (read_word(c, "metric_name_validation_scheme", schemes, 2, &scheme, e) < 0)
        return ERR_INVALID;
    if (scheme == 1 && !out->legacy_names)
        escaping = ESCAPE_UNDERSCORES;
    if (read_word(c, "metric_name_escaping_scheme", name_escaping_names, ESCAPINGS, &escaping, e) < 0)
        return ERR_INVALID;
    if (scheme == 1 && escaping == ESCAPE_ALLOW_UTF8)
        return conf_err(c, e, "utf8 metric names requested but validation scheme is not set to UTF8");
    out->legacy_names = scheme == 1;
    out->escaping = (enum name_escaping)escaping;
    return 0;
}

static int read_common(struct arena *a, struct conf *c, struct str dir, struct scrape_common *out, struct err *e)
{
    struct str log = STR_NULL;

    if (conf_duration(c, "scrape_interval", &out->interval_ms, e) < 0 ||
        conf_duration(c, "scrape_timeout", &out->timeout_ms, e) < 0 || read_protocols(a, c, out, e) < 0 ||
        conf_size(c, "body_size_limit", &out->body_size_limit, e) < 0 ||
        read_count(c, "sample_limit", &out->sample_limit, e) < 0 ||
        read_count(c, "target_limit", &out->target_limit, e) < 0 ||
        read_count(c, "label_limit", &out->label_limit, e) < 0 ||
        read_count(c, "label_name_length_limit", &out->label_name_length_limit, e) < 0 ||
        read_count(c, "label_value_length_limit", &out->label_value_length_limit, e) < 0 ||
        read_count(c, "keep_dropped_targets", &out->keep_dropped_targets, e) < 0 ||
        conf_str(c, "scrape_failure_log_file", &log, e) < 0 ||
        conf_bool(c, "scrape_native_histograms", &out->native_histograms, e) < 0 ||
        conf_bool(c, "always_scrape_classic_histograms", &out->always_classic, e) < 0 ||
        conf_bool(c, "convert_classic_histograms_to_nhcb", &out->convert_to_nhcb, e) < 0 ||
        conf_bool(c, "extra_scrape_metrics", &out->extra_metrics, e) < 0)
        return ERR_INVALID;
    if (log.n)
        out->failure_log_file = path_join(a, dir, log);
    return read_names_scheme(c, out, e);
}

/* --- global -------------------------------------------------------------------------------------------- */

/* $NAME and ${NAME} from the environment, $$ is a dollar. */
static struct str expand_env(struct arena *a, struct str s)
{
    struct buf out = {0};
    struct str r;

    if (str_chr(s, '$') < 0)
        return s;
    for (size_t i = 0; i < s.n; i++) {
        size_t k = i + 1, first;
        bool brace = k < s.n && s.p[k] == '{';

        if (s.p[i] != '$' || k >= s.n) {
            buf_putc(&out, s.p[i]);
            continue;
        }
        if (s.p[k] == '$') {
            buf_putc(&out, '$');
            i = k;
            continue;
        }
        for (first = k += brace; k < s.n && (brace ? s.p[k] != '}'
                                                   : s.p[k] == '_' || (s.p[k] >= '0' && s.p[k] <= '9') ||
                                                         ((s.p[k] | 32) >= 'a' && (s.p[k] | 32) <= 'z'));
             k++)
            ;
        struct str name = arena_dup(a, str_n(s.p + first, k - first));
        const char *value = getenv(name.p);
        if (!value && name.n)
            log_warn("scrape", "external_labels: environment variable %s is not set", name.p);
        buf_putz(&out, value ? value : "");
        i = brace ? k : k - 1;
    }
    r = arena_dup(a, buf_str(&out));
    buf_release(&out);
    return r;
}

static int read_external_labels(struct arena *a, struct conf *g, bool legacy, struct labels *out, struct err *e)
{
    if (read_label_map(a, g, "external_labels", legacy, out, e) < 0)
        return ERR_INVALID;
    for (uint32_t i = 0; i < out->n; i++)
        out->v[i].value = expand_env(a, out->v[i].value);
    return labels_normalise(out, e);
}

static int read_global(struct scrape_configs *cs, struct conf *root, struct str dir, struct scrape_common *out,
                       struct err *e)
{
    struct conf *g = copy_tree(cs->arena, conf_get(root, "global"));

    *out = (struct scrape_common){.interval_ms = 60000};
    cs->evaluation_interval_ms = 60000;
    cs->global = out;
    if (g) {
        if (conf_want(g, CONF_MAP, "global", e) < 0 || read_common(cs->arena, g, dir, out, e) < 0 ||
            conf_duration(g, "evaluation_interval", &cs->evaluation_interval_ms, e) < 0 ||
            conf_duration(g, "rule_query_offset", &cs->rule_query_offset_ms, e) < 0 ||
            conf_str(g, "query_log_file", &cs->query_log_file, e) < 0 ||
            read_external_labels(cs->arena, g, out->legacy_names, &cs->external_labels, e) < 0 ||
            conf_finish(g, "global", e) < 0)
            return ERR_INVALID;
        cs->query_log_file = path_join(cs->arena, dir, cs->query_log_file);
    }
    if (out->interval_ms == 0)
        out->interval_ms = 60000;
    if (cs->evaluation_interval_ms == 0)
        cs->evaluation_interval_ms = 60000;
    if (out->timeout_ms == 0)
        out->timeout_ms = MIN(INT64_C(10000), out->interval_ms);
    if (out->timeout_ms > out->interval_ms)
        return conf_err(g, e, "global scrape timeout greater than scrape interval");
    return 0;
}

/* --- a job ----------------------------------------------------------------------------------------------- */

static int refuse_other_discoveries(struct conf *c, struct err *e)
{
    static const char *const others[] = {
        "azure_sd_configs",     "consul_sd_configs",     "digitalocean_sd_configs", "dockerswarm_sd_configs",
        "ec2_sd_configs",       "eureka_sd_configs",     "gce_sd_configs",          "hetzner_sd_configs",
        "ionos_sd_configs",     "kubernetes_sd_configs", "kuma_sd_configs",         "lightsail_sd_configs",
        "linode_sd_configs",    "marathon_sd_configs",   "nerve_sd_configs",        "nomad_sd_configs",
        "openstack_sd_configs", "ovhcloud_sd_configs",   "puppetdb_sd_configs",     "scaleway_sd_configs",
        "serverset_sd_configs", "stackit_sd_configs",    "triton_sd_configs",       "uyuni_sd_configs",
        "vultr_sd_configs"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct conf *at = conf_get(c, others[i]);
        if (at)
            return conf_err(at, e,
                            "%s is not supported (static, file, http, dns and docker are; file_sd_configs takes the "
                            "output of any other)",
                            others[i]);
    }
    return 0;
}

static int check_times(struct conf *c, const struct scrape_common *global, struct scrape_common *own, struct err *e)
{
    if (own->interval_ms == 0)
        own->interval_ms = global->interval_ms;
    if (own->timeout_ms == 0)
        own->timeout_ms = MIN(global->timeout_ms, own->interval_ms);
    if (own->timeout_ms > own->interval_ms)
        return conf_err(c, e, "scrape timeout greater than scrape interval");
    return 0;
}

static int read_job_fields(struct arena *a, struct conf *c, struct str dir, struct scrape_config *out, struct err *e)
{
    unsigned fallback = PROTO_NONE;
    int64_t bucket_limit = 0;
    double bucket_factor = 0;

    if (conf_str(c, "job_name", &out->job, e) < 0)
        return ERR_INVALID;
    if (out->job.n == 0)
        return conf_err(c, e, "job_name is empty");
    if (read_common(a, c, dir, &out->common, e) < 0 ||
        read_word(c, "fallback_scrape_protocol", scrape_protocol_names, PROTOCOLS, &fallback, e) < 0 ||
        conf_str(c, "metrics_path", &out->metrics_path, e) < 0 || conf_str(c, "scheme", &out->scheme, e) < 0 ||
        read_params(a, c, out, e) < 0 || conf_bool(c, "honor_labels", &out->honor_labels, e) < 0 ||
        conf_bool(c, "honor_timestamps", &out->honor_timestamps, e) < 0 ||
        conf_bool(c, "track_timestamps_staleness", &out->track_timestamps_staleness, e) < 0 ||
        conf_bool(c, "enable_compression", &out->compression, e) < 0 ||
        conf_i64(c, "native_histogram_bucket_limit", &bucket_limit, e) < 0 ||
        conf_f64(c, "native_histogram_min_bucket_factor", &bucket_factor, e) < 0)
        return ERR_INVALID;
    out->fallback_protocol = (enum scrape_protocol)fallback;
    out->native_bucket_limit = (uint64_t)MAX(bucket_limit, INT64_C(0));
    out->native_min_bucket_factor = bucket_factor;
    if (!str_eqz(out->scheme, "http") && !str_eqz(out->scheme, "https"))
        return conf_err(conf_get(c, "scheme"), e, "scheme must be http or https");
    return 0;
}

static int read_job(struct scrape_configs *cs, struct conf *c, struct str dir, struct scrape_config *out, struct err *e)
{
    struct arena *a = cs->arena;
    bool legacy;

    *out = (struct scrape_config){.common = *cs->global,
                                  .metrics_path = STR("/metrics"),
                                  .scheme = STR("http"),
                                  .honor_timestamps = true,
                                  .compression = true};
    out->common.timeout_ms = out->common.interval_ms = 0;
    if (conf_want(c, CONF_MAP, "a scrape config", e) < 0 || read_job_fields(a, c, dir, out, e) < 0)
        return ERR_INVALID;
    legacy = out->common.legacy_names;
    if (check_times(c, cs->global, &out->common, e) < 0 || http_client_opts_read(a, c, dir, &out->http, e) < 0 ||
        relabel_read(a, conf_get(c, "relabel_configs"), legacy, &out->relabel, e) < 0 ||
        relabel_read(a, conf_get(c, "metric_relabel_configs"), legacy, &out->metric_relabel, e) < 0 ||
        refuse_other_discoveries(c, e) < 0 || read_sd_configs(a, c, dir, legacy, out, e) < 0 ||
        conf_finish(c, "scrape_configs", e) < 0)
        return e ? e->code : ERR_INVALID;
    return 0;
}

static void print_texts(struct arena *a, struct scrape_config *c)
{
    struct buf b = {0};

    print_series_part(c, &b);
    c->series_text = arena_dup(a, buf_str(&b));
    for (uint32_t i = 0; i < c->nsd; i++) {
        buf_reset(&b);
        print_sd_config(&c->sd[i], &b);
        c->sd[i].text = arena_dup(a, buf_str(&b));
    }
    buf_reset(&b);
    print_scrape_config(c, &b);
    c->text = arena_dup(a, buf_str(&b));
    buf_release(&b);
}

static int read_jobs(struct scrape_configs *cs, struct conf *list, struct str dir, struct err *e)
{
    struct scrape_config *v;

    if (!list)
        return 0;
    if (conf_want(list, CONF_LIST, "scrape_configs", e) < 0)
        return ERR_INVALID;
    v = arena_array(cs->arena, struct scrape_config, cs->n + list->n + 1);
    if (cs->n)
        memcpy(v, cs->v, sizeof(*v) * cs->n);
    cs->v = v;
    for (uint32_t i = 0; i < list->n; i++) {
        struct scrape_config *c = &v[cs->n];

        cs->n++; /* also when it fails: its regexes are released with the rest */
        if (read_job(cs, list->items[i], dir, c, e) < 0)
            return ERR_INVALID;
        for (uint32_t k = 0; k + 1 < cs->n; k++) {
            if (str_eq(v[k].job, c->job))
                return conf_err(list->items[i], e, "found multiple scrape configs with job name \"%.*s\"",
                                STR_ARG(str_head(c->job, 100)));
        }
        print_texts(cs->arena, c);
    }
    return 0;
}

static int read_job_file(struct scrape_configs *cs, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    struct str name = arena_dup(cs->arena, str_of(path));
    struct conf *root = NULL;

    if (conf_load(cs->arena, name.p, &root, e) < 0)
        return e ? e->code : ERR_INVALID;
    if (root->kind == CONF_NULL)
        return 0;
    if (conf_want(root, CONF_MAP, "a scrape config file", e) < 0 ||
        read_jobs(cs, conf_get(root, "scrape_configs"), str_head(name, slash ? (size_t)(slash - path) : 0), e) < 0 ||
        conf_finish(root, "scrape config file", e) < 0)
        return ERR_INVALID;
    return 0;
}

static int read_job_files(struct scrape_configs *cs, struct conf *root, struct str dir, struct err *e)
{
    struct str *patterns = NULL;
    uint32_t n = 0;
    int code = root ? conf_strs(cs->arena, root, "scrape_config_files", &patterns, &n, e) : 0;

    for (uint32_t i = 0; i < n && code == 0; i++) {
        glob_t g = {0};
        struct str pattern = arena_dup(cs->arena, path_join(cs->arena, dir, patterns[i]));

        if (glob(pattern.p, 0, NULL, &g) == 0) {
            for (size_t k = 0; k < g.gl_pathc && code == 0; k++)
                code = read_job_file(cs, g.gl_pathv[k], e);
        }
        globfree(&g);
    }
    return code;
}

/* --- life --------------------------------------------------------------------------------------------------- */

int scrape_configs_read(struct conf *root, struct str dir, struct scrape_configs **out, struct err *e)
{
    struct scrape_configs *cs = x_zalloc(sizeof(*cs));
    struct err why = {0}; /* so that there is one to read the code from */
    struct scrape_common *global;

    cs->arena = x_zalloc(sizeof(*cs->arena));
    cs->refs = 1;
    dir = arena_dup(cs->arena, dir);
    global = arena_new(cs->arena, struct scrape_common);
    if (read_global(cs, root, dir, global, &why) < 0 ||
        read_jobs(cs, copy_tree(cs->arena, conf_get(root, "scrape_configs")), dir, &why) < 0 ||
        read_job_files(cs, root, dir, &why) < 0) {
        scrape_configs_unref(cs);
        return err_set(e, why.code ? why.code : ERR_INVALID, "%s", why.text);
    }
    *out = cs;
    return 0;
}

struct scrape_configs *scrape_configs_ref(struct scrape_configs *c)
{
    __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void scrape_configs_unref(struct scrape_configs *c)
{
    if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (uint32_t i = 0; i < c->n; i++) {
        relabel_release(&c->v[i].relabel);
        relabel_release(&c->v[i].metric_relabel);
    }
    arena_release(c->arena);
    free(c->arena);
    free(c);
}
