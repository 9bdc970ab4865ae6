/* test_discovery.c - each kind of discovery against what it talks to: files, an HTTP server, a DNS server, a Docker
 * Engine. */
#include "collector/scrape/discovery.c"
#include "collector/scrape/dns.c"
#include "collector/scrape/sd_dns.c"

#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static struct http_client *client;
static struct http_server *server;
static uint16_t http_port;

static struct {
    pthread_mutex_t mu;
    int status;
    const char *type, *body;
    char query[400];
} page = {.mu = PTHREAD_MUTEX_INITIALIZER};

static const char containers[] =
    "[{\"Id\":\"c1\",\"Names\":[\"/"
    "web\"],\"Image\":\"nginx\",\"ImageID\":\"sha\",\"Labels\":{\"com.x-y\":\"v\"},\"HostConfig\":{\"NetworkMode\":"
    "\"bridge\"},"
    "\"NetworkSettings\":{\"Networks\":{\"zeta\":{\"NetworkID\":\"n2\",\"IPAddress\":\"10.0.0.9\"},\"alpha\":{"
    "\"NetworkID\":\"n1\",\"IPAddress\":\"10.0.0.2\"}}},"
    "\"Ports\":[{\"IP\":\"0.0.0.0\",\"PrivatePort\":80,\"PublicPort\":8080,\"Type\":\"tcp\"},{\"PrivatePort\":53,"
    "\"Type\":\"udp\"},{\"PrivatePort\":81,\"Type\":\"tcp\"}]},"
    "{\"Id\":\"c2\",\"Names\":[\"/"
    "side\"],\"HostConfig\":{\"NetworkMode\":\"container:c1\"},\"NetworkSettings\":{\"Networks\":{}}},"
    "{\"Id\":\"c3\",\"Names\":[\"/"
    "host\"],\"HostConfig\":{\"NetworkMode\":\"host\"},\"NetworkSettings\":{\"Networks\":{\"host\":{\"NetworkID\":"
    "\"n3\",\"IPAddress\":\"\"}}}},"
    "{\"Id\":\"c4\",\"Names\":[\"/ring\"],\"HostConfig\":{\"NetworkMode\":\"container:c4\"}}, 7]";
static const char networks[] = "[{\"Id\":\"n1\",\"Name\":\"alpha\",\"Scope\":\"local\",\"Internal\":true,\"Ingress\":"
                               "false,\"Labels\":{\"a.b\":\"c\"}}]";

static void serve(struct http_request *r, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&page.mu);
    snprintf(page.query, sizeof(page.query), "%.*s", STR_ARG(r->raw_query));
    if (str_eqz(r->path, "/containers/json"))
        http_reply(r, 200, "application/json", str_of(containers));
    else if (str_eqz(r->path, "/networks"))
        http_reply(r, 200, "application/json", str_of(networks));
    else
        http_reply(r, page.status, page.type, str_of(page.body));
    pthread_mutex_unlock(&page.mu);
}

static void answer(int status, const char *type, const char *body)
{
    pthread_mutex_lock(&page.mu);
    page.status = status;
    page.type = type;
    page.body = body;
    pthread_mutex_unlock(&page.mu);
}

static int setup_all(void **state)
{
    struct err e = {0};

    (void)state;
    client = http_client_new();
    server = http_server_new(1, NULL);
    http_route(server, HTTP_GET, "/{rest...}", PERM_OPEN, 0, serve, NULL);
    if (http_listen(server, "127.0.0.1:0", &http_port, &e) < 0 || http_server_start(server, &e) < 0)
        fail_msg("%s", e.text);
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    http_client_free(client);
    http_server_free(server);
    return 0;
}

static struct str dump(const struct sd_result *r, struct arena *a)
{
    struct buf b = {0};
    struct str s;

