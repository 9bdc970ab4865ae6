/*
 * metadata.c - type, help and unit of metric families. What a sender says first goes through the journal like samples;
 * at a flush everything known is written to the state file as one value.
 *
 *     version 1 | varint families | each: text family, varint variants | each, newest first: type byte, text help, text
 * unit
 */
#include "tsdb/db.h"

#include <stdlib.h>

enum { VERSION = 1, VARIANTS_MAX = 4, FAMILIES_MAX = 200000, TEXT_MAX = 16 * 1024 };
#define STATE_KEY STR("tsdb/metadata")

struct variant {
    uint8_t type;
    char *help, *unit; /* owned */
};

struct family {
    char *name; /* owned */
    size_t name_n;
    struct variant v[VARIANTS_MAX]; /* newest first */
    uint32_t n;
};

struct metadata {
    /* All under mu. */
    pthread_mutex_t mu;
    struct map families; /* name -> struct family */
    bool dirty;
};

struct metadata *metadata_new(void)
{
    struct metadata *m = x_zalloc(sizeof *m);

    pthread_mutex_init(&m->mu, NULL);
    return m;
}

static void free_variant(struct variant *v)
{
    free(v->help);
    free(v->unit);
}

void metadata_free(struct metadata *m)
{
    struct map_entry *en;
    uint32_t i = 0;

    if (!m)
        return;
    while ((en = map_next(&m->families, &i))) {
        struct family *f = en->value;
        for (uint32_t k = 0; k < f->n; k++)
            free_variant(&f->v[k]);
        free(f->name);
        free(f);
    }
    map_release(&m->families);
    pthread_mutex_destroy(&m->mu);
    free(m);
}

static bool is_variant(const struct variant *v, const struct tsdb_metadata *md)
{
    return v->type == md->type && str_eqz(md->help, v->help) && str_eqz(md->unit, v->unit);
}

static bool well_formed(const struct tsdb_metadata *md)
{
    return md->family.n && md->family.n <= TEXT_MAX && md->help.n <= TEXT_MAX && md->unit.n <= TEXT_MAX &&
           !memchr(md->help.p ? md->help.p : "", 0, md->help.n) && !memchr(md->unit.p ? md->unit.p : "", 0, md->unit.n);
}

bool metadata_news(struct metadata *m, const struct tsdb_metadata *md)
{
    const struct family *f;
    bool news;

    if (!well_formed(md))
        return false;
    pthread_mutex_lock(&m->mu);
    f = map_get(&m->families, md->family);
    news = f ? !is_variant(&f->v[0], md) : m->families.n < FAMILIES_MAX;
    pthread_mutex_unlock(&m->mu);
    return news;
}

/* Under mu. At the front, or (old) at the back. */
static void put(struct metadata *m, const struct tsdb_metadata *md, bool back)
{
    void **slot;
    struct family *f = map_get(&m->families, md->family);
    struct variant fresh;
    uint32_t at = 0;

    if (!f) {
        f = x_zalloc(sizeof *f);
        f->name = x_strdup(md->family);
        f->name_n = md->family.n;
        slot = map_put(&m->families, str_n(f->name, f->name_n), NULL);
        *slot = f;
    }
    while (at < f->n && !is_variant(&f->v[at], md))
        at++;
    if (at < f->n) {
        fresh = f->v[at];
    } else {
        if (f->n == VARIANTS_MAX)
            free_variant(&f->v[--f->n]);
        at = f->n++;
        fresh = (struct variant){md->type, x_strdup(md->help), x_strdup(md->unit)};
    }
    if (!back) {
        memmove(&f->v[1], &f->v[0], at * sizeof fresh);
        at = 0;
    }
    f->v[at] = fresh;
}

void metadata_put(struct metadata *m, const struct tsdb_metadata *md)
{
    if (!metadata_news(m, md))
        return;
    pthread_mutex_lock(&m->mu);
    put(m, md, false);
    m->dirty = true;
    pthread_mutex_unlock(&m->mu);
}

