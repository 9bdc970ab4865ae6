/*
 * Remote read requests, behind their snappy. What was read must hang together: matchers can be asked, and the same bytes in a
 * buffer of their own are read the same.
 */
#include "query/api/read_request.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct read_request *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        for (uint32_t k = 0; k < r->q[i].nm; k++) {
            const struct matcher *m = &r->q[i].m[k];

            assert(utf8_valid(m->name) && utf8_valid(m->value));
            assert((m->re != NULL) == (m->op == MATCH_RE || m->op == MATCH_NRE));
            matcher_matches(m, STR("region"));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct label region[] = {{STR("region"), STR("eu")}};
    const struct labels external = {region, 1};
    struct read_request a, b;
    struct arena arena = {0};
    struct err e = {0};
    char *body = malloc(size ? size : 1); /* exactly: what reads beyond is seen */
    int rc;

    if (size)
        memcpy(body, data, size);
    rc = read_request_read(&a, &arena, str_n(body, size), &external, &e);
    if (rc == 0)
        check(&a);
    else
        assert(rc == ERR_INVALID || rc == ERR_LIMIT);
    assert(rc == 0 || e.text[0]);
    assert(read_request_read(&b, &arena, str_n(body, size), &external, &e) == rc && a.n == b.n && a.chunks == b.chunks);
    read_request_release(&a);
    read_request_release(&b);
    free(body);
    arena_release(&arena);
    return 0;
}
