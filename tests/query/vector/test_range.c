/*
 * test_range.c - every range function over random series (gaps, resets, NaN, infinities, huge values) against a plain
 * model that looks at each window by itself; shared windows against fresh ones; prefix sums and deques against adding
 * up.
 */
#include "query/vector/range.c"

#include "query/vector/kahan.h"
#include "query/vector/quantile.h"
#include "tests/query/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SAMPLES = 400, STEPS = 60 };

struct series {
    int64_t t[SAMPLES];
    double v[SAMPLES];
    uint32_t n;
};

enum flavour { ANY, COUNTER, CALM, FLAVOURS };

static void make_series(struct series *s, enum flavour f)
{
    int64_t t = (int64_t)draw(100000);
    double acc = (double)draw(1000);

    s->n = 1 + (uint32_t)draw(SAMPLES - 1);
    for (uint32_t i = 0; i < s->n; i++) {
        t += draw(20) ? 15000 + (int64_t)draw(10) : 15000 * (1 + (int64_t)draw(40));
        acc = draw(30) ? acc + (double)draw(50) : (double)draw(5);
        s->t[i] = t;
        s->v[i] = f == ANY ? draw_value() : f == COUNTER ? acc : (double)draw(100) / 4;
    }
}

static struct steps make_steps(const struct series *s)
{
    struct steps st = {.n = 1 + (uint32_t)draw(STEPS), .range = 1000 * (int64_t)(1 + draw(3000))};

    st.first = s->t[0] - 100000 + (int64_t)draw(300000);
    st.every = draw(10) ? 1000 * (int64_t)(1 + draw(120)) : 0;
    st.eval_first = st.first + 5000;
    st.eval_every = 1000;
    return st;
}

/* --- the model: one window, as plainly as it can be said -------------------------------------- */

struct window {
    int64_t t[SAMPLES], start, end, eval;
    double v[SAMPLES], range, p0, p1;
    uint32_t n;
};

static double model_sum(const struct window *w)
{
    struct kahan k = {0};

    for (uint32_t i = 0; i < w->n; i++)
        kahan_add(&k, w->v[i]);
    return kahan_sum(k);
}

static double model_extrapolated(const struct window *w, bool counter, bool rate)
{
    double raw = w->v[w->n - 1] - w->v[0], interval = (double)(w->t[w->n - 1] - w->t[0]) / 1000;
    double between = interval / (w->n - 1), start = (double)(w->t[0] - w->start) / 1000,
           end = (double)(w->end - w->t[w->n - 1]) / 1000;

    for (uint32_t i = 1; i < w->n && counter; i++)
        if (w->v[i] < w->v[i - 1])
            raw += w->v[i - 1];
    if (start >= 1.1 * between)
        start = between / 2;
    if (counter && raw > 0 && w->v[0] >= 0)
        start = fmin(start, interval * (w->v[0] / raw));
    if (end >= 1.1 * between)
        end = between / 2;
    return raw * ((interval + start + end) / interval / (rate ? w->range : 1));
}

static double model_variance(const struct window *w)
{
    struct kahan mean = {0}, aux = {0};

    for (uint32_t i = 0; i < w->n; i++) {
        double d = w->v[i] - (mean.s + mean.c);

        kahan_add(&mean, d / (i + 1));
        kahan_add(&aux, d * (w->v[i] - (mean.s + mean.c)));
    }
    return (aux.s + aux.c) / w->n;
}

static double model_extreme(const struct window *w, bool max, bool time)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < w->n; i++)
        if (isnan(w->v[at]) || (max ? w->v[i] >= w->v[at] : w->v[i] <= w->v[at]))
            at = i;
    return time ? (double)w->t[at] / 1000 : w->v[at];
}

static double model_events(const struct window *w, bool resets)
{
    double n = 0;

    for (uint32_t i = 1; i < w->n; i++)
        n += resets ? w->v[i] < w->v[i - 1] : w->v[i] != w->v[i - 1] && !(isnan(w->v[i]) && isnan(w->v[i - 1]));
    return n;
}

static double model_mean(const struct window *w)
{
    struct mean m = {0};

    for (uint32_t i = 0; i < w->n; i++)
        mean_add(&m, w->v[i]);
    return mean_value(&m);
}

