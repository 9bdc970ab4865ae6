/*
 * fuzz_hist.c - native histograms from any bytes: as they come on the wire, as samples of head and journal, as columns of
 * a day. What is accepted on the wire and may be stored must come back equal from both. The first byte chooses.
 */
#include "collector/push/wire_hist.h"
#include "tsdb/codec_hist.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sample(struct arena *a, const struct histogram *h)
{
    struct hist_layout l = {0};
    struct histogram *back;
    double *cells;
    uint8_t *bytes, *end;

    if (!hist_stale(h))
        hist_layout_of(h, a, &l);
    cells = arena_alloc(a, hist_layout_cells(&l) * sizeof *cells);
    bytes = x_alloc(hist_put_max(hist_layout_cells(&l)));
    end = hist_put(bytes, &l, h, NULL, cells);
    assert((size_t)(end - bytes) <= hist_put_max(hist_layout_cells(&l)));
    assert(hist_get(bytes, end, &l, NULL, cells, a, &back) == end);
    assert(hist_stale(h) ? hist_stale(back) : hist_equal(h, back));
    free(bytes);
}

static void check_column(struct arena *a, const struct histogram *h)
{
    const struct histogram *in[3] = {h, NULL, h}, *out[3];
    double v[3] = {0, 1.5, 0}, got[3];
    struct column_out o = {0};
    struct hist_dict d = {0};
    struct hist_layout *l;
    uint32_t nl;

    hists_encode(&o, &d, v, in, 3);
    memset(buf_reserve(&o.bits, CODEC_SLACK), 0, CODEC_SLACK);
    if (hist_dict_read(buf_str(&d.bytes), a, &l, &nl) < 0)
        abort();
    struct column_in c = {(uint8_t *)o.codes.p, (uint8_t *)o.codes.p + o.codes.n, (uint8_t *)o.nums.p,
                          (uint8_t *)o.nums.p + o.nums.n, (uint8_t *)o.bits.p, (uint8_t *)o.bits.p + o.bits.n};
    if (hists_decode(&c, 3, 3, l, nl, a, got, out) < 0)
        abort();
    assert(got[1] == 1.5 && !out[1]);
    assert(hist_stale(h) ? hist_stale(out[2]) : hist_equal(h, out[0]) && hist_equal(h, out[2]));
    column_out_release(&o);
    hist_dict_release(&d);
}

static void fuzz_wire(struct str s, enum wire_hist_kind kind)
{
    struct arena a = {0};
    struct wire_hist x;
    struct err e = {0};
    int rc = wire_hist_read(s, kind, &a, &x, &e);

    if (rc != 0)
        assert(e.text[0]);
    else if (hist_check(&x.h, &e) == 0) {
        check_sample(&a, &x.h);
        check_column(&a, &x.h);
        (void)hist_mark(&x.h);
    }
    arena_release(&a);
}

/* A layout, then samples that follow each other. */
static void fuzz_samples(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.p, *end = p + s.n;
    struct arena a = {0};
    struct hist_layout l;
    struct histogram *h;

    if (hist_layout_get(&p, end, &a, &l)) {
        int64_t *last = arena_array(&a, int64_t, hist_layout_cells(&l));
        double *cells = arena_alloc(&a, hist_layout_cells(&l) * sizeof *cells);
        while ((p = hist_get(p, end, &l, last, cells, &a, &h))) {
            for (uint32_t i = 1; i < h->npos; i++)
                assert(h->pos[i - 1].i < h->pos[i].i);
            for (uint32_t i = 1; i < h->nneg; i++)
                assert(h->neg[i - 1].i < h->neg[i].i);
        }
    }
    arena_release(&a);
}

/* Lengths of layouts, codes and numbers in three bytes each; n in one. */
static void fuzz_column(struct str s)
{
    struct arena a = {0};
    struct hist_layout *l;
    uint32_t nl, n;
    struct str part[3];

    if (s.n < 4)
        return;
    n = (uint8_t)s.p[3];
    size_t lengths[3] = {(uint8_t)s.p[0] * 4u, (uint8_t)s.p[1] * 4u, (uint8_t)s.p[2] * 8u};
    s = str_from(s, 4);
    for (int i = 0; i < 3; i++) {
        part[i] = str_head(s, MIN(lengths[i], s.n));
        s = str_from(s, part[i].n);
    }
    if (n && hist_dict_read(part[0], &a, &l, &nl) == 0) {
        struct buf bits = {0};
        buf_puts(&bits, s);
        memset(buf_reserve(&bits, CODEC_SLACK), 0, CODEC_SLACK);
        struct column_in c = {(const uint8_t *)part[1].p, (const uint8_t *)part[1].p + part[1].n, (const uint8_t *)part[2].p,
                              (const uint8_t *)part[2].p + part[2].n, (uint8_t *)bits.p, (uint8_t *)bits.p + bits.n},
                         again = c, third = c;
        double v[256];
        const struct histogram *h[256];
        if (hists_skip(&c, n, l, nl) == 0) {
            (void)hists_decode(&again, n, n, l, nl, &a, v, h);
            (void)hists_decode(&third, n, n / 2, l, nl, &a, v, h);
        }
        buf_release(&bits);
    }
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s;
    char *own;

    if (size < 1)
        return 0;
    own = x_alloc(size); /* of its own size, so that reading past the end is seen */
    memcpy(own, data + 1, size - 1);
    s = str_n(own, size - 1);
    switch (data[0] % 4) {
    case 0:
        fuzz_wire(s, WIRE_HIST_REMOTE_WRITE);
        break;
    case 1:
        fuzz_wire(s, WIRE_HIST_EXPOSITION);
        break;
    case 2:
        fuzz_samples(s);
        break;
    default:
        fuzz_column(s);
        break;
    }
    free(own);
    return 0;
}
