#!/bin/bash
# Configuration: unknown keys name their line, reload keeps the old one when the new is wrong, flags win over the file.
# Sanitizers: asan
. "$(dirname "$0")/lib.sh"
cat >"$work/c.yml" <<'Y'
global: {scrape_interval: 5s}
storage: {retention: 3d}
scrape_configs:
  - job_name: a
    static_configs: [{targets: ['127.0.0.1:1']}]
Y
"$tripod" check "$work/c.yml" >/dev/null || fail "a good file is refused"
printf 'global:\n  scrape_intervall: 5s\n' >"$work/bad.yml"
"$tripod" check "$work/bad.yml" >"$work/out" && fail "a bad file is taken"
grep -q 'bad.yml:2' "$work/out" && grep -q scrape_intervall "$work/out" || fail "the message names neither line nor key: $(cat "$work/out")"
"$tripod" serve --nonsense 2>"$work/out" && fail "an unknown flag is taken"
grep -q nonsense "$work/out" || fail "the message does not name the flag"
start_tripod --config "$work/c.yml" --retention 9d
expect "retention" "$(curl -s "$url/api/v1/status/flags" | jq -r '.data["storage.tsdb.retention.time"]')" 9d
for ((i = 0; i < 200; i++)); do [ -n "$(value 'up{job="a"}')" ] && break; sleep 0.1; done
expect "up of a closed port" "$(value 'up{job="a"}')" 0
cp "$work/bad.yml" "$work/c.yml"
curl -s -X POST "$url/-/reload" -o "$work/out" -w '%{http_code}' | grep -q 500 || fail "a bad reload does not answer 500"
expect "targets after a bad reload" "$(curl -s "$url/api/v1/targets" | jq '.data.activeTargets | length')" 1
printf 'scrape_configs: [{job_name: b, static_configs: [{targets: ["127.0.0.1:1", "127.0.0.1:2"]}]}]\n' >"$work/c.yml"
kill -HUP "$pid"
for ((i = 0; i < 100; i++)); do [ "$(curl -s "$url/api/v1/targets" | jq '.data.activeTargets | length')" = 2 ] && break; sleep 0.1; done
expect "targets after SIGHUP" "$(curl -s "$url/api/v1/targets" | jq '.data.activeTargets | length')" 2
seed=${TRIPOD_SHARED:-../shared}/seed/config/prometheus.yml
if [ -f "$seed" ]; then "$tripod" check "$seed" >"$work/out" || fail "seed configuration: $(cat "$work/out")"; fi
stop_tripod
echo "fine"
