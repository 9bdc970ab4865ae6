#!/usr/bin/env python3
"""Flips bits in partition files, cuts them, overwrites pages of them, then starts, or does so under a running server: no wrong answer, no crash loop,
other days served, and where something is missing the file is named in a warning.

    damage_test.py metrics|logs FLIPS CUTS PAGES [SEED]

Four days of known samples, or records, are stored once, two of them sealed; each round damages one file of a copy of the data directory,
reads everything, writes to the damaged day, flushes, and reads again after one more start.
"""
import concurrent.futures
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(__file__))
from remote_write import Client, series  # noqa: E402
from server import TRIPOD, Server  # noqa: E402

DAY, SERIES, STEPS, STARTS_MAX = 86400, 400, 40, 3
STREAMS, LINES = 8, 400


def flush(server):
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.port}/api/v1/admin/tsdb/flush", method="POST"), timeout=30).read()


class Metrics:
    """What is stored and how it is read: SERIES series of STEPS samples a day."""

    folder = "metrics"

    def value(self, i, k):
        return i * 1000 + k + (i * k % 997) / 128

    def fill(self, server, d, step):
        """One flush writes `step` samples of each series: a live day gets several slices."""
        client = Client(server.port)
        for k in range(0, STEPS, step):
            body = b"".join(series({"__name__": "damage", "i": str(i), "pad": f"value-{i * 7919}"}, [((d + 3600 + (k + j) * 60) * 1000, self.value(i, k + j)) for j in range(step)])
                            for i in range(SERIES))
            code, text = client.write(body)
            assert code == 204, (code, text)
            flush(server)

    def expected(self, d):
        return {str(i): [(d + 3600 + k * 60, self.value(i, k)) for k in range(STEPS)] for i in range(SERIES)}

    def late(self, server, day):
        Client(server.port).write(b"".join(series({"__name__": "damage", "i": str(i), "pad": f"value-{i * 7919}"}, [((day + 7200 - 1) * 1000, 5.0)]) for i in range(0, SERIES, 9)))

    def written(self, d):
        return [(d + 7200 - 1, 5.0)]

    def read_day(self, server, d):
        code, body = server.ask("damage[4h]", d + 4 * 3600)
        if code != 200:
            return code, {}, body
        got = {}
        for s in body["data"]["result"]:
            m = s["metric"]
            assert got.setdefault(m.get("i"), None) is None, "a series comes twice"
            whole = m.get("i", "").isdigit() and m == {"__name__": "damage", "i": m["i"], "pad": f"value-{int(m['i']) * 7919}"}
            got[m.get("i")] = [(t, float(v)) for t, v in s["values"]] if whole else [("labels", str(m))]
        return code, got, body

    def names(self, days):
        return "/api/v1/label/pad/values", {f"value-{i * 7919}" for i in range(SERIES)}, days[0], days[-1] + DAY


class Logs(Metrics):
    """The same with records: STREAMS streams of LINES lines a day."""

    folder = "logs"

    def line(self, i, k):
        kind = k % 3
        return f'{{"level":"info","i":{i},"k":{k},"id":"{i * 7919 + k:032x}"}}' if kind == 0 else f"level=warn i={i} k={k} id={k * 7919:x}" if kind == 1 else f"stream {i} line {k} took {i * k % 997} ms"

    def push(self, server, rows):
        client = Client(server.port, path="/loki/api/v1/push")
        body = {"streams": [{"stream": {"damage": "logs", "i": str(i), "pad": f"value-{i * 7919}"}, "values": values} for i, values in rows]}
        return client.write(json.dumps(body).encode(), {"Content-Type": "application/json"}, lambda x: x)

    def fill(self, server, d, step):
        step = LINES * step // STEPS
        for k in range(0, LINES, step):
            code, text = self.push(server, [(i, [[str((d + 3600 + (k + j) * 6) * 10**9 + i), self.line(i, k + j)] for j in range(step)]) for i in range(STREAMS)])
            assert code == 204, (code, text)
            flush(server)

    def expected(self, d):
        return {str(i): [((d + 3600 + k * 6) * 10**9 + i, self.line(i, k)) for k in range(LINES)] for i in range(STREAMS)}

    def late(self, server, day):
        self.push(server, [(i, [[str((day + 7200) * 10**9 + 500), "late"]]) for i in range(0, STREAMS, 3)])

    def written(self, d):
        return [((d + 7200) * 10**9 + 500, "late")]

    def read_day(self, server, d):
        code, body = server.ask('{damage="logs"}', path="/loki/api/v1/query_range", start=d * 10**9, end=(d + 4 * 3600) * 10**9, limit=5000, direction="forward")
        if code != 200:
            return code, {}, body
        got = {}
        for s in body["data"]["result"]:
            m = {k: v for k, v in s["stream"].items() if k not in ("detected_level", "service_name")}
            whole = m.get("i", "").isdigit() and m == {"damage": "logs", "i": m["i"], "pad": f"value-{int(m['i']) * 7919}"}
            got.setdefault(m.get("i"), []).extend([(int(t), v) for t, v in s["values"]] if whole else [(0, str(m))])
        return code, {i: sorted(rows) for i, rows in got.items()}, body  # records of other levels are streams of their own

    def names(self, days):
        return "/loki/api/v1/label/pad/values", {f"value-{i * 7919}" for i in range(STREAMS)}, days[0] * 10**9, (days[-1] + DAY) * 10**9


