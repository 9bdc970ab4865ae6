/* tls_config against a real TLS server (openssl s_server): inline and file CAs, client certificates, server_name,
 * versions. */
#include "tests/net/http_test.h"

#include "net/client.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

static char dir[] = "/tmp/test_tls.XXXXXX";
static struct http_client *client;
static struct arena arena;
static pid_t server;
static unsigned port;

static bool run(const char *fmt, ...)
{
    char cmd[1000];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(cmd, sizeof cmd, fmt, ap);
    va_end(ap);
    return system(cmd) == 0;
}

/* A port that was free a moment ago. */
static unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    getsockname(fd, (struct sockaddr *)&a, &n);
    close(fd);
    return ntohs(a.sin_port);
}

static int setup(void **state)
{
    char cert[100], key[100], accept[20];

    (void)state;
    client = http_client_new();
    if (!mkdtemp(dir) || !run("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=inside.test -addext "
                              "subjectAltName=DNS:inside.test "
                              "-keyout %s/key.pem -out %s/cert.pem >/dev/null 2>&1",
                              dir, dir))
        return 0; /* the tests skip */
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    port = free_port();
    snprintf(accept, sizeof accept, "%u", port);
    server = fork();
    if (server == 0) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execlp("openssl", "openssl", "s_server", "-accept", accept, "-cert", cert, "-key", key, "-www", "-tls1_2",
               "-verify", "1", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 300; i++) {
        int fd = tcp_connect((uint16_t)port);

        if (fd >= 0) {
            close(fd);
            break;
        }
        usleep(10000);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    http_client_free(client);
    arena_release(&arena);
    run("rm -rf %s", dir);
    return 0;
}

static int get(const struct http_client_opts *o, struct http_answer *a)
{
    struct http_call c = {.method = "GET", .timeout_ms = 10000, .opts = o};
    char url[100];

    snprintf(url, sizeof url, "https://127.0.0.1:%u/", port);
    c.url = str_of(url);
    return http_call_wait(client, &c, &arena, a);
}

static struct str slurp(const char *name)
{
    char path[200], *p = arena_alloc(&arena, 10000);
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(p, 1, 10000, f);
    fclose(f);
    return str_n(p, n);
}

static void test_tls(void **state)
{
    struct http_client_opts o = {0};
    struct http_answer a;

    (void)state;
    if (server <= 0)
        skip();
    assert_int_equal(get(&o, &a), ERR_IO); /* nobody vouches for it */
    o.tls.insecure_skip_verify = true;
    assert_int_equal(get(&o, &a), 0);
    assert_int_equal(a.status, 200);
    o = (struct http_client_opts){.tls.ca = slurp("cert.pem")};
    assert_int_equal(get(&o, &a), ERR_IO); /* a good chain, but for another name */
    o.tls.server_name = STR("inside.test");
    if (get(&o, &a) != 0)
        fail_msg("%s", a.err.text);
    assert_int_equal(a.status, 200);
    o.tls.ca = STR_NULL;
    o.tls.ca_file = arena_printf(&arena, "%s/cert.pem", dir);
    assert_int_equal(get(&o, &a), 0);
    o.tls.min_version = STR("TLS13");
    assert_int_equal(get(&o, &a), ERR_IO);
    o.tls.min_version = STR("TLS12");
    o.tls.max_version = STR("TLS12");
    o.tls.cert = slurp("cert.pem");
    o.tls.key = slurp("key.pem");
    assert_int_equal(get(&o, &a), 0);
    o.tls.key = STR("no key at all");
    assert_int_equal(get(&o, &a), ERR_IO);
    o.tls.cert = o.tls.key = STR_NULL;
    o.tls.ca_file = STR("/nonexistent.pem");
    assert_int_equal(get(&o, &a), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tls)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
