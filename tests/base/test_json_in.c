/* The JSON reader: cJSON is the judge of random documents, whole and damaged; and what neither of them may follow. */
#include "base/json_in.c"

#include "base/base.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STR_(literal) {(literal), sizeof(literal) - 1}

static cJSON *random_value(int depth)
{
    static const char *const texts[] = {"", "a", "with \"quotes\" and \\ and /", "line\nend\ttab", "\xc3\xa9\xf0\x9f\x98\x80", "a text that is longer than sixteen bytes \" there"};
    cJSON *v;

    switch (rand() % (depth > 4 ? 5 : 7)) {
    case 0:
        return cJSON_CreateNull();
    case 1:
        return cJSON_CreateBool(rand() % 2);
    case 2:
        return cJSON_CreateNumber(rand() % 2 ? rand() : rand() / 1000.0 - 1e5);
    case 3:
    case 4:
        return cJSON_CreateString(texts[(unsigned)rand() % ARRAY_LEN(texts)]);
    case 5:
        v = cJSON_CreateArray();
        for (int i = rand() % 5; i > 0; i--)
            cJSON_AddItemToArray(v, random_value(depth + 1));
        return v;
    default:
        v = cJSON_CreateObject();
        for (int i = rand() % 5; i > 0; i--)
            cJSON_AddItemToObject(v, texts[(unsigned)rand() % ARRAY_LEN(texts)], random_value(depth + 1));
        return v;
    }
}

/* Both read the same: token by token. */
static void compare(struct json_in *j, const cJSON *v)
{
    const cJSON *item = v->child;
    struct str s;
    double d;

    switch (json_in_peek(j)) {
    case JSON_OBJECT:
        assert_true(cJSON_IsObject(v));
        assert_int_equal(json_in_open(j, '{'), 0);
        for (; json_in_key(j, &s) == 0; item = item->next) {
            assert_true(item && str_eqz(s, item->string));
            compare(j, item);
        }
        assert_null(item);
        return;
    case JSON_ARRAY:
        assert_true(cJSON_IsArray(v));
        assert_int_equal(json_in_open(j, '['), 0);
        for (; json_in_item(j) == 0; item = item->next)
            compare(j, item);
        assert_null(item);
        return;
    case JSON_STRING:
        assert_int_equal(json_in_string(j, &s), 0);
        assert_true(cJSON_IsString(v) && str_eqz(s, v->valuestring));
        return;
    case JSON_NUMBER:
        assert_int_equal(json_in_number(j, &s), 0);
        assert_true(cJSON_IsNumber(v) && num_parse(s, &d, NULL) && fabs(d - v->valuedouble) <= 1e-12 * fabs(d));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        assert_int_equal(cJSON_IsNull(v) ? JSON_NULL : cJSON_IsTrue(v) ? JSON_TRUE : JSON_FALSE, json_in_peek(j));
        assert_int_equal(json_in_skip(j, NULL), 0);
        return;
    case JSON_NOTHING:
        fail();
    }
}

static void random_documents(void **state)
{
    unsigned seed = (unsigned)clock_wall_ns();

    (void)state;
    srand(seed);
    print_message("seed %u\n", seed);
    for (int round = 0; round < 3000; round++) {
        cJSON *v = random_value(0);
        char *text = rand() % 2 ? cJSON_Print(v) : cJSON_PrintUnformatted(v);
        size_t n = strlen(text);
        char *tight = malloc(n);
        struct arena a = {0};
        struct json_in j;
        struct err e;
        struct str raw;

        memcpy(tight, text, n);
        json_in_init(&j, &a, str_n(tight, n), 128, JSON_CONTROL_FINE, &e);
        compare(&j, v);
        assert_int_equal(json_in_end(&j), 0);
        json_in_init(&j, &a, str_n(tight, n), 128, JSON_CONTROL_FINE, &e);
        assert_int_equal(json_in_skip(&j, &raw), 0);
        assert_int_equal(raw.n, n);
        for (int k = 0; k < 10; k++) { /* damaged: what we take, cJSON takes */
            cJSON *theirs;

            tight[(unsigned)rand() % n] = "{}[]\",:0-e\\nt u"[rand() % 15];
            json_in_init(&j, &a, str_n(tight, n), 128, JSON_CONTROL_FINE, &e);
            if (json_in_skip(&j, NULL) < 0 || json_in_end(&j) < 0)
                continue;
            theirs = cJSON_ParseWithLength(tight, n);
            if (!theirs && !memmem(tight, n, "\\u", 2))
                fail_msg("seed %u: we take %.*s", seed, (int)n, tight);
            cJSON_Delete(theirs);
        }
        cJSON_Delete(v);
        free(text);
        free(tight);
        arena_release(&a);
    }
}