/* --- state -------------------------------------------------------------------------------------- */

static void put_text(struct buf *b, const char *z)
{
    buf_put_varint(b, strlen(z));
    buf_putz(b, z);
}

static bool get_text(const uint8_t **p, const uint8_t *end, struct str *out)
{
    uint64_t n;

    *p = get_varint(*p, end, &n);
    if (!*p || n > (uint64_t)(end - *p))
        return false;
    *out = str_n(*p, n);
    *p += n;
    return true;
}

static bool parse(struct metadata *m, struct str value)
{
    const uint8_t *p = (const uint8_t *)value.p, *end = p + value.n;
    uint64_t families, variants;
    struct tsdb_metadata md;

    if (value.n == 0 || *p++ != VERSION || !(p = get_varint(p, end, &families)))
        return false;
    while (families--) {
        if (!get_text(&p, end, &md.family) || !(p = get_varint(p, end, &variants)))
            return false;
        while (variants--) {
            if (p == end)
                return false;
            md.type = *p++;
            if (!get_text(&p, end, &md.help) || !get_text(&p, end, &md.unit))
                return false;
            put(m, &md, true);
        }
    }
    return p == end;
}

int metadata_load(struct metadata *m, struct state *s, struct err *e)
{
    struct arena a = {0};
    struct str value;
    int rc = state_get(s, &a, STATE_KEY, &value, e);

    if (rc == 0 && !parse(m, value))
        log_warn("tsdb", "stored metadata is unreadable; it comes back as senders repeat it");
    arena_release(&a);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int metadata_flush(struct metadata *m, struct state *s, struct err *e)
{
    struct map_entry *en;
    struct buf b = {0};
    uint32_t i = 0;
    int rc;

    pthread_mutex_lock(&m->mu);
    if (!m->dirty) {
        pthread_mutex_unlock(&m->mu);
        return 0;
    }
    m->dirty = false;
    buf_putc(&b, VERSION);
    buf_put_varint(&b, m->families.n);
    while ((en = map_next(&m->families, &i))) {
        const struct family *f = en->value;
        buf_put_varint(&b, f->name_n);
        buf_put(&b, f->name, f->name_n);
        buf_put_varint(&b, f->n);
        for (uint32_t k = 0; k < f->n; k++) {
            buf_putc(&b, (char)f->v[k].type);
            put_text(&b, f->v[k].help);
            put_text(&b, f->v[k].unit);
        }
    }
    pthread_mutex_unlock(&m->mu);
    rc = state_put(s, STATE_KEY, buf_str(&b), e);
    buf_release(&b);
    if (rc < 0) {
        pthread_mutex_lock(&m->mu);
        m->dirty = true;
        pthread_mutex_unlock(&m->mu);
    }
    return rc;
}

/* --- out ---------------------------------------------------------------------------------------- */

int tsdb_metadata(struct tsdb *db, struct str family, struct arena *a, struct tsdb_metadata **out, uint32_t *n,
                  struct err *e)
{
    struct metadata *m = db->metadata;
    struct map_entry *en;
    uint32_t i = 0;

    (void)e;
    *n = 0;
    pthread_mutex_lock(&m->mu);
    *out = arena_array(a, struct tsdb_metadata, (family.n ? 1 : (size_t)m->families.n) * VARIANTS_MAX);
    while ((en = map_next(&m->families, &i))) {
        const struct family *f = en->value;
        if (family.n && !str_eq(family, en->key))
            continue;
        struct str name = arena_dup(a, en->key);
        for (uint32_t k = 0; k < f->n; k++)
            (*out)[(*n)++] = (struct tsdb_metadata){name, arena_dup(a, str_of(f->v[k].help)),
                                                    arena_dup(a, str_of(f->v[k].unit)), f->v[k].type};
    }
    pthread_mutex_unlock(&m->mu);
    return 0;
}
