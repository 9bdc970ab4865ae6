/*
 * stream.c - see stream.h.
 *
 * (1) A cached entry is of its text under the rules whose number it bears: with other rules it is not found.
 * (2) What comes out of the cache is a copy: an entry may go the moment its lock is let go.
 */
#include "collector/logs/stream.h"

#include "collector/logs/level.h"

#include <pthread.h>
#include <stdlib.h>

enum { SHARDS = 64, SLOTS = 64, TEXT_MAX = 4096, LABELS_SHOWN = 1000 };

/* --- names and values -------------------------------------------------------------------------------- */

static inline bool is_name_byte(char c)
{
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_clean(struct str name)
{
    bool before = false;
    size_t i = str_starts(name, STR("__")) ? 2 : 0;

    if (name.n && name.p[0] >= '0' && name.p[0] <= '9')
        return false;
    for (; i < name.n; i++) {
        bool under = name.p[i] == '_';

        if (!is_name_byte(name.p[i]) || (under && before))
            return false;
        before = under;
    }
    return true;
}

struct str name_sanitise(struct arena *a, struct str name)
{
    char *to;
    size_t n = 0, i = 0;

    if (is_clean(name))
        return name;
    to = arena_alloc(a, name.n + 4);
    if (str_starts(name, STR("__"))) {
        memcpy(to, "__", 2);
        n = i = 2;
    } else if (name.p[0] >= '0' && name.p[0] <= '9') {
        memcpy(to, "key_", 4);
        n = 4;
    }
    for (; i < name.n; i++) {
        char c = is_name_byte(name.p[i]) ? name.p[i] : '_';

        if (c != '_' || n == 0 || to[n - 1] != '_')
            to[n++] = c;
    }
    return str_n(to, n);
}

static bool is_ascii(struct str s)
{
    uint64_t any = 0;
    size_t i = 0;

    for (; i + 8 <= s.n; i += 8)
        any |= get_u64le(s.p + i);
    for (; i < s.n; i++)
        any |= (uint64_t)(unsigned char)s.p[i];
    return (any & UINT64_C(0x8080808080808080)) == 0;
}

struct str meta_value_clean(struct arena *a, struct str value)
{
    char *to;
    size_t at = 0;

    if (is_ascii(value) || (utf8_valid(value) && str_find(value, STR("\xef\xbf\xbd")) < 0))
        return value;
    to = arena_alloc(a, value.n);
    for (size_t i = 0, n; i < value.n; i += n) {
        uint32_t rune;

        n = utf8_decode(str_from(value, i), &rune);
        if (rune == 0xfffd) {
            to[at++] = ' ';
        } else {
            memcpy(to + at, value.p + i, n);
            at += n;
        }
    }
    return str_n(to, at);
}

/* --- {a="b"} ------------------------------------------------------------------------------------------- */

struct reader {
    struct arena *a;
    struct str text;
    size_t at;
    struct err *e;
};

static int fault(struct reader *r, const char *words)
{
    return err_set(r->e, ERR_INVALID, "1:%zu: parse error: %s", r->at + 1, words);
}

static char look(struct reader *r)
{
    while (r->at < r->text.n && strchr(" \t\r\n", r->text.p[r->at]) && r->text.p[r->at])
        r->at++;
    return r->at < r->text.n ? r->text.p[r->at] : '\0';
}

static int take_code(struct reader *r, unsigned base, unsigned digits, uint32_t *out)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < digits; i++, r->at++) {
        char c = r->at < r->text.n ? r->text.p[r->at] : '\0';
        uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a' + 10) : 99;

        if (d >= base)
            return fault(r, "an escape that is none");
        v = v * base + d;
    }
    *out = v;
    return 0;
}

/* Behind a backslash, as Go's quoted strings have them. */
static int take_escape(struct reader *r, char quote, char *out, size_t *n)
{
    static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
    char c = r->at < r->text.n ? r->text.p[r->at] : '\0';
    const char *known = c ? strchr(from, c) : NULL;
    uint32_t v = 0;

    if (known || c == quote) {
        out[(*n)++] = known ? to[known - from] : quote;
        r->at++;
        return 0;
    }
    if (c >= '0' && c <= '7') {
        if (take_code(r, 8, 3, &v) < 0 || v > 255)
            return fault(r, "an escape that is none");
        out[(*n)++] = (char)v;
        return 0;
    }
    r->at++;
    if (c == 'x' ? take_code(r, 16, 2, &v) < 0 : c == 'u' ? take_code(r, 16, 4, &v) < 0 : c == 'U' ? take_code(r, 16, 8, &v) < 0 : true)
        return fault(r, "an escape that is none");
    if (c == 'x')
        out[(*n)++] = (char)v;
    else if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return fault(r, "an escape of no character");
    else
        *n += utf8_encode(v, out + *n);
    return 0;
}

