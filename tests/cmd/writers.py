"""writers.py - clients that send known samples and records and remember what was acknowledged.

A writer owns SERIES series; its step s is one request with one sample for each of them, at base + s * GAP_MS, value s. So a
step is there for all series or for none, at one time, with one value: whatever else is found is a fault. A LogWriter does the
same with records: a step is one push with ROWS records in each of STREAMS streams.
"""
import json
import re
import struct
import threading
import time
import urllib.parse
import urllib.request

from remote_write import Client, field, varint

SERIES, GAP_MS = 100, 10
STREAMS, ROWS = 3, 10


class Writer(threading.Thread):
    """Sends steps until the connection breaks. sent and acked outlive the kills of the server."""

    def __init__(self, name, base, pause=(0, 0.0)):
        """pause: after so many steps, so many seconds."""
        super().__init__(daemon=True)
        self.name_, self.base, self.pause = name, base, pause
        self.next, self.acked, self.maybe, self.refused = 0, set(), set(), []
        self.gone = self.maybe_gone = 0  # steps below are deleted; are deleted, or not
        self.log = None  # a list: (monotonic ns, step) of each acknowledgement
        self.labels = [b"".join(field(1, field(1, k) + field(2, v)) for k, v in ((b"__name__", b"kill_test"), (b"i", b"%d" % i), (b"writer", name.encode())))
                       for i in range(SERIES)]

    def message(self, step):
        sample = field(2, b"\x09" + struct.pack("<d", step) + b"\x10" + varint(self.base + step * GAP_MS))
        return b"".join(b"\x0a" + varint(len(x) + len(sample)) + x + sample for x in self.labels)

    def client(self, port):
        return Client(port)

    def send(self, client, step):
        return client.write(self.message(step))

    def rows(self):
        """What one step stores."""
        return SERIES

    def send_until_dead(self, port, stop=None):
        client = self.client(port)
        while not (stop and stop.is_set()):
            step = self.next
            self.next += 1
            try:
                status, text = self.send(client, step)
            except Exception:  # the server is gone: this one may or may not be stored
                self.maybe.add(step)
                return
            if status == 204:
                if self.log is not None:
                    self.log.append((time.monotonic_ns(), step))
                self.acked.add(step)
            else:
                self.refused.append((step, status, text))
            if self.pause[0] and step % self.pause[0] == 0:
                time.sleep(self.pause[1])

    def verify(self, server, problems, since=0, strict=True):
        """Every acknowledged step from `since` on is there once and whole, and nothing that was never sent."""
        if self.next <= since:
            return
        first, end = self.base + since * GAP_MS, self.base + self.next * GAP_MS
        seconds = (end - first) // 1000 + 2
        who, at = f'kill_test{{writer="{self.name_}"', (first + seconds * 1000 - 1) / 1000  # windows are open on the left
        r = server.result(f'{who},i="{SERIES - 1}"}}[{seconds}s]', at)
        points = [(round(t * 1000), float(v)) for t, v in r[0]["values"]] if r else []
        have = {int(v) for _, v in points}
        acked, maybe = {s for s in self.acked if s >= since}, {s for s in self.maybe if s >= since}
        lost, stray, twice = {s for s in acked - have if s >= self.maybe_gone}, have - acked - maybe, len(points) - len({t for t, _ in points})
        if back := sorted(s for s in have if s < self.gone):
            problems.append(f"writer {self.name_}: {len(back)} deleted samples are back {back[:5]}, deleted below {self.gone}")
        if lost or twice or stray:
            problems.append(f"writer {self.name_}: {len(lost)} of {len(acked)} acknowledged samples lost {sorted(lost)[:5]}, {twice} twice, "
                            f"{len(stray)} not acknowledged and not cut off {sorted(stray)[:5]}")
        if any(t != self.base + v * GAP_MS for t, v in points):
            problems.append(f"writer {self.name_}: a value stands at another time")
        counts = {}
        for s in server.result(f"count_over_time({who}}}[{seconds}s])", at):
            counts.setdefault(float(s["value"][1]), []).append(s["metric"]["i"])
        if have and (set(counts) != {len(points)} or sum(map(len, counts.values())) != SERIES):
            problems.append(f"writer {self.name_}: series of one request differ: {({n: len(s) for n, s in counts.items()})}, {len(points)} expected in {SERIES}")
        if strict:
            self.settle(have, maybe)

    def settle(self, have, maybe):
        """What was cut off is stored or not, for good: from now on it counts as what it was found to be."""
        self.acked |= maybe & have
        self.maybe -= maybe
        self.gone = self.gone if any(s < self.maybe_gone for s in have) else self.maybe_gone
        self.maybe_gone = self.gone


