/*
 * import.c - `tripod import`: log files with history into a running Tripod: plain, JSON and logfmt lines, gzip and zstd.
 *
 * (1) A line is sent as it stands, byte for byte, also a carriage return at its end; its time is what stands in it (line_time.h), and of
 *     a line without one (the rest of a stack trace) that of the line before.
 * (2) Lines of one time are put a nanosecond apart, in their order: equal lines of one second, where a file knows no finer times, are
 *     not one record. The same file gets the same times again.
 * (3) A batch that was not taken is sent again; one that was taken twice counts once, since the store knows equal records. So an
 *     import that was broken off can be begun anew.
 */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/line_time.h"
#include "net/inflate.h"
#include "net/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TIMES = 4096, TIMES_WAYS = 4, READ_BYTES = 256 * 1024, BATCH_BYTES = 1 << 20, BATCH_ROWS = 20000, LABELS_MAX = 14, LINE_MAX_BYTES = 64 << 20, TRIES = 8 };

struct import {
    struct client c;
    struct label labels[LABELS_MAX + 1];
    uint32_t nlabels;
    const char *time_field;
    bool quiet, tty;

    /* Of the file at hand. */
    const char *path;
    struct line_time when;
    struct buf selector, stream, entry, stamp, body, wire, line;
    uint32_t rows;
    int64_t last_ns; /* of the last line that has a time */
    struct time_count {
        int64_t ns;
        uint64_t n, last; /* lines; the number of the last one */
    } times[TIMES][TIMES_WAYS]; /* how many lines a time had so far, by its hash: the latest thousands of times, since writers overtake each other */
    uint64_t size, read; /* of the file, compressed; size 0: not known */
    uint64_t lines, bytes, without_time, refused, batches;
    int64_t began_ms, shown_ms;
};

static int usage(FILE *to, int status)
{
    fputs("usage: tripod import [flags] FILE...      (- reads standard input)\n\n"
          "Sends log files to a running Tripod, with the times that stand in their lines. Plain, gzip and zstd.\n\n"
          "  --url URL          where Tripod listens (TRIPOD_URL, http://127.0.0.1:9090)\n"
          "  --label NAME=VALUE a label of the stream; may be repeated. filename is added, and job=\"import\" where none is given\n"
          "  --time-field NAME  where the time stands in JSON or logfmt lines, if not under a usual name\n"
          "  --quiet            no progress\n",
          to);
    return status;
}

static int add_label(struct import *m, const char *text, struct err *e)
{
    const char *eq = strchr(text, '=');

    if (!eq || !label_name_legacy(str_n(text, (size_t)(eq - text))))
        return err_set(e, ERR_INVALID, "--label %s: not NAME=VALUE", text);
    if (m->nlabels == LABELS_MAX)
        return err_set(e, ERR_LIMIT, "--label: at most %d", LABELS_MAX);
    m->labels[m->nlabels++] = (struct label){str_n(text, (size_t)(eq - text)), str_of(eq + 1)};
    return 0;
}

/* --- progress ------------------------------------------------------------------------------------------ */

static void show_progress(struct import *m, bool last)
{
    int64_t now = clock_mono_ms();
    double s = (double)MAX(now - m->began_ms, 1) / 1000;

    if (m->quiet || (!last && now - m->shown_ms < (m->tty ? 200 : 10000)))
        return;
    m->shown_ms = now;
    fputs(m->tty ? "\r" : "", stderr);
    if (m->size && !last) {
        int parts = (int)(m->read * 30 / MAX(m->size, 1));

        fprintf(stderr, "%3d %% [%.*s%.*s] ", (int)(m->read * 100 / m->size), MIN(parts, 30), "##############################", 30 - MIN(parts, 30),
                "                              ");
    }
    fprintf(stderr, "%s: %llu lines, %.1f MB, %.1f MB/s%s", m->path, (unsigned long long)m->lines, (double)m->bytes / 1e6, (double)m->bytes / 1e6 / s,
            last && m->tty ? "                                   " : "");
    if (last && m->without_time)
        fprintf(stderr, "; %llu lines without a time of their own", (unsigned long long)m->without_time);
    if (last && m->refused)
        fprintf(stderr, "; %llu batches were refused in part, see above", (unsigned long long)m->refused);
    if (last || !m->tty)
        fputc('\n', stderr);
}

/* --- batches -------------------------------------------------------------------------------------------- */

