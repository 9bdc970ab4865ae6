/* emit.c - see emit.h. Writes into the caller's buffer and nowhere else. */
#include "collector/host/emit.h"

void emit_family2(struct buf *out, const char *prefix, struct str name, const char *type, const char *help)
{
    buf_putz(out, "# HELP ");
    buf_putz(out, prefix);
    buf_puts(out, name);
    buf_putc(out, ' ');
    buf_putz(out, help);
    buf_putz(out, "\n# TYPE ");
    buf_putz(out, prefix);
    buf_puts(out, name);
    buf_putc(out, ' ');
    buf_putz(out, type);
    buf_putc(out, '\n');
}

void emit_family(struct buf *out, const char *name, const char *type, const char *help)
{
    emit_family2(out, name, STR(""), type, help);
}

static void put_value(struct buf *out, double v)
{
    char *p = buf_reserve(out, NUM_MAX + 2);
    size_t n;

    *p = ' ';
    n = 1 + num_fmt_f(v, p + 1); /* the same number as 'g' would read, and whole ones are quick */
    p[n++] = '\n';
    out->n += n;
}

static void put_escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '\\' || c == '"') {
            buf_putc(out, '\\');
            buf_putc(out, c);
        } else if (c == '\n') {
            buf_putz(out, "\\n");
        } else {
            buf_putc(out, c);
        }
    }
}

struct emit emit_begin(struct buf *out, const char *name)
{
    buf_putz(out, name);
    return (struct emit){out, false};
}

struct emit emit_begin2(struct buf *out, const char *prefix, struct str name)
{
    buf_putz(out, prefix);
    buf_puts(out, name);
    return (struct emit){out, false};
}

void emit_label(struct emit *m, const char *name, struct str value)
{
    buf_putc(m->out, m->labelled ? ',' : '{');
    m->labelled = true;
    buf_putz(m->out, name);
    buf_putz(m->out, "=\"");
    put_escaped(m->out, value);
    buf_putc(m->out, '"');
}

void emit_labels(struct emit *m, struct str written)
{
    if (written.n == 0)
        return;
    buf_putc(m->out, m->labelled ? ',' : '{');
    m->labelled = true;
    buf_puts(m->out, written);
}

void emit_write_label(struct buf *out, const char *name, struct str value)
{
    if (out->n)
        buf_putc(out, ',');
    buf_putz(out, name);
    buf_putz(out, "=\"");
    put_escaped(out, value);
    buf_putc(out, '"');
}

void emit_end(struct emit *m, double v)
{
    if (m->labelled)
        buf_putc(m->out, '}');
    put_value(m->out, v);
}

void emit_gauge(struct buf *out, const char *name, const char *help, double v)
{
    emit_family(out, name, "gauge", help);
    buf_putz(out, name);
    put_value(out, v);
}

void emit_counter(struct buf *out, const char *name, const char *help, double v)
{
    emit_family(out, name, "counter", help);
    buf_putz(out, name);
    put_value(out, v);
}

void emit_1(struct buf *out, const char *name, const char *label, struct str value, double v)
{
    struct emit m = emit_begin(out, name);

    emit_label(&m, label, value);
    emit_end(&m, v);
}

void emit_2(struct buf *out, const char *name, const char *label1, struct str value1, const char *label2,
            struct str value2, double v)
{
    struct emit m = emit_begin(out, name);

    emit_label(&m, label1, value1);
    emit_label(&m, label2, value2);
    emit_end(&m, v);
}
