#!/bin/bash
# One process scrapes a real node_exporter each second and tells of the host itself each second; then its own store is asked
# whether both told the same. Quick: 20 seconds; TRIPOD_LONG=1: ten minutes.
here=$(dirname "$0")
. "$here/../cmd/lib.sh"
exporter=$(command -v prometheus-node-exporter || command -v node_exporter)
[ -n "$exporter" ] || skip "needs prometheus-node-exporter"
for p in python3 curl jq; do command -v $p >/dev/null || skip "needs $p"; done
seconds=${TRIPOD_LONG:+600}
seconds=${seconds:-20}
node=$(free_port)
"$exporter" --web.listen-address=127.0.0.1:"$node" >"$work/node.log" 2>&1 &
pids="$pids $!"
for _ in $(seq 100); do curl -sf -o "$work/types" "http://127.0.0.1:$node/metrics" && break; sleep 0.1; done
[ -s "$work/types" ] || { tail -n 5 "$work/node.log"; skip "the exporter did not start"; }
cat >"$work/tripod.yml" <<Y
global: {scrape_interval: 1s, scrape_timeout: 1s}
collect: {host: true, interval: 1s}
scrape_configs:
  - job_name: exporter
    static_configs: [{targets: ['127.0.0.1:$node']}]
Y
start_tripod --config "$work/tripod.yml"
sleep "$((seconds + 3))"
python3 -B "$here/node_exporter.py" "$url" "$work/types" "$seconds" || fail "the host is not told as node_exporter tells it"
stop_tripod
expect "exit status" "$stopped" 0
