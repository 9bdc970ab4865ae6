/* entry.c - writing journal entries; entry_read.c reads them. The format stands in entry.h. */
#include "tsdb/entry.h"

#include "tsdb/vals.h"

#include <assert.h>
#include <stdlib.h>

void entry_writer_release(struct entry_writer *w)
{
    for (unsigned i = 0; i < SECTIONS_MAX; i++)
        buf_release(&w->sec[i]);
    hist_dict_release(&w->layouts);
    arena_release(&w->hist_arena);
    free(w->new_pairs);
    free(w->new_names);
    memset(w, 0, sizeof *w);
}

void entry_begin(struct entry_writer *w, uint32_t file)
{
    if (!w->started || w->file != file) {
        w->file = file;
        w->started = true;
        w->gen++;
        w->next_local = w->next_pair = w->next_name = w->next_number = 0;
        w->stretch = 0;
        w->stretch_bytes = w->stretch_samples = 0;
    } else if (w->stretch_bytes >= STRETCH_BYTES && w->stretch_samples >= (uint64_t)w->next_local * STRETCH_SAMPLES) {
        w->stretch = w->next_number;
        w->stretch_bytes = w->stretch_samples = 0;
    }
    for (unsigned i = 0; i < SECTIONS_MAX; i++)
        buf_reset(&w->sec[i]);
    hist_dict_reset(&w->layouts);
    w->hist_next = 0;
    w->first_local = w->next_local;
    w->mark_pair = w->next_pair;
    w->mark_name = w->next_name;
    w->nnew_pairs = w->nnew_names = 0;
    w->ndefs = w->nrows = w->nsamples = 0;
    w->prev_pairs = NULL;
    w->prev_npairs = 0;
    w->id_first = w->id_next = w->id_run = 0;
    w->times = NULL;
    w->times_n = w->times_rows = 0;
    w->times_prev = 0;
    w->st = w->st_prev = 0;
    w->st_run = 0;
    w->any_st = false;
}

static void put_text(struct buf *b, struct str s)
{
    buf_put_varint(b, s.n);
    buf_puts(b, s);
}

static void remember(uint32_t **list, uint32_t *n, uint32_t *cap, uint32_t id)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 256;
        *list = x_realloc(*list, sizeof **list * *cap);
    }
    (*list)[(*n)++] = id;
}

static void define_pair(struct entry_writer *w, uint32_t id)
{
    struct buf *b = &w->sec[SEC_DEFS];
    struct head_pair *p = pair_get(w->symbols, id);
    struct head_name *name = name_get(w->symbols, p->name);

    if (p->file == w->gen) {
        buf_put_varint(b, (uint64_t)p->local + 1);
        return;
    }
    buf_put_varint(b, 0);
    if (name->file == w->gen) {
        buf_put_varint(b, (uint64_t)name->local + 1);
    } else {
        buf_put_varint(b, 0);
        put_text(b, name->text);
        name->file = w->gen;
        name->local = w->next_name++;
        remember(&w->new_names, &w->nnew_names, &w->new_names_cap, p->name);
    }
    put_text(b, pair_value(p));
    p->file = w->gen;
    p->local = w->next_pair++;
    remember(&w->new_pairs, &w->nnew_pairs, &w->new_pairs_cap, id);
}

uint32_t entry_define(struct entry_writer *w, const uint32_t *pairs, uint32_t npairs)
{
    struct buf *b = &w->sec[SEC_DEFS];
    uint32_t bytes = (npairs + 7) / 8;
    size_t mask;

    assert(npairs <= ENTRY_LABELS_MAX);
    buf_put_varint(b, npairs);
    mask = b->n;
    memset(buf_reserve(b, bytes), 0, bytes);
    b->n += bytes;
    for (uint32_t i = 0; i < npairs; i++) {
        if (i < w->prev_npairs && w->prev_pairs[i] == pairs[i])
            b->p[mask + i / 8] |= (char)(1u << i % 8);
        else
            define_pair(w, pairs[i]);
    }
    w->prev_pairs = pairs;
    w->prev_npairs = npairs;
    w->ndefs++;
    return w->next_local++;
}