/* --- what is JSON and what is not -------------------------------------------------------------------------- */

static bool is_json(struct str text, enum json_control control, struct err *e)
{
    char *tight = malloc(text.n + 1); /* so that a look past the end is seen */
    struct json_in j;
    bool yes;

    memcpy(tight, text.p, text.n);
    tight = realloc(tight, text.n ? text.n : 1);
    json_in_init(&j, NULL, str_n(tight, text.n), 128, control, e);
    yes = json_in_skip(&j, NULL) == 0 && json_in_end(&j) == 0;
    free(tight);
    return yes;
}

static void accepted(void **state)
{
    static const struct str all[] = {
        /* arrays */
        STR_("[]"), STR_(" [ ] "), STR_("[[]   ]"), STR_("[\"\"]"), STR_("[false]"), STR_("[null, 1, \"1\", {}]"), STR_("[null]"), STR_("[1\n]"), STR_(" [1]"), STR_("[2] "),
        STR_("[1,null,null,null,2]"), STR_("[[[[[[[[[[]]]]]]]]]]"), STR_("[{},[],{}]"), STR_("\t[\r\n]\n"),
        /* numbers */
        STR_("0"), STR_("-0"), STR_("[123e65]"), STR_("[0e+1]"), STR_("[0e1]"), STR_("[ 4]"), STR_("[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]"),
        STR_("[20e1]"), STR_("[-123]"), STR_("[-1]"), STR_("[1E22]"), STR_("[1E-2]"), STR_("[1E+2]"), STR_("[123.456e78]"), STR_("[123456789012345678901234567890]"), STR_("-0.5e+10"), STR_("1E5"),
        /* objects */
        STR_("{}"), STR_("{\"\":0}"), STR_("{\"a\":\"b\",\"a\":\"c\"}"), STR_("{\"a\":[]}"), STR_("{\"foo\\u0000bar\": 42}"), STR_("{\"min\": -1.0e+28, \"max\": 1.0e+28}"),
        STR_("{\n\"a\": \"b\"\n}"), STR_("{\"x\":[{\"id\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}], \"id\": \"\"}"), STR_("{\"a\":{\"b\":{\"c\":[[{}]]}},\"d\":null}"),
        /* strings */
        STR_("\"\""), STR_("\" \""), STR_("[\"\\u0060\\u012a\\u12AB\"]"), STR_("[\"\\uD801\\udc37\"]"), STR_("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"), STR_("[\"\\\\u0000\"]"), STR_("[\"\\\\a\"]"),
        STR_("[\"a/*b*/c/*d//e\"]"), STR_("[\"\x7f\"]"), STR_("[\"\\u0000\"]"), STR_("[\"\xf4\x8f\xbf\xbf\"]"), STR_("[\"\xe2\x80\xa8\"]"), STR_("\"sixteen bytes and then \\\" a quote\""),
        STR_("\"\\uABCD\\uabcd\""), STR_("\"\\ud800\""), STR_("\"\\udc00\\ud800\""), STR_("\"\\ud800\\n\""), STR_("\"\xff\""),
        /* words */
        STR_("true"), STR_("false"), STR_("null"), STR_(" true "),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct err e;

        if (!is_json(all[i], JSON_CONTROL_FAULT, &e))
            fail_msg("%.*s: %s", STR_ARG(all[i]), e.text);
        for (size_t n = 0; n < all[i].n; n++) /* a number may be cut and still be one; nothing else may */
            if (is_json(str_head(all[i], n), JSON_CONTROL_FAULT, &e) && !strchr("0123456789 -\t\r\n", all[i].p[n]) && !strchr("0123456789", all[i].p[n - 1]) &&
                all[i].p[n] != '.')
                fail_msg("cut, and taken: %.*s", (int)n, all[i].p);
    }
}

