/* test_template.c - texts that parse, and the words for those that do not. */
#include "alerting/template/scope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

static const char *parse(struct arena *a, const char *text, struct tmpl *t)
{
    static struct err e;

    e.text[0] = 0;
    return tmpl_parse(a, "t", str_of(text), &tmpl_scope_alert, t, &e) < 0 ? e.text : NULL;
}

static void test_good(void **state)
{
    static const char *const good[] = {
        "",
        "plain",
        "{{/* a comment */}}x{{- /* another */ -}} y",
        "{{$labels.instance}} is {{$value | humanize}}",
        "{{ if gt $value 0.0 }}a{{ else if lt $value 1.0 }}b{{ else }}c{{ end }}",
        "{{ with query \"up\" }}{{ . | first | value }}{{ else with 1 }}x{{ end }}",
        "{{ range $i, $e := query `up` }}{{ if $i }}{{break}}{{else}}{{continue}}{{end}}{{ $e.Labels.job }}{{ end }}",
        "{{ range query \"up\" }}{{ .Value }}{{ else }}none{{ end }}",
        "{{ define \"x\" }}{{ . }}{{ $ }}{{ end }}{{ template \"x\" .Labels }}{{ template \"x\" }}",
        "{{ block \"b\" . }}{{ .Value }}{{ end }}",
        "{{ (index (query \"a\") 0).Value }}{{ printf \"%s %d\" \"a\\n\\u00e9\\x41\\101\" 'x' }}",
        "{{ $x := 1 }}{{ $x = 0x_1F }}{{ $x }}{{ -1.5e3 }}{{ 0b11 }}{{ .5 }}{{ true }}",
        "a {{- 3 -}} b",
        "{{print (print 1 | print) 2}}",
        "{{ .Labels\n | len }}",
    };
    struct arena a = {0};
    struct tmpl t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        const char *why = parse(&a, good[i], &t);

        if (why)
            fail_msg("%s: %s", good[i], why);
    }
    arena_release(&a);
}

static void test_bad(void **state)
{
    static const char *const bad[][2] = {
        {"{{$this_is_wrong}}", "template: t:1: undefined variable \"$this_is_wrong\""},
        {"{{$labels.quantile * 100}}", "template: t:1: unexpected \"*\" in operand"},
        {"\n\n{{nosuch 1}}", "template: t:3: function \"nosuch\" not defined"},
        {"{{", "template: t:1: unclosed action"},
        {"{{ if }}x{{end}}", "template: t:1: missing value for if"},
        {"{{ if true }}x", "template: t:1: unexpected EOF"},
        {"{{end}}", "template: t:1: unexpected {{end}}"},
        {"x{{else}}", "template: t:1: unexpected {{else}}"},
        {"{{ \"a }}", "template: t:1: unterminated quoted string"},
        {"{{ `a }}", "template: t:1: unterminated raw quoted string"},
        {"{{ (1 }}", "template: t:1: unclosed left paren"},
        {"{{ 1) }}", "template: t:1: unexpected right paren"},
        {"{{/* x }}", "template: t:1: unclosed comment"},
        {"{{/* x */ 1}}", "template: t:1: comment ends before closing delimiter"},
        {"{{ 1 | 2 }}", "template: t:1: non executable command in pipeline stage 2"},
        {"{{ 3k }}", "template: t:1: bad number syntax: \"3k\""},
        {"{{ 1__0 }}", "template: t:1: illegal number syntax: \"1__0\""},
        {"{{break}}", "template: t:1: {{break}} outside {{range}}"},
        {"{{ \"a\".b }}", "template: t:1: unexpected . after term \"a\""},
        {"{{ $x, $y := 1 }}", "template: t:1: too many declarations in command"},
        {"{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "template: t:1: undefined variable \"$x\""},
        {"{{ define \"x\" }}{{ $value }}{{ end }}", "template: t:1: undefined variable \"$value\""},
        {"{{ define \"x\" }}a{{ end }}{{ define \"x\" }}b{{ end }}",
         "template: t:1: template: multiple definition of template \"x\""},
        {"{{ template x }}", "template: t:1: unexpected \"x\" in template clause"},
        {"{{ ( ) }}", "template: t:1: missing value for parenthesized pipeline"},
        {"{{ \"\\q\" }}", "template: t:1: invalid syntax"},
        {"{{ if true }}a{{else}}b{{else}}c{{end}}", "template: t:1: expected end; found {{else}}"},
    };
    struct arena a = {0};
    struct tmpl t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *why = parse(&a, bad[i][0], &t);

        if (!why)
            fail_msg("%s: parsed", bad[i][0]);
        assert_string_equal(why, bad[i][1]);
    }
    arena_release(&a);
}

static void test_trims(void **state)
{
    struct arena a = {0};
    struct tmpl t;

    (void)state;
    assert_null(parse(&a, "a \n{{- 1 -}} \n b {{/* c */ -}}  d", &t));
    assert_int_equal(t.body->n, 4);
    assert_true(str_eqz(t.body->list[0]->text, "a"));
    assert_int_equal(t.body->list[1]->kind, TMPL_ACTION);
    assert_true(str_eqz(t.body->list[2]->text, "b "));
    assert_true(str_eqz(t.body->list[3]->text, "d"));
    arena_release(&a);
}

/* Deep nesting, and every beginning of a long text: faults, not crashes. */
static void test_hostile(void **state)
{
    static const char text[] = "{{ define \"x\" }}{{ range $i, $e := (query `a`).b }}{{ printf \"%q\\t\" 'c' -0x1p-2 }}"
                               "{{ else }}{{- /* c */ -}}{{/* d */}}{{ end }}{{ end }}{{ with $x := .a.b }}{{ $x.c }}{{ end }}";
    struct arena a = {0};
    struct buf b = {0};
    struct tmpl t;

    (void)state;
    assert_null(parse(&a, text, &t));
    for (size_t n = 0; n < sizeof text - 1; n++) {
        struct err e;
        char *copy = x_alloc(n + !n); /* without a NUL: who reads on is seen */

        memcpy(copy, text, n);
        tmpl_parse(&a, "t", str_n(copy, n), &tmpl_scope_alert, &t, &e);
        free(copy);
    }
    for (int i = 0; i < 100000; i++)
        buf_putz(&b, "{{if 1}}");
    buf_z(&b);
    assert_non_null(parse(&a, b.p, &t));
    buf_reset(&b);
    buf_putz(&b, "{{");
    for (int i = 0; i < 100000; i++)
        buf_putc(&b, '(');
    buf_z(&b);
    assert_non_null(parse(&a, b.p, &t));
    buf_release(&b);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_trims),
        cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
