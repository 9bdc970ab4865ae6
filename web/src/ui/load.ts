/* load.ts - a hook that loads, reloads, cancels what nobody waits for any more, and keeps the old answer while the new one comes. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Load<T> { data?: T; error?: Error; slow: boolean; loading: boolean; reload: () => void; cancel: () => void }

/** key: everything the answer depends on. everyMs > 0: loads again by itself while the page is visible. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs = 0): Load<T> {
    const [state, set] = useState<{ data?: T; error?: Error; loading: boolean; slow: boolean; key?: string }>({ loading: true, slow: false });
    const [turn, setTurn] = useState(0);
    const running = useRef<AbortController | null>(null);
    useEffect(() => {
        const ctl = new AbortController();
        running.current = ctl;
        const late = setTimeout(() => set((s) => ({ ...s, slow: true })), 200);
        set((s) => ({ ...s, loading: true, slow: false }));
        load(ctl.signal).then(
            (data) => set({ data, loading: false, slow: false, key }),
            (error: Error) => {
                if (error.name === "AbortError") set((s) => ({ ...s, loading: false, slow: false }));
                else set((s) => ({ data: s.key === key ? s.data : undefined, error, loading: false, slow: false, key }));
            },
        ).finally(() => clearTimeout(late));
        return () => { clearTimeout(late); ctl.abort(); };
    }, [key, turn]);
    useEffect(() => {
        if (everyMs <= 0) return;
        const t = setInterval(() => { if (!document.hidden) setTurn((n) => n + 1); }, everyMs);
        return () => clearInterval(t);
    }, [everyMs]);
    const reload = useCallback(() => setTurn((n) => n + 1), []);
    const cancel = useCallback(() => running.current?.abort(), []);
    return { data: state.data, error: state.error, slow: state.slow, loading: state.loading, reload, cancel };
}
