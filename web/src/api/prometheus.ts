/* prometheus.ts - the shapes of the metric API. */
import type { Labels } from "../ui/format.ts";
import type { Window } from "../state.ts";
import { call, type Answer } from "./client.ts";

export interface Series { metric: Labels; values?: [number, string][]; value?: [number, string] }
export type QueryData =
    | { resultType: "matrix" | "vector"; result: Series[] }
    | { resultType: "scalar" | "string"; result: [number, string] };

export const queryRange = (query: string, w: Window, signal?: AbortSignal): Promise<Answer<{ resultType: "matrix"; result: Series[] }>> =>
    call("/api/v1/query_range", { query, start: String(w.start), end: String(w.end), step: String(w.step) }, signal, true);
export const queryInstant = (query: string, time: number, signal?: AbortSignal): Promise<Answer<QueryData>> =>
    call("/api/v1/query", { query, time: time.toFixed(3) }, signal, true);

/** Costs are absent where nothing was evaluated: ranges, and what a query did not come to. */
export interface ExplainNode {
    kind: string; operator: string; start: number; end: number; text: string; once?: boolean; children: ExplainNode[];
    series?: number; seconds?: number; fused?: boolean; steps?: number; bytes?: number; runs?: number; samples?: number; blocksRead?: number; blocksSkipped?: number; resolution?: string;
}
export interface Explained {
    resultType: string; series: number; explain: ExplainNode;
    stats: { timings: { evalTotalTime: number; execQueueTime: number }; samples: { totalQueryableSamples: number; samplesRead: number; peakSamples: number } };
}
/** Of a range, or at an instant. */
export const explain = (query: string, at: Window | { time: number }, signal?: AbortSignal): Promise<Answer<Explained>> =>
    call("/api/v1/explain", { query, ...("time" in at ? { time: at.time.toFixed(3) } : { start: String(at.start), end: String(at.end), step: String(at.step) }) }, signal, true);

export interface Target {
    discoveredLabels: Labels; labels: Labels; scrapePool: string; scrapeUrl: string; lastError: string; lastScrape: string; lastScrapeDuration: number;
    health: "up" | "down" | "unknown"; scrapeInterval: string; scrapeTimeout: string;
}
export interface Targets { activeTargets: Target[]; droppedTargets: { discoveredLabels: Labels }[] }
export const targets = (signal?: AbortSignal) => call<Targets>("/api/v1/targets", { state: "active" }, signal);

export interface NameCount { name: string; value: number }
export interface Cardinality {
    headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
    seriesCountByMetricName: NameCount[]; labelValueCountByLabelName: NameCount[]; memoryInBytesByLabelName: NameCount[]; seriesCountByLabelValuePair: NameCount[];
}
export const cardinality = (limit: number, signal?: AbortSignal) => call<Cardinality>("/api/v1/status/tsdb", { limit: String(limit) }, signal);
export const buildinfo = (signal?: AbortSignal) => call<Record<string, string>>("/api/v1/status/buildinfo", {}, signal);
export const runtimeinfo = (signal?: AbortSignal) => call<Record<string, string | number | boolean>>("/api/v1/status/runtimeinfo", {}, signal);
export const flags = (signal?: AbortSignal) => call<Record<string, string>>("/api/v1/status/flags", {}, signal);
export const warnings = (signal?: AbortSignal) => call<{ text: string; since: string }[]>("/api/v1/status/warnings", {}, signal);
export interface Running { id: number; query: string; lang: string; started: string; runningMs: number; bytes: number; samples: number; waiting: boolean }
export const running = (signal?: AbortSignal) => call<Running[]>("/api/v1/status/queries", {}, signal);
export const kill = (id: number) => call<null>(`/api/v1/admin/queries/${id}/kill`, {}, undefined, true);

export const labelValues = (name: string, signal?: AbortSignal) => call<string[]>(`/api/v1/label/${encodeURIComponent(name)}/values`, {}, signal);
export const metadata = (signal?: AbortSignal) => call<Record<string, { type: string; help: string; unit: string }[]>>("/api/v1/metadata", {}, signal);
