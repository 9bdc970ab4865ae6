/* cursor_head.c - rows of the head: pieces of a view do not change, so they are read where they lie. */
#include "logstore/cursor.h"

#include <stdlib.h>

static void open_piece(struct log_cursor *c, const struct select_head *h, const struct log_piece *p, uint32_t *n, int64_t mint, int64_t maxt)
{
    const struct log_select *s = c->select;

    if (p->maxt < mint || p->mint > maxt)
        return;
    for (uint32_t i = 0; i < p->nrows; i++) {
        const struct log_head_row *r = &p->rows[i];
        uint32_t number;
        if (r->t_ns < mint || r->t_ns > maxt || !select_sees(s, h, r) || (number = h->number[r->stream->slot]) == SELECT_NONE)
            continue;
        if (*n == c->head_cap) {
            c->head_cap = c->head_cap ? c->head_cap * 2 : 4096;
            c->head_rows = x_realloc(c->head_rows, c->head_cap * sizeof(struct log_head_row *));
        }
        c->head_rows[*n] = r;
        cursor_add_item(c, r->t_ns, number - 1, (*n)++);
    }
}

int cursor_open_head(struct log_cursor *c, const struct select_unit *u, struct err *e)
{
    const struct log_piece **pieces = x_alloc((u->npieces + 1) * sizeof(struct log_piece *));
    const struct log_piece *p = u->newest;
    int64_t mint = select_mint(c->select), maxt = select_maxt(c->select);
    uint32_t n = 0;

    (void)e;
    for (uint32_t i = u->npieces; i-- > 0; p = p->prev)
        pieces[i] = p;
    for (uint32_t i = 0; i < u->npieces; i++)
        open_piece(c, &c->select->heads[u->head], pieces[i], &n, mint, maxt);
    free(pieces);
    return 0;
}
