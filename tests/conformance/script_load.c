/*
 * script_load.c - the load command: series with values, start timestamps, and classic histograms turned into native
 * ones.
 */
#include "query/vector/histogram.h"
#include "tests/conformance/script.h"

#include <math.h>
#include <stdlib.h>

/* --- values ----------------------------------------------------------------------------------- */

static const struct hist_bucket *buckets_of(struct arena *a, const double *n, uint32_t count, int32_t offset,
                                            uint32_t *out)
{
    struct hist_bucket *b = arena_array(a, struct hist_bucket, count + 1);

    for (uint32_t i = 0; i < count; i++)
        b[i] = (struct hist_bucket){offset + (int32_t)i, n[i]};
    *out = count;
    return b;
}

struct histogram *histogram_of_desc(struct arena *a, const struct sd_histogram *d)
{
    static const uint8_t hints[] = {[SD_HINT_UNKNOWN] = HIST_UNKNOWN,
                                    [SD_HINT_RESET] = HIST_RESET,
                                    [SD_HINT_NOT_RESET] = HIST_NOT_RESET,
                                    [SD_HINT_GAUGE] = HIST_GAUGE};
    struct histogram *h = arena_new(a, struct histogram);

    h->schema = d->schema;
    h->hint = hints[d->hint];
    h->sum = d->sum;
    h->count = d->count;
    h->zero_count = d->zero_count;
    h->zero_threshold = d->zero_threshold;
    h->pos = buckets_of(a, d->pos, d->npos, d->pos_offset, &h->npos);
    h->neg = buckets_of(a, d->neg, d->nneg, d->neg_offset, &h->nneg);
    h->bounds = d->custom;
    h->nbounds = d->ncustom;
    return h;
}

/* --- start timestamps: labels@st ITEM... ------------------------------------------------------ */

struct starts {
    int64_t *v; /* per position; INT64_MIN: none */
    uint32_t n, cap;
};

static void push_start(struct starts *s, int64_t v)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->v = x_realloc(s->v, s->cap * sizeof *s->v);
    }
    s->v[s->n++] = v;
}

/* A signed duration at the start of *s. */
static int take_duration(struct str *s, int64_t *ms, struct err *e)
{
    bool negative = s->n && s->p[0] == '-';
    size_t n;

    if (s->n && (s->p[0] == '-' || s->p[0] == '+'))
        *s = str_from(*s, 1);
    for (n = 0; n < s->n && s->p[n] != 'x' && s->p[n] != '+' && s->p[n] != '-'; n++)
        ;
    if (duration_parse(str_head(*s, n), ms, e) < 0)
        return e->code;
    if (negative)
        *ms = -*ms;
    *s = str_from(*s, n);
    return 0;
}

static int take_times(struct str s, uint64_t *times, struct err *e)
{
    if (s.n == 0 || s.p[0] != 'x' || !str_to_u64(str_from(s, 1), times) || *times > 1000000)
        return err_set(e, ERR_INVALID, "expected xN, got \"%.*s\"", STR_ARG(s));
    return 0;
}

static int start_item(struct starts *s, struct str item, struct err *e)
{
    uint64_t times = 0;
    int64_t v, each = 0;

    if (item.p[0] == '_') {
        if (item.n > 1 && take_times(str_from(item, 1), &times, e) < 0)
            return e->code;
        for (uint64_t i = 0; i < (item.n > 1 ? times : 1); i++)
            push_start(s, INT64_MIN);
        return 0;
    }
    if (take_duration(&item, &v, e) < 0)
        return e->code;
    if (item.n && item.p[0] != 'x' && take_duration(&item, &each, e) < 0)
        return e->code;
    if (item.n && take_times(item, &times, e) < 0)
        return e->code;
    for (uint64_t i = 0; i <= times; i++)
        push_start(s, v + (int64_t)i * each);
    return 0;
}

static int read_starts(struct str items, struct starts *s, struct err *e)
{
    s->n = 0;
    while ((items = str_trim(items)).n) {
        size_t n = 0;

        while (n < items.n && items.p[n] != ' ' && items.p[n] != '\t')
            n++;
        if (start_item(s, str_head(items, n), e) < 0)
            return e->code;
        items = str_from(items, n);
    }
    return 0;
}

/* Is this the line of start timestamps? Then *rest is what follows "@st". */
static bool is_starts(struct arena *a, struct str line, struct labels *ls, struct str *rest)
{
    struct err ignored;

    if (str_find(line, STR("@st")) < 0 || series_desc_metric(a, line, ls, rest, &ignored) < 0 ||
        !str_starts(*rest, STR("@st")))
        return false;
    *rest = str_from(*rest, 3);
    return true;
}

