/*
 * shred.h - lines taken apart into templates and values, and put together again. Private to logstore's block codec.
 *
 * A template is the text that lines have in common, with slots; the values of a slot lie in a column, those of one template side by
 * side, in the order of their rows. So the value of a slot is found by the row's rank among the rows of its template.
 *
 *   shred_cut.c    where the slots of one line are     shred_write.c  templates, columns
 *   shred_json.c   the same of a JSON object           shred_words.c  words that become slots
 *   shred_read.c   lines again                        shred_find.c   lines that contain a text
 *   shred_fields.c labels                             shred_border.c can a text cross from a literal into a value?
 *   shred_match.c  lines that pass a test             shred_some.c   a few lines
 */
#ifndef LOGSTORE_SHRED_H
#define LOGSTORE_SHRED_H

#include "logstore/column.h"

/* What the lines of a template are. On disk. */
enum shred_kind { SHRED_WHOLE, SHRED_TEXT, SHRED_JSON, SHRED_LOGFMT, SHRED_KINDS };

enum { SHRED_SLOTS_MAX = 1024, SHRED_JSON_DEPTH_MAX = 32, SHRED_PATH_MAX = SHRED_JSON_DEPTH_MAX };

/* Sorts of values; also the byte that marks a slot in a template's text, so none of them stands in a literal. */
enum slot_sort { SLOT_STRING = 1, SLOT_NUMBER, SLOT_BOOL, SLOT_ARRAY, SLOT_WORD, SLOT_QUOTED, SLOT_TIME, SLOT_SORTS };

struct cut_slot {
    const char *p;
    uint32_t n;
    enum slot_sort sort;
};
/* The way to a value: keys as written. logfmt: one. */
struct cut_path {
    struct str keys[SHRED_PATH_MAX];
    uint32_t n;
};
struct cut {
    struct cut_slot slots[SHRED_SLOTS_MAX];
    uint32_t n, max;        /* max: no more slots than this */
    struct cut_path *paths; /* of every slot, room for max; NULL: not wanted */
};

/* All of s is one JSON object (and white space). Else false, and c is anything. */
bool cut_json(struct cut *c, struct str s);
/* All of s is two or more key=value. */
bool cut_logfmt(struct cut *c, struct str s);
/* Words with digits, times, quoted strings. False: s holds bytes that a template cannot. */
bool cut_text(struct cut *c, struct str s);

/* Behind the escape that begins with the backslash at p; NULL: JSON has no such. */
const char *cut_skip_escape(const char *p, const char *end);

/* --- writing -------------------------------------------------------------------------------------- */

/* depth 0: lines. False, and nothing written: it does not pay. */
bool shred_write(struct column_out *o, const struct str *v, uint32_t n, const int64_t *ref, unsigned depth);

/* --- reading -------------------------------------------------------------------------------------- */

struct shred_slot {
    uint32_t literal_at, literal_n; /* before it */
    uint32_t column, base;          /* the place of the template's first row */
    enum slot_sort sort;
};
/* A literal, with constants in it, and the slot behind it. */
struct shred_piece {
    const char *literal;
    uint32_t literal_n;
    const struct shred_slot *slot; /* NULL: the last literal */
    const char *base;              /* of its column, once the template is open; else NULL, as cells */
    const uint64_t *cells;
};
struct shred_template {
    enum shred_kind kind;
    uint32_t count, nslots, first /* of its rows in shred.rows */;
    struct shred_slot *slots;   /* nslots + 1: the last one is the literal behind */
    struct shred_piece *pieces; /* NULL: not folded yet */
    uint32_t npieces;
    struct field_names *names; /* shred_fields.c */
    bool opened;               /* its columns are read */
    bool filled;               /* all its lines are put together... */
    bool in_order;             /* ... and lie side by side */
};
/* The first and the last template with a slot of a column. */
struct shred_uses {
    uint32_t first, last;
};
struct shred {
    uint32_t n, ntemplates, ncolumns;
    struct ints row_templates;
    struct shred_template *templates;
    struct run literal_run;
    const char *literals;
    struct text **columns;
    uint32_t *column_n;
    struct shred_uses *uses;
    uint64_t total; /* bytes of all values */
    bool needs_ref;

