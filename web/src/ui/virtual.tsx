/*
 * virtual.tsx - a list of any length of which only what is in sight exists. Rows may differ in height: they are taken for `guess` pixels
 * until they have been seen, and what is in sight stays where it is when that turns out otherwise.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

const BEYOND = 400; // pixels drawn above and below

/** Where rows begin: sums[i] is the top of row i. heights: of those that were seen. */
export function tops(n: number, guess: number, heights: Map<number, number>): Float64Array {
    const sums = new Float64Array(n + 1);
    for (let i = 0; i < n; i++) sums[i + 1] = sums[i]! + (heights.get(i) ?? guess);
    return sums;
}

/** The last row that begins at or above y. */
export function rowAt(sums: Float64Array, y: number): number {
    let lo = 0, hi = sums.length - 2;
    while (lo < hi) {
        const mid = (lo + hi + 1) >> 1;
        if (sums[mid]! <= y) lo = mid; else hi = mid - 1;
    }
    return Math.max(0, lo);
}

/** epoch: changes when rows are others or look otherwise, so that what was measured is forgotten. */
export function Virtual(props: { n: number; guess: number; epoch: string; row: (i: number) => ComponentChildren; end?: ComponentChildren; class?: string; onTop?: (atTop: boolean) => void }) {
    const box = useRef<HTMLDivElement>(null), inner = useRef<HTMLDivElement>(null), heights = useRef(new Map<number, number>());
    const [view, setView] = useState({ top: 0, height: 600 }), [measured, setMeasured] = useState(0), epoch = useRef(props.epoch);
    if (epoch.current !== props.epoch) { heights.current = new Map(); epoch.current = props.epoch; }
    const sums = useMemo(() => tops(props.n, props.guess, heights.current), [props.n, props.guess, props.epoch, measured]);
    useEffect(() => {
        const el = box.current!, look = () => setView({ top: el.scrollTop, height: el.clientHeight });
        const ro = new ResizeObserver(look);
        ro.observe(el);
        el.addEventListener("scroll", look, { passive: true });
        return () => { ro.disconnect(); el.removeEventListener("scroll", look); };
    }, []);
    useEffect(() => props.onTop?.(view.top < 8), [view.top < 8]);
    const first = rowAt(sums, Math.max(0, view.top - BEYOND)), last = Math.min(props.n - 1, rowAt(sums, view.top + view.height + BEYOND));
    useLayoutEffect(() => {
        const el = inner.current!;
        el.style.paddingTop = `${sums[first] ?? 0}px`;
        el.style.paddingBottom = `${Math.max(0, (sums[props.n] ?? 0) - (sums[last + 1] ?? 0))}px`;
        let changed = false, above = 0;
        for (const child of Array.from(el.children) as HTMLElement[]) {
            const i = Number(child.dataset.i), h = child.offsetHeight, was = heights.current.get(i) ?? props.guess;
            if (h === was) continue;
            if (sums[i]! < view.top) above += h - was;
            heights.current.set(i, h);
            changed = true;
        }
        if (above) box.current!.scrollTop += above;
        if (changed) setMeasured((k) => k + 1);
    });
    const rows = [];
    for (let i = first; i <= last && i < props.n; i++) rows.push(<div key={i} data-i={i}>{props.row(i)}</div>);
    return <div class={`virtual ${props.class ?? ""}`} ref={box} tabIndex={0}><div ref={inner}>{rows}</div>{props.end}</div>;
}
