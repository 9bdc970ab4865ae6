/* node_text.c - a node as text, for messages. */
#include "base/template/run.h"

enum { SHOWN_BYTES_MAX = 200 }; /* messages show less */

static void put_list(const struct tmpl_node *n, const char *between, struct buf *out)
{
    for (uint32_t i = 0; i < n->n && out->n < SHOWN_BYTES_MAX; i++) {
        if (i)
            buf_putz(out, between);
        if (n->kind == TMPL_COMMAND && n->list[i]->kind == TMPL_PIPE) {
            buf_putc(out, '(');
            tmpl_node_text(n->list[i], out);
            buf_putc(out, ')');
        } else {
            tmpl_node_text(n->list[i], out);
        }
    }
}

static void put_names(const struct tmpl_node *n, struct buf *out)
{
    for (uint32_t i = 0; i < n->nnames; i++) {
        buf_putc(out, '.');
        buf_puts(out, n->names[i]);
    }
}

static void put_pipe(const struct tmpl_node *n, struct buf *out)
{
    for (uint32_t i = 0; i < n->nnames; i++) {
        buf_putz(out, i ? ", " : "");
        buf_puts(out, n->names[i]);
    }
    if (n->nnames)
        buf_putz(out, n->assigns ? " = " : " := ");
    put_list(n, " | ", out);
}

void tmpl_node_text(const struct tmpl_node *n, struct buf *out)
{
    switch (n->kind) {
    case TMPL_PIPE:
        put_pipe(n, out);
        return;
    case TMPL_COMMAND:
        put_list(n, " ", out);
        return;
    case TMPL_CHAIN:
        buf_putc(out, '(');
        tmpl_node_text(n->list[0], out);
        buf_putc(out, ')');
        put_names(n, out);
        return;
    case TMPL_FIELD:
        put_names(n, out);
        return;
    case TMPL_VARIABLE:
        buf_puts(out, n->text);
        put_names(n, out);
        return;
    case TMPL_DOT:
        buf_putc(out, '.');
        return;
    case TMPL_NIL:
        buf_putz(out, "nil");
        return;
    case TMPL_STRING:
        buf_put_quoted(out, n->text);
        return;
    case TMPL_TEMPLATE:
        buf_putz(out, "{{template ");
        buf_put_quoted(out, n->text);
        buf_putz(out, "}}");
        return;
    default:
        buf_puts(out, n->text);
    }
}
