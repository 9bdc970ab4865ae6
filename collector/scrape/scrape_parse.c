/*
 * scrape_parse.c - a body becomes rows of a batch: labels, relabelling, limits, staleness markers, our own series.
 *
 * (1) Labels are worked out once for each text of a series a target exposes; afterwards the cache knows its key, and
 * the store knows the key's series. A line that was seen before costs a hash and a look-up. (2) A scrape is stored
 * whole or not at all: when one line is wrong or a limit is met, the rows so far are thrown away and every series that
 * was live gets its marker. (3) The key of a row is the hash of its text mixed with series_id, which stands for
 * everything else its labels depend on.
 */
#include "collector/push/wire_hist.h"
#include "collector/scrape/scraper_private.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { HISTOGRAM_BYTES_MAX = 512 << 20 };

static const struct str no_name = {NULL, 0};

/* --- labels -------------------------------------------------------------------------------------------------- */

static struct label *find(struct labels *ls, struct str name)
{
    for (uint32_t i = 0; i < ls->n; i++) {
        if (str_eq(ls->v[i].name, name))
            return &ls->v[i];
    }
    return NULL;
}

static int by_name_length(const void *a, const void *b)
{
    size_t x = ((const struct label *)a)->name.n, y = ((const struct label *)b)->name.n;

    return (x > y) - (x < y);
}

/* Scraped labels that met a target's: exported_ in front, again and again until the name is free; shorter names first.
 */
static void add_exported(struct labels *ls, struct label *conflicts, uint32_t n, struct arena *a)
{
    qsort(conflicts, n, sizeof(*conflicts), by_name_length);
    for (uint32_t i = 0; i < n; i++) {
        struct str name = conflicts[i].name;
        struct label *taken;

        do {
            name = arena_printf(a, "exported_%.*s", STR_ARG(name));
            taken = find(ls, name);
        } while (taken && taken->value.n);
        if (taken)
            taken->value = conflicts[i].value;
        else
            ls->v[ls->n++] = (struct label){name, conflicts[i].value};
    }
}

/* ls: as scraped, empty values still there. The result has room and is unsorted. */
static void merge_target_labels(struct labels *ls, const struct labels *target, bool honor, struct arena *a)
{
    struct label *v = arena_array(a, struct label, ls->n + 2 * target->n + 1),
                 *conflicts = arena_array(a, struct label, target->n + 1);
    uint32_t nconflicts = 0;

    memcpy(v, ls->v, sizeof(*v) * ls->n);
    ls->v = v;
    for (uint32_t i = 0; i < target->n; i++) {
        struct label *l = find(ls, target->v[i].name);

        if (!l) {
            ls->v[ls->n++] = target->v[i];
        } else if (!honor) {
            if (l->value.n)
                conflicts[nconflicts++] = *l;
            l->value = target->v[i].value;
        }
    }
    add_exported(ls, conflicts, nconflicts, a);
}

static int check_labels(const struct scrape_config *c, const struct labels *ls, struct err *e)
{
    const struct scrape_common *o = &c->common;
    struct str metric = labels_get(ls, STR(LABEL_NAME));

    if (metric.n == 0)
        return err_set(e, ERR_INVALID, "missing metric name (__name__ label)");
    if (o->label_limit && ls->n > o->label_limit)
        return err_set(e, ERR_LIMIT, "label_limit exceeded (metric: %.*s, number of labels: %u, limit: %llu)",
                       STR_ARG(str_head(metric, 50)), ls->n, (unsigned long long)o->label_limit);
    for (uint32_t i = 0; i < ls->n; i++) {
        struct str name = ls->v[i].name, value = ls->v[i].value;

        if (o->legacy_names && !(str_eqz(name, LABEL_NAME) ? metric_name_legacy(value) : label_name_legacy(name)))
            return err_set(e, ERR_INVALID, "invalid metric name or label names: %.*s",
                           STR_ARG(str_head(str_eqz(name, LABEL_NAME) ? value : name, 200)));
        if (o->label_name_length_limit && name.n > o->label_name_length_limit)
            return err_set(
                e, ERR_LIMIT,
                "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, length: %zu, limit: %llu)",
                STR_ARG(str_head(metric, 50)), STR_ARG(str_head(name, 200)), name.n,
                (unsigned long long)o->label_name_length_limit);
        if (o->label_value_length_limit && value.n > o->label_value_length_limit)
            return err_set(e, ERR_LIMIT,
                           "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, value: %.*s, length: "
                           "%zu, limit: %llu)",
                           STR_ARG(str_head(metric, 50)), STR_ARG(str_head(name, 200)), STR_ARG(str_head(value, 50)),
                           value.n, (unsigned long long)o->label_value_length_limit);
    }
    return 0;
}

