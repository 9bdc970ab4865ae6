/* fuzz_regex.c - pattern, newline, text: the cheap ways to an answer against RE2 asked through groups, which knows none
 * of them. */
#include "base/base.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_n(data, size), pattern, g[3];
    const struct regex_facts *f;
    struct buf out = {0};
    struct regex *r;
    unsigned flags;
    bool yes;

    if (size == 0)
        return 0;
    flags = data[0] & 7;
    text = str_from(text, 1);
    str_cut(&text, '\n', &pattern);
    if (regex_new(pattern, flags, &r, NULL) < 0)
        return 0;
    f = regex_facts(r);
    yes = regex_groups(r, text, 0, g, 3);
    assert(regex_match(r, text) == yes);
    if (yes) {
        assert(g[0].p >= text.p && g[0].p + g[0].n <= text.p + text.n);
        assert(!(flags & REGEX_ANCHORED) || g[0].n == text.n);
        assert(!(flags & REGEX_ANCHORED) || str_starts(text, f->prefix));
        regex_expand(r, text, g, 3, &out);
        buf_release(&out);
    }
    for (uint32_t i = 0; i < f->nset; i++)
        assert(regex_groups(r, f->set[i], 0, g, 1) && regex_match(r, f->set[i]));
    regex_free(r);
    return 0;
}
