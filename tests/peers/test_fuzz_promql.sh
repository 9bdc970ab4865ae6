#!/bin/bash
# Random queries over random data, to us and to Debian's Prometheus: the same answers. Quick: 4,000; TRIPOD_LONG=1: 100,000 over ten
# sets of data. FUZZ_SEED=N repeats a run.
. "$(dirname "$0")/../cmd/lib.sh"
for p in prometheus python3; do command -v $p >/dev/null || skip "needs $p"; done
here=$(dirname "$0")
rounds=${TRIPOD_LONG:+10}
queries=${TRIPOD_LONG:+10000}
seed=${FUZZ_SEED:-$((RANDOM * 32768 + RANDOM + 1))}
: >"$work/empty.yml"
printf 'global: {}\n' >"$work/prom.yml"
different=0
for ((i = 0; i < ${rounds:-1}; i++)); do
    rm -rf "$work/data" "$work/prom"
    start_tripod --config "$work/empty.yml"
    prom=$(free_port)
    prometheus --config.file="$work/prom.yml" --storage.tsdb.path="$work/prom" --web.listen-address=127.0.0.1:"$prom" --log.level=warn \
        --web.enable-remote-write-receiver >"$work/prom.log" 2>&1 &
    prom_pid=$!
    pids="$pids $prom_pid"
    for ((k = 0; k < 300; k++)); do curl -sf "http://127.0.0.1:$prom/-/ready" >/dev/null && break; sleep 0.1; done
    python3 "$here/fuzz_promql.py" --ours "$port" --peer "$prom" --queries "${queries:-4000}" --seed $((seed + i)) || different=1
    stop_tripod
    kill "$prom_pid" && wait "$prom_pid" 2>/dev/null
    pids=${pids/ $prom_pid/}
done
[ $different -eq 0 ] || fail "answers differ"
echo "fine"
