/* journal_inside.h - the two halves of the journal: journal.c (queue and commits), journal_files.c (what lies on disk). */
#ifndef STORE_JOURNAL_INSIDE_H
#define STORE_JOURNAL_INSIDE_H

#include "store/inside.h"

#include <limits.h>
#include <unistd.h>

struct entry {
    struct buf bytes;
    journal_done *done;
    void *arg;
    uint32_t file;
    uint8_t tag;
};

struct journal_file {
    uint32_t number;
    uint64_t bytes;
    uint64_t last_seq;
    /* Per tag met in it, the last seq. */
    struct {
        uint8_t tag;
        uint64_t seq;
    } last[SIGNALS_MAX];
    uint32_t nlast;
    bool keep; /* never dropped: holds tags nobody here knows */
};

struct journal {
    /* Set at open. */
    struct journal_opts opts;
    struct journal_hooks hooks;
    char *dir;
    pthread_t thread;
    bool running;

    /* Under waiting_mu, held to push one or take all. file may be read without. */
    pthread_mutex_t waiting_mu;
    pthread_cond_t wake;
    struct entry *waiting;
    uint32_t nwaiting, waiting_cap;
    uint64_t waiting_bytes, pushed_bytes;
    _Atomic uint32_t file;
    bool idle, stop, roll_wanted;

    /* Journal thread only. */
    struct entry *taken;
    uint32_t ntaken, taken_cap;
    struct group_entry *rows;
    uint32_t rows_cap;
    struct env env;
    uint32_t open_file;
    bool file_stays; /* it holds entries, or is the one that remembers the seq */
    uint32_t failed_file; /* entries for files up to this one fail, with `failed` */
    struct err failed;
    uint64_t next_seq;

    /* Under files_mu. Oldest first; the last one may be the one being written. */
    pthread_mutex_t files_mu;
    pthread_cond_t files_closed;
    struct journal_file *files;
    uint32_t nfiles, files_cap;
    uint32_t settled; /* files below this number will not be written any more */

    /* Release-stored after commit and done(): a reader that sees n may rely on every entry up to n. */
    _Atomic uint64_t done_seq;
    _Atomic uint64_t bytes, commits, entries, entry_bytes;
};

void journal_path(const struct journal *j, uint32_t file, char out[PATH_MAX]);
/* Books n committed entries, the first with seq, in the table of files. Journal thread. */
void journal_note(struct journal *j, const struct entry *v, uint32_t n, uint64_t seq, size_t bytes);
/* Enters a file that has no entries yet: those to come are above seq. Journal thread. */
void journal_note_file(struct journal *j, uint64_t seq);
void journal_files_release(struct journal *j);

#endif
