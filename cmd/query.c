/*
 * query.c - `tripod query`: asks a running Tripod, prints a table, a graph for the terminal, JSON or CSV.
 */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/query_explain.h"
#include "cmd/query_logs.h"
#include "query/logql/logql.h"
#include "query/query.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum output { OUT_TABLE, OUT_GRAPH, OUT_JSON, OUT_CSV, OUT_RAW };
enum { GRAPH_ROWS = 12, GRAPH_SERIES = 20 };

struct ask {
    const char *query, *time, *start, *end, *step, *since, *limit, *language;
    enum output output;
    bool explain, forward;
    bool logs; /* LogQL */
};

static int usage(FILE *to, int status)
{
    fputs("usage: tripod query [flags] 'EXPRESSION'\n\n"
          "  --url URL       where Tripod listens (TRIPOD_URL, http://127.0.0.1:9090)\n"
          "  --time T        instant to evaluate at: Unix seconds or RFC 3339 (now)\n"
          "  --since D       a range instead: the last 1h, 30m, 7d ...\n"
          "  --start T --end T --step D\n"
          "                  a range with its own ends and resolution\n"
          "  --language L    promql or logql; else what the expression can be, PromQL if both\n"
          "  --limit N       LogQL: at most so many records (100), the newest; --forward: the oldest\n"
          "  -o FORMAT       table, graph (ranges), json, csv, or raw (lines of records, nothing else)\n"
          "  --explain       what each part of the query cost, instead of its result\n\n"
          "Records are looked for in the last hour, unless a range is given.\n",
          to);
    return status;
}

static int parse(int argc, char **argv, struct client *c, struct ask *q)
{
    const char *out = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
        if (strcmp(argv[i], "--explain") == 0 || strcmp(argv[i], "--forward") == 0) {
            *(argv[i][2] == 'e' ? &q->explain : &q->forward) = true;
            continue;
        }
        if (client_flag(argc, argv, &i, "--url", &c->url) || client_flag(argc, argv, &i, "--time", &q->time) ||
            client_flag(argc, argv, &i, "--start", &q->start) || client_flag(argc, argv, &i, "--end", &q->end) ||
            client_flag(argc, argv, &i, "--step", &q->step) || client_flag(argc, argv, &i, "--since", &q->since) ||
            client_flag(argc, argv, &i, "--limit", &q->limit) || client_flag(argc, argv, &i, "--language", &q->language) ||
            client_flag(argc, argv, &i, "--output", &out) || client_flag(argc, argv, &i, "-o", &out))
            continue;
        if (argv[i][0] == '-' && argv[i][1] == '-')
            return -1;
        if (q->query)
            return -1;
        q->query = argv[i];
    }
    q->output = q->since || q->start ? OUT_GRAPH : OUT_TABLE;
    if (out) {
        static const char *const names[] = {"table", "graph", "json", "csv", "raw"};
        int k = 0;

        while (k < (int)ARRAY_LEN(names) && strcmp(out, names[k]) != 0)
            k++;
        if (k == (int)ARRAY_LEN(names))
            return -1;
        q->output = (enum output)k;
    }
    return q->query ? 0 : -1;
}

/* start, end and step of a range, ms; begins an hour ago where nothing is said. */
static int range_of(const struct ask *q, int64_t *start, int64_t *end, int64_t *step, struct err *e)
{
    int64_t since = 3600000;

    *end = clock_wall_ms();
    *step = 0;
    if (q->end && time_parse(str_of(q->end), end, e) < 0)
        return err_ctx(e, "--end");
    if (q->since && duration_parse(str_of(q->since), &since, e) < 0)
        return err_ctx(e, "--since");
    *start = *end - since;
    if (!q->since && q->start && time_parse(str_of(q->start), start, e) < 0)
        return err_ctx(e, "--start");
    if (q->step && duration_parse(str_of(q->step), step, e) < 0)
        return err_ctx(e, "--step");
    if (*step <= 0)
        *step = MAX((*end - *start) / 60, 1000); /* about a terminal's width of points */
    return 0;
}

