/* emit.h - one sample after another as exposition text. Private to collector/host. */
#ifndef COLLECTOR_HOST_EMIT_H
#define COLLECTOR_HOST_EMIT_H

#include "base/base.h"

/* The lines before the samples of a metric. */
void emit_family(struct buf *out, const char *name, const char *type, const char *help);
/* The same with a name in two parts: node_memory_ and Active_bytes. */
void emit_family2(struct buf *out, const char *prefix, struct str name, const char *type, const char *help);

/* A sample without labels, and its family: most of the host is like that. */
void emit_gauge(struct buf *out, const char *name, const char *help, double v);
void emit_counter(struct buf *out, const char *name, const char *help, double v);

/* A sample in steps: name, labels, value. */
struct emit {
    struct buf *out;
    bool labelled;
};
struct emit emit_begin(struct buf *out, const char *name);
struct emit emit_begin2(struct buf *out, const char *prefix, struct str name);
void emit_label(struct emit *m, const char *name, struct str value);
/* Labels written before, without braces: a="1",b="2". Empty is fine. */
void emit_labels(struct emit *m, struct str written);
void emit_end(struct emit *m, double v);
/* The text of a label as emit_labels takes it, with a comma before when out is not empty. */
void emit_write_label(struct buf *out, const char *name, struct str value);

/* A sample with one or two labels. */
void emit_1(struct buf *out, const char *name, const char *label, struct str value, double v);
void emit_2(struct buf *out, const char *name, const char *label1, struct str value1, const char *label2,
            struct str value2, double v);

#endif
