#!/bin/bash
# RabbitMQ logs every connection and changes its file every 64 kB while we are killed: the lines of its files, each once. Long only: it takes long to start.
. "$(dirname "$0")/../../cmd/lib.sh"
[ -n "${TRIPOD_LONG:-}" ] || skip "long only: RabbitMQ takes long to start"
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && command -v setpriv >/dev/null && command -v unshare >/dev/null || skip "needs RabbitMQ"
[ "$(id -u)" = 0 ] || skip "needs root, to become rabbitmq"
python3 "$(dirname "$0")/servers_test.py" rabbitmq 60 || fail "see above"
