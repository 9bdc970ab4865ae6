/*
 * node_fs.c - file systems. statfs on a dead server never returns, so only those that live in this kernel are asked
 * directly; all others are asked by a thread of their own, and whoever does not answer in time is left hanging and told
 * as an error.
 *
 * (1) The thread that collects never calls statfs on a file system that something outside this kernel must answer for.
 * (2) While one statfs hangs on a mount point, no second one is sent there.
 * (3) A question outlives a patience that ran out, so it belongs to both sides; the last one frees it.
 */
#include "collector/host/node.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>

enum { PATIENCE_MS = 500, MOUNTS_MAX = 4096 };

struct question {
    char *path;
    struct question *next; /* in watchdog.hanging; of the thread that collects */
    pthread_mutex_t mu;
    pthread_cond_t answered;
    /* Under mu. */
    struct statvfs answer;
    int error;
    bool done, forgotten; /* forgotten: nobody will look, the thread frees it */
};

struct watchdog {
    struct question *hanging; /* of the thread that collects */
    int (*ask)(const char *path, struct statvfs *out);
    int patience_ms;
};

static struct watchdog *watchdog_new(void)
{
    struct watchdog *w = x_zalloc(sizeof *w);

    w->ask = statvfs;
    w->patience_ms = PATIENCE_MS;
    return w;
}

static void question_free(struct question *q)
{
    pthread_cond_destroy(&q->answered);
    pthread_mutex_destroy(&q->mu);
    free(q->path);
    free(q);
}

struct errand {
    struct question *q;
    int (*ask)(const char *path, struct statvfs *out);
};

static void *run_errand(void *arg)
{
    struct errand t = *(struct errand *)arg;
    struct statvfs answer;
    int error;
    bool mine;

    free(arg);
    error = t.ask(t.q->path, &answer) < 0 ? errno : 0;
    pthread_mutex_lock(&t.q->mu);
    t.q->answer = answer;
    t.q->error = error;
    t.q->done = true;
    mine = t.q->forgotten;
    pthread_cond_signal(&t.q->answered);
    pthread_mutex_unlock(&t.q->mu);
    if (mine)
        question_free(t.q);
    return NULL;
}

static struct question *send(const struct watchdog *w, const char *path)
{
    struct question *q = x_zalloc(sizeof *q);
    struct errand *t = x_zalloc(sizeof *t);
    pthread_attr_t attr;
    pthread_condattr_t clock;
    pthread_t thread;

    q->path = x_strdup(str_of(path));
    pthread_mutex_init(&q->mu, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&q->answered, &clock);
    pthread_condattr_destroy(&clock);
    *t = (struct errand){q, w->ask};
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 128 * 1024);
    if (pthread_create(&thread, &attr, run_errand, t) != 0) {
        free(t);
        question_free(q);
        q = NULL;
    }
    pthread_attr_destroy(&attr);
    return q;
}

/* true: q has its answer. */
static bool wait_for(struct question *q, int ms)
{
    struct timespec until;
    bool done;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&q->mu);
    while (!q->done && pthread_cond_timedwait(&q->answered, &q->mu, &until) == 0)
        ;
    done = q->done;
    pthread_mutex_unlock(&q->mu);
    return done;
}

/* Drops those that came back after all. */
static void collect_hanging(struct watchdog *w)
{
    for (struct question **at = &w->hanging; *at;) {
        struct question *q = *at;

        if (!wait_for(q, 0)) {
            at = &q->next;
            continue;
        }
        *at = q->next;
        question_free(q);
    }
}

static bool hangs(const struct watchdog *w, const char *path)
{
    for (const struct question *q = w->hanging; q; q = q->next)
        if (strcmp(q->path, path) == 0)
            return true;
    return false;
}

/* As statvfs, but comes back in time. */
static int ask_patiently(struct watchdog *w, const char *path, struct statvfs *out)
{
    struct question *q;
    int error;

    if (hangs(w, path))
        return ETIMEDOUT;
    q = send(w, path);
    if (!q)
        return EAGAIN;
    if (!wait_for(q, w->patience_ms)) {
        q->next = w->hanging;
        w->hanging = q;
        return ETIMEDOUT;
    }
    *out = q->answer;
    error = q->error;
    question_free(q);
    return error;
}

void watchdog_free(struct watchdog *w)
{
    if (!w)
        return;
    for (struct question *q = w->hanging, *next; q; q = next) {
        bool done;

        next = q->next;
        pthread_mutex_lock(&q->mu);
        q->forgotten = true;
        done = q->done;
        pthread_mutex_unlock(&q->mu);
        if (done)
            question_free(q);
    }
    free(w);
}

/* --- mounts ----------------------------------------------------------------------------------------- */

struct mount {
    struct str device, point, fstype;
    bool readonly;
    int error;
    struct statvfs s;
};

/* \040 and its like as the kernel writes them. */
static struct str unescape(struct host *h, struct str s)
{
    char *p = arena_alloc(&h->scratch, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned v = 0;
        size_t k = 1;

        if (s.p[i] == '\\')
            for (; k < 4 && i + k < s.n && s.p[i + k] >= '0' && s.p[i + k] <= '7'; k++)
                v = v * 8 + (unsigned)(s.p[i + k] - '0');
        if (k == 4)
            i += 3;
        p[n++] = k == 4 ? (char)v : s.p[i];
    }
    p[n] = '\0';
    return str_n(p, n);
}

