/*
 * siblings.c - files beside a path that were at the path once: app.log.1, app.log-20261122. A rotation that nobody watched (we were
 * down, or two came at once) left lines there.
 *
 *     by their time of change, then by name:  app.log.3  app.log.2  app.log.1  (app.log)
 *                                                 │          │          └ never seen and later than one we know: read it whole
 *                                                 │          └ known, not read to its end: read on
 *                                                 └ earlier than all that we know: not ours
 *
 * (1) Names count only with digits behind a dot or dash: app.log.bak and app.log.1.gz are no siblings.
 * (2) Of a container that we see for the first time all are read: the folder is its own.
 * (3) A copy (copytruncate) is known by its first bytes, which are those of the file before it was truncated.
 * (4) Names move while we look: a rotation renames one file after the other. What was seen counts only if all names still stand for the same
 *     files afterwards; else a file that we know would be taken for a new one, under the name it had or will have.
 */
#include "collector/files/tailer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 20, PAUSE_US = 10000 };

struct sibling {
    char *path;
    struct str suffix;
    uint64_t dev, ino, size;
    int64_t mtime_ns;
    bool known, copy; /* copy: known by its first bytes alone; it is opened to get a mark of its own, if there is nothing left of it too */
    int64_t at; /* where to read on; -1: not to be read */
};

struct siblings {
    struct target *t;
    struct sibling *v;
    uint32_t n, cap;
    int64_t newest_lost_ns; /* time of change of what we know and do not find; INT64_MAX: nothing is lost */
    bool any_known;
};

static bool is_suffix(struct str s)
{
    if (s.n < 2 || (s.p[0] != '.' && s.p[0] != '-') || s.p[1] < '0' || s.p[1] > '9')
        return false;
    for (size_t i = 1; i < s.n; i++) {
        if (!strchr("0123456789.-_:T", s.p[i]))
            return false;
    }
    return true;
}

/* app.log.2 is older than app.log.1; names with dates sort as they stand. */
static int by_age(const void *a, const void *b)
{
    const struct sibling *x = a, *y = b;
    uint64_t i, k;

    if (x->mtime_ns != y->mtime_ns)
        return x->mtime_ns < y->mtime_ns ? -1 : 1;
    if (str_to_u64(str_from(x->suffix, 1), &i) && str_to_u64(str_from(y->suffix, 1), &k) && i < 10000 && k < 10000)
        return i == k ? 0 : i > k ? -1 : 1;
    return str_cmp(x->suffix, y->suffix);
}

static void list_siblings(struct target *t, struct siblings *out)
{
    size_t slash = t->path.n;
    struct dirent *en;
    struct str base;
    char *folder;
    DIR *d;

    while (slash > 0 && t->path.p[slash - 1] != '/')
        slash--;
    base = str_from(t->path, slash);
    folder = x_strdup(slash ? str_head(t->path, slash) : STR("."));
    d = opendir(folder);
    while (d && (en = readdir(d))) {
        struct str name = str_of(en->d_name);
        struct sibling s = {.at = -1};
        struct buf path = {0};
        struct stat st;

        if (!str_starts(name, base) || !is_suffix(str_from(name, base.n)))
            continue;
        buf_puts(&path, str_head(t->path, slash));
        buf_puts(&path, name);
        buf_z(&path);
        s.path = buf_detach(&path, NULL);
        s.suffix = str_from(str_of(s.path), slash + base.n);
        if (stat(s.path, &st) < 0 || !S_ISREG(st.st_mode)) {
            free(s.path);
            continue;
        }
        s.dev = st.st_dev;
        s.ino = st.st_ino;
        s.size = (uint64_t)st.st_size;
        s.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        if (out->n == out->cap) {
            out->cap = out->cap * 2 + 16;
            out->v = x_realloc(out->v, sizeof(*out->v) * out->cap);
        }
        out->v[out->n++] = s;
    }
    if (d)
        closedir(d);
    free(folder);
    if (out->n)
        qsort(out->v, out->n, sizeof(*out->v), by_age);
}

static void release(struct siblings *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        free(s->v[i].path);
    free(s->v);
}

