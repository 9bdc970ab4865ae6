/* names.c - which streams there are, and about how much of them: from directories, without a look into blocks. */
#include "logstore/select.h"

int logstore_series(struct logstore *ls, const struct matcher *m, uint32_t nm, int64_t mint_ns, int64_t maxt_ns, struct arena *a,
                    struct labels **out, uint32_t *n, struct err *e)
{
    struct log_select_opts o = {.matchers = m, .nmatchers = nm, .mint_ns = mint_ns, .maxt_ns = maxt_ns};
    struct log_select *s;
    int rc = select_open(ls, &o, false, &s, e);

    if (rc < 0)
        return rc;
    *n = s->nstreams;
    *out = arena_array(a, struct labels, s->nstreams);
    for (uint32_t i = 0; i < s->nstreams; i++)
        (*out)[i] = labels_dup(a, &s->streams[i].labels);
    log_select_free(s);
    return 0;
}

/* Rows and bytes of the slice's matching streams, as a whole. */
static int whole_slice(const struct log_select *s, const struct select_day *d, uint32_t slice, struct log_volume *out, struct err *e)
{
    const struct log_slice_dir *dir;
    int rc = log_day_slice_dir(d->view, slice, &dir, e);

    (void)s;
    for (uint32_t i = 0; rc == 0 && i < dir->nstreams; i++)
        if (d->number[dir->streams[i].sid] != SELECT_NONE) {
            out->rows += dir->streams[i].nrows;
            out->bytes += dir->streams[i].bytes;
        }
    return rc;
}

struct edge {
    const struct select_day *day;
    int64_t from, to; /* minutes */
    struct log_volume *out;
};

static int add_minute(void *arg, const struct log_day_count *c)
{
    struct edge *x = arg;

    if (c->minute < x->from || c->minute > x->to || x->day->number[c->sid] == SELECT_NONE)
        return 0;
    x->out->rows += c->rows;
    x->out->bytes += c->bytes;
    return 0;
}

static void day_volume(struct log_select *s, const struct select_day *d, struct log_volume *out)
{
    struct edge x = {d, log_minute_of(s->o.mint_ns), log_minute_of(s->o.maxt_ns), out};

    for (uint32_t i = 0; i < log_day_nslices(d->view); i++) {
        const struct log_slice *sl = log_day_slice(d->view, i);
        struct err e = {0};
        int rc;
        if (sl->maxt_ns < s->o.mint_ns || sl->mint_ns > s->o.maxt_ns)
            continue;
        if (sl->mint_ns >= s->o.mint_ns && sl->maxt_ns <= s->o.maxt_ns)
            rc = whole_slice(s, d, i, out, &e);
        else
            rc = log_day_minutes(d->view, i, add_minute, &x, &e);
        if (rc < 0)
            log_select_warn(s, log_day_view_partition(d->view), &e);
    }
}

static void head_volume(const struct log_select *s, const struct select_head *h, struct log_volume *out)
{
    for (const struct log_piece *p = h->part.newest; p; p = p->prev) {
        if (p->maxt < s->o.mint_ns || p->mint > s->o.maxt_ns)
            continue;
        for (uint32_t i = 0; i < p->nrows; i++) {
            const struct log_head_row *r = &p->rows[i];
            if (r->t_ns < s->o.mint_ns || r->t_ns > s->o.maxt_ns || !select_sees(s, h, r) || h->number[r->stream->slot] == SELECT_NONE)
                continue;
            out->rows++;
            out->bytes += r->line_bytes;
        }
    }
}

int logstore_volume(struct logstore *ls, const struct matcher *m, uint32_t nm, int64_t mint_ns, int64_t maxt_ns,
                    struct log_volume *out, struct err *e)
{
    struct log_select_opts o = {.matchers = m, .nmatchers = nm, .mint_ns = mint_ns, .maxt_ns = maxt_ns};
    struct log_select *s;
    int rc = select_open(ls, &o, true, &s, e);

    *out = (struct log_volume){0};
    if (rc < 0)
        return rc;
    out->streams = s->nstreams;
    for (uint32_t i = 0; i < s->nunits; i++)
        out->blocks += s->units[i].day >= 0;
    for (uint32_t i = 0; i < s->ndays; i++)
        day_volume(s, &s->days[i], out);
    for (uint32_t k = 0; k < s->view.n; k++)
        head_volume(s, &s->heads[k], out);
    log_select_free(s);
    return 0;
}
