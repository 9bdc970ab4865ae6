#!/usr/bin/env python3
"""Asks two servers the same calls of the Prometheus HTTP API and compares the shape of the answers.

    shape.py OURS PEER

For answers: every key the peer has must be in ours with a value of the same kind (ours may have more: the peer is an older
version). For mistakes: the same status, errorType and words, but for words that changed since the peer's version.
"""
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

# Keys of these objects are data.
MAPS = {"metric", "seriesLabels", "labels", "discoveredLabels", "droppedTargetCounts"}

CALLS = [
    ("GET", "/api/v1/query?query=1%2B1&time=4"),
    ("POST", "/api/v1/query", "query=1%2B1&time=4"),
    ("GET", "/api/v1/query?query=%22a%22&time=1.5"),
    ("GET", "/api/v1/query?query=up&time={now}"),
    ("GET", "/api/v1/query?query=up&time={now}&stats=true"),
    ("GET", "/api/v1/query?query=up%5B1m%5D&time={now}"),
    ("GET", "/api/v1/query_range?query=up&start={before}&end={now}&step=15&stats=all"),
    ("POST", "/api/v1/query_range", "query=up&start={before}&end={now}&step=15s"),
    ("GET", "/api/v1/series?match[]=up"),
    ("POST", "/api/v1/series", "match[]=up"),
    ("GET", "/api/v1/labels"),
    ("POST", "/api/v1/labels", "match[]=up"),
    ("GET", "/api/v1/label/job/values"),
    ("GET", "/api/v1/label/__name__/values?match[]=up"),
    ("GET", "/api/v1/query_exemplars?query=test&start=1700000000000&end=1700000000001"),
    ("GET", "/api/v1/metadata?limit=2"),
    ("GET", "/api/v1/metadata?metric=up"),
    ("GET", "/api/v1/targets"),
    ("GET", "/api/v1/targets?state=active"),
    ("GET", "/api/v1/targets?state=dropped"),
    ("GET", "/api/v1/targets/metadata?limit=2"),
    ("GET", "/api/v1/scrape_pools"),
    ("GET", "/api/v1/rules"),
    ("GET", "/api/v1/alerts"),
    ("GET", "/api/v1/alertmanagers"),
    ("GET", "/api/v1/status/config"),
    ("GET", "/api/v1/status/flags"),
    ("GET", "/api/v1/status/runtimeinfo"),
    ("GET", "/api/v1/status/buildinfo"),
    ("GET", "/api/v1/status/tsdb"),
    ("GET", "/api/v1/status/walreplay"),
    ("GET", "/api/v1/format_query?query=sum(a)by(b)%2Bc"),
    ("POST", "/api/v1/admin/tsdb/delete_series?match[]=nothing"),
    ("POST", "/api/v1/admin/tsdb/clean_tombstones"),
    ("POST", "/api/v1/admin/tsdb/snapshot"),
]

MISTAKES = [
    ("GET", "/api/v1/query?query=1%2B"),
    ("GET", "/api/v1/query?query=foo%7Ba=%22b%22"),
    ("GET", "/api/v1/query?query=rate(up)"),
    ("GET", "/api/v1/query?query=nofunction(up)"),
    ("GET", "/api/v1/query?query=1&timeout=x"),
    ("GET", "/api/v1/query_range?query=1"),
    ("GET", "/api/v1/query_range?query=1&start=1"),
    ("GET", "/api/v1/query_range?query=1&start=1&end=0&step=1"),
    ("GET", "/api/v1/query_range?query=1&start=1&end=2"),
    ("GET", "/api/v1/query_range?query=1&start=1&end=2&step=-1"),
    ("GET", "/api/v1/query_range?query=1&start=1&end=2&step=x"),
    ("GET", "/api/v1/query_range?query=1&start=1&end=200000&step=1"),
    ("GET", "/api/v1/query_range?query=1&start=1&end=2&step=1&timeout=y"),
    ("GET", "/api/v1/series"),
    ("GET", "/api/v1/series?match[]=%7B%7D"),
    ("GET", "/api/v1/series?match[]=up("),
    ("GET", "/api/v1/labels?match[]=up("),
    ("GET", "/api/v1/label/job/values?match[]=up("),
    ("GET", "/api/v1/query_exemplars?query=up("),
    ("GET", "/api/v1/query_exemplars?query=up&start=2&end=1"),
    ("GET", "/api/v1/metadata?limit=x"),
    ("GET", "/api/v1/targets/metadata?limit=x"),
    ("GET", "/api/v1/rules?type=x"),
    ("POST", "/api/v1/admin/tsdb/delete_series"),
    ("POST", "/api/v1/admin/tsdb/snapshot?skip_head=x"),
]

