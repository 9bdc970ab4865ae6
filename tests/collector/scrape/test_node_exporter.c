/*
 * test_node_exporter.c - the loop from end to end: Debian's node_exporter, our client, our store. Each series it
 * exposes arrives under its labels; when it dies, up is 0 and everything else is stale.
 */
#include "collector/scrape/expo.h"
#include "collector/scrape/scraper.h"
#include "net/client.h"
#include "store/store.h"
#include "tsdb/tsdb.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char exporter[] = "/usr/bin/prometheus-node-exporter";

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static pid_t start_exporter(uint16_t port)
{
    char listen_at[64];
    pid_t pid;

    snprintf(listen_at, sizeof(listen_at), "--web.listen-address=127.0.0.1:%u", port);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(126);
        execl(exporter, exporter, listen_at, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* The page, as soon as it is there. */
static struct str fetch(struct http_client *client, uint16_t port, struct arena *a)
{
    struct http_call call = {
        .method = "GET", .timeout_ms = 5000, .url = arena_printf(a, "http://127.0.0.1:%u/metrics", port)};
    struct http_answer answer;

    for (int i = 0; i < 100; i++) {
        if (http_call_wait(client, &call, a, &answer) == 0 && answer.code == 0 && answer.status == 200)
            return answer.body;
        usleep(100000);
    }
    fail_msg("node_exporter does not answer");
    return STR("");
}

/* The newest value of each series of the job: how many, how many stale, and the value of up. */
struct seen {
    uint32_t n, stale;
    double up;
    struct map names; /* printed labels */
};

static void look(struct tsdb *db, struct arena *a, struct seen *out)
{
    struct matcher m;
    struct tsdb_select_opts o = {.matchers = &m,
                                 .nmatchers = 1,
                                 .mint = 0,
                                 .maxt = clock_wall_ms() + 60000,
                                 .want = TSDB_NEWEST,
                                 .parts_hint = 1};
    struct tsdb_select *s;
    struct tsdb_samples row;
    struct err e = {0};

    memset(out, 0, sizeof(*out));
    out->up = -1;
    assert_int_equal(matcher_init(&m, MATCH_EQ, STR("job"), STR("node"), &e), 0);
    if (tsdb_select_open(db, &o, &s, &e) < 0)
        fail_msg("%s", e.text);
    for (uint32_t part = 0; part < tsdb_select_parts(s); part++) {
        struct tsdb_cursor *c;

        if (tsdb_cursor_open(s, part, &c, &e) < 0)
            fail_msg("%s", e.text);
        while (tsdb_cursor_next(c, &row, &e) == 0) {
            struct buf b = {0};
            struct labels ls;

            assert_int_equal(tsdb_cursor_labels(c, a, &ls, &e), 0);
            labels_print(&b, &ls);
            *map_put(&out->names, arena_dup(a, buf_str(&b)), NULL) = out;
            buf_release(&b);
            out->n++;
            out->stale += is_stale(row.v[row.n - 1]);
            if (str_eqz(labels_get(&ls, STR(LABEL_NAME)), "up"))
                out->up = row.v[row.n - 1];
        }
        tsdb_cursor_close(c);
    }
    tsdb_select_close(s);
    matcher_release(&m);
}

/* Every series of the page is there; those the exporter shows only now and then (its own handler's) may come later. */
static uint32_t missing(struct str page, const struct seen *seen, struct arena *a)
{
    struct expo *x = expo_new(a, EXPO_TEXT, page, NULL);
    struct expo_entry en;
    uint32_t lost = 0;
    struct err e = {0};

    while (expo_next(x, &en, &e) == 0 && en.kind != EXPO_END) {
        struct labels ls, full;
        struct buf b = {0};

        if (en.kind != EXPO_SERIES)
            continue;
        assert_int_equal(expo_labels(x, &en, a, &ls, &e), 0);
        full = (struct labels){arena_array(a, struct label, ls.n + 2), ls.n};
        memcpy(full.v, ls.v, sizeof(*ls.v) * ls.n);
        full.v[full.n++] = (struct label){STR("job"), STR("node")};
        full.v[full.n++] = (struct label){STR("instance"), STR("here")};
        assert_int_equal(labels_normalise(&full, &e), 0);
        labels_print(&b, &full);
        if (!map_get(&seen->names, buf_str(&b))) {
            print_message("missing: %s\n", buf_z(&b));
            lost++;
        }
        buf_release(&b);
    }
    assert_int_equal(e.code, 0);
    return lost;
}

static void test_end_to_end(void **state)
{
    char dir[] = "/tmp/test_node.XXXXXX", command[64];
    struct http_client *client;
    struct store_opts so;
    struct tsdb_opts to;
    struct store *store;
    struct tsdb *db;
    struct scraper *s;
    struct scrape_configs *c;
    struct conf *root;
    struct arena a = {0};
    struct seen seen;
    struct str page;
    struct err e = {0};
    uint16_t port = free_port();
    uint32_t alive = 0;
    pid_t pid;

    (void)state;
    if (access(exporter, X_OK) != 0) {
        print_message("%s is not installed: skipped\n", exporter);
        skip();
    }
    pid = start_exporter(port);
    client = http_client_new();
    page = fetch(client, port, &a);
    assert_non_null(mkdtemp(dir));
    store_opts_default(&so);
    so.dir = dir;
    tsdb_opts_default(&to);
    if (store_open(&so, &store, &e) < 0 || tsdb_new(store, &to, &db, &e) < 0 || store_recover(store, &e) < 0 ||
        store_start(store, &e) < 0)
        fail_msg("%s", e.text);
    s = scraper_new(db, client);
    if (conf_parse(&a, STR("t.yml"),
                   arena_printf(&a,
                                "scrape_configs: [{job_name: node, scrape_interval: 500ms, static_configs: [{targets: "
                                "['127.0.0.1:%u'], labels: {instance: here}}]}]",
                                port),
                   &root, &e) < 0 ||
        scrape_configs_read(root, STR(""), &c, &e) < 0 || scraper_apply(s, c, &e) < 0)
        fail_msg("%s", e.text);
    scrape_configs_unref(c);

    for (int i = 0; i < 100; i++) {
        usleep(100000);
        look(db, &a, &seen);
        if (seen.up == 1 && i > 15)
            break;
        map_release(&seen.names);
    }
    assert_true(seen.up == 1);
    assert_int_equal(missing(page, &seen, &a), 0);
    alive = seen.n - seen.stale;
    print_message("%u series, %u of them stale\n", seen.n, seen.stale);
    assert_true(alive > 100);
    map_release(&seen.names);

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < 100; i++) {
        usleep(100000);
        look(db, &a, &seen);
        map_release(&seen.names);
        if (seen.up == 0 && seen.stale == seen.n - 5)
            break;
    }
    assert_true(seen.up == 0);
    assert_int_equal(seen.stale, seen.n - 5); /* all but up and its companions */

    scraper_free(s);
    http_client_free(client);
    store_close(store);
    tsdb_free(db);
    arena_release(&a);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_end_to_end)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
