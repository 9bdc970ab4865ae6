/*
 * shim.c - LD_PRELOAD library that writes down every change a process makes to the files of one directory, so that a power
 * cut can be played at any moment of it.
 *
 *     POWERCUT_DIR=/data POWERCUT_LOG=/elsewhere/log LD_PRELOAD=$B/bin/powercut.so $B/bin/tripod serve --data /data ...
 *     $B/bin/powercut /elsewhere/log                      # how many records, marks, syncs
 *     $B/bin/powercut /elsewhere/log 1234 torn 7 OUT      # the disk as it may be if power goes at record 1234, seed 7
 *
 * POWERCUT_DIR must be an absolute path, and empty when the process starts; the log must lie outside of it. Records carry
 * CLOCK_MONOTONIC, so a client that notes when each acknowledgement came knows which of them a cut at a record must keep:
 * those from before the record's time. A process can also say so itself: it looks up `powercut_mark` with dlsym and
 * calls it with a text, which becomes a record.
 *
 * Seen: open (O_CREAT, O_TRUNC, O_DSYNC), write, pwrite, writev, pwritev, ftruncate, truncate, fallocate, fsync, fdatasync, rename, link, unlink,
 * mkdir, copy_file_range. Not seen: stdio (its writes stay inside libc), stores through a shared map. LMDB's lock files
 * are left out: after a power cut they mean nothing.
 *
 * (1) A write is in the log before it is made, and no other write comes between: the order of the log is the order of the disk.
 * (2) A sync covers what was in the log when it was called, and counts from when it returned.
 */
#include "tests/tools/powercut/record.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

void powercut_mark(const char *text);

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int log_fd = -1;
static const char *dir;
static size_t dir_len;
static uint64_t next_number;

static int (*real_open)(const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_truncate)(const char *, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_rename)(const char *, const char *);
static int (*real_link)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_mkdir)(const char *, mode_t);
static ssize_t (*real_copy)(int, off_t *, int, off_t *, size_t, unsigned);

static void resolve(void *out, const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);

    memcpy(out, &f, sizeof f);
}

static void setup(void)
{
    const char *path = getenv("POWERCUT_LOG");

    resolve(&real_open, "open");
    resolve(&real_write, "write");
    resolve(&real_pwrite, "pwrite");
    resolve(&real_writev, "writev");
    resolve(&real_pwritev, "pwritev");
    resolve(&real_ftruncate, "ftruncate");
    resolve(&real_truncate, "truncate");
    resolve(&real_fallocate, "fallocate");
    resolve(&real_fsync, "fsync");
    resolve(&real_fdatasync, "fdatasync");
    resolve(&real_rename, "rename");
    resolve(&real_link, "link");
    resolve(&real_unlink, "unlink");
    resolve(&real_mkdir, "mkdir");
    resolve(&real_copy, "copy_file_range");
    dir = getenv("POWERCUT_DIR");
    dir_len = dir ? strlen(dir) : 0;
    if (dir && path) {
        struct stat st;

        log_fd = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0) {
            fprintf(stderr, "powercut: cannot open %s: %s\n", path, strerror(errno));
            _exit(99);
        }
        if (fstat(log_fd, &st) == 0 && st.st_size > 0) /* a second process in the same log: its numbers stand apart */
            next_number = (uint64_t)st.st_size << 20;
    }
}

/* --- the log ------------------------------------------------------------------------------------ */

static bool ours(const char *path)
{
    size_t n;

    pthread_once(&once, setup);
    if (log_fd < 0 || !path || strncmp(path, dir, dir_len) != 0 || (path[dir_len] != '/' && path[dir_len] != '\0'))
        return false;
    n = strlen(path);
    return !(n > 5 && strcmp(path + n - 5, "-lock") == 0);
}

/* Is fd a file (or directory) of ours? By its name at this moment. */
static bool ours_fd(int fd, char path[PATH_MAX], uint64_t *file)
{
    char link[64];
    struct stat st;
    ssize_t n;
    int e = errno;

    pthread_once(&once, setup);
    if (log_fd < 0 || fd == log_fd)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX - 1);
    errno = e;
    if (n <= 0)
        return false;
    path[n] = '\0';
    if (n > 10 && strcmp(path + n - 10, " (deleted)") == 0)
        path[n - 10] = '\0';
    if (!ours(path) || fstat(fd, &st) < 0)
        return false;
    *file = st.st_ino;
    return true;
}

