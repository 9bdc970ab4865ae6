/*
 * test_block.c - blocks of random rows of every sort come back to the byte, and what narrows them never loses a row; the model is
 * the rows themselves. Damage, huge lines, golden bytes.
 */
#include "logstore/block.c"

#include "logstore/block_lines.c"
#include "logstore/block_write.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "tests/logstore/block_model.h"
#include "tests/logstore/field_oracle.h"

/* --- fields ------------------------------------------------------------------------------------------------------------ */

/* Rows that have fields; each is what the oracle finds. names NULL: all of them. */
static uint32_t check_fields(struct model *m, enum log_parser parser, const struct str *name)
{
    uint32_t *idx = x_alloc((m->n + 1) * sizeof *idx), n = 0, with = 0;
    struct log_row *got = x_zalloc((m->n + 1) * sizeof *got);
    struct pairs *want = x_alloc(sizeof *want);
    struct err e;

    for (uint32_t i = 0; i < m->n; i++)
        if (!name || below(3))
            idx[n++] = i;
    must(log_block_fields(block, parser, name, name ? 1 : 0, idx, n, got, &e), &e);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = 0;

        if (!got[i].fields)
            continue;
        with++;
        struct str line = m->rows[idx[i]].line;
        if (parser == LOG_PARSER_LOGFMT)
            parse_logfmt(&m->a, line, want);
        else if (!parse_json(&m->a, line, want)) {
            if (!name &&
                !memmem(line.p, line.n, "\\ud800", 6)) /* else an odd escape in a value that was not asked for */
                fail_msg("fields of what is no JSON object: %.*s", STR_ARG(line));
            continue;
        }
        for (uint32_t k = 0; k < want->n; k++) {
            if (name && !str_eq(want->v[k].name, *name))
                continue;
            if (at == got[i].nfields || !str_eq(got[i].fields[at].name, want->v[k].name) ||
                !same_value(&want->v[k], got[i].fields[at].value))
                fail_msg("%.*s: field %.*s is not there or something else", STR_ARG(line), STR_ARG(want->v[k].name));
            at++;
        }
        if (at != got[i].nfields)
            fail_msg("%.*s: %u fields, not %u", STR_ARG(line), got[i].nfields, at);
    }
    free(want);
    free(idx);
    free(got);
    return with;
}

/* Rows that have a field with this value, by the oracle, must stay; others that have fields must go. */
static void check_field_hint(struct model *m, enum log_parser parser)
{
    uint32_t *idx = x_alloc((m->n + 1) * sizeof *idx), pick = UINT32_MAX;
    struct log_row *got = x_zalloc((m->n + 1) * sizeof *got);
    uint64_t *w = x_alloc((m->n / 64 + 1) * sizeof *w);
    struct err e;

    for (uint32_t i = 0; i < m->n; i++)
        idx[i] = i;
    must(log_block_fields(block, parser, NULL, 0, idx, m->n, got, &e), &e);
    for (uint32_t i = 0; i < m->n; i++)
        if (got[i].nfields && below(1 + m->n / 8) == 0)
            pick = i;
    if (pick != UINT32_MAX) {
        const struct log_field *f = &got[pick].fields[below(got[pick].nfields)];
        struct str value = f->value;
        struct log_hint h = {.kind = LOG_HINT_FIELD, .parser = parser, .name = f->name, .values = &value, .nvalues = 1};
        struct log_bits bits = {w, m->n};

        if (!log_filter_may_match(buf_str(&m->filter), &h, 1))
            fail_msg("the filter denies %.*s=%.*s", STR_ARG(f->name), STR_ARG(f->value));
        memset(w, 0xff, (m->n / 64 + 1) * sizeof *w);
        must(log_block_narrow(block, &h, &bits, &e), &e);
        must(log_block_fields(block, parser, &h.name, 1, idx, m->n, got, &e), &e);
        f = &(struct log_field){.name = h.name, .value = h.values[0]};
        for (uint32_t i = 0; i < m->n; i++) {
            bool has = !got[i].fields;

            for (uint32_t k = 0; k < got[i].nfields; k++)
                has |= str_eq(got[i].fields[k].name, f->name) && str_eq(got[i].fields[k].value, f->value);
            if (has)
                assert_true(w[i / 64] >> i % 64 & 1);
        }
    }
    free(idx);
    free(got);
    free(w);
}

