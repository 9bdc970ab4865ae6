/*
 * days.c - the days of a signal: which there are, opened when first wanted, swapped when sealed, dropped when old.
 *
 * (1) A file is opened at most once at a time for writing: under open_mu.
 * (2) The list is looked at under list_mu, held for moments: a query never waits for a flush, only for the opening of a day it asks for.
 * (3) Start does not open files: their number does not matter to it.
 * (4) Late data for a sealed day goes to a copy, which takes the sealed file's place before the first commit into it.
 */
#include "store/suspect.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

/* --- names -------------------------------------------------------------------------------------- */

void days_path(const struct sig *g, int32_t day, char out[PATH_MAX])
{
    time_t t = (time_t)day * 86400;
    struct tm tm;

    gmtime_r(&t, &tm);
    snprintf(out, PATH_MAX, "%s/%04d-%02d-%02d.mdb", g->dir, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

/* "2026-11-22.mdb" -> its day. */
static bool day_of_name(const char *name, int32_t *day)
{
    struct tm tm = {0};
    const char *end = strptime(name, "%Y-%m-%d", &tm);

    if (!end || strcmp(end, ".mdb") != 0)
        return false;
    *day = (int32_t)(timegm(&tm) / 86400);
    return true;
}

/* --- the list ----------------------------------------------------------------------------------- */

/* Place of the first slot whose day is >= day. The caller holds list_mu. */
static uint32_t slot_at(const struct sig *g, int32_t day)
{
    uint32_t lo = 0, hi = g->ndays;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (g->days[mid].day < day)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct day_slot *slot_find(struct sig *g, int32_t day)
{
    uint32_t i = slot_at(g, day);

    return i < g->ndays && g->days[i].day == day ? &g->days[i] : NULL;
}

static struct day_slot *slot_add(struct sig *g, int32_t day)
{
    uint32_t i = slot_at(g, day);

    if (i < g->ndays && g->days[i].day == day)
        return &g->days[i];
    if (g->ndays == g->days_cap) {
        g->days_cap = g->days_cap ? g->days_cap * 2 : 32;
        g->days = x_realloc(g->days, g->days_cap * sizeof *g->days);
    }
    memmove(g->days + i + 1, g->days + i, (g->ndays - i) * sizeof *g->days);
    g->ndays++;
    g->days[i] = (struct day_slot){.day = day};
    return &g->days[i];
}

void days_put(struct sig *g, int32_t day, struct partition *p)
{
    struct partition *old = NULL;
    struct day_slot *s;

    pthread_mutex_lock(&g->list_mu);
    s = p ? slot_add(g, day) : slot_find(g, day);
    if (s) {
        old = s->p;
        s->p = p;
        s->bad = false;
        if (!p) {
            uint32_t i = (uint32_t)(s - g->days);

            memmove(s, s + 1, (g->ndays - i - 1) * sizeof *s);
            g->ndays--;
        }
    }
    pthread_mutex_unlock(&g->list_mu);
    partition_unref(old);
}

static void remove_leftover(const struct sig *g, const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", g->dir, name);
    if (unlink(path) < 0)
        log_warn("store", "cannot remove %s: %s", path, strerror(errno));
}

int days_scan(struct sig *g, struct err *e)
{
    bool read_only = g->store->opts.read_only;
    char path[PATH_MAX];
    struct dirent *f;
    struct stat st;
    int32_t day;
    DIR *d;

    if (!read_only && mkdir(g->dir, 0750) < 0 && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s", g->dir);
    d = opendir(g->dir);
    if (!d)
        return read_only && errno == ENOENT ? 0 : err_sys(e, errno, "cannot read %s", g->dir);
    while ((f = readdir(d))) {
        struct str name = str_of(f->d_name);

        if (day_of_name(f->d_name, &day)) {
            days_path(g, day, path);
            slot_add(g, day)->bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
        } else if (!read_only && (str_ends(name, STR(".tmp")) || str_ends(name, STR("-lock"))))
            remove_leftover(g, f->d_name); /* we hold the store's lock: nobody uses them */
    }
    closedir(d);
    return 0;
}

void days_release(struct sig *g)
{
    for (uint32_t i = 0; i < g->ndays; i++)
        partition_unref(g->days[i].p);
    free(g->days);
    g->days = NULL;
    g->ndays = g->days_cap = 0;
}

/* --- opening ------------------------------------------------------------------------------------ */

static void on_gone(void *arg, struct partition *p)
{
    struct sig *g = arg;

    if (g->ops->detach && partition_user(p))
        g->ops->detach(g->self, p, partition_user(p));
}

static void on_damaged(void *arg, struct partition *p, const struct err *e)
{
    struct sig *g = arg;

    log_error("store", "%s", e ? e->text : partition_path(p));
    store_warn(g->store, partition_path(p), "%s is damaged: %s", partition_path(p), e ? e->text : "no more is known");
    suspect_note(g->store, partition_path(p), e ? e->text : "damage met while reading");
}

static void on_failed(void *arg, int code, const struct err *e)
{
    struct sig *g = arg;

    (void)e;
    if (code == ERR_FULL || (code == ERR_IO && disk_free_bytes(g->store->disk) < (1 << 20)))
        disk_met_full(g->store->disk);
}

int days_open(struct sig *g, int32_t day, const char *path, unsigned how, struct partition **out, struct err *e)
{
    char name[PATH_MAX];
    struct partition_opts o = {
        .path = path,
        .name = name,
        .day = day,
        .signal = g->ops->name,
        .format = g->ops->format,
        .create = how & DAYS_CREATE,
        .may_write = how & DAYS_WRITE_SEALED,
        .read_only = g->store->opts.read_only || (how & DAYS_READ_ONLY),
        .gone = on_gone,
        .damaged = on_damaged,
        .failed = on_failed,
        .arg = g,
    };
    struct partition *p;
    void *user = NULL;
    int rc;

    days_path(g, day, name);
    rc = partition_open(&o, &p, e);
    if (rc < 0)
        return rc;
    if (g->ops->attach && !(how & DAYS_NO_ATTACH)) {
        rc = g->ops->attach(g->self, p, &user, e);
        if (rc < 0) {
            partition_unref(p); /* no user: nothing to detach */
            return rc;
        }
        partition_set_user(p, user);
    }
    *out = p;
    return 0;
}

static void slot_del(struct sig *g, int32_t day)
{
    struct day_slot *s;

    pthread_mutex_lock(&g->list_mu);
    s = slot_find(g, day);
    if (s) {
        assert(!s->p);
        memmove(s, s + 1, (g->ndays - (uint32_t)(s - g->days) - 1) * sizeof *s);
        g->ndays--;
    }
    pthread_mutex_unlock(&g->list_mu);
}

/* The file cannot be used: put aside when it is damage, else left alone and left out until the next start. */
static int give_up(struct sig *g, int32_t day, const char *path, int code, const struct err *e)
{
    if (code == ERR_CORRUPT && !g->store->opts.read_only && suspect_quarantine(g->store, path, e) == 0) {
        slot_del(g, day);
        return ERR_NOT_FOUND;
    }
    log_error("store", "cannot open %s: %s", path, e->text);
    if (code == ERR_CORRUPT || code == ERR_UNSUPPORTED)
        days_mark_bad(g, day, e);
    return code;
}

/* Opens the day's file and puts it into the list. Holds open_mu. */
static int open_day(struct sig *g, int32_t day, unsigned how, struct partition **out, struct err *e)
{
    struct day_slot *s;
    char path[PATH_MAX];
    bool is_there;
    int rc = 0;

    days_path(g, day, path);
    is_there = access(path, F_OK) == 0;
    if (is_there)
        rc = suspect_check(g->store, path, e);
    if (rc == 0)
        rc = days_open(g, day, path, how, out, e);
    if (rc == ERR_NOT_FOUND)
        slot_del(g, day); /* somebody took the file away */
    if (rc < 0)
        return is_there ? give_up(g, day, path, rc, e) : rc;
    pthread_mutex_lock(&g->list_mu);
    s = slot_add(g, day);
    s->p = partition_ref(*out);
    s->bytes = partition_bytes(*out);
    pthread_mutex_unlock(&g->list_mu);
    return 0;
}

/* What the list has: 1 and a reference, or 0 (not open, or none), or <0 (there, but not to be used). */
static int look(struct sig *g, int32_t day, struct partition **out, bool *listed, struct err *e)
{
    struct day_slot *s;
    int rc = 0;

    pthread_mutex_lock(&g->list_mu);
    s = slot_find(g, day);
    *listed = s != NULL;
    if (s && s->p) {
        *out = partition_ref(s->p);
        rc = 1;
    } else if (s && s->bad)
        rc = err_set(e, ERR_UNAVAILABLE, "%s day %d: its file cannot be opened", g->ops->name, day);
    pthread_mutex_unlock(&g->list_mu);
    return rc;
}

int file_copy(const char *from, const char *to, struct err *e)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, rc = 0;
    ssize_t n = 0;

    if (in >= 0)
        out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (in < 0 || out < 0)
        rc = err_sys(e, errno, "cannot copy %s to %s", from, to);
    while (rc == 0 && (n = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0)) > 0)
        continue;
    if (rc == 0 && (n < 0 || fsync(out) < 0))
        rc = err_sys(e, errno, "cannot copy %s to %s", from, to);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return rc;
}

/* A writable copy takes the place of a sealed file (4). Holds open_mu. */
static int unseal(struct sig *g, int32_t day, struct partition **p, struct err *e)
{
    char path[PATH_MAX], tmp[PATH_MAX + 8];
    struct partition *fresh = NULL;
    int rc;

    days_path(g, day, path);
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    rc = file_copy(path, tmp, e);
    crash_point("unseal copied");
    if (rc == 0 && rename(tmp, path) < 0)
        rc = err_sys(e, errno, "cannot rename %s", tmp);
    if (rc < 0) {
        unlink(tmp);
        return rc;
    }
    crash_point("unseal renamed");
    rc = dir_sync(g->dir, e);
    if (rc == 0)
        rc = days_open(g, day, path, DAYS_WRITE_SEALED, &fresh, e);
    if (rc < 0)
        return rc;
    log_info("store", "late data for %s: it is open for writing again", path);
    days_put(g, day, partition_ref(fresh));
    partition_unref(*p);
    *p = fresh;
    return 0;
}

int days_get(struct sig *g, int32_t day, bool create, struct partition **out, struct err *e)
{
    bool listed;
    int rc = look(g, day, out, &listed, e);

    if (rc < 0 || (rc == 0 && !listed && !create))
        return rc < 0 ? rc : ERR_NOT_FOUND;
    if (rc == 1 && !(create && partition_sealed(*out)))
        return 0;
    if (rc == 1)
        partition_unref(*out);
    pthread_mutex_lock(&g->open_mu);
    rc = look(g, day, out, &listed, e);
    if (rc == 0 && listed)
        rc = open_day(g, day, 0, out, e);
    if ((rc == 0 && !listed) || rc == ERR_NOT_FOUND)
        rc = create ? open_day(g, day, DAYS_CREATE, out, e) : ERR_NOT_FOUND;
    if (rc >= 0 && create && partition_sealed(*out)) {
        rc = unseal(g, day, out, e);
        if (rc < 0)
            partition_unref(*out);
    }
    pthread_mutex_unlock(&g->open_mu);
    return rc < 0 ? rc : 0;
}

/* --- the list, from outside --------------------------------------------------------------------- */

/* Takes references to what is open in [first, last]; returns a day that is not open yet, or INT32_MAX. */
static int32_t collect_open(struct sig *g, int32_t first, int32_t last, struct partition_list *out)
{
    int32_t missing = INT32_MAX;
    uint32_t lo, n = 0;

    pthread_mutex_lock(&g->list_mu);
    lo = slot_at(g, first);
    while (lo + n < g->ndays && g->days[lo + n].day <= last)
        n++;
    out->v = x_alloc((n ? n : 1) * sizeof *out->v);
    for (uint32_t i = lo; i < lo + n && missing == INT32_MAX; i++) {
        if (g->days[i].p)
            out->v[out->n++] = partition_ref(g->days[i].p);
        else if (!g->days[i].bad)
            missing = g->days[i].day;
    }
    pthread_mutex_unlock(&g->list_mu);
    return missing;
}

void days_list(struct sig *g, int32_t first, int32_t last, struct partition_list *out)
{
    for (;;) {
        struct partition *p = NULL;
        struct err e;
        int32_t missing;
        int rc;

        *out = (struct partition_list){0};
        missing = collect_open(g, first, last, out);
        if (missing == INT32_MAX)
            return;
        partition_list_release(out);
        rc = days_get(g, missing, false, &p, &e);
        if (rc == 0)
            partition_unref(p);
        else if (rc != ERR_NOT_FOUND)
            days_mark_bad(g, missing, &e);
    }
}

/* Opening failed for a reason that may pass (no descriptors, say): left out of answers until the next start, with a warning. */
void days_mark_bad(struct sig *g, int32_t day, const struct err *e)
{
    struct day_slot *s;
    char path[PATH_MAX];

    days_path(g, day, path);
    store_warn(g->store, path, "%s is not served: %s", path, e->text);
    pthread_mutex_lock(&g->list_mu);
    s = slot_find(g, day);
    if (s && !s->p)
        s->bad = true;
    pthread_mutex_unlock(&g->list_mu);
}

void days_stats(struct sig *g, struct store_stats *out)
{
    pthread_mutex_lock(&g->list_mu);
    for (uint32_t i = 0; i < g->ndays; i++) {
        const struct day_slot *s = &g->days[i];

        out->partitions++;
        out->sealed += s->p && partition_sealed(s->p);
        out->disk_bytes += s->p ? partition_bytes(s->p) : s->bytes;
    }
    pthread_mutex_unlock(&g->list_mu);
}

/*
 * Those that may not be sealed yet: open and live, or not open and with the write bit that sealing takes away. The bit is
 * a hint (a copy may have lost it); the manifest is the truth.
 */
void days_list_live(struct sig *g, struct partition_list *out)
{
    char path[PATH_MAX];
    uint32_t n = 0, cap;
    int32_t *days;
    struct stat st;

    pthread_mutex_lock(&g->list_mu);
    cap = g->ndays;
    days = x_alloc((cap + 1) * sizeof *days);
    for (uint32_t i = 0; i < g->ndays; i++)
        if (g->days[i].p ? !partition_sealed(g->days[i].p) : !g->days[i].bad)
            days[n++] = g->days[i].day;
    pthread_mutex_unlock(&g->list_mu);
    *out = (struct partition_list){.v = x_alloc((n + 1) * sizeof *out->v)};
    for (uint32_t i = 0; i < n; i++) {
        struct err e;

        days_path(g, days[i], path);
        if (stat(path, &st) == 0 && (st.st_mode & S_IWUSR) && days_get(g, days[i], false, &out->v[out->n], &e) == 0)
            out->n++;
    }
    free(days);
}

int32_t *days_all(struct sig *g, uint32_t *n)
{
    int32_t *days;

    pthread_mutex_lock(&g->list_mu);
    *n = g->ndays;
    days = x_alloc((*n + 1) * sizeof *days);
    for (uint32_t i = 0; i < *n; i++)
        days[i] = g->days[i].day;
    pthread_mutex_unlock(&g->list_mu);
    return days;
}

struct partition *days_peek(struct sig *g, int32_t day)
{
    struct partition *p = NULL;
    struct day_slot *s;

    pthread_mutex_lock(&g->list_mu);
    s = slot_find(g, day);
    if (s && s->p)
        p = partition_ref(s->p);
    pthread_mutex_unlock(&g->list_mu);
    return p;
}
