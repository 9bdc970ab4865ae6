/* node_disk.c - block devices: /proc/diskstats, what udev knows of them, NVMe controllers. */
#include "collector/host/node.h"

#include <stdio.h>
#include <unistd.h>

enum { DISKS_MAX = 8192, SECTOR = 512 };

/* Fields of a line behind major, minor and name, in order. Kernels before 4.18 end after the 11th, before 5.5 after the
 * 15th. */
enum { DISK_FIELDS = 17 };
static const struct {
    const char *metric, *type, *help;
    double factor, divisor;
} fields[DISK_FIELDS] = {
    {"node_disk_reads_completed_total", "counter", "Reads completed.", 1, 1},
    {"node_disk_reads_merged_total", "counter", "Reads merged.", 1, 1},
    {"node_disk_read_bytes_total", "counter", "Bytes read.", SECTOR, 1},
    {"node_disk_read_time_seconds_total", "counter", "Time of all reads together.", 1, 1000},
    {"node_disk_writes_completed_total", "counter", "Writes completed.", 1, 1},
    {"node_disk_writes_merged_total", "counter", "Writes merged.", 1, 1},
    {"node_disk_written_bytes_total", "counter", "Bytes written.", SECTOR, 1},
    {"node_disk_write_time_seconds_total", "counter", "Time of all writes together.", 1, 1000},
    {"node_disk_io_now", "gauge", "Reads and writes under way.", 1, 1},
    {"node_disk_io_time_seconds_total", "counter", "Time in which the disk was at work.", 1, 1000},
    {"node_disk_io_time_weighted_seconds_total", "counter", "Time at work, multiplied by what was under way.", 1, 1000},
    {"node_disk_discards_completed_total", "counter", "Discards completed.", 1, 1},
    {"node_disk_discards_merged_total", "counter", "Discards merged.", 1, 1},
    {"node_disk_discarded_sectors_total", "counter", "Sectors discarded.", 1, 1},
    {"node_disk_discard_time_seconds_total", "counter", "Time of all discards together.", 1, 1000},
    {"node_disk_flush_requests_total", "counter", "Flushes completed.", 1, 1},
    {"node_disk_flush_requests_time_seconds_total", "counter", "Time of all flushes together.", 1, 1000},
};

/* What udev wrote about a disk, as far as we tell it on. */
enum udev_key {
    ID_PATH,
    ID_MODEL,
    SCSI_IDENT_SERIAL,
    ID_SERIAL_SHORT,
    ID_WWN,
    ID_REVISION,
    ID_FS_TYPE,
    ID_FS_USAGE,
    ID_FS_UUID,
    ID_FS_VERSION,
    DM_NAME,
    DM_UUID,
    DM_VG_NAME,
    DM_LV_NAME,
    DM_LV_LAYER,
    ID_ATA,
    ID_ATA_WRITE_CACHE,
    ID_ATA_WRITE_CACHE_ENABLED,
    ID_ATA_ROTATION_RATE_RPM,
    UDEV_KEYS
};
static const char *const udev_names[UDEV_KEYS] = {
    "ID_PATH",
    "ID_MODEL",
    "SCSI_IDENT_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
    "ID_REVISION",
    "ID_FS_TYPE",
    "ID_FS_USAGE",
    "ID_FS_UUID",
    "ID_FS_VERSION",
    "DM_NAME",
    "DM_UUID",
    "DM_VG_NAME",
    "DM_LV_NAME",
    "DM_LV_LAYER",
    "ID_ATA",
    "ID_ATA_WRITE_CACHE",
    "ID_ATA_WRITE_CACHE_ENABLED",
    "ID_ATA_ROTATION_RATE_RPM",
};

struct disk {
    struct str major, minor, name, udev[UDEV_KEYS];
    double v[DISK_FIELDS];
    unsigned n;
};

static bool read_disk(struct host *h, struct str line, struct disk *d)
{
    struct str word;

    d->major = host_next_word(&line);
    d->minor = host_next_word(&line);
    d->name = host_next_word(&line);
    if (d->name.n == 0 || regex_match(h->skip_disks, d->name))
        return false;
    for (d->n = 0; d->n < DISK_FIELDS && (word = host_next_word(&line)).n; d->n++)
        d->v[d->n] = host_number(word) * fields[d->n].factor / fields[d->n].divisor;
    return true;
}

/* Lines "E:KEY=VALUE" of run/udev/data/bMAJOR:MINOR. */
static void read_udev(struct host *h, struct disk *d)
{
    char path[64];
    struct str text, line, key;

    snprintf(path, sizeof path, "run/udev/data/b%.*s:%.*s", STR_ARG(str_head(d->major, 10)),
             STR_ARG(str_head(d->minor, 10)));
    text = host_file(h, h->root_fd, path);
    while (host_next_line(&text, &line)) {
        if (!str_starts(line, STR("E:")))
            continue;
        line = str_from(line, 2);
        if (!str_cut(&line, '=', &key))
            continue;
        for (int k = 0; k < UDEV_KEYS; k++)
            if (str_eqz(key, udev_names[k]))
                d->udev[k] = arena_dup(&h->scratch, line);
    }
}

static void put_info(const struct disk *d, struct buf *out)
{
    struct emit m = emit_begin(out, "node_disk_info");

    emit_label(&m, "device", d->name);
    emit_label(&m, "major", d->major);
    emit_label(&m, "minor", d->minor);
    emit_label(&m, "model", d->udev[ID_MODEL]);
    emit_label(&m, "path", d->udev[ID_PATH]);
    emit_label(&m, "revision", d->udev[ID_REVISION]);
    emit_label(&m, "serial", d->udev[SCSI_IDENT_SERIAL].n ? d->udev[SCSI_IDENT_SERIAL] : d->udev[ID_SERIAL_SHORT]);
    emit_label(&m, "wwn", d->udev[ID_WWN]);
    emit_end(&m, 1);
}

