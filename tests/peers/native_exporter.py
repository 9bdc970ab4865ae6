#!/usr/bin/env python3
"""Exposes native histograms in protobuf, as the Go client does, that move with the clock.

    native_exporter.py PORT

/metrics: a counter histogram with labels whose buckets appear one after another (and which starts anew every 40 s), one
with negative and zero buckets, a gauge histogram, and one that has classic buckets too. To who does not accept protobuf
it says 406. Only the standard library.
"""
import http.server
import math
import struct
import sys
import time

START = time.time()


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return varint((n << 1) ^ (n >> 63))


def tag(field, wire):
    return varint(field << 3 | wire)


def nested(field, data):
    return tag(field, 2) + varint(len(data)) + data


def text(field, s):
    return nested(field, s.encode())


def double(field, v):
    return tag(field, 1) + struct.pack("<d", v)


def side(buckets, span_field, delta_field):
    """Buckets {index: count} as spans and deltas."""
    out, deltas, behind, before = b"", b"", 0, 0
    run = []
    for i in sorted(buckets):
        if run and i != run[-1] + 1:
            out += nested(span_field, tag(1, 0) + zigzag(run[0] - behind) + tag(2, 0) + varint(len(run)))
            behind, run = run[-1] + 1, []
        run.append(i)
        deltas += zigzag(buckets[i] - before)
        before = buckets[i]
    if run:
        out += nested(span_field, tag(1, 0) + zigzag(run[0] - behind) + tag(2, 0) + varint(len(run)))
    return out + (nested(delta_field, deltas) if deltas else b"")


def histogram(schema, pos, neg, zero, total, classic=()):
    count = zero + sum(pos.values()) + sum(neg.values())
    out = tag(1, 0) + varint(count) + double(2, total)
    for bound, n in classic:
        out += nested(3, tag(1, 0) + varint(n) + double(2, bound))
    out += tag(5, 0) + zigzag(schema) + double(6, 2.0 ** -128) + tag(7, 0) + varint(zero)
    out += side(neg, 9, 10) + side(pos, 12, 13)
    if not pos and not neg:
        out += nested(12, tag(1, 0) + varint(0) + tag(2, 0) + varint(0))
    return out


def metric(labels, h):
    return nested(4, b"".join(nested(1, text(1, k) + text(2, v)) for k, v in labels) + nested(7, h))


def family(name, kind, metrics):
    data = text(1, name) + text(2, "made up for a test") + tag(3, 0) + varint(kind) + b"".join(metrics)
    return varint(len(data)) + data


def counts(n, center, width):
    """n observations around a bucket: whole numbers that never fall while n grows."""
    out = {}
    for i in range(-3 * width, 3 * width + 1):
        c = int(n * math.exp(-(i / width) ** 2))
        if c:
            out[center + i] = c
    return out


def body():
    age = time.time() - START
    out = b""
    requests = []
    for k, code in enumerate(("200", "404", "500")):
        n = int((age % 40 if code == "500" else age) * 100 / (k + 1)) + 1
        pos = counts(n, 5 * k, 4)
        requests.append(metric([("code", code)], histogram(3, pos, {}, n // 50, 0.25 * sum(pos.values()))))
    out += family("nh_request_seconds", 4, requests)
    pos, neg = counts(int(age * 30) + 1, 2, 3), counts(int(age * 20) + 1, 1, 2)
    out += family("nh_balance", 4, [metric([], histogram(1, pos, neg, int(age * 7), age * 1.5))])
    level = int(50 + 40 * math.sin(age / 7))
    out += family("nh_queue", 5, [metric([("queue", "a")], histogram(0, counts(level, 3, 2), {}, 0, level * 2.0))])
    pos = counts(int(age * 10) + 1, 0, 2)
    total = sum(pos.values())
    out += family("nh_both_seconds", 4, [metric([], histogram(2, pos, {}, 0, total * 0.5, [(1.0, total // 2), (10.0, total)]))])
    return out


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if "application/vnd.google.protobuf" not in self.headers.get("Accept", ""):
            self.send_error(406)
            return
        data = body()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
