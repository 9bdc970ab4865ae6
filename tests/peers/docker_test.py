#!/usr/bin/env python3
"""docker_test.py SOCKET URL HOST_DUMP BUSYBOX CGROUP_PARENT [PROMETHEUS_URL]: called by test_docker.sh, which starts the engine and the server."""
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cmd"))
from docker_engine import Engine  # noqa: E402

METRICS = "# TYPE demo_requests_total counter\ndemo_requests_total{path=\"/\"} 42\n# TYPE demo_temperature gauge\ndemo_temperature 21.5\n"
IMAGE = "tripod/box:1"
CROWD = 50
SEEN_S = 2 + 5 + 2  # refresh_interval, between two looks at what discovery found (as upstream), a scrape
COMPARED = re.compile(r"__address__|__meta_docker_(?!container_image)")


failures = 0


def check(ok, what):
    global failures
    if not ok:
        failures += 1
        print(f"FAILED: {what}")
    return ok


def near(a, b, relative, absolute=0.0):
    return abs(a - b) <= max(abs(a), abs(b)) * relative + absolute


def wait(seconds, done):
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if done():
            return time.monotonic() - start
        time.sleep(0.1)
    return None


def get(url, path, **params):
    with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(params)}", timeout=30) as r:
        return json.load(r)["data"]


def query(url, text):
    return get(url, "/api/v1/query", query=text)["result"]


def value(url, text):
    found = query(url, text)
    return float(found[0]["value"][1]) if len(found) == 1 else None


def targets(url, job):
    return [t for t in get(url, "/api/v1/targets", state="active")["activeTargets"] if t["scrapePool"] == job]


def up(url, container):
    return {(m["metric"]["network"], m["metric"]["instance"]): m["value"][1] for m in query(url, f'up{{job="all",container="{container}"}}')}


def start_all(engine):
    ids = {}
    for name in ("back", "front"):
        engine.ask("POST", "/networks/create", {"Name": name, "Labels": {"net.kind": name}})
    ids["web"] = engine.run("web", ["httpd", "-f", "-p", "8080", "-h", "/www"], ExposedPorts={"8080/tcp": {}, "9000/udp": {}},
                            Labels={"metrics.path": "/metrics", "team.of-it": "a \"b\""},
                            host={"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}]}, "Memory": 64 << 20,
                                  "NanoCpus": 500000000, "PidsLimit": 20, "CpuShares": 512})
    ids["multi"] = engine.run("multi", ["httpd", "-f", "-p", "8080", "-h", "/www"], start=False, host={"NetworkMode": "back"})
    engine.ask("POST", "/networks/front/connect", {"Container": ids["multi"]})
    engine.ask("POST", f"/containers/{ids['multi']}/start")
    ids["hostnet"] = engine.run("hostnet", ["httpd", "-f", "-p", "8080", "-h", "/www"], host={"NetworkMode": "host"})
    ids["side"] = engine.run("side", ["sleep", "100000"], host={"NetworkMode": f"container:{ids['web']}"})
    ids["idle"] = engine.run("idle", ["sleep", "100000"], start=False)
    return ids


