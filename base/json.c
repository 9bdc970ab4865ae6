/* json.c - see json.h. */
#include "base/json.h"

#include "base/num.h"

#include <assert.h>
#include <math.h>

enum { DEPTH_MAX = 64 };

/* Bytes that may stand in a JSON string as they are. */
static const bool plain[256] = {
    [' '] = 1, ['!'] = 1, ['#' ... '%'] = 1, ['\'' ... ';'] = 1, ['='] = 1, ['?' ... '['] = 1, [']' ... 0x7f] = 1,
};

static void put_escape(struct buf *out, uint32_t rune)
{
    static const char hex[] = "0123456789abcdef";
    char t[6] = {'\\', 'u', hex[rune >> 12 & 15], hex[rune >> 8 & 15], hex[rune >> 4 & 15], hex[rune & 15]};
    const char *shorter = NULL;

    switch (rune) {
    case '"':
        shorter = "\\\"";
        break;
    case '\\':
        shorter = "\\\\";
        break;
    case '\n':
        shorter = "\\n";
        break;
    case '\r':
        shorter = "\\r";
        break;
    case '\t':
        shorter = "\\t";
        break;
    }
    buf_put(out, shorter ? shorter : t, shorter ? 2 : sizeof t);
}

void json_put_string(struct buf *out, struct str s)
{
    size_t from = 0, i = 0;

    buf_reserve(out, s.n + 2);
    buf_putc(out, '"');
    while (i < s.n) {
        uint32_t rune;
        size_t n;

        if (plain[(unsigned char)s.p[i]]) {
            i++;
            continue;
        }
        n = utf8_decode(str_from(s, i), &rune);
        if (rune >= 0x80 && rune != 0x2028 && rune != 0x2029 && !(rune == 0xFFFD && n == 1)) {
            i += n;
            continue;
        }
        buf_put(out, s.p + from, i - from);
        put_escape(out, rune);
        i += n;
        from = i;
    }
    if (i > from) /* an empty str may have no p */
        buf_put(out, s.p + from, i - from);
    buf_putc(out, '"');
}

void json_init(struct json *j, struct buf *out)
{
    *j = (struct json){.out = out};
}

/* A comma, where one is due before the next item. */
static void before(struct json *j)
{
    uint64_t bit = UINT64_C(1) << j->depth;

    if (j->after_key)
        j->after_key = false;
    else if (j->has_item & bit)
        buf_putc(j->out, ',');
    j->has_item |= bit;
}

static void open_(struct json *j, char c)
{
    before(j);
    assert(j->depth + 1 < DEPTH_MAX);
    j->depth++;
    j->has_item &= ~(UINT64_C(1) << j->depth);
    buf_putc(j->out, c);
}

static void close_(struct json *j, char c)
{
    assert(j->depth > 0);
    assert(!j->after_key);
    j->depth--;
    buf_putc(j->out, c);
}

void json_obj(struct json *j)
{
    open_(j, '{');
}

void json_end_obj(struct json *j)
{
    close_(j, '}');
}

void json_arr(struct json *j)
{
    open_(j, '[');
}

void json_end_arr(struct json *j)
{
    close_(j, ']');
}

void json_key_str(struct json *j, struct str key)
{
    before(j);
    json_put_string(j->out, key);
    buf_putc(j->out, ':');
    j->after_key = true;
}

void json_key(struct json *j, const char *key)
{
    json_key_str(j, str_of(key));
}

void json_str(struct json *j, struct str s)
{
    before(j);
    json_put_string(j->out, s);
}

void json_strz(struct json *j, const char *z)
{
    json_str(j, str_of(z));
}

void json_i64(struct json *j, int64_t v)
{
    before(j);
    j->out->n += num_fmt_i64(v, buf_reserve(j->out, NUM_MAX));
}

void json_u64(struct json *j, uint64_t v)
{
    before(j);
    j->out->n += num_fmt_u64(v, buf_reserve(j->out, NUM_MAX));
}

void json_f64(struct json *j, double v)
{
    before(j);
    if (isfinite(v))
        j->out->n += num_fmt_sample(v, buf_reserve(j->out, NUM_MAX));
    else
        buf_putz(j->out, "null");
}

void json_bool(struct json *j, bool v)
{
    before(j);
    buf_putz(j->out, v ? "true" : "false");
}

void json_null(struct json *j)
{
    before(j);
    buf_putz(j->out, "null");
}

void json_raw(struct json *j, struct str text)
{
    before(j);
    buf_puts(j->out, text);
}
