/* state.ts - the address is the state: path, and every choice as a query parameter. Back, forward, share and reload just work. */
import { useEffect, useState } from "preact/hooks";
import { parseDuration } from "./ui/format.ts";

export interface Place { path: string; params: URLSearchParams }

const listeners = new Set<() => void>();
export const place = (): Place => ({ path: location.pathname, params: new URLSearchParams(location.search) });

/** Changes parameters (null removes) and, with path, the page. replace: no new step in the history. */
export function go(change: Record<string, string | null>, path?: string, replace = false): void {
    const p = new URLSearchParams(location.search);
    if (path !== undefined && path !== location.pathname) for (const k of [...p.keys()]) if (!["from", "to", "refresh"].includes(k)) p.delete(k);
    for (const [k, v] of Object.entries(change)) v === null || v === "" ? p.delete(k) : p.set(k, v);
    const q = p.toString(), url = (path ?? location.pathname) + (q ? `?${q}` : "");
    if (url === location.pathname + location.search) return;
    history[replace ? "replaceState" : "pushState"](null, "", url);
    listeners.forEach((f) => f());
}

export function usePlace(): Place {
    const [, tick] = useState(0);
    useEffect(() => {
        const f = () => tick((n) => n + 1);
        listeners.add(f);
        addEventListener("popstate", f);
        return () => { listeners.delete(f); removeEventListener("popstate", f); };
    }, []);
    return place();
}

/** A link that changes the page without loading it anew. */
export function follow(ev: MouseEvent): void {
    const a = (ev.target as Element).closest("a");
    if (!a || ev.defaultPrevented || ev.button !== 0 || ev.metaKey || ev.ctrlKey || ev.shiftKey || a.origin !== location.origin || a.target) return;
    ev.preventDefault();
    const to = new URL(a.href), here = place().params;
    for (const k of ["from", "to", "refresh"]) if (!to.searchParams.has(k) && here.has(k)) to.searchParams.set(k, here.get(k)!);
    const url = to.pathname + to.search;
    if (url !== location.pathname + location.search) history.pushState(null, "", url);
    listeners.forEach((f) => f());
}

/* --- the one time range --------------------------------------------------------------------------- */

export interface Range { from: string; to: string }

export const rangeOf = (p: URLSearchParams): Range => ({ from: p.get("from") ?? "now-1h", to: p.get("to") ?? "now" });

/** Seconds since the epoch of "now", "now-15m", "1700000000" or a local date and time; NaN if it is none. */
export function instant(text: string, now: number): number {
    if (text === "now") return now;
    const m = text.match(/^now-(.+)$/);
    if (m) return now - parseDuration(m[1]!);
    if (/^\d+(\.\d+)?$/.test(text)) return Number(text) > 1e11 ? Number(text) / 1000 : Number(text);
    return Date.parse(text.trim().replace(" ", "T")) / 1000;
}

export interface Window { start: number; end: number; step: number }

/**
 * Start, end and a step that gives about `points` points, aligned so that a refresh moves points by whole steps. The end is rounded up: the
 * newest sample is in the picture at once, also when collecting began a moment ago.
 */
export function windowOf(r: Range, points: number, now = Date.now() / 1000): Window {
    let end = instant(r.to, now), start = instant(r.from, now);
    if (!Number.isFinite(end)) end = now;
    if (!Number.isFinite(start) || start >= end) start = end - 3600;
    const nice = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
    const want = (end - start) / points, step = nice.find((s) => s >= want) ?? Math.ceil(want / 86400) * 86400;
    return { start: Math.ceil(start / step) * step, end: Math.ceil(end / step) * step, step };
}
