/*
 * tailer.h - private to files/: what the one thread owns.
 *
 *   files.c      life, the thread's turn, configuration     targets.c    discovery and globs -> targets
 *   tailer.c     one target: its files, rotations           batch.c      entries -> rows, commits
 *   watch.c      inotify                                    positions.c  marks by file, Promtail's positions
 *   journald.c   the journal                                files_json.c what is shown
 *
 * (1) Everything here is under files.mu, which the thread holds for a turn and lets go of while it waits. Other threads take it to
 *     look, or to leave a message.
 * (2) A followed file is in at most one batch under way: it is not read on before that is on disk. So marks of a file reach the
 *     store in the order of its lines, and a batch that fails is simply given again.
 * (3) The mark of a file never passes a line whose row is not in the same batch or an earlier one, nor an unfinished record.
 */
#ifndef COLLECTOR_FILES_TAILER_H
#define COLLECTOR_FILES_TAILER_H

#include "collector/files/config.h"
#include "collector/files/position.h"
#include "collector/files/source.h"
#include "collector/scrape/discovery.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BATCHES = 4, BATCH_BYTES = 1 << 20, BATCH_ROWS = 50000, READ_BYTES = 1 << 20, FILES_MAX = 100000, LINGER_MS = 5000 };

struct target;
struct batch;
struct journald;

/* A file that is open: what is at the path now, or what was there before and is read to its end. */
struct followed {
    struct target *t;
    struct followed *next;  /* in its target: what is read after it */
    struct source *src;
    uint64_t dev, ino;
    char id[16];            /* dev and ino: its key in the job */
    struct signature sig;
    int64_t mtime_ns;
    uint64_t read_to;       /* lines up to here are in the pipeline or behind it */
    uint64_t stored_to;     /* the mark on disk */
    uint64_t size;          /* as last seen */
    bool skipping, stored_skipping;
    bool rotated;           /* not at the path any more */
    bool lingers;           /* rotated, at its end, what follows is read already; late lines may come */
    bool closing;           /* its last lines are in a batch; then it goes */
    bool done;              /* compressed, read to its end */
    bool marked;            /* the store has a mark of it */
    bool busy;              /* in a batch under way */
    bool queued;
    struct followed *queue_next;
    struct pipe_state state;
    int64_t flush_ms;       /* when held records have waited long enough; INT64_MAX: none */
    int64_t idle_since_ms;
    int64_t poll_ms, poll_every_ms; /* where inotify does not tell us */
    int watch;              /* or -1 */
    uint64_t *repeats;      /* hashes of lines that had the time repeats_ns; sorted in no way */
    uint32_t nrepeats, repeats_cap;
    int64_t repeats_ns;
};

/* A path that is followed. */
struct target {
    struct job *job;
    struct str path;      /* malloc'ed */
    struct arena arena;   /* of labels */
    struct labels labels; /* of its stream, filename included; for a container of stdout */
    struct labels discovered;
    struct labels err_labels; /* a container's stderr; n 0 where it is no container */
    bool docker;
    struct followed *first, *last; /* first is read; last is what lies at the path, unless nothing does */
    struct followed *lingering;
    uint64_t seen;        /* number of the scan that last found it */
    bool ending;          /* not found any more: read to its end, then closed */
    bool missing;
    struct str refused;   /* why it is not read, malloc'ed; and of which file */
    uint64_t refused_dev, refused_ino, refused_size;
    uint64_t lines, bytes;
};

struct job {
    struct files *f;
    const struct files_job *config;
    struct files_config *owner;
    struct pipeline pipeline, docker_pipeline;
    struct sd_provider **providers;
    struct map targets; /* path -> struct target */
    struct map open;    /* id -> struct followed */
    struct journald *journald;
    struct syslog_listener *syslog;
    bool stays; /* while a configuration is applied */
};

struct known_mark {
    struct buf key, value;
    struct position pos; /* texts borrowed from value */
};

struct files {
    /* Set at files_new. */
    struct files_opts opts;
    struct discovery *discovery;
    int wake_fd, inotify;
    pthread_t thread;

    pthread_mutex_t mu;

    /* All under mu. */
    bool started, stopping;
    struct files_config *config, *pending;
    struct job **jobs;
    uint32_t njobs;
    struct map marks; /* key -> struct known_mark: as the store has them */
    bool marks_loaded;
    struct map old_positions; /* path -> offset + 1, of Promtail's file */
    struct arena old_arena;
    struct batch *batches[BATCHES];
    uint32_t nbusy;
    struct followed *queue, **queue_end;
    uint64_t scan;
    int64_t scan_ms, gc_ms, tick_ms; /* when we last looked for files; when to sweep; when we last looked at all of them */
    bool scan_now;
    int64_t last_ns;      /* times that the clock gives rise */
    struct str docker_root; /* malloc'ed; of the Engine. p NULL: not known yet */
    bool docker_asked;
    int docker_watch; /* inotify's number of the folder of all containers, + 1; 0: not watched */
    struct watch_list *watches;
    struct map folders;   /* path -> inotify's number */
    uint32_t nopen;
    struct logs *logs;
    struct http_server *server;

