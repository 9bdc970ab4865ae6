/*
 * test_day.c - a day against a plain model: random flushes, reopenings, merges and seals, and after each of them every
 * sample, label, matcher, name and value is compared.
 */
#include "tsdb/day_merge.c"

#include "store/inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERIES_MAX = 900, SAMPLES_MAX = 4000 };
#define DAY    19000
#define DAY_MS (INT64_C(86400000) * DAY)

struct model_series {
    struct labels labels;
    struct hash128 id;
    bool written; /* the day has it */
    uint32_t sid;
    uint32_t n;
    int64_t t[SAMPLES_MAX], st[SAMPLES_MAX];
    double v[SAMPLES_MAX];
};

struct world {
    struct arena arena;
    struct model_series *series;
    uint32_t nseries;
    char *path;
    struct partition *p;
    struct day *day;
    uint64_t contained;
};

static uint64_t rng;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * 0x2545f4914f6cdd1du;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(rnd() >> 32) % n;
}

static uint32_t first_time(const int64_t *t, uint32_t n, int64_t x)
{
    uint32_t i = 0;

    while (i < n && t[i] < x)
        i++;
    return i;
}

static void must(int rc, const struct err *e)
{
    if (rc < 0)
        fprintf(stderr, "error %d: %s\n", rc, e->text);
    assert_true(rc >= 0);
}

/* --- the world ---------------------------------------------------------------------------------------- */

static const char *const names[] = {"a", "instance", "job", "le", "Zone", "ünï"};

static void make_series(struct world *w)
{
    struct err e;

    w->nseries = 50 + below(SERIES_MAX - 50);
    w->series = x_zalloc(w->nseries * sizeof *w->series);
    for (uint32_t i = 0; i < w->nseries; i++) {
        struct model_series *s = &w->series[i];
        struct labels ls = {arena_array(&w->arena, struct label, 8), 0};

        if (below(20))
            ls.v[ls.n++] = (struct label){STR("__name__"), arena_printf(&w->arena, "metric_%u", below(7))};
        for (uint32_t k = 0; k < ARRAY_LEN(names); k++)
            if (below(3))
                ls.v[ls.n++] =
                    (struct label){str_of(names[k]), arena_printf(&w->arena, "%s%u", below(2) ? "x" : "", below(12))};
        ls.v[ls.n++] = (struct label){STR("unique"), arena_printf(&w->arena, "%x-%u", (unsigned)below(1000), i)};
        must(labels_normalise(&ls, &e), &e);
        s->labels = ls;
        s->id = labels_hash(&ls);
    }
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(&((const struct model_series *)a)->labels, &((const struct model_series *)b)->labels);
}

static struct partition *open_file(const char *path)
{
    struct partition_opts o = {.path = path, .signal = "metrics", .day = DAY, .format = 1, .create = true};
    struct partition *p;
    struct err e;

    must(partition_open(&o, &p, &e), &e);
    return p;
}

static void attach(struct world *w)
{
    struct err e;

    must(day_attach(w->p, &w->day, &e), &e);
    partition_set_user(w->p, w->day);
}

static void detach(struct world *w)
{
    partition_set_user(w->p, NULL);
    day_free(w->day);
    w->day = NULL;
}

static void world_open(struct world *w)
{
    *w = (struct world){.path = x_strdup(STR("/tmp/tripod-test-day-XXXXXX"))};
    int fd = mkstemp(w->path);

    assert_true(fd >= 0);
    close(fd);
    unlink(w->path);
    make_series(w);
    if (below(4)) /* usually in order, as a flush brings them */
        qsort(w->series, w->nseries, sizeof *w->series, by_labels);
    w->p = open_file(w->path);
    attach(w);
}

static void world_close(struct world *w)
{
    detach(w);
    partition_unref(w->p);
    unlink(w->path);
    unlink(arena_printf(&w->arena, "%s-lock", w->path).p);
    free(w->path);
    free(w->series);
    arena_release(&w->arena);
}

/* --- flushes --------------------------------------------------------------------------------------------- */

static void model_put(struct model_series *s, int64_t t, double v, int64_t st)
{
    uint32_t at = first_time(s->t, s->n, t);

    if (at < s->n && s->t[at] == t)
        return; /* older wins */
    memmove(s->t + at + 1, s->t + at, (s->n - at) * sizeof *s->t);
    memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof *s->v);
    memmove(s->st + at + 1, s->st + at, (s->n - at) * sizeof *s->st);
    s->t[at] = t;
    s->v[at] = v;
    s->st[at] = st;
    s->n++;
}

