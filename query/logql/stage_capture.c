/* stage_capture.c - regexp and pattern: parts of the line that have names. */
#include "query/logql/json_scan.h"
#include "query/logql/regex_need.h"
#include "query/logql/stage.h"

enum { GROUPS_MAX = 256 };

static int compile_regexp(struct pipeline *p, struct stage *s, struct err *e)
{
    struct buf b = {0};

    s->re = s->ast->parser.re;
    s->nnames = regex_ngroups(s->re);
    if (s->nnames > GROUPS_MAX)
        return err_set(e, ERR_INVALID, "parse error : regexp: more than %d groups", GROUPS_MAX);
    s->need = lq_regex_need(&p->a, s->ast->parser.text);
    s->names = arena_array(&p->a, uint32_t, s->nnames);
    for (uint32_t i = 0; i < s->nnames; i++) {
        struct str name = regex_group_name(s->re, i);

        buf_reset(&b);
        key_sanitise(name, true, &b);
        s->names[i] = i && b.n ? pipeline_name(p, buf_str(&b), false) : NAME_NONE;
    }
    buf_release(&b);
    return 0;
}

int stage_capture_compile(struct pipeline *p, struct stage *s, struct err *e)
{
    if (s->kind == LOGQL_REGEXP)
        return compile_regexp(p, s, e);
    s->nparts = lq_pattern_split(&p->a, s->ast->parser.text, &s->parts);
    if (lq_pattern_check(s->parts, s->nparts, e) < 0)
        return ERR_INVALID;
    s->names = arena_array(&p->a, uint32_t, s->nparts + 1);
    for (uint32_t i = 0; i < s->nparts; i++)
        s->names[i] = s->parts[i].capture && !str_eqz(s->parts[i].text, "_") ? pipeline_name(p, s->parts[i].text, false) : NAME_NONE;
    return 0;
}

bool stage_regexp(struct runner *r, const struct stage *s)
{
    struct str g[GROUPS_MAX];

    if (s->need.n && str_find(r->line, s->need) < 0)
        return true;
    if (!regex_groups(s->re, r->line, 0, g, s->nnames))
        return true;
    for (uint32_t i = 1; i < s->nnames; i++) {
        if (s->names[i] == NAME_NONE)
            continue;
        if (lab_put(r, s, s->names[i], g[i].p ? g[i] : STR("")) == PUT_REJECT)
            return false;
    }
    return true;
}

bool stage_pattern(struct runner *r, const struct stage *s)
{
    struct str rest = r->line;
    uint32_t i = 0;

    if (rest.n == 0 || s->nparts == 0)
        return true;
    if (!s->parts[0].capture) {
        if (!str_starts(rest, s->parts[0].text))
            return true;
        rest = str_from(rest, s->parts[0].text.n);
        i = 1;
    }
    for (; i < s->nparts; i += 2) {
        bool last = i + 1 == s->nparts;
        ptrdiff_t found = last ? -1 : str_find(rest, s->parts[i + 1].text);
        struct str value = found < 0 ? rest : str_head(rest, (size_t)found);

        if (s->names[i] != NAME_NONE && lab_put(r, s, s->names[i], value) == PUT_REJECT)
            return false;
        if (found < 0)
            break;
        rest = str_from(rest, (size_t)found + s->parts[i + 1].text.n);
    }
    return true;
}
