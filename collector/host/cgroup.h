/* cgroup.h - the host's control groups and their figures, v1 and v2 alike. Private to collector/host. */
#ifndef COLLECTOR_HOST_CGROUP_H
#define COLLECTOR_HOST_CGROUP_H

#include "collector/host/node.h"

enum cgroup_value {
    CG_CPU_USAGE,
    CG_CPU_USER,
    CG_CPU_SYSTEM,
    CG_CFS_PERIODS,
    CG_CFS_THROTTLED_PERIODS,
    CG_CFS_THROTTLED_SECONDS,
    CG_MEM_USAGE,
    CG_MEM_WORKING_SET,
    CG_MEM_RSS,
    CG_MEM_CACHE,
    CG_MEM_SWAP,
    CG_MEM_MAPPED,
    CG_MEM_MAX_USAGE,
    CG_MEM_FAILCNT,
    CG_PGFAULT_OWN,
    CG_PGFAULT_ALL,
    CG_PGMAJFAULT_OWN,
    CG_PGMAJFAULT_ALL,
    CG_OOM_KILLS,
    CG_CPU_PERIOD,
    CG_CPU_QUOTA,
    CG_CPU_SHARES,
    CG_MEM_LIMIT,
    CG_MEM_RESERVATION,
    CG_SWAP_LIMIT,
    CG_PROCESSES,
    CG_THREADS,
    CG_THREADS_MAX,
    CG_PSI_CPU_SOME,
    CG_PSI_CPU_FULL,
    CG_PSI_IO_SOME,
    CG_PSI_IO_FULL,
    CG_PSI_MEM_SOME,
    CG_PSI_MEM_FULL,
    CG_START_TIME,
    CG_VALUES
};

/* Reads and writes of a group on one block device. */
struct cgroup_io {
    uint32_t major, minor;
    double read_bytes, write_bytes, reads, writes;
    struct cgroup_io *next;
};

struct cgroup {
    struct str path; /* "/" or "/a/b" */
    double v[CG_VALUES];
    uint64_t has; /* bit per value */
    struct cgroup_io *io;
    uint32_t pid; /* of its first process, 0 = none */
};
_Static_assert(CG_VALUES <= 64, "has is one word");

enum { CGROUPS_MAX = 5000 };

/*
 * All groups, sorted by path, from h->scratch; *left_out says how many were beyond CGROUPS_MAX. 0 groups where the
 * kernel has none or they cannot be seen.
 */
struct cgroup *cgroup_read_all(struct host *h, uint32_t *n, uint32_t *left_out);

#endif
