/* house.h - a store with a log store in it, for tests. Behind cmocka.h. */
#ifndef TESTS_LOGSTORE_HOUSE_H
#define TESTS_LOGSTORE_HOUSE_H

#include "logstore/logstore.h"
#include "store/store.h"
#include "tests/store/temp.h"

/* Opened, recovered and started. lo NULL: the defaults. filter may be NULL. */
static inline void house_open(const struct store_opts *so, const struct logstore_opts *lo, const struct log_delete_filter *filter, struct store **s,
                              struct logstore **ls)
{
    struct logstore_opts defaults;
    struct err e = {0};

    logstore_opts_default(&defaults);
    if (store_open(so, s, &e) < 0 || logstore_new(*s, lo ? lo : &defaults, ls, &e) < 0)
        fail_msg("%s", e.text);
    if (filter)
        logstore_delete_filter(*ls, filter);
    if (store_recover(*s, &e) < 0 || store_start(*s, &e) < 0)
        fail_msg("%s", e.text);
}

static inline void house_close(struct store *s, struct logstore *ls)
{
    store_close(s);
    logstore_free(ls);
}

#endif
