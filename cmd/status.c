/* status.c - `tripod status`: a page of text about a running Tripod: version, health, what is stored, targets, queries. */
#include "cmd/client.h"
#include "cmd/commands.h"

#include <stdio.h>

static int usage(FILE *to, int status)
{
    fputs("usage: tripod status [--url URL]\n\nExit status 0: healthy; 1: it does not answer, or there are warnings.\n", to);
    return status;
}

static double number_at(cJSON *o, const char *key)
{
    cJSON *v = cJSON_GetObjectItem(o, key);

    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

static int fetch(struct client *c, const char *path, cJSON **doc, cJSON **data)
{
    struct err e = {0};

    if (client_call(c, path, NULL, doc, data, &e) == 0)
        return 0;
    fprintf(stderr, "tripod status: %s\n", e.text);
    return -1;
}

static int print_targets(struct client *c)
{
    cJSON *doc, *data, *t;
    int up = 0, n = 0;

    if (fetch(c, "/api/v1/targets?state=active", &doc, &data) < 0)
        return -1;
    cJSON_ArrayForEach(t, cJSON_GetObjectItem(data, "activeTargets")) {
        const char *health = cJSON_GetStringValue(cJSON_GetObjectItem(t, "health"));
        const char *error = cJSON_GetStringValue(cJSON_GetObjectItem(t, "lastError"));

        n++;
        up += health && strcmp(health, "up") == 0;
        if (health && strcmp(health, "down") == 0)
            printf("  down      %s: %s\n", cJSON_GetStringValue(cJSON_GetObjectItem(t, "scrapeUrl")), error ? error : "");
    }
    printf("targets     %d of %d up\n", up, n);
    cJSON_Delete(doc);
    return 0;
}

static int print_warnings(struct client *c)
{
    cJSON *doc, *data, *w;
    int n;

    if (fetch(c, "/api/v1/status/warnings", &doc, &data) < 0)
        return -1;
    n = cJSON_GetArraySize(data);
    cJSON_ArrayForEach(w, data) printf("warning     %s\n", cJSON_GetStringValue(cJSON_GetObjectItem(w, "text")));
    cJSON_Delete(doc);
    return n;
}

int cmd_status(int argc, char **argv)
{
    struct client c;
    cJSON *doc, *data;
    int warned = 0, status = EXIT_FAILED;

    client_init(&c);
    for (int i = 1; i < argc; i++) {
        if (client_flag(argc, argv, &i, "--url", &c.url))
            continue;
        client_release(&c);
        return strcmp(argv[i], "--help") == 0 ? usage(stdout, EXIT_FINE) : usage(stderr, EXIT_USAGE);
    }
    if (fetch(&c, "/api/v1/status/buildinfo", &doc, &data) < 0)
        goto out;
    printf("tripod      %s at %s\n", cJSON_GetStringValue(cJSON_GetObjectItem(data, "revision")), c.url);
    cJSON_Delete(doc);
    if (fetch(&c, "/api/v1/status/tsdb?limit=5", &doc, &data) < 0)
        goto out;
    printf("series      %.0f in memory, %.0f label pairs\n", number_at(cJSON_GetObjectItem(data, "headStats"), "numSeries"),
           number_at(cJSON_GetObjectItem(data, "headStats"), "numLabelPairs"));
    cJSON_Delete(doc);
    if (print_targets(&c) < 0 || (warned = print_warnings(&c)) < 0)
        goto out;
    printf("health      %s\n", warned ? "see the warnings" : "fine");
    status = warned ? EXIT_FAILED : EXIT_FINE;
out:
    client_release(&c);
    return status;
}
