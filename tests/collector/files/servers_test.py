#!/usr/bin/env python3
"""servers_test.py nginx|postgres SECONDS: a real server writes log files that rotate under load, and Tripod is killed meanwhile. What is in the files is found."""
import collections
import glob
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../cmd"))
from server import Server  # noqa: E402

PG = "/usr/lib/postgresql/15/bin"


def lines_of(server, query):
    out, start = [], time.time_ns() - 3600 * 10**9
    while True:
        code, body = server.ask(query, path="/loki/api/v1/query_range", start=start, end=time.time_ns() + 10**12, limit=5000, direction="forward")
        assert code == 200, (code, body)
        rows = sorted((int(t), line) for s in body["data"]["result"] for t, line in s["values"])
        out += [line for _, line in rows]
        if len(rows) < 5000:
            return out
        start = rows[-1][0] + 1


def free_port():
    import socket
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


class Nginx:
    """Rotated as its packages do: mv, then USR1."""

    def __init__(self, work):
        self.logs, self.port, self.n, self.rotations = os.path.join(work, "logs"), free_port(), 0, 0
        os.mkdir(self.logs)
        conf = os.path.join(work, "nginx.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"""daemon off; worker_processes 2; pid {work}/nginx.pid; error_log {self.logs}/error.log;
events {{ worker_connections 64; }}
http {{ access_log {self.logs}/access.log combined; client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3; uwsgi_temp_path {work}/t4;
 scgi_temp_path {work}/t5; server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 "ok"; }} }} }}""")
        self.proc = subprocess.Popen(["nginx", "-p", work, "-c", conf], stderr=subprocess.DEVNULL)
        time.sleep(1)

    def load(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port)
        for _ in range(100):
            self.n += 1
            c.request("GET", f"/n/{self.n}")
            c.getresponse().read()
        c.close()

    def rotate(self):
        for i in range(30, 0, -1):
            if os.path.exists(f"{self.logs}/access.log.{i}"):
                os.rename(f"{self.logs}/access.log.{i}", f"{self.logs}/access.log.{i + 1}")
        os.rename(f"{self.logs}/access.log", f"{self.logs}/access.log.1")
        self.proc.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
        self.rotations += 1

    def stop(self):
        self.proc.terminate()
        self.proc.wait()

    def path(self):
        return f"{self.logs}/access.log"


class Postgres:
    """Rotates by itself: a new file every 64 kB."""

    def __init__(self, work):
        self.work, self.logs, self.port, self.n, self.rotations = work, os.path.join(work, "logs"), free_port(), 0, 0
        os.chmod(work, 0o755)
        os.mkdir(self.logs)
        shutil.chown(self.logs, "postgres")
        os.mkdir(f"{work}/pg")
        shutil.chown(f"{work}/pg", "postgres")
        self.as_postgres([f"{PG}/initdb", "-D", f"{work}/pg/data", "-A", "trust", "--no-sync"])
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": f"{work}/pg", "logging_collector": "on", "log_directory": self.logs,
                   "log_filename": "pg-%H%M%S.log", "log_rotation_size": "64kB", "log_statement": "all", "log_min_duration_statement": "0", "log_file_mode": "0644", "fsync": "off"}
        args = [x for k, v in options.items() for x in ("-c", f"{k}={v}")]
        self.proc = subprocess.Popen(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", f"{PG}/postgres", "-D", f"{work}/pg/data", *args],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            if subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-c", "select 1"], capture_output=True).returncode == 0:
                break
            time.sleep(0.2)

    def as_postgres(self, args):
        subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *args], check=True, capture_output=True)

    def load(self):
        text = "".join(f"select {self.n + i} as n,\n  'a second line';\n" for i in range(1000))
        self.n += 1000
        subprocess.run(["psql", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-o", "/dev/null"], input=text, text=True, check=True)

    def rotate(self):
        time.sleep(0.2)

    def stop(self):
        self.proc.send_signal(signal.SIGINT)
        self.proc.wait()
        self.rotations = len(glob.glob(f"{self.logs}/pg-*.log")) - 1

    def path(self):
        return f"{self.logs}/pg-*.log"


def main():
    kind, seconds = sys.argv[1], float(sys.argv[2])
    work = tempfile.mkdtemp(prefix="tripod-servers-")
    config = os.path.join(work, "tripod.yml")
    source = {"nginx": Nginx, "postgres": Postgres}[kind](work)
    with open(config, "w", encoding="utf-8") as f:
        json.dump({"logs": {"scrape_configs": [{"job_name": kind, "static_configs": [{"labels": {"job": kind, "__path__": source.path()}}]}]}}, f)
    server = Server(os.path.join(work, "data"), ["--config", config], log=os.path.join(work, "server.log"))
    assert server.start()
    going = True

    def load():
        while going:
            source.load()

    thread = threading.Thread(target=load)
    thread.start()
    end, rng, kills = time.monotonic() + seconds, random.Random(), 0
    while time.monotonic() < end:
        time.sleep(0.3 + rng.random() * 0.5)
        source.rotate()
        if rng.random() < 0.4:
            server.kill()
            kills += 1
            time.sleep(rng.random() * 0.5)
            assert server.start()
    going = False
    thread.join()
    source.stop()
    written = [line for path in glob.glob(source.path() + ("*" if kind == "nginx" else "")) for line in open(path, encoding="utf-8").read().split("\n")[:-1]]
    until = time.monotonic() + 60
    found = []
    while time.monotonic() < until and len(found) < len(written):
        time.sleep(0.5)
        found = lines_of(server, f'{{job="{kind}"}}')
    same = collections.Counter(found) == collections.Counter(written)
    print(f"{kind}: {source.n} operations, {len(written)} lines in files, {source.rotations} rotations, {kills} kills, {len(found)} lines found: {'the same' if same else 'NOT THE SAME'}")
    if kind == "nginx":
        same = same and len(written) == source.n
    server.kill()
    if same:
        shutil.rmtree(work)
    else:
        print("missing", list((collections.Counter(written) - collections.Counter(found)).items())[:3], "too many", list((collections.Counter(found) - collections.Counter(written)).items())[:3], "kept", work)
    sys.exit(0 if same else 1)


main()
