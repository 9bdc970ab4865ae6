/*
 * bench_store.c - what a commit, a megabyte of journal and a look-up cost.
 *
 *   bench_store DIR [SECONDS]     DIR on the disk in question; one line a figure
 */
#include "store/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double cpu_s(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static char *sub(const char *dir, const char *name)
{
    static char path[PATH_MAX];
    char cmd[2 * PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'; mkdir -p '%s'", path, path);
    if (system(cmd) != 0)
        exit(1);
    return path;
}

struct pusher {
    struct journal *j;
    size_t bytes;
    int64_t until_ns;
    uint64_t pushed;
};

/* Waits for each of its entries, as one connection does. */
static void *push(void *arg)
{
    struct pusher *p = arg;
    struct err e;

    while (clock_mono_ns() < p->until_ns) {
        struct buf b = {0};
        int rc;

        memset(buf_reserve(&b, p->bytes), (int)p->pushed, p->bytes);
        b.n = p->bytes;
        do
            rc = journal_push_wait(p->j, journal_file(p->j), 'B', &b, NULL, &e);
        while (rc == ERR_AGAIN);
        if (rc < 0) {
            fprintf(stderr, "%s\n", e.text);
            exit(1);
        }
        p->pushed++;
    }
    return NULL;
}

static bool yes(void *arg, uint8_t tag, uint64_t seq)
{
    (void)arg;
    (void)tag;
    (void)seq;
    return true;
}

static void bench_journal(const char *dir, size_t bytes, unsigned threads, double seconds)
{
    struct journal_opts o = {.dir = sub(dir, "journal"), .file_bytes = 64 << 20, .queue_max = 65536, .queue_bytes_max = 1 << 30};
    struct pusher p[64] = {0};
    struct journal_stats st;
    pthread_t t[64];
    struct journal *j;
    struct err e;
    double cpu, wall;

    if (journal_open(&o, NULL, &j, &e) < 0 || journal_start(j, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    cpu = cpu_s();
    wall = (double)clock_mono_ns() / 1e9;
    for (unsigned i = 0; i < threads; i++) {
        p[i] = (struct pusher){j, bytes, clock_mono_ns() + (int64_t)(seconds * 1e9), 0};
        pthread_create(&t[i], NULL, push, &p[i]);
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    wall = (double)clock_mono_ns() / 1e9 - wall;
    cpu = cpu_s() - cpu;
    journal_stats(j, &st);
    printf("journal %7zu B x %2u: %7.0f commits/s %8.0f entries/s %7.1f MB/s, CPU %6.2f ms/MB %6.1f us/entry, disk %.2f x\n", bytes,
           threads, (double)st.commits / wall, (double)st.entries / wall, (double)st.entry_bytes / 1e6 / wall,
           cpu * 1e3 / ((double)st.entry_bytes / 1e6), cpu * 1e6 / (double)st.entries,
           (double)st.bytes / (double)st.entry_bytes);
    journal_forget(j, yes, NULL);
    journal_close(j);
}

static void bench_partition(const char *dir)
{
    char path[PATH_MAX], *block = x_zalloc(PARTITION_VALUE_FIT(16));
    struct partition_opts o = {.path = path, .day = 1, .signal = "bench", .format = 1, .create = true};
    struct str part = {block, PARTITION_VALUE_FIT(16)}, v;
    enum { BLOCKS = 4000, READS = 400000 };
    struct partition *p;
    unsigned char key[8];
    struct txn *t;
    struct err e;
    double cpu;

    snprintf(path, sizeof path, "%s/p.mdb", sub(dir, "part"));
    if (partition_open(&o, &p, &e) < 0 || txn_write(p, &t, &e) < 0)
        exit(1);
    cpu = cpu_s();
    for (uint64_t i = 0; i < BLOCKS; i++) {
        uint64_t k = __builtin_bswap64(i);

        memcpy(key, &k, 8);
        if (txn_put(t, str_n(key, 8), &part, 1, &e) < 0)
            exit(1);
    }
    if (txn_commit(t, 1, &e) < 0)
        exit(1);
    cpu = cpu_s() - cpu;
    printf("partition: %d blocks of %zu B written, %.2f CPU ms/MB\n", BLOCKS, part.n, cpu * 1e3 / (BLOCKS * (double)part.n / 1e6));
    cpu = cpu_s();
    for (int i = 0; i < READS; i++) {
        if (txn_read(p, &t, &e) < 0)
            exit(1);
        txn_end(t);
    }
    printf("partition: %.0f ns a read transaction\n", (cpu_s() - cpu) * 1e9 / READS);
    if (txn_read(p, &t, &e) < 0)
        exit(1);
    cpu = cpu_s();
    for (uint64_t i = 0; i < BLOCKS; i++) {
        uint64_t k = __builtin_bswap64(i);

        memcpy(key, &k, 8);
        if (txn_get(t, str_n(key, 8), &v, &e) < 0)
            exit(1);
    }
    cpu = cpu_s() - cpu;
    printf("partition: %.2f us a block read and checked, %.1f GB/s\n", cpu * 1e6 / BLOCKS, BLOCKS * (double)part.n / 1e9 / cpu);
    txn_end(t);
    partition_unref(p);
    free(block);
}

static void bench_start(const char *dir)
{
    struct store_opts o;
    struct store *s;
    struct err e;

    store_opts_default(&o);
    o.dir = sub(dir, "store");
    for (int i = 0; i < 2; i++) {
        int64_t start = clock_mono_ns();

        if (store_open(&o, &s, &e) < 0 || store_recover(s, &e) < 0 || store_start(s, &e) < 0)
            exit(1);
        printf("store: %s, ready after %.1f ms", i ? "empty" : "new", (double)(clock_mono_ns() - start) / 1e6);
        start = clock_mono_ns();
        store_close(s);
        printf(", closed after %.1f ms\n", (double)(clock_mono_ns() - start) / 1e6);
    }
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {200, 15000, 200000};
    static const unsigned threads[] = {1, 4, 16};
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;

    if (argc < 2) {
        fprintf(stderr, "usage: bench_store DIR [SECONDS]\n");
        return 2;
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (size_t k = 0; k < ARRAY_LEN(threads); k++)
            bench_journal(argv[1], sizes[i], threads[k], seconds);
    bench_partition(argv[1]);
    bench_start(argv[1]);
    return 0;
}
