#!/bin/bash
# The json-file logs of a Docker Engine of our own, in namespaces of our own: labels from the Engine, streams, long lines, rotation.
here=$(dirname "$0")
. "$here/../../cmd/docker.sh"
cat >"$work/tripod.yml" <<Y
logs:
  sync_period: 1s
  scrape_configs:
  - job_name: containers
    docker_sd_configs: [{host: 'unix://$socket', refresh_interval: 1s}]
    relabel_configs:
    - {source_labels: [__meta_docker_container_name], regex: '/(.*)', target_label: container}
    - {source_labels: [__meta_docker_container_log_stream], target_label: stream}
    - {source_labels: [__meta_docker_container_label_com_docker_compose_service], target_label: compose_service}
    - {source_labels: [__meta_docker_container_label_com_docker_compose_project], target_label: project}
  - job_name: slow
    docker_sd_configs: [{host: 'unix://$socket', refresh_interval: 30s, filters: [{name: name, values: [flash]}]}]
    relabel_configs:
    - {source_labels: [__meta_docker_container_name], regex: '/(.*)', target_label: container}
    - {target_label: job, replacement: slow}
Y
start_tripod --config "$work/tripod.yml"
python3 "$here/docker_logs_test.py" "$socket" "$url" "$(command -v busybox)" || fail "see above"
stop_tripod
expect "exit status" "$stopped" 0
