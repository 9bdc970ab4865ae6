/* commands.h - the sub-commands. Each gets its own argv (argv[0] is its name) and returns the exit status. */
#ifndef CMD_COMMANDS_H
#define CMD_COMMANDS_H

int cmd_serve(int argc, char **argv);
int cmd_query(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_backup(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_fsck(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_tail(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_bench(int argc, char **argv);

/* Exit statuses, as people expect: 0 fine, 1 it failed or found something, 2 the command line was wrong. */
enum { EXIT_FINE, EXIT_FAILED, EXIT_USAGE };

#ifndef TRIPOD_VERSION
#define TRIPOD_VERSION "unknown"
#endif

#endif
