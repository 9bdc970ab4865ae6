/*
 * script_eval.c - the eval command: runs a query and holds the answer against the lines below it.
 */
#include "tests/conformance/script.h"

#include <stdio.h>
#include <stdlib.h>

enum expect_kind { EXPECT_FAIL, EXPECT_WARN, EXPECT_INFO, EXPECT_NO_WARN, EXPECT_NO_INFO, EXPECT_KINDS };

/* expect fail|warn|info [msg: TEXT | regex: RE] */
struct said {
    enum expect_kind kind;
    struct str msg;
    struct regex *re;
    bool any;
};

struct eval_case {
    struct script *s;
    struct str query;
    bool instant;
    int64_t start, end, step;

    struct said *said;
    uint32_t nsaid;
    bool kinds[EXPECT_KINDS];
    bool ordered, has_scalar, has_string, has_range;
    double scalar;
    struct str string;
    int64_t range_start, range_end, range_step;
    struct expected *want;
    uint32_t nwant;
};

/* --- reading the expectations ----------------------------------------------------------------- */

static struct str take_word(struct str *s)
{
    struct str w;
    size_t n = 0;

    *s = str_trim(*s);
    while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
        n++;
    w = str_head(*s, n);
    *s = str_trim(str_from(*s, n));
    return w;
}

static int take_time(struct str *s, int64_t *ms, struct err *e)
{
    struct str w = take_word(s);
    bool negative = w.n && w.p[0] == '-';

    if (duration_parse(negative ? str_from(w, 1) : w, ms, e) < 0)
        return e->code;
    if (negative)
        *ms = -*ms;
    return 0;
}

static int expect_word(struct str *s, const char *word, struct err *e)
{
    struct str w = take_word(s);

    return str_eqz(w, word) ? 0 : err_set(e, ERR_INVALID, "expected \"%s\", got \"%.*s\"", word, STR_ARG(w));
}

static int add_said(struct eval_case *c, enum expect_kind kind, struct str rest, struct err *e)
{
    struct said *x = &c->said[c->nsaid++];

    *x = (struct said){.kind = kind};
    c->kinds[kind] = true;
    if (str_starts(rest, STR("msg:"))) {
        x->msg = str_trim(str_from(rest, 4));
    } else if (str_starts(rest, STR("regex:"))) {
        return regex_new(str_trim(str_from(rest, 6)), 0, &x->re, e);
    } else {
        x->any = true;
    }
    return 0;
}

static int expect_range_vector(struct eval_case *c, struct str rest, struct err *e)
{
    c->has_range = true;
    if (expect_word(&rest, "vector", e) < 0 || expect_word(&rest, "from", e) < 0 ||
        take_time(&rest, &c->range_start, e) < 0 || expect_word(&rest, "to", e) < 0 ||
        take_time(&rest, &c->range_end, e) < 0 || expect_word(&rest, "step", e) < 0 ||
        take_time(&rest, &c->range_step, e) < 0)
        return e->code;
    return 0;
}

/* A Go string in double quotes or backticks. */
static struct str unquote(struct arena *a, struct str s)
{
    struct series_desc d;
    struct err ignored;
    struct str line;

    if (s.n >= 2 && s.p[0] == '`')
        return (struct str){s.p + 1, s.n - 2};
    line = arena_printf(a, "{x=%.*s}", STR_ARG(s));
    if (series_desc_parse(a, line, &d, &ignored) < 0 || d.labels.n == 0)
        return STR("");
    return d.labels.v[0].value;
}

static int expect_line(struct eval_case *c, struct str rest, struct err *e)
{
    static const char *const words[] = {"fail", "warn", "info", "no_warn", "no_info"};
    struct str word = take_word(&rest);

    for (unsigned k = 0; k < EXPECT_KINDS; k++)
        if (str_eqz(word, words[k]))
            return add_said(c, (enum expect_kind)k, rest, e);
    if (str_eqz(word, "ordered")) {
        c->ordered = true;
    } else if (str_eqz(word, "string")) {
        c->has_string = true;
        c->string = unquote(&c->s->arena, rest);
    } else if (str_eqz(word, "range")) {
        return expect_range_vector(c, rest, e);
    } else {
        return err_set(e, ERR_INVALID, "unknown expectation \"%.*s\"", STR_ARG(word));
    }
    return 0;
}

static int series_line(struct eval_case *c, struct str line, struct err *e)
{
    struct series_desc d;
    struct expected *w = &c->want[c->nwant];

    if (series_desc_parse(&c->s->arena, line, &d, e) < 0)
        return e->code;
    *w = (struct expected){.labels = d.labels, .values = d.values, .n = d.n};
    c->nwant++;
    return 0;
}

