/*
 * bench_codec.c - what a value costs in bytes and nanoseconds, by kind of series. No disk, no index: the codec alone.
 *
 * The load is made here: counters of many rates, gauges that stand still half the time, decimals, durations, histogram
 * sums; a mixture that resembles a scraped fleet. Usage: bench_codec [SERIES [SAMPLES]]
 */
#include "base/base.h"
#include "tsdb/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { KINDS = 9 };
static const char *const kind_names[KINDS] = {"constant", "counter", "seconds", "cpu",   "pages",
                                              "gauge",    "nanos",   "sum",     "sparse"};
static const unsigned share[KINDS] = {25, 25, 10, 15, 8, 6, 3, 2, 6}; /* per cent of all series */

static uint64_t rng = 88172645463325252u;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static uint64_t below(uint64_t n)
{
    return (rnd() >> 16) % n;
}

struct source {
    unsigned kind;
    uint64_t rate;
    int64_t at;
    double sum;
};

static double next_value(struct source *s)
{
    switch (s->kind) {
    case 1:
        return (double)(s->at += (int64_t)(s->rate / 2 + below(s->rate + 1)));
    case 2:
        return (double)(s->at += (int64_t)(s->rate / 2 + below(s->rate + 1))) / 1000;
    case 3:
        return (double)(s->at += 1400 + (int64_t)below(9)) / 100;
    case 4:
        s->at += below(4) ? (int64_t)below(2 * s->rate + 1) - (int64_t)s->rate : 0;
        return (double)(s->at * 4096);
    case 5:
        s->at += below(4) ? (int64_t)below(61) - 30 : 0;
        return (double)s->at / 100;
    case 6:
        return (double)(s->rate + below(s->rate)) / 1e9;
    case 7:
        return s->sum += (double)below(s->rate + 1) * (0.03 + 1e-6 * (double)below(8192));
    case 8:
        return (double)(s->at += below(50) == 0);
    default:
        return (double)s->at;
    }
}

/* CPU time: the machine may have other work. */
static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct tally {
    uint64_t values, bytes;
    double encode_ns, decode_ns;
};

static void run(unsigned kind, uint32_t series, uint32_t n, struct tally *t)
{
    double *v = x_alloc((size_t)series * n * sizeof *v), *out = x_alloc((n + 8) * sizeof *out);
    struct column_out o = {0};
    double t0;

    for (uint32_t i = 0; i < series; i++) {
        struct source s = {kind, (UINT64_C(1) << (1 + below(18))) + below(1000), (int64_t)below(1000000), 0};

        for (uint32_t k = 0; k < n; k++)
            v[(size_t)i * n + k] = next_value(&s);
    }
    t0 = cpu_ns();
    for (uint32_t i = 0; i < series; i++)
        values_encode(&o, v + (size_t)i * n, n);
    t->encode_ns = cpu_ns() - t0;
    t->bytes = o.codes.n + o.nums.n + o.bits.n;
    t->values = (uint64_t)series * n;
    memset(buf_reserve(&o.bits, CODEC_SLACK), 0, CODEC_SLACK);
    struct column_in in = {(uint8_t *)o.codes.p, (uint8_t *)o.codes.p + o.codes.n,
                           (uint8_t *)o.nums.p,  (uint8_t *)o.nums.p + o.nums.n,
                           (uint8_t *)o.bits.p,  (uint8_t *)o.bits.p + o.bits.n};
    t0 = cpu_ns();
    for (uint32_t i = 0; i < series; i++)
        if (values_decode(&in, n, n, out) < 0 || memcmp(out, v + (size_t)i * n, n * sizeof *out) != 0) {
            fprintf(stderr, "%s: series %u came back wrong\n", kind_names[kind], i);
            exit(1);
        }
    t->decode_ns = cpu_ns() - t0;
    column_out_release(&o);
    free(v);
    free(out);
}

static void print_row(const char *name, const struct tally *t)
{
    double n = (double)(t->values ? t->values : 1);

    printf("%-10s %10.4f %10.2f %10.2f\n", name, (double)t->bytes / n, t->encode_ns / n, t->decode_ns / n);
}

int main(int argc, char **argv)
{
    uint32_t series = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;
    uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 240;
    struct tally all = {0};

    if (series == 0 || n == 0 || n > CODEC_N_MAX) {
        fprintf(stderr, "usage: bench_codec [SERIES [SAMPLES]]\n");
        return 2;
    }
    printf("%u series of %u samples\n%-10s %10s %10s %10s   (decode: compared with the original, too)\n", series, n,
           "kind", "bytes", "encode ns", "decode ns");
    for (unsigned k = 0; k < KINDS; k++) {
        struct tally t = {0};

        run(k, MAX(1u, series * share[k] / 100), n, &t);
        print_row(kind_names[k], &t);
        all.values += t.values;
        all.bytes += t.bytes;
        all.encode_ns += t.encode_ns;
        all.decode_ns += t.decode_ns;
    }
    print_row("all", &all);
    return 0;
}
