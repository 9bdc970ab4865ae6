#!/usr/bin/env python3
"""A soak: 50,000 samples a second, or 4,000 log lines a second with live tails, with queries beside, for SECONDS; memory stays flat and no
file descriptor leaks.

    soak_test.py SECONDS [metrics|logs]

Memory (without the pages of mapped day files, which grow with the data and cost nothing) is flat when its average over the last quarter is at most 10 % and 16 MiB above that of the second quarter (the first is the way up:
heads fill, caches warm).
"""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
from loki import Follower, Loki  # noqa: E402
from server import TRIPOD, Server  # noqa: E402

SERIES, RATE = 50000, 50000
QUERIES = [
    'sum by (job) (rate(node_cpu_seconds_total[5m]))',
    'count({__name__=~".+"})',
    'histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))',
    'topk(5, node_load1)',
    'node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1',
]


LINES, PUSHES_S = 500, 8
LOG_QUERIES = [
    ("query_range", '{app="soak"} |= "needle"'),
    ("query_range", '{app="soak"} | json | status >= 500 | line_format "{{.msg}}"'),
    ("query_range", 'sum by (level) (count_over_time({app="soak"}[1m]))'),
    ("query_range", 'topk(3, sum by (path) (rate({app="soak"} | json [1m])))'),
    ("query_range", 'quantile_over_time(0.9, {app="soak"} | json | unwrap took [1m]) by (worker)'),
    ("index/volume", '{app="soak"}'),
    ("patterns", '{app="soak"}'),
    ("detected_fields", '{app="soak"}'),
]


class Metrics:
    flags = ["--flush.interval", "2m"]

    def __init__(self, server, seconds):
        self.end, self.steps = int(time.time()) + 60, seconds * RATE // SERIES
        self.load = subprocess.Popen(
            [TRIPOD, "bench", "--url", f"http://127.0.0.1:{server.port}", "--pid", str(server.proc.pid), "--series", str(SERIES), "--steps", str(self.steps),
             "--interval", "1", "--end", str(self.end), "--rate", str(RATE), "--no-queries"], stdout=subprocess.PIPE, text=True)

    def goes_on(self):
        return self.load.poll() is None

    def ask(self, server, i, now):
        q, at = QUERIES[i % len(QUERIES)], self.end - self.steps + now - 5
        return q, *(server.ask(q, at) if i % 2 else server.ask(q, None, "/api/v1/query_range", start=at - 600, end=at, step=15))

    def finish(self):
        said = self.load.stdout.read().strip()
        return said, None if "failed_requests=0" in said else "requests failed"


class Logs:
    """A thread that sends; a live tail that follows all the time; and now and then one that stays a while and leaves without a word."""

    flags = ["--flush.interval", "20s", "--head.budget", "16MB", "--journal.budget", "64MB"]

    def __init__(self, server, seconds):
        self.port, self.until, self.sent, self.followed, self.told, self.failed = server.port, time.monotonic() + seconds, 0, 0, 0, None
        self.threads = [threading.Thread(target=f) for f in (self.send, self.follow, self.come_and_go)]
        for t in self.threads:
            t.start()

    def goes_on(self):
        return time.monotonic() < self.until

    def send(self):
        loki, due = Loki(self.port), time.monotonic()
        try:
            while self.goes_on():
                now, n = time.time_ns(), self.sent
                loki.push([({"app": "soak", "worker": str(n // LINES % 20)},
                            [(now + i, json.dumps({"level": "error" if i % 50 == 0 else "info", "msg": "needle" if (n + i) % 9973 == 0 else f"request {n + i} handled",
                                                   "path": f"/api/{i % 40}", "status": 500 if i % 50 == 0 else 200, "took": (n + i) * 7919 % 1000 / 8, "id": f"{(n + i) * 2654435761 % 2**32:08x}"}),
                              {"trace_id": f"{n + i:032x}"}) for i in range(LINES)])])
                self.sent += LINES
                due = max(due + 1 / PUSHES_S, time.monotonic() - 1)
                time.sleep(max(0, due - time.monotonic()))
        except Exception as err:
            self.failed = f"a push failed: {err!r}"

    def follow(self):
        f = Follower(self.port, '{app="soak"}', limit=1)
        while self.goes_on():
            try:
                frame = f.frame(1)
            except TimeoutError:
                continue
            if frame is None:
                self.failed = f"the tail was closed: {f.code}"
                return
            self.followed += sum(len(s["values"]) for s in frame["streams"])
            self.told += sum(d.get("count", 1) for d in frame.get("dropped_entries", []))
        f.close()

    def come_and_go(self):
        while self.goes_on():
            f = Follower(self.port, '{app="soak"} | json | level="error"', limit=10)
            time.sleep(1)
            f.close()

    def ask(self, server, i, now):
        path, q = LOG_QUERIES[i % len(LOG_QUERIES)]
        end = time.time_ns()
        return q, *server.ask(q, None, "/loki/api/v1/" + path, start=end - 300 * 10**9, end=end, **({"step": 10, "limit": 100} if path == "query_range" else {}))

    def finish(self):
        for t in self.threads:
            t.join()
        return f"{self.sent} lines sent, {self.followed} followed, {self.told} told as left out", self.failed


def main():
    seconds, kind = int(sys.argv[1]), {"metrics": Metrics, "logs": Logs}[sys.argv[2] if len(sys.argv) > 2 else "metrics"]
    samples, asked, failed, slowest = [], 0, [], 0.0
    with tempfile.TemporaryDirectory() as work:
        server = Server(work + "/data", kind.flags, log=work + "/log")
        assert server.start()
        load, begun, next_look = kind(server, seconds), time.monotonic(), 0.0
        while load.goes_on():
            now = time.monotonic() - begun
            if now >= next_look:
                samples.append((now, server.anon_kib(), server.fds(), server.rss_kib()))
                next_look = now + max(1.0, seconds / 120)
            t0 = time.monotonic()
            q, code, body = load.ask(server, asked, now)
            slowest = max(slowest, time.monotonic() - t0)
            asked += 1
            if code != 200:
                failed.append((q, code, body))
            time.sleep(0.5)
        said, problem = load.finish()
        alive = server.alive()
        if alive:
            server.kill(15)
    quarter = lambda k: [s for s in samples if seconds * k / 4 <= s[0] < seconds * (k + 1) / 4] or samples[-1:]  # noqa: E731
    rss = [sum(s[1] for s in quarter(k)) / len(quarter(k)) / 1024 for k in range(4)]
    fds = [max(s[2] for s in quarter(k)) for k in range(4)]
    print(said)
    print(f"{seconds} s: {asked} queries, {len(failed)} failed, slowest {slowest:.2f} s; own memory by quarter {' '.join(f'{r:.0f}' for r in rss)} MiB, "
          f"highest {max(s[1] for s in samples) / 1024:.0f}, with mapped files {max(s[3] for s in samples) / 1024:.0f}; open files by quarter {' '.join(map(str, fds))}")
    problems = []
    if not alive:
        problems.append("the server died")
    if failed:
        problems.append(f"queries failed: {failed[0]}")
    if rss[3] > rss[1] * 1.1 + 16:
        problems.append("memory rises")
    if fds[3] > fds[1] + 16:
        problems.append("file descriptors rise")
    if problem:
        problems.append(problem)
    for p in problems:
        print("FAILED:", p)
    return 1 if problems else 0


sys.exit(main())
