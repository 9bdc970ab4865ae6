/*
 * test_entry.c - journal entries: what is written is what is read, over many entries, files, undone entries and odd
 * values; and no cut or flipped byte is taken for anything worse than ERR_CORRUPT or other rows of defined series.
 */
#include "tsdb/entry.c"
#include "tsdb/entry_read.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { SERIES = 40, PAIRS = 256, ROWS_MAX = 200, SAMPLES_MAX = 1000 };

static uint64_t rng;

static uint64_t draw(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

/* A series as the head would keep it. */
struct mine {
    uint32_t pairs[4], npairs;
    uint32_t file, local, stretch;
    double ev;
    uint8_t estate;
};

/* The reader's side: a second symbol table, and what the last entry brought. */
struct theirs {
    struct symbols sy;
    uint32_t pairs[4096][4], npairs[4096];
    uint32_t nseries;
    struct entry_rows rows;
    uint32_t refs[ROWS_MAX], counts[ROWS_MAX];
    int64_t t[SAMPLES_MAX], st[SAMPLES_MAX];
    double v[SAMPLES_MAX];
    uint32_t nexemplars, nmetadata;
    struct tsdb_exemplar exemplar;
    char text[256];
    bool damaged; /* anything may come */
};

static uint32_t on_name(void *arg, struct str text)
{
    return name_intern(&((struct theirs *)arg)->sy, text);
}

static uint32_t on_pair(void *arg, uint32_t name, struct str value)
{
    return pair_intern(&((struct theirs *)arg)->sy, name, value);
}

static void on_series(void *arg, const uint32_t *pairs, uint32_t n)
{
    struct theirs *x = arg;

    if (x->damaged) {
        x->nseries++;
        return;
    }
    assert_true(x->nseries < 4096 && n <= 4);
    if (n) /* else its definition is lost */
        memcpy(x->pairs[x->nseries], pairs, n * sizeof *pairs);
    x->npairs[x->nseries++] = n;
}

static void on_rows(void *arg, const struct entry_rows *r)
{
    struct theirs *x = arg;

    if (x->damaged)
        return;
    assert_true(r->nrows <= ROWS_MAX && r->nsamples <= SAMPLES_MAX);
    x->rows = *r;
    memcpy(x->refs, r->series, r->nrows * sizeof *r->series);
    memcpy(x->counts, r->counts, r->nrows * sizeof *r->counts);
    memcpy(x->t, r->t, r->nsamples * sizeof *r->t);
    memcpy(x->v, r->v, r->nsamples * sizeof *r->v);
    if (r->st)
        memcpy(x->st, r->st, r->nsamples * sizeof *r->st);
}

static void on_exemplar(void *arg, uint32_t ref, const struct tsdb_exemplar *ex)
{
    struct theirs *x = arg;

    assert_true(ref < x->nseries);
    x->nexemplars++;
    x->exemplar = *ex;
    if (ex->labels.n)
        snprintf(x->text, sizeof x->text, "%.*s=%.*s", STR_ARG(ex->labels.v[0].name), STR_ARG(ex->labels.v[0].value));
}

static void on_metadata(void *arg, const struct tsdb_metadata *m)
{
    struct theirs *x = arg;

    x->nmetadata++;
    if (x->damaged)
        return;
    assert_true(str_eqz(m->family, "fam") && str_eqz(m->help, "what it is") && m->type == METRIC_GAUGE);
}

static struct entry_sink sink_of(struct theirs *x)
{
    return (struct entry_sink){on_name, on_pair, on_series, on_rows, on_exemplar, on_metadata, x};
}

static double random_value(double last)
{
    switch (draw(9)) {
    case 0:
        return f64_from_bits(rng);
    case 1:
        return f64_from_bits(STALE_NAN_BITS);
    case 2:
        return (double)draw(100000) / 100;
    case 3:
        return (double)(int64_t)(rng >> 10);
    case 4:
        return -0.0;
    case 5:
        return (double)draw(1u << 30) / 1e9;
    case 6:
        return last + (double)draw(64);
    default:
        return last;
    }
}

struct plan {
    uint32_t series[ROWS_MAX], counts[ROWS_MAX], nrows, nsamples;
    int64_t t[SAMPLES_MAX], st[SAMPLES_MAX];
    double v[SAMPLES_MAX];
    bool st_used;
};

static void make_plan(struct plan *p, const struct mine *series)
{
    uint32_t from = (uint32_t)draw(SERIES), n = 1 + (uint32_t)draw(100), same = (uint32_t)draw(3);
    int64_t now = (int64_t)draw(INT64_C(1) << 41);

    memset(p, 0, sizeof *p);
    p->st_used = draw(3) == 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = draw(10) ? (from + i) % SERIES : (uint32_t)draw(SERIES),
                 count = same ? 1 + same : 1 + (uint32_t)draw(4);
        double last = series[k].ev;
        p->series[p->nrows] = k;
        p->counts[p->nrows++] = count;
        for (uint32_t j = 0; j < count; j++, p->nsamples++) {
            p->t[p->nsamples] = draw(20) ? now + (int64_t)j * 15000 : (int64_t)rng;
            p->st[p->nsamples] = draw(4) ? 5000 : (int64_t)draw(9000);
            p->v[p->nsamples] = last = random_value(last);
        }
    }
}

