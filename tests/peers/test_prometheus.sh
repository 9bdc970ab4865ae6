#!/bin/bash
# A real Prometheus scrapes a real node_exporter and a demo service and remote-writes to us; then both answer the same queries.
# Quick: two minutes of data; TRIPOD_LONG=1: ten.
. "$(dirname "$0")/../cmd/lib.sh"
for p in prometheus prometheus-node-exporter python3; do command -v $p >/dev/null || skip "needs $p"; done
here=$(dirname "$0")
seconds=${TRIPOD_LONG:+600}
seconds=${seconds:-75}
: >"$work/empty.yml"
start_tripod --config "$work/empty.yml"
node=$(free_port) demo=$(free_port) prom=$(free_port)
prometheus-node-exporter --web.listen-address=127.0.0.1:"$node" >"$work/node.log" 2>&1 &
pids="$pids $!"
python3 "$here/demo_exporter.py" "$demo" >"$work/demo.log" 2>&1 &
pids="$pids $!"
cat >"$work/prom.yml" <<Y
global: {scrape_interval: 1s, scrape_timeout: 1s}
remote_write: [{url: "$url/api/v1/write", queue_config: {batch_send_deadline: 500ms}}]
scrape_configs:
  - job_name: node
    static_configs: [{targets: ['127.0.0.1:$node']}]
  - job_name: prometheus
    static_configs: [{targets: ['127.0.0.1:$prom']}]
  - job_name: demo
    static_configs: [{targets: ['127.0.0.1:$demo']}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __metrics_path__, replacement: /0/metrics}
  - job_name: demo1
    metrics_path: /1/metrics
    static_configs: [{targets: ['127.0.0.1:$demo'], labels: {job: demo, instance: 'demo-1'}}]
  - job_name: demo2
    metrics_path: /2/metrics
    static_configs: [{targets: ['127.0.0.1:$demo'], labels: {job: demo, instance: 'demo-2'}}]
Y
prometheus --config.file="$work/prom.yml" --storage.tsdb.path="$work/prom" --web.listen-address=127.0.0.1:"$prom" --log.level=warn >"$work/prom.log" 2>&1 &
prom_pid=$!
pids="$pids $prom_pid"
sleep "$seconds"
# Stop the world, so that both hold the same and go on holding it while they are asked (a negative offset looks ahead of the end): no more
# targets, then what is queued arrives, the last staleness markers too.
end=$(($(date +%s) - 2))
sed -i '/^scrape_configs:/,$d' "$work/prom.yml"
kill -HUP "$prom_pid"
sleep 8
# Asked at a millisecond of the second at which nothing was scraped: 2.42 counts a sample right at the start of a window in, Prometheus 3 does not.
end=$(curl -sg "http://127.0.0.1:$prom/api/v1/query?query=up[1h]" | python3 -c '
import json, sys
used = {round(float(t) * 1000) % 1000 for s in json.load(sys.stdin)["data"]["result"] for t, _ in s["values"]}
print(sys.argv[1] + ".%03d" % next(ms for ms in range(723, 1000) if ms not in used))' "$end") || fail "no free millisecond: were the targets scraped?"
files="--queries $here/node_queries.txt"
compliance=${TRIPOD_SHARED:-../shared}/conformance/promql-compliance/queries.jsonl
if [ -f "$compliance" ]; then files="$files --queries $compliance"; else echo "no compliance queries at $compliance: our own list only"; fi
# What Prometheus 3 decided otherwise than 2.42: atan2 drops the metric name; any UTF-8 text is a label name. And the order among the groups of
# a grouped topk or bottomk is not defined.
ignore='atan2|~invalid|(topk|bottomk) *(by|without)'
# shellcheck disable=SC2086
python3 "$here/compare.py" --ours "$url" --peer "http://127.0.0.1:$prom" $files --ignore "$ignore" --end "$end" --seconds $((seconds - 15)) >"$work/compare" 2>&1
rc=$?
cat "$work/compare"
[ $rc -eq 0 ] || fail "answers differ"
stop_tripod
echo "fine"
