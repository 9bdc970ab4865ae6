/* time_method.c - the methods of times and durations that templates may call: {{ now.Unix }}, {{ (...).Format "15:04" }}. */
#include "base/template/layout.h"
#include "base/template/run.h"

#include <math.h>

static int give_text(struct tmpl_run *r, struct buf *b, struct tmpl_value *out)
{
    char *p = tmpl_alloc(r, b->n);

    if (p && b->n)
        memcpy(p, b->p, b->n);
    *out = tmpl_str(str_n(p, b->n));
    buf_release(b);
    return p ? 0 : ERR_EXEC;
}

static int duration_method(struct tmpl_run *r, int64_t ns, struct str name, struct tmpl_value *out)
{
    static const struct {
        const char *name;
        double unit;
    } units[] = {{"Hours", 3600e9}, {"Minutes", 60e9}, {"Seconds", 1e9}};
    struct buf b = {0};

    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (str_eqz(name, units[i].name)) {
            *out = tmpl_float((double)ns / units[i].unit);
            return 0;
        }
    }
    if (str_eqz(name, "Milliseconds") || str_eqz(name, "Microseconds") || str_eqz(name, "Nanoseconds")) {
        *out = tmpl_int(ns / (name.p[1] == 'i' && name.p[2] == 'l' ? 1000000 : name.p[0] == 'M' ? 1000 : 1));
        return 0;
    }
    if (!str_eqz(name, "String"))
        return 1;
    goduration_print(ns, &b);
    return give_text(r, &b, out);
}

static bool number_method(const struct gotime *t, struct str name, int64_t *out)
{
    struct gotime_civil c;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"Unix", t->sec},
        {"UnixMilli", t->sec * 1000 + t->ns / 1000000},
        {"UnixMicro", t->sec * 1000000 + t->ns / 1000},
        {"UnixNano", (int64_t)((uint64_t)t->sec * 1000000000 + (uint64_t)t->ns)},
        {"Nanosecond", t->ns},
    };

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (str_eqz(name, numbers[i].name)) {
            *out = numbers[i].value;
            return true;
        }
    }
    gotime_civil(t, &c);
    const struct {
        const char *name;
        int64_t value;
    } civil[] = {{"Year", c.year},     {"Day", c.day},         {"Hour", c.hour},
                 {"Minute", c.minute}, {"Second", c.second},   {"YearDay", c.yearday}};

    for (size_t i = 0; i < ARRAY_LEN(civil); i++) {
        if (str_eqz(name, civil[i].name)) {
            *out = civil[i].value;
            return true;
        }
    }
    return false;
}

/* Add, Sub, Before, After, Equal. */
static int two_times(struct tmpl_run *r, const struct gotime *t, struct str name, const struct tmpl_value *arg, struct tmpl_value *out)
{
    bool add = str_eqz(name, "Add"), sub = str_eqz(name, "Sub");
    int order;

    if (!add && !sub && !str_eqz(name, "Before") && !str_eqz(name, "After") && !str_eqz(name, "Equal"))
        return 1;
    if (add) {
        int64_t ns;

        if (arg->type != TMPL_T_DURATION && arg->type != TMPL_T_INT)
            return err_set(r->e, ERR_EXEC, "expected time.Duration; got %s", tmpl_type_name(arg));
        ns = t->ns + arg->i % 1000000000;
        *out = tmpl_time(*t);
        out->t.sec = (int64_t)((uint64_t)t->sec + (uint64_t)(arg->i / 1000000000)) + (ns >= 1000000000) - (ns < 0);
        out->t.ns = (int32_t)(ns < 0 ? ns + 1000000000 : ns % 1000000000);
        return 0;
    }
    if (arg->type != TMPL_T_TIME)
        return err_set(r->e, ERR_EXEC, "expected time.Time; got %s", tmpl_type_name(arg));
    if (sub) {
        double s = (double)t->sec - (double)arg->t.sec;

        *out = (struct tmpl_value){TMPL_T_DURATION, {.i = s > 9.2e9 ? INT64_MAX : s < -9.2e9 ? INT64_MIN
                                                            : (t->sec - arg->t.sec) * 1000000000 + (t->ns - arg->t.ns)}};
        return 0;
    }
    order = t->sec != arg->t.sec ? (t->sec > arg->t.sec) - (t->sec < arg->t.sec) : (t->ns > arg->t.ns) - (t->ns < arg->t.ns);
    *out = tmpl_bool(name.p[0] == 'B' ? order < 0 : name.p[0] == 'A' ? order > 0 : order == 0);
    return 0;
}

int tmpl_time_method(struct tmpl_run *r, const struct tmpl_value *self, struct str name, const struct tmpl_value *args, uint32_t n,
                     struct tmpl_value *out)
{
    struct gotime t = self->t;
    struct gotime_civil c;
    struct buf b = {0};
    int64_t i;

    if (self->type == TMPL_T_DURATION)
        return n ? 1 : duration_method(r, self->i, name, out);
    if (n == 1 && str_eqz(name, "Format")) {
        if (args[0].type != TMPL_T_STRING)
            return err_set(r->e, ERR_EXEC, "expected string; got %s", tmpl_type_name(&args[0]));
        gotime_format(&t, args[0].s, &b);
        return give_text(r, &b, out);
    }
    if (n == 1)
        return two_times(r, &t, name, &args[0], out);
    if (n)
        return 1;
    if (number_method(&t, name, &i)) {
        *out = tmpl_int(i);
        return 0;
    }
    if (str_eqz(name, "UTC") || str_eqz(name, "Local")) {
        t.zone = NULL;
        *out = tmpl_time(t);
        return 0;
    }
    if (str_eqz(name, "IsZero")) {
        *out = tmpl_bool(t.sec == gotime_zero.sec && t.ns == 0);
        return 0;
    }
    gotime_civil(&t, &c);
    if (str_eqz(name, "Month") || str_eqz(name, "Weekday")) {
        *out = tmpl_str(str_of(name.p[0] == 'M' ? layout_months[c.month - 1] : layout_weekdays[c.weekday]));
        return 0;
    }
    if (!str_eqz(name, "String"))
        return 1;
    gotime_format(&t, STR("2006-01-02 15:04:05.999999999 -0700 MST"), &b);
    return give_text(r, &b, out);
}
