/*
 * scrub.c - see scrub.h.
 *
 * (1) It reads with pread, never through a map: what it finds cannot kill it, and other readers keep the page cache.
 * (2) What looks damaged is looked at a second time as an open partition: a file that was replaced or written under the
 *     first look is not damage.
 */
#include "store/scrub.h"

#include "store/check.h"
#include "store/ticker.h"

#include <stdlib.h>

enum { BYTES_PER_S = 4 << 20, PIECE_BYTES = 256 << 10, FIRST_S = 300, PASS_S = 24 * 3600 };

struct scrub {
    struct store *store;
    struct ticker ticker;

    /* Its own thread only. */
    uint64_t piece; /* bytes since the last pause */
};

static int pace(void *arg, uint64_t bytes)
{
    struct scrub *u = arg;

    u->piece += bytes;
    if (u->piece < PIECE_BYTES)
        return 0;
    bytes = u->piece;
    u->piece = 0;
    return ticker_pause(&u->ticker, (int64_t)(bytes * 1000 / BYTES_PER_S));
}

/* u NULL: at full speed. */
static int scrub_day(struct scrub *u, struct sig *g, int32_t day, bool *bad)
{
    struct partition *p = days_peek(g, day);
    struct check c = {.values = true, .pace = u ? pace : NULL, .arg = u};
    char path[PATH_MAX];
    struct err e = {0};
    int rc;

    days_path(g, day, path);
    c.path = path;
    rc = p ? fsck_partition(p, &c, &e) : check_file(&c, &e);
    if (!p && (rc == ERR_CORRUPT || (rc == 0 && c.bad_values > 0)) && days_get(g, day, false, &p, &e) == 0) {
        c.txn = 0;
        rc = fsck_partition(p, &c, &e);
    }
    *bad = rc == ERR_CORRUPT;
    if (*bad && p)
        partition_damaged(p, &e);
    partition_unref(p);
    return rc == ERR_CANCELED ? rc : 0;
}

static int pass(struct scrub *u, struct store *s, uint32_t *found)
{
    int rc = 0;

    *found = 0;
    for (uint32_t i = 0; i < s->nsigs && rc == 0; i++) {
        uint32_t n;
        int32_t *days = days_all(&s->sigs[i], &n);
        bool bad = false;

        for (uint32_t k = 0; k < n && rc == 0; k++) {
            rc = scrub_day(u, &s->sigs[i], days[k], &bad);
            *found += bad;
        }
        free(days);
    }
    return rc;
}

uint32_t scrub_pass(struct store *s)
{
    uint32_t found;

    (void)pass(NULL, s, &found);
    return found;
}

static void *run(void *arg)
{
    struct scrub *u = arg;
    uint32_t found;
    int rc;

    for (rc = ticker_pause(&u->ticker, FIRST_S * 1000); rc == 0; rc = ticker_pause(&u->ticker, PASS_S * 1000)) {
        rc = pass(u, u->store, &found);
        if (rc < 0)
            break;
        if (found > 0)
            log_error("store", "scrub: %u damaged partitions", found);
    }
    return NULL;
}

int scrub_start(struct store *s, struct scrub **out, struct err *e)
{
    struct scrub *u = x_zalloc(sizeof *u);
    int rc;

    u->store = s;
    ticker_init(&u->ticker);
    rc = ticker_start(&u->ticker, "scrub", run, u, e);
    if (rc < 0)
        scrub_stop(u);
    else
        *out = u;
    return rc;
}

void scrub_stop(struct scrub *u)
{
    if (!u)
        return;
    ticker_release(&u->ticker);
    free(u);
}
