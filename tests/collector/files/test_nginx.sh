#!/bin/bash
# nginx writes an access log that is rotated under load (mv, USR1) while we are killed: a line for each request.
. "$(dirname "$0")/../../cmd/lib.sh"
command -v nginx >/dev/null || skip "needs nginx"
if [ -n "${TRIPOD_LONG:-}" ]; then seconds=60; else seconds=6; fi
python3 "$(dirname "$0")/servers_test.py" nginx $seconds || fail "see above"