static double some_value(uint32_t kind, double before)
{
    switch (kind % 5) {
    case 0:
        return before;
    case 1:
        return before + below(100);
    case 2:
        return (double)below(1000) / 100;
    case 3:
        return below(30) ? before : f64_from_bits(STALE_NAN_BITS);
    default:
        return f64_from_bits(rnd());
    }
}

/* A flush: some series, few time columns shared by most, some with their own. */
static void do_flush(struct world *w, int64_t from, uint32_t n)
{
    enum { COLUMNS = 5 };
    static int64_t t[COLUMNS][400];
    static double v[400];
    static int64_t st[400];
    struct day_writer *dw;
    struct err e;
    uint32_t share = 1 + below(4), lengths[COLUMNS];

    assert_true(n <= 400);
    must(day_write_begin(w->p, &dw, &e), &e);
    for (uint32_t i = 0; i < w->nseries; i++) {
        struct model_series *s = &w->series[i];

        assert_int_equal(day_write_find(dw, s->id), s->written ? s->sid : DAY_NO_SID);
        if (!s->written && below(3) == 0) {
            must(day_write_new(dw, s->id, &s->labels, &s->sid, &e), &e);
            s->written = true;
        }
    }
    for (int c = 0; c < COLUMNS; c++) {
        lengths[c] = 1 + below(n);
        for (uint32_t k = 0; k < lengths[c]; k++)
            t[c][k] = from + below(15000) + k * INT64_C(15000);
        for (uint32_t k = 1; k < lengths[c]; k++)
            if (t[c][k] <= t[c][k - 1])
                t[c][k] = t[c][k - 1] + 1;
    }
    for (uint32_t i = 0; i < w->nseries; i++) {
        struct model_series *s = &w->series[i];
        uint32_t c = below(COLUMNS), column;
        bool has_st = below(10) == 0;
        double before = below(1000);
        uint32_t kind = below(5);

        if (!s->written || below(share) || s->n + lengths[c] > SAMPLES_MAX)
            continue;
        if (c == COLUMNS - 1) /* a column of its own */
            t[c][0] -= 1 + below(1000);
        must(day_write_times(dw, t[c], lengths[c], &column, &e), &e);
        for (uint32_t k = 0; k < lengths[c]; k++) {
            v[k] = before = some_value(kind, before);
            st[k] = has_st ? t[c][0] - 5 : 0;
        }
        must(day_write_series(dw, s->sid, column, v, has_st ? st : NULL, NULL, lengths[c], &e), &e);
        for (uint32_t k = 0; k < lengths[c]; k++)
            model_put(s, t[c][k], v[k], st[k]);
    }
    must(day_write_commit(dw, ++w->contained, &e), &e);
    assert_int_equal(partition_contained(w->p), w->contained);
}

/* What a dropped transaction wrote is not there. */
static void do_abort(struct world *w)
{
    struct day_writer *dw;
    struct err e;
    uint32_t sid, column, before = day_nseries(w->day);
    int64_t t[] = {DAY_MS + 1, DAY_MS + 2};
    double v[] = {1, 2};
    struct label l = {STR("never"), STR("there")};
    struct labels ls = {&l, 1};

    must(day_write_begin(w->p, &dw, &e), &e);
    must(day_write_new(dw, labels_hash(&ls), &ls, &sid, &e), &e);
    must(day_write_times(dw, t, 2, &column, &e), &e);
    must(day_write_series(dw, sid, column, v, NULL, NULL, 2, &e), &e);
    day_write_abort(dw);
    assert_int_equal(day_nseries(w->day), before);
}

/* --- checks ------------------------------------------------------------------------------------------------ */

/* Joins pieces as a cursor would: older wins. */
static void join_pieces(const struct day_piece *p, uint32_t n, struct samples *out)
{
    struct samples other = {0};

    out->n = 0;
    out->has_st = false;
    for (uint32_t i = 0; i < n; i++) {
        join(out, &p[i], &other);
        struct samples swap = *out;
        *out = other;
        other = swap;
    }
    samples_release(&other);
}

