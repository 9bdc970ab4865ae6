#!/bin/bash
# Loki's HTTP API: shapes of every answer, errors and their words, what Grafana asks by itself.
# Sanitizers: asan
. "$(dirname "$0")/lib.sh"
exec python3 "$(dirname "$0")/loki_api_test.py"
