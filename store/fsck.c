/*
 * fsck.c - reads every file of a data directory to the last byte and says what it found. Changes nothing.
 *
 * (1) A file is never mapped here before its pages were walked, so no file can end the program.
 * (2) What is said to be lost is what the file's own manifest says it had.
 */
#include "store/suspect.h"

#include "store/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

struct fsck {
    void (*print)(void *arg, const char *line);
    void *arg;
    int bad;
    struct buf line;
};

static void say(struct fsck *f)
{
    f->print(f->arg, buf_z(&f->line));
    buf_reset(&f->line);
}

static void say_good(struct fsck *f, const struct check *c)
{
    buf_printf(&f->line, "%s: good, %llu %s, %.1f MB", c->path, (unsigned long long)c->pairs,
               c->kind == CHECK_JOURNAL ? "groups" : "keys", (double)c->used_bytes / 1e6);
    if (c->kind == CHECK_PARTITION)
        buf_printf(&f->line, ", %s, %s", c->manifest.signal, c->manifest.sealed ? "sealed" : "live");
    if (c->kind == CHECK_JOURNAL)
        buf_printf(&f->line, ", entries %llu to %llu", (unsigned long long)c->first_seq,
                   (unsigned long long)c->last_seq);
    say(f);
}

static void fsck_file(struct fsck *f, const char *path)
{
    struct check c = {.path = path, .kind = check_kind_of(path), .values = true};
    struct err e = {0};
    int rc = check_file(&c, &e);

    if (rc == 0 && c.bad_values == 0) {
        say_good(f, &c);
        return;
    }
    f->bad++;
    if (rc < 0)
        buf_printf(&f->line, "%s: DAMAGED: %s: what it holds is lost", path, e.text);
    else
        buf_printf(&f->line, "%s: DAMAGED: %llu of %llu values are lost, the first: %s", path,
                   (unsigned long long)c.bad_values, (unsigned long long)c.pairs, c.first_bad);
    say(f);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in dir for which want() holds, sorted. The caller frees each and the array. */
static char **names(const char *dir, bool (*want)(const char *dir, const char *name), uint32_t *n)
{
    DIR *d = opendir(dir);
    char **v = NULL;
    uint32_t cap = 0;
    struct dirent *f;

    *n = 0;
    while (d && (f = readdir(d))) {
        if (f->d_name[0] == '.' || !want(dir, f->d_name))
            continue;
        if (*n == cap) {
            cap = cap ? cap * 2 : 16;
            v = x_realloc(v, cap * sizeof *v);
        }
        v[(*n)++] = x_strdup(str_of(f->d_name));
    }
    if (d)
        closedir(d);
    if (*n > 0)
        qsort(v, *n, sizeof *v, by_name);
    return v;
}

static bool is_mdb(const char *dir, const char *name)
{
    (void)dir;
    return str_ends(str_of(name), STR(".mdb"));
}

static bool is_folder(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return strcmp(name, "quarantine") != 0 && strcmp(name, "snapshots") != 0 && stat(path, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

static bool is_any(const char *dir, const char *name)
{
    (void)dir;
    (void)name;
    return true;
}

static void fsck_folder(struct fsck *f, const char *dir)
{
    char path[PATH_MAX];
    uint32_t n;
    char **v = names(dir, is_mdb, &n);

    for (uint32_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, v[i]);
        fsck_file(f, path);
        free(v[i]);
    }
    free(v);
}

static void list_quarantine(struct fsck *f, const char *dir)
{
    char path[PATH_MAX];
    uint32_t n;
    char **v;

    snprintf(path, sizeof path, "%s/quarantine", dir);
    v = names(path, is_any, &n);
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(&f->line, "%s/%s: in quarantine, what it held is missing", path, v[i]);
        say(f);
        free(v[i]);
    }
    f->bad += (int)n;
    free(v);
}

/* A live file changes under our eyes: only the server itself can check it (store_verify). */
static int refuse_live(const char *dir, struct err *e)
{
    char path[PATH_MAX], pid[32] = "";
    int fd, rc = 0;

    snprintf(path, sizeof path, "%s/lock", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (flock(fd, LOCK_SH | LOCK_NB) < 0) {
        if (read(fd, pid, sizeof pid - 1) > 0)
            pid[strcspn(pid, "\n")] = '\0';
        rc = err_set(e, ERR_BUSY, "%s is in use by the process with pid %s: stop it, or check a backup", dir,
                     *pid ? pid : "unknown");
    }
    close(fd);
    return rc;
}

int store_fsck(const char *dir, void (*print)(void *arg, const char *line), void *arg, struct err *e)
{
    struct fsck f = {.print = print, .arg = arg};
    char path[PATH_MAX];
    uint32_t n;
    char **v;

    if (access(dir, R_OK | X_OK) < 0)
        return err_sys(e, errno, "cannot read %s", dir);
    if (refuse_live(dir, e) < 0)
        return ERR_BUSY;
    fsck_folder(&f, dir);
    v = names(dir, is_folder, &n);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, v[i]);
        fsck_folder(&f, path);
        free(v[i]);
    }
    free(v);
    list_quarantine(&f, dir);
    buf_printf(&f.line, f.bad ? "%d damaged files" : "no damage found", f.bad);
    say(&f);
    buf_release(&f.line);
    return f.bad;
}