static void range_params(struct buf *form, int64_t start, int64_t end, int64_t step)
{
    char text[64];

    client_param(form, "start", str_n(text, num_fmt_ms(start, text)));
    client_param(form, "end", str_n(text, num_fmt_ms(end, text)));
    client_param(form, "step", str_n(text, num_fmt_ms(step, text)));
}

/* The form of the call; *path is set to the endpoint. */
static int make_form(const struct ask *q, struct buf *form, const char **path, struct err *e)
{
    bool range = q->since || q->start;
    int64_t start, end, step;

    client_param(form, "query", str_of(q->query));
    *path = q->explain ? "/api/v1/explain" : range ? "/api/v1/query_range" : "/api/v1/query";
    if (!range) {
        if (q->time)
            client_param(form, "time", str_of(q->time));
        return 0;
    }
    if (range_of(q, &start, &end, &step, e) < 0)
        return e->code;
    range_params(form, start, end, step);
    return 0;
}

/* The same for LogQL. Records come from a range always; the decimal point tells seconds from nanoseconds. */
static int make_logs_form(const struct ask *q, bool records, struct buf *form, const char **path, struct err *e)
{
    int64_t start, end, step;

    client_param(form, "query", str_of(q->query));
    if (!records && !q->since && !q->start) {
        *path = "/loki/api/v1/query";
        if (q->time)
            client_param(form, "time", str_of(q->time));
        return 0;
    }
    *path = "/loki/api/v1/query_range";
    if (range_of(q, &start, &end, &step, e) < 0)
        return e->code;
    buf_printf(form, "&start=%lld000000&end=%lld000000&step=%lldms&limit=%s&direction=%s", (long long)start, (long long)end, (long long)step,
               q->limit ? q->limit : "100", q->forward ? "forward" : "backward");
    return 0;
}

/*
 * Which language: what --language says, else what the text is. Some text is both ({job="a"}, rate({job="a"}[5m])): PromQL, unless only
 * records can be meant by -o raw, --limit or --forward. *records: LogQL for records, not for numbers.
 */
static int guess_language(struct ask *q, bool *records, struct err *e)
{
    struct arena a = {0};
    struct logql_tree tree;
    struct node *tree_promql;
    struct promql_parse_error *errors;
    uint32_t nerrors;
    struct err other = {0};
    int code = 0;
    bool is_logql = logql_parse(&a, str_of(q->query), &tree, e) == 0;

    *records = is_logql && tree.root->kind == LOGQL_LOG;
    if (is_logql)
        logql_release(&tree);
    if (q->language) {
        q->logs = strcmp(q->language, "logql") == 0;
        if (!q->logs && strcmp(q->language, "promql") != 0)
            code = err_set(e, ERR_INVALID, "--language %s: promql or logql", q->language);
        else if (q->logs && !is_logql)
            code = ERR_INVALID;
    } else {
        q->logs = is_logql && (q->limit || q->forward || q->output == OUT_RAW ||
                               promql_parse(&a, str_of(q->query), &tree_promql, &errors, &nerrors, &other) < 0);
    }
    arena_release(&a);
    return code;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(cJSON *const *)a)->string, (*(cJSON *const *)b)->string);
}

/* name{a="b"} of a "metric" object. */
static void series_name(cJSON *metric, struct buf *out)
{
    cJSON *v[256], *item;
    int n = 0, put = 0;
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metric, LABEL_NAME));

    buf_reset(out);
    if (name)
        buf_putz(out, name);
    cJSON_ArrayForEach(item, metric) if (n < 256 && strcmp(item->string, LABEL_NAME) != 0) v[n++] = item;
    qsort(v, (size_t)n, sizeof v[0], by_name);
    if (n || !name)
        buf_putc(out, '{');
    for (int i = 0; i < n; i++) {
        buf_printf(out, "%s%s=", put++ ? ", " : "", v[i]->string);
        json_put_string(out, str_of(cJSON_GetStringValue(v[i])));
    }
    if (n || !name)
        buf_putc(out, '}');
    buf_z(out);
}

