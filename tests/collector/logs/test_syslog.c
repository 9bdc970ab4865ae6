/* Syslog: messages taken apart, and listeners over real sockets, quick and slow disks. */
#include "collector/logs/syslog_listen.c"

#include "tests/collector/logs/fake_logstore.h"

#include <time.h>

static void check_message(const char *raw, const char *want)
{
    static struct syslog_message m;
    struct arena a = {0};
    struct buf b = {0};

    syslog_parse(&a, str_of(raw), INT64_C(1700000000000000000) /* 2023-11-14 22:13:20 */, INT64_C(600000000000), &m);
    if (m.has_pri)
        buf_printf(&b, "%s.%s ", syslog_facility_name(m.facility), syslog_severity_name(m.severity));
    if (m.has_time)
        buf_printf(&b, "%lld ", (long long)m.t_ns);
    buf_printf(&b, "h=%.*s a=%.*s p=%.*s m=%.*s", STR_ARG(m.host), STR_ARG(m.app), STR_ARG(m.procid), STR_ARG(m.msgid));
    for (unsigned i = 0; i < m.nparams; i++)
        buf_printf(&b, " [%.*s %.*s=%.*s]", STR_ARG(m.params[i].id), STR_ARG(m.params[i].name), STR_ARG(m.params[i].value));
    buf_printf(&b, " %.*s", STR_ARG(m.text));
    if (strcmp(buf_z(&b), want) != 0)
        fail_msg("%s:\n%s, want\n%s", raw, b.p, want);
    buf_release(&b);
    arena_release(&a);
}

static void messages(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    check_message("<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed",
                  "auth.critical 1065910455003000000 h=mymachine.example.com a=su p= m=ID47 'su root' failed");
    check_message("<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time", "local4.notice 1061727255000003000 h=192.0.2.1 a=myproc p=8710 m= %% It's time");
    check_message("<165>1 - - - - - [ex@32473 iut=\"3\" e=\"a\\\"b\\]\\\\\\x\"][p@1] msg", "local4.notice h= a= p= m= [ex@32473 iut=3] [ex@32473 e=a\"b]\\\\x] msg");
    check_message("<0>1 - - - - - -", "kern.emerg h= a= p= m= ");
    check_message("<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed", "auth.critical 1697062455000000000 h=mymachine a=su p=12 m= 'su root' failed");
    check_message("<13>Feb  5 17:32:18 host app: hi\n", "user.notice 1675618338000000000 h=host a=app p= m= hi");
    check_message("<13>Dec 31 23:59:59 host app: last year's", "user.notice 1672531199000000000 h=host a=app p= m= last year's");
    check_message("<13>Nov 14 22:13:20 app[1]: no host", "user.notice 1700000000000000000 h= a=app p=1 m= no host");
    check_message("<13>Nov 14 22:13:20 host no tag here", "user.notice 1700000000000000000 h=host a= p= m= no tag here");
    check_message("<30>2023-11-14T22:13:20.123456+01:00 host app: forwarded", "daemon.info 1699996400123456000 h=host a=app p= m= forwarded");
    check_message("<13>app: hello", "user.notice h= a=app p= m= hello");
    check_message("<13>just text", "user.notice h= a= p= m= just text");
    check_message("<192>x", "h= a= p= m= <192>x");
    check_message("no priority", "h= a= p= m= no priority");
    check_message("<13>1 broken 5424", "user.notice h= a= p= m= 1 broken 5424");
    check_message("<165>1 2003-10-11T22:14:15Z h a p m [x y=\"z] text", "local4.notice h= a= p= m= 1 2003-10-11T22:14:15Z h a p m [x y=\"z] text");
    check_message("", "h= a= p= m= ");
    check_message("<13>", "user.notice h= a= p= m= ");
}

/* --- listeners ---------------------------------------------------------------------------------------------- */

static struct arena conf_arena;

static struct syslog_config *config_of(const char *yaml)
{
    struct syslog_config *c;
    struct conf *root;
    struct err e;

    if (conf_parse(&conf_arena, STR("t.yml"), str_of(yaml), &root, &e) < 0 || syslog_config_read(&conf_arena, root, &c, &e) < 0)
        fail_msg("%s", e.text);
    return c;
}

static int udp_socket(uint16_t to)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(to), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

static void wait_rows(uint64_t n)
{
    for (int i = 0; i < 2000 && seen_rows < n; i++)
        usleep(10000);
    assert_int_equal(seen_rows, n);
}

static void forget(void)
{
    pthread_mutex_lock(&seen_mu);
    buf_reset(&seen);
    seen_rows = 0;
    pthread_mutex_unlock(&seen_mu);
}