    for (uint32_t i = 0; i < r->n; i++) {
        for (uint32_t k = 0; k < r->groups[i].n; k++) {
            struct labels own = labels_dup(a, &r->groups[i].targets[k]), group = labels_dup(a, &r->groups[i].labels);

            assert_int_equal(labels_normalise(&own, NULL), 0);
            assert_int_equal(labels_normalise(&group, NULL), 0);
            labels_print(&b, &own);
            if (group.n)
                labels_print(&b, &group);
            buf_putc(&b, '\n');
        }
    }
    s = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return s;
}

static struct scrape_configs *config(struct arena *a, const char *dir, const char *fmt, ...)
{
    char text[1000];
    struct scrape_configs *c;
    struct conf *root;
    struct err e = {0};
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (conf_parse(a, STR("t.yml"), arena_printf(a, "scrape_configs: [{job_name: j, %s}]", text), &root, &e) < 0 ||
        scrape_configs_read(root, str_of(dir), &c, &e) < 0)
        fail_msg("%s", e.text);
    return c;
}

static void expect(int (*ask_kind)(const struct sd_ask *ask, struct sd_result *out, struct err *e),
                   const struct sd_config *c, const struct sd_result *previous, const char *want, const char *words)
{
    static const _Atomic bool stop;
    struct sd_ask ask = {c, previous, client, &stop};
    struct sd_result *r = sd_result_new();
    struct arena a = {0};
    struct err e = {0};
    int code = ask_kind(&ask, r, &e);

    if (words) {
        if (code == 0 || !strstr(e.text, words))
            fail_msg("expected \"%s\", got %d \"%s\"", words, code, e.text);
    } else if (code < 0) {
        fail_msg("%s", e.text);
    } else if (!str_eqz(dump(r, &a), want)) {
        fail_msg("got\n%swant\n%s", dump(r, &a).p, want);
    }
    sd_result_unref(r);
    arena_release(&a);
}

/* --- http_sd ------------------------------------------------------------------------------------------------ */

static void test_http(void **state)
{
    struct arena a = {0};
    struct scrape_configs *c =
        config(&a, "", "http_sd_configs: [{url: 'http://127.0.0.1:%u/sd', refresh_interval: 2s}]", http_port);
    const struct sd_config *sd = &c->v[0].sd[0];
    struct str want;

    (void)state;
    answer(200, "application/json; charset=utf-8",
           "[\n\t{\"targets\":[\"a:1\",\"b:2\"],\"labels\":{\"k\":\"x\"}},{\"targets\":[]}]");
    want = arena_printf(&a,
                        "{__address__=\"a:1\"}{__meta_url=\"http://127.0.0.1:%u/sd\", "
                        "k=\"x\"}\n{__address__=\"b:2\"}{__meta_url=\"http://127.0.0.1:%u/sd\", k=\"x\"}\n",
                        http_port, http_port);
    expect(sd_http_refresh, sd, NULL, want.p, NULL);
    answer(200, "application/json", "[]");
    expect(sd_http_refresh, sd, NULL, "", NULL);
    answer(200, "text/plain", "[]");
    expect(sd_http_refresh, sd, NULL, NULL, "unsupported content type");
    answer(500, "application/json", "[]");
    expect(sd_http_refresh, sd, NULL, NULL, "HTTP status 500");
    answer(200, "application/json", "[{\"targets\":[1]}]");
    expect(sd_http_refresh, sd, NULL, NULL, "group 0: a target must be a text");
    answer(200, "application/json", "[{\"labels\":{\"a\":1}}]");
    expect(sd_http_refresh, sd, NULL, NULL, "must be a text");
    answer(200, "application/json", "[{\"extra\":1}]");
    expect(sd_http_refresh, sd, NULL, NULL, "unknown key \"extra\"");
    answer(200, "application/json", "{\"targets\":[\"a\"]}");
    expect(sd_http_refresh, sd, NULL, NULL, "not a JSON list");
    scrape_configs_unref(c);
    arena_release(&a);
}

/* --- docker_sd ------------------------------------------------------------------------------------------------- */

