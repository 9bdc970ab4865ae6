/* test_series_desc.c - the notation in which .test scripts write series and samples. */
#include "tests/conformance/series_desc.c"

#include "tests/query/promql/test_promql.h"

static struct series_desc parse_ok(struct arena *a, const char *text)
{
    struct series_desc d = {0};
    struct err e;

    if (series_desc_parse(a, str_of(text), &d, &e) < 0)
        fail_msg("%s: %s", text, e.text);
    return d;
}

static void floats(void **state)
{
    struct arena a = {0};
    struct series_desc d = parse_ok(&a, "foo{a=\"b\\n\"}  1 _ -2+0.5x2 stale _x2 Inf 0x1f 7x1\t-3 -4");
    static const double want[] = {1, 0, -2, -1.5, -1, 0, 0, 0, INFINITY, 31, 7, 7, -3, -4};

    (void)state;
    assert_int_equal(d.n, ARRAY_LEN(want));
    assert_true(str_eqz(labels_get(&d.labels, STR("a")), "b\n"));
    for (uint32_t i = 0; i < d.n; i++) {
        assert_int_equal(d.values[i].omitted, i == 1 || i == 6 || i == 7);
        if (i == 5)
            assert_true(is_stale(d.values[i].v));
        else if (!d.values[i].omitted)
            assert_true(d.values[i].v == want[i]);
    }
    assert_int_equal(parse_ok(&a, "{} 0x3").n, 4);
    assert_int_equal(parse_ok(&a, "{\"x y\", \"p q\"=\"r\"}").labels.n, 2);
    arena_release(&a);
}

static void histograms(void **state)
{
    struct arena a = {0};
    struct series_desc d =
        parse_ok(&a, "h {{schema:1 sum:-2 count:3 z_bucket:1 z_bucket_w:0.1 buckets:[1 2 ] offset:-1 n_buckets:[3] "
                     "counter_reset_hint:gauge}}+{{schema:2 sum:1 buckets:[1 1 1] offset:1}}x1");
    const struct sd_histogram *h = d.values[0].h, *g = d.values[1].h;

    (void)state;
    assert_int_equal(d.n, 2);
    assert_true(h->schema == 1 && h->sum == -2 && h->pos_offset == -1 && h->npos == 2 && h->nneg == 1 &&
                h->hint == SD_HINT_GAUGE);
    assert_true(g->sum == -1 && g->count == 3 && g->pos_offset == -1 && g->npos == 4);
    assert_true(g->pos[0] == 1 && g->pos[1] == 2 && g->pos[2] == 2 &&
                g->pos[3] == 1); /* 1,2 and 3 of schema 2 are 1 and 2 of 1 */
    d = parse_ok(&a, "{} {{}}x1 {{schema:-53 custom_values:[-1 5 10] buckets:[1 2 3 4]}}");
    assert_int_equal(d.n, 3);
    assert_int_equal(d.values[2].h->ncustom, 3);
    arena_release(&a);
}

static void faults(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"foo 1+1", "1:8: parse error: unexpected end of input in series values"},
        {"foo 1x", "1:7: parse error: unexpected end of input in series values"},
        {"foo bar", "1:5: parse error: unexpected identifier \"bar\" in series values, expected number or \"stale\""},
        {"foo{a=1} 1", "1:7: parse error: unexpected character inside braces: '1'"},
        {"foo{a} 1", "1:6: parse error: unexpected \"}\" in label set, expected \"=\""},
        {"{} {{schema:1 schema:2}}", "1:1: parse error: duplicate key \"schema\" in histogram"},
        {"{} {{schema:2}}+{{schema:1}}x1",
         "1:31: parse error: error combining histograms: cannot merge from schema 1 to 2"},
        {"{} 1x99999999999",
         "1:6: parse error: invalid repetition in series values: 99999999999 is more than 10000000"},
    };
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct series_desc d;
        struct err e = {0};

        assert_int_equal(series_desc_parse(&a, str_of(cases[i].text), &d, &e), ERR_INVALID);
        assert_string_equal(e.text, cases[i].error);
    }
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(floats), cmocka_unit_test(histograms),
                                       cmocka_unit_test(faults)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
