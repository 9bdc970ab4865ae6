/*
 * pipeline.h - what happens to one record of a log query: the stages, over and over, cheaply.
 *
 * A pipeline is compiled once per query and then only read. A runner belongs to one thread; its memory is used again for each
 * record, and what it hands out is valid until the next record.
 *
 * (1) A label is of the stream, of the record (structured metadata), or parsed; of two of one name the later sort is the one
 *     that counts. A parser that finds a name which stream or record have calls its label NAME_extracted.
 * (2) A row with fields (columns) gives the labels that its line would give.
 * (3) What no stage and no result asks for is not extracted. The labels asked for are the same either way.
 * (4) Any line costs time linear in its length; nesting in a line is walked without recursion.
 */
#ifndef LOGQL_PIPELINE_H
#define LOGQL_PIPELINE_H

#include "logstore/logstore.h"
#include "query/logql/ast.h"

enum logql_category { LOGQL_STREAM, LOGQL_META, LOGQL_PARSED };

/* A label of a result. Values may be empty: an extracted label that is empty is there. */
struct logql_label {
    struct str name, value;
    enum logql_category category;
};

/* What is asked of a pipeline's results. Zeroed: lines with all their labels. */
struct pipeline_opts {
    /* Metric queries: results are told apart by these labels only, or (without) by all others; the unwrapped label never counts.
     * group false: by all labels. Records with an error keep all their labels. */
    bool group, without;
    const struct str *names;
    uint32_t nnames;
    bool no_line; /* nobody reads the line of results (its length counts as read) */
};

struct pipeline;

/* The tree and opts->names must outlive it. ERR_INVALID: a template or an address that is none; "parse error ..." */
int pipeline_new(const struct logql_log *log, const struct pipeline_opts *opts, struct pipeline **out, struct err *e);
/* The same; the sentence is that of a query which cannot be run, and names the stage: "parse error : stage '...' : ...". */
int pipeline_of_query(const struct logql_log *log, const struct pipeline_opts *opts, struct pipeline **out, struct err *e);
void pipeline_free(struct pipeline *p);
/* The rows must come with their line. False: metadata, fields and stream suffice. */
bool pipeline_needs_line(const struct pipeline *p);
/* The rows must come with their metadata, since it filters or ends up in results. */
bool pipeline_needs_meta(const struct pipeline *p);
/* None but these names of it; false: all. */
bool pipeline_meta_names(const struct pipeline *p, const struct str **names, uint32_t *n);
/*
 * What becomes of a row, and the labels that tell its result apart, depend on its stream and on those metadata only; it has no
 * error. *told: that holds only for rows that are told (log_row).
 */
bool pipeline_by_labels(const struct pipeline *p, bool *told);
/*
 * How the store may take lines apart beforehand (select's parser and fields): the parser stage that sees the line as it was
 * stored. *names NULL: all fields. LOG_PARSER_NONE: fields would not be used.
 */
enum log_parser pipeline_fields(const struct pipeline *p, const struct str **names, uint32_t *n);
/* What rows must have, for the select. Borrowed from p. */
uint32_t pipeline_hints(const struct pipeline *p, const struct log_hint **out);

struct runner;

/* One thread's. p must outlive it. */
struct runner *runner_new(const struct pipeline *p);
void runner_free(struct runner *r);
/* The stream of the rows to come, whose labels must live until the next call. Not for every row: names are looked up. */
void runner_stream(struct runner *r, const struct labels *stream);
/* Runs the stages over a row of the stream. False: it is dropped. */
bool runner_run(struct runner *r, const struct log_row *row);

/* --- of the record that was kept last ----------------------------------------------------------------------- */

struct str runner_line(const struct runner *r);
/* The unwrapped value; 0 where there is no unwrap. */
double runner_value(const struct runner *r);
/* __error__ and __error_details__, or empty. They are among the labels, too. */
struct str runner_error(const struct runner *r);
struct str runner_error_details(const struct runner *r);
/*
 * The labels that tell the result apart (opts), sorted by name. The hash is of the set, whatever the order in which it came, and
 * of no category: equal sets have equal hashes, so a table of series is asked before labels are put together.
 */
struct hash128 runner_hash(struct runner *r);
uint32_t runner_labels(struct runner *r, const struct logql_label **out);
/* As the row came: did any stage set, delete or parse a label? False: result labels are stream + metadata. */
bool runner_labels_changed(const struct runner *r);
/* Value of one label of the kept record, whatever opts say; false: it has none of this name. */
bool runner_label(struct runner *r, struct str name, struct str *value);

#endif
