/*
 * journal_files.c - the files of the journal: listed, replayed, dropped.
 *
 * (1) Nothing is deleted inside a file; a file is unlinked as a whole, once every signal contains what it holds of it.
 * (2) The newest file stays, whatever it holds: it remembers how far the numbers have come.
 * (3) A file that cannot be read in part or at all is damage, reported; the others are replayed all the same.
 */
#include "store/journal_inside.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* A file of fewer bytes stays although it is spent: a new one costs its definitions anew. */
enum { SPENT_BYTES_MIN = 1 << 20 };

/* Numbers skipped when something of the journal is gone: more than any lost file can have held. */
#define SEQ_LEAP (UINT64_C(1) << 32)

void journal_path(const struct journal *j, uint32_t file, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%06u.mdb", j->dir, file);
}

/* --- the table ---------------------------------------------------------------------------------- */

/* The caller holds files_mu (or is alone). */
static struct journal_file *file_add(struct journal *j, uint32_t number)
{
    if (j->nfiles == j->files_cap) {
        j->files_cap = j->files_cap ? j->files_cap * 2 : 16;
        j->files = x_realloc(j->files, j->files_cap * sizeof *j->files);
    }
    j->files[j->nfiles] = (struct journal_file){.number = number};
    return &j->files[j->nfiles++];
}

static void file_saw(struct journal_file *f, uint8_t tag, uint64_t seq)
{
    uint32_t i = 0;

    f->last_seq = seq;
    while (i < f->nlast && f->last[i].tag != tag)
        i++;
    if (i == ARRAY_LEN(f->last)) {
        f->keep = true;
        return;
    }
    if (i == f->nlast)
        f->nlast++;
    f->last[i].tag = tag;
    f->last[i].seq = seq;
}

static bool file_contained(const struct journal_file *f, bool (*contained)(void *, uint8_t, uint64_t), void *arg)
{
    for (uint32_t i = 0; i < f->nlast; i++)
        if (!contained(arg, f->last[i].tag, f->last[i].seq))
            return false;
    return !f->keep;
}

void journal_note(struct journal *j, const struct entry *v, uint32_t n, uint64_t seq, size_t bytes)
{
    struct journal_file *f;
    uint64_t now = env_bytes(&j->env);

    pthread_mutex_lock(&j->files_mu);
    f = j->nfiles > 0 ? &j->files[j->nfiles - 1] : NULL;
    if (!f || f->number != j->open_file)
        f = file_add(j, j->open_file);
    for (uint32_t i = 0; i < n; i++)
        file_saw(f, v[i].tag, seq + i);
    j->bytes += now - f->bytes;
    f->bytes = now;
    pthread_mutex_unlock(&j->files_mu);
    j->commits++;
    j->entries += n;
    j->entry_bytes += bytes;
}

void journal_note_file(struct journal *j, uint64_t seq)
{
    struct journal_file *f;

    pthread_mutex_lock(&j->files_mu);
    f = file_add(j, j->open_file);
    f->last_seq = seq;
    f->bytes = env_bytes(&j->env);
    j->bytes += f->bytes;
    pthread_mutex_unlock(&j->files_mu);
}

void journal_roll_spent(struct journal *j, bool (*contained)(void *arg, uint8_t tag, uint64_t seq), void *arg)
{
    const struct journal_file *f;
    bool spent;

    pthread_mutex_lock(&j->files_mu);
    f = j->nfiles > 0 ? &j->files[j->nfiles - 1] : NULL;
    spent = f && f->bytes >= SPENT_BYTES_MIN && file_contained(f, contained, arg);
    pthread_mutex_unlock(&j->files_mu);
    if (spent && j->running)
        journal_roll(j, true);
}

uint64_t journal_held_bytes(struct journal *j, uint8_t tag, uint64_t contained, uint64_t *last_seq)
{
    uint64_t bytes = 0;

    *last_seq = 0;
    pthread_mutex_lock(&j->files_mu);
    for (uint32_t i = 0; i < j->nfiles; i++)
        for (uint32_t k = 0; k < j->files[i].nlast; k++)
            if (j->files[i].last[k].tag == tag && j->files[i].last[k].seq > contained) {
                bytes += j->files[i].bytes;
                *last_seq = j->files[i].last[k].seq;
            }
    pthread_mutex_unlock(&j->files_mu);
    return bytes;
}

void journal_stats(struct journal *j, struct journal_stats *out)
{
    pthread_mutex_lock(&j->files_mu);
    out->files = j->nfiles;
    pthread_mutex_unlock(&j->files_mu);
    out->bytes = j->bytes;
    out->commits = j->commits;
    out->entries = j->entries;
    out->entry_bytes = j->entry_bytes;
}