static void test_docker(void **state)
{
    static const char web[] = "__meta_docker_container_id=\"c1\", __meta_docker_container_image=\"nginx\", "
                              "__meta_docker_container_image_id=\"sha\", "
                              "__meta_docker_container_label_com_x_y=\"v\", __meta_docker_container_name=\"/web\", "
                              "__meta_docker_container_network_mode=\"bridge\", ";
    static const char alpha[] = "__meta_docker_network_id=\"n1\", __meta_docker_network_ingress=\"false\", "
                                "__meta_docker_network_internal=\"true\", "
                                "__meta_docker_network_ip=\"10.0.0.2\", __meta_docker_network_label_a_b=\"c\", "
                                "__meta_docker_network_name=\"alpha\", __meta_docker_network_scope=\"local\"";
    struct arena a = {0};
    struct scrape_configs *c =
        config(&a, "", "docker_sd_configs: [{host: 'tcp://127.0.0.1:%u', filters: [{name: status, values: [a, b]}]}]",
               http_port);
    struct str want = arena_printf(
        &a,
        "{__address__=\"10.0.0.2:80\", %s%s, __meta_docker_port_private=\"80\", __meta_docker_port_public=\"8080\", "
        "__meta_docker_port_public_ip=\"0.0.0.0\"}\n"
        "{__address__=\"10.0.0.2:81\", %s%s, __meta_docker_port_private=\"81\"}\n"
        "{__address__=\"10.0.0.2:80\", __meta_docker_container_id=\"c2\", __meta_docker_container_name=\"/side\", "
        "__meta_docker_container_network_mode=\"container:c1\", %s}\n"
        "{__address__=\"localhost\", __meta_docker_container_id=\"c3\", __meta_docker_container_name=\"/host\", "
        "__meta_docker_container_network_mode=\"host\"}\n",
        web, alpha, web, alpha, alpha);

    (void)state;
    expect(sd_docker_refresh, &c->v[0].sd[0], NULL, want.p, NULL);
    scrape_configs_unref(c);
    arena_release(&a);
}

static const char all_containers[] =
    "[{\"Id\":\"c4\",\"Names\":[\"/runs\"],\"State\":\"running\",\"NetworkSettings\":{\"Networks\":{\"n\":{}}}},"
    "{\"Id\":\"c5\",\"Names\":[\"/was\"],\"State\":\"exited\",\"NetworkSettings\":{\"Networks\":{\"n\":{}}}}]";

/* Answers two requests on a unix socket, as an engine would. */
static void *engine(void *arg)
{
    int fd = *(int *)arg;

    for (int i = 0; i < 2; i++) {
        int conn = accept(fd, NULL, NULL);
        char request[4096], head[200];
        const char *body;
        ssize_t n = read(conn, request, sizeof(request) - 1);

        request[n > 0 ? n : 0] = 0;
        body = strstr(request, "GET /networks") ? networks : strstr(request, "GET /containers/json?all=1 ") ? all_containers : "[]";
        n = snprintf(
            head, sizeof(head),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
            strlen(body));
        if (write(conn, head, (size_t)n) < 0 || write(conn, body, strlen(body)) < 0)
            perror("write");
        close(conn);
    }
    return NULL;
}

static void test_docker_socket(void **state)
{
    char dir[] = "/tmp/test_discovery.XXXXXX";
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct arena a = {0};
    struct scrape_configs *c;
    pthread_t thread;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/docker.sock", dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(pthread_create(&thread, NULL, engine, &fd), 0);
    c = config(&a, "", "docker_sd_configs: [{host: 'unix://%s'}]", at.sun_path);
    expect(sd_docker_refresh, &c->v[0].sd[0], NULL, "", NULL);
    pthread_join(thread, NULL);
    /* who reads logs wants those that have ended, too, and to know which they are */
    assert_int_equal(pthread_create(&thread, NULL, engine, &fd), 0);
    c->v[0].sd[0].ended = true;
    expect(sd_docker_refresh, &c->v[0].sd[0], NULL,
           "{__address__=\":80\", __meta_docker_container_id=\"c4\", __meta_docker_container_name=\"/runs\"}\n"
           "{__address__=\":80\", __meta_docker_container_id=\"c5\", __meta_docker_container_name=\"/was\", __tripod_docker_ended=\"1\"}\n",
           NULL);
    pthread_join(thread, NULL);
    close(fd);
    unlink(at.sun_path);
    rmdir(dir);
    scrape_configs_unref(c);
    arena_release(&a);
}

