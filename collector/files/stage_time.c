/*
 * stage_time.c - timestamp: the time of an entry out of what was found.
 *
 * (1) With `fudge` an entry whose time cannot be read gets the time of the one before it in its file and a nanosecond more; where
 *     none was read before, the clock's.
 */
#include "base/template/gotime.h"
#include "collector/files/pipeline.h"

enum { FORMATS_MAX = 32 };

struct time_format {
    struct str layout;
    int64_t unix_ns; /* > 0: the text is a number of such units */
    bool has_year;
};

struct time_config {
    struct str source;
    struct time_format v[FORMATS_MAX];
    uint32_t n;
    const struct zone *zone;
    bool skip;
};

static const struct {
    const char *name, *layout;
    int64_t unix_ns;
} named[] = {
    {"ANSIC", "Mon Jan _2 15:04:05 2006", 0},
    {"UnixDate", "Mon Jan _2 15:04:05 MST 2006", 0},
    {"RubyDate", "Mon Jan 02 15:04:05 -0700 2006", 0},
    {"RFC822", "02 Jan 06 15:04 MST", 0},
    {"RFC822Z", "02 Jan 06 15:04 -0700", 0},
    {"RFC850", "Monday, 02-Jan-06 15:04:05 MST", 0},
    {"RFC1123", "Mon, 02 Jan 2006 15:04:05 MST", 0},
    {"RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700", 0},
    {"RFC3339", "2006-01-02T15:04:05Z07:00", 0},
    {"RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00", 0},
    {"Unix", "", 1000000000},
    {"UnixMs", "", 1000000},
    {"UnixUs", "", 1000},
    {"UnixNs", "", 1},
};

static struct time_format format_of(struct arena *a, struct str text)
{
    struct time_format f = {.layout = STR("")};

    for (size_t i = 0; i < ARRAY_LEN(named); i++) {
        if (str_eqz(text, named[i].name)) {
            f.unix_ns = named[i].unix_ns;
            text = str_of(named[i].layout);
            break;
        }
    }
    f.layout = arena_dup(a, text);
    f.has_year = str_find(text, STR("06")) >= 0; /* 2006 and 06 */
    return f;
}

static int read_formats(struct arena *a, struct conf *c, struct time_config *k, struct err *e)
{
    struct str format = STR_NULL, *more = NULL;
    uint32_t nmore = 0;

    if (conf_str(c, "format", &format, e) < 0 || conf_strs(a, c, "fallback_formats", &more, &nmore, e) < 0)
        return ERR_INVALID;
    if (!format.n)
        return conf_err(c, e, "timestamp: format is required");
    if (nmore >= FORMATS_MAX)
        return conf_err(c, e, "timestamp: more than %d fallback_formats", FORMATS_MAX - 1);
    k->v[k->n++] = format_of(a, format);
    for (uint32_t i = 0; i < nmore; i++)
        k->v[k->n++] = format_of(a, more[i]);
    return 0;
}

static int read_timestamp(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct time_config *k = arena_new(r->a, struct time_config);
    struct str location = STR_NULL, action = STR("fudge");
    struct err why = {0};

    s->config = k;
    if (conf_want(c, CONF_MAP, "timestamp", e) < 0 || conf_str(c, "source", &k->source, e) < 0 || read_formats(r->a, c, k, e) < 0 ||
        conf_str(c, "location", &location, e) < 0 || conf_str(c, "action_on_failure", &action, e) < 0)
        return ERR_INVALID;
    if (!k->source.n)
        return conf_err(c, e, "timestamp: source is required");
    k->source = arena_dup(r->a, k->source);
    k->skip = str_eqz(action, "skip");
    if (!k->skip && !str_eqz(action, "fudge"))
        return conf_err(c, e, "timestamp: action_on_failure is fudge or skip, not \"%.*s\"", STR_ARG(str_head(action, 50)));
    if (location.n && zone_find(location, &k->zone, &why) < 0)
        return conf_err(conf_get(c, "location"), e, "timestamp: %s", why.text);
    return conf_finish(c, "timestamp", e);
}

static bool parse_unix(struct str text, int64_t unit_ns, int64_t *ns)
{
    int64_t whole;
    double v;
    bool range;

    if (str_to_i64(text, &whole))
        return !__builtin_mul_overflow(whole, unit_ns, ns);
    if (unit_ns != 1000000000 || !num_parse(text, &v, &range) || range || !(v > -9e9 && v < 9e9))
        return false;
    whole = (int64_t)v;
    *ns = whole * 1000000000 + (int64_t)((v - (double)whole) * 1e9);
    return true;
}

/* The year that lies nearest: December read in January is last year's. */
static void guess_year(struct gotime *t, int64_t now_ns)
{
    struct gotime now = gotime_ns(now_ns);
    struct gotime_civil c, today;
    int64_t year;

    gotime_civil(t, &c);
    gotime_civil(&now, &today);
    year = today.year + (today.month == 1 && c.month == 12 ? -1 : today.month == 12 && c.month == 1 ? 1 : 0);
    t->sec = gotime_date(year, c.month, c.day) + c.hour * 3600 + c.minute * 60 + c.second - c.offset;
    gotime_civil(t, &c); /* the offset of that year */
    t->sec = gotime_date(year, c.month, c.day) + c.hour * 3600 + c.minute * 60 + c.second - c.offset;
}

static bool parse(const struct time_config *k, struct str text, int64_t now_ns, int64_t *ns)
{
    for (uint32_t i = 0; i < k->n; i++) {
        struct gotime t;

        if (k->v[i].unix_ns) {
            if (parse_unix(text, k->v[i].unix_ns, ns))
                return true;
            continue;
        }
        if (gotime_parse(k->v[i].layout, text, k->zone, &t, NULL) < 0)
            continue;
        if (!k->v[i].has_year)
            guess_year(&t, now_ns);
        if (!__builtin_mul_overflow(t.sec, INT64_C(1000000000), ns) && !__builtin_add_overflow(*ns, t.ns, ns))
            return true;
    }
    return false;
}

static enum stage_result run_timestamp(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct time_config *k = s->config;
    struct str text;
    int64_t ns;

    if (entry_get(run, en, k->source, &text) && parse(k, text, run->now_ns, &ns)) {
        en->t_ns = ns;
        en->t_told = true;
        run->state->last_told_ns = ns;
        run->state->told_any = true;
    } else if (!k->skip && run->state->told_any) {
        en->t_ns = ++run->state->last_told_ns; /* (1) */
        en->t_told = true;
    }
    return STAGE_NEXT;
}

const struct stage_type pipe_timestamp = {.name = "timestamp", .read = read_timestamp, .run = run_timestamp};
