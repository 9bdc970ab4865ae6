/* color.ts - ten colours that stay apart for colour-blind eyes; a label set keeps its colour on every page. */

export const COLORS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999999", "#ee7733", "#009988", "#7a5cc9"];

export function hash(text: string): number {
    let h = 2166136261;
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
    return h >>> 0;
}

/** A colour number for each key: its own by hash, the next free one when two of the first ten meet. */
export function assign(keys: string[]): number[] {
    const taken = new Set<number>();
    return keys.map((k) => {
        let c = hash(k) % COLORS.length;
        for (let i = 0; i < COLORS.length && taken.size < COLORS.length && taken.has(c); i++) c = (c + 1) % COLORS.length;
        taken.add(c);
        return c;
    });
}
