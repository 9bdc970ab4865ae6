/* test_exec.c - places and the queue, deadlines, kills, cancelling, budgets of one query and of all; who is to blame. */
#include "query/exec/exec.c"
#include "tests/base/prop.h"

#include <stdio.h>

/* --- queries that wait at a gate ------------------------------------------------------------------ */

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static int inside, inside_most, through;
static uint64_t order[256];
static bool open_gate;

static void gate_reset(void)
{
    pthread_mutex_lock(&mu);
    inside = inside_most = through = 0;
    open_gate = false;
    pthread_mutex_unlock(&mu);
}

static void gate_open(void)
{
    pthread_mutex_lock(&mu);
    open_gate = true;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&mu);
}

static void wait_count(const int *n, int want)
{
    pthread_mutex_lock(&mu);
    while (*n < want)
        pthread_cond_wait(&moved, &mu);
    pthread_mutex_unlock(&mu);
}

static void at_gate(struct query *q, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mu);
    inside++;
    inside_most = MAX(inside_most, inside);
    pthread_cond_broadcast(&moved);
    while (!open_gate)
        pthread_cond_wait(&moved, &mu);
    inside--;
    order[through] = q->id;
    pthread_mutex_unlock(&mu);
    query_end(q);
    pthread_mutex_lock(&mu);
    through++;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&mu);
}

static struct query_engine *engine(uint32_t places, uint32_t waiting)
{
    struct query_engine_opts o;

    query_engine_opts_default(&o);
    o.concurrent_max = places;
    o.waiting_max = waiting;
    o.threads = 2;
    return query_engine_new(&o);
}

static void places(void **state)
{
    struct query_engine *en = engine(3, 100);
    struct query_stats st;
    struct query_info *list;
    struct arena a = {0};
    struct err e;
    uint32_t n;

    (void)state;
    gate_reset();
    for (int i = 0; i < 20; i++)
        assert_int_equal(query_start(en, "test", STR("at the gate"), NULL, at_gate, NULL, &e), 0);
    wait_count(&inside, 3);
    query_stats(en, &st);
    assert_int_equal(st.running, 3);
    assert_int_equal(st.waiting, 17);
    n = query_list(en, &a, &list);
    assert_int_equal(n, 20);
    for (uint32_t i = 0; i < n; i++) { /* in order of arrival, the oldest have the places */
        assert_int_equal(list[i].id, i + 1);
        assert_int_equal(list[i].waiting, i >= 3);
        assert_true(str_eqz(list[i].text, "at the gate"));
    }
    gate_open();
    wait_count(&through, 20);
    assert_int_equal(inside_most, 3);
    query_stats(en, &st);
    assert_int_equal(st.running + st.waiting, 0);
    assert_int_equal(st.started, 20);
    arena_release(&a);
    query_engine_free(en);
}

static void one_place_keeps_order(void **state)
{
    struct query_engine *en = engine(1, 100);
    struct err e;

    (void)state;
    gate_reset();
    for (int i = 0; i < 50; i++)
        assert_int_equal(query_start(en, "test", STR(""), NULL, at_gate, NULL, &e), 0);
    gate_open();
    wait_count(&through, 50);
    for (int i = 1; i < 50; i++)
        assert_true(order[i] > order[i - 1]);
    query_engine_free(en);
}

static void too_many(void **state)
{
    struct query_engine *en = engine(1, 2);
    struct query_stats st;
    struct err e;

    (void)state;
    gate_reset();
    for (int i = 0; i < 3; i++)
        assert_int_equal(query_start(en, "test", STR(""), NULL, at_gate, NULL, &e), 0);
    assert_int_equal(query_start(en, "test", STR(""), NULL, at_gate, NULL, &e), ERR_BUSY);
    assert_non_null(strstr(e.text, "query.max-concurrency 1"));
    query_stats(en, &st);
    assert_int_equal(st.refused, 1);
    gate_open();
    wait_count(&through, 3);
    query_engine_free(en);
}

/* A query on the caller's thread needs no place. */
static void begin_needs_no_place(void **state)
{
    struct query_engine *en = engine(1, 0);
    struct query *q;
    struct err e;

    (void)state;
    gate_reset();
    assert_int_equal(query_start(en, "test", STR(""), NULL, at_gate, NULL, &e), 0);
    q = query_begin(en, "test", STR("rule"), NULL);
    assert_int_equal(query_check(q, "here", &e), 0);
    query_end(q);
    gate_open();
    wait_count(&through, 1);
    query_engine_free(en);
}

