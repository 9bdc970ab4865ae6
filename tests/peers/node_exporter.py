#!/usr/bin/env python3
"""Asks one server for all it stored of job "exporter" (a scraped node_exporter) and of job "node" (told by the server itself).

    node_exporter.py URL TYPES SECONDS      TYPES: a file with the exporter's text, for the TYPE of each family

A counter of ours, at each of its samples, lies between what the exporter said two scrapes before and two scrapes after, for
both read the same counter of the kernel and it only rises; so its increase over everything is the same but for that. A gauge
that never changed in one must be the same in the other. Three in four samples of a gauge that moves lie where the exporter's did,
two scrapes before and after.
"""
import bisect
import json
import os
import re
import sys
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "collector", "host"))
from left_out import reason  # noqa: E402

# Gauges that are about the instant they are read in: no two readers see the same.
MOMENT = re.compile(r"node_scrape_collector_duration_seconds|node_procs_running|node_procs_blocked|node_sockstat_|node_netstat_Tcp_CurrEstab"
                    r"|node_filefd_allocated|node_cpu_.*frequency|node_arp_entries|node_timex_|node_entropy_available")


def ask(url, path, **params):
    with urllib.request.urlopen(url + path, data=urllib.parse.urlencode(params).encode(), timeout=120) as r:
        return json.load(r)["data"]


def read_types(path):
    with open(path, encoding="utf-8") as f:
        return {line.split()[2]: line.split()[3] for line in f if line.startswith("# TYPE ")}


def read_series(url, job, end, seconds):
    """Label set without job and instance -> (times, values). A family at a time: all at once would be one huge answer."""
    found = {}
    names = {m["__name__"] for m in ask(url, "/api/v1/series", **{"match[]": f'{{job="{job}"}}'})}
    for name in names:
        data = ask(url, "/api/v1/query", query=f'{{__name__="{name}",job="{job}"}}[{seconds}s]', time=f"{end:.3f}")
        for s in data["result"]:
            key = (name, tuple(sorted((k, v) for k, v in s["metric"].items() if k not in ("__name__", "job", "instance"))))
            found[key] = ([t for t, _ in s["values"]], [float(v) for _, v in s["values"]])
    return found


def text(key):
    return key[0] + ("{" + ",".join(f'{k}="{v}"' for k, v in key[1]) + "}" if key[1] else "")


def close(a, b):
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b)) or (a != a and b != b)


def counter_differs(ours, theirs):
    """Each sample of ours between theirs two scrapes before and two after. Samples at the ends have no such neighbours."""
    for t, v in zip(*ours):
        i = bisect.bisect_right(theirs[0], t)
        lo, hi = i - 2, i + 1
        if lo < 0 or hi >= len(theirs[0]) or theirs[0][hi] - theirs[0][lo] > 30:
            continue
        a, b = theirs[1][lo], theirs[1][hi]
        if any(y < x for x, y in zip(theirs[1][lo:hi], theirs[1][lo + 1:hi + 1])):
            continue # started again: a device came back
        if not (a <= v <= b or close(a, v) or close(v, b)):
            return f"at {t:.3f}: {v!r}, the exporter {a!r} .. {b!r}"
    return None


def gauge_differs(ours, theirs, busy):
    """busy: taken and given back between two scrapes; ours may differ by as much as the exporter's own moves from one to the next."""
    a, b = ours[1], theirs[1]
    step = max((abs(y - x) for x, y in zip(b, b[1:])), default=0) if busy else 0
    if min(b) == max(b) or min(a) == max(a):
        if min(b) == max(b) and min(a) == max(a):
            return None if close(a[0], b[0]) else f"always {a[0]!r}, the exporter's always {b[0]!r}"
        if sum(1 for x, y in zip(a, a[1:]) if x != y) + sum(1 for x, y in zip(b, b[1:]) if x != y) > 2 and not busy:
            return f"{min(a)!r} .. {max(a)!r}, the exporter {min(b)!r} .. {max(b)!r}"
    # Between two scrapes memory may be taken and given back, which one reader sees and the other does not: most samples count.
    outside = compared = 0
    for t, v in zip(*ours):
        i = bisect.bisect_right(theirs[0], t)
        near = b[max(0, i - 2):i + 2]
        if near:
            slack = 0.05 * max(abs(x) for x in near) + 1 + step
            outside += not min(near) - slack <= v <= max(near) + slack
            compared += 1
    if outside > 0.25 * compared:
        return f"{outside} of {compared} samples are not near the exporter's; {min(a)!r} .. {max(a)!r}, the exporter {min(b)!r} .. {max(b)!r}"
    return None


