/*
 * chart.tsx - one time chart: lines, a hover that shows every series sorted by value, a legend that is a table. Dragging sets the
 * time range of the page. Gaps are gaps.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Series } from "../api/prometheus.ts";
import { go, type Window } from "../state.ts";
import { assign, COLORS } from "./color.ts";
import { fmt, fmtTime, fmtUTC, labelText, num, type Unit } from "./format.ts";

export interface Line { name: string; color: number; values: (number | null)[] }

/** Query answer -> columns on the window's steps. */
export function lines(series: Series[], w: Window, name: (s: Series) => string = (s) => labelText(s.metric)): { times: number[]; lines: Line[] } {
    const n = Math.round((w.end - w.start) / w.step) + 1, times = Array.from({ length: n }, (_, i) => w.start + i * w.step);
    const names = series.map(name), colors = assign(names);
    return {
        times,
        lines: series.map((s, k) => {
            const values = new Array<number | null>(n).fill(null);
            for (const [t, v] of s.values ?? []) {
                const i = Math.round((t - w.start) / w.step), x = num(v);
                if (i >= 0 && i < n) values[i] = Number.isFinite(x) ? x : null;
            }
            return { name: names[k]!, color: colors[k]!, values };
        }),
    };
}

const BINARY = Array.from({ length: 60 }, (_, i) => 2 ** i); // tick steps that are whole KiB, MiB, ...
const AXIS = 80; // pixels for the numbers on the left
const css = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Enough digits that neighbouring ticks differ. */
const tickDigits = (ts: number[]) => {
    const step = Math.abs((ts[1] ?? 0) - (ts[0] ?? 0)), top = Math.max(...ts.map(Math.abs));
    return step > 0 && top > 0 ? Math.min(12, Math.max(3, Math.ceil(Math.log10(top / step)) + 2)) : 4;
};

