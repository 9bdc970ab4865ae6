/* tsdb.c - life and figures of the time series store, and what it gives to store/ (signal_ops). */
#include "tsdb/db.h"
#include "tsdb/rollup_day.h"

#include <stdlib.h>

void tsdb_opts_default(struct tsdb_opts *o)
{
    *o = (struct tsdb_opts){
        .series_max = 10 * 1000 * 1000,
        .head_bytes_max = UINT64_C(4) << 30,
        .exemplars_per_series = 10,
        .future_ms_max = 10 * 60 * 1000,
        .downsample = true,
        .retention_5m_ms = INT64_C(90) * 86400 * 1000,
        .retention_1h_ms = INT64_C(400) * 86400 * 1000,
    };
}

const char *metric_type_name(uint8_t type)
{
    static const char *const names[] = {"unknown",        "counter", "gauge", "histogram",
                                        "gaugehistogram", "summary", "info",  "stateset"};

    return type < ARRAY_LEN(names) ? names[type] : names[0];
}

/* --- what store/ calls ---------------------------------------------------------------------------- */

static int attach(void *self, struct partition *p, void **user, struct err *e)
{
    struct tsdb *db = self;
    struct day *d;
    int rc = day_attach(p, &d, e);

    if (rc < 0)
        return rc;
    atomic_fetch_add(&db->sid_gen, 1);
    *user = d;
    return 0;
}

static void detach(void *self, struct partition *p, void *user)
{
    (void)self;
    (void)p;
    day_free(user);
}

/* What is deleted in a day, for those who rewrite it. */
static struct tombstone_set *deletions(struct tsdb *db, const struct partition *p)
{
    int64_t from = day_start_ms(partition_day(p));

    return tombstones_in(db->tombstones, from, from + 86400000 - 1);
}

static int merge(void *self, struct partition *p, bool *did, struct err *e)
{
    struct tsdb *db = self;
    struct tombstone_set *gone;
    int rc = 0;

    if (atomic_load(&db->unmet) && (rc = tsdb_meet_day(db, p, e)) < 0)
        return rc;
    gone = deletions(db, p);
    rc = day_merge(p, tombstone_filter(gone), did, e);
    tombstone_set_unref(gone);
    return rc;
}

static int seal(void *self, struct partition *from, struct partition *to, struct err *e)
{
    struct tsdb *db = self;
    struct tombstone_set *gone = deletions(db, from);
    int rc = day_seal(from, to, tombstone_filter(gone), e);

    tombstone_set_unref(gone);
    return rc < 0 ? rc : exemplars_copy(from, to, e);
}

static int verify(void *self, struct partition *p, void (*print)(void *arg, const char *line), void *arg, struct err *e)
{
    (void)self;
    return day_verify(p, print, arg, e);
}

static const struct signal_ops ops = {
    .name = TSDB_SIGNAL,
    .tag = TSDB_TAG,
    .format = TSDB_FORMAT,
    .replay_file = tsdb_replay_file,
    .replay = tsdb_replay,
    .replay_end = tsdb_replay_end,
    .head_bytes = tsdb_head_bytes,
    .head_rows = tsdb_head_rows,
    .flush = tsdb_flush,
    .attach = attach,
    .detach = detach,
    .merge = merge,
    .seal = seal,
    .tended = rollup_tended,
    .verify = verify,
};

/* --- life --------------------------------------------------------------------------------------- */

int tsdb_new(struct store *s, const struct tsdb_opts *opts, struct tsdb **out, struct err *e)
{
    struct tsdb *db = x_aligned(64, sizeof *db);
    int rc;

    memset(db, 0, sizeof *db);
    db->store = s;
    db->opts = *opts;
    db->keep_floor = db->disk_maxt = INT64_MIN;
    pthread_mutex_init(&db->flush_mu, NULL);
    head_init(&db->head);
    db->writer.symbols = &db->head.symbols;
    db->exemplars = exemplars_new(opts->exemplars_per_series);
    db->metadata = metadata_new();
    db->tombstones = tombstones_new();
    if ((rc = metadata_load(db->metadata, store_state(s), e)) < 0 ||
        (rc = tombstones_load(db->tombstones, store_state(s), e)) < 0) {
        tsdb_free(db);
        return err_ctx(e, "metrics");
    }
    store_signal_add(s, &ops, db);
    rollup_signals_add(db);
    *out = db;
    return 0;
}

void tsdb_free(struct tsdb *db)
{
    if (!db)
        return;
    tsdb_replay_free(db);
    entry_writer_release(&db->writer);
    arena_release(&db->scratch);
    free(db->undo);
    exemplars_free(db->exemplars);
    metadata_free(db->metadata);
    tombstones_free(db->tombstones);
    rollup_release(db);
    head_release(&db->head);
    pthread_mutex_destroy(&db->flush_mu);
    free(db);
}

void tsdb_stats(struct tsdb *db, struct tsdb_stats *out)
{
    struct head *h = &db->head;

    *out = (struct tsdb_stats){
        .head_series = h->nlive,
        .head_series_created = h->created,
        .head_series_removed = h->removed,
        .head_bytes = h->index_bytes + tsdb_head_bytes(db),
        .head_mint = h->mint,
        .head_maxt = h->maxt,
        .batches = db->batches,
        .exemplars = db->exemplar_count,
    };
    for (unsigned i = 0; i < TSDB_VERDICTS; i++)
        out->samples[i] = db->samples[i];
    pthread_rwlock_rdlock(&h->index_lock);
    out->symbol_bytes = h->symbols.bytes;
    pthread_rwlock_unlock(&h->index_lock);
}
