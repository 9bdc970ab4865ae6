#!/usr/bin/env python3
"""Pushes what the tests of the logs page look at: push_logs.py URL. A shop's JSON records, words that make patterns, a stream that means harm."""
import json
import random
import sys
import time
import urllib.request

random.seed(1)
now = time.time_ns()
levels = ["info"] * 12 + ["debug"] * 4 + ["warn"] * 2 + ["error"]


def shop(i):
    record = {"level": random.choice(levels), "msg": f"order {i % 500} placed", "user_id": random.randrange(10000), "took_ms": round(random.expovariate(0.02), 1),
              "http": {"path": random.choice(["/cart", "/checkout", "/login"]), "status": random.choice([200, 200, 200, 404, 500])}}
    return json.dumps(record, separators=(",", ":"))


def words(i):
    return random.choice([f"accepted connection from 10.0.0.{i % 200} port {i * 7 % 60000}", f"job {i} finished in {i % 900} ms", f"cache entry {i * 31} evicted"])


def push(stream, lines):
    step = 600 * 10**9 // len(lines)
    values = [[str(now - 600 * 10**9 + i * step), line] for i, line in enumerate(lines)]
    body = json.dumps({"streams": [{"stream": stream, "values": values}]}).encode()
    request = urllib.request.Request(sys.argv[1] + "/loki/api/v1/push", data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as r:
        assert r.status == 204, r.status


for part in range(4):
    push({"app": "shop", "pod": f"shop-{part}"}, [shop(i) for i in range(3000)])
push({"app": "words"}, [words(i) for i in range(2000)])
push({"app": "evil"}, ["<img src=x onerror=window.pwned=1>", "<script>window.pwned=1</script>", "\x1b[31mred\x00\x07 \x1b]0;title\x07", "a" * 100000, '{"a":"<b onclick=x>"}', "\u202egnp.exe \u2028"])
