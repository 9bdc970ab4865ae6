/* value.c - see value.h. */
#include "base/template/template.h"

#include <stdlib.h>

const char *tmpl_type_name(const struct tmpl_value *v)
{
    switch (v->type) {
    case TMPL_T_NIL:
        return "<nil>";
    case TMPL_T_BOOL:
        return "bool";
    case TMPL_T_INT:
        return "int";
    case TMPL_T_FLOAT:
        return "float64";
    case TMPL_T_STRING:
        return "string";
    case TMPL_T_LIST:
        return "[]interface {}";
    case TMPL_T_MAP:
        return "map[string]interface {}";
    case TMPL_T_TIME:
        return "time.Time";
    case TMPL_T_DURATION:
        return "time.Duration";
    case TMPL_T_OBJECT:
        return v->o.class->name;
    }
    return "";
}

struct tmpl_value tmpl_plain(struct tmpl_run *r, struct tmpl_value v)
{
    return v.type == TMPL_T_OBJECT && v.o.class->plain ? v.o.class->plain(r, v.o.self) : v;
}

bool tmpl_truth(struct tmpl_run *r, struct tmpl_value v)
{
    v = tmpl_plain(r, v);
    switch (v.type) {
    case TMPL_T_NIL:
        return false;
    case TMPL_T_BOOL:
        return v.b;
    case TMPL_T_INT:
    case TMPL_T_DURATION:
        return v.i != 0;
    case TMPL_T_FLOAT:
        return v.f != 0;
    case TMPL_T_STRING:
        return v.s.n != 0;
    case TMPL_T_LIST:
        return v.list.n != 0;
    case TMPL_T_MAP:
        return v.map.n != 0;
    default:
        return true; /* a struct is */
    }
}

const struct tmpl_value *tmpl_map_get(struct tmpl_map m, struct str key)
{
    uint32_t lo = 0, hi = m.n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = str_cmp(m.v[mid].key, key);

        if (c == 0)
            return &m.v[mid].value;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static int by_key(const void *a, const void *b)
{
    return str_cmp(((const struct tmpl_entry *)a)->key, ((const struct tmpl_entry *)b)->key);
}

void tmpl_entries_sort(struct tmpl_entry *v, uint32_t n)
{
    if (n)
        qsort(v, n, sizeof *v, by_key);
}