static void write_plan(struct entry_writer *w, struct mine *series, const struct plan *p, uint32_t file,
                       struct buf *out)
{
    uint32_t k = 0;

    entry_begin(w, file);
    entry_reserve(w, p->nsamples);
    for (uint32_t i = 0; i < p->nrows; i++) {
        struct mine *s = &series[p->series[i]];
        if (s->file != w->gen)
            s->local = entry_define(w, s->pairs, s->npairs);
        if (s->file != w->gen || s->stretch != w->stretch) {
            s->file = w->gen;
            s->stretch = w->stretch;
            s->ev = 0;
            s->estate = 0;
        }
        entry_row(w, s->local, p->t + k, p->counts[i]);
        for (uint32_t end = k + p->counts[i]; k < end; k++) {
            entry_value(w, &s->ev, &s->estate, p->v[k]);
            if (p->st_used)
                entry_st(w, p->st[k]);
        }
    }
    entry_finish(w, out);
}

static void compare(const struct plan *p, const struct mine *series, const struct symbols *sy, const struct theirs *x)
{
    assert_int_equal(x->rows.nrows, p->nrows);
    assert_int_equal(x->rows.nsamples, p->nsamples);
    assert_memory_equal(x->t, p->t, p->nsamples * sizeof *p->t);
    assert_memory_equal(x->v, p->v, p->nsamples * sizeof *p->v);
    assert_memory_equal(x->counts, p->counts, p->nrows * sizeof *p->counts);
    if (p->st_used)
        assert_memory_equal(x->st, p->st, p->nsamples * sizeof *p->st);
    for (uint32_t i = 0; i < p->nrows; i++) {
        const struct mine *s = &series[p->series[i]];
        assert_int_equal(x->npairs[x->refs[i]], s->npairs);
        for (uint32_t k = 0; k < s->npairs; k++) {
            const struct head_pair *a = pair_get(sy, s->pairs[k]), *b = pair_get(&x->sy, x->pairs[x->refs[i]][k]);
            assert_true(str_eq(pair_value(a), pair_value(b)));
            assert_true(str_eq(name_get(sy, a->name)->text, name_get(&x->sy, b->name)->text));
        }
    }
}

static void make_series(struct symbols *sy, struct mine *series)
{
    for (uint32_t k = 0; k < SERIES; k++) {
        char text[32];
        series[k] = (struct mine){.npairs = 2 + k % 3};
        for (uint32_t i = 0; i < series[k].npairs; i++) {
            snprintf(text, sizeof text, "%s%u", i == 1 ? "unique" : "v", i == 1 ? k : k / 8);
            series[k].pairs[i] = pair_intern(sy,
                                             name_intern(sy, i == 0   ? STR("__name__")
                                                             : i == 1 ? STR("id")
                                                             : i == 2 ? STR("job")
                                                                      : STR("zone")),
                                             str_of(text));
        }
    }
}

/* Any damage ends in an error or in other rows, never in a crash. */
static void damage(const struct buf *bytes)
{
    static struct theirs x;
    struct entry_sink sink;
    struct entry_reader r;
    struct buf bad = {0};
    struct arena a = {0};
    struct err e;

    symbols_init(&x.sy);
    x.nseries = 0;
    x.damaged = true;
    sink = sink_of(&x);
    entry_reader_init(&r, &sink);
    buf_put(&bad, bytes->p, bytes->n);
    if (draw(2))
        bad.n = draw(bad.n);
    else
        bad.p[draw(bad.n)] ^= (char)(1u << draw(8));
    (void)entry_read(&r, buf_str(&bad), &a, &e);
    arena_release(&a);
    entry_reader_release(&r);
    symbols_release(&x.sy);
    buf_release(&bad);
}

