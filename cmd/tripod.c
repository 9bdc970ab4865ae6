/* tripod.c - main: one table of sub-commands. */
#include "base/base.h"
#include "cmd/commands.h"

#include <signal.h>
#include <stdio.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"serve", cmd_serve, "run the appliance"},
    {"query", cmd_query, "ask a running one: table, graph, JSON or CSV"},
    {"tail", cmd_tail, "logs as they come in"},
    {"status", cmd_status, "how a running one is doing"},
    {"check", cmd_check, "check configuration files"},
    {"backup", cmd_backup, "copy a data directory consistently, running or not"},
    {"restore", cmd_restore, "make a data directory from a backup"},
    {"fsck", cmd_fsck, "verify every file of a data directory"},
    {"dump", cmd_dump, "print what a journal, partition or state file holds"},
    {"import", cmd_import, "send log files with history to a running one"},
    {"bench", cmd_bench, "measure ingest and queries on this machine"},
};

static void usage(FILE *to)
{
    fputs("usage: tripod COMMAND [flags]      (tripod COMMAND --help tells more)\n\n", to);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs("\n  tripod --version\n", to);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    crash_setup();
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (str_eqz(str_of(argv[1]), "--version") || str_eqz(str_of(argv[1]), "version")) {
        printf("tripod %s\n", TRIPOD_VERSION);
        return EXIT_FINE;
    }
    if (str_eqz(str_of(argv[1]), "--help") || str_eqz(str_of(argv[1]), "-h") || str_eqz(str_of(argv[1]), "help")) {
        usage(stdout);
        return EXIT_FINE;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (str_eqz(str_of(argv[1]), commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "tripod: no command \"%s\"\n\n", argv[1]);
    usage(stderr);
    return EXIT_USAGE;
}
