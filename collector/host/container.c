/*
 * container.c - control groups told as cAdvisor tells containers. The labels of a group are written once and put before
 * each of its samples.
 *
 * (1) What is known of a container by its id is kept only while a group of that id exists.
 * (2) A network namespace is told once: the host's own under "/", others under the container they were made for, and where
 * that is not known under the first group, in order of path, that lives in them.
 * (3) What we are not allowed to see is left out and said in the log, once for names and once for networks.
 */
#include "collector/host/cgroup.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ID_BYTES = 64, CONFIG_MAX = 1 << 20, LABELS_MAX = 64, LABEL_BYTES_MAX = 8192, IFACES_MAX = 64 };

struct known {
    char id[ID_BYTES + 1];
    char *name, *image;
    char *labels;     /* container_label_... of Docker's labels, written; NULL: none */
    bool settled;     /* the callback answered: final */
    bool owns_net;    /* a network was made for it; it does not live in that of another container */
    int64_t mtime_ns; /* of the folder's file, 0 = not read */
    uint64_t round;   /* seen last */
};

struct containers {
    struct map known; /* id -> struct known */
    uint64_t round;
    bool said_unnamed, said_no_net; /* invariant 3 */
};

/* One metric, with labels of its own after those of the group. */
static const struct {
    const char *metric, *type, *help, *labels;
    enum cgroup_value value;
} rows[] = {
    {"container_cpu_cfs_periods_total", "counter", "Periods in which a quota was enforced.", "", CG_CFS_PERIODS},
    {"container_cpu_cfs_throttled_periods_total", "counter", "Periods in which it was held back.", "",
     CG_CFS_THROTTLED_PERIODS},
    {"container_cpu_cfs_throttled_seconds_total", "counter", "Time it was held back.", "", CG_CFS_THROTTLED_SECONDS},
    {"container_cpu_system_seconds_total", "counter", "Processor time in the kernel.", "", CG_CPU_SYSTEM},
    {"container_cpu_usage_seconds_total", "counter", "Processor time.", "cpu=\"total\"", CG_CPU_USAGE},
    {"container_cpu_user_seconds_total", "counter", "Processor time outside the kernel.", "", CG_CPU_USER},
    {"container_memory_cache", "gauge", "Bytes of files in memory.", "", CG_MEM_CACHE},
    {"container_memory_failcnt", "counter", "Times the limit was met.", "", CG_MEM_FAILCNT},
    {"container_memory_failures_total", "counter", "Page faults.", "failure_type=\"pgfault\",scope=\"container\"",
     CG_PGFAULT_OWN},
    {"container_memory_failures_total", "counter", "", "failure_type=\"pgfault\",scope=\"hierarchy\"", CG_PGFAULT_ALL},
    {"container_memory_failures_total", "counter", "", "failure_type=\"pgmajfault\",scope=\"container\"",
     CG_PGMAJFAULT_OWN},
    {"container_memory_failures_total", "counter", "", "failure_type=\"pgmajfault\",scope=\"hierarchy\"",
     CG_PGMAJFAULT_ALL},
    {"container_memory_mapped_file", "gauge", "Bytes of files mapped.", "", CG_MEM_MAPPED},
    {"container_memory_max_usage_bytes", "gauge", "Highest use so far.", "", CG_MEM_MAX_USAGE},
    {"container_memory_rss", "gauge", "Bytes of memory that is no file.", "", CG_MEM_RSS},
    {"container_memory_swap", "gauge", "Bytes swapped out.", "", CG_MEM_SWAP},
    {"container_memory_usage_bytes", "gauge", "Memory in use, files among it.", "", CG_MEM_USAGE},
    {"container_memory_working_set_bytes", "gauge", "Memory in use without files nobody used lately.", "",
     CG_MEM_WORKING_SET},
    {"container_oom_events_total", "counter", "Processes killed for want of memory.", "", CG_OOM_KILLS},
    {"container_pressure_cpu_stalled_seconds_total", "counter", "Time nobody could go on for want of a processor.", "",
     CG_PSI_CPU_FULL},
    {"container_pressure_cpu_waiting_seconds_total", "counter", "Time somebody waited for a processor.", "",
     CG_PSI_CPU_SOME},
    {"container_pressure_io_stalled_seconds_total", "counter", "Time nobody could go on for want of a disk.", "",
     CG_PSI_IO_FULL},
    {"container_pressure_io_waiting_seconds_total", "counter", "Time somebody waited for a disk.", "", CG_PSI_IO_SOME},
    {"container_pressure_memory_stalled_seconds_total", "counter", "Time nobody could go on for want of memory.", "",
     CG_PSI_MEM_FULL},
    {"container_pressure_memory_waiting_seconds_total", "counter", "Time somebody waited for memory.", "",
     CG_PSI_MEM_SOME},
    {"container_processes", "gauge", "Processes in the group itself.", "", CG_PROCESSES},
    {"container_spec_cpu_period", "gauge", "Period of the quota, in microseconds.", "", CG_CPU_PERIOD},
    {"container_spec_cpu_quota", "gauge", "Processor time a period may have, in microseconds.", "", CG_CPU_QUOTA},
    {"container_spec_cpu_shares", "gauge", "Share of processors under contention.", "", CG_CPU_SHARES},
    {"container_spec_memory_limit_bytes", "gauge", "Limit of memory; 0 is none.", "", CG_MEM_LIMIT},
    {"container_spec_memory_reservation_limit_bytes", "gauge", "Memory it is promised; 0 is none.", "",
     CG_MEM_RESERVATION},
    {"container_spec_memory_swap_limit_bytes", "gauge", "Limit of swap; 0 is none.", "", CG_SWAP_LIMIT},
    {"container_start_time_seconds", "gauge", "When the group was made, in seconds since 1970.", "", CG_START_TIME},
    {"container_threads", "gauge", "Threads in the group and below.", "", CG_THREADS},
    {"container_threads_max", "gauge", "How many there may be; 0 is no limit.", "", CG_THREADS_MAX},
};

