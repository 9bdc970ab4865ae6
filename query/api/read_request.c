/*
 * read_request.c - ReadRequest { queries 1 *, accepted_response_types 2 * }.
 *
 *   Query        { start 1, end 2, matchers 3 *, hints 4 }     LabelMatcher { type 1, name 2, value 3 }
 *   ReadHints    { step 1, func 2, start 3, end 4, grouping 5 *, by 6, range 7 }
 *
 * Hints are advice. One is followed: func "series" wants labels alone. A narrower window in them is not: the window of
 * the query is what the client keeps of the answer.
 */
#include "query/api/read_request.h"

#include "net/wire.h"

enum { QUERIES_MAX = 1000, MATCHERS_MAX = 1000 };
enum { SAMPLES = 0, STREAMED_XOR_CHUNKS = 1 };

static int broken(struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID, "protobuf: %s can not be read", what);
}

/* How many fields with this number; <0 when the message is broken. */
static int count_fields(struct str bytes, uint32_t number, uint32_t *n)
{
    struct wire w;
    struct field f;
    int rc;

    *n = 0;
    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0)
        *n += f.number == number;
    return rc < 0 ? rc : 0;
}

static int read_matcher(struct matcher *m, struct str bytes, const struct labels *external, struct err *e)
{
    struct str name = STR(""), value = STR("");
    uint64_t type = 0;
    struct wire w;
    struct field f;
    int rc;

    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0) {
        if (f.number == 1 && f.type == WIRE_VARINT)
            type = f.v;
        else if (f.number == 2 && f.type == WIRE_BYTES)
            name = f.bytes;
        else if (f.number == 3 && f.type == WIRE_BYTES)
            value = f.bytes;
    }
    if (rc < 0)
        return broken(e, "a matcher");
    if (type > MATCH_NRE)
        return err_set(e, ERR_INVALID, "invalid matcher type %llu", (unsigned long long)type);
    if (!utf8_valid(name) || !utf8_valid(value))
        return err_set(e, ERR_INVALID, "a matcher is not valid UTF-8");
    if (type == MATCH_EQ && value.n && str_eq(labels_get(external, name), value))
        value = STR("");
    return matcher_init(m, (enum match_op)type, name, value, e);
}

static int read_hints(struct read_query *q, struct str bytes, struct err *e)
{
    struct wire w;
    struct field f;
    int rc;

    wire_init(&w, bytes);
    while ((rc = wire_next(&w, &f)) == 0)
        if (f.number == 2 && f.type == WIRE_BYTES)
            q->labels_only = str_eqz(f.bytes, "series");
    return rc < 0 ? broken(e, "hints") : 0;
}

static int read_query(struct read_query *q, struct arena *a, struct str bytes, const struct labels *external,
                      struct err *e)
{
    uint32_t n;
    struct wire w;
    struct field f;
    int rc = count_fields(bytes, 3, &n);

    if (rc < 0)
        return broken(e, "a query");
    if (n > MATCHERS_MAX)
        return err_set(e, ERR_INVALID, "%u matchers in one query, at most %d", n, MATCHERS_MAX);
    q->m = arena_array(a, struct matcher, n + 1);
    wire_init(&w, bytes);
    while (wire_next(&w, &f) == 0) {
        rc = 0;
        if (f.number == 1 && f.type == WIRE_VARINT)
            q->mint = (int64_t)f.v;
        else if (f.number == 2 && f.type == WIRE_VARINT)
            q->maxt = (int64_t)f.v;
        else if (f.number == 3 && f.type == WIRE_BYTES)
            rc = read_matcher(&q->m[q->nm], f.bytes, external, e);
        else if (f.number == 4 && f.type == WIRE_BYTES)
            rc = read_hints(q, f.bytes, e);
        if (rc < 0)
            return rc;
        q->nm += f.number == 3 && f.type == WIRE_BYTES;
    }
    return 0;
}

/* What the client would take, in its order: the first that we know decides. */
struct choice {
    bool any, decided;
};

static void accept_type(struct read_request *r, uint64_t type, struct choice *c)
{
    c->any = true;
    if (c->decided || type > STREAMED_XOR_CHUNKS)
        return;
    r->chunks = type == STREAMED_XOR_CHUNKS;
    c->decided = true;
}

/* Packed or one by one. */
static int read_types(struct read_request *r, const struct field *f, struct choice *c)
{
    struct wire w;
    uint64_t type;

    if (f->type == WIRE_VARINT)
        accept_type(r, f->v, c);
    if (f->type != WIRE_BYTES)
        return 0;
    wire_init(&w, f->bytes);
    while (w.p < w.end) {
        if (!wire_varint(&w, &type))
            return ERR_INVALID;
        accept_type(r, type, c);
    }
    return 0;
}

int read_request_read(struct read_request *out, struct arena *a, struct str bytes, const struct labels *external,
                      struct err *e)
{
    struct choice types = {0};
    uint32_t n;
    struct wire w;
    struct field f;

    *out = (struct read_request){0};
    if (count_fields(bytes, 1, &n) < 0)
        return broken(e, "a read request");
    if (n > QUERIES_MAX)
        return err_set(e, ERR_INVALID, "%u queries in one request, at most %d", n, QUERIES_MAX);
    out->q = arena_array(a, struct read_query, n + 1);
    wire_init(&w, bytes);
    while (wire_next(&w, &f) == 0) {
        if (f.number == 1 && f.type == WIRE_BYTES) {
            if (read_query(&out->q[out->n++], a, f.bytes, external, e) < 0)
                return e->code;
        } else if (f.number == 2 && read_types(out, &f, &types) < 0) {
            return broken(e, "accepted_response_types");
        }
    }
    if (types.any && !types.decided)
        return err_set(e, ERR_INVALID,
                       "none of the accepted response types is known here: SAMPLES and STREAMED_XOR_CHUNKS are");
    return 0;
}

void read_request_release(struct read_request *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        for (uint32_t k = 0; k < r->q[i].nm; k++)
            matcher_release(&r->q[i].m[k]);
    *r = (struct read_request){0};
}