static void selector_begin(struct import *m, const char *path)
{
    bool job = false, filename = false;
    char *real = strcmp(path, "-") == 0 ? NULL : realpath(path, NULL);

    buf_reset(&m->selector);
    buf_putc(&m->selector, '{');
    for (uint32_t i = 0; i < m->nlabels; i++) {
        struct matcher eq = {.op = MATCH_EQ, .name = m->labels[i].name, .value = m->labels[i].value};

        job |= str_eqz(eq.name, "job") || str_eqz(eq.name, "service_name");
        filename |= str_eqz(eq.name, "filename");
        if (i)
            buf_putz(&m->selector, ", ");
        matcher_print(&m->selector, &eq);
    }
    if (!filename && real) {
        struct matcher eq = {.op = MATCH_EQ, .name = STR("filename"), .value = str_of(real)};

        if (m->selector.n > 1)
            buf_putz(&m->selector, ", ");
        matcher_print(&m->selector, &eq);
    }
    if (!job)
        buf_printf(&m->selector, "%sjob=\"import\"", m->selector.n > 1 ? ", " : "");
    buf_putc(&m->selector, '}');
    free(real);
}

static void batch_begin(struct import *m)
{
    buf_reset(&m->stream);
    wire_put_bytes(&m->stream, 1, buf_str(&m->selector));
    m->rows = 0;
}

/* Taken, refused in part (said once each), or worth another try. */
static int judge(struct import *m, const struct http_answer *a, struct err *e)
{
    if (a->code < 0)
        return err_set(e, ERR_AGAIN, "%s: %s", m->c.url, a->err.text);
    if (a->status == 204 || a->status == 200)
        return 0;
    if (a->status == 429 || a->status >= 500)
        return err_set(e, ERR_AGAIN, "%s: status %ld: %.*s", m->c.url, a->status, (int)MIN(a->body.n, 300), a->body.p ? a->body.p : "");
    if (a->status != 400)
        return err_set(e, ERR_INVALID, "%s: status %ld: %.*s", m->c.url, a->status, (int)MIN(a->body.n, 300), a->body.p ? a->body.p : "");
    fprintf(stderr, "%s%s: refused in part: %.*s\n", m->tty ? "\r" : "", m->path, (int)MIN(a->body.n, 1000), a->body.p ? a->body.p : "");
    m->refused++;
    return 0;
}

static int batch_send(struct import *m, struct err *e)
{
    const struct label headers[] = {{STR("Content-Type"), STR("application/x-protobuf")}, {STR("X-Tripod-Any-Age"), STR("1")}};
    struct http_call call = {.method = "POST", .headers = headers, .nheaders = ARRAY_LEN(headers), .timeout_ms = 120000};
    int code;

    if (m->rows == 0)
        return 0;
    buf_reset(&m->body);
    buf_reset(&m->wire);
    wire_put_bytes(&m->body, 1, buf_str(&m->stream));
    snappy_encode(&m->wire, buf_str(&m->body));
    for (unsigned i = 0;; i++) {
        struct http_answer a = {0};
        struct timespec pause = {(time_t)1 << MIN(i, 5), 0};

        arena_reset(&m->c.arena);
        call.url = arena_printf(&m->c.arena, "%s/loki/api/v1/push", m->c.url);
        call.body = buf_str(&m->wire);
        http_call_wait(m->c.http, &call, &m->c.arena, &a);
        code = judge(m, &a, e);
        if (code != ERR_AGAIN || i == TRIES)
            break;
        fprintf(stderr, "%s%s; trying again in %ld s\n", m->tty ? "\r" : "", e->text, (long)pause.tv_sec);
        nanosleep(&pause, NULL);
    }
    m->batches++;
    batch_begin(m);
    return code;
}

/* (2) */
static int64_t time_of(struct import *m, struct str line)
{
    struct time_count *set, *at;

    if (!line_time(&m->when, line, &m->last_ns))
        m->without_time++;
    at = set = m->times[(uint64_t)m->last_ns * 0x9e3779b97f4a7c15u >> 52];
    for (unsigned i = 0; i < TIMES_WAYS && at->ns != m->last_ns; i++)
        if (set[i].ns == m->last_ns || set[i].last < at->last)
            at = &set[i];
    if (at->ns != m->last_ns)
        *at = (struct time_count){.ns = m->last_ns};
    at->last = m->lines + 1;
    return m->last_ns + (int64_t)at->n++;
}

static int add_line(struct import *m, struct str line, struct err *e)
{
    int64_t ns;

    ns = time_of(m, line);
    buf_reset(&m->stamp);
    wire_put_varint(&m->stamp, 1, (uint64_t)(ns / 1000000000));
    wire_put_varint(&m->stamp, 2, (uint64_t)(ns % 1000000000));
    buf_reset(&m->entry);
    wire_put_bytes(&m->entry, 1, buf_str(&m->stamp));
    wire_put_bytes(&m->entry, 2, line);
    wire_put_bytes(&m->stream, 2, buf_str(&m->entry));
    m->lines++;
    m->bytes += line.n;
    m->rows++;
    return m->rows >= BATCH_ROWS || m->stream.n >= BATCH_BYTES ? batch_send(m, e) : 0;
}

/* --- files ----------------------------------------------------------------------------------------------- */

