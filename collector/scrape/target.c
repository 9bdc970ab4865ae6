/*
 * target.c - from discovered labels to a target: defaults, relabelling, address, URL, times.
 *
 * (1) A target is its public labels, its URL and its socket. Everything else about it may change while it lives.
 * (2) Interval and timeout come from labels after relabelling, so relabel_configs may set them for each target.
 */
#include "collector/scrape/target.h"

#include "net/form.h"

#include <stdlib.h>
#include <unistd.h>

/* --- label sets while they are worked on ------------------------------------------------------------------ */

struct set {
    struct label *v;
    uint32_t n, cap;
    struct arena *a;
};

static bool has(const struct set *s, struct str name)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (str_eq(s->v[i].name, name))
            return true;
    }
    return false;
}

static void add(struct set *s, struct str name, struct str value)
{
    if (has(s, name))
        return;
    if (s->n == s->cap) {
        uint32_t cap = s->cap * 2 + 16;
        struct label *v = arena_array(s->a, struct label, cap);

        if (s->n)
            memcpy(v, s->v, sizeof(*v) * s->n);
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = (struct label){name, value};
}

static void add_all(struct set *s, const struct labels *ls)
{
    for (uint32_t i = 0; i < ls->n; i++)
        add(s, ls->v[i].name, ls->v[i].value);
}

static struct str duration_text(struct arena *a, int64_t ms)
{
    char text[NUM_MAX];

    return arena_dup(a, str_n(text, duration_fmt(ms, text)));
}

static void add_defaults(struct set *s, const struct scrape_config *c)
{
    struct arena *a = s->a;

    add(s, STR("job"), c->job);
    add(s, STR("__scrape_interval__"), duration_text(a, c->common.interval_ms));
    add(s, STR("__scrape_timeout__"), duration_text(a, c->common.timeout_ms));
    add(s, STR("__metrics_path__"), c->metrics_path);
    add(s, STR("__scheme__"), c->scheme);
    add(s, STR("__scrape_native_histograms__"), c->common.native_histograms ? STR("true") : STR("false"));
    add(s, STR("__convert_classic_histograms_to_nhcb__"), c->common.convert_to_nhcb ? STR("true") : STR("false"));
    add(s, STR("__always_scrape_classic_histograms__"), c->common.always_classic ? STR("true") : STR("false"));
    for (uint32_t i = 0; i < c->nparams; i++) {
        if (c->params[i].n)
            add(s, arena_printf(a, "__param_%.*s", STR_ARG(c->params[i].name)), c->params[i].values[0]);
    }
}

/* --- URL ----------------------------------------------------------------------------------------------------- */

static void put_param(struct buf *out, bool *first, struct str name, struct str value)
{
    buf_putc(out, *first ? '?' : '&');
    *first = false;
    url_encode(out, name);
    buf_putc(out, '=');
    url_encode(out, value);
}

/* params of the job, where __param_NAME stands in for the first value; then __param_ labels the job does not have. */
static void put_params(struct buf *out, const struct scrape_config *c, const struct labels *ls)
{
    static const struct str prefix = {"__param_", 8};
    bool first = true;

    for (uint32_t i = 0; i < c->nparams; i++) {
        const struct url_param *p = &c->params[i];

        for (uint32_t k = 0; k < p->n; k++) {
            struct str value = p->values[k];

            for (uint32_t l = 0; k == 0 && l < ls->n; l++) {
                if (str_starts(ls->v[l].name, prefix) && str_eq(str_from(ls->v[l].name, prefix.n), p->name))
                    value = ls->v[l].value;
            }
            put_param(out, &first, p->name, value);
        }
    }
    for (uint32_t l = 0; l < ls->n; l++) {
        bool known = !str_starts(ls->v[l].name, prefix);

        for (uint32_t i = 0; i < c->nparams && !known; i++)
            known = c->params[i].n && str_eq(c->params[i].name, str_from(ls->v[l].name, prefix.n));
        if (!known)
            put_param(out, &first, str_from(ls->v[l].name, prefix.n), ls->v[l].value);
    }
}

static struct str make_url(const struct scrape_config *c, const struct labels *ls, struct arena *a)
{
    struct str path = labels_get(ls, STR("__metrics_path__")), s;
    struct buf b = {0};

    buf_puts(&b, labels_get(ls, STR("__scheme__")));
    buf_putz(&b, "://");
    buf_puts(&b, labels_get(ls, STR("__address__")));
    if (path.n && path.p[0] != '/')
        buf_putc(&b, '/');
    buf_puts(&b, path);
    put_params(&b, c, ls);
    s = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return s;
}

/* --- pipeline --------------------------------------------------------------------------------------------------- */

static int read_times(const struct labels *ls, struct target_plan *out, struct err *e)
{
    if (duration_parse(labels_get(ls, STR("__scrape_interval__")), &out->interval_ms, e) < 0)
        return err_ctx(e, "error parsing scrape interval");
    if (duration_parse(labels_get(ls, STR("__scrape_timeout__")), &out->timeout_ms, e) < 0)
        return err_ctx(e, "error parsing scrape timeout");
    if (out->interval_ms <= 0)
        return err_set(e, ERR_INVALID, "scrape interval cannot be 0");
    if (out->timeout_ms <= 0)
        return err_set(e, ERR_INVALID, "scrape timeout cannot be 0");
    if (out->timeout_ms > out->interval_ms)
        return err_set(e, ERR_INVALID, "scrape timeout cannot be greater than scrape interval");
    return 0;
}

static int read_switch(const struct labels *ls, const char *name, bool *out, struct err *e)
{
    struct str v = labels_get(ls, str_of(name));

    *out = str_eqz(v, "true");
    if (!*out && !str_eqz(v, "false"))
        return err_set(e, ERR_INVALID, "%s must be true or false, not \"%.*s\"", name, STR_ARG(str_head(v, 100)));
    return 0;
}

static struct hash128 plan_id(const struct target_plan *p)
{
    struct buf b = {0};
    struct hash128 h;

    labels_canonical(&b, &p->labels);
    buf_putc(&b, 0);
    buf_puts(&b, p->url);
    buf_putc(&b, 0);
    buf_puts(&b, p->unix_socket);
    h = hash128(b.p, b.n);
    buf_release(&b);
    return h;
}

int target_plan(const struct scrape_config *c, const struct target_group *g, const struct labels *own, struct arena *a,
                struct target_plan *out, struct err *e)
{
    struct set s = {.a = a};
    struct labels ls;
    struct str address;
    uint32_t n = 0;

    *out = (struct target_plan){0};
    add_all(&s, own);
    add_all(&s, &g->labels);
    add_defaults(&s, c);
    ls = (struct labels){s.v, s.n};
    for (uint32_t i = 0; i < ls.n; i++) {
        if (!utf8_valid(ls.v[i].value) || !utf8_valid(ls.v[i].name))
            return err_set(e, ERR_INVALID, "label \"%.*s\" is not UTF-8", STR_ARG(str_head(ls.v[i].name, 100)));
    }
    if (labels_normalise(&ls, e) < 0)
        return ERR_INVALID;
    out->discovered = ls;
    if (!relabel_apply(&c->relabel, a, &ls))
        return TARGET_DROPPED;
    address = labels_get(&ls, STR("__address__"));
    if (address.n == 0)
        return TARGET_DROPPED;
    if (!target_address_valid(address))
        return err_set(e, ERR_INVALID, "\"%.*s\" is not a valid hostname", STR_ARG(str_head(address, 200)));
    if (read_times(&ls, out, e) < 0 || read_switch(&ls, "__scrape_native_histograms__", &out->native, e) < 0 ||
        read_switch(&ls, "__convert_classic_histograms_to_nhcb__", &out->to_nhcb, e) < 0 ||
        read_switch(&ls, "__always_scrape_classic_histograms__", &out->always_classic, e) < 0)
        return ERR_INVALID;
    out->url = make_url(c, &ls, a);
    out->unix_socket = labels_get(&ls, STR("__unix_socket__"));
    out->labels.v = arena_array(a, struct label, ls.n + 1);
    for (uint32_t i = 0; i < ls.n; i++) {
        if (!str_starts(ls.v[i].name, STR("__")))
            out->labels.v[n++] = ls.v[i];
    }
    out->labels.n = n;
    if (labels_get(&ls, STR("instance")).n == 0)
        out->labels.v[out->labels.n++] = (struct label){STR("instance"), address};
    if (labels_normalise(&out->labels, e) < 0)
        return ERR_INVALID;
    out->id = plan_id(out);
    return TARGET_OK;
}

/* --- life -----------------------------------------------------------------------------------------------------------
 */

/* The same on every start of this host, another on the next one: spreads servers that scrape the same targets. */
static uint64_t server_seed(void)
{
    char host[256] = "";

    gethostname(host, sizeof(host) - 1);
    return fnv1a64(host, strlen(host));
}

struct target *target_new(const struct target_plan *p)
{
    struct target *t = x_zalloc(sizeof(*t));

    t->labels = labels_dup(&t->arena, &p->labels);
    t->url = arena_dup(&t->arena, p->url);
    t->unix_socket = arena_dup(&t->arena, p->unix_socket);
    t->id = p->id;
    pthread_mutex_init(&t->meta_mu, NULL);
    target_update(t, p);
    return t;
}

void target_update(struct target *t, const struct target_plan *p)
{
    uint64_t spread;

    arena_release(&t->discovered_arena);
    t->discovered = labels_dup(&t->discovered_arena, &p->discovered);
    t->interval_ms = p->interval_ms;
    t->timeout_ms = p->timeout_ms;
    t->native = p->native;
    t->to_nhcb = p->to_nhcb;
    t->always_classic = p->always_classic;
    spread = fnv1a64(&t->id, sizeof(t->id)) ^ server_seed();
    t->offset_ms = (int64_t)(spread % (uint64_t)t->interval_ms);
}

void family_free(struct family *f)
{
    if (!f)
        return;
    free((void *)(uintptr_t)f->m.family.p);
    free((void *)(uintptr_t)f->m.help.p);
    free((void *)(uintptr_t)f->m.unit.p);
    free(f);
}

void target_free(struct target *t)
{
    struct map_entry *m;
    uint32_t i = 0;

    if (!t)
        return;
    series_cache_release(&t->cache);
    while ((m = map_next(&t->meta, &i)))
        family_free(m->value);
    map_release(&t->meta);
    arena_release(&t->discovered_arena);
    arena_release(&t->arena);
    pthread_mutex_destroy(&t->meta_mu);
    free((void *)(uintptr_t)t->last_error.p);
    free(t);
}

/* --- times
 * ------------------------------------------------------------------------------------------------------------ */

int64_t target_next_ms(const struct target *t, int64_t now_ms)
{
    int64_t at = now_ms - now_ms % t->interval_ms + t->offset_ms;

    while (at < now_ms)
        at += t->interval_ms;
    while (at - t->interval_ms >= now_ms)
        at -= t->interval_ms;
    return at;
}

int64_t target_stamp_ms(int64_t interval_ms, int64_t ideal_ms, int64_t now_ns)
{
    int64_t off = now_ns - ideal_ms * 1000000, tolerance = MIN(interval_ms * 10000, INT64_C(2000000));

    return off <= tolerance && off >= -tolerance ? ideal_ms : now_ns / 1000000;
}

/* --- Accept
 * ------------------------------------------------------------------------------------------------------------ */

void accept_header(const struct scrape_config *c, bool native, struct buf *out)
{
    static const char *const types[PROTOCOLS] = {
        [PROTO_PROTOBUF] = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        [PROTO_OM_1_0_0] = "application/openmetrics-text;version=1.0.0",
        [PROTO_OM_0_0_1] = "application/openmetrics-text;version=0.0.1",
        [PROTO_TEXT_1_0_0] = "text/plain;version=1.0.0",
        [PROTO_TEXT_0_0_4] = "text/plain;version=0.0.4",
    };
    static const uint8_t usual[] = {PROTO_PROTOBUF, PROTO_OM_1_0_0, PROTO_OM_0_0_1, PROTO_TEXT_1_0_0, PROTO_TEXT_0_0_4};
    const uint8_t *order = c->common.protocols;
    uint32_t n = c->common.nprotocols;
    int weight = PROTOCOLS + 1;

    if (n == 0) {
        uint32_t skip = native ? 0 : 1;
        order = usual + skip;
        n = PROTOCOLS - skip;
    }
    for (uint32_t i = 0; i < n; i++, weight--) {
        bool escaping = order[i] == PROTO_OM_1_0_0 || order[i] == PROTO_TEXT_1_0_0;

        buf_printf(out, "%s%s%s;q=0.%d,", types[order[i]], escaping ? ";escaping=" : "",
                   escaping ? name_escaping_names[c->common.escaping] : "", weight);
    }
    buf_printf(out, "*/*;q=0.%d", weight);
}