static void by_tcp_and_udp(void **state)
{
    struct syslog_config *c = config_of("{listen_udp: '127.0.0.1:0', listen_tcp: '127.0.0.1:0', use_incoming_timestamp: true, labels: {job: syslog}, max_message_length: 100}");
    struct syslog_listener *sl;
    uint16_t udp = 0, tcp = 0;
    char big[300];
    struct err e;
    int fd;

    (void)state;
    say = SAY_LATER;
    forget();
    assert_int_equal(syslog_listen(logs, server, c, &sl, &udp, &tcp, &e), 0);
    fd = tcp_connect(tcp);
    tcp_sendz(fd, "40 <34>1 2023-11-14T22:13:20Z h a 1 - - one40 <34>1 2023-11-14T22:13:21Z h a 1 - - two");
    wait_rows(2);
    tcp_sendz(fd, "40 <34>1 2023-11-14T22:13:22Z ");
    usleep(20000);
    tcp_sendz(fd, "h a 1 - - 3rd");
    wait_rows(3);
    close(fd);
    check_seen("{app_name=\"a\", hostname=\"h\", job=\"syslog\", service_name=\"a\"} 1700000000000000000 \"one\" detected_level=\"critical\" facility=\"auth\" proc_id=\"1\" severity=\"critical\"\n"
               "{app_name=\"a\", hostname=\"h\", job=\"syslog\", service_name=\"a\"} 1700000001000000000 \"two\" detected_level=\"critical\" facility=\"auth\" proc_id=\"1\" severity=\"critical\"\n"
               "{app_name=\"a\", hostname=\"h\", job=\"syslog\", service_name=\"a\"} 1700000002000000000 \"3rd\" detected_level=\"critical\" facility=\"auth\" proc_id=\"1\" severity=\"critical\"\n");
    forget();
    fd = tcp_connect(tcp); /* newlines; the last one without */
    tcp_sendz(fd, "<13>1 2023-11-14T22:13:20Z h a - - - one\n\n<13>1 2023-11-14T22:13:20Z h a - - - two");
    shutdown(fd, SHUT_WR);
    wait_rows(2);
    close(fd);
    forget();
    memset(big, 'x', sizeof big);
    memcpy(big, "<13>1 2023-11-14T22:13:20Z h a - - - ", 37);
    fd = tcp_connect(tcp); /* too long: cut, and the rest of its line thrown away */
    tcp_send(fd, big, sizeof big);
    tcp_sendz(fd, "more\n<13>1 2023-11-14T22:13:20Z h a - - - next\n");
    wait_rows(2);
    close(fd);
    assert_true(seen_has("xxx\" detected_level=\"notice\" facility=\"user\" log_truncated=\"true\"") && seen_has("\"next\"") && !seen_has("more"));
    forget();
    fd = tcp_connect(tcp); /* nonsense is cut off */
    tcp_sendz(fd, "99999999999 x");
    buf_reset(&out);
    assert_true(tcp_read_all(fd, &out, 5000));
    close(fd);
    fd = udp_socket(udp);
    assert_true(send(fd, "<13>1 2023-11-14T22:13:20Z h b - - - datagram\n", 46, 0) == 46);
    wait_rows(1);
    close(fd);
    assert_true(seen_has("app_name=\"b\"") && seen_has("\"datagram\""));
    syslog_close(sl);
    syslog_config_release(c);
    say = SAY_STORE;
}

static void relabelled(void **state)
{
    struct syslog_config *c = config_of("{listen_address: '127.0.0.1:0', listen_protocol: udp, use_incoming_timestamp: true, label_structured_data: true, use_rfc5424_message: true,"
                                        " labels: {job: s}, relabel_configs: [{source_labels: [__syslog_message_hostname], target_label: host},"
                                        " {source_labels: [__syslog_message_severity], target_label: sev}, {source_labels: [__syslog_message_sd_ex_32473_iut], target_label: iut},"
                                        " {source_labels: [__syslog_connection_ip_address], target_label: ip}, {source_labels: [__syslog_message_app_name], regex: noise, action: drop}]}");
    struct syslog_listener *sl;
    uint16_t udp = 0;
    struct err e;
    int fd;

    (void)state;
    forget();
    assert_int_equal(syslog_listen(logs, server, c, &sl, &udp, NULL, &e), 0);
    fd = udp_socket(udp);
    assert_true(send(fd, "<14>1 2023-11-14T22:13:20Z h noise - - - x", 42, 0) == 42);
    assert_true(send(fd, "<14>1 2023-11-14T22:13:20Z h a - - [ex@32473 iut=\"3\"] x", 56, 0) == 56);
    wait_rows(1);
    check_seen("{host=\"h\", ip=\"127.0.0.1\", iut=\"3\", job=\"s\", service_name=\"s\", sev=\"informational\"} 1700000000000000000 "
               "\"<14>1 2023-11-14T22:13:20Z h a - - [ex@32473 iut=\\\"3\\\"] x\" detected_level=\"info\" ex_32473_iut=\"3\" facility=\"user\" severity=\"info\"\n");
    close(fd);
    syslog_close(sl);
    syslog_config_release(c);
}

