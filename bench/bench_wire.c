/*
 * bench_wire.c - what a remote write sample costs before the tsdb sees it: snappy (ours and the library's), 1.0 and 2.0
 * messages. CPU ns a sample; best of several passes. One request: 10,000 series of eleven labels, one sample each.
 */
#include "collector/push/remote_write.h"
#include "net/codec.h"
#include "net/snappy.h"

#include <stdio.h>
#include <stdlib.h>

/* The library beside ours, without its header: <snappy-c.h> belongs to net/. */
int snappy_uncompress(const char *in, size_t n, char *out, size_t *out_n);

enum { SERIES = 10000, LABELS = 11, ROUNDS = 20, PASSES = 7 };

static const char *const names[LABELS] = {"__name__", "code",      "env", "handler", "instance", "job",
                                          "le",       "namespace", "op",  "pod",     "region"};
static char values[SERIES][LABELS][48];

static void make_values(void)
{
    for (unsigned i = 0; i < SERIES; i++) {
        char(*v)[48] = values[i];

        snprintf(v[0], 48, "http_request_duration_seconds_bucket");
        snprintf(v[1], 48, "%u", 200 + i % 3);
        snprintf(v[2], 48, "production");
        snprintf(v[3], 48, "/api/v1/items/%u", i / 12 % 40);
        snprintf(v[4], 48, "10.0.%u.17:8080", i / 480);
        snprintf(v[5], 48, "shop-api");
        snprintf(v[6], 48, "%.3f", 0.001 * (1 << i % 12));
        snprintf(v[7], 48, "default");
        snprintf(v[8], 48, "GET");
        snprintf(v[9], 48, "shop-api-7d9f8b6c5-%05u", i / 480 * 7919);
        snprintf(v[10], 48, "eu-central-1");
    }
}

static void put_bytes(struct buf *b, uint8_t tag, struct str s)
{
    buf_putc(b, (char)tag);
    buf_put_varint(b, s.n);
    buf_puts(b, s);
}

static void put_sample(struct buf *b, unsigned i)
{
    struct buf s = {0};

    buf_putc(&s, 0x09);
    buf_put_u64(&s, f64_bits(i * 0.25));
    buf_putc(&s, 0x10);
    buf_put_varint(&s, 1795353085000u + i % 15000);
    put_bytes(b, 0x12, buf_str(&s));
    buf_release(&s);
}

static void make_v1(struct buf *out)
{
    struct buf s = {0};

    for (unsigned i = 0; i < SERIES; i++) {
        struct label l[LABELS];

        for (unsigned k = 0; k < LABELS; k++)
            l[k] = (struct label){str_of(names[k]), str_of(values[i][k])};
        buf_reset(&s);
        labels_canonical(&s, &(struct labels){l, LABELS});
        put_sample(&s, i);
        put_bytes(out, 0x0a, buf_str(&s));
    }
    buf_release(&s);
}

static void make_v2(struct buf *out)
{
    struct buf s = {0}, refs = {0};
    struct map seen = {0};
    uintptr_t n = 0;

    put_bytes(out, 0x22, STR(""));
    for (unsigned i = 0; i < SERIES; i++)
        for (unsigned k = 0; k < 2 * LABELS; k++) {
            struct str text = str_of(k % 2 ? values[i][k / 2] : names[k / 2]);
            void **place = map_put(&seen, text, NULL);

            if (!*place) {
                *place = (void *)++n;
                put_bytes(out, 0x22, text);
            }
        }
    for (unsigned i = 0; i < SERIES; i++) {
        buf_reset(&s);
        buf_reset(&refs);
        for (unsigned k = 0; k < 2 * LABELS; k++)
            buf_put_varint(&refs, (uintptr_t)map_get(&seen, str_of(k % 2 ? values[i][k / 2] : names[k / 2])));
        put_bytes(&s, 0x0a, buf_str(&refs));
        put_sample(&s, i);
        put_bytes(out, 0x2a, buf_str(&s));
    }
    map_release(&seen);
    buf_release(&s);
    buf_release(&refs);
}

enum what { OURS, LIBRARY, V1, V2 };

static void run_once(enum what what, struct arena *a, struct str packed, struct str raw, char *out)
{
    struct rw_message m;
    struct err e;
    uint64_t n = 0;
    size_t at = 0, room = raw.n;
    int rc;

    arena_reset(a);
    if (what == OURS)
        rc = snappy_length(packed, &n, &at, &e) < 0 ? -1 : snappy_elements(str_from(packed, at), (uint8_t *)out, n, &e);
    else if (what == LIBRARY)
        rc = snappy_uncompress(packed.p, packed.n, out, &room);
    else
        rc = (what == V1 ? rw1_read : rw2_read)(&m, a, raw, &e);
    if (rc != 0) {
        fprintf(stderr, "bench_wire: failed\n");
        exit(1);
    }
}

static void measure(const char *name, enum what what, struct str packed, struct str raw, char *out)
{
    struct arena a = {0};
    double best = 1e18;

    arena_alloc(&a, 8 << 20); /* one warm chunk, as the server keeps them */
    for (int pass = 0; pass < PASSES; pass++) {
        int64_t t0 = clock_thread_cpu_ns();

        for (int k = 0; k < ROUNDS; k++)
            run_once(what, &a, packed, raw, out);
        best = MIN(best, (double)(clock_thread_cpu_ns() - t0) / ROUNDS);
    }
    printf("%-28s %6.1f ns a sample, %5.2f GB/s of message\n", name, best / SERIES, (double)raw.n / best);
    arena_release(&a);
}

int main(void)
{
    struct buf v1 = {0}, v2 = {0}, z1 = {0}, z2 = {0};
    char *out;

    make_values();
    make_v1(&v1);
    make_v2(&v2);
    snappy_encode(&z1, buf_str(&v1));
    snappy_encode(&z2, buf_str(&v2));
    out = malloc(v1.n + v2.n + SNAPPY_SLOP);
    printf("1.0: %.1f bytes a sample, %.1f packed;  2.0: %.1f, %.1f packed\n", (double)v1.n / SERIES,
           (double)z1.n / SERIES, (double)v2.n / SERIES, (double)z2.n / SERIES);
    measure("1.0 snappy, library", LIBRARY, buf_str(&z1), buf_str(&v1), out);
    measure("1.0 snappy, ours", OURS, buf_str(&z1), buf_str(&v1), out);
    measure("1.0 message to rows", V1, buf_str(&z1), buf_str(&v1), out);
    measure("2.0 snappy, ours", OURS, buf_str(&z2), buf_str(&v2), out);
    measure("2.0 message to rows", V2, buf_str(&z2), buf_str(&v2), out);
    free(out);
    buf_release(&v1);
    buf_release(&v2);
    buf_release(&z1);
    buf_release(&z2);
    return 0;
}
