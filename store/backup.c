/*
 * backup.c - a copy that is consistent although nothing stands still.
 *
 * The order makes it so: state first (what it says is contained, is, in all that is copied later), then the journal up to
 * now, then the partitions, each of which contains at least what the journal had dropped by then. What a partition has
 * beyond the journal's copy is whole as well, and the floor for new numbers, written last, lies above all of it.
 *
 * (1) Linked are only files that never change again: sealed days, journal files that were closed.
 * (2) A backup that failed is left without a MANIFEST: it is not one.
 */
#include "store/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct backup {
    struct store *s;
    const char *dir;
    struct buf list; /* of the MANIFEST */
};

static int make_dir(const char *dir, struct err *e)
{
    return mkdir(dir, 0750) < 0 && errno != EEXIST ? err_sys(e, errno, "cannot make %s", dir) : 0;
}

static void note(struct backup *b, const char *path)
{
    struct stat st;

    buf_printf(&b->list, "%s\t%lld\n", path + strlen(b->dir) + 1, stat(path, &st) == 0 ? (long long)st.st_size : -1LL);
}

/* A link; a copy where the other directory is on another file system. */
static int link_or_copy(const char *from, const char *to, struct err *e)
{
    if (link(from, to) == 0)
        return 0;
    if (errno != EXDEV && errno != EPERM && errno != EMLINK)
        return err_sys(e, errno, "cannot link %s to %s", from, to);
    return file_copy(from, to, e);
}

static int sync_file(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

    if (fd < 0 || fsync(fd) < 0)
        rc = err_sys(e, errno, "cannot sync %s", path);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int take_state(struct backup *b, struct err *e)
{
    char to[PATH_MAX];
    int rc;

    snprintf(to, sizeof to, "%s/state.mdb", b->dir);
    rc = state_copy(b->s->state, to, e);
    return rc;
}

static int take_journal_file(void *arg, const char *path, struct err *e)
{
    struct backup *b = arg;
    char to[PATH_MAX];
    int rc;

    snprintf(to, sizeof to, "%s/journal%s", b->dir, strrchr(path, '/'));
    rc = link_or_copy(path, to, e);
    if (rc == 0)
        note(b, to);
    return rc;
}

static int take_day(struct backup *b, struct sig *g, struct partition *p, struct err *e)
{
    char to[PATH_MAX];
    int rc;

    snprintf(to, sizeof to, "%s/%s%s", b->dir, g->ops->name, strrchr(partition_path(p), '/'));
    if (partition_sealed(p)) {
        pthread_mutex_lock(&g->open_mu); /* unsealing puts a copy in its place: either file is whole */
        rc = link_or_copy(partition_path(p), to, e);
        pthread_mutex_unlock(&g->open_mu);
    } else {
        rc = partition_copy(p, to, e);
        if (rc == 0)
            rc = sync_file(to, e);
    }
    if (rc == 0)
        note(b, to);
    return rc;
}

static int take_signal(struct backup *b, struct sig *g, struct err *e)
{
    struct partition_list l;
    char dir[PATH_MAX];
    int rc;

    snprintf(dir, sizeof dir, "%s/%s", b->dir, g->ops->name);
    rc = make_dir(dir, e);
    if (rc < 0)
        return rc;
    days_list(g, INT32_MIN, INT32_MAX - 1, &l);
    for (uint32_t i = 0; i < l.n && rc == 0; i++)
        rc = take_day(b, g, l.v[i], e);
    partition_list_release(&l);
    return rc == 0 ? dir_sync(dir, e) : rc;
}

/* Above every number that any of the copies can hold. */
static int put_floor(struct backup *b, struct err *e)
{
    char path[PATH_MAX], value[8];
    struct state *copy;
    int rc;

    snprintf(path, sizeof path, "%s/state.mdb", b->dir);
    rc = state_open(path, false, &copy, e);
    if (rc < 0)
        return rc;
    put_u64le(value, journal_next_seq(b->s->journal));
    rc = state_put(copy, STR("store/seq"), str_n(value, sizeof value), e);
    state_close(copy);
    snprintf(path, sizeof path, "%s/state.mdb-lock", b->dir);
    unlink(path);
    return rc;
}

static int put_list(struct backup *b, struct err *e)
{
    char path[PATH_MAX], tmp[PATH_MAX];
    FILE *f;
    bool ok;

    snprintf(path, sizeof path, "%s/MANIFEST", b->dir);
    snprintf(tmp, sizeof tmp, "%s/MANIFEST.tmp", b->dir);
    f = fopen(tmp, "we");
    if (!f)
        return err_sys(e, errno, "cannot write %s", tmp);
    ok = fwrite(b->list.p, 1, b->list.n, f) == b->list.n && fflush(f) == 0 && fsync(fileno(f)) == 0;
    ok = fclose(f) == 0 && ok;
    if (!ok || rename(tmp, path) < 0)
        return err_sys(e, errno, "cannot write %s", path);
    return dir_sync(b->dir, e);
}

static int refuse_used(const char *dir, struct err *e)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/state.mdb", dir);
    return access(path, F_OK) == 0 ? err_set(e, ERR_EXISTS, "%s holds a data directory or backup already", dir) : 0;
}

int store_backup(struct store *s, const char *to_dir, bool flush_first, struct err *e)
{
    struct backup b = {.s = s, .dir = to_dir};
    char dir[PATH_MAX];
    int rc = 0;

    if (flush_first)
        rc = store_flush(s, NULL, e);
    if (rc == 0)
        rc = make_dir(to_dir, e);
    if (rc == 0)
        rc = refuse_used(to_dir, e);
    snprintf(dir, sizeof dir, "%s/journal", to_dir);
    if (rc == 0)
        rc = make_dir(dir, e);
    if (rc == 0)
        rc = take_state(&b, e);
    if (rc == 0) {
        journal_roll(s->journal, true);
        rc = journal_closed_files(s->journal, take_journal_file, &b, e);
    }
    if (rc == 0)
        rc = dir_sync(dir, e);
    for (uint32_t i = 0; i < s->nsigs && rc == 0; i++)
        rc = take_signal(&b, &s->sigs[i], e);
    if (rc == 0)
        rc = put_floor(&b, e);
    if (rc == 0) {
        snprintf(dir, sizeof dir, "%s/state.mdb", to_dir);
        note(&b, dir);
        rc = put_list(&b, e);
    }
    buf_release(&b.list);
    return rc < 0 ? err_ctx(e, "backup to %s", to_dir) : 0;
}
