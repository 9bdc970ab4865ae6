/*
 * push_server.c - the whole way in and nothing else: HTTP server, store, tsdb and the push routes. For load generators
 * and perf.
 *
 *   push_server DIR [ADDRESS [THREADS]]       stops on SIGTERM or SIGINT and prints what it took
 *   push_server --discard ...                 decodes and acknowledges without storing: the cost of the wire alone
 */
#include "collector/push/push.h"
#include "collector/push/remote_write.h"
#include "net/server.h"
#include "store/store.h"
#include "tsdb/tsdb.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static int fail(const char *what, const struct err *e)
{
    fprintf(stderr, "push_server: %s: %s\n", what, e->text);
    return 1;
}

static void discard(struct http_request *r, void *arg)
{
    struct rw_message m;
    struct err e;

    (void)arg;
    if (http_decode(r, ENC_SNAPPY, 32 << 20, &e) < 0 || rw1_read(&m, r->arena, r->body, &e) < 0)
        http_replyf(r, 400, "text/plain", "%s\n", e.text);
    else
        http_reply(r, 204, NULL, STR_NULL);
}

static void healthy(struct http_request *r, void *arg)
{
    (void)arg;
    http_reply(r, 200, "text/plain", STR("ready\n"));
}

static int serve(struct http_server *s, const char *address)
{
    sigset_t wanted;
    uint16_t port;
    struct err e;
    int sig;

    http_route(s, HTTP_GET, "/ready", PERM_OPEN, 0, healthy, NULL);
    if (http_listen(s, address, &port, &e) < 0 || http_server_start(s, &e) < 0)
        return fail(address, &e);
    printf("listening on port %u, pid %d\n", port, (int)getpid());
    fflush(stdout);
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    sigwait(&wanted, &sig);
    http_server_drain(s, 2000);
    return 0;
}

static void report(void)
{
    struct push_stats p;
    struct rusage u;

    push_stats(&p);
    getrusage(RUSAGE_SELF, &u);
    printf("requests=%llu samples=%llu refused_requests=%llu refused_samples=%llu wire=%llu raw=%llu user_s=%ld.%03ld "
           "sys_s=%ld.%03ld\n",
           (unsigned long long)p.requests, (unsigned long long)p.samples, (unsigned long long)p.refused_requests,
           (unsigned long long)p.refused_samples, (unsigned long long)p.bytes_wire, (unsigned long long)p.bytes_raw,
           u.ru_utime.tv_sec, u.ru_utime.tv_usec / 1000, u.ru_stime.tv_sec, u.ru_stime.tv_usec / 1000);
}

int main(int argc, char **argv)
{
    bool wire_only = argc > 1 && strcmp(argv[1], "--discard") == 0;
    struct push_ctx ctx = {.remote_write = true};
    struct store_opts so;
    struct tsdb_opts to;
    struct http_server *s;
    sigset_t blocked;
    struct err e;
    int rc;

    argv += wire_only;
    argc -= wire_only;
    if (argc < 2) {
        fprintf(stderr, "usage: push_server [--discard] DIR [ADDRESS [THREADS]]\n");
        return 2;
    }
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    s = http_server_new(argc > 3 ? (unsigned)atoi(argv[3]) : 2, NULL);
    if (wire_only) {
        http_route(s, HTTP_POST, "/api/v1/write", PERM_WRITE, HTTP_RAW_BODY, discard, NULL);
    } else {
        store_opts_default(&so);
        tsdb_opts_default(&to);
        so.dir = argv[1];
        if (store_open(&so, &ctx.store, &e) < 0 || tsdb_new(ctx.store, &to, &ctx.db, &e) < 0 ||
            store_recover(ctx.store, &e) < 0 || store_start(ctx.store, &e) < 0)
            return fail(argv[1], &e);
        push_routes(s, &ctx);
    }
    rc = serve(s, argc > 2 ? argv[2] : "127.0.0.1:0");
    if (ctx.store)
        store_close(ctx.store);
    if (ctx.db)
        tsdb_free(ctx.db);
    http_server_free(s);
    report();
    return rc;
}
