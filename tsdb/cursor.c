/*
 * cursor.c - the samples of the series found, one series after another: pieces from the days and from the head made
 * one.
 *
 * Oldest storage first, and at equal times the first wins. Pieces that follow each other are laid end to end; only
 * where they overlap, or something is deleted, are they merged sample by sample. Time arrays are kept by where they
 * came from, so the series of one target get one and the same array.
 */
#include "tsdb/head_read.h"
#include "tsdb/select.h"

#include <assert.h>
#include <stdlib.h>

enum { TIMES = 4096, CHECK_SAMPLES = 8192, HIST_SAMPLES = 5 /* of 16 bytes: all but the buckets */ };

struct piece {
    const int64_t *t;
    const double *v;
    const int64_t *st;
    const struct histogram *const *h;
    uint32_t n;
    uint64_t source[2]; /* what t is; 0, 0 when unknown */
};

/* A time array that was returned lately. */
struct times {
    struct hash128 key;
    uint64_t id;
    const int64_t *t;
    int64_t *own; /* t when it is ours */
    uint32_t n, cap;
};

struct tsdb_cursor {
    struct tsdb_select *s;
    uint32_t i, end, current;
    struct head_reader head;
    struct day_reader **days; /* with aggregates: opened when needed */
    struct rollup_cursor *rollup;
    struct piece *pieces;
    uint32_t npieces, cap_pieces;
    struct times times[TIMES];
    uint64_t next_id;
    /* Joined or merged samples. */
    int64_t *t, *st;
    double *v;
    uint32_t cap;
    const struct histogram **h;
    uint32_t h_cap;
    struct arena arena; /* of one series */
    uint64_t unchecked; /* samples since the last check */
    bool past_head;     /* the head is known to have nothing of the series at hand */
    bool looks_back;    /* chunks of the head are read: all samples are wanted, or those before the newest */
    int64_t one_t, one_st;
    double one_v;
    const struct histogram *one_h;
};

int tsdb_cursor_open(struct tsdb_select *s, uint32_t part, struct tsdb_cursor **out, struct err *e)
{
    struct tsdb_cursor *c = x_zalloc(sizeof *c);

    assert(part < s->nparts);
    c->s = s;
    c->looks_back = s->want == TSDB_SAMPLES;
    c->i = (uint32_t)((uint64_t)s->n * part / s->nparts);
    c->end = (uint32_t)((uint64_t)s->n * (part + 1) / s->nparts);
    c->next_id = atomic_fetch_add(&s->cursors, 1) << 40;
    c->days = x_zalloc(sizeof(struct day_reader *) * (s->ndays + 1));
    for (uint32_t d = 0; d < s->ndays && s->want != TSDB_NO_DATA && !s->rollup_used.any; d++) {
        int rc = day_reader_open(s->days[d], s->mint, s->maxt, &c->days[d], e);
        if (rc < 0) {
            tsdb_cursor_close(c);
            return rc;
        }
    }
    if (s->rollup_used.any && s->want != TSDB_NO_DATA)
        c->rollup = rollup_cursor_new(s);
    *out = c;
    return 0;
}

/* What its readers unpacked, for tsdb_select_blocks. Every cursor sees all blocks: the first to close tells how many. */
static void tell_blocks(struct tsdb_cursor *c)
{
    uint64_t read = 0, all = 0, none = 0;

    for (uint32_t d = 0; d < c->s->ndays; d++)
        if (c->days[d])
            day_reader_blocks(c->days[d], &read, &all);
    if (c->rollup)
        rollup_cursor_blocks(c->rollup, &read, &all);
    atomic_fetch_add(&c->s->blocks_read, read);
    atomic_compare_exchange_strong(&c->s->blocks_all, &none, all);
}

void tsdb_cursor_close(struct tsdb_cursor *c)
{
    if (!c)
        return;
    tell_blocks(c);
    for (uint32_t d = 0; d < c->s->ndays; d++)
        if (c->days[d])
            day_reader_close(c->days[d]);
    for (uint32_t i = 0; i < TIMES; i++)
        free(c->times[i].own);
    rollup_cursor_free(c->rollup);
    head_reader_release(&c->head);
    arena_release(&c->arena);
    free(c->days);
    free(c->pieces);
    free(c->t);
    free(c->st);
    free(c->v);
    free(c->h);
    free(c);
}

/* --- pieces ------------------------------------------------------------------------------------- */