static void test_round_trip(void **state)
{
    static struct theirs x;
    static struct plan p;
    struct entry_sink sink = sink_of(&x);
    struct symbols sy;
    struct mine series[SERIES], before[SERIES];
    struct entry_writer w = {.symbols = &sy};
    struct entry_reader r;
    struct arena a = {0};
    struct err e = {0};
    uint32_t file = 7;
    uint64_t seed =
        getenv("TEST_SEED") ? strtoull(getenv("TEST_SEED"), NULL, 10) : (uint64_t)clock_mono_ns() % 1000000 + 1;

    (void)state;
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    rng = seed * 0x9e3779b97f4a7c15u | 1;
    symbols_init(&sy);
    symbols_init(&x.sy);
    make_series(&sy, series);
    entry_reader_init(&r, &sink);
    for (int i = 0; i < 600; i++) {
        struct buf bytes = {0};
        if (i % 50 == 0) {
            file++;
            entry_reader_file(&r);
        }
        make_plan(&p, series);
        memcpy(before, series, sizeof series);
        write_plan(&w, series, &p, file, &bytes);
        if (draw(5) == 0) { /* not pushed */
            memcpy(series, before, sizeof series);
            entry_undo(&w);
        } else {
            arena_reset(&a);
            if (entry_read(&r, buf_str(&bytes), &a, &e) < 0)
                fail_msg("%s", e.text);
            compare(&p, series, &sy, &x);
            if (i % 50 == 0)
                for (int k = 0; k < 20; k++)
                    damage(&bytes);
        }
        buf_release(&bytes);
    }
    entry_reader_release(&r);
    arena_release(&a);
    entry_writer_release(&w);
    symbols_release(&sy);
    symbols_release(&x.sy);
}

/* Which series have lost what, by the rules of entry.h. */
struct loss {
    bool defined[SERIES], lost[SERIES], unsure[SERIES];
    bool named[PAIRS], pair_lost[PAIRS], name_lost[PAIRS]; /* by id; a name goes with the pair that brought it */
};

/* An entry names a series for the first time. came: the entry did. */
static void define(struct loss *l, const struct symbols *sy, const struct mine *s, uint32_t k, bool came)
{
    bool lost = !came;

    if (l->defined[k])
        return;
    l->defined[k] = true;
    for (uint32_t i = 0; i < s->npairs; i++) {
        uint32_t pair = s->pairs[i], name = pair_get(sy, pair)->name;
        bool first = !l->named[pair], first_name = true;
        assert_true(pair < PAIRS);
        for (uint32_t q = 0; q < sy->npairs; q++)
            first_name &= !(l->named[q] && pair_get(sy, q)->name == name);
        if (first_name)
            l->name_lost[name] = !came;
        if (first)
            l->pair_lost[pair] = !came || l->name_lost[name];
        l->named[pair] = true;
        lost |= l->pair_lost[pair];
    }
    l->lost[k] = lost;
}

/* The rows that came are those of the plan that must come, in order and with their values. */
static void compare_behind_gap(const struct plan *p, const struct symbols *sy, const struct mine *series, const struct loss *l,
                               const struct theirs *x)
{
    uint32_t at = 0, row = 0, got = 0;

    for (uint32_t i = 0; i < p->nrows; at += p->counts[i++]) {
        const struct mine *s = &series[p->series[i]];
        if (l->lost[p->series[i]] || l->unsure[p->series[i]])
            continue;
        assert_true(row < x->rows.nrows);
        assert_int_equal(x->counts[row], p->counts[i]);
        assert_memory_equal(x->t + got, p->t + at, p->counts[i] * sizeof *p->t);
        assert_memory_equal(x->v + got, p->v + at, p->counts[i] * sizeof *p->v);
        assert_int_equal(x->npairs[x->refs[row]], s->npairs);
        assert_true(str_eq(pair_value(pair_get(sy, s->pairs[1])), pair_value(pair_get(&x->sy, x->pairs[x->refs[row]][1]))));
        got += x->counts[row++];
    }
    assert_int_equal(row, x->rows.nrows);
}

/* Before an entry is written: a new stretch makes what is only unsure right again. */
static void begin_stretch(struct entry_writer *w, struct loss *l)
{
    w->stretch_bytes = STRETCH_BYTES;
    w->stretch_samples = UINT64_MAX / 2;
    memset(l->unsure, 0, sizeof l->unsure);
}

