/*
 * How many MB of lines a second of CPU time decodes: Loki push as protobuf and as JSON, levels detected.
 *
 *   bench_logs                 the decoders alone
 *   bench_logs PORT PID [N]    a running server: N pushes (default 300) over one connection, and the CPU time it took for them
 */
#include "bench/loki_push.h"
#include "collector/logs/level.h"
#include "collector/logs/push.h"
#include "net/codec.h"
#include "net/wire.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINES = 8000, ROUNDS = 60 };

static struct str line_of(struct arena *a, int kind, int i)
{
    switch (kind) {
    case 0: /* nginx */
        return arena_printf(a,
                            "10.%d.%d.%d - - [22/Nov/2026:13:%02d:%02d +0000] \"GET /api/v1/items/%d?page=%d HTTP/1.1\" 200 %d \"https://example.org/shop\" "
                            "\"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\"",
                            i % 256, i / 7 % 256, i / 3 % 256, i / 60 % 60, i % 60, i * 31 % 99991, i % 20, i * 17 % 40000);
    case 1: /* JSON */
        return arena_printf(a,
                            "{\"time\":\"2026-11-22T13:%02d:%02d.%03dZ\",\"service\":\"checkout\",\"trace_id\":\"%016x%016x\",\"user_id\":%d,"
                            "\"level\":\"%s\",\"msg\":\"order accepted\",\"duration_ms\":%d,\"items\":[%d,%d]}",
                            i / 60 % 60, i % 60, i % 1000, i * 2654435761u, i * 40503u, i * 7 % 100000, i % 10 ? "info" : "error", i % 800, i % 9, i % 13);
    case 2: /* logfmt */
        return arena_printf(a, "ts=2026-11-22T13:%02d:%02d.%03dZ caller=compact.go:%d component=tsdb level=%s msg=\"write block\" ulid=01J%dX duration=%d.%dms",
                            i / 60 % 60, i % 60, i % 1000, i % 700, i % 50 ? "info" : "warn", i * 7919, i % 900, i % 10);
    default: /* plain, without a level */
        return arena_printf(a, "Nov 22 13:%02d:%02d host-%d kernel: [%d.%06d] usb 1-%d: new high-speed device number %d using xhci_hcd", i / 60 % 60, i % 60, i % 8,
                            i, i * 13 % 1000000, i % 9, i % 128);
    }
}

/* Lines of one stream, from start_ns on, a microsecond apart. */
static void build(int kind, int64_t start_ns, const char *labels, struct buf *proto, struct buf *json, uint64_t *bytes)
{
    struct arena a = {0};
    struct buf s = {0};

    buf_putz(json, "{\"streams\":[{\"stream\":{\"job\":\"a\"},\"values\":[");
    wire_put_bytes(&s, 1, str_of(labels));
    for (int i = 0; i < LINES; i++) {
        struct str line = line_of(&a, kind == 4 ? i % 4 : kind, i);
        int64_t at = start_ns + i * 1000;
        struct buf e = {0}, t = {0};

        *bytes += line.n;
        wire_put_varint(&t, 1, (uint64_t)(at / 1000000000));
        wire_put_varint(&t, 2, (uint64_t)(at % 1000000000));
        wire_put_bytes(&e, 1, buf_str(&t));
        wire_put_bytes(&e, 2, line);
        wire_put_bytes(&s, 2, buf_str(&e));
        buf_printf(json, "%s[\"%lld\",", i ? "," : "", (long long)at);
        json_put_string(json, line);
        buf_putc(json, ']');
        buf_release(&t);
        buf_release(&e);
    }
    buf_putz(json, "]}]}");
    wire_put_bytes(proto, 1, buf_str(&s));
    buf_release(&s);
    arena_release(&a);
}

typedef int reader(struct push_reader *p, struct str body, struct err *e);

