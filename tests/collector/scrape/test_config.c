/* test_config.c - defaults, inheritance, complaints with their line, secrets, and the file a Prometheus user brings. */
#include "collector/scrape/config.c"

#include "collector/scrape/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int read_text(const char *text, const char *dir, struct scrape_configs **out, struct err *e)
{
    struct arena a = {0}; /* gone before the configuration is used: it must own its texts */
    struct conf *root = NULL;
    int code = conf_parse(&a, STR("p.yml"), str_of(text), &root, e);

    if (code == 0)
        code = scrape_configs_read(root, str_of(dir), out, e);
    if (code == 0 && root->kind == CONF_MAP)
        code = conf_finish(root, "the configuration", e);
    arena_release(&a);
    return code;
}

static struct scrape_configs *load(const char *text)
{
    struct scrape_configs *c = NULL;
    struct err e = {0};

    if (read_text(text, "", &c, &e) < 0)
        fail_msg("%s\n%s", e.text, text);
    return c;
}

static void refuse(const char *text, const char *words)
{
    struct scrape_configs *c = NULL;
    struct err e = {0};

    if (read_text(text, "", &c, &e) == 0)
        fail_msg("accepted: %s", text);
    if (!strstr(e.text, words) || !strstr(e.text, "p.yml:"))
        fail_msg("\"%s\" does not contain \"%s\"", e.text, words);
    scrape_configs_unref(c);
}

static void test_defaults(void **state)
{
    struct scrape_configs *c = load("scrape_configs: [{job_name: a}]");
    const struct scrape_config *j = &c->v[0];

    (void)state;
    assert_int_equal(c->evaluation_interval_ms, 60000);
    assert_int_equal(j->common.interval_ms, 60000);
    assert_int_equal(j->common.timeout_ms, 10000);
    assert_true(str_eqz(j->metrics_path, "/metrics") && str_eqz(j->scheme, "http"));
    assert_true(j->honor_timestamps && !j->honor_labels && j->compression && !j->track_timestamps_staleness);
    scrape_configs_unref(c);
    c = load("");
    assert_int_equal(c->n, 0);
    scrape_configs_unref(c);
}

static void test_inheritance(void **state)
{
    struct scrape_configs *c = load("global: {scrape_interval: 5s, sample_limit: 7, external_labels: {a: "
                                    "\"x$$y${TRIPOD_TEST_ENV}$TRIPOD_TEST_ENV-z\"}}\n"
                                    "scrape_configs:\n- {job_name: a}\n- {job_name: b, scrape_interval: 1m, "
                                    "sample_limit: 9, scrape_timeout: 7s}\n");

    (void)state;
    assert_int_equal(c->v[0].common.interval_ms, 5000);
    assert_int_equal(c->v[0].common.timeout_ms, 5000); /* capped at the interval */
    assert_int_equal(c->v[0].common.sample_limit, 7);
    assert_int_equal(c->v[1].common.interval_ms, 60000);
    assert_int_equal(c->v[1].common.timeout_ms, 7000);
    assert_int_equal(c->v[1].common.sample_limit, 9);
    assert_string_equal(labels_get(&c->external_labels, STR("a")).p, "x$yEE-z");
    scrape_configs_unref(c);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("scrape_configs:\n- {job_name: a}\n- {job_name: a}",
           "p.yml:3: found multiple scrape configs with job name \"a\"");
    refuse("scrape_configs:\n- {metrics_path: /x}", "job_name is empty");
    refuse("scrape_configs:\n- job_name: a\n  colour: red\n", "unknown key \"colour\"");
    refuse("scrape_configs:\n- job_name: a\n  scrape_interval: 1s\n  scrape_timeout: 2s\n",
           "timeout greater than scrape interval");
    refuse("global: {scrape_interval: 1s, scrape_timeout: 2s}", "global scrape timeout greater");
    refuse("scrape_configs: [{job_name: a, scheme: ftp}]", "http or https");
    refuse("scrape_configs: [{job_name: a, sample_limit: -1}]", "negative");
    refuse("scrape_configs: [{job_name: a, scrape_protocols: [PrometheusText0.0.5]}]", "unknown scrape protocol");
    refuse("scrape_configs: [{job_name: a, scrape_protocols: [PrometheusProto, PrometheusProto]}]", "duplicated");
    refuse("scrape_configs: [{job_name: a, static_configs: [{targets: ['http://x']}]}]", "not a valid hostname");
    refuse("scrape_configs: [{job_name: a, file_sd_configs: [{files: [x.txt]}]}]", "not valid for file discovery");
    refuse("scrape_configs: [{job_name: a, file_sd_configs: [{files: ['*/x.yml']}]}]", "not valid for file discovery");
    refuse("scrape_configs: [{job_name: a, dns_sd_configs: [{names: [x], type: A}]}]", "port is required");
    refuse("scrape_configs: [{job_name: a, http_sd_configs: [{url: 'file:///x'}]}]", "URL scheme");
    refuse("scrape_configs: [{job_name: a, docker_sd_configs: [{}]}]", "host missing");
    refuse("scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod}]}]",
           "kubernetes_sd_configs is not supported");
    refuse("scrape_configs: [{job_name: a, metric_name_validation_scheme: legacy, metric_name_escaping_scheme: "
           "allow-utf-8}]",
           "utf8 metric names");
    refuse("global: {scrape_interval: 5 s}", "scrape_interval");
}