static void refused(void **state)
{
    static const struct str all[] = {
        STR_(""), STR_(" "), STR_("\xef\xbb\xbf{}"), STR_("\0"), STR_("[]\0"),
        /* arrays */
        STR_("["), STR_("]"), STR_("[1 true]"), STR_("[\"\": 1]"), STR_("[\"\"],"), STR_("[,1]"), STR_("[1,,2]"), STR_("[\"x\",,]"), STR_("[\"x\"]]"), STR_("[\"\",]"), STR_("[\"x\""), STR_("[x"), STR_("[3[4]]"),
        STR_("[1:2]"), STR_("[,]"), STR_("[-]"), STR_("[   , \"\"]"), STR_("[\"a\",\n4\n,1,"), STR_("[1,]"), STR_("[*]"), STR_("[\"a\"\x0b]"), STR_("[\x0c]"), STR_("[\xa0]"), STR_("[\xe2\x81\xa0]"), STR_("[}"), STR_("[1}"),
        /* numbers */
        STR_("[++1234]"), STR_("[+1]"), STR_("[+Inf]"), STR_("[-01]"), STR_("[-1.0.]"), STR_("[-2.]"), STR_("[-NaN]"), STR_("[.-1]"), STR_("[.2e-3]"), STR_("[0.1.2]"), STR_("[0.3e+]"), STR_("[0.3e]"), STR_("[0.e1]"),
        STR_("[0E+]"), STR_("[0e]"), STR_("[1.0e+]"), STR_("[1 000.0]"), STR_("[1eE2]"), STR_("[2.e+3]"), STR_("[9.e+]"), STR_("[Inf]"), STR_("[NaN]"), STR_("[1+2]"), STR_("[0x1]"), STR_("[0x42]"), STR_("[Infinity]"),
        STR_("[-Infinity]"), STR_("[-foo]"), STR_("[- 1]"), STR_("[-012]"), STR_("[-.123]"), STR_("[1e1e1]"), STR_("[1.]"), STR_("[.5]"), STR_("[1ea]"), STR_("[1a]"), STR_("[012]"), STR_("[01]"), STR_("[1.8011670033376514H-308]"), STR_("-"), STR_("[\xef\xbc\x91]"),
        /* objects */
        STR_("{"), STR_("}"), STR_("{]"), STR_("{[: \"x\"}"), STR_("{\"x\", null}"), STR_("{\"x\"::\"b\"}"), STR_("{\"a\":\"a\" 123}"), STR_("{key: 'value'}"), STR_("{\"a\" b}"), STR_("{:\"b\"}"), STR_("{\"a\" \"b\"}"), STR_("{\"a\":"), STR_("{\"a\""),
        STR_("{1:1}"), STR_("{9999E9999:1}"), STR_("{null:null,null:null}"), STR_("{\"id\":0,,,,,}"), STR_("{'a':0}"), STR_("{\"id\":0,}"), STR_("{\"a\":\"b\"}/**/"), STR_("{\"a\":\"b\"}#"), STR_("{\"a\":\"b\",,\"c\":\"d\"}"), STR_("{a: \"b\"}"),
        STR_("{\"a\":\"a"), STR_("{ \"foo\" : \"bar\", \"a\" }"), STR_("{\"a\":\"b\"}{}"), STR_("{\"a\":true} \"x\""), STR_("{,}"), STR_("{\"a\":}"), STR_("{\"a\":1]"),
        /* strings */
        STR_("\""), STR_("\"\\"), STR_("\"\\\""), STR_("[\"\\x00\"]"), STR_("[\"\\\\\\\"]"), STR_("[\"\\\t\"]"), STR_("[\"\\u00A\"]"), STR_("[\"\\uD834\\uDd\"]"), STR_("[\"\\ud800\\u\"]"), STR_("[\"\\ud800\\u1x\"]"), STR_("[\"\\uqqqq\"]"), STR_("[\"\\a\"]"),
        STR_("[\"\\'\"]"), STR_("[\\u0020\"asd\"]"), STR_("[\\n]"), STR_("['single quote']"), STR_("abc"), STR_("[\"\\U0041\"]"), STR_("[\"\\\0\"]"), STR_("[\"\\\xe5\"]"), STR_("\"a\" \"b\""),
        STR_("\"a string longer than sixteen bytes \\q\""), STR_("\"x\"x"),
        /* words */
        STR_("[nul]"), STR_("[fals]"), STR_("[tru]"), STR_("[True]"), STR_("[TRUE]"), STR_("truex"), STR_("nulll"), STR_("[true false]"), STR_("<null>"), STR_("1 2"), STR_("&"), STR_("[1]x"),
    };
    static const struct str controls[] = {STR_("[\"a\0a\"]"), STR_("[\"new\nline\"]"), STR_("[\"\t\"]"), STR_("{\"\x1f\":1}"), STR_("\"sixteen bytes, then \x01\"")};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct err e = {0};

        if (is_json(all[i], JSON_CONTROL_FAULT, &e) || is_json(all[i], JSON_CONTROL_FINE, &e))
            fail_msg("taken: %.*s", STR_ARG(all[i]));
        assert_int_equal(e.code, ERR_INVALID);
    }
    for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
        struct err e;

        assert_false(is_json(controls[i], JSON_CONTROL_FAULT, &e));
        assert_true(is_json(controls[i], JSON_CONTROL_FINE, &e));
    }
}