/* The labels a series text gets on this target. */
static int series_labels(const struct scrape_run *run, struct str text, uint8_t form, struct arena *a,
                         struct labels *out, bool *dropped, struct err *e)
{
    struct expo_entry en = {.kind = EXPO_SERIES,
                            .series = text,
                            .normalise_le = form & SERIES_LE,
                            .normalise_quantile = form & SERIES_QUANTILE};
    struct expo *x = expo_new(a, EXPO_TEXT, text, NULL);
    int code = expo_labels_raw(x, &en, a, out, e);

    *dropped = false;
    if (code < 0)
        return code;
    merge_target_labels(out, &run->t->labels, run->config->honor_labels, a);
    code = labels_normalise(out, e);
    if (code < 0)
        return code;
    *dropped = !relabel_apply(&run->config->metric_relabel, a, out) || out->n == 0;
    return *dropped ? 0 : check_labels(run->config, out, e);
}

static int report_labels(const struct scrape_run *run, struct str name, struct arena *a, struct labels *out,
                         struct err *e)
{
    const struct labels *target = &run->t->labels;

    out->v = arena_array(a, struct label, target->n + 1);
    out->n = target->n + 1;
    memcpy(out->v, target->v, sizeof(*out->v) * target->n);
    out->v[target->n] = (struct label){STR(LABEL_NAME), name};
    return labels_normalise(out, e);
}

int scrape_batch_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    struct scrape_run *run = b->ctx;
    struct hash128 hash = {b->series[i].key.lo ^ run->series_id.lo, b->series[i].key.hi ^ run->series_id.hi};
    const struct cached_series *s;
    uint32_t lo = 0, hi = run->nfresh;
    bool dropped;
    int code;

    if (i >= run->first_report)
        return report_labels(run, b->series[i].raw, a, out, e);
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (run->fresh[mid].i < i)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < run->nfresh && run->fresh[lo].i == i) {
        *out = run->fresh[lo].labels;
        return 0;
    }
    s = series_cache_find(&run->t->cache, hash);
    code = series_labels(run, b->series[i].raw, s ? s->flags & SERIES_FORM : 0, a, out, &dropped, e);
    if (code == 0 && dropped)
        return err_set(e, ERR_INVALID, "the series is dropped by metric_relabel_configs");
    return code;
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

static void *grow(void *p, uint32_t *cap, uint32_t n, size_t size)
{
    if (n < *cap)
        return p;
    *cap = MAX(*cap * 2, 64u);
    return x_realloc(p, size * *cap);
}

static void grow_rows(struct scrape_run *run)
{
    struct tsdb_batch *b = &run->batch;
    uint32_t cap = run->series_cap ? run->series_cap * 2 : MAX(run->t->batch_hint, 64u);

    b->series = x_realloc(b->series, sizeof(*b->series) * cap);
    b->t = x_realloc(b->t, sizeof(*b->t) * cap);
    b->v = x_realloc(b->v, sizeof(*b->v) * cap);
    if (b->h)
        b->h = x_realloc(b->h, sizeof(*b->h) * cap);
    run->series_cap = cap;
}

/* h: the sample, where it is a histogram. */
static void set_hist(struct scrape_run *run, uint32_t i, const struct histogram *h)
{
    struct tsdb_batch *b = &run->batch;

    if (!b->h && !h)
        return;
    if (!b->h) {
        b->h = x_alloc(sizeof(*b->h) * run->series_cap);
        memset(b->h, 0, sizeof(*b->h) * i);
    }
    b->h[i] = h;
}

