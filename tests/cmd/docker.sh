# docker.sh - a Docker Engine of our own, in namespaces of our own: its own pid, network and mount namespace, so nothing of it is left
# behind. Sourced first by tests that need one; needs root and dockerd. Sources lib.sh; then $socket is the engine's, and
# containers' cgroups are below /$TRIPOD_GROUP.
# shellcheck shell=bash
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
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
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
