/*
 * editor.tsx - the query box: CodeMirror with the language's own mode, completion from our API.
 *
 * It lives in a shadow root, because there CodeMirror uses constructed style sheets, which a strict content-security policy allows.
 */
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef } from "preact/hooks";
import { complete, logqlMode } from "./logql.ts";

const theme = EditorView.theme({
    "&": { fontSize: "13px", color: "var(--text)", backgroundColor: "transparent" },
    "&.cm-focused": { outline: "none" },
    ".cm-content": { fontFamily: "var(--mono)", padding: "6px 0", caretColor: "var(--text)" },
    ".cm-line": { padding: "0 10px" },
    ".cm-cursor": { borderLeftColor: "var(--text)" },
    "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--sel) !important" },
    ".cm-placeholder": { color: "var(--dim)" },
    ".cm-matchingBracket": { backgroundColor: "var(--sel) !important", outline: "none" },
    ".cm-tooltip": { backgroundColor: "var(--bg)", border: "1px solid var(--line)", borderRadius: "4px", color: "var(--text)" },
    ".cm-tooltip-autocomplete ul li": { padding: "2px 8px !important" },
    ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent-bg) !important", color: "var(--accent) !important" },
    ".cm-completionDetail": { color: "var(--dim)", fontStyle: "normal", marginLeft: "12px" },
    ".cm-completionInfo": { maxWidth: "320px", padding: "8px", fontFamily: "var(--sans)" },
    ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
    ".cm-lintRange-error": { textDecoration: "underline wavy var(--bad)", backgroundImage: "none" },
    ".cm-diagnostic": { borderLeft: "3px solid var(--bad)", padding: "4px 8px" },
});

const colors = syntaxHighlighting(HighlightStyle.define([
    { tag: tags.keyword, color: "var(--accent)" }, { tag: [tags.function(tags.variableName), tags.operatorKeyword], color: "var(--accent)" },
    { tag: tags.string, color: "var(--good)" }, { tag: tags.number, color: "var(--warn)" }, { tag: tags.comment, color: "var(--dim)" },
    { tag: tags.labelName, color: "var(--bad)" }, { tag: tags.invalid, color: "var(--bad)" },
]));

/** range: the times (ns) whose labels are completed, of LogQL. */
export interface Language { name: "promql" | "logql"; hint: string; range?: () => [string, string] }
export const PROMQL: Language = { name: "promql", hint: "PromQL, e.g. rate(node_cpu_seconds_total[5m])   (Enter runs, Shift-Enter breaks the line)" };

function mode(lang: Language) {
    if (lang.name === "promql") return [autocompletion(), new PromQLExtension().setComplete({ remote: { url: "", httpMethod: "GET" } }).asExtension()];
    return [logqlMode, autocompletion({ override: [(c) => complete(c, lang.range ?? (() => ["0", "0"]))] })];
}

export function Editor(props: { value: string; onRun: (text: string) => void; onChange?: (text: string) => void; label: string; language?: Language }) {
    const host = useRef<HTMLDivElement>(null), view = useRef<EditorView | null>(null), latest = useRef(props);
    latest.current = props;
    useEffect(() => {
        const root = host.current!.shadowRoot ?? host.current!.attachShadow({ mode: "open" });
        const lang = latest.current.language ?? PROMQL;
        const run = keymap.of([{ key: "Enter", run: (v) => { latest.current.onRun(v.state.doc.toString().trim()); return true; } },
            { key: "Shift-Enter", run: (v) => { v.dispatch(v.state.replaceSelection("\n")); return true; } }]);
        const v = new EditorView({
            root,
            parent: root as unknown as Element,
            state: EditorState.create({
                doc: latest.current.value,
                extensions: [history(), bracketMatching(), closeBrackets(), EditorView.lineWrapping, mode(lang), colors, theme,
                    placeholder(lang.hint),
                    EditorView.contentAttributes.of({ "aria-label": latest.current.label }),
                    keymap.of([...completionKeymap, ...closeBracketsKeymap, ...historyKeymap]), Prec.low(run), keymap.of(defaultKeymap.filter((k) => k.key !== "Enter")),
                    EditorView.updateListener.of((u) => { if (u.docChanged) latest.current.onChange?.(u.state.doc.toString()); })],
            }),
        });
        view.current = v;
        return () => v.destroy();
    }, []);
    useEffect(() => {
        const v = view.current;
        if (v && v.state.doc.toString() !== props.value) v.dispatch({ changes: { from: 0, to: v.state.doc.length, insert: props.value } });
    }, [props.value]);
    return <div class="editor" ref={host} />;
}