void entry_reserve(struct entry_writer *w, uint32_t samples)
{
    struct buf *same = &w->sec[SEC_SAME], *values = &w->sec[SEC_VALUES];
    size_t bytes = ((size_t)w->nsamples + samples) / 8 + 1;

    if (bytes > same->n) {
        memset(buf_reserve(same, bytes - same->n), 0, bytes - same->n);
        same->n = bytes;
    }
    buf_reserve(values, (size_t)samples * VALS_MAX + VALS_MAX);
}

static void end_ids(struct entry_writer *w)
{
    if (!w->id_run)
        return;
    buf_put_varint(&w->sec[SEC_IDS], zigzag((int64_t)w->id_first - (int64_t)w->id_next));
    buf_put_varint(&w->sec[SEC_IDS], w->id_run);
    w->id_next = w->id_first + w->id_run;
    w->id_run = 0;
}

static void end_times(struct entry_writer *w)
{
    struct buf *b = &w->sec[SEC_TIMES];
    uint64_t delta = 0;

    if (!w->times_rows)
        return;
    buf_put_varint(b, w->times_rows);
    buf_put_varint(b, w->times_n);
    buf_put_varint(b, zigzag((int64_t)((uint64_t)w->times[0] - (uint64_t)w->times_prev)));
    for (uint32_t i = 1; i < w->times_n; i++) {
        uint64_t d = (uint64_t)w->times[i] - (uint64_t)w->times[i - 1];
        buf_put_varint(b, zigzag((int64_t)(d - delta)));
        delta = d;
    }
    w->times_prev = w->times[0];
    w->times_rows = 0;
}

void entry_row(struct entry_writer *w, uint32_t local, const int64_t *t, uint32_t n)
{
    if (w->id_run && local == w->id_first + w->id_run) {
        w->id_run++;
    } else {
        end_ids(w);
        w->id_first = local;
        w->id_run = 1;
    }
    if (!w->times_rows || n != w->times_n || t[0] != w->times[0] || (n > 1 && memcmp(t, w->times, n * sizeof *t) != 0))
        end_times(w);
    w->times = t; /* the newest: it lives until the next call */
    w->times_n = n;
    w->times_rows++;
    w->nrows++;
}

void entry_value_odd(struct entry_writer *w, double *last, uint8_t *state, double v)
{
    struct buf *b = &w->sec[SEC_VALUES];
    uint8_t *p = (uint8_t *)b->p + b->n;

    b->n += (size_t)(vals_put(p, *last, state, v) - p);
    *last = v;
}

void entry_hist(struct entry_writer *w, const struct histogram *h)
{
    struct buf *b = &w->sec[SEC_HISTS];
    struct hist_layout l = {0};
    uint8_t *p;

    arena_reset(&w->hist_arena);
    buf_put_varint(b, w->nsamples - w->hist_next);
    if (hist_stale(h)) {
        buf_put_varint(b, 0);
    } else {
        hist_layout_of(h, &w->hist_arena, &l);
        buf_put_varint(b, (uint64_t)hist_dict_put(&w->layouts, &l) + 1);
    }
    p = (uint8_t *)buf_reserve(b, hist_put_max(hist_layout_cells(&l)));
    b->n += (size_t)(hist_put(p, &l, h, NULL, arena_alloc(&w->hist_arena, hist_layout_cells(&l) * sizeof(double))) - p);
    w->sec[SEC_SAME].p[w->nsamples / 8] |= (char)(1u << w->nsamples % 8);
    w->hist_next = ++w->nsamples;
}

static void end_st(struct entry_writer *w)
{
    if (!w->st_run)
        return;
    buf_put_varint(&w->sec[SEC_ST], zigzag((int64_t)((uint64_t)w->st - (uint64_t)w->st_prev)));
    buf_put_varint(&w->sec[SEC_ST], w->st_run);
    w->st_prev = w->st;
    w->st_run = 0;
}

