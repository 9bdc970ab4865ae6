/* test_labels.c */
#include "base/labels.c"
#include "tests/base/prop.h"

#define SET(...)                                                                                                       \
    (struct labels)                                                                                                    \
    {                                                                                                                  \
        (struct label[]){__VA_ARGS__}, sizeof((struct label[]){__VA_ARGS__}) / sizeof(struct label)                    \
    }
#define L(n, v)                                                                                                        \
    {                                                                                                                  \
        {n, sizeof n - 1},                                                                                             \
        {                                                                                                              \
            v, sizeof v - 1                                                                                            \
        }                                                                                                              \
    }

static void normalising(void **state)
{
    struct labels ls = SET(L("z", "1"), L("a", ""), L("__name__", "up"), L("b", "x"));
    struct labels twice = SET(L("a", "1"), L("b", "2"), L("a", ""));
    struct err e;

    (void)state;
    assert_int_equal(labels_normalise(&ls, &e), 0);
    assert_int_equal(ls.n, 3);
    assert_true(str_eqz(ls.v[0].name, "__name__") && str_eqz(ls.v[1].name, "b") && str_eqz(ls.v[2].name, "z"));
    assert_true(str_eqz(labels_get(&ls, STR("b")), "x"));
    assert_int_equal(labels_get(&ls, STR("a")).n, 0);
    assert_int_equal(labels_normalise(&twice, &e), ERR_INVALID);
    assert_string_equal(e.text, "label name \"a\" is not unique");
}

static void many_in_disorder(void **state)
{
    struct rng r = rng_new("many");
    enum { N = 500 };
    struct label v[N];
    char names[N][16];
    struct labels ls = {v, N};

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "l%d", i);
        v[i] = (struct label){str_of(names[i]), STR("v")};
    }
    for (uint32_t i = N - 1; i > 0; i--) {
        uint32_t k = rng_below(&r, i + 1);
        struct label t = v[i];

        v[i] = v[k];
        v[k] = t;
    }
    assert_int_equal(labels_normalise(&ls, NULL), 0);
    for (int i = 1; i < N; i++)
        assert_true(str_cmp(v[i - 1].name, v[i].name) < 0);
}

static void order(void **state)
{
    struct labels a = SET(L("a", "1")), b = SET(L("a", "1"), L("b", "1")), c = SET(L("a", "2"));
    struct arena m = {0};
    struct labels d = labels_dup(&m, &b);

    (void)state;
    assert_true(labels_cmp(&a, &b) < 0 && labels_cmp(&b, &c) < 0 && labels_cmp(&a, &a) == 0);
    assert_true(labels_eq(&b, &d) && !labels_eq(&a, &b) && d.v[0].value.p != b.v[0].value.p);
    arena_release(&m);
}

static void canonical(void **state)
{
    struct labels ls = SET(L("__name__", "up"), L("job", "x"));
    static const char want[] = "\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x08\x0a\x03job\x12\x01x";
    struct buf b = {0};
    struct hash128 h;
    char *big = malloc(3000);

    (void)state;
    labels_canonical(&b, &ls);
    assert_int_equal(b.n, sizeof want - 1);
    assert_memory_equal(b.p, want, b.n);
    h = hash128(b.p, b.n);
    assert_true(hash128_eq(labels_hash(&ls), h));
    memset(big, 'v', 3000);
    ls.v[1].value = str_n(big, 3000); /* beyond the stack buffer, with long varints */
    buf_reset(&b);
    labels_canonical(&b, &ls);
    assert_true(hash128_eq(labels_hash(&ls), hash128(b.p, b.n)));
    assert_memory_equal(b.p + 16, "\x0a\xc0\x17\x0a\x03job\x12\xb8\x17", 11);
    ls.n = 0;
    assert_true(hash128_eq(labels_hash(&ls), hash128("", 0)));
    buf_release(&b);
    free(big);
}

static void prints(const struct labels *ls, const char *want)
{
    struct buf b = {0};

    labels_print(&b, ls);
    assert_string_equal(buf_z(&b), want);
    buf_release(&b);
}

static void printing(void **state)
{
    struct labels ls = SET(L("__name__", "up"), L("job", "a\"b\\c\n\x01\xff\xc3\xa9\xe2\x80\xa8"));
    struct labels bare = SET(L("__name__", "up")), none = {NULL, 0};
    struct labels odd = SET(L("__name__", "my metric"), L("a.b", "1")), nameless = SET(L("a", "1"), L("b", "2"));

    (void)state;
    prints(&ls, "up{job=\"a\\\"b\\\\c\\n\\x01\\xff\xc3\xa9\\u2028\"}");
    prints(&bare, "up");
    prints(&none, "{}");
    prints(&odd, "{\"my metric\", \"a.b\"=\"1\"}");
    prints(&nameless, "{a=\"1\", b=\"2\"}");
}

static void names(void **state)
{
    (void)state;
    assert_true(label_name_legacy(STR("_a1")) && !label_name_legacy(STR("1a")) && !label_name_legacy(STR("")));
    assert_true(!label_name_legacy(STR("a:b")) && metric_name_legacy(STR("a:b")) && metric_name_legacy(STR(":b")));
    assert_false(metric_name_legacy(STR("a.b")));
}

static void matching(void **state)
{
    struct labels ls = SET(L("__name__", "up"), L("job", "api"));
    static const struct {
        enum match_op op;
        const char *name, *value;
        bool want;
        const char *printed;
    } rows[] = {
        {MATCH_EQ, "job", "api", true, "job=\"api\""},        {MATCH_EQ, "nope", "", true, "nope=\"\""},
        {MATCH_NE, "job", "api", false, "job!=\"api\""},      {MATCH_RE, "job", "a.*|b", true, "job=~\"a.*|b\""},
        {MATCH_NRE, "job", "x|api", false, "job!~\"x|api\""}, {MATCH_RE, "nope", ".*", true, "nope=~\".*\""},
        {MATCH_RE, "nope", ".+", false, "nope=~\".+\""},      {MATCH_NRE, "a.b", "x", true, "\"a.b\"!~\"x\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = {0};
        struct matcher m;

        assert_int_equal(matcher_init(&m, rows[i].op, str_of(rows[i].name), str_of(rows[i].value), NULL), 0);
        assert_int_equal(matchers_match(&m, 1, &ls), rows[i].want);
        matcher_print(&b, &m);
        assert_string_equal(buf_z(&b), rows[i].printed);
        buf_release(&b);
        matcher_release(&m);
        assert_null(m.re);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalising), cmocka_unit_test(many_in_disorder), cmocka_unit_test(order),
        cmocka_unit_test(canonical),   cmocka_unit_test(printing),         cmocka_unit_test(names),
        cmocka_unit_test(matching),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
