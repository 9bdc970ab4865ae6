/* fuzz_num.c - number, duration, size and time readers: what they take they print back the same; numbers agree with
 * strtod. */
#include "base/base.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void number(struct str s)
{
    char out[NUM_MAX], *z;
    double v, back;
    bool range;

    if (!num_parse(s, &v, &range))
        return;
    if (v == v) {
        z = x_strdup(s);
        assert(f64_bits(strtod(z, NULL)) == f64_bits(v));
        free(z);
    }
    assert(num_parse(str_n(out, num_fmt_g(v, out)), &back, NULL) && f64_bits(back) == f64_bits(v));
    assert(num_parse(str_n(out, num_fmt_f(v, out)), &back, NULL) && f64_bits(back) == f64_bits(v));
    assert(num_parse(str_n(out, num_fmt_sample(v, out)), &back, NULL) && f64_bits(back) == f64_bits(v));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_n(data, size);
    char out[NUM_MAX];
    int64_t ms, back;
    uint64_t bytes;
    struct err e;
    double v;

    number(s);
    if (duration_parse(s, &ms, &e) == 0)
        assert(duration_parse(str_n(out, duration_fmt(ms, out)), &back, &e) == 0 && back == ms);
    (void)size_parse(s, &bytes, &e);
    if (time_parse(s, &ms, &e) == 0) {
        size_t n = time_fmt_rfc3339(ms, out);

        if (n == 24 && out[0] != '-')
            assert(time_parse(str_n(out, n), &back, &e) == 0 && back == ms);
    }
    if (size == 8) {
        memcpy(&v, data, 8);
        if (v == v)
            number(str_n(out, num_fmt_e(v, out)));
    }
    return 0;
}
