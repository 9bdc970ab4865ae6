/*
 * fn_info.c - info(V, {matchers}): adds the labels of info series (target_info, ...) that describe the same target.
 *
 * (1) Targets are told apart by instance and job. Labels that a series has already stay as they are.
 * (2) Of several info series of one name for one target the one with the newest sample counts; two equally new
 *     ones are an error.
 * (3) Info series are looked up at the time their subjects are: @ and offset of the first argument hold for both.
 */
#include "query/promql/eval.h"
#include "query/promql/plan.h"

#include <stdlib.h>

enum { LABELS_WORK = 512, STEP_WORK = 16 };

struct info_call {
    struct eval *ev;
    struct matcher *matchers; /* of the info selector, names among them */
    uint32_t nmatchers;
    struct matcher *names; /* of metric names: positive and negative */
    uint32_t nnames;
    struct matcher suffix; /* .+_info, where only negative ones were given */
    bool has_suffix;
    const struct matcher *data; /* of the second argument */
    uint32_t ndata;
    bool picks;         /* only labels that data matchers name are added */
    bool needs_match;   /* some data matcher rejects the empty string */
    struct vec info;    /* timestamps of info samples */
    struct map targets; /* instance and job -> first info row + 1 */
    uint32_t *next;     /* next info row of the target + 1 */
    struct query_pace pace;
    struct arena arena;
};

/* --- which info series ------------------------------------------------------------------------ */

static int collect_matchers(struct info_call *x, const struct node *call, struct err *e)
{
    bool positive = false;

    if (call->call.nargs > 1) {
        const struct node *sel = plan_unwrap(call->call.args[1]);

        x->data = sel->selector.matchers;
        x->ndata = sel->selector.nmatchers;
    }
    x->matchers = arena_array(&x->arena, struct matcher, x->ndata + 1);
    x->names = arena_array(&x->arena, struct matcher, x->ndata + 1);
    for (uint32_t i = 0; i < x->ndata; i++) {
        const struct matcher *m = &x->data[i];

        x->matchers[x->nmatchers++] = *m;
        if (str_eqz(m->name, LABEL_NAME)) {
            x->names[x->nnames++] = *m;
            positive |= m->op == MATCH_EQ || m->op == MATCH_RE;
        } else {
            x->picks = true;
            x->needs_match |= !matcher_matches(m, STR(""));
        }
    }
    if (positive)
        return 0;
    if (x->nnames) {
        if (matcher_init(&x->suffix, MATCH_RE, STR(LABEL_NAME), STR(".+_info"), e) < 0)
            return e->code;
        x->has_suffix = true;
    } else {
        x->suffix = (struct matcher){MATCH_EQ, STR(LABEL_NAME), STR("target_info"), NULL};
    }
    x->names[x->nnames++] = x->matchers[x->nmatchers++] = x->suffix;
    return 0;
}

static bool is_info(const struct info_call *x, struct str name)
{
    for (uint32_t i = 0; i < x->nnames; i++)
        if (!matcher_matches(&x->names[i], name))
            return false;
    return true;
}

static int find_selector(void *arg, struct node *n)
{
    if (n->kind != N_SELECTOR)
        return 0;
    *(struct node **)arg = n;
    return 1;
}

/* Reads the info series, their sample times as values. */
static int read_info(struct info_call *x, const struct node *call, const struct grid *g, struct err *e)
{
    struct node sel = {.kind = N_SELECTOR, .type = PQ_VECTOR, .start = call->start, .end = call->end}, *subject = NULL;
    struct source src = {.kind = SOURCE_TIMESTAMP, .selector = &sel, .range = &sel, .grid = *g, .where = "info"};

    sel.selector.matchers = x->matchers;
    sel.selector.nmatchers = x->nmatchers;
    if (promql_walk(call->call.args[0], find_selector, &subject))
        sel.selector.when = subject->selector.when;
    src.steps = eval_steps(g, &sel.selector.when, x->ev->lookback);
    return source_collect(x->ev, &src, &x->info, e);
}

