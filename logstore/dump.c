/* dump.c - see dump.h. */
#include "logstore/dump.h"

#include "logstore/day.h"
#include "logstore/db.h"

struct dump {
    struct log_day_view *view;
    struct log_block *block;
    bool columns;
    void (*print)(void *arg, const char *line);
    void *arg;
    struct buf line;
};

static void put(struct dump *d)
{
    d->print(d->arg, buf_z(&d->line));
    buf_reset(&d->line);
}

static void put_span(struct dump *d, int64_t mint_ns, int64_t maxt_ns)
{
    char text[64];

    buf_put(&d->line, text, time_fmt_rfc3339(ms_of_ns(mint_ns), text));
    buf_putz(&d->line, " - ");
    buf_put(&d->line, text, time_fmt_rfc3339(ms_of_ns(maxt_ns), text));
}

static void put_streams(struct dump *d)
{
    const struct labels *ls;
    struct err e = {0};

    for (uint32_t i = 0; i < log_day_nstreams(d->view); i++) {
        buf_printf(&d->line, "stream %u: ", i);
        if (log_day_stream(d->view, i, &ls, NULL, &e) == 0)
            log_print_stream(&d->line, ls);
        else
            buf_printf(&d->line, "DAMAGED: %s", e.text);
        put(d);
    }
}

static void put_column(void *arg, const char *line)
{
    struct dump *d = arg;

    buf_printf(&d->line, "    %s", line);
    put(d);
}

static void put_block(struct dump *d, const struct log_slice_dir *dir, uint32_t slice, uint32_t b)
{
    const struct log_slice_block *x = &dir->blocks[b];
    struct str bytes = STR_NULL, filter = STR_NULL;
    uint32_t from, to;
    struct err e = {0};

    log_slice_streams(dir, b, &from, &to);
    buf_printf(&d->line, "  block %u: %u rows of %u streams, ", b, x->nrows, to - from);
    put_span(d, x->mint_ns, x->maxt_ns);
    if (log_day_filter(d->view, slice, b, &filter, &e) < 0 || log_day_block(d->view, slice, b, &bytes, &e) < 0 ||
        log_block_open(d->block, bytes, &e) < 0) {
        buf_printf(&d->line, ", DAMAGED: %s", e.text);
        put(d);
        return;
    }
    buf_printf(&d->line, ", %llu bytes in %zu, filter %zu", (unsigned long long)x->raw_bytes, bytes.n, filter.n);
    put(d);
    if (d->columns)
        log_block_dump(d->block, put_column, d);
}

static void put_slice(struct dump *d, uint32_t i)
{
    const struct log_slice *s = log_day_slice(d->view, i);
    const struct log_slice_dir *dir;
    struct err e = {0};

    buf_printf(&d->line, "slice %u: %u rows of %u streams, ", s->id, s->nrows, s->nstreams);
    put_span(d, s->mint_ns, s->maxt_ns);
    buf_printf(&d->line, ", %llu bytes of lines, %llu on disk", (unsigned long long)s->bytes, (unsigned long long)s->disk_bytes);
    if (log_day_slice_dir(d->view, i, &dir, &e) < 0) {
        buf_printf(&d->line, ", DAMAGED: %s", e.text);
        put(d);
        return;
    }
    put(d);
    for (uint32_t b = 0; b < dir->nblocks; b++)
        put_block(d, dir, i, b);
}

int logstore_dump(struct logstore *ls, int32_t day, bool columns, void (*print)(void *arg, const char *line), void *arg, struct err *e)
{
    struct dump d = {.columns = columns, .print = print, .arg = arg};
    struct partition_list l;
    int rc;

    store_partitions(ls->store, LOGSTORE_SIGNAL, day_start_ms(day), day_start_ms(day), &l);
    rc = l.n ? log_day_view_open(l.v[0], &d.view, e) : err_set(e, ERR_NOT_FOUND, "no logs of day %d", (int)day);
    if (rc == 0) {
        d.block = log_block_new();
        put_streams(&d);
        for (uint32_t i = 0; i < log_day_nslices(d.view); i++)
            put_slice(&d, i);
        log_block_free(d.block);
        log_day_view_close(d.view);
    }
    partition_list_release(&l);
    buf_release(&d.line);
    return rc;
}
