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

int main(void)
{
    const char *shared = getenv("TRIPOD_SHARED");
    struct conf_report r = {0};
    char pattern[512];

    if (!run_all("tests/query/promql/scripts/*.test", &r)) {
        printf("no scripts here: run from the top of the repository\n");
        return 1;
    }
    snprintf(pattern, sizeof pattern, "%s/conformance/promql/*.test", shared ? shared : "../shared");
    if (!run_all(pattern, &r))
        printf("upstream's scripts are not there (%s): only our own ran\n", pattern);
    printf("%llu passed, %llu failed\n", (unsigned long long)r.passed, (unsigned long long)r.failed);
    return r.failed || !r.passed;
}
