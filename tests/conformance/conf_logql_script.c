/*
 * conf_logql_script.c - .logqltest: streams loaded into a real log store, metric queries asked of it.
 *
 * Each query is asked three times: of the head; as a plain reader would answer it (every record as a line, no hints, columns
 * or counts by minute); and, once the store has flushed, of blocks. All have to agree with what is expected.
 */
#include "tests/conformance/conf_logql.h"

#include "logstore/logstore.h"
#include "query/logql/logql.h"
#include "query/logql/units.h"
#include "store/store.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BASE_NS INT64_C(1767225600000000000) /* 2026-01-01 */
#define FOREVER_MS (INT64_C(200) * 365 * 86400000)

struct db {
    char dir[64];
    struct store *store;
    struct logstore *ls;
};

struct script {
    struct conf_report *r;
    struct str rest;
    unsigned line, command_line;
    struct db db;
    struct query_engine *engine;
    struct arena arena; /* of the command */
    bool dirty;         /* something was loaded since the last flush */
    struct str *block;
    uint32_t nblock;
};

/* --- the store ----------------------------------------------------------------------------------- */

static int db_open(struct db *d, struct err *e)
{
    struct store_opts so;
    struct logstore_opts lo;

    *d = (struct db){.dir = "/tmp/tripod-logql.XXXXXX"};
    if (!mkdtemp(d->dir)) {
        d->dir[0] = 0;
        return err_sys(e, errno, "temporary folder");
    }
    store_opts_default(&so);
    so.dir = d->dir;
    so.retention_ms = so.out_of_order_ms = FOREVER_MS;
    logstore_opts_default(&lo);
    lo.past_ns_max = 0;
    if (store_open(&so, &d->store, e) < 0 || logstore_new(d->store, &lo, &d->ls, e) < 0 || store_recover(d->store, e) < 0)
        return e->code;
    return store_start(d->store, e);
}

static void db_close(struct db *d)
{
    char cmd[128];

    if (d->store)
        store_close(d->store);
    if (d->ls)
        logstore_free(d->ls);
    if (d->dir[0]) {
        snprintf(cmd, sizeof cmd, "rm -rf %s", d->dir);
        if (system(cmd) != 0)
            fprintf(stderr, "could not remove %s\n", d->dir);
    }
    *d = (struct db){0};
}

/* --- text ---------------------------------------------------------------------------------------- */

/* Without a comment, and without white space around. */
static struct str strip(struct str s)
{
    char quote = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (quote)
            quote = s.p[i] == quote ? 0 : quote;
        else if (s.p[i] == '"' || s.p[i] == '`')
            quote = s.p[i];
        else if (s.p[i] == '#')
            return str_trim(str_head(s, i));
    }
    return str_trim(s);
}

static bool next_line(struct script *s, struct str *out)
{
    if (!s->rest.n)
        return false;
    str_cut(&s->rest, '\n', out);
    s->line++;
    return true;
}

/* The indented lines that follow. */
static void read_block(struct script *s)
{
    s->block = NULL;
    s->nblock = 0;
    while (s->rest.n && (s->rest.p[0] == ' ' || s->rest.p[0] == '\t' || s->rest.p[0] == '#')) {
        struct str line;

        next_line(s, &line);
        line = strip(line);
        if (!line.n)
            continue;
        if ((s->nblock & (s->nblock - 1)) == 0) {
            struct str *more = arena_array(&s->arena, struct str, 2 * (size_t)s->nblock + 1);

            if (s->nblock)
                memcpy(more, s->block, s->nblock * sizeof *more);
            s->block = more;
        }
        s->block[s->nblock++] = line;
    }
}

