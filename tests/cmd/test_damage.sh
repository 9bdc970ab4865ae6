#!/bin/bash
# Damaged partition files, of metrics and of logs. Quick: 12 bit flips, 6 truncations, 4 pages overwritten of each; long: 200, 40 and 40.
. "$(dirname "$0")/lib.sh"
if [ -n "${TRIPOD_LONG:-}" ]; then set -- 200 40 40; else set -- 12 6 4; fi
python3 "$(dirname "$0")/damage_test.py" metrics "$@" || fail "metrics"
python3 "$(dirname "$0")/damage_test.py" logs "$@" || fail "logs"
