/*
 * logs_back - do the lines of log files come back byte for byte? logs_back DATA_DIR LABEL=VALUE FILE...
 *
 * Reads every record of the stream selected by the label out of a data directory that no server has open, and the lines of the files, and
 * compares both as multisets: how many, how many bytes, and the sum of a 128-bit hash of each line. Prints one line; exit status 1 if
 * they differ.
 */
#include "logstore/logstore.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct sum {
    uint64_t lines, bytes, lo, hi;
};

static void add(struct sum *s, struct str line)
{
    struct hash128 h = hash128(line.n ? line.p : "", line.n);

    s->lines++;
    s->bytes += line.n;
    s->lo += h.lo;
    s->hi += h.hi;
}

static bool add_file(struct sum *s, const char *path)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    if (!f)
        return false;
    while ((n = getline(&line, &cap, f)) >= 0) {
        if (n && line[n - 1] == '\n')
            n--;
        add(s, str_n(line, (size_t)n));
    }
    free(line);
    fclose(f);
    return true;
}

static int add_records(struct logstore *ls, struct matcher *m, struct sum *s, struct err *e)
{
    struct log_select_opts o = {.matchers = m, .nmatchers = 1, .mint_ns = INT64_MIN / 2, .maxt_ns = INT64_MAX / 2, .lines = true};
    struct log_select *sel = NULL;
    struct log_cursor *c = NULL;
    struct log_rows rows;
    int code = logstore_select(ls, &o, &sel, e);

    if (code == 0)
        code = log_cursor_open(sel, &c, e);
    while (code == 0 && (code = log_cursor_next(c, &rows, e)) == 0)
        for (uint32_t i = 0; i < rows.n; i++)
            add(s, rows.v[i].line);
    log_cursor_free(c);
    log_select_free(sel);
    return MIN(code, 0);
}

int main(int argc, char **argv)
{
    struct store_opts so;
    struct logstore_opts lo;
    struct store *s = NULL;
    struct logstore *ls = NULL;
    struct sum file = {0}, back = {0};
    struct matcher m;
    struct err e = {0};
    const char *eq = argc > 3 ? strchr(argv[2], '=') : NULL;
    bool same;

    if (!eq) {
        fputs("usage: logs_back DATA_DIR LABEL=VALUE FILE...\n", stderr);
        return 2;
    }
    log_setup(LOG_ERROR, LOG_LOGFMT);
    store_opts_default(&so);
    logstore_opts_default(&lo);
    so.dir = argv[1];
    if (matcher_init(&m, MATCH_EQ, str_n(argv[2], (size_t)(eq - argv[2])), str_of(eq + 1), &e) < 0 || store_open(&so, &s, &e) < 0 ||
        logstore_new(s, &lo, &ls, &e) < 0 || store_recover(s, &e) < 0 || add_records(ls, &m, &back, &e) < 0) {
        fprintf(stderr, "logs_back: %s\n", e.text);
        return 1;
    }
    for (int i = 3; i < argc; i++)
        if (!add_file(&file, argv[i])) {
            fprintf(stderr, "logs_back: cannot read %s\n", argv[i]);
            return 1;
        }
    same = file.lines == back.lines && file.bytes == back.bytes && file.lo == back.lo && file.hi == back.hi;
    printf("%s: %" PRIu64 " lines of %" PRIu64 " bytes in files, %" PRIu64 " of %" PRIu64 " stored: %s\n", argv[2], file.lines, file.bytes, back.lines, back.bytes,
           same ? "the same" : "DIFFERENT");
    store_close(s);
    logstore_free(ls);
    matcher_release(&m);
    return !same;
}
