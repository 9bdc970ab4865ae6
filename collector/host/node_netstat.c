/* node_netstat.c - protocol counters and sockets. */
#include "collector/host/node.h"

#include <stdio.h>
#include <unistd.h>

/*
 * node_exporter's default choice:
 *   ^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|
 *   TCPSynRetrans|TCPTimeouts)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|
 *   Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$
 */
static const struct {
    const char *protocol;
    const char *names[8]; /* a name that ends in '*' is a prefix */
} wanted[] = {
    {"Ip", {"Forwarding"}},
    {"Ip6", {"InOctets", "OutOctets"}},
    {"IpExt", {"InOctets", "OutOctets"}},
    {"Icmp", {"InMsgs", "OutMsgs"}},
    {"Icmp6", {"InMsgs", "OutMsgs"}},
    {"TcpExt", {"Listen*", "Syncookies*", "TCPSynRetrans", "TCPTimeouts"}},
    {"Tcp", {"ActiveOpens", "InSegs", "OutSegs", "OutRsts", "PassiveOpens", "RetransSegs", "CurrEstab"}},
    {"Udp", {"InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors"}},
    {"Udp6", {"InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors"}},
};

static bool is_wanted(struct str protocol, struct str name)
{
    if (str_eqz(name, "InErrors") || str_eqz(name, "InErrs"))
        return true;
    for (unsigned p = 0; p < ARRAY_LEN(wanted); p++) {
        if (!str_eqz(protocol, wanted[p].protocol))
            continue;
        for (unsigned i = 0; i < ARRAY_LEN(wanted[p].names) && wanted[p].names[i]; i++) {
            struct str w = str_of(wanted[p].names[i]);

            if (str_ends(w, STR("*")) ? str_starts(name, str_head(w, w.n - 1)) : str_eq(name, w))
                return true;
        }
    }
    return false;
}

static void put(struct buf *out, const char *prefix, struct str a, struct str b, const char *type, const char *help,
                double v)
{
    char name[128];
    int n = snprintf(name, sizeof name, "%s%.*s_%.*s", prefix, STR_ARG(a), STR_ARG(b));

    if (n < 0 || (size_t)n >= sizeof name)
        return; /* no name of the kernel is that long */
    emit_family(out, name, type, help);
    struct emit m = emit_begin(out, name);
    emit_end(&m, v);
}

/* Pairs of lines: "Tcp: ActiveOpens ..." and "Tcp: 12 ...". */
static void put_pairs(struct str text, struct buf *out)
{
    struct str names, values, protocol;

    while (host_next_line(&text, &names) && host_next_line(&text, &values)) {
        struct str name;

        protocol = host_next_word(&names);
        protocol = str_head(protocol, protocol.n ? protocol.n - 1 : 0);
        host_next_word(&values);
        while ((name = host_next_word(&names)).n) {
            struct str value = host_next_word(&values);

            if (value.n && is_wanted(protocol, name))
                put(out, "node_netstat_", protocol, name, "untyped", "A counter of the network protocols.",
                    host_number(value));
        }
    }
}

/* "Ip6InReceives    12": the protocol ends in its '6'. */
static void put_snmp6(struct str text, struct buf *out)
{
    struct str line;

    while (host_next_line(&text, &line)) {
        struct str name = host_next_word(&line), value = host_next_word(&line);
        ptrdiff_t six = str_chr(name, '6');

        if (six < 0 || value.n == 0)
            continue;
        struct str protocol = str_head(name, (size_t)six + 1);
        name = str_from(name, (size_t)six + 1);
        if (is_wanted(protocol, name))
            put(out, "node_netstat_", protocol, name, "untyped", "A counter of the network protocols.",
                host_number(value));
    }
}

int node_netstat(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_NET_NETSTAT);

    if (!text.p)
        return -1;
    put_pairs(text, out);
    text = host_proc(h, PROC_NET_SNMP);
    if (!text.p)
        return -1;
    put_pairs(text, out);
    text = host_proc(h, PROC_NET_SNMP6);
    if (text.p) /* absent where IPv6 is switched off */
        put_snmp6(text, out);
    return 0;
}

/* "TCP: inuse 4 orphan 0 ... mem 1": memory is counted in pages, and told in bytes too. */
static void put_sockets(struct str text, struct buf *out)
{
    static const char help[] = "Sockets of a protocol, by state.";
    struct str line;

    while (host_next_line(&text, &line)) {
        struct str protocol = host_next_word(&line), key;

        protocol = str_head(protocol, protocol.n ? protocol.n - 1 : 0);
        while ((key = host_next_word(&line)).n) {
            double v = host_number(host_next_word(&line));

            put(out, "node_sockstat_", protocol, key, "gauge", help, v);
            if (str_eqz(key, "mem"))
                put(out, "node_sockstat_", protocol, STR("mem_bytes"), "gauge", help,
                    v * (double)sysconf(_SC_PAGESIZE));
        }
    }
}

int node_sockstat(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_NET_SOCKSTAT);

    if (!text.p)
        return -1;
    put_sockets(text, out);
    text = host_proc(h, PROC_NET_SOCKSTAT6);
    if (text.p)
        put_sockets(text, out);
    return 0;
}