static void add_piece(struct tsdb_cursor *c, struct piece p)
{
    if (c->npieces == c->cap_pieces) {
        c->cap_pieces = c->cap_pieces ? c->cap_pieces * 2 : 8;
        c->pieces = x_realloc(c->pieces, sizeof *c->pieces * c->cap_pieces);
    }
    c->pieces[c->npieces++] = p;
}

static int gather_days(struct tsdb_cursor *c, uint32_t i, int64_t mint, int64_t maxt, struct err *e)
{
    struct tsdb_select *s = c->s;
    int32_t first = day_of_ms(mint), last = day_of_ms(maxt);

    if (s->sids_late)
        select_find_sids(s, i);
    for (uint32_t d = 0; d < s->ndays; d++) {
        const struct day_piece *p;
        uint32_t sid = s->sids[(size_t)i * s->ndays + d], n;
        int rc = 0;
        if (sid == DAY_NO_SID || s->day_numbers[d] < first || s->day_numbers[d] > last || !select_has_samples(s, d))
            continue;
        if (!c->days[d])
            rc = day_reader_open(s->days[d], s->mint, s->maxt, &c->days[d], e);
        if (rc == 0)
            rc = day_reader_get(c->days[d], sid, &p, &n, e);
        if (rc < 0)
            return rc;
        for (uint32_t k = 0; k < n; k++)
            if (p[k].n)
                add_piece(c, (struct piece){
                                 p[k].t, p[k].v, p[k].st, p[k].h, p[k].n, {p[k].times_id, p[k].times_id ? d + 1 : 0}});
    }
    return 0;
}

/* All samples of series i in [mint, maxt] as pieces, oldest storage first. */
static int gather(struct tsdb_cursor *c, uint32_t i, int64_t mint, int64_t maxt, struct err *e)
{
    struct tsdb_select *s = c->s;
    struct head_piece h;
    int rc;

    c->npieces = 0;
    rc = gather_days(c, i, mint, maxt, e);
    if (rc < 0)
        return rc;
    if (s->heads[i] && !c->past_head && head_read(&c->head, s->heads[i], s->dropped, UINT32_MAX, mint, maxt, &h))
        add_piece(c, (struct piece){h.t, h.v, h.st, h.h, h.n, {h.column ? (uint64_t)h.column << 32 | h.start : 0, 0}});
    return 0;
}

/* --- times -------------------------------------------------------------------------------------- */

static struct times *times_at(struct tsdb_cursor *c, struct hash128 key)
{
    return &c->times[key.lo % TIMES];
}

/* A fresh entry with room for n times of its own. */
static struct times *times_own(struct tsdb_cursor *c, struct hash128 key, uint32_t n)
{
    struct times *t = times_at(c, key);

    if (n > t->cap) {
        t->cap = MAX(n, t->cap * 2);
        t->own = x_realloc(t->own, sizeof *t->own * t->cap);
    }
    t->key = key;
    t->t = t->own;
    t->n = n;
    t->id = ++c->next_id;
    return t;
}

/* The array for one piece as it lies in its column. */
static void times_of_piece(struct tsdb_cursor *c, const struct piece *p, struct tsdb_samples *out)
{
    struct hash128 key = {(p->source[0] ^ p->source[1] << 48 ^ p->n) * UINT64_C(0x9e3779b97f4a7c15), p->source[0]};
    struct times *t;

    out->t = p->t;
    out->times_id = 0;
    if (!p->source[0])
        return;
    key.lo ^= key.lo >> 32;
    key.hi = key.hi * 31 + p->source[1];
    t = times_at(c, key);
    if (t->id && hash128_eq(t->key, key) && t->n == p->n) {
        if (p->source[1] == 0) /* a column of the head may have moved; its old array stays as good */
            out->t = t->t;
        out->times_id = t->id;
        return;
    }
    t->key = key;
    t->t = p->t;
    t->n = p->n;
    out->times_id = t->id = ++c->next_id;
}

/* The array for pieces that follow each other. */
static void times_of_pieces(struct tsdb_cursor *c, uint32_t n, struct tsdb_samples *out)
{
    uint64_t tuple[3 * 16];
    uint32_t at = 0;
    struct hash128 key;
    struct times *t;
    bool known = c->npieces <= 16;

    for (uint32_t i = 0; known && i < c->npieces; i++) {
        known = c->pieces[i].source[0] != 0;
        tuple[at++] = c->pieces[i].source[0];
        tuple[at++] = c->pieces[i].source[1];
        tuple[at++] = c->pieces[i].n;
    }
    out->times_id = 0;
    out->t = c->t;
    if (known) {
        key = hash128(tuple, sizeof *tuple * at);
        t = times_at(c, key);
        if (t->id && t->own == t->t && hash128_eq(t->key, key) && t->n == n) {
            out->t = t->t;
            out->times_id = t->id;
            return;
        }
        t = times_own(c, key, n);
        out->t = t->t;
        out->times_id = t->id;
    }
    int64_t *to = known ? t->own : c->t;
    for (uint32_t i = 0; i < c->npieces; to += c->pieces[i].n, i++)
        memcpy(to, c->pieces[i].t, sizeof *to * c->pieces[i].n);
}

