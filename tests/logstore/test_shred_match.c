/*
 * test_shred_match.c - LINE and NO_LINE hints with regular expressions keep exactly the rows that asking each line keeps: for random
 * lines of every sort, among them empty ones, with newlines, NUL and bytes that are no UTF-8.
 */
#include "logstore/shred_match.c"

#include "base/regex.h"
#include "logstore/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "tests/logstore/random_lines.h"

/* need: a text in every match; within: by the eye. */
static const struct {
    const char *pattern, *need;
    bool within;
    const char *fold;
} patterns[] = {
    {"[a-z]rror", "rror", true, NULL},
    {"[A-Z]onnection|x", "", true, NULL},
    {"time(out|d)", "time", true, NULL},
    {"(?i)ERROR", "", true, "error"},
    {"(?i)größe", "", true, "gr"},
    {"(?i)NULL[p]ointer", "", true, "ointer"},
    {"(?i)/API/v", "", true, "/api/v"},
    {"^error", "error", false, NULL},
    {"error$", "error", false, NULL},
    {"\\Aa", "a", false, NULL},
    {"e\\z", "e", false, NULL},
    {"(?m)^at ", "at ", false, NULL},
    {"(?m)\\d$", "", false, NULL},
    {"^$", "", false, NULL},
    {"\\berror\\b", "error", false, NULL},
    {"\\Bo", "o", false, NULL},
    {"user.*alice", "user", true, NULL},
    {"(?s)user.*alice", "user", true, NULL},
    {"(?-s)user.*alice", "", true, NULL},
    {"[0-9]+\\.[0-9]+", ".", true, NULL},
    {"[0-9]{4}-[0-9]{2}", "-", true, NULL},
    {"10\\.[0-9]+\\.", "10.", true, NULL},
    {"[^a-z]ok", "ok", true, NULL},
    {"[^\\x00-\\x7f]", "", true, NULL},
    {"\\x{fffd}", "", true, NULL},
    {".\\x{fffd}.", "", true, NULL},
    {"日.", "", true, NULL},
    {"\\x00", "", true, NULL},
    {"\\n", "", true, NULL},
    {"\"level\":\"[ew]", "\"level\":\"", true, NULL},
    {"=[a-z]+ [a-z]+=", "=", true, NULL},
    {"GET|Refused|cache", "", true, NULL},
    {"a|b|", "", true, NULL},
    {"nothing like [t]his", "nothing like ", true, NULL},
    {"[a-f0-9]{16}", "", true, NULL},
};

struct asked {
    const struct regex *re;
    uint64_t n;
};

static bool match(const void *arg, struct str text)
{
    struct asked *a = *(struct asked *const *)arg;

    a->n++;
    return regex_match(a->re, text);
}

static struct regex *regex_of(const char *pattern)
{
    struct regex *re;
    struct err e;

    if (regex_new(str_of(pattern), REGEX_DOTALL, &re, &e) < 0)
        fail_msg("%s", e.text);
    return re;
}

static void spoil(struct buf *line)
{
    static const struct str odd[] = {{"\0", 1}, {"\n", 1}, {"\xff", 1}, {"\xe6\x97", 2}, {"\r\n", 2}, {"ERROR", 5}, {"\xef\xbf\xbd", 3}};
    struct str s = odd[below(ARRAY_LEN(odd))];

    if (below(10) == 0)
        buf_reset(line);
    else if (below(2) || line->n < s.n)
        buf_put(line, s.p, s.n);
    else
        memcpy(line->p + below(line->n - s.n + 1), s.p, s.n);
}

static struct log_row *random_rows(struct arena *a, uint32_t n, uint64_t sort)
{
    struct log_row *rows = arena_array(a, struct log_row, n);
    int64_t t = INT64_C(1763843621000000000);
    struct buf line = {0};

    for (uint32_t i = 0; i < n; i++) {
        t += (int64_t)below(40) * 1000000;
        put_random_line(&line, sort, t);
        if (below(12) == 0)
            spoil(&line);
        rows[i] = (struct log_row){.t_ns = t, .line = arena_dup(a, buf_str(&line))};
        buf_reset(&line);
    }
    buf_release(&line);
    return rows;
}

