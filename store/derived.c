/*
 * derived.c - days that are made whole from others: aggregates. Written beside, sealed, read back, renamed into place.
 *
 * (1) A file that bears a day's name is complete: what died half way is NAME.tmp, which the next start removes.
 * (2) The file that was in its place lives on for those who hold it.
 */
#include "store/suspect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void tmp_path(const struct sig *g, int32_t day, char out[PATH_MAX + 8])
{
    char path[PATH_MAX];

    days_path(g, day, path);
    snprintf(out, PATH_MAX + 8, "%s.tmp", path);
}

static void remove_tmp(const struct sig *g, int32_t day)
{
    char tmp[PATH_MAX + 8], lock[PATH_MAX + 16];

    tmp_path(g, day, tmp);
    unlink(tmp);
    snprintf(lock, sizeof lock, "%s-lock", tmp);
    unlink(lock);
}

int store_day_make(struct store *s, const char *name, int32_t day, struct partition **to, struct err *e)
{
    struct sig *g = store_sig(s, name);
    char tmp[PATH_MAX + 8];
    int rc;

    pthread_mutex_lock(&g->seal_mu);
    remove_tmp(g, day);
    tmp_path(g, day, tmp);
    rc = days_open(g, day, tmp, DAYS_CREATE, to, e);
    if (rc < 0) {
        remove_tmp(g, day);
        pthread_mutex_unlock(&g->seal_mu);
    }
    return rc;
}

/* Holds seal_mu. */
static int put(struct sig *g, int32_t day, struct err *e)
{
    char path[PATH_MAX], tmp[PATH_MAX + 8];
    struct partition *p = NULL;
    int rc;

    days_path(g, day, path);
    tmp_path(g, day, tmp);
    rc = suspect_verify(tmp, e);
    if (rc == 0 && chmod(tmp, 0440) < 0)
        rc = err_sys(e, errno, "cannot chmod %s", tmp);
    if (rc < 0)
        return rc;
    crash_point("derived day verified");
    pthread_mutex_lock(&g->open_mu);
    rc = days_open(g, day, tmp, 0, &p, e);
    if (rc == 0 && rename(tmp, path) < 0)
        rc = err_sys(e, errno, "cannot rename %s", tmp);
    crash_point("derived day renamed");
    if (rc == 0) {
        days_put(g, day, p);
        store_unwarn(g->store, path);
        rc = dir_sync(g->dir, e);
    } else {
        partition_unref(p);
    }
    pthread_mutex_unlock(&g->open_mu);
    return rc;
}

int store_day_put(struct store *s, const char *name, struct partition *to, uint64_t contained, struct err *e)
{
    struct sig *g = store_sig(s, name);
    int32_t day = partition_day(to);
    int rc = partition_seal(to, contained, e);

    partition_unref(to);
    if (rc == 0)
        rc = put(g, day, e);
    remove_tmp(g, day);
    pthread_mutex_unlock(&g->seal_mu);
    return rc;
}

void store_day_drop(struct store *s, const char *name, struct partition *to)
{
    struct sig *g = store_sig(s, name);
    int32_t day = partition_day(to);

    partition_unref(to);
    remove_tmp(g, day);
    pthread_mutex_unlock(&g->seal_mu);
}

static bool is_damaged(struct sig *g, int32_t day)
{
    struct partition *p = days_peek(g, day);
    bool is = p && partition_is_damaged(p);

    partition_unref(p);
    return is;
}

uint32_t store_days(struct store *s, const char *name, struct store_day **out)
{
    struct sig *g = store_sig(s, name);
    uint32_t n, kept = 0;
    int32_t *days = days_all(g, &n);
    char path[PATH_MAX];
    struct stat st;

    *out = x_alloc((n + 1) * sizeof **out);
    for (uint32_t i = 0; i < n; i++) {
        days_path(g, days[i], path);
        if (stat(path, &st) < 0)
            continue;
        (*out)[kept++] = (struct store_day){
            .day = days[i],
            .live = st.st_mode & S_IWUSR,
            .damaged = is_damaged(g, days[i]),
            .written_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
            .bytes = (uint64_t)st.st_size,
        };
    }
    free(days);
    return kept;
}
