# lib.sh - for tests of the whole program: start, wait, ask, stop. Sourced; leaves nothing behind.
# shellcheck shell=bash
set -u
B=${B:-build}
tripod=$B/bin/tripod
[ -x "$tripod" ] || { echo "no $tripod: build first"; exit 1; }
work=$(mktemp -d)
pids=
cleanup() {
    for p in $pids; do kill -KILL "$p" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "FAILED: $*"; [ -f "$work/log" ] && tail -n 30 "$work/log"; exit 1; }
skip() { echo "$*"; exit 77; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# start_tripod [flags]: sets $pid, $port and $url; the data directory is $work/data unless flags say otherwise.
start_tripod() {
    : >"$work/log.new"
    "$tripod" serve --data "$work/data" --listen 127.0.0.1:0 --compat-ports=off "$@" >>"$work/log.new" 2>&1 &
    pid=$!
    pids="$pids $pid"
    local i
    for ((i = 0; i < 1000; i++)); do
        port=$(sed -n 's|.*ready after.*http://[^ ]*:\([0-9]*\)/.*|\1|p' "$work/log.new" | tail -n 1)
        [ -n "$port" ] && break
        kill -0 "$pid" 2>/dev/null || { cat "$work/log.new" >>"$work/log"; fail "tripod did not start"; }
        sleep 0.02
    done
    cat "$work/log.new" >>"$work/log"
    [ -n "$port" ] || fail "tripod was not ready within 20 s"
    url=http://127.0.0.1:$port
}
stop_tripod() { # stop_tripod [SIGNAL]: $stopped is then its exit status
    kill "-${1:-TERM}" "$pid"
    wait "$pid" 2>/dev/null
    stopped=$?
    cat "$work/log.new" >>"$work/log"
    pids=${pids/ $pid/}
}
value() { # value QUERY [TIME]: of a one-element answer
    curl -s --max-time 30 "$url/api/v1/query" --data-urlencode "query=$1" ${2:+-d "time=$2"} | jq -r '.data.result[0].value[1] // .data.result[1] // empty'
}
expect() { [ "$2" = "$3" ] || fail "$1: \"$2\", expected \"$3\""; }