void journal_forget(struct journal *j, bool (*contained)(void *arg, uint8_t tag, uint64_t seq), void *arg)
{
    char path[PATH_MAX];
    bool any = false;
    uint32_t kept = 0;

    pthread_mutex_lock(&j->files_mu);
    for (uint32_t i = 0; i < j->nfiles; i++) {
        struct journal_file f = j->files[i];

        if (i + 1 < j->nfiles && file_contained(&f, contained, arg)) {
            crash_point("journal before unlink");
            journal_path(j, f.number, path);
            if (unlink(path) == 0 || errno == ENOENT) {
                j->bytes -= f.bytes;
                any = true;
                continue;
            }
            log_warn("store", "cannot remove %s: %s", path, strerror(errno));
        }
        j->files[kept++] = f;
    }
    j->nfiles = kept;
    pthread_mutex_unlock(&j->files_mu);
    crash_point("journal after unlink");
    if (any)
        (void)dir_sync(j->dir, NULL); /* if the name comes back after a power cut, it is dropped again */
}

int journal_closed_files(struct journal *j, int (*fn)(void *arg, const char *path, struct err *e), void *arg, struct err *e)
{
    char path[PATH_MAX];
    int rc = 0;

    pthread_mutex_lock(&j->files_mu);
    for (uint32_t i = 0; i < j->nfiles && rc == 0; i++) {
        if (j->files[i].number >= j->settled)
            continue;
        journal_path(j, j->files[i].number, path);
        rc = fn(arg, path, e);
    }
    pthread_mutex_unlock(&j->files_mu);
    return rc;
}

/* --- open --------------------------------------------------------------------------------------- */

/* "000042.mdb" -> 42; 0 for any other name. */
static uint32_t number_of(const char *name)
{
    char *end;
    unsigned long n = strtoul(name, &end, 10);

    return end - name >= 6 && strcmp(end, ".mdb") == 0 && n > 0 && n < UINT32_MAX / 2 ? (uint32_t)n : 0;
}

