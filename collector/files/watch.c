/*
 * watch.c - inotify: folders tell of files that come and go, files of what is written to them. Where it cannot be had (too many
 * watches, a file system of another machine) files are polled.
 *
 * (1) A number of inotify's stands for one inode; several followed files may share it (two jobs, one file).
 */
#include "collector/files/tailer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { POLL_MS = 250, NEW_CONTAINER_MS = 200 };

struct watch_entry {
    int watch;
    struct followed *w;
};

struct watch_list {
    struct watch_entry *v; /* sorted by watch */
    uint32_t n, cap;
    bool said;
};

void watch_open(struct files *f)
{
    f->watches = x_zalloc(sizeof(*f->watches));
    f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (f->inotify < 0)
        log_warn("files", "no inotify, files are polled: %s", strerror(errno));
}

void watch_close(struct files *f)
{
    struct map_entry *en;
    uint32_t i = 0;

    if (f->inotify >= 0)
        close(f->inotify);
    free(f->watches->v);
    free(f->watches);
    while ((en = map_next(&f->folders, &i)))
        free((char *)(uintptr_t)en->key.p);
    map_release(&f->folders);
}

int watch_folder(struct files *f, const char *path)
{
    int watch;

    if (f->inotify < 0)
        return -1;
    watch = inotify_add_watch(f->inotify, path, IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR);
    if (watch >= 0 && !map_get(&f->folders, str_of(path)))
        *map_put(&f->folders, str_of(x_strdup(str_of(path))), NULL) = (void *)(uintptr_t)(watch + 1);
    return watch;
}

static uint32_t lower_bound(const struct watch_list *l, int watch)
{
    uint32_t low = 0, high = l->n;

    while (low < high) {
        uint32_t mid = (low + high) / 2;

        if (l->v[mid].watch < watch)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* On file systems of other machines inotify hears nothing of the others' writes. */
static bool is_remote(int fd)
{
    struct statfs st;

    return fstatfs(fd, &st) == 0 && (st.f_type == 0x6969 /* nfs */ || st.f_type == 0xff534d42 /* cifs */ || st.f_type == 0xfe534d42 /* smb2 */ ||
                                     st.f_type == 0x65735546 /* fuse */);
}

void watch_file(struct followed *w)
{
    struct files *f = w->t->job->f;
    struct watch_list *l = f->watches;
    char path[64];
    uint32_t at;

    w->watch = -1;
    w->poll_every_ms = POLL_MS;
    w->poll_ms = clock_mono_ms() + POLL_MS;
    if (f->inotify < 0 || is_remote(source_fd(w->src)))
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", source_fd(w->src));
    w->watch = inotify_add_watch(f->inotify, path, IN_MODIFY);
    if (w->watch < 0) {
        if (!l->said)
            log_warn("files", "not every file can be watched, the others are polled: %s", strerror(errno));
        l->said = true;
        return;
    }
    w->poll_ms = INT64_MAX;
    if (l->n == l->cap) {
        l->cap = l->cap * 2 + 64;
        l->v = x_realloc(l->v, sizeof(*l->v) * l->cap);
    }
    at = lower_bound(l, w->watch);
    memmove(l->v + at + 1, l->v + at, sizeof(*l->v) * (l->n - at));
    l->v[at] = (struct watch_entry){w->watch, w};
    l->n++;
}

void watch_forget(struct followed *w)
{
    struct files *f = w->t->job->f;
    struct watch_list *l = f->watches;
    uint32_t at, others = 0;

    if (w->watch < 0)
        return;
    at = lower_bound(l, w->watch);
    for (uint32_t i = at; i < l->n && l->v[i].watch == w->watch; i++)
        others += l->v[i].w != w;
    while (at < l->n && l->v[at].w != w)
        at++;
    if (at < l->n) {
        memmove(l->v + at, l->v + at + 1, sizeof(*l->v) * (l->n - at - 1));
        l->n--;
    }
    if (!others)
        inotify_rm_watch(f->inotify, w->watch);
    w->watch = -1;
}

void watch_read(struct files *f)
{
    char events[16384] __attribute__((aligned(8)));
    ssize_t n;

    for (int rounds = 0; rounds < 16 && (n = read(f->inotify, events, sizeof(events))) > 0; rounds++) {
        for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
            struct inotify_event ev;
            struct watch_list *l = f->watches;

            memcpy(&ev, events + at, sizeof(ev));
            at += (ssize_t)(sizeof(ev) + ev.len);
            if (ev.mask & (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_Q_OVERFLOW))
                f->scan_now = true;
            if (f->docker_watch && ev.wd == f->docker_watch - 1)
                discovery_hurry(f->discovery, SD_DOCKER, NEW_CONTAINER_MS);
            for (uint32_t i = lower_bound(l, ev.wd); i < l->n && l->v[i].watch == ev.wd; i++)
                files_queue(f, l->v[i].w);
            if (ev.mask & IN_Q_OVERFLOW) {
                for (uint32_t i = 0; i < l->n; i++)
                    files_queue(f, l->v[i].w);
            }
        }
    }
}
