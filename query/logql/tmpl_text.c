/* tmpl_text.c - functions of templates on text. Lengths and places count runes, a byte that is no UTF-8 counting as one. */
#include "query/logql/tmpl_funcs.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <wctype.h>

/* --- case ------------------------------------------------------------------------------------------------ */

static pthread_once_t unicode_once = PTHREAD_ONCE_INIT;
static locale_t unicode; /* set once; (locale_t)0: only ASCII changes case */

static void open_unicode(void)
{
    unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static uint32_t to_case(uint32_t rune, bool upper)
{
    if (rune < 0x80)
        return upper ? (rune >= 'a' && rune <= 'z' ? rune - 32 : rune) : (rune >= 'A' && rune <= 'Z' ? rune + 32 : rune);
    pthread_once(&unicode_once, open_unicode);
    if (!unicode)
        return rune;
    return (uint32_t)(upper ? towupper_l((wint_t)rune, unicode) : towlower_l((wint_t)rune, unicode));
}

static bool is_word(uint32_t rune)
{
    if (rune < 0x80)
        return rune == '_' || (rune >= '0' && rune <= '9') || ((rune | 0x20) >= 'a' && (rune | 0x20) <= 'z');
    pthread_once(&unicode_once, open_unicode);
    return !unicode || !iswspace_l((wint_t)rune, unicode);
}

enum casing { CASE_LOWER, CASE_UPPER, CASE_TITLE };

/* Runes that are no UTF-8 become U+FFFD where any rune is changed, as Go's Map does. */
static int change_case(struct tmpl_run *r, struct str s, enum casing c, struct tmpl_value *out)
{
    char *p = tmpl_alloc(r, s.n * 3);
    size_t n = 0;
    bool word = false;

    if (!p)
        return ERR_EXEC;
    for (size_t i = 0, len; i < s.n; i += len) {
        uint32_t rune;

        len = utf8_decode(str_from(s, i), &rune);
        if (c != CASE_TITLE || !word)
            n += utf8_encode(to_case(rune, c != CASE_LOWER), p + n);
        else
            n += utf8_encode(rune, p + n);
        word = is_word(rune);
    }
    *out = tmpl_str(str_n(p, n));
    return 0;
}

TMPL_FN(lq_fn_lower)
{
    (void)n;
    return change_case(r, args[0].s, CASE_LOWER, out);
}

TMPL_FN(lq_fn_upper)
{
    (void)n;
    return change_case(r, args[0].s, CASE_UPPER, out);
}

TMPL_FN(lq_fn_title)
{
    (void)n;
    return change_case(r, args[0].s, CASE_TITLE, out);
}

/* --- parts ----------------------------------------------------------------------------------------------- */

/* Where the rune with that number begins, or the end. */
static size_t rune_at(struct str s, uint64_t i)
{
    size_t at = 0;
    uint32_t rune;

    while (i-- && at < s.n)
        at += utf8_decode(str_from(s, at), &rune);
    return at;
}

TMPL_FN(lq_fn_trunc)
{
    struct str s = args[1].s;
    int64_t c = args[0].i, len;

    (void)n;
    (void)r;
    *out = tmpl_str(s);
    if (c >= 0) {
        out->s = str_head(s, rune_at(s, (uint64_t)c));
        return 0;
    }
    len = (int64_t)utf8_count(s);
    if (len + c > 0)
        out->s = str_from(s, rune_at(s, (uint64_t)(len + c)));
    return 0;
}

TMPL_FN(lq_fn_substr)
{
    int64_t start = args[0].i, end = args[1].i, len = (int64_t)utf8_count(args[2].s);
    struct str s = args[2].s;
    size_t from, to;

    (void)n;
    (void)r;
    end = MIN(end, len);
    start = MIN(start, len);
    *out = tmpl_str(STR(""));
    if ((start < 0 && end < 0) || (end >= 0 && start > end))
        return 0;
    from = start < 0 ? 0 : rune_at(s, (uint64_t)start);
    to = end < 0 ? s.n : rune_at(s, (uint64_t)end);
    out->s = str_n(s.p + from, to - from);
    return 0;
}

static int align(struct tmpl_run *r, int64_t count, struct str s, bool left, struct tmpl_value *out)
{
    int64_t len = (int64_t)utf8_count(s);
    size_t pad;
    char *p;

    *out = tmpl_str(s);
    if (count < 0 || count == len)
        return 0;
    if (count < len) {
        out->s = left ? str_head(s, rune_at(s, (uint64_t)count)) : str_from(s, rune_at(s, (uint64_t)(len - count)));
        return 0;
    }
    pad = (size_t)(count - len);
    p = pad > TMPL_MEMORY_MAX ? NULL : tmpl_alloc(r, s.n + pad);
    if (!p)
        return err_set(r->e, ERR_EXEC, "text too long");
    memset(left ? p + s.n : p, ' ', pad);
    if (s.n)
        memcpy(left ? p : p + pad, s.p, s.n);
    out->s = str_n(p, s.n + pad);
    return 0;
}

TMPL_FN(lq_fn_align_left)
{
    (void)n;
    return align(r, args[0].i, args[1].s, true, out);
}

TMPL_FN(lq_fn_align_right)
{
    (void)n;
    return align(r, args[0].i, args[1].s, false, out);
}

/* --- trimming -------------------------------------------------------------------------------------------- */

static bool in_set(struct str set, uint32_t rune)
{
    for (size_t i = 0, len; i < set.n; i += len) {
        uint32_t c;

        len = utf8_decode(str_from(set, i), &c);
        if (c == rune)
            return true;
    }
    return false;
}

/* The last rune of s, which is not empty. */
static size_t last_rune(struct str s, uint32_t *rune)
{
    for (size_t n = MIN(s.n, (size_t)4); n > 1; n--)
        if (utf8_decode(str_n(s.p + s.n - n, n), rune) == n)
            return n;
    utf8_decode(str_n(s.p + s.n - 1, 1), rune);
    return 1;
}

static struct str trim_set(struct str s, struct str set, bool left, bool right)
{
    uint32_t rune;
    size_t len;

    while (left && s.n && (len = utf8_decode(s, &rune), in_set(set, rune)))
        s = str_from(s, len);
    while (right && s.n && (len = last_rune(s, &rune), in_set(set, rune)))
        s.n -= len;
    return s;
}

TMPL_FN(lq_fn_trim)
{
    static const char blanks[] = "\t\n\v\f\r \xc2\x85\xc2\xa0\xe1\x9a\x80\xe2\x80\x80\xe2\x80\x81\xe2\x80\x82\xe2\x80\x83\xe2\x80\x84"
                                 "\xe2\x80\x85\xe2\x80\x86\xe2\x80\x87\xe2\x80\x88\xe2\x80\x89\xe2\x80\x8a\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaf"
                                 "\xe2\x81\x9f\xe3\x80\x80";

    (void)r;
    (void)n;
    *out = tmpl_str(trim_set(args[0].s, str_n(blanks, sizeof blanks - 1), true, true));
    return 0;
}

TMPL_FN(lq_fn_trim_all)
{
    (void)r;
    (void)n;
    *out = tmpl_str(trim_set(args[1].s, args[0].s, true, true));
    return 0;
}

TMPL_FN(lq_fn_old_trim)
{
    (void)r;
    (void)n;
    *out = tmpl_str(trim_set(args[0].s, args[1].s, true, true));
    return 0;
}

TMPL_FN(lq_fn_old_trim_left)
{
    (void)r;
    (void)n;
    *out = tmpl_str(trim_set(args[0].s, args[1].s, true, false));
    return 0;
}

TMPL_FN(lq_fn_old_trim_right)
{
    (void)r;
    (void)n;
    *out = tmpl_str(trim_set(args[0].s, args[1].s, false, true));
    return 0;
}

static struct str without_prefix(struct str s, struct str prefix)
{
    return str_starts(s, prefix) ? str_from(s, prefix.n) : s;
}

static struct str without_suffix(struct str s, struct str suffix)
{
    return str_ends(s, suffix) ? str_head(s, s.n - suffix.n) : s;
}

TMPL_FN(lq_fn_trim_prefix)
{
    (void)r;
    (void)n;
    *out = tmpl_str(without_prefix(args[1].s, args[0].s));
    return 0;
}

TMPL_FN(lq_fn_trim_suffix)
{
    (void)r;
    (void)n;
    *out = tmpl_str(without_suffix(args[1].s, args[0].s));
    return 0;
}

TMPL_FN(lq_fn_old_trim_prefix)
{
    (void)r;
    (void)n;
    *out = tmpl_str(without_prefix(args[0].s, args[1].s));
    return 0;
}

TMPL_FN(lq_fn_old_trim_suffix)
{
    (void)r;
    (void)n;
    *out = tmpl_str(without_suffix(args[0].s, args[1].s));
    return 0;
}

/* --- replacing ------------------------------------------------------------------------------------------- */

/* Go's strings.Replace: most < 0: all. An empty `from` stands between all runes. */
static int replace(struct tmpl_run *r, struct str s, struct str from, struct str to, int64_t most, struct tmpl_value *out)
{
    struct buf b = {0};
    size_t at = 0;
    uint32_t rune;

    for (bool first = true; most != 0; first = false) {
        ptrdiff_t found = from.n ? str_find(str_from(s, at), from) : 0;
        size_t skip = from.n ? (size_t)(found < 0 ? 0 : found) : first ? 0 : utf8_decode(str_from(s, at), &rune);

        if (found < 0 || (!from.n && !first && at >= s.n))
            break;
        if (b.n + skip + to.n > r->memory_max) {
            buf_release(&b);
            return err_set(r->e, ERR_EXEC, "text too long");
        }
        buf_put(&b, s.p + at, skip);
        buf_puts(&b, to);
        at += skip + from.n;
        most -= most > 0;
    }
    if (at == 0 && b.n == 0) {
        *out = tmpl_str(s);
        return 0;
    }
    buf_puts(&b, str_from(s, at));
    return lq_give(r, &b, out);
}

TMPL_FN(lq_fn_replace)
{
    (void)n;
    return replace(r, args[2].s, args[0].s, args[1].s, -1, out);
}

TMPL_FN(lq_fn_old_replace)
{
    (void)n;
    return replace(r, args[0].s, args[1].s, args[2].s, args[3].i, out);
}

TMPL_FN(lq_fn_repeat)
{
    struct str s = args[1].s;
    int64_t count = args[0].i;
    char *p;

    (void)n;
    if (count < 0)
        return err_set(r->e, ERR_EXEC, "strings: negative Repeat count");
    if (s.n && (uint64_t)count > TMPL_MEMORY_MAX / s.n)
        return err_set(r->e, ERR_EXEC, "text too long");
    p = tmpl_alloc(r, s.n * (size_t)count);
    if (!p)
        return ERR_EXEC;
    for (int64_t i = 0; i < count && s.n; i++)
        memcpy(p + (size_t)i * s.n, s.p, s.n);
    *out = tmpl_str(str_n(p, s.n * (size_t)count));
    return 0;
}

static int indent(struct tmpl_run *r, int64_t spaces, struct str s, bool newline, struct tmpl_value *out)
{
    struct buf b = {0};

    if (spaces < 0)
        return err_set(r->e, ERR_EXEC, "strings: negative Repeat count");
    if (newline)
        buf_putc(&b, '\n');
    for (bool more = true; more;) {
        struct str line;

        more = str_cut(&s, '\n', &line);
        if (spaces > TMPL_MEMORY_MAX || b.n + (size_t)spaces + line.n > r->memory_max) {
            buf_release(&b);
            return err_set(r->e, ERR_EXEC, "text too long");
        }
        memset(buf_reserve(&b, (size_t)spaces), ' ', (size_t)spaces);
        b.n += (size_t)spaces;
        buf_puts(&b, line);
        if (more)
            buf_putc(&b, '\n');
    }
    return lq_give(r, &b, out);
}

TMPL_FN(lq_fn_indent)
{
    (void)n;
    return indent(r, args[0].i, args[1].s, false, out);
}

TMPL_FN(lq_fn_nindent)
{
    (void)n;
    return indent(r, args[0].i, args[1].s, true, out);
}

/* --- questions ------------------------------------------------------------------------------------------- */

TMPL_FN(lq_fn_contains)
{
    (void)r;
    (void)n;
    *out = tmpl_bool(str_find(args[1].s, args[0].s) >= 0);
    return 0;
}

TMPL_FN(lq_fn_has_prefix)
{
    (void)r;
    (void)n;
    *out = tmpl_bool(str_starts(args[1].s, args[0].s));
    return 0;
}

TMPL_FN(lq_fn_has_suffix)
{
    (void)r;
    (void)n;
    *out = tmpl_bool(str_ends(args[1].s, args[0].s));
    return 0;
}

bool lq_value_empty(struct tmpl_run *r, struct tmpl_value v)
{
    v = tmpl_plain(r, v);
    return v.type != TMPL_T_TIME && v.type != TMPL_T_OBJECT && !tmpl_truth(r, v);
}

TMPL_FN(lq_fn_default)
{
    *out = n < 2 || lq_value_empty(r, args[1]) ? args[0] : args[1];
    return 0;
}