/** Local 24-hour clock; the date under the first tick and wherever a day begins. */
const timeTicks = (_u: uPlot, ts: number[]) => {
    const span = (ts[ts.length - 1] ?? 0) - (ts[0] ?? 0), step = (ts[1] ?? 0) - (ts[0] ?? 0), two = (n: number) => String(n).padStart(2, "0");
    let day = "";
    return ts.map((t) => {
        const d = new Date(t * 1000), date = `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
        const clock = `${two(d.getHours())}:${two(d.getMinutes())}${step < 60 ? `:${two(d.getSeconds())}` : ""}`;
        const text = date === day ? clock : step >= 86400 && span >= 86400 ? date.slice(5) : `${clock}\n${date}`;
        day = date;
        return text;
    });
};

function options(ls: Line[], shown: boolean[], width: number, height: number, unit: Unit, area: boolean, hover: (u: uPlot) => void): uPlot.Options {
    const dim = css("--dim"), grid = { stroke: css("--line"), width: 1 }, font = `12px ${css("--sans")}`;
    const flat = ls.flatMap((l, i) => (shown[i] ? l.values : [])).filter((v): v is number => v !== null);
    const low = flat.length ? flat.reduce((a, b) => Math.min(a, b)) : 0, high = flat.length ? flat.reduce((a, b) => Math.max(a, b)) : 1;
    const fromZero = low >= 0 && (high === 0 || low / high < 0.7); // a sensible base: zero unless that would flatten everything
    return {
        width, height, legend: { show: false }, cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } }, padding: [8, 8, 0, 0],
        scales: { x: { time: true }, y: { range: (_u, min, max) => {
            if (min === null || max === null) return [0, 1];
            const pad = (max - min || Math.abs(max) || 1) * 0.08;
            return [fromZero ? 0 : min - pad, max + pad];
        } } },
        axes: [{ stroke: dim, grid, ticks: grid, font, values: timeTicks, space: 72 },
            { stroke: dim, grid, ticks: grid, font, size: AXIS, ...(unit === "bytes" || unit === "bytespersec" ? { incrs: BINARY } : {}), values: (_u, ts) => { const d = tickDigits(ts); return ts.map((v) => fmt(v, unit, d)); } }],
        series: [{}, ...ls.map((l, i): uPlot.Series => ({ stroke: COLORS[l.color], width: 1.5, show: shown[i], spanGaps: false, points: { show: false }, fill: area ? COLORS[l.color] + "22" : undefined }))],
        hooks: { setCursor: [hover], setSelect: [(u) => {
            if (u.select.width < 4) return;
            const a = u.posToVal(u.select.left, "x"), b = u.posToVal(u.select.left + u.select.width, "x");
            u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            go({ from: Math.floor(a).toString(), to: Math.ceil(b).toString() });
        }] },
    };
}

interface Tip { left: number; top: number; right: boolean; time: number; rows: { name: string; color: number; v: number }[]; more: number }
const TIP_ROWS = 12;

export function Chart(props: { times: number[]; lines: Line[]; unit: Unit; height?: number; legend?: boolean; area?: boolean }) {
    const box = useRef<HTMLDivElement>(null), plot = useRef<uPlot | null>(null);
    const [width, setWidth] = useState(0), [tip, setTip] = useState<Tip | null>(null), [picked, setPicked] = useState<Set<string>>(new Set()), [theme, setTheme] = useState(0);
    const shown = props.lines.map((l) => picked.size === 0 || picked.has(l.name)), shownKey = shown.join();
    useEffect(() => {
        const ro = new ResizeObserver((es) => setWidth(Math.floor(es[0]!.contentRect.width)));
        ro.observe(box.current!);
        const repaint = () => setTheme((n) => n + 1), mq = matchMedia("(prefers-color-scheme: dark)");
        mq.addEventListener("change", repaint);
        addEventListener("themechange", repaint);
        return () => { ro.disconnect(); mq.removeEventListener("change", repaint); removeEventListener("themechange", repaint); };
    }, []);
    useEffect(() => {
        if (!width) return;
        const hover = (u: uPlot) => {
            const i = u.cursor.idx;
            if (i === null || i === undefined || (u.cursor.left ?? -1) < 0) return setTip(null);
            const all = props.lines.flatMap((l, k) => (shown[k] && l.values[i] !== null && l.values[i] !== undefined ? [{ name: l.name, color: l.color, v: l.values[i] }] : []));
            all.sort((a, b) => b.v - a.v);
            setTip({ left: u.cursor.left! + AXIS, top: u.cursor.top ?? 0, right: u.cursor.left! > width * 0.5, time: props.times[i]!, rows: all.slice(0, TIP_ROWS), more: all.length - TIP_ROWS });
        };
        const u = new uPlot(options(props.lines, shown, width, props.height ?? 280, props.unit, !!props.area, hover), [props.times, ...props.lines.map((l) => l.values)] as uPlot.AlignedData, box.current!);
        plot.current = u;
        return () => u.destroy();
    }, [width, props.lines, props.times, props.unit, shownKey, theme]);
    const pick = (name: string, add: boolean) => setPicked((old) => {
        if (!add) return old.size === 1 && old.has(name) ? new Set() : new Set([name]);
        const s = new Set(old);
        s.has(name) ? s.delete(name) : s.add(name);
        return s;
    });
    return (
        <div>
            <div class="chart" ref={box} onMouseLeave={() => setTip(null)}>
                {tip && tip.rows.length > 0 && (
                    <div class="tip" ref={(el) => { if (el) { el.style.top = `${Math.max(0, tip.top - 24)}px`; if (tip.right) { el.style.left = "auto"; el.style.right = `${width - tip.left + 16}px`; } else { el.style.right = "auto"; el.style.left = `${tip.left + 16}px`; } } }}>
                        <div class="dim" title={fmtUTC(tip.time)}>{fmtTime(tip.time)}</div>
                        <table><tbody>{tip.rows.map((r) => (
                            <tr key={r.name}><td><i class={`swatch c${r.color}`} /></td><td class="name">{r.name}</td><td class="num">{fmt(r.v, props.unit)}</td></tr>))}</tbody></table>
                        {tip.more > 0 && <div class="dim">and {tip.more} more</div>}
                    </div>)}
            </div>
            {props.legend !== false && props.lines.length > 0 && <Legend lines={props.lines} unit={props.unit} shown={shown} pick={pick} />}
        </div>
    );
}

function Legend(props: { lines: Line[]; unit: Unit; shown: boolean[]; pick: (name: string, add: boolean) => void }) {
    const rows = useMemo(() => props.lines.map((l) => {
        let min = Infinity, max = -Infinity, sum = 0, n = 0, last: number | null = null;
        for (const v of l.values) if (v !== null) { min = Math.min(min, v); max = Math.max(max, v); sum += v; n++; last = v; }
        return { l, min, max, mean: n ? sum / n : NaN, last: last ?? NaN };
    }), [props.lines]);
    return (
        <div class="legend"><table>
            <thead><tr><th>Series</th><th class="num">Last</th><th class="num wide">Min</th><th class="num wide">Max</th><th class="num wide">Mean</th></tr></thead>
            <tbody>{rows.slice(0, 500).map((r, i) => (
                <tr key={r.l.name} class={props.shown[i] ? "" : "off"} tabIndex={0} onClick={(e) => props.pick(r.l.name, e.ctrlKey || e.metaKey)}
                    onKeyDown={(e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); props.pick(r.l.name, e.ctrlKey || e.metaKey); } }}>
                    <td class="metric"><i class={`swatch c${r.l.color}`} /> {r.l.name}</td>
                    {[r.last, r.min, r.max, r.mean].map((v, k) => <td class={k ? "num wide" : "num"} title={String(v)}>{fmt(v, props.unit)}</td>)}
                </tr>))}</tbody>
        </table>{rows.length > 500 && <div class="empty">{rows.length - 500} more series are drawn but not listed</div>}</div>
    );
}