static double run(reader *read, struct str body, uint64_t bytes, struct logs_rules *rules, struct stream_cache *cache, enum encoding enc)
{
    struct arena a = {0};
    int64_t best = INT64_MAX;

    for (int i = 0; i < ROUNDS; i++) {
        int64_t t = clock_thread_cpu_ns();
        struct str raw = body;
        struct intake in;
        struct push_reader p = {.in = &in, .cache = cache};
        struct err e;

        if (enc != ENC_IDENTITY && body_decode(&a, enc, body, 1u << 30, &raw, &e) < 0)
            exit(1);
        intake_init(&in, &a, rules, raw.n, false);
        if (read(&p, raw, &e) < 0) {
            fprintf(stderr, "%s\n", e.text);
            exit(1);
        }
        intake_finish(&in);
        intake_release(&in);
        t = clock_thread_cpu_ns() - t;
        best = MIN(best, t);
        arena_reset(&a);
        if (a.bytes < 16u << 20) { /* as the server does: warm memory for the next */
            arena_release(&a);
            arena_alloc(&a, 16u << 20);
            arena_reset(&a);
        }
    }
    arena_release(&a);
    return (double)bytes / 1e6 / ((double)best / 1e9);
}

/* --- a running server ------------------------------------------------------------------------------------ */

static int run_server(const char *port, const char *pid, int pushes)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int64_t start = clock_wall_ns() - (int64_t)pushes * LINES * 1000 - 60000000000;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), bad = 0;
    struct buf *bodies = x_zalloc(sizeof *bodies * (size_t)pushes);
    uint64_t bytes = 0;
    double cpu;

    for (int i = 0; i < pushes; i++) {
        struct buf proto = {0}, json = {0};
        char labels[64];

        snprintf(labels, sizeof labels, "{job=\"bench\", instance=\"%d\"}", i % 10);
        build(4, start + (int64_t)i * LINES * 1000, labels, &proto, &json, &bytes);
        snappy_encode(&bodies[i], buf_str(&proto));
        buf_release(&proto);
        buf_release(&json);
    }
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror("connect");
        return 1;
    }
    cpu = cpu_of(pid);
    for (int i = 0; i < pushes; i++)
        bad += ask(fd, buf_str(&bodies[i])) != 204;
    cpu = cpu_of(pid) - cpu;
    printf("%d pushes of %d lines, %.0f MB of lines: %.2f s of CPU, %.0f MB a CPU second, %d not 204\n", pushes, LINES, (double)bytes / 1e6, cpu,
           (double)bytes / 1e6 / cpu, bad);
    for (int i = 0; i < pushes; i++)
        buf_release(&bodies[i]);
    free(bodies);
    close(fd);
    return bad > 0;
}

static int run_decoders(void)
{
    static const char *const kinds[] = {"nginx", "json", "logfmt", "plain", "mixed"};
    struct stream_cache *cache = stream_cache_new();
    struct logs_rules *rules = logs_rules_new();

    printf("MB of lines a CPU second    protobuf  +snappy   JSON   without levels (protobuf)\n");
    for (int k = 0; k < 5; k++) {
        struct buf proto = {0}, json = {0}, packed = {0};
        uint64_t bytes = 0;
        double with, snappy, text, without;

        build(k, INT64_C(1700000000000000000), "{job=\"a\"}", &proto, &json, &bytes);
        snappy_encode(&packed, buf_str(&proto));
        rules->levels = true;
        with = run(push_read_proto, buf_str(&proto), bytes, rules, cache, ENC_IDENTITY);
        snappy = run(push_read_proto, buf_str(&packed), bytes, rules, cache, ENC_SNAPPY);
        text = run(push_read_json, buf_str(&json), bytes, rules, cache, ENC_IDENTITY);
        rules->levels = false;
        without = run(push_read_proto, buf_str(&proto), bytes, rules, cache, ENC_IDENTITY);
        printf("%-8s %4llu bytes a line %9.0f %8.0f %6.0f %8.0f\n", kinds[k], (unsigned long long)bytes / LINES, with, snappy, text, without);
        buf_release(&proto);
        buf_release(&json);
        buf_release(&packed);
    }
    stream_cache_free(cache);
    logs_rules_unref(rules);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3)
        return run_server(argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 300);
    return run_decoders();
}
