/*
 * conf_rules.c - mode rules: rule files that load, and those that must not. JSON lines with "yaml", "ok", "error" (a part of
 * the message), "name_validation".
 */
#include "alerting/rules/rule_file.h"
#include "tests/conformance/conformance.h"

#include <cjson/cJSON.h>

static const char *text_of(const cJSON *c, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c, key));
}

static bool says(const struct rule_file *f, const char *part)
{
    for (uint32_t i = 0; i < f->nfaults; i++)
        if (!part || strstr(f->faults[i].p, part))
            return true;
    return false;
}

static void run(struct conf_report *r, const cJSON *c)
{
    const char *yaml = text_of(c, "yaml"), *src = text_of(c, "src"), *error = text_of(c, "error"),
               *names = text_of(c, "name_validation");
    bool want = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c, "ok")), ok;
    struct arena a = {0};
    struct rule_file f;
    struct err e;

    ok = rule_file_parse(&a, STR("rules.yml"), str_of(yaml), names && strcmp(names, "legacy") == 0, &f, &e) == 0;
    if (ok && !want)
        conf_fail(r, src ? src : "?", "expected a fault (%s), loaded", error ? error : "any");
    else if (!ok && want)
        conf_fail(r, src ? src : "?", "expected to load: %s", e.text);
    else if (!ok && !says(&f, error))
        conf_fail(r, src ? src : "?", "expected \"%s\", got: %s", error, e.text);
    else
        conf_pass(r);
    rule_file_release(&f);
    arena_release(&a);
}

int conf_rules(struct str path, struct conf_report *r)
{
    struct buf text = {0};
    const char *at, *end;

    if (conf_read(path, &text) < 0)
        return -1;
    for (at = text.p; *at; at = *end ? end + 1 : end) {
        cJSON *c;

        end = strchr(at, '\n');
        end = end ? end : at + strlen(at);
        if (end == at)
            continue;
        c = cJSON_ParseWithLength(at, (size_t)(end - at));
        if (c && text_of(c, "yaml"))
            run(r, c);
        else
            conf_fail(r, "a line that is no case", "%.*s", (int)(end - at < 200 ? end - at : 200), at);
        cJSON_Delete(c);
    }
    buf_release(&text);
    return 0;
}