static void test_everything_and_back(void **state)
{
    static const char text[] =
        "global:\n  scrape_interval: 15s\n  external_labels: {site: a}\n"
        "scrape_configs:\n"
        "- job_name: all\n"
        "  honor_labels: true\n  honor_timestamps: false\n  track_timestamps_staleness: true\n"
        "  scrape_protocols: [PrometheusProto, PrometheusText0.0.4]\n  fallback_scrape_protocol: PrometheusText0.0.4\n"
        "  params: {module: [http_2xx, b], a: [c]}\n  body_size_limit: 10MB\n  label_limit: 30\n"
        "  basic_auth: {username: u, password: hunter2}\n"
        "  tls_config: {insecure_skip_verify: true, server_name: n}\n"
        "  http_headers: {X-A: {values: [b], secrets: [hunter3]}}\n"
        "  relabel_configs: [{source_labels: [__address__], target_label: t, regex: '(.*):\\d+', action: replace}]\n"
        "  metric_relabel_configs: [{regex: 'go_.*', source_labels: [__name__], action: drop}]\n"
        "  static_configs: [{targets: ['a:1', 'b:2'], labels: {x: y}}, {targets: ['c:3']}]\n"
        "  file_sd_configs: [{files: ['f/*.json'], refresh_interval: 1m}]\n"
        "  http_sd_configs: [{url: 'http://u', authorization: {credentials: hunter4}}]\n"
        "  dns_sd_configs: [{names: [n], type: A, port: 9}]\n"
        "  docker_sd_configs: [{host: 'unix:///var/run/docker.sock', filters: [{name: n, values: [v, w]}]}]\n";
    struct scrape_configs *c = load(text), *again;
    struct buf one = {0}, two = {0};

    (void)state;
    assert_int_equal(c->v[0].nsd, 6);
    assert_int_equal(c->v[0].common.body_size_limit, 10 << 20);
    scrape_configs_print(c, &one);
    if (strstr(buf_z(&one), "hunter"))
        fail_msg("a secret came out:\n%s", one.p);
    assert_non_null(strstr(one.p, "<secret>"));
    again = load(one.p); /* what is printed can be read */
    scrape_configs_print(again, &two);
    assert_string_equal(buf_z(&two), one.p);
    scrape_configs_unref(c);
    scrape_configs_unref(again);
    buf_release(&one);
    buf_release(&two);
}

