#!/bin/bash
# The same random queries to two of us, one of which answers everything the obvious way (TRIPOD_PLAIN_QUERIES=1): no wide instructions, one
# thread, no fused chains, no index. Quick: 2,000; TRIPOD_LONG=1: 50,000. FUZZ_SEED=N repeats a run.
. "$(dirname "$0")/../cmd/lib.sh"
command -v python3 >/dev/null || skip "needs python3"
here=$(dirname "$0")
queries=${TRIPOD_LONG:+50000}
: >"$work/empty.yml"
start_tripod --config "$work/empty.yml" --head.budget 256KB # part of the data is on disk
fast=$port fast_pid=$pid
export TRIPOD_PLAIN_QUERIES=1
start_tripod --config "$work/empty.yml" --data "$work/plain"
python3 "$here/fuzz_promql.py" --twin --native --ours "$fast" --peer "$port" --queries "${queries:-2000}" --seed "${FUZZ_SEED:-$((RANDOM * 32768 + RANDOM + 1))}" ||
    fail "the fast ways and the obvious ones differ"
stop_tripod
pid=$fast_pid
stop_tripod
echo "fine"
