/*
 * rule_file.h - a file of rule groups: from YAML to groups, with every fault in it.
 *
 * Keys that are not known are faults. An empty file has no groups. A second YAML document is not read.
 */
#ifndef ALERTING_RULE_FILE_H
#define ALERTING_RULE_FILE_H

#include "base/base.h"

struct node; /* query/promql */

struct rule {
    struct str record, alert; /* one of them is empty */
    struct str expr;
    struct node *tree;        /* of expr */
    int64_t for_ms, keep_firing_for_ms;
    struct labels labels, annotations; /* sorted; of alerts: templates */
    int line;
};

struct rule_group {
    struct str name;
    int64_t interval_ms; /* 0: the server's */
    bool has_query_offset;
    int64_t query_offset_ms;
    int64_t limit; /* 0: none */
    struct labels labels;
    struct rule *rules;
    uint32_t nrules;
};

struct rule_file {
    struct str path;
    struct rule_group *groups;
    uint32_t ngroups;
    bool more_documents; /* were there, and were not read: worth a warning */
    struct str *faults;  /* "FILE: LINE:COL: ..." each; with any, the file is not to be used */
    uint32_t nfaults;
};

/*
 * Everything from a. legacy_names: metric and label names as before UTF-8. ERR_INVALID when there is a fault: e has the
 * first, out->faults all. Release in both cases.
 */
int rule_file_parse(struct arena *a, struct str path, struct str text, bool legacy_names, struct rule_file *out,
                    struct err *e);
/* Frees what the arena does not own: compiled expressions. */
void rule_file_release(struct rule_file *f);

#endif
