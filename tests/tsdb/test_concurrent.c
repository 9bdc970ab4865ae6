/*
 * test_concurrent.c - ingest, flush and select at once. Every series gets value f(series, i) at time base + i * step,
 * in order (every fourth one as the sum of a histogram); whatever a select returns must be a run from 0 without a hole,
 * at least as long as what was acknowledged before it began. Also: a process that dies at any crash point and by SIGKILL
 * has every acknowledged sample when it comes back.
 */
#include "base/histogram.h"
#include "store/store.h"
#include "tsdb/tsdb.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERIES = 300, WRITERS = 2, STEP_MS = 1000 };

struct world {
    char dir[64];
    struct store *store;
    struct tsdb *db;
    int64_t base;
    unsigned scrapes;
    _Atomic uint32_t acked[WRITERS];
    _Atomic bool stop;
};

static double value_of(uint32_t series, uint32_t i)
{
    return series % 3 == 0 ? 7 : series % 3 == 1 ? (double)(series + i * 3) : (double)(series * i) / 100;
}

static void open_world(struct world *w)
{
    struct store_opts so;
    struct tsdb_opts to;
    struct err e = {0};

    store_opts_default(&so);
    so.dir = w->dir;
    so.journal_file_bytes = 64 * 1024;
    tsdb_opts_default(&to);
    if (store_open(&so, &w->store, &e) < 0 || tsdb_new(w->store, &to, &w->db, &e) < 0 ||
        store_recover(w->store, &e) < 0 || store_start(w->store, &e) < 0)
        fail_msg("%s", e.text);
}

static void close_world(struct world *w)
{
    store_close(w->store);
    tsdb_free(w->db);
}

