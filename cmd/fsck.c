/*
 * fsck.c - `tripod fsck`: is everything in a data directory what was written, and (--deep) does it make sense?
 *
 * (1) Nothing is changed, and no tripod may be using the directory.
 * (2) What was checked is said, a line a file and step: "no damage" means no more than that.
 * (3) Days are decoded in a child process: whatever lies in these files, it is said and not died of.
 */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "logstore/logstore.h"
#include "store/store.h"
#include "tsdb/tsdb.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT_MAX = 100, STATUS_FAILED = COUNT_MAX + 1 };

static void print_line(void *arg, const char *line)
{
    fprintf(arg, "%s\n", line);
}

/* Every day of every signal, read by the code that queries use. The number of damaged days, or <0. */
static int verify_deep(const char *data, FILE *out, struct err *e)
{
    struct logstore_opts lo;
    struct store_opts so;
    struct tsdb_opts to;
    struct logstore *logs = NULL;
    struct store *s = NULL;
    struct tsdb *db = NULL;
    int rc;

    store_opts_default(&so);
    tsdb_opts_default(&to);
    logstore_opts_default(&lo);
    so.dir = data;
    so.read_only = true;
    rc = store_open(&so, &s, e);
    if (rc == 0)
        rc = tsdb_new(s, &to, &db, e);
    if (rc == 0)
        rc = logstore_new(s, &lo, &logs, e);
    if (rc == 0)
        rc = store_verify(s, print_line, out, e);
    store_close(s);
    tsdb_free(db);
    logstore_free(logs);
    return rc;
}

/* (3). The number of damaged days, counted up to COUNT_MAX, or <0. */
static int verify_in_child(const char *data, struct err *e)
{
    int status;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        int n = verify_deep(data, stdout, e);

        if (n < 0)
            fprintf(stderr, "tripod fsck: %s\n", e->text);
        fflush(stdout);
        _exit(n < 0 ? STATUS_FAILED : n < COUNT_MAX ? n : COUNT_MAX);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return err_sys(e, errno, "cannot run the check of the contents");
    if (WIFSIGNALED(status))
        return err_set(e, ERR_CORRUPT, "the check of the contents died of signal %d: the file behind the last line above is damaged", WTERMSIG(status));
    if (WEXITSTATUS(status) > COUNT_MAX)
        return err_set(e, ERR_CORRUPT, "the contents could not be checked");
    return WEXITSTATUS(status);
}

static int usage(FILE *to, int status)
{
    fputs("usage: tripod fsck [--deep] [--data] DIR\n\nReads every file of a data directory that no tripod is using: the pages of each, that every one is where it\n"
          "belongs, and the checksum of every value. Prints a line a file. Changes nothing.\n\n"
          "  --deep   also decodes every day of metrics, aggregates and logs: are series and streams known, rows in order, every\n"
          "           block readable, do postings, totals, counts by minute and filters agree with the rows?\n\n"
          "Exit status 1 when something is damaged.\n",
          to);
    return status;
}

int cmd_fsck(int argc, char **argv)
{
    const char *data = NULL;
    struct err e = {0};
    int damaged, inside = 0;
    bool deep = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--deep") == 0)
            deep = true;
        else if (argv[i][0] != '-' && !data)
            data = argv[i];
        else if (!client_flag(argc, argv, &i, "--data", &data))
            return strcmp(argv[i], "--help") == 0 ? usage(stdout, EXIT_FINE) : usage(stderr, EXIT_USAGE);
    }
    if (!data)
        data = "data";
    damaged = store_fsck(data, print_line, stdout, &e);
    if (damaged >= 0 && deep) {
        puts("deep: every day is decoded");
        inside = verify_in_child(data, &e);
    }
    if (damaged < 0 || inside < 0) {
        fprintf(stderr, "tripod fsck: %s\n", e.text);
        return EXIT_FAILED;
    }
    printf("%d damaged files\n", damaged);
    if (deep)
        printf("%d days whose contents are damaged\n", inside);
    else
        puts("checked: pages and checksums of every file. What they hold was not decoded: --deep does that");
    return damaged || inside ? EXIT_FAILED : EXIT_FINE;
}
