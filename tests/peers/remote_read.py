#!/usr/bin/env python3
"""Remote read of two servers that hold the same data, in both answers, taken apart and compared sample by sample.

    remote_read.py OURS PEER END SECONDS

Snappy, protobuf, frames and XOR chunks are read here by a plain reading of their definitions: what we write must be what anybody
else reads, not only what we read ourselves.
"""
import struct
import sys
import urllib.error
import urllib.request

OURS, PEER, END, SECONDS = sys.argv[1], sys.argv[2], int(float(sys.argv[3]) * 1000), int(float(sys.argv[4]) * 1000)
EQ, NE, RE, NRE = range(4)
SAMPLES, CHUNKS = 0, 1

# --- snappy ---------------------------------------------------------------------------------------------


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def read_varint(b, at):
    n = shift = 0
    while True:
        n |= (b[at] & 0x7F) << shift
        shift += 7
        at += 1
        if b[at - 1] < 0x80:
            return n, at


def snappy(b):
    out = varint(len(b))
    for i in range(0, len(b), 60):
        piece = b[i:i + 60]
        out += bytes([(len(piece) - 1) << 2]) + piece
    return out


def unsnappy(b):
    n, at = read_varint(b, 0)
    out = bytearray()
    while at < len(b):
        tag, kind = b[at], b[at] & 3
        at += 1
        if kind == 0:
            length = tag >> 2
            if length >= 60:
                more = length - 59
                length = int.from_bytes(b[at:at + more], "little")
                at += more
            out += b[at:at + length + 1]
            at += length + 1
            continue
        if kind == 1:
            length, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | b[at]
            at += 1
        else:
            size = 2 if kind == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(b[at:at + size], "little")
            at += size
        for _ in range(length):
            out.append(out[-offset])
    assert len(out) == n
    return bytes(out)


# --- protobuf ---------------------------------------------------------------------------------------------


