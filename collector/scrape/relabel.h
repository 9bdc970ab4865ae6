/* relabel.h - relabel_configs, for targets and for samples. */
#ifndef COLLECTOR_RELABEL_H
#define COLLECTOR_RELABEL_H

#include "base/base.h"

struct relabel_rule;
struct relabel {
    struct relabel_rule *rules;
    uint32_t n;
};
/* Reads a list of rules. From a; regexes are freed by relabel_release. `c` may be NULL: no rules. */
int relabel_read(struct arena *a, struct conf *c, bool legacy_names, struct relabel *out, struct err *e);
void relabel_release(struct relabel *r);
/* Runs the rules over ls in place (new array and strings from a; sorted, no empty values). false: dropped. */
bool relabel_apply(const struct relabel *r, struct arena *a, struct labels *ls);

#endif
