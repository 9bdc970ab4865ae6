/*
 * suspect.c - see suspect.h. data/suspect has a line for each failure: PATH, tab, KIND, tab, why.
 *
 *   crash   the process died of it (written by the handlers of damage.c): counts
 *   value   a value with a bad checksum was met: the file is read whole at the next opening, and stays if nothing worse is found
 *
 * (1) A file is mapped only after its pages were walked without mapping it.
 * (2) What may kill the reader is read by a child, under limits of time and core, with the handlers off.
 * (3) Nothing is deleted: quarantine is a rename within the data directory.
 */
#include "store/suspect.h"

#include "store/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { CHILD_S_MAX = 300, CRASHES_MAX = 2 };

struct suspect {
    char *path;
    uint32_t crashes, values;
    char why[200];
    bool cleared; /* read whole in this process's life, and found good enough */
};

struct suspects {
    pthread_mutex_t mu;
    struct suspect *v;
    uint32_t n, cap;
};

/* --- the list ----------------------------------------------------------------------------------- */

/* The caller holds mu. */
static struct suspect *find(struct suspects *l, const char *path)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].path, path) == 0)
            return &l->v[i];
    return NULL;
}

static struct suspect *add(struct suspects *l, const char *path)
{
    struct suspect *x = find(l, path);

    if (x)
        return x;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 8;
        l->v = x_realloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n] = (struct suspect){.path = x_strdup(str_of(path))};
    return &l->v[l->n++];
}

static void parse_line(struct suspects *l, char *line)
{
    char *kind = strchr(line, '\t'), *why;
    struct suspect *x;

    if (!kind)
        return;
    *kind++ = '\0';
    why = strchr(kind, '\t');
    if (!why)
        return;
    *why++ = '\0';
    why[strcspn(why, "\n")] = '\0';
    if (access(line, F_OK) < 0)
        return; /* dropped, or put aside */
    x = add(l, line);
    x->crashes += strcmp(kind, "crash") == 0;
    x->values += strcmp(kind, "value") == 0;
    snprintf(x->why, sizeof x->why, "%s", why);
}

/* Writes the list anew. The caller holds mu. A failure leaves the old one, which only says too much. */
static void rewrite(struct store *s)
{
    char path[PATH_MAX], tmp[PATH_MAX + 8];
    FILE *f;

    if (s->opts.read_only)
        return;
    snprintf(path, sizeof path, "%s/suspect", s->dir);
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    f = fopen(tmp, "we");
    if (!f)
        return;
    for (uint32_t i = 0; i < s->suspects->n; i++) {
        const struct suspect *x = &s->suspects->v[i];

        for (uint32_t k = 0; k < x->crashes; k++)
            fprintf(f, "%s\tcrash\t%s\n", x->path, x->why);
        if (x->values)
            fprintf(f, "%s\tvalue\t%s\n", x->path, x->why);
    }
    if (fflush(f) == 0 && fsync(fileno(f)) == 0 && rename(tmp, path) == 0)
        (void)damage_setup(s->dir, NULL); /* the handlers write to the new one */
    fclose(f);
}

/* Files put aside stay a warning for as long as they lie there. */
static void load_quarantine(struct store *s)
{
    char dir[PATH_MAX];
    struct dirent *f;
    DIR *d;

    snprintf(dir, sizeof dir, "%s/quarantine", s->dir);
    d = opendir(dir);
    while (d && (f = readdir(d))) {
        if (f->d_name[0] == '.')
            continue;
        s->quarantined++;
        store_warn(s, f->d_name, "%s/%s was damaged and is out of use: what it held is missing", dir, f->d_name);
    }
    if (d)
        closedir(d);
}

