/*
 * column_ip.c - IPv4 addresses: four bytes each, the first ones of all, then the second ones.
 *
 *   four runs
 */
#include "logstore/column_kinds.h"
#include "logstore/filter.h"

enum { IP_ROOM = 16 }; /* of one address as text, three dots and twelve digits */

/* One number of an address and what ends it (a dot, or the end); NULL: it is none, or would come back differently. */
static inline const char *read_part(const char *p, const char *end, uint8_t *out)
{
    unsigned v = 0, n = 0;

    for (; p < end && n < 4 && *p >= '0' && *p <= '9'; p++, n++)
        v = v * 10 + (unsigned)(*p - '0');
    if (n == 0 || n > 3 || v > 255 || (n > 1 && p[-(int)n] == '0'))
        return NULL;
    *out = (uint8_t)v;
    return p;
}

bool ips_write(struct column_out *o, const struct str *v, uint32_t n)
{
    uint8_t *parts = slab_alloc(o->slab, (size_t)n * 4);

    for (uint32_t i = 0; i < n; i++) {
        const char *p = v[i].p, *end = p + v[i].n;

        for (unsigned k = 0; k < 4; k++)
            if ((k && (p == end || *p++ != '.')) || !(p = read_part(p, end, &parts[(size_t)k * n + i])))
                return false;
        if (p != end)
            return false;
    }
    out_byte(o, TEXT_IPS);
    for (unsigned k = 0; k < 4; k++)
        out_bytes(o, POOL_NUMS, parts + (size_t)k * n, n);
    for (uint32_t i = 0; i < n; i++)
        filter_text(o->filter, v[i]);
    return true;
}

int ips_parse(struct column_in *in, struct text *t)
{
    for (unsigned k = 0; k < 4; k++)
        if (in_run(in, POOL_NUMS, &t->ints.planes[k]) < 0 || t->ints.planes[k].n != t->n)
            return ERR_CORRUPT;
    return 0;
}

/* "0." to "255." and how long they are. */
struct part_text {
    char text[4];
    uint8_t n;
};

static void make_parts(struct part_text parts[256])
{
    for (unsigned v = 0; v < 256; v++) {
        char *p = parts[v].text;

        if (v > 99)
            *p++ = (char)('0' + v / 100);
        if (v > 9)
            *p++ = (char)('0' + v / 10 % 10);
        *p++ = (char)('0' + v % 10);
        *p++ = '.';
        parts[v].n = (uint8_t)(p - parts[v].text);
    }
}

int ips_read(struct column_in *in, struct text *t)
{
    struct part_text parts[256] = {{{0}, 0}};
    const char *planes[4];
    char *out = in_alloc(in, (size_t)t->n * IP_ROOM);
    uint64_t *cells = in_alloc(in, (t->n + (size_t)1) * sizeof *cells);

    for (unsigned k = 0; k < 4; k++)
        if (run_bytes(in, &t->ints.planes[k], &planes[k]) < 0)
            return ERR_CORRUPT;
    if (!out || !cells)
        return ERR_CORRUPT;
    make_parts(parts);
    memset(out, 0, (size_t)t->n * IP_ROOM); /* text_plain looks at all of it */
    for (uint32_t i = 0; i < t->n; i++) {
        char *begin = out + (size_t)i * IP_ROOM, *p = begin;

        for (unsigned k = 0; k < 4; k++) {
            const struct part_text *part = &parts[(uint8_t)planes[k][i]];

            memcpy(p, part->text, 4);
            p += part->n;
        }
        cells[i] = cell((uint64_t)(begin - out), (uint64_t)(p - 1 - begin));
    }
    t->base = out;
    t->base_n = (size_t)t->n * IP_ROOM;
    t->cells = cells;
    return 0;
}
