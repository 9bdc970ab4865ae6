/*
 * test_concurrent.c - ingest, flush, merge, select, counts and tails at once; and a process that dies at any crash point or by
 * SIGKILL. Stream s has line f(s, i) at time base + i * step, around a midnight; a batch carries the mark of how far its writer is.
 * Whatever a select returns must be a run from 0 without a hole, at least as long as what was acknowledged before it began. After
 * a death the mark says exactly how long the run is, and what is sent again counts once.
 */
#include "logstore/day.h"
#include "logstore/logstore.h"
#include "store/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/store/lives.h"
#include "tests/logstore/house.h"

enum { WRITERS = 2, STREAMS = 6, ROWS = 20 }; /* streams of a writer; rows of a stream in a batch */
#define STEP_NS INT64_C(50000000)

struct world {
    char dir[64];
    struct store *store;
    struct logstore *ls;
    int64_t base;
    unsigned batches;
    _Atomic uint32_t acked[WRITERS]; /* batches */
    bool seals; /* days that are over are sealed at once, and unsealed by the next rows; else they are merged */
    _Atomic bool stop;
};

static void open_world(struct world *w)
{
    struct store_opts so;

    store_opts_default(&so);
    so.dir = w->dir;
    so.journal_file_bytes = 64 * 1024;
    so.upkeep_interval_ms = 50;
    if (w->seals)
        so.seal_grace_ms = 1;
    house_open(&so, NULL, NULL, &w->store, &w->ls);
}

static void close_world(struct world *w)
{
    house_close(w->store, w->ls);
}

static struct world *new_world(unsigned batches)
{
    struct world *w = temp_shared(sizeof *w);

    temp_dir(w->dir, "test_log_concurrent");
    w->batches = batches;
    /* A midnight that is over, in the middle of the first rows. */
    w->base = (clock_wall_ms() / 86400000 - 1) * 86400000 * INT64_C(1000000) - 300 * STEP_NS;
    return w;
}

static void remove_world(struct world *w)
{
    temp_remove(w->dir);
    munmap(w, sizeof *w);
}

static size_t make_line(char *out, uint32_t stream, uint32_t i)
{
    return (size_t)snprintf(out, 96, "{\"stream\":%u,\"i\":%u,\"level\":\"%s\",\"x\":%u}", stream, i, i % 3 ? "info" : "error", i * 2654435761u);
}

