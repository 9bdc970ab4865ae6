/*
 * pipeline.h - private to files/: pipeline stages. An entry goes in at the top; none, one or several come out below.
 *
 *   pipeline.c      reading the list of stages, running it      stage_parse.c   json logfmt regex pattern
 *   stage_label.c   labels, metadata, output, pack              stage_filter.c  match drop limit sampling
 *   stage_line.c    truncate decolorize                         stage_record.c  docker cri multiline
 *   stage_template.c  template replace                          stage_metrics.c metrics
 *   stage_time.c    timestamp
 *
 * (1) Stages are a flat list: those inside of `match` stand behind it, and it knows where they end. So a record that was held
 *     back goes on by the number of its next stage.
 * (2) Stages are configuration: immutable, shared. What changes lives in a pipeline (one a job) or in the slots of one
 *     followed file (struct pipe_state).
 */
#ifndef COLLECTOR_FILES_PIPELINE_H
#define COLLECTOR_FILES_PIPELINE_H

#include "collector/files/files.h"

struct extracted {
    struct str name, value;
};

/* A record on its way. Texts live as long as the arena of the run. */
struct entry {
    struct str line;
    int64_t t_ns;
    bool t_told;      /* by a stage, not by the clock */
    bool truncated;
    bool labels_own;  /* labels is no longer what the run began with */
    uint64_t start;   /* where it begins in its file */
    struct label *labels;
    uint32_t nlabels, labels_cap; /* in no order; an empty value: none */
    struct label *meta;
    uint32_t nmeta, meta_cap;
    struct extracted *x; /* what stages found out; the last of a name counts */
    uint32_t nx, x_cap;
};

struct pipe_run;
struct stage;

enum stage_result { STAGE_NEXT, STAGE_STOP /* dropped, or held for later */, STAGE_SKIP /* behind the stages inside */ };

struct stage_reader {
    struct arena *a;
    const struct files_selectors *selectors;
    struct stage *v; /* malloc'ed */
    uint32_t n, cap, depth;
};

struct stage_type {
    const char *name;
    int (*read)(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e);
    enum stage_result (*run)(struct pipe_run *run, const struct stage *s, struct entry *en);
    void (*release)(struct stage *s); /* regexes of its configuration; may be NULL */
    void *(*job_new)(const struct stage *s); /* state per job, or NULL */
    void (*job_free)(void *state);
};

struct stage {
    const struct stage_type *type;
    void *config;
    struct conf *body;  /* of match: the stages inside, until they are read */
    uint32_t number;
    uint32_t behind;    /* of match: the first stage behind those inside */
};

struct stages {
    struct stage *v; /* of the configuration's arena */
    uint32_t n;
    bool docker_first; /* every line is a record of Docker's json-file log: v[0] was put there by us */
};

/* Reads a list of stages (c may be NULL: none). docker: put a docker stage first. */
int stages_read(struct arena *a, struct conf *c, const struct files_selectors *selectors, bool docker, struct stages *out, struct err *e);
void stages_release(struct stages *s);

/* --- running -------------------------------------------------------------------------------------------- */

/* One a job. */
struct pipeline {
    const struct stages *stages;
    void **job_state; /* by stage */
    uint64_t dropped;
    int64_t wait_until_ms; /* a limit that does not drop: read no more before (clock_mono_ms) */
};
void pipeline_init(struct pipeline *p, const struct stages *s);
void pipeline_release(struct pipeline *p);
/* Text of the metrics stages. */
void pipeline_metrics(struct pipeline *p, struct buf *out);

/* An unfinished record: the first part, and what followed. Owns its texts. */
struct held {
    struct held *next; /* in order of beginning */
    struct arena arena;
    struct buf line;
    struct entry entry; /* all but line; from arena */
    uint64_t key;
    uint32_t nparts;
    int64_t since_ms; /* clock_mono_ms of its last part */
};

/* One a followed file. */
struct pipe_state {
    struct held **held; /* by stage */
    uint32_t nheld;     /* of all stages */
    uint32_t nstages;
    int64_t last_told_ns;
    bool told_any;
};
void pipe_state_init(struct pipe_state *ps, const struct pipeline *p);
void pipe_state_release(struct pipe_state *ps); /* what is held is forgotten: it will be read again */
/* The place in the file where the earliest unfinished record begins, or read_to. */
uint64_t pipe_state_safe(const struct pipe_state *ps, uint64_t read_to);

struct pipe_run {
    struct pipeline *p;
    struct pipe_state *state;
    struct arena *a; /* of the batch */
    const struct labels *base, *err_base; /* err_base: of a container's stderr, or NULL */
    int64_t now_ns, now_ms; /* wall, monotonic */
    uint32_t line_max;
    void (*emit)(void *arg, struct entry *en);
    void *arg;
};

/* A new entry with the base labels. */
struct entry entry_new(const struct pipe_run *run, struct str line, int64_t t_ns, uint64_t start);
void pipeline_run(struct pipe_run *run, struct entry *en);
/* From stage i on: for records that were held. */
void pipeline_run_from(struct pipe_run *run, uint32_t i, struct entry *en);
/* Ends held records that have waited long enough (all: every one). *due_ms: when to come again, INT64_MAX: nothing is held. */
void pipeline_flush(struct pipe_run *run, bool all, int64_t *due_ms);

/* --- for stages -------------------------------------------------------------------------------------------- */

/* What was found out under a name, or a label of the run. */
bool entry_get(const struct pipe_run *run, const struct entry *en, struct str name, struct str *out);
void entry_set(struct pipe_run *run, struct entry *en, struct str name, struct str value);
void entry_unset(struct entry *en, struct str name);
/* source empty: the line. */
bool entry_input(const struct pipe_run *run, const struct entry *en, struct str source, struct str *out);
void entry_set_label(struct pipe_run *run, struct entry *en, struct str name, struct str value); /* empty: takes it off */
void entry_own_labels(struct pipe_run *run, struct entry *en);
void entry_set_meta(struct pipe_run *run, struct entry *en, struct str name, struct str value);
uint64_t entry_labels_hash(const struct entry *en);

/* Held records of a stage. */
struct held *held_find(struct pipe_run *run, const struct stage *s, uint64_t key);
struct held *held_begin(struct pipe_run *run, const struct stage *s, uint64_t key, const struct entry *en);
/* Its line into the run's arena, cut at the limit; the record is taken from the list and freed. */
void held_end(struct pipe_run *run, const struct stage *s, struct held *h, struct entry *out);
void held_append(struct pipe_run *run, struct held *h, struct str more);

/* A map of names to sources; a null source is the name itself. */
int stage_read_pairs(struct arena *a, struct conf *m, bool label_names, struct label **out, uint32_t *n, struct err *e);
int stage_read_regex(struct conf *c, const char *key, struct regex **out, struct err *e);

extern const struct stage_type pipe_docker, pipe_cri, pipe_multiline, pipe_json, pipe_logfmt, pipe_regex, pipe_pattern,
    pipe_labels, pipe_static_labels, pipe_label_drop, pipe_label_keep, pipe_metadata, pipe_metadata_drop, pipe_tenant,
    pipe_output, pipe_pack, pipe_match, pipe_drop, pipe_limit, pipe_sampling, pipe_replace, pipe_template, pipe_truncate,
    pipe_decolorize, pipe_luhn, pipe_timestamp, pipe_metrics;
int64_t multiline_wait_ms(const struct stage *s);
void stage_metrics_text(void *state, struct buf *out);

#endif