/* A metric whose value is 1 and whose labels are udev's words, for the disks that have `needs`. */
static void put_words(const struct disk *disks, uint32_t n, struct buf *out, const char *metric, const char *help,
                      enum udev_key needs, const char *const *labels, const enum udev_key *keys, unsigned nlabels)
{
    bool family = false;

    for (uint32_t i = 0; i < n; i++) {
        struct emit m;

        if (disks[i].udev[needs].n == 0)
            continue;
        if (!family)
            emit_family(out, metric, "gauge", help);
        family = true;
        m = emit_begin(out, metric);
        emit_label(&m, "device", disks[i].name);
        for (unsigned k = 0; k < nlabels; k++)
            emit_label(&m, labels[k], disks[i].udev[keys[k]]);
        emit_end(&m, 1);
    }
}

static void put_ata(const struct disk *disks, uint32_t n, struct buf *out)
{
    static const struct {
        enum udev_key key;
        const char *metric, *help;
    } rows[] = {
        {ID_ATA_WRITE_CACHE, "node_disk_ata_write_cache", "1 if the disk has a write cache."},
        {ID_ATA_WRITE_CACHE_ENABLED, "node_disk_ata_write_cache_enabled", "1 if its write cache is in use."},
        {ID_ATA_ROTATION_RATE_RPM, "node_disk_ata_rotation_rate_rpm",
         "Turns per minute; 0 for a disk that does not turn."},
    };

    for (unsigned r = 0; r < ARRAY_LEN(rows); r++) {
        bool family = false;

        for (uint32_t i = 0; i < n; i++) {
            if (disks[i].udev[ID_ATA].n == 0 || disks[i].udev[rows[r].key].n == 0)
                continue;
            if (!family)
                emit_family(out, rows[r].metric, "gauge", rows[r].help);
            family = true;
            emit_1(out, rows[r].metric, "device", disks[i].name, host_number(disks[i].udev[rows[r].key]));
        }
    }
}

static void put_udev(const struct disk *disks, uint32_t n, struct buf *out)
{
    static const char *const fs_labels[] = {"type", "usage", "uuid", "version"};
    static const enum udev_key fs_keys[] = {ID_FS_TYPE, ID_FS_USAGE, ID_FS_UUID, ID_FS_VERSION};
    static const char *const dm_labels[] = {"lv_layer", "lv_name", "name", "uuid", "vg_name"};
    static const enum udev_key dm_keys[] = {DM_LV_LAYER, DM_LV_NAME, DM_NAME, DM_UUID, DM_VG_NAME};

    emit_family(out, "node_disk_info", "gauge", "What is known of a disk; always 1.");
    for (uint32_t i = 0; i < n; i++)
        put_info(&disks[i], out);
    put_words(disks, n, out, "node_disk_filesystem_info", "The file system on a disk; always 1.", ID_FS_TYPE, fs_labels,
              fs_keys, ARRAY_LEN(fs_keys));
    put_words(disks, n, out, "node_disk_device_mapper_info", "What the device mapper knows; always 1.", DM_NAME,
              dm_labels, dm_keys, ARRAY_LEN(dm_keys));
    put_ata(disks, n, out);
}

int node_diskstats(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_DISKSTATS), line;
    uint32_t n = 0, cap = 0;
    struct disk *disks = NULL;

    if (!text.p)
        return -1;
    text = arena_dup(&h->scratch, text); /* udev's files come into the same buffer */
    while (host_next_line(&text, &line) && n < DISKS_MAX) {
        if (n == cap) {
            struct disk *more = arena_array(&h->scratch, struct disk, cap ? cap * 2 : 8);

            if (n)
                memcpy(more, disks, n * sizeof *disks);
            disks = more;
            cap = cap ? cap * 2 : 8;
        }
        if (read_disk(h, line, &disks[n]))
            read_udev(h, &disks[n++]);
    }
    for (unsigned f = 0; f < DISK_FIELDS; f++) {
        bool family = false;

        for (uint32_t i = 0; i < n; i++) {
            if (f >= disks[i].n)
                continue;
            if (!family)
                emit_family(out, fields[f].metric, fields[f].type, fields[f].help);
            family = true;
            emit_1(out, fields[f].metric, "device", disks[i].name, disks[i].v[f]);
        }
    }
    if (n)
        put_udev(disks, n, out);
    return 0;
}

int node_nvme(struct host *h, struct buf *out)
{
    static const char *const labels[] = {"firmware_revision", "model", "serial", "state"};
    static const char *const files[] = {"firmware_rev", "model", "serial", "state"};
    int class = host_dir(h->sys_fd, "class/nvme");
    struct str *names;
    uint32_t n;

    if (class < 0)
        return -1;
    names = host_names(h, class, ".", &n);
    if (n)
        emit_family(out, "node_nvme_info", "gauge", "What is known of an NVMe controller; always 1.");
    for (uint32_t i = 0; i < n; i++) {
        int dir = host_dir(class, names[i].p);
        struct emit m = emit_begin(out, "node_nvme_info");

        emit_label(&m, "device", names[i]);
        for (unsigned k = 0; k < ARRAY_LEN(labels); k++)
            emit_label(&m, labels[k], host_attr(h, dir, files[k]));
        emit_end(&m, 1);
        if (dir >= 0)
            close(dir);
    }
    close(class);
    return 0;
}