def differing_sets(ours, theirs, end, seconds):
    bad, known = 0, {}
    collectors = {dict(k[1])["collector"] for k in ours if k[0] == "node_scrape_collector_success"}
    for key in sorted(set(theirs) - set(ours)):
        why = reason(key[0])
        if not why and key[0].startswith("node_scrape_collector_") and dict(key[1])["collector"] not in collectors:
            why = "of collectors that we do not have: " + ", ".join(
                sorted({dict(k[1])["collector"] for k in theirs if k[0] == "node_scrape_collector_success"} - collectors))
        if not why and len(theirs[key][0]) < 3:
            why = "seen for less than three seconds"
        if why:
            known.setdefault(why, set()).add(key[0])
        else:
            bad += 1
            print(f"MISSING {text(key)}")
    for key in sorted(set(ours) - set(theirs)):
        if len(ours[key][0]) < 3:
            known.setdefault("ours alone, seen for less than three seconds", set()).add(key[0])
        else:
            bad += 1
            print(f"TOO MUCH {text(key)}")
    for why, names in known.items():
        heads = sorted({re.match(r"(node_[a-z0-9]+|[a-z0-9]+)", n)[1] for n in names})
        print(f"left out: {len(names)} families ({', '.join(heads)}): {why}")
    return bad


def main():
    url, types, seconds = sys.argv[1], read_types(sys.argv[2]), int(sys.argv[3])
    end = float(ask(url, "/api/v1/query", query="time()")["result"][1]) - 1
    theirs, ours = read_series(url, "exporter", end, seconds), read_series(url, "node", end, seconds)
    # What the scraper adds to any target.
    for added in ("up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"):
        a, b = ours.pop((added, ()), None), theirs.pop((added, ()), None)
        if a and b:
            print(f"{added}: {len(a[1])} samples, mean {sum(a[1]) / len(a[1]):.4g}; the exporter's {len(b[1])}, mean {sum(b[1]) / len(b[1]):.4g}")
            if added == "up" and (min(a[1]) < 1 or len(a[1]) < 0.9 * seconds):
                print("up: our own collection failed, or missed more than a tenth of its turns")
                sys.exit(1)
    bad = differing_sets(ours, theirs, end, seconds)
    told = {"counter": 0, "gauge, constant": 0, "gauge, moving": 0, "of the moment": 0}
    samples = moving = 0
    for key in sorted(set(ours) & set(theirs)):
        a, b = ours[key], theirs[key]
        samples += len(a[1])
        if MOMENT.match(key[0]):
            kind, d = "of the moment", None
        elif types.get(key[0]) == "counter" or key[0].startswith("node_vmstat_") or (key[0].startswith("node_netstat_") and not MOMENT.match(key[0])):
            kind, d = "counter", counter_differs(a, b)
            moving += a[1][-1] != a[1][0]
        else:
            kind, d = "gauge, constant" if min(b[1]) == max(b[1]) else "gauge, moving", gauge_differs(a, b, key[0].startswith("node_memory_"))
        told[kind] += 1
        if d:
            bad += 1
            print(f"VALUE {text(key)} ({kind}): {d}")
    print(f"{len(set(ours) & set(theirs))} series in both, {samples} samples of ours: " + ", ".join(f"{n} {k}" for k, n in told.items())
          + f"; {moving} of the counters moved; {bad} differ")
    sys.exit(1 if bad or not told["counter"] else 0)


main()
