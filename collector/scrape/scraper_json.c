/* scraper_json.c - what the API shows of targets, pools and the metadata targets exposed. */
#include "collector/scrape/scraper_private.h"

#include <stdlib.h>
#include <unistd.h>

static void put_labels(struct json *j, const struct labels *ls)
{
    json_obj(j);
    for (uint32_t i = 0; i < ls->n; i++) {
        json_key_str(j, ls->v[i].name);
        json_str(j, ls->v[i].value);
    }
    json_end_obj(j);
}

/* --- targets -------------------------------------------------------------------------------------------- */

static bool is_loopback(struct str host)
{
    return str_eqz(host, "localhost") || str_starts(host, STR("127.")) || str_eqz(host, "[::1]");
}

/* The URL as somebody on another machine would have to write it. */
static void put_global_url(struct json *j, struct str url)
{
    ptrdiff_t at = str_find(url, STR("://"));
    struct str host = at < 0 ? STR("") : str_from(url, (size_t)at + 3);
    struct buf b = {0};
    char name[256] = "";
    size_t n = 0;

    if (host.n && host.p[0] == '[')
        n = (size_t)(str_chr(host, ']') + 1);
    while (n < host.n && host.p[n] != ':' && host.p[n] != '/' && host.p[n] != '?')
        n++;
    if (!is_loopback(str_head(host, n)) || gethostname(name, sizeof(name) - 1) < 0) {
        json_str(j, url);
        return;
    }
    buf_puts(&b, str_head(url, (size_t)at + 3));
    buf_putz(&b, name);
    buf_puts(&b, str_from(host, n));
    json_str(j, buf_str(&b));
    buf_release(&b);
}

static void put_duration(struct json *j, int64_t ms)
{
    char text[NUM_MAX];

    json_str(j, str_n(text, duration_fmt(ms, text)));
}

static void put_target(struct json *j, const struct scrape_pool *p, const struct target *t)
{
    static const char *const health[] = {[HEALTH_UNKNOWN] = "unknown", [HEALTH_UP] = "up", [HEALTH_DOWN] = "down"};
    char when[NUM_MAX];

    json_obj(j);
    json_key(j, "discoveredLabels");
    put_labels(j, &t->discovered);
    json_key(j, "labels");
    put_labels(j, &t->labels);
    json_key(j, "scrapePool");
    json_str(j, p->name);
    json_key(j, "scrapeUrl");
    json_str(j, t->url);
    json_key(j, "globalUrl");
    put_global_url(j, t->url);
    json_key(j, "lastError");
    json_str(j, t->last_error.n ? t->last_error : STR(""));
    json_key(j, "lastScrape");
    json_str(j,
             t->last_scrape_ms ? str_n(when, time_fmt_rfc3339(t->last_scrape_ms, when)) : STR("0001-01-01T00:00:00Z"));
    json_key(j, "lastScrapeDuration");
    json_f64(j, (double)t->last_duration_ns / 1e9);
    json_key(j, "health");
    json_strz(j, health[t->health]);
    json_key(j, "scrapeInterval");
    put_duration(j, t->interval_ms);
    json_key(j, "scrapeTimeout");
    put_duration(j, t->timeout_ms);
    json_end_obj(j);
}

static bool wanted(const struct scrape_pool *p, struct str pool)
{
    return pool.n == 0 || str_eq(p->name, pool);
}

static void put_dropped(struct json *j, const struct scrape_pool *p)
{
    for (uint32_t i = 0; i < p->dropped_kept; i++) {
        json_obj(j);
        json_key(j, "discoveredLabels");
        put_labels(j, &p->dropped[i]);
        json_key(j, "scrapePool");
        json_str(j, p->name);
        json_end_obj(j);
    }
}

static int by_name(const void *a, const void *b)
{
    return str_cmp((*(struct scrape_pool *const *)a)->name, (*(struct scrape_pool *const *)b)->name);
}

/* Under mu: the pools by name. free() it. */
static struct scrape_pool **sorted_pools(const struct scraper *s)
{
    struct scrape_pool **v = x_alloc(sizeof(struct scrape_pool *) * (s->npools + 1));

