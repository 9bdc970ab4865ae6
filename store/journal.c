/*
 * journal.c - what we acknowledged is on disk. One thread, one transaction per group of entries.
 *
 * (1) done(0) runs only after the commit that holds the entry has returned, and the file's name is synced too.
 * (2) Sequence numbers rise in the order of the pushes, also across restarts; none is used twice. A failed commit burns its own.
 * (3) Entries of one file lie in that file: an entry encoded for another file is sent back (ERR_AGAIN).
 * (4) After a failed commit nothing more goes to that file, and what waits for it fails too: it may lean on what was lost.
 *
 *   push ──▶ waiting ──(journal thread takes all)──▶ taken ──commit──▶ done, one after the other
 */
#include "store/journal_inside.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { MAP_SLACK = 64 << 20, GROUP_BYTES_MAX = 256 << 20 };

/* --- pushing: any thread ------------------------------------------------------------------------ */

uint32_t journal_file(struct journal *j)
{
    return atomic_load_explicit(&j->file, memory_order_acquire);
}

/* The caller holds waiting_mu. */
static void next_file(struct journal *j)
{
    j->pushed_bytes = 0;
    atomic_fetch_add_explicit(&j->file, 1, memory_order_release);
}

static int refuse(struct journal *j, uint32_t file, size_t n, struct err *e)
{
    if (j->stop)
        return err_set(e, ERR_UNAVAILABLE, "the journal is closing");
    if (file != j->file)
        return err_set(e, ERR_AGAIN, "journal file %u is closed", file);
    if (j->nwaiting >= j->opts.queue_max)
        return err_set(e, ERR_BUSY, "journal queue full: %u entries wait for the disk", j->nwaiting);
    if (j->waiting_bytes + n > j->opts.queue_bytes_max && j->nwaiting > 0)
        return err_set(e, ERR_BUSY, "journal queue full: %llu bytes wait for the disk", (unsigned long long)j->waiting_bytes);
    return 0;
}

int journal_push(struct journal *j, uint32_t file, uint8_t tag, struct buf *bytes, journal_done *done, void *arg, struct err *e)
{
    bool wake = false;
    int rc;

    assert(bytes->n < GROUP_BYTES_MAX);
    if (j->hooks.full && j->hooks.full(j->hooks.arg))
        return err_set(e, ERR_FULL, "no space on the disk");
    pthread_mutex_lock(&j->waiting_mu);
    rc = refuse(j, file, bytes->n, e);
    if (rc == 0) {
        if (j->nwaiting == j->waiting_cap) {
            j->waiting_cap = j->waiting_cap ? j->waiting_cap * 2 : 64;
            j->waiting = x_realloc(j->waiting, j->waiting_cap * sizeof *j->waiting);
        }
        j->waiting[j->nwaiting++] = (struct entry){*bytes, done, arg, file, tag};
        j->waiting_bytes += bytes->n;
        j->pushed_bytes += bytes->n;
        if (j->pushed_bytes >= j->opts.file_bytes)
            next_file(j);
        wake = j->idle;
        j->idle = false;
    }
    pthread_mutex_unlock(&j->waiting_mu);
    if (rc == 0)
        memset(bytes, 0, sizeof *bytes);
    if (wake)
        pthread_cond_signal(&j->wake);
    return rc;
}

struct waiter {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool over;
    int code;
    uint64_t seq;
    struct err *e;
};

static void on_done(void *arg, int code, uint64_t seq, const struct err *e)
{
    struct waiter *w = arg;

    pthread_mutex_lock(&w->mu);
    w->code = code;
    w->seq = seq;
    if (code < 0 && w->e)
        *w->e = *e;
    w->over = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mu);
}

int journal_push_wait(struct journal *j, uint32_t file, uint8_t tag, struct buf *bytes, uint64_t *seq, struct err *e)
{
    struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0, e};
    int rc = journal_push(j, file, tag, bytes, on_done, &w, e);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&w.mu);
    while (!w.over)
        pthread_cond_wait(&w.cond, &w.mu);
    pthread_mutex_unlock(&w.mu);
    pthread_mutex_destroy(&w.mu);
    pthread_cond_destroy(&w.cond);
    if (seq)
        *seq = w.seq;
    return w.code;
}

uint64_t journal_done_seq(struct journal *j)
{
    return atomic_load_explicit(&j->done_seq, memory_order_acquire);
}

/* --- committing: journal thread ----------------------------------------------------------------- */

static bool on_journal_thread(const struct journal *j)
{
    return pthread_equal(pthread_self(), j->thread);
}

static void close_file(struct journal *j)
{
    char path[PATH_MAX];

    if (!j->env.mdb)
        return;
    env_close(&j->env);
    if (!j->file_stays) { /* its first commit failed: it holds nothing but a name */
        journal_path(j, j->open_file, path);
        unlink(path);
    }
}

