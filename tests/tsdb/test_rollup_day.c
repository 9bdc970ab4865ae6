/*
 * test_rollup_day.c - aggregates of days against the samples they were made of: made, read, out of date, deleted from, damaged,
 * killed on the way, and alone when the samples are gone.
 */
#include "tsdb/rollup_day.c"

#include "base/crash.h"
#include "store/scrub.h"
#include "store/upkeep.h"
#include "tests/base/prop.h"
#include "tsdb/select.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAY_MS INT64_C(86400000)

static void check_same(double a, double b)
{
    if (f64_bits(a) != f64_bits(b) && !(isnan(a) && isnan(b)))
        fail_msg("%g, not %g", a, b);
}

enum { SERIES = 40, DAYS = 4 };

struct world {
    char dir[128];
    struct store *store;
    struct tsdb *db;
    int64_t from, to; /* midnights: DAYS days, all over */
    struct rng r;
};

static void open_world(struct world *w, int64_t retention_ms)
{
    struct store_opts so;
    struct tsdb_opts to;
    struct err e = {0};

    store_opts_default(&so);
    tsdb_opts_default(&to);
    so.dir = w->dir;
    so.retention_ms = retention_ms;
    so.out_of_order_ms = 40 * DAY_MS;
    so.seal_grace_ms = 0;
    so.upkeep_interval_ms = DAY_MS; /* rounds are made by hand */
    if (store_open(&so, &w->store, &e) < 0 || tsdb_new(w->store, &to, &w->db, &e) < 0 ||
        store_recover(w->store, &e) < 0 || store_start(w->store, &e) < 0)
        fail_msg("%s", e.text);
}

static void close_world(struct world *w)
{
    store_close(w->store);
    tsdb_free(w->db);
}

static int setup(void **state)
{
    struct world *w = x_zalloc(sizeof *w);

    strcpy(w->dir, "/tmp/test_rollup.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->to = day_start_ms(day_of_ms(clock_wall_ms()) - 1);
    w->from = w->to - DAYS * DAY_MS;
    w->r = rng_new("rollup days");
    open_world(w, 30 * DAY_MS);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char cmd[160];

    close_world(w);
    snprintf(cmd, sizeof cmd, "rm -rf %s", w->dir);
    assert_int_equal(system(cmd), 0);
    free(w);
    return 0;
}

static int give_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    (void)e;
    out->v = arena_array(a, struct label, 2);
    out->n = 2;
    out->v[0] = (struct label){STR("__name__"), STR("m")};
    out->v[1] = (struct label){STR("id"), b->series[i].raw};
    return 0;
}

static void put(struct world *w, int k, int64_t *t, double *v, uint32_t n)
{
    char id[16];
    int len = snprintf(id, sizeof id, "%02d", k);
    struct tsdb_in in = {.key = hash128(id, (size_t)len), .raw = str_n(id, (size_t)len), .n = n};
    struct tsdb_batch b = {.series = &in, .nseries = 1, .t = t, .v = v, .labels = give_labels};
    struct err e = {0};

    if (n && tsdb_ingest_wait(w->db, &b, &e) < 0)
        fail_msg("%s", e.text);
}

/* A few shapes: even, with gaps, ending, beginning late; one sample at each midnight. */
static void fill_days(struct world *w)
{
    enum { STEP = 97000 };
    uint32_t max = (uint32_t)((w->to - w->from) / STEP) + 2, n;
    int64_t *t = x_alloc(max * sizeof *t);
    double *v = x_alloc(max * sizeof *v);

    for (int k = 0; k < SERIES; k++) {
        double counter = 0;
        n = 0;
        for (int64_t at = w->from + 1 + (k % 3) * 5000; at <= w->to; at += STEP) {
            int64_t midnight = bucket_end(at, DAY_MS);
            counter = rng_below(&w->r, 200) ? counter + rng_below(&w->r, 100) : rng_below(&w->r, 10);
            if (k % 5 == 1 && at > w->to - 2 * DAY_MS)
                break;
            if ((k % 5 == 2 && at < w->from + DAY_MS) || (k % 5 == 3 && !rng_below(&w->r, 3)))
                continue;
            t[n] = midnight - at < STEP ? midnight : at;
            v[n++] = k % 4 == 3 && !rng_below(&w->r, 9) ? NAN : counter;
            if (k % 7 == 6 && !rng_below(&w->r, 50))
                v[n - 1] = f64_from_bits(STALE_NAN_BITS);
        }
        put(w, k, t, v, n);
    }
    free(t);
    free(v);
}