/* One or two patterns, or a pattern and a text; some rows asked for. */
static void ask(struct log_block *b, const struct log_row *rows, uint32_t n)
{
    size_t words = n / 64 + 1;
    uint64_t *w = x_zalloc(words * sizeof *w), *had = x_zalloc(words * sizeof *w);
    struct str values[2] = {STR("info"), STR("info")};
    struct log_line_test tests[2] = {{0}};
    struct asked asked[2] = {{0}}, *at[2] = {&asked[0], &asked[1]};
    struct log_hint h = {.kind = below(4) ? LOG_HINT_LINE : LOG_HINT_NO_LINE, .values = values, .nvalues = 1 + (uint32_t)(below(4) == 0), .tests = tests};
    struct log_bits bits = {w, n};
    bool few = below(3) == 0;
    struct err e;

    for (uint32_t i = 0; i < h.nvalues; i++) {
        size_t k = below(ARRAY_LEN(patterns));

        if (i == 1 && below(3) == 0)
            break; /* the plain text */
        values[i] = str_of(below(4) ? patterns[k].need : "");
        asked[i].re = regex_of(patterns[k].pattern);
        tests[i] = (struct log_line_test){match, &at[i], str_of(patterns[k].fold && below(3) ? patterns[k].fold : ""), patterns[k].within};
    }
    for (uint32_t i = 0; i < n; i++)
        w[i / 64] |= (uint64_t)(!few || below(20) == 0) << i % 64;
    memcpy(had, w, words * sizeof *w);
    if (log_block_narrow(b, &h, &bits, &e) < 0)
        fail_msg("%s", e.text);
    for (uint32_t i = 0; i < n; i++) {
        bool any = false, was = find_has(had, i);

        for (uint32_t k = 0; k < h.nvalues; k++)
            any |= asked[k].re ? regex_match(asked[k].re, rows[i].line) : find_bytes(rows[i].line, values[k]) != NULL;
        if (find_has(w, i) != (was && any == (h.kind == LOG_HINT_LINE)))
            fail_msg("row %u, '%.*s', values '%.*s' '%.*s': %d", i, STR_ARG(rows[i].line), STR_ARG(values[0]), STR_ARG(values[1]), any);
    }
    for (uint32_t i = 0; i < h.nvalues; i++)
        regex_free((struct regex *)asked[i].re);
    free(w);
    free(had);
}

static void random_blocks(void **state)
{
    struct log_block_writer *writer = log_block_writer_new();
    struct log_block *b = log_block_new();
    unsigned rounds = getenv("TRIPOD_LONG") ? 600 : 40;
    struct buf block = {0}, filter = {0};
    struct arena a = {0};
    struct err e;

    (void)state;
    rng_state = (uint64_t)time(NULL) * 2654435761u | 1;
    print_message("seed %llu\n", (unsigned long long)rng_state);
    for (unsigned k = 0; k < rounds; k++) {
        uint32_t n = 1 + (uint32_t)below(below(3) ? 700 : 20);
        const struct log_row *rows = random_rows(&a, n, below(5));

        buf_reset(&block);
        buf_reset(&filter);
        log_block_write(writer, rows, n, below(2), &block, &filter);
        for (unsigned i = 0; i < 12; i++) {
            if (i % 3 == 0 && log_block_open(b, buf_str(&block), &e) < 0)
                fail_msg("%s", e.text);
            ask(b, rows, n);
        }
        arena_reset(&a);
    }
    buf_release(&block);
    buf_release(&filter);
    arena_release(&a);
    log_block_free(b);
    log_block_writer_free(writer);
}

static void folded(void **state)
{
    static const char letters[] = "abAB-@[`{kK\xe2\x84\xaa";

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        char text[80], needle[20];
        size_t n = below(sizeof text), m = 1 + below(1 + below(sizeof needle));
        bool has = false;

        for (size_t i = 0; i < n; i++)
            text[i] = letters[below(sizeof letters)];
        for (size_t i = 0; i < m; i++)
            needle[i] = "ab-@{`ab"[below(8)];
        for (size_t at = 0; at + m <= n && !has; at++) {
            size_t k = 0;

            while (k < m && (text[at + k] == needle[k] || (needle[k] >= 'a' && needle[k] <= 'z' && text[at + k] == needle[k] - 0x20)))
                k++;
            has = k == m;
        }
        assert_int_equal(find_fold(str_n(text, n), str_n(needle, m)), has);
    }
}

