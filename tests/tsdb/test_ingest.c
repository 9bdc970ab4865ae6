/* test_ingest.c - verdicts, atomic batches, limits, aliases; exemplars and metadata through flush and restart; deletes;
 * figures. */
#include "tsdb/ingest.c"

#include "tsdb/tsdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/tsdb/house.h"

struct world {
    char dir[64];
    struct tsdb_opts opts;
    struct store *store;
    struct tsdb *db;
    int64_t now;
};

static void world_open(struct world *w)
{
    struct store_opts so;

    store_opts_default(&so);
    so.dir = w->dir;
    house_open(&so, &w->opts, &w->store, &w->db);
}

static void world_close(struct world *w)
{
    house_close(w->store, w->db);
}

static int setup(void **state)
{
    struct world *w = x_zalloc(sizeof *w);

    temp_dir(w->dir, "test_ingest");
    tsdb_opts_default(&w->opts);
    w->now = clock_wall_ms() - 60000;
    world_open(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    world_close(w);
    temp_remove(w->dir);
    free(w);
    return 0;
}

static int give_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    struct str id = b->series[i].raw;

    if (str_eqz(id, "bad"))
        return err_set(e, ERR_INVALID, "label a stands twice");
    out->v = arena_array(a, struct label, 2);
    out->n = 2;
    out->v[0] = (struct label){STR("__name__"), STR("m")};
    out->v[1] = (struct label){STR("id"), id};
    return 0;
}

/* One sample; the key is any hash, as of a scrape line. */
static struct tsdb_batch one(struct tsdb_in *in, const char *id, int64_t *t, double *v)
{
    *in = (struct tsdb_in){.key = hash128(id, strlen(id)), .raw = str_of(id), .first = 0, .n = 1};
    return (struct tsdb_batch){.series = in, .nseries = 1, .t = t, .v = v, .labels = give_labels};
}

static enum tsdb_verdict put(struct world *w, const char *id, int64_t t, double v)
{
    struct tsdb_in in;
    struct tsdb_batch b = one(&in, id, &t, &v);
    struct err e = {0};

    assert_int_equal(tsdb_ingest_wait(w->db, &b, &e), 0);
    for (unsigned i = 0; i < TSDB_VERDICTS; i++)
        if (b.verdicts[i])
            return (enum tsdb_verdict)i;
    return TSDB_VERDICTS;
}

static uint32_t count_samples(struct world *w, const char *id)
{
    struct matcher m;
    struct tsdb_select_opts o = {.matchers = &m, .nmatchers = 1, .mint = INT64_MIN, .maxt = INT64_MAX};
    struct tsdb_select *s;
    struct tsdb_cursor *c;
    struct tsdb_samples got;
    struct err e = {0};
    uint32_t n = 0;

    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("id"), str_of(id), &e), 0);
    assert_int_equal(tsdb_select_open(w->db, &o, &s, &e), 0);
    assert_int_equal(tsdb_cursor_open(s, 0, &c, &e), 0);
    while (tsdb_cursor_next(c, &got, &e) == 0)
        n += got.n;
    tsdb_cursor_close(c);
    tsdb_select_close(s);
    matcher_release(&m);
    return n;
}

static void test_verdicts(void **state)
{
    struct world *w = *state;
    struct tsdb_stats st;

    assert_int_equal(put(w, "a", w->now, 1), TSDB_OK);
    assert_int_equal(put(w, "a", w->now, 1), TSDB_SAME);
    assert_int_equal(put(w, "a", w->now, 2), TSDB_DUPLICATE);
    assert_int_equal(put(w, "a", w->now - 5000, 3), TSDB_OK);
    assert_int_equal(put(w, "a", w->now - 5000, 3), TSDB_SAME);
    assert_int_equal(put(w, "a", w->now - 5000, 4), TSDB_DUPLICATE);
    assert_int_equal(put(w, "a", w->now + 3600 * 1000, 4), TSDB_FUTURE);
    assert_int_equal(put(w, "a", 1000, 4), TSDB_TOO_OLD);
    assert_int_equal(put(w, "a", INT64_MIN, 4), TSDB_TOO_OLD);
    assert_int_equal(put(w, "new", INT64_MAX, 4), TSDB_FUTURE);
    assert_int_equal(put(w, "bad", w->now, 4), TSDB_BAD_LABELS);
    assert_int_equal(count_samples(w, "a"), 2);
    tsdb_stats(w->db, &st);
    assert_int_equal(st.head_series, 1);
    assert_int_equal(st.samples[TSDB_DUPLICATE], 2);
    world_close(w);
    world_open(w);
    assert_int_equal(put(w, "a", w->now, 1), TSDB_SAME);
    assert_int_equal(put(w, "a", w->now - 5000, 4), TSDB_DUPLICATE);
    assert_int_equal(count_samples(w, "a"), 2);
}

