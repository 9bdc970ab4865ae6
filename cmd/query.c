/*
 * query.c - `tripod query`: asks a running Tripod, prints a table, a graph for the terminal, JSON or CSV.
 */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/query_explain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum output { OUT_TABLE, OUT_GRAPH, OUT_JSON, OUT_CSV };
enum { GRAPH_ROWS = 12, GRAPH_SERIES = 20 };

struct ask {
    const char *query, *time, *start, *end, *step, *since;
    enum output output;
    bool explain;
};

static int usage(FILE *to, int status)
{
    fputs("usage: tripod query [flags] 'EXPRESSION'\n\n"
          "  --url URL       where Tripod listens (TRIPOD_URL, http://127.0.0.1:9090)\n"
          "  --time T        instant to evaluate at: Unix seconds or RFC 3339 (now)\n"
          "  --since D       a range instead: the last 1h, 30m, 7d ...\n"
          "  --start T --end T --step D\n"
          "                  a range with its own ends and resolution\n"
          "  -o FORMAT       table, graph (ranges), json or csv\n"
          "  --explain       what each part of the query cost, instead of its result\n",
          to);
    return status;
}

static int parse(int argc, char **argv, struct client *c, struct ask *q)
{
    const char *out = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
        if (strcmp(argv[i], "--explain") == 0) {
            q->explain = true;
            continue;
        }
        if (client_flag(argc, argv, &i, "--url", &c->url) || client_flag(argc, argv, &i, "--time", &q->time) ||
            client_flag(argc, argv, &i, "--start", &q->start) || client_flag(argc, argv, &i, "--end", &q->end) ||
            client_flag(argc, argv, &i, "--step", &q->step) || client_flag(argc, argv, &i, "--since", &q->since) ||
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
        static const char *const names[] = {"table", "graph", "json", "csv"};
        int k = 0;

        while (k < 4 && strcmp(out, names[k]) != 0)
            k++;
        if (k == 4)
            return -1;
        q->output = (enum output)k;
    }
    return q->query ? 0 : -1;
}

/* The form of the call; *path is set to the endpoint. */
static int make_form(const struct ask *q, struct buf *form, const char **path, struct err *e)
{
    char text[64];
    int64_t since, now = clock_wall_ms(), start, end = now, step = 0;

    client_param(form, "query", str_of(q->query));
    *path = q->explain ? "/api/v1/explain" : "/api/v1/query";
    if (!q->since && !q->start) {
        if (q->time)
            client_param(form, "time", str_of(q->time));
        return 0;
    }
    if (!q->explain)
        *path = "/api/v1/query_range";
    if (q->end && time_parse(str_of(q->end), &end, e) < 0)
        return err_ctx(e, "--end");
    if (q->since) {
        if (duration_parse(str_of(q->since), &since, e) < 0)
            return err_ctx(e, "--since");
        start = end - since;
    } else if (time_parse(str_of(q->start), &start, e) < 0) {
        return err_ctx(e, "--start");
    }
    if (q->step && duration_parse(str_of(q->step), &step, e) < 0)
        return err_ctx(e, "--step");
    if (step <= 0)
        step = MAX((end - start) / 60, 1000); /* about a terminal's width of points */
    client_param(form, "start", str_n(text, num_fmt_ms(start, text)));
    client_param(form, "end", str_n(text, num_fmt_ms(end, text)));
    client_param(form, "step", str_n(text, num_fmt_ms(step, text)));
    return 0;
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
    if (type && (strcmp(type, "scalar") == 0 || strcmp(type, "string") == 0))
        printf("%s\n", point_value(result));
    else if (cJSON_GetArraySize(result) == 0)
        fputs("no series\n", stderr);
    else if (q->output == OUT_CSV)
        print_csv(result);
    else if (q->output == OUT_GRAPH && type && strcmp(type, "matrix") == 0)
        print_graphs(result);
    else
        print_table(result);
}

int cmd_query(int argc, char **argv)
{
    struct client c;
    struct ask q = {0};
    struct buf form = {0};
    struct err e = {0};
    cJSON *doc = NULL, *data;
    const char *path;
    int status = EXIT_FINE, code;

    client_init(&c);
    code = parse(argc, argv, &c, &q);
    if (code != 0) {
        status = code > 0 ? usage(stdout, EXIT_FINE) : usage(stderr, EXIT_USAGE);
    } else if (make_form(&q, &form, &path, &e) < 0 || client_call(&c, path, &form, &doc, &data, &e) < 0) {
        fprintf(stderr, "tripod query: %s\n", e.text);
        status = EXIT_FAILED;
    } else {
        print_answer(&q, doc, data);
    }
    cJSON_Delete(doc);
    buf_release(&form);
    client_release(&c);
    return status;
}
