// Bundles src/ with esbuild and writes one C file with every asset gzipped: node build.mjs OUT.c [--dev DIR]
// Names carry a hash of their content, so that browsers may keep them for ever; index.html alone is asked for again.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
const dev = process.argv[3] === "--dev" ? process.argv[4] : undefined;

const result = await build({
    absWorkingDir: here,
    entryPoints: { app: "src/main.tsx" },
    bundle: true,
    minify: !dev,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    outdir: "dist",
    write: false,
    define: { "process.env.NODE_ENV": '"production"' },
});

const types = { ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".svg": "image/svg+xml" };
const assets = [];
const names = {};
for (const f of result.outputFiles) {
    const ext = f.path.slice(f.path.lastIndexOf("."));
    const hash = createHash("sha256").update(f.contents).digest("hex").slice(0, 12);
    names[ext] = `/assets/app-${hash}${ext}`;
    assets.push({ path: names[ext], type: types[ext], bytes: Buffer.from(f.contents), hash });
}
const html = readFileSync(join(here, "src/index.html"), "utf8").replace("{{css}}", names[".css"]).replace("{{js}}", names[".js"]);
const add = (path, type, bytes) => assets.push({ path, type, bytes, hash: createHash("sha256").update(bytes).digest("hex").slice(0, 12) });
add("/index.html", types[".html"], Buffer.from(html));
add("/favicon.svg", types[".svg"], readFileSync(join(here, "src/favicon.svg")));

if (dev) {
    for (const a of assets) {
        mkdirSync(dirname(join(dev, a.path)), { recursive: true });
        writeFileSync(join(dev, a.path), a.bytes);
    }
}
let c = '/* Made by web/build.mjs. */\n#include "web/assets.h"\n\n';
let total = 0;
const rows = [];
assets.forEach((a, i) => {
    const gz = gzipSync(a.bytes, { level: 9 });
    total += gz.length;
    c += `static const unsigned char data_${i}[] = {`;
    for (let k = 0; k < gz.length; k++) c += (k % 32 ? "" : "\n") + gz[k] + ",";
    c += "\n};\n";
    rows.push(`    {"${a.path}", "${a.type}", "\\"${a.hash}\\"", data_${i}, sizeof data_${i}},`);
});
c += `\nconst struct web_asset web_assets[] = {\n${rows.join("\n")}\n};\nconst unsigned web_nassets = ${assets.length};\n`;
writeFileSync(out, c);
console.log(`web: ${assets.length} assets, ${(total / 1024).toFixed(1)} KiB compressed`);
if (!dev && total > 250 * 1024) {
    console.error("web: over the 250 KiB that a first load may take");
    process.exit(1);
}
