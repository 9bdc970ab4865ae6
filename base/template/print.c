/*
 * print.c - values as Go's fmt prints them: %v and its relatives, widths, flags, and what it says of verbs that do not fit.
 *
 * (1) Output is checked against the run's limit before it grows by a width or by a value of a collection.
 */
#include "base/template/template.h"

#include <math.h>
#include <stdio.h>

enum { PRINT_DEPTH_MAX = 100, WIDTH_MAX = 1000000 };

/* One %[flags][width][.precision]verb. */
struct verb {
    char c;
    bool minus, plus, sharp, space, zero;
    bool has_width, has_precision;
    uint32_t width, precision;
};

static int room(struct tmpl_run *r, const struct buf *out, size_t more)
{
    size_t start = out == r->out ? r->out_start : 0;

    if (out->n - start + more > r->out_max)
        return err_set(r->e, ERR_EXEC, "more than %zu bytes of output", r->out_max);
    return 0;
}

/* text between the blanks that the width asks for; zeros go behind a sign. */
static int put_padded(struct tmpl_run *r, struct buf *out, const struct verb *v, struct str text, bool number)
{
    size_t n = v->has_width ? utf8_count(text) : 0, pad = v->has_width && n < v->width ? v->width - n : 0;
    bool zero = v->zero && !v->minus, sign = number && text.n && (text.p[0] == '+' || text.p[0] == '-' || text.p[0] == ' ');

    if (room(r, out, text.n + pad) < 0)
        return ERR_EXEC;
    if (!v->minus) {
        if (zero && sign) {
            buf_putc(out, text.p[0]);
            text = str_from(text, 1);
        }
        memset(buf_reserve(out, pad), zero ? '0' : ' ', pad);
        out->n += pad;
    }
    buf_puts(out, text);
    if (v->minus) {
        memset(buf_reserve(out, pad), ' ', pad);
        out->n += pad;
    }
    return 0;
}

/* --- one value, one verb ------------------------------------------------------------------------------- */

static int print_verb(struct tmpl_run *r, struct buf *out, const struct verb *v, struct tmpl_value x, unsigned depth);

static int bad_verb(struct tmpl_run *r, struct buf *out, const struct verb *v, struct tmpl_value x, unsigned depth)
{
    static const struct verb plain = {.c = 'v'};

    buf_printf(out, "%%!%c(", v->c);
    if (x.type == TMPL_T_NIL) {
        buf_putz(out, "<nil>");
    } else {
        buf_printf(out, "%s=", tmpl_type_name(&x));
        if (print_verb(r, out, &plain, x, depth + 1) < 0)
            return ERR_EXEC;
    }
    buf_putc(out, ')');
    return 0;
}

static int print_digits(struct tmpl_run *r, struct buf *out, const struct verb *v, int64_t i)
{
    char text[96], *at = text + sizeof text;
    unsigned base = v->c == 'b' ? 2 : v->c == 'o' || v->c == 'O' ? 8 : v->c == 'x' || v->c == 'X' ? 16 : 10;
    const char *digits = v->c == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    unsigned n = 0, least = v->has_precision ? MIN(v->precision, 64) : 1;
    struct verb w = *v;

    for (; u || n < least; u /= base, n++)
        *--at = digits[u % base];
    if (v->c == 'O' || (v->sharp && base != 10)) {
        if (base != 8)
            *--at = v->c;
        if (v->c == 'O')
            *--at = 'o';
        *--at = '0';
    }
    if (i < 0 || v->plus || v->space)
        *--at = i < 0 ? '-' : v->plus ? '+' : ' ';
    if (v->has_precision)
        w.zero = false;
    return put_padded(r, out, &w, str_n(at, (size_t)(text + sizeof text - at)), true);
}

static int print_int(struct tmpl_run *r, struct buf *out, const struct verb *v, int64_t i)
{
    struct verb w = *v;
    char text[16];
    struct buf b = {0};
    int code;

    switch (v->c) {
    case 'v':
    case 'd':
    case 'b':
    case 'o':
    case 'O':
    case 'x':
    case 'X':
        w.c = v->c == 'v' ? 'd' : v->c;
        return print_digits(r, out, &w, i);
    case 'c':
        w.zero = false;
        return put_padded(r, out, &w, str_n(text, utf8_encode(i < 0 || i > 0x10ffff ? 0xfffd : (uint32_t)i, text)), false);
    case 'q':
        buf_put_quoted_rune(&b, i < 0 || i > 0x10ffff ? 0xfffd : (uint32_t)i);
        break;
    case 'U':
        buf_printf(&b, "U+%04llX", (unsigned long long)i);
        break;
    default:
        return bad_verb(r, out, v, tmpl_int(i), 0);
    }
    code = put_padded(r, out, &w, buf_str(&b), false);
    buf_release(&b);
    return code;
}