/* --- series ----------------------------------------------------------------------------------- */

static void fill(struct arena *a, const struct series_desc *d, int64_t step, const struct starts *st,
                 struct script_series *out)
{
    int64_t *t = arena_array(a, int64_t, d->n + 1), *starts = arena_array(a, int64_t, d->n + 1);
    double *v = arena_array(a, double, d->n + 1);
    const struct histogram **h = arena_array(a, const struct histogram *, d->n + 1);
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->n; i++) {
        if (d->values[i].omitted)
            continue;
        t[n] = (int64_t)i * step;
        starts[n] = st->n && st->v[i] != INT64_MIN ? t[n] + st->v[i] : 0;
        v[n] = d->values[i].v;
        h[n++] = d->values[i].h ? histogram_of_desc(a, d->values[i].h) : NULL;
    }
    *out = (struct script_series){.labels = d->labels, .n = n, .t = t, .v = v, .st = st->n ? starts : NULL, .h = h};
}

/* A later definition of the same series replaces the earlier. */
static struct script_series *place_of(struct script_series *all, uint32_t *n, const struct labels *ls)
{
    for (uint32_t i = 0; i < *n; i++)
        if (labels_eq(&all[i].labels, ls))
            return &all[i];
    return &all[(*n)++];
}

static int read_series(struct script *s, struct block *b, int64_t step, struct script_series *all, uint32_t *n,
                       struct err *e)
{
    struct starts st = {0};
    int code = 0;

    for (uint32_t i = 0; i < b->n && code == 0; i++) {
        struct series_desc d;
        struct labels ls;
        struct str rest;

        if (is_starts(&s->arena, b->lines[i], &ls, &rest)) {
            code = read_starts(rest, &st, e);
            continue;
        }
        code = series_desc_parse(&s->arena, b->lines[i], &d, e);
        if (code == 0 && st.n && st.n != d.n)
            code = err_set(e, ERR_INVALID, "%u start timestamps for %u values", st.n, d.n);
        if (code == 0)
            fill(&s->arena, &d, step, &st, place_of(all, n, &d.labels));
        st.n = 0;
    }
    free(st.v);
    return code;
}

int script_load(struct script *s, struct str line, struct block *b, struct err *e)
{
    struct str word, step = line;
    struct script_series *all = arena_array(&s->arena, struct script_series, b->n + 1), *nhcb;
    uint32_t n = 0, nn;
    int64_t ms;

    str_cut(&step, ' ', &word);
    if (duration_parse(str_trim(step), &ms, e) < 0 || read_series(s, b, ms, all, &n, e) < 0 || script_db_add(s->db, all, n, e) < 0)
        return e->code;
    if (!str_eq_nocase(word, STR("load_with_nhcb")))
        return 0;
    nhcb_make(&s->arena, all, n, &nhcb, &nn);
    return script_db_add(s->db, nhcb, nn, e);
}

/* --- classic to native ------------------------------------------------------------------------ */

/* One classic histogram: its series by bound, _count and _sum. */
struct classic {
    struct labels labels;
    const struct script_series **buckets;
    double *le;
    uint32_t n;
    const struct script_series *count, *sum;
};

static const double *value_at(const struct script_series *s, int64_t t)
{
    for (uint32_t i = 0; s && i < s->n; i++)
        if (s->t[i] == t && !(s->h && s->h[i]) && !is_stale(s->v[i]))
            return &s->v[i];
    return NULL;
}

static struct labels base_labels(struct arena *a, const struct labels *ls, size_t suffix)
{
    struct labels out = {.v = arena_array(a, struct label, ls->n + 1)};

    for (uint32_t i = 0; i < ls->n; i++) {
        struct label l = ls->v[i];

        if (str_eqz(l.name, "le"))
            continue;
        if (str_eqz(l.name, LABEL_NAME))
            l.value.n -= suffix;
        out.v[out.n++] = l;
    }
    return out;
}

static struct classic *classic_of(struct classic *all, uint32_t *n, const struct labels *ls)
{
    for (uint32_t i = 0; i < *n; i++)
        if (labels_eq(&all[i].labels, ls))
            return &all[i];
    all[*n] = (struct classic){.labels = *ls};
    return &all[(*n)++];
}

