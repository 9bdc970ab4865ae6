#!/bin/bash
# A Docker Engine of our own, in namespaces of our own: its containers are discovered, scraped, and told as container_*.
here=$(dirname "$0")
. "$here/../cmd/docker.sh"
dump=$B/bin/host_dump
[ -x "$dump" ] || fail "no $dump"
prom=
jobs() { # KEYS-OF-THE-DISCOVERY KEYS-OF-THE-JOB
    cat <<Y
  - job_name: all
    scrape_interval: 1s$2
    docker_sd_configs: [{host: 'unix://$socket', refresh_interval: 2s, port: 8080, host_networking_host: 127.0.0.1$1}]
    relabel_configs:
      - {source_labels: [__meta_docker_container_name], regex: '/(.*)', target_label: container}
      - {source_labels: [__meta_docker_network_name], target_label: network}
      - {source_labels: [__meta_docker_container_label_metrics_path], regex: (.+), target_label: __metrics_path__}
      - {regex: __meta_docker_container_label_team_(.+), action: labelmap}
  - job_name: labelled
    scrape_interval: 1s
    docker_sd_configs: [{host: 'unix://$socket', refresh_interval: 2s, filters: [{name: label, values: [metrics.path]}]}]
    relabel_configs:
      - {source_labels: [__meta_docker_container_name], regex: '/(.*)', target_label: container}
      - {source_labels: [__meta_docker_network_name], regex: bridge, action: keep}
Y
}
fallback='
    fallback_scrape_protocol: PrometheusText0.0.4' # busybox says application/octet-stream
{ echo "collect: {containers: true, interval: 1s}"; echo "scrape_configs:"; jobs ", match_first_network: false" "$fallback"; } >"$work/tripod.yml"
{ echo "scrape_configs:"; jobs "" ""; } >"$work/prom.yml" # an old Prometheus takes all networks and knows no key for it
if prometheus --version 2>/dev/null | grep -q 'version 2\.4'; then
    prom=http://127.0.0.1:9990
    prometheus --config.file="$work/prom.yml" --storage.tsdb.path="$work/prom" --web.listen-address=127.0.0.1:9990 >"$work/prom.log" 2>&1 &
    pids="$pids $!"
fi
start_tripod --config "$work/tripod.yml"
python3 "$here/docker_test.py" "$socket" "$url" "$dump" "$(command -v busybox)" "/$TRIPOD_GROUP" $prom || fail "see above"
stop_tripod
expect "exit status" "$stopped" 0
