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
# What only newer ones know: a pool's configuration and relabelling, and a reload that fails is told.
curl -s "$url/api/v1/scrape_pools/config?scrapePool=dropped" | jq -e '.data.yaml | contains("action: drop")' >/dev/null || fail "scrape_pools/config"
steps=$(curl -sG "$url/api/v1/targets/relabel_steps" -d scrapePool=dropped --data-urlencode 'labels={"__address__":"a:1"}')
expect "relabel_steps" "$(jq -c '.data.steps[0] | [.rule.action, .output, .keep]' <<<"$steps")" '["drop",{},false]'
cp "$work/prom.yml" "$work/fine.yml"
echo 'x: [' >>"$work/prom.yml"
curl -s -o /dev/null -X POST "$url/-/reload"
expect "notification" "$(curl -s "$url/api/v1/notifications" | jq -r '.data[0].text')" "Configuration reload has failed."
cp "$work/fine.yml" "$work/prom.yml"
curl -s -o /dev/null -X POST "$url/-/reload"
expect "no notification" "$(curl -s "$url/api/v1/notifications" | jq -c '.data')" "[]"
(timeout 20 curl -sN "$url/api/v1/notifications/live" >"$work/live") &
for ((i = 0; i < 50; i++)); do sleep 0.1; [ "$(curl -s "$url/api/v1/notifications/live" -o /dev/null -m 1 -w '%{http_code}')" = 200 ] && break; done
began=$(date +%s%N)
stop_tripod
[ $(($(date +%s%N) - began)) -lt 3000000000 ] || fail "a reader of notifications holds up the stop"
grep -q 'shutting down' "$work/live" || fail "readers are not told of the stop"
echo fine