static void check_window(struct world *w, struct day_view *v, int64_t mint, int64_t maxt)
{
    struct day_reader *r;
    struct samples got = {0};
    uint32_t nv = day_view_nseries(v), *sids = x_alloc((nv + 1) * sizeof *sids),
             *of_sid = x_zalloc((nv + 1) * sizeof *of_sid);
    struct err e;

    for (uint32_t i = 0; i < nv; i++) {
        sids[i] = i;
        of_sid[i] = UINT32_MAX;
    }
    for (uint32_t i = 0; i < w->nseries; i++)
        if (w->series[i].written && w->series[i].sid < nv) /* a view may be older */
            of_sid[w->series[i].sid] = i;
    if (below(3)) {
        day_view_order(v, sids, nv);
    } else {
        for (uint32_t i = nv; i > 1; i--) {
            uint32_t k = below(i), swap = sids[i - 1];

            sids[i - 1] = sids[k];
            sids[k] = swap;
        }
    }
    must(day_reader_open(v, mint, maxt, &r, &e), &e);
    for (uint32_t i = 0; i < nv; i++) {
        const struct model_series *s = &w->series[of_sid[sids[i]]];
        uint32_t from = first_time(s->t, s->n, mint), to = maxt == INT64_MAX ? s->n : first_time(s->t, s->n, maxt + 1),
                 n;
        const struct day_piece *p;

        must(day_reader_get(r, sids[i], &p, &n, &e), &e);
        join_pieces(p, n, &got);
        assert_int_equal(got.n, to - from);
        assert_memory_equal(got.t, s->t + from, got.n * sizeof *got.t);
        assert_memory_equal(got.v, s->v + from, got.n * sizeof *got.v);
        assert_memory_equal(got.st, s->st + from, got.n * sizeof *got.st);
    }
    day_reader_close(r);
    samples_release(&got);
    free(sids);
    free(of_sid);
}

static struct matcher some_matcher(void)
{
    static const char *const patterns[] = {".*",     ".+", "x.*", "x1|x2|3",      "x(1|2).*",
                                           "[0-9]+", "",   "a|",  "metric_[0-3]", "nothing"};
    static const char *const all[] = {"__name__", "a", "instance", "job", "le", "Zone", "ünï", "unique", "absent"};
    static const char *const values[] = {"x1", "3", "metric_2", "", "nope"};
    struct str name = str_of(all[below(ARRAY_LEN(all))]);
    enum match_op op = (enum match_op)below(4);
    struct matcher m;
    struct err e;

    must(matcher_init(&m, op, name,
                      str_of(op == MATCH_EQ || op == MATCH_NE ? values[below(ARRAY_LEN(values))]
                                                              : patterns[below(ARRAY_LEN(patterns))]),
                      &e),
         &e);
    return m;
}

static void check_match(struct world *w, struct day_view *v)
{
    uint32_t n = below(4);
    struct matcher m[3];
    roaring_bitmap_t *got;
    uint64_t count = 0;
    struct err e;

    for (uint32_t i = 0; i < n; i++)
        m[i] = some_matcher();
    must(day_view_match(v, m, n, &got, &e), &e);
    for (uint32_t i = 0; i < w->nseries; i++) {
        struct model_series *s = &w->series[i];
        bool want = s->written && matchers_match(m, n, &s->labels);

        if (s->written && roaring_bitmap_contains(got, s->sid) != want) {
            struct buf b = {0};

            labels_print(&b, &s->labels);
            for (uint32_t k = 0; k < n; k++) {
                buf_putc(&b, ' ');
                matcher_print(&b, &m[k]);
            }
            fprintf(stderr, "%s: want %d\n", buf_z(&b), want);
            fail();
        }
        count += want;
    }
    assert_int_equal(roaring_bitmap_get_cardinality(got), count);
    roaring_bitmap_free(got);
    for (uint32_t i = 0; i < n; i++)
        matcher_release(&m[i]);
}

static void check_labels(struct world *w, struct day_view *v)
{
    struct arena a = {0};
    struct err e;

    for (uint32_t i = 0; i < w->nseries; i++) {
        struct model_series *s = &w->series[i];
        struct labels ls;
        struct str value;

        if (!s->written) {
            assert_int_equal(day_view_find(v, s->id), DAY_NO_SID);
            continue;
        }
        must(day_view_labels(v, s->sid, &a, &ls, &e), &e);
        assert_true(labels_eq(&ls, &s->labels));
        assert_true(hash128_eq(day_view_id(v, s->sid), s->id));
        assert_int_equal(day_view_find(v, s->id), s->sid);
        must(day_view_label(v, s->sid, STR("job"), &value, &e), &e);
        assert_true(str_eq(value, labels_get(&s->labels, STR("job"))));
    }
    arena_release(&a);
}

static int note(void *set, struct str s)
{
    *map_put(set, s, NULL) = set;
    return 0;
}

