/*
 * journald.c - systemd's journal, by a child: journalctl --output=export --follow.
 *
 * A child and not libsystemd: the export format is documented and stable, a damaged journal file cannot take us along (the library
 * maps it into whoever reads it), and a machine without systemd needs nothing. It costs a pipe.
 *
 * (1) The cursor of the last record of a batch is a mark in the same commit. While a batch of ours is under way nothing is read,
 *     so journalctl waits on its pipe.
 * (2) While a multiline record is unfinished the cursor stays where it was.
 */
#include "collector/files/journald.h"

#include "collector/files/tailer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESTART_MS = 1000, RESTART_MS_MAX = 60000, ARGS_MAX = 64, READ_MAX = 256 << 10 };

extern char **environ;

struct journald {
    struct job *j;
    const struct journal_config *c;
    struct buf key, cursor, next_cursor; /* as stored; of the batch under way */
    bool looked_up, busy;
    pid_t pid;
    int fd; /* -1: does not run */
    int64_t start_ms, restart_ms;
    struct export_reader reader;
    struct buf in;       /* read and not yet taken */
    struct pipe_state state;
    int64_t flush_ms;
    uint64_t records;
};

struct journald *journald_new(struct job *j)
{
    struct journald *d = x_zalloc(sizeof(*d));

    d->j = j;
    d->c = j->config->journal;
    d->fd = -1;
    d->flush_ms = INT64_MAX;
    d->restart_ms = RESTART_MS;
    buf_printf(&d->key, "journal/%016llx", (unsigned long long)hash64(j->config->name.p, j->config->name.n));
    pipe_state_init(&d->state, &j->pipeline);
    return d;
}

/* The child ends by itself when its pipe is closed; it is told so too. */
static void stop_child(struct journald *d)
{
    if (d->fd < 0)
        return;
    close(d->fd);
    d->fd = -1;
    kill(d->pid, SIGTERM);
    while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    export_reset(&d->reader);
    d->in.n = 0;
}

void journald_free(struct journald *d)
{
    if (!d)
        return;
    stop_child(d);
    buf_release(&d->key);
    buf_release(&d->cursor);
    buf_release(&d->next_cursor);
    buf_release(&d->in);
    export_release(&d->reader);
    pipe_state_release(&d->state);
    free(d);
}

int journald_fd(const struct journald *d)
{
    return d->busy ? -1 : d->fd;
}

/* --- the child ------------------------------------------------------------------------------------------------- */

static void note_cursor(void *arg, struct str key, struct str value)
{
    struct journald *d = arg;

    if (!str_eq(key, buf_str(&d->key)))
        return;
    d->cursor.n = 0;
    buf_puts(&d->cursor, value);
}

static void add_arg(struct arena *a, char **args, unsigned *n, struct str text)
{
    if (*n + 1 < ARGS_MAX)
        args[(*n)++] = (char *)(uintptr_t)arena_dup(a, text).p;
}

