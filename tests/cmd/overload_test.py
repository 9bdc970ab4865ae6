#!/usr/bin/env python3
"""Queries of death beside small ones: each is stopped at its budget, names operator and limit, and small queries go on.

20,000 series (--long: 50,000) with an hour of samples; small queries run all the time and their p99 is compared with
that of an idle server.
"""
import http.client
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(__file__))
from remote_write import Client, series  # noqa: E402
from server import Server  # noqa: E402

SERIES = 50000 if "--long" in sys.argv else 20000
POINTS, STEP, WRITE_S = 60, 60_000, 2
SLOWEST_MS = 1000  # p99 of small queries beside those that take all memory: 10 to 30 ms, more where other tests run beside
GAP_MS = 20        # processor time without a look at budget and deadline: told by the server itself
GAP_WORST_MS = 100
BESIDE_MS = 300    # and beside those that take all processors: as if alone, where nothing else runs
failures = []
count = 0


def check(name, ok, what=""):
    global count
    count += 1
    if not ok:
        failures.append(name)
        print(f"FAILED {name}: {what}")


def load(server, now):
    """death{pod, node, zone} with an hour of samples, written as the past so that one push does."""
    c = Client(server.port, 60)
    first = now - (POINTS - 1) * STEP
    for at in range(0, SERIES, 5000):
        body = b"".join(
            series({"__name__": "death", "pod": f"pod-{i:06}", "node": f"node-{i % 100}", "zone": f"zone-{i % 3}"},
                   [(first + k * STEP, float(i + k)) for k in range(POINTS)]) for i in range(at, min(at + 5000, SERIES)))
        code, text = c.write(body)
        assert code == 204, (code, text)
    code, text = c.write(series({"__name__": "small"}, [(first + k * STEP, float(k)) for k in range(POINTS)]))
    assert code == 204, (code, text)


def post(port, path, params, timeout=60):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    t0 = time.monotonic()
    try:
        c.request("POST", path, urllib.parse.urlencode(params), {"Content-Type": "application/x-www-form-urlencoded"})
        r = c.getresponse()
        return r.status, r.read(), time.monotonic() - t0
    finally:
        c.close()


