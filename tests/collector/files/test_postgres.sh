#!/bin/bash
# PostgreSQL logs every statement and changes its file every 64 kB while we are killed: the lines of its files, each once.
. "$(dirname "$0")/../../cmd/lib.sh"
[ -x /usr/lib/postgresql/15/bin/initdb ] && command -v psql >/dev/null && command -v setpriv >/dev/null || skip "needs PostgreSQL 15"
[ "$(id -u)" = 0 ] || skip "needs root, to become postgres"
if [ -n "${TRIPOD_LONG:-}" ]; then seconds=60; else seconds=6; fi
python3 "$(dirname "$0")/servers_test.py" postgres $seconds || fail "see above"