static void push(struct world *w, uint32_t writer, uint32_t batch)
{
    static const struct label level = {{"detected_level", 14}, {"info", 4}};
    char lines[STREAMS * ROWS][96], key[16], value[16], names[STREAMS][16];
    struct label labels[STREAMS], meta = level;
    struct log_in_row rows[STREAMS * ROWS];
    struct log_in in[STREAMS];
    struct log_mark mark = {.key = str_n(key, (size_t)snprintf(key, sizeof key, "writer/%u", writer))};
    struct log_batch b = {.streams = in, .nstreams = STREAMS, .rows = rows, .nrows = STREAMS * ROWS, .meta = &meta, .marks = &mark, .nmarks = 1};
    struct err e = {0};

    mark.value = str_n(value, (size_t)snprintf(value, sizeof value, "%u", batch + 1));
    for (uint32_t s = 0; s < STREAMS; s++) {
        labels[s] = (struct label){STR("stream"), str_n(names[s], (size_t)snprintf(names[s], sizeof names[s], "%u", writer * STREAMS + s))};
        in[s] = (struct log_in){{&labels[s], 1}, s * ROWS, ROWS};
        for (uint32_t k = 0; k < ROWS; k++) {
            uint32_t i = batch * ROWS + k;
            char *line = lines[s * ROWS + k];
            rows[s * ROWS + k] = (struct log_in_row){w->base + i * STEP_NS, str_n(line, make_line(line, writer * STREAMS + s, i)), 0, i % 2};
        }
    }
    if (logstore_ingest_wait(w->ls, &b, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(b.verdicts[LOG_OK] + b.verdicts[LOG_SAME], STREAMS * ROWS);
}

static void write_all(void *arg, uint32_t number)
{
    struct world *w = arg;

    for (uint32_t i = w->acked[number]; i < w->batches; i++) {
        push(w, number, i);
        w->acked[number] = i + 1;
    }
}

static void *flush_often(void *arg)
{
    struct world *w = arg;

    flush_until(w->store, "logs", 15000, &w->stop);
    return NULL;
}

static uint32_t number_of(const struct labels *ls)
{
    uint64_t n = 0;

    assert_true(str_to_u64(labels_get(ls, STR("stream")), &n));
    return (uint32_t)n;
}

/* Each stream a run from 0. exact: of just so many batches of its writer. */
static void check_select(struct world *w, const uint32_t *exact)
{
    struct log_select_opts o = {.mint_ns = INT64_MIN + 1, .maxt_ns = INT64_MAX, .lines = true, .meta = true};
    uint32_t least[WRITERS], cap = 4096 * 64;
    uint8_t *seen[WRITERS * STREAMS];
    uint32_t n[WRITERS * STREAMS] = {0};
    struct log_select *s;
    struct log_cursor *c = NULL;
    struct log_rows rows;
    struct err e = {0};
    int rc;

    for (uint32_t i = 0; i < WRITERS; i++)
        least[i] = w->acked[i] * ROWS;
    for (uint32_t i = 0; i < WRITERS * STREAMS; i++)
        seen[i] = x_zalloc(cap);
    o.backward = least[0] % 2;
    if (logstore_select(w->ls, &o, &s, &e) < 0 || log_cursor_open(s, &c, &e) < 0)
        fail_msg("%s", e.text);
    while ((rc = log_cursor_next(c, &rows, &e)) == 0)
        for (uint32_t k = 0; k < rows.n; k++) {
            uint32_t number = number_of(log_select_labels(s, rows.v[k].stream)), i = (uint32_t)((rows.v[k].t_ns - w->base) / STEP_NS);
            char line[96];
            assert_true(i < cap && !seen[number][i]++);
            assert_true(str_eq(rows.v[k].line, str_n(line, make_line(line, number, i))));
            assert_int_equal(rows.v[k].nmeta, i % 2);
            n[number]++;
        }
    if (rc < 0)
        fail_msg("%s", e.text);
    for (uint32_t i = 0; i < WRITERS * STREAMS; i++) {
        for (uint32_t k = 0; k < n[i]; k++)
            assert_true(seen[i][k]);
        assert_true(n[i] >= least[i / STREAMS]);
        if (exact)
            assert_int_equal(n[i], exact[i / STREAMS] * ROWS);
        free(seen[i]);
    }
    log_cursor_free(c);
    log_select_free(s);
}

static void check_counts(struct world *w)
{
    uint64_t least = 0, n = 0;
    struct log_minutes m;
    struct arena a = {0};
    struct err e = {0};

    for (uint32_t i = 0; i < WRITERS; i++)
        least += w->acked[i] * STREAMS * ROWS;
    if (logstore_minutes(w->ls, NULL, 0, w->base - INT64_C(120000000000), w->base + INT64_C(864000000000000), &a, NULL, &m, &e) < 0)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < m.n; i++)
        n += m.v[i].rows;
    assert_true(n >= least && n <= (uint64_t)WRITERS * w->batches * STREAMS * ROWS);
    arena_release(&a);
}

static void *read_often(void *arg)
{
    struct world *w = arg;

    while (!w->stop) {
        check_select(w, NULL);
        check_counts(w);
    }
    return NULL;
}

static void count_wake(void *arg)
{
    atomic_fetch_add((_Atomic uint32_t *)arg, 1);
}

/* A tail that is read sees every row once; it may lag. */
static void *follow(void *arg)
{
    struct world *w = arg;
    uint64_t n = 0, dropped, want = (uint64_t)w->batches * STREAMS * ROWS;
    _Atomic uint32_t woken = 0;
    struct matcher m;
    struct log_tail *t;
    struct err e = {0};

    assert_int_equal(matcher_init(&m, MATCH_RE, STR("stream"), STR("[0-5]"), &e), 0);
    assert_int_equal(logstore_tail_open(w->ls, &m, 1, 64 << 20, count_wake, &woken, &t, &e), 0);
    matcher_release(&m);
    while (n < want) {
        struct log_tailed out[64];
        struct arena a = {0};
        uint32_t got = log_tail_take(t, &a, out, 64, &dropped);
        assert_int_equal(dropped, 0);
        for (uint32_t i = 0; i < got; i++) {
            char line[96];
            uint32_t k = (uint32_t)((out[i].t_ns - w->base) / STEP_NS);
            assert_true(str_eq(out[i].line, str_n(line, make_line(line, number_of(&out[i].labels), k))));
        }
        n += got;
        arena_release(&a);
        if (got == 0)
            usleep(1000);
    }
    assert_true(woken > 0);
    log_tail_close(t);
    return NULL;
}

static void all_at_once(bool seals)
{
    struct world *w = new_world(getenv("TRIPOD_LONG") ? 2000 : 100);
    struct crowd c = {.world = w, .write = write_all, .nwriters = WRITERS, .beside = {flush_often, read_often}, .nbeside = 2, .stop = &w->stop};
    pthread_t follower;

    w->seals = seals;
    open_world(w);
    pthread_create(&follower, NULL, follow, w);
    usleep(100000); /* it follows from the first row */
    crowd_run(&c);
    pthread_join(follower, NULL);
    check_select(w, (uint32_t[]){w->batches, w->batches});
    close_world(w);
    remove_world(w);
}

static void test_all_at_once(void **state)
{
    (void)state;
    all_at_once(false);
    all_at_once(true);
}

/* A life: writes on from what was acknowledged, flushing now and then. Upkeep merges and seals the day that is over. */
static void live(void *arg)
{
    struct world *w = arg;
    struct crowd c = {.world = w, .write = write_all, .nwriters = WRITERS, .beside = {flush_often}, .nbeside = 1, .stop = &w->stop};

    crash_setup();
    open_world(w);
    crowd_run(&c);
    close_world(w);
}

static void print_finding(void *arg, const char *line)
{
    (void)arg;
    if (!strstr(line, ": good,") && !strstr(line, "no damage"))
        fprintf(stderr, "%s\n", line);
}

static void check_after_death(struct world *w)
{
    uint32_t marks[WRITERS];
    struct err e = {0};

    w->stop = false;
    open_world(w);
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct buf b = {0};
        char key[16];
        uint64_t n = 0;
        if (logstore_mark(w->ls, str_n(key, (size_t)snprintf(key, sizeof key, "writer/%u", i)), &b))
            assert_true(str_to_u64(buf_str(&b), &n));
        assert_true(n >= w->acked[i]);
        marks[i] = (uint32_t)n;
        buf_release(&b);
    }
    check_select(w, marks);
    check_counts(w);
    if (store_verify(w->store, print_finding, NULL, &e) != 0)
        fail_msg("%s", e.text);
    close_world(w);
}

static void test_deaths(void **state)
{
    struct world *w = new_world(100000);
    static const char *const points[] = {"logs_flush_marks_written", "logs_flush_before_commit", "logs_flush_after_commit", "log_day_commit:2",
                                         "log_day_committed:2", "logs_merge_before_commit", "flushed, not noted", "flush noted, journal not dropped",
                                         "journal before commit:9", "journal after commit:9", "sealed, not renamed", "sealed and renamed"};
    int lives = getenv("TRIPOD_LONG") ? 80 : 26;

    (void)state;
    for (int n = 1; n <= lives; n++) {
        char at[16];

        snprintf(at, sizeof at, "%d", n);
        w->seals = n % 3 == 0 || n / 2 == 10 || n / 2 == 11;
        one_life(live, w, n % 2 == 0 ? NULL : n / 2 < (int)ARRAY_LEN(points) ? points[n / 2] : at, n % 2 ? 500000 : 50000 + (useconds_t)n * 9000);
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