static bool holds(const struct sibling *s, const struct signature *sig)
{
    int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool yes = fd >= 0 && signature_holds(sig, fd);

    if (fd >= 0)
        close(fd);
    return yes;
}

/* The sibling that is, or is a copy of, what was signed and read up to offset. */
static struct sibling *find_signed(const struct siblings *s, uint64_t dev, uint64_t ino, const struct signature *sig, uint64_t offset)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->v[i].ino == ino && s->v[i].dev == dev && s->v[i].size >= offset && holds(&s->v[i], sig))
            return &s->v[i];
    }
    for (uint32_t i = s->n; i-- > 0;) {
        if (!s->v[i].known && s->v[i].size >= offset && holds(&s->v[i], sig))
            return &s->v[i];
    }
    return NULL;
}

static bool is_open(const struct job *j, uint64_t dev, uint64_t ino)
{
    char id[16];

    put_u64le(id, dev);
    put_u64le(id + 8, ino);
    return map_get(&j->open, str_n(id, 16)) != NULL;
}

static void note_known(struct sibling *k, uint64_t offset)
{
    if (!k->known || k->at < (int64_t)offset)
        k->at = (int64_t)offset;
    k->known = true;
}

/* Which siblings are known, by whatever name, and how far. First those of the very file, then copies. */
static bool ask_mark(void *arg, const struct known_mark *m)
{
    struct siblings *s = arg;

    s->any_known |= str_eq(m->pos.path, s->t->path);
    for (uint32_t i = 0; i < s->n; i++) {
        struct sibling *k = &s->v[i];

        if (k->ino == m->pos.ino && k->dev == m->pos.dev && k->size >= m->pos.offset && holds(k, &m->pos.sig))
            note_known(k, m->pos.offset);
    }
    return true;
}

/* Whether what lies at the path is still the file of the mark. */
static bool is_here(const struct target *t, const struct position *p)
{
    int fd = open(t->path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    bool here = fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == p->ino && st.st_dev == p->dev && (uint64_t)st.st_size >= p->offset &&
                (p->sig.n == 0 || signature_holds(&p->sig, fd));

    if (fd >= 0)
        close(fd);
    return here;
}

struct marks_ask {
    const struct target *t;
    unsigned n;
    bool here;
};

static bool ask_plain(void *arg, const struct known_mark *m)
{
    struct marks_ask *ask = arg;

    if (!str_eq(m->pos.path, ask->t->path))
        return true;
    ask->here = ++ask->n == 1 && is_here(ask->t, &m->pos);
    return ask->n < 2;
}

/* Nothing is known of the path, or only that what lies there now was there before: no rotation, so nobody need look beside it. */
static bool nothing_happened(const struct target *t)
{
    struct marks_ask ask = {.t = t};

    positions_each(t->job->f, t->job, ask_plain, &ask);
    return ask.n == 0 ? !t->docker : ask.n == 1 && ask.here;
}

static bool ask_copy(void *arg, const struct known_mark *m)
{
    struct siblings *s = arg;
    struct sibling *k;

    if (!str_eq(m->pos.path, s->t->path) || (m->pos.flags & POSITION_DONE) || is_here(s->t, &m->pos))
        return true;
    k = find_signed(s, m->pos.dev, m->pos.ino, &m->pos.sig, m->pos.offset);
    if (k) {
        k->copy |= !k->known;
        note_known(k, m->pos.offset);
    }
    if (!k && m->pos.sig.n && m->pos.mtime_ns > s->newest_lost_ns)
        s->newest_lost_ns = m->pos.mtime_ns;
    return true;
}

/* Those to be read are given their place: known ones that are not at their end, and unknown ones later than a known one. */
static void choose(struct siblings *s, bool all)
{
    bool later = all;

    for (uint32_t i = 0; i < s->n; i++) {
        struct sibling *k = &s->v[i];

        later |= k->known;
        if (k->known) {
            if (k->at >= (int64_t)k->size && !k->copy)
                k->at = -1;
        } else if (later || (s->newest_lost_ns != INT64_MIN && k->mtime_ns > s->newest_lost_ns)) {
            k->at = 0;
        }
    }
}

/* (4) */
static bool unchanged(const struct siblings *s)
{
    struct siblings now = {.t = s->t};
    bool same;

    list_siblings(s->t, &now);
    same = now.n == s->n;
    for (uint32_t i = 0; i < now.n && same; i++) {
        uint32_t k = 0;

        while (k < s->n && (s->v[k].ino != now.v[i].ino || s->v[k].dev != now.v[i].dev || strcmp(s->v[k].path, now.v[i].path) != 0))
            k++;
        same = k < s->n;
    }
    release(&now);
    return same;
}

/* False: a name moved meanwhile; what was opened before stays. */
static bool open_chosen(struct siblings *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct followed *w;

        if (s->v[i].at < 0 || is_open(s->t->job, s->v[i].dev, s->v[i].ino))
            continue;
        w = followed_open(s->t, s->v[i].path, s->v[i].at);
        if (!w)
            continue;
        if (w->dev != s->v[i].dev || w->ino != s->v[i].ino) {
            followed_close(w);
            return false;
        }
        w->rotated = true;
        followed_append(w);
        log_info("files", "%.*s: reading %s from %lld", STR_ARG(s->t->path), s->v[i].path, (long long)s->v[i].at);
    }
    return true;
}

