#!/usr/bin/env python3
"""Random queries over random data, to us and to a Prometheus 2.42; the answers must be the same.

    fuzz_promql.py --ours PORT --peer PORT [--queries N] [--seed N] [--workers N] [--no-load --end T] [--twin [--native]]

Equal means: the same type, the same label sets at the same times, values within a relative 1e-9; for errors, that both fail.
What 2.42 defines otherwise is kept out by promql_gen.py or, where that cannot be, listed in KNOWN with its reason. A difference
is printed with the smallest part of the query that still differs.
"""
import argparse
import http.client
import json
import math
import multiprocessing
import os
import random
import re
import struct
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cmd"))
import remote_write  # noqa: E402
import rate_model  # noqa: E402
import native_gen  # noqa: E402
from promql_gen import Data, Gen, STALE  # noqa: E402

MINUTES = 90


class Known:
    """A reason for which 2.42 answers otherwise, and how to see it in the two answers."""

    def __init__(self, name, why, applies):
        self.name, self.why, self.applies = name, why, applies


def error_of(answer):
    return answer[1].get("error", "") if answer[1].get("status") == "error" else ""


KNOWN = [
    Known("delayed names", "names that functions drop go at the very end in 3: series that differ only in the name may meet in between",
          lambda q, ours, peer, why: "same labelset" in error_of(peer) and not error_of(ours)),
    Known("k that is no number", "topk and bottomk refuse it in 3 even where there is nothing to choose from",
          lambda q, ours, peer, why: "Parameter value is NaN" in error_of(ours) and not error_of(peer)),
    Known("many to one", "two rows of the many side are an error in 3 even where a filter drops one of them",
          lambda q, ours, peer, why: "many-to-one matching must be explicit" in error_of(ours) and re.search(r"[<>!=]=|[<>]", q) and not error_of(peer)),
    Known("overflow", "a compensated sum that overflows is infinite in 3 and NaN in 2.42",
          lambda q, ours, peer, why: re.search(r": [+-]Inf, the peer says NaN$", why) and "_over_time" in q and re.search(r"\^|exp|sinh|cosh", q)),
    Known("a line through infinity", "the sums over an infinite sample, which only wild has, are infinite in 3 and NaN in 2.42",
          lambda q, ours, peer, why: re.search(r": [+-]Inf, the peer says NaN$", why) and "wild" in q and re.search(r"\b(predict_linear|deriv)\(", q)),
    Known("sign of zero", "a sum or mean of -0 alone is +0 in 3, whose compensation adds +0, and -0 in 2.42: it shows when one divides by it",
          lambda q, ours, peer, why: re.search(r": \+Inf, the peer says -Inf$|: -Inf, the peer says \+Inf$", why) and re.search(r"(sum|avg)\b", q)),
    Known("names beside bool", "a name that bool drops still tells results apart in 3, as it goes at the very end",
          lambda q, ours, peer, why: "grouping labels must ensure unique" in error_of(peer) and not error_of(ours) and "bool" in q),
]


AGGREGATION = re.compile(r"\b(stddev|stdvar)((?: by| without) \([^()]*\))? ?\(")
CLAUSE = re.compile(r" (?:by|without) \([^()]*\)")


def closing(text, at):
    """The index behind the bracket that closes the one before `at`."""
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return at


def for_peer(text):
    """
    The same question in the words of 2.42: another name, and the deviation of a single infinite element, which is 0 there and
    NaN in 3 like that of several.
    """
    text = text.replace("double_exponential_smoothing(", "holt_winters(")
    out, at = "", 0
    for m in iter(lambda: AGGREGATION.search(text, at), None):
        end = closing(text, m.end())
        tail = CLAUSE.match(text, end) if not m.group(2) else None
        clause = m.group(2) or (tail.group(0) if tail else "")
        body = for_peer(text[m.end():end - 1])
        out += text[at:m.start()]
        out += f"({m.group(1)}{clause} ({body}) + 0 * sum{clause} ({body}))"
        at = tail.end() if tail else end
    return out + text[at:]


# --- asking ----------------------------------------------------------------------------------------------------------

class Asker:
    def __init__(self, port):
        self.port, self.conn = port, None

    def ask(self, query, params):
        path = "/api/v1/query_range" if "start" in params else "/api/v1/query"
        body = urllib.parse.urlencode({"query": query, **params})
        for again in (True, False):
            try:
                if self.conn is None:
                    self.conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.conn.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})
                r = self.conn.getresponse()
                return r.status, r.read()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.conn = None
                if not again:
                    raise