static uint32_t check_all_fields(struct model *m)
{
    static const char *const names[] = {"level", "msg", "http_status", "trace_id", "a", "nothing", "dur"};
    struct str name = str_of(names[below(ARRAY_LEN(names))]);
    uint32_t with = 0;
    struct err e;

    for (enum log_parser p = LOG_PARSER_JSON; p <= LOG_PARSER_LOGFMT; p++) {
        must(log_block_open(block, buf_str(&m->block), &e), &e);
        check_fields(m, p, &name);
        with += check_fields(m, p, NULL);
        check_field_hint(m, p);
    }
    return with;
}

static void seed_rng(void)
{
    const char *given = getenv("SEED");

    rng_state = given ? strtoull(given, NULL, 0) : (uint64_t)clock_wall_ns() | 1;
    print_message("seed %llu\n", (unsigned long long)rng_state);
}

static unsigned rounds(unsigned quick)
{
    return getenv("TRIPOD_LONG") ? quick * 30 : quick;
}

static void test_random(void **state)
{
    (void)state;
    seed_rng();
    uint64_t with = 0;
    for (unsigned round = 0; round < rounds(60); round++) {
        struct model m;

        make_rows(&m, 1 + (uint32_t)(round % 10 ? below(600) : below(6000)), round % 6, round % 3 == 0);
        write_model(&m, round % 7 == 0);
        check_rows(&m);
        check_narrow(&m);
        with += check_all_fields(&m);
        model_release(&m);
    }
    assert_true(with > 1000);
}

/* --- corners ----------------------------------------------------------------------------------------------------------- */

static void test_corners(void **state)
{
    enum { HUGE_BYTES = 5 << 20 };
    char *huge = x_alloc(HUGE_BYTES);
    struct model m = {.n = 8};
    static const struct label odd[] = {{{"", 0}, {"", 0}}, {{"b", 1}, {"\0x", 2}}};

    (void)state;
    seed_rng();
    m.rows = arena_array(&m.a, struct log_row, m.n);
    for (size_t i = 0; i < HUGE_BYTES; i++)
        huge[i] = "{\"a\":1, b=2 \n\xff"[below(14)];
    m.rows[0].line = STR_NULL;
    m.rows[1].line = str_n(huge, HUGE_BYTES);
    m.rows[2] = (struct log_row){.t_ns = INT64_MIN, .stream = UINT32_MAX, .line = STR("\0"), .meta = odd, .nmeta = 2};
    m.rows[3] = (struct log_row){.t_ns = INT64_MAX, .line = STR("{}")};
    m.rows[4].line = STR("\"");
    m.rows[5].line = str_n(huge, 70000);
    m.rows[6].line = STR("\n\n\n\n\n");
    m.rows[7] = (struct log_row){.t_ns = -1, .line = STR("=")};
    write_model(&m, false);
    check_rows(&m);
    model_release(&m);
    for (uint32_t n = 1; n < 4; n++) { /* one row; rows all alike; empty rows */
        m = (struct model){.n = n == 1 ? 1 : 5000};
        m.rows = arena_array(&m.a, struct log_row, m.n);
        for (uint32_t i = 0; i < m.n; i++)
            m.rows[i].line = n == 3 ? STR_NULL : STR("level=info msg=\"x y\"");
        write_model(&m, n == 2);
        check_rows(&m);
        check_narrow(&m);
        model_release(&m);
    }
    free(huge);
}

