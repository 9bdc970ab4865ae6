/* targets.tsx - what is scraped, how it went, and why not. */
import { targets, type Target } from "../api/prometheus.ts";
import { go, usePlace } from "../state.ts";
import { fmt, fmtAgo, fmtUTC } from "../ui/format.ts";
import { useLoad } from "../ui/load.ts";
import { Empty, LabelSet, Note, Panel } from "../ui/parts.tsx";
import { refreshMs } from "./metrics.tsx";

const state = { up: "good", down: "bad", unknown: "dim" } as const;

function Row(props: { t: Target }) {
    const t = props.t, when = Date.parse(t.lastScrape) / 1000, never = !(when > 0);
    return (
        <tr>
            <td data-th="State"><span class={`pill ${state[t.health]}`}>{t.health}</span></td>
            <td data-th="Target"><div><div class="mono">{t.scrapeUrl}</div>{t.lastError && <div class="bad">{t.lastError}</div>}</div></td>
            <td data-th="Labels"><LabelSet labels={t.labels} hide={["job"]} /></td>
            <td data-th="Last scrape" class="num" title={never ? "" : fmtUTC(when)}>{never ? "not yet" : fmtAgo(when)}</td>
            <td data-th="Took" class="num">{never ? "" : fmt(t.lastScrapeDuration, "seconds")}</td>
            <td data-th="Every" class="num">{t.scrapeInterval}</td>
        </tr>
    );
}

export function Targets() {
    const p = usePlace().params, only = p.get("state") ?? "", text = p.get("find") ?? "";
    const load = useLoad("targets", (s) => targets(s), refreshMs(p) || 5000);
    const all = load.data?.data.activeTargets ?? [];
    const fit = all.filter((t) => (!only || t.health === only) && (!text || `${t.scrapePool} ${t.scrapeUrl} ${Object.values(t.labels).join(" ")}`.toLowerCase().includes(text.toLowerCase())));
    const pools = [...new Set(fit.map((t) => t.scrapePool))].sort();
    const count = (h: string) => all.filter((t) => t.health === h).length;
    return (
        <>
            <div class="query">
                <span class="group">{[["", `All ${all.length}`], ["up", `Up ${count("up")}`], ["down", `Down ${count("down")}`]].map(([k, name]) => <button key={k} class={only === k ? "on" : ""} onClick={() => go({ state: k! })}>{name}</button>)}</span>
                <input aria-label="Filter targets" placeholder="Filter" value={text} onInput={(e) => go({ find: e.currentTarget.value }, undefined, true)} />
            </div>
            {load.error && <Note kind="bad">{load.error.message}</Note>}
            {pools.map((pool) => {
                const ts = fit.filter((t) => t.scrapePool === pool), up = ts.filter((t) => t.health === "up").length;
                return <Panel key={pool} title={<>{pool} <span class={up === ts.length ? "good" : "bad"}>{up} of {ts.length} up</span></>}>
                    <div class="scroll"><table class="cards"><thead><tr><th>State</th><th>Target</th><th>Labels</th><th class="num">Last scrape</th><th class="num">Took</th><th class="num">Every</th></tr></thead>
                        <tbody>{ts.map((t) => <Row key={t.scrapeUrl + JSON.stringify(t.labels)} t={t} />)}</tbody></table></div></Panel>;
            })}
            {load.data && all.length === 0 && <Empty command={"scrape_configs:\n  - job_name: node\n    static_configs: [{ targets: ['localhost:9100'] }]"}>Nothing is scraped. A scrape_configs section in the configuration file brings targets here:</Empty>}
            {all.length > 0 && fit.length === 0 && <Empty>No target fits the filter.</Empty>}
        </>
    );
}
