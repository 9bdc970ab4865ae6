/* test_node_fs.c - which mounts are told, and that one whose server is dead does not hold up the others. */
#include "tests/collector/host/tree.h"

#include "collector/host/node_fs.c"

#include <stdatomic.h>

static _Atomic int dead_asked, alive_asked;
static _Atomic bool revived;

/* /dead hangs until revived; others answer at once. */
static int ask(const char *path, struct statvfs *out)
{
    memset(out, 0, sizeof *out);
    out->f_frsize = 10;
    out->f_blocks = 100;
    if (str_ends(str_of(path), STR("/dead"))) {
        dead_asked++;
        while (!revived)
            usleep(1000);
        return 0;
    }
    alive_asked++;
    return 0;
}

static struct buf collect(struct host *h)
{
    struct buf out = {0};

    arena_reset(&h->scratch);
    assert_int_equal(node_filesystem(h, &out), 0);
    return out;
}

static struct host *host_with_hooks(const struct tree *t)
{
    struct host *h = tree_host(t);

    h->watchdog = watchdog_new();
    h->watchdog->ask = ask;
    h->watchdog->patience_ms = 100;
    return h;
}

static void dead_server(void **state)
{
    struct tree t;
    struct host *h;
    struct buf out;
    int64_t start;

    (void)state;
    tree_make(&t);
    tree_put(&t, "proc/1/mounts", "a:/x /dead nfs rw 0 0\nb:/y /fine nfs4 ro,soft 0 0\n");
    h = host_with_hooks(&t);
    dead_asked = alive_asked = 0;
    revived = false;
    start = clock_mono_ms();
    out = collect(h);
    assert_true(clock_mono_ms() - start < 5000);
    has_line(&out, "node_filesystem_device_error{device=\"a:/x\",fstype=\"nfs\",mountpoint=\"/dead\"} 1");
    has_line(&out, "node_filesystem_device_error{device=\"b:/y\",fstype=\"nfs4\",mountpoint=\"/fine\"} 0");
    has_line(&out, "node_filesystem_readonly{device=\"b:/y\",fstype=\"nfs4\",mountpoint=\"/fine\"} 1");
    has_line(&out, "node_filesystem_size_bytes{device=\"b:/y\",fstype=\"nfs4\",mountpoint=\"/fine\"} 1000");
    has_not(&out, "node_filesystem_size_bytes{device=\"a:/x\"");
    buf_release(&out);
    out = collect(h); /* invariant 2: not asked again */
    assert_int_equal(dead_asked, 1);
    assert_int_equal(alive_asked, 2);
    has_line(&out, "node_filesystem_device_error{device=\"a:/x\",fstype=\"nfs\",mountpoint=\"/dead\"} 1");
    buf_release(&out);
    revived = true;
    assert_true(wait_for(h->watchdog->hanging, 5000));
    out = collect(h);
    assert_int_equal(dead_asked, 2);
    has_line(&out, "node_filesystem_device_error{device=\"a:/x\",fstype=\"nfs\",mountpoint=\"/dead\"} 0");
    buf_release(&out);
    host_free(h);
    tree_remove(&t);
}

/* The host goes while a question still hangs: its thread cleans up alone. */
static void freed_while_hanging(void **state)
{
    struct tree t;
    struct host *h;
    struct buf out;

    (void)state;
    tree_make(&t);
    tree_put(&t, "proc/1/mounts", "a:/x /dead nfs rw 0 0\n");
    h = host_with_hooks(&t);
    revived = false;
    out = collect(h);
    buf_release(&out);
    host_free(h);
    revived = true;
    usleep(50000);
    tree_remove(&t);
}

static void which_mounts(void **state)
{
    struct tree t;
    struct host *h;
    struct buf out, text = {0};

    (void)state;
    tree_make(&t);
    tree_put(&t, "root/here and there/x", "");
    buf_printf(&text,
               "/dev/sda1 %s ext4 rw 0 0\n/dev/sda2 %s/here\\040and\\040there ext4 rw,ro 0 0\n/dev/sda2 "
               "%s/here\\040and\\040there ext4 rw "
               "0 0\ntmpfs /run tmpfs rw 0 0\n/dev/sdc /mnt/x ext4 rw 0 0\noverlay /o overlay rw 0 0\ncg /cg cgroup2 "
               "rw 0 0\nshort\n"
               "/dev/sdd %s/gone ext4 rw 0 0\n/dev/sde /devices ext4 rw 0 0\n",
               t.rootfs, t.rootfs, t.rootfs, t.rootfs);
    tree_put(&t, "proc/1/mounts", buf_z(&text));
    h = tree_host(&t);
    out = collect(h);
    has_line(&out, "node_filesystem_device_error{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 0");
    has_line(&out, "node_filesystem_readonly{device=\"/dev/sda2\",fstype=\"ext4\",mountpoint=\"/here and there\"} 1");
    has_line(&out, "node_filesystem_device_error{device=\"/dev/sdd\",fstype=\"ext4\",mountpoint=\"/gone\"} 1");
    has_line(&out, "node_filesystem_device_error{device=\"/dev/sde\",fstype=\"ext4\",mountpoint=\"/devices\"} 1");
    has_not(&out, "/run");
    has_not(&out, "/mnt");
    has_not(&out, "overlay");
    has_not(&out, "cgroup2");
    buf_release(&out);
    buf_release(&text);
    host_free(h);
    tree_remove(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dead_server), cmocka_unit_test(freed_while_hanging),
                                       cmocka_unit_test(which_mounts)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
