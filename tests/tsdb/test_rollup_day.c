/*
 * test_rollup_day.c - aggregates of days against the samples they were made of: made, read, out of date, deleted from, alone when
 * the samples are gone, and as an older program made them.
 */
#include "tsdb/rollup_day.c"

#include "tests/tsdb/rollup_world.h"

/* One into a series of histograms, one into a series that has floats, too. */
static void put_late_hists(struct world *w, int64_t *t, double *v)
{
    struct hist_bucket one = {3, 7};
    struct histogram h = {.schema = 1, .count = 7, .sum = 9, .npos = 1, .pos = &one};
    const struct histogram *of[] = {&h, &h};

    put_either(w, 41, t, v, of, 2);
    put_either(w, 42, t, v, of, 1);
    put(w, 43, t + 1, v, 1);
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
    put_late_hists(w, t, v);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &late);
    assert_true(late.s[1].n == raw.s[1].n + 2 && late.s[41].n == raw.s[41].n + 2);
    check_all(w, &late, true);
    struct err e = {0};
    assert_int_equal(store_flush(w->store, NULL, &e), 0);
    check_all(w, &late, true);
    round_of_upkeep(w, now);
    check_all(w, &late, true);
    got_release(&raw);

    /* Deletions: at once, and after the days were written anew. */
    struct matcher m;
    assert_int_equal(matcher_init(&m, MATCH_RE, STR("id"), STR("07|4[0-2]"), &e), 0);
    assert_int_equal(tsdb_delete(w->db, &m, 1, w->from + DAY_MS + 3 * ROLLUP_1H + 12345, w->from + 2 * DAY_MS + 77, &e),
                     0);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    assert_true(raw.s[7].n < late.s[7].n && raw.s[41].n < late.s[41].n);
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

/* Where the samples are gone, what is deleted in part goes as a whole, and nothing else. */
static void check_deleted(struct world *w)
{
    int64_t from = w->from + 5 * ROLLUP_1H + 12345, to = w->from + 9 * ROLLUP_1H + 77, by_end[2] = {0};
    struct got before, after;
    struct matcher m;
    struct err e = {0};

    read_all(w, w->from + 1, w->from + DAY_MS, TSDB_ROLLUP_SUM, ROLLUP_5M, &before);
    assert_int_equal(matcher_init(&m, MATCH_RE, STR("id"), STR("00|4[0-2]"), &e), 0);
    assert_int_equal(tsdb_delete(w->db, &m, 1, from, to, &e), 0);
    matcher_release(&m);
    read_all(w, w->from + 1, w->from + DAY_MS, TSDB_ROLLUP_SUM, ROLLUP_5M, &after);
    for (int k = 0; k < ALL; k++) {
        const struct stretches *x = &before.s[k].hists, *y = &after.s[k].hists;
        bool deleted = k == 0 || (k >= 40 && k <= 42);
        uint32_t kept = 0;

        assert_true(deleted || (before.s[k].n == after.s[k].n && x->n == y->n));
        assert_true(!deleted || before.s[k].n + x->n > after.s[k].n + y->n);
        for (uint32_t i = 0; i < y->n; i++)
            assert_true(!deleted || y->t_last[i] < from || y->t_first[i] > to);
        for (uint32_t i = 0; i < x->n; i++)
            kept += !deleted || x->t_last[i] < from || bucket_end(x->t_last[i], ROLLUP_5M) - ROLLUP_5M >= to;
        assert_true(y->n >= kept);
        by_end[deleted] += y->n;
    }
    assert_true(by_end[0] > 0 && by_end[1] > 0);
    got_release(&before);
    got_release(&after);
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
    check_deleted(w);
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
    assert_memory_equal(v.p, "TPR2\xe0\x93\x04\0", 8);
    assert_true(get_u64le(v.p + 8) == txn_content(rt) && txn_content(rt) != txn_content(t));
    assert_int_equal(get_u32le(v.p + 16), (1 << ROLLUP_COLUMNS) - 1);
    txn_end(t);
    txn_end(rt);
    partition_list_release(&five);
    partition_list_release(&raw);
}

