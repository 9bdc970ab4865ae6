#!/usr/bin/env python3
"""Calls two servers of the Prometheus HTTP API that hold the same data, and compares the answers field by field.

    api.py OURS PEER END SECONDS

Status, content type, CORS headers, errorType and error must be the same, and of the data every key, type and value, but for
what ALLOWED lists with its reason. END is off the whole second, so that no sample lies on the edge of a window.
"""
import gzip
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

OURS, PEER, END, SECONDS = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
START = END - SECONDS

# Paths into the answer that may differ, and why. * stands for any key or index.
ALLOWED = [
    ("data.stats.timings.*", "time passes differently"),
    ("data.stats.samples.peakSamples", "what is held at once is a matter of the engine: ours holds groups, not series"),
    ("data.stats.samples.samplesRead", "newer than 2.42"),
    ("data.stats.samples.samplesReadPerStep", "newer than 2.42"),
    ("infos", "newer than 2.42"),
]
# Words that changed between 2.42 and 3.14: (pattern, replacement) for the peer's sentence, then for both.
WORDS = [
    (r"Invalid time value", "invalid time value"),
    (r"^(invalid parameter \"query\": )?", ""),                                   # query_range names the parameter now
    (r"(1:1|unknown position): parse error: no expression", "parse error: no expression"),
    (r"`\^\(\?:(.*)\)\$`", r"`\1`"),                                             # regexes are named as written now
    (r"operation: \[.*\];", "operation: [];"),                                       # which two of the duplicates is not defined
    (r"expected (number, duration, step\(\), or range\(\)|duration)$", "expected duration"),
]
# Calls that 2.42 takes otherwise, by name, and why.
CHANGED = {
    "bad lookback": "lookback_delta is newer than 2.42", "lookback": "lookback_delta is newer than 2.42",
    "bad limit per metric": "newer than 2.42",
    "nan": "a time that is no number is refused; Go's conversion makes the year 1677 of it",
    "far": "2.42 counts the times of a query in 64 bits of nanoseconds, which end in 2262",
}


def q(**params):
    return urllib.parse.urlencode({k.rstrip("_"): v for k, v in params.items()}, doseq=True)


QUERIES = [
    "1 + 1", '"text"', "up", "up == 1", "demo_cpu_usage_seconds_total", "rate(demo_cpu_usage_seconds_total[20s])", "sum by (job) (rate(demo_cpu_usage_seconds_total[20s]))",
    "demo_cpu_usage_seconds_total[10s]", "max_over_time(demo_memory_usage_bytes[15s])", "max_over_time(demo_memory_usage_bytes[15s:2s])", "absent(nothing)",
    "histogram_quantile(0.8713, sum by (le) (rate(demo_api_request_duration_seconds_bucket[20s])))", "demo_memory_usage_bytes @ end()", "sum(demo_memory_usage_bytes offset 5s)",
    "topk(2, demo_memory_usage_bytes)", "count({__name__=~\"demo.*\"})", "vector(time())", "scalar(sum(up))", "-demo_memory_usage_bytes", "demo_memory_usage_bytes > bool 1e9",
    "demo_cpu_usage_seconds_total / ignoring(mode) group_left() sum without (mode) (demo_cpu_usage_seconds_total)", "timestamp(demo_memory_usage_bytes)",
    "label_replace(up, \"x\", \"$1\", \"job\", \"(.*)\")", "max_over_time(sum(rate(demo_cpu_usage_seconds_total[20s]))[30s:5s])", "1 / 0", "-1 / 0", "0 / 0", "1e300 * 1e300", "0.1 + 0.2", "1e-7", "123456789012345678901",
]
BAD_QUERIES = ["", "1 +", "sum(", "up{", "up{a=}", "rate(up)", "foo{a=\"b\" c}", "up and 1", "sum by (a", "1 == 2", "up[5m] + 1", "nofunction(1)", "up offset", "\"a\" + 1",
               "sum(up) by (a) (b)", "up[0s]", "{}", "up{__name__=\"x\"}", "topk(up)", "sum(rate(up[20s])[30s:5s])", "histogram_quantile(up)", "up[5m:", "1 and 2"]
