/*
 * stage_record.c - docker, cri, multiline: records that are made of several lines.
 *
 * What is unfinished is held (struct held); the position of the file does not pass its beginning, so after a restart it is read
 * again from there.
 */
#include "collector/files/json_path.h"
#include "collector/files/pipeline.h"

enum { PARTIAL_STREAMS_MAX = 100 };

static int no_options(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    (void)r;
    if (conf_want(c, CONF_MAP, s->type->name, e) < 0)
        return ERR_INVALID;
    return conf_finish(c, s->type->name, e);
}

/* --- times as both write them ------------------------------------------------------------------------------ */

static bool two_digits(const char *p, int *out)
{
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return p[0] >= '0' && p[0] <= '9' && p[1] >= '0' && p[1] <= '9';
}

static int64_t days_of(int64_t y, int m, int d)
{
    int64_t era, yoe;

    y -= m <= 2;
    era = y / 400; /* years are above 0 here */
    yoe = y - era * 400;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1 - 719468;
}

/* RFC 3339 with any number of digits of a second; a hot path, so nothing but this form. */
static bool parse_rfc3339(struct str s, int64_t *ns)
{
    int c0, c1, mo, d, h, mi, sec, zh = 0, zm = 0;
    int64_t frac = 0, scale = 100000000;
    size_t i = 19;

    if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || (s.p[10] | 0x20) != 't' || s.p[13] != ':' || s.p[16] != ':' ||
        !two_digits(s.p, &c0) || !two_digits(s.p + 2, &c1) || !two_digits(s.p + 5, &mo) || !two_digits(s.p + 8, &d) ||
        !two_digits(s.p + 11, &h) || !two_digits(s.p + 14, &mi) || !two_digits(s.p + 17, &sec) || mo < 1 || mo > 12 || d < 1 || d > 31 ||
        h > 23 || mi > 59 || sec > 60 || c0 < 17 || c0 > 22)
        return false;
    if (s.p[i] == '.') {
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++, scale /= 10)
            frac += scale * (s.p[i] - '0');
    }
    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-')) {
        if (s.n - i != 6 || s.p[i + 3] != ':' || !two_digits(s.p + i + 1, &zh) || !two_digits(s.p + i + 4, &zm))
            return false;
        if (s.p[i] == '-')
            zh = -zh, zm = -zm;
    } else if (s.n - i != 1 || (s.p[i] | 0x20) != 'z') {
        return false;
    }
    /* The years that nanoseconds of 64 bits reach: 1677 to 2262. */
    return !__builtin_mul_overflow(days_of(c0 * 100 + c1, mo, d) * 86400 + (h - zh) * 3600 + (mi - zm) * 60 + sec, INT64_C(1000000000), ns) &&
           !__builtin_add_overflow(*ns, frac, ns);
}

static void set_time(struct pipe_run *run, struct entry *en, int64_t ns)
{
    en->t_ns = ns;
    en->t_told = true;
    run->state->last_told_ns = ns;
    run->state->told_any = true;
}

/* Adds a part to the record of its stream. false: it is not finished; else *en is the whole. */
static bool join(struct pipe_run *run, const struct stage *s, struct entry *en, struct str stream, bool last)
{
    uint64_t key = hash64(stream.p, stream.n);
    struct held *h = run->state->nheld ? held_find(run, s, key) : NULL;

    if (!h && last)
        return true;
    if (!h) {
        if (run->state->nheld >= PARTIAL_STREAMS_MAX)
            return true; /* more streams than a container has: the part stands for itself */
        held_begin(run, s, key, en);
        return false;
    }
    held_append(run, h, en->line);
    if (last)
        held_end(run, s, h, en);
    return last;
}

/* --- docker -------------------------------------------------------------------------------------------------- */

struct docker_record {
    struct str log, stream, time;
    struct json_value attrs; /* kind 0: none */
    bool has_log;
};

static bool read_record(struct arena *a, struct str line, struct docker_record *out)
{
    struct json_in j;
    struct str key;
    int rc;

    *out = (struct docker_record){.stream = STR("")};
    if (!line.n || line.p[0] != '{')
        return false;
    files_json_init(&j, a, line);
    rc = json_in_open(&j, '{');
    while (rc == 0 && (rc = json_in_key(&j, &key)) == 0) {
        enum json_kind kind = json_in_peek(&j);

        if (kind == JSON_STRING && str_eqz(key, "log")) {
            rc = json_in_string(&j, &out->log);
            out->has_log = true;
        } else if (kind == JSON_STRING && (str_eqz(key, "stream") || str_eqz(key, "time"))) {
            rc = json_in_string(&j, key.p[0] == 's' ? &out->stream : &out->time);
        } else if (kind == JSON_OBJECT && str_eqz(key, "attrs")) {
            rc = json_in_skip(&j, &out->attrs.text);
            out->attrs.kind = kind;
        } else {
            rc = json_in_skip(&j, NULL);
        }
    }
    return rc > 0 && json_in_end(&j) == 0 && out->has_log && out->log.n > 0;
}

/* Attributes are what --log-opt labels= and env= say: found out, for stages that want them. */
static void put_attrs(struct pipe_run *run, struct entry *en, const struct json_value *attrs)
{
    struct json_iter it;
    struct json_value v;
    struct str key;

    json_iter_init(&it, run->a, attrs);
    while (json_iter_next(&it, &key, &v))
        entry_set(run, en, key, json_value_text(run->a, &v));
}

