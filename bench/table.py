#!/usr/bin/env python3
"""Prints the medians of bench/run as one Markdown table: table.py DIR RUNS NAME... (the first name is ours)."""
import re
import statistics
import sys


def read(path):
    figures = {}
    for line in open(path, encoding="utf-8"):
        kind, _, rest = line.strip().partition(" ")
        pairs = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', rest))
        if kind == "query":
            if "cpu_ms" in pairs:
                figures[f"query {pairs['name']}, CPU ms"] = float(pairs["cpu_ms"])
        elif kind == "ingest":
            figures["ingest, samples per CPU-second"] = float(pairs["samples_per_cpu_s"])
        elif kind == "memory":
            figures["peak memory, bytes a series"] = float(pairs["bytes_per_series"])
        elif kind == "start":
            figures["start on an empty directory, ms"] = float(pairs["ready_ms"])
            figures["idle memory, MiB"] = float(pairs["idle_mib"])
        elif kind == "restart":
            figures["kill -9 to ready, ms"] = float(pairs["ready_ms"])
    return figures


def main():
    folder, runs, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    table = {n: {} for n in names}
    for n in names:
        for run in range(1, runs + 1):
            for k, v in read(f"{folder}/{n}.{run}").items():
                table[n].setdefault(k, []).append(v)
    rows = list(table[names[0]])
    print("| figure | " + " | ".join(names) + " | " + " | ".join(f"tripod against {n}" for n in names[1:]) + " |")
    print("|---|" + "---|" * (2 * len(names) - 1))
    for row in rows:
        cells = [statistics.median(table[n][row]) if row in table[n] else None for n in names]
        text = [f"{c:,.1f}" if c is not None and c < 1000 else f"{c:,.0f}" if c is not None else "-" for c in cells]
        more = row.startswith("ingest")
        ratio = []
        for c in cells[1:]:
            r = (cells[0] / c if more else c / cells[0]) if c and cells[0] else None
            ratio.append(f"{r:.1f} × better" if r and r >= 1 else f"{1 / r:.1f} × worse" if r else "-")
        print(f"| {row} | " + " | ".join(text) + " | " + " | ".join(ratio) + " |")


main()
