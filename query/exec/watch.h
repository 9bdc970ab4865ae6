/*
 * watch.h - for tests and tuning: stretches in which a thread works for a query and does not look up. Private to exec.
 *
 * TRIPOD_QUERY_GAPS=MS in the environment of the process logs each stretch of MS or more of the thread's own processor time between
 * two calls of query_check, with the operators at its ends. Without it nothing is measured.
 */
#ifndef QUERY_WATCH_H
#define QUERY_WATCH_H

/* This thread begins to work for a query. */
void watch_begin(const char *where);
/* It looks up. */
void watch_check(const char *where);
/* It stops working for a query. */
void watch_leave(const char *where);

#endif
