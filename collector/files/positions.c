/*
 * positions.c - the marks of the store, by file, as they were last acknowledged; and Promtail's positions.yml, taken over once.
 *
 * (1) A mark goes when its file is nowhere to be found in its folder any more; while the folder cannot be read it stays.
 */
#include "collector/files/tailer.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#define TAKEN_KEY "files/promtail-positions"

static void mark_free(struct known_mark *m)
{
    if (!m)
        return;
    buf_release(&m->key);
    buf_release(&m->value);
    free(m);
}

void positions_committed(struct files *f, struct str key, struct str value)
{
    struct known_mark *m = map_del(&f->marks, key);

    mark_free(m);
    if (!value.n || !str_starts(key, STR(POSITION_PREFIX)))
        return;
    m = x_zalloc(sizeof(*m));
    buf_puts(&m->key, key);
    buf_puts(&m->value, value);
    if (!position_decode(buf_str(&m->value), &m->pos)) {
        log_warn("files", "a mark of %.*s cannot be read; that file is read from its beginning", STR_ARG(key));
        mark_free(m);
        return;
    }
    *map_put(&f->marks, buf_str(&m->key), NULL) = m;
}

static void add_mark(void *arg, struct str key, struct str value)
{
    positions_committed(arg, key, value);
}

static void note_taken(void *arg, struct str key, struct str value)
{
    (void)key;
    (void)value;
    *(bool *)arg = true;
}

/* --- Promtail's file -------------------------------------------------------------------------------------------- */

/* Keys are paths, or (later Promtails) PATH-LABELS; a gap of neither matters: what is no file is left out. */
static void read_old(struct files *f, struct conf *root)
{
    struct conf *list = conf_get(root, "positions");

    for (uint32_t i = 0; list && list->kind == CONF_MAP && i < list->n; i++) {
        uint64_t offset;

        if (list->items[i]->kind == CONF_SCALAR && str_to_u64(list->items[i]->text, &offset) && list->keys[i].n && list->keys[i].p[0] == '/')
            *map_put(&f->old_positions, arena_dup(&f->old_arena, list->keys[i]), NULL) = (void *)(uintptr_t)(offset + 1);
    }
}

static void take_over(struct files *f)
{
    struct arena a = {0};
    struct conf *root;
    struct err e;
    bool taken = false;
    char *path;

    if (!f->config->positions_file.n || f->marks.n > 0)
        return;
    f->opts.store.marks(f->opts.store.arg, STR(TAKEN_KEY), note_taken, &taken);
    if (taken)
        return;
    path = x_strdup(f->config->positions_file);
    if (conf_load(&a, path, &root, &e) < 0) {
        log_info("files", "no positions taken over: %s", e.text);
    } else {
        read_old(f, root);
        log_info("files", "took over %u positions from %s", f->old_positions.n, path);
    }
    free(path);
    arena_release(&a);
}

bool positions_old(struct files *f, struct str path, uint64_t *offset)
{
    uintptr_t v = (uintptr_t)map_get(&f->old_positions, path);

    *offset = v ? v - 1 : 0;
    return v != 0;
}

void positions_load(struct files *f)
{
    if (f->marks_loaded)
        return;
    f->marks_loaded = true;
    f->opts.store.marks(f->opts.store.arg, STR(POSITION_PREFIX), add_mark, f);
    take_over(f);
    if (f->marks.n)
        log_info("files", "%u positions known", f->marks.n);
}

void positions_free(struct files *f)
{
    struct map_entry *en;
    uint32_t i = 0;

    while ((en = map_next(&f->marks, &i)))
        mark_free(en->value);
    map_release(&f->marks);
    map_release(&f->old_positions);
    arena_release(&f->old_arena);
}

/* --- use -------------------------------------------------------------------------------------------------------------- */

void positions_put(struct batch *b, const struct position *p)
{
    struct buf key = {0}, value = {0};

    position_key(p, &key);
    position_encode(p, &value);
    batch_mark(b, arena_dup(batch_arena(b), buf_str(&key)), arena_dup(batch_arena(b), buf_str(&value)));
    buf_release(&key);
    buf_release(&value);
}

static bool job_exists(const struct files *f, struct str name)
{
    for (uint32_t i = 0; i < f->njobs; i++) {
        if (str_eq(f->jobs[i]->config->name, name))
            return true;
    }
    return false;
}

void positions_each(struct files *f, const struct job *j, bool (*fn)(void *arg, const struct known_mark *m), void *arg)
{
    struct map_entry *en;
    uint32_t i = 0;

    while ((en = map_next(&f->marks, &i))) {
        const struct known_mark *m = en->value;

        if ((str_eq(m->pos.job, j->config->name) || !job_exists(f, m->pos.job)) && !fn(arg, m))
            return;
    }
}

/* --- sweeping ----------------------------------------------------------------------------------------------------------- */

static struct str folder_of(struct str path)
{
    size_t n = path.n;

    while (n > 1 && path.p[n - 1] != '/')
        n--;
    return str_head(path, n);
}

/* Whether the folder of the path can be read and holds no file of that identity. */
static bool is_gone(const struct position *p)
{
    char *folder = x_strdup(folder_of(p->path)), *path = x_strdup(p->path);
    DIR *d = opendir(folder);
    struct str base = str_from(p->path, folder_of(p->path).n);
    struct dirent *en;
    struct stat st;
    bool gone = d != NULL && !(stat(path, &st) == 0 && st.st_ino == p->ino), any = false;

    while (d && gone && (en = readdir(d))) { /* its name is the path's and something behind it */
        any |= en->d_name[0] != '.';
        if (str_starts(str_of(en->d_name), base) && fstatat(dirfd(d), en->d_name, &st, 0) == 0)
            gone = st.st_ino != p->ino;
    }
    if (d)
        closedir(d);
    free(folder);
    free(path);
    return gone && any;
}

void positions_sweep(struct files *f, struct batch *b)
{
    struct map_entry *en;
    uint32_t i = 0;

    while ((en = map_next(&f->marks, &i))) {
        const struct known_mark *m = en->value;

        if (is_gone(&m->pos))
            batch_mark(b, arena_dup(batch_arena(b), buf_str(&m->key)), STR(""));
    }
    if (f->config->positions_file.n)
        batch_mark(b, STR(TAKEN_KEY), STR("1"));
}