/* The entry is lost: what it names is, and what was named before is not to be trusted. */
static void lose(struct loss *l)
{
    for (uint32_t k = 0; k < SERIES; k++)
        l->unsure[k] = l->defined[k];
}

static void test_gaps(void **state)
{
    static struct theirs x;
    static struct plan p;
    struct entry_sink sink = sink_of(&x);
    struct symbols sy;
    struct mine series[SERIES];
    struct entry_writer w = {.symbols = &sy};
    struct entry_reader r;
    struct arena a = {0};
    struct err e = {0};
    struct loss l;
    uint64_t nlost = 0;

    (void)state;
    rng = (uint64_t)clock_mono_ns() | 1;
    print_message("rng=%llu\n", (unsigned long long)rng);
    symbols_init(&sy);
    symbols_init(&x.sy);
    make_series(&sy, series);
    entry_reader_init(&r, &sink);
    for (uint32_t i = 0; i < 600; i++) {
        struct buf bytes = {0};
        bool lost = draw(8) == 0;
        if (i % 30 == 0) {
            entry_reader_file(&r);
            memset(&l, 0, sizeof l);
        } else if (draw(10) == 0) {
            begin_stretch(&w, &l);
        }
        make_plan(&p, series);
        write_plan(&w, series, &p, 1 + i / 30, &bytes);
        for (uint32_t k = 0; k < p.nrows; k++)
            define(&l, &sy, &series[p.series[k]], p.series[k], !lost);
        if (lost && draw(2)) { /* it comes, but cannot be read: cut in its last section but a few */
            bytes.n -= 1;
            arena_reset(&a);
            assert_int_equal(entry_read(&r, buf_str(&bytes), &a, &e), ERR_CORRUPT);
        }
        if (lost) {
            lose(&l);
            nlost++;
        } else {
            arena_reset(&a);
            if (entry_read(&r, buf_str(&bytes), &a, &e) < 0)
                fail_msg("%s", e.text);
            compare_behind_gap(&p, &sy, series, &l, &x);
        }
        buf_release(&bytes);
    }
    assert_true(nlost && r.losses.entries && r.losses.entries <= nlost);
    entry_reader_release(&r);
    arena_release(&a);
    entry_writer_release(&w);
    symbols_release(&sy);
    symbols_release(&x.sy);
}

static void test_exemplars_and_metadata(void **state)
{
    static struct theirs x;
    struct entry_sink sink = sink_of(&x);
    struct symbols sy;
    struct mine series[SERIES];
    struct entry_writer w = {.symbols = &sy};
    struct label l = {STR("trace_id"), STR("abc")};
    struct tsdb_exemplar ex = {{&l, 1}, 0.25, -77};
    struct entry_reader r;
    struct buf bytes = {0}, again = {0};
    struct arena a = {0};
    struct err e = {0};

    (void)state;
    symbols_init(&sy);
    symbols_init(&x.sy);
    make_series(&sy, series);
    entry_reader_init(&r, &sink);
    entry_begin(&w, 1);
    assert_true(entry_empty(&w));
    entry_exemplar(&w, entry_define(&w, series[3].pairs, series[3].npairs), &ex);
    entry_metadata(&w, &(struct tsdb_metadata){STR("fam"), STR("what it is"), STR(""), METRIC_GAUGE});
    assert_false(entry_empty(&w));
    entry_finish(&w, &bytes);
    assert_int_equal(entry_read(&r, buf_str(&bytes), &a, &e), 0);
    assert_int_equal(x.nexemplars, 1);
    assert_int_equal(x.nmetadata, 1);
    assert_int_equal(x.exemplar.t, -77);
    assert_string_equal(x.text, "trace_id=abc");
    /* The same entry again is not the next one; the next one is read again. */
    assert_int_equal(entry_read(&r, buf_str(&bytes), &a, &e), ERR_CORRUPT);
    entry_begin(&w, 1);
    entry_metadata(&w, &(struct tsdb_metadata){STR("fam"), STR("what it is"), STR(""), METRIC_GAUGE});
    entry_finish(&w, &again);
    assert_int_equal(entry_read(&r, buf_str(&again), &a, &e), 0);
    buf_release(&bytes);
    buf_release(&again);
    entry_reader_release(&r);
    arena_release(&a);
    entry_writer_release(&w);
    symbols_release(&sy);
    symbols_release(&x.sy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_exemplars_and_metadata),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
