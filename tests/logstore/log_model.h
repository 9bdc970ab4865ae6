/*
 * log_model.h - a log store and what should be in it: a plain list of rows, and what makes, pushes and deletes them at random. For
 * test_model.c, which asks whether the two say the same. Behind cmocka.h.
 */
#ifndef TESTS_LOGSTORE_LOG_MODEL_H
#define TESTS_LOGSTORE_LOG_MODEL_H

#include "tests/logstore/house.h"

enum { STREAMS = 12, BATCH_MAX = 60, DAY_SPREAD = 3, MARKS = 4 };
#define MS INT64_C(1000000)
#define MINUTE (60 * 1000 * MS)

struct model_row {
    int64_t t;
    uint32_t stream;
    uint32_t meta; /* see give_meta */
    char *line;
    bool gone;
};

struct world {
    char dir[64];
    struct store *store;
    struct logstore *ls;
    struct model_row *rows;
    uint32_t n, cap;
    char marks[MARKS][32];
    uint64_t rng;
    int64_t base;
    struct arena arena; /* of a step */
    uint32_t deletes;
};

static uint32_t rnd(struct world *w, uint32_t n)
{
    w->rng = w->rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(w->rng >> 33) % n;
}

/* --- what is deleted: {stream="7"} WORD -------------------------------------------------------------------- */

static int compile(void *arg, struct str query, struct arena *a, struct matcher **m, uint32_t *nm, void **filter, struct err *e)
{
    struct str word = query, number;

    (void)arg;
    assert_true(str_cut(&word, ' ', &number));
    *m = arena_array(a, struct matcher, 1);
    *nm = 1;
    *filter = word.n ? arena_dup(a, word).p ? x_strdup(word) : NULL : NULL;
    return matcher_init(*m, MATCH_EQ, STR("stream"), arena_dup(a, number), e);
}

static bool matches(void *filter, const struct labels *stream, int64_t t, struct str line, const struct label *meta, uint32_t nmeta)
{
    (void)stream;
    (void)t;
    (void)meta;
    (void)nmeta;
    return str_find(line, str_of(filter)) >= 0;
}

static const struct log_delete_filter delete_filter = {compile, matches, free, NULL};

/* --- life ---------------------------------------------------------------------------------------------------- */

static void open_world(struct world *w)
{
    struct store_opts so;

    store_opts_default(&so);
    so.dir = w->dir;
    so.journal_file_bytes = 64 * 1024;
    so.upkeep_interval_ms = 3600 * 1000;
    house_open(&so, NULL, &delete_filter, &w->store, &w->ls);
}

static void close_world(struct world *w)
{
    house_close(w->store, w->ls);
}

/* --- rows ----------------------------------------------------------------------------------------------------- */

static struct labels stream_labels(struct arena *a, uint32_t i)
{
    struct labels ls = {arena_array(a, struct label, 3), 3};

    ls.v[0] = (struct label){STR("app"), arena_printf(a, "app%u", i % 3)};
    ls.v[1] = (struct label){STR("level"), STR("x")};
    ls.v[2] = (struct label){STR("stream"), arena_printf(a, "%u", i)};
    if (i % 4) { /* only every fourth has a label that fields may be called too */
        ls.v[1] = ls.v[2];
        ls.n = 2;
    }
    return ls;
}

static uint32_t give_meta(struct arena *a, uint32_t kind, struct label **out)
{
    static const char *const levels[] = {"info", "error", "warn"};
    struct label *v = *out = arena_array(a, struct label, 4);
    uint32_t n = 0;

    if (kind % 4)
        v[n++] = (struct label){STR("detected_level"), str_of(levels[kind % 4 - 1])};
    if (kind % 5 == 0)
        v[n++] = (struct label){STR("empty"), STR("")};
    if (kind % 6 == 1) /* a field of that name is not what `level` means then */
        v[n++] = (struct label){STR("level"), STR("of the metadata")};
    if (kind % 7 == 0)
        v[n++] = (struct label){STR("trace_id"), arena_printf(a, "%08x", kind * 2654435761u)};
    return n;
}

static char *make_line(struct world *w, uint32_t i)
{
    static const char *const words[] = {"needle", "haystack", "GET /api", "error", "timeout", "ünïcode"};
    char line[400];

    switch (rnd(w, 5)) {
    case 0:
        snprintf(line, sizeof line, "{\"level\":\"%s\",\"n\":%u,\"msg\":\"%s %u\"}", rnd(w, 2) ? "error" : "info", rnd(w, 1000), words[rnd(w, 6)], i);
        break;
    case 1:
        snprintf(line, sizeof line, "level=%s n=%u msg=\"%s %u\"", rnd(w, 2) ? "error" : "info", rnd(w, 1000), words[rnd(w, 6)], i);
        break;
    case 2:
        snprintf(line, sizeof line, "%s", rnd(w, 2) ? "" : words[rnd(w, 6)]);
        break;
    default:
        snprintf(line, sizeof line, "10.0.0.%u - [%u] \"%s\" %u %s", rnd(w, 256), i, words[rnd(w, 6)], rnd(w, 600), words[rnd(w, 6)]);
    }
    return x_strdup(str_of(line));
}

