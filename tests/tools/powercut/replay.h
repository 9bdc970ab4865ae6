/*
 * replay.h - builds the disk as a power cut may leave it, from the log of shim.c.
 *
 * What a sync covered is there. Of what came after the last sync of a file, anything may be there:
 *
 *   CUT_ALL     everything (the process died, the machine did not)
 *   CUT_NONE    nothing
 *   CUT_SOME    each write or not
 *   CUT_TORN    each sector of 512 bytes of each write or not
 *
 * Names likewise: those made before the last sync of their directory, and then a run of the later ones, as a journaling
 * file system keeps their order (with CUT_ALL all, with CUT_NONE none).
 */
#ifndef TESTS_TOOLS_POWERCUT_REPLAY_H
#define TESTS_TOOLS_POWERCUT_REPLAY_H

#include "base/base.h"
#include "tests/tools/powercut/record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum cut_mode { CUT_ALL, CUT_NONE, CUT_SOME, CUT_TORN };
enum { SECTOR = 512 };

struct cut_record {
    struct record *r;
    struct str path, path2, data;
};

struct cut_log {
    char *bytes;
    size_t nbytes;
    struct cut_record *v;
    uint32_t n;
    struct str dir; /* the directory that was watched: the common first part of all paths */
};

/*
 * An inode may come again for another file: each new file gets a number of its own, so that a dropped file whose name comes
 * back has its own bytes.
 */
static inline void cut_number_files(struct cut_log *l)
{
    struct {
        uint64_t inode, file;
    } *known = NULL;
    uint64_t made = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->n; i++) {
        struct record *r = l->v[i].r;
        uint32_t k = 0;

        while (k < n && known[k].inode != r->file)
            k++;
        if (r->op == OP_CREATE || r->op == OP_MKDIR) {
            if (k == n) {
                known = x_realloc(known, (n + 1) * sizeof *known);
                known[n++].inode = r->file;
            }
            known[k].file = ++made << 40 | (r->file & ((UINT64_C(1) << 40) - 1));
        }
        if (k < n)
            r->file = known[k].file;
    }
    free(known);
}

static inline bool cut_log_read(const char *path, const char *dir, struct cut_log *l)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint32_t cap = 0;
    struct stat st;

    memset(l, 0, sizeof *l);
    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    l->bytes = x_alloc((size_t)st.st_size + 1);
    while (l->nbytes < (size_t)st.st_size) {
        ssize_t got = read(fd, l->bytes + l->nbytes, (size_t)st.st_size - l->nbytes);

        if (got <= 0)
            break;
        l->nbytes += (size_t)got;
    }
    close(fd);
    for (size_t at = 0; at + RECORD_BYTES <= l->nbytes;) {
        struct record r;
        struct cut_record c;

        memcpy(&r, l->bytes + at, sizeof r);
        if (r.magic != RECORD_MAGIC || l->nbytes - at - RECORD_BYTES < (uint64_t)r.path_bytes + r.path2_bytes + r.data_bytes)
            break; /* the process was killed while it wrote this one */
        c.r = memcpy(x_alloc(sizeof r), &r, sizeof r);
        at += RECORD_BYTES;
        c.path = str_n(l->bytes + at, r.path_bytes);
        c.path2 = str_n(l->bytes + at + r.path_bytes, r.path2_bytes);
        c.data = str_n(l->bytes + at + r.path_bytes + r.path2_bytes, r.data_bytes);
        at += r.path_bytes + r.path2_bytes + r.data_bytes;
        if (l->n == cap) {
            cap = cap ? cap * 2 : 1024;
            l->v = x_realloc(l->v, cap * sizeof *l->v);
        }
        l->v[l->n++] = c;
    }
    l->dir = str_of(dir);
    cut_number_files(l);
    return true;
}

static inline void cut_log_release(struct cut_log *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        free(l->v[i].r);
    free(l->v);
    free(l->bytes);
}

/* --- one cut ------------------------------------------------------------------------------------ */

struct cut_file {
    uint64_t file;
    uint64_t synced; /* writes with a number below it are on the disk */
    char *p;
    size_t n, cap;
    size_t size_any; /* the size with everything */
};

struct cut_name {
    char *path;
    uint64_t file;
    bool is_dir;
};

struct cut {
    const struct cut_log *l;
    uint32_t at;
    enum cut_mode mode;
    uint64_t x; /* random */
    struct cut_file *files;
    uint32_t nfiles;
    struct cut_name *names;
    uint32_t nnames;
};

static inline uint64_t cut_rand(struct cut *c)
{
    c->x ^= c->x << 13;
    c->x ^= c->x >> 7;
    c->x ^= c->x << 17;
    return c->x >> 8;
}