PLAIN = [("GET", "/-/healthy"), ("GET", "/-/ready"), ("GET", "/-/reload"), ("POST", "/-/reload"), ("GET", "/api/v1/nosuch"),
         ("GET", "/federate?match[]=up"), ("GET", "/federate"), ("GET", "/metrics"), ("GET", "/api/v1/admin/tsdb/snapshot")]


def ask(base, method, path, form=None):
    req = urllib.request.Request(base + path, method=method, data=form.encode() if form else None)
    try:
        with urllib.request.urlopen(req, timeout=30) as r:
            return r.status, r.headers.get("Content-Type", ""), r.read()
    except urllib.error.HTTPError as err:
        return err.code, err.headers.get("Content-Type", ""), err.read()


def kind(v):
    return "number" if isinstance(v, (int, float)) and not isinstance(v, bool) else type(v).__name__


def lacks(ours, peer, where, name=""):
    """What of the peer's answer is missing in ours, as sentences."""
    if kind(ours) != kind(peer):
        return [f"{where}: {kind(ours)}, the peer has {kind(peer)}"]
    if isinstance(peer, dict):
        if name in MAPS:
            return []
        out = []
        for k, v in peer.items():
            if k not in ours:
                out.append(f"{where}: no {k}")
            else:
                out += lacks(ours[k], v, f"{where}.{k}", k)
        return out
    if isinstance(peer, list) and peer:
        return lacks(ours[0], peer[0], where + "[0]") if ours else [f"{where}: empty, the peer's is not"]
    return []


def main():
    ours, peer = sys.argv[1:3]
    now = json.loads(ask(peer, "GET", "/api/v1/query?query=time()")[2])["data"]["result"][0] - 3
    wrong = []

    def fill(call):
        return [s.replace("{now}", str(now)).replace("{before}", str(now - 60)) for s in call]

    for call in map(fill, CALLS):
        a, b = ask(ours, *call), ask(peer, *call)
        if a[0] != b[0] or a[1].split(";")[0] != b[1].split(";")[0]:
            wrong.append(f"{call}: {a[0]} {a[1]}, the peer {b[0]} {b[1]} {a[2][:200]}")
        elif b[2]:
            x, y = json.loads(a[2]), json.loads(b[2])
            if "/status/flags" in call[1]:
                x["data"], y["data"] = {}, {}
            if "/metadata?limit" in call[1] and "targets" not in call[1]:
                x["data"], y["data"] = list(x["data"].values()), list(y["data"].values())
            wrong += [f"{call}: {w}" for w in lacks(x, y, "answer")]
    for call in MISTAKES:
        a, b = ask(ours, *call), ask(peer, *call)
        x, y = json.loads(a[2]), json.loads(b[2])
        if a[0] != b[0] or x != y:
            wrong.append(f"{call}: {a[0]} {x}, the peer {b[0]} {y}")
    for call in PLAIN:
        a, b = ask(ours, *call), ask(peer, *call)
        if a[0] != b[0] or a[1].split(";")[0] not in (b[1].split(";")[0], "text/plain"):
            wrong.append(f"{call}: {a[0]} {a[1]}, the peer {b[0]} {b[1]}")
    print("\n".join(wrong) if wrong else f"{len(CALLS) + len(MISTAKES) + len(PLAIN)} calls answered alike")
    return 1 if wrong else 0


sys.exit(main())
