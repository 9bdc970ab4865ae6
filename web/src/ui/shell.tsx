/* shell.tsx - what every page stands in: the rail, the bar with time range, refresh, search and health. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { labelValues, warnings } from "../api/prometheus.ts";
import { follow, go, instant, rangeOf, usePlace } from "../state.ts";
import { fmtTime } from "./format.ts";
import { useLoad } from "./load.ts";

export interface PageLink { path: string; name: string; icon: string }
export const PAGES: PageLink[] = [
    { path: "/", name: "Overview", icon: "M2 9l6-6 6 6M4 8v6h8V8" },
    { path: "/metrics-explorer", name: "Metrics", icon: "M2 13h12M3 10l3-4 3 3 4-6" },
    { path: "/logs", name: "Logs", icon: "M2 3h3M7 3h7M2 8h3M7 8h5M2 13h3M7 13h7" },
    { path: "/targets", name: "Targets", icon: "M8 2v2M8 12v2M2 8h2M12 8h2M8 5a3 3 0 100 6 3 3 0 000-6" },
    { path: "/status", name: "Status", icon: "M2 4h12M2 8h12M2 12h12" },
];

const LAST = ["5m", "15m", "30m", "1h", "3h", "6h", "12h", "1d", "2d", "7d", "14d", "30d"];
const EVERY = ["", "5s", "10s", "30s", "1m", "5m"];

const rangeText = (from: string, to: string) => {
    if (to === "now" && from.startsWith("now-")) return `Last ${from.slice(4)}`;
    const now = Date.now() / 1000;
    return `${fmtTime(instant(from, now), false)} – ${to === "now" ? "now" : fmtTime(instant(to, now), false)}`;
};

function RangeMenu() {
    const r = rangeOf(usePlace().params), [open, setOpen] = useState(false), box = useRef<HTMLDivElement>(null);
    const [from, setFrom] = useState(r.from), [to, setTo] = useState(r.to), [bad, setBad] = useState("");
    useEffect(() => { setFrom(r.from); setTo(r.to); setBad(""); }, [r.from, r.to, open]);
    useEffect(() => {
        const away = (e: Event) => { if (!box.current?.contains(e.target as Node)) setOpen(false); };
        addEventListener("mousedown", away);
        return () => removeEventListener("mousedown", away);
    }, []);
    const shift = (dir: number) => {
        const now = Date.now() / 1000, a = instant(r.from, now), b = instant(r.to, now), d = ((b - a) / 2) * dir;
        go({ from: Math.round(a + d).toString(), to: Math.round(b + d).toString() });
    };
    const apply = (e: Event) => {
        e.preventDefault();
        const now = Date.now() / 1000, a = instant(from, now), b = instant(to, now);
        if (!Number.isFinite(a) || !Number.isFinite(b)) setBad("Not a time: now, now-2h, 2026-01-31 14:00 or Unix seconds");
        else if (a >= b) setBad("The range ends before it begins");
        else { go({ from, to }); setOpen(false); }
    };
    return (
        <div class="menu" ref={box} onKeyDown={(e) => { if (e.key === "Escape") setOpen(false); }}>
            <span class="group">
                <button class="wide" aria-label="Earlier" onClick={() => shift(-1)}>‹</button>
                <button aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(!open)}>{rangeText(r.from, r.to)}</button>
                <button class="wide" aria-label="Later" onClick={() => shift(1)}>›</button>
            </span>
            {open && (
                <form class="pop" onSubmit={apply}>
                    <div class="quick">{LAST.map((d) => <button type="button" key={d} class={r.from === `now-${d}` ? "on" : ""} onClick={() => { go({ from: `now-${d}`, to: null }); setOpen(false); }}>{d}</button>)}</div>
                    <label>From<input value={from} onInput={(e) => setFrom(e.currentTarget.value)} /></label>
                    <label>To<input value={to} onInput={(e) => setTo(e.currentTarget.value)} /></label>
                    {bad && <p class="bad">{bad}</p>}
                    <p><button class="primary" type="submit">Apply</button></p>
                </form>)}
        </div>
    );
}

interface Hit { text: string; kind: string; run: () => void }

function Find(props: { close: () => void }) {
    const [text, setText] = useState(""), [at, setAt] = useState(0);
    const names = useLoad("names", (s) => labelValues("__name__", s)), jobs = useLoad("jobs", (s) => labelValues("job", s));
    const input = useRef<HTMLInputElement>(null);
    useEffect(() => input.current?.focus(), []);
    const words = text.toLowerCase().split(/\s+/).filter(Boolean), fits = (s: string) => words.every((w) => s.toLowerCase().includes(w));
    const hits: Hit[] = [
        ...PAGES.filter((p) => fits(p.name)).map((p) => ({ text: p.name, kind: "page", run: () => go({}, p.path) })),
        ...(jobs.data?.data ?? []).filter(fits).map((j) => ({ text: j, kind: "job", run: () => go({ q: `up{job=${JSON.stringify(j)}}`, tab: null }, "/metrics-explorer") })),
        ...(names.data?.data ?? []).filter(fits).map((n) => ({ text: n, kind: "metric", run: () => go({ q: n, tab: null }, "/metrics-explorer") })),
    ].slice(0, 100);
    const choose = (h?: Hit) => { if (h) { h.run(); props.close(); } };
    const key = (e: KeyboardEvent) => {
        if (e.key === "Escape") props.close();
        else if (e.key === "ArrowDown") setAt(Math.min(at + 1, hits.length - 1));
        else if (e.key === "ArrowUp") setAt(Math.max(at - 1, 0));
        else if (e.key === "Enter") choose(hits[at]);
        else return;
        e.preventDefault();
    };
    return (
        <div class="find" onMouseDown={(e) => { if (e.target === e.currentTarget) props.close(); }}>
            <div class="box" role="dialog" aria-label="Search">
                <input ref={input} value={text} placeholder="Metrics, jobs, pages" aria-label="Search everything" onInput={(e) => { setText(e.currentTarget.value); setAt(0); }} onKeyDown={key} />
                <ul role="listbox">{hits.map((h, i) => (
                    <li key={h.kind + h.text} role="option" aria-selected={i === at} class={i === at ? "here" : ""} onMouseEnter={() => setAt(i)} onClick={() => choose(h)}><span>{h.text}</span><span class="dim">{h.kind}</span></li>))}
                    {hits.length === 0 && <li><span class="dim">Nothing has that name</span></li>}
                </ul>
            </div>
        </div>
    );
}

function Health() {
    const w = useLoad("health", (s) => warnings(s), 10000);
    if (w.error) return <a href="/status" class="pill bad" title={w.error.message}>no answer</a>;
    const n = w.data?.data.length ?? 0;
    return <a href="/status" class={`pill ${n ? "warn" : "good"}`} title={n ? w.data!.data.map((x) => x.text).join("\n") : "No standing warnings"}>{n ? `${n} warning${n > 1 ? "s" : ""}` : "healthy"}</a>;
}

function themeNow(): string {
    return document.documentElement.dataset.theme ?? "system";
}

export function setTheme(t: string): void {
    if (t === "system") { delete document.documentElement.dataset.theme; localStorage.removeItem("theme"); }
    else { document.documentElement.dataset.theme = t; localStorage.setItem("theme", t); }
    dispatchEvent(new Event("themechange"));
}

export function Shell(props: { children: ComponentChildren }) {
    const p = usePlace(), [finding, setFinding] = useState(false), [, redraw] = useState(0);
    useEffect(() => {
        const key = (e: KeyboardEvent) => {
            const t = e.composedPath()[0] as HTMLElement, typing = t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName);
            if ((e.key === "k" && (e.ctrlKey || e.metaKey)) || (e.key === "/" && !typing)) { e.preventDefault(); setFinding(true); }
        };
        addEventListener("keydown", key);
        return () => removeEventListener("keydown", key);
    }, []);
    const theme = themeNow(), next = theme === "system" ? "dark" : theme === "dark" ? "light" : "system";
    return (
        <div class="shell" onClick={follow}>
            <nav class="rail" aria-label="Pages">
                <a class="brand" href="/"><svg viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="7" r="5" fill="currentColor" /><path d="M16 11 6 29M16 11v18M16 11l10 18" stroke="currentColor" stroke-width="3" stroke-linecap="round" fill="none" /></svg>Tripod</a>
                {PAGES.map((l) => (
                    <a key={l.path} class={`item ${p.path === l.path ? "here" : ""}`} href={l.path} aria-current={p.path === l.path ? "page" : undefined}>
                        <svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d={l.icon} /></svg>{l.name}</a>))}
                <div class="foot"><button class="quiet" onClick={() => { setTheme(next); redraw((n) => n + 1); }} title="Colours: by the system, dark or light">Theme: {theme}</button></div>
            </nav>
            <header class="top">
                <button class="search" onClick={() => setFinding(true)}><span>Search</span><kbd>/</kbd></button>
                <span class="space" />
                <RangeMenu />
                <select aria-label="Refresh" value={p.params.get("refresh") ?? ""} onChange={(e) => go({ refresh: e.currentTarget.value }, undefined, true)}>
                    {EVERY.map((d) => <option key={d} value={d}>{d ? `↻ ${d}` : "↻ off"}</option>)}</select>
                <Health />
            </header>
            <main class="main">{props.children}</main>
            {finding && <Find close={() => setFinding(false)} />}
        </div>
    );
}
