/* stage_filter.c - match, drop, limit, sampling: which entries go on, and through which stages. */
#include "collector/files/pipeline.h"

#include <stdlib.h>

/* --- match ------------------------------------------------------------------------------------------------ */

struct match_config {
    const struct files_selectors *selectors; /* the caller's, which lives as long as the program */
    void *selector;
    bool drop;
};

static int read_match(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct match_config *k = arena_new(r->a, struct match_config);
    struct str selector = STR_NULL, name, action = STR("keep"), reason;
    struct err why = {0};

    s->config = k;
    if (conf_want(c, CONF_MAP, "match", e) < 0 || conf_str(c, "selector", &selector, e) < 0 || conf_str(c, "action", &action, e) < 0 ||
        conf_str(c, "pipeline_name", &name, e) < 0 || conf_str(c, "drop_counter_reason", &reason, e) < 0)
        return ERR_INVALID;
    s->body = conf_get(c, "stages");
    k->drop = str_eqz(action, "drop");
    if (!selector.n)
        return conf_err(c, e, "match: selector is required");
    if (!k->drop && !str_eqz(action, "keep"))
        return conf_err(c, e, "match: action is keep or drop, not \"%.*s\"", STR_ARG(str_head(action, 50)));
    if (k->drop ? s->body != NULL : !s->body)
        return conf_err(c, e, k->drop ? "match: with action drop there are no stages" : "match: stages are required");
    if (!r->selectors)
        return conf_err(c, e, "match: nobody here reads LogQL selectors");
    k->selectors = r->selectors;
    if (r->selectors->compile(r->selectors->arg, selector, &k->selector, &why) < 0)
        return conf_err(conf_get(c, "selector"), e, "match: selector: %s", why.text);
    return conf_finish(c, "match", e);
}

static void release_match(struct stage *s)
{
    struct match_config *k = s->config;

    if (k->selector)
        k->selectors->release(k->selector);
}

static enum stage_result run_match(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct match_config *k = s->config;
    struct labels ls = {arena_alloc(run->a, sizeof(struct label) * (en->nlabels + 1)), 0};

    for (uint32_t i = 0; i < en->nlabels; i++) {
        uint32_t at = ls.n;

        if (!en->labels[i].value.n)
            continue;
        for (; at > 0 && str_cmp(en->labels[i].name, ls.v[at - 1].name) < 0; at--)
            ls.v[at] = ls.v[at - 1];
        ls.v[at] = en->labels[i];
        ls.n++;
    }
    if (!k->selectors->matches(k->selector, &ls, en->line))
        return STAGE_SKIP;
    run->p->dropped += k->drop;
    return k->drop ? STAGE_STOP : STAGE_NEXT;
}

const struct stage_type pipe_match = {.name = "match", .read = read_match, .run = run_match, .release = release_match};

/* --- drop --------------------------------------------------------------------------------------------------- */

struct drop_config {
    struct str *sources, separator, value;
    uint32_t nsources;
    struct regex *re;
    int64_t older_ns;
    uint64_t longer;
};

/* One name, or a list of names. */
static int read_sources(struct arena *a, struct conf *c, struct str **out, uint32_t *n, struct err *e)
{
    struct conf *v = conf_get(c, "source");

    if (!v || v->kind == CONF_LIST)
        return conf_strs(a, c, "source", out, n, e);
    if (conf_want(v, CONF_SCALAR, "source", e) < 0)
        return ERR_INVALID;
    *out = arena_new(a, struct str);
    **out = v->text;
    *n = v->text.n > 0;
    return 0;
}

