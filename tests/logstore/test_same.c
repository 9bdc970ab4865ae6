/* test_same.c - equal rows are known, over pieces, groups and cuts, whatever the order of their times; beside a plain list of all. */
#include "logstore/same.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { STREAMS = 3, PIECE_MAX = 3000, LINES = 40 };

static uint64_t rng;

static uint32_t rnd(uint32_t n)
{
    rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(rng >> 33) % n;
}

/* What is in the head: a row is a number of time, stream and line. */
struct model {
    uint8_t *open, *frozen, *past; /* by number */
    uint32_t times;
};

static uint32_t number_of(const struct model *m, uint32_t t, uint32_t stream, uint32_t line)
{
    return (line * STREAMS + stream) * m->times + t;
}

struct world {
    struct log_head h;
    struct log_stream *streams[STREAMS];
    struct model m;
    uint64_t seq;
    char lines[LINES][8];
};

static void set_up(struct world *w, uint32_t times)
{
    memset(w, 0, sizeof *w);
    log_head_init(&w->h);
    for (uint32_t i = 0; i < STREAMS; i++) {
        struct label l = {STR("app"), i == 0 ? STR("a") : i == 1 ? STR("b") : STR("c")};
        struct labels ls = {&l, 1};

        w->streams[i] = log_streams_get(&w->h.streams, labels_hash(&ls), &ls, 0);
    }
    for (uint32_t i = 0; i < LINES; i++)
        snprintf(w->lines[i], sizeof w->lines[i], "line%u", i);
    w->m.times = times;
    w->m.open = x_zalloc((size_t)times * STREAMS * LINES);
    w->m.frozen = x_zalloc((size_t)times * STREAMS * LINES);
    w->m.past = x_zalloc((size_t)times * STREAMS * LINES);
}

static void tear_down(struct world *w)
{
    for (uint32_t i = 0; i < STREAMS; i++)
        log_stream_unref(w->streams[i]);
    log_head_release(&w->h);
    free(w->m.open);
    free(w->m.frozen);
    free(w->m.past);
}

/* Rows of one piece around a time, each in order or not; and what is known of them, against the model. */
static void push(struct world *w, uint32_t at, uint32_t spread, bool in_order)
{
    uint32_t n = 1 + rnd(PIECE_MAX), *number = x_alloc(n * sizeof *number), same, want = 0, again = 0, live = 0;
    struct label *labels;
    struct log_piece *p;
    struct log_chunk *held;
    uint64_t bytes;
    char *to;

    p = log_head_piece(&w->h, n, 0, 0, &labels, &to);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t t = at + (in_order ? i * spread / n : rnd(spread)), stream = rnd(STREAMS), line = rnd(LINES);
        struct str text = str_of(w->lines[line]);

        t = MIN(t, w->m.times - 1);
        number[i] = number_of(&w->m, t, stream, line);
        p->rows[i] = (struct log_head_row){.t_ns = 1000 + t, .stream = w->streams[stream], .line = text.p, .line_bytes = (uint32_t)text.n};
        p->rows[i].hash = log_head_row_hash(w->streams[stream], p->rows[i].t_ns, hash64(text.p, text.n), 0);
    }
    log_head_find_same(&w->h, p);
    for (uint32_t i = 0; i < n; i++)
        want += p->rows[i].state == ROW_DEAD; /* these are not counted again */
    held = log_head_hold(p);
    log_head_apply(&w->h, p, ++w->seq, &same, &bytes);
    for (uint32_t i = 0; i < n; i++) {
        bool known = w->m.open[number[i]] || w->m.frozen[number[i]];

        assert_int_equal(p->rows[i].state == ROW_DEAD, known);
        if (!known && p->rows[i].again) {
            assert_true(w->m.past[number[i]]);
            assert_int_equal(p->rows[i].state, ROW_LATE);
            again++;
        }
        live += !known;
        if (!known)
            w->m.open[number[i]] = 1;
    }
    assert_int_equal(same, n - live - want + again);
    log_head_let_go(&w->h, held);
    free(number);
}

/* The open gen is cut, more comes, then the cut one goes to the past. */
static void flush(struct world *w, uint32_t at, uint32_t spread)
{
    size_t size = (size_t)w->m.times * STREAMS * LINES;
    struct log_gen *g = log_head_cut(&w->h, w->seq);

    assert_non_null(g);
    memcpy(w->m.frozen, w->m.open, size);
    memset(w->m.open, 0, size);
    for (int i = 0; i < 4; i++)
        push(w, at, spread, i % 2);
    log_head_drop(&w->h, g);
    for (size_t i = 0; i < size; i++)
        w->m.past[i] |= w->m.frozen[i];
    memset(w->m.frozen, 0, size);
}

static void run(uint32_t times, uint32_t spread, uint32_t pieces)
{
    struct world w;
    uint32_t at = 0;

    set_up(&w, times);
    for (uint32_t i = 0; i < pieces; i++) {
        push(&w, at, spread, rnd(2));
        uint32_t step = rnd(spread);
        if (rnd(3) == 0) /* back a little, or far */
            at = rnd(2) ? at - MIN(at, step) : rnd(times);
        else
            at = MIN(at + step, times - 1);
        if (i % 40 == 39)
            flush(&w, at, spread);
    }
    assert_true(atomic_load(&w.h.bytes) > 0);
    tear_down(&w);
}

static void test_random(void **state)
{
    (void)state;
    run(200, 100, 60);    /* nearly all are there already */
    run(20000, 2000, 90); /* several groups, which lie across each other */
    run(60000, 500, 120); /* mostly in order */
}

/* A batch that is sent again after its flush is told to be the same; other rows of its time are not. */
static void test_past(void **state)
{
    struct world w;
    struct label *labels;
    uint64_t bytes;
    char *to;

    (void)state;
    set_up(&w, 10);
    for (int round = 0; round < 3; round++) {
        struct log_piece *p = log_head_piece(&w.h, 8, 0, 0, &labels, &to);
        uint32_t same;

        for (uint32_t i = 0; i < 8; i++) {
            struct str text = str_of(w.lines[round == 2 ? i + 8 : i]);
            p->rows[i] = (struct log_head_row){.t_ns = 1000 + i, .stream = w.streams[0], .line = text.p, .line_bytes = (uint32_t)text.n};
            p->rows[i].hash = log_head_row_hash(w.streams[0], p->rows[i].t_ns, hash64(text.p, text.n), 0);
        }
        log_head_apply(&w.h, p, ++w.seq, &same, &bytes);
        assert_int_equal(same, round == 1 ? 8 : 0);
        assert_int_equal(w.h.open->rows, 8); /* they are kept: whether the like is on disk is looked up by who reads */
        log_head_drop(&w.h, log_head_cut(&w.h, w.seq));
    }
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_past)};
    const char *seed = getenv("SEED");

    rng = seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_wall_ns();
    print_message("seed %llu\n", (unsigned long long)rng);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
