/* test_container.c - control groups v1 and v2 on small trees, names from the callback and from Docker's folder,
 * networks. */
#include "tests/collector/host/tree.h"

#include "collector/host/container.c"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct buf collect(struct host *h)
{
    struct buf out = {0};
    struct err e;

    assert_int_equal(host_collect_containers(h, &out, &e), 0);
    return out;
}

static void ids(void **state)
{
    (void)state;
    assert_true(str_eqz(container_id(STR("/docker/" ID)), ID));
    assert_true(str_eqz(container_id(STR("/system.slice/docker-" ID ".scope")), ID));
    assert_true(str_eqz(container_id(STR("/kubepods/pod1/cri-containerd-" ID ".scope")), ID));
    assert_int_equal(container_id(STR("/docker/" ID "/init")).n, 0);
    assert_int_equal(container_id(STR("/docker/x" ID)).n, 0);
    assert_int_equal(container_id(STR("/" ID)).n, 64);
    assert_int_equal(container_id(STR(ID)).n, 0);
    assert_int_equal(container_id(STR("/")).n, 0);
}

static void version_2(void **state)
{
    struct tree t;
    struct host *h;
    struct buf out;

    (void)state;
    tree_make(&t);
    tree_put(&t, "proc/meminfo", "MemTotal: 1000 kB\nMemFree: 400 kB\nInactive(file): 100 kB\n");
    tree_put(&t, "proc/net/dev", "h | h\n h |\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n lo: 1\n veth1: 1\n");
    tree_put(&t, "sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
    tree_put(&t, "sys/fs/cgroup/cpu.stat", "usage_usec 5000000\n");
    tree_put(&t, "sys/fs/cgroup/memory.stat", "anon 100\nfile 200\n");
    tree_put(&t, "sys/fs/cgroup/cgroup.procs", "1\n2\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/cpu.stat",
             "usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnr_periods 7\nnr_throttled 2\nthrottled_usec "
             "500000\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/cpu.max", "50000 100000\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/cpu.weight", "100\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/memory.current", "10000\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/memory.max", "max\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/memory.stat",
             "anon 4000\nfile 5000\nfile_mapped 600\ninactive_file 700\npgfault 8\npgmajfault 1\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/memory.events", "low 0\nmax 3\noom 1\noom_kill 1\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/io.stat",
             "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0\n9:9 rbytes=1\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/pids.current", "9\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/pids.max", "max\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/cgroup.procs", "77\n78\n");
    tree_put(&t, "sys/fs/cgroup/system.slice/docker-" ID ".scope/cpu.pressure",
             "some avg10=0 total=2000000\nfull avg10=0 total=1000000\n");
    tree_link(&t, "sys/dev/block/8:0", "../../devices/pci/block/sda");
    tree_link(&t, "proc/1/ns/net", "net:[1]");
    tree_link(&t, "proc/2/ns/net", "net:[1]");
    tree_link(&t, "proc/77/ns/net", "net:[2]");
    tree_put(&t, "proc/77/net/dev", "h | h\n eth0: 101 2 3 4 5 6 7 8 109 10 11 12 13 14 15 16\n");
    tree_put(&t, "root/var/lib/docker/containers/" ID "/config.v2.json",
             "{\"Name\":\"/web\",\"Config\":{\"Image\":\"nginx:1\"}}");
    h = tree_host(&t);
    out = collect(h);
#define W "id=\"/system.slice/docker-" ID ".scope\",image=\"nginx:1\",name=\"web\""
    has_line(&out, "container_cpu_usage_seconds_total{id=\"/\",cpu=\"total\"} 5");
    has_line(&out, "container_cpu_usage_seconds_total{" W ",cpu=\"total\"} 3");
    has_line(&out, "container_cpu_user_seconds_total{" W "} 2");
    has_line(&out, "container_cpu_cfs_throttled_seconds_total{" W "} 0.5");
    has_line(&out, "container_spec_cpu_quota{" W "} 50000");
    has_line(&out, "container_spec_cpu_period{" W "} 100000");
    has_line(&out, "container_spec_cpu_shares{" W "} 2597");
    has_line(&out, "container_memory_usage_bytes{id=\"/\"} 614400");
    has_line(&out, "container_memory_working_set_bytes{id=\"/\"} 512000");
    has_line(&out, "container_memory_usage_bytes{" W "} 10000");
    has_line(&out, "container_memory_working_set_bytes{" W "} 9300");
    has_line(&out, "container_memory_rss{" W "} 4000");
    has_line(&out, "container_memory_cache{" W "} 5000");
    has_line(&out, "container_memory_failcnt{" W "} 3");
    has_line(&out, "container_oom_events_total{" W "} 1");
    has_line(&out, "container_spec_memory_limit_bytes{" W "} 0");
    has_line(&out, "container_memory_failures_total{" W ",failure_type=\"pgfault\",scope=\"container\"} 8");
    has_line(&out, "container_fs_writes_bytes_total{" W ",device=\"/dev/sda\"} 20");
    has_line(&out, "container_fs_reads_bytes_total{" W ",device=\"9:9\"} 1");
    has_line(&out, "container_threads{" W "} 9");
    has_line(&out, "container_threads_max{" W "} 0");
    has_line(&out, "container_processes{" W "} 2");
    has_line(&out, "container_pressure_cpu_waiting_seconds_total{" W "} 2");
    has_line(&out, "container_network_receive_bytes_total{id=\"/\",interface=\"eth0\"} 1");
    has_line(&out, "container_network_receive_bytes_total{" W ",interface=\"eth0\"} 101");
    has_line(&out, "container_network_transmit_bytes_total{" W ",interface=\"eth0\"} 109");
    has_not(&out, "veth1");
    has_not(&out, "container_spec_cpu_quota{id=\"/\"}");
    buf_release(&out);
    tree_put(&t, "root/var/lib/docker/containers/" ID "/config.v2.json",
             "{\"Name\":\"/renamed\",\"Config\":{\"Image\":\"nginx:1\"}}");
    out = collect(h);
    has_line(&out,
             "container_processes{id=\"/system.slice/docker-" ID ".scope\",image=\"nginx:1\",name=\"renamed\"} 2");
    assert_int_equal(h->containers->known.n, 1);
    buf_release(&out);
    {
        char command[256];

        snprintf(command, sizeof command, "rm -r %s/fs/cgroup/system.slice", t.sysfs);
        assert_int_equal(system(command), 0);
    }
    out = collect(h);
    has_not(&out, "renamed");
    assert_int_equal(h->containers->known.n, 0); /* invariant 1 */
    buf_release(&out);
    host_free(h);
    tree_remove(&t);
}

static int asked;

static bool tell(void *arg, struct str id, struct host_container *out)
{
    asked++;
    if (!str_eqz(id, ID) || asked < 2)
        return false;
    *out = (struct host_container){str_of(arg), STR("im\"g")};
    return true;
}

static void version_1(void **state)
{
    struct tree t;
    struct host_opts o = {.container = tell, .container_arg = (void *)"told"};
    struct host *h;
    struct buf out;

    (void)state;
    tree_make(&t);
    tree_put(&t, "sys/fs/cgroup/cpu/docker/" ID "/cpu.shares", "1024\n");
    tree_put(&t, "sys/fs/cgroup/cpu/docker/" ID "/cpu.cfs_period_us", "100000\n");
    tree_put(&t, "sys/fs/cgroup/cpu/docker/" ID "/cpu.cfs_quota_us", "-1\n");
    tree_put(&t, "sys/fs/cgroup/cpuacct/docker/" ID "/cpuacct.usage", "2500000000\n");
    tree_put(&t, "sys/fs/cgroup/cpuacct/docker/" ID "/cpuacct.stat", "user 150\nsystem 50\n");
    tree_put(&t, "sys/fs/cgroup/memory/docker/" ID "/memory.usage_in_bytes", "1000\n");
    tree_put(&t, "sys/fs/cgroup/memory/docker/" ID "/memory.stat",
             "cache 1\ntotal_rss 300\ntotal_cache 400\ntotal_inactive_file 1100\npgfault 5\ntotal_pgfault 6\n");
    tree_put(&t, "sys/fs/cgroup/memory/docker/" ID "/memory.limit_in_bytes", "9223372036854771712\n");
    tree_put(&t, "sys/fs/cgroup/memory/docker/" ID "/memory.failcnt", "2\n");
    tree_put(&t, "sys/fs/cgroup/memory/only-memory/memory.usage_in_bytes", "5\n");
    tree_put(&t, "sys/fs/cgroup/blkio/docker/" ID "/blkio.throttle.io_service_bytes",
             "8:0 Read 11\n8:0 Write 22\n8:0 Total 33\nTotal 33\n");
    tree_put(&t, "sys/fs/cgroup/blkio/docker/" ID "/blkio.throttle.io_serviced", "8:0 Read 1\n8:0 Write 2\nTotal 3\n");
    tree_put(&t, "sys/fs/cgroup/pids/docker/" ID "/pids.current", "4\n");
    tree_put(&t, "sys/fs/cgroup/pids/docker/" ID "/cgroup.procs", "");
    o.procfs = t.procfs;
    o.sysfs = t.sysfs;
    o.rootfs = t.rootfs;
    h = host_new(&o);
    asked = 0;
    out = collect(h);
    has_line(&out, "container_memory_rss{id=\"/docker/" ID "\"} 300");
    buf_release(&out);
    out = collect(h);
#define V "id=\"/docker/" ID "\",image=\"im\\\"g\",name=\"told\""
    has_line(&out, "container_cpu_usage_seconds_total{" V ",cpu=\"total\"} 2.5");
    has_line(&out, "container_cpu_user_seconds_total{" V "} 1.5");
    has_line(&out, "container_spec_cpu_shares{" V "} 1024");
    has_not(&out, "container_spec_cpu_quota");
    has_not(&out, "container_cpu_cfs");
    has_line(&out, "container_memory_working_set_bytes{" V "} 0");
    has_line(&out, "container_memory_failures_total{" V ",failure_type=\"pgfault\",scope=\"hierarchy\"} 6");
    has_line(&out, "container_spec_memory_limit_bytes{" V "} 0");
    has_line(&out, "container_memory_failcnt{" V "} 2");
    has_line(&out, "container_fs_reads_bytes_total{" V ",device=\"8:0\"} 11");
    has_line(&out, "container_fs_writes_total{" V ",device=\"8:0\"} 2");
    has_line(&out, "container_threads{" V "} 4");
    has_line(&out, "container_processes{" V "} 0");
    has_line(&out, "container_memory_usage_bytes{id=\"/only-memory\"} 5");
    buf_release(&out);
    out = collect(h);
    assert_int_equal(asked, 2); /* not again once it has answered */
    buf_release(&out);
    host_free(h);
    tree_remove(&t);
}

/* One network of two containers, one of which it was made for; the other's path comes first. */
static void shared_network(void **state)
{
#define OTHER "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    struct tree t;
    struct host *h;
    struct buf out;

    (void)state;
    tree_make(&t);
    tree_put(&t, "sys/fs/cgroup/cgroup.controllers", "cpu\n");
    tree_put(&t, "sys/fs/cgroup/docker/" ID "/cgroup.procs", "77\n");
    tree_put(&t, "sys/fs/cgroup/docker/" OTHER "/cgroup.procs", "78\n");
    tree_put(&t, "sys/fs/cgroup/third/cgroup.procs", "79\n");
    tree_put(&t, "proc/1/net/dev", "h | h\n eth0: 1\n");
    tree_put(&t, "proc/net/dev", "h | h\n eth0: 99\n"); /* where we live ourselves */
    tree_put(&t, "proc/77/net/dev", "h | h\n eth0: 2\n");
    tree_put(&t, "proc/78/net/dev", "h | h\n eth0: 3\n");
    tree_link(&t, "proc/1/ns/net", "net:[1]");
    tree_link(&t, "proc/77/ns/net", "net:[2]");
    tree_link(&t, "proc/78/ns/net", "net:[2]");
    tree_link(&t, "proc/79/ns/net", "net:[1]");
    tree_put(&t, "root/var/lib/docker/containers/" ID "/config.v2.json",
             "{\"Name\":\"/side\",\"NetworkSettings\":{\"SandboxID\":\"\"},\"Config\":{\"Image\":\"i\"}}");
    tree_put(&t, "root/var/lib/docker/containers/" OTHER "/config.v2.json",
             "{\"Name\":\"/web\",\"NetworkSettings\":{\"SandboxID\":\"ab\"},\"Config\":{\"Image\":\"i\","
             "\"Labels\":{\"com.docker.compose.service\":\"w\\\"eb\",\"a-b\":\"first\",\"a.b\":\"second\",\"none\":\"\"}}}");
    h = tree_host(&t);
    out = collect(h);
    has_line(&out, "container_network_receive_bytes_total{id=\"/\",interface=\"eth0\"} 1");
    has_line(&out, "container_network_receive_bytes_total{id=\"/docker/" OTHER
                   "\",image=\"i\",name=\"web\",container_label_com_docker_compose_service=\"w\\\"eb\","
                   "container_label_a_b=\"first\",interface=\"eth0\"} 3");
    has_not(&out, "container_network_receive_bytes_total{id=\"/docker/" ID "\"");
    has_not(&out, "container_network_receive_bytes_total{id=\"/third\"");
    buf_release(&out);
    host_free(h);
    tree_remove(&t);
}

static void no_groups(void **state)
{
    struct tree t;
    struct host *h;
    struct buf out;

    (void)state;
    tree_make(&t);
    h = tree_host(&t);
    out = collect(h);
    assert_int_equal(out.n, 0);
    buf_release(&out);
    host_free(h);
    tree_remove(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ids), cmocka_unit_test(version_2), cmocka_unit_test(version_1),
                                       cmocka_unit_test(shared_network), cmocka_unit_test(no_groups)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