/* --- what is known of a container -------------------------------------------------------------------------- */

/* The 64 hex digits at the end of a path: /docker/ID, or /system.slice/docker-ID.scope. Empty: no container. */
static struct str container_id(struct str path)
{
    if (str_ends(path, STR(".scope")))
        path.n -= 6;
    if (path.n <= ID_BYTES)
        return STR("");
    path = str_from(path, path.n - ID_BYTES - 1);
    if (path.p[0] != '/' && path.p[0] != '-')
        return STR("");
    path = str_from(path, 1);
    for (size_t i = 0; i < path.n; i++)
        if (!((path.p[i] >= '0' && path.p[i] <= '9') || (path.p[i] >= 'a' && path.p[i] <= 'f')))
            return STR("");
    return path;
}

static void learn(struct known *k, struct str name, struct str image)
{
    free(k->name);
    free(k->image);
    k->name = x_strdup(name);
    k->image = x_strdup(image);
}

static const char docker_dir[] = "var/lib/docker/containers";

/* Containers that went away between the two looks, and hosts without Docker, are no reason to speak. */
static void say_unnamed(struct host *h, int code)
{
    if (h->containers->said_unnamed || code == ENOENT)
        return;
    h->containers->said_unnamed = true;
    log_warn("host", "%s%s%s: %s: containers are told without name and image", h->rootfs,
             str_ends(str_of(h->rootfs), STR("/")) ? "" : "/", docker_dir, strerror(code));
}

static bool is_among(const struct str *v, uint32_t n, struct str s)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(v[i], s))
            return true;
    return false;
}

/* Of labels whose names become the same, the first stays; what is over the limits is left out. */
static char *write_docker_labels(struct arena *a, const cJSON *map)
{
    struct str names[LABELS_MAX];
    struct buf b = {0};
    uint32_t n = 0;
    char *text;

    for (const cJSON *t = cJSON_IsObject(map) ? map->child : NULL; t && n < LABELS_MAX; t = t->next) {
        struct str name = arena_printf(a, "container_label_%s", t->string), value;
        char *p = (char *)(uintptr_t)name.p;

        value = cJSON_IsString(t) ? str_of(t->valuestring) : STR("");
        for (size_t i = 0; i < name.n; i++)
            if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z')))
                p[i] = '_';
        if (value.n == 0 || !utf8_valid(value) || is_among(names, n, name) ||
            b.n + name.n + value.n > LABEL_BYTES_MAX)
            continue;
        names[n++] = name;
        emit_write_label(&b, p, value);
    }
    text = b.n ? x_strdup(buf_str(&b)) : NULL;
    buf_release(&b);
    return text;
}

static void read_names(struct host *h, struct known *k, const cJSON *doc)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(doc, "Config");
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(doc, "Name");
    const cJSON *image = cJSON_GetObjectItemCaseSensitive(config, "Image");
    const cJSON *sandbox =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(doc, "NetworkSettings"), "SandboxID");
    const char *bare = cJSON_IsString(name) ? name->valuestring : "";

    learn(k, str_of(*bare == '/' ? bare + 1 : bare), str_of(cJSON_IsString(image) ? image->valuestring : ""));
    free(k->labels);
    k->labels = write_docker_labels(&h->scratch, cJSON_GetObjectItemCaseSensitive(config, "Labels"));
    k->owns_net = cJSON_IsString(sandbox) && *sandbox->valuestring;
}

