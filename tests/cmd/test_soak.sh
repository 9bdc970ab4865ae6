#!/bin/bash
# Memory and descriptors under steady load with queries, of metrics and of logs. Quick: 30 s and 15 s; long: 30 minutes and 5.
. "$(dirname "$0")/lib.sh"
if [ -n "${TRIPOD_LONG:-}" ]; then set -- 1800 300; else set -- 30 15; fi
python3 "$(dirname "$0")/soak_test.py" "$1" metrics || fail "metrics"
python3 "$(dirname "$0")/soak_test.py" "$2" logs || fail "logs"
