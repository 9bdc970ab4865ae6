/*
 * disk.c - watches the free space, so that writers are told "full" before LMDB meets it, and hear when it is over.
 *
 * (1) Asking (disk_full) is one load.
 * (2) Once full, it stays full until more than the reserve is free; seen within FULL_POLL_MS of it being so.
 * (3) The reserve is ours to spend: flushes, state and the journal's last commit may still use it.
 */
#include "store/inside.h"
#include "store/ticker.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/statvfs.h>

enum { POLL_MS = 1000, FULL_POLL_MS = 250, RESERVE_SHARE = 16, ROOM_MIN = 1 << 20 };

enum why { NOT_FULL = 0, LOW = 1, MET = 2, OVER_BUDGET = 4 }; /* bits */

struct disk {
    char *dir;
    uint64_t reserve_bytes;
    _Atomic unsigned full;                 /* bits of enum why */
    _Atomic int64_t full_since_ms, met_ms; /* wall clock; monotonic */
    _Atomic uint64_t free_bytes;

    struct ticker ticker;
};

bool disk_full(const struct disk *d)
{
    return atomic_load_explicit(&d->full, memory_order_relaxed) != NOT_FULL;
}

uint64_t disk_free_bytes(const struct disk *d)
{
    return atomic_load_explicit(&d->free_bytes, memory_order_relaxed);
}

static void set(struct disk *d, unsigned bit, bool on)
{
    unsigned was = on ? atomic_fetch_or(&d->full, bit) : atomic_fetch_and(&d->full, ~bit);
    unsigned now = on ? was | bit : was & ~bit;

    if (!was && now) {
        atomic_store(&d->full_since_ms, clock_wall_ms());
        log_warn("store", "no space: writes are refused, %llu MB free, reserve %llu MB",
                 (unsigned long long)(disk_free_bytes(d) >> 20), (unsigned long long)(d->reserve_bytes >> 20));
    }
    if (was && !now)
        log_info("store", "space again: writes are accepted, %llu MB free",
                 (unsigned long long)(disk_free_bytes(d) >> 20));
}

static void look(struct disk *d)
{
    struct statvfs v;
    uint64_t reserve;

    if (statvfs(d->dir, &v) < 0) {
        log_error("store", "cannot ask for the free space of %s: %s", d->dir, strerror(errno));
        return;
    }
    d->free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    reserve =
        MIN(d->reserve_bytes, (uint64_t)v.f_blocks * v.f_frsize / RESERVE_SHARE); /* a small disk has a small one */
    set(d, LOW, d->free_bytes < reserve);
    /* A quota or a disk that fails says "full" with room to spare: then a write is let through now and again to find out. */
    if (d->free_bytes >= MAX(reserve, (uint64_t)ROOM_MIN) && clock_mono_ms() - d->met_ms >= POLL_MS)
        set(d, MET, false);
}

static void *run(void *arg)
{
    struct disk *d = arg;

    while (ticker_pause(&d->ticker, disk_full(d) ? FULL_POLL_MS : POLL_MS) == 0)
        look(d);
    return NULL;
}

int disk_open(const char *dir, uint64_t reserve_bytes, struct disk **out, struct err *e)
{
    struct disk *d = x_zalloc(sizeof *d);

    (void)e;
    d->dir = x_strdup(str_of(dir));
    d->reserve_bytes = reserve_bytes;
    ticker_init(&d->ticker);
    look(d);
    *out = d;
    return 0;
}

int disk_start(struct disk *d, struct err *e)
{
    return ticker_start(&d->ticker, "disk", run, d, e);
}

void disk_close(struct disk *d)
{
    if (!d)
        return;
    ticker_release(&d->ticker);
    free(d->dir);
    free(d);
}

void disk_met_full(struct disk *d)
{
    d->met_ms = clock_mono_ms();
    set(d, MET, true);
    ticker_wake(&d->ticker); /* from now on the short interval */
}

void disk_over_budget(struct disk *d, bool over)
{
    set(d, OVER_BUDGET, over);
}

int64_t disk_full_since(const struct disk *d, char *why, size_t why_bytes)
{
    unsigned full = atomic_load(&d->full);

    if (!full)
        return 0;
    snprintf(why, why_bytes,
             full & OVER_BUDGET ? "disk.max is reached and no older day is left to drop"
                                : "the disk is full: %llu MB free, reserve %llu MB",
             (unsigned long long)(disk_free_bytes(d) >> 20), (unsigned long long)(d->reserve_bytes >> 20));
    return atomic_load(&d->full_since_ms);
}