    if (s->npools)
        memcpy(v, s->pools, sizeof(struct scrape_pool *) * s->npools);
    qsort(v, s->npools, sizeof(struct scrape_pool *), by_name);
    return v;
}

void scraper_targets_json(struct scraper *s, struct buf *out, struct str state, struct str pool)
{
    bool all = state.n == 0 || str_eq_nocase(state, STR("any"));
    bool active = all || str_eq_nocase(state, STR("active")), dropped = all || str_eq_nocase(state, STR("dropped"));
    struct scrape_pool **pools;
    struct json j;

    json_init(&j, out);
    pthread_mutex_lock(&s->mu);
    pools = sorted_pools(s);
    json_obj(&j);
    json_key(&j, "activeTargets");
    json_arr(&j);
    for (uint32_t i = 0; active && i < s->npools; i++) {
        for (uint32_t k = 0; wanted(pools[i], pool) && k < pools[i]->ntargets; k++)
            put_target(&j, pools[i], pools[i]->targets[k]);
    }
    json_end_arr(&j);
    json_key(&j, "droppedTargets");
    json_arr(&j);
    for (uint32_t i = 0; dropped && i < s->npools; i++) {
        if (wanted(pools[i], pool))
            put_dropped(&j, pools[i]);
    }
    json_end_arr(&j);
    json_key(&j, "droppedTargetCounts");
    json_obj(&j);
    for (uint32_t i = 0; dropped && i < s->npools; i++) {
        if (!wanted(pools[i], pool) || (i > 0 && str_eq(pools[i]->name, pools[i - 1]->name)))
            continue;
        json_key_str(&j, pools[i]->name);
        json_u64(&j, pools[i]->ndropped);
    }
    json_end_obj(&j);
    json_end_obj(&j);
    free(pools);
    pthread_mutex_unlock(&s->mu);
}

void scraper_pools_json(struct scraper *s, struct buf *out)
{
    struct scrape_pool **pools;
    struct json j;

    json_init(&j, out);
    json_obj(&j);
    json_key(&j, "scrapePools");
    json_arr(&j);
    pthread_mutex_lock(&s->mu);
    pools = sorted_pools(s);
    for (uint32_t i = 0; i < s->npools; i++)
        json_str(&j, pools[i]->name);
    free(pools);
    pthread_mutex_unlock(&s->mu);
    json_end_arr(&j);
    json_end_obj(&j);
}

/* --- match_target ------------------------------------------------------------------------------------------ */

struct selector {
    struct matcher m[32];
    uint32_t n;
};

static void skip_space(struct str *s)
{
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t' || s->p[0] == '\n'))
        *s = str_from(*s, 1);
}

/* A quoted text; escapes of a PromQL string that stand for one byte. */
static bool read_quoted(struct str *s, struct arena *a, struct str *out)
{
    struct buf b = {0};
    char quote;
    bool closed = false;

    if (s->n == 0 || (s->p[0] != '"' && s->p[0] != '\'' && s->p[0] != '`'))
        return false;
    quote = s->p[0];
    for (*s = str_from(*s, 1); s->n && !closed; *s = str_from(*s, 1)) {
        char c = s->p[0];

        if (c == quote) {
            closed = true;
            continue;
        }
        if (c == '\\' && quote != '`' && s->n > 1) {
            *s = str_from(*s, 1);
            c = s->p[0] == 'n' ? '\n' : s->p[0] == 't' ? '\t' : s->p[0] == 'r' ? '\r' : s->p[0];
        }
        buf_putc(&b, c);
    }
    *out = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return closed;
}

static bool read_name(struct str *s, struct arena *a, struct str *out)
{
    size_t n = 0;

    if (s->n && (s->p[0] == '"' || s->p[0] == '\''))
        return read_quoted(s, a, out);
    while (n < s->n && (s->p[n] == '_' || s->p[n] == ':' || (s->p[n] >= '0' && s->p[n] <= '9') ||
                        ((s->p[n] | 32) >= 'a' && (s->p[n] | 32) <= 'z')))
        n++;
    *out = str_head(*s, n);
    *s = str_from(*s, n);
    return n > 0;
}

