/*
 * test_scripts.c - query scripts over an in-memory store that has native histograms: our own in
 * tests/query/promql/scripts, and upstream's where the folder with them is there ($TRIPOD_SHARED, else ../shared).
 */
#include "tests/conformance/conf_promql.c"
#include "tests/conformance/script_compare.c"
#include "tests/conformance/script_eval.c"
#include "tests/conformance/script_load.c"
#include "tests/conformance/series_desc.c"
#include "tests/query/promql/fake_tsdb.c"

/* Scripts have samples every few seconds: buckets must be as short for windows to be whole ones. */
static int64_t bucket_ms;
#define TSDB_5M bucket_ms
#define TSDB_1H (12 * bucket_ms)
#define reader eval_reader /* series_desc.c has one too */
#include "query/promql/eval_rollup.c"
#undef reader

#include <glob.h>
#include <stdarg.h>

void conf_pass(struct conf_report *r)
{
    r->passed++;
}

void conf_fail(struct conf_report *r, const char *what, const char *fmt, ...)
{
    va_list ap;

    r->failed++;
    printf("FAIL %.*s: %s\n     ", STR_ARG(r->path), what);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

int conf_read(struct str path, struct buf *out)
{
    char *z = x_strdup(path);
    FILE *f = fopen(z, "rb");
    size_t n;

    free(z);
    if (!f)
        return -1;
    do {
        n = fread(buf_reserve(out, 64 * 1024), 1, 64 * 1024, f);
        out->n += n;
    } while (n > 0);
    fclose(f);
    buf_z(out);
    return 0;
}

/* Runs the files that match; false when there are none. */
static bool run_all(const char *pattern, struct conf_report *r)
{
    glob_t g;
    bool any;

    if (glob(pattern, 0, NULL, &g) != 0)
        return false;
    for (size_t i = 0; i < g.gl_pathc; i++) {
        r->path = str_of(g.gl_pathv[i]);
        if (conf_promql(r->path, r) < 0)
            r->failed++;
    }
    any = g.gl_pathc > 0;
    globfree(&g);
    return any;
}

/* Once with samples, once with aggregates wherever windows are whole buckets: the same answers. */
static int run_scripts(int64_t ms)
{
    const char *shared = getenv("TRIPOD_SHARED");
    struct conf_report r = {0};
    char pattern[512];

    fake_rollups = ms > 0;
    bucket_ms = ms > 0 ? ms : 300000;
    if (!run_all("tests/query/promql/scripts/*.test", &r)) {
        printf("no scripts here: run from the top of the repository\n");
        return 1;
    }
    snprintf(pattern, sizeof pattern, "%s/conformance/promql/*.test", shared ? shared : "../shared");
    if (!run_all(pattern, &r))
        printf("upstream's scripts are not there (%s): only our own ran\n", pattern);
    printf("buckets of %lld ms: %llu passed, %llu failed\n", (long long)ms, (unsigned long long)r.passed,
           (unsigned long long)r.failed);
    return r.failed || !r.passed;
}

int main(void)
{
    static const int64_t ms[] = {0, 300000, 60000, 10000, 1000, 25};
    int failed = 0;

    for (size_t i = 0; i < ARRAY_LEN(ms); i++)
        failed |= run_scripts(ms[i]);
    return failed;
}
