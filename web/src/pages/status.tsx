/* status.tsx - how this process is doing: warnings, what is stored, what runs, cardinality, flags. */
import { buildinfo, cardinality, flags, kill, running, runtimeinfo, warnings, type NameCount } from "../api/prometheus.ts";
import { go, usePlace } from "../state.ts";
import { fmt, fmtTime } from "../ui/format.ts";
import { useLoad } from "../ui/load.ts";
import { Note, Panel } from "../ui/parts.tsx";
import { refreshMs } from "./metrics.tsx";

function Counts(props: { title: string; rows: NameCount[]; bytes?: boolean; query?: (name: string) => string }) {
    const max = props.rows[0]?.value || 1;
    return (
        <Panel title={props.title}><table><tbody>{props.rows.map((r) => (
            <tr key={r.name}><td class="metric">{props.query ? <a href={`/metrics-explorer?tab=table&q=${encodeURIComponent(props.query(r.name))}`}>{r.name}</a> : r.name}</td>
                <td><progress value={r.value} max={max} aria-hidden="true" /></td><td class="num" title={String(r.value)}>{fmt(r.value, props.bytes ? "bytes" : "none")}</td></tr>))}</tbody></table></Panel>
    );
}

const pairQuery = (pair: string) => { const at = pair.indexOf("="); return `count by (__name__) ({${pair.slice(0, at)}=${JSON.stringify(pair.slice(at + 1))}})`; };

function Queries() {
    const load = useLoad("running", (s) => running(s), 2000), list = load.data?.data ?? [];
    return (
        <Panel title={`Running queries (${list.length})`} load={load}>
            {list.length === 0 ? <span class="dim">None at this moment.</span> : <table><thead><tr><th>Query</th><th class="num">For</th><th class="num">Memory</th><th class="num">Samples</th><th /></tr></thead>
                <tbody>{list.map((q) => <tr key={q.id}><td class="mono">{q.query}</td><td class="num">{fmt(q.runningMs / 1000, "seconds")}</td><td class="num">{fmt(q.bytes, "bytes")}</td><td class="num">{fmt(q.samples)}</td>
                    <td><button onClick={() => { void kill(q.id).finally(load.reload); }}>Stop</button></td></tr>)}</tbody></table>}
        </Panel>
    );
}

function Facts(props: { title: string; facts: Record<string, unknown>; load: ReturnType<typeof useLoad<any>> }) {
    return <Panel title={props.title} load={props.load}><div class="scroll"><table><tbody>{Object.entries(props.facts).map(([k, v]) => <tr key={k}><td class="mono">{k}</td><td class="mono">{String(v)}</td></tr>)}</tbody></table></div></Panel>;
}

export function Status() {
    const p = usePlace().params, limit = Number(p.get("limit") ?? 10) || 10, every = refreshMs(p);
    const w = useLoad("warnings", (s) => warnings(s), every || 5000), c = useLoad(`card${limit}`, (s) => cardinality(limit, s), every);
    const b = useLoad("build", (s) => buildinfo(s)), r = useLoad("runtime", (s) => runtimeinfo(s), every), f = useLoad("flags", (s) => flags(s));
    const d = c.data?.data, h = d?.headStats;
    return (
        <>
            {w.data?.data.map((x) => <Note key={x.text} kind="warn">{x.text}</Note>)}
            {h && <div class="stats">
                <div class="stat"><b>{fmt(h.numSeries)}</b><span>series in memory</span></div>
                <div class="stat"><b>{fmt(h.numLabelPairs)}</b><span>label pairs</span></div>
                <div class="stat"><b>{h.minTime > 0 && h.minTime < 9e15 ? fmtTime(h.minTime / 1000) : "–"}</b><span>oldest sample in memory</span></div>
                <div class="stat"><b>{h.maxTime > 0 ? fmtTime(h.maxTime / 1000) : "–"}</b><span>newest sample</span></div>
            </div>}
            <Queries />
            <h2>Cardinality <span class="group">{[10, 25, 100].map((n) => <button key={n} class={limit === n ? "on" : ""} onClick={() => go({ limit: n === 10 ? null : String(n) })}>{n}</button>)}</span></h2>
            {c.error && <Note kind="bad">{c.error.message}</Note>}
            {d && <div class="grid">
                <Counts title="Series by metric" rows={d.seriesCountByMetricName} query={(n) => (/^[a-zA-Z_:][\w:]*$/.test(n) ? n : `{__name__=${JSON.stringify(n)}}`)} />
                <Counts title="Values by label" rows={d.labelValueCountByLabelName} query={(n) => `count by (${n}) ({${n}!=""})`} />
                <Counts title="Memory by label" rows={d.memoryInBytesByLabelName} bytes />
                <Counts title="Series by label pair" rows={d.seriesCountByLabelValuePair} query={pairQuery} />
            </div>}
            <p />
            <Facts title="Build" facts={b.data?.data ?? {}} load={b} />
            <Facts title="Runtime" facts={r.data?.data ?? {}} load={r} />
            <Facts title="Flags" facts={f.data?.data ?? {}} load={f} />
        </>
    );
}
