/* check.c - `tripod check FILE...`: is this configuration one that `tripod serve` would take? */
#include "cmd/commands.h"
#include "cmd/options.h"

#include <stdio.h>

int cmd_check(int argc, char **argv)
{
    int bad = 0;

    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        FILE *to = argc < 2 ? stderr : stdout;

        fputs("usage: tripod check FILE...\n\nReads configuration files as `tripod serve --config` would, prints what is wrong and where.\n", to);
        return argc < 2 ? EXIT_USAGE : EXIT_FINE;
    }
    for (int i = 1; i < argc; i++) {
        struct options o;
        struct config *c = NULL;
        struct err e = {0};

        options_default(&o);
        o.config_path = argv[i];
        if (config_load(&o, true, &c, &e) < 0) {
            printf("%s: FAILED\n  %s\n", argv[i], e.text);
            bad++;
            continue;
        }
        printf("%s: fine, %u scrape configurations, %u of log files\n", argv[i], c->scrape->n, files_config_jobs(c->files));
        config_free(c);
    }
    return bad ? EXIT_FAILED : EXIT_FINE;
}
