/*
 * bench_logql_pipeline.c - bench_logql_pipeline [SECONDS]: pipelines over generated lines of JSON and logfmt, MB of lines per second
 * of CPU on one thread; from text, and with the labels already in columns.
 */
#include "query/logql/logql.h"
#include "query/logql/pipeline.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINES = 2000, FIELDS = 16 };

static struct str json[LINES], logfmt[LINES];
static struct log_field (*json_fields)[FIELDS], (*logfmt_fields)[FIELDS];
static uint32_t nfields[LINES];
static struct label stream_v[] = {{{"app", 3}, {"web", 3}}, {{"env", 3}, {"prod", 4}}, {{"host", 4}, {"host-17", 7}}};
static const struct labels stream = {stream_v, 3};

static void generate(struct arena *a)
{
    static const char *const levels[] = {"info", "info", "debug", "warn", "error", "info", "debug", "info"};
    static const char *const names[] = {"ts", "level", "caller", "msg", "duration", "status", "bytes", "traceID", "user", "path"};
    uint64_t seed = 7;

    json_fields = x_zalloc(LINES * sizeof *json_fields);
    logfmt_fields = json_fields;
    for (int i = 0; i < LINES; i++) {
        char values[10][80];
        struct buf j = {0}, l = {0};

        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        snprintf(values[0], 80, "2026-11-22T18:%02d:%02d.%06dZ", i / 60 % 60, i % 60, (int)(seed >> 44));
        snprintf(values[1], 80, "%s", levels[seed >> 61]);
        snprintf(values[2], 80, "metrics.go:%d", (int)(seed >> 50 & 1023));
        snprintf(values[3], 80, "request %d finished, sent to peer %d", i, (int)(seed >> 40 & 255));
        snprintf(values[4], 80, "%d.%dms", (int)(seed >> 33 & 4095), (int)(seed >> 20 & 9));
        snprintf(values[5], 80, "%d", 200 + (int)(seed >> 59) * 13);
        snprintf(values[6], 80, "%d", (int)(seed >> 38 & 1048575));
        snprintf(values[7], 80, "%016llx", (unsigned long long)seed);
        snprintf(values[8], 80, "user-%d", (int)(seed >> 54));
        snprintf(values[9], 80, "/api/v1/items/%d/detail", (int)(seed >> 45 & 4095));
        for (int k = 0; k < 10; k++) {
            buf_printf(&j, k == 5 || k == 6 ? "%c\"%s\":%s" : "%c\"%s\":\"%s\"", k ? ',' : '{', names[k], values[k]);
            buf_printf(&l, k == 3 ? "%s%s=\"%s\"" : "%s%s=%s", k ? " " : "", names[k], values[k]);
            json_fields[i][k] = (struct log_field){str_of(names[k]), arena_dup(a, str_of(values[k])), NULL, 0};
        }
        buf_putc(&j, '}');
        json[i] = arena_dup(a, buf_str(&j));
        logfmt[i] = arena_dup(a, buf_str(&l));
        nfields[i] = 10;
        buf_release(&j);
        buf_release(&l);
    }
}

static void measure(const char *pipeline, const char *by, const struct str *lines, bool columns, double seconds)
{
    struct str name = str_of(by);
    struct pipeline_opts opts = {.group = by != NULL, .names = &name, .nnames = by && *by ? 1 : 0, .no_line = by != NULL};
    struct arena a = {0};
    struct logql_tree tree;
    struct pipeline *p;
    struct runner *r;
    struct err e;
    uint64_t bytes = 0, kept = 0, rows = 0;
    int64_t start, end;
    struct hash128 h = {0};

    if (logql_parse(&a, arena_printf(&a, "{x=\"y\"} %s", pipeline), &tree, &e) < 0 || pipeline_new(&tree.root->log, &opts, &p, &e) < 0) {
        printf("%s: %s\n", pipeline, e.text);
        return;
    }
    r = runner_new(p);
    runner_stream(r, &stream);
    start = clock_thread_cpu_ns();
    do {
        for (int i = 0; i < LINES; i++) {
            struct log_row row = {.line = lines[i], .fields = columns ? json_fields[i] : NULL, .nfields = nfields[i]};

            if (runner_run(r, &row)) {
                kept++;
                h.lo ^= runner_hash(r).lo;
            }
            bytes += lines[i].n;
            rows++;
        }
        end = clock_thread_cpu_ns();
    } while ((double)(end - start) < seconds * 1e9);
    printf("%7.0f MB/s %6.0f ns/line  %5.1f%% kept  %s%s%s%s  %llx\n", (double)bytes / (double)(end - start) * 1e3, (double)(end - start) / (double)rows,
           100.0 * (double)kept / (double)rows, columns ? "columns " : "text    ", pipeline, by ? " by " : "", by ? by : "", (unsigned long long)h.lo & 0xfff);
    runner_free(r);
    pipeline_free(p);
    logql_release(&tree);
    arena_release(&a);
}

int main(int argc, char **argv)
{
    static const char full[] = "| level=\"error\" | line_format \"{{.msg}}\"";
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    struct arena a = {0};

    generate(&a);
    measure("|= \"finished, sent to peer 99\"", NULL, json, false, seconds);
    measure("|~ \"peer 9+\"", NULL, json, false, seconds);
    measure("| json", NULL, json, false, seconds);
    measure("| logfmt", NULL, logfmt, false, seconds);
    for (int columns = 0; columns < 2; columns++) {
        measure(arena_printf(&a, "| json %s", full).p, NULL, json, columns, seconds);
        measure(arena_printf(&a, "| logfmt %s", full).p, NULL, logfmt, columns, seconds);
        measure("| json | line_format \"{{.level}} {{.msg}}\"", NULL, json, columns, seconds);
        measure("| json", "level", json, columns, seconds);
        measure("| logfmt | status >= 500 | duration > 1s", "path", logfmt, columns, seconds);
    }
    measure("| json level=\"level\", msg=\"msg\"", NULL, json, false, seconds);
    measure("| pattern \"<_> level=<level> <_> msg=\\\"<msg>\\\" <_>\"", NULL, logfmt, false, seconds);
    measure("| regexp \"level=(?P<level>\\\\w+) .*status=(?P<status>\\\\d+)\"", NULL, logfmt, false, seconds);
    measure("| line_format \"{{ __line__ | trunc 20 | upper }}\"", NULL, logfmt, false, seconds);
    free(json_fields);
    arena_release(&a);
    return 0;
}
