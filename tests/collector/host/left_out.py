"""The series of node_exporter that we do not tell, and why."""
import re

REASONS = [
    (r"go_|process_|promhttp_|node_exporter_build_info", "of the exporter itself, not of the host"),
    (r"node_textfile_", "files of other programs: a scrape or a push brings those"),
    (r"node_bonding_|node_btrfs_|node_md_|node_xfs_|node_zfs_|node_nfs|node_ipvs|node_infiniband|node_fibrechannel|node_bcache|node_tape"
     r"|node_selinux_|node_systemd", "of hardware, file systems and services that we do not look at"),
]
LEFT_OUT = re.compile("|".join(pattern for pattern, _ in REASONS))


def reason(name):
    return next((why for pattern, why in REASONS if re.match(pattern, name)), None)
