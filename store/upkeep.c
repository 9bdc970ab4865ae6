/*
 * upkeep.c - the thread that keeps the house.
 *
 *   live day ──merge (slices)──▶ live day ──over, grace passed──▶ seal: NAME.tmp written, verified, renamed ──▶ sealed day
 *   any day older than the retention, or the oldest while disk.max is exceeded ──▶ unlinked
 *
 * (1) The file of a day changes place only by rename, after the new one was read back whole and synced.
 * (2) A day that was written while it was being sealed keeps its live file; sealing is tried again later.
 * (3) A dropped or replaced file lives on for those who hold it, and goes with the last of them.
 * (4) The newest day is never dropped for disk.max: then writes are refused instead.
 */
#include "store/upkeep.h"

#include "store/suspect.h"
#include "store/ticker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { ROUND_MS_MIN = 10, QUIET_MS_MAX = 15 * 60 * 1000 };

struct upkeep {
    struct store *store;
    struct ticker ticker;
};

/* --- dropping ----------------------------------------------------------------------------------- */

static void drop_day(struct sig *g, int32_t day, const char *why)
{
    char path[PATH_MAX], lock[PATH_MAX + 8];

    pthread_mutex_lock(&g->change_mu);
    pthread_mutex_lock(&g->open_mu);
    days_path(g, day, path);
    snprintf(lock, sizeof lock, "%s-lock", path);
    crash_point("before a day is dropped");
    if (unlink(path) < 0 && errno != ENOENT)
        log_error("store", "cannot remove %s: %s", path, strerror(errno));
    else {
        unlink(lock);
        days_put(g, day, NULL);
        g->store->days_dropped++;
        log_info("store", "dropped %s: %s", path, why);
    }
    pthread_mutex_unlock(&g->open_mu);
    pthread_mutex_unlock(&g->change_mu);
    (void)dir_sync(g->dir, NULL); /* a name that comes back after a power cut is dropped again */
}

static void drop_old(struct sig *g, int64_t now_ms)
{
    int64_t limit = now_ms - g->retention_ms;
    uint32_t n;
    int32_t *days;

    if (g->retention_ms <= 0)
        return;
    days = days_all(g, &n);
    for (uint32_t i = 0; i < n && day_start_ms(days[i] + 1) <= limit; i++)
        drop_day(g, days[i], "older than the retention");
    free(days);
}

/* The signal with the oldest day, if that is not the newest day of all. */
static struct sig *oldest(struct store *s, int32_t *day)
{
    int32_t newest = INT32_MIN;
    struct sig *found = NULL;

    *day = INT32_MAX;
    for (uint32_t i = 0; i < s->nsigs; i++) {
        struct sig *g = &s->sigs[i];

        pthread_mutex_lock(&g->list_mu);
        if (g->ndays > 0 && g->days[0].day < *day) {
            *day = g->days[0].day;
            found = g;
        }
        if (g->ndays > 0)
            newest = MAX(newest, g->days[g->ndays - 1].day);
        pthread_mutex_unlock(&g->list_mu);
    }
    return found && *day < newest ? found : NULL;
}

static void keep_budget(struct store *s)
{
    struct store_stats st;
    struct sig *g;
    int32_t day;

    if (s->opts.disk_max_bytes == 0)
        return;
    for (store_stats(s, &st); st.disk_bytes > s->opts.disk_max_bytes && (g = oldest(s, &day)); store_stats(s, &st))
        drop_day(g, day, "disk.max is reached");
    if (st.disk_bytes > s->opts.disk_max_bytes && st.journal_bytes > s->opts.disk_max_bytes / 8)
        store_flush_soon(s, NULL);
    disk_over_budget(s->disk, st.disk_bytes > s->opts.disk_max_bytes);
}

/* --- sealing ------------------------------------------------------------------------------------ */

static int write_sealed(struct sig *g, struct partition *from, const char *tmp, struct err *e)
{
    struct partition *to;
    struct manifest m;
    int rc;

    partition_manifest(from, &m);
    rc = days_open(g, partition_day(from), tmp, DAYS_CREATE, &to, e);
    if (rc < 0)
        return rc;
    partition_expect(to, partition_bytes(from));
    rc = g->ops->seal(g->self, from, to, e);
    if (rc == 0)
        rc = partition_seal(to, m.contained, e);
    partition_unref(to);
    return rc;
}

/* The new file takes the day's place, unless the old one was written since `version`. */
static int swap(struct sig *g, struct partition *from, uint64_t version, const char *tmp, struct err *e)
{
    int32_t day = partition_day(from);
    char path[PATH_MAX], lock[PATH_MAX + 8];
    struct partition *to = NULL;
    int rc = 0;

    days_path(g, day, path);
    snprintf(lock, sizeof lock, "%s-lock", path);
    pthread_mutex_lock(&g->change_mu);
    pthread_mutex_lock(&g->open_mu);
    partition_lock(from);
    if (partition_version(from) != version)
        rc = err_set(e, ERR_AGAIN, "%s was written while it was sealed", path);
    if (rc == 0)
        rc = days_open(g, day, tmp, 0, &to, e);
    crash_point("sealed, not renamed");
    if (rc == 0 && rename(tmp, path) < 0)
        rc = err_sys(e, errno, "cannot rename %s", tmp);
    if (rc == 0) {
        crash_point("sealed and renamed");
        unlink(lock); /* of the live file: its holders have it open, nobody else will ask for it */
        partition_retire(from);
    }
    partition_unlock(from);
    if (rc == 0) {
        days_put(g, day, to);
        rc = dir_sync(g->dir, e);
    } else
        partition_unref(to);
    pthread_mutex_unlock(&g->open_mu);
    pthread_mutex_unlock(&g->change_mu);
    return rc;
}