/* One refused sample keeps the whole batch out, and leaves no trace in what comes after. */
static void test_atomic(void **state)
{
    struct world *w = *state;
    struct tsdb_in in[3];
    int64_t t[3] = {w->now, w->now, w->now};
    double v[3] = {1, 2, 3};
    struct tsdb_batch b = one(&in[0], "x", t, v);
    struct err e = {0};
    bool later;

    assert_int_equal(put(w, "z", w->now, 9), TSDB_OK);
    in[1] = in[2] = in[0];
    in[1].raw = STR("y");
    in[1].key = hash128("y", 1);
    in[1].first = 1;
    in[2].raw = STR("z");
    in[2].key = hash128("z", 1);
    in[2].first = 2;
    b.nseries = 3;
    b.atomic = true;
    assert_int_equal(tsdb_ingest(w->db, &b, NULL, &later, &e), ERR_EXISTS);
    assert_false(later);
    assert_int_equal(b.bad_series, 2);
    assert_int_equal(b.bad_verdict, TSDB_DUPLICATE);
    assert_non_null(strstr(e.text, "duplicate sample for timestamp"));
    assert_non_null(strstr(e.text, "id=\"z\""));
    assert_int_equal(count_samples(w, "x"), 0);
    v[2] = 9; /* the same again is no refusal */
    assert_int_equal(tsdb_ingest_wait(w->db, &b, &e), 0);
    assert_int_equal(b.verdicts[TSDB_OK], 2);
    assert_int_equal(b.verdicts[TSDB_SAME], 1);
    world_close(w);
    world_open(w);
    assert_int_equal(count_samples(w, "x"), 1);
    assert_int_equal(count_samples(w, "y"), 1);
    assert_int_equal(count_samples(w, "z"), 1);
}

static void test_series_limit(void **state)
{
    struct world *w = *state;

    w->db->opts.series_max = 2;
    assert_int_equal(put(w, "a", w->now, 1), TSDB_OK);
    assert_int_equal(put(w, "b", w->now, 1), TSDB_OK);
    assert_int_equal(put(w, "c", w->now, 1), TSDB_SERIES_LIMIT);
    assert_int_equal(put(w, "a", w->now + 1, 1), TSDB_OK);
}

static uint32_t count_exemplars(struct world *w, int64_t mint, double *last)
{
    struct matcher m;
    struct arena a = {0};
    struct tsdb_series_exemplars *got;
    struct err e = {0};
    uint32_t n, total = 0;

    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("__name__"), STR("m"), &e), 0);
    assert_int_equal(tsdb_exemplars(w->db, &m, 1, mint, INT64_MAX, &a, &got, &n, &e), 0);
    for (uint32_t i = 0; i < n; i++) {
        total += got[i].n;
        *last = got[i].v[got[i].n - 1].v;
        assert_true(str_eqz(got[i].v[0].labels.v[0].name, "trace_id"));
    }
    matcher_release(&m);
    arena_release(&a);
    return total;
}

static uint32_t put_exemplar(struct world *w, int64_t t, double v, bool with_sample)
{
    struct label l = {STR("trace_id"), STR("f00")};
    struct tsdb_exemplar ex = {{&l, 1}, v, t};
    struct tsdb_in in;
    struct tsdb_batch b = one(&in, "e", &t, &v);
    struct err e = {0};

    in.n = with_sample;
    in.exemplar_n = 1;
    b.exemplars = &ex;
    assert_int_equal(tsdb_ingest_wait(w->db, &b, &e), 0);
    return b.exemplars_stored;
}

static void test_exemplars(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    double last = 0;

    assert_int_equal(put_exemplar(w, w->now, 1, true), 1);
    assert_int_equal(put_exemplar(w, w->now, 1, false), 0);     /* again */
    assert_int_equal(put_exemplar(w, w->now - 1, 1, false), 0); /* out of order */
    assert_int_equal(put_exemplar(w, w->now + 1000, 2, false), 1);
    assert_int_equal(count_exemplars(w, w->now, &last), 2);
    world_close(w);
    world_open(w);
    assert_int_equal(count_exemplars(w, w->now, &last), 2);
    assert_int_equal(store_flush(w->store, "metrics", &e), 0);
    assert_int_equal(count_exemplars(w, w->now, &last), 2);
    assert_int_equal(put_exemplar(w, w->now + 2000, 3, false), 1); /* alone: no sample for the next flush */
    assert_int_equal(store_flush(w->store, "metrics", &e), 0);
    world_close(w);
    world_open(w);
    assert_int_equal(count_exemplars(w, w->now, &last), 3);
    assert_true(last == 3);
    assert_int_equal(count_exemplars(w, w->now + 1, &last), 2);
}

