/*
 * match_record.c - a log query over records one by one: for tails, the file collector and deletes.
 */
#include "query/logql/logql.h"
#include "query/logql/pipeline.h"

#include <pthread.h>
#include <stdlib.h>

struct logql_match {
    const struct logql_log *log;
    struct pipeline *pipeline;
    struct runner *runner;
    struct arena streams; /* the labels at hand, a copy: the caller's may move */
    struct labels stream;
    bool have_stream, selected;
    struct label *labels; /* handed out */
    uint32_t nlabels;
};

int logql_match_new(const struct logql_tree *t, struct logql_match **out, struct err *e)
{
    struct pipeline_opts po = {0};
    struct logql_match *m;
    struct pipeline *p;
    int code;

    if (!logql_is_log(t))
        return err_set(e, ERR_INVALID, "a log query is wanted here: {selector} | stages");
    code = pipeline_of_query(&t->root->log, &po, &p, e);
    if (code < 0)
        return code;
    m = x_zalloc(sizeof *m);
    m->log = &t->root->log;
    m->pipeline = p;
    m->runner = runner_new(p);
    *out = m;
    return 0;
}

void logql_match_free(struct logql_match *m)
{
    if (!m)
        return;
    runner_free(m->runner);
    pipeline_free(m->pipeline);
    arena_release(&m->streams);
    free(m->labels);
    free(m);
}

/* Streams come in runs: selector and stream labels are looked at once for each. */
static bool set_stream(struct logql_match *m, const struct labels *stream)
{
    if (m->have_stream && labels_eq(&m->stream, stream))
        return m->selected;
    arena_reset(&m->streams);
    m->stream = labels_dup(&m->streams, stream);
    m->selected = matchers_match(m->log->matchers, m->log->nmatchers, &m->stream);
    m->have_stream = true;
    runner_stream(m->runner, &m->stream);
    return m->selected;
}

static void hand_out(struct logql_match *m, struct logql_matched *out)
{
    const struct logql_label *v;
    uint32_t n = runner_labels(m->runner, &v);

    if (n > m->nlabels) {
        m->nlabels = n;
        m->labels = x_realloc(m->labels, n * sizeof *m->labels);
    }
    for (uint32_t i = 0; i < n; i++)
        m->labels[i] = (struct label){v[i].name, v[i].value};
    out->line = runner_line(m->runner);
    out->labels = (struct labels){m->labels, n};
}

bool logql_match_record(struct logql_match *m, const struct labels *stream, int64_t t_ns, struct str line, const struct label *meta,
                        uint32_t nmeta, struct logql_matched *out)
{
    struct log_row row = {.t_ns = t_ns, .line = line.p ? line : STR(""), .meta = meta, .nmeta = nmeta};

    if (!set_stream(m, stream) || !runner_run(m->runner, &row))
        return false;
    if (out)
        hand_out(m, out);
    return true;
}

/* --- deletes ---------------------------------------------------------------------------------- */

/* A delete's text, kept as long as its filter. */
struct delete_filter {
    struct arena arena;
    struct logql_tree tree;

    /* Under mu: readers of the store ask from any thread. */
    pthread_mutex_t mu;
    struct logql_match *match;
};

static void delete_release(void *filter)
{
    struct delete_filter *f = filter;

    if (!f)
        return;
    logql_match_free(f->match);
    logql_release(&f->tree);
    arena_release(&f->arena);
    pthread_mutex_destroy(&f->mu);
    free(f);
}

static bool drops_only(const struct logql_log *log, struct err *e)
{
    for (uint32_t i = 0; i < log->nstages; i++)
        if (log->stages[i].kind == LOGQL_LINE_FORMAT || log->stages[i].kind == LOGQL_LABEL_FORMAT) {
            err_set(e, ERR_INVALID, "a delete may filter records, not format them");
            return false;
        }
    return true;
}

static int delete_compile(void *arg, struct str query, struct arena *a, struct matcher **m, uint32_t *nm, void **filter, struct err *e)
{
    struct delete_filter *f = x_zalloc(sizeof *f);
    const struct logql_log *log;
    int code;

    (void)arg;
    pthread_mutex_init(&f->mu, NULL);
    code = logql_parse(&f->arena, query, &f->tree, e);
    if (code == 0)
        code = logql_match_new(&f->tree, &f->match, e);
    if (code == 0 && !drops_only(&f->tree.root->log, e))
        code = ERR_INVALID;
    if (code < 0) {
        delete_release(f);
        return code;
    }
    log = &f->tree.root->log;
    *m = arena_array(a, struct matcher, log->nmatchers);
    *nm = 0;
    for (uint32_t i = 0; i < log->nmatchers && code == 0; i++) {
        const struct matcher *from = &log->matchers[i];

        code = matcher_init(&(*m)[i], from->op, arena_dup(a, from->name), arena_dup(a, from->value), e);
        *nm += code == 0;
    }
    *filter = log->nstages && code == 0 ? f : NULL;
    if (!*filter)
        delete_release(f);
    if (code < 0)
        for (uint32_t i = 0; i < *nm; i++)
            matcher_release(&(*m)[i]);
    return code;
}

static bool delete_matches(void *filter, const struct labels *stream, int64_t t_ns, struct str line, const struct label *meta,
                           uint32_t nmeta)
{
    struct delete_filter *f = filter;
    bool matches;

    pthread_mutex_lock(&f->mu);
    matches = logql_match_record(f->match, stream, t_ns, line, meta, nmeta, NULL);
    pthread_mutex_unlock(&f->mu);
    return matches;
}

struct log_delete_filter logql_delete_filter(void)
{
    return (struct log_delete_filter){delete_compile, delete_matches, delete_release, NULL};
}
