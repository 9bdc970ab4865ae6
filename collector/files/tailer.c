/*
 * tailer.c - one path: the file there, the files that were there before, and reading them.
 *
 *     target.first ─▶ rotated file ─▶ ... ─▶ target.last, what is at the path now
 *        │ read one after the other: the next when this one is rotated and at its end
 *        ▼
 *     lingering: late lines of writers that have not noticed yet; closed after LINGER_MS without any
 *
 * (1) That a file is rotated is known before it is read to its end: whatever its writer wrote before the next file was there is
 *     read before the next file.
 * (2) The first bytes of a file are compared before each line of a portion is used: a file that was truncated and has grown again
 *     is never taken for its continuation.
 */
#include "collector/files/tailer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POLL_MS_MAX = 5000, POLL_MS_MIN = 250 };

struct pipeline *target_pipeline(struct target *t)
{
    return t->docker ? &t->job->docker_pipeline : &t->job->pipeline;
}

static int64_t mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static void set_id(char *id, uint64_t dev, uint64_t ino)
{
    put_u64le(id, dev);
    put_u64le(id + 8, ino);
}

/* --- what is not read --------------------------------------------------------------------------------------- */

static void refuse(struct target *t, const struct stat *st, const char *why)
{
    if (why && !str_eqz(t->refused, why)) {
        log_warn("files", "%.*s: %s", STR_ARG(t->path), why);
        t->job->f->errors++;
    }
    free((char *)(uintptr_t)t->refused.p);
    t->refused = why ? str_of(x_strdup(str_of(why))) : STR_NULL;
    t->refused_dev = st ? st->st_dev : 0;
    t->refused_ino = st ? st->st_ino : 0;
    t->refused_size = st ? (uint64_t)st->st_size : 0;
}

static void forgive(struct target *t)
{
    free((char *)(uintptr_t)t->refused.p);
    t->refused = STR_NULL;
    t->refused_dev = t->refused_ino = 0;
}

/* The same file as when it was refused for what is in it. */
static bool still_refused(const struct target *t, const struct stat *st)
{
    return t->refused_ino == st->st_ino && t->refused_dev == st->st_dev && (uint64_t)st->st_size >= t->refused_size;
}

/* --- opening ------------------------------------------------------------------------------------------------- */

struct mark_ask {
    struct target *t;
    int fd;
    uint64_t dev, ino;
    bool compressed, any_of_path, found;
    uint64_t size;
    struct position best;
};

static bool ask_mark(void *arg, const struct known_mark *m)
{
    struct mark_ask *ask = arg;
    bool same_path = str_eq(m->pos.path, ask->t->path);

    ask->any_of_path |= same_path;
    if (m->pos.dev != ask->dev || m->pos.ino != ask->ino || (m->pos.offset > ask->size && !ask->compressed) || !signature_holds(&m->pos.sig, ask->fd))
        return true;
    if (!ask->found || same_path)
        ask->best = m->pos;
    ask->found = true;
    return !same_path;
}

/* Where to begin: the mark of this very file; Promtail's position of the path; the beginning, or the end if that is asked for. */
static void find_position(struct target *t, struct followed *w, const struct stat *st)
{
    struct files *f = t->job->f;
    struct mark_ask ask = {.t = t, .fd = source_fd(w->src), .dev = w->dev, .ino = w->ino, .compressed = source_compressed(w->src), .size = (uint64_t)st->st_size};
    uint64_t old;

    positions_each(f, t->job, ask_mark, &ask);
    if (ask.found) {
        w->read_to = w->stored_to = ask.best.offset;
        w->skipping = w->stored_skipping = ask.best.flags & POSITION_SKIPPING;
        w->done = ask.best.flags & POSITION_DONE;
        w->marked = str_eq(ask.best.path, t->path) && str_eq(ask.best.job, t->job->config->name);
    } else if (!ask.any_of_path && positions_old(f, t->path, &old) && old <= (uint64_t)st->st_size) {
        w->read_to = old;
    } else if (!ask.any_of_path && t->job->config->tail_from_end && !ask.compressed) {
        w->read_to = (uint64_t)st->st_size;
    }
}

