/*
 * logql.ts - LogQL in the editor: a mode that tells words apart, and completion: labels and values of what is stored, stages,
 * functions. What it completes depends on the text before the cursor alone (place), so that it can be tested without a browser.
 */
import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { StreamLanguage, type StringStream } from "@codemirror/language";
import { labelNames, labelValues } from "../api/loki.ts";

export const STAGES: Record<string, string> = {
    json: "fields of a JSON line", logfmt: "key=value pairs", pattern: "fields by a pattern with <names>", regexp: "fields by named groups", unpack: "a packed JSON line",
    line_format: "a new line by a template", label_format: "rename or make labels", decolorize: "without terminal colours", drop: "without these labels", keep: "only these labels", unwrap: "a label as the number to work with",
};
const FUNCTIONS = ["rate", "count_over_time", "bytes_rate", "bytes_over_time", "absent_over_time", "rate_counter", "sum_over_time", "avg_over_time", "max_over_time", "min_over_time", "first_over_time", "last_over_time",
    "stdvar_over_time", "stddev_over_time", "quantile_over_time", "sum", "avg", "max", "min", "count", "topk", "bottomk", "stddev", "stdvar", "sort", "sort_desc", "label_replace", "vector"];
const WORDS = /^(by|without|on|ignoring|group_left|group_right|bool|offset|and|or|unless|ip|duration|duration_seconds|bytes)\b/;

function token(s: StringStream): string | null {
    if (s.eatSpace()) return null;
    if (s.match(/^#.*/)) return "comment";
    if (s.match(/^"(?:[^"\\]|\\.)*"?/) || s.match(/^`[^`]*`?/)) return "string";
    if (s.match(/^\d[\w.]*/)) return "number";
    if (s.match(/^(\|=|\|~|\|>|!=|!~|!>|=~|=|\||[-+*\/%^<>]=?)/)) return "operator";
    if (s.match(WORDS)) return "keyword";
    const word = s.match(/^[A-Za-z_][\w.]*/) as RegExpMatchArray | null;
    if (word) return word[0] in STAGES ? "keyword" : s.match(/^\s*[({]/, false) && FUNCTIONS.includes(word[0]) ? "keyword" : "labelName";
    s.next();
    return null;
}

export const logqlMode = StreamLanguage.define({ token, languageData: { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", "{", '"', "`"] } } });

/** Where the cursor stands: at a label's name or value in a selector, behind a bar, or at a word. */
export type Spot = { kind: "name" | "stage" | "word"; typed: string } | { kind: "value"; label: string; typed: string; selector: string };

/** The selector that the text ends in, without its brace (null: none), and whether it ends in a string. */
function ending(text: string): { inside: string | null; string: boolean } {
    let open = -1, quote = "";
    for (let i = 0; i < text.length; i++) {
        const c = text[i]!;
        if (quote) { if (c === "\\" && quote === '"') i++; else if (c === quote) quote = ""; }
        else if (c === '"' || c === "`") quote = c;
        else if (c === "{") open = i;
        else if (c === "}") open = -1;
    }
    return { inside: open < 0 ? null : text.slice(open + 1), string: quote !== "" };
}

export function place(before: string): Spot | null {
    const { inside, string } = ending(before);
    if (inside !== null && string) {
        const value = inside.match(/([A-Za-z_]\w*)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)$/);
        if (!value) return null;
        const rest = inside.slice(0, inside.length - value[0].length).replace(/,\s*$/, "").trim();
        return { kind: "value", label: value[1]!, typed: value[2]!, selector: rest ? `{${rest}}` : "" };
    }
    if (string) return null;
    if (inside !== null) {
        const name = inside.match(/(?:^|,)\s*(\w*)$/);
        return name ? { kind: "name", typed: name[1]! } : null;
    }
    const stage = before.match(/\|\s*(\w*)$/);
    if (stage) return { kind: "stage", typed: stage[1]! };
    const word = before.match(/(?:^|[\s(,])([a-z_]+)$/i);
    return word ? { kind: "word", typed: word[1]! } : null;
}

export async function complete(c: CompletionContext, range: () => [string, string]): Promise<CompletionResult | null> {
    const spot = place(c.state.sliceDoc(0, c.pos));
    if (!spot || (spot.kind === "word" && !spot.typed && !c.explicit)) return null;
    const from = c.pos - spot.typed.length;
    const give = (options: Completion[]): CompletionResult => ({ from, options, validFor: spot.kind === "value" ? /^[^"]*$/ : /^\w*$/ });
    try {
        if (spot.kind === "name") return give((await labelNames(...range())).data.map((label) => ({ label, type: "property", apply: `${label}="` })));
        if (spot.kind === "value") return give((await labelValues(spot.label, ...range(), spot.selector || undefined)).data.map((label) => ({ label, type: "text" })));
    } catch {
        return null; // no completion is better than a complaint while typing
    }
    if (spot.kind === "stage") return give([...Object.entries(STAGES).map(([label, detail]) => ({ label, detail, type: "keyword" })), { label: "= \"", displayLabel: "=", detail: "line contains", type: "operator" } as Completion, { label: "~ \"", displayLabel: "~", detail: "line matches", type: "operator" } as Completion]);
    return give(FUNCTIONS.map((label) => ({ label, type: "function", apply: `${label}(` })));
}

/** What of a line is to be marked: the texts and expressions the query looks for. */
export function needles(query: string): RegExp | null {
    const parts: string[] = [], quote = (s: string) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    for (const m of query.matchAll(/\|([=~])\s*("(?:[^"\\]|\\.)*"|`[^`]*`)((?:\s*or\s*(?:"(?:[^"\\]|\\.)*"|`[^`]*`))*)/g)) {
        for (const t of [m[2]!, ...(m[3]!.match(/"(?:[^"\\]|\\.)*"|`[^`]*`/g) ?? [])]) {
            let text = t.slice(1, -1);
            if (t[0] === '"') try { text = JSON.parse(t) as string; } catch { continue; }
            if (!text) continue;
            const flags = text.match(/^\(\?i\)/) ? text.slice(4) : text;
            if (m[1] === "=") parts.push(quote(text));
            else try { new RegExp(flags); parts.push(flags); } catch { /* RE2 knows what JavaScript does not */ }
        }
    }
    return parts.length ? new RegExp(parts.join("|"), /\(\?i\)/.test(query) ? "gi" : "g") : null;
}

/** Is it a query for records, not for numbers over them? */
export const isLogQuery = (q: string): boolean => /^\s*\(*\s*\{/.test(q) && !/^\s*\(+[^{]*\w\s*\(/.test(q);

const quoted = (v: string) => JSON.stringify(v);
/** The query with one more condition; a label of the stream goes into the selector, anything else behind it. */
export function narrow(query: string, label: string, value: string, indexed: boolean, not = false): string {
    const op = not ? "!=" : "=";
    if (!indexed) return `${query} | ${label}${op}${quoted(value)}`;
    const open = query.indexOf("{"), close = query.indexOf("}", open);
    const inside = query.slice(open + 1, close).trim();
    return `${query.slice(0, open + 1)}${inside}${inside ? ", " : ""}${label}${op}${quoted(value)}${query.slice(close)}`;
}
