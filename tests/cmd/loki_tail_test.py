"""loki_tail_test.py - live tails: history and live records without gap or double, delays, closing, slow clients beside fast ones."""
import os
import re
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


class Reader(threading.Thread):
    """Follows until it is told to stop; counts what it got and what it was told to have missed. pause: after each frame."""

    LINE, DROP = re.compile(rb"~#(\d{8})"), re.compile(rb'"timestamp":"\d+","count":(\d+)')

    def __init__(self, port, pause):
        super().__init__()
        self.pause, self.dropped, self.error = pause, 0, None
        self.f = Follower(port, '{app="flood"}', rcvbuf=65536 if pause else 0)
        self.stop = False
        self.got, self.seen = 0, set()

    def run(self):
        try:
            while not self.stop:
                try:
                    payload = self.f.payload(1)
                except TimeoutError:
                    continue
                if payload is None:
                    self.error = f"closed with {self.f.code}"
                    return
                ids = self.LINE.findall(payload)
                self.got += len(ids)
                self.seen.update(ids)
                self.dropped += sum(map(int, self.DROP.findall(payload)))
                time.sleep(self.pause)
        except (OSError, EOFError) as err:
            self.error = repr(err)


def check_flood(loki):
    """Many lines a second to slow and fast clients: ingest does not wait, the fast get all, the slow are told what they missed."""
    fast, slow, rate, seconds = (10, 10, 20000, 10) if LONG else (3, 3, 3000, 4)
    size = 200 if LONG else 1000
    readers = [Reader(loki.port, 0) for _ in range(fast)] + [Reader(loki.port, 0.5 if LONG else 2) for _ in range(slow)]
    for r in readers:
        r.start()
    sent, slowest, t0 = 0, 0.0, time.monotonic()
    pad = "x" * size
    while sent < rate * seconds:
        now, before = time.time_ns(), time.monotonic()
        loki.push([({"app": "flood"}, [(now + i, f"~#{sent + i:08d} {pad}") for i in range(500)])])
        slowest = max(slowest, time.monotonic() - before)
        sent += 500
        ahead = sent / rate - (time.monotonic() - t0)
        if ahead > 0:
            time.sleep(ahead)
    took = time.monotonic() - t0
    deadline = time.monotonic() + (120 if LONG else 60)
    for r in readers[fast:]:
        r.pause = 0  # now they catch up
    while time.monotonic() < deadline and any(r.got + r.dropped < sent and not r.error for r in readers):
        time.sleep(0.1)
    for r in readers:
        r.stop = True
    for r in readers:
        r.join()
        r.f.close()
    for i, r in enumerate(readers):
        assert not r.error, (i, r.error)
        assert r.got + r.dropped == sent, (i, r.got, r.dropped, sent)
        assert len(r.seen) == r.got, (i, r.got, len(r.seen))
    if not SANITIZED:  # then no client is fast
        assert all(r.dropped == 0 for r in readers[:fast]), [(r.got, r.dropped) for r in readers]
        assert any(r.dropped for r in readers[fast:]), [(r.got, r.dropped) for r in readers]
    print(f"flood: {sent} lines in {took:.1f} s ({sent / took:.0f}/s), slowest push {slowest * 1000:.0f} ms, "
          f"{fast} fast clients got all, {slow} slow ones {min(r.got for r in readers[fast:])}..{max(r.got for r in readers[fast:])}, the rest reported")


def run(s):
    assert s.start()
    loki = Loki(s.port)
    check_shapes(loki)
    check_stages(loki)
    check_refusals(loki)
    check_delay(loki)
    check_no_gap_no_double(loki)
    check_flood(loki)
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
