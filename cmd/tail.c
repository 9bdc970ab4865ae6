/* tail.c - `tripod tail`: records of a LogQL query as they come in. */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/query_logs.h"
#include "net/websocket_client.h"

#include <stdlib.h>
#include <unistd.h>

struct tail {
    const char *query, *limit, *since;
    enum log_output output;
    bool json;
};

static int usage(FILE *to, int status)
{
    fputs("usage: tripod tail [flags] 'LOGQL'      for example '{service_name=\"api\"} |= \"error\"'\n\n"
          "Prints records as they come in, until interrupted.\n\n"
          "  --url URL    where Tripod listens (TRIPOD_URL, http://127.0.0.1:9090)\n"
          "  --since D    begin with the records of the last 5m, 1h ... (1h)\n"
          "  --limit N    ... but with no more than so many of them (20)\n"
          "  -o FORMAT    table, raw (lines only), csv or json (frames as they come)\n",
          to);
    return status;
}

static int parse(int argc, char **argv, struct client *c, struct tail *t)
{
    const char *out = "table";

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
        if (client_flag(argc, argv, &i, "--url", &c->url) || client_flag(argc, argv, &i, "--since", &t->since) || client_flag(argc, argv, &i, "--limit", &t->limit) ||
            client_flag(argc, argv, &i, "--output", &out) || client_flag(argc, argv, &i, "-o", &out))
            continue;
        if ((argv[i][0] == '-' && argv[i][1] == '-') || t->query)
            return -1;
        t->query = argv[i];
    }
    t->json = strcmp(out, "json") == 0;
    t->output = strcmp(out, "raw") == 0 ? LOG_OUT_RAW : strcmp(out, "csv") == 0 ? LOG_OUT_CSV : LOG_OUT_TABLE;
    if (!t->json && t->output == LOG_OUT_TABLE && strcmp(out, "table") != 0)
        return -1;
    return t->query ? 0 : -1;
}

static int make_url(const struct client *c, const struct tail *t, struct buf *url, struct err *e)
{
    struct buf form = {0};
    int64_t since = 3600000;

    if (t->since && duration_parse(str_of(t->since), &since, e) < 0)
        return err_ctx(e, "--since");
    client_param(&form, "query", str_of(t->query));
    client_param(&form, "limit", str_of(t->limit));
    buf_printf(&form, "&start=%lld000000", (long long)(clock_wall_ms() - since));
    buf_z(&form);
    buf_printf(url, "%s/loki/api/v1/tail?%s", c->url, form.p);
    buf_release(&form);
    return 0;
}

static int follow(const struct tail *t, struct websocket_client *w, struct err *e)
{
    bool colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    struct str text;
    int code;

    while ((code = websocket_next(w, &text, e)) == 0) {
        cJSON *frame;

        if (t->json) {
            printf("%.*s\n", STR_ARG(text));
            fflush(stdout);
            continue;
        }
        frame = cJSON_ParseWithLength(text.p, text.n);
        if (!frame)
            return err_set(e, ERR_INVALID, "a frame that is no JSON: %.*s", STR_ARG(str_head(text, 200)));
        print_tail_frame(frame, t->output, colours);
        cJSON_Delete(frame);
    }
    return code > 0 ? err_set(e, ERR_CANCELED, "closed by the server%s%.*s", text.n ? ": " : "", STR_ARG(text)) : code;
}

int cmd_tail(int argc, char **argv)
{
    struct client c;
    struct tail t = {.limit = "20"};
    struct buf url = {0};
    struct websocket_client *w = NULL;
    struct err e = {0};
    int code, status = EXIT_FAILED;

    client_init(&c);
    code = parse(argc, argv, &c, &t);
    if (code != 0)
        status = code > 0 ? usage(stdout, EXIT_FINE) : usage(stderr, EXIT_USAGE);
    else if (make_url(&c, &t, &url, &e) < 0 || websocket_connect(buf_str(&url), &w, &e) < 0 || follow(&t, w, &e) < 0)
        fprintf(stderr, "tripod tail: %s\n", e.text);
    websocket_client_free(w);
    buf_release(&url);
    client_release(&c);
    return status;
}
