/*
 * test_tsdb.c - the whole of tsdb/ over a real store, against a plain model: random batches (in order, late, repeated,
 * of several samples, floats and histograms), flushes, restarts, deletions, and every kind of select in between. The
 * seed is printed; TEST_SEED=N repeats one.
 */
#include "tests/tsdb/random_hist.h"
#include "tsdb/tsdb.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/tsdb/house.h"

enum { SERIES = 60, SAMPLES_MAX = 4000, STEPS = 400, DELETES_MAX = 50 };

struct sample {
    int64_t t;
    double v;
    const struct histogram *h;
};
struct model_series {
    struct sample *v;
    uint32_t n;
};
struct deletion {
    uint32_t from, to; /* series */
    int64_t mint, maxt;
};
struct model {
    struct model_series s[SERIES];
    struct deletion deletions[DELETES_MAX];
    uint32_t ndeletions;
    int64_t base, now; /* times in use */
    struct arena hists;
};

static uint64_t rng;

static uint64_t draw(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

/* --- model -------------------------------------------------------------------------------------- */

/* The first value of a time stays. */
static void model_add(struct model_series *s, int64_t t, double v, const struct histogram *h)
{
    uint32_t i = s->n;

    assert_true(s->n < SAMPLES_MAX);
    while (i > 0 && s->v[i - 1].t > t)
        i--;
    if (i > 0 && s->v[i - 1].t == t)
        return;
    memmove(&s->v[i + 1], &s->v[i], sizeof *s->v * (s->n - i));
    s->v[i] = (struct sample){t, v, h};
    s->n++;
}

static bool model_deleted(const struct model *m, uint32_t k, int64_t t)
{
    for (uint32_t i = 0; i < m->ndeletions; i++) {
        const struct deletion *d = &m->deletions[i];
        if (k >= d->from && k <= d->to && t >= d->mint && t <= d->maxt)
            return true;
    }
    return false;
}

static void series_labels(uint32_t k, struct arena *a, struct labels *ls)
{
    ls->v = arena_array(a, struct label, 4);
    ls->n = k % 7 == 0 ? 3 : 4;
    ls->v[0] = (struct label){STR("__name__"), arena_printf(a, "metric_%u", k / 10)};
    ls->v[1] = (struct label){STR("id"), arena_printf(a, "%02u", k)};
    ls->v[2] = (struct label){STR("job"), arena_printf(a, "job-%u", k % 3)};
    ls->v[3] = (struct label){STR("zone"), k % 2 ? STR("east") : STR("west")};
}

/* --- store -------------------------------------------------------------------------------------- */

struct world {
    char dir[64];
    struct store *store;
    struct tsdb *db;
};

static void world_open(struct world *w)
{
    struct store_opts so;
    struct tsdb_opts to;

    store_opts_default(&so);
    so.dir = w->dir;
    so.journal_file_bytes = 256 * 1024;
    tsdb_opts_default(&to);
    house_open(&so, &to, &w->store, &w->db);
}

static void world_close(struct world *w)
{
    house_close(w->store, w->db);
}

static void world_new(struct world *w)
{
    temp_dir(w->dir, "test_tsdb");
    world_open(w);
}

static void world_remove(struct world *w)
{
    world_close(w);
    temp_remove(w->dir);
}

/* --- ingest ------------------------------------------------------------------------------------- */

static int give_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    (void)e;
    series_labels(((uint32_t *)b->ctx)[i], a, out);
    return 0;
}

static double random_value(double before)
{
    switch (draw(8)) {
    case 0:
    case 1:
        return before;
    case 2:
        return (double)draw(1000) / 100;
    case 3:
        return (double)(rng >> 3) * 1e-7;
    case 4:
        return draw(10) ? (double)(int64_t)draw(1u << 30) : f64_from_bits(STALE_NAN_BITS);
    case 5:
        return draw(20) ? -(double)draw(50) : draw(2) ? -0.0 : INFINITY;
    default:
        return before == before ? before + (double)draw(100) : 1;
    }
}

