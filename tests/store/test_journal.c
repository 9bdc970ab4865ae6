/* test_journal.c - the queue, the files and the format of the journal. */
#include "store/journal.c"

#include "tests/store/toy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct journal *open_journal(const char *dir, uint64_t file_bytes, const struct journal_hooks *h)
{
    struct journal_opts o = {.dir = dir, .file_bytes = file_bytes, .queue_max = 8, .queue_bytes_max = 1 << 20};
    struct journal *j;
    struct err e;

    if (journal_open(&o, h, &j, &e) < 0)
        fail_msg("%s", e.text);
    return j;
}

static struct buf bytes_of(size_t n, char c)
{
    struct buf b = {0};

    memset(buf_reserve(&b, n + 1), c, n);
    b.n = n;
    return b;
}

static uint64_t push1(struct journal *j, uint8_t tag, size_t n, char c)
{
    uint64_t seq = 0;
    struct err e;
    int rc;

    do {
        struct buf b = bytes_of(n, c);

        rc = journal_push_wait(j, journal_file(j), tag, &b, &seq, &e);
        if (rc < 0)
            buf_release(&b);
    } while (rc == ERR_AGAIN);
    if (rc < 0)
        fail_msg("%s", e.text);
    return seq;
}

/* --- replay into an array ----------------------------------------------------------------------- */

struct got {
    uint64_t seq[4096];
    size_t n[4096];
    uint8_t tag[4096];
    uint32_t count, files, damaged;
    uint64_t contained;
};

static void on_file(void *arg, uint32_t file)
{
    (void)file;
    ((struct got *)arg)->files++;
}

static void on_replayed(void *arg, uint64_t seq, uint8_t tag, struct str bytes)
{
    struct got *g = arg;

    g->seq[g->count] = seq;
    g->tag[g->count] = tag;
    g->n[g->count++] = bytes.n;
}

static void on_damage(void *arg, const char *path, const struct err *e)
{
    (void)path;
    (void)e;
    ((struct got *)arg)->damaged++;
}

static bool contains(void *arg, uint8_t tag, uint64_t seq)
{
    (void)tag;
    return seq <= ((struct got *)arg)->contained;
}

static void replay(struct journal *j, struct got *g)
{
    struct journal_replay r = {on_file, on_replayed, on_damage, contains, NULL, g};
    struct err e;

    g->count = g->files = g->damaged = 0;
    assert_int_equal(journal_replay(j, &r, &e), 0);
}

/* --- tests -------------------------------------------------------------------------------------- */

static void test_numbers_rise_across_restarts(void **state)
{
    char *dir = toy_dir("journal");
    struct got *g = x_zalloc(sizeof *g);
    uint64_t last = 0;
    struct err e;

    (void)state;
    for (int life = 0; life < 5; life++) {
        struct journal *j = open_journal(dir, 4096, NULL);

        replay(j, g);
        assert_int_equal(g->count, (uint32_t)(life == 4 ? 0 : life * 30));
        assert_int_equal(g->damaged, 0);
        for (uint32_t i = 0; i < g->count; i++)
            assert_int_equal(g->n[i], 100 + (g->seq[i] - 1) % 30 * 10);
        assert_int_equal(journal_start(j, &e), 0);
        for (int i = 0; i < 30; i++) {
            uint64_t seq = push1(j, 'X', (size_t)(100 + i * 10), 'a');

            assert_int_equal(seq, last + 1);
            last = seq;
            while (journal_done_seq(j) < seq) /* follows when done() of the whole group has run */
                usleep(10);
            assert_int_equal(journal_done_seq(j), seq);
        }
        if (life == 3) { /* everything is contained: all but the newest file go, and the numbers still rise */
            g->contained = last;
            journal_forget(j, contains, g);
            assert_int_equal(j->nfiles, 1);
        }
        journal_close(j);
    }
    free(g);
    toy_rmdir(dir);
}