static void round_of_upkeep(struct world *w, int64_t now_ms)
{
    struct err e = {0};

    if (store_flush(w->store, NULL, &e) < 0)
        fail_msg("%s", e.text);
    upkeep_round(w->store, now_ms);
    upkeep_round(w->store, now_ms);
}

static struct tsdb_select *open_select(struct world *w, int64_t mint, int64_t maxt, enum tsdb_rollup what,
                                       int64_t every)
{
    struct matcher m;
    struct err e = {0};
    struct tsdb_select_opts o = {
        .matchers = &m, .nmatchers = 1, .mint = mint, .maxt = maxt, .rollup = what, .rollup_ms = every};
    struct tsdb_select *s;

    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("__name__"), STR("m"), &e), 0);
    if (tsdb_select_open(w->db, &o, &s, &e) < 0)
        fail_msg("%s", e.text);
    matcher_release(&m);
    return s;
}

/* All series of a window, by id. */
struct got {
    struct {
        uint32_t n;
        int64_t *t, *t_first;
        double *v, *first, *count, *resets;
        bool buckets;
    } s[SERIES];
    struct tsdb_rollup_used used;
};

static void *copy_of(const void *p, size_t bytes)
{
    void *c = p ? x_alloc(bytes + 1) : NULL;

    if (p)
        memcpy(c, p, bytes);
    return c;
}

static void read_all(struct world *w, int64_t mint, int64_t maxt, enum tsdb_rollup what, int64_t every, struct got *g)
{
    struct tsdb_select *s = open_select(w, mint, maxt, what, every);
    struct tsdb_cursor *c;
    struct tsdb_samples x;
    struct err e = {0};
    struct str id;
    int rc;

    memset(g, 0, sizeof *g);
    tsdb_select_rollup(s, &g->used);
    assert_int_equal(tsdb_cursor_open(s, 0, &c, &e), 0);
    while ((rc = tsdb_cursor_next(c, &x, &e)) == 0) {
        assert_int_equal(tsdb_cursor_label(c, STR("id"), &id, &e), 0);
        int k = (id.p[0] - '0') * 10 + id.p[1] - '0';
        size_t n = x.n * sizeof(double);
        g->s[k].n = x.n;
        g->s[k].t = copy_of(x.t, n);
        g->s[k].v = copy_of(x.v, n);
        g->s[k].buckets = x.b != NULL;
        if (x.b) {
            g->s[k].t_first = copy_of(x.b->t_first, n);
            g->s[k].first = copy_of(x.b->first, n);
            g->s[k].count = copy_of(x.b->count, n);
            g->s[k].resets = copy_of(x.b->resets, n);
        }
    }
    if (rc < 0)
        fail_msg("%s", e.text);
    tsdb_cursor_close(c);
    tsdb_select_close(s);
}

static void got_release(struct got *g)
{
    for (int k = 0; k < SERIES; k++) {
        free(g->s[k].t);
        free(g->s[k].v);
        free(g->s[k].t_first);
        free(g->s[k].first);
        free(g->s[k].count);
        free(g->s[k].resets);
    }
}

static void check_column(const double *a, const double *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        check_same(a ? a[i] : 0, b ? b[i] : 0);
}

