"""native_gen.py - native histograms and random queries over them, for fuzz_promql.py --native.

Only two of us can be asked these: 2.42 knows neither buckets of one's own nor the rules of today. All amounts are whole numbers, so that sums
do not depend on the order they are made in.

    nh   counters of exponential buckets, whole numbers, with resets, gaps and changes of resolution
    ng   gauges of exponential buckets, floats
    nc   counters with buckets of one's own, of which some series have others than the rest
    mix  floats first, then histograms
"""
import struct

import remote_write
from promql_gen import Expr

FIELD_HISTOGRAM = 4
CUSTOM = -53
STALE = b"\x02\x00\x00\x00\x00\x00\xf0\x7f"
NAMES = ("nh", "ng", "nc", "mix")


class Native(bytes):
    """An encoded histogram without its time, which comes behind."""


def double(number, v):
    return remote_write.varint(number << 3 | 1) + (v if isinstance(v, bytes) else struct.pack("<d", v))


def whole(number, v):
    return remote_write.varint(number << 3) + remote_write.varint(v & (1 << 64) - 1)


def zigzag(v):
    return v << 1 ^ v >> 63


def spans(number, at):
    """at: sorted indexes of buckets -> runs of them."""
    out, last, i = b"", None, 0
    while i < len(at):
        n = 1
        while i + n < len(at) and at[i + n] == at[i] + n:
            n += 1
        offset = at[i] if last is None else at[i] - last - 1
        out += remote_write.field(number, whole(1, zigzag(offset)) + whole(2, n))
        last, i = at[i] + n - 1, i + n
    return out


def buckets(at, counts, number_spans, number_deltas, number_counts, floats):
    if not at:
        return b""
    if floats:
        return spans(number_spans, at) + remote_write.field(number_counts, b"".join(struct.pack("<d", c) for c in counts))
    deltas = [c - (counts[i - 1] if i else 0) for i, c in enumerate(counts)]
    return spans(number_spans, at) + remote_write.field(number_deltas, b"".join(remote_write.varint(zigzag(d) & (1 << 64) - 1) for d in deltas))


def encode(schema, pos, neg, zero, total, floats=False, hint=0, bounds=()):
    """pos, neg: {index: count}."""
    count = sum(pos.values()) + sum(neg.values()) + zero
    out = double(2, float(count)) if floats else whole(1, count)
    out += double(3, float(total)) + whole(4, zigzag(schema))
    if schema != CUSTOM:
        out += double(5, 0.001) + (double(7, float(zero)) if floats else whole(6, zero))
    keys = sorted(neg)
    out += buckets(keys, [neg[k] for k in keys], 8, 9, 10, floats)
    keys = sorted(pos)
    out += buckets(keys, [pos[k] for k in keys], 11, 12, 13, floats)
    out += whole(14, hint) if hint else b""
    if bounds:
        out += remote_write.field(16, b"".join(struct.pack("<d", b) for b in bounds))
    return Native(out)


def stale():
    return Native(whole(1, 0) + double(3, STALE) + whole(4, 0))


def add_to(data):
    """More series for a promql_gen.Data."""
    rnd = data.rnd
    for job in "ab":
        for instance in "012":
            at = {"job": job, "instance": instance}
            data.add("nh", at, list(counters(data, rnd)))
            data.add("ng", at, list(gauges(data, rnd)))
            data.add("nc", at, list(customs(data, rnd, (0.5, 1, 2.5, 5) if instance != "2" else (0.5, 2, 5))))
            half = rnd.random()
            data.add("mix", at, [(t, float(rnd.randrange(100))) for t in data.times(0, half)] + list(counters(data, rnd, half)))


def counters(data, rnd, begin=0.0):
    schema, pos, neg, zero, total = rnd.choice((0, 1, 3)), {}, {}, 0, 0
    for t in data.times(begin, 1):
        dice = rnd.random()
        if dice < 0.01:
            pos, neg, zero, total = {}, {}, 0, 0
            schema = rnd.choice((0, 1, 2, 3))
        elif dice < 0.02:
            yield t, stale()
            continue
        for _ in range(rnd.randrange(4)):
            k = rnd.randrange(-6, 12)
            pos[k] = pos.get(k, 0) + rnd.randrange(5)
        if rnd.random() < 0.2:
            k = rnd.randrange(4)
            neg[k] = neg.get(k, 0) + 1
        zero += rnd.random() < 0.3
        total += rnd.randrange(64)
        yield t, encode(schema, pos, neg, zero, total, hint=rnd.choice((0, 0, 0, 2)) if pos else 0)