/* Bytes up to the brace that closes the one at the beginning, quotes respected. */
static size_t braces(struct str s)
{
    char quote = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (quote && s.p[i] == '\\' && quote == '"')
            i++;
        else if (quote)
            quote = s.p[i] == quote ? 0 : quote;
        else if (s.p[i] == '"' || s.p[i] == '`')
            quote = s.p[i];
        else if (s.p[i] == '}')
            return i + 1;
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* {a="b", c=""} at the beginning of *s, sorted; empty values stay. */
static int take_labels(struct script *s, struct str *text, struct labels *out, struct err *e)
{
    size_t n = text->n && text->p[0] == '{' ? braces(*text) : 0;
    const struct logql_log *log;
    struct logql_tree t;

    if (!n)
        return err_set(e, ERR_INVALID, "a label set is missing");
    if (logql_parse_selector(&s->arena, str_head(*text, n), true, &t, e) < 0)
        return ERR_INVALID;
    log = &t.root->log;
    out->v = arena_array(&s->arena, struct label, log->nmatchers + (size_t)1);
    out->n = log->nmatchers;
    for (uint32_t i = 0; i < out->n; i++)
        out->v[i] = (struct label){log->matchers[i].name, log->matchers[i].value};
    if (out->n > 1)
        qsort(out->v, out->n, sizeof *out->v, by_name);
    logql_release(&t);
    *text = str_trim(str_from(*text, n));
    return 0;
}

static struct str take_word(struct str *s)
{
    size_t n = 0;
    struct str w;

    while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t' && s->p[n] != ']')
        n++;
    w = str_head(*s, n);
    *s = str_trim(str_from(*s, n));
    return w;
}

static int take_duration(struct str *s, int64_t *ns, struct err *e)
{
    return lq_duration_parse(take_word(s), ns, e);
}

static bool take_literal(struct str *s, const char *what)
{
    if (!str_starts(*s, str_of(what)))
        return false;
    *s = str_trim(str_from(*s, strlen(what)));
    return true;
}

static int take_quoted(struct str *s, struct str *out, struct err *e)
{
    char quote = s->n ? s->p[0] : 0;
    ptrdiff_t n;

    if (quote != '"' && quote != '`')
        return err_set(e, ERR_INVALID, "a quoted text is missing: %.*s", STR_ARG(*s));
    n = str_chr(str_from(*s, 1), quote);
    if (n < 0)
        return err_set(e, ERR_INVALID, "a quote is not closed");
    *out = str_n(s->p + 1, (size_t)n);
    *s = str_trim(str_from(*s, (size_t)n + 2));
    return 0;
}

/* --- load ---------------------------------------------------------------------------------------- */

static struct str replace_i(struct arena *a, struct str line, uint64_t i)
{
    static const struct str mark = {"{{.i}}", 6};
    struct buf b = {0};
    struct str out;
    ptrdiff_t at;

    while ((at = str_find(line, mark)) >= 0) {
        buf_puts(&b, str_head(line, (size_t)at));
        buf_printf(&b, "%llu", (unsigned long long)i);
        line = str_from(line, (size_t)at + mark.n);
    }
    buf_puts(&b, line);
    out = arena_dup(a, buf_str(&b));
    buf_release(&b);
    return out;
}

/* metadata k="v" "odd key"="w"] */
static int take_meta(struct script *s, struct str *rest, struct label **v, uint32_t *n, struct err *e)
{
    *v = arena_array(&s->arena, struct label, rest->n / 4 + 1);
    while (rest->n && rest->p[0] != ']') {
        struct label *l = &(*v)[*n];
        size_t name = 0;

        if (rest->p[0] == '"') {
            if (take_quoted(rest, &l->name, e) < 0)
                return ERR_INVALID;
        } else {
            while (name < rest->n && rest->p[name] != '=' && rest->p[name] != ' ')
                name++;
            l->name = str_head(*rest, name);
            *rest = str_trim(str_from(*rest, name));
        }
        if (!take_literal(rest, "=") || take_quoted(rest, &l->value, e) < 0)
            return err_set(e, ERR_INVALID, "metadata: %.*s", STR_ARG(*rest));
        ++*n;
    }
    return take_literal(rest, "]") ? 0 : err_set(e, ERR_INVALID, "metadata: ] is missing");
}

struct load {
    struct labels labels;
    struct str line;
    int64_t at, every;
    uint64_t n;
    struct label *meta;
    uint32_t nmeta;
};

static int parse_load(struct script *s, struct str text, struct load *l, struct err *e)
{
    *l = (struct load){.n = 1};
    if (take_labels(s, &text, &l->labels, e) < 0 || take_quoted(&text, &l->line, e) < 0)
        return ERR_INVALID;
    if (!take_literal(&text, "@") || take_duration(&text, &l->at, e) < 0)
        return err_set(e, ERR_INVALID, "a time is missing: %.*s", STR_ARG(text));
    while (text.n) {
        if (take_literal(&text, "[repeat every")) {
            if (take_duration(&text, &l->every, e) < 0 || !take_literal(&text, "for") || !str_to_u64(take_word(&text), &l->n) ||
                !take_literal(&text, "]"))
                return err_set(e, ERR_INVALID, "repeat: %.*s", STR_ARG(text));
        } else if (!take_literal(&text, "[metadata") || take_meta(s, &text, &l->meta, &l->nmeta, e) < 0) {
            return err_set(e, ERR_INVALID, "load: %.*s", STR_ARG(text));
        }
    }
    return 0;
}

