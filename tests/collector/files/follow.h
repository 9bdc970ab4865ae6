/* follow.h - for tests of the tailer: a store in memory that keeps rows and marks together, and a folder with log files. */
#ifndef TESTS_FILES_FOLLOW_H
#define TESTS_FILES_FOLLOW_H

#include "collector/files/files.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct stored_row {
    char *labels, *line, *meta;
    int64_t t_ns;
};

/* Rows in the order in which they came. */
struct fake_store {
    pthread_mutex_t mu;
    struct stored_row *rows;
    size_t n, cap;
    struct map marks; /* malloc'ed key -> malloc'ed struct buf */
    int fail;         /* answer this code instead */
    unsigned asked;
};

static inline struct fake_store *fake_store_new(void)
{
    struct fake_store *s = x_zalloc(sizeof(*s));

    pthread_mutex_init(&s->mu, NULL);
    return s;
}

static inline void fake_store_free(struct fake_store *s)
{
    struct map_entry *en;
    uint32_t i = 0;

    for (size_t k = 0; k < s->n; k++) {
        free(s->rows[k].labels);
        free(s->rows[k].line);
        free(s->rows[k].meta);
    }
    while ((en = map_next(&s->marks, &i))) {
        free((char *)(uintptr_t)en->key.p);
        buf_release(en->value);
        free(en->value);
    }
    map_release(&s->marks);
    free(s->rows);
    free(s);
}

static inline char *labels_text(const struct label *v, uint32_t n)
{
    struct labels ls = {(struct label *)(uintptr_t)v, n};
    struct buf b = {0};

    labels_print(&b, &ls);
    buf_z(&b);
    return buf_detach(&b, NULL);
}

static inline void fake_put_mark(struct fake_store *s, struct str key, struct str value)
{
    struct buf *b = map_get(&s->marks, key);

    if (!b) {
        b = x_zalloc(sizeof(*b));
        *map_put(&s->marks, str_of(x_strdup(key)), NULL) = b;
    }
    b->n = 0;
    buf_puts(b, value);
}

static inline int fake_ingest(void *arg, struct log_batch *b, log_done *done, bool *later, struct err *e)
{
    struct fake_store *s = arg;
    int fail;

    pthread_mutex_lock(&s->mu);
    s->asked++;
    fail = s->fail;
    for (uint32_t i = 0; !fail && i < b->nstreams; i++) {
        for (uint32_t k = 0; k < b->streams[i].n; k++) {
            const struct log_in_row *r = &b->rows[b->streams[i].first + k];

            if (s->n == s->cap) {
                s->cap = s->cap * 2 + 1000;
                s->rows = x_realloc(s->rows, sizeof(*s->rows) * s->cap);
            }
            s->rows[s->n++] = (struct stored_row){labels_text(b->streams[i].labels.v, b->streams[i].labels.n), x_strdup(r->line),
                                                  labels_text(b->meta + r->meta_first, r->meta_n), r->t_ns};
            b->verdicts[LOG_OK]++;
        }
    }
    for (uint32_t i = 0; !fail && i < b->nmarks; i++)
        fake_put_mark(s, b->marks[i].key, b->marks[i].value);
    pthread_mutex_unlock(&s->mu);
    if (fail == ERR_BUSY)
        return err_set(e, ERR_BUSY, "busy");
    *later = true;
    if (fail)
        err_set(e, fail, "the disk is full");
    done(b, fail, e);
    return 0;
}

static inline void fake_marks(void *arg, struct str prefix, void (*fn)(void *fn_arg, struct str key, struct str value), void *fn_arg)
{
    struct fake_store *s = arg;
    struct map_entry *en;
    uint32_t i = 0;

    while ((en = map_next(&s->marks, &i))) {
        struct buf *b = en->value;

        if (str_starts(en->key, prefix) && b->n)
            fn(fn_arg, en->key, buf_str(b));
    }
}

/* --- a folder ------------------------------------------------------------------------------------------- */

struct follow {
    struct fake_store *store;
    struct files *files;
    char dir[64];
};

static inline void follow_open(struct follow *f)
{
    *f = (struct follow){.store = fake_store_new()};
    strcpy(f->dir, "/tmp/tripod-files-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
}

static inline void follow_stop(struct follow *f)
{
    files_stop(f->files);
    files_free(f->files);
    f->files = NULL;
}

static inline void follow_close(struct follow *f)
{
    char cmd[128];

    if (f->files)
        follow_stop(f);
    snprintf(cmd, sizeof cmd, "rm -rf %s", f->dir);
    assert_int_equal(system(cmd), 0);
    fake_store_free(f->store);
}

static inline struct files_config *read_config(const char *text, const struct files_selectors *sel, struct err *e)
{
    struct arena a = {0};
    struct files_config *c = NULL;
    struct conf *root;

    if (conf_parse(&a, STR("test.yml"), str_of(text), &root, e) == 0 && files_config_read(root, STR("."), STR(""), sel, &c, e) < 0)
        c = NULL;
    arena_release(&a);
    return c;
}

/* body: of `logs:`; DIR stands for the folder. */
static inline void follow_apply(struct follow *f, const char *body)
{
    struct files_opts o = {.store = {fake_ingest, fake_marks, f->store}, .line_bytes_max = 256 << 10};
    struct buf text = {0};
    struct files_config *c;
    struct err e = {0};

    for (const char *p = body; *p; p++) {
        if (strncmp(p, "DIR", 3) == 0) {
            buf_putz(&text, f->dir);
            p += 2;
        } else {
            buf_putc(&text, *p);
        }
    }
    c = read_config(buf_z(&text), NULL, &e);
    if (!c)
        fail_msg("%s\n%s", e.text, text.p);
    if (!f->files)
        f->files = files_new(&o);
    assert_int_equal(files_apply(f->files, c, &e), 0);
    files_config_unref(c);
    buf_release(&text);
}

static inline const char *in_dir(const struct follow *f, const char *name)
{
    static _Thread_local char path[4][256];
    static _Thread_local unsigned i;

    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", f->dir, name);
    return path[i];
}

static inline void append_bytes(const struct follow *f, const char *name, struct str text)
{
    int fd = open(in_dir(f, name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.p, text.n), text.n);
    close(fd);
}

static inline void append(const struct follow *f, const char *name, const char *text)
{
    append_bytes(f, name, str_of(text));
}

/* Waits until the store has n rows; then a moment more, for those that should not come. */
static inline void wait_rows(struct follow *f, size_t n)
{
    size_t have = 0;

    for (int i = 0; i < 2000 && have < n; i++) {
        pthread_mutex_lock(&f->store->mu);
        have = f->store->n;
        pthread_mutex_unlock(&f->store->mu);
        if (have < n)
            usleep(10000);
    }
    if (have < n)
        fail_msg("%zu rows after 20 s, expected %zu", have, n);
}

static inline void expect_rows(struct follow *f, size_t n)
{
    wait_rows(f, n);
    usleep(50000);
    pthread_mutex_lock(&f->store->mu);
    if (f->store->n != n) {
        for (size_t i = 0; i < f->store->n; i++)
            print_message("%zu: %s %s\n", i, f->store->rows[i].labels, f->store->rows[i].line);
    }
    assert_int_equal(f->store->n, n);
    pthread_mutex_unlock(&f->store->mu);
}

static inline const char *line_at(struct follow *f, size_t i)
{
    assert_true(i < f->store->n);
    return f->store->rows[i].line;
}

#endif
