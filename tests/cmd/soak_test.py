#!/usr/bin/env python3
"""A soak: 50,000 samples a second with queries beside, for SECONDS; memory stays flat and no file descriptor leaks.

    soak_test.py SECONDS

Memory (without the pages of mapped day files, which grow with the data and cost nothing) is flat when its average over the last quarter is at most 10 % and 16 MiB above that of the second quarter (the first is the way up:
heads fill, caches warm).
"""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(__file__))
from server import TRIPOD, Server  # noqa: E402

SERIES, RATE = 50000, 50000
QUERIES = [
    'sum by (job) (rate(node_cpu_seconds_total[5m]))',
    'count({__name__=~".+"})',
    'histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))',
    'topk(5, node_load1)',
    'node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1',
]


def main():
    seconds = int(sys.argv[1])
    samples, asked, failed, slowest = [], 0, [], 0.0
    with tempfile.TemporaryDirectory() as work:
        server = Server(work + "/data", ["--flush.interval", "2m"], log=work + "/log")
        assert server.start()
        end = int(time.time()) + 60
        steps = seconds * RATE // SERIES
        load = subprocess.Popen(
            [TRIPOD, "bench", "--url", f"http://127.0.0.1:{server.port}", "--pid", str(server.proc.pid), "--series", str(SERIES), "--steps", str(steps),
             "--interval", "1", "--end", str(end), "--rate", str(RATE), "--no-queries"], stdout=subprocess.PIPE, text=True)
        begun, next_look = time.monotonic(), 0.0
        while load.poll() is None:
            now = time.monotonic() - begun
            if now >= next_look:
                samples.append((now, server.anon_kib(), server.fds(), server.rss_kib()))
                next_look = now + max(1.0, seconds / 120)
            q = QUERIES[asked % len(QUERIES)]
            at = end - steps + now - 5
            t0 = time.monotonic()
            code, body = server.ask(q, at) if asked % 2 else server.ask(q, None, "/api/v1/query_range", start=at - 600, end=at, step=15)
            slowest = max(slowest, time.monotonic() - t0)
            asked += 1
            if code != 200:
                failed.append((q, code, body))
            time.sleep(0.5)
        said = load.stdout.read().strip()
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
    if "failed_requests=0" not in said:
        problems.append("requests failed")
    for p in problems:
        print("FAILED:", p)
    return 1 if problems else 0


sys.exit(main())
