/*
 * late.c - rows of the head that may be in partitions already: who reads them asks first, and the answer stays with the row.
 *
 * (1) An answer is only given where the view of the day tells: a row that is in no view of a day is fresh. A partition that does
 * not contain the row's gen cannot have it from there; what it has came before, and stays. So "fresh" holds until the gen is
 * flushed, and "dead" for ever.
 */
#include "logstore/late.h"

#include <stdlib.h>

static int by_slot_and_time(const void *a, const void *b)
{
    const struct log_late *x = a, *y = b;

    if (x->sid != y->sid)
        return x->sid < y->sid ? -1 : 1;
    return (x->row->t_ns > y->row->t_ns) - (x->row->t_ns < y->row->t_ns);
}

/* Rows with a sid stand first, by sid and time. Returns how many. */
static uint32_t order(struct log_late *v, uint32_t n)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (v[i].sid == LOG_NO_SID) /* the day does not know the stream */
            atomic_store_explicit(&v[i].row->state, ROW_FRESH, memory_order_relaxed);
        else
            v[k++] = v[i];
    }
    if (k)
        qsort(v, k, sizeof *v, by_slot_and_time);
    return k;
}

int log_late_settle(struct log_day_view *day, struct log_late *v, uint32_t n, struct err *e)
{
    struct log_suspect *s;
    bool *same;
    int rc;

    n = order(v, n);
    if (n == 0)
        return 0;
    s = x_alloc(n * sizeof *s);
    same = x_zalloc(n);
    for (uint32_t i = 0; i < n; i++)
        s[i] = (struct log_suspect){v[i].sid, v[i].row->t_ns, str_n(v[i].row->line, v[i].row->line_bytes), v[i].row->meta, v[i].row->nmeta};
    rc = log_day_find_same(day, s, n, same, e);
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        atomic_store_explicit(&v[i].row->state, same[i] ? ROW_DEAD : ROW_FRESH, memory_order_relaxed);
    free(s);
    free(same);
    return rc;
}
