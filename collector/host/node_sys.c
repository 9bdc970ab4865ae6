/* node_sys.c - what the host is and what time it has: uname, os, dmi, time, timex. */
#include "collector/host/node.h"

#include <stdio.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

int node_uname(struct host *h, struct buf *out)
{
    struct utsname u;
    struct emit m;

    (void)h;
    if (uname(&u) < 0)
        return -1;
    emit_family(out, "node_uname_info", "gauge", "The kernel's own name; always 1.");
    m = emit_begin(out, "node_uname_info");
    emit_label(&m, "domainname", str_of(u.domainname));
    emit_label(&m, "machine", str_of(u.machine));
    emit_label(&m, "nodename", str_of(u.nodename));
    emit_label(&m, "release", str_of(u.release));
    emit_label(&m, "sysname", str_of(u.sysname));
    emit_label(&m, "version", str_of(u.version));
    emit_end(&m, 1);
    return 0;
}

/* --- os-release -------------------------------------------------------------------------------------- */

static const char *const os_labels[] = {"build_id",      "id",      "id_like",          "image_id",
                                        "image_version", "name",    "pretty_name",      "variant",
                                        "variant_id",    "version", "version_codename", "version_id"};
enum { OS_KEYS = ARRAY_LEN(os_labels), OS_ID = 1, OS_ID_LIKE = 2, OS_NAME = 5, OS_VERSION_ID = 11 };

/* A value as a shell would read it: quotes and backslashes undone. */
static struct str unquote(struct host *h, struct str s)
{
    char *p = arena_alloc(&h->scratch, s.n + 1), quote = 0;
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (quote ? c == quote : c == '"' || c == '\'')
            quote = quote ? 0 : c;
        else if (c == '\\' && quote != '\'' && i + 1 < s.n)
            p[n++] = s.p[++i];
        else
            p[n++] = c;
    }
    return str_n(p, n);
}

/* "12.4.1" -> 12.4 */
static bool major_minor(struct str version, double *out)
{
    struct str major, minor;
    char text[64];

    str_cut(&version, '.', &major);
    str_cut(&version, '.', &minor);
    snprintf(text, sizeof text, "%.*s%s%.*s", STR_ARG(str_head(major, 20)), minor.n ? "." : "",
             STR_ARG(str_head(minor, 20)));
    return num_parse(str_of(text), out, NULL);
}

int node_os(struct host *h, struct buf *out)
{
    struct str text = host_file(h, h->root_fd, "etc/os-release"), line, key, values[OS_KEYS] = {{0}};
    double version;
    struct emit m;

    if (!text.p)
        text = host_file(h, h->root_fd, "usr/lib/os-release");
    if (!text.p)
        return -1;
    while (host_next_line(&text, &line)) {
        line = str_trim(line);
        if (str_starts(line, STR("#")) || !str_cut(&line, '=', &key))
            continue;
        for (unsigned i = 0; i < OS_KEYS; i++)
            if (str_eq_nocase(key, str_of(os_labels[i])))
                values[i] = unquote(h, line);
    }
    emit_family(out, "node_os_info", "gauge", "The distribution as os-release tells it; always 1.");
    m = emit_begin(out, "node_os_info");
    for (unsigned i = 0; i < OS_KEYS; i++)
        emit_label(&m, os_labels[i], values[i]);
    emit_end(&m, 1);
    if (!major_minor(values[OS_VERSION_ID], &version))
        return 0;
    emit_family(out, "node_os_version", "gauge", "Version of the distribution, as far as it is a number.");
    m = emit_begin(out, "node_os_version");
    emit_label(&m, "id", values[OS_ID]);
    emit_label(&m, "id_like", values[OS_ID_LIKE]);
    emit_label(&m, "name", values[OS_NAME]);
    emit_end(&m, version);
    return 0;
}

/* --- firmware's table of names ------------------------------------------------------------------------ */

int node_dmi(struct host *h, struct buf *out)
{
    static const struct {
        const char *file, *label;
    } rows[] = {
        {"bios_date", "bios_date"},
        {"bios_release", "bios_release"},
        {"bios_vendor", "bios_vendor"},
        {"bios_version", "bios_version"},
        {"board_asset_tag", "board_asset_tag"},
        {"board_name", "board_name"},
        {"board_serial", "board_serial"},
        {"board_vendor", "board_vendor"},
        {"board_version", "board_version"},
        {"chassis_asset_tag", "chassis_asset_tag"},
        {"chassis_serial", "chassis_serial"},
        {"chassis_vendor", "chassis_vendor"},
        {"chassis_version", "chassis_version"},
        {"product_family", "product_family"},
        {"product_name", "product_name"},
        {"product_serial", "product_serial"},
        {"product_sku", "product_sku"},
        {"product_uuid", "product_uuid"},
        {"product_version", "product_version"},
        {"sys_vendor", "system_vendor"},
    };
    int dir = host_dir(h->sys_fd, "class/dmi/id");
    struct emit m;

    if (dir < 0)
        return -1;
    emit_family(out, "node_dmi_info", "gauge", "Names of board, case and firmware; always 1.");
    m = emit_begin(out, "node_dmi_info");
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct str value = host_attr(h, dir, rows[i].file);

        if (value.p) /* serial numbers are for root only */
            emit_label(&m, rows[i].label, value);
    }
    emit_end(&m, 1);
    close(dir);
    return 0;
}