static int open_file(struct journal *j, uint32_t file, struct err *e)
{
    char header[GROUP_HEADER_BYTES], path[PATH_MAX];
    uint64_t zero = 0;
    int rc;

    assert(on_journal_thread(j));
    if (j->env.mdb && j->open_file == file)
        return 0;
    close_file(j);
    journal_path(j, file, path);
    j->open_file = file;
    j->file_stays = false;
    group_header_write(header, file, j->next_seq);
    rc = env_create(path, ENV_INTEGER_KEYS, str_n(&zero, sizeof zero), str_n(header, sizeof header), e);
    if (rc == 0)
        rc = env_open(&j->env, path, ENV_INTEGER_KEYS | ENV_NO_LOCK, j->opts.file_bytes * 2 + MAP_SLACK, e);
    crash_point("journal file made");
    return rc;
}

/* Writes entries [0, n) as one group: reserved in the page that goes to disk, so each byte is copied once. */
static int put_group(struct journal *j, MDB_txn *t, uint64_t seq, const struct entry *v, uint32_t n)
{
    size_t bytes = 0;
    MDB_val key = {sizeof seq, &seq}, value;
    int rc;

    if (n > j->rows_cap) {
        j->rows_cap = n;
        j->rows = x_realloc(j->rows, n * sizeof *j->rows);
    }
    for (uint32_t i = 0; i < n; i++) {
        j->rows[i] = (struct group_entry){buf_str(&v[i].bytes), v[i].tag};
        bytes += v[i].bytes.n;
    }
    value = (MDB_val){group_bytes(n, bytes), NULL};
    rc = mdb_put(t, j->env.dbi, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (rc == 0)
        group_write(value.mv_data, seq, j->rows, n);
    return rc;
}

/* How many of v[0..n) go into one group. */
static uint32_t group_length(const struct entry *v, uint32_t n)
{
    size_t bytes = 0;
    uint32_t i = 0;

    while (i < n && i < GROUP_ENTRIES_MAX && (i == 0 || bytes + v[i].bytes.n <= GROUP_BYTES_MAX))
        bytes += v[i++].bytes.n;
    return i;
}

static int write_entries(struct journal *j, const struct entry *v, uint32_t n, size_t bytes, struct err *e)
{
    uint64_t seq = j->next_seq;
    MDB_txn *t;
    int rc = env_room(&j->env, bytes + bytes / 8 + (1 << 20), e);

    if (rc < 0)
        return rc;
    rc = mdb_txn_begin(j->env.mdb, NULL, 0, &t);
    if (rc)
        return env_err(e, rc, "journal file %u: cannot begin", j->open_file);
    for (uint32_t i = 0, k; rc == 0 && i < n; i += k, seq += k) {
        k = group_length(v + i, n - i);
        rc = put_group(j, t, seq, v + i, k);
    }
    if (rc) {
        mdb_txn_abort(t);
        return env_err(e, rc, "journal file %u: cannot write %u entries, %zu bytes", j->open_file, n, bytes);
    }
    crash_point("journal before commit");
    rc = env_write_rc(j->env.path, mdb_txn_commit(t));
    if (rc)
        return env_err(e, rc, "journal file %u: cannot commit %u entries, %zu bytes", j->open_file, n, bytes);
    crash_point("journal after commit");
    j->file_stays = true;
    return 0;
}

static void finish(struct journal *j, struct entry *v, uint32_t n, int code, uint64_t seq, const struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_release(&v[i].bytes);
        if (v[i].done)
            v[i].done(v[i].arg, code, code < 0 ? 0 : seq + i, e);
    }
    if (code == 0)
        atomic_store_explicit(&j->done_seq, seq + n - 1, memory_order_release);
}

/* A failed commit: the file is left as it is (what was committed in it stays good), and the next push begins another. */
static void give_up_file(struct journal *j, uint32_t file, int code, const struct err *e)
{
    close_file(j);
    j->failed_file = file;
    j->failed = *e;
    pthread_mutex_lock(&j->waiting_mu);
    if (j->file == file)
        next_file(j);
    pthread_mutex_unlock(&j->waiting_mu);
    if (j->hooks.failed)
        j->hooks.failed(j->hooks.arg, code, e);
}

