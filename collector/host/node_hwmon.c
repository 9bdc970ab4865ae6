/*
 * node_hwmon.c - sensors of mainboards and drives, as the hwmon drivers tell them: files TYPE NUMBER _ PROPERTY in
 * milli- and micro-units. Rows of all chips are collected, then written sorted by metric, so that a metric stands
 * together.
 */
#include "collector/host/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROWS_MAX = 65536 };

struct row {
    struct str metric, type, chip, sensor, label; /* label: of chip_names and sensor_label */
    const char *label_name;
    double v;
};

struct rows {
    struct host *h;
    struct row *v;
    uint32_t n, cap;
};

struct sensor_file {
    struct str type, property, sensor, value; /* "temp", "input", "temp1", "45000" */
};

static void add(struct rows *r, struct row row)
{
    if (r->n == ROWS_MAX)
        return;
    if (r->n == r->cap) {
        struct row *more = arena_array(&r->h->scratch, struct row, r->cap ? r->cap * 2 : 64);

        if (r->n)
            memcpy(more, r->v, r->n * sizeof *more);
        r->v = more;
        r->cap = r->cap ? r->cap * 2 : 64;
    }
    r->v[r->n++] = row;
}

/* Lower case, '_' for what cannot stand in a metric's name, none at the ends. */
static struct str clean_name(struct host *h, struct str s)
{
    char *p = arena_alloc(&h->scratch, s.n + 1);
    struct str out = str_n(p, s.n);

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        p[i] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' ? c : '_';
    }
    while (out.n && out.p[0] == '_')
        out = str_from(out, 1);
    while (out.n && out.p[out.n - 1] == '_')
        out.n--;
    return out;
}

/* The last two parts of where `device` points to, else the chip's own name, else that of the folder. */
static struct str chip_id(struct host *h, int dir, struct str name)
{
    struct str link = arena_printf(&h->scratch, "%s/class/hwmon/%s/device", h->sysfs, name.p), type = STR(""),
               leaf = STR("");
    char *path = realpath(link.p, NULL);

    if (path) {
        struct str rest = str_of(path), part;

        for (bool more = true; more; type = leaf, leaf = part)
            more = str_cut(&rest, '/', &part);
        type = clean_name(h, type);
        leaf = clean_name(h, leaf);
        free(path);
        if (type.n && leaf.n)
            return arena_printf(&h->scratch, "%.*s_%.*s", STR_ARG(type), STR_ARG(leaf));
        if (leaf.n)
            return leaf;
    }
    leaf = clean_name(h, host_attr(h, dir, "name"));
    return leaf.n ? leaf : clean_name(h, name);
}

/* temp1_crit_alarm -> temp, temp1, crit_alarm; false for files that are no sensors. */
static bool read_name(struct host *h, struct str file, struct sensor_file *f)
{
    static const char *const types[] = {
        "vrm",  "beep_enable", "update_interval", "in",     "cpu",      "fan",      "pwm",
        "temp", "curr",        "power",           "energy", "humidity", "intrusion"};
    size_t digits = 0, end;
    uint64_t number = 0;

    while (digits < file.n && !(file.p[digits] >= '0' && file.p[digits] <= '9'))
        digits++;
    for (end = digits; end < file.n && file.p[end] >= '0' && file.p[end] <= '9';)
        end++;
    f->type = str_head(file, digits);
    f->property = str_from(file, end);
    if (f->property.n == 1 || (f->property.n && f->property.p[0] != '_'))
        return false;
    f->property = str_from(f->property, 1);
    if (end > digits && !str_to_u64(str_n(file.p + digits, end - digits), &number))
        return false;
    f->sensor = arena_printf(&h->scratch, "%.*s%llu", STR_ARG(f->type), (unsigned long long)number);
    for (unsigned i = 0; i < ARRAY_LEN(types); i++)
        if (str_eqz(f->type, types[i]))
            return true;
    return false;
}

/* Appends the sensors of a folder to list; a later folder overrides. */
static void read_sensors(struct host *h, int dir, const char *path, struct sensor_file **list, uint32_t *n)
{
    uint32_t count;
    struct str *names = host_names(h, dir, path, &count);
    struct sensor_file *more = arena_array(&h->scratch, struct sensor_file, *n + count + 1);

    if (*n)
        memcpy(more, *list, *n * sizeof *more);
    *list = more;
    for (uint32_t i = 0; i < count; i++) {
        struct sensor_file f;
        uint32_t k = 0;

        if (!read_name(h, names[i], &f))
            continue;
        f.value = host_attr(h, dir, arena_printf(&h->scratch, "%s/%s", path, names[i].p).p);
        if (!f.value.p)
            continue;
        f.value = arena_dup(&h->scratch, f.value);
        while (k < *n && !(str_eq(more[k].sensor, f.sensor) && str_eq(more[k].property, f.property)))
            k++;
        more[k] = f;
        *n += k == *n;
    }
}

/* How the values of a sensor's files are to be told: the first row that fits. "" stands for a file without property,
 * NULL for any. */
