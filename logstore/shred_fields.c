/*
 * shred_fields.c - which slots of a template are labels, and what their values are: as LogQL's json and logfmt give them.
 *
 * (1) Names are found by cutting the template again, with something in its slots.
 * (2) Where it is not certain that a parser would give the same (keys with escapes, beyond ASCII, empty, twice; values that are no
 *     UTF-8, lone surrogates), nothing is given: the line is parsed then.
 */
#include "logstore/shred.h"

/* --- names ------------------------------------------------------------------------------------------------------- */

static void put_dummy(struct buf *b, enum slot_sort sort)
{
    buf_putz(b, sort == SLOT_ARRAY ? "[]" : sort == SLOT_BOOL ? "true" : "0");
}

/* A line of the template; its slots hold dummies. */
static void put_skeleton(const struct shred *s, const struct shred_template *t, struct buf *b)
{
    for (uint32_t k = 0; k <= t->nslots; k++) {
        buf_put(b, s->literals + t->slots[k].literal_at, t->slots[k].literal_n);
        if (k < t->nslots)
            put_dummy(b, t->slots[k].sort);
    }
}

static inline bool word_byte(unsigned char c)
{
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Appends a key, sanitised. False: not for certain. */
static bool put_key(struct buf *b, struct str key)
{
    if (key.n == 0 || (unsigned char)key.p[0] <= ' ' || (unsigned char)key.p[key.n - 1] <= ' ')
        return false;
    if (b->n == 0 && key.p[0] >= '0' && key.p[0] <= '9')
        buf_putc(b, '_');
    for (size_t i = 0; i < key.n; i++) {
        unsigned char c = (unsigned char)key.p[i];

        if (c == '\\' || c >= 0x7f || c < ' ')
            return false;
        buf_putc(b, word_byte(c) ? (char)c : '_');
    }
    return true;
}

static struct str keep(struct column_in *in, struct str s)
{
    char *p = slab_alloc(in->slab, s.n + 1);

    memcpy(p, s.p, s.n);
    return str_n(p, s.n);
}

static bool name_slot(struct column_in *in, const struct cut_path *path, struct buf *scratch, struct field_name *f)
{
    struct str *keys = slab_array(in->slab, struct str, path->n);

    buf_reset(scratch);
    for (uint32_t k = 0; k < path->n; k++) {
        if (k)
            buf_putc(scratch, '_');
        if (!put_key(scratch, path->keys[k]))
            return false;
        keys[k] = keep(in, path->keys[k]);
    }
    f->name = keep(in, buf_str(scratch));
    f->path = keys;
    f->npath = path->n;
    return true;
}

/* Fills names from the cut skeleton; false: something is not for certain. */
static bool name_slots(struct column_in *in, const struct shred_template *t, const struct cut *c,
                       struct field_names *names)
{
    struct buf scratch = {0};
    bool sure = c->n == t->nslots;

    for (uint32_t k = 0; k < t->nslots && sure; k++) {
        struct field_name *f = &names->v[names->n];

        sure = c->slots[k].sort == t->slots[k].sort;
        if (!sure || t->slots[k].sort == SLOT_ARRAY)
            continue;
        *f = (struct field_name){.slot = k};
        sure = name_slot(in, &c->paths[k], &scratch, f);
        for (uint32_t i = 0; i < names->n && sure; i++)
            sure = !str_eq(names->v[i].name, f->name);
        names->n++;
    }
    buf_release(&scratch);
    return sure;
}

int shred_names(struct column_in *in, struct shred *s, struct shred_template *t)
{
    struct buf text = {0};

    if (t->names)
        return 0;
    struct field_names *names = in_alloc(in, sizeof *names);
    struct cut *c = in_alloc(in, sizeof *c);
    if (!names || !c || t->nslots > SHRED_SLOTS_MAX)
        return ERR_CORRUPT;
    *names = (struct field_names){.v = in_alloc(in, (t->nslots + (size_t)1) * sizeof *names->v)};
    c->paths = in_alloc(in, (t->nslots + (size_t)1) * sizeof *c->paths);
    if (!names->v || !c->paths)
        return ERR_CORRUPT;
    put_skeleton(s, t, &text);
    c->max = t->nslots;
    bool cut = t->kind == SHRED_JSON ? cut_json(c, buf_str(&text)) : cut_logfmt(c, buf_str(&text));
    names->sure = cut && name_slots(in, t, c, names);
    t->names = names;
    buf_release(&text);
    return 0;
}

/* --- values -------------------------------------------------------------------------------------------------------- */

static int hex4(const char *p)
{
    int v = 0;

    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;

        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* A \u escape at p, maybe two; 0: not for certain. */
static size_t read_unicode(const char *p, const char *end, char *to, size_t *to_n)
{
    size_t n = 6;
    int c = end - p >= 6 ? hex4(p + 2) : -1;

    if (c >= 0xd800 && c < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
        int low = hex4(p + 8);

        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        n = 12;
    }
    if (c <= 0 || (c >= 0xd800 && c < 0xe000) || c == 0xfffd)
        return 0;
    *to_n = utf8_encode((uint32_t)c, to);
    return n;
}

static ptrdiff_t unescape(struct str s, char *to)
{
    static const char from_to[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    const char *p = s.p, *end = s.p + s.n;
    char *begin = to;

    while (p < end) {
        size_t n;

        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        if (end - p < 2)
            return -1;
        if (p[1] == 'u') {
            size_t k = read_unicode(p, end, to, &n);

            if (k == 0)
                return -1;
            p += k;
            to += n;
            continue;
        }
        const char *at = from_to;
        while (*at && *at != p[1])
            at += 2;
        if (!*at)
            return -1;
        *to++ = at[1];
        p += 2;
    }
    return to - begin;
}

ptrdiff_t field_value(struct str s, bool quoted, char *to)
{
    ptrdiff_t n = (ptrdiff_t)s.n;

    if (quoted && str_chr(s, '\\') >= 0)
        n = unescape(s, to);
    else
        memcpy(to, s.p, s.n);
    if (n < 0 || !utf8_valid(str_n(to, (size_t)n)) || str_find(str_n(to, (size_t)n), STR("\xef\xbf\xbd")) >= 0)
        return -1;
    return n;
}