static void test_changed_secret_is_noticed(void **state)
{
    struct scrape_configs *a = load("scrape_configs: [{job_name: a, basic_auth: {username: u, password: one}}]");
    struct scrape_configs *b = load("scrape_configs: [{job_name: a, basic_auth: {username: u, password: two}}]");

    (void)state;
    assert_false(str_eq(a->v[0].text, b->v[0].text));
    assert_true(str_eq(a->v[0].series_text, b->v[0].series_text));
    assert_true(str_find(a->v[0].text, STR("one")) < 0);
    scrape_configs_unref(a);
    scrape_configs_unref(b);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[300];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_scrape_config_files(void **state)
{
    char dir[] = "/tmp/test_config.XXXXXX", command[64];
    struct scrape_configs *c = NULL;
    struct err e = {0};

    (void)state;
    assert_non_null(mkdtemp(dir));
    write_file(dir, "a.yml", "scrape_configs:\n- {job_name: a, file_sd_configs: [{files: [t.json]}]}\n");
    write_file(dir, "b.yml", "scrape_configs:\n- {job_name: b}\n");
    if (read_text("scrape_configs: [{job_name: m}]\nscrape_config_files: ['*.yml']\n", dir, &c, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c->n, 3);
    assert_true(str_eqz(c->v[1].job, "a") && str_eqz(c->v[2].job, "b"));
    assert_true(str_starts(c->v[1].sd[0].names[0], str_of(dir)));
    scrape_configs_unref(c);
    write_file(dir, "c.yml", "scrape_configs:\n- {job_name: c}\n- {job_name: b}\n");
    assert_int_equal(read_text("scrape_config_files: ['*.yml']\n", dir, &c, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "c.yml:3: found multiple"));
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static void test_users_file(void **state)
{
    const char *shared = getenv("TRIPOD_SHARED");
    struct arena a = {0};
    char path[400];
    struct conf *root;
    struct scrape_configs *c;
    struct err e = {0};

    (void)state;
    snprintf(path, sizeof(path), "%s/seed/config/prometheus.yml", shared ? shared : "../shared");
    if (access(path, R_OK) != 0) {
        print_message("%s is not there: skipped\n", path);
        skip();
    }
    if (conf_load(&a, path, &root, &e) < 0 || scrape_configs_read(root, STR(""), &c, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c->n, 7);
    assert_int_equal(c->v[0].common.interval_ms, 5000);
    scrape_configs_unref(c);
    arena_release(&a);
}

static void test_accept(void **state)
{
    struct scrape_configs *c =
        load("scrape_configs: [{job_name: a}, {job_name: b, scrape_native_histograms: true}, "
             "{job_name: c, scrape_protocols: [PrometheusText1.0.0], metric_name_escaping_scheme: dots}]");
    struct buf b = {0};

    (void)state;
    accept_header(&c->v[0], c->v[0].common.native_histograms, &b);
    assert_string_equal(buf_z(&b),
                        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/"
                        "openmetrics-text;version=0.0.1;q=0.5,"
                        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
    buf_reset(&b);
    accept_header(&c->v[1], c->v[1].common.native_histograms, &b);
    assert_non_null(strstr(buf_z(&b), "MetricFamily;encoding=delimited;q=0.6,application/"
                                      "openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"));
    assert_non_null(strstr(b.p, "*/*;q=0.1"));
    buf_reset(&b);
    accept_header(&c->v[2], c->v[2].common.native_histograms, &b);
    assert_string_equal(buf_z(&b), "text/plain;version=1.0.0;escaping=dots;q=0.6,*/*;q=0.5");
    buf_release(&b);
    scrape_configs_unref(c);
}

static void plan(const struct scrape_config *c, const char *address, struct arena *a, struct target_plan *out, int want)
{
    struct label own = {STR("__address__"), str_of(address)}, group = {STR("g"), STR("1")};
    struct target_group g = {.labels = {&group, 1}};
    struct labels ls = {&own, 1};
    struct err e = {0};
    int code = target_plan(c, &g, &ls, a, out, &e);

    if (code != want)
        fail_msg("%s: %d, %s", address, code, e.text);
}

static void test_target_pipeline(void **state)
{
    struct scrape_configs *c =
        load("scrape_configs:\n- {job_name: a, params: {m: [x, y]}}\n"
             "- job_name: b\n  relabel_configs:\n  - {source_labels: [__address__], target_label: __param_target}\n"
             "  - {source_labels: [__param_target], target_label: instance}\n  - {target_label: __address__, "
             "replacement: 'prober:1'}\n"
             "  - {target_label: __scrape_interval__, replacement: 20s}\n  - {target_label: __scheme__, replacement: "
             "https}\n"
             "- {job_name: c, relabel_configs: [{target_label: __address__, replacement: ''}]}\n"
             "- {job_name: d, relabel_configs: [{target_label: __scrape_timeout__, replacement: 2h}]}\n");
    struct arena a = {0};
    struct target_plan p;
    struct buf b = {0};

    (void)state;
    plan(&c->v[0], "h:9", &a, &p, TARGET_OK);
    assert_true(str_eqz(p.url, "http://h:9/metrics?m=x&m=y"));
    labels_print(&b, &p.labels);
    assert_string_equal(buf_z(&b), "{g=\"1\", instance=\"h:9\", job=\"a\"}");
    assert_int_equal(p.interval_ms, 60000);
    plan(&c->v[1], "https://x/y", &a, &p, TARGET_OK);
    assert_true(str_eqz(p.url, "https://prober:1/metrics?target=https%3A%2F%2Fx%2Fy"));
    assert_true(str_eqz(labels_get(&p.labels, STR("instance")), "https://x/y"));
    assert_int_equal(p.interval_ms, 20000);
    plan(&c->v[2], "h:9", &a, &p, TARGET_DROPPED);
    plan(&c->v[3], "h:9", &a, &p, ERR_INVALID);
    plan(&c->v[0], "h/9", &a, &p, ERR_INVALID);
    buf_release(&b);
    arena_release(&a);
    scrape_configs_unref(c);
}

static void test_ticks(void **state)
{
    struct target t = {.interval_ms = 1000, .offset_ms = 300};

    (void)state;
    assert_int_equal(target_next_ms(&t, 5000), 5300);
    assert_int_equal(target_next_ms(&t, 5300), 5300);
    assert_int_equal(target_next_ms(&t, 5301), 6300);
    assert_int_equal(target_stamp_ms(1000, 5300, 5301999999), 5300); /* inside 2 ms */
    assert_int_equal(target_stamp_ms(1000, 5300, 5302100000), 5302);
    assert_int_equal(target_stamp_ms(100, 5300, 5301100000), 5301); /* 1 % of the interval is less */
    assert_int_equal(target_stamp_ms(1000, 5300, 5299000000), 5300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_everything_and_back),
        cmocka_unit_test(test_changed_secret_is_noticed),
        cmocka_unit_test(test_scrape_config_files),
        cmocka_unit_test(test_users_file),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_target_pipeline),
        cmocka_unit_test(test_ticks),
    };

    setenv("TRIPOD_TEST_ENV", "E", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