static const struct {
    const char *type, *property, *suffix;
    double divisor;
    bool counter;
} units[] = {
    {NULL, "fault", "", 1, false},
    {NULL, "alarm", "", 1, false},
    {NULL, "beep", "_enabled", 1, false},
    {"in", NULL, "_volts", 1e3, false},
    {"cpu", NULL, "_volts", 1e3, false},
    {"temp", "type", "", 1, false},
    {"temp", NULL, "_celsius", 1e3, false},
    {"curr", NULL, "_amps", 1e3, false},
    {"energy", NULL, "_joule_total", 1e6, true},
    {"power", "accuracy", "", 1e6, false},
    {"power", "average_interval", "_seconds", 1e3, false},
    {"power", "average_interval_min", "_seconds", 1e3, false},
    {"power", "average_interval_max", "_seconds", 1e3, false},
    {"power", NULL, "_watt", 1e6, false},
    {"humidity", NULL, "", 1e6, false},
    {"fan", "input", "_rpm", 1, false},
    {"fan", "min", "_rpm", 1, false},
    {"fan", "max", "_rpm", 1, false},
    {"fan", "target", "_rpm", 1, false},
    {NULL, NULL, "", 1, false},
};

static bool has_bare_file(const struct sensor_file *list, uint32_t n, struct str sensor)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i].property.n == 0 && str_eq(list[i].sensor, sensor))
            return true;
    return false;
}

/* Settings of the whole chip. */
static bool add_setting(struct rows *r, struct str chip, const struct sensor_file *f)
{
    static const struct {
        const char *type, *metric;
        double divisor;
    } settings[] = {
        {"beep_enable", "node_hwmon_beep_enabled", 1},
        {"vrm", "node_hwmon_voltage_regulator_version", 1},
        {"update_interval", "node_hwmon_update_interval_seconds", 1e3},
    };
    double v;

    for (unsigned i = 0; i < ARRAY_LEN(settings); i++)
        if (str_eqz(f->type, settings[i].type)) {
            if (num_parse(f->value, &v, NULL))
                add(r, (struct row){.metric = str_of(settings[i].metric),
                                    .type = STR("gauge"),
                                    .chip = chip,
                                    .sensor = f->sensor,
                                    .v = v / settings[i].divisor});
            return true;
        }
    return false;
}

static void add_reading(struct rows *r, struct str chip, const struct sensor_file *list, uint32_t n,
                        const struct sensor_file *f)
{
    struct str property = f->property, clean;
    unsigned u = 0;
    double v;

    if (!num_parse(f->value, &v, NULL))
        return;
    while ((units[u].type && !str_eqz(f->type, units[u].type)) ||
           (units[u].property && !str_eqz(property, units[u].property)))
        u++;
    if (str_eqz(property, "input") && !has_bare_file(list, n, f->sensor))
        property = STR(""); /* the input is the value itself */
    clean = clean_name(r->h, property);
    add(r, (struct row){.metric = arena_printf(&r->h->scratch, "node_hwmon_%.*s%s%.*s%s", STR_ARG(f->type),
                                               clean.n ? "_" : "", STR_ARG(clean), units[u].suffix),
                        .type = units[u].counter ? STR("counter") : STR("gauge"),
                        .chip = chip,
                        .sensor = f->sensor,
                        .v = v / units[u].divisor});
}

static void add_chip(struct rows *r, int dir, struct str name)
{
    struct host *h = r->h;
    struct str chip = chip_id(h, dir, name), human = arena_dup(&h->scratch, clean_name(h, host_attr(h, dir, "name")));
    struct sensor_file *list = NULL;
    uint32_t n = 0;

    read_sensors(h, dir, ".", &list, &n);
    read_sensors(h, dir, "device", &list, &n);
    if (human.n)
        add(r, (struct row){.metric = STR("node_hwmon_chip_names"),
                            .type = STR("gauge"),
                            .chip = chip,
                            .label_name = "chip_name",
                            .label = human,
                            .v = 1});
    for (uint32_t i = 0; i < n; i++) {
        if (str_eqz(list[i].property, "label"))
            add(r, (struct row){.metric = STR("node_hwmon_sensor_label"),
                                .type = STR("gauge"),
                                .chip = chip,
                                .sensor = list[i].sensor,
                                .label_name = "label",
                                .label = list[i].value,
                                .v = 1});
        else if (!add_setting(r, chip, &list[i]))
            add_reading(r, chip, list, n, &list[i]);
    }
}

static int by_metric(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int c = str_cmp(x->metric, y->metric);

    if (c == 0)
        c = str_cmp(x->chip, y->chip);
    return c ? c : str_cmp(x->sensor, y->sensor);
}

int node_hwmon(struct host *h, struct buf *out)
{
    struct rows r = {.h = h};
    int class = host_dir(h->sys_fd, "class/hwmon");
    struct str *names;
    uint32_t n;

    if (class < 0)
        return -1;
    names = host_names(h, class, ".", &n);
    for (uint32_t i = 0; i < n; i++) {
        int dir = host_dir(class, names[i].p);

        if (dir < 0)
            continue;
        add_chip(&r, dir, names[i]);
        close(dir);
    }
    close(class);
    if (r.n)
        qsort(r.v, r.n, sizeof *r.v, by_metric);
    for (uint32_t i = 0; i < r.n; i++) {
        const struct row *row = &r.v[i];
        struct emit m;

        if (i == 0 || !str_eq(row[-1].metric, row->metric))
            emit_family2(out, "", row->metric, row->type.p, "A reading of the hardware monitor.");
        m = emit_begin2(out, "", row->metric);
        emit_label(&m, "chip", row->chip);
        if (row->label_name)
            emit_label(&m, row->label_name, row->label);
        if (row->sensor.n)
            emit_label(&m, "sensor", row->sensor);
        emit_end(&m, row->v);
    }
    return 0;
}
