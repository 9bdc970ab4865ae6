#!/bin/bash
# The main path: start, push, ask, kill -9, start again, reload, stop.
# Sanitizers: asan tsan
. "$(dirname "$0")/lib.sh"
start_tripod
curl -sf "$url/-/ready" >/dev/null || fail "not ready"
curl -sf "$url/-/healthy" >/dev/null || fail "not healthy"
now=$(date +%s)
printf 'demo_total{a="1"} 41 %s000\ndemo_total{a="2"} 1 %s000\n' "$now" "$now" | curl -sf --data-binary @- "$url/api/v1/import/prometheus" || fail "push refused"
expect "sum after push" "$(value 'sum(demo_total)' "$now")" 42
for ((i = 0; i < 100; i++)); do [ -n "$(value 'node_uname_info')" ] && break; sleep 0.1; done
[ -n "$(value 'count({__name__=~"node_.+"})')" ] || fail "this host is not collected"
[ "$(value 'count({__name__=~"tripod_.+"})')" -gt 20 ] || fail "no metrics of our own"
stop_tripod KILL
start_tripod
expect "sum after kill -9" "$(value 'sum(demo_total)' "$now")" 42
expect "samples after kill -9" "$(value 'sum(count_over_time(demo_total[1m]))' "$now")" 2
curl -s "$url/nowhere" -o /dev/null -w '%{http_code}' | grep -q 404 || fail "an unknown path is not a 404"
"$tripod" query --url "$url" --time "$now" 'sum(demo_total)' | grep -qw 42 || fail "tripod query"
"$tripod" query --url "$url" -o csv --time "$now" 'demo_total' | grep -q ',41$' || fail "tripod query -o csv"
"$tripod" query --url "$url" --explain --time "$now" 'sum(demo_total)' | grep -q 'demo_total.* 2 samples' || fail "tripod query --explain"
"$tripod" status --url "$url" >"$work/status" || fail "tripod status: $(cat "$work/status")"
"$tripod" backup --data "$work/data" --url "$url" "$work/copy" >/dev/null || fail "backup of a running one"
stop_tripod
expect "exit status after SIGTERM" "$stopped" 0
"$tripod" fsck "$work/data" >"$work/fsck" || fail "fsck: $(cat "$work/fsck")"
"$tripod" restore --data "$work/back" "$work/copy" >/dev/null || fail "restore"
mv "$work/data" "$work/old" && mv "$work/back" "$work/data"
start_tripod
expect "sum after restore" "$(value 'sum(demo_total)' "$now")" 42
stop_tripod
echo "fine"
