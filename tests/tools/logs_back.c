/*
 * logs_back - do the lines of a log file come back byte for byte, and in order? logs_back [--sequence|--times] [--no-cr] DATA_DIR LABEL=VALUE FILE
 *
 * Reads every record of the stream selected by the label out of a data directory that no server has open, and the lines of the file, and
 * compares them by a 128-bit hash of each line: every line as often as it stands in the file, and nothing else. Beyond that
 *
 *   --sequence   records by time, and those of one time as they came, are the lines in the order of the file
 *   --times      each line has the time that stands in it (else that of the line before), and lines of one time are a nanosecond
 *                apart in the order of the file: what `tripod import` promises
 *   --no-cr      a carriage return before the newline belongs to the newline
 *
 * Prints one line, and more where they differ; exit status 1 then.
 */
#include "cmd/line_time.c"

#include "logstore/logstore.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { TOLD_MAX = 5 };

struct one {
    struct hash128 hash;
    int64_t t_ns;
    uint64_t order; /* log_rows.order */
    uint64_t i;     /* the how manyeth it was */
};

struct list {
    struct one *v;
    size_t n, cap;
    uint64_t bytes;
};

static void add(struct list *l, struct str line, int64_t t_ns, uint64_t order)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4096;
        l->v = x_realloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n] = (struct one){.hash = hash128(line.n ? line.p : "", line.n), .t_ns = t_ns, .order = order, .i = l->n};
    l->n++;
    l->bytes += line.n;
}

/* --- both sides ------------------------------------------------------------------------------------------------- */

static bool read_file(struct list *l, const char *path, bool no_cr)
{
    FILE *f = fopen(path, "re");
    struct line_time when;
    struct stat st;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int64_t t_ns;

    if (!f || fstat(fileno(f), &st) < 0)
        return false;
    line_time_init(&when, NULL, clock_wall_ns());
    t_ns = (int64_t)st.st_mtim.tv_sec * NS;
    while ((n = getline(&line, &cap, f)) >= 0) {
        if (n && line[n - 1] == '\n')
            n--;
        if (no_cr && n && line[n - 1] == '\r')
            n--;
        line_time(&when, str_n(line, (size_t)n), &t_ns);
        add(l, str_n(line, (size_t)n), t_ns, 0);
    }
    free(line);
    fclose(f);
    return true;
}

static int read_records(struct logstore *ls, struct matcher *m, struct list *l, struct err *e)
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
            add(l, rows.v[i].line, rows.v[i].t_ns, rows.order);
    log_cursor_free(c);
    log_select_free(sel);
    return MIN(code, 0);
}

/* --- the comparisons ---------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct one *x = a, *y = b;

    if (x->t_ns != y->t_ns)
        return x->t_ns < y->t_ns ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

static int by_hash(const void *a, const void *b)
{
    const struct one *x = a, *y = b;

    if (x->hash.hi != y->hash.hi)
        return x->hash.hi < y->hash.hi ? -1 : 1;
    if (x->hash.lo != y->hash.lo)
        return x->hash.lo < y->hash.lo ? -1 : 1;
    return by_time(a, b);
}

static int by_hash_only(const struct one *x, const struct one *y)
{
    struct one a = *x, b = *y;

    a.t_ns = b.t_ns = 0;
    a.order = b.order = a.i = b.i = 0;
    return by_hash(&a, &b);
}

/* Leaves both sorted by hash: what stands at one place is one line. Returns how many are missing or too many. */
static uint64_t compare_lines(struct list *file, struct list *back)
{
    uint64_t wrong = 0;
    size_t i = 0, k = 0;

    qsort(file->v, file->n, sizeof *file->v, by_hash);
    qsort(back->v, back->n, sizeof *back->v, by_hash);
    while (i < file->n || k < back->n) {
        int c = i == file->n ? 1 : k == back->n ? -1 : by_hash_only(&file->v[i], &back->v[k]);

        if (c < 0 && wrong++ < TOLD_MAX)
            printf("line %" PRIu64 " is missing\n", file->v[i].i + 1);
        else if (c > 0 && wrong++ < TOLD_MAX)
            printf("the record at %" PRId64 " ns is no line of the file, or there once too often\n", back->v[k].t_ns);
        i += c <= 0;
        k += c >= 0;
    }
    return wrong;
}