static int ingest(struct script *s, const struct load *l, struct err *e)
{
    struct log_in in = {.labels = labels_dup(&s->arena, &l->labels), .n = (uint32_t)l->n};
    struct log_batch b = {.streams = &in, .nstreams = 1, .nrows = (uint32_t)l->n, .meta = l->meta, .any_age = true};

    if (labels_normalise(&in.labels, e) < 0)
        return e->code;
    b.rows = arena_array(&s->arena, struct log_in_row, l->n + 1);
    for (uint64_t i = 0; i < l->n; i++)
        b.rows[i] = (struct log_in_row){BASE_NS + l->at + (int64_t)i * l->every, replace_i(&s->arena, l->line, i), 0, l->nmeta};
    if (logstore_ingest_wait(s->db.ls, &b, e) < 0)
        return e->code;
    if (b.verdicts[LOG_OK] + b.verdicts[LOG_SAME] != l->n)
        return err_set(e, ERR_INVALID, "%u of %llu records were refused: %s", b.nrows - b.verdicts[LOG_OK] - b.verdicts[LOG_SAME],
                       (unsigned long long)l->n, b.nbad ? b.bad[0].text : "?");
    s->dirty = true;
    return 0;
}

static int load(struct script *s, struct err *e)
{
    for (uint32_t i = 0; i < s->nblock; i++) {
        struct load l;

        if (parse_load(s, s->block[i], &l, e) < 0 || ingest(s, &l, e) < 0)
            return e->code;
    }
    return 0;
}

/* --- what is expected ----------------------------------------------------------------------------- */

struct expected {
    struct labels labels;
    double *v;
    uint8_t *has;
    uint32_t n;
    bool seen;
};

static bool parse_number(struct str s, double *v)
{
    bool range;

    if (str_eqz(s, "Inf"))
        s = STR("+Inf");
    return num_parse(s, v, &range);
}

/* "1", "_", "NaN", "3x4", "1+2x3": one or many. False: not such. */
static bool add_values(struct expected *x, struct str w, uint32_t max)
{
    ptrdiff_t at = str_starts(w, STR("0x")) ? -1 : str_chr(w, 'x');
    double a, b = 0;
    uint64_t n = 0;
    struct str num = w;

    if (at >= 0) {
        size_t op = 1;

        if (!str_to_u64(str_from(w, (size_t)at + 1), &n))
            return false;
        num = str_head(w, (size_t)at);
        while (op < num.n && !((num.p[op] == '+' || num.p[op] == '-') && num.p[op - 1] != 'e'))
            op++;
        if (op < num.n && !parse_number(str_from(num, num.p[op] == '+' ? op + 1 : op), &b))
            return false;
        num = str_head(num, op);
    }
    if (!str_eqz(num, "_") && !parse_number(num, &a))
        return false;
    for (uint64_t i = 0; i <= n && x->n < max; i++, x->n++) {
        x->has[x->n] = !str_eqz(num, "_");
        x->v[x->n] = x->has[x->n] ? a + (double)i * b : 0;
    }
    return true;
}

static int parse_expected(struct script *s, struct str text, struct expected *x, struct err *e)
{
    uint32_t max = 100000;

    *x = (struct expected){0};
    if (take_labels(s, &text, &x->labels, e) < 0)
        return ERR_INVALID;
    x->v = arena_array(&s->arena, double, max);
    x->has = arena_array(&s->arena, uint8_t, max);
    while (text.n) {
        struct str w = take_word(&text);

        if (!add_values(x, w, max))
            return err_set(e, ERR_INVALID, "not a value: %.*s", STR_ARG(w));
    }
    return 0;
}

static bool same_value(double got, double want)
{
    if (isnan(got) || isnan(want))
        return isnan(got) && isnan(want);
    return got == want || fabs(got - want) <= 1e-9 * fmax(1, fmax(fabs(got), fabs(want)));
}

