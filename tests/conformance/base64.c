/* base64.c - what case files hold as base64: bytes that are no text. */
#include "tests/conformance/conformance.h"

#include <string.h>

struct str conf_base64(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.n);
    uint32_t acc = 0, bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *d = s.p[i] ? strchr(digits, s.p[i]) : NULL;

        if (!d)
            continue;
        acc = acc << 6 | (uint32_t)(d - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (char)(acc >> bits);
        }
    }
    return str_n(out, n);
}