/* A batch of some series: mostly the next scrape, sometimes late, again, or several samples at once. */
static void random_batch(struct world *w, struct model *m)
{
    struct tsdb_in in[SERIES];
    uint32_t ks[SERIES], n = 0, at = 0, from = (uint32_t)draw(SERIES), count = 1 + (uint32_t)draw(SERIES);
    int64_t t[SERIES * 8], scrape = m->now;
    double v[SERIES * 8];
    const struct histogram *h[SERIES * 8];
    bool hists = draw(3) > 0;
    struct tsdb_batch b = {
        .series = in, .t = t, .v = v, .h = hists ? h : NULL, .labels = give_labels, .ctx = ks};
    bool alias = draw(4) == 0;
    struct arena a = {0};
    struct err e = {0};

    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = (from + i) % SERIES, samples = draw(10) ? 1 : 1 + (uint32_t)draw(8);
        struct model_series *s = &m->s[k];
        struct labels ls;
        if (draw(30) == 0)
            continue;
        series_labels(k, &a, &ls);
        ks[n] = k;
        in[n] = (struct tsdb_in){.key = labels_hash(&ls), .first = at, .n = samples};
        in[n].key.lo += alias ? 77 : 0;
        n++;
        for (uint32_t j = 0; j < samples; j++, at++) {
            t[at] = scrape + (int64_t)j * 1000;
            if (draw(25) == 0)
                t[at] = m->base + (int64_t)draw((uint64_t)(scrape - m->base + 1)); /* late */
            if (draw(40) == 0 && s->n)
                t[at] = s->v[draw(s->n)].t; /* again */
            v[at] = random_value(s->n ? s->v[s->n - 1].v : 1);
            h[at] = hists && k % 3 == 0 && draw(12) ? random_hist(&m->hists, draw, s->n ? s->v[s->n - 1].h : NULL) : NULL;
            if (s->n && draw(40) == 0 && (hists || !s->v[s->n - 1].h)) {
                t[at] = s->v[s->n - 1].t;
                v[at] = s->v[s->n - 1].v;
                h[at] = s->v[s->n - 1].h;
            }
        }
    }
    b.nseries = n;
    if (tsdb_ingest_wait(w->db, &b, &e) < 0)
        fail_msg("%s", e.text);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < in[i].n; j++)
            model_add(&m->s[ks[i]], t[in[i].first + j], v[in[i].first + j], h[in[i].first + j]);
    assert_int_equal(b.verdicts[TSDB_OK] + b.verdicts[TSDB_SAME] + b.verdicts[TSDB_DUPLICATE], at);
    m->now = scrape + 1000 * (int64_t)(8 + draw(30));
    arena_release(&a);
}

/* --- select ------------------------------------------------------------------------------------- */

static void expect_hist(const struct tsdb_samples *got, uint32_t i, const struct histogram *expect)
{
    const struct histogram *h = got->h[i];
    struct histogram x = *h;

    if (hist_stale(expect)) {
        assert_true(hist_stale(h));
        return;
    }
    assert_true(hist_equal(h, expect));
    assert_int_equal(h->hint == HIST_GAUGE, expect->hint == HIST_GAUGE);
    assert_int_not_equal(h->hint, HIST_RESET);
    x.hint = HIST_UNKNOWN;
    if (h->hint == HIST_NOT_RESET && i)
        assert_int_equal(hist_hint_after(&x, got->h[i - 1]), HIST_NOT_RESET);
}

static void expect_samples(const struct model *m, uint32_t k, int64_t mint, int64_t maxt, enum tsdb_want want,
                           const struct tsdb_samples *got)
{
    struct sample expect[SAMPLES_MAX];
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->s[k].n; i++) {
        struct sample x = m->s[k].v[i];
        if (x.t >= mint && x.t <= maxt && !model_deleted(m, k, x.t))
            expect[n++] = x;
    }
    if (want == TSDB_NEWEST && n > 1) {
        expect[0] = expect[n - 1];
        n = 1;
    }
    if (want == TSDB_NO_DATA) {
        assert_true(got || n == 0);
        return;
    }
    assert_int_equal(got ? got->n : 0, n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(got->t[i], expect[i].t);
        assert_int_equal(got->h && got->h[i], expect[i].h != NULL);
        if (expect[i].h)
            expect_hist(got, i, expect[i].h);
        else
            assert_int_equal(f64_bits(got->v[i]), f64_bits(expect[i].v));
    }
}

