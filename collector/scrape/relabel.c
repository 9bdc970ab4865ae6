/*
 * relabel.c - relabelling: a list of rules run in order over one label set.
 *
 * (1) Rules are checked when they are read (required fields, fields that must be left alone), so running them cannot
 * fail. (2) While rules run the set is unsorted; an empty value means the label is gone. It is normalised once, at the
 * end. (3) An input label set is never written to; the work is done on a copy of the array.
 */
#include "collector/scrape/relabel_rules.h"

#include "collector/scrape/md5.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <wctype.h>

static const struct {
    const char *name;
    enum relabel_action action;
} actions[] = {
    {"replace", RELABEL_REPLACE},     {"keep", RELABEL_KEEP},           {"drop", RELABEL_DROP},
    {"keepequal", RELABEL_KEEPEQUAL}, {"dropequal", RELABEL_DROPEQUAL}, {"lowercase", RELABEL_LOWERCASE},
    {"uppercase", RELABEL_UPPERCASE}, {"hashmod", RELABEL_HASHMOD},     {"labelmap", RELABEL_LABELMAP},
    {"labeldrop", RELABEL_LABELDROP}, {"labelkeep", RELABEL_LABELKEEP},
};

/* --- reading ------------------------------------------------------------------------------------- */

const char *relabel_action_name(enum relabel_action a)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (actions[i].action == a)
            return actions[i].name;
    }
    return "";
}

static int read_action(struct conf *c, struct relabel_rule *r, struct err *e)
{
    struct str name = STR("replace");

    if (conf_str(c, "action", &name, e) < 0)
        return ERR_INVALID;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (str_eq_nocase(name, str_of(actions[i].name))) {
            r->action = actions[i].action;
            return 0;
        }
    }
    return conf_err(c, e, "unknown relabel action \"%.*s\"", STR_ARG(str_head(name, 100)));
}

/* A label name in which $1 and ${1} may stand, as `replace` allows in target_label. */
static bool name_template(struct str s, bool legacy)
{
    bool any = false;

    if (!legacy)
        return s.n > 0 && utf8_valid(s);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (c == '$') {
            bool brace = i + 1 < s.n && s.p[i + 1] == '{';
            size_t k = i + 1 + brace, first = k;

            while (k < s.n && (s.p[k] == '_' || (s.p[k] >= '0' && s.p[k] <= '9') || (s.p[k] >= 'a' && s.p[k] <= 'z') ||
                               (s.p[k] >= 'A' && s.p[k] <= 'Z')))
                k++;
            if (k == first || (brace && (k >= s.n || s.p[k] != '}')))
                return false;
            i = brace ? k : k - 1;
        } else if (!word && !(any && c >= '0' && c <= '9')) {
            return false;
        }
        any = true;
    }
    return any;
}

static bool valid_name(struct str s, bool legacy)
{
    return legacy ? label_name_legacy(s) : s.n > 0 && utf8_valid(s);
}

static bool needs_target(enum relabel_action a)
{
    return a == RELABEL_REPLACE || a == RELABEL_HASHMOD || a == RELABEL_KEEPEQUAL || a == RELABEL_DROPEQUAL ||
           a == RELABEL_LOWERCASE || a == RELABEL_UPPERCASE;
}

static bool is_default(const struct relabel_rule *r, struct str regex, bool regex_too)
{
    return str_eq(r->separator, STR(";")) && r->modulus == 0 && str_eq(r->replacement, STR("$1")) &&
           (!regex_too || str_eq(regex, STR("(.*)")));
}

static int check_rule(struct conf *c, const struct relabel_rule *r, struct err *e)
{
    const char *name = relabel_action_name(r->action);

    if (needs_target(r->action) && r->target.n == 0)
        return conf_err(c, e, "relabel action %s requires target_label", name);
    if (r->action == RELABEL_HASHMOD && r->modulus == 0)
        return conf_err(c, e, "relabel action hashmod requires a modulus above 0");
    if (r->action == RELABEL_REPLACE && !name_template(r->target, r->legacy))
        return conf_err(c, e, "\"%.*s\" is not a valid target_label for replace", STR_ARG(str_head(r->target, 100)));
    if (needs_target(r->action) && r->action != RELABEL_REPLACE && !valid_name(r->target, r->legacy))
        return conf_err(c, e, "\"%.*s\" is not a valid target_label for %s", STR_ARG(str_head(r->target, 100)), name);
    if (r->action == RELABEL_LABELMAP && !name_template(r->replacement, r->legacy))
        return conf_err(c, e, "\"%.*s\" is not a valid replacement for labelmap",
                        STR_ARG(str_head(r->replacement, 100)));
    if ((r->action == RELABEL_LOWERCASE || r->action == RELABEL_UPPERCASE) && !str_eq(r->replacement, STR("$1")))
        return conf_err(c, e, "replacement cannot be set for %s", name);
    if ((r->action == RELABEL_KEEPEQUAL || r->action == RELABEL_DROPEQUAL) && !is_default(r, r->regex_text, true))
        return conf_err(c, e, "%s requires only source_labels and target_label, and no other fields", name);
    if ((r->action == RELABEL_LABELDROP || r->action == RELABEL_LABELKEEP) &&
        (r->nsources || r->target.n || !is_default(r, r->regex_text, false)))
        return conf_err(c, e, "%s requires only regex, and no other fields", name);
    for (uint32_t i = 0; i < r->nsources; i++) {
        if (!valid_name(r->sources[i], r->legacy))
            return conf_err(c, e, "\"%.*s\" is not a valid label name", STR_ARG(str_head(r->sources[i], 100)));
    }
    return 0;
}

