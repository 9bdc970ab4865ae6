#!/usr/bin/env python3
"""LogQL queries of death beside small ones: each is stopped at its budget, names operator and limit, and small queries go on.

JSON lines of 29 days, 20 MB (--long: 200 MB), every field of which has another value in each line or nearly so. Queries may take 64 MB and four seconds.
"""
import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(__file__))
import overload_test as o  # noqa: E402
from loki import Loki  # noqa: E402
from overload_test import Small, check, post, wait_for  # noqa: E402
from server import TRIPOD, Server  # noqa: E402

MB = 200 if "--long" in sys.argv else 20
DAYS, TIMEOUT_S, SLACK_S = 29, 4, 3
A = '{app="death"}'
REGEX = A + ' |~ "%s"' % "|".join(f".*{i}.*x" for i in range(1500))  # too large for an automaton: a line takes milliseconds
SMALL = ("/loki/api/v1/query_range", 'sum(count_over_time({app="small"} |= "x" [1m]))')


def load(server, work, now):
    corpus = os.path.join(work, "json.log")
    with open(corpus, "wb") as f:
        subprocess.run([os.path.join(os.path.dirname(TRIPOD), "bench_corpus"), "json", str(MB), str(now // 1000 - DAYS * 86400), str(DAYS * 86400 - 100)], stdout=f, check=True)
    subprocess.run([TRIPOD, "import", "--quiet", "--url", f"http://127.0.0.1:{server.port}", "--label", "app=death", corpus], check=True)
    Loki(server.port).push([({"app": "small"}, [(now * 10**6 - i * 10**9, f"x {i}") for i in range(3000)])])


def deaths():
    """(name, query, step in seconds, limit)"""
    return [
        ("every line", A, None, 5000),
        ("too many lines", A, None, 500000),
        ("giant regex", REGEX, None, 5000),
        ("chain of filters", A + "".join(f' |~ "[a-z]+{i}|a"' for i in range(200)), None, 5000),
        ("long lines", A + " | line_format `{{ repeat 3000 __line__ }}`", None, 5000),
        ("long labels", A + " | label_format a=`{{ repeat 1000 __line__ }}`", None, 5000),
        ("by everything", f"count_over_time({A} | json [1h])", 3600, None),
        ("by an id", f"sum by (trace_id) (count_over_time({A} | json [1h]))", 3600, None),
        ("count of ids", f"count(sum by (trace_id, span_id, order_id) (count_over_time({A} | json [{DAYS}d])))", 86400, None),
        ("ratio by an id", f"sum by (trace_id) (count_over_time({A} | json [1d])) / on (trace_id) sum by (trace_id) (count_over_time({A} | json [1d]))", 3600, None),
        ("quantile by an id", f"quantile_over_time(0.99, {A} | json | unwrap duration_ms [{DAYS}d]) by (trace_id)", 86400, None),
        ("quantiles in small steps", f"quantile_over_time(0.99, {A} | json | unwrap duration_ms [5d]) by (service)", 300, None),
        ("deviation by user in small steps", f"sum(stddev_over_time({A} | json | unwrap duration_ms [7d]) by (user_id))", 300, None),
        ("newest of each id", f"last_over_time({A} | json | unwrap duration_ms [{DAYS}d]) by (trace_id)", 86400, None),
        ("a label of each line", f"sum by (x) (count_over_time({A} | regexp `(?P<x>.*trace_id.{{10,40}})` [{DAYS}d]))", 86400, None),
        ("too many steps", f"count_over_time({A}[1s])", 0.001, None),
        ("too deep", "(" * 2000 + f"count_over_time({A}[1m])" + ")" * 2000, 3600, None),
    ]


def params(now, query, step=None, limit=None):
    p = {"query": query, "start": (now // 1000 - DAYS * 86400) * 10**9, "end": now * 10**6}
    return {**p, **({"step": step} if step else {}), **({"limit": limit} if limit else {})}


def budget(server, now):
    for name, query, step, limit in deaths():
        code, body, took = post(server.port, "/loki/api/v1/query_range", params(now, query, step, limit))
        text = body[:300].decode(errors="replace")
        print(f"  {name}: {code} after {took * 1000:.0f} ms: {text[:120].strip() if code != 200 else f'{len(body)} bytes'}")
        check(name + " (soon)", took < TIMEOUT_S + SLACK_S, f"{took:.2f} s")
        if code == 200:
            check(name, name == "every line" or took < TIMEOUT_S, f"took {took:.1f} s")
        elif code == 504:
            check(name, "query.timeout" in text and re.search(r"in \S", text), text)
        else:
            check(name, code == 400 and re.search(r"query\.max-bytes.* in \S|maximum number of series|limit|resolution|nested deeper", text), f"{code} {text}")


def queries(server):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    c.request("GET", "/api/v1/status/queries")
    data = o.json.loads(c.getresponse().read())["data"]
    c.close()
    return [q for q in data if "death" in q["query"]]


def in_background(server, now):
    """Four giant regular expressions: [thread, [status, body, seconds]]"""
    def ask(out):
        out += post(server.port, "/loki/api/v1/query_range", params(now, REGEX, limit=5000), 120)

    many = [(threading.Thread(target=ask, args=(out,), daemon=True), out) for out in ([] for _ in range(4))]
    for t, _ in many:
        t.start()
    check("they run", wait_for(lambda: len(queries(server)) == 4), queries(server))
    return many


def burners(server, now, alone):
    s = Small(server.port, now, *SMALL)
    for t, out in in_background(server, now):
        t.join()
        check("ended in time", out[0] == 504 and out[2] < TIMEOUT_S + SLACK_S, out)
    beside = s.stop()
    print(f"  beside four that burn: p50 {beside['p50']:.1f} p99 {beside['p99']:.1f} max {beside['max']:.1f} ms ({beside['n']}), alone p99 {alone['p99']:.1f}")
    check("small queries beside burners", not beside["bad"] and beside["p99"] < max(5 * alone["p99"], o.BESIDE_MS), beside)


def killed(server, now):
    many = in_background(server, now)
    t0 = time.monotonic()
    for q in queries(server):
        code, body, _ = post(server.port, f"/api/v1/admin/queries/{q['id']}/kill", {})
        check("kill", code == 204, body)
    for t, _ in many:
        t.join()
    took = time.monotonic() - t0
    print(f"  killed after {took * 1000:.0f} ms")
    check("killed soon", took < 2 and all(out[0] == 499 for _, out in many), f"{took:.2f} s {[out[:2] for _, out in many]}")


def leavers(server, now):
    target = "/loki/api/v1/query_range?" + urllib.parse.urlencode(params(now, REGEX, limit=5000))
    many = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in range(4)]
    for c in many:
        c.request("GET", target)
    check("leavers run", wait_for(lambda: len(queries(server)) == 4), queries(server))
    for c in many:
        c.close()
    t0 = time.monotonic()
    check("who leaves takes the query along", wait_for(lambda: not queries(server), 2), queries(server))
    print(f"  gone after {(time.monotonic() - t0) * 1000:.0f} ms")


def stopped(server, now):
    """A server that is told to stop does not wait for them."""
    in_background(server, now)
    t0 = time.monotonic()
    server.proc.terminate()
    code = server.proc.wait(60)
    took = time.monotonic() - t0
    print(f"  stopped after {took * 1000:.0f} ms")
    check("stops beside them", code == 0 and took < TIMEOUT_S + 2 * SLACK_S, f"{code} after {took:.1f} s")


def main():
    with tempfile.TemporaryDirectory() as work:
        server = Server(work + "/data", log=work + "/log", args=["--retention", "40d", "--query.max-bytes", "64MB", "--query.timeout", f"{TIMEOUT_S}s"],
                        env={"TRIPOD_QUERY_GAPS": str(o.GAP_MS)})
        assert server.start(), "did not start"
        now = int(time.time()) * 1000
        load(server, work, now)
        base = server.anon_kib()
        print(f"{MB} MB of lines, {base >> 10} MiB")
        s = Small(server.port, now, *SMALL)
        time.sleep(1.5)
        alone = s.stop()
        s = Small(server.port, now, *SMALL)
        budget(server, now)
        beside = s.stop()
        print(f"small queries alone: {alone}\nbeside: {beside}")
        check("small queries are answered", not beside["bad"], beside)
        check("p99 of small queries", beside["p99"] < max(20 * alone["p99"], o.SLOWEST_MS), beside)
        burners(server, now, alone)
        killed(server, now)
        leavers(server, now)
        time.sleep(1)
        print(f"own memory at last {server.anon_kib() >> 10} MiB, at most {server.peak_kib() >> 10} MiB with mapped files")
        check("memory at last", server.anon_kib() < base + 200 * 1024, f"{server.anon_kib() >> 10} MiB, {base >> 10} before")
        check("alive", server.alive(), open(work + "/log").read()[-2000:])
        stopped(server, now)
        o.gaps(work + "/log")
    print(f"{o.count - len(o.failures)} passed, {len(o.failures)} failed")
    return 1 if o.failures else 0


if __name__ == "__main__":
    sys.exit(main())