static struct tsdb_in *push_row(struct scrape_run *run, struct hash128 hash, struct str raw, int64_t t, double v,
                                const struct histogram *h)
{
    struct tsdb_batch *b = &run->batch;
    uint32_t i = b->nseries;

    if (i == run->series_cap)
        grow_rows(run);
    b->series[i] = (struct tsdb_in){.key = {hash.lo ^ run->series_id.lo, hash.hi ^ run->series_id.hi},
                                    .raw = raw,
                                    .first = i,
                                    .n = 1,
                                    .exemplar_first = run->nexemplars};
    b->t[i] = t;
    b->v[i] = v;
    set_hist(run, i, h);
    b->nseries++;
    return &b->series[i];
}

static bool exemplar_fits(const struct labels *ls)
{
    size_t runes = 0;

    for (uint32_t i = 0; i < ls->n; i++)
        runes += utf8_count(ls->v[i].name) + utf8_count(ls->v[i].value);
    return runes <= EXEMPLAR_RUNES_MAX;
}

static void push_exemplars(struct scrape_run *run, struct tsdb_in *row, const struct expo_entry *en)
{
    for (uint32_t i = 0; i < en->nexemplars; i++) {
        const struct expo_exemplar *ex = &en->exemplars[i];

        if (!exemplar_fits(&ex->labels)) {
            atomic_fetch_add_explicit(&run->s->exemplars_dropped, 1, memory_order_relaxed);
            continue;
        }
        run->batch.exemplars =
            grow(run->batch.exemplars, &run->exemplars_cap, run->nexemplars, sizeof(*run->batch.exemplars));
        run->batch.exemplars[run->nexemplars++] =
            (struct tsdb_exemplar){ex->labels, ex->v, ex->has_t ? ex->t : run->time_ms};
        row->exemplar_n++;
    }
}

static int remember_new(struct scrape_run *run, struct cached_series *s, const struct expo_entry *en, struct labels *ls)
{
    bool dropped;
    int code = series_labels(run, en->series, s->flags & SERIES_FORM, &run->arena, ls, &dropped, &run->err);

    if (code < 0)
        return code;
    s->flags &= (uint8_t)~SERIES_NEW;
    if (dropped)
        s->flags |= SERIES_DROPPED;
    else
        run->added++;
    return 0;
}

static int take_series(struct scrape_run *run, const struct expo_entry *en, const struct histogram *h)
{
    struct series_cache *cache = &run->t->cache;
    uint8_t form = (uint8_t)((en->normalise_le ? SERIES_LE : 0) | (en->normalise_quantile ? SERIES_QUANTILE : 0));
    bool explicit_t = en->has_t && run->config->honor_timestamps, again;
    struct hash128 hash = series_hash(en->series, form);
    struct cached_series *s = series_cache_put(cache, hash, en->series, form);
    struct labels ls = {0};
    struct tsdb_in *row;

    run->scraped++;
    if (s->flags & SERIES_NEW && remember_new(run, s, en, &ls) < 0)
        return ERR_INVALID;
    again = s->seen == cache->scrape;
    s->seen = cache->scrape;
    if (s->flags & SERIES_DROPPED)
        return 0;
    run->post_relabel++;
    if (run->config->common.sample_limit && run->post_relabel > run->config->common.sample_limit)
        return 0; /* reading goes on, to count; the scrape fails at the end */
    if (again && !explicit_t) {
        run->duplicates++;
        return 0;
    }
    s->flags &= (uint8_t)~SERIES_TRACKED;
    if (!explicit_t || run->config->track_timestamps_staleness)
        s->flags |= SERIES_TRACKED;
    if (ls.n) {
        run->fresh = grow(run->fresh, &run->fresh_cap, run->nfresh, sizeof(*run->fresh));
        run->fresh[run->nfresh++] = (struct fresh_labels){run->batch.nseries, ls};
    }
    row = push_row(run, hash, en->series, explicit_t ? en->t : run->time_ms, en->v, h);
    if (en->nexemplars)
        push_exemplars(run, row, en);
    return 0;
}

/* --- families ----------------------------------------------------------------------------------------------------- */

static struct str own_copy(struct str s)
{
    return s.n ? (struct str){x_strdup(s), s.n} : STR("");
}

static void replace_text(struct str *at, struct str s)
{
    if (at->n)
        free((void *)(uintptr_t)at->p);
    *at = s.n ? own_copy(s) : no_name;
}

