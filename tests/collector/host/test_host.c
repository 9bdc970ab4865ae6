/* test_host.c - the collectors on small trees: what node_exporter would say of them, and of files that are cut or odd.
 */
#include "tests/collector/host/tree.h"

#include "collector/host/host.c"
#include "collector/host/node_cpu.c"

static struct buf collect(struct host *h)
{
    struct buf out = {0};
    struct err e;

    assert_int_equal(host_collect_node(h, &out, &e), 0);
    return out;
}

static void empty_tree(void **state)
{
    struct tree t;
    struct host *h;
    struct buf out;

    (void)state;
    tree_make(&t);
    h = tree_host(&t);
    out = collect(h);
    has_line(&out, "node_scrape_collector_success{collector=\"cpu\"} 0");
    has_line(&out, "node_scrape_collector_success{collector=\"filesystem\"} 0");
    has_line(&out, "node_scrape_collector_success{collector=\"uname\"} 1");
    has_not(&out, "node_cpu_seconds_total");
    has_not(&out, "node_nf_conntrack_entries");
    buf_release(&out);
    host_free(h);
    host_free(NULL);
    tree_remove(&t);
}

static void no_tree(void **state)
{
    struct host_opts o = {.procfs = "/nonexistent/proc", .sysfs = "/nonexistent/sys", .rootfs = "/nonexistent"};
    struct host *h = host_new(&o);
    struct buf out = {0};
    struct err e;

    (void)state;
    assert_int_equal(host_collect_node(h, &out, &e), ERR_UNAVAILABLE);
    assert_int_equal(host_collect_containers(h, &out, &e), ERR_UNAVAILABLE);
    assert_int_equal(out.n, 0);
    host_free(h);
}

static void disabled(void **state)
{
    struct tree t;
    struct host_opts o = {.disabled = "uname, cpu,nosuch"};
    struct host *h;
    struct buf out;

    (void)state;
    tree_make(&t);
    o.procfs = t.procfs;
    o.sysfs = t.sysfs;
    o.rootfs = t.rootfs;
    h = host_new(&o);
    out = collect(h);
    has_not(&out, "node_uname_info");
    has_not(&out, "collector=\"uname\"");
    has_not(&out, "collector=\"cpu\"");
    has_line(&out, "node_scrape_collector_success{collector=\"time\"} 1");
    buf_release(&out);
    host_free(h);
    tree_remove(&t);
}

static void cpu_steps_back(void **state)
{
    struct tree t;
    struct host *h;
    struct buf out;

    (void)state;
    tree_make(&t);
    tree_put(&t, "proc/stat",
             "cpu  9 9\ncpu0 100 0 50 1000 200 0 0 0 7 3\ncpu12 1 2 3 4 5 6 7 8 9 10\nintr 5 1 1\nctxt 6\nbtime 7\n"
             "processes 8\nprocs_running 1\nprocs_blocked 0\n");
    h = tree_host(&t);
    out = collect(h);
    has_line(&out, "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1");
    has_line(&out, "node_cpu_seconds_total{cpu=\"12\",mode=\"steal\"} 0.08");
    has_line(&out, "node_cpu_guest_seconds_total{cpu=\"0\",mode=\"user\"} 0.07");
    has_line(&out, "node_intr_total 5");
    has_line(&out, "node_boot_time_seconds 7");
    buf_release(&out);
    tree_put(&t, "proc/stat", "cpu0 110 0 50 999 190 0 0 0 7 3\n"); /* iowait and idle fell a little: they stay */
    out = collect(h);
    has_line(&out, "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1.1");
    has_line(&out, "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 10");
    has_line(&out, "node_cpu_seconds_total{cpu=\"0\",mode=\"iowait\"} 2");
    has_not(&out, "cpu=\"12\"");
    buf_release(&out);
    tree_put(&t, "proc/stat", "cpu0 1 0 0 100 0 0 0 0 0 0\n"); /* taken away and back: anew */
    out = collect(h);
    has_line(&out, "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1");
    has_line(&out, "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 0.01");
    buf_release(&out);
    host_free(h);
    tree_remove(&t);
}