def discovery(engine, url, ids, prom):
    took = wait(15, lambda: len(targets(url, "all")) >= 5 and sorted(up(url, "multi").values()) == ["1", "1"] and "1" in up(url, "web").values())
    check(took is not None, f"targets within 15 s: {[t['labels'] for t in targets(url, 'all')]}")
    found = {}
    for t in targets(url, "all"):
        found.setdefault(t["labels"]["container"], []).append(t)
    check(sorted(found) == ["hostnet", "multi", "side", "web"], f"containers found: {sorted(found)}")
    web, ip = found["web"][0], engine.inspect("web")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    meta = web["discoveredLabels"]
    expected = {"__address__": f"{ip}:8080", "__meta_docker_container_id": ids["web"], "__meta_docker_container_name": "/web",
                "__meta_docker_container_image": IMAGE, "__meta_docker_container_network_mode": "default", "__meta_docker_network_name": "bridge",
                "__meta_docker_network_ip": ip, "__meta_docker_network_scope": "local", "__meta_docker_network_ingress": "false",
                "__meta_docker_network_internal": "false", "__meta_docker_port_private": "8080", "__meta_docker_port_public": "18080",
                "__meta_docker_port_public_ip": "127.0.0.1", "__meta_docker_container_label_metrics_path": "/metrics",
                "__meta_docker_container_label_team_of_it": "a \"b\""}
    for k, v in expected.items():
        check(meta.get(k) == v, f"web: {k}: {meta.get(k)!r}, expected {v!r}")
    check(len(found["web"]) == 1 and web["labels"].get("of_it") == "a \"b\"", f"web: one target with its label: {[t['labels'] for t in found['web']]}")
    check(sorted(t["labels"]["network"] for t in found["multi"]) == ["back", "front"], "multi: a target for each network")
    check({t["discoveredLabels"]["__meta_docker_network_label_net_kind"] for t in found["multi"]} == {"back", "front"}, "multi: labels of networks")
    check([t["labels"]["instance"] for t in found["hostnet"]] == ["127.0.0.1:80"] or
          [t["labels"]["instance"] for t in found["hostnet"]] == ["127.0.0.1"], f"hostnet: {[t['labels'] for t in found['hostnet']]}")
    check([t["labels"]["instance"] for t in found["side"]] == [f"{ip}:8080"], f"side lives at the address of web: {[t['labels'] for t in found['side']]}")
    check([t["labels"]["container"] for t in targets(url, "labelled")] == ["web"], "the filter leaves web alone")
    check(value(url, 'demo_requests_total{job="all",container="web",path="/"}') == 42, "the metrics of web")
    check(len(query(url, 'demo_temperature{job="all",container="multi"} == 21.5')) == 2, "the metrics of multi, on both networks")
    if prom:
        beside_prometheus(url, prom)
    print(f"discovery: 4 containers, 5 targets after {took or -1:.1f} s")


def beside_prometheus(url, prom):
    """The labels before relabelling, of each job, as far as an old Prometheus knows them. It does not look through container: mode either."""
    before = failures
    if wait(20, lambda: len(targets(prom, "all")) >= 4) is None:
        return check(False, "Prometheus sees no targets")
    for job in ("all", "labelled"):
        shown = [sorted(json.dumps({k: v for k, v in t["discoveredLabels"].items() if COMPARED.match(k)}, sort_keys=True) for t in targets(u, job)
                        if t["labels"]["container"] != "side") for u in (url, prom)]
        same = shown[0] == shown[1]
        check(same, f"{job}: discovered labels differ from those of Prometheus:\n  " + "\n  ".join(sorted(set(shown[0]) ^ set(shown[1]))))
    if failures == before:
        print("discovery: the same labels as Prometheus")


def going(engine, url, ids):
    engine.ask("POST", f"/containers/{ids['idle']}/start")
    took = wait(SEEN_S, lambda: len(up(url, "idle")) == 1)
    check(took is not None, "a container that starts becomes a target")
    engine.ask("POST", "/containers/multi/stop?t=0")
    stopped = time.time()
    failing = wait(SEEN_S, lambda: "0" in up(url, "multi").values() or not up(url, "multi"))
    check(failing is not None and not query(url, 'demo_requests_total{container="multi"} and on (container, network) up == 0'), "a scrape that fails ends the series")
    gone = wait(SEEN_S, lambda: not query(url, 'up{job="all",container="multi"}'))
    check(gone is not None, "a container that stops is a target no more")
    check(not query(url, 'demo_requests_total{container="multi"}'), "its series are stale at once")
    before = get(url, "/api/v1/query", query='demo_requests_total{container="multi"}', time=stopped - 0.5)["result"]
    check(len(before) == 2, "and were there before")
    print(f"discovery: target there {took or -1:.1f} s after the start, stale {gone or -1:.1f} s after the stop")


# --- container_* ------------------------------------------------------------------------------------------------


def dump(path, *more, user=None):
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    r = subprocess.run([*as_user, path, *more], capture_output=True, text=True, timeout=60)
    if r.returncode != 0:
        sys.exit(f"host_dump: {r.stderr}")
    found = {}
    for line in r.stdout.splitlines():
        m = re.fullmatch(r"(container_\w+)\{(.*)\} (\S+)", line)
        if m:
            found[(m[1], tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2]))))] = float(m[3])
    return found, r.stderr


def of(found, metric, name, **labels):
    hits = [v for (m, ls), v in found.items() if m == metric and dict(ls).get("name") == name and labels.items() <= dict(ls).items()]
    return hits[0] if len(hits) == 1 else None