static int read_expectations(struct eval_case *c, struct block *b, struct err *e)
{
    c->want = arena_array(&c->s->arena, struct expected, b->n + 1);
    for (uint32_t i = 0; i < b->n; i++) {
        struct str line = b->lines[i], rest = line, word = take_word(&rest);
        bool range;
        int code = 0;

        if (str_eqz(word, "expect"))
            code = expect_line(c, rest, e);
        else if (str_eqz(word, "expected_fail_message"))
            c->said[0].msg = rest, c->said[0].any = false;
        else if (str_eqz(word, "expected_fail_regexp"))
            code = regex_new(rest, 0, &c->said[0].re, e), c->said[0].any = false;
        else if (b->n == i + 1 && rest.n == 0 && num_parse(word, &c->scalar, &range))
            c->has_scalar = true;
        else
            code = series_line(c, line, e);
        if (code < 0)
            return code;
    }
    return 0;
}

/* eval instant at T Q; eval range from A to B step S Q; the older eval_fail, eval_warn, eval_info, eval_ordered. */
static int read_head(struct eval_case *c, struct str line, struct err *e)
{
    struct str word = take_word(&line);

    if (str_eqz(word, "eval_fail") && add_said(c, EXPECT_FAIL, STR_NULL, e) < 0)
        return e->code;
    if (str_eqz(word, "eval_warn") && add_said(c, EXPECT_WARN, STR_NULL, e) < 0)
        return e->code;
    if (str_eqz(word, "eval_info") && add_said(c, EXPECT_INFO, STR_NULL, e) < 0)
        return e->code;
    c->ordered = str_eqz(word, "eval_ordered");
    word = take_word(&line);
    c->instant = str_eqz(word, "instant");
    if (c->instant) {
        if (expect_word(&line, "at", e) < 0 || take_time(&line, &c->start, e) < 0)
            return e->code;
        c->end = c->start;
    } else if (expect_word(&line, "from", e) < 0 || take_time(&line, &c->start, e) < 0 ||
               expect_word(&line, "to", e) < 0 || take_time(&line, &c->end, e) < 0 ||
               expect_word(&line, "step", e) < 0 || take_time(&line, &c->step, e) < 0) {
        return e->code;
    }
    c->query = line;
    return 0;
}

/* --- running ---------------------------------------------------------------------------------- */

struct answer {
    struct query *q;
    struct promql_result r;
    struct err e;
    int code;
};

static void ask(struct eval_case *c, const struct node *tree, bool instant, int64_t start, int64_t end, int64_t step,
                struct answer *x)
{
    struct promql_opts o = {.db = script_db_tsdb(c->s->db),
                            .start_ms = start,
                            .end_ms = end,
                            .step_ms = instant ? 0 : step,
                            .lookback_ms = 300000,
                            .instant = instant,
                            .use_start_timestamps = true,
                            .delayed_name_removal = true};

    *x = (struct answer){.q = query_begin(c->s->engine, "promql", c->query, NULL)};
    x->code = tree ? promql_eval(x->q, tree, c->query, &o, &x->r, &x->e) : promql_run(x->q, &o, &x->r, &x->e);
}

static const char *compare_answer(struct eval_case *c, const struct answer *x)
{
    struct arena *a = &c->s->arena;

    if (c->has_scalar)
        return x->r.type == PQ_SCALAR && same_float(x->r.scalar, c->scalar)
                   ? NULL
                   : arena_printf(a, "expected scalar %g, got %s %g", c->scalar, promql_type_text(x->r.type),
                                  x->r.scalar)
                         .p;
    if (c->has_string)
        return x->r.type == PQ_STRING && str_eq(x->r.string, c->string)
                   ? NULL
                   : arena_printf(a, "expected string \"%.*s\", got %s \"%.*s\"", STR_ARG(c->string),
                                  promql_type_text(x->r.type), STR_ARG(x->r.string))
                         .p;
    if (x->r.type == PQ_SCALAR || x->r.type == PQ_STRING)
        return arena_printf(a, "expected series, got %s %g", promql_type_text(x->r.type), x->r.scalar).p;
    if (c->has_range)
        return compare_series(a, x->r.series, x->r.nseries, c->want, c->nwant, c->range_start, c->range_step, false);
    return compare_series(a, x->r.series, x->r.nseries, c->want, c->nwant, c->start, c->step, c->ordered);
}

