/* host.h - this host as node_exporter would tell it, and its containers as cAdvisor would: exposition text 0.0.4. */
#ifndef COLLECTOR_HOST_H
#define COLLECTOR_HOST_H

#include "base/base.h"

/* What is known of a container beyond its cgroup. Both may stay empty. */
struct host_container {
    struct str name, image;
};

struct host_opts {
    const char *procfs, *sysfs, *rootfs; /* /proc, /sys, / ; tests point elsewhere */
    const char *disabled;                /* comma-separated collector names, or NULL */
    /*
     * Asked once for each container id (64 hex digits) until it answers true; what it hands out is copied. Called from
     * the thread that collects. NULL, or false from it: the container's folder under rootfs/var/lib/docker is read
     * instead.
     */
    bool (*container)(void *arg, struct str id, struct host_container *out);
    void *container_arg;
};
struct host;
struct host *host_new(const struct host_opts *o); /* NULL options: the real ones */
void host_free(struct host *h);
/* Appends node_* series. One caller at a time. A collector that fails says so in node_scrape_collector_success. */
int host_collect_node(struct host *h, struct buf *out, struct err *e);
/* Appends container_* series by cgroup (v1 and v2). */
int host_collect_containers(struct host *h, struct buf *out, struct err *e);

#endif
