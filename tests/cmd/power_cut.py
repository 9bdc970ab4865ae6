#!/usr/bin/env python3
"""Power cuts under a whole server: it works under the shim that writes down every change of a file, and then the disk is
rebuilt as a cut at any moment may have left it.

    power_cut.py SECONDS IMAGES SERVED [SEED]

A server ingests for SECONDS, killed and started again half way. IMAGES disks are opened and read by powercut_check, which
uses the rooms without a server; SERVED disks by the real thing, over HTTP.
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
from kill_test import DAY, HOUR, begin_of, post  # noqa: E402
from server import Server  # noqa: E402
from writers import GAP_MS, LogWriter, Writer  # noqa: E402

B = os.path.abspath(os.environ.get("B", "build"))
FLAGS = ["--journal.budget", "4MB", "--head.budget", "2MB", "--seal.grace", "700ms", "--upkeep.interval", "200ms", "--retention", "3d", "--out-of-order", "20d"]


class Work:
    """The server's life, and what it acknowledged when."""

    def __init__(self, work):
        now = int(time.time() * 1000)
        yesterday, today = now // DAY * DAY - DAY, begin_of(now)
        self.data, self.log = work + "/data", work + "/cut.log"
        self.writers = [Writer("a", today, (40, 0.02)), Writer("b", today, (30, 0.1)), Writer("yesterday", yesterday + HOUR, (15, 1.7)),
                        LogWriter("logs", today, (40, 0.05)), LogWriter("logs_yesterday", yesterday + HOUR, (15, 1.7))]
        self.ancient = Writer("ancient", now - 8 * DAY, (3, 0.9))
        for w in self.writers:
            w.log = []
        os.mkdir(self.data)
        self.env = {"LD_PRELOAD": B + "/bin/powercut.so", "POWERCUT_DIR": self.data, "POWERCUT_LOG": self.log}

    def stir(self, server, stop):
        while not stop.wait(0.45) and server.alive():
            try:
                post(server, "/api/v1/admin/tsdb/flush")
                post(server, '/api/v1/admin/tsdb/delete_series?match[]={__name__="nothing"}')
            except Exception:
                return

    def life(self, seconds):
        server, stop = Server(self.data, FLAGS, self.env, self.log + ".text"), threading.Event()
        assert server.start(), "the server does not start under the shim"
        threads = [threading.Thread(target=w.send_until_dead, args=(server.port, stop)) for w in self.writers + [self.ancient]]
        threads.append(threading.Thread(target=self.stir, args=(server, stop)))
        for t in threads:
            t.start()
        time.sleep(seconds)
        assert server.kill() == -9, f"the server died by itself: {server.proc.returncode}\n" + open(self.log + ".text", encoding="utf-8").read()[-2000:]
        stop.set()
        for t in threads:
            t.join()

    def save_acks(self, path):
        with open(path, "w", encoding="utf-8") as f:
            for w in self.writers:
                f.write(f"{'log' if isinstance(w, LogWriter) else ''}writer {w.name_} {w.base} {w.next} {w.rows()} {GAP_MS}\n")
                f.writelines(f"ack {w.name_} {step} {ns}\n" for ns, step in w.log)


def times_of(log):
    """The monotonic time of each record."""
    times, at = [], 0
    with open(log, "rb") as f:
        raw = f.read()
    while at + 64 <= len(raw):
        n = int.from_bytes(raw[at + 40:at + 48], "little") + int.from_bytes(raw[at + 48:at + 52], "little") + int.from_bytes(raw[at + 52:at + 56], "little")
        times.append(int.from_bytes(raw[at + 16:at + 24], "little"))
        at += 64 + n
    return times


def served(work, w, images, rng):
    """Opens some images with a server, and asks over HTTP."""
    times, problems, slowest = times_of(work.log), [], 0
    image = w + "/served/data"
    os.mkdir(w + "/served")
    for k in range(images):
        at, mode, seed = rng.randrange(len(times) + 1), rng.choice(["all", "none", "some", "torn", "torn"]), rng.randrange(1 << 31)
        cut = times[at] if at < len(times) else 1 << 62
        shutil.rmtree(image, ignore_errors=True)
        subprocess.run([B + "/bin/powercut", work.log, work.data, str(at), mode, str(seed), image], check=True)
        found, server = [], Server(image, ["--retention", "30d"], log=w + "/served/log")
        if not server.start():
            found.append("did not start")
        else:
            slowest = max(slowest, server.ready_s)
            for x in work.writers:
                sent = set(range(x.next))
                x.acked, x.maybe = {step for ns, step in x.log if ns < cut}, sent - {step for ns, step in x.log if ns < cut}
                x.verify(server, found, strict=False)
            warnings = server.ask("", path="/api/v1/status/warnings")[1].get("data")
            if warnings:
                found.append(str(warnings))
            server.kill()
        problems += [f"cut at {at} of {len(times)}, {mode}, seed {seed}: {p}" for p in found]
    print(f"{images} images opened by a server: {len(problems)} problems, slowest ready after {slowest * 1000:.0f} ms")
    return problems


def main():
    seconds, images, by_server = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else int(time.time())
    rng = random.Random(seed)
    print(f"seed {seed}")
    # Thousands of file systems' worth of syncs: in memory, where that is possible, they cost nothing and mean the same here.
    shm = "/dev/shm" if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 2 << 30 else None
    with tempfile.TemporaryDirectory() as w, tempfile.TemporaryDirectory(dir=shm) as out:
        work = Work(w)
        work.life(seconds / 2)
        work.life(seconds / 2)
        work.save_acks(w + "/acks")
        print(f"{sum(len(x.log) for x in work.writers)} requests acknowledged, log of {os.path.getsize(work.log) / 1e6:.1f} MB")
        lanes = os.cpu_count() or 1
        checks = [subprocess.Popen([B + "/bin/powercut_check", work.log, work.data, w + "/acks", str(images // lanes + (k < images % lanes)), str(seed + k), f"{out}/image{k}"],
                                   stdout=subprocess.PIPE, text=True) for k in range(lanes)]
        problems = []
        for c in checks:
            said = c.communicate()[0]
            print(said, end="")
            if c.returncode:
                problems.append(f"powercut_check ended with {c.returncode}")
        problems += served(work, w, by_server, rng)
        keep = os.environ.get("POWERCUT_KEEP")
        if problems and keep:
            shutil.copytree(w, keep, dirs_exist_ok=True)
    for p in problems[:20]:
        print("FAILED:", p)
    return 1 if problems or not all(x.log for x in work.writers) else 0


if __name__ == "__main__":
    sys.exit(main())