static int print_float(struct tmpl_run *r, struct buf *out, const struct verb *v, double f)
{
    struct verb w = *v;
    char text[1600], *at = text + 1, form[8] = {'%', '.', '*', 0, 0};
    char c = v->c == 'v' ? 'g' : v->c == 'F' ? 'f' : v->c;
    size_t n;

    if (!strchr("egfEG", c))
        return bad_verb(r, out, v, tmpl_float(f), 0);
    if (isnan(f) || isinf(f)) {
        w.zero = false;
        n = (size_t)snprintf(at, 8, "%s", isnan(f) ? "NaN" : f < 0 ? "-Inf" : "+Inf");
        if (!isnan(f) && f > 0 && !v->plus)
            w.plus = true; /* +Inf always has its sign */
        return put_padded(r, out, &w, str_n(at, n), true);
    }
    if (!v->has_precision && (c == 'g' || c == 'G')) {
        n = num_fmt_g(f, at);
        for (size_t i = 0; c == 'G' && i < n; i++)
            at[i] = at[i] == 'e' ? 'E' : at[i];
    } else {
        form[3] = c;
        n = (size_t)snprintf(at, sizeof text - 1, form, v->has_precision ? (int)MIN(v->precision, 1000) : 6, f);
    }
    if (*at != '-' && (v->plus || v->space)) {
        *--at = v->plus ? '+' : ' ';
        n++;
    }
    return put_padded(r, out, &w, str_n(at, n), true);
}

static struct str first_runes(struct str s, uint32_t n)
{
    size_t at = 0;
    uint32_t rune;

    while (n-- && at < s.n)
        at += utf8_decode(str_from(s, at), &rune);
    return str_head(s, at);
}

static int print_string(struct tmpl_run *r, struct buf *out, const struct verb *v, struct str s)
{
    const char *digits = v->c == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    struct buf b = {0};
    int code;

    switch (v->c) {
    case 'v':
    case 's':
        return put_padded(r, out, v, v->has_precision ? first_runes(s, v->precision) : s, false);
    case 'q':
        s = v->has_precision ? first_runes(s, v->precision) : s;
        if (room(r, out, s.n) < 0)
            return ERR_EXEC;
        if (v->sharp && str_chr(s, '`') < 0 && utf8_valid(s))
            buf_printf(&b, "`%.*s`", STR_ARG(s));
        else
            buf_put_quoted(&b, s);
        break;
    case 'x':
    case 'X':
        s = v->has_precision ? str_head(s, v->precision) : s;
        if (room(r, out, s.n * 2) < 0)
            return ERR_EXEC;
        for (size_t i = 0; i < s.n; i++) {
            if (v->sharp && (i == 0 || v->space))
                buf_put(&b, (char[]){'0', v->c}, 2);
            buf_put(&b, (char[]){digits[(unsigned char)s.p[i] >> 4], digits[s.p[i] & 15]}, 2);
            if (v->space && i + 1 < s.n)
                buf_putc(&b, ' ');
        }
        break;
    default:
        return bad_verb(r, out, v, tmpl_str(s), 0);
    }
    code = put_padded(r, out, v, buf_str(&b), false);
    buf_release(&b);
    return code;
}

/* [a b] and map[k:v]; every part has the verb. */
static int print_collection(struct tmpl_run *r, struct buf *out, const struct verb *v, struct tmpl_value x, unsigned depth)
{
    bool map = x.type == TMPL_T_MAP;
    uint32_t n = map ? x.map.n : x.list.n;

    if (depth > PRINT_DEPTH_MAX)
        return err_set(r->e, ERR_EXEC, "nested deeper than %d levels", PRINT_DEPTH_MAX);
    buf_putz(out, map ? "map[" : "[");
    for (uint32_t i = 0; i < n; i++) {
        if (tmpl_steps(r, 1) < 0 || room(r, out, 2) < 0)
            return ERR_EXEC;
        if (i)
            buf_putc(out, ' ');
        if (map) {
            if (print_verb(r, out, v, tmpl_str(x.map.v[i].key), depth + 1) < 0)
                return ERR_EXEC;
            buf_putc(out, ':');
        }
        if (print_verb(r, out, v, map ? x.map.v[i].value : x.list.v[i], depth + 1) < 0)
            return ERR_EXEC;
    }
    buf_putc(out, ']');
    return 0;
}

