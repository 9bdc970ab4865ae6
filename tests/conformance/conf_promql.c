/*
 * conf_promql.c - conformance promql FILE...: upstream's .test scripts. The format is upstream's promqltest, as the
 * case files describe it.
 *
 * Every eval is one check. An instant one that succeeds is checked twice more: (a) with every selector pinned by @ and
 * evaluated at other times, (b) as the middle step of a range query.
 */
#include "tests/conformance/conformance.h"
#include "tests/conformance/script.h"

#include <stdio.h>
#include <stdlib.h>

/* --- lines ------------------------------------------------------------------------------------ */

static bool empty_line(struct str line)
{
    return line.n == 0 || line.p[0] == '#';
}

static struct str next_line(struct script *s)
{
    struct str line;

    str_cut(&s->rest, '\n', &line);
    s->line++;
    return str_trim(line);
}

/* The lines of a command's block, up to an empty one. */
static void read_block(struct script *s, struct block *b)
{
    b->n = 0;
    b->first = s->line + 1;
    while (s->rest.n) {
        struct str line = next_line(s);

        if (empty_line(line))
            return;
        if (b->n == b->cap) {
            b->cap = b->cap ? b->cap * 2 : 64;
            b->lines = x_realloc(b->lines, b->cap * sizeof *b->lines);
        }
        b->lines[b->n++] = line;
    }
}

/* --- commands --------------------------------------------------------------------------------- */

static int broken(struct script *s, const struct err *e)
{
    char what[64];

    snprintf(what, sizeof what, "line %u", s->line);
    conf_fail(s->report, what, "not understood: %s", e->text);
    return 0;
}

static int command(struct script *s, struct str line, struct block *b, struct err *e)
{
    struct str word = line;
    size_t n = 0;

    while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
        n++;
    word.n = n;
    if (str_eq_nocase(word, STR("clear")))
        return script_db_clear(s->db, e);
    if (word.n >= 4 && str_eq_nocase(str_head(word, 4), STR("load")))
        return script_load(s, line, b, e);
    if (word.n >= 4 && str_eq_nocase(str_head(word, 4), STR("eval")))
        return script_eval(s, line, b, e);
    return err_set(e, ERR_INVALID, "unknown command %.*s", STR_ARG(word));
}

static void run_script(struct script *s)
{
    struct block b = {0};

    while (s->rest.n) {
        struct str line = next_line(s);
        struct err e = {0};

        if (empty_line(line))
            continue;
        s->command_line = s->line;
        read_block(s, &b);
        arena_reset(&s->arena);
        if (command(s, line, &b, &e) < 0)
            broken(s, &e);
    }
    free(b.lines);
}

int conf_promql(struct str path, struct conf_report *r)
{
    struct query_engine_opts o;
    struct script s = {.report = r};
    struct buf text = {0};
    struct err e = {0};

    if (conf_read(path, &text) < 0)
        return -1;
    query_engine_opts_default(&o);
    o.threads = 2;
    o.limits.samples_max = 10000;
    s.rest = buf_str(&text);
    s.engine = query_engine_new(&o);
    if (script_db_open(&s.db, &e) < 0) {
        printf("FAIL %.*s: no store: %s\n", STR_ARG(path), e.text);
        query_engine_free(s.engine);
        buf_release(&text);
        return -1;
    }
    run_script(&s);
    script_db_close(s.db);
    query_engine_free(s.engine);
    arena_release(&s.arena);
    buf_release(&text);
    return 0;
}
