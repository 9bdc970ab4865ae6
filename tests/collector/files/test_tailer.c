/* test_tailer.c - files are read line by line, once and in order, whatever happens to them; a store in memory takes the rows. */
#include "tests/collector/files/follow.h"

#define PLAIN                                                                                                                              \
    "logs:\n  sync_period: 200ms\n  scrape_configs:\n  - job_name: j\n    static_configs:\n    - labels: {app: a, __path__: DIR/*.log}\n"

static void reads_what_is_there_and_what_comes(void **state)
{
    struct follow f;

    (void)state;
    follow_open(&f);
    append(&f, "a.log", "one\ntwo\r\nunfin");
    follow_apply(&f, PLAIN);
    expect_rows(&f, 2);
    assert_string_equal(line_at(&f, 0), "one");
    assert_string_equal(line_at(&f, 1), "two");
    assert_non_null(strstr(f.store->rows[0].labels, "app=\"a\", filename=\"/tmp/"));
    assert_non_null(strstr(f.store->rows[0].labels, "service_name=\"a\""));
    append(&f, "a.log", "ished\nfour\n");
    append(&f, "b.log", "other\n");
    expect_rows(&f, 5);
    append(&f, "c.txt", "not followed\n");
    expect_rows(&f, 5);
    follow_close(&f);
}

static void goes_on_after_a_restart(void **state)
{
    struct follow f;

    (void)state;
    follow_open(&f);
    append(&f, "a.log", "one\ntwo\n");
    follow_apply(&f, PLAIN);
    expect_rows(&f, 2);
    follow_stop(&f);
    append(&f, "a.log", "three\n");
    follow_apply(&f, PLAIN);
    expect_rows(&f, 3);
    assert_string_equal(line_at(&f, 2), "three");
    follow_close(&f);
}

static void rotation_by_rename(void **state)
{
    struct follow f;

    (void)state;
    follow_open(&f);
    append(&f, "a.log", "1\n");
    follow_apply(&f, PLAIN);
    expect_rows(&f, 1);
    append(&f, "a.log", "2\n");
    assert_int_equal(rename(in_dir(&f, "a.log"), in_dir(&f, "a.log.1")), 0);
    append(&f, "a.log", "3\n");
    expect_rows(&f, 3);
    append(&f, "a.log.1", "late\n"); /* a writer that has not noticed */
    expect_rows(&f, 4);
    follow_close(&f);
}

