#!/bin/bash
# The HTTP API beside Debian's Prometheus on the same data, field by field; then remote read, chunk by chunk, and a Prometheus that reads
# through us.
. "$(dirname "$0")/../cmd/lib.sh"
for p in prometheus python3 curl jq; do command -v $p >/dev/null || skip "needs $p"; done
here=$(dirname "$0")
seconds=30
echo 'scrape_configs: []' >"$work/empty.yml"
start_tripod --config "$work/empty.yml" --web.enable-admin-api --web.enable-lifecycle
demo=$(free_port) prom=$(free_port)
python3 "$here/demo_exporter.py" "$demo" >"$work/demo.log" 2>&1 &
pids="$pids $!"
cat >"$work/prom.yml" <<Y
global: {scrape_interval: 1s, scrape_timeout: 1s}
remote_write: [{url: "$url/api/v1/write", send_exemplars: true, queue_config: {batch_send_deadline: 500ms}}]
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['127.0.0.1:$prom']}]
  - job_name: demo
    metrics_path: /0/metrics
    static_configs: [{targets: ['127.0.0.1:$demo']}]
Y
prometheus --config.file="$work/prom.yml" --storage.tsdb.path="$work/prom" --web.listen-address=127.0.0.1:"$prom" --log.level=warn \
    --web.enable-admin-api --enable-feature=exemplar-storage,promql-per-step-stats >"$work/prom.log" 2>&1 &
prom_pid=$!
pids="$pids $prom_pid"
sleep "$seconds"
end=$(python3 -c 'import time; print(int(time.time()) - 2 + 0.7231)')
# No more targets, then what is queued arrives, the last staleness markers too: both hold the same and go on holding it.
sed -i '/^scrape_configs:/,$d' "$work/prom.yml"
kill -HUP "$prom_pid"
sleep 6
peer=http://127.0.0.1:$prom
python3 "$here/api.py" "$url" "$peer" "$end" $((seconds - 8)) >"$work/api" 2>&1
rc=$?
cat "$work/api"
[ $rc -eq 0 ] || fail "answers differ"
python3 "$here/remote_read.py" "$url" "$peer" "$end" "$seconds" >"$work/read" 2>&1
rc=$?
cat "$work/read"
[ $rc -eq 0 ] || fail "remote read differs"
# An empty Prometheus that has nothing but us.
reader=$(free_port)
echo "remote_read: [{url: \"$url/api/v1/read\", read_recent: true}]" >"$work/reader.yml"
prometheus --config.file="$work/reader.yml" --storage.tsdb.path="$work/reader" --web.listen-address=127.0.0.1:"$reader" --log.level=warn >"$work/reader.log" 2>&1 &
pids="$pids $!"
for ((i = 0; i < 100; i++)); do
    curl -sf "http://127.0.0.1:$reader/-/ready" >/dev/null && break
    sleep 0.1
done
python3 "$here/compare.py" --ours "http://127.0.0.1:$reader" --peer "$peer" --queries "$here/read_queries.txt" --end "$end" --seconds $((seconds - 8)) >"$work/compare" 2>&1
rc=$?
cat "$work/compare"
[ $rc -eq 0 ] || fail "queries through us differ"
stop_tripod
echo "fine"
