/* block_dump.c - the columns of a block for a person: kind, values, bytes. */
#include "logstore/block_file.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEMPLATE_SHOWN = 160 };

struct dump {
    void (*print)(void *arg, const char *line);
    void *arg;
    struct log_block *b;
};

static void say(struct dump *d, unsigned depth, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(struct dump *d, unsigned depth, const char *fmt, ...)
{
    struct buf line = {0};
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (unsigned i = 0; i < depth; i++)
        buf_putz(&line, "  ");
    buf_putz(&line, text);
    d->print(d->arg, buf_z(&line));
    buf_release(&line);
}

static size_t stored(const struct dump *d, const struct run *r)
{
    const struct stream *s = &d->b->in.streams[r->stream];

    return r->stream < POOLS ? r->n : s->packed_n;
}

static size_t ints_stored(const struct dump *d, const struct ints *x)
{
    size_t n = 0;

    for (unsigned k = 0; k < x->nplanes; k++)
        n += stored(d, &x->planes[k]);
    return n;
}

static void dump_ints(struct dump *d, unsigned depth, const char *what, const struct ints *x)
{
    say(d, depth, "%s: %u integers, order %u, %u planes, %zu bytes", what, x->n, x->order, x->nplanes,
        ints_stored(d, x));
}

static void dump_shred(struct dump *d, unsigned depth, struct shred *s);

static void dump_text(struct dump *d, unsigned depth, const char *what, const struct text *t)
{
    size_t own = t->kind == TEXT_CONST || t->kind == TEXT_STRINGS || t->kind == TEXT_HEX ? stored(d, &t->run) : 0;
    bool ints = t->kind != TEXT_CONST && t->kind != TEXT_HEX && t->kind != TEXT_SHRED && t->kind != TEXT_IPS;

    for (unsigned k = 0; k < 4 && t->kind == TEXT_IPS; k++)
        own += stored(d, &t->ints.planes[k]);
    say(d, depth, "%s: %u of %s, %zu bytes%s", what, t->n, text_kind_name(t->kind),
        own + (ints ? ints_stored(d, &t->ints) : 0) + (t->kind == TEXT_NUMBERS ? ints_stored(d, &t->more) : 0),
        t->kind == TEXT_TIMES && t->to_row ? ", by the row's time" : "");
    if (t->sub)
        dump_text(d, depth + 1, t->kind == TEXT_DICT ? "values" : "parts", t->sub);
    if (t->kind == TEXT_SHRED)
        dump_shred(d, depth + 1, t->shred);
}

/* A template as it reads, its slots as <column>. */
static void dump_template(struct dump *d, unsigned depth, const struct shred *s, const struct shred_template *t)
{
    struct buf text = {0};
    const char *literals;

    if (run_bytes(&d->b->in, &s->literal_run, &literals) < 0)
        return;
    for (uint32_t k = 0; k <= t->nslots && text.n < TEMPLATE_SHOWN; k++) {
        const struct shred_slot *slot = &t->slots[k];

        buf_put(&text, literals + slot->literal_at, MIN(slot->literal_n, (uint32_t)TEMPLATE_SHOWN));
        if (k < t->nslots)
            buf_printf(&text, "<%u>", slot->column);
    }
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ')
            text.p[i] = '.';
    say(d, depth, "%s template, %u values: %.*s", shred_kind_name(t->kind), t->count,
        STR_ARG(str_head(buf_str(&text), TEMPLATE_SHOWN)));
    buf_release(&text);
}

static void dump_shred(struct dump *d, unsigned depth, struct shred *s)
{
    char name[32];

    say(d, depth, "%u templates, %u columns, literals %zu bytes", s->ntemplates, s->ncolumns,
        stored(d, &s->literal_run));
    dump_ints(d, depth, "templates of values", &s->row_templates);
    for (uint32_t i = 0; i < s->ntemplates; i++)
        dump_template(d, depth, s, &s->templates[i]);
    for (uint32_t c = 0; c < s->ncolumns; c++) {
        snprintf(name, sizeof name, "<%u>", c);
        dump_text(d, depth, name, s->columns[c]);
    }
}

void log_block_dump(struct log_block *b, void (*print)(void *arg, const char *line), void *arg)
{
    struct dump d = {print, arg, b};

    if (!b->open)
        return;
    say(&d, 0, "%u rows, %llu bytes of lines", b->n, (unsigned long long)b->raw_bytes);
    for (uint32_t i = 0; i < POOLS; i++)
        say(&d, 0, "pool %u: %zu bytes, stored %zu", i, b->in.streams[i].n, b->in.streams[i].packed_n);
    dump_ints(&d, 0, "times", &b->times);
    dump_ints(&d, 0, "streams", &b->streams);
    dump_text(&d, 0, "lines", b->lines);
    for (uint32_t i = 0; i < b->nmeta; i++) {
        const char *p;

        if (run_bytes(&b->in, &b->meta[i].name_run, &p) < 0)
            return;
        say(&d, 0, "metadata %.*s: %u rows", STR_ARG(str_n(p, MIN(b->meta[i].name_run.n, 100u))), b->meta[i].n);
        dump_text(&d, 1, "values", b->meta[i].values);
    }
}