/* Both sorted by hash, and the same. */
static uint64_t compare_times(struct list *file, struct list *back)
{
    uint64_t wrong = 0, rank = 0;

    for (size_t i = 0; i < file->n; i++) /* the record's time goes where its hash was: that is not needed any more */
        file->v[i].hash.lo = (uint64_t)back->v[i].t_ns;
    qsort(file->v, file->n, sizeof *file->v, by_time);
    for (size_t i = 0; i < file->n; i++) {
        struct one *x = &file->v[i];

        rank = i && x->t_ns == x[-1].t_ns ? rank + 1 : 0;
        if ((int64_t)x->hash.lo != x->t_ns + (int64_t)rank && wrong++ < TOLD_MAX)
            printf("line %" PRIu64 " has the time %" PRId64 ", not %" PRId64 "\n", x->i + 1, (int64_t)x->hash.lo, x->t_ns + (int64_t)rank);
    }
    return wrong;
}

/* As they were read. */
static uint64_t compare_sequence(struct list *file, struct list *back)
{
    uint64_t wrong = 0;

    qsort(back->v, back->n, sizeof *back->v, by_time);
    for (size_t i = 0; i < MIN(file->n, back->n); i++)
        if (by_hash_only(&file->v[i], &back->v[i]) != 0 && wrong++ < TOLD_MAX)
            printf("in the place of line %zu comes another\n", i + 1);
    return wrong;
}

/* --- main ----------------------------------------------------------------------------------------------------------- */

static int read_store(const char *dir, const char *label, struct list *back, struct err *e)
{
    const char *eq = strchr(label, '=');
    struct store_opts so;
    struct logstore_opts lo;
    struct store *s = NULL;
    struct logstore *ls = NULL;
    struct matcher m = {0};
    int code;

    store_opts_default(&so);
    logstore_opts_default(&lo);
    so.dir = dir;
    code = matcher_init(&m, MATCH_EQ, str_n(label, (size_t)(eq - label)), str_of(eq + 1), e);
    if (code == 0 && (code = store_open(&so, &s, e)) == 0 && (code = logstore_new(s, &lo, &ls, e)) == 0 && (code = store_recover(s, e)) == 0)
        code = read_records(ls, &m, back, e);
    store_close(s);
    logstore_free(ls);
    matcher_release(&m);
    return code;
}

int main(int argc, char **argv)
{
    struct list file = {0}, back = {0};
    struct err e = {0};
    bool sequence = false, times = false, no_cr = false;
    uint64_t wrong = 0, moved = 0;
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        sequence |= strcmp(argv[at], "--sequence") == 0;
        times |= strcmp(argv[at], "--times") == 0;
        no_cr |= strcmp(argv[at], "--no-cr") == 0;
    }
    if (argc - at != 3 || !strchr(argv[at + 1], '=') || (sequence && times)) {
        fputs("usage: logs_back [--sequence|--times] [--no-cr] DATA_DIR LABEL=VALUE FILE\n", stderr);
        return 2;
    }
    log_setup(LOG_ERROR, LOG_LOGFMT);
    if (read_store(argv[at], argv[at + 1], &back, &e) < 0) {
        fprintf(stderr, "logs_back: %s\n", e.text);
        return 1;
    }
    if (!read_file(&file, argv[at + 2], no_cr)) {
        fprintf(stderr, "logs_back: cannot read %s\n", argv[at + 2]);
        return 1;
    }
    if (sequence)
        moved = compare_sequence(&file, &back);
    wrong = compare_lines(&file, &back);
    if (times && !wrong)
        moved = compare_times(&file, &back);
    printf("%s: %zu lines of %" PRIu64 " bytes in the file, %zu of %" PRIu64 " stored: %s%s\n", argv[at + 1], file.n, file.bytes, back.n, back.bytes,
           wrong   ? "DIFFERENT"
           : moved ? "the same, MOVED"
                   : "the same",
           wrong || moved ? "" : sequence ? ", in order" : times ? ", in order, each at its time" : "");
    free(file.v);
    free(back.v);
    return wrong || moved;
}