/* Every line must find an annotation, and if there are lines every annotation a line. */
static const char *compare_said(struct eval_case *c, enum expect_kind kind, const struct str *texts, uint32_t n)
{
    struct arena *a = &c->s->arena;
    bool all_any = true;

    for (uint32_t i = 0; i < c->nsaid; i++) {
        const struct said *w = &c->said[i];
        bool found = w->any && n > 0;

        if (w->kind != kind)
            continue;
        all_any &= w->any;
        for (uint32_t k = 0; k < n && !found; k++)
            found = w->re ? regex_match(w->re, texts[k]) : str_eq(w->msg, texts[k]);
        if (!found)
            return arena_printf(a, "expected %s \"%.*s\", got %s%.*s", kind == EXPECT_WARN ? "warning" : "info",
                                STR_ARG(w->msg), n ? "" : "none", n ? (int)texts[0].n : 0, n ? texts[0].p : "")
                .p;
    }
    for (uint32_t k = 0; k < n && !all_any; k++) {
        bool found = false;

        for (uint32_t i = 0; i < c->nsaid && !found; i++)
            if (c->said[i].kind == kind)
                found = c->said[i].any ||
                        (c->said[i].re ? regex_match(c->said[i].re, texts[k]) : str_eq(c->said[i].msg, texts[k]));
        if (!found)
            return arena_printf(a, "unexpected annotation %.*s", STR_ARG(texts[k])).p;
    }
    return NULL;
}

static const char *compare_annotations(struct eval_case *c, const struct promql_result *r)
{
    struct arena *a = &c->s->arena;
    const char *diff = NULL;

    if (c->kinds[EXPECT_NO_WARN] && r->nwarnings)
        return arena_printf(a, "unexpected %.*s", STR_ARG(r->warnings[0])).p;
    if (c->kinds[EXPECT_NO_INFO] && r->ninfos)
        return arena_printf(a, "unexpected %.*s", STR_ARG(r->infos[0])).p;
    if (c->kinds[EXPECT_WARN])
        diff = compare_said(c, EXPECT_WARN, r->warnings, r->nwarnings);
    if (!diff && c->kinds[EXPECT_INFO])
        diff = compare_said(c, EXPECT_INFO, r->infos, r->ninfos);
    return diff;
}

static const char *compare_failure(struct eval_case *c, const struct answer *x)
{
    struct arena *a = &c->s->arena;

    if (x->code == 0)
        return "expected to fail, but did not";
    for (uint32_t i = 0; i < c->nsaid; i++) {
        const struct said *w = &c->said[i];
        struct str got = str_of(x->e.text);

        if (w->kind != EXPECT_FAIL || w->any || (w->re ? regex_match(w->re, got) : str_eq(w->msg, got)))
            continue;
        return arena_printf(a, "expected error \"%.*s\", got \"%s\"", STR_ARG(w->msg), x->e.text).p;
    }
    return NULL;
}

static void report(struct eval_case *c, const char *check, const char *diff)
{
    char what[512];

    if (!diff) {
        conf_pass(c->s->report);
        return;
    }
    snprintf(what, sizeof what, "line %u%s%s: %.*s", c->s->command_line, *check ? " " : "", check, STR_ARG(c->query));
    conf_fail(c->s->report, what, "%s", diff);
}

/* --- (a): pinned, at other times -------------------------------------------------------------- */

static bool pins(enum at_kind at)
{
    return at != AT_NONE;
}

/* Depth first; nothing is pinned inside a subquery that is. */
static void pin(struct node *n, int64_t at)
{
    switch (n->kind) {
    case N_SELECTOR:
        if (!pins(n->selector.when.at))
            n->selector.when = (struct when){AT_TIME, at, n->selector.when.offset_ms, n->selector.when.offset_expr};
        break;
    case N_MATRIX:
        pin(n->matrix.selector, at);
        break;
    case N_SUBQUERY:
        if (!pins(n->subquery.when.at))
            n->subquery.when = (struct when){AT_TIME, at, n->subquery.when.offset_ms, n->subquery.when.offset_expr};
        break;
    case N_UNARY:
        pin(n->unary.expr, at);
        break;
    case N_BINARY:
        pin(n->binary.l, at);
        pin(n->binary.r, at);
        break;
    case N_CALL:
        for (uint32_t i = 0; i < n->call.nargs; i++)
            pin(n->call.args[i], at);
        break;
    case N_AGGREGATE:
        if (n->agg.param)
            pin(n->agg.param, at);
        pin(n->agg.expr, at);
        break;
    case N_PAREN:
    case N_STEP_INVARIANT:
        pin(n->child, at);
        break;
    case N_NUMBER:
    case N_STRING:
        break;
    }
}

