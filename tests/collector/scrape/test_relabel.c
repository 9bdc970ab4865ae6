/* test_relabel.c - every action, the expansion rules, MD5, and what the reader refuses. */
#include "collector/scrape/relabel.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct labels parse_labels(struct arena *a, const char *text)
{
    struct labels ls = {arena_array(a, struct label, 32), 0};
    struct str rest = str_of(text), pair, name;

    while (rest.n) {
        str_cut(&rest, ' ', &pair);
        str_cut(&pair, '=', &name);
        ls.v[ls.n++] = (struct label){name, pair};
    }
    assert_int_equal(labels_normalise(&ls, NULL), 0);
    return ls;
}

static struct str format_labels(struct arena *a, const struct labels *ls)
{
    struct buf b = {0};
    struct str s;

    for (uint32_t i = 0; i < ls->n; i++)
        buf_printf(&b, "%s%.*s=%.*s", i ? " " : "", STR_ARG(ls->v[i].name), STR_ARG(ls->v[i].value));
    s = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return s;
}

static void run(const char *rules, const char *in, const char *want)
{
    struct arena a = {0};
    struct labels ls = parse_labels(&a, in);
    struct relabel r;
    struct conf *c;
    struct err e = {0};

    if (conf_parse(&a, STR("t.yml"), str_of(rules), &c, &e) < 0 || relabel_read(&a, c, false, &r, &e) < 0)
        fail_msg("%s: %s", rules, e.text);
    if (relabel_apply(&r, &a, &ls)) {
        struct str got = format_labels(&a, &ls);
        if (!want || !str_eqz(got, want))
            fail_msg("%s on %s: got %s, want %s", rules, in, got.p, want ? want : "(dropped)");
    } else if (want) {
        fail_msg("%s on %s: dropped, want %s", rules, in, want);
    }
    relabel_release(&r);
    arena_release(&a);
}

static void refuse(const char *rules, const char *words)
{
    struct arena a = {0};
    struct relabel r;
    struct conf *c;
    struct err e = {0};

    assert_int_equal(conf_parse(&a, STR("t.yml"), str_of(rules), &c, &e), 0);
    if (relabel_read(&a, c, true, &r, &e) == 0)
        fail_msg("accepted: %s", rules);
    if (!strstr(e.text, words) || !strstr(e.text, "t.yml:"))
        fail_msg("%s: \"%s\" does not contain \"%s\"", rules, e.text, words);
    arena_release(&a);
}

static void test_replace(void **state)
{
    (void)state;
    run("[{source_labels: [a], target_label: d}]", "a=foo b=bar", "a=foo b=bar d=foo");
    run("[{source_labels: [a, b], target_label: d}]", "a=foo b=bar", "a=foo b=bar d=foo;bar");
    run("[{source_labels: [a, zz], separator: '/', target_label: d}]", "a=foo", "a=foo d=foo/");
    run("[{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch${1}'}]", "a=foo",
        "a=foo d=choo-choo");
    run("[{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: '$1_x'}]", "a=foo d=1",
        "a=foo"); /* the group "1_x": empty */
    run("[{source_labels: [a], regex: 'oo', target_label: d, replacement: x}]", "a=foo", "a=foo"); /* anchored */
    run("[{source_labels: [a], regex: '(?P<n>.*)', target_label: '${n}', replacement: '$n$$'}]", "a=foo",
        "a=foo foo=foo$");
    run("[{source_labels: [a], target_label: a, replacement: ''}]", "a=foo b=1", "b=1");
    run("[{source_labels: [zz], target_label: a}]", "a=foo b=1", "b=1"); /* empty result takes the label away */
    run("[{target_label: d, replacement: const}]", "a=1", "a=1 d=const");
    run("[{source_labels: [a], regex: 'a.b', target_label: d, replacement: x}]", "a=a\nb",
        "a=a\nb d=x"); /* dot takes newline */
    run("[{source_labels: [a], regex: 'x', target_label: d, replacement: x}]", "a=x\n", "a=x\n");
}

