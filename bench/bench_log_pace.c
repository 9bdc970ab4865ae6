/*
 * bench_log_pace.c - what a steady flow of lines costs a running server: bench_log_pace PORT PID FILE MB_PER_S SECONDS
 *
 * The lines of a file, again and again, each at the time at which it is sent, as Loki pushes (protobuf, snappy) over one connection. Twice
 * a second the server's memory is read. Told at the end: what was sent, the processor time it took, the memory as it went.
 */
#include "bench/loki_push.h"
#include "net/codec.h"
#include "net/wire.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_BYTES = 1 << 20, SAMPLES_MAX = 8192, SAMPLE_MS = 500 };

struct pace {
    const char *pid;
    int fd;
    struct str file;
    size_t at;       /* in the file */
    int64_t last_ns; /* of the line sent last */
    uint64_t lines, bytes, late_ms;
    struct buf stream, body, wire;
    double rss[SAMPLES_MAX], anon[SAMPLES_MAX];
    uint32_t nsamples;
    int64_t sampled_ms;
};

/* --- the server, from outside ---------------------------------------------------------------------------- */

static void sample(struct pace *p)
{
    char path[64], line[256];
    int64_t now = clock_mono_ms();
    FILE *f;

    if (now - p->sampled_ms < SAMPLE_MS || p->nsamples == SAMPLES_MAX)
        return;
    p->sampled_ms = now;
    snprintf(path, sizeof path, "/proc/%s/status", p->pid);
    if (!(f = fopen(path, "re")))
        give_up(path);
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            p->rss[p->nsamples] = atof(line + 6) / 1024;
        if (strncmp(line, "RssAnon:", 8) == 0)
            p->anon[p->nsamples] = atof(line + 8) / 1024;
    }
    fclose(f);
    p->nsamples++;
}

/* --- pushes ------------------------------------------------------------------------------------------------- */

static void add_line(struct pace *p, struct str line)
{
    struct buf stamp = {0}, entry = {0};

    p->last_ns = MAX(clock_wall_ns(), p->last_ns + 1);
    wire_put_varint(&stamp, 1, (uint64_t)(p->last_ns / 1000000000));
    wire_put_varint(&stamp, 2, (uint64_t)(p->last_ns % 1000000000));
    wire_put_bytes(&entry, 1, buf_str(&stamp));
    wire_put_bytes(&entry, 2, line);
    wire_put_bytes(&p->stream, 2, buf_str(&entry));
    p->bytes += line.n;
    p->lines++;
    buf_release(&stamp);
    buf_release(&entry);
}

/* About a megabyte of lines. */
static void push(struct pace *p)
{
    uint64_t before = p->bytes;

    buf_reset(&p->stream);
    buf_reset(&p->body);
    buf_reset(&p->wire);
    wire_put_bytes(&p->stream, 1, STR("{job=\"pace\"}"));
    while (p->bytes - before < BATCH_BYTES) {
        const char *from = p->file.p + p->at, *nl = memchr(from, '\n', p->file.n - p->at);
        size_t n = nl ? (size_t)(nl - from) : p->file.n - p->at;

        add_line(p, str_n(from, n));
        p->at = p->at + n + 1 < p->file.n ? p->at + n + 1 : 0;
    }
    wire_put_bytes(&p->body, 1, buf_str(&p->stream));
    snappy_encode(&p->wire, buf_str(&p->body));
    int status = ask(p->fd, buf_str(&p->wire));
    if (status != 204) {
        fprintf(stderr, "a push was answered with %d\n", status);
        exit(1);
    }
}

static void run(struct pace *p, double mb_per_s, double seconds)
{
    int64_t began = clock_mono_ms(), now;

    while ((now = clock_mono_ms()) - began < (int64_t)(seconds * 1000)) {
        int64_t due = began + (int64_t)((double)p->bytes / 1e6 / mb_per_s * 1000);

        sample(p);
        if (now < due) {
            int64_t ms = MIN(due - now, SAMPLE_MS / 2);
            nanosleep(&(struct timespec){0, (long)ms * 1000000}, NULL);
            continue;
        }
        p->late_ms = MAX(p->late_ms, (uint64_t)(now - due));
        push(p);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print(struct pace *p, double cpu, double wall)
{
    double max = 0, max_anon = 0;

    printf("steady: %.0f MB of %llu lines in %.1f s, %.1f MB/s; late by %llu ms at most\n", (double)p->bytes / 1e6, (unsigned long long)p->lines, wall,
           (double)p->bytes / 1e6 / wall, (unsigned long long)p->late_ms);
    printf("   processor %.1f %% of one, %.0f MB of lines a CPU-second\n", cpu / wall * 100, (double)p->bytes / 1e6 / cpu);
    printf("   memory, MiB, every %d s:", 5);
    for (uint32_t i = 0; i < p->nsamples; i++) {
        if (i % (5000 / SAMPLE_MS) == 0)
            printf(" %.0f", p->rss[i]);
        max = MAX(max, p->rss[i]);
        max_anon = MAX(max_anon, p->anon[i]);
    }
    if (p->nsamples) {
        qsort(p->rss, p->nsamples, sizeof *p->rss, by_value);
        printf("\n   at most %.0f MiB (%.0f without mapped files), half of the time below %.0f\n", max, max_anon, p->rss[p->nsamples / 2]);
    }
}

static struct str read_file(const char *path)
{
    struct buf b = {0};
    FILE *f = fopen(path, "re");
    size_t n;

    if (!f)
        give_up(path);
    while ((n = fread(buf_reserve(&b, 1 << 20), 1, 1 << 20, f)) > 0)
        b.n += n;
    fclose(f);
    if (b.n == 0)
        give_up(path);
    return buf_str(&b);
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static struct pace p;
    double cpu;
    int64_t began;

    if (argc != 6 || atof(argv[4]) <= 0) {
        fprintf(stderr, "usage: bench_log_pace PORT PID FILE MB_PER_S SECONDS\n");
        return 2;
    }
    a.sin_port = htons((uint16_t)atoi(argv[1]));
    p.pid = argv[2];
    p.file = read_file(argv[3]);
    p.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p.fd < 0 || connect(p.fd, (struct sockaddr *)&a, sizeof a) < 0)
        give_up("connect");
    cpu = cpu_of(p.pid);
    began = clock_mono_ms();
    run(&p, atof(argv[4]), atof(argv[5]));
    print(&p, cpu_of(p.pid) - cpu, (double)(clock_mono_ms() - began) / 1000);
    close(p.fd);
    buf_release(&p.stream);
    buf_release(&p.body);
    buf_release(&p.wire);
    return 0;
}