static struct family *family_of(struct target *t, struct str name)
{
    struct family *f = map_get(&t->meta, name);

    if (f)
        return f;
    f = x_zalloc(sizeof(*f));
    f->m.family = (struct str){x_strdup(name), name.n};
    pthread_mutex_lock(&t->meta_mu);
    *map_put(&t->meta, f->m.family, NULL) = f;
    pthread_mutex_unlock(&t->meta_mu);
    return f;
}

static void take_meta(struct scrape_run *run, const struct expo_entry *en)
{
    struct target *t = run->t;
    struct family *f = family_of(t, en->family);
    struct str *text = en->kind == EXPO_HELP ? &f->m.help : en->kind == EXPO_UNIT ? &f->m.unit : NULL;

    f->seen = t->cache.scrape;
    if (text ? str_eq(*text, en->text) : f->m.type == en->type)
        return;
    pthread_mutex_lock(&t->meta_mu);
    if (text)
        replace_text(text, en->text);
    else
        f->m.type = en->type;
    pthread_mutex_unlock(&t->meta_mu);
    f->stored = false;
}

/* What changed goes to the store; what has not been named for long is forgotten. */
static void push_families(struct scrape_run *run)
{
    struct target *t = run->t;
    struct map_entry *m;
    uint32_t i = 0;

    while ((m = map_next(&t->meta, &i))) {
        struct family *f = m->value;

        if (t->cache.scrape - f->seen > 10) {
            pthread_mutex_lock(&t->meta_mu);
            map_del(&t->meta, f->m.family);
            pthread_mutex_unlock(&t->meta_mu);
            family_free(f);
        } else if (!f->stored) {
            run->batch.metadata =
                grow(run->batch.metadata, &run->metadata_cap, run->batch.nmetadata, sizeof(*run->batch.metadata));
            run->batch.metadata[run->batch.nmetadata++] = f->m;
            f->stored = true;
        }
    }
}

/* --- a body
 * ------------------------------------------------------------------------------------------------------------ */

/* Makes a histogram coarser until the job's limits are met. A limit that cannot be met fails the scrape. */
static int fit_histogram(struct scrape_run *run, struct histogram *h)
{
    uint64_t limit = run->config->native_bucket_limit;
    double factor = run->config->native_min_bucket_factor;

    if (factor > 1 && !hist_custom(h)) {
        double finest = floor(-log2(log2(factor)));
        if (finest < h->schema)
            *h = *hist_reduce(&run->arena, h, (int32_t)MAX(finest, (double)HIST_SCHEMA_MIN));
    }
    while (limit && (uint64_t)h->npos + h->nneg > limit) {
        if (hist_custom(h) || h->schema == HIST_SCHEMA_MIN)
            return err_set(&run->err, ERR_LIMIT, "histogram bucket limit exceeded: %u buckets, native_histogram_bucket_limit: %llu",
                           h->npos + h->nneg, (unsigned long long)limit);
        *h = *hist_reduce(&run->arena, h, h->schema - 1);
    }
    return 0;
}

static int take_native(struct scrape_run *run, const struct expo_entry *en)
{
    struct wire_hist *x = arena_new(&run->arena, struct wire_hist);
    struct err why = {0};

    if (wire_hist_read(en->histogram, WIRE_HIST_EXPOSITION, &run->arena, x, &why) != 0)
        return err_set(&run->err, ERR_INVALID, "%.*s: %s", STR_ARG(str_head(en->series, 100)), why.text);
    if (run->arena.bytes > HISTOGRAM_BYTES_MAX) /* a byte of the body can mean a bucket */
        return err_set(&run->err, ERR_LIMIT, "the histograms of this body take more than %d bytes of memory", HISTOGRAM_BYTES_MAX);
    if (en->gauge)
        x->h.hint = HIST_GAUGE;
    if (fit_histogram(run, &x->h) < 0)
        return run->err.code;
    return take_series(run, en, &x->h);
}

/* The classic histograms of the family that ends, as native ones. */
static int take_converted(struct scrape_run *run)
{
    struct expo_entry en;
    struct histogram h;

    while (nhcb_next(&run->nhcb, &en, &h)) {
        struct histogram *own = arena_new(&run->arena, struct histogram);
        *own = h;
        if (fit_histogram(run, own) < 0 || take_series(run, &en, own) < 0)
            return run->err.code;
    }
    return 0;
}

