#!/bin/bash
# Memory and descriptors under steady load with queries. Quick: 30 s; long: 30 minutes.
. "$(dirname "$0")/lib.sh"
python3 "$(dirname "$0")/soak_test.py" "$([ -n "${TRIPOD_LONG:-}" ] && echo 1800 || echo 30)"
