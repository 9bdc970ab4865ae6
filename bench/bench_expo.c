/*
 * bench_expo.c - reading a scrape: ns per line for the text format and OpenMetrics, and what a scrape
 * costs from its body to the finished batch, when its series are known and their labels worked out long ago.
 *
 *   bench_expo [FILE]    a text 0.0.4 body; without one a body of node_exporter's shape is made
 */
#include "collector/scrape/scraper_private.h"

#include <stdio.h>
#include <stdlib.h>

static void make_text(struct buf *out, uint32_t families, uint32_t series, bool om)
{
    for (uint32_t f = 0; f < families; f++) {
        buf_printf(out, "# HELP node_thing_%u_seconds%s Some help text about what is counted here, in words.\n", f,
                   om ? "" : "_total");
        buf_printf(out, "# TYPE node_thing_%u_seconds%s counter\n", f, om ? "" : "_total");
        for (uint32_t i = 0; i < series; i++)
            buf_printf(out, "node_thing_%u_seconds_total{cpu=\"%u\",mode=\"%s\",device=\"/dev/nvme%un1\"} %u.%02u\n", f,
                       i, i % 2 ? "idle" : "system", f, i * 7919 % 1000003, i % 100);
    }
    if (om)
        buf_putz(out, "# EOF\n");
}

static void run(const char *name, enum expo_format format, struct str body)
{
    uint64_t lines = 0, series = 0;
    int rounds = 0;
    int64_t start = clock_thread_cpu_ns(), took;
    struct arena a = {0};
    struct err e = {0};
    double sum = 0;

    do {
        struct expo *x = expo_new(&a, format, body, NULL);
        struct expo_entry en;

        while (expo_next(x, &en, &e) == 0 && en.kind != EXPO_END) {
            lines++;
            if (en.kind == EXPO_SERIES) {
                series++;
                sum += en.v + (double)hash128(en.series.p, en.series.n).lo;
            }
        }
        if (e.code) {
            fprintf(stderr, "%s: %s\n", name, e.text);
            exit(1);
        }
        arena_reset(&a);
        rounds++;
    } while ((took = clock_thread_cpu_ns() - start) < 1000000000);
    printf("%-12s %7.1f ns a line, %8.1f us a scrape of %llu series, %6.0f MB/s (%g)\n", name,
           (double)took / (double)lines, (double)took / rounds / 1e3, (unsigned long long)(series / (uint64_t)rounds),
           (double)body.n * rounds / (double)took * 1e3, sum > 0 ? 1.0 : 0.0);
    arena_release(&a);
}

/* The work between the answer of a target and the store. */
static void run_scrape(struct str body)
{
    static struct scraper s;
    static struct target t;
    static struct scrape_config c = {.honor_timestamps = true};
    int64_t start = 0, took;
    uint64_t rows = 0;
    int rounds = 0;

    pthread_mutex_init(&t.meta_mu, NULL);
    do {
        struct scrape_run run = {.s = &s,
                                 .t = &t,
                                 .config = &c,
                                 .time_ms = 1700000000000 + rounds,
                                 .body = {(char *)(uintptr_t)body.p, body.n, body.n}};

        if (rounds == 1)
            start = clock_thread_cpu_ns();
        series_cache_begin(&t.cache);
        scrape_parse(&run);
        scrape_finish_batch(&run);
        rows += rounds > 0 ? run.batch.nseries : 0;
        free(run.batch.series);
        free(run.batch.t);
        free(run.batch.v);
        free(run.batch.metadata);
        free(run.fresh);
        arena_release(&run.arena);
    } while (rounds++ < 1 || (took = clock_thread_cpu_ns() - start) < 1000000000);
    printf("%-12s %7.1f ns a sample, %8.1f us a scrape, cache %.0f bytes a series\n", "scrape",
           (double)took / (double)rows, (double)took / (rounds - 1) / 1e3,
           (double)(t.cache.text.cap + (t.cache.mask + 1) * sizeof(struct cached_series)) / t.cache.n);
}

int main(int argc, char **argv)
{
    struct buf text = {0}, om = {0};

    if (argc > 1) {
        FILE *f = fopen(argv[1], "rb");
        size_t n;

        if (!f) {
            perror(argv[1]);
            return 1;
        }
        while ((n = fread(buf_reserve(&text, 65536), 1, 65536, f)) > 0)
            text.n += n;
        fclose(f);
    } else {
        make_text(&text, 40, 50, false);
    }
    make_text(&om, 40, 50, true);
    run("text", EXPO_TEXT, buf_str(&text));
    run("openmetrics", EXPO_OPENMETRICS, buf_str(&om));
    run_scrape(buf_str(&text));
    buf_release(&text);
    buf_release(&om);
    return 0;
}