static void rotations_while_we_are_down(void **state)
{
    struct follow f;

    (void)state;
    follow_open(&f);
    append(&f, "a.log.4", "before our time\n");
    usleep(20000);
    append(&f, "a.log", "1\n2\n");
    follow_apply(&f, PLAIN);
    expect_rows(&f, 2);
    follow_stop(&f);
    append(&f, "a.log", "3\n");
    assert_int_equal(rename(in_dir(&f, "a.log"), in_dir(&f, "a.log.3")), 0);
    usleep(20000);
    append(&f, "a.log.2", "4\n");
    usleep(20000);
    append(&f, "a.log.1", "5\n");
    usleep(20000);
    append(&f, "a.log", "6\n");
    append(&f, "a.log.bak", "no sibling\n");
    follow_apply(&f, PLAIN);
    expect_rows(&f, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(line_at(&f, (size_t)i)[0], '1' + i);
    follow_stop(&f);
    follow_apply(&f, PLAIN);
    expect_rows(&f, 6);
    follow_close(&f);
}

static void copytruncate(struct follow *f, const char *from, const char *to)
{
    char cmd[600];

    snprintf(cmd, sizeof cmd, "cp %s %s && truncate -s 0 %s", in_dir(f, from), in_dir(f, to), in_dir(f, from));
    assert_int_equal(system(cmd), 0);
}

static void rotation_by_copytruncate(void **state)
{
    struct follow f;

    (void)state;
    follow_open(&f);
    append(&f, "a.log", "a long first line that is longer than the next\n");
    follow_apply(&f, PLAIN);
    expect_rows(&f, 1);
    copytruncate(&f, "a.log", "a.log.1");
    append(&f, "a.log", "2\n");
    expect_rows(&f, 2);
    follow_stop(&f);
    append(&f, "a.log", "3\n"); /* only the copy has it when we come back */
    copytruncate(&f, "a.log", "a.log.1");
    append(&f, "a.log", "4 is longer than what was there before, so size alone tells nothing\n");
    follow_apply(&f, PLAIN);
    expect_rows(&f, 4);
    assert_string_equal(line_at(&f, 2), "3");
    append(&f, "a.log", "5\n");
    expect_rows(&f, 5);
    follow_close(&f);
}

static void rotated_names_in_the_glob(void **state)
{
    const char *config = "logs:\n  sync_period: 200ms\n  scrape_configs:\n  - job_name: j\n    static_configs:\n    - labels: {__path__: DIR/a.log*}\n";
    struct follow f;

    (void)state;
    follow_open(&f);
    append(&f, "a.log", "1\n");
    follow_apply(&f, config);
    expect_rows(&f, 1);
    for (int i = 2; i < 5; i++) {
        char text[16];

        (void)rename(in_dir(&f, "a.log.2"), in_dir(&f, "a.log.3"));
        (void)rename(in_dir(&f, "a.log.1"), in_dir(&f, "a.log.2"));
        assert_int_equal(rename(in_dir(&f, "a.log"), in_dir(&f, "a.log.1")), 0);
        snprintf(text, sizeof text, "%d\n", i);
        append(&f, "a.log", text);
        expect_rows(&f, (size_t)i);
    }
    follow_stop(&f);
    follow_apply(&f, config);
    usleep(600000);
    expect_rows(&f, 4);
    follow_close(&f);
}

static void long_and_odd_lines(void **state)
{
    struct follow f;
    size_t n = 3 << 20;
    char *big = x_alloc(n + 1);

    (void)state;
    memset(big, 'x', n);
    big[n] = 0;
    follow_open(&f);
    append(&f, "a.log", "\xef\xbb\xbf" "first\n\n");
    append(&f, "a.log", big);
    append(&f, "a.log", "\nafter\n");
    append_bytes(&f, "u.log", STR("\xff\xfe" "h\0\xe4\0\r\0\n\0" "2\0\n\0"));
    append_bytes(&f, "bin.log", STR("\x7f" "ELF\0\0\0\1\n"));
    follow_apply(&f, PLAIN);
    expect_rows(&f, 6);
    for (size_t i = 0; i < 6; i++) {
        size_t len = strlen(line_at(&f, i));

        if (len > 1000) {
            assert_int_equal(len, 256 << 10);
            assert_non_null(strstr(f.store->rows[i].meta, "log_truncated=\"true\""));
        } else if (strstr(f.store->rows[i].labels, "u.log")) {
            assert_true(!strcmp(line_at(&f, i), "h\xc3\xa4") || !strcmp(line_at(&f, i), "2"));
        }
    }
    follow_close(&f);
    free(big);
}

static void the_store_is_full_for_a_while(void **state)
{
    struct follow f;

    (void)state;
    follow_open(&f);
    append(&f, "a.log", "1\n");
    follow_apply(&f, PLAIN);
    expect_rows(&f, 1);
    f.store->fail = ERR_FULL;
    append(&f, "a.log", "2\n");
    usleep(300000);
    append(&f, "a.log", "3\n");
    pthread_mutex_lock(&f.store->mu);
    f.store->fail = ERR_BUSY;
    pthread_mutex_unlock(&f.store->mu);
    usleep(500000);
    pthread_mutex_lock(&f.store->mu);
    f.store->fail = 0;
    pthread_mutex_unlock(&f.store->mu);
    expect_rows(&f, 3);
    assert_string_equal(line_at(&f, 2), "3");
    f.store->fail = ERR_FULL; /* and a reload and a stop meanwhile */
    append(&f, "a.log", "4\n");
    usleep(100000);
    follow_apply(&f, "logs:\n  scrape_configs:\n  - job_name: j\n    static_configs:\n    - labels: {app: b, __path__: DIR/*.log}\n");
    follow_stop(&f);
    f.store->fail = 0;
    follow_apply(&f, PLAIN);
    expect_rows(&f, 4);
    follow_close(&f);
}

static void unfinished_records_are_read_again(void **state)
{
    const char *config = "logs:\n  scrape_configs:\n  - job_name: j\n    static_configs:\n    - labels: {__path__: DIR/*.log}\n"
                         "    pipeline_stages:\n    - multiline: {firstline: '^\\S', max_wait_time: 1s}\n";
    struct follow f;

    (void)state;
    follow_open(&f);
    append(&f, "a.log", "one\n  more\ntwo\n");
    follow_apply(&f, config);
    expect_rows(&f, 1);
    assert_string_equal(line_at(&f, 0), "one\n  more");
    follow_stop(&f); /* `two` may have more lines */
    append(&f, "a.log", "  of two\nthree\n");
    follow_apply(&f, config);
    expect_rows(&f, 2);
    assert_string_equal(line_at(&f, 1), "two\n  of two");
    wait_rows(&f, 3); /* the last one's time is over */
    expect_rows(&f, 3);
    follow_close(&f);
}

static void many_files(void **state)
{
    struct follow f;
    char name[32];

    (void)state;
    follow_open(&f);
    for (int i = 0; i < 1500; i++) {
        snprintf(name, sizeof name, "%d.log", i);
        append(&f, name, "hello\n");
    }
    follow_apply(&f, PLAIN);
    expect_rows(&f, 1500);
    for (int i = 0; i < 1500; i += 7) {
        snprintf(name, sizeof name, "%d.log", i);
        append(&f, name, "again\n");
    }
    expect_rows(&f, 1500 + 215);
    follow_close(&f);
}

static void takes_over_promtails_positions(void **state)
{
    struct follow f;
    char text[256];

    (void)state;
    follow_open(&f);
    append(&f, "a.log", "1\n2\n3\n");
    snprintf(text, sizeof text, "positions:\n  %s/a.log: \"4\"\n", f.dir);
    append(&f, "positions.yml", text);
    follow_apply(&f, "logs:\n  positions: {filename: DIR/positions.yml}\n  clients: [{url: 'http://x/', external_labels: {host: h}}]\n  scrape_configs:\n"
                     "  - job_name: j\n    static_configs:\n    - labels: {__path__: DIR/*.log}\n");
    expect_rows(&f, 1);
    assert_string_equal(line_at(&f, 0), "3");
    assert_non_null(strstr(f.store->rows[0].labels, "host=\"h\""));
    follow_close(&f);
}

static void compressed_files_are_read_once(void **state)
{
    const char *config = "logs:\n  sync_period: 200ms\n  scrape_configs:\n  - job_name: j\n    decompression: {enabled: true, format: gz}\n    static_configs:\n"
                         "    - labels: {__path__: 'DIR/*.{gz,zst}'}\n";
    struct follow f;
    char cmd[400];

    (void)state;
    follow_open(&f);
    snprintf(cmd, sizeof cmd, "seq 1 20000 | gzip > %s/a.log.gz; seq 1 20000 | zstd -q -o %s/b.log.zst", f.dir, f.dir);
    if (system(cmd) != 0)
        skip();
    follow_apply(&f, config);
    expect_rows(&f, 40000);
    follow_stop(&f);
    follow_apply(&f, config);
    usleep(500000);
    expect_rows(&f, 40000);
    follow_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_there_and_what_comes),
        cmocka_unit_test(goes_on_after_a_restart),
        cmocka_unit_test(rotation_by_rename),
        cmocka_unit_test(rotations_while_we_are_down),
        cmocka_unit_test(rotation_by_copytruncate),
        cmocka_unit_test(rotated_names_in_the_glob),
        cmocka_unit_test(long_and_odd_lines),
        cmocka_unit_test(the_store_is_full_for_a_while),
        cmocka_unit_test(unfinished_records_are_read_again),
        cmocka_unit_test(many_files),
        cmocka_unit_test(takes_over_promtails_positions),
        cmocka_unit_test(compressed_files_are_read_once),
    };

    log_setup(getenv("TEST_LOG") ? LOG_DEBUG : LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
