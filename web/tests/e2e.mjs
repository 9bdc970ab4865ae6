// The pages in a real browser against a real tripod: node web/tests/e2e.mjs URL SCREENSHOT_DIR
// Clicks, types, drags, reloads, goes back; takes screenshots in both themes at 1440 and 390 pixels. Any console error fails.
// ONLY=REGEX: only the checks of that name.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [base, shots] = process.argv.slice(2);
mkdirSync(shots, { recursive: true });
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let passed = 0, failed = 0;
const problems = [];

async function withPage(width, scheme, fn) {
    const ctx = await browser.newContext({ viewport: { width, height: width < 800 ? 844 : 900 }, colorScheme: scheme });
    const page = await ctx.newPage();
    page.on("pageerror", (e) => problems.push(`page error: ${e.message}`));
    page.on("console", (m) => { if (m.type() === "error" && !/status of 4\d\d/.test(m.text())) problems.push(`console: ${m.text()}`); });
    try { await fn(page); } finally { await ctx.close(); }
}

const only = new RegExp(process.env.ONLY ?? "");
async function check(name, fn, width = 1440, scheme = "light") {
    if (!only.test(name)) return;
    problems.length = 0;
    try {
        await withPage(width, scheme, fn);
        assert.deepEqual(problems, []);
        passed++;
        console.log(`ok ${name}`);
    } catch (e) {
        failed++;
        console.log(`FAILED ${name}: ${e.message.split("\n").slice(0, 12).join("\n  ")}`);
    }
}

const metrics = (q, more = "") => `${base}/metrics-explorer?from=now-15m&q=${encodeURIComponent(q)}${more}`;
const params = (page) => new URL(page.url()).searchParams;

