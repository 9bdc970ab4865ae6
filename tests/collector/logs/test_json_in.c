/* The JSON reader: cJSON is the judge of random documents, whole and damaged; and what neither of them may follow. */
#include "collector/logs/json_in.c"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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
        json_in_init(&j, &a, str_n(tight, n), &e);
        compare(&j, v);
        assert_int_equal(json_in_end(&j), 0);
        json_in_init(&j, &a, str_n(tight, n), &e);
        assert_int_equal(json_in_skip(&j, &raw), 0);
        assert_int_equal(raw.n, n);
        for (int k = 0; k < 10; k++) { /* damaged: what we take, cJSON takes */
            cJSON *theirs;

            tight[(unsigned)rand() % n] = "{}[]\",:0-e\\nt u"[rand() % 15];
            json_in_init(&j, &a, str_n(tight, n), &e);
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

static void bad(void **state)
{
    static const char *const all[] = {"", " ", "{", "[", "{]", "[}", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "[01]", "[1.]", "[.5]", "[1e]", "[-]", "[+1]", "[nul]", "[True]", "\"", "\"\\",
                                      "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "[1 2]", "1 2", "[\"a\" \"b\"]", ",", "{\"a\":}", "{,}", "[,]"};
    static const char *const good[] = {"0", "-0.5e+10", "\"\\ud800\"", "\"\\u0000\"", "[]", "{}", " [ ] ", "\"a\nb\"", "1E5"};
    struct arena a = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct json_in j;
        struct err e;

        json_in_init(&j, &a, str_of(all[i]), &e);
        if (json_in_skip(&j, NULL) == 0 && json_in_end(&j) == 0)
            fail_msg("taken: %s", all[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct json_in j;
        struct err e;

        json_in_init(&j, &a, str_of(good[i]), &e);
        if (json_in_skip(&j, NULL) < 0 || json_in_end(&j) < 0)
            fail_msg("%s: %s", good[i], e.text);
    }
    arena_release(&a);
}

static void depth(void **state)
{
    char *text = malloc(1000000);
    struct json_in j;
    struct err e;

    (void)state;
    memset(text, '[', 1000000);
    json_in_init(&j, NULL, str_n(text, 1000000), &e);
    assert_int_equal(json_in_skip(&j, NULL), ERR_INVALID);
    assert_string_equal(e.text, "invalid JSON at byte 128: nested deeper than the limit of 128");
    memset(text + 128, ']', 128);
    json_in_init(&j, NULL, str_n(text, 256), &e);
    assert_int_equal(json_in_skip(&j, NULL), 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_documents), cmocka_unit_test(bad), cmocka_unit_test(depth)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