/* Docker's own note of a container. */
static void read_config(struct host *h, struct known *k)
{
    char path[160];
    struct stat st;
    struct str text;
    int64_t mtime;
    cJSON *doc;

    snprintf(path, sizeof path, "%s/%s/config.v2.json", docker_dir, k->id);
    if (h->root_fd < 0 || fstatat(h->root_fd, path, &st, 0) < 0) {
        say_unnamed(h, h->root_fd < 0 ? ENOENT : errno);
        return;
    }
    mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    if (mtime == k->mtime_ns || st.st_size > CONFIG_MAX)
        return;
    errno = 0;
    text = host_file(h, h->root_fd, path);
    if (!text.p && errno)
        say_unnamed(h, errno);
    doc = text.p ? cJSON_ParseWithLength(text.p, text.n) : NULL;
    if (!doc)
        return; /* written just now, perhaps: next time */
    read_names(h, k, doc);
    k->mtime_ns = mtime;
    cJSON_Delete(doc);
}

static const struct known *look_up(struct host *h, struct str id)
{
    struct containers *c = h->containers;
    struct known *k = map_get(&c->known, id);
    struct host_container told = {{0}, {0}};

    if (!k) {
        k = x_zalloc(sizeof *k);
        memcpy(k->id, id.p, ID_BYTES);
        *map_put(&c->known, str_n(k->id, ID_BYTES), NULL) = k;
    }
    k->round = c->round;
    if (!k->settled && h->opts.container && h->opts.container(h->opts.container_arg, id, &told)) {
        learn(k, told.name, told.image);
        k->settled = true;
    }
    if (!k->settled)
        read_config(h, k);
    return k;
}

static void known_free(struct known *k)
{
    free(k->name);
    free(k->image);
    free(k->labels);
    free(k);
}

/* Invariant 1. */
static void forget_gone(struct containers *c)
{
    struct map_entry *t;
    uint32_t i = 0;

    while ((t = map_next(&c->known, &i))) {
        struct known *k = t->value;

        if (k->round == c->round)
            continue;
        map_del(&c->known, t->key);
        known_free(k);
    }
}

void containers_free(struct containers *c)
{
    struct map_entry *t;
    uint32_t i = 0;

    if (!c)
        return;
    while ((t = map_next(&c->known, &i)))
        known_free(t->value);
    map_release(&c->known);
    free(c);
}

/* --- network ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *metric, *help;
    unsigned field; /* of /proc/net/dev */
} net_rows[] = {
    {"container_network_receive_bytes_total", "Bytes received.", 0},
    {"container_network_receive_errors_total", "Errors while receiving.", 2},
    {"container_network_receive_packets_dropped_total", "Received packets dropped.", 3},
    {"container_network_receive_packets_total", "Packets received.", 1},
    {"container_network_transmit_bytes_total", "Bytes sent.", 8},
    {"container_network_transmit_errors_total", "Errors while sending.", 10},
    {"container_network_transmit_packets_dropped_total", "Packets to send dropped.", 11},
    {"container_network_transmit_packets_total", "Packets sent.", 9},
};

struct iface {
    struct str labels; /* of the group, and the interface */
    double v[16];
};

struct net {
    struct iface *v;
    uint32_t n, cap;
    struct map seen; /* namespaces told already */
    bool by_file;    /* links to namespaces are not for us: see namespace_of */
};

/* Loopback and the host's ends of containers say nothing of a group. */
static bool is_ignored(struct str name)
{
    return str_eqz(name, "lo") || str_starts(name, STR("veth")) || str_starts(name, STR("docker")) ||
           str_starts(name, STR("nerdctl"));
}

static void read_net_dev(struct host *h, struct str text, struct str labels, struct net *net)
{
    struct str line;
    uint32_t count = 0;

    while (host_next_line(&text, &line) && count < IFACES_MAX) {
        ptrdiff_t colon = str_chr(line, ':');
        struct str name = str_trim(str_head(line, colon < 0 ? 0 : (size_t)colon));
        struct buf b = {0};
        struct iface *t;

        if (colon < 0 || str_chr(line, '|') >= 0 || is_ignored(name))
            continue;
        if (net->n == net->cap) {
            struct iface *more = arena_array(&h->scratch, struct iface, net->cap ? net->cap * 2 : 32);

            if (net->n)
                memcpy(more, net->v, net->n * sizeof *more);
            net->v = more;
            net->cap = net->cap ? net->cap * 2 : 32;
        }
        t = &net->v[net->n++];
        emit_write_label(&b, "interface", name);
        t->labels = arena_printf(&h->scratch, "%.*s,%.*s", STR_ARG(labels), STR_ARG(buf_str(&b)));
        buf_release(&b);
        line = str_from(line, (size_t)colon + 1);
        for (int i = 0; i < 16; i++)
            t->v[i] = host_number(host_next_word(&line));
        count++;
    }
}

