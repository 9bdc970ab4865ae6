/* test_conf.c - the tree, its lines, merging, bounds; conf_get.c with it. */
#include "base/conf.c"
#include "base/conf_get.c"
#include "tests/base/prop.h"

static struct arena mem;

static struct conf *parse(const char *text)
{
    struct conf *c = NULL;
    struct err e;

    if (conf_parse(&mem, STR("f.yml"), str_of(text), &c, &e) < 0)
        fail_msg("%s", e.text);
    return c;
}

static void refuses(const char *text, int code, const char *words)
{
    struct conf *c = NULL;
    struct err e;

    assert_int_equal(conf_parse(&mem, STR("f.yml"), str_of(text), &c, &e), code);
    assert_null(c);
    if (!strstr(e.text, words))
        fail_msg("\"%s\" does not say \"%s\"", e.text, words);
}

static int clean(void **state)
{
    (void)state;
    arena_release(&mem);
    return 0;
}

static void tree(void **state)
{
    struct conf *c = parse(
                    "# comment\na: 1\nb:\n  - x\n  - {k: 'v w'}\nc: ~\nd: |\n  two\n  lines\n\"q\": \"\\u00e9\"\n"),
                *b;

    (void)state;
    assert_int_equal(c->kind, CONF_MAP);
    assert_int_equal(c->n, 5);
    b = conf_get(c, "b");
    assert_true(b->kind == CONF_LIST && b->n == 2 && b->line == 4 && c->key_lines[1] == 3);
    assert_int_equal(b->items[1]->line, 5);
    assert_true(str_eqz(conf_get(b->items[1], "k")->text, "v w") && conf_get(b->items[1], "k")->quoted);
    assert_null(conf_get(c, "c"));
    assert_true(str_eqz(conf_get(c, "d")->text, "two\nlines\n"));
    assert_true(str_eqz(conf_get(c, "q")->text, "\xc3\xa9"));
    assert_null(conf_get(c, "nope"));
    assert_null(conf_get(NULL, "nope"));
    assert_int_equal(parse("")->kind, CONF_NULL);
    assert_int_equal(parse("# only this\n")->kind, CONF_NULL);
    assert_int_equal(parse("---\n")->kind, CONF_NULL);
    assert_int_equal(parse("{\"json\": [1, true, null]}")->items[0]->n, 3);
}

static void typed(void **state)
{
    struct conf *c =
        parse("s: text\nn: 42\nh: 0x1f\ne: 1e3\nf: 1.5\ni: .inf\nt: yes\nu: False\nd: 1h30m\nz: 10MB\nl: [a, 2, ~]\n"
              "bad: [1]\nq: \"5\"\n");
    struct str s = STR("kept"), *list = NULL;
    int64_t i = 7;
    uint64_t u = 7;
    double f = 7;
    bool b = false;
    uint32_t n = 0;
    struct err e;

    (void)state;
    assert_int_equal(conf_str(c, "absent", &s, &e), 0);
    assert_true(str_eqz(s, "kept"));
    assert_true(conf_str(c, "s", &s, &e) == 0 && str_eqz(s, "text"));
    assert_true(conf_i64(c, "n", &i, &e) == 0 && i == 42);
    assert_true(conf_i64(c, "h", &i, &e) == 0 && i == 31);
    assert_true(conf_i64(c, "e", &i, &e) == 0 && i == 1000);
    assert_true(conf_f64(c, "f", &f, &e) == 0 && f == 1.5);
    assert_true(conf_f64(c, "i", &f, &e) == 0 && isinf(f));
    assert_true(conf_bool(c, "t", &b, &e) == 0 && b);
    assert_true(conf_bool(c, "u", &b, &e) == 0 && !b);
    assert_true(conf_duration(c, "d", &i, &e) == 0 && i == 5400000);
    assert_true(conf_size(c, "z", &u, &e) == 0 && u == 10 << 20);
    assert_true(conf_strs(&mem, c, "l", &list, &n, &e) == 0 && n == 3 && str_eqz(list[1], "2") && list[2].n == 0);
    assert_int_equal(conf_i64(c, "s", &i, &e), ERR_INVALID);
    assert_string_equal(e.text, "f.yml:1: s: \"text\" is not a whole number");
    assert_int_equal(conf_i64(c, "q", &i, &e), ERR_INVALID);
    assert_int_equal(conf_str(c, "bad", &s, &e), ERR_INVALID);
    assert_string_equal(e.text, "f.yml:12: bad must be a single value, not a list");
    assert_int_equal(conf_duration(c, "s", &i, &e), ERR_INVALID);
    assert_string_equal(e.text, "f.yml:1: s: not a valid duration string: \"text\"");
    assert_int_equal(conf_strs(&mem, c, "s", &list, &n, &e), ERR_INVALID);
    assert_int_equal(conf_finish(c, "this test", &e), 0);
}