static inline bool cut_keep(struct cut *c)
{
    return c->mode == CUT_ALL || (c->mode != CUT_NONE && cut_rand(c) % 2);
}

static inline struct cut_file *cut_file(struct cut *c, uint64_t file)
{
    for (uint32_t i = 0; i < c->nfiles; i++)
        if (c->files[i].file == file)
            return &c->files[i];
    c->files = x_realloc(c->files, (c->nfiles + 1) * sizeof *c->files);
    c->files[c->nfiles] = (struct cut_file){.file = file};
    return &c->files[c->nfiles++];
}

static inline void cut_put(struct cut_file *f, uint64_t at, struct str data)
{
    if (at + data.n > f->cap) {
        size_t cap = MAX((size_t)at + data.n, f->cap * 2);

        f->p = x_realloc(f->p, cap);
        memset(f->p + f->cap, 0, cap - f->cap);
        f->cap = cap;
    }
    memcpy(f->p + at, data.p, data.n);
    f->n = MAX(f->n, (size_t)at + data.n);
}

static inline void cut_write(struct cut *c, struct cut_file *f, uint64_t at, struct str data)
{
    if (c->mode != CUT_TORN) {
        if (cut_keep(c))
            cut_put(f, at, data);
        return;
    }
    while (data.n > 0) {
        size_t n = MIN(data.n, SECTOR - (size_t)(at % SECTOR));

        if (cut_keep(c))
            cut_put(f, at, str_head(data, n));
        at += n;
        data = str_from(data, n);
    }
}

static inline void cut_resize(struct cut_file *f, size_t n)
{
    if (n > f->n)
        cut_put(f, n - 1, STR("\0"));
    else {
        memset(f->p + n, 0, f->n - n);
        f->n = n;
    }
}

/* How far each file (and directory) was synced when power went. */
static inline void cut_find_syncs(struct cut *c)
{
    for (uint32_t i = 0; i < c->at; i++) {
        const struct record *r = c->l->v[i].r;

        if (r->op == OP_CREATE)
            *cut_file(c, r->file) = (struct cut_file){.file = r->file};
        if (r->op == OP_SYNC_END) {
            struct cut_file *f = cut_file(c, r->file);

            f->synced = MAX(f->synced, r->other);
        }
    }
}

static inline bool cut_durable(const struct cut *c, uint32_t i)
{
    const struct record *w = c->l->v[i].r;

    for (uint32_t k = i + 1; k < c->at && k < i + 64; k++)
        if (c->l->v[k].r->op == OP_DURABLE && c->l->v[k].r->other == w->number)
            return true;
    return false;
}

static inline void cut_contents(struct cut *c)
{
    for (uint32_t i = 0; i < c->at; i++) {
        const struct cut_record *v = &c->l->v[i];
        struct cut_file *f;

        if (v->r->op != OP_WRITE && v->r->op != OP_TRUNCATE && v->r->op != OP_CREATE)
            continue;
        f = cut_file(c, v->r->file);
        if (v->r->op == OP_CREATE)
            f->n = 0;
        else if (v->r->op == OP_TRUNCATE) {
            if (v->r->number < f->synced || cut_keep(c))
                cut_resize(f, (size_t)v->r->offset);
        } else if (v->r->number < f->synced || cut_durable(c, i))
            cut_put(f, v->r->offset, v->data);
        else
            cut_write(c, f, v->r->offset, v->data);
    }
}

/* --- names -------------------------------------------------------------------------------------- */

static inline struct cut_name *cut_name(struct cut *c, struct str path)
{
    for (uint32_t i = 0; i < c->nnames; i++)
        if (str_eq(str_of(c->names[i].path), path))
            return &c->names[i];
    return NULL;
}

static inline void cut_name_del(struct cut *c, struct str path)
{
    struct cut_name *n = cut_name(c, path);

    if (n) {
        free(n->path);
        *n = c->names[--c->nnames];
    }
}

static inline void cut_name_add(struct cut *c, struct str path, uint64_t file, bool is_dir)
{
    cut_name_del(c, path);
    c->names = x_realloc(c->names, (c->nnames + 1) * sizeof *c->names);
    c->names[c->nnames++] = (struct cut_name){x_strdup(path), file, is_dir};
}

static inline struct str cut_parent(struct str path)
{
    while (path.n > 0 && path.p[path.n - 1] != '/')
        path.n--;
    return path.n > 0 ? str_head(path, path.n - 1) : path;
}

