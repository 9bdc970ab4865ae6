/* format.ts - numbers and times for people: at most four significant digits, a unit beside them, the exact value for the hover. */

export type Unit = "none" | "bytes" | "seconds" | "percent" | "persec" | "bytespersec";

/** What a metric's name says of its unit, rate() and friends included. */
export function unitOf(query: string): Unit {
    const rate = /\b(rate|irate|deriv)\s*\(/.test(query);
    if (/histogram_quantile|_seconds(_sum)?\b(?!_total)/.test(query) && !rate) return "seconds";
    if (/histogram_quantile/.test(query) && /_seconds/.test(query)) return "seconds";
    if (/_bytes(_total|_sum)?\b/.test(query)) return rate ? "bytespersec" : "bytes";
    if (rate && /_seconds(_total)?\b/.test(query)) return "none";
    if (rate) return "persec";
    return "none";
}

function trim(v: number, digits: number): string {
    if (v === 0) return "0";
    const s = Math.abs(v) >= 10 ** (digits - 1) ? Math.round(v).toString() : v.toPrecision(digits);
    return s.includes(".") && !s.includes("e") ? s.replace(/\.?0+$/, "") : s;
}

/** [from this value on, divide by, unit], biggest first. */
type Steps = readonly (readonly [number, number, string])[];

function scaled(v: number, steps: Steps, digits: number): string {
    const [, by, u] = steps.find(([from]) => Math.abs(v) >= from) ?? steps[steps.length - 1]!;
    return `${trim(v / by, digits)}${u}`;
}

const SI: Steps = [[1e12, 1e12, " T"], [1e9, 1e9, " G"], [1e6, 1e6, " M"], [1e4, 1e3, " k"], [1e-2, 1, ""], [1e-3, 1e-3, " m"], [1e-6, 1e-6, " µ"], [0, 1e-9, " n"]];
const IEC: Steps = [[2 ** 40, 2 ** 40, " TiB"], [2 ** 30, 2 ** 30, " GiB"], [2 ** 20, 2 ** 20, " MiB"], [2 ** 10, 2 ** 10, " KiB"], [0, 1, " B"]];
const TIME: Steps = [[86400, 86400, " d"], [3600, 3600, " h"], [60, 60, " min"], [1, 1, " s"], [1e-3, 1e-3, " ms"], [1e-6, 1e-6, " µs"], [0, 1e-9, " ns"]];

/** digits: significant ones; an axis whose ticks lie close together asks for more than four. */
export function fmt(v: number, unit: Unit = "none", digits = 4): string {
    if (Number.isNaN(v)) return "NaN";
    if (!Number.isFinite(v)) return v > 0 ? "+Inf" : "−Inf";
    if (v === 0) return unit === "percent" ? "0 %" : "0";
    switch (unit) {
        case "bytes": return scaled(v, IEC, digits);
        case "bytespersec": return `${scaled(v, IEC, digits)}/s`;
        case "seconds": return scaled(v, TIME, digits);
        case "percent": return `${trim(v * 100, digits)} %`;
        case "persec": return `${scaled(v, SI, digits)}/s`;
        default: return scaled(v, SI, digits);
    }
}

export function num(text: string): number {
    return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : text === "NaN" ? NaN : Number(text);
}

const two = (n: number) => String(n).padStart(2, "0");

/** Local time; date only when it is not today's. */
export function fmtTime(s: number, withSeconds = true): string {
    const d = new Date(s * 1000), now = new Date();
    const t = `${two(d.getHours())}:${two(d.getMinutes())}${withSeconds ? `:${two(d.getSeconds())}` : ""}`;
    return d.toDateString() === now.toDateString() ? t : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${t}`;
}

export const fmtUTC = (s: number) => new Date(s * 1000).toISOString().replace("T", " ").replace(".000Z", " UTC").replace("Z", " UTC");

/** "12 s ago" within the last hour, else the time. */
export function fmtAgo(s: number, now = Date.now() / 1000): string {
    const d = now - s;
    if (d < 0 || d >= 3600) return fmtTime(s);
    return d < 60 ? `${Math.round(d)} s ago` : `${Math.round(d / 60)} min ago`;
}

export function fmtDuration(s: number): string {
    if (s >= 86400 && s % 86400 === 0) return `${s / 86400}d`;
    if (s >= 3600 && s % 3600 === 0) return `${s / 3600}h`;
    if (s >= 60 && s % 60 === 0) return `${s / 60}m`;
    return `${s}s`;
}

/** Seconds of "1h30m", "15s", "2d", or NaN. */
export function parseDuration(text: string): number {
    const unit: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };
    const m = text.trim().match(/^(\d+(ms|[smhdwy]))+$/);
    if (!m) return NaN;
    let sum = 0;
    for (const [, n, u] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) sum += Number(n) * unit[u!]!;
    return sum;
}

/** Where bytes a to b of the UTF-8 text lie in the string: the server counts bytes. */
export function byteSpan(text: string, a: number, b: number): [number, number] {
    const bytes = new TextEncoder().encode(text), decode = (n: number) => new TextDecoder().decode(bytes.subarray(0, n)).length;
    return [decode(Math.max(0, a)), decode(Math.max(a, b))];
}

export type Labels = Record<string, string>;

export function labelText(m: Labels): string {
    const rest = Object.keys(m).filter((k) => k !== "__name__").sort().map((k) => `${/^[a-zA-Z_]\w*$/.test(k) ? k : JSON.stringify(k)}=${JSON.stringify(m[k])}`);
    return (m.__name__ ?? "") + (rest.length || !m.__name__ ? `{${rest.join(", ")}}` : "");
}