static int spawn(struct journald *d, char **args, struct err *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    int ends[2], code;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, errno, "no pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawnattr_init(&attr);
    sigemptyset(&none); /* ours are blocked */
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    code = posix_spawnp(&d->pid, args[0], &actions, &attr, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    close(ends[1]);
    if (code) {
        close(ends[0]);
        return err_sys(e, code, "cannot start %s", args[0]);
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    d->fd = ends[0];
    return 0;
}

static void start_child(struct journald *d)
{
    char *args[ARGS_MAX + 1] = {NULL};
    struct arena a = {0};
    struct err e = {0};
    unsigned n = 0;

    if (!d->looked_up) {
        d->looked_up = true;
        d->j->f->opts.store.marks(d->j->f->opts.store.arg, buf_str(&d->key), note_cursor, d);
    }
    add_arg(&a, args, &n, STR("journalctl"));
    add_arg(&a, args, &n, STR("--output=export"));
    add_arg(&a, args, &n, STR("--follow"));
    add_arg(&a, args, &n, STR("--no-tail"));
    add_arg(&a, args, &n, STR("--no-pager"));
    add_arg(&a, args, &n, STR("--quiet"));
    if (d->cursor.n)
        add_arg(&a, args, &n, arena_printf(&a, "--after-cursor=%.*s", STR_ARG(buf_str(&d->cursor))));
    else
        add_arg(&a, args, &n, arena_printf(&a, "--since=@%lld", (long long)((clock_wall_ms() - d->c->max_age_ms) / 1000)));
    if (d->c->path.n)
        add_arg(&a, args, &n, arena_printf(&a, "--directory=%.*s", STR_ARG(d->c->path)));
    for (uint32_t i = 0; i < d->c->nmatches; i++)
        add_arg(&a, args, &n, d->c->matches[i]);
    export_reset(&d->reader);
    if (spawn(d, args, &e) < 0) {
        log_warn("files", "job %.*s: journal: %s; again in %lld s", STR_ARG(d->j->config->name), e.text, (long long)(d->restart_ms / 1000));
        d->j->f->errors++;
        d->start_ms = clock_mono_ms() + d->restart_ms;
        d->restart_ms = MIN(d->restart_ms * 2, (int64_t)RESTART_MS_MAX);
    }
    arena_release(&a);
}

static void child_ended(struct journald *d)
{
    int status = 0;

    while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(d->fd);
    d->fd = -1;
    d->in.n = 0;
    d->j->f->errors++;
    log_warn("files", "job %.*s: journalctl ended with status %d; again in %lld s", STR_ARG(d->j->config->name),
             WIFEXITED(status) ? WEXITSTATUS(status) : -1, (long long)(d->restart_ms / 1000));
    d->start_ms = clock_mono_ms() + d->restart_ms;
    d->restart_ms = MIN(d->restart_ms * 2, (int64_t)RESTART_MS_MAX);
}

/* --- records ----------------------------------------------------------------------------------------------------- */

static struct str lower_name(struct arena *a, struct str name)
{
    char *p = arena_alloc(a, name.n + 11);

    memcpy(p, "__journal_", 10);
    for (size_t i = 0; i < name.n; i++)
        p[10 + i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i];
    return str_n(p, name.n + 10);
}

/* Every field under its name for relabelling. false: relabelling drops the record. */
static bool record_labels(struct journald *d, struct arena *a, struct labels *out)
{
    static const char *const words[] = {"emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"};
    const struct export_reader *r = &d->reader;
    struct labels ls = {arena_array(a, struct label, r->nfields + d->c->labels.n + 1), 0};
    struct str priority = export_get(r, "PRIORITY");
    struct map seen = {0};
    bool added, keep;
    struct err e;

    for (uint32_t i = 0; i < d->c->labels.n; i++)
        ls.v[ls.n++] = d->c->labels.v[i];
    for (uint32_t i = 0; i < r->nfields; i++) {
        struct str value = export_value(r, i), name = lower_name(a, export_name(r, i));

        map_put(&seen, name, &added);
        if (added && value.n < 8192 && utf8_valid(value) && utf8_valid(name))
            ls.v[ls.n++] = (struct label){name, value};
    }
    map_release(&seen);
    if (priority.n == 1 && priority.p[0] >= '0' && priority.p[0] <= '7')
        ls.v[ls.n++] = (struct label){STR("__journal_priority_keyword"), str_of(words[priority.p[0] - '0'])};
    keep = labels_normalise(&ls, &e) == 0 && relabel_apply(&d->j->config->relabel, a, &ls);
    if (keep)
        *out = files_stream_labels(d->j->f, a, &ls);
    return keep;
}

static struct str record_line(struct journald *d, struct arena *a)
{
    const struct export_reader *r = &d->reader;
    struct buf b = {0};
    struct json j;
    struct str line;

    if (!d->c->json)
        return arena_dup(a, export_get(r, "MESSAGE"));
    json_init(&j, &b);
    json_obj(&j);
    for (uint32_t i = 0; i < r->nfields; i++) {
        json_key_str(&j, export_name(r, i));
        json_str(&j, export_value(r, i));
    }
    json_end_obj(&j);
    line = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return line;
}

static void take_record(struct journald *d, struct batch *b)
{
    struct files *f = d->j->f;
    struct arena *a = batch_arena(b);
    struct labels *ls = arena_new(a, struct labels);
    struct pipe_run run;
    struct entry en;
    uint64_t us = 0;

    d->next_cursor.n = 0;
    buf_puts(&d->next_cursor, export_get(&d->reader, "__CURSOR"));
    if (!export_get(&d->reader, "MESSAGE").p || !record_labels(d, a, ls))
        return;
    batch_run_bare(b, &d->j->pipeline, &d->state, ls, &run);
    en = entry_new(&run, record_line(d, a), files_next_ns(f), 0);
    if (str_to_u64(export_get(&d->reader, "__REALTIME_TIMESTAMP"), &us) && us < INT64_MAX / 1000) {
        en.t_ns = (int64_t)us * 1000;
        en.t_told = true;
    }
    d->records++;
    f->lines++;
    f->bytes += en.line.n;
    batch_add_bytes(b, en.line.n);
    pipeline_run(&run, &en);
}

/* Takes records from what was read; the rest waits for the next batch. */
static void take_records(struct journald *d, struct batch *b)
{
    struct str in = buf_str(&d->in);

    while (in.n && !batch_full(b) && export_take(&d->reader, &in))
        take_record(d, b);
    if (in.n)
        memmove(d->in.p, in.p, in.n);
    d->in.n = in.n;
}

static void end_batch(struct journald *d, struct batch *b)
{
    struct pipe_run run;

    batch_run_bare(b, &d->j->pipeline, &d->state, &(struct labels){0}, &run);
    pipeline_flush(&run, false, &d->flush_ms);
    if (!d->state.nheld && d->next_cursor.n) /* (2) */
        batch_mark(b, arena_dup(batch_arena(b), buf_str(&d->key)), arena_dup(batch_arena(b), buf_str(&d->next_cursor)));
    d->busy = true;
    batch_end_journald(b, d);
}

void journald_run(struct journald *d, int64_t *due_ms)
{
    int64_t now = clock_mono_ms();
    bool fresh = false;
    struct batch *b;

    if (d->busy)
        return;
    if (d->fd < 0) {
        if (d->start_ms <= now)
            start_child(d);
        if (d->fd < 0) {
            *due_ms = MIN(*due_ms, d->start_ms);
            return;
        }
    }
    while (d->in.n < READ_MAX) {
        ssize_t n = read(d->fd, buf_reserve(&d->in, READ_MAX), READ_MAX);

        if (n > 0) {
            d->in.n += (size_t)n;
            fresh = true;
            continue;
        }
        if (n == 0) {
            child_ended(d);
            *due_ms = MIN(*due_ms, d->start_ms);
            return;
        }
        break; /* nothing more now */
    }
    *due_ms = MIN(*due_ms, d->flush_ms);
    if ((!fresh && !d->in.n && d->flush_ms > now) || !(b = batch_take(d->j->f)))
        return;
    take_records(d, b);
    end_batch(d, b);
    batch_send(b);
}

void journald_stored(struct journald *d)
{
    d->busy = false;
    d->restart_ms = RESTART_MS;
    if (!d->state.nheld) {
        d->cursor.n = 0;
        buf_puts(&d->cursor, buf_str(&d->next_cursor));
    }
}

void journald_rewind(struct journald *d)
{
    d->busy = false;
    stop_child(d);
    pipe_state_release(&d->state);
    pipe_state_init(&d->state, &d->j->pipeline);
    d->next_cursor.n = 0;
    d->start_ms = 0;
}

bool journald_runs(const struct journald *d)
{
    return d->fd >= 0;
}
