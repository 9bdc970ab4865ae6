"""promql_gen.py - random data and random, well-typed PromQL queries over it, for fuzz_promql.py.

The data and the queries keep away from what Prometheus 2.42 defines otherwise than Prometheus 3 (and so than we), so that
what still differs is a fault:

(1) Samples stand at odd milliseconds, while every time a query can name is a whole second: no sample lies on the edge of a
    window, which is closed on the left in 2.42 and open in 3. For subqueries the same: steps of outer ones are multiples of
    10 s, inner ones are shifted by 7 s, queries are asked at 3 s past a multiple of 10 s.
(2) Values are small multiples of 1/4096, so that sums are exact and do not depend on the order or on compensation.
    `bits` says that an expression gives the same bits in both; only on such stand operators that jump (comparisons,
    floor, %, topk).
(3) A counter never falls below its first value minus its rise in a window, because 2.42 and 3 cut the extrapolation at zero
    in different order; rate_model.py looks at counters from zero.
(4) No two gauges have the same value at the same time: which of equal elements topk takes is not defined.
"""
import random
import re

STALE = b"\x02\x00\x00\x00\x00\x00\xf0\x7f"
SCRAPE_MS = 15000


class Data:
    """Series over `minutes` before end_s (a multiple of 10 s): list of (labels, [(ms, value)])."""

    def __init__(self, rnd, end_s, minutes):
        self.rnd, self.end, self.start = rnd, end_s * 1000, (end_s - minutes * 60) * 1000
        self.series, self.ids = [], 0
        for job in "ab":
            for instance in "012":
                at = {"job": job, "instance": instance}
                self.gauge("g", at)
                self.gauge("wild", at, wild=True)
                self.gauge("late", at, begin=rnd.random(), end=rnd.random())
                self.versions(at)
                for code in ("200", "500"):
                    self.counter("c_total", {**at, "code": code})
                self.counter("zero_total", at, first=0, after=0, resets=0.02)
                self.histogram("lat", at)
        for x in "pqr":
            self.gauge("one", {"x": x})
            for y in "st":
                self.gauge("two", {"x": x, "y": y})
                for z in "uv":
                    self.gauge("three", {"x": x, "y": y, "z": z}, begin=rnd.random() * 0.3)
        self.gauge("lonely", {})
        self.counter("fast_total", {}, every=1000)
        self.gauge("sparse", {"x": "p"}, every=240000)

    def times(self, begin, end, every=SCRAPE_MS):
        """Odd milliseconds, with jitter, a few gaps."""
        rnd = self.rnd
        span = self.end - self.start
        t, last = self.start + int(span * begin), self.start + int(span * end)
        gap = rnd.choice((0, 0, 0.003, 0.02))
        while t < last:
            if rnd.random() < gap:
                t += rnd.choice((1, 3, 10, 30)) * every
                continue
            yield t // 1000 * 1000 + rnd.randrange(1, 1000)
            t += every

    def add(self, name, labels, samples):
        self.series.append(({"__name__": name, **labels}, samples))

    def gauge(self, name, labels, begin=0.0, end=1.0, wild=False, every=SCRAPE_MS):
        rnd = self.rnd
        self.ids += 1
        begin, end = min(begin, end), max(begin, end)
        v, out = rnd.randrange(-400, 400), []
        for t in self.times(begin, end, every):
            v = max(-512, min(512, v + rnd.randrange(-16, 17)))
            x = v / 8 + self.ids / 4096
            if wild:
                dice = rnd.random()
                if dice < 0.04:
                    x = float("nan")
                elif dice < 0.07:
                    x = rnd.choice((float("inf"), float("-inf")))
                elif dice < 0.10:
                    x = None  # a staleness marker
            out.append((t, x))
        if wild or rnd.random() < 0.3:
            out.append((out[-1][0] + 1000 if out else self.start, None))
        self.add(name, labels, out)

    def counter(self, name, labels, every=SCRAPE_MS, first=20000, after=15000, resets=0.004):
        rnd = self.rnd
        v, out = first + rnd.randrange(8) / 8, []
        for t in self.times(0, 1, every):
            if rnd.random() < resets:
                v = after
            elif rnd.random() < 0.8:
                v += rnd.randrange(0, 80) / 8
            out.append((t, v))
        self.add(name, labels, out)

    def versions(self, at):
        """info{version}: 1, one version after the other; sometimes both for a while."""
        cut = self.rnd.random()
        for i, (b, e) in enumerate(((0, cut), (min(1, cut + self.rnd.choice((0, 0, -0.1))), 1))):
            samples = [(t, 1) for t in self.times(max(b, 0), e)]
            if samples:
                self.add("build_info", {**at, "version": str(i)}, samples + [(samples[-1][0] + 1000, None)])

    def histogram(self, name, at):
        rnd = self.rnd
        bounds = ["0.25", "0.5", "1", "2.5", "+Inf"]
        counts, total, sums = [4000] * len(bounds), [], 80000.0
        rows = {b: [] for b in bounds}
        for t in self.times(0, 1):
            for i in range(len(bounds)):
                counts[i] += rnd.randrange(0, 5)
            sums += rnd.randrange(0, 64) / 8
            acc = 0
            for b, c in zip(bounds, counts):
                acc += c
                rows[b].append((t, acc))
            total.append((t, sums))
        for b in bounds:
            self.add(name + "_bucket", {**at, "le": b}, rows[b])
        self.add(name + "_sum", at, total)
        self.add(name + "_count", at, rows["+Inf"])