static const char *point_value(cJSON *pair)
{
    const char *v = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 1));

    return v ? v : "{histogram}";
}

static void print_time(FILE *to, double s)
{
    time_t t = (time_t)s;
    struct tm tm;
    char text[32];

    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
    fprintf(to, "%s.%03d", text, (int)(fmod(s, 1) * 1000));
}

static void print_table(cJSON *result)
{
    struct buf name = {0};
    cJSON *s, *pair;
    int width = 10;

    cJSON_ArrayForEach(s, result) {
        series_name(cJSON_GetObjectItem(s, "metric"), &name);
        width = MAX(width, (int)MIN(name.n, 100));
    }
    cJSON_ArrayForEach(s, result) {
        cJSON *values = cJSON_GetObjectItem(s, "values"), *value = cJSON_GetObjectItem(s, "value");

        series_name(cJSON_GetObjectItem(s, "metric"), &name);
        if (value) {
            printf("%-*s  %s\n", width, name.p, point_value(value));
            continue;
        }
        printf("%s\n", name.p);
        cJSON_ArrayForEach(pair, values) {
            printf("    ");
            print_time(stdout, cJSON_GetNumberValue(cJSON_GetArrayItem(pair, 0)));
            printf("  %s\n", point_value(pair));
        }
    }
    buf_release(&name);
}

static void csv_field(struct buf *out, struct str s)
{
    bool quote = str_chr(s, ',') >= 0 || str_chr(s, '"') >= 0 || str_chr(s, '\n') >= 0;

    if (quote)
        buf_putc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_putc(out, '"');
        buf_putc(out, s.p[i]);
    }
    if (quote)
        buf_putc(out, '"');
}

static void print_csv(cJSON *result)
{
    struct buf name = {0}, line = {0};
    cJSON *s, *pair;

    printf("series,time,value\n");
    cJSON_ArrayForEach(s, result) {
        cJSON *values = cJSON_GetObjectItem(s, "values"), *value = cJSON_GetObjectItem(s, "value");

        series_name(cJSON_GetObjectItem(s, "metric"), &name);
        buf_reset(&line);
        csv_field(&line, buf_str(&name));
        buf_z(&line);
        if (value)
            printf("%s,%.3f,%s\n", line.p, cJSON_GetNumberValue(cJSON_GetArrayItem(value, 0)), point_value(value));
        cJSON_ArrayForEach(pair, values)
            printf("%s,%.3f,%s\n", line.p, cJSON_GetNumberValue(cJSON_GetArrayItem(pair, 0)), point_value(pair));
    }
    buf_release(&name);
    buf_release(&line);
}

static int terminal_columns(void)
{
    struct winsize w;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40 ? w.ws_col : 100;
}

/* One series as rows of block characters, an eighth of a cell fine. */
static void print_graph(cJSON *values, int columns)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    int n = cJSON_GetArraySize(values), width = MIN(columns - 14, n), k = 0;
    double *v, low = INFINITY, high = -INFINITY;
    cJSON *pair;

    if (n == 0 || width < 1)
        return;
    v = x_alloc(sizeof *v * (size_t)width);
    for (int i = 0; i < width; i++)
        v[i] = NAN;
    cJSON_ArrayForEach(pair, values) {
        double x = strtod(point_value(pair), NULL);
        int at = (int)((int64_t)k++ * width / n);

        if (isfinite(x) && (isnan(v[at]) || x > v[at]))
            v[at] = x;
    }
    for (int i = 0; i < width; i++)
        if (isfinite(v[i]))
            low = fmin(low, v[i]), high = fmax(high, v[i]);
    if (low > 0 && low / high < 0.7)
        low = 0; /* a sensible base */
    for (int row = GRAPH_ROWS - 1; row >= 0; row--) {
        if (row == GRAPH_ROWS - 1 || row == 0)
            printf("%12.5g ", row ? high : low);
        else
            printf("%13s", "");
        for (int i = 0; i < width; i++) {
            double cells = high > low ? (v[i] - low) / (high - low) * GRAPH_ROWS : 1;
            int eighths = isfinite(v[i]) ? (int)lround((cells - row) * 8) : 0;

            fputs(blocks[MAX(0, MIN(8, row == 0 && isfinite(v[i]) ? MAX(1, eighths) : eighths))], stdout);
        }
        putchar('\n');
    }
    free(v);
}