/* --- stopping --------------------------------------------------------------------------------------- */

static struct query *begin(struct query_engine *en, int64_t timeout_ms, uint64_t bytes, uint64_t samples)
{
    struct query_limits l = {.timeout_ms = timeout_ms, .bytes_max = bytes, .samples_max = samples};

    return query_begin(en, "test", STR("up"), &l);
}

static bool left(void *arg)
{
    return *(bool *)arg;
}

static void stops(void **state)
{
    struct query_engine *en = engine(2, 2);
    struct query *late = begin(en, 1, 0, 0), *killed = begin(en, 0, 0, 0), *gone = begin(en, 0, 0, 0);
    bool has_left = false;
    struct query_stats st;
    struct err e;

    (void)state;
    gone->canceled = left;
    gone->canceled_arg = &has_left;
    assert_int_equal(query_check(gone, "sum", &e), 0);
    usleep(3000);
    assert_int_equal(query_check(late, "sum by (job)", &e), ERR_TIMEOUT);
    assert_string_equal(e.text,
                        "query timed out in expression evaluation: 1 ms are over (query.timeout), in sum by (job)");
    assert_int_equal(query_kill(en, killed->id, &e), 0);
    assert_int_equal(query_kill(en, 999, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "999"));
    assert_int_equal(query_check(killed, "rate", &e), ERR_CANCELED);
    assert_int_equal(e.code, ERR_CANCELED);
    assert_string_equal(e.text, "query was canceled in expression evaluation, in rate");
    has_left = true;
    assert_int_equal(query_check(gone, "topk", &e), ERR_CANCELED);
    has_left = false; /* once stopped it stays stopped */
    assert_int_equal(query_check(gone, "topk", &e), ERR_CANCELED);
    assert_int_equal(query_check(late, "later", NULL), ERR_TIMEOUT);
    query_end(late);
    query_end(killed);
    query_end(gone);
    query_stats(en, &st);
    assert_int_equal(st.timed_out, 1);
    assert_int_equal(st.canceled, 2);
    query_engine_free(en);
}

static void waiting_is_killed_too(void **state)
{
    struct query_engine *en = engine(1, 10);
    struct err e;

    (void)state;
    gate_reset();
    for (int i = 0; i < 2; i++)
        assert_int_equal(query_start(en, "test", STR(""), NULL, at_gate, NULL, &e), 0);
    assert_int_equal(query_kill(en, 2, &e), 0);
    gate_open();
    wait_count(&through, 2);
    query_engine_free(en);
}

/* --- budgets ---------------------------------------------------------------------------------------- */

static void memory(void **state)
{
    struct query_engine *en = engine(2, 2);
    struct query *q = begin(en, 0, 1000, 0);
    struct query_stats st;
    struct err e;

    (void)state;
    assert_int_equal(query_charge(q, 600, "sum", &e), 0);
    assert_int_equal(query_charge(q, -200, "sum", &e), 0);
    assert_int_equal(query_charge(q, 600, "sum", &e), 0);
    assert_int_equal(q->bytes_peak, 1000);
    assert_int_equal(query_check(q, "sum", &e), 0);
    assert_int_equal(query_charge(q, 1, "sort", &e), ERR_LIMIT);
    assert_string_equal(e.text, "query needs more memory than query.max-bytes allows: 1001 of 1000 bytes, in sort");
    assert_int_equal(q->bytes, 1000); /* what was refused is not counted */
    /* Every part of the query ends with the first one's sentence. */
    assert_int_equal(query_check(q, "rate", &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "1001 of 1000 bytes, in sort"));
    query_stats(en, &st);
    assert_int_equal(st.bytes, 1000);
    query_end(q);
    query_stats(en, &st);
    assert_int_equal(st.bytes, 0);
    assert_int_equal(st.limited, 1);
    query_engine_free(en);
}

