/*
 * lives.h - what a store has to live with: many threads that write while others flush and read, and processes that end by a crash
 * point or SIGKILL. Behind cmocka.h.
 */
#ifndef TESTS_STORE_LIVES_H
#define TESTS_STORE_LIVES_H

#include "store/store.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CROWD_MAX = 8 };

struct crowd {
    void *world;
    void (*write)(void *world, uint32_t number); /* by nwriters threads, 0 and up, each until it has written all */
    uint32_t nwriters;
    void *(*beside[CROWD_MAX])(void *world); /* each by a thread, from before the writers on, until it sees stop */
    uint32_t nbeside;
    _Atomic bool *stop;
};

struct crowd_writer {
    struct crowd *c;
    uint32_t number;
    pthread_t thread;
};

static inline void *crowd_write(void *arg)
{
    struct crowd_writer *w = arg;

    w->c->write(w->c->world, w->number);
    return NULL;
}

/* Returns when all have ended. */
static inline void crowd_run(struct crowd *c)
{
    struct crowd_writer writers[CROWD_MAX];
    pthread_t beside[CROWD_MAX];

    for (uint32_t i = 0; i < c->nbeside; i++)
        pthread_create(&beside[i], NULL, c->beside[i], c->world);
    for (uint32_t i = 0; i < c->nwriters; i++) {
        writers[i] = (struct crowd_writer){.c = c, .number = i};
        pthread_create(&writers[i].thread, NULL, crowd_write, &writers[i]);
    }
    for (uint32_t i = 0; i < c->nwriters; i++)
        pthread_join(writers[i].thread, NULL);
    *c->stop = true;
    for (uint32_t i = 0; i < c->nbeside; i++)
        pthread_join(beside[i], NULL);
}

/* Flushes a signal every so often until *stop. */
static inline void flush_until(struct store *s, const char *signal_name, useconds_t every_us, _Atomic bool *stop)
{
    struct err e = {0};

    while (!*stop) {
        usleep(every_us);
        if (store_flush(s, signal_name, &e) < 0)
            fail_msg("%s", e.text);
    }
}

/* A process lives live(world), which does not return, for at most us; crash_at: TRIPOD_CRASH_AT of that life, or NULL. */
static inline void one_life(void (*live)(void *world), void *world, const char *crash_at, useconds_t us)
{
    int status;
    pid_t pid;

    if (crash_at)
        setenv("TRIPOD_CRASH_AT", crash_at, 1);
    else
        unsetenv("TRIPOD_CRASH_AT");
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        live(world);
        _exit(0);
    }
    usleep(us);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unsetenv("TRIPOD_CRASH_AT");
}

#endif
