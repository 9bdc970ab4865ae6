/* value.h - what a template computes with. Values are small and copied; what they point to lies in the arena of the run. */
#ifndef BASE_TEMPLATE_VALUE_H
#define BASE_TEMPLATE_VALUE_H

#include "base/base.h"
#include "base/template/gotime.h"

enum tmpl_type {
    TMPL_T_NIL,
    TMPL_T_BOOL,
    TMPL_T_INT,
    TMPL_T_FLOAT,
    TMPL_T_STRING,
    TMPL_T_LIST,
    TMPL_T_MAP,
    TMPL_T_TIME,
    TMPL_T_DURATION, /* i: ns */
    TMPL_T_OBJECT,
};

struct tmpl_value;
struct tmpl_run;
struct tmpl_class;

struct tmpl_list {
    const struct tmpl_value *v;
    uint32_t n;
};

/* Sorted by key, each once. */
struct tmpl_map {
    const struct tmpl_entry *v;
    uint32_t n;
};

struct tmpl_object {
    const struct tmpl_class *class;
    const void *self;
};

struct tmpl_value {
    enum tmpl_type type;
    union {
        bool b;
        int64_t i;
        double f;
        struct str s;
        struct tmpl_list list;
        struct tmpl_map map;
        struct gotime t;
        struct tmpl_object o;
    };
};

struct tmpl_entry {
    struct str key;
    struct tmpl_value value;
};

/* A sort of object of the engine's user. Any of the functions may be NULL. */
struct tmpl_class {
    const char *name; /* as Go would call the type */
    /* id: what tmpl_scope.field_id said of the name, or UINT32_MAX. False: there is no such field. */
    bool (*field)(struct tmpl_run *r, const void *self, struct str name, uint32_t id, struct tmpl_value *out);
    /* >0: there is no such method. */
    int (*method)(struct tmpl_run *r, const void *self, struct str name, const struct tmpl_value *args, uint32_t n,
                  struct tmpl_value *out);
    /* The plain value that it stands for where it is printed, compared, counted, indexed or ranged over. */
    struct tmpl_value (*plain)(struct tmpl_run *r, const void *self);
};

static inline struct tmpl_value tmpl_str(struct str s)
{
    return (struct tmpl_value){TMPL_T_STRING, {.s = s}};
}
static inline struct tmpl_value tmpl_int(int64_t i)
{
    return (struct tmpl_value){TMPL_T_INT, {.i = i}};
}
static inline struct tmpl_value tmpl_float(double f)
{
    return (struct tmpl_value){TMPL_T_FLOAT, {.f = f}};
}
static inline struct tmpl_value tmpl_bool(bool b)
{
    return (struct tmpl_value){TMPL_T_BOOL, {.b = b}};
}
static inline struct tmpl_value tmpl_time(struct gotime t)
{
    return (struct tmpl_value){TMPL_T_TIME, {.t = t}};
}
static inline struct tmpl_value tmpl_object(const struct tmpl_class *c, const void *self)
{
    return (struct tmpl_value){TMPL_T_OBJECT, {.o = {c, self}}};
}

/* "int", "float64", "map[string]interface {}", ... */
const char *tmpl_type_name(const struct tmpl_value *v);
/* The plain value of an object, else the value itself. */
struct tmpl_value tmpl_plain(struct tmpl_run *r, struct tmpl_value v);
/* What {{if}} asks: neither zero nor empty. */
bool tmpl_truth(struct tmpl_run *r, struct tmpl_value v);
/* As Go's %v. Stops where the output of the run is full: <0. */
int tmpl_print(struct tmpl_run *r, struct buf *out, struct tmpl_value v);
/* Go's Sprintf, Sprint, Sprintln. */
int tmpl_printf(struct tmpl_run *r, struct buf *out, struct str format, const struct tmpl_value *args, uint32_t n);
int tmpl_sprint(struct tmpl_run *r, struct buf *out, const struct tmpl_value *args, uint32_t n, bool line);
/* By key, which must be unique: what a map wants. */
void tmpl_entries_sort(struct tmpl_entry *v, uint32_t n);
/* NULL where the key is not there. */
const struct tmpl_value *tmpl_map_get(struct tmpl_map m, struct str key);

#endif
