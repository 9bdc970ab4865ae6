"""log_senders.py - small parts of test_log_senders.sh: count what was stored, and Python's own syslog sender."""
import json
import logging
import logging.handlers
import socket
import sys
import time
import urllib.parse
import urllib.request


def count(url, selector, want, wait=30):
    """How many records a selector has in the last hour; waits until there are as many as wanted."""
    deadline = time.time() + wait
    got = -1
    while True:
        q = urllib.parse.urlencode({"query": f"sum(count_over_time({selector}[1h]))", "time": f"{time.time() + 1:.0f}"})
        with urllib.request.urlopen(f"{url}/loki/api/v1/query?{q}", timeout=30) as r:
            result = json.load(r)["data"]["result"]
        got = int(float(result[0]["value"][1])) if result else 0
        if got >= want or time.time() > deadline:
            return got
        time.sleep(0.3)


def main():
    if sys.argv[1] == "count":
        url, selector, want = sys.argv[2], sys.argv[3], int(sys.argv[4])
        got = count(url, selector, want)
        print(f"{selector}: {got} of {want}")
        return 0 if got == want else 1
    if sys.argv[1] == "syslog":
        kind, port, n = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        h = logging.handlers.SysLogHandler(("127.0.0.1", port), socktype=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        h.ident = f"python-{kind}: "
        h.append_nul = True
        log = logging.getLogger("x")
        log.addHandler(h)
        log.setLevel(logging.INFO)
        for i in range(n):
            log.warning("message %d of python", i)
            if kind == "udp" and i % 50 == 49:
                time.sleep(0.01)
        h.close()
        return 0
    return 2


sys.exit(main())
