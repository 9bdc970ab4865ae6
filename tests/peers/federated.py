#!/usr/bin/env python3
"""What a Prometheus has federated from us is what we have: federated.py OURS PEER SELECTOR RANGE END

Federation hands the newest sample with its time to whoever comes, so the peer has some of our samples: each must be one
of ours, of the same series, at the same time, with the same value.
"""
import json
import sys
import urllib.parse
import urllib.request

from compare import differ_histogram, key, near


def samples(base, query, end):
    """{labels: ({time: value}, {time: histogram})}"""
    params = urllib.parse.urlencode({"query": query, "time": end})
    with urllib.request.urlopen(f"{base}/api/v1/query?{params}", timeout=60) as r:
        found = json.load(r)["data"]["result"]
    return {key(s): (dict(map(tuple, s.get("values", []))), {t: h for t, h in s.get("histograms", [])}) for s in found}


def main():
    ours, peer, selector, span, end = sys.argv[1:]
    query = f"{selector}[{span}]"
    mine, theirs = samples(ours, query, end), samples(peer, query, end)
    floats = histograms = 0
    wrong = []
    for series, (values, hists) in theirs.items():
        have = mine.get(series)
        if not have:
            wrong.append(f"{series}: not ours")
            continue
        for t, v in values.items():
            floats += 1
            if t not in have[0] or not near(v, have[0][t]):
                wrong.append(f"{series} at {t}: {v}, ours {have[0].get(t)}")
        for t, h in hists.items():
            histograms += 1
            d = differ_histogram(have[1][t], h) if t in have[1] else "we have none"
            if d:
                wrong.append(f"{series} at {t}: {d}")
    for w in wrong[:20]:
        print(w)
    print(f"{len(theirs)} of {len(mine)} series federated, {floats} floats and {histograms} histograms, {len(wrong)} differ")
    return 1 if wrong or not histograms or len(theirs) != len(mine) else 0


if __name__ == "__main__":
    sys.exit(main())