static struct world *new_world(unsigned scrapes)
{
    struct world *w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(w, MAP_FAILED);
    strcpy(w->dir, "/tmp/test_concurrent.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->scrapes = scrapes;
    w->base = clock_wall_ms() - (int64_t)(scrapes + 10) * STEP_MS;
    return w;
}

static void remove_world(struct world *w)
{
    char cmd[128];

    snprintf(cmd, sizeof cmd, "rm -rf %s", w->dir);
    assert_int_equal(system(cmd), 0);
    munmap(w, sizeof *w);
}

static int give_labels(struct tsdb_batch *b, uint32_t i, struct arena *a, struct labels *out, struct err *e)
{
    (void)e;
    out->v = arena_array(a, struct label, 2);
    out->n = 2;
    out->v[0] = (struct label){STR("__name__"), STR("m")};
    out->v[1] = (struct label){STR("id"), arena_printf(a, "%u", *(uint32_t *)b->ctx * (SERIES / WRITERS) + i)};
    return 0;
}

static bool is_histogram(uint32_t id)
{
    return id % 4 == 1;
}

static uint32_t buckets_at(uint32_t i)
{
    return 1 + i / 50 % 4;
}

static void make_histogram(struct histogram *h, struct hist_bucket *b, uint32_t id, uint32_t i)
{
    *h = (struct histogram){.schema = 3, .npos = buckets_at(i), .pos = b, .sum = value_of(id, i)};
    for (uint32_t j = 0; j < h->npos; j++) {
        b[j] = (struct hist_bucket){(int32_t)(id % 7 + j * 2), i + 1};
        h->count += b[j].n;
    }
}

static void check_sample(const struct tsdb_samples *s, uint32_t at, uint32_t id, uint32_t i)
{
    const struct histogram *h = s->h ? s->h[at] : NULL;

    assert_int_equal(h != NULL, is_histogram(id));
    if (!h) {
        assert_true(s->v[at] == value_of(id, i));
        return;
    }
    assert_true(h->sum == value_of(id, i) && h->npos == buckets_at(i) && h->count == (double)h->npos * (i + 1));
    for (uint32_t j = 0; j < h->npos; j++)
        assert_true(h->pos[j].i == (int32_t)(id % 7 + j * 2) && h->pos[j].n == i + 1);
}

struct writer {
    struct world *w;
    uint32_t number;
    pthread_t thread;
};

static void *write_all(void *arg)
{
    struct writer *wr = arg;
    enum { N = SERIES / WRITERS };
    struct tsdb_in in[N];
    int64_t t[N];
    double v[N];
    const struct histogram *h[N];
    struct histogram hists[N];
    struct hist_bucket buckets[N][4];
    struct tsdb_batch b = {.series = in, .t = t, .v = v, .h = h, .labels = give_labels, .ctx = &wr->number, .nseries = N};
    struct err e = {0};

    for (uint32_t i = wr->w->acked[wr->number]; i < wr->w->scrapes; i++) {
        for (uint32_t k = 0; k < N; k++) {
            struct arena a = {0};
            struct labels ls;
            give_labels(&b, k, &a, &ls, &e);
            in[k] = (struct tsdb_in){.key = labels_hash(&ls), .first = k, .n = 1};
            arena_release(&a);
            t[k] = wr->w->base + (int64_t)i * STEP_MS;
            v[k] = value_of(wr->number * N + k, i);
            h[k] = is_histogram(wr->number * N + k) ? &hists[k] : NULL;
            make_histogram(&hists[k], buckets[k], wr->number * N + k, i);
        }
        if (tsdb_ingest_wait(wr->w->db, &b, &e) < 0)
            fail_msg("%s", e.text);
        wr->w->acked[wr->number] = i + 1;
    }
    return NULL;
}

static void *flush_often(void *arg)
{
    struct world *w = arg;
    struct err e = {0};

    while (!w->stop) {
        usleep(20000);
        if (store_flush(w->store, "metrics", &e) < 0)
            fail_msg("%s", e.text);
    }
    return NULL;
}

/* All series, all samples: a run from 0, no hole, at least `least` long. */
static void check_run(struct world *w, const struct tsdb_samples *s, uint32_t id, uint32_t least)
{
    assert_true(s->n >= least);
    for (uint32_t i = 0; i < s->n; i++) {
        assert_int_equal(s->t[i], w->base + (int64_t)i * STEP_MS);
        check_sample(s, i, id, i);
    }
}

static void check_select(struct world *w, const struct matcher *all, enum tsdb_want want)
{
    uint32_t least[WRITERS], seen = 0, any = 0;
    struct tsdb_select_opts o = {.matchers = all, .nmatchers = 1, .mint = w->base, .maxt = INT64_MAX, .want = want};
    struct tsdb_select *s;
    struct tsdb_cursor *c;
    struct tsdb_samples got;
    struct err e = {0};
    int rc;

    for (uint32_t i = 0; i < WRITERS; i++)
        any += (least[i] = w->acked[i]) > 0;
    if (tsdb_select_open(w->db, &o, &s, &e) < 0 || tsdb_cursor_open(s, 0, &c, &e) < 0)
        fail_msg("%s", e.text);
    while ((rc = tsdb_cursor_next(c, &got, &e)) == 0) {
        struct str text;
        uint64_t id = 0;
        assert_int_equal(tsdb_cursor_label(c, STR("id"), &text, &e), 0);
        assert_true(str_to_u64(text, &id));
        seen++;
        if (want == TSDB_SAMPLES) {
            check_run(w, &got, (uint32_t)id, least[id / (SERIES / WRITERS)]);
        } else {
            uint32_t i = (uint32_t)((got.t[0] - w->base) / STEP_MS);
            assert_int_equal(got.n, 1);
            assert_true(i + 1 >= least[id / (SERIES / WRITERS)]);
            check_sample(&got, 0, (uint32_t)id, i);
        }
    }
    if (rc < 0)
        fail_msg("%s", e.text);
    assert_true(seen >= any * (SERIES / WRITERS));
    tsdb_cursor_close(c);
    tsdb_select_close(s);
}

static void *read_often(void *arg)
{
    struct world *w = arg;
    struct matcher all;
    struct err e = {0};

    assert_int_equal(matcher_init(&all, MATCH_EQ, STR("__name__"), STR("m"), &e), 0);
    while (!w->stop) {
        check_select(w, &all, TSDB_SAMPLES);
        check_select(w, &all, TSDB_NEWEST);
    }
    matcher_release(&all);
    return NULL;
}

static void test_all_at_once(void **state)
{
    struct world *w = new_world(400);
    struct writer writers[WRITERS];
    pthread_t flusher, reader;

    (void)state;
    open_world(w);
    pthread_create(&flusher, NULL, flush_often, w);
    pthread_create(&reader, NULL, read_often, w);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.w = w, .number = i};
        pthread_create(&writers[i].thread, NULL, write_all, &writers[i]);
    }
    for (uint32_t i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    w->stop = true;
    pthread_join(flusher, NULL);
    pthread_join(reader, NULL);
    close_world(w);
    remove_world(w);
}

/* A life: writes on from what was acknowledged, flushing now and then. */
static void live(struct world *w)
{
    struct writer writers[WRITERS];
    pthread_t flusher;

    crash_setup();
    open_world(w);
    pthread_create(&flusher, NULL, flush_often, w);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.w = w, .number = i};
        pthread_create(&writers[i].thread, NULL, write_all, &writers[i]);
    }
    for (uint32_t i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    w->stop = true;
    pthread_join(flusher, NULL);
    close_world(w);
    _exit(0);
}

static void check_after_death(struct world *w)
{
    struct matcher all;
    struct err e = {0};

    assert_int_equal(matcher_init(&all, MATCH_EQ, STR("__name__"), STR("m"), &e), 0);
    w->stop = false;
    open_world(w);
    check_select(w, &all, TSDB_SAMPLES);
    check_select(w, &all, TSDB_NEWEST);
    close_world(w);
    matcher_release(&all);
}

static void test_deaths(void **state)
{
    struct world *w = new_world(100000);

    (void)state;
    for (int n = 1; n <= 24; n++) {
        char at[16];
        int status;
        pid_t pid;
        snprintf(at, sizeof at, "%d", n);
        if (n % 2)
            setenv("TRIPOD_CRASH_AT", at, 1);
        else
            unsetenv("TRIPOD_CRASH_AT");
        fflush(NULL);
        pid = fork();
        if (pid == 0)
            live(w);
        usleep(n % 2 ? 600000 : 50000 + (useconds_t)n * 9000);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        check_after_death(w);
    }
    remove_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_all_at_once),
    };

    log_setup(LOG_WARN, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