static void faults(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "invalid JSON at byte 0: a value was expected"},
        {"[1, x]", "invalid JSON at byte 4: a value was expected"},
        {"{\"a\" 1}", "invalid JSON at byte 5: \":\" was expected"},
        {"{\"a\":1 \"b\":2}", "invalid JSON at byte 7: \",\" or \"}\" was expected"},
        {"[1 2]", "invalid JSON at byte 3: \",\" or \"]\" was expected"},
        {"{\"a\":1,}", "invalid JSON at byte 7: a string was expected"},
        {"[\"abc", "invalid JSON at byte 1: a string that does not end"},
        {"[\"ok\",\"\\q\"]", "invalid JSON at byte 6: a string with an escape that is none"},
        {"[-]", "invalid JSON at byte 1: a number was expected"},
        {"[1.]", "invalid JSON at byte 1: a number that ends in a dot"},
        {"[1e]", "invalid JSON at byte 1: a number without an exponent"},
        {"{} {}", "invalid JSON at byte 3: something follows the end"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e = {0};

        assert_false(is_json(str_of(rows[i].text), JSON_CONTROL_FINE, &e));
        assert_string_equal(e.text, rows[i].want);
    }
}

static void depth(void **state)
{
    char *text = malloc(1000000);
    struct json_in j;
    struct err e;

    (void)state;
    memset(text, '[', 1000000);
    json_in_init(&j, NULL, str_n(text, 1000000), 128, JSON_CONTROL_FINE, &e);
    assert_int_equal(json_in_skip(&j, NULL), ERR_INVALID);
    assert_string_equal(e.text, "invalid JSON at byte 128: nested deeper than the limit of 128");
    memset(text + 128, ']', 128);
    json_in_init(&j, NULL, str_n(text, 256), 128, JSON_CONTROL_FINE, &e);
    assert_int_equal(json_in_skip(&j, NULL), 0);
    for (size_t i = 0; i < 512; i++) { /* {"":[{"":[ ... as deep as may be, and one deeper */
        memcpy(text + i / 2 * 5, "{\"\":[", 5);
        memcpy(text + 256 * 5 + i / 2 * 2, "]}", 2);
    }
    json_in_init(&j, NULL, str_n(text, 256 * 7), JSON_IN_DEPTH_MAX, JSON_CONTROL_FAULT, &e);
    assert_int_equal(json_in_skip(&j, NULL), 0);
    assert_int_equal(json_in_end(&j), 0);
    json_in_init(&j, NULL, str_n(text, 256 * 7), JSON_IN_DEPTH_MAX - 1, JSON_CONTROL_FAULT, &e);
    assert_int_equal(json_in_skip(&j, NULL), ERR_INVALID);
    free(text);
}

/* --- pieces --------------------------------------------------------------------------------------------------- */

static void escapes(void **state)
{
    static const struct {
        struct str in, out;
        bool half; /* has half of a pair */
    } rows[] = {
        {STR_(""), STR_(""), false},
        {STR_("plain"), STR_("plain"), false},
        {STR_("\\\"\\\\\\/\\b\\f\\n\\r\\t"), STR_("\"\\/\b\f\n\r\t"), false},
        {STR_("a\\u0041\\u00e9\\u20AC\\u0000z"), STR_("aA\xc3\xa9\xe2\x82\xac\0z"), false},
        {STR_("\\ud83d\\ude00!"), STR_("\xf0\x9f\x98\x80!"), false},
        {STR_("\\ud83d"), STR_("\xef\xbf\xbd"), true},
        {STR_("\\ud83d\\u0041"), STR_("\xef\xbf\xbd" "A"), true},
        {STR_("\\ude00\\ud83d"), STR_("\xef\xbf\xbd\xef\xbf\xbd"), true},
        {STR_("\\ud83d\\ud83d\\ude00"), STR_("\xef\xbf\xbd\xf0\x9f\x98\x80"), true},
    };
    static const struct str none[] = {STR_("\\"), STR_("a\\"), STR_("\\x41"), STR_("\\u"), STR_("\\u123"), STR_("\\u12g4"), STR_("\\ud83d\\u12g4"), STR_("\\\0"), STR_("\\'")};
    char out[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(json_unescape(rows[i].in, JSON_HALF_FFFD, out), rows[i].out.n);
        assert_memory_equal(out, rows[i].out.p, rows[i].out.n);
        assert_int_equal(json_unescape(rows[i].in, JSON_HALF_FAULT, out), rows[i].half ? SIZE_MAX : rows[i].out.n);
    }
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        assert_true(json_unescape(none[i], JSON_HALF_FFFD, out) == SIZE_MAX);
        assert_true(json_unescape(none[i], JSON_HALF_FAULT, out) == SIZE_MAX);
    }
}

