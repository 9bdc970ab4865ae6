/*
 * damage.c - the part of damage.h that runs while the process is dying.
 *
 * (1) Handlers touch only what was prepared before: a table of ranges, one open file. No lock, no malloc, no stdio.
 * (2) After the name is written, the signal takes its course: we die of it, with the dump the operator expects.
 * (3) A range is published last (its start, release) and withdrawn first, so that a handler sees it whole or not at all.
 */
#include "store/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { RANGES_MAX = 4096, NAME_BYTES = 232 };

struct range {
    _Atomic uintptr_t start; /* 0: free or being filled */
    size_t n;
    char path[NAME_BYTES];
    bool taken; /* under ranges_mu */
};

static struct range ranges[RANGES_MAX];
static _Atomic unsigned ranges_used; /* slots beyond were never taken */
static pthread_mutex_t ranges_mu = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int suspect_fd = -1;
static struct sigaction old_sigbus;

int damage_range_add(const void *p, size_t n, const char *path)
{
    int slot = -1;

    pthread_mutex_lock(&ranges_mu);
    for (unsigned i = 0; i < RANGES_MAX && slot < 0; i++)
        if (!ranges[i].taken)
            slot = (int)i;
    if (slot >= 0) {
        struct range *r = &ranges[slot];

        r->taken = true;
        r->n = n;
        snprintf(r->path, sizeof r->path, "%s", path);
        atomic_store_explicit(&r->start, (uintptr_t)p, memory_order_release);
        if ((unsigned)slot >= ranges_used)
            ranges_used = (unsigned)slot + 1;
    }
    pthread_mutex_unlock(&ranges_mu);
    return slot;
}

void damage_range_del(int slot)
{
    if (slot < 0)
        return;
    pthread_mutex_lock(&ranges_mu);
    atomic_store_explicit(&ranges[slot].start, 0, memory_order_release);
    ranges[slot].taken = false;
    pthread_mutex_unlock(&ranges_mu);
}

static void put(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, p, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return;
        p += w;
        n -= (size_t)w;
    }
}

void damage_append(const char *path, const char *text)
{
    char line[NAME_BYTES + 256];
    size_t n = 0;
    int fd = suspect_fd;

    while (*path && n < NAME_BYTES)
        line[n++] = *path++;
    line[n++] = '\t';
    for (; *text && n < sizeof line - 1; text++)
        line[n++] = *text == '\n' ? ' ' : *text;
    line[n++] = '\n';
    if (fd < 0)
        return;
    put(fd, line, n); /* one write, O_APPEND: lines of two threads do not mix */
    fsync(fd);
}

void damage_blame(const char *path, const char *why)
{
    char text[200] = "crash\t";
    size_t n = 6;

    if (!path)
        return;
    for (; why && *why && n < sizeof text - 1; why++)
        text[n++] = *why;
    text[n] = '\0';
    damage_append(path, text);
    put(STDERR_FILENO, "store: dying of a damaged file: ", 32);
    put(STDERR_FILENO, path, strlen(path));
    put(STDERR_FILENO, "\n", 1);
}

static const char *path_of(uintptr_t a)
{
    unsigned n = ranges_used;

    for (unsigned i = 0; i < n; i++) {
        uintptr_t start = atomic_load_explicit(&ranges[i].start, memory_order_acquire);

        if (start && a >= start && a - start < ranges[i].n)
            return ranges[i].path;
    }
    return NULL;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    const char *path = path_of((uintptr_t)info->si_addr);

    (void)sig;
    (void)context;
    if (path)
        damage_blame(path, "SIGBUS");
    sigaction(SIGBUS, &old_sigbus, NULL); /* the faulting instruction runs again, and this time it is final */
}

int damage_setup(const char *dir, struct err *e)
{
    char path[PATH_MAX];
    struct sigaction a;
    int fd;

    snprintf(path, sizeof path, "%s/suspect", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_sys(e, errno, "cannot open %s", path);
    fd = atomic_exchange(&suspect_fd, fd);
    if (fd >= 0)
        close(fd);
    sigaction(SIGBUS, NULL, &a);
    if (!(a.sa_flags & SA_SIGINFO) || a.sa_sigaction != on_sigbus) {
        old_sigbus = a;
        memset(&a, 0, sizeof a);
        a.sa_sigaction = on_sigbus;
        a.sa_flags = SA_SIGINFO;
        sigemptyset(&a.sa_mask);
        sigaction(SIGBUS, &a, NULL);
    }
    return 0;
}

void damage_release(void)
{
    int fd = atomic_exchange(&suspect_fd, -1);

    if (fd >= 0)
        close(fd);
}
