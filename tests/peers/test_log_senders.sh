#!/bin/bash
# Real senders of log records: what each has sent is found again, counted. Each that is not installed here is said to be left out.
# Senders of the npm registry are installed into a folder of the test (TRIPOD_LONG=1), or taken from $TRIPOD_NODE_MODULES.
. "$(dirname "$0")/../cmd/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
for p in curl python3; do command -v $p >/dev/null || skip "needs $p"; done
n=${TRIPOD_LONG:+20000}
n=${n:-500}
tcp=$(free_port) udp=$(free_port)
cat >"$work/tripod.yml" <<Y
syslog:
  - {listen_tcp: "127.0.0.1:$tcp", listen_udp: "127.0.0.1:$udp"}
Y
start_tripod --config "$work/tripod.yml"
found() { python3 "$here/log_senders.py" count "$url" "$1" "$2" || fail "lines were lost: $1"; }
left_out() { echo "left out: $*"; }

# curl: JSON and gzip
now=$(date +%s)
python3 - "$n" "$now" >"$work/push.json" <<'P'
import json, sys
n, now = int(sys.argv[1]), int(sys.argv[2])
print(json.dumps({"streams": [{"stream": {"app": "curl"}, "values": [[str(now * 10**9 + i), f"line {i}"] for i in range(n)]}]}))
P
[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' --data-binary @"$work/push.json" "$url/loki/api/v1/push")" = 204 ] || fail "curl: not 204"
sed 's/"curl"/"curl-gzip"/' "$work/push.json" | gzip >"$work/push.gz"
[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -H 'Content-Encoding: gzip' --data-binary @"$work/push.gz" "$url/loki/api/v1/push")" = 204 ] || fail "curl: not 204"
found '{app="curl"}' "$n"
found '{app="curl-gzip"}' "$n"
# the same again counts once
curl -s -o /dev/null -H 'Content-Type: application/json' --data-binary @"$work/push.json" "$url/loki/api/v1/push"
found '{app="curl"}' "$n"
python3 -c 'import json, sys
for i in range(int(sys.argv[1])): print(json.dumps({"_msg": f"line {i}", "app": "jsonline", "n": i}))' "$n" | curl -s --data-binary @- "$url/insert/jsonline" || fail "jsonline"
found '{app="jsonline"}' "$n"

# Python's SysLogHandler
python3 "$here/log_senders.py" syslog tcp "$tcp" "$n" && found '{app_name="python-tcp"}' "$n"
python3 "$here/log_senders.py" syslog udp "$udp" "$n" && found '{app_name="python-udp"}' "$n"

# logger(1): octet counting and lines over TCP, datagrams; RFC 5424 and 3164
if command -v logger >/dev/null; then
    for i in $(seq 50); do echo "message $i"; done >"$work/lines"
    logger --server 127.0.0.1 --port "$tcp" --tcp --octet-count --rfc5424 --tag logger-octets --file "$work/lines" && found '{app_name="logger-octets"}' 50
    logger --server 127.0.0.1 --port "$tcp" --tcp --rfc3164 --tag logger-lines --file "$work/lines" && found '{app_name="logger-lines"}' 50
    logger --server 127.0.0.1 --port "$udp" --udp --rfc5424 --tag logger-udp --file "$work/lines" && found '{app_name="logger-udp"}' 50
else
    left_out "logger(1) is not installed"
fi

# rsyslog: a file through omfwd (octet counted TCP, UDP) and, where it is packaged, omelasticsearch
if command -v rsyslogd >/dev/null; then
    elastic=
    ls /usr/lib/*/rsyslog/omelasticsearch.so >/dev/null 2>&1 && elastic=1
    [ -n "$elastic" ] || left_out "rsyslog's omelasticsearch is not installed"
    for i in $(seq "$n"); do echo "rsyslog line $i"; done >"$work/in.log"
    mkdir "$work/spool"
    {
        echo 'module(load="imfile" mode="polling" pollingInterval="1")'
        echo "global(workDirectory=\"$work/spool\")"
        [ -z "$elastic" ] || echo 'module(load="omelasticsearch")'
        echo 'template(name="es" type="list") { constant(value="{\"@timestamp\":\"") property(name="timereported" dateFormat="rfc3339") constant(value="\",\"app\":\"rsyslog-es\",\"message\":\"") property(name="msg" format="json") constant(value="\"}") }'
        echo "input(type=\"imfile\" file=\"$work/in.log\" tag=\"rsyslog-file\" ruleset=\"out\")"
        echo 'ruleset(name="out") {'
        echo "  action(type=\"omfwd\" target=\"127.0.0.1\" port=\"$tcp\" protocol=\"tcp\" tcp_framing=\"octet-counted\" template=\"RSYSLOG_SyslogProtocol23Format\")"
        [ -z "$elastic" ] || echo "  action(type=\"omelasticsearch\" server=\"127.0.0.1\" serverport=\"$port\" searchIndex=\"logs\" template=\"es\" bulkmode=\"on\" queue.dequeuebatchsize=\"200\")"
        echo '}'
    } >"$work/rsyslog.conf"
    rsyslogd -n -f "$work/rsyslog.conf" -i "$work/rsyslog.pid" >"$work/rsyslog.log" 2>&1 &
    rsyslog=$!
    pids="$pids $rsyslog"
    found '{app_name="rsyslog-file"}' "$n"
    [ -z "$elastic" ] || found '{app="rsyslog-es"}' "$n"
    kill "$rsyslog"
    wait "$rsyslog" 2>/dev/null
else
    left_out "rsyslog is not installed"
fi

# Node: the OpenTelemetry SDK, pino-loki, winston-loki
modules=${TRIPOD_NODE_MODULES:-}
if [ -z "$modules" ] && [ -n "${TRIPOD_LONG:-}" ] && command -v npm >/dev/null; then
    (mkdir "$work/npm" && cd "$work/npm" && npm install --no-audit --no-fund --ignore-scripts pino@9.14.0 pino-loki@3.0.0 winston@3.19.0 winston-loki@6.1.7 \
        @opentelemetry/sdk-logs@0.223.1 @opentelemetry/exporter-logs-otlp-http@0.223.1 @opentelemetry/exporter-logs-otlp-proto@0.223.1 @opentelemetry/resources@2.12.1) >"$work/npm.log" 2>&1 &&
        modules=$work/npm/node_modules
fi
if [ -n "$modules" ] && command -v node >/dev/null; then
    for s in otel-http otel-proto pino winston; do
        NODE_PATH=$modules timeout 120 node "$here/log_senders.js" $s "$url" "$n" || fail "$s did not end well"
    done
    found '{service_name="otel-http"}' "$n"
    found '{service_name="otel-http"} | order_id="7"' 1
    found '{service_name="otel-proto"}' "$n"
    found '{app="pino"}' "$n"
    found '{app="winston-json"}' "$n"
    found '{app="winston-proto"}' "$n"
else
    left_out "senders of the npm registry: TRIPOD_LONG=1 installs them, TRIPOD_NODE_MODULES names where they are"
fi
stop_tripod
expect "exit status" "$stopped" 0
echo "fine"
