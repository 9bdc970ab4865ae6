/*
 * select_rollup.c - which days of a select are read from aggregates, and from which.
 *
 * (1) Beside samples, aggregates are only used where they were made of the very bytes that the view of the samples sees, and
 *     in a resolution that divides the one asked for.
 * (2) Where the samples are gone, aggregates take their place among the days, whatever their resolution; exact tells
 *     whether that still is what was asked.
 * (3) What cannot be read is done without: damaged aggregates are put aside by the store and made again.
 */
#include "tsdb/select.h"

#include "tsdb/day_file.h"

#include <stdlib.h>

bool select_has_samples(const struct tsdb_select *s, uint32_t d)
{
    return !s->rollups || s->rollups[d].view != s->days[d];
}

/* Opens aggregates for use. view stays NULL where they are no good. */
static void open_view(struct tsdb_select *s, struct partition *p, struct rollup_in *in)
{
    struct err why = {0};
    int rc;

    *in = (struct rollup_in){0};
    if (!partition_user(p))
        return;
    rc = day_view_open(p, &in->view, &why);
    if (rc == 0)
        rc = rollup_about(in->view, &in->about, &why);
    in->p = p;
    if (rc == 0)
        return;
    if (rc == ERR_CORRUPT)
        partition_damaged(p, &why);
    select_warn(s, &why);
    day_view_close(in->view);
    in->view = NULL;
}

static struct partition *partition_of(const struct partition_list *l, int32_t day)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (partition_day(l->v[i]) == day)
            return l->v[i];
    return NULL;
}

/* The best for a day: samples is its view of them, or NULL. */
static void choose(struct tsdb_select *s, int32_t day, struct day_view *samples, struct rollup_in *in)
{
    /* Coarse ones first where they do: there are fewer of them. */
    bool coarse_first = s->rollup_ms == ROLLUP_1H;

    *in = (struct rollup_in){0};
    if (samples && s->rollup == TSDB_ROLLUP_THIN)
        return;
    for (unsigned k = 0; k < 2 && !in->view; k++) {
        unsigned which = coarse_first ? 1 - k : k;
        int64_t every = which ? ROLLUP_1H : ROLLUP_5M;
        struct partition *p = partition_of(&s->rollup_partitions[which], day);

        if (!p || (samples && every > MAX(s->rollup_ms, (int64_t)ROLLUP_5M)))
            continue;
        open_view(s, p, in);
        if (in->view && samples && in->about.made_of != txn_content(samples->txn)) {
            day_view_close(in->view);
            in->view = NULL;
        }
    }
}

/* Are the samples of a day still to be had? Its file may have none in the window, and then no view is open of it. */
static bool has_file(const struct tsdb_select *s, int32_t day)
{
    struct partition *p = partition_of(&s->partitions, day);

    return p && !partition_is_damaged(p);
}

/* Is there a day with aggregates and without samples? */
static bool any_missing(const struct tsdb_select *s)
{
    for (unsigned k = 0; k < 2; k++)
        for (uint32_t i = 0; i < s->rollup_partitions[k].n; i++)
            if (!has_file(s, partition_day(s->rollup_partitions[k].v[i])))
                return true;
    return false;
}

/* The first day after `after` that has anything; INT32_MAX when there is none. */
static int32_t next_day(const struct tsdb_select *s, int32_t after)
{
    int32_t best = INT32_MAX;

    for (uint32_t d = 0; d < s->ndays; d++)
        if (s->day_numbers[d] > after)
            best = MIN(best, s->day_numbers[d]);
    for (unsigned k = 0; k < 2; k++)
        for (uint32_t i = 0; i < s->rollup_partitions[k].n; i++)
            if (partition_day(s->rollup_partitions[k].v[i]) > after)
                best = MIN(best, partition_day(s->rollup_partitions[k].v[i]));
    return best;
}

static void use(struct tsdb_select *s, const struct rollup_in *in, int32_t day, bool missing)
{
    struct tsdb_rollup_used *u = &s->rollup_used;

    u->any = true;
    u->coarsest_ms = MAX(u->coarsest_ms, in->about.every);
    u->exact &= in->about.every <= s->rollup_ms;
    u->reads |= in->about.every == ROLLUP_1H ? TSDB_READS_1H : TSDB_READS_5M;
    if (missing)
        u->missing_until = day_start_ms(day + 1) - 1;
}

void select_open_rollups(struct tsdb_select *s, int64_t maxt)
{
    uint32_t cap, n = 0, d = 0;

    store_partitions(s->db->store, ROLLUP_5M_SIGNAL, s->mint, maxt, &s->rollup_partitions[0]);
    store_partitions(s->db->store, ROLLUP_1H_SIGNAL, s->mint, maxt, &s->rollup_partitions[1]);
    cap = s->ndays + s->rollup_partitions[0].n + s->rollup_partitions[1].n;
    if (cap == s->ndays || (s->rollup_ms == 0 && !any_missing(s)))
        return;
    struct day_view **days = x_zalloc(cap * sizeof(struct day_view *));
    int32_t *numbers = arena_array(&s->arena, int32_t, cap);
    struct rollup_in *in = x_zalloc(cap * sizeof *in);
    s->rollup_used.exact = s->rollup_ms != 0;
    for (int32_t day = next_day(s, INT32_MIN); day != INT32_MAX; day = next_day(s, day)) {
        bool has = d < s->ndays && s->day_numbers[d] == day;
        struct day_view *samples = has ? s->days[d++] : NULL;

        if (!samples && has_file(s, day))
            continue;
        choose(s, day, samples, &in[n]);
        if (in[n].view)
            use(s, &in[n], day, !samples);
        else if (samples)
            s->rollup_used.reads |= TSDB_READS_SAMPLES;
        if (!samples && !in[n].view)
            continue;
        days[n] = samples ? samples : in[n].view;
        numbers[n++] = day;
    }
    free(s->days);
    s->days = days;
    s->day_numbers = numbers;
    s->ndays = n;
    s->rollups = in;
}

void select_close_rollups(struct tsdb_select *s)
{
    for (uint32_t d = 0; s->rollups && d < s->ndays; d++)
        if (s->rollups[d].view && select_has_samples(s, d))
            day_view_close(s->rollups[d].view);
    free(s->rollups);
    s->rollups = NULL;
    partition_list_release(&s->rollup_partitions[0]);
    partition_list_release(&s->rollup_partitions[1]);
}
