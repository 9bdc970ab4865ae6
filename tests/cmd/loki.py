"""loki.py - Loki's API from a test: push, ask, follow."""
import base64
import json
import os
import socket
import struct
import urllib.error
import urllib.parse
import urllib.request

S = 10**9


class Loki:
    def __init__(self, port):
        self.port = port

    def raw(self, path, params=None, method="GET", headers=None, form=False, body=None):
        """Status, headers, body as bytes. params: a dict or a list of pairs."""
        url = f"http://127.0.0.1:{self.port}{path}"
        if params and not form:
            url += "?" + urllib.parse.urlencode(params)
        headers = dict(headers or {})
        if form:
            body = urllib.parse.urlencode(params).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        req = urllib.request.Request(url, data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(req, timeout=60) as r:
                return r.status, dict(r.headers), r.read()
        except urllib.error.HTTPError as err:
            return err.code, dict(err.headers), err.read()

    def get(self, path, headers=None, **params):
        """What a 200 says, as JSON with its keys in order."""
        status, head, body = self.raw("/loki/api/v1/" + path, params, headers=headers)
        assert status == 200, (path, params, status, body)
        assert "json" in head["Content-Type"], head
        return json.loads(body)

    def error(self, path, want, text, method="GET", **params):
        """A refusal: status and words, in plain text."""
        status, head, body = self.raw("/loki/api/v1/" + path, params, method=method)
        assert status == want, (path, params, status, body)
        assert head["Content-Type"].startswith("text/plain"), head
        assert text in body.decode(), (path, params, body)

    def push(self, streams):
        """streams: [(labels, [(ns, line) or (ns, line, metadata), ...]), ...]"""
        doc = {"streams": [{"stream": ls, "values": [[str(v[0]), *v[1:]] for v in values]} for ls, values in streams]}
        status, _, body = self.raw("/loki/api/v1/push", method="POST", body=json.dumps(doc).encode(), headers={"Content-Type": "application/json"})
        assert status == 204, (status, body)

    def lines(self, query, headers=None, **params):
        """Of a log query: [(labels, ns, line)], in the order of the answer."""
        data = self.get("query_range", headers=headers, query=query, **params)["data"]
        assert data["resultType"] == "streams", data
        return [(s["stream"], int(v[0]), v[1]) for s in data["result"] for v in s["values"]]


class Follower:
    """A live tail: the client's side of a WebSocket, no more than it needs."""

    def __init__(self, port, query, rcvbuf=0, path="/loki/api/v1/tail", **params):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(30)
        self.sock.connect(("127.0.0.1", port))
        target = path + "?" + urllib.parse.urlencode({"query": query, **params})
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            more = self.sock.recv(65536)
            assert more, self.data
            self.data += more
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])
        self.head = head.decode()
        self.code = None

    def send(self, op, payload=b""):
        mask = os.urandom(4)
        self.sock.sendall(bytes([0x80 | op, 0x80 | len(payload)]) + mask + bytes(b ^ mask[i & 3] for i, b in enumerate(payload)))

    def _need(self, n):
        chunks, have = [self.data], len(self.data)
        while have < n:
            more = self.sock.recv(1 << 20)
            if not more:
                raise EOFError
            chunks.append(more)
            have += len(more)
        self.data = b"".join(chunks)

    def frame(self, timeout=30):
        """The next text frame as JSON; None when the server has closed (self.code says how)."""
        payload = self.payload(timeout)
        return payload and json.loads(payload)

    def payload(self, timeout=30):
        self.sock.settimeout(timeout)
        while True:
            self._need(2)
            op, n, at = self.data[0] & 15, self.data[1] & 127, 2
            if n > 125:
                at = 4 if n == 126 else 10
                self._need(at)
                n = struct.unpack(">H" if at == 4 else ">Q", self.data[2:at])[0]
            self._need(at + n)
            payload, self.data = self.data[at:at + n], self.data[at + n:]
            if op == 9:
                self.send(10, payload)
            elif op == 8:
                self.code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                return None
            elif op == 1:
                return payload

    def close(self):
        self.sock.close()


def entries(frame):
    return [(s["stream"], int(v[0]), v[1]) for s in frame["streams"] for v in s["values"]]