/* All entries of v are for one file. */
static void commit(struct journal *j, struct entry *v, uint32_t n)
{
    uint64_t seq = j->next_seq;
    struct err e = {0};
    size_t bytes = 0;
    int rc;

    if (v->file <= j->failed_file) {
        finish(j, v, n, j->failed.code, 0, &j->failed);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        bytes += v[i].bytes.n;
    rc = open_file(j, v->file, &e);
    if (rc == 0)
        rc = write_entries(j, v, n, bytes, &e);
    j->next_seq += n;
    if (rc < 0) {
        give_up_file(j, v->file, rc, &e);
        finish(j, v, n, rc, 0, &e);
        return;
    }
    journal_note(j, v, n, seq, bytes);
    finish(j, v, n, 0, seq, &e);
    if (j->hooks.committed)
        j->hooks.committed(j->hooks.arg, atomic_load(&j->bytes));
}

/* Takes what waits; false when there is nothing and the journal closes. *roll: somebody wants the file closed. */
static bool take(struct journal *j, bool *roll)
{
    struct entry *v = j->taken;
    uint32_t cap = j->taken_cap;
    bool any;

    pthread_mutex_lock(&j->waiting_mu);
    while (j->nwaiting == 0 && !j->stop && !j->roll_wanted) {
        j->idle = true;
        pthread_cond_wait(&j->wake, &j->waiting_mu);
    }
    j->idle = false;
    j->taken = j->waiting;
    j->taken_cap = j->waiting_cap;
    j->ntaken = j->nwaiting;
    j->waiting = v;
    j->waiting_cap = cap;
    j->nwaiting = 0;
    j->waiting_bytes = 0;
    *roll = j->roll_wanted;
    any = j->ntaken > 0 || *roll;
    j->roll_wanted = false;
    pthread_mutex_unlock(&j->waiting_mu);
    return any;
}

/* Makes the next file before it is needed: it remembers the seq, so all older ones may go. */
static void begin_file(struct journal *j, uint32_t file)
{
    struct err e;

    if (open_file(j, file, &e) < 0) { /* the next commit tries again and tells; until then the older file stays */
        close_file(j);
        return;
    }
    if (!j->file_stays)
        journal_note_file(j, j->next_seq - 1);
    j->file_stays = true;
}

/* Closes the file when nothing more can come for it, and says so to whoever waits in journal_roll. */
static void settle(struct journal *j, bool roll)
{
    uint32_t first;

    pthread_mutex_lock(&j->waiting_mu);
    first = j->nwaiting > 0 ? j->waiting[0].file : j->file;
    roll = roll || j->roll_wanted; /* since we took: its file number is in `first` already, so it is answered here */
    j->roll_wanted = j->roll_wanted && j->nwaiting > 0;
    pthread_mutex_unlock(&j->waiting_mu);
    if (j->env.mdb && j->open_file < first)
        close_file(j);
    if (roll && !j->env.mdb && first > j->failed_file)
        begin_file(j, first);
    pthread_mutex_lock(&j->files_mu);
    j->settled = first;
    pthread_cond_broadcast(&j->files_closed);
    pthread_mutex_unlock(&j->files_mu);
}

static void *run(void *arg)
{
    struct journal *j = arg;
    bool roll;

    pthread_setname_np(pthread_self(), "journal");
    while (take(j, &roll)) {
        for (uint32_t i = 0, n; i < j->ntaken; i += n) {
            for (n = 1; i + n < j->ntaken && j->taken[i + n].file == j->taken[i].file;)
                n++;
            commit(j, j->taken + i, n);
        }
        settle(j, roll);
    }
    close_file(j);
    return NULL;
}

/* --- life --------------------------------------------------------------------------------------- */

int journal_start(struct journal *j, struct err *e)
{
    int rc = pthread_create(&j->thread, NULL, run, j);

    if (rc)
        return err_sys(e, rc, "cannot start the journal thread");
    j->running = true;
    return 0;
}

void journal_roll(struct journal *j, bool wait)
{
    uint32_t old;

    pthread_mutex_lock(&j->waiting_mu);
    old = j->file;
    next_file(j);
    j->roll_wanted = true;
    pthread_mutex_unlock(&j->waiting_mu);
    pthread_cond_signal(&j->wake);
    if (!wait || !j->running)
        return;
    pthread_mutex_lock(&j->files_mu);
    while (j->settled <= old)
        pthread_cond_wait(&j->files_closed, &j->files_mu);
    pthread_mutex_unlock(&j->files_mu);
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->running) {
        pthread_mutex_lock(&j->waiting_mu);
        j->stop = true;
        pthread_mutex_unlock(&j->waiting_mu);
        pthread_cond_signal(&j->wake);
        pthread_join(j->thread, NULL);
    }
    if (j->nwaiting > 0) { /* it was never started */
        struct err e;

        err_set(&e, ERR_UNAVAILABLE, "the journal is closing");
        finish(j, j->waiting, j->nwaiting, e.code, 0, &e);
    }
    journal_files_release(j);
    pthread_mutex_destroy(&j->waiting_mu);
    pthread_cond_destroy(&j->wake);
    free(j->waiting);
    free(j->taken);
    free(j->rows);
    free(j->dir);
    free(j);
}
