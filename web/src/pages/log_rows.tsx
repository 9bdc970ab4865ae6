/* log_rows.tsx - records as a list: one line a row, the level as a bar, fields in a drawer, what came before and after. */
import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { search, toSeconds, type Entry } from "../api/loki.ts";
import { fmtTime, fmtUTC, type Labels } from "../ui/format.ts";
import { levelOf } from "../ui/levels.tsx";
import { useLoad } from "../ui/load.ts";
import { Note } from "../ui/parts.tsx";
import { Virtual } from "../ui/virtual.tsx";

const LONG = 2000; // characters shown of a line until it is opened

/** Terminal colours are left out and other control characters made visible: nothing in a line acts on the page. */
export function visible(text: string): string {
    return text.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, "").replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, (c) => (c === "\u007f" ? "\u2421" : String.fromCharCode(0x2400 + c.charCodeAt(0))));
}

export function Marked(props: { text: string; marks: RegExp | null }) {
    if (!props.marks) return <>{props.text}</>;
    const out: ComponentChildren[] = [];
    let from = 0;
    for (const m of props.text.matchAll(props.marks)) {
        if (!m[0]) continue;
        out.push(props.text.slice(from, m.index), <mark>{m[0]}</mark>);
        from = m.index! + m[0].length;
    }
    out.push(props.text.slice(from));
    return <>{out}</>;
}

export type Filter = (label: string, value: string, indexed: boolean, not: boolean) => void;

function FieldRows(props: { title: string; labels: Labels; indexed: boolean; filter?: Filter }) {
    const keys = Object.keys(props.labels).sort();
    if (!keys.length) return null;
    return <>{keys.map((k, i) => (
        <tr key={props.title + k}><td class="dim kind">{i ? "" : props.title}</td><td class="mono">{k}</td><td class="mono value">{visible(props.labels[k]!)}</td>
            <td class="num">{props.filter && <span class="group">
                <button aria-label={`Only ${k}=${props.labels[k]}`} title="Only these" onClick={() => props.filter!(k, props.labels[k]!, props.indexed, false)}>=</button>
                <button aria-label={`Without ${k}=${props.labels[k]}`} title="Without these" onClick={() => props.filter!(k, props.labels[k]!, props.indexed, true)}>≠</button></span>}</td></tr>))}</>;
}

/** The records of the same stream around one: ten before, ten after. */
function Context(props: { entry: Entry }) {
    const e = props.entry, selector = `{${Object.entries(e.stream).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(", ")}}`, hour = 3600n * 1000000000n;
    const load = useLoad(`${selector}|${e.ns}`, async (s) => {
        const at = BigInt(e.ns);
        const [before, after] = await Promise.all([search({ query: selector, start: String(at - hour), end: e.ns, limit: 10 }, s), search({ query: selector, start: e.ns, end: String(at + hour), limit: 11, forward: true }, s)]);
        return [...[...(before.data.entries ?? [])].reverse(), ...(after.data.entries ?? [])];
    });
    if (load.error) return <Note kind="bad">{load.error.message}</Note>;
    return <div class="context">{load.data?.map((x, i) => <div key={i} class={x.ns === e.ns && x.line === e.line ? "here" : ""}><span class="dim">{clock(x.ns)}</span> {visible(x.line).slice(0, LONG)}</div>)}</div>;
}

function Drawer(props: { entry: Entry; filter?: Filter }) {
    const e = props.entry, [around, setAround] = useState(false), trace = e.meta.trace_id ?? e.parsed.trace_id;
    return (
        <div class="drawer">
            <div class="query"><button onClick={() => setAround(!around)} aria-expanded={around}>Before and after</button>
                <button onClick={() => void navigator.clipboard?.writeText(e.line)}>Copy the line</button>
                {trace && props.filter && <button onClick={() => props.filter!("trace_id", trace, false, false)}>All of this trace</button>}
                <span class="dim mono">{fmtUTC(toSeconds(e.ns))} · {e.ns} ns</span></div>
            {around && <Context entry={e} />}
            {e.line.length > LONG && <pre class="whole">{visible(e.line)}</pre>}
            <table class="fields"><tbody>
                <FieldRows title="Labels" labels={e.stream} indexed={true} filter={props.filter} />
                <FieldRows title="Metadata" labels={e.meta} indexed={false} filter={props.filter} />
                <FieldRows title="Found in the line" labels={e.parsed} indexed={false} filter={props.filter} /></tbody></table>
        </div>
    );
}

const clock = (ns: string) => `${fmtTime(toSeconds(ns))}.${ns.slice(-9, -6)}`;

export function LogRows(props: { entries: Entry[]; marks: RegExp | null; wrap: boolean; epoch: string; filter?: Filter; end?: ComponentChildren; onTop?: (atTop: boolean) => void }) {
    const [open, setOpen] = useState<Set<string>>(new Set());
    const key = (e: Entry) => `${e.ns}|${e.line.length}|${e.line.slice(0, 64)}`;
    const toggle = (e: Entry) => setOpen((old) => { const s = new Set(old), k = key(e); s.has(k) ? s.delete(k) : s.add(k); return s; });
    const epoch = useMemo(() => `${props.epoch}|${props.wrap}`, [props.epoch, props.wrap]);
    return (
        <Virtual class={`logs ${props.wrap ? "wrap" : ""}`} n={props.entries.length} guess={20} epoch={epoch} onTop={props.onTop} end={props.end} row={(i) => {
            const e = props.entries[i]!, is = open.has(key(e)), text = visible(e.line);
            return (
                <>
                    <div class={`row ${is ? "open" : ""}`} role="button" tabIndex={0} aria-expanded={is} onClick={() => { if (!getSelection()?.toString()) toggle(e); }}
                        onKeyDown={(k) => { if (k.key === "Enter") toggle(e); }}>
                        <i class={`lv lv-${levelOf(e.meta, e.parsed, e.stream)}`} title={levelOf(e.meta, e.parsed, e.stream)} />
                        <time title={fmtUTC(toSeconds(e.ns))}>{clock(e.ns)}</time>
                        <span class="line"><Marked text={text.length > LONG ? text.slice(0, LONG) + " …" : text} marks={props.marks} /></span>
                    </div>
                    {is && <Drawer entry={e} filter={props.filter} />}
                </>
            );
        }} />
    );
}
