/* config.h - private to files/: what `logs:` says, once read. Immutable; counted. */
#ifndef COLLECTOR_FILES_CONFIG_H
#define COLLECTOR_FILES_CONFIG_H

#include "collector/files/pipeline.h"
#include "collector/scrape/config_types.h"

struct journal_config {
    bool json; /* the line is the whole record as JSON */
    int64_t max_age_ms;
    struct str path; /* --directory */
    struct labels labels;
    struct str *matches;
    uint32_t nmatches;
};

struct files_job {
    struct str name;
    struct str text; /* everything that was written, to tell whether it changed */
    struct sd_config *sd;
    uint32_t nsd;
    struct relabel relabel;
    struct stages stages;        /* of lines as they are */
    struct stages docker_stages; /* the same behind a docker stage: for containers the Engine told us of */
    struct journal_config *journal; /* or NULL */
    struct syslog_config *syslog;   /* or NULL */
    bool compressed;    /* read .gz and .zst */
    bool tail_from_end; /* begin new files at their end */
    struct str encoding; /* iconv's name, or empty */
};

struct files_config {
    _Atomic int refs;
    struct arena arena;
    struct scrape_configs *sd_owner; /* sd_configs lie in its arena: discovery keeps it as long as it needs them */
    struct files_job *v;
    uint32_t n, cap;
    struct labels external_labels;
    struct str positions_file; /* Promtail's, taken over once; or empty */
    int64_t sync_ms;           /* between two looks for new files */
};

#endif
