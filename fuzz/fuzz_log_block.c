/*
 * fuzz_log_block.c - blocks of log lines. The first byte says what the rest is: the bytes of a block or of a filter, which must be
 * refused or read without harm; or lines, which must come back from a block as they are, and be found in it.
 */
#include "logstore/block.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 4096, VALUES_MAX = 8 };

static struct log_block_writer *writer;
static struct log_block *block;
static uint32_t idx[LOG_BLOCK_ROWS_MAX];
static struct log_row got[LOG_BLOCK_ROWS_MAX];
static uint64_t words[LOG_BLOCK_ROWS_MAX / 64];
uint64_t fuzz_log_block_sum; /* of all bytes given: they are read */

static uint64_t touch(const struct log_row *rows, uint32_t n)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        for (size_t k = 0; k < rows[i].line.n; k++)
            sum += (unsigned char)rows[i].line.p[k];
        for (uint32_t k = 0; k < rows[i].nfields; k++)
            sum += rows[i].fields[k].name.n +
                   (rows[i].fields[k].value.n ? (unsigned char)rows[i].fields[k].value.p[0] : 0);
        for (uint32_t k = 0; k < rows[i].nmeta; k++)
            sum += rows[i].meta[k].name.n + (rows[i].meta[k].value.n ? (unsigned char)rows[i].meta[k].value.p[0] : 0);
    }
    return sum;
}

static void all_rows(struct log_bits *bits)
{
    memset(words, 0xff, sizeof words);
    *bits = (struct log_bits){words, log_block_n(block)};
}

static bool has_vowel(const void *arg, struct str text)
{
    const char *vowels = arg;

    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] && strchr(vowels, text.p[i]))
            return true;
    return false;
}

static void fuzz_block(struct str s)
{
    static const struct str err = {"err", 3}, error = {"error", 5}, nothing = {"", 0};
    static const struct log_line_test within = {.match = has_vowel, .arg = "aeiou", .within = true}, whole = {.match = has_vowel, .arg = "ou"};
    static const struct log_hint hints[] = {
        {.kind = LOG_HINT_LINE, .values = &err, .nvalues = 1},
        {.kind = LOG_HINT_LINE, .values = &nothing, .nvalues = 1, .tests = &within},
        {.kind = LOG_HINT_NO_LINE, .values = &err, .nvalues = 1, .tests = &whole},
        {.kind = LOG_HINT_FIELD, .parser = LOG_PARSER_JSON, .name = {"level", 5}, .values = &error, .nvalues = 1},
        {.kind = LOG_HINT_FIELD, .parser = LOG_PARSER_LOGFMT, .name = {"level", 5}, .values = &error, .nvalues = 1},
        {.kind = LOG_HINT_META, .name = {"detected_level", 14}, .values = &error, .nvalues = 1},
    };
    struct log_bits bits;
    const int64_t *t;
    const uint32_t *streams;

    if (log_block_open(block, s, NULL) < 0)
        return;
    uint32_t n = log_block_n(block);
    for (uint32_t i = 0; i < n; i++)
        idx[i] = i;
    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        all_rows(&bits);
        log_block_narrow(block, &hints[i], &bits, NULL);
    }
    memset(got, 0, sizeof got);
    if (log_block_lines(block, idx, MIN(n, 3u), got, NULL) == 0)
        fuzz_log_block_sum += touch(got, MIN(n, 3u));
    if (log_block_lines(block, idx, n, got, NULL) == 0 &&
        log_block_fields(block, LOG_PARSER_JSON, NULL, 0, idx, n, got, NULL) == 0)
        fuzz_log_block_sum += touch(got, n);
    if (log_block_fields(block, LOG_PARSER_LOGFMT, NULL, 0, idx, n, got, NULL) == 0 &&
        log_block_meta(block, idx, n, got, NULL) == 0)
        fuzz_log_block_sum += touch(got, n);
    log_block_times(block, &t, NULL);
    log_block_streams(block, &streams, NULL);
    log_block_verify(block, NULL);
}

static void fuzz_filter(struct str s)
{
    struct str needle = str_head(s, 8);
    struct log_hint h[] = {{.kind = LOG_HINT_LINE, .values = &needle, .nvalues = 1},
                           {.kind = LOG_HINT_META, .name = {"a", 1}, .values = &needle, .nvalues = 1}};

    log_filter_may_match(str_from(s, needle.n), h, ARRAY_LEN(h));
}

static void find_again(const struct log_row *rows, uint32_t n, struct str filter, struct str needle)
{
    struct log_hint h = {.kind = LOG_HINT_LINE, .values = &needle, .nvalues = 1};
    struct log_bits bits;
    bool any = false;

    all_rows(&bits);
    if (log_block_narrow(block, &h, &bits, NULL) < 0)
        abort();
    for (uint32_t i = 0; i < n; i++) {
        bool has = needle.n == 0 || memmem(rows[i].line.p, rows[i].line.n, needle.p, needle.n);

        any |= has;
        if ((words[i / 64] >> i % 64 & 1) != has)
            abort();
    }
    if (any && !log_filter_may_match(filter, &h, 1))
        abort();
}

/* Lines between newlines, each many times over with its number in it where a '#' stands, so that templates form. */
static void fuzz_lines(struct str s, bool dense)
{
    static struct log_row rows[ROWS_MAX];
    struct buf out = {0}, filter = {0};
    struct arena a = {0};
    struct str line, needle = str_n(s.p + s.n / 3, MIN(s.n / 3, 9u));
    uint32_t n = 0, round = 0;
    struct str all = s;

    while (n < ROWS_MAX && round < 40) {
        bool more = str_cut(&s, '\n', &line);
        char *copy = arena_alloc(&a, line.n + 1);

        memcpy(copy, line.p, line.n);
        for (size_t i = 0; i < line.n; i++)
            if (copy[i] == '#')
                copy[i] = (char)('0' + round * 7 % 10);
        rows[n] = (struct log_row){
            .t_ns = INT64_C(1763843621000000000) + n * INT64_C(1500000), .stream = n % 3, .line = {copy, line.n}};
        n++;
        if (!more) {
            s = all;
            round++;
        }
    }
    log_block_write(writer, rows, n, dense, &out, &filter);
    for (uint32_t i = 0; i < n; i++)
        idx[i] = i;
    if (log_block_open(block, buf_str(&out), NULL) < 0 || log_block_n(block) != n)
        abort();
    memset(got, 0, n * sizeof *got);
    find_again(rows, n, buf_str(&filter), needle);
    if (log_block_lines(block, idx, n, got, NULL) < 0)
        abort();
    for (uint32_t i = 0; i < n; i++)
        if (!str_eq(got[i].line, rows[i].line))
            abort();
    find_again(rows, n, buf_str(&filter), str_head(needle, 2));
    if (log_block_fields(block, LOG_PARSER_JSON, NULL, 0, idx, n, got, NULL) < 0 ||
        log_block_fields(block, LOG_PARSER_LOGFMT, NULL, 0, idx, n, got, NULL) < 0 || log_block_verify(block, NULL) < 0)
        abort();
    fuzz_log_block_sum += touch(got, n);
    buf_release(&out);
    buf_release(&filter);
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_n(data + 1, size - 1);

    if (size == 0)
        return 0;
    if (!block) {
        block = log_block_new();
        writer = log_block_writer_new();
    }
    if (data[0] == 'B')
        fuzz_block(s);
    else if (data[0] == 'F')
        fuzz_filter(s);
    else
        fuzz_lines(s, data[0] == 'D');
    return 0;
}
