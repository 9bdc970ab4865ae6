#!/usr/bin/env python3
"""A small file system is filled by a foreign file while a tripod ingests at full speed.

    full_disk_test.py DIR      DIR: the mount point of a file system of 64 MB, empty

Twice: writes are refused with 503 and Retry-After and nothing else, queries and pages go on, /status names the disk; the second
time it is killed and started on the full disk. When the foreign file goes, writes are taken again within 5 s. What was
acknowledged is there, before and after one more kill; what was refused is not.
"""
import http.client
import os
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(__file__))
from remote_write import HEADERS, snappy  # noqa: E402
from server import Server  # noqa: E402
from writers import LogWriter, Writer  # noqa: E402

FLAGS = ["--disk.reserve", os.environ.get("RESERVE", "8MB"), "--journal.budget", "8MB", "--head.budget", "2MB"]
HEAL_MAX_S = 5


def fill(path):
    """Every byte the file system has."""
    with open(path, "wb", buffering=0) as f:
        size = 1 << 20
        while size >= 4096:
            try:
                if f.write(b"\1" * size) < size:
                    size //= 2
            except OSError:
                size //= 2


def push(server, w):
    """One more step of the writer w: (status, Retry-After, text)."""
    conn = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    conn.request("POST", "/api/v1/write", snappy(w.message(w.next)), HEADERS)
    r = conn.getresponse()
    text = r.read().decode(errors="replace")
    if r.status == 204:
        w.acked.add(w.next)
    w.next += 1
    conn.close()
    return r.status, r.headers["Retry-After"], text


def check(ok, what):
    if not ok:
        raise AssertionError(what)


def full(server, w, writers):
    """What must hold while there is no space."""
    deadline = time.monotonic() + 5
    while (answer := push(server, w))[0] != 503:
        check(answer[0] == 204 and time.monotonic() < deadline, f"a write onto a full disk is answered {answer}")
        time.sleep(0.05)
    check(answer[1] and int(answer[1]) > 0, "no Retry-After")
    check("disk" in answer[2] or "space" in answer[2], f"the answer does not speak of the disk: {answer[2]}")
    problems = []
    for x in writers:
        x.verify(server, problems, strict=False)
    check(not problems, f"on a full disk: {problems}")
    for path in ("/-/healthy", "/-/ready", "/metrics"):
        check(urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10).status == 200, path)
    check("disk" in str(server.ask("", path="/api/v1/status/warnings")[1]["data"]), "no warning about the full disk")


def heal(server, w):
    start = time.monotonic()
    while (answer := push(server, w))[0] != 204:
        check(answer[0] == 503, f"while healing: {answer}")
        check(time.monotonic() - start < HEAL_MAX_S, f"not healed after {HEAL_MAX_S} s: {answer}")
        time.sleep(0.05)
    return time.monotonic() - start


def ingest(server, writers, stop):
    threads = [threading.Thread(target=w.send_until_dead, args=(server.port, stop), daemon=True) for w in writers]
    for t in threads:
        t.start()
    return threads


def run(fs, log):
    now = int(time.time() * 1000)
    writers = [Writer("now", now - 3600_000, (200, 0.02)), Writer("yesterday", now - 86400_000, (50, 0.05)), LogWriter("logs", now - 3600_000, (100, 0.05))]
    lone = Writer("lone", now - 3600_000)
    every, healed, data, foreign = writers + [lone], [], fs + "/data", fs + "/foreign"
    server, stop = Server(data, FLAGS, log=log), threading.Event()
    check(server.start(), "did not start")
    for again in (False, True):
        threads = ingest(server, writers, stop)
        time.sleep(1)
        fill(foreign)
        time.sleep(0.5)
        full(server, lone, every)
        if again:  # it must come up on a full disk as well, and not use up what it does not have
            server.kill()
            server = Server(data, FLAGS, log=log)
            check(server.start(), "did not start on a full disk")
            full(server, lone, every)
        else:
            time.sleep(1)
            full(server, lone, every)
        os.unlink(foreign)
        healed.append(heal(server, lone))
        time.sleep(0.5)
        stop.set()
        for t in threads:
            t.join(10)
        stop.clear()
        for w in every:
            check(not [r for r in w.refused if r[1] != 503], f"refused otherwise: {[r for r in w.refused if r[1] != 503][:1]}")
    check(len(writers[0].acked) > 100 and any(w.refused for w in writers), "the writers have not met the full disk")
    problems = []
    for again in range(2):
        for w in every:
            w.verify(server, problems, strict=False)
        check(server.alive() and not problems, f"{problems}")
        server.kill()
        if not again:
            server = Server(data, FLAGS, log=log)
            check(server.start(), "did not start at the end")
    print(f"{sum(len(w.acked) for w in every)} requests acknowledged, {sum(len(w.refused) for w in every)} refused, healed after "
          + " and ".join(f"{h * 1000:.0f} ms" for h in healed))


def main():
    with tempfile.TemporaryDirectory() as work:
        try:
            run(sys.argv[1], work + "/log")
        except AssertionError as err:
            with open(work + "/log", encoding="utf-8", errors="replace") as log:
                print(log.read()[-3000:])
            print("FAILED:", err)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
