/* logs.tsx - ask in LogQL: how many when, the records newest first, live, their patterns and fields. Everything is in the address (q, tab, live, wrap). */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { labelValues, search, tail, toNs, volume, type Entry } from "../api/loki.ts";
import { go, instant, rangeOf, usePlace, windowOf } from "../state.ts";
import { Chart, lines } from "../ui/chart.tsx";
import { Editor, type Language } from "../ui/editor.tsx";
import { fmt, unitOf } from "../ui/format.ts";
import { bars, LevelBars } from "../ui/levels.tsx";
import { useLoad } from "../ui/load.ts";
import { isLogQuery, narrow, needles } from "../ui/logql.ts";
import { Empty, Note } from "../ui/parts.tsx";
import { Fields, Patterns, selectorOf } from "./log_more.tsx";
import { LogRows, type Filter } from "./log_rows.tsx";
import { refreshMs } from "./metrics.tsx";

const PAGE = 1000, LIVE_MAX = 5000;
const tabs = { records: "Records", patterns: "Patterns", fields: "Fields" };

function rangeNs(from: string, to: string): [string, string] {
    const now = Date.now() / 1000, end = instant(to, now), start = instant(from, now);
    return [toNs(Number.isFinite(start) ? start : now - 3600), toNs(Number.isFinite(end) ? end : now)];
}

function Volume(props: { query: string }) {
    const p = usePlace(), r = rangeOf(p.params);
    const load = useLoad(`${props.query}|${r.from}|${r.to}|volume`, async (s) => {
        const w = windowOf(r, 120), a = await volume(props.query, w, s);
        return bars(a.data.resultType === "matrix" ? a.data.result : [], w);
    }, refreshMs(p.params));
    if (load.error) return null; // the records say what is wrong
    return load.data ? <LevelBars bars={load.data} /> : <div class="levels" />;
}

/** More and more of a window, from its newest record back. */
function useRecords(query: string) {
    const p = usePlace(), r = rangeOf(p.params), [older, setOlder] = useState<{ key: string; rows: Entry[]; busy: boolean; done: boolean; error?: string }>({ key: "", rows: [], busy: false, done: false });
    const key = `${query}|${r.from}|${r.to}`;
    const load = useLoad(key, async (s) => {
        const [start, end] = rangeNs(r.from, r.to), w = windowOf(r, 400);
        return { start, a: await search({ query, start, end, limit: PAGE, step: isLogQuery(query) ? undefined : w.step }, s), w };
    }, refreshMs(p.params));
    const first = load.data?.a.data.entries, more = older.key === key ? older : { key, rows: [], busy: false, done: false, error: undefined };
    const entries = useMemo(() => (first ? [...first, ...more.rows] : undefined), [first, more.rows]);
    const loadOlder = useCallback(async () => {
        const last = entries?.[entries.length - 1];
        if (!last || more.busy) return;
        setOlder({ ...more, busy: true });
        try {
            /* From the last record's very time: those of equal time may not all have been in the page. What is there already is left out. */
            const a = await search({ query, start: load.data!.start, end: String(BigInt(last.ns) + 1n), limit: 5 * PAGE });
            const have = new Set(entries!.filter((e) => e.ns === last.ns).map((e) => e.line)), rows = (a.data.entries ?? []).filter((e) => e.ns !== last.ns || !have.has(e.line));
            setOlder({ key, rows: [...more.rows, ...rows], busy: false, done: rows.length === 0 });
        } catch (e) { setOlder({ ...more, busy: false, error: (e as Error).message }); }
    }, [entries, more, key]);
    return { load, entries, more, loadOlder };
}

function Records(props: { query: string; filter: Filter }) {
    const wrap = usePlace().params.has("wrap"), { load, entries, more, loadOlder } = useRecords(props.query), marks = useMemo(() => needles(props.query), [props.query]);
    const d = load.data?.a.data, stats = d?.stats?.summary;
    const series = d?.series, view = useMemo(() => series && lines(series.slice(0, 200), load.data!.w), [series]);
    return (
        <div class="panel">
            {load.loading && load.slow && <div class="bar" />}
            <header><span class="dim">{load.loading && load.slow ? "Searching …" : load.data ? `${entries ? `${fmt(entries.length)} records` : `${series!.length} series`} · ${stats?.totalLinesProcessed !== undefined ? `${fmt(stats.totalLinesProcessed)} looked at · ` : ""}${Math.round(load.data.a.ms)} ms` : ""}</span><span class="space" />
                {load.loading && load.slow && <button onClick={load.cancel}>Cancel</button>}
                {entries && <button aria-pressed={wrap} class={wrap ? "on" : ""} onClick={() => go({ wrap: wrap ? null : "1" }, undefined, true)}>Wrap</button>}</header>
            {load.error && <div class="body"><Note kind="bad">{load.error.message}</Note></div>}
            {load.data?.a.notes.map((t) => <Note key={t} kind="warn">{t}</Note>)}
            {view && <div class="body">{view.lines.length ? <Chart times={view.times} lines={view.lines} unit={unitOf(props.query)} height={340} /> : <Empty>No records in this range count towards it.</Empty>}</div>}
            {entries && entries.length > 0 && <LogRows entries={entries} marks={marks} wrap={wrap} epoch={`${props.query}|${entries[0]!.ns}`} filter={props.filter}
                end={entries.length >= PAGE && !more.done && <div class="empty"><button disabled={more.busy} onClick={loadOlder}>{more.busy ? "Loading …" : "Older records"}</button>{more.error && <Note kind="bad">{more.error}</Note>}</div>} />}
            {entries?.length === 0 && <Empty>No record in this range fits. A wider range, or fewer conditions?</Empty>}
        </div>
    );
}