static void test_again_and_busy(void **state)
{
    char *dir = toy_dir("queue");
    struct journal *j = open_journal(dir, 1000, NULL);
    uint32_t file = journal_file(j);
    struct buf b = bytes_of(1200, 'x');
    struct err e;

    (void)state;
    assert_int_equal(journal_push(j, file, 'X', &b, NULL, NULL, &e), 0);
    assert_null(b.p);
    assert_int_equal(journal_file(j), file + 1);
    b = bytes_of(10, 'y');
    assert_int_equal(journal_push(j, file, 'X', &b, NULL, NULL, &e), ERR_AGAIN);
    assert_non_null(b.p);
    for (int i = 0; i < 7; i++) {
        struct buf c = bytes_of(10, 'z');

        assert_int_equal(journal_push(j, file + 1, 'X', &c, NULL, NULL, &e), 0);
    }
    assert_int_equal(journal_push(j, file + 1, 'X', &b, NULL, NULL, &e), ERR_BUSY);
    buf_release(&b);
    assert_int_equal(journal_start(j, &e), 0);
    journal_roll(j, true);
    assert_int_equal(journal_done_seq(j), 8);
    assert_true(j->nfiles >= 2); /* a roll may have begun the next one */
    journal_close(j);
    toy_rmdir(dir);
}

/* An entry far above the file size, and one of nothing. */
static void test_extreme_sizes(void **state)
{
    char *dir = toy_dir("sizes");
    struct journal *j = open_journal(dir, 4096, NULL);
    struct got *g = x_zalloc(sizeof *g);
    struct err e;

    (void)state;
    j->opts.queue_bytes_max = 0; /* one alone always passes */
    assert_int_equal(journal_start(j, &e), 0);
    push1(j, 'X', (size_t)150 << 20, 'b');
    push1(j, 'Y', 0, 'c');
    push1(j, 'X', 1, 'd');
    journal_close(j);
    j = open_journal(dir, 4096, NULL);
    replay(j, g);
    assert_int_equal(g->count, 3);
    assert_int_equal(g->n[0], (size_t)150 << 20);
    assert_int_equal(g->n[1], 0);
    assert_int_equal(g->tag[1], 'Y');
    assert_int_equal(g->damaged, 0);
    journal_close(j);
    free(g);
    toy_rmdir(dir);
}

static void on_failed(void *arg, int code, const struct err *e)
{
    (void)e;
    *(int *)arg = code;
}

struct outcome {
    int code;
    uint64_t seq;
    uint32_t order;
};
static uint32_t order;

static void on_outcome(void *arg, int code, uint64_t seq, const struct err *e)
{
    (void)e;
    *(struct outcome *)arg = (struct outcome){code, seq, ++order};
}

/* A commit that fails: what leans on its file fails with it, in order, and the next push begins another file. */
static void test_failed_commit(void **state)
{
    char *dir = toy_dir("fail"), cmd[600];
    int failed = 0;
    struct journal_hooks h = {.failed = on_failed, .arg = &failed};
    struct journal *j = open_journal(dir, 1 << 20, &h);
    struct got *g = x_zalloc(sizeof *g);
    struct outcome o[3] = {{1, 0, 0}, {1, 0, 0}, {1, 0, 0}};
    uint32_t file;
    struct err e;

    (void)state;
    assert_int_equal(journal_start(j, &e), 0);
    assert_int_equal(push1(j, 'X', 10, 'a'), 1);
    file = journal_file(j) + 1;
    snprintf(cmd, sizeof cmd, "mkdir -p '%s/%06u.mdb.tmp/x'", dir, file); /* its place is taken: it cannot be made */
    assert_int_equal(system(cmd), 0);
    journal_roll(j, true);
    for (int i = 0; i < 3; i++) {
        struct buf b = bytes_of(10, 'b');
        int rc = journal_push(j, file, 'X', &b, on_outcome, &o[i], &e);

        if (rc == ERR_AGAIN) { /* the failure was quicker */
            buf_release(&b);
            o[i].code = ERR_IO;
        } else
            assert_int_equal(rc, 0);
    }
    journal_roll(j, true);
    assert_true(failed < 0);
    assert_true(o[0].code < 0 && o[1].code < 0 && o[2].code < 0 && o[0].seq == 0);
    assert_true(push1(j, 'X', 10, 'c') > 1);
    journal_close(j);
    j = open_journal(dir, 4096, NULL);
    replay(j, g);
    assert_int_equal(g->count, 2);
    journal_close(j);
    free(g);
    toy_rmdir(dir);
}