static void put_metadata(struct world *w, const char *help, bool news)
{
    struct tsdb_metadata md = {STR("fam"), str_of(help), STR("s"), METRIC_COUNTER};
    struct tsdb_batch b = {.metadata = &md, .nmetadata = 1, .labels = give_labels};
    struct err e = {0};
    uint64_t before, after;
    struct tsdb_stats st;

    tsdb_stats(w->db, &st);
    before = w->db->batch;
    assert_int_equal(tsdb_ingest_wait(w->db, &b, &e), 0);
    after = w->db->batches_applied;
    assert_int_equal(after > before, news);
}

static void check_metadata(struct world *w, const char *newest, uint32_t variants)
{
    struct arena a = {0};
    struct tsdb_metadata *md;
    struct err e = {0};
    uint32_t n;

    assert_int_equal(tsdb_metadata(w->db, STR("fam"), &a, &md, &n, &e), 0);
    assert_int_equal(n, variants);
    assert_true(str_eqz(md[0].help, newest) && str_eqz(md[0].unit, "s") && md[0].type == METRIC_COUNTER);
    arena_release(&a);
}

static void test_metadata(void **state)
{
    struct world *w = *state;
    struct err e = {0};

    put_metadata(w, "one", true);
    put_metadata(w, "one", false);
    put_metadata(w, "two", true);
    check_metadata(w, "two", 2);
    world_close(w);
    world_open(w);
    check_metadata(w, "two", 2);
    assert_int_equal(store_flush(w->store, "metrics", &e), 0);
    put_metadata(w, "one", true);
    world_close(w);
    world_open(w);
    check_metadata(w, "one", 2);
}

static void test_delete(void **state)
{
    struct world *w = *state;
    struct matcher m;
    struct err e = {0};

    for (int i = 0; i < 10; i++)
        put(w, "d", w->now + i, i);
    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("id"), STR("d"), &e), 0);
    assert_int_equal(tsdb_delete(w->db, &m, 1, w->now + 2, w->now + 4, &e), 0);
    matcher_release(&m);
    assert_int_equal(count_samples(w, "d"), 7);
    world_close(w);
    world_open(w);
    assert_int_equal(count_samples(w, "d"), 7);
    assert_int_equal(tsdb_clean_tombstones(w->db, &e), 0);
    assert_int_equal(count_samples(w, "d"), 7);
}

/* A sealed day is written anew without what is deleted, and only then. */
static void test_delete_from_sealed_day(void **state)
{
    struct world *w = *state;
    const struct partition *before = NULL;
    struct partition_list l;
    struct matcher m;
    struct err e = {0};
    uint32_t slices;

    for (int i = 0; i < 10; i++) {
        put(w, "d", w->now + i, i);
        put(w, "kept", w->now + i, i);
    }
    assert_int_equal(store_flush(w->store, "metrics", &e), 0);
    assert_int_equal(store_reseal(w->store, "metrics", day_of_ms(w->now), &e), 0);
    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("id"), STR("d"), &e), 0);
    assert_int_equal(tsdb_delete(w->db, &m, 1, w->now + 2, w->now + 4, &e), 0);
    matcher_release(&m);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tsdb_clean_tombstones(w->db, &e), 0);
        store_partitions(w->store, "metrics", w->now, w->now, &l);
        assert_int_equal(l.n, 1);
        assert_true(partition_sealed(l.v[0]));
        assert_int_equal(day_nsamples(partition_user(l.v[0]), &slices), 17);
        assert_true(i == 0 || l.v[0] == before); /* nothing to clean: left alone */
        before = l.v[0];
        partition_list_release(&l);
    }
    assert_int_equal(count_samples(w, "d"), 7);
    assert_int_equal(count_samples(w, "kept"), 10);
    world_close(w);
    world_open(w);
    assert_int_equal(count_samples(w, "d"), 7);
}

/* Spoils the text wherever it stands in the journal. */
static void spoil_journal(struct world *w, const char *text)
{
    size_t n = strlen(text), size;
    char path[128], *bytes;
    unsigned found = 0;
    FILE *f;

    for (unsigned number = 1; number < 10; number++) {
        snprintf(path, sizeof path, "%s/journal/%06u.mdb", w->dir, number);
        f = fopen(path, "r+");
        if (!f)
            continue;
        assert_int_equal(fseek(f, 0, SEEK_END), 0);
        size = (size_t)ftell(f);
        bytes = x_alloc(size);
        rewind(f);
        assert_int_equal(fread(bytes, 1, size, f), size);
        for (size_t i = 0; i + n <= size; i++)
            if (memcmp(bytes + i, text, n) == 0) {
                bytes[i] ^= 1;
                found++;
            }
        rewind(f);
        assert_int_equal(fwrite(bytes, 1, size, f), size);
        fclose(f);
        free(bytes);
    }
    assert_true(found);
}

