#!/usr/bin/env python3
"""rotate_test.py KILLS SECONDS: log files that rotate under load (logrotate's ways: numbers, dates, copytruncate) while the server is killed again
and again. Each line is found exactly once, and in the order in which it was written."""
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../cmd"))
from server import Server  # noqa: E402

SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
DEADLINE_S = 60


class Writer(threading.Thread):
    """Writes numbered lines and rotates now and then."""

    def __init__(self, folder, name, rotate, rng):
        super().__init__(daemon=True)
        self.folder, self.path, self.rotate_how, self.rng = folder, os.path.join(folder, name), rotate, rng
        self.n, self.rotations, self.going = 0, 0, True
        self.file = open(self.path, "ab", buffering=0)

    def line(self):
        self.n += 1
        return b"%s %d %s\n" % (os.path.basename(self.path).encode(), self.n, b"x" * self.rng.randrange(200))

    def by_number(self):
        for i in range(40, 0, -1):
            if os.path.exists(f"{self.path}.{i}"):
                os.rename(f"{self.path}.{i}", f"{self.path}.{i + 1}")
                time.sleep(0.0005)  # whoever looks meanwhile sees half of it
        os.rename(self.path, self.path + ".1")
        self.file = open(self.path, "ab", buffering=0)

    def by_date(self):
        os.rename(self.path, f"{self.path}-20261122-{1700000000 + self.rotations}")
        self.file.write(self.line())  # has not noticed yet
        self.file = open(self.path, "ab", buffering=0)

    def by_copy(self):
        for i in range(40, 0, -1):
            if os.path.exists(f"{self.path}.{i}"):
                os.rename(f"{self.path}.{i}", f"{self.path}.{i + 1}")
                time.sleep(0.0005)  # whoever looks meanwhile sees half of it
        shutil.copyfile(self.path, self.path + ".1")
        os.truncate(self.path, 0)

    def run(self):
        due = time.monotonic() + 0.5
        while self.going:
            block = b"".join(self.line() for _ in range(self.rng.randrange(1, 60)))
            cut = self.rng.randrange(len(block))  # a line may come in two pieces
            self.file.write(block[:cut])
            self.file.write(block[cut:])
            time.sleep(self.rng.random() * 0.02)
            if time.monotonic() > due:
                {"number": self.by_number, "date": self.by_date, "copy": self.by_copy}[self.rotate_how]()
                self.rotations += 1
                due = time.monotonic() + 0.3 + self.rng.random()


def main():
    kills, seconds = int(sys.argv[1]), float(sys.argv[2])
    rng = random.Random(SEED)
    work = tempfile.mkdtemp(prefix="tripod-rotate-")
    logs = os.path.join(work, "logs")
    os.mkdir(logs)
    config = os.path.join(work, "tripod.yml")
    with open(config, "w", encoding="utf-8") as f:
        json.dump({"logs": {"sync_period": "1s", "scrape_configs": [
            {"job_name": "logs", "static_configs": [{"labels": {"job": "logs", "__path__": logs + "/*.log"}}]}]}}, f)
    server = Server(os.path.join(work, "data"), ["--config", config], log=os.path.join(work, "server.log"))
    writers = [Writer(logs, f"{how}.log", how, random.Random(SEED + i)) for i, how in enumerate(("number", "date", "copy"))]
    assert server.start()
    for w in writers:
        w.start()
    for _ in range(kills):
        time.sleep(rng.random() * 2 * seconds / max(kills, 1))
        server.kill()
        time.sleep(rng.random() * 0.7)
        assert server.start()
    for w in writers:
        w.going = False
    for w in writers:
        w.join()
    failed = 0
    for w in writers:
        until, got = time.monotonic() + DEADLINE_S, []
        while time.monotonic() < until:
            got = server.log_lines(f'{{filename="{w.path}"}}')
            if len(got) >= w.n:
                break
            time.sleep(0.3)
        time.sleep(0.3)
        got = server.log_lines(f'{{filename="{w.path}"}}')
        numbers = [int(line.split()[1]) for line in got]
        late = sum(b < a for a, b in zip(numbers, numbers[1:]))
        ok = sorted(numbers) == list(range(1, w.n + 1)) and late <= (2 * w.rotations if w.rotate_how == "date" else 0)
        print(f"{w.rotate_how}: {w.n} lines, {w.rotations} rotations, {len(got)} found, {len(set(numbers))} different, {late} not in order: {'fine' if ok else 'WRONG'}")
        if not ok:
            missing = sorted(set(range(1, w.n + 1)) - set(numbers))
            print("  missing", len(missing), missing[:5], missing[-5:])
            failed = 1
    server.kill()
    if failed:
        print(f"SEED={SEED}; kept {work}")
    else:
        shutil.rmtree(work)
    sys.exit(failed)


main()