/* --- joining and merging ------------------------------------------------------------------------ */

static void reserve(struct tsdb_cursor *c, uint32_t n)
{
    if (n <= c->cap)
        return;
    c->cap = MAX(n, MAX(c->cap * 2, 512u));
    c->t = x_realloc(c->t, sizeof *c->t * c->cap);
    c->v = x_realloc(c->v, sizeof *c->v * c->cap);
    c->st = x_realloc(c->st, sizeof *c->st * c->cap);
}

static bool any_st(const struct tsdb_cursor *c)
{
    for (uint32_t i = 0; i < c->npieces; i++)
        if (c->pieces[i].st)
            return true;
    return false;
}

static bool any_hists(const struct tsdb_cursor *c)
{
    for (uint32_t i = 0; i < c->npieces; i++)
        if (c->pieces[i].h)
            return true;
    return false;
}

static void reserve_hists(struct tsdb_cursor *c, uint32_t n)
{
    if (n <= c->h_cap)
        return;
    c->h_cap = MAX(n, MAX(c->h_cap * 2, 64u));
    c->h = x_realloc(c->h, sizeof *c->h * c->h_cap);
}

static void join_hists(struct tsdb_cursor *c, uint32_t n, struct tsdb_samples *out)
{
    reserve_hists(c, n);
    for (uint32_t i = 0, at = 0; i < c->npieces; at += c->pieces[i].n, i++) {
        if (c->pieces[i].h)
            memcpy(c->h + at, c->pieces[i].h, sizeof *c->h * c->pieces[i].n);
        else
            memset(c->h + at, 0, sizeof *c->h * c->pieces[i].n);
        if (at) /* what the piece goes on from may be another one than where it was written */
            hist_hint_set(c->h[at], c->h[at - 1]);
    }
    out->h = c->h;
}

static void join(struct tsdb_cursor *c, uint32_t n, struct tsdb_samples *out)
{
    bool st = any_st(c);

    if (any_hists(c))
        join_hists(c, n, out);
    reserve(c, n);
    for (uint32_t i = 0, at = 0; i < c->npieces; at += c->pieces[i].n, i++) {
        const struct piece *p = &c->pieces[i];
        memcpy(c->v + at, p->v, sizeof *c->v * p->n);
        if (st && p->st)
            memcpy(c->st + at, p->st, sizeof *c->st * p->n);
        else if (st)
            memset(c->st + at, 0, sizeof *c->st * p->n);
    }
    times_of_pieces(c, n, out);
    out->n = n;
    out->v = c->v;
    out->st = st ? c->st : NULL;
}

static bool in_ranges(const int64_t *ranges, uint32_t n, int64_t t)
{
    for (uint32_t i = 0; i < n; i++)
        if (t >= ranges[2 * i] && t <= ranges[2 * i + 1])
            return true;
    return false;
}

/* Sample by sample; of equal times the piece that stands first is taken. */
static void merge(struct tsdb_cursor *c, uint32_t n, const int64_t *ranges, uint32_t nranges, struct tsdb_samples *out)
{
    uint32_t *at = arena_array(&c->arena, uint32_t, c->npieces), k = 0;
    bool st = any_st(c), hists = any_hists(c);

    reserve(c, n);
    if (hists)
        reserve_hists(c, n);
    for (;;) {
        struct piece *from = NULL;
        uint32_t which = 0;
        int64_t t;
        for (uint32_t i = 0; i < c->npieces; i++)
            if (at[i] < c->pieces[i].n && (!from || c->pieces[i].t[at[i]] < from->t[at[which]])) {
                from = &c->pieces[i];
                which = i;
            }
        if (!from)
            break;
        t = from->t[at[which]];
        if (!in_ranges(ranges, nranges, t)) {
            c->t[k] = t;
            c->v[k] = from->v[at[which]];
            if (hists)
                c->h[k] = from->h ? from->h[at[which]] : NULL;
            c->st[k++] = from->st ? from->st[at[which]] : 0;
        }
        for (uint32_t i = 0; i < c->npieces; i++)
            if (at[i] < c->pieces[i].n && c->pieces[i].t[at[i]] == t)
                at[i]++;
    }
    out->n = k;
    out->t = c->t;
    out->v = c->v;
    out->st = st ? c->st : NULL;
    out->h = hists ? c->h : NULL;
    out->times_id = 0;
    for (uint32_t i = 0; hists && i < k; i++) /* neighbours changed */
        hist_hint_set(c->h[i], i ? c->h[i - 1] : NULL);
}

