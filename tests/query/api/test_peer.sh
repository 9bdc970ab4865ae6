#!/bin/bash
# The API beside a real Prometheus that scrapes the same: answers of the same shape, mistakes in the same words.
. "$(dirname "$0")/../../cmd/lib.sh"
for p in prometheus python3 curl jq; do command -v $p >/dev/null || skip "needs $p"; done
prom=$(free_port)
cat >"$work/prom.yml" <<Y
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['127.0.0.1:$prom']}]
  - job_name: dropped
    static_configs: [{targets: ['127.0.0.1:1']}]
    relabel_configs: [{source_labels: [__address__], regex: '.*', action: drop}]
Y
start_tripod --config "$work/prom.yml" --web.enable-admin-api --web.enable-lifecycle
prometheus --config.file="$work/prom.yml" --storage.tsdb.path="$work/prom" --web.listen-address=127.0.0.1:"$prom" \
    --web.enable-admin-api --web.enable-lifecycle --enable-feature=exemplar-storage --log.level=warn >"$work/prom.log" 2>&1 &
pids="$pids $!"
for ((i = 0; i < 100; i++)); do
    [ -n "$(value 'up{job="prometheus"} == 1')" ] && break
    sleep 0.2
done
sleep 5
python3 "$(dirname "$0")/shape.py" "$url" "http://127.0.0.1:$prom" || fail "answers differ"