def gauges(data, rnd):
    for t in data.times(0, 1):
        pos = {rnd.randrange(-4, 8): rnd.randrange(20) for _ in range(rnd.randrange(6))}
        yield t, stale() if rnd.random() < 0.02 else encode(1, pos, {}, rnd.randrange(4), rnd.randrange(100), floats=True, hint=3)


def customs(data, rnd, bounds):
    counts, total = [0] * (len(bounds) + 1), 0
    for t in data.times(0, 1):
        if rnd.random() < 0.01:
            counts, total = [0] * len(counts), 0
        for i in range(len(counts)):
            counts[i] += rnd.randrange(3)
        total += rnd.randrange(32)
        yield t, encode(CUSTOM, dict(enumerate(counts)), {}, 0, total, bounds=bounds)


class NativeGen:
    """Takes queries from gen, a promql_gen.Gen, and half of the time makes one about histograms."""

    def __init__(self, gen):
        self.gen, self.rnd = gen, gen.rnd

    def selector(self, names=NAMES):
        rnd = self.rnd
        where = rnd.choice(("", "", '{job="a"}', '{instance!="2"}', '{instance=~"[01]"}'))
        return f"{rnd.choice(names)}{where}", rnd.choice(("", "", "", "", " offset 3m", " offset -2m", f" @ {(self.gen.start + self.gen.end) // 2}"))

    def ranged(self, names=NAMES):
        s, when = self.selector(names)
        if self.rnd.random() < 0.15:
            return f"{s}[{self.rnd.choice(('5m:30s', '10m:1m', '20m:2m'))}]{when}"
        return f"{s}[{self.rnd.choice(('1m', '5m', '10m', '1h'))}]{when}"

    def histograms(self, depth):
        """An expression whose values are histograms, or are now and then."""
        rnd = self.rnd
        dice = rnd.random() if depth > 0 else 0
        if dice < 0.2:
            return "".join(self.selector())
        if dice < 0.5:
            fn = rnd.choice(("rate", "rate", "increase", "delta", "irate", "idelta", "avg_over_time", "sum_over_time", "last_over_time", "first_over_time"))
            return f"{fn}({self.ranged(('ng',) if fn in ('delta', 'idelta') else NAMES)})"
        if dice < 0.75:
            by = rnd.choice(("", " by (job)", " without (instance)", " by (instance)"))
            return f"{rnd.choice(('sum', 'sum', 'avg'))}{by} ({self.histograms(depth - 1)})"
        if dice < 0.85:
            return f"({self.histograms(depth - 1)}) {rnd.choice(('* 2', '/ 4', '* 0', '/ 0'))}"
        if dice < 0.95:
            return f"({self.histograms(depth - 1)}) {rnd.choice(('+', '-', '+ on (job, instance)'))} ({self.histograms(depth - 1)})"
        return f"-({self.histograms(depth - 1)})"

    def floats(self, depth):
        rnd = self.rnd
        h = self.histograms(depth)
        dice = rnd.random()
        if dice < 0.3:
            return f"histogram_quantile({rnd.choice(('0', '0.1', '0.5', '0.9', '0.99', '1', '1.5', 'NaN'))}, {h})"
        if dice < 0.4:
            return f"histogram_fraction({rnd.choice(('-Inf', '0', '-1', '0.3'))}, {rnd.choice(('0.5', '2', '+Inf'))}, {h})"
        if dice < 0.7:
            return f"histogram_{rnd.choice(('count', 'sum', 'avg', 'stddev', 'stdvar'))}({h})"
        if dice < 0.8:
            return f"{rnd.choice(('count', 'group', 'max', 'min', 'stddev'))} by (job) ({h})"
        if dice < 0.9:
            return f"{rnd.choice(('resets', 'changes', 'count_over_time', 'present_over_time', 'absent_over_time', 'ts_of_last_over_time'))}({self.ranged()})"
        return f"({h}) {rnd.choice(('==', '!=', '> 1 or', 'and', 'unless'))} ({self.histograms(depth - 1)})"

    def query(self):
        expr, params = self.gen.query()
        if self.rnd.random() < 0.5:
            return expr, params
        depth = self.rnd.choice((1, 2, 2, 3))
        text = self.floats(depth) if self.rnd.random() < 0.6 else self.histograms(depth)
        return Expr("v", text, (), ("job", "instance")), params
