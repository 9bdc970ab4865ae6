#!/bin/bash
# `tripod import` of five kinds of logs, plain, gzip and zstd: every line comes back byte for byte, also when it is imported twice with a
# kill in between. Quick: 3 MB a kind; long: 450 MB a kind. Then real logs, imported and followed: those in TRIPOD_LOG_FILES (files and folders), else
# what lies in /var/log, up to 5 MB, long 500 MB.
. "$(dirname "$0")/lib.sh"
[ -x "$B/bin/bench_corpus" ] && [ -x "$B/bin/logs_back" ] || skip "bin/bench_corpus and bin/logs_back are not built"
mb=3
[ -n "${TRIPOD_LONG:-}" ] && mb=450
now=$(date +%s)
echo "collect: {host: false, self: false}" >"$work/c.yml"
start_tripod --config "$work/c.yml"
kinds="nginx json java kubernetes syslog"
for kind in $kinds; do
    "$B/bin/bench_corpus" "$kind" $mb $((now - 40000)) 36000 >"$work/$kind.log" || fail "no corpus"
done
gzip -k "$work/json.log"
if command -v zstd >/dev/null; then zstd -q "$work/java.log"; else cp "$work/java.log" "$work/java.log.zst"; fi
send() { # send KIND FILE
    "$tripod" import --url "$url" --label job="$1" --label filename="$1" "$2" 2>"$work/said" || { cat "$work/said"; fail "import of $2"; }
    grep -q " lines, " "$work/said" || fail "no progress: $(cat "$work/said")"
}
send nginx "$work/nginx.log"
send json "$work/json.log.gz"
send java "$work/java.log.zst"
send kubernetes - <"$work/kubernetes.log"
stop_tripod KILL
start_tripod --config "$work/c.yml"
send json "$work/json.log" # again: counts once
# Equal lines of writers that overtake each other, carriage returns, bytes that are no text, a time nothing was written at.
awk -v t=$((now - 3000)) 'BEGIN { for (k = 0; k < 3; k++) for (i = 0; i < 1000; i++) printf "%d again\n", t + i * 3 % 1000 }' >"$work/odd.log"
printf '\nwindows\r\n\r\n\xff\xfe \xc3\n a\0b\nvalid until 2199-01-01T00:00:00Z\nno newline' >>"$work/odd.log"
send odd "$work/odd.log"
send syslog "$work/syslog.log"
n=$(grep -c . "$work/json.log")
expect "lines of json" "$("$tripod" query --url "$url" --language logql -o csv 'sum(count_over_time({job="json"}[13h]))' | sed -n '2s/.*,//p')" "$n"
expect "the line with the needle" "$("$tripod" query --url "$url" --since 13h -o raw '{job=~".+"} |= "needle7f3a9c51"' | wc -l)" 5
grep -h needle7f3a9c51 "$work"/*.log | sort >"$work/needles"
"$tripod" query --url "$url" --since 13h -o raw '{job=~".+"} |= "needle7f3a9c51"' | sort | cmp - "$work/needles" || fail "the lines with the needle differ"
stop_tripod
for kind in $kinds odd; do
    "$B/bin/logs_back" --times "$work/data" "job=$kind" "$work/$kind.log" || fail "$kind"
done
# What cannot be taken says so.
start_tripod --config "$work/c.yml"
head -c 2000 "$work/json.log.gz" >"$work/torn.gz"
"$tripod" import --quiet --url "$url" "$work/torn.gz" 2>"$work/said" && fail "a torn file was taken without a word"
grep -q "ends in the middle" "$work/said" || fail "$(cat "$work/said")"
"$tripod" import --url "$url" "$work/nothing" 2>"$work/said" && fail "no file, no complaint"
"$tripod" import --url http://127.0.0.1:1 --label x 2>"$work/said" "$work/json.log" && fail "a label without a value"
stop_tripod
echo "every line of $((5 * mb)) MB came back"
# Real logs: a file is imported and followed by the same server, which is killed once.
real_mb=5
[ -n "${TRIPOD_LONG:-}" ] && real_mb=500
# shellcheck disable=SC2086  # several files
python3 "$(dirname "$0")/real_logs.py" "$work/real" $real_mb ${TRIPOD_LOG_FILES:-/var/log} >"$work/list" || fail "real logs"
[ -s "$work/list" ] || { echo "no real log file can be read here: left out"; exit 0; }
cat >"$work/real.yml" <<Y
collect: {host: false, self: false}
logs:
  sync_period: 1s
  scrape_configs:
  - job_name: real
    static_configs: [{labels: {job: followed, __path__: "$work/real/*.log"}}]
Y
start_real() { start_tripod --data "$work/real-data" --config "$work/real.yml" --retention 36500d; }
start_real
while read -r name source _; do
    "$tripod" import --quiet --url "$url" --label job=imported --label filename="$name" "$work/real/$source" 2>"$work/said" || { cat "$work/said"; fail "import of $name"; }
done <"$work/list"
stop_tripod KILL
start_real
n=$(awk '{ n += $3 } END { print n }' "$work/list")
for _ in $(seq 1200); do
    followed=$("$tripod" query --url "$url" --language logql -o csv 'sum(count_over_time({job="followed"}[13h]))' | sed -n '2s/.*,//p')
    [ "${followed:-0}" -ge "$n" ] && break
    sleep 0.1
done
stop_tripod
while read -r name source _ path; do
    "$B/bin/logs_back" --times "$work/real-data" "filename=$name" "$work/real/$name" >"$work/said" || { cat "$work/said"; fail "import of $path"; }
    "$B/bin/logs_back" --sequence --no-cr "$work/real-data" "filename=$work/real/$name" "$work/real/$name" >"$work/said" || { cat "$work/said"; fail "following $path"; }
done <"$work/list"
echo "every line of $(wc -l <"$work/list") real log files, $n lines, came back, imported and followed"
