/*
 * cursor.c - portions of rows, unit by unit.
 *
 * (1) A unit is claimed by one cursor, in the order of its first row. (2) front_ns of a cursor never lies behind a row it has still
 * to give; so the furthest of all fronts and of the first unclaimed unit is a horizon for everybody. (3) A block that cannot be read
 * is left out, with a warning.
 */
#include "logstore/cursor.h"

#include <assert.h>
#include <stdlib.h>

int log_cursor_open(struct log_select *s, struct log_cursor **out, struct err *e)
{
    struct log_cursor *c = x_alloc(sizeof *c);

    (void)e;
    memset(c, 0, offsetof(struct log_cursor, rows));
    c->n = 0;
    c->select = s;
    pthread_mutex_lock(&s->mu);
    c->next = s->cursors;
    s->cursors = c;
    pthread_mutex_unlock(&s->mu);
    *out = c;
    return 0;
}

void log_cursor_free(struct log_cursor *c)
{
    struct log_select *s;

    if (!c)
        return;
    s = c->select;
    pthread_mutex_lock(&s->mu);
    for (struct log_cursor **at = &s->cursors; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    pthread_mutex_unlock(&s->mu);
    log_block_free(c->block);
    free(c->items);
    free(c->spare);
    free(c->head_rows);
    free(c->bits.w);
    free(c);
}

/* --- items ------------------------------------------------------------------------------------------------------ */

void cursor_add_item(struct log_cursor *c, int64_t t_ns, uint32_t stream, uint32_t at)
{
    if (c->nitems == c->items_cap) {
        c->items_cap = c->items_cap ? c->items_cap * 2 : 4096;
        c->items = x_realloc(c->items, c->items_cap * sizeof *c->items);
    }
    c->items[c->nitems++] = (struct cursor_item){t_ns, stream, at};
}

static void merge(const struct cursor_item *from, struct cursor_item *to, uint32_t lo, uint32_t mid, uint32_t hi)
{
    uint32_t l = lo, r = mid;

    if (mid >= hi || from[mid - 1].t_ns <= from[mid].t_ns) {
        memcpy(to + lo, from + lo, (hi - lo) * sizeof *to);
        return;
    }
    for (uint32_t k = lo; k < hi; k++)
        to[k] = l < mid && (r >= hi || from[l].t_ns <= from[r].t_ns) ? from[l++] : from[r++];
}

/* By time, stable. */
static void sort_items(struct log_cursor *c)
{
    struct cursor_item *swap;
    uint32_t i = 1, n = c->nitems;

    while (i < n && c->items[i - 1].t_ns <= c->items[i].t_ns)
        i++;
    if (i >= n)
        return;
    if (c->spare_cap < c->items_cap) {
        c->spare_cap = c->items_cap;
        c->spare = x_realloc(c->spare, c->spare_cap * sizeof *c->spare);
    }
    for (uint32_t width = 1; width < n; width *= 2) {
        for (uint32_t lo = 0; lo < n; lo += 2 * width)
            merge(c->items, c->spare, lo, MIN(lo + width, n), MIN(lo + 2 * width, n));
        swap = c->items;
        c->items = c->spare;
        c->spare = swap;
        i = c->items_cap;
        c->items_cap = c->spare_cap;
        c->spare_cap = i;
    }
}

/* --- deletes ------------------------------------------------------------------------------------------------------ */

static void use_rows(struct log_cursor *c, uint32_t first, uint32_t n)
{
    c->n = n;
    for (uint32_t i = 0; i < n; i++) {
        const struct cursor_item *x = &c->items[first + i];
        c->at[i] = x->at;
        c->rows[i] = (struct log_row){.t_ns = x->t_ns, .stream = x->stream};
    }
}

/* Lines, metadata and fields of the rows in c->rows. */
static int fill(struct log_cursor *c, const struct cursor_want *want, struct err *e)
{
    if (c->in_block)
        return cursor_fill_block(c, want, e);
    for (uint32_t i = 0; i < c->n; i++) {
        const struct log_head_row *r = c->head_rows[c->at[i]];
        if (want->lines || c->select->o.nhints) /* hints are not asked here: who looks again may need it */
            c->rows[i].line = str_n(r->line, r->line_bytes);
        if (want->meta) {
            c->rows[i].meta = r->meta;
            c->rows[i].nmeta = r->nmeta;
        }
    }
    return 0;
}

static bool any_deleted(const struct log_cursor *c)
{
    const struct log_select *s = c->select;

    for (uint32_t i = 0; s->deletes && i < c->nitems; i++)
        if (s->streams[c->items[i].stream].deletes)
            return true;
    return false;
}

/* Takes out what is deleted. What the filter asks of a record costs its line; so only where a delete touches the stream. */
static int drop_deleted(struct log_cursor *c, struct err *e)
{
    static const struct cursor_want all = {.lines = true, .meta = true};
    struct log_select *s = c->select;
    uint32_t kept = 0;
    int rc;

    if (!any_deleted(c))
        return 0;
    for (uint32_t first = 0, n; first < c->nitems; first += n) {
        n = MIN((uint32_t)PORTION_ROWS, c->nitems - first);
        use_rows(c, first, n);
        if ((rc = fill(c, &all, e)) < 0)
            return rc;
        for (uint32_t i = 0; i < n; i++) {
            const struct log_row *r = &c->rows[i];
            const struct select_stream *st = &s->streams[r->stream];
            if (!st->deletes || !log_delete_has(s->deletes, &st->labels, r->t_ns, r->line, r->meta, r->nmeta))
                c->items[kept++] = c->items[first + i];
        }
    }
    c->nitems = kept;
    c->n = 0;
    return 0;
}

/* --- units ---------------------------------------------------------------------------------------------------------- */

/* The next unit that may matter; false: there is none. */
static bool claim(struct log_cursor *c)
{
    struct log_select *s = c->select;
    int64_t mint = select_mint(s), maxt = select_maxt(s);

    c->unit = NULL;
    pthread_mutex_lock(&s->mu);
    while (!c->unit && s->next < s->nunits) {
        const struct select_unit *u = &s->units[s->next++];
        if (u->maxt_ns >= mint && u->mint_ns <= maxt)
            c->unit = u;
    }
    c->busy = c->unit != NULL;
    if (c->busy)
        c->front_ns = s->o.backward ? c->unit->maxt_ns : c->unit->mint_ns;
    pthread_mutex_unlock(&s->mu);
    return c->busy;
}

static void leave(struct log_cursor *c)
{
    pthread_mutex_lock(&c->select->mu);
    c->busy = false;
    pthread_mutex_unlock(&c->select->mu);
    c->unit = NULL;
}

static int open_unit(struct log_cursor *c, struct err *e)
{
    const struct select_unit *u = c->unit;
    struct log_select *s = c->select;
    int rc;

    c->nitems = c->from = c->to = 0;
    c->in_block = u->day >= 0;
    rc = c->in_block ? cursor_open_block(c, u, e) : cursor_open_head(c, u, e);
    if (rc == 0)
        rc = drop_deleted(c, e);
    if (rc == ERR_CORRUPT) {
        log_select_warn(s, c->in_block ? log_day_view_partition(s->days[u->day].view) : NULL, e);
        c->nitems = 0;
        rc = 0;
    }
    if (rc < 0)
        return rc;
    sort_items(c);
    c->to = c->nitems;
    return 0;
}

/* The part of what is left that the bound still lets through. */
static void cut_to_bound(struct log_cursor *c)
{
    int64_t mint = select_mint(c->select), maxt = select_maxt(c->select);

    if (c->select->o.backward) {
        if (c->from < c->to && c->items[c->to - 1].t_ns < mint)
            c->from = c->to;
    } else if (c->from < c->to && c->items[c->from].t_ns > maxt) {
        c->from = c->to;
    }
}

static int give_portion(struct log_cursor *c, struct err *e)
{
    struct log_select *s = c->select;
    int64_t mint = select_mint(s), maxt = select_maxt(s);
    struct cursor_want want = {s->o.lines, s->o.meta, s->o.parser != LOG_PARSER_NONE, s->o.meta_names, s->o.nmeta_names};
    uint32_t n = MIN((uint32_t)PORTION_ROWS, c->to - c->from);
    uint64_t bytes = 0;
    int rc;

    c->n = 0;
    while (c->n < n) {
        const struct cursor_item *x = s->o.backward ? &c->items[c->to - 1 - c->n] : &c->items[c->from + c->n];
        if (s->o.backward ? x->t_ns < mint : x->t_ns > maxt)
            break;
        c->at[c->n] = x->at;
        c->rows[c->n++] = (struct log_row){.t_ns = x->t_ns, .stream = x->stream, .told = c->in_block && s->o.nhints};
    }
    if (s->o.backward)
        c->to -= c->n;
    else
        c->from += c->n;
    if ((rc = fill(c, &want, e)) < 0)
        return rc;
    for (uint32_t i = 0; i < c->n; i++)
        bytes += c->rows[i].line.n;
    atomic_fetch_add_explicit(&s->rows, c->n, memory_order_relaxed);
    if (!c->in_block)
        atomic_fetch_add_explicit(&s->bytes_raw, bytes, memory_order_relaxed);
    return s->o.limits.check ? s->o.limits.check(s->o.limits.arg, c->n, bytes, e) : 0;
}

static void set_front(struct log_cursor *c)
{
    struct log_select *s = c->select;

    pthread_mutex_lock(&s->mu);
    if (c->from == c->to)
        c->busy = false;
    else
        c->front_ns = s->o.backward ? c->items[c->to - 1].t_ns : c->items[c->from].t_ns;
    pthread_mutex_unlock(&s->mu);
}

int log_cursor_next(struct log_cursor *c, struct log_rows *out, struct err *e)
{
    struct log_select *s = c->select;
    int rc;

    for (;;) {
        cut_to_bound(c);
        if (c->from < c->to) {
            rc = give_portion(c, e);
            if (rc == ERR_CORRUPT && c->in_block) {
                log_select_warn(s, log_day_view_partition(s->days[c->unit->day].view), e);
                c->from = c->to = 0;
                continue;
            }
            if (rc < 0)
                return rc;
            set_front(c);
            *out = (struct log_rows){c->rows, c->n, c->unit->order};
            return 0;
        }
        if (c->unit)
            leave(c);
        if (!claim(c))
            return 1;
        if ((rc = open_unit(c, e)) < 0)
            return rc;
        if (s->o.limits.check && (rc = s->o.limits.check(s->o.limits.arg, 0, 0, e)) < 0)
            return rc;
    }
}

int64_t log_cursor_horizon(const struct log_cursor *c)
{
    struct log_select *s = c->select;
    int64_t t = s->o.backward ? INT64_MIN : INT64_MAX;

    pthread_mutex_lock(&s->mu);
    for (const struct log_cursor *x = s->cursors; x; x = x->next)
        if (x->busy)
            t = s->o.backward ? MAX(t, x->front_ns) : MIN(t, x->front_ns);
    if (s->next < s->nunits) {
        const struct select_unit *u = &s->units[s->next];
        t = s->o.backward ? MAX(t, u->maxt_ns) : MIN(t, u->mint_ns);
    }
    pthread_mutex_unlock(&s->mu);
    return t;
}

int log_rows_line(struct log_cursor *c, uint32_t i, struct str *out, struct err *e)
{
    int rc;

    assert(i < c->n);
    if (c->rows[i].line.p || !c->in_block) {
        const struct log_head_row *r = c->in_block ? NULL : c->head_rows[c->at[i]];
        *out = r ? str_n(r->line, r->line_bytes) : c->rows[i].line;
        return 0;
    }
    c->one = (struct log_row){0};
    if ((rc = log_block_lines(c->block, &c->at[i], 1, &c->one, e)) == 0)
        *out = c->one.line;
    return rc;
}