/* Names and values of a random set of series, or of all. */
static void check_names(struct world *w, struct day_view *v)
{
    struct map got_names = {0}, got_values = {0}, want_names = {0}, want_values = {0};
    roaring_bitmap_t *only = below(2) ? roaring_bitmap_create() : NULL;
    struct str name = below(2) ? STR("unique") : STR("job");
    struct err e;

    for (uint32_t i = 0; i < w->nseries; i++) {
        const struct model_series *s = &w->series[i];

        if (!s->written || (only && below(3)))
            continue;
        if (only)
            roaring_bitmap_add(only, s->sid);
        for (uint32_t k = 0; k < s->labels.n; k++)
            note(&want_names, s->labels.v[k].name);
        if (labels_get(&s->labels, name).n)
            note(&want_values, labels_get(&s->labels, name));
    }
    must(day_view_names(v, only, note, &got_names, &e), &e);
    must(day_view_values(v, name, only, note, &got_values, &e), &e);
    assert_int_equal(got_names.n, want_names.n);
    assert_int_equal(got_values.n, want_values.n);
    struct map_entry *en;
    for (uint32_t i = 0; (en = map_next(&want_names, &i));)
        assert_non_null(map_get(&got_names, en->key));
    for (uint32_t i = 0; (en = map_next(&want_values, &i));)
        assert_non_null(map_get(&got_values, en->key));
    map_release(&got_names);
    map_release(&got_values);
    map_release(&want_names);
    map_release(&want_values);
    if (only)
        roaring_bitmap_free(only);
}

static void print_line(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

static void check(struct world *w)
{
    struct day_view *v;
    struct err e;

    must(day_view_open(w->p, &v, &e), &e);
    check_window(w, v, INT64_MIN, INT64_MAX);
    for (int i = 0; i < 3; i++) {
        int64_t from = DAY_MS + below(86400000);
        check_window(w, v, from, from + below(20000000));
    }
    for (int i = 0; i < 40; i++)
        check_match(w, v);
    check_labels(w, v);
    check_names(w, v);
    day_view_close(v);
    must(day_verify(w->p, print_line, NULL, &e), &e);
}

/* --- upkeep --------------------------------------------------------------------------------------------------- */

/* Deletes the second hour of what has a `job` beginning with x, and all of metric_1. */
static bool filter_touches(void *arg, const struct labels *ls, int64_t mint, int64_t maxt)
{
    (void)arg;
    (void)mint;
    (void)maxt;
    return str_starts(labels_get(ls, STR("job")), STR("x")) || str_eqz(labels_get(ls, STR(LABEL_NAME)), "metric_1");
}

static bool filter_keep(void *arg, const struct labels *ls, int64_t t)
{
    (void)arg;
    return !str_eqz(labels_get(ls, STR(LABEL_NAME)), "metric_1") && (t < DAY_MS + HOUR || t >= DAY_MS + 2 * HOUR);
}

static void model_filter(struct world *w)
{
    for (uint32_t i = 0; i < w->nseries; i++) {
        struct model_series *s = &w->series[i];
        uint32_t n = 0;

        if (s->n == 0 || !filter_touches(NULL, &s->labels, 0, 0))
            continue;
        for (uint32_t k = 0; k < s->n; k++)
            if (filter_keep(NULL, &s->labels, s->t[k])) {
                s->t[n] = s->t[k];
                s->v[n] = s->v[k];
                s->st[n++] = s->st[k];
            }
        s->n = n;
    }
}

static void do_seal(struct world *w)
{
    static const struct day_filter filter = {filter_touches, filter_keep, NULL};
    bool filtered = below(2);
    struct buf path = {0};
    struct day_view *v;
    struct err e;

    buf_printf(&path, "%s.sealed", w->path);
    struct partition *to = open_file(buf_z(&path));
    must(day_seal(w->p, to, filtered ? &filter : NULL, &e), &e);
    assert_int_equal(partition_contained(to), w->contained);
    if (filtered)
        model_filter(w);
    detach(w);
    partition_unref(w->p);
    unlink(w->path);
    unlink(arena_printf(&w->arena, "%s-lock", w->path).p);
    free(w->path);
    w->path = buf_detach(&path, NULL);
    w->p = to;
    attach(w);
    must(day_view_open(w->p, &v, &e), &e);
    for (uint32_t i = 0; i < w->nseries; i++) {
        struct model_series *s = &w->series[i];
        bool touched = filter_touches(NULL, &s->labels, 0, 0);

        if (!s->written)
            continue;
        s->sid = day_view_find(v, s->id);
        if (s->sid == DAY_NO_SID) { /* only what a delete left nothing of may be gone */
            assert_true(filtered && touched && s->n == 0);
            s->written = false;
        }
    }
    day_view_close(v);
}

static void do_merge(struct world *w)
{
    bool did;
    struct err e;

    must(day_merge(w->p, NULL, &did, &e), &e);
}

static void test_random(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        struct world w;
        int64_t at = DAY_MS;

        world_open(&w);
        check(&w);
        for (int step = 0; step < 25; step++) {
            uint32_t what = below(20);

            if (what < 13) {
                bool late = below(6) == 0;
                uint32_t n = 1 + below(below(3) ? 60 : 400);

                do_flush(&w, late ? DAY_MS + below(20000000) : at, n);
                at += late ? 0 : n * INT64_C(15000) + 20000;
            } else if (what < 15) {
                detach(&w);
                attach(&w);
            } else if (what < 18) {
                do_merge(&w);
            } else if (what < 19) {
                do_abort(&w);
            } else {
                do_seal(&w);
            }
            check(&w);
        }
        do_seal(&w);
        check(&w);
        world_close(&w);
    }
}

