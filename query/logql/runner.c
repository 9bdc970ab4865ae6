/*
 * runner.c - a record through the stages, and what is left of it: line, labels, and a hash by which series are found.
 *
 * (1) The hash of a label set is the sum of the hashes of its labels, so it does not depend on order, and the part that the
 *     stream gives is computed once per stream.
 */
#include "query/logql/stage.h"

#include <assert.h>
#include <stdlib.h>

struct runner *runner_new(const struct pipeline *p)
{
    struct runner *r = x_zalloc(sizeof *r);

    r->p = p;
    for (uint32_t i = 0; i < p->nnames; i++)
        label_name_intern(r, p->names[i]);
    key_table_init(&r->json_keys);
    key_table_init(&r->logfmt_keys);
    key_table_init(&r->other_keys);
    r->bufs = x_zalloc((p->nstages + 1) * sizeof *r->bufs);
    arena_alloc(&r->a, 60 << 10); /* the first piece makes the chunk that a reset keeps */
    arena_reset(&r->a);
    r->run.a = &r->a;
    r->run.user = &r->env;
    r->stream_gen = 1;
    return r;
}

void runner_free(struct runner *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->p->nstages; i++)
        buf_release(&r->bufs[i]);
    free(r->bufs);
    key_table_release(&r->json_keys);
    key_table_release(&r->logfmt_keys);
    key_table_release(&r->other_keys);
    tmpl_env_release(&r->env);
    arena_release(&r->names_arena);
    arena_release(&r->a);
    free(r->names);
    free(r->name_slots);
    free(r->field_names);
    free(r->stream_names);
    free(r->stream_counts);
    free(r->stream_hashes);
    free(r->labs);
    free(r->out);
    free(r->json_stack);
    free(r);
}

/* --- which labels tell results apart ----------------------------------------------------------------------- */

/* Of a result without an error. */
static inline bool counts(const struct pipeline *p, uint32_t name)
{
    return name < p->nnames ? p->counted[name] : p->others_count;
}

static struct hash128 label_hash(uint64_t name, struct str value)
{
    struct hash128 v = hash128(value.p, value.n);

    v.lo = (v.lo ^ name) * UINT64_C(0x9fb21c651e98df25);
    v.hi = (v.hi + name) * UINT64_C(0xd6e8feb86659fd93);
    return (struct hash128){v.lo ^ v.lo >> 29, v.hi ^ v.hi >> 31};
}

static struct hash128 plus(struct hash128 a, struct hash128 b)
{
    return (struct hash128){a.lo + b.lo, a.hi + b.hi};
}

static void room_for_stream(struct runner *r, uint32_t n)
{
    if (n <= r->stream_names_cap)
        return;
    r->stream_names_cap = n;
    r->stream_names = x_realloc(r->stream_names, n * sizeof *r->stream_names);
    r->stream_counts = x_realloc(r->stream_counts, n * sizeof *r->stream_counts);
    r->stream_hashes = x_realloc(r->stream_hashes, n * sizeof *r->stream_hashes);
}

void runner_stream(struct runner *r, const struct labels *stream)
{
    r->stream = stream;
    r->stream_gen++;
    r->stream_hash = (struct hash128){0};
    room_for_stream(r, stream->n);
    for (uint32_t i = 0; i < stream->n; i++) {
        uint32_t name = label_name_intern(r, stream->v[i].name);

        r->names[name].stream_gen = r->stream_gen;
        r->names[name].stream_at = i;
        r->stream_names[i] = name;
        r->stream_counts[i] = counts(r->p, name);
        r->stream_hashes[i] = label_hash(r->names[name].hash, stream->v[i].value);
        if (r->stream_counts[i])
            r->stream_hash = plus(r->stream_hash, r->stream_hashes[i]);
    }
    r->nexpected = 0;
    for (uint32_t i = 0; i < r->p->nnames; i++)
        r->nexpected += r->p->wanted[i] && !stream_has(r, i);
}

/* --- running ------------------------------------------------------------------------------------------------ */

static void begin(struct runner *r, const struct log_row *row)
{
    if (r->names_arena.bytes > NAMES_BYTES_MAX || r->nnames > NAMES_MAX)
        name_forget(r);
    if (++r->gen == 0) { /* after 2^32 lines: what carries an old number must not seem new */
        for (uint32_t i = 0; i < r->nnames; i++)
            r->names[i].line_gen = 0;
        r->gen = 1;
    }
    r->row = row;
    r->line = row->line;
    r->bound = r->changed = r->ascii_known = r->ascii = false;
    r->nlabs = r->nfound = 0;
    r->error = r->error_details = STR_NULL;
    r->value = 0;
    if (r->a.chunks)
        arena_reset(&r->a);
}

