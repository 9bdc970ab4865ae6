/* stage_names.c - drop and keep: labels by name, or by name where the value matches. */
#include "query/logql/stage.h"

int stage_names_compile(struct pipeline *p, struct stage *s, struct err *e)
{
    (void)e;
    s->nnames = s->ast->names.n;
    s->names = arena_array(&p->a, uint32_t, s->nnames + 1);
    for (uint32_t i = 0; i < s->nnames; i++)
        s->names[i] = pipeline_name(p, s->ast->names.v[i].name, s->ast->names.v[i].matcher != NULL);
    return 0;
}

bool stage_drop(struct runner *r, const struct stage *s)
{
    for (uint32_t i = 0; i < s->nnames; i++) {
        const struct matcher *m = s->ast->names.v[i].matcher;
        struct str value = STR_NULL;

        if (m) {
            if (!lab_read(r, s->names[i], &value))
                value = STR_NULL;
            if (!matcher_matches(m, value))
                continue;
        }
        if (s->names[i] == NAME_ERROR)
            r->error = STR_NULL;
        else if (s->names[i] == NAME_ERROR_DETAILS)
            r->error_details = STR_NULL;
        else
            lab_del(r, s->names[i]);
    }
    return true;
}

static bool kept(const struct stage *s, uint32_t name, struct str value)
{
    if (name < NAMES_FIXED)
        return true;
    for (uint32_t i = 0; i < s->nnames; i++) {
        const struct matcher *m = s->ast->names.v[i].matcher;

        if (s->names[i] == name && (!m || matcher_matches(m, value)))
            return true;
    }
    return false;
}

bool stage_keep(struct runner *r, const struct stage *s)
{
    uint32_t nlabs = r->nlabs;

    for (uint32_t i = 0; i < nlabs; i++)
        if (r->labs[i].live && !kept(s, r->labs[i].name, r->labs[i].value))
            lab_del(r, r->labs[i].name);
    for (uint32_t i = 0; i < r->stream->n; i++)
        if (!lab_slot(r, r->stream_names[i]) && !kept(s, r->stream_names[i], r->stream->v[i].value))
            lab_del(r, r->stream_names[i]);
    return true;
}
