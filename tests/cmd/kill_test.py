#!/usr/bin/env python3
"""Kills a tripod under full ingest, again and again, and checks after each start that every acknowledged sample is there once.

    kill_test.py KILLS [SEED]          at random moments
    kill_test.py --points MORE [SEED]  at every crash point of the source: its 1st visit, MORE later ones, and MORE times at the n-th visit of any

Four writers go at full speed for now, one in bursts for yesterday, so that its day is sealed and opened again, one for a day
beyond the retention, so that days are dropped, and one deletes again what it wrote; the same with records of logs. Budgets are small: kills meet flushes, merges and seals.
"""
import concurrent.futures
import math
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(__file__))
from server import Server  # noqa: E402
from writers import Deleter, LogDeleter, LogWriter, Writer  # noqa: E402

READY_MAX_S = float(os.environ.get("READY_MAX_S", "2"))
HOUR, DAY = 3600_000, 86400_000
FLAGS = ["--journal.budget", "8MB", "--head.budget", "8MB", "--seal.grace", "800ms", "--upkeep.interval", "200ms", "--retention", "3d", "--out-of-order", "20d"]
ROOMS = ("base", "net", "store", "tsdb", "logstore", "query", "collector", "cmd")
REACH_S = 25  # a crash point that is not reached by then is a fault


def crash_points():
    names = set()
    top = os.path.join(os.path.dirname(__file__), "..", "..")
    for room in ROOMS:
        for folder, _, files in os.walk(os.path.join(top, room)):
            for f in files:
                if f.endswith(".c"):
                    with open(os.path.join(folder, f), encoding="utf-8") as src:
                        names |= set(re.findall(r'crash_point\("([^"]+)"\)', src.read()))
    return sorted(names)


def begin_of(now):
    """Where who writes for now begins: an hour ago, but not in the day before, which is to become quiet, so that it is sealed."""
    return max(now - HOUR, now // DAY * DAY)


class House:
    """One data directory, its writers, and what was learnt about it."""

    def __init__(self, work, seed):
        os.makedirs(work, exist_ok=True)
        now = int(time.time() * 1000)
        yesterday, today = now // DAY * DAY - DAY, begin_of(now)
        self.work, self.rng = work, random.Random(seed)
        self.writers = [Writer(f"now{k}", today) for k in range(4)] + [Writer("yesterday", yesterday + HOUR, (20, 2.5)), Deleter("deleter", today, (4, 0.05)),
                        LogWriter("logs0", today), LogWriter("logs1", today), LogWriter("logs_yesterday", yesterday + HOUR, (20, 2.5)), LogDeleter("logs_deleter", today, (4, 0.05))]
        self.ancient = Writer("ancient", now - 8 * DAY, (5, 0.5))  # dropped when found: not verified
        self.problems, self.ready, self.slow, self.kills, self.seen = [], [], 0, 0, {}

    def start(self, env=None):
        server = Server(self.work + "/data", FLAGS, env, self.work + "/log")
        if not server.start():
            if server.proc.returncode != -signal.SIGKILL:
                self.problems.append(f"the server died at its start: {server.proc.returncode}")
            return None
        self.ready.append(server.ready_s)
        self.slow += server.ready_s > READY_MAX_S
        return server

    def verify(self, server, whole):
        for w in self.writers:
            w.verify(server, self.problems, 0 if whole else self.seen.get(w, 0))
            self.seen[w] = w.next

    def stir(self, server, stop):
        """Flushes, deletes, and asks for the day that may be damaged."""
        sacrifice = int(time.time()) // 86400 * 86400 - 86400
        while not stop.wait(0.3) and server.alive():
            try:
                post(server, "/api/v1/admin/tsdb/flush")
                server.ask("kill_test", sacrifice)
                post(server, '/api/v1/admin/tsdb/delete_series?match[]={__name__="nothing"}')
            except Exception:
                return

    def life(self, server, seconds, stir):
        """Full ingest until the server dies, or is killed when its time is over. True: it died by itself."""
        stop = threading.Event()
        threads = [threading.Thread(target=w.send_until_dead, args=(server.port, stop), daemon=True) for w in self.writers + [self.ancient]]
        if stir:
            threads.append(threading.Thread(target=self.stir, args=(server, stop), daemon=True))
        for t in threads:
            t.start()
        deadline = time.monotonic() + seconds
        while server.alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        died = not server.alive()
        if server.kill() != -signal.SIGKILL:
            self.problems.append(f"the server died by itself: {server.proc.returncode}")
        stop.set()
        for t in threads:
            t.join(10)
        self.kills += 1
        return died

    def report(self):
        """(acknowledged, kills, ready times, slow, problems)"""
        refused = [w.refused[0] for w in self.writers if w.refused]
        if refused:
            self.problems.append(f"refused: {refused[0]}")
        if self.problems:
            with open(self.work + "/log", encoding="utf-8", errors="replace") as log:
                self.problems.append(log.read()[-2500:])
        return sum(len(w.acked) * w.rows() for w in self.writers), self.kills, self.ready, self.slow, self.problems


def post(server, path):
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method="POST"), timeout=30).read()


