/* explain.tsx - what each part of a query cost: its tree as rows, the part a row is about marked in the query above. */
import { useState } from "preact/hooks";
import { explain, type ExplainNode } from "../api/prometheus.ts";
import { go, instant, rangeOf, usePlace, windowOf } from "../state.ts";
import { byteSpan, fmt, fmtTime } from "../ui/format.ts";
import { useLoad } from "../ui/load.ts";
import { Note } from "../ui/parts.tsx";

interface Row { key: string; n: ExplainNode; depth: number }

function rowsOf(n: ExplainNode, depth = 0, key = "0"): Row[] {
    return [{ key, n, depth }, ...n.children.flatMap((c, i) => rowsOf(c, depth + 1, `${key}.${i}`))];
}

/** Wider than a phone shows is no help: deep trees stop moving right. */
const indent = (depth: number) => `${Math.min(depth, 12) * 16}px`;

function Marked(props: { query: string; at?: ExplainNode }) {
    const [a, b] = props.at ? byteSpan(props.query, props.at.start, props.at.end) : [0, 0];
    return <pre class="span mono">{props.query.slice(0, a)}{b > a && <mark>{props.query.slice(a, b)}</mark>}{props.query.slice(b)}</pre>;
}

function Cells(props: { n: ExplainNode; whole: number }) {
    const { n } = props, known = n.seconds !== undefined, blocks = (n.blocksRead ?? 0) + (n.blocksSkipped ?? 0);
    return (
        <>
            <td class="num" data-th="Series">{known ? fmt(n.series ?? 0) : ""}</td>
            <td class="num" data-th="Samples" title={n.samples === undefined ? "" : `${n.samples}`}>{n.samples === undefined ? "" : fmt(n.samples)}</td>
            <td class="num" data-th="Blocks" title="read of those in the window">{blocks > 0 ? `${n.blocksRead} of ${blocks}` : ""}</td>
            <td class="num" data-th="Memory" title={n.bytes === undefined ? "" : `${n.bytes} bytes`}>{n.bytes ? fmt(n.bytes, "bytes") : ""}</td>
            <td class="num" data-th="Time" title={n.fused ? "all reading threads together" : ""}>{known ? fmt(n.seconds!, "seconds") : ""}</td>
            <td class="share">{known && props.whole > 0 && <progress aria-label="share of the time" max={1} value={Math.min(1, n.seconds! / props.whole)} />}</td>
        </>
    );
}

function Tree(props: { query: string; root: ExplainNode }) {
    const [at, setAt] = useState<ExplainNode | undefined>(undefined);
    return (
        <>
            <Marked query={props.query} at={at} />
            <div class="scroll"><table class="cards tree">
                <thead><tr><th>Operator</th><th class="num">Series</th><th class="num">Samples</th><th class="num">Blocks</th><th class="num">Memory</th><th class="num">Time</th><th /></tr></thead>
                <tbody>{rowsOf(props.root).map(({ key, n, depth }) => (
                    <tr key={key} tabIndex={0} onMouseEnter={() => setAt(n)} onMouseLeave={() => setAt(undefined)} onFocus={() => setAt(n)} onBlur={() => setAt(undefined)}>
                        <td data-th="Operator" style={{ paddingLeft: `calc(8px + ${indent(depth)})` }}><span class="metric">{n.operator}</span>
                            {n.fused && <span class="pill dim" title="worked through series by series with what stands above it">fused</span>}
                            {n.once && <span class="pill dim" title="worked out once for all steps">once</span>}
                            {n.resolution && <span class="pill dim" title="what it was read from: samples (raw), aggregates over 5 minutes or an hour, or some of each">{n.resolution}</span>}</td>
                        <Cells n={n} whole={props.root.seconds ?? 0} />
                    </tr>))}</tbody>
            </table></div>
        </>
    );
}

export function Explain(props: { query: string }) {
    const p = usePlace().params, r = rangeOf(p), single = p.get("of") === "instant";
    const load = useLoad(`${props.query}|${r.from}|${r.to}|explain|${single}`, async (s) => {
        const at = single ? { time: instant(r.to, Date.now() / 1000) } : windowOf(r, 400);
        return { at, a: await explain(props.query, at, s) };
    }, 0);
    const d = load.data?.a.data, at = load.data?.at;
    const info = d && at && `${d.series} series · ${fmt(d.stats.samples.totalQueryableSamples)} samples looked at, ${fmt(d.stats.samples.samplesRead)} read · ${fmt(d.stats.timings.evalTotalTime, "seconds")}`
        + ("time" in at ? ` · at ${fmtTime(at.time)}` : ` · step ${at.step} s`);
    return (
        <div class="panel">
            {load.loading && load.slow && <div class="bar" />}
            <header><span class="dim">{load.loading && load.slow ? "Running …" : info ?? ""}</span><span class="space" />
                {load.loading && load.slow && <button onClick={load.cancel}>Cancel</button>}
                <span class="group" role="group" aria-label="What is explained">
                    <button class={single ? "" : "on"} aria-pressed={!single} onClick={() => go({ of: null })}>Range</button>
                    <button class={single ? "on" : ""} aria-pressed={single} onClick={() => go({ of: "instant" })}>Instant</button></span></header>
            <div class="body">
                {load.error && <Note kind="bad">{load.error.message}</Note>}
                {load.data?.a.notes.map((t) => <Note key={t} kind="warn">{t}</Note>)}
                {d && !load.error && <Tree query={props.query} root={d.explain} />}
            </div>
        </div>
    );
}
