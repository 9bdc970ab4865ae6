/* field_oracle.h - the fields of a line as others see them: JSON by cJSON, logfmt by a plain loop. Behind cmocka.h. */
#ifndef TESTS_LOGSTORE_FIELD_ORACLE_H
#define TESTS_LOGSTORE_FIELD_ORACLE_H

#include "base/base.h"

#include <cjson/cJSON.h>
#include <math.h>

struct pair {
    struct str name, value;
    bool number;
};
struct pairs {
    struct pair v[256];
    uint32_t n;
};

static struct str sane(struct arena *a, const char *prefix, const char *key)
{
    struct str s = arena_printf(a, "%s%s%s%s", prefix ? prefix : "", prefix ? "_" : "",
                                !prefix && key[0] >= '0' && key[0] <= '9' ? "_" : "", key);

    for (size_t i = 0; i < s.n; i++)
        if (!strchr("_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", s.p[i]))
            ((char *)s.p)[i] = '_';
    return s;
}

static void add_pair(struct pairs *p, struct str name, struct str value, bool number)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (str_eq(p->v[i].name, name))
            return; /* the first one wins */
    assert_true(p->n < ARRAY_LEN(p->v));
    p->v[p->n++] = (struct pair){name, value, number};
}

static void flatten(struct arena *a, const cJSON *object, const char *prefix, struct pairs *out)
{
    const cJSON *c;

    cJSON_ArrayForEach(c, object)
    {
        struct str name = sane(a, prefix, c->string);

        if (cJSON_IsObject(c))
            flatten(a, c, name.p, out);
        else if (cJSON_IsString(c))
            add_pair(out, name, arena_dup(a, str_of(c->valuestring)), false);
        else if (cJSON_IsBool(c))
            add_pair(out, name, cJSON_IsTrue(c) ? STR("true") : STR("false"), false);
        else if (cJSON_IsNumber(c))
            add_pair(out, name, arena_printf(a, "%.17g", c->valuedouble), true);
    }
}

/* False: cJSON cannot read it. */
static bool parse_json(struct arena *a, struct str line, struct pairs *out)
{
    cJSON *j = cJSON_ParseWithLength(line.p, line.n);
    bool ok = j && cJSON_IsObject(j);

    out->n = 0;
    if (ok)
        flatten(a, j, NULL, out);
    cJSON_Delete(j);
    return ok;
}

static void parse_logfmt(struct arena *a, struct str line, struct pairs *out)
{
    out->n = 0;
    for (size_t i = 0; i < line.n;) {
        size_t key = i, from;
        struct str value;

        if (line.p[i] == ' ') {
            i++;
            continue;
        }
        while (i < line.n && line.p[i] != '=')
            i++;
        struct str name = sane(a, NULL, arena_dup(a, str_n(line.p + key, i - key)).p);
        from = ++i;
        if (i < line.n && line.p[i] == '"') {
            for (i++; line.p[i] != '"'; i += line.p[i] == '\\' ? 2 : 1)
                ;
            i++;
            cJSON *j = cJSON_ParseWithLength(line.p + from, i - from);
            value = j ? arena_dup(a, str_of(j->valuestring)) : STR("?"); /* odd escapes: such are not given */
            cJSON_Delete(j);
        } else {
            while (i < line.n && line.p[i] != ' ')
                i++;
            value = str_n(line.p + from, i - from);
        }
        if (value.n)
            add_pair(out, name, value, false);
    }
}

static bool same_value(const struct pair *want, struct str got)
{
    double a, b;
    bool range;

    if (!want->number)
        return str_eq(want->value, got);
    return num_parse(want->value, &a, &range) && num_parse(got, &b, &range) &&
           (a == b || fabs(a - b) <= fabs(a) * 1e-15);
}

#endif