struct followed *followed_open(struct target *t, const char *path, int64_t at)
{
    struct source_opts o = {.compressed = t->job->config->compressed, .encoding = t->job->config->encoding};
    struct files *f = t->job->f;
    struct source *src;
    struct followed *w;
    struct stat st;
    struct err e = {0};
    char id[16];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, &st) < 0) {
        int why = errno;

        if (fd >= 0)
            close(fd);
        if (why != ENOENT)
            refuse(t, NULL, strerror(why));
        return NULL;
    }
    set_id(id, st.st_dev, st.st_ino);
    if (!S_ISREG(st.st_mode) || f->nopen >= FILES_MAX || map_get(&t->job->open, str_n(id, 16))) {
        if (!S_ISREG(st.st_mode))
            refuse(t, &st, "not a regular file");
        else if (f->nopen >= FILES_MAX)
            refuse(t, NULL, "too many files are followed");
        close(fd);
        return NULL; /* open under another name: later */
    }
    if (still_refused(t, &st)) {
        close(fd);
        return NULL;
    }
    if (source_open(fd, &o, &src, &e) < 0) {
        refuse(t, e.code == ERR_INVALID ? &st : NULL, e.text);
        return NULL;
    }
    forgive(t);
    w = x_zalloc(sizeof(*w));
    w->t = t;
    w->src = src;
    w->dev = st.st_dev;
    w->ino = st.st_ino;
    memcpy(w->id, id, 16);
    w->sig = signature_read(fd);
    w->size = (uint64_t)st.st_size;
    w->mtime_ns = mtime_ns(&st);
    w->flush_ms = INT64_MAX;
    w->idle_since_ms = clock_mono_ms();
    w->watch = -1;
    if (at >= 0)
        w->read_to = (uint64_t)at;
    else
        find_position(t, w, &st);
    pipe_state_init(&w->state, target_pipeline(t));
    *map_put(&t->job->open, str_n(w->id, 16), NULL) = w;
    f->nopen++;
    watch_file(w);
    return w;
}

void followed_append(struct followed *w)
{
    struct target *t = w->t;

    if (t->last)
        t->last->next = w;
    else
        t->first = w;
    t->last = w;
    if (t->first == w)
        files_queue(t->job->f, w);
}

static void unlink_followed(struct followed *w)
{
    struct target *t = w->t;
    struct followed *before = NULL, **at = w->lingers ? &t->lingering : &t->first;

    while (*at && *at != w) {
        before = *at;
        at = &(*at)->next;
    }
    if (!*at)
        return;
    *at = w->next;
    if (!w->lingers && t->last == w)
        t->last = before;
    w->next = NULL;
}

static void leave_queue(struct files *f, struct followed *w)
{
    struct followed **at = &f->queue;

    if (!w->queued)
        return;
    while (*at != w)
        at = &(*at)->queue_next;
    *at = w->queue_next;
    if (f->queue_end == &w->queue_next)
        f->queue_end = at;
    w->queued = false;
}

void followed_close(struct followed *w)
{
    struct files *f = w->t->job->f;

    assert(!w->busy);
    unlink_followed(w);
    leave_queue(f, w);
    watch_forget(w);
    map_del(&w->t->job->open, str_n(w->id, 16));
    f->nopen--;
    pipe_state_release(&w->state);
    source_free(w->src);
    free(w->repeats);
    free(w);
}

void followed_rewind(struct followed *w)
{
    pipe_state_release(&w->state);
    pipe_state_init(&w->state, target_pipeline(w->t));
    w->read_to = w->stored_to;
    w->skipping = w->stored_skipping;
    w->flush_ms = INT64_MAX;
    w->closing = w->done = false;
    files_queue(w->t->job->f, w);
}

/* --- targets ---------------------------------------------------------------------------------------------------- */

struct target *file_target_new(struct job *j, struct str path)
{
    struct target *t = x_zalloc(sizeof(*t));