# --- queries ---------------------------------------------------------------------------------------------------------

GAUGES = {"g": ("job", "instance"), "late": ("job", "instance"), "one": ("x",), "two": ("x", "y"), "three": ("x", "y", "z"),
          "lonely": (), "sparse": ("x",)}
COUNTERS = {"c_total": ("job", "instance", "code"), "fast_total": (), "lat_sum": ("job", "instance"), "lat_count": ("job", "instance"),
            "lat_bucket": ("job", "instance", "le")}
OTHERS = {"wild": ("job", "instance"), "build_info": ("job", "instance", "version")}
ALL = {**GAUGES, **COUNTERS, **OTHERS}
VALUES = {"job": "ab", "instance": "012", "code": ("200", "500"), "x": "pqr", "y": "st", "z": "uv", "version": "01",
          "le": ("0.25", "0.5", "1", "2.5", "+Inf")}
PERIODIC = ["sin", "cos", "tan"]
ANGLES = ["asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad"]


class Expr:
    """kind: v, m or s. labels: names it may have. bits, exact: (2) above. name: elements still have a metric name."""

    def __init__(self, kind, text, parts=(), labels=(), bits=True, exact=True, name=False):
        self.kind, self.text, self.parts, self.labels = kind, text, parts, labels
        self.bits, self.exact, self.name = bits, exact, name

    def all(self):
        yield self
        for p in self.parts:
            yield from p.all()


