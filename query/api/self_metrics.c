/*
 * self_metrics.c - status/self_metrics: our own /metrics as JSON, family by family, in the shape of the protobuf messages of
 * the Prometheus client: [{"name","help","type","metric":[{"label":[{"name","value"}],"gauge":{"value":1}}]}].
 *
 * What is read here is text that this process has just written: one family after another, each with HELP and TYPE before its
 * samples, counters and gauges only. A line that is anything else is left out.
 */
#include "query/api/inside.h"

#include <math.h>

struct reader {
    const struct regex *only; /* or NULL */
    struct json j;
    struct str name, help, type; /* of the family at hand */
    bool open;                   /* its metric array is */
};

/* The part of *s before the first c, taken off with c itself; all of it when there is none. */
static struct str take(struct str *s, char c)
{
    ptrdiff_t at = str_chr(*s, c);
    struct str head = at < 0 ? *s : str_head(*s, (size_t)at);

    *s = at < 0 ? STR("") : str_from(*s, (size_t)at + 1);
    return head;
}

static void close_family(struct reader *r)
{
    if (!r->open)
        return;
    json_end_arr(&r->j);
    json_end_obj(&r->j);
    r->open = false;
}

static void open_family(struct reader *r)
{
    if (r->open)
        return;
    json_obj(&r->j);
    json_key(&r->j, "name");
    json_str(&r->j, r->name);
    json_key(&r->j, "help");
    json_str(&r->j, r->help);
    json_key(&r->j, "type");
    json_strz(&r->j, str_eqz(r->type, "counter") ? "COUNTER" : "GAUGE");
    json_key(&r->j, "metric");
    json_arr(&r->j);
    r->open = true;
}

static void comment(struct reader *r, struct str line)
{
    struct str hash = take(&line, ' '), what = take(&line, ' '), name = take(&line, ' ');

    if (!str_eqz(hash, "#"))
        return;
    if (!str_eq(name, r->name)) {
        close_family(r);
        r->name = name;
        r->help = r->type = STR("");
    }
    if (str_eqz(what, "HELP"))
        r->help = line;
    else if (str_eqz(what, "TYPE"))
        r->type = line;
}

/* name="value",... with \\, \" and \n escaped. */
static void put_labels(struct json *j, struct str s)
{
    struct buf value = {0};

    json_key(j, "label");
    json_arr(j);
    while (s.n) {
        struct str name = take(&s, '=');
        size_t i = 1;

        buf_reset(&value);
        for (; i < s.n && s.p[i] != '"'; i++) {
            bool escaped = s.p[i] == '\\' && i + 1 < s.n;

            i += escaped;
            buf_putc(&value, escaped && s.p[i] == 'n' ? '\n' : s.p[i]);
        }
        json_obj(j);
        json_key(j, "name");
        json_str(j, name);
        json_key(j, "value");
        json_str(j, value.n ? buf_str(&value) : STR(""));
        json_end_obj(j);
        s = i + 2 < s.n ? str_from(s, i + 2) : STR(""); /* behind the quote and a comma */
    }
    json_end_arr(j);
    buf_release(&value);
}

static void put_value(struct json *j, struct str text)
{
    double v;
    bool range;

    if (!num_parse(text, &v, &range))
        v = NAN;
    if (isfinite(v))
        json_f64(j, v);
    else
        json_strz(j, isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
}

static void sample(struct reader *r, struct str line)
{
    ptrdiff_t space = -1, brace = str_chr(line, '{');
    struct str series, labels = STR("");

    for (size_t i = line.n; i-- > 0 && space < 0;)
        space = line.p[i] == ' ' ? (ptrdiff_t)i : -1;
    if (space < 0)
        return;
    series = str_head(line, (size_t)space);
    if (brace >= 0 && brace < space) {
        labels = str_from(series, (size_t)brace + 1);
        labels.n -= labels.n > 0; /* the closing brace */
        series = str_head(series, (size_t)brace);
    }
    if (!str_eq(series, r->name) || (r->only && !regex_match(r->only, series)))
        return;
    open_family(r);
    json_obj(&r->j);
    if (labels.n)
        put_labels(&r->j, labels);
    json_key(&r->j, str_eqz(r->type, "counter") ? "counter" : "gauge");
    json_obj(&r->j);
    json_key(&r->j, "value");
    put_value(&r->j, str_from(line, (size_t)space + 1));
    json_end_obj(&r->j);
    json_end_obj(&r->j);
}

static void put_families(struct buf *out, struct str text, const struct regex *only)
{
    struct reader r = {.only = only};

    json_init(&r.j, out);
    json_arr(&r.j);
    while (text.n) {
        struct str line = take(&text, '\n');

        if (line.n && line.p[0] == '#')
            comment(&r, line);
        else
            sample(&r, line);
    }
    close_family(&r);
    json_end_arr(&r.j);
}

static void handle(struct http_request *r, void *arg)
{
    const struct api_ctx *c = arg;
    struct str pattern = api_param(r, "metric_name_pattern");
    struct regex *only = NULL;
    struct buf text = {0}, out = {0};
    struct err e;

    if (pattern.n && api_regex_here(pattern, REGEX_ANCHORED, &only, &e) < 0) {
        err_ctx(&e, "invalid metric_name_pattern");
        e.code = ERR_INVALID;
        api_answer_error(r, &e);
        return;
    }
    if (c->metrics_text)
        c->metrics_text(c->arg, &text);
    put_families(&out, text.n ? buf_str(&text) : STR(""), only);
    api_answer_data(r, buf_str(&out));
    regex_free(only);
    buf_release(&text);
    buf_release(&out);
}

void api_routes_self_metrics(struct http_server *s, struct api_ctx *c)
{
    http_route(s, HTTP_GET, "/api/v1/status/self_metrics", PERM_READ, 0, handle, c);
}