/* What has a String method prints as that, where the verb asks for text. */
static int print_stringer(struct tmpl_run *r, struct buf *out, const struct verb *v, struct tmpl_value x)
{
    struct buf b = {0};
    int code;

    if (x.type == TMPL_T_DURATION && !strchr("vsqxX", v->c))
        return print_int(r, out, v, x.i);
    if (!strchr("vsqxX", v->c))
        return bad_verb(r, out, v, x, 0);
    if (x.type == TMPL_T_DURATION)
        goduration_print(x.i, &b);
    else
        gotime_format(&x.t, STR("2006-01-02 15:04:05.999999999 -0700 MST"), &b);
    code = print_string(r, out, v, buf_str(&b));
    buf_release(&b);
    return code;
}

static int print_verb(struct tmpl_run *r, struct buf *out, const struct verb *v, struct tmpl_value x, unsigned depth)
{
    struct verb w = *v;

    x = tmpl_plain(r, x);
    if (v->c == 0) /* no verb, but the end of every list of verbs below */
        return bad_verb(r, out, v, x, depth);
    if (v->c == 'T')
        return print_string(r, out, &(struct verb){.c = 's', .minus = v->minus, .has_width = v->has_width, .width = v->width},
                            str_of(tmpl_type_name(&x)));
    switch (x.type) {
    case TMPL_T_NIL:
        if (v->c != 'v')
            return depth ? (buf_printf(out, "%%!%c(<nil>)", v->c), 0) : bad_verb(r, out, v, x, depth);
        return put_padded(r, out, v, STR("<nil>"), false);
    case TMPL_T_BOOL:
        if (v->c != 't' && v->c != 'v')
            return bad_verb(r, out, v, x, depth);
        w.zero = false;
        return put_padded(r, out, &w, x.b ? STR("true") : STR("false"), false);
    case TMPL_T_INT:
        return print_int(r, out, v, x.i);
    case TMPL_T_FLOAT:
        return print_float(r, out, v, x.f);
    case TMPL_T_STRING:
        return print_string(r, out, v, x.s);
    case TMPL_T_LIST:
    case TMPL_T_MAP:
        return print_collection(r, out, v, x, depth);
    case TMPL_T_TIME:
    case TMPL_T_DURATION:
        return print_stringer(r, out, v, x);
    case TMPL_T_OBJECT:
        return put_padded(r, out, v, str_of(x.o.class->name), false);
    }
    return 0;
}

int tmpl_print(struct tmpl_run *r, struct buf *out, struct tmpl_value v)
{
    static const struct verb plain = {.c = 'v'};

    if (v.type == TMPL_T_STRING) {
        if (room(r, out, v.s.n) < 0)
            return ERR_EXEC;
        buf_puts(out, v.s);
        return 0;
    }
    return print_verb(r, out, &plain, v, 0);
}

int tmpl_sprint(struct tmpl_run *r, struct buf *out, const struct tmpl_value *args, uint32_t n, bool line)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i && (line || (args[i].type != TMPL_T_STRING && args[i - 1].type != TMPL_T_STRING)))
            buf_putc(out, ' ');
        if (tmpl_print(r, out, args[i]) < 0)
            return ERR_EXEC;
    }
    if (line)
        buf_putc(out, '\n');
    return 0;
}

/* --- formats ------------------------------------------------------------------------------------------- */

struct format {
    struct str text;
    size_t at;
    const struct tmpl_value *args;
    uint32_t n, next;
    bool reordered, bad_index;
};

static bool read_count(struct format *f, uint32_t *out)
{
    size_t from = f->at;

    for (*out = 0; f->at < f->text.n && f->text.p[f->at] >= '0' && f->text.p[f->at] <= '9'; f->at++)
        *out = MIN(*out * 10 + (uint32_t)(f->text.p[f->at] - '0'), (uint32_t)WIDTH_MAX + 1);
    return f->at > from;
}

