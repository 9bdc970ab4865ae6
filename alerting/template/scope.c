/* scope.c - see scope.h. Read only: whoever runs such templates has a scope of its own. */
#include "alerting/template/scope.h"

static const struct tmpl_func functions[] = {
    {"args", "a*", NULL}, {"externalURL", "", NULL}, {"first", "a", NULL},
    {"graphLink", "s", NULL}, {"humanize", "a", NULL}, {"humanize1024", "a", NULL},
    {"humanizeDuration", "a", NULL}, {"humanizePercentage", "a", NULL}, {"humanizeTimestamp", "a", NULL},
    {"label", "sa", NULL}, {"match", "ss", NULL}, {"now", "", NULL},
    {"parseDuration", "s", NULL}, {"pathPrefix", "", NULL}, {"query", "s", NULL},
    {"reReplaceAll", "sss", NULL}, {"safeHtml", "s", NULL}, {"sortByLabel", "sa", NULL},
    {"stripDomain", "s", NULL}, {"stripPort", "s", NULL}, {"strvalue", "a", NULL},
    {"tableLink", "s", NULL}, {"title", "s", NULL}, {"toDuration", "a", NULL},
    {"toLower", "s", NULL}, {"toTime", "a", NULL}, {"toUpper", "s", NULL},
    {"urlQueryEscape", "s", NULL}, {"value", "a", NULL},
};

static const char *const variables[] = {"$labels", "$externalLabels", "$externalURL", "$value", NULL};

const struct tmpl_scope tmpl_scope_alert = {.functions = functions, .nfunctions = ARRAY_LEN(functions), .variables = variables};
