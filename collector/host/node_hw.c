/* node_hw.c - heat, memory errors, energy, power supplies. */
#include "collector/host/node.h"

#include <stdio.h>
#include <unistd.h>

/* A metric of numbered things: DIR/PREFIX12/FILE, with the 12 and perhaps another attribute as labels. */
struct numbered {
    const char *dir, *prefix, *file, *metric, *type, *help;
    const char *label, *attr_label, *attr; /* attr NULL: only the number */
    double divisor;
};

static void put_numbered(struct host *h, struct buf *out, const struct numbered *t)
{
    uint32_t n;
    struct str *names = host_names(h, h->sys_fd, t->dir, &n), number, attr;
    bool family = false;

    for (uint32_t i = 0; i < n; i++) {
        struct emit m;
        uint64_t id;
        double v;
        int dir;

        number = str_from(names[i], strlen(t->prefix));
        if (!str_starts(names[i], str_of(t->prefix)) || !str_to_u64(number, &id))
            continue;
        dir = host_dir(h->sys_fd, arena_printf(&h->scratch, "%s/%s", t->dir, names[i].p).p);
        attr = t->attr ? arena_dup(&h->scratch, host_attr(h, dir, t->attr)) : STR("");
        if (host_attr_f64(h, dir, t->file, &v)) {
            if (!family)
                emit_family(out, t->metric, t->type, t->help);
            family = true;
            m = emit_begin(out, t->metric);
            emit_label(&m, t->label, number);
            if (t->attr)
                emit_label(&m, t->attr_label, attr);
            emit_end(&m, v / t->divisor);
        }
        if (dir >= 0)
            close(dir);
    }
}

