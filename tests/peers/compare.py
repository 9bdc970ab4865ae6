#!/usr/bin/env python3
"""Asks two Prometheus-compatible servers the same queries and compares the answers.

    compare.py --ours URL --peer URL --queries FILE [--queries FILE ...] [--seconds N] [--end T] [--list]

A queries file is JSON lines with "query", or plain text with one query a line. Each is asked as an instant query and as a
range query; a plain line that begins with "instant:" or "range:" only as that. Equal means: same type, same label sets, same times, values within a relative 1e-9, and the same order where
order is defined (sort, topk, bottomk at an instant; label order of ranges). Queries that the peer cannot parse are counted
and left out. The times asked are off the whole second, so that no sample lies exactly on a window's edge, where
Prometheus 2 and 3 differ by definition.
"""
import argparse
import json
import math
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def ask(base, path, params):
    data = urllib.parse.urlencode(params).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(base + path, data=data), timeout=60) as r:
            return r.status, json.load(r)
    except urllib.error.HTTPError as err:
        text = err.read()
        try:
            return err.code, json.loads(text)
        except ValueError:
            return err.code, {"status": "error", "errorType": "http", "error": text.decode(errors="replace")[:200]}


def near(a, b):
    if a == b:
        return True
    x, y = float(a.replace("Inf", "inf")), float(b.replace("Inf", "inf"))
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if x == y:
        return True
    return abs(x - y) <= 1e-9 * max(abs(x), abs(y)) or abs(x - y) < 1e-300


def key(series):
    return tuple(sorted(series["metric"].items()))


def differ_points(a, b):
    if len(a) != len(b):
        return f"{len(a)} points, the peer has {len(b)}"
    for (t, v), (u, w) in zip(a, b):
        if abs(t - u) > 5e-4:
            return f"point at {t}, the peer's at {u}"
        if not near(v, w):
            return f"at {t}: {v}, the peer says {w}"
    return None


def differ_histogram(a, b):
    for field in ("count", "sum"):
        if not near(a[field], b[field]):
            return f"{field} {a[field]}, the peer says {b[field]}"
    x, y = a.get("buckets", []), b.get("buckets", [])
    if len(x) != len(y):
        return f"{len(x)} buckets, the peer has {len(y)}"
    for p, q in zip(x, y):
        if p[0] != q[0] or not all(near(m, n) for m, n in zip(p[1:], q[1:])):
            return f"bucket {p}, the peer's {q}"
    return None


def differ_histograms(a, b):
    if len(a) != len(b):
        return f"{len(a)} histograms, the peer has {len(b)}"
    for (t, h), (u, g) in zip(a, b):
        if abs(t - u) > 5e-4:
            return f"histogram at {t}, the peer's at {u}"
        d = differ_histogram(h, g)
        if d:
            return f"at {t}: {d}"
    return None


def differ(ours, peer, ordered):
    if ours["resultType"] != peer["resultType"]:
        return f"type {ours['resultType']}, the peer says {peer['resultType']}"
    kind = ours["resultType"]
    if kind in ("scalar", "string"):
        return differ_points([ours["result"]], [peer["result"]])
    if ordered and [key(s) for s in ours["result"]] != [key(s) for s in peer["result"]]:
        if sorted(key(s) for s in ours["result"]) == sorted(key(s) for s in peer["result"]):
            return "the same series in another order"
    a, b = {key(s): s for s in ours["result"]}, {key(s): s for s in peer["result"]}
    if set(a) != set(b):
        only_a, only_b = sorted(set(a) - set(b))[:2], sorted(set(b) - set(a))[:2]
        return f"{len(a)} series, the peer has {len(b)}; only ours {only_a}, only the peer's {only_b}"
    for k, s in a.items():
        field = "values" if kind == "matrix" else "value"
        pa, pb = s.get(field, []), b[k].get(field, [])
        d = differ_points(*(p if kind == "matrix" else [p] if p else [] for p in (pa, pb)))
        pa, pb = s.get("histogram" + field[5:], []), b[k].get("histogram" + field[5:], [])
        d = d or differ_histograms(*(p if kind == "matrix" else [p] if p else [] for p in (pa, pb)))
        if d:
            return f"{dict(k)}: {d}"
    return None


def read_queries(path):
    """Yields each query and the kind it is asked as, None for both."""
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.strip()
            kind = re.match("(instant|range):", line)
            if line.startswith("{\""):
                yield json.loads(line)["query"], None
            elif kind:
                yield line[kind.end():].strip(), kind[1]
            elif line and not line.startswith("#"):
                yield line, None


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--ours", required=True)
    ap.add_argument("--peer", required=True)
    ap.add_argument("--queries", action="append", required=True)
    ap.add_argument("--seconds", type=float, default=60, help="length of the range")
    ap.add_argument("--end", type=float, default=0)
    ap.add_argument("--ignore", default="", help="regular expression of queries to leave out, with the reason beside the call")
    ap.add_argument("--verbose", action="store_true")
    o = ap.parse_args()
    end = o.end or math.floor(time.time()) - 3 + 0.7231

    same = different = refused = empty = 0
    for path in o.queries:
        for query, only in read_queries(path):
            if o.ignore and re.search(o.ignore, query):
                continue
            ordered = bool(re.match(r"\s*(sort|topk|bottomk)", query))
            for kind, url, params, order in (
                ("instant", "/api/v1/query", {"query": query, "time": f"{end:.3f}"}, ordered),
                ("range", "/api/v1/query_range", {"query": query, "start": f"{end - o.seconds:.3f}", "end": f"{end:.3f}", "step": "7"}, True),
            ):
                if only and kind != only:
                    continue
                code_peer, peer = ask(o.peer, url, params)
                if code_peer == 400:
                    refused += 1
                    continue
                code, ours = ask(o.ours, url, params)
                if peer["status"] == "error" or ours["status"] == "error":
                    if peer["status"] == ours["status"] and peer.get("errorType") == ours.get("errorType"):
                        same += 1
                    else:
                        different += 1
                        print(f"DIFFERENT {kind}: {query}\n   ours {code} {ours.get('error', 'an answer')[:300]}\n   peer {code_peer} {peer.get('error', 'an answer')[:300]}")
                    continue
                d = differ(ours["data"], peer["data"], order)
                if d:
                    different += 1
                    print(f"DIFFERENT {kind}: {query}\n   {d}")
                else:
                    same += 1
                    empty += not peer["data"]["result"]
                    if o.verbose:
                        print(f"same {kind}: {query}")
    print(f"{same} answers the same ({empty} of them empty), {different} different, {refused} the peer cannot parse")
    return 1 if different or same == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
