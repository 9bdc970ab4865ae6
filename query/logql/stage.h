/*
 * stage.h - inside a pipeline: compiled stages, and the labels of the record that a runner works on. Private to the files of the
 * pipeline (pipeline.c, runner.c, label_set.c, stage_*.c).
 *
 * (1) A name has a number in each runner. Those that the query names have the numbers of the pipeline, in every runner.
 * (2) What a record has is told by generations: a name's slot counts only when it carries the number of the line at hand, so
 *     nothing is cleared between lines.
 * (3) Values are borrowed: from the line, from the row, from the arena of the line or from a buffer that belongs to the stage
 *     that wrote it. All live until the next line.
 */
#ifndef LOGQL_STAGE_H
#define LOGQL_STAGE_H

#include "base/template/template.h"
#include "query/logql/pattern_text.h"
#include "query/logql/pipeline.h"
#include "query/logql/tmpl_funcs.h"

enum { NAME_ERROR, NAME_ERROR_DETAILS, NAME_PRESERVE_ERROR, NAMES_FIXED };
#define NAME_NONE UINT32_MAX

enum {
    LABELS_MAX = 100000,          /* that a line may have; more is an error of its parser */
    NAME_BYTES_MAX = 8192,        /* of a flattened name; longer ones are not extracted */
    NAMES_BYTES_MAX = 32 << 20,   /* of all names that a runner keeps, and how many; then it forgets them */
    NAMES_MAX = 200000,
    JSON_DEPTH_MAX = 512,         /* objects deeper in each other are skipped */
};

/* --- compiled --------------------------------------------------------------------------------------------- */

struct ip_match; /* line_ip.c */

struct line_alt {
    enum { ALT_ALL, ALT_TEXT, ALT_REGEX, ALT_PATTERN, ALT_IP } kind;
    struct str text;
    const struct regex *re;
    struct str need; /* REGEX: what stands in every match; may be empty */
    struct str fold; /* REGEX: the same, in either case */
    bool within;     /* REGEX: a match in a part of a line is one in the line */
    struct lq_pattern_part *parts;
    uint32_t nparts;
    struct ip_match *ip;
};

struct stage;
struct runner;

/* False: the record is dropped. */
typedef bool stage_fn(struct runner *r, const struct stage *s);

/* A label filter, its names as numbers. */
struct filter {
    enum logql_filter_kind kind;
    struct filter *l, *r;
    uint32_t name;
    enum logql_cmp cmp;
    const struct matcher *matcher;
    double number;
    int64_t duration_ns;
    uint64_t bytes;
    struct ip_match *ip;
};

struct label_fmt {
    uint32_t dst, src; /* src NAME_NONE: the template */
    struct tmpl *template;
};

struct stage {
    enum logql_stage_kind kind;
    stage_fn *fn;
    const struct logql_stage *ast;
    uint32_t i;          /* its place */
    bool labels;         /* it looks at labels, so the record's metadata must be bound before */
    bool takes_fields;   /* it uses the row's fields instead of the line */
    bool negative;       /* line filter */
    bool told;           /* line filter: a hint says all of it, so rows that are `told` have passed */
    struct line_alt *alts;
    uint32_t nalts;
    uint32_t *names;     /* labels of extracts, groups, captures, or of drop and keep */
    uint32_t nnames;
    struct lq_pattern_part *parts; /* PATTERN */
    uint32_t nparts;
    const struct regex *re;
    struct str need; /* of re */
    struct filter *filter;
    const struct filter *early; /* of the stage behind a parser: a string filter on one label, asked while parsing */
    struct tmpl *template;
    struct label_fmt *fmts;
    uint32_t nfmts;
};

struct pipeline {
    struct arena a;
    struct pipeline_opts opts;
    struct stage *stages;
    uint32_t nstages;
    struct regex *colors; /* of decolorize; owned */

    /* Names of the query, by number. */
    struct str *names;
    bool *wanted; /* by number: a stage or the result asks for it */
    uint32_t nnames, names_cap;
    bool wants_all;
    uint32_t nwanted;

    uint32_t *group; /* opts.names as numbers, in order of name */
    uint32_t ngroup;
    uint32_t unwrap; /* number of the label, or NAME_NONE */
    bool *counted;   /* by number: it tells results without an error apart */
    bool others_count; /* so do names that the query does not know */

    enum log_parser fields;
    struct str *field_names;
    uint32_t nfield_names;
    struct log_hint *hints;
    uint32_t nhints;

    bool by_labels;
    struct str *meta_names; /* if so */
    uint32_t nmeta_names;
};

/* The number of a name; used: a stage looks at it. */
uint32_t pipeline_name(struct pipeline *p, struct str name, bool used);
/* Compile the parts of a stage. 0 or ERR_INVALID. */
int stage_line_compile(struct pipeline *p, struct stage *s, struct err *e);
int stage_filter_compile(struct pipeline *p, struct stage *s, struct err *e);
int stage_format_compile(struct pipeline *p, struct stage *s, struct err *e);
int stage_capture_compile(struct pipeline *p, struct stage *s, struct err *e);
int stage_names_compile(struct pipeline *p, struct stage *s, struct err *e);
/* What pipeline_fields and pipeline_hints answer. */
void pipeline_plan(struct pipeline *p);

/* 1.2.3.4, a-b, CIDR; v4 or v6. ERR_INVALID. From a. */
int ip_match_new(struct arena *a, struct str text, struct ip_match **out, struct err *e);
/* Whether any address in text is one of them. */
bool ip_match_in(const struct ip_match *m, struct str text);

/* --- a record ------------------------------------------------------------------------------------------- */