    t->job = j;
    t->path = str_of(x_strdup(path));
    *map_put(&j->targets, t->path, NULL) = t;
    return t;
}

void file_target_free(struct target *t)
{
    while (t->first)
        followed_close(t->first);
    while (t->lingering)
        followed_close(t->lingering);
    map_del(&t->job->targets, t->path);
    arena_release(&t->arena);
    free((char *)(uintptr_t)t->refused.p);
    free((char *)(uintptr_t)t->path.p);
    free(t);
}

/* What lay at the path is there no more. */
static void rotated(struct followed *w)
{
    w->rotated = true;
    w->t->job->f->rotations++;
    files_queue(w->t->job->f, w); /* (1): to its end, from now on */
}

static void begin_new(struct target *t, struct followed *before)
{
    struct followed *w;

    siblings_append(t, before);
    w = followed_open(t, t->path.p, -1);
    if (!w)
        return;
    if (w->done) { /* compressed and read already */
        struct stat st;

        if (fstat(source_fd(w->src), &st) == 0)
            refuse(t, &st, NULL);
        followed_close(w);
        return;
    }
    followed_append(w);
}

void target_check(struct target *t)
{
    struct followed *w = t->last && !t->last->rotated ? t->last : NULL;
    struct stat st;

    if (t->ending || stat(t->path.p, &st) < 0) {
        if (w)
            rotated(w);
        t->missing = true;
        return;
    }
    t->missing = false;
    if (w && w->ino == st.st_ino && w->dev == st.st_dev) {
        w->size = (uint64_t)st.st_size;
        if (w->size != w->read_to)
            files_queue(t->job->f, w);
        return;
    }
    if (w)
        rotated(w);
    else if (still_refused(t, &st))
        return;
    begin_new(t, w ? w : t->last);
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

struct reading {
    struct followed *w;
    struct batch *b;
    struct pipe_run run;
    bool checked, torn;
};

static bool take_line(void *arg, const struct source_line *line)
{
    struct reading *r = arg;
    struct followed *w = r->w;
    struct entry en;

    if (!r->checked) { /* (2): the portion was read, and the file is still the one we know */
        r->checked = true;
        r->torn = !signature_holds(&w->sig, source_fd(w->src));
        if (r->torn)
            return false;
    }
    w->t->lines++;
    w->t->bytes += line->end - line->start;
    w->t->job->f->lines++;
    w->t->job->f->bytes += line->end - line->start;
    batch_add_bytes(r->b, (size_t)(line->end - line->start));
    en = entry_new(&r->run, line->text, files_next_ns(w->t->job->f), line->start);
    en.truncated = line->truncated;
    pipeline_run(&r->run, &en);
    return r->run.p->wait_until_ms <= r->run.now_ms && !batch_full(r->b);
}

/* It is another file now, at the same inode. What we had of the old one and have not read may lie in a copy. */
static void truncated(struct followed *w)
{
    struct files *f = w->t->job->f;
    uint64_t from = pipe_state_safe(&w->state, w->read_to);

    f->truncations++;
    if (siblings_find_copy(w, from)) {
        pipe_state_release(&w->state);
        pipe_state_init(&w->state, target_pipeline(w->t));
        w->flush_ms = INT64_MAX;
    } else {
        for (uint32_t i = 0; i < w->state.nstages; i++) {
            for (struct held *h = w->state.held[i]; h; h = h->next)
                h->entry.start = 0; /* its place is gone; it is kept in memory until its time has come */
        }
    }
    w->read_to = w->stored_to = 0;
    w->skipping = w->stored_skipping = w->done = false;
    w->marked = false;
    w->sig = signature_read(source_fd(w->src));
    files_queue(f, w->t->first);
    files_queue(f, w);
}

/* The next in its row is read; this one waits for late lines. */
static void move_on(struct followed *w)
{
    struct target *t = w->t;

    if (t->first != w)
        return;
    unlink_followed(w);
    w->lingers = true;
    w->next = t->lingering;
    t->lingering = w;
    w->idle_since_ms = clock_mono_ms();
    if (t->first)
        files_queue(t->job->f, t->first);
}

/* False: it is not to be read now. */
static bool look_at(struct followed *w)
{
    int fd = source_fd(w->src);
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    w->size = (uint64_t)st.st_size;
    w->mtime_ns = mtime_ns(&st);
    if ((w->size < w->read_to && !source_compressed(w->src)) || (w->sig.n && !signature_holds(&w->sig, fd))) {
        truncated(w);
        return false;
    }
    if (w->sig.n < SIGNATURE_MAX && w->size > w->sig.n)
        w->sig = signature_read(fd);
    return true;
}

static void read_failed(struct followed *w, const struct err *e)
{
    struct target *t = w->t;
    struct stat st;

    if (fstat(source_fd(w->src), &st) == 0)
        refuse(t, &st, e->text);
    followed_close(w);
}

void followed_read(struct followed *w, struct batch *b)
{
    struct reading r = {.w = w, .b = b};
    struct target *t = w->t;
    uint64_t before = w->read_to;
    bool end = false, whole = false, was_rotated = w->rotated;
    int64_t now = clock_mono_ms();
    struct err e = {0};
    int code;

    if (w->busy || w->closing || (t->first != w && !w->lingers) || !look_at(w))
        return;
    batch_begin(b, w);
    batch_run(b, w, &r.run);
    code = source_read(w->src, batch_arena(b), &w->read_to, &w->skipping, READ_BYTES, take_line, &r, &end, &whole, &e);
    if (r.torn) {
        w->read_to = before;
        truncated(w);
        return;
    }
    if (w->read_to != before) {
        w->idle_since_ms = now;
        w->poll_every_ms = POLL_MS_MIN;
    } else if (w->poll_every_ms < POLL_MS_MAX) {
        w->poll_every_ms *= 2;
    }
    if (w->watch < 0)
        w->poll_ms = now + w->poll_every_ms;
    w->done |= whole;
    pipeline_flush(&r.run, false, &w->flush_ms);
    batch_end(b, w);
    if (code < 0 && !w->busy) {
        read_failed(w, &e);
        return;
    }
    if (code == 0 && !end)
        files_queue(t->job->f, w);
    else if (w->done)
        w->closing = true;
    else if (was_rotated && !w->lingers)
        move_on(w);
    if (w->closing && !w->busy)
        followed_stored(w);
}

void followed_flush(struct followed *w, struct batch *b)
{
    struct pipe_run run;

    assert(!w->busy);
    batch_begin(b, w);
    batch_run(b, w, &run);
    pipeline_flush(&run, false, &w->flush_ms);
    batch_end(b, w);
}

void followed_finish(struct followed *w, struct batch *b)
{
    uint64_t before = w->read_to;
    struct source_line line;
    struct pipe_run run;

    assert(!w->busy && w->rotated);
    followed_read(w, b);
    if (w->read_to != before || w->busy || w->closing)
        return;
    batch_begin(b, w);
    batch_run(b, w, &run);
    if (!w->skipping && source_rest(w->src, batch_arena(b), w->read_to, &line)) {
        struct entry en = entry_new(&run, line.text, files_next_ns(w->t->job->f), line.start);

        w->t->lines++;
        w->t->job->f->lines++;
        pipeline_run(&run, &en);
        w->read_to = line.end;
    }
    pipeline_flush(&run, true, &w->flush_ms);
    w->closing = true;
    batch_end(b, w);
    if (!w->busy)
        followed_stored(w);
}

void followed_stored(struct followed *w)
{
    struct target *t = w->t;

    if (!w->closing) {
        files_queue(t->job->f, w);
        return;
    }
    if (w->done) {
        struct stat st;

        if (fstat(source_fd(w->src), &st) == 0)
            refuse(t, &st, NULL); /* read: nothing to say, and not again */
    }
    followed_close(w);
    if (t->first)
        files_queue(t->job->f, t->first);
}
