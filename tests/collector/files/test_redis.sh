#!/bin/bash
# Redis logs every connection into a file that is renamed under load while we are killed: the lines of its files, each once.
. "$(dirname "$0")/../../cmd/lib.sh"
command -v redis-server >/dev/null || skip "needs redis-server"
if [ -n "${TRIPOD_LONG:-}" ]; then seconds=60; else seconds=6; fi
python3 "$(dirname "$0")/servers_test.py" redis $seconds || fail "see above"