def put(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(b):
    at = 0
    while at < len(b):
        tag, at = read_varint(b, at)
        if tag & 7 == 0:
            v, at = read_varint(b, at)
        elif tag & 7 == 1:
            v, at = b[at:at + 8], at + 8
        elif tag & 7 == 2:
            n, at = read_varint(b, at)
            v, at = b[at:at + n], at + n
        else:
            v, at = b[at:at + 4], at + 4
        yield tag >> 3, v


def signed(n):
    return n - (1 << 64) if n >> 63 else n


def labels(b):
    d = dict(fields(b))
    return d.get(1, b"").decode(), d.get(2, b"").decode()


# --- chunks -------------------------------------------------------------------------------------------------


class Bits:
    def __init__(self, b):
        self.v, self.left = int.from_bytes(b, "big"), len(b) * 8

    def take(self, n):
        self.left -= n
        assert self.left >= 0
        return self.v >> self.left & (1 << n) - 1

    def varint(self):
        n = shift = 0
        while True:
            b = self.take(8)
            n |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return n


def dod(bits):
    for size in (0, 14, 17, 20):
        if bits.take(1) == 0:
            v = bits.take(size) if size else 0
            return v - (1 << size) if size and v > 1 << size - 1 else v
    return signed(bits.take(64))


def xor_chunk(b):
    n, bits, out = int.from_bytes(b[:2], "big"), Bits(b[2:]), []
    t = v = delta = leading = trailing = 0
    for i in range(n):
        if i == 0:
            z = bits.varint()
            t, v = z >> 1 ^ -(z & 1), bits.take(64)
        else:
            delta = bits.varint() if i == 1 else delta + dod(bits)
            t += delta
            if bits.take(1):
                if bits.take(1):
                    leading, width = bits.take(5), bits.take(6) or 64
                    trailing = 64 - leading - width
                v ^= bits.take(64 - leading - trailing) << trailing
        out.append((t, v))
    return out


def crc32c(b, table=[]):
    if not table:
        for i in range(256):
            c = i
            for _ in range(8):
                c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
            table.append(c)
    c = 0xFFFFFFFF
    for x in b:
        c = table[(c ^ x) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


# --- asking ---------------------------------------------------------------------------------------------------


def request(queries, types):
    body = b""
    for matchers, start, end in queries:
        q = put(1, start) + put(2, end)
        for kind, name, value in matchers:
            q += put(3, put(1, kind) + put(2, name) + put(3, value))
        q += put(4, put(3, start) + put(4, end) + put(2, "rate"))
        body += put(1, q)
    return body + put(2, b"".join(varint(t) for t in types))


def post(base, body):
    req = urllib.request.Request(base + "/api/v1/read", data=body, headers={"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "Accept-Encoding": "snappy"})
    try:
        with urllib.request.urlopen(req, timeout=60) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as err:
        return err.code, err.headers, err.read()


def read_samples(answer):
    out = []
    for _, result in fields(unsnappy(answer)):
        found = []
        for _, series in fields(result):
            ls, samples = [], []
            for number, v in fields(series):
                if number == 1:
                    ls.append(labels(v))
                elif number == 2:
                    d = dict(fields(v))
                    samples.append((signed(d.get(2, 0)), int.from_bytes(d.get(1, b""), "little")))
            found.append((tuple(ls), samples))
        out.append(found)
    return out


def read_chunks(answer, queries):
    """Of samples outside of the window nobody promised anything: they are left out."""
    out, at = [[] for _ in queries], 0
    while at < len(answer):
        n, at = read_varint(answer, at)
        crc, message, at = struct.unpack(">I", answer[at:at + 4])[0], answer[at + 4:at + 4 + n], at + 4 + n
        assert crc32c(message) == crc, "checksum"
        index, frames = 0, []
        for number, v in fields(message):
            if number == 2:
                index = v
            else:
                frames.append(v)
        _, start, end = queries[index]
        for frame in frames:
            ls, samples = [], []
            for number, v in fields(frame):
                if number == 1:
                    ls.append(labels(v))
                else:
                    d = dict(fields(v))
                    assert d[3] == 1, "encoding"
                    got = xor_chunk(d[4])
                    assert got[0][0] == signed(d.get(1, 0)) and got[-1][0] == signed(d.get(2, 0)), "times of a chunk"
                    samples += [s for s in got if start <= s[0] <= end]
            if out[index] and out[index][-1][0] == tuple(ls):
                out[index][-1][1].extend(samples)
            else:
                out[index].append((tuple(ls), samples))
    return [[s for s in one if s[1]] for one in out]


QUERIES = [
    [((EQ, "__name__", "up"),)],
    [((RE, "__name__", "demo_.*"),)],
    [((NE, "__name__", ""), (EQ, "job", "demo"), (NRE, "mode", "i.*"))],
    [((NE, "__name__", ""),)],
    [((EQ, "__name__", "nothing_here"),)],
    [((EQ, "__name__", "up"),), ((EQ, "job", "demo"), (RE, "__name__", "demo_memory.*"))],
]
BAD = [b"", b"nonsense", snappy(b"\x0a\x7f"), snappy(b"\xff"), snappy(put(1, put(3, put(1, 9) + put(2, "a")))), snappy(put(1, put(3, put(1, 2) + put(2, "a") + put(3, "(")))), snappy(put(2, varint(7)))]


def main():
    wrong, samples, asked = [], 0, 0
    for sets in QUERIES:
        for start, end in ((END - SECONDS, END), (END - 5000, END - 3000), (END + 10**7, END + 2 * 10**7)):
            queries = [(m, start, end) for m in sets]
            answers = {}
            for base in (OURS, PEER):
                for types in ([SAMPLES], [CHUNKS], [CHUNKS, SAMPLES], []):
                    status, headers, answer = post(base, snappy(request(queries, types)))
                    chunked = types[:1] == [CHUNKS]
                    want = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse" if chunked else "application/x-protobuf"
                    assert status == 200 and headers["Content-Type"] == want, f"{base}: {status} {headers['Content-Type']} {answer[:200]}"
                    assert chunked or headers["Content-Encoding"] == "snappy"
                    answers[base, tuple(types)] = read_chunks(answer, queries) if chunked else read_samples(answer)
                    asked += 1
            for types in ((SAMPLES,), (CHUNKS,), (CHUNKS, SAMPLES), ()):
                a, b = answers[OURS, types], answers[PEER, types]
                ours, peer = [sorted(x) for x in a], [sorted(x) for x in b]
                if ours != peer:
                    wrong.append(f"{sets} {start}-{end} {types}: {[len(x) for x in ours]} series, the peer has {[len(x) for x in peer]}")
                if types[:1] == (CHUNKS,) and a != ours:
                    wrong.append(f"{sets} {types}: series are not sorted")
                samples += sum(len(s[1]) for x in ours for s in x)
    for body in BAD:
        asked += 1
        a, b = post(OURS, body), post(PEER, body)
        if a[0] // 100 != 4 or b[0] < 400 and body:
            wrong.append(f"{body!r}: {a[0]} {a[2][:100]}, the peer {b[0]} {b[2][:100]}")
    print("\n".join(wrong[:20]))
    print(f"remote read: {asked} requests, {samples} samples compared, {len(wrong)} differences")
    return 1 if wrong or samples == 0 else 0


sys.exit(main())
