"""loki_tail_test.py - live tails: history and live records without gap or double, delays, closing, slow clients beside fast ones."""
import os
import subprocess
import sys
import tempfile
import threading
import time

from loki import Follower, Loki, S, entries
from server import TRIPOD, Server

LONG = os.environ.get("TRIPOD_LONG") == "1"
SANITIZED = b"__asan_init" in open(TRIPOD, "rb").read() or b"__tsan_init" in open(TRIPOD, "rb").read()


def collect(f, want, timeout=30):
    got, end = [], time.monotonic() + timeout
    while len(got) < want and time.monotonic() < end:
        frame = f.frame(timeout)
        assert frame is not None, (f.code, len(got))
        got += entries(frame)
    return got


def check_shapes(loki):
    now = time.time_ns()
    loki.push([({"app": "shape"}, [(now - 3 * S, "old 1"), (now - 2 * S, "old 2", {"trace_id": "t"}), (now - S, "old 3")])])
    f = Follower(loki.port, '{app="shape"}', limit=2)
    assert f.status == 101, f.head
    frame = f.frame()
    assert list(frame) == ["streams"], frame
    assert sorted(e[2] for e in entries(frame)) == ["old 2", "old 3"], frame
    assert all(len(v) == 2 and v[0].isdigit() for s in frame["streams"] for v in s["values"]), frame
    assert any(e[0].get("trace_id") == "t" and e[0]["app"] == "shape" for e in entries(frame)), frame
    loki.push([({"app": "shape"}, [(now, "live 1"), (now + 1, "live 2")]), ({"app": "other"}, [(now, "not this")])])
    assert [e[2] for e in collect(f, 2)] == ["live 1", "live 2"]
    f.send(8, b"\x03\xe8")
    assert f.frame() is None and f.code == 1000, f.code
    f.close()


def check_stages(loki):
    f = Follower(loki.port, '{app="stages"} | json | level="error" | line_format "{{.msg}}"')
    now = time.time_ns()
    loki.push([({"app": "stages"}, [(now, '{"level":"info","msg":"a"}'), (now + 1, '{"level":"error","msg":"b"}')])])
    got = collect(f, 1)
    assert got[0][2] == "b" and got[0][0]["level"] == "error", got
    f.close()


def check_refusals(loki):
    for query, text in (('rate({app="a"}[1m])', "only log queries"), ('{app="a"', "parse error"), ('{}', "queries require at least one")):
        f = Follower(loki.port, query)
        assert f.status == 400, (query, f.head)
        f.close()
        loki.error("tail", 400, text, query=query)
    loki.error("tail", 400, "delay_for can't be greater than 5", query='{app="a"}', delay_for=6)
    loki.error("tail", 400, "limit must be a positive value", query='{app="a"}', limit=0)
    loki.error("tail", 400, "WebSocket", query='{app="a"}')


def check_delay(loki):
    f = Follower(loki.port, '{app="delay"}', delay_for=1)
    now, t0 = time.time_ns(), time.monotonic()
    loki.push([({"app": "delay"}, [(now + 5, "second")])])
    loki.push([({"app": "delay"}, [(now, "first")])])
    got = collect(f, 2)
    assert [e[2] for e in got] == ["first", "second"], got
    assert time.monotonic() - t0 > 0.9
    f.close()


def check_no_gap_no_double(loki):
    """Tails opened while records come: together with their history each has every record once."""
    total, stop = [0], threading.Event()

    def write():
        while not stop.is_set():
            now = time.time_ns()
            loki.push([({"app": "gap"}, [(now + i, f"r{total[0] + i}") for i in range(20)])])
            total[0] += 20
            time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    followers = []
    for _ in range(6):
        time.sleep(0.05)
        followers.append(Follower(loki.port, '{app="gap"}', limit=5000))
    time.sleep(0.3)
    stop.set()
    writer.join()
    for f in followers:
        got = [e[2] for e in collect(f, total[0])]
        assert len(got) == total[0] and len(set(got)) == total[0], (len(got), len(set(got)), total[0])
        f.close()


def check_flood(s, rate, seconds, fast, slow, size):
    """Many lines a second to slow and fast clients: ingest does not wait, the fast get all, the slow are told what they missed."""
    said = subprocess.run([os.path.join(os.path.dirname(TRIPOD), "tail_flood"), *map(str, (s.port, s.proc.pid, rate, seconds, fast, slow, size, int(SANITIZED)))],
                          stdout=subprocess.PIPE, text=True)
    print(said.stdout, end="")
    assert said.returncode == 0, said.returncode


def check_slow_queries(s):
    """Tails whose query takes milliseconds for a record fall behind; the others do not."""
    regex = "|".join(f".*{i}.*y" for i in range(1500))
    slow = [Follower(s.port, '{app="flood"} |~ "%s"' % regex, start=time.time_ns()) for _ in range(3)]
    check_flood(s, 1000, 3, 3, 0, 800)
    for f in slow:
        f.close()


def run(s):
    assert s.start()
    loki = Loki(s.port)
    check_shapes(loki)
    check_stages(loki)
    check_refusals(loki)
    check_delay(loki)
    check_no_gap_no_double(loki)
    if LONG:
        check_flood(s, 20000, 10, 10, 10, 200)
        check_flood(s, 50000, 5, 10, 10, 100)
    else:
        check_flood(s, 3000, 4, 3, 3, 1000)
    check_slow_queries(s)
    f = Follower(s.port, '{app="shape"}', limit=1)  # the server stops: it says goodbye
    f.frame()
    s.proc.terminate()
    assert f.frame() is None and f.code == 1001, f.code
    f.close()
    assert s.proc.wait(20) == 0


def main():
    with tempfile.TemporaryDirectory() as d:
        s = Server(os.path.join(d, "data"), log=os.path.join(d, "log"))
        try:
            run(s)
        finally:
            s.kill()
    print("tails: shapes, stages, refusals, delays, no gap and no double, flood, goodbye")


if __name__ == "__main__":
    sys.exit(main())