static bool matched(const struct matcher *m, uint32_t nm, uint32_t k)
{
    struct arena a = {0};
    struct labels ls;
    bool r;

    series_labels(k, &a, &ls);
    r = matchers_match(m, nm, &ls);
    arena_release(&a);
    return r;
}

static uint32_t random_matchers(struct matcher *m)
{
    static const struct {
        enum match_op op;
        const char *name, *value;
    } all[] = {
        {MATCH_EQ, "job", "job-1"},     {MATCH_EQ, "zone", ""},
        {MATCH_NE, "zone", ""},         {MATCH_RE, "__name__", ".+"},
        {MATCH_RE, "id", "0[1-7]|33"},  {MATCH_NRE, "id", "[0-3].*"},
        {MATCH_EQ, "id", "14"},         {MATCH_EQ, "none", "x"},
        {MATCH_RE, "job", "job-(0|2)"}, {MATCH_NE, "job", "job-0"},
        {MATCH_RE, "zone", "west|"},    {MATCH_RE, "__name__", "metric_[12]"},
        {MATCH_NRE, "none", "x.*"},     {MATCH_EQ, "__name__", "metric_3"},
    };
    uint32_t n = 1 + (uint32_t)draw(3);
    struct err e = {0};

    for (uint32_t i = 0; i < n; i++) {
        uint64_t k = draw(ARRAY_LEN(all));
        if (matcher_init(&m[i], all[k].op, str_of(all[k].name), str_of(all[k].value), &e) < 0)
            fail_msg("%s", e.text);
    }
    return n;
}

static uint32_t number_of(struct tsdb_cursor *c)
{
    struct arena a = {0};
    struct labels ls, mine;
    struct str id;
    struct err e = {0};
    uint64_t k = 0;

    assert_int_equal(tsdb_cursor_label(c, STR("id"), &id, &e), 0);
    assert_true(str_to_u64(id, &k));
    assert_int_equal(tsdb_cursor_labels(c, &a, &ls, &e), 0);
    series_labels((uint32_t)k, &a, &mine);
    assert_true(labels_eq(&ls, &mine));
    arena_release(&a);
    return (uint32_t)k;
}

static void random_select(struct world *w, const struct model *m)
{
    struct matcher ms[3];
    struct tsdb_select_opts o = {.matchers = ms,
                                 .nmatchers = random_matchers(ms),
                                 .parts_hint = 1 + (uint32_t)draw(3),
                                 .want = (enum tsdb_want)draw(3),
                                 .no_index = draw(8) == 0};
    bool seen[SERIES] = {0};
    struct tsdb_select *s;
    struct err e = {0};
    uint64_t ids[8] = {0};
    const int64_t *ts[8] = {0};

    o.mint = draw(3) ? m->base + (int64_t)draw((uint64_t)(m->now - m->base)) : INT64_MIN;
    o.maxt = draw(3) ? MAX(o.mint, m->base) + (int64_t)draw(40 * 3600 * 1000) : INT64_MAX;
    if (tsdb_select_open(w->db, &o, &s, &e) < 0)
        fail_msg("%s", e.text);
    for (uint32_t p = 0; p < tsdb_select_parts(s); p++) {
        struct tsdb_cursor *c;
        struct tsdb_samples got;
        int rc;
        if (tsdb_cursor_open(s, p, &c, &e) < 0)
            fail_msg("%s", e.text);
        while ((rc = tsdb_cursor_next(c, &got, &e)) == 0) {
            uint32_t k = number_of(c);
            assert_false(seen[k]);
            seen[k] = true;
            assert_true(matched(ms, o.nmatchers, k));
            expect_samples(m, k, o.mint, o.maxt, o.want, &got);
            if (got.times_id) {
                if (ids[got.times_id % 8] == got.times_id)
                    assert_ptr_equal(ts[got.times_id % 8], got.t);
                ids[got.times_id % 8] = got.times_id;
                ts[got.times_id % 8] = got.t;
            }
        }
        if (rc < 0)
            fail_msg("%s", e.text);
        tsdb_cursor_close(c);
    }
    tsdb_select_close(s);
    for (uint32_t k = 0; k < SERIES; k++)
        if (!seen[k] && matched(ms, o.nmatchers, k))
            expect_samples(m, k, o.mint, o.maxt, o.want, NULL);
    for (uint32_t i = 0; i < o.nmatchers; i++)
        matcher_release(&ms[i]);
}

