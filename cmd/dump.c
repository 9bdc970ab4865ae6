/* dump.c - `tripod dump FILE`: what a journal, partition or state file holds, for people. */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "logstore/dump.h"
#include "logstore/logstore.h"
#include "store/dump.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void print_line(void *arg, const char *line)
{
    fprintf(arg, "%s\n", line);
}

/* DIR/logs/YYYY-MM-DD.mdb: the data directory and the day. */
static bool is_logs_day(const char *path, char *dir, size_t cap, int32_t *day)
{
    const char *name = strstr(path, "logs/");
    struct tm tm = {0};

    while (name && strstr(name + 1, "logs/"))
        name = strstr(name + 1, "logs/");
    if (!name || (name > path && name[-1] != '/') || !strptime(name + 5, "%Y-%m-%d", &tm) || strlen(name) != strlen("logs/2026-11-22.mdb"))
        return false;
    *day = day_of_ms((int64_t)timegm(&tm) * 1000);
    snprintf(dir, cap, "%.*s", (int)MIN(name - path, (ptrdiff_t)cap - 1), path);
    if (!*dir)
        snprintf(dir, cap, ".");
    return true;
}

/* Streams, slices and blocks of a day of logs, whose data directory may be in use. */
static int dump_blocks(const char *path, struct err *e)
{
    struct logstore_opts lo;
    struct store_opts so;
    struct store *s = NULL;
    struct logstore *ls = NULL;
    char dir[4096];
    int32_t day;
    int code;

    if (!is_logs_day(path, dir, sizeof dir, &day))
        return err_set(e, ERR_INVALID, "--blocks needs a file DIR/logs/YYYY-MM-DD.mdb");
    store_opts_default(&so);
    logstore_opts_default(&lo);
    so.dir = dir;
    so.read_only = true;
    code = store_open(&so, &s, e);
    if (code == 0)
        code = logstore_new(s, &lo, &ls, e);
    if (code == 0)
        code = store_recover(s, e);
    if (code == 0)
        code = logstore_dump(ls, day, true, print_line, stdout, e);
    store_close(s);
    logstore_free(ls);
    return code;
}

int cmd_dump(int argc, char **argv)
{
    const char *path = NULL;
    struct err e = {0};
    bool bytes = false, blocks = false, help = false, bad = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bytes") == 0)
            bytes = true;
        else if (strcmp(argv[i], "--blocks") == 0)
            blocks = true;
        else if (strcmp(argv[i], "--help") == 0)
            help = true;
        else if (argv[i][0] == '-' || path)
            bad = true;
        else
            path = argv[i];
    }
    if (!path || bad || help) {
        fputs("usage: tripod dump [--bytes | --blocks] FILE\n\nPrints what a file of a data directory holds: entries of journal/*.mdb, keys and sizes of metrics/*.mdb and\n"
              "state.mdb. Changes nothing. --bytes adds the values in hexadecimal.\n"
              "--blocks shows streams, slices, blocks and columns of logs/YYYY-MM-DD.mdb instead.\n",
              help ? stdout : stderr);
        return help ? EXIT_FINE : EXIT_USAGE;
    }
    if ((blocks ? dump_blocks(path, &e) : dump_file(path, bytes, print_line, stdout, &e)) < 0) {
        fprintf(stderr, "tripod dump: %s\n", e.text);
        return EXIT_FAILED;
    }
    return EXIT_FINE;
}