/* The caller holds mu. Returns the record's number. */
static uint64_t put(struct record r, const char *path, const char *path2, const struct iovec *data, int ndata)
{
    struct iovec v[3 + 64];
    struct timespec t;
    int n = 0, e = errno;
    size_t total;

    clock_gettime(CLOCK_MONOTONIC, &t);
    r.magic = RECORD_MAGIC;
    r.number = next_number++;
    r.mono_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    r.path_bytes = path ? (uint32_t)strlen(path) : 0;
    r.path2_bytes = path2 ? (uint32_t)strlen(path2) : 0;
    v[n++] = (struct iovec){&r, sizeof r};
    v[n++] = (struct iovec){(void *)(uintptr_t)path, r.path_bytes};
    v[n++] = (struct iovec){(void *)(uintptr_t)path2, r.path2_bytes};
    total = sizeof r + r.path_bytes + r.path2_bytes;
    for (int i = 0; i < ndata; i++) {
        v[n++] = data[i];
        total += data[i].iov_len;
    }
    if (real_writev(log_fd, v, n) != (ssize_t)total) {
        fprintf(stderr, "powercut: cannot write the log: %s\n", strerror(errno));
        _exit(99);
    }
    errno = e;
    return r.number;
}

EXPORT void powercut_mark(const char *text)
{
    pthread_once(&once, setup);
    if (log_fd < 0)
        return;
    pthread_mutex_lock(&mu);
    put((struct record){.op = OP_MARK}, text, NULL, NULL, 0);
    pthread_mutex_unlock(&mu);
}

/* --- writes ------------------------------------------------------------------------------------- */

static uint64_t total_of(const struct iovec *v, int n)
{
    uint64_t sum = 0;

    for (int i = 0; i < n; i++)
        sum += v[i].iov_len;
    return sum;
}

/* at < 0: at the file's position. Logged with as many bytes as go to the disk: a short write is logged again by its rest. */
static ssize_t do_write(int fd, const struct iovec *v, int n, off_t at)
{
    char path[PATH_MAX];
    uint64_t file, number;
    bool dsync;
    ssize_t done;

    if (!ours_fd(fd, path, &file))
        return at < 0 ? real_writev(fd, v, n) : real_pwritev(fd, v, n, at);
    if (n > 64) {
        errno = EINVAL;
        return -1;
    }
    pthread_mutex_lock(&mu);
    dsync = fcntl(fd, F_GETFL) & O_DSYNC;
    if (fcntl(fd, F_GETFL) & O_APPEND) {
        struct stat st;

        fstat(fd, &st);
        number = (uint64_t)st.st_size;
    } else
        number = (uint64_t)(at < 0 ? lseek(fd, 0, SEEK_CUR) : at);
    number = put((struct record){.op = OP_WRITE, .file = file, .offset = number, .data_bytes = total_of(v, n)}, NULL, NULL, v, n);
    done = at < 0 ? real_writev(fd, v, n) : real_pwritev(fd, v, n, at);
    if (dsync && done >= 0)
        put((struct record){.op = OP_DURABLE, .file = file, .other = number}, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&mu);
    return done;
}

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
    struct iovec v = {(void *)(uintptr_t)p, n};
    char path[PATH_MAX];
    uint64_t file;

    if (!ours_fd(fd, path, &file))
        return real_write(fd, p, n);
    return do_write(fd, &v, 1, -1);
}

EXPORT ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    struct iovec v = {(void *)(uintptr_t)p, n};

    return do_write(fd, &v, 1, at);
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int n)
{
    return do_write(fd, v, n, -1);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    return do_write(fd, v, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at);
EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return pwrite(fd, p, n, at);
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t at);
EXPORT ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t at)
{
    return pwritev(fd, v, n, at);
}

static void put_size(uint64_t file, off_t size)
{
    put((struct record){.op = OP_TRUNCATE, .file = file, .offset = (uint64_t)size}, NULL, NULL, NULL, 0);
}

EXPORT int ftruncate(int fd, off_t size)
{
    char path[PATH_MAX];
    uint64_t file;
    int rc;

    if (!ours_fd(fd, path, &file))
        return real_ftruncate(fd, size);
    pthread_mutex_lock(&mu);
    put_size(file, size);
    rc = real_ftruncate(fd, size);
    pthread_mutex_unlock(&mu);
    return rc;
}

EXPORT int truncate(const char *path, off_t size)
{
    struct stat st;
    int rc;

    if (!ours(path) || stat(path, &st) < 0)
        return real_truncate(path, size);
    pthread_mutex_lock(&mu);
    put_size(st.st_ino, size);
    rc = real_truncate(path, size);
    pthread_mutex_unlock(&mu);
    return rc;
}