/* --- what is not asked, and stopping ------------------------------------------------------------------------------ */

static struct log_row *like_rows(struct arena *a, uint32_t n, const char *level)
{
    struct log_row *rows = arena_array(a, struct log_row, n);

    for (uint32_t i = 0; i < n; i++)
        rows[i] = (struct log_row){.t_ns = i, .line = arena_printf(a, "request %u of %s took %u ms: %s", i, i % 3 ? "alice" : "bob", i * 7919 % 1000, i % 7 ? "ok" : level)};
    return rows;
}

static uint64_t tests_for(const struct log_row *rows, uint32_t n, const char *pattern, uint32_t *left, int *code)
{
    struct log_block_writer *writer = log_block_writer_new();
    struct log_block *b = log_block_new();
    struct asked asked = {regex_of(pattern), 0}, *at = &asked;
    struct log_line_test test = {.match = match, .arg = &at, .within = true};
    struct str value = STR("");
    struct log_hint h = {.kind = LOG_HINT_LINE, .values = &value, .nvalues = 1, .tests = &test};
    struct log_bits bits = {x_alloc((n / 64 + 1) * sizeof *bits.w), n};
    struct buf block = {0}, filter = {0};
    struct err e;

    memset(bits.w, 0xff, (n / 64 + 1) * sizeof *bits.w);
    log_block_write(writer, rows, n, false, &block, &filter);
    assert_int_equal(log_block_open(b, buf_str(&block), &e), 0);
    *code = log_block_narrow(b, &h, &bits, &e);
    *left = 0;
    for (uint32_t i = 0; i < n; i++)
        *left += find_has(bits.w, i);
    free(bits.w);
    regex_free((struct regex *)asked.re);
    buf_release(&block);
    buf_release(&filter);
    log_block_free(b);
    log_block_writer_free(writer);
    return asked.n;
}

static void parts_tell(void **state)
{
    struct arena a = {0};
    uint32_t left;
    int code;

    (void)state;
    const struct log_row *rows = like_rows(&a, 3000, "failed");
    assert_true(tests_for(rows, 3000, "[a-z]equest", &left, &code) < 20);
    assert_int_equal(left, 3000);
    assert_int_equal(code, 0);
    tests_for(rows, 3000, "fail[a-z]d", &left, &code);
    assert_int_equal(left, 429);
    arena_release(&a);
}

static int refuse(void *arg, uint64_t rows, uint64_t bytes, struct err *e)
{
    (void)rows;
    (void)bytes;
    return --*(int *)arg < 0 ? err_set(e, ERR_CANCELED, "enough") : 0;
}

static void can_be_stopped(void **state)
{
    struct log_block_writer *writer = log_block_writer_new();
    struct log_block *b = log_block_new();
    struct asked asked = {regex_of("[0-9] [m]s: no"), 0}, *at = &asked;
    struct log_line_test test = {.match = match, .arg = &at, .within = true};
    struct str value = STR("");
    struct log_hint h = {.kind = LOG_HINT_LINE, .values = &value, .nvalues = 1, .tests = &test};
    uint64_t w[4000 / 64 + 1];
    struct log_bits bits = {w, 4000};
    struct buf block = {0}, filter = {0};
    struct arena a = {0};
    int more = 2;
    struct log_limits limits = {refuse, &more};
    struct err e;

    (void)state;
    log_block_write(writer, like_rows(&a, 4000, "failed"), 4000, false, &block, &filter);
    memset(w, 0xff, sizeof w);
    log_block_limit(b, &limits);
    assert_int_equal(log_block_open(b, buf_str(&block), &e), 0);
    assert_int_equal(log_block_narrow(b, &h, &bits, &e), ERR_CANCELED);
    assert_string_equal(e.text, "enough");
    assert_true(asked.n > 0 && asked.n < 2000);
    regex_free((struct regex *)asked.re);
    buf_release(&block);
    buf_release(&filter);
    arena_release(&a);
    log_block_free(b);
    log_block_writer_free(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_blocks),
        cmocka_unit_test(folded),
        cmocka_unit_test(parts_tell),
        cmocka_unit_test(can_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