static bool add_matcher(struct selector *sel, enum match_op op, struct str name, struct str value)
{
    if (sel->n == ARRAY_LEN(sel->m) || matcher_init(&sel->m[sel->n], op, name, value, NULL) < 0)
        return false;
    sel->n++;
    return true;
}

static bool read_matcher(struct selector *sel, struct str *s, struct arena *a)
{
    static const struct {
        struct str text;
        enum match_op op;
    } ops[] = {{{"=~", 2}, MATCH_RE}, {{"!~", 2}, MATCH_NRE}, {{"!=", 2}, MATCH_NE}, {{"=", 1}, MATCH_EQ}};
    struct str name, value;

    skip_space(s);
    if (!read_name(s, a, &name))
        return false;
    skip_space(s);
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (!str_starts(*s, ops[i].text))
            continue;
        *s = str_from(*s, ops[i].text.n);
        skip_space(s);
        return read_quoted(s, a, &value) && add_matcher(sel, ops[i].op, name, value);
    }
    return add_matcher(sel, MATCH_EQ, STR(LABEL_NAME), name); /* {"name"} */
}

/* name{matchers}. false: not a selector. */
static bool read_selector(struct selector *sel, struct str s, struct arena *a)
{
    struct str name;

    sel->n = 0;
    skip_space(&s);
    if (s.n && s.p[0] != '{' && (!read_name(&s, a, &name) || !add_matcher(sel, MATCH_EQ, STR(LABEL_NAME), name)))
        return false;
    skip_space(&s);
    if (s.n == 0)
        return sel->n > 0;
    if (s.p[0] != '{')
        return false;
    for (s = str_from(s, 1);; s = str_from(s, 1)) {
        skip_space(&s);
        if (s.n && s.p[0] == '}')
            return true;
        if (!read_matcher(sel, &s, a))
            return false;
        skip_space(&s);
        if (s.n == 0 || (s.p[0] != ',' && s.p[0] != '}'))
            return false;
        if (s.p[0] == '}')
            return true;
    }
}

/* --- metadata ------------------------------------------------------------------------------------------------- */

static void put_family(struct json *j, const struct target *t, const struct family *f, bool name)
{
    json_obj(j);
    json_key(j, "target");
    put_labels(j, &t->labels);
    if (name) {
        json_key(j, "metric");
        json_str(j, f->m.family);
    }
    json_key(j, "type");
    json_strz(j, metric_type_name(f->m.type));
    json_key(j, "help");
    json_str(j, f->m.help.n ? f->m.help : STR(""));
    json_key(j, "unit");
    json_str(j, f->m.unit.n ? f->m.unit : STR(""));
    json_end_obj(j);
}

/* Returns how many were written. */
static int64_t put_families(struct json *j, struct target *t, struct str metric)
{
    struct map_entry *m;
    uint32_t i = 0;
    int64_t n = 0;

    pthread_mutex_lock(&t->meta_mu);
    if (metric.n) {
        const struct family *f = map_get(&t->meta, metric);

        if (f) {
            put_family(j, t, f, false);
            n++;
        }
    } else {
        for (; (m = map_next(&t->meta, &i)); n++)
            put_family(j, t, m->value, true);
    }
    pthread_mutex_unlock(&t->meta_mu);
    return n;
}

void scraper_targets_metadata_json(struct scraper *s, struct buf *out, struct str match_target, struct str metric,
                                   int64_t limit)
{
    struct arena a = {0};
    struct selector sel = {.n = 0};
    bool valid = match_target.n == 0 || read_selector(&sel, match_target, &a);
    int64_t n = 0;
    struct json j;

    json_init(&j, out);
    json_arr(&j);
    pthread_mutex_lock(&s->mu);
    for (uint32_t i = 0; valid && i < s->npools; i++) {
        const struct scrape_pool *p = s->pools[i];

        for (uint32_t k = 0; k < p->ntargets && (limit <= 0 || n < limit); k++) {
            if (matchers_match(sel.m, sel.n, &p->targets[k]->labels))
                n += put_families(&j, p->targets[k], metric);
        }
    }
    pthread_mutex_unlock(&s->mu);
    json_end_arr(&j);
    for (uint32_t i = 0; i < sel.n; i++)
        matcher_release(&sel.m[i]);
    arena_release(&a);
}