static int take_entry(struct scrape_run *run, struct expo *x, const struct expo_entry *en)
{
    bool has_native = run->native && (en->classic_too || en->histogram.n);
    int rc = 0;

    if (en->histogram.n)
        return run->native ? take_native(run, en) : 0;
    if (run->to_nhcb && !has_native)
        rc = nhcb_take(&run->nhcb, x, en, &run->err);
    if (rc < 0)
        return rc;
    if ((rc > 0 || has_native) && !run->always_classic)
        return 0;
    return take_series(run, en, NULL);
}

static int read_entries(struct scrape_run *run)
{
    struct expo *x = expo_new(&run->arena, run->format, buf_str(&run->body), NULL);
    struct expo_entry en;
    int code;

    run->nhcb.a = &run->arena;
    while ((code = expo_next(x, &en, &run->err)) == 0 && en.kind != EXPO_END) {
        if (en.kind == EXPO_SERIES) {
            if ((code = take_entry(run, x, &en)) < 0)
                return code;
        } else if (en.kind != EXPO_COMMENT) {
            if (en.kind == EXPO_TYPE && run->to_nhcb) {
                if ((code = take_converted(run)) < 0)
                    return code;
                nhcb_family(&run->nhcb, &en);
            }
            take_meta(run, &en);
        }
    }
    return code < 0 ? code : take_converted(run);
}

void scrape_parse(struct scrape_run *run)
{
    uint64_t limit = run->config->common.sample_limit;

    if (run->err.code < 0 || run->body.n == 0)
        return;
    if (read_entries(run) < 0) {
        assert(run->err.code < 0);
        return;
    }
    if (limit && run->post_relabel > limit)
        err_set(&run->err, ERR_LIMIT, "sample limit exceeded: %llu samples, sample_limit: %llu",
                (unsigned long long)run->post_relabel, (unsigned long long)limit);
}

/* --- markers and our own series
 * ------------------------------------------------------------------------------------------- */

static void push_marker(void *arg, const struct cached_series *s)
{
    struct scrape_run *run = arg;

    if (!run->skip_markers)
        push_row(run, s->hash, series_cache_text(&run->t->cache, s), run->time_ms, f64_from_bits(STALE_NAN_BITS), NULL);
}

static void push_report(struct scrape_run *run, const char *name, double v)
{
    struct hash128 hash = hash128(name, strlen(name));

    hash.hi ^= UINT64_C(0xa5a5a5a55a5a5a5a); /* not that of a scraped series with the same text */
    push_row(run, hash, str_of(name), run->time_ms, run->end ? f64_from_bits(STALE_NAN_BITS) : v, NULL);
}

static void push_reports(struct scrape_run *run)
{
    double seconds = (double)(clock_mono_ns() - run->start_ns) / 1e9;

    run->first_report = run->batch.nseries;
    if (run->end && (run->skip_markers || !run->t->reported))
        return;
    push_report(run, "up", run->err.code < 0 ? 0 : 1);
    push_report(run, "scrape_duration_seconds", seconds);
    push_report(run, "scrape_samples_scraped", (double)run->scraped);
    push_report(run, "scrape_samples_post_metric_relabeling", (double)run->post_relabel);
    push_report(run, "scrape_series_added", (double)run->added);
    if (run->config->common.extra_metrics) {
        push_report(run, "scrape_timeout_seconds", (double)run->timeout_ms / 1000);
        push_report(run, "scrape_sample_limit", (double)run->config->common.sample_limit);
        push_report(run, "scrape_body_size_bytes", (double)run->body_bytes);
    }
    run->t->reported = true;
}

void scrape_finish_batch(struct scrape_run *run)
{
    bool failed = run->err.code < 0 || run->end;

    if (failed) {
        run->batch.nseries = 0;
        run->nexemplars = run->nfresh = 0;
    }
    series_cache_end(&run->t->cache, !failed, push_marker, run);
    if (!failed)
        push_families(run);
    push_reports(run);
    run->t->batch_hint = run->batch.nseries + run->batch.nseries / 8 + 16;
    run->batch.labels = scrape_batch_labels;
    run->batch.ctx = run;
}
