/*
 * test_row.c - label sets made from others, rows that become one, memory that is charged and given back.
 */
#include "query/vector/row.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct labels make(struct arena *a, const char *text)
{
    struct labels ls = {.v = arena_array(a, struct label, 16)};
    struct str s = str_of(text), pair;

    while (s.n) {
        struct str name;

        str_cut(&s, ',', &pair);
        str_cut(&pair, '=', &name);
        ls.v[ls.n++] = (struct label){name, pair};
    }
    return ls;
}

static void check_text(struct labels ls, const char *want)
{
    struct buf b = {0};

    labels_text(&b, &ls);
    assert_string_equal(buf_z(&b), want);
    buf_release(&b);
}

static void test_labels(void **state)
{
    struct arena a = {0};
    struct labels ls = make(&a, "__name__=x,a=1,b=2,c=3");
    struct str names[] = {STR("b"), STR("zz")};

    (void)state;
    check_text(labels_drop_name(&a, &ls), "{a=\"1\", b=\"2\", c=\"3\"}");
    check_text(labels_pick(&a, &ls, names, 2, true, false), "{b=\"2\"}");
    check_text(labels_pick(&a, &ls, names, 2, false, false), "{__name__=\"x\", a=\"1\", c=\"3\"}");
    check_text(labels_pick(&a, &ls, names, 2, false, true), "{a=\"1\", c=\"3\"}");
    check_text(labels_with(&a, &ls, STR("b"), STR("9")), "{__name__=\"x\", a=\"1\", b=\"9\", c=\"3\"}");
    check_text(labels_with(&a, &ls, STR("b"), STR_NULL), "{__name__=\"x\", a=\"1\", c=\"3\"}");
    check_text(labels_with(&a, &ls, STR("bb"), STR("n\"\n")),
               "{__name__=\"x\", a=\"1\", b=\"2\", bb=\"n\\\"\\n\", c=\"3\"}");
    check_text(labels_with(&a, &ls, STR("z"), STR("9")), "{__name__=\"x\", a=\"1\", b=\"2\", c=\"3\", z=\"9\"}");
    check_text(labels_with(&a, &ls, STR("z"), STR_NULL), "{__name__=\"x\", a=\"1\", b=\"2\", c=\"3\"}");
    ls = make(&a, "__name__=x,__type__=counter,__unit__=s");
    check_text(labels_drop_name(&a, &ls), "{}");
    arena_release(&a);
}

static void add_row(struct vec *v, struct labels ls, unsigned steps, double value)
{
    struct row *r = vec_add(v, "test", NULL);

    r->labels = ls;
    for (unsigned s = 0; s < v->nsteps; s++)
        if (steps & 1u << s) {
            r->has[s] = ROW_FLOAT;
            r->v[s] = value;
        }
}

static void test_unify(void **state)
{
    struct arena a = {0};
    struct vec v;
    struct err e = {0};

    (void)state;
    vec_init(&v, NULL, 4);
    add_row(&v, make(&a, "a=1"), 1, 10);
    add_row(&v, make(&a, "a=2"), 15, 20);
    add_row(&v, make(&a, "a=1"), 6, 30);
    assert_int_equal(vec_unify(&v, &e), 0);
    assert_int_equal(v.n, 2);
    assert_true(v.rows[0].v[0] == 10 && v.rows[0].v[1] == 30 && v.rows[0].v[2] == 30 && v.rows[0].has[3] == ROW_NONE);
    add_row(&v, make(&a, "a=2"), 8, 1);
    assert_int_equal(vec_unify(&v, &e), ERR_EXEC);
    assert_string_equal(e.text, "vector cannot contain metrics with the same labelset");
    vec_release(&v);
    arena_release(&a);
}

static void test_charges(void **state)
{
    struct query_engine_opts o;
    struct query_engine *en;
    struct query *q;
    struct err e = {0};
    struct vec v, w;

    (void)state;
    query_engine_opts_default(&o);
    o.threads = 1;
    o.limits.bytes_max = 1 << 20;
    en = query_engine_new(&o);
    q = query_begin(en, "promql", STR("x"), NULL);
    vec_init(&v, q, 1000);
    vec_init(&w, q, 1000);
    for (int i = 0; i < 10; i++) {
        assert_non_null(vec_add(&v, "test", &e));
        assert_non_null(vec_add(&w, "test", &e));
    }
    assert_true(q->bytes >= 20 * 9000);
    vec_join(&v, &w);
    assert_int_equal(v.n, 20);
    vec_release(&w);
    assert_true(q->bytes >= 20 * 9000);
    while (vec_add(&v, "one too many", &e))
        assert_true(v.n < 1000);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_non_null(strstr(e.text, "one too many"));
    vec_release(&v);
    assert_true(q->bytes == 0);
    query_end(q);
    query_engine_free(en);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_unify),
        cmocka_unit_test(test_charges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
