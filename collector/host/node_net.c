/* node_net.c - network interfaces: counters, properties, neighbours, connection tracking. */
#include "collector/host/node.h"

#include <stdio.h>
#include <unistd.h>

enum { DEVICES_MAX = 16384 };

/* --- netdev ---------------------------------------------------------------------------------------- */

enum { DEV_FIELDS = 16 };
static const char *const dev_fields[DEV_FIELDS] = {
    "receive_bytes",  "receive_packets",  "receive_errs",       "receive_drop",
    "receive_fifo",   "receive_frame",    "receive_compressed", "receive_multicast",
    "transmit_bytes", "transmit_packets", "transmit_errs",      "transmit_drop",
    "transmit_fifo",  "transmit_colls",   "transmit_carrier",   "transmit_compressed",
};

struct device {
    struct str name; /* borrowed from the text of /proc/net/dev */
    double v[DEV_FIELDS];
    bool has_nohandler;
    double nohandler;
};

/* " eth0: 1 2 3 ..."; false for the two lines of heading. */
static bool read_device(struct str line, struct device *d)
{
    ptrdiff_t colon = str_chr(line, ':');

    if (colon < 0 || str_chr(line, '|') >= 0)
        return false;
    d->name = str_trim(str_head(line, (size_t)colon));
    line = str_from(line, (size_t)colon + 1);
    for (int i = 0; i < DEV_FIELDS; i++)
        d->v[i] = host_number(host_next_word(&line));
    return true;
}

int node_netdev(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_NET_DEV), line;
    struct device *devices, *d;
    uint32_t n = 0, lines = 0;
    char metric[64];

    if (!text.p)
        return -1;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    devices = arena_array(&h->scratch, struct device, lines + 1);
    while (host_next_line(&text, &line) && n < DEVICES_MAX) {
        d = &devices[n];
        if (!read_device(line, d) || str_eqz(d->name, "lo")) /* Debian leaves the loopback out */
            continue;
        n++;
        d->has_nohandler = host_attr_f64(
            h, h->sys_fd, arena_printf(&h->scratch, "class/net/%.*s/statistics/rx_nohandler", STR_ARG(d->name)).p,
            &d->nohandler);
    }
    for (int f = 0; f < DEV_FIELDS; f++) {
        snprintf(metric, sizeof metric, "node_network_%s_total", dev_fields[f]);
        emit_family(out, metric, "counter", "A counter of network interfaces.");
        for (uint32_t i = 0; i < n; i++)
            emit_1(out, metric, "device", devices[i].name, devices[i].v[f]);
    }
    emit_family(out, "node_network_receive_nohandler_total", "counter", "Packets nobody wanted.");
    for (uint32_t i = 0; i < n; i++)
        if (devices[i].has_nohandler)
            emit_1(out, "node_network_receive_nohandler_total", "device", devices[i].name, devices[i].nohandler);
    return 0;
}

/* --- netclass -------------------------------------------------------------------------------------- */

static const struct {
    const char *file, *metric, *type;
} net_attrs[] = {
    {"addr_assign_type", "node_network_address_assign_type", "gauge"},
    {"carrier", "node_network_carrier", "gauge"},
    {"carrier_changes", "node_network_carrier_changes_total", "counter"},
    {"carrier_down_count", "node_network_carrier_down_changes_total", "counter"},
    {"carrier_up_count", "node_network_carrier_up_changes_total", "counter"},
    {"dev_id", "node_network_device_id", "gauge"},
    {"dormant", "node_network_dormant", "gauge"},
    {"flags", "node_network_flags", "gauge"},
    {"ifindex", "node_network_iface_id", "gauge"},
    {"iflink", "node_network_iface_link", "gauge"},
    {"link_mode", "node_network_iface_link_mode", "gauge"},
    {"mtu", "node_network_mtu_bytes", "gauge"},
    {"name_assign_type", "node_network_name_assign_type", "gauge"},
    {"netdev_group", "node_network_net_dev_group", "gauge"},
    {"speed", "node_network_speed_bytes", "gauge"}, /* in Mbit/s */
    {"tx_queue_len", "node_network_transmit_queue_length", "gauge"},
    {"type", "node_network_protocol_type", "gauge"},
};
enum { NET_ATTRS = ARRAY_LEN(net_attrs), NET_TEXTS = 6 };
static const char *const net_texts[NET_TEXTS] = {"address", "broadcast", "device", "duplex", "ifalias", "operstate"};