bool runner_run(struct runner *r, const struct log_row *row)
{
    const struct pipeline *p = r->p;

    assert(r->stream);
    begin(r, row);
    for (uint32_t i = 0; i < p->nstages; i++) {
        const struct stage *s = &p->stages[i];

        if (s->labels && !r->bound)
            runner_bind(r);
        if (!s->fn(r, s))
            return false;
    }
    if (!r->bound)
        runner_bind(r);
    return true;
}

/* --- results ------------------------------------------------------------------------------------------------ */

struct str runner_line(const struct runner *r)
{
    return r->line;
}

double runner_value(const struct runner *r)
{
    return r->value;
}

struct str runner_error(const struct runner *r)
{
    return r->error;
}

struct str runner_error_details(const struct runner *r)
{
    return r->error_details;
}

bool runner_labels_changed(const struct runner *r)
{
    return r->changed || r->error.n || r->error_details.n;
}

bool runner_label(struct runner *r, struct str name, struct str *value)
{
    uint32_t i = label_name_find(r, name);

    return i != NAME_NONE && lab_read(r, i, value);
}

struct hash128 runner_hash(struct runner *r)
{
    bool all = r->error.n != 0;
    struct hash128 h = r->stream_hash;

    if (all) {
        h = (struct hash128){0};
        for (uint32_t i = 0; i < r->stream->n; i++)
            h = plus(h, r->stream_hashes[i]);
    }
    for (uint32_t i = 0; i < r->nlabs; i++) {
        const struct lab *l = &r->labs[i];
        const struct name *n = &r->names[l->name];

        if (stream_has(r, l->name) && (all || r->stream_counts[n->stream_at])) {
            h.lo -= r->stream_hashes[n->stream_at].lo;
            h.hi -= r->stream_hashes[n->stream_at].hi;
        }
        if (l->live && (all || counts(r->p, l->name)))
            h = plus(h, label_hash(n->hash, l->value));
    }
    if (r->error.n && (all || counts(r->p, NAME_ERROR)))
        h = plus(h, label_hash(r->names[NAME_ERROR].hash, r->error));
    if (r->error_details.n && (all || counts(r->p, NAME_ERROR_DETAILS)))
        h = plus(h, label_hash(r->names[NAME_ERROR_DETAILS].hash, r->error_details));
    return h;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct logql_label *)a)->name, ((const struct logql_label *)b)->name);
}

static void sort(struct logql_label *v, uint32_t n)
{
    if (n > 24) {
        qsort(v, n, sizeof *v, by_name);
        return;
    }
    for (uint32_t i = 1; i < n; i++) {
        struct logql_label l = v[i];
        uint32_t k = i;

        for (; k && str_cmp(v[k - 1].name, l.name) > 0; k--)
            v[k] = v[k - 1];
        v[k] = l;
    }
}

static uint32_t collect(struct runner *r, bool all)
{
    uint32_t n = 0, most = r->stream->n + r->nlabs + 2;

    if (most > r->out_cap) {
        r->out_cap = most * 2;
        r->out = x_realloc(r->out, r->out_cap * sizeof *r->out);
    }
    for (uint32_t i = 0; i < r->stream->n; i++)
        if ((all || r->stream_counts[i]) && !lab_slot(r, r->stream_names[i]))
            r->out[n++] = (struct logql_label){r->stream->v[i].name, r->stream->v[i].value, LOGQL_STREAM};
    for (uint32_t i = 0; i < r->nlabs; i++)
        if (r->labs[i].live && (all || counts(r->p, r->labs[i].name)))
            r->out[n++] = (struct logql_label){r->names[r->labs[i].name].text, r->labs[i].value, r->labs[i].category};
    if (r->error.n && (all || counts(r->p, NAME_ERROR)))
        r->out[n++] = (struct logql_label){r->names[NAME_ERROR].text, r->error, LOGQL_PARSED};
    if (r->error_details.n && (all || counts(r->p, NAME_ERROR_DETAILS)))
        r->out[n++] = (struct logql_label){r->names[NAME_ERROR_DETAILS].text, r->error_details, LOGQL_PARSED};
    return n;
}

uint32_t runner_labels(struct runner *r, const struct logql_label **out)
{
    uint32_t n = collect(r, r->error.n != 0);

    if (r->nlabs || r->error.n || r->error_details.n)
        sort(r->out, n);
    *out = r->out;
    return n;
}
