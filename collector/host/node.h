/* node.h - what the collectors of collector/host share: reading the kernel's files, and the state they keep. Private.
 */
#ifndef COLLECTOR_HOST_NODE_H
#define COLLECTOR_HOST_NODE_H

#include "collector/host/emit.h"
#include "collector/host/host.h"

/* Files under /proc that stay open: one pread each time instead of a walk, an open and a close. */
enum proc_file {
    PROC_STAT,
    PROC_MEMINFO,
    PROC_LOADAVG,
    PROC_VMSTAT,
    PROC_DISKSTATS,
    PROC_SCHEDSTAT,
    PROC_MOUNTS,
    PROC_NET_DEV,
    PROC_NET_ARP,
    PROC_NET_NETSTAT,
    PROC_NET_SNMP,
    PROC_NET_SNMP6,
    PROC_NET_SOCKSTAT,
    PROC_NET_SOCKSTAT6,
    PROC_NET_SOFTNET,
    PROC_NET_UDP,
    PROC_NET_UDP6,
    PROC_NET_CONNTRACK,
    PROC_CONNTRACK_COUNT,
    PROC_CONNTRACK_MAX,
    PROC_PRESSURE_CPU,
    PROC_PRESSURE_IO,
    PROC_PRESSURE_MEMORY,
    PROC_FILE_NR,
    PROC_ENTROPY_AVAIL,
    PROC_ENTROPY_SIZE,
    PROC_FILES
};

enum { CPU_MODES = 10 };

struct cpu_times {
    unsigned id;
    double seconds[CPU_MODES];
};

struct watchdog;
struct containers;

struct host {
    /* Set by host_new. */
    int proc_fd, sys_fd, root_fd; /* O_PATH; -1 when the place does not exist */
    char *procfs, *sysfs, *rootfs;
    struct host_opts opts; /* only the callback is used after host_new */
    uint64_t disabled;     /* bit per row of the table */
    struct regex *skip_mounts, *skip_fstypes, *skip_disks;

    /* Of the thread that collects. */
    int files[PROC_FILES];  /* -1: not open now */
    struct buf text;        /* the file read last */
    struct buf small;       /* the attribute read last: host_attr */
    struct arena scratch;   /* reset before each collector */
    struct cpu_times *cpus; /* seen last, so that no counter steps back */
    unsigned ncpus;
    struct watchdog *watchdog; /* made when first needed */
    struct containers *containers;
};

/* The content of a file of /proc; borrowed until the next host_proc or host_file. p is NULL when it cannot be read. */
struct str host_proc(struct host *h, enum proc_file f);
/* The same for any file, not kept open. */
struct str host_file(struct host *h, int dir, const char *path);
/* A small attribute without white space around it; borrowed until the next host_attr. p is NULL when it cannot be read.
 */
struct str host_attr(struct host *h, int dir, const char *path);
bool host_attr_i64(struct host *h, int dir, const char *path, int64_t *out); /* decimal, or 0x... */
bool host_attr_f64(struct host *h, int dir, const char *path, double *out);
/* An O_PATH or directory fd below dir, or -1. */
int host_dir(int dir, const char *path);
/* The names in a directory but for . and .., in byte order. From h->scratch. */
struct str *host_names(struct host *h, int dir, const char *path, uint32_t *n);

/* Text into pieces; s moves on. next_word takes blanks and tabs as separators and is empty at the end of s. */
bool host_next_line(struct str *s, struct str *line);
struct str host_next_word(struct str *s);
double host_number(struct str s); /* 0 when it is none */
uint64_t host_hex(struct str s);  /* the same */

/* One row of the table of collectors. Nonzero: failed, or nothing to tell. */
struct node_collector {
    const char *name;
    int (*collect)(struct host *h, struct buf *out);
};
int node_arp(struct host *h, struct buf *out);
int node_conntrack(struct host *h, struct buf *out);
int node_cpu(struct host *h, struct buf *out);
int node_cpufreq(struct host *h, struct buf *out);
int node_diskstats(struct host *h, struct buf *out);
int node_dmi(struct host *h, struct buf *out);
int node_edac(struct host *h, struct buf *out);
int node_entropy(struct host *h, struct buf *out);
int node_filefd(struct host *h, struct buf *out);
int node_filesystem(struct host *h, struct buf *out);
int node_hwmon(struct host *h, struct buf *out);
int node_loadavg(struct host *h, struct buf *out);
int node_meminfo(struct host *h, struct buf *out);
int node_netclass(struct host *h, struct buf *out);
int node_netdev(struct host *h, struct buf *out);
int node_netstat(struct host *h, struct buf *out);
int node_nvme(struct host *h, struct buf *out);
int node_os(struct host *h, struct buf *out);
int node_powersupply(struct host *h, struct buf *out);
int node_pressure(struct host *h, struct buf *out);
int node_rapl(struct host *h, struct buf *out);
int node_schedstat(struct host *h, struct buf *out);
int node_sockstat(struct host *h, struct buf *out);
int node_softnet(struct host *h, struct buf *out);
int node_stat(struct host *h, struct buf *out);
int node_thermal_zone(struct host *h, struct buf *out);
int node_time(struct host *h, struct buf *out);
int node_timex(struct host *h, struct buf *out);
int node_udp_queues(struct host *h, struct buf *out);
int node_uname(struct host *h, struct buf *out);
int node_vmstat(struct host *h, struct buf *out);

void watchdog_free(struct watchdog *w);
void containers_free(struct containers *c);

#endif