static enum stage_result run_docker(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    struct docker_record rec;
    int64_t ns;
    bool last;

    if (!read_record(run->a, en->line, &rec))
        return STAGE_NEXT;
    last = rec.log.p[rec.log.n - 1] == '\n';
    en->line = str_head(rec.log, rec.log.n - last);
    if (last && en->line.n && en->line.p[en->line.n - 1] == '\r')
        en->line.n--; /* a terminal's */
    if (parse_rfc3339(rec.time, &ns))
        set_time(run, en, ns);
    entry_set(run, en, STR("output"), en->line);
    entry_set(run, en, STR("stream"), rec.stream);
    entry_set(run, en, STR("timestamp"), rec.time);
    if (rec.attrs.kind)
        put_attrs(run, en, &rec.attrs);
    if (run->err_base && s->number == 0) { /* relabelling said what labels the streams have */
        if (str_eqz(rec.stream, "stderr")) {
            en->labels = run->err_base->v;
            en->nlabels = run->err_base->n;
        }
    } else if (rec.stream.n) {
        entry_set_label(run, en, STR("stream"), rec.stream);
    }
    if (!join(run, s, en, rec.stream, last))
        return STAGE_STOP;
    return STAGE_NEXT;
}

const struct stage_type pipe_docker = {.name = "docker", .read = no_options, .run = run_docker};

/* --- cri ------------------------------------------------------------------------------------------------------- */

static int read_cri(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    int64_t lines, bytes;
    bool cut;

    (void)r;
    (void)s;
    /* Promtail's bounds of partial records; ours are those of a line. */
    if (conf_want(c, CONF_MAP, "cri", e) < 0 || conf_i64(c, "max_partial_lines", &lines, e) < 0 ||
        conf_i64(c, "max_partial_line_size", &bytes, e) < 0 || conf_bool(c, "max_partial_line_size_truncate", &cut, e) < 0)
        return ERR_INVALID;
    return conf_finish(c, "cri", e);
}

/* TIME STREAM FLAGS CONTENT; flags: P or F, and tags behind a colon. */
static bool read_cri_line(struct str line, struct str *time, struct str *stream, struct str *flags, struct str *content)
{
    struct str s = line;

    if (!str_cut(&s, ' ', time) || !str_cut(&s, ' ', stream) || !(str_eqz(*stream, "stdout") || str_eqz(*stream, "stderr")))
        return false;
    if (!str_cut(&s, ' ', flags)) /* an empty line: no blank behind the flags */
        s = STR("");
    *content = s;
    return flags->n && (flags->p[0] == 'P' || flags->p[0] == 'F') && (flags->n == 1 || flags->p[1] == ':');
}

static enum stage_result run_cri(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    struct str time, stream, flags, content;
    int64_t ns;
    bool last;

    if (!read_cri_line(en->line, &time, &stream, &flags, &content) || !parse_rfc3339(time, &ns))
        return STAGE_NEXT;
    last = flags.p[0] == 'F';
    en->line = content;
    entry_set(run, en, STR("content"), content);
    entry_set(run, en, STR("flags"), flags);
    entry_set(run, en, STR("stream"), stream);
    entry_set(run, en, STR("time"), time);
    entry_set_label(run, en, STR("stream"), stream);
    set_time(run, en, ns);
    if (!join(run, s, en, stream, last))
        return STAGE_STOP;
    set_time(run, en, ns); /* the final part's */
    return STAGE_NEXT;
}

const struct stage_type pipe_cri = {.name = "cri", .read = read_cri, .run = run_cri};

/* --- multiline -------------------------------------------------------------------------------------------------- */

struct multiline_config {
    struct regex *first;
    int64_t lines_max, wait_ms;
};

int64_t multiline_wait_ms(const struct stage *s)
{
    return ((const struct multiline_config *)s->config)->wait_ms;
}

static int read_multiline(struct stage_reader *r, struct conf *c, struct stage *s, struct err *e)
{
    struct multiline_config *k = arena_new(r->a, struct multiline_config);

    s->config = k;
    k->lines_max = 128;
    k->wait_ms = 3000;
    if (conf_want(c, CONF_MAP, "multiline", e) < 0 || stage_read_regex(c, "firstline", &k->first, e) < 0 ||
        conf_i64(c, "max_lines", &k->lines_max, e) < 0 || conf_duration(c, "max_wait_time", &k->wait_ms, e) < 0)
        return ERR_INVALID;
    if (!k->first)
        return conf_err(c, e, "multiline: firstline is required");
    if (k->lines_max < 1 || k->lines_max > 100000)
        return conf_err(c, e, "multiline: max_lines must be 1 to 100000");
    return conf_finish(c, "multiline", e);
}

static void release_multiline(struct stage *s)
{
    regex_free(((struct multiline_config *)s->config)->first);
}

/* Lines before the first that begins a record pass as they are. */
static enum stage_result run_multiline(struct pipe_run *run, const struct stage *s, struct entry *en)
{
    const struct multiline_config *k = s->config;
    uint64_t key = entry_labels_hash(en);
    struct held *h = run->state->nheld ? held_find(run, s, key) : NULL;
    struct entry whole;

    if (regex_match(k->first, en->line)) {
        if (h) {
            held_end(run, s, h, &whole);
            pipeline_run_from(run, s->number + 1, &whole);
        }
        held_begin(run, s, key, en);
        return STAGE_STOP;
    }
    if (!h)
        return STAGE_NEXT;
    held_append(run, h, STR("\n"));
    h->nparts--;
    held_append(run, h, en->line);
    if (h->nparts < k->lines_max)
        return STAGE_STOP;
    held_end(run, s, h, en);
    return STAGE_NEXT;
}

const struct stage_type pipe_multiline = {.name = "multiline", .read = read_multiline, .run = run_multiline, .release = release_multiline};
