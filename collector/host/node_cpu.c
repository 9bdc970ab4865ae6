/* node_cpu.c - processors: time by mode, frequency, scheduler, interrupts, load, pressure. */
#include "collector/host/node.h"

#include <stdlib.h>
#include <unistd.h>

enum { CPUS_MAX = 8192, USER_HZ = 100 };
enum { IDLE = 3, GUEST = 8, GUEST_NICE = 9 };

static const char *const mode_names[GUEST] = {"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"};

static const double idle_jump_back_s = 3;

/* "cpu12 1 2 3 ...": false for other lines, "cpu 1 2 3 ..." among them. */
static bool read_cpu_line(struct str line, struct cpu_times *t)
{
    struct str name = host_next_word(&line);
    uint64_t id;

    if (!str_starts(name, STR("cpu")) || !str_to_u64(str_from(name, 3), &id) || id >= CPUS_MAX)
        return false;
    t->id = (unsigned)id;
    for (int m = 0; m < CPU_MODES; m++)
        t->seconds[m] = host_number(host_next_word(&line)) / USER_HZ;
    return true;
}

/* The kernel's figures may step back a little; ours must not, unless the processor was taken away and came back. */
static void hold_up(const struct cpu_times *old, struct cpu_times *now)
{
    if (old->seconds[IDLE] - now->seconds[IDLE] >= idle_jump_back_s)
        return;
    for (int m = 0; m < CPU_MODES; m++)
        if (now->seconds[m] < old->seconds[m])
            now->seconds[m] = old->seconds[m];
}

static const struct cpu_times *seen_before(const struct host *h, unsigned id, unsigned likely)
{
    if (likely < h->ncpus && h->cpus[likely].id == id)
        return &h->cpus[likely];
    for (unsigned i = 0; i < h->ncpus; i++)
        if (h->cpus[i].id == id)
            return &h->cpus[i];
    return NULL;
}

/* Reads the processors' lines of /proc/stat into h->cpus. */
static void read_cpus(struct host *h, struct str text)
{
    struct cpu_times *now = NULL;
    unsigned n = 0, cap = 0;
    struct str line;

    while (host_next_line(&text, &line)) {
        const struct cpu_times *old;
        struct cpu_times t;

        if (!read_cpu_line(line, &t)) {
            if (n)
                break; /* they stand together */
            continue;
        }
        old = seen_before(h, t.id, n);
        if (old)
            hold_up(old, &t);
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            struct cpu_times *more = arena_alloc(&h->scratch, cap * sizeof *more);
            if (n)
                memcpy(more, now, n * sizeof *more);
            now = more;
        }
        now[n++] = t;
    }
    if (n > h->ncpus)
        h->cpus = x_realloc(h->cpus, n * sizeof *h->cpus);
    if (n)
        memcpy(h->cpus, now, n * sizeof *now);
    h->ncpus = n;
}

/* The count of a processor's core or package and where it stands; false where the hardware tells none. */
static bool read_throttle(struct host *h, struct str cpu, bool core, int64_t *package, int64_t *id, int64_t *count)
{
    int dir = host_dir(h->sys_fd, arena_printf(&h->scratch, "devices/system/cpu/%s", cpu.p).p);
    bool ok;

    *id = 0;
    ok =
        host_attr_i64(h, dir, core ? "thermal_throttle/core_throttle_count" : "thermal_throttle/package_throttle_count",
                      count) &&
        host_attr_i64(h, dir, "topology/physical_package_id", package) &&
        (!core || host_attr_i64(h, dir, "topology/core_id", id));
    if (dir >= 0)
        close(dir);
    return ok;
}

/* One count for each package or core: siblings tell the same. */
static void put_throttles(struct host *h, struct buf *out, const struct str *cpus, uint32_t n, bool core)
{
    const char *metric = core ? "node_cpu_core_throttles_total" : "node_cpu_package_throttles_total";
    struct map seen = {0};

    for (uint32_t i = 0; i < n; i++) {
        int64_t package, id, count;
        struct emit m;
        bool added;
        uint64_t number;

        if (!str_starts(cpus[i], STR("cpu")) || !str_to_u64(str_from(cpus[i], 3), &number))
            continue;
        if (!read_throttle(h, cpus[i], core, &package, &id, &count))
            break; /* one without is all without */
        map_put(&seen, arena_printf(&h->scratch, "%lld/%lld", (long long)package, (long long)id), &added);
        if (!added)
            continue;
        if (seen.n == 1)
            emit_family(out, metric, "counter", "Number of times it was throttled for heat.");
        m = emit_begin(out, metric);
        if (core)
            emit_label(&m, "core", arena_printf(&h->scratch, "%lld", (long long)id));
        emit_label(&m, "package", arena_printf(&h->scratch, "%lld", (long long)package));
        emit_end(&m, (double)count);
    }
    map_release(&seen);
}