/*
 * What tells the namespace of a process from others, or empty. The link says it, to those who may trace the process; to
 * others the number of net/dev does, a file that each namespace has one of.
 */
static struct str namespace_of(struct host *h, const struct net *net, const char *who)
{
    char path[64], name[64];
    struct stat st;
    ssize_t n;

    if (net->by_file) {
        snprintf(path, sizeof path, "%s/net/dev", who);
        return fstatat(h->proc_fd, path, &st, 0) < 0
                   ? STR("")
                   : arena_printf(&h->scratch, "%llu", (unsigned long long)st.st_ino);
    }
    snprintf(path, sizeof path, "%s/ns/net", who);
    n = readlinkat(h->proc_fd, path, name, sizeof name);
    return n <= 0 ? STR("") : arena_dup(&h->scratch, str_n(name, (size_t)n));
}

/* true when it is the first of its namespace. */
static bool claim(struct net *net, struct str ns)
{
    void **place;
    bool is_new = false;

    if (ns.n == 0)
        return false;
    place = map_put(&net->seen, ns, &is_new);
    *place = net;
    return is_new;
}

static void read_host_network(struct host *h, struct str labels, struct net *net)
{
    struct str ns, text;
    char link[8];

    net->by_file = readlinkat(h->proc_fd, "1/ns/net", link, sizeof link) < 0 && errno == EACCES;
    ns = namespace_of(h, net, "1");
    text = host_file(h, h->proc_fd, "1/net/dev"); /* of the host, also where we live in a namespace of our own */
    if (!text.p)
        text = host_proc(h, PROC_NET_DEV);
    claim(net, ns.n ? ns : namespace_of(h, net, "self"));
    read_net_dev(h, text, labels, net);
}

static void read_network(struct host *h, const struct cgroup *g, struct str labels, struct net *net)
{
    char who[16];
    struct str text;

    if (g->pid == 0)
        return;
    snprintf(who, sizeof who, "%u", g->pid);
    if (!claim(net, namespace_of(h, net, who)))
        return;
    errno = 0;
    text = host_file(h, h->proc_fd, arena_printf(&h->scratch, "%s/net/dev", who).p);
    if (!text.p && (errno == EACCES || errno == EPERM) && !h->containers->said_no_net) {
        h->containers->said_no_net = true;
        log_warn("host", "%s/%s/net/dev: %s: containers are told without their networks", h->procfs, who,
                 strerror(errno));
    }
    read_net_dev(h, text, labels, net);
}

/* Invariant 2: owners before borrowers. */
static void read_networks(struct host *h, const struct cgroup *groups, uint32_t n, const struct str *labels,
                          struct net *net)
{
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < n; i++) {
            struct str id = container_id(groups[i].path);
            const struct known *k = id.n ? map_get(&h->containers->known, id) : NULL;

            if (groups[i].path.n == 1) {
                if (pass == 0)
                    read_host_network(h, labels[i], net);
            } else if ((k && k->owns_net) == (pass == 0)) {
                read_network(h, &groups[i], labels[i], net);
            }
        }
    map_release(&net->seen);
}

static void put_network(const struct net *net, struct buf *out)
{
    for (unsigned r = 0; r < ARRAY_LEN(net_rows) && net->n; r++) {
        emit_family(out, net_rows[r].metric, "counter", net_rows[r].help);
        for (uint32_t i = 0; i < net->n; i++) {
            struct emit m = emit_begin(out, net_rows[r].metric);

            emit_labels(&m, net->v[i].labels);
            emit_end(&m, net->v[i].v[net_rows[r].field]);
        }
    }
}

/* --- everything ---------------------------------------------------------------------------------------------- */

static struct str write_labels(struct host *h, const struct cgroup *g)
{
    struct str id = container_id(g->path), text;
    struct buf b = {0};

