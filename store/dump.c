/* dump.c - see dump.h. Goes over the raw pages (pages.h), so it can be let loose on a damaged file. */
#include "store/dump.h"

#include "store/check.h"
#include "store/pages.h"

#include <ctype.h>
#include <stdio.h>

enum { HEX_MAX = 64 * 1024, CRC = 4 };

struct dump {
    dump_print *print;
    void *arg;
    bool bytes;
    struct buf line;
};

static void flush(struct dump *d)
{
    d->print(d->arg, buf_z(&d->line));
    buf_reset(&d->line);
}

/* Sixteen bytes a line, with their characters. */
static void put_hex(struct dump *d, struct str v)
{
    for (size_t at = 0; at < v.n && at < HEX_MAX; at += 16) {
        size_t n = MIN(v.n - at, (size_t)16);

        buf_printf(&d->line, "    %06zx ", at);
        for (size_t i = 0; i < 16; i++)
            if (i < n)
                buf_printf(&d->line, " %02x", (unsigned char)v.p[at + i]);
            else
                buf_putz(&d->line, "   ");
        buf_putz(&d->line, "  ");
        for (size_t i = 0; i < n; i++)
            buf_putc(&d->line, isprint((unsigned char)v.p[at + i]) ? v.p[at + i] : '.');
        flush(d);
    }
    if (v.n > HEX_MAX) {
        buf_printf(&d->line, "    ... %zu bytes more", v.n - HEX_MAX);
        flush(d);
    }
}

static void put_key(struct dump *d, struct str key)
{
    for (size_t i = 0; i < key.n; i++)
        buf_printf(&d->line, "%02x", (unsigned char)key.p[i]);
}

static void put_group(struct dump *d, uint64_t first, struct str value)
{
    struct group_entry x;
    struct group g;
    uint64_t seq;
    struct err e;
    int rc = group_open(&g, first, value, &e);

    if (rc < 0) {
        buf_printf(&d->line, "group %llu: DAMAGED: %s", (unsigned long long)first, e.text);
        flush(d);
        return;
    }
    buf_printf(&d->line, "group %llu: %u entries, %zu bytes", (unsigned long long)first, g.n, value.n);
    flush(d);
    while ((rc = group_next(&g, true, &seq, &x, &e)) <= 0) {
        buf_printf(&d->line, "  entry %llu: tag %c, %zu bytes%s", (unsigned long long)seq, isprint(x.tag) ? x.tag : '?',
                   x.bytes.n, rc < 0 ? ", DAMAGED" : "");
        flush(d);
        if (d->bytes)
            put_hex(d, x.bytes);
    }
}

static int journal_pair(void *arg, struct str key, struct str value, struct err *e)
{
    struct dump *d = arg;
    uint32_t file;
    uint64_t seq;

    if (get_u64le(key.p) != 0) {
        put_group(d, get_u64le(key.p), value);
        return 0;
    }
    if (group_header_read(value, &file, &seq, e) < 0)
        buf_printf(&d->line, "header: DAMAGED: %s", e ? e->text : "");
    else
        buf_printf(&d->line, "journal file %u, numbers from %llu", file, (unsigned long long)seq);
    flush(d);
    return 0;
}

static bool crc_right(struct str key, struct str value)
{
    return value.n >= CRC && get_u32le(value.p + value.n - CRC) == value_crc(key, str_head(value, value.n - CRC));
}

static int state_pair(void *arg, struct str key, struct str value, struct err *e)
{
    struct dump *d = arg;

    (void)e;
    buf_printf(&d->line, "%.*s: %zu bytes%s", STR_ARG(key), value.n - CRC, crc_right(key, value) ? "" : ", DAMAGED");
    flush(d);
    if (d->bytes)
        put_hex(d, str_head(value, value.n - CRC));
    return 0;
}

static void put_manifest(struct dump *d, struct str value)
{
    char written[64];
    struct manifest m;
    struct err e;

    if (manifest_read(str_head(value, MANIFEST_BYTES), &m, &e) < 0) {
        buf_printf(&d->line, "manifest: DAMAGED: %s", e.text);
        flush(d);
        return;
    }
    written[time_fmt_rfc3339(m.written_ms, written)] = '\0';
    buf_printf(
        &d->line,
        "%s, format %u, day %d, %s: %llu keys, %llu bytes, contained %llu, commit %llu of %s, hash %016llx/%016llx",
        m.signal, m.format, m.day, m.sealed ? "sealed" : "live", (unsigned long long)m.keys,
        (unsigned long long)m.value_bytes, (unsigned long long)m.contained, (unsigned long long)m.txn, written,
        (unsigned long long)m.keys_hash, (unsigned long long)m.content_hash);
    flush(d);
}

static int partition_pair(void *arg, struct str key, struct str value, struct err *e)
{
    struct dump *d = arg;

    (void)e;
    if (str_eq(key, MANIFEST_KEY)) {
        put_manifest(d, value);
        return 0;
    }
    put_key(d, key);
    buf_printf(&d->line, ": %zu bytes%s", value.n - CRC, crc_right(key, value) ? "" : ", DAMAGED");
    flush(d);
    if (d->bytes)
        put_hex(d, str_head(value, value.n - CRC));
    return 0;
}

static int dump(const char *path, bool integer_keys, int (*pair)(void *, struct str, struct str, struct err *),
                struct dump *d, struct err *e)
{
    struct pages_check c = {.integer_keys = integer_keys, .values = true, .pair = pair, .arg = d};
    int rc = pages_walk_file(path, &c, e);

    if (rc == 0) {
        buf_printf(&d->line, "%llu pairs, %llu bytes, %llu free pages", (unsigned long long)c.pairs,
                   (unsigned long long)c.used_bytes, (unsigned long long)c.free_pages);
        flush(d);
    }
    buf_release(&d->line);
    return rc < 0 ? err_ctx(e, "%s", path) : 0;
}

int dump_journal(const char *path, bool bytes, dump_print *print, void *arg, struct err *e)
{
    return dump(path, true, journal_pair, &(struct dump){print, arg, bytes, {0}}, e);
}

int dump_state(const char *path, bool bytes, dump_print *print, void *arg, struct err *e)
{
    return dump(path, false, state_pair, &(struct dump){print, arg, bytes, {0}}, e);
}

int dump_partition(const char *path, bool bytes, dump_print *print, void *arg, struct err *e)
{
    return dump(path, false, partition_pair, &(struct dump){print, arg, bytes, {0}}, e);
}

int dump_file(const char *path, bool bytes, dump_print *print, void *arg, struct err *e)
{
    switch (check_kind_of(path)) {
    case CHECK_JOURNAL:
        return dump_journal(path, bytes, print, arg, e);
    case CHECK_STATE:
        return dump_state(path, bytes, print, arg, e);
    case CHECK_PARTITION:
        break;
    }
    return dump_partition(path, bytes, print, arg, e);
}