static int read_rule(struct arena *a, struct conf *c, bool legacy, struct relabel_rule *r, struct err *e)
{
    int64_t modulus = 0;
    struct err why;

    *r = (struct relabel_rule){
        .separator = STR(";"), .regex_text = STR("(.*)"), .replacement = STR("$1"), .legacy = legacy};
    if (conf_want(c, CONF_MAP, "a relabel rule", e) < 0 || read_action(c, r, e) < 0 ||
        conf_strs(a, c, "source_labels", &r->sources, &r->nsources, e) < 0 ||
        conf_str(c, "separator", &r->separator, e) < 0 || conf_str(c, "regex", &r->regex_text, e) < 0 ||
        conf_i64(c, "modulus", &modulus, e) < 0 || conf_str(c, "target_label", &r->target, e) < 0 ||
        conf_str(c, "replacement", &r->replacement, e) < 0 || conf_finish(c, "relabel rule", e) < 0)
        return ERR_INVALID;
    if (modulus < 0)
        return conf_err(c, e, "modulus must not be negative");
    r->modulus = (uint64_t)modulus;
    r->match_any = str_eq(r->regex_text, STR("(.*)"));
    if (check_rule(c, r, e) < 0)
        return ERR_INVALID;
    if (regex_new(r->regex_text, REGEX_ANCHORED, &r->regex, &why) < 0)
        return conf_err(c, e, "regex: %s", why.text);
    return 0;
}

int relabel_read(struct arena *a, struct conf *c, bool legacy_names, struct relabel *out, struct err *e)
{
    *out = (struct relabel){0};
    if (!c)
        return 0;
    if (conf_want(c, CONF_LIST, "relabel rules", e) < 0)
        return ERR_INVALID;
    out->rules = arena_array(a, struct relabel_rule, c->n ? c->n : 1);
    for (uint32_t i = 0; i < c->n; i++) {
        out->n = i + 1;
        if (read_rule(a, c->items[i], legacy_names, &out->rules[i], e) < 0) {
            relabel_release(out);
            return ERR_INVALID;
        }
    }
    return 0;
}

void relabel_release(struct relabel *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        regex_free(r->rules[i].regex);
    *r = (struct relabel){0};
}

/* --- running -------------------------------------------------------------------------------------- */

struct work {
    struct arena *a;
    struct label *v;
    uint32_t n, cap;
    struct buf text; /* the input of a rule and what it expands to */
};

static struct label *find(struct work *w, struct str name)
{
    for (uint32_t i = 0; i < w->n; i++) {
        if (str_eq(w->v[i].name, name))
            return &w->v[i];
    }
    return NULL;
}

static struct str value_of(struct work *w, struct str name)
{
    struct label *l = find(w, name);

    return l ? l->value : STR("");
}

/* An empty value takes the label away. name and value must live in the arena or longer. */
static void set(struct work *w, struct str name, struct str value)
{
    struct label *l = find(w, name);

    if (l) {
        l->value = value;
        return;
    }
    if (value.n == 0)
        return;
    if (w->n == w->cap) {
        uint32_t cap = w->cap * 2 + 8;
        struct label *v = arena_alloc(w->a, sizeof(*v) * cap);

        memcpy(v, w->v, sizeof(*v) * w->n);
        w->v = v;
        w->cap = cap;
    }
    w->v[w->n++] = (struct label){name, value};
}

/* The source values joined; borrowed from the set when there is one source. */
static struct str input_of(struct work *w, const struct relabel_rule *r)
{
    struct buf b = {0};
    struct str s;

    if (r->nsources == 0)
        return STR("");
    if (r->nsources == 1)
        return value_of(w, r->sources[0]);
    for (uint32_t i = 0; i < r->nsources; i++) {
        if (i)
            buf_puts(&b, r->separator);
        buf_puts(&b, value_of(w, r->sources[i]));
    }
    s = arena_dup(w->a, buf_str(&b));
    buf_release(&b);
    return s;
}

static struct str expand(struct work *w, const struct relabel_rule *r, struct str templ, const struct str *groups,
                         unsigned ngroups)
{
    if (str_chr(templ, '$') < 0)
        return templ;
    buf_reset(&w->text);
    regex_expand(r->regex, templ, groups, ngroups, &w->text);
    return arena_dup(w->a, buf_str(&w->text));
}

/* Groups of the match of s; NULL when it does not match. */
static struct str *groups_of(struct work *w, const struct relabel_rule *r, struct str s, unsigned *n)
{
    struct str *g;