static int moves_with_time(void *arg, struct node *n)
{
    static const char *const names[] = {"day_of_month", "day_of_week", "day_of_year", "days_in_month",  "end",
                                        "hour",         "minute",      "month",       "predict_linear", "range",
                                        "start",        "step",        "time",        "timestamp",      "year"};
    const struct when *w = n->kind == N_SELECTOR ? &n->selector.when : n->kind == N_SUBQUERY ? &n->subquery.when : NULL;

    (void)arg;
    if (w && (w->at == AT_START || w->at == AT_END))
        return 1;
    for (size_t i = 0; n->kind == N_CALL && i < ARRAY_LEN(names); i++)
        if (strcmp(n->call.fn->name, names[i]) == 0)
            return 1;
    return 0;
}

static void check_pinned(struct eval_case *c)
{
    int64_t t = c->start, times[] = {t ? -10 * t : -1000, 0, t ? t / 5 : 1000, t, 10 * t};
    struct arena a = {0};
    struct node *tree;
    struct err e;
    const char *diff = NULL;

    if (promql_parse(&a, c->query, &tree, NULL, NULL, &e) < 0)
        return;
    if (!promql_walk(tree, moves_with_time, NULL)) {
        pin(tree, t);
        for (size_t i = 0; i < (t ? 5 : 3) && !diff; i++) {
            struct answer x;

            ask(c, tree, true, times[i], times[i], 0, &x);
            for (uint32_t k = 0; k < x.r.nseries && !c->has_range; k++)
                for (uint32_t p = 0; p < x.r.series[k].npoints; p++)
                    x.r.series[k].points[p].t += t - times[i];
            diff = x.code < 0 ? arena_printf(&c->s->arena, "at %lld: %s", (long long)times[i], x.e.text).p
                              : compare_answer(c, &x);
            if (diff)
                diff = arena_printf(&c->s->arena, "at %lld: %s", (long long)times[i], diff).p;
            query_end(x.q);
        }
        report(c, "(a) pinned by @", diff);
    }
    promql_release(tree);
    arena_release(&a);
}

/* --- (b): as a range -------------------------------------------------------------------------- */

/* Keeps the points at t alone. */
static void middle_only(struct promql_result *r, int64_t t)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->nseries; i++) {
        struct promql_series *s = &r->series[i];
        uint32_t k = 0;

        while (k < s->npoints && s->points[k].t != t)
            k++;
        if (k == s->npoints)
            continue;
        s->points += k;
        s->npoints = 1;
        r->series[n++] = *s;
    }
    r->nseries = n;
}

static const char *compare_middle(struct eval_case *c, struct answer *x)
{
    middle_only(&x->r, c->start);
    if (!c->has_scalar)
        return compare_answer(c, x);
    if (x->r.nseries != 1 || !same_float(x->r.series[0].points[0].v, c->scalar))
        return arena_printf(&c->s->arena, "expected %g in the middle", c->scalar).p;
    return NULL;
}

static void check_as_range(struct eval_case *c)
{
    static const char *const words[] = {"start()", "end()", "range()", "step()"};
    struct answer x;

    if (c->has_range || c->has_string || c->ordered)
        return;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_find(c->query, str_of(words[i])) >= 0)
            return;
    ask(c, NULL, false, c->start - 60000, c->start + 60000, 60000, &x);
    report(c, "(b) as range", x.code < 0 ? x.e.text : compare_middle(c, &x));
    query_end(x.q);
}

/* --- the command ------------------------------------------------------------------------------ */

static bool sorted(const struct promql_result *r)
{
    for (uint32_t i = 1; i < r->nseries; i++)
        if (labels_cmp(&r->series[i - 1].labels, &r->series[i].labels) >= 0)
            return false;
    return true;
}

static void run_case(struct eval_case *c)
{
    struct answer x;
    const char *diff;

    ask(c, NULL, c->instant, c->start, c->end, c->step, &x);
    if (c->kinds[EXPECT_FAIL]) {
        report(c, "", compare_failure(c, &x));
    } else if (x.code < 0) {
        report(c, "", arena_printf(&c->s->arena, "failed: %s", x.e.text).p);
    } else {
        diff = compare_answer(c, &x);
        if (!diff)
            diff = compare_annotations(c, &x.r);
        if (!diff && !c->instant && !sorted(&x.r))
            diff = "the series are not sorted by labels";
        report(c, "", diff);
        if (c->instant) {
            check_pinned(c);
            check_as_range(c);
        }
    }
    query_end(x.q);
}

int script_eval(struct script *s, struct str line, struct block *b, struct err *e)
{
    struct eval_case c = {.s = s};
    int code;

    c.said = arena_array(&s->arena, struct said, b->n + 2);
    code = read_head(&c, line, e);
    if (code == 0)
        code = read_expectations(&c, b, e);
    if (code == 0)
        run_case(&c);
    for (uint32_t i = 0; i < c.nsaid; i++)
        regex_free(c.said[i].re);
    return code;
}