EXPORT int fallocate(int fd, int mode, off_t at, off_t n)
{
    char path[PATH_MAX];
    uint64_t file;
    struct stat st;
    int rc;

    if (!ours_fd(fd, path, &file))
        return real_fallocate(fd, mode, at, n);
    pthread_mutex_lock(&mu);
    rc = real_fallocate(fd, mode, at, n);
    if (rc == 0 && fstat(fd, &st) == 0)
        put_size(file, st.st_size);
    pthread_mutex_unlock(&mu);
    return rc;
}

/* Logged after the fact, with the bytes read back: nobody writes the target meanwhile. */
EXPORT ssize_t copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags)
{
    static char bytes[1 << 20];
    char path[PATH_MAX];
    uint64_t file;
    off_t at;
    ssize_t done;

    if (!ours_fd(out, path, &file))
        return real_copy(in, in_at, out, out_at, n, flags);
    pthread_mutex_lock(&mu);
    at = out_at ? *out_at : lseek(out, 0, SEEK_CUR);
    done = real_copy(in, in_at, out, out_at, n < sizeof bytes ? n : sizeof bytes, flags);
    if (done > 0) {
        int r = real_open(path, O_RDONLY | O_CLOEXEC);
        struct iovec v = {bytes, (size_t)done};

        if (r < 0 || pread(r, bytes, (size_t)done, at) != done)
            _exit(99);
        close(r);
        put((struct record){.op = OP_WRITE, .file = file, .offset = (uint64_t)at, .data_bytes = (uint64_t)done}, NULL, NULL, &v, 1);
    }
    pthread_mutex_unlock(&mu);
    return done;
}

/* --- syncs -------------------------------------------------------------------------------------- */

static int do_sync(int fd, int (*real)(int))
{
    char path[PATH_MAX];
    uint64_t file, begin;
    int rc;

    if (!ours_fd(fd, path, &file))
        return real(fd);
    pthread_mutex_lock(&mu);
    begin = put((struct record){.op = OP_SYNC_BEGIN, .file = file}, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&mu);
    rc = real(fd);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&mu);
    put((struct record){.op = OP_SYNC_END, .file = file, .other = begin}, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&mu);
    return rc;
}

EXPORT int fsync(int fd)
{
    pthread_once(&once, setup);
    return do_sync(fd, real_fsync);
}

EXPORT int fdatasync(int fd)
{
    pthread_once(&once, setup);
    return do_sync(fd, real_fdatasync);
}

/* --- names -------------------------------------------------------------------------------------- */

static int do_open(const char *path, int flags, mode_t mode)
{
    struct stat before, st;
    bool was;
    int fd;

    if (!ours(path) || !(flags & (O_CREAT | O_TRUNC)))
        return real_open(path, flags, mode);
    pthread_mutex_lock(&mu);
    was = stat(path, &before) == 0;
    fd = real_open(path, flags, mode);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        if (!was)
            put((struct record){.op = OP_CREATE, .file = st.st_ino}, path, NULL, NULL, 0);
        else if (flags & O_TRUNC)
            put_size(st.st_ino, 0);
    }
    pthread_mutex_unlock(&mu);
    return fd;
}

EXPORT int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    pthread_once(&once, setup);
    return do_open(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    pthread_once(&once, setup);
    return do_open(path, flags, mode);
}

/* A change of names, logged when it was made. */
static int names(enum record_op op, const char *path, const char *path2, uint64_t file, int rc)
{
    if (rc == 0)
        put((struct record){.op = (uint8_t)op, .file = file}, path, path2, NULL, 0);
    pthread_mutex_unlock(&mu);
    return rc;
}

EXPORT int rename(const char *from, const char *to)
{
    struct stat st;

    if (!ours(from) || stat(from, &st) < 0)
        return real_rename ? real_rename(from, to) : -1;
    pthread_mutex_lock(&mu);
    return names(OP_RENAME, from, to, st.st_ino, real_rename(from, to));
}

EXPORT int link(const char *from, const char *to)
{
    struct stat st;

    if (!ours(from) || stat(from, &st) < 0)
        return real_link(from, to);
    pthread_mutex_lock(&mu);
    return names(OP_LINK, from, to, st.st_ino, real_link(from, to));
}

EXPORT int unlink(const char *path)
{
    struct stat st;

    if (!ours(path) || stat(path, &st) < 0)
        return real_unlink(path);
    pthread_mutex_lock(&mu);
    return names(OP_UNLINK, path, NULL, st.st_ino, real_unlink(path));
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    struct stat st = {0};
    int rc;

    if (!ours(path))
        return real_mkdir(path, mode);
    pthread_mutex_lock(&mu);
    rc = real_mkdir(path, mode);
    if (rc == 0 && stat(path, &st) < 0)
        _exit(99);
    return names(OP_MKDIR, path, NULL, st.st_ino, rc);
}
