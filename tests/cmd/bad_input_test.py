#!/usr/bin/env python3
"""Hostile input: each gets a clear error that names the place and the limit, nothing stored is lost, memory stays bounded."""
import gzip
import http.client
import os
import re
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

sys.path.insert(0, os.path.dirname(__file__))
from remote_write import HEADERS, Client, field, series, snappy, varint  # noqa: E402
from server import TRIPOD, Server  # noqa: E402

failures = []
count = 0


# Under a sanitizer memory is held back on purpose and everything takes longer: what is measured says nothing then.
SANITIZED = b"__asan_init" in open(TRIPOD, "rb").read() or b"__tsan_init" in open(TRIPOD, "rb").read()


def check(name, ok, what=""):
    if SANITIZED and ("memory" in name or name.endswith("(time)")):
        return
    global count
    count += 1
    if not ok:
        failures.append(name)
        print(f"FAILED {name}: {what}")


def post(port, path, body, headers, timeout=30):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request("POST", path, body, headers)
        r = c.getresponse()
        return r.status, r.read().decode(errors="replace")
    except (ConnectionError, http.client.HTTPException) as err:
        return 0, str(err)
    finally:
        c.close()


def get(port, path):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    c.request("GET", path)
    r = c.getresponse()
    return r.status, r.read().decode(errors="replace")


def raw(port, data, wait=5):
    """Sends bytes as they are; the status of the answer, 0 when the connection was just closed."""
    s = socket.create_connection(("127.0.0.1", port), timeout=wait)
    try:
        s.sendall(data)
        answer = s.recv(4096)
        m = re.match(rb"HTTP/1\.1 (\d+)", answer)
        return int(m.group(1)) if m else 0
    except (ConnectionError, socket.timeout):
        return -1
    finally:
        s.close()


def bodies(server, now):
    port, write = server.port, "/api/v1/write"
    good = series({"__name__": "good", "a": "b"}, [(now, 1)])

    def expect(name, want, body, headers=HEADERS, path=write, say=None):
        code, text = post(port, path, body, headers)
        check(name, code in want, f"status {code}: {text[:200]}")
        check(name + " (sentence)", len(text.strip()) > 10 and (say is None or re.search(say, text)), f"says only {text[:200]!r}")

    expect("truncated snappy", {400}, snappy(good)[:-5], say="snappy")
    expect("not snappy at all", {400}, b"\xff\xff\xff\xff hello", say="snappy")
    expect("snappy that announces 4 GiB", {400, 413}, varint(2**32 - 1) + b"\x00a", say="snappy|limit|bytes")
    expect("truncated protobuf", {400}, snappy(good[:-3]), say="protobuf|message|field")
    expect("lying length in protobuf", {400}, snappy(field(1, b"\x0a\xff\xff\xff\x0f abc")))
    expect("wrong content type", {415}, snappy(good), {**HEADERS, "Content-Type": "text/plain"})
    expect("wrong encoding", {415}, snappy(good), {**HEADERS, "Content-Encoding": "gzip"})
    expect("corrupt body of a wrong type", {415}, b"\xff\xff", {**HEADERS, "Content-Type": "application/json"})
    code, _ = post(port, write, snappy(series({"__name__": "big", "l": "x" * (10 << 20)}, [(now, 1)])), HEADERS)
    check("label of 10 MB", code in (400, 413, 204), str(code))
    r = server.result("count(big) or vector(0)", now / 1000)
    check("label of 10 MB is not stored", r and float(r[0]["value"][1]) == 0, r)
    name_bad = field(1, field(1, field(1, b"__name__") + field(2, b"bad\xff\xfe")) + field(2, b"\x09" + struct.pack("<d", 1) + b"\x10" + varint(now)))
    code, text = post(port, write, snappy(name_bad), HEADERS)
    check("name that is not UTF-8", code in (204, 400), f"{code} {text}")
    for what, t in (("year 1", -62135596800000), ("far future", now + 86400_000 * 400), ("int64 max", 2**63 - 1), ("int64 min", -2**63)):
        code, text = post(port, write, snappy(series({"__name__": "times"}, [(t, 1)])), HEADERS)
        check(f"time {what}", code == 400, f"{code} {text[:200]}")
        check(f"time {what} (sentence)", "out of bounds" in text or "too old" in text, text[:200])
    for what, v in (("NaN", float("nan")), ("+Inf", float("inf")), ("-0", -0.0), ("denormal", 5e-324), ("max", sys.float_info.max)):
        code, text = post(port, write, snappy(series({"__name__": "values", "w": what}, [(now, v)])), HEADERS)
        check(f"value {what}", code == 204, f"{code} {text}")
    check("values stored", server.value("count(values)", now / 1000) == 5, "")
    code, text = post(port, "/api/v1/import/prometheus", b"good 1\nthis is { not a line\n", {})
    check("bad text names the line", code == 400 and re.search(r"line 2|2:\d", text), f"{code} {text[:200]}")


