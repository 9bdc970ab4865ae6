#!/usr/bin/env python3
"""docker_logs_test.py SOCKET URL BUSYBOX: called by test_docker_logs.sh. Containers write, Docker rotates; what they wrote is found."""
import json
import os
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../cmd"))
from docker_engine import Engine  # noqa: E402

LINES, BIG = 3000, 40000
failures = 0


def check(ok, what):
    global failures
    if not ok:
        failures += 1
        print(f"FAILED: {what}")


def wait(seconds, done):
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if done():
            return time.monotonic() - start
        time.sleep(0.2)
    return None


def lines(url, query):
    params = {"query": query, "start": time.time_ns() - 3600 * 10**9, "end": time.time_ns() + 10**9, "limit": 5000, "direction": "forward"}
    with urllib.request.urlopen(f"{url}/loki/api/v1/query_range?{urllib.parse.urlencode(params)}", timeout=30) as r:
        found = json.load(r)["data"]["result"]
    return [line for _, line in sorted((int(t), line) for s in found for t, line in s["values"])], [s["stream"] for s in found]


def main():
    path, url, busybox = sys.argv[1:4]
    engine = Engine(path, "tripod/logs:1")
    engine.load_image(busybox, ("sh", "sleep", "head", "tr", "seq"))
    rotated = {"LogConfig": {"Type": "json-file", "Config": {"max-size": "100k", "max-file": "20"}}}
    # Slowly enough that no two are rotated away before the engine is first asked for its containers.
    engine.run("talker", ["sh", "-c", f"for i in $(seq 1 {LINES}); do echo out $i; [ $((i % 10)) = 0 ] && echo err $i >&2; done; sleep 1000"], host=rotated,
               Labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "web"})
    engine.run("big", ["sh", "-c", f"head -c {BIG} /dev/zero | tr '\\0' x; echo; echo after; sleep 1000"])
    took = wait(30, lambda: len(lines(url, '{container="talker", stream="stdout"}')[0]) >= LINES)
    out, streams = lines(url, '{container="talker", stream="stdout"}')
    check(out == [f"out {i}" for i in range(1, LINES + 1)], f"talker's lines in order: {len(out)}, {out[:2]} ... {out[-2:]}")
    check(streams and streams[0].get("compose_service") == "web" and streams[0].get("project") == "shop", f"compose labels: {streams[:1]}")
    err, _ = lines(url, '{container="talker", stream="stderr"}')
    check(err == [f"err {i}" for i in range(10, LINES + 1, 10)], f"talker's errors: {len(err)}")
    wait(15, lambda: len(lines(url, '{container="big"}')[0]) >= 2)
    big, _ = lines(url, '{container="big"}')
    check([len(line) for line in big] == [BIG, 5], f"a line of {BIG} bytes in one piece: {[len(line) for line in big]}")
    engine.run("brief", ["sh", "-c", "sleep 4; echo last words"], host=rotated)
    check(wait(20, lambda: lines(url, '{container="brief"}')[0] == ["last words"]) is not None, "the last line of a container that ended")
    # Those that are over before the engine is asked again: of the job "slow" that is only every half minute.
    for i in range(8):
        engine.run(f"flash{i}", ["sh", "-c", f"echo flash {i}; echo gone {i} >&2"], host=rotated)
    flashes = sorted(f"{word} {i}" for i in range(8) for word in ("flash", "gone"))
    slow = '{container=~"flash.*", job="slow"}'
    took_flash = wait(60, lambda: sorted(lines(url, slow)[0]) == flashes)
    check(took_flash is not None, f"containers that lived for a moment: {lines(url, slow)[0]}")
    engine.ask("POST", "/containers/flash3/start")
    again = sorted(flashes + ["flash 3", "gone 3"])
    check(wait(60, lambda: sorted(lines(url, slow)[0]) == again) is not None, "one of them once more")
    rolling = f"sleep 4; for i in $(seq 1 {LINES * 3}); do echo roll $i; done; sleep 1000"
    engine.run("roller", ["sh", "-c", rolling], host=rotated)
    wait(40, lambda: "roll %d" % (LINES * 3) in lines(url, '{container="roller"} |= "roll"')[0][-1:] or len(lines(url, '{container="roller"} |~ "roll .{4}$"')[0]) >= LINES * 3 - 999)
    low, _ = lines(url, '{container="roller"} |~ "roll [1-4][0-9]{3}$"')
    check(low == [f"roll {i}" for i in range(1000, 5000)], f"lines over rotations of 100 kB: {len(low)}")
    print(f"docker: {LINES} lines of stdout and {len(err)} of stderr after {took or -1:.1f} s; {len(low)} over rotations in order")
    sys.exit(1 if failures else 0)


main()
