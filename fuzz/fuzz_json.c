/*
 * fuzz_json.c - the scanner of base/json_in.h. cJSON is the judge of whole texts: what we take, it takes, and all strings and
 * numbers come out the same. And the scanner is its own: a value skipped and a value walked are the same text with the same
 * verdict, whatever the depth and the handling of control characters.
 */
#include "base/base.h"
#include "base/json_in.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int walk(struct json_in *j);

static int walk_nested(struct json_in *j, bool object)
{
    struct str key, raw, value;
    int rc = json_in_open(j, object ? '{' : '[');

    while (rc == 0 && (rc = object ? json_in_key(j, &key) : json_in_item(j)) == 0) {
        struct json_in skip = *j, alone;

        if ((rc = json_in_skip(&skip, &raw)) < 0)
            break;
        json_in_init(&alone, j->a, raw, j->depth_max - j->depth, j->control_fine ? JSON_CONTROL_FINE : JSON_CONTROL_FAULT, NULL);
        assert(json_in_skip(&alone, &value) == 0 && json_in_end(&alone) == 0 && str_eq(raw, value));
        rc = walk(j);
        assert(rc == 0 && j->p == skip.p && j->depth == skip.depth);
    }
    return rc < 0 ? rc : 0;
}

/* Any value, by the calls that take it apart. */
static int walk(struct json_in *j)
{
    struct str s;

    switch (json_in_peek(j)) {
    case JSON_OBJECT:
        return walk_nested(j, true);
    case JSON_ARRAY:
        return walk_nested(j, false);
    case JSON_STRING:
        return json_in_string(j, &s);
    case JSON_NUMBER:
        return json_in_number(j, &s);
    default:
        return json_in_skip(j, NULL);
    }
}

/* Where cJSON cuts a string at \u0000, or has it shorter, ours begins with it. */
static void same_string(struct str ours, const char *theirs)
{
    size_t n = strlen(theirs);

    assert(n <= ours.n && memcmp(ours.p, theirs, n) == 0);
    assert(n == ours.n || ours.p[n] == 0);
}

static void compare(struct json_in *j, const cJSON *v)
{
    const cJSON *item = v->child;
    struct str s;
    double d;

    switch (json_in_peek(j)) {
    case JSON_OBJECT:
        assert(cJSON_IsObject(v) && json_in_open(j, '{') == 0);
        for (; json_in_key(j, &s) == 0; item = item->next) {
            same_string(s, item->string);
            compare(j, item);
        }
        return;
    case JSON_ARRAY:
        assert(cJSON_IsArray(v) && json_in_open(j, '[') == 0);
        for (; json_in_item(j) == 0; item = item->next)
            compare(j, item);
        return;
    case JSON_STRING:
        assert(json_in_string(j, &s) == 0 && cJSON_IsString(v));
        same_string(s, v->valuestring);
        return;
    case JSON_NUMBER:
        assert(json_in_number(j, &s) == 0 && cJSON_IsNumber(v));
        if (s.n < 60 && num_parse(s, &d, NULL)) /* it reads no longer ones */
            assert(d == v->valuedouble || fabs(d - v->valuedouble) <= 1e-12 * fabs(d));
        return;
    default:
        assert(cJSON_IsBool(v) || cJSON_IsNull(v));
        assert(json_in_skip(j, NULL) == 0);
        return;
    }
}

static bool has_zero(struct str text)
{
    return memchr(text.p, 0, text.n) || memmem(text.p, text.n, "\\u0000", 6);
}

/* What cJSON does not do as we: numbers it reads only in part when long, halves of pairs, zeros. */
static void judge(struct arena *a, struct str text)
{
    struct json_in j;
    cJSON *theirs;

    if (has_zero(text))
        return;
    theirs = cJSON_ParseWithLengthOpts(text.p, text.n, NULL, 0);
    assert(theirs || memmem(text.p, text.n, "\\u", 2) || text.n > 63);
    if (theirs) {
        json_in_init(&j, a, text, 500, JSON_CONTROL_FINE, NULL);
        compare(&j, theirs);
    }
    cJSON_Delete(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct json_in j, k;
    struct err e = {0};
    struct str text, raw;
    unsigned depth_max;
    enum json_control control;
    char *tight;
    int rc;

    if (!size)
        return 0;
    control = data[0] & 1 ? JSON_CONTROL_FINE : JSON_CONTROL_FAULT;
    depth_max = data[0] & 2 ? 4 : 100;
    tight = x_alloc(MAX(size - 1, (size_t)1)); /* so that a look past the end is seen */
    memcpy(tight, data + 1, size - 1);
    text = str_n(tight, size - 1);

    json_in_init(&j, &a, text, depth_max, control, &e);
    json_in_init(&k, &a, text, depth_max, control, NULL);
    rc = json_in_skip(&j, &raw);
    assert((rc < 0) == (walk(&k) < 0) && j.depth <= depth_max);
    assert(rc < 0 ? e.code == ERR_INVALID && e.text[0] : k.p == j.p && raw.p + raw.n == j.p && j.depth == 0);
    if (rc == 0 && json_in_end(&j) == 0)
        judge(&a, text);
    arena_release(&a);
    free(tight);
    return 0;
}