class LogWriter(Writer):
    """Records with metadata; each says which step, stream and row it is."""

    def client(self, port):
        return Client(port, path="/loki/api/v1/push")

    def send(self, client, step):
        return client.write(self.message(step), {"Content-Type": "application/json"}, lambda x: x)

    def rows(self):
        return STREAMS * ROWS

    def ns(self, step, row=0):
        return (self.base + step * GAP_MS) * 10**6 + row

    def line(self, step, stream, row):
        if step % 3 == 0:
            return json.dumps({"level": "info", "step": step, "stream": stream, "row": row, "msg": "request handled"})
        return f"step={step} stream={stream} row={row} level=info msg=handled" if step % 3 == 1 else f"step {step} stream {stream} row {row} is here"

    def message(self, step):
        return json.dumps({"streams": [{"stream": {"kill_test": self.name_, "i": str(i)}, "values": [[str(self.ns(step, r)), self.line(step, i, r), {"step": str(step)}] for r in range(ROWS)]}
                                       for i in range(STREAMS)]}).encode()

    def found(self, server, stream, first, end):
        """Of one stream, oldest first: (ns, line, step in the metadata)."""
        out, at = [], first
        while True:
            code, body = server.ask(f'{{kill_test="{self.name_}",i="{stream}"}}', path="/loki/api/v1/query_range", start=at, end=end, limit=5000, direction="forward")
            assert code == 200, (code, body)
            page = sorted((int(v[0]), v[1], s["stream"].get("step")) for s in body["data"]["result"] for v in s["values"])
            out += page
            if len(page) < 5000:
                return out
            at = page[-1][0] + 1

    def verify(self, server, problems, since=0, strict=True):
        if self.next <= since:
            return
        first, end = self.ns(since), self.ns(self.next)
        acked, maybe = {s for s in self.acked if s >= since}, {s for s in self.maybe if s >= since}
        have = None
        for i in range(STREAMS):
            rows, steps = self.found(server, i, first, end), {}
            for ns, line, step in rows:
                m = re.fullmatch(r"\D*(\d+)\D+(\d+)\D+(\d+)\D*", line)
                s, r = (int(m[1]), int(m[3])) if m else (-1, -1)
                if s < 0 or step != str(s) or ns != self.ns(s, r) or line != self.line(s, i, r):
                    problems.append(f"log writer {self.name_}: a record that was never sent: {ns} {line!r} {step}")
                    return
                steps.setdefault(s, []).append(r)
            if torn := [s for s, r in steps.items() if r != list(range(ROWS))]:
                problems.append(f"log writer {self.name_}, stream {i}: steps not whole, or twice: {[(s, steps[s]) for s in sorted(torn)[:3]]}")
            if have is not None and have != set(steps):
                problems.append(f"log writer {self.name_}: streams of one push differ: {sorted(have ^ set(steps))[:5]}")
            have = set(steps)
        lost, stray = {s for s in acked - have if s >= self.maybe_gone}, have - acked - maybe
        if back := sorted(s for s in have if s < self.gone):
            problems.append(f"log writer {self.name_}: {len(back)} deleted steps are back {back[:5]}, deleted below {self.gone}")
        if lost or stray:
            problems.append(f"log writer {self.name_}: {len(lost)} of {len(acked)} acknowledged steps lost {sorted(lost)[:5]}, {len(stray)} neither acknowledged nor cut off {sorted(stray)[:5]}")
        if strict:
            self.settle(have, maybe)


class DeletesAgain:
    """Deletes again what it wrote, all but the last steps. Stands before a writer's class."""

    EVERY, KEEP = 8, 5

    def send_until_dead(self, port, stop=None):
        while not (stop and stop.is_set()):
            first = self.next
            super().send_until_dead(port, _After(self, first + self.EVERY, stop))
            if self.next < first + self.EVERY or self.next - 1 in self.maybe or (stop and stop.is_set()):
                return
            upto = self.next - self.KEEP
            self.maybe_gone = max(upto, self.maybe_gone)
            try:
                with urllib.request.urlopen(urllib.request.Request(self.delete_url(port, upto), method="POST"), timeout=30) as r:
                    if r.status == 204:
                        self.gone = max(upto, self.gone)
            except Exception:
                return

    def verify(self, server, problems, since=0, strict=True):
        super().verify(server, problems, 0, strict)  # what is deleted must stay away: always look at all


class Deleter(DeletesAgain, Writer):
    def delete_url(self, port, upto):
        end = (self.base + (upto - 1) * GAP_MS) / 1000
        return f"http://127.0.0.1:{port}/api/v1/admin/tsdb/delete_series?match[]=kill_test%7Bwriter%3D%22{self.name_}%22%7D&end={end:.3f}"


class LogDeleter(DeletesAgain, LogWriter):
    EVERY = 100

    def delete_url(self, port, upto):
        query = urllib.parse.quote(f'{{kill_test="{self.name_}"}}')
        return f"http://127.0.0.1:{port}/loki/api/v1/delete?query={query}&start={self.ns(0)}&end={self.ns(upto - 1, ROWS)}"


class _After:
    """Stands in for a stop event: set when the writer has come so far."""

    def __init__(self, writer, step, stop):
        self.writer, self.step, self.stop = writer, step, stop

    def is_set(self):
        return self.writer.next >= self.step or bool(self.stop and self.stop.is_set())
