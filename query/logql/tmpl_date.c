/* tmpl_date.c - functions of templates on points in time. Local time is UTC. */
#include "query/logql/tmpl_funcs.h"

TMPL_FN(lq_fn_now)
{
    (void)r;
    (void)args;
    (void)n;
    *out = tmpl_time(gotime_ns(clock_wall_ns()));
    return 0;
}

/* What is neither a time nor a number of seconds stands for now. */
TMPL_FN(lq_fn_date)
{
    struct tmpl_value v = tmpl_plain(r, args[1]);
    struct gotime t = v.type == TMPL_T_TIME  ? v.t
                      : v.type == TMPL_T_INT ? (struct gotime){.sec = MAX(MIN(v.i, INT64_C(1) << 40), -(INT64_C(1) << 40))}
                                             : gotime_ns(clock_wall_ns());
    struct buf b = {0};

    (void)n;
    t.zone = NULL;
    if (args[0].s.n > 65536)
        return err_set(r->e, ERR_EXEC, "layout too long");
    gotime_format(&t, args[0].s, &b);
    return lq_give(r, &b, out);
}

/* A text that does not fit the layout gives the zero time. */
TMPL_FN(lq_fn_to_date)
{
    struct gotime t;

    (void)r;
    (void)n;
    if (gotime_parse(args[0].s, args[1].s, NULL, &t, NULL) < 0)
        t = gotime_zero;
    *out = tmpl_time(t);
    return 0;
}

TMPL_FN(lq_fn_to_date_in_zone)
{
    const struct zone *zone;
    struct gotime t;

    (void)r;
    (void)n;
    if (zone_find(args[1].s, &zone, NULL) < 0)
        zone = NULL;
    if (gotime_parse(args[0].s, args[2].s, zone, &t, NULL) < 0)
        t = gotime_zero;
    *out = tmpl_time(t);
    return 0;
}

static int give_number(struct tmpl_run *r, int64_t v, struct tmpl_value *out)
{
    char *p = tmpl_alloc(r, NUM_MAX);

    if (!p)
        return ERR_EXEC;
    *out = tmpl_str(str_n(p, num_fmt_i64(v, p)));
    return 0;
}

TMPL_FN(lq_fn_unix_epoch)
{
    (void)n;
    return give_number(r, args[0].t.sec, out);
}

TMPL_FN(lq_fn_unix_epoch_millis)
{
    (void)n;
    return give_number(r, (int64_t)((uint64_t)args[0].t.sec * 1000 + (uint64_t)(args[0].t.ns / 1000000)), out);
}

TMPL_FN(lq_fn_unix_epoch_nanos)
{
    (void)n;
    return give_number(r, (int64_t)((uint64_t)args[0].t.sec * 1000000000 + (uint64_t)args[0].t.ns), out);
}

/* How long the number is says what it counts: days, seconds, milliseconds, microseconds, nanoseconds. */
TMPL_FN(lq_fn_unix_to_time)
{
    struct str s = args[0].s;
    int64_t v;

    (void)n;
    if (!str_to_i64(s, &v))
        return err_set(r->e, ERR_EXEC, "unable to parse time '%.*s': strconv.ParseInt: parsing \"%.*s\": invalid syntax",
                       STR_ARG(str_head(s, 100)), STR_ARG(str_head(s, 100)));
    switch (s.n) {
    case 5:
        *out = tmpl_time((struct gotime){.sec = v * 86400});
        return 0;
    case 10:
        *out = tmpl_time((struct gotime){.sec = v});
        return 0;
    case 13:
        *out = tmpl_time(gotime_ns(v * 1000000));
        return 0;
    case 16:
        *out = tmpl_time(gotime_ns(v * 1000));
        return 0;
    case 19:
        *out = tmpl_time(gotime_ns(v));
        return 0;
    default:
        return err_set(r->e, ERR_EXEC, "unable to parse time '%.*s': unsupported epoch timestamp length", STR_ARG(str_head(s, 100)));
    }
}
