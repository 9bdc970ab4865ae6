/* files.c - see files.h. */
#include "cmd/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_CAP = 4096, DEPTH_MAX = 16 };

bool folder_is_free(const char *path)
{
    DIR *d = opendir(path);
    bool empty = true;

    if (!d)
        return errno == ENOENT;
    for (struct dirent *en; empty && (en = readdir(d));)
        empty = strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0;
    closedir(d);
    return empty;
}

static int copy_bytes(int in, int out, uint64_t bytes)
{
    while (bytes > 0) {
        ssize_t n = sendfile(out, in, NULL, (size_t)MIN(bytes, UINT64_C(1) << 30));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        bytes -= (uint64_t)n;
    }
    return fsync(out);
}

static int copy_file(const char *from, const char *to, const struct stat *st, struct err *e)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, code = 0;

    if (in < 0)
        return err_sys(e, errno, "open %s", from);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        code = err_sys(e, errno, "create %s", to);
    else if (copy_bytes(in, out, (uint64_t)st->st_size) < 0)
        code = err_sys(e, errno, "copy %s to %s", from, to);
    close(in);
    if (out >= 0 && close(out) < 0 && code == 0)
        code = err_sys(e, errno, "close %s", to);
    return code;
}

static int sync_folder(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), code = 0;

    if (fd < 0 || fsync(fd) < 0)
        code = err_sys(e, errno, "sync %s", path);
    if (fd >= 0)
        close(fd);
    return code;
}

static int copy_level(const char *from, const char *to, int depth, void (*print)(const char *, uint64_t), struct err *e)
{
    char a[PATH_CAP], b[PATH_CAP];
    DIR *d;
    int code = 0;

    if (depth > DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "%s: folders nested more than %d deep", from, DEPTH_MAX);
    if (mkdir(to, 0700) < 0 && errno != EEXIST)
        return err_sys(e, errno, "create folder %s", to);
    d = opendir(from);
    if (!d)
        return err_sys(e, errno, "read folder %s", from);
    for (struct dirent *en; code == 0 && (en = readdir(d));) {
        struct stat st;

        if (strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0)
            continue;
        if (snprintf(a, sizeof a, "%s/%s", from, en->d_name) >= PATH_CAP || snprintf(b, sizeof b, "%s/%s", to, en->d_name) >= PATH_CAP)
            code = err_set(e, ERR_LIMIT, "%s/%s: path too long", from, en->d_name);
        else if (lstat(a, &st) < 0)
            code = err_sys(e, errno, "%s", a);
        else if (S_ISDIR(st.st_mode))
            code = copy_level(a, b, depth + 1, print, e);
        else if (S_ISREG(st.st_mode)) {
            code = copy_file(a, b, &st, e);
            if (code == 0 && print)
                print(a, (uint64_t)st.st_size);
        }
    }
    closedir(d);
    return code < 0 ? code : sync_folder(to, e);
}

int copy_tree(const char *from, const char *to, void (*print)(const char *path, uint64_t bytes), struct err *e)
{
    return copy_level(from, to, 0, print, e);
}