/* A mount point as seen from the root that was given. */
static struct str strip_root(const struct host *h, struct str point)
{
    struct str root = str_of(h->rootfs);

    if (str_eqz(root, "/") || !str_starts(point, root))
        return point;
    point = str_from(point, root.n);
    return point.n ? point : STR("/");
}

static bool is_readonly(struct str options)
{
    struct str option;

    for (bool more = true; more;) {
        more = str_cut(&options, ',', &option);
        if (str_eqz(option, "ro"))
            return true;
    }
    return false;
}

/* Answered by this kernel from its own memory. */
static bool is_local(struct str fstype)
{
    static const char *const types[] = {"ext4",     "ext3",  "ext2",     "xfs",      "btrfs",  "tmpfs", "vfat",
                                        "f2fs",     "ramfs", "exfat",    "erofs",    "msdos",  "ntfs3", "jfs",
                                        "reiserfs", "zfs",   "bcachefs", "efivarfs", "nilfs2", "udf"};

    for (unsigned i = 0; i < ARRAY_LEN(types); i++)
        if (str_eqz(fstype, types[i]))
            return true;
    return false;
}

static void stat_mount(struct host *h, struct mount *m)
{
    bool rooted = !str_eqz(str_of(h->rootfs), "/");
    struct str path = arena_printf(&h->scratch, "%s%.*s", rooted ? h->rootfs : "", STR_ARG(m->point));

    if (is_local(m->fstype))
        m->error = statvfs(path.p, &m->s) < 0 ? errno : 0;
    else
        m->error = ask_patiently(h->watchdog, path.p, &m->s);
}

static bool same_mount(const struct mount *a, const struct mount *b)
{
    return str_eq(a->point, b->point) && str_eq(a->device, b->device) && str_eq(a->fstype, b->fstype);
}

/* The mounts we tell of, each once. */
static struct mount *read_mounts(struct host *h, struct str text, uint32_t *n)
{
    struct mount *list = NULL;
    struct str line;
    uint32_t cap = 0;

    *n = 0;
    while (host_next_line(&text, &line) && *n < MOUNTS_MAX) {
        struct mount m = {0};
        bool again = false;

        m.device = unescape(h, host_next_word(&line));
        m.point = strip_root(h, unescape(h, host_next_word(&line)));
        m.fstype = arena_dup(&h->scratch, host_next_word(&line));
        m.readonly = is_readonly(host_next_word(&line));
        if (m.fstype.n == 0 || regex_match(h->skip_mounts, m.point) || regex_match(h->skip_fstypes, m.fstype))
            continue;
        for (uint32_t i = 0; i < *n && !again; i++)
            again = same_mount(&list[i], &m);
        if (again)
            continue;
        if (*n == cap) {
            struct mount *more = arena_array(&h->scratch, struct mount, cap ? cap * 2 : 16);

            if (cap)
                memcpy(more, list, cap * sizeof *list);
            list = more;
            cap = cap ? cap * 2 : 16;
        }
        list[(*n)++] = m;
    }
    return list;
}

static double value_of(const struct mount *m, unsigned metric)
{
    switch (metric) {
    case 0:
        return (double)m->s.f_bavail * (double)m->s.f_frsize;
    case 1:
        return m->error != 0;
    case 2:
        return (double)m->s.f_files;
    case 3:
        return (double)m->s.f_ffree;
    case 4:
        return (double)m->s.f_bfree * (double)m->s.f_frsize;
    case 5:
        return m->readonly;
    default:
        return (double)m->s.f_blocks * (double)m->s.f_frsize;
    }
}

int node_filesystem(struct host *h, struct buf *out)
{
    static const struct {
        const char *metric, *help;
    } rows[] = {
        {"node_filesystem_avail_bytes", "Bytes free for users other than root."},
        {"node_filesystem_device_error", "1 if the file system did not answer."},
        {"node_filesystem_files", "File nodes altogether."},
        {"node_filesystem_files_free", "File nodes free."},
        {"node_filesystem_free_bytes", "Bytes free."},
        {"node_filesystem_readonly", "1 if mounted read-only."},
        {"node_filesystem_size_bytes", "Bytes altogether."},
    };
    struct str text = host_proc(h, PROC_MOUNTS);
    struct mount *list;
    uint32_t n;

    if (!text.p) /* not allowed to look at process 1: our own view */
        text = host_file(h, h->proc_fd, "self/mounts");
    if (!text.p)
        return -1;
    if (!h->watchdog)
        h->watchdog = watchdog_new();
    collect_hanging(h->watchdog);
    list = read_mounts(h, text, &n);
    for (uint32_t i = 0; i < n; i++)
        stat_mount(h, &list[i]);
    for (unsigned r = 0; r < ARRAY_LEN(rows); r++) {
        emit_family(out, rows[r].metric, "gauge", rows[r].help);
        for (uint32_t i = 0; i < n; i++) {
            struct emit m;

            if (list[i].error && r != 1) /* of one that failed only the failure is known */
                continue;
            m = emit_begin(out, rows[r].metric);
            emit_label(&m, "device", list[i].device);
            emit_label(&m, "fstype", list[i].fstype);
            emit_label(&m, "mountpoint", list[i].point);
            emit_end(&m, value_of(&list[i], r));
        }
    }
    return 0;
}
