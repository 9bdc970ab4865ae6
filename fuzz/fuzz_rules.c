/* fuzz_rules.c - any bytes are a rule file, or are refused with words; and so are any bytes as a template. */
#include "alerting/rules/rule_file.h"
#include "alerting/template/scope.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct rule_file f;
    struct tmpl t;
    struct err e = {0};

    if (rule_file_parse(&a, STR("f"), str_n(data, size), size & 1, &f, &e) < 0 && !(f.nfaults && e.text[0]))
        abort();
    rule_file_release(&f);
    e.text[0] = 0;
    if (tmpl_parse(&a, "t", str_n(data, size), &tmpl_scope_alert, &t, &e) < 0 ? !e.text[0] : !t.body)
        abort();
    arena_release(&a);
    return 0;
}
