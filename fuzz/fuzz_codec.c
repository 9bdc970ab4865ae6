/* Decoders of bodies: first byte the encoding. Whatever comes, no more than the limit is made; snappy agrees with the
 * library. */
#include "net/codec.h"

#include <assert.h>
#include <snappy-c.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OUT = 1 << 20 };

static void compare_snappy(struct str in, int rc, struct str out)
{
    size_t n = 0;
    bool theirs = false;
    char *p = NULL;

    if (snappy_uncompressed_length(in.p, in.n, &n) == SNAPPY_OK && n <= MAX_OUT) {
        p = malloc(n + 1);
        theirs = snappy_uncompress(in.p, in.n, p, &n) == SNAPPY_OK;
    }
    assert(theirs == (rc == 0));
    assert(!theirs || str_eq(out, str_n(p, n)));
    free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct str out = STR_NULL, in;
    struct err e = {0};
    enum encoding enc;
    int rc;

    if (size < 1)
        return 0;
    enc = (enum encoding)(data[0] % ENC_UNKNOWN);
    in = str_n(data + 1, size - 1);
    rc = body_decode(&a, enc, in, MAX_OUT, &out, &e);
    assert(rc < 0 || out.n <= MAX_OUT);
    assert(rc == 0 || e.text[0]);
    if (enc == ENC_SNAPPY)
        compare_snappy(in, rc, out);
    arena_release(&a);
    return 0;
}
