/*
 * cgroup.c - see cgroup.h. In v1 each controller has a tree of its own and a group is the union of the folders of one
 * path; in v2 there is one tree. A group that goes away while it is read just lacks what could not be read any more.
 */
#include "collector/host/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 32, USER_HZ = 100 };

/* v1's controllers; v2 uses the first place only. */
enum controller { CTL_CPU, CTL_CPUACCT, CTL_MEMORY, CTL_BLKIO, CTL_PIDS, CTLS };
static const char *const ctl_dirs[CTLS] = {"fs/cgroup/cpu", "fs/cgroup/cpuacct", "fs/cgroup/memory", "fs/cgroup/blkio",
                                           "fs/cgroup/pids"};

static const double no_limit = (double)(UINT64_C(1) << 62); /* above it v1 means "none" */

struct walk {
    struct host *h;
    bool v2;
    struct cgroup *list;
    uint32_t n, cap, left_out;
    struct map by_path; /* index + 1 into list */
};

static void set(struct cgroup *g, enum cgroup_value i, double v)
{
    g->v[i] = v;
    g->has |= UINT64_C(1) << i;
}

/* A file that holds one number; "max" reads as none. */
static bool read_number(struct host *h, int dir, const char *file, double *v)
{
    struct str s = host_attr(h, dir, file);
    uint64_t u;

    if (str_to_u64(s, &u)) {
        *v = (double)u;
        return true;
    }
    return s.p && num_parse(s, v, NULL);
}

static void set_from(struct host *h, struct cgroup *g, int dir, const char *file, enum cgroup_value i, double divisor)
{
    double v;

    if (read_number(h, dir, file, &v))
        set(g, i, v / divisor);
}

/* A limit: 0 where there is none. */
static void set_limit(struct host *h, struct cgroup *g, int dir, const char *file, enum cgroup_value i)
{
    struct str s = host_attr(h, dir, file);

    if (s.p)
        set(g, i, host_number(s) >= no_limit ? 0 : host_number(s));
}

/* Lines "key value": the keys of a table into the group. */
struct keyed {
    const char *key;
    enum cgroup_value value;
    double divisor;
};

static void set_keyed(struct host *h, struct cgroup *g, int dir, const char *file, const struct keyed *rows, unsigned n)
{
    struct str text = host_file(h, dir, file), line;

    while (host_next_line(&text, &line)) {
        struct str key = host_next_word(&line);

        for (unsigned i = 0; i < n; i++)
            if (str_eqz(key, rows[i].key))
                set(g, rows[i].value, host_number(host_next_word(&line)) / rows[i].divisor);
    }
}

/* What is not about to be given back: usage without the files nobody used lately. */
static void set_working_set(struct cgroup *g, double inactive_file)
{
    double v = g->v[CG_MEM_USAGE] - inactive_file;

    if (g->has >> CG_MEM_USAGE & 1)
        set(g, CG_MEM_WORKING_SET, v > 0 ? v : 0);
}

static double keyed_value(struct str text, const char *key)
{
    struct str line;

    while (host_next_line(&text, &line))
        if (str_eqz(host_next_word(&line), key))
            return host_number(host_next_word(&line));
    return 0;
}

static void read_procs(struct host *h, struct cgroup *g, int dir)
{
    struct str text, line;
    double n = 0;

    if (g->has >> CG_PROCESSES & 1) /* v1 repeats it under each controller */
        return;
    text = host_file(h, dir, "cgroup.procs");
    if (!text.p)
        return;
    while (host_next_line(&text, &line)) {
        if (n++ == 0)
            g->pid = (uint32_t)host_number(line);
    }
    set(g, CG_PROCESSES, n);
}

static struct cgroup_io *io_of(struct host *h, struct cgroup *g, struct str device)
{
    struct str major;
    uint64_t a, b;
    struct cgroup_io *io;

    if (!str_cut(&device, ':', &major) || !str_to_u64(major, &a) || !str_to_u64(device, &b))
        return NULL;
    for (io = g->io; io; io = io->next)
        if (io->major == a && io->minor == b)
            return io;
    io = arena_new(&h->scratch, struct cgroup_io);
    io->major = (uint32_t)a;
    io->minor = (uint32_t)b;
    io->next = g->io;
    g->io = io;
    return io;
}

/* --- v1 ------------------------------------------------------------------------------------------------ */

