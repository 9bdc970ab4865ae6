// Bundles unit.test.ts and runs it under node's own test runner, whatever node's age.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url)), out = mkdtempSync(join(tmpdir(), "unit-"));
await build({ entryPoints: [join(here, "unit.test.ts")], bundle: true, platform: "node", format: "esm", outfile: join(out, "unit.test.mjs"), external: ["node:*"], logLevel: "error" });
const r = spawnSync(process.execPath, ["--test", out], { stdio: "inherit" });
rmSync(out, { recursive: true });
process.exit(r.status ?? 1);