FAILING = ["up + on(job) up{job=~\".+\"} * 0 + on() group_left() {__name__=~\"demo_.*\"}", "label_replace(up, \"x\", \"$1\", \"job\", \"(\")", "demo_cpu_usage_seconds_total + ignoring(mode) demo_cpu_usage_seconds_total"]


def calls():
    """(name, method, path, form, headers)"""
    window = {"start": START, "end": END}
    for text in QUERIES:
        yield text, "GET", "/api/v1/query?" + q(query=text, time=END), None
        yield text, "POST", "/api/v1/query", q(query=text, time=END, stats="all")
        if not text.endswith("[10s]") and text != '"text"':
            yield text, "GET", "/api/v1/query_range?" + q(query=text, step=3, **window), None
            yield text, "POST", "/api/v1/query_range", q(query=text, step="3s", stats="all", **window)
    for text in BAD_QUERIES:
        yield text, "GET", "/api/v1/query?" + q(query=text, time=END), None
        yield text, "POST", "/api/v1/query_range", q(query=text, step=3, **window)
        yield text, "GET", "/api/v1/query_exemplars?" + q(query=text, **window), None
    for text in FAILING:
        yield text, "GET", "/api/v1/query?" + q(query=text, time=END), None
    for name, params in [
        ("lookback", {"query": "up", "time": END, "lookback_delta": "1s"}),
        ("bad lookback", {"query": "up", "lookback_delta": "x"}), ("bad time", {"query": "up", "time": "x"}), ("bad timeout", {"query": "up", "timeout": "x"}),
        ("negative timeout", {"query": "up", "timeout": "-1s"}), ("no query", {"time": END}), ("rfc time", {"query": "time()", "time": "2026-01-02T03:04:05.678Z"}),
        ("time with a zone", {"query": "time()", "time": "2026-01-02T03:04:05+01:00"}), ("nan", {"query": "1", "time": "NaN"}),
        ("past", {"query": "up", "time": "-1"}), ("far", {"query": "time()", "time": "253402300799"}),
    ]:
        yield name, "GET", "/api/v1/query?" + q(**params), None
        yield name, "POST", "/api/v1/query", q(**params)
    for name, params in [
        ("nothing", {}), ("no end", {"query": "1", "start": 1}), ("no step", {"query": "1", "start": 1, "end": 2}), ("backwards", {"query": "1", "start": 2, "end": 1, "step": 1}),
        ("zero step", {"query": "1", "start": 1, "end": 2, "step": 0}), ("negative step", {"query": "1", "start": 1, "end": 2, "step": -1}), ("bad step", {"query": "1", "start": 1, "end": 2, "step": "x"}),
        ("huge step", {"query": "1", "start": 1, "end": 2, "step": 1e300}), ("too fine", {"query": "1", "start": 1, "end": 20000, "step": 1}), ("just fine", {"query": "1", "start": 1, "end": 11001, "step": 1}),
        ("string", {"query": "\"a\"", "start": 1, "end": 2, "step": 1}), ("range vector", {"query": "up[1m]", "start": 1, "end": 2, "step": 1}), ("fraction", {"query": "time()", "start": 1.25, "end": 2, "step": 0.125}),
    ]:
        yield name, "GET", "/api/v1/query_range?" + q(**params), None
        yield name, "POST", "/api/v1/query_range", q(**params)
    for name, params in [
        ("all", {}), ("one", {"match[]": "up"}), ("two", {"match[]": ["up", "demo_memory_usage_bytes"]}), ("window", {"match[]": "up", **window}), ("none", {"match[]": "nothing_here"}),
        ("past", {"match[]": "up", "start": 1, "end": 2}), ("bad match", {"match[]": "up("}), ("empty match", {"match[]": "{}"}), ("matches empty", {"match[]": "{a=~\".*\"}"}),
        ("bad start", {"match[]": "up", "start": "x"}), ("bad end", {"match[]": "up", "end": "x"}), ("ms", {"match[]": "up", "start": 1700000000000, "end": 1700000000001}),
        ("own ends", {"match[]": "up", "start": "-292273086-05-16T16:47:06Z", "end": "292277025-08-18T07:12:54.999999999Z"}), ("regex", {"match[]": "{__name__=~\"demo_.*\",job!=\"\"}"}),
        ("bad regex", {"match[]": "{a=~\"(\"}"}), ("backwards", {"match[]": "up", "start": 2, "end": 1}),
    ]:
        for path, methods in [("series", "GET POST"), ("labels", "GET POST"), ("label/job/values", "GET"), ("label/__name__/values", "GET"), ("label/nothing/values", "GET")]:
            for method in methods.split():
                yield name, method, f"/api/v1/{path}" + ("?" + q(**params) if method == "GET" else ""), q(**params) if method == "POST" else None
    for name, params in [("exemplars", {"query": "demo_cpu_usage_seconds_total", **window}), ("of a rate", {"query": "sum(rate(demo_cpu_usage_seconds_total[1m])) / sum(demo_api_request_duration_seconds_count)", **window}),
                         ("in ms", {"query": "test", "start": 1700000000000, "end": 1700000000001}), ("none", {"query": "1 + 1", **window}), ("backwards", {"query": "up", "start": 2, "end": 1}),
                         ("bad start", {"query": "up", "start": "x"}), ("no window", {"query": "demo_cpu_usage_seconds_total"})]:
        yield name, "GET", "/api/v1/query_exemplars?" + q(**params), None
        yield name, "POST", "/api/v1/query_exemplars", q(**params)
    for name, path in [("rules", "rules"), ("alerts only", "rules?type=alert"), ("bad type", "rules?type=x"), ("alerts", "alerts"), ("alertmanagers", "alertmanagers"),
                       ("bad limit", "metadata?limit=x"), ("bad limit per metric", "metadata?limit_per_metric=x"), ("bad limit", "targets/metadata?limit=x"), ("bad match", "targets/metadata?match_target=%7B"),
                       ("format", "format_query?query=sum(a)by(b)%2Bc"), ("bad format", "format_query?query=sum("), ("walreplay", "status/walreplay")]:
        yield name, "GET", "/api/v1/" + path, None
    for path in ["delete_series?match[]=nothing_here", "delete_series", "delete_series?match[]=up(", "delete_series?match[]=up&start=x", "clean_tombstones", "snapshot?skip_head=x"]:
        for method in ["POST", "PUT"]:
            yield "admin", method, "/api/v1/admin/tsdb/" + path, None


