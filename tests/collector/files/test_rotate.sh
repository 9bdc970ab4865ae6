#!/bin/bash
# Log files that rotate under load while the server is killed: each line exactly once, in order.
. "$(dirname "$0")/../../cmd/lib.sh"
if [ -n "${TRIPOD_LONG:-}" ]; then kills=150 seconds=200; else kills=8 seconds=8; fi
python3 "$(dirname "$0")/rotate_test.py" $kills $seconds || fail "see above"