/* Words that differ, slots that run into thousands, times that are no times, ids of another case. */
static void test_forms(void **state)
{
    static const char *const forms[] = {
        "user %s left room %d",
        "%s %s %s %d",
        "{\"a\":{\"b\":{\"c\":\"%s\"}},\"n\":%d}",
        "2026-02-29T10:00:00Z %s %d",
        "%s at 23:59:%d",
        "id=0%d:%s k=v",
        "%s [22/Nov/2026:20:33:41 +0000] %d.%d.%d.999",
        "ABCDEF%08X %s",
        "%s -%d -0%d +%d",
    };
    struct buf line = {0};

    (void)state;
    seed_rng();
    for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
        struct model m = {.n = 3000};
        bool number_first = f == 5 || f == 7;

        m.rows = arena_array(&m.a, struct log_row, m.n);
        for (uint32_t i = 0; i < m.n; i++) {
            const char *word = some_words[below(ARRAY_LEN(some_words))];
            int k = (int)below(100);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
            if (number_first)
                buf_printf(&line, forms[f], k, word);
            else if (f == 1)
                buf_printf(&line, forms[f], word, some_words[below(4)], some_words[i % 20], k);
            else
                buf_printf(&line, forms[f], word, k, k, k);
#pragma GCC diagnostic pop
            m.rows[i] = (struct log_row){.t_ns = (int64_t)i * 1000, .line = keep(&m, &line)};
        }
        write_model(&m, false);
        check_rows(&m);
        check_narrow(&m);
        check_all_fields(&m);
        model_release(&m);
    }
    for (uint32_t i = 0; i < 3000; i++)
        buf_printf(&line, "k%u=%u ", i, i);
    struct log_row rows[40];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        rows[i] = (struct log_row){.line = str_head(buf_str(&line), line.n - 1 - i)};
    struct model m = {.rows = rows, .n = ARRAY_LEN(rows)};
    write_model(&m, false);
    check_rows(&m);
    model_release(&m);
    buf_release(&line);
}

/* --- golden ------------------------------------------------------------------------------------------------------------ */

static const char *golden_path(void)
{
    static char path[512];
    const char *slash = strrchr(__FILE__, '/');

    snprintf(path, sizeof path, "%.*s/golden/block-1.hex", slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".");
    return path;
}

static void golden_model(struct model *m)
{
    struct buf line = {0};

    *m = (struct model){.n = 240};
    m->rows = arena_array(&m->a, struct log_row, m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        uint32_t k = i / 6, h = k * 2654435761u;
        struct label *meta = arena_array(&m->a, struct label, 1);

        switch (i % 6) {
        case 0:
            buf_printf(
                &line,
                "{\"ts\":\"2026-11-22T20:33:%02u.%03uZ\",\"level\":\"%s\",\"msg\":\"done in %u ms\",\"id\":\"%08x%08x\",\"n\":[1,%u]}",
                k, h % 1000, k % 3 ? "info" : "warn", h % 90, h, h * 7, k);
            break;
        case 1:
            buf_printf(&line, "level=info msg=\"a \\\"b\\\" %u\" d=%u.%02us empty=", h % 10, k, h % 100);
            break;
        case 2:
            buf_printf(&line, "10.0.%u.%u - - [22/Nov/2026:20:33:%02u +0000] \"GET /a/%u HTTP/1.1\" 200 %u", k % 4,
                       h % 256, k, h % 7, h % 9000);
            break;
        case 3:
            buf_printf(&line, "boom %u\n\tat a.B.c(B.java:%u)\n\tat d.E.f(E.java:%u)\n\tat g\n\tat h", h % 100, k % 3,
                       k % 5);
            break;
        case 4:
            buf_printf(&line, "20:33:%02u,%03u user_%u %s: -%u 0%02u", k, h % 1000, h % 5000, k % 2 ? "left" : "came",
                       k, k);
            break;
        default:
            buf_printf(&line, "\xff%c odd %u", (int)(k % 32), h);
        }
        *meta = (struct label){STR("detected_level"), k % 3 ? STR("info") : STR("warn")};
        m->rows[i] = (struct log_row){.t_ns = INT64_C(1795379620000000000) + i * INT64_C(166000000),
                                      .stream = i % 3,
                                      .line = keep(m, &line),
                                      .meta = meta,
                                      .nmeta = i % 4 != 0};
    }
    buf_release(&line);
}

static void read_hex(FILE *f, struct buf *out)
{
    int c, high = -1;

    buf_reset(out);
    while ((c = getc(f)) != EOF && c != '\n') {
        int d = c <= '9' ? c - '0' : c - 'a' + 10;

        if (high >= 0)
            buf_putc(out, (char)(high << 4 | d));
        high = high >= 0 ? -1 : d;
    }
}