def named(server, bodies, victim):
    stem = victim.replace(".mdb", "")
    said = str(bodies) + str(server.ask("", path="/api/v1/status/warnings")[1])
    return victim in said or stem in said


class Round:
    """One damaged copy."""

    def __init__(self, kind, work, master, days, rng, how):
        self.kind, self.work, self.data, self.days, self.rng, self.how = kind, work, work + "/data", days, rng, how
        self.problems, self.starts, self.lost, self.deaths = [], 0, 0, 0
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        shutil.copytree(master, self.data)
        self.victim = rng.choice(sorted(f for f in os.listdir(f"{self.data}/{kind.folder}") if f.endswith(".mdb")))
        self.live = rng.random() < 0.33
        self.what = ""

    def damage(self):
        path = f"{self.data}/{self.kind.folder}/{self.victim}"
        size = os.path.getsize(path)
        at = self.rng.randrange(size)
        os.chmod(path, 0o640)
        with open(path, "r+b") as f:
            if self.how == "flip":
                bit = self.rng.randrange(8)
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ 1 << bit]))
                self.what = f"bit {bit} flipped at {at} of {size} in {self.victim}"
            elif self.how == "page":  # zeros, noise, or another page of the file
                at = at // 4096 * 4096
                f.seek(self.rng.randrange(size) // 4096 * 4096)
                page = self.rng.choice([bytes(4096), self.rng.randbytes(4096), f.read(4096)])
                f.seek(at)
                f.write(page)
                self.what = f"page {at // 4096} of {size // 4096} overwritten in {self.victim}"
            else:
                f.truncate(at)
                self.what = f"{self.victim} of {size} cut at {at}"
        self.what += " under a running server" if self.live else ""

    def problem(self, text):
        self.problems.append(f"{self.what}: {text}")

    def start(self):
        self.starts += 1
        server = Server(self.data, log=self.work + "/log")
        return server if server.start() else None

    def read(self, server):
        """Whether the server lived through it. Any number may be missing of the damaged day, none may be wrong."""
        answers = {}
        try:
            for d in self.days:
                answers[d] = self.kind.read_day(server, d)
            self.names(server)
        except (OSError, ValueError):
            if server.alive():
                time.sleep(0.2)
            if server.alive():
                raise
            return False
        missing = False
        for d, (code, got, body) in answers.items():
            want, hit = self.kind.expected(d), time.strftime("%Y-%m-%d", time.gmtime(d)) in self.victim
            for i, found in got.items():
                if i not in want or not set(found) <= set(want[i]) | set(self.kind.written(d)) or len(found) != len({t for t, _ in found}):
                    self.problem(f"WRONG ANSWER for day {d} series {i}: {[p for p in found if p not in want.get(i, [])][:3]}")
                    break
            whole = all(set(want[i]) <= set(got.get(i, [])) for i in want)
            if not hit and not whole:
                self.problem(f"another day ({d}) suffers: status {code}, {len(got)} series, {str(body)[:300] if code != 200 else ''}")
            if hit and not whole:
                missing = True
                if not named(server, [b for _, _, b in answers.values()] if code != 200 else [body.get("warnings")], self.victim):
                    self.problem(f"rows are missing (status {code}, {len(got)} series) and no warning names the file")
        self.lost += missing
        return True

    def names(self, server):
        path, known, start, end = self.kind.names(self.days)
        url = f"http://127.0.0.1:{server.port}{path}?start={start}&end={end}"
        try:
            with urllib.request.urlopen(url, timeout=60) as r:
                values = json.load(r).get("data") or []
        except urllib.error.HTTPError:
            return
        strange = set(values) - known
        if strange:
            self.problem(f"WRONG ANSWER: label values {sorted(strange)[:3]}")

    def write(self, server):
        """Late data for the damaged day, and a flush: both may be refused, neither may kill twice."""
        day = next(d for d in self.days if time.strftime("%Y-%m-%d", time.gmtime(d)) in self.victim)
        try:
            self.kind.late(server, day)
            flush(server)
        except urllib.error.HTTPError:
            return
        except Exception:
            time.sleep(0.2)

    def run(self):
        if not self.live:
            self.damage()
            if self.rng.random() < 0.2:
                code = subprocess.run([TRIPOD, "fsck", self.data], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
                if code < 0:
                    self.problem(f"fsck died of signal {-code}")
        for act in ("read", "write", "read"):
            server = None
            for attempt in range(STARTS_MAX + 1):
                server = self.start()
                if not server:
                    self.deaths += 1
                    continue
                if self.live and not self.what:
                    self.read(server)  # so that the file is open
                    self.damage()
                if act == "write":
                    self.write(server)
                if (act == "write" and server.alive()) or (act == "read" and self.read(server)):
                    break
                self.deaths += 1
            else:
                self.problem(f"crash loop at {act}, {self.starts} starts")
                return
            server.kill()


def rounds(job):
    kind, work, master, days, seed, hows = job
    rng, problems, starts, lost, deaths = random.Random(seed), [], 0, 0, 0
    for how in hows:
        r = Round(kind, work, master, days, rng, how)
        try:
            r.run()
        except Exception as err:  # the round is the fault's address
            r.problem(f"{type(err).__name__}: {err}")
        if r.problems:
            with open(work + "/log", encoding="utf-8", errors="replace") as log:
                r.problems.append(log.read()[-1500:])
        problems += r.problems
        starts, lost, deaths = starts + r.starts, lost + bool(r.lost), deaths + r.deaths
        if len(problems) > 10:
            break
    return problems, starts, lost, deaths


def make_master(kind, work, days):
    for k, (some, step, flags) in enumerate(((days[:2], STEPS, ["--seal.grace", "100ms", "--upkeep.interval", "100ms"]), (days[2:], 10, []))):
        server = Server(work + "/master", flags, log=work + "/log")
        assert server.start()
        for d in some:
            kind.fill(server, d, step)
        files = [f"{work}/master/{kind.folder}/{time.strftime('%Y-%m-%d', time.gmtime(d))}.mdb" for d in days[:2]]
        deadline = time.monotonic() + 20
        while k == 0 and not all(os.path.exists(f) and not os.stat(f).st_mode & 0o200 for f in files):  # sealing takes the write bit away
            assert time.monotonic() < deadline, "not sealed"
            time.sleep(0.05)
        for d in some:
            assert kind.read_day(server, d)[1] == kind.expected(d), "the undamaged data is wrong"
        server.kill(15)
    shutil.rmtree(work + "/master/journal")  # so that nothing can be repaired from it


def main():
    kind = {"metrics": Metrics, "logs": Logs}[sys.argv[1]]()
    flips, cuts, pages = (int(a) for a in sys.argv[2:5])
    seed = int(sys.argv[5]) if len(sys.argv) > 5 else int(time.time())
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as work:
        today = int(time.time()) // DAY * DAY
        days = [today - k * DAY for k in (5, 4, 3, 2)]
        make_master(kind, work, days)
        hows = ["flip"] * flips + ["cut"] * cuts + ["page"] * pages
        random.Random(seed).shuffle(hows)
        lanes = os.cpu_count() or 1
        jobs = [(kind, f"{work}/lane{k}", work + "/master", days, seed + k, hows[k::lanes]) for k in range(lanes)]
        with concurrent.futures.ProcessPoolExecutor(lanes) as pool:
            parts = list(pool.map(rounds, jobs))
    problems, starts, lost, deaths = [x for p in parts for x in p[0]], *(sum(p[k] for p in parts) for k in (1, 2, 3))
    for p in problems:
        print("FAILED:", p)
    print(f"{kind.folder}: {flips} flips, {cuts} cuts, {pages} pages: {starts} starts, {deaths} deaths, {lost} rounds lost rows of the damaged day, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