/* --- dns_sd --------------------------------------------------------------------------------------------------------
 */

struct name_server {
    int udp, tcp;
    uint16_t port;
    _Atomic bool stop;
    pthread_t thread;
};

static size_t put_name(uint8_t *out, const char *name)
{
    size_t n = 0;

    while (*name) {
        size_t len = strcspn(name, ".");

        out[n++] = (uint8_t)len;
        memcpy(out + n, name, len);
        n += len;
        name += len + (name[len] == '.');
    }
    out[n++] = 0;
    return n;
}

static size_t put_record(uint8_t *out, int type, const uint8_t *data, size_t ndata)
{
    uint8_t head[12] = {0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, (uint8_t)(ndata >> 8), (uint8_t)ndata};

    memcpy(out, head, 12);
    memcpy(out + 12, data, ndata);
    return 12 + ndata;
}

/* srv.test: two SRV; a.test: CNAME and A; big.test: only whole by TCP; bad.test: SERVFAIL; all else: no such name. */
static size_t reply_to(uint8_t *m, size_t n, bool tcp)
{
    struct buf name = {0};
    size_t at = 12, ndata;
    uint8_t data[300];
    int type;

    if (!read_name(m, n, &at, &name))
        return 0;
    type = m[at + 1];
    n = at + 4;
    m[2] = 0x81;
    m[3] = 0x80;
    if (str_eqz(buf_str(&name), "srv.test.") && type == DNS_SRV) {
        memcpy(data, "\0\1\0\1\x23\x28", 6);
        ndata = 6 + put_name(data + 6, "h1.test");
        n += put_record(m + n, type, data, ndata);
        memcpy(data + 4, "\x23\x29", 2);
        ndata = 6 + put_name(data + 6, "h2.test");
        n += put_record(m + n, type, data, ndata);
        m[7] = 2;
    } else if (str_eqz(buf_str(&name), "a.test.") && type == DNS_A) {
        n += put_record(m + n, 5, data, put_name(data, "other.test"));
        n += put_record(m + n, type, (const uint8_t *)"\x0a\1\2\3", 4);
        m[7] = 2;
    } else if (str_eqz(buf_str(&name), "six.test.") && type == DNS_AAAA) {
        n += put_record(m + n, type, (const uint8_t *)"\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
        m[7] = 1;
    } else if (str_eqz(buf_str(&name), "mx.test.") && type == DNS_MX) {
        memcpy(data, "\0\5", 2);
        n += put_record(m + n, type, data, 2 + put_name(data + 2, "mail.test"));
        m[7] = 1;
    } else if (str_eqz(buf_str(&name), "big.test.") && !tcp) {
        m[2] |= 2;
    } else if (str_eqz(buf_str(&name), "big.test.")) {
        for (int i = 0; i < 100; i++)
            n += put_record(m + n, type, (const uint8_t[]){10, 0, 0, (uint8_t)i}, 4);
        m[7] = 100;
    } else {
        m[3] = str_eqz(buf_str(&name), "bad.test.") ? 0x82 : 0x83;
    }
    buf_release(&name);
    return n;
}

static void *name_server(void *arg)
{
    struct name_server *s = arg;
    uint8_t m[8192];

    while (!atomic_load(&s->stop)) {
        struct pollfd p[2] = {{.fd = s->udp, .events = POLLIN}, {.fd = s->tcp, .events = POLLIN}};
        struct sockaddr_storage from;
        socklen_t nfrom = sizeof(from);
        ssize_t n;

        if (poll(p, 2, 20) <= 0)
            continue;
        if (p[0].revents && (n = recvfrom(s->udp, m, sizeof(m), 0, (struct sockaddr *)&from, &nfrom)) > 12)
            sendto(s->udp, m, reply_to(m, (size_t)n, false), 0, (struct sockaddr *)&from, nfrom);
        if (p[1].revents) {
            int conn = accept(s->tcp, NULL, NULL);

            if ((n = read(conn, m, sizeof(m))) > 14) {
                size_t reply = reply_to(m + 2, (size_t)n - 2, true);
                m[0] = (uint8_t)(reply >> 8);
                m[1] = (uint8_t)reply;
                if (write(conn, m, reply + 2) < 0)
                    perror("write");
            }
            close(conn);
        }
    }
    return NULL;
}

static void name_server_start(struct name_server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    memset(s, 0, sizeof(*s));
    s->tcp = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->tcp, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(s->tcp, (struct sockaddr *)&a, &n), 0);
    assert_int_equal(listen(s->tcp, 8), 0);
    s->udp = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(s->udp, (struct sockaddr *)&a, sizeof(a)), 0);
    server_port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, name_server, s), 0);
}