static const char *series_text(struct arena *a, const struct labels *ls, const double *v, const uint8_t *has, uint32_t n)
{
    struct buf b = {0};
    char num[NUM_MAX];
    const char *out;

    buf_putc(&b, '{');
    for (uint32_t i = 0; i < ls->n; i++) {
        buf_printf(&b, "%s%.*s=", i ? ", " : "", STR_ARG(ls->v[i].name));
        buf_put_quoted(&b, ls->v[i].value);
    }
    buf_putc(&b, '}');
    for (uint32_t i = 0; i < n; i++)
        buf_printf(&b, " %.*s", has[i] ? (int)num_fmt_g(v[i], num) : 1, has[i] ? num : "_");
    out = arena_dup(a, buf_str(&b)).p;
    buf_release(&b);
    return out;
}

static const char *compare(struct script *s, const struct logql_result *got, struct expected *want, uint32_t nwant, bool ordered)
{
    struct arena *a = &s->arena;

    for (uint32_t i = 0; i < nwant; i++)
        want[i].seen = !memchr(want[i].has, 1, want[i].n);
    for (uint32_t i = 0; i < got->nseries; i++) {
        const struct logql_series *g = &got->series[i];
        const char *text = series_text(a, &g->labels, g->v, g->has, got->nsteps);
        struct expected *w = NULL;

        for (uint32_t k = 0; k < nwant && !w; k++)
            if (!want[k].seen && labels_eq(&want[k].labels, &g->labels))
                w = &want[k];
        if (!w || (ordered && w != &want[i]))
            return arena_printf(a, "%s %s", w ? "out of order:" : "unexpected:", text).p;
        w->seen = true;
        for (uint32_t k = 0; k < got->nsteps; k++)
            if (k >= w->n || g->has[k] != w->has[k] || (g->has[k] && !same_value(g->v[k], w->v[k])))
                return arena_printf(a, "got      %s\n     expected %s", text, series_text(a, &w->labels, w->v, w->has, w->n)).p;
    }
    for (uint32_t i = 0; i < nwant; i++)
        if (!want[i].seen)
            return arena_printf(a, "missing: %s", series_text(a, &want[i].labels, want[i].v, want[i].has, want[i].n)).p;
    return NULL;
}

/* --- eval ----------------------------------------------------------------------------------------- */

struct question {
    struct str text;
    struct logql_opts o;
    struct expected *want;
    uint32_t nwant;
    bool ordered, empty, fails, scalar;
    double number;
    struct str msg, regex;
};

/* Asks, and returns NULL or how the answer differs (from the arena). */
static const char *ask(struct script *s, struct question *x, bool plain)
{
    struct query *q = query_begin(s->engine, "logql", x->text, NULL);
    struct logql_result r;
    struct logql_tree t = {0};
    struct err e = {0};
    const char *diff = NULL;
    int code = logql_parse(&q->arena, x->text, &t, &e);

    x->o.ls = s->db.ls;
    x->o.plain = plain;
    if (code == 0)
        code = logql_query(q, &t, &x->o, &r, &e);
    if (x->fails) {
        struct regex *re = NULL;

        if (code == 0)
            diff = "expected an error";
        else if (x->msg.n && str_find(str_of(e.text), x->msg) < 0)
            diff = arena_printf(&s->arena, "expected an error with: %.*s\n     got: %s", STR_ARG(x->msg), e.text).p;
        else if (x->regex.n && (regex_new(x->regex, 0, &re, NULL) < 0 || !regex_match(re, str_of(e.text))))
            diff = arena_printf(&s->arena, "expected an error like: %.*s\n     got: %s", STR_ARG(x->regex), e.text).p;
        regex_free(re);
    } else if (code < 0) {
        diff = arena_printf(&s->arena, "failed: %s", e.text).p;
    } else if (x->scalar) {
        if (r.type != LOGQL_RESULT_SCALAR || !same_value(r.scalar, x->number))
            diff = arena_printf(&s->arena, "expected the number %g, got %g", x->number, r.scalar).p;
    } else {
        diff = compare(s, &r, x->want, x->nwant, x->ordered);
    }
    logql_release(&t);
    query_end(q);
    return diff;
}

