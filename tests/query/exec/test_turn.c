/* test_turn.c - long queries give way: to short ones, to each other, and not for ever. */
#include "query/exec/turn.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

enum { SEATS = 2, THREADS = 8, ROUND_NS = 100000 };

struct worker {
    struct turns *ts;
    struct turn *turn;
    _Atomic int *stop;
    _Atomic uint64_t *rounds;
};

static void spin(int64_t ns)
{
    int64_t end = clock_mono_ns() + ns;

    while (clock_mono_ns() < end)
        ;
}

static void *work(void *arg)
{
    struct worker *w = arg;

    while (!atomic_load(w->stop)) {
        turn_check(w->ts, w->turn, clock_mono_ns(), w->stop);
        spin(ROUND_NS);
        atomic_fetch_add(w->rounds, 1);
    }
    turn_leave(w->ts);
    return NULL;
}

struct crowd {
    struct turns ts;
    struct turn turn;
    _Atomic int stop;
    _Atomic uint64_t rounds[THREADS];
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
};

static struct crowd *crowd_new(void)
{
    struct crowd *c = x_zalloc(sizeof *c);

    turns_init(&c->ts, SEATS);
    turn_begin(&c->ts, &c->turn);
    turn_run(&c->turn);
    turn_is_long(&c->ts, &c->turn);
    for (int i = 0; i < THREADS; i++) {
        c->workers[i] = (struct worker){&c->ts, &c->turn, &c->stop, &c->rounds[i]};
        assert_int_equal(pthread_create(&c->threads[i], NULL, work, &c->workers[i]), 0);
    }
    return c;
}

/* How long it took until all had noticed that they are to stop. */
static int64_t crowd_stop(struct crowd *c)
{
    int64_t began = clock_mono_ns();

    atomic_store(&c->stop, 1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(c->threads[i], NULL);
    began = clock_mono_ns() - began;
    turn_end(&c->ts, &c->turn);
    turns_release(&c->ts);
    free(c);
    return began;
}

static uint64_t rounds_of(struct crowd *c)
{
    uint64_t n = 0;

    for (int i = 0; i < THREADS; i++)
        n += atomic_load(&c->rounds[i]);
    return n;
}

static void sleep_ms(int64_t ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * MS};

    nanosleep(&t, NULL);
}

/* All get on, a seat at a time; on a loaded machine a thread may lose its seat while it is not run. */
static void test_seats(void **state)
{
    struct crowd *c = crowd_new();

    (void)state;
    sleep_ms(600);
    /* A round lasts by the wall clock: eight threads without seats would make four times as many as two with. */
    assert_true(rounds_of(c) * ROUND_NS < UINT64_C(2) * SEATS * 600 * MS);
    for (int i = 0; i < THREADS; i++)
        assert_true(atomic_load(&c->rounds[i]) > 0);
    assert_true(crowd_stop(c) < 2000 * (int64_t)MS);
}

/* A short query is waited for, but a stream of them does not stop the long ones. */
static void test_short_ones(void **state)
{
    struct crowd *c = crowd_new();
    struct turn brief = {0};
    uint64_t before, beside;

    (void)state;
    sleep_ms(200);
    before = rounds_of(c);
    assert_true(before > 0);
    for (int i = 0; i < 100; i++) { /* one after the other, without a pause */
        turn_begin(&c->ts, &brief);
        turn_run(&brief);
        sleep_ms(5);
        turn_end(&c->ts, &brief);
    }
    beside = rounds_of(c) - before;
    assert_true(beside > 0);
    assert_int_equal(atomic_load(&c->ts.nshort), 0);
    /* One that holds its place and does nothing is not waited for beyond FRESH_NS. */
    turn_begin(&c->ts, &brief);
    sleep_ms(100);
    before = rounds_of(c);
    sleep_ms(300);
    assert_true(rounds_of(c) > before);
    turn_end(&c->ts, &brief);
    crowd_stop(c);
}

/* Work makes a query long, waiting does not. */
static void test_grows_long(void **state)
{
    struct turns ts;
    struct turn t = {0};
    _Atomic int stop = 0;

    (void)state;
    turns_init(&ts, SEATS);
    turn_begin(&ts, &t);
    turn_run(&t);
    turn_check(&ts, &t, clock_mono_ns(), &stop);
    assert_int_equal(atomic_load(&ts.nshort), 1);
    sleep_ms(2 * TURN_SHORT_MS);
    turn_check(&ts, &t, clock_mono_ns(), &stop);
    assert_int_equal(atomic_load(&ts.nshort), 1);
    for (int i = 0; i < 100 && atomic_load(&ts.nshort); i++) {
        spin(5 * MS);
        turn_check(&ts, &t, clock_mono_ns(), &stop);
    }
    assert_int_equal(atomic_load(&ts.nshort), 0);
    turn_end(&ts, &t);
    turns_release(&ts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seats),
        cmocka_unit_test(test_short_ones),
        cmocka_unit_test(test_grows_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