static void read_v1_cpu(struct host *h, struct cgroup *g, int dir)
{
    static const struct keyed stat[] = {{"nr_periods", CG_CFS_PERIODS, 1},
                                        {"nr_throttled", CG_CFS_THROTTLED_PERIODS, 1},
                                        {"throttled_time", CG_CFS_THROTTLED_SECONDS, 1e9}};
    double quota;

    set_from(h, g, dir, "cpu.shares", CG_CPU_SHARES, 1);
    set_from(h, g, dir, "cpu.cfs_period_us", CG_CPU_PERIOD, 1);
    if (!read_number(h, dir, "cpu.cfs_quota_us", &quota) || quota <= 0)
        return;
    set(g, CG_CPU_QUOTA, quota);
    set_keyed(h, g, dir, "cpu.stat", stat, ARRAY_LEN(stat));
}

static void read_v1_cpuacct(struct host *h, struct cgroup *g, int dir)
{
    static const struct keyed stat[] = {{"user", CG_CPU_USER, USER_HZ}, {"system", CG_CPU_SYSTEM, USER_HZ}};

    set_from(h, g, dir, "cpuacct.usage", CG_CPU_USAGE, 1e9);
    set_keyed(h, g, dir, "cpuacct.stat", stat, ARRAY_LEN(stat));
}

static void read_v1_memory(struct host *h, struct cgroup *g, int dir)
{
    static const struct keyed all[] = {
        {"total_rss", CG_MEM_RSS, 1},         {"total_cache", CG_MEM_CACHE, 1},
        {"total_swap", CG_MEM_SWAP, 1},       {"total_mapped_file", CG_MEM_MAPPED, 1},
        {"pgfault", CG_PGFAULT_OWN, 1},       {"total_pgfault", CG_PGFAULT_ALL, 1},
        {"pgmajfault", CG_PGMAJFAULT_OWN, 1}, {"total_pgmajfault", CG_PGMAJFAULT_ALL, 1}};
    static const struct keyed oom[] = {{"oom_kill", CG_OOM_KILLS, 1}};

    set_from(h, g, dir, "memory.usage_in_bytes", CG_MEM_USAGE, 1);
    set_from(h, g, dir, "memory.max_usage_in_bytes", CG_MEM_MAX_USAGE, 1);
    set_from(h, g, dir, "memory.failcnt", CG_MEM_FAILCNT, 1);
    set_keyed(h, g, dir, "memory.stat", all, ARRAY_LEN(all));
    set_working_set(g, keyed_value(buf_str(&h->text), "total_inactive_file")); /* memory.stat is still there */
    set_keyed(h, g, dir, "memory.oom_control", oom, ARRAY_LEN(oom));
    set_limit(h, g, dir, "memory.limit_in_bytes", CG_MEM_LIMIT);
    set_limit(h, g, dir, "memory.soft_limit_in_bytes", CG_MEM_RESERVATION);
    set_limit(h, g, dir, "memory.memsw.limit_in_bytes", CG_SWAP_LIMIT);
}

/* Lines "8:0 Read 123". */
static void read_v1_blkio_file(struct host *h, struct cgroup *g, int dir, const char *file, bool bytes)
{
    struct str text = host_file(h, dir, arena_printf(&h->scratch, "%s_recursive", file).p), line;

    if (!text.p)
        text = host_file(h, dir, file);
    while (host_next_line(&text, &line)) {
        struct cgroup_io *io = io_of(h, g, host_next_word(&line));
        struct str kind = host_next_word(&line);
        double v = host_number(host_next_word(&line));

        if (!io)
            continue; /* the line with the total */
        if (str_eqz(kind, "Read"))
            *(bytes ? &io->read_bytes : &io->reads) = v;
        else if (str_eqz(kind, "Write"))
            *(bytes ? &io->write_bytes : &io->writes) = v;
    }
}

static void read_v1(struct host *h, struct cgroup *g, enum controller c, int dir)
{
    switch (c) {
    case CTL_CPU:
        read_v1_cpu(h, g, dir);
        break;
    case CTL_CPUACCT:
        read_v1_cpuacct(h, g, dir);
        break;
    case CTL_MEMORY:
        read_v1_memory(h, g, dir);
        break;
    case CTL_BLKIO:
        read_v1_blkio_file(h, g, dir, "blkio.throttle.io_service_bytes", true);
        read_v1_blkio_file(h, g, dir, "blkio.throttle.io_serviced", false);
        break;
    default:
        set_from(h, g, dir, "pids.current", CG_THREADS, 1);
        set_limit(h, g, dir, "pids.max", CG_THREADS_MAX);
    }
    read_procs(h, g, dir);
}

/* --- v2 ------------------------------------------------------------------------------------------------ */