/* The inode of a directory, as the log knows it: from its MKDIR; 0 for the watched one, whose own number is asked for. */
static inline uint64_t cut_dir_file(const struct cut *c, struct str dir, uint64_t root)
{
    for (uint32_t i = 0; i < c->at; i++)
        if (c->l->v[i].r->op == OP_MKDIR && str_eq(c->l->v[i].path, dir))
            return c->l->v[i].r->file;
    return root;
}

static inline void cut_apply_name(struct cut *c, const struct cut_record *v)
{
    struct cut_name *n;

    switch (v->r->op) {
    case OP_CREATE:
        cut_name_add(c, v->path, v->r->file, false);
        break;
    case OP_MKDIR:
        cut_name_add(c, v->path, v->r->file, true);
        break;
    case OP_UNLINK:
        cut_name_del(c, v->path);
        break;
    default: /* OP_RENAME, OP_LINK: only if the old name came to be */
        n = cut_name(c, v->path);
        if (n) {
            uint64_t file = n->file;

            if (v->r->op == OP_RENAME)
                cut_name_del(c, v->path);
            cut_name_add(c, v->path2, file, false);
        }
    }
}

/* A run of the unsynced names of each directory: broken off at the first one that is not kept. */
static inline void cut_names(struct cut *c, uint64_t root)
{
    struct {
        uint64_t dir;
        bool broken;
    } dirs[64];
    uint32_t ndirs = 0;

    for (uint32_t i = 0; i < c->at; i++) {
        const struct cut_record *v = &c->l->v[i];
        uint64_t dir;
        uint32_t d = 0;

        if (v->r->op != OP_CREATE && v->r->op != OP_MKDIR && v->r->op != OP_UNLINK && v->r->op != OP_RENAME && v->r->op != OP_LINK)
            continue;
        dir = cut_dir_file(c, cut_parent(v->r->op == OP_RENAME || v->r->op == OP_LINK ? v->path2 : v->path), root);
        while (d < ndirs && dirs[d].dir != dir)
            d++;
        if (d == ndirs && ndirs < ARRAY_LEN(dirs)) {
            dirs[ndirs].dir = dir;
            dirs[ndirs++].broken = false;
        }
        if (v->r->number >= cut_file(c, dir)->synced && !dirs[d].broken)
            dirs[d].broken = c->mode == CUT_NONE || (c->mode != CUT_ALL && cut_rand(c) % 4 == 0);
        if (!dirs[d].broken || v->r->number < cut_file(c, dir)->synced)
            cut_apply_name(c, v);
    }
}

/* --- out ---------------------------------------------------------------------------------------- */

static inline int cut_by_path(const void *a, const void *b)
{
    return strcmp(((const struct cut_name *)a)->path, ((const struct cut_name *)b)->path);
}

static inline bool cut_out(struct cut *c, const char *out)
{
    char path[PATH_MAX];

    if (mkdir(out, 0750) < 0 && errno != EEXIST)
        return false;
    if (c->nnames > 0)
        qsort(c->names, c->nnames, sizeof *c->names, cut_by_path);
    for (uint32_t i = 0; i < c->nnames; i++) {
        const struct cut_name *n = &c->names[i];
        struct cut_file *f = cut_file(c, n->file);
        int fd;

        if (strlen(n->path) <= c->l->dir.n)
            continue;
        snprintf(path, sizeof path, "%s%s", out, n->path + c->l->dir.n);
        if (n->is_dir) {
            mkdir(path, 0750);
            continue;
        }
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        if (fd < 0)
            continue; /* its directory did not come to be */
        for (size_t at = 0; at < f->n;) {
            ssize_t w = write(fd, f->p + at, f->n - at);

            if (w <= 0) {
                close(fd);
                return false;
            }
            at += (size_t)w;
        }
        close(fd);
    }
    return true;
}

/*
 * The disk as it may be when power goes after `at` records, written to out (made if missing). root: inode of the watched
 * directory in the original run.
 */
static inline bool cut_image(const struct cut_log *l, uint32_t at, enum cut_mode mode, uint64_t seed, uint64_t root, const char *out)
{
    struct cut c = {.l = l, .at = MIN(at, l->n), .mode = mode, .x = seed * 2 + 1};
    bool ok;

    for (int i = 0; i < 8; i++)
        cut_rand(&c);
    cut_find_syncs(&c);
    cut_contents(&c);
    cut_names(&c, root);
    ok = cut_out(&c, out);
    for (uint32_t i = 0; i < c.nfiles; i++)
        free(c.files[i].p);
    for (uint32_t i = 0; i < c.nnames; i++)
        free(c.names[i].path);
    free(c.files);
    free(c.names);
    return ok;
}

#endif
