/*
 * powercut_check - opens thousands of disks as power cuts may leave them, and looks for every acknowledged sample and record.
 *
 *   powercut_check LOG DIR ACKS IMAGES SEED OUT
 *
 * LOG is what tests/tools/powercut/shim.c wrote while a server worked on DIR; ACKS is written by tests/cmd/power_cut.py:
 *
 *   writer NAME BASE_MS STEPS SERIES GAP_MS    step s: value s at BASE_MS + s * GAP_MS in each of kill_test{writer=NAME,i="0..SERIES-1"}
 *   logwriter NAME BASE_MS STEPS RECORDS GAP_MS  step s: RECORDS records in {kill_test=NAME} within a µs of BASE_MS + s * GAP_MS, metadata step=s
 *   ack NAME STEP MONOTONIC_NS                 the answer was there at that time
 *
 * Each image is built under OUT and opened by a child with the rooms themselves, without a server. There must be: no warning,
 * every step that was acknowledged before the cut, no step that was never sent, all samples of a step or none, each once. Every
 * third image then goes on working: a sample more, flush, merge, seal; and is opened and read once more.
 */
#include "logstore/logstore.h"
#include "store/store.h"
#include "store/upkeep.h"
#include "tests/tools/powercut/replay.h"
#include "tsdb/tsdb.h"

#include <stdarg.h>
#include <sys/wait.h>

enum { WRITERS_MAX = 32, CHILD_S_MAX = 120 };

struct writer {
    char name[64];
    int64_t base_ms, gap_ms;
    uint32_t steps, series; /* of records: how many a step has */
    bool logs;
    int64_t *acked_ns; /* per step; 0: never */
    uint32_t *found;   /* per step: samples or records, in the image at hand */
};

static struct writer writers[WRITERS_MAX];
static uint32_t nwriters;
static char when[300];

static void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void complain(const char *fmt, ...)
{
    char text[900];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    printf("FAILED: %s: %s\n", when, text);
    fflush(stdout);
    _exit(1);
}

/* --- what was acknowledged ---------------------------------------------------------------------- */

static struct writer *writer_of(const char *name)
{
    for (uint32_t i = 0; i < nwriters; i++)
        if (strcmp(writers[i].name, name) == 0)
            return &writers[i];
    return NULL;
}

static bool read_acks(const char *path)
{
    FILE *f = fopen(path, "re");
    char line[256], name[64];

    if (!f)
        return false;
    while (fgets(line, sizeof line, f)) {
        long long ns, base, gap;
        unsigned step, steps, series;
        struct writer *w;

        bool logs = strncmp(line, "log", 3) == 0;

        if (sscanf(line + (logs ? 3 : 0), "writer %63s %lld %u %u %lld", name, &base, &steps, &series, &gap) == 5 && nwriters < WRITERS_MAX) {
            w = &writers[nwriters++];
            *w = (struct writer){.base_ms = base, .gap_ms = gap, .steps = steps, .series = series, .logs = logs};
            snprintf(w->name, sizeof w->name, "%s", name);
            w->acked_ns = x_zalloc(sizeof *w->acked_ns * (steps + 1));
            w->found = x_zalloc(sizeof *w->found * (steps + 1));
        } else if (sscanf(line, "ack %63s %u %lld", name, &step, &ns) == 3 && (w = writer_of(name)) && step < w->steps)
            w->acked_ns[step] = ns;
        else {
            fclose(f);
            return false;
        }
    }
    fclose(f);
    return nwriters > 0;
}

/* --- one image: in the child -------------------------------------------------------------------- */

struct image {
    struct store *s;
    struct tsdb *db;
    struct logstore *ls;
};