/* --- targets ---------------------------------------------------------------------------------- */

/* False when the series names no target. */
static bool target_key(const struct labels *ls, struct buf *b)
{
    struct str instance = labels_get(ls, STR("instance")), job = labels_get(ls, STR("job"));

    buf_reset(b);
    buf_put_varint(b, instance.n);
    buf_puts(b, instance);
    buf_puts(b, job);
    return instance.n || job.n;
}

static int index_targets(struct info_call *x, struct err *e)
{
    struct buf b = {0};
    int code = 0;

    x->next = arena_array(&x->arena, uint32_t, x->info.n + 1);
    for (uint32_t i = x->info.n; i-- > 0 && code == 0;) {
        void **at;

        code = query_pace(&x->pace, LABELS_WORK, e);

        if (!target_key(&x->info.rows[i].labels, &b))
            continue;
        at = map_put(&x->targets, arena_dup(&x->arena, buf_str(&b)), NULL);
        x->next[i] = (uint32_t)(uintptr_t)*at;
        *at = (void *)(uintptr_t)(i + 1);
    }
    buf_release(&b);
    return code;
}

static int two_newest(const struct row *a, const struct row *b, int64_t t, struct err *e)
{
    struct buf text = {0};
    int code;

    labels_text(&text, &a->labels);
    buf_printf(&text, " @ %lld, new ", (long long)t);
    labels_text(&text, &b->labels);
    code = err_set(e, ERR_EXEC, "found duplicate series for info metric: existing %.*s @ %lld", (int)text.n, text.p,
                   (long long)t);
    buf_release(&text);
    return code;
}

/* --- one series ------------------------------------------------------------------------------- */

enum { CHOSEN_MAX = 64 };

/* The info rows that hold for a target at a step, one per name. */
struct choice {
    uint32_t rows[CHOSEN_MAX];
    uint32_t n;
};

static int choose(struct info_call *x, uint32_t first, uint32_t s, struct choice *c, struct err *e)
{
    c->n = 0;
    for (uint32_t i = first; i; i = x->next[i - 1]) {
        const struct row *r = &x->info.rows[i - 1];
        struct str name = labels_get(&r->labels, STR(LABEL_NAME));
        uint32_t k = 0;

        if (query_pace(&x->pace, STEP_WORK, e) < 0)
            return e->code;
        if (!r->has[s])
            continue;
        while (k < c->n && !str_eq(labels_get(&x->info.rows[c->rows[k]].labels, STR(LABEL_NAME)), name))
            k++;
        if (k == c->n) {
            if (k == CHOSEN_MAX)
                return err_set(e, ERR_LIMIT, "more than %d info metrics describe one target", CHOSEN_MAX);
            c->rows[c->n++] = i - 1;
        } else if (x->info.rows[c->rows[k]].v[s] < r->v[s]) {
            c->rows[k] = i - 1;
        } else if (x->info.rows[c->rows[k]].v[s] == r->v[s]) {
            return two_newest(&x->info.rows[c->rows[k]], r, (int64_t)(r->v[s] * 1000), e);
        }
    }
    return 0;
}

static bool picked(const struct info_call *x, struct str name)
{
    if (str_eqz(name, LABEL_NAME))
        return false;
    for (uint32_t i = 0; i < x->ndata && x->picks; i++)
        if (str_eq(x->data[i].name, name))
            return true;
    return !x->picks;
}

