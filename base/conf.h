/*
 * conf.h - YAML as a tree whose every node knows its line, for configuration files.
 *
 * Reading goes key by key; what nobody asked for is an error (conf_finish), named with its line. Anchors, aliases and
 * merge keys are resolved. Depth, size and alias expansion are bounded.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include "base/err.h"
#include "base/mem.h"

enum conf_kind { CONF_NULL, CONF_SCALAR, CONF_LIST, CONF_MAP };

struct conf {
    enum conf_kind kind;
    int line, col;
    struct str file;       /* for messages */
    struct str text;       /* CONF_SCALAR: as written, quotes undone */
    bool quoted;           /* CONF_SCALAR: was quoted or a block scalar, so never null/bool/number */
    struct conf **items;   /* CONF_LIST: items; CONF_MAP: values */
    struct str *keys;      /* CONF_MAP */
    int *key_lines;
    bool *used;            /* CONF_MAP: asked for */
    uint32_t n;
};

/* One document. All memory from a. An empty document is CONF_NULL. JSON is YAML too. ERR_INVALID: "FILE:LINE: ...". */
int conf_parse(struct arena *a, struct str file, struct str text, struct conf **out, struct err *e);
int conf_load(struct arena *a, const char *path, struct conf **out, struct err *e);

/* The value of key (and marks it used), or NULL when absent or null. c may be NULL. */
struct conf *conf_get(struct conf *c, const char *key);
/* Typed readers: leave *out as it is when the key is absent; ERR_INVALID with file:line when the type is wrong. */
int conf_str(struct conf *c, const char *key, struct str *out, struct err *e);
int conf_bool(struct conf *c, const char *key, bool *out, struct err *e);
int conf_i64(struct conf *c, const char *key, int64_t *out, struct err *e);
int conf_f64(struct conf *c, const char *key, double *out, struct err *e);
int conf_duration(struct conf *c, const char *key, int64_t *ms, struct err *e);
int conf_size(struct conf *c, const char *key, uint64_t *bytes, struct err *e);
/* A list of scalars; a single scalar is not taken for a list. From a. */
int conf_strs(struct arena *a, struct conf *c, const char *key, struct str **out, uint32_t *n, struct err *e);
int conf_want(const struct conf *c, enum conf_kind kind, const char *what, struct err *e);
/* ERR_INVALID naming the first key that was never asked for: `FILE:LINE: unknown key "KEY" in WHAT`. Not recursive. */
int conf_finish(const struct conf *c, const char *what, struct err *e);
/* err_set with "FILE:LINE: " before. */
int conf_err(const struct conf *c, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
