/*
 * compiler.h - regular expressions of queries. Those that may take long to compile are compiled by two threads of their own, while
 * the query looks at its deadline and whether anybody still waits for it. Private to exec.
 */
#ifndef QUERY_COMPILER_H
#define QUERY_COMPILER_H

#include <pthread.h>

struct background;
struct pool;
struct query;

/* One per engine. */
struct compiler {
    pthread_mutex_t mu; /* for the condition, each job's end, and: */
    pthread_cond_t done;
    struct pool *pool; /* made when the first is needed */
    struct background *background;
};

/* It compiles in the background. */
void compiler_init(struct compiler *c, struct background *b);
/* No query may run. Waits for what is being compiled. */
void compiler_release(struct compiler *c);
/* regex_new of this thread works for q from here on, or for none (NULL). Returns for which it did. */
struct query *compiler_turn_to(struct query *q);
/* The engine's. */
struct compiler *compiler_of(struct query *q);

#endif
