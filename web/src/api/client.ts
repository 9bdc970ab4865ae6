/* client.ts - calls to our own API: typed, cancellable, an error is a sentence. */

export class ApiError extends Error {
    constructor(message: string, readonly type: string, readonly status: number) { super(message); }
}

interface Envelope<T> { status: "success" | "error"; data: T; error?: string; errorType?: string; warnings?: string[]; infos?: string[] }
export interface Answer<T> { data: T; notes: string[]; ms: number }

export async function call<T>(path: string, params: Record<string, string | string[] | undefined> = {}, signal?: AbortSignal, post = false, headers: Record<string, string> = {}): Promise<Answer<T>> {
    const form = new URLSearchParams();
    for (const [k, v] of Object.entries(params)) for (const one of v === undefined ? [] : Array.isArray(v) ? v : [v]) form.append(k, one);
    const t0 = performance.now(), q = form.toString();
    let res: Response;
    try {
        res = await (post ? fetch(path, { method: "POST", body: form, signal, headers }) : fetch(q ? `${path}?${q}` : path, { signal, headers }));
    } catch (err) {
        if ((err as Error).name === "AbortError") throw err;
        throw new ApiError("Tripod does not answer. Is it still running?", "network", 0);
    }
    if (res.status === 204) return { data: null as T, notes: [], ms: performance.now() - t0 };
    const text = await res.text();
    let body: Envelope<T>;
    try {
        body = JSON.parse(text) as Envelope<T>;
    } catch {
        throw new ApiError(text.trim() || `HTTP ${res.status}`, "http", res.status);
    }
    if (body.status !== "success") throw new ApiError(body.error ?? `HTTP ${res.status}`, body.errorType ?? "http", res.status);
    return { data: body.data, notes: [...(body.warnings ?? []), ...(body.infos ?? [])], ms: performance.now() - t0 };
}
