/* log_more.tsx - what the records of a query have in common: their patterns, and the fields in them. */
import { useMemo, useState } from "preact/hooks";
import { detectedFields, fieldValues, patterns, toNs } from "../api/loki.ts";
import { rangeOf, usePlace, windowOf } from "../state.ts";
import { fmt } from "../ui/format.ts";
import { useLoad } from "../ui/load.ts";
import { Empty, Note, Panel } from "../ui/parts.tsx";
import type { Filter } from "./log_rows.tsx";

/** The selector of a query: what patterns and fields are asked of. */
export const selectorOf = (q: string): string => q.match(/\{(?:[^}"`]|"(?:[^"\\]|\\.)*"|`[^`]*`)*\}/)?.[0] ?? "";

function Spark(props: { values: number[] }) {
    const max = Math.max(1, ...props.values), w = 96 / Math.max(1, props.values.length);
    return <svg class="spark" width="96" height="20" aria-hidden="true">{props.values.map((v, i) => <rect key={i} x={i * w} width={Math.max(1, w - 0.5)} y={20 - (v / max) * 20} height={(v / max) * 20} />)}</svg>;
}

export function Patterns(props: { query: string; add: (text: string) => void }) {
    const r = rangeOf(usePlace().params), selector = selectorOf(props.query);
    const load = useLoad(`${selector}|${r.from}|${r.to}|patterns`, async (s) => {
        const w = windowOf(r, 48);
        return { w, rows: (await patterns(selector, toNs(w.start), toNs(w.end), w.step, s)).data };
    });
    const rows = useMemo(() => (load.data?.rows ?? []).map((p) => {
        const w = load.data!.w, at = new Array<number>(Math.round((w.end - w.start) / w.step) + 1).fill(0);
        for (const [t, n] of p.samples) { const i = Math.floor((t - w.start) / w.step); if (i >= 0 && i < at.length) at[i]! += n; }
        return { ...p, at, n: p.samples.reduce((a, [, n]) => a + n, 0) };
    }).sort((a, b) => b.n - a.n), [load.data]);
    const all = rows.reduce((a, p) => a + p.n, 0);
    return (
        <Panel title={`Patterns of ${selector}`} load={load}>
            {rows.length > 0 && <div class="scroll"><table><thead><tr><th class="num">Records</th><th class="num">Share</th><th>Over time</th><th>Level</th><th>Pattern</th><th /></tr></thead>
                <tbody>{rows.map((p) => <tr key={p.pattern + p.level}><td class="num" title={String(p.n)}>{fmt(p.n)}</td><td class="num">{fmt(p.n / all, "percent", 3)}</td><td><Spark values={p.at} /></td><td>{p.level}</td><td class="mono value">{p.pattern}</td>
                    <td class="num"><span class="group"><button title="Only these" onClick={() => props.add(` |> ${quote(p.pattern)}`)}>=</button><button title="Without these" onClick={() => props.add(` !> ${quote(p.pattern)}`)}>≠</button></span></td></tr>)}</tbody></table></div>}
            {load.data && rows.length === 0 && <Empty>No records in this range, or too few that look alike.</Empty>}
        </Panel>
    );
}

const quote = (s: string) => (s.includes("`") ? JSON.stringify(s) : `\`${s}\``);

function Values(props: { name: string; query: string; indexed: boolean; filter: Filter }) {
    const r = rangeOf(usePlace().params);
    const load = useLoad(`${props.name}|${props.query}|${r.from}|${r.to}`, async (s) => {
        const w = windowOf(r, 100);
        return (await fieldValues(props.name, props.query, toNs(w.start), toNs(w.end), s)).values ?? [];
    });
    if (load.error) return <Note kind="bad">{load.error.message}</Note>;
    return <div class="labels">{(load.data ?? []).map((v) => <button key={v} class="mono" onClick={() => props.filter(props.name, v, props.indexed, false)}>{v.length > 80 ? `${v.slice(0, 80)}…` : v || '""'}</button>)}</div>;
}

export function Fields(props: { query: string; filter: Filter }) {
    const r = rangeOf(usePlace().params), [open, setOpen] = useState<string | null>(null);
    const load = useLoad(`${props.query}|${r.from}|${r.to}|fields`, async (s) => {
        const w = windowOf(r, 100);
        return (await detectedFields(props.query, toNs(w.start), toNs(w.end), s)).fields ?? [];
    });
    const rows = [...(load.data ?? [])].sort((a, b) => a.label.localeCompare(b.label));
    return (
        <Panel title="Fields of the newest records" load={load}>
            {rows.length > 0 && <div class="scroll"><table><thead><tr><th>Field</th><th>Type</th><th>From</th><th class="num">Values</th><th /></tr></thead>
                <tbody>{rows.map((f) => <>
                    <tr key={f.label}><td class="mono">{f.label}</td><td>{f.type}</td><td class="dim">{f.parsers?.join(", ") || "metadata"}</td><td class="num">{fmt(f.cardinality)}</td>
                        <td class="num"><button aria-expanded={open === f.label} onClick={() => setOpen(open === f.label ? null : f.label)}>Values</button></td></tr>
                    {open === f.label && <tr key={`${f.label}|values`}><td colSpan={5}><Values name={f.label} query={props.query} indexed={false}
                        filter={(l, v, i, n) => props.filter(f.parsers?.length ? `${f.parsers[0]} | ${l}` : l, v, i, n)} /></td></tr>}</>)}</tbody></table></div>}
            {load.data && rows.length === 0 && <Empty>No fields: these records are plain text without metadata.</Empty>}
        </Panel>
    );
}
