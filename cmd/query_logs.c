/*
 * query_logs.c - see query_logs.h.
 *
 * On a terminal control characters of a line are shown, not obeyed; into a file or a pipe every byte goes as it is.
 */
#include "cmd/query_logs.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { COMMON_MAX = 64 };

struct shown {
    const char *ns, *line;
    cJSON *labels;
    size_t place; /* in the answer: the order of equal times */
};

static int older_first(const void *a, const void *b)
{
    const struct shown *p = a, *q = b;
    size_t np = strlen(p->ns), nq = strlen(q->ns);
    int c = np != nq ? (np < nq ? -1 : 1) : strcmp(p->ns, q->ns);

    return c ? c : p->place > q->place ? -1 : 1; /* answers come newest first */
}

static const char *level_of(cJSON *labels)
{
    static const char *const names[] = {"detected_level", "level", "severity"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *v = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(labels, names[i]));

        if (v)
            return v;
    }
    return "";
}

static const char *colour_of(cJSON *labels)
{
    struct str v = str_of(level_of(labels));

    if (str_starts(v, STR("err")) || str_starts(v, STR("crit")) || str_starts(v, STR("fatal")))
        return "\033[31m";
    if (str_starts(v, STR("warn")))
        return "\033[33m";
    return str_starts(v, STR("debug")) || str_starts(v, STR("trace")) ? "\033[2m" : "";
}

static void print_time_ns(const char *ns)
{
    size_t n = strlen(ns);
    char seconds[32], text[32];
    time_t t;
    struct tm tm;

    snprintf(seconds, sizeof seconds, "%.*s", n > 9 ? (int)MIN(n - 9, sizeof seconds - 1) : 0, ns);
    t = (time_t)strtoll(seconds, NULL, 10);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
    printf("%s.%.3s", text, n > 9 ? ns + n - 9 : "000");
}

/* Is the label in the list of those that all streams have? */
static bool is_common(cJSON *label, cJSON *const *common, int ncommon)
{
    for (int i = 0; i < ncommon; i++)
        if (strcmp(common[i]->string, label->string) == 0)
            return true;
    return false;
}

static void put_labels(struct buf *out, cJSON *labels, cJSON *const *common, int ncommon)
{
    cJSON *l;
    int n = 0;

    cJSON_ArrayForEach(l, labels)
    {
        if (is_common(l, common, ncommon))
            continue;
        buf_printf(out, "%s%s=", n++ ? ", " : "{", l->string);
        json_put_string(out, str_of(cJSON_GetStringValue(l) ? l->valuestring : ""));
    }
    if (n)
        buf_putc(out, '}');
    buf_z(out);
}

static int find_common(cJSON *streams, cJSON **common)
{
    cJSON *first = cJSON_GetObjectItem(cJSON_GetArrayItem(streams, 0), "stream"), *l, *s;
    int n = 0;

    if (cJSON_GetArraySize(streams) < 2)
        return 0;
    cJSON_ArrayForEach(l, first)
    {
        bool all = cJSON_IsString(l);

        cJSON_ArrayForEach(s, streams)
        {
            const char *v = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(s, "stream"), l->string));

            all = all && v && strcmp(v, l->valuestring) == 0;
        }
        if (all && n < COMMON_MAX)
            common[n++] = l;
    }
    return n;
}

static void print_line(const char *line, bool terminal)
{
    if (!terminal) {
        fputs(line, stdout);
        return;
    }
    for (const unsigned char *p = (const unsigned char *)line; *p; p++) {
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
            printf("\xe2\x90%c", *p == 0x7f ? 0xa1 : 0x80 + *p); /* the picture of the character */
        else
            putchar(*p);
    }
}

static void csv_text(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"')
            putchar('"');
        putchar(*s);
    }
    putchar('"');
}

static void print_rows(struct shown *v, size_t n, enum log_output out, bool colours, cJSON *const *common, int ncommon)
{
    struct buf labels = {0};
    bool terminal = isatty(STDOUT_FILENO);

    for (size_t i = 0; i < n; i++) {
        buf_reset(&labels);
        put_labels(&labels, v[i].labels, common, ncommon);
        if (out == LOG_OUT_CSV) {
            printf("%s,", v[i].ns);
            csv_text(labels.p);
            putchar(',');
            csv_text(v[i].line);
        } else {
            const char *colour = colours ? colour_of(v[i].labels) : "";

            fputs(colour, stdout);
            if (out == LOG_OUT_TABLE) {
                print_time_ns(v[i].ns);
                printf("  %s%s", labels.p, labels.n ? "  " : "");
            }
            print_line(v[i].line, terminal);
            fputs(*colour ? "\033[0m" : "", stdout);
        }
        putchar('\n');
    }
    fflush(stdout);
    buf_release(&labels);
}

static size_t collect(cJSON *streams, struct shown **out)
{
    size_t n = 0, at = 0;
    cJSON *s, *e;

    cJSON_ArrayForEach(s, streams) n += (size_t)cJSON_GetArraySize(cJSON_GetObjectItem(s, "values"));
    *out = x_alloc(sizeof **out * (n + 1));
    cJSON_ArrayForEach(s, streams)
    {
        cJSON_ArrayForEach(e, cJSON_GetObjectItem(s, "values"))
        {
            const char *ns = cJSON_GetStringValue(cJSON_GetArrayItem(e, 0)), *line = cJSON_GetStringValue(cJSON_GetArrayItem(e, 1));

            if (ns && line) {
                (*out)[at] = (struct shown){ns, line, cJSON_GetObjectItem(s, "stream"), at};
                at++;
            }
        }
    }
    return at;
}

void print_streams(cJSON *streams, enum log_output out, bool colours)
{
    cJSON *common[COMMON_MAX];
    int ncommon = out == LOG_OUT_TABLE ? find_common(streams, common) : 0;
    struct shown *v;
    size_t n = collect(streams, &v);

    if (ncommon) {
        struct buf all = {0};

        for (int i = 0; i < ncommon; i++) {
            buf_printf(&all, "%s%s=", i ? ", " : "", common[i]->string);
            json_put_string(&all, str_of(common[i]->valuestring));
        }
        buf_z(&all);
        fprintf(stderr, "all: {%s}\n", all.p);
        buf_release(&all);
    }
    if (out == LOG_OUT_CSV)
        puts("time_ns,labels,line");
    qsort(v, n, sizeof *v, older_first);
    print_rows(v, n, out, colours, common, ncommon);
    free(v);
}

void print_tail_frame(cJSON *frame, enum log_output out, bool colours)
{
    int dropped = cJSON_GetArraySize(cJSON_GetObjectItem(frame, "dropped_entries"));
    struct shown *v;
    size_t n = collect(cJSON_GetObjectItem(frame, "streams"), &v);

    for (size_t i = 0; i < n; i++)
        v[i].place = n - i; /* frames come oldest first */
    qsort(v, n, sizeof *v, older_first);
    print_rows(v, n, out, colours, NULL, 0);
    if (dropped)
        fprintf(stderr, "%d records were left out: they came faster than they were read\n", dropped);
    free(v);
}
