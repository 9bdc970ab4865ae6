#!/bin/bash
# kill -9 under full ingest: nothing acknowledged is lost or counted twice. Quick: 12 kills, and each crash point once; long: 300
# kills, and each crash point, then 80 later visits and 80 visits of any.
. "$(dirname "$0")/lib.sh"
if [ -n "${TRIPOD_LONG:-}" ]; then kills=300 more=80; else kills=12 more=2; fi
python3 "$(dirname "$0")/kill_test.py" $kills || fail "random kills"
python3 "$(dirname "$0")/kill_test.py" --points $more || fail "crash points"