static int enrich(struct info_call *x, struct arena *a, const struct labels *base, const struct choice *c,
                  struct labels *out, struct err *e)
{
    *out = *base;
    for (uint32_t k = 0; k < c->n; k++) {
        const struct labels *from = &x->info.rows[c->rows[k]].labels;

        for (uint32_t i = 0; i < from->n; i++) {
            struct label l = from->v[i];
            struct str before;

            if (!picked(x, l.name) || labels_get(base, l.name).n)
                continue;
            before = labels_get(out, l.name);
            if (before.n && !str_eq(before, l.value))
                return err_set(e, ERR_EXEC, "conflicting label: %.*s", STR_ARG(l.name));
            if (!before.n)
                *out = labels_with(a, out, l.name, l.value);
        }
    }
    return 0;
}

static bool same_choice(const struct choice *a, const struct choice *b)
{
    return a->n == b->n && memcmp(a->rows, b->rows, a->n * sizeof *a->rows) == 0;
}

/* A row without points that continues `base` under other labels. */
static struct row *new_row(struct vec *out, const struct row *base, struct err *e)
{
    struct row *r = vec_add(out, "info", e);

    if (!r || (base->h && row_want_h(out, r, "info", e) < 0))
        return NULL;
    r->drop_name = base->drop_name;
    return r;
}

static int enrich_row(struct info_call *x, const struct row *base, struct vec *out, struct buf *b, struct err *e)
{
    struct choice now = {.n = 0}, before = {.n = 0};
    uint32_t first = 0;
    struct row *r = NULL;

    if (target_key(&base->labels, b))
        first = (uint32_t)(uintptr_t)map_get(&x->targets, buf_str(b));
    for (uint32_t s = 0; s < out->nsteps; s++) {
        if (!base->has[s])
            continue;
        if (choose(x, first, s, &now, e) < 0)
            return e->code;
        if (now.n == 0 && x->needs_match)
            continue;
        if (!r || !same_choice(&now, &before)) {
            r = new_row(out, base, e);
            if (!r || enrich(x, &out->pile.a, &base->labels, &now, &r->labels, e) < 0)
                return e->code;
            before = now;
        }
        r->has[s] = base->has[s];
        r->v[s] = base->v[s];
        if (base->has[s] == ROW_HIST)
            r->h[s] = base->h[s];
    }
    return 0;
}

static int enrich_all(struct info_call *x, struct vec *in, struct vec *out, struct err *e)
{
    struct buf b = {0};
    int code = 0;

    for (uint32_t i = 0; i < in->n && code == 0; i++) {
        const struct row *base = &in->rows[i];

        code = query_pace(&x->pace, LABELS_WORK + in->nsteps, e);
        if (code < 0)
            break;
        if (is_info(x, labels_get(&base->labels, STR(LABEL_NAME)))) {
            struct row *r = new_row(out, base, e);

            code = r ? 0 : e->code;
            if (r) {
                r->labels = base->labels;
                memcpy(r->v, base->v, in->nsteps * sizeof *r->v);
                memcpy(r->has, base->has, in->nsteps);
                if (base->h)
                    memcpy(r->h, base->h, in->nsteps * sizeof *r->h);
            }
            continue;
        }
        code = enrich_row(x, base, out, &b, e);
    }
    buf_release(&b);
    pile_join(&out->pile, &in->pile);
    return code < 0 ? code : vec_unify(out, e);
}

int fn_info(struct eval *ev, const struct node *call, const struct grid *g, struct vec *out, struct err *e)
{
    struct info_call x = {.ev = ev, .pace = {ev->q, "info", 0}};
    struct vec v;
    int code;

    vec_init(&x.info, ev->q, g->n);
    code = eval_vector(ev, call->call.args[0], g, &v, e);
    if (code == 0)
        code = collect_matchers(&x, call, e);
    if (code == 0)
        code = read_info(&x, call, g, e);
    if (code == 0)
        code = index_targets(&x, e);
    if (code == 0)
        code = enrich_all(&x, &v, out, e);
    vec_release(&v);
    pile_join(&out->pile, &x.info.pile);
    vec_release(&x.info);
    map_release(&x.targets);
    if (x.has_suffix)
        matcher_release(&x.suffix);
    arena_release(&x.arena);
    return code;
}
