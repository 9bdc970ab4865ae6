#!/bin/bash
# A Docker Engine of our own, in namespaces of our own: its containers are discovered, scraped, and told as container_*.
# Needs root and dockerd; nothing of it is left behind, for all runs in its own pid, network and mount namespace.
here=$(dirname "$0")
if [ -z "${TRIPOD_DOCKER_INSIDE:-}" ]; then
    for p in dockerd busybox unshare ip iptables python3 curl jq setpriv; do
        command -v $p >/dev/null || { echo "needs $p"; exit 77; }
    done
    [ "$(id -u)" = 0 ] || { echo "needs root to start a Docker Engine"; exit 77; }
    ! ldd "$(command -v busybox)" >/dev/null 2>&1 || { echo "needs a static busybox"; exit 77; }
    unshare --mount --net --pid --fork --kill-child true 2>/dev/null || { echo "needs namespaces of its own"; exit 77; }
    made=
    [ -d /var/lib/docker ] || { mkdir /var/lib/docker && made=1; } || { echo "no /var/lib/docker"; exit 77; }
    TRIPOD_DOCKER_INSIDE=1 TRIPOD_GROUP=tripod-test-$$ unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$@"
    rc=$?
    [ -z "$made" ] || rmdir /var/lib/docker
    for dir in /sys/fs/cgroup/*/tripod-test-$$ /sys/fs/cgroup/tripod-test-$$; do
        [ -d "$dir" ] && find "$dir" -depth -type d -exec rmdir {} +
    done
    exit $rc
fi
. "$here/../cmd/lib.sh"
dump=$B/bin/host_dump
[ -x "$dump" ] || fail "no $dump"
ip link set lo up
mkdir "$work/docker" "$work/run"
mount --bind "$work/docker" /var/lib/docker
socket=$work/docker.sock
dockerd --data-root /var/lib/docker --exec-root "$work/run" --pidfile "$work/docker.pid" --host "unix://$socket" --cgroup-parent "/$TRIPOD_GROUP" >"$work/docker.log" 2>&1 &
docker=$!
# The mount goes with the namespace, but what lies below it is ours to remove: overlays first.
down() {
    kill "$docker" 2>/dev/null
    for _ in $(seq 150); do kill -0 "$docker" 2>/dev/null || break; sleep 0.1; done
    tac /proc/mounts | cut -d' ' -f2 | grep -e "^$work/" -e '^/var/lib/docker' | xargs -r -n 1 umount -l
    cleanup
}
trap down EXIT
for _ in $(seq 300); do
    curl -sf -o /dev/null --unix-socket "$socket" http://docker/_ping && break
    kill -0 "$docker" 2>/dev/null || { tail -n 5 "$work/docker.log"; skip "dockerd does not run here"; }
    sleep 0.1
done
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
