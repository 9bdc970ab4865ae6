/*
 * fuzz_template.c - any bytes are a template, or are refused with words; what parses runs to an end, twice to the same one.
 * Functions are those of log lines, so that times, numbers, JSON and regular expressions are met as well.
 */
#include "query/logql/tmpl_funcs.h"

#include <stdlib.h>

static bool get_field(struct tmpl_run *r, const void *self, struct str name, uint32_t id, struct tmpl_value *out)
{
    (void)r;
    (void)id;
    *out = tmpl_str(name.n % 3 ? *(const struct str *)self : STR("42.5"));
    return true;
}

static struct tmpl_value plain(struct tmpl_run *r, const void *self)
{
    static struct tmpl_entry v[2];

    (void)r;
    v[0] = (struct tmpl_entry){STR("a"), tmpl_str(*(const struct str *)self)};
    v[1] = (struct tmpl_entry){STR("b"), tmpl_int(3)};
    return (struct tmpl_value){TMPL_T_MAP, {.map = {v, 2}}};
}

static const struct tmpl_class fields = {"fields", get_field, NULL, plain};

static int run(const struct tmpl *t, struct str value, struct buf *out, struct err *e)
{
    static struct tmpl_env env;
    struct arena a = {0};
    struct tmpl_run r = {.a = &a, .user = &env, .out_max = 1 << 16, .memory_max = 1 << 20, .steps_max = 100000};
    int code;

    env.line = value;
    env.t_ns = INT64_C(1656353124120000000);
    code = tmpl_run(t, &r, tmpl_object(&fields, &value), NULL, 0, out, e);
    if (code == 0 && out->n > (1 << 16) + 64)
        abort();
    if (code < 0 && !e->text[0])
        abort();
    arena_release(&a);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tmpl_scope scope = {.functions = lq_functions, .nfunctions = lq_nfunctions};
    struct str text = str_n(data, size), value;
    struct buf first = {0}, second = {0};
    struct arena a = {0};
    struct err e = {0};
    struct tmpl t;

    str_cut(&text, '\0', &value);
    if (!text.n) {
        text = value;
        value = STR("a=1 b=\"x y\" 2021-02-03");
    }
    clock_fake(1, 1);
    if (tmpl_parse(&a, "t", text, &scope, &t, &e) < 0) {
        if (!e.text[0])
            abort();
    } else {
        int code = run(&t, value, &first, &e);

        if (run(&t, value, &second, &e) != code || !str_eq(buf_str(&first), buf_str(&second)))
            abort();
    }
    buf_release(&first);
    buf_release(&second);
    arena_release(&a);
    return 0;
}