static void read_v2_cpu(struct host *h, struct cgroup *g, int dir)
{
    static const struct keyed stat[] = {
        {"usage_usec", CG_CPU_USAGE, 1e6}, {"user_usec", CG_CPU_USER, 1e6}, {"system_usec", CG_CPU_SYSTEM, 1e6}};
    static const struct keyed cfs[] = {{"nr_periods", CG_CFS_PERIODS, 1},
                                       {"nr_throttled", CG_CFS_THROTTLED_PERIODS, 1},
                                       {"throttled_usec", CG_CFS_THROTTLED_SECONDS, 1e6}};
    struct str max = host_attr(h, dir, "cpu.max"), quota;
    double weight;

    if (max.p) {
        quota = host_next_word(&max);
        set(g, CG_CPU_PERIOD, host_number(host_next_word(&max)));
        if (!str_eqz(quota, "max"))
            set(g, CG_CPU_QUOTA, host_number(quota));
    }
    if (read_number(h, dir, "cpu.weight", &weight) && weight >= 1) /* 1..10000 as v1's 2..262144 */
        set(g, CG_CPU_SHARES, (double)(2 + (uint64_t)(weight - 1) * 262142 / 9999));
    set_keyed(h, g, dir, "cpu.stat", stat, ARRAY_LEN(stat));
    if (g->has >> CG_CPU_QUOTA & 1)
        set_keyed(h, g, dir, "cpu.stat", cfs, ARRAY_LEN(cfs));
}

/* The root of v2 has no memory.current: the host's own figures. */
static void root_memory(struct host *h, struct cgroup *g, double *inactive_file)
{
    struct str text = host_proc(h, PROC_MEMINFO);

    if (!text.p)
        return;
    set(g, CG_MEM_USAGE, (keyed_value(text, "MemTotal:") - keyed_value(text, "MemFree:")) * 1024);
    *inactive_file = keyed_value(text, "Inactive(file):") * 1024;
}

static void read_v2_memory(struct host *h, struct cgroup *g, int dir)
{
    static const struct keyed stat[] = {{"anon", CG_MEM_RSS, 1},
                                        {"file", CG_MEM_CACHE, 1},
                                        {"file_mapped", CG_MEM_MAPPED, 1},
                                        {"pgfault", CG_PGFAULT_ALL, 1},
                                        {"pgmajfault", CG_PGMAJFAULT_ALL, 1}};
    static const struct keyed events[] = {{"max", CG_MEM_FAILCNT, 1}, {"oom_kill", CG_OOM_KILLS, 1}};
    double inactive_file;

    set_from(h, g, dir, "memory.current", CG_MEM_USAGE, 1);
    set_keyed(h, g, dir, "memory.stat", stat, ARRAY_LEN(stat));
    inactive_file = keyed_value(buf_str(&h->text), "inactive_file");
    if (!(g->has >> CG_MEM_USAGE & 1) && g->path.n == 1)
        root_memory(h, g, &inactive_file);
    set_working_set(g, inactive_file);
    if (g->has >> CG_PGFAULT_ALL & 1) { /* v2 counts a group with all below it */
        set(g, CG_PGFAULT_OWN, g->v[CG_PGFAULT_ALL]);
        set(g, CG_PGMAJFAULT_OWN, g->v[CG_PGMAJFAULT_ALL]);
    }
    set_keyed(h, g, dir, "memory.events", events, ARRAY_LEN(events));
    set_from(h, g, dir, "memory.peak", CG_MEM_MAX_USAGE, 1);
    set_from(h, g, dir, "memory.swap.current", CG_MEM_SWAP, 1);
    set_limit(h, g, dir, "memory.max", CG_MEM_LIMIT);
    set_limit(h, g, dir, "memory.low", CG_MEM_RESERVATION);
    set_limit(h, g, dir, "memory.swap.max", CG_SWAP_LIMIT);
}

/* Lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ...". */
static void read_v2_io(struct host *h, struct cgroup *g, int dir)
{
    struct str text = host_file(h, dir, "io.stat"), line, word;

    while (host_next_line(&text, &line)) {
        struct cgroup_io *io = io_of(h, g, host_next_word(&line));

        while (io && (word = host_next_word(&line)).n) {
            struct str key;

            str_cut(&word, '=', &key);
            if (str_eqz(key, "rbytes"))
                io->read_bytes = host_number(word);
            else if (str_eqz(key, "wbytes"))
                io->write_bytes = host_number(word);
            else if (str_eqz(key, "rios"))
                io->reads = host_number(word);
            else if (str_eqz(key, "wios"))
                io->writes = host_number(word);
        }
    }
}