/* What aggregates say of the window [mint, maxt] against what its samples (raw) say. */
static void check_window(struct world *w, const struct got *raw, int64_t mint, int64_t maxt, int64_t every,
                         bool expect_used)
{
    static const int column[TSDB_ROLLUPS] = {
        [TSDB_ROLLUP_LAST] = ROLLUP_LAST, [TSDB_ROLLUP_FIRST] = ROLLUP_FIRST,  [TSDB_ROLLUP_COUNT] = ROLLUP_COUNT,
        [TSDB_ROLLUP_SUM] = ROLLUP_SUM,   [TSDB_ROLLUP_AVG] = ROLLUP_SUM,      [TSDB_ROLLUP_MIN] = ROLLUP_MIN,
        [TSDB_ROLLUP_MAX] = ROLLUP_MAX,   [TSDB_ROLLUP_INCREASE] = ROLLUP_LAST};
    struct buckets b = {0};

    for (enum tsdb_rollup what = TSDB_ROLLUP_LAST; what < TSDB_ROLLUPS; what++) {
        struct got g;

        read_all(w, mint, maxt, what, every, &g);
        assert_int_equal(g.used.any, expect_used);
        for (int k = 0; k < SERIES && expect_used; k++) {
            buckets_reset(&b, every, ROLLUP_ALL);
            uint32_t from = 0, to;
            while (from < raw->s[k].n && raw->s[k].t[from] < mint)
                from++;
            for (to = from; to < raw->s[k].n && raw->s[k].t[to] <= maxt;)
                to++;
            assert_true(buckets_add(&b, raw->s[k].t + from, raw->s[k].v + from, to - from));
            assert_int_equal(g.s[k].n, b.n);
            if (!b.n)
                continue;
            assert_true(g.s[k].buckets);
            for (uint32_t i = 0; i < b.n; i++)
                if (what == TSDB_ROLLUP_MIN) /* any time in the bucket */
                    assert_int_equal(bucket_end(g.s[k].t[i], every), bucket_end(b.t_last[i], every));
                else
                    assert_int_equal(g.s[k].t[i], what == TSDB_ROLLUP_FIRST ? b.t_first[i] : b.t_last[i]);
            check_column(g.s[k].v, b.v[column[what]], b.n);
            if (what == TSDB_ROLLUP_AVG || what == TSDB_ROLLUP_INCREASE)
                check_column(g.s[k].count, b.v[ROLLUP_COUNT], b.n);
            if (what != TSDB_ROLLUP_INCREASE)
                continue;
            assert_memory_equal(g.s[k].t_first, b.t_first, b.n * sizeof *b.t_first);
            check_column(g.s[k].first, b.v[ROLLUP_FIRST], b.n);
            check_column(g.s[k].resets, b.v[ROLLUP_RESETS], b.n);
        }
        got_release(&g);
    }
    buckets_release(&b);
}

static void check_all(struct world *w, const struct got *raw, bool expect_used)
{
    check_window(w, raw, w->from + 1, w->to, ROLLUP_1H, expect_used);
    check_window(w, raw, w->from + 1, w->to, ROLLUP_5M, expect_used);
    check_window(w, raw, w->from + 7 * ROLLUP_1H + 1, w->to - 5 * ROLLUP_1H, ROLLUP_1H, expect_used);
    check_window(w, raw, w->from + DAY_MS - 2 * ROLLUP_5M + 1, w->from + DAY_MS + ROLLUP_5M, ROLLUP_5M, expect_used);
}

