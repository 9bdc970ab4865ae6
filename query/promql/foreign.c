/* foreign.c - see foreign.h: the register. */
#include "query/promql/foreign.h"

static const char *const names[PROMQL_FOREIGN_N] = {[PROMQL_LOGS] = "logs", [PROMQL_SPANS] = "spans"};

/* Set before the first query. */
static struct promql_foreign_source sources[PROMQL_FOREIGN_N];

void promql_foreign_register(enum promql_foreign lang, const struct promql_foreign_source *s)
{
    sources[lang] = s ? *s : (struct promql_foreign_source){0};
}

enum promql_foreign promql_foreign_find(struct str name)
{
    enum promql_foreign i = 0;

    while (i < PROMQL_FOREIGN_N && !str_eqz(name, names[i]))
        i++;
    return i;
}

const struct promql_foreign_source *promql_foreign_source(enum promql_foreign lang)
{
    return sources[lang].run ? &sources[lang] : NULL;
}
