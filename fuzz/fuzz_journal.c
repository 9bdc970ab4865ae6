/*
 * fuzz_journal.c - what reads our files without trusting them: entry groups, manifests, and the walk over raw pages. The first
 * byte chooses. Beside "does not die": what is accepted is consistent.
 */
#include "store/check.h"
#include "store/pages.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_group(struct str in)
{
    struct group_entry x;
    struct group g;
    size_t sum = 0;
    uint64_t seq;
    struct err e;
    int rc;

    if (group_open(&g, 7, in, &e) < 0)
        return;
    while ((rc = group_next(&g, true, &seq, &x, &e)) <= 0) {
        assert(seq >= 7 && x.bytes.p >= in.p && x.bytes.p + x.bytes.n <= in.p + in.n);
        sum += x.bytes.n;
    }
    assert(group_bytes(g.n, sum) == in.n);
}

/* What was written is read back, whatever it is. */
static void fuzz_round_trip(struct str in)
{
    struct group_entry v[16], x;
    uint32_t n = 0;
    size_t sum = 0;
    struct group g;
    uint64_t seq;
    struct err e;
    char *out;

    while (in.n > 1 && n < ARRAY_LEN(v)) {
        size_t k = MIN((size_t)(unsigned char)in.p[0], in.n - 1);

        v[n++] = (struct group_entry){str_n(in.p + 1, k), (uint8_t)in.p[0]};
        sum += k;
        in = str_from(in, 1 + k);
    }
    out = x_alloc(group_bytes(n, sum));
    group_write(out, 99, v, n);
    assert(group_open(&g, 99, str_n(out, group_bytes(n, sum)), &e) == 0);
    for (uint32_t i = 0; i < n; i++) {
        assert(group_next(&g, true, &seq, &x, &e) == 0);
        assert(seq == 99 + i && x.tag == v[i].tag && str_eq(x.bytes, v[i].bytes));
    }
    assert(group_next(&g, true, &seq, &x, &e) == 1);
    free(out);
}

static void fuzz_manifest(struct str in)
{
    char out[MANIFEST_BYTES], again[MANIFEST_BYTES];
    uint64_t first_seq;
    struct manifest m;
    uint32_t file;
    struct err e;

    (void)group_header_read(in, &file, &first_seq, &e);
    if (manifest_read(in, &m, &e) < 0)
        return;
    manifest_write(out, &m);
    assert(manifest_read(str_n(out, sizeof out), &m, &e) == 0);
    manifest_write(again, &m);
    assert(memcmp(out, again, sizeof out) == 0);
}

/* --- pages: the input says which bytes of a small file differ from a good one ------------------- */

static int read_memory(void *arg, void *p, size_t n, uint64_t at)
{
    const struct str *s = arg;

    if (at > s->n || n > s->n - at)
        return EIO;
    memcpy(p, s->p + at, n);
    return 0;
}

static int touch(void *arg, struct str key, struct str value, struct err *e)
{
    uint64_t *sum = arg;

    (void)e;
    for (size_t i = 0; i < key.n; i++)
        *sum += (unsigned char)key.p[i];
    for (size_t i = 0; value.p && i < value.n; i++)
        *sum += (unsigned char)value.p[i];
    return 0;
}

static void page_head(char *p, uint64_t number, uint16_t flags, uint16_t lower, uint16_t upper)
{
    put_u64le(p, number);
    put_u16le(p + 10, flags);
    put_u16le(p + 12, lower);
    put_u16le(p + 14, upper);
}