MIB = 1 << 20
DECODED_MAX = 128 * MIB  # http.max-decoded
IMPORT = "/api/v1/import/prometheus"


def snappy_bomb(n):
    """n bytes as one literal and copies of 64: three bytes each."""
    return varint(n) + b"\x00" + b"0" + bytes([62 << 2 | 2, 1, 0]) + bytes([63 << 2 | 2, 1, 0]) * (n // 64 - 1)


def zstd_bomb(n):
    if not shutil.which("zstd"):
        return None
    return subprocess.run(["zstd", "-q", "-c"], input=b"0" * n, stdout=subprocess.PIPE, check=True).stdout


def peak_of(server, fn):
    """What fn returns, MiB that memory rose by at most, and MiB that stayed for more than a moment."""
    before = server.rss_kib()
    server.reset_peak()
    got = fn()
    peak = server.peak_kib() - before
    end = time.monotonic() + 2
    while server.rss_kib() - before > 24 * 1024 and time.monotonic() < end:
        time.sleep(0.02)
    return got, peak / 1024, (server.rss_kib() - before) / 1024


def bombs(server, quick):
    size = (1 << 28) if quick else (1 << 30)
    data = b"0" * size
    made = {"gzip": gzip.compress(data, 1), "deflate": zlib.compress(data, 1), "zstd": zstd_bomb(size), "snappy": snappy_bomb(size)}
    made["gzip of many members"] = gzip.compress(b"0" * MIB, 1) * (size // MIB)
    made["gzip that lies about its length"] = made["gzip"][:-4] + struct.pack("<I", 5)
    for name, body in made.items():
        if body is None:
            print("no zstd program: its bomb is left out")
            continue
        enc = name.split()[0]
        (code, text), peak, left = peak_of(server, lambda b=body, c=enc: post(server.port, IMPORT, b, {"Content-Encoding": c}, 60))
        check(f"{name} bomb", code == 413 and "http.max-decoded" in text and str(DECODED_MAX) in text, f"{code} {text[:200]}")
        check(f"{name} bomb: memory", peak < DECODED_MAX / MIB + len(body) / MIB + 32, f"{peak:.0f} MiB more at a time")
        check(f"{name} bomb: memory comes back", left < 24, f"{left:.0f} MiB stay")
    for name, body in (("gzip", gzip.compress(b"0" * 100)[:-9]), ("deflate", zlib.compress(b"0" * 100)[:-3]), ("gzip", b"\x1f\x8b nothing")):
        code, text = post(server.port, IMPORT, body, {"Content-Encoding": name})
        check(f"torn {name}", code == 400 and name in text, f"{code} {text[:200]}")
    code, text = post(server.port, IMPORT, b"x 1\n", {"Content-Encoding": "br"})
    check("an encoding that is not known", code == 415 and "gzip" in text, f"{code} {text[:200]}")


def row_bombs(server, now):
    """Few bytes that mean many rows."""
    v2 = {**HEADERS, "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "X-Prometheus-Remote-Write-Version": "2.0.0"}
    good = series({"__name__": "good"}, [(now, 1)])
    labels = field(1, field(1, b"__name__") + field(2, b"rows"))
    many = 12 * MIB
    tests = [
        ("lines of four bytes", IMPORT, gzip.compress(b"a 1\n" * (100 * MIB // 4), 1), {"Content-Encoding": "gzip"}),
        ("empty series", "/api/v1/write", snappy(good + b"\x0a\x00" * many), HEADERS),
        ("empty samples", "/api/v1/write", snappy(good + field(1, labels + b"\x12\x00" * many)), HEADERS),
        ("empty exemplars", "/api/v1/write", snappy(good + field(1, labels + b"\x1a\x00" * many)), HEADERS),
        ("empty metadata", "/api/v1/write", snappy(good + field(3, field(2, b"m")) * (many // 3)), HEADERS),
        ("empty labels", "/api/v1/write", snappy(field(1, b"\x0a\x00" * many + field(2, b"\x10" + varint(now)))), HEADERS),
        ("empty symbols", "/api/v1/write", snappy(b"\x22\x00" * many), v2),
        ("samples of 2.0", "/api/v1/write", snappy(b"\x22\x00" + field(5, b"\x12\x00" * many)), v2),
        ("one long symbol in every label", "/api/v1/write",
         snappy(b"\x22\x00" + field(4, b"n") + field(4, b"v" * (16 * MIB)) + field(5, field(1, b"\x01\x02" * 500) + field(2, b"\x11" + b"\0" * 8 + b"\x10" + varint(now))) * 2000), v2),
        ("one long help for every series", "/api/v1/write",
         snappy(b"\x22\x00" + field(4, b"__name__") + field(4, b"h" * (16 * MIB)) + field(4, b"g" * (8 * MIB)) + field(4, b"helped") +
                b"".join(field(5, field(1, b"\x01\x04") + field(2, b"\x10" + varint(now)) + field(5, b"\x08\x01\x18" + bytes([2 + i % 2]))) for i in range(20000))), v2),
    ]
    for name, path, body, headers in tests:
        t0 = time.monotonic()
        (code, text), peak, left = peak_of(server, lambda p=path, b=body, h=headers: post(server.port, p, b, h, 60))
        took = time.monotonic() - t0
        check(name, code in (204, 400, 413), f"{code} {text[:200]}")
        check(name + ": memory", peak < 600, f"{peak:.0f} MiB more at a time")
        check(name + ": memory comes back", left < 48, f"{left:.0f} MiB stay")
        check(name + ": time", took < 8, f"{took:.1f} s")
        print(f"  {name}: {code} after {took:.1f} s, {peak:.0f} MiB; {text.strip()[:110]}")


def labels(server, now):
    def expect(name, body, want=(400,), say=None):
        code, text = post(server.port, "/api/v1/write", snappy(body), HEADERS)
        check(name, code in want and (say is None or re.search(say, text)), f"{code} {text[:300]}")
        code, text = Client(server.port).write(series({"__name__": "after", "n": name}, [(now, 1)]))
        check(name + ": others go on", code == 204, f"{code} {text[:200]}")

    def pairs(*ps):
        return field(1, b"".join(field(1, field(1, k) + field(2, v)) for k, v in ps) + field(2, b"\x09" + struct.pack("<d", 1) + b"\x10" + varint(now)))

    expect("5,000 labels", series({"__name__": "m", **{f"l{i:04}": "x" for i in range(5000)}}, [(now, 1)]), (204, 400), None)
    expect("1,000,000 labels", pairs((b"__name__", b"m"), *[(b"l%d" % i, b"x") for i in range(1000000)]), (204, 400))
    for name in ("5,000 labels", "1,000,000 labels"):
        r = server.result('count({__name__="m",l0001!=""} or {__name__="m",l5="x"}) or vector(0)', now / 1000)
        check(name + " are not stored", float(r[0]["value"][1]) == 0, r)
    expect("a label twice", pairs((b"__name__", b"twice"), (b"a", b"1"), (b"a", b"2")), (204, 400))
    expect("no name at all", pairs((b"a", b"1")), (204, 400))
    expect("an empty label name", pairs((b"__name__", b"e"), (b"", b"1")), (204, 400))
    expect("only empty values", pairs((b"__name__", b""), (b"a", b"")), (204, 400))
    for name in ("twice", "e"):
        r = server.result(f"count({{__name__={chr(34)}{name}{chr(34)}}}) or vector(0)", now / 1000)
        check(f"{name} is not stored", float(r[0]["value"][1]) == 0, r)
    check("refusals are counted", server.metric('tripod_samples_total{verdict="bad_labels"}') > 0, "")


def http_level(server):
    port = server.port
    check("no request line", raw(port, b"\x00\x01\x02\r\n\r\n") in (400, 0), "")
    check("huge header", raw(port, b"GET / HTTP/1.1\r\nX: " + b"a" * 200000 + b"\r\n\r\n") in (431, 400), "")
    check("both lengths", raw(port, b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400, "")
    check("negative length", raw(port, b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n") == 400, "")
    check("body too large", raw(port, b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n") == 413, "")
    check("bad chunk", raw(port, b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n") == 400, "")
    check("path climbing", get(port, "/../../etc/passwd")[0] in (400, 404), "")


def queries(server, now):
    def ask(name, query, want=(400,), seconds=5.0):
        t0 = time.monotonic()
        code, text = post(server.port, "/api/v1/query", "query=" + query, {"Content-Type": "application/x-www-form-urlencoded"})
        check(name, code in want, f"status {code}: {text[:200]}")
        check(name + " (time)", time.monotonic() - t0 < seconds, f"{time.monotonic() - t0:.1f} s")

    ask("100,000 brackets", "(" * 100000 + "1" + ")" * 100000)
    ask("100,000 open brackets", "(" * 100000)
    ask("100,000 minus signs", "-" * 100000 + "1")
    ask("nested functions", "abs(" * 50000 + "x" + ")" * 50000)
    ask("by() of 100,000 labels", "sum by (" + ",".join(f"l{i}" for i in range(100000)) + ") (good)", (200, 400, 413, 422))
    ask("50,000 matchers", "good{" + ",".join(f'a!="{i}"' for i in range(50000)) + "}", (200, 400, 413, 422), 10)
    ask("100,000 operands", "%2B".join(["1"] * 100000), (200, 400, 422))
    ask("100,000 nested subqueries", "max_over_time(" * 2000 + "good" + "[5m:1m])" * 2000, (200, 400, 422), 20)
    ask("a string of 20 MB", '"' + "x" * (20 << 20) + '"', (200, 400, 413), 10)
    ask("numbers beyond all", "good[99999999999999y]")
    ask("offset beyond all", "good offset 9999999999999999d")
    ask("subquery steps beyond all", "sum_over_time(vector(1)[100y:1ms])", (422, 400, 503), 5)
    ask("at beyond all", "good @ 1e300", (200, 400, 422))
    ask("regex bomb", 'good{a=~"((a%2B)%2B)%2B$' + "(x%2Bx%2B)%2By" * 20 + '"}', (200, 400))
    ask("regex of a million states", 'good{a=~"((a{1,100}){1,100}){1,100}"}', (400, 422))
    ask("regex of 200 KB", 'good{a=~"' + "abc|" * 50000 + '"}', (200, 400, 413, 422))
    ask("not UTF-8", "good{a=%22%ff%fe%22}", (200, 400))
    ask("empty query", "")
    ask("a year by the millisecond", "sum_over_time(vector(1)[365d:1ms])", (422, 400, 503), 30)
    code, text = get(server.port, f"/api/v1/query_range?query=up&start=0&end={now // 1000}&step=1")
    check("11,000 points", code == 400 and "11,000" in text, f"{code} {text[:200]}")
    ask("end of time", "good&time=99999999999999", (200, 400))


def idle(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = 5000 if hard >= 12000 or hard == resource.RLIM_INFINITY else max(100, hard // 3)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000) if hard != resource.RLIM_INFINITY else 20000, hard))
    before = server.rss_kib()
    idle = []
    for _ in range(want):
        idle.append(socket.create_connection(("127.0.0.1", server.port), timeout=10))
    t0 = time.monotonic()
    code, _ = get(server.port, "/-/ready")
    check(f"answers beside {want} idle connections", code == 200 and time.monotonic() - t0 < 1, f"{code} after {time.monotonic() - t0:.2f} s")
    more = server.rss_kib() - before
    check(f"memory of {want} idle connections", more < 16 * want, f"{more} KiB, {more / want:.1f} each")
    print(f"{want} idle connections cost {more / want:.1f} KiB each")
    for s in idle:
        s.close()


HEAD = b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n"


def slow(server):
    """Deadlines were set to 1 s (head), 2 s (body), 3 s (idle)."""
    kinds = {
        "a slow head": (b"POST /api/v1/write HTTP/1.1\r\nHo", b"x", 1, b"408"),
        "a slow body": (HEAD + b"Content-Length: 100000\r\n\r\n", b"x", 2, b"408"),
        "slow chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 2, b"408"),
        "nothing at all": (b"", b"", 3, b""),
    }
    socks = {}
    t0 = time.monotonic()
    for name, (first, _, _, _) in kinds.items():
        socks[name] = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(20)]
        for s in socks[name]:
            s.sendall(first)
            s.setblocking(False)
    answers = {}
    while len(answers) < len(kinds) and time.monotonic() - t0 < 8:
        time.sleep(0.1)
        for name, (_, drip, _, _) in kinds.items():
            if name in answers:
                continue
            try:
                answers[name] = (socks[name][0].recv(1000), time.monotonic() - t0)
            except BlockingIOError:
                for s in socks[name]:
                    try:
                        s.send(drip)
                    except OSError:
                        pass
            except ConnectionError:
                answers[name] = (b"reset", time.monotonic() - t0)
    for name, (_, _, seconds, want) in kinds.items():
        got, took = answers.get(name, (b"not cut", 0))
        check(f"{name} is cut", (want in got if want else got in (b"", b"reset")) and seconds - 0.2 < took < seconds + 1.5, f"{got[:100]!r} after {took:.1f} s")
        for s in socks[name]:
            s.close()
    check("cut clients are counted", server.metric("tripod_http_slow_clients_total") >= 60, server.metric("tripod_http_slow_clients_total"))


def series_limit(work):
    """--series.max: what is known goes on, what is new is refused, by name and by metric."""
    server = Server(work + "/limited", log=work + "/log", args=["--series.max", "1000"])
    check("starts with a series limit", server.start(), "")
    now = int(time.time() * 1000)
    c = Client(server.port)
    code, text = c.write(b"".join(series({"__name__": "fine", "i": str(i)}, [(now, 1)]) for i in range(500)))
    check("below the limit", code == 204, f"{code} {text}")
    bomb = b"".join(series({"__name__": "bomb", "request_id": f"{i:08x}", "job": "guilty"}, [(now, 1)]) for i in range(20000))
    code, text = c.write(bomb)
    check("a cardinality bomb", code in (204, 400), f"{code} {text[:200]}")
    check("says why", code == 204 or re.search(r"too many series.*series\.max", text), text[:300])
    code, text = c.write(b"".join(series({"__name__": "fine", "i": str(i)}, [(now + 1000, 2)]) for i in range(500)))
    check("known series go on", code == 204, f"{code} {text[:200]}")
    check("and have it", server.value("sum(fine)", now / 1000 + 1) == 1000, server.value("sum(fine)", now / 1000 + 1))
    check("no more than the limit", server.metric("tripod_head_series") <= 1000, server.metric("tripod_head_series"))
    check("refused samples are counted", server.metric('tripod_samples_total{verdict="series_limit"}') >= 19000, server.metric('tripod_samples_total{verdict="series_limit"}'))
    _, status = server.ask("", path="/api/v1/status/tsdb")
    names = [x["name"] for x in status["data"]["labelValueCountByLabelName"]]
    check("the label that does it is named first", names and names[0] in ("request_id", "i") and "request_id" in names[:2], names)
    server.kill()
    check("starts again at the limit", server.start(), "")
    check("and known series still go on", Client(server.port).write(series({"__name__": "fine", "i": "7"}, [(now + 2000, 3)]))[0] == 204, "")
    server.kill()


def main():
    with tempfile.TemporaryDirectory() as work:
        server = Server(work + "/data", log=work + "/log", args=["--http.header-timeout", "1s", "--http.body-timeout", "2s", "--http.idle-timeout", "3s"])
        if not server.start():
            print("did not start")
            return 1
        now = int(time.time() * 1000)
        code, text = Client(server.port).write(series({"__name__": "kept"}, [(now, 42)]))
        check("a good sample", code == 204, f"{code} {text}")
        bodies(server, now)
        labels(server, now)
        bombs(server, "--long" not in sys.argv)
        row_bombs(server, now)
        http_level(server)
        print(f"memory before queries {server.rss_kib() >> 10} MiB")
        queries(server, now)
        print(f"memory after queries {server.rss_kib() >> 10} MiB")
        idle(server)
        slow(server)
        check("alive", server.alive(), "it died")
        if server.alive():
            check("what was stored is there", server.value("kept", now / 1000) == 42, "")
            check("memory", server.rss_kib() < 200 * 1024, f"{server.rss_kib() >> 10} MiB")
            print(f"memory at the end {server.rss_kib() >> 10} MiB")
            server.kill()
            check("starts again", server.start(), "")
            check("and has it still", server.value("kept", now / 1000) == 42, "")
            server.kill()
        series_limit(work)
        if failures:
            print(open(work + "/log", encoding="utf-8").read()[-2000:])
    print(f"{count - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


sys.exit(main())
