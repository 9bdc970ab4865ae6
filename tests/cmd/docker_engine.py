"""docker_engine.py - a Docker Engine behind a socket, asked as its own client would, for tests."""
import http.client
import io
import json
import socket
import sys
import tarfile


class Engine:
    def __init__(self, path, image):
        self.path, self.image = path, image

    def ask(self, method, path, body=None, kind="application/json"):
        c = http.client.HTTPConnection("docker", timeout=60)
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.connect(self.path)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        c.request(method, path, body, {"Content-Type": kind} if body is not None else {})
        r = c.getresponse()
        text = r.read()
        c.close()
        if r.status >= 400:
            sys.exit(f"docker: {method} {path}: {r.status} {text.decode(errors='replace')[:300]}")
        return json.loads(text) if text[:1] in (b"{", b"[") and not path.startswith("/images") else None

    def load_image(self, busybox, applets, files=()):
        """busybox under the names of these applets, and files: (path, text)."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.add(busybox, "bin/busybox")
            for applet in applets:
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
            for path, text in files:
                page = tarfile.TarInfo(path)
                page.size = len(text.encode())
                tar.addfile(page, io.BytesIO(text.encode()))
        repo, tag = self.image.split(":")
        self.ask("POST", f"/images/create?fromSrc=-&repo={repo}&tag={tag}", out.getvalue(), "application/x-tar")

    def run(self, name, command, start=True, host=None, **config):
        made = self.ask("POST", f"/containers/create?name={name}", {"Image": self.image, "Cmd": command, "HostConfig": host or {}, **config})
        if start:
            self.ask("POST", f"/containers/{made['Id']}/start")
        return made["Id"]

    def inspect(self, name):
        return self.ask("GET", f"/containers/{name}/json")
