/*
 * intake.c - see intake.h.
 *
 * (1) The metadata of a row stand together: whoever adds one does it before the next row begins.
 * (2) Arrays double by copying, so all of them stay below three times what is in use; bytes_max bounds that.
 */
#include "collector/logs/intake.h"

#include "collector/logs/level.h"

#include <assert.h>
#include <stdlib.h>

enum { ROW_BYTES_GUESS = 160, ROWS_BYTES_MAX = 256 << 20 };

static void *grown(struct arena *a, const void *old, size_t size, uint32_t n, uint32_t cap)
{
    void *p = arena_alloc(a, size * cap);

    if (n)
        memcpy(p, old, size * n);
    return p;
}

void intake_init(struct intake *in, struct arena *a, const struct logs_rules *r, size_t body_bytes, bool mixed)
{
    uint32_t guess = (uint32_t)(MIN(body_bytes, (size_t)64 << 20) / ROW_BYTES_GUESS) + 8;

    memset(in, 0, sizeof *in);
    in->a = a;
    in->rules = r;
    in->mixed = mixed;
    in->bytes_max = a->bytes + ROWS_BYTES_MAX;
    in->streams_cap = 16;
    in->rows_cap = in->meta_cap = guess;
    in->b.streams = grown(a, NULL, sizeof *in->b.streams, 0, in->streams_cap);
    in->levels = grown(a, NULL, sizeof *in->levels, 0, in->streams_cap);
    in->b.rows = grown(a, NULL, sizeof *in->b.rows, 0, in->rows_cap);
    in->b.meta = grown(a, NULL, sizeof *in->b.meta, 0, in->meta_cap);
    if (mixed)
        in->of = grown(a, NULL, sizeof *in->of, 0, in->rows_cap);
}

void intake_release(struct intake *in)
{
    map_release(&in->by_key);
    buf_release(&in->key);
}

int intake_check(const struct intake *in, struct err *e)
{
    if (in->a->bytes <= in->bytes_max)
        return 0;
    return err_set(e, ERR_LIMIT, "the rows of this body take more memory than the limit of %d bytes: send them in smaller bodies",
                   ROWS_BYTES_MAX);
}

uint32_t intake_stream(struct intake *in, const struct stream *st)
{
    uint32_t i = in->b.nstreams++;

    if (i == in->streams_cap) {
        in->streams_cap *= 2;
        in->b.streams = grown(in->a, in->b.streams, sizeof *in->b.streams, i, in->streams_cap);
        in->levels = grown(in->a, in->levels, sizeof *in->levels, i, in->streams_cap);
    }
    in->b.streams[i] = (struct log_in){.labels = st->labels, .first = in->b.nrows};
    in->levels[i] = st->level;
    return i;
}

int intake_find(struct intake *in, struct labels *ls, uint32_t *stream, enum logs_reason *reason, struct err *e)
{
    struct stream st;
    uintptr_t at;

    assert(in->mixed);
    if (stream_of(in->rules, ls, &st, reason, e) < 0)
        return ERR_INVALID;
    buf_reset(&in->key);
    labels_canonical(&in->key, ls);
    at = (uintptr_t)map_get(&in->by_key, buf_str(&in->key));
    if (!at) {
        struct label *v = arena_alloc(in->a, ls->n * sizeof *v);

        memcpy(v, ls->v, ls->n * sizeof *v);
        st.labels.v = v;
        at = (uintptr_t)intake_stream(in, &st) + 1;
        *map_put(&in->by_key, arena_dup(in->a, buf_str(&in->key)), NULL) = (void *)at;
    }
    *stream = (uint32_t)(at - 1);
    return 0;
}

