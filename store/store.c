/*
 * store.c - opens, recovers, starts and closes what is durable; and the figures of all of it.
 *
 * (1) One process at a time has the directory (a lock that dies with it).
 * (2) Recovery opens no partition that the journal's tail does not ask for, so its cost is bounded by the journal's budget.
 * (3) Nothing damaged stops the start: a file that cannot be used is put aside, said, and done without.
 * (4) Closing loses nothing and flushes nothing: the journal has it all.
 */
#include "store/scrub.h"
#include "store/suspect.h"
#include "store/upkeep.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

void store_opts_default(struct store_opts *o)
{
    *o = (struct store_opts){
        .dir = "data",
        .journal_file_bytes = (uint64_t)64 << 20,
        .journal_budget_bytes = (uint64_t)256 << 20,
        .head_budget_bytes = (uint64_t)256 << 20,
        .flush_interval_ms = 2 * 3600 * 1000,
        .retention_ms = (int64_t)15 * 86400 * 1000,
        .disk_reserve_bytes = (uint64_t)64 << 20,
        .seal_grace_ms = 3 * 3600 * 1000,
        .upkeep_interval_ms = 10000,
    };
}

/* --- open --------------------------------------------------------------------------------------- */

static int make_dir(const char *dir, struct err *e)
{
    if (mkdir(dir, 0750) < 0 && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s", dir);
    return 0;
}

static int take_lock(struct store *s, struct err *e)
{
    char path[PATH_MAX], pid[32] = "";
    ssize_t n;

    snprintf(path, sizeof path, "%s/lock", s->dir);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (s->lock_fd < 0)
        return err_sys(e, errno, "cannot open %s", path);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        n = pread(s->lock_fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
        return err_set(e, ERR_BUSY, "%s is in use by the process with pid %s", s->dir, *pid ? pid : "unknown");
    }
    n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
        log_debug("store", "cannot write the pid to %s: %s", path,
                  strerror(errno)); /* only the message of another start suffers */
    return 0;
}

static bool on_push(void *arg)
{
    struct store *s = arg;

    return disk_full(s->disk);
}

static void on_commit_failed(void *arg, int code, const struct err *e)
{
    struct store *s = arg;

    log_error("store", "%s", e->text);
    if (code == ERR_FULL || (code == ERR_IO && disk_free_bytes(s->disk) < s->opts.journal_file_bytes / 16))
        disk_met_full(s->disk);
}

static int open_journal(struct store *s, struct err *e)
{
    char dir[PATH_MAX];
    struct journal_opts o = {
        .dir = dir,
        .file_bytes = s->opts.journal_file_bytes,
        .queue_max = 65536,
        .queue_bytes_max = (uint64_t)256 << 20,
        .read_only = s->opts.read_only,
    };
    struct journal_hooks h = {.full = on_push, .failed = on_commit_failed, .arg = s};

    snprintf(dir, sizeof dir, "%s/journal", s->dir);
    return journal_open(&o, &h, &s->journal, e);
}

/* A damaged state.mdb is put aside and begun anew: it costs a longer replay and what it held, not the start. */
static int open_state(struct store *s, struct err *e)
{
    char path[PATH_MAX];
    struct err bad;
    int rc = 0;

    snprintf(path, sizeof path, "%s/state.mdb", s->dir);
    if (access(path, F_OK) == 0)
        rc = suspect_check(s, path, e);
    if (rc == 0)
        rc = state_open(path, s->opts.read_only, &s->state, e);
    if (rc != ERR_CORRUPT || s->opts.read_only)
        return rc;
    bad = *e;
    rc = suspect_quarantine(s, path, &bad);
    return rc < 0 ? err_ctx(e, "cannot put %s aside", path) : state_open(path, false, &s->state, e);
}

int store_open(const struct store_opts *opts, struct store **out, struct err *e)
{
    struct store *s = x_zalloc(sizeof *s);
    int rc = 0;

    s->opts = *opts;
    s->dir = x_strdup(str_of(opts->dir));
    s->opts.dir = s->dir;
    if (s->opts.out_of_order_ms == 0)
        s->opts.out_of_order_ms = s->opts.retention_ms;
    s->lock_fd = -1;
    pthread_mutex_init(&s->warnings_mu, NULL);
    if (sysconf(_SC_PAGESIZE) != 4096) /* LMDB takes the machine's; ours are of 4096 bytes everywhere */
        rc = err_set(e, ERR_UNSUPPORTED, "this machine has memory pages of %ld bytes, 4096 are needed",
                     sysconf(_SC_PAGESIZE));
    if (rc == 0 && !opts->read_only) {
        rc = make_dir(s->dir, e);
        if (rc == 0)
            rc = take_lock(s, e);
        if (rc == 0)
            rc = damage_setup(s->dir, e);
    }
    if (rc == 0)
        rc = suspect_load(s, e);
    if (rc == 0)
        rc = disk_open(s->dir, opts->disk_reserve_bytes, &s->disk, e);
    if (rc == 0)
        rc = open_state(s, e);
    if (rc == 0)
        rc = open_journal(s, e);
    if (rc < 0) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void store_signal_add(struct store *s, const struct signal_ops *ops, void *self)
{
    struct sig *g = &s->sigs[s->nsigs++];
    pthread_condattr_t a;
    char dir[PATH_MAX];

    assert(s->nsigs <= SIGNALS_MAX && strlen(ops->name) <= MANIFEST_NAME_MAX);
    snprintf(dir, sizeof dir, "%s/%s", s->dir, ops->name);
    g->store = s;
    g->ops = ops;
    g->self = self;
    g->dir = x_strdup(str_of(dir));
    g->retention_ms = s->opts.retention_ms;
    pthread_mutex_init(&g->seal_mu, NULL);
    pthread_mutex_init(&g->change_mu, NULL);
    pthread_mutex_init(&g->open_mu, NULL);
    pthread_mutex_init(&g->list_mu, NULL);
    pthread_mutex_init(&g->flusher.mu, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&g->flusher.wake, &a);
    pthread_cond_init(&g->flusher.done, NULL);
    pthread_condattr_destroy(&a);
}

void store_signal_retention(struct store *s, const char *name, int64_t retention_ms)
{
    struct sig *g = store_sig(s, name);

    assert(g && !s->started);
    g->retention_ms = retention_ms;
}

/* --- recover ------------------------------------------------------------------------------------ */

static struct sig *sig_of_tag(struct store *s, uint8_t tag)
{
    for (uint32_t i = 0; i < s->nsigs; i++)
        if (s->sigs[i].ops->tag == tag)
            return &s->sigs[i];
    return NULL;
}

static void on_replay_file(void *arg, uint32_t file)
{
    struct store *s = arg;

    for (uint32_t i = 0; i < s->nsigs; i++)
        if (s->sigs[i].ops->replay_file)
            s->sigs[i].ops->replay_file(s->sigs[i].self, file);
}

static void on_replay_damage(void *arg, const char *path, const struct err *e)
{
    struct store *s = arg;

    log_error("store", "%s: %s", path, e->text);
    store_warn(s, path, "%s is damaged, what it held may be lost: %s", path, e->text);
}

static void on_replay_entry(void *arg, uint64_t seq, uint8_t tag, struct str bytes)
{
    struct store *s = arg;
    struct sig *g = sig_of_tag(s, tag);
    struct err e = {0};

    if (!g) {
        store_warn(s, "journal tag", "the journal holds entries of a signal this program does not know (tag %d): kept",
                   tag);
        return;
    }
    g->replayed++;
    if (g->ops->replay && g->ops->replay(g->self, seq, bytes, &e) < 0) {
        err_ctx(&e, "%s entry %llu", g->ops->name, (unsigned long long)seq);
        on_replay_damage(s, "journal", &e);
    }
}

static bool on_replay_contained(void *arg, uint8_t tag, uint64_t seq)
{
    return flush_contained(arg, tag, seq);
}

static int on_replay_check(void *arg, const char *path, struct err *e)
{
    struct store *s = arg;
    int rc = suspect_check(s, path, e);

    if (rc == ERR_CORRUPT && !s->opts.read_only)
        (void)suspect_quarantine(s, path, e);
    return rc;
}

/* What was contained before must never be numbered again, even if the journal is gone. */
static int load_seq_floor(struct store *s, struct err *e)
{
    struct arena a = {0};
    struct str v;
    int rc = state_get(s->state, &a, STR("store/seq"), &v, e);

    if (rc == 0 && v.n == 8)
        journal_seq_floor(s->journal, get_u64le(v.p));
    arena_release(&a);
    for (uint32_t i = 0; i < s->nsigs; i++)
        journal_seq_floor(s->journal, atomic_load(&s->sigs[i].contained));
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int store_recover(struct store *s, struct err *e)
{
    struct journal_replay r = {on_replay_file,      on_replay_entry, on_replay_damage,
                               on_replay_contained, on_replay_check, s};
    int64_t start_ms = clock_mono_ms();
    uint64_t entries = 0;
    int rc = 0;

    for (uint32_t i = 0; i < s->nsigs && rc == 0; i++) {
        flush_load(&s->sigs[i]);
        rc = days_scan(&s->sigs[i], e);
    }
    if (rc == 0 && !s->opts.read_only)
        rc = dir_sync(s->dir, e);
    if (rc == 0)
        rc = load_seq_floor(s, e);
    if (rc == 0)
        rc = journal_replay(s->journal, &r, e);
    for (uint32_t i = 0; i < s->nsigs && rc == 0; i++) {
        if (s->sigs[i].ops->replay_end)
            s->sigs[i].ops->replay_end(s->sigs[i].self);
        entries += s->sigs[i].replayed;
    }
    if (rc < 0)
        return rc;
    s->replay_ms = clock_mono_ms() - start_ms;
    if (entries > 0)
        log_info("store", "replayed %llu entries in %lld ms", (unsigned long long)entries, (long long)s->replay_ms);
    return 0;
}

int store_start(struct store *s, struct err *e)
{
    int rc;

    assert(!s->opts.read_only && !s->started);
    s->started = true;
    rc = journal_start(s->journal, e);
    if (rc == 0)
        rc = disk_start(s->disk, e);
    for (uint32_t i = 0; i < s->nsigs && rc == 0; i++)
        rc = s->sigs[i].ops->flush ? flush_start(&s->sigs[i], e) : 0;
    if (rc == 0)
        rc = upkeep_start(s, &s->upkeep, e);
    if (rc == 0)
        rc = scrub_start(s, &s->scrub, e);
    return rc;
}

static void sig_release(struct sig *g)
{
    days_release(g);
    free(g->dir);
    pthread_mutex_destroy(&g->seal_mu);
    pthread_mutex_destroy(&g->change_mu);
    pthread_mutex_destroy(&g->open_mu);
    pthread_mutex_destroy(&g->list_mu);
    pthread_mutex_destroy(&g->flusher.mu);
    pthread_cond_destroy(&g->flusher.wake);
    pthread_cond_destroy(&g->flusher.done);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    scrub_stop(s->scrub);
    upkeep_stop(s->upkeep);
    for (uint32_t i = 0; i < s->nsigs; i++)
        flush_stop(&s->sigs[i]);
    journal_close(s->journal);
    disk_close(s->disk);
    for (uint32_t i = 0; i < s->nsigs; i++)
        sig_release(&s->sigs[i]);
    state_close(s->state);
    suspect_release(s);
    if (!s->opts.read_only)
        damage_release();
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    for (uint32_t i = 0; i < s->nwarnings; i++) {
        free(s->warnings[i].subject);
        free(s->warnings[i].text);
    }
    free(s->warnings);
    pthread_mutex_destroy(&s->warnings_mu);
    free(s->dir);
    free(s);
}

/* --- use ---------------------------------------------------------------------------------------- */

const struct store_opts *store_opts_of(const struct store *s)
{
    return &s->opts;
}

struct journal *store_journal(struct store *s)
{
    return s->journal;
}

struct state *store_state(struct store *s)
{
    return s->state;
}

struct sig *store_sig(struct store *s, const char *name)
{
    for (uint32_t i = 0; i < s->nsigs; i++)
        if (strcmp(s->sigs[i].ops->name, name) == 0)
            return &s->sigs[i];
    return NULL;
}

int store_writable(struct store *s, struct err *e)
{
    char why[160];

    if (!disk_full(s->disk))
        return 0;
    if (disk_full_since(s->disk, why, sizeof why) == 0)
        return 0;
    return err_set(e, ERR_FULL, "%s", why);
}

int store_flush(struct store *s, const char *name, struct err *e)
{
    int rc = 0;

    for (uint32_t i = 0; i < s->nsigs; i++)
        if (s->sigs[i].ops->flush && (!name || strcmp(s->sigs[i].ops->name, name) == 0)) {
            int one = flush_wait(&s->sigs[i], rc == 0 ? e : NULL);

            rc = rc == 0 ? one : rc;
        }
    return rc;
}

void store_flush_soon(struct store *s, const char *name)
{
    for (uint32_t i = 0; i < s->nsigs; i++)
        if (s->sigs[i].ops->flush && (!name || strcmp(s->sigs[i].ops->name, name) == 0))
            flush_soon(&s->sigs[i]);
}

int store_partition_get(struct store *s, const char *name, int32_t day, struct partition **out, struct err *e)
{
    struct sig *g = store_sig(s, name);

    assert(g);
    return days_get(g, day, !s->opts.read_only, out, e);
}

void store_partitions(struct store *s, const char *name, int64_t mint, int64_t maxt, struct partition_list *out)
{
    struct sig *g = store_sig(s, name);

    assert(g);
    days_list(g, day_of_ms(mint), day_of_ms(maxt), out);
}

int store_reseal(struct store *s, const char *name, int32_t day, struct err *e)
{
    struct sig *g = store_sig(s, name);
    int rc;

    assert(g && g->ops->seal);
    pthread_mutex_lock(&g->seal_mu);
    rc = upkeep_seal(g, day, true, e);
    pthread_mutex_unlock(&g->seal_mu);
    return rc;
}

bool store_day_range(struct store *s, const char *name, int32_t *first, int32_t *last)
{
    struct sig *g = store_sig(s, name);
    bool any;

    assert(g);
    pthread_mutex_lock(&g->list_mu);
    any = g->ndays > 0;
    if (any) {
        *first = g->days[0].day;
        *last = g->days[g->ndays - 1].day;
    }
    pthread_mutex_unlock(&g->list_mu);
    return any;
}

void partition_list_release(struct partition_list *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        partition_unref(l->v[i]);
    free(l->v);
    memset(l, 0, sizeof *l);
}

/* --- warnings and figures ----------------------------------------------------------------------- */

void store_warn(struct store *s, const char *subject, const char *fmt, ...)
{
    struct warning *w = NULL;
    char text[1200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&s->warnings_mu);
    for (uint32_t i = 0; i < s->nwarnings && !w; i++)
        if (strcmp(s->warnings[i].subject, subject) == 0)
            w = &s->warnings[i];
    if (!w) {
        if (s->nwarnings == s->warnings_cap) {
            s->warnings_cap = s->warnings_cap ? s->warnings_cap * 2 : 8;
            s->warnings = x_realloc(s->warnings, s->warnings_cap * sizeof *s->warnings);
        }
        w = &s->warnings[s->nwarnings++];
        *w = (struct warning){.subject = x_strdup(str_of(subject)), .since_ms = clock_wall_ms()};
    }
    free(w->text);
    w->text = x_strdup(str_of(text));
    pthread_mutex_unlock(&s->warnings_mu);
}

void store_unwarn(struct store *s, const char *subject)
{
    pthread_mutex_lock(&s->warnings_mu);
    for (uint32_t i = 0; i < s->nwarnings; i++)
        if (strcmp(s->warnings[i].subject, subject) == 0) {
            free(s->warnings[i].subject);
            free(s->warnings[i].text);
            s->warnings[i] = s->warnings[--s->nwarnings];
            break;
        }
    pthread_mutex_unlock(&s->warnings_mu);
}

uint32_t store_warnings(struct store *s, struct arena *a, struct store_warning **out)
{
    char why[160];
    int64_t since = disk_full_since(s->disk, why, sizeof why);
    uint32_t n = 0;

    pthread_mutex_lock(&s->warnings_mu);
    *out = arena_array(a, struct store_warning, s->nwarnings + 1);
    for (uint32_t i = 0; i < s->nwarnings; i++)
        (*out)[n++] = (struct store_warning){arena_dup(a, str_of(s->warnings[i].text)), s->warnings[i].since_ms};
    pthread_mutex_unlock(&s->warnings_mu);
    if (since)
        (*out)[n++] = (struct store_warning){arena_dup(a, str_of(why)), since};
    return n;
}

void store_stats(struct store *s, struct store_stats *out)
{
    struct journal_stats j;

    memset(out, 0, sizeof *out);
    journal_stats(s->journal, &j);
    out->journal_bytes = j.bytes;
    out->journal_files = j.files;
    out->journal_commits = j.commits;
    out->journal_entries = j.entries;
    out->journal_entry_bytes = j.entry_bytes;
    out->disk_bytes = j.bytes;
    out->disk_free_bytes = disk_free_bytes(s->disk);
    out->flushes = s->flushes;
    out->flush_errors = s->flush_errors;
    out->quarantined = s->quarantined;
    out->last_flush_ms = s->last_flush_ms;
    out->replay_ms = s->replay_ms;
    for (uint32_t i = 0; i < s->nsigs; i++)
        days_stats(&s->sigs[i], out);
}