static uint64_t file_bytes(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void remove_tmp(const char *tmp)
{
    char lock[PATH_MAX + 16];

    unlink(tmp);
    snprintf(lock, sizeof lock, "%s-lock", tmp);
    unlink(lock);
}

int upkeep_seal(struct sig *g, int32_t day, bool again, struct err *e)
{
    char path[PATH_MAX], tmp[PATH_MAX + 8];
    struct partition *from;
    uint64_t version;
    int64_t start_ms = clock_mono_ms();
    int rc = days_get(g, day, false, &from, e);

    if (rc < 0 || (partition_sealed(from) && !again)) {
        if (rc == 0)
            partition_unref(from);
        return rc;
    }
    days_path(g, day, path);
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    remove_tmp(tmp);
    version = partition_version(from);
    rc = write_sealed(g, from, tmp, e);
    if (rc == 0)
        rc = suspect_verify(tmp, e);
    if (rc == 0 && chmod(tmp, 0440) < 0) /* a hint for days_list_live */
        rc = err_sys(e, errno, "cannot chmod %s", tmp);
    crash_point("sealed copy verified");
    if (rc == 0)
        rc = swap(g, from, version, tmp, e);
    if (rc == 0)
        log_info("store", "sealed %s: was %.1f MB, is %.1f MB, %lld ms", path, (double)partition_bytes(from) / 1e6,
                 (double)file_bytes(path) / 1e6, (long long)(clock_mono_ms() - start_ms));
    remove_tmp(tmp);
    partition_unref(from);
    return rc;
}

/* Over, its grace passed, and quiet: a day that is still being filled from afar would only be unsealed again. */
static bool is_over(const struct sig *g, struct partition *p, int64_t now_ms)
{
    int64_t grace = g->store->opts.seal_grace_ms;

    return now_ms >= day_start_ms(partition_day(p) + 1) + grace &&
           clock_wall_ms() - partition_written_ms(p) >= MIN(grace, (int64_t)QUIET_MS_MAX);
}

/* --- rounds ------------------------------------------------------------------------------------- */

static void tend(struct sig *g, struct partition *p, int64_t now_ms)
{
    bool did = false;
    struct err e;
    int rc = 0;

    if (partition_sealed(p))
        return;
    partition_check_readers(p);
    if (g->ops->seal && is_over(g, p, now_ms)) {
        pthread_mutex_lock(&g->seal_mu);
        rc = upkeep_seal(g, partition_day(p), false, &e);
        pthread_mutex_unlock(&g->seal_mu);
    }
    else if (g->ops->merge)
        rc = g->ops->merge(g->self, p, &did, &e);
    if (rc < 0 && rc != ERR_AGAIN)
        log_error("store", "%s: %s", partition_path(p), e.text);
}

/* Only what is open, or not sealed as far as is known: sealed days that nobody asks for stay closed. */
static void tend_signal(struct sig *g, int64_t now_ms)
{
    struct partition_list l = {0};

    drop_old(g, now_ms);
    days_list_live(g, &l);
    for (uint32_t i = 0; i < l.n; i++)
        tend(g, l.v[i], now_ms);
    partition_list_release(&l);
    if (g->ops->tended) {
        struct err e = {0};

        if (g->ops->tended(g->self, now_ms, &e) < 0)
            log_error("store", "%s: %s", g->ops->name, e.text);
    }
}

void upkeep_round(struct store *s, int64_t now_ms)
{
    for (uint32_t i = 0; i < s->nsigs; i++)
        tend_signal(&s->sigs[i], now_ms);
    keep_budget(s);
}

static void *run(void *arg)
{
    struct upkeep *u = arg;
    int64_t round_ms = MAX(u->store->opts.upkeep_interval_ms, (int64_t)ROUND_MS_MIN);

    while (ticker_pause(&u->ticker, round_ms) == 0)
        upkeep_round(u->store, clock_wall_ms());
    return NULL;
}

int upkeep_start(struct store *s, struct upkeep **out, struct err *e)
{
    struct upkeep *u = x_zalloc(sizeof *u);
    int rc;

    u->store = s;
    ticker_init(&u->ticker);
    rc = ticker_start(&u->ticker, "upkeep", run, u, e);
    if (rc < 0)
        upkeep_stop(u);
    else
        *out = u;
    return rc;
}

void upkeep_stop(struct upkeep *u)
{
    if (!u)
        return;
    ticker_release(&u->ticker);
    free(u);
}
