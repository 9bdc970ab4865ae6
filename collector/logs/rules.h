/* rules.h - how what arrives becomes streams: one immutable piece of configuration, counted. Private to collector/logs. */
#ifndef COLLECTOR_LOGS_RULES_H
#define COLLECTOR_LOGS_RULES_H

#include "base/base.h"

#include <stdatomic.h>

enum otlp_action { OTLP_INDEX, OTLP_METADATA, OTLP_DROP };
enum otlp_scope { OTLP_RESOURCE, OTLP_SCOPE, OTLP_LOG, OTLP_SCOPES };

/* Says what becomes of an attribute: by its name, or by what its name looks like. */
struct otlp_rule {
    enum otlp_action action;
    struct str *names;
    uint32_t nnames;
    struct regex *re; /* or NULL. Owned by the rules */
};

struct logs_rules {
    struct arena arena;
    _Atomic uint32_t refs;
    uint64_t id; /* no two that ever were have the same */
    bool levels; /* discover detected_level */
    const struct str *service_names; /* labels that tell service_name, best first; none: do not discover */
    uint32_t nservice_names;
    struct otlp_rule *otlp[OTLP_SCOPES];
    uint32_t notlp[OTLP_SCOPES];
    bool severity_as_label;
    uint64_t rate_bytes, rate_burst_bytes, stream_rate_bytes, stream_rate_burst_bytes; /* UINT64_MAX: not said */
};

/* What holds without configuration. Refs 1. */
struct logs_rules *logs_rules_new(void);
/* What the limits_config says; c may be NULL. */
int logs_rules_read(struct conf *c, struct logs_rules **out, struct err *e);
void logs_rules_unref(struct logs_rules *r);
/* The first rule that means the attribute, else METADATA. */
enum otlp_action otlp_rules_ask(const struct logs_rules *r, enum otlp_scope scope, struct str name);

#endif