await check("first paint is quick", async (page) => {
    await page.goto(base, { waitUntil: "load" });
    await page.waitForSelector(".shell");
    const ms = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 1e9);
    assert.ok(ms <= 300 * Number(process.env.SLOW ?? 3), `first contentful paint after ${ms} ms`);
    console.log(`  first contentful paint ${Math.round(ms)} ms`);
});
await check("overview shows this host", async (page) => {
    await page.goto(base);
    await page.waitForFunction(() => [...document.querySelectorAll(".stat b")].some((b) => /^\d/.test(b.textContent)));
    await page.waitForSelector(".chart canvas");
});
await check("rail leads to each page, back comes back", async (page) => {
    await page.goto(base);
    for (const name of ["Metrics", "Logs", "Targets", "Status"]) {
        await page.click(`.rail a:has-text("${name}")`);
        await page.waitForSelector(`.rail a.here:has-text("${name}")`);
    }
    await page.goBack();
    await page.waitForSelector('.rail a.here:has-text("Targets")');
});
await check("type a query with completion, run it, see graph and table", async (page) => {
    await page.goto(`${base}/metrics-explorer`);
    await page.click(".editor");
    await page.keyboard.type("node_load", { delay: 30 });
    await page.waitForSelector(".cm-tooltip-autocomplete li");
    const offered = await page.locator(".cm-tooltip-autocomplete li").allTextContents();
    assert.ok(offered.some((t) => t.includes("node_load1")), `completion offers ${offered.slice(0, 5)}`);
    await page.keyboard.press("Escape");
    await page.keyboard.type("1");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".legend tbody tr");
    assert.equal(params(page).get("q"), "node_load1");
    await page.click('[role=tab]:has-text("Table")');
    await page.waitForSelector("td .metric");
    assert.match(await page.textContent("td .metric"), /node_load1\{/);
    await page.reload();
    await page.waitForSelector("td .metric");
    await page.goBack();
    await page.waitForSelector(".legend tbody tr");
});
await check("explain shows the tree of costs and marks the part at hand", async (page) => {
    await page.goto(metrics("sum by (job) (rate(node_cpu_seconds_total[1m]))"));
    await page.waitForSelector(".legend tbody tr");
    await page.click('[role=tab]:has-text("Explain")');
    await page.waitForSelector("table.tree tbody tr:nth-child(4)");
    const operators = await page.locator("table.tree tbody tr .metric").allTextContents();
    assert.deepEqual(operators, ["sum by (job)", "rate", "range 1m", "node_cpu_seconds_total"]);
    assert.match(await page.textContent('table.tree tbody tr:nth-child(4) [data-th="Samples"]'), /\d/);
    await page.hover("table.tree tbody tr:nth-child(2)");
    assert.equal(await page.textContent("pre.span mark"), "rate(node_cpu_seconds_total[1m])");
    await page.click('button:has-text("Instant")');
    await page.waitForFunction(() => / at \d/.test(document.querySelector(".panel header .dim")?.textContent ?? ""));
    assert.equal(params(page).get("of"), "instant");
    await page.reload();
    await page.waitForSelector("table.tree tbody tr");
    assert.equal(params(page).get("tab"), "explain");
});
await check("a wrong query says where", async (page) => {
    await page.goto(metrics("sum(("));
    await page.waitForSelector(".note.bad");
    assert.match(await page.textContent(".note.bad"), /parse error/);
});
await check("dragging on a chart sets the time range", async (page) => {
    await page.goto(metrics("node_load1"));
    await page.waitForSelector(".legend tbody tr");
    const box = await page.locator(".chart canvas").boundingBox();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 80);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.8, box.y + 90, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction(() => /^\d+$/.test(new URLSearchParams(location.search).get("from") ?? ""));
    await page.goBack();
    assert.equal(params(page).get("from"), "now-15m");
});
await check("hover shows the series, a click on the legend isolates", async (page) => {
    await page.goto(metrics("node_memory_MemTotal_bytes"));
    await page.waitForSelector(".legend tbody tr");
    const box = await page.locator(".chart canvas").boundingBox();
    await page.mouse.move(box.x + box.width * 0.98, box.y + 100);
    await page.waitForSelector(".tip td.num");
    assert.match(await page.textContent(".tip td.num"), /iB/);
    await page.click(".legend tbody tr");
});
await check("search finds a metric by the keyboard alone", async (page) => {
    await page.goto(base);
    await page.waitForSelector(".rail");
    await page.keyboard.press("/");
    await page.keyboard.type("memory memavail");
    await page.waitForSelector('.find li:has-text("node_memory_MemAvailable_bytes")');
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => new URLSearchParams(location.search).get("q") === "node_memory_MemAvailable_bytes");
});
await check("time range menu", async (page) => {
    await page.goto(metrics("up"));
    await page.click('.top button[aria-haspopup="dialog"]');
    await page.click('.pop button:text-is("6h")');
    assert.equal(params(page).get("from"), "now-6h");
    await page.click('.top button[aria-haspopup="dialog"]');
    await page.fill(".pop input >> nth=0", "nonsense");
    await page.click(".pop button.primary");
    await page.waitForSelector(".pop .bad");
});
await check("targets and filter", async (page) => {
    await page.goto(`${base}/targets`);
    await page.waitForSelector("table.cards tbody tr");
    await page.fill('input[aria-label="Filter targets"]', "zzzz");
    await page.waitForSelector('.empty:has-text("No target fits")');
    assert.equal(params(page).get("find"), "zzzz");
});
await check("status shows cardinality", async (page) => {
    await page.goto(`${base}/status`);
    await page.waitForSelector('section:has-text("Series by metric") td.num');
});
await check("theme switch stays", async (page) => {
    await page.goto(base);
    await page.click('.rail button:has-text("Theme")');
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
    await page.reload();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
});
await check("text from data is text, never HTML", async (page) => {
    await page.goto(metrics('label_replace(vector(1), "x", "<img src=x onerror=alert(1)>", "", "")', "&tab=table"));
    await page.waitForSelector("td .metric");
    assert.match(await page.textContent("td .metric"), /<img src=x/);
    assert.equal(await page.locator("td img").count(), 0);
});
const logs = (q, more = "") => `${base}/logs?from=now-15m${q ? `&q=${encodeURIComponent(q)}` : ""}${more}`;
await check("logs: an empty box offers the services", async (page) => {
    await page.goto(logs(""));
    await page.click('.examples button:has-text("shop")');
    await page.waitForSelector(".logs .row");
    assert.equal(params(page).get("q"), '{service_name="shop"}');
    await page.waitForSelector(".levels rect.lv-error");
});
await check("logs: complete a label and its value, run, reload, back", async (page) => {
    await page.goto(`${base}/logs?from=now-15m`);
    await page.click(".editor");
    await page.keyboard.type("{servi", { delay: 30 });
    await page.waitForSelector('.cm-tooltip-autocomplete li:has-text("service_name")');
    await page.waitForTimeout(120);
    await page.keyboard.press("Enter");
    await page.waitForSelector('.cm-tooltip-autocomplete li:has-text("shop"), .cm-content:has-text("service_name")');
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+A");
    await page.keyboard.type('{service_name="shop"} |= `order 7 `');
    await page.keyboard.press("Escape");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".logs mark");
    assert.equal(await page.textContent(".logs mark"), "order 7 ");
    await page.reload();
    await page.waitForSelector(".logs mark");
    await page.goBack();
    await page.waitForFunction(() => !new URLSearchParams(location.search).has("q"));
});
await check("logs: a row opens, a field narrows the query, context is shown", async (page) => {
    await page.goto(logs('{service_name="shop"} | json'));
    await page.click(".logs .row >> nth=3");
    await page.waitForSelector('.drawer td:has-text("user_id")');
    await page.click('.drawer button:has-text("Before and after")');
    await page.waitForSelector(".drawer .context .here");
    await page.click('.drawer tr:has(td:text-is("level")) button >> nth=0');
    await page.waitForFunction(() => / \| level="/.test(new URLSearchParams(location.search).get("q") ?? ""));
    await page.waitForSelector(".logs .row");
});
await check("logs: dragging over the bars sets the time range", async (page) => {
    await page.goto(logs('{service_name="shop"}'));
    await page.waitForSelector(".levels rect");
    const box = await page.locator(".levels svg").boundingBox();
    await page.mouse.move(box.x + box.width * 0.4, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.7, box.y + 30, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction(() => /^\d+$/.test(new URLSearchParams(location.search).get("from") ?? ""));
});
await check("logs: thousands of records scroll, older ones are loaded", async (page) => {
    await page.goto(logs('{service_name="shop"}'));
    await page.waitForSelector(".logs .row");
    assert.ok(await page.locator(".logs .row").count() < 150, "only what is in sight exists");
    await page.evaluate(() => { const v = document.querySelector(".virtual"); v.scrollTop = v.scrollHeight; });
    await page.click('button:has-text("Older records")');
    await page.waitForFunction(() => Number(document.querySelector(".panel header .dim").textContent.replace(/[^\d.k].*/, "").replace("k", "")) > 1, undefined, { timeout: 10000 });
    const ms = await page.evaluate(async () => {
        const v = document.querySelector(".virtual");
        let worst = 0, last = performance.now();
        for (let i = 0; i < 60; i++) {
            v.scrollTop = (v.scrollHeight * i) / 60;
            await new Promise(requestAnimationFrame);
            const now = performance.now();
            worst = Math.max(worst, now - last);
            last = now;
        }
        return worst;
    });
    console.log(`  the slowest frame of a scroll through all of it took ${Math.round(ms)} ms`);
    assert.ok(ms < 300 * Number(process.env.SLOW ?? 3), `a frame of ${ms} ms`);
});
await check("logs: no script, colour or control character of a line acts", async (page) => {
    await page.goto(logs('{service_name="evil"}'));
    await page.waitForSelector(".logs .row");
    const text = await page.textContent(".logs");
    assert.match(text, /<img src=x onerror=/);
    assert.match(text, /<script>/);
    assert.ok(!text.includes("\u001b"), "no escape character");
    assert.match(text, /red\u2400/);
    assert.equal(await page.locator(".logs img, .logs script").count(), 0);
    await page.click(".logs .row >> nth=0");
    await page.waitForSelector(".drawer");
    assert.equal(await page.evaluate(() => window.pwned), undefined);
});
await check("logs: numbers over records are a graph", async (page) => {
    await page.goto(logs('sum by (level) (count_over_time({service_name="shop"} | json [1m]))'));
    await page.waitForSelector(".legend tbody tr");
});
await check("logs: patterns and fields", async (page) => {
    await page.goto(logs('{service_name="words"}', "&tab=patterns"));
    await page.waitForSelector('td.value:has-text("<_>")');
    await page.goto(logs('{service_name="shop"}', "&tab=fields"));
    await page.waitForSelector('td:text-is("user_id")');
    await page.click('tr:has(td:text-is("level")) button');
    await page.click('.labels button:text-is("error")');
    await page.waitForFunction(() => /\| json \| level="error"/.test(new URLSearchParams(location.search).get("q") ?? ""));
});
await check("logs: live", async (page) => {
    await page.goto(logs('{service_name="live"}', "&live=1"));
    await page.waitForSelector('.panel header:has-text("Live")');
    for (let i = 0; i < 3; i++) {
        await fetch(`${base}/loki/api/v1/push`, { method: "POST", headers: { "Content-Type": "application/json" },
            body: JSON.stringify({ streams: [{ stream: { app: "live" }, values: [[`${BigInt(Date.now()) * 1000000n}`, `live line ${i}`]] }] }) });
        await page.waitForSelector(`.logs .row:has-text("live line ${i}")`);
    }
});
await check("logs: a wrong query says where", async (page) => {
    await page.goto(logs('{service_name="shop"} |= '));
    await page.waitForSelector(".note.bad");
    assert.match(await page.textContent(".note.bad"), /parse error/);
});
for (const [width, scheme] of [[1440, "light"], [1440, "dark"], [390, "light"], [390, "dark"]])
    await check(`screenshots ${width} ${scheme}`, async (page) => {
        for (const [name, url] of [["overview", `${base}/?from=now-15m`], ["metrics", metrics("rate(node_cpu_seconds_total[1m])")], ["table", metrics("up", "&tab=table")], ["explain", metrics("sum by (mode) (rate(node_cpu_seconds_total[1m])) / on () group_left () count(node_load1)", "&tab=explain")],
            ["empty", `${base}/metrics-explorer`], ["error", metrics("sum((")], ["logs", logs('{service_name="shop"}')], ["logs-open", logs('{service_name="shop"} | json |= "order"')], ["logs-empty", logs("")], ["logs-patterns", logs('{service_name="words"}', "&tab=patterns")], ["logs-fields", logs('{service_name="shop"}', "&tab=fields")],
            ["targets", `${base}/targets`], ["status", `${base}/status`]]) {
            await page.goto(url, { waitUntil: "networkidle" });
            await page.waitForTimeout(300);
            if (name === "logs-open") await page.click(".logs .row >> nth=2");
            assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1), `${name} is wider than the window`);
            await page.screenshot({ path: `${shots}/${name}-${width}-${scheme}.png` });
        }
    }, width, scheme);
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