def figures(engine, url, ids, tool, parent):
    work = ("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; dd if=/dev/zero of=/x bs=65536 count=320 conv=fsync; sleep 100000 & sleep 100000 & wait")
    ids["busy"] = engine.run("busy", ["sh", "-c", work])
    wait(30, lambda: len(engine.ask("GET", "/containers/busy/top")["Processes"]) == 3)
    stats = engine.ask("GET", "/containers/busy/stats?stream=false")
    found, _ = dump(tool)
    got = {k: of(found, k, "busy") for k in ("container_memory_working_set_bytes", "container_processes", "container_threads", "container_start_time_seconds",
                                            "container_memory_usage_bytes", "container_memory_rss", "container_cpu_user_seconds_total", "container_cpu_system_seconds_total")}
    cpu = of(found, "container_cpu_usage_seconds_total", "busy", cpu="total")
    check(cpu is not None and near(cpu, stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, 0.02, 0.01), f"processor: {cpu}, docker {stats['cpu_stats']['cpu_usage']['total_usage'] / 1e9}")
    split = (got["container_cpu_user_seconds_total"] or 0) + (got["container_cpu_system_seconds_total"] or 0)
    check(cpu is not None and near(split, cpu, 0.05, 0.05), f"user and system make {split} of {cpu}")
    check(near(got["container_memory_usage_bytes"] or 0, stats["memory_stats"]["usage"], 0.02, 65536), f"memory: {got['container_memory_usage_bytes']}, docker {stats['memory_stats']['usage']}")
    inactive = stats["memory_stats"]["stats"].get("total_inactive_file", stats["memory_stats"]["stats"].get("inactive_file", 0))
    check(near(got["container_memory_working_set_bytes"] or 0, stats["memory_stats"]["usage"] - inactive, 0.05, 131072), "memory without idle files, as `docker stats` shows it")
    check(got["container_processes"] == 3 and got["container_threads"] == stats["pids_stats"]["current"] == 3, f"processes {got['container_processes']}, threads {got['container_threads']}")
    created = time.mktime(time.strptime(engine.inspect("busy")["State"]["StartedAt"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    check(near(got["container_start_time_seconds"] or 0, created, 0, 3), f"start {got['container_start_time_seconds']}, docker {created}")
    for kind, field in (("reads", "Read"), ("writes", "Write")):
        theirs = {(b["major"], b["minor"]): b["value"] for b in stats["blkio_stats"]["io_service_bytes_recursive"] or [] if b["op"].lower() == field.lower()}
        ours = [v for (m, ls), v in found.items() if m == f"container_fs_{kind}_bytes_total" and dict(ls).get("name") == "busy"]
        check(sorted(ours) == sorted(theirs.values()), f"blkio {kind}: {ours}, docker {theirs}")
    if not any(m.startswith("container_fs_") for m, _ in found):
        print("container_fs_*: this kernel counts no block devices for groups, and docker stats has none either")
    # Limits, as web was given them.
    for metric, expected in (("container_spec_memory_limit_bytes", 64 << 20), ("container_spec_cpu_quota", 50000), ("container_spec_cpu_period", 100000),
                             ("container_spec_cpu_shares", 512), ("container_threads_max", 20)):
        v = of(found, metric, "web")
        check(v == expected or (metric == "container_spec_cpu_shares" and v and near(v, expected, 0.1)), f"web: {metric} {v}, expected {expected}")
    check(of(found, "container_cpu_cfs_periods_total", "web") is not None, "web has a quota, so periods are told")
    labels = {dict(ls)["name"]: dict(ls) for m, ls in found if m == "container_last_seen" and "name" in dict(ls)}
    check(set(labels) == {"web", "hostnet", "side", "idle", "busy"}, f"names: {sorted(labels)}")
    for name, ls in labels.items():
        own = {"container_label_metrics_path": "/metrics", "container_label_team_of_it": "a \\\"b\\\""} if name == "web" else {}
        check(ls == {"id": ls["id"], "image": IMAGE, "name": name, **own} and ids[name] in ls["id"] and ls["id"].startswith(parent), f"labels of {name}: {ls}")
    # Its network, by the container it was made for; the host's is told under "/" alone.
    for _ in range(5):
        urllib.request.urlopen("http://127.0.0.1:18080/metrics", timeout=5).read()
    nets = engine.ask("GET", "/containers/web/stats?stream=false")["networks"]["eth0"]
    before = found
    found, _ = dump(tool)
    for metric, field in (("receive_bytes", "rx_bytes"), ("receive_packets", "rx_packets"), ("transmit_bytes", "tx_bytes"), ("transmit_packets", "tx_packets")):
        v = of(found, f"container_network_{metric}_total", "web", interface="eth0")
        check(v is not None and near(v, nets[field], 0.2, 2000), f"web: {metric} {v}, docker {nets[field]}")
    with_net = {dict(ls).get("name") for m, ls in before if m == "container_network_receive_bytes_total"}
    check("side" not in with_net and "hostnet" not in with_net, f"a network is told once: {with_net}")
    check(wait(5, lambda: value(url, 'count(container_last_seen{name!=""})') == 5) is not None, "the running server tells the same five names")
    print(f"container_*: {cpu:.2f} s of processor, {got['container_memory_working_set_bytes']:.0f} bytes, {got['container_processes']:.0f} processes: as docker says")


def renamed(engine, url, tool):
    engine.ask("POST", "/containers/busy/rename?name=busier")
    found, _ = dump(tool)
    check(of(found, "container_processes", "busier") == 3, "a new name is seen")
    engine.ask("POST", "/containers/busier/stop?t=0")
    found, _ = dump(tool)
    check(of(found, "container_processes", "busier") is None, "a stopped container is told no more")
    check(wait(5, lambda: not query(url, 'container_processes{name=~"busi.*"}')) is not None, "its series are stale in the server")


def without_rights(tool, parent):
    found, said = dump(tool, "--repeat", "3", user=65534)
    check(said.count("without name and image") == 1, f"said once: {said}")
    check(of(found, "container_processes", "web") is None, "nobody cannot know names")
    groups = {dict(ls)["id"] for m, ls in found if m == "container_memory_usage_bytes"}
    check(len([g for g in groups if re.fullmatch(re.escape(parent) + r"/[0-9a-f]{64}", g)]) == 4, f"but sees the groups: {groups}")
    check(any(m == "container_network_receive_bytes_total" and dict(ls)["id"] != "/" for m, ls in found), "and their networks")


def crowd(engine, url, tool):
    start = time.monotonic()
    for i in range(CROWD):
        engine.run(f"crowd-{i}", ["sleep", "100000"])
    took = time.monotonic() - start
    check(wait(10, lambda: value(url, 'count(container_last_seen{name=~"crowd-.*"})') == CROWD) is not None, f"{CROWD} more containers in the server")
    r = subprocess.run([tool, "--repeat", "50"], capture_output=True, text=True, timeout=120)
    found, _ = dump(tool)
    series = len(found)
    check(sum(m == "container_network_receive_bytes_total" and "crowd" in dict(ls).get("name", "") for m, ls in found) == CROWD, "each has its network")
    check(wait(10, lambda: len({t["labels"]["container"] for t in targets(url, "all")}) == CROWD + 4) is not None, f"{CROWD} more are discovered")
    print(f"container_*: {CROWD} more containers started in {took:.0f} s, {series} series; a collection costs: {r.stderr.strip()}")
    wall = value(url, 'scrape_duration_seconds{job="cadvisor"}')
    print(f"container_*: the server's last collection took {wall} s")
    for i in range(CROWD):
        engine.ask("DELETE", f"/containers/crowd-{i}?force=true")
    check(wait(10, lambda: not query(url, 'container_last_seen{name=~"crowd-.*"}')) is not None, "gone from the server")
    gone = wait(SEEN_S, lambda: len(targets(url, "all")) == 4 or len({t["labels"]["container"] for t in targets(url, "all")}) == 4)
    check(gone is not None, "gone from discovery")


def main():
    path, url, tool, busybox, parent, *prom = sys.argv[1:]
    engine = Engine(path, IMAGE)
    engine.load_image(busybox, ("sh", "httpd", "sleep", "dd", "sync", "cat"), [("www/metrics", METRICS)])
    ids = start_all(engine)
    discovery(engine, url, ids, prom[0] if prom else None)
    going(engine, url, ids)
    figures(engine, url, ids, tool, parent)
    renamed(engine, url, tool)
    without_rights(tool, parent)
    crowd(engine, url, tool)
    for name in ids:
        engine.ask("DELETE", f"/containers/{ids[name]}?force=true")
    sys.exit(1 if failures else 0)


main()
