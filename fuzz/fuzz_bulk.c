/*
 * Records that come as fields: first byte even JSON objects a line (JSON lines, bulk), odd the JSON reader alone, of which
 * cJSON is the judge: what we take, it takes, and strings come out the same.
 */
#include "collector/logs/fields.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(struct str text)
{
    struct arena a = {0};
    struct json_in j;
    struct err e = {0};
    struct str s;
    bool ours;

    logs_json_init(&j, &a, text, &e);
    ours = json_in_skip(&j, NULL) == 0 && json_in_end(&j) == 0;
    if (ours && !memchr(text.p, 0, text.n)) {
        cJSON *theirs = cJSON_ParseWithLengthOpts(text.p, text.n, NULL, 0);

        logs_json_init(&j, &a, text, &e);
        if (json_in_peek(&j) == JSON_STRING && theirs) { /* cJSON refuses halves of pairs and \u0000 */
            assert(json_in_string(&j, &s) == 0);
            assert(cJSON_IsString(theirs) && strlen(theirs->valuestring) <= s.n);
            assert(memcmp(theirs->valuestring, s.p, strlen(theirs->valuestring)) == 0);
        }
        assert(theirs || memmem(text.p, text.n, "\\u", 2));
        cJSON_Delete(theirs);
    }
    if (!ours)
        assert(e.text[0]);
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct logs_rules *rules;
    struct label scratch[64];
    struct fields_opts o = {.now_ns = 1, .scratch = scratch};
    struct str names[] = {STR("_time")}, msgs[] = {STR("_msg"), STR("message")};
    struct arena a = {0};
    struct intake in;
    struct str rest, line;
    struct fields f = {0};
    struct err e;
    char *body;

    if (size < 1)
        return 0;
    if (!rules)
        rules = logs_rules_new();
    body = malloc(size > 1 ? size - 1 : 1);
    memcpy(body, data + 1, size - 1);
    if (data[0] & 1) {
        compare(str_n(body, size - 1));
        free(body);
        return 0;
    }
    o.time = (struct name_list){names, 1};
    o.msg = (struct name_list){msgs, 2};
    o.decolorize = (struct name_list){msgs, 1};
    intake_init(&in, &a, rules, size, true);
    for (rest = str_n(body, size - 1); rest.n;) {
        struct json_in j;

        str_cut(&rest, '\n', &line);
        f.n = 0;
        e.text[0] = '\0';
        logs_json_init(&j, &a, line, &e);
        if (fields_read_json(&j, &f) < 0 || json_in_end(&j) < 0 || fields_put(&in, &o, &f, line, &e) < 0)
            assert(e.text[0]);
    }
    intake_finish(&in);
    for (uint32_t i = 0, at = 0; i < in.b.nstreams; at += in.b.streams[i++].n)
        assert(in.b.streams[i].first == at && in.b.streams[i].labels.n);
    intake_release(&in);
    arena_release(&a);
    free(body);
    return 0;
}