static void read_v2_pressure(struct host *h, struct cgroup *g, int dir)
{
    static const struct {
        const char *file;
        enum cgroup_value some, full;
    } rows[] = {{"cpu.pressure", CG_PSI_CPU_SOME, CG_PSI_CPU_FULL},
                {"io.pressure", CG_PSI_IO_SOME, CG_PSI_IO_FULL},
                {"memory.pressure", CG_PSI_MEM_SOME, CG_PSI_MEM_FULL}};

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct str text = host_file(h, dir, rows[i].file), line;

        while (host_next_line(&text, &line)) {
            bool full = str_starts(line, STR("full"));
            ptrdiff_t at = str_find(line, STR("total="));

            if (at >= 0)
                set(g, full ? rows[i].full : rows[i].some, host_number(str_trim(str_from(line, (size_t)at + 6))) / 1e6);
        }
    }
}

static void read_v2(struct host *h, struct cgroup *g, int dir)
{
    read_v2_cpu(h, g, dir);
    read_v2_memory(h, g, dir);
    read_v2_io(h, g, dir);
    read_v2_pressure(h, g, dir);
    set_from(h, g, dir, "pids.current", CG_THREADS, 1);
    set_limit(h, g, dir, "pids.max", CG_THREADS_MAX);
    read_procs(h, g, dir);
}

/* --- the tree --------------------------------------------------------------------------------------------- */

/* The group of a path, made if it is new; NULL beyond CGROUPS_MAX. */
static struct cgroup *group_of(struct walk *w, struct str path)
{
    uintptr_t index = (uintptr_t)map_get(&w->by_path, path);

    if (index)
        return &w->list[index - 1];
    if (w->n == CGROUPS_MAX) {
        w->left_out++;
        return NULL;
    }
    if (w->n == w->cap) {
        struct cgroup *more = arena_array(&w->h->scratch, struct cgroup, w->cap ? w->cap * 2 : 32);

        if (w->n)
            memcpy(more, w->list, w->n * sizeof *more);
        w->list = more;
        w->cap = w->cap ? w->cap * 2 : 32;
    }
    w->list[w->n] = (struct cgroup){.path = path};
    *map_put(&w->by_path, path, NULL) = (void *)(uintptr_t)(w->n + 1);
    return &w->list[w->n++];
}

static void visit(struct walk *w, enum controller c, int dir, struct str path, unsigned depth);

static void visit_children(struct walk *w, enum controller c, int dir, struct str path, unsigned depth)
{
    int again = dup(dir); /* closedir closes it */
    DIR *d = again < 0 ? NULL : fdopendir(again);

    if (!d) {
        if (again >= 0)
            close(again);
        return;
    }
    for (struct dirent *t; (t = readdir(d));) {
        int below;

        if (t->d_name[0] == '.' || (t->d_type != DT_DIR && t->d_type != DT_UNKNOWN))
            continue;
        below = openat(dir, t->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (below < 0)
            continue;
        visit(w, c, below, arena_printf(&w->h->scratch, "%s/%s", path.n > 1 ? path.p : "", t->d_name), depth + 1);
        close(below);
    }
    closedir(d);
}

static void visit(struct walk *w, enum controller c, int dir, struct str path, unsigned depth)
{
    struct cgroup *g = group_of(w, path);
    struct stat st;

    if (!g || depth > DEPTH_MAX || fstat(dir, &st) < 0)
        return;
    if (!(g->has >> CG_START_TIME & 1) || (double)st.st_mtime < g->v[CG_START_TIME])
        set(g, CG_START_TIME, (double)st.st_mtime);
    if (w->v2)
        read_v2(w->h, g, dir);
    else
        read_v1(w->h, g, c, dir);
    if (st.st_nlink != 2) /* two names, so no folder below: spares reading the directory */
        visit_children(w, c, dir, path, depth);
}

static int by_path(const void *a, const void *b)
{
    return str_cmp(((const struct cgroup *)a)->path, ((const struct cgroup *)b)->path);
}

struct cgroup *cgroup_read_all(struct host *h, uint32_t *n, uint32_t *left_out)
{
    struct walk w = {.h = h};

    w.v2 = h->sys_fd >= 0 && faccessat(h->sys_fd, "fs/cgroup/cgroup.controllers", R_OK, 0) == 0;
    for (int c = 0; c < (w.v2 ? 1 : CTLS); c++) {
        int dir = host_dir(h->sys_fd, w.v2 ? "fs/cgroup" : ctl_dirs[c]);

        if (dir < 0)
            continue;
        visit(&w, (enum controller)c, dir, STR("/"), 0);
        close(dir);
    }
    map_release(&w.by_path);
    if (w.n)
        qsort(w.list, w.n, sizeof *w.list, by_path);
    *n = w.n;
    *left_out = w.left_out;
    return w.list;
}
