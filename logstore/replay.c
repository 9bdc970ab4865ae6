/*
 * replay.c - the journal's tail back into the head, when the process starts; nobody else is there yet.
 *
 * (1) A row that its day's partition contains already is not stored again. (2) A stream is named by its number in the file; a
 * number that was never given (its entry is damaged) costs the rows that use it, and this is said. (3) Only days that the journal
 * has rows of are opened, and the newest.
 */
#include "logstore/day.h"
#include "logstore/db.h"

#include <stdlib.h>

/* The day that was asked for last, and what its partition contains. */
struct skipper {
    uint64_t contained;
    int64_t from_ns, to_ns;
};

struct log_replay {
    struct log_unpacker *unpacker;
    struct arena arena;
    struct skipper skipper;

    /* Of the file. */
    uint32_t file;
    struct log_stream **locals; /* NULL: defined in an entry that is lost */
    uint32_t nlocals, cap;

    uint64_t entries, skipped, same, lost;
};

static void reset_locals(struct log_replay *r)
{
    for (uint32_t i = 0; i < r->nlocals; i++)
        log_stream_unref(r->locals[i]);
    r->nlocals = 0;
}

static void begin(struct logstore *ls)
{
    if (ls->replay)
        return;
    ls->replay = x_zalloc(sizeof *ls->replay);
    ls->replay->unpacker = log_unpacker_new();
    ls->replay->skipper = (struct skipper){.from_ns = 1};
    ls->head.streams.disk_maxt = log_newest_on_disk(ls);
}

void log_replay_file(void *self, uint32_t file)
{
    struct logstore *ls = self;

    begin(ls);
    ls->replay->file = file;
    reset_locals(ls->replay);
}

/* --- what is on disk already -------------------------------------------------------------------------- */

static uint64_t day_contained(struct logstore *ls, int32_t day)
{
    struct partition_list l;
    uint64_t seq = 0;

    store_partitions(ls->store, LOGSTORE_SIGNAL, day_start_ms(day), day_start_ms(day), &l);
    if (l.n)
        seq = partition_contained(l.v[0]);
    partition_list_release(&l);
    return seq;
}

static bool contained(struct logstore *ls, uint64_t seq, int64_t t_ns)
{
    struct skipper *k = &ls->replay->skipper;

    if (t_ns < k->from_ns || t_ns > k->to_ns) {
        int32_t day = day_of_ns(t_ns);
        k->from_ns = ns_of_ms(day_start_ms(day));
        k->to_ns = ns_of_ms(day_start_ms(day + 1)) - 1;
        k->contained = day_contained(ls, day);
    }
    return seq <= k->contained;
}

/* Are all rows of the entry on disk, by what it says of their times? */
static bool all_contained(struct logstore *ls, const struct log_entry *in, uint64_t seq)
{
    return day_of_ns(in->mint_ns) == day_of_ns(in->maxt_ns) && contained(ls, seq, in->mint_ns);
}

/* --- entries ------------------------------------------------------------------------------------------- */

static void define(struct logstore *ls, const struct log_entry *in)
{
    struct log_replay *r = ls->replay;
    uint32_t n = in->first_local + in->ndefs;

    if (n > r->cap) {
        r->cap = MAX(n, r->cap * 2);
        r->locals = x_realloc(r->locals, r->cap * sizeof(struct log_stream *));
    }
    while (r->nlocals < n)
        r->locals[r->nlocals++] = NULL;
    for (uint32_t i = 0; i < in->ndefs; i++) {
        struct log_stream **at = &r->locals[in->first_local + i];
        if (!*at)
            *at = log_streams_get(&ls->head.streams, labels_hash(&in->defs[i]), &in->defs[i], 0);
    }
}

/* A hole this large is no lost definitions but a wrong number. */
enum { LOCALS_MAX = 1 << 26 };

static int check_numbers(const struct log_replay *r, const struct log_entry *in, struct err *e)
{
    if (in->first_local > LOCALS_MAX || in->ndefs > LOCALS_MAX)
        return err_set(e, ERR_CORRUPT, "journal file %u: streams numbered from %u", r->file, in->first_local);
    for (uint32_t i = 0; i < in->nruns; i++)
        if (in->runs[i].local >= in->first_local + in->ndefs)
            return err_set(e, ERR_CORRUPT, "journal file %u: a stream that no entry defines", r->file);
    return 0;
}

