"""remote_write.py - a small remote write 1.0 client for tests: protobuf by hand, snappy as literals only."""
import http.client
import struct


def varint(v):
    out = bytearray()
    while v >= 0x80:
        out.append(v & 0x7F | 0x80)
        v >>= 7
    out.append(v)
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def series(labels, samples):
    """labels: dict; samples: [(ms, value)]."""
    body = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(labels.items()))
    body += b"".join(field(2, b"\x09" + struct.pack("<d", v) + b"\x10" + varint(t & (1 << 64) - 1)) for t, v in samples)
    return field(1, body)


def snappy(data):
    out = bytearray(varint(len(data)))
    for i in range(0, len(data), 65536):
        piece = data[i:i + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}


class Client:
    """One keep-alive connection."""

    def __init__(self, port, timeout=30, path="/api/v1/write"):
        self.port, self.timeout, self.path, self.conn = port, timeout, path, None

    def write(self, message, headers=HEADERS, encode=snappy):
        """Returns (status, text). Raises OSError or http.client.HTTPException when the connection breaks."""
        if self.conn is None:
            self.conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            self.conn.request("POST", self.path, encode(message), headers)
            r = self.conn.getresponse()
            return r.status, r.read().decode(errors="replace")
        except Exception:
            self.conn.close()
            self.conn = None
            raise