/* Decoded bytes: whole lines go out, what is left waits in m->line. */
static int take(struct import *m, struct str bytes, struct err *e)
{
    while (bytes.n) {
        const char *nl = memchr(bytes.p, '\n', bytes.n);
        size_t n = nl ? (size_t)(nl - bytes.p) : bytes.n;
        int code;

        if (m->line.n + n > LINE_MAX_BYTES)
            return err_set(e, ERR_LIMIT, "line %llu is longer than %d MiB", (unsigned long long)m->lines + 1, LINE_MAX_BYTES >> 20);
        if (!nl || m->line.n) {
            buf_put(&m->line, bytes.p, n);
            if (!nl)
                return 0;
            code = add_line(m, buf_str(&m->line), e);
            buf_reset(&m->line);
        } else {
            code = add_line(m, str_head(bytes, n), e);
        }
        if (code < 0)
            return code;
        bytes = str_from(bytes, n + 1);
    }
    return 0;
}

static int decode(struct import *m, struct inflater *f, struct str in, char *out, struct err *e)
{
    size_t n;

    do {
        if (inflater_run(f, &in, out, READ_BYTES, &n, e) < 0)
            return err_ctx(e, "behind line %llu", (unsigned long long)m->lines);
        if (take(m, str_n(out, n), e) < 0)
            return e->code;
        show_progress(m, false);
    } while (in.n || n == READ_BYTES);
    return 0;
}

static int read_all(struct import *m, int fd, struct err *e)
{
    char *raw = x_alloc(READ_BYTES), *out = x_alloc(READ_BYTES);
    struct inflater *f = NULL;
    ssize_t n;
    int code = 0;

    while (code == 0 && (n = read(fd, raw, READ_BYTES)) != 0) {
        if (n < 0) {
            code = errno == EINTR ? 0 : err_set(e, ERR_IO, "%s", strerror(errno));
            continue;
        }
        if (!f)
            f = inflater_new(inflater_guess(str_n(raw, (size_t)n)));
        m->read += (uint64_t)n;
        code = decode(m, f, str_n(raw, (size_t)n), out, e);
    }
    if (code == 0 && m->line.n)
        code = add_line(m, buf_str(&m->line), e);
    if (code == 0)
        code = batch_send(m, e);
    if (code == 0 && f && !inflater_at_end(f))
        code = err_set(e, ERR_INVALID, "the compressed data ends in the middle; what came before it is stored");
    inflater_free(f);
    free(raw);
    free(out);
    return code;
}

static int import_file(struct import *m, const char *path, struct err *e)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int code;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    m->path = path;
    m->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    m->read = m->lines = m->bytes = m->without_time = m->refused = 0;
    memset(m->times, 0, sizeof m->times);
    m->began_ms = clock_mono_ms();
    m->shown_ms = 0;
    buf_reset(&m->line);
    line_time_init(&m->when, m->time_field, clock_wall_ms() * 1000000);
    /* Lines before the first with a time: when the file was last written is the best there is. */
    m->last_ns = S_ISREG(st.st_mode) ? (int64_t)st.st_mtim.tv_sec * 1000000000 : clock_wall_ms() * 1000000;
    selector_begin(m, path);
    batch_begin(m);
    code = read_all(m, fd, e);
    if (fd != STDIN_FILENO)
        close(fd);
    show_progress(m, true);
    return code < 0 ? err_ctx(e, "%s", path) : 0;
}

int cmd_import(int argc, char **argv)
{
    static struct import m;
    struct err e = {0};
    const char *label = NULL, *files[1024];
    int nfiles = 0, status = EXIT_FINE;

    m.tty = isatty(STDERR_FILENO);
    client_init(&m.c);
    for (int i = 1; i < argc && status == EXIT_FINE; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            client_release(&m.c);
            return usage(stdout, EXIT_FINE);
        }
        if (strcmp(argv[i], "--quiet") == 0)
            m.quiet = true;
        else if (client_flag(argc, argv, &i, "--label", &label))
            status = add_label(&m, label, &e) < 0 ? EXIT_USAGE : EXIT_FINE;
        else if (client_flag(argc, argv, &i, "--url", &m.c.url) || client_flag(argc, argv, &i, "--time-field", &m.time_field))
            continue;
        else if ((argv[i][0] == '-' && argv[i][1]) || nfiles == (int)ARRAY_LEN(files))
            status = usage(stderr, EXIT_USAGE);
        else
            files[nfiles++] = argv[i];
    }
    if (status == EXIT_FINE && nfiles == 0)
        status = usage(stderr, EXIT_USAGE);
    for (int i = 0; i < nfiles && status == EXIT_FINE; i++)
        if (import_file(&m, files[i], &e) < 0)
            status = EXIT_FAILED;
    if (e.code)
        fprintf(stderr, "tripod import: %s\n", e.text);
    client_release(&m.c);
    buf_release(&m.selector);
    buf_release(&m.stream);
    buf_release(&m.entry);
    buf_release(&m.stamp);
    buf_release(&m.body);
    buf_release(&m.wire);
    buf_release(&m.line);
    return status;
}
