/* overview.tsx - is everything all right? This host and what we store, at a glance. */
import { useMemo } from "preact/hooks";
import { queryInstant, queryRange, type Series } from "../api/prometheus.ts";
import { rangeOf, usePlace, windowOf } from "../state.ts";
import { Chart, lines } from "../ui/chart.tsx";
import { fmt, num, type Unit } from "../ui/format.ts";
import { useLoad } from "../ui/load.ts";
import { Empty, Panel } from "../ui/parts.tsx";
import { refreshMs } from "./metrics.tsx";

interface Tile { title: string; query: string; unit: Unit; name: (m: Record<string, string>) => string; area?: boolean }

const TILES: Tile[] = [
    { title: "CPU in use, by host", query: '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))', unit: "percent", name: (m) => m.instance ?? "", area: true },
    { title: "Memory in use", query: "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", unit: "percent", name: (m) => m.instance ?? "", area: true },
    { title: "Network in and out", query: 'label_replace(sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[5m])), "dir", "in", "", "") or label_replace(sum by (instance) (rate(node_network_transmit_bytes_total{device!="lo"}[5m])), "dir", "out", "", "")', unit: "bytespersec", name: (m) => `${m.instance} ${m.dir}` },
    { title: "Disk reads and writes", query: 'label_replace(sum by (instance) (rate(node_disk_read_bytes_total[5m])), "dir", "read", "", "") or label_replace(sum by (instance) (rate(node_disk_written_bytes_total[5m])), "dir", "write", "", "")', unit: "bytespersec", name: (m) => `${m.instance} ${m.dir}` },
    { title: "Fullest file systems", query: 'topk(5, 1 - node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|squashfs"} / node_filesystem_size_bytes)', unit: "percent", name: (m) => `${m.instance} ${m.mountpoint}` },
    { title: "Samples stored", query: 'sum by (instance) (rate(tripod_samples_total{verdict="stored"}[5m]))', unit: "persec", name: (m) => m.instance ?? "", area: true },
];

function ChartTile(props: { tile: Tile }) {
    const p = usePlace(), r = rangeOf(p.params), t = props.tile;
    const load = useLoad(`${t.query}|${r.from}|${r.to}`, async (s) => {
        const w = windowOf(r, 200);
        return { w, a: await queryRange(t.query, w, s) };
    }, refreshMs(p.params));
    const view = useMemo(() => load.data && lines(load.data.a.data.result, load.data.w, (s: Series) => t.name(s.metric)), [load.data]);
    return (
        <Panel title={t.title} load={load} right={<a href={`/metrics-explorer?q=${encodeURIComponent(t.query)}`}>Open</a>}>
            {view && view.lines.length > 0 ? <Chart times={view.times} lines={view.lines} unit={t.unit} height={180} legend={false} area={t.area} />
                : <div class="empty">{load.loading ? "" : "No samples in this range"}</div>}
        </Panel>
    );
}

interface Figure { name: string; query: string; unit: Unit; bad?: (v: number) => boolean }
const FIGURES: Figure[] = [
    { name: "targets up", query: "sum(up)", unit: "none" },
    { name: "targets down", query: "count(up == 0) or vector(0)", unit: "none", bad: (v) => v > 0 },
    { name: "series", query: "sum(tripod_head_series)", unit: "none" },
    { name: "samples a second", query: 'sum(rate(tripod_samples_total{verdict="stored"}[5m]))', unit: "none" },
    { name: "on disk", query: "sum(tripod_storage_bytes)", unit: "bytes" },
    { name: "our memory", query: 'sum(process_resident_memory_bytes{job="tripod"})', unit: "bytes" },
];

function FigureTile(props: { f: Figure }) {
    const p = usePlace(), f = props.f;
    const load = useLoad(f.query, (s) => queryInstant(f.query, Date.now() / 1000, s), refreshMs(p.params) || 15000);
    const d = load.data?.data, first = d && d.resultType === "vector" ? d.result[0]?.value?.[1] : undefined, v = first === undefined ? NaN : num(first);
    return <div class="stat"><b class={f.bad?.(v) ? "bad" : ""} title={first}>{first === undefined ? "–" : fmt(v, f.unit)}</b><span>{f.name}</span></div>;
}

export function Overview() {
    const any = useLoad("any", (s) => queryInstant("count(up)", Date.now() / 1000, s), 15000);
    const none = any.data && any.data.data.resultType === "vector" && any.data.data.result.length === 0;
    return (
        <>
            <div class="stats">{FIGURES.map((f) => <FigureTile key={f.name} f={f} />)}</div>
            {none && <Panel title="Nothing is collected yet"><Empty command="printf 'collect:\n  host: true\n  self: true\n' > tripod.yml && tripod serve --config tripod.yml">Add scrape_configs to the configuration, send remote write to /api/v1/write, or let this process collect its own host:</Empty></Panel>}
            <div class="grid">{TILES.map((t) => <ChartTile key={t.title} tile={t} />)}</div>
        </>
    );
}
