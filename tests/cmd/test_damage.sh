#!/bin/bash
# Damaged partition files. Quick: 12 bit flips, 6 truncations, 4 pages overwritten; long: 200, 40 and 40.
. "$(dirname "$0")/lib.sh"
if [ -n "${TRIPOD_LONG:-}" ]; then set -- 200 40 40; else set -- 12 6 4; fi
python3 "$(dirname "$0")/damage_test.py" "$@"
