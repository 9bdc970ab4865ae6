#!/bin/bash
# systemd's own tools: a journal that systemd-journal-remote writes is followed through journalctl, over a kill -9 without a record lost
# or read twice, and systemd-journal-upload delivers the same to the door for journals.
# Sanitizers: asan
here=$(dirname "$0")
. "$here/../../cmd/lib.sh"
remote=/lib/systemd/systemd-journal-remote
upload=/lib/systemd/systemd-journal-upload
for p in journalctl $remote $upload; do command -v $p >/dev/null || skip "needs $p (systemd, systemd-journal-remote)"; done
mkdir "$work/journal"
write() { # write FIRST N: records FIRST..FIRST+N-1 into the journal, in export format; every tenth has bytes that are no text
    python3 - "$1" "$2" "$(($(date +%s) - 600))" <<'P' >"$work/export"
import struct
import sys
first, n, start = map(int, sys.argv[1:])
out = sys.stdout.buffer
for i in range(first, first + n):
    fields = {"__REALTIME_TIMESTAMP": start * 10**6 + i * 1000, "__MONOTONIC_TIMESTAMP": 10**6 + i * 1000, "_BOOT_ID": "4" * 32, "_MACHINE_ID": "3" * 32,
              "_HOSTNAME": "box", "PRIORITY": i % 8, "_SYSTEMD_UNIT": ("web", "db")[i % 2] + ".service", "SYSLOG_IDENTIFIER": "demo"}
    for name, value in fields.items():
        out.write(f"{name}={value}\n".encode())
    message = f"record {i}".encode() if i % 10 else f"record {i}\n\tof two lines \u00e9\x01".encode()
    if i % 10:
        out.write(b"MESSAGE=" + message + b"\n\n")
    else:
        out.write(b"MESSAGE\n" + struct.pack("<Q", len(message)) + message + b"\n\n")
P
    "$remote" --output="$work/journal/remote-box.journal" - <"$work/export" >"$work/out" 2>&1 || skip "systemd-journal-remote cannot write here: $(tail -n 1 "$work/out")"
}
cat >"$work/c.yml" <<Y
collect: {host: false, self: false, containers: false}
logs:
  scrape_configs:
  - job_name: journal
    journal: {path: $work/journal, labels: {job: journal}}
    relabel_configs:
    - {source_labels: [__journal__systemd_unit], target_label: unit}
    - {source_labels: [__journal_priority_keyword], target_label: severity}
Y
ask() { curl -sG "$url/loki/api/v1/query_range" --data-urlencode "query=$1" -d limit=5000 -d direction=forward -d since=2h; }
lines() { ask "$1" | jq -c '[.data.result[].values[]] | sort | .[][1]'; }
await() { # await N QUERY
    for ((i = 0; i < 300; i++)); do [ "$(lines "$2" | wc -l)" -ge "$1" ] && break; sleep 0.1; done
    expect "records of $2" "$(lines "$2" | wc -l)" "$1"
}
write 0 100
start_tripod --config "$work/c.yml"
await 100 '{job="journal"}'
write 100 100 # while it is followed
await 200 '{job="journal"}'
stop_tripod KILL
write 200 100 # while nobody follows
start_tripod --config "$work/c.yml"
await 300 '{job="journal"}'
sleep 1
await 300 '{job="journal"}'
for ((i = 0; i < 300; i++)); do
    if ((i % 10)); then echo "\"record $i\""; else printf '"record %d\\n\\tof two lines é\\u0001"\n' $i; fi
done >"$work/want"
lines '{job="journal"}' >"$work/got"
cmp "$work/got" "$work/want" || fail "not the records that were written: $(diff "$work/got" "$work/want" | head -n 5)"
expect "records of a unit" "$(lines '{job="journal", unit="web.service"}' | wc -l)" 150
expect "a severity" "$(ask '{job="journal", severity="error"}' | jq -r '[.data.result[].values[]] | length')" 38

timeout 60 "$upload" --url="$url/insert/journald" -D "$work/journal" --save-state="$work/state" --follow=no >"$work/out" 2>&1 || fail "systemd-journal-upload: $(cat "$work/out")"
await 300 '{_HOSTNAME="box"}'
lines '{_HOSTNAME="box"}' >"$work/got"
cmp "$work/got" "$work/want" || fail "not the records that were uploaded: $(diff "$work/got" "$work/want" | head -n 5)"
expect "its labels" "$(ask '{_HOSTNAME="box"}' | jq -r '[.data.result[].stream | ._SYSTEMD_UNIT + " " + .service_name] | unique | join(", ")')" "db.service db, web.service web"
write 300 50
timeout 60 "$upload" --url="$url/insert/journald" -D "$work/journal" --save-state="$work/state" --follow=no >"$work/out" 2>&1 || fail "systemd-journal-upload once more: $(cat "$work/out")"
await 350 '{_HOSTNAME="box"}'
stop_tripod
expect "exit status" "$stopped" 0
echo "fine"