def ask(base, method, path, form=None, headers=None):
    req = urllib.request.Request(base + path, method=method, data=form.encode() if form is not None else None, headers={"Origin": "http://x", **(headers or {})})
    try:
        with urllib.request.urlopen(req, timeout=60) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as err:
        return err.code, err.headers, err.read()


def allowed(path):
    return any(re.fullmatch(re.escape(a).replace(r"\*", "[^.]+"), path) or path.startswith(a.rstrip("*") + ".") for a, _ in ALLOWED)


def same_number(a, b):
    try:
        x, y = float(a), float(b)
    except ValueError:
        return False
    return x == y or abs(x - y) <= 1e-9 * max(abs(x), abs(y))


def differ(a, b, path=""):
    """Sentences about where ours (a) is not the peer's (b)."""
    if allowed(path):
        return []
    if type(a) is not type(b) and not (isinstance(a, (int, float)) and isinstance(b, (int, float))):
        return [f"{path}: {a!r}, the peer has {b!r}"]
    if isinstance(a, dict):
        return [s for k in sorted(set(a) | set(b)) if not allowed(f"{path}.{k}".lstrip("."))
                for s in ([f"{path}: no {k}"] if k not in a else [f"{path}: {k} is not the peer's"] if k not in b else differ(a[k], b[k], f"{path}.{k}".lstrip(".")))]
    if isinstance(a, list):
        if len(a) != len(b):
            return [f"{path}: {len(a)} elements, the peer has {len(b)}"]
        return [s for i, (x, y) in enumerate(zip(a, b)) for s in differ(x, y, f"{path}.{i}")]
    return [] if a == b or (isinstance(a, str) and same_number(a, b)) or (isinstance(a, float) and same_number(a, b)) else [f"{path}: {a!r}, the peer has {b!r}"]


def same_words(doc):
    for pattern, words in WORDS:
        if "error" in doc:
            doc["error"] = re.sub(pattern, words, doc["error"])
    return doc


def sort_result(doc):
    """A vector has no order of its own."""
    data = doc.get("data")
    if isinstance(data, dict) and data.get("resultType") == "vector":
        data["result"].sort(key=lambda s: json.dumps(s["metric"], sort_keys=True))
    if isinstance(data, list) and data and isinstance(data[0], dict):
        data.sort(key=lambda s: json.dumps(s, sort_keys=True))
    return doc