/* --- time --------------------------------------------------------------------------------------------- */

static void put_clocksources(struct host *h, struct buf *out)
{
    static const struct {
        const char *file, *metric, *help;
    } rows[] = {
        {"available_clocksource", "node_time_clocksource_available_info", "Clocks there are; always 1."},
        {"current_clocksource", "node_time_clocksource_current_info", "The clock in use; always 1."},
    };
    static const char root[] = "devices/system/clocksource";
    uint32_t n;
    struct str *names = host_names(h, h->sys_fd, root, &n);

    for (unsigned r = 0; r < ARRAY_LEN(rows); r++) {
        bool family = false;

        for (uint32_t i = 0; i < n; i++) {
            struct str text, word;

            if (!str_starts(names[i], STR("clocksource")))
                continue;
            text = host_attr(h, h->sys_fd, arena_printf(&h->scratch, "%s/%s/%s", root, names[i].p, rows[r].file).p);
            while ((word = host_next_word(&text)).n) {
                if (!family)
                    emit_family(out, rows[r].metric, "gauge", rows[r].help);
                family = true;
                emit_2(out, rows[r].metric, "clocksource", word, "device", str_from(names[i], 11), 1);
            }
        }
    }
}

int node_time(struct host *h, struct buf *out)
{
    int64_t ns = clock_wall_ns();
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm;

    emit_gauge(out, "node_time_seconds", "The host's clock, in seconds since 1970.", (double)ns / 1e9);
    localtime_r(&s, &tm);
    emit_family(out, "node_time_zone_offset_seconds", "gauge", "The host's time zone: seconds ahead of UTC.");
    emit_1(out, "node_time_zone_offset_seconds", "time_zone", str_of(tm.tm_zone), (double)tm.tm_gmtoff);
    put_clocksources(h, out);
    return 0;
}

/* Parts per million with 16 bits of fraction. */
static const double ppm16 = 1e6 * 65536;

int node_timex(struct host *h, struct buf *out)
{
    struct timex t = {0};
    int state = adjtimex(&t);
    double unit = t.status & STA_NANO ? 1e9 : 1e6;

    (void)h;
    if (state < 0)
        return -1;
    emit_gauge(out, "node_timex_sync_status", "1 if the clock follows a server.", state != TIME_ERROR);
    emit_gauge(out, "node_timex_offset_seconds", "Difference to the reference clock.", (double)t.offset / unit);
    emit_gauge(out, "node_timex_frequency_adjustment_ratio", "By how much the clock is sped up.",
               1 + (double)t.freq / ppm16);
    emit_gauge(out, "node_timex_maxerror_seconds", "Greatest error.", (double)t.maxerror / 1e6);
    emit_gauge(out, "node_timex_estimated_error_seconds", "Estimated error.", (double)t.esterror / 1e6);
    emit_gauge(out, "node_timex_status", "Status bits.", t.status);
    emit_gauge(out, "node_timex_loop_time_constant", "Time constant of the phase-locked loop.", (double)t.constant);
    emit_gauge(out, "node_timex_tick_seconds", "Time between clock ticks.", (double)t.tick / 1e6);
    emit_gauge(out, "node_timex_pps_frequency_hertz", "Frequency of the pulse per second.", (double)t.ppsfreq / ppm16);
    emit_gauge(out, "node_timex_pps_jitter_seconds", "Jitter of the pulse per second.", (double)t.jitter / unit);
    emit_gauge(out, "node_timex_pps_shift_seconds", "Interval of the pulse per second.", t.shift);
    emit_gauge(out, "node_timex_pps_stability_hertz", "Stability of the pulse per second.", (double)t.stabil / ppm16);
    emit_counter(out, "node_timex_pps_jitter_total", "Pulses beyond the limit of jitter.", (double)t.jitcnt);
    emit_counter(out, "node_timex_pps_calibration_total", "Calibration intervals.", (double)t.calcnt);
    emit_counter(out, "node_timex_pps_error_total", "Calibration errors.", (double)t.errcnt);
    emit_counter(out, "node_timex_pps_stability_exceeded_total", "Calibrations beyond the limit of stability.",
                 (double)t.stbcnt);
    emit_gauge(out, "node_timex_tai_offset_seconds", "Seconds between UTC and atomic time.", t.tai);
    return 0;
}