/* The logstore says no for a while, then is slow: the sender waits, and everything arrives once. */
static void back_pressure(void **state)
{
    struct syslog_config *c = config_of("{listen_tcp: '127.0.0.1:0'}");
    enum { MESSAGES = 200000 };
    struct syslog_listener *sl;
    struct buf b = {0};
    uint16_t tcp = 0;
    struct err e;
    int fd;

    (void)state;
    forget();
    seen_quiet = true;
    say = SAY_BUSY;
    fake_delay_ms = 3;
    assert_int_equal(syslog_listen(logs, server, c, &sl, NULL, &tcp, &e), 0);
    fd = tcp_connect(tcp);
    for (int i = 0; i < MESSAGES; i++)
        buf_printf(&b, "<13>1 2023-11-14T22:13:20Z host app - - - message %d\n", i);
    tcp_send(fd, b.p, 100000);
    usleep(300000);
    assert_true(seen_rows == 0 && seen_busy > 0);
    say = SAY_LATER;
    tcp_send(fd, b.p + 100000, b.n - 100000);
    close(fd);
    wait_rows(MESSAGES);
    /* what waits when we stop is lost, and counted */
    say = SAY_FULL;
    fd = tcp_connect(tcp);
    tcp_sendz(fd, "<13>x: y\n");
    usleep(100000);
    syslog_close(sl);
    close(fd);
    assert_int_equal(atomic_load(&logs->stats.syslog_lost), 1);
    say = SAY_STORE;
    seen_quiet = false;
    fake_delay_ms = 1;
    buf_release(&b);
    syslog_config_release(c);
}

static int apply(const char *yaml, struct err *e)
{
    struct arena a = {0};
    struct conf *root;
    struct logs_config *c;
    int rc = conf_parse(&a, STR("t.yml"), str_of(yaml), &root, e);

    if (rc == 0)
        rc = logs_config_read(root, &c, e);
    arena_release(&a);
    if (rc == 0 && (rc = logs_apply(logs, server, c, e)) < 0)
        logs_config_free(c);
    return rc;
}

static void configuration(void **state)
{
    struct err e;
    char yaml[200];
    struct syslog_listener *first;
    uint16_t taken;
    struct http_server *other = http_server_new(1, NULL);

    (void)state;
    assert_int_equal(http_listen(other, "127.0.0.1:0", &taken, &e), 0);
    assert_int_equal(apply("syslog: [{listen_tcp: '127.0.0.1:0'}]", &e), 0);
    first = logs->listeners[0];
    assert_int_equal(apply("syslog: [{listen_tcp: '127.0.0.1:0'}]\nlimits_config: {discover_service_name: []}", &e), 0);
    assert_ptr_equal(logs->listeners[0], first); /* it has not changed */
    assert_int_equal(logs->rules->nservice_names, 0);
    snprintf(yaml, sizeof yaml, "syslog: [{listen_udp: '127.0.0.1:0'}, {listen_tcp: '127.0.0.1:%u'}]", taken);
    assert_int_equal(apply(yaml, &e), ERR_EXISTS);
    assert_non_null(strstr(e.text, "is taken"));
    assert_int_equal(logs->nsections, 1); /* the old one is there again */
    assert_int_equal(apply("syslog: [{}]", &e), ERR_INVALID);
    assert_string_equal(e.text, "t.yml:1: listen_udp or listen_tcp must be given");
    assert_int_equal(apply("syslog: [{listen_udp: ':0', what: 1}]", &e), ERR_INVALID);
    assert_int_equal(apply("syslog: [{listen_udp: ':0', labels: {'a b': c}}]", &e), ERR_INVALID);
    assert_int_equal(apply("syslog: [{listen_udp: ':0', relabel_configs: [{action: fly}]}]", &e), ERR_INVALID);
    assert_int_equal(apply("{}", &e), 0);
    assert_int_equal(logs->nsections, 0);
    http_server_free(other);
}

static int release(void **state)
{
    arena_release(&conf_arena);
    return stop_server(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages), cmocka_unit_test(by_tcp_and_udp), cmocka_unit_test(relabelled), cmocka_unit_test(back_pressure), cmocka_unit_test(configuration),
    };

    return cmocka_run_group_tests(tests, start_server, release);
}