static void dns_case(const char *names, const char *type, const char *want)
{
    struct arena a = {0};
    struct scrape_configs *c = config(&a, "", "dns_sd_configs: [{names: [%s], type: %s, port: 9}]", names, type);

    expect(sd_dns_refresh, &c->v[0].sd[0], NULL, want, NULL);
    scrape_configs_unref(c);
    arena_release(&a);
}

static void test_dns(void **state)
{
    char path[] = "/tmp/test_resolv.XXXXXX";
    struct name_server s;
    static const char text[] = "# c\nsearch nothing.test test\nnameserver 127.0.0.1\noptions ndots:1 timeout:2\n";
    int fd = mkstemp(path);

    (void)state;
    assert_true(write(fd, text, strlen(text)) > 0);
    close(fd);
    resolv_conf = path;
    name_server_start(&s);
    dns_case("srv.test", "SRV",
             "{__address__=\"h1.test:9000\", __meta_dns_name=\"srv.test\", __meta_dns_srv_record_port=\"9000\", "
             "__meta_dns_srv_record_target=\"h1.test.\"}\n"
             "{__address__=\"h2.test:9001\", __meta_dns_name=\"srv.test\", __meta_dns_srv_record_port=\"9001\", "
             "__meta_dns_srv_record_target=\"h2.test.\"}\n");
    dns_case("a", "A", "{__address__=\"10.1.2.3:9\", __meta_dns_name=\"a\"}\n"); /* by the search list */
    dns_case("six.test", "AAAA", "{__address__=\"[fd00::1]:9\", __meta_dns_name=\"six.test\"}\n");
    dns_case(
        "mx.test", "MX",
        "{__address__=\"mail.test:9\", __meta_dns_mx_record_target=\"mail.test.\", __meta_dns_name=\"mx.test\"}\n");
    dns_case("none.test", "A", "");
    dns_case("bad.test, a.test.", "A", "{__address__=\"10.1.2.3:9\", __meta_dns_name=\"a.test.\"}\n");
    {
        struct arena a = {0};
        struct dns_env env;
        struct dns_record *r;
        static const _Atomic bool stop;
        uint32_t n;

        dns_env_read(&a, path, &env);
        set_port(&env);
        assert_int_equal(dns_lookup(&env, STR("big.test."), DNS_A, &stop, &a, &r, &n, NULL), 0);
        assert_int_equal(n, 100);
        assert_int_equal(dns_lookup(&env, STR("bad.test."), DNS_A, &stop, &a, &r, &n, NULL), ERR_IO);
        arena_release(&a);
    }
    atomic_store(&s.stop, true);
    pthread_join(s.thread, NULL);
    close(s.udp);
    close(s.tcp);
    unlink(path);
}