static void sort_in(struct arena *a, struct classic *c, const struct script_series *s, double le, uint32_t max)
{
    uint32_t i;

    if (!c->buckets) {
        c->buckets = arena_array(a, const struct script_series *, max + 1);
        c->le = arena_array(a, double, max + 1);
    }
    for (i = c->n++; i > 0 && c->le[i - 1] > le; i--) {
        c->le[i] = c->le[i - 1];
        c->buckets[i] = c->buckets[i - 1];
    }
    c->le[i] = le;
    c->buckets[i] = s;
}

static void collect(struct arena *a, const struct script_series *in, uint32_t n, struct classic *all, uint32_t *nall)
{
    for (uint32_t i = 0; i < n; i++) {
        struct str name = labels_get(&in[i].labels, STR(LABEL_NAME));
        struct labels ls;
        bool range;
        double le;

        if (str_ends(name, STR("_bucket"))) {
            if (!num_parse(labels_get(&in[i].labels, STR("le")), &le, &range) || isnan(le))
                continue;
            ls = base_labels(a, &in[i].labels, 7);
            sort_in(a, classic_of(all, nall, &ls), &in[i], le, n);
        } else if (str_ends(name, STR("_count"))) {
            ls = base_labels(a, &in[i].labels, 6);
            classic_of(all, nall, &ls)->count = &in[i];
        } else if (str_ends(name, STR("_sum"))) {
            ls = base_labels(a, &in[i].labels, 4);
            classic_of(all, nall, &ls)->sum = &in[i];
        }
    }
}

/* The histogram of one time, or NULL when nothing was recorded then. */
static const struct histogram *nhcb_at(struct arena *a, const struct classic *c, int64_t t)
{
    struct histogram *h = arena_new(a, struct histogram);
    struct hist_bucket *b = arena_array(a, struct hist_bucket, c->n + 2);
    double *bounds = arena_array(a, double, c->n + 1), before = 0;
    const double *count = value_at(c->count, t), *sum = value_at(c->sum, t), *v;
    bool any = count || sum;

    for (uint32_t i = 0; i < c->n; i++) {
        v = value_at(c->buckets[i], t);
        if (!v)
            continue;
        any = true;
        if (i && h->npos && isfinite(c->le[i]) && bounds[h->nbounds - 1] == c->le[i])
            continue;
        b[h->npos] = (struct hist_bucket){(int32_t)h->npos, *v - before};
        h->npos++;
        before = *v;
        if (!isinf(c->le[i]))
            bounds[h->nbounds++] = c->le[i];
    }
    if (!any)
        return NULL;
    h->schema = HIST_CUSTOM;
    h->count = count ? *count : before;
    h->sum = sum ? *sum : 0;
    if (h->npos == h->nbounds && h->npos) {
        b[h->npos] = (struct hist_bucket){(int32_t)h->npos, h->count - before};
        h->npos++;
    }
    h->pos = b;
    h->bounds = bounds;
    return h;
}

static void classic_times(const struct classic *c, int64_t *t, uint32_t *n)
{
    for (uint32_t i = 0; i < c->n + 2; i++) {
        const struct script_series *s = i < c->n ? c->buckets[i] : i == c->n ? c->count : c->sum;

        for (uint32_t k = 0; s && k < s->n; k++) {
            uint32_t at = *n;

            while (at > 0 && t[at - 1] > s->t[k])
                at--;
            if (at > 0 && t[at - 1] == s->t[k])
                continue;
            memmove(t + at + 1, t + at, (*n - at) * sizeof *t);
            t[at] = s->t[k];
            ++*n;
        }
    }
}

void nhcb_make(struct arena *a, const struct script_series *in, uint32_t n, struct script_series **out, uint32_t *nout)
{
    struct classic *all = arena_array(a, struct classic, n + 1);
    uint32_t nall = 0, points = 1;

    for (uint32_t i = 0; i < n; i++)
        points += in[i].n;
    collect(a, in, n, all, &nall);
    *out = arena_array(a, struct script_series, nall + 1);
    *nout = 0;
    for (uint32_t i = 0; i < nall; i++) {
        struct script_series *s = &(*out)[*nout];
        int64_t *t = arena_array(a, int64_t, points);
        const struct histogram **h = arena_array(a, const struct histogram *, points);
        uint32_t nt = 0;

        if (!all[i].n)
            continue;
        classic_times(&all[i], t, &nt);
        *s = (struct script_series){.labels = all[i].labels, .t = t, .v = arena_array(a, double, points), .h = h};
        for (uint32_t k = 0; k < nt; k++) {
            h[s->n] = nhcb_at(a, &all[i], t[k]);
            t[s->n] = t[k];
            s->n += h[s->n] != NULL;
        }
        ++*nout;
    }
}
