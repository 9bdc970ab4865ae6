#!/bin/bash
# Our host collector beside the real node_exporter: on this host, and on a recorded tree with hardware this host may lack.
# Exit 77: skipped.
set -u
here=$(dirname "$0")
B=${B:-build}
exporter=$(command -v prometheus-node-exporter || command -v node_exporter)
dump=$B/bin/host_dump
[ -n "$exporter" ] || { echo "prometheus-node-exporter is not installed"; exit 77; }
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
[ -x "$dump" ] || { echo "no $dump"; exit 77; }

tmp=$(mktemp -d)
pid=
stop() { [ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; pid=; }
trap 'stop; rm -rf "$tmp"' EXIT

# Starts the exporter with the given flags on a free port; sets url.
start() {
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$exporter" --web.listen-address="127.0.0.1:$port" "$@" >"$tmp/exporter.log" 2>&1 &
    pid=$!
    url=http://127.0.0.1:$port/metrics
    for _ in $(seq 100); do
        python3 -c "import urllib.request as u; u.urlopen('$url', timeout=5).read()" 2>/dev/null && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "the exporter did not start:"; tail -5 "$tmp/exporter.log"; exit 77
}

put() { # PATH VALUE
    mkdir -p "$(dirname "$tmp/$1")"
    printf '%s\n' "$2" >"$tmp/$1"
}

record() {
    local s=sys i
    mkdir -p "$tmp/proc/net/stat" "$tmp/proc/1" "$tmp/proc/self" "$tmp/root/etc" "$tmp/root/run/udev/data"
    # Hardware
    put $s/devices/platform/coretemp.0/hwmon/hwmon0/name coretemp
    local hw=$s/devices/platform/coretemp.0/hwmon/hwmon0
    put $hw/temp1_input 45000; put $hw/temp1_crit 100000; put $hw/temp1_max 90000; put $hw/temp1_label 'Package id 0'
    put $hw/temp1_crit_alarm 0; put $hw/temp2_input 43500; put $hw/temp2_label 'Core 0'
    put $hw/fan1_input 1200; put $hw/fan1_min 300; put $hw/fan1_alarm 0; put $hw/fan1_beep 0; put $hw/pwm1 128; put $hw/pwm1_enable 2
    put $hw/in0_input 1008; put $hw/in0_min 900; put $hw/curr1_input 1500; put $hw/power1_average 12500000; put $hw/power1_accuracy 5
    put $hw/power1_average_interval 1000; put $hw/energy1_input 123456789; put $hw/humidity1_input 45000; put $hw/intrusion0_alarm 1
    put $hw/beep_enable 1; put $hw/vrm 85; put $hw/update_interval 2000; put $hw/temp3_fault 1; put $hw/temp1_type 3; put $hw/cpu0_vid 1100
    put $hw/freq1_input 1600000000; put $hw/freq1_label sclk; put $hw/pwm2_freq 25000; put $hw/temp2_crit_hyst 95000; put $hw/temp_odd 1
    mkdir -p "$tmp/$s/class/hwmon"
    ln -s ../../devices/platform/coretemp.0/hwmon/hwmon0 "$tmp/$s/class/hwmon/hwmon0"
    ln -s ../../../coretemp.0 "$tmp/$hw/device"
    put $s/class/hwmon/hwmon1/name 'acpi Fan-2'; put $s/class/hwmon/hwmon1/temp1_input 28500
    put $s/class/thermal/thermal_zone0/type acpitz; put $s/class/thermal/thermal_zone0/temp 49925; put $s/class/thermal/thermal_zone0/policy step_wise
    put $s/class/thermal/cooling_device0/type Processor; put $s/class/thermal/cooling_device0/cur_state 1; put $s/class/thermal/cooling_device0/max_state 10
    put $s/class/nvme/nvme0/model 'Samsung SSD'; put $s/class/nvme/nvme0/serial 'S1234  '; put $s/class/nvme/nvme0/state live
    put $s/class/nvme/nvme0/firmware_rev 1B2
    for i in 0 1; do
        put $s/devices/system/edac/mc/mc$i/ce_count $i; put $s/devices/system/edac/mc/mc$i/ue_count 5
        put $s/devices/system/edac/mc/mc$i/ce_noinfo_count 2; put $s/devices/system/edac/mc/mc$i/ue_noinfo_count 6
        put $s/devices/system/edac/mc/mc$i/csrow0/ce_count 3; put $s/devices/system/edac/mc/mc$i/csrow0/ue_count 4
        put $s/class/powercap/intel-rapl:$i/name package-$i; put $s/class/powercap/intel-rapl:$i/energy_uj $((i + 1))23456
        put $s/class/powercap/intel-rapl:$i/max_energy_range_uj 262143328850
        put $s/class/powercap/intel-rapl:$i:0/name core; put $s/class/powercap/intel-rapl:$i:0/energy_uj 55555$i
        put $s/class/powercap/intel-rapl:$i:0/max_energy_range_uj 262143328850
        local cpu=$s/devices/system/cpu/cpu$i
        put $cpu/topology/physical_package_id 0; put $cpu/topology/core_id $i; put $cpu/thermal_throttle/core_throttle_count 1$i
        put $cpu/thermal_throttle/package_throttle_count 30
        put $cpu/cpufreq/cpuinfo_cur_freq 120000$i; put $cpu/cpufreq/cpuinfo_min_freq 800000; put $cpu/cpufreq/cpuinfo_max_freq 2400000
        put $cpu/cpufreq/scaling_cur_freq 121913$i; put $cpu/cpufreq/scaling_min_freq 800000; put $cpu/cpufreq/scaling_max_freq 2400000
        put $cpu/cpufreq/scaling_governor powersave; put $cpu/cpufreq/scaling_driver intel_pstate; put $cpu/cpufreq/related_cpus $i
        put $cpu/cpufreq/cpuinfo_transition_latency 0; put $cpu/cpufreq/scaling_available_governors 'performance powersave'
        put $cpu/cpufreq/scaling_setspeed '<unsupported>'
    done
    put $s/class/dmi/id/bios_vendor 'Dell "Inc."'; put $s/class/dmi/id/product_name 'PowerEdge R6515'; put $s/class/dmi/id/sys_vendor 'Dell Inc.'
    put $s/class/dmi/id/board_version A00; put $s/class/dmi/id/bios_release 2.2
    put $s/devices/system/clocksource/clocksource0/available_clocksource 'tsc hpet acpi_pm'
    put $s/devices/system/clocksource/clocksource0/current_clocksource tsc
    put $s/class/power_supply/AC/type Mains; put $s/class/power_supply/AC/online 0
    local bat=$s/class/power_supply/BAT0
    put $bat/capacity 98; put $bat/capacity_level Normal; put $bat/current_now 53000; put $bat/cycle_count 12; put $bat/energy_full 50060000
    put $bat/energy_full_design 47520000; put $bat/energy_now 49450000; put $bat/manufacturer LGC; put $bat/model_name LNV-45; put $bat/power_now 4830000
    put $bat/present 1; put $bat/serial_number 38109; put $bat/status Discharging; put $bat/technology Li-ion; put $bat/type Battery
    put $bat/voltage_min_design 10800000; put $bat/voltage_now 12229000; put $bat/temp 285; put $bat/charge_now 3000000; put $bat/time_to_empty_now 3600
    # Network
    local e=$s/class/net/eth0
    put $e/addr_assign_type 3; put $e/addr_len 6; put $e/address 01:01:01:01:01:01; put $e/broadcast ff:ff:ff:ff:ff:ff; put $e/carrier 1
    put $e/carrier_changes 2; put $e/carrier_down_count 1; put $e/carrier_up_count 1; put $e/dev_id 0x20; put $e/dormant 1; put $e/duplex full
    put $e/flags 0x1303; put $e/ifalias 'up "link"'; put $e/ifindex 2; put $e/iflink 2; put $e/link_mode 1; put $e/mtu 1500
    put $e/name_assign_type 2; put $e/netdev_group 0; put $e/operstate up; put $e/phys_port_id ''; put $e/speed 1000; put $e/tx_queue_len 1000; put $e/type 1
    # Files of this host's kernel, held still
    for i in stat meminfo loadavg vmstat diskstats net/dev net/arp net/netstat net/snmp net/snmp6 net/sockstat net/sockstat6 \
        net/softnet_stat net/udp net/udp6 net/stat/nf_conntrack sys/net/netfilter/nf_conntrack_count \
        sys/net/netfilter/nf_conntrack_max pressure/cpu pressure/io pressure/memory sys/fs/file-nr \
        sys/kernel/random/entropy_avail sys/kernel/random/poolsize; do
        [ -r "/proc/$i" ] && mkdir -p "$(dirname "$tmp/proc/$i")" && cat "/proc/$i" >"$tmp/proc/$i"
    done
    put proc/schedstat 'version 15
timestamp 15819019232
cpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163039 343796328169361 4767485306
domain0 00000000,00000003 212499247 210112015 1861015
cpu1 518377256 0 4155211005 2778589869 10466382 2867629021 1904686152592476 364107263788241 5145567945'
    put proc/diskstats '   8       0 sda 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960 0 9653880 82621804 1555 44 555 66 77 88
   8       1 sda1 250 0 2000 36 0 0 0 0 0 36 36
 259       0 nvme0n1 47114 4 4643973 21650 1078320 43950 39451633 1011053 0 222766 1032546
 259       1 nvme0n1p1 1140 0 9370 16 1 0 1 0 0 16 16
 253       0 dm-0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
   7       0 loop0 1 0 2 0 0 0 0 0 0 0 0'
    put proc/1/mounts 'rootfs / rootfs rw 0 0
/dev/sda1 / ext4 rw,relatime 0 0
tmpfs /run tmpfs rw 0 0
/dev/sdb1 /data\040one ext4 ro,noatime 0 0
/dev/sdb1 /data\040one ext4 ro,noatime 0 0
gone /nowhere nfs rw 0 0
none /sys/fs/cgroup cgroup rw 0 0'
    mkdir -p "$tmp/root/data one"
    put root/etc/os-release 'NAME="Ubuntu"
VERSION="20.04.2 LTS (Focal Fossa)"
ID=ubuntu
ID_LIKE=debian
PRETTY_NAME='"'"'Ubuntu "20.04"'"'"'
VERSION_ID="20.04"'
    put root/run/udev/data/b8:0 'S:disk/by-id/x
E:ID_MODEL=SAMSUNG_MZ7
E:ID_PATH=pci-0000:00:1f.2-ata-1
E:ID_REVISION=4D3Q
E:ID_SERIAL_SHORT=S0ABC
E:ID_WWN=0x5002538
E:ID_ATA=1
E:ID_ATA_WRITE_CACHE=1
E:ID_ATA_WRITE_CACHE_ENABLED=0
E:ID_ATA_ROTATION_RATE_RPM=7200'
    put root/run/udev/data/b253:0 'E:DM_NAME=vg0--root
E:DM_UUID=LVM-abc
E:DM_VG_NAME=vg0
E:DM_LV_NAME=root
E:ID_FS_TYPE=ext4
E:ID_FS_USAGE=filesystem
E:ID_FS_UUID=1234
E:ID_FS_VERSION=1.0'
}

failed=0
start
python3 -B "$here/compare.py" live "$url" "$dump" || failed=1
stop
record
start --path.procfs="$tmp/proc" --path.sysfs="$tmp/sys" --path.rootfs="$tmp/root" --path.udev.data="$tmp/root/run/udev/data"
python3 -B "$here/compare.py" same "$url" "$dump" --procfs "$tmp/proc" --sysfs "$tmp/sys" --rootfs "$tmp/root" || failed=1
stop
exit $failed