    /* Decoded with the first line. */
    uint32_t *template_of, *rank_of;
    uint32_t *rows; /* by template; NULL: not sorted yet */

    /* Lines put together so far: in one buffer of `total` bytes, each once. */
    char *out;
    size_t out_n;
    uint64_t *cells;
    bool all;
};

const char *shred_kind_name(enum shred_kind k);
int shred_parse(struct column_in *in, uint32_t n, unsigned depth, struct shred **out);
/* Templates and ranks of rows. */
int shred_rows(struct column_in *in, struct shred *s);
/* Times of the rows whose values lie in column c, in their order; NULL: no memory for them. */
int64_t *shred_column_ref(struct column_in *in, struct shred *s, uint32_t c, const int64_t *ref);
/* Reads column c. ref: of the rows of s, or NULL. */
int shred_column(struct column_in *in, struct shred *s, uint32_t c, const int64_t *ref);
/* Rows by template, and what shred_rows gives. */
int shred_sort_rows(struct column_in *in, struct shred *s);
/* Pieces of a template, without reading columns. */
int shred_fold_template(struct column_in *in, struct shred *s, struct shred_template *t);
/* Makes lines of template t writable: reads its columns. */
int shred_open_template(struct column_in *in, struct shred *s, struct shred_template *t, const int64_t *ref);
/* The line of a row. */
int shred_line(struct column_in *in, struct shred *s, uint32_t row, const int64_t *ref, struct str *out);
/* All lines of a template, and rows sorted. */
int shred_fill(struct column_in *in, struct shred *s, struct shred_template *t, const int64_t *ref);
int shred_read(struct column_in *in, struct text *t, const int64_t *ref);

/* Room for lines put together. */
int shred_open_out(struct column_in *in, struct shred *s);
/* Makes the pieces of a template point to its columns: of those only what is read may be looked at. */
void shred_point_template(struct shred *s, struct shred_template *t);
/* Puts together a line that is not there yet. Its values are read. */
int shred_put_line(struct shred *s, const struct shred_template *t, uint32_t row);

/* --- a few of many (shred_some.c) ---------------------------------------------------------------- */

/* Values that will be needed, by column. */
struct shred_wants {
    struct column_in *in;
    struct shred *s;
    uint64_t **bits;
};
int shred_wants_init(struct shred_wants *w, struct column_in *in, struct shred *s);
/* The column will be needed. */
int shred_wants_column(struct shred_wants *w, uint32_t c);
/* Its value i will. After shred_wants_column. */
static inline void shred_wants_value(struct shred_wants *w, uint32_t c, uint32_t i)
{
    if (w->bits[c] && text_is_costly(w->s->columns[c]))
        w->bits[c][i / 64] |= UINT64_C(1) << i % 64;
}
/* ref: of the rows of s. */
int shred_wants_read(struct shred_wants *w, const int64_t *ref);
/* Puts the lines of n rows together: shred_line has them then. */
int shred_put_lines(struct column_in *in, struct shred *s, const uint32_t *rows, uint32_t n, const int64_t *ref);

/* --- fields (shred_fields.c) ----------------------------------------------------------------------- */

/* A slot that is a label: by the rules of LogQL's json and logfmt. */
struct field_name {
    struct str name;
    const struct str *path;
    uint32_t npath, slot;
};
struct field_names {
    bool sure; /* else nothing is known of the template's lines: they must be parsed */
    uint32_t n;
    struct field_name *v; /* in the order of the line */
};
/* Of JSON and LOGFMT templates; after shred_rows. */
int shred_names(struct column_in *in, struct shred *s, struct shred_template *t);
/*
 * The text of a string between quotes (JSON, logfmt), or as it is, as a label's value. to: room for s.n bytes. Returns its length, or -1
 * where it is not for certain what a parser makes of it.
 */
ptrdiff_t field_value(struct str s, bool quoted, char *to);

#endif