static int64_t make_time(struct world *w)
{
    int64_t t = w->base + (int64_t)rnd(w, DAY_SPREAD) * 86400 * 1000 * MS + (int64_t)rnd(w, 40) * MINUTE / 8;

    return rnd(w, 3) ? t + rnd(w, 1000) * 7 : t;
}

static bool is_in(const struct world *w, const struct model_row *x)
{
    for (uint32_t i = 0; i < w->n; i++) {
        const struct model_row *r = &w->rows[i];
        if (r->t == x->t && r->stream == x->stream && !r->gone && strcmp(r->line, x->line) == 0) {
            struct arena a = {0};
            struct label *m, *k;
            uint32_t nm = give_meta(&a, r->meta, &m), nk = give_meta(&a, x->meta, &k);
            bool same = nm == nk;
            for (uint32_t j = 0; same && j < nm; j++)
                same = str_eq(m[j].name, k[j].name) && str_eq(m[j].value, k[j].value);
            arena_release(&a);
            if (same)
                return true;
        }
    }
    return false;
}

static void add(struct world *w, struct model_row x)
{
    if (is_in(w, &x)) {
        free(x.line);
        return;
    }
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 1024;
        w->rows = x_realloc(w->rows, w->cap * sizeof *w->rows);
    }
    w->rows[w->n++] = x;
}

static int by_stream(const void *a, const void *b)
{
    const struct model_row *x = a, *y = b;

    return (x->stream > y->stream) - (x->stream < y->stream);
}

static struct model_row make_row(struct world *w)
{
    if (w->n && rnd(w, 8) == 0) { /* again */
        const struct model_row *r = &w->rows[rnd(w, w->n)];
        if (!r->gone)
            return (struct model_row){r->t, r->stream, r->meta, x_strdup(str_of(r->line)), false};
    }
    struct model_row r = {.t = make_time(w), .stream = rnd(w, STREAMS), .meta = rnd(w, 30)};
    r.line = make_line(w, w->n);
    return r;
}

static void push(struct world *w)
{
    uint32_t n = 1 + rnd(w, BATCH_MAX);
    struct model_row x[BATCH_MAX];
    struct log_in_row rows[BATCH_MAX];
    struct log_in in[BATCH_MAX];
    struct label *meta = arena_array(&w->arena, struct label, BATCH_MAX * 4), *m;
    struct log_mark mark;
    struct log_batch b = {.streams = in, .rows = rows, .nrows = n, .meta = meta};
    uint32_t nmeta = 0, before = w->n;
    struct err e = {0};

    for (uint32_t i = 0; i < n; i++)
        x[i] = make_row(w);
    /* mergesort of glibc: stable, so rows of a stream stay in order */
    qsort(x, n, sizeof x[0], by_stream);
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || x[i].stream != x[i - 1].stream)
            in[b.nstreams++] = (struct log_in){stream_labels(&w->arena, x[i].stream), i, 0};
        in[b.nstreams - 1].n++;
        rows[i] = (struct log_in_row){x[i].t, str_of(x[i].line), nmeta, give_meta(&w->arena, x[i].meta, &m)};
        memcpy(meta + nmeta, m, rows[i].meta_n * sizeof *m);
        nmeta += rows[i].meta_n;
    }
    if (rnd(w, 3) == 0) {
        uint32_t k = rnd(w, MARKS);
        snprintf(w->marks[k], sizeof w->marks[k], "%s", rnd(w, 5) ? arena_printf(&w->arena, "at %u", w->n).p : "");
        mark = (struct log_mark){arena_printf(&w->arena, "file/%u", k), str_of(w->marks[k])};
        b.marks = &mark;
        b.nmarks = 1;
    }
    if (logstore_ingest_wait(w->ls, &b, &e) < 0)
        fail_msg("%s", e.text);
    for (uint32_t i = 0; i < n; i++)
        add(w, x[i]);
    assert_int_equal(b.verdicts[LOG_OK] + b.verdicts[LOG_SAME], n);
    assert_true(b.verdicts[LOG_OK] >= w->n - before); /* a repeat of what is on disk is found later */
}

#endif