static void open_image(const char *dir, struct image *im)
{
    struct store_opts so;
    struct tsdb_opts to;
    struct logstore_opts lo;
    struct err e;

    store_opts_default(&so);
    so.dir = dir;
    so.journal_file_bytes = 1 << 20;
    so.out_of_order_ms = (int64_t)20 * 86400 * 1000;
    so.seal_grace_ms = 0;
    so.upkeep_interval_ms = 86400 * 1000; /* rounds are made here, by hand */
    tsdb_opts_default(&to);
    logstore_opts_default(&lo);
    if (store_open(&so, &im->s, &e) < 0 || tsdb_new(im->s, &to, &im->db, &e) < 0 || logstore_new(im->s, &lo, &im->ls, &e) < 0 ||
        store_recover(im->s, &e) < 0)
        complain("cannot open: %s", e.text);
}

static void close_image(struct image *im)
{
    store_close(im->s);
    tsdb_free(im->db);
    logstore_free(im->ls);
}

static void no_warnings(struct store *s)
{
    struct store_warning *w;
    struct arena a = {0};

    if (store_warnings(s, &a, &w) > 0)
        complain("%.*s", STR_ARG(w[0].text));
    arena_release(&a);
}

static void count_samples(struct writer *w, const struct tsdb_samples *x)
{
    for (uint32_t i = 0; i < x->n; i++) {
        int64_t step = (x->t[i] - w->base_ms) / w->gap_ms;

        if (step < 0 || step >= w->steps || x->t[i] != w->base_ms + step * w->gap_ms || x->v[i] != (double)step)
            complain("writer %s: %.17g at %lld was never sent", w->name, x->v[i], (long long)x->t[i]);
        w->found[step]++;
    }
}

static void read_writer(struct tsdb *db, struct writer *w)
{
    struct tsdb_select_opts o = {
        .mint = INT64_MIN / 2, .maxt = INT64_MAX / 2, .want = TSDB_SAMPLES, .parts_hint = 1, .nmatchers = 2};
    struct tsdb_select *s;
    struct tsdb_samples x;
    struct matcher m[2];
    const struct str *warning;
    struct err e;
    int rc = 0;

    if (matcher_init(&m[0], MATCH_EQ, STR(LABEL_NAME), STR("kill_test"), &e) < 0 ||
        matcher_init(&m[1], MATCH_EQ, STR("writer"), str_of(w->name), &e) < 0)
        complain("%s", e.text);
    o.matchers = m;
    memset(w->found, 0, sizeof *w->found * w->steps);
    if (tsdb_select_open(db, &o, &s, &e) < 0)
        complain("cannot select: %s", e.text);
    for (uint32_t part = 0; part < tsdb_select_parts(s); part++) {
        struct tsdb_cursor *c;

        if (tsdb_cursor_open(s, part, &c, &e) < 0)
            complain("cannot read: %s", e.text);
        while ((rc = tsdb_cursor_next(c, &x, &e)) == 0)
            count_samples(w, &x);
        if (rc < 0)
            complain("cannot read: %s", e.text);
        tsdb_cursor_close(c);
    }
    if (tsdb_select_warnings(s, &warning) > 0)
        complain("%.*s", STR_ARG(*warning));
    tsdb_select_close(s);
    matcher_release(&m[0]);
    matcher_release(&m[1]);
}

static void count_record(struct writer *w, const struct log_row *r)
{
    int64_t from_ns = r->t_ns - w->base_ms * 1000000, step = from_ns / (w->gap_ms * 1000000);
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)step);
    if (from_ns < 0 || step >= w->steps || from_ns % (w->gap_ms * 1000000) > 1000 || r->nmeta == 0)
        complain("writer %s: a record at %lld was never sent", w->name, (long long)r->t_ns);
    for (uint32_t i = 0; i < r->nmeta; i++)
        if (str_eqz(r->meta[i].name, "step") && !str_eqz(r->meta[i].value, text))
            complain("writer %s: a record of step %.*s at the time of step %s", w->name, STR_ARG(r->meta[i].value), text);
    if (str_find(r->line, str_of(text)) < 0)
        complain("writer %s: the line \"%.*s\" is not of step %s", w->name, STR_ARG(str_head(r->line, 200)), text);
    w->found[step]++;
}