    *n = regex_ngroups(r->regex);
    g = arena_array(w->a, struct str, *n + 1);
    return regex_groups(r->regex, s, 0, g, *n) ? g : NULL;
}

static void run_replace(struct work *w, const struct relabel_rule *r, struct str input)
{
    unsigned n;
    struct str *g, name;

    if (r->match_any && str_eq(r->replacement, STR("$1")) && str_chr(r->target, '$') < 0) {
        set(w, r->target, input); /* the common case: a plain copy */
        return;
    }
    if (!(g = groups_of(w, r, input, &n)))
        return;
    name = expand(w, r, r->target, g, n);
    if (!valid_name(name, r->legacy))
        return;
    set(w, name, expand(w, r, r->replacement, g, n));
}

static locale_t utf8_locale;

static void make_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static struct str fold(struct work *w, struct str s, bool upper)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint32_t rune;
    char utf8[4];

    pthread_once(&once, make_locale);
    buf_reset(&w->text);
    for (size_t i = 0, n; i < s.n; i += n) {
        n = utf8_decode(str_from(s, i), &rune);
        if (rune < 0x80) {
            bool change = upper ? rune >= 'a' && rune <= 'z' : rune >= 'A' && rune <= 'Z';

            buf_putc(&w->text, (char)(change ? rune ^ 0x20 : rune));
            continue;
        }
        if (utf8_locale)
            rune = (uint32_t)(upper ? towupper_l((wint_t)rune, utf8_locale) : towlower_l((wint_t)rune, utf8_locale));
        buf_put(&w->text, utf8, utf8_encode(rune, utf8));
    }
    return arena_dup(w->a, buf_str(&w->text));
}

static struct str hashmod(struct work *w, struct str s, uint64_t modulus)
{
    uint8_t digest[16];
    uint64_t v;

    md5(s, digest);
    memcpy(&v, digest + 8, 8);
    return arena_printf(w->a, "%llu", (unsigned long long)(__builtin_bswap64(v) % modulus));
}

/* Names are taken before anything is set, so a rule does not feed itself. */
static void run_labelmap(struct work *w, const struct relabel_rule *r)
{
    uint32_t before = w->n;
    struct label *v = arena_alloc(w->a, sizeof(*v) * (before + 1));

    memcpy(v, w->v, sizeof(*v) * before);
    for (uint32_t i = 0; i < before; i++) {
        unsigned n;
        struct str *g;

        if (v[i].value.n && (g = groups_of(w, r, v[i].name, &n)))
            set(w, expand(w, r, r->replacement, g, n), v[i].value);
    }
}

static void run_labeldrop(struct work *w, const struct relabel_rule *r, bool drop_matching)
{
    for (uint32_t i = 0; i < w->n; i++) {
        if (regex_match(r->regex, w->v[i].name) == drop_matching)
            w->v[i].value = STR("");
    }
}

static bool matches(const struct relabel_rule *r, struct str input)
{
    return r->match_any || regex_match(r->regex, input);
}

/* false: the set is dropped. */
static bool run_rule(struct work *w, const struct relabel_rule *r)
{
    struct str input = r->action <= RELABEL_HASHMOD ? input_of(w, r) : STR("");

    switch (r->action) {
    case RELABEL_REPLACE:
        run_replace(w, r, input);
        return true;
    case RELABEL_KEEP:
        return matches(r, input);
    case RELABEL_DROP:
        return !matches(r, input);
    case RELABEL_KEEPEQUAL:
        return str_eq(input, value_of(w, r->target));
    case RELABEL_DROPEQUAL:
        return !str_eq(input, value_of(w, r->target));
    case RELABEL_LOWERCASE:
        set(w, r->target, fold(w, input, false));
        return true;
    case RELABEL_UPPERCASE:
        set(w, r->target, fold(w, input, true));
        return true;
    case RELABEL_HASHMOD:
        set(w, r->target, hashmod(w, input, r->modulus));
        return true;
    case RELABEL_LABELMAP:
        run_labelmap(w, r);
        return true;
    case RELABEL_LABELDROP:
        run_labeldrop(w, r, true);
        return true;
    case RELABEL_LABELKEEP:
        run_labeldrop(w, r, false);
        return true;
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

bool relabel_apply(const struct relabel *r, struct arena *a, struct labels *ls)
{
    struct work w = {.a = a, .n = ls->n, .cap = ls->n + 8};
    uint32_t n = 0;
    bool keep = true;

    if (r->n == 0)
        return true;
    w.v = arena_alloc(a, sizeof(*w.v) * w.cap);
    if (ls->n)
        memcpy(w.v, ls->v, sizeof(*w.v) * ls->n);
    for (uint32_t i = 0; i < r->n && keep; i++)
        keep = run_rule(&w, &r->rules[i]);
    buf_release(&w.text);
    if (!keep)
        return false;
    for (uint32_t i = 0; i < w.n; i++) {
        if (w.v[i].value.n)
            w.v[n++] = w.v[i];
    }
    qsort(w.v, n, sizeof(*w.v), by_name);
    *ls = (struct labels){w.v, n};
    return true;
}