int suspect_load(struct store *s, struct err *e)
{
    char path[PATH_MAX], line[1024];
    FILE *f;

    (void)e;
    s->suspects = x_zalloc(sizeof *s->suspects);
    pthread_mutex_init(&s->suspects->mu, NULL);
    load_quarantine(s);
    snprintf(path, sizeof path, "%s/suspect", s->dir);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        parse_line(s->suspects, line);
    if (f)
        fclose(f);
    for (uint32_t i = 0; i < s->suspects->n; i++) {
        const struct suspect *x = &s->suspects->v[i];

        log_warn("store", "%s is suspect: %s", x->path, x->why);
        if (x->values)
            store_warn(s, x->path, "%s is damaged: %s", x->path, x->why);
    }
    return 0;
}

void suspect_release(struct store *s)
{
    if (!s->suspects)
        return;
    for (uint32_t i = 0; i < s->suspects->n; i++)
        free(s->suspects->v[i].path);
    free(s->suspects->v);
    pthread_mutex_destroy(&s->suspects->mu);
    free(s->suspects);
    s->suspects = NULL;
}

void suspect_note(struct store *s, const char *path, const char *why)
{
    char line[256];

    snprintf(line, sizeof line, "value\t%s", why);
    damage_append(path, line);
    (void)s;
}

/* --- reading a suspect -------------------------------------------------------------------------- */

enum { GOOD = 0, BAD_VALUES = 3, DAMAGED = 4 }; /* exit codes of the child */

static int read_whole(const char *path, char *say, size_t say_bytes)
{
    struct check c = {.path = path, .kind = check_kind_of(path), .values = true};
    struct err e = {0};
    int rc = check_file(&c, &e);

    if (rc == 0)
        rc = check_mapped(&c, &e);
    if (rc < 0) {
        snprintf(say, say_bytes, "%s", e.text);
        return DAMAGED;
    }
    if (c.bad_values > 0) {
        snprintf(say, say_bytes, "%llu bad values, the first: %s", (unsigned long long)c.bad_values, c.first_bad);
        return BAD_VALUES;
    }
    return GOOD;
}

static void child(struct store *s, const char *path, int out)
{
    char say[1024] = "";
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), code;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "verify");
    damage_release();
    signal(SIGBUS, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(CHILD_S_MAX);
    if (s->lock_fd >= 0)
        close(s->lock_fd); /* the lock is the parent's: it must not outlive it here */
    dup2(null, STDERR_FILENO);
    code = read_whole(path, say, sizeof say);
    if (write(out, say, strlen(say)) < 0)
        code = DAMAGED;
    _exit(code);
}

