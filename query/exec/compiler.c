/*
 * compiler.c - see compiler.h.
 *
 * (1) A job belongs to two: the query that asked and the thread that compiles. Who lets go last frees it, so a query whose time is
 *     over leaves at once and what was made for it is thrown away.
 * (2) A job whose query has left before its turn came is not compiled.
 * (3) Once a query must stop, none of its patterns is compiled any more, long or short.
 */
#include "query/exec/compiler.h"

#include "base/regex_long.h"
#include "query/exec/background.h"
#include "query/exec/exec.h"

#include <stdlib.h>

static _Thread_local struct query *mine;

enum { THREADS = 2, WAITING_MAX = 256, LOOK_MS = 5 };

struct job {
    struct compiler *c;
    struct str pattern; /* behind the job */
    unsigned flags;

    /* Under c->mu. */
    bool left, done;
    int code;
    struct regex *re;
    struct err why;
};

void compiler_init(struct compiler *c, struct background *b)
{
    pthread_condattr_t attr;

    *c = (struct compiler){.background = b};
    pthread_mutex_init(&c->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->done, &attr);
    pthread_condattr_destroy(&attr);
}

void compiler_release(struct compiler *c)
{
    pool_free(c->pool);
    pthread_cond_destroy(&c->done);
    pthread_mutex_destroy(&c->mu);
}

static void job_free(struct job *j)
{
    regex_free(j->re);
    free(j);
}

static void run_job(void *arg)
{
    struct job *j = arg;
    struct compiler *c = j->c;
    struct regex *re = NULL;
    struct err why = {0};
    bool left;
    int code = 0;

    pthread_mutex_lock(&c->mu);
    left = j->left; /* (2) */
    pthread_mutex_unlock(&c->mu);
    if (!left) {
        background_enter(c->background, clock_mono_ns());
        code = regex_compile(j->pattern, j->flags, &re, &why);
        background_leave(c->background);
    }
    pthread_mutex_lock(&c->mu);
    j->code = code;
    j->re = re;
    j->why = why;
    j->done = true;
    left = j->left;
    pthread_cond_broadcast(&c->done);
    pthread_mutex_unlock(&c->mu);
    if (left) /* (1) */
        job_free(j);
}

static struct job *job_new(struct compiler *c, struct str pattern, unsigned flags)
{
    struct job *j = x_zalloc(sizeof *j + pattern.n + 1);

    memcpy(j + 1, pattern.n ? pattern.p : "", pattern.n);
    j->pattern = str_n(j + 1, pattern.n);
    j->c = c;
    j->flags = flags;
    return j;
}

static int job_start(struct job *j, struct err *e)
{
    struct compiler *c = j->c;

    pthread_mutex_lock(&c->mu);
    if (!c->pool)
        c->pool = pool_new("regex", THREADS, WAITING_MAX);
    pthread_mutex_unlock(&c->mu);
    if (pool_run(c->pool, run_job, j) == 0)
        return 0;
    job_free(j);
    return err_set(e, ERR_BUSY, "%d long regular expressions wait to be compiled already", WAITING_MAX);
}

static void wait_a_little(struct compiler *c)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&c->done, &c->mu, &until);
}

/* True when it is done; false when the query must stop before. */
static bool wait_for(struct job *j, struct query *q)
{
    struct compiler *c = j->c;
    bool done, stop = false;

    pthread_mutex_lock(&c->mu);
    while (!j->done && !stop) {
        wait_a_little(c);
        pthread_mutex_unlock(&c->mu);
        stop = query_must_stop(q);
        pthread_mutex_lock(&c->mu);
    }
    done = j->done;
    j->left = !done;
    pthread_mutex_unlock(&c->mu);
    return done;
}

/* The sentence of a query that must stop. */
static int stopped(struct query *q, struct err *e)
{
    struct err why;
    int code = query_check(q, "a regular expression", &why);

    if (code < 0 && e)
        *e = why;
    return code < 0 ? code : err_set(e, ERR_CANCELED, "query was canceled");
}

static int compile(void *arg, struct str pattern, unsigned flags, struct regex **out, struct err *e)
{
    struct query *q = arg;
    struct job *j;
    int code;

    if (query_must_stop(q)) /* (3) */
        return stopped(q, e);
    if (pattern.n > REGEX_BYTES_MAX || !regex_is_long(pattern))
        return regex_compile(pattern, flags, out, e);
    j = job_new(compiler_of(q), pattern, flags);
    if (job_start(j, e) < 0)
        return ERR_BUSY;
    query_leave(q);
    if (!wait_for(j, q))
        return stopped(q, e);
    code = j->code;
    if (code < 0 && e)
        *e = j->why;
    else if (code == 0) {
        *out = j->re;
        j->re = NULL;
    }
    job_free(j);
    return code;
}

struct query *compiler_turn_to(struct query *q)
{
    struct query *before = mine;

    mine = q;
    regex_compile_by(q ? compile : NULL, q);
    return before;
}