/* All of the newest file is contained: a fresh one takes over the numbers, and the bytes go. A small one is left alone. */
static void test_spent_file_goes(void **state)
{
    char *dir = toy_dir("spent");
    struct journal *j = open_journal(dir, 64 << 20, NULL);
    struct got *g = x_zalloc(sizeof *g);
    struct err e;
    uint64_t last;

    (void)state;
    assert_int_equal(journal_start(j, &e), 0);
    g->contained = push1(j, 'X', 1000, 'a');
    journal_roll_spent(j, contains, g);
    assert_int_equal(j->nfiles, 1);
    last = push1(j, 'X', 2 << 20, 'b');
    journal_roll_spent(j, contains, g); /* the second is not contained */
    assert_int_equal(j->nfiles, 1);
    g->contained = last;
    journal_roll_spent(j, contains, g);
    assert_int_equal(j->nfiles, 2);
    journal_forget(j, contains, g);
    assert_int_equal(j->nfiles, 1);
    assert_true(j->bytes < 1 << 20);
    journal_close(j);
    j = open_journal(dir, 64 << 20, NULL);
    replay(j, g);
    assert_int_equal(g->count, 0);
    assert_int_equal(g->damaged, 0);
    assert_int_equal(journal_start(j, &e), 0);
    assert_int_equal(push1(j, 'X', 10, 'c'), last + 1);
    journal_close(j);
    free(g);
    toy_rmdir(dir);
}

/* The bytes of a group are part of the contract with every file ever written. */
static void test_golden_group(void **state)
{
    static const unsigned char golden[] = {
        0x54, 0x4a, 0x47, 0x31, 0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x4d, 0x00, 0x00, 0x00, 0xed, 0x41, 0x18, 0x58,
        0x00, 0x00, 0x00, 0x00, 0x4c, 0x00, 0x00, 0x00, 0xcf, 0x63, 0x16, 0xfc, 0xe1, 0x89, 0xd2, 0x6b, 0x61, 0x62, 0x63,
    };
    struct group_entry v[2] = {{STR("abc"), 'M'}, {STR(""), 'L'}}, x;
    char out[sizeof golden];
    struct group g;
    struct err e;
    uint64_t seq;

    (void)state;
    assert_int_equal(group_bytes(2, 3), sizeof golden);
    group_write(out, 42, v, 2);
    if (memcmp(out, golden, sizeof golden) != 0) {
        for (size_t i = 0; i < sizeof out; i++)
            fprintf(stderr, "0x%02x, ", (unsigned char)out[i]);
        fprintf(stderr, "\n");
    }
    assert_memory_equal(out, golden, sizeof golden);
    assert_int_equal(group_open(&g, 42, str_n(out, sizeof out), &e), 0);
    assert_int_equal(group_next(&g, true, &seq, &x, &e), 0);
    assert_int_equal(seq, 42);
    assert_true(str_eq(x.bytes, STR("abc")) && x.tag == 'M');
    assert_int_equal(group_next(&g, true, &seq, &x, &e), 0);
    assert_int_equal(group_next(&g, true, &seq, &x, &e), 1);
    assert_int_equal(group_open(&g, 43, str_n(out, sizeof out), &e), ERR_CORRUPT); /* in another key's place */
    for (size_t i = 0; i < sizeof out * 8; i++) {
        bool told = false;
        int rc;

        out[i / 8] ^= (char)(1 << i % 8);
        rc = group_open(&g, 42, str_n(out, sizeof out), &e);
        told = rc < 0;
        while (rc == 0 && (rc = group_next(&g, true, &seq, &x, &e)) <= 0) {
            told = told || rc < 0;
            rc = 0;
        }
        assert_true(told);
        out[i / 8] ^= (char)(1 << i % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_rise_across_restarts),
        cmocka_unit_test(test_again_and_busy),
        cmocka_unit_test(test_extreme_sizes),
        cmocka_unit_test(test_failed_commit),
        cmocka_unit_test(test_spent_file_goes),
        cmocka_unit_test(test_golden_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