static void write_hex(FILE *f, const struct buf *b)
{
    for (size_t i = 0; i < b->n; i++)
        fprintf(f, "%02x", (unsigned char)b->p[i]);
    fputc('\n', f);
}

/* The bytes of version 1 stay readable: golden/block-1.hex holds a block and its filter as they were written when it was made. */
static void test_golden(void **state)
{
    struct model m;

    (void)state;
    seed_rng();
    golden_model(&m);
    if (getenv("GOLDEN_WRITE")) {
        FILE *f = fopen(golden_path(), "w");

        assert_non_null(f);
        write_model(&m, false);
        write_hex(f, &m.block);
        write_hex(f, &m.filter);
        fclose(f);
    }
    FILE *f = fopen(golden_path(), "r");
    if (!f)
        fail_msg("%s is missing", golden_path());
    read_hex(f, &m.block);
    read_hex(f, &m.filter);
    fclose(f);
    check_rows(&m);
    for (int i = 0; i < 50; i++)
        check_line_hint(&m, false);
    check_all_fields(&m);
    struct log_hint h = {.kind = LOG_HINT_LINE, .values = (const struct str[]){{"absent", 6}}, .nvalues = 1};
    assert_false(log_filter_may_match(buf_str(&m.filter), &h, 1));
    model_release(&m);
}

/* --- damage -------------------------------------------------------------------------------------------------------------- */

static void read_damaged(struct model *m)
{
    struct log_bits bits = {x_zalloc((m->n / 64 + 1) * 8), m->n};
    struct log_hint h = {.kind = LOG_HINT_LINE, .values = (const struct str[]){{"info", 4}}, .nvalues = 1};
    struct log_row *got = x_zalloc((m->n + 1) * sizeof *got);
    uint32_t *idx = x_alloc((m->n + 1) * sizeof *idx);
    struct err e;

    for (uint32_t i = 0; i < m->n; i++)
        idx[i] = i;
    if (log_block_open(block, buf_str(&m->block), &e) == 0 && log_block_n(block) == m->n) {
        log_block_narrow(block, &h, &bits, &e);
        log_block_lines(block, idx, m->n, got, &e);
        log_block_fields(block, LOG_PARSER_JSON, NULL, 0, idx, m->n, got, &e);
        log_block_meta(block, idx, m->n, got, &e);
        log_block_verify(block, &e);
    }
    log_filter_may_match(buf_str(&m->filter), &h, 1);
    free(bits.w);
    free(got);
    free(idx);
}

/* Bytes changed, cut off, put in: an error or other rows, never a crash. */
static void test_damage(void **state)
{
    struct model m;

    (void)state;
    seed_rng();
    golden_model(&m);
    write_model(&m, false);
    struct buf block_was = {0}, filter_was = {0};
    buf_puts(&block_was, buf_str(&m.block));
    buf_puts(&filter_was, buf_str(&m.filter));
    for (unsigned round = 0; round < rounds(1500); round++) {
        buf_reset(&m.block);
        buf_reset(&m.filter);
        buf_puts(&m.block, str_head(buf_str(&block_was), below(10) ? block_was.n : below(block_was.n)));
        buf_puts(&m.filter, str_head(buf_str(&filter_was), below(10) ? filter_was.n : below(filter_was.n)));
        for (uint64_t k = below(4); k > 0 && m.block.n; k--)
            m.block.p[below(below(2) ? m.block.n : MIN(m.block.n, 400u))] = (char)rnd();
        if (m.filter.n)
            m.filter.p[below(MIN(m.filter.n, 40u))] = (char)rnd();
        read_damaged(&m);
    }
    buf_release(&block_was);
    buf_release(&filter_was);
    model_release(&m);
}

static int setup(void **state)
{
    (void)state;
    writer = log_block_writer_new();
    block = log_block_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_block_writer_free(writer);
    log_block_free(block);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random), cmocka_unit_test(test_corners), cmocka_unit_test(test_forms),
        cmocka_unit_test(test_golden), cmocka_unit_test(test_damage),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
