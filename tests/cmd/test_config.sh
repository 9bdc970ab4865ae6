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
# A configuration is taken as a whole or not at all: here the address of the second listener for syslog is taken.
syslog=$(free_port)
taken=$(free_port)
printf 'scrape_configs: [{job_name: b, static_configs: [{targets: ["127.0.0.1:1", "127.0.0.1:2"]}]}]\nsyslog: [{listen_tcp: "127.0.0.1:%s"}]\n' "$syslog" >"$work/c.yml"
curl -sf -X POST "$url/-/reload" || fail "a listener for syslog is not taken"
python3 -c "
import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('127.0.0.1', $taken)); s.listen(); print('up', flush=True); time.sleep(600)" >"$work/holder" &
holder=$!
pids="$pids $holder"
for ((i = 0; i < 200; i++)); do grep -q up "$work/holder" && break; sleep 0.05; done
cat >"$work/c.yml" <<Y
scrape_configs: [{job_name: c, static_configs: [{targets: ["127.0.0.1:3"]}]}]
limits_config: {discover_service_name: []}
logs: {scrape_configs: [{job_name: f, static_configs: [{targets: [localhost], labels: {job: f, __path__: $work/followed}}]}]}
syslog: [{listen_tcp: "127.0.0.1:$syslog"}, {listen_tcp: "127.0.0.1:$taken"}]
Y
echo "a line" >"$work/followed"
for how in curl signal curl; do
    if [ $how = signal ]; then kill -HUP "$pid"; continue; fi
    expect "a reload that cannot have its address" "$(curl -s -X POST "$url/-/reload" -o "$work/out" -w '%{http_code}')" 500
    grep -q "$taken" "$work/out" || fail "the address is not named: $(cat "$work/out")"
done
expect "targets after half a reload" "$(curl -s "$url/api/v1/targets" | jq -r '[.data.activeTargets[].labels.job] | unique | join(" ")')" b
printf '<13>1 2026-01-01T00:00:00Z h app - - - still here\n' | timeout 10 bash -c "cat >/dev/tcp/127.0.0.1/$syslog" || fail "the old listener is gone"
logs() { curl -sG "$url/loki/api/v1/query_range" --data-urlencode "query=$1" | jq -r '.data.result[]?.values[0][1]'; }
for ((i = 0; i < 100; i++)); do [ -n "$(logs '{app_name="app"}')" ] && break; sleep 0.1; done
expect "a message under the old rules" "$(logs '{service_name="app"}')" "still here"
kill -KILL "$holder"
wait "$holder" 2>/dev/null
curl -sf -X POST "$url/-/reload" || fail "the address is free, and still it is not taken"
expect "targets after the whole reload" "$(curl -s "$url/api/v1/targets" | jq -r '[.data.activeTargets[].labels.job] | unique | join(" ")')" c
for ((i = 0; i < 100; i++)); do [ -n "$(logs '{job="f"}')" ] && break; sleep 0.1; done
expect "the followed file" "$(logs '{job="f"}')" "a line"
stop_tripod
expect "exit status" "$stopped" 0
echo "fine"