static void unknown_keys(void **state)
{
    struct conf *c = parse("a: 1\nbb: 2\n");
    struct err e;

    (void)state;
    conf_get(c, "a");
    assert_int_equal(conf_finish(c, "global", &e), ERR_INVALID);
    assert_string_equal(e.text, "f.yml:2: unknown key \"bb\" in global");
}

static void anchors(void **state)
{
    struct conf *c = parse(
        "base: &b {x: 1, y: 2}\none:\n  y: 3\n  <<: *b\ntwo: {<<: [{x: 9}, *b], z: 0}\nthree: *b\n\"<<\": text\n");
    struct conf *one = conf_get(c, "one"), *two = conf_get(c, "two"), *three = conf_get(c, "three");
    struct err e;

    (void)state;
    assert_true(str_eqz(conf_get(one, "y")->text, "3") && str_eqz(conf_get(one, "x")->text, "1") && one->n == 2);
    assert_true(str_eqz(conf_get(two, "x")->text, "9") && str_eqz(conf_get(two, "y")->text, "2") && two->n == 3);
    assert_true(three != conf_get(c, "base") && three->n == 2);
    assert_int_equal(conf_finish(three, "three", &e), ERR_INVALID); /* marks are not shared */
    assert_true(str_eqz(conf_get(c, "<<")->text, "text"));
}

static void faults(void **state)
{
    (void)state;
    refuses("a: 1\nb: [\n", ERR_INVALID, "f.yml:3: ");
    refuses("a: 1\na: 2\n", ERR_INVALID, "f.yml:2: key \"a\" stands twice");
    refuses("a: *x\n", ERR_INVALID, "f.yml:1: no anchor \"x\"");
    refuses("a: &x [*x]\n", ERR_INVALID, "f.yml:1: no anchor \"x\"");
    refuses("[a]: 1\n", ERR_INVALID, "f.yml:1: a key must be");
    refuses("a: {<<: 5}\n", ERR_INVALID, "f.yml:1: only a map");
    refuses("a: 1\n---\nb: 2\n", ERR_INVALID, "f.yml:2: a second document");
    refuses("\ta: 1\n", ERR_INVALID, "f.yml:1: ");
    refuses("a: \xff\n", ERR_INVALID, "f.yml:");
}

static void bounds(void **state)
{
    struct buf b = {0};

    (void)state;
    for (int i = 0; i < 200; i++)
        buf_putc(&b, '[');
    refuses(buf_z(&b), ERR_INVALID, "nested too deep");
    buf_reset(&b);
    buf_putz(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&b, "*a%d,", i - 1);
        buf_putz(&b, "]\n");
    }
    refuses(buf_z(&b), ERR_LIMIT, "more than 500000 values");
    buf_reset(&b);
    buf_reserve(&b, BYTES_MAX + 1);
    memset(b.p, ' ', BYTES_MAX + 1);
    b.n = BYTES_MAX + 1;
    refuses(buf_z(&b), ERR_LIMIT, "over the limit");
    buf_release(&b);
}

static void files(void **state)
{
    char path[] = "/tmp/test_conf_XXXXXX";
    struct conf *c = NULL;
    struct err e;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0 && write(fd, "a: [1\n", 6) == 6);
    close(fd);
    assert_int_equal(conf_load(&mem, path, &c, &e), ERR_INVALID);
    assert_true(strncmp(e.text, path, strlen(path)) == 0);
    unlink(path);
    assert_int_equal(conf_load(&mem, path, &c, &e), ERR_NOT_FOUND);
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(tree, clean),         cmocka_unit_test_teardown(typed, clean),
        cmocka_unit_test_teardown(unknown_keys, clean), cmocka_unit_test_teardown(anchors, clean),
        cmocka_unit_test_teardown(faults, clean),       cmocka_unit_test_teardown(bounds, clean),
        cmocka_unit_test_teardown(files, clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