HEADERS = ["Content-Type", "Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Expose-Headers"]


def compare(name, method, path, form):
    a, b = ask(OURS, method, path, form), ask(PEER, method, path, form)
    wrong = [f"status {a[0]}, the peer {b[0]}: {a[2][:200]} / {b[2][:200]}"] if a[0] != b[0] else []
    for h in HEADERS[:1] if name == "admin" else HEADERS:  # pages of other origins shall not delete: no CORS on admin calls
        if (a[1].get(h) or "").lower() != (b[1].get(h) or "").lower() and not (h == "Content-Type" and not b[2]):
            wrong.append(f"{h}: {a[1].get(h)}, the peer {b[1].get(h)}")
    if not wrong and b[2]:
        wrong = differ(*(same_words(sort_result(json.loads(x[2]))) for x in (a, b)))
    return [f"{method} {urllib.parse.unquote(path)} {form or ''}: {w}" for w in wrong[:4]]


def transport():
    """What is not JSON: methods, compression, heads, preflights."""
    wrong, n = [], 0
    for method, path in [("OPTIONS", "/api/v1/query"), ("OPTIONS", "/api/v1/label/job/values"), ("HEAD", "/-/healthy"), ("HEAD", "/-/ready"), ("DELETE", "/api/v1/query"), ("PUT", "/api/v1/series"),
                         ("POST", "/api/v1/label/job/values"), ("GET", "/api/v1/admin/tsdb/snapshot"), ("GET", "/api/v1/write"), ("GET", "/api/v1/nosuch"), ("GET", "/-/reload"), ("POST", "/api/v1/read")]:
        a, b = ask(OURS, method, path), ask(PEER, method, path)
        n += 1
        if a[0] != b[0]:
            wrong.append(f"{method} {path}: {a[0]}, the peer {b[0]}")
    for base in (OURS, PEER):
        got = ask(base, "GET", "/api/v1/query_range?" + q(query="{__name__!=\"\"}", start=START, end=END, step=5), headers={"Accept-Encoding": "gzip"})
        n += 1
        if got[1].get("Content-Encoding") != "gzip" or json.loads(gzip.decompress(got[2]))["status"] != "success":
            wrong.append(f"{base}: not compressed")
    return n, wrong


def ours_only():
    """Parameters that 2.42 does not know, against its answer without them."""
    wrong, n = [], 0
    text = "results truncated due to limit"
    for path, key in [("query?" + q(query="demo_cpu_usage_seconds_total", time=END), "data.result"), ("query_range?" + q(query="demo_cpu_usage_seconds_total", start=START, end=END, step=5), "data.result"),
                      ("series?match[]=demo_cpu_usage_seconds_total", "data"), ("labels?", "data"), ("label/__name__/values?", "data")]:
        whole, cut = (json.loads(ask(base, "GET", f"/api/v1/{path}{more}")[2]) for base, more in ((PEER, ""), (OURS, "&limit=2")))
        n += 1
        for part in key.split("."):
            whole, cut["found"] = whole[part], cut.get("found", cut)[part]
        if len(whole) <= 2 or len(cut["found"]) != 2 or text not in cut.get("warnings", []):
            wrong.append(f"{path}: {len(whole)} cut to {len(cut['found'])}, {cut.get('warnings')}")
        if "query?" not in path and cut["found"] != whole[:2]:
            wrong.append(f"{path}: {cut['found']} are not the first of {whole[:3]}")
        for value, status in (("0", 200), ("-1", 400), ("x", 400)):
            n += 1
            if ask(OURS, "GET", f"/api/v1/{path}&limit={value}")[0] != status:
                wrong.append(f"{path}&limit={value} is not {status}")
    return n, wrong


def main():
    todo = [c for c in calls() if c[0] not in CHANGED]
    wrong = [w for c in todo for w in compare(*c)]
    n, more = transport()
    m, rest = ours_only()
    wrong += more + rest
    print("\n".join(wrong[:60]))
    print(f"{len(todo) + n + m} calls, {len(wrong)} differences" + (f" (the first 60 are shown)" if len(wrong) > 60 else ""))
    return 1 if wrong else 0


sys.exit(main())