def random_kills(work, seed, n):
    house = House(work, seed)
    for k in range(1, n + 1):
        server = house.start()
        if not server:
            house.problems.append(f"kill {k}: did not start")
            break
        house.verify(server, whole=k % 50 == 0)
        house.life(server, house.rng.uniform(0.02, 0.6) if k % 8 else house.rng.uniform(1, 4), stir=k % 8 == 0)
        if house.problems:
            break
    server = house.start()
    if server:
        house.verify(server, whole=True)
        server.kill()
    else:
        house.problems.append("did not start at the end")
    return house.report()


def damage(house):
    """The file of a day nobody writes: garbage, to be put aside when it is asked for."""
    folder = house.work + "/data/metrics"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/{time.strftime('%Y-%m-%d', time.gmtime(time.time() - 2 * 86400))}.mdb", "wb") as f:
        f.write(os.urandom(40960))


def points(work, seed, jobs):
    """jobs: (TRIPOD_CRASH_AT, must be reached)"""
    house, missed = House(work, seed), []
    house.life(house.start(), 0.5, stir=False)  # so that there is something to replay
    for at, must in jobs:
        if at.startswith("quarantined"):
            damage(house)
        server = house.start({"TRIPOD_CRASH_AT": at})
        died = not server or house.life(server, REACH_S if must else 3, stir=True)
        house.kills += not server
        if must and not died:
            missed.append(at)
        server = house.start()
        if not server:
            house.problems.append(f"{at}: did not start afterwards")
            break
        problems = len(house.problems)
        house.verify(server, whole=True)
        if len(house.problems) > problems:
            house.problems.append(f"... after TRIPOD_CRASH_AT={at}")
            break
        if not house.writers[0].acked:  # it died too early to have acknowledged anything: give the next one something to lose
            house.life(server, 0.3, stir=False)
        else:
            server.kill()
    return *house.report(), missed


def merge(parts):
    acked, kills, slow = (sum(p[i] for p in parts) for i in (0, 1, 3))
    ready, problems = sorted(r for p in parts for r in p[2]), [x for p in parts for x in p[4]]
    if slow:
        problems.append(f"{slow} starts slower than {READY_MAX_S} s")
    if not acked:
        problems.append("nothing was acknowledged")
    return (f"{acked} samples and records acknowledged, {kills} deaths, {len(problems)} problems; ready in median {ready[len(ready) // 2] * 1000:.0f} ms, "
            f"99 % {ready[len(ready) * 99 // 100] * 1000:.0f} ms, worst {ready[-1] * 1000:.0f} ms"), problems


def main():
    by_point = sys.argv[1] == "--points"
    args = [int(a) for a in sys.argv[1 + by_point:]]
    seed = args[1] if len(args) > 1 else int(time.time())
    rng = random.Random(seed)
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as work:
        if not by_point:
            said, problems = merge([random_kills(work, seed, args[0])])
            print(f"{args[0]} kills at random moments: {said}")
        else:
            names, only = crash_points(), os.environ.get("POINT", "")
            jobs = [(f"{n}:1", True) for n in names if only in n]
            if not only:
                jobs += [(f"{rng.choice(names)}:{int(math.exp(rng.uniform(0.7, 4)))}", False) for _ in range(args[0])]
                jobs += [(str(int(math.exp(rng.uniform(0, 9)))), False) for _ in range(args[0])]
            rng.shuffle(jobs)
            lanes = 3  # mostly they wait: for a day to become quiet, for a disk
            with concurrent.futures.ProcessPoolExecutor(lanes) as pool:
                parts = list(pool.map(points, [f"{work}/{k}" for k in range(lanes)], range(seed, seed + lanes), [jobs[k::lanes] for k in range(lanes)]))
            said, problems = merge(parts)
            missed = [m for p in parts for m in p[5]]
            problems += [f"crash point {m} was not reached in {REACH_S} s" for m in missed]
            print(f"{len(names)} crash points, {len(jobs)} rounds: {said}")
    for p in problems:
        print("FAILED:", p)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
