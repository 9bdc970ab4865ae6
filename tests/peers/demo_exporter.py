#!/usr/bin/env python3
"""A small exporter of demo_* series for three instances, so that queries written over such a service find data.

    demo_exporter.py PORT      /0/metrics, /1/metrics, /2/metrics

Values move with the wall clock in a fixed way (no randomness): counters rise at uneven rates and now and then restart,
one gauge appears for one minute in three.
"""
import math
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOUNDS = [0.0001, 0.00015, 0.000225, 0.0003375, 0.00050625, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5]


def body(instance: int, now: float) -> str:
    out = []
    put = out.append
    age = now % 3600 + instance * 17  # counters restart every hour
    put("# TYPE demo_cpu_usage_seconds_total counter")
    for mode, share in (("idle", 2.6), ("system", 0.4), ("user", 1.0)):
        put(f'demo_cpu_usage_seconds_total{{mode="{mode}"}} {share * age + math.sin(age / 30) + 1:.6f}')
    put("# TYPE demo_memory_usage_bytes gauge")
    for kind, base in (("buffers", 2.1e8), ("cached", 1.9e9), ("free", 1.1e9), ("used", 3.4e9)):
        put(f'demo_memory_usage_bytes{{type="{kind}"}} {int(base * (1 + 0.1 * math.sin(now / 60 + instance + len(kind))))}')
    put("# TYPE demo_num_cpus gauge\ndemo_num_cpus 4")
    put(f"# TYPE demo_disk_usage_bytes gauge\ndemo_disk_usage_bytes {int(2e11 + 1e6 * (now % 86400) + instance * 1e9)}")
    put("# TYPE demo_disk_total_bytes gauge\ndemo_disk_total_bytes 262144000000")
    put(f"# TYPE demo_batch_last_success_timestamp_seconds gauge\ndemo_batch_last_success_timestamp_seconds {now - now % 60:.3f}")
    put(f"# TYPE demo_batch_last_run_processed_bytes gauge\ndemo_batch_last_run_processed_bytes {int(1e5 + now % 977)}")
    if int(now / 60) % 3 != instance:
        put(f"# TYPE demo_intermittent_metric gauge\ndemo_intermittent_metric {int(now) % 7}")
    put("# TYPE demo_api_request_duration_seconds histogram")
    for path in ("/api/foo", "/api/bar", "/api/nonexistent"):
        for method in ("GET", "POST"):
            for status in ("200", "404", "500"):
                labels = f'method="{method}",path="{path}",status="{status}"'
                total = int(age * (1 + len(path) % 5 + instance)) + 3
                for i, le in enumerate(BOUNDS):
                    share = 1 - math.exp(-(i + 1 + instance) / 4)
                    put(f'demo_api_request_duration_seconds_bucket{{{labels},le="{le:g}"}} {int(total * share)}')
                put(f'demo_api_request_duration_seconds_bucket{{{labels},le="+Inf"}} {total}')
                put(f"demo_api_request_duration_seconds_sum{{{labels}}} {total * 0.0123:.6f}")
                put(f"demo_api_request_duration_seconds_count{{{labels}}} {total}")
    return "\n".join(out) + "\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = self.path.split("/")
        if len(parts) < 3 or parts[1] not in "012" or parts[2] != "metrics":
            self.send_error(404)
            return
        data = body(int(parts[1]), time.time()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
