"""Compares our host collector with node_exporter, series by series.

compare.py live EXPORTER_URL HOST_DUMP      a running host: ours must lie between two scrapes of theirs, or near
compare.py same EXPORTER_URL HOST_DUMP ...  a recorded tree: every value the same
"""
import re, subprocess, sys, urllib.request

from left_out import LEFT_OUT

# Values that are about the moment or the program that asks, not the host.
MOMENT = re.compile(r"node_scrape_collector_duration_seconds|node_procs_running|node_sockstat|node_netstat_Tcp_CurrEstab"
                    r"|node_load|node_procs_blocked|node_filefd_allocated|node_cpu_.*frequency|node_arp_entries")

# In a recorded tree: what neither of us reads from files, and what theirs asks of the kernel of this host instead.
NOT_RECORDED = re.compile(r"node_scrape_collector_duration_seconds|node_time_seconds|node_timex_|node_network_(receive|transmit)_.*_total"
                          r"|node_os_")


def parse(text):
    series, types, helped = {}, {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name in types:
                sys.exit(f"TYPE of {name} stands twice")
            types[name] = kind
        elif line.startswith("# HELP "):
            helped.add(line.split(" ")[2])
        elif line:
            m = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)', line)
            if not m:
                sys.exit(f"not a sample: {line}")
            labels = re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', m[2] or "")
            key = (m[1], tuple(sorted(labels)))
            if key in series:
                sys.exit(f"series stands twice: {line}")
            series[key] = float(m[3])
    return series, types, helped


# Memory comes and goes by megabytes between our reading and theirs on a busy host. What differs is read again: a wrong rule
# differs every time.
BUSY = re.compile(r"node_memory_.*_bytes")
ROUNDS = 5


def near(v, a, b, how):
    lo, hi = min(a, b), max(a, b)
    if how == "same":
        return abs(v - a) <= 1e-9 * abs(a)
    if how == "between":
        return lo * (1 - 1e-9) <= v <= hi * (1 + 1e-9)
    slack = 0.05 * max(abs(lo), abs(hi)) + 1
    return lo - slack <= v <= hi + slack


def compare(mode, url, dump):
    """One reading of theirs, of ours, and of theirs again: what differs, as {key or name: sentence}, and how many series were in both."""
    get = lambda: parse(urllib.request.urlopen(url, timeout=20).read().decode())
    before = get()
    ours = parse(subprocess.run(dump + ["--no-containers"], capture_output=True, text=True, check=True).stdout)
    after = get()
    bad = {}
    collectors = {dict(k[1])["collector"] for k in ours[0] if k[0] == "node_scrape_collector_success"}
    theirs = {k for k in before[0] if not LEFT_OUT.match(k[0]) and
              not (k[0].startswith("node_scrape_collector") and dict(k[1])["collector"] not in collectors)}
    for key in sorted(theirs - set(ours[0])):
        if key in after[0] and not (mode == "same" and NOT_RECORDED.match(key[0])):
            bad[key] = f"missing  {key}"
    for key in sorted(set(ours[0]) - theirs):
        if key not in after[0]:
            bad[key] = f"too much {key}"
    for name in sorted(n for n in before[1] if not LEFT_OUT.match(n)):
        if name in ours[1] and ours[1][name] != before[1][name]:
            bad[name] = f"type     {name}: {ours[1][name]}, theirs {before[1][name]}"
    for name in ours[1]:
        if name not in ours[2]:
            bad["HELP", name] = f"no HELP  {name}"
    both = sorted(theirs & set(ours[0]) & set(after[0]))
    for key in both:
        v, a, b = ours[0][key], before[0][key], after[0][key]
        if mode == "live":
            moment, how = MOMENT.match(key[0]), "between" if ours[1][key[0]] in ("counter", "untyped") else "about"
        else:
            moment, how = NOT_RECORDED.match(key[0]), "about" if key[0].startswith("node_filesystem_") else "same"
        if not moment and not near(v, a, b, how):
            bad[key] = f"value    {key}: {v}, theirs {a} .. {b}"
    return bad, len(both)


def main():
    mode, url, *dump = sys.argv[1:]
    bad, n = compare(mode, url, dump)
    for _ in range(ROUNDS - 1):
        if mode != "live" or not bad or not all(BUSY.match(k[0]) for k in bad):
            break
        again, n = compare(mode, url, dump)
        bad = {k: again[k] for k in again if k in bad or not BUSY.match(k[0])}
    print("\n".join(bad.values()) if bad else f"{n} series agree ({mode})")
    sys.exit(1 if bad else 0)


main()