    /* Counters. */
    uint64_t lines, bytes, rows, refused, rotations, truncations, errors, retries, cut_lines;
    int64_t said_refused_ms;

    /* Batches whose answer came: pushed by the journal thread. */
    pthread_mutex_t answers_mu;
    struct batch *answers;
};

/* --- files.c --- */
void files_wake(struct files *f);
/* In the queue of those to be read. */
void files_queue(struct files *f, struct followed *w);

/* --- targets.c --- */
/* Looks for the files of all jobs. */
void targets_scan(struct files *f);
struct job *job_new(struct files *f, const struct files_job *c, struct files_config *owner);
void job_free(struct job *j);

/* --- tailer.c --- */
struct target *file_target_new(struct job *j, struct str path);
void file_target_free(struct target *t);
/* Looks at what lies at the path, and takes note of rotations. */
void target_check(struct target *t);
/* Reads from w into the batch. */
void followed_read(struct followed *w, struct batch *b);
/* Ends held records that are due. */
void followed_flush(struct followed *w, struct batch *b);
/* Ends a file that nobody writes to any more: what is left of it, and then it is closed. */
void followed_finish(struct followed *w, struct batch *b);
/* After its batch is on disk. */
void followed_stored(struct followed *w);
/* Back to what is on disk: its batch was given up. */
void followed_rewind(struct followed *w);
/* A file opened for t, at its known position or the beginning (at >= 0: there). NULL: not to be read now; t says why. */
struct followed *followed_open(struct target *t, const char *path, int64_t at);
void followed_append(struct followed *w);
void followed_close(struct followed *w);
struct pipeline *target_pipeline(struct target *t);

/* --- siblings.c --- */
/* Rotated files beside t's path that come after `since` (what was at the path before; or NULL: by the marks) and were never read. */
void siblings_append(struct target *t, const struct followed *since);
/* w was truncated: a copy of what it was, and what came after the copy, go before it. False: there is none. */
bool siblings_find_copy(struct followed *w, uint64_t from);

/* --- watch.c --- */
void watch_open(struct files *f);
void watch_close(struct files *f);
int watch_folder(struct files *f, const char *path); /* inotify's number, or <0 */
void watch_file(struct followed *w);
void watch_forget(struct followed *w);
/* Reads what inotify has to say: queues files, asks for a scan. */
void watch_read(struct files *f);

/* --- positions.c --- */
void positions_load(struct files *f);
void positions_free(struct files *f);
/* The mark as it will be, into the batch's list; remembered when it is on disk. */
void positions_put(struct batch *b, const struct position *p);
void positions_committed(struct files *f, struct str key, struct str value);
/* Marks of a path under a job, or under jobs that are gone. Stops when fn says false. */
void positions_each(struct files *f, const struct job *j, bool (*fn)(void *arg, const struct known_mark *m), void *arg);
/* Marks of files that are nowhere any more. */
void positions_sweep(struct files *f, struct batch *b);
bool positions_old(struct files *f, struct str path, uint64_t *offset);

/* --- batch.c --- */
struct batch *batch_take(struct files *f); /* NULL: all are under way */
struct arena *batch_arena(struct batch *b);
bool batch_full(const struct batch *b);
void batch_begin(struct batch *b, struct followed *w);
/* A pipe_run for w into b. line_max etc. are set. */
void batch_run(struct batch *b, struct followed *w, struct pipe_run *run);
/* A pipe_run without file: journald. */
void batch_run_bare(struct batch *b, struct pipeline *p, struct pipe_state *state, const struct labels *base, struct pipe_run *run);
void batch_add_bytes(struct batch *b, size_t n);
/* w's lines up to read_to are in. */
void batch_end(struct batch *b, struct followed *w);
void batch_mark(struct batch *b, struct str key, struct str value);
/* Gives it to the store, if there is anything in it. */
void batch_send(struct batch *b);
/* Batches whose answer has come, and those to be given again. *due_ms: when to come again. */
void batches_settle(struct files *f, int64_t *due_ms);
void batches_free(struct files *f);
/* Gives up those that wait: their files go back to what is on disk. */
void batches_give_up(struct files *f);
int64_t files_next_ns(struct files *f);
/* labels_dup without those that begin with __, with the external ones where they are not set. */
struct labels files_stream_labels(struct files *f, struct arena *a, const struct labels *ls);

/* --- journald.c --- */
struct journald *journald_new(struct job *j);
void journald_free(struct journald *d);
int journald_fd(const struct journald *d); /* -1: none now */
bool journald_runs(const struct journald *d);
/* Starts it when it is due, reads what is there. *due_ms as above. */
void journald_run(struct journald *d, int64_t *due_ms);
void journald_stored(struct journald *d);
void journald_rewind(struct journald *d);
void batch_end_journald(struct batch *b, struct journald *d);

#endif
