/*
 * label_set.c - the labels of the record at hand, and the names they have. See stage.h for what numbers and generations mean.
 */
#include "query/logql/json_scan.h"
#include "query/logql/stage.h"

#include <assert.h>
#include <stdlib.h>

/* --- names ------------------------------------------------------------------------------------------------- */

static void grow_slots(struct runner *r)
{
    uint32_t cap = r->name_mask ? (r->name_mask + 1) * 2 : 256;

    free(r->name_slots);
    r->name_slots = x_zalloc(cap * sizeof *r->name_slots);
    r->name_mask = cap - 1;
    for (uint32_t i = 0; i < r->nnames; i++) {
        uint32_t at = (uint32_t)r->names[i].hash & r->name_mask;

        while (r->name_slots[at])
            at = (at + 1) & r->name_mask;
        r->name_slots[at] = i + 1;
    }
}

static uint32_t find(const struct runner *r, struct str text, uint64_t hash)
{
    for (uint32_t at = (uint32_t)hash & r->name_mask; r->name_slots[at]; at = (at + 1) & r->name_mask) {
        const struct name *n = &r->names[r->name_slots[at] - 1];

        if (n->hash == hash && str_eq(n->text, text))
            return r->name_slots[at] - 1;
    }
    return NAME_NONE;
}

uint32_t label_name_find(const struct runner *r, struct str text)
{
    return find(r, text, hash64(text.p, text.n));
}

uint32_t label_name_intern(struct runner *r, struct str text)
{
    uint64_t hash = hash64(text.p, text.n);
    uint32_t i, at;

    if (r->name_slots) {
        i = find(r, text, hash);
        if (i != NAME_NONE)
            return i;
    }
    if (r->nnames == r->names_cap) {
        r->names_cap = r->names_cap ? r->names_cap * 2 : 64;
        r->names = x_realloc(r->names, r->names_cap * sizeof *r->names);
    }
    if (!r->name_slots || r->nnames * 2 > r->name_mask)
        grow_slots(r);
    i = r->nnames++;
    r->names[i] = (struct name){.text = arena_dup(&r->names_arena, text), .hash = hash, .extracted = NAME_NONE};
    r->names[i].wanted = i < r->p->nnames ? r->p->wanted[i] || r->p->wants_all : r->p->wants_all;
    at = (uint32_t)hash & r->name_mask;
    while (r->name_slots[at])
        at = (at + 1) & r->name_mask;
    r->name_slots[at] = i + 1;
    return i;
}

void name_forget(struct runner *r)
{
    const struct labels *stream = r->stream;

    r->nnames = 0;
    free(r->name_slots);
    r->name_slots = NULL;
    r->name_mask = 0;
    arena_release(&r->names_arena);
    key_table_release(&r->json_keys);
    key_table_release(&r->logfmt_keys);
    key_table_release(&r->other_keys);
    r->nfield_names = 0;
    for (uint32_t i = 0; i < r->p->nnames; i++) {
        uint32_t n = label_name_intern(r, r->p->names[i]);

        assert(n == i);
    }
    r->stream = NULL;
    if (stream)
        runner_stream(r, stream);
}

/* --- get and set -------------------------------------------------------------------------------------------- */

bool lab_read(const struct runner *r, uint32_t name, struct str *value)
{
    enum logql_category category;

    if (name == NAME_ERROR || name == NAME_ERROR_DETAILS) {
        *value = name == NAME_ERROR ? r->error : r->error_details;
        return value->n != 0;
    }
    return lab_get(r, name, value, &category);
}

static struct lab *lab_new(struct runner *r, uint32_t name)
{
    if (r->nlabs == r->labs_cap) {
        r->labs_cap = r->labs_cap ? r->labs_cap * 2 : 64;
        r->labs = x_realloc(r->labs, r->labs_cap * sizeof *r->labs);
    }
    r->names[name].line_gen = r->gen;
    r->names[name].at = r->nlabs;
    r->labs[r->nlabs].name = name;
    return &r->labs[r->nlabs++];
}

void lab_set(struct runner *r, enum logql_category category, uint32_t name, struct str value)
{
    struct lab *l = lab_slot(r, name);

    if (l && l->live && l->category > category)
        return;
    if (!l)
        l = lab_new(r, name);
    l->category = category;
    l->live = true;
    l->value = value;
    r->changed = true;
}

void lab_del(struct runner *r, uint32_t name)
{
    struct lab *l = lab_slot(r, name);

    if (!l && !stream_has(r, name))
        return;
    if (!l) {
        l = lab_new(r, name);
        l->category = LOGQL_STREAM;
        l->value = STR_NULL;
    }
    l->live = false;
    r->changed = true;
}

/* NAME_extracted. */
static uint32_t lab_extracted_name(struct runner *r, uint32_t name)
{
    if (r->names[name].extracted == NAME_NONE) {
        struct buf b = {0};
        uint32_t extracted;

        buf_puts(&b, r->names[name].text);
        buf_putz(&b, "_extracted");
        extracted = label_name_intern(r, buf_str(&b));
        buf_release(&b);
        r->names[name].extracted = extracted;
    }
    return r->names[name].extracted;
}

uint32_t lab_parsed_name(struct runner *r, uint32_t name)
{
    const struct lab *l = lab_slot(r, name);

    if (!stream_has(r, name) && !(l && l->live && l->category == LOGQL_META))
        return name;
    return lab_extracted_name(r, name);
}

enum put lab_put(struct runner *r, const struct stage *s, uint32_t name, struct str value)
{
    const struct lab *l;

    if (name <= NAME_ERROR_DETAILS) /* these are ours */
        return PUT_ON;
    name = lab_parsed_name(r, name);
    if (!r->names[name].wanted)
        return PUT_ON;
    l = lab_slot(r, name);
    if (l && l->live && l->category == LOGQL_PARSED)
        return PUT_ON;
    if (r->nlabs >= LABELS_MAX)
        return PUT_FULL;
    lab_set(r, LOGQL_PARSED, name, value_clean(r, value));
    if (s->early && s->early->name == name && !filter_passes(r, s->early))
        return PUT_REJECT;
    if (!r->p->wants_all && ++r->nfound == r->nexpected)
        return PUT_ENOUGH;
    return PUT_ON;
}

void runner_bind(struct runner *r)
{
    r->bound = true;
    for (uint32_t i = 0; i < r->row->nmeta; i++) {
        const struct label *m = &r->row->meta[i];
        uint32_t name = label_name_intern(r, m->name);

        if (name == NAME_ERROR)
            r->error = m->value;
        else if (name == NAME_ERROR_DETAILS)
            r->error_details = m->value;
        else
            lab_set(r, LOGQL_META, stream_has(r, name) ? lab_extracted_name(r, name) : name, m->value);
    }
    r->changed = false;
}

void runner_fail(struct runner *r, const char *what, struct str details)
{
    r->error = str_of(what);
    if (details.n)
        r->error_details = arena_dup(&r->a, details);
}

void runner_fail_err(struct runner *r, const char *what, const struct err *e)
{
    runner_fail(r, what, str_of(e->text));
}

struct str value_clean(struct runner *r, struct str v)
{
    char *p;

    if (r->ascii && v.p >= r->line.p && v.p <= r->line.p + r->line.n)
        return v;
    if (!lq_has_invalid(v))
        return v;
    p = arena_alloc(&r->a, v.n);
    memcpy(p, v.p, v.n);
    return str_n(p, lq_blank_invalid(p, v.n));
}
