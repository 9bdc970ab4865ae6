/*
 * query_explain.c - a query's costs, node by node:
 *
 *   sum by (job)                               3 series    1.24 ms   128 KiB
 *   └ rate                                     6 series   127 µs, in the chain above
 *     └ range 1m
 *       └ http_requests_total                  6 series   105 µs   36 samples   2 of 14 blocks   raw
 */
#include "cmd/query_explain.h"

#include "base/base.h"

#include <stdio.h>

enum { NAME_COLUMNS = 48, INDENT_MAX = 200 };

static double number(const cJSON *n, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(n, key);

    return cJSON_IsNumber(v) ? v->valuedouble : -1;
}

static void print_seconds(double s)
{
    if (s < 1e-3)
        printf("  %7.3g µs", s * 1e6);
    else if (s < 1)
        printf("  %7.3g ms", s * 1e3);
    else
        printf("  %7.3g s ", s);
}

static void print_bytes(double n)
{
    if (n >= 1 << 20)
        printf("  %.4g MiB", n / (1 << 20));
    else if (n >= 1024)
        printf("  %.4g KiB", n / 1024);
    else
        printf("  %.0f B", n);
}

static void print_costs(const cJSON *n)
{
    double series = number(n, "series"), samples = number(n, "samples"), bytes = number(n, "bytes");
    double read = number(n, "blocksRead"), all = read + number(n, "blocksSkipped");
    const char *resolution = cJSON_GetStringValue(cJSON_GetObjectItem(n, "resolution"));

    if (series < 0)
        return;
    printf("%9.0f %s", series, series == 1 ? "row   " : "series");
    print_seconds(number(n, "seconds"));
    if (bytes > 0)
        print_bytes(bytes);
    if (samples >= 0)
        printf("  %.0f samples", samples);
    if (all > 0)
        printf("  %.0f of %.0f blocks", read, all);
    if (resolution)
        printf("  %s", resolution);
    if (cJSON_IsTrue(cJSON_GetObjectItem(n, "fused")))
        printf("  fused");
    if (cJSON_IsTrue(cJSON_GetObjectItem(n, "once")))
        printf("  once");
}

static void print_node(const cJSON *n, unsigned depth)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(n, "operator"));
    struct str s = str_of(name ? name : "?");
    int indent = (int)MIN(depth, (unsigned)INDENT_MAX) * 2, width;
    const cJSON *child;

    printf("%*s%s", depth ? indent - 2 : 0, "", depth ? "└ " : "");
    width = NAME_COLUMNS - indent - (int)utf8_count(s);
    printf("%s%*s", s.p, MAX(width, 1), "");
    print_costs(n);
    putchar('\n');
    cJSON_ArrayForEach(child, cJSON_GetObjectItem(n, "children")) print_node(child, depth + 1);
}

void print_explain(const cJSON *data)
{
    const cJSON *stats = cJSON_GetObjectItem(data, "stats"), *samples = cJSON_GetObjectItem(stats, "samples"),
                *timings = cJSON_GetObjectItem(stats, "timings");

    print_node(cJSON_GetObjectItem(data, "explain"), 0);
    printf("\n%.0f series, %.0f samples looked at, %.0f read;", number(data, "series"),
           number(samples, "totalQueryableSamples"), number(samples, "samplesRead"));
    print_seconds(number(timings, "evalTotalTime"));
    printf(" to evaluate,");
    print_seconds(number(timings, "execQueueTime"));
    printf(" waiting\n");
}
