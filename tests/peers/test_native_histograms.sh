#!/bin/bash
# A real Prometheus scrapes native histograms in protobuf and remote-writes them to us; we scrape the same exporter ourselves. Both answer
# the same queries, before and after our restart and a flush. It also federates from us what we scraped. Quick: 45 seconds of data; TRIPOD_LONG=1: three minutes.
. "$(dirname "$0")/../cmd/lib.sh"
for p in prometheus python3; do command -v $p >/dev/null || skip "needs $p"; done
here=$(dirname "$0")
seconds=${TRIPOD_LONG:+180}
seconds=${seconds:-45}
exporter=$(free_port) prom=$(free_port)
python3 "$here/native_exporter.py" "$exporter" >"$work/exporter.log" 2>&1 &
pids="$pids $!"
cat >"$work/tripod.yml" <<Y
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - {job_name: own, scrape_native_histograms: true, static_configs: [{targets: ['127.0.0.1:$exporter']}]}
Y
start_tripod --config "$work/tripod.yml"
cat >"$work/prom.yml" <<Y
global: {scrape_interval: 1s, scrape_timeout: 1s}
remote_write: [{url: "$url/api/v1/write", send_native_histograms: true, queue_config: {batch_send_deadline: 500ms},
                write_relabel_configs: [{source_labels: [job], regex: own, action: drop}]}]
scrape_configs:
  - {job_name: native, static_configs: [{targets: ['127.0.0.1:$exporter']}]}
  - job_name: federation
    honor_labels: true
    metrics_path: /federate
    params: {'match[]': ['{__name__=~"nh_.*",job="own"}']}
    static_configs: [{targets: ['${url#http://}']}]
Y
prometheus --config.file="$work/prom.yml" --enable-feature=native-histograms --storage.tsdb.path="$work/prom" \
    --web.listen-address=127.0.0.1:"$prom" --log.level=warn >"$work/prom.log" 2>&1 &
prom_pid=$!
pids="$pids $prom_pid"
sleep "$seconds"
own=$(curl -sg "$url/api/v1/query?query=count(histogram_count({job=\"own\",__name__=~\"nh_.*\"})>0)")
[[ $own == *'"6"]'* ]] || fail "our own scrape has not its six histograms: $own"
end=$(($(date +%s) - 2))
sed -i '/^scrape_configs:/,$d' "$work/prom.yml"
kill -HUP "$prom_pid"
sleep 6
end=$(curl -sg "http://127.0.0.1:$prom/api/v1/query?query=up[1h]" | python3 -c '
import json, sys
used = {round(float(t) * 1000) % 1000 for s in json.load(sys.stdin)["data"]["result"] for t, _ in s["values"]}
print(sys.argv[1] + ".%03d" % next(ms for ms in range(723, 1000) if ms not in used))' "$end") || fail "no free millisecond: was the target scraped?"
# Each query for the job that both have.
sed "s/\\(nh_[a-z_]*\\){/\\1{job=\"native\",/g; t; s/\\(nh_[a-z_]*\\)/\\1{job=\"native\"}/g" "$here/native_queries.txt" >"$work/queries"
compare() {
    python3 "$here/compare.py" --ours "$url" --peer "http://127.0.0.1:$prom" --queries "$work/queries" --end "$end" --seconds $((seconds - 15)) >"$work/compare" 2>&1
    local rc=$?
    cat "$work/compare"
    [ $rc -eq 0 ] || fail "answers differ $1"
}
compare "in the head"
python3 "$here/federated.py" "$url" "http://127.0.0.1:$prom" '{__name__=~"nh_.*",job="own"}' $((seconds - 10))s "$end" || fail "federated samples differ"
stop_tripod
start_tripod --config "$work/tripod.yml"
compare "after a restart"
stop_tripod
echo "fine"
