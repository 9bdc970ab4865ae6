/* parts.tsx - small shared pieces: notes, empty states, panels, metric names. */
import type { ComponentChildren } from "preact";
import { labelText, type Labels } from "./format.ts";
import type { Load } from "./load.ts";

export function Note(props: { kind?: "bad" | "warn"; children: ComponentChildren }) {
    return <div class={`note ${props.kind ?? ""}`} role={props.kind === "bad" ? "alert" : "note"}>{props.children}</div>;
}

export function Empty(props: { children: ComponentChildren; command?: string }) {
    return <div class="empty">{props.children}{props.command && <code>{props.command}</code>}</div>;
}

export function Panel(props: { title: ComponentChildren; children: ComponentChildren; right?: ComponentChildren; load?: Load<unknown> }) {
    return (
        <section class="panel">
            {props.load?.slow && props.load.loading && <div class="bar" />}
            <header><h2>{props.title}</h2><span class="space" />{props.right}</header>
            <div class="body">{props.load?.error ? <Note kind="bad">{props.load.error.message}</Note> : props.children}</div>
        </section>
    );
}

export function Metric(props: { metric: Labels }) {
    const text = labelText(props.metric), at = text.indexOf("{");
    return <span class="metric">{at < 0 ? text : <>{text.slice(0, at)}<i>{text.slice(at)}</i></>}</span>;
}

export function LabelSet(props: { labels: Labels; hide?: string[] }) {
    return <div class="labels">{Object.keys(props.labels).filter((k) => !props.hide?.includes(k)).sort().map((k) => <span key={k}>{k}="{props.labels[k]}"</span>)}</div>;
}