static int take_string(struct reader *r, struct str *out)
{
    char quote = look(r), *to;
    size_t from, end, n = 0;

    if (quote != '"' && quote != '\'' && quote != '`')
        return fault(r, "a quoted string was expected");
    from = end = ++r->at;
    while (end < r->text.n && r->text.p[end] != quote)
        end += r->text.p[end] == '\\' && quote != '`' ? 2 : 1;
    if (end >= r->text.n)
        return fault(r, "unterminated quoted string");
    *out = str_n(r->text.p + from, end - from);
    if (quote == '`' || str_chr(*out, '\\') < 0) {
        r->at = end + 1;
        return 0;
    }
    to = arena_alloc(r->a, out->n + 4);
    while (r->at < end) {
        if (r->text.p[r->at] != '\\') {
            to[n++] = r->text.p[r->at++];
            continue;
        }
        r->at++;
        if (take_escape(r, quote, to, &n) < 0)
            return ERR_INVALID;
    }
    r->at = end + 1;
    *out = str_n(to, n);
    return 0;
}

static int take_name(struct reader *r, struct str *out)
{
    size_t from;

    if (look(r) == '"')
        return take_string(r, out);
    from = r->at;
    while (r->at < r->text.n && is_name_byte(r->text.p[r->at]))
        r->at++;
    *out = str_n(r->text.p + from, r->at - from);
    return out->n && !(out->p[0] >= '0' && out->p[0] <= '9') ? 0 : fault(r, "a label name was expected");
}

int stream_parse(struct arena *a, struct str text, struct labels *out, struct err *e)
{
    struct reader r = {a, text, 0, e};
    uint32_t cap = 2;
    struct str metric = STR_NULL;

    for (const char *p = text.p; p < text.p + text.n && (p = memchr(p, '=', (size_t)(text.p + text.n - p))); p++)
        cap++;
    *out = (struct labels){arena_alloc(a, (cap + 1) * sizeof *out->v), 0}; /* one is room for service_name */
    if (look(&r) != '{' && r.at < text.n && take_name(&r, &metric) < 0)
        return ERR_INVALID;
    if (metric.n)
        out->v[out->n++] = (struct label){STR(LABEL_NAME), metric};
    if (look(&r) != '{' || r.at == text.n)
        return metric.n && r.at == text.n ? 0 : fault(&r, "\"{\" was expected");
    r.at++;
    while (look(&r) != '}') {
        struct label *l = &out->v[out->n];

        if (take_name(&r, &l->name) < 0)
            return ERR_INVALID;
        if (look(&r) != '=')
            return fault(&r, "\"=\" was expected");
        r.at++;
        if (take_string(&r, &l->value) < 0)
            return ERR_INVALID;
        out->n++;
        if (look(&r) == ',')
            r.at++;
        else if (look(&r) != '}')
            return fault(&r, "\",\" or \"}\" was expected");
    }
    r.at++;
    look(&r);
    return r.at == text.n ? 0 : fault(&r, "something follows the labels");
}

/* --- from labels to a stream ---------------------------------------------------------------------------- */

static void add_service_name(const struct logs_rules *r, struct labels *ls)
{
    struct str name = STR("unknown_service");

    if (r->nservice_names == 0 || labels_get(ls, STR("service_name")).n)
        return;
    for (uint32_t i = 0; i < r->nservice_names; i++) {
        struct str v = labels_get(ls, r->service_names[i]);

        if (v.n) {
            name = v;
            break;
        }
    }
    ls->v[ls->n++] = (struct label){STR("service_name"), name};
}

static struct str level_of_labels(const struct labels *ls)
{
    struct str found = STR_NULL, word;
    int best = INT32_MAX;

    for (uint32_t i = 0; i < ls->n; i++) {
        int rank = level_field_rank(ls->v[i].name);

        if (rank >= 0 && rank < best) {
            best = rank;
            found = ls->v[i].value;
        }
    }
    word = found.p ? level_word(found) : found;
    return word.p ? word : found;
}

int stream_of(const struct logs_rules *r, struct labels *ls, struct stream *out, enum logs_reason *reason, struct err *e)
{
    *reason = LOGS_DUPLICATE_LABELS;
    if (labels_normalise(ls, e) < 0)
        return ERR_INVALID;
    add_service_name(r, ls);
    labels_normalise(ls, e); /* only its place can be wrong now */
    *reason = LOGS_MISSING_LABELS;
    if (ls->n == 0)
        return err_set(e, ERR_INVALID, "error at least one label pair is required per stream");
    out->labels = *ls;
    out->level = level_of_labels(ls);
    return 0;
}

static int of_text(const struct logs_rules *r, struct arena *a, struct str text, struct stream *out, enum logs_reason *reason,
                   struct err *e)
{
    struct str shown = str_head(text, LABELS_SHOWN);
    struct labels ls;
    struct err why;