static void disks_and_words(void **state)
{
    struct tree t;
    struct host *h;
    struct buf out;

    (void)state;
    tree_make(&t);
    tree_put(&t, "proc/diskstats",
             "   8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n   8 1 sda1 1 2 3\n 7 0 loop3 1 1\n 259 0 nvme0n1 1 2 3 4\n"
             " 259 1 nvme0n1p2 1 2 3 4\n 1 2\n\n");
    tree_put(&t, "root/run/udev/data/b8:0", "E:ID_MODEL=A\"B\\C\nE:ID_SERIAL_SHORT=s\nrubbish\nE:none\n");
    tree_put(&t, "root/etc/os-release",
             "# c\nNAME='Arch \"L\"'\nID=arch\nPRETTY_NAME=\"a\\\"b\"\nVERSION_ID=\"12.3.4\"\nbad\n");
    tree_put(&t, "proc/meminfo", "MemTotal:  100 kB\nActive(anon):    7 kB\nHugePages_Total:  3\nbroken\n");
    tree_put(&t, "proc/vmstat", "pgfault 5\npgscan 4\noom_kill 1\npswpin 2\n");
    tree_put(&t, "proc/pressure/cpu", "some avg10=0.00 total=1500000\n");
    tree_put(&t, "proc/pressure/io", "some avg10=0.00 total=1\nfull avg10=0.00 total=2\n");
    tree_put(&t, "proc/pressure/memory", "");
    h = tree_host(&t);
    out = collect(h);
    has_line(&out, "node_disk_read_bytes_total{device=\"sda\"} 1536");
    has_line(&out, "node_disk_reads_completed_total{device=\"nvme0n1\"} 1");
    has_line(&out, "node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",model=\"A\\\"B\\\\C\",path=\"\",revision="
                   "\"\",serial=\"s\",wwn=\"\"} 1");
    has_not(&out, "sda1");
    has_not(&out, "loop3");
    has_not(&out, "nvme0n1p2");
    has_not(&out, "node_disk_discards");
    has_line(&out, "node_os_version{id=\"arch\",id_like=\"\",name=\"Arch \\\"L\\\"\"} 12.3");
    has_line(&out, "node_memory_Active_anon_bytes 7168");
    has_line(&out, "node_memory_HugePages_Total 3");
    has_line(&out, "node_vmstat_pgfault 5");
    has_not(&out, "pgscan");
    has_line(&out, "node_pressure_cpu_waiting_seconds_total 1.5");
    has_line(&out, "node_pressure_io_stalled_seconds_total 0.000002");
    buf_release(&out);
    host_free(h);
    tree_remove(&t);
}

/* Every file cut at any place, or full of rubbish: no crash, and text that still is one sample or comment a line. */
static void rubbish(void **state)
{
    static const char *const files[] = {"proc/stat",
                                        "proc/meminfo",
                                        "proc/loadavg",
                                        "proc/vmstat",
                                        "proc/diskstats",
                                        "proc/schedstat",
                                        "proc/1/mounts",
                                        "proc/net/dev",
                                        "proc/net/arp",
                                        "proc/net/netstat",
                                        "proc/net/snmp",
                                        "proc/net/snmp6",
                                        "proc/net/sockstat",
                                        "proc/net/sockstat6",
                                        "proc/net/softnet_stat",
                                        "proc/net/udp",
                                        "proc/net/udp6",
                                        "proc/net/stat/nf_conntrack",
                                        "proc/sys/fs/file-nr",
                                        "proc/sys/net/netfilter/nf_conntrack_count",
                                        "proc/sys/net/netfilter/nf_conntrack_max",
                                        "proc/pressure/cpu",
                                        "proc/pressure/io",
                                        "proc/pressure/memory",
                                        "root/etc/os-release",
                                        "sys/class/net/eth0/speed",
                                        "sys/class/net/eth0/flags",
                                        "sys/class/hwmon/hwmon0/temp1_input",
                                        "sys/class/hwmon/hwmon0/name",
                                        "sys/class/thermal/thermal_zone0/temp",
                                        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
                                        "sys/class/powercap/x/name",
                                        "sys/class/power_supply/B/temp",
                                        "sys/fs/cgroup/cgroup.controllers",
                                        "sys/fs/cgroup/a/memory.stat",
                                        "sys/fs/cgroup/a/io.stat",
                                        "sys/fs/cgroup/a/cpu.max",
                                        "sys/fs/cgroup/a/cpu.pressure",
                                        "sys/fs/cgroup/a/cgroup.procs",
                                        "sys/fs/cgroup/a/memory.max"};
    static const char alphabet[] = "cpu0123456789 \t\n:=/\\\"avg|-.xnettotalIp6TcpkB(){},\xff";
    uint64_t seed = 7;
    struct tree t;
    struct host *h;

    (void)state;
    tree_make(&t);
    h = tree_host(&t);
    for (int round = 0; round < 40; round++) {
        struct str rest, line;
        struct buf out;
        struct err e;

        for (unsigned f = 0; f < ARRAY_LEN(files); f++) {
            char text[400];
            size_t n;

            seed = seed * 6364136223846793005u + 1442695040888963407u;
            n = (seed >> 33) % sizeof text;
            for (size_t i = 0; i < n; i++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                text[i] = alphabet[(seed >> 33) % (sizeof alphabet - 1)];
            }
            text[n ? n - 1 : 0] = '\0';
            tree_put(&t, files[f], text);
        }
        out = collect(h);
        assert_int_equal(host_collect_containers(h, &out, &e), 0);
        rest = buf_str(&out);
        while (rest.n) {
            assert_true(str_cut(&rest, '\n', &line));
            assert_true(str_starts(line, STR("# ")) || str_starts(line, STR("node_")) ||
                        str_starts(line, STR("container_")));
        }
        buf_release(&out);
    }
    host_free(h);
    tree_remove(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_tree),     cmocka_unit_test(no_tree),         cmocka_unit_test(disabled),
        cmocka_unit_test(cpu_steps_back), cmocka_unit_test(disks_and_words), cmocka_unit_test(rubbish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