void entry_st(struct entry_writer *w, int64_t st)
{
    if (w->st_run && st != w->st)
        end_st(w);
    w->st = st;
    w->st_run++;
    w->any_st |= st != 0;
}

void entry_exemplar(struct entry_writer *w, uint32_t local, const struct tsdb_exemplar *x)
{
    struct buf *b = &w->sec[SEC_EXEMPLARS];

    buf_put_varint(b, local);
    buf_put_varint(b, zigzag(x->t));
    buf_put_u64(b, f64_bits(x->v));
    buf_put_varint(b, x->labels.n);
    for (uint32_t i = 0; i < x->labels.n; i++) {
        put_text(b, x->labels.v[i].name);
        put_text(b, x->labels.v[i].value);
    }
}

void entry_metadata(struct entry_writer *w, const struct tsdb_metadata *m)
{
    struct buf *b = &w->sec[SEC_METADATA];

    buf_putc(b, (char)m->type);
    put_text(b, m->family);
    put_text(b, m->help);
    put_text(b, m->unit);
}

bool entry_empty(const struct entry_writer *w)
{
    return w->nrows == 0 && w->sec[SEC_EXEMPLARS].n == 0 && w->sec[SEC_METADATA].n == 0;
}

void entry_finish(struct entry_writer *w, struct buf *out)
{
    struct buf *hists = &w->sec[SEC_HISTS];
    unsigned nsec = hists->n ? SECTIONS_MAX : SECTIONS;
    size_t total = 80 + SECTIONS_MAX * VARINT_MAX + VARINT_MAX + w->layouts.bytes.n;
    uint8_t layouts[VARINT_MAX];
    size_t nlayouts = (size_t)(put_varint(layouts, w->layouts.bytes.n) - layouts);

    end_ids(w);
    end_times(w);
    end_st(w);
    w->sec[SEC_SAME].n = (w->nsamples + 7) / 8;
    if (!w->any_st)
        buf_reset(&w->sec[SEC_ST]);
    for (unsigned i = 0; i < nsec; i++)
        total += w->sec[i].n;
    buf_reserve(out, total);
    buf_putc(out, ENTRY_VERSION);
    buf_putc(out, (char)((w->any_st ? ENTRY_ST : 0) | (hists->n ? ENTRY_HISTS : 0) | ENTRY_MARKS));
    buf_put_varint(out, w->next_number++);
    buf_put_varint(out, w->first_local);
    buf_put_varint(out, w->ndefs);
    buf_put_varint(out, w->nrows);
    buf_put_varint(out, w->nsamples);
    buf_put_varint(out, w->mark_pair);
    buf_put_varint(out, w->mark_name);
    buf_put_varint(out, w->stretch);
    for (unsigned i = 0; i < nsec; i++)
        buf_put_varint(out, w->sec[i].n + (i == SEC_HISTS ? nlayouts + w->layouts.bytes.n : 0));
    for (unsigned i = 0; i < nsec; i++) {
        if (i == SEC_HISTS) {
            buf_put(out, layouts, nlayouts);
            buf_puts(out, buf_str(&w->layouts.bytes));
        }
        buf_put(out, w->sec[i].p, w->sec[i].n);
    }
    w->stretch_bytes += out->n;
    w->stretch_samples += w->nsamples;
}

void entry_undo(struct entry_writer *w)
{
    for (uint32_t i = 0; i < w->nnew_pairs; i++)
        pair_get(w->symbols, w->new_pairs[i])->file = 0;
    for (uint32_t i = 0; i < w->nnew_names; i++)
        name_get(w->symbols, w->new_names[i])->file = 0;
    w->nnew_pairs = w->nnew_names = 0;
    w->next_number--;
    w->next_local = w->first_local;
    w->next_pair = w->mark_pair;
    w->next_name = w->mark_name;
}
