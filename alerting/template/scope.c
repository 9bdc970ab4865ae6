/* scope.c - the names that templates of alerting rules may use. */
#include "alerting/template/template.h"

static const char *const functions[] = {"args",
                                        "externalURL",
                                        "first",
                                        "graphLink",
                                        "humanize",
                                        "humanize1024",
                                        "humanizeDuration",
                                        "humanizePercentage",
                                        "humanizeTimestamp",
                                        "label",
                                        "match",
                                        "now",
                                        "parseDuration",
                                        "pathPrefix",
                                        "query",
                                        "reReplaceAll",
                                        "safeHtml",
                                        "sortByLabel",
                                        "stripDomain",
                                        "stripPort",
                                        "strvalue",
                                        "tableLink",
                                        "title",
                                        "toDuration",
                                        "toLower",
                                        "toTime",
                                        "toUpper",
                                        "urlQueryEscape",
                                        "value",
                                        NULL};

static const char *const variables[] = {"$labels", "$externalLabels", "$externalURL", "$value", NULL};

const struct tmpl_scope tmpl_scope_alert = {functions, variables};