/* A file of one leaf with three pairs, one of them on a page of its own; as LMDB would write it. */
static void good_file(char *f)
{
    memset(f, 0, 5 * 4096);
    for (uint64_t i = 0; i < 2; i++) {
        char *p = f + i * 4096;

        page_head(p, i, 8, 0, 0);
        put_u32le(p + 16, 0xbeefc0de);
        put_u32le(p + 20, 1);
        put_u32le(p + 40, 4096);
        put_u16le(p + 44, 8);
        put_u64le(p + 40 + 40, UINT64_MAX); /* no free list */
        put_u16le(p + 88 + 6, 1);           /* depth */
        put_u64le(p + 88 + 16, 1);          /* leaf pages */
        put_u64le(p + 88 + 24, 2);          /* overflow pages */
        put_u64le(p + 88 + 32, 3);          /* entries */
        put_u64le(p + 88 + 40, 2);          /* root */
        put_u64le(p + 136, 4);              /* last page */
        put_u64le(p + 144, i);              /* txn */
    }
    page_head(f + 2 * 4096, 2, 2, 16 + 6, 4096 - 48);
    for (unsigned i = 0; i < 3; i++) {
        char *node = f + 2 * 4096 + 4096 - 48 + 16 * i;

        put_u16le(f + 2 * 4096 + 16 + 2 * i, (uint16_t)(4096 - 48 + 16 * i));
        put_u32le(node, i == 2 ? 5000 : 4);
        put_u16le(node + 4, i == 2);
        put_u16le(node + 6, i == 2 ? 1 : 2);
        node[8] = (char)('a' + i);
        if (i == 2)
            put_u64le(node + 9, 3); /* one byte over its 16: it is the last node, see below */
    }
    /* The last node needs 17 bytes: move all up by two. */
    memmove(f + 2 * 4096 + 4096 - 50, f + 2 * 4096 + 4096 - 48, 48);
    page_head(f + 2 * 4096, 2, 2, 16 + 6, 4096 - 50);
    for (unsigned i = 0; i < 3; i++)
        put_u16le(f + 2 * 4096 + 16 + 2 * i, (uint16_t)(4096 - 50 + 16 * i));
    put_u64le(f + 2 * 4096 + 4096 - 50 + 32 + 9, 3);
    put_u64le(f + 3 * 4096, 3);
    put_u16le(f + 3 * 4096 + 10, 4);
    put_u32le(f + 3 * 4096 + 12, 2);
}

static void walk(struct str file, bool integer_keys, bool values)
{
    uint64_t sum = 0;
    struct pages_source src = {read_memory, &file, file.n};
    struct pages_check c = {.integer_keys = integer_keys, .values = values, .pair = touch, .arg = &sum};
    struct err e;

    (void)pages_walk(&src, &c, &e);
}

static void fuzz_pages(struct str in)
{
    static char good[5 * 4096];
    static bool made;
    char *f = x_alloc(sizeof good);
    struct str file = {f, sizeof good};

    if (!made) {
        uint64_t sum = 0;
        struct str whole = {good, sizeof good};
        struct pages_source src = {read_memory, &whole, sizeof good};
        struct pages_check c = {.values = true, .pair = touch, .arg = &sum};
        struct err e = {0};

        good_file(good);
        made = true;
        if (pages_walk(&src, &c, &e) < 0 || c.pairs != 3) {
            fprintf(stderr, "the seed file is not accepted: %s\n", e.text);
            abort();
        }
    }
    memcpy(f, good, sizeof good);
    while (in.n >= 3) { /* u16 place among the bytes that matter, u8 value */
        size_t at = get_u16le(in.p) % (5 * 512);

        f[at / 512 * 4096 + (at % 512 < 256 ? at % 256 : 4096 - 1 - at % 256)] = in.p[2];
        in = str_from(in, 3);
    }
    if (in.n == 1)
        file.n = (unsigned char)in.p[0] * 128u % (sizeof good + 1);
    walk(file, false, true);
    walk(file, true, false);
    free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data + 1, size - 1};

    if (size == 0)
        return 0;
    switch (data[0] % 5) {
    case 0:
        fuzz_group(in);
        break;
    case 1:
        fuzz_round_trip(in);
        break;
    case 2:
        fuzz_manifest(in);
        break;
    case 3:
        fuzz_pages(in);
        break;
    default: /* the bytes as they are, as a file */
        walk(in, false, true);
    }
    return 0;
}
