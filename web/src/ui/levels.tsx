/* levels.tsx - how many records of which level there were when: stacked bars. Dragging sets the time range of the page. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Series } from "../api/prometheus.ts";
import { go, type Window } from "../state.ts";
import { fmt, fmtTime, num, type Labels } from "./format.ts";

/** From bad to talkative: the order of the stack, from below. */
export const LEVELS = ["fatal", "critical", "error", "warn", "info", "debug", "trace", "unknown"] as const;

const SAME: Record<string, string> = { err: "error", warning: "warn", emerg: "fatal", alert: "fatal", crit: "critical", notice: "info", information: "info", inf: "info", dbg: "debug", trc: "trace", wrn: "warn", panic: "fatal" };
export function levelOf(...from: (Labels | undefined)[]): string {
    for (const l of from) for (const k of ["detected_level", "level", "severity"]) {
        const v = l?.[k]?.toLowerCase();
        if (!v) continue;
        const known = SAME[v] ?? v;
        return (LEVELS as readonly string[]).includes(known) ? known : "unknown";
    }
    return "unknown";
}

export interface Bars { n: number; start: number; step: number; byLevel: Map<string, number[]>; max: number; total: number }

/** A point at t counts what came in (t - step, t]: it is the bar before it. */
export function bars(series: Series[], w: Window): Bars {
    const n = Math.max(1, Math.round((w.end - w.start) / w.step)), byLevel = new Map<string, number[]>(), sum = new Array<number>(n).fill(0);
    let total = 0;
    for (const s of series) {
        const level = levelOf(s.metric), at = byLevel.get(level) ?? new Array<number>(n).fill(0);
        for (const [t, v] of s.values ?? []) {
            const i = Math.round((t - w.start) / w.step) - 1;
            if (i < 0 || i >= n) continue;
            at[i]! += num(v); sum[i]! += num(v); total += num(v);
        }
        byLevel.set(level, at);
    }
    return { n, start: w.start, step: w.step, byLevel, max: Math.max(1, ...sum), total };
}

const H = 72;

export function LevelBars(props: { bars: Bars }) {
    const b = props.bars, box = useRef<SVGSVGElement>(null), [width, setWidth] = useState(800), [drag, setDrag] = useState<[number, number] | null>(null), [at, setAt] = useState<number | null>(null);
    useEffect(() => {
        const ro = new ResizeObserver((es) => setWidth(Math.max(100, Math.floor(es[0]!.contentRect.width))));
        ro.observe(box.current!.parentElement!);
        return () => ro.disconnect();
    }, []);
    const rects = useMemo(() => {
        const base = new Array<number>(b.n).fill(0), out: preact.JSX.Element[] = [], w = width / b.n;
        for (const level of LEVELS) b.byLevel.get(level)?.forEach((v, i) => {
            if (!v) return;
            const h = Math.max(1, (v / b.max) * (H - 4)), y = H - base[i]! - h;
            base[i]! += h;
            out.push(<rect key={level + i} class={`lv-${level}`} x={i * w + (w > 3 ? 0.5 : 0)} y={Math.max(0, y)} width={Math.max(1, w - (w > 3 ? 1 : 0))} height={h} />);
        });
        return out;
    }, [b, width]);
    const x = (e: PointerEvent) => Math.min(width, Math.max(0, e.clientX - box.current!.getBoundingClientRect().left));
    const time = (px: number) => b.start + (px / width) * b.n * b.step;
    const done = () => {
        if (drag && Math.abs(drag[1] - drag[0]) > 3) go({ from: String(Math.floor(time(Math.min(...drag)))), to: String(Math.ceil(time(Math.max(...drag)))) });
        setDrag(null);
    };
    const counts = at === null ? [] : LEVELS.map((l) => [l, b.byLevel.get(l)?.[at] ?? 0] as const).filter(([, v]) => v > 0);
    return (
        <div class="levels">
            <svg ref={box} width={width} height={H} role="img" aria-label={`${b.total} records by level over time`}
                onPointerDown={(e) => { e.currentTarget.setPointerCapture(e.pointerId); setDrag([x(e), x(e)]); }} onPointerUp={done} onPointerCancel={() => setDrag(null)} onPointerLeave={() => setAt(null)}
                onPointerMove={(e) => { setAt(Math.min(b.n - 1, Math.floor((x(e) / width) * b.n))); if (drag) setDrag([drag[0], x(e)]); }}>
                <line x1="0" x2={width} y1={H - 0.5} y2={H - 0.5} />
                {rects}
                {drag && <rect class="sel" x={Math.min(...drag)} y="0" width={Math.abs(drag[1] - drag[0])} height={H} />}
            </svg>
            <div class="under"><span class="dim">{fmtTime(b.start)}</span>
                <span>{at === null ? <>{[...b.byLevel.keys()].sort((p, q) => LEVELS.indexOf(p as never) - LEVELS.indexOf(q as never)).map((l) => <span key={l} class="key"><i class={`swatch lv-${l}`} /> {l} {fmt(b.byLevel.get(l)!.reduce((p, q) => p + q, 0))}</span>)}</>
                    : <>{fmtTime(b.start + at * b.step)}: {counts.length ? counts.map(([l, v]) => <span key={l} class="key"><i class={`swatch lv-${l}`} /> {l} {fmt(v)}</span>) : "nothing"}</>}</span>
                <span class="dim">{fmtTime(b.start + b.n * b.step)}</span></div>
        </div>
    );
}