/* True: what could be opened is. */
static bool try_append(struct target *t, const struct followed *since, bool last)
{
    struct siblings s = {.t = t, .newest_lost_ns = INT64_MIN};
    bool done;

    list_siblings(t, &s);
    for (uint32_t i = 0; i < s.n; i++) {
        if (is_open(t->job, s.v[i].dev, s.v[i].ino)) {
            s.v[i].known = true;
            s.any_known |= since != NULL;
        }
    }
    positions_each(t->job->f, t->job, ask_mark, &s);
    if (!since)
        positions_each(t->job->f, t->job, ask_copy, &s);
    else if (!s.any_known)
        s.newest_lost_ns = since->mtime_ns; /* moved away altogether: it is open, what came after it we see by time */
    choose(&s, t->docker && !since && !s.any_known);
    done = (unchanged(&s) || last) && open_chosen(&s);
    release(&s);
    return done;
}

void siblings_append(struct target *t, const struct followed *since)
{
    if (!since && nothing_happened(t))
        return;
    for (unsigned i = 0; i < TRIES && !try_append(t, since, i + 1 == TRIES); i++)
        usleep(PAUSE_US);
}

/* Those that were opened go before w, which is the last. */
static void open_before(struct siblings *s, struct followed *w)
{
    struct target *t = w->t;

    for (struct followed **at = &t->first; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = NULL;
            break;
        }
    }
    t->last = NULL;
    for (struct followed *x = t->first; x; x = x->next)
        t->last = x;
    open_chosen(s);
    if (t->last)
        t->last->next = w;
    else
        t->first = w;
    t->last = w;
    w->next = NULL;
}

/* True: seen while no name moved; *found: there is a copy, and it is opened. */
static bool try_find_copy(struct followed *w, uint64_t from, bool last, bool *found)
{
    struct target *t = w->t;
    struct siblings s = {.t = t, .newest_lost_ns = INT64_MIN};
    struct sibling *k;
    bool seen;

    list_siblings(t, &s);
    for (uint32_t i = 0; i < s.n; i++)
        s.v[i].known = is_open(t->job, s.v[i].dev, s.v[i].ino);
    positions_each(t->job->f, t->job, ask_mark, &s);
    for (uint32_t i = 0; i < s.n; i++)
        s.v[i].at = -1;
    k = find_signed(&s, w->dev, w->ino, &w->sig, from);
    for (struct sibling *x = k; k && x < s.v + s.n; x++)
        x->at = x == k ? (int64_t)from : x->known ? -1 : 0;
    seen = unchanged(&s) || last;
    *found = k && seen;
    if (*found)
        open_before(&s, w);
    release(&s);
    return seen;
}

bool siblings_find_copy(struct followed *w, uint64_t from)
{
    bool found = false;

    if (w->rotated || w->sig.n == 0 || w->t->last != w)
        return false;
    for (unsigned i = 0; i < TRIES && !try_find_copy(w, from, i + 1 == TRIES, &found); i++)
        usleep(PAUSE_US);
    return found;
}
