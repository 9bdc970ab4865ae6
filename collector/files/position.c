/* position.c - marks of files, to bytes and back. */
#include "collector/files/position.h"

#include <unistd.h>

enum { VERSION = 1 };

void position_key(const struct position *p, struct buf *out)
{
    struct hash128 path = hash128(p->path.p, p->path.n);

    buf_printf(out, POSITION_PREFIX "%016llx/%016llx%016llx/%llx.%llx", (unsigned long long)hash64(p->job.p, p->job.n),
               (unsigned long long)path.hi, (unsigned long long)path.lo, (unsigned long long)p->dev, (unsigned long long)p->ino);
}

void position_encode(const struct position *p, struct buf *out)
{
    buf_putc(out, VERSION);
    buf_put_varint(out, p->dev);
    buf_put_varint(out, p->ino);
    buf_put_varint(out, p->offset);
    buf_put_varint(out, p->sig.n);
    buf_put_varint(out, zigzag(p->mtime_ns));
    buf_put_varint(out, p->flags);
    buf_put_u64(out, p->sig.hash);
    buf_put_varint(out, p->job.n);
    buf_puts(out, p->job);
    buf_put_varint(out, p->path.n);
    buf_puts(out, p->path);
}

static const uint8_t *get_text(const uint8_t *p, const uint8_t *end, struct str *out)
{
    uint64_t n;

    p = get_varint(p, end, &n);
    if (!p || n > (uint64_t)(end - p))
        return NULL;
    *out = str_n(p, n);
    return p + n;
}

bool position_decode(struct str value, struct position *out)
{
    const uint8_t *p = (const uint8_t *)value.p, *end = p + value.n;
    uint64_t v[6];

    *out = (struct position){0};
    if (value.n < 1 || *p++ != VERSION)
        return false;
    for (int i = 0; i < 6; i++) {
        p = get_varint(p, end, &v[i]);
        if (!p)
            return false;
    }
    if (end - p < 8 || v[3] > SIGNATURE_MAX)
        return false;
    out->dev = v[0];
    out->ino = v[1];
    out->offset = v[2];
    out->sig = (struct signature){(uint32_t)v[3], get_u64le(p)};
    out->mtime_ns = unzigzag(v[4]);
    out->flags = (uint32_t)v[5];
    p = get_text(p + 8, end, &out->job);
    p = p ? get_text(p, end, &out->path) : NULL;
    return p == end;
}

static ssize_t read_head(int fd, char *out, size_t n)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got = pread(fd, out + have, n - have, (off_t)have);

        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

struct signature signature_read(int fd)
{
    char head[SIGNATURE_MAX];
    ssize_t n = read_head(fd, head, sizeof(head));

    return n <= 0 ? (struct signature){0} : (struct signature){(uint32_t)n, hash64(head, (size_t)n)};
}

bool signature_holds(const struct signature *s, int fd)
{
    char head[SIGNATURE_MAX];

    return s->n > 0 && read_head(fd, head, s->n) == (ssize_t)s->n && hash64(head, s->n) == s->hash;
}
