/*
 * template.h - Go's text/template language: alerts, notifications and the formats of log lines are written in it.
 *
 * tmpl_parse makes a tree in which functions, variables and fields are found already: what names a function or a variable is
 * checked there, so a text that parses can only fail on its data. tmpl_run runs it.
 *
 * (1) A parsed template never changes: any number of threads run it, each with a struct tmpl_run of its own.
 * (2) A run ends: output, memory, depth and steps are bounded, whatever the text says.
 */
#ifndef BASE_TEMPLATE_TEMPLATE_H
#define BASE_TEMPLATE_TEMPLATE_H

#include "base/template/value.h"

/* --- the tree ------------------------------------------------------------------------------------------- */

enum tmpl_kind {
    TMPL_LIST,     /* list: what follows each other */
    TMPL_TEXT,     /* text */
    TMPL_ACTION,   /* list[0]: the pipeline whose value is written */
    TMPL_IF,       /* list[0] the pipeline, list[1] the body, list[2] what else says, or NULL */
    TMPL_RANGE,    /* the same */
    TMPL_WITH,     /* the same */
    TMPL_TEMPLATE, /* text: a name; list[0] the pipeline, or NULL */
    TMPL_BREAK,
    TMPL_CONTINUE,
    TMPL_PIPE,     /* list: commands; names: variables that it declares, or (assigns) sets; slots: where they stand */
    TMPL_COMMAND,  /* list: a function and its arguments, or one value */
    TMPL_CHAIN,    /* list[0] and the fields of it, in names */
    TMPL_FIELD,    /* names: .a.b of dot */
    TMPL_VARIABLE, /* text: with its $; names: fields of it; slots[0] */
    TMPL_IDENT,    /* text: a function */
    TMPL_DOT,
    TMPL_NIL,
    TMPL_BOOL,   /* text, value */
    TMPL_NUMBER, /* text, as written; value */
    TMPL_STRING, /* text, unquoted; value */
};

struct tmpl_func;

struct tmpl_node {
    enum tmpl_kind kind;
    uint32_t pos, line;
    struct str text;
    struct tmpl_node **list;
    uint32_t n;
    struct str *names;
    uint32_t nnames;
    uint32_t *slots;
    uint32_t field_id;          /* of names[0] (tmpl_scope.field_id) */
    bool assigns;
    bool is_complex;            /* NUMBER: 1i */
    const struct tmpl_func *fn; /* IDENT */
    struct tmpl_value value;    /* BOOL, STRING; NUMBER: as it is where nothing says what it should be */
};

/* {{define}} and {{block}}. */
struct tmpl_define {
    struct str name;
    struct tmpl_node *body;
    uint32_t nslots;
};

struct tmpl {
    struct str name, text;
    struct tmpl_node *body;
    uint32_t nslots; /* variables that are known at once, $ included, at most */
    struct tmpl_define *defines;
    uint32_t ndefines;
};

/* --- functions ------------------------------------------------------------------------------------------ */

struct tmpl_run;

/* *out is nil before. Failing: err_set(r->e, ERR_EXEC, ...) with the sentence alone ("bad index"); place and name are added. */
typedef int tmpl_fn(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out);

/*
 * sig: what it takes, a letter an argument: s string, i integer, f float, b bool, t time, a anything; * behind a letter: any number
 * of such, at the end. Checked before the call.
 */
struct tmpl_func {
    const char *name;
    const char *sig;
    tmpl_fn *fn; /* NULL: known while reading; a run that meets it fails */
};

/* What a text may name, besides the functions that every template has. Lives as long as the templates. */
struct tmpl_scope {
    const struct tmpl_func *functions;
    uint32_t nfunctions;
    const char *const *variables; /* with their $, up to a NULL; only outside of {{define}} */
    /* A number for the first name of a field of dot or $, handed to the class of dot when it is looked up. May be NULL. */
    uint32_t (*field_id)(void *arg, struct str name);
    void *arg;
};

/* name: in messages. Everything from a, the text is borrowed. ERR_INVALID: "template: NAME:LINE: ...". */
int tmpl_parse(struct arena *a, const char *name, struct str text, const struct tmpl_scope *scope, struct tmpl *out,
               struct err *e);

/* --- running -------------------------------------------------------------------------------------------- */

enum { TMPL_OUT_MAX = 16 << 20, TMPL_MEMORY_MAX = 64 << 20, TMPL_STEPS_MAX = 10 * 1000 * 1000, TMPL_DEPTH_MAX = 600 };

/*
 * One run at a time. Set before: a, where every value made in the run lies and which the caller resets between runs; user, for
 * functions. Limits of 0 are those above. The rest is the run's.
 */
struct tmpl_run {
    struct arena *a;
    void *user;
    size_t out_max, memory_max;
    uint64_t steps_max;

    struct buf *out;
    struct err *e;
    const struct tmpl *t;
    struct tmpl_value *slots; /* of the template that runs */
    struct str executing;
    size_t out_start, memory_start;
    uint64_t steps;
    unsigned depth;
    int loop; /* what a {{break}} or {{continue}} asked for */
};

/*
 * Appends what t says of dot to out. vars: as the scope names them, in their order. ERR_EXEC, as Go words it:
 * template: NAME:LINE:COLUMN: executing "NAME" at <...>: ...; what was written before the fault stands in out.
 */
int tmpl_run(const struct tmpl *t, struct tmpl_run *r, struct tmpl_value dot, const struct tmpl_value *vars, uint32_t nvars,
             struct buf *out, struct err *e);

/* For functions: memory of the run, ERR_EXEC beyond its limit (NULL). */
void *tmpl_alloc(struct tmpl_run *r, size_t n);
/* Counts work that a function does in a loop; ERR_EXEC when there was too much. */
int tmpl_steps(struct tmpl_run *r, uint64_t n);

#endif