/* The pieces as one. */
static void unite(struct tsdb_cursor *c, const int64_t *ranges, uint32_t nranges, struct tsdb_samples *out)
{
    bool follow = true;
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->npieces; i++) {
        const struct piece *p = &c->pieces[i];
        n += p->n;
        follow &= i == 0 || p[-1].t[p[-1].n - 1] < p->t[0];
    }
    if (nranges || !follow) {
        merge(c, n, ranges, nranges, out);
    } else if (c->npieces == 1) {
        out->n = n;
        out->v = c->pieces[0].v;
        out->st = c->pieces[0].st;
        out->h = c->pieces[0].h;
        times_of_piece(c, &c->pieces[0], out);
    } else {
        join(c, n, out);
    }
}

/* --- next --------------------------------------------------------------------------------------- */

static uint64_t stretch_samples(const struct tsdb_stretches *s)
{
    const struct histogram *const *columns[] = {s->last, s->first, s->sum};
    uint64_t more = s->n;

    for (size_t k = 0; k < ARRAY_LEN(columns); k++)
        for (uint32_t i = 0; columns[k] && i < s->n; i++)
            more += columns[k][i] ? columns[k][i]->npos + columns[k][i]->nneg + HIST_SAMPLES : 0;
    return more;
}

static int check_limits(struct tsdb_cursor *c, const struct tsdb_samples *s, struct err *e)
{
    const struct tsdb_limits *l = &c->s->limits;
    uint64_t more = c->unchecked + s->n + 1;

    /* A histogram is as many samples as it takes the room of. */
    for (uint32_t i = 0; s->h && i < s->n; i++)
        more += s->h[i] ? s->h[i]->npos + s->h[i]->nneg + HIST_SAMPLES : 0;
    if (s->b && s->b->hists)
        more += stretch_samples(s->b->hists);
    c->unchecked = more;
    if (more < CHECK_SAMPLES || !l->check)
        return 0;
    c->unchecked = 0;
    return l->check(l->arg, more, 0, e);
}

/* Of a reset that only the sender knew nothing is told: as from any other store, it is for the reader to find. */
static void settle_hints(const struct tsdb_samples *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct histogram *h = (struct histogram *)(uintptr_t)s->h[i];
        if (h && h->hint == HIST_RESET)
            h->hint = HIST_UNKNOWN;
    }
}

static int deleted_ranges(struct tsdb_cursor *c, uint32_t i, int64_t **ranges, uint32_t *n, struct err *e)
{
    struct labels ls;
    int rc;

    *n = 0;
    if (!c->s->tombstones)
        return 0;
    rc = select_labels(c->s, i, &c->arena, &ls, e);
    if (rc == 0)
        *n = tombstone_ranges(c->s->tombstones, &ls, &c->arena, ranges);
    return rc;
}

int cursor_deleted(struct tsdb_cursor *c, uint32_t i, int64_t **ranges, uint32_t *n, struct err *e)
{
    arena_reset(&c->arena);
    return deleted_ranges(c, i, ranges, n, e);
}

uint64_t cursor_new_id(struct tsdb_cursor *c)
{
    return ++c->next_id;
}

/* 0: *out has samples, or n 0 when there are none. */
int cursor_samples(struct tsdb_cursor *c, uint32_t i, int64_t mint, int64_t maxt, struct tsdb_samples *out, struct err *e)
{
    int64_t *ranges = NULL;
    uint32_t nranges;
    int rc;

    arena_reset(&c->arena);
    out->n = 0;
    out->h = NULL;
    out->b = NULL; /* of the series before, where that came as buckets */
    rc = gather(c, i, mint, maxt, e);
    if (rc < 0 || c->npieces == 0)
        return rc;
    rc = deleted_ranges(c, i, &ranges, &nranges, e);
    if (rc == 0)
        unite(c, ranges, nranges, out);
    return rc;
}

static int read_samples(struct tsdb_cursor *c, uint32_t i, struct tsdb_samples *out, struct err *e)
{
    return cursor_samples(c, i, c->s->mint, c->s->maxt, out, e);
}