/* Aggregates of a day as they were before histograms had some, in the place of those that there are. */
static void make_old(struct world *w, struct partition *sealed)
{
    struct making m[2] = {{.signal = ROLLUP_5M_SIGNAL, .about.every = ROLLUP_5M},
                          {.signal = ROLLUP_1H_SIGNAL, .about.every = ROLLUP_1H}};
    bool wanted[2] = {true, true};
    const struct day_piece *p;
    struct day_reader *r;
    struct day_view *v;
    struct err e = {0};
    uint32_t n;

    assert_int_equal(day_view_open(sealed, &v, &e), 0);
    assert_int_equal(begin(w->db, m, wanted, partition_day(sealed), &e), 0);
    assert_int_equal(bring_series(v, m, 2, &e), 0);
    for (int i = 0; i < 2; i++)
        day_write_slices(m[i].w, ROLLUP_COLUMNS);
    assert_int_equal(day_reader_open(v, INT64_MIN, INT64_MAX, &r, &e), 0);
    for (uint32_t sid = 0; sid < day_view_nseries(v); sid++) {
        assert_int_equal(day_reader_get(r, sid, &p, &n, &e), 0);
        for (int i = 0; n == 1 && !p->h && sum_up(m, 2, p, n) && i < 2; i++)
            assert_int_equal(put_buckets(&m[i], sid, &e), 0);
    }
    day_reader_close(r);
    for (int i = 0; i < 2; i++) {
        char bytes[ABOUT_BYTES];

        put_u32le(bytes, MAGIC_FLOATS);
        put_u32le(bytes + 4, (uint32_t)m[i].about.every);
        put_u64le(bytes + 8, txn_content(v->txn));
        put_u32le(bytes + 16, m[i].about.columns);
        assert_int_equal(txn_put(day_write_txn(m[i].w), STR("R"), &(struct str){bytes, sizeof bytes}, 1, &e), 0);
        assert_int_equal(day_write_commit(m[i].w, partition_contained(sealed), &e), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_day_put(w->db->store, m[i].signal, m[i].to, partition_contained(sealed), &e), 0);
        buckets_release(&m[i].b);
        stretches_release(&m[i].h);
    }
    day_view_close(v);
}

static uint32_t days_with_hists(struct world *w, const char *signal)
{
    struct partition_list l;
    uint32_t n = 0;

    store_partitions(w->store, signal, w->from, w->to, &l);
    for (uint32_t i = 0; i < l.n; i++) {
        struct rollup_about about;
        struct day_view *v;
        struct err e = {0};

        assert_int_equal(day_view_open(l.v[i], &v, &e), 0);
        assert_int_equal(rollup_about(v, &about, &e), 0);
        n += about.hists;
        day_view_close(v);
    }
    partition_list_release(&l);
    return n;
}

/* Aggregates of an older program are read as far as they go, and made anew once. */
static void test_old(void **state)
{
    struct world *w = *state;
    struct partition_list l;
    struct got raw;
    struct err e = {0};

    fill_days(w);
    round_of_upkeep(w, w->to + DAY_MS);
    read_all(w, w->from + 1, w->to, TSDB_ROLLUP_NONE, 0, &raw);
    store_partitions(w->store, TSDB_SIGNAL, w->from, w->to, &l);
    for (uint32_t i = 0; i < l.n; i++)
        make_old(w, l.v[i]);
    partition_list_release(&l);
    close_world(w);
    open_world(w, 30 * DAY_MS);
    assert_int_equal(days_with_hists(w, ROLLUP_5M_SIGNAL) + days_with_hists(w, ROLLUP_1H_SIGNAL), 0);
    assert_int_equal(store_verify(w->store, no_line, NULL, &e), 0);
    check_all(w, &raw, true);
    round_of_upkeep(w, w->to + DAY_MS);
    assert_int_equal(days_with_hists(w, ROLLUP_5M_SIGNAL), DAYS + 1);
    assert_int_equal(days_with_hists(w, ROLLUP_1H_SIGNAL), DAYS + 1);
    check_all(w, &raw, true);
    got_release(&raw);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_days, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_about, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