class Small:
    """Another process that asks a small range query every few ms and keeps how long each took."""

    def __init__(self, port, now, path="/api/v1/query_range", query="rate(small[5m])"):
        target = path + "?" + urllib.parse.urlencode({"query": query, "start": now / 1000 - 3600, "end": now / 1000, "step": 60})
        self.proc = subprocess.Popen([sys.executable, __file__, "--small", str(port), target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self):
        out, _ = self.proc.communicate("stop\n")
        return json.loads(out)


def small(port, target):
    took, bad = [], []
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not took or not select.select([sys.stdin], [], [], 0.004)[0]:
        t0 = time.monotonic()
        c.request("GET", target)
        r = c.getresponse()
        r.read()
        took.append((time.monotonic() - t0) * 1000)
        if r.status != 200:
            bad.append(r.status)
    took.sort()
    print(json.dumps({"p50": took[len(took) // 2], "p99": took[int(len(took) * 0.99)], "max": took[-1], "n": len(took), "bad": bad}))


def deaths(now):
    """(name, path, parameters): each needs more than its budget."""
    t = now / 1000
    ranged = {"start": t - 3600, "end": t, "step": 0.5}
    pods = "|".join(f"pod-0{i:05}.*" for i in range(4000))
    return [
        ("every series, small steps", "/api/v1/query_range", {"query": "death", **ranged}),
        ("rate of every series, small steps", "/api/v1/query_range", {"query": "rate(death[5m])", **ranged}),
        ("sum without one label", "/api/v1/query_range", {"query": "sum without (zone) (death)", **ranged}),
        ("cross join", "/api/v1/query_range", {"query": "death * on (zone) group_left () topk by (zone) (1, death) + on (pod) death", **ranged}),
        ("many to one by nothing", "/api/v1/query_range", {"query": "death + on () group_left () sum(death)", **ranged}),
        ("nested subqueries", "/api/v1/query", {"query": "max_over_time(sum_over_time(avg_over_time(death[10m:1s])[20m:1s])[30m:1s])", "time": t}),
        ("subquery of everything", "/api/v1/query", {"query": "sum_over_time(death[1h:100ms])", "time": t}),
        ("a table of bools", "/api/v1/query_range", {"query": "death >= bool 0 and death or death unless small", **ranged}),
        ("ranking", "/api/v1/query_range", {"query": "sort_desc(topk(100000, death))", **ranged}),
        ("new labels for all", "/api/v1/query_range", {"query": 'label_replace(death, "x", "$1$1$1$1$1$1", "pod", "(.*)")', **ranged}),
        ("histogram of no histogram", "/api/v1/query_range", {"query": 'histogram_quantile(0.9, label_join(death, "le", "", "pod"))', **ranged}),
        ("giant regex, small steps", "/api/v1/query_range", {"query": 'death{pod=~"%s"} or death' % pods, **ranged}),
        ("values as labels", "/api/v1/query_range", {"query": 'count_values("value", death * on (pod) group_left () death)', **ranged}),
        ("a table sorted by names", "/api/v1/query", {"query": 'sort_by_label(sum by (pod, node, zone) (sum_over_time(death[1h:1s])), "pod")', "time": t}),
        ("raw samples of everything", "/api/v1/query", {"query": "{__name__=~'.+'}[1h] offset 0s", "time": t}),
    ]


def budget(server, now):
    for name, path, params in deaths(now):
        code, body, took = post(server.port, path, params)
        text = body[:2000].decode(errors="replace")
        if code == 200:
            check(name, name in ("raw samples of everything",) or took < 5, f"took {took:.1f} s, {len(body)} bytes")
            print(f"  {name}: answered, {len(body) >> 20} MiB after {took * 1000:.0f} ms")
            continue
        error = json.loads(text).get("error", "")
        check(name, code == 422, f"status {code}: {error[:300]}")
        check(name + " (names operator and limit)", re.search(r"query\.max-(bytes|samples)", error) and re.search(r"in \S", error), error[:300])
        check(name + " (soon)", took < 3, f"{took:.2f} s")
        print(f"  {name}: {took * 1000:.0f} ms: {error[:150]}")


def deadlines(server, now):
    """The same with an eighth of a second each, and memory enough: over soon after that, and the operator is named."""
    late = []
    regex = "|".join(f".*{i}.*" for i in range(2000))
    regexes = " or ".join(f'death{{pod=~"{k}{regex}"}}' for k in range(30))
    for name, path, params in deaths(now) + [("burner", "/api/v1/query_range", burner(now)),
                                             ("giant regexes", "/api/v1/query", {"query": regexes, "time": now / 1000}),
                                             ("a slow regex", "/api/v1/query", {"query": f'count(death{{pod!~"{regex}"}})', "time": now / 1000})]:
        code, body, took = post(server.port, path, {**params, "timeout": "125ms"})
        if code == 200:
            continue
        error = json.loads(body).get("error", "")
        check(f"{name}, timed", code in (422, 503), f"{code} {error[:300]}")
        check(f"{name}, timed (names the operator)", re.search(r"in \S", error), error[:300])
        if code == 503: # others were over their memory before
            late.append((took * 1000 - 125, name))
    late.sort()
    print(f"  {len(late)} of them with 125 ms each ended {late[len(late) // 2][0]:.0f} ms after that, the last {late[-1][0]:.0f} ms ({late[-1][1]})")
    check("ended soon after the deadline", late[-1][0] < 1000, late[-3:])


def gaps(log):
    """What the threads of queries did without a check, in their own processor time: no other process disturbs that."""
    found = []
    for line in open(log, errors="replace"):
        m = re.search(r"([\d.]+) ms of work without a check, (from .*)\"", line)
        if m:
            found.append((float(m.group(1)), m.group(2)))
    found.sort()
    print(f"  {len(found)} stretches of {GAP_MS} ms or more without a check" + (f", the longest {found[-1][0]:.0f} ms {found[-1][1]}" if found else ""))
    check("who works looks up", not found or found[-1][0] < GAP_WORST_MS, found[-3:])


def cpu(server):
    f = open(f"/proc/{server.proc.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def queries(server):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    c.request("GET", "/api/v1/status/queries")
    data = json.loads(c.getresponse().read())["data"]
    c.close()
    return [q for q in (data if isinstance(data, list) else data["queries"]) if "death" in q["query"]]


BURNER = "sum(stddev_over_time(death[1h]) * on (pod) group_left () quantile_over_time(0.5, death[50m]))"


def burner(now):
    """Within its memory, and busy for long: 3,000 steps of 20,000 series or more."""
    return {"query": BURNER, "start": now / 1000 - 1500, "end": now / 1000, "step": 0.5, "timeout": "60s"}


class Burning(threading.Thread):
    def __init__(self, port, now):
        super().__init__(daemon=True)
        self.port, self.now, self.answer = port, now, None

    def run(self):
        self.answer = post(self.port, "/api/v1/query_range", burner(self.now), 120)


def wait_for(what, seconds=5.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def is_idle(server):
    before = cpu(server)
    time.sleep(0.5)
    return cpu(server) - before < 0.1


def burners(server, now, alone):
    """Queries that take no memory to speak of and all the processor there is; killed one by one."""
    server_small = Small(server.port, now)
    many = [Burning(server.port, now) for _ in range(4)]
    for b in many:
        b.start()
    check("burners run", wait_for(lambda: len(queries(server)) == 4), queries(server))
    time.sleep(2.5)
    beside = server_small.stop()
    print(f"  beside four that burn: p50 {beside['p50']:.1f} p99 {beside['p99']:.1f} max {beside['max']:.1f} ms ({beside['n']}), alone p99 {alone['p99']:.1f}")
    check("small queries beside burners", not beside["bad"] and beside["p99"] < max(5 * alone["p99"], BESIDE_MS), beside)
    left = queries(server)
    check("burners still run", len(left) >= 1, left)
    t0 = time.monotonic()
    for q in left:
        code, body, _ = post(server.port, f"/api/v1/admin/queries/{q['id']}/kill", {})
        check("kill", code == 204, body)
    for b in many:
        b.join()
    print(f"  killed after {(time.monotonic() - t0) * 1000:.0f} ms")
    check("killed soon", time.monotonic() - t0 < 1, f"{time.monotonic() - t0:.2f} s")
    check("killed says so", all(b.answer[0] in (499, 200) for b in many) and b"canceled" in many[-1].answer[1], many[-1].answer)
    check("idle after kills", is_idle(server), "")
    check("a query that is not there", post(server.port, "/api/v1/admin/queries/999999999/kill", {})[0] == 404, "")


def leavers(server, now):
    """Clients that close their connection take their queries with them."""
    body = urllib.parse.urlencode(burner(now)).encode()
    head = b"POST /api/v1/query_range HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body)
    socks = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
    for s in socks:
        s.sendall(head + body)
    check("leavers run", wait_for(lambda: len(queries(server)) == 4), queries(server))
    for s in socks:
        s.close()
    t0 = time.monotonic()
    check("who leaves takes the query along", wait_for(lambda: not queries(server), 2), queries(server))
    print(f"  gone after {(time.monotonic() - t0) * 1000:.0f} ms")
    check("idle after they left", is_idle(server), "")


def slow_readers(server, now):
    """Clients that ask for much and read nothing: others are answered."""
    q = urllib.parse.urlencode({"query": "death", "start": now / 1000 - 600, "end": now / 1000, "step": 10})
    socks = []
    for _ in range(12):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", server.port))
        s.sendall(b"GET /api/v1/query_range?" + q.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        socks.append(s)
    time.sleep(1.5)
    t0 = time.monotonic()
    code, body, _ = post(server.port, "/api/v1/query", {"query": "small", "time": now / 1000})
    took = time.monotonic() - t0
    check("answered beside readers that do not read", code == 200 and took < 1, f"{code} after {took:.1f} s")
    print(f"  beside 12 readers that do not read: {took * 1000:.0f} ms, {server.rss_kib() >> 10} MiB")
    before = server.metric("tripod_http_slow_clients_total")
    check("who reads nothing is cut", wait_for(lambda: not queries(server), 2 * WRITE_S + 1), queries(server))
    check("and counted", server.metric("tripod_http_slow_clients_total") >= before + 12, server.metric("tripod_http_slow_clients_total"))
    for s in socks:
        s.close()


def dripping_reader(server, now):
    """A client that takes a little now and then is not waited for beyond the query's timeout."""
    q = urllib.parse.urlencode({"query": "death", "start": now / 1000 - 600, "end": now / 1000, "step": 6, "timeout": "3s"})
    s = socket.socket()
    s.connect(("127.0.0.1", server.port))
    s.sendall(b"GET /api/v1/query_range?" + q.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.5)
    t0 = time.monotonic()
    got = 0
    while queries(server) and time.monotonic() - t0 < 12:
        got += len(s.recv(400_000))
        time.sleep(0.1)
    check("the dripping reader got a part", got > 0, got)
    check("a reader that drips", time.monotonic() - t0 < 8, f"{time.monotonic() - t0:.1f} s")
    print(f"  a reader that drips was left after {time.monotonic() - t0:.1f} s, {got >> 20} MiB")
    s.close()


def small_limits(work, now):
    """Limits of samples, places and the queue, with the same data."""
    server = Server(work + "/data", log=work + "/log", args=["--query.max-samples", "10000", "--query.max-concurrency", "1", "--query.timeout", "1s"])
    check("starts again", server.start(), "")
    t = now / 1000
    code, body, _ = post(server.port, "/api/v1/query", {"query": "death[1h]", "time": t})
    check("query.max-samples", code == 422 and b"query.max-samples" in body and b"10000" in body, body[:300])
    t0 = time.monotonic()
    many = [Burning(server.port, now) for _ in range(4)]
    for b in many:
        b.start()
    for b in many:
        b.join()
    check("query.timeout holds, waiting included", time.monotonic() - t0 < 2.5, f"{time.monotonic() - t0:.1f} s")
    texts = [(b.answer[0], b.answer[1][:200]) for b in many]
    check("query.timeout", all((c == 503 and b"query.timeout" in x) or (c == 422 and b"max-samples" in x) for c, x in texts), texts)
    stopped = sum(server.metric(f'tripod_queries_stopped_total{{reason="{r}"}}') for r in ("timeout", "limit"))
    check("stopped queries are counted", stopped >= 5, stopped)
    server.kill()


def main():
    if "--small" in sys.argv:
        small(int(sys.argv[-2]), sys.argv[-1])
        return 0
    with tempfile.TemporaryDirectory() as work:
        server = Server(work + "/data", log=work + "/log", args=["--query.max-bytes", "256MB", "--http.write-timeout", f"{WRITE_S}s"],
                        env={"TRIPOD_QUERY_GAPS": str(GAP_MS)})
        if not server.start():
            print("did not start")
            return 1
        now = int(time.time()) * 1000 - 120_000
        load(server, now)
        base = server.rss_kib()
        print(f"{SERIES} series, {base >> 10} MiB")
        s = Small(server.port, now)
        time.sleep(1.5)
        alone = s.stop()
        s = Small(server.port, now)
        budget(server, now)
        beside = s.stop()
        print(f"small queries alone: {alone}\nbeside: {beside}")
        check("small queries are answered", not beside["bad"], beside)
        check("p99 of small queries", beside["p99"] < max(20 * alone["p99"], SLOWEST_MS), beside)
        print(f"memory {server.rss_kib() >> 10} MiB")
        deadlines(server, now)
        burners(server, now, alone)
        leavers(server, now)
        slow_readers(server, now)
        dripping_reader(server, now)
        time.sleep(1)
        print(f"memory at last {server.rss_kib() >> 10} MiB, at most {server.peak_kib() >> 10} MiB")
        check("memory at last", server.rss_kib() < base + 300 * 1024, f"{server.rss_kib() >> 10} MiB, {base >> 10} before")
        check("alive", server.alive(), open(work + "/log").read()[-2000:])
        server.kill()
        gaps(work + "/log")
        small_limits(work, now)
    print(f"{count - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