function Live(props: { query: string; filter: Filter }) {
    const wrap = usePlace().params.has("wrap"), [rows, setRows] = useState<Entry[]>([]), [dropped, setDropped] = useState(0), [seen, setSeen] = useState(0), [closed, setClosed] = useState(""), [paused, setPaused] = useState(false);
    const held = useRef<Entry[]>([]), hold = useRef(false), marks = useMemo(() => needles(props.query), [props.query]);
    hold.current = paused;
    useEffect(() => {
        setRows([]); setClosed(""); setDropped(0); setSeen(0);
        held.current = [];
        const stop = tail(props.query, {
            rows: (e, lost) => { held.current = [...e, ...held.current].slice(0, LIVE_MAX); setSeen((n) => n + e.length); setDropped((n) => n + lost); },
            closed: setClosed,
        });
        const paint = setInterval(() => {
            if (hold.current || held.current.length === 0) return;
            const next = held.current;
            held.current = [];
            setRows((old) => [...next, ...old].slice(0, LIVE_MAX));
        }, 200);
        return () => { stop(); clearInterval(paint); };
    }, [props.query]);
    return (
        <div class="panel">
            <header><span class={closed ? "bad" : "good"}>{closed ? "Ended" : "● Live"}</span><span class="dim">{fmt(seen)} records{dropped > 0 ? ` · ${fmt(dropped)} left out: they came faster than this page takes them` : ""}</span><span class="space" />
                <button aria-pressed={paused} class={paused ? "on" : ""} onClick={() => setPaused(!paused)}>{paused ? "Go on" : "Pause"}</button>
                <button aria-pressed={wrap} class={wrap ? "on" : ""} onClick={() => go({ wrap: wrap ? null : "1" }, undefined, true)}>Wrap</button></header>
            {closed && <div class="body"><Note kind="bad">{closed}</Note></div>}
            {rows.length > 0 ? <LogRows entries={rows} marks={marks} wrap={wrap} epoch={`${props.query}|${rows[0]!.ns}|${rows.length}`} filter={props.filter} onTop={(top) => { if (!top) setPaused(true); }} />
                : !closed && <Empty>Waiting for records …</Empty>}
        </div>
    );
}

function Start(props: { run: (q: string) => void }) {
    const r = rangeOf(usePlace().params);
    const load = useLoad(`services|${r.from}|${r.to}`, async (s) => (await labelValues("service_name", ...rangeNs(r.from, r.to), undefined, s)).data ?? []);
    if (load.error) return <Note kind="bad">{load.error.message}</Note>;
    if (load.data?.length === 0) return (
        <Empty command={`curl -H 'Content-Type: application/json' ${location.origin}/loki/api/v1/push -d '{"streams":[{"stream":{"app":"try"},"values":[["'$(date +%s%N)'","level=info msg=hello"]]}]}'`}>
            No logs in this range. Point Promtail, Alloy, Fluent Bit, Vector or an OpenTelemetry SDK here, list files under <b>logs:</b> in the configuration, or send a line by hand:</Empty>);
    return <Empty>Ask for a service, a label, any word.<p class="examples">{(load.data ?? []).slice(0, 24).map((v) => <button key={v} class="mono" onClick={() => props.run(`{service_name=${JSON.stringify(v)}}`)}>{v}</button>)}</p></Empty>;
}

export function Logs() {
    const p = usePlace().params, q = p.get("q") ?? "", tab = p.get("tab") ?? "records", live = p.has("live"), [draft, setDraft] = useState(q), place = useRef(p);
    place.current = p;
    const language = useMemo<Language>(() => ({ name: "logql", hint: '{service_name="api"} |= "error"   (Enter runs, Shift-Enter breaks the line)', range: () => { const r = rangeOf(place.current); return rangeNs(r.from, r.to); } }), []);
    const run = (text: string) => go({ q: text.trim() || null });
    const filter: Filter = (label, value, indexed, not) => run(narrow(q, label, value, indexed, not));
    const records = isLogQuery(q);
    return (
        <>
            <div class="query">
                <Editor value={q} label="LogQL query" language={language} onRun={run} onChange={setDraft} />
                <button class="primary" onClick={() => run(draft)}>Run</button>
                <button aria-pressed={live} class={live ? "on" : ""} disabled={!records} onClick={() => go({ live: live ? null : "1" })}>Live</button>
            </div>
            {!q ? <Start run={run} /> : <>
                {records && !live && <Volume query={q} />}
                {records && !live && <div class="query"><span class="group" role="tablist">{Object.entries(tabs).map(([t, name]) => <button key={t} role="tab" aria-selected={tab === t} class={tab === t ? "on" : ""} onClick={() => go({ tab: t === "records" ? null : t })}>{name}</button>)}</span></div>}
                {live && records ? <Live query={q} filter={filter} /> : tab === "patterns" && records ? <Patterns query={q} add={(t) => run(selectorOf(q) + t + q.slice(q.indexOf(selectorOf(q)) + selectorOf(q).length))} />
                    : tab === "fields" && records ? <Fields query={q} filter={filter} /> : <Records query={q} filter={filter} />}
            </>}
        </>
    );
}