static void test_days(void **state)
{
    struct world *w = *state;
    int64_t now = w->to + DAY_MS;
    struct got raw, late;

    fill_days(w);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    check_all(w, &raw, false); /* nothing sealed yet */
    round_of_upkeep(w, now);
    check_all(w, &raw, true);

    /* Late samples: in the head, then in the day's file, then sealed again. */
    int64_t t[2] = {w->from + DAY_MS + 1234567, w->from + DAY_MS + 40000001};
    double v[2] = {5, 77777};
    put(w, 1, t, v, 2);
    put(w, 2, t, v, 1);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &late);
    assert_true(late.s[1].n == raw.s[1].n + 2);
    check_all(w, &late, true);
    struct err e = {0};
    assert_int_equal(store_flush(w->store, NULL, &e), 0);
    check_all(w, &late, true);
    round_of_upkeep(w, now);
    check_all(w, &late, true);
    got_release(&raw);

    /* Deletions: at once, and after the days were written anew. */
    struct matcher m;
    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("id"), STR("07"), &e), 0);
    assert_int_equal(tsdb_delete(w->db, &m, 1, w->from + DAY_MS + 3 * ROLLUP_1H + 12345, w->from + 2 * DAY_MS + 77, &e),
                     0);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    assert_true(raw.s[7].n < late.s[7].n);
    check_all(w, &raw, true);
    assert_int_equal(tsdb_clean_tombstones(w->db, &e), 0);
    check_all(w, &raw, true);
    round_of_upkeep(w, now);
    check_all(w, &raw, true);
    matcher_release(&m);

    /* A restart finds them where they are. */
    close_world(w);
    open_world(w, 30 * DAY_MS);
    check_all(w, &raw, true);
    got_release(&late);
    got_release(&raw);
}

/* The samples go, the aggregates stay. */
static void test_gone(void **state)
{
    struct world *w = *state;
    int64_t now = w->to + DAY_MS;
    struct got raw, g;
    struct store_day *days;

    fill_days(w);
    round_of_upkeep(w, now);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    close_world(w);
    open_world(w, 3 * DAY_MS);
    upkeep_round(w->store, w->to + DAY_MS + 1);
    uint32_t n = store_days(w->store, TSDB_SIGNAL, &days);
    free(days);
    assert_int_equal(n, DAYS - 1); /* two days, and the sample at the last midnight */
    check_all(w, &raw, true);

    /* Windows that are no buckets: the nearest. */
    read_all(w, w->from + 100, w->from + DAY_MS + 100, TSDB_ROLLUP_SUM, 0, &g);
    assert_true(g.used.any && !g.used.exact);
    assert_int_equal(g.used.missing_until, w->from + 2 * DAY_MS - 1);
    assert_true(g.s[0].n > 280);
    got_release(&g);
    /* Where all samples are, none are wanted. */
    read_all(w, w->to - 2 * DAY_MS + 100, w->to, TSDB_ROLLUP_SUM, 0, &g);
    assert_false(g.used.any);
    got_release(&g);
    read_all(w, w->to + 1000, w->to + DAY_MS / 2, TSDB_ROLLUP_SUM, 0, &g); /* a day that has samples, but none here */
    assert_false(g.used.any);
    got_release(&g);
    /* The last of each bucket where the samples are gone, then all. */
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_THIN, 0, &g);
    for (uint32_t i = 0, k = 0; i < g.s[0].n; i++, k++) {
        while (k < raw.s[0].n && raw.s[0].t[k] < g.s[0].t[i])
            k++;
        assert_true(raw.s[0].t[k] == g.s[0].t[i]);
        check_same(raw.s[0].v[k], g.s[0].v[i]);
    }
    assert_true(g.s[0].n > 2 * 280 + 2 * 800 && g.s[0].n < raw.s[0].n);
    got_release(&g);
    /* Their series have names. */
    struct arena a = {0};
    struct str *values;
    struct err e = {0};
    bool cut;
    assert_int_equal(
        tsdb_label_values(w->db, STR("id"), NULL, 0, w->from + 1, w->from + DAY_MS, 0, &a, &values, &n, &cut, &e), 0);
    assert_true(n > SERIES / 2);
    arena_release(&a);
    got_release(&raw);
}

static void no_line(void *arg, const char *line)
{
    if (arg)
        fprintf(stderr, "%s\n", line);
}

