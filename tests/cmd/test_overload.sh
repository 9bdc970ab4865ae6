#!/bin/bash
# Queries of death beside small ones, kills, clients that leave or do not read. Quick: 20,000 series; long: 50,000.
. "$(dirname "$0")/lib.sh"
python3 "$(dirname "$0")/overload_test.py" ${TRIPOD_LONG:+--long}
