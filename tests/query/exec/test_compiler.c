/* test_compiler.c - long patterns of queries: compiled as short ones are, left alone when time is over or nobody waits. */
#include "query/exec/compiler.c"
#include "query/promql/ast.h"
#include "tests/base/prop.h"

#include <stdatomic.h>
#include <unistd.h>

/* What a query does, and what came of it. */
struct task {
    struct str pattern;
    bool parse; /* as a matcher of a PromQL query */

    /* Set when it is over. */
    int code;
    int64_t late_ns; /* behind the deadline */
    bool matches;
    struct err why;
    _Atomic bool began, over;
};

static struct query_engine *engine(void)
{
    struct query_engine_opts o;

    query_engine_opts_default(&o);
    o.threads = 2;
    return query_engine_new(&o);
}

static void run(struct query *q, void *arg)
{
    struct task *t = arg;
    struct regex *re = NULL;
    struct node *n;

    atomic_store(&t->began, true);
    if (t->parse) {
        t->code = promql_parse_query(q, &n, &t->why);
    } else {
        t->code = regex_new(t->pattern, REGEX_ANCHORED, &re, &t->why);
        t->matches = re && regex_match(re, STR("some x text"));
        regex_free(re);
    }
    t->late_ns = clock_mono_ns() - q->deadline_ns;
    query_end(q);
    atomic_store(&t->over, true);
}

static void start(struct query_engine *en, struct task *t, struct str text, int64_t timeout_ms)
{
    struct query_limits limits;
    struct err e;

    query_limits_default(&limits);
    limits.timeout_ms = timeout_ms;
    assert_int_equal(query_start(en, "promql", text, &limits, run, t, &e), 0);
}

static void wait_over(const struct task *t)
{
    while (!atomic_load(&t->over))
        usleep(1000);
}

/* Seconds to compile. */
static struct str endless(struct buf *b)
{
    for (int i = 0; i < 40; i++)
        buf_putz(b, "a{1,1000}");
    return buf_str(b);
}

static void long_ones_compile(void **state)
{
    struct query_engine *en = engine();
    struct buf b = {0};
    struct task t[3];

    (void)state;
    for (int i = 0; b.n < 5000; i++)
        buf_printf(&b, ".*%d.*|", i);
    buf_putz(&b, ".*x.*");
    t[0] = (struct task){.pattern = buf_str(&b)};
    t[1] = (struct task){.pattern = STR("(.{1000}")};
    t[2] = (struct task){.pattern = STR("some.*")};
    for (int i = 0; i < 3; i++) {
        start(en, &t[i], STR("up"), 600000);
        wait_over(&t[i]);
    }
    assert_true(t[0].code == 0 && t[0].matches);
    assert_int_equal(t[1].code, ERR_INVALID);
    assert_string_equal(t[1].why.text, "error parsing regexp: missing closing ): `(.{1000}`");
    assert_true(t[2].code == 0 && t[2].matches);
    query_engine_free(en);
    buf_release(&b);
}

/* The pattern takes over a second of a processor: whoever waited for it would be later than that. */
static void deadlines_hold(void **state)
{
    struct query_engine *en = engine();
    struct buf b = {0}, query = {0};
    struct task t[4] = {{.code = 0}};

    (void)state;
    endless(&b);
    buf_printf(&query, "{a=~\"%.*s\",b=~\"%.*s\"}", STR_ARG(buf_str(&b)), STR_ARG(buf_str(&b)));
    for (int i = 0; i < 4; i++) { /* two have no thread to compile them */
        t[i].pattern = buf_str(&b);
        t[i].parse = i % 2;
        start(en, &t[i], buf_str(&query), 50);
    }
    for (int i = 0; i < 4; i++) {
        wait_over(&t[i]);
        assert_int_equal(t[i].code, ERR_TIMEOUT);
        assert_non_null(strstr(t[i].why.text, "query timed out"));
        print_message("%.1f ms behind the deadline\n", (double)t[i].late_ns / 1e6);
        assert_true(t[i].late_ns < INT64_C(1000000000));
    }
    query_engine_free(en);
    buf_release(&b);
    buf_release(&query);
}

static void kills_work(void **state)
{
    struct query_engine *en = engine();
    struct buf b = {0};
    struct task t = {.pattern = endless(&b)};
    struct query_info *list;
    struct arena a = {0};
    struct err e;

    (void)state;
    start(en, &t, STR("up"), 600000);
    while (!atomic_load(&t.began))
        usleep(1000);
    assert_int_equal(query_list(en, &a, &list), 1);
    assert_int_equal(query_kill(en, list[0].id, &e), 0);
    wait_over(&t);
    assert_int_equal(t.code, ERR_CANCELED);
    query_engine_free(en);
    arena_release(&a);
    buf_release(&b);
}

/* (2): nothing is compiled for a query that has left; and the job is freed, as the leak checker sees. */
static void the_left_are_not_compiled(void **state)
{
    struct background background;
    struct compiler c;
    struct buf b = {0};
    struct job *j;
    int64_t cpu_ns;

    (void)state;
    background_init(&background);
    compiler_init(&c, &background);
    j = job_new(&c, endless(&b), 0);
    j->left = true;
    cpu_ns = clock_thread_cpu_ns();
    run_job(j);
    assert_true(clock_thread_cpu_ns() - cpu_ns < INT64_C(200000000));
    compiler_release(&c);
    background_release(&background);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_ones_compile),
        cmocka_unit_test(deadlines_hold),
        cmocka_unit_test(kills_work),
        cmocka_unit_test(the_left_are_not_compiled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
