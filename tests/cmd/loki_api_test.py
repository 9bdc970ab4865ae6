"""loki_api_test.py - every call of Loki's API against data that was pushed: shapes field by field, errors, and Grafana's own queries."""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

from loki import Loki, S
from server import TRIPOD, Server

CATEGORIES = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
MINUTE = 60 * S


class Data:
    """Two services over ten minutes: web writes JSON with trace ids, db logfmt, and one stream plain text."""

    def __init__(self, loki):
        self.now = time.time_ns() // MINUTE * MINUTE  # whole minutes: counts by minute are exact
        self.start, self.end = self.now - 10 * MINUTE, self.now
        web, db = [], []
        for i in range(100):
            t = self.start + i * 6 * S + S
            level = "error" if i % 10 == 0 else "info"
            doc = {"level": level, "msg": f"user {i} logged in", "took": f"{i}ms", "http": {"status": 200 + i % 3, "path": "/x"}, "ok": i % 2 == 0,
                   "ratio": i / 7}
            web.append((t, json.dumps(doc), {"trace_id": f"t{i % 20}"}))
            db.append((t + 1, f'level={level} msg="took too long" table=t{i % 4} rows={i} size={i}KB'))
        self.web, self.db = web, db
        loki.push([({"app": "web", "env": "prod"}, web), ({"app": "db", "env": "prod"}, db),
                   ({"app": "plain", "env": "dev", "port": "8080"}, [(self.start + 5 * S, "connection reset by peer")])])
        self.window = {"start": self.start, "end": self.end}