/* [3] in front of a verb or a star. */
static void read_index(struct format *f)
{
    uint32_t i;

    if (f->at >= f->text.n || f->text.p[f->at] != '[')
        return;
    f->at++;
    f->reordered = true;
    if (!read_count(f, &i) || f->at >= f->text.n || f->text.p[f->at] != ']' || i < 1 || i > f->n)
        f->bad_index = true;
    else
        f->next = i - 1;
    while (f->at < f->text.n && f->text.p[f->at] != ']')
        f->at++;
    f->at += f->at < f->text.n;
}

/* A width or precision: digits, or a star and an argument. */
static void read_size(struct format *f, struct buf *out, bool *has, uint32_t *size, bool *minus, bool precision)
{
    read_index(f);
    if (f->at < f->text.n && f->text.p[f->at] == '*') {
        const struct tmpl_value *v = f->next < f->n ? &f->args[f->next++] : NULL;

        f->at++;
        *has = v && v->type == TMPL_T_INT && v->i <= WIDTH_MAX && v->i >= -WIDTH_MAX;
        if (!*has)
            buf_putz(out, precision ? "%!(BADPREC)" : "%!(BADWIDTH)");
        else if (v->i < 0 && precision)
            *has = false;
        else if (v->i < 0)
            *minus = true;
        *size = *has ? (uint32_t)(v->i < 0 ? -v->i : v->i) : 0;
        return;
    }
    *has = read_count(f, size) || precision;
    if (*size > WIDTH_MAX)
        *has = false;
}

static int one_verb(struct tmpl_run *r, struct buf *out, struct format *f)
{
    struct verb v = {0};
    uint32_t rune;
    size_t n;

    for (; f->at < f->text.n; f->at++) {
        char c = f->text.p[f->at];

        if (c == '-')
            v.minus = true;
        else if (c == '+')
            v.plus = true;
        else if (c == '#')
            v.sharp = true;
        else if (c == ' ')
            v.space = true;
        else if (c == '0')
            v.zero = true;
        else
            break;
    }
    f->bad_index = false;
    read_size(f, out, &v.has_width, &v.width, &v.minus, false);
    if (f->at < f->text.n && f->text.p[f->at] == '.') {
        f->at++;
        read_size(f, out, &v.has_precision, &v.precision, &v.minus, true);
    }
    read_index(f);
    if (f->at >= f->text.n) {
        buf_putz(out, "%!(NOVERB)");
        return 0;
    }
    n = utf8_decode(str_from(f->text, f->at), &rune);
    v.c = f->text.p[f->at];
    f->at += n;
    if (n == 1 && v.c == '%') {
        buf_putc(out, '%');
        return 0;
    }
    if (f->bad_index || n > 1 || f->next >= f->n) {
        buf_putz(out, "%!");
        buf_put(out, f->text.p + f->at - n, n);
        buf_putz(out, f->bad_index ? "(BADINDEX)" : f->next >= f->n ? "(MISSING)" : "(BADVERB)");
        return 0;
    }
    return print_verb(r, out, &v, f->args[f->next++], 0);
}

int tmpl_printf(struct tmpl_run *r, struct buf *out, struct str format, const struct tmpl_value *args, uint32_t n)
{
    struct format f = {.text = format, .args = args, .n = n};

    while (f.at < format.n) {
        ptrdiff_t to = str_chr(str_from(format, f.at), '%');
        size_t text = to < 0 ? format.n - f.at : (size_t)to;

        if (room(r, out, text + 32) < 0)
            return ERR_EXEC;
        buf_put(out, format.p + f.at, text);
        f.at += text;
        if (to < 0)
            break;
        f.at++;
        if (one_verb(r, out, &f) < 0)
            return ERR_EXEC;
    }
    if (f.reordered || f.next >= n)
        return 0;
    buf_putz(out, "%!(EXTRA ");
    for (uint32_t i = f.next; i < n; i++) {
        struct tmpl_value v = tmpl_plain(r, args[i]);

        if (i > f.next)
            buf_putz(out, ", ");
        if (v.type != TMPL_T_NIL)
            buf_printf(out, "%s=", tmpl_type_name(&v));
        if (tmpl_print(r, out, v) < 0)
            return ERR_EXEC;
    }
    buf_putc(out, ')');
    return 0;
}