static void random_delete(struct world *w, struct model *m)
{
    struct deletion *d = &m->deletions[m->ndeletions];
    uint32_t tens = (uint32_t)draw(6);
    char value[32];
    struct matcher x;
    struct err e = {0};

    if (m->ndeletions == DELETES_MAX)
        return;
    d->from = tens * 10;
    d->to = tens * 10 + 9;
    d->mint = m->base + (int64_t)draw((uint64_t)(m->now - m->base));
    d->maxt = MIN(d->mint + (int64_t)draw(3600 * 1000), m->now - 8000);
    if (d->maxt < d->mint)
        return;
    snprintf(value, sizeof value, "metric_%u", tens);
    if (matcher_init(&x, MATCH_EQ, STR("__name__"), str_of(value), &e) < 0 ||
        tsdb_delete(w->db, &x, 1, d->mint, d->maxt, &e) < 0)
        fail_msg("%s", e.text);
    matcher_release(&x);
    m->ndeletions++;
}

static void check_names(struct world *w, const struct model *m)
{
    bool any[SERIES] = {0};
    struct arena a = {0};
    struct str *got;
    struct err e = {0};
    uint32_t n, expect = 0;
    bool cut;

    for (uint32_t k = 0; k < SERIES; k++)
        expect += any[k] = m->s[k].n > 0;
    if (tsdb_label_values(w->db, STR("id"), NULL, 0, INT64_MIN, INT64_MAX, 0, &a, &got, &n, &cut, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(n, expect);
    for (uint32_t i = 1; i < n; i++)
        assert_true(str_cmp(got[i - 1], got[i]) < 0);
    if (tsdb_label_names(w->db, NULL, 0, INT64_MIN, INT64_MAX, 2, &a, &got, &n, &cut, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(n <= 2 && (n == 0 || cut));
    arena_release(&a);
}

static void test_random(void **state)
{
    const char *env = getenv("TEST_SEED");
    uint64_t seed = env ? strtoull(env, NULL, 10) : (uint64_t)clock_mono_ns() % 1000000 + 1;
    struct model *m = x_zalloc(sizeof *m);
    struct world w;
    struct err e = {0};

    (void)state;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    rng = seed * 0x9e3779b97f4a7c15u | 1;
    for (uint32_t k = 0; k < SERIES; k++)
        m->s[k].v = x_alloc(sizeof(struct sample) * (SAMPLES_MAX + 1));
    m->base = clock_wall_ms() - 30ll * 3600 * 1000;
    m->now = m->base + 1000;
    world_new(&w);
    for (int step = 0; step < STEPS; step++) {
        if (draw(20) == 0)
            m->now += (int64_t)draw(1200 * 1000);
        m->now = MIN(m->now, clock_wall_ms());
        random_batch(&w, m);
        if (draw(3) == 0)
            random_select(&w, m);
        if (draw(30) == 0 && store_flush(w.store, "metrics", &e) < 0)
            fail_msg("%s", e.text);
        if (draw(40) == 0) {
            world_close(&w);
            world_open(&w);
        }
        if (draw(60) == 0)
            random_delete(&w, m);
        if (draw(100) == 0 && tsdb_clean_tombstones(w.db, &e) < 0)
            fail_msg("%s", e.text);
        head_check(&w.db->head);
    }
    for (int i = 0; i < 50; i++)
        random_select(&w, m);
    check_names(&w, m);
    world_remove(&w);
    for (uint32_t k = 0; k < SERIES; k++)
        free(m->s[k].v);
    arena_release(&m->hists);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };

    log_setup(LOG_WARN, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
