/*
 * fuzz_expo.c - scrape bodies. The first byte chooses the format. Whatever is accepted must hold together: labels
 * sorted and unique, no staleness marker among the values, and the text of a series gives the same labels when it is
 * read again.
 */
#include "collector/push/wire_hist.h"
#include "collector/scrape/nhcb.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_series(struct expo *x, const struct expo_entry *en, struct arena *a)
{
    struct labels ls, again;

    assert(!is_stale(en->v));
    if (expo_labels(x, en, a, &ls, NULL) < 0)
        return;
    assert(ls.n > 0 && labels_get(&ls, STR(LABEL_NAME)).n > 0);
    for (uint32_t i = 0; i < ls.n; i++) {
        assert(ls.v[i].value.n > 0 && utf8_valid(ls.v[i].value) && utf8_valid(ls.v[i].name));
        assert(i == 0 || str_cmp(ls.v[i - 1].name, ls.v[i].name) < 0);
    }
    assert(expo_labels(x, en, a, &again, NULL) == 0 && labels_eq(&ls, &again));
}

static void check_converted(struct nhcb *n)
{
    struct expo_entry en;
    struct histogram h;

    while (nhcb_next(n, &en, &h)) {
        double sum = 0;
        for (uint32_t i = 0; i < h.npos; i++) {
            assert(h.pos[i].n > 0 && (uint32_t)h.pos[i].i <= h.nbounds);
            sum += h.pos[i].n;
        }
        assert(h.npos == 0 || sum > 0);
        for (uint32_t i = 1; i < h.nbounds; i++)
            assert(h.bounds[i - 1] < h.bounds[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct expo_opts o = {0};
    struct nhcb n = {.a = &a};
    struct expo_entry en;
    struct err e = {0};
    struct expo *x;
    char *body;

    if (size < 1)
        return 0;
    body = x_alloc(size); /* of its own size, so that reading past the end is seen */
    memcpy(body, data + 1, size - 1);
    o.start_timestamps = data[0] & 4;
    x = expo_new(&a, (enum expo_format)(data[0] % 3), str_n(body, size - 1), &o);
    while (expo_next(x, &en, &e) == 0 && en.kind != EXPO_END) {
        if (en.kind == EXPO_TYPE) {
            check_converted(&n);
            nhcb_family(&n, &en);
        }
        if (en.kind == EXPO_SERIES)
            check_series(x, &en, &a);
        if (en.kind == EXPO_SERIES && en.histogram.n) {
            struct wire_hist wire;
            struct err why = {0};
            assert(wire_hist_read(en.histogram, WIRE_HIST_EXPOSITION, &a, &wire, &why) == 0 || why.text[0]);
        } else if (en.kind == EXPO_SERIES) {
            (void)nhcb_take(&n, x, &en, NULL);
        } else
            assert(utf8_valid(en.text) || en.kind == EXPO_COMMENT || en.kind == EXPO_UNIT);
    }
    check_converted(&n);
    assert(e.code == 0 || e.code == ERR_INVALID || e.code == ERR_LIMIT);
    free(body);
    arena_release(&a);
    return 0;
}
