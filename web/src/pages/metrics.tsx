/* metrics.tsx - ask in PromQL: graph, table and costs, as many queries as wanted, all of it in the address (q, q2, ..., tab). */
import { useMemo, useState } from "preact/hooks";
import { queryInstant, queryRange, type QueryData, type Series } from "../api/prometheus.ts";
import { go, instant, rangeOf, usePlace, windowOf } from "../state.ts";
import { Chart, lines } from "../ui/chart.tsx";
import { Explain } from "./explain.tsx";
import { Editor } from "../ui/editor.tsx";
import { fmt, fmtTime, num, parseDuration, unitOf } from "../ui/format.ts";
import { useLoad } from "../ui/load.ts";
import { Empty, Metric, Note } from "../ui/parts.tsx";

const MAX_LINES = 200;
const tabs = { graph: "Graph", table: "Table", explain: "Explain" };
const examples = ["rate(node_cpu_seconds_total[5m])", "node_memory_MemAvailable_bytes", "sum by (job) (up)", "topk(10, count by (__name__) ({__name__=~\".+\"}))"];

export const refreshMs = (p: URLSearchParams) => (parseDuration(p.get("refresh") ?? "") || 0) * 1000;

function Graph(props: { query: string }) {
    const p = usePlace(), r = rangeOf(p.params), every = refreshMs(p.params);
    const load = useLoad(`${props.query}|${r.from}|${r.to}`, async (s) => {
        const w = windowOf(r, 400);
        return { w, a: await queryRange(props.query, w, s) };
    }, every);
    const view = useMemo(() => load.data && lines(load.data.a.data.result.slice(0, MAX_LINES), load.data.w), [load.data]);
    const n = load.data?.a.data.result.length ?? 0;
    return (
        <Answer load={load} notes={load.data?.a.notes} info={load.data && `${n} series · ${Math.round(load.data.a.ms)} ms · step ${load.data.w.step} s`}>
            {view && n > 0 && <Chart times={view.times} lines={view.lines} unit={unitOf(props.query)} height={340} />}
            {n > MAX_LINES && <Note kind="warn">Drawn are the first {MAX_LINES} of {n} series. An aggregation (sum by …) or topk() makes it readable.</Note>}
            {load.data && n === 0 && <Empty>No series has samples in this range. Is the name right, and the time range?</Empty>}
        </Answer>
    );
}

function Answer(props: { load: ReturnType<typeof useLoad<any>>; notes?: string[]; info?: string; children: any }) {
    const { load } = props;
    return (
        <div class="panel">
            {load.loading && load.slow && <div class="bar" />}
            <header><span class="dim">{load.loading && load.slow ? "Running …" : props.info ?? ""}</span><span class="space" />
                {load.loading && load.slow && <button onClick={load.cancel}>Cancel</button>}</header>
            <div class="body">
                {load.error && <Note kind="bad">{load.error.message}</Note>}
                {props.notes?.map((t) => <Note key={t} kind="warn">{t}</Note>)}
                {!load.error && props.children}
            </div>
        </div>
    );
}

type Row = { key: string; s: Series; v: number; text: string };

function rowsOf(d: QueryData): Row[] {
    if (d.resultType === "scalar" || d.resultType === "string") {
        const [, text] = d.result as [number, string];
        return [{ key: "", s: { metric: {} }, v: num(text), text }];
    }
    return (d.result as Series[]).map((s, i) => {
        const text = s.value ? s.value[1] : (s.values ?? []).map(([t, v]) => `${v} @${t}`).join("\n");
        return { key: `${i}`, s, v: s.value ? num(s.value[1]) : NaN, text };
    });
}

function Table(props: { query: string }) {
    const p = usePlace(), r = rangeOf(p.params), [by, setBy] = useState<"" | "v" | "-v">("");
    const load = useLoad(`${props.query}|${r.to}|table`, async (s) => {
        const t = instant(r.to, Date.now() / 1000);
        return { t, a: await queryInstant(props.query, t, s) };
    }, refreshMs(p.params));
    const rows = useMemo(() => {
        const all = load.data ? rowsOf(load.data.a.data) : [];
        return by ? [...all].sort((a, b) => (by === "v" ? a.v - b.v : b.v - a.v)) : all;
    }, [load.data, by]);
    const unit = unitOf(props.query);
    return (
        <Answer load={load} notes={load.data?.a.notes} info={load.data && `${rows.length} rows · ${Math.round(load.data.a.ms)} ms · at ${fmtTime(load.data.t)}`}>
            {rows.length > 0 && <div class="scroll"><table>
                <thead><tr><th>Series</th><th class="num"><button onClick={() => setBy(by === "-v" ? "v" : "-v")}>Value {by === "v" ? "↑" : by === "-v" ? "↓" : ""}</button></th></tr></thead>
                <tbody>{rows.slice(0, 1000).map((x) => <tr key={x.key}><td><Metric metric={x.s.metric} /></td><td class="num mono" title={x.text}>{x.s.values ? x.text.split("\n").slice(0, 20).map((l) => <div>{l}</div>) : Number.isNaN(x.v) ? x.text : fmt(x.v, unit)}</td></tr>)}</tbody>
            </table></div>}
            {rows.length > 1000 && <Note>Listed are the first 1000 of {rows.length} rows.</Note>}
            {load.data && rows.length === 0 && <Empty>Nothing at this instant.</Empty>}
        </Answer>
    );
}

function QueryRow(props: { name: string; query: string; last: boolean }) {
    const tab = usePlace().params.get("tab") ?? "graph", [draft, setDraft] = useState(props.query);
    const run = (text: string) => go({ [props.name]: text || null });
    return (
        <section>
            <div class="query">
                <Editor value={props.query} label="PromQL query" onRun={run} onChange={setDraft} />
                <button class="primary" onClick={() => run(draft.trim())}>Run</button>
                {!props.last && <button aria-label="Remove this query" onClick={() => go({ [props.name]: null })}>✕</button>}
            </div>
            {props.query ? (tab === "table" ? <Table query={props.query} /> : tab === "explain" ? <Explain query={props.query} /> : <Graph query={props.query} />)
                : <Empty>Ask something. Names complete as you type; <kbd>/</kbd> searches all of them.
                    <p class="examples">{examples.map((x) => <button key={x} class="mono" onClick={() => run(x)}>{x}</button>)}</p></Empty>}
        </section>
    );
}

export function Metrics() {
    const p = usePlace().params, tab = p.get("tab") ?? "graph";
    const names = [...p.keys()].filter((k) => /^q\d*$/.test(k)), list = names.length ? names : ["q"];
    const free = () => { for (let i = 2; ; i++) if (!names.includes(`q${i}`)) return `q${i}`; };
    return (
        <>
            <div class="query"><span class="group" role="tablist">
                {Object.entries(tabs).map(([t, name]) => <button key={t} role="tab" aria-selected={tab === t} class={tab === t ? "on" : ""} onClick={() => go({ tab: t === "graph" ? null : t })}>{name}</button>)}</span>
                <span class="space" /></div>
            {list.map((n) => <QueryRow key={n} name={n} query={p.get(n) ?? ""} last={list.length === 1} />)}
            {names.length > 0 && <button onClick={() => go({ [free()]: "up" })}>Add a query</button>}
        </>
    );
}