def parsed(raw):
    return raw[0], json.loads(raw[1])


# --- comparing -------------------------------------------------------------------------------------------------------

def number(s):
    return float(s)


def near(a, b):
    if a == b:
        return True
    x, y = number(a), number(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.isinf(x) or math.isinf(y):
        return x == y
    # What should be 0 and is not quite: sums of squares, slopes of flat lines.
    return abs(x - y) <= 1e-9 * max(abs(x), abs(y)) or abs(x - y) <= 1e-9


def key(series, ignore_name):
    return tuple(sorted((k, v) for k, v in series["metric"].items() if not (ignore_name and k == "__name__")))


def differ_points(a, b):
    if len(a) != len(b):
        return f"{len(a)} points, the peer has {len(b)}"
    for (t, v), (u, w) in zip(a, b):
        if abs(t - u) > 5e-4:
            return f"point at {t}, the peer's at {u}"
        if not near(v, w):
            return f"at {t}: {v}, the peer says {w}"
    return None


def numbers(h):
    return [h["count"], h["sum"]] + [x for b in h.get("buckets", ()) for x in b[1:]]


def differ_histograms(a, b):
    if [t for t, _ in a] != [t for t, _ in b]:
        return f"{len(a)} histograms, the peer has {len(b)}, or at other times"
    for (t, h), (_, g) in zip(a, b):
        x, y = numbers(h), numbers(g)
        if len(x) != len(y) or [v[0] for v in h.get("buckets", ())] != [v[0] for v in g.get("buckets", ())] or not all(map(near, x, y)):
            return f"at {t}: {h}, the peer says {g}"
    return None


def points(series, one, many):
    return [series[one]] if one in series else series.get(many, [])


def differ(query, params, ours, peer):
    """What differs, or None."""
    eo, ep = error_of(ours), error_of(peer)
    if eo or ep:
        return None if bool(eo) == bool(ep) else f"ours: {eo or 'an answer'}; the peer: {ep or 'an answer'}"
    ours, peer = ours[1]["data"], peer[1]["data"]
    if ours["resultType"] != peer["resultType"]:
        return f"type {ours['resultType']}, the peer says {peer['resultType']}"
    kind = ours["resultType"]
    if kind in ("scalar", "string"):
        return differ_points([ours["result"]], [peer["result"]])
    no_name = "atan2" in query
    a, b = {key(s, no_name): s for s in ours["result"]}, {key(s, no_name): s for s in peer["result"]}
    if set(a) != set(b):
        return f"{len(a)} series, the peer has {len(b)}; only ours {sorted(set(a) - set(b))[:2]}, only the peer's {sorted(set(b) - set(a))[:2]}"
    if "start" in params and list(a) != list(b):
        return f"the same series in another order: {list(a)[:3]}, the peer: {list(b)[:3]}"
    if kind == "vector" and re.match(r"sort|topk \(|bottomk \(", query) and not all(near(s["value"][1], r["value"][1]) for s, r in zip(a.values(), b.values()) if "value" in s and "value" in r):
        return "the same values in another order"
    for k, s in a.items():
        d = differ_points(points(s, "value", "values"), points(b[k], "value", "values")) or \
            differ_histograms(points(s, "histogram", "histograms"), points(b[k], "histogram", "histograms"))
        if d:
            return f"{dict(k)}: {d}"
    return None


class Worker:
    def __init__(self, ours, peer, twin):
        self.ours, self.peer, self.twin = Asker(ours), Asker(peer), twin
        self.same = self.empty = self.failed = 0
        self.known = {}
        self.found = []

    def compare(self, query, params):
        """(what differs or None, the name of a known reason or None, the answers)."""
        ours = self.ours.ask(query, params)
        peer = self.peer.ask(query if self.twin else for_peer(query), params)
        if ours == peer:
            return None, None, ours, ours
        a, b = parsed(ours), parsed(peer)
        why = differ(query, params, a, b)
        if why is None:
            return None, None, ours, peer
        for k in () if self.twin else KNOWN:
            if k.applies(query, a, b, why):
                return why, k.name, ours, peer
        return why, None, ours, peer

    def smallest(self, expr, params):
        """The shortest part that differs by itself."""
        for part in sorted({p.text: p for p in expr.all()}.values(), key=lambda p: len(p.text)):
            if part.kind == "m" and "start" in params:
                continue
            why, known, _, _ = self.compare(part.text, params)
            if why and not known:
                return part.text, why
        return expr.text, "?"

    def one(self, expr, params):
        """Asks, compares, and keeps the books."""
        why, known, ours, _ = self.compare(expr.text, params)
        if why is None:
            self.same += 1
            self.empty += b'"result":[]' in ours[1]
            self.failed += ours[0] != 200
        elif known:
            self.known[known] = self.known.get(known, 0) + 1
        else:
            part, part_why = self.smallest(expr, params)
            self.found.append(f"{expr.text}\n   {params}\n   {why}\n   smallest: {part}\n   {part_why}")


def work(args):
    ours, peer, seed, queries, start, end, twin, native = args
    g, w = Gen(random.Random(seed), start, end), Worker(ours, peer, twin)
    g = native_gen.NativeGen(g) if native else g
    for _ in range(queries):
        expr, params = g.query()
        w.one(expr, params)
        if len(w.found) >= 20:
            break
    return w.same, w.empty, w.failed, w.known, w.found


# --- data ------------------------------------------------------------------------------------------------------------

def message(series):
    out = b""
    for labels, samples in series:
        body = b"".join(remote_write.field(1, remote_write.field(1, k.encode()) + remote_write.field(2, v.encode())) for k, v in sorted(labels.items()))
        for t, v in samples:
            if isinstance(v, native_gen.Native):
                body += remote_write.field(native_gen.FIELD_HISTOGRAM, v + native_gen.whole(15, t))
                continue
            bits = STALE if v is None else struct.pack("<d", v)
            body += remote_write.field(2, b"\x09" + bits + b"\x10" + remote_write.varint(t))
        out += remote_write.field(1, body)
    return out


def load(data, ports):
    """In order of time: 2.42 takes nothing that is an hour older than its newest sample."""
    clients = [remote_write.Client(p) for p in ports]
    slices = {}
    for labels, samples in data.series:
        last = None
        for t, v in samples:
            if last is not None and t <= last:
                continue
            last = t
            slices.setdefault(t // 600000, {}).setdefault(tuple(sorted(labels.items())), []).append((t, v))
    for s in sorted(slices):
        msg = message([(dict(k), v) for k, v in slices[s].items()])
        for c in clients:
            code, text = c.write(msg)
            if code // 100 != 2:
                sys.exit(f"remote write to port {c.port}: {code} {text}")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--ours", type=int, required=True)
    ap.add_argument("--peer", type=int, required=True)
    ap.add_argument("--queries", type=int, default=2000)
    ap.add_argument("--seed", type=int, default=0, help="0: a new one")
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--end", type=int, default=0, help="with --no-load: the end of the data that were loaded before")
    ap.add_argument("--no-load", action="store_true")
    ap.add_argument("--native", action="store_true", help="native histograms too")
    ap.add_argument("--twin", action="store_true", help="the peer is one of us: the same words, no known reasons")
    o = ap.parse_args()
    seed = o.seed or random.SystemRandom().randrange(1, 1 << 31)
    end = o.end or int(time.time()) // 10 * 10 - 900
    print(f"seed {seed}, end of the data {end}", flush=True)
    if not o.no_load:
        data = Data(random.Random(seed), end, MINUTES)
        if o.native:
            native_gen.add_to(data)
        load(data, (o.ours, o.peer))
    t0 = time.monotonic()
    jobs = [(o.ours, o.peer, seed + 1000003 * (i + 1), o.queries // o.workers, end - MINUTES * 60, end, o.twin, o.native) for i in range(o.workers)]
    with multiprocessing.Pool(o.workers) as pool:
        results = pool.map(work, jobs)
    same, empty, failed, known, found = 0, 0, 0, {}, []
    for s, n, f, k, d in results:
        same, empty, failed = same + s, empty + n, failed + f
        found += d
        for name, count in k.items():
            known[name] = known.get(name, 0) + count
    if not o.no_load:
        found += rate_model.check(Asker(o.ours), seed, end - MINUTES * 60, end, 100)
    for text in found[:20]:
        print("DIFFERENT", text)
    for k in KNOWN:
        if known.get(k.name):
            print(f"known: {known[k.name]} by {k.name}: {k.why}")
    print(f"{same} answers the same ({empty} empty, {failed} errors), {sum(known.values())} differ by known reasons, {len(found)} otherwise; "
          f"{time.monotonic() - t0:.1f} s")
    return 1 if found or not same else 0


if __name__ == "__main__":
    sys.exit(main())