void intake_row(struct intake *in, uint32_t stream, int64_t t_ns, struct str line)
{
    uint32_t i = in->b.nrows++;

    if (i == in->rows_cap) {
        in->rows_cap *= 2;
        in->b.rows = grown(in->a, in->b.rows, sizeof *in->b.rows, i, in->rows_cap);
        if (in->mixed)
            in->of = grown(in->a, in->of, sizeof *in->of, i, in->rows_cap);
    }
    in->b.rows[i] = (struct log_in_row){.t_ns = t_ns, .line = line, .meta_first = in->nmeta};
    if (in->mixed)
        in->of[i] = stream;
    in->stream = stream;
    in->b.streams[stream].n++;
    in->bytes += line.n;
}

static void add_meta(struct intake *in, struct str name, struct str value)
{
    if (in->nmeta == in->meta_cap) {
        in->meta_cap *= 2;
        in->b.meta = grown(in->a, in->b.meta, sizeof *in->b.meta, in->nmeta, in->meta_cap);
    }
    in->b.meta[in->nmeta++] = (struct label){name, value};
    in->b.rows[in->b.nrows - 1].meta_n++;
}

void intake_meta(struct intake *in, struct str name, struct str value)
{
    if (name.n == 0 || value.n == 0)
        return;
    add_meta(in, name_sanitise(in->a, name), meta_value_clean(in->a, value));
    in->bytes += name.n + value.n;
}

/* By the metadata: 1 a level to be added is in *out, 0 there is nothing to say, 2 it is said already. */
static int level_of_meta(struct intake *in, const struct log_in_row *row, struct str *out)
{
    struct str severity = STR_NULL, word;
    struct label *best_meta = NULL;
    int best = INT32_MAX;

    for (uint32_t i = row->meta_first; i < row->meta_first + row->meta_n; i++) {
        struct label *m = &in->b.meta[i];
        int rank = level_field_rank(str_eqz(m->name, "log_level") ? STR("log.level") : m->name); /* its name was sanitised */

        if (str_eq(m->name, STR("detected_level"))) {
            word = level_word(m->value);
            m->value = word.p ? word : m->value;
            return 2;
        }
        if (rank >= 0 && rank < best) {
            best = rank;
            best_meta = m;
        }
        if (str_eq(m->name, STR("severity_number")))
            severity = m->value;
    }
    *out = in->levels[in->stream];
    if (!out->p && best_meta)
        *out = (word = level_word(best_meta->value)).p ? word : best_meta->value;
    if (!out->p && severity.p)
        *out = level_of_severity(severity);
    return out->p != NULL;
}

void intake_row_end(struct intake *in)
{
    struct log_in_row *row = &in->b.rows[in->b.nrows - 1];
    struct str level = in->levels[in->stream];
    int known = level.p != NULL;

    if (!in->rules->levels)
        return;
    if (row->meta_n)
        known = level_of_meta(in, row, &level);
    if (known != 2)
        add_meta(in, STR("detected_level"), known ? meta_value_clean(in->a, level) : level_of_line(row->line));
}

/* Rows by stream, in the order in which they came: counted, then laid out. */
static void sort_rows(struct intake *in)
{
    struct log_in_row *rows = arena_alloc(in->a, sizeof *rows * in->b.nrows);
    uint32_t at = 0;

    for (uint32_t i = 0; i < in->b.nstreams; i++) {
        in->b.streams[i].first = at;
        at += in->b.streams[i].n;
        in->b.streams[i].n = 0;
    }
    for (uint32_t i = 0; i < in->b.nrows; i++) {
        struct log_in *s = &in->b.streams[in->of[i]];

        if (in->each)
            in->place[i] = s->first + s->n;
        rows[s->first + s->n++] = in->b.rows[i];
    }
    in->b.rows = rows;
}

/* Room for what will become of each row: all are fine until somebody says otherwise. */
static void expect_verdicts(struct intake *in)
{
    in->place = arena_array(in->a, uint32_t, in->b.nrows + 1);
    in->b.row_verdicts = arena_zalloc(in->a, in->b.nrows + 1);
    for (uint32_t i = 0; i < in->b.nrows; i++)
        in->place[i] = i;
}