/* A damaged entry costs what leans on it, and no more: not the series that the file names later. */
static void test_damaged_entry(void **state)
{
    struct world *w = *state;
    struct store_warning *warnings;
    struct arena a = {0};

    for (int i = 0; i < 5; i++)
        put(w, "before", w->now + i, i);
    put(w, "spoiled", w->now, 1);
    for (int i = 5; i < 10; i++) {
        put(w, "before", w->now + i, i);
        put(w, "spoiled", w->now + i, i);
        put(w, "after", w->now + i, i);
    }
    world_close(w);
    spoil_journal(w, "spoiled");
    world_open(w);
    assert_int_equal(count_samples(w, "before"), 5);
    assert_int_equal(count_samples(w, "spoiled"), 0);
    assert_int_equal(count_samples(w, "after"), 5);
    assert_true(store_warnings(w->store, &a, &warnings) > 0);
    arena_release(&a);
    put(w, "before", w->now + 20, 1);
    put(w, "spoiled", w->now + 20, 1);
    world_close(w);
    world_open(w);
    assert_int_equal(count_samples(w, "before"), 6);
    assert_int_equal(count_samples(w, "spoiled"), 1);
    head_check(&w->db->head);
}

static void meet_day(struct world *w)
{
    struct partition_list l;
    struct err e = {0};

    store_partitions(w->store, "metrics", w->now, w->now, &l);
    assert_int_equal(l.n, 1);
    assert_true(w->db->unmet);
    assert_int_equal(tsdb_meet_day(w->db, l.v[0], &e), 0);
    assert_false(w->db->unmet);
    partition_list_release(&l);
}

/* After a restart: where the head knows all of the day, a select need not look for more; where it does not, it must. */
static void test_meet(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    char cmd[128];

    put(w, "steady", w->now, 1);
    assert_int_equal(store_flush(w->store, "metrics", &e), 0);
    put(w, "steady", w->now + 1, 1);
    world_close(w);
    world_open(w);
    assert_int_equal(w->db->keep_floor, w->now);
    meet_day(w);
    assert_true(w->db->keep_floor < w->now);
    assert_int_equal(count_samples(w, "steady"), 2);
    put(w, "gone", w->now + 2, 1);
    assert_int_equal(store_flush(w->store, "metrics", &e), 0);
    world_close(w);
    snprintf(cmd, sizeof cmd, "rm %s/journal/*", w->dir); /* all of it is in the day */
    assert_int_equal(system(cmd), 0);
    world_open(w);
    put(w, "steady", w->now + 3, 1);
    world_close(w);
    world_open(w);
    meet_day(w);
    assert_int_equal(w->db->keep_floor, w->now + 2);
    assert_int_equal(count_samples(w, "gone"), 1);
    assert_int_equal(count_samples(w, "steady"), 3);
    assert_int_equal(store_flush(w->store, "metrics", &e), 0); /* the places noted are the right ones */
    assert_int_equal(count_samples(w, "gone"), 1);
    assert_int_equal(count_samples(w, "steady"), 3);
}

static void test_cardinality(void **state)
{
    struct world *w = *state;
    struct arena a = {0};
    struct tsdb_cardinality c;
    struct err e = {0};

    put(w, "1", w->now, 1);
    put(w, "22", w->now, 1);
    put(w, "333", w->now, 1);
    assert_int_equal(tsdb_cardinality(w->db, 2, &a, &c, &e), 0);
    assert_int_equal(c.nseries_by_metric, 1);
    assert_int_equal(c.series_by_metric[0].n, 3);
    assert_int_equal(c.nvalues_by_label, 2);
    assert_true(str_eqz(c.values_by_label[0].name, "id") && c.values_by_label[0].n == 3);
    assert_true(str_eqz(c.bytes_by_label[0].name, "id") && c.bytes_by_label[0].n == 6);
    assert_true(str_eqz(c.series_by_pair[0].name, "__name__=m") && c.series_by_pair[0].n == 3);
    assert_int_equal(c.label_pairs, 4);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_atomic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_series_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exemplars, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_meet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_from_sealed_day, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cardinality, setup, teardown),
    };

    log_setup(LOG_WARN, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
