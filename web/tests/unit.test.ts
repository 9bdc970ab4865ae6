/* unit.test.ts - formatting, state and colours. Run by web/tests/run-unit.mjs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant, windowOf } from "../src/state.ts";
import { assign } from "../src/ui/color.ts";
import { byteSpan, fmt, fmtDuration, labelText, num, parseDuration, unitOf } from "../src/ui/format.ts";

test("numbers have at most four digits and a unit", () => {
    assert.equal(fmt(2), "2");
    assert.equal(fmt(0), "0");
    assert.equal(fmt(0.123456), "0.1235");
    assert.equal(fmt(1234), "1234");
    assert.equal(fmt(123456), "123.5 k");
    assert.equal(fmt(0.00042), "420 µ");
    assert.equal(fmt(-1536, "bytes"), "-1.5 KiB");
    assert.equal(fmt(3 * 2 ** 30, "bytes"), "3 GiB");
    assert.equal(fmt(0.0123, "seconds"), "12.3 ms");
    assert.equal(fmt(0.5, "percent"), "50 %");
    assert.equal(fmt(NaN), "NaN");
    assert.equal(fmt(num("+Inf")), "+Inf");
    assert.equal(fmt(68.7312, "none", 6), "68.7312");
});

test("durations read and print", () => {
    assert.equal(parseDuration("1h30m"), 5400);
    assert.equal(parseDuration("250ms"), 0.25);
    assert.ok(Number.isNaN(parseDuration("x")));
    assert.equal(fmtDuration(7200), "2h");
    assert.equal(fmtDuration(90), "90s");
});

test("instants", () => {
    assert.equal(instant("now", 1000), 1000);
    assert.equal(instant("now-5m", 1000), 700);
    assert.equal(instant("1700000000", 0), 1700000000);
    assert.equal(instant("1700000000000", 0), 1700000000);
    assert.ok(Number.isNaN(instant("yesterday", 0)));
});

test("a window is aligned to its step and about as fine as asked", () => {
    const w = windowOf({ from: "now-1h", to: "now" }, 400, 1700000003);
    assert.equal(w.step, 10);
    assert.equal(w.start % w.step, 0);
    assert.equal(w.end % w.step, 0);
    assert.ok(w.end >= 1700000003 && w.end < 1700000003 + w.step && w.end - w.start >= 3580);
    const bad = windowOf({ from: "now", to: "now-1h" }, 100, 1700000000);
    assert.ok(bad.start < bad.end);
});

test("labels print as PromQL", () => {
    assert.equal(labelText({ __name__: "up", job: 'a"b' }), 'up{job="a\\"b"}');
    assert.equal(labelText({ "a.b": "c" }), '{"a.b"="c"}');
    assert.equal(labelText({ __name__: "up" }), "up");
    assert.equal(labelText({}), "{}");
});

test("spans in bytes are found in the string", () => {
    const cut = (s: string, a: number, b: number) => s.slice(...byteSpan(s, a, b));
    assert.equal(cut("sum(up)", 4, 6), "up");
    assert.equal(cut('{a="é"} + up', 11, 13), "up");
    assert.equal(cut('{a="😀"} + up', 13, 15), "up");
    assert.equal(cut("up", 0, 99), "up");
});

test("units by name", () => {
    assert.equal(unitOf("node_memory_MemFree_bytes"), "bytes");
    assert.equal(unitOf("rate(x_bytes_total[5m])"), "bytespersec");
    assert.equal(unitOf("rate(http_requests_total[5m])"), "persec");
    assert.equal(unitOf("histogram_quantile(0.9, rate(x_seconds_bucket[5m]))"), "seconds");
});

test("colours stay and do not meet among ten", () => {
    const keys = ["a", "b", "c", "d", "e", "f", "g"];
    const c = assign(keys);
    assert.equal(new Set(c).size, keys.length);
    assert.deepEqual(assign(keys), c);
    assert.equal(assign(["a"])[0], c[0]);
});