/* ERR_CORRUPT: it must not be mapped. *values: some values are bad, the rest can be used. */
static int verify_in_child(struct store *s, const char *path, bool *values, struct err *e)
{
    char say[1024] = "";
    int p[2], status;
    ssize_t n;
    pid_t pid;

    if (pipe2(p, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot make a pipe to verify %s", path);
    pid = fork();
    if (pid == 0)
        child(s, path, p[1]);
    close(p[1]);
    n = pid > 0 ? read(p[0], say, sizeof say - 1) : -1;
    say[n > 0 ? n : 0] = '\0';
    close(p[0]);
    if (pid < 0)
        return err_sys(e, errno, "cannot start a process to verify %s", path);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_sys(e, errno, "cannot wait for the verification of %s", path);
    *values = WIFEXITED(status) && WEXITSTATUS(status) == BAD_VALUES;
    if (WIFEXITED(status) && (WEXITSTATUS(status) == GOOD || *values)) {
        if (*values)
            store_warn(s, path, "%s is damaged: %s", path, say);
        return 0;
    }
    if (WIFSIGNALED(status))
        return err_set(e, ERR_CORRUPT, "reading it ends with signal %d", WTERMSIG(status));
    return err_set(e, ERR_CORRUPT, "%s", *say ? say : "it cannot be read");
}

/* The verdict on a file that failed before. */
static int judge(struct store *s, const char *path, uint32_t crashes, struct err *e)
{
    bool values = false;
    int rc = verify_in_child(s, path, &values, e);
    struct suspect *x;

    if (rc < 0)
        return rc;
    if (crashes >= CRASHES_MAX)
        return err_set(e, ERR_CORRUPT, "the process died of it %u times", crashes);
    log_warn("store", "%s was suspect and has been read whole: %s", path, values ? "some values are bad" : "it is in use again");
    pthread_mutex_lock(&s->suspects->mu);
    x = add(s->suspects, path);
    x->cleared = true;
    x->values = values;
    rewrite(s);
    pthread_mutex_unlock(&s->suspects->mu);
    return 0;
}

int suspect_check(struct store *s, const char *path, struct err *e)
{
    struct check c = {.path = path, .kind = check_kind_of(path)};
    uint32_t crashes = 0;
    struct suspect *x;
    bool suspect;
    int rc;

    pthread_mutex_lock(&s->suspects->mu);
    x = find(s->suspects, path);
    suspect = x && !x->cleared;
    if (suspect)
        crashes = x->crashes;
    pthread_mutex_unlock(&s->suspects->mu);
    if (suspect)
        return judge(s, path, crashes, e);
    rc = check_file(&c, e);
    if (rc != ERR_CORRUPT)
        return rc;
    log_warn("store", "%s: %s", path, e ? e->text : "damaged");
    return judge(s, path, 0, e);
}

int suspect_verify(const char *path, struct err *e)
{
    struct check c = {.path = path, .kind = check_kind_of(path), .values = true};
    int rc = check_file(&c, e);

    if (rc == 0 && c.bad_values > 0)
        rc = err_set(e, ERR_CORRUPT, "%s", c.first_bad);
    return rc < 0 ? err_ctx(e, "verifying %s", path) : 0;
}

/* --- quarantine --------------------------------------------------------------------------------- */

/* data/metrics/2026-11-22.mdb -> data/quarantine/metrics-2026-11-22.mdb, with a number where that is taken. */
static void place(const struct store *s, const char *path, char to[PATH_MAX])
{
    const char *name = strncmp(path, s->dir, strlen(s->dir)) == 0 ? path + strlen(s->dir) : path;
    size_t at;

    while (*name == '/')
        name++;
    at = (size_t)snprintf(to, PATH_MAX, "%s/quarantine/", s->dir);
    snprintf(to + at, PATH_MAX - at, "%s", name);
    for (char *p = to + at; *p; p++)
        if (*p == '/')
            *p = '-';
    at = strlen(to);
    for (unsigned i = 1; access(to, F_OK) == 0 && i < 10000; i++)
        snprintf(to + at, PATH_MAX - at, ".%u", i);
}

int suspect_quarantine(struct store *s, const char *path, const struct err *why)
{
    char to[PATH_MAX], dir[PATH_MAX], lock[PATH_MAX + 8], text[sizeof why->text];
    struct suspect *x;
    struct err e;

    snprintf(text, sizeof text, "%s", why->text);
    snprintf(dir, sizeof dir, "%s/quarantine", s->dir);
    if (mkdir(dir, 0750) < 0 && errno != EEXIST) {
        log_error("store", "cannot make %s: %s", dir, strerror(errno));
        return -1;
    }
    place(s, path, to);
    if (rename(path, to) < 0) {
        log_error("store", "cannot move %s to %s: %s", path, to, strerror(errno));
        return -1;
    }
    crash_point("quarantined");
    snprintf(lock, sizeof lock, "%s-lock", path);
    unlink(lock);
    if (dir_sync(dir, &e) < 0 || dir_sync_of(path, &e) < 0)
        log_warn("store", "%s", e.text);
    s->quarantined++;
    log_error("store", "%s is damaged and was moved to %s: %s", path, to, text);
    store_warn(s, path, "%s is damaged and was moved to %s, what it held is missing: %s", path, to, text);
    pthread_mutex_lock(&s->suspects->mu);
    x = find(s->suspects, path);
    if (x) {
        x->crashes = x->values = 0;
        x->cleared = true;
        rewrite(s);
    }
    pthread_mutex_unlock(&s->suspects->mu);
    return 0;
}