/* A view goes on to see what it saw while commits and merges go by. */
static void test_view_is_frozen(void **state)
{
    struct world w;
    struct day_view *v;
    struct err e;
    struct day_reader *r;
    const struct day_piece *p;
    uint32_t n, before;

    (void)state;
    world_open(&w);
    for (int i = 0; i < 4; i++)
        do_flush(&w, DAY_MS + i * HOUR, 20);
    must(day_view_open(w.p, &v, &e), &e);
    before = day_view_nseries(v);
    struct model_series *s = &w.series[0];
    while (!s->written || s->n == 0)
        s++;
    uint32_t n_then = s->n;
    for (int i = 4; i < 12; i++) {
        do_flush(&w, DAY_MS + i * HOUR, 20);
        do_merge(&w);
    }
    assert_int_equal(day_view_nseries(v), before);
    must(day_reader_open(v, INT64_MIN, INT64_MAX, &r, &e), &e);
    must(day_reader_get(r, s->sid, &p, &n, &e), &e);
    struct samples got = {0};
    join_pieces(p, n, &got);
    assert_int_equal(got.n, n_then);
    samples_release(&got);
    day_reader_close(r);
    check_window(&w, v, 1, 0); /* an empty window */
    day_view_close(v);
    check(&w);
    world_close(&w);
}

/* Readers on their own threads while flushes and merges go by: what they see is whole, whenever they look. */
struct threads {
    struct world *w;
    _Atomic bool stop;
    _Atomic uint32_t looks;
};

static void *look(void *arg)
{
    struct threads *th = arg;

    while (!th->stop) {
        struct day_view *v;
        struct day_reader *r;
        const struct day_piece *p;
        struct matcher m;
        roaring_bitmap_t *found;
        uint32_t n;
        struct err e;

        must(day_view_open(th->w->p, &v, &e), &e);
        must(matcher_init(&m, MATCH_RE, STR("job"), STR("x.*|3"), &e), &e);
        must(day_view_match(v, &m, 1, &found, &e), &e);
        must(day_reader_open(v, INT64_MIN, INT64_MAX, &r, &e), &e);
        roaring_uint32_iterator_t it;
        roaring_init_iterator(found, &it);
        for (; it.has_value; roaring_advance_uint32_iterator(&it)) {
            struct str job;

            must(day_view_label(v, it.current_value, STR("job"), &job, &e), &e);
            assert_true(matcher_matches(&m, job));
            assert_int_equal(day_view_find(v, day_view_id(v, it.current_value)), it.current_value);
            must(day_reader_get(r, it.current_value, &p, &n, &e), &e);
        }
        day_reader_close(r);
        roaring_bitmap_free(found);
        matcher_release(&m);
        day_view_close(v);
        th->looks++;
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct world w;
    struct threads th = {.w = &w};
    pthread_t t[3];

    (void)state;
    world_open(&w);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, look, &th), 0);
    for (int i = 0; i < 20 || th.looks < 20; i++) {
        do_flush(&w, DAY_MS + (i % 20) * HOUR, 20);
        if (i % 7 == 6)
            do_merge(&w);
    }
    th.stop = true;
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        pthread_join(t[i], NULL);
    check(&w);
    world_close(&w);
}

static void count_line(void *arg, const char *line)
{
    assert_true(strlen(line) > 0);
    ++*(int *)arg;
}

static void test_dump(void **state)
{
    struct world w;
    struct err e;
    int lines = 0;

    (void)state;
    world_open(&w);
    must(day_dump(w.p, true, count_line, &lines, &e), &e);
    assert_int_equal(lines, 1);
    do_flush(&w, DAY_MS, 50);
    must(day_dump(w.p, true, count_line, &lines, &e), &e);
    assert_true(lines > 10);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_view_is_frozen),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_dump),
    };

    rng = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)clock_wall_ns() | 1;
    fprintf(stderr, "SEED=%llu\n", (unsigned long long)rng);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
