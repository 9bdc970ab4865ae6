/* test_journald.c - the export format, and journalctl as a child: a script in its place, which also tells how it was called. */
#include "tests/collector/files/follow.h"

#include "collector/files/journald.h"

static void reads_records(void **state)
{
    static const char text[] = "__CURSOR=c1\nMESSAGE=one\nPRIORITY=3\n\n\n__CURSOR=c2\nMESSAGE\n\x05\0\0\0\0\0\0\0a\nb\n\0\nX=\n\n__CURSOR=c3\n";
    struct export_reader r = {0};
    struct str in = {text, sizeof text - 1};

    (void)state;
    assert_true(export_take(&r, &in));
    assert_int_equal(r.nfields, 3);
    assert_true(str_eqz(export_get(&r, "MESSAGE"), "one"));
    assert_true(export_take(&r, &in));
    assert_int_equal(export_get(&r, "MESSAGE").n, 5);
    assert_int_equal(export_get(&r, "X").n, 0);
    assert_non_null(export_get(&r, "X").p);
    assert_false(export_take(&r, &in));
    assert_int_equal(in.n, 0);
    export_release(&r);
}

static void bounds_what_it_keeps(void **state)
{
    struct export_reader r = {0};
    struct buf b = {0};
    struct str in;

    (void)state;
    for (int i = 0; i < 3000; i++)
        buf_printf(&b, "F%d=v\n", i);
    buf_putz(&b, "BIG\n");
    buf_put_u64(&b, 5 << 20);
    memset(buf_reserve(&b, 5 << 20), 'x', 5 << 20);
    b.n += 5 << 20;
    buf_putz(&b, "\n\nMESSAGE=after\n\n");
    in = buf_str(&b);
    assert_true(export_take(&r, &in));
    assert_true(r.cut && r.nfields < JOURNAL_FIELDS_MAX && r.text.cap < (4 << 20));
    assert_true(export_take(&r, &in));
    assert_true(str_eqz(export_get(&r, "MESSAGE"), "after"));
    export_release(&r);
    buf_release(&b);
}

static void follows_the_journal(void **state)
{
    static const char script[] = "#!/bin/sh\n"
                                 "echo \"$@\" >>\"$(dirname \"$0\")/calls\"\n"
                                 "case \"$*\" in *after-cursor=c2*) first=3;; *) first=1;; esac\n"
                                 "for i in $(seq $first $((first + 1))); do\n"
                                 "  printf '__CURSOR=c%d\\n__REALTIME_TIMESTAMP=170000000000000%d\\nMESSAGE=line %d\\n_SYSTEMD_UNIT=ssh.service\\nPRIORITY=4\\n\\n' $i $i $i\n"
                                 "done\n"
                                 "exec sleep 1000\n";
    const char *config = "logs:\n  scrape_configs:\n  - job_name: j\n    journal: {labels: {job: journal}, matches: _TRANSPORT=kernel}\n"
                         "    relabel_configs:\n    - {source_labels: [__journal__systemd_unit], target_label: unit}\n"
                         "    - {source_labels: [__journal_priority_keyword], target_label: level}\n";
    struct follow f;
    char path[300], old[4096], calls[2000] = "";
    FILE *file;

    (void)state;
    follow_open(&f);
    append(&f, "journalctl", script);
    chmod(in_dir(&f, "journalctl"), 0755);
    snprintf(old, sizeof old, "%s", getenv("PATH"));
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", f.dir);
    setenv("PATH", path, 1);
    follow_apply(&f, config);
    expect_rows(&f, 2);
    assert_string_equal(f.store->rows[0].labels, "{job=\"journal\", level=\"warning\", service_name=\"journal\", unit=\"ssh.service\"}");
    assert_string_equal(line_at(&f, 1), "line 2");
    assert_int_equal(f.store->rows[1].t_ns, INT64_C(1700000000000002000));
    follow_stop(&f);
    follow_apply(&f, config);
    expect_rows(&f, 4);
    assert_string_equal(line_at(&f, 2), "line 3");
    file = fopen(in_dir(&f, "calls"), "r");
    assert_non_null(file);
    calls[fread(calls, 1, sizeof calls - 1, file)] = 0;
    fclose(file);
    assert_non_null(strstr(calls, "--output=export --follow --no-tail --no-pager --quiet --since=@"));
    assert_non_null(strstr(calls, "--after-cursor=c2 _TRANSPORT=kernel"));
    setenv("PATH", old, 1);
    follow_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_records),
        cmocka_unit_test(bounds_what_it_keeps),
        cmocka_unit_test(follows_the_journal),
    };

    log_setup(LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
