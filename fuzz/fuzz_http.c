/*
 * The head of a request and chunked bodies. Splitting the input anywhere must not change what is understood, and what
 * was accepted must keep the promises of head.c.
 */
#include "net/head.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The body put together, fed in steps of `step` bytes. Returns the last event. */
static int run_chunked(struct str in, size_t step, struct buf *body, size_t *used)
{
    struct chunked c = {0};
    struct str data;
    struct err e;
    int rc = CHUNK_MORE;
    const char *p = in.p, *end = in.p;

    while (end < in.p + in.n) {
        end = MIN(end + step, in.p + in.n);
        while ((rc = chunked_next(&c, &p, end, &data, &e)) == CHUNK_DATA)
            buf_puts(body, data);
        if (rc != CHUNK_MORE)
            break;
    }
    *used = (size_t)(p - in.p);
    return rc;
}

static void check_chunked(struct str in)
{
    struct buf whole = {0}, split = {0};
    size_t a, b;
    int rc = run_chunked(in, in.n, &whole, &a), again = run_chunked(in, 1, &split, &b);

    assert(rc == again);
    assert(rc < 0 || (a == b && str_eq(buf_str(&whole), buf_str(&split))));
    buf_release(&whole);
    buf_release(&split);
}

static void check_head(struct str text)
{
    struct http_header headers[HEADERS_MAX];
    struct head h;
    struct err e;
    int status = head_parse(text, headers, &h, &e);

    assert(status == 0 || (status >= 400 && status <= 505));
    if (status)
        return;
    assert(h.nheaders <= HEADERS_MAX && !(h.chunked && h.has_length));
    assert(h.path.n > 0);
    for (uint32_t i = 0; i < h.nheaders; i++) {
        assert(h.headers[i].name.n > 0);
        for (size_t k = 0; k < h.headers[i].value.n; k++)
            assert((unsigned char)h.headers[i].value.p[k] >= ' ' || h.headers[i].value.p[k] == '\t');
    }
    header_lists(h.origin, "gzip");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_n(data, size), part;
    size_t scan = 0, end = 0, scan1 = 0, end1 = 0;
    struct arena a = {0};
    struct params ps = {0};
    struct err e;
    int rc = head_find_end(in, &scan, &end, &e), rc1 = 0;

    for (size_t n = 1; n <= size && rc1 == 0; n++) {
        part = str_head(in, n);
        rc1 = head_find_end(part, &scan1, &end1, &e);
    }
    assert(rc == rc1 && end == end1);
    if (rc > 0)
        check_head(str_head(in, end));
    check_chunked(rc > 0 ? str_from(in, end) : in);
    params_parse(&a, in, 1000, &ps, &e);
    url_decode(&a, in);
    arena_release(&a);
    return 0;
}