static int read_drop(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct drop_config *k = arena_new(r->a, struct drop_config);
    struct str reason;
    int64_t older_ms = 0;

    s->config = k;
    k->separator = STR(";");
    if (conf_want(c, CONF_MAP, "drop", e) < 0 || read_sources(r->a, c, &k->sources, &k->nsources, e) < 0 ||
        conf_str(c, "separator", &k->separator, e) < 0 || conf_str(c, "value", &k->value, e) < 0 ||
        conf_str(c, "drop_counter_reason", &reason, e) < 0 || conf_duration(c, "older_than", &older_ms, e) < 0 ||
        conf_size(c, "longer_than", &k->longer, e) < 0 || stage_read_regex(c, "expression", &k->re, e) < 0)
        return ERR_INVALID;
    k->older_ns = older_ms * 1000000;
    if (k->re && k->value.p)
        return conf_err(c, e, "drop: expression or value, not both");
    if (k->value.p && !k->nsources)
        return conf_err(c, e, "drop: a value needs a source to compare with");
    if (!k->re && !k->value.p && !k->nsources && !k->older_ns && !k->longer)
        return conf_err(c, e, "drop: one of source, value, expression, older_than or longer_than is required");
    for (uint32_t i = 0; i < k->nsources; i++)
        k->sources[i] = arena_dup(r->a, k->sources[i]);
    k->separator = arena_dup(r->a, k->separator);
    if (k->value.p)
        k->value = arena_dup(r->a, k->value);
    return conf_finish(c, "drop", e);
}

static void release_drop(struct stage *s)
{
    regex_free(((struct drop_config *)s->config)->re);
}

/* The sources' values joined; false: one of them is not there. */
static bool joined(struct pipe_run *run, const struct drop_config *k, const struct entry *en, struct str *out)
{
    struct buf b = {0};
    bool ok = true;

    if (k->nsources <= 1)
        return entry_input(run, en, k->nsources ? k->sources[0] : STR(""), out);
    for (uint32_t i = 0; ok && i < k->nsources; i++) {
        struct str v;

        ok = entry_get(run, en, k->sources[i], &v);
        if (ok && i)
            buf_puts(&b, k->separator);
        if (ok)
            buf_puts(&b, v);
    }
    *out = arena_dup(run->a, buf_str(&b));
    buf_release(&b);
    return ok;
}

/* Everything asked for must hold. */
static enum stage_result run_drop(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct drop_config *k = s->config;
    struct str text;

    if (k->longer && en->line.n <= k->longer)
        return STAGE_NEXT;
    if (k->older_ns && en->t_ns >= run->now_ns - k->older_ns)
        return STAGE_NEXT;
    if (k->nsources || k->re) {
        if (!joined(run, k, en, &text) || (k->re && !regex_match(k->re, text)) || (k->value.p && !str_eq(text, k->value)))
            return STAGE_NEXT;
    }
    run->p->dropped++;
    return STAGE_STOP;
}

const struct stage_type pipe_drop = {.name = "drop", .read = read_drop, .run = run_drop, .release = release_drop};

/* --- limit ---------------------------------------------------------------------------------------------------- */

struct limit_config {
    double rate, burst;
    bool drop;
    struct str label;
    int64_t distinct_max;
};

struct bucket {
    uint64_t key;
    double tokens;
    int64_t at_ms;
    uint64_t used;
};

struct limit_state {
    struct bucket *v;
    uint32_t n, max;
    uint64_t clock;
};

static int read_limit(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct limit_config *k = arena_new(r->a, struct limit_config);

    s->config = k;
    k->distinct_max = 10000;
    if (conf_want(c, CONF_MAP, "limit", e) < 0 || conf_f64(c, "rate", &k->rate, e) < 0 || conf_f64(c, "burst", &k->burst, e) < 0 ||
        conf_bool(c, "drop", &k->drop, e) < 0 || conf_str(c, "by_label_name", &k->label, e) < 0 ||
        conf_i64(c, "max_distinct_labels", &k->distinct_max, e) < 0)
        return ERR_INVALID;
    if (!(k->rate > 0) || !(k->burst >= 1))
        return conf_err(c, e, "limit: rate and burst must be above 0");
    if (k->label.n && !k->drop)
        return conf_err(c, e, "limit: by_label_name needs drop: true");
    if (k->distinct_max < 1 || k->distinct_max > 1000000)
        return conf_err(c, e, "limit: max_distinct_labels must be 1 to 1000000");
    k->label = arena_dup(r->a, k->label);
    return conf_finish(c, "limit", e);
}

