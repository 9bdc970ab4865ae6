/* loki.ts - the shapes of the log API. Times go in and out as nanoseconds in strings: they do not fit into a number. */
import type { Labels } from "../ui/format.ts";
import type { Window } from "../state.ts";
import { ApiError, call, type Answer } from "./client.ts";
import type { Series } from "./prometheus.ts";

/** A record: where it comes from (stream), what was sent with it (meta) and what the query found in it (parsed). */
export interface Entry { ns: string; line: string; stream: Labels; meta: Labels; parsed: Labels }

type Wire = { stream: Labels; values: [string, string, { structuredMetadata?: Labels; parsed?: Labels }][] };
type Data = { resultType: "streams"; result: Wire[]; stats?: Stats } | { resultType: "matrix"; result: Series[]; stats?: Stats };
export interface Stats { summary?: { totalBytesProcessed?: number; totalLinesProcessed?: number; execTime?: number } }
export type Found = { entries: Entry[]; series?: undefined; stats?: Stats } | { entries?: undefined; series: Series[]; stats?: Stats };

export const toNs = (seconds: number): string => BigInt(Math.round(seconds * 1e3)) * 1000000n + "";
export const toSeconds = (ns: string): number => Number(ns.slice(0, -6) || "0") / 1e3;

/** Newest first (or oldest first, forward); of equal times the order of the answer. */
export function flatten(result: Wire[], forward = false): Entry[] {
    const all = result.flatMap((s) => s.values.map(([ns, line, more]): Entry => ({ ns, line, stream: s.stream, meta: more?.structuredMetadata ?? {}, parsed: more?.parsed ?? {} })));
    const cmp = (a: string, b: string) => (a.length - b.length) || (a < b ? -1 : a > b ? 1 : 0);
    return all.sort((a, b) => (forward ? cmp(a.ns, b.ns) : cmp(b.ns, a.ns)));
}

export interface Ask { query: string; start: string; end: string; limit: number; forward?: boolean; step?: number }

/** Records, or series where the query is one over numbers. */
export async function search(a: Ask, signal?: AbortSignal): Promise<Answer<Found>> {
    const form = { query: a.query, start: a.start, end: a.end, limit: String(a.limit), direction: a.forward ? "forward" : "backward", ...(a.step ? { step: `${a.step}s` } : {}) };
    const r = await call<Data>("/loki/api/v1/query_range", form, signal, true, { "X-Loki-Response-Encoding-Flags": "categorize-labels" });
    const d = r.data;
    return { ...r, data: d.resultType === "streams" ? { entries: flatten(d.result, a.forward), stats: d.stats } : { series: d.result, stats: d.stats } };
}

/** Records by level over the window: what the bars show. */
export const volume = (query: string, w: Window, signal?: AbortSignal): Promise<Answer<Data>> =>
    call("/loki/api/v1/query_range", { query: `sum by (level, detected_level) (count_over_time(${query} | drop __error__ [${w.step}s]))`, start: toNs(w.start), end: toNs(w.end), step: `${w.step}s` }, signal, true);

const plain = async <T>(path: string, params: Record<string, string>, signal?: AbortSignal): Promise<T> => {
    const res = await fetch(`${path}?${new URLSearchParams(params)}`, { signal }), text = await res.text();
    if (!res.ok) throw new ApiError(text.trim() || `HTTP ${res.status}`, "http", res.status);
    return JSON.parse(text) as T;
};

export const labelNames = (start: string, end: string, query?: string, signal?: AbortSignal) =>
    call<string[]>("/loki/api/v1/labels", { start, end, ...(query ? { query } : {}) }, signal);
export const labelValues = (name: string, start: string, end: string, query?: string, signal?: AbortSignal) =>
    call<string[]>(`/loki/api/v1/label/${encodeURIComponent(name)}/values`, { start, end, ...(query ? { query } : {}) }, signal);

export interface Field { label: string; type: string; cardinality: number; parsers: string[] | null }
export const detectedFields = (query: string, start: string, end: string, signal?: AbortSignal) =>
    plain<{ fields: Field[] | null }>("/loki/api/v1/detected_fields", { query, start, end, line_limit: "2000", limit: "500" }, signal);
export const fieldValues = (name: string, query: string, start: string, end: string, signal?: AbortSignal) =>
    plain<{ values: string[] | null }>(`/loki/api/v1/detected_field/${encodeURIComponent(name)}/values`, { query, start, end, limit: "20" }, signal);
export interface Pattern { pattern: string; level?: string; samples: [number, number][] }
export const patterns = (query: string, start: string, end: string, step: number, signal?: AbortSignal) =>
    call<Pattern[]>("/loki/api/v1/patterns", { query, start, end, step: `${step}s` }, signal);

export interface Tailed { streams: { stream: Labels; values: [string, string][] }[]; dropped_entries?: { labels: Labels; timestamp: string }[] }
export function tail(query: string, on: { rows: (e: Entry[], dropped: number) => void; closed: (reason: string) => void }): () => void {
    const ws = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/loki/api/v1/tail?${new URLSearchParams({ query, limit: "100" })}`);
    let over = false;
    ws.onmessage = (m) => {
        const t = JSON.parse(m.data as string) as Tailed;
        const wire = (t.streams ?? []).map((s) => ({ stream: s.stream, values: s.values.map(([ns, line]) => [ns, line, {}] as [string, string, object]) }));
        on.rows(flatten(wire), t.dropped_entries?.length ?? 0);
    };
    ws.onclose = (e) => { if (!over) on.closed(e.reason || (e.code === 1006 ? "the connection was lost" : `closed (${e.code})`)); };
    return () => { over = true; ws.close(1000); };
}