/* Sets *is. */
static double model(const char *name, struct window *w, bool *is)
{
#define IS(NAME) (strcmp(name, NAME) == 0)
    *is = w->n > 0;
    if (IS("rate") || IS("increase") || IS("delta")) {
        *is = w->n > 1;
        return *is ? model_extrapolated(w, !IS("delta"), IS("rate")) : 0;
    }
    if (IS("irate") || IS("idelta")) {
        double d;

        *is = w->n > 1;
        if (!*is)
            return 0;
        d = IS("irate") && w->v[w->n - 1] < w->v[w->n - 2] ? w->v[w->n - 1] : w->v[w->n - 1] - w->v[w->n - 2];
        return IS("irate") ? d / ((double)(w->t[w->n - 1] - w->t[w->n - 2]) / 1000) : d;
    }
    if (!*is)
        return 0;
    if (IS("sum_over_time"))
        return model_sum(w);
    if (IS("avg_over_time"))
        return model_mean(w);
    if (IS("count_over_time"))
        return w->n;
    if (IS("present_over_time") || IS("absent_over_time"))
        return 1;
    if (IS("last_over_time"))
        return w->v[w->n - 1];
    if (IS("first_over_time"))
        return w->v[0];
    if (IS("min_over_time") || IS("max_over_time"))
        return model_extreme(w, IS("max_over_time"), false);
    if (IS("ts_of_min_over_time") || IS("ts_of_max_over_time"))
        return model_extreme(w, IS("ts_of_max_over_time"), true);
    if (IS("ts_of_first_over_time"))
        return (double)w->t[0] / 1000;
    if (IS("ts_of_last_over_time"))
        return (double)w->t[w->n - 1] / 1000;
    if (IS("changes") || IS("resets"))
        return model_events(w, IS("resets"));
    if (IS("stdvar_over_time"))
        return model_variance(w);
    if (IS("stddev_over_time"))
        return sqrt(model_variance(w));
    if (IS("quantile_over_time"))
        return quantile_values(w->p0, w->v, w->n);
    return NAN;
#undef IS
}

static bool modelled(const char *name)
{
    static const char *const others[] = {"mad_over_time", "deriv", "predict_linear", "double_exponential_smoothing"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strcmp(name, others[i]) == 0)
            return false;
    return true;
}

static bool close_to(double a, double b)
{
    return almost_equal(a, b, 1e-12) || (isnan(a) && isnan(b)) || fabs(a - b) < 1e-290;
}

static void take_window(const struct series *s, const struct steps *st, uint32_t i, struct window *w)
{
    *w = (struct window){.end = step_end(st, i),
                         .start = step_end(st, i) - st->range,
                         .eval = step_time(st, i),
                         .range = (double)st->range / 1000};
    for (uint32_t k = 0; k < s->n; k++)
        if (s->t[k] > w->start && s->t[k] <= w->end) {
            w->t[w->n] = s->t[k];
            w->v[w->n++] = s->v[k];
        }
}

static void against_model(const struct range_function *fn, const struct series *s, const struct steps *st)
{
    static struct window w;
    double v[STEPS + 1], quantile[STEPS + 1];
    uint8_t has[STEPS + 1];
    struct window_cache cache = {0};
    struct range_scratch scratch = {0};
    struct range_call c = {.steps = st,
                           .param = {quantile, quantile},
                           .scratch = &scratch,
                           .s = {s->t, s->v, NULL, NULL, s->n},
                           .v = v,
                           .has = has};
    uint32_t filled, n = 0;
    bool made;

    for (uint32_t i = 0; i < st->n; i++)
        quantile[i] = draw_unit();
    c.w = window_cache_get(&cache, draw(2), st, s->t, s->n, true, &made);
    if (fn->flags & RANGE_EXTRAPOLATES)
        rate_prepare(c.w, st, s->t, fn->flags & RANGE_PER_SECOND, fn->flags & RANGE_COUNTER);
    filled = range_eval(fn, &c);
    for (uint32_t i = 0; i < st->n; i++) {
        bool is;
        double want;

        take_window(s, st, i, &w);
        w.p0 = quantile[i];
        want = model(fn->name, &w, &is);
        if (is != (has[i] == ROW_FLOAT) || (is && !close_to(v[i], want)))
            fail_msg("%s step %u of %u: model %d %.17g, got %u %.17g (%u samples in the window, %u in all)", fn->name,
                     i, st->n, is, want, has[i], v[i], w.n, s->n);
        n += is;
    }
    assert_int_equal(filled, n);
    window_cache_release(&cache);
    range_scratch_release(&scratch);
}

static void test_model(void **state)
{
    static struct series s;

    (void)state;
    for (int round = 0; round < 400; round++) {
        struct steps st;

        make_series(&s, (enum flavour)(round % FLAVOURS));
        st = make_steps(&s);
        for (size_t k = 0; k < ARRAY_LEN(table); k++)
            if (modelled(table[k].name))
                against_model(&table[k], &s, &st);
    }
}