static void memory_of_all(void **state)
{
    struct query_engine_opts o;
    struct query_engine *en;
    struct query *a, *b, *c;
    struct err e;

    (void)state;
    query_engine_opts_default(&o);
    o.bytes_max = 1000;
    o.threads = 1;
    en = query_engine_new(&o);
    a = begin(en, 0, 900, 0);
    b = begin(en, 0, 900, 0);
    assert_int_equal(query_charge(a, 800, "x", &e), 0);
    assert_int_equal(query_charge(b, 300, "y", &e), ERR_BUSY);
    assert_non_null(strstr(e.text, "query.max-bytes-total"));
    assert_non_null(strstr(e.text, "1100 of 1000 bytes, 300 of them for this one, in y"));
    assert_int_equal(query_charge(a, 100, "x", &e), 0); /* the one that had it goes on */
    assert_int_equal(query_check(b, "y", &e), ERR_BUSY);
    query_end(a);
    c = begin(en, 0, 900, 0);
    assert_int_equal(query_charge(c, 900, "z", &e), 0); /* the dead give back what they had */
    query_end(b);
    query_end(c);
    query_engine_free(en);
}

static void samples(void **state)
{
    struct query_engine *en = engine(2, 2);
    struct query *q = begin(en, 0, 0, 100);
    struct err e;

    (void)state;
    assert_int_equal(query_samples(q, 1000, 60, "rate", &e), 0); /* read: counted, not limited */
    assert_int_equal(query_samples(q, 0, -30, "rate", &e), 0);
    assert_int_equal(query_samples(q, 0, 70, "rate", &e), 0);
    assert_int_equal(q->samples_total, 1000);
    assert_int_equal(q->samples_peak, 100);
    assert_int_equal(query_samples(q, 0, 1, "max", &e), ERR_LIMIT);
    assert_non_null(strstr(e.text, "query.max-samples"));
    assert_non_null(strstr(e.text, "more than 100 "));
    assert_non_null(strstr(e.text, "in max"));
    query_end(q);
    query_engine_free(en);
}

/* Many threads, one query: the sums are right at the end, and all blame the same reason. */
struct chargers {
    struct query *q;
    _Atomic int refused;
    char text[8][1024];
};

static void charge(void *arg, uint32_t i)
{
    struct chargers *c = arg;
    struct err e;

    for (int k = 0; k < 2000; k++) {
        if (query_charge(c->q, 10, i % 2 ? "odd" : "even", &e) < 0) {
            c->refused++;
            memcpy(c->text[i], e.text, sizeof e.text);
            return;
        }
        if (k % 2)
            query_charge(c->q, -10, "back", NULL);
    }
}

static void many_threads(void **state)
{
    struct query_engine *en = engine(2, 2);
    struct chargers c = {.q = begin(en, 0, 8 * 2000 * 10, 0)};

    (void)state;
    pool_for(query_engine_pool(en), 8, charge, &c);
    assert_int_equal(c.refused, 0);
    assert_int_equal(c.q->bytes, 8 * 1000 * 10);
    pool_for(query_engine_pool(en), 8, charge, &c);
    query_end(c.q);
    c = (struct chargers){.q = begin(en, 0, 1000, 0)};
    pool_for(query_engine_pool(en), 8, charge, &c);
    assert_int_equal(c.refused, 8);
    for (int i = 1; i < 8; i++)
        assert_string_equal(c.text[i], c.text[0]);
    query_end(c.q);
    query_engine_free(en);
}

/* Every query that was started is run and ended, whatever the engine's end meets. */
static _Atomic int ended;

static void until_stopped(struct query *q, void *arg)
{
    struct err e;

    (void)arg;
    while (query_check(q, "loop", &e) == 0)
        usleep(100);
    assert_int_equal(e.code, ERR_CANCELED);
    query_end(q);
    ended++;
}

static void freeing_stops_all(void **state)
{
    struct query_engine *en = engine(2, 100);
    struct err e;

    (void)state;
    ended = 0;
    for (int i = 0; i < 30; i++)
        assert_int_equal(query_start(en, "test", STR(""), NULL, until_stopped, NULL, &e), 0);
    query_engine_free(en);
    assert_int_equal(ended, 30);
    query_engine_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(one_place_keeps_order),
        cmocka_unit_test(too_many),
        cmocka_unit_test(begin_needs_no_place),
        cmocka_unit_test(stops),
        cmocka_unit_test(waiting_is_killed_too),
        cmocka_unit_test(memory),
        cmocka_unit_test(memory_of_all),
        cmocka_unit_test(samples),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(freeing_stops_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