static void *limit_new(const struct stage *s)
{
    const struct limit_config *k = s->config;
    struct limit_state *st = x_zalloc(sizeof(*st));

    st->max = k->label.n ? (uint32_t)k->distinct_max : 1;
    return st;
}

static void limit_free(void *state)
{
    free(((struct limit_state *)state)->v);
    free(state);
}

/* The bucket of a key; of too many the one used longest ago makes room. */
static struct bucket *bucket_of(struct limit_state *st, uint64_t key, double burst, int64_t now_ms)
{
    struct bucket *oldest = NULL;

    for (uint32_t i = 0; i < st->n; i++) {
        if (st->v[i].key == key)
            return &st->v[i];
        if (!oldest || st->v[i].used < oldest->used)
            oldest = &st->v[i];
    }
    if (st->n < st->max) {
        st->v = x_realloc(st->v, sizeof(*st->v) * (st->n + 1));
        oldest = &st->v[st->n++];
    }
    *oldest = (struct bucket){.key = key, .tokens = burst, .at_ms = now_ms};
    return oldest;
}

/* Without drop the entry goes on, on credit, and reading pauses until the credit is paid back. */
static enum stage_result run_limit(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct limit_config *k = s->config;
    struct limit_state *st = run->p->job_state[s->number];
    struct str value = STR("");
    struct bucket *b;

    for (uint32_t i = 0; k->label.n && i < en->nlabels; i++) {
        if (str_eq(en->labels[i].name, k->label))
            value = en->labels[i].value;
    }
    if (k->label.n && !value.n)
        return STAGE_NEXT;
    b = bucket_of(st, hash64(value.p, value.n), k->burst, run->now_ms);
    b->tokens = MIN(k->burst, b->tokens + k->rate * (double)(run->now_ms - b->at_ms) / 1000);
    b->at_ms = run->now_ms;
    b->used = ++st->clock;
    if (b->tokens < 1 && k->drop) {
        run->p->dropped++;
        return STAGE_STOP;
    }
    b->tokens -= 1;
    if (b->tokens < 0)
        run->p->wait_until_ms = run->now_ms + (int64_t)(-b->tokens / k->rate * 1000) + 1;
    return STAGE_NEXT;
}

const struct stage_type pipe_limit = {.name = "limit", .read = read_limit, .run = run_limit, .job_new = limit_new, .job_free = limit_free};

/* --- sampling --------------------------------------------------------------------------------------------------- */

static int read_sampling(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    double *rate = arena_new(r->a, double);
    struct str reason;

    s->config = rate;
    *rate = -1;
    if (conf_want(c, CONF_MAP, "sampling", e) < 0 || conf_f64(c, "rate", rate, e) < 0 || conf_str(c, "drop_counter_reason", &reason, e) < 0)
        return ERR_INVALID;
    if (!(*rate >= 0 && *rate <= 1))
        return conf_err(c, e, "sampling: a rate between 0 and 1 is required");
    return conf_finish(c, "sampling", e);
}

static void *sampling_new(const struct stage *s)
{
    uint64_t *seed = x_alloc(sizeof(*seed));

    (void)s;
    *seed = (uint64_t)clock_wall_ns() | 1;
    return seed;
}

static enum stage_result run_sampling(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    uint64_t *x = run->p->job_state[s->number];

    (void)en;
    *x ^= *x << 13; /* xorshift64 */
    *x ^= *x >> 7;
    *x ^= *x << 17;
    if ((double)(*x >> 11) * 0x1p-53 < *(double *)s->config)
        return STAGE_NEXT;
    run->p->dropped++;
    return STAGE_STOP;
}

const struct stage_type pipe_sampling = {.name = "sampling", .read = read_sampling, .run = run_sampling, .job_new = sampling_new, .job_free = free};
