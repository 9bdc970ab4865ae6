/* group.c - see group.h. Everything read here may come from a damaged disk: every length is checked before it is used. */
#include "store/group.h"

#include <assert.h>

enum { MAGIC = 0x31474a54, HEADER_MAGIC = 0x31484a54, ROW = 12 };

static size_t head_bytes(uint32_t n)
{
    return 8 + (size_t)n * ROW + 4;
}

size_t group_bytes(uint32_t n, size_t bytes)
{
    return head_bytes(n) + bytes;
}

static uint32_t entry_crc(uint64_t seq, const struct group_entry *x)
{
    unsigned char lead[9];

    put_u64le(lead, seq);
    lead[8] = x->tag;
    return crc32c(crc32c(0, lead, sizeof lead), x->bytes.p, x->bytes.n);
}

static uint32_t head_crc(uint64_t seq, const void *head, size_t n)
{
    unsigned char key[8];

    put_u64le(key, seq);
    return crc32c(crc32c(0, key, sizeof key), head, n);
}

void group_write(char *out, uint64_t seq, const struct group_entry *v, uint32_t n)
{
    char *bytes = out + head_bytes(n);

    put_u32le(out, MAGIC);
    put_u32le(out + 4, n);
    for (uint32_t i = 0; i < n; i++) {
        char *row = out + 8 + (size_t)i * ROW;

        assert(v[i].bytes.n <= UINT32_MAX);
        put_u32le(row, (uint32_t)v[i].bytes.n);
        put_u32le(row + 4, v[i].tag);
        if (v[i].bytes.n)
            memcpy(bytes, v[i].bytes.p, v[i].bytes.n);
        /* From the copy: it is in the cache now, and it is what will be written. */
        put_u32le(row + 8, entry_crc(seq + i, &(struct group_entry){str_n(bytes, v[i].bytes.n), v[i].tag}));
        bytes += v[i].bytes.n;
    }
    put_u32le(out + head_bytes(n) - 4, head_crc(seq, out, head_bytes(n) - 4));
}

int group_open(struct group *g, uint64_t seq, struct str value, struct err *e)
{
    size_t sum = 0, head;
    uint32_t n;

    memset(g, 0, sizeof *g);
    if (value.n < head_bytes(0) || get_u32le(value.p) != MAGIC)
        return err_set(e, ERR_CORRUPT, "entry group %llu: not a group", (unsigned long long)seq);
    n = get_u32le(value.p + 4);
    if (n > GROUP_ENTRIES_MAX || value.n < head_bytes(n))
        return err_set(e, ERR_CORRUPT, "entry group %llu: cut in its head", (unsigned long long)seq);
    head = head_bytes(n);
    if (get_u32le(value.p + head - 4) != head_crc(seq, value.p, head - 4))
        return err_set(e, ERR_CORRUPT, "entry group %llu: bad checksum of its head", (unsigned long long)seq);
    for (uint32_t i = 0; i < n; i++)
        sum += get_u32le(value.p + 8 + (size_t)i * ROW);
    if (sum != value.n - head)
        return err_set(e, ERR_CORRUPT, "entry group %llu: %zu bytes where its head says %zu", (unsigned long long)seq,
                       value.n - head, sum);
    *g = (struct group){.value = value, .seq = seq, .n = n, .at = head};
    return 0;
}

int group_next(struct group *g, bool check, uint64_t *seq, struct group_entry *out, struct err *e)
{
    const char *row;
    uint32_t n;

    if (g->i >= g->n)
        return 1;
    row = g->value.p + 8 + (size_t)g->i * ROW;
    n = get_u32le(row);
    assert(n <= g->value.n - g->at); /* group_open added them up */
    out->bytes = str_n(g->value.p + g->at, n);
    out->tag = (uint8_t)get_u32le(row + 4);
    *seq = g->seq + g->i;
    g->at += n;
    g->i++;
    if (check && get_u32le(row + 8) != entry_crc(*seq, out))
        return err_set(e, ERR_CORRUPT, "entry %llu: bad checksum", (unsigned long long)*seq);
    return 0;
}

void group_header_write(char out[GROUP_HEADER_BYTES], uint32_t file, uint64_t first_seq)
{
    put_u32le(out, HEADER_MAGIC);
    put_u32le(out + 4, GROUP_VERSION);
    put_u32le(out + 8, file);
    put_u32le(out + 12, 0);
    put_u64le(out + 16, first_seq);
    put_u32le(out + 24, head_crc(0, out, 24));
}

int group_header_read(struct str value, uint32_t *file, uint64_t *first_seq, struct err *e)
{
    if (value.n != GROUP_HEADER_BYTES || get_u32le(value.p) != HEADER_MAGIC || get_u32le(value.p + 24) != head_crc(0, value.p, 24))
        return err_set(e, ERR_CORRUPT, "not the header of a journal file");
    if (get_u32le(value.p + 4) != GROUP_VERSION)
        return err_set(e, ERR_UNSUPPORTED, "journal format %u, this program knows %d", get_u32le(value.p + 4), GROUP_VERSION);
    *file = get_u32le(value.p + 8);
    *first_seq = get_u64le(value.p + 16);
    return 0;
}