/* Bytes of every file of a resolution: whole pages, or one in each page (then pages still hang together). */
static void spoil(struct world *w, const char *signal, bool whole)
{
    struct store_day *days;
    uint32_t n = store_days(w->store, signal, &days);
    static char junk[4096];

    close_world(w);
    for (uint32_t i = 0; i < n; i++) {
        char path[200];
        time_t at = (time_t)days[i].day * 86400;
        struct tm tm;

        gmtime_r(&at, &tm);
        snprintf(path, sizeof path, "%s/%s/%04d-%02d-%02d.mdb", w->dir, signal, tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday);
        assert_int_equal(chmod(path, 0640), 0);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        for (off_t page = 3; (uint64_t)page * 4096 < days[i].bytes; page++) {
            char b;

            if (whole) {
                assert_int_equal(pwrite(fd, junk, sizeof junk, page * 4096), sizeof junk);
                continue;
            }
            assert_int_equal(pread(fd, &b, 1, page * 4096 + 1000), 1);
            b = (char)~b;
            assert_int_equal(pwrite(fd, &b, 1, page * 4096 + 1000), 1);
        }
        close(fd);
        assert_int_equal(chmod(path, 0440), 0);
    }
    free(days);
    open_world(w, 30 * DAY_MS);
}

static void check_counts(struct world *w, const struct got *raw)
{
    struct got g;

    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_COUNT, ROLLUP_1H, &g);
    for (int k = 0; k < SERIES; k++) {
        double n = 0;

        for (uint32_t j = 0; j < g.s[k].n; j++)
            n += g.used.any ? g.s[k].v[j] : !is_stale(g.s[k].v[j]);
        for (uint32_t j = 0; j < raw->s[k].n; j++)
            n -= !is_stale(raw->s[k].v[j]);
        assert_true(n == 0);
    }
    got_release(&g);
}

/* What is damaged is done without, and made again; a copy has all of it. */
static void test_damaged(void **state)
{
    struct world *w = *state;
    char copy[160], cmd[200];
    struct got raw;
    struct err e = {0};

    fill_days(w);
    round_of_upkeep(w, w->to + DAY_MS);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    assert_int_equal(store_verify(w->store, no_line, NULL, &e), 0);
    for (int whole = 0; whole < 2; whole++) {
        spoil(w, ROLLUP_1H_SIGNAL, whole);
        spoil(w, ROLLUP_5M_SIGNAL, whole);
        check_counts(w, &raw);
        check_counts(w, &raw);
        scrub_pass(w->store); /* finds what no query met */
        round_of_upkeep(w, w->to + DAY_MS);
        check_all(w, &raw, true);
        assert_int_equal(store_verify(w->store, no_line, NULL, &e), 0);
    }
    snprintf(copy, sizeof copy, "%s.copy", w->dir);
    assert_int_equal(store_backup(w->store, copy, true, &e), 0);
    close_world(w);
    char dir[128];
    strcpy(dir, w->dir);
    assert_true(strlen(copy) < sizeof w->dir);
    strcpy(w->dir, copy);
    open_world(w, 30 * DAY_MS);
    check_all(w, &raw, true);
    close_world(w);
    snprintf(cmd, sizeof cmd, "rm -rf %s", copy);
    assert_int_equal(system(cmd), 0);
    strcpy(w->dir, dir);
    open_world(w, 30 * DAY_MS);
    got_release(&raw);
}

struct looking {
    struct world *w;
    double at_least; /* samples */
    _Atomic bool stop;
    uint32_t looks;
};

static void *look(void *arg)
{
    struct looking *l = arg;

    for (; !atomic_load(&l->stop); l->looks++) {
        struct got g;
        double n = 0;

        read_all(l->w, l->w->from + 1, l->w->to, TSDB_ROLLUP_COUNT, l->looks & 1 ? ROLLUP_1H : ROLLUP_5M, &g);
        for (int k = 0; k < SERIES; k++)
            for (uint32_t i = 0; i < g.s[k].n; i++)
                n += g.used.any ? g.s[k].v[i] : !is_stale(g.s[k].v[i]);
        assert_true(n >= l->at_least);
        got_release(&g);
    }
    return NULL;
}

