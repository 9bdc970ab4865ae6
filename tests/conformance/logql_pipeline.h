/* logql_pipeline.h - the LogQL case files about single records. Each returns what a mode of conformance.h does. */
#ifndef CONFORMANCE_LOGQL_PIPELINE_H
#define CONFORMANCE_LOGQL_PIPELINE_H

#include "tests/conformance/conformance.h"

int conf_logql_pipeline(struct str path, struct conf_report *r); /* pipeline.jsonl */
int conf_logql_unwrap(struct str path, struct conf_report *r);   /* unwrap.jsonl */
int conf_logql_pattern(struct str path, struct conf_report *r);  /* pattern.jsonl: cases of kind match */

#endif