static void read_log_writer(struct logstore *ls, struct writer *w)
{
    struct log_select_opts o = {.mint_ns = INT64_MIN / 2, .maxt_ns = INT64_MAX / 2, .nmatchers = 1, .lines = true, .meta = true};
    struct log_select *s;
    struct log_cursor *c;
    struct log_rows rows;
    struct arena a = {0};
    struct matcher m;
    struct str *warnings;
    struct err e;
    int rc;

    if (matcher_init(&m, MATCH_EQ, STR("kill_test"), str_of(w->name), &e) < 0)
        complain("%s", e.text);
    o.matchers = &m;
    memset(w->found, 0, sizeof *w->found * w->steps);
    if (logstore_select(ls, &o, &s, &e) < 0 || log_cursor_open(s, &c, &e) < 0)
        complain("cannot select records: %s", e.text);
    while ((rc = log_cursor_next(c, &rows, &e)) == 0)
        for (uint32_t i = 0; i < rows.n; i++)
            count_record(w, &rows.v[i]);
    if (rc < 0)
        complain("cannot read records: %s", e.text);
    log_cursor_free(c);
    if (log_select_warnings(s, &a, &warnings) > 0)
        complain("%.*s", STR_ARG(warnings[0]));
    log_select_free(s);
    arena_release(&a);
    matcher_release(&m);
}

static void verify(const struct image *im, int64_t cut_ns)
{
    for (uint32_t k = 0; k < nwriters; k++) {
        struct writer *w = &writers[k];
        uint32_t acked = 0, lost = 0, first = UINT32_MAX;

        if (w->logs)
            read_log_writer(im->ls, w);
        else
            read_writer(im->db, w);
        for (uint32_t i = 0; i < w->steps; i++) {
            bool must = w->acked_ns[i] && w->acked_ns[i] < cut_ns;

            acked += must;
            if (must && w->found[i] == 0) {
                lost++;
                first = MIN(first, i);
            } else if (w->found[i] != 0 && w->found[i] != w->series)
                complain("writer %s: step %u has %u of %u samples or records", w->name, i, w->found[i], w->series);
        }
        if (lost)
            complain("writer %s: %u of %u acknowledged steps lost, the first is %u", w->name, lost, acked, first);
    }
    no_warnings(im->s);
}

static int extra_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    (void)b;
    (void)i;
    (void)e;
    out->v = arena_array(a, struct label, 1);
    out->n = 1;
    out->v[0] = (struct label){STR(LABEL_NAME), STR("after_the_cut")};
    return 0;
}

/* The store works on: a row more, and everything that rewrites files. */
static void go_on(const struct image *im)
{
    struct label name = {STR(LABEL_NAME), STR("after_the_cut")};
    struct labels ls = {&name, 1};
    struct tsdb_in in = {.key = labels_hash(&ls), .n = 1};
    int64_t t = clock_wall_ms();
    double v = 1;
    struct tsdb_batch b = {.series = &in, .nseries = 1, .t = &t, .v = &v, .labels = extra_labels};
    struct err e;

    struct label job = {STR("job"), STR("after_the_cut")};
    struct log_in stream = {.labels = {&job, 1}, .n = 1};
    struct log_in_row row = {.t_ns = t * 1000000, .line = STR("still here")};
    struct log_batch lb = {.streams = &stream, .nstreams = 1, .rows = &row, .nrows = 1};

    if (store_start(im->s, &e) < 0 || tsdb_ingest_wait(im->db, &b, &e) < 0 || logstore_ingest_wait(im->ls, &lb, &e) < 0 || store_flush(im->s, NULL, &e) < 0)
        complain("cannot go on: %s", e.text);
    upkeep_round(im->s, clock_wall_ms());
}