static void print_graphs(cJSON *result)
{
    struct buf name = {0};
    cJSON *s;
    int n = 0;

    cJSON_ArrayForEach(s, result) {
        if (n++ == GRAPH_SERIES) {
            printf("... and %d more series (-o table shows all)\n", cJSON_GetArraySize(result) - GRAPH_SERIES);
            break;
        }
        series_name(cJSON_GetObjectItem(s, "metric"), &name);
        printf("%s\n", name.p);
        print_graph(cJSON_GetObjectItem(s, "values"), terminal_columns());
    }
    buf_release(&name);
}

static void print_notes(cJSON *doc, const char *key)
{
    cJSON *note;

    cJSON_ArrayForEach(note, cJSON_GetObjectItem(doc, key)) fprintf(stderr, "%s: %s\n", key, cJSON_GetStringValue(note));
}

static void print_answer(const struct ask *q, cJSON *doc, cJSON *data)
{
    cJSON *result = cJSON_GetObjectItem(data, "result");
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItem(data, "resultType"));

    if (q->output == OUT_JSON) {
        char *text = cJSON_PrintUnformatted(data);

        puts(text ? text : "");
        cJSON_free(text);
        return;
    }
    print_notes(doc, "warnings");
    print_notes(doc, "infos");
    if (q->explain) {
        print_explain(data);
        return;
    }
    if (type && strcmp(type, "streams") == 0) {
        static const enum log_output outs[] = {[OUT_CSV] = LOG_OUT_CSV, [OUT_RAW] = LOG_OUT_RAW};

        if (cJSON_GetArraySize(result) == 0)
            fputs("no records\n", stderr);
        else
            print_streams(result, q->output == OUT_CSV || q->output == OUT_RAW ? outs[q->output] : LOG_OUT_TABLE,
                          isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
        return;
    }
    if (type && (strcmp(type, "scalar") == 0 || strcmp(type, "string") == 0))
        printf("%s\n", point_value(result));
    else if (cJSON_GetArraySize(result) == 0)
        fputs(q->query[0] == '{' && !q->logs ? "no series (for records: --language logql)\n" : "no series\n", stderr);
    else if (q->output == OUT_CSV)
        print_csv(result);
    else if (q->output == OUT_GRAPH && type && strcmp(type, "matrix") == 0)
        print_graphs(result);
    else
        print_table(result);
}

static int ask(struct client *c, struct ask *q, cJSON **doc, cJSON **data, struct err *e)
{
    struct buf form = {0};
    const char *path = NULL;
    bool records;
    int code = guess_language(q, &records, e);

    if (code == 0)
        code = q->logs && !q->explain ? make_logs_form(q, records, &form, &path, e) : make_form(q, &form, &path, e);
    if (code == 0)
        code = client_call(c, path, &form, doc, data, e);
    buf_release(&form);
    return code;
}

int cmd_query(int argc, char **argv)
{
    struct client c;
    struct ask q = {0};
    struct err e = {0};
    cJSON *doc = NULL, *data = NULL;
    int status = EXIT_FINE, code;

    client_init(&c);
    code = parse(argc, argv, &c, &q);
    if (code != 0) {
        status = code > 0 ? usage(stdout, EXIT_FINE) : usage(stderr, EXIT_USAGE);
    } else if (ask(&c, &q, &doc, &data, &e) < 0) {
        fprintf(stderr, "tripod query: %s\n", e.text);
        status = EXIT_FAILED;
    } else {
        print_answer(&q, doc, data);
    }
    cJSON_Delete(doc);
    client_release(&c);
    return status;
}