class Gen:
    def __init__(self, rnd, start_s, end_s):
        self.rnd, self.start, self.end = rnd, start_s, end_s

    # --- small things

    def dur(self, *choices):
        return self.rnd.choice(choices or ("1m", "2m", "5m", "90s", "10m", "17m", "45s", "1h", "4m10s"))

    def number(self):
        return self.rnd.choice(("0", "1", "2", "0.5", "-1", "3", "8", "-0.25", "100", "1e3", "NaN", "Inf", "-Inf", "0.1", "-7"))

    def subset(self, labels, least=0):
        labels = list(labels)
        n = self.rnd.randrange(least, len(labels) + 1) if len(labels) >= least else len(labels)
        return self.rnd.sample(labels, n)

    def matchers(self, labels):
        rnd, out = self.rnd, []
        while labels and rnd.random() < 0.35:
            l = rnd.choice(labels)
            vals = list(VALUES[l])
            op = rnd.choice(("=", "!=", "=~", "!~"))
            val = rnd.choice(vals)
            if "~" in op:
                val = rnd.choice(("|".join(rnd.sample(vals, 2)), ".+", ".*", "", val, "[a-p0-1].*", "(?i:" + val.upper() + ")"))
                val = val.replace("+Inf", "[+]Inf")
            elif rnd.random() < 0.1:
                val = ""
            out.append(f'{l}{op}"{val}"')
        return "{" + ",".join(out) + "}" if out else ""

    def when(self, shift=""):
        rnd, out = self.rnd, []
        if shift:
            out.append(f"offset {shift}")
        elif rnd.random() < 0.12:
            out.append(rnd.choice(("offset 1m", "offset 7s", "offset 20m", "offset -3m", "offset 1h10m", "offset -1s")))
        if rnd.random() < 0.05:
            out.append(f"@ {rnd.choice((str(rnd.randrange(self.start, self.end) // 10 * 10 + 3), 'start()', 'end()'))}")
        rnd.shuffle(out)
        return " " + " ".join(out) if out else ""

    def unpinned(self, text):
        return re.sub(r" @ (start\(\)|end\(\)|\d+)", "", text)

    # --- leaves

    def selector(self, _depth=0, _inner=False, names=None):
        rnd = self.rnd
        name = rnd.choice(list(names or ALL))
        labels = ALL[name]
        text = name + self.matchers(labels)
        if names is None and rnd.random() < 0.03:
            text = '{__name__=~"one|two|lat_(sum|count)|wild"}'
            labels = ("job", "instance", "x", "y")
        return Expr("v", text + self.when(), (), labels, True, True, True)

    def ranged(self, depth, inner, names=None):
        rnd = self.rnd
        if depth > 0 and rnd.random() < 0.15:
            e = self.selector(names=names) if names else self.vector(depth - 1, True)
            step = rnd.choice(("", "10s", "20s", "30s", "1m", "2m"))
            return Expr("m", f"{self.paren(e)}[{self.dur('2m', '5m', '10m', '130s')}:{step}]{self.when('7s' if inner else '')}", (e,),
                        e.labels, e.bits, e.exact, e.name)
        name = rnd.choice(list(names or ALL))
        text = name + self.matchers(ALL[name])
        return Expr("m", f"{text}[{self.dur()}]{self.when()}", (), ALL[name], True, True, True)

    def paren(self, e):
        return f"({e.text})"

    # --- scalars

    def scalar(self, depth, inner):
        rnd = self.rnd
        dice = rnd.random()
        if depth <= 0 or dice < 0.5:
            return Expr("s", self.number())
        if dice < 0.6:
            return Expr("s", "time()")
        if dice < 0.7:
            return Expr("s", "pi()", bits=False)
        if dice < 0.85:
            e = self.vector(depth - 1, inner)
            return Expr("s", f"scalar({e.text})", (e,), bits=e.bits)
        a, b = self.scalar(depth - 1, inner), self.scalar(depth - 1, inner)
        bits = a.bits and b.bits
        ops = ["+", "-", "*", "/"] + (["%", "== bool", "<= bool", "> bool"] if bits else [])
        op = rnd.choice(ops)
        return Expr("s", f"({a.text}) {op} ({b.text})", (a, b), bits=bits)

    # --- vectors

    def vector(self, depth, inner=False):
        rnd = self.rnd
        if depth <= 0:
            return self.selector()
        kind = rnd.choices(("selector", "range", "elementwise", "aggregate", "ranked", "with_scalar", "with_vector", "sets", "labels", "presence",
                            "histogram", "dates", "other"), (3, 9, 4, 8, 3, 5, 7, 4, 3, 2, 3, 1, 2))[0]
        return getattr(self, kind)(depth, inner)

    def range(self, depth, inner):
        rnd = self.rnd
        fn = rnd.choice(("rate", "rate", "increase", "irate", "resets", "delta", "idelta", "changes", "deriv", "predict_linear", "avg_over_time",
                         "sum_over_time", "count_over_time", "min_over_time", "max_over_time", "stddev_over_time", "stdvar_over_time",
                         "last_over_time", "present_over_time", "quantile_over_time", "double_exponential_smoothing"))
        counter = fn in ("rate", "increase", "irate", "resets")
        m = self.ranged(depth, inner, COUNTERS if counter else None)
        if fn.startswith(("std", "deriv", "predict")) and "time" in m.text:
            fn = "max_over_time"
        parts, bits, exact, name = [m], False, False, False
        args = m.text
        if fn in ("count_over_time", "present_over_time", "resets", "changes"):
            bits, exact = m.bits, True
        elif fn in ("min_over_time", "max_over_time", "last_over_time"):
            bits, exact, name = m.bits, m.exact, m.name and fn == "last_over_time"
        elif fn == "sum_over_time":
            bits = exact = m.bits and m.exact
        elif fn == "predict_linear":
            s = self.scalar(depth - 1, inner)
            parts.append(s)
            args = f"{self.unpinned(args)}, {s.text}"  # a pinned range slides out of what 2.42 has read
        elif fn == "quantile_over_time":
            args = f"{rnd.choice(('0', '0.5', '0.9', '1', '-1', '2', 'NaN', '0.333'))}, {args}"
        elif fn == "double_exponential_smoothing":
            args += f", {rnd.choice(('0.1', '0.5', '0.9'))}, {rnd.choice(('0.1', '0.5', '0.9'))}"
        return Expr("v", f"{fn}({args})", parts, m.labels, bits, exact, name)

    def elementwise(self, depth, inner):
        rnd = self.rnd
        e = self.vector(depth - 1, inner)
        jumps = ["ceil", "floor", "round", "sgn", "round2", "day_of_week", "year", "minute", *PERIODIC] if e.bits else []
        fn = rnd.choice(["abs", "sqrt", "exp", "ln", "log2", "log10", "clamp", "clamp_min", "clamp_max", "-", "+"] + [rnd.choice(ANGLES)] + jumps)
        bits = e.bits and fn in ("abs", "clamp", "clamp_min", "clamp_max", "-", "+", "sqrt", "ceil", "floor", "round", "sgn", "round2", "day_of_week", "year", "minute")
        exact = e.exact and bits and fn != "sqrt"
        name = e.name and fn == "+"
        if fn in "+-":
            return Expr("v", f"{fn}({e.text})", (e,), e.labels, bits, exact, name)
        parts, args = [e], e.text
        if fn == "clamp":
            args += f", {self.number()}, {self.number()}"
        elif fn in ("clamp_min", "clamp_max"):
            args += f", {self.number()}"
        elif fn == "round2":
            fn, args = "round", f"{args}, {rnd.choice(('0.5', '4', '0.125', '-2', '0'))}"
        return Expr("v", f"{fn}({args})", parts, e.labels, bits, exact)

    def grouping(self, e):
        rnd = self.rnd
        dice = rnd.random()
        if dice < 0.3:
            return "", ()
        some = self.subset(e.labels)
        if rnd.random() < 0.1:
            some.append("nosuch")
        if dice < 0.65:
            if e.name and rnd.random() < 0.1:
                some.append("__name__")
            return f" by ({', '.join(some)})", tuple(l for l in some if l in VALUES)
        return f" without ({', '.join(some)})", tuple(l for l in e.labels if l not in some)

    def aggregate(self, depth, inner):
        rnd = self.rnd
        e = self.vector(depth - 1, inner)
        op = rnd.choice(("sum", "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "quantile"))
        by, labels = self.grouping(e)
        # The deviation of numbers that are alike in nine digits is noise; for_peer cannot write that of names anew.
        if op.startswith("std") and ("time" in e.text or "__name__" in by):
            op = "max"
        parts, param = [e], ""
        if op == "quantile":
            s = self.scalar(depth - 1, inner) if rnd.random() < 0.3 else Expr("s", rnd.choice(("0", "0.5", "0.99", "1", "-1", "1.5", "NaN")))
            s.text = self.unpinned(s.text)  # 2.42 forgets to pin what stands in parameters
            parts.append(s)
            param = s.text + ", "
        bits = op in ("count", "group") or (op in ("min", "max") and e.bits) or (op == "sum" and e.bits and e.exact)
        exact = op in ("count", "group") or (op in ("min", "max", "sum") and e.exact)
        text = f"{op}{by} ({param}{e.text})" if rnd.random() < 0.7 else f"{op}({param}{e.text}){by}"
        return Expr("v", text, parts, labels, bits, exact)

    def ranked(self, depth, inner):
        rnd = self.rnd
        if rnd.random() < 0.25:
            e = self.vector(depth - 1, inner)
            if e.bits:
                by, labels = self.grouping(e)
                return Expr("v", f'count_values{by} ("zval", {e.text})', (e,), labels + ("zval",))
        e = self.selector(names=GAUGES)
        if rnd.random() < 0.3:
            e = Expr("v", f"-({e.text})", (e,), e.labels, True, True)
        by, _ = self.grouping(e)
        k = Expr("s", self.unpinned(self.scalar(1, inner).text)) if rnd.random() < 0.15 else Expr("s", rnd.choice(("0", "1", "2", "3", "5", "100", "-1", "1.9")))
        return Expr("v", f"{rnd.choice(('topk', 'bottomk'))}{by} ({k.text}, {e.text})", (e,), e.labels, True, True, e.name)

    def with_scalar(self, depth, inner):
        rnd = self.rnd
        e, s = self.vector(depth - 1, inner), self.scalar(depth - 1, inner)
        bits = e.bits and s.bits
        ops = ["+", "-", "*", "/", "^"] + (["%", "==", "!=", "<", "<=", ">", ">=", "== bool", "> bool", "<= bool"] if bits else [])
        op = rnd.choice(ops)
        l, r = (e, s) if rnd.random() < 0.7 else (s, e)
        keeps = op in ("==", "!=", "<", "<=", ">", ">=")
        same = bits and op != "^"
        exact = keeps and e.exact or "bool" in op
        return Expr("v", f"({l.text}) {op} ({r.text})", (e, s), e.labels, same, exact, keeps and e.name)

    def matching(self, a, b):
        """The text of a matching that has a chance, and the labels of what comes out."""
        rnd = self.rnd
        shared = [l for l in a.labels if l in b.labels]
        dice = rnd.random()
        if dice < 0.15:
            return "", a.labels
        on = self.subset(shared, 1 if rnd.random() < 0.8 else 0) if rnd.random() < 0.4 else shared
        if dice < 0.3:
            some = self.subset(sorted(set(a.labels) | set(b.labels)))
            return f" ignoring ({', '.join(some)})", tuple(l for l in a.labels if l not in some)
        text = f" on ({', '.join(on)})"
        if dice < 0.5:
            return text, tuple(on)
        extra = [l for l in self.subset(b.labels) if l not in on]
        if dice < 0.75:
            return f"{text} group_left ({', '.join(extra)})", tuple(set(a.labels) | set(extra))
        extra = [l for l in self.subset(a.labels) if l not in on]
        return f"{text} group_right ({', '.join(extra)})", tuple(set(b.labels) | set(extra))

    def with_vector(self, depth, inner):
        rnd = self.rnd
        a = self.vector(depth - 1, inner)
        b = self.vector(depth - 1, inner) if rnd.random() < 0.6 else self.narrow(a, depth, inner)
        m, labels = self.matching(a, b)
        bits = a.bits and b.bits
        op = rnd.choice(["+", "-", "*", "/", "^"] + (["%", "==", "!=", "<", ">=", "> bool", "== bool"] if bits else []))
        keeps = op in ("==", "!=", "<", ">=")
        if a.name or b.name:  # an on() or ignoring() that names nothing keeps names in comparisons
            name = keeps
        else:
            name = False
        return Expr("v", f"({a.text}) {op}{m} ({b.text})", (a, b), labels, bits and op != "^", keeps and a.exact and b.exact or "bool" in op, name)

    def narrow(self, a, depth, inner):
        """Something with fewer labels than a, so that many match one."""
        rnd = self.rnd
        some = self.subset(a.labels)
        e = self.vector(depth - 1, inner) if rnd.random() < 0.3 else a
        return Expr("v", f"{rnd.choice(('sum', 'max', 'count'))} by ({', '.join(some)}) ({e.text})", (e,), tuple(some), False, False)

    def sets(self, depth, inner):
        rnd = self.rnd
        a, b = self.vector(depth - 1, inner), self.vector(depth - 1, inner)
        shared = sorted(set(a.labels) & set(b.labels))
        m = rnd.choice(("", f" on ({', '.join(self.subset(shared))})", f" ignoring ({', '.join(self.subset(sorted(set(a.labels) | set(b.labels))))})"))
        op = rnd.choice(("and", "or", "unless"))
        labels = a.labels if op != "or" else tuple(sorted(set(a.labels) | set(b.labels)))
        return Expr("v", f"({a.text}) {op}{m} ({b.text})", (a, b), labels, a.bits and (b.bits or op != "or"), a.exact and (b.exact or op != "or"),
                    a.name and b.name if op == "or" else a.name)

    def labels(self, depth, inner):
        rnd = self.rnd
        e = self.vector(depth - 1, inner)
        dst = rnd.choice(("new", "job", "x", "instance"))
        sources = list(e.labels) + ["nosuch"] + (["__name__"] if e.name else [])
        if rnd.random() < 0.6:
            repl = rnd.choice(("$1", "v-$1", "$1$1", "", "const", "$2", "${1}x", "$$1"))
            rx = rnd.choice(("(.*)", "(.)(.*)", "([a-m0-9]+)", "p|q", "", "(.+)"))
            text = f'label_replace({e.text}, "{dst}", "{repl}", "{rnd.choice(sources)}", "{rx}")'
        else:
            src = "".join(f', "{l}"' for l in rnd.sample(sources, min(len(sources), rnd.randrange(0, 3))))
            text = f'label_join({e.text}, "{dst}", "{rnd.choice(("", "-", "/"))}"{src})'
        return Expr("v", text, (e,), tuple(sorted(set(e.labels) | {dst})), e.bits, e.exact, e.name)

    def presence(self, depth, inner):
        rnd = self.rnd
        if rnd.random() < 0.5:
            m = self.ranged(depth, inner)
            return Expr("v", f"absent_over_time({m.text})", (m,), m.labels)
        e = self.vector(depth - 1, inner)
        return Expr("v", f"absent({e.text})", (e,), e.labels)

    def histogram(self, depth, inner):
        rnd = self.rnd
        sel = "lat_bucket" + self.matchers(("job", "instance"))
        e = rnd.choice((f"{sel}{self.when()}", f"rate({sel}[{self.dur('2m', '5m', '10m')}])"))
        if rnd.random() < 0.6:
            by = rnd.choice(("le", "le, job", "le, instance"))
            e = f"sum by ({by}) ({e})"
        q = self.scalar(depth - 1, inner) if rnd.random() < 0.2 else Expr("s", rnd.choice(("0", "0.5", "0.9", "0.99", "1", "-0.1", "1.1", "NaN")))
        return Expr("v", f"histogram_quantile({q.text}, {e})", (q,), ("job", "instance"), False, False)

    def dates(self, depth, inner):
        fn = self.rnd.choice(("hour", "minute", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"))
        return Expr("v", f"{fn}()", (), (), True, True)

    def other(self, depth, inner):
        rnd = self.rnd
        dice = rnd.random()
        if dice < 0.3:
            s = self.scalar(depth, inner)
            return Expr("v", f"vector({s.text})", (s,), (), s.bits, False)
        if dice < 0.7:
            e = self.selector() if rnd.random() < 0.7 else self.vector(depth - 1, inner)
            text = self.unpinned(e.text) if " offset" in e.text else e.text  # 2.42 forgets the offset beside an @
            return Expr("v", f"timestamp({text})", (e,), e.labels, True, False)
        e = self.vector(depth - 1, inner)
        return Expr("v", f"{rnd.choice(('sort', 'sort_desc'))}({e.text})", (e,), e.labels, e.bits, e.exact, e.name)

    # --- the whole

    def query(self):
        """(expression, parameters): parameters of query or, with start, of query_range."""
        rnd = self.rnd
        dice = rnd.random()
        depth = rnd.choice((1, 2, 2, 3, 3, 4))
        at = rnd.randrange(self.start, self.end + 600) // 10 * 10 + 3
        if dice < 0.03:
            return self.ranged(depth, False), {"time": at}
        e = self.scalar(depth, False) if dice < 0.06 else self.vector(depth)
        if rnd.random() < 0.4:
            return e, {"time": at}
        step = rnd.choice((10, 20, 60, 300))
        return e, {"start": at, "end": at + step * rnd.choice((0, 1, 5, 20, 60)), "step": step}