int node_cpu(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_STAT), *cpus;
    uint32_t n;

    if (!text.p)
        return -1;
    read_cpus(h, text);
    emit_family(out, "node_cpu_guest_seconds_total", "counter", "Time a processor ran guests, in seconds, by mode.");
    for (unsigned i = 0; i < h->ncpus; i++) {
        char id[NUM_MAX];
        struct str cpu = str_n(id, num_fmt_u64(h->cpus[i].id, id));

        emit_2(out, "node_cpu_guest_seconds_total", "cpu", cpu, "mode", STR("nice"), h->cpus[i].seconds[GUEST_NICE]);
        emit_2(out, "node_cpu_guest_seconds_total", "cpu", cpu, "mode", STR("user"), h->cpus[i].seconds[GUEST]);
    }
    emit_family(out, "node_cpu_seconds_total", "counter", "Time a processor spent, in seconds, by mode.");
    for (unsigned i = 0; i < h->ncpus; i++) {
        char id[NUM_MAX];
        struct str cpu = str_n(id, num_fmt_u64(h->cpus[i].id, id));

        for (int m = 0; m < GUEST; m++)
            emit_2(out, "node_cpu_seconds_total", "cpu", cpu, "mode", str_of(mode_names[m]), h->cpus[i].seconds[m]);
    }
    cpus = host_names(h, h->sys_fd, "devices/system/cpu", &n);
    put_throttles(h, out, cpus, n, false);
    put_throttles(h, out, cpus, n, true);
    return 0;
}

/* --- frequency ------------------------------------------------------------------------------------- */