static void check_image(const char *dir, int64_t cut_ns, bool further)
{
    struct image im;

    alarm(CHILD_S_MAX);
    open_image(dir, &im);
    verify(&im, cut_ns);
    if (further) {
        go_on(&im);
        verify(&im, cut_ns);
    }
    close_image(&im);
    if (further) {
        open_image(dir, &im);
        verify(&im, cut_ns);
        close_image(&im);
    }
}

/* --- all images --------------------------------------------------------------------------------- */

static uint64_t draw(uint64_t *x, uint64_t n)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return (*x >> 11) % n;
}

static void remove_dir(const char *dir)
{
    char cmd[PATH_MAX + 16];

    snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    if (system(cmd) != 0)
        printf("cannot remove %s\n", dir);
}

/* Half of the cuts are near a change of names: there it is that files are made, replaced and dropped. */
static uint32_t cut_at(const struct cut_log *l, const uint32_t *names, uint32_t nnames, uint64_t *x)
{
    uint32_t at = (uint32_t)draw(x, l->n + 1);

    if (nnames > 0 && draw(x, 2) == 0)
        at = names[draw(x, nnames)] + (uint32_t)draw(x, 8);
    return MIN(at, l->n);
}

static bool is_name(const struct record *r)
{
    return r->op == OP_CREATE || r->op == OP_RENAME || r->op == OP_LINK || r->op == OP_UNLINK || r->op == OP_MKDIR ||
           r->op == OP_TRUNCATE;
}

static bool one(const struct cut_log *l, uint32_t at, enum cut_mode mode, uint64_t seed, uint64_t root, const char *out,
                bool further)
{
    int64_t cut_ns = at < l->n ? l->v[at].r->mono_ns : INT64_MAX;
    int status = 0;
    pid_t pid;

    remove_dir(out);
    if (!cut_image(l, at, mode, seed, root, out)) {
        printf("FAILED: cannot build %s\n", out);
        return false;
    }
    pid = fork();
    if (pid == 0) {
        check_image(out, cut_ns, further);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
        printf("FAILED: %s: ended with signal %d\n", when, WTERMSIG(status));
        return false;
    }
    return WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"all", "none", "some", "torn"};
    uint32_t images, failed = 0, nnames = 0, *names;
    struct cut_log l;
    struct stat st;
    uint64_t x;

    if (argc != 7) {
        fprintf(stderr, "usage: powercut_check LOG DIR ACKS IMAGES SEED OUT\n");
        return 2;
    }
    if (!cut_log_read(argv[1], argv[2], &l) || stat(argv[2], &st) < 0 || !read_acks(argv[3])) {
        fprintf(stderr, "cannot read %s, %s or %s\n", argv[1], argv[2], argv[3]);
        return 1;
    }
    log_setup(LOG_ERROR, LOG_LOGFMT);
    images = (uint32_t)strtoul(argv[4], NULL, 10);
    x = strtoull(argv[5], NULL, 10) * 0x9e3779b97f4a7c15u | 1;
    names = x_alloc(sizeof *names * (l.n + 1));
    for (uint32_t i = 0; i < l.n; i++)
        if (is_name(l.v[i].r))
            names[nnames++] = i;
    for (uint32_t i = 0; i < images && failed < 10; i++) {
        uint32_t at = cut_at(&l, names, nnames, &x);
        enum cut_mode mode = (enum cut_mode)draw(&x, 4);
        uint64_t seed = draw(&x, UINT32_MAX);

        snprintf(when, sizeof when, "cut at %u of %u, %s, seed %llu", at, l.n, modes[mode], (unsigned long long)seed);
        fflush(stdout);
        failed += !one(&l, at, mode, seed, st.st_ino, argv[6], i % 3 == 0);
    }
    remove_dir(argv[6]);
    printf("%u images of %u records, %u changes of names: %u failed\n", images, l.n, nnames, failed);
    free(names);
    for (uint32_t i = 0; i < nwriters; i++) {
        free(writers[i].acked_ns);
        free(writers[i].found);
    }
    cut_log_release(&l);
    return failed != 0;
}
