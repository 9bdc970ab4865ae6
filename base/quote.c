/* quote.c - see quote.h. */
#include "base/quote.h"

#include <stdbool.h>

/* As Go's strconv.IsPrint, but for unassigned code points. Space is the only space. */
static bool printable(uint32_t r)
{
    if (r < 0x7f)
        return r >= 0x20;
    if (r < 0xa1 || r == 0xad || r == 0x1680 || r == 0x180e || r == 0x3000 || r == 0xfeff)
        return false;
    if ((r >= 0x2000 && r <= 0x200f) || (r >= 0x2028 && r <= 0x202f) || (r >= 0x205f && r <= 0x206f))
        return false;
    return !(r >= 0xd800 && r <= 0xf8ff) && !(r >= 0xfff9 && r <= 0xfffb) && (r & 0xfffe) != 0xfffe && r < 0xe0000;
}

static void put_rune(struct buf *out, uint32_t r, char quote)
{
    static const char letters[] = "abtnvfr"; /* of 7..13 */
    char utf8[4];

    if (r == (unsigned char)quote || r == '\\')
        buf_put(out, (char[]){'\\', (char)r}, 2);
    else if (printable(r))
        buf_put(out, utf8, utf8_encode(r, utf8));
    else if (r >= 7 && r <= 13)
        buf_put(out, (char[]){'\\', letters[r - 7]}, 2);
    else
        buf_printf(out, r < 0x20 || r == 0x7f ? "\\x%02x" : r < 0x10000 ? "\\u%04x" : "\\U%08x", r);
}

void buf_put_quoted(struct buf *out, struct str s)
{
    buf_putc(out, '"');
    for (size_t i = 0, n; i < s.n; i += n) {
        uint32_t r;

        n = utf8_decode(str_from(s, i), &r);
        if (n == 1 && r == 0xfffd)
            buf_printf(out, "\\x%02x", (unsigned char)s.p[i]);
        else
            put_rune(out, r, '"');
    }
    buf_putc(out, '"');
}

void buf_put_quoted_rune(struct buf *out, uint32_t r)
{
    buf_putc(out, '\'');
    put_rune(out, r > 0x10ffff || (r >= 0xd800 && r < 0xe000) ? 0xfffd : r, '\'');
    buf_putc(out, '\'');
}
