#!/bin/bash
# The pages in headless Chromium against a real tripod that collects this host. SHOTS=DIR keeps the screenshots.
. "$(dirname "$0")/../cmd/lib.sh"
command -v chromium >/dev/null || skip "needs chromium"
[ -d web/node_modules/playwright-core ] || skip "needs npm ci in web/ (./test does it)"
cat >"$work/c.yml" <<'Y'
collect: {host: true, self: true, interval: 1s}
scrape_configs: [{job_name: gone, scrape_interval: 2s, static_configs: [{targets: ['127.0.0.1:1']}]}]
Y
start_tripod --config "$work/c.yml"
curl -s "$url/" | grep -q 'id="app"' || skip "this build has no pages"
python3 tests/web/push_logs.py "$url" || fail "logs could not be pushed"
sleep 12
timeout 300 node web/tests/e2e.mjs "$url" "${SHOTS:-$work/shots}" || fail "pages"
stop_tripod