/* Streams and hashes of the rows; those that are not to be stored are dead. Returns how many have no stream. */
static uint32_t finish_rows(struct logstore *ls, const struct log_entry *in, uint64_t seq, struct log_piece *p)
{
    struct log_replay *r = ls->replay;
    const struct label *meta = NULL;
    uint64_t meta_hash = 0;
    uint32_t k = 0, lost = 0;

    for (uint32_t i = 0; i < in->nruns; i++) {
        struct log_stream *s = r->locals[in->runs[i].local];
        for (uint32_t end = k + in->runs[i].n; k < end; k++) {
            struct log_head_row *row = &p->rows[k];
            if (!s || contained(ls, seq, row->t_ns)) {
                row->state = ROW_DEAD;
                lost += !s;
                r->skipped += s != NULL;
                continue;
            }
            if (row->nmeta && row->meta != meta)
                meta_hash = log_meta_hash(meta = row->meta, row->nmeta);
            row->stream = s;
            row->hash = log_head_row_hash(s, row->t_ns, hash64(row->line, row->line_bytes), row->nmeta ? meta_hash : 0);
        }
    }
    return lost;
}

static int take_rows(struct logstore *ls, const struct log_entry *in, uint64_t seq, struct err *e)
{
    struct log_replay *r = ls->replay;
    uint32_t same, lost;
    uint64_t bytes;
    struct label *labels;
    struct log_piece *p;
    char *mem;
    int rc;

    p = log_head_piece(&ls->head, in->nrows, in->nlabels, log_entry_mem_bytes(in), &labels, &mem);
    if ((rc = log_entry_rows(r->unpacker, in, p->rows, labels, mem, e)) < 0) {
        log_head_drop_piece(&ls->head, p);
        return rc;
    }
    lost = finish_rows(ls, in, seq, p);
    log_head_apply(&ls->head, p, seq, &same, &bytes);
    r->same += same;
    r->lost += lost;
    if (lost)
        return err_set(e, ERR_CORRUPT, "journal file %u: %u records of streams whose names were in damaged entries", r->file, lost);
    return 0;
}

int log_replay(void *self, uint64_t seq, struct str bytes, struct err *e)
{
    struct logstore *ls = self;
    struct log_entry in;
    int rc;

    begin(ls);
    arena_reset(&ls->replay->arena);
    ls->replay->entries++;
    if ((rc = log_entry_read(bytes, &ls->replay->arena, &in, e)) < 0 || (rc = check_numbers(ls->replay, &in, e)) < 0)
        return err_ctx(e, "entry %llu", (unsigned long long)seq);
    define(ls, &in);
    if (in.nrows && all_contained(ls, &in, seq))
        ls->replay->skipped += in.nrows;
    else if (in.nrows)
        rc = take_rows(ls, &in, seq, e);
    if (rc == 0) /* else what was read up to there is not all here: it may be read again */
        log_marks_apply(ls->marks, seq, in.marks, in.nmarks);
    ls->head.seq_applied = seq;
    return rc < 0 ? err_ctx(e, "entry %llu", (unsigned long long)seq) : 0;
}

void log_replay_free(struct logstore *ls)
{
    struct log_replay *r = ls->replay;

    if (!r)
        return;
    reset_locals(r);
    free(r->locals);
    arena_release(&r->arena);
    log_unpacker_free(r->unpacker);
    free(r);
    ls->replay = NULL;
}

void log_replay_end(void *self)
{
    struct logstore *ls = self;
    struct log_replay *r;

    begin(ls);
    r = ls->replay;
    if (r->lost)
        log_error("logstore", "damaged journal entries took with them the names of streams with %llu records", (unsigned long long)r->lost);
    if (r->entries)
        log_info("logstore", "replayed %llu entries: %llu records, %llu of them in partitions already, %u streams",
                 (unsigned long long)r->entries, (unsigned long long)(ls->head.rows + r->skipped + r->same), (unsigned long long)r->skipped,
                 ls->head.streams.n);
    log_replay_free(ls);
}