static void test_keep_and_drop(void **state)
{
    (void)state;
    run("[{source_labels: [a], regex: 'f.*', action: keep}]", "a=foo", "a=foo");
    run("[{source_labels: [a], regex: 'f', action: keep}]", "a=foo", NULL);
    run("[{source_labels: [a], regex: 'f.*', action: DROP}]", "a=foo", NULL);
    run("[{source_labels: [a], regex: 'f', action: drop}]", "a=foo", "a=foo");
    run("[{source_labels: [a], target_label: b, action: keepequal}]", "a=x b=x", "a=x b=x");
    run("[{source_labels: [a], target_label: b, action: keepequal}]", "a=x b=y", NULL);
    run("[{source_labels: [a], target_label: b, action: dropequal}]", "a=x b=x", NULL);
    run("[{source_labels: [a], target_label: b, action: dropequal}]", "a=x b=y", "a=x b=y");
}

static void test_case_and_hash(void **state)
{
    (void)state;
    run("[{source_labels: [a], target_label: a, action: lowercase}]", "a=FoOÄΣ", "a=fooäσ");
    run("[{source_labels: [a], target_label: a, action: uppercase}]", "a=fooäя", "a=FOOÄЯ");
    run("[{source_labels: [a], target_label: d, action: hashmod, modulus: 8}]", "a=foo", "a=foo d=0");
    run("[{source_labels: [a], target_label: d, action: hashmod, modulus: 4}]", "a=10.0.0.1:9100",
        "a=10.0.0.1:9100 d=1");
    run("[{source_labels: [a, b], target_label: d, action: hashmod, modulus: 1000}]", "a=a b=b", "a=a b=b d=74");
}

static void test_label_names(void **state)
{
    (void)state;
    run("[{regex: '(b.*)', action: labelmap, replacement: 'x_${1}'}]", "a=1 b1=2 b2=3", "a=1 b1=2 b2=3 x_b1=2 x_b2=3");
    run("[{regex: '__meta_(.+)', action: labelmap}]", "__meta_a=1 a=0", "__meta_a=1 a=1");
    run("[{regex: 'b.*', action: labeldrop}]", "a=1 b1=2 b2=3", "a=1");
    run("[{regex: 'b.*', action: labelkeep}]", "a=1 b1=2 b2=3", "b1=2 b2=3");
    run("[{target_label: d, replacement: 1}, {source_labels: [d], target_label: e}, {regex: d, action: labeldrop}]",
        "a=0", "a=0 e=1");
}

static void test_refused(void **state)
{
    (void)state;
    refuse("[{source_labels: [a]}]", "requires target_label");
    refuse("[{target_label: 'a-b'}]", "not a valid target_label");
    refuse("[{action: hashmod, source_labels: [a], target_label: b}]", "modulus");
    refuse("[{action: explode}]", "unknown relabel action");
    refuse("[{action: labeldrop, regex: a, target_label: b}]", "requires only regex");
    refuse("[{action: keepequal, source_labels: [a], target_label: b, regex: c}]", "no other fields");
    refuse("[{action: lowercase, source_labels: [a], target_label: b, replacement: c}]", "replacement cannot be set");
    refuse("[{target_label: a, regex: '('}]", "regex");
    refuse("[{target_label: a, colour: red}]", "unknown key \"colour\"");
    refuse("[{action: lowercase, source_labels: [a], target_label: '$1'}]", "not a valid target_label");
}

static void test_md5(void **state)
{
    static const struct {
        const char *text;
        uint8_t first[4];
    } cases[] = {
        {"", {0xd4, 0x1d, 0x8c, 0xd9}},
        {"foo", {0xac, 0xbd, 0x18, 0xdb}},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890", {0x57, 0xed, 0xf4, 0xa2}},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", {0xd1, 0x74, 0xab, 0x98}},
    };
    uint8_t out[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        md5(str_of(cases[i].text), out);
        assert_memory_equal(out, cases[i].first, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace),     cmocka_unit_test(test_keep_and_drop), cmocka_unit_test(test_case_and_hash),
        cmocka_unit_test(test_label_names), cmocka_unit_test(test_refused),       cmocka_unit_test(test_md5),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