def check_names(loki, d):
    assert loki.get("labels", **d.window) == {"status": "success", "data": ["app", "env", "port", "service_name"]}
    assert loki.get("label", **d.window)["data"] == ["app", "env", "port", "service_name"]
    assert loki.get("labels", query='{app="web"}', **d.window)["data"] == ["app", "env", "service_name"]
    assert loki.get("label/app/values", **d.window) == {"status": "success", "data": ["db", "plain", "web"]}
    assert loki.get("label/app/values", query='{env="prod"}', **d.window)["data"] == ["db", "web"]
    assert loki.get("label/nothing/values", **d.window)["data"] == []
    iso = {k: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(v // S)) for k, v in d.window.items()}
    assert loki.get("labels", **iso)["data"] == ["app", "env", "port", "service_name"]
    assert loki.get("labels", start=1, end=2)["data"] == []
    web = {"app": "web", "env": "prod", "service_name": "web"}
    assert loki.get("series", **{"match[]": '{app="web"}'}, **d.window) == {"status": "success", "data": [web]}
    assert len(loki.get("series", **d.window)["data"]) == 3
    status, _, body = loki.raw("/loki/api/v1/series", [("match[]", '{app="web"}'), ("match[]", '{env="prod"}'), ("start", d.start)], form=True, method="POST")
    assert status == 200 and [s["app"] for s in json.loads(body)["data"]] == ["db", "web"], body
    loki.error("series", 400, "parse error", **{"match[]": "{app="})
    loki.error("labels", 400, "could not parse 'start' parameter", start="yesterday")


def check_streams(loki, d):
    answer = loki.get("query_range", query='{app="web"}', limit=5, **d.window)
    assert list(answer) == ["status", "data"] and answer["status"] == "success", answer
    assert list(answer["data"]) == ["resultType", "result", "stats"], answer["data"].keys()
    for s in answer["data"]["result"]:
        assert list(s) == ["stream", "values"]
        assert set(s["stream"]) == {"app", "env", "service_name", "detected_level", "trace_id"}, s["stream"]
        for v in s["values"]:
            assert len(v) == 2 and re.fullmatch(r"\d{19}", v[0]), v
    stats = answer["data"]["stats"]["summary"]
    for key in ("bytesProcessedPerSecond", "linesProcessedPerSecond", "totalBytesProcessed", "totalLinesProcessed", "execTime", "queueTime", "subqueries",
                "totalEntriesReturned", "splits", "shards", "totalPostFilterLines", "totalStructuredMetadataBytesProcessed"):
        assert isinstance(stats[key], (int, float)), key
    assert stats["totalEntriesReturned"] == 5 and stats["totalLinesProcessed"] >= 5 and stats["execTime"] > 0, stats
    newest = sorted(loki.lines('{app="web"}', limit=5, **d.window), key=lambda e: -e[1])
    assert [(t, line) for _, t, line in newest] == [(t, line) for t, line, _ in reversed(d.web[-5:])]
    oldest = loki.lines('{app="db"}', limit=3, direction="forward", **d.window)
    assert [(t, line) for _, t, line in oldest] == d.db[:3], oldest
    assert len(loki.lines('{env="prod"}', **d.window)) == 100  # the default limit
    assert len(loki.lines('{env="prod"}', limit=1000, **d.window)) == 200
    t = d.db[10][0]  # start belongs to the window, end does not
    assert [e[1] for e in loki.lines('{app="db"}', start=t, end=d.db[11][0])] == [t]
    assert loki.lines('{app="db"}', start=t, end=t) == []
    thin = loki.lines('{app="db"}', interval="60s", limit=1000, direction="forward", **d.window)
    assert 10 <= len(thin) <= 11 and all(b[1] - a[1] >= MINUTE for a, b in zip(thin, thin[1:])), thin
    status, _, body = loki.raw("/loki/api/v1/query_range", {"query": '{app="db"}', "limit": 1, **d.window}, form=True, method="POST")
    assert status == 200 and json.loads(body)["data"]["result"][0]["values"][0][1] == d.db[-1][1], body
    assert len(loki.lines('{app="db"}', start=d.start / S, end=f"{d.end / S:.3f}", limit=7)) == 7  # seconds with a point


def check_categories(loki, d):
    answer = loki.get("query_range", headers=CATEGORIES, query='{app="web"} | json', limit=3, **d.window)
    data = answer["data"]
    assert list(data) == ["resultType", "encodingFlags", "result", "stats"], list(data)
    assert data["encodingFlags"] == ["categorize-labels"] and len(data["result"]) == 1
    assert data["result"][0]["stream"] == {"app": "web", "env": "prod", "service_name": "web"}
    for v in data["result"][0]["values"]:
        assert len(v) == 3 and list(v[2]) == ["structuredMetadata", "parsed"], v
        doc = json.loads(v[1])
        assert v[2]["parsed"]["http_status"] == str(doc["http"]["status"]) and v[2]["structuredMetadata"]["trace_id"].startswith("t"), v
    bare = loki.get("query_range", headers=CATEGORIES, query='{app="plain"} | drop detected_level', **d.window)["data"]["result"]
    assert bare[0]["values"][0][2] == {}, bare


def check_metrics(loki, d):
    health = loki.get("query", direction="backward", query="vector(1)+vector(1)", time="4000000000")["data"]
    assert health["resultType"] == "vector" and health["result"] == [{"metric": {}, "value": [4000000000, "2"]}], health
    scalar = loki.get("query", query="1+1", time=5)["data"]
    assert scalar["resultType"] == "scalar" and scalar["result"] == [5, "2"], scalar
    vector = loki.get("query", query='sum by (app) (count_over_time({env="prod"}[10m]))', time=d.end)["data"]
    assert [(s["metric"], s["value"]) for s in vector["result"]] == [({"app": a}, [d.end // S, "100"]) for a in ("db", "web")], vector
    matrix = loki.get("query_range", query='sum(count_over_time({app="db"}[1m]))', step="60000ms", **d.window)["data"]
    assert matrix["resultType"] == "matrix" and len(matrix["result"]) == 1 and matrix["result"][0]["metric"] == {}, matrix
    values = matrix["result"][0]["values"]
    assert [v[0] for v in values] == [(d.start + i * MINUTE) // S for i in range(1, 11)] and {v[1] for v in values} == {"10"}, values
    assert loki.get("query", query='sum(sum_over_time({app="db"} | logfmt | unwrap rows [10m]))', time=d.end)["data"]["result"][0]["value"][1] == str(sum(range(100)))
    stats = vector["stats"]["summary"]
    assert stats["totalEntriesReturned"] == 0 and stats["subqueries"] == 0


def check_faults(loki, d):
    q = '{app="web"}'
    loki.error("query", 400, "log queries are not supported as an instant query type", query=q)
    loki.error("query_range", 400, "parse error at line 1, col ", query='{app="web"')
    loki.error("query_range", 400, "parse error", query="")
    for stage, why in (('| line_format "{{.a"', "invalid line template: template: line:1: unclosed action"),
                       ('| label_format x="{{.a"', "invalid template for label 'x': template: label:1: unclosed action")):
        for query in (q + stage, f"rate({q}{stage}[1m])"):
            loki.error("query_range", 400, "parse error : stage '" + stage + "' : " + why, query=query, **d.window)
    loki.error("query_range", 400, "queries require at least one", query='{app=~".*"}')
    loki.error("query_range", 400, "end timestamp must not be before or equal to start time", query=q, start=10, end=5)
    loki.error("query_range", 400, "exceeded maximum resolution of 11,000 points", query=q, start=0, end=11002, step=1)
    loki.error("query_range", 400, "zero or negative query resolution", query=q, step=0)
    loki.error("query_range", 400, 'cannot parse "abc" to a valid duration', query=q, step="abc")
    loki.error("query_range", 400, "limit must be a positive value", query=q, limit=0)
    loki.error("query_range", 400, 'strconv.Atoi: parsing "many": invalid syntax', query=q, limit="many")
    loki.error("query_range", 400, "max entries limit per query exceeded, limit > max_entries_limit", query=q, limit=5001, **d.window)
    loki.error("query_range", 400, "invalid direction 'up'", query=q, direction="up")
    loki.error("query_range", 400, "interval must be >= 0", query=q, interval="-1")
    loki.error("query_range", 400, "the query time range exceeds the limit", query=q, start=1, end=1 + 86400 * 40, step=86400)
    loki.error("query", 400, "pipeline error", query='sum_over_time({app="web"} | json | unwrap msg [10m])', time=d.end)
    loki.error("query", 400, "could not parse 'time' parameter", query="1", time="x")
    assert loki.raw("/loki/api/v1/nothing")[0] == 404
    assert loki.raw("/api/prom/rules/test/test")[0] == 404
    status, head, _ = loki.raw("/loki/api/v1/query_range", method="PUT", body=b"")
    assert status == 405 and "GET" in head["Allow"], head


def check_index(loki, d):
    stats = loki.get("index/stats", query='{env="prod"}', **d.window)
    assert list(stats) == ["streams", "chunks", "bytes", "entries"] and stats["streams"] == 2 and stats["entries"] == 200 and stats["bytes"] > 0, stats
    size = sum(len(e[1]) for e in d.db)
    volume = loki.get("index/volume", query='{app=~".+"}', limit=5000, **d.window)
    assert list(volume["data"])[:2] == ["resultType", "result"] and volume["data"]["resultType"] == "vector"
    got = [(s["metric"], int(s["value"][1])) for s in volume["data"]["result"]]
    assert [m for m, _ in got] == [{"app": "web"}, {"app": "db"}, {"app": "plain"}] and got[0][1] > got[1][1] > got[2][1], got
    assert size <= got[1][1] <= size + 100 * 40, (got, size)  # with its metadata (detected_level)
    assert len(loki.get("index/volume", query='{app=~".+"}', limit=1, **d.window)["data"]["result"]) == 1
    by = loki.get("index/volume", query='{env=~".+"}', targetLabels="env,app", **d.window)["data"]["result"]
    assert {(s["metric"]["app"], s["metric"]["env"]) for s in by} == {("web", "prod"), ("db", "prod"), ("plain", "dev")}, by
    names = loki.get("index/volume", query='{env=~".+"}', targetLabels="env,port", aggregateBy="labels", **d.window)["data"]["result"]
    assert {tuple(s["metric"].items())[0] for s in names} == {("env", ""), ("port", "")}, names
    assert loki.get("index/volume", **d.window)["data"]["result"], "no query: everything"
    matrix = loki.get("index/volume_range", query='{app="db"}', step="120", **d.window)["data"]
    assert matrix["resultType"] == "matrix" and len(matrix["result"][0]["values"]) == 5, matrix
    assert sum(int(v[1]) for v in matrix["result"][0]["values"]) == got[1][1]
    loki.error("index/volume", 400, "invalid aggregation option", query='{app="db"}', aggregateBy="colour")
    loki.error("index/stats", 400, "parse error", query='{app="db"} |= "x"')
    shards = loki.get("index/shards", query='{env="prod"}', **d.window)
    assert shards["shards"][0]["stats"]["entries"] == 200


def check_detected(loki, d):
    answer = loki.get("detected_fields", query='{app="web"}', line_limit=1000, limit=1000, **d.window)
    assert list(answer) == ["fields", "limit"] and answer["limit"] == 1000
    fields = {f["label"]: f for f in answer["fields"]}
    want = {"level": "string", "msg": "string", "took": "duration", "http_status": "int", "ok": "boolean", "ratio": "float", "http_path": "string"}
    for name, kind in want.items():
        f = fields[name]
        assert list(f) == ["label", "type", "cardinality", "parsers", "jsonPath"], f
        assert f["type"] == kind and f["parsers"] == ["json"], f
    assert fields["http_status"]["jsonPath"] == ["http", "status"] and fields["http_status"]["cardinality"] == 3
    assert fields["msg"]["cardinality"] == 100
    assert fields["trace_id"]["parsers"] is None and fields["trace_id"]["cardinality"] == 20 and "jsonPath" not in fields["trace_id"]
    db = {f["label"]: f for f in loki.get("detected_fields", query='{app="db"}', **d.window)["fields"]}
    assert db["size"]["type"] == "bytes" and db["size"]["parsers"] == ["logfmt"] and db["rows"]["type"] == "int", db
    both = {f["label"]: f for f in loki.get("detected_fields", query='{env="prod"}', **d.window)["fields"]}
    assert both["level"]["parsers"] == ["json", "logfmt"], both["level"]
    assert len(loki.get("detected_fields", query='{env="prod"}', limit=2, **d.window)["fields"]) == 2
    values = loki.get("detected_field/table/values", query='{app="db"}', **d.window)
    assert values == {"values": ["t0", "t1", "t2", "t3"], "limit": 1000}, values
    assert loki.get("detected_field/none/values", query='{app="db"}', **d.window)["values"] == []
    labels = loki.get("detected_labels", **d.window)
    assert list(labels) == ["detectedLabels"], labels
    assert labels["detectedLabels"] == [{"label": "app", "cardinality": 3}, {"label": "env", "cardinality": 2}, {"label": "service_name", "cardinality": 3}], labels
    assert [x["label"] for x in loki.get("detected_labels", query='{app="plain"}', **d.window)["detectedLabels"]] == ["app", "env", "service_name"]
    loki.error("detected_fields", 400, "only log queries", query='rate({app="db"}[1m])')


def check_patterns(loki, d):
    answer = loki.get("patterns", query='{env="prod"}', step="60", **d.window)
    assert answer["status"] == "success"
    by_text = {(p["pattern"], p["level"]): p["samples"] for p in answer["data"]}
    for text in ("<_>user <_> logged in<_>", 'msg="took too long"'):
        found = [s for (p, level), s in by_text.items() if text in p and level == "info"]
        assert found and sum(n for s in found for _, n in s) == 90, (text, by_text)
        assert all(isinstance(t, int) and isinstance(n, int) and t % 60 == 0 for s in found for t, n in s)
    for (p, _level) in by_text:  # what was found finds its lines again
        assert loki.lines('{env="prod"} |> `%s`' % p, **d.window), p
    mined = loki.get("patterns", query='{app="plain"}', **d.window)["data"]
    assert [p["pattern"] for p in mined] == ["connection reset by peer"], mined


def check_service(loki):
    status, head, body = loki.raw("/ready")
    assert (status, body) == (200, b"ready\n") and head["Content-Type"].startswith("text/plain")
    limits = loki.get("drilldown-limits")
    assert limits["pattern_ingester_enabled"] is True and isinstance(limits["version"], str)
    for key, kind in (("discover_log_levels", bool), ("discover_service_name", list), ("log_level_fields", list), ("max_entries_limit_per_query", int),
                      ("max_query_length", str), ("max_query_series", int), ("metric_aggregation_enabled", bool), ("pattern_persistence_enabled", bool),
                      ("retention_period", str), ("volume_enabled", bool), ("volume_max_series", int)):
        assert isinstance(limits["limits"][key], kind), key
    assert loki.get("format_query", query='sum(rate({a="b"}|json[1m]))by(x)')["status"] == "success"
    loki.error("format_query", 400, "parse error", query="sum(")
    assert {"version", "revision", "branch", "goVersion"} <= set(loki.get("status/buildinfo"))
    status, head, body = loki.raw("/loki/api/v1/rules")
    assert status == 200 and "yaml" in head["Content-Type"] and body == b"{}\n"
    assert json.loads(loki.raw("/prometheus/api/v1/rules")[2]) == {"status": "success", "data": {"groups": []}}
    assert json.loads(loki.raw("/prometheus/api/v1/alerts")[2]) == {"status": "success", "data": {"alerts": []}}
    assert b"scrape_interval" in loki.raw("/config")[2] and b"querier => Running" in loki.raw("/services")[2]
    assert json.loads(loki.raw("/log_level")[2]) == {"message": "Current log level is info"}
    status, _, body = loki.raw("/log_level", {"log_level": "warn"}, form=True, method="POST")
    assert status == 200 and json.loads(body) == {"message": "Log level set to warn", "status": "success"}, body
    assert json.loads(loki.raw("/log_level")[2])["message"].endswith("warn")
    status, _, body = loki.raw("/log_level", {"log_level": "loud"}, form=True, method="POST")
    assert status == 400 and json.loads(body)["status"] == "failed"
    assert loki.raw("/flush", method="POST", body=b"")[0] == 204


def check_openapi(loki):
    """Every call of the document is there, with its methods."""
    try:
        import yaml
    except ImportError:
        return
    doc = yaml.safe_load(loki.raw("/loki/api/v1/openapi.yaml")[2])
    assert doc["servers"] == [{"url": "/loki/api/v1"}] and len(doc["paths"]) > 20, doc
    for path, item in doc["paths"].items():
        for method in item:
            status, _, body = loki.raw("/loki/api/v1" + path.replace("{name}", "app"), {"query": '{app="web"}'}, method=method.upper(), body=b"" if method != "get" else None)
            assert status in (200, 204, 400), (path, method, status, body)


def check_legacy(loki, d):
    assert json.loads(loki.raw("/api/prom/label", d.window)[2]) == {"values": ["app", "env", "port", "service_name"]}
    assert json.loads(loki.raw("/api/prom/label/app/values", d.window)[2]) == {"values": ["db", "plain", "web"]}
    doc = json.loads(loki.raw("/api/prom/query", {"query": '{app="db"}', "regexp": "rows=7 ", **d.window})[2])
    assert len(doc["streams"]) == 1 and doc["streams"][0]["labels"].startswith('{app="db"'), doc
    entry = doc["streams"][0]["entries"][0]
    assert "rows=7 " in entry["line"] and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", entry["ts"]), entry
    assert entry["ts"].endswith("%09dZ" % (d.db[7][0] % S))


def check_grafana(loki, d):
    """What Grafana writes by itself around a user's query."""
    expr = '{app="web"} | json'
    volume = loki.get("query_range", headers=CATEGORIES, query=f"sum by (level, detected_level) (count_over_time({expr} | drop __error__[1m]))", step="60000ms", **d.window)["data"]["result"]
    assert sum(int(v[1]) for s in volume for v in s["values"]) == 100 and {s["metric"]["level"] for s in volume} == {"info", "error"}, volume
    assert len(loki.lines(expr, limit=10, **d.window)) == 10  # the sample of the editor
    t = d.web[50][0]  # context: indexed labels, backward and forward, an hour around
    before = loki.lines('{app="web",env="prod",service_name="web"}', direction="backward", limit=5, start=t - 3600 * S, end=t)
    after = loki.lines('{app="web",env="prod",service_name="web"}', direction="forward", limit=5, start=t, end=t + 3600 * S)
    assert max(e[1] for e in before) == d.web[49][0] and min(e[1] for e in after) == t
    trace = ('{app="web"} | label_format log_line_contains_trace_id=`{{ contains "TRACEID" __line__  }}` | log_line_contains_trace_id="true" %s trace_id="t7"'
             ' | label_format log_line_contains_span_id=`{{ contains "user 27 " __line__  }}` | log_line_contains_span_id="true" %s span_id="SPANID"')
    for word in ("or", "OR"):
        found = loki.lines(trace % (word, word), **d.window)
        assert [json.loads(e[2])["msg"] for e in found] == ["user 27 logged in"], found
    assert len(loki.lines('{app="web"} | logfmt | json | drop __error__ | trace_id="t7"', limit=100, **d.window)) == 5
    assert len(loki.lines('{job=~"(.*/)?(svc)"} | logfmt | json | drop __error__ | trace_id="t7"', **d.window)) == 0
    assert len(loki.lines('{app="web"} |= "user 27 " |= "logged"', **d.window)) == 1
    drill = loki.get("query_range", headers=CATEGORIES, query='sum by (detected_level)(count_over_time({service_name="web"}[2m]))', step="120000ms", **d.window)["data"]["result"]
    assert {s["metric"]["detected_level"] for s in drill} == {"info", "error"}, drill
    mixed = loki.lines('{env="prod"} | json | logfmt | drop __error__, __error_details__ | detected_level="error"', limit=1000, **d.window)
    assert len(mixed) == 20, len(mixed)
    kept = loki.lines('{app="web"} | json | keep http_status', limit=1000, **d.window)
    assert {e[0]["http_status"] for e in kept} == {"200", "201", "202"}
    unwrapped = loki.get("query_range", query='avg_over_time({service_name="web"} | json | logfmt | drop __error__, __error_details__ | took!="" | unwrap duration(took) | __error__="" [10m]) by ()',
                         step="600000ms", start=d.end, end=d.end)["data"]["result"]
    assert abs(float(unwrapped[0]["values"][0][1]) - sum(range(100)) / 100 / 1000) < 1e-9, unwrapped
    assert len(loki.lines('{app="web"} |> `<_>user <_> logged in<_>`', limit=1000, **d.window)) == 100
    assert len(loki.lines('{app="web"} !> `<_>user 1<_> logged in<_>`', limit=1000, **d.window)) in (100 - 10, 100 - 11)
    assert loki.get("query_range", query='{app="web"}', ruleMetadata="x", accesscontrol="true", **d.window)["status"] == "success"  # what is unknown is ignored


def check_deletes(loki, d):
    args = {"query": '{app="db"} |= "rows=5 "', "start": str(d.start // S), "end": str(d.end // S)}
    status, _, body = loki.raw("/loki/api/v1/delete", args, method="POST", body=b"")
    assert (status, body) == (204, b""), (status, body)
    assert len(loki.lines('{app="db"}', limit=1000, **d.window)) == 99
    listed = loki.get("delete")
    assert len(listed) == 1 and listed[0]["query"] == args["query"] and listed[0]["status"] in ("received", "processed"), listed
    assert listed[0]["start_time"] == d.start // S and listed[0]["end_time"] == d.end // S and isinstance(listed[0]["created_at"], (int, float)), listed
    if listed[0]["status"] == "received":
        assert loki.raw("/loki/api/v1/delete", {"request_id": listed[0]["request_id"]}, method="DELETE")[0] == 204
        assert loki.get("delete") == [] and len(loki.lines('{app="db"}', limit=1000, **d.window)) == 100
    loki.error("delete", 404, "", method="DELETE", request_id="999999")
    loki.error("delete", 400, "request_id not set", method="DELETE")
    loki.error("delete", 400, "query not set", method="POST", start=1)
    loki.error("delete", 400, "start time not set", method="POST", query='{app="db"}')
    loki.error("delete", 400, "parse error", method="POST", query="{app=", start=1)
    loki.error("delete", 400, "a delete request takes a log query", method="POST", query='rate({app="db"}[1m])', start=1)
    loki.error("delete", 400, "deletes in the future", method="POST", query='{app="db"}', start=1, end=str(time.time_ns() // S + 1000))


def check_big_answer(loki):
    """An answer of many MB streams; who leaves in the middle does not hold anything up."""
    now, line = time.time_ns(), "x" * 4000
    for i in range(10):
        loki.push([({"app": "big"}, [(now + i * 500 + k, f"{i * 500 + k} {line}") for k in range(500)])])
    assert len(loki.lines('{app="big"}', limit=5000, start=now - S, end=now + S)) == 5000
    for _ in range(3):
        s = socket.create_connection(("127.0.0.1", loki.port))
        q = urllib.parse.urlencode({"query": '{app="big"}', "limit": 5000, "start": now - S, "end": now + S})
        s.sendall(f"GET /loki/api/v1/query_range?{q} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        s.recv(1000)
        s.close()
    assert len(loki.lines('{app="big"}', limit=10, start=now - S, end=now + S)) == 10


def check_ports():
    """Port 3100 has the same API; that it is taken is a warning."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 3100))
        except OSError:
            print("port 3100 is in use here: not tried")
            return
        probe.listen()
        assert "not listening where Loki does: 127.0.0.1:3100 is taken" in start_with_ports(None)
    start_with_ports(lambda: Loki(3100).raw("/ready")[2] == b"ready\n")


def start_with_ports(ask):
    with tempfile.TemporaryDirectory() as d:
        config = os.path.join(d, "c.yml")
        open(config, "w").close()
        p = subprocess.Popen([TRIPOD, "serve", "--config", config, "--data", os.path.join(d, "data"), "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
        log = ""
        while "ready after" not in log:
            line = p.stderr.readline()
            assert line, log
            log += line
        assert not ask or ask(), "no answer on 3100"
        p.terminate()
        p.communicate()
        return log


def run(s):
    assert s.start()
    loki = Loki(s.port)
    d = Data(loki)
    for again in (False, True):
        for check in (check_names, check_streams, check_categories, check_metrics, check_faults, check_index, check_detected, check_patterns, check_legacy, check_grafana):
            check(loki, d)
        if not again:  # the same after a restart
            s.kill()
            assert s.start()
            loki = Loki(s.port)
    check_deletes(loki, d)
    check_big_answer(loki)
    check_openapi(loki)
    check_service(loki)


def main():
    with tempfile.TemporaryDirectory() as tmp:
        s = Server(os.path.join(tmp, "data"), args=["--flush.interval", "1h"], log=os.path.join(tmp, "log"))
        try:
            run(s)
        finally:
            s.kill()
    check_ports()
    print("Loki's API: names, streams, categories, metrics, faults, index, fields, patterns, old paths, Grafana's own, deletes, calls, ports")


if __name__ == "__main__":
    sys.exit(main())
