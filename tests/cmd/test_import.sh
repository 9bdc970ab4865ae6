#!/bin/bash
# `tripod import` of five kinds of logs, plain, gzip and zstd: every line comes back byte for byte, also when it is imported twice with a
# kill in between. Quick: 3 MB a kind; long: 450 MB a kind.
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
send syslog "$work/syslog.log"
n=$(grep -c . "$work/json.log")
expect "lines of json" "$("$tripod" query --url "$url" --language logql -o csv 'sum(count_over_time({job="json"}[13h]))' | sed -n '2s/.*,//p')" "$n"
expect "the line with the needle" "$("$tripod" query --url "$url" --since 13h -o raw '{job=~".+"} |= "needle7f3a9c51"' | wc -l)" 5
grep -h needle7f3a9c51 "$work"/*.log | sort >"$work/needles"
"$tripod" query --url "$url" --since 13h -o raw '{job=~".+"} |= "needle7f3a9c51"' | sort | cmp - "$work/needles" || fail "the lines with the needle differ"
stop_tripod
for kind in $kinds; do
    "$B/bin/logs_back" "$work/data" "job=$kind" "$work/$kind.log" || fail "$kind"
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