struct iface {
    struct str name, texts[NET_TEXTS];
    double v[NET_ATTRS];
    uint32_t has; /* bit per attribute */
};

static void read_iface(struct host *h, int dir, struct iface *t)
{
    for (unsigned i = 0; i < NET_ATTRS; i++) {
        int64_t v;

        if (!host_attr_i64(h, dir, net_attrs[i].file, &v)) /* many of them cannot be read while the interface is down */
            continue;
        t->v[i] = strcmp(net_attrs[i].file, "speed") == 0 ? (double)v * 1e6 / 8 : (double)v;
        t->has |= 1u << i;
    }
    for (unsigned i = 0; i < NET_TEXTS; i++)
        t->texts[i] =
            strcmp(net_texts[i], "device") == 0 ? t->name : arena_dup(&h->scratch, host_attr(h, dir, net_texts[i]));
}

static void put_ifaces(const struct iface *list, uint32_t n, struct buf *out)
{
    for (unsigned a = 0; a < NET_ATTRS; a++) {
        bool family = false;

        for (uint32_t i = 0; i < n; i++) {
            if (!(list[i].has >> a & 1))
                continue;
            if (!family)
                emit_family(out, net_attrs[a].metric, net_attrs[a].type, "A property of network interfaces.");
            family = true;
            emit_1(out, net_attrs[a].metric, "device", list[i].name, list[i].v[a]);
        }
    }
    emit_family(out, "node_network_info", "gauge", "Properties of network interfaces that are no numbers; always 1.");
    for (uint32_t i = 0; i < n; i++) {
        struct emit m = emit_begin(out, "node_network_info");

        for (unsigned t = 0; t < NET_TEXTS; t++)
            emit_label(&m, net_texts[t], list[i].texts[t]);
        emit_end(&m, 1);
    }
    emit_family(out, "node_network_up", "gauge", "1 if the interface is up.");
    for (uint32_t i = 0; i < n; i++)
        emit_1(out, "node_network_up", "device", list[i].name, str_eqz(list[i].texts[NET_TEXTS - 1], "up"));
}

int node_netclass(struct host *h, struct buf *out)
{
    int class = host_dir(h->sys_fd, "class/net");
    struct iface *list;
    struct str *names;
    uint32_t n, kept = 0;

    if (class < 0)
        return -1;
    names = host_names(h, class, ".", &n);
    list = arena_array(&h->scratch, struct iface, n + 1);
    for (uint32_t i = 0; i < n && kept < DEVICES_MAX; i++) {
        int dir = host_dir(class, names[i].p);

        if (dir < 0) /* bonding_masters is a file */
            continue;
        list[kept].name = names[i];
        read_iface(h, dir, &list[kept++]);
        close(dir);
    }
    close(class);
    put_ifaces(list, kept, out);
    return 0;
}

/* --- neighbours, connection tracking, UDP ------------------------------------------------------------ */

int node_arp(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_NET_ARP), line;
    struct map devices = {0};
    struct map_entry *t;
    uint32_t i = 0;

    if (!text.p)
        return -1;
    host_next_line(&text, &line); /* heading */
    while (host_next_line(&text, &line)) {
        struct str device = STR("");
        void **count;

        for (int f = 0; f < 6; f++)
            device = host_next_word(&line);
        if (device.n == 0)
            continue;
        count = map_put(&devices, device, NULL);
        *count = (void *)((uintptr_t)*count + 1);
    }
    emit_family(out, "node_arp_entries", "gauge", "Neighbours known, by interface.");
    while ((t = map_next(&devices, &i)))
        emit_1(out, "node_arp_entries", "device", t->key, (double)(uintptr_t)t->value);
    map_release(&devices);
    return 0;
}