    emit_write_label(&b, "id", g->path);
    if (id.n) {
        const struct known *k = look_up(h, id);

        if (k->image && *k->image)
            emit_write_label(&b, "image", str_of(k->image));
        if (k->name && *k->name)
            emit_write_label(&b, "name", str_of(k->name));
        if (k->labels) {
            buf_putz(&b, ",");
            buf_putz(&b, k->labels);
        }
    }
    text = arena_dup(&h->scratch, buf_str(&b));
    buf_release(&b);
    return text;
}

static void put_values(const struct cgroup *groups, uint32_t n, const struct str *labels, struct buf *out)
{
    const char *family = "";

    for (unsigned r = 0; r < ARRAY_LEN(rows); r++)
        for (uint32_t i = 0; i < n; i++) {
            struct emit m;

            if (!(groups[i].has >> rows[r].value & 1))
                continue;
            if (strcmp(family, rows[r].metric) != 0)
                emit_family(out, rows[r].metric, rows[r].type, rows[r].help);
            family = rows[r].metric;
            m = emit_begin(out, rows[r].metric);
            emit_labels(&m, labels[i]);
            emit_labels(&m, str_of(rows[r].labels));
            emit_end(&m, groups[i].v[rows[r].value]);
        }
}

/* /dev/NAME of a device number; its number when the system does not know it. */
static struct str device_name(struct host *h, const struct cgroup_io *io)
{
    char path[64], target[512];
    ssize_t n;

    snprintf(path, sizeof path, "dev/block/%u:%u", io->major, io->minor);
    n = readlinkat(h->sys_fd, path, target, sizeof target);
    for (ssize_t i = n - 1; i >= 0; i--)
        if (target[i] == '/')
            return arena_printf(&h->scratch, "/dev/%.*s", (int)(n - i - 1), target + i + 1);
    return arena_printf(&h->scratch, "%u:%u", io->major, io->minor);
}

static void put_io(struct host *h, const struct cgroup *groups, uint32_t n, const struct str *labels, struct buf *out)
{
    static const struct {
        const char *metric, *help;
        size_t at;
    } io_rows[] = {
        {"container_fs_reads_bytes_total", "Bytes read.", offsetof(struct cgroup_io, read_bytes)},
        {"container_fs_reads_total", "Reads completed.", offsetof(struct cgroup_io, reads)},
        {"container_fs_writes_bytes_total", "Bytes written.", offsetof(struct cgroup_io, write_bytes)},
        {"container_fs_writes_total", "Writes completed.", offsetof(struct cgroup_io, writes)},
    };

    for (unsigned r = 0; r < ARRAY_LEN(io_rows); r++) {
        bool family = false;

        for (uint32_t i = 0; i < n; i++)
            for (const struct cgroup_io *io = groups[i].io; io; io = io->next) {
                struct emit m;

                if (!family)
                    emit_family(out, io_rows[r].metric, "counter", io_rows[r].help);
                family = true;
                m = emit_begin(out, io_rows[r].metric);
                emit_labels(&m, labels[i]);
                emit_label(&m, "device", device_name(h, io));
                emit_end(&m, *(const double *)((const char *)io + io_rows[r].at));
            }
    }
}

static void put_last_seen(uint32_t n, const struct str *labels, struct buf *out)
{
    double now = (double)(clock_wall_ms() / 1000);

    emit_family(out, "container_last_seen", "gauge", "When the group was seen last, in seconds since 1970.");
    for (uint32_t i = 0; i < n; i++) {
        struct emit m = emit_begin(out, "container_last_seen");

        emit_labels(&m, labels[i]);
        emit_end(&m, now);
    }
}

int host_collect_containers(struct host *h, struct buf *out, struct err *e)
{
    struct cgroup *groups;
    struct net net = {0};
    struct str *labels;
    uint32_t n, left_out;

    if (h->sys_fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "host: %s cannot be read", h->sysfs);
    if (!h->containers)
        h->containers = x_zalloc(sizeof *h->containers);
    arena_reset(&h->scratch);
    h->containers->round++;
    groups = cgroup_read_all(h, &n, &left_out);
    labels = arena_array(&h->scratch, struct str, n + 1);
    for (uint32_t i = 0; i < n; i++)
        labels[i] = write_labels(h, &groups[i]);
    read_networks(h, groups, n, labels, &net);
    forget_gone(h->containers);
    if (n) {
        put_values(groups, n, labels, out);
        put_io(h, groups, n, labels, out);
        put_network(&net, out);
        put_last_seen(n, labels, out);
    }
    if (left_out)
        return err_set(e, ERR_LIMIT, "host: %u control groups are over the limit of %d and left out", left_out,
                       CGROUPS_MAX);
    return 0;
}
