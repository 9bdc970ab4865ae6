#!/bin/bash
# `tripod fsck` says what it checked; with --deep it also finds what checksums cannot: files that are whole and make no sense.
# Sanitizers: asan
. "$(dirname "$0")/lib.sh"
[ -x "$B/bin/forge" ] || skip "bin/forge is not built"
echo "collect: {host: false, self: false, containers: false}" >"$work/c.yml"
start_tripod --config "$work/c.yml"
now=$(date +%s)
for ((i = 0; i < 50; i++)); do
    echo "demo_total{a=\"1\"} $i $((now - 500 + i * 10))000"
    echo "demo_total{a=\"2\"} $((i * i)) $((now - 500 + i * 10))000"
done | curl -sf --data-binary @- "$url/api/v1/import/prometheus" || fail "push of samples"
for ((i = 0; i < 300; i++)); do
    levels=(info error debug)
    printf -v id '%08x%08x' $((i * 2654435761 % 4294967296)) $((i * 40503))
    echo "{\"_time\":\"$((now - 600 + i))\",\"_msg\":\"request $id took $i ms\",\"app\":\"app$((i % 3))\",\"level\":\"${levels[i % 3]}\"}"
done | curl -sf --data-binary @- "$url/insert/jsonline?_stream_fields=app" || fail "push of lines"
"$tripod" backup --data "$work/data" --url "$url" "$work/good" >/dev/null || fail "backup"
"$tripod" fsck --deep "$work/data" >"$work/out" 2>&1 && fail "a directory in use is checked"
grep -q "is in use" "$work/out" || fail "$(cat "$work/out")"
stop_tripod

"$tripod" fsck "$work/good" >"$work/out" || fail "fsck: $(cat "$work/out")"
grep -q "pages and checksums" "$work/out" && ! grep -q "decoded;" "$work/out" || fail "what was checked is not said: $(cat "$work/out")"
"$tripod" fsck --deep "$work/good" >"$work/out" || fail "fsck --deep: $(cat "$work/out")"
grep -q "logs/.*good, inside: 3 streams, .* 300 records decoded" "$work/out" || fail "nothing of logs: $(cat "$work/out")"
grep -q "metrics/.*good, inside: 2 series .* 100 samples decoded" "$work/out" || fail "nothing of metrics: $(cat "$work/out")"
"$tripod" fsck --deeper "$work/good" 2>/dev/null && fail "an unknown flag is taken"

forged() { # forged SIGNAL PREFIX NUMBER "OFFSET..." MASK WORDS: checksums are right, what they cover is not
    rm -rf "$work/bad"
    cp -r "$work/good" "$work/bad"
    local file offset
    file=$(ls "$work/bad/$1"/*.mdb | tail -n 1)
    for offset in $4; do
        "$B/bin/forge" "$file" "$2" "$3" "$offset" "$5" || fail "forge $*"
    done
    "$tripod" fsck "$work/bad" >"$work/out" || fail "$*: not past the checksums: $(cat "$work/out")"
    "$tripod" fsck --deep "$work/bad" >"$work/out" 2>&1 && fail "$*: not found: $(cat "$work/out")"
    grep -qE "$6" "$work/out" || fail "$*: $(cat "$work/out")"
}
forged logs M -1 -1 1 "counts|minute"           # the bytes of the last minute
forged logs M -1 -2 3 "counts of|not those of"  # its records
forged logs B 0 -1 255 "block 0"
forged logs B 0 40 255 "block 0"
forged logs F 0 "-20 -30 -40 -50 -60 -70 -80" 255 "filter 0: hides"
forged logs S 0 -1 1 "block 0: 300 of 300 records have metadata that the directory does not name"
forged logs L 0 -1 1 "stream|segment|label"
forged metrics B -1 -1 255 "slice|segment|block"
forged metrics B 0 0 255 "slice|segment|block|piece"
forged metrics D 0 -1 1 "slice|segment|director|samples"
echo "fine"
