/* tree.h - a small /proc, /sys and / in a temporary folder, made by the test that needs it. */
#ifndef TESTS_COLLECTOR_HOST_TREE_H
#define TESTS_COLLECTOR_HOST_TREE_H

#include "collector/host/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct tree {
    char root[64], procfs[80], sysfs[80], rootfs[80];
};

static inline void tree_mkdir(const char *path)
{
    char t[512];

    snprintf(t, sizeof t, "%s", path);
    for (char *p = t + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(t, 0755);
            *p = '/';
        }
    mkdir(t, 0755);
}

static inline void tree_put(const struct tree *t, const char *path, const char *text)
{
    char full[512], *slash;
    FILE *f;

    snprintf(full, sizeof full, "%s/%s", t->root, path);
    slash = strrchr(full, '/');
    *slash = '\0';
    tree_mkdir(full);
    *slash = '/';
    f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline void tree_link(const struct tree *t, const char *path, const char *target)
{
    char full[512], *slash;

    snprintf(full, sizeof full, "%s/%s", t->root, path);
    slash = strrchr(full, '/');
    *slash = '\0';
    tree_mkdir(full);
    *slash = '/';
    assert_int_equal(symlink(target, full), 0);
}

static inline void tree_make(struct tree *t)
{
    snprintf(t->root, sizeof t->root, "/tmp/host_tree_XXXXXX");
    assert_non_null(mkdtemp(t->root));
    snprintf(t->procfs, sizeof t->procfs, "%s/proc", t->root);
    snprintf(t->sysfs, sizeof t->sysfs, "%s/sys", t->root);
    snprintf(t->rootfs, sizeof t->rootfs, "%s/root", t->root);
    tree_mkdir(t->procfs);
    tree_mkdir(t->sysfs);
    tree_mkdir(t->rootfs);
}

static inline void tree_remove(struct tree *t)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", t->root);
    assert_int_equal(system(command), 0);
}

static inline struct host *tree_host(const struct tree *t)
{
    struct host_opts o = {.procfs = t->procfs, .sysfs = t->sysfs, .rootfs = t->rootfs};

    return host_new(&o);
}

/* The line must stand in the text, whole. */
static inline void has_line(struct buf *out, const char *line)
{
    struct str rest = buf_str(out), l;
    bool more = true;

    while (more) {
        more = str_cut(&rest, '\n', &l);
        if (str_eqz(l, line))
            return;
    }
    fail_msg("no line %s in\n%s", line, buf_z(out));
}

static inline void has_not(struct buf *out, const char *text)
{
    if (str_find(buf_str(out), str_of(text)) >= 0)
        fail_msg("%s in\n%s", text, buf_z(out));
}

#endif
