/*
 * host.c - life of a struct host, the table of collectors, and reading the kernel's files.
 *
 * (1) A collector that fails leaves nothing half-written: what it appended is taken back, and its success is 0.
 * (2) No file is trusted to have a size: reading ends at FILE_MAX.
 */
#include "collector/host/host.h"

#include "collector/host/node.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX = 16 << 20, ATTR_MAX = 4096, NAMES_MAX = 65536 };

static const char *const proc_paths[PROC_FILES] = {
    [PROC_STAT] = "stat",
    [PROC_MEMINFO] = "meminfo",
    [PROC_LOADAVG] = "loadavg",
    [PROC_VMSTAT] = "vmstat",
    [PROC_DISKSTATS] = "diskstats",
    [PROC_SCHEDSTAT] = "schedstat",
    [PROC_MOUNTS] = "1/mounts",
    [PROC_NET_DEV] = "net/dev",
    [PROC_NET_ARP] = "net/arp",
    [PROC_NET_NETSTAT] = "net/netstat",
    [PROC_NET_SNMP] = "net/snmp",
    [PROC_NET_SNMP6] = "net/snmp6",
    [PROC_NET_SOCKSTAT] = "net/sockstat",
    [PROC_NET_SOCKSTAT6] = "net/sockstat6",
    [PROC_NET_SOFTNET] = "net/softnet_stat",
    [PROC_NET_UDP] = "net/udp",
    [PROC_NET_UDP6] = "net/udp6",
    [PROC_NET_CONNTRACK] = "net/stat/nf_conntrack",
    [PROC_CONNTRACK_COUNT] = "sys/net/netfilter/nf_conntrack_count",
    [PROC_CONNTRACK_MAX] = "sys/net/netfilter/nf_conntrack_max",
    [PROC_PRESSURE_CPU] = "pressure/cpu",
    [PROC_PRESSURE_IO] = "pressure/io",
    [PROC_PRESSURE_MEMORY] = "pressure/memory",
    [PROC_FILE_NR] = "sys/fs/file-nr",
    [PROC_ENTROPY_AVAIL] = "sys/kernel/random/entropy_avail",
    [PROC_ENTROPY_SIZE] = "sys/kernel/random/poolsize",
};

static const struct node_collector collectors[] = {
    {"arp", node_arp},
    {"conntrack", node_conntrack},
    {"cpu", node_cpu},
    {"cpufreq", node_cpufreq},
    {"diskstats", node_diskstats},
    {"dmi", node_dmi},
    {"edac", node_edac},
    {"entropy", node_entropy},
    {"filefd", node_filefd},
    {"filesystem", node_filesystem},
    {"hwmon", node_hwmon},
    {"loadavg", node_loadavg},
    {"meminfo", node_meminfo},
    {"netclass", node_netclass},
    {"netdev", node_netdev},
    {"netstat", node_netstat},
    {"nvme", node_nvme},
    {"os", node_os},
    {"powersupplyclass", node_powersupply},
    {"pressure", node_pressure},
    {"rapl", node_rapl},
    {"schedstat", node_schedstat},
    {"sockstat", node_sockstat},
    {"softnet", node_softnet},
    {"stat", node_stat},
    {"thermal_zone", node_thermal_zone},
    {"time", node_time},
    {"timex", node_timex},
    {"udp_queues", node_udp_queues},
    {"uname", node_uname},
    {"vmstat", node_vmstat},
};
enum { NCOLLECTORS = ARRAY_LEN(collectors) };
_Static_assert(NCOLLECTORS <= 64, "disabled has a bit per collector");

/* node_exporter's defaults. */
static const char mounts_skipped[] =
    "/(dev|proc|run|sys|mnt|media|var/lib/docker/.+|var/lib/containers/storage/.+)(/.*)?";
static const char fstypes_skipped[] = "autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|"
                                      "hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|"
                                      "pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs";
static const char disks_skipped[] = "(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+";

/* --- life ------------------------------------------------------------------------------------------ */