/* Wherever the closing quote lies in the sixteen bytes, and whatever stands before it. */
static void string_ends(void **state)
{
    char text[80];
    bool escaped;

    (void)state;
    for (size_t n = 0; n < 70; n++) {
        for (size_t k = 0; k <= n; k++) {
            memset(text, 'x', sizeof text);
            text[n] = '"';
            assert_ptr_equal(json_string_end(text, text + n + 1, &escaped), text + n);
            assert_false(escaped);
            assert_null(json_string_end(text, text + n, &escaped));
            if (k + 1 >= n)
                continue;
            memcpy(text + k, "\\\"", 2);
            assert_ptr_equal(json_string_end(text, text + sizeof text, &escaped), text + n);
            assert_true(escaped);
        }
    }
    assert_null(json_string_end("\\", "\\" + 1, &escaped));
}

/* Raw strings and keys, slices and scalars of one text, each where it lies. */
static void walk(void **state)
{
    const struct str text = STR("{\"k\\n\": [1.50, \"a\\tb\", {\"x\": [ ]} , null],\"z\":\"plain\"}");
    struct arena a = {0};
    struct json_in j;
    struct str s;
    bool escaped;

    (void)state;
    json_in_init(&j, &a, text, 3, JSON_CONTROL_FAULT, NULL);
    assert_int_equal(json_in_peek(&j), JSON_OBJECT);
    assert_int_equal(json_in_open(&j, '['), ERR_INVALID); /* e may be NULL */
    assert_int_equal(json_in_open(&j, '{'), 0);
    assert_int_equal(json_in_raw_key(&j, &s, &escaped), 0);
    assert_true(str_eqz(s, "k\\n") && escaped && s.p == text.p + 2);
    assert_int_equal(json_in_open(&j, '['), 0);
    assert_int_equal(json_in_item(&j), 0);
    assert_int_equal(json_in_number(&j, &s), 0);
    assert_true(str_eqz(s, "1.50"));
    assert_int_equal(json_in_item(&j), 0);
    assert_int_equal(json_in_string(&j, &s), 0);
    assert_true(str_eqz(s, "a\tb"));
    assert_int_equal(json_in_item(&j), 0);
    assert_int_equal(json_in_skip(&j, &s), ERR_INVALID); /* four brackets open */
    json_in_init(&j, &a, text, 4, JSON_CONTROL_FAULT, NULL);
    assert_true(json_in_open(&j, '{') == 0 && json_in_key(&j, &s) == 0 && str_eqz(s, "k\n"));
    assert_true(json_in_open(&j, '[') == 0);
    for (int i = 0; i < 3; i++)
        assert_true(json_in_item(&j) == 0 && json_in_skip(&j, &s) == 0);
    assert_true(str_eqz(s, "{\"x\": [ ]}"));
    assert_true(json_in_item(&j) == 0 && json_in_peek(&j) == JSON_NULL && json_in_skip(&j, NULL) == 0);
    assert_true(json_in_item(&j) > 0);
    assert_true(json_in_key(&j, &s) == 0 && str_eqz(s, "z"));
    assert_true(json_in_raw_string(&j, &s, &escaped) == 0 && str_eqz(s, "plain") && !escaped && s.p > text.p && s.p < text.p + text.n);
    assert_true(json_in_key(&j, &s) > 0 && json_in_end(&j) == 0 && j.depth == 0);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_documents), cmocka_unit_test(accepted), cmocka_unit_test(refused), cmocka_unit_test(faults), cmocka_unit_test(depth),
                                       cmocka_unit_test(escapes),          cmocka_unit_test(string_ends), cmocka_unit_test(walk)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
