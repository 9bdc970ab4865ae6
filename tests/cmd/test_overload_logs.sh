#!/bin/bash
# LogQL queries of death beside small ones, kills, clients that leave, a stop. Quick: 20 MB of lines; long: 200 MB.
. "$(dirname "$0")/lib.sh"
[ -x "$B/bin/bench_corpus" ] || skip "bin/bench_corpus is not built"
python3 "$(dirname "$0")/overload_logs_test.py" ${TRIPOD_LONG:+--long}