/*
 * The newest sample in the window of a series whose newest of all is later: from the head if it has one that is surely later than
 * anything on disk. Else notes what need not be looked for there again.
 */
static bool newest_before(struct tsdb_cursor *c, const struct series *h)
{
    const struct tsdb_select *s = c->s;

    c->looks_back = true;
    if (!head_read_newest(&c->head, h, s->dropped, s->mint, s->maxt, &c->one_t, &c->one_v, &c->one_st, &c->one_h)) {
        c->past_head = true;
        return false;
    }
    return s->ndays == 0 || c->one_t > MAX(s->floor, s->disk_maxt);
}

/* The newest sample, from the series itself when that is surely it. */
static int read_newest(struct tsdb_cursor *c, uint32_t i, struct tsdb_samples *out, struct err *e)
{
    struct tsdb_select *s = c->s;
    const struct series *h = s->heads[i];
    int rc;

    if (h && !s->tombstones && series_last(h, &c->one_t, &c->one_v) && c->one_t > s->floor) {
        if (c->one_t < s->mint) {
            out->n = 0;
            return 0;
        }
        c->one_st = 0;
        uint8_t flags = atomic_load_explicit(&h->flags, memory_order_relaxed) & (SERIES_ST | SERIES_HISTS);
        bool found = c->one_t <= s->maxt && !flags;
        c->one_h = NULL;
        if (!found)
            found = newest_before(c, h);
        if (!found && s->ndays == 0) {
            c->past_head = false;
            out->n = 0;
            return 0;
        }
        if (found) {
            *out = (struct tsdb_samples){.n = 1,
                                         .t = &c->one_t,
                                         .v = &c->one_v,
                                         .st = flags & SERIES_ST ? &c->one_st : NULL,
                                         .h = c->one_h ? &c->one_h : NULL};
            return 0;
        }
    }
    rc = read_samples(c, i, out, e);
    c->past_head = false;
    if (rc == 0 && out->n > 1) {
        out->t += out->n - 1;
        out->v += out->n - 1;
        out->st += out->st ? out->n - 1 : 0;
        out->h += out->h ? out->n - 1 : 0;
        out->n = 1;
    }
    out->times_id = 0;
    return rc;
}

/* Has the series (about) a sample in the window? */
static bool is_there(const struct tsdb_select *s, uint32_t i)
{
    int64_t t;
    double v;

    for (uint32_t d = 0; d < s->ndays; d++)
        if (s->sids[(size_t)i * s->ndays + d] != DAY_NO_SID)
            return true;
    if (!s->heads[i])
        return false;
    if (series_last(s->heads[i], &t, &v) && t >= s->mint && t <= s->maxt)
        return true;
    return head_overlaps(s->heads[i], s->dropped, s->mint, s->maxt);
}

int tsdb_cursor_next(struct tsdb_cursor *c, struct tsdb_samples *out, struct err *e)
{
    struct tsdb_select *s = c->s;

    *out = (struct tsdb_samples){0}; /* the readers below fill in what they have, field by field */
    while (c->i < c->end) {
        uint32_t i = c->i++;
        int rc = 0;
        if (c->i + 8 < c->end && s->heads[c->i + 8]) { /* both lines: the newest sample, and what kind it is */
            __builtin_prefetch(s->heads[c->i + 8]);
            __builtin_prefetch((const char *)s->heads[c->i + 8] + 64);
        }
        if (c->looks_back && c->i + 4 < c->end && s->heads[c->i + 4])
            __builtin_prefetch(atomic_load_explicit(&s->heads[c->i + 4]->chunk, memory_order_relaxed));
        if (c->rollup)
            rc = rollup_cursor_read(c->rollup, c, i, out, e);
        else if (s->want == TSDB_SAMPLES)
            rc = read_samples(c, i, out, e);
        else if (s->want == TSDB_NEWEST)
            rc = read_newest(c, i, out, e);
        if (rc == 0 && out->h)
            settle_hints(out);
        if (rc == 0)
            rc = check_limits(c, out, e);
        if (rc < 0)
            return rc;
        if (s->want == TSDB_NO_DATA ? !is_there(s, i) : out->n == 0 && !(out->b && out->b->hists))
            continue;
        c->current = i;
        out->index = i;
        return 0;
    }
    return 1;
}

int tsdb_cursor_labels(struct tsdb_cursor *c, struct arena *a, struct labels *out, struct err *e)
{
    return select_labels(c->s, c->current, a, out, e);
}

int tsdb_cursor_label(struct tsdb_cursor *c, struct str name, struct str *out, struct err *e)
{
    return select_label(c->s, c->current, name, out, e);
}
