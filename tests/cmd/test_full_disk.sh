#!/bin/bash
# A 64 MB file system filled by a foreign file: writes get 503, queries go on, and it heals within 5 s of space coming back. Once
# with a reserve, so that writes stop in time, and once without: then it is LMDB that meets the end.
. "$(dirname "$0")/lib.sh"
mkdir "$work/fs"
mount -t tmpfs -o size=64m tmpfs "$work/fs" 2>/dev/null || skip "cannot mount a tmpfs here"
cleanup() { # its folder can go only when the file system is gone
    umount "$work/fs" 2>/dev/null || umount -l "$work/fs"
    rm -rf "$work"
}
for reserve in 8MB 0; do
    RESERVE=$reserve python3 "$(dirname "$0")/full_disk_test.py" "$work/fs" || exit 1
    rm -rf "${work:?}/fs/data"
done
