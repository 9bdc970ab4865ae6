/* params.c - times, durations, counts as Loki reads them. Go's words where Go's parsers are at work there. */
#include "query/api/loki/inside.h"

#include <math.h>

enum { STEPS_MAX = 11000 };

static int quoted(struct err *e, const char *before, struct str s, const char *after)
{
    struct buf b = {0};
    int code;

    buf_put_quoted(&b, str_head(s, 200));
    code = err_set(e, ERR_INVALID, "%s%s%s", before, buf_z(&b), after);
    buf_release(&b);
    return code;
}

static int64_t clamp_ns(double ns)
{
    return ns >= (double)LOKI_TIME_MAX ? LOKI_TIME_MAX : ns <= (double)LOKI_TIME_MIN ? LOKI_TIME_MIN : (int64_t)ns;
}

/* YYYY-MM-DDTHH:MM:SS[.fraction]zone */
static bool parse_rfc3339_ns(struct str s, int64_t *ns)
{
    ptrdiff_t dot = str_chr(s, '.');
    char whole[64];
    int64_t ms, fraction = 0, unit = NS_PER_S;
    size_t at = (size_t)dot + 1;

    if (s.n >= sizeof whole || str_chr(s, 'T') != 10)
        return false;
    if (dot < 0) {
        if (time_parse(s, &ms, NULL) < 0)
            return false;
    } else {
        while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9') {
            unit /= 10;
            fraction += (s.p[at++] - '0') * unit;
        }
        if (at == (size_t)dot + 1)
            return false;
        memcpy(whole, s.p, (size_t)dot);
        memcpy(whole + dot, s.p + at, s.n - at);
        if (time_parse(str_n(whole, (size_t)dot + s.n - at), &ms, NULL) < 0)
            return false;
    }
    *ns = clamp_ns((double)ms * 1e6) == ms * NS_PER_MS ? ms * NS_PER_MS + fraction : clamp_ns((double)ms * 1e6);
    return true;
}

int loki_parse_time(struct str s, int64_t *ns, struct err *e)
{
    double seconds, whole;
    int64_t v;

    if (str_chr(s, '.') >= 0 && num_parse(s, &seconds, NULL) && !isnan(seconds)) {
        double part = modf(seconds, &whole);

        part = round(part * 1000) / 1000;
        *ns = clamp_ns(whole * 1e9);
        if (*ns > LOKI_TIME_MIN && *ns < LOKI_TIME_MAX)
            *ns = (int64_t)whole * NS_PER_S + (int64_t)round(part * 1e9);
        return 0;
    }
    if (str_to_i64(s, &v)) {
        *ns = s.n > 10 ? MIN(MAX(v, LOKI_TIME_MIN), LOKI_TIME_MAX) : clamp_ns((double)v * 1e9);
        if (s.n <= 10 && *ns > LOKI_TIME_MIN && *ns < LOKI_TIME_MAX)
            *ns = v * NS_PER_S;
        return 0;
    }
    if (parse_rfc3339_ns(s, ns))
        return 0;
    return quoted(e, "strconv.ParseInt: parsing ", s, ": invalid syntax");
}

int loki_parse_duration(struct str s, int64_t *ns, struct err *e)
{
    double seconds;
    int64_t ms;

    if (num_parse(s, &seconds, NULL)) {
        if (!(fabs(seconds) * 1e9 < 9.2e18))
            return quoted(e, "cannot parse ", s, " to a valid duration. It overflows int64");
        *ns = clamp_ns(seconds * 1e9);
        return 0;
    }
    if (s.n == 0 || duration_parse(s, &ms, NULL) < 0 || ms > LOKI_TIME_MAX / NS_PER_MS)
        return quoted(e, "cannot parse ", s, " to a valid duration");
    *ns = ms * NS_PER_MS;
    return 0;
}

int loki_time_param(const struct http_request *r, const char *name, int64_t *ns, struct err *e)
{
    struct str s = api_param(r, name);

    return s.n == 0 || loki_parse_time(s, ns, e) == 0 ? 0 : err_ctx(e, "could not parse '%s' parameter", name);
}

int loki_window_params(const struct http_request *r, int64_t since_ns, struct loki_window *w, struct err *e)
{
    int64_t now = clock_wall_ns();
    struct str since = api_param(r, "since");

    if (since.n) {
        int64_t ms;

        if (duration_parse(since, &ms, e) < 0)
            return err_ctx(e, "could not parse 'since' parameter");
        since_ns = clamp_ns((double)ms * 1e6);
    }
    w->end_ns = now;
    if (loki_time_param(r, "end", &w->end_ns, e) < 0)
        return e->code;
    w->start_ns = MIN(w->end_ns, now) - since_ns;
    if (loki_time_param(r, "start", &w->start_ns, e) < 0)
        return e->code;
    if (w->end_ns < w->start_ns)
        return err_set(e, ERR_INVALID, "end timestamp must not be before or equal to start time");
    return 0;
}

int loki_step_param(const struct http_request *r, const struct loki_window *w, int64_t *step_ns, struct err *e)
{
    struct str s = api_param(r, "step");
    int64_t span = w->end_ns - w->start_ns;

    *step_ns = MAX(span / NS_PER_S / 250, (int64_t)1) * NS_PER_S;
    if (s.n && loki_parse_duration(s, step_ns, e) < 0)
        return e->code;
    if (*step_ns <= 0)
        return err_set(e, ERR_INVALID,
                       "zero or negative query resolution step widths are not accepted. Try a positive integer");
    if (span / *step_ns > STEPS_MAX)
        return err_set(e, ERR_INVALID,
                       "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query "
                       "resolution (?step=XX)");
    return 0;
}

int loki_count_param(const struct http_request *r, const char *name, uint32_t dflt, uint32_t *n, struct err *e)
{
    struct str s = api_param(r, name);
    int64_t v;

    *n = dflt;
    if (s.n == 0)
        return 0;
    if (!str_to_i64(s, &v))
        return quoted(e, "strconv.Atoi: parsing ", s, ": invalid syntax");
    if (v <= 0)
        return err_set(e, ERR_INVALID, "%s must be a positive value", name);
    *n = (uint32_t)MIN(v, (int64_t)UINT32_MAX);
    return 0;
}

int loki_direction_param(const struct http_request *r, bool *backward, struct err *e)
{
    struct str s = api_param(r, "direction");

    *backward = s.n == 0 || str_eq_nocase(s, STR("backward"));
    if (!*backward && !str_eq_nocase(s, STR("forward")))
        return err_set(e, ERR_INVALID, "invalid direction '%.*s'", STR_ARG(str_head(s, 200)));
    return 0;
}

bool loki_wants_categories(const struct http_request *r)
{
    struct str v = http_header(r, "X-Loki-Response-Encoding-Flags"), flag;
    bool found = false;

    while (v.n && !found) {
        str_cut(&v, ',', &flag);
        found = str_eq_nocase(str_trim(flag), STR("categorize-labels"));
    }
    return found;
}

struct str loki_duration_text(struct arena *a, int64_t ns)
{
    char text[NUM_MAX];

    return arena_dup(a, str_n(text, duration_fmt(ns / NS_PER_MS, text)));
}