static struct regex *must_compile(const char *pattern)
{
    struct regex *r = NULL;
    struct err e;
    int rc = regex_new(str_of(pattern), REGEX_ANCHORED, &r, &e);

    assert(rc == 0);
    return r;
}

static uint64_t parse_disabled(const char *list)
{
    struct str rest = str_of(list), name;
    uint64_t bits = 0;

    for (bool more = rest.n > 0; more;) {
        more = str_cut(&rest, ',', &name);
        for (unsigned i = 0; i < NCOLLECTORS; i++)
            if (str_eqz(str_trim(name), collectors[i].name))
                bits |= UINT64_C(1) << i;
    }
    return bits;
}

static char *keep_path(const char *path, const char *otherwise)
{
    return x_strdup(str_of(path ? path : otherwise));
}

struct host *host_new(const struct host_opts *o)
{
    struct host *h = x_zalloc(sizeof *h);

    if (o)
        h->opts = *o;
    h->procfs = keep_path(h->opts.procfs, "/proc");
    h->sysfs = keep_path(h->opts.sysfs, "/sys");
    h->rootfs = keep_path(h->opts.rootfs, "/");
    h->proc_fd = host_dir(AT_FDCWD, h->procfs);
    h->sys_fd = host_dir(AT_FDCWD, h->sysfs);
    h->root_fd = host_dir(AT_FDCWD, h->rootfs);
    h->disabled = parse_disabled(h->opts.disabled);
    h->skip_mounts = must_compile(mounts_skipped);
    h->skip_fstypes = must_compile(fstypes_skipped);
    h->skip_disks = must_compile(disks_skipped);
    for (int i = 0; i < PROC_FILES; i++)
        h->files[i] = -1;
    return h;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void host_free(struct host *h)
{
    if (!h)
        return;
    for (int i = 0; i < PROC_FILES; i++)
        close_fd(h->files[i]);
    close_fd(h->proc_fd);
    close_fd(h->sys_fd);
    close_fd(h->root_fd);
    regex_free(h->skip_mounts);
    regex_free(h->skip_fstypes);
    regex_free(h->skip_disks);
    watchdog_free(h->watchdog);
    containers_free(h->containers);
    buf_release(&h->text);
    buf_release(&h->small);
    arena_release(&h->scratch);
    free(h->cpus);
    free(h->procfs);
    free(h->sysfs);
    free(h->rootfs);
    free(h);
}

/* --- reading --------------------------------------------------------------------------------------- */

int host_dir(int dir, const char *path)
{
    return dir == -1 ? -1 : openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* All of fd from its start into b: the place in the file is not used, so the next call reads again. */
static bool read_all(int fd, struct buf *b)
{
    buf_reset(b);
    for (;;) {
        char *p = buf_reserve(b, 4096);
        ssize_t n = pread(fd, p, b->cap - b->n, (off_t)b->n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        b->n += (size_t)n;
        if (n == 0 || b->n >= FILE_MAX)
            return true;
    }
}

struct str host_proc(struct host *h, enum proc_file f)
{
    for (int again = 0; again < 2 && h->proc_fd >= 0; again++) {
        if (h->files[f] < 0)
            h->files[f] = openat(h->proc_fd, proc_paths[f], O_RDONLY | O_CLOEXEC);
        if (h->files[f] < 0)
            break;
        if (read_all(h->files[f], &h->text))
            return h->text.p ? buf_str(&h->text) : STR("");
        close(h->files[f]); /* the process or module behind it went: a new one may be there */
        h->files[f] = -1;
    }
    return STR_NULL;
}

struct str host_file(struct host *h, int dir, const char *path)
{
    int fd = dir == -1 ? -1 : openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool ok;

    if (fd < 0)
        return STR_NULL;
    ok = read_all(fd, &h->text);
    close(fd);
    return ok ? buf_str(&h->text) : STR_NULL;
}

struct str host_attr(struct host *h, int dir, const char *path)
{
    int fd = dir == -1 ? -1 : openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;

    if (fd < 0)
        return STR_NULL;
    buf_reset(&h->small);
    n = read(fd, buf_reserve(&h->small, ATTR_MAX), ATTR_MAX); /* an attribute comes whole or not at all */
    close(fd);
    return n < 0 ? STR_NULL : str_trim(str_n(h->small.p, (size_t)n));
}

bool host_attr_i64(struct host *h, int dir, const char *path, int64_t *out)
{
    struct str s = host_attr(h, dir, path);

    if (str_starts(s, STR("0x"))) {
        *out = (int64_t)host_hex(str_from(s, 2));
        return s.n > 2;
    }
    return s.p && str_to_i64(s, out);
}

bool host_attr_f64(struct host *h, int dir, const char *path, double *out)
{
    struct str s = host_attr(h, dir, path);

    return s.p && num_parse(s, out, NULL);
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct str *host_names(struct host *h, int dir, const char *path, uint32_t *n)
{
    int fd = host_dir(dir, path);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct str *names = NULL;
    uint32_t cap = 0;

    *n = 0;
    if (!d) {
        close_fd(fd);
        return NULL;
    }
    for (struct dirent *t; *n < NAMES_MAX && (t = readdir(d));) {
        if (strcmp(t->d_name, ".") == 0 || strcmp(t->d_name, "..") == 0)
            continue;
        if (*n == cap) {
            struct str *more = arena_array(&h->scratch, struct str, cap ? cap * 2 : 16);

            if (cap)
                memcpy(more, names, cap * sizeof *names);
            names = more;
            cap = cap ? cap * 2 : 16;
        }
        names[(*n)++] = arena_dup(&h->scratch, str_of(t->d_name));
    }
    closedir(d);
    if (*n)
        qsort(names, *n, sizeof *names, by_bytes);
    return names;
}

bool host_next_line(struct str *s, struct str *line)
{
    if (s->n == 0)
        return false;
    str_cut(s, '\n', line);
    return true;
}

struct str host_next_word(struct str *s)
{
    size_t i = 0, from;

    while (i < s->n && (s->p[i] == ' ' || s->p[i] == '\t'))
        i++;
    from = i;
    while (i < s->n && s->p[i] != ' ' && s->p[i] != '\t')
        i++;
    struct str word = str_n(s->p + from, i - from);
    *s = str_from(*s, i);
    return word;
}

double host_number(struct str s)
{
    uint64_t whole;
    double v;

    if (str_to_u64(s, &whole))
        return (double)whole;
    return num_parse(s, &v, NULL) ? v : 0;
}

uint64_t host_hex(struct str s)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i] | 0x20;

        if (c >= '0' && c <= '9')
            v = v << 4 | (c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (c - 'a' + 10u);
        else
            return 0;
    }
    return v;
}

/* --- collecting ------------------------------------------------------------------------------------ */

static const char duration_name[] = "node_scrape_collector_duration_seconds";
static const char success_name[] = "node_scrape_collector_success";

int host_collect_node(struct host *h, struct buf *out, struct err *e)
{
    int64_t took_ns[NCOLLECTORS];
    bool ok[NCOLLECTORS];

    if (h->proc_fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "host: %s cannot be read", h->procfs);
    for (unsigned i = 0; i < NCOLLECTORS; i++) {
        int64_t start = clock_mono_ns();
        size_t before = out->n;

        if (h->disabled >> i & 1)
            continue;
        arena_reset(&h->scratch);
        ok[i] = collectors[i].collect(h, out) == 0;
        if (!ok[i])
            out->n = before;
        took_ns[i] = clock_mono_ns() - start;
    }
    emit_family(out, duration_name, "gauge", "Time a collector of the host took.");
    for (unsigned i = 0; i < NCOLLECTORS; i++)
        if (!(h->disabled >> i & 1))
            emit_1(out, duration_name, "collector", str_of(collectors[i].name), (double)took_ns[i] / 1e9);
    emit_family(out, success_name, "gauge", "1 if a collector of the host succeeded.");
    for (unsigned i = 0; i < NCOLLECTORS; i++)
        if (!(h->disabled >> i & 1))
            emit_1(out, success_name, "collector", str_of(collectors[i].name), ok[i]);
    return 0;
}
