#!/bin/bash
# Power cuts at any moment of a working server. Quick: 120 images, 12 of them more through a server; long: 2,000 and 100.
. "$(dirname "$0")/lib.sh"
[ -f "$B/bin/powercut.so" ] || skip "bin/powercut.so is not built"
nm -D "$tripod" 2>/dev/null | grep -q '__asan_init\|__tsan_init' && skip "the shim and a sanitizer's runtime both want to be first: run without one"
if [ -n "${TRIPOD_LONG:-}" ]; then set -- 16 2000 100; else set -- 5 120 12; fi
python3 "$(dirname "$0")/power_cut.py" "$@"