struct name {
    struct str text;
    uint64_t hash;
    uint32_t stream_gen, stream_at; /* place in the stream's labels */
    uint32_t line_gen, at;          /* slot in labs */
    uint32_t extracted;             /* number of NAME_extracted, or NAME_NONE until asked for */
    bool wanted;
};

struct lab {
    uint32_t name;
    enum logql_category category;
    bool live; /* not deleted */
    struct str value;
};

struct json_level;

/* A key as it stands in lines: at its place in an object, what name it makes. */
struct key_node {
    uint32_t parent, next; /* next: of the same hash bucket */
    struct str raw;
    struct str flat;  /* with what is above it, sanitised */
    uint32_t name;    /* NAME_NONE: too long, or empty where that is no name */
    uint8_t skip;     /* nothing below is wanted */
};

struct key_table {
    struct key_node *v;
    uint32_t n, cap;
    uint32_t *buckets, mask;
    uint32_t *trail, ntrail, trail_cap; /* nodes of the line before, in order */
};

struct runner {
    const struct pipeline *p;

    struct arena names_arena; /* texts of names and keys beyond the pipeline's */
    struct name *names;
    uint32_t nnames, names_cap;
    uint32_t *name_slots, name_mask;
    struct key_table json_keys, logfmt_keys, other_keys;
    uint32_t *field_names, nfield_names, field_names_cap; /* of the row before, by place */

    const struct labels *stream;
    uint32_t stream_gen;
    uint32_t *stream_names; /* numbers, by place */
    bool *stream_counts;    /* ... of the result */
    uint32_t stream_names_cap;
    struct hash128 stream_hash; /* sum over those that count */
    struct hash128 *stream_hashes;

    uint32_t gen; /* of the line */
    const struct log_row *row;
    struct str line;
    bool bound;    /* the row's metadata is among labs */
    bool changed;  /* labels are not those of stream and row */
    bool ascii_known, ascii; /* the line */
    struct lab *labs;
    uint32_t nlabs, labs_cap;
    uint32_t nfound;   /* wanted names that parsers gave */
    uint32_t nexpected; /* wanted names that the stream has not */
    struct str error, error_details;
    double value;
    struct arena a; /* of the line */

    struct buf *bufs; /* by stage: lines written by line_format and the like */
    struct tmpl_run run;
    struct tmpl_env env;
    struct logql_label *out;
    uint32_t out_cap;
    struct json_level *json_stack;
};

/* --- label_set.c -------------------------------------------------------------------------------------------- */

uint32_t label_name_intern(struct runner *r, struct str text);
uint32_t label_name_find(const struct runner *r, struct str text); /* NAME_NONE: never met */
void name_forget(struct runner *r);                          /* all but the pipeline's; between lines, when there are too many */

static inline bool stream_has(const struct runner *r, uint32_t name)
{
    return r->names[name].stream_gen == r->stream_gen;
}
/* The slot of a name in this line, dead or alive. */
static inline struct lab *lab_slot(const struct runner *r, uint32_t name)
{
    return r->names[name].line_gen == r->gen ? &r->labs[r->names[name].at] : NULL;
}
/* False: no such label. */
static inline bool lab_get(const struct runner *r, uint32_t name, struct str *value, enum logql_category *category)
{
    const struct lab *l = lab_slot(r, name);

    if (l) {
        *value = l->value;
        *category = l->category;
        return l->live;
    }
    if (!stream_has(r, name))
        return false;
    *value = r->stream->v[r->names[name].stream_at].value;
    *category = LOGQL_STREAM;
    return true;
}
/* The same, and the error labels, which are no labels of the set. */
bool lab_read(const struct runner *r, uint32_t name, struct str *value);
void lab_set(struct runner *r, enum logql_category category, uint32_t name, struct str value);
void lab_del(struct runner *r, uint32_t name);
/* The name under which a parser's label stands: itself, or NAME_extracted. */
uint32_t lab_parsed_name(struct runner *r, uint32_t name);

enum put { PUT_ON, PUT_ENOUGH /* nothing more is wanted */, PUT_REJECT /* the record is dropped */, PUT_FULL /* LABELS_MAX */ };
/* What a parser found: first of its name, wanted, renamed if need be. */
enum put lab_put(struct runner *r, const struct stage *s, uint32_t name, struct str value);
void runner_bind(struct runner *r);
void runner_fail(struct runner *r, const char *what, struct str details);
void runner_fail_err(struct runner *r, const char *what, const struct err *e);

/* A value without bytes that are no UTF-8. */
struct str value_clean(struct runner *r, struct str v);

/* --- keys.c --------------------------------------------------------------------------------------------------- */

void key_table_init(struct key_table *t);
void key_table_release(struct key_table *t);
/* The node of a key below a parent (0: the top). i: how many keys of this line came before. escaped: raw has JSON escapes. */
uint32_t key_node(struct runner *r, struct key_table *t, uint32_t parent, struct str raw, bool escaped, uint32_t i);
/* "a-b" -> "a_b", appended; first: a leading digit gets an underscore. */
void key_sanitise(struct str key, bool first, struct buf *out);

/* --- stages --------------------------------------------------------------------------------------------------- */

stage_fn stage_line, stage_json, stage_json_paths, stage_logfmt, stage_logfmt_keys, stage_regexp, stage_pattern, stage_unpack;
stage_fn stage_filter, stage_line_format, stage_label_format, stage_decolorize, stage_drop, stage_keep, stage_unwrap;
/* Labels out of the row's columns. */
bool stage_take_fields(struct runner *r, const struct stage *s);
bool filter_passes(struct runner *r, const struct filter *f);

#endif
