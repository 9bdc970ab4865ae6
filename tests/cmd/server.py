"""server.py - start, ask, kill a tripod from a test."""
import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

TRIPOD = os.environ.get("B", "build") + "/bin/tripod"


class Server:
    def __init__(self, data, args=(), env=None, log="/dev/null"):
        self.data, self.args, self.env, self.log = data, list(args), env or {}, log
        self.proc, self.port, self.ready_s = None, 0, 0.0

    def start(self, timeout=30):
        """True when ready; False when it died before (crash points)."""
        t0 = time.monotonic()
        config = os.path.join(os.path.dirname(self.data), "empty.yml")
        open(config, "a").close()
        self.proc = subprocess.Popen(
            [TRIPOD, "serve", "--config", config, "--data", self.data, "--listen", "127.0.0.1:0", "--compat-ports=off", *self.args],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env={**os.environ, **self.env}, text=True, errors="replace")
        with open(self.log, "a", encoding="utf-8") as log:
            while True:
                line = self.proc.stderr.readline()
                if not line:
                    self.proc.wait()
                    return False
                log.write(line)
                m = re.search(r"ready after.*http://[^ ]*:(\d+)/", line)
                if m:
                    self.port = int(m.group(1))
                    self.ready_s = time.monotonic() - t0
                    break
                if time.monotonic() - t0 > timeout:
                    raise TimeoutError("not ready")
        # Keep reading, so that the pipe never fills up.
        import threading
        threading.Thread(target=self._drain, args=(self.proc.stderr,), daemon=True).start()
        return True

    def _drain(self, pipe):
        with open(self.log, "a", encoding="utf-8") as log:
            for line in pipe:
                log.write(line)
                log.flush()

    def kill(self, sig=signal.SIGKILL):
        self.proc.send_signal(sig)
        return self.proc.wait()

    def alive(self):
        return self.proc.poll() is None

    def ask(self, query, at=None, path="/api/v1/query", **more):
        params = {"query": query, **({"time": f"{at:.3f}"} if at else {}), **more}
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(params)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as r:
                return r.status, json.load(r)
        except urllib.error.HTTPError as err:
            text = err.read()
            try:
                return err.code, json.loads(text or b"{}")
            except ValueError:  # errors of the log API are plain text
                return err.code, {"error": text.decode(errors="replace")}

    def result(self, query, at=None):
        code, body = self.ask(query, at)
        assert code == 200, (query, code, body)
        return body["data"]["result"]

    def value(self, query, at=None):
        r = self.result(query, at)
        return float(r[0]["value"][1]) if r else None

    def log_lines(self, query):
        """All lines of a log query, in the order of their times."""
        out, start = [], time.time_ns() - 3600 * 10**9
        while True:
            code, body = self.ask(query, path="/loki/api/v1/query_range", start=start, end=time.time_ns() + 10**12, limit=5000, direction="forward")
            assert code == 200, (code, body)
            rows = sorted((int(t), line) for s in body["data"]["result"] for t, line in s["values"])
            out += [line for _, line in rows]
            if len(rows) < 5000:
                return out
            start = rows[-1][0] + 1

    def anon_kib(self):
        """Memory of its own: without the pages of mapped files, which the kernel takes back as it likes."""
        for line in open(f"/proc/{self.proc.pid}/status"):
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
        return 0

    def rss_kib(self):
        for line in open(f"/proc/{self.proc.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def peak_kib(self):
        for line in open(f"/proc/{self.proc.pid}/status"):
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
        return 0

    def reset_peak(self):
        with open(f"/proc/{self.proc.pid}/clear_refs", "w") as f:
            f.write("5")

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as r:
            for line in r.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.rsplit(" ", 1)[1])
        return 0.0

    def fds(self):
        return len(os.listdir(f"/proc/{self.proc.pid}/fd"))