/* --- of an open store --------------------------------------------------------------------------- */

enum { AGAIN_MAX = 100, SUCCESSORS_MAX = 8 };

/* A live file is read as of one commit, which a read transaction keeps from being overwritten meanwhile. */
int fsck_partition(struct partition *p, struct check *c, struct err *e)
{
    struct txn *t;
    int rc = ERR_AGAIN;

    for (int i = 0; i < AGAIN_MAX && rc == ERR_AGAIN; i++) {
        if (i > 0) /* two commits came between the transaction and the look at the metas: some come in swarms */
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        rc = txn_read(p, &t, e);
        if (rc < 0)
            return rc;
        c->txn = partition_sealed(p) ? 0 : txn_id(t);
        rc = check_file(c, e);
        txn_end(t);
    }
    if (rc == 0 && c->bad_values > 0)
        rc = err_set(e, ERR_CORRUPT, "%llu of %llu values are damaged, the first: %s",
                     (unsigned long long)c->bad_values, (unsigned long long)c->pairs, c->first_bad);
    return rc < 0 ? err_ctx(e, "%s", c->path) : 0;
}

/* Whether the file of a day may be mapped: (1) holds for stores that nobody has open, too. */
static bool may_map(struct fsck *f, const char *path)
{
    struct check c = {.path = path, .kind = check_kind_of(path)};
    struct err e = {0};

    if (check_file(&c, &e) == 0)
        return true;
    f->bad++;
    buf_printf(&f->line, "%s: DAMAGED: %s: what it holds is lost", path, e.text);
    say(f);
    return false;
}

/* The partition of the slot's day, opened after its pages were walked; NULL: that was said, or it is gone. */
static struct partition *open_closed(struct fsck *f, struct sig *g, int32_t day)
{
    char path[PATH_MAX];
    struct partition *p;
    struct err e = {0};

    days_path(g, day, path);
    if (!may_map(f, path))
        return NULL;
    if (days_get(g, day, false, &p, &e) == 0)
        return p;
    f->bad++;
    buf_printf(&f->line, "%s: DAMAGED: %s", path, e.text);
    say(f);
    return NULL;
}

/* ERR_AGAIN: p's file may have been replaced since p was asked for. */
static int verify_one(struct fsck *f, struct sig *g, struct partition *p, struct err *e)
{
    struct check c = {.path = partition_path(p), .values = true};
    int rc = fsck_partition(p, &c, e);

    if (rc == 0 && g->ops->verify)
        rc = g->ops->verify(g->self, p, f->print, f->arg, e);
    if (rc == 0)
        say_good(f, &c);
    return rc;
}

static void verify_partition(struct fsck *f, struct sig *g, struct partition *p)
{
    struct err e = {0};
    int rc = verify_one(f, g, p, &e);

    for (int i = 0; i < SUCCESSORS_MAX && rc == ERR_AGAIN; i++) { /* sealed, say, meanwhile */
        struct partition *now = NULL;

        rc = days_get(g, partition_day(p), false, &now, &e);
        if (rc == 0)
            rc = verify_one(f, g, now, &e);
        partition_unref(now);
    }
    if (rc < 0 && rc != ERR_NOT_FOUND) { /* that one was dropped meanwhile */
        f->bad++;
        buf_printf(&f->line, "%s: DAMAGED: %s", partition_path(p), e.text);
        say(f);
    }
}

static void verify_open(struct fsck *f, struct sig *g)
{
    struct partition_list l;

    days_list(g, INT32_MIN, INT32_MAX - 1, &l);
    for (uint32_t k = 0; k < l.n; k++)
        verify_partition(f, g, l.v[k]);
    partition_list_release(&l);
}

static int verify_closed(struct fsck *f, struct sig *g, struct err *e)
{
    int rc = g->ndays == 0 ? days_scan(g, e) : 0;
    uint32_t n = g->ndays;
    int32_t *days;

    if (rc < 0)
        return rc;
    days = x_alloc((n + 1) * sizeof *days); /* one whose file is gone leaves the list */
    for (uint32_t i = 0; i < n; i++)
        days[i] = g->days[i].day;
    for (uint32_t i = 0; i < n; i++) {
        struct partition *p = open_closed(f, g, days[i]);

        if (p)
            verify_partition(f, g, p);
        partition_unref(p);
    }
    free(days);
    return 0;
}

int store_verify(struct store *s, void (*print)(void *arg, const char *line), void *arg, struct err *e)
{
    struct fsck f = {.print = print, .arg = arg};

    for (uint32_t i = 0; i < s->nsigs; i++) {
        if (!s->opts.read_only)
            verify_open(&f, &s->sigs[i]);
        else if (verify_closed(&f, &s->sigs[i], e) < 0)
            return e->code;
    }
    buf_printf(&f.line, f.bad ? "%d damaged partitions" : "no damage found", f.bad);
    say(&f);
    buf_release(&f.line);
    return f.bad;
}