static int by_number(const void *a, const void *b)
{
    const struct journal_file *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static int scan(struct journal *j, struct err *e)
{
    DIR *d = opendir(j->dir);
    char path[PATH_MAX];
    struct dirent *f;
    struct stat st;

    if (!d)
        return err_sys(e, errno, "cannot read %s", j->dir);
    while ((f = readdir(d))) {
        uint32_t n = number_of(f->d_name);

        if (n > 0) {
            journal_path(j, n, path);
            file_add(j, n)->bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
        } else if (str_ends(str_of(f->d_name), STR(".tmp")) && !j->opts.read_only) {
            snprintf(path, sizeof path, "%s/%s", j->dir, f->d_name);
            unlink(path); /* never had its first commit */
        }
    }
    closedir(d);
    if (j->nfiles > 0)
        qsort(j->files, j->nfiles, sizeof *j->files, by_number);
    for (uint32_t i = 0; i < j->nfiles; i++)
        j->bytes += j->files[i].bytes;
    j->file = j->nfiles > 0 ? j->files[j->nfiles - 1].number + 1 : 1;
    return 0;
}

int journal_open(const struct journal_opts *opts, const struct journal_hooks *hooks, struct journal **out, struct err *e)
{
    struct journal *j = x_zalloc(sizeof *j);
    int rc = 0;

    j->opts = *opts;
    j->dir = x_strdup(str_of(opts->dir));
    j->opts.dir = j->dir;
    if (hooks)
        j->hooks = *hooks;
    j->next_seq = 1;
    j->env.range = -1;
    pthread_mutex_init(&j->waiting_mu, NULL);
    pthread_mutex_init(&j->files_mu, NULL);
    pthread_cond_init(&j->wake, NULL);
    pthread_cond_init(&j->files_closed, NULL);
    if (!opts->read_only && mkdir(j->dir, 0750) < 0 && errno != EEXIST)
        rc = err_sys(e, errno, "cannot make %s", j->dir);
    if (rc == 0 && !(opts->read_only && access(j->dir, R_OK) < 0))
        rc = scan(j, e);
    if (rc < 0) {
        journal_close(j);
        return rc;
    }
    *out = j;
    return 0;
}

void journal_files_release(struct journal *j)
{
    pthread_mutex_destroy(&j->files_mu);
    pthread_cond_destroy(&j->files_closed);
    free(j->files);
}

void journal_seq_floor(struct journal *j, uint64_t floor)
{
    assert(!j->running);
    if (j->next_seq <= floor)
        j->next_seq = floor + 1;
}

uint64_t journal_next_seq(struct journal *j)
{
    return MAX(journal_done_seq(j) + 1, j->running ? 0 : j->next_seq);
}

/* --- replay ------------------------------------------------------------------------------------- */

static void read_group(struct journal_read *r, const char *path, uint64_t key, struct str value)
{
    struct group_entry x;
    struct group g;
    struct err e;
    uint64_t seq;
    int rc = group_open(&g, key, value, &e);

    if (rc < 0) {
        r->damaged(r->arg, path, &e);
        return;
    }
    while ((rc = group_next(&g, !r->heads_only, &seq, &x, &e)) <= 0) {
        if (rc < 0)
            r->damaged(r->arg, path, &e);
        else
            r->entry(r->arg, seq, x.tag, x.bytes);
    }
}

static int read_all(struct env *v, struct journal_read *r, struct err *e)
{
    MDB_val key, value;
    MDB_cursor *c = NULL;
    MDB_txn *t;
    int rc = mdb_txn_begin(v->mdb, NULL, MDB_RDONLY, &t);

    if (rc)
        return env_err(e, rc, "cannot read %s", v->path);
    rc = mdb_cursor_open(t, v->dbi, &c);
    if (rc == 0)
        rc = mdb_cursor_get(c, &key, &value, MDB_FIRST);
    if (rc == 0 && get_u64le(key.mv_data) == 0) {
        struct err bad;

        if (group_header_read(str_of_val(value), &r->file, &r->first_seq, &bad) < 0)
            r->damaged(r->arg, v->path, &bad);
        rc = mdb_cursor_get(c, &key, &value, MDB_NEXT);
    }
    for (; rc == 0; rc = mdb_cursor_get(c, &key, &value, MDB_NEXT)) {
        if (key.mv_size != sizeof(uint64_t))
            rc = MDB_CORRUPTED;
        else
            read_group(r, v->path, get_u64le(key.mv_data), str_of_val(value));
    }
    if (c)
        mdb_cursor_close(c);
    mdb_txn_abort(t);
    return rc == MDB_NOTFOUND ? 0 : env_err(e, rc, "cannot read %s", v->path);
}

int journal_read_file(const char *path, struct journal_read *r, struct err *e)
{
    struct env v;
    int rc = env_open(&v, path, ENV_READ_ONLY | ENV_NO_LOCK | ENV_INTEGER_KEYS, 0, e);

    if (rc < 0)
        return rc;
    rc = read_all(&v, r, e);
    env_close(&v);
    return rc;
}

struct replaying {
    struct journal *j;
    const struct journal_replay *r;
    struct journal_file *f;
    bool damaged;
};

static void on_head(void *arg, uint64_t seq, uint8_t tag, struct str bytes)
{
    struct replaying *p = arg;

    (void)bytes;
    file_saw(p->f, tag, seq);
}

static void on_entry(void *arg, uint64_t seq, uint8_t tag, struct str bytes)
{
    struct replaying *p = arg;

    p->r->entry(p->r->arg, seq, tag, bytes);
}

static void on_damaged(void *arg, const char *path, const struct err *e)
{
    struct replaying *p = arg;

    p->damaged = true;
    p->r->damaged(p->r->arg, path, e);
}

static void no_report(void *arg, const char *path, const struct err *e)
{
    (void)arg;
    (void)path;
    (void)e;
}

/*
 * The heads first: they tell what the file holds. Then, unless all of it is contained, every entry, checked and handed
 * out, damage reported.
 */
static void replay_file(struct replaying *p)
{
    struct journal_read r = {.entry = on_head, .damaged = no_report, .arg = p, .heads_only = true};
    char path[PATH_MAX];
    struct err e;

    journal_path(p->j, p->f->number, path);
    if ((p->r->check && p->r->check(p->r->arg, path, &e) < 0) || journal_read_file(path, &r, &e) < 0) {
        p->f->keep = true;
        on_damaged(p, path, &e);
    }
    journal_seq_floor(p->j, MAX(p->f->last_seq, r.first_seq ? r.first_seq - 1 : 0));
    if (file_contained(p->f, p->r->contained, p->r->arg))
        return;
    r = (struct journal_read){.entry = on_entry, .damaged = on_damaged, .arg = p};
    p->r->file(p->r->arg, p->f->number);
    (void)journal_read_file(path, &r, &e); /* what fails here failed above, and was reported */
}

int journal_replay(struct journal *j, const struct journal_replay *r, struct err *e)
{
    struct replaying p = {.j = j, .r = r};
    uint32_t kept = 0;
    char path[PATH_MAX];

    (void)e;
    assert(!j->running);
    for (uint32_t i = 0; i < j->nfiles; i++) {
        p.f = &j->files[i];
        replay_file(&p);
        crash_point("journal file replayed");
    }
    for (uint32_t i = 0; i < j->nfiles; i++) { /* those that were put aside are gone */
        journal_path(j, j->files[i].number, path);
        if (access(path, F_OK) == 0)
            j->files[kept++] = j->files[i];
        else
            j->bytes -= j->files[i].bytes;
    }
    j->nfiles = kept;
    if (p.damaged)
        journal_seq_floor(j, j->next_seq + SEQ_LEAP);
    atomic_store_explicit(&j->done_seq, j->next_seq - 1, memory_order_release);
    return 0;
}
