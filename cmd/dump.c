/* dump.c - `tripod dump FILE`: what a journal, partition or state file holds, for people. */
#include "cmd/client.h"
#include "cmd/commands.h"
#include "store/dump.h"

#include <stdio.h>

static void print_line(void *arg, const char *line)
{
    fprintf(arg, "%s\n", line);
}

int cmd_dump(int argc, char **argv)
{
    const char *path = NULL;
    struct err e = {0};
    bool bytes = false, help = false, bad = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bytes") == 0)
            bytes = true;
        else if (strcmp(argv[i], "--help") == 0)
            help = true;
        else if (argv[i][0] == '-' || path)
            bad = true;
        else
            path = argv[i];
    }
    if (!path || bad || help) {
        fputs("usage: tripod dump [--bytes] FILE\n\nPrints what a file of a data directory holds: entries of journal/*.mdb, keys and sizes of metrics/*.mdb and\n"
              "state.mdb. Changes nothing. --bytes adds the values in hexadecimal.\n",
              help ? stdout : stderr);
        return help ? EXIT_FINE : EXIT_USAGE;
    }
    if (dump_file(path, bytes, print_line, stdout, &e) < 0) {
        fprintf(stderr, "tripod dump: %s\n", e.text);
        return EXIT_FAILED;
    }
    return EXIT_FINE;
}