static int parse_question(struct script *s, struct str line, struct question *x, struct err *e)
{
    *x = (struct question){0};
    if (take_literal(&line, "instant at ")) {
        x->o.instant = true;
        if (take_duration(&line, &x->o.end_ns, e) < 0)
            return ERR_INVALID;
        x->o.start_ns = x->o.end_ns;
    } else if (!take_literal(&line, "range from ") || take_duration(&line, &x->o.start_ns, e) < 0 || !take_literal(&line, "to ") ||
               take_duration(&line, &x->o.end_ns, e) < 0 || !take_literal(&line, "step ") || take_duration(&line, &x->o.step_ns, e) < 0) {
        return err_set(e, ERR_INVALID, "eval: %.*s", STR_ARG(line));
    }
    x->o.start_ns += BASE_NS;
    x->o.end_ns += BASE_NS;
    x->text = line;
    x->want = arena_array(&s->arena, struct expected, s->nblock + (size_t)1);
    for (uint32_t i = 0; i < s->nblock; i++) {
        struct str b = s->block[i];

        if (take_literal(&b, "expect ordered")) {
            x->ordered = true;
        } else if (take_literal(&b, "expect empty")) {
            x->empty = true;
        } else if (take_literal(&b, "expect fail")) {
            x->fails = true;
            if (take_literal(&b, "msg:"))
                x->msg = b;
            else if (take_literal(&b, "regex:"))
                x->regex = b;
        } else if (b.p[0] == '{') {
            if (parse_expected(s, b, &x->want[x->nwant++], e) < 0)
                return ERR_INVALID;
        } else if (!take_literal(&b, "skip ")) {
            x->scalar = parse_number(b, &x->number);
            if (!x->scalar)
                return err_set(e, ERR_INVALID, "not an expectation: %.*s", STR_ARG(b));
        }
    }
    return 0;
}

static void eval(struct script *s, struct str line)
{
    static const char *const ways[] = {"of the head", "plainly", "of blocks", "plainly, of blocks"};
    struct str label = arena_printf(&s->arena, "line %u: %.*s", s->command_line, STR_ARG(str_head(line, 300)));
    struct question x;
    struct err e;
    const char *diff = NULL;

    if (parse_question(s, line, &x, &e) < 0) {
        conf_fail(s->r, label.p, "%s", e.text);
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(ways) && !diff; i++) {
        if (i == 2 && s->dirty) {
            if (store_flush(s->db.store, "logs", &e) < 0)
                diff = arena_dup(&s->arena, str_of(e.text)).p;
            s->dirty = false;
        }
        if (!diff)
            diff = ask(s, &x, i % 2);
        if (diff)
            conf_fail(s->r, label.p, "asked %s: %s", ways[i], diff);
    }
    if (!diff)
        conf_pass(s->r);
}

/* --- the script ------------------------------------------------------------------------------------ */

static int command(struct script *s, struct str line, struct err *e)
{
    s->command_line = s->line;
    arena_reset(&s->arena);
    read_block(s);
    if (str_eqz(line, "clear")) {
        db_close(&s->db);
        s->dirty = false;
        return db_open(&s->db, e);
    }
    if (str_eqz(line, "load"))
        return load(s, e);
    if (take_literal(&line, "eval ")) {
        eval(s, line);
        return 0;
    }
    return err_set(e, ERR_INVALID, "not a command: %.*s", STR_ARG(line));
}

int conf_logql_script(struct str path, struct conf_report *r)
{
    struct query_engine_opts eo;
    struct script s = {.r = r};
    struct buf text = {0};
    struct str line;
    struct err e;
    int code;

    if (conf_read(path, &text) < 0)
        return -1;
    log_setup(LOG_WARN, LOG_LOGFMT);
    query_engine_opts_default(&eo);
    eo.threads = 2;
    s.engine = query_engine_new(&eo);
    s.rest = buf_str(&text);
    code = db_open(&s.db, &e);
    while (code == 0 && next_line(&s, &line)) {
        line = strip(line);
        if (line.n)
            code = command(&s, line, &e);
    }
    if (code < 0)
        printf("FAIL %.*s:%u: %s\n", STR_ARG(path), s.command_line, e.text);
    db_close(&s.db);
    query_engine_free(s.engine);
    arena_release(&s.arena);
    buf_release(&text);
    return code < 0 ? -1 : 0;
}
