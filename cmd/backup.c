/*
 * backup.c - `tripod backup` and `tripod restore`.
 *
 * A backup of a data directory in use is made by the process that uses it (its snapshot call) and copied out; one that
 * lies still is opened here.
 */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "cmd/files.h"
#include "cmd/options.h"

#include <stdio.h>
#include <unistd.h>

static void say_copied(const char *path, uint64_t bytes)
{
    fprintf(stderr, "  %10.1f MB  %s\n", (double)bytes / 1e6, path);
}

static int backup_usage(FILE *to, int status)
{
    fputs("usage: tripod backup [--data DIR] [--url URL] TO\n\n"
          "Makes a consistent copy of the data directory in the new folder TO. When a tripod runs on it, that one is asked\n"
          "(at --url, TRIPOD_URL or http://127.0.0.1:9090) for a snapshot, which is then copied.\n",
          to);
    return status;
}

/* The directory lies still: open it, as a start would, and copy. */
static int backup_closed(const char *data, const char *to, struct err *e)
{
    struct options o;
    struct store *s = NULL;
    struct tsdb *db = NULL;
    struct logstore *logs = NULL;
    int code;

    options_default(&o);
    o.data_dir = data;
    options_finish(&o);
    if (access(data, R_OK) < 0)
        return err_set(e, ERR_NOT_FOUND, "no data directory %s", data);
    code = store_open(&o.store, &s, e);
    if (code == 0)
        code = tsdb_new(s, &o.tsdb, &db, e);
    if (code == 0)
        code = logstore_new(s, &o.logs, &logs, e);
    if (code == 0)
        code = store_recover(s, e);
    if (code == 0)
        code = store_start(s, e);
    if (code == 0)
        code = store_backup(s, to, true, e);
    store_close(s);
    tsdb_free(db);
    logstore_free(logs);
    return code;
}

static int backup_running(struct client *c, const char *data, const char *to, struct err *e)
{
    struct buf none = {0};
    cJSON *doc, *answer;
    const char *name;
    struct str from;
    int code;

    if (client_call(c, "/api/v1/admin/tsdb/snapshot", &none, &doc, &answer, e) < 0)
        return e->code;
    name = cJSON_GetStringValue(cJSON_GetObjectItem(answer, "name"));
    from = arena_printf(&c->arena, "%s/snapshots/%s", data, name ? name : "");
    cJSON_Delete(doc);
    if (rename(from.p, to) == 0) /* same file system: nothing to copy */
        return 0;
    code = copy_tree(from.p, to, say_copied, e);
    return code < 0 ? err_ctx(e, "snapshot %s", from.p) : 0;
}

int cmd_backup(int argc, char **argv)
{
    struct client c;
    struct err e = {0};
    const char *data = "data", *to = NULL;
    int code;

    client_init(&c);
    for (int i = 1; i < argc; i++) {
        if (client_flag(argc, argv, &i, "--data", &data) || client_flag(argc, argv, &i, "--url", &c.url))
            continue;
        if (argv[i][0] == '-' || to) {
            client_release(&c);
            return strcmp(argv[i], "--help") == 0 ? backup_usage(stdout, EXIT_FINE) : backup_usage(stderr, EXIT_USAGE);
        }
        to = argv[i];
    }
    if (!to) {
        client_release(&c);
        return backup_usage(stderr, EXIT_USAGE);
    }
    if (!folder_is_free(to)) {
        code = err_set(&e, ERR_EXISTS, "%s is there already and not empty", to);
    } else {
        code = backup_closed(data, to, &e);
        if (code == ERR_BUSY)
            code = backup_running(&c, data, to, &e);
    }
    client_release(&c);
    if (code < 0) {
        fprintf(stderr, "tripod backup: %s\n", e.text);
        return EXIT_FAILED;
    }
    printf("backed up %s to %s\n", data, to);
    return EXIT_FINE;
}

static void print_line(void *arg, const char *line)
{
    fprintf(arg, "%s\n", line);
}

int cmd_restore(int argc, char **argv)
{
    const char *data = "data", *from = NULL;
    struct err e = {0};
    bool help = false;
    int damaged;

    for (int i = 1; i < argc; i++) {
        if (client_flag(argc, argv, &i, "--data", &data))
            continue;
        help |= strcmp(argv[i], "--help") == 0;
        from = argv[i][0] == '-' || from ? "" : argv[i];
    }
    if (!from || !*from || help) {
        FILE *to = help ? stdout : stderr;

        fputs("usage: tripod restore [--data DIR] FROM\n\nMakes the data directory DIR (new or empty) from the backup in FROM, and verifies it.\n", to);
        return help ? EXIT_FINE : EXIT_USAGE;
    }
    if (!folder_is_free(data)) {
        fprintf(stderr, "tripod restore: %s is there already and not empty; nothing was changed\n", data);
        return EXIT_FAILED;
    }
    if (copy_tree(from, data, say_copied, &e) < 0 || (damaged = store_fsck(data, print_line, stderr, &e)) < 0) {
        fprintf(stderr, "tripod restore: %s\n", e.text);
        return EXIT_FAILED;
    }
    printf("restored %s from %s, %d damaged files\n", data, from, damaged);
    return damaged ? EXIT_FAILED : EXIT_FINE;
}