int node_thermal_zone(struct host *h, struct buf *out)
{
    static const struct numbered rows[] = {
        {"class/thermal", "thermal_zone", "temp", "node_thermal_zone_temp", "gauge",
         "Temperature of a zone in degrees Celsius.", "zone", "type", "type", 1000},
        {"class/thermal", "cooling_device", "cur_state", "node_cooling_device_cur_state", "gauge",
         "How hard a cooling device works.", "name", "type", "type", 1},
        {"class/thermal", "cooling_device", "max_state", "node_cooling_device_max_state", "gauge",
         "How hard it could work.", "name", "type", "type", 1},
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        put_numbered(h, out, &rows[i]);
    return 0;
}

/* --- memory errors ------------------------------------------------------------------------------------ */

static void put_csrows(struct host *h, struct buf *out, const char *metric, const char *help, const char *total,
                       const char *file)
{
    static const char root[] = "devices/system/edac/mc";
    uint32_t n, nrows;
    struct str *names = host_names(h, h->sys_fd, root, &n);
    bool family = false;

    for (uint32_t i = 0; i < n; i++) {
        struct str dir = arena_printf(&h->scratch, "%s/%s", root, names[i].p), *rows;
        uint64_t id;
        double v;

        if (!str_starts(names[i], STR("mc")) || !str_to_u64(str_from(names[i], 2), &id))
            continue;
        if (host_attr_f64(h, h->sys_fd, arena_printf(&h->scratch, "%s/%s", dir.p, total).p, &v)) {
            if (!family)
                emit_family(out, metric, "counter", help);
            family = true;
            emit_2(out, metric, "controller", str_from(names[i], 2), "csrow", STR("unknown"), v);
        }
        rows = host_names(h, h->sys_fd, dir.p, &nrows);
        for (uint32_t k = 0; k < nrows; k++) {
            if (!str_starts(rows[k], STR("csrow")) || !str_to_u64(str_from(rows[k], 5), &id) ||
                !host_attr_f64(h, h->sys_fd, arena_printf(&h->scratch, "%s/%s/%s", dir.p, rows[k].p, file).p, &v))
                continue;
            if (!family)
                emit_family(out, metric, "counter", help);
            family = true;
            emit_2(out, metric, "controller", str_from(names[i], 2), "csrow", str_from(rows[k], 5), v);
        }
    }
}

int node_edac(struct host *h, struct buf *out)
{
    static const struct numbered rows[] = {
        {"devices/system/edac/mc", "mc", "ce_count", "node_edac_correctable_errors_total", "counter",
         "Memory errors that could be corrected.", "controller", NULL, NULL, 1},
        {"devices/system/edac/mc", "mc", "ue_count", "node_edac_uncorrectable_errors_total", "counter",
         "Memory errors that could not.", "controller", NULL, NULL, 1},
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        put_numbered(h, out, &rows[i]);
    put_csrows(h, out, "node_edac_csrow_correctable_errors_total", "Memory errors of a row that could be corrected.",
               "ce_noinfo_count", "ce_count");
    put_csrows(h, out, "node_edac_csrow_uncorrectable_errors_total", "Memory errors of a row that could not.",
               "ue_noinfo_count", "ue_count");
    return 0;
}

/* --- energy ------------------------------------------------------------------------------------------- */

struct zone {
    struct str metric, path;
    uint64_t index;
    double joules;
};

/* package-0 is the package of index 0; a name without number is counted as it comes. */
static uint64_t zone_index(struct str *name, const struct str *raw, uint32_t before)
{
    struct str whole = *name, rest = *name, head;
    uint64_t index = 0;

    if (str_cut(&rest, '-', &head) && str_to_u64(rest, &index)) {
        *name = head;
        return index;
    }
    for (uint32_t i = 0; i < before; i++)
        index += str_eq(raw[i], whole);
    return index;
}

static struct str metric_of(struct host *h, struct str name)
{
    struct str metric = arena_printf(&h->scratch, "node_rapl_%.*s_joules_total", STR_ARG(name));

    for (size_t i = 0; i < metric.n; i++)
        if (!label_name_legacy(str_n(metric.p + i, 1)) && !(metric.p[i] >= '0' && metric.p[i] <= '9'))
            ((char *)metric.p)[i] = '_';
    return metric;
}

int node_rapl(struct host *h, struct buf *out)
{
    static const char root[] = "class/powercap";
    uint32_t n, nzones = 0;
    struct str *names = host_names(h, h->sys_fd, root, &n), *raw = arena_array(&h->scratch, struct str, n + 1);
    struct zone *zones = arena_array(&h->scratch, struct zone, n + 1);

    for (uint32_t i = 0; i < n; i++) {
        struct str dir = arena_printf(&h->scratch, "%s/%s", root, names[i].p), name;
        struct zone *z = &zones[nzones];

        name = arena_dup(&h->scratch, host_attr(h, h->sys_fd, arena_printf(&h->scratch, "%s/name", dir.p).p));
        if (name.n == 0)
            continue;
        raw[nzones] = name;
        z->index = zone_index(&name, raw, nzones);
        z->metric = metric_of(h, name);
        z->path = arena_printf(&h->scratch, "%s/%s", h->sysfs, dir.p);
        if (!host_attr_f64(h, h->sys_fd, arena_printf(&h->scratch, "%s/energy_uj", dir.p).p, &z->joules))
            return -1; /* for root only */
        z->joules /= 1e6;
        nzones++;
    }
    for (uint32_t i = 0; i < nzones; i++) {
        bool told = false;

        for (uint32_t k = 0; k < i; k++)
            told |= str_eq(zones[k].metric, zones[i].metric);
        if (told)
            continue;
        emit_family(out, zones[i].metric.p, "counter", "Energy used, in joules.");
        for (uint32_t k = i; k < nzones; k++)
            if (str_eq(zones[k].metric, zones[i].metric))
                emit_2(out, zones[k].metric.p, "index",
                       arena_printf(&h->scratch, "%llu", (unsigned long long)zones[k].index), "path", zones[k].path,
                       zones[k].joules);
    }
    return nzones ? 0 : -1;
}

/* --- power supplies ------------------------------------------------------------------------------------ */

static const struct {
    const char *file, *metric;
    double divisor;
} supply_values[] = {
    {"authentic", "authentic", 1},
    {"calibrate", "calibrate", 1},
    {"capacity", "capacity", 1},
    {"capacity_alert_max", "capacity_alert_max", 1},
    {"capacity_alert_min", "capacity_alert_min", 1},
    {"cycle_count", "cyclecount", 1},
    {"online", "online", 1},
    {"present", "present", 1},
    {"time_to_empty_now", "time_to_empty_seconds", 1},
    {"time_to_full_now", "time_to_full_seconds", 1},
    {"current_boot", "current_boot", 1e6},
    {"current_max", "current_max", 1e6},
    {"current_now", "current_ampere", 1e6},
    {"energy_empty", "energy_empty", 1e6},
    {"energy_empty_design", "energy_empty_design", 1e6},
    {"energy_full", "energy_full", 1e6},
    {"energy_full_design", "energy_full_design", 1e6},
    {"energy_now", "energy_watthour", 1e6},
    {"voltage_boot", "voltage_boot", 1e6},
    {"voltage_max", "voltage_max", 1e6},
    {"voltage_max_design", "voltage_max_design", 1e6},
    {"voltage_min", "voltage_min", 1e6},
    {"voltage_min_design", "voltage_min_design", 1e6},
    {"voltage_now", "voltage_volt", 1e6},
    {"voltage_ocv", "voltage_ocv", 1e6},
    {"charge_control_limit", "charge_control_limit", 1e6},
    {"charge_control_limit_max", "charge_control_limit_max", 1e6},
    {"charge_counter", "charge_counter", 1e6},
    {"charge_empty", "charge_empty", 1e6},
    {"charge_empty_design", "charge_empty_design", 1e6},
    {"charge_full", "charge_full", 1e6},
    {"charge_full_design", "charge_full_design", 1e6},
    {"charge_now", "charge_ampere", 1e6},
    {"charge_term_current", "charge_term_current", 1e6},
    {"constant_charge_current", "constant_charge_current", 1e6},
    {"constant_charge_current_max", "constant_charge_current_max", 1e6},
    {"constant_charge_voltage", "constant_charge_voltage", 1e6},
    {"constant_charge_voltage_max", "constant_charge_voltage_max", 1e6},
    {"precharge_current", "precharge_current", 1e6},
    {"input_current_limit", "input_current_limit", 1e6},
    {"power_now", "power_watt", 1e6},
    {"temp", "temp_celsius", 10},
    {"temp_alert_max", "temp_alert_max_celsius", 10},
    {"temp_alert_min", "temp_alert_min_celsius", 10},
    {"temp_ambient", "temp_ambient_celsius", 10},
    {"temp_ambient_max", "temp_ambient_max_celsius", 10},
    {"temp_ambient_min", "temp_ambient_min_celsius", 10},
    {"temp_max", "temp_max_celsius", 10},
    {"temp_min", "temp_min_celsius", 10},
};
static const char *const supply_words[] = {"capacity_level", "charge_type", "health",        "manufacturer",
                                           "model_name",     "scope",       "serial_number", "status",
                                           "technology",     "type",        "usb_type"};

int node_powersupply(struct host *h, struct buf *out)
{
    uint32_t n;
    struct str *names = host_names(h, h->sys_fd, "class/power_supply", &n);
    char metric[96];

    for (unsigned f = 0; f < ARRAY_LEN(supply_values) && n; f++) {
        bool family = false;

        snprintf(metric, sizeof metric, "node_power_supply_%s", supply_values[f].metric);
        for (uint32_t i = 0; i < n; i++) {
            double v;

            if (!host_attr_f64(
                    h, h->sys_fd,
                    arena_printf(&h->scratch, "class/power_supply/%s/%s", names[i].p, supply_values[f].file).p, &v))
                continue;
            if (!family)
                emit_family(out, metric, "gauge", "A reading of a power supply.");
            family = true;
            emit_1(out, metric, "power_supply", names[i], v / supply_values[f].divisor);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        struct emit m;

        if (i == 0)
            emit_family(out, "node_power_supply_info", "gauge", "What is known of a power supply; always 1.");
        m = emit_begin(out, "node_power_supply_info");
        emit_label(&m, "power_supply", names[i]);
        for (unsigned k = 0; k < ARRAY_LEN(supply_words); k++) {
            struct str word = host_attr(
                h, h->sys_fd, arena_printf(&h->scratch, "class/power_supply/%s/%s", names[i].p, supply_words[k]).p);

            if (word.n)
                emit_label(&m, supply_words[k], word);
        }
        emit_end(&m, 1);
    }
    return 0;
}
