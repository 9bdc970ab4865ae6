/*
 * otlp.h - OTLP log records into an intake. Private to collector/logs.
 *
 * The two forms of a body are read by otlp_proto.c and otlp_json.c; both tell what they find to one writer, which knows what
 * becomes of it (otlp_write.c): labels, metadata, lines. An attribute's value comes as a struct any: a tree in the arena
 * only where it is a map or a list.
 */
#ifndef COLLECTOR_LOGS_OTLP_H
#define COLLECTOR_LOGS_OTLP_H

#include "collector/logs/intake.h"

enum any_kind { ANY_NONE, ANY_STRING, ANY_BOOL, ANY_INT, ANY_DOUBLE, ANY_LIST, ANY_MAP, ANY_BYTES };
enum { ANY_DEPTH_MAX = 64 };

struct any_pair;
struct any {
    enum any_kind kind;
    uint32_t n; /* LIST, MAP */
    union {
        struct str s; /* STRING, BYTES (as they are) */
        bool b;
        int64_t i;
        double d;
        struct any *list;
        struct any_pair *map;
    };
};
struct any_pair {
    struct str key;
    struct any value;
};
/* As text: strings as they are, numbers, compact JSON of lists and maps, base64 of bytes. From a, or borrowed. */
struct str any_text(struct arena *a, const struct any *v);

/* A growing list of attributes; kept between records. */
struct any_pairs {
    struct any_pair *v;
    uint32_t n, cap;
};
struct any_pair *any_pairs_add(struct arena *a, struct any_pairs *ps);

struct otlp_record {
    int64_t t_ns, observed_ns; /* 0: not said */
    uint64_t severity, dropped, flags;
    struct str severity_text, event_name;
    struct str trace_id, span_id; /* bytes */
    struct any body;
    struct any_pairs attributes;
};

struct otlp_writer {
    struct intake *in;
    int64_t now_ns;
    /* Of the resource. */
    struct label *labels; /* with room behind them */
    uint32_t nlabels, labels_cap;
    struct label *meta; /* of resource, then of scope: they go with every record */
    uint32_t nmeta, meta_cap, nresource;
    uint32_t stream;
    bool has_stream;
    uint64_t records;
};

void otlp_writer_init(struct otlp_writer *w, struct intake *in);
void otlp_resource(struct otlp_writer *w, const struct any_pairs *attributes);
void otlp_scope(struct otlp_writer *w, struct str name, struct str version, uint64_t dropped, const struct any_pairs *attributes);
int otlp_record(struct otlp_writer *w, const struct otlp_record *rec, struct err *e);

int otlp_read_proto(struct otlp_writer *w, struct str body, struct err *e);
int otlp_read_json(struct otlp_writer *w, struct str body, struct err *e);

#endif