    *reason = LOGS_INVALID_LABELS;
    if (stream_parse(a, text, &ls, &why) < 0)
        return err_set(e, ERR_INVALID, "error parsing labels '%.*s' with error: %s", STR_ARG(shown), why.text);
    for (uint32_t i = 0; i < ls.n; i++)
        for (uint32_t k = i + 1; ls.n < 64 && k < ls.n; k++)
            if (str_eq(ls.v[i].name, ls.v[k].name)) {
                *reason = LOGS_DUPLICATE_LABELS;
                return err_set(e, ERR_INVALID, "stream '%.*s' has duplicate label name: '%.*s'", STR_ARG(shown),
                               STR_ARG(str_head(ls.v[i].name, 200)));
            }
    return stream_of(r, &ls, out, reason, e);
}

/* --- the cache -------------------------------------------------------------------------------------------- */

/* One piece of memory, with all texts behind it. */
struct entry {
    struct hash128 hash;
    uint64_t rules_id;
    struct str text;
    struct stream stream;
    struct label labels[];
};

struct stream_cache {
    struct shard {
        pthread_mutex_t mu; /* over its slots; held for a look and a copy */
        struct entry *slots[SLOTS];
    } shards[SHARDS];
};

struct stream_cache *stream_cache_new(void)
{
    struct stream_cache *c = x_zalloc(sizeof *c);

    for (int i = 0; i < SHARDS; i++)
        pthread_mutex_init(&c->shards[i].mu, NULL);
    return c;
}

static struct str put_text(char **to, struct str s)
{
    char *p = *to;

    if (s.n)
        memcpy(p, s.p, s.n);
    *to += s.n;
    return s.p ? str_n(p, s.n) : STR_NULL;
}

static struct entry *entry_new(struct hash128 hash, const struct logs_rules *r, struct str text, const struct stream *st)
{
    size_t bytes = text.n + st->level.n;
    struct entry *en;
    char *to;

    for (uint32_t i = 0; i < st->labels.n; i++)
        bytes += sizeof *st->labels.v + st->labels.v[i].name.n + st->labels.v[i].value.n;
    en = x_alloc(sizeof *en + bytes);
    to = (char *)(en->labels + st->labels.n);
    *en = (struct entry){.hash = hash, .rules_id = r->id, .text = put_text(&to, text)};
    en->stream.labels = (struct labels){en->labels, st->labels.n};
    en->stream.level = put_text(&to, st->level);
    for (uint32_t i = 0; i < st->labels.n; i++) {
        en->labels[i].name = put_text(&to, st->labels.v[i].name);
        en->labels[i].value = put_text(&to, st->labels.v[i].value);
    }
    return en;
}

void stream_cache_free(struct stream_cache *c)
{
    for (int i = 0; c && i < SHARDS; i++) {
        pthread_mutex_destroy(&c->shards[i].mu);
        for (int k = 0; k < SLOTS; k++)
            free(c->shards[i].slots[k]);
    }
    free(c);
}

static bool cache_get(struct shard *s, uint32_t slot, struct hash128 hash, const struct logs_rules *r, struct arena *a, struct str text,
                      struct stream *out)
{
    const struct entry *en;
    bool found;

    pthread_mutex_lock(&s->mu);
    en = s->slots[slot];
    found = en && hash128_eq(en->hash, hash) && en->rules_id == r->id && str_eq(en->text, text);
    if (found) {
        out->labels = labels_dup(a, &en->stream.labels);
        out->level = en->stream.level.p ? arena_dup(a, en->stream.level) : STR_NULL;
    }
    pthread_mutex_unlock(&s->mu);
    return found;
}

static void cache_put(struct shard *s, uint32_t slot, struct hash128 hash, const struct logs_rules *r, struct str text,
                      const struct stream *st)
{
    struct entry *en = entry_new(hash, r, text, st), *old;

    pthread_mutex_lock(&s->mu);
    old = s->slots[slot];
    s->slots[slot] = en;
    pthread_mutex_unlock(&s->mu);
    free(old);
}

int stream_of_text(struct stream_cache *c, const struct logs_rules *r, struct arena *a, struct str text, struct stream *out,
                   enum logs_reason *reason, struct err *e)
{
    struct hash128 hash = hash128(text.p, text.n);
    struct shard *s = c ? &c->shards[hash.lo % SHARDS] : NULL;
    uint32_t slot = (uint32_t)(hash.hi % SLOTS);
    int rc;

    if (s && cache_get(s, slot, hash, r, a, text, out))
        return 0;
    rc = of_text(r, a, text, out, reason, e);
    if (rc == 0 && s && text.n <= TEXT_MAX)
        cache_put(s, slot, hash, r, text, out);
    return rc;
}
