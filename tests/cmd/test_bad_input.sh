#!/bin/bash
# Hostile bodies, requests, queries and clients.
# Sanitizers: asan
. "$(dirname "$0")/lib.sh"
python3 "$(dirname "$0")/bad_input_test.py" ${TRIPOD_LONG:+--long}
