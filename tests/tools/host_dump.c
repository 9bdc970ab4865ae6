/*
 * host_dump.c - prints what the host collector says.
 *
 *   host_dump [--procfs DIR] [--sysfs DIR] [--rootfs DIR] [--disabled A,B] [--no-containers] [--repeat N]
 *
 * With --repeat it collects N times, prints the last, and tells the processor time of one collection on stderr.
 */
#include "collector/host/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *need(int argc, char **argv, int *i)
{
    if (*i + 1 >= argc) {
        fprintf(stderr, "host_dump: %s wants a value\n", argv[*i]);
        exit(2);
    }
    return argv[++*i];
}

int main(int argc, char **argv)
{
    struct host_opts o = {0};
    bool containers = true;
    int repeat = 1, rc = 0;
    struct buf out = {0};
    struct host *h;
    struct err e;
    int64_t node_ns = 0, containers_ns = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--procfs") == 0)
            o.procfs = need(argc, argv, &i);
        else if (strcmp(argv[i], "--sysfs") == 0)
            o.sysfs = need(argc, argv, &i);
        else if (strcmp(argv[i], "--rootfs") == 0)
            o.rootfs = need(argc, argv, &i);
        else if (strcmp(argv[i], "--disabled") == 0)
            o.disabled = need(argc, argv, &i);
        else if (strcmp(argv[i], "--repeat") == 0)
            repeat = atoi(need(argc, argv, &i));
        else if (strcmp(argv[i], "--no-containers") == 0)
            containers = false;
        else {
            fprintf(stderr, "host_dump: what is %s?\n", argv[i]);
            return 2;
        }
    }
    h = host_new(&o);
    for (int i = 0; i < repeat && rc == 0; i++) {
        int64_t start = clock_thread_cpu_ns(), middle;

        buf_reset(&out);
        rc = host_collect_node(h, &out, &e);
        middle = clock_thread_cpu_ns();
        if (rc == 0 && containers)
            rc = host_collect_containers(h, &out, &e);
        node_ns += middle - start;
        containers_ns += clock_thread_cpu_ns() - middle;
    }
    fwrite(out.p, 1, out.n, stdout);
    if (rc < 0)
        fprintf(stderr, "host_dump: %s\n", e.text);
    if (repeat > 1)
        fprintf(stderr, "node %.3f ms, containers %.3f ms of processor time each\n", (double)node_ns / 1e6 / repeat,
                (double)containers_ns / 1e6 / repeat);
    buf_release(&out);
    host_free(h);
    return rc < 0;
}
