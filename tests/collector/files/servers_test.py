#!/usr/bin/env python3
"""servers_test.py nginx|postgres|redis|rabbitmq SECONDS [KEEP]: a real server writes log files that rotate under load, and Tripod is killed meanwhile. What is in the files is found.
KEEP: a folder to copy the files into.
"""
import collections
import glob
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../cmd"))
from server import Server  # noqa: E402

PG = "/usr/lib/postgresql/15/bin"


def free_port():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


class Nginx:
    """Rotated as its packages do: mv, then USR1."""

    FILES = "access.log"

    def __init__(self, work):
        self.logs, self.port, self.n, self.rotations = os.path.join(work, "logs"), free_port(), 0, 0
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
        for i in range(self.rotations, 0, -1):
            if os.path.exists(f"{self.logs}/access.log.{i}"):
                os.rename(f"{self.logs}/access.log.{i}", f"{self.logs}/access.log.{i + 1}")
        os.rename(f"{self.logs}/access.log", f"{self.logs}/access.log.1")
        self.proc.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
        self.rotations += 1

    def stop(self):
        self.proc.terminate()
        self.proc.wait()


class Postgres:
    """Rotates by itself: a new file every 64 kB."""

    FILES = "pg-*.log"

    def __init__(self, work):
        self.work, self.logs, self.port, self.n, self.rotations = work, os.path.join(work, "logs"), free_port(), 0, 0
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


class Redis:
    """It opens its file for each line: mv is enough."""

    FILES = "redis.log"

    def __init__(self, work):
        self.logs, self.port, self.n, self.rotations = os.path.join(work, "logs"), free_port(), 0, 0
        self.proc = subprocess.Popen(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", work, "--logfile", f"{self.logs}/redis.log",
                                      "--loglevel", "debug", "--save", "2 1", "--hz", "100"])
        for _ in range(100):
            if self.ping():
                break
            time.sleep(0.1)

    def ping(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                s.sendall(b"INCR tripod\r\n")
                return s.recv(100)
        except OSError:
            return None

    def load(self):
        for _ in range(50):
            self.n += 1
            assert self.ping()

    def rotate(self):
        for i in range(self.rotations, 0, -1):
            if os.path.exists(f"{self.logs}/redis.log.{i}"):
                os.rename(f"{self.logs}/redis.log.{i}", f"{self.logs}/redis.log.{i + 1}")
        os.rename(f"{self.logs}/redis.log", f"{self.logs}/redis.log.1")
        self.rotations += 1

    def stop(self):
        self.proc.terminate()
        self.proc.wait()


class RabbitMQ:
    """Rotates by itself: a new file every 64 kB."""

    FILES = "rabbit.log"

    def __init__(self, work):
        self.logs, self.port, self.n, self.rotations = os.path.join(work, "logs"), free_port(), 0, 0
        for folder in ("logs", "mnesia", "home"):
            os.makedirs(f"{work}/{folder}", exist_ok=True)
            shutil.chown(f"{work}/{folder}", "rabbitmq")
        with open(f"{work}/rabbitmq.conf", "w", encoding="utf-8") as f:
            f.write(f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.file = rabbit.log\nlog.file.level = debug\nlog.file.rotation.size = 65536\nlog.file.rotation.count = 900\n")
        open(f"{work}/plugins", "w", encoding="utf-8").write("[].\n")
        env = {"PATH": os.environ["PATH"], "HOME": f"{work}/home", "LANG": "C.UTF-8", "RABBITMQ_NODENAME": f"tripod{self.port}@localhost", "RABBITMQ_CONFIG_FILE": f"{work}/rabbitmq.conf",
               "RABBITMQ_MNESIA_BASE": f"{work}/mnesia", "RABBITMQ_LOG_BASE": self.logs, "RABBITMQ_ENABLED_PLUGINS_FILE": f"{work}/plugins", "RABBITMQ_DIST_PORT": str(free_port()),
               "ERL_EPMD_PORT": str(free_port()), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        # In a pid namespace of its own, so that the port mapper it starts goes with it.
        self.proc = subprocess.Popen(["unshare", "--pid", "--fork", "--mount-proc", "setpriv", "--reuid=rabbitmq", "--regid=rabbitmq", "--clear-groups",
                                      "/usr/lib/rabbitmq/bin/rabbitmq-server"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            if self.hello():
                break
            time.sleep(0.2)

    def hello(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                s.sendall(b"AMQP\0\0\x09\x01")
                return s.recv(1000)
        except OSError:
            return None

    def load(self):
        for _ in range(20):
            self.n += self.hello() is not None

    def rotate(self):
        time.sleep(0.2)

    def stop(self):
        time.sleep(2)  # it writes what it has
        with open(f"/proc/{self.proc.pid}/task/{self.proc.pid}/children", encoding="ascii") as f:
            os.kill(int(f.read().split()[0]), signal.SIGKILL)  # the first of the namespace: all of it goes
        self.proc.wait()
        self.rotations = len(glob.glob(f"{self.logs}/rabbit.log*")) - 1


SOURCES = {"nginx": Nginx, "postgres": Postgres, "redis": Redis, "rabbitmq": RabbitMQ}


def main():
    kind, seconds = sys.argv[1], float(sys.argv[2])
    work = tempfile.mkdtemp(prefix="tripod-servers-")
    os.chmod(work, 0o755)  # servers that are no longer root open their files again
    config = os.path.join(work, "tripod.yml")
    path = os.path.join(work, "logs", SOURCES[kind].FILES)
    os.mkdir(os.path.join(work, "logs"))
    with open(config, "w", encoding="utf-8") as f:
        json.dump({"logs": {"scrape_configs": [{"job_name": kind, "static_configs": [{"labels": {"job": kind, "__path__": path}}]}]}}, f)
    server = Server(os.path.join(work, "data"), ["--config", config], log=os.path.join(work, "server.log"))
    assert server.start()
    source = SOURCES[kind](work)  # it may have rotated before it is ready
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
    files = glob.glob(path if "*" in path else path + "*")
    if len(sys.argv) > 3:
        for one in files:
            shutil.copy2(one, os.path.join(sys.argv[3], f"{kind}-{os.path.basename(one)}"))
    written = [line for one in files for line in open(one, encoding="utf-8").read().split("\n")[:-1]]
    until = time.monotonic() + 60
    found = []
    while time.monotonic() < until and len(found) < len(written):
        time.sleep(0.5)
        found = server.log_lines(f'{{job="{kind}"}}')
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