/* A series with histograms none of which is in a window is evaluated as floats are. */
static void test_mixed_form_of_floats(void **state)
{
    static struct series s;

    (void)state;
    for (int round = 0; round < 100; round++) {
        const struct histogram *none[SAMPLES] = {0};
        struct range_scratch scratch = {0};
        struct pile pile = {0};
        double v[2][STEPS + 1], p[STEPS + 1];
        uint8_t has[2][STEPS + 1];
        struct steps st;

        make_series(&s, (enum flavour)(round % FLAVOURS));
        st = make_steps(&s);
        for (uint32_t i = 0; i < st.n; i++)
            p[i] = 0.3;
        for (size_t k = 0; k < ARRAY_LEN(table); k++) {
            for (int mixed = 0; mixed < 2; mixed++) {
                const struct histogram *h[STEPS + 1];
                struct window_cache cache = {0};
                struct range_call c = {.steps = &st,
                                       .param = {p, p},
                                       .scratch = &scratch,
                                       .s = {s.t, s.v, NULL, mixed ? none : NULL, s.n},
                                       .v = v[mixed],
                                       .has = has[mixed],
                                       .h = h,
                                       .pile = &pile};
                bool made;

                c.w = window_cache_get(&cache, 0, &st, s.t, s.n, true, &made);
                if (table[k].flags & RANGE_EXTRAPOLATES)
                    rate_prepare(c.w, &st, s.t, table[k].flags & RANGE_PER_SECOND, table[k].flags & RANGE_COUNTER);
                range_eval(&table[k], &c);
                window_cache_release(&cache);
            }
            for (uint32_t i = 0; i < st.n; i++)
                if (has[0][i] != has[1][i] || (has[0][i] && !close_to(v[0][i], v[1][i])))
                    fail_msg("%s step %u: %u %.17g, by windows %u %.17g", table[k].name, i, has[0][i], v[0][i],
                             has[1][i], v[1][i]);
        }
        range_scratch_release(&scratch);
        pile_release(&pile);
    }
}

/* A line is found whatever its place in time; a constant has no slope; infinity none that is a number. */
static void test_lines(void **state)
{
    int64_t t[50];
    double v[50], out[1], ahead[1] = {3600};
    uint8_t has[1];
    struct steps st = {.n = 1, .first = INT64_C(1700000000000), .range = 3600000, .eval_first = INT64_C(1700000000000)};
    struct window_cache cache = {0};
    struct range_call c = {.steps = &st, .param = {ahead}, .v = out, .has = has};
    bool made;

    (void)state;
    for (int k = 0; k < 50; k++) {
        t[k] = st.first - (49 - k) * 60000;
        v[k] = 7 + 0.25 * k;
    }
    c.s = (struct samples){t, v, NULL, NULL, 50};
    c.w = window_cache_get(&cache, 0, &st, t, 50, false, &made);
    deriv_run(&c);
    assert_true(almost_equal(out[0], 0.25 / 60, 1e-9));
    predict_run(&c);
    assert_true(almost_equal(out[0], 7 + 0.25 * 49 + 0.25 * 60, 1e-9));
    for (int k = 0; k < 50; k++)
        v[k] = 3;
    deriv_run(&c);
    assert_true(out[0] == 0);
    for (int k = 0; k < 50; k++)
        v[k] = INFINITY;
    deriv_run(&c);
    assert_true(isnan(out[0]));
    window_cache_release(&cache);
}

/* Tables made for one id are the tables that come back, also after the cache has started again. */
static void test_window_cache(void **state)
{
    static struct series s[40];
    struct steps st = {.n = 50, .every = 15000, .range = 300000};
    struct window_cache cache = {0};

    (void)state;
    for (int i = 0; i < 40; i++)
        make_series(&s[i], CALM);
    st.first = s[0].t[0];
    for (int round = 0; round < 20000; round++) {
        uint32_t i = (uint32_t)draw(40);
        uint64_t id = i + 1 + 40 * (uint64_t)(round / 2000);
        uint32_t lo[50], hi[50];
        struct windows fresh = {.lo = lo, .hi = hi}, *w;
        bool made;

        w = window_cache_get(&cache, id, &st, s[i].t, s[i].n, true, &made);
        windows_fill(&fresh, &st, s[i].t, s[i].n);
        assert_memory_equal(w->lo, lo, sizeof lo);
        assert_memory_equal(w->hi, hi, sizeof hi);
        assert_int_equal(w->filled, fresh.filled);
    }
    window_cache_release(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_mixed_form_of_floats),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_window_cache),
    };

    rng_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
