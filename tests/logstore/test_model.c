/*
 * test_model.c - the log store under random operations against a plain list: pushes with repeats, disorder, late rows and equal
 * times; flush, merge, seal, reopen, delete; select both ways with hints, counts, names, marks.
 */
#include "logstore/day.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/logstore/log_model.h"

/* --- checking ---------------------------------------------------------------------------------------------------- */

struct got {
    int64_t t;
    uint64_t order;
    uint32_t at, stream;
    struct str line;
    const struct label *meta;
    uint32_t nmeta;
};

static bool backward_now;

static int by_arrival(const void *a, const void *b)
{
    const struct got *x = a, *y = b;

    if (x->t != y->t)
        return (x->t > y->t) != backward_now ? 1 : -1;
    if (x->order != y->order)
        return (x->order > y->order) != backward_now ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

static const struct world *sorting;

static int by_time(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    const struct model_row *x = &sorting->rows[i], *y = &sorting->rows[k];

    if (x->t != y->t)
        return (x->t > y->t) != backward_now ? 1 : -1;
    return (i > k) != backward_now ? 1 : -1;
}

/* Does a row have what the hint says? */
static bool has(const struct world *w, const struct model_row *r, const struct log_hint *h)
{
    struct arena a = {0};
    struct label *m;
    bool yes = false;

    (void)w;
    for (uint32_t i = 0; i < h->nvalues && !yes; i++) {
        if (h->kind == LOG_HINT_LINE) {
            yes = str_find(str_of(r->line), h->values[i]) >= 0;
        } else if (h->kind == LOG_HINT_META) {
            uint32_t n = give_meta(&a, r->meta, &m);
            for (uint32_t k = 0; k < n; k++)
                yes |= str_eq(m[k].name, h->name) && str_eq(m[k].value, h->values[i]);
        } else {
            const char *f = h->parser == LOG_PARSER_JSON ? "{\"level\":\"%.*s\"," : "level=%.*s ";
            yes = str_starts(str_of(r->line), arena_printf(&a, f, STR_ARG(h->values[i]))) || (r->stream % 4 == 0 && str_eqz(h->values[i], "x")) ||
                  (r->meta % 6 == 1 && str_eqz(h->values[i], "of the metadata"));
        }
    }
    arena_release(&a);
    return yes;
}

struct asked {
    struct log_select_opts o;
    struct matcher m;
    struct log_hint hints[2];
    struct str values[2];
    uint32_t stream; /* STREAMS: all */
};

static void ask(struct world *w, struct asked *q)
{
    struct err e;

    memset(q, 0, sizeof *q);
    q->o.mint_ns = rnd(w, 3) ? make_time(w) : w->base - 1;
    q->o.maxt_ns = rnd(w, 3) ? q->o.mint_ns + (int64_t)rnd(w, 3) * 86400 * 1000 * MS / 2 : INT64_MAX;
    q->o.backward = rnd(w, 2);
    q->o.lines = q->o.meta = true;
    q->stream = rnd(w, 2) ? STREAMS : rnd(w, STREAMS);
    if (q->stream < STREAMS) {
        assert_int_equal(matcher_init(&q->m, MATCH_EQ, STR("stream"), arena_printf(&w->arena, "%u", q->stream), &e), 0);
        q->o.matchers = &q->m;
        q->o.nmatchers = 1;
    }
    q->o.hints = q->hints;
    q->o.nhints = rnd(w, 3);
    for (uint32_t i = 0; i < q->o.nhints; i++) {
        struct log_hint *h = &q->hints[i];
        h->kind = (enum log_hint_kind)rnd(w, 3);
        h->values = &q->values[i];
        h->nvalues = 1;
        h->name = h->kind == LOG_HINT_META ? STR("detected_level") : STR("level");
        h->parser = rnd(w, 2) ? LOG_PARSER_JSON : LOG_PARSER_LOGFMT;
        q->values[i] = h->kind == LOG_HINT_LINE ? rnd(w, 2) ? STR("needle") : STR("absent thing") : STR("error");
        if (h->kind == LOG_HINT_FIELD && rnd(w, 2)) /* what the stream, the metadata or nothing has */
            q->values[i] = rnd(w, 3) ? rnd(w, 2) ? STR("x") : STR("of the metadata") : STR("none");
    }
}

static uint32_t stream_of(const struct log_select *s, uint32_t i)
{
    uint64_t n = 0;

    assert_true(str_to_u64(labels_get(log_select_labels(s, i), STR("stream")), &n));
    return (uint32_t)n;
}

static bool is_row(struct world *w, const struct got *g, const struct model_row *r)
{
    struct label *m;
    uint32_t n = give_meta(&w->arena, r->meta, &m);

    if (g->t != r->t || !str_eqz(g->line, r->line) || g->nmeta != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!str_eq(g->meta[i].name, m[i].name) || !str_eq(g->meta[i].value, m[i].value))
            return false;
    return true;
}

/* All of the stream that was got, in order, must be rows of the list in order, and none that has all hints may be missing. */
static void check_stream(struct world *w, const struct asked *q, uint32_t stream, const struct got *g, uint32_t n)
{
    uint32_t *idx = x_alloc((w->n + 1) * sizeof *idx), k = 0, at = 0;

    for (uint32_t i = 0; i < w->n; i++)
        if (w->rows[i].stream == stream && !w->rows[i].gone && w->rows[i].t >= q->o.mint_ns && w->rows[i].t <= q->o.maxt_ns)
            idx[k++] = i;
    sorting = w;
    backward_now = q->o.backward;
    qsort(idx, k, sizeof *idx, by_time);
    for (uint32_t i = 0; i < k; i++) {
        const struct model_row *r = &w->rows[idx[i]];
        bool must = true;
        while (at < n && g[at].stream != stream)
            at++;
        for (uint32_t h = 0; h < q->o.nhints; h++)
            must &= has(w, r, &q->hints[h]);
        if (at < n && is_row(w, &g[at], r)) {
            at++;
        } else if (must) {
            fail_msg("stream %u: row %u of %u at %lld is missing: %s", stream, i, k, (long long)r->t, r->line);
        }
    }
    while (at < n && g[at].stream != stream)
        at++;
    if (at < n)
        fail_msg("stream %u: a row at %lld that is not there: %.*s", stream, (long long)g[at].t, STR_ARG(g[at].line));
    free(idx);
}

static void check_select(struct world *w)
{
    struct log_cursor *c[2];
    struct got *g = NULL;
    struct log_select *s;
    uint32_t n = 0, cap = 0, open = 2;
    struct log_rows rows;
    struct asked q;
    struct err e = {0};
    int64_t horizon;
    int rc;

    ask(w, &q);
    horizon = q.o.backward ? INT64_MAX : INT64_MIN;
    if (logstore_select(w->ls, &q.o, &s, &e) < 0 || log_cursor_open(s, &c[0], &e) < 0 || log_cursor_open(s, &c[1], &e) < 0)
        fail_msg("%s", e.text);
    while (open) {
        uint32_t k = open == 2 ? rnd(w, 2) : 0;
        if ((rc = log_cursor_next(c[k], &rows, &e)) < 0)
            fail_msg("%s", e.text);
        if (rc > 0) {
            log_cursor_free(c[k]);
            c[0] = c[!k];
            open--;
            continue;
        }
        for (uint32_t i = 0; i < rows.n; i++) {
            struct label *meta = arena_array(&w->arena, struct label, rows.v[i].nmeta);
            struct str line;
            assert_true(q.o.backward ? rows.v[i].t_ns <= horizon : rows.v[i].t_ns >= horizon);
            assert_int_equal(log_rows_line(c[k], i, &line, &e), 0);
            assert_true(str_eq(line, rows.v[i].line));
            if (n == cap)
                g = x_realloc(g, (cap = cap ? cap * 2 : 1024) * sizeof *g);
            for (uint32_t j = 0; j < rows.v[i].nmeta; j++)
                meta[j] = (struct label){arena_dup(&w->arena, rows.v[i].meta[j].name), arena_dup(&w->arena, rows.v[i].meta[j].value)};
            g[n++] = (struct got){rows.v[i].t_ns, rows.order, i, stream_of(s, rows.v[i].stream), arena_dup(&w->arena, line), meta, rows.v[i].nmeta};
        }
        horizon = log_cursor_horizon(c[k]);
    }
    backward_now = q.o.backward;
    if (n)
        qsort(g, n, sizeof *g, by_arrival);
    for (uint32_t i = 0; i < n; i++)
        assert_true(q.stream == STREAMS || g[i].stream == q.stream);
    for (uint32_t i = 0; i < STREAMS; i++)
        if (q.stream == STREAMS || q.stream == i)
            check_stream(w, &q, i, g, n);
    free(g);
    log_select_free(s);
    if (q.o.nmatchers)
        matcher_release(&q.m);
}

static struct str level_of(struct world *w, uint32_t meta)
{
    struct label *m;
    uint32_t n = give_meta(&w->arena, meta, &m);

    return n && str_eqz(m[0].name, "detected_level") ? m[0].value : STR("");
}

static void check_minutes(struct world *w)
{
    int64_t mint = make_time(w), maxt = mint + (int64_t)rnd(w, 60) * MINUTE + rnd(w, 1000000);
    struct log_minutes m;
    struct err e = {0};
    uint64_t rows = 0, bytes = 0, want = 0, want_bytes = 0;

    if (rnd(w, 2))
        maxt = w->base + INT64_C(10) * 86400 * 1000 * MS;
    if (logstore_minutes(w->ls, NULL, 0, mint, maxt, &w->arena, NULL, &m, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(m.from_ns >= mint && m.to_ns <= maxt && m.from_ns <= m.to_ns);
    assert_true(m.from_ns == m.to_ns || (m.from_ns < mint + MINUTE && m.to_ns > maxt - MINUTE));
    for (size_t i = 0; i < m.n; i++) {
        const struct log_minute *x = &m.v[i];
        uint64_t n = 0, stream;
        assert_true(x->end_ns > m.from_ns && x->end_ns <= m.to_ns && x->end_ns % MINUTE == 0);
        assert_true(str_to_u64(labels_get(&m.streams[x->stream], STR("stream")), &stream));
        if (i && m.v[i - 1].stream == x->stream) {
            int c = str_cmp(m.v[i - 1].level, x->level);
            assert_true(c < 0 || (c == 0 && m.v[i - 1].end_ns < x->end_ns));
        }
        for (uint32_t k = 0; k < w->n; k++)
            n += !w->rows[k].gone && w->rows[k].stream == stream && w->rows[k].t > x->end_ns - MINUTE && w->rows[k].t <= x->end_ns &&
                 str_eq(level_of(w, w->rows[k].meta), x->level);
        assert_int_equal(n, x->rows);
        rows += x->rows;
        bytes += x->bytes;
    }
    for (uint32_t k = 0; k < w->n; k++)
        if (!w->rows[k].gone && w->rows[k].t > m.from_ns && w->rows[k].t <= m.to_ns) {
            want++;
            want_bytes += strlen(w->rows[k].line);
        }
    assert_int_equal(rows, want);
    assert_int_equal(bytes, want_bytes);
}

static void check_names(struct world *w)
{
    int64_t mint = make_time(w), maxt = mint + (int64_t)rnd(w, 60) * MINUTE;
    struct log_volume v;
    struct labels *ls;
    struct err e = {0};
    uint32_t n;
    bool seen[STREAMS] = {false};

    if (logstore_series(w->ls, NULL, 0, mint, maxt, &w->arena, &ls, &n, &e) < 0 || logstore_volume(w->ls, NULL, 0, INT64_MIN, INT64_MAX, &v, &e) < 0)
        fail_msg("%s", e.text);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t k;
        assert_true(str_to_u64(labels_get(&ls[i], STR("stream")), &k));
        assert_false(seen[k]);
        seen[k] = true;
    }
    for (uint32_t i = 0; i < w->n; i++)
        assert_true(w->rows[i].gone || w->rows[i].t < mint || w->rows[i].t > maxt || seen[w->rows[i].stream]);
    if (w->deletes == 0)
        assert_int_equal(v.rows, w->n);
}

static void check_marks(struct world *w)
{
    for (uint32_t i = 0; i < MARKS; i++) {
        struct buf b = {0};
        bool there = logstore_mark(w->ls, arena_printf(&w->arena, "file/%u", i), &b);
        assert_int_equal(there, w->marks[i][0] != '\0');
        if (there)
            assert_true(str_eqz(buf_str(&b), w->marks[i]));
        buf_release(&b);
    }
}

/* --- upkeep --------------------------------------------------------------------------------------------------------- */

static void flush(struct world *w)
{
    struct err e = {0};

    if (store_flush(w->store, "logs", &e) < 0)
        fail_msg("%s", e.text);
}

static void print_finding(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

static void each_day(struct world *w, bool merge)
{
    struct partition_list l;
    struct err e = {0};
    bool did;

    store_partitions(w->store, "logs", INT64_MIN, INT64_MAX, &l);
    for (uint32_t i = 0; i < l.n; i++) {
        if (merge && !partition_sealed(l.v[i]) && log_day_merge(l.v[i], NULL, &did, &e) < 0)
            fail_msg("%s", e.text);
        if (log_day_verify(l.v[i], print_finding, NULL, &e) < 0)
            fail_msg("%s", e.text);
    }
    partition_list_release(&l);
}

static void seal(struct world *w)
{
    struct err e = {0};
    int32_t day = day_of_ms(w->base / MS) + (int32_t)rnd(w, DAY_SPREAD);
    int rc = store_reseal(w->store, "logs", day, &e);

    if (rc < 0 && rc != ERR_NOT_FOUND)
        fail_msg("%s", e.text);
}

static void delete(struct world *w)
{
    static const char *const words[] = {"", "needle", "error"};
    uint32_t stream = rnd(w, STREAMS);
    const char *word = words[rnd(w, 3)];
    int64_t mint = make_time(w), maxt = mint + (int64_t)rnd(w, 20) * MINUTE;
    struct err e = {0};
    uint64_t id;

    if (logstore_delete(w->ls, arena_printf(&w->arena, "%u %s", stream, word), mint, maxt, &id, &e) < 0)
        fail_msg("%s", e.text);
    w->deletes++;
    for (uint32_t i = 0; i < w->n; i++) {
        struct model_row *r = &w->rows[i];
        r->gone |= r->stream == stream && r->t >= mint && r->t <= maxt && strstr(r->line, word);
    }
    check_select(w);
    check_minutes(w);
    if (rnd(w, 3) == 0) {
        close_world(w);
        open_world(w);
        check_select(w);
    }
    if (logstore_clean(w->ls, &e) < 0)
        fail_msg("%s", e.text);
}

static void step(struct world *w)
{
    switch (rnd(w, 24)) {
    case 0:
    case 1:
        flush(w);
        break;
    case 2:
        each_day(w, true);
        break;
    case 3:
        seal(w);
        break;
    case 4:
        close_world(w);
        open_world(w);
        break;
    case 5:
        delete(w);
        break;
    case 6:
        check_marks(w);
        check_names(w);
        break;
    case 7:
    case 8:
        check_minutes(w);
        break;
    case 9:
    case 10:
    case 11:
    case 12:
        check_select(w);
        break;
    default:
        push(w);
    }
    arena_reset(&w->arena);
}

static void run(uint64_t seed, uint32_t steps)
{
    struct world w = {.rng = seed};

    temp_dir(w.dir, "test_log_model");
    w.base = (clock_wall_ns() / (86400 * 1000 * MS) - DAY_SPREAD) * 86400 * 1000 * MS + 23 * 60 * MINUTE + 55 * MINUTE;
    w.base -= 86400 * 1000 * MS; /* the last minutes of a day and the first of the next */
    open_world(&w);
    printf("seed %llu\n", (unsigned long long)seed);
    for (uint32_t i = 0; i < steps; i++)
        step(&w);
    check_select(&w);
    each_day(&w, false);
    close_world(&w);
    for (uint32_t i = 0; i < w.n; i++)
        free(w.rows[i].line);
    free(w.rows);
    arena_release(&w.arena);
    temp_remove(w.dir);
}

static void test_random(void **state)
{
    const char *seed = getenv("SEED"), *all = getenv("TRIPOD_LONG");
    uint32_t lives = seed ? 1 : all ? 100 : 2;

    (void)state;
    for (uint32_t i = 0; i < lives; i++)
        run(seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL) * 1000 + i, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

    log_setup(LOG_WARN, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