int node_conntrack(struct host *h, struct buf *out)
{
    static const struct {
        const char *metric, *help;
        unsigned column;
    } rows[] = {
        {"node_nf_conntrack_stat_found", "Look-ups that found an entry.", 2},
        {"node_nf_conntrack_stat_invalid", "Packets that cannot be tracked.", 4},
        {"node_nf_conntrack_stat_ignore", "Packets of connections known already.", 5},
        {"node_nf_conntrack_stat_insert", "Entries inserted.", 8},
        {"node_nf_conntrack_stat_insert_failed", "Entries that could not be inserted.", 9},
        {"node_nf_conntrack_stat_drop", "Packets dropped because tracking failed.", 10},
        {"node_nf_conntrack_stat_early_drop", "Entries dropped to make room.", 11},
        {"node_nf_conntrack_stat_search_restart", "Look-ups begun anew because the table was resized.", 16},
    };
    uint64_t sums[ARRAY_LEN(rows)] = {0};
    struct str text = host_proc(h, PROC_CONNTRACK_COUNT), line;

    if (!text.p)
        return -1;
    emit_gauge(out, "node_nf_conntrack_entries", "Connections tracked now.", host_number(str_trim(text)));
    text = host_proc(h, PROC_CONNTRACK_MAX);
    if (!text.p)
        return -1;
    emit_gauge(out, "node_nf_conntrack_entries_limit", "How many there may be.", host_number(str_trim(text)));
    text = host_proc(h, PROC_NET_CONNTRACK);
    if (!text.p)
        return -1;
    host_next_line(&text, &line);          /* heading */
    while (host_next_line(&text, &line)) { /* a line for each processor */
        struct str word;

        for (unsigned column = 0; (word = host_next_word(&line)).n; column++)
            for (unsigned r = 0; r < ARRAY_LEN(rows); r++)
                if (rows[r].column == column)
                    sums[r] += host_hex(word);
    }
    for (unsigned r = 0; r < ARRAY_LEN(rows); r++)
        emit_gauge(out, rows[r].metric, rows[r].help, (double)sums[r]);
    return 0;
}

/* Sums the queues "tx:rx" of a table of sockets. */
static bool sum_queues(struct str text, uint64_t *tx, uint64_t *rx)
{
    struct str line, word = STR(""), head;

    *tx = *rx = 0;
    if (!text.p)
        return false;
    host_next_line(&text, &line); /* heading */
    while (host_next_line(&text, &line)) {
        for (int f = 0; f < 5; f++)
            word = host_next_word(&line);
        str_cut(&word, ':', &head);
        *tx += host_hex(head);
        *rx += host_hex(word);
    }
    return true;
}

int node_udp_queues(struct host *h, struct buf *out)
{
    uint64_t tx4, rx4, tx6, rx6;
    bool v4 = sum_queues(host_proc(h, PROC_NET_UDP), &tx4, &rx4),
         v6 = sum_queues(host_proc(h, PROC_NET_UDP6), &tx6, &rx6);

    if (!v4 && !v6)
        return -1;
    emit_family(out, "node_udp_queues", "gauge", "Bytes that wait in the queues of UDP sockets.");
    if (v4) {
        emit_2(out, "node_udp_queues", "ip", STR("v4"), "queue", STR("rx"), (double)rx4);
        emit_2(out, "node_udp_queues", "ip", STR("v4"), "queue", STR("tx"), (double)tx4);
    }
    if (v6) {
        emit_2(out, "node_udp_queues", "ip", STR("v6"), "queue", STR("rx"), (double)rx6);
        emit_2(out, "node_udp_queues", "ip", STR("v6"), "queue", STR("tx"), (double)tx6);
    }
    return 0;
}