/* Somebody reads while days are sealed, get late samples, and are sealed again: nothing is ever missing. */
static void test_beside(void **state)
{
    struct world *w = *state;
    struct looking l = {.w = w};
    struct got raw;
    pthread_t thread;

    fill_days(w);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    for (int k = 0; k < SERIES; k++)
        for (uint32_t i = 0; i < raw.s[k].n; i++)
            l.at_least += !is_stale(raw.s[k].v[i]);
    got_release(&raw);
    assert_int_equal(pthread_create(&thread, NULL, look, &l), 0);
    for (int i = 0; i < 4; i++) {
        int64_t t = w->from + (i % 2) * DAY_MS + 1000003 + i;
        double v = i;

        round_of_upkeep(w, w->to + DAY_MS);
        put(w, i, &t, &v, 1);
    }
    atomic_store(&l.stop, true);
    pthread_join(thread, NULL);
    assert_true(l.looks > 0);
}

/* The bytes that tell what aggregates were made of, as they are told in rollup_day.h. */
static void test_about(void **state)
{
    struct world *w = *state;
    struct partition_list five, raw;
    struct txn *t, *rt;
    struct str v;
    struct err e = {0};

    fill_days(w);
    round_of_upkeep(w, w->to + DAY_MS);
    store_partitions(w->store, ROLLUP_5M_SIGNAL, w->from, w->from, &five);
    store_partitions(w->store, TSDB_SIGNAL, w->from, w->from, &raw);
    assert_true(five.n == 1 && raw.n == 1 && partition_sealed(five.v[0]));
    assert_int_equal(txn_read(five.v[0], &t, &e), 0);
    assert_int_equal(txn_read(raw.v[0], &rt, &e), 0);
    assert_int_equal(txn_get(t, STR("R"), &v, &e), 0);
    assert_int_equal(v.n, 20);
    assert_memory_equal(v.p, "TPR1\xe0\x93\x04\0", 8);
    assert_true(get_u64le(v.p + 8) == txn_content(rt) && txn_content(rt) != txn_content(t));
    assert_int_equal(get_u32le(v.p + 16), (1 << ROLLUP_COLUMNS) - 1);
    txn_end(t);
    txn_end(rt);
    partition_list_release(&five);
    partition_list_release(&raw);
}

/* Killed at each point on the way: what is there afterwards is whole, and the rest is made. */
static void test_crash(void **state)
{
    struct world *w = *state;
    struct got raw;
    char cmd[160];

    fill_days(w);
    struct err e = {0};
    assert_int_equal(store_flush(w->store, NULL, &e), 0);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    close_world(w);
    for (unsigned n = 1, done = 0; !done && n < 400; n += 7) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            open_world(w, 30 * DAY_MS);
            char at[16];
            snprintf(at, sizeof at, "%u", n);
            setenv("TRIPOD_CRASH_AT", at, 1);
            crash_setup();
            upkeep_round(w->store, w->to + DAY_MS);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        done = WIFEXITED(status);
        open_world(w, 30 * DAY_MS);
        for (int64_t every = ROLLUP_5M; every <= ROLLUP_1H; every += ROLLUP_1H - ROLLUP_5M) {
            struct got g;

            read_all(w, w->from + 1, w->to, TSDB_ROLLUP_COUNT, every, &g);
            for (int k = 0; k < SERIES; k++) {
                double sum = 0, stale = 0;

                for (uint32_t i = 0; i < g.s[k].n; i++)
                    sum += g.used.any ? g.s[k].v[i] : 1;
                for (uint32_t i = 0; i < raw.s[k].n; i++)
                    stale += is_stale(raw.s[k].v[i]);
                assert_true(sum == raw.s[k].n - (g.used.any ? stale : 0));
            }
            got_release(&g);
        }
        close_world(w);
    }
    open_world(w, 30 * DAY_MS);
    round_of_upkeep(w, w->to + DAY_MS);
    check_all(w, &raw, true);
    snprintf(cmd, sizeof cmd, "test -z \"$(find %s -name '*.tmp')\"", w->dir);
    assert_int_equal(system(cmd), 0);
    got_release(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_days, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_about, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
