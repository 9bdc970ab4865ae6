/* test_rule_file.c - what is read from rule files, and what is said of faulty ones. */
#include "alerting/rules/rule_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RULES "groups:\n- name: g\n  rules:\n"

static void test_values(void **state)
{
    static const char text[] = "# head\n---\ngroups:\n- name: one\n  interval: 1m30s\n  query_offset: 0s\n  limit: 7\n  labels: {team: a, b: 1}\n"
                               "  rules:\n  - alert: Down\n    expr: &x up == 0\n    for: 1d\n    keep_firing_for: 5m\n"
                               "    labels: {severity: page, empty: }\n    annotations: {text: '{{ $value }}'}\n"
                               "  - record: a:b\n    expr: *x\n  - record: \"utf-8 name\"\n    expr: 1\n- name: two\n---\nnot: read\n";
    struct arena a = {0};
    struct rule_file f;
    struct err e;
    const struct rule *r;

    (void)state;
    assert_int_equal(rule_file_parse(&a, STR("f"), STR(text), false, &f, &e), 0);
    assert_true(f.more_documents);
    assert_int_equal(f.ngroups, 2);
    assert_int_equal(f.groups[0].interval_ms, 90000);
    assert_true(f.groups[0].has_query_offset);
    assert_false(f.groups[1].has_query_offset);
    assert_int_equal(f.groups[0].limit, 7);
    assert_true(str_eqz(labels_get(&f.groups[0].labels, STR("b")), "1"));
    assert_int_equal(f.groups[0].nrules, 3);
    r = &f.groups[0].rules[0];
    assert_true(str_eqz(r->alert, "Down"));
    assert_int_equal(r->for_ms, 86400000);
    assert_int_equal(r->keep_firing_for_ms, 300000);
    assert_int_equal(r->labels.n, 2);
    assert_true(str_eqz(r->labels.v[0].name, "empty"));
    assert_int_equal(r->line, 10);
    assert_true(str_eqz(f.groups[0].rules[1].expr, "up == 0"));
    assert_non_null(f.groups[0].rules[1].tree);
    rule_file_release(&f);
    assert_int_equal(rule_file_parse(&a, STR("f"), STR(""), false, &f, &e), 0);
    assert_int_equal(f.ngroups, 0);
    rule_file_release(&f);
    arena_release(&a);
}

static void test_faults(void **state)
{
    static const struct {
        const char *text, *fault;
        bool legacy;
    } cases[] = {
        {"groups:\n- name: ''\n", "f: 2:3: Groupname must not be empty", false},
        {"groups:\n- name: a\n- name: a\n", "f: 3:3: groupname: \"a\" is repeated in the same file", false},
        {"group: []\n", "f: 1:1: field group not found in type rulefmt.RuleGroups", false},
        {RULES "  - record: r\n    expr: 1\n    annotation: x\n",
         "f: 6:5: group \"g\", rule 1, \"r\": field annotation not found in type rulefmt.Rule", false},
        {RULES "  - expr: 1\n", "f: 4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set", false},
        {RULES "  - record: r\n    alert: a\n    expr: 1\n",
         "f: 4:13: group \"g\", rule 1, \"a\": only one of 'record' and 'alert' must be set", false},
        {RULES "  - record: r\n", "f: 4:5: group \"g\", rule 1, \"r\": field 'expr' must be set in rule", false},
        {RULES "  - record: r\n    expr: rate(x)\n",
         "f: 5:11: group \"g\", rule 1, \"r\": could not parse expression: 1:6: parse error: expected type range vector in call to function "
         "\"rate\", got instant vector",
         false},
        {RULES "  - record: r\n    expr: 1\n    for: 1m\n", "f: 4:13: group \"g\", rule 1, \"r\": invalid field 'for' in recording rule", false},
        {RULES "  - record: r\n    expr: 1\n    annotations: {a: b}\n",
         "f: 4:13: group \"g\", rule 1, \"r\": invalid field 'annotations' in recording rule", false},
        {RULES "  - record: 'a{b=\"c\"}'\n    expr: 1\n",
         "f: 4:13: group \"g\", rule 1, \"a{b=\\\"c\\\"}\": braces present in the recording rule name; should it be in expr?: a{b=\"c\"}", false},
        {RULES "  - record: a-b\n    expr: 1\n", "f: 4:13: group \"g\", rule 1, \"a-b\": invalid recording rule name: a-b", true},
        {RULES "  - record: r\n    expr: 1\n    labels: {__name__: x}\n",
         "f: 6:13: group \"g\", rule 1, \"r\": invalid label name: __name__", false},
        {RULES "  - alert: r\n    expr: 1\n    for: 1.5h\n", "f: 6:10: group \"g\", rule 1, \"r\": unknown unit \".\" in duration \"1.5h\"", false},
        {RULES "  - alert: r\n    expr: 1\n    labels: {a: '{{ $nope }}'}\n",
         "f: 6:13: group \"g\", rule 1, \"r\": label \"a\": error parsing template __alert_r: template: __alert_r:1: undefined variable \"$nope\"",
         false},
        {"groups:\n- name: g\n  rules: 1\n", "f: 3:10: rules must be a list, not a single value", false},
        {"groups: [\n", "", false}, /* the words are those of the YAML reader */
    };
    struct arena a = {0};
    struct rule_file f;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int code = rule_file_parse(&a, STR("f"), str_of(cases[i].text), cases[i].legacy, &f, &e);

        if (code == 0)
            fail_msg("loaded:\n%s", cases[i].text);
        if (cases[i].fault[0])
            assert_string_equal(e.text, cases[i].fault);
        rule_file_release(&f);
    }
    /* All of them, not the first only. */
    assert_int_equal(rule_file_parse(&a, STR("f"), STR(RULES "  - record: r\n  - alert: b\n    expr: '('\n"), false, &f, &e), ERR_INVALID);
    assert_int_equal(f.nfaults, 2);
    rule_file_release(&f);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
