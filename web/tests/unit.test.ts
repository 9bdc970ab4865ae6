/* unit.test.ts - formatting, state and colours. Run by web/tests/run-unit.mjs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant, windowOf } from "../src/state.ts";
import { flatten, toNs, toSeconds } from "../src/api/loki.ts";
import { assign } from "../src/ui/color.ts";
import { byteSpan, fmt, fmtDuration, labelText, num, parseDuration, unitOf } from "../src/ui/format.ts";
import { bars, levelOf } from "../src/ui/levels.tsx";
import { isLogQuery, narrow, needles, place } from "../src/ui/logql.ts";
import { rowAt, tops } from "../src/ui/virtual.tsx";
import { visible } from "../src/pages/log_rows.tsx";
import { selectorOf } from "../src/pages/log_more.tsx";

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

test("nanoseconds survive, records come newest first", () => {
    assert.equal(toNs(1700000000.123), "1700000000123000000");
    assert.equal(toSeconds("1700000000123456789"), 1700000000.123);
    const wire = [{ stream: { a: "1" }, values: [["1700000000000000001", "x", { parsed: { k: "v" } }], ["1700000000000000003", "z", {}]] }, { stream: { a: "2" }, values: [["1700000000000000002", "y", {}]] }] as Parameters<typeof flatten>[0];
    assert.deepEqual(flatten(wire).map((e) => e.line), ["z", "y", "x"]);
    assert.deepEqual(flatten(wire, true).map((e) => e.line), ["x", "y", "z"]);
    assert.deepEqual(flatten(wire, true)[0]!.parsed, { k: "v" });
    assert.deepEqual(flatten([{ stream: {}, values: [["9", "old", {}], ["10", "new", {}]] }]).map((e) => e.line), ["new", "old"]);
});

test("what is completed depends on the place", () => {
    assert.deepEqual(place("{"), { kind: "name", typed: "" });
    assert.deepEqual(place('{app="x", na'), { kind: "name", typed: "na" });
    assert.deepEqual(place('{app="x'), { kind: "value", label: "app", typed: "x", selector: "" });
    assert.deepEqual(place('{app="x", pod=~"y'), { kind: "value", label: "pod", typed: "y", selector: '{app="x"}' });
    assert.deepEqual(place('{app="x"} | lo'), { kind: "stage", typed: "lo" });
    assert.equal(place('{app="x"} |= "a { '), null);
    assert.deepEqual(place("sum by (x) (ra"), { kind: "word", typed: "ra" });
});

test("what a query looks for is marked", () => {
    assert.equal(needles('{a="b"}'), null);
    assert.deepEqual("an Error (x) here, err".match(needles('{a="b"} |= "Error (x)" or `err` != "no"')!), ["Error (x)", "err"]);
    assert.deepEqual("took 12ms or 7ms".match(needles('{a="b"} |~ `\\d+ms`')!), ["12ms", "7ms"]);
    assert.ok(needles('{a="b"} |~ "(?i)ERR"')!.test("err"));
});

test("conditions are put where they belong", () => {
    assert.equal(narrow('{a="b"} |= "x"', "c", 'd"', true), '{a="b", c="d\\""} |= "x"');
    assert.equal(narrow("{}", "c", "d", true, true), '{c!="d"}');
    assert.equal(narrow('{a="b"}', "level", "error", false), '{a="b"} | level="error"');
    assert.ok(isLogQuery('{a="b"} | json'));
    assert.ok(!isLogQuery('sum(rate({a="b"}[5m]))'));
    assert.equal(selectorOf('{a="}"} | json | x="{"'), '{a="}"}');
});

test("a list knows which row is where", () => {
    const t = tops(4, 20, new Map([[1, 100]]));
    assert.deepEqual([...t], [0, 20, 120, 140, 160]);
    assert.equal(rowAt(t, 0), 0);
    assert.equal(rowAt(t, 119), 1);
    assert.equal(rowAt(t, 120), 2);
    assert.equal(rowAt(t, 1e9), 3);
    assert.equal(rowAt(tops(0, 20, new Map()), 5), 0);
});

test("bars count by level, before their point", () => {
    const b = bars([{ metric: { detected_level: "error" }, values: [[110, "2"], [120, "1"]] }, { metric: { level: "Warning" }, values: [[110, "3"]] }], { start: 100, end: 120, step: 10 });
    assert.deepEqual([b.n, b.total, b.max], [2, 6, 5]);
    assert.deepEqual(b.byLevel.get("error"), [2, 1]);
    assert.deepEqual(b.byLevel.get("warn"), [3, 0]);
    assert.equal(levelOf({}, { level: "ERR" }), "error");
    assert.equal(levelOf({ level: "weird" }), "unknown");
});

test("control characters are seen and do nothing", () => {
    assert.equal(visible("\u001b[31mred\u001b[0m a\u0000b\u0007"), "red a\u2400b\u2407");
    assert.equal(visible("tab\tnew\nline"), "tab\tnew\nline");
});
