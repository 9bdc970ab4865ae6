#!/usr/bin/env python3
"""real_logs.py OUT MAX_MB FILE_OR_FOLDER...: copies of real log files, as OUT/N.log, for tests that follow and import them.

Left out is what no line can be told of (zero bytes near the start, other packing than gzip), what is empty or cannot be read, lines over 256 KiB, and
what comes after MAX_MB. Of a packed file OUT/N.log is the content, OUT/N.log.gz the file. A last line without a newline gets one. Prints a
line for each: name of the content, name of what to import, lines, where it is from; and at last to stderr what was left out.
"""
import collections
import gzip
import os
import sys
import zlib

LINE_MAX = 256 * 1024
OTHERS = (".xz", ".bz2", ".zst", ".journal")


def files_of(paths):
    for path in paths:
        if not os.path.isdir(path):
            yield path
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                yield os.path.join(folder, name)


def content_of(path):
    """(content, why not)"""
    if path.endswith(OTHERS):
        return None, "packed otherwise"
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
            text = f.read()
    except (OSError, EOFError, zlib.error):
        return None, "unreadable"
    if not text:
        return None, "empty"
    if b"\0" in text[:1024]:
        return None, "binary"
    if max(map(len, text.split(b"\n"))) > LINE_MAX:
        return None, "with lines over 256 KiB"
    return text, None


def main():
    out, room, n, total, lines, left_out, seen = sys.argv[1], float(sys.argv[2]) * 1e6, 0, 0, 0, collections.Counter(), set()
    os.makedirs(out)
    for path in files_of(sys.argv[3:]):
        real = os.path.realpath(path)
        if real in seen or not os.path.isfile(real):
            continue
        seen.add(real)
        text, why = content_of(real)
        if text and total + len(text) > room:
            text, why = None, "too many"
        if why:
            left_out[why] += 1
            continue
        n += 1
        name, whole, mtime = f"{n}.log", text if text.endswith(b"\n") else text + b"\n", os.stat(real).st_mtime_ns
        todo = {name: whole}
        if real.endswith(".gz"):
            with open(real, "rb") as f:
                todo[name + ".gz"] = f.read() if whole is text else gzip.compress(whole)
        for to, what in todo.items():
            with open(os.path.join(out, to), "wb") as f:
                f.write(what)
            os.utime(os.path.join(out, to), ns=(mtime, mtime))
        total += len(whole)
        lines += whole.count(b"\n")
        print(name, list(todo)[-1], whole.count(b"\n"), real)
    print(f"{n} files of {total / 1e6:.1f} MB, {lines} lines; left out: {', '.join(f'{k} {why}' for why, k in left_out.items()) or 'none'}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
