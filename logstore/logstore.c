/* logstore.c - life and figures of the log store, and what it gives to store/ (signal_ops). */
#include "logstore/logstore.h"

#include "logstore/day.h"
#include "logstore/db.h"
#include "logstore/delete.h"
#include "logstore/rewrite.h"

#include <stdlib.h>

/* Deletes are carried out without being asked to after this long: until then they can be taken back whole. */
enum { CLEAN_AFTER_MS = 24 * 3600 * 1000 };

void logstore_opts_default(struct logstore_opts *o)
{
    *o = (struct logstore_opts){
        .streams_max = 100 * 1000,
        .head_bytes_max = UINT64_C(512) << 20,
        .past_ns_max = INT64_C(7) * 86400 * 1000 * NS_PER_MS,
        .future_ns_max = INT64_C(10) * 60 * 1000 * NS_PER_MS,
        .line_bytes_max = 256 << 10,
        .labels_max = 15,
        .meta_max = 128,
        .meta_bytes_max = 64 << 10,
    };
}

/* --- what store/ calls -------------------------------------------------------------------------------------- */

static int attach(void *self, struct partition *p, void **user, struct err *e)
{
    struct log_day *d;
    int rc = log_day_attach(p, &d, e);

    (void)self;
    if (rc == 0)
        *user = d;
    return rc;
}

static void detach(void *self, struct partition *p, void *user)
{
    (void)self;
    (void)p;
    log_day_free(user);
}

/* What is deleted in a day, for those who rewrite it. */
static struct log_delete_set *deletions(struct logstore *ls, const struct partition *p)
{
    int32_t day = partition_day(p);

    return log_deletes_in(ls->deletes, ns_of_ms(day_start_ms(day)), ns_of_ms(day_start_ms(day + 1)) - 1);
}

static int merge(void *self, struct partition *p, bool *did, struct err *e)
{
    struct log_delete_set *gone = deletions(self, p);
    int rc = log_day_merge(p, log_delete_set_filter(gone), did, e);

    log_delete_set_unref(gone);
    return rc;
}

static int seal(void *self, struct partition *from, struct partition *to, struct err *e)
{
    struct log_delete_set *gone = deletions(self, from);
    int rc = log_day_seal(from, to, log_delete_set_filter(gone), e);

    log_delete_set_unref(gone);
    return rc;
}

static int tended(void *self, int64_t now_ms, struct err *e)
{
    return log_deletes_due(self, ns_of_ms(now_ms - CLEAN_AFTER_MS)) ? logstore_clean(self, e) : 0;
}

static int verify(void *self, struct partition *p, void (*print)(void *arg, const char *line), void *arg, struct err *e)
{
    (void)self;
    return log_day_verify(p, print, arg, e);
}

static const struct signal_ops ops = {
    .name = LOGSTORE_SIGNAL,
    .tag = LOGSTORE_TAG,
    .format = LOGSTORE_FORMAT,
    .replay_file = log_replay_file,
    .replay = log_replay,
    .replay_end = log_replay_end,
    .head_bytes = log_head_bytes,
    .head_rows = log_head_rows,
    .flush = log_flush,
    .attach = attach,
    .detach = detach,
    .merge = merge,
    .seal = seal,
    .tended = tended,
    .verify = verify,
};

/* --- life ------------------------------------------------------------------------------------------------------ */

int logstore_new(struct store *s, const struct logstore_opts *opts, struct logstore **out, struct err *e)
{
    struct logstore *ls = x_zalloc(sizeof *ls);
    int rc;

    ls->store = s;
    ls->opts = *opts;
    pthread_mutex_init(&ls->writer_mu, NULL);
    pthread_mutex_init(&ls->scratch_mu, NULL);
    pthread_mutex_init(&ls->flush_mu, NULL);
    log_head_init(&ls->head);
    ls->marks = log_marks_new();
    ls->tails = log_tails_new(&ls->tail_dropped);
    ls->deletes = log_deletes_new();
    if ((rc = log_marks_load(ls->marks, store_state(s), e)) < 0 || (rc = log_deletes_load(ls->deletes, store_state(s), e)) < 0) {
        logstore_free(ls);
        return err_ctx(e, "logs");
    }
    store_signal_add(s, &ops, ls);
    *out = ls;
    return 0;
}

void logstore_free(struct logstore *ls)
{
    if (!ls)
        return;
    log_replay_free(ls);
    log_tails_free(ls->tails);
    log_ingest_release(ls);
    log_marks_free(ls->marks);
    log_deletes_free(ls->deletes);
    log_head_release(&ls->head);
    pthread_mutex_destroy(&ls->writer_mu);
    pthread_mutex_destroy(&ls->scratch_mu);
    pthread_mutex_destroy(&ls->flush_mu);
    free(ls);
}

/* Days are looked at from the newest on, and only as far as is needed. */
int64_t log_newest_on_disk(struct logstore *ls)
{
    int64_t t = INT64_MIN;
    int32_t first, last;

    if (!store_day_range(ls->store, LOGSTORE_SIGNAL, &first, &last))
        return INT64_MIN;
    for (int32_t day = last; day >= first && t == INT64_MIN; day--) {
        struct partition_list l;
        store_partitions(ls->store, LOGSTORE_SIGNAL, day_start_ms(day), day_start_ms(day), &l);
        if (l.n && partition_user(l.v[0])) {
            struct log_day_sums sums;
            log_day_sums(partition_user(l.v[0]), &sums);
            t = sums.maxt_ns;
        }
        partition_list_release(&l);
    }
    return t;
}

bool logstore_mark(struct logstore *ls, struct str key, struct buf *out)
{
    return log_marks_get(ls->marks, key, out);
}

void logstore_marks(struct logstore *ls, struct str prefix, void (*fn)(void *arg, struct str key, struct str value), void *arg)
{
    log_marks_each(ls->marks, prefix, fn, arg);
}

/* --- figures ---------------------------------------------------------------------------------------------------- */

void logstore_stats(struct logstore *ls, struct logstore_stats *out)
{
    *out = (struct logstore_stats){
        .head_bytes = ls->head.bytes,
        .head_rows = ls->head.rows,
        .rows = ls->rows,
        .bytes = ls->bytes,
        .same = ls->verdicts[LOG_SAME],
        .tails = log_tails_n(ls->tails),
        .tail_dropped = ls->tail_dropped,
        .blocks = ls->blocks_written,
        .deletes = log_deletes_n(ls->deletes),
    };
    for (unsigned i = LOG_SAME + 1; i < LOG_VERDICTS; i++)
        out->refused[i] = ls->verdicts[i];
    pthread_mutex_lock(&ls->head.streams.mu);
    out->streams = ls->head.streams.n;
    out->streams_created = ls->head.streams.created;
    pthread_mutex_unlock(&ls->head.streams.mu);
}