static const struct {
    const char *file, *metric, *help;
} freqs[] = {
    {"cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Frequency of a processor now, as the hardware tells."},
    {"cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "Lowest frequency of a processor."},
    {"cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "Highest frequency of a processor."},
    {"scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "Frequency of a processor now, as its governor set it."},
    {"scaling_min_freq", "node_cpu_scaling_frequency_min_hertz", "Lowest frequency its governor may choose."},
    {"scaling_max_freq", "node_cpu_scaling_frequency_max_hertz", "Highest frequency its governor may choose."},
};

int node_cpufreq(struct host *h, struct buf *out)
{
    uint32_t n, ndirs = 0;
    struct str *names = host_names(h, h->sys_fd, "devices/system/cpu", &n),
               *ids = arena_array(&h->scratch, struct str, n + 1);
    int *dirs = arena_array(&h->scratch, int, n + 1);

    for (uint32_t i = 0; i < n; i++) {
        uint64_t id;

        if (!str_starts(names[i], STR("cpu")) || !str_to_u64(str_from(names[i], 3), &id))
            continue;
        dirs[ndirs] = host_dir(h->sys_fd, arena_printf(&h->scratch, "devices/system/cpu/%s/cpufreq", names[i].p).p);
        ids[ndirs] = str_from(names[i], 3);
        ndirs += dirs[ndirs] >= 0;
    }
    for (unsigned f = 0; f < ARRAY_LEN(freqs); f++) {
        bool family = false;
        int64_t khz;

        for (uint32_t i = 0; i < ndirs; i++) {
            if (!host_attr_i64(h, dirs[i], freqs[f].file, &khz))
                continue;
            if (!family)
                emit_family(out, freqs[f].metric, "gauge", freqs[f].help);
            family = true;
            emit_1(out, freqs[f].metric, "cpu", ids[i], (double)khz * 1000);
        }
    }
    for (uint32_t i = 0; i < ndirs; i++)
        close(dirs[i]);
    return 0;
}

/* --- the kernel's counters --------------------------------------------------------------------------- */

int node_stat(struct host *h, struct buf *out)
{
    static const struct {
        const char *key, *metric, *type, *help;
    } rows[] = {
        {"intr", "node_intr_total", "counter", "Interrupts served."},
        {"ctxt", "node_context_switches_total", "counter", "Context switches."},
        {"btime", "node_boot_time_seconds", "gauge", "When the host was started, in seconds since 1970."},
        {"processes", "node_forks_total", "counter", "Processes and threads created."},
        {"procs_running", "node_procs_running", "gauge", "Processes that run or could."},
        {"procs_blocked", "node_procs_blocked", "gauge", "Processes that wait for a disk."},
    };
    struct str text = host_proc(h, PROC_STAT), line;

    if (!text.p)
        return -1;
    while (host_next_line(&text, &line)) {
        struct str key = host_next_word(&line);

        for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
            if (str_eqz(key, rows[i].key)) {
                emit_family(out, rows[i].metric, rows[i].type, rows[i].help);
                struct emit m = emit_begin(out, rows[i].metric);
                emit_end(&m, host_number(host_next_word(&line)));
            }
    }
    return 0;
}

int node_schedstat(struct host *h, struct buf *out)
{
    static const struct {
        const char *metric, *help;
        unsigned field;
        double unit;
    } rows[] = {
        {"node_schedstat_running_seconds_total", "Time a processor ran tasks.", 7, 1e9},
        {"node_schedstat_waiting_seconds_total", "Time tasks waited for a processor.", 8, 1e9},
        {"node_schedstat_timeslices_total", "Time slices a processor gave.", 9, 1},
    };
    struct str all = host_proc(h, PROC_SCHEDSTAT), text, line;

    if (!all.p)
        return -1;
    for (unsigned r = 0; r < ARRAY_LEN(rows); r++) {
        text = all;
        emit_family(out, rows[r].metric, "counter", rows[r].help);
        while (host_next_line(&text, &line)) {
            struct str name = host_next_word(&line), value = STR("");

            if (!str_starts(name, STR("cpu")))
                continue;
            for (unsigned f = 1; f <= rows[r].field; f++)
                value = host_next_word(&line);
            if (value.n)
                emit_1(out, rows[r].metric, "cpu", str_from(name, 3), host_number(value) / rows[r].unit);
        }
    }
    return 0;
}

int node_softnet(struct host *h, struct buf *out)
{
    static const struct {
        const char *metric, *help;
    } rows[] = {
        {"node_softnet_processed_total", "Packets processed."},
        {"node_softnet_dropped_total", "Packets dropped."},
        {"node_softnet_times_squeezed_total", "Times the quota ran out while packets were left."},
    };
    struct str all = host_proc(h, PROC_NET_SOFTNET), text, line;

    if (!all.p)
        return -1;
    for (unsigned r = 0; r < ARRAY_LEN(rows); r++) {
        uint64_t cpu = 0;

        text = all;
        emit_family(out, rows[r].metric, "counter", rows[r].help);
        for (; host_next_line(&text, &line); cpu++) {
            struct str value = STR(""), word;
            char id[NUM_MAX];

            for (unsigned f = 0; (word = host_next_word(&line)).n; f++) {
                if (f == r)
                    value = word;
                if (f == 12) /* newer kernels tell the number: lines of absent processors are missing */
                    cpu = host_hex(word);
            }
            emit_1(out, rows[r].metric, "cpu", str_n(id, num_fmt_u64(cpu, id)), (double)host_hex(value));
        }
    }
    return 0;
}

int node_loadavg(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_LOADAVG);

    if (!text.p)
        return -1;
    emit_gauge(out, "node_load1", "Load average over 1 minute.", host_number(host_next_word(&text)));
    emit_gauge(out, "node_load5", "Load average over 5 minutes.", host_number(host_next_word(&text)));
    emit_gauge(out, "node_load15", "Load average over 15 minutes.", host_number(host_next_word(&text)));
    return 0;
}

/* "some avg10=... total=123" in microseconds, of the line that begins with kind. */
static bool pressure_total(struct str text, const char *kind, double *seconds)
{
    struct str line, word;

    while (host_next_line(&text, &line)) {
        if (!str_eqz(host_next_word(&line), kind))
            continue;
        while ((word = host_next_word(&line)).n)
            if (str_starts(word, STR("total="))) {
                *seconds = host_number(str_from(word, 6)) / 1e6;
                return true;
            }
    }
    return false;
}

int node_pressure(struct host *h, struct buf *out)
{
    static const struct {
        enum proc_file file;
        const char *kind, *metric, *help;
    } rows[] = {
        {PROC_PRESSURE_CPU, "some", "node_pressure_cpu_waiting_seconds_total",
         "Time in which some process waited for a processor."},
        {PROC_PRESSURE_IO, "full", "node_pressure_io_stalled_seconds_total",
         "Time in which no process could go on for want of a disk."},
        {PROC_PRESSURE_IO, "some", "node_pressure_io_waiting_seconds_total",
         "Time in which some process waited for a disk."},
        {PROC_PRESSURE_MEMORY, "full", "node_pressure_memory_stalled_seconds_total",
         "Time in which no process could go on for want of memory."},
        {PROC_PRESSURE_MEMORY, "some", "node_pressure_memory_waiting_seconds_total",
         "Time in which some process waited for memory."},
    };
    double seconds;

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct str text = host_proc(h, rows[i].file);

        if (!text.p)
            return -1;
        if (pressure_total(text, rows[i].kind, &seconds))
            emit_counter(out, rows[i].metric, rows[i].help, seconds);
    }
    return 0;
}