unsigned intake_verdict(const struct intake *in, uint32_t n)
{
    assert(in->each && n < in->b.nrows);
    return in->b.row_verdicts[in->place[n]];
}

struct str intake_sentence(const struct intake *in, uint32_t n)
{
    assert(in->each && n < in->b.nrows);
    for (uint32_t i = 0; i < in->b.nbad; i++)
        if (in->b.bad_rows[i] == in->place[n] && in->b.bad_verdicts[i] == intake_verdict(in, n))
            return str_of(in->b.bad[i].text);
    return STR_NULL;
}

void intake_finish(struct intake *in)
{
    uint32_t kept = 0;

    if (in->each)
        expect_verdicts(in);
    if (in->mixed && in->b.nstreams > 1)
        sort_rows(in);
    else if (in->mixed && in->b.nstreams)
        in->b.streams[0].first = 0;
    for (uint32_t i = 0; i < in->b.nstreams; i++) /* a stream without rows says nothing */
        if (in->b.streams[i].n)
            in->b.streams[kept++] = in->b.streams[i];
    in->b.nstreams = kept;
    intake_release(in);
}

/* --- what was refused ------------------------------------------------------------------------------------- */

void intake_refuse(struct intake *in, enum logs_reason reason, uint64_t n, const char *text)
{
    in->refused[reason] += n;
    for (uint32_t i = 0; i < in->nfaults; i++)
        if (str_eqz(in->faults[i].text, text) || i == INTAKE_FAULTS - 1) {
            in->faults[i].rows += n;
            return;
        }
    in->faults[in->nfaults++] = (struct intake_fault){arena_dup(in->a, str_of(text)), n};
}

uint64_t intake_nrefused(const struct intake *in)
{
    uint64_t n = 0;

    for (int v = 0; v < LOG_VERDICTS; v++)
        if (v != LOG_OK && v != LOG_SAME)
            n += in->b.verdicts[v];
    for (int r = 0; r < LOGS_REASONS; r++)
        n += in->refused[r];
    return n;
}

/* The logstore's sentences: each once, with the rows that it stands for; of a verdict the last one takes those not shown. */
static uint32_t store_faults(const struct intake *in, struct intake_fault out[LOG_VERDICTS + ARRAY_LEN(in->b.bad)])
{
    uint64_t left[LOG_VERDICTS];
    uint32_t n = 0, last[LOG_VERDICTS];

    for (int v = 0; v < LOG_VERDICTS; v++) {
        left[v] = v == LOG_OK || v == LOG_SAME ? 0 : in->b.verdicts[v];
        last[v] = UINT32_MAX;
    }
    for (uint32_t i = 0; i < in->b.nbad; i++) {
        enum log_verdict v = in->b.bad_verdicts[i];
        uint32_t k = 0;

        while (k < n && !str_eqz(out[k].text, in->b.bad[i].text))
            k++;
        if (k == n)
            out[n++] = (struct intake_fault){str_of(in->b.bad[i].text), 0};
        out[k].rows++;
        left[v] -= left[v] > 0;
        last[v] = k;
    }
    for (int v = 0; v < LOG_VERDICTS; v++) {
        if (left[v] && last[v] != UINT32_MAX)
            out[last[v]].rows += left[v];
        else if (left[v])
            out[n++] = (struct intake_fault){str_of(log_verdict_reason((enum log_verdict)v)), left[v]};
    }
    return n;
}

void intake_faults(const struct intake *in, struct buf *out)
{
    struct intake_fault all[INTAKE_FAULTS + LOG_VERDICTS + ARRAY_LEN(in->b.bad)];
    uint32_t n = in->nfaults;

    memcpy(all, in->faults, n * sizeof *all);
    n += store_faults(in, all + n);
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_putz(out, "; ");
        if (n > 1 || all[i].rows > 1)
            buf_printf(out, "%llu errors like: ", (unsigned long long)all[i].rows);
        buf_puts(out, all[i].text);
    }
}