static void test_dns_bad_bytes(void **state)
{
    uint8_t m[64] = {0};
    size_t at;

    (void)state;
    m[12] = 0xc0;
    m[13] = 12; /* points at itself */
    at = 12;
    assert_false(read_name(m, sizeof(m), &at, NULL));
    m[12] = 63;
    at = 12;
    assert_false(read_name(m, 20, &at, NULL));
    srand(7);
    for (int i = 0; i < 20000; i++) {
        struct arena a = {0};
        struct dns_record *r;
        uint32_t n;

        for (size_t k = 0; k < sizeof(m); k++)
            m[k] = (uint8_t)(rand() % 4 ? rand() % 16 : rand());
        read_answer(m, sizeof(m), DNS_SRV, &a, &r, &n);
        arena_release(&a);
    }
}

/* --- file_sd and the manager ------------------------------------------------------------------ */

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[300], tmp[320];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    f = fopen(tmp, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(rename(tmp, path), 0);
}

static void count_change(void *arg, bool lists)
{
    atomic_fetch_add((_Atomic int *)arg, lists);
}

/* Turns the manager until the list reads as wanted. */
static void becomes(struct discovery *d, struct sd_provider *p, const char *want)
{
    struct arena a = {0};
    struct str got = STR("");

    for (int i = 0; i < 300; i++) {
        struct sd_result *r;

        discovery_files_changed(d);
        discovery_run(d);
        usleep(10000);
        if ((r = discovery_result(d, p))) {
            got = dump(r, &a);
            sd_result_unref(r);
            if (str_eqz(got, want)) {
                arena_release(&a);
                return;
            }
        }
    }
    fail_msg("got\n%swant\n%s", got.p, want);
}

static void test_files(void **state)
{
    char dir[] = "/tmp/test_files.XXXXXX", command[100];
    _Atomic int changes = 0;
    struct discovery *d = discovery_new(client, count_change, (void *)&changes);
    struct arena a = {0};
    struct scrape_configs *c;
    struct sd_provider *p;
    struct str one, two;

    (void)state;
    assert_non_null(mkdtemp(dir));
    c = config(&a, dir,
               "file_sd_configs: [{files: ['*.json', 'x.yml']}], static_configs: [{targets: [s], labels: {a: b}}]");
    one = arena_printf(&a, "{__address__=\"a:1\"}{__meta_filepath=\"%s/t.json\", k=\"v\"}\n", dir);
    two = arena_printf(&a, "{__address__=\"b:2\"}{__meta_filepath=\"%s/x.yml\"}\n", dir);
    write_file(dir, "t.json", "[{\"targets\": [\"a:1\"], \"labels\": {\"k\": \"v\"}}]");
    p = discovery_add(d, &c->v[0].sd[1], c);
    becomes(d, p, one.p);
    write_file(dir, "x.yml", "- targets: ['b:2']\n");
    becomes(d, p, arena_printf(&a, "%s%s", one.p, two.p).p); /* inotify: the refresh interval is 5 m */
    write_file(dir, "t.json", "[{\"targets\": [1]}]");
    write_file(dir, "x.yml", "- targets: ['c:3']\n");
    becomes(d, p,
            arena_printf(&a, "%s{__address__=\"c:3\"}{__meta_filepath=\"%s/x.yml\"}\n", one.p, dir)
                .p); /* a bad file keeps what it said */
    snprintf(command, sizeof(command), "rm %s/t.json", dir);
    assert_int_equal(system(command), 0);
    becomes(d, p, arena_printf(&a, "{__address__=\"c:3\"}{__meta_filepath=\"%s/x.yml\"}\n", dir).p);
    assert_true(atomic_load(&changes) >= 3);
    becomes(d, discovery_add(d, &c->v[0].sd[0], c), "{__address__=\"s\"}{a=\"b\"}\n");
    discovery_remove(d, p);
    discovery_stop(d);
    discovery_free(d);
    scrape_configs_unref(c);
    arena_release(&a);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http), cmocka_unit_test(test_docker),        cmocka_unit_test(test_docker_socket),
        cmocka_unit_test(test_dns),  cmocka_unit_test(test_dns_bad_bytes), cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
