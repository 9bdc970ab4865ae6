/* pool_json.c - a pool's configuration for the API, and what its target relabelling makes of labels, rule by rule. */
#include "collector/scrape/config_types.h"
#include "collector/scrape/relabel_rules.h"
#include "collector/scrape/scraper_private.h"

/* Under mu. */
static const struct scrape_pool *find_pool(const struct scraper *s, struct str name, struct err *e)
{
    struct buf b = {0};

    for (uint32_t i = 0; i < s->npools; i++)
        if (str_eq(s->pools[i]->name, name))
            return s->pools[i];
    buf_put_quoted(&b, str_head(name, 200));
    err_set(e, ERR_INVALID, "error retrieving scrape config: scrape pool %s not found", buf_z(&b));
    buf_release(&b);
    return NULL;
}

int scraper_pool_config_json(struct scraper *s, struct buf *out, struct str pool, struct err *e)
{
    const struct scrape_pool *p;
    struct buf yaml = {0};

    pthread_mutex_lock(&s->mu);
    p = find_pool(s, pool, e);
    if (p)
        print_scrape_config_shown(p->config, &yaml);
    pthread_mutex_unlock(&s->mu);
    if (!p)
        return ERR_INVALID;
    buf_putz(out, "{\"yaml\":");
    json_put_string(out, yaml.n ? buf_str(&yaml) : STR(""));
    buf_putc(out, '}');
    buf_release(&yaml);
    return 0;
}

/* --- steps -------------------------------------------------------------------------------------------------- */

static void put_rule(struct json *j, const struct relabel_rule *r)
{
    json_obj(j);
    if (r->nsources) {
        json_key(j, "source_labels");
        json_arr(j);
        for (uint32_t i = 0; i < r->nsources; i++)
            json_str(j, r->sources[i]);
        json_end_arr(j);
    }
    json_key(j, "separator");
    json_str(j, r->separator);
    json_key(j, "regex");
    json_str(j, r->regex_text);
    if (r->modulus) {
        json_key(j, "modulus");
        json_u64(j, r->modulus);
    }
    if (r->target.n) {
        json_key(j, "target_label");
        json_str(j, r->target);
    }
    json_key(j, "replacement");
    json_str(j, r->replacement);
    json_key(j, "action");
    json_strz(j, relabel_action_name(r->action));
    json_end_obj(j);
}

static void put_steps(struct json *j, const struct relabel *rules, struct arena *a, struct labels ls)
{
    bool keep = true;

    json_obj(j);
    json_key(j, "steps");
    json_arr(j);
    for (uint32_t i = 0; i < rules->n; i++) {
        struct relabel one = {rules->rules + i, 1};

        if (keep)
            keep = relabel_apply(&one, a, &ls);
        json_obj(j);
        json_key(j, "rule");
        put_rule(j, &rules->rules[i]);
        json_key(j, "output");
        json_obj(j);
        for (uint32_t k = 0; keep && k < ls.n; k++) {
            json_key_str(j, ls.v[k].name);
            json_str(j, ls.v[k].value);
        }
        json_end_obj(j);
        json_key(j, "keep");
        json_bool(j, keep);
        json_end_obj(j);
    }
    json_end_arr(j);
    json_end_obj(j);
}

int scraper_relabel_steps_json(struct scraper *s, struct buf *out, struct str pool, const struct labels *ls,
                               struct err *e)
{
    const struct scrape_pool *p;
    struct arena a = {0};
    struct json j;

    pthread_mutex_lock(&s->mu);
    p = find_pool(s, pool, e);
    if (p) {
        json_init(&j, out);
        put_steps(&j, &p->config->relabel, &a, *ls);
    }
    pthread_mutex_unlock(&s->mu);
    arena_release(&a);
    return p ? 0 : ERR_INVALID;
}
