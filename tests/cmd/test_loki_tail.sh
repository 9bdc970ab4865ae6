#!/bin/bash
# Live tails over WebSockets: history and live records without gap or double, slow clients beside fast ones. Long: 20,000 and 50,000 lines/s to 20 clients.
# Sanitizers: asan tsan
. "$(dirname "$0")/lib.sh"
[ -x "$B/bin/tail_flood" ] || skip "bin/tail_flood is not built"
exec python3 "$(dirname "$0")/loki_tail_test.py"
